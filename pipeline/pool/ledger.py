"""The record of runs in Redis: what each is, how it stands, who carries it, whose turn is next.

Every change is one script of `ledger.lua`, so it happens whole or not at all, whoever is killed on the way. What arq
delivers is part of it: a run that waits is an id in the lane's ZSET with a job that names it, and arq's in-progress key is
the lease of the worker that carries it, "WORKER:FENCE". A lease that nobody renews runs out; whoever looks next lets the
run wait again. An attempt writes with its fence, the number of the claim; a later claim makes all its writes void.
"""

import functools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.stage import Lane

if TYPE_CHECKING:
    from pipeline.memory import Memory

LANES: tuple[Lane, ...] = ("cpu", "gpu")
ENDED = ("done", "failed", "cancelled")
STATES = ("waiting", "running", "stopping", *ENDED)
FUNCTION = "carry"  # the name by which arq calls the worker's one function
CHANNEL = "runs"  # on which the id of a run is published that took a step
COST_S = 60.0  # what a run counts as against its person's share before there is any history

DAY_S = 86_400
LEASE_S = 120  # the longest lease that can be configured

# What each key holds, and after how many seconds it is gone at the latest; 0: when what it is about is over.
KEYS: dict[str, tuple[str, int]] = {
    "run:{run}": ("a run's record: recipe, person, state, facts, fence", 30 * DAY_S),
    "run:{run}:steps": ("its steps, the newest 1,000", 30 * DAY_S),
    "run:{run}:thumbs": ("which of its samples people like, which not, and who says so", 30 * DAY_S),
    "run:{run}:files": ("what its stages wrote, by path: digest and size, where artefacts are kept apart", 30 * DAY_S),
    "runs:carried": ("runs that a worker has, and their lanes", 0),
    "runs:waiting": ("how many runs wait, by person and workspace", 0),
    "runs:running": ("how many are carried, by person and workspace", 0),
    "runs:spent:{recipe}:{stage}": ("how long the last 50 took, in seconds", 30 * DAY_S),
    "runs:dead": ("runs that were given up, by when", 30 * DAY_S),
    "lane:{lane}": ("runs that wait or are carried, by virtual start time or by when they may be tried again (arq's queue)", 0),
    "lane:{lane}:shares": ("fair queueing: the lane's virtual time and each person's finish tag", 30 * DAY_S),
    "lane:{lane}:bell": ("rings when there is work", 60),
    "lane:{lane}:paused": ("why an operator has paused the lane", 0),
    "lane:{lane}:workers": ("its workers and how many runs each carries at once, by when they are taken for dead", DAY_S),
    "lane:{lane}:health-check": ("arq's own", 60),
    "worker:{worker}": ("host, process, device, lanes and runs of a worker", 2 * LEASE_S),
    "bell:{worker}:{lane}": ("rings when one of its runs is to stop or has ended", 60),
    "drain:{worker}": ("an operator wants the worker to end when its runs have", DAY_S),
    "arq:job:{run}": ("what arq delivers: the id of the run", 30 * DAY_S),
    "arq:in-progress:{run}": ("who carries the run, and at which attempt", LEASE_S),
    "arq:retry:{run}": ("arq's own count of deliveries", 88_400),
}


@dataclass(frozen=True, slots=True)
class Record:
    """A run as it stands. `number` counts its steps; `facts` are texts for people; `wanted` stages, of which `did` are done.

    `orders` are the names of the last askings, the newest in front.
    """

    id: str
    recipe: str
    person: str
    state: str = "waiting"
    number: int = 0
    wanted: tuple[str, ...] = ()
    weight: float = 1.0
    facts: Mapping[str, str] = field(default_factory=dict)
    did: tuple[str, ...] = ()
    lane: str = "cpu"
    stage: str = ""
    worker: str = ""
    fence: int = 0
    tries: int = 0
    asked: float = 0.0
    claimed: float = 0.0
    orders: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[str, ...]:
        """The stages that are wanted and not done."""
        return tuple(name for name in self.wanted if name not in self.did)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run: what changed, at what time (seconds since 1970)."""

    number: int
    state: str
    at: float
    stage: str = ""
    fraction: float = 0.0
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a run is begun with. `scopes`: a limit each, (name, most that wait, most that run), 0 for none.

    `order` names the asking: asked again by the same name, the run stays as it is, even if it has failed meanwhile.
    `redo`: stages that are to be performed though they are done.
    """

    run: str
    recipe: str
    person: str
    wanted: tuple[str, ...]
    lane: Lane = "cpu"
    weight: float = 1.0
    cost_s: float = COST_S
    scopes: tuple[tuple[str, int, int], ...] = ()
    order: str = ""
    redo: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """What a renewal says of a run: "running", "stopping", or "lost" for what others have by now.

    `rated` rises with every thumb of its samples.
    """

    state: str
    rated: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run stands: `position` 1 is next, 0 does not wait; `hands`: runs that its lane carries at once."""

    position: int
    hands: int
    paused: bool


class Ledger:
    """All methods raise Temporary while Redis is away. `clock` gives the times that people see."""

    def __init__(self, memory: "Memory", clock: Callable[[], float] = time.time) -> None:
        self.memory, self.clock = memory, clock

    async def start(self, ask: Ask) -> tuple[str, str, int]:
        """Begin a run, or have one that goes on perform these stages too.

        ("begun", "", 0), ("there", "", 0) where nothing had to be begun, or ("full", scope, most).
        """
        scopes = " ".join(f"{_word(name)}={waiting},{running}" for name, waiting, running in ask.scopes)
        body = job(ask.run, int(self.clock() * 1000))
        words = (ask.recipe, ask.person, ask.weight, ask.lane, " ".join(ask.wanted), ask.cost_s, scopes, body)
        said = await self._do("start", ask.run, self.clock(), *words, _word(ask.order), " ".join(ask.redo))
        return said[0].decode(), said[1].decode() if said[1:] else "", int(said[2]) if said[2:] else 0

    async def refuse(self, run: str, facts: Mapping[str, str], wanted: Sequence[str] = ()) -> None:
        """Record that a run could not be begun, or not go on to what is wanted; one that goes on stays as it is."""
        await self._do("refuse", run, self.clock(), json.dumps(facts), " ".join(wanted))

    async def look(self, lane: str, most: int) -> tuple[list[str], list[str]]:
        """At most so many runs that a worker of the lane may take, and those that were just found without a worker."""
        found, lost = await self._do("look", lane, most, self.clock())
        return _texts(found), _texts(lost)

    async def reap(self) -> list[str]:
        """Let runs wait again whose lease ran out; return them."""
        return _texts(await self._do("reap", self.clock()))

    async def claim(self, run: str, worker: str, lease_s: float) -> tuple[int, int] | None:
        """Take a run: the fence of this attempt, and how often its stage was tried; None if it is not to be had."""
        said = await self._do("claim", run, worker, _ms(lease_s), self.clock())
        return (int(said[1]), int(said[2])) if said[0] == b"ours" else None

    async def renew(self, worker: str, lease_s: float, carried: Mapping[str, int]) -> dict[str, Held]:
        """Renew the leases of runs by their fences."""
        words = [word for pair in carried.items() for word in pair]
        said = _texts(await self._do("renew", worker, _ms(lease_s), self.clock(), *words))
        held = (Held(state, int(rated)) for state, rated in zip(said[::2], said[1::2], strict=True))
        return dict(zip(carried, held, strict=True))

    async def tell(self, run: str, fence: int, stage: str, fraction: float, facts: Mapping[str, str]) -> str:
        """Record a step of an attempt; returns the run's state, or "lost" where the attempt no longer counts."""
        return _text(await self._do("tell", run, fence, self.clock(), stage, fraction, json.dumps(facts)))

    async def did(self, run: str, fence: int, stage: str, seconds: float, files: Mapping[str, str]) -> str:
        """Record that a stage is done, and what it wrote; with stage "" only files. Returns as `tell`."""
        words = [word for pair in files.items() for word in pair]
        return _text(await self._do("did", run, fence, stage, f"{seconds:.3f}", *words))

    async def finish(self, run: str, fence: int, state: str, facts: Mapping[str, str], *, dead: bool = False) -> str:
        """End a run; returns the state it has now, "more" where stages are wanted that are not done, or "lost"."""
        return _text(await self._do("finish", run, fence, state, self.clock(), json.dumps(facts), int(dead)))

    async def back(
        self, run: str, fence: int, facts: Mapping[str, str], *, lane: str, delay_s: float = 0.0, forgiven: bool = False
    ) -> str:
        """Put a run back in line; `forgiven`: this attempt does not count as a try. Returns as `tell`."""
        words = (json.dumps(facts), _ms(delay_s), lane, int(forgiven))
        return _text(await self._do("back", run, fence, self.clock(), *words))

    async def cancel(self, run: str, by: str) -> str:
        """Ask a run to stop; one that waits is over at once. Returns its state, "" if there is none."""
        return _text(await self._do("cancel", run, self.clock(), by))

    async def rate(self, run: str, sample: str, thumb: str, person: str) -> bool:
        """Keep a person's thumb, or with "" take the sample's away; False where there is no run or no room for more."""
        return bool(await self._do("rate", run, sample, thumb, person))

    async def thumbs(self, run: str) -> tuple[int, dict[str, str]]:
        """The thumbs of a run's samples, and how often there was one by now."""
        words = (("HGET", f"run:{run}", "rated"), ("HGETALL", f"run:{run}:thumbs"))
        rated, rows = await self.memory.all(words, atomic=True)
        return int(rated or 0), {sample: said.partition(" ")[0] for sample, said in _pairs(rows).items()}

    async def thumbed(self, person: str) -> dict[str, dict[str, str]]:
        """The thumbs that are a person's, by run, whoever's the run is."""
        keys = [key async for key in self.memory.keys("run:*:thumbs")]
        runs = [key.removeprefix("run:").removesuffix(":thumbs") for key in dict.fromkeys(keys)]
        rows = await self.memory.all(("HGETALL", f"run:{run}:thumbs") for run in runs)
        mine = {}
        for run, row in zip(runs, rows, strict=True):
            said = {sample: one.partition(" ") for sample, one in _pairs(row).items()}
            mine[run] = {sample: thumb for sample, (thumb, _, whose) in said.items() if whose == person}
        return {run: thumbs for run, thumbs in mine.items() if thumbs}

    async def again(self, run: str) -> None:
        """Write down anew what arq delivers of a run that goes on; a run that has ended has nothing left of it."""
        await self._do("again", run, job(run, int(self.clock() * 1000)))

    async def up(self, run: str) -> bool:
        """Make a run that waits the next of its lane."""
        return bool(await self._do("up", run))

    async def place(self, run: str) -> Place:
        position, hands, paused = await self._do("place", run)
        return Place(int(position), int(hands), bool(paused))

    async def crowd(self) -> dict[str, tuple[int, int]]:
        """How many runs wait and are carried in each lane."""
        carried = _texts(await self.memory.do("HVALS", "runs:carried"))
        there = await self.memory.all(("ZCARD", f"lane:{lane}") for lane in LANES)
        return {lane: (int(all_) - carried.count(lane), carried.count(lane)) for lane, all_ in zip(LANES, there, strict=True)}

    async def record(self, run: str) -> Record | None:
        return _record(run, await self.memory.do("HGETALL", f"run:{run}"))

    async def records(self) -> list[Record]:
        """Every run that there is, in no order."""
        names = [key async for key in self.memory.keys("run:*") if key.count(":") == 1]
        runs = [name.removeprefix("run:") for name in dict.fromkeys(names)]
        rows = await self.memory.all(("HGETALL", f"run:{run}") for run in runs)
        return [found for run, row in zip(runs, rows, strict=True) if (found := _record(run, row))]

    async def steps(self, run: str, after: str) -> list[tuple[str, Step]]:
        """The steps behind an entry of the run's stream ("0": all that are kept), each with the name of its entry."""
        rows = await self.memory.do("XRANGE", f"run:{run}:steps", f"({after}" if after != "0" else "-", "+")
        return [(name.decode(), _step(_pairs(fields))) for name, fields in rows]

    async def last(self, run: str) -> float:
        """When a run took its last step, in seconds since 1970; 0 where none is kept."""
        rows = await self.memory.do("XREVRANGE", f"run:{run}:steps", "+", "-", "COUNT", 1)
        return _step(_pairs(rows[0][1])).at if rows else 0.0

    async def spent(self, recipe: str, stages: Sequence[str]) -> dict[str, list[float]]:
        """Seconds that the last runs of each stage took."""
        rows = await self.memory.all(("LRANGE", f"runs:spent:{recipe}:{stage}", 0, -1) for stage in stages)
        return {stage: [float(one) for one in row] for stage, row in zip(stages, rows, strict=True)}

    async def files(self, run: str) -> dict[str, str]:
        """What stages wrote, by path, as `did` was told."""
        return _pairs(await self.memory.do("HGETALL", f"run:{run}:files"))

    async def found(self, run: str) -> dict[str, str]:
        """What the stages that are done since the run was asked for have told."""
        return dict(json.loads(await self.memory.do("HGET", f"run:{run}", "found") or "{}"))

    async def register(
        self, worker: str, lease_s: float, told: str, slots: Mapping[Lane, int], *, draining: bool, sweep: bool
    ) -> bool:
        """Say that a worker is there for two leases; whether an operator wants it to end. `sweep`: clear away who is gone."""
        words = [word for pair in slots.items() for word in pair]
        return bool(await self._do("register", worker, _ms(lease_s), told, int(draining), int(sweep), *words))

    async def recount(self) -> None:
        """Count anew what limits hold for, over all runs that wait or are carried."""
        await self._do("recount")

    async def forget(self, run: str) -> bool:
        """Take a run's record away unless it goes on; False if it does."""
        return bool(await self._do("forget", run))

    async def _do(self, name: str, *words: Any) -> Any:
        return await self.memory.script(scripts()[name], [], *words)


def job(run: str, at_ms: int) -> str:
    """The job that arq delivers, as its JSON serialiser would write it (arq/jobs.py: serialize_job)."""
    return json.dumps({"t": None, "f": FUNCTION, "a": [run], "k": {}, "et": at_ms})


@functools.cache
def scripts() -> dict[str, str]:
    """The sections of ledger.lua, each with the functions before the first."""
    text = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")
    shared, *sections = text.split("\n--- ")
    return {section.partition(":")[0]: f"{shared}\n--- {section}" for section in sections}


def _record(run: str, row: Any) -> Record | None:
    found = _pairs(row)
    if "state" not in found:
        return None
    made: dict[str, Any] = {name: found.get(name, "") for name in ("recipe", "person", "state", "stage", "worker")}
    made |= {name: int(found.get(name) or 0) for name in ("number", "fence", "tries")}
    made |= {name: float(found.get(name) or 0) for name in ("asked", "claimed")}
    made |= {name: tuple(found.get(name, "").split()) for name in ("wanted", "did")}
    lane, weight = found.get("lane") or "cpu", float(found.get("weight") or 1)
    made |= {"orders": tuple(found.get("order", "").split())}
    return Record(**made, id=run, lane=lane, weight=weight, facts=json.loads(found["facts"]))


def _step(found: Mapping[str, str]) -> Step:
    return Step(
        int(found["number"]),
        found["state"],
        float(found["at"]),
        found["stage"],
        float(found["fraction"]),
        json.loads(found["facts"]),
    )


def _pairs(row: Sequence[bytes] | Mapping[bytes, bytes]) -> dict[str, str]:
    """A hash or the fields of a stream's entry, which redis-py gives as they come or as a mapping."""
    if isinstance(row, Mapping):
        return {key.decode(): value.decode() for key, value in row.items()}
    return {key.decode(): value.decode() for key, value in zip(row[::2], row[1::2], strict=True)}


def _texts(row: Sequence[bytes]) -> list[str]:
    return [one.decode() for one in row]


def _text(said: bytes | None) -> str:
    return said.decode() if said else ""


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _word(name: str) -> str:
    """A name without what separates words in a scope."""
    return "".join("_" if mark.isspace() or mark == "=" else mark for mark in name)
