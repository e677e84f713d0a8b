"""The Llama of random weights, and the samples, that trainings are measured on."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.training.learner import IGNORED

HOME = Path(__file__).resolve().parent.parent.parent
CACHE = HOME / ".cache" / "bench"
CONTEXT = 8192
FIRST = 16  # tokens before it are special ones
QUESTION, ANSWER = (60, 0.75, 400), (140, 0.8, 600)  # tokens in the middle, how far they spread, and at most
SHORTEST = 8


@dataclass(frozen=True, slots=True)
class Shape:
    name: str
    width: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool = True

    @property
    def config(self) -> Any:
        """transformers' configuration; the head is the table of the tokens' vectors."""
        from transformers import LlamaConfig

        return LlamaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            intermediate_size=self.inner,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=self.tied,
            bos_token_id=None,
            pad_token_id=0,
            eos_token_id=1,
        )


# SmolLM's with 26 layers instead of 30: 120 M weights, 28 M of them the vocabulary's.
LARGE = Shape("120m", 576, 1536, 26, 9, 3, 49_152)
SMALL = Shape("small", 64, 128, 2, 4, 2, 512)
SEVEN = Shape("7b", 4096, 11_008, 32, 32, 32, 32_000, tied=False)  # Llama 2 7B's: 6.7 G weights
SHAPES = {shape.name: shape for shape in (LARGE, SMALL, SEVEN)}


@dataclass(frozen=True, slots=True)
class Sample:
    """Token by token; `labels` are IGNORED in the question."""

    tokens: list[int]
    labels: list[int]


def made(shape: Shape, folder: Path = CACHE, device: str = "cpu") -> Path:
    """A folder as transformers reads it, with a tokeniser that TRL asks for. It is made once, in a process of its own.

    Whoever asks stays small, and leaves the device free.
    """
    model = folder / f"llama-{shape.name}"
    if not (model / "tokenizer.json").exists():
        command = [sys.executable, "-m", "tests.bench.training_model", shape.name, str(model), device]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, cwd=HOME)
    return model


def make(shape: Shape, folder: Path, device: str) -> None:
    """Weights are drawn on the device, in bf16: a CPU takes minutes for seven billion."""
    import torch
    from tokenizers import Tokenizer, models
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(11)
    with torch.device(device):
        model: Any = AutoModelForCausalLM.from_config(shape.config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    words = Tokenizer(models.WordLevel({f"w{at}": at for at in range(shape.vocabulary)}, unk_token="w2"))
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="w0", eos_token="w1", unk_token="w2").save_pretrained(folder)


def samples(count: int, vocabulary: int, seed: int = 11, long: int = 0) -> list[Sample]:
    """Made-up questions and answers of which the answers are learned.

    Lengths are lognormal. In batches of 8 drawn at random nearly half of what is computed is padding. `long`: all have so many
    tokens instead.
    """
    chance = np.random.default_rng(seed)
    if long:
        drawn = chance.integers(FIRST, vocabulary, (count, long)).tolist()
        return [Sample(tokens, [IGNORED] * (long // 4) + tokens[long // 4 :]) for tokens in drawn]
    asked, said = (
        np.exp(chance.normal(np.log(middle), spread, count)).clip(SHORTEST, most).astype(int)
        for middle, spread, most in (QUESTION, ANSWER)
    )
    found = []
    for question, answer in zip(asked.tolist(), said.tolist(), strict=True):
        tokens = chance.integers(FIRST, vocabulary, question + answer).tolist()
        found.append(Sample(tokens, [IGNORED] * question + tokens[question:]))
    return found


if __name__ == "__main__":
    make(SHAPES[sys.argv[1]], Path(sys.argv[2]), sys.argv[3])
