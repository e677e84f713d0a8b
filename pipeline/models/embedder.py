"""Texts to vectors, by the model that also answers."""

import llama_cpp as lib
import numpy as np

from pipeline.errors import Failed, Invalid, Problem
from pipeline.models.llama import Batch, Model, reason

LONGEST = 2048  # tokens of one text: all of it goes into one step


class Embedder:
    """A context of its own that gives the mean of the last hidden states. Belongs to one thread."""

    def __init__(self, model: Model, *, threads: int) -> None:
        params = lib.llama_context_default_params()
        self.longest = min(LONGEST, model.trained_context)
        params.n_ctx = params.n_batch = params.n_ubatch = self.longest
        params.embeddings, params.pooling_type = True, lib.LLAMA_POOLING_TYPE_MEAN
        params.n_threads = params.n_threads_batch = threads
        self._model = model
        self._pointer = lib.llama_init_from_model(model.pointer, params)
        if not self._pointer:
            raise Failed(f"no memory for embeddings: {reason()}")
        self._batch = Batch(self.longest)

    def __call__(self, text: str) -> list[float]:
        """The vector of a text, of length 1. Raises Invalid for one of more tokens than it takes."""
        tokens = self._model.vocabulary.tokens(text, begin=True)
        if not 0 < len(tokens) <= self.longest:
            message = f"the text has {len(tokens)} tokens, and embeddings take 1 to {self.longest}."
            raise Invalid(Problem("context.overflow", message, "input", "Split it."))
        lib.llama_memory_clear(lib.llama_get_memory(self._pointer), True)
        self._batch.clear()
        self._batch.add(0, tokens, 0, wanted=len(tokens))
        if lib.llama_decode(self._pointer, self._batch.raw):
            raise Failed(f"llama.cpp could not embed a text: {reason()}")
        found = np.ctypeslib.as_array(lib.llama_get_embeddings_seq(self._pointer, 0), (self._model.width,))
        return [float(one) for one in found / (np.linalg.norm(found) or 1.0)]

    def close(self) -> None:
        self._batch.close()
        lib.llama_free(self._pointer)
