"""Llama models of random weights as GGUF files: real tokeniser, real template, no sense. For tests and benches."""

from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ("<|system|>", "<|user|>", "<|assistant|>")
BLOCK = 32  # weights a block of Q8_0


def make(
    path: Path,
    *,
    width: int = 64,
    layers: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    ffn: int = 128,
    vocab: int = 512,
    context: int = 1024,
    quantised: bool = False,
    template: str | None = TEMPLATE,
    seed: int = 0,
) -> Path:
    """Write a model of that shape; weights F32, or Q8_0 where `quantised` (width and ffn are then multiples of 32)."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    _shape(writer, width=width, layers=layers, heads=heads, kv_heads=kv_heads, ffn=ffn, vocab=vocab, context=context)
    _tokeniser(writer, vocab, template)
    head = width // heads
    shapes = {"attn_q": (width, width), "attn_k": (kv_heads * head, width), "attn_v": (kv_heads * head, width)}
    shapes |= {"attn_output": (width, width), "ffn_gate": (ffn, width), "ffn_up": (ffn, width), "ffn_down": (width, ffn)}
    _matrix(writer, "token_embd.weight", (vocab, width), rng, quantised, 1.0)
    _matrix(writer, "output.weight", (vocab, width), rng, quantised, 4.0)
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for layer in range(layers):
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{norm}.weight", np.ones(width, np.float32))
        for name, shape in shapes.items():
            _matrix(writer, f"blk.{layer}.{name}.weight", shape, rng, quantised, 1.0)
    _close(writer)
    return path


def adapter(path: Path, model: Path, *, rank: int = 4, alpha: float = 8.0, seed: int = 1, arch: str = "llama") -> Path:
    """Write a LoRA of random weights on the query and value matrices of a model made here; rsLoRA's factor is the caller's."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, arch)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for tensor in gguf.GGUFReader(model).tensors:
        if tensor.name.endswith(("attn_q.weight", "attn_v.weight")):
            width, rows = (int(one) for one in tensor.shape)
            writer.add_tensor(f"{tensor.name}.lora_a", rng.normal(size=(rank, width), scale=0.3).astype(np.float32))
            writer.add_tensor(f"{tensor.name}.lora_b", rng.normal(size=(rows, rank), scale=0.3).astype(np.float32))
    _close(writer)
    return path


def _shape(writer: gguf.GGUFWriter, **shape: int) -> None:
    writer.add_name("random")
    writer.add_context_length(shape["context"])
    writer.add_embedding_length(shape["width"])
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["ffn"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["kv_heads"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape["width"] // shape["heads"])
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(shape["vocab"])


def _tokeniser(writer: gguf.GGUFWriter, vocab: int, template: str | None) -> None:
    """SentencePiece's kind: specials, every byte, then made-up words with a space before each."""
    tokens = ["<unk>", "<s>", "</s>", *SPECIAL]
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * (len(tokens) - 1)]
    tokens += [f"<0x{byte:02X}>" for byte in range(256)]
    kinds += [gguf.TokenType.BYTE] * 256
    assert vocab > len(tokens)
    tokens += list("▁abcdefghijklmnopqrstuvwxyz0123456789.,:;!?'\"-{}[]")[: vocab - len(tokens)]
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    for one in range(vocab - len(tokens)):
        first, second, third = one % 70, one // 70 % 70, one // 4900
        tokens.append("▁" + syllables[first] + syllables[second] + (syllables[third - 1] if third else ""))
    kinds += [gguf.TokenType.NORMAL] * (vocab - len(kinds))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(one) for one in range(vocab)])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    if template is not None:
        writer.add_chat_template(template)


def _matrix(
    writer: gguf.GGUFWriter, name: str, shape: tuple[int, int], rng: np.random.Generator, quantised: bool, scale: float
) -> None:
    weights: NDArray[np.float32] = rng.standard_normal(shape, dtype=np.float32) * np.float32(scale / shape[1] ** 0.5)
    if not quantised:
        writer.add_tensor(name, weights)
        return
    blocks = gguf.quants.quantize(weights, gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor(name, blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)


def _close(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
