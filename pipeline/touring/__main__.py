"""`make tour`, or `python -m pipeline.touring`: the whole of labbot in one go. See tour.py.

0: all goals are met; 1: some were missed, or a step failed, said plainly; 2: it could not begin; 130: stopped by Ctrl-C.
"""

import argparse
import os
import re
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from pipeline import places
from pipeline.errors import Invalid, LabError, Problem
from pipeline.files import taken
from pipeline.touring import telling, tour
from pipeline.touring.figures import misses
from pipeline.touring.page import Page

NAME = "tour"  # of the folder below LABBOT_DATA, and the beginning of each tour's


def main(words: Sequence[str], environment: Mapping[str, str]) -> int:
    given = _parser().parse_args(words)
    folder = (given.data or places.data(environment) / NAME).absolute()
    signal.signal(signal.SIGTERM, _leave)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with (folder / "lock").open("a") as lock:
            if not taken(lock):
                fix = "Wait for it, or give this one a folder of its own with --data."
                raise Invalid(Problem("tour.taken", "another tour is under way", str(folder), fix))
            return _take(given, folder)
    except (KeyboardInterrupt, SystemExit):
        print("\nStopped. The practice model is kept for the next tour.", file=sys.stderr)
        return 130
    except (LabError, OSError) as error:
        print(f"\nThe tour ends here: {error}", file=sys.stderr)
        return 2 if isinstance(error, Invalid) else 1


def _take(given: argparse.Namespace, folder: Path) -> int:
    before = sorted(filter(_is_ours, folder.glob(f"{NAME}-*")), key=_number)
    place = folder / f"{NAME}-{_number(before[-1]) + 1 if before else 1}"
    if not given.keep:
        for path in before:
            shutil.rmtree(path)
    page = Page.of_terminal()
    telling.beginning(page, place, given.seed)
    found, run = tour.take(tour.Wanted(place, folder / "models", given.seed, given.controls), page)
    missed = misses(found)
    telling.ended(page, found, missed, place, run)
    return 1 if missed else 0


def _is_ours(path: Path) -> bool:
    """Whether it is an earlier tour's: --data may name a folder that has others in it."""
    return re.fullmatch(rf"{NAME}-\d+", path.name) is not None and (path / tour.LOG).is_file()


def _number(path: Path) -> int:
    number = path.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make tour", description="The whole of labbot in one go, on this machine alone; every figure is measured."
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="where its files go (LABBOT_DATA/tour)")
    parser.add_argument("--keep", action="store_true", help="leave the files of earlier tours where they are")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another practice model, teacher and training")
    parser.add_argument("--controls", action="store_true", help="train once more on shuffled answers, which must teach nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
