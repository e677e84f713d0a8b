"""A stage of a recipe, and the receipt that makes a second run of it free.

A stage reads files of the run folder and writes others. When it is done, `receipts/NAME.json` records the digests of
its settings, of what it read and of what it wrote; as long as all of them are the same, the stage is not run again.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline.files import digest, file_digest, write
from pipeline.journal import Journal, last_fence

Lane = Literal["cpu", "gpu"]


@dataclass(frozen=True, slots=True)
class Job:
    """What a stage is given: its run's folder, what the run was started with, its own settings, and a way to report.

    `report(fraction, facts)`: how far it is, 0 to 1, and what people should know, as texts. `fence` is the number of the
    attempt, which rises with every one; 0 where a run is performed by hand. `thumbs()`: what people think of samples by now,
    "up" or "down" by the sample's id; it changes while the stage is performed. `account`: whom the stage acts for on GitHub,
    with the token sealed as `github.accounts` keeps it; nothing where they have linked none.
    """

    folder: Path
    inputs: Mapping[str, Any]
    settings: Mapping[str, Any]
    report: Callable[[float, Mapping[str, str]], None]
    fence: int = 0
    thumbs: Callable[[], Mapping[str, str]] = dict
    account: Mapping[str, str] = field(default_factory=dict)

    def journal(self, name: str) -> Journal:
        """The log of that name, for this attempt to go on with; what earlier ones acknowledged is in it.

        Raises Failed where a later attempt has begun, or the log is damaged.
        """
        assert name == Path(name).name, name
        folder = self.folder / "log" / name
        return Journal(folder, self.fence or last_fence(folder))


@dataclass(frozen=True, slots=True)
class Stage:
    """`reads` and `writes` are paths below the run folder; a folder stands for all files in it. `run` returns what people

    should know of its end. `adds`: files that several stages write in turn, so that no receipt can vouch for them.
    `limit_s`: how long it may take where that is more than runs are given. `elsewhere`: what it makes lies outside the run
    folder, where no receipt can vouch for it, so the stage looks itself whether there is anything left to do. `lane`: the
    workers that perform it. `takes`: the inputs that it reads, by name; None for all of them. `alone`: asked for by name
    it runs with whatever the stages before it have made, and does not have them run first. `saves`: told to end it saves
    something, and is given longer for it. `goes_on`: what it goes on with there beside its logs, which nobody vouches for.
    `keys`: it speaks to models, and is given their keys. `secrets`: further variables that it alone is given. `account`: it
    is given the GitHub account of whoever the run belongs to.
    """

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    run: Callable[[Job], Mapping[str, str]]
    limit_s: float = 0.0
    elsewhere: bool = False
    lane: Lane = "cpu"
    takes: tuple[str, ...] | None = None
    alone: bool = False
    saves: bool = False
    keys: bool = False
    adds: tuple[str, ...] = ()
    goes_on: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    account: bool = False


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
    inputs = {name: value for name, value in job.inputs.items() if stage.takes is None or name in stage.takes}
    settings = digest(json.dumps([dict(job.settings), inputs], sort_keys=True).encode())
    return {"stage": stage.name, "settings": settings, "files": _digests(stage.reads, job.folder)}


def _digests(paths: tuple[str, ...], folder: Path) -> dict[str, str]:
    names = [name for path in paths for name in _names(folder, path)]
    return {name: file_digest(folder / name) for name in names}


def _names(folder: Path, path: str) -> list[str]:
    """The file at a path, or those below a folder, but for what a write that was killed left: its name begins with a dot."""
    found = sorted((folder / path).rglob("*")) if (folder / path).is_dir() else [folder / path]
    return [one.relative_to(folder).as_posix() for one in found if one.is_file() and not one.name.startswith(".")]


def _read(receipt: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(receipt.read_bytes())
    except (FileNotFoundError, ValueError):  # a damaged receipt is as good as none
        return None
    return record if isinstance(record, dict) and record.keys() >= {"given", "made", "facts"} else None
