"""A labbot at the fake of a platform with channels of its own, for tests: in their own process, or in another."""

import asyncio
import gc
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import redis

from bot import settings as settings_module
from bot.app import App
from bot.house import House, built
from bot.settings import Settings
from pipeline.embedded import Server
from pipeline.pool.terms import Terms
from tests.bot.holding import holding
from tests.fakes.model import Model

HOME = Path(__file__).resolve().parents[2]
STORY, ANOTHER = "Once upon a time", "A story, from its beginning."  # what the model begins with, and a whole one

Json = dict[str, Any]
T = TypeVar("T")


class ApartLabbot(ABC):
    """Started, told to leave, crashed, and started again on the same Redis: one process after another.

    Their time is the fake's: real time, and `fake.clock` that tests move on. `works`: runs are carried too; `times`: how
    many times as fast as the platform allows it things are sent; `stands`: what is there of a story for sure once a first
    piece of it is.
    """

    house: House
    front: Any
    fake: Any
    stands = STORY

    def __init__(self, settings: Settings, server: Server, model: Model | None) -> None:
        url = {"LABBOT_CHAT_URL": model.url} if model else {}
        self.settings = replace(settings, environment={**settings.environment, **url})
        self.server, self.model = server, model
        self.works, self.times, self.pace_s = False, 1000.0, 0.0
        self.set = {"taxonomy.path": settings.bot.taxonomy.path or '""'}
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[Any]] = []

    # --- what a platform has of its own

    @abstractmethod
    def fronted(self) -> Any:
        """The front end on the house as it is now."""

    @abstractmethod
    async def comes(self, channel: Any, part: str) -> Json:
        """The newest message of the bot's in a channel that says this, as soon as there is one."""

    # --- its life

    @property
    def app(self) -> App:
        return self.front.app

    def now(self) -> float:
        return time.time() + self.fake.clock

    async def start(self, **values: str) -> None:
        """Begin a process; `values` are of bot.yaml, with __ for the dots."""
        self.set |= {name.replace("__", "."): value for name, value in values.items()}
        await self.begin()
        waiting = asyncio.create_task(self.front.ready.wait())
        await asyncio.wait([waiting, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            await self.crash()
            raise AssertionError("it ended before it was ready")

    async def begin(self) -> None:
        """The same without waiting for it."""
        own = {"taxonomy.path": '""'} if self.works else {}  # a taxonomy that nobody else writes into
        loaded = settings_module.reloaded(self.settings, self.set | own)
        self.house = await self._stack.enter_async_context(built(loaded, self.server.url, self.now, lease_s=0.2))
        self.front = self.fronted()
        works = [self.front.serve(), self.house.keep(), *([self.house.work(Terms(lease_s=2.0))] if self.works else [])]
        self._tasks = [asyncio.create_task(work) for work in works]

    async def crash(self) -> None:
        """End the process at once, whatever it was doing. Raises what it has failed with."""
        if "front" in self.__dict__ and hasattr(self.front, "app"):
            self.front.app._leaving = True  # nothing that comes from now on is begun here
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._stack.aclose()
        for name in ("house", "front"):
            self.__dict__.pop(name, None)  # pytest holds on to this, and it to files
        gc.collect()  # whatever a process has open is closed when it dies: files, and the lock on what was heard
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def ended(self) -> None:
        """Wait until something of the process ends by itself. Raises what it has failed with."""
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        await self.crash()

    async def again(self, **values: str) -> None:
        """Crash, and begin anew."""
        await self.crash()
        await self.start(**values)

    # --- people act

    @property
    def heard(self) -> int:
        return self.front.counts.heard + self.front.counts.duplicates + self.front.ear.waiting

    async def after(self, act: Awaitable[T], *, times: int = 1) -> T:
        """Let somebody act; return when it was heard so often, decided and said. Answers may still be written then."""
        before = self.heard
        found = await act
        await self.fake.until(lambda: self.heard >= before + times)
        await self.front.ear.idle()
        return found

    async def acked(self, act: Awaitable[T]) -> T:
        """Let somebody act, and return when the platform has its first answer."""
        heard: Any = await act
        async with asyncio.timeout(10):
            await heard.acked.wait()
        return heard

    async def quiet(self) -> None:
        """Return when nothing is decided, said or written any more."""
        await self.fake.until(lambda: not self.app.busy)

    async def story(self, channel: Any, ask: Awaitable[object], rest: str = "there was a dog.") -> Json:
        """Let somebody ask the model, which begins a story and waits before the `rest`; return the message when it stands."""
        assert self.model is not None
        self.model.tell(f"says {STORY} || {rest}")
        await ask
        return await self.comes(channel, self.stands)

    async def told_anew(self, channel: Any) -> None:
        """Crash and begin anew, with a model that tells another story; return when that stands in the channel, whole."""
        assert self.model is not None
        await self.crash()
        self.model.tell(f"says {ANOTHER}")
        await self.start()
        await self.comes(channel, ANOTHER)
        await self.quiet()

    def alone(self) -> None:
        """From the next start on there is no model."""
        self.settings = replace(self.settings, environment={**self.settings.environment, "LABBOT_CHAT_URL": ""})

    # --- what there is

    def plain(self) -> redis.Redis:
        """Redis as it is, whichever process is there."""
        return redis.Redis.from_url(self.server.url)

    def holding(self, *parts: str) -> list[str]:
        """The keys of Redis that hold any of these, in their names or in what they hold."""
        with self.plain() as plain:
            return holding(plain, *parts)


@asynccontextmanager
async def process(module: str, *words: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A module with a command line as a process of its own, which has no settings of labbot but these; killed at the end."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("LABBOT_")}
    made = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *words),
        cwd=HOME,
        env=kept | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield made
    finally:
        if made.returncode is None:
            made.kill()
        await made.communicate()


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    """Wait until a process ends by itself: its status, and all that it has said."""
    async with asyncio.timeout(40):
        out, err = await process.communicate()
    return process.returncode, (out + err).decode()
