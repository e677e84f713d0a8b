"""How often Discord is spoken to: turns for each room, and for all rooms together."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from time import monotonic

from bot.platforms.discord import limits
from bot.turns import Turns, Window

SPARE = 1  # turns of a room that edits leave to messages
SPARE_OF_ALL = 1  # turn of all rooms together that they leave: the next comes soon, and messages are before them
ROOMS = 512  # whose turns are kept; one that has not been used for a while is as good as new


class Budget:
    """Turns to send something to Discord. `times`: how many times as much as it allows, for one that sets no limits."""

    def __init__(self, clock: Callable[[], float] = monotonic, times: float = 1.0) -> None:
        self.clock, self.times = clock, times
        self._turns = Turns()
        self._all = self._window(limits.REQUESTS, SPARE_OF_ALL)
        self._rooms: dict[tuple[str, bool], Window] = {}  # by their ids, one for edits and one for new messages

    def turn(self, room: str, *, edit: bool = False, new: bool = False) -> AbstractAsyncContextManager[None]:
        """Wait for a turn in a room ("": it belongs to none), and have it until a request is answered.

        `edit`: one that may wait, since a newer one will follow; `new`: a message of its own, which Discord counts apart.
        """
        return self._turns.turn([self._all, self._of(room, new)] if room else [self._all], edit=edit)

    def refused(self, room: str) -> None:
        """Discord refused a request there (429), and its library sends it again, which is one more; "": of any room."""
        if not room:
            return self._all.refused()
        for new in (False, True):
            self._of(room, new).refused()

    def _of(self, room: str, new: bool) -> Window:
        if (room, new) not in self._rooms:
            if len(self._rooms) >= ROOMS:
                wanted = self._turns.wanted()
                self._rooms = {name: one for name, one in self._rooms.items() if one in wanted or not one.fresh()}
            self._rooms[room, new] = self._window(limits.EDITS, SPARE)
        return self._rooms[room, new]

    def _window(self, limit: tuple[int, float], spare: int) -> Window:
        most, per_s = limit
        return Window(int(most * self.times), per_s, spare, self.clock)
