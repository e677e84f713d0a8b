"""The texts of an entry, each with its place, and what is found there, as a Problem."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import Problem
from pipeline.taxonomy import Entry, Knowledge, SeedExample

LONGEST = 20_000  # characters of one text that are looked at; documented limits are a tenth of that
FOUND = 80  # characters of what was found that are shown


@dataclass(frozen=True, slots=True)
class Place:
    """A text and where it stands: `where` for people, `number` of its example or context ("" for none), `field`."""

    where: str
    number: str
    field: str
    text: str


def places(entry: Entry) -> Iterator[Place]:
    """Every text that a contributor wrote, in the order of the file."""
    yield Place("description", "", "description", entry.description[:LONGEST])
    if isinstance(entry, Knowledge):
        for number, passage in enumerate(entry.passages, 1):
            yield _place("context", number, "context", passage.context)
            for pair, one in enumerate(passage.pairs, 1):
                yield from _pair("context", number, one, f" {pair}")
    else:
        for number, one in enumerate(entry.examples, 1):
            if one.context:
                yield _place("example", number, "context", one.context)
            yield from _pair("example", number, one)


def finding(kind: str, place: Place, found: str, message: str, **facts: str) -> Problem:
    """A finding `screen.<kind>` at a place; `found` is shown to people, so it is masked by whoever found a secret."""
    all_facts = {"number": place.number, "field": place.field, "found": found[:FOUND], "topic": kind, **facts}
    return Problem(f"screen.{kind}", message, place.where, facts=all_facts)


def masked(text: str) -> str:
    """The first and the last character: enough to know one's own text by, useless to anybody else."""
    return f"{text[:1]}…{text[-1:]}"


def _pair(kind: str, number: int, one: SeedExample, pair: str = "") -> Iterator[Place]:
    yield _place(kind, number, f"question{pair}", one.question)
    yield _place(kind, number, f"answer{pair}", one.answer)


def _place(kind: str, number: int, field: str, text: str) -> Place:
    where = f"{kind} {number}" if kind == field else f"{kind} {number}, {field}"
    return Place(where, str(number), field, text[:LONGEST])
