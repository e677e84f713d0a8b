"""What the engine counts, for operators and for those who tune it."""

import time
from collections import deque
from dataclasses import dataclass

BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # of the histogram of times to the first token
WINDOW_S = 10.0  # over which tokens a second are counted


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts since the start, but `running`, `waiting`, `cells` (used now) and `tokens_per_s` (of the last 10 s).

    `first_token_s` has a count a bound of BOUNDS_S and one for what took longer, `first_token_sum_s` their sum.
    """

    running: int
    waiting: int
    cells: int
    steps: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    tokens_per_s: float
    first_token_s: tuple[int, ...]
    first_token_sum_s: float


class Meter:
    """Counts along; written by the engine's thread alone."""

    def __init__(self) -> None:
        self.steps = 0
        self._prompt = self._completion = 0
        self._firsts = [0] * (len(BOUNDS_S) + 1)
        self._first_sum = 0.0
        self._recent: deque[tuple[float, int]] = deque()

    def asked(self, tokens: int) -> None:
        self._prompt += tokens

    def step(self) -> None:
        self.steps += 1

    def first(self, seconds: float) -> None:
        self._firsts[sum(seconds > bound for bound in BOUNDS_S)] += 1
        self._first_sum += seconds

    def wrote(self, tokens: int) -> None:
        self._completion += tokens
        now = time.monotonic()
        if self._recent and now - self._recent[-1][0] < 0.1:
            self._recent[-1] = (self._recent[-1][0], self._recent[-1][1] + tokens)
        else:
            self._recent.append((now, tokens))
        while self._recent[0][0] < now - WINDOW_S:
            self._recent.popleft()

    def read(self, *, running: int, waiting: int, cells: int, cached: int) -> Stats:
        since = time.monotonic() - WINDOW_S
        rate = sum(count for at, count in list(self._recent) if at >= since) / WINDOW_S
        counts = (self.steps, self._prompt, cached, self._completion)
        return Stats(running, waiting, cells, *counts, rate, tuple(self._firsts), self._first_sum)
