"""How fast an adapter is trained on one NVIDIA GPU: a Llama 2 7B of random weights, made there; nothing is downloaded.

    python -m tests.bench.gpu [--json] [--only PART] [--install] [--compile] [--minutes N] [--shape tiny --device cpu]

LoRA of rank 16 on all linear layers of the blocks, base in bf16, AdamW, 16,384 tokens a step, pipeline.training's loop with
what it chooses by itself, but for the packs:

    lora        packs of 4,096 tokens, of samples with the lengths of questions and answers (265 tokens on average)
    trl_packed  TRL's SFTTrainer on the same, packs of 4,096, four of them a step, at its own defaults for all else: it
                checkpoints activations. Where this Python has trl, or its environment is there; --install makes that one
    qlora       as lora, the base in 4 bits (where bitsandbytes is installed)
    lora_long   samples of 4,096 tokens each, as published figures have them
    lora_wide   packs as wide as a step: what a GPU with much memory can do

Each is a process of its own, one after the other; one that there is no more time for is left out, and said. The first steps
do not count. `tokens_s`: tokens without padding by seconds. `mfu`: the FLOPs that pipeline.training.flops counts (forward and
the inputs' gradients through the frozen layers, all of the adapter, attention as far as each token looks back, the head where a
token is learned; nothing that is computed twice), by what the card's data sheet promises for dense bf16. `gb`: the most that
the card held.

The weights are 13.5 GB, in a folder of the system's temporary ones. Where no package index can be reached the packages must be
there: torch 2.11 or newer, transformers, peft, pydantic; bitsandbytes, trl and datasets if those are to be compared.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.training import devices, flops
from tests.bench import training_model
from tests.bench.engine.__main__ import environment
from tests.bench.generation import process, until
from tests.bench.training import OURS, PEER, Figures, Side
from tests.bench.training_model import CACHE, Sample, Shape

LORA: dict[str, Any] = {"rank": 16, "alpha": 32, "rate": 2e-4}
WARM = 3  # steps that do not count: kernels are chosen and memory is had


@dataclass(frozen=True)
class Size:
    """What is measured: packs of so many tokens, so many of them a step, for so many seconds a part."""

    shape: Shape
    pack: int
    packs: int
    samples: int
    seconds: float
    start_s: float  # that a part takes until its first step

    @property
    def step(self) -> int:
        return self.pack * self.packs


SIZES = {
    "7b": Size(training_model.SEVEN, 4096, 4, 2600, 30.0, 45.0),
    "tiny": Size(training_model.SMALL, 256, 2, 24, 0.0, 0.0),
}
PARTS = ("lora", "trl_packed", "qlora", "lora_long", "lora_wide")


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    options.add_argument("--shape", choices=SIZES, default="7b", help="tiny: whether it runs, not how fast")
    options.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options.add_argument("--only", choices=PARTS, action="append", help="a part of it; may be given several times")
    options.add_argument("--minutes", type=float, default=7.5, help="after which nothing more is begun")
    options.add_argument(
        "--install", action="store_true", help="TRL in an environment of its own, where an index can be reached"
    )
    options.add_argument("--compile", action="store_true", help="have torch compile the blocks (ours)")
    given = options.parse_args()
    ends = time.monotonic() + given.minutes * 60
    size = SIZES[given.shape]
    if given.install:
        environment("trl")
    figures: Figures = {}
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="labbot-bench-") as folder:
        model = training_model.made(size.shape, Path(folder), given.device)
        for name in given.only or PARTS:
            if why := missing(name, given.device, ends - time.monotonic() - size.start_s - size.seconds):
                print(f"{name}: left out, {why}")
                continue
            try:
                figures |= {f"{name}_{what}": value for what, value in part(name, model, size, given).items()}
            except SystemExit as error:  # its process failed: out of memory, say
                failed.append(name)
                print(f"{name}: failed, {error}")
    if {"lora_tokens_s", "trl_packed_tokens_s"} <= set(figures):
        figures["over_trl_packed"] = figures["lora_tokens_s"] / figures["trl_packed_tokens_s"]
    for name, value in figures.items():
        print(f"{name:32} {value:12.3f}")
    if given.json:
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}))
    if failed:
        raise SystemExit(1)


def missing(name: str, device: str, left_s: float) -> str:
    """Why a part cannot be measured; nothing if it can."""
    if left_s < 0:
        return "there is no time left"
    if name == "qlora" and (device != "cuda" or find_spec("bitsandbytes") is None):
        return "4 bits need CUDA and bitsandbytes"
    return "there is no trl here" if name == "trl_packed" and not trl() else ""


def trl() -> str:
    """A Python that has TRL: this one, or that of the peer's environment; nothing where neither is there."""
    if find_spec("trl") and find_spec("datasets"):
        return sys.executable
    return environment("trl") if (CACHE / "trl" / "ready").exists() else ""


def part(name: str, model: Path, size: Size, given: argparse.Namespace) -> Figures:
    """One process from its first step to the end of its time. Says what it chose by itself."""
    long = name == "lora_long"
    many = size.samples * 265 // size.pack if long else size.samples
    samples = training_model.samples(many, size.shape.vocabulary, long=size.pack if long else 0)
    with process(*told(name, model, size, given, samples)) as one:
        until(one, lambda line: line == "ready")
        side = Side(one)
        began = time.monotonic()
        while len(side.steps) < WARM + 2 or time.monotonic() - began < size.seconds:
            side.step()
    last = side.steps[-1]
    print(f"{name}: {json.dumps({what: last[what] for what in sorted(set(last) - {'seconds', 'cpu', 'tokens', 'memory'})})}")
    return measured(side.steps[WARM:], size.shape, samples, devices.peak(name_of(given.device)))


def told(
    name: str, model: Path, size: Size, given: argparse.Namespace, samples: Sequence[Sample]
) -> tuple[list[str], dict[str, Any]]:
    """A side's command, and what it is given."""
    data = {"input_ids": [one.tokens for one in samples], "labels": [one.labels for one in samples]}
    if name == "trl_packed":
        more: dict[str, Any] = {"max_length": size.pack, "use_cpu": given.device == "cpu"}
        packs = {"packing": True, "batch": 1, "gather": size.packs, "more": more}
        return [trl(), PEER], {"model": str(model), "samples": data, **LORA, **packs}
    config = {
        **LORA,
        "method": "qlora" if name == "qlora" else "lora",
        "device": given.device,
        "batch_tokens": size.step,
        "micro_tokens": size.step if name == "lora_wide" else size.pack,
        "context": size.pack,
    }
    return OURS, {"model": str(model), "samples": data, "config": config, "compile": given.compile}


def measured(steps: Sequence[Mapping[str, Any]], shape: Shape, samples: Sequence[Sample], peak: float | None) -> Figures:
    """Figures of the steps that count; all samples have their share in them alike."""
    tokens, seconds = (sum(step[what] for step in steps) for what in ("tokens", "seconds"))
    each = work(samples)
    found = flops.Shape.of(shape.config.to_dict())
    counted = flops.counted(found, found.adapter(LORA["rank"]), each) / each.tokens * tokens
    share = flops.mfu(counted, seconds, peak)
    return {
        "tokens_s": tokens / seconds,
        "tflops": counted / seconds / 1e12,
        **({"mfu": share} if share is not None else {}),
        "gb": steps[-1]["device_memory"] / 1e9,
        "steps": len(steps),
        "seconds": seconds,
    }


def work(samples: Sequence[Sample]) -> flops.Work:
    """What it takes to learn all samples once."""
    learned = sum(label != training_model.IGNORED for one in samples for label in one.labels[1:])
    lengths = [len(one.tokens) for one in samples]
    return flops.Work(sum(lengths), learned, sum(length**2 for length in lengths))


def name_of(device: str) -> str:
    if device != "cuda":
        return device
    import torch

    return torch.cuda.get_device_name(0)


if __name__ == "__main__":
    main()
