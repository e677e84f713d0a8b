"""What is learned: the rows of the mix, and some of what the base was taught with, encoded and kept small."""

import random
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np

from pipeline.training.encode import Encoder, Tally
from pipeline.training.learner import IGNORED, Encoded, Ints
from pipeline.training.rows import Sample, read


@dataclass(slots=True, eq=False)
class Lessons(Sequence[Encoded]):
    """Encoded samples by their number, from 0; five bytes a token. `tally`: what became of the rows."""

    tally: Tally = field(default_factory=Tally)
    tokens: "array[int]" = field(default_factory=lambda: array("i"))
    learned: bytearray = field(default_factory=bytearray)  # 1 for each token that is learned
    starts: "array[int]" = field(default_factory=lambda: array("Q", [0]))

    def add(self, encoded: Sequence[Encoded]) -> None:
        """Add what one row was encoded as."""
        for one in encoded:
            self.tokens.extend(one.tokens)
            self.learned.extend(target != IGNORED for target in one.targets)
            self.starts.append(len(self.tokens))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, at: int) -> Encoded: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Encoded]: ...

    def __getitem__(self, at: int | slice) -> Encoded | Sequence[Encoded]:
        if isinstance(at, slice):
            return [self._one(number) for number in range(*at.indices(len(self)))]
        return self._one(range(len(self))[at])

    def _one(self, number: int) -> Encoded:
        tokens = tuple(self.tokens[self.starts[number] : self.starts[number + 1]])
        learned = self.learned[self.starts[number] : self.starts[number + 1]]
        return Encoded(tokens, tuple(token if one else IGNORED for token, one in zip(tokens, learned, strict=True)))

    @property
    def lengths(self) -> Ints:
        """Tokens of each sample, shape (samples,)."""
        starts: Ints = np.array(self.starts, dtype=np.int64)
        return starts[1:] - starts[:-1]

    @property
    def counts(self) -> dict[str, int]:
        """How much there is, for people."""
        told = {"rows": self.tally.rows, "split": self.tally.split, "left_out": self.tally.left_out}
        return {**told, "samples": len(self), "tokens": len(self.tokens), "learned": sum(self.learned)}


def encoded(
    samples: Iterable[Sample], encoder: Encoder, beat: Callable[[int], None] = lambda _rows: None, into: Lessons | None = None
) -> Lessons:
    """Raises Invalid train.long where a sample is longer than the context and is not to be split.

    `beat` hears how many rows are done. `into`: lessons that these are added to.
    """
    made = Lessons() if into is None else into
    for one in encoder.many(samples, made.tally):
        made.add(one)
        beat(made.tally.rows)
    return made


def replayed(path: Path, count: int, seed: int) -> list[Sample]:
    """So many rows of what the base was taught with, drawn without repeats while there are enough."""
    if not count:
        return []
    found = list(read(path))
    draw = random.Random(f"replay {seed}")
    whole, rest = divmod(count, len(found)) if found else (0, 0)
    return found * whole + draw.sample(found, rest)


def replay_count(samples: int, share: float) -> int:
    """How many rows make up that share of everything, beside so many samples."""
    return round(samples * share / (1 - share))


def read_all(folder: Path, files: Iterable[str]) -> Iterator[Sample]:
    """The rows of a phase's files, from the run's folder; what is not there has none."""
    for name in files:
        if (folder / name).is_file():
            yield from read(folder / name)
