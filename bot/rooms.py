"""Where conversations go on at a platform that has channels of its own, and what it calls people: two tables each way."""

from dataclasses import dataclass

from pipeline.memory import Memory


@dataclass(frozen=True, slots=True)
class User:
    """Somebody as their platform knows them; `locale` is the last that it told, "" if it never did."""

    id: str
    locale: str = ""


class Rooms:
    """The rooms of one platform: a room is what it calls a channel, a thread or a direct conversation.

    A place has one room; a room that no place is kept for is found by what the platform says of it. All methods raise
    Temporary while Redis is away.
    """

    def __init__(self, memory: Memory, platform: str) -> None:
        self.memory, self.platform = memory, platform

    async def room(self, place: str) -> str:
        """The room of a place; "" if it has none yet, "?" if one may have been made and its name was lost."""
        return _text(await self.memory.do("GET", f"bot:room:{place}"))

    async def place(self, room: str) -> str:
        """The place that goes on in a room; "" if none is kept for it."""
        return _text(await self.memory.do("GET", f"bot:rooms:{self.platform}:{room}"))

    async def begin(self, place: str) -> None:
        """Note that a room is about to be made."""
        await self.memory.do("SET", f"bot:room:{place}", "?")

    async def keep(self, place: str, room: str, for_s: float = 0.0) -> None:
        """Note that a place goes on in a room, for so many seconds; 0: until it is dropped."""
        gone = ("EX", int(for_s)) if for_s else ()
        rows = ((f"bot:room:{place}", room), (f"bot:rooms:{self.platform}:{room}", place))
        await self.memory.all([("SET", *row, *gone) for row in rows], atomic=True)

    async def drop(self, place: str) -> None:
        """The room is gone, or the place is: neither leads to the other from now on."""
        room = await self.room(place)
        await self.memory.do("DEL", f"bot:room:{place}", f"bot:rooms:{self.platform}:{room}")

    async def user(self, person: str) -> User:
        """What the platform calls somebody; an empty id if it never told."""
        name, _, locale = _text(await self.memory.do("GET", f"bot:user:{self.platform}:{person}")).partition(" ")
        return User(name, locale)

    async def know(self, person: str, user: User) -> None:
        await self.memory.do("SET", f"bot:user:{self.platform}:{person}", f"{user.id} {user.locale}".strip())


def _text(row: bytes | None) -> str:
    return row.decode() if row else ""
