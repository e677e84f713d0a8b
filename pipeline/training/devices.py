"""What a training computes with: CUDA, Apple's GPU through MPS or MLX, or the CPU; what it is called, and what it can."""

import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

from pipeline.errors import Invalid, Problem
from pipeline.models import machine
from pipeline.training.settings import Device

Kind = Literal["cuda", "mps", "cpu", "mlx"]

AMPERE = (8, 0)  # the first that multiplies bfloat16, and that flash attention runs on
APPLE_SHARE = 0.75  # of the memory that macOS gives a GPU (Metal's recommendedMaxWorkingSetSize)
# Dense bfloat16 with sums in 32 bits, in FLOP/s. Vendors' data sheets; where those give it with sparsity, half of that. More
# particular names stand before those that they begin with. A card that is not here, a part of one (MIG) and those of
# laptops, which run as their cooling allows, have no known peak.
PEAKS = {
    "B200": 2250e12,
    "H200 NVL": 835e12,
    "H200": 989e12,
    "GH200": 989e12,
    "H100 NVL": 835e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "H800": 989e12,
    "A100": 312e12,
    "A800": 312e12,
    "A40": 149.7e12,
    "A30": 165e12,
    "A10": 125e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "RTX 6000 Ada": 364e12,
    "RTX A6000": 154.8e12,
    "RTX 5090": 209.5e12,
    "RTX 4090": 165.2e12,
    "RTX 4080": 97.5e12,
    "RTX 3090": 71e12,
}
PROBES = {"cpu": 768, "mlx": 2048, "mps": 2048, "cuda": 4096}  # rows and columns of matrices whose product tells the speed
PROBE_S = 0.5
LOGITS_BYTES: dict[str, int] = {"cuda": 2**28}  # of logits that are there at once, in fp32
CHUNK_BYTES = 2**25  # the same elsewhere: caches of CPUs like it better


@dataclass(frozen=True, slots=True)
class Place:
    """`name`: for people. `memory_bytes`: what a training may have where nobody else has any; `free_bytes`: what is free now.

    `bf16`: it multiplies bfloat16 faster than fp32. `peak_flops`: of one device in bfloat16, None where nobody says.
    `packs`: attention over packed rows costs nothing. `count`: devices of this kind.
    """

    kind: Kind
    name: str
    memory_bytes: int
    free_bytes: int
    bf16: bool
    peak_flops: float | None = None
    packs: bool = False
    count: int = 1


def look(wanted: Device = "auto", precision: Literal["auto", "bf16", "fp32"] = "auto") -> Place:
    """What is computed with where `wanted` is asked for; "auto" takes the fastest that is here.

    In fp32 nothing is packed: the kernel for it knows 16 bits only. Raises Invalid train.device for what is not here.
    """
    ways: dict[Kind, Callable[[], Place | None]] = {"cuda": lambda: _cuda(precision), "mlx": _mlx, "mps": _mps, "cpu": _cpu}
    if wanted != "auto":
        if found := ways[wanted]():
            return found
        here = [kind for kind, way in ways.items() if way()]
        fix = f"Take `device: auto`, or what is here: {', '.join(here)}."
        raise Invalid(Problem("train.device", f"there is no {wanted} here", "device", fix, {"device": wanted}))
    if platform.system() != "Darwin":
        del ways["mlx"]  # elsewhere it computes on the CPU, slower than torch
    return next(found for way in ways.values() if (found := way()))


def sharing(place: Place, method: str) -> int:
    """How many devices learn together, each with a part of the base: all GPUs of CUDA, but one where the base has 4 bits."""
    return place.count if place.kind == "cuda" and method != "qlora" else 1


def peak(name: str) -> float | None:
    """The peak of a CUDA device of that name, in FLOP/s; None where it is not known."""
    if "MIG" in name or "Laptop" in name or "Max-Q" in name:
        return None
    found = (flops for card, flops in PEAKS.items() if re.search(rf"(?<![\w]){re.escape(card)}(?![A-Za-z0-9])", name))
    return next(found, None)


def speed(place: Place, *, bf16: bool) -> float:
    """FLOP/s of a product of matrices here and now, with whoever else computes: the mean of what half a second brings."""
    size = PROBES[place.kind]
    product = _mlx_product(size, bf16) if place.kind == "mlx" else _torch_product(place.kind, size, bf16)
    product()  # the first has its own price
    count, began = 0, time.perf_counter()
    while not count or time.perf_counter() - began < PROBE_S:
        product()
        count += 1
    return count * 2 * size**3 / (time.perf_counter() - began)


def _torch_product(kind: str, size: int, bf16: bool) -> Callable[[], Any]:
    import torch

    one = torch.ones(size, size, device=kind, dtype=torch.bfloat16 if bf16 else torch.float32)
    return lambda: (one @ one)[0, 0].item()  # which waits until it is there


def _mlx_product(size: int, bf16: bool) -> Callable[[], Any]:
    import mlx.core as mx

    one = mx.ones((size, size), dtype=mx.bfloat16 if bf16 else mx.float32)
    return lambda: mx.eval(one @ one)


def _cuda(precision: str) -> Place | None:
    if find_spec("torch") is None:
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info(0)
    name, able = torch.cuda.get_device_name(0), torch.cuda.get_device_capability(0) >= AMPERE
    packs = able and precision != "fp32"
    return Place("cuda", name, total, free, able, peak(name), packs, torch.cuda.device_count())


def _mps() -> Place | None:
    if find_spec("torch") is None:
        return None
    import torch

    if not torch.backends.mps.is_available():
        return None
    found = machine.look()
    size = int(torch.mps.recommended_max_memory())
    return Place("mps", f"{_apple()} (MPS)", size, min(size, found.free_bytes), torch.backends.mps.is_macos_or_newer(14, 0))


def _mlx() -> Place | None:
    if find_spec("mlx") is None or find_spec("mlx_lm") is None:
        return None
    found, apple = machine.look(), platform.system() == "Darwin"
    size = int(found.memory_bytes * (APPLE_SHARE if apple else 1 - machine.SYSTEM_SHARE))
    return Place("mlx", _apple() if apple else _processor(found), size, min(size, found.free_bytes), apple)


def _cpu() -> Place:
    found = machine.look()
    size = int(found.memory_bytes * (1 - machine.SYSTEM_SHARE))
    return Place("cpu", _processor(found), size, min(size, found.free_bytes), _multiplies_bf16())


def _processor(found: machine.Machine) -> str:
    return f"CPU, {found.cores} cores" if found.cores > 1 else "CPU"


def _apple() -> str:
    return f"Apple {platform.processor() or 'GPU'}" if platform.system() == "Darwin" else "Apple GPU"


def _multiplies_bf16() -> bool:
    """Whether this CPU has instructions for it: AVX512-BF16 or AMX. Without them bfloat16 is slower than fp32."""
    if find_spec("torch") is None:
        return False
    import torch

    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
