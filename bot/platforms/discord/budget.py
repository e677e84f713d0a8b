"""How often Discord is spoken to: turns for each room and for everything, so that no request is refused for being one too
many, and messages that are being written give way to everything else.

Discord counts a request at some moment between its sending and its answer, so a turn counts all that time, and as long
again as Discord's window is: however long requests are on their way, none finds more than are allowed before it. Edits
wait for each other in the order in which they came, evenly spread, so that of a hundred answers that are written at once
each is shown anew as often as any other. Where Discord refuses one all the same (429), the room's pace is halved, and
comes back bit by bit.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from bot.platforms.discord import limits

SLACK = 1.01  # times as long as Discord's are our windows: clocks run and timers ring a little differently
SPARE = 1  # turns of a room that edits leave to messages
SPARE_OF_ALL = 1  # turn of all rooms together that they leave: the next comes soon, and messages are before them
SLOWEST = 0.1  # of a room's pace, after refusal upon refusal
MENDS_S = 60.0  # until a room that was refused has its whole pace again
ROOMS = 512  # whose turns are kept; one that has not been used for a while is as good as new
SOON_S = 1e-6  # what is due so soon is due: a timer may ring a little early
NEVER = float("inf")  # how long there is to wait for what only the end of a request brings


class Window:
    """At most `most` turns in `per_s` seconds by `clock`; edits leave `spare` of them, and come one by one."""

    def __init__(self, most: int, per_s: float, spare: int, clock: Callable[[], float]) -> None:
        self.most, self.per_s, self.spare, self.clock = most, per_s, spare, clock
        self.pace, self.at = 1.0, clock()
        self._open = 0  # requests that have no answer yet
        self._over: deque[float] = deque(maxlen=most)  # when others had theirs, the oldest first
        self._next = clock()  # the earliest moment of the next edit

    def wait_s(self, *, edit: bool = False) -> float:
        """How long until there is a turn; NEVER if some request has to end first."""
        now, most = self._mend(), self.most - self.spare if edit else self.most
        left = most - self._open
        if left <= 0:
            return NEVER
        free = self._over[-left] + self.per_s / self.pace - now if len(self._over) >= left else 0.0
        return max(0.0, free, self._next - now if edit else 0.0)

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

    def refused(self) -> None:
        """A request was one too many all the same: go slower. The library sends it again, which is one more."""
        self._over.append(self._mend())
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
class _Waiting:
    windows: Sequence[Window]  # all rooms', and its own
    edit: bool
    due: asyncio.Future[None]


class Budget:
    """Turns to send something to Discord. `times`: how many times as much as it allows, for one that sets no limits."""

    def __init__(self, clock: Callable[[], float] = monotonic, times: float = 1.0) -> None:
        self.clock, self.times = clock, times
        self._all = self._window(limits.REQUESTS, SPARE_OF_ALL)
        self._rooms: dict[tuple[str, bool], Window] = {}  # by their ids, one for edits and one for new messages
        self._messages: deque[_Waiting] = deque()
        self._edits: deque[_Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self, room: str, *, edit: bool = False, new: bool = False) -> AsyncIterator[None]:
        """Wait for a turn in a room ("": it belongs to none), and have it until a request is answered.

        `edit`: one that may wait, since a newer one will follow; `new`: a message of its own, which Discord counts apart.
        """
        windows = [self._all, self._of(room, new)] if room else [self._all]
        waiting = _Waiting(windows, edit, asyncio.get_running_loop().create_future())
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

    def refused(self, room: str) -> None:
        """Discord refused a request there (429); "": one of any room, since there were too many in all."""
        if not room:
            return self._all.refused()
        for new in (False, True):
            self._of(room, new).refused()

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

    def _serve_some(self, queue: deque[_Waiting]) -> Iterator[float]:
        """Give turns in the order of the queue; how long those have to wait that get none."""
        for one in [*queue]:
            if one.due.done():  # it was given up
                continue
            if (wait_s := self._all.wait_s(edit=one.edit)) > SOON_S:
                yield wait_s
                return
            if (wait_s := one.windows[-1].wait_s(edit=one.edit)) > SOON_S:
                yield wait_s
                continue
            for window in one.windows:
                window.take(edit=one.edit)
            queue.remove(one)
            one.due.set_result(None)

    def _of(self, room: str, new: bool) -> Window:
        if (room, new) not in self._rooms:
            if len(self._rooms) >= ROOMS:
                wanted = {waiting.windows[-1] for waiting in (*self._messages, *self._edits)}
                self._rooms = {name: one for name, one in self._rooms.items() if one in wanted or not one.fresh()}
            self._rooms[room, new] = self._window(limits.EDITS, SPARE)
        return self._rooms[room, new]

    def _window(self, limit: tuple[int, float], spare: int) -> Window:
        most, per_s = limit
        return Window(int(most * self.times), per_s * SLACK, spare, self.clock)


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
