"""Places, and the channels and threads of Slack that they go on in.

slack:@PERSON             the direct conversation with somebody, outside of every thread
slack:@PERSON/TS          a thread of it: in the agent view everything typed begins one
slack:TEAM.CHANNEL        a channel
slack:TEAM.CHANNEL/TS     a thread: of a mention, which answers go into, or anybody's
slack:.../DRAFT           the thread of a draft: one that labbot begins with the draft's card, or the one it was begun in
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from bot.core.talk import direct
from bot.ear import Heard
from bot.platforms.slack.wire import Wire
from bot.rooms import Rooms

PLATFORM = "slack"
KNOWN = 10_000  # rooms that are remembered; then the memory is asked anew

_TS = re.compile(r"\d+\.\d+")


@dataclass(frozen=True, slots=True)
class Room:
    """A channel of a workspace, direct conversations too, or a thread in it; `thread` is the ts of its first message."""

    team: str
    channel: str
    thread: str = ""

    def __str__(self) -> str:
        return f"{self.team}.{self.channel}" + (f":{self.thread}" if self.thread else "")

    @property
    def direct(self) -> bool:
        return self.channel.startswith("D")

    @classmethod
    def of(cls, text: str) -> "Room":
        """A room as `str` has it."""
        where, _, thread = text.partition(":")
        team, _, channel = where.partition(".")
        return cls(team, channel, thread)


class NoDirect(Exception):
    """Somebody cannot be spoken to directly."""


class Threads:
    """Finds the room of a place and the place of a room. `keep_s` is how long conversations are kept."""

    def __init__(self, wire: Wire, rooms: Rooms, keep_s: float, forgotten: Callable[[], None]) -> None:
        self.wire, self.rooms, self.keep_s, self.forgotten = wire, rooms, keep_s, forgotten
        self._known: dict[str, Room] = {}  # rooms by place
        self._places: dict[str, str] = {}  # places by room, "" where none is kept

    async def of(self, heard: Heard, person: str) -> str:
        """The place in which somebody acted. Raises Temporary."""
        room = Room.of(heard.room)
        if not room.channel:  # at the app's home, or in a dialog that came from there
            return direct(PLATFORM, person)
        if room.direct:
            await self._keep_direct(person, room)
        return await self.place(room, person)

    async def place(self, room: Room, person: str) -> str:
        """The place that goes on in a room."""
        if len(self._places) > KNOWN:
            self.forget()
        name = str(room)
        if name not in self._places:
            self._places[name] = await self.rooms.place(name)
        base = await self._alone(room, person) if room.direct else f"{PLATFORM}:{room.team}.{room.channel}"
        return self._places[name] or (f"{base}/{room.thread}" if room.thread else base)

    async def ours(self, room: Room) -> bool:
        """Whether labbot talks in a thread already. Raises Temporary."""
        return bool(self._places.get(str(room)) or await self.rooms.place(str(room)))

    async def room(self, place: str) -> Room:
        """The room of a place; that of a draft has no thread until its first message is there. Raises Temporary, NoDirect."""
        if place in self._known:
            return self._known[place]
        base, thread, draft = parts(place)
        if draft and not thread and (kept := await self.rooms.room(place)) and kept != "?":
            found = Room.of(kept)
        elif base.startswith("@"):
            found = replace(await self._direct(direct(PLATFORM, base[1:])), thread=thread)
        else:
            team, _, channel = base.partition(".")
            found = Room(team, channel, thread)
        if not draft or found.thread:
            self._known[place] = found
        return found

    async def begins(self, place: str, room: Room) -> bool:
        """Whether the first message there begins the thread of a draft."""
        return bool(parts(place)[2]) and not room.thread

    async def keep(self, place: str, room: Room) -> None:
        """Note that a place goes on in a room: what is typed there is meant for it, without a mention."""
        if self._places.get(str(room)) == place:
            return
        await self.rooms.keep(place, str(room), 0.0 if parts(place)[2] else self.keep_s)
        self._known[place], self._places[str(room)] = room, place

    async def lost(self, place: str) -> bool:
        """The room of a place is gone: whether another may be begun. A channel that is gone stays so."""
        room = self._known.pop(place, None)
        self._places.pop(str(room), None)
        await self.rooms.drop(place)
        return bool(parts(place)[2]) and not parts(place)[1]

    def forget(self) -> None:
        """Ask the memory anew for everything: something in it was taken away."""
        self._known.clear()
        self._places.clear()
        self.forgotten()

    async def _alone(self, room: Room, person: str) -> str:
        """The place of a direct conversation; of one where nobody says who acted, by who did before."""
        if person:
            return direct(PLATFORM, person)
        return await self.rooms.place(str(replace(room, thread=""))) or direct(PLATFORM, person)

    async def _keep_direct(self, person: str, room: Room) -> None:
        place, alone = direct(PLATFORM, person), replace(room, thread="")
        if person and self._known.get(place) != alone:
            await self.rooms.keep(place, str(alone))
            self._known[place] = alone

    async def _direct(self, place: str) -> Room:
        """The direct conversation with somebody, opened if there is none."""
        if place in self._known:
            return self._known[place]
        if kept := await self.rooms.room(place):
            self._known[place] = Room.of(kept)
            return self._known[place]
        team, _, user = (await self.rooms.user(place.partition("@")[2])).id.partition(".")
        if not user:
            raise NoDirect(place)
        found = await self.wire.ask(team, "conversations.open", users=user)
        await self._keep_direct(place.partition("@")[2], Room(team, str(found["channel"]["id"])))
        return self._known[place]


def parts(place: str) -> tuple[str, str, str]:
    """Of a place: TEAM.CHANNEL or @PERSON, the ts of its thread or "", the draft that it is the place of or ""."""
    base, _, rest = place.removeprefix(f"{PLATFORM}:").partition("/")
    first, _, second = rest.partition("/")
    return (base, first, second) if _TS.fullmatch(first) else (base, "", first)
