"""From what was heard to an event that cannot get lost: ids of ours for people and places, then the inbox.

While the memory is away what is heard is kept on disk, in order, and handed in when it is back; a process that comes after
a crash hands in what it finds there. Events that this process has heard go the same way as those that were kept.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from bot.app import RETRY_S, App
from bot.core.talk import Command, Event, Said, Unsaid
from bot.platforms.discord.hear import Heard
from bot.platforms.discord.threads import PLATFORM, Threads
from bot.rooms import Rooms, User
from bot.rows import message_key
from bot.unheard import Journal
from pipeline.errors import Temporary

KNOWN = 10_000  # people whose ids of ours are remembered, and events whose authors are

_PERSON = re.compile(r"<@!?(\d+)>")

T = TypeVar("T")
Away = Callable[[Heard, str], Awaitable[None]]


class Ear:
    """Hands in what is heard. `away` is told of the first event in a room that has to wait ("redis"), and of the end ("")."""

    def __init__(
        self,
        app: App,
        journal: Journal[Heard],
        threads: Threads,
        roles_of: Callable[[str, tuple[str, ...]], tuple[str, ...]],
        away: Away,
        locale: str,
    ) -> None:
        self.app, self.journal, self.threads, self.roles_of, self.away = app, journal, threads, roles_of, away
        self.rooms: Rooms = threads.rooms
        self.locale = locale
        self._people: OrderedDict[str, tuple[str, User]] = OrderedDict()
        self._authors: OrderedDict[str, str] = OrderedDict()
        self._queue: asyncio.Queue[Heard] = asyncio.Queue()
        self._told: dict[str, Heard] = {}

    def author(self, event: str) -> str:
        """The Discord id of whoever an event came from, if it was heard lately."""
        return self._authors.get(event, "")

    @property
    def waiting(self) -> int:
        """How many acts wait for the memory."""
        return len(self.journal)

    async def take(self, heard: Heard) -> None:
        """Take an act in: in the inbox when this returns, or on disk while the memory is away."""
        _remember(self._authors, heard.id, heard.user)
        if self._queue.empty() and not self._told:
            try:
                await self.app.hear(await self.event(heard))
                return
            except Temporary:
                pass  # it waits, and the person is told so
        await asyncio.to_thread(self.journal.add, heard)
        self._queue.put_nowait(heard)
        if heard.room not in self._told:
            self._told[heard.room] = heard
            await self.away(heard, "redis")

    async def run(self) -> None:
        """Hand in what waits, in order, for as long as it takes; first what earlier processes left."""
        for heard in self.journal.take_over():
            self._queue.put_nowait(heard)
        while True:
            heard = await self._queue.get()
            await self._insist(heard)
            self.journal.take_out(heard)
            if self._queue.empty():
                told, self._told = self._told, {}
                for one in told.values():
                    await self.away(one, "")
            self._queue.task_done()

    async def idle(self) -> None:
        """Return when everything that was heard is handed in and answered."""
        await self._queue.join()
        await self.app.idle()

    async def _insist(self, heard: Heard) -> None:
        waits = iter(RETRY_S)
        while True:
            try:
                await self.app.hear(await self.event(heard))
                return
            except Temporary:
                await asyncio.sleep(next(waits, RETRY_S[-1]))

    # --- ids of ours

    async def event(self, heard: Heard) -> Event:
        """The event that it is. Raises Temporary."""
        person = await self.person(heard.user, heard.name, heard.locale)
        place = await self._place(heard, person)
        act = heard.act
        if isinstance(act, Command):
            act = replace(act, text=await self._named(act.text, heard.names))
        if isinstance(act, Unsaid):
            person = await self._who_said(place, act.message) or person
        workspace = heard.guild or PLATFORM
        return Event(
            heard.id,
            heard.at,
            person,
            place,
            act,
            PLATFORM,
            workspace,
            heard.locale or self._people[heard.user][1].locale or self.locale,
            self.roles_of(workspace, heard.roles),
        )

    async def _place(self, heard: Heard, person: str) -> str:
        if heard.direct:
            return await self.threads.place_of_direct(heard.room, person)
        if not heard.title:
            return await self.threads.place(heard.room, heard.parent)
        assert isinstance(heard.act, Said | Command), heard.act
        place = f"{PLATFORM}:{heard.room}/{heard.id[1:]}"
        self.threads.names[place] = heard.title
        return place

    async def person(self, user: str, name: str, locale: str = "") -> str:
        """Our id for a user of Discord's. What language they use there is remembered for what comes without one."""
        if user not in self._people:
            person = await self.app.store.person(PLATFORM, PLATFORM, user, name)
            if name != user:
                await self.app.store.call(person, name)
            known = await self.rooms.user(person)
            if not known.id:
                known = User(user, locale)
                await self.rooms.know(person, known)
            _remember(self._people, user, (person, known))
        person, known = self._people[user]
        if locale and known.locale != locale:
            await self.rooms.know(person, User(user, locale))
            self._people[user] = (person, User(user, locale))
        return person

    async def _named(self, text: str, names: Mapping[str, str]) -> str:
        """A command's text with people by ids of ours; somebody who never came gets one too."""
        ids = dict.fromkeys(_PERSON.findall(text))
        people = {user: await self.person(user, names.get(user, user)) for user in ids}
        return _PERSON.sub(lambda mark: f"<@{people[mark[1]]}>", text)

    async def _who_said(self, place: str, message: str) -> str:
        """Who wrote a message that was deleted: Discord does not tell, the conversation does."""
        probe = Event(f"m{message}", 0.0, "", place, Unsaid(message), PLATFORM)
        found = await self.app.store.message(place, message_key(probe, 0))
        return found.who if found else ""

    def forget(self) -> None:
        """Ask the memory anew for everybody: somebody was forgotten."""
        self._people.clear()


def _remember(known: OrderedDict[str, T], name: str, what: T) -> None:
    """Keep the newest only, so that years of service take no more memory than a day."""
    known[name] = what
    if len(known) > KNOWN:
        known.popitem(last=False)
