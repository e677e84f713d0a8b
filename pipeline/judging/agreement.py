"""How far two agree who say yes or no of the same things: counts, Cohen's kappa, and how sure that is.

Kappa (Cohen, 1960, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20) is the
share of agreement beyond what chance would give: (p - e) / (1 - e), where p is the share of things on which both agree and
e that on which two would who say yes as often as these, but without looking. 1 is full agreement, 0 is chance, below 0 is
less than chance.

Its interval is a percentile bootstrap (Efron and Tibshirani, 1993, "An introduction to the bootstrap", chapter 13): the
things are drawn anew, with replacement, DRAWS times, and the middle SHARE of their kappas is the interval. The draws are
seeded, so that the same counts always have the same interval.
"""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

DRAWS, SHARE, SEED = 2000, 0.95, 1
LEAST = 0.2  # up to here agreement is "slight" (Landis and Koch, 1977, "The measurement of observer agreement")


@dataclass(frozen=True, slots=True)
class Counts:
    """The confusion of what should be kept (good) and what is."""

    good_kept: int = 0
    good_dropped: int = 0
    bad_kept: int = 0
    bad_dropped: int = 0

    @property
    def all(self) -> int:
        return self.good_kept + self.good_dropped + self.bad_kept + self.bad_dropped

    @property
    def accuracy(self) -> float:
        """The share on which both agree, 0 to 1; 0 of nothing."""
        return (self.good_kept + self.bad_dropped) / self.all if self.all else 0.0

    @property
    def kappa(self) -> float:
        """-1 to 1; 0 where there is nothing to tell apart, since both say the same of everything."""
        good, kept = self.good_kept + self.good_dropped, self.good_kept + self.bad_kept
        chance = (good * kept + (self.all - good) * (self.all - kept)) / self.all**2 if self.all else 1.0
        return (self.accuracy - chance) / (1 - chance) if chance < 1 else 0.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kappa with its interval from `low` to `high`."""

    counts: Counts
    kappa: float
    low: float
    high: float

    @property
    def chance(self) -> bool:
        """Whether this may be chance, or is so little that it is of no use."""
        return self.low <= 0 or self.kappa < LEAST


def counted(pairs: Iterable[tuple[bool, bool]]) -> Counts:
    """`pairs`: whether a thing is good, and whether it is kept."""
    found = Counter(pairs)
    return Counts(found[True, True], found[True, False], found[False, True], found[False, False])


def agreement(counts: Counts) -> Agreement:
    """The agreement that these counts show, rounded to four digits."""
    cells = (counts.good_kept, counts.good_dropped, counts.bad_kept, counts.bad_dropped)
    if not counts.all:
        return Agreement(counts, 0.0, 0.0, 0.0)
    draw = random.Random(SEED)
    kappas = sorted(_drawn(draw, cells).kappa for _ in range(DRAWS))
    tail = int(DRAWS * (1 - SHARE) / 2)
    return Agreement(counts, round(counts.kappa, 4), round(kappas[tail], 4), round(kappas[-1 - tail], 4))


def _drawn(draw: random.Random, cells: tuple[int, ...]) -> Counts:
    found = Counter(draw.choices(range(4), weights=cells, k=sum(cells)))
    return Counts(*(found[cell] for cell in range(4)))
