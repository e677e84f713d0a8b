"""The number of requests finds what a server takes and stays there: simulated servers, in a time of their own."""

import heapq
import random
from collections.abc import Callable

import pytest

from pipeline.generating.pace import FIRST, PAUSE_S, Pace

STEPS = {  # tokens, characters and share of the requests of a recipe
    "questions": (600, 180, 0.1),
    "judge_questions": (40, 150, 0.35),
    "answers": (220, 900, 0.3),
    "judge_pairs": (50, 200, 0.25),
}


class Simulated:
    """A server with continuous batching and a client that always has something to ask.

    A sequence takes a slot, each of its tokens `ms` * (1 + active / 64) milliseconds, times what `slower` says for the
    second, give or take 20%. `refuses` says how many requests it takes at most. `trace`: (second, answers, number).
    """

    def __init__(
        self,
        slots: int,
        ms: float = 10.0,
        *,
        seed: int = 0,
        most: int = 512,
        slower: Callable[[float], float] = lambda second: 1.0,
        refuses: Callable[[float], int] = lambda second: 10_000,
        phase: int = 0,
    ) -> None:
        self.slots, self.ms, self.slower, self.refuses, self.phase = slots, ms, slower, refuses, phase
        self.rng = random.Random(seed)
        self.now = self.work = self.busy_s = 0.0
        self.pace = Pace(most, lambda: self.now)
        self.sent = self.done = self.flight = self.refused = 0
        self.active: list[tuple[float, int, str, int, float]] = []
        self.queue: list[tuple[str, float, int, float]] = []
        self.trace = [(0.0, 0, self.pace.limit)]

    def run(self, answers: int) -> "Simulated":
        self.busy_s, self.since = 0.0, self.now
        until = self.done + answers
        while self.done < until:
            self._send()
            self._answer()
        return self

    @property
    def occupied(self) -> float:
        """How many sequences were active, on average, in the last run."""
        return self.busy_s / (self.now - self.since)

    def _send(self) -> None:
        while self.flight < self.pace.limit and not self.pace.wait_s():
            self.sent += 1
            if self.flight >= self.refuses(self.now):
                self.refused += 1
                self.pace.busy(self.now, None)
                break
            names = list(STEPS)
            step = (
                names[self.sent // self.phase % 4]
                if self.phase
                else self.rng.choices(names, [one[2] for one in STEPS.values()])[0]
            )
            long = self.rng.uniform(0.6, 1.4)
            tokens, chars, _ = STEPS[step]
            self.queue.append((step, tokens * long * self.rng.uniform(0.8, 1.2), int(chars * long), self.now))
            self.flight += 1
        while self.queue and len(self.active) < self.slots:
            step, work, chars, began = self.queue.pop(0)
            heapq.heappush(self.active, (self.work + work, self.sent * 1000 + len(self.queue), step, chars, began))

    def _answer(self) -> None:
        """Let the time go on to the next answer, or to when something may be sent."""
        each_s = self.ms / 1000 * (1 + len(self.active) / 64) * self.slower(self.now)
        left_s = (self.active[0][0] - self.work) * each_s if self.active else self.pace.wait_s()
        wait_s = self.pace.wait_s() + 1e-6
        pausing = wait_s < left_s and self.flight < self.pace.limit and wait_s > 1e-6
        passed_s = wait_s if pausing or not self.active else left_s
        self.now, self.work = self.now + passed_s, self.work + passed_s / each_s
        self.busy_s += passed_s * len(self.active)
        if pausing or not self.active:
            return
        _, _, step, chars, began = heapq.heappop(self.active)
        full = self.flight >= self.pace.limit
        self.flight, self.done = self.flight - 1, self.done + 1
        self.pace.took(step, chars, began, full=full)
        if self.pace.limit != self.trace[-1][2]:
            self.trace.append((self.now, self.done, self.pace.limit))

    def reached(self, number: float) -> int:
        """After how many answers the number was as great."""
        return next(done for _, done, limit in self.trace if limit >= number)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("slots", "ms"), [(64, 10.0), (100, 10.0), (256, 3.0), (512, 3.0)])
def test_the_number_comes_to_the_slots_within_a_few_answers_of_each_and_stays_there(slots: int, ms: float, seed: int) -> None:
    server = Simulated(slots, ms, seed=seed).run(6 * slots)

    assert server.reached(0.9 * slots) <= 1.2 * slots
    assert server.run(4000).occupied >= 0.95 * slots
    assert slots * 0.6 <= server.pace.limit <= slots * 2


@pytest.mark.parametrize("seed", range(3))
def test_in_a_long_run_chance_neither_drives_the_number_up_nor_lets_it_fall(seed: int) -> None:
    server = Simulated(64, seed=seed).run(20_000)

    assert server.occupied >= 0.97 * 64
    assert {limit for _, done, limit in server.trace if done > 200} <= set(range(43, 129))


@pytest.mark.parametrize("seed", range(3))
def test_a_server_with_fewer_slots_than_are_asked_for_at_first_is_always_full(seed: int) -> None:
    assert Simulated(16, 100.0, seed=seed).run(2000).occupied >= 0.95 * 16


@pytest.mark.parametrize("seed", range(3))
def test_a_recipe_whose_steps_come_one_after_the_other_grows_too(seed: int) -> None:
    server = Simulated(256, 3.0, seed=seed, phase=700).run(1500)

    assert server.run(4000).occupied >= 0.95 * 256


@pytest.mark.parametrize("seed", range(4))
def test_a_server_that_is_slower_for_a_while_loses_none_of_its_requests(seed: int) -> None:
    server = Simulated(256, 3.0, seed=seed, slower=lambda second: 4.0 if 10 < second < 25 else 1.0).run(1500)

    assert server.run(6000).occupied >= 0.95 * 256


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("most", [20, 100])
def test_a_server_that_turns_away_what_is_too_much_is_kept_full_and_seldom_asked_for_more(most: int, seed: int) -> None:
    server = Simulated(1000, seed=seed, refuses=lambda second: most).run(1000)
    refused = server.refused

    assert server.run(4000).occupied >= 0.95 * most
    assert refused <= 8
    assert server.refused - refused <= 8


@pytest.mark.parametrize("seed", range(4))
def test_the_number_backs_off_while_a_server_is_busy_and_comes_back(seed: int) -> None:
    server = Simulated(256, 3.0, seed=seed, refuses=lambda second: 60 if 10 < second < 30 else 10_000)

    server.run(2500)
    assert {limit for second, _, limit in server.trace if 18 < second < 30} <= set(range(1, 80))

    server.run(1500)
    assert server.run(2000).occupied >= 0.95 * 256


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def answered(pace: Pace, clock: Clock, count: int, *, full: bool = True) -> None:
    """As many answers, a second after they were asked for."""
    for _ in range(count):
        began, clock.now = clock.now, clock.now + 1.0
        pace.took("answers", 100, began, full=full)


def test_the_number_is_never_more_than_the_most_nor_less_than_one() -> None:
    clock = Clock()
    few, pace = Pace(3, clock), Pace(40, clock)

    assert (few.limit, pace.limit) == (3, FIRST)
    answered(pace, clock, FIRST)
    assert pace.limit == 40
    for _ in range(20):
        pace.busy(clock.now, 0.0)
        clock.now += 1.0
    assert pace.limit == 1


def test_answers_to_fewer_requests_than_may_be_say_nothing() -> None:
    clock = Clock()
    pace = Pace(512, clock)

    answered(pace, clock, 500, full=False)

    assert pace.limit == FIRST


def test_of_answers_that_come_together_all_count_though_only_the_first_finds_the_number_reached() -> None:
    clock = Clock()
    pace = Pace(512, clock)
    clock.now += 1.0

    for at in range(FIRST // 2):
        pace.took("answers", 100, 100.0, full=at == 0)

    assert pace.limit == 2 * FIRST


def test_all_that_were_on_their_way_when_a_server_was_busy_halve_the_number_once() -> None:
    clock = Clock()
    pace = Pace(512, clock)
    began, clock.now = clock.now, clock.now + 1.0

    for _ in range(10):
        pace.busy(began, None)

    assert pace.limit == FIRST // 2
    clock.now += 1.0
    pace.busy(clock.now, None)
    assert pace.limit == FIRST // 4


@pytest.mark.parametrize(("told", "wait_s"), [(None, PAUSE_S), (7.0, 7.0), (0.0, 0.0)])
def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(told: float | None, wait_s: float) -> None:
    clock = Clock()
    pace = Pace(512, clock)
    assert pace.wait_s() == 0

    pace.busy(clock.now, told)
    pace.busy(clock.now, 0.0)

    assert pace.wait_s() == wait_s
    clock.now += wait_s
    assert pace.wait_s() == 0
