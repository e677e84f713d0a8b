"""Texts as sets of shingles (pairs of neighbouring words), in arrays: what near-duplicates are found by.

Words are those of `judging.measures`: a sign of Japanese or Chinese is one. A text of one word has that as its only shingle.
Figures are the numbers of a text and the signs of arithmetic between them, in their order: texts with other figures ask
something else ("3 + 4" and "3 - 4", 2 weeks and 5 weeks), however alike their words are. So a shingle is salted with
the figures of its text: texts with other figures have no shingle in common, and are never looked at together.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from pipeline.judging.measures import words

Ints = NDArray[np.int64]
Tokens = NDArray[np.uint64]

LONGEST = 96  # shingles of a text that count: of a longer text those with the smallest hashes, a sample that is always the same

_RECENT = 1 << 13  # texts that are compared with one thing after the other are read once
_ENDS = " .,;:!?…\"'`«»„“”‘’()[]{}*_~¿¡。、，！？：；「」『』"
_SIGNS = re.compile(r"[-−+*/×÷^%=<>]")
_SIGN = re.compile(  # between numbers, brackets and single letters: a hyphen or a slash between words is none of arithmetic
    r"(?:\d|[()]|\b\w)\s*([-−+*/×÷^%=<>]+)\s*(?=[\d(]|\w\b)|(?<!\w)([-−])(?=\d)"
)
_MIX, _FOLD, _LAST = (np.uint64(one) for one in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@dataclass(frozen=True, slots=True)
class Shingles:
    """Sets of shingles: those of set `n` are tokens[starts[n]:starts[n + 1]], ascending, each once. Sizes are 0 to LONGEST."""

    tokens: Tokens
    starts: Ints

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> Ints:
        sizes: Ints = np.diff(self.starts)
        return sizes

    def of(self, numbers: Ints) -> tuple[Tokens, Ints]:
        """The tokens of these sets one after the other, and for each the position in `numbers` of the set it is from."""
        sizes = self.sizes[numbers]
        at, places = spread(self.starts[numbers], sizes)
        return self.tokens[places], at

    def taken(self, numbers: Ints) -> "Shingles":
        """The sets of these numbers, in that order."""
        return Shingles(self.of(numbers)[0], ends(self.sizes[numbers]))


def none() -> Shingles:
    return Shingles(np.zeros(0, np.uint64), np.zeros(1, np.int64))


def joined(parts: Sequence[Shingles]) -> Shingles:
    """The sets of several, one after the other."""
    if not parts:
        return none()
    return Shingles(np.concatenate([one.tokens for one in parts]), ends(np.concatenate([one.sizes for one in parts])))


def ends(sizes: Ints) -> Ints:
    """Where each set begins, and where the last one ends."""
    found = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=found[1:])
    return found


def spread(begins: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Ranges written out: for each entry the position of its range, and its place."""
    at = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts)
    return at, begins[at] + within


def plain(text: str) -> str:
    """A text without what makes no other text of it: case, blanks, punctuation at its ends."""
    folded = " ".join(text.casefold().split())
    return folded.strip(_ENDS) or folded


@lru_cache(maxsize=_RECENT)
def same(text: str) -> int:
    """What stands for a text and all that are the same: equal when they are plain."""
    return key(plain(text))


def key(text: str) -> int:
    """64 bits that stand for a text: two of a million texts have the same with a chance of 1 in 30 million."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def figures(text: str, found: Sequence[str]) -> int:
    """What stands for the figures of a text whose words are `found`; 0 where it has none."""
    numbers = [word for word in found if word.isdecimal()]
    signs = ["".join(found) for found in _SIGN.findall(text)] if _SIGNS.search(text) else []
    return key(" ".join([*numbers, "", *signs])) if numbers or signs else 0


def shingles(texts: Sequence[Sequence[str]], salts: Sequence[int]) -> Shingles:
    """The shingles of texts that are given by their words, each salted with a number of its own."""
    counts = np.fromiter(map(len, texts), np.int64, len(texts))
    ids = np.fromiter(map(_word, chain.from_iterable(texts)), np.uint64, int(counts.sum()))
    after = np.append(ids[1:], np.zeros(min(1, len(ids)), np.uint64))
    rows = np.repeat(np.arange(len(texts)), counts)
    last = np.zeros(len(ids), bool)
    last[np.cumsum(counts)[counts > 0] - 1] = True
    alone = last & (counts[rows] == 1)
    after[alone] = 0
    used = ~last | alone
    tokens = mixed(mixed(ids[used]) + after[used] + mixed(np.array(salts, np.uint64))[rows[used]])
    return _sets(tokens, rows[used], len(texts))


def mixed(numbers: Tokens) -> Tokens:
    """Numbers of 64 bits stirred (the end of splitmix64), so that any bits of theirs are as good as others."""
    found = numbers + _MIX
    found = (found ^ (found >> np.uint64(30))) * _FOLD
    found = (found ^ (found >> np.uint64(27))) * _LAST
    return found ^ (found >> np.uint64(31))


def _sets(tokens: Tokens, rows: Ints, count: int) -> Shingles:
    """Sort the tokens of each row, leave out what is there twice, and of long ones all but the smallest."""
    order = np.lexsort((tokens, rows))
    tokens, rows = tokens[order], rows[order]
    once = np.ones(len(tokens), bool)
    once[1:] = (tokens[1:] != tokens[:-1]) | (rows[1:] != rows[:-1])
    tokens, rows = tokens[once], rows[once]
    sizes = np.bincount(rows, minlength=count)
    if len(sizes) and sizes.max() > LONGEST:
        kept = np.arange(len(rows)) - ends(sizes)[rows] < LONGEST
        tokens, sizes = tokens[kept], np.minimum(sizes, LONGEST)
    return Shingles(tokens, ends(sizes))


@lru_cache(maxsize=1 << 16)
def _word(word: str) -> int:
    return key(word)


@lru_cache(maxsize=_RECENT)
def read(text: str) -> tuple[tuple[str, ...], int]:
    """The words of a text, and what stands for its figures."""
    found = tuple(words(text))
    return found, figures(text, found)
