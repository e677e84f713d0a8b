"""Locks in Redis, by name: taken together or not at all, leased, and proven by a token when something is written under them."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from bot.scripts import HOLD, RELEASE, RENEW
from pipeline.errors import Temporary
from pipeline.memory import Memory

WAIT_S = 0.01  # between two attempts at a lock


@dataclass(frozen=True, slots=True)
class Hold:
    """The locks that an event is handled under; `token` proves that they are ours."""

    token: str
    keys: tuple[str, ...]


class Locks:
    """`lease_s`: how long a lock is kept whose holder crashed."""

    def __init__(self, memory: Memory, lease_s: float) -> None:
        self.memory, self.lease_s = memory, lease_s

    async def take(self, wanted: Callable[[], Awaitable[list[str]]]) -> Hold:
        """Take the locks that `wanted` names, each time anew, waiting for whoever has them; gone after a lease unless renewed.

        Raises Temporary after ten leases of waiting.
        """
        token = secrets.token_hex(8)
        for _ in range(int(10 * self.lease_s / WAIT_S)):
            keys = [f"bot:lock:{name}" for name in await wanted()]
            if await self.memory.script(HOLD, keys, token, int(self.lease_s * 1000)):
                return Hold(token, tuple(keys))
            await asyncio.sleep(WAIT_S)
        raise Temporary(f"{keys[0].removeprefix('bot:lock:')} is busy")

    @asynccontextmanager
    async def held(self, *names: str) -> AsyncIterator[None]:
        """Have the locks of those names for as long as the block takes. Waits, and raises Temporary, as `take` does."""

        async def wanted() -> list[str]:
            return [*names]

        hold = await self.take(wanted)
        try:
            async with self.renewed(hold):
                yield
        finally:
            for key in hold.keys:
                await self.memory.script(RELEASE, [key], hold.token)

    @asynccontextmanager
    async def renewed(self, hold: Hold) -> AsyncIterator[None]:
        """Extend the locks for as long as the block takes and they are ours: a file may be fetched longer than a lease."""
        renewing = asyncio.create_task(self._renew(hold))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, hold: Hold) -> None:
        ours = True
        while ours:
            await asyncio.sleep(self.lease_s / 3)
            with suppress(Temporary):  # it may be back before the lease is over
                ours = bool(await self.memory.script(RENEW, [*hold.keys], hold.token, int(self.lease_s * 1000)))
