"""Mixing as upstream's recipes say it: files one after the other, each whole, or drawn from with replacement.

What is drawn is what upstream would draw: `DataFrame.sample(n, replace=True, random_state=SEED)` is numpy's old generator,
whose stream never changes (NEP 19). Given the recipe that is written here, upstream mixes the same rows in the same order.
Rows of a base mix lose their columns to `metadata` and get our system prompt, as upstream does it; those that ask a
question of the unseen set are left out, which upstream could not know.
"""

import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy
import yaml

from pipeline.errors import Invalid, Problem
from pipeline.files import digest
from pipeline.mixing import forms
from pipeline.mixing.nodes import key
from pipeline.mixing.sizes import Size


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a mix: `rows` it has, `size` as in a recipe. One of a base mix is the operator's, the others are ours."""

    path: Path
    rows: int
    size: Size
    of: Literal["skill", "knowledge", "base"]

    @property
    def drawn(self) -> int:
        """How many rows a mix takes, before any are left out."""
        if self.size == 1.0:
            return self.rows
        return self.size if isinstance(self.size, int) else int(self.rows * self.size)


@dataclass(slots=True)
class Mixed:
    """`taken`, `empty` and `tested`: rows of each source that went in, said nothing, or ask what the unseen set asks."""

    taken: list[int]
    empty: list[int]
    tested: list[int]

    @property
    def rows(self) -> int:
        return sum(self.taken)


def count(path: Path) -> int:
    """Rows of a file; lines without anything are none."""
    with path.open("rb") as file:
        return sum(1 for text in file if not text.isspace())


def recipe(sources: Sequence[Source], folder: Path, system: str) -> str:
    """The text of a recipe of upstream's that lies in `folder`: our files are named from there, others by their path."""
    listed = [
        {"path": str(one.path) if one.of == "base" else one.path.relative_to(folder).as_posix(), "sampling_size": one.size}
        for one in sources
    ]
    return yaml.safe_dump({"datasets": listed, "metadata": {"sys_prompt": system}}, allow_unicode=True)


def mix(
    sources: Sequence[Source],
    target: IO[bytes],
    *,
    system: str,
    seed: int,
    tested: frozenset[str],
    beat: Callable[[], None],
) -> Mixed:
    """Write the rows of a mix. Raises Invalid mix.base, naming file and line, for a row of a base mix that is none."""
    done = Mixed([0] * len(sources), [0] * len(sources), [0] * len(sources))
    for at, source in enumerate(sources):
        for number, text in _lines(source, seed):
            beat()
            if source.of != "base":
                target.write(text if source.of == "skill" else forms.with_system(text, system))
                done.taken[at] += 1
                continue
            row = _base(text, system, source.path, number)
            said = [one for one in row["messages"] if one["role"] != "system"]
            if not all(one["content"] for one in said):
                done.empty[at] += 1
            elif any(one["role"] == "user" and key(one["content"]) in tested for one in said):
                done.tested[at] += 1
            else:
                target.write(forms.line(row))
                done.taken[at] += 1
    return done


def _lines(source: Source, seed: int) -> Iterator[tuple[int, bytes]]:
    """The lines that a mix takes, with their numbers among the rows, from 1."""
    with source.path.open("rb") as file:
        if source.size == 1.0:
            yield from enumerate((text for text in file if not text.isspace()), 1)
            return
        starts = array("Q")
        start = 0
        for text in file:
            if not text.isspace():
                starts.append(start)
            start += len(text)
        if starts and source.drawn:
            for at in numpy.random.RandomState(seed).choice(len(starts), size=source.drawn, replace=True):
                file.seek(starts[at])
                yield int(at) + 1, file.readline()


def _base(text: bytes, system: str, path: Path, number: int) -> dict[str, Any]:
    """A row of a base mix as a row of ours."""
    try:
        found = json.loads(text)
        said = [(str(one["role"]), one["content"]) for one in found["messages"]]
        told = found.pop("metadata", None) or {}
        told = dict(json.loads(told) if isinstance(told, str) else told)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        fix = "Every line is a JSON object with `messages`, a list of {content, role}."
        message = f"row {number} is none of a base mix: {type(error).__name__} {error}"
        raise Invalid(Problem("mix.base", message, str(path), fix, {"path": str(path)})) from None
    told |= {name: value for name, value in found.items() if name not in forms.COLUMNS}
    messages = [{"content": system if role == "system" else _text(content), "role": role} for role, content in said]
    if all(role != "system" for role, _ in said):
        messages.insert(0, {"content": system, "role": "system"})
    name = str(found.get("id") or digest(text.strip()).removeprefix("sha256:")[:32])
    return {"id": name, "messages": messages, "metadata": json.dumps(told), "unmask": found.get("unmask") is True}


def _text(content: Any) -> str:
    return forms.unbroken(content) if isinstance(content, str) else ""
