"""How much a model computes when an adapter is learned, counted from its shape.

What MFU (model FLOPs utilisation, arXiv 2204.02311) counts here, as multiplications and additions of matrix products: forward
and the gradient of the inputs through the frozen layers (2 + 2 for each weight and token, where training all weights has 6),
forward and both gradients through the adapter (6), attention as far as each token may look back, and the head where a token
is learned. Norms, activations, softmax and what checkpointing computes twice are time, but count for nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import Failed
from pipeline.training.learner import Batch


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder as config.json describes it. `inner`: the width of the feed-forward layers; `gated`: they have three matrices.

    `experts`, `used`: how many feed-forward layers there are beside each other, and how many of them a token goes through.
    """

    layers: int
    width: int
    heads: int
    key_heads: int
    head: int
    inner: int
    vocabulary: int
    tied: bool
    gated: bool = True
    experts: int = 1
    used: int = 1

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Shape":
        """By transformers' names, which most families share. Raises Failed where one is missing."""
        found = config.get("text_config") or config
        try:
            heads, width = int(found["num_attention_heads"]), int(found["hidden_size"])
            experts = int(found.get("num_local_experts") or found.get("num_experts") or 1)
            return cls(
                layers=int(found["num_hidden_layers"]),
                width=width,
                heads=heads,
                key_heads=int(found.get("num_key_value_heads") or heads),
                head=int(found.get("head_dim") or width // heads),
                inner=int(found.get("moe_intermediate_size") or found["intermediate_size"]),
                vocabulary=int(found["vocab_size"]),
                tied=bool(config.get("tie_word_embeddings", found.get("tie_word_embeddings", False))),
                gated=found.get("model_type") not in ("gpt_neox", "starcoder2", "gptj"),
                experts=experts,
                used=int(found.get("num_experts_per_tok") or 1) if experts > 1 else 1,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Failed(f"config.json of this model does not tell its shape: {error}") from error

    @property
    def linears(self) -> dict[str, tuple[int, int, int, int]]:
        """The linear layers of a block by their names' ends: width in, width out, how many, how many of them a token uses."""
        queries, keys = self.heads * self.head, self.key_heads * self.head
        ways = ("gate_proj", "up_proj") if self.gated else ("up_proj",)
        return {
            "q_proj": (self.width, queries, 1, 1),
            "k_proj": (self.width, keys, 1, 1),
            "v_proj": (self.width, keys, 1, 1),
            "o_proj": (queries, self.width, 1, 1),
            **{name: (self.width, self.inner, self.experts, self.used) for name in ways},
            "down_proj": (self.inner, self.width, self.experts, self.used),
        }

    @property
    def blocks(self) -> int:
        """Weights of the matrices of all blocks."""
        return self.layers * sum(wide * out * many for wide, out, many, _ in self.linears.values())

    @property
    def used_in_blocks(self) -> int:
        """Of these, what a token goes through."""
        return self.layers * sum(wide * out * used for wide, out, _, used in self.linears.values())

    @property
    def head_weights(self) -> int:
        return self.width * self.vocabulary

    @property
    def weights(self) -> int:
        """All of them, but for norms and biases."""
        return self.blocks + self.head_weights * (1 if self.tied else 2)

    def adapter(self, rank: int, targets: Iterable[str] = (), ranks: Mapping[str, int] | None = None) -> int:
        """Weights of a LoRA on the linear layers with these names' ends (none: on all): rank x (width in + width out) each."""
        wanted, own = tuple(targets), ranks or {}
        chosen = {name: one for name, one in self.linears.items() if not wanted or any(name.endswith(end) for end in wanted)}
        return self.layers * sum(own.get(name, rank) * (wide + out) * many for name, (wide, out, many, _) in chosen.items())


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens without padding, how many of them are learned, and the sum of the squares of the samples' lengths."""

    tokens: int
    learned: int
    squares: int

    @classmethod
    def of(cls, batches: Iterable[Batch]) -> "Work":
        found = list(batches)
        spans = np.array([span for one in found for row in one.spans for span in row], dtype=np.int64)
        return cls(int(spans.sum()), sum(one.learned for one in found), int((spans**2).sum()))


def counted(shape: Shape, adapter: int, work: Work) -> float:
    """The FLOPs that MFU counts for learning these tokens once; see above. `adapter`: how many weights it has.

    Attention backward is twice what it is forward: four products of matrices where forward has two.
    """
    through = (4.0 * shape.used_in_blocks + 6.0 * adapter) * work.tokens
    return through + 3 * _attention(shape, work) + 4.0 * shape.head_weights * work.learned


def computed(shape: Shape, adapter: int, work: Work, *, checkpointing: bool) -> float:
    """What is really computed: with checkpointing every block's forward pass once more."""
    again = 2.0 * (shape.used_in_blocks + adapter) * work.tokens + _attention(shape, work)
    return counted(shape, adapter, work) + (again if checkpointing else 0.0)


def _attention(shape: Shape, work: Work) -> float:
    """Forward: scores and weighted values, 2 + 2 for each head's width, token, and token that it sees: half of its sample."""
    return 4.0 * shape.layers * shape.heads * shape.head * work.squares / 2


def mfu(flops: float, seconds: float, peak: float | None, count: int = 1) -> float | None:
    """The share of what the devices could compute at best; None where that is not known."""
    return flops / seconds / (peak * count) if peak and seconds > 0 else None
