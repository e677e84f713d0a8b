"""A Llama model's weights and tokeniser as GGUF, from a folder as transformers writes it.

The folder holds config.json, model.safetensors, tokenizer.json (byte-level BPE) and tokenizer_config.json with the chat
template. Nothing is computed but one thing: llama.cpp's RoPE turns neighbouring pairs of a head's rows, transformers' turns
row i with row i + half, so the rows of q and k are put into llama.cpp's order (facts/pipeline.md, section 5). Whoever exports
an adapter takes `gguf_name` and `rope_order` from here: an adapter's `lora_b` has the rows of the matrix it is added to.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from pipeline.errors import Failed
from pipeline.files import write

PRE = "gpt-2"  # llama.cpp's name for the words that tokenizers' ByteLevel cuts a text into before BPE
Matrix = NDArray[np.float32]


def rope_order(matrix: Matrix, heads: int) -> Matrix:
    """The rows of q or k (heads x head width, ...) as llama.cpp's RoPE wants them; the other dimensions stay."""
    half = matrix.shape[0] // heads // 2
    return matrix.reshape(heads, 2, half, *matrix.shape[1:]).swapaxes(1, 2).reshape(matrix.shape)


def gguf_name(name: str, layers: int) -> str:
    """llama.cpp's name of a Llama's tensor. Raises Failed for one that it has none for."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, layers)
    found = names.get_name(name, try_suffixes=(".weight",))
    if found is None:
        raise Failed(f"llama.cpp's Llama has no tensor for {name!r}: this model is not a plain Llama")
    return found


def gguf_tensor(name: str, matrix: Matrix, config: Mapping[str, Any]) -> tuple[str, Matrix]:
    """A tensor of transformers' Llama as llama.cpp's has it. `config`: of config.json."""
    heads = {
        "q_proj": config["num_attention_heads"],
        "k_proj": config.get("num_key_value_heads") or config["num_attention_heads"],
    }
    part = name.removesuffix(".weight").rpartition(".")[2]
    return gguf_name(name, config["num_hidden_layers"]), rope_order(matrix, heads[part]) if part in heads else matrix


def llama_gguf(folder: Path, path: Path, *, name: str, licence: str, about: str) -> None:
    """Write the model in `folder` to `path` in 32-bit floats; the file is there whole or not at all.

    A head that is tied to the embeddings is not written: llama.cpp takes them where there is no output.weight.
    Raises Failed for a model that is not a plain Llama with a byte-level BPE tokeniser.
    """
    config = json.loads((folder / "config.json").read_bytes())
    tensors = load_file(folder / "model.safetensors")
    if config["model_type"] != "llama" or config.get("attention_bias") or config.get("mlp_bias"):
        raise Failed(
            f"{folder.name} is a {config['model_type']} with biases or of another shape: only a plain Llama can be written"
        )
    part = path.with_name(f".{path.name}.part")
    writer = gguf.GGUFWriter(part, "llama")
    try:
        writer.add_name(name)
        writer.add_license(licence)
        writer.add_description(about)
        writer.add_file_type(gguf.LlamaFileType.ALL_F32)
        _shape(writer, config)
        _tokeniser(writer, folder)
        for key in sorted(tensors):
            if not (key == "lm_head.weight" and config.get("tie_word_embeddings")):
                writer.add_tensor(*gguf_tensor(key, tensors[key].astype(np.float32), config))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _shape(writer: gguf.GGUFWriter, config: Mapping[str, Any]) -> None:
    heads = config["num_attention_heads"]
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    head = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(rope_base(config))


def rope_base(config: Mapping[str, Any]) -> float:
    """The base of RoPE's angles; transformers 5 writes it below rope_parameters. Raises Failed where RoPE is stretched."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if rope.get("rope_type", "default") != "default":
        raise Failed(f"RoPE of type {rope['rope_type']!r} cannot be written: only the plain one")
    return float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0)


def _tokeniser(writer: gguf.GGUFWriter, folder: Path) -> None:
    """Vocabulary, merges, special tokens and chat template. Nothing is put before or after a text: the template does that."""
    tokeniser = json.loads((folder / "tokenizer.json").read_bytes())
    settings = json.loads((folder / "tokenizer_config.json").read_bytes())
    if tokeniser["model"]["type"] != "BPE" or (tokeniser["pre_tokenizer"] or {}).get("type") != "ByteLevel":
        raise Failed(f"{folder.name} has a tokeniser of another kind: only byte-level BPE can be written")
    special = {token["id"]: token["content"] for token in tokeniser["added_tokens"] if token["special"]}
    vocabulary = {index: token for token, index in tokeniser["model"]["vocab"].items()} | special
    tokens = [vocabulary[index] for index in range(len(vocabulary))]
    kinds = [gguf.TokenType.CONTROL if index in special else gguf.TokenType.NORMAL for index in range(len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in tokeniser["model"]["merges"]])
    end = tokens.index(settings["eos_token"])
    writer.add_bos_token_id(end)  # never added; without a number llama.cpp would take token 11, which is a letter
    writer.add_eos_token_id(end)
    writer.add_pad_token_id(tokens.index(settings["pad_token"]))
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(settings["chat_template"])


def dump(path: Path, value: Mapping[str, Any]) -> None:
    """JSON as people can read it."""
    write(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
