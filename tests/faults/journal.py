"""Kill -9 at every write of a stage's logs, and plant late writers: no record is lost, doubled or changed.

    python -m tests.faults.journal [--every N]

A stage makes 40 records in two logs, some one by one and some in groups, in segments that roll, and writes an artefact of
them at its end. It counts points: before each write, in the middle of its bytes, between the write and its fsync, and
after that. For every point there are three rounds, each in forks of this process:

    once    an attempt is killed there; the next one, with the next fence, ends the stage
    twice   the second attempt is killed as well, at some other point; the third ends the stage
    late    an attempt stands still there with its files open and goes on when the next one has begun (and before it makes
            its first record, or beside it, or when it is done): nothing that it writes then may count

Prints one JSON object: rounds, points, and each difference found.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline import files, journal
from pipeline.errors import Failed
from pipeline.journal import Journal, read
from pipeline.stage import Job

LOGS = ("answers", "votes")
RECORDS = 20  # in each of them
GROUP = 4
ROLL_BYTES = 900
LATE = 1000  # added to the fence in what a late writer makes

Act = Callable[[], None]


def nothing() -> None:
    return


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Points:
    """The module `os` for what writes: counts points at each write and fsync, and does `then` at the one it was told."""

    def __init__(self, at: int, then: Act) -> None:
        self.at, self.then, self.count = at, then, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def point(self) -> None:
        self.count += 1
        if self.count == self.at:
            self.then()

    def write(self, handle: int, content: memoryview) -> int:
        self.point()
        half = os.write(handle, content[: len(content) // 2])
        self.point()
        done = half + os.write(handle, content[half:])
        self.point()
        return done

    def fsync(self, handle: int) -> None:
        os.fsync(handle)
        self.point()


class Attempt:
    """One attempt at the stage. Of what was acknowledged it keeps a list of its own, as long as it is not late."""

    def __init__(self, folder: Path, fence: int, *, at: int = 0, then: Act = die, began: Act = nothing) -> None:
        self.job = Job(folder, {}, {}, lambda fraction, facts: None, fence)
        self.points, self.began, self.late = Points(at, then), began, False

    def run(self) -> int:
        """Perform the stage; how many points it passed."""
        journal.os = files.os = self.points  # type: ignore[assignment]  # it stands in for the module
        with self.log("answers") as answers, self.log("votes") as votes:
            self.began()
            for number in range(RECORDS):
                self.keep(answers, "answers", [number])
                if number % GROUP == GROUP - 1:
                    self.keep(votes, "votes", range(number - GROUP + 1, number + 1))
                    votes.roll()
            whole = {"answers": dict(answers.records()), "votes": dict(votes.records())}
        if not self.late:  # an artefact has no fence: its receipt vouches for it
            files.write(self.job.folder / "precheck.json", json.dumps(whole))
        return self.points.count

    def log(self, name: str) -> Journal:
        """As `Job.journal`, in small segments."""
        return Journal(self.job.folder / "log" / name, self.job.fence, roll_bytes=ROLL_BYTES)

    def keep(self, log: Journal, name: str, numbers: Any) -> None:
        missing = [number for number in numbers if f"{name}.{number}" not in log]
        log.append_all([(f"{name}.{number}", record(name, number, self.who)) for number in missing])
        if not self.late:
            with (self.job.folder / f"acknowledged-{self.job.fence}").open("a", encoding="utf-8") as noted:
                noted.writelines(json.dumps([name, f"{name}.{n}", log[f"{name}.{n}"]]) + "\n" for n in missing)

    @property
    def who(self) -> int:
        return self.job.fence + LATE * self.late


def record(log: str, number: int, by: int) -> dict[str, Any]:
    """What is made of a record: of many sizes, and it says who made it, as no two answers of a model are the same."""
    return {"n": number, "by": by, "text": f"{log} \u2028 ü {'x' * (number * 37 % 260)}"}


def forked(work: Act) -> int:
    """The id of a fork of this process that does the work and ends."""
    if child := os.fork():
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def ended(child: int) -> bool:
    """Wait for a fork; whether it came to its end, and was not killed."""
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("an attempt failed by itself, see above")
    return not os.WIFSIGNALED(status)


def tried(folder: Path, fence: int, at: int = 0, began: Act = nothing) -> int:
    """Run an attempt in a fork: how many points it passed, or -1 if it was killed."""
    count = folder / "count"
    done = ended(forked(lambda: files.write(count, str(Attempt(folder, fence, at=at, began=began).run())) or None))
    return int(count.read_text(encoding="utf-8")) if done else -1


def once(folder: Path, at: int, points: int) -> None:
    if tried(folder, 1, at) < 0:
        tried(folder, 2)


def twice(folder: Path, at: int, points: int) -> None:
    tried(folder, 1, at)
    if tried(folder, 3, at * 7919 % points + 1) < 0:
        tried(folder, 4)


def late(folder: Path, at: int, points: int) -> None:
    (there, tell), (wait, wake), (over, end) = os.pipe(), os.pipe(), os.pipe()

    def stand() -> None:
        os.write(tell, b"x")
        os.read(wait, 1)
        attempt.late = True

    def work() -> None:
        try:
            attempt.run()
        except Failed as refused:
            if not (attempt.late and "is over" in str(refused)):
                raise

    attempt = Attempt(folder, 1, at=at, then=stand)
    child = forked(work)
    os.close(tell)
    os.close(end)  # only the late writer has it now: its end can be read at the other
    os.read(there, 1)

    def go_on() -> None:
        os.write(wake, b"x")

    def go_on_to_the_end() -> None:
        go_on()
        os.read(over, 1)

    tried(folder, 2, began=(go_on_to_the_end, go_on, nothing)[at % 3])
    go_on()
    ended(child)
    for handle in (there, wait, wake, over):
        os.close(handle)


def differences(folder: Path, *, planted: bool) -> list[str]:
    """What is wrong with what the attempts left. `planted`: a late writer's lines are in the files."""
    found: list[str] = []
    kept = {name: dict(read(folder / "log" / name).records()) for name in LOGS}
    for name, records in kept.items():
        wanted = {f"{name}.{number}": number for number in range(RECORDS)}
        if records.keys() != wanted.keys():
            found.append(f"{name} has {sorted(records)}")
        found += [f"{id} was changed: {one}" for id, one in records.items() if one != record(name, wanted[id], one["by"])]
        found += [f"{id} is a late writer's" for id, one in records.items() if one["by"] >= LATE]
        if not planted and sorted(written(folder / "log" / name)) != sorted(wanted):
            found.append(f"{name} has records twice in its segments")
    if json.loads((folder / "precheck.json").read_bytes()) != kept:
        found.append("the artefact is not what the logs hold")
    return found + lost(folder, kept)


def written(log: Path) -> list[str]:
    """The id of every whole line of all segments."""
    lines = [line for path in log.iterdir() for line in path.read_bytes().split(b"\n")[:-1]]
    return [found["id"] for found in map(json.loads, lines) if "id" in found]


def lost(folder: Path, kept: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Records that were acknowledged and are not there as they were."""
    lines = [line for path in folder.glob("acknowledged-*") for line in path.read_bytes().split(b"\n")[:-1]]
    notes = [json.loads(line) for line in lines]
    return [f"{id} was kept as {one} and is {kept[name].get(id)}" for name, id, one in notes if kept[name].get(id) != one]


def rounds(every: int, base: Path) -> dict[str, Any]:
    whole = base / "whole"
    whole.mkdir()
    points = tried(whole, 1)
    found = differences(whole, planted=False)
    done = 1
    for at in range(1, points + 1, every):
        for kind in (once, twice, late):
            folder = base / f"{kind.__name__}-{at}"
            folder.mkdir()
            kind(folder, at, points)
            found += [f"{kind.__name__} at {at}: {one}" for one in differences(folder, planted=kind is late)]
            done += 1
    return {"rounds": done, "points": points, "differences": found}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--every", type=int, default=1, help="try every N-th point only")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="labbot-journal-") as base:
        found = rounds(given.every, Path(base))
    print(json.dumps(found, indent=1))
    return 1 if found["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
