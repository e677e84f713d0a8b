"""What this machine computes with is found, and what is not here is refused."""

import platform
from importlib.util import find_spec

import pytest
import torch

from pipeline.errors import Invalid
from pipeline.training import devices
from pipeline.training.devices import look, peak, speed


def test_a_cpu_is_always_here() -> None:
    found = look("cpu")

    assert (found.kind, found.count, found.packs, found.peak_flops) == ("cpu", 1, False, None)
    assert 0 < found.free_bytes <= found.memory_bytes
    assert found.bf16 == bool(torch.cpu.get_capabilities().get("avx512_bf16") or torch.cpu.get_capabilities().get("amx_bf16"))


@pytest.mark.skipif(torch.cuda.is_available() or platform.system() == "Darwin", reason="there is an accelerator here")
def test_without_an_accelerator_the_cpu_is_taken_and_what_is_asked_for_is_refused() -> None:
    assert look("auto").kind == "cpu"
    for wanted in ("cuda", "mps"):
        with pytest.raises(Invalid) as refused:
            look(wanted)
        [problem] = refused.value.problems
        assert (problem.code, problem.facts) == ("train.device", {"device": wanted})
        assert "cpu" in problem.fix


@pytest.mark.skipif(find_spec("mlx_lm") is None or platform.system() == "Darwin", reason="there is no mlx-lm here")
def test_mlx_is_taken_on_linux_where_it_is_asked_for() -> None:
    assert look("mlx").kind == "mlx"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA here")
def test_a_card_is_found_with_what_it_can() -> None:
    found = look("auto")

    assert (found.kind, found.name) == ("cuda", torch.cuda.get_device_name(0))
    assert not look("cuda", "fp32").packs


def test_a_machine_without_torch_has_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "find_spec", lambda name: None)

    found = look("auto")

    assert (found.kind, found.bf16) == ("cpu", False)


@pytest.mark.parametrize(
    ("name", "teraflops"),
    [
        ("NVIDIA H200", 989),
        ("NVIDIA H200 NVL", 835),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA GH200 480GB", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A10", 125),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("NVIDIA RTX 6000 Ada Generation", 364),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA H100 80GB HBM3 MIG 3g.40gb", None),
        ("NVIDIA A10G", None),
        ("Tesla T4", None),
    ],
)
def test_peaks_are_known_by_name(name: str, teraflops: float | None) -> None:
    assert peak(name) == (teraflops and teraflops * 1e12)


def test_a_speed_is_measured() -> None:
    assert 1e7 < speed(look("cpu"), bf16=False) < 1e15
