"""Kill -9 at every write and every request of a set's making, and compare its files with those of an undisturbed run.

    python -m tests.faults.generating [--every N] [--kinds freeform,grounded,knowledge]

A teacher and judge by script answers in a process of its own. An attempt, in a fork, generates, judges and mixes; it counts
points: before each write of a log, in the middle of its bytes, between it and its fsync and after that; before each file
takes its place and after; before each request, with the first piece of its answer, and at its end. A round kills an attempt
at its n-th point, every third one a second attempt at another; the next attempt ends it. Rounds go on until an attempt is
over before its n-th point. Then the files are to be byte for byte those of an attempt that nobody killed, and no request may
have been made again but those that were on their way. Where samples that repeat others were dropped is only told after all
of them are there, so `samples/generated.jsonl` is left out.

Prints one JSON object: rounds, points by kind of sample, and each difference found.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, get_args
from urllib.request import urlopen

import openai  # noqa: F401  # what takes its time is imported before the forks

from pipeline import files, journal, recipe
from pipeline.generating import rows
from pipeline.generating.flow import Flow
from pipeline.generating.rows import Kind
from pipeline.judging import reference
from pipeline.models.client import Client, Piece
from pipeline.stage import perform
from pipeline.stages import generate, judge, mix
from tests.fakes.openai_server import Asked, Step, answer
from tests.fakes.teacher import Teacher
from tests.faults.journal import Points as Writes
from tests.faults.journal import die, ended, forked
from tests.pipeline.generating import generating_folder as made

STAGES = (recipe.GENERATE, recipe.JUDGE, recipe.MIX)
FATES = {
    "off": 0.1,
    "unfaithful": 0.1,
    "same": 0.08,
    "near": 0.08,
    "seed": 0.05,
    "malformed": 0.05,
    "malformed1": 0.05,
    "500": 0.05,
}
LISTS = {"reset": 0.2, "malformed1": 0.1, "cut": 0.1}
SMALL = {"samples": 3, "unseen": 6, "reworded": 1}  # settings of the recipe: 12 to 24 samples that train
FLIGHT = 8  # requests at once
AGAIN = 2 * FLIGHT  # requests that a kill may cost: an answer that does not fit takes two


class Points(Writes):
    """Counts writes and requests, of several threads."""

    def __init__(self, at: int) -> None:
        super().__init__(at, die)
        self.lock = Lock()

    def point(self) -> None:
        with self.lock:
            super().point()

    def replace(self, source: Any, target: Any) -> None:
        self.point()
        os.replace(source, target)
        self.point()

    def watch(self) -> None:
        """Stand in for what writes, and around what asks."""
        journal.os = files.os = mix.os = self  # type: ignore[assignment]  # it stands in for the module
        real = Client.stream

        async def stream(client: Client, *given: Any, **named: Any) -> AsyncIterator[Piece]:
            self.point()
            first = True
            async with aclosing(real(client, *given, **named)) as pieces:
                async for piece in pieces:
                    if first:
                        self.point()
                    first = False
                    yield piece
            self.point()

        Client.stream = stream  # type: ignore[method-assign, assignment]


class Counted(Teacher):
    """Tells at /counts how many requests it was sent since /anew, when it forgets what it was asked."""

    def answer(self, asked: Asked) -> tuple[Step, ...]:
        if asked.path == "/anew":
            self.asked.clear()
            self.steps.clear()
            self._tries.clear()
        if asked.path in ("/anew", "/counts"):
            return (answer(200, sum(self.steps.values())),)
        return super().answer(asked)


class Play:
    """Rounds with samples of one kind. `base`: a folder of its own."""

    def __init__(self, kind: Kind, base: Path, port: int) -> None:
        self.kind, self.base, self.port = kind, base, port
        self.home = made.home(base, FLIGHT)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def asked(self, path: str = "/counts") -> int:
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as found:
            return int(found.read())

    def attempt(self, folder: Path, fence: int, at: int) -> int:
        """Perform the stages; how many points that were."""
        points = Points(at)
        points.watch()
        for stage in STAGES:
            perform(stage, made.job(folder, self.kind, self.url, home=self.home, fence=fence, **SMALL))
        return points.count

    def tried(self, folder: Path, fence: int, at: int = 0) -> int:
        """An attempt in a fork: its points, or -1 if it was killed."""
        count = folder / "count"
        done = ended(forked(lambda: count.write_text(str(self.attempt(folder, fence, at)), encoding="utf-8") and None))
        return int(count.read_text(encoding="utf-8")) if done else -1

    def round(self, name: str, *at: int) -> tuple[dict[str, bytes], int, int]:
        """Attempts that die at these points, and one that ends: the files, the first one's points, and requests of all."""
        folder = self.base / name
        folder.mkdir()
        self.asked("/anew")
        first = -1
        for fence, point in enumerate((*at, 0), 1):
            points = self.tried(folder, fence, point)
            first = points if fence == 1 else first
            if points >= 0:
                break
        found = made.files(folder / "run")
        found.pop(rows.GENERATED, None)
        shutil.rmtree(folder)
        return found, first, self.asked()


def rounds(play: Play, every: int) -> tuple[int, int, list[str]]:
    """Rounds, points, and what is wrong."""
    whole, points, asked = play.round("whole")
    wrong = list[str]() if any("mix/" in path for path in whole) else ["nothing was mixed"]
    done, at, first = 0, 1, -1
    while first < 0:
        again = [at * 7919 % points + 1] if done % 3 == 2 else []
        found, first, more = play.round(str(at), at, *again)
        name = f"{play.kind}, killed at {' and '.join(map(str, (at, *again)))}"
        wrong += [f"{name}: {path} differs" for path in whole.keys() | found.keys() if whole.get(path) != found.get(path)]
        if more - asked > AGAIN * (1 + len(again)):
            wrong.append(f"{name}: {more} requests, and {asked} without a kill")
        done, at = done + 1, at + every
    return done, points, wrong


@contextmanager
def teaching(kind: Kind) -> Iterator[int]:
    """The port of a teacher in a fork of this process."""
    there, tell = os.pipe()
    child = forked(lambda: asyncio.run(_teach(kind, tell)))
    os.close(tell)
    try:
        yield int(os.read(there, 10))
    finally:
        os.close(there)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


async def _teach(kind: Kind, tell: int) -> None:
    async with Counted(FATES, lists=LISTS, held=made.held(kind)) as teacher:
        os.write(tell, str(teacher.port).encode())
        await asyncio.Event().wait()


def played(kinds: Sequence[Kind], every: int) -> dict[str, Any]:
    Flow.__init__.__kwdefaults__["pause_s"] = 0.01
    generate.ROUNDS = 2
    reference.load = cache(reference.load)
    reference.load(made.HOME)
    assert judge  # it is there before the forks, as the others are
    found: dict[str, Any] = {"rounds": 0, "points": {}, "differences": []}
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="labbot-generating-") as base, teaching(kind) as port:
            done, points, wrong = rounds(Play(kind, Path(base), port), every)
        found["rounds"] += done
        found["points"][kind] = points
        found["differences"] += wrong
    return found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--every", type=int, default=1, help="try every N-th point only")
    options.add_argument("--kinds", default=",".join(get_args(Kind)), help="of samples (%(default)s)")
    given = options.parse_args()
    found = played(given.kinds.split(","), given.every)
    print(json.dumps(found, indent=1))
    return 1 if found["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
