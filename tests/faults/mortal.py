"""A bot that ends itself at a point, as the lanes of platforms have it: what is the same wherever it speaks."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from bot import house as house_module
from bot import settings as settings_module
from bot.house import House, built
from bot.settings import Settings
from pipeline import screen
from pipeline.memory import Memory, connect
from pipeline.pool.terms import Terms
from tests.faults.kill import HOME, WRITES


class Served(Protocol):
    """A front end: `ready` is set when it hears."""

    ready: asyncio.Event

    async def serve(self) -> None: ...


def warm() -> Settings:
    """What a process reads when it starts, read once for all that are forked from this one."""
    screen.read = cache(screen.read)
    return settings_module.load({"LABBOT_HOME": str(HOME)})


def say(**what: object) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


class Points:
    """Counts writes and requests, and ends the process at the one it was told: by its number, or a pattern of its name.

    `plain` takes the ids out of a name.
    """

    def __init__(self, at: int | str, plain: Callable[[str], str]) -> None:
        self.at, self.plain, self.count = at, plain, 0

    def __call__(self, what: str) -> None:
        what = self.plain(what)
        self.count += 1
        if re.match(self.at, what) if isinstance(self.at, str) else self.count == self.at:
            say(died=what)
            os.kill(os.getpid(), signal.SIGKILL)

    async def around(self, what: str, work: Awaitable[Any]) -> Any:
        """Do something, with a point before and after it."""
        self(f"before {what}")
        answer = await work
        self(f"after {what}")
        return answer


class Mortal(Memory):
    """Redis, with a point before and after every write."""

    points: Points

    async def do(self, *words: Any) -> Any:
        if words[0] not in WRITES:
            return await super().do(*words)
        return await self.points.around(named(words), super().do(*words))

    async def all(self, commands: Iterable[tuple[Any, ...]], *, atomic: bool = False) -> list[Any]:
        commands = list(commands)
        what = next((named(words) for words in commands if words[0] in WRITES), "")
        if not what:
            return await super().all(commands, atomic=atomic)
        answers: list[Any] = await self.points.around(what, super().all(commands, atomic=atomic))
        return answers


def named(words: tuple[Any, ...]) -> str:
    return f"EVAL {next(iter(words[3:]), '')}" if words[0] == "EVAL" else f"{words[0]} {words[1]}"


async def serve(
    loaded: Settings, told: dict[str, Any], points: Points, front: Callable[[House], Served], values: dict[str, str]
) -> None:
    """Serve until SIGTERM, or the point at which it dies. `values` are of bot.yaml."""
    data = Path(told["data"])
    Mortal.points = points

    def mortal(url: str, timeout_s: float | None = None) -> Memory:
        return Mortal(connect(url, timeout_s).redis)

    house_module.connect = mortal
    environment = {"LABBOT_HOME": str(HOME), "LABBOT_DATA": str(data), "LABBOT_CHAT_URL": told["model"]}
    values = {"taxonomy.path": str(data / "taxonomy"), "faq.paths": "[]", **values}
    here = replace(loaded, data=data, cache=Path(told["cache"]), environment=environment)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with built(settings_module.reloaded(here, values), told["redis"], time.time, lease_s=0.1) as house:
        await _served(house, front(house), stop)
    say(points=points.count)


async def _served(house: House, front: Served, stop: asyncio.Event) -> None:
    works: list[Coroutine[Any, Any, Any]] = [front.serve(), house.work(Terms(lease_s=0.5)), house.keep(), stop.wait()]
    tasks = [asyncio.create_task(work) for work in works]
    ready = asyncio.create_task(front.ready.wait())
    await asyncio.wait([ready, *tasks], return_when=asyncio.FIRST_COMPLETED)
    if front.ready.is_set():
        say(ready=True)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in (ready, *tasks):
        task.cancel()
    for error in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(error, Exception):
            raise error
