"""What is held out: some questions choose the best checkpoint, and others, which chose nothing, measure what came of it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pipeline.generating import rows
from pipeline.generating.rows import Row

APART_FROM = 40  # questions, below which all of them do both: fewer than 30 tell nothing as a test (evaluating.paired)
QUARTER = 4


@dataclass(frozen=True, slots=True)
class Held:
    """Rows of the unseen set and of the reworded one. `shared`: the choosing ones are the test's own, and it is said."""

    choosing: tuple[Row, ...]
    test: tuple[Row, ...]
    reworded: tuple[Row, ...]
    shared: bool


def split(folder: Path) -> Held:
    """Of a run's folder. One unseen question in four chooses, by its digest; all where there are fewer than APART_FROM.

    Raises Failed for damaged rows.
    """
    unseen = tuple(row for row in rows.read(folder / rows.UNSEEN) if row.kept)
    reworded = tuple(row for row in rows.read(folder / rows.REWORDED) if row.kept)
    if len(unseen) < APART_FROM:
        return Held(unseen, unseen, reworded, shared=True)
    choosing = tuple(row for row in unseen if _chooses(row))
    test = tuple(row for row in unseen if not _chooses(row))
    return Held(choosing, test, reworded, shared=False) if choosing else Held(unseen, unseen, reworded, shared=True)


def _chooses(row: Row) -> bool:
    return hashlib.sha256(row.asks.encode("utf-8", "surrogatepass")).digest()[0] % QUARTER == 0
