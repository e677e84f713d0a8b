"""Whatever samples are computed with, in a row or beside each other, their losses and gradients are those of one alone."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    AutoModelForCausalLM,
    GraniteConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

from pipeline.errors import Failed
from pipeline.training import varlen
from pipeline.training.batches import packed, padded
from pipeline.training.learner import IGNORED, Batch, Encoded
from pipeline.training.losses import Head, answer_loss, sample_losses

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
}
CONFIGS = {
    "llama": LlamaConfig(**SMALL),
    "mistral": MistralConfig(**SMALL, head_dim=8, sliding_window=None),
    "mistral with a window": MistralConfig(**SMALL, head_dim=8, sliding_window=5),
    "granite": GraniteConfig(
        **SMALL, logits_scaling=8.0, embedding_multiplier=12.0, residual_multiplier=0.22, attention_multiplier=0.0625
    ),
    "qwen2": Qwen2Config(**SMALL),
    "qwen2 with windows": Qwen2Config(**SMALL, use_sliding_window=True, sliding_window=4, max_window_layers=1),
    "qwen3": Qwen3Config(**SMALL, head_dim=8),
}


def kernel(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    starts: Tensor,
    starts_k: Tensor,
    most: int,
    most_k: int,
    *,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False,
) -> Tensor:
    """What varlen_attn says of itself, sample by sample: shapes (tokens, heads, width of a head)."""
    bounds = starts.tolist()
    assert starts is starts_k and most == most_k == max(np.diff(bounds)) and window_size[1] == 0
    assert (starts.dtype, bounds[0], bounds[-1]) == (torch.int32, 0, len(query))
    made = []
    for start, end in pairwise(bounds):
        at = torch.arange(end - start)
        seen = at[:, None] >= at
        if window_size[0] >= 0:
            seen &= at[:, None] - at <= window_size[0]
        own = (one[start:end].transpose(0, 1)[None] for one in (query, key, value))
        alone = scaled_dot_product_attention(*own, attn_mask=seen, scale=scale, enable_gqa=enable_gqa)
        made.append(alone[0].transpose(0, 1))
    return torch.cat(made)


@pytest.fixture
def registered() -> Iterator[str]:
    """Our attention, with a kernel that a CPU has."""
    yield varlen.register(kernel)
    varlen.register()


def model_of(config: Any, attention: str) -> Any:
    torch.manual_seed(0)
    made = AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()
    made.get_output_embeddings().requires_grad_(False)
    return made


def samples(*lengths: int) -> list[Encoded]:
    chance = np.random.default_rng(0)
    drawn = [chance.integers(0, SMALL["vocab_size"], length).tolist() for length in lengths]
    return [Encoded(tuple(one), (*[IGNORED] * (1 + len(one) // 3), *one[1 + len(one) // 3 :])) for one in drawn]


def learned(model: Any, batches: Sequence[Batch], kernel: bool = False) -> tuple[list[float], dict[str, Tensor]]:
    """The loss of each sample, and the gradient of the mean over all learned tokens."""
    model.zero_grad()
    head, losses = Head.of(model), []
    for batch in batches:
        hidden = model.base_model(**varlen.arguments(batch, CPU, model.config, kernel=kernel), use_cache=False)[0]
        total, _ = answer_loss(hidden, batch.targets, head)
        torch.autograd.backward(total / sum(one.learned for one in batches))
        losses += sample_losses(hidden, batch.targets, head, batch.spans)
    return losses, {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("name", CONFIGS)
def test_alone_in_buckets_and_packed_samples_have_the_same_losses_and_gradients(name: str, registered: str) -> None:
    one, two, three, four = made = samples(9, 4, 17, 12)
    model, packing = model_of(CONFIGS[name], "sdpa"), model_of(CONFIGS[name], registered)

    expected, slopes = learned(model, [padded([each]) for each in made])

    ways = {
        "buckets": learned(model, [padded([one, two], multiple=8), padded([three, four])]),
        "blocks": learned(model, [packed([[one, two], [three, four]], 32)]),
        "kernel": learned(packing, [packed([[one, two], [three, four]], 32)], kernel=True),
    }
    for way, (losses, found) in ways.items():
        assert losses == pytest.approx(expected, abs=1e-5), way
        assert found.keys() == slopes.keys() and len(found) > 10
        for weight, slope in slopes.items():
            torch.testing.assert_close(found[weight], slope, atol=1e-5, rtol=1e-5, msg=f"{way}: {weight}")


def test_a_window_counts(registered: str) -> None:
    batch = packed([samples(20)], 20)

    losses = {name: learned(model_of(CONFIGS[name], "sdpa"), [batch])[0] for name in ("mistral", "mistral with a window")}

    assert losses["mistral"] != pytest.approx(losses["mistral with a window"], abs=1e-4)


class Masks(TorchDispatchMode):
    """Hears what attention is computed with: the masks' shapes, None for none, and whether it looks back only."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[tuple[int, ...] | None, bool]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "scaled_dot_product" in str(func) and "backward" not in str(func):
            given = {argument.name: value for argument, value in zip(func._schema.arguments, args, strict=False)}
            given |= kwargs or {}
            mask = given.get("attn_mask", given.get("attn_bias"))
            self.heard.append((None if mask is None else tuple(mask.shape), bool(given.get("is_causal"))))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("attention", ["sdpa", "ours"])
def test_rows_of_one_sample_are_computed_without_a_mask(attention: str, registered: str) -> None:
    model = model_of(CONFIGS["llama"], attention if attention == "sdpa" else registered)

    with Masks() as alone:
        learned(model, [padded(samples(9, 4))])
    with Masks() as together:
        learned(model, [packed([samples(9, 4)], 16)])

    assert alone.heard == [(None, True)] * 2
    assert [mask[-2:] for mask, _ in together.heard if mask] == [(16, 16)] * 2


def test_a_model_generates_with_our_attention_as_without(registered: str) -> None:
    tokens = torch.tensor([[0, 0, 5, 6], [7, 8, 9, 10]])
    seen = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])

    said = [
        model_of(CONFIGS["mistral"], name).generate(
            input_ids=tokens, attention_mask=seen, max_new_tokens=6, do_sample=False, eos_token_id=60
        )
        for name in ("sdpa", registered)
    ]

    assert said[0].tolist() == said[1].tolist()


def test_where_samples_begin_is_told_with_the_padding_as_one_more() -> None:
    starts, longest = varlen.boundaries(packed([samples(2, 3), samples(7)], 8))

    assert (starts.tolist(), starts.dtype, longest) == ([0, 2, 5, 8, 15, 16], np.int32, 7)


def test_torchs_kernel_takes_what_it_is_given() -> None:
    """By shapes alone, since it runs on CUDA only."""
    starts, longest = varlen.boundaries(packed([samples(5, 9)], 16))
    query, key = (torch.empty(1, heads, 16, 8, dtype=torch.bfloat16, device="meta") for heads in (4, 2))
    given = {"cu_seq_lens_q": torch.from_numpy(starts).to("meta"), "max_length_q": longest}

    for window in (None, 4):
        made, _ = varlen._forward(varlen_attn)(
            None, query, key, key, None, **given, scaling=0.3, sliding_window=window, dropout=0.0
        )
        assert (made.shape, made.dtype) == ((1, 16, 4, 8), torch.bfloat16)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA here")
@pytest.mark.parametrize("name", CONFIGS)
def test_on_cuda_the_kernel_gives_what_blocks_give(name: str) -> None:
    where = torch.device("cuda")
    model = model_of(CONFIGS[name], varlen.register()).to(where, torch.bfloat16)
    model.config.dtype = torch.bfloat16
    batch = packed([samples(9, 4), samples(17, 12)], 32)
    assert varlen.fast(where, model.config)

    made = [
        model.base_model(**varlen.arguments(batch, where, model.config, kernel=kernel), use_cache=False)[0].flatten(0, 1)
        for kernel in (True, False)
    ]

    there = torch.from_numpy(batch.targets != IGNORED).flatten().to(where)
    torch.testing.assert_close(made[0][there], made[1][there], atol=0.05, rtol=0.05)


@pytest.mark.parametrize("wrong", [{"dropout": 0.1}, {"softcap": 50.0}, {"s_aux": torch.zeros(2)}])
def test_what_the_kernel_cannot_do_is_refused(wrong: dict[str, Any]) -> None:
    one = torch.zeros(1, 2, 4, 8)

    with pytest.raises(Failed, match=f"packed attention cannot do {next(iter(wrong))}"):
        varlen.attention(kernel, one, one, one, cu_seq_lens_q=torch.tensor([0, 4]), max_length_q=4, **wrong)


def test_models_that_carry_a_state_through_the_row_are_not_packed() -> None:
    assert all(varlen.packable(config) for config in CONFIGS.values())
    assert not varlen.packable(MambaConfig(hidden_size=32, head_dim=8))
    assert not varlen.packable(LlamaConfig(**{**SMALL, "head_dim": 512}))


def test_a_cpu_has_blocks_and_no_kernel() -> None:
    config = CONFIGS["llama"]

    assert not varlen.fast(CPU, config)
    assert set(varlen.arguments(packed([samples(2, 3)], 8), CPU, config)) == {"input_ids", "position_ids"}
