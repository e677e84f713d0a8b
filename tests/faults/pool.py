"""Kill, stop, cut and restart a pool of workers while runs go through it, and look whether each came to its one right end.

    python -m tests.faults.pool [--rounds N] [--seed S] [--first N] [--runs N] [--within SECONDS]

A world is three workers and two front ends (`crew.py`) with a Redis that keeps what it acknowledged, each client on a wire
of its own (`proxy.py`). In a round, both front ends start runs of one or two short stages (25 in all; some fail, some ask
to be tried again, some are cancelled, one in some rounds plants a writer that outlives its attempt), and at moments of the
seed's choosing processes are killed, stopped for eight leases or told to end, Redis dies or is restarted, wires are cut,
silent or slow. When all is over it must be as if nothing had happened: `wrong` names what is not so.

A round's seed is the command's and the round's number: `--seed S --first N --rounds 1` plays round N again. Which moment
of a run a fault meets is still the machine's to say. Prints one JSON object; `noticed_s`, `back_s` and `front_back_s` are
the longest times from a worker's death to its run waiting again, and from Redis' return to the next sign of each process.
"""

import argparse
import asyncio
import json
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from pipeline.pool.ledger import ENDED, Step
from tests.faults.crew import LEASE_S, STAGES
from tests.faults.proxy import Proxy
from tests.faults.right import EXPIRES, GONE, KNOWN, Asked, wrong_files, wrong_steps
from tests.faults.world import FRONTS, WORKERS, World

RUNS = 25
WORLD_ROUNDS = 20  # that one world lives through
WITHIN_S = 2.0
ENDS_S = 40.0  # a run that has not ended by then never will
SETTLES_S = 15.0  # the same of cards and processes
MOST_WRONG = 40

HOWS = ("", "again", "fail", "die", "more")
SHARES = (78, 8, 5, 3, 6)


@dataclass(frozen=True, slots=True)
class Fault:
    at: float
    kind: str
    whom: str = ""
    seconds: float = 0.0
    lost: bool = False


@dataclass(slots=True)
class Round:
    number: int
    asked: list[Asked]
    faults: list[Fault]
    killed: dict[str, float] = field(default_factory=dict)  # by the name that a worker bore: when


def planned(seed: int, number: int, runs: int, within_s: float) -> Round:
    """What happens in a round, by its seed; its faults begin within so many seconds."""
    dice = random.Random(f"{seed}:{number}")
    asked = []
    for index in range(runs):
        how = dice.choices(HOWS, SHARES)[0]
        cancel_at = dice.uniform(0.1, within_s + 0.5) if dice.random() < 0.12 else None
        pause_s = dice.choice((0.0, 0.0, 0.001, 0.002, 0.005))
        asked.append(
            Asked(
                f"r{number}-{index}",
                FRONTS[index % 2],
                dice.uniform(0, within_s / 2),
                how,
                dice.choice((*STAGES[:1], *STAGES)),
                pause_s,
                cancel_at,
            )
        )
    if number % 5 == 3:
        asked[0] = Asked(f"r{number}-0", FRONTS[0], 0.0, "late", "second", 0.0, None)
    faults = [fault(dice, within_s) for _ in range(dice.choice((1, 2, 2, 3, 3, 4)))]
    if number % 4:  # such rounds take eight leases at least
        faults = [one for one in faults if one.kind != "stop"] or [
            Fault(dice.uniform(0.2, within_s), "kill", dice.choice(WORKERS))
        ]
    return Round(number, sorted(asked, key=lambda one: one.at), sorted(faults, key=lambda one: one.at))


def fault(dice: random.Random, within_s: float) -> Fault:
    at, whom = dice.uniform(0.1, within_s), dice.choice((*WORKERS, *WORKERS, *FRONTS))
    kind = dice.choice(("kill", "kill", "stop", "stop", "term", "redis", "redis", "cut", "cut all", "away", "away all", "slow"))
    seconds = {"stop": 8 * LEASE_S, "redis": dice.uniform(0, 1.2), "slow": 1.0}.get(kind, dice.uniform(0.1, 2.5))
    return Fault(at, kind, "" if kind == "redis" else whom, seconds, dice.random() < 0.5)


class Play:
    """A round in a world."""

    def __init__(self, world: World, plan: Round) -> None:
        self.world, self.plan = world, plan
        self.wrong: list[str] = []
        self.figures: dict[str, float] = {}
        self.refused = 0  # writes in the name of attempts that were over
        self._began = 0.0
        self._restarting = False  # Redis, by one of the faults

    async def play(self) -> None:
        self._began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._ask())
            for one in self.plan.faults:
                tasks.create_task(self._fault(one))
            if self.plan.number % 2:
                tasks.create_task(self._write_late())
        await self._over()
        await self._look()

    async def _until(self, at: float) -> None:
        await asyncio.sleep(max(self._began + at - time.monotonic(), 0))

    async def _ask(self) -> None:
        lines = [(one.at, one.front, f"go {one.run} {one.how or 'well'} {one.until} {one.pause_s}") for one in self.plan.asked]
        cancels = [one for one in self.plan.asked if one.cancel_at is not None]
        for at, front, line in sorted(lines + [(one.cancel_at or 0.0, one.front, f"stop {one.run}") for one in cancels]):
            await self._until(at)
            self.world.say(front, line)

    # --- what goes wrong

    async def _fault(self, one: Fault) -> None:
        await self._until(one.at)
        acts: dict[str, Callable[[Fault], Awaitable[None]]] = {
            "kill": self._kill,
            "stop": self._stop,
            "term": self._term,
            "redis": self._redis,
            "cut": self._cut,
            "away": self._away,
            "slow": self._slow,
        }
        await acts[one.kind.partition(" ")[0]](one)

    async def _kill(self, one: Fault) -> None:
        process = self.world.processes[one.whom]
        if one.whom in WORKERS:
            self.plan.killed[self.world.names[one.whom]] = time.time()
        process.kill()
        await asyncio.sleep(one.seconds / 2)
        await self._again(one.whom, process)

    async def _stop(self, one: Fault) -> None:
        process = self.world.processes[one.whom]
        process.send_signal(signal.SIGSTOP)
        if one.whom in WORKERS:
            self.plan.killed[self.world.names[one.whom]] = time.time()
        await asyncio.sleep(one.seconds)
        process.send_signal(signal.SIGCONT)

    async def _term(self, one: Fault) -> None:
        process = self.world.processes[one.whom]
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, 20)
        if process.poll() is None:
            self.wrong.append(f"{one.whom} did not end when told to")
            process.kill()
        await self._again(one.whom, process)

    async def _again(self, who: str, process: "subprocess.Popen[bytes]") -> None:
        """Begin a process anew, unless another fault has done so."""
        await asyncio.to_thread(process.wait)
        if self.world.processes[who] is process:
            self.world.begin(who)

    async def _redis(self, one: Fault) -> None:
        server = self.world.server
        if self._restarting or server.process is None:  # another fault has it, or it is just coming back from one
            return
        self._restarting = True
        process, server.process = server.process, None
        process.send_signal(signal.SIGKILL if one.lost else signal.SIGTERM)
        await asyncio.to_thread(process.wait)
        await asyncio.sleep(one.seconds)
        await asyncio.to_thread(server.up)
        self._restarting = False
        await self._signs((*WORKERS, *FRONTS))

    async def _cut(self, one: Fault) -> None:
        for proxy in self._wires(one):
            proxy.cut()

    async def _away(self, one: Fault) -> None:
        await asyncio.gather(*(proxy.away(one.seconds, lost=one.lost) for proxy in self._wires(one)))
        await self._signs((*WORKERS, *FRONTS) if one.kind.endswith("all") else (one.whom,))

    async def _slow(self, one: Fault) -> None:
        await asyncio.gather(*(proxy.slow(one.seconds, 0.02) for proxy in self._wires(one)))

    def _wires(self, one: Fault) -> list[Proxy]:
        return list(self.world.proxies.values()) if one.kind.endswith("all") else [self.world.proxies[one.whom]]

    async def _signs(self, whose: tuple[str, ...]) -> None:
        """Measure how long it takes until each process is heard of again. One that another fault has hit does not count."""
        if len(self.plan.faults) > 1:
            return
        workers = [self._sign_of_worker(who) for who in whose if who in WORKERS]
        fronts = [self._sign_of_front(who) for who in whose if who in FRONTS]
        await asyncio.gather(*workers, *fronts)

    async def _sign_of_worker(self, who: str) -> None:
        began, key = time.monotonic(), f"worker:{self.world.names[who]}"
        before = await self.world.memory.do("PTTL", key)
        while (now := await self.world.memory.do("PTTL", key)) <= before and time.monotonic() < began + SETTLES_S:
            before = now
            await asyncio.sleep(0.01)
        self._longest("back_s", time.monotonic() - began)

    async def _sign_of_front(self, who: str) -> None:
        began, word = time.monotonic(), secrets.token_hex(4)
        self.world.say(who, f"ping {word}")
        while not any(shown["title"] == f"pong {word}" for shown in self.world.shown(who)):
            if time.monotonic() > began + SETTLES_S:
                break
            await asyncio.sleep(0.02)
        self._longest("front_back_s", time.monotonic() - began)

    def _longest(self, name: str, seconds: float) -> None:
        self.figures[name] = max(self.figures.get(name, 0.0), seconds)

    async def _write_late(self) -> None:
        """Write about runs in the name of attempts that are over."""
        for _ in range(8):
            await asyncio.sleep(0.25)
            for one in self.plan.asked:
                with suppress(Exception):  # Redis may be away just now
                    record = await self.world.ledger.record(one.run)
                    if record and record.fence > 1:
                        await self._lost(one.run, record.fence - 1)

    async def _lost(self, run: str, fence: int) -> None:
        ledger = self.world.ledger
        said = [
            await ledger.tell(run, fence, "first", 0.5, {"fence": "0", "late": "yes"}),
            await ledger.did(run, fence, "second", 0.1, {"second.json": "none"}),
            await ledger.finish(run, fence, "failed", {"cause": "a late writer"}),
            await ledger.back(run, fence, {"late": "yes"}, lane="cpu"),
            (await ledger.renew("late", LEASE_S, {run: fence}))[run].state,
        ]
        self.refused += len(said)
        if set(said) != {"lost"}:
            self.wrong.append(f"{run}: a writer of attempt {fence} was told {said}")

    # --- what it comes to

    async def _over(self) -> None:
        """Return when every run has ended, every card says so, and every process that was for a run is gone."""
        left = {one.run for one in self.plan.asked}
        await self._wait(ENDS_S, lambda: self._going(left), "not ended")
        await self._wait(SETTLES_S, self._untold, "cards left behind")
        if any(one.how == "late" for one in self.plan.asked):
            await self._wait(SETTLES_S, self._late, "a late writer that did not write")
        await self._wait(SETTLES_S, self._orphans, "orphans")
        await self._wait(SETTLES_S, self._keys, "keys")

    async def _wait(self, seconds: float, left: Callable[[], Awaitable[list[str]]], what: str) -> None:
        until = time.monotonic() + seconds
        while (found := await left()) and time.monotonic() < until:
            await asyncio.sleep(0.05)
        if found:
            self.wrong.append(f"{what}: {', '.join(found[:8])}")

    async def _going(self, left: set[str]) -> list[str]:
        runs = sorted(left)
        rows = await self.world.memory.all(("HMGET", f"run:{run}", "state", "fence", "worker") for run in runs)
        left.difference_update(run for run, (state, *_) in zip(runs, rows, strict=True) if state and state.decode() in ENDED)
        return [f"{run} {row}" for run, row in zip(runs, rows, strict=True) if run in left]

    async def _untold(self) -> list[str]:
        ended = Counter(self._ends())
        return [one.run for one in self.plan.asked if not ended[one.run]]

    def _ends(self) -> Iterator[str]:
        for front in FRONTS:
            for shown in self.world.shown(front):
                if " ended " in shown["title"] and shown["what"] == "post":
                    yield shown["title"].partition(" ")[0]

    async def _late(self) -> list[str]:
        folders = [self.world.base / "runs" / one.run for one in self.plan.asked if one.how == "late"]
        planted = [path for path in folders if len(list(path.glob("began-first-*"))) > 1]
        return [path.name for path in planted if not (path / "late.txt").exists()]

    async def _orphans(self) -> list[str]:
        """Processes that work in this world, other than those that make it."""
        server = self.world.server.process
        ours = {process.pid for process in (*self.world.processes.values(), *([server] if server else []))}
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = " ".join(process.info["cmdline"] or ())
            if str(self.world.base) in words and process.pid not in ours:
                found.append(f"{process.pid} {words[-60:]}")
        return found

    async def _keys(self) -> list[str]:
        """Keys that no table names, that should be gone, or that stay although their table says when they go."""
        names = sorted({name async for name in self.world.memory.keys("*")})
        wrong = [name for name in names if not KNOWN.fullmatch(name)]
        wrong += [name for name in names if GONE.fullmatch(name)]
        ours = [name for name in names if EXPIRES.fullmatch(name)]
        lives = await self.world.memory.all(("TTL", name) for name in ours)
        return wrong + [f"{name} has no end" for name, life in zip(ours, lives, strict=True) if life == -1]

    async def _look(self) -> None:
        """What is wrong with what the round left."""
        ends, cards, folder = Counter(self._ends()), self._cards(), self.world.base / "runs"
        for one in self.plan.asked:
            steps = [step for _, step in await self.world.ledger.steps(one.run, "0")]
            if not steps:
                self.wrong.append(f"{one.run} was never begun")
                continue
            self.wrong += [
                f"{one.run}: {what}" for what in (*wrong_steps(one, steps), *wrong_files(folder / one.run, one, steps[-1]))
            ]
            if ends[one.run] != 1:
                self.wrong.append(f"{one.run}: its end was told {ends[one.run]} times")
            if cards.get(one.run) != f"{steps[-1].state} {steps[-1].number}":
                self.wrong.append(f"{one.run}: its card says {cards.get(one.run)!r}, and it is {steps[-1].state}")
            if (record := await self.world.ledger.record(one.run)) and record.fence > 1:
                await self._lost(one.run, record.fence - 1)
            self._measure(steps)

    def _cards(self) -> dict[str, str]:
        rows = [row for front in FRONTS for row in self.world.shown(front) if row["slot"]]
        return {row["slot"].removeprefix("card-"): row["title"].partition(" ")[2] for row in rows}

    def _measure(self, steps: list[Step]) -> None:
        """How long after its worker's death a run waited again, in rounds with nothing else that goes wrong."""
        if {one.kind for one in self.plan.faults} <= {"kill", "stop"}:
            for step in steps:
                if at := self.plan.killed.get(step.facts.get("lost", "")):
                    self._longest("noticed_s", step.at - at)


class Found:
    """What the rounds came to."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.longest: dict[str, float] = {}
        self.faults: Counter[str] = Counter()
        self.done = self.refused = 0

    def add(self, play: Play, words: str) -> None:
        self.done += 1
        self.refused += play.refused
        self.faults.update(one.kind for one in play.plan.faults)
        self.wrong += [f"{words}: {one}" for one in play.wrong]
        for name, seconds in play.figures.items():
            self.longest[name] = max(self.longest.get(name, 0.0), round(seconds, 3))


async def rounds(given: argparse.Namespace) -> dict[str, Any]:
    """Play the rounds, so many in a world; one in which something went wrong is left, and its folder stays."""
    found, left, began = Found(), list(range(given.first, given.first + given.rounds)), time.monotonic()
    while left and len(found.wrong) < MOST_WRONG:
        base = Path(tempfile.mkdtemp(prefix="labbot-pool-"))
        before = len(found.wrong)
        async with World(base) as world:
            for number in left[:WORLD_ROUNDS]:
                left.remove(number)
                play = Play(world, planned(given.seed, number, given.runs, given.within))
                await play.play()
                found.add(play, f"--seed {given.seed} --first {number} --rounds 1 --runs {given.runs} --within {given.within}")
                tell(play, base)
                if play.wrong:
                    break
        if len(found.wrong) == before:
            shutil.rmtree(base)
    spent = {"seconds": round(time.monotonic() - began), "faults": dict(sorted(found.faults.items())), "refused": found.refused}
    return {
        "rounds": found.done,
        "runs": found.done * given.runs,
        "seed": given.seed,
        **spent,
        **found.longest,
        "wrong": found.wrong,
    }


def tell(play: Play, base: Path) -> None:
    """A line a round, for whoever watches."""
    faults = (f"{one.kind} {one.whom} at {one.at:.1f} for {one.seconds:.1f} s" for one in play.plan.faults)
    print(f"round {play.plan.number}: {', '.join(faults)}", file=sys.stderr)
    if play.wrong:
        print(*play.wrong, f"left in {base}", sep="\n", file=sys.stderr)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--rounds", type=int, default=200)
    options.add_argument("--first", type=int, default=0, help="the number of the first round")
    options.add_argument("--runs", type=int, default=RUNS, help="in a round")
    options.add_argument(
        "--within", type=float, default=WITHIN_S, metavar="SECONDS", help="in which faults begin (%(default)s)"
    )
    options.add_argument("--seed", type=int, default=secrets.randbits(31))
    found = asyncio.run(rounds(options.parse_args()))
    print(json.dumps(found))
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
