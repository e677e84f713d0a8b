"""Entries as numbers: what each field of an entry has in common with a question.

Five scores for an entry, each about 0 to 1, added in `search`:
  phrasings  kernel ridge regression over every way an entry is asked (its title is one): stems, pairs of them, parts of words
             of 3 to 5 letters (which survive typos), and the small words that tell "how long" from "how much". Ridge
             instead of the nearest phrasing because a word that many entries share then counts for none of them.
  whole      BM25 over all the entry's text, small words included
  content    the same without the small words; better where an FAQ has no phrasings
  pieces     the same over parts of its words; only where an FAQ has no phrasings, else the first score has them already
  akin       the same over words that people use for those of the question; only there too

Measured by leaving half the phrasings of configs/faq out and asking with them (right entry first / among three): nearest
phrasing by BM25 48% / 72%, BM25 over the whole entry 57% / 79%, ridge 54% / 74%, ridge and whole 61% / 82%.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from bot.faq.akin import akin
from bot.faq.load import GLOSSARY, Entry
from bot.faq.words import STOP, stems, words

Floats = NDArray[np.float32]

RIDGE = 1.0  # half to three times of it do as well
LARGEST_RIDGE = 4000  # phrasings; solving takes n^3 / 3 steps. Above it the nearest phrasing counts.
PAIR, SMALL = 0.5, 0.3  # a pair of stems and a small word beside a stem
K1, B = 1.5, 0.75  # BM25's usual values; 1.2 to 3 and 0.3 to 0.75 differ by a percent
DAMPING = 2.0  # words' worth added to a question's length, so that one rare word alone is no full score
LIKE = 0.8  # least likeness at which an unknown word is read as a known one; 0.75 reads more and takes wrong ones
SWAPPED = 0.75  # the same where a word has only its letters in another order: "waht" is "what"
SHORTEST_MENDED, SHORTEST_PART = 4, 4
NAMED = 1.3  # an entry that says which well-known questions it answers comes first among equals: such are asked most
COMMON = 100  # rows; see _alike
STEPS = 12
TINY = np.float32(1e-20)


@dataclass(frozen=True, slots=True)
class Postings:
    """A sparse matrix by columns: for each feature the rows that have it."""

    names: Mapping[str, int]
    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    weights: Floats
    size: int

    def dot(self, query: Mapping[str, float]) -> Floats:
        """Each row's product with the query: float32 (size,)."""
        found = [(column, weight) for name, weight in query.items() if (column := self.names.get(name)) is not None]
        if not found:
            return np.zeros(self.size, dtype=np.float32)
        spans = [slice(self.starts[column], self.starts[column + 1]) for column, _ in found]
        rows = np.concatenate([self.rows[span] for span in spans])
        weights = np.concatenate([self.weights[span] for span in spans])
        shares = np.repeat([weight for _, weight in found], [span.stop - span.start for span in spans])
        return np.bincount(rows, weights * shares, minlength=self.size).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Field:
    """BM25 over one text for each entry."""

    postings: Postings
    rarity: Mapping[str, float]
    unknown: float

    def score(self, query: Sequence[str]) -> Floats:
        """Each entry's share of the question, 0 to about 1; words that nobody knows count against all."""
        length = self._length(query)
        return self.postings.dot({stem: count / length for stem, count in Counter(query).items()})

    def akin(self, query: Sequence[str], others: Mapping[str, frozenset[str]]) -> Floats:
        """The same of words that stand for the question's. One of many says less than one alone."""
        length, found = self._length(query), dict[str, float]()
        for stem in dict.fromkeys(query):
            known = sorted(other for other in others.get(stem, ()) if other in self.rarity and other not in query)
            found |= {other: max(found.get(other, 0.0), 1 / math.sqrt(len(known)) / length) for other in known}
        return self.postings.dot(found)

    def _length(self, query: Sequence[str]) -> float:
        return sum(self.rarity.get(stem, self.unknown) for stem in query) + DAMPING


@dataclass(frozen=True, slots=True)
class Phrasings:
    """Every way an entry is asked. `first` is the number of each entry's first one; `memory` (n, entries) is ridge's."""

    postings: Postings
    rarity: Mapping[str, float]
    unknown: float
    first: NDArray[np.int64]
    memory: Floats | None
    unsaid: bool  # whether the last of `first` and `memory` is no entry, but what the FAQ does not say

    def nearness(self, query: Sequence[str]) -> Floats:
        """The cosine of the question and each phrasing."""
        found = features(query)
        weighed = {name: count * self.rarity.get(name, self.unknown) for name, count in found.items()}
        return self.postings.dot(weighed) / np.float32(_length(weighed.values()))

    def score(self, nearness: Floats) -> Floats:
        return nearest(nearness, self.first) if self.memory is None else nearness @ self.memory


@dataclass(frozen=True, slots=True)
class Index:
    entries: tuple[Entry, ...]
    phrasings: Phrasings
    whole: Field
    content: Field
    pieces: Field | None
    known: Mapping[str, frozenset[int]]  # stem -> the entries that have it
    asked: Mapping[str, frozenset[int]]  # stem -> the entries that are asked with it
    vocabulary: Mapping[str, int]  # word -> how often it stands in the FAQ
    exact: Mapping[tuple[str, ...], int]  # a phrasing's words -> the entry that is asked so
    prior: Floats  # NAMED for entries that say which well-known questions they answer, else 1
    spellings: tuple[str, ...]  # what a mistyped word may be read as


@dataclass(frozen=True, slots=True)
class Scores:
    """What the fields say about one question, for each entry."""

    phrasings: Floats
    whole: Floats
    content: Floats
    pieces: Floats
    akin: Floats
    unsaid: float  # how much the question is like those that the FAQ does not answer, about 0 to 1


def phrased(entries: Sequence[Entry]) -> bool:
    """Whether the entries say how they are asked, besides by their titles."""
    return sum(len(phrasings_of(entry)) for entry in entries) >= 2 * len(entries)


def ridged(entries: Sequence[Entry]) -> bool:
    """Whether there are few enough phrasings for ridge."""
    return 0 < sum(len(phrasings_of(entry)) for entry in entries) <= LARGEST_RIDGE


def build(entries: Sequence[Entry], unsaid: Sequence[str] = (), *, ridge: bool, memory: Floats | None = None) -> Index:
    """Take the entries in, and questions that none of them answers. `memory` is what `phrasings.memory` was for the same
    entries and questions, to save its solving."""
    asked = [[words(text) for text in phrasings_of(entry)] for entry in entries]
    texts = [[*(word for one in own for word in one), *words(entry.body)] for own, entry in zip(asked, entries, strict=True)]
    stemmed = [stems(text) for text in texts]
    content = [[word for word in text if word not in STOP] for text in texts]
    beside = [words(text) for text in unsaid]
    vocabulary = Counter(word for text in (*texts, *beside) for word in text)
    return Index(
        tuple(entries),
        _phrasings([*asked, beside] if beside else asked, memory, ridge=ridge, unsaid=bool(beside)),
        _field(stemmed),
        _field([stems(text) for text in content]),
        None if phrased(entries) else _field([_pieces(text) for text in content]),
        _holders(stemmed),
        _holders([stems([word for one in own for word in one]) for own in asked]),
        vocabulary,
        {tuple(text): number for number, own in reversed(list(enumerate(asked))) for text in own},
        np.array([NAMED if entry.named else 1.0 for entry in entries], dtype=np.float32),
        tuple(word for word in {**vocabulary, **dict.fromkeys(sorted(STOP))} if len(word) >= SHORTEST_MENDED - 1),
    )


def _holders(texts: Sequence[Sequence[str]]) -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for number, text in enumerate(texts):
        for stem in text:
            found.setdefault(stem, set()).add(number)
    return {stem: frozenset(numbers) for stem, numbers in found.items()}


def scores(index: Index, query: Sequence[str]) -> Scores:
    """All fields' scores of a question's words."""
    nearness = index.phrasings.nearness(query)
    stemmed = stems(query)
    whole = index.whole.score(stemmed)
    said = [word for word in query if word not in STOP]
    content = index.content.score(stems(said))
    pieces = index.pieces.score(_pieces(said)) if index.pieces else np.zeros_like(content)
    others = index.content.akin(stems(said), akin()) if index.pieces else np.zeros_like(content)
    near = index.phrasings.score(nearness)
    unsaid = float(near[-1]) if index.phrasings.unsaid else 0.0
    return Scores(near[: len(index.entries)], whole, content, pieces, others, unsaid)


def mended(index: Index, query: Sequence[str]) -> list[str]:
    """The words with each that nobody knows read as the known one that it is a mistyping of, if there is one."""
    return [part for word in query for part in _mended(index, word).split()]


def _mended(index: Index, word: str) -> str:
    if len(word) < SHORTEST_MENDED or not word.isalpha() or word in index.vocabulary or word in STOP:
        return word
    for cut in range(SHORTEST_PART, len(word) - SHORTEST_PART + 1):  # "pullrequest"
        if word[:cut] in index.vocabulary and word[cut:] in index.vocabulary:
            return f"{word[:cut]} {word[cut:]}"
    found = process.extract(word, index.spellings, scorer=OSA.normalized_similarity, limit=4, score_cutoff=SWAPPED)
    meant = [
        (like, index.vocabulary.get(one, 0), one)
        for one, like, _ in found
        if sorted(one) == sorted(word) or (like >= LIKE and one[0] == word[0])  # fingers mostly find the first letter
    ]
    return max(meant)[-1] if meant else word


def phrasings_of(entry: Entry) -> tuple[str, ...]:
    return tuple(dict.fromkeys((entry.title.removeprefix(GLOSSARY), *entry.asked)))


def features(query: Sequence[str]) -> Mapping[str, float]:
    """What is compared of a phrasing: stems, pairs of stems, parts of words, small words and pairs that stand together."""
    return _features(tuple(query))


@lru_cache(8_000)  # calibration builds the index a second time
def _features(query: tuple[str, ...]) -> Mapping[str, float]:
    content = [word for word in query if word not in STOP]
    stemmed = stems(content)
    found: Counter[str] = Counter()
    found.update(stemmed)
    pieces = [
        *((f"{one} {two}", PAIR) for one, two in pairwise(stemmed)),
        *((f"~{word}", SMALL) for word in query if word in STOP),
        *((f"~{one} {two}", SMALL) for one, two in pairwise(query)),
    ]
    weighed: dict[str, float] = dict(found)
    for name, weight in pieces:
        weighed[name] = weighed.get(name, 0.0) + weight
    for word in content:
        grams = _grams(word)
        for gram in grams:
            weighed[gram] = weighed.get(gram, 0.0) + 1 / math.sqrt(len(grams))
    return weighed


def nearest(nearness: Floats, first: NDArray[np.int64]) -> Floats:
    """The best phrasing's value for each entry."""
    return np.maximum.reduceat(nearness, first) if len(first) else nearness


def _pieces(query: Sequence[str]) -> list[str]:
    return [gram for word in query for gram in _grams(word)]


@lru_cache(50_000)
def _grams(word: str) -> list[str]:
    framed = f"#{word}#"
    return [f"#{framed[start : start + size]}" for size in (3, 4, 5) for start in range(len(framed) - size + 1)] or [framed]


def _phrasings(groups: list[list[list[str]]], memory: Floats | None, *, ridge: bool, unsaid: bool) -> Phrasings:
    found = [features(text) for group in groups for text in group]
    counts = list(map(len, groups))
    names, columns, numbers, values = _flat(found)
    common = np.bincount(columns, minlength=len(names))
    rarity = np.log((len(found) + 1) / (common + 0.5))
    weights = values * rarity[columns]
    lengths = np.sqrt(np.bincount(numbers, weights * weights, minlength=len(found)))
    postings = _postings(names, columns, numbers, weights / np.maximum(lengths[numbers], 1e-9), len(found))
    first = np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.int64) if counts else np.zeros(0, dtype=np.int64)
    if ridge and memory is None:
        memory = _memory(postings, np.repeat(np.arange(len(counts)), counts), len(counts))
    known = dict(zip(names, rarity.tolist(), strict=True))
    return Phrasings(postings, known, math.log(len(found) + 1) / 2, first, memory, unsaid)


def _memory(postings: Postings, owners: NDArray[np.int64], entries: int) -> Floats:
    """(K + lambda I)^-1 Y: how much each phrasing speaks for each entry, all others considered; float32 (n, entries)."""
    alike = _alike(postings)
    alike[np.diag_indices(postings.size)] += np.float32(RIDGE)
    wanted = np.zeros((postings.size, entries), dtype=np.float32)
    wanted[np.arange(postings.size), owners] = 1
    return _solved(alike, wanted)


def _solved(alike: Floats, wanted: Floats) -> Floats:
    """Solve for all columns at once by conjugate gradients: after STEPS nothing changes in order, in a third of LU's time."""
    found, left = np.zeros_like(wanted), wanted.copy()
    direction, size = left.copy(), (left * left).sum(axis=0)
    for _ in range(STEPS):
        turned = alike @ direction
        step = size / (direction * turned).sum(axis=0).clip(TINY)
        found += step * direction
        left -= step * turned
        before, size = size, (left * left).sum(axis=0)
        direction = left + size / before.clip(TINY) * direction
    return found


def _alike(postings: Postings) -> Floats:
    """Each row's product with each: common features as one dense product, rare ones pair by pair; faster than either."""
    counts = np.diff(postings.starts)
    common = np.flatnonzero(counts > COMMON)
    dense = np.zeros((postings.size, len(common)), dtype=np.float32)
    for number, column in enumerate(common):
        span = slice(postings.starts[column], postings.starts[column + 1])
        dense[postings.rows[span], number] = postings.weights[span]
    alike = dense @ dense.T
    for count in range(2, COMMON + 1):  # a feature of one row alone is in its length only, which is 1
        places = postings.starts[:-1][counts == count][:, None] + np.arange(count)
        rows, weights = postings.rows[places].astype(np.int64), postings.weights[places]
        pairs = (rows[:, :, None] * postings.size + rows[:, None, :]).ravel()
        np.add.at(alike.reshape(-1), pairs, (weights[:, :, None] * weights[:, None, :]).ravel())
    alike[np.diag_indices(postings.size)] = 1
    return alike


def _field(texts: list[list[str]]) -> Field:
    mean = max(sum(map(len, texts)) / max(len(texts), 1), 1)
    common = Counter(stem for text in texts for stem in set(text))
    rarity = {stem: math.log(1 + (len(texts) - count + 0.5) / (count + 0.5)) for stem, count in common.items()}
    rows = []
    for text in texts:
        spread = K1 * (1 - B + B * len(text) / mean)
        rows.append({stem: rarity[stem] * count * (K1 + 1) / (count + spread) for stem, count in Counter(text).items()})
    return Field(_postings(*_flat(rows), len(rows)), rarity, math.log(1 + (len(texts) + 0.5) / 0.5))


def _flat(
    rows: Sequence[Mapping[str, float]],
) -> tuple[dict[str, int], NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """The columns' names, and of every value its column, its row and itself."""
    names: dict[str, int] = {}
    columns = np.array([names.setdefault(name, len(names)) for row in rows for name in row], dtype=np.int64)
    numbers = np.repeat(np.arange(len(rows), dtype=np.int32), [len(row) for row in rows])
    return names, columns, numbers, np.array([value for row in rows for value in row.values()], dtype=np.float64)


def _postings(
    names: Mapping[str, int], columns: NDArray[np.int64], numbers: NDArray[np.int32], values: NDArray[np.float64], size: int
) -> Postings:
    order = np.argsort(columns, kind="stable")
    starts = np.searchsorted(columns[order], np.arange(len(names) + 1))
    return Postings(names, starts, numbers[order], values[order].astype(np.float32), size)


def _length(weights: Iterable[float]) -> float:
    return math.sqrt(sum(weight * weight for weight in weights)) or 1.0
