"""The ways to train, and where each of them last ran: what was never run says so, here, in the README and in `model info`.

A row is changed by whoever ran it, with what was measured then; a test holds the README's table against this one.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Path:
    """A way to train. `ran`: the day, "" where it never did; `where`: on which kind of machine; `figure`: what was measured."""

    name: str
    what: str
    ran: str = ""
    where: str = ""
    figure: str = ""

    def __str__(self) -> str:
        return f"{self.ran}, {self.where}: {self.figure}" if self.ran else "never ran on such a machine"


CPU = Path("CPU", "torch, bf16 where the processor multiplies it")
CUDA = Path("CUDA", "torch, one NVIDIA GPU, rows packed by varlen attention")
QLORA = Path("QLoRA", "torch and bitsandbytes, one NVIDIA GPU, the base in 4 bits")
FSDP = Path("FSDP", "torchrun, several GPUs")
MPS = Path("MPS", "torch on Apple's GPU")
MLX = Path("MLX", "mlx-lm on Apple's GPU, or on a CPU for its tests")
PATHS = (CPU, CUDA, QLORA, FSDP, MPS, MLX)


def of(kind: str) -> Path:
    """The way that a device's kind goes: cpu, cuda, mps or mlx."""
    return {"cpu": CPU, "cuda": CUDA, "mps": MPS, "mlx": MLX}[kind]
