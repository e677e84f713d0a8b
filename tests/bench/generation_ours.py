"""The stage `generate` in a process of its own, as a worker's child has it: {"folder", "home", "data", "urls"} in, figures out.

It begins at a line after it said "ready". `ready` in its figures: by the second (of the clock), how many requests were on
their way or could have been made, those that begin samples too.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import openai  # noqa: F401  # 0.5 s, which no side's figures have

from pipeline.generating.flow import Flow
from pipeline.generating.plan import Start
from pipeline.models import client, schemas  # noqa: F401  # the same
from pipeline.stage import Job
from pipeline.stages import generate as stage

LOOK_S = 0.05


class Watched(Flow):
    """A flow that notes how much there is to do."""

    seen: list[tuple[float, int]] = []  # noqa: RUF012, a process has one flow at a time

    async def run(self, starts: Iterable[Start]) -> None:
        found = list(starts)
        self.rest = len(found)
        looking = asyncio.create_task(self._look())
        try:
            await super().run(self._taken(found))
        finally:
            looking.cancel()

    def _taken(self, found: list[Start]) -> Iterator[Start]:
        for start in found:
            self.rest -= 1
            yield start

    async def _look(self) -> None:
        while True:
            self.seen.append((time.time(), self.flight + self.waiting + self.rest))
            await asyncio.sleep(LOOK_S)


def main() -> None:
    given: dict[str, Any] = json.loads(sys.stdin.readline())
    stage.Flow = Watched  # type: ignore[misc]
    settings = {"home": given["home"], "folder": given["data"], "urls": given["urls"]}
    job = Job(Path(given["folder"]), {"leaf": given["leaf"], "root": ""}, settings, lambda fraction, facts: None, 1)
    print("ready", flush=True)
    sys.stdin.readline()
    facts = stage.generate(job)
    kept = int(facts["kept"]) + int(facts["held"])
    print(json.dumps({"kept": kept, "facts": dict(facts), "ready": Watched.seen}), flush=True)


if __name__ == "__main__":
    main()
