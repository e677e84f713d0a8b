"""Performs a stage of a run in this process, and says how it goes: a JSON line a step on standard output.

`labpipe stage` is a worker's child. The worker's first line on standard input says with which settings, at which attempt
and within how much memory; every later one says that the worker is there, and, as JSON, what people think of samples
where that is new. Without one for a lease, or when the input ends, the process ends its whole group: the run is somebody
else's by then.
"""

import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline import recipe
from pipeline.errors import Failed, Invalid, LabError, Problem, Temporary, out_of_memory, plain
from pipeline.files import taken
from pipeline.pool import layout
from pipeline.stage import Job, Stage, perform

MARGIN = 0.9  # of a lease: a child is gone before its lease has run out for others
GIB = 2**30


def stage(folder: Path, name: str, *, fed: bool) -> int:
    """Perform one stage. 0: done; 1: refused or failed, with the cause as the last line's fact."""
    given: Mapping[str, Any] = {}
    if fed:
        line = _first_line()
        if not line:
            return 1  # the worker ended before it said anything
        given = json.loads(line)
    fed_with = Feed(given.get("thumbs", {}))
    if fed:
        threading.Thread(target=fed_with.watch, args=(float(given["lease_s"]) * MARGIN,), daemon=True).start()
    signal.signal(signal.SIGTERM, _leave)
    memory_bytes = int(given.get("memory_bytes", 0))
    _limit(memory_bytes)
    try:
        begun = layout.read(folder)
        found = {one.name: one for one in recipe.every(begun.recipe)}
        if name not in found:
            raise Failed(f"recipe {begun.recipe} has no stage {name!r}: this labbot may be of another version")
        account = given.get("account", {})
        settings = {**begun.settings.get(name, {}), **given.get("settings", {})}
        job = Job(folder, begun.inputs, settings, _report, int(given.get("fence", 0)), fed_with.thumbs, account)
        _perform(found[name], job)
    except Exception as error:  # whatever it is, the last line says it
        _say("", 0.0, _told(error, memory_bytes))
        if isinstance(error, LabError | OSError):
            _aside(error)
        else:
            traceback.print_exc()
        return 1
    finally:
        if fed:
            _end_rest()
    return 0


def by_hand(folder: Path, until: str | None, pauses_s: Sequence[float] = ()) -> int:
    """Perform the stages of a run one after the other, with no Redis and no worker. Finished ones are free.

    What may pass is tried again after each of the pauses. What somebody thinks of samples may lie in `thumbs.json`, "up" or
    "down" by the sample's id; it is read anew whenever a stage asks.
    """
    signal.signal(signal.SIGTERM, _leave)
    try:
        begun = layout.read(folder)
        with (folder / "lock").open("a") as lock:
            if not taken(lock):
                raise Failed(f"another process works on {folder}: wait for it, or end it")
            for one in recipe.stages(begun.recipe, until):
                _insist(one, folder, begun, pauses_s)
    except (LabError, OSError) as error:
        _aside(error)
        _say("", 0.0, _told(error, 0))
        return 1
    return 0


def _insist(stage: Stage, folder: Path, begun: layout.Begun, pauses_s: Sequence[float]) -> None:
    for pause_s in (*pauses_s, None):
        try:
            settings = begun.settings.get(stage.name, {})
            return _perform(stage, Job(folder, begun.inputs, settings, _report, thumbs=partial(_thumbs, folder)))
        except Temporary as error:
            if pause_s is None:
                raise
            _say("", 0.0, {"again": str(error), "pause_s": f"{pause_s:.0f}"})
            time.sleep(pause_s)


def _perform(stage: Stage, job: Job) -> None:
    _say(stage.name, 0.0, {"stage": stage.name})
    _say(stage.name, 1.0, perform(stage, job))


def _report(fraction: float, facts: Mapping[str, str]) -> None:
    _say("", fraction, facts)


def _thumbs(folder: Path) -> Mapping[str, str]:
    try:
        found = json.loads((folder / "thumbs.json").read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Invalid(Problem("thumbs.unreadable", str(error), str(folder / "thumbs.json"))) from None
    if not isinstance(found, dict) or not all(one in ("up", "down") for one in found.values()):
        fix = 'Write it like {"3f2a": "up", "77b0": "down"}.'
        raise Invalid(Problem("thumbs.unreadable", "these are no thumbs", str(folder / "thumbs.json"), fix))
    return found


def _say(stage: str, fraction: float, facts: Mapping[str, str]) -> None:
    print(json.dumps({"stage": stage, "fraction": fraction, "facts": dict(facts)}), flush=True)


def _aside(error: BaseException) -> None:
    """Say what went wrong to whoever looks on: no terminal is to take a model's text in it for a command."""
    print("\n".join(map(plain, str(error).split("\n"))), file=sys.stderr)


def _told(error: BaseException, memory_bytes: int) -> Mapping[str, str]:
    """What went wrong, as facts. The code and the facts of the first problem let the bot say it in the person's language."""
    if out_of_memory(error):
        room = f"the {memory_bytes / GIB:.1f} GiB that a run may take (runs.memory_gib)" if memory_bytes else "there is here"
        return {"cause": f"it needed more memory than {room}", "by": "MemoryError", "code": "run.memory"}
    facts = error.facts if isinstance(error, Invalid) else {}
    kind = next((one.__name__ for one in type(error).__mro__ if issubclass(one, LabError)), type(error).__name__)
    return {**facts, "cause": str(error) or kind, "by": kind}


def _limit(memory_bytes: int) -> None:
    """Let the system refuse what is beyond; what shares memory with files, as weights do that are mapped, does not count."""
    if memory_bytes and sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def _leave(number: int, frame: FrameType | None) -> None:
    """End by way of every `finally`: a stage saves what it has, and ends what it started."""
    raise SystemExit(128 + number)


def _end_rest() -> None:
    """Tell what the stage left behind to end. The worker ends it for certain, unless it is killed at this very moment."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)


def _first_line() -> bytes:
    """The first line of standard input, byte by byte: what comes behind it is `_watch`'s."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line if line.endswith(b"\n") else b""


class Feed:
    """What the worker says while the stage is performed; `watch` hears it, in a thread of its own."""

    def __init__(self, thumbs: Mapping[str, str]) -> None:
        self._thumbs = thumbs

    def thumbs(self) -> Mapping[str, str]:
        return self._thumbs

    def watch(self, patience_s: float) -> None:
        """End this process and all it started when its worker is gone, or does not say for so long that it is there."""
        rest = b""
        while select.select([0], [], [], patience_s)[0] and (piece := os.read(0, 4096)):
            *lines, rest = (rest + piece).split(b"\n")
            for line in filter(None, lines):
                with suppress(ValueError, KeyError, TypeError):  # of a worker of another version: it is there all the same
                    self._thumbs = dict(json.loads(line)["thumbs"])
        os.killpg(0, signal.SIGKILL)
