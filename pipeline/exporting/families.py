"""The families of models that can be written as GGUF, and what their tensors are called there.

llama.cpp's RoPE turns neighbouring pairs of a head's rows in some families, transformers' always turns row i with row i + half.
Where they differ the rows of q and k change places, and so do the rows of an adapter's `lora_b` that is added to them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Invalid, Problem

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Family:
    """`architecture`: llama.cpp's. `pairs`: its RoPE turns neighbours there (llama.cpp's llama-model.cpp: ROPE_TYPE_NORM)."""

    architecture: gguf.MODEL_ARCH
    pairs: bool

    @property
    def name(self) -> str:
        """As it stands in a file's `general.architecture`."""
        return str(gguf.MODEL_ARCH_NAMES[self.architecture])


FAMILIES = {  # by the `model_type` of config.json
    "llama": Family(gguf.MODEL_ARCH.LLAMA, pairs=True),
    "mistral": Family(gguf.MODEL_ARCH.LLAMA, pairs=True),
    "granite": Family(gguf.MODEL_ARCH.GRANITE, pairs=True),
    "qwen2": Family(gguf.MODEL_ARCH.QWEN2, pairs=False),
    "qwen3": Family(gguf.MODEL_ARCH.QWEN3, pairs=False),
}


def family(config: Mapping[str, Any], where: str) -> Family:
    """The family of the model with that config.json. Raises Invalid (export.model) for one that is not known here."""
    kind = str(config.get("model_type", ""))
    if kind not in FAMILIES:
        raise unwritten(where, f"a model of type {kind!r}; there is {', '.join(FAMILIES)}")
    return FAMILIES[kind]


def unwritten(where: str, what: str) -> Invalid:
    """What is said of a model that cannot be written as GGUF."""
    fix = "Export the adapter and the merged model as safetensors, which transformers and vLLM take."
    return Invalid(Problem("export.model", f"{what}: that cannot be written as GGUF.", where, fix, {"what": what}))


class Names:
    """What the tensors of one model are called in GGUF, and in which order their rows stand there."""

    def __init__(self, config: Mapping[str, Any], where: str) -> None:
        self.where, self.family = where, family(config, where)
        self.heads = {
            "q_proj": int(config["num_attention_heads"]),
            "k_proj": int(config.get("num_key_value_heads") or config["num_attention_heads"]),
        }
        self._names = gguf.get_tensor_name_map(self.family.architecture, int(config["num_hidden_layers"]))

    def of(self, name: str) -> str:
        """llama.cpp's name of a tensor of transformers'. Raises Invalid (export.model) for one that it has none for."""
        found = self._names.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise unwritten(self.where, f"a {self.family.name} with a tensor {name!r}")
        return str(found)

    def rows(self, name: str, matrix: Matrix) -> Matrix:
        """A tensor (rows, ...), or the `lora_b` that is added to it, with its rows in llama.cpp's order."""
        part = name.removesuffix(".weight").removesuffix(".bias").rpartition(".")[2]
        return rope_order(matrix, self.heads[part]) if self.family.pairs and part in self.heads else matrix


def rope_order(matrix: Matrix, heads: int) -> Matrix:
    """The rows of q or k (heads x head width, ...) as llama.cpp's RoPE wants them; the other dimensions stay."""
    half = matrix.shape[0] // heads // 2
    return matrix.reshape(heads, 2, half, *matrix.shape[1:]).swapaxes(1, 2).reshape(matrix.shape)


def config_of(folder: Path) -> dict[str, Any]:
    """config.json of a transformers' folder. Raises Invalid (export.model) where it cannot be read."""
    try:
        found = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        fix = "Get the model again: `labpipe model download NAME --train`."
        raise Invalid(Problem("export.damaged", f"config.json cannot be read ({error}).", folder.name, fix)) from None
    return found if isinstance(found, dict) else {}
