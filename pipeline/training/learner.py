"""What the loop asks of whatever computes: a torch on CUDA, MPS or a CPU, several of them, or MLX.

Arrays that go in are numpy's, so that what makes batches needs no framework.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

IGNORED = -100  # a target that is not learned, as in torch and transformers

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A sample as the model reads it. `targets` has the same length: the token itself where it is learned, else IGNORED.

    Token i is predicted from those before it, so the target of the first is always IGNORED.
    """

    tokens: tuple[int, ...]
    targets: tuple[int, ...]

    @property
    def learned(self) -> int:
        """How many tokens are learned."""
        return len(self.targets) - self.targets.count(IGNORED)


@dataclass(frozen=True, slots=True)
class Batch:
    """What is computed at once. All arrays have the shape (rows, width).

    A row holds samples one behind the other, of the lengths `spans[row]`, then padding: `targets` is IGNORED there and at the
    first token of each sample; `positions` begin at 0 with each sample. Samples of a row must not see each other.
    """

    tokens: Ints
    targets: Ints
    positions: Ints
    spans: tuple[tuple[int, ...], ...]

    @property
    def learned(self) -> int:
        return int((self.targets != IGNORED).sum())

    @property
    def filled(self) -> int:
        """Tokens without the padding."""
        return sum(map(sum, self.spans))


@dataclass(frozen=True, slots=True)
class Learned:
    """What came of a step. `loss`: nats per token that is learned, before the step; `norm`: the gradient's, before clipping."""

    loss: float
    norm: float


class Learner(Protocol):
    """A base model with an adapter that learns. Implementations: torch_learner, mlx_learner."""

    packs: bool  # whether batches are packed (samples in a row cannot see each other for free), else of one sample a row
    device: str  # for people: "NVIDIA H200", "cpu"
    precision: str  # "bf16" or "fp32"
    beat: Callable[[], None]  # called after each batch: on a slow device a step takes longer than anybody waits in silence

    def learn(self, batches: Sequence[Batch], rate: float) -> Learned:
        """A step of the optimiser: the gradient of the mean loss over all tokens that are learned in these batches.

        Where loss or gradient is no number, nothing is changed, and the result says so.
        """
        ...

    def losses(self, batches: Sequence[Batch]) -> list[float]:
        """The mean loss of each sample, in nats per token that is learned, in the order of rows and spans. Learns nothing."""
        ...

    def answers(self, prompts: Sequence[Sequence[int]], most: int, ends: frozenset[int]) -> list[list[int]]:
        """The likeliest continuation of each prompt, token by token, up to an end (not with it) or `most` tokens."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything that the next step depends on into an empty folder: the adapter as peft's, and the optimiser."""
        ...

    def load(self, folder: Path) -> None:
        """Go on with what `save` wrote."""
        ...

    def use(self, adapter: Path | None) -> None:
        """Answer with the adapter in that folder from now on, or as the base does. No training after it."""
        ...
