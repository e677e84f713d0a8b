"""A model as transformers writes it, as one GGUF file: weights, shape and tokeniser.

The weights are read tensor by tensor, so memory holds one of them at a time, whatever the size of the model. Matrices are
written in the kind that is asked for, vectors in 32 bits, as llama.cpp wants them.
"""

import math
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
from gguf import GGMLQuantizationType, LlamaFileType

from pipeline.errors import Failed
from pipeline.exporting import vocabulary
from pipeline.exporting.families import Matrix, Names, config_of, unwritten
from pipeline.exporting.tensors import Tensors

Kind = Literal["F32", "F16", "BF16"]
FILES = {"F32": LlamaFileType.ALL_F32, "F16": LlamaFileType.MOSTLY_F16, "BF16": LlamaFileType.MOSTLY_BF16}
BYTES = {"F32": 4, "F16": 2, "BF16": 2}
SCALES = {  # granite's multipliers: the setting in config.json, and how it is written
    "attention_multiplier": "add_attention_scale",
    "embedding_multiplier": "add_embedding_scale",
    "residual_multiplier": "add_residual_scale",
    "logits_scaling": "add_logit_scale",
}


def write(
    folder: Path,
    path: Path,
    *,
    kind: Kind,
    name: str,
    licence: str,
    about: str,
    tick: Callable[[int, int], None] = lambda _done, _all: None,
) -> None:
    """Write the model in `folder` to `path`, whole or not at all. `tick` hears how many tensors are written, and of how many.

    A head that is tied to the embeddings is not written: llama.cpp takes them where there is no output.weight.
    Raises Invalid (export.model) for a model of a kind that is not known here, Failed where the disk refuses or a weight has
    no place in 16 bits.
    """
    config = config_of(folder)
    names = Names(config, folder.name)
    _known(config, folder.name)
    words = vocabulary.read(folder, int(config["vocab_size"]))
    part = path.with_name(f".{path.name}.part")
    try:
        with Tensors(folder) as tensors, closing(gguf.GGUFWriter(part, names.family.name)) as writer:
            writer.add_name(name)
            writer.add_license(licence)
            writer.add_description(about)
            writer.add_file_type(FILES[kind])
            _shape(writer, config)
            words.write(writer)
            _weights(writer, tensors, names, config, kind, tick)
        os.replace(part, path)
    except OSError as error:
        raise Failed(f"{path.name} could not be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def _known(config: Mapping[str, Any], where: str) -> None:
    """Raises Invalid (export.model) for what llama.cpp would compute otherwise, or not at all."""
    kind = config["model_type"]
    if kind not in ("qwen2",) and (config.get("attention_bias") or config.get("mlp_bias")):
        raise unwritten(where, f"a {kind} with biases")
    if kind.startswith("qwen") and config.get("use_sliding_window"):
        raise unwritten(where, f"a {kind} with a sliding window")
    if config.get("hidden_act", "silu") != "silu":
        raise unwritten(where, f"a {kind} with {config['hidden_act']!r}")
    if (stretched := _rope(config).get("rope_type", "default")) not in ("default", "linear", "llama3"):
        raise unwritten(where, f"RoPE of type {stretched!r}")


def _rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """How positions are stretched; older files say `type`."""
    found = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    return {**found, "rope_type": found.get("rope_type") or found.get("type") or "default"}


def rope_base(config: Mapping[str, Any]) -> float:
    """The base of RoPE's angles; transformers 5 writes it below rope_parameters."""
    return float(_rope(config).get("rope_theta") or config.get("rope_theta") or 10_000.0)


def _shape(writer: gguf.GGUFWriter, config: Mapping[str, Any]) -> None:
    heads = config["num_attention_heads"]
    writer.add_vocab_size(config["vocab_size"])
    # Mistral's first model sees 4,096 tokens back, which llama.cpp does not do: up to there both compute the same.
    window = config.get("sliding_window") if config["model_type"] == "mistral" else None
    writer.add_context_length(min(config["max_position_embeddings"], window or math.inf))
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    head = head_width(config)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(rope_base(config))
    if (rope := _rope(config))["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if config["model_type"] == "granite":
        for setting, add in SCALES.items():
            getattr(writer, add)(float(config.get(setting, 1.0)))


def head_width(config: Mapping[str, Any]) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def _weights(
    writer: gguf.GGUFWriter,
    tensors: Tensors,
    names: Names,
    config: Mapping[str, Any],
    kind: Kind,
    tick: Callable[[int, int], None],
) -> None:
    """First what there will be, then each tensor as it is read."""
    extra = _stretched(config)
    order = [one for one in sorted(tensors.shapes) if not (one == "lm_head.weight" and config.get("tie_word_embeddings"))]
    for one in order:
        shape = tensors.shapes[one]
        written: Kind = kind if len(shape) > 1 else "F32"
        nbytes = math.prod(shape) * BYTES[written]
        writer.add_tensor_info(names.of(one), shape, np.dtype(np.float32), nbytes, GGMLQuantizationType[written])
    for one, values in extra.items():
        writer.add_tensor_info(one, values.shape, values.dtype, values.nbytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for done, one in enumerate(order, 1):
        matrix = names.rows(one, tensors.read(one))
        writer.write_tensor_data(_rounded(one, matrix, kind if matrix.ndim > 1 else "F32"))
        tick(done, len(order))
    for values in extra.values():
        writer.write_tensor_data(values)


def _rounded(name: str, matrix: Matrix, kind: Kind) -> np.ndarray[Any, Any]:
    """In the kind that is written. Raises Failed for what is no number any more then."""
    if kind == "BF16":
        made = gguf.quants.quantize(matrix, GGMLQuantizationType.BF16)
    else:
        with np.errstate(over="ignore"):  # looked for below
            made = np.ascontiguousarray(matrix, np.float32 if kind == "F32" else np.float16)
    if not np.isfinite(matrix if kind == "BF16" else made).all():
        raise Failed(f"{name} has weights that are no numbers, or none in {kind}: the greatest is {np.abs(matrix).max():g}")
    return made


def _stretched(config: Mapping[str, Any]) -> dict[str, Matrix]:
    """What llama.cpp divides RoPE's angles by, where positions are stretched as Llama 3.1 does it (transformers'
    modeling_rope_utils.py): slow turns by the factor, fast ones not, and those between them by something between.
    """
    rope = _rope(config)
    if rope["rope_type"] != "llama3":
        return {}
    width = head_width(config)
    turns = 1.0 / rope_base(config) ** (np.arange(0, width, 2, dtype=np.float64) / width)
    lengths = 2 * math.pi / turns
    old, slow, fast = rope["original_max_position_embeddings"], rope["low_freq_factor"], rope["high_freq_factor"]
    share = np.clip((old / lengths - slow) / (fast - slow), 0.0, 1.0)
    factors = 1.0 / ((1.0 - share) / rope["factor"] + share)
    return {"rope_freqs.weight": factors.astype(np.float32)}
