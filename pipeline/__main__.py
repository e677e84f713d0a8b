"""`labpipe`: the work behind the door, by hand."""

import argparse
import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import Failed, Invalid, LabError
from pipeline.stage import Job, perform


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="labpipe", description="The work behind labbot's door, by hand.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="carry a run: a JSON line a step; finished stages are skipped")
    run.add_argument("folder", type=Path, help="the run's folder, with its run.json")
    check = commands.add_parser("check", help="say what upstream's checks would say of files and trees, all at once, in words")
    check.add_argument("--mode", choices=("ci", "ilab"), default="ci", help="as a pull request's check, or as ilab: strict")
    check.add_argument("--format", choices=("text", "json", "github"), default="text", help="github: for a workflow's log")
    check.add_argument("--watch", action="store_true", help="judge again whenever a file changes, until Ctrl-C; as text only")
    check.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a qna.yaml, or a folder of entries")
    given = parser.parse_args(words)
    if given.command == "run":
        return run_folder(given.folder)
    if given.watch and given.format != "text":
        check.error(f"--watch says what it finds as text, not as {given.format}; leave one of the two out")
    return check_by_hand(given)


def check_by_hand(given: argparse.Namespace) -> int:
    """Check files and trees, once or at every change. 2: the system cannot watch them."""
    from pipeline import checking  # its libraries take 0.1 s, which a run need not wait for

    if not given.watch:
        return checking.run(given.paths, given.mode, given.format, print)
    try:
        return checking.watch(given.paths, given.mode, partial(print, flush=True))
    except OSError as error:
        print(f"These files cannot be watched: {error}. Leave --watch out.", file=sys.stderr)
        return 2


def run_folder(folder: Path) -> int:
    """Perform the stages of a run in order. 0: done; 1: refused or failed, with the cause as the last line's fact."""
    from pipeline import recipe

    try:
        name, until, inputs, settings = _read(folder)
        for stage in recipe.stages(name, until):
            _say(stage.name, 0.0, {"stage": stage.name})
            job = Job(folder, inputs, settings.get(stage.name, {}), lambda fraction, facts: _say("", fraction, facts))
            _say(stage.name, 1.0, perform(stage, job))
    except (LabError, OSError) as error:
        print(error, file=sys.stderr)
        _say("", 0.0, {**_told(error), "cause": str(error), "by": type(error).__name__})
        return 1
    return 0


def _told(error: Exception) -> Mapping[str, str]:
    """The code and the facts of the first problem, by which the bot says it in the person's language."""
    return {**error.problems[0].facts, "code": error.problems[0].code} if isinstance(error, Invalid) else {}


def _read(folder: Path) -> tuple[str, str | None, Mapping[str, Any], Mapping[str, Any]]:
    try:
        run = json.loads((folder / "run.json").read_bytes())
        return str(run["recipe"]), run["until"], dict(run["inputs"]), dict(run["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failed(f"{folder} is no run folder: {error}") from error


def _say(stage: str, fraction: float, facts: Mapping[str, str]) -> None:
    print(json.dumps({"stage": stage, "fraction": fraction, "facts": dict(facts)}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
