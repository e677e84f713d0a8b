"""What the lanes of platforms share: processes that die where they are told, and what is left of the sessions in them.

A lane plays the same drafting session again and again, each time on an empty labbot and a new fake platform, and compares
what each leaves with what an undisturbed one does.
"""

import argparse
import asyncio
import importlib
import json
import os
import random
import shutil
import signal
import sys
import traceback
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any, Protocol

from bot.store import Store
from pipeline import demo
from pipeline.embedded import Server
from pipeline.memory import connect
from tests.fakes.model import Model
from tests.faults.kill import HOME

LEAST, MOST = 30, 110  # points of a life in a storm: enough to start and do something
PATIENCE_S = 60.0  # with one act, restarts included; a round that takes longer has come to a standstill
GRACE_S = 4.0  # for what comes after an act is decided and said

Step = tuple[Any, ...]


# --- where bots run


def bots(module: str) -> int:
    """Start a bot of `module` for each line of standard input, one after the other: a fork, since importing takes a second."""
    from tests.faults import mortal

    serve, settings = importlib.import_module(module).serve, mortal.warm()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                asyncio.run(serve(settings, json.loads(line)))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        mortal.say(pid=child)
        mortal.say(over=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return 0


class Bots:
    """The process that starts bots (`module`'s, with --bots), and what it tells of the one that runs."""

    def __init__(self, log: Path, module: str) -> None:
        self.log, self.module = log, module
        self.pid = self.points = 0
        self.died: list[str] = []
        self.ready, self.over = asyncio.Event(), asyncio.Event()
        self.status: int | None = None
        self.over.set()

    @asynccontextmanager
    async def up(self) -> AsyncIterator["Bots"]:
        words = (sys.executable, "-m", self.module, "--bots")
        pipe = asyncio.subprocess.PIPE
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(*words, cwd=HOME, stdin=pipe, stdout=pipe, stderr=log)
        listening = asyncio.create_task(self._listen())
        try:
            yield self
        finally:
            await self.end(signal.SIGKILL)
            assert self.process.stdin
            self.process.stdin.close()
            await self.process.wait()
            await listening

    async def _listen(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            match json.loads(line):
                case {"pid": pid}:
                    self.pid = pid
                case {"ready": _}:
                    self.ready.set()
                case {"points": points}:
                    self.points = points
                case {"died": what}:
                    self.died.append(what)
                case {"over": status}:
                    self.status = status
                    self.over.set()
        self.over.set()

    async def start(self, told: dict[str, Any]) -> None:
        """Start a bot; return when it is ready or over."""
        assert self.process.stdin and self.over.is_set()
        self.ready.clear()
        self.over.clear()
        self.pid, self.status = 0, None
        self.process.stdin.write(json.dumps(told).encode() + b"\n")
        either = [asyncio.create_task(one.wait()) for one in (self.ready, self.over)]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        for one in either:
            one.cancel()
        if self.status not in (None, -signal.SIGKILL) or self.process.returncode is not None:
            raise RuntimeError(f"the bot ended by itself: {self.log.read_text(encoding='utf-8')[-3000:]}")

    async def end(self, how: signal.Signals) -> None:
        if not self.over.is_set() and self.pid:
            os.kill(self.pid, how)
            await self.over.wait()


# --- whoever drafts


class Drafter(ABC):
    """Somebody who drafts a skill, at the client of a platform.

    `alive` returns when the bot is ready, started again if need be; `dead` whether it is. Whatever the bot did not hear,
    since it was dead, the person does again; what it heard they wait for.
    """

    platform: str

    def __init__(self, store: Store, alive: Callable[[], Awaitable[None]], dead: Callable[[], bool]) -> None:
        self.store, self.alive, self.dead = store, alive, dead
        self.wrong: list[str] = []

    @abstractmethod
    async def does(self, step: Step) -> None:
        """Take one step of the session, and see that it is answered."""

    @abstractmethod
    async def settled(self, done: Any) -> bool:
        """Wait until an act is answered; False where the bot died before it heard of it."""

    @abstractmethod
    def waiting(self) -> list[str]:
        """What still says that an answer comes."""

    @abstractmethod
    def shown(self) -> dict[str, Counter[str]]:
        """What the bot has said and still stands there, as texts, by room."""

    async def act(self, do: Callable[[], Awaitable[Any]]) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await self.alive()
                done = await do()
                if await self.settled(done):
                    return done

    async def heard(self, event: str) -> Any:
        """How an event stands in the inbox; None where nobody heard of it."""
        return await self.store.memory.do("GET", f"bot:inbox:{self.platform}:{event}")

    async def quiet(self) -> bool:
        """Whether everything that was heard is decided and said."""
        on = self.platform
        return not await self.store.todo(on) and not await self.store.outboxes(on)  # in the order of their way

    async def until(self, true: Callable[[], object]) -> bool:
        """Give something a moment to come true, longer where the bot dies meanwhile."""
        left = asyncio.get_running_loop().time() + GRACE_S
        while not true():
            if self.dead():
                await self.alive()
                left = asyncio.get_running_loop().time() + GRACE_S
            if asyncio.get_running_loop().time() > left:
                return False
            await asyncio.sleep(0.005)
        return True

    async def ends(self) -> None:
        """Wait until the run is over, and everything said."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.store.watched(self.platform) or not await self.quiet():
                if self.dead():
                    await self.alive()
                await asyncio.sleep(0.01)
        if not await self.until(lambda: not self.waiting()):
            self.wrong += [f"still to wait for: {one}" for one in self.waiting()]


# --- sessions


@dataclass
class Outcome:
    """What a session leaves: the proposed files, the branches, what stands in which room; and what is wrong by itself."""

    files: list[tuple[str, bytes]]
    commits: list[str]
    shown: dict[str, dict[str, int]]
    wrong: list[str]
    points: int
    died: list[str]
    asked: int
    drops: int
    unsure: str = ""  # the room in which one text may be missing: where nobody can look whether it came

    def differs(self, whole: "Outcome") -> list[str]:
        found = [*self.wrong]
        if self.files != whole.files or self.commits != whole.commits:
            found.append(f"the files are others: {self.files} {self.commits}")
        for room, texts in whole.shown.items():
            found += [
                f"{room}: {n} instead of {texts.get(text, 0)}: {text!r}"
                for text, n in difference(self.shown[room], texts)
                if room != self.unsure or n != texts.get(text, 0) - 1
            ]
        return found


def difference(left: dict[str, int], right: dict[str, int]) -> Iterator[tuple[str, int]]:
    """The texts that are not there as often, and how often they are."""
    for text in [*left, *(one for one in right if one not in left)]:
        if left.get(text, 0) != right.get(text, 0):
            yield text, left.get(text, 0)


class Platform(Protocol):
    """A fake platform, as a lane needs it."""

    violations: list[str]
    requests: list[Any]


class Lane(ABC):
    """Sessions one after the other, each on an empty labbot and a new platform."""

    session: tuple[Step, ...]
    model_of: type[Model] = Model

    def __init__(self, base: Path, server: Server, bots: Bots, model: str) -> None:
        self.base, self.server, self.bots, self.model = base, server, bots, model
        self.numbers = count()
        demo.make(base / "taxonomy", HOME / "configs" / "demo")

    @asynccontextmanager
    async def begun(
        self, deaths: Iterable[int | str]
    ) -> AsyncIterator[tuple[AsyncExitStack, Store, dict[str, Any], Callable[[], Awaitable[None]]]]:
        """An empty labbot: its memory, what its processes are told, and what starts one if none is there.

        `deaths`: at which point each process dies, one after the other; 0 for at none, as the last.
        """
        folder = self.base / str(next(self.numbers))
        shutil.copytree(self.base / "taxonomy", folder / "taxonomy")
        memory = connect(self.server.url)
        await memory.do("FLUSHALL")
        lives = chain(deaths, repeat(0))
        self.bots.died = []
        told = {"data": str(folder), "cache": str(self.base / "cache"), "redis": self.server.url, "model": self.model}

        async def alive() -> None:
            while self.bots.over.is_set():
                await self.bots.start({**told, "die_at": next(lives)})

        async with AsyncExitStack() as stack:
            stack.push_async_callback(memory.close)
            yield stack, Store(memory), told, alive

    @abstractmethod
    async def play(self, deaths: Iterable[int | str] = (), **given: Any) -> Outcome:
        """One session."""

    async def played(self, drafter: Drafter, after: Callable[[int], Awaitable[None]] | None = None) -> None:
        """Have somebody take every step of the session; `after` each something may happen."""
        at = 0
        try:
            for at, step in enumerate(self.session):
                await drafter.does(step)
                if after:
                    await after(at)
            await drafter.ends()
        except (LookupError, TimeoutError, ValueError) as error:
            drafter.wrong.append(f"stuck at step {at}, {self.session[at]}: {error!r}")
        await self.bots.end(signal.SIGTERM)

    def outcome(self, folder: str, fake: Platform, drafter: Drafter, drops: int = 0) -> Outcome:
        from tests.conftest import git

        commits = git(Path(folder) / "taxonomy", "log", "--branches", "--format=%s").splitlines()
        shown = {room: dict(texts) for room, texts in drafter.shown().items()}
        wrong = [*drafter.wrong, *fake.violations]
        if self.bots.status not in (0, -signal.SIGKILL):  # it may still have died on its way out
            wrong.append(f"the bot ended with {self.bots.status}")
        proposed, points, died = files(Path(folder)), self.bots.points, self.bots.died
        return Outcome(proposed, commits, shown, wrong, points, died, len(fake.requests), drops)


def files(folder: Path) -> list[tuple[str, bytes]]:
    """What the runs of a labbot have proposed, by name."""
    found = [*folder.glob("runs/*/entry/qna.yaml"), *folder.glob("runs/*/entry/attribution.txt")]
    return sorted((path.name, path.read_bytes()) for path in found)


@asynccontextmanager
async def lane(base: Path, kind: type[Lane], module: str) -> AsyncIterator[Any]:
    """A lane with whatever its sessions need, its files in an empty folder; `module` is started for the bots."""
    server = Server(base / "redis")
    await asyncio.to_thread(server.up)
    try:
        async with kind.model_of() as model, Bots(base / "log", module).up() as bots:
            yield kind(base, server, bots, model.url)
    finally:
        await asyncio.to_thread(server.down)


# --- rounds


async def killed(made: Lane, every: int, first: int, last: int = 0, **given: Any) -> dict[str, Any]:
    """Rounds with one death each, at every point, or at every so many from the first on, to the last if there is one."""
    whole = await made.play(**given)
    found, rounds, at = whole.wrong, 1, first
    while not last or at <= last:
        left = await made.play([at], **given)
        rounds += 1
        found += [f"killed at {at}, {' and '.join(left.died)}: {one}" for one in left.differs(whole)]
        if not left.died and not left.wrong:  # it was over before its at-th point
            break
        at += every
    return {"rounds": rounds, "points": whole.points, "requests": whole.asked, "differences": found}


async def stormed(made: Lane, deaths: Iterable[int | str], **given: Any) -> dict[str, Any]:
    """One session in which process after process dies."""
    whole = await made.play(**given)
    left = await made.play(deaths, **given)
    found = [f"killed {left.died}: {one}" for one in left.differs(whole)]
    return {"rounds": 2, "points": whole.points, "deaths": len(left.died), "differences": whole.wrong + found}


def storm(seed: int) -> Iterator[int]:
    """At which points process after process dies, for good."""
    chance = random.Random(seed)
    return (chance.randint(LEAST, MOST) for _ in repeat(0))


def options(told: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=told.split("\n", maxsplit=1)[0])
    made.add_argument("--every", type=int, default=1, help="try every N-th point, or place of a fault, only")
    made.add_argument("--first", type=int, default=0, help="the point to begin with")
    made.add_argument("--last", type=int, default=0, help="the point to end with")
    made.add_argument("--storm", type=int, default=0, metavar="SEED", help="one session, killed again and again")
    made.add_argument("--worst", action="store_true", help="one session, killed where it is worst")
    made.add_argument("--bots", action="store_true", help=argparse.SUPPRESS)
    return made
