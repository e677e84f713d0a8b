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


CPU = Path(
    "CPU",
    "torch, bf16 where the processor multiplies it",
    "2026-11-23",
    "2 cores of an AMD EPYC",
    "310 tokens/s with 120M weights in bf16, 4.7 times TRL padded",
)
CUDA = Path("CUDA", "torch, one NVIDIA GPU, rows packed by varlen attention")
QLORA = Path("QLoRA", "torch and bitsandbytes, one NVIDIA GPU, the base in 4 bits")
FSDP = Path("FSDP", "torchrun, several GPUs")  # its tests: two gloo processes on a CPU give one process's losses
MPS = Path("MPS", "torch on Apple's GPU")
MLX = Path("MLX", "mlx-lm on Apple's GPU")  # its tests run on a Linux CPU
PATHS = (CPU, CUDA, QLORA, FSDP, MPS, MLX)


def of(kind: str) -> Path:
    """The way that a device's kind goes: cpu, cuda, mps or mlx."""
    return {"cpu": CPU, "cuda": CUDA, "mps": MPS, "mlx": MLX}[kind]
