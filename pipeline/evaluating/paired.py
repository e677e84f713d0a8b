"""Whether two models differ, when both were asked the same questions.

Intervals are percentile bootstraps (Efron and Tibshirani, 1993, "An introduction to the bootstrap", chapter 13): questions are
drawn anew, with replacement, DRAWS times, each with both of its answers, and the middle 95% of the means is the interval.
Where all values are the same, as after 24 right answers of 24, drawing anew says nothing; then it is as wide as values could
be that were not met: the exact bound of Clopper and Pearson (1934, Biometrika 26) on their share.

Questions that share a seed question or a text are not independent: an answer that is right to one is likely so to the others.
They are a cluster (`of`: for each question, which), drawn anew together, and their signs are flipped together (Cameron, Gelbach
and Miller, 2008, Review of Economics and Statistics 90): a verdict counts clusters, not wordings.

The test asks how often chance would show as large a difference if it made none which model gave which answer: the signs of
the differences are flipped (Fisher, 1935, "The design of experiments"). For right and wrong that is McNemar's exact test
(1947, Psychometrika 12). All sign patterns are counted up to ENUMERATED differences, else DRAWS random ones, and the one that
was seen with them, so that p is never 0 (Phipson and Smyth, 2010).

Everything is seeded and sorted first: the same answers give the same figures, in whichever order they come.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Verdict = Literal["better", "none", "worse", "few"]
Of = Sequence[Hashable] | None  # for each value its cluster; without, each is alone

DRAWS, SHARE, SEED = 10_000, 0.95, 1
BLOCK = 500  # draws in memory at once
ENUMERATED = 14
ALPHA = 0.05
TINY = 1e-12  # what sums of the same numbers differ by
LEAST = 30  # independent questions: below, an interval of a share is as wide as a third of everything


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, and between what it lies."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """After less before, a mean over the questions; `p` is the chance of one as large where there is none."""

    mean: float
    low: float
    high: float
    p: float


def interval(values: Sequence[float], of: Of = None, *, least: float = 0.0, most: float = 1.0, draws: int = DRAWS) -> Interval:
    """Of the mean of values that lie between `least` and `most`. Of no values: all that there could be."""
    if not len(values):
        return Interval(0.0, least, most)
    sums, counts = _clusters(values, of)
    mean, means = float(sums.sum() / counts.sum()), sums / counts
    if np.ptp(means) < TINY:
        met = ((1 - SHARE) / 2) ** (1 / len(sums))
        return Interval(mean, mean * met + least * (1 - met), mean * met + most * (1 - met))
    random = np.random.default_rng(SEED)
    drawn = (random.integers(0, len(sums), (size, len(sums))) for size in _blocks(draws))
    means = np.concatenate([sums[one].sum(axis=1) / counts[one].sum(axis=1) for one in drawn])
    low, high = np.quantile(means, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return Interval(mean, float(low), float(high))


def difference(before: Sequence[float], after: Sequence[float], of: Of = None) -> Difference:
    """Of values between 0 and 1, one of each model for each question, in the same order."""
    change = [late - early for early, late in zip(before, after, strict=True)]
    return changed(change, of)


def changed(change: Sequence[float], of: Of = None) -> Difference:
    """The same of what changed, question by question, from -1 to 1: such as whose answer a judge preferred."""
    found = interval(change, of, least=-1.0, most=1.0)
    return Difference(found.mean, found.low, found.high, p_value(change, of))


def p_value(change: Sequence[float], of: Of = None) -> float:
    """Two-sided, of the sum of the changes. 1 where nothing changed, or what did is even in every cluster."""
    if not len(change):
        return 1.0
    sums, _ = _clusters(change, of)
    sizes = np.sort(np.abs(sums[np.abs(sums) > TINY]))
    if not len(sizes):
        return 1.0
    if sizes[0] == sizes[-1]:
        return mcnemar(int((sums < -TINY).sum()), int((sums > TINY).sum()))
    seen = abs(math.fsum(sums)) - 1e-9  # sums of the same numbers in another order differ that little
    if len(sizes) <= ENUMERATED:
        signs = 1.0 - 2.0 * ((np.arange(2 ** len(sizes))[:, None] >> np.arange(len(sizes))) & 1)
        return float(np.mean(np.abs(signs @ sizes) >= seen))
    random = np.random.default_rng(SEED)
    flipped = (1.0 - 2.0 * random.integers(0, 2, (size, len(sizes))) for size in _blocks(DRAWS))
    as_large = sum(int((np.abs(signs @ sizes) >= seen).sum()) for signs in flipped)
    return (as_large + 1) / (DRAWS + 1)


def mcnemar(worse: int, better: int) -> float:
    """Exact and two-sided: of so many questions that only one of the two got right."""
    both = worse + better
    tail = ways = 1  # in how many ways none of them is the rarer kind, then one, then two, as whole numbers
    for count in range(min(worse, better)):
        ways = ways * (both - count) // (count + 1)
        tail += ways
    return min(1.0, float(2 * tail / 2**both))


def independent(of: Sequence[Hashable]) -> int:
    """How many clusters there are."""
    return len(set(of))


def verdict(clusters: int, found: Difference) -> Verdict:
    if clusters < LEAST:
        return "few"
    if found.p >= ALPHA:
        return "none"
    return "better" if found.mean > 0 else "worse"


def _clusters(values: Sequence[float], of: Of) -> tuple[Floats, Floats]:
    """The sum of each cluster's values and their count, in an order that hangs on nothing else."""
    several: dict[Hashable, list[float]] = defaultdict(list)
    for value, which in zip(values, range(len(values)) if of is None else of, strict=True):
        several[which].append(value)
    found = np.array(sorted((math.fsum(one), len(one)) for one in several.values()), dtype=np.float64)
    return found[:, 0], found[:, 1]


def _blocks(draws: int) -> Iterator[int]:
    for start in range(0, draws, BLOCK):
        yield min(BLOCK, draws - start)
