"""An adapter as peft writes it: read, and understood as the change of each matrix.

A linear layer with weights W (out, in) computes with W + scale · B · A, where A is (rank, in) and B (out, rank);
scale = alpha / rank, or alpha / √rank for rsLoRA (Kalajdzievski 2023, arXiv 2312.03732). DoRA then gives each row the length
of its `magnitude` (Liu and others 2024, arXiv 2402.09353). What is not understood is refused: a file that is quietly wrong
is worse than none.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Invalid, Problem

Matrix = NDArray[np.float32]

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."  # peft's, before the names of the base's own modules
MERGED = "Export the merged model instead: it has everything in its weights."
AGAIN = "Train it again without that."
ALTERED = ("pissa", "olora", "corda", "loftq", "lora_ga")  # they begin with changing the base, so that the adapter fits none
MEANT = frozenset(  # settings that are understood here, or that say nothing of the result
    "r lora_alpha use_rslora use_dora rank_pattern alpha_pattern bias modules_to_save init_lora_weights fan_in_fan_out"
    " peft_type task_type base_model_name_or_path revision inference_mode auto_mapping lora_dropout target_modules"
    " exclude_modules layers_to_transform layers_pattern megatron_core loftq_config qalora_group_size peft_version"
    " ensure_weight_tying runtime_config eva_config".split()
)


@dataclass(frozen=True, slots=True)
class Change:
    """The change of a matrix (out, in): `a` (rank, in), `b` (out, rank); `magnitude` (out,) for DoRA, else None."""

    a: Matrix
    b: Matrix
    scale: float
    magnitude: Matrix | None = None

    @property
    def rank(self) -> int:
        return int(self.a.shape[0])


@dataclass(frozen=True, slots=True)
class Adapter:
    """`changes`: by the name of the module in the base. `replaced`: whole tensors that stand for the base's, by their names."""

    alpha: float
    changes: Mapping[str, Change]
    replaced: Mapping[str, Matrix] = field(default_factory=dict)
    base: str = ""


def read(folder: Path) -> Adapter:
    """Read a peft folder.

    Raises Invalid: export.damaged where it cannot be read, export.adapter for what no export can bring along.
    """
    config = _config(folder)
    if problems := _refused(config, folder.name):
        raise Invalid(*problems)
    found = _tensors(folder / WEIGHTS)
    changes = {}
    for name in [one for one in found if one.endswith(".lora_A.weight")]:
        module = name.removesuffix(".lora_A.weight")
        a, b = found.pop(name), found.pop(f"{module}.lora_B.weight", None)
        if b is None or a.shape[0] != b.shape[1]:
            raise _damaged(folder, f"the matrices of {module} do not belong together")
        # peft keeps the magnitude as a module of its own or, in older files, as a plain tensor
        magnitude = found.pop(f"{module}.lora_magnitude_vector", found.pop(f"{module}.lora_magnitude_vector.weight", None))
        changes[module.removeprefix(PREFIX)] = Change(a, b, _scale(config, module.removeprefix(PREFIX), len(a)), magnitude)
    if strange := [name for name in found if ".lora_" in name]:
        raise refusal(folder.name, f"tensors such as {strange[0].removeprefix(PREFIX)}", AGAIN)
    if not changes:
        raise _damaged(folder, "it changes nothing")
    replaced = {name.removeprefix(PREFIX).replace(".base_layer.", "."): tensor for name, tensor in found.items()}
    return Adapter(float(config["lora_alpha"]), changes, replaced, str(config.get("base_model_name_or_path") or ""))


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / CONFIG).read_bytes())
    except (OSError, ValueError) as error:
        raise _damaged(folder, f"{CONFIG}: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("lora_alpha"), int | float) or found.get("peft_type") != "LORA":
        raise _damaged(folder, f"{CONFIG} is none of a LoRA")
    return found


def _refused(config: Mapping[str, Any], where: str) -> list[Problem]:
    """What neither an adapter as GGUF nor a merged model can bring along."""
    start = config.get("init_lora_weights")
    told = [f"{name} = {value!r}" for name, value in sorted(config.items()) if name not in MEANT and value]
    if isinstance(start, str) and start.startswith(ALTERED):
        told.append(f"init_lora_weights = {start!r}, which changes the base")
    if config.get("fan_in_fan_out"):
        told.append("fan_in_fan_out, which turns its matrices round")
    return [_problem(where, what, AGAIN) for what in told]


def for_gguf(adapter: Adapter, where: str) -> None:
    """Raises Invalid (export.adapter), with the way round, for what llama.cpp's adapters cannot hold."""
    told = []
    if dora := [name for name, change in adapter.changes.items() if change.magnitude is not None]:
        told.append(f"DoRA (on {len(dora)} layers)")
    if biases := [name for name in adapter.replaced if name.endswith(".bias")]:
        told.append(f"biases (such as {biases[0]})")
    if whole := [name for name in adapter.replaced if not name.endswith(".bias")]:
        told.append(f"whole tensors (such as {whole[0]})")
    if told:
        raise Invalid(*(_problem(where, what, MERGED) for what in told))


def refusal(where: str, what: str, fix: str = MERGED) -> Invalid:
    """What is said of something that an export cannot bring along."""
    return Invalid(_problem(where, what, fix))


def _problem(where: str, what: str, fix: str) -> Problem:
    return Problem("export.adapter", f"this adapter has {what}, which cannot be exported this way.", where, fix, {"what": what})


def _damaged(folder: Path, why: str) -> Invalid:
    fix = "Train it again, or copy it again."
    return Invalid(Problem("export.damaged", f"this adapter cannot be read: {why}.", folder.name, fix, {"why": why}))


def _scale(config: Mapping[str, Any], module: str, rank: int) -> float:
    """What B · A of a module is multiplied with; alphas may differ by patterns, which peft matches."""
    from peft.utils.other import get_pattern_key

    patterns: dict[str, float] = config.get("alpha_pattern") or {}
    alpha = float(patterns.get(get_pattern_key(list(patterns), module), config["lora_alpha"]))
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _tensors(path: Path) -> dict[str, Matrix]:
    """All tensors in 32 bits. torch reads them: numpy has no bfloat16."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name).float().numpy() for name in file.keys()}  # noqa: SIM118  # it is no mapping
    except (OSError, SafetensorError) as error:
        raise _damaged(path.parent, f"{path.name}: {error}") from None
