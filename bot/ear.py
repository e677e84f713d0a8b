"""From what was heard to an event that cannot get lost: ids of ours for people and places, then the inbox.

While the memory is away what is heard is kept on disk, in order, and handed in when it is back; a process that comes after
a crash hands in what it finds there. Events that this process has heard go the same way as those that were kept.
"""

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from bot.acks import was_heard
from bot.app import App
from bot.core.talk import Act, Command, Event, Unsaid
from bot.pack import register
from bot.rooms import Rooms, User
from bot.rows import message_key
from bot.serving import insist
from bot.unheard import Journal
from pipeline.errors import Temporary

KNOWN = 10_000  # people whose ids of ours are remembered, and events whose authors are
PERSON = re.compile(r"<@!?([\w.]+)>")  # how what is heard names somebody, by what the platform calls them

K = TypeVar("K")
T = TypeVar("T")


@register
@dataclass(frozen=True, slots=True)
class Heard:
    """An act as a platform tells it. `room` is the channel or thread, `parent` the channel of a thread.

    `id` begins with i (an interaction), m, e or d (a message, its edit, its deletion), h (somebody opened the conversation)
    or s (the platform's own stop); `user` is unique on the platform. `title`: a thread is to begin at the message, called so.
    `names` are what the people are called whom it mentions. `follows`: it counts only if something of ours goes on in the room.
    """

    id: str
    at: float
    user: str
    name: str
    room: str
    act: Act
    parent: str = ""
    workspace: str = ""
    direct: bool = False
    locale: str = ""
    roles: tuple[str, ...] = ()
    title: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    follows: bool = False


class Places(Protocol):
    """Where what is heard goes on."""

    rooms: Rooms

    async def of(self, heard: Heard, person: str) -> str:
        """The place of ours in which somebody acted. Raises Temporary."""


Away = Callable[[Heard, str, bool], Awaitable[bool]]


class Ear:
    """Hands in what is heard.

    `away` is told of the first message in a room that has to wait ("redis"; "disk": it could not be written down either), of
    every interaction that has to, and of the end (""); the third argument says whether it may be told in the room. It
    returns whether one person was told alone.
    """

    def __init__(
        self,
        app: App,
        journal: Journal[Heard],
        places: Places,
        roles_of: Callable[[str, tuple[str, ...]], tuple[str, ...]],
        away: Away,
        locale: str,
    ) -> None:
        self.app, self.journal, self.places, self.roles_of, self.away = app, journal, places, roles_of, away
        self.platform, self.log = app.platform, logging.getLogger(f"labbot.{app.platform}")
        self.rooms = places.rooms
        self.locale = locale
        self._people: OrderedDict[str, tuple[str, User]] = OrderedDict()
        self._authors: OrderedDict[str, str] = OrderedDict()
        self._queue: asyncio.Queue[Heard] = asyncio.Queue()
        self._told: dict[tuple[str, str], Heard] = {}  # by room or interaction, and what is away

    def author(self, event: str) -> str:
        """What the platform calls whoever an event came from, if it was heard lately."""
        return self._authors.get(event, "")

    @property
    def waiting(self) -> int:
        """How many acts wait for the memory."""
        return len(self.journal)

    async def take(self, heard: Heard) -> None:
        """Take an act in: in the inbox when this returns, or on disk while the memory is away, if that has room."""
        remember(self._authors, heard.id, heard.user)
        if self._queue.empty() and not self._told:
            try:
                return await self._hear(heard)
            except Temporary:
                pass  # it waits, and the person is told so
        what = "redis"
        try:
            await asyncio.to_thread(self.journal.add, heard)
        except OSError as error:
            self.log.warning("what was heard is kept by this process alone: %s", error)
            what = "disk"
        self._queue.put_nowait(heard)
        if not isinstance(heard.act, Unsaid) and not heard.follows:  # whoever deletes, or talks to others, waits for nothing
            await self._tell(heard, what)

    async def _tell(self, heard: Heard, what: str) -> None:
        """Tell why it has to wait, unless its room knows; an interaction gets its own word."""
        room, alone = (heard.room, what), heard.id.startswith("i")
        known = room in self._told
        if known and not alone:
            return
        self._told[(heard.id, what) if alone else room] = heard
        if not await self.away(heard, what, not known):
            self._told.setdefault(room, heard)

    async def run(self) -> None:
        """Hand in what waits, in order, for as long as it takes; first what earlier processes left."""
        for heard in await asyncio.to_thread(self.journal.take_over):
            self._queue.put_nowait(heard)
        while True:
            heard = await self._queue.get()
            await self._hand_in(heard)
            await asyncio.to_thread(self.journal.take_out, heard)
            if self._queue.empty():
                told, self._told = self._told, {}
                for one in {one.room: one for one in told.values()}.values():
                    await self.away(one, "", True)
            self._queue.task_done()

    async def idle(self) -> None:
        """Return when everything that was heard is handed in and answered."""
        await self._queue.join()
        await self.app.idle()

    async def _hand_in(self, heard: Heard) -> None:
        """Hand it in as soon as the memory takes it; what is a mistake of ours in it keeps nobody else from being heard."""
        try:
            await insist(lambda: self._hear(heard))
        except Exception:
            self.log.exception("%s could not be heard", heard.id)

    async def _hear(self, heard: Heard) -> None:
        """Hand it in, unless it concerns nobody. Raises Temporary."""
        if heard.follows and not await self.rooms.place(heard.room):
            return
        if not isinstance(heard.act, Unsaid) or await self._was_heard(heard, heard.act.message):
            await self.app.hear(await self.event(heard))

    async def _was_heard(self, heard: Heard, message: str) -> bool:
        """Whether a message that was deleted is in the inbox, or in the conversation, which is kept for longer."""
        if await was_heard(self.app.store.memory, self.platform, f"m{message}"):
            return True
        return bool(await self._who_said(await self.places.of(heard, ""), message))

    # --- ids of ours

    async def event(self, heard: Heard) -> Event:
        """The event that it is. Raises Temporary."""
        person, known = await self.person(heard.user, heard.name, heard.locale)
        place = await self.places.of(heard, person)
        act = heard.act
        if isinstance(act, Command):
            act = replace(act, text=await self._named(act.text, heard.names))
        if isinstance(act, Unsaid):
            person = await self._who_said(place, act.message) or person
        workspace = heard.workspace or self.platform
        return Event(
            heard.id,
            heard.at,
            person,
            place,
            act,
            self.platform,
            workspace,
            heard.locale or known.locale or self.locale,
            self.roles_of(workspace, heard.roles),
        )

    async def person(self, user: str, name: str, locale: str = "") -> tuple[str, User]:
        """Our id for a user of the platform's, and what is known of them: their language is for what comes without one."""
        if user not in self._people:
            person = await self.app.store.person(self.platform, self.platform, user, name)
            if name != user:
                await self.app.store.call(person, name)
            known = await self.rooms.user(person)
            if not known.id:
                known = User(user, locale)
                await self.rooms.know(person, known)
            remember(self._people, user, (person, known))
        person, known = self._people[user]
        if locale and known.locale != locale:
            known = User(user, locale)
            await self.rooms.know(person, known)
            remember(self._people, user, (person, known))
        return person, known

    async def _named(self, text: str, names: Mapping[str, str]) -> str:
        """A command's text with people by ids of ours; somebody who never came gets one too."""
        ids = dict.fromkeys(PERSON.findall(text))
        people = {user: (await self.person(user, names.get(user, user)))[0] for user in ids}
        return PERSON.sub(lambda mark: f"<@{people[mark[1]]}>", text)

    async def _who_said(self, place: str, message: str) -> str:
        """Who wrote a message that was deleted: not every platform tells, the conversation does."""
        probe = Event(f"m{message}", 0.0, "", place, Unsaid(message), self.platform)
        found = await self.app.store.message(place, message_key(probe, 0))
        return found.who if found else ""

    def forget(self) -> None:
        """Ask the memory anew for everybody: somebody was forgotten."""
        self._people.clear()


def remember(known: OrderedDict[K, T], name: K, what: T) -> None:
    """Keep the newest only, so that years of service take no more memory than a day."""
    known[name] = what
    if len(known) > KNOWN:
        known.popitem(last=False)
