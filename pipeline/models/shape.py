"""What a GGUF file says of itself: read from its header, without its weights.

The `gguf` library knows the types and their sizes. Its own reader makes an object of every entry of a vocabulary (6 s for
100,000 words where this takes 0.1 s) and reads on past the end of a file that is cut off, so the walk is here.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import gguf
from gguf import GGUFValueType as Kind

from pipeline.errors import Invalid, Problem

MAGIC = b"GGUF"
VERSIONS = (2, 3)
SCALARS = {
    **{Kind.UINT8: "B", Kind.INT8: "b", Kind.UINT16: "H", Kind.INT16: "h", Kind.UINT32: "I", Kind.INT32: "i"},
    **{Kind.UINT64: "Q", Kind.INT64: "q", Kind.FLOAT32: "f", Kind.FLOAT64: "d", Kind.BOOL: "?"},
}
DIMENSIONS = 4  # ggml's GGML_MAX_DIMS
LISTED = 4096  # entries of a list that are read: a value for each layer, but no vocabulary
AGAIN = "Get it again: `labpipe model download NAME` or `labpipe model make-tiny`."


@dataclass(frozen=True, slots=True)
class Shape:
    """A model as its file describes it. `kv_bytes`: memory for a token of context, keys and values in 16 bits."""

    architecture: str
    name: str
    parameters: int
    quantisation: str
    context: int
    kv_bytes: int
    template: bool
    size_bytes: int


class _Header:
    """A walk through the header of an open file, little-endian; raises ValueError where it ends too soon or makes no sense."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size
        magic, version, tensors, fields = self._take("4sIQQ")
        if magic != MAGIC or version not in VERSIONS:
            raise ValueError(f"version {version}")
        self.fields = {self._text(): self._value(self._take("I")[0]) for _ in range(self._plausible(fields))}
        found = [self._tensor() for _ in range(self._plausible(tensors))]
        self.weights = sum(weights for weights, _ in found)
        align = int(self.fields.get("general.alignment", gguf.GGUF_DEFAULT_ALIGNMENT))
        self.end = -(-file.tell() // align) * align + max(end for _, end in found) if found else file.tell()

    def _take(self, form: str) -> tuple[Any, ...]:
        form = f"<{form}"
        read = self.file.read(struct.calcsize(form))
        if len(read) < struct.calcsize(form):
            raise ValueError("cut off")
        return struct.unpack(form, read)

    def _plausible(self, count: int) -> int:
        """A count of things that the file must have room for."""
        if count > self.size:
            raise ValueError(f"{count} things in {self.size} bytes")
        return count

    def _text(self) -> str:
        read = self.file.read(self._plausible(self._take("Q")[0]))
        return read.decode("utf-8", "replace")

    def _value(self, kind: int) -> Any:
        if kind == Kind.STRING:
            return self._text()
        if kind == Kind.ARRAY:
            return self._list()
        return self._take(SCALARS[Kind(kind)])[0]

    def _list(self) -> list[Any]:
        """A list's values; none of one longer than LISTED, which is passed over."""
        kind, count = self._take("IQ")
        if self._plausible(count) <= LISTED:
            return [self._value(kind) for _ in range(count)]
        if kind == Kind.STRING:
            for _ in range(count):
                self.file.seek(self._plausible(self._take("Q")[0]), 1)
        else:
            self.file.seek(count * struct.calcsize(SCALARS[Kind(kind)]), 1)
        return []

    def _tensor(self) -> tuple[int, int]:
        """How many weights a tensor has, and where it ends, from where the tensors begin."""
        self._text()
        dimensions = self._take("I")[0]
        if dimensions > DIMENSIONS:
            raise ValueError(f"{dimensions} dimensions")
        shape = self._take(f"{dimensions}Q")
        kind, start = self._take("IQ")
        block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]
        return prod(shape), start + prod(shape) // block * size


def read(path: Path) -> Shape:
    """What a file says of itself. Raises Invalid where it is no GGUF file, is cut off, or holds no language model."""
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise _unreadable(path, "it is no GGUF file.", "Give a file whose name ends in .gguf, as llama.cpp reads it.")
            file.seek(0)
            size = path.stat().st_size
            header = _Header(file, size)
        if size < header.end:
            raise _unreadable(path, f"it is cut off: {size:,} of {header.end:,} bytes are there.", AGAIN)
        return _shape(path, header.fields, header.weights, size)
    except OSError as error:
        raise _unreadable(path, f"it cannot be read: {error.strerror}.", "Look at its name.") from error
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:  # whatever nonsense stands in it
        raise _unreadable(path, "it is damaged or cut off.", AGAIN) from error


def _shape(path: Path, fields: Mapping[str, Any], weights: int, size: int) -> Shape:
    architecture = str(fields.get("general.architecture", ""))
    if fields.get("general.type", "model") != "model" or f"{architecture}.block_count" not in fields:
        kind = fields.get("general.type", architecture or "something else")
        raise _unreadable(path, f"it holds no language model, but {kind}.", "Give the file of a model.")
    own = {name.removeprefix(f"{architecture}."): value for name, value in fields.items()}
    return Shape(
        architecture,
        str(fields.get("general.name", path.stem)),
        weights,
        _quantisation(fields.get("general.file_type")),
        int(own.get("context_length", 0)),
        _kv_bytes(own),
        "tokenizer.chat_template" in fields,
        size,
    )


def _kv_bytes(own: Mapping[str, Any]) -> int:
    """2 bytes for each key and each value: heads that keep some x their width, over the layers.

    llama.cpp's defaults: as many key heads as heads; both widths are the model's width over its heads. Layers of a
    recurrent kind have 0 key heads.
    """
    layers, heads = int(own["block_count"]), own.get("attention.head_count", 1)
    kept = own.get("attention.head_count_kv", heads)
    per_layer = [int(one) for one in kept] if isinstance(kept, list) else [int(kept)] * layers
    most = max(heads) if isinstance(heads, list) else int(heads)
    width = int(own.get("embedding_length", 0)) // max(1, most)
    both = int(own.get("attention.key_length", width)) + int(own.get("attention.value_length", width))
    return 2 * both * sum(per_layer)


def _quantisation(file_type: Any) -> str:
    """llama.cpp's own name: Q4_K_M, Q8_0, F16 ..."""
    try:
        return gguf.LlamaFileType(int(file_type)).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    except (TypeError, ValueError):
        return "unknown"


def _unreadable(path: Path, why: str, fix: str) -> Invalid:
    return Invalid(Problem("model.unreadable", why, str(path), fix, {"path": path.name}))
