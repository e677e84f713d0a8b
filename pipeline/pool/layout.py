"""The folder of a run: what it is begun with, written by whoever begins it and read by whoever performs a stage.

`run.json` holds recipe, person, inputs and the settings of the stages; `entry/` the entry as it would be proposed; `upload/`
a file that the person sent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import Failed

# What is asked for one time: nothing is uploaded again because it was once, with samples that nobody has looked at since.
ONCE = frozenset({"formats", "upload"})


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that somebody sent. `name`: as they call it, without folders."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Begun:
    """What `run.json` says."""

    recipe: str
    inputs: Mapping[str, Any]
    settings: Mapping[str, Mapping[str, Any]]


def write(folder: Path, recipe: str, inputs: Mapping[str, Any], person: str, settings: Mapping[str, Any]) -> None:
    """Lay a run's folder out. An input that is an Entry becomes its `entry/` files, an Upload the file `upload/NAME`.

    Inputs that were given before and are not given anew stay, for the stages that they were given for; but for those of ONCE.
    Raises Invalid for an entry that cannot be written as it is, Failed if the disk does not take it.
    """
    from pipeline import qna  # a worker's child only reads, and need not wait for YAML
    from pipeline.taxonomy import Entry, root_of

    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise Failed(f"the folder of run {folder.name} could not be made: {error.strerror}") from error
    texts = {name: value for name, value in inputs.items() if not isinstance(value, Entry | Upload)}
    for value in inputs.values():
        if isinstance(value, Entry):
            files.write(folder / "entry" / "qna.yaml", qna.write(value))
            files.write(folder / "entry" / "attribution.txt", qna.attribution(value.works))
            texts["leaf"], texts["root"], texts["description"] = value.leaf, root_of(value), value.description
        if isinstance(value, Upload):
            texts["file"] = file_name(value.name)
            files.write(folder / "upload" / texts["file"], value.content)
    try:
        before = read(folder).inputs
    except Failed:  # there is none yet, or it is damaged and written anew
        before = {}
    kept = {name: value for name, value in before.items() if name not in ONCE}
    run = {"id": folder.name, "recipe": recipe, "person": person, "inputs": {**kept, **texts}, "settings": dict(settings)}
    files.write(folder / "run.json", json.dumps(run, indent=1))


def file_name(name: str) -> str:
    """A file's name as one of our folders can have it: its last 100 printable characters, without folders or a leading dot."""
    last = "".join(letter for letter in name.replace("\\", "/").rpartition("/")[2] if letter.isprintable())
    return last.encode(errors="replace").decode()[-100:].lstrip(".") or "file"


def read(folder: Path) -> Begun:
    """Raises Failed for a folder that is none of a run's."""
    try:
        run = json.loads((folder / "run.json").read_bytes())
        return Begun(str(run["recipe"]), dict(run["inputs"]), dict(run["settings"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failed(f"{folder} is no run folder: {error}") from error
