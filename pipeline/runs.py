"""The bot's door to work: start a run, watch it, cancel it, ask how it stands.

A run is a folder and a record. The same key is the same run: starting it again does nothing, unless it had failed or was
cancelled, or stages are asked for that it has not performed yet. Runs that wait stand in a lane until a worker takes them
(`worker.py`); the record of all that is the ledger's.

    waiting  -> running            a worker took it; the one that had it took it up again
    running  -> done | failed      its stages are done, or one cannot be
    running  -> waiting            its worker is lost, hands it back, or it is tried again
    waiting  -> failed             it could not be begun, or not go on (`refuse`)
    waiting | running -> stopping -> cancelled      one that waits at once
    failed | cancelled | done -> waiting            somebody started it again, asked for more, or for stages to be redone
"""

import asyncio
import re
import shutil
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pipeline.errors import Invalid, LabError, Problem, Temporary
from pipeline.memory import Memory
from pipeline.pool import layout
from pipeline.pool.depot import Depot
from pipeline.pool.layout import Upload
from pipeline.pool.ledger import CHANNEL, COST_S, ENDED, LANES, Ask, Ledger, Record, Step
from pipeline.pool.retention import Kept, prune, size_of

__all__ = ["ENDED", "Record", "Runs", "Step", "Upload", "insist", "paced"]

if TYPE_CHECKING:
    from pipeline.pool.artefacts import Store

T = TypeVar("T")
Thumb = Literal["up", "down", ""]

SAMPLE = re.compile(r"[0-9A-Za-z._-]{1,64}")  # the id of a sample, which comes back from a button

LOOK_S = 0.2  # how often somebody who waits for Redis looks again
FRESH_S = 3600.0  # a folder without a record that is younger may be one whose run is just being begun
MISSED_S = 5.0  # a watcher looks that often even if it hears of nothing: what is published may be lost
TURN_S = 2.0  # how often a watcher looks how many runs are before one that waits
PATIENCE_S = 0.3  # a run that is taken sooner never says which place it had
STOPPING_S = 15.0  # the longest that a run may take to stop
NEAR = 20  # places that are told one by one; those behind by tens


class Runs:
    """The door. `settings` are handed to the stages by name; `folder` holds a folder a run.

    `store`: where hosts without a common disk find each other's files.
    """

    def __init__(
        self,
        memory: Memory,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        clock: Callable[[], float] = time.time,
        store: "Store | None" = None,
    ) -> None:
        self.memory, self.folder, self.settings, self.clock = memory, folder, settings, clock
        self.ledger = Ledger(memory, clock)
        self.depot = Depot(self.ledger, folder, store)
        self._news = News(memory)

    async def start(
        self,
        key: str,
        recipe: str,
        inputs: Mapping[str, Any],
        *,
        person: str,
        weight: float = 1.0,
        until: str | None = None,
        scopes: Sequence[tuple[str, int, int]] = (),
        order: str = "",
        redo: Sequence[str] = (),
    ) -> str:
        """Start the run of that key and return its id; one that waits, runs or is done already stays as it is.

        `until`: the last stage that is wanted; a run that goes on or is done goes on to it. `scopes`: limits that hold for
        it, (name, most that wait, most that run), 0 for none. An input that is an Entry becomes the run's `entry/` files.
        `order` names the asking: who asks again because no answer came does not start again what has failed meanwhile.
        `redo`: stages that are performed though they are done, in the same folder with its logs; a receipt makes one free
        whose inputs did not change. A run that waits or is carried does so behind what it is just doing.
        Raises Invalid if it cannot be written as it is, if there is no such stage, or (runs.full) if too many wait
        already; Failed if the disk does not take it.
        """
        from pipeline import recipe as recipes

        stages = recipes.stages(recipe, until)
        await self._stopped(key)
        wanted = tuple(stage.name for stage in stages)
        if strange := [name for name in redo if name not in wanted]:
            fix = f"There is: {', '.join(wanted)}."
            raise Invalid(Problem("stage.unknown", f"{strange[0]!r} is none of the stages that are wanted", fix=fix))
        record = await self.status(key)
        if record and order and order in record.orders:
            return key
        over = record is None or record.state in ("failed", "cancelled")
        if over or redo or (record and set(wanted) - {*record.wanted, *record.did}):
            await asyncio.to_thread(layout.write, self.folder / key, recipe, inputs, person, self.settings)
            await self.depot.begin(key)
        spent = await self.ledger.spent(recipe, wanted)
        cost = sum(statistics.median(times) if times else COST_S for times in spent.values())
        lane = stages[0].lane
        ask = Ask(key, recipe, person, wanted, lane, weight, max(cost, 1.0), tuple(scopes), order, tuple(redo))
        said, scope, most = await self.ledger.start(ask)
        if said == "full":
            facts = {"most": str(most), "scope": scope.partition(":")[0]}
            message = f"{most} runs of {scope} wait already"
            raise Invalid(Problem("runs.full", message, fix="Wait until one of them has ended, or cancel one.", facts=facts))
        return key

    async def _stopped(self, key: str) -> None:
        """Wait for a run that is just being stopped: it can be started again when it is over."""
        for _ in range(round(STOPPING_S / LOOK_S)):
            record = await self.status(key)
            if record is None or record.state != "stopping":
                return
            await asyncio.sleep(LOOK_S)

    async def refuse(self, key: str, why: LabError, until: str | None = None) -> None:
        """Record a run that could not be started, or not go on to `until`, so that whoever watches it hears why."""
        facts = why.facts if isinstance(why, Invalid) else {}
        await self.ledger.refuse(key, {**facts, "cause": str(why)}, (until,) if until else ())

    async def status(self, run: str) -> Record | None:
        return await self.ledger.record(run)

    async def watch(self, run: str, after: int = 0) -> AsyncIterator[Step]:
        """Every step after number `after`, as it comes; the last one has a state of ENDED unless it is started again.

        While the run waits or is carried its facts also say how it stands (`standing`), but for what its stage says itself,
        such as `low_s`; where only that has changed while it waits, its last step comes again.
        """
        last, state, stands = "0", "", dict[str, str]()
        step: Step | None = None
        async with self._news.of(run) as news:
            while True:
                steps = await self.ledger.steps(run, last)
                for name, step in steps:
                    last = name
                    stands = stands if step.state == state else {}
                    state = step.state
                    if step.number > after:
                        yield replace(step, facts={**stands, **step.facts})
                if not steps and await self.status(run) is None:
                    return  # it was forgotten
                goes_on = step is not None and state in ("waiting", "running")
                await _rung(news, (TURN_S if stands else PATIENCE_S) if goes_on else MISSED_S)
                if news.is_set() or not goes_on:
                    news.clear()
                elif step and (now := await self.standing(run)) != stands:
                    stands = now
                    yield replace(step, facts={**stands, **step.facts})

    async def standing(self, run: str) -> dict[str, str]:
        """Texts: `position` in its lane (1 is next; behind NEAR by tens), `paused` where the lane is, and the seconds that

        it takes until it is done, `low_s` to `high_s`: what eight of ten runs before it took; nothing of what is not known.
        """
        record = await self.ledger.record(run)
        if record is None or record.state not in ("waiting", "running"):
            return {}
        place = await self.ledger.place(run)
        found = {"position": str(_rounded(place.position))} if place.position else {}
        if place.paused and place.position:
            return {**found, "paused": "yes"}
        times = list((await self.ledger.spent(record.recipe, record.left)).values())
        if not times or not all(times):
            return found
        ahead = (place.position - 1) / max(place.hands, 1) if place.position else 0.0
        gone = self.clock() - record.claimed if record.state == "running" else 0.0
        low, high = (max(sum(_quantile(one, share) for one in times) * (1 + ahead) - gone, 0.0) for share in (0.1, 0.9))
        return {**found, "low_s": str(_coarse(low)), "high_s": str(_coarse(high))} if high >= 1 else found

    async def cancel(self, run: str, by: str) -> None:
        """Ask a run to stop; one that has ended stays as it is."""
        await self.ledger.cancel(run, by)

    async def rate(self, run: str, sample: str, thumb: Thumb, person: str) -> bool:
        """Keep what a person thinks of a sample, for the stage that makes more of them; "" takes it away. The newest counts.

        False, and nothing is kept, where there is no such run, no sample has such an id, or 500 of the run have a thumb.
        """
        return bool(SAMPLE.fullmatch(sample)) and await self.ledger.rate(run, sample, thumb, person)

    async def thumbs(self, run: str) -> dict[str, str]:
        """What people think of a run's samples: "up" or "down", by the sample's id."""
        return (await self.ledger.thumbs(run))[1]

    async def thumbed(self, person: str) -> dict[str, dict[str, str]]:
        """The thumbs that a person gave, by run, whoever's the run is."""
        return await self.ledger.thumbed(person)

    async def export(self, person: str) -> dict[str, Any]:
        """Everything that is kept of a person's runs: records, and the texts in the folder of each, by their paths."""
        records = [record for record in await self.ledger.records() if record.person == person]
        for record in records:
            if record.state in ENDED:  # what goes on is being written where it is carried
                await self.depot.bring(record.id)
        texts = [await asyncio.to_thread(_texts, self.folder / record.id) for record in records]
        return {one.id: {**asdict(one), "files": files} for one, files in zip(records, texts, strict=True)}

    async def forget(self, person: str) -> list[str]:
        """Take out the ended runs of a person, folders and all, and their thumbs; return the ids of those that still go on."""
        for run, thumbs in (await self.thumbed(person)).items():
            for sample in thumbs:
                await self.ledger.rate(run, sample, "", person)
        mine = [record.id for record in await self.ledger.records() if record.person == person]
        blobs = {blob for run in mine for blob in (await self.ledger.files(run)).values()}
        left = [run for run in mine if not await self._remove(run)]
        await self.depot.erase(blobs)
        if not left:
            await self.memory.all(("HDEL", f"lane:{lane}:shares", person) for lane in LANES)
        return left

    async def _remove(self, run: str) -> bool:
        """Take away a run that is over, its record and its folder; False if it goes on."""
        if not await self.ledger.forget(run):
            return False
        await asyncio.to_thread(shutil.rmtree, self.folder / run, True)
        return True

    async def prune(self, *, older_s: float | None, most_bytes: int | None, referenced: Collection[str]) -> list[str]:
        """Take away what is too old or too much of the runs that are over, but for those referenced; their ids.

        None: no limit. A run whose record is gone by itself ended when its folder was last begun.
        """
        records = {record.id: record for record in await self.ledger.records()}
        kept = []
        for path in await asyncio.to_thread(_folders, self.folder):
            record = records.get(path.name)
            ended = await self.ledger.last(path.name) if record else (path / "run.json").stat().st_mtime
            fresh = record is None and ended > self.clock() - FRESH_S  # it may be just being begun
            over = not fresh if record is None else record.state in ENDED
            kept.append(Kept(path.name, ended if over else None, await asyncio.to_thread(size_of, path)))
        gone = prune(kept, now=self.clock(), older_s=older_s, most_bytes=most_bytes, referenced=referenced)
        removed = [run for run in gone if await self._remove(run)]
        await self.ledger.recount()
        await self.depot.clean()
        return removed

    async def mend(self, every_s: float) -> None:
        """Let runs wait again whose worker is lost, also where no worker is left that would notice; until cancelled."""
        while True:
            with suppress(Temporary):
                await self.ledger.reap()
            await asyncio.sleep(every_s)


class News:
    """Which runs took a step, heard on one connection by all who watch; it is open while somebody does."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._watched: dict[str, set[asyncio.Event]] = {}
        self._ear: asyncio.Task[None] | None = None
        self._hears = asyncio.Event()

    @asynccontextmanager
    async def of(self, run: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever the run may have taken a step."""
        event = asyncio.Event()
        self._watched.setdefault(run, set()).add(event)
        if self._ear is None or self._ear.done():
            self._hears.clear()
            self._ear = asyncio.create_task(self._hear())
        try:
            await self._hears.wait()  # a step before that is read from the stream, one after it is heard of
            yield event
        finally:
            self._watched[run].discard(event)
            if not self._watched[run]:
                del self._watched[run]
            if not self._watched and self._ear:
                self._ear.cancel()
                self._ear = None

    async def _hear(self) -> None:
        while True:
            with suppress(Temporary):
                async for run in self.memory.heard(CHANNEL, self._hears.set):
                    for event in self._watched.get(run, ()):
                        event.set()
            for events in self._watched.values():  # Redis is away: they find out, and say so
                for event in events:
                    event.set()
            self._hears.set()
            await asyncio.sleep(LOOK_S)


async def paced(steps: AsyncIterator[Step], pace_s: float) -> AsyncIterator[Step]:
    """The steps of a run, but of those that only go on none sooner than `pace_s` after the one before: the newest then.

    With 0 every step comes, as it comes.
    """
    held: Step | None = None
    free_at = 0.0
    now = asyncio.get_running_loop().time
    next_one = asyncio.ensure_future(anext(steps))
    try:
        while True:
            await asyncio.wait({next_one}, timeout=max(free_at - now(), 0) if held else None)
            if next_one.done():
                try:
                    step = next_one.result()
                except StopAsyncIteration:
                    return
                next_one = asyncio.ensure_future(anext(steps))
                if step.state in ("waiting", "running") and now() < free_at:
                    held = step
                    continue
            else:
                assert held
                step = held
            held, free_at = None, now() + pace_s
            yield step
    finally:
        next_one.cancel()
        await asyncio.gather(next_one, return_exceptions=True)


async def _rung(event: asyncio.Event, patience_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            await event.wait()


def _folders(folder: Path) -> list[Path]:
    """The folders of runs; one without its run.json was never whole, and whoever begins the run lays it out anew."""
    return [path for path in sorted(folder.glob("*")) if (path / "run.json").is_file()]


def _coarse(seconds: float) -> int:
    """Seconds in steps that people think in, so that a card does not change with every second."""
    unit = 5 if seconds < 60 else 30 if seconds < 600 else 300
    return round(seconds / unit) * unit


def _rounded(position: int) -> int:
    return position if position <= NEAR else (position + 9) // 10 * 10


def _quantile(times: Sequence[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[round(share * (len(ordered) - 1))]


def _texts(folder: Path) -> dict[str, str]:
    """The files of a run that are text; the others are named by their size."""
    found = {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file() and not one.is_symlink() and one.name != "lock"):
        try:
            found[str(path.relative_to(folder))] = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            found[str(path.relative_to(folder))] = f"({path.stat().st_size} bytes)"
    return found


async def insist(attempt: Callable[[], Awaitable[T]]) -> T:
    """Try until Redis is there: a child goes on meanwhile, its steps wait."""
    while True:
        try:
            return await attempt()
        except Temporary:
            await asyncio.sleep(LOOK_S)
