"""How fast an adapter is trained on this CPU, beside TRL's SFTTrainer: the same base, samples, LoRA, precision and loss mask.

    python -m tests.bench.training [--json] [--short] [--samples N] [--minutes N] [--ours]

One Llama of random weights (SmolLM's shape, 120 M, vocabulary 49,152), made here, and samples with the lengths of questions and
answers: few long ones among many short ones, 265 tokens on average; only answers are learned. LoRA of rank 16 on all linear
layers of the blocks, the base in bf16, AdamW, about 2,048 tokens a step for everyone.

Ours is pipeline.training's loop with what it chooses by itself. TRL 1.16 is at its own defaults but for what "the same" asks:
padded, 8 samples a batch, as it has it (those are 2,048 tokens); packed, packs of 1,024 as it has it, two of them a step, one
after the other: both as one batch took it 1.4 times as long. It checkpoints activations, as it does by itself, and its head
computes every position, learned or not, where there is no Triton.

Each is a process of its own, and all take their steps in turns, so that whatever else the machine does hits all alike. The
first step of each does not count. Speeds are tokens without padding by the seconds of the steps; `cpu_tokens_s` by seconds of
the processor, some of which a thread spends waiting for another. Memory is the largest that a process ever was.

`over_trl_padded`, `over_trl_packed`: our speed by theirs; `cpu_over_*` by seconds of the processor. `memory_over_trl_padded`:
our memory by theirs. `leaks`: 1 if a sample in one of TRL's packs sees the one before it here.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import training_model
from tests.bench.engine.__main__ import environment
from tests.bench.generation import process, say, until
from tests.bench.training_model import Sample

HOME = Path(__file__).resolve().parent.parent.parent
PEER = str(HOME / "tests" / "bench" / "peers" / "trl_child.py")
OURS = [sys.executable, "-m", "tests.bench.training_ours"]
TOKENS = 2048  # of a step
CPU = {"use_cpu": True}
TRL = {
    "trl_padded": {"packing": False, "batch": 8, "gather": 1, "more": CPU},
    "trl_packed": {"packing": True, "batch": 1, "gather": 2, "more": CPU},
}
SAMPLES, MINUTES = 80, 6.0

Figures = dict[str, float]


@dataclass(slots=True)
class Side:
    """A process that trains, and what its steps took."""

    process: "subprocess.Popen[str]"
    steps: list[dict[str, float]] = field(default_factory=list)

    def step(self) -> None:
        say(self.process, "go")
        self.steps.append(json.loads(until(self.process, lambda line: line.startswith("{"))))

    def left(self, tokens: int) -> bool:
        """Whether it has not been through so many tokens; two steps at least."""
        return len(self.steps) < 2 or sum(one["tokens"] for one in self.steps) < tokens

    def figures(self) -> Figures:
        """Tokens a second of all steps but the first, and memory in GB."""
        counted = self.steps[1:]
        tokens, seconds, cpu = (sum(one[name] for one in counted) for name in ("tokens", "seconds", "cpu"))
        speeds = {"tokens_s": tokens / seconds, "cpu_tokens_s": tokens / cpu}
        return {**speeds, "steps": len(counted), "step_tokens": tokens / len(counted), "gb": self.steps[-1]["memory"] / 1e9}


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    options.add_argument("--short", action="store_true", help="a tiny model and few samples: whether it runs, not how fast")
    options.add_argument("--samples", type=int, default=SAMPLES, help="that everyone goes through once")
    options.add_argument("--minutes", type=float, default=MINUTES, help="after which no more steps are begun")
    options.add_argument("--ours", action="store_true", help="without the peers")
    given = options.parse_args()
    shape = training_model.SMALL if given.short else training_model.LARGE
    samples = training_model.samples(24 if given.short else given.samples, shape.vocabulary)
    figures = compared(training_model.made(shape), samples, given.minutes * 60, peers=not given.ours)
    for name, value in figures.items():
        print(f"{name:32} {value:10.3f}")
    if given.json:
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


def compared(model: Path, samples: Sequence[Sample], limit_s: float, *, peers: bool) -> Figures:
    """Every side through the same samples, a step each in turns."""
    data = {"input_ids": [one.tokens for one in samples], "labels": [one.labels for one in samples]}
    lora = {"rank": 16, "alpha": 32, "rate": 2e-4}
    given = {"model": str(model), "samples": data}
    ours = {**given, "config": {**lora, "batch_tokens": TOKENS, "device": "cpu"}}
    commands: dict[str, tuple[list[str], Mapping[str, Any]]] = {"ours": (OURS, ours)}
    if peers:
        python = environment("trl")
        commands |= {name: ([python, PEER], {**given, **lora, **more}) for name, more in TRL.items()}
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # of all sides: three wait while one computes
    with ExitStack() as stack:
        sides = {name: Side(stack.enter_context(process(*told))) for name, told in commands.items()}
        for one in sides.values():
            until(one.process, lambda line: line == "ready")
        turns(list(sides.values()), sum(len(one.tokens) for one in samples), limit_s)
        return compare({name: one.figures() for name, one in sides.items()}) | {
            "leaks": max(one.steps[0].get("leaks", 0) for one in sides.values())
        }


def turns(sides: Sequence[Side], tokens: int, limit_s: float) -> None:
    """Steps in turns, until each side has been through the samples or the time is over."""
    began = time.perf_counter()
    while left := [one for one in sides if one.left(tokens)]:
        if time.perf_counter() - began > limit_s and all(len(one.steps) > 1 for one in sides):
            return
        for one in left:
            one.step()


def compare(sides: Mapping[str, Figures]) -> Figures:
    """Everybody's figures, and ours by theirs."""
    found = {f"{name}_{what}": value for name, figures in sides.items() for what, value in figures.items()}
    if len(sides) == 1:
        return found
    ours, padded, packed = sides.values()
    return found | {
        "cpu_over_trl_packed": ours["cpu_tokens_s"] / packed["cpu_tokens_s"],
        "cpu_over_trl_padded": ours["cpu_tokens_s"] / padded["cpu_tokens_s"],
        "over_trl_packed": ours["tokens_s"] / packed["tokens_s"],
        "over_trl_padded": ours["tokens_s"] / padded["tokens_s"],
        "memory_over_trl_packed": ours["gb"] / packed["gb"],
        "memory_over_trl_padded": ours["gb"] / padded["gb"],
    }


if __name__ == "__main__":
    main()
