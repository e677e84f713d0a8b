"""A base with an adapter that learns, in Apple's MLX: on the GPU of a Mac, and on a CPU, where it is tested.

The model's code is mlx-lm's. Which of its layers get an adapter, of which rank and scale, peft says itself, on the same model
without memory; so the files are peft's, and whoever compares or exports need not know what has trained.
All is as in `torch_learner`: the base in bfloat16 where the hardware multiplies it, the adapter and AdamW's moments in 32 bits.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import torch
from mlx import nn
from mlx.optimizers import AdamW, clip_grad_norm
from mlx.utils import tree_flatten, tree_map, tree_unflatten
from mlx_lm.generate import BatchGenerator
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from pipeline.errors import Failed, Invalid, Problem
from pipeline.files import write
from pipeline.training import adapters, mlx_model
from pipeline.training.devices import Place
from pipeline.training.learner import IGNORED, Batch, Learned
from pipeline.training.mlx_model import Adapted, Network
from pipeline.training.settings import TrainConfig

Tensors = Mapping[str, mx.array]

CHUNK = 512  # answer positions whose logits exist at once
ANSWERED_AT_ONCE = 16
SEED_BITS = 32  # TrainConfig.seed has no more
OPTIMISER = "optimiser.safetensors"
PREFIX = "base_model.model."  # of every name in peft's files


class MlxLearner:
    """See learner.Learner. `network`: mlx-lm's model of the base; `bare`: makes transformers' of the same, without memory."""

    packs = False  # mlx-lm's models count positions from the row's beginning

    def __init__(self, network: Network, bare: Callable[[], Network], config: TrainConfig, place: Place, *, base: str) -> None:
        self.config, self.network, self._bare = config, network, bare
        self.device = f"{mx.device_info().get('device_name', place.name)} (MLX)"
        self.precision = "bf16" if network.model.embed_tokens.weight.dtype == mx.bfloat16 else "fp32"
        self.beat: Callable[[], None] = lambda: None
        self._head = mlx_model.head(network)
        network.freeze()
        shaped = adapters.attach(bare(), config)
        self._described = adapters.config_of(shaped, base)
        mlx_model.adapt(network, shaped, config.seed)
        self._drawn = 0  # how often it was drawn by lot what is dropped
        self._adam = AdamW(
            config.rate, betas=list(config.betas), eps=1e-8, weight_decay=config.weight_decay, bias_correction=True
        )  # torch's AdamW to the letter
        self._adam.init(network.trainable_parameters())

    # --- learning

    def learn(self, batches: Sequence[Batch], rate: float) -> Learned:
        self.network.train()
        whole, total, drawn = max(1, sum(batch.learned for batch in batches)), 0.0, self._drawn
        slopes = tree_map(mx.zeros_like, self.network.trainable_parameters())
        of_batch = nn.value_and_grad(self.network, self._objective)
        for batch in batches:
            if batch.learned:
                self._draw()
                (_, loss), more = of_batch(batch)
                slopes = tree_map(mx.add, slopes, more)
                mx.eval(loss, slopes)  # what this batch needed is free before the next
                total += loss.item()
            self.beat()
        clipped, norm = clip_grad_norm(tree_map(lambda slope: slope / whole, slopes), self.config.clip)
        told = Learned(total / whole, norm.item())
        if math.isfinite(told.loss) and math.isfinite(told.norm):
            self._adam.learning_rate = rate
            self._adam.update(self.network, clipped)
            mx.eval(self.network.trainable_parameters(), self._adam.state)
        else:
            self._drawn = drawn
        mx.clear_cache()  # batches have many widths, and MLX keeps what was freed for the next of the same size
        return told

    def _draw(self) -> None:
        self._drawn += 1
        wrapped = [one for one in self.network.modules() if isinstance(one, Adapted)]
        keys = mx.random.split(mx.random.key(self._drawn << SEED_BITS | self.config.seed), len(wrapped))
        for one, key in zip(wrapped, keys, strict=True):
            one.drop_by(key)

    def _objective(self, batch: Batch) -> tuple[mx.array, mx.array]:
        """What has the gradient of the batch's summed loss with respect to the adapter; and that loss.

        The gradient of the hidden states is computed with the loss, chunk by chunk. Their product has the same gradient
        below them as the loss itself, and the logits need never exist whole.
        """
        hidden, wanted, _ = self._answers_of(batch)
        losses: list[mx.array] = []
        slopes: list[mx.array] = []
        for part, targets in _chunks(mx.stop_gradient(hidden), wanted):
            given = mx.depends(part, slopes[-1]) if slopes else part  # one after the other
            loss, slope = mx.value_and_grad(lambda states, names: _nats(self._head(states), names).sum())(given, targets)
            losses.append(loss)
            slopes.append(slope)
        product = (hidden * mx.stop_gradient(mx.concatenate(slopes))).sum()
        return product, sum(losses[1:], losses[0])

    def losses(self, batches: Sequence[Batch]) -> list[float]:
        self.network.eval()
        return [loss for batch in batches for loss in self._of_rows(batch)]

    def _of_rows(self, batch: Batch) -> Iterator[float]:
        hidden, wanted, rows = self._answers_of(batch)
        sums, learned = np.zeros(len(batch.spans)), np.bincount(rows, minlength=len(batch.spans))
        found = [np.array(_nats(self._head(part), targets)) for part, targets in _chunks(hidden, wanted)]
        np.add.at(sums, rows, np.concatenate([[], *found]))
        return (total / count if count else math.nan for total, count in zip(sums.tolist(), learned.tolist(), strict=True))

    def _answers_of(self, batch: Batch) -> tuple[mx.array, mx.array, np.ndarray[Any, Any]]:
        """The hidden states that predict what is learned, (learned, width of the model); the tokens; and their rows.

        Each sample has a row of its own and its padding behind it, so that causal attention alone keeps all in order.
        """
        assert all(len(spans) == 1 for spans in batch.spans), "MLX packs no samples"
        rows, places = np.nonzero(batch.targets[:, 1:] != IGNORED)
        hidden = self.network.model(mx.array(batch.tokens))
        return hidden[mx.array(rows), mx.array(places)], mx.array(batch.targets[rows, places + 1]), rows

    # --- answering

    def answers(self, prompts: Sequence[Sequence[int]], most: int, ends: frozenset[int]) -> list[list[int]]:
        self.network.eval()
        generator = BatchGenerator(
            self.network,
            max_tokens=most,
            stop_tokens=[[token] for token in sorted(ends)],
            completion_batch_size=ANSWERED_AT_ONCE,
        )
        with closing(generator):
            said: dict[int, list[int]] = {number: [] for number in generator.insert([list(prompt) for prompt in prompts])}
            while heard := generator.next_generated():
                for one in heard:
                    if one.finish_reason != "stop":
                        said[one.uid].append(one.token)
        return list(said.values())

    # --- keeping

    def save(self, folder: Path) -> None:
        state = {f"adam.{name}": value for name, value in tree_flatten(self._adam.state)}
        arrays = {name: np.array(value) for name, value in state.items()}
        write(folder / OPTIMISER, save({**arrays, "drawn": np.array([self._drawn])}))
        matrices = {_in_peft(name): np.array(value) for name, value in tree_flatten(self.network.trainable_parameters())}
        adapters.write_files(folder, {name: torch.from_numpy(value) for name, value in matrices.items()}, self._described)

    def load(self, folder: Path) -> None:
        self._put(folder)
        found = _read(folder / OPTIMISER)
        state = [(name.removeprefix("adam."), value) for name, value in found.items() if name.startswith("adam.")]
        if {name for name, _ in state} != {name for name, _ in tree_flatten(self._adam.state)} or "drawn" not in found:
            raise Failed(f"the checkpoint {folder.name} does not fit this training")
        self._adam.state = tree_unflatten(state)
        self._drawn = int(np.array(found["drawn"])[0])

    def use(self, adapter: Path | None) -> None:
        wrapped = [(name, one.linear) for name, one in self.network.named_modules() if isinstance(one, Adapted)]
        self.network.update_modules(tree_unflatten(wrapped))
        if adapter is not None:
            mlx_model.adapt(self.network, mlx_model.described_in(adapter, self._bare()), self.config.seed)
            self._put(adapter)

    def _put(self, folder: Path) -> None:
        """Have the adapter be the one in a folder. Raises Failed where it does not fit."""
        found = _read(folder / adapters.WEIGHTS)
        mine = {_in_peft(name): (name, value.shape) for name, value in tree_flatten(self.network.trainable_parameters())}
        if wrong := [name for name in mine.keys() | found.keys() if name not in mine or not _fits(found, name, mine[name][1])]:
            raise Failed(f"the adapter in {folder.name} does not fit its base: {min(wrong)}")
        self.network.load_weights([(mine[name][0], value.astype(mx.float32)) for name, value in found.items()], strict=False)


def opened(folder: Path, config: TrainConfig, place: Place, *, base: str, checkpointing: bool = False) -> MlxLearner:
    """The learner for the base in a folder, as transformers writes it.

    Raises Invalid: train.qlora where 4 bits are asked for, train.family where mlx-lm does not know the model, or knows it
    by other layers; Failed where the folder cannot be read.
    """
    if config.method == "qlora":
        fix = "Take `method: lora`, or a worker with an NVIDIA GPU."
        raise Invalid(Problem("train.qlora", f"qlora needs CUDA, and this is {place.name} with MLX", "method", fix))
    if mx.default_device() == mx.cpu:
        mx.disable_compile()  # it would call a C++ compiler, half a second for each kernel, if there is one
    network, shape = mlx_model.loaded(folder, config.context)
    precise = config.precision == "fp32" or (config.precision == "auto" and not place.bf16)
    network.set_dtype(mx.float32 if precise else mx.bfloat16)
    if checkpointing:
        for block in network.layers:
            mlx_model.compute_twice(block)
    return MlxLearner(network, lambda: mlx_model.without_memory(shape), config, place, base=base)


def _nats(logits: mx.array, wanted: mx.array) -> mx.array:
    """-log p of each wanted token, in 32 bits. (n, vocabulary) and (n,) to (n,)."""
    found: mx.array = nn.losses.cross_entropy(logits.astype(mx.float32), wanted)
    return found


def _chunks(hidden: mx.array, wanted: mx.array) -> Iterator[tuple[mx.array, mx.array]]:
    for start in range(0, len(wanted), CHUNK):
        yield hidden[start : start + CHUNK], wanted[start : start + CHUNK]


def _in_peft(name: str) -> str:
    """`model.layers.0.mlp.up_proj.lora_A` as peft's files have it."""
    return f"{PREFIX}{name}.weight"


def _fits(found: Tensors, name: str, shape: tuple[int, ...]) -> bool:
    return name in found and found[name].shape == shape


def _read(path: Path) -> dict[str, mx.array]:
    try:
        return {name: mx.array(value) for name, value in load_file(path).items()}
    except (OSError, ValueError, SafetensorError) as error:
        raise Failed(f"{path.name} in {path.parent.name} cannot be read: {error}") from error
