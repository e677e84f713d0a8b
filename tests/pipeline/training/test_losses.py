"""The loss and its gradient are those of plain cross-entropy, and the logits of a batch are never there whole."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, CohereConfig, Gemma2Config, GraniteConfig, LlamaConfig

from pipeline.errors import Failed
from pipeline.training.learner import IGNORED, Ints
from pipeline.training.losses import Head, answer_loss, check, sample_losses

VOCABULARY, WIDTH = 97, 16
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "pad_token_id": 0,
}
HEADS: dict[str, Callable[[Tensor], Head]] = {
    "plain": Head,
    "bias": lambda weight: Head(weight, torch.linspace(-1, 1, len(weight))),
    "scaled": lambda weight: Head(weight, scale=0.25),
    "capped": lambda weight: Head(weight, cap=1.5),
    "all": lambda weight: Head(weight, torch.linspace(-1, 1, len(weight)), scale=3.0, cap=2.0),
}


def drawn(seed: int = 0, shape: tuple[int, int] = (3, 11), share: float = 0.5) -> tuple[Tensor, Ints, Tensor]:
    """Hidden states, targets, the head's weights."""
    chance = torch.Generator().manual_seed(seed)
    hidden = torch.randn(*shape, WIDTH, generator=chance, requires_grad=True)
    targets = torch.randint(0, VOCABULARY, shape, generator=chance)
    targets[torch.rand(shape, generator=chance) > share] = IGNORED
    return hidden, targets.numpy(), torch.randn(VOCABULARY, WIDTH, generator=chance)


def plainly(hidden: Tensor, targets: Ints, head: Head) -> Tensor:
    logits = hidden.float() @ head.weight.float().T
    logits = (logits if head.bias is None else logits + head.bias) * head.scale
    logits = head.cap * torch.tanh(logits / head.cap) if head.cap else logits
    wanted = torch.from_numpy(targets)[:, 1:]
    return cross_entropy(logits[:, :-1].flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, reduction="sum")


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("chunk", [0, 1, 7, 1000])
def test_value_and_gradient_are_those_of_cross_entropy(name: str, chunk: int) -> None:
    hidden, targets, weight = drawn()
    head = HEADS[name](weight)

    total, count = answer_loss(hidden, targets, head, chunk)
    (slope,) = torch.autograd.grad(total / count, hidden)
    expected = plainly(hidden, targets, head)
    (wanted,) = torch.autograd.grad(expected / count, hidden)

    assert count == (targets[:, 1:] != IGNORED).sum()
    torch.testing.assert_close(total, expected, rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(slope, wanted, rtol=1e-5, atol=1e-6)


def test_in_16_bits_the_sum_is_in_32_and_near() -> None:
    hidden, targets, weight = drawn()
    rounded, head = hidden.detach().bfloat16().requires_grad_(), Head(weight.bfloat16())

    total, count = answer_loss(rounded, targets, head)
    (slope,) = torch.autograd.grad(total / count, rounded)
    expected = plainly(rounded.detach(), targets, head)

    assert (total.dtype, slope.dtype) == (torch.float32, torch.bfloat16)
    assert total.item() == pytest.approx(expected.item(), rel=5e-3)


def test_where_nothing_is_learned_the_loss_is_nothing_and_so_is_its_gradient() -> None:
    hidden, targets, weight = drawn(share=0.0)

    total, count = answer_loss(hidden, targets, Head(weight))
    total.backward()  # type: ignore[no-untyped-call]  # torch's own

    assert (total.item(), count) == (0.0, 0)
    assert hidden.grad is not None and not hidden.grad.any()
    assert all(map(math.isnan, sample_losses(hidden, targets, Head(weight), [(11,), (5, 6), (11,)])))


def test_a_first_token_that_would_be_learned_is_not() -> None:
    hidden, targets, weight = drawn(share=0.0)
    targets[:, 0] = 5

    assert answer_loss(hidden, targets, Head(weight))[1] == 0


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_stays_visible(wrong: float) -> None:
    hidden, targets, weight = drawn(share=1.0)
    with torch.no_grad():
        hidden[1, 3, 0] = wrong

    total, count = answer_loss(hidden, targets, Head(weight), 4)
    (slope,) = torch.autograd.grad(total / count, hidden)

    assert math.isnan(total.item()) and slope[1, 3].isnan().any()
    assert not slope[0].isnan().any()


def test_large_logits_do_not_overflow() -> None:
    hidden, targets, weight = drawn()

    total, _ = answer_loss(hidden * 1e4, targets, Head(weight))

    torch.testing.assert_close(total, plainly(hidden * 1e4, targets, Head(weight)))


def test_each_sample_of_a_row_has_its_own_loss() -> None:
    hidden, targets, weight = drawn(share=1.0)
    targets[:, [0, 4]] = IGNORED  # where samples begin
    targets[2] = IGNORED
    head = Head(weight)

    found = sample_losses(hidden, targets, head, [(4, 5), (4, 7), (4, 2)], chunk=5)

    for at, (row, start, end) in enumerate([(0, 0, 4), (0, 4, 9), (1, 0, 4), (1, 4, 11)]):
        alone, count = answer_loss(hidden[row : row + 1, start:end], targets[row : row + 1, start:end], head)
        assert found[at] == pytest.approx(alone.item() / count, rel=1e-6)
    assert all(map(math.isnan, found[4:]))


class Largest(TorchDispatchMode):
    """Looks at every tensor that an operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, (tuple, list)) else [made]:
            self.elements = max(self.elements, one.numel() if isinstance(one, Tensor) else 0)
        return made


def test_no_more_logits_are_there_than_a_chunk_has() -> None:
    chance = torch.Generator().manual_seed(0)
    hidden = torch.randn(2, 300, WIDTH, generator=chance, requires_grad=True)
    weight = torch.randn(5000, WIDTH, generator=chance)
    targets = np.random.default_rng(0).integers(0, 5000, (2, 300))

    with Largest() as ours:
        total, _ = answer_loss(hidden, targets, Head(weight), 10)
        total.backward()  # type: ignore[no-untyped-call]  # torch's own
    with Largest() as theirs:
        plainly(hidden, targets, Head(weight))

    assert (ours.elements, theirs.elements) == (WIDTH * 5000, 2 * 300 * 5000)  # ours: the head itself


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(**SMALL),
        LlamaConfig(**SMALL, tie_word_embeddings=True),
        GraniteConfig(**SMALL, logits_scaling=8.0, embedding_multiplier=12.0, residual_multiplier=0.22),
        CohereConfig(**SMALL, logit_scale=0.0625),
        Gemma2Config(**SMALL, head_dim=8, final_logit_softcapping=3.0),
    ],
    ids=["llama", "tied", "granite", "cohere", "gemma2"],
)
def test_a_models_head_is_found_with_all_that_follows_it(config: Any) -> None:
    torch.manual_seed(0)
    model = frozen(config)

    check(model, Head.of(model))


def frozen(config: Any) -> Any:
    model = AutoModelForCausalLM.from_config(config).eval()
    torch.nn.init.normal_(model.get_output_embeddings().weight)  # logits that a scale or a cap would change
    return model.requires_grad_(False)


def test_a_head_that_does_more_than_is_known_is_refused() -> None:
    model = frozen(GraniteConfig(**SMALL, logits_scaling=8.0))
    head = Head.of(model)

    with pytest.raises(Failed, match="GraniteForCausalLM makes its logits in a way that is not known"):
        check(model, Head(head.weight))


def test_a_head_that_is_to_be_learned_is_refused() -> None:
    model = frozen(LlamaConfig(**SMALL))
    model.get_output_embeddings().weight.requires_grad_(True)

    with pytest.raises(Failed, match="head of LlamaForCausalLM"):
        Head.of(model)
