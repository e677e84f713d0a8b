"""What is computed in fewer passes is what peft and transformers compute."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

from pipeline.training import adapters, fused
from pipeline.training.settings import TrainConfig

TOKENS = torch.arange(3, 27).view(2, 12)
SHAPE: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "initializer_range": 0.2,
}
FAMILIES = ["llama", "mistral", "granite", "qwen2", "qwen3"]


def network_of(kind: str = "llama", **more: Any) -> Any:
    """One of transformers' models, always the same one."""
    torch.manual_seed(7)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**SHAPE, **more}))


def adapted(network: Any, **config: Any) -> Any:
    """With an adapter that says something: as it begins, B is zero and A has no gradient."""
    network.requires_grad_(False)
    made = adapters.attach(network, TrainConfig(**{"rank": 4, "alpha": 8, **config}))
    torch.manual_seed(3)
    for weight in adapters.learning(made):
        nn.init.normal_(weight, std=0.2)
    return made


def computed(network: Any) -> tuple[Tensor, list[Tensor]]:
    """Logits and the gradients of the adapter."""
    logits = network(input_ids=TOKENS, use_cache=False).logits
    torch.autograd.backward(logits.float().square().mean())
    slopes = [weight.grad for weight in adapters.learning(network)]
    network.zero_grad()
    return logits.detach(), slopes


def same(network: Any, within: float = 1e-5) -> None:
    fast = copy.deepcopy(network)
    fused.install(fast)
    (logits, slopes), (ours, of_ours) = computed(network), computed(fast)
    assert torch.allclose(logits, ours, rtol=within, atol=within)
    for theirs, mine in zip(slopes, of_ours, strict=True):
        assert theirs.abs().max() > 0
        assert torch.allclose(theirs, mine, rtol=within, atol=within * float(theirs.abs().max()))


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_gradients_are_those_of_peft_and_transformers(family: str) -> None:
    same(adapted(network_of(family)))


def test_every_layer_of_a_known_family_computes_so() -> None:
    network = adapted(network_of())
    fused.install(network)
    changed = [name.rpartition(".")[2] for name, layer in network.named_modules() if "forward" in vars(layer)]
    layers = [
        "mlp",
        "input_layernorm",
        "post_attention_layernorm",
        *"q_proj k_proj v_proj o_proj gate_proj up_proj down_proj".split(),
    ]
    assert sorted(changed) == sorted([*layers * 2, "norm"])


@pytest.mark.parametrize(
    "config", [{"method": "rslora"}, {"ranks": {"q_proj": 8}, "alphas": {"up_proj": 3}}, {"targets": ("q_proj", "down_proj")}]
)
def test_scales_ranks_and_chosen_layers_are_as_peft_has_them(config: dict[str, Any]) -> None:
    same(adapted(network_of(), **config))


def test_activations_may_be_computed_twice() -> None:
    network = adapted(network_of())
    network.train()
    fast = copy.deepcopy(network)
    fused.install(fast)
    fast.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    for theirs, mine in zip(computed(network)[1], computed(fast)[1], strict=True):
        assert torch.allclose(theirs, mine, rtol=1e-5, atol=1e-6)


def test_without_its_adapter_a_model_answers_as_its_base() -> None:
    base = network_of()
    network = adapted(copy.deepcopy(base))
    fused.install(network)
    with network.disable_adapter(), torch.no_grad():
        assert torch.allclose(network(input_ids=TOKENS).logits, base(input_ids=TOKENS).logits, atol=1e-5)


def test_dropout_is_left_to_peft() -> None:
    network = adapted(network_of(), dropout=0.1)
    fused.install(network)
    assert not any("forward" in vars(layer) for name, layer in network.named_modules() if name.endswith("proj"))


def test_a_family_that_is_not_known_keeps_its_norms_and_gates() -> None:
    network = adapted(network_of("gemma", head_dim=8))
    fused.install(network)
    assert not any(
        "forward" in vars(layer) for name, layer in network.named_modules() if "norm" in name or name.endswith("mlp")
    )
    same(network)


def test_a_norm_that_is_learned_is_left_to_transformers() -> None:
    network = adapted(network_of())
    norm = network.get_base_model().model.norm
    norm.weight.requires_grad_()
    fused.install(network)
    assert "forward" not in vars(norm)


class Packed(nn.Linear):
    """A linear layer of another kind, as those of 4 bits are: only itself knows what it multiplies with."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * 1)


def test_a_frozen_layer_of_another_kind_computes_its_own_part() -> None:
    network = adapted(network_of())
    for layer in network.modules():
        if type(layer) is nn.Linear and not layer.weight.requires_grad:
            layer.__class__ = Packed
    same(network)


def test_a_base_in_16_bits_learns_in_32() -> None:
    network = adapted(network_of().to(torch.bfloat16))
    wide = adapted(network_of())
    for (name, weight), (_, other) in zip(network.named_parameters(), wide.named_parameters(), strict=True):
        other.data = weight.data.float()
        assert weight.dtype == (torch.float32 if "lora" in name else torch.bfloat16)
    fused.install(network)
    (logits, slopes), (exact, of_exact) = computed(network), computed(wide)
    assert logits.dtype == torch.bfloat16
    assert torch.allclose(logits.float(), exact, atol=0.03 * float(exact.abs().max()))
    for mine, theirs in zip(slopes, of_exact, strict=True):
        assert mine.dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(mine.flatten(), theirs.flatten(), dim=0) > 0.99


def test_a_sixth_less_is_kept_for_the_way_back() -> None:
    network = adapted(network_of(hidden_size=128, intermediate_size=344).to(torch.bfloat16))
    with torch.autocast("cpu", torch.bfloat16):
        before = kept(network)
    fused.install(network)
    assert kept(network) < 5 / 6 * before


def kept(network: Any) -> int:
    """Bytes of activations that are kept until the gradient is computed, each counted once."""
    held: dict[int, int] = {}
    weights = {weight.untyped_storage().data_ptr() for weight in network.parameters()}

    def keep(one: Tensor) -> Tensor:
        where = one.untyped_storage()
        if where.data_ptr() not in weights:
            held[where.data_ptr()] = where.nbytes()
        return one

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one):
        made = network.get_base_model().model(input_ids=TOKENS, use_cache=False)
    assert made.last_hidden_state.requires_grad
    return sum(held.values())
