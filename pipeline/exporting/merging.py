"""A base and its adapter as one model: the folder that transformers would write, with the change added to the weights.

It is done file by file of the base and tensor by tensor, in 32 bits, and stored in the base's own type. The weights must be
plain numbers; a base that was trained in 4 bits is merged onto its weights as they were before they were rounded.
"""

import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import Failed
from pipeline.exporting import adapters
from pipeline.exporting.adapters import Adapter, Change, Matrix
from pipeline.exporting.tensors import INDEX, Tensors, damaged
from pipeline.files import write

BESIDE = ("*.json", "*.jinja", "*.txt", "*.model")  # of the base, what is not weights: config, tokeniser, template


def merge(base: Path, adapter: Adapter, folder: Path, *, tick: Callable[[int, int], None] = lambda _done, _all: None) -> None:
    """Write the merged model into `folder`, which is made. `tick` hears how many tensors are written, and of how many.

    Raises Invalid: export.adapter for a change of what the base has once for two purposes, export.damaged for weights that
    cannot be read or a change of a matrix that the base does not have; Failed for weights that are rounded already.
    """
    folder.mkdir(parents=True)
    for pattern in BESIDE:
        for path in base.glob(pattern):
            if path.name != INDEX:
                shutil.copyfile(path, folder / path.name)
    with Tensors(base) as tensors:
        _fits(tensors, adapter, base)
        done, files = 0, sorted(set(tensors.files.values()))
        for name in files:
            names = [one for one, file in tensors.files.items() if file == name]
            _write(tensors, names, adapter, folder / name)
            done += len(names)
            tick(done, len(tensors.files))
        if len(files) > 1:
            _index(tensors, folder)
    _unquantised(folder)


def _write(tensors: Tensors, names: list[str], adapter: Adapter, path: Path) -> None:
    """One file of weights: as many of them as lay together in the base's are in memory."""
    import torch
    from safetensors.torch import save_file

    made = {}
    for name in names:
        before = tensors.tensor(name)
        change, whole = adapter.changes.get(name.removesuffix(".weight")), adapter.replaced.get(name)
        if change is None and whole is None:
            made[name] = before
            continue
        after = tensors.read(name) if whole is None else whole
        after = changed(after, change) if change else after
        made[name] = torch.from_numpy(after).to(before.dtype).contiguous()
        if not torch.isfinite(made[name]).all():
            raise Failed(f"{name} has weights that are no numbers any more once the adapter is added")
    save_file(made, path, {"format": "pt"})


def changed(weight: Matrix, change: Change) -> Matrix:
    """W + scale · B · A; with a magnitude (DoRA) each row gets that length."""
    made = weight + np.float32(change.scale) * (change.b @ change.a)
    if change.magnitude is None:
        return made
    lengths = np.linalg.norm(made, axis=1, keepdims=True)
    found: Matrix = made * (change.magnitude.reshape(-1, 1) / lengths)
    return found


def _fits(tensors: Tensors, adapter: Adapter, base: Path) -> None:
    """Whether the base has all that the adapter changes, of the same shape, and for that purpose alone."""
    for module, change in adapter.changes.items():
        shape = (change.b.shape[0], change.a.shape[1])
        if tensors.shapes.get(f"{module}.weight") != shape:
            raise damaged(base, ValueError(f"the adapter changes {module} of the shape {shape}, which is not there"))
    for name, tensor in adapter.replaced.items():
        if tensors.shapes.get(name) != tensor.shape:
            raise damaged(base, ValueError(f"the adapter replaces {name} of the shape {tensor.shape}, which is not there"))
    config = json.loads((base / "config.json").read_bytes())
    touched = {name.removesuffix(".weight") for name in (*adapter.changes, *adapter.replaced)}
    if config.get("tie_word_embeddings") and (both := touched & {"lm_head", "model.embed_tokens"}):
        raise adapters.refusal(base.name, f"a change of {min(both)}, which the base has once for two purposes", adapters.AGAIN)


def _index(tensors: Tensors, folder: Path) -> None:
    """Which tensor lies in which file, as transformers looks it up."""
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    parameters = sum(math.prod(shape) for shape in tensors.shapes.values())
    told = {"metadata": {"total_size": size, "total_parameters": parameters}, "weight_map": dict(sorted(tensors.files.items()))}
    write(folder / INDEX, json.dumps(told, indent=1) + "\n")


def _unquantised(folder: Path) -> None:
    """Its config.json says nothing of a rounding that the weights do not have."""
    path = folder / "config.json"
    found: Mapping[str, Any] = json.loads(path.read_bytes())
    if "quantization_config" in found:
        write(
            path, json.dumps({name: value for name, value in found.items() if name != "quantization_config"}, indent=1) + "\n"
        )
