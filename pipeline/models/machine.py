"""What this machine has, and whether a model runs on it."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import Failed

CONTEXT = 8192  # tokens; the engine gives a conversation no more unless it is told to
OVERHEAD_BYTES = 256_000_000  # see need
SYSTEM_SHARE = 0.1  # of the memory that the system keeps for itself
ROOM = 1.1  # disk for a file of size 1, so that a download never fills the last byte
NVIDIA = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits")

Verdict = Literal["yes", "full", "no"]  # it runs; it would if other programs took less; it does not


@dataclass(frozen=True, slots=True)
class Machine:
    """In bytes: the memory that this process may use, what of it nobody uses now, and that of the largest CUDA device."""

    memory_bytes: int
    free_bytes: int
    cores: int
    kind: Literal["cuda", "metal", "cpu"] = "cpu"
    gpu: str = ""
    gpu_bytes: int = 0

    def __str__(self) -> str:
        card = f", {self.gpu} with {_gb(self.gpu_bytes)} (CUDA)" if self.kind == "cuda" else ""
        return f"{self.cores} cores, {_gb(self.memory_bytes)} of memory{', Metal' if self.kind == 'metal' else card}"


@dataclass(frozen=True, slots=True)
class Need:
    """What a model takes in memory, in bytes."""

    weights: int
    context: int
    overhead: int = OVERHEAD_BYTES

    @property
    def total(self) -> int:
        return self.weights + self.context + self.overhead


def need(size_bytes: int, kv_bytes: int, tokens: int) -> Need:
    """What a model of that file takes with a context of that many tokens.

    Weights: the file's own size, as llama.cpp keeps them as they are. Context: keys and values of every layer in 16 bits,
    2 x layers x key heads x head width x 2 bytes a token (llama.cpp's llama-kv-cache.cpp allocates just that). Overhead:
    Python, llama.cpp and what a step of 256 tokens computes with; 75 to 105 MB were measured with models of 0.2 and 1.2 GB
    on a CPU, and a vocabulary of 100,000 words may add 103 MB, so 256 MB are reckoned.
    """
    return Need(size_bytes, kv_bytes * tokens)


def served(size_bytes: int, kv_bytes: int, trained: int) -> Need:
    """What a model takes at least as `labpipe serve` runs it: a context as long as it was trained for, at most 8,192.

    Where there is more memory, the engine keeps up to four of them.
    """
    return need(size_bytes, kv_bytes, min(trained or CONTEXT, CONTEXT))


def verdict(machine: Machine, wanted: Need) -> Verdict:
    """Whether a model runs here: on the CUDA device where it has room for it, else in memory."""
    if machine.gpu_bytes * (1 - SYSTEM_SHARE) >= wanted.total:
        return "yes"
    if machine.memory_bytes * (1 - SYSTEM_SHARE) < wanted.total:
        return "no"
    return "yes" if machine.free_bytes >= wanted.total else "full"


def look(root: Path = Path("/"), nvidia: Sequence[str] = NVIDIA) -> Machine:
    """What this machine has. Where a container or a service has less memory than the machine, its limit counts."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    known = _meminfo(root)
    limit, used = _limit(root)
    memory = min(total, known.get("MemTotal", total), limit)
    free = min(known.get("MemAvailable", memory), limit - used)
    name, gpu_bytes = _cuda(nvidia)
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    kind: Literal["cuda", "metal", "cpu"] = "cuda" if gpu_bytes else "metal" if apple else "cpu"
    return Machine(memory, free, _cores(), kind, name, gpu_bytes)


def free_disk(folder: Path) -> int:
    """Bytes that may still be written below a folder that need not be there yet. Raises Failed where nothing tells."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        return shutil.disk_usage(there).free
    except OSError as error:
        raise Failed(f"the disk of {folder} cannot be read: {error.strerror}") from error


def _cores() -> int:
    """Cores that this process may use: a container may have fewer than the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _meminfo(root: Path) -> dict[str, int]:
    """Linux's own table; empty elsewhere."""
    try:
        text = (root / "proc" / "meminfo").read_text(encoding="ascii")
    except OSError:
        return {}
    return {name: int(kilobytes) * 1024 for name, kilobytes in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}


def _limit(root: Path) -> tuple[int, int]:
    """The tightest memory limit of the control groups (version 2) that this process is in, and what is used of it."""
    top = root / "sys" / "fs" / "cgroup"
    found = re.search(r"^0::/(.*)$", _text(root / "proc" / "self" / "cgroup"), re.M)
    own = top / found[1] if found else top
    limits = [(_number(one / "memory.max"), one) for one in (own, *own.parents) if one.is_relative_to(top)]
    limit, tightest = min(limits)
    return limit, 0 if limit == sys.maxsize else min(limit, _number(tightest / "memory.current", 0))


def _number(path: Path, otherwise: int = sys.maxsize) -> int:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else otherwise  # "max" is no limit


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _cuda(command: Sequence[str]) -> tuple[str, int]:
    """Name and memory of the largest CUDA device; "" and 0 where there is none or its driver does not answer."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return "", 0
    cards = [(int(mib) * 2**20, name) for name, mib in re.findall(r"^(.+), (\d+)$", said, re.M)]
    size, name = max(cards, default=(0, ""))
    return name, size


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.0f} GB"
