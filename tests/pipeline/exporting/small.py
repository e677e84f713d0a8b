"""Small models of each family with random weights, and adapters for them: as transformers and peft write theirs."""

import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from tests.pipeline.models.tiny_model import small_model

HOME = Path(__file__).resolve().parents[3]
FAMILIES = ("llama", "mistral", "granite", "qwen2", "qwen3")
OWN: dict[str, dict[str, Any]] = {  # what only models of that family have
    "granite": {
        "attention_multiplier": 0.2,
        "embedding_multiplier": 3.0,
        "residual_multiplier": 0.7,
        "logits_scaling": 0.5,
    },
    "qwen3": {"head_dim": 24},
    "llama": {"head_dim": 32},
    "mistral": {"sliding_window": None},
}
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@cache
def prompts(count: int = 200) -> tuple[str, ...]:
    """Sentences that people wrote: of the README."""
    text = re.sub(r"\s+", " ", (HOME / "README.md").read_text(encoding="utf-8"))
    sentences = [one.strip() for one in re.split(r"(?<=[.!?:;])\s", text) if 30 <= len(one) <= 200]
    step = len(sentences) // count
    assert step, len(sentences)
    return tuple(sentences[::step][:count])


def model(folder: Path, kind: str, *, width: int = 64, seed: int = 3, **changes: Any) -> Path:
    """A model of that family with chance for weights and grouped heads, in `folder`; its tokeniser is the practice model's."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    shutil.copytree(small_model() / "hf", folder)
    words = json.loads((folder / "config.json").read_bytes())["vocab_size"]
    for name in ("config.json", "model.safetensors"):
        (folder / name).unlink()
    shape = {
        "vocab_size": words + 64,  # as real models have more rows than words, and transformers adds words for some families
        "hidden_size": width,
        "intermediate_size": 3 * width // 2,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.2,
        "tie_word_embeddings": False,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = AutoConfig.for_model(kind, **{**shape, **OWN.get(kind, {}), **changes})
        network = AutoModelForCausalLM.from_config(config)
        for weight in network.parameters():
            if weight.ndim == 1:  # else norms are 1 and biases 0, and a mistake with them would not show
                weight.data.add_(torch.randn_like(weight) * 0.3)
        network.save_pretrained(folder)
    return folder


def adapter(folder: Path, base: Path, *, seed: int = 5, **changes: Any) -> Path:
    """An adapter for it in `folder`, with chance for weights; peft writes it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        settings = {"r": 4, "lora_alpha": 8, "target_modules": LINEAR, "task_type": "CAUSAL_LM", **changes}
        network = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**settings))
        for name, weight in network.named_parameters():
            if "lora_" in name:
                weight.data.add_(torch.randn_like(weight) * 0.15)
        ends = {"lm_head", "embed_tokens"} & set(settings["target_modules"])
        network.save_pretrained(folder, save_embedding_layers=bool(ends))  # as by itself, without a warning
    return folder


def tokens(base: Path, texts: tuple[str, ...]) -> list[list[int]]:
    from transformers import AutoTokenizer

    return [list(one)[:64] for one in AutoTokenizer.from_pretrained(base)(list(texts))["input_ids"]]


def llama(path: Path, asked: list[list[int]], adapter: Path | None = None) -> list[Any]:
    """What llama.cpp computes with a file, in this process: (positions, vocabulary) of each prompt."""
    from pipeline.exporting.llama_logits import Opened

    opened = Opened(path, adapter, longest=64)
    return [opened.logits(one, 64) for one in asked]


def theirs(base: Path, asked: list[list[int]], adapter: Path | None = None) -> list[Any]:
    """What transformers and peft compute."""
    from pipeline.exporting.reference import Reference

    return list(Reference(base, adapter).logits(asked, 64))
