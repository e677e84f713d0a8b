"""The bot's door to work: start a run, watch it, cancel it, ask how it stands.

A run is a folder and a record. The same key is the same run: starting it again does nothing, unless it had failed or
was cancelled. Runs that wait stand in a lane; whoever carries them (`carrier.py`) records each step here.

    waiting  -> running            a process took it
    running  -> done | failed      its child ended
    running  -> waiting            its process was lost
    waiting | running -> stopping -> cancelled
    failed | cancelled -> waiting  somebody started it again
"""

import asyncio
import dataclasses
import json
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pipeline import qna
from pipeline.errors import Failed, Temporary
from pipeline.files import taken, write
from pipeline.memory import Memory
from pipeline.taxonomy import Entry, root_of

T = TypeVar("T")

ENDED = ("done", "failed", "cancelled")
NEXT = {
    "waiting": ("running", "stopping", "failed"),
    "running": ("running", "done", "failed", "waiting", "stopping"),
    "stopping": ("cancelled", "done", "failed"),
    "failed": ("waiting",),
    "cancelled": ("waiting",),
    "done": (),
}
STEPS = 1000  # steps that a run's stream keeps
KEPT_S = 30 * 86_400  # how long a run's record stays
LOOK_S = 0.2  # how often somebody who waits for Redis, for a run or for a cancel looks again
BLOCK_MS = 1000  # a watcher asks again that often, so that it notices a Redis that went away

PUT = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[5])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'step', ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[5])
if ARGV[6] == 'waits' then redis.call('ZADD', KEYS[3], 'NX', ARGV[7], ARGV[8]) end
if ARGV[6] == 'ended' then redis.call('ZREM', KEYS[3], ARGV[8]) end
return 1
"""

KEYS = {
    "run:{run}": "a run's record: recipe, person, state, facts; 30 days",
    "run:{run}:steps": "its steps, the newest 1,000; 30 days",
    "lane:cpu": "runs that wait or run, by when they were started",
}


@dataclass(frozen=True, slots=True)
class Record:
    """A run as it stands. `number` counts its steps; `facts` are texts for people."""

    id: str
    recipe: str
    person: str
    state: str = "waiting"
    number: int = 0
    until: str | None = None
    weight: float = 1.0
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run: what changed, at what time (seconds since 1970)."""

    number: int
    state: str
    at: float
    stage: str = ""
    fraction: float = 0.0
    facts: Mapping[str, str] = field(default_factory=dict)


class Runs:
    """The door. `settings` are handed to the stages by name; `folder` holds a folder a run."""

    def __init__(
        self,
        memory: Memory,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        timeout_s: float = 600.0,
        clock: Callable[[], float] = time.time,
        look_s: float = LOOK_S,
    ) -> None:
        self.memory, self.folder, self.settings, self.timeout_s = memory, folder, settings, timeout_s
        self.clock, self.look_s = clock, look_s

    async def start(
        self,
        key: str,
        recipe: str,
        inputs: Mapping[str, Any],
        *,
        person: str,
        weight: float = 1.0,
        until: str | None = None,
    ) -> str:
        """Start the run of that key and return its id; one that waits, runs or is done already stays as it is.

        An input that is an Entry becomes the run's `entry/` files. Raises Invalid if it cannot be
        written as it is, Failed if the disk does not take it.
        """
        record = await self.status(key)
        if record is None or record.state in ("failed", "cancelled"):
            self._lay_out(key, recipe, inputs, person, until)
            if record is None:
                await self._begin(Record(key, recipe, person, until=until, weight=weight))
            else:
                # Named again: a run that was refused before it began knows neither.
                await self.step(key, "waiting", facts={}, changed={"recipe": recipe, "person": person, "until": until})
        return key

    async def refuse(self, key: str, why: str) -> None:
        """Record a run that could not be started at all, so that whoever watches it hears why."""
        if await self.status(key) is None:
            await self._begin(Record(key, "", "", "waiting"))
        else:  # it had ended, and somebody tried again
            await self.step(key, "waiting", facts={})
        await self.step(key, "failed", facts={"cause": why})

    async def status(self, run: str) -> Record | None:
        row = await self.memory.do("GET", f"run:{run}")
        return Record(**json.loads(row)) if row else None

    async def watch(self, run: str, after: int = 0) -> AsyncIterator[Step]:
        """Every step after number `after`, as it comes; the last one has a state of ENDED unless it is started again."""
        last = "0"
        while True:
            found = await self.memory.do("XREAD", "BLOCK", BLOCK_MS, "STREAMS", f"run:{run}:steps", last)
            for name, fields in found[0][1] if found else ():
                last = name.decode()
                step = Step(**json.loads(fields[b"step"]))
                if step.number > after:
                    yield step

    async def cancel(self, run: str, by: str) -> None:
        """Ask a run to stop; one that has ended stays as it is."""
        record = await self.status(run)
        if record is None or record.state not in ("waiting", "running"):
            return
        await self.step(run, "stopping", facts={**record.facts, "by": by})
        with suppress(FileNotFoundError), (self.folder / run / "lock").open("a") as lock:
            if taken(lock):  # nobody carries it, and nobody will: whoever does ends it
                await self.end(run, "cancelled")

    async def export(self, person: str) -> dict[str, Any]:
        """Everything that is kept of a person's runs: records, and the texts in the folder of each, by their paths."""
        records = [record for record in await self._records() if record.person == person]
        texts = [await asyncio.to_thread(_texts, self.folder / record.id) for record in records]
        return {one.id: {**dataclasses.asdict(one), "files": files} for one, files in zip(records, texts, strict=True)}

    async def forget(self, person: str) -> list[str]:
        """Take out the ended runs of a person, folders and all; return the ids of those that still go on."""
        left = []
        for record in await self._records():
            if record.person != person:
                continue
            if record.state not in ENDED:
                left.append(record.id)
                continue
            await asyncio.to_thread(shutil.rmtree, self.folder / record.id, True)
            await self.memory.do("DEL", f"run:{record.id}", f"run:{record.id}:steps")
        return left

    # --- records

    async def _begin(self, record: Record) -> None:
        await self._put(record, "", Step(0, record.state, self.clock()))

    async def step(
        self,
        run: str,
        state: str,
        *,
        stage: str = "",
        fraction: float = 0.0,
        facts: Mapping[str, str] | None = None,
        changed: Mapping[str, Any] | None = None,
    ) -> bool:
        """Record a step, its facts in place of the earlier ones if any are given.

        False where the state table does not allow it: the run was cancelled or has ended meanwhile.
        """
        while True:
            row = await self.memory.do("GET", f"run:{run}")
            record = Record(**json.loads(row)) if row else None
            if record is None or state not in NEXT[record.state]:
                return False
            kept = dict(record.facts if facts is None else facts)
            after = dataclasses.replace(record, state=state, number=record.number + 1, facts=kept, **(changed or {}))
            if await self._put(after, row, Step(after.number, state, self.clock(), stage, fraction, kept)):
                return True

    async def _put(self, record: Record, before: str | bytes, step: Step) -> bool:
        """Write record, step and place in the lane together, if the record is still as it was read ("": absent)."""
        keys = [f"run:{record.id}", f"run:{record.id}:steps", "lane:cpu"]
        texts = [json.dumps(dataclasses.asdict(one)) for one in (record, step)]
        waits = record.state == "waiting" and record.recipe  # one that is refused never was in the lane
        lane = "ended" if record.state in ENDED else "waits" if waits else ""
        return bool(await self.memory.script(PUT, keys, before, *texts, STEPS, KEPT_S, lane, self.clock(), record.id))

    async def end(self, run: str, state: str, facts: Mapping[str, str] | None = None) -> None:
        await insist(lambda: self.step(run, state, facts=facts))

    async def _records(self) -> list[Record]:
        found = []
        async for key in self.memory.keys("run:*"):
            if key.count(":") == 1 and (record := await self.status(key.removeprefix("run:"))):
                found.append(record)
        return found

    def _lay_out(self, key: str, recipe: str, inputs: Mapping[str, Any], person: str, until: str | None) -> None:
        folder = self.folder / key
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        except OSError as error:
            raise Failed(f"the folder of run {key} could not be made: {error.strerror}") from error
        texts = {name: value for name, value in inputs.items() if not isinstance(value, Entry)}
        for value in inputs.values():
            if isinstance(value, Entry):
                write(folder / "entry" / "qna.yaml", qna.write(value))
                write(folder / "entry" / "attribution.txt", qna.attribution(value.works))
                texts["leaf"], texts["root"], texts["description"] = value.leaf, root_of(value), value.description
        run = {"id": key, "recipe": recipe, "person": person, "until": until, "inputs": texts, "settings": dict(self.settings)}
        write(folder / "run.json", json.dumps(run, indent=1))


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
