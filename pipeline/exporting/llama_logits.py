"""What llama.cpp computes with a file that was written, in a process of its own: it ends the process where it is surprised.

Keys, values and attention are computed in 32 bits here, on the CPU. As it is served, llama.cpp rounds them to 16 bits, which
alone moves a logit by up to 0.025 (full practice model) and says nothing of the file.
"""

import ctypes
import json
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Failed, LabError

Floats = NDArray[np.float32]
SAID = 400  # characters of what the process said last, that an error quotes


@dataclass(frozen=True, slots=True)
class Computed:
    """`logits[prompt]`: (positions, vocabulary) of its last tokens, on disk while the block lasts; `tokens[text]`."""

    logits: Sequence[Floats]
    tokens: Sequence[list[int]]


@contextmanager
def computed(
    model: Path,
    prompts: Sequence[Sequence[int]],
    *,
    adapter: Path | None = None,
    last: int = 16,
    texts: Sequence[str] = (),
    threads: int = 2,
) -> Iterator[Computed]:
    """The logits after each of the `last` tokens of each prompt, and the tokens of texts, special ones by their names.

    Raises Failed, with llama.cpp's reason, where it cannot load the files or breaks.
    """
    with tempfile.TemporaryDirectory(prefix="labbot-logits-") as name:
        asked: dict[str, Any] = {
            "model": str(model.absolute()),
            "adapter": str(adapter.absolute()) if adapter else "",
            "folder": name,
        }
        asked |= {"prompts": [list(one) for one in prompts], "last": last, "texts": list(texts), "threads": threads}
        command = [sys.executable, "-m", "pipeline.exporting.llama_logits"]
        home = Path(__file__).parents[2]
        done = subprocess.run(command, cwd=home, input=json.dumps(asked).encode(), capture_output=True, check=False)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-SAID:] or f"it ended with {done.returncode}"
            raise Failed(f"llama.cpp cannot use {(adapter or model).name}: {said}")
        logits = [np.load(Path(name) / f"{at}.npy", mmap_mode="r") for at in range(len(prompts))]
        yield Computed(logits, json.loads(done.stdout))


def main() -> int:
    """What the child does: write each prompt's logits to N.npy in the folder, and the tokens of the texts to its output."""
    asked = json.load(sys.stdin)
    adapter = Path(asked["adapter"]) if asked["adapter"] else None
    longest = max(map(len, asked["prompts"]), default=1)
    try:
        opened = Opened(Path(asked["model"]), adapter, longest=longest, threads=asked["threads"])
    except LabError as error:
        sys.stderr.write(str(error))
        return 1
    for at, tokens in enumerate(asked["prompts"]):
        np.save(Path(asked["folder"]) / f"{at}.npy", opened.logits(tokens, asked["last"]))
    sys.stdout.write(json.dumps([opened.tokens(text) for text in asked["texts"]]))
    return 0


class Opened:
    """A model in this process, with an adapter or without; prompts have at most `longest` tokens.

    Raises Invalid where llama.cpp cannot load the files, Failed for want of memory.
    """

    def __init__(self, path: Path, adapter: Path | None = None, *, longest: int, threads: int = 2) -> None:
        import llama_cpp as lib

        from pipeline.models.llama import Model

        self.model = Model(path, gpu_layers=0, mmap=True)
        self._adapter = self.model.adapter(adapter) if adapter else None
        params = lib.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = -(-longest // 256) * 256
        params.n_threads = params.n_threads_batch = threads
        params.type_k = params.type_v = lib.GGML_TYPE_F32
        params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        context = lib.llama_init_from_model(self.model.pointer, params)
        if not context:
            raise Failed(f"no memory for a context of {longest} tokens")
        weakref.finalize(self, lib.llama_free, context).atexit = False
        self._context = context
        if self._adapter:
            pointers = (lib.llama_adapter_lora_p_ctypes * 1)(self._adapter.pointer)
            lib.llama_set_adapters_lora(context, pointers, 1, (ctypes.c_float * 1)(1.0))

    def tokens(self, text: str) -> list[int]:
        """As it is read: special tokens by their names, bos first where that is usual."""
        words = self.model.vocabulary
        return list(words.tokens(text, special=True, begin=words.begins >= 0))

    def logits(self, tokens: Sequence[int], last: int) -> Floats:
        """(positions, vocabulary), after each of a prompt's last tokens. Raises Failed where llama.cpp breaks."""
        import llama_cpp as lib

        lib.llama_memory_clear(lib.llama_get_memory(self._context), True)
        batch = lib.llama_batch_init(len(tokens), 0, 1)
        rows = min(last, len(tokens))
        try:
            batch.n_tokens = len(tokens)
            for at, token in enumerate(tokens):
                batch.token[at], batch.pos[at], batch.logits[at] = token, at, at >= len(tokens) - rows
                batch.n_seq_id[at], batch.seq_id[at][0] = 1, 0
            if status := lib.llama_decode(self._context, batch):
                raise Failed(f"llama.cpp could not compute a prompt of {len(tokens)} tokens: status {status}")
            shape = (rows, self.model.vocabulary.size)
            return np.ctypeslib.as_array(lib.llama_get_logits(self._context), shape).copy()
        finally:
            lib.llama_batch_free(batch)


if __name__ == "__main__":
    sys.exit(main())
