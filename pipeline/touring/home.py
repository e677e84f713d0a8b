"""A home of the tour's own: our `configs/` with few settings changed, as an operator would change them."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline import config

SETTINGS = "configs/tour/settings.yaml"

Changes = Mapping[str, Mapping[str, Any]]  # by file below configs/, by the dotted path of the setting


def settings(home: Path) -> Changes:
    found: Changes = yaml.safe_load((home / SETTINGS).read_text(encoding="utf-8"))
    return found


def make(folder: Path, home: Path, *changes: Changes) -> Path:
    """Copy `configs/` of a home into a folder, with the changes made, the later ones above the earlier; return the folder."""
    shutil.copytree(home / "configs", folder / "configs")
    for of_files in changes:
        for name, values in of_files.items():
            path = folder / "configs" / name
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
            for setting, value in values.items():
                config.put(found, setting.split("."), value)
            path.write_text(yaml.safe_dump(found, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return folder


def seeded(seed: int) -> Changes:
    """The training's own chance."""
    return {"recipes/train.yaml": {"seed": 42 + seed}}
