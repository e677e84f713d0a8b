"""The table of `/triage` as values, and as a card: what was found in a pull request, the weightiest first.

All its texts are a stranger's and are quoted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from bot.core import cards
from bot.core.talk import BLOCKS, CARD, TITLE, Button, Card, Text
from bot.core.words import Words
from pipeline.errors import Problem

WIDTHS = (300, 200, 120, 80)  # characters of a row: the most with which all fit
ROWS = 20
PART = 2900  # characters of a block


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was found; `line` of its file counts from 1, 0 for none."""

    level: Literal["error", "warning", "advice"]
    problem: Problem
    line: int = 0


@dataclass(frozen=True, slots=True)
class Triaged:
    """What a look at a pull request found, of each leaf and of the whole; number 0 where nobody looked, or it is gone.

    `first` is the leaf whose questions a model is asked; `comments`: an operator lets triagers post the table.
    """

    number: int = 0
    title: str = ""
    url: str = ""
    author: str = ""
    head: str = ""
    leaves: tuple[tuple[str, tuple[Row, ...]], ...] = ()
    rows: tuple[Row, ...] = ()
    first: str = ""
    comments: bool = False


def card(found: Triaged, words: Words, buttons: tuple[Button, ...] = ()) -> Card:
    """The table, in as many blocks as it needs; the rows are shortened until all fit."""
    title = cards.clip(words("triage.of", number=found.number, title=cards.clip(found.title, 80)), TITLE)
    lines: list[str] = []
    for width in WIDTHS:
        lines = list(_lines(found, words, width))
        if sum(len(line) + 1 for line in lines) <= CARD:
            break
    return Card(title, tuple(map(Text, _blocks(lines))), buttons)


def _lines(found: Triaged, words: Words, width: int) -> Iterator[str]:
    by, head = cards.quoted(found.author, 40), cards.quoted(found.head[:8], 8)
    yield words("triage.head", number=found.number, url=found.url, by=by, head=head)
    left = ROWS
    for leaf, rows in found.leaves:
        name = words("triage.leaf" if rows else "triage.leaf.good", leaf=cards.quoted(leaf, 120))
        yield name
        yield from (_line(row, words, width) for row in rows[:left])
        left = max(0, left - len(rows))
    yield from (_line(row, words, width) for row in found.rows[:left])
    if not found.leaves:
        yield words("triage.empty")
    if (hidden := sum(len(rows) for _, rows in found.leaves) + len(found.rows) - ROWS) > 0:
        yield words("triage.hidden", count=hidden)
    if len(found.leaves) > 1 and found.first:
        yield words("triage.first", leaf=cards.quoted(found.first, 120))


def _line(row: Row, words: Words, width: int) -> str:
    what = cards.say_problem(words, replace(row.problem, where="") if row.line else row.problem)
    what = what if len(what) <= width else f"{what[: width - 1].rstrip(chr(92))}…"
    where = words("triage.at", line=row.line) if row.line else ""
    return words("triage.row", sign=words(f"triage.sign.{row.level}"), where=where, what=what)


def _blocks(lines: list[str]) -> list[str]:
    """Lines put together to texts that a block and a card have room for."""
    blocks, room = [""], CARD
    for line in lines:
        if len(line) + 1 > room:
            break
        room -= len(line) + 1
        if len(blocks[-1]) + len(line) + 1 > PART and len(blocks) < BLOCKS:
            blocks.append("")
        blocks[-1] = f"{blocks[-1]}\n{line}" if blocks[-1] else line
    return blocks
