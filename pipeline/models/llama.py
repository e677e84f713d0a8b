"""llama.cpp as a few plain objects: a model, its vocabulary, a context that holds many sequences, a batch.

Over llama-cpp-python's low-level functions. A `Context` belongs to one thread; a `Vocabulary` may be read from any.
llama.cpp tells why something failed in its log only: the last lines are kept and go into the errors.
"""

import ctypes
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Failed, Invalid, Problem

Floats = NDArray[np.float32]

SEQUENCES = 256  # LLAMA_MAX_SEQ of llama.cpp: sequences that a context may hold
REASONS = 6  # lines of llama.cpp's log that an error quotes
_LEVEL_WARN, _LEVEL_ERROR, _LEVEL_CONT = 3, 4, 5

_said: deque[str] = deque(maxlen=REASONS)
_level = 0


@lib.llama_log_callback  # type: ignore[untyped-decorator]  # ctypes has no types for it
def _log(level: int, text: bytes, _: Any) -> None:
    """Keep what llama.cpp warns of; a line may come in parts (CONT continues the last level)."""
    global _level
    _level = _level if level == _LEVEL_CONT else level
    if _level in (_LEVEL_WARN, _LEVEL_ERROR) and (line := text.decode(errors="replace").strip()):
        _said.append(line)


@cache
def start() -> None:
    """Get llama.cpp ready, once a process; its log comes here instead of to stderr."""
    lib.llama_log_set(_log, ctypes.c_void_p(0))
    lib.llama_backend_init()


def reason() -> str:
    """What llama.cpp said last, without its own names of functions."""
    lines = [line.partition(": ")[2] if line.startswith(("llama_", "gguf_")) else line for line in _said]
    _said.clear()
    return "; ".join(dict.fromkeys(line for line in lines if line)) or "llama.cpp gave no reason"


class Memory:
    """Frees a model when the last of those that use it is gone: somebody may still ask its vocabulary."""

    def __init__(self, pointer: Any) -> None:
        weakref.finalize(self, lib.llama_model_free, pointer).atexit = False


class Model:
    """The weights of a GGUF file, loaded. Raises Invalid where the file is none, is cut off, or holds another kind of thing."""

    def __init__(self, path: Path, *, gpu_layers: int = -1, mmap: bool = False) -> None:
        start()
        _is_gguf(path)
        params = lib.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        params.load_mode = lib.LLAMA_LOAD_MODE_MMAP if mmap else lib.LLAMA_LOAD_MODE_NONE
        _said.clear()
        self.pointer = lib.llama_model_load_from_file(str(path).encode(), params)
        if not self.pointer:
            fix = "Get it again: `labpipe model download` or `labpipe model make-tiny`."
            raise Invalid(Problem("model.unreadable", f"llama.cpp cannot load it ({reason()}).", path.name, fix))
        self._memory = Memory(self.pointer)
        self.vocabulary = Vocabulary(lib.llama_model_get_vocab(self.pointer), self._memory)
        self.trained_context = int(lib.llama_model_n_ctx_train(self.pointer))
        self.width = int(lib.llama_model_n_embd(self.pointer))
        self.weights = int(lib.llama_model_n_params(self.pointer))
        self.bytes = int(lib.llama_model_size(self.pointer))
        # A recurrent state is of a whole sequence: a part of it cannot be handed on.
        self.shares = not (lib.llama_model_is_recurrent(self.pointer) or lib.llama_model_is_hybrid(self.pointer))

    def meta(self) -> Mapping[str, str]:
        """Its metadata as texts; arrays are shortened by llama.cpp."""
        found = {}
        for index in range(lib.llama_model_meta_count(self.pointer)):
            key = _text(lambda buffer, size, at=index: lib.llama_model_meta_key_by_index(self.pointer, at, buffer, size))
            found[key] = _text(
                lambda buffer, size, at=index: lib.llama_model_meta_val_str_by_index(self.pointer, at, buffer, size)
            )
        return found

    def template(self) -> str:
        """Its chat template (Jinja); "" where the file has none."""
        found = lib.llama_model_chat_template(self.pointer, None)
        return found.decode() if found else ""

    def adapter(self, path: Path) -> "Adapter":
        """A LoRA for it. Raises Invalid where the file is none, or was made for another model."""
        _is_gguf(path)
        _said.clear()
        pointer = lib.llama_adapter_lora_init(self.pointer, str(path).encode())
        if not pointer:
            fix = "Export the adapter for this very model, by `labpipe`."
            message = f"this adapter does not fit the model that is served ({reason()})."
            raise Invalid(Problem("adapter.unfit", message, path.name, fix))
        return Adapter(pointer)


class Adapter:
    """A LoRA in memory. Freed by `close`, once no context has it set; llama.cpp frees what is left with the model."""

    def __init__(self, pointer: Any) -> None:
        self.pointer = pointer

    def close(self) -> None:
        lib.llama_adapter_lora_free(self.pointer)


class Vocabulary:
    """Texts to tokens and back; any thread may ask."""

    def __init__(self, pointer: Any, memory: Memory) -> None:
        self.pointer, self._memory = pointer, memory
        self.size = int(lib.llama_vocab_n_tokens(pointer))
        self.begins = int(lib.llama_vocab_bos(pointer)) if lib.llama_vocab_get_add_bos(pointer) else -1
        self.bos, self.eos = int(lib.llama_vocab_bos(pointer)), int(lib.llama_vocab_eos(pointer))
        self.ends = frozenset(one for one in range(self.size) if lib.llama_vocab_is_eog(pointer, one))
        self.pieces = [_piece(pointer, one, special=False) for one in range(self.size)]
        self.specials = tuple(self._special_texts())

    def tokens(self, text: str, *, special: bool = False, begin: bool = False) -> tuple[int, ...]:
        """The tokens of a text. `special`: names of special tokens count as these; `begin`: BOS first, where that is usual."""
        raw = text.encode("utf-8", "replace")
        room = len(raw) + 8
        while True:
            found = (lib.llama_token * room)()
            count = lib.llama_tokenize(self.pointer, raw, len(raw), found, room, begin, special)
            if count >= 0:
                return tuple(found[:count])
            room = -count

    def name(self, token: int) -> str:
        """The text of a token, special ones by their names; "" for none (-1)."""
        return _piece(self.pointer, token, special=True).decode(errors="replace") if token >= 0 else ""

    def _special_texts(self) -> list[str]:
        kinds = lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_USER_DEFINED | lib.LLAMA_TOKEN_ATTR_UNKNOWN
        found = [one for one in range(self.size) if lib.llama_vocab_get_attr(self.pointer, one) & kinds]
        return sorted({name for one in found if (name := self.name(one))}, key=len, reverse=True)


class Context:
    """KV cells of `tokens` in all, shared by sequences 0 to `sequences` - 1, and the steps over them.

    One buffer for all sequences (`kv_unified`): a prefix that several share is held once, and its copy costs nothing.
    """

    def __init__(
        self, model: Model, *, tokens: int, sequences: int, batch: int, outputs: int, threads: int, kind: str = "f16"
    ) -> None:
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.kv_unified = tokens, sequences, True
        params.n_batch, params.n_ubatch, params.n_outputs_max = batch, batch, outputs
        # One row a step waits for memory, which half of the cores use up; more only wait for each other.
        params.n_threads, params.n_threads_batch = max(1, threads // 2), threads
        params.no_perf = True
        _said.clear()
        self.model = model
        self.pointer = lib.llama_init_from_model(model.pointer, params)
        if not self.pointer:
            raise Failed(
                f"no memory for a context of {tokens} tokens ({reason()}). Take a smaller --context or a smaller model."
            )
        self.memory = lib.llama_get_memory(self.pointer)
        self.tokens, self.sequences = int(lib.llama_n_ctx(self.pointer)), sequences
        self.batch = Batch(batch)
        self._adapter: Adapter | None = None

    def use(self, adapter: Adapter | None) -> None:
        """Compute with that adapter from now on, or with the bare model; cells that are there stay as they are."""
        if adapter is self._adapter:
            return
        if adapter is None:
            lib.llama_set_adapters_lora(self.pointer, None, 0, None)
        else:
            pointers = (lib.llama_adapter_lora_p_ctypes * 1)(adapter.pointer)
            lib.llama_set_adapters_lora(self.pointer, pointers, 1, (ctypes.c_float * 1)(1.0))
        self._adapter = adapter

    def step(self) -> bool:
        """Compute the batch; False where there were too few cells and nothing was computed. Raises Failed where it broke."""
        _said.clear()
        status = lib.llama_decode(self.pointer, self.batch.raw)
        if status in (0, 1):
            return bool(status == 0)
        raise Failed(f"llama.cpp could not compute a step: status {status}, {reason()}")

    def logits(self, row: int) -> Floats:
        """The logits of the batch's row, shape (vocabulary,): a view of llama.cpp's own until the next step, may be changed."""
        found = lib.llama_get_logits_ith(self.pointer, row)
        return np.ctypeslib.as_array(found, (self.model.vocabulary.size,))

    def copy(self, source: int, target: int, begin: int, end: int) -> None:
        """Let a sequence have the cells of another from position `begin` to before `end`."""
        lib.llama_memory_seq_cp(self.memory, source, target, begin, end)

    def drop(self, sequence: int, begin: int = 0) -> None:
        """Take a sequence's cells away, from position `begin` on."""
        lib.llama_memory_seq_rm(self.memory, sequence, begin, -1)

    def clear(self) -> None:
        lib.llama_memory_clear(self.memory, True)

    def close(self) -> None:
        self.batch.close()
        lib.llama_free(self.pointer)


class Batch:
    """Rows of a step: token, position, sequence, whether its logits are wanted. Arrays of llama.cpp's, filled through numpy."""

    def __init__(self, rows: int) -> None:
        self.raw = lib.llama_batch_init(rows, 0, 1)
        self.rows = rows
        view = np.ctypeslib.as_array
        self._tokens, self._positions = view(self.raw.token, (rows,)), view(self.raw.pos, (rows,))
        self._wanted = view(self.raw.logits, (rows,))
        view(self.raw.n_seq_id, (rows,))[:] = 1
        self._sequences = np.zeros(rows, np.int32)
        step, kind = ctypes.sizeof(lib.llama_seq_id), ctypes.POINTER(lib.llama_seq_id)
        # llama.cpp's own one-element arrays, given back at the end; by address, for ctypes would hand out references.
        self._own = [ctypes.cast(self.raw.seq_id[row], ctypes.c_void_p).value or 0 for row in range(rows)]
        for row in range(rows):  # one array for all rows, so that a stretch of a sequence is one assignment
            self.raw.seq_id[row] = ctypes.cast(self._sequences.ctypes.data + row * step, kind)

    def clear(self) -> None:
        self.raw.n_tokens = 0

    @property
    def used(self) -> int:
        return int(self.raw.n_tokens)

    def add(self, sequence: int, tokens: Sequence[int], position: int, *, wanted: int = 1) -> int:
        """Add a stretch of a sequence, the logits of its last `wanted` tokens wanted; return the row of its last token."""
        first, last = self.used, self.used + len(tokens)
        assert last <= self.rows, (last, self.rows)
        self._tokens[first:last] = tokens
        self._positions[first:last] = np.arange(position, position + len(tokens), dtype=np.int32)
        self._sequences[first:last] = sequence
        self._wanted[first:last] = 0
        self._wanted[max(first, last - wanted) : last] = 1 if wanted else 0
        self.raw.n_tokens = last
        return last - 1

    def close(self) -> None:
        for row, address in enumerate(self._own):
            self.raw.seq_id[row] = ctypes.cast(address, ctypes.POINTER(lib.llama_seq_id))
        lib.llama_batch_free(self.raw)


def _is_gguf(path: Path) -> None:
    try:
        with path.open("rb") as file:
            found = file.read(4)
    except OSError as error:
        fix = "See what is here: `labpipe model list`."
        raise Invalid(Problem("model.missing", f"it cannot be read: {error.strerror}.", path.name, fix)) from None
    if found != b"GGUF":
        raise Invalid(Problem("model.foreign", "it is no GGUF file.", path.name, "Models for llama.cpp end in .gguf."))


def _piece(vocabulary: Any, token: int, *, special: bool) -> bytes:
    room = 64
    while True:
        buffer = ctypes.create_string_buffer(room)
        count = lib.llama_token_to_piece(vocabulary, token, buffer, room, 0, special)
        if count >= 0:
            return buffer.raw[:count]
        room = -count


def _text(read: Any) -> str:
    room = 256
    while True:
        buffer = ctypes.create_string_buffer(room)
        count = read(buffer, room)
        if count < room:
            return buffer.value.decode(errors="replace")
        room = count + 1
