"""A labbot at the fake Discord, for tests: started, told to leave, crashed, and started again on the same Redis."""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, TypeVar

import redis

from bot import settings as settings_module
from bot.app import App
from bot.house import House, built
from bot.platforms.discord.budget import Budget
from bot.platforms.discord.front import Front
from bot.settings import Settings
from pipeline.embedded import Server
from pipeline.pool.terms import Terms
from tests.bot.holding import holding
from tests.fakes.discord.interactions import Interaction
from tests.fakes.discord.limits import walk
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import EPHEMERAL, LOADING, V2, Channel, Json, Shown
from tests.fakes.discord_view import text_of
from tests.fakes.model import Model

STORY, ANOTHER = "Once upon a time", "A story, from its beginning."  # what the model begins with, and a whole one

T = TypeVar("T")


class Labbot:
    """One process after another. Their time is the fake's: real time, and `fake.clock` that tests move on.

    `works`: runs are carried too; `times`: how many times as fast as Discord allows it things are sent.
    """

    house: House
    front: Front

    def __init__(self, settings: Settings, server: Server, fake: Discord, model: Model | None = None) -> None:
        url = {"LABBOT_CHAT_URL": model.url} if model else {}
        self.settings = replace(settings, environment={**settings.environment, **url})
        self.server, self.fake, self.model = server, fake, model
        self.works, self.times, self.token = False, 1000.0, fake.token
        self.set = {"taxonomy.path": settings.bot.taxonomy.path}
        self.pace_s = 0.0
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[Any]] = []

    @property
    def app(self) -> App:
        return self.front.app

    def now(self) -> float:
        return time.time() + self.fake.clock

    # --- its life

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
        self._stack = AsyncExitStack()
        self._stack.enter_context(self.fake.patched())
        self.house = await self._stack.enter_async_context(built(loaded, self.server.url, self.now, lease_s=0.2))
        self.front = Front(self.house, self.token, self.now, pace_s=self.pace_s, budget=Budget(times=self.times))
        self.front.client._connection.guild_ready_timeout = 0.02  # the fake tells of its guilds at once
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

    async def acked(self, act: Awaitable[Interaction]) -> Interaction:
        """Let somebody act, and return when Discord has its first answer."""
        heard = await act
        async with asyncio.timeout(10):
            await heard.acked.wait()
        return heard

    async def quiet(self) -> None:
        """Return when nothing is decided, said or written any more."""
        await self.fake.until(lambda: not self.app.busy)

    async def draft(self, who: Person, channel: Channel) -> Channel:
        """Let somebody begin a skill in a channel; return its thread."""
        await self.after(who.slash(channel, "skill"))
        return self.fake.threads(channel)[-1]

    async def presses(self, who: Person, message: Json, label: str) -> Interaction:
        """Let somebody press a button; return when what it leads to is decided and said."""
        return await self.after(who.presses(message, button(message, label)))

    async def story(self, channel: Channel, ask: Awaitable[object], rest: str = "there was a dog.") -> Json:
        """Let somebody ask the model, which begins a story and waits before the `rest`; return the message when it stands."""
        assert self.model is not None
        self.model.tell(f"says {STORY} || {rest}")
        await self.after(ask)
        return await self.comes(channel, STORY)

    async def told_anew(self, channel: Channel) -> None:
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

    def card(self, channel: Channel) -> Json:
        """The newest card in a channel."""
        return next(one for one in reversed(self.said(channel)) if int(one["flags"]) & V2)

    def said(self, channel: Channel, reader: Person | None = None) -> list[Json]:
        """The bot's messages in a channel as they stand, oldest first; without what Discord itself says in its name."""
        found = self.fake.messages(channel, reader)
        return [one for one in found if one["author"]["id"] == self.fake.bot.id and one["type"] not in (18, 21)]

    def texts(self, channel: Channel, reader: Person | None = None) -> list[str]:
        return [self.text(one) for one in self.said(channel, reader)]

    def text(self, message: Json) -> str:
        """What a person reads of a message, its files too."""
        files = {one["filename"]: self.fake.file(one).content for one in message.get("attachments", [])}
        return text_of(message, files)

    def answer(self, heard: Interaction) -> str:
        """What the answer to an interaction says; "" if it has none yet."""
        return self.text(heard.original) if heard.original else ""

    async def comes(self, channel: Channel, part: str, reader: Person | None = None) -> Json:
        """The newest message of the bot's in a channel that says this, as soon as there is one."""
        await self.fake.until(lambda: any(part in one for one in self.texts(channel, reader)))
        return next(one for one in reversed(self.said(channel, reader)) if part in self.text(one))

    def asked(self, method: str, part: str) -> int:
        """How many requests there were."""
        return sum(one.method == method and part in one.path for one in self.fake.requests)

    def plain(self) -> redis.Redis:
        """Redis as it is, whichever process is there."""
        return redis.Redis.from_url(self.server.url)

    def holding(self, *parts: str) -> list[str]:
        """The keys of Redis that hold any of these, in their names or in what they hold."""
        with self.plain() as plain:
            return holding(plain, *parts)


def button(message: Json, label: str) -> str:
    """The custom id of the button of a message that begins with this label."""
    found = {one["label"]: one["custom_id"] for _, one in walk(message["components"]) if one["type"] == 2}
    return next(token for name, token in found.items() if name.startswith(label))


def labels(message: Json) -> list[str]:
    return [one["label"] for _, one in walk(message["components"]) if one["type"] == 2]


def created(fake: Discord, part: str = "") -> list[Shown]:
    """Every message of the bot's that came into being with this in it, notes to wait left out."""
    mine = [one for one in fake.shown if one.kind == "create" and one.author == fake.bot.id]
    return [one for one in mine if part in text_of(one.message) and not int(one.message["flags"]) & LOADING]


def private(message: Json) -> bool:
    return bool(int(message["flags"]) & EPHEMERAL)
