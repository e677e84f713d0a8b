"""All that can be told of a model, whether it is here or not: what `labpipe model list` and `info` show."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pipeline.errors import Invalid
from pipeline.models import catalog, machine
from pipeline.models.catalog import Card, Named
from pipeline.models.machine import CONTEXT, Machine, Verdict


@dataclass(frozen=True, slots=True)
class Entry:
    """A model. What nobody knows of it is "", 0 or None; sizes and memory are bytes.

    `memory_bytes` is what it takes as `labpipe serve` runs it, the other two what it takes with one context: of the length
    that it was trained for, and of 8,192 tokens (or fewer, where it was trained for fewer). `problem`: why it is no use.
    """

    name: str
    title: str = ""
    about: str = ""
    licence: str = ""
    licence_url: str = ""
    source: str = ""
    path: str = ""
    here: bool = False
    chosen: bool = False
    size_bytes: int = 0
    architecture: str = ""
    quantisation: str = ""
    parameters: int = 0
    context: int = 0
    template: bool | None = None
    memory_bytes: int = 0
    memory_context_bytes: int = 0
    memory_8192_bytes: int = 0
    runs: Verdict | Literal[""] = ""
    problem: str = ""


def entries(folder: Path, named: Mapping[str, Named], has: Machine, *, inside: bool = False) -> list[Entry]:
    """Every model that has a name or is here, the named ones first; see `entry`."""
    here = catalog.here(folder)
    names = [*named, *(name for name in here if name not in named)]
    return [entry(folder, name, named.get(name), has, inside=inside) for name in names]


def entry(folder: Path, name: str, known: Named | None, has: Machine, *, inside: bool = False) -> Entry:
    """A model by its name, as it is known; by its own file where it is here and `inside` says so.

    Front ends do not: what reads such files is none of their libraries.
    """
    told = Entry(name, title=name)
    if known:
        source = known.repo or "made on this machine"
        told = Entry(name, known.title, known.about["en"], known.licence, known.licence_url, source)
        told = replace(told, size_bytes=known.size_bytes, parameters=known.parameters, context=known.context)
    card, path = catalog.card(folder, name), catalog.weights(folder, name)
    if card is None:
        return _weighed(told, known.kv_bytes, has) if known else told
    told = _by_card(told, card, path, catalog.chosen(folder) == name)
    if inside:
        with suppress(ModuleNotFoundError):  # without the extra, no file can be read
            return _looked_into(told, path, has)
    return _weighed(told, known.kv_bytes, has) if known else told


def of_file(path: Path, has: Machine) -> Entry:
    """A model by its file. Raises Invalid where that cannot be read."""
    return _by_file(Entry(path.name, path=str(path), here=True), path, has)


def _by_card(told: Entry, card: Card, path: Path, chosen: bool) -> Entry:
    return replace(
        told,
        about=told.about or card.note,
        licence=card.licence,
        source=card.source,
        path=str(path),
        here=True,
        chosen=chosen,
        size_bytes=card.size,
    )


def _looked_into(told: Entry, path: Path, has: Machine) -> Entry:
    try:
        return _by_file(told, path, has)
    except Invalid as error:
        return replace(told, problem=str(error))


def _by_file(told: Entry, path: Path, has: Machine) -> Entry:
    from pipeline.models import shape  # its library comes with the extra

    seen = shape.read(path)
    told = replace(
        told,
        title=told.title or seen.name,
        size_bytes=seen.size_bytes,
        architecture=seen.architecture,
        quantisation=seen.quantisation,
        parameters=seen.parameters,
        context=seen.context,
        template=seen.template,
    )
    return _weighed(told, seen.kv_bytes, has)


def _weighed(told: Entry, kv_bytes: int, has: Machine) -> Entry:
    served = machine.served(told.size_bytes, kv_bytes, told.context)
    one, usual = (machine.need(told.size_bytes, kv_bytes, tokens) for tokens in (told.context, min(told.context, CONTEXT)))
    return replace(
        told,
        memory_bytes=served.total,
        memory_context_bytes=one.total,
        memory_8192_bytes=usual.total,
        runs=machine.verdict(has, served),
    )
