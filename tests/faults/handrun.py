"""Kill `labpipe run` at every write of a run by hand and start it again: no record is lost, doubled or changed.

    python -m tests.faults.handrun [--every N]

A recipe of two stages: the first makes 20 records in two logs, one by one and in groups, and an artefact; the second
reads that and makes another. Points are counted before each write, in the middle of its bytes, after it and after each
fsync, and around each rename: those of logs, artefacts, receipts and of the run's own file. For every point a run is
killed there and started again by the same words, with all that the command line does; for every third one the second
attempt is killed as well. At the end a further start must find everything done and write nothing.

Prints one JSON object: rounds, points, and each difference found.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import __main__ as labpipe
from pipeline import files, journal, recipe
from pipeline.journal import Journal, read
from pipeline.stage import Job, Stage
from tests.faults.journal import GROUP, LOGS, Points, die, ended, forked, lost, record, written

RECORDS = 10  # in each log
ROLL_BYTES = 700
HOME = Path(__file__).resolve().parent.parent.parent


class Writes(Points):
    """As for logs, and renames too."""

    def replace(self, source: str, target: Path) -> None:
        self.point()
        os.replace(source, target)
        self.point()


class Attempt:
    """One start of the command, `number` in line: what it makes says so, as no two answers of a model are the same."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.stages = (
            Stage("make", (), ("made.json",), self.make),
            Stage("sum", ("made.json",), ("sum.json",), self.sum),
        )

    def make(self, job: Job) -> Mapping[str, str]:
        folder, fence = job.folder, job.fence or journal.last_fence(job.folder / "log")
        logs = {name: Journal(folder / "log" / name, fence, roll_bytes=ROLL_BYTES) for name in LOGS}
        for number in range(RECORDS):
            self.keep(job, logs, "answers", [number])
            if number % GROUP == GROUP - 1 or number == RECORDS - 1:
                self.keep(job, logs, "votes", list(range(number - number % GROUP, number + 1)))
            job.report(number / RECORDS, {"made": str(number)})
        whole = {name: dict(log.records()) for name, log in logs.items()}
        for log in logs.values():
            log.close()
        files.write(folder / "made.json", json.dumps(whole))
        return {"made": str(2 * RECORDS)}

    def keep(self, job: Job, logs: Mapping[str, Journal], name: str, numbers: list[int]) -> None:
        log = logs[name]
        missing = [number for number in numbers if f"{name}.{number}" not in log]
        log.append_all([(f"{name}.{number}", record(name, number, self.number)) for number in missing])
        with (job.folder / f"acknowledged-{self.number}").open("a", encoding="utf-8") as noted:
            noted.writelines(json.dumps([name, f"{name}.{n}", log[f"{name}.{n}"]]) + "\n" for n in missing)

    def sum(self, job: Job) -> Mapping[str, str]:
        made = json.loads((job.folder / "made.json").read_bytes())
        files.write(job.folder / "sum.json", json.dumps({name: len(rows) for name, rows in made.items()}))
        return {}


def tried(folder: Path, number: int, at: int = 0) -> int:
    """Start the command in a fork: how many points it passed, or -1 if it was killed."""
    count = folder.with_suffix(".count")

    def work() -> None:
        points = Writes(at, die)
        journal.os = files.os = points  # type: ignore[assignment]  # it stands in for the module
        recipe.RECIPES["hand"] = Attempt(number).stages
        said = folder.with_suffix(f".{number}.said")
        with said.open("w", encoding="utf-8") as out, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            status = labpipe.main(["run", "hand", "--folder", str(folder), "--set", "name=x"])
        if status:
            raise SystemExit(said.read_text(encoding="utf-8"))
        count.write_text(str(points.count), encoding="utf-8")

    return int(count.read_text(encoding="utf-8")) if ended(forked(work)) else -1


def differences(folder: Path) -> list[str]:
    found: list[str] = []
    kept: dict[str, dict[str, Any]] = {name: dict(read(folder / "log" / name).records()) for name in LOGS}
    for name, records in kept.items():
        wanted = {f"{name}.{number}": number for number in range(RECORDS)}
        if records.keys() != wanted.keys():
            found.append(f"{name} has {sorted(records)}")
        found += [f"{id} was changed: {one}" for id, one in records.items() if one != record(name, wanted[id], one["by"])]
        if sorted(written(folder / "log" / name)) != sorted(wanted):
            found.append(f"{name} has records twice in its segments")
    if json.loads((folder / "made.json").read_bytes()) != kept:
        found.append("the artefact is not what the logs hold")
    if json.loads((folder / "sum.json").read_bytes()) != {name: RECORDS for name in LOGS}:
        found.append("the second stage's artefact is wrong")
    if parts := [path.name for path in folder.rglob(".*") if path.is_file()]:
        print(f"{folder.name}: a killed write left {parts}", file=sys.stderr)  # temporary files, which no reader looks at
    return found + lost(folder, kept)


def state(folder: Path) -> dict[str, bytes]:
    """Every file but what each start writes anew."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def killed(folder: Path, at: int, points: int) -> list[str]:
    """A run that is killed at a point, and at every third one killed again at some other; what is wrong with its end."""
    starts = [at, at * 7919 % points + 1] if at % 3 == 0 else [at]
    number = 1
    while starts and tried(folder, number, starts.pop(0)) < 0:
        number += 1
    if tried(folder, number + 1) < 0:
        return ["a start that nobody killed was killed"]
    found, before = differences(folder), state(folder)
    tried(folder, number + 2)
    changed = {name for name, content in state(folder).items() if before.get(name) != content}
    return found + [f"a run that was done was performed again: {sorted(changed)}"] * bool(changed)


def rounds(every: int, base: Path) -> dict[str, Any]:
    points = tried(base / "whole", 1)
    found = differences(base / "whole")
    done = 1
    for at in range(1, points + 1, every):
        found += [f"killed at {at}: {one}" for one in killed(base / f"killed-{at}", at, points)]
        done += 1
    return {"rounds": done, "points": points, "differences": found}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--every", type=int, default=1, help="try every N-th point only")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="labbot-hand-") as base:
        os.environ.update(LABBOT_HOME=str(HOME), LABBOT_DATA=base)
        found = rounds(given.every, Path(base))
    print(json.dumps(found, indent=1))
    return 1 if found["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
