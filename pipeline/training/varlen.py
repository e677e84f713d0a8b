"""Attention over packed rows: samples in a row do not see each other.

On CUDA from Ampere on, in 16 bits, torch's own `varlen_attn` (flash attention) computes each sample for itself, so that packing
costs nothing. Elsewhere transformers' SDPA is used. It sees by positions that begin again that another sample begins there, and
makes a mask of blocks, which is paid for in full: right, but dear, so such devices had better have buckets. Rows of one sample
need no mask at all: padding stands behind the sample, attention looks back only, and what the padding says is not learned.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from pipeline.errors import Failed
from pipeline.training.learner import Batch

NAME = "labbot_varlen"  # of this attention in transformers' table
PLAIN = "sdpa"
# Families whose layers mix tokens by attention alone, without capped scores or sinks. A state that runs through the row, as in
# Mamba, would carry one sample into the next.
FAMILIES = frozenset("llama mistral granite qwen2 qwen3 phi3 olmo2 smollm3".split())
WIDEST_HEAD = 256  # of flash attention 2
AMPERE = (8, 0)  # the oldest that flash attention 2 runs on

Kernel = Callable[..., Any]


def packable(config: Any) -> bool:
    """Whether a model of transformers' config keeps samples in a row apart by attention alone."""
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.model_type in FAMILIES and width <= WIDEST_HEAD


def register(kernel: Kernel | None = None) -> str:
    """Put this attention into transformers' tables; return NAME, by which a model is told to use it.

    `kernel`: varlen_attn, or what does the same. Without boundaries of samples, as when a model generates, it is SDPA.
    """
    AttentionInterface.register(NAME, _forward(kernel or _kernel()))
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME


def _kernel() -> Kernel:
    from torch.nn.attention.varlen import varlen_attn

    return varlen_attn


def _forward(kernel: Kernel) -> Callable[..., tuple[Tensor, None]]:
    # torch 2.11 groups heads without being told
    grouped: dict[str, Any] = {"enable_gqa": True} if "enable_gqa" in inspect.signature(kernel).parameters else {}

    def forward(
        module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **given: Any
    ) -> tuple[Tensor, None]:
        if "cu_seq_lens_q" in given:
            return attention(kernel, query, key, value, **given, **grouped), None
        made: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **given)
        return made

    return forward


def fast(device: torch.device, config: Any) -> bool:
    """Whether the varlen kernel computes a model of that config on that device."""
    exact = getattr(config, "dtype", None) not in (torch.bfloat16, torch.float16, "bfloat16", "float16")
    if device.type != "cuda" or exact or getattr(config, "_attn_implementation", NAME) != NAME:
        return False
    return packable(config) and torch.cuda.get_device_capability(device) >= AMPERE


def arguments(batch: Batch, device: torch.device, config: Any, *, kernel: bool | None = None) -> dict[str, Any]:
    """What the forward of a model, or of one without its head, is given. `config`: transformers', of that model.

    For the varlen kernel (`kernel`; None: where it is `fast`) all rows become one, as it knows only where samples begin.
    What comes out has the same tokens in the same order then. The empty mask keeps transformers from making one: what has
    four dimensions it passes on as it is.
    """
    tokens = torch.from_numpy(batch.tokens).to(device, non_blocking=True)
    if all(len(spans) == 1 for spans in batch.spans):
        return {"input_ids": tokens}
    positions = torch.from_numpy(batch.positions).to(device, non_blocking=True)
    if not (fast(device, config) if kernel is None else kernel):
        return {"input_ids": tokens, "position_ids": positions}
    starts, longest = boundaries(batch)
    there = torch.from_numpy(starts).to(device, non_blocking=True)
    return {
        "input_ids": tokens.view(1, -1),
        "position_ids": positions.view(1, -1),
        "attention_mask": torch.empty(1, 1, 0, 0, dtype=torch.bool, device=device),
        "cu_seq_lens_q": there,
        "cu_seq_lens_k": there,
        "max_length_q": longest,
        "max_length_k": longest,
    }


def boundaries(batch: Batch) -> tuple[np.ndarray[Any, np.dtype[np.int32]], int]:
    """Where each sample begins in all rows one behind the other, and where the last ends; and the longest one's tokens.

    The padding of a row counts as a sample.
    """
    width = batch.tokens.shape[1]
    spans = [span for row in batch.spans for span in (*row, width - sum(row)) if span]
    return np.concatenate(([0], np.cumsum(spans))).astype(np.int32), max(spans)


def attention(
    kernel: Kernel,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    cu_seq_lens_q: Tensor,
    max_length_q: int,
    scaling: float | None = None,
    sliding_window: int | None = None,
    enable_gqa: bool = False,
    **others: Any,
) -> Tensor:
    """One layer's attention: shapes (1, heads, tokens, width of a head) in, (1, tokens, heads, width of a head) out.

    Raises Failed for what the kernel cannot do: dropout, capped scores, sinks.
    """
    wanted = [name for name in ("dropout", "softcap", "s_aux", "position_bias") if _given(others.get(name))]
    if wanted:
        raise Failed(f"packed attention cannot do {', '.join(wanted)}: train this model without packing")
    more = {"enable_gqa": True} if enable_gqa else {}
    made: Tensor = kernel(
        *(one[0].transpose(0, 1) for one in (query, key, value)),
        cu_seq_lens_q,
        cu_seq_lens_q,
        max_length_q,
        max_length_q,
        scale=scaling,
        window_size=(sliding_window - 1 if sliding_window else -1, 0),  # tokens to the left and to the right of oneself
        **more,
    )
    return made[None]


def _given(one: Any) -> bool:
    return isinstance(one, Tensor) or bool(one)
