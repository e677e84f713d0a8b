"""A base as mlx-lm has it: opened from transformers' folder, with adapters where peft puts them, and its head by itself."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
import torch
from mlx import nn
from mlx.utils import tree_unflatten
from mlx_lm.utils import load_model
from peft import PeftConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from pipeline.errors import Failed, Invalid, Problem

Network = Any  # mlx-lm's, transformers' and peft's models


class Adapted(nn.Module):  # type: ignore[misc]  # mlx.nn tells no types
    """A linear layer and its adapter: y = W x + scale B A x. A: (rank, in), B: (out, rank), as peft keeps them."""

    def __init__(self, linear: nn.Linear, rank: int, scale: float, dropout: float, key: mx.array) -> None:
        super().__init__()
        out, inner = linear.weight.shape
        self.linear, self.scale, self.dropout = linear, scale, dropout
        edge = 1 / math.sqrt(inner)  # peft's: Kaiming with a = sqrt(5)
        self.lora_A = mx.random.uniform(-edge, edge, (rank, inner), key=key)
        self.lora_B = mx.zeros((out, rank))
        self._chance = key  # MLX takes what begins with _ for no weight

    def drop_by(self, key: mx.array) -> None:
        """What is dropped until the next call. No running state: a block that is computed twice must drop the same twice."""
        self._chance = key

    def __call__(self, x: mx.array) -> mx.array:
        down, up = self.lora_A.astype(x.dtype), self.lora_B.astype(x.dtype)
        plain: mx.array = self.linear(x)
        return plain + self.scale * ((self._dropped(x) @ down.T) @ up.T)

    def _dropped(self, x: mx.array) -> mx.array:
        if not self.dropout or not self.training:
            return x
        kept = mx.random.bernoulli(1 - self.dropout, x.shape, key=self._chance)
        return mx.where(kept, x / (1 - self.dropout), mx.zeros_like(x))


class Through(nn.Module):  # type: ignore[misc]  # mlx.nn tells no types
    """In the place of a model's blocks: hands on what it is given, so that the rest of the model is the head alone."""

    def __init__(self, blocks: Network) -> None:
        super().__init__()
        self.embed_tokens = blocks.embed_tokens  # the head of a model whose embeddings are tied

    def __call__(self, hidden: mx.array, *_: object, **__: object) -> mx.array:
        return hidden


def loaded(folder: Path, context: int) -> tuple[Network, Any]:
    """The model in a folder as transformers writes it, and transformers' description of it. `context`: of the longest sample.

    Raises Invalid train.family where mlx-lm does not know the model, or knows another; Failed where it cannot be read.
    """
    shape = _shape(folder)
    try:
        network, _ = load_model(folder, model_config=_as_mlx_reads(shape))
    except (OSError, RuntimeError) as error:
        raise Failed(f"the weights in {folder.name} cannot be read: {error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise _unknown(shape.model_type, str(error)) from error
    if not _knows(network, shape, context):
        raise _unknown(shape.model_type, "its blocks or its window of attention are others there")
    return network, shape


def _shape(folder: Path) -> Any:
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise Failed(f"config.json in {folder.name} cannot be read: {error}") from error


def _unknown(family: str, why: str) -> Invalid:
    fix = "Take `device: mps` or `device: cpu` in configs/recipes/train.yaml."
    message = f"MLX cannot train a {family} as transformers knows it: {why}"
    return Invalid(Problem("train.family", message, "device", fix, {"family": family}))


def _as_mlx_reads(shape: Any) -> dict[str, Any]:
    """What mlx-lm 0.32 looks for elsewhere than transformers 5 writes it: else every model rotates by the base 10,000."""
    found = {"tie_word_embeddings": bool(getattr(shape, "tie_word_embeddings", False))}
    rope = getattr(shape, "rope_parameters", None) or {}
    if "rope_theta" not in rope:  # none, or one for each kind of layer, which only newer families have
        return found
    scaling = None if rope.get("rope_type", "default") == "default" else {**rope, "type": rope["rope_type"]}
    return {**found, **rope, "rope_scaling": scaling}


def _knows(network: Network, shape: Any, context: int) -> bool:
    """Whether blocks and head lie where they are looked for, and a window that is shorter than samples is heeded."""
    window = getattr(shape, "sliding_window", None) or context
    heeded = {"layer_types", "sliding_window_pattern"} & {name for name, value in vars(network.args).items() if value}
    sliding = heeded and "sliding_attention" in (getattr(shape, "layer_types", None) or ())
    return hasattr(network, "model") and hasattr(network.model, "embed_tokens") and (window >= context or bool(sliding))


def without_memory(shape: Any) -> Network:
    with torch.device("meta"):
        made: Network = AutoModelForCausalLM.from_config(shape)  # type: ignore[no-untyped-call]  # transformers tells no types
    return made


def described_in(folder: Path, bare: Network) -> Network:
    """A model without memory, with the adapter that a folder describes. Raises Failed where that cannot be."""
    try:
        described = PeftConfig.from_pretrained(str(folder))
        described.base_model_name_or_path = None  # peft warns where it is another, and a base has its name here
        return get_peft_model(bare, described)
    except (OSError, ValueError, KeyError) as error:
        raise Failed(f"the adapter in {folder.name} does not fit its base: {error}") from error


def adapt(network: Network, shaped: Network, seed: int) -> None:
    """Put an adapter on each layer that has one in peft's model. Raises Invalid train.family where layers differ."""
    mine = {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Linear)}
    theirs = {name: layer for name, layer in shaped.get_base_model().named_modules() if hasattr(layer, "lora_A")}
    if strange := [name for name, layer in theirs.items() if name not in mine or mine[name].weight.shape != layer.weight.shape]:
        raise _unknown(network.model_type, f"there is no {strange[0]}")
    keys = mx.random.split(mx.random.key(seed), len(theirs))
    made, dropout = [], shaped.peft_config["default"].lora_dropout
    for (name, layer), key in zip(theirs.items(), keys, strict=True):
        made.append((name, Adapted(mine[name], layer.r["default"], layer.scaling["default"], dropout, key)))
    network.update_modules(tree_unflatten(made))


def head(network: Network) -> Callable[[mx.array], mx.array]:
    """From hidden states to logits, as the family does it: what it scales or caps is in its own code."""
    head = network.__class__.__new__(network.__class__)
    head.__dict__.update(network.__dict__)
    dict.update(head, network)
    head["model"] = Through(network.model)
    return cast(Callable[[mx.array], mx.array], lambda hidden: head(hidden[None])[0])


def compute_twice(block: Network) -> None:
    """Have a block keep what goes into it alone while it learns, and compute the rest again for the gradient."""
    plain = type(block)

    def twice(self: Network, x: mx.array, *more: Any, **named: Any) -> Any:
        if not self.training:
            return plain.__call__(self, x, *more, **named)

        def inner(weights: Any, x: mx.array) -> Any:
            self.update(weights)
            return plain.__call__(self, x, *more, **named)

        return mx.checkpoint(inner)(self.trainable_parameters(), x)

    block.__class__ = type(plain.__name__, (plain,), {"__call__": twice})
