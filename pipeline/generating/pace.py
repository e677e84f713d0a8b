"""How many requests an endpoint is sent at once: more as long as that makes it faster, fewer when it says that it is busy.

A server that batches answers each request more slowly the more it has at once; it is faster as long as that costs each
less than the others gain. So another number is tried, and what answers that are asked for since then take is held against
what they took before, by step and length, since a judge's line says nothing of a long text. By Little's law (1961) answers
a second are the number by their time. Twice as many that do not bring GAIN times as much are given up. After a rest, which
doubles each time, AGAIN times as many are tried, with more answers, so that chance does not drive the number up; after long
rests in turn so many times fewer, which are kept where they bring as much.

A server that turns a request away is left alone for as long as it asks, and is sent as few as it took before, else half,
once for all that were on their way (Jacobson, 1988, "Congestion avoidance and control"). Up to the number that it turned
away it is then approached by CAREFUL steps.
"""

import math
from collections import Counter
from collections.abc import Callable

FIRST, LEAST = 32, 1
GROWTH, AGAIN, CAREFUL = 2.0, 1.5, 1.25
GAIN = 1.05  # by twice as many, for these to be worth it
REST, LONG_REST, LONGEST_REST = 2, 16, 64  # rounds after which a number that brought nothing is tried again
FEW, SURE = 4, 4  # answers of a round, at least; and times as many as at first, once a number has brought nothing
SETTLE = 0.1  # of an answer's time, until as many are on their way as may be: what is sent by then waits less in the server
PAUSE_S = 1.0  # what a server that is busy is given where it does not say


class Times:
    """Answers of a round, by step: how many, of how many characters, and the seconds that they took."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.chars: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}

    def add(self, step: str, chars: int, seconds: float) -> None:
        self.count[step] += 1
        self.chars[step] += chars + 40  # a request costs something without any
        self.seconds[step] = self.seconds.get(step, 0.0) + seconds

    def slower(self, than: "Times") -> float | None:
        """Times the seconds that the same answers took there; None where fewer than half are of steps that were there."""
        both = [step for step in self.count if than.count[step] >= FEW]
        if sum(self.count[step] for step in both) < max(FEW, self.count.total() / 2):
            return None
        expected = sum(self.chars[step] * than.seconds[step] / than.chars[step] for step in both)
        return sum(self.seconds[step] for step in both) / max(expected, 1e-9)


class Pace:
    """The number for one endpoint: `limit`, at most `most`. `clock` in seconds."""

    def __init__(self, most: int, clock: Callable[[], float], first: int = FIRST) -> None:
        self.most, self.clock = most, clock
        self.limit = min(first, most)
        self._held = 0  # the number that holds, while another is tried
        self._refused = 0  # the number at which a request was turned away
        self._before, self._now = Times(), Times()
        self._left, self._rest, self._fewer = 0, REST, False
        self._changed = self._since = clock()
        self._full_at, self._open_at = -math.inf, 0.0

    def wait_s(self) -> float:
        """How long nothing is to be sent; 0 if something may be."""
        return max(0.0, self._open_at - self.clock())

    def took(self, step: str, chars: int, began: float, *, full: bool) -> None:
        """An answer of so many characters came. `full`: no more than may be could be on their way, so the number decides."""
        now = self.clock()
        self._full_at = now if full else self._full_at
        if began < self._since or now - self._full_at > SETTLE * (now - began):  # of answers that come together one is first
            return  # it was sent when the number was another, or does not tell what the number does
        self._now.add(step, chars, now - began)
        sure = SURE if self._rest > REST and self.limit >= self._held and not self._refused else 1
        if self._now.count.total() >= max(FEW, sure * min(self.limit, self._held or self.limit) // 2):
            self._judge()

    def busy(self, began: float, wait_s: float | None) -> None:
        """The endpoint turned a request away that was sent at `began`."""
        self._open_at = max(self._open_at, self.clock() + (PAUSE_S if wait_s is None else wait_s))
        if began >= self._changed:
            self._refused = self.limit
            if 0 < self._held < self.limit:
                self._back()
            else:
                self._left = self._rest = REST
                self._set(max(LEAST, self.limit // 2), 0)

    def _judge(self) -> None:
        """Draw the conclusion from a round of answers."""
        slower = self._now.slower(self._before)
        if self._held and slower is not None:
            times = self.limit / self._held
            least = 1 / GAIN if self._refused else GAIN ** math.log2(times)
            if times / slower < least:
                return self._back()
            self._rest = max(REST, self._rest // 2)
        if self.limit > self._refused:
            self._refused = 0
        self._before, self._now, self._held = self._now, Times(), 0
        self._left -= 1
        if self._left < 0:
            self._try()
        return None

    def _try(self) -> None:
        """Go on with another number, if there is one to try."""
        self._fewer = self._rest >= LONG_REST and not (self._fewer or self._refused)
        careful = 0 < self._refused <= self.limit * GROWTH
        times = 1 / AGAIN if self._fewer else CAREFUL if careful else GROWTH if self._rest == REST else AGAIN
        tried = min(self.most, math.ceil(self.limit * times))
        if tried == self.limit:
            self._left = self._rest
        else:
            self._set(tried, self.limit)

    def _back(self) -> None:
        """Give up what was tried, and rest."""
        self._left, self._rest = self._rest, min(LONGEST_REST, 2 * self._rest)
        self._set(self._held, 0)

    def _set(self, limit: int, held: int) -> None:
        mean_s = sum(self._now.seconds.values()) / max(1, self._now.count.total())
        self.limit, self._held, self._now = limit, held, Times()
        self._changed = self.clock()
        self._since = self._changed + SETTLE * mean_s
