"""What the shell reads for the core of a run that trains: its curve, its scores, its files, its adapter.

All of it is read anew each time, and from the run's folder alone. What is not there, or was written by another version, is
as good as nothing.
"""

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.core.trained import Adapter, By, Curve, Exported, Scores, Seed

log = logging.getLogger("labbot")

PLAN, METRICS, HELD, PICTURE = "train/plan.json", "train/metrics.jsonl", "train/held.jsonl", "train/curves.png"
SCORES, EXPORT = "scores.json", "export"
ADAPTER, PEFT = f"{EXPORT}/adapter.gguf", f"{EXPORT}/adapter"  # as our server loads it, and as vLLM does
THERE = f"{PEFT}/adapter_config.json"  # small, and written with the others
WEIGHTS = f"{PEFT}/adapter_model.safetensors"
DRAWN = 400  # steps of a curve that are read; more are no finer drawing
LOG_BYTES = 4_000_000  # of metrics.jsonl that are read, from its end
TELLING: tuple[Callable[[Mapping[str, Any]], bool], ...] = (  # which example is shown: what shows most
    lambda one: bool(one.get("right_after") and not one.get("right_before")),
    lambda one: one.get("preferred") == 1,
    lambda one: bool(one.get("right_after")),
    lambda one: True,
)


def curve(folder: Path) -> Curve:
    """How the training in a run's folder goes."""
    path = folder / PICTURE
    losses = _numbers(folder / METRICS)
    some = [losses[at * len(losses) // DRAWN] for at in range(DRAWN)] if len(losses) > DRAWN else losses
    if not path.is_file():
        return Curve(losses=tuple(some), held=tuple(_numbers(folder / HELD)))
    found = path.stat()
    return Curve(PICTURE, f"{found.st_mtime_ns:x}", str(path), tuple(some), tuple(_numbers(folder / HELD)))


def _numbers(path: Path) -> list[float]:
    """The losses in a log of steps or checkpoints, without those that are no number."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_BYTES))
        lines = file.read().split(b"\n")
    return [loss for line in lines if (loss := _loss(line)) is not None]


def _loss(line: bytes) -> float | None:
    try:
        found = json.loads(line)["loss"]
    except (ValueError, KeyError, TypeError):  # the last line may be half written, the first half read
        return None
    return float(found) if isinstance(found, int | float) and math.isfinite(found) else None


def scores(folder: Path) -> Scores:
    """How base and tuned model compare in a run's folder."""
    found = _read(folder / SCORES)
    if found is None:
        return Scores()
    try:
        return _scores(found)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        log.warning("%s cannot be read: %r", folder / SCORES, error)
        return Scores()


def _scores(found: Mapping[str, Any]) -> Scores:
    kept, rows = found["forgetting"], found["examples"]
    shown = next((one for fits in TELLING for one in rows if fits(one)), None)
    return replace(
        _compared(found["unseen"]) if found["unseen"] else Scores(),
        shared=bool(found["choosing"].get("shared_with_test")),
        kept=(float(kept["before"]["share"]), float(kept["after"]["share"])) if kept else None,
        lost=bool(kept) and kept["verdict"] == "lost",
        example=_seed(shown) if shown else None,
        seeds=tuple(_seed(one) for one in found["seeds"]),
    )


def _compared(unseen: Mapping[str, Any]) -> Scores:
    """What the questions say that neither model had seen."""
    by: By = unseen["by"]
    before, after = unseen["before"], unseen["after"]
    match by:
        case "judge":
            told = unseen["pairwise"]
            counts = told["before"], told["after"]
        case "f1":
            told, counts = _f1(after), (before["f1"], after["f1"])
        case "exact":
            told, counts = after, (before["right"], after["right"])
        case _:
            raise ValueError(f"compared by {by!r}")
    return Scores(
        asked=int(unseen["asked"]),
        by=by,
        before=float(counts[0]),
        after=float(counts[1]),
        same=int(told.get("same", 0)),
        share=float(told["share"]),
        low=float(told["low"]),
        high=float(told["high"]),
        verdict=str(unseen.get("withheld") or unseen["verdict"]),
    )


def _f1(side: Mapping[str, Any]) -> dict[str, Any]:
    return {"share": side["f1"], "low": side["f1_low"], "high": side["f1_high"]}


def _seed(one: Mapping[str, Any]) -> Seed:
    question, before, after, wanted = (str(one[name]) for name in ("question", "before", "after", "wanted"))
    return Seed(question, before, after, wanted, bool(one.get("held")))


def exported(folder: Path) -> Exported:
    """The files that a run hands out, the adapter's first."""
    place = folder / EXPORT
    try:
        paths = [one for one in sorted(place.rglob("*")) if one.is_file() and not one.name.startswith(".")]
        order = sorted(paths, key=lambda one: (one != folder / ADAPTER, one.suffix != ".gguf"))
        sizes = tuple((one.relative_to(folder).as_posix(), one.stat().st_size) for one in order)
    except OSError:  # they are being exported anew
        return Exported()
    return Exported(sizes, str(folder)) if sizes else Exported()


def adapter(folder: Path) -> Adapter:
    """The adapter of a run, and the base that it was trained on."""
    plan = _read(folder / PLAN) or {}
    base = plan.get("base")
    name = str(base.get("name", "")) if isinstance(base, dict) else ""
    return Adapter((folder / THERE).is_file(), name)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
