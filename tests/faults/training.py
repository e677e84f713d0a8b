"""Kill -9 at every write and step of a training, and compare its files with those of an undisturbed one.

    python -m tests.faults.training [--every N]

An attempt, in a fork, trains an adapter onto the small practice model; it counts points: before each file takes its place
and after, before each folder does and after, before each fsync and after, before each step and after. A round kills an
attempt at its n-th point, every third one a second attempt at another; the next attempt ends it. Rounds go on until an
attempt is over before its n-th point. Then adapter, metrics, scores, picture and plan are to be those of a training that
nobody killed, bit for bit but for how long it took.

Prints one JSON object: rounds, points, and each difference found.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers  # noqa: F401  # what takes its time is imported before the forks

from pipeline import files
from pipeline.stage import Job
from pipeline.stages import train
from pipeline.training import checkpoints, loop, torch_learner
from tests.faults.journal import Points as Writes
from tests.faults.journal import die, ended, forked
from tests.pipeline.generating.mixing_folder import held, many
from tests.pipeline.training import training_folder

STEPS = 6
LASTS = ("seconds",)  # what differs each time


class Points(Writes):
    """Counts writes, renames and steps."""

    def __init__(self, at: int) -> None:
        super().__init__(at, die)

    def replace(self, source: Any, target: Any) -> None:
        self._around(os.replace, source, target)

    def rename(self, source: Any, target: Any) -> None:
        self._around(os.rename, source, target)

    def _around(self, work: Any, *given: Any) -> Any:
        self.point()
        done = work(*given)
        self.point()
        return done

    def watch(self) -> None:
        files.os = checkpoints.os = self  # type: ignore[assignment]  # it stands in for the module
        real = torch_learner.TorchLearner.learn
        torch_learner.TorchLearner.learn = lambda one, *given: self._around(real, one, *given)  # type: ignore[method-assign]


def attempt(job: Job, at: int) -> int:
    points = Points(at)
    points.watch()
    train.train(job)
    return points.count


def tried(job: Job, at: int) -> int:
    """An attempt in a fork: its points, or -1 if it was killed."""
    count = job.folder / "count"
    done = ended(forked(lambda: count.write_text(str(attempt(job, at)), encoding="utf-8") and None))
    return int(count.read_text(encoding="utf-8")) if done else -1


def outcome(folder: Path) -> dict[str, Any]:
    """What a training leaves, without how long it took."""
    plan = json.loads((folder / "plan.json").read_bytes())
    plan["fits"] = plan["fits"]["micro_tokens"]  # the rest is what the machine can at that minute
    found: dict[str, Any] = {"plan.json": {name: one for name, one in plan.items() if name not in LASTS}}
    for name in (loop.METRICS, loop.HELD):
        lines = [json.loads(line) for line in (folder / name).read_text(encoding="ascii").splitlines()]
        found[name] = [{key: one for key, one in line.items() if key not in LASTS} for line in lines]
    kept = [*(folder / "adapter").iterdir(), folder / "curves.png"]
    return found | {path.name: path.read_bytes() for path in kept}


def rounds(base: Path, every: int) -> dict[str, Any]:
    torch.set_num_threads(1)  # a fork has no others
    job = training_folder.job(base, many(24), held(44), steps=STEPS, checkpoints=3)
    made = job.folder / "train"

    def round(*at: int) -> tuple[dict[str, Any], int]:
        shutil.rmtree(made, ignore_errors=True)
        first = tried(job, at[0]) if at else tried(job, 0)
        for point in (*at[1:], 0) if first < 0 else ():
            if tried(job, point) >= 0:
                break
        return outcome(made), first

    whole, points = round()
    found: dict[str, Any] = {"rounds": 0, "points": points, "differences": []}
    at, first = 1, -1
    while first < 0:
        again = [at * 7919 % points + 1] if found["rounds"] % 3 == 2 else []
        one, first = round(at, *again)
        name = f"killed at {' and '.join(map(str, (at, *again)))}"
        found["differences"] += [
            f"{name}: {path} differs" for path in whole.keys() | one.keys() if whole.get(path) != one.get(path)
        ]
        found["rounds"], at = found["rounds"] + 1, at + every
    return found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--every", type=int, default=1, help="try every N-th point only")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="labbot-training-") as base:
        found = rounds(Path(base), given.every)
    print(json.dumps(found, indent=1))
    return 1 if found["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
