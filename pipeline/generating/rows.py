"""A row: one sample with all that is known of it, kept or not. Files of rows have one JSON object a line, in ASCII."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pipeline import files
from pipeline.errors import Failed

Kind = Literal["freeform", "grounded", "knowledge"]
Set = Literal["train", "unseen", "reworded"]
Why = Literal["", "score", "malformed", "empty", "cut", "failed", "same", "near", "seed", "taxonomy", "unseen"]

GENERATED, SAMPLES = "samples/generated.jsonl", "samples/samples.jsonl"
UNSEEN, REWORDED = "holdout/unseen.jsonl", "holdout/reworded.jsonl"


@dataclass(frozen=True, slots=True)
class Score:
    """What a judge gave in a step, with its reason."""

    step: str
    score: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """`number` counts the samples of a set from 1, in an order that is the same however often a run was interrupted.

    `seed` is the number of its seed example, from 1 as in qna.yaml. `document` is the chunk that a knowledge sample was made
    from, `context` what a grounded one is asked with. A row that is not kept says at which step (`at`) and `why`; where it is
    too like another text, `near` is that text and `of` the number of the sample or seed that it is, 0 for neither.
    """

    id: str
    number: int
    set: Set
    kind: Kind
    leaf: str
    seed: int
    question: str
    answer: str = ""
    context: str = ""
    document: str = ""
    chunk: str = ""
    facet: Mapping[str, str] | None = None
    scores: tuple[Score, ...] = ()
    kept: bool = True
    at: str = ""
    why: Why = ""
    near: str = ""
    of: int = 0

    def dropped(self, at: str, why: Why, near: str = "", of: int = 0) -> "Row":
        return replace(self, kept=False, at=at, why=why, near=near, of=of)

    @property
    def asks(self) -> str:
        """The question with what it is asked about: what makes two grounded samples the same."""
        return f"{self.context}\n\n{self.question}" if self.context else self.question


def line(row: Row) -> str:
    """U+2028 and halves of surrogate pairs, which models do write, end no line: it is ASCII."""
    return json.dumps(asdict(row), separators=(",", ":")) + "\n"


def parsed(found: Mapping[str, Any]) -> Row:
    scores = tuple(Score(**one) for one in found.get("scores", ()))
    return Row(**{**found, "scores": scores})


def read(path: Path) -> Iterator[Row]:
    """The rows of a file, one in memory at a time; none where there is no file. Raises Failed, naming the line, for damage."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            try:
                yield parsed(json.loads(text))
            except (ValueError, TypeError) as error:
                raise Failed(f"{path}, line {number}, is no row: {error}") from None


def write(path: Path, rows: Iterable[Row]) -> int:
    """Write a file of rows, whole or not at all; return how many. Raises Failed where the disk refuses."""
    count = 0

    def lines() -> Iterator[bytes]:
        nonlocal count
        for row in rows:
            count += 1
            yield line(row).encode("ascii")

    files.write_parts(path, lines())
    return count
