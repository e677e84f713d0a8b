"""Questions that ask the same: how alike two are, and which of a whole taxonomy are like one.

Likeness is that of their words, without those that say nothing ("please", "what is"): each word of one is paired with the
word of the other that is it, or nearly is (a typo, a plural); the share of paired words, rare ones counting more, is the
score (Dice). Word order does not matter, numbers do: questions with other numbers are other questions.

`Alike` finds candidates by an inverted index of words and their four-letter pieces, the rarest first and at most BUDGET
entries of it, and compares those exactly. It is arrays only (a slot is a hash of a piece; that two pieces share one costs a
candidate, never an answer), and mapped from files, so that its size is the disk's.
"""

import math
import os
import re
import tempfile
import zlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from pipeline.screening.terms import normal

FEWEST, MOST = 12, 21  # bits of a slot's number; a million questions have two million pieces: 16 MB of offsets
BUDGET = 300_000  # entries of the index that one search reads: 3 ms
CANDIDATES = 48  # compared exactly
LONGEST = 1000  # characters of a question that count
NEARLY = 0.74  # likeness of two spellings (optimal string alignment, by length) that may be one word
OTHER_NUMBERS = 0.6  # times the score where numbers differ

_WORD = re.compile(r"[^\W\d_]+|\d+(?:[.,:]\d+)*")
_DULL = frozenset(
    "a about all an and any are as at be been by can could did do does for from had has have hello here hey hi how "
    "i if in into is it its just kindly know let like make may me might my need of on one or our please question "
    "shall should so some tell than thank thanks that the their them then there these they this those to us want "
    "was we were what when where whether which who whom whose why will wish with would you your give explain "
    "describe show help aber alle als am auch auf aus bei bin bist bitte da das dass dein deine dem den denn der "
    "des die dies diese diesem diesen dieser doch du ein eine einem einen einer eines er erklaere es fuer gib haben "
    "hat hallo ich ihr im ist ja kann kannst koennen koenntest man mein meine mich mir mit nach nenne oder sag sage "
    "sie sind ueber um und uns von vom war waren warum wann welche welcher welches wenn wer werden wie wir wird wo "
    "woher wozu zu zum zur zeige danke moechte wissen".split()
)

Questions = Iterable[tuple[str, str]]


def likeness(one: str, other: str, weight: Callable[[str], float] | None = None) -> float:
    """How alike two questions are, 0 to 1. `weight` of a word; all weigh the same without it."""
    return _likeness(words(one), words(other), weight or (lambda _: 1.0))


def words(text: str) -> list[str]:
    """The words of a question that say something, each once, plural endings off; all of them where none does."""
    found = _WORD.findall(normal(text[:LONGEST]))
    telling = [_stem(word) for word in found if word not in _DULL]
    return list(dict.fromkeys(telling or found))


class Alike:
    """The questions of a taxonomy, by id; made from them or, with `read`, from files that `write` made."""

    def __init__(self, questions: Questions = ()) -> None:
        ids, texts = bytearray(), bytearray()
        ends, pieces, counts = [(0, 0)], list[NDArray[np.uint32]](), list[int]()
        for name, question in questions:
            ids += name.encode()
            texts += question[:LONGEST].encode()
            ends.append((len(ids), len(texts)))
            pieces.append(_pieces(words(question)))
            counts.append(len(pieces[-1]))
        slots = np.concatenate(pieces) if pieces else np.zeros(0, np.uint32)
        self.slots = 1 << min(max(len(slots).bit_length(), FEWEST), MOST)
        slots %= self.slots
        rows = np.repeat(np.arange(len(counts), dtype=np.uint32), counts)
        self.ends = np.array(ends, np.int64)
        self.ids, self.texts = (np.frombuffer(bytes(one), np.uint8) for one in (ids, texts))
        self.offsets = np.zeros(self.slots + 1, np.int64)
        np.cumsum(np.bincount(slots, minlength=self.slots), out=self.offsets[1:])
        self.rows = rows[np.argsort(slots, kind="stable")]

    def __len__(self) -> int:
        return len(self.ends) - 1

    def near(self, question: str, most: int = 3) -> list[tuple[str, float]]:
        """The ids of the `most` questions that are most like one, and how alike they are (0 to 1), the likest first."""
        asked = words(question)
        rows = self._candidates(np.unique(_pieces(asked) % np.uint32(self.slots)))
        scored = [(_likeness(asked, words(self._text(row)), self._weight), row) for row in rows]
        best = sorted(scored, key=lambda pair: (-pair[0], pair[1]))[:most]
        return [(self._id(row), score) for score, row in best if score > 0]

    def write(self, folder: Path) -> None:
        """Write the arrays into `folder`, which is there whole or not at all."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".alike-") as made:
            inside = Path(made) / "index"
            inside.mkdir()
            for name in _ARRAYS:
                np.save(inside / f"{name}.npy", getattr(self, name), allow_pickle=False)
            if not folder.exists():
                os.replace(inside, folder)

    @classmethod
    def read(cls, folder: Path) -> "Alike":
        """Map what `write` wrote. Raises OSError or ValueError where that is not whole."""
        made = cls.__new__(cls)
        for name in _ARRAYS:
            setattr(made, name, np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))
        made.slots = len(made.offsets) - 1
        return made

    def _candidates(self, slots: NDArray[np.uint32]) -> list[int]:
        """The rows that share most with these slots, by the rarest of them."""
        begins, ends = self.offsets[slots], self.offsets[slots.astype(np.int64) + 1]
        counts = ends - begins
        order = np.argsort(counts)
        order = order[counts[order] > 0]
        order = order[np.cumsum(counts[order]) <= BUDGET]
        if not len(order):
            return []
        rows = np.concatenate([self.rows[begins[one] : ends[one]] for one in order])
        rarity = np.repeat(np.log(1 + len(self) / counts[order]), counts[order])
        found, places = np.unique(rows, return_inverse=True)
        scores = np.bincount(places, weights=rarity)
        top = np.argsort(-scores, kind="stable")[:CANDIDATES]
        return [int(row) for row in found[top]]

    def _weight(self, word: str) -> float:
        """The rarity of a word: log of one over its share of the questions, as far as a slot tells."""
        slot = _slot(word) % self.slots
        count = int(self.offsets[slot + 1] - self.offsets[slot])
        return math.log(2 + len(self) / (1 + count))

    def _text(self, row: int) -> str:
        return bytes(self.texts[self.ends[row, 1] : self.ends[row + 1, 1]]).decode()

    def _id(self, row: int) -> str:
        return bytes(self.ids[self.ends[row, 0] : self.ends[row + 1, 0]]).decode()


_ARRAYS = ("ends", "ids", "texts", "offsets", "rows")


def _likeness(one: list[str], other: list[str], weight: Callable[[str], float]) -> float:
    same = set(one) & set(other)
    left, right = [word for word in one if word not in same], [word for word in other if word not in same]
    total = sum(map(weight, one)) + sum(map(weight, other))
    paired = 2 * sum(map(weight, same)) + _nearly(left, right, weight)
    numbers = {word for word in left if word[0].isdigit()} or {word for word in right if word[0].isdigit()}
    return (OTHER_NUMBERS if numbers else 1.0) * paired / total if total else 0.0


def _nearly(left: list[str], right: list[str], weight: Callable[[str], float]) -> float:
    """The weight of words that are nearly paired, each with the likest one that is left."""
    spare = [word for word in right if not word[0].isdigit()]
    paired = 0.0
    for word in left:
        found = (
            None
            if word[0].isdigit()
            else process.extractOne(word, spare, scorer=OSA.normalized_similarity, score_cutoff=NEARLY)
        )
        if found:
            spare.remove(found[0])
            paired += min(weight(word), weight(found[0])) * 2 * found[1]
    return paired


def _stem(word: str) -> str:
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("es", "e"), ("s", "")):
        if len(word) > len(ending) + 2 and word.endswith(ending) and not word.endswith("ss"):
            return word.removesuffix(ending) + instead
    return word


def _pieces(found: list[str]) -> NDArray[np.uint32]:
    return np.fromiter({slot for word in found for slot in _of_word(word)}, np.uint32)


@lru_cache(maxsize=50_000)
def _of_word(word: str) -> tuple[int, ...]:
    """The slots of a word and of its pieces; a number has no pieces."""
    padded = f"^{word}$"
    pieces = [] if word[0].isdigit() else [padded[at : at + 4] for at in range(len(padded) - 3)]
    return (_slot(word), *(_slot(f"~{piece}") for piece in pieces))


def _slot(piece: str) -> int:
    return zlib.crc32(piece.encode())
