"""Cross-entropy of the answers, without the logits of a whole batch: with a large vocabulary no tensor is larger.

Only positions that predict a learned token go through the head, a chunk of them at a time, and the gradient of their hidden
states is computed in the same pass, while the chunk's logits are there. The head is frozen: an adapter is learned, not it.
The idea is Liger's fused linear cross-entropy (https://arxiv.org/abs/2410.10989), with plain torch instead of Triton.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import Failed
from pipeline.training.devices import CHUNK_BYTES, LOGITS_BYTES
from pipeline.training.learner import IGNORED, Ints

AGREED = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 3e-3}  # of the largest logit: rounding of one product


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """How a model makes logits: (hidden @ weight.T + bias) * scale, then softly capped.

    weight: (vocabulary, width), bias: (vocabulary) or None. `scale`: Granite divides by its `logits_scaling`, Cohere
    multiplies with its `logit_scale`. `cap`: Gemma's, cap * tanh(logits / cap); 0 for none.
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    cap: float = 0.0

    @classmethod
    def of(cls, model: Any) -> "Head":
        """The head of one of transformers' language models, with peft's adapter around it or without.

        Raises Failed where it is to be learned or is no plain linear layer.
        """
        plain = model.get_base_model() if hasattr(model, "get_base_model") else model
        layer, config = plain.get_output_embeddings(), plain.config
        if type(layer) is not nn.Linear or layer.weight.requires_grad:
            raise Failed(
                f"the head of {type(plain).__name__} is a {type(layer).__name__} that is learned or wrapped, not frozen"
            )
        scale = (getattr(config, "logit_scale", None) or 1.0) / (getattr(config, "logits_scaling", None) or 1.0)
        return cls(layer.weight, layer.bias, float(scale), float(getattr(config, "final_logit_softcapping", None) or 0.0))

    @torch.no_grad()
    def logits(self, hidden: Tensor) -> Tensor:
        """In fp32, shape (positions, vocabulary), of hidden states of shape (positions, width)."""
        made = nn.functional.linear(hidden.to(self.weight.dtype), self.weight, self.bias).float()
        if self.scale != 1.0:
            made *= self.scale
        return made.div_(self.cap).tanh_().mul_(self.cap) if self.cap else made

    def chunk(self) -> int:
        """How many positions go through at once where nobody says."""
        room = LOGITS_BYTES.get(self.weight.device.type, CHUNK_BYTES)
        return max(16, room // (4 * self.weight.shape[0]))


@torch.no_grad()
def check(model: Any, head: Head) -> None:
    """Raise Failed where a model makes other logits of its hidden states than `head` does: a family that is not known here.

    One pass over four tokens, with the model as it is.
    """
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    seen: list[Tensor] = []
    hook = plain.base_model.register_forward_hook(lambda _layer, _given, made: seen.append(made[0][0]))
    try:
        tokens = torch.arange(4, device=head.weight.device)[None] % head.weight.shape[0]
        theirs = plain(input_ids=tokens, use_cache=False).logits[0].float()
    finally:
        hook.remove()
    ours = head.logits(seen[0])
    allowed = AGREED.get(head.weight.dtype, 1e-4) * max(float(theirs.abs().max()), 1e-6)
    if not torch.allclose(ours, theirs, rtol=0.0, atol=allowed, equal_nan=True):
        far = float((ours - theirs).abs().max())
        raise Failed(f"{type(plain).__name__} makes its logits in a way that is not known here: off by {far:.3g}")


def answer_loss(hidden: Tensor, targets: Ints, head: Head, chunk: int = 0) -> tuple[Tensor, int]:
    """The sum of the losses of all learned tokens, in nats and fp32, and how many they are. It can be backpropagated once.

    hidden: (rows, width, model's width), what the last norm gives. targets: (rows, width), numpy's, so that nobody has to
    wait for a device to count them; hidden[:, i] predicts targets[:, i + 1]. chunk: positions at once, 0 for a good number.
    """
    where, wanted = _places(targets, hidden.device)
    flat = hidden.flatten(0, 1).index_select(0, where)
    total: Tensor = _Summed.apply(flat, wanted, head, chunk or head.chunk())  # type: ignore[no-untyped-call]  # torch's own
    return total, len(wanted)


@torch.no_grad()
def sample_losses(hidden: Tensor, targets: Ints, head: Head, spans: Sequence[Sequence[int]], chunk: int = 0) -> list[float]:
    """The mean loss of each sample in nats per learned token, row by row; NaN for one of which nothing is learned.

    As `answer_loss`. spans: of each row, the lengths of its samples, one behind the other.
    """
    where, wanted = _places(targets, hidden.device)
    flat = hidden.flatten(0, 1).index_select(0, where)
    parts = [_chunk(flat[of], wanted[of], head, None) for of in _chunks(len(wanted), chunk or head.chunk())]
    learned = _learned(targets)
    each = np.zeros(learned.shape)
    each[learned] = torch.cat(parts).double().cpu().numpy() if parts else 0.0
    found = []
    for row, lengths in enumerate(spans):
        for end, length in zip(accumulate(lengths), lengths, strict=True):
            count = int(learned[row, end - length : end].sum())
            found.append(float(each[row, end - length : end].sum()) / count if count else float("nan"))
    return found


def _learned(targets: Ints) -> Any:
    """Where a token is learned: never in the first column, which nothing predicts."""
    learned = targets != IGNORED
    learned[:, 0] = False
    return learned


def _places(targets: Ints, device: torch.device) -> tuple[Tensor, Tensor]:
    """The places in (rows * width) of the hidden states that predict, and the tokens that they should."""
    targets = np.asarray(targets)
    at = np.flatnonzero(_learned(targets))
    return torch.from_numpy(at - 1).to(device, non_blocking=True), torch.from_numpy(targets.ravel()[at]).to(
        device, non_blocking=True
    )


def _chunks(count: int, chunk: int) -> Iterator[slice]:
    return (slice(start, min(start + chunk, count)) for start in range(0, count, chunk))


class _Summed(torch.autograd.Function):
    """The loss of hidden states (positions, width), and on the way their gradient."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, wanted: Tensor, head: Head, chunk: int) -> Tensor:
        total = hidden.new_zeros((), dtype=torch.float32)
        slope = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for of in _chunks(len(wanted), chunk):
            total += _chunk(hidden[of], wanted[of], head, None if slope is None else slope[of]).sum()
        if slope is not None:
            ctx.save_for_backward(slope)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, None, None, None]:
        (slope,) = ctx.saved_tensors
        return slope * given.to(slope.dtype), None, None, None


def _chunk(hidden: Tensor, wanted: Tensor, head: Head, slope: Tensor | None) -> Tensor:
    """The losses of some positions; their gradient into `slope`. All in the one tensor of logits, which it overwrites.

    With p = softmax(logits): loss = log(sum(exp(logits))) - logits[wanted], d loss / d logits = p - 1 at the wanted token.
    """
    logits = head.logits(hidden)
    bent = 1 - (logits / head.cap).square_() if head.cap and slope is not None else None  # the cap's own slope
    logits -= logits.amax(-1, keepdim=True)  # so that exp cannot overflow; NaN and infinity come out as NaN
    said = logits.gather(-1, wanted[:, None])
    sums = logits.exp_().sum(-1, keepdim=True)
    losses = (sums.log() - said).squeeze(-1)
    if slope is not None:
        logits /= sums
        logits.scatter_add_(-1, wanted[:, None], -torch.ones_like(said))
        if bent is not None:
            logits *= bent
        if head.scale != 1.0:
            logits *= head.scale
        slope.copy_(logits.to(head.weight.dtype) @ head.weight)
    return losses
