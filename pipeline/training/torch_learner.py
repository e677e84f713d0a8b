"""A base with an adapter that learns, in torch: on CUDA, on Apple's MPS, and on a CPU.

The base is frozen, in bfloat16 where the hardware multiplies it; the adapter and AdamW's moments are in 32 bits, so that
small steps are not rounded away. Nothing waits for the device within a step: the loss is read once, at its end.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, GenerationConfig
from transformers.utils import logging as talk

from pipeline.errors import Failed, Invalid, Problem
from pipeline.files import write
from pipeline.training import adapters, fused, varlen
from pipeline.training.devices import Place
from pipeline.training.learner import Batch, Learned
from pipeline.training.losses import Head, answer_loss, check, sample_losses
from pipeline.training.settings import TrainConfig

Network = Any
quietly: Any = talk.disable_progress_bar  # these three have no types
Bits: Any = BitsAndBytesConfig
NoHabits: Any = GenerationConfig
ANSWERED_AT_ONCE = 64  # on two cores 160 short answers took 30 s of computing with 16, 13 with 64
PAD = 0  # what stands in a row's empty places: nothing looks at it


class TorchLearner:
    """See learner.Learner. `network`: transformers' model of the base, on its device.

    `checkpointing`: compute activations twice, to save memory.
    """

    def __init__(self, network: Network, config: TrainConfig, place: Place, *, base: str, checkpointing: bool = False) -> None:
        self.beat: Callable[[], None] = lambda: None
        self.config, self.place, self.device, self._base = config, place, place.name, base
        self.precision = "bf16" if next(network.parameters()).dtype == torch.bfloat16 else "fp32"
        for weight in network.parameters():
            weight.requires_grad_(False)
        self._head = Head.of(network)
        check(network, self._head)
        self.network = adapters.attach(network, config)
        fused.install(self.network)
        self.packs = varlen.fast(self._where, network.config)
        self._inner = self.network.get_base_model().base_model
        if checkpointing:
            self.network.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self._weights = adapters.learning(self.network)
        self._adam = torch.optim.AdamW(
            self._weights,
            lr=config.rate,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=place.kind in ("cuda", "cpu"),
        )

    # --- learning

    def learn(self, batches: Sequence[Batch], rate: float) -> Learned:
        self.network.train()
        whole = max(1, sum(batch.learned for batch in batches))
        total = torch.zeros((), dtype=torch.float32, device=self._where)
        for batch in self._dealt(batches):
            loss, _ = answer_loss(self._hidden(batch), batch.targets, self._head)
            torch.autograd.backward(loss / whole)
            total += loss.detach()
            self.beat()
        self._add_up(total)
        norm = clip_grad_norm_(self._weights, self.config.clip)
        told = Learned(float(total) / whole, float(norm))
        if math.isfinite(told.loss) and math.isfinite(told.norm):
            for group in self._adam.param_groups:
                group["lr"] = rate
            self._adam.step()
        self._adam.zero_grad(set_to_none=True)
        return told

    def _dealt(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """Those that this process computes."""
        return batches

    def _add_up(self, total: Tensor) -> None:
        """Have the sums over all processes in the weights' gradients and in `total`: here is but one."""

    @torch.no_grad()
    def losses(self, batches: Sequence[Batch]) -> list[float]:
        self.network.eval()
        found: list[float] = []
        for batch in batches:
            found += sample_losses(self._hidden(batch), batch.targets, self._head, batch.spans)
            self.beat()
        return found

    def _hidden(self, batch: Batch) -> Tensor:
        """What the last norm gives, (rows, width, model's width); packed rows may come as one."""
        given = varlen.arguments(batch, self._where, self._inner.config)
        with self._cast():
            hidden: Tensor = self._inner(**given, use_cache=False).last_hidden_state
        return hidden

    @property
    def _where(self) -> torch.device:
        return torch.device(self.place.kind if self.place.kind != "mlx" else "cpu")

    def _cast(self) -> Any:
        """The adapter's products in bfloat16 too, where the base's are."""
        return torch.autocast(self._where.type, torch.bfloat16) if self.precision == "bf16" else nullcontext()

    # --- answering

    @torch.inference_mode()
    def answers(self, prompts: Sequence[Sequence[int]], most: int, ends: frozenset[int]) -> list[list[int]]:
        self.network.eval()
        said: dict[int, list[int]] = {}
        in_order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
        with self._without_checkpointing():
            for start in range(0, len(in_order), ANSWERED_AT_ONCE):
                together = in_order[start : start + ANSWERED_AT_ONCE]
                made = self._continued([prompts[at] for at in together], most, ends)
                said |= dict(zip(together, made, strict=True))
        return [said[at] for at in range(len(prompts))]

    def _continued(self, prompts: Sequence[Sequence[int]], most: int, ends: frozenset[int]) -> list[list[int]]:
        """Continue prompts of about one length at once; they are filled on the left."""
        longest = max(map(len, prompts))
        tokens = torch.tensor([[PAD] * (longest - len(one)) + list(one) for one in prompts], device=self._where)
        seen = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts], device=self._where)
        with self._cast():
            made = self.network.generate(
                input_ids=tokens,
                attention_mask=seen,
                max_new_tokens=most,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                eos_token_id=sorted(ends),
                pad_token_id=min(ends),
                use_cache=True,
            )
        return [_until(row, ends) for row in made[:, longest:].tolist()]

    @contextmanager
    def _without_checkpointing(self) -> Iterator[None]:
        """Checkpointing keeps no cache, and answering without one takes the square of the time."""
        was = bool(self._inner.is_gradient_checkpointing)
        if was:
            self.network.gradient_checkpointing_disable()
        try:
            yield
        finally:
            if was:
                self.network.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})

    # --- keeping

    def save(self, folder: Path) -> None:
        adapters.write_files(folder, adapters.state(self.network), adapters.config_of(self.network, self._base))
        moments = {}
        for number, weight in enumerate(self._weights):
            for name, value in self._adam.state.get(weight, {}).items():
                moments[f"{number}.{name}"] = value.detach().to("cpu").contiguous()
        chance = {"torch": torch.get_rng_state()}
        if self.place.kind in ("cuda", "mps"):
            chance[self.place.kind] = getattr(torch, self.place.kind).get_rng_state()
        write(folder / "optimiser.safetensors", save({**moments, **{f"chance.{name}": one for name, one in chance.items()}}))

    def load(self, folder: Path) -> None:
        adapters.put(self.network, folder)
        found = adapters.read_tensors(folder / "optimiser.safetensors")
        for number, weight in enumerate(self._weights):
            mine = {name.partition(".")[2]: one for name, one in found.items() if name.startswith(f"{number}.")}
            if mine:
                where = {name: weight.device if self.place.kind in ("cuda", "cpu") else "cpu" for name in mine}
                self._adam.state[weight] = {
                    name: one.clone().to(weight.device if name != "step" else where[name]) for name, one in mine.items()
                }
        torch.set_rng_state(found["chance.torch"].clone())
        if (name := f"chance.{self.place.kind}") in found:
            getattr(torch, self.place.kind).set_rng_state(found[name].clone())

    def use(self, adapter: Path | None) -> None:
        if adapter is None:
            self.network.disable_adapter_layers()
        else:
            self.network.enable_adapter_layers()
            adapters.put(self.network, adapter)


def opened(folder: Path, config: TrainConfig, place: Place, *, base: str, checkpointing: bool = False) -> TorchLearner:
    """The learner for the base in a folder, as transformers writes it.

    Raises Invalid train.qlora where 4 bits are asked for and cannot be had; Failed where the folder cannot be read.
    """
    if config.method == "qlora":
        return TorchLearner(_in_4_bits(folder, place), config, place, base=base, checkpointing=checkpointing)
    precise = config.precision == "fp32" or (config.precision == "auto" and not place.bf16)
    network = loaded(folder, place, dtype=torch.float32 if precise else torch.bfloat16)
    return TorchLearner(network.to(place.kind), config, place, base=base, checkpointing=checkpointing)


def _in_4_bits(folder: Path, place: Place) -> Network:
    """QLoRA (arXiv 2305.14314): the base in NormalFloat4, its scales quantised once more, computed in bfloat16."""
    if find_spec("bitsandbytes") is None:
        fix = "Install it: .venv/bin/python -m pip install -c constraints.txt bitsandbytes"
        raise Invalid(Problem("train.qlora", "qlora needs the package bitsandbytes", "method", fix))
    if place.kind != "cuda":
        fix = "Take `method: lora`, or a worker with an NVIDIA GPU."
        raise Invalid(Problem("train.qlora", f"qlora needs CUDA, and this is {place.name}", "method", fix))
    bits = Bits(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return loaded(folder, place, dtype=torch.bfloat16, quantization_config=bits, device_map={"": 0})


def loaded(folder: Path, place: Place, **how: Any) -> Network:
    """A model of transformers'. Nothing is fetched, and no code that came with it is run. Raises Failed."""
    quietly()  # what a stage says beside its steps is kept as its last words
    attention = varlen.register() if place.kind == "cuda" else varlen.PLAIN
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}
    try:
        network = AutoModelForCausalLM.from_pretrained(folder, attn_implementation=attention, **safe, **how)
        network.generation_config = NoHabits()  # its authors' penalties would make other than the likeliest tokens
        return network
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise Failed(f"the weights in {folder.name} cannot be read: {error}") from error


def _until(row: Sequence[int], ends: frozenset[int]) -> list[int]:
    """A row up to the first token that ends an answer."""
    return list(row[: next((at for at, token in enumerate(row) if token in ends), len(row))])
