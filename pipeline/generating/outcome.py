"""The files of samples, written from what the log holds: in the order of the samples' numbers, dropped ones with why."""

import heapq
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.files import write
from pipeline.generating import rows
from pipeline.generating.leaf import Leaf
from pipeline.generating.recipes import Recipe
from pipeline.generating.repeats import Repeats
from pipeline.generating.rows import Row, Set
from pipeline.journal import Journal
from pipeline.judging.asking import Model

VERSION = 1
LATER = (rows.SAMPLES, "samples/yield.json")  # what later stages made of the samples that were there before


@dataclass(frozen=True, slots=True)
class Made:
    """What samples are made from and with. `version`: of everything but the counts that samples depend on.

    `kappa`: how far the judge agrees with our labels of samples of this kind, "" where nobody measured it.
    """

    leaf: Leaf
    recipe: Recipe
    models: Mapping[str, Model]
    wanted: Mapping[Set, int]
    version: str
    kappa: str = ""

    def id(self, row: Row) -> str:
        """Of a sample's row in the log; ids of a set are in the order of its numbers."""
        return f"{self.version}/{row.set}/{row.number:09d}"


@dataclass(slots=True)
class Aside:
    """What came to nothing in this attempt: samples whose endpoint failed, and requests for lists (see Tally.lost_lists)."""

    rows: list[Row] = field(default_factory=list)
    lists: list[dict[str, Any]] = field(default_factory=list)


def written(folder: Path, made: Made, done: Journal, aside: Aside) -> dict[str, str]:
    """Write the samples, the held-out sets and plan.json; return how many are held out."""
    for name in LATER:
        (folder / name).unlink(missing_ok=True)
    rows.write(folder / rows.GENERATED, _of(made, done, "train", aside.rows))
    unseen, reworded = (held_out(made, done, which, aside.rows) for which in ("unseen", "reworded"))
    rows.write(folder / rows.UNSEEN, unseen)
    rows.write(folder / rows.REWORDED, reworded)
    write(folder / "samples" / "plan.json", json.dumps({**_plan(made), "lost": aside.lists}, indent=1))
    return {"held": str(sum(row.kept for row in unseen)), "reworded": str(sum(row.kept for row in reworded))}


def held_out(made: Made, done: Journal, which: Set, failed: Sequence[Row] = ()) -> list[Row]:
    """The rows of a held-out set, as far as they are made: those dropped that repeat a seed example or each other."""
    return list(_marked(made, _of(made, done, which, failed)))


def _of(made: Made, done: Journal, which: Set, failed: Sequence[Row]) -> Iterator[Row]:
    """The rows of a set, in the order of their numbers."""
    ids = sorted(id for id in done if id.startswith(f"{made.version}/{which}/"))
    found = (rows.parsed(done[id]) for id in ids)
    others = sorted((row for row in failed if row.set == which), key=lambda row: row.number)
    yield from heapq.merge(found, others, key=lambda row: row.number)


def _marked(made: Made, found: Iterator[Row]) -> Iterator[Row]:
    """The rows of a test, those dropped that repeat a seed example or each other."""
    repeats = Repeats(made.leaf)
    for row in found:
        yield (repeats(row) if row.kept else None) or row


def _plan(made: Made) -> dict[str, Any]:
    """What the samples were made with, and from what: the same for everybody who makes them so."""
    return {
        "version": VERSION,
        "made": made.version,
        "leaf": made.leaf.name,
        "kind": made.leaf.kind,
        "seeds": {"train": [one.number for one in made.leaf.train], "held": [one.number for one in made.leaf.held]},
        "chunks": len(made.leaf.chunks),
        "wanted": dict(made.wanted),
        "models": {role: model.told() for role, model in made.models.items()},
        "kappa": made.kappa,
        "prompts": made.recipe.prompts(),
        "recipe": made.recipe.config.model_dump(),
    }
