"""Samples that ask the same: exactly, or nearly; against each other, and against questions that are there already.

The same are two texts that differ in case, blanks and punctuation at their ends. Near are two that share NEAR of their
shingles (exact Jaccard: what is in both by what is in either) and have the same figures, see `shingles`. What is asked about
a context is the same or near where that holds for the question and the context is the same, or where it holds for the context
and the question is the same: one question about many texts, and many about one text, are what a grounded skill consists of.

Whether two samples are near depends on the two alone, and a sample repeats any that has a lower number, kept or not. So
what is found does not depend on the order in which samples come: what `Near` tells early, `duplicates` finds again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.generating import shingles
from pipeline.generating.index import Index
from pipeline.generating.shingles import Ints, Shingles, Tokens, joined

NEAR = 70  # percent of the Jaccard index; Self-Instruct (Wang and others, 2022) took 0.7 of ROUGE-L

_ALL = 2**64 - 1
_PENDING = 256  # texts that `Near` compares one by one before it sorts them in


@dataclass(frozen=True, slots=True)
class Found:
    """Which text, by its number, another one repeats."""

    kind: Literal["same", "near"]
    number: int


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts made ready. `keys` stand for them as a whole; each has one set of shingles, or two where it has a context."""

    keys: Tokens
    sets: Shingles
    owners: Ints  # of each set, the position of its text

    def __len__(self) -> int:
        return len(self.keys)


def texts(asked: Sequence[tuple[str, str]]) -> Texts:
    """Questions with their contexts ("" for none) made ready, about 15 µs each where there is none."""
    keys, found, salts, owners = [], [], [], []
    for number, (question, context) in enumerate(asked):
        ask = shingles.same(question)
        words, figures = shingles.read(question)
        about = shingles.same(context) if context else 0
        keys.append(ask ^ (about * 3 + 1 & _ALL) if context else ask)
        found.append(words)
        salts.append(figures ^ about)
        owners.append(number)
        if context:
            words, figures = shingles.read(context)
            found.append(words)
            salts.append(figures ^ (ask * 5 + 1 & _ALL))
            owners.append(number)
    return Texts(np.array(keys, np.uint64), shingles.shingles(found, salts), np.array(owners, np.int64))


# --- each with all


@dataclass(frozen=True, slots=True)
class Repeats:
    """Of each text, the position of the one that it repeats, -1 for none; and whether that is the same text."""

    of: Ints
    same: NDArray[np.bool_]


def duplicates(given: Texts, numbers: Ints) -> Repeats:
    """Find for each text the one with the lowest number, lower than its own, that is the same or near.

    Linear but for texts that are alike and not near. Beside the texts it takes 20 bytes a shingle and 60 a text.
    """
    order = np.lexsort((numbers, given.keys))
    first = np.ones(len(order), bool)
    first[1:] = given.keys[order][1:] != given.keys[order][:-1]
    lead = np.empty(len(order), np.int64)  # of each text the first that is the same
    lead[order] = order[np.flatnonzero(first)][np.cumsum(first) - 1]
    ranked = np.flatnonzero(lead == np.arange(len(lead)))
    ranked = ranked[np.argsort(numbers[ranked], kind="stable")]  # distinct texts, the lowest number first
    found = np.full(len(lead), -1, np.int64)
    found[ranked] = _before(given, ranked)
    found = found[lead]
    same = (found < 0) & (lead != np.arange(len(lead)))
    found[same] = lead[same]
    return Repeats(found, same)


def _before(given: Texts, ranked: Ints) -> Ints:
    """For each of the distinct texts the one with the lowest rank before it that is near, -1 for none."""
    rank = np.full(len(given), len(ranked), np.int64)
    rank[ranked] = np.arange(len(ranked))
    owners = rank[given.owners]
    sides = np.lexsort((np.arange(len(owners)), owners))
    sides = sides[owners[sides] < len(ranked)]
    owners = owners[sides]
    index = Index(given.sets.taken(sides))
    starts = np.searchsorted(owners, owners)  # the first set of the same text: what is below belongs to texts before
    best = index.lowest(index.sets, starts, NEAR)
    found = np.where(best < starts, owners[np.minimum(best, max(0, len(owners) - 1))], len(ranked))
    lowest = np.full(len(ranked), len(ranked), np.int64)
    np.minimum.at(lowest, owners, found)
    return np.where(lowest < len(ranked), ranked[np.minimum(lowest, max(0, len(ranked) - 1))], -1)


# --- one after the other


class Near:
    """Texts that are added one by one, in any order of their numbers. A text takes a quarter of a ms, 17 bytes a shingle."""

    def __init__(self) -> None:
        self._same: dict[int, int] = {}  # of a text's key, its lowest number
        self._old, self._new = _level([]), _level([])
        self._pending: list[tuple[int, Texts, _Sides]] = []

    def __len__(self) -> int:
        """How many texts there are; the same ones count once."""
        return len(self._same)

    def add(self, number: int, question: str, context: str = "") -> Found | None:
        """Add a text, and tell which it repeats: of those added with a lower number that are the same or near, the lowest."""
        made = texts([(question, context)])
        same = self._same.get(key := int(made.keys[0]), number)
        lowest = min(same, self._old.lowest(made.sets, number), self._new.lowest(made.sets, number))
        sides = _sides(made)
        lowest = min([lowest, *(other for other, _, theirs in self._pending if other < lowest and _near(sides, theirs))])
        if key not in self._same or number < same:  # a higher number of the same text would tell nothing more
            self._same[key] = number
            self._keep(number, made, sides)
        return Found("same" if lowest == same else "near", lowest) if lowest < number else None

    def _keep(self, number: int, made: Texts, sides: "_Sides") -> None:
        self._pending.append((number, made, sides))
        if len(self._pending) < _PENDING:
            return
        numbers = [np.full(len(one.sets), number) for number, one, _ in self._pending]
        self._new = _level([self._new, _level_of(joined([one.sets for _, one, _ in self._pending]), np.concatenate(numbers))])
        self._pending = []
        if len(self._new.numbers) > max(16 * _PENDING, len(self._old.numbers) // 2):
            self._old, self._new = _level([self._old, self._new]), _level([])


@dataclass(frozen=True, slots=True)
class _Level:
    """Sets of texts with the numbers of these, which ascend."""

    index: Index
    numbers: Ints

    def lowest(self, sets: Shingles, number: int) -> int:
        """The lowest number below `number` whose text is near; `number` where there is none."""
        below = int(np.searchsorted(self.numbers, number))
        if not below:
            return number
        row = int(self.index.lowest(sets, np.full(len(sets), below), NEAR).min())
        return int(self.numbers[row]) if row < below else number


def _level(parts: Sequence[_Level]) -> _Level:
    sets = joined([one.index.sets for one in parts])
    return _level_of(sets, np.concatenate([np.zeros(0, np.int64), *(one.numbers for one in parts)]))


def _level_of(sets: Shingles, numbers: Ints) -> _Level:
    order = np.argsort(numbers, kind="stable")
    return _Level(Index(sets.taken(order)), numbers[order])


_Sides = list[frozenset[int]]


def _near(one: _Sides, other: _Sides) -> bool:
    """The same as an index tells, for two texts."""
    for mine in one:
        for theirs in other:
            if not mine.isdisjoint(theirs):
                shared = len(mine & theirs)
                if 100 * shared >= NEAR * (len(mine) + len(theirs) - shared):
                    return True
    return False


def _sides(one: Texts) -> _Sides:
    tokens = one.sets.tokens.tolist()
    return [frozenset(tokens[begin:end]) for begin, end in pairwise(one.sets.starts.tolist())]


# --- against what is there already


class Around:
    """Questions that are there already, each with a number: seed examples, a taxonomy's questions."""

    def __init__(self, asked: Iterable[tuple[int, str]]) -> None:
        given = list(asked)
        self.numbers = np.array([number for number, _ in given], np.int64)
        self.texts = [text for _, text in given]
        self.keys: dict[int, int] = {}
        for at, text in enumerate(self.texts):
            self.keys.setdefault(shingles.same(text), at)
        self._index = Index(salted(self.texts))

    def nearest(self, text: str, at_least: float = NEAR / 100) -> tuple[int, float] | None:
        """The number of the likest question, and how alike it is; None where none is so much alike, 0.01 to 1.

        Of several that are equally alike it is the first.
        """
        [at], [alike] = self.likest([text], at_least)
        return (int(self.numbers[at]), float(alike)) if at >= 0 else None

    def likest(self, asked: Sequence[str], at_least: float = NEAR / 100) -> tuple[Ints, NDArray[np.float64]]:
        """The same for many: positions in `texts`, -1 for none, and likenesses."""
        best, alike = np.full(len(asked), -1, np.int64), np.zeros(len(asked))
        if not self.texts:
            return best, alike
        of, rows, found = self._index.near(salted(asked), max(1, round(at_least * 100)))
        order = np.lexsort((-rows, found, of))  # the best of each comes last, and counts
        best[of[order]], alike[of[order]] = rows[order], found[order]
        for number, text in enumerate(asked):  # texts without words have no shingles
            if (at := self.keys.get(shingles.same(text))) is not None:
                best[number], alike[number] = at, 1.0
        return best, alike


def salted(asked: Sequence[str]) -> Shingles:
    """The shingles of texts, so that those with other figures have none in common."""
    found = [shingles.read(text) for text in asked]
    return shingles.shingles([words for words, _ in found], [figures for _, figures in found])
