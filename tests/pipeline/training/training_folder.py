"""A run folder as `mix` leaves it, and the practice model as the base, for the stages behind it."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.generating.rows import Row
from pipeline.models import catalog
from pipeline.stage import Job
from pipeline.stages.mix import mix
from tests.conftest import HOME
from tests.pipeline.generating import mixing_folder
from tests.pipeline.models.tiny_model import small_model

BASE = "tiny"
QUICK: dict[str, Any] = {"rank": 4, "epochs": 2, "batch_tokens": 600, "checkpoints": 2, "precision": "fp32", "device": "cpu"}


def models(folder: Path) -> Path:
    """A folder of models with the small practice model, chosen. Its files are links: nobody writes to them."""
    place = folder / BASE
    if not place.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(small_model(), place, copy_function=lambda source, target: Path(target).symlink_to(source))
        catalog.choose(folder, BASE)
    return folder


def job(
    tmp_path: Path, samples: Iterable[Row], unseen: Iterable[Row] | None = None, told: list[Any] | None = None, **train: Any
) -> Job:
    """A job for the stages that train, compare and export. `train`: settings that stand above train.yaml."""
    made = mixing_folder.job(tmp_path, samples, unseen, told)
    mix(made)
    home = Path(str(made.settings["home"]))
    shutil.copytree(HOME / "configs", home / "configs", dirs_exist_ok=True)
    settings: Mapping[str, Any] = {"home": str(home), "folder": str(models(tmp_path / "models")), "train": {**QUICK, **train}}
    return Job(made.folder, {}, settings, made.report)
