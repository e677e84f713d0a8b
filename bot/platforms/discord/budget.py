"""How often Discord is spoken to: a budget for each room and one for all, so that no request is ever refused for being one
too many, and edits of messages that are being written give way to everything else.

Where Discord does refuse one (429), the room's pace is halved, and comes back bit by bit.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from bot.platforms.discord import limits

MARGIN = 0.9  # of what Discord allows: its clock is not ours, and requests overtake each other on the way
SPARE = 2  # turns of a room that edits leave to messages
SLOWEST = 0.1  # of a room's pace, after refusal upon refusal
MENDS_S = 60.0  # until a room that was refused has its whole pace again
ROOMS = 512  # budgets that are kept; one that has not been used for a while is as good as new


class Bucket:
    """So many turns: `burst` at once, `per_s` a second from then on, by `clock` in seconds."""

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float]) -> None:
        self.per_s, self.burst, self.clock = per_s, burst, clock
        self.turns, self.at = burst, clock()
        self.refused_at: float | None = None
        self.pace = 1.0

    def wait_s(self, spare: float = 0.0) -> float:
        """How long until there is a turn besides `spare` others."""
        self._fill()
        lacks = 1.0 + spare - self.turns
        return 0.0 if lacks <= 1e-9 else lacks / (self.per_s * self.pace)

    def take(self) -> None:
        self._fill()
        self.turns -= 1

    def refused(self) -> None:
        """A request was one too many all the same: begin anew, slower."""
        self._fill()
        self.turns = min(self.turns, 0.0)
        self.pace = max(SLOWEST, self.pace / 2)

    def full(self) -> bool:
        self._fill()
        return self.turns >= self.burst and self.pace >= 1

    def _fill(self) -> None:
        now = self.clock()
        passed = max(0.0, now - self.at)
        self.turns = min(self.burst, self.turns + passed * self.per_s * self.pace)
        self.pace = min(1.0, self.pace + passed / MENDS_S)
        self.at = now


class Budget:
    """Turns to send something to Discord. `edit`: one that may wait, since a newer one will follow.

    `times`: how many times as fast as Discord allows it, for one that sets no limits.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, times: float = 1.0) -> None:
        self.clock, self.times = clock, times
        many, per_s = limits.REQUESTS
        self._all = Bucket(times * many / per_s * MARGIN, many * MARGIN / 4, clock)
        self._rooms: dict[str, Bucket] = {}
        self._queue = asyncio.Lock()  # edits of all rooms in the order in which they came

    async def turn(self, room: str, *, edit: bool = False) -> None:
        """Wait for a turn in a room, and take it."""
        await self._wait(self._of(room), SPARE if edit else 0)
        if not edit:
            await self._wait(self._all, 0)
        else:
            async with self._queue:
                await self._wait(self._all, self._all.burst / 4)
        self._of(room).take()
        self._all.take()

    async def any(self) -> None:
        """Wait for a turn that belongs to no room, and take it."""
        await self._wait(self._all, 0)
        self._all.take()

    def refused(self, room: str) -> None:
        """Discord refused a request there (429)."""
        self._of(room).refused()

    async def _wait(self, bucket: Bucket, spare: float) -> None:
        while wait_s := bucket.wait_s(spare):  # noqa: ASYNC110, time is what it waits for
            await asyncio.sleep(wait_s)

    def _of(self, room: str) -> Bucket:
        if room not in self._rooms:
            if len(self._rooms) >= ROOMS:
                self._rooms = {name: one for name, one in self._rooms.items() if not one.full()}
            many, per_s = limits.EDITS
            self._rooms[room] = Bucket(self.times * many / per_s * MARGIN, many - 1, self.clock)
        return self._rooms[room]


class Newest:
    """Messages that are being written: of each only the newest text is sent, when it has a turn.

    `turn(key)` waits for one, `send(key)` sends what there is by then; it raises nothing.
    """

    def __init__(self, turn: Callable[[str], Awaitable[None]], send: Callable[[str], Awaitable[None]]) -> None:
        self.turn, self.send = turn, send
        self.skipped = 0  # texts that a newer one made needless
        self._waiting: set[str] = set()
        self._sending: set[str] = set()
        self._works: dict[str, asyncio.Task[None]] = {}

    def put(self, key: str) -> None:
        """There is something newer to show of `key`."""
        self.skipped += key in self._waiting
        self._waiting.add(key)
        if key not in self._works:
            self._works[key] = asyncio.create_task(self._work(key))

    async def _work(self, key: str) -> None:
        try:
            while key in self._waiting:
                await self.turn(key)
                self._waiting.discard(key)
                self._sending.add(key)
                await self.send(key)
                self._sending.discard(key)
        finally:
            self._sending.discard(key)
            del self._works[key]

    async def settle(self, key: str) -> None:
        """Forget what waits of `key`, and return when nothing of it is on its way."""
        self._waiting.discard(key)
        work = self._works.get(key)
        if work and key not in self._sending:
            work.cancel()
        if work:
            await asyncio.gather(work, return_exceptions=True)

    async def close(self) -> None:
        for key in [*self._works]:
            await self.settle(key)
