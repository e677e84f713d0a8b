"""What transformers and peft compute: the reference that written files are held against."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Failed

Floats = NDArray[np.float32]


class Reference:
    """A base with or without an adapter, on the CPU. `exact`: in 32 bits, else in the type of its weights."""

    def __init__(self, folder: Path, adapter: Path | None = None, *, exact: bool = True) -> None:
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging as talk

        quietly: Any = talk.disable_progress_bar  # it has no types
        quietly()
        try:
            network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32 if exact else "auto")
            self.words: Any = AutoTokenizer.from_pretrained(folder)
            self._network: Any = PeftModel.from_pretrained(network, str(adapter)) if adapter else network
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise Failed(f"transformers cannot open {folder.name} with its adapter: {error}") from error
        self._network.eval()

    def logits(self, prompts: Sequence[Sequence[int]], last: int) -> Iterator[Floats]:
        """(positions, vocabulary) of each prompt's last tokens."""
        import torch

        for tokens in prompts:
            with torch.inference_mode():
                found = self._network(torch.tensor([list(tokens)]), logits_to_keep=min(last, len(tokens))).logits[0]
            yield found.float().numpy()

    @contextmanager
    def bare(self) -> Iterator[None]:
        """The base alone while the block lasts."""
        with self._network.disable_adapter():
            yield
