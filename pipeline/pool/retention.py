"""Which ended runs are kept, and which may go: by age, then by the room that all of them take."""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Kept:
    """A run whose folder is there. `ended_at`: seconds since 1970, or None as long as it is not over."""

    run: str
    ended_at: float | None
    size_bytes: int


def prune(
    found: Iterable[Kept], *, now: float, older_s: float | None, most_bytes: int | None, referenced: Collection[str]
) -> list[str]:
    """The runs to remove, the one that ended first in front; None: no limit.

    Those that ended more than `older_s` ago, then the oldest until what is left takes `most_bytes` at most. A run that
    is not over, or is referenced, counts in the size and always stays, so that what is left may still be too much.
    """
    runs = list(found)
    size = sum(run.size_bytes for run in runs)
    removed: list[str] = []
    ended = [(run.ended_at, run) for run in runs if run.ended_at is not None and run.run not in referenced]
    for ended_at, run in sorted(ended, key=lambda one: (one[0], one[1].run)):
        old = older_s is not None and ended_at < now - older_s
        large = most_bytes is not None and size > most_bytes
        if old or large:
            removed.append(run.run)
            size -= run.size_bytes
    return removed


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder; links are not followed, and what vanishes meanwhile counts nothing."""
    size = 0
    for top, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(top, name)).st_size
            except FileNotFoundError:
                continue
    return size
