"""Checkpoints of a training: a folder each, there whole or not at all, so that a kill costs the steps since the last one.

A folder is written beside its place, with the digests of its files last, and renamed. One that does not fit its digests is
passed over for the one before. The two newest are kept, and the best.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import Failed
from pipeline.files import file_digest, write

STATE = "state.json"
KEPT = 2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """After so many steps. `state`: what the loop needs to go on."""

    folder: Path
    step: int
    state: Mapping[str, Any]


def write_one(folder: Path, step: int, save: Callable[[Path], None], state: Mapping[str, Any]) -> Checkpoint:
    """Keep a checkpoint below `folder`: `save` writes its files. Raises Failed where the disk refuses; the older ones stay."""
    place = folder / f"step-{step:08d}"
    part = folder / f".{place.name}"
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        save(part)
        digests = {path.name: file_digest(path) for path in sorted(part.iterdir())}
        write(part / STATE, json.dumps({"step": step, "state": dict(state), "files": digests}, indent=1))
        if place.exists():  # written by an attempt before this one, which went on from an older one
            shutil.rmtree(place)
        os.rename(part, place)
        _settle(folder)
    except OSError as error:
        raise Failed(f"checkpoint {step} could not be written: {error.strerror or error}; the one before is whole") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Checkpoint(place, step, state)


def newest(folder: Path, course: str) -> Checkpoint | None:
    """The newest one that is whole and belongs to that course; None where there is none."""
    for path in sorted(folder.glob("step-*"), reverse=True):
        if (found := _read(path)) and found.state.get("course") == course:
            return found
    return None


def at(folder: Path, step: int) -> Checkpoint | None:
    """The one after so many steps, if it is whole."""
    return _read(folder / f"step-{step:08d}")


def tidy(folder: Path, course: str, last: int) -> None:
    """Remove what is none of this course's up to that step: it would pass for the newest."""
    for path in folder.glob("step-*"):
        found = _read(path)
        if found is None or found.state.get("course") != course or found.step > last:
            shutil.rmtree(path, ignore_errors=True)


def whole(folder: Path, steps: Sequence[int]) -> Checkpoint | None:
    """The first of these that is whole."""
    return next((found for step in steps if (found := at(folder, step))), None)


def prune(folder: Path, best: int) -> None:
    """Remove all but the newest and the best."""
    found = sorted(folder.glob("step-*"))
    for path in found[:-KEPT]:
        if path.name != f"step-{best:08d}":
            shutil.rmtree(path, ignore_errors=True)


def _read(path: Path) -> Checkpoint | None:
    try:
        found = json.loads((path / STATE).read_bytes())
        if all(file_digest(path / name) == digest for name, digest in found["files"].items()):
            return Checkpoint(path, int(found["step"]), dict(found["state"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # cut or rotten: the one before will do
        return None
    return None


def _settle(folder: Path) -> None:
    """Make the rename survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
