"""Our own loop, a step at a time, for tests.bench.training and gpu: it answers to the words that peers/trl_child.py does."""

import json
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.training import devices, fits, loop, torch_learner
from pipeline.training.batches import Room
from pipeline.training.learner import IGNORED, Encoded
from pipeline.training.lessons import Lessons
from pipeline.training.settings import TrainConfig
from tests.bench.peers.turns import Turns

WIDE = 64  # rows of a GPU are as wide as a multiple of it, as pipeline.stages.train has them


def main() -> None:
    """{"model", "samples", "config", "compile"} in a line: `config` is train.yaml's; `compile` has torch compile the blocks."""
    given = json.loads(sys.stdin.readline())
    config = TrainConfig.model_validate({"epochs": 1000, "checkpoints": 1, **given["config"]})
    lessons = Lessons()
    for one in encoded(given["samples"]):
        lessons.add([one])
    place = devices.look(config.device, config.precision)
    shape = json.loads((Path(given["model"]) / "config.json").read_bytes())
    chosen = fits.estimate(shape, config, place, lessons.lengths)
    learner = torch_learner.opened(Path(given["model"]), config, place, base="bench", checkpointing=chosen.checkpointing)
    if given.get("compile"):
        for block in learner.network.get_base_model().model.layers:
            block.compile()
    room = Room(config.batch_tokens, chosen.micro_tokens, learner.packs, WIDE if learner.packs else 1)
    turns = Turns()

    def told(step: loop.Step, _steps: int) -> None:
        assert math.isfinite(step.loss)
        used = torch.cuda.max_memory_allocated() if place.kind == "cuda" else 0
        ways = {"packs": learner.packs, "checkpointing": chosen.checkpointing, "micro_tokens": chosen.micro_tokens}
        turns.told(tokens=step.tokens, device_memory=used, device=learner.device, **ways)
        turns.wait()

    with tempfile.TemporaryDirectory() as folder:
        course = loop.Course(lessons, (), config, room, Path(folder), "bench", told=told, save_s=math.inf)
        turns.ready()
        turns.wait()
        loop.train(learner, course)


def encoded(samples: dict[str, Sequence[Sequence[int]]]) -> list[Encoded]:
    """As the rows of a mix are: the first token is never learned."""
    pairs = zip(samples["input_ids"], samples["labels"], strict=True)
    return [Encoded(tuple(tokens), (IGNORED, *labels[1:])) for tokens, labels in pairs]


if __name__ == "__main__":
    main()
