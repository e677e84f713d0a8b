"""The weights of a folder as transformers writes it, in one file or in several, read one tensor at a time."""

import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from pipeline.errors import Failed, Invalid, Problem

ONE, INDEX = "model.safetensors", "model.safetensors.index.json"


class Tensors:
    """`with Tensors(folder) as tensors:`; `files`: where each tensor lies; `shapes`: (out, in), or (width,).

    Raises Invalid (export.damaged) where files are missing or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._open = folder, ExitStack()
        self.files: dict[str, str] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.numbers: dict[str, str] = {}  # the type of each, as safetensors names it: F32, F16, BF16
        self._handles: dict[str, Any] = {}

    def __enter__(self) -> "Tensors":
        try:
            for name in self._names():
                # torch reads them: numpy has no bfloat16
                handle = self._handles[name] = self._open.enter_context(safe_open(self.folder / name, framework="pt"))
                for tensor in handle.keys():  # noqa: SIM118  # it is no mapping
                    part = handle.get_slice(tensor)
                    self.files[tensor] = name
                    self.shapes[tensor], self.numbers[tensor] = tuple(part.get_shape()), part.get_dtype()
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            self._open.close()
            raise damaged(self.folder, error) from None
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._handles.clear()
        self._open.close()

    def _names(self) -> list[str]:
        if (self.folder / INDEX).is_file():
            return sorted(set(json.loads((self.folder / INDEX).read_bytes())["weight_map"].values()))
        return [ONE]

    def read(self, name: str) -> NDArray[np.float32]:
        """A tensor in 32 bits. Raises Failed for weights that are no plain numbers, such as those that are in 4 bits."""
        if self.numbers[name] not in ("F32", "F16", "BF16", "F64"):
            raise Failed(f"{name} of {self.folder.name} is in {self.numbers[name]}: only plain numbers can be exported")
        found: NDArray[np.float32] = self.tensor(name).float().numpy()
        return found

    def tensor(self, name: str) -> Any:
        """A tensor as torch has it, in its own type."""
        return self._handles[self.files[name]].get_tensor(name)


def damaged(folder: Path, error: Exception) -> Invalid:
    fix = "Get the model again: `labpipe model download NAME --train`."
    why = str(error) or type(error).__name__
    return Invalid(Problem("export.damaged", f"these weights cannot be read: {why}.", folder.name, fix, {"why": why}))
