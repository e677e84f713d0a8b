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
    """Of a run's folder. A quarter of the unseen questions chooses, those with the smallest digests.

    Where there are fewer than APART_FROM all of them do. Raises Failed for damaged rows.
    """
    unseen = tuple(row for row in rows.read(folder / rows.UNSEEN) if row.kept)
    reworded = tuple(row for row in rows.read(folder / rows.REWORDED) if row.kept)
    if len(unseen) < APART_FROM:
        return Held(unseen, unseen, reworded, shared=True)
    chosen = frozenset(row.id for row in sorted(unseen, key=_lot)[: len(unseen) // QUARTER])
    choosing = tuple(row for row in unseen if row.id in chosen)
    return Held(choosing, tuple(row for row in unseen if row.id not in chosen), reworded, shared=False)


def _lot(row: Row) -> bytes:
    """By which rows are drawn: it depends on what is asked alone."""
    return hashlib.sha256(row.asks.encode("utf-8", "surrogatepass")).digest()
