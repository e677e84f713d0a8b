"""The model of random weights that benches of the engine run on."""

from pathlib import Path
from typing import Any

from tests.pipeline.models import random_gguf

CACHE = Path(__file__).resolve().parent.parent.parent.parent / ".cache" / "bench"
LARGE = {"width": 1024, "layers": 14, "heads": 16, "kv_heads": 8, "ffn": 2816, "vocab": 32_000, "context": 8192}  # 230 M
SMALL = {"width": 256, "layers": 2, "heads": 4, "kv_heads": 2, "ffn": 512, "vocab": 4000, "context": 8192}


def made(*, small: bool = False) -> str:
    """The path of the model in Q8_0, of 230 million weights or few; it is made once."""
    shape: dict[str, Any] = SMALL if small else LARGE
    path = CACHE / f"random-{'small' if small else '230m'}.gguf"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        random_gguf.make(path.with_suffix(".part"), **shape, quantised=True).rename(path)
    return str(path)
