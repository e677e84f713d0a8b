"""Compares every sample with all others, and with what is there already; marks those that repeat or come too near.

The file of rows is read twice; what is kept of a row in between is some numbers and its shingles. What `generate` found
early is found again, so nothing depends on the order in which samples came. For the same reason a sample that repeats
another has lost its scores, and its answer where that is made after the question: whether there were any hung on that
order too; and one that repeats is told as that, whatever else it was dropped for.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Failed
from pipeline.generating import near, rows, shingles
from pipeline.generating.leaf import Leaf
from pipeline.generating.leaks import LEAK, Leaks
from pipeline.generating.rows import Row, Why
from pipeline.screening import tree
from pipeline.screening.whole import CONTEXT

AT = "judge"  # the step at which such samples are dropped
CHUNK = 4096  # rows that are looked at together


# --- what samples are compared with


@dataclass(frozen=True, slots=True)
class Known:
    """What is there already: all seed examples, the taxonomy's questions but for the entry's own; and what is held out.

    `held`: of each held-out question its number in the unseen set, 0 for a seed example's.
    """

    seeds: near.Around
    taxonomy: near.Around
    leaks: Leaks
    held: Sequence[int]

    @classmethod
    def of(cls, found: Leaf, apart: Sequence[int], unseen: Path, checkout: str) -> "Known":
        """`apart`: the numbers of the seed examples that are held out; `checkout`: the taxonomy's folder, "" for none."""
        seeds = _seeds(found)
        held = [(row.number, row.asks) for row in rows.read(unseen) if row.kept]
        held += [(0, text) for number, text in seeds if number in apart]
        taxonomy = near.Around(enumerate(_taxonomy(checkout, found.name)))
        return cls(near.Around(seeds), taxonomy, Leaks([text for _, text in held]), [number for number, _ in held])


def _seeds(found: Leaf) -> list[tuple[int, str]]:
    """The questions of the seed examples, as rows ask theirs."""
    contexts = found.kind == "grounded"
    return [
        (one.number, f"{one.context}\n\n{pair.question}" if contexts and one.context else pair.question)
        for one in found.examples
        for pair in one.pairs
    ]


def _taxonomy(checkout: str, own: str) -> Iterator[str]:
    if checkout:
        yield from (text for id, text in tree.questions(Path(checkout)) if id.partition("#")[0] != own)


# --- looking at all of them


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found, by the position of the row in its file; -1 for nothing.

    `ends`: where each line ends, in bytes. `repeats`: the row that it repeats. `seeds`, `taxonomy`, `leaks`: positions in
    what is known; `alike`: how much a row is like what is held out, 0 to 1.
    """

    ends: NDArray[np.int64]
    numbers: NDArray[np.int64]
    repeats: NDArray[np.int64]
    same: NDArray[np.bool_]
    seeds: NDArray[np.int32]
    taxonomy: NDArray[np.int32]
    leaks: NDArray[np.int32]
    alike: NDArray[np.float32]


@dataclass(slots=True)
class _Part:
    """What is found of some rows."""

    ends: NDArray[np.int64]
    numbers: NDArray[np.int64]
    asked: NDArray[np.int64]  # positions, in this part, of the rows that ask something
    texts: near.Texts
    seeds: NDArray[np.int32]
    taxonomy: NDArray[np.int32]
    leaks: NDArray[np.int32]
    alike: NDArray[np.float32]


def looked(source: Path, known: Known, report: Callable[[int], None]) -> Looked:
    parts: list[_Part] = []
    for chunk in _chunks(source):
        parts.append(_part(chunk, known))
        report(chunk[-1][0])
    counts = shingles.ends(np.array([len(one.ends) for one in parts], np.int64))
    asked = _together(parts, lambda at, one: one.asked + counts[at])
    sets = shingles.joined([one.texts.sets for one in parts])
    of = shingles.ends(np.array([len(one.texts) for one in parts], np.int64))
    owners = _together(parts, lambda at, one: one.texts.owners + of[at])
    keys = np.concatenate([np.zeros(0, np.uint64), *(one.texts.keys for one in parts)])
    for part in parts:
        part.texts = near.Texts(keys[:0], shingles.none(), owners[:0])  # they are in `sets` now
    numbers = _together(parts, lambda _, one: one.numbers)
    found = near.duplicates(near.Texts(keys, sets, owners), numbers[asked])
    repeats, same = np.full(len(numbers), -1), np.zeros(len(numbers), bool)
    repeats[asked] = np.where(found.of < 0, -1, asked[found.of])
    same[asked] = found.same
    return Looked(
        ends=_together(parts, lambda _, one: one.ends),
        numbers=numbers,
        repeats=repeats,
        same=same,
        seeds=np.concatenate([np.zeros(0, np.int32), *(one.seeds for one in parts)]),
        taxonomy=np.concatenate([np.zeros(0, np.int32), *(one.taxonomy for one in parts)]),
        leaks=np.concatenate([np.zeros(0, np.int32), *(one.leaks for one in parts)]),
        alike=np.concatenate([np.zeros(0, np.float32), *(one.alike for one in parts)]),
    )


def _together(parts: Sequence[_Part], of: Callable[[int, _Part], NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, np.int64), *(of(at, one) for at, one in enumerate(parts))])


def _part(chunk: Sequence[tuple[int, Row]], known: Known) -> _Part:
    found = [one for _, one in chunk]
    asked = [at for at, one in enumerate(found) if one.set == "train" and one.question.strip()]
    pairs = [(found[at].question, found[at].context) for at in asked]
    asks = [found[at].asks for at in asked]
    begins = [f"{question}\n{context[:CONTEXT]}" if context else question for question, context in pairs]
    leaks, alike = known.leaks.nearest(asks)
    part = _Part(
        ends=np.array([end for end, _ in chunk], np.int64),
        numbers=np.array([one.number for one in found], np.int64),
        asked=np.array(asked, np.int64),
        texts=near.texts(pairs),
        seeds=np.full(len(found), -1, np.int32),
        taxonomy=np.full(len(found), -1, np.int32),
        leaks=np.full(len(found), -1, np.int32),
        alike=np.zeros(len(found), np.float32),
    )
    part.seeds[asked] = known.seeds.likest(asks)[0]
    part.taxonomy[asked] = known.taxonomy.likest(begins)[0]
    part.leaks[asked], part.alike[asked] = leaks, alike
    return part


def _chunks(source: Path) -> Iterator[list[tuple[int, Row]]]:
    """Rows, CHUNK at a time, each with the place in the file where its line ends."""
    chunk, end = list[tuple[int, Row]](), 0
    if source.is_file():
        with source.open("rb") as file:
            for number, line in enumerate(file, 1):
                end += len(line)
                chunk.append((end, _row(line, source, number)))
                if len(chunk) == CHUNK:
                    yield chunk
                    chunk = []
    if chunk:
        yield chunk


def _row(line: bytes, source: Path, number: int) -> Row:
    try:
        return rows.parsed(json.loads(line))
    except (ValueError, TypeError, AttributeError) as error:
        raise Failed(f"{source}, line {number}, is no row: {error}") from None


# --- marking them


@dataclass(frozen=True, slots=True)
class Marked:
    """A row, its line in samples.jsonl, how much it is like what is held out, and the place where its line ended before."""

    row: Row
    line: bytes
    alike: float
    end: int


def marked(source: Path, found: Looked, known: Known) -> Iterator[Marked]:
    """The rows with what was found of them; the line of one that nothing was found of is as it was."""
    if not len(found.ends):
        return
    with source.open("rb") as file, source.open("rb") as others:
        for at, line in enumerate(file):
            row = _row(line, source, at + 1)
            judged = _verdict(row, at, found, known, lambda other: _question(others, found.ends, other))
            text = line if judged is row else rows.line(judged).encode("ascii")
            yield Marked(judged, text, float(found.alike[at]), int(found.ends[at]))


def _verdict(row: Row, at: int, found: Looked, known: Known, question: Callable[[int], str]) -> Row:
    """A row with what is to be said of it; itself where that is nothing new."""
    if (seed := int(found.seeds[at])) >= 0:
        return _repeating(row).dropped(AT, "seed", known.seeds.texts[seed], int(known.seeds.numbers[seed]))
    if (other := int(found.repeats[at])) >= 0:
        kind: Why = "same" if found.same[at] else "near"
        return _repeating(row).dropped(AT, kind, question(other), int(found.numbers[other]))
    if row.kept and (place := int(found.taxonomy[at])) >= 0:
        return row.dropped(AT, "taxonomy", known.taxonomy.texts[place])
    if row.kept and found.alike[at] >= LEAK:
        place = int(found.leaks[at])
        return row.dropped(AT, "unseen", known.leaks.texts[place], known.held[place])
    return row


def _repeating(row: Row) -> Row:
    """A row as one that was found to repeat as soon as it was asked."""
    return replace(row, scores=(), answer=row.answer if row.kind == "knowledge" else "")


def _question(file: BinaryIO, ends: NDArray[np.int64], at: int) -> str:
    begin = int(ends[at - 1]) if at else 0
    found: str = json.loads(os.pread(file.fileno(), int(ends[at]) - begin, begin))["question"]
    return found
