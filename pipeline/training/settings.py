"""How an adapter is trained: `configs/recipes/train.yaml`."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from pipeline import config
from pipeline.config import Section
from pipeline.errors import Invalid, Problem

FILE = "configs/recipes/train.yaml"

Method = Literal["lora", "rslora", "qlora"]
Device = Literal["auto", "cuda", "mps", "cpu", "mlx"]


class PhaseConfig(Section):
    """A phase of the training: it begins with the weights that the one before ended with."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$", description="the folder of its files, below train/")
    files: tuple[str, ...] = Field(min_length=1, description="JSON lines with `messages`, from the run's folder")


class TrainConfig(Section):
    """The whole of train.yaml, for one base model. Figures that several sources agree on: facts in the file itself."""

    base: str = Field(default="", description="the model to train, by its name here; empty: the one that is chosen")
    method: Method = Field(
        default="lora", description="rslora scales by alpha / sqrt(rank), qlora has the base in 4 bits (CUDA)"
    )
    rank: int = Field(default=16, ge=1, le=1024, description="of each adapter's matrices")
    alpha: float = Field(default=32.0, gt=0, description="its change is multiplied with alpha / rank")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="of what goes into an adapter")
    targets: tuple[str, ...] = Field(
        default=(), description="linear layers by the end of their names; empty: all in the blocks"
    )
    ranks: dict[str, int] = Field(default={}, description="other ranks, by the ends of layers' names")
    alphas: dict[str, float] = Field(default={}, description="other alphas, by the ends of layers' names")

    epochs: float = Field(default=3.0, gt=0, le=1000, description="how often each sample is seen")
    steps: int = Field(default=0, ge=0, description="how many steps, whatever that is in epochs; 0: by epochs")
    batch_tokens: int = Field(default=8192, ge=16, description="tokens of a step, without padding")
    micro_tokens: int = Field(default=0, ge=0, description="tokens computed at once, with padding; 0: what memory allows")
    rate: float = Field(default=2e-4, gt=0, lt=1, description="the highest learning rate")
    warm_up: float = Field(default=0.05, ge=0, lt=1, description="share of the steps in which the rate rises")
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    betas: tuple[float, float] = Field(default=(0.9, 0.95), description="of AdamW")
    clip: float = Field(default=1.0, gt=0, description="the gradient's longest norm")
    seed: int = Field(default=42, ge=0, lt=2**32)

    context: int = Field(default=4096, ge=16, description="tokens of the longest sample")
    too_long: Literal["split", "refuse"] = Field(default="split", description="what is done with a sample that is longer")
    replay: float = Field(default=0.2, ge=0, lt=1, description="share of rows that the base was taught with, where it has some")

    device: Device = "auto"
    precision: Literal["auto", "bf16", "fp32"] = Field(
        default="auto", description="auto: bf16 where the hardware multiplies it"
    )
    checkpointing: Literal["auto", "yes", "no"] = Field(default="auto", description="compute activations twice, to save memory")
    checkpoints: int = Field(default=8, ge=1, le=1000, description="how many there are over the course, each scored")
    held: int = Field(default=64, ge=1, description="held-out questions that a checkpoint is scored on, at most")

    phases: tuple[PhaseConfig, ...] = Field(
        default=(PhaseConfig(name="adapter", files=("mix/skills_train_msgs.jsonl",)),),
        max_length=1,  # LAB's two phases with replay come with the recipe `build`
        description="what is trained on, one after the other",
    )

    @field_validator("checkpointing", mode="before")
    @classmethod
    def _yes(cls, given: object) -> object:
        """YAML reads yes and no as truth values."""
        return {True: "yes", False: "no"}[given] if isinstance(given, bool) else given


class _File(TrainConfig):
    """train.yaml: the settings, and others for single models."""

    models: dict[str, dict[str, Any]] = Field(default={}, description="settings for a base model, by its name here")


def load(path: Path, base: str, changes: dict[str, Any] | None = None) -> TrainConfig:
    """Read train.yaml for a base model. `changes` are single settings that stand above it, such as {"epochs": 1}.

    Raises Invalid with every problem of the file.
    """
    found = config.read(path)
    if not isinstance(found, dict):
        raise Invalid(Problem("config.shape", "the file is no mapping of settings", path.name, "Begin with `method: lora`."))
    try:
        of_model = _File.model_validate(found).models.get(base, {})
        general = {name: value for name, value in found.items() if name != "models"}
        return TrainConfig.model_validate({**general, **of_model, **(changes or {})})
    except ValidationError as error:
        raise Invalid(
            *(config.problem(path.name, one["loc"], one["msg"], one.get("input")) for one in error.errors())
        ) from None
