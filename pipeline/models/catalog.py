"""The models that have a name (`configs/models/named.yaml`), and those that are on this machine already.

A model that is here is a folder below LABBOT_DATA/models with `model.gguf` and `card.json`. The card is written last and
taken away first, so what it vouches for is whole. `chosen` beside the folders names the one that this installation serves.

Front ends read this, so it imports no engine and no network library.
"""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pipeline.errors import Failed, Invalid, Problem
from pipeline.files import write

TINY = "tiny"  # the model that is made here
WEIGHTS, CARD, CHOSEN = "model.gguf", "card.json", "chosen"
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"  # safe as a folder's name, on a command line and in a URL


class Named(BaseModel):
    """A model that has a name. `repo` is "" for the one that is made here."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=1000)

    title: str = Field(min_length=1)
    about: Mapping[str, str] = Field(description="a sentence on what it is, by language")
    repo: str = Field(default="", pattern=r"^([\w.-]+/[\w.-]+)?$")
    file: str = Field(default="", pattern=r"^([\w.-]+\.gguf)?$")
    revision: str = Field(default="main", pattern=r"^[\w.-]+$")
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    weights: str = Field(default="", pattern=r"^([\w.-]+/[\w.-]+)?$", description="the repository that it can be trained from")
    weights_revision: str = Field(default="main", pattern=r"^[\w.-]+$")
    licence: str = Field(min_length=1, description="its SPDX name")
    licence_url: str = Field(pattern=r"^https://\S+$")
    parameters: int = Field(gt=0)
    context: int = Field(gt=0, description="tokens that it was trained for")
    size_bytes: int = Field(gt=0)
    rounded: bool = Field(default=False, description="size_bytes is about right, not exact")
    kv_bytes: int = Field(gt=0, description="memory for a token of context, keys and values in 16 bits")

    @property
    def made_here(self) -> bool:
        return not self.repo


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a model that is here; its file may say more. `size` (bytes) and `sha256` are those of its weights."""

    name: str
    source: str
    licence: str
    size: int
    sha256: str
    note: str = ""


def load(path: Path) -> dict[str, Named]:
    """Read named.yaml, in its order. Raises Invalid with every problem, each with its place."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        fix = "Take the one of the repository, or set LABBOT_HOME."
        raise Invalid(Problem("config.missing", "there is no such file", str(path), fix)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid(Problem("config.yaml", " ".join(str(error).split()), path.name, "Mend the line named here.")) from None
    try:
        named = TypeAdapter(dict[str, Named]).validate_python(found)
    except ValidationError as error:
        raise Invalid(*(_problem(path.name, one["loc"], one["msg"]) for one in error.errors())) from None
    if problems := [problem for name, one in named.items() for problem in _more(path.name, name, one)]:
        raise Invalid(*problems)
    return named


def _more(file: str, name: str, one: Named) -> list[Problem]:
    """What the types cannot say: that names are names, and that a download has a file."""
    problems = []
    if not re.fullmatch(NAME, name):
        problems.append(_problem(file, (name,), "a name has small letters, digits, dots and hyphens"))
    if bool(one.repo) != bool(one.file):
        problems.append(_problem(file, (name, "file" if one.repo else "repo"), "repo and file belong together"))
    return problems


def _problem(file: str, where: tuple[int | str, ...], message: str) -> Problem:
    return Problem("config.value", message, f"{file}: {'.'.join(map(str, where))}")


def one_of(named: Mapping[str, Named], name: str) -> Named:
    """A model by its name. Raises Invalid, with the names that there are."""
    if name not in named:
        known = ", ".join(named)
        raise Invalid(
            Problem("catalog.unknown", f"there is no model {name!r}.", fix=f"There is: {known}.", facts={"name": name})
        )
    return named[name]


# --- what is here


def weights(folder: Path, name: str) -> Path:
    """Where the weights of a model lie or would lie. Raises Invalid for what is no name."""
    if not re.fullmatch(NAME, name):
        raise Invalid(Problem("catalog.unknown", f"{name!r} is no name of a model.", facts={"name": name}))
    return folder / name / WEIGHTS


def card(folder: Path, name: str) -> Card | None:
    """The card of a model that is here, whole; None if it is not."""
    path = weights(folder, name)
    try:
        found: dict[str, Any] = json.loads((path.parent / CARD).read_bytes())
        made = Card(**{key: found[key] for key in ("name", "source", "licence", "size", "sha256")}, note=found.get("note", ""))
        return made if path.stat().st_size == made.size else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def here(folder: Path) -> dict[str, Card]:
    """Every model that is here, by its name."""
    names = sorted(one.name for one in folder.iterdir() if re.fullmatch(NAME, one.name)) if folder.is_dir() else ()
    cards = {name: card(folder, name) for name in names}
    return {name: found for name, found in cards.items() if found}


def keep(folder: Path, made: Card) -> None:
    """Write the card of a model whose weights are in their place: from now on it is here."""
    write(weights(folder, made.name).parent / CARD, json.dumps(asdict(made), indent=1) + "\n")


def chosen(folder: Path) -> str:
    """The name of the model that this installation serves; "" where none is chosen or it is not here."""
    try:
        name = (folder / CHOSEN).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return name if re.fullmatch(NAME, name) and card(folder, name) else ""


def version(folder: Path, name: str) -> str:
    """What a model's name stands for on this machine: the beginning of its weights' digest; "" for one that is elsewhere."""
    try:
        found = card(folder, name)
    except Invalid:  # a name that no folder can have
        return ""
    return found.sha256[:12] if found else ""


def choose(folder: Path, name: str) -> Card:
    """Serve that model from now on. Raises Invalid if it is not here."""
    found = card(folder, name)
    if found is None:
        raise absent(name)
    write(folder / CHOSEN, f"{name}\n")
    return found


def absent(name: str) -> Invalid:
    fix = f"Type `labpipe model {'make-tiny' if name == TINY else f'download {name}'}`."
    return Invalid(Problem("catalog.absent", f"{name} is not on this machine.", fix=fix, facts={"name": name}))


def remove(folder: Path, name: str) -> int:
    """Take a model, or what a download left of it, off this machine and out of `chosen`; return the bytes that are free now.

    Raises Invalid if nothing of it is here, Failed if the disk refuses.
    """
    place = weights(folder, name).parent
    if not place.is_dir():
        raise absent(name)
    size = sum(one.stat().st_size for one in place.rglob("*") if one.is_file())
    try:
        if chosen(folder) == name:
            (folder / CHOSEN).unlink()
        (place / CARD).unlink(missing_ok=True)
        shutil.rmtree(place)
    except OSError as error:
        raise Failed(f"{name} could not be taken away: {error.strerror}") from error
    return size


def amount(size_bytes: float) -> str:
    """A size as people read it, in decimal units as disks and downloads are sold: 2.1 GB, 237 MB."""
    for unit, one in (("GB", 1e9), ("MB", 1e6)):
        if size_bytes >= one:
            return f"{size_bytes / one:.1f} {unit}" if size_bytes < 10 * one else f"{size_bytes / one:.0f} {unit}"
    return f"{size_bytes / 1e3:.0f} kB"
