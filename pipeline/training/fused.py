"""The same arithmetic as peft's and transformers' in fewer passes over memory, for blocks of a Llama's kind.

A LoRA layer as peft writes it makes four tensors of its answer's size where one is enough, and as many on the way back; a
norm keeps its input in 32 bits. On a GPU that takes about a third as long as the matrix products (counted, not measured),
and what is kept decides how many tokens are computed at once. What is not known here stays as it is: dropout, other
adapters, other families' layers.
"""

from types import MethodType
from typing import Any

import torch
from peft.tuners.lora.layer import LoraLayer
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear, rms_norm, silu

FAMILIES = ("Llama", "Mistral", "Granite", "Qwen2", "Qwen3")  # transformers writes these layers of theirs alike
NORMS = {f"{family}RMSNorm" for family in FAMILIES}
GATES = {f"{family}MLP" for family in FAMILIES}
SILU = {"SiLU", "SiLUActivation"}  # torch's, and transformers' own

Layer = Any


def install(network: nn.Module) -> None:
    """Have the layers of a model with an adapter compute so. All but the adapter must be frozen before."""
    for layer in network.modules():
        if isinstance(layer, LoraLayer) and _plain(layer):
            layer.forward = MethodType(_adapted, layer)
        elif type(layer).__name__ in NORMS and not _learns(layer):
            layer.forward = MethodType(_normed, layer)
        elif type(layer).__name__ in GATES and type(layer.act_fn).__name__ in SILU:
            layer.forward = MethodType(_gated, layer)


def _learns(layer: nn.Module) -> bool:
    return any(weight.requires_grad for weight in layer.parameters())


def _applied(function: type[torch.autograd.Function], *given: Any) -> Tensor:
    made: Tensor = function.apply(*given)  # type: ignore[no-untyped-call]  # torch has no types for it
    return made


# --- adapters


def _plain(layer: LoraLayer) -> bool:
    """Whether it is a frozen linear layer with one LoRA, whose matrices know nothing but y = x W + (x A) B."""
    names, base = list(layer.lora_A), layer.get_base_layer()
    if len(names) != 1 or layer.lora_variant or _learns(base) or not isinstance(base, nn.Linear):
        return False
    [name] = names
    biased = layer.lora_A[name].bias is not None or layer.lora_B[name].bias is not None
    return isinstance(layer.lora_dropout[name], nn.Identity) and not biased


def _adapted(layer: Layer, x: Tensor, *_args: Any, **_given: Any) -> Tensor:
    """peft's forward, of a layer that is `_plain`."""
    base = layer.get_base_layer()
    if layer.disable_adapters or layer.merged:
        made: Tensor = base(x)
        return made
    [name] = layer.lora_A
    small = layer.lora_A[name].weight, layer.lora_B[name].weight, layer.scaling[name]
    if type(base) is nn.Linear:
        return _applied(_Adapted, x.to(base.weight.dtype), base.weight, base.bias, *small)
    return _applied(_Added, base(x), x, *small)  # of 4 bits


class _Adapted(torch.autograd.Function):
    """x W + b + scale (x A) B, with all of it but A and B frozen.

    x: (..., in). weight: (out, in), bias: (out) or None, in x's type. down, up: A as (rank, in) and B as (out, rank), which
    may have more bits. Kept for the way back: x, which layers of the same x share, and x A.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, scale: float) -> Tensor:
        flat, a, b = x.flatten(0, -2), down.to(x.dtype), up.to(x.dtype)
        small = flat @ a.T
        made = linear(flat, weight, bias).addmm_(small, b.T, alpha=scale)
        ctx.save_for_backward(flat, weight, a, b, small)
        ctx.scale, ctx.shape, ctx.types = scale, x.shape, (down.dtype, up.dtype)
        return made.view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        flat, weight, a, b, small = ctx.saved_tensors
        slope = slope.flatten(0, -2)
        inner, of_a, of_b = _slopes(ctx, slope, flat, b, small)
        of_x = torch.mm(slope, weight).addmm_(inner, a).view(ctx.shape) if ctx.needs_input_grad[0] else None
        return of_x, None, None, of_a, of_b, None


class _Added(torch.autograd.Function):
    """What a frozen layer made of x, and scale (x A) B."""

    @staticmethod
    def forward(ctx: Any, made: Tensor, x: Tensor, down: Tensor, up: Tensor, scale: float) -> Tensor:
        flat, a, b = x.to(made.dtype).flatten(0, -2), down.to(made.dtype), up.to(made.dtype)
        small = flat @ a.T
        ctx.save_for_backward(flat, a, b, small)
        ctx.scale, ctx.shape, ctx.types = scale, x.shape, (down.dtype, up.dtype)
        return torch.addmm(made.flatten(0, -2), small, b.T, alpha=scale).view(made.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        flat, a, b, small = ctx.saved_tensors
        inner, of_a, of_b = _slopes(ctx, slope.flatten(0, -2), flat, b, small)
        return slope, (inner @ a).view(ctx.shape), of_a, of_b, None


def _slopes(ctx: Any, slope: Tensor, flat: Tensor, b: Tensor, small: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x A, of A and of B."""
    inner = (slope @ b).mul_(ctx.scale)
    of_a, of_b = ctx.types
    return inner, (inner.T @ flat).to(of_a), (slope.T @ small).to(of_b).mul_(ctx.scale)


# --- norms


def _normed(layer: Layer, x: Tensor) -> Tensor:
    if x.device.type == "cuda":  # torch has a kernel of its own for it there, for both ways
        return rms_norm(x, layer.weight.shape, layer.weight, layer.variance_epsilon)
    return _applied(_Normed, x, layer.weight, layer.variance_epsilon)


class _Normed(torch.autograd.Function):
    """x / sqrt(mean(x x) + epsilon) * weight, computed in 32 bits; x: (..., width). Kept for the way back: x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        wide = x.float()
        root = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
        ctx.save_for_backward(x, root, weight)
        return weight * (wide * root).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        """With n = x root: d loss / d x = root (s - n mean(s n)), s being the gradient of n."""
        x, root, weight = ctx.saved_tensors
        inner = (slope * weight).float()
        normed = x * root  # in 32 bits, as root is
        inner -= normed.mul_((inner * normed).mean(-1, keepdim=True))
        return inner.mul_(root).to(x.dtype), None, None


# --- gates


def _gated(layer: Layer, x: Tensor) -> Tensor:
    made: Tensor = layer.down_proj(_applied(_Gated, layer.gate_proj(x), layer.up_proj(x)))
    return made


class _Gated(torch.autograd.Function):
    """silu(gate) * value. Kept for the way back: both, and not silu(gate), which is computed again."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(gate, value)
        return silu(gate).mul_(value)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor]:
        gate, value = ctx.saved_tensors
        of_gate = torch.ops.aten.silu_backward(slope * value, gate)
        return of_gate, silu(gate).mul_(slope)
