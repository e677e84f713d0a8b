"""Places and the rooms of Discord that they go on in: direct conversations, channels, threads made when first needed.

discord:@PERSON          the direct conversation with somebody; drafts begun there go on there
discord:CHANNEL          a channel
discord:CHANNEL/THREAD   a thread: of a mention, which answers go into, or anybody's
discord:CHANNEL/DRAFT    the thread that labbot makes for a draft
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol
from weakref import WeakValueDictionary

from bot.core.cards import clip
from bot.core.records import Conversation
from bot.core.talk import direct
from bot.ear import Heard
from bot.platforms.discord import hear, limits
from bot.platforms.discord.wire import Refused, Unsure, Wire
from bot.rooms import Rooms
from pipeline.errors import Temporary

log = logging.getLogger("labbot.discord")

PLATFORM = "discord"
PUBLIC, PRIVATE = 11, 12  # types of channels
KNOWN = 10_000  # rooms that are remembered; then the memory is asked anew
ARCHIVE = 10080  # minutes; a draft rests for days

Talk = Callable[[str], Awaitable[Conversation]]


class Guilds(Protocol):
    """What the gateway has told of servers and channels."""

    def me(self) -> str:
        """The bot's own id."""

    def name(self, room: str) -> str:
        """What a channel or a thread is called; "" if nothing was told of it."""

    def private(self) -> bool:
        """Whether threads for drafts are for their authors only."""

    def lacks(self, room: str) -> list[str]:
        """The permissions, by Discord's names, that the bot would need in a channel and does not have."""

    def author(self, event: str) -> str:
        """The id of whoever an event came from, if it was heard lately."""

    def forget(self) -> None:
        """Somebody was forgotten: what is remembered of people is asked anew."""


class NoDirect(Exception):
    """Somebody takes no direct messages."""


class Threads:
    """Finds the room of a place and makes it where there is none yet.

    `conversation` reads one; `keep_s` is how long conversations are kept.
    """

    def __init__(self, wire: Wire, rooms: Rooms, conversation: Talk, guilds: Guilds, keep_s: float) -> None:
        self.wire, self.rooms, self.conversation, self.guilds, self.keep_s = wire, rooms, conversation, guilds, keep_s
        self.names: dict[str, str] = {}  # what a thread is to be called that begins at a mention, by place
        self._known: dict[str, str] = {}  # rooms by place
        self._places: dict[str, str] = {}  # places by room, "" where none is kept
        self._there: set[tuple[str, str]] = set()  # who was brought into which room
        self._titled: set[str] = set()
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def of(self, heard: Heard, person: str) -> str:
        """The place in which somebody acted. Raises Temporary."""
        if heard.direct:
            return await self.place_of_direct(heard.room, person)
        if not heard.title:
            return await self.place(heard.room, heard.parent)
        place = f"{PLATFORM}:{heard.room}/{heard.id[1:]}"
        self.names[place] = heard.title
        return place

    async def place(self, room: str, parent: str) -> str:
        """The place that goes on in a channel, or in a thread of `parent`."""
        if len(self._places) > KNOWN:
            self.forget()
        if room not in self._places:
            self._places[room] = await self.rooms.place(room)
        place = self._places[room] or (f"{PLATFORM}:{parent}/{room}" if parent else f"{PLATFORM}:{room}")
        self._known.setdefault(place, room)
        return place

    async def place_of_direct(self, room: str, person: str) -> str:
        """The place of a direct conversation; it is kept, so that it need not be opened once more."""
        place = direct(PLATFORM, person)
        if self._known.get(place) != room:
            await self._keep(place, room)
        return place

    async def room(self, place: str) -> str:
        """The room of a place, made if there is none. Raises Refused, Temporary, and NoDirect."""
        if place in self._known:
            return self._known[place]
        channel, _, rest = place.removeprefix(f"{PLATFORM}:").partition("/")
        thread, _, draft = rest.partition("/")
        if channel.startswith("@"):
            return await self._made(direct(PLATFORM, channel[1:]))
        if draft and self.guilds.private():
            return await self._made(place)  # a mention's thread is for everybody
        return await self._made(f"{PLATFORM}:{channel}/{thread}") if thread else channel

    async def _made(self, place: str) -> str:
        lock = self._making.setdefault(place, asyncio.Lock())
        async with lock:
            room = self._known.get(place) or await self.rooms.room(place)
            if room in ("", "?"):
                try:
                    room = await self._make(place, perhaps=room == "?")
                    await self._keep(place, room)
                except Refused as error:
                    if error.code != Refused.NO_THREADS:
                        raise
                    room = channel_of(place)  # where there are none, in the channel itself
            self._known[place] = room
            return room

    async def _make(self, place: str, *, perhaps: bool) -> str:
        channel, _, thread = place.removeprefix(f"{PLATFORM}:").partition("/")
        if channel.startswith("@"):
            return await self._direct(place)
        if thread.isdecimal():  # of a mention
            room = await self._of_message(channel, thread, self.names.get(place, ""))
            self.names.pop(place, None)
            return room
        return await self._thread(place, perhaps=perhaps)

    async def _keep(self, place: str, room: str) -> None:
        """Note a room. That of a mention is found again without, so it goes when its conversation does."""
        passing = place.rpartition("/")[2].isdecimal()
        await self.rooms.keep(place, room, self.keep_s if passing else 0.0)
        self._known[place], self._places[room] = room, place

    async def focus(self, place: str) -> None:
        """What is typed in the thread of a draft is meant for it from now on: several drafts may go on in one thread."""
        room = await self.room(place)
        if "@" not in place and self._places.get(room) != place:
            await self._keep(place, room)

    async def lost(self, place: str) -> bool:
        """The room of a place is gone: whether another may be made for it. A channel that is gone stays so."""
        room = self._known.pop(place, "")
        self._places.pop(room, None)
        rest = place.partition("/")[2]
        if "@" not in place and (not rest or rest.isdecimal()):
            return False
        await self.rooms.drop(place)
        return True

    def forget(self) -> None:
        """Ask the memory anew for everything: something in it was taken away."""
        for known in (self._known, self._places, self._there, self._titled, self.names):
            known.clear()

    # --- making them

    async def _direct(self, place: str) -> str:
        user = await self.rooms.user(place.partition("@")[2])
        if not user.id:
            raise NoDirect(place)
        return await self.direct_with(user.id)

    async def direct_with(self, user: str) -> str:
        """The room of the direct conversation with a user of Discord's, opened if it is not. Raises Refused and Temporary."""
        found = await self.wire.ask("POST", "/users/@me/channels", json={"recipient_id": user})
        return str(found["id"])

    async def _thread(self, place: str, *, perhaps: bool) -> str:
        """A thread for a draft. Its name ends in the draft's, by which one is found again that was made and not noted."""
        channel, draft = channel_of(place), place.rpartition("/")[2]
        about = await self.conversation(place)
        if perhaps and (found := await self._found(channel, draft)):
            return found
        await self.rooms.begin(place)
        asked = {
            "name": named(about.title, draft),
            "type": PRIVATE if self.guilds.private() else PUBLIC,
            "auto_archive_duration": ARCHIVE,
        }
        try:
            made = await self.wire.ask("POST", "/channels/{channel_id}/threads", room=channel, json=asked, twice=False)
        except Unsure as error:
            raise Temporary(f"a thread may have been made: {error}") from error  # the next attempt looks for it first
        room = str(made["id"])
        for person in about.people:
            await self.bring(room, person)
        return room

    async def _found(self, channel: str, draft: str) -> str:
        about = await self.wire.ask("GET", "/channels/{channel_id}", channel_id=channel)
        active = await self.wire.ask("GET", "/guilds/{guild_id}/threads/active", guild_id=str(about["guild_id"]))
        mine = [one for one in active["threads"] if one.get("owner_id") == self.guilds.me() and one.get("parent_id") == channel]
        return next((str(one["id"]) for one in mine if one["name"].endswith(f" · {draft}")), "")

    async def bring(self, room: str, person: str) -> None:
        """Add somebody to a thread, once; that it cannot be done keeps nobody from the draft."""
        if (room, person) in self._there:
            return
        user = await self.rooms.user(person)
        try:
            if user.id:
                await self.wire.ask("PUT", "/channels/{channel_id}/thread-members/{user_id}", channel_id=room, user_id=user.id)
        except Refused as error:
            log.info("discord: %s was not brought into thread %s: %s", person, room, error)
        self._there.add((room, person))

    async def _of_message(self, channel: str, message: str, name: str) -> str:
        """The thread of a message, begun if it has none: its id is the message's. One without a message is there already."""
        name = name or await self._title(channel, message)
        asked = {"name": clip(name, limits.THREAD_NAME) or "labbot", "auto_archive_duration": ARCHIVE}
        try:
            await self.wire.ask(
                "POST", "/channels/{channel_id}/messages/{message_id}/threads", room=channel, json=asked, message_id=message
            )
        except Refused as error:
            if error.code not in (Refused.THREAD_EXISTS, Refused.UNKNOWN_MESSAGE):
                raise
        return message

    async def _title(self, channel: str, message: str) -> str:
        """What the thread of a message is to be called that an earlier process heard; "" where it is gone."""
        try:
            found = await self.wire.ask(
                "GET", "/channels/{channel_id}/messages/{message_id}", channel_id=channel, message_id=message
            )
        except Refused:
            return ""
        names = {str(one["id"]): str(one.get("global_name") or one["username"]) for one in found["mentions"]}
        return hear.title_of(hear.named(hear.unnamed(found["content"], self.guilds.me()), names))

    async def title(self, place: str) -> None:
        """Call a draft's thread what the draft is about by now: once, since Discord lets a channel be renamed rarely."""
        room, draft = self._known.get(place, ""), place.rpartition("/")[2]
        name = self.guilds.name(room)
        if draft.isdecimal() or not name.endswith(f" · {draft}") or room in self._titled:
            return
        wanted = named((await self.conversation(place)).title, draft)
        if wanted != name:
            self._titled.add(room)
            await self.wire.ask("PATCH", "/channels/{channel_id}", channel_id=room, json={"name": wanted})

    async def wake(self, room: str) -> None:
        """Take a thread out of the archive."""
        await self.wire.ask("PATCH", "/channels/{channel_id}", channel_id=room, json={"archived": False})


def named(title: str, draft: str) -> str:
    """The name of a draft's thread: what it is about, and its id."""
    return f"{clip(title, limits.THREAD_NAME - len(draft) - 3) or 'labbot'} · {draft}"


def channel_of(place: str) -> str:
    """The channel that a place is in, "@PERSON" for a direct conversation."""
    return place.removeprefix(f"{PLATFORM}:").partition("/")[0]
