"""The model that an adapter is trained onto, as it lies on this machine."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import Failed, Invalid, Problem
from pipeline.files import digest
from pipeline.models import catalog

FOLDER, REPLAY = "hf", "replay.jsonl"
WEIGHTS = ("*.safetensors",)


@dataclass(frozen=True, slots=True)
class Base:
    """`folder` is as transformers writes it; `gguf` the file that serves it, None where there is none.

    `replay`: rows of what it was taught with, None where nobody has them. `version` changes with its weights.
    """

    name: str
    folder: Path
    version: str
    licence: str
    gguf: Path | None = None
    replay: Path | None = None

    @property
    def config(self) -> Mapping[str, Any]:
        """What config.json says of its shape. Raises Failed where that cannot be read."""
        try:
            found = json.loads((self.folder / "config.json").read_bytes())
        except (OSError, ValueError) as error:
            raise Failed(f"config.json of {self.name} cannot be read: {error}") from error
        if not isinstance(found, dict):
            raise Failed(f"config.json of {self.name} is no object")
        return found


def find(models: Path, name: str = "") -> Base:
    """The base of that name below LABBOT_DATA/models; without a name, of the model that is chosen.

    Raises Invalid: train.no_base where none is chosen, train.no_weights where its weights are not here in a form that
    can be trained.
    """
    wanted = name or catalog.chosen(models)
    if not wanted:
        fix = "Set one up with /setup, or name one as `base` in configs/recipes/train.yaml."
        raise Invalid(Problem("train.no_base", "no model is chosen that could be trained", fix=fix))
    path = catalog.weights(models, wanted)
    folder = path.parent / FOLDER
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        message = f"the weights of {wanted} are not here in a form that can be trained (a GGUF can only be served)"
        fix = f"Type `labpipe model download {wanted} --train` on the machine that trains."
        raise Invalid(Problem("train.no_weights", message, fix=fix, facts={"name": wanted}))
    card = catalog.card(models, wanted)
    replay = path.parent / REPLAY
    return Base(
        wanted,
        folder,
        version(folder),
        card.licence if card else "",
        path if path.is_file() else None,
        replay if replay.is_file() else None,
    )


def version(folder: Path) -> str:
    """What a folder of weights stands for: the digest of its small files, and of the heads of its large ones.

    The head of a safetensors file has the name, shape and place of each tensor; with the file's size and its last bytes
    that tells one set of weights from another without reading all of it.
    """
    told = []
    for path in sorted(folder.glob("*")):
        if path.suffix in (".json", ".model", ".safetensors", ".jinja") and path.is_file():
            told.append([path.name, path.stat().st_size, digest(_ends(path))])
    return digest(json.dumps(told).encode()).removeprefix("sha256:")[:16]


ENDS = 2**20  # bytes of the beginning and of the end


def _ends(path: Path) -> bytes:
    with path.open("rb") as file:
        first = file.read(ENDS)
        file.seek(max(file.tell(), path.stat().st_size - ENDS))
        return first + file.read()
