"""Turns to speak to a platform: so that no request is refused for being one too many, and what is being written gives way.

A platform counts a request at some moment between its sending and its answer, so a turn counts all that time, and as long
again as the platform's window is: however long requests are on their way, none finds more than are allowed before it.
Edits wait for each other in the order in which they came, evenly spread, so that of a hundred answers that are written at
once each is shown anew as often as any other. Where one is refused all the same (429), the pace there is halved, and comes
back bit by bit.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from time import monotonic

LONGER = 1.01  # times as long as a platform's are our windows: clocks run and timers ring a little differently
SLOWEST = 0.1  # of a pace, after refusal upon refusal
MENDS_S = 60.0  # until what was refused has its whole pace again
SOON_S = 1e-6  # what is due so soon is due: a timer may ring a little early
NEVER = float("inf")  # how long there is to wait for what only the end of a request brings


class Window:
    """At most `most` turns in `per_s` seconds by `clock`; edits leave `spare` of them, and come one by one."""

    def __init__(self, most: int, per_s: float, spare: int = 0, clock: Callable[[], float] = monotonic) -> None:
        self.most, self.per_s, self.spare, self.clock = most, per_s * LONGER, spare, clock
        self.pace, self.at = 1.0, clock()
        self._open = 0  # requests that have no answer yet
        self._over: deque[float] = deque(maxlen=most)  # when others had theirs, the oldest first
        self._next = clock()  # the earliest moment of the next edit
        self._rests = 0.0  # until then nothing is sent

    def wait_s(self, *, edit: bool = False) -> float:
        """How long until there is a turn; NEVER if some request has to end first."""
        now, most = self._mend(), self.most - self.spare if edit else self.most
        left = most - self._open
        if left <= 0:
            return NEVER
        free = self._over[-left] + self.per_s / self.pace - now if len(self._over) >= left else 0.0
        return max(0.0, free, self._rests - now, self._next - now if edit else 0.0)

    def take(self, *, edit: bool = False) -> None:
        now = self._mend()
        self._open += 1
        if edit:
            gap = self.per_s / self.pace / (self.most - self.spare)
            self._next = max(self._next, now - gap) + gap  # what a timer rings late is made good

    def give_back(self, *, used: bool = True) -> None:
        """A request has its answer, or none was sent."""
        self._open -= 1
        if used:
            self._over.append(self._mend())

    def refused(self, rests_s: float = 0.0) -> None:
        """A request was one too many all the same: send nothing for so long, and go slower then."""
        now = self._mend()
        self._over.append(now)
        self._rests = max(self._rests, now + rests_s)
        self.pace = max(SLOWEST, self.pace / 2)

    def fresh(self) -> bool:
        """Whether nothing is left to be known of it."""
        over = not self._over or self._mend() >= self._over[-1] + self.per_s
        return over and not self._open and self.pace >= 1

    def _mend(self) -> float:
        now = self.clock()
        self.pace = min(1.0, self.pace + max(0.0, now - self.at) / MENDS_S)
        self.at = now
        return now


@dataclass(slots=True, eq=False)
class Waiting:
    windows: Sequence[Window]
    edit: bool
    due: asyncio.Future[None]


class Turns:
    """Hands out turns in windows, messages before edits, each kind in the order in which it came."""

    def __init__(self) -> None:
        self._messages: deque[Waiting] = deque()
        self._edits: deque[Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def wanted(self) -> set[Window]:
        """The windows that somebody waits for."""
        return {window for waiting in (*self._messages, *self._edits) for window in waiting.windows}

    @asynccontextmanager
    async def turn(self, windows: Sequence[Window], *, edit: bool = False) -> AsyncIterator[None]:
        """Wait until all of these windows have room, and take it until a request is answered.

        `edit`: one that may wait, since a newer one will follow.
        """
        waiting = Waiting(windows, edit, asyncio.get_running_loop().create_future())
        queue = self._edits if edit else self._messages
        queue.append(waiting)
        self._serve()
        try:
            await waiting.due
        except asyncio.CancelledError:
            if waiting in queue:
                queue.remove(waiting)
            else:
                self._give_back(windows, used=False)
            raise
        try:
            yield
        finally:
            self._give_back(windows, used=True)

    def _give_back(self, windows: Sequence[Window], *, used: bool) -> None:
        for window in windows:
            window.give_back(used=used)
        self._serve()

    def _serve(self) -> None:
        """Give turns to all that may have one now, messages first; ring again when the next may."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        waits = min([*self._serve_some(self._messages), *self._serve_some(self._edits)], default=NEVER)
        if waits < NEVER:
            self._timer = asyncio.get_running_loop().call_later(waits, self._serve)

    def _serve_some(self, queue: deque[Waiting]) -> Iterator[float]:
        """Give turns in the order of the queue; how long those have to wait that get none."""
        full: dict[Window, float] = {}  # what one had to wait for, all after it have to
        for one in [*queue]:
            if one.due.done():  # it was given up
                continue
            wait_s = max(full.get(window) or window.wait_s(edit=one.edit) for window in one.windows)
            if wait_s > SOON_S:
                full |= {window: wait_s for window in one.windows if window.wait_s(edit=one.edit) > SOON_S}
                yield wait_s
                continue
            for window in one.windows:
                window.take(edit=one.edit)
            queue.remove(one)
            one.due.set_result(None)


class Newest:
    """Messages that are being written: of each only the newest text is sent, when it has a turn.

    `turn(key)` is entered when there is one, `send(key)` sends what there is by then; it raises nothing.
    """

    def __init__(
        self, turn: Callable[[str], AbstractAsyncContextManager[None]], send: Callable[[str], Awaitable[None]]
    ) -> None:
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
                async with self.turn(key):
                    self._waiting.discard(key)
                    self._sending.add(key)
                    await self.send(key)
                    self._sending.discard(key)
        finally:
            self._sending.discard(key)
            self._works.pop(key, None)

    async def settle(self, key: str) -> None:
        """Forget what waits of `key`, and return when nothing of it is on its way."""
        self._waiting.discard(key)
        work = self._works.get(key)
        if work and key not in self._sending:
            work.cancel()
        if work:
            await asyncio.gather(work, return_exceptions=True)
            self._works.pop(key, None)  # one that was ended before it began did not do so itself

    async def close(self) -> None:
        for key in [*self._works]:
            await self.settle(key)
