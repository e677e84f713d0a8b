"""Kill the bot at every write and every request of a drafting session in Discord, and compare what is left with an
undisturbed one; and let every request fail once, in each way, with the gateway breaking off between the acts.

    python -m tests.faults.discord [--every N [--first N] | --storm SEED | --worst | --faults]

The bot is a process of its own with the real discord.py, the fake Discord is here. A point is a write to Redis or a
request to Discord, before it and after it, when its answer came and the bot does not know yet. A round kills the bot at
its n-th point and starts it again; rounds go on until a session is over before its n-th point. `--storm` and `--worst`
kill it again and again in one session, `--faults` lets requests fail instead. Prints one JSON object: rounds, points,
and each difference found.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any

from bot.store import Store
from pipeline import demo
from pipeline.embedded import Server
from pipeline.memory import connect
from tests.fakes.discord.faults import Fault, Faults, Kind
from tests.fakes.discord.server import Discord
from tests.fakes.model import Model
from tests.faults.discord_person import SESSION, Alice, files, plain
from tests.faults.kill import HOME

KINDS: tuple[Kind, ...] = ("503", "reset", "lost", "429", "slow")
LEAST, MOST = 30, 110  # points of a life in a storm: enough to start and do something
WORST = (  # where it is hardest to know what was done, in the order in which a session comes there
    "before EVAL bot:inbox:discord:i",
    "before POST /channels/ID/threads",
    "after POST /channels/ID/threads",
    "after POST /channels/ID/messages",
    "before POST /interactions",
    "after POST /interactions",
    "before PATCH",
    "after PATCH",
    "after SET bot:ack",
    "after SET bot:ack",
    "before HSET bot:sent",
    "after POST /interactions",
    "before POST /channels/ID/messages/ID/threads",
    "before LREM",
)

# --- where it runs


def bots() -> int:
    """Start a bot for each line of standard input, one after the other: a fork, since importing it all takes a second."""
    from tests.faults import discord_bot

    settings = discord_bot.warm()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                asyncio.run(discord_bot.serve(settings, json.loads(line)))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        discord_bot.say(pid=child)
        discord_bot.say(over=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return 0


# --- where it is started from


class Bots:
    """The process that starts bots, and what it tells of the one that runs."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.pid = self.points = 0
        self.died: list[str] = []
        self.ready, self.over = asyncio.Event(), asyncio.Event()
        self.status: int | None = None
        self.over.set()

    @asynccontextmanager
    async def up(self) -> AsyncIterator["Bots"]:
        words = (sys.executable, "-m", "tests.faults.discord", "--bots")
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


class Failing(Faults):
    """Requests that fail by their number: of every `every` the one at `phase`, in the kinds' turn."""

    def __init__(self, kinds: tuple[Kind, ...], every: int, phase: int) -> None:
        super().__init__()
        self.kinds, self.every, self.phase, self.seen = kinds, every, phase, 0

    def take(self, method: str, path: str) -> Fault | None:
        self.seen += 1
        if self.seen % self.every != self.phase:
            return None
        kind = self.kinds[self.seen // self.every % len(self.kinds)]
        made = Fault(method, path, kind, 0, 0.02, 1)
        self.known.append(made)
        return made


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

    def differs(self, whole: "Outcome") -> list[str]:
        found = [*self.wrong]
        if self.files != whole.files or self.commits != whole.commits:
            found.append(f"the files are others: {self.files} {self.commits}")
        for room, texts in whole.shown.items():
            found += [
                f"{room}: {n} instead of {texts.get(text, 0)}: {text!r}" for text, n in difference(self.shown[room], texts)
            ]
        return found


def difference(left: dict[str, int], right: dict[str, int]) -> Iterator[tuple[str, int]]:
    """The texts that are not there as often, and how often they are."""
    for text in [*left, *(one for one in right if one not in left)]:
        if left.get(text, 0) != right.get(text, 0):
            yield text, left.get(text, 0)


class Lane:
    """Sessions one after the other, each on an empty labbot and a new Discord."""

    def __init__(self, base: Path, server: Server, bots: Bots, model: str) -> None:
        self.base, self.server, self.bots, self.model = base, server, bots, model
        self.numbers = count()
        demo.make(base / "taxonomy", HOME / "configs" / "demo")

    async def play(
        self, deaths: Iterable[int | str] = (), faults: Failing | None = None, drops: bool = False, defer_s: float = 0.7
    ) -> Outcome:
        """One session. `deaths`: at which point each process dies, one after the other; 0 for at none, as the last."""
        folder = self.base / str(next(self.numbers))
        shutil.copytree(self.base / "taxonomy", folder / "taxonomy")
        memory = connect(self.server.url)
        await memory.do("FLUSHALL")
        lives = chain(deaths, repeat(0))
        self.bots.died = []
        async with AsyncExitStack() as stack:
            stack.push_async_callback(memory.close)
            fake = await stack.enter_async_context(Discord())
            stack.push_async_callback(self.bots.end, signal.SIGKILL)
            fake.patience_s = 20.0
            fake.faults = faults or fake.faults
            told = {"data": str(folder), "cache": str(self.base / "cache"), "redis": self.server.url}
            told |= {"api": fake.api, "gateway": fake.gateway, "cdn": fake.cdn, "token": fake.token}
            told |= {"model": self.model, "defer_s": defer_s}

            async def alive() -> None:
                while self.bots.over.is_set():
                    await self.bots.start({**told, "die_at": next(lives)})

            alice = person(fake, Store(memory), alive, self.bots.over.is_set)
            at = dropped = 0
            try:
                for at, step in enumerate(SESSION):
                    await alice.does(step)
                    if drops:
                        await drop(fake, at)
                        dropped += 1
                await alice.ends()
            except (LookupError, TimeoutError, ValueError) as error:
                alice.wrong.append(f"stuck at step {at}, {SESSION[at]}: {error!r}")
            await self.bots.end(signal.SIGTERM)
            return self._outcome(folder, fake, alice, dropped)

    def _outcome(self, folder: Path, fake: Discord, alice: Alice, drops: int) -> Outcome:
        from tests.conftest import git

        commits = git(folder / "taxonomy", "log", "--branches", "--format=%s").splitlines()
        shown = {room: dict(texts) for room, texts in alice.shown().items()}
        wrong = [*alice.wrong, *fake.violations]
        if self.bots.status not in (0, -signal.SIGKILL):  # it may still have died on its way out
            wrong.append(f"the bot ended with {self.bots.status}")
        return Outcome(files(folder), commits, shown, wrong, self.bots.points, self.bots.died, len(fake.requests), drops)


def person(fake: Discord, store: Store, alive: Any, dead: Callable[[], bool]) -> Alice:
    guild = fake.guild("lab")
    channel, somebody = guild.channel("general"), fake.user("alice")
    guild.join(somebody)
    return Alice(fake, somebody, channel, store, alive, dead)


async def drop(fake: Discord, at: int) -> None:
    """The gateway breaks off, in one way after the other; what was told lately is told again. Then the bot hears again."""
    before = fake.identified + fake.resumed
    match at % 4:
        case 0:
            await fake.drop(replay=4)
        case 1:
            await fake.reconnect(replay=4)
        case 2:
            await fake.invalid(False)
        case 3:
            await fake.drop(resumable=False)
    await fake.until(lambda: fake.identified + fake.resumed > before and fake.up.is_set())


@asynccontextmanager
async def lane(base: Path) -> AsyncIterator[Lane]:
    """Whatever sessions need, with its files in an empty folder."""
    server = Server(base / "redis")
    await asyncio.to_thread(server.up)
    try:
        async with Model() as model, Bots(base / "log").up() as bots:
            yield Lane(base, server, bots, model.url)
    finally:
        await asyncio.to_thread(server.down)


async def killed(made: Lane, every: int, first: int, defer_s: float) -> dict[str, Any]:
    """Rounds with one death each, at every point, or at every so many from the first on."""
    whole = await made.play(defer_s=defer_s)
    found, rounds, at = whole.wrong, 1, first
    while True:
        left = await made.play([at], defer_s=defer_s)
        rounds += 1
        found += [f"killed at {at}, {' and '.join(left.died)}: {one}" for one in left.differs(whole)]
        if not left.died and not left.wrong:  # it was over before its at-th point
            return {"rounds": rounds, "points": whole.points, "requests": whole.asked, "differences": found}
        at += every


async def stormed(made: Lane, deaths: Iterable[int | str], defer_s: float) -> dict[str, Any]:
    """One session in which process after process dies."""
    whole = await made.play(defer_s=defer_s)
    left = await made.play(deaths, defer_s=defer_s)
    found = [f"killed {left.died}: {one}" for one in left.differs(whole)]
    return {"rounds": 2, "points": whole.points, "deaths": len(left.died), "differences": whole.wrong + found}


async def failing(made: Lane, every: int, kinds: tuple[Kind, ...], phases: Iterable[int]) -> dict[str, Any]:
    """Sessions in which of so many requests one fails, in the kinds' turn, and the gateway breaks off after each act."""
    whole = await made.play()
    found, rounds, met, drops = whole.wrong, 1, 0, 0
    for phase in phases:
        faults = Failing(kinds, every, phase)
        left = await made.play(faults=faults, drops=True)
        met, rounds, drops = met + len(faults.known), rounds + 1, drops + left.drops
        told = [plain(f"{one.kind} {one.method} {one.pattern}") for one in faults.known]
        found += [f"failing {phase} of {every}, {told}: {one}" for one in left.differs(whole)]
    return {"rounds": rounds, "requests": whole.asked, "failed": met, "drops": drops, "differences": found}


async def main(given: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="labbot-discord-") as folder:
        async with lane(Path(folder)) as made:
            found = await chosen_by(given, made)
    print(json.dumps(found, indent=1, ensure_ascii=False))
    return 1 if found["differences"] else 0


async def chosen_by(given: argparse.Namespace, made: Lane) -> dict[str, Any]:
    if given.storm:
        chance = random.Random(given.storm)
        return await stormed(made, (chance.randint(LEAST, MOST) for _ in repeat(0)), given.defer)
    if given.worst:
        return await stormed(made, WORST, given.defer)
    if not given.faults:
        return await killed(made, given.every, given.first or given.every, given.defer)
    rounds = [await failing(made, 8, (kind,), range(0, 8, given.every)) for kind in KINDS]
    return {name: sum((one[name] for one in rounds), type(rounds[0][name])()) for name in rounds[0]}


def arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--every", type=int, default=1, help="try every N-th point, or place of a fault, only")
    options.add_argument("--first", type=int, default=0, help="the point to begin with")
    options.add_argument("--storm", type=int, default=0, metavar="SEED", help="one session, killed again and again")
    options.add_argument("--worst", action="store_true", help="one session, killed where it is worst")
    options.add_argument("--faults", action="store_true", help="requests that fail, and a gateway that breaks off")
    options.add_argument("--defer", type=float, default=0.7, metavar="S", help="when the bot tells Discord to wait")
    options.add_argument("--bots", action="store_true", help=argparse.SUPPRESS)
    return options.parse_args()


if __name__ == "__main__":
    chosen = arguments()
    sys.exit(bots() if chosen.bots else asyncio.run(main(chosen)))
