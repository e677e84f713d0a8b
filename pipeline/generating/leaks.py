"""Keeps training apart from what it is tested with: which samples come near the questions that are held out.

Near is less here than among samples: a sample leaks where it has LEAK of its shingles in common with a held-out question
(Jaccard), holds all of one's, or repeats one as samples repeat each other. What a fifth of the held-out questions have in
common is the form of the task ("Tell me a pun about ..."), which is not what one of them asks, and is left out of the first
two; else every sample of such a skill would be near every question of its test. Questions with other figures are others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.generating import shingles
from pipeline.generating.near import NEAR, duplicates, texts
from pipeline.generating.shingles import Ints, Tokens, spread

LEAK = 0.5
HELD = 3  # shingles without the form's: a question that has fewer may stand in another one by chance
FORM, MANY = 0.2, 10  # the share of held-out questions that have a shingle of the form, where there are so many of them
_CELLS = 1 << 21  # pairs that are compared at once

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Counts:
    """Of some texts: shingles, how many of them are the form's, and what stands for their figures."""

    sizes: Ints
    form: Ints
    figures: Tokens

    @property
    def rest(self) -> Ints:
        """Shingles without the form's; all of them where there is nothing else."""
        return np.where(self.form < self.sizes, self.sizes - self.form, self.sizes)


class Leaks:
    """Held-out questions, of which there are few: every sample is compared with each of them."""

    def __init__(self, held: Sequence[str]) -> None:
        self.texts = list(held)
        self._keys = {shingles.same(text): at for at, text in reversed(list(enumerate(self.texts)))}
        sets, figures = _read(self.texts)
        self._tokens, place = np.unique(sets.tokens, return_inverse=True)
        owners = np.repeat(np.arange(len(sets)), sets.sizes)
        order = np.lexsort((owners, place))
        self._owners = owners[order]
        self._starts = shingles.ends(np.bincount(place, minlength=len(self._tokens)))
        self._form = self._shared(place, owners)
        form = np.bincount(owners, weights=self._form[place], minlength=len(sets)).astype(np.int64)
        self._own = _Counts(sets.sizes, form, figures)

    def nearest(self, asked: Sequence[str]) -> tuple[Ints, Floats]:
        """For each sample the position of the held-out question that it is most like, -1 for none, and how much, 0 to 1.

        From LEAK on it leaks.
        """
        if not self.texts:
            return np.full(len(asked), -1), np.zeros(len(asked))
        width = max(1, _CELLS // len(self.texts))
        parts = [self._part(asked[begin : begin + width]) for begin in range(0, len(asked), width)]
        at = np.concatenate([np.zeros(0, np.int64), *(one for one, _ in parts)])
        alike = np.concatenate([np.zeros(0), *(one for _, one in parts)])
        for number, text in enumerate(asked):  # texts without words have no shingles
            if (same := self._keys.get(shingles.same(text))) is not None:
                at[number], alike[number] = same, 1.0
        return at, alike

    def _shared(self, place: Ints, owners: Ints) -> NDArray[np.bool_]:
        """Which shingles are the form's. Of questions that repeat each other one counts."""
        once = duplicates(texts([(text, "") for text in self.texts]), np.arange(len(self.texts))).of < 0
        counts = np.bincount(place, weights=once[owners], minlength=len(self._tokens))
        many = int(once.sum())
        return (counts > FORM * many) & (many >= MANY)

    def _part(self, asked: Sequence[str]) -> tuple[Ints, Floats]:
        sets, figures = _read(asked)
        rows = np.repeat(np.arange(len(sets)), sets.sizes)
        place = np.minimum(np.searchsorted(self._tokens, sets.tokens), max(0, len(self._tokens) - 1))
        known = self._tokens[place] == sets.tokens if len(self._tokens) else np.zeros(len(place), bool)
        rows, place = rows[known], place[known]
        form = np.bincount(rows, weights=self._form[place], minlength=len(sets)).astype(np.int64)
        pairs, at = spread(self._starts[place], np.diff(self._starts)[place])
        cells = rows[pairs] * len(self.texts) + self._owners[at]
        shape = (len(sets), len(self.texts))
        shared = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
        formal = np.bincount(cells[self._form[place][pairs]], minlength=shape[0] * shape[1]).reshape(shape)
        alike = self._likeness(_Counts(sets.sizes, form, figures), shared, formal)
        best = alike.argmax(axis=1)
        found = alike[np.arange(len(sets)), best]
        return np.where(found > 0, best, -1), found

    def _likeness(self, asked: _Counts, shared: Ints, formal: Ints) -> Floats:
        """Of each sample (rows) with each held-out question (columns); `formal` of the shared shingles are the form's."""
        own = self._own
        both = np.where(own.form < own.sizes, shared - formal, shared)
        mine = np.where(own.form < own.sizes, asked.sizes[:, None] - asked.form[:, None], asked.sizes[:, None])
        alike = both / np.maximum(1, mine + own.rest - both)
        whole = shared / np.maximum(1, asked.sizes[:, None] + own.sizes - shared)
        alike = np.where(100 * whole >= NEAR, np.maximum(alike, whole), alike)
        alike[asked.figures[:, None] != own.figures] = 0.0
        alike[(both == own.rest) & (own.rest >= HELD)] = 1.0
        return alike


def _read(asked: Sequence[str]) -> tuple[shingles.Shingles, Tokens]:
    """The shingles of texts, without salt, and what stands for their figures."""
    found = [shingles.read(text) for text in asked]
    none = [0] * len(found)
    return shingles.shingles([words for words, _ in found], none), np.array([figures for _, figures in found], np.uint64)
