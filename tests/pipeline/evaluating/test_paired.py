"""Whether two models differ: against plain counting, and whether intervals hold what they say."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluating import paired
from pipeline.evaluating.paired import Difference, Interval

SHARES = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40)
TWENTIETHS = st.lists(st.integers(-20, 20).map(lambda one: one / 20), min_size=1, max_size=9)


def counted(change: list[float]) -> float:
    """The sign-flip test by plain counting: of all patterns of signs, how many are as far from nothing."""
    patterns = [
        sum(size * sign for size, sign in zip(change, signs, strict=True))
        for signs in itertools.product((1, -1), repeat=len(change))
    ]
    return sum(abs(one) >= abs(sum(change)) - 1e-9 for one in patterns) / len(patterns)


@given(TWENTIETHS)
def test_p_is_the_share_of_sign_patterns_that_are_as_far_from_nothing(change: list[float]) -> None:
    assert paired.p_value(change) == pytest.approx(counted(change))


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 30))
def test_right_and_wrong_are_tested_as_mcnemar_has_it_and_equal_answers_change_nothing(lost: int, won: int, same: int) -> None:
    change = [-1.0] * lost + [1.0] * won + [0.0] * same

    assert paired.p_value(change) == pytest.approx(counted([one for one in change if one]) if lost + won else 1.0)


def test_mcnemar_of_known_counts() -> None:
    assert paired.mcnemar(0, 22) == 2 / 2**22
    assert paired.mcnemar(0, 5) == 0.0625
    assert paired.mcnemar(3, 3) == 1.0
    assert paired.mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 1024)
    assert 0 <= paired.mcnemar(4_000, 6_000) < 1e-80


def test_many_differences_are_drawn_and_come_near_what_counting_gives() -> None:
    draw = random.Random(3)
    change = [round(draw.uniform(-0.6, 1), 2) for _ in range(15)]  # one more than is counted

    assert paired.p_value(change) == pytest.approx(counted(change), abs=0.01)


def test_p_is_never_nothing() -> None:
    assert paired.p_value([0.5 + one / 100 for one in range(30)]) == 1 / 10_001


@given(SHARES, st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_an_interval_holds_its_mean_and_stays_within_what_can_be_in_whichever_order(
    values: list[float], draw: random.Random
) -> None:
    found = paired.interval(values)
    shuffled = draw.sample(values, len(values))

    assert -1e-9 <= found.low <= found.mean + 1e-9 and found.mean - 1e-9 <= found.high <= 1 + 1e-9
    assert paired.interval(shuffled) == found


@given(SHARES)
@settings(max_examples=25)
def test_swapping_the_models_turns_everything_round(values: list[float]) -> None:
    before, after = values, values[::-1]
    one, other = paired.difference(before, after), paired.difference(after, before)

    assert (one.mean, one.p) == (pytest.approx(-other.mean), pytest.approx(other.p, abs=0.01))
    assert one.low == pytest.approx(-other.high, abs=0.05)


def test_the_same_answers_give_the_same_figures() -> None:
    assert paired.difference([0, 1, 0.5, 0.25], [1, 1, 1, 0]) == paired.difference([0, 1, 0.5, 0.25], [1, 1, 1, 0])


def test_22_of_24_lies_between_79_and_100_percent() -> None:
    found = paired.interval([1.0] * 22 + [0.0] * 2)

    assert (round(found.mean, 2), round(found.low, 2), round(found.high, 2)) == (0.92, 0.79, 1.0)


def test_all_right_is_not_certain_to_stay_so() -> None:
    """Clopper and Pearson's bound: a share of 85.75% gives 24 of 24 in one case of 40."""
    assert paired.interval([1.0] * 24) == Interval(1.0, pytest.approx(0.8575, abs=1e-4), 1.0)
    assert paired.interval([0.0] * 24) == Interval(0.0, 0.0, pytest.approx(0.1425, abs=1e-4))
    assert pytest.approx(0.025, abs=1e-4) == 0.8575**24
    assert paired.difference([1.0] * 40, [1.0] * 40) == Difference(
        0.0, pytest.approx(-0.088, abs=1e-3), pytest.approx(0.088, abs=1e-3), 1.0
    )


def test_nothing_asked_could_be_anything() -> None:
    assert paired.interval([]) == Interval(0.0, 0.0, 1.0)


@pytest.mark.parametrize("share", [0.15, 0.5, 0.9])
def test_intervals_hold_the_truth_about_as_often_as_they_say(share: float) -> None:
    """400 tests of 60 questions: in 95% of them it should; a bootstrap of few questions is known to be a little short."""
    random = np.random.default_rng(7)
    found = [paired.interval(random.random(60) < share, draws=1_000) for _ in range(400)]

    assert 0.90 <= sum(one.low <= share <= one.high for one in found) / 400 <= 0.99


def test_no_difference_is_found_where_there_is_none_but_for_one_case_in_twenty() -> None:
    random = np.random.default_rng(5)
    pairs = random.random((2, 1_000, 60)) < 0.4
    found = [paired.p_value((late.astype(float) - early).tolist()) < paired.ALPHA for early, late in zip(*pairs, strict=True)]

    assert sum(found) / 1_000 <= 0.06


def clustered(change: list[float], of: list[int]) -> float:
    """By plain counting: the signs of a cluster are flipped together."""
    return counted([sum(one for one, which in zip(change, of, strict=True) if which == it) for it in set(of)])


@given(st.lists(st.tuples(st.integers(-20, 20).map(lambda one: one / 20), st.integers(0, 6)), min_size=1, max_size=30))
def test_questions_that_are_not_independent_change_their_signs_together(pairs: list[tuple[float, int]]) -> None:
    change, of = [one for one, _ in pairs], [which for _, which in pairs]

    assert paired.p_value(change, of) == pytest.approx(clustered(change, of))


@given(SHARES, st.integers(2, 4))
@settings(max_examples=25)
def test_asking_each_question_several_times_tells_nothing_more(values: list[float], times: int) -> None:
    again = [value for value in values for _ in range(times)]
    of = [at for at in range(len(values)) for _ in range(times)]
    one, other = paired.interval(values), paired.interval(again, of)

    assert (other.mean, other.low, other.high) == pytest.approx((one.mean, one.low, one.high))
    assert paired.independent(of) == len(values)


def test_rewordings_of_few_questions_find_no_difference_where_there_is_none() -> None:
    """40 seed questions, 4 wordings each of which gets the answer of the others: as separate questions a third would differ."""
    random = np.random.default_rng(1)
    of = [at for at in range(40) for _ in range(4)]
    found = []
    for _ in range(200):
        change = np.repeat(random.choice([-1.0, 0.0, 1.0], 40), 4).tolist()
        found.append((paired.p_value(change, of) < paired.ALPHA, paired.p_value(change) < paired.ALPHA))

    assert sum(together for together, _ in found) <= 0.08 * 200 < 0.2 * 200 < sum(apart for _, apart in found)


def test_intervals_over_clusters_hold_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        sizes = random.integers(1, 6, 40)
        values, of = np.repeat(random.random(40) < 0.4, sizes), np.repeat(np.arange(40), sizes)
        found = paired.interval(values.astype(float).tolist(), of.tolist(), draws=500)
        held += found.low <= 0.4 <= found.high

    assert 0.88 <= held / 200 <= 0.99


@pytest.mark.parametrize(
    ("asked", "mean", "p", "verdict"),
    [
        (29, 0.9, 1e-6, "few"),
        (30, 0.9, 1e-6, "better"),
        (30, -0.4, 0.049, "worse"),
        (30, 0.1, 0.05, "none"),
        (300, 0.0, 1.0, "none"),
    ],
)
def test_a_verdict_wants_30_questions_and_a_difference_that_chance_would_hardly_make(
    asked: int, mean: float, p: float, verdict: str
) -> None:
    assert paired.verdict(asked, Difference(mean, 0.0, 0.0, p)) == verdict
