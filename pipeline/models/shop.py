"""`labpipe model`: see what models there are, bring one here, make one, look into one, choose one, take one away."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from pipeline import places
from pipeline.errors import Invalid, LabError, Problem
from pipeline.files import file_digest
from pipeline.models import catalog, download, machine, shelf, trainable
from pipeline.models.catalog import TINY, Card, Named, amount
from pipeline.models.machine import CONTEXT, Verdict
from pipeline.models.progress import Line
from pipeline.models.shelf import Entry
from pipeline.stage import Job
from pipeline.stages import model as stages
from pipeline.training import paths as ways

EXTRAS = "`make model` installs it, or .venv/bin/python -m pip install -c constraints.txt -e '.[local,train]'"
RUNS: Mapping[Verdict | str, str] = {"yes": "yes", "full": "when other programs end", "no": "no, too little memory", "": "?"}
SERVED = "memory: as `labpipe serve` runs it, with room for one conversation of up to 8,192 tokens at least"


@dataclass(frozen=True, slots=True)
class Shop:
    """Where everything lies, and who is spoken to. `ask` is None where nobody can answer."""

    home: Path
    folder: Path
    environment: Mapping[str, str]
    out: TextIO
    ask: Callable[[str], str] | None = None

    @property
    def named(self) -> dict[str, Named]:
        return catalog.load(self.home / "configs" / "models" / "named.yaml")

    def say(self, *lines: str) -> None:
        self.out.write("".join(f"{line}\n" for line in lines))
        self.out.flush()


def main(words: Sequence[str], environment: Mapping[str, str], out: TextIO, ask: Callable[[str], str] | None = None) -> int:
    """Do one command. 0: done; 1: it failed or has to wait, said on stderr; 2: something given is wrong; 130: stopped."""
    given = parser().parse_args(words)
    home, data = places.home(environment), places.data(environment)
    try:
        given.act(Shop(home, data / "models", environment, out, ask), given)
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{error.name} is not installed: {EXTRAS}.\n")
        return 1
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, Invalid) else 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. What has come is kept.\n")
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="labpipe model", description="The models on this machine, and those that can be.")
    acts = whole.add_subparsers(dest="what", required=True)

    def act(name: str, does: Callable[[Shop, argparse.Namespace], None], explained: str) -> argparse.ArgumentParser:
        made = acts.add_parser(name, help=explained, description=f"{explained[0].upper()}{explained[1:]}.")
        made.set_defaults(act=does)
        return made

    listed = act("list", show_list, "the models that have a name, and those that are here")
    listed.add_argument("--json", action="store_true", help="a JSON line a model")
    down = act("download", bring, "bring a model here, or go on where that was cut")
    down.add_argument("name", metavar="NAME")
    down.add_argument("--train", action="store_true", help="its weights as they can be trained, beside what is served")
    tiny = act("make-tiny", make_tiny, "make the practice model on this machine")
    tiny.add_argument("--seed", type=int, metavar="N", help="another practice model")
    tiny.add_argument("--small", action="store_true", help="one that is made in seconds and can do next to nothing")
    info = act("info", show_info, "what a model is, what it needs, and whether this machine can run it")
    info.add_argument("model", metavar="NAME|PATH")
    info.add_argument("--json", action="store_true", help="as JSON")
    small = act("quantize", make_smaller, "make a smaller model of one in 16 or 32 bits")
    small.add_argument("model", metavar="NAME|PATH")
    small.add_argument("type", metavar="TYPE", help="as llama.cpp names it: Q4_K_M, Q8_0 ...")
    small.add_argument(
        "--out", type=Path, metavar="PATH", help="the file to write (default: a model NAME-TYPE, or beside PATH)"
    )
    act("use", use, "serve that model from now on").add_argument("name", metavar="NAME")
    act("remove", remove, "take a model off this machine").add_argument("name", metavar="NAME")
    setup = act("setup", set_up, "install what is missing, bring or make a model, and serve it from now on")
    setup.add_argument("name", nargs="?", default="", metavar="NAME", help="asked for where it is left out")
    return whole


# --- looking


def show_list(shop: Shop, given: argparse.Namespace) -> None:
    has = machine.look()
    found = shelf.entries(shop.folder, shop.named, has, inside=True)
    if given.json:
        shop.say(*(json.dumps(asdict(one), ensure_ascii=False) for one in found))
        return
    head = ("", "name", "here", "size", "memory", "licence", "runs here")
    shop.say(*columns([head, *map(_row, found)]), "", f"* is served; {SERVED}", f"this machine: {has}")


def _row(one: Entry) -> tuple[str, ...]:
    memory = amount(one.memory_bytes) if one.memory_bytes else "?"
    runs = "no: its file is damaged" if one.problem else RUNS[one.runs]
    return ("*" if one.chosen else "", one.name, "yes" if one.here else "no", amount(one.size_bytes), memory, one.licence, runs)


def columns(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def show_info(shop: Shop, given: argparse.Namespace) -> None:
    """Tell what a model is; of one that is not here, what is known of it."""
    has, path = machine.look(), _path(given.model)
    named = {} if path else shop.named
    if not path and given.model not in catalog.here(shop.folder):
        catalog.one_of(named, given.model)
    one = shelf.of_file(path, has) if path else shelf.entry(shop.folder, given.model, named.get(given.model), has, inside=True)
    if one.problem:
        raise Invalid(Problem("model.unreadable", one.problem))
    if given.json:
        shop.say(json.dumps(asdict(one) | {"machine": str(has)}, ensure_ascii=False))
        return
    template = {True: "yes", False: "none: it cannot be chatted with", None: ""}[one.template]
    contexts = f"{amount(one.memory_8192_bytes)} with {min(one.context, CONTEXT):,} tokens of context"
    if one.context > CONTEXT:
        contexts += f", {amount(one.memory_context_bytes)} with all {one.context:,}"
    rows = {
        "model": f"{one.title} ({one.name})" if one.title != one.name else one.name,
        "about": one.about,
        "here": (one.path + (", served" if one.chosen else "")) if one.here else f"no. {_way(one.name)}",
        "source": one.source,
        "licence": ", ".join(part for part in (one.licence, one.licence_url) if part),
        "size": ", ".join(part for part in (amount(one.size_bytes), one.quantisation) if part),
        "weights": ", ".join(part for part in (f"{one.parameters:,}", one.architecture) if part),
        "chat template": template,
        "memory": f"{contexts}; `labpipe serve` keeps more where there is room",
        "machine": f"{has}",
        "runs here": RUNS[one.runs],
        "trains": "" if path else _trains(shop, one.name, named.get(one.name), has),
    }
    shop.say(*columns([(f"{key}:", value) for key, value in rows.items() if value]))


def _trains(shop: Shop, name: str, named: Named | None, has: machine.Machine) -> str:
    """Whether its weights are here as they can be trained, and how far the way is trodden that this machine would go."""
    if (catalog.weights(shop.folder, name).parent / trainable.FOLDER / "config.json").is_file():
        here = "its weights are here"
    else:
        here = f"`labpipe model download {name} --train` brings its weights" if named and named.weights else "no weights here"
    way = ways.of({"cuda": "cuda", "metal": "mps", "cpu": "cpu"}[has.kind])
    return f"{here}; {way.name} on this machine ({way})"


def _way(name: str) -> str:
    return catalog.absent(name).problems[0].fix


def _path(word: str) -> Path | None:
    """A word as a path, where it is one and no name."""
    path = Path(word)
    return path if path.suffix == ".gguf" or len(path.parts) > 1 else None


# --- bringing and making


def bring(shop: Shop, given: argparse.Namespace) -> None:
    named = catalog.one_of(shop.named, given.name)
    if named.made_here:
        raise Invalid(Problem("catalog.made", f"{given.name} is made here.", fix="Type `labpipe model make-tiny`."))
    if given.train:
        return _bring_weights(shop, given.name, named)
    shop.say(f"{named.title}: {amount(named.size_bytes)}, {named.licence} ({named.licence_url})")
    with Line(shop.out) as line:
        made = download.download(given.name, named, shop.folder, download.hub_of(shop.environment), line.report)
    _done(shop, made)


def _bring_weights(shop: Shop, name: str, named: Named) -> None:
    with Line(shop.out) as line:
        size = trainable.bring(name, named, shop.folder, download.hub_of(shop.environment), line.report)
    shop.say(f"The weights of {name} are here: {amount(size)}, {named.licence} ({named.licence_url}). /train can take it.")


def make_tiny(shop: Shop, given: argparse.Namespace) -> None:
    with Line(shop.out) as line:
        made = stages.make(shop.folder, line.report, small=given.small, seed=given.seed)
    _done(shop, made)


def _done(shop: Shop, made: Card) -> None:
    served = "It is served." if catalog.chosen(shop.folder) == made.name else f"To serve it: `labpipe model use {made.name}`."
    shop.say(f"{made.name} is here: {amount(made.size)}, {made.licence}. {served}")


def make_smaller(shop: Shop, given: argparse.Namespace) -> None:
    """Quantise a file. What comes of a model that has a name is a model too, NAME-TYPE."""
    from pipeline.models import quantize, shape

    path, kind = _path(given.model), given.type.upper()
    card = None if path else catalog.card(shop.folder, given.model)
    if path is None and card is None:
        raise catalog.absent(given.model)
    source = path or catalog.weights(shop.folder, given.model)
    shape.read(source)
    name = f"{given.model}-{kind.lower()}"
    target = given.out or (source.with_name(f"{source.stem}-{kind}.gguf") if path else catalog.weights(shop.folder, name))
    with Line(shop.out) as line:
        quantize.quantize(source, target, kind, line.report)
    size = target.stat().st_size
    if card and not given.out:
        digest = file_digest(target).removeprefix("sha256:")
        made = Card(name, f"{card.source}, as {kind}", card.licence, size, digest, card.note)
        catalog.keep(shop.folder, made)
        _done(shop, made)
    else:
        shop.say(f"{target}: {amount(size)}")


def use(shop: Shop, given: argparse.Namespace) -> None:
    catalog.choose(shop.folder, given.name)
    shop.say(f"{given.name} is served from now on. A labbot that runs takes it up by itself.")


def remove(shop: Shop, given: argparse.Namespace) -> None:
    chosen = catalog.chosen(shop.folder) == given.name
    size = catalog.remove(shop.folder, given.name)
    left = " No model is served now: `labpipe model use NAME` chooses one." if chosen else ""
    shop.say(f"{given.name} is gone; {amount(size)} are free.{left}")


def set_up(shop: Shop, given: argparse.Namespace) -> None:
    """What the recipe `model` does, by hand."""
    name = given.name or _asked(shop)
    named = catalog.one_of(shop.named, name)
    shop.say(f"{named.title}: {amount(named.size_bytes)}, {named.licence} ({named.licence_url}). {named.about['en']}")
    settings = {"home": str(shop.home), "folder": str(shop.folder)}
    with tempfile.TemporaryDirectory() as folder, Line(shop.out) as line:
        job = Job(Path(folder), {"name": name}, settings, line.report)
        stages.engine(job)
        stages.model(job)
    shop.say(f"{name} is here and served from now on. `make run` talks to it.")


def _asked(shop: Shop) -> str:
    """Which model to set up: the one that is made here where nobody can be asked."""
    if shop.ask is None:
        return TINY
    has = machine.look()
    found = [one for one in shelf.entries(shop.folder, shop.named, has) if one.name in shop.named]
    usual = next((at for at, one in enumerate(found, 1) if one.runs == "yes" and one.name != TINY), 1)
    rows: list[Sequence[str]] = [("", "", "size", "memory", "licence", "runs here", "")]
    rows += [(str(at), one.name, *_row(one)[3:], one.about) for at, one in enumerate(found, 1)]
    shop.say(*columns(rows), "", SERVED, f"this machine: {has}")
    while True:
        said = shop.ask(f"Which one? [{usual}] ").strip() or str(usual)
        if said.isdecimal() and 1 <= int(said) <= len(found):
            return found[int(said) - 1].name
        if said in shop.named:
            return said
        shop.say(f"A number from 1 to {len(found)}, or a name.")
