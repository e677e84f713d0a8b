"""What there is to say of a pull request's entries: what upstream's checks refuse, and what a triager would ask about."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline import attribution, intake, licences
from pipeline.check import MODES, check_text
from pipeline.errors import Problem
from pipeline.screen import Alike, Screen, advice
from pipeline.sources import Source
from pipeline.taxonomy import GROUNDED_SKILLS, KNOWLEDGE, SKILLS, path_problems
from pipeline.triaging.pulled import Leaf, Pulled, unattributed

Level = Literal["error", "warning", "advice"]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing to say. "error": upstream's checks, or its data generation, refuse it; "advice" blocks nothing.

    `line` counts from 1, 0 for none.
    """

    level: Level
    problem: Problem
    line: int = 0

    def told(self) -> dict[str, Any]:
        one = self.problem
        words = {"code": one.code, "message": one.message, "where": one.where, "fix": one.fix, "facts": dict(one.facts)}
        return {"level": self.level, "line": self.line, **words}


@dataclass(frozen=True, slots=True)
class Lists:
    """What advice is taken from."""

    sources: tuple[Source, ...] = ()
    screen: Screen | None = None
    alike: Alike | None = None


def leaf(one: Leaf, lists: Lists) -> list[Row]:
    """Everything to say of an entry, refusals first."""
    rows = [*_qna(one, lists), *_attribution(one)]
    order = ("error", "warning", "advice")
    return sorted(rows, key=lambda row: order.index(row.level))


def root_of(path: str) -> str:
    """The root that the kind of an entry at a path lies under."""
    return (
        KNOWLEDGE if path.startswith(f"{KNOWLEDGE}/") else GROUNDED_SKILLS if path.startswith(f"{GROUNDED_SKILLS}/") else SKILLS
    )


def _qna(one: Leaf, lists: Lists) -> Iterator[Row]:
    path = f"{one.path}/qna.yaml"
    yield from (Row("warning", problem) for problem in path_problems(one.path, root_of(one.path)))
    if one.qna.problem:
        yield Row("error", one.qna.problem)
    if one.qna.text is None:
        return
    yield from _checked(one.qna.text, path)
    taken = intake.take(one.qna.text, path)
    if taken.entry:
        works = attribution.read(one.attribution.text or "")
        entry = type(taken.entry)(**{**_fields(taken.entry), "works": works or taken.entry.works})
        yield from (Row("advice", problem) for problem in advice(entry, lists.sources, lists.screen, lists.alike))


def _fields(entry: Any) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in entry.__slots__}


def _checked(text: str, path: str) -> Iterator[Row]:
    """What both modes say, each thing once: as an error where either refuses it."""
    found: dict[tuple[int, int, str, str], Row] = {}
    for mode in MODES:
        for one in check_text(text, Path(path), mode):
            row = Row(one.level, Problem(one.code, one.message, path, one.fix), one.line)
            key = (one.line, one.column, one.code, one.message)
            found[key] = row if key not in found or row.level == "error" else found[key]
    yield from found.values()


def _attribution(one: Leaf) -> Iterator[Row]:
    if one.attribution.problem:
        yield Row("error", one.attribution.problem)
    elif not (one.attribution.text or "").strip():
        yield Row("error", unattributed(one.path))
    else:
        for number, work in enumerate(attribution.read(one.attribution.text or ""), 1):
            if problem := licences.problem(work.licence, f"{one.path}/attribution.txt, work {number}"):
                yield Row("warning", problem)


def told(pulled: Pulled, lists: Lists) -> dict[str, Any]:
    """What triage.json says."""
    leaves = [{"leaf": one.path, "rows": [row.told() for row in leaf(one, lists)]} for one in pulled.leaves]
    whole = [Row("error" if one.code == "triage.signoff" else "warning", one).told() for one in pulled.problems]
    about = {name: getattr(pulled, name) for name in ("number", "title", "url", "author", "head", "state")}
    return {"version": 1, **about, "leaves": leaves, "rows": whole}


def counts(record: Mapping[str, Any]) -> dict[str, int]:
    """How many rows of each level there are."""
    rows = [*record["rows"], *(row for one in record["leaves"] for row in one["rows"])]
    return {level: sum(row["level"] == level for row in rows) for level in ("error", "warning", "advice")}
