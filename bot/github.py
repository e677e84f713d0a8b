"""What one platform's shell does with GitHub: links accounts, follows pull requests, tells what waits for triage."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.accounts import Linking
from bot.core.known import Hub, PullFound
from bot.core.talk import Account, Event, Look
from bot.ids import now
from bot.pack import unpack
from bot.pulls import LOOKS, Pulls
from bot.rows import Message, Order
from bot.serving import insist

__all__ = ["LOOKS", "Github"]

NOTHING: Mapping[str, object] = {"pull": PullFound(), "pulls": (), "waiting": None}

Say = Callable[[Message, bool], Coroutine[Any, Any, None]]
Spawn = Callable[[Coroutine[Any, Any, None]], None]


@dataclass(frozen=True, slots=True)
class Github:
    """`triagers`: the places of those who hear daily what waits, as (place, workspace). `locale`: theirs."""

    linking: Linking
    pulls: Pulls
    triagers: Callable[[], Awaitable[list[tuple[str, str]]]]
    locale: str = "en"
    _waiting: set[str] = field(default_factory=set)  # orders that are seen through in this process

    async def hub(self, person: str) -> Hub:
        """How somebody is on GitHub."""
        return await self.linking.look(person)

    async def look(self, look: Look) -> object:
        return await self.pulls.look(look)

    async def carry_out(self, order: Order, again: bool, say: Say, spawn: Spawn) -> None:
        """Begin to link an account, forget one, or follow a pull request; what takes a person's time goes on beside it."""
        if order.do == "follow":
            return await self.pulls.follow(order)
        order = await now(self.pulls.store.memory, order)
        links = unpack(order.what, Account).act == "link"
        told = await (self.linking.begin(order, self.pulls.platform) if links else self.linking.unlink(order))
        await say(told, again)
        if links:
            spawn(self._see_through(order, say))

    async def _see_through(self, order: Order, say: Say) -> None:
        """Say what came of a code, once, however often its order is taken up."""
        if order.key in self._waiting:
            return
        self._waiting.add(order.key)
        try:
            if told := await self.linking.end(order):
                await insist(lambda: say(told, True))
        finally:
            self._waiting.discard(order.key)

    async def begin(self, hear: Callable[[Event], Coroutine[Any, Any, bool]], say: Say, spawn: Spawn) -> None:
        """Go on with what an earlier process of this platform waited for, and follow its pull requests from now on."""
        for order in await insist(lambda: self.linking.waiting(self.pulls.platform)):
            spawn(self._see_through(order, say))
        self.pulls.follower.tell = self.pulls.teller(hear)
        spawn(self.pulls.follower.run())
        if self.pulls.repo:
            spawn(self.pulls.digest(self.triagers, hear, self.locale))
