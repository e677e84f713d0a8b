"""Networks of a few thousand weights with chance for weights, and samples that can be learned, for tests of training."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from pipeline.training.batches import Room
from pipeline.training.devices import Place
from pipeline.training.learner import IGNORED, Encoded
from pipeline.training.lessons import Lessons
from pipeline.training.loop import Course
from pipeline.training.settings import TrainConfig
from pipeline.training.torch_learner import TorchLearner

WORDS = 64
CPU = Place(kind="cpu", name="cpu", memory_bytes=2**34, free_bytes=2**34, bf16=False)
ROOM = Room(step=64, micro=48)
CONFIG = TrainConfig(rank=4, alpha=8, rate=0.02, batch_tokens=64, epochs=3, checkpoints=3, warm_up=0.2, precision="fp32")


def network(kind: str = "llama", **more: Any) -> Any:
    """One of transformers' models, always the same one."""
    torch.manual_seed(7)
    shape: dict[str, Any] = {
        "vocab_size": WORDS,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "tie_word_embeddings": False,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "initializer_range": 0.3,  # so that the frozen head can say much with little
    }
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**shape, **more}), attn_implementation="sdpa")


def learner(config: TrainConfig = CONFIG, **more: Any) -> TorchLearner:
    return TorchLearner(network(), config, CPU, base="small", **more)


def samples(count: int, seed: int = 0) -> list[Encoded]:
    """Questions of random tokens; the answer says the first two again, and ends."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        asked = [draw.randrange(4, WORDS) for _ in range(draw.randrange(2, 12))]
        answer = [*asked[:2], 2]
        made.append(Encoded((1, *asked, 3, *answer), tuple([IGNORED] * (len(asked) + 2) + answer)))
    return made


def lessons(of: Sequence[Encoded]) -> Lessons:
    made = Lessons()
    made.add(of)
    return made


def course(folder: Path, config: TrainConfig = CONFIG, **more: Any) -> Course:
    return Course(lessons(samples(24)), samples(5, seed=1), config, ROOM, folder, "mark", **more)
