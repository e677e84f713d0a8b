"""Adapters: LoRA on the linear layers of the blocks, in peft's form, so that peft, vLLM and transformers read them.

LoRA (arXiv 2106.09685): y = W x + (alpha / rank) B A x, with W frozen and B zero at first, so that training begins at the base.
rsLoRA (arXiv 2312.03732): alpha / sqrt(rank) instead, which keeps what a step changes the same as ranks grow.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from pipeline.errors import Failed, Invalid, Problem
from pipeline.files import write
from pipeline.training.settings import TrainConfig

Network = Any  # transformers' and peft's models: their types do not fit their own methods

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def attach(network: Network, config: TrainConfig) -> Network:
    """The model with an adapter that learns, its matrices in 32 bits; all else is frozen.

    Raises Invalid train.targets for names that no linear layer of the blocks has.
    """
    linear = linears(network)
    wanted = tuple(config.targets) or tuple(sorted({name.rpartition(".")[2] for name in linear}))
    for one in (*wanted, *config.ranks, *config.alphas):
        if not any(name == one or name.endswith(f".{one}") for name in linear):
            known = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
            fix = f"There is: {known}."
            raise Invalid(
                Problem("train.targets", f"no linear layer's name ends with {one!r}", "train.yaml", fix, {"name": one})
            )
    torch.manual_seed(config.seed)  # of A, which is random
    made = get_peft_model(
        network,
        LoraConfig(
            task_type="CAUSAL_LM",
            r=config.rank,
            lora_alpha=int(config.alpha) if config.alpha == int(config.alpha) else config.alpha,  # type: ignore[arg-type]
            lora_dropout=config.dropout,
            use_rslora=config.method == "rslora",
            target_modules=list(wanted),
            rank_pattern=dict(config.ranks),
            alpha_pattern=dict(config.alphas),
        ),
        autocast_adapter_dtype=False,
    )
    for weight in learning(made):
        weight.data = weight.data.float()
    layers: list[Any] = list(made.modules())
    for layer in layers:
        if hasattr(layer, "cast_input_dtype_enabled"):
            layer.cast_input_dtype_enabled = False  # autocast does it where it should, and what is in 16 bits stays so
    return made


def linears(network: Network) -> list[str]:
    """The names of the linear layers within the blocks: not the head, which has the vocabulary's width."""
    return [
        name
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear) and layer is not network.get_output_embeddings()
    ]


def learning(network: Network) -> list[Tensor]:
    """What is trained, in an order that does not change."""
    return [weight for weight in network.parameters() if weight.requires_grad]


def state(network: Network) -> dict[str, Tensor]:
    """The adapter's matrices by peft's names, on the CPU."""
    found = get_peft_model_state_dict(network, save_embedding_layers=False)  # else it asks the hub about the base
    return {name: weight.detach().to("cpu").contiguous() for name, weight in found.items()}


def write_files(folder: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    """Write an adapter as peft reads it; the configuration last, which says that the rest is whole."""
    write(folder / WEIGHTS, save(dict(tensors), {"format": "pt"}))
    write(folder / CONFIG, json.dumps(config, indent=1, sort_keys=True) + "\n")


def config_of(network: Network, base: str) -> dict[str, Any]:
    """adapter_config.json, with the base's name and not its folder on this machine.

    What decides nothing about the answers, and what would differ between machines, is left out.
    """
    found = network.peft_config["default"].to_dict()
    told = {name: sorted(value) if isinstance(value, set) else value for name, value in found.items()}
    told |= {"inference_mode": True, "base_model_name_or_path": base}
    return {name: value for name, value in told.items() if _is_json(value)}


def put(network: Network, folder: Path) -> None:
    """Have the model's adapter be the one in a folder. Raises Failed where it does not fit."""
    tensors = read_tensors(folder / WEIGHTS)
    try:
        found: Any = set_peft_model_state_dict(network, tensors)
    except RuntimeError as error:  # other shapes
        raise Failed(f"the adapter in {folder.name} does not fit its base: {error}") from error
    if missing := [name for name in found.missing_keys if "lora_" in name] or list(found.unexpected_keys):
        raise Failed(f"the adapter in {folder.name} does not fit its base: {missing[0]}")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Raises Failed for a file that is cut or damaged."""
    try:
        return load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise Failed(f"{path.parent.name}/{path.name} cannot be read: {error}") from error


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True
