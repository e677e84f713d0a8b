"""What a machine has is what this process may use of it, and a model runs where it fits into that."""

import sys
from pathlib import Path

import pytest

from pipeline.models import machine
from pipeline.models.machine import CONTEXT, OVERHEAD_BYTES, Machine, Need, look, need, served, verdict

GIB = 2**30
NO_CUDA = ("no-such-program-here",)


def says(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"print({text!r}, end='')")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A Linux with 4 GiB of memory, 3 of them free, and no limit."""
    put(tmp_path, "proc/meminfo", f"MemTotal: {4 * 2**20} kB\nMemFree: 1 kB\nMemAvailable: {3 * 2**20} kB\n")
    put(tmp_path, "proc/self/cgroup", "0::/app/labbot\n")
    return tmp_path


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="ascii")


def has(memory: float, free: float | None = None, gpu: float = 0.0) -> Machine:
    free = memory if free is None else free
    return Machine(int(memory * GIB), int(free * GIB), 2, "cuda" if gpu else "cpu", "Card" if gpu else "", int(gpu * GIB))


# --- what there is


def test_memory_is_what_linux_says(root: Path) -> None:
    found = look(root, NO_CUDA)

    assert (found.memory_bytes, found.free_bytes, found.kind) == (4 * GIB, 3 * GIB, "cpu")
    assert found.cores >= 1


@pytest.mark.parametrize("group", ["", "app", "app/labbot"])
def test_the_limit_of_any_group_around_us_counts(root: Path, group: str) -> None:
    put(root, "sys/fs/cgroup/app/labbot/memory.max", "max\n")
    put(root, f"sys/fs/cgroup/{group}/memory.max", f"{2 * GIB}\n")
    put(root, f"sys/fs/cgroup/{group}/memory.current", f"{GIB // 2}\n")
    found = look(root, NO_CUDA)

    assert (found.memory_bytes, found.free_bytes) == (2 * GIB, 2 * GIB - GIB // 2)


def test_a_group_that_used_more_than_its_limit_has_nothing_free(root: Path) -> None:
    put(root, "sys/fs/cgroup/app/memory.max", f"{GIB}\n")
    put(root, "sys/fs/cgroup/app/memory.current", f"{2 * GIB}\n")

    assert look(root, NO_CUDA).free_bytes == 0


def test_a_system_that_says_nothing_of_its_memory_has_all_of_it_free(tmp_path: Path) -> None:
    found = look(tmp_path, NO_CUDA)

    assert found.memory_bytes == found.free_bytes > 0


def test_the_largest_card_is_the_one_that_counts(root: Path) -> None:
    found = look(root, says("NVIDIA T4, 15360\nNVIDIA H200, 143771\n"))

    assert (found.kind, found.gpu, found.gpu_bytes) == ("cuda", "NVIDIA H200", 143771 * 2**20)
    assert str(found).endswith("cores, 4 GB of memory, NVIDIA H200 with 151 GB (CUDA)")


@pytest.mark.parametrize("text", ["", "No devices were found\n", "Failed to initialize NVML\n", "NVIDIA H200, [N/A]\n"])
def test_a_driver_that_names_no_memory_is_no_card(root: Path, text: str) -> None:
    assert look(root, says(text)).kind == "cpu"


def test_a_driver_that_fails_is_no_card(root: Path) -> None:
    assert look(root, (sys.executable, "-c", "import sys; print('NVIDIA T4, 15360'); sys.exit(9)")).kind == "cpu"


@pytest.mark.parametrize(("system", "processor", "kind"), [("Darwin", "arm64", "metal"), ("Darwin", "x86_64", "cpu")])
def test_a_mac_of_apple_s_own_chips_has_metal(
    root: Path, monkeypatch: pytest.MonkeyPatch, system: str, processor: str, kind: str
) -> None:
    monkeypatch.setattr(machine.platform, "system", lambda: system)
    monkeypatch.setattr(machine.platform, "machine", lambda: processor)

    assert look(root, NO_CUDA).kind == kind


# --- what a model takes


def test_a_model_takes_its_file_its_context_and_what_it_computes_with() -> None:
    wanted = need(4_368_484_992, 131_072, CONTEXT)

    assert wanted == Need(4_368_484_992, 2**30, OVERHEAD_BYTES)
    assert wanted.total == 4_368_484_992 + 2**30 + 256_000_000


@pytest.mark.parametrize(("trained", "tokens"), [(131_072, 8192), (8192, 8192), (4096, 4096), (0, 8192)])
def test_a_model_is_served_with_a_context_as_long_as_it_can_use(trained: int, tokens: int) -> None:
    assert served(1000, 10, trained) == need(1000, 10, tokens)


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        (has(8), "yes"),
        (has(8, free=1), "full"),
        (has(4), "no"),  # of which the system keeps a tenth
        (has(4.5), "yes"),
        (has(4, gpu=4.5), "yes"),
        (has(4, gpu=4.1), "no"),
        (has(8, free=1, gpu=2), "full"),
    ],
)
def test_a_model_runs_where_it_fits_beside_the_system(found: Machine, answer: str) -> None:
    assert verdict(found, Need(3 * GIB, GIB - OVERHEAD_BYTES)) == answer
