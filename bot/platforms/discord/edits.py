"""Edits: of messages that are being written the newest text only, of old ones one a minute, of all the last one for sure."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from time import monotonic

from bot.acks import Acks
from bot.platforms.discord import limits
from bot.platforms.discord.budget import Budget
from bot.platforms.discord.posts import Posts, made_at, part_key
from bot.platforms.discord.render import Payload
from bot.platforms.discord.threads import NoDirect
from bot.platforms.discord.wire import Refused
from bot.rows import Message
from bot.store import Store
from bot.turns import Newest
from pipeline.errors import Temporary

log = logging.getLogger("labbot.discord")

Draw = Callable[[Message], Awaitable[list[Payload]]]
Again = Callable[[str, Message, list[Payload], Refused], Awaitable[str]]


AGAIN_S = 1.0  # until an edit is tried again that Discord, or the memory, was away for


class Edits:
    """Keeps what stands at an address up to date. `draw` makes a message's payloads; `again` posts one that is gone."""

    def __init__(
        self, store: Store, posts: Posts, budget: Budget, acks: Acks, draw: Draw, again: Again, clock: Callable[[], float]
    ) -> None:
        self.store, self.posts, self.budget, self.acks = store, posts, budget, acks
        self.draw, self.again, self.clock = draw, again, clock
        self.newest = Newest(self._turn, self._stream)
        self._streams: dict[str, Message] = {}  # what is being written, by key
        self._addresses: dict[str, str] = {}  # where
        self._shown: dict[str, Payload] = {}  # what a streamed message shows, by id
        self._edited: dict[str, float] = {}  # when old messages were edited last, by id
        self._late: dict[str, asyncio.Task[None]] = {}
        self._early: set[str] = set()  # whose edit Discord has put off once more

    async def close(self) -> None:
        await self.newest.close()
        for task in self._late.values():
            task.cancel()
        await asyncio.gather(*self._late.values(), return_exceptions=True)

    # --- messages that are being written

    def stream(self, address: str, message: Message) -> str:
        """Show a message that is being written when its room has a turn. Returns its address as far as it is known."""
        self._streams[message.key] = message
        self._addresses.setdefault(message.key, address)
        self.newest.put(message.key)
        return self._addresses[message.key]

    async def settled(self, message: Message, address: str) -> str:
        """Wait until no edit of the message as it was being written is under way. Returns its address by then."""
        await self.newest.settle(message.key)
        self._streams.pop(message.key, None)
        return self._addresses.pop(message.key, address)

    def _turn(self, key: str) -> AbstractAsyncContextManager[None]:
        return self.budget.turn(self._addresses[key].partition("/")[0], edit=True)

    async def _stream(self, key: str) -> None:
        """Show the newest of a message that is being written; what does not come through is shown with the next."""
        message, address = self._streams.get(key), self._addresses[key]
        if message is None:
            return
        try:
            self._addresses[key] = await self.bring(address, message, await self.draw(message), turn=False)
            if self._addresses[key] != address:
                await self.store.sent(message, self._addresses[key])
        except (Refused, Temporary) as error:
            log.info("discord: an edit of %s was not shown: %s", key, error)

    # --- messages that stand

    async def bring(self, address: str, message: Message, payloads: list[Payload], *, turn: bool = True) -> str:
        """Bring the messages of an address to these payloads: edit, add, take away. Returns the address that there is then."""
        room, ids = address.partition("/")[0], address.partition("/")[2].split(",")
        for at, payload in enumerate(payloads):
            if at >= len(ids):
                ids.append(await self.posts.put(room, payload, part_key(message.key, at)))
            elif self._shown.get(ids[at]) != payload:
                try:
                    await self.posts.patch(room, ids[at], payload, turn=turn)
                except Refused as error:
                    return await self._refused(error, address, message, payloads)
                self.note(ids[at])
                if message.live:
                    self._shown[ids[at]] = payload
        if message.live:
            return f"{room}/{','.join(ids)}"  # what an earlier attempt has taken more of, this one may need too
        for gone in ids[len(payloads) :]:
            await self.posts.delete(room, gone)
        for one in ids:
            self._shown.pop(one, None)
        return f"{room}/{','.join(ids[: len(payloads)])}"

    async def _refused(self, error: Refused, address: str, message: Message, payloads: list[Payload]) -> str:
        """What is to be done about an edit that Discord refuses."""
        if error.code != Refused.OLD:
            return await self.again(address, message, payloads, error)
        self._edited[address.partition("/")[2].split(",")[0]] = monotonic()
        await self.later(address, message, limits.OLD_EDIT_S)
        return address

    # --- messages older than an hour

    def wait_s(self, message: str) -> float:
        """How long an edit of a message has to wait: an old one is edited once a minute at most."""
        if self.clock() - made_at(message) < limits.OLD_S or message not in self._edited:
            return 0.0
        return max(0.0, self._edited[message] + limits.OLD_EDIT_S - monotonic())

    def note(self, message: str) -> None:
        """A message was edited."""
        if self.clock() - made_at(message) >= limits.OLD_S:
            self._edited = {one: at for one, at in self._edited.items() if monotonic() - at < limits.OLD_EDIT_S}
            self._edited[message] = monotonic()

    async def later(self, address: str, message: Message, wait_s: float) -> None:
        """Show a message when its minute has passed, as it stands then; a crash before that does not lose it."""
        await self.acks.wait(message)
        self._early.add(message.key)
        if message.key not in self._late:
            self._late[message.key] = asyncio.create_task(self._when_due(address, message, wait_s))

    async def _when_due(self, address: str, message: Message, first_s: float) -> None:
        wait_s: float | None = first_s
        try:
            while wait_s is not None:
                await asyncio.sleep(wait_s)
                wait_s = await self._catch_up(address, message)
        finally:
            del self._late[message.key]

    async def _catch_up(self, address: str, message: Message) -> float | None:
        """Show a message as it stands now. How long until that is to be tried again, None if it is shown or never can be."""
        self._early.discard(message.key)
        try:
            newest = await self.store.message(message.place, message.key) or message
            await self.bring(address, newest, await self.draw(newest))
            if message.key in self._early:
                return limits.OLD_EDIT_S
            await self.acks.came(message.key)
        except Temporary as error:
            log.info("discord: an old message has to wait: %s", error)
            return AGAIN_S
        except (Refused, NoDirect) as error:
            log.warning("discord: an old message was not brought up to date: %s", error)
            await self.acks.came(message.key)
        return None

    async def tidy(self) -> None:
        """Finish the edits that an earlier process left waiting."""
        for place, key in await self.acks.late():
            message = await self.store.message(place, key)
            address = (await self.store.address(message))[0] if message else ""
            if message and address:
                await self.later(address, message, 0.0)
            else:
                await self.acks.came(key)
