"""An inverted index of sets of shingles, in arrays: which sets are at least so much alike (Jaccard), with nothing left out.

Of two sets of `a` and `b` shingles that share n of them, any a - n + 1 of the first hold one of the second (the prefix
filter of Chaudhuri, Ganti and Kaushik, 2006). So the rarest few of a set are looked up, for every size that a set so
much alike can have; a mark of 64 bits then rules out most of the others, and the rest is counted. How much alike is said in
percent, so that all of it is reckoned in whole numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.generating import shingles
from pipeline.generating.shingles import Ints, Shingles, Tokens, mixed, spread

_ROW_BITS, _SIZE_BITS = 24, 7  # of an entry: 16 million sets, 127 shingles; 33 bits are left for the shingle
_FIRST, _GROW = 4, 8  # entries of a range that are looked at first, and how many times as many then
_CHUNK = 8192  # sets that are searched for at once


class Index:
    """Sets to be found, in 16 bytes a shingle.

    An entry is a shingle's first 33 bits, its set's size and its set, sorted: other shingles with these bits cost a candidate
    and change no answer.
    """

    def __init__(self, sets: Shingles) -> None:
        assert len(sets) < 1 << _ROW_BITS, len(sets)
        self.sets = sets
        self.sizes = sets.sizes
        self.marks = marks(sets)
        sizes = np.repeat(self.sizes, self.sizes).astype(np.uint64)
        self._entries = _entry(sets.tokens, sizes)
        self._entries |= np.repeat(np.arange(len(sets), dtype=np.uint64), self.sizes)
        self._entries.sort()

    def __len__(self) -> int:
        return len(self.sets)

    def lowest(self, asked: Shingles, below: Ints, percent: int) -> Ints:
        """For each set that is asked for, the lowest row less than `below` that is near; `below` where there is none."""
        best = below.copy()
        for chunk in _chunks(asked, percent):
            self._lowest(chunk, best, percent)
        return best

    def near(self, asked: Shingles, percent: int) -> tuple[Ints, Ints, NDArray[np.float64]]:
        """All pairs at least so much alike: position in `asked`, row, likeness from 0 to 1."""
        parts = [self._all(chunk, percent) for chunk in _chunks(asked, percent)]
        at, rows, alike = zip(*parts, strict=True) if parts else ((), (), ())
        empty = np.zeros(0, np.int64)
        return np.concatenate([empty, *at]), np.concatenate([empty, *rows]), np.concatenate([empty.astype(float), *alike])

    def _lowest(self, asked: "_Asked", best: Ints, percent: int) -> None:
        """Look at the beginning of every range first: it has the lowest rows, so where one is near, the rest is not needed."""
        at, begins, stops = self._ranges(asked, percent)
        width = _FIRST
        while len(at):
            counts = np.minimum(stops - begins, width)
            pairs, places = spread(begins, counts)
            rows = self._rows(places)
            of = at[pairs]
            lower = rows < best[asked.numbers[of]]
            of, rows, _ = self._alike(asked, of[lower], rows[lower], percent)
            np.minimum.at(best, asked.numbers[of], rows)
            begins = begins + counts
            left = begins < stops
            at, begins, stops = at[left], begins[left], stops[left]
            left = self._rows(begins) < best[asked.numbers[at]]
            at, begins, stops = at[left], begins[left], stops[left]
            width = min(width * _GROW, 1 << 16)

    def _all(self, asked: "_Asked", percent: int) -> tuple[Ints, Ints, NDArray[np.float64]]:
        at, begins, stops = self._ranges(asked, percent)
        pairs, places = spread(begins, stops - begins)
        once = np.unique(at[pairs] << _ROW_BITS | self._rows(places))
        of, rows, alike = self._alike(asked, once >> _ROW_BITS, once & (1 << _ROW_BITS) - 1, percent)
        return asked.numbers[of], rows, alike

    def _rows(self, places: Ints) -> Ints:
        rows: Ints = (self._entries[places] & np.uint64((1 << _ROW_BITS) - 1)).astype(np.int64)
        return rows

    def _at(self, entries: Tokens) -> Ints:
        """Where entries would stand. Sorted they are looked up ten times as fast: each near the one before."""
        order = np.argsort(entries)
        found = np.empty(len(entries), np.int64)
        found[order] = np.searchsorted(self._entries, entries[order])
        return found

    def _ranges(self, asked: "_Asked", percent: int) -> tuple[Ints, Ints, Ints]:
        """Where candidates lie: the set that is asked for, and a range of entries that have one shingle and one size."""
        sizes = asked.sizes[asked.rows]
        low, high = _entry(asked.tokens, -(-percent * sizes // 100)), _entry(asked.tokens, sizes * 100 // percent + 1)
        common = self._at(high) - self._at(low)
        order = np.lexsort((common, asked.rows))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        rank -= asked.starts[asked.rows]  # how many shingles of its set are rarer
        largest = np.minimum((sizes - rank) * (100 + percent) // percent - sizes, shingles.LONGEST)
        smallest = -(-percent * sizes // 100)
        used = np.flatnonzero((common > 0) & (largest >= smallest))
        pairs, others = spread(smallest[used], (largest - smallest + 1)[used])
        tokens = asked.tokens[used][pairs]
        begins = self._at(_entry(tokens, others))
        stops = self._at(_entry(tokens, others + 1))
        some = begins < stops
        return asked.rows[used][pairs][some], begins[some], stops[some]

    def _alike(self, asked: "_Asked", of: Ints, rows: Ints, percent: int) -> tuple[Ints, Ints, NDArray[np.float64]]:
        """Those of the pairs that are near, with how much."""
        mine, others = asked.sizes[of], self.sizes[rows]
        needed = -(-percent * (mine + others) // (100 + percent))
        apart = np.bitwise_count(asked.marks[of] ^ self.marks[rows])
        likely = apart <= mine + others - 2 * needed
        of, rows, both = of[likely], rows[likely], (mine + others)[likely]
        shared = np.zeros(len(of), np.int64)
        for begin in range(0, len(of), _CHUNK):
            part = slice(begin, begin + _CHUNK)
            tokens, at = self.sets.of(rows[part])
            hits = asked.hold(of[part][at], tokens)
            shared[part] = np.bincount(at[hits], minlength=len(of[part]))
        near = (100 + percent) * shared >= percent * both
        return of[near], rows[near], shared[near] / (both - shared)[near]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Sets that are searched for at once: `numbers` are their positions among all, `rows` the set of each token."""

    tokens: Tokens
    rows: Ints
    starts: Ints
    sizes: Ints
    marks: Tokens
    numbers: Ints
    known: Tokens

    @classmethod
    def of(cls, sets: Shingles, numbers: Ints) -> "_Asked":
        rows = np.repeat(np.arange(len(sets)), sets.sizes)
        known = np.sort(mixed(sets.tokens + rows.astype(np.uint64)))
        return cls(sets.tokens, rows, sets.starts, sets.sizes, marks(sets), numbers, known)

    def hold(self, rows: Ints, tokens: Tokens) -> NDArray[np.bool_]:
        """Whether the sets of these rows hold these tokens, pair by pair."""
        if not len(self.known):
            return np.zeros(len(tokens), bool)
        wanted = mixed(tokens + rows.astype(np.uint64))
        at = np.minimum(np.searchsorted(self.known, wanted), len(self.known) - 1)
        found: NDArray[np.bool_] = self.known[at] == wanted
        return found


def marks(sets: Shingles) -> Tokens:
    """64 bits a set, of which each shingle turns one over: sets differ in at least as many shingles as their marks in bits."""
    bits = np.uint64(1) << (sets.tokens >> np.uint64(58))
    found = np.zeros(len(sets), np.uint64)
    some = sets.sizes > 0
    if len(bits):
        found[some] = np.bitwise_xor.reduceat(bits, sets.starts[:-1][some])
    return found


def _entry(tokens: Tokens, sizes: NDArray[np.integer]) -> Tokens:
    """The least entry of an index with these shingles and sizes."""
    low = np.uint64((1 << _ROW_BITS + _SIZE_BITS) - 1)
    found: Tokens = (tokens & ~low) | (np.minimum(sizes, 127).astype(np.uint64) << np.uint64(_ROW_BITS))
    return found


def _chunks(sets: Shingles, percent: int) -> Iterator[_Asked]:
    for begin in range(0, len(sets), _CHUNK):
        numbers = np.arange(begin, min(begin + _CHUNK, len(sets)))
        yield _Asked.of(sets.taken(numbers), numbers)
