"""How interactions are answered: what a process must know to answer one that an earlier process heard."""

from dataclasses import dataclass, replace
from typing import Literal

from bot.pack import pack, register, unpack
from bot.rows import Message
from pipeline.memory import Memory

LIVES_S = 900  # Discord: an interaction's token, 15 minutes

Kind = Literal["command", "press", "submit"]
How = Literal["", "waits", "decided"]  # how an event stands in the inbox; "": it was never heard
State = Literal["open", "answering", "answered", "deferred", "used"]


@register
@dataclass(frozen=True, slots=True)
class Ack:
    """An interaction and its one answer.

    `room` is where it happened, `message` the one whose button was pressed, "" for none; `at` is when it was heard. `by` is
    the key of the message that is its answer: "answering" was written before the request was sent, so that after a crash
    it is known which message may stand there already. "deferred": the platform was told that the answer comes; "used":
    a message of ours has taken the place of that.
    """

    event: str
    id: str
    token: str
    user: str
    room: str
    kind: Kind
    at: float
    message: str = ""
    locale: str = "en"
    state: State = "open"
    by: str = ""


class Acks:
    """The interactions of the last 15 minutes, and edits that wait. All methods raise Temporary while Redis is away."""

    def __init__(self, memory: Memory, platform: str) -> None:
        self.memory, self.platform = memory, platform

    async def keep(self, ack: Ack) -> None:
        """Note how it stands. Who it was is left out: no later process needs it, and they may ask to be forgotten."""
        row = pack(replace(ack, user=""))
        await self.memory.do("SET", f"bot:ack:{self.platform}:{ack.event}", row, "EX", LIVES_S)

    async def first(self, ack: Ack) -> Ack | None:
        """Keep an interaction that nothing is known of yet; else return what is, and leave it so."""
        row = (f"bot:ack:{self.platform}:{ack.event}", pack(replace(ack, user="")), "EX", LIVES_S)
        return None if await self.memory.do("SET", *row, "NX") else await self.read(ack.event)

    async def read(self, event: str) -> Ack | None:
        row = await self.memory.do("GET", f"bot:ack:{self.platform}:{event}")
        return unpack(row, Ack) if row else None

    async def unfinished(self) -> list[Ack]:
        """Those that have no answer as far as we know, or that were told to wait."""
        keys = [key async for key in self.memory.keys(f"bot:ack:{self.platform}:*")]
        rows = await self.memory.do("MGET", *keys) if keys else []
        found = [unpack(row, Ack) for row in rows if row]
        return [ack for ack in found if ack.state in ("open", "answering", "deferred")]

    async def heard(self, event: str) -> How:
        return await was_heard(self.memory, self.platform, event)

    # --- edits of old messages

    async def wait(self, message: Message) -> None:
        """Note that a message does not show its newest revision yet."""
        await self.memory.do("HSET", f"bot:late:{self.platform}", message.key, message.place)

    async def came(self, key: str) -> None:
        """The newest edit of a message is shown, or there is no such message any more."""
        await self.memory.do("HDEL", f"bot:late:{self.platform}", key)

    async def late(self) -> list[tuple[str, str]]:
        """Place and key of every message whose newest edit waits."""
        rows = await self.memory.do("HGETALL", f"bot:late:{self.platform}")
        return [(place.decode(), key.decode()) for key, place in rows.items()]


async def was_heard(memory: Memory, platform: str, event: str) -> How:
    """Whether an event is in the inbox, and what it asks for decided; "" if it was never heard. Raises Temporary."""
    row = await memory.do("GET", f"bot:inbox:{platform}:{event}")
    return "" if row is None else "decided" if row == b"decided" else "waits"
