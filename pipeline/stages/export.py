"""The stage that exports: the adapter, and on request the merged model, as files for transformers and for llama.cpp.

Everything is written into a folder of its own, each file is looked at after it was written (exporting.verifying), and only when
all are right the folder takes the place of `export/`. What was asked for is in the run's inputs: `formats`, a list of FORMATS,
and `upload`, a list of places (exporting.upload).
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pipeline import attribution
from pipeline.errors import Failed, Invalid, Problem
from pipeline.exporting import adapters, card, upload
from pipeline.exporting.adapters import Adapter
from pipeline.exporting.verifying import Check
from pipeline.exporting.writing import FORMATS, Telling, Work
from pipeline.files import file_digest
from pipeline.journal import settle
from pipeline.mixing import sizes
from pipeline.models import catalog
from pipeline.report import page
from pipeline.stage import Job
from pipeline.training import base
from pipeline.training.base import Base

DEFAULT = ("adapter",)
VERSION = 1


def export(job: Job) -> Mapping[str, str]:
    """Write export/, and upload it where that is asked for. Settings: `home`, `folder` (LABBOT_DATA/models).

    Raises Invalid: export.none without an adapter, export.format, export.target, export.base where the base is not the one that
    it was trained on, export.adapter and export.model with the way round, export.damaged, export.login, catalog.disk and what
    base.find says; Temporary where a place to upload to is away; Failed where a file is not what it should be.
    """
    named, places = _formats(job.inputs.get("formats")), upload.targets(_listed(job.inputs.get("upload")))
    formats = tuple(dict.fromkeys((*DEFAULT, *named)))  # whatever else is asked for, people go on talking to it
    plan = _json(job.folder / "train" / "plan.json")
    source = job.folder / "train" / "adapter"
    if not (source / adapters.CONFIG).is_file() or not plan:
        raise Invalid(Problem("export.none", "there is no adapter to export", "train/adapter", "Train one first: /train."))
    found = _base(job, plan)
    adapter = adapters.read(source)
    work = _work(job, found, adapter, source, formats, optional=not set(DEFAULT) & set(_listed(job.inputs.get("formats"))))
    work.make_sure_of_room()
    with _made_anew(job.folder / upload.EXPORT) as folder, _made_anew(job.folder / ".aside", keep=False) as aside:
        with work.telling.beating():
            work.write(folder, aside)
        files = _files(folder)
        told = {"version": VERSION, "base": plan["base"], "checks": [one.told() for one in work.checks]}
        told |= {"left_out": work.left_out} if work.left_out else {}
        (folder / "checks.json").write_text(json.dumps(told, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        (folder / upload.CARD).write_text(card.card(_card(job, plan, found, files, work.checks)), encoding="utf-8")
    page.write(job.folder)
    for place in places:
        work.telling.at("upload", place.where)
        with work.telling.beating():
            upload.upload(job.folder, place, os.environ)
    return _told(files, found, work.checks, places) | ({"left_out": work.left_out} if work.left_out else {})


def _work(job: Job, found: Base, adapter: Adapter, source: Path, formats: Sequence[str], *, optional: bool) -> Work:
    leaf = str(job.inputs.get("leaf") or "").strip("/").rpartition("/")[2]
    system = sizes.load(Path(str(job.settings["home"])) / sizes.FILE).system
    telling = Telling(job.report, steps=3 + 2 * len(formats))
    return Work(job.folder, found, adapter, source, formats, f"{found.name}-{leaf or 'adapter'}", system, telling, optional)


# --- what is asked for, and what is there


def _listed(given: Any) -> list[str]:
    """A list, or the same as a text with commas."""
    found = given.split(",") if isinstance(given, str) else given or ()
    return [str(one).strip() for one in found if str(one).strip()]


def _formats(given: Any) -> tuple[str, ...]:
    """Raises Invalid (export.format) for one that there is not."""
    known = {name.lower(): name for name in FORMATS}
    wanted = _listed(given)
    for one in wanted:
        if one.lower() not in known:
            fix = f"There is: {', '.join(FORMATS)}."
            raise Invalid(Problem("export.format", f"there is no format {one!r} to export.", fix=fix, facts={"format": one}))
    return tuple(dict.fromkeys(known[one.lower()] for one in wanted))


def _base(job: Job, plan: Mapping[str, Any]) -> Base:
    """The base that the adapter was trained on. Raises Invalid (export.base) where another lies in its place by now."""
    name = str(plan["base"]["name"])
    found = base.find(Path(str(job.settings["folder"])), name)
    if found.version != plan["base"]["version"]:
        message = f"{name} is not the model that this adapter was trained on any more."
        fix = "Train again, or put the weights back that were there."
        raise Invalid(Problem("export.base", message, fix=fix, facts={"name": name}))
    return found


def _card(
    job: Job, plan: Mapping[str, Any], found: Base, files: Sequence[tuple[str, int, str]], checks: Sequence[Check]
) -> card.Facts:
    known = catalog.card(Path(str(job.settings["folder"])), found.name)
    head = _head(job.folder / "mix" / "README.md")
    return card.Facts(
        leaf=str(job.inputs.get("leaf") or head.get("pretty_name") or ""),
        plan=plan,
        base_licence=found.licence,
        base_source=known.source if known else "",
        works=attribution.read(_text(job.folder / "entry" / "attribution.txt")),
        files=files,
        checks=[one.told() for one in checks],
        head=head,
        scores=_text(job.folder / "scores.md"),
    )


def _told(
    files: Sequence[tuple[str, int, str]], found: Base, checks: Sequence[Check], places: Sequence[upload.Target]
) -> dict[str, str]:
    """What people should know: the files, the base, and how far the first that was compared is off: the adapter."""
    logits = next((one.found for one in checks if one.what == "logits"), None)
    facts = {"stage": "export", "base": found.name, "files": json.dumps([[name, size] for name, size, _ in files])}
    if logits:
        facts |= {"checked": f"{logits['logit']:.2g}", "same": f"{logits['likeliest']:.3f}"}
    if places:
        facts["uploaded"] = ", ".join(place.where for place in places)
    return facts


# --- files


def _files(folder: Path) -> list[tuple[str, int, str]]:
    """Name, bytes and sha256 of every file."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        (path.relative_to(folder).as_posix(), path.stat().st_size, file_digest(path).removeprefix("sha256:")) for path in paths
    ]


@contextmanager
def _made_anew(target: Path, *, keep: bool = True) -> Iterator[Path]:
    """A folder that takes the place of `target` if all goes well, or is gone then. Raises Failed where the disk refuses."""
    part = target.with_name(f".{target.name.removeprefix('.')}-part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        if keep:
            for path in part.rglob("*"):
                settle(path)
            if target.exists():
                shutil.rmtree(target)
            os.replace(part, target)
    except OSError as error:
        raise Failed(f"{error.filename or target} cannot be read or written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _json(path: Path) -> dict[str, Any]:
    """Raises Failed for damage."""
    try:
        found = json.loads(_text(path) or "{}")
    except ValueError as error:
        raise Failed(f"{path} is damaged: {error}") from None
    return found if isinstance(found, dict) else {}


def _head(path: Path) -> Mapping[str, Any]:
    """The head of a card; none where it cannot be read."""
    parts = _text(path).split("---\n", 2)
    try:
        found = yaml.safe_load(parts[1]) if len(parts) == 3 else None
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}
