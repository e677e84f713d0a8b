"""A document's text in chunks that a teacher reads one at a time: cut by headings, and by what the teacher's tokens allow.

Tokens are the teacher's, and each count is a request. So a text is first cut by a guess (`estimate`, which says too many
rather than too few), a few of these pieces are counted to learn by how much it is wrong, and the text is cut anew; then one
count vouches for every run of neighbours that fit into a chunk together, as most short ones do: that a part has no more
tokens than the whole is all that is asked of a tokenizer. What is too long after all is cut again. So there is about one
count for each `most` tokens of the document, and no chunk that was not counted, by itself or among others.

Words are what white space parts, and in Japanese and Chinese, which have none, a run of kanji or katakana with the
hiragana after it: a chunk ends within one only where that one is longer than a chunk may be.
"""

import asyncio
import math
import re
import unicodedata
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any

from pipeline.errors import Invalid
from pipeline.judging.asking import together
from pipeline.models.estimate import tokens
from pipeline.passages import Atom, Measure, Span, body, cut, name_of, pieces, sections, words

MOST = 500  # tokens: what upstream cuts documents into (instructlab-sdg 0.8.3, utils/chunkers.py)
FULL = 0.9  # of that is aimed at: the next text may have more tokens for its letters than those that were counted
SHORT = 0.25  # of that: less is hardly worth a request
SAMPLES = 3  # pieces of a text that are counted before it is cut
FLIGHT = 8  # counts at once

_HAN, _HIRA, _KATA = (
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff々〆",
    "\u3041-\u309f",
    "\u30a0-\u30ff\uff66-\uff9f",
)
_OTHER = rf"[^{_HAN}{_HIRA}{_KATA}]"
_CLOSING = r"[。、！？」』）］｝〉》】〕・，．：；…‥.,!?)\]]"  # what begins no line, so no chunk either
_PHRASE = re.compile(rf"{_OTHER}*(?:[{_HAN}]+[{_HIRA}]*|[{_KATA}]+[{_HIRA}]*|[{_HIRA}]+){_CLOSING}*|{_OTHER}+")
_JOINERS = "\u200d\ufe0e\ufe0f"

Count = Callable[[str], Coroutine[Any, Any, int]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A slice of a file. `heading`: the headings that all of it stands under, outermost first, joined by " > "."""

    id: str
    path: str
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class _Piece:
    """A slice from `start` to `end`, which is guessed to have `guess` tokens."""

    start: int
    end: int
    trail: tuple[str, ...]
    guess: float


async def chunks(texts: Iterable[tuple[str, str]], count: Count, most: int = MOST) -> list[Chunk]:
    """Cut texts, given with their paths, into chunks of at most `most` tokens, in their order.

    Front matter is left out, and what is in a file twice is there once. A single character that has more tokens than that is
    a chunk all the same. The same texts and counts give the same chunks. Raises what `count` raises, but that a text is
    longer than the teacher's context (model.overflow) only means that it is cut.
    """
    gate = asyncio.Semaphore(FLIGHT)

    async def counted(text: str) -> int:
        async with gate:
            try:
                return await count(text)
            except Invalid as error:
                if error.problems[0].code != "model.overflow":
                    raise
                return max(2 * most, len(text.encode(errors="replace")))  # more than the teacher reads at once

    found: dict[str, Chunk] = {}
    for path, markdown in texts:
        text = body(markdown)
        for piece in await _cut(text, counted, most):
            part = text[piece.start : piece.end]
            id = name_of(part, path)
            found.setdefault(id, Chunk(id, path, " > ".join(piece.trail), part))
    return list(found.values())


async def _cut(text: str, count: Count, most: int) -> list[_Piece]:
    rough = await asyncio.to_thread(_pieces, text, most, 1.0)
    if len(rough) > 1:
        rate = await _rate(text, rough, count)
        rough = await asyncio.to_thread(_pieces, text, most, rate)
    found = await together([_fitting(text, run, count, most) for run in _runs(rough, most)])
    return [piece for run in found for piece in run]


async def _rate(text: str, found: Sequence[_Piece], count: Count) -> float:
    """Tokens for each that is guessed, by some pieces from all over the text."""
    some = [found[at * len(found) // SAMPLES] for at in range(SAMPLES)] if len(found) > SAMPLES else found
    told = await together([count(text[piece.start : piece.end]) for piece in some])
    return max(0.01, sum(told) / sum(piece.guess for piece in some))


def _pieces(text: str, most: int, rate: float) -> list[_Piece]:
    """A text cut where it is cut itself; short neighbours under one heading are joined. `rate`: tokens for each guessed."""
    aim = most * FULL / rate
    measure = _measure(aim)
    found: list[_Piece] = []
    for section in sections(text):
        for start, end in pieces(text, section.blocks, measure):
            piece = _Piece(start, end, section.trail, _weight(measure.atoms(text, start, end)))
            if found and (joined := _joined(found[-1], piece, aim)):
                found[-1] = joined
            else:
                found.append(piece)
    return [_Piece(one.start, one.end, one.trail, one.guess * rate) for one in found]


def _joined(one: _Piece, other: _Piece, aim: float) -> _Piece | None:
    """Two neighbours as one, where either is short, they stand under one heading (or none), and fit together."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one.trail, other.trail, strict=False))
    trail = tuple(title for title, _ in same)
    apart = not trail and bool(one.trail or other.trail)
    if apart or min(one.guess, other.guess) >= SHORT * aim or one.guess + other.guess > aim:
        return None
    return _Piece(one.start, other.end, trail, one.guess + other.guess)


def _runs(found: Sequence[_Piece], most: int) -> Iterator[list[_Piece]]:
    """Neighbours that may have no more tokens than a chunk may have, all together."""
    run: list[_Piece] = []
    for piece in found:
        if run and sum(one.guess for one in run) + piece.guess > most * FULL:
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


async def _fitting(text: str, run: Sequence[_Piece], count: Count, most: int) -> list[_Piece]:
    """Neighbours as they are where they are known to fit, else cut until they do."""
    size = await count(text[run[0].start : run[-1].end])
    if size <= most:
        return list(run)
    if len(run) > 1:
        parts: Sequence[Sequence[_Piece]] = [[piece] for piece in run]
    else:
        parts = [[piece] for piece in await asyncio.to_thread(_smaller, text, run[0], size / most)]
        if len(parts) == 1:  # a single character
            return list(run)
    return [piece for part in await together([_fitting(text, part, count, most) for part in parts]) for piece in part]


def _smaller(text: str, piece: _Piece, excess: float) -> list[_Piece]:
    """A piece that has `excess` times as many tokens as it may, in pieces of about one length that may fit."""
    weight = _weight(_atoms(text, piece.start, piece.end, math.inf))
    share = 1.1 * weight / max(2, math.ceil(excess / FULL))  # a little more than its share, or a crumb is left at the end
    spans = cut(text, piece.start, piece.end, _measure(share), lines=False)
    return [_Piece(start, end, piece.trail, 0.0) for start, end in spans]


def _measure(aim: float) -> Measure:
    return Measure(aim, aim, partial(_atoms, longest=aim))


def _atoms(text: str, start: int, end: int, longest: float) -> list[Atom]:
    """The words of a slice with the tokens that they are guessed to have; letters of those that are longer than a chunk."""
    found: list[Atom] = []
    for first, last, _ in words(text, start, end):
        for begun, ended in _phrases(text, first, last):
            weight = float(tokens(text[begun:ended]))
            if weight <= longest:
                found.append((begun, ended, weight))
            else:
                letters = list(_letters(text, begun, ended))
                found += [(*letter, weight / len(letters)) for letter in letters]
    return found


def _phrases(text: str, start: int, end: int) -> Iterator[Span]:
    """What white space parts, in the parts that it would have with more of it."""
    if text[start:end].isascii():
        yield start, end
    else:
        yield from (phrase.span() for phrase in _PHRASE.finditer(text, start, end))


def _weight(atoms: Sequence[Atom]) -> float:
    return sum(weight for _, _, weight in atoms)


def _letters(text: str, start: int, end: int) -> Iterator[Span]:
    """Characters with the marks that belong to them."""
    first = start
    for at in range(start + 1, end):
        if unicodedata.category(text[at])[0] != "M" and text[at] not in _JOINERS and text[at - 1] != "\u200d":
            yield first, at
            first = at
    yield first, end
