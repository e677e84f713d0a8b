"""A stage of a recipe, and the receipt that makes a second run of it free.

A stage reads files of the run folder and writes others. When it is done, `receipts/NAME.json` records the digests of
its settings, of what it read and of what it wrote; as long as all of them are the same, the stage is not run again.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.files import digest, file_digest, write


@dataclass(frozen=True, slots=True)
class Job:
    """What a stage is given: its run's folder, what the run was started with, its own settings, and a way to report.

    `report(fraction, facts)`: how far it is, 0 to 1, and what people should know, as texts.
    """

    folder: Path
    inputs: Mapping[str, Any]
    settings: Mapping[str, Any]
    report: Callable[[float, Mapping[str, str]], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """`reads` and `writes` are paths below the run folder; `run` returns what people should know of its end.

    `limit_s`: how long it may take where that is more than runs are given. `elsewhere`: what it makes lies outside the run
    folder, where no receipt can vouch for it, so the stage looks itself whether there is anything left to do.
    """

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    run: Callable[[Job], Mapping[str, str]]
    limit_s: float = 0.0
    elsewhere: bool = False


def perform(stage: Stage, job: Job) -> Mapping[str, str]:
    """Run a stage unless its receipt says that it is done; return its facts."""
    if stage.elsewhere:
        return stage.run(job)
    given = _given(stage, job)
    receipt = job.folder / "receipts" / f"{stage.name}.json"
    if (earlier := _read(receipt)) and earlier["given"] == given and earlier["made"] == _digests(stage.writes, job.folder):
        facts: Mapping[str, str] = earlier["facts"]
        return facts
    facts = stage.run(job)
    record = {"given": given, "made": _digests(stage.writes, job.folder), "facts": dict(facts)}
    write(receipt, json.dumps(record, indent=1))
    return facts


def _given(stage: Stage, job: Job) -> dict[str, Any]:
    settings = digest(json.dumps([dict(job.settings), dict(job.inputs)], sort_keys=True).encode())
    return {"stage": stage.name, "settings": settings, "files": _digests(stage.reads, job.folder)}


def _digests(paths: tuple[str, ...], folder: Path) -> dict[str, str]:
    return {path: file_digest(folder / path) for path in paths if (folder / path).is_file()}


def _read(receipt: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(receipt.read_bytes())
    except (FileNotFoundError, ValueError):  # a damaged receipt is as good as none
        return None
    return record if isinstance(record, dict) and record.keys() >= {"given", "made", "facts"} else None
