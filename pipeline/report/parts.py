"""What stages add to report.html, each from its own files.

A part is a function here that says in JSON, piece by piece, what it found in the run's folder (nothing: the part is left
out), a section of page.html with its name, and a function of page.js that draws it. Curves of the training and scores of the
evaluation come as parts of their own.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import Failed
from pipeline.generating import rows
from pipeline.generating.rows import Row

YIELD, PLAN = "samples/yield.json", "samples/plan.json"
SCORES, TRAINED, METRICS, CHECKPOINTS = "scores.json", "train/plan.json", "train/metrics.jsonl", "train/held.jsonl"
STEPS = 2_000  # points of a curve: as many as a screen is wide

# A phone holds 10,000 samples and searches them while somebody types; texts of 40 MB load in a second or two.
MOST, MOST_BYTES = 10_000, 40_000_000

# "<" could end the block that the JSON stands in, or begin a comment; halves of surrogate pairs are no UTF-8.
UNSAFE = re.compile("[<\u2028\u2029\ud800-\udfff]")


def said(value: object) -> str:
    """A value as JSON that may stand in a page. Raises ValueError for numbers that JSON has not."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


# --- the funnel


def funnel(folder: Path) -> Iterator[str]:
    """How many came through each step, as the judge has written it down; before it has, as the rows themselves say it."""
    if (folder / YIELD).is_file():
        yield _file(folder / YIELD)
    elif (folder / rows.GENERATED).is_file():
        yield said(_counted(folder))


def _counted(folder: Path) -> dict[str, Any]:
    made, kept, reasons = 0, 0, Counter[str]()
    for row in rows.read(folder / rows.GENERATED):
        made, kept = made + 1, kept + row.kept
        if not row.kept:
            reasons[f"{row.at}:{row.why}"] += 1
    held = {name: {"kept": sum(row.kept for row in rows.read(folder / path))} for name, path in HELD.items()}
    lost = _plan(folder).get("lost") or []
    return {"made": made, "kept": kept, "reasons": dict(reasons), "lost": lost, **held}


def _plan(folder: Path) -> Mapping[str, Any]:
    found = _read(folder / PLAN) if (folder / PLAN).is_file() else {}
    return found if isinstance(found, dict) else {}


# --- the training


def scores(folder: Path) -> Iterator[str]:
    """Base and tuned model compared, as the evaluate stage has written it down."""
    if (folder / SCORES).is_file():
        yield _file(folder / SCORES)


def curves(folder: Path) -> Iterator[str]:
    """The loss of each step, and of each checkpoint on held-out questions: whole, or of a training that is under way.

    Of too many steps several are one point: their mean loss, the tokens and seconds of all of them.
    """
    rows = list(_lines_of(folder / METRICS))
    if not rows:
        return
    several = math.ceil(len(rows) / STEPS)
    points = [_point(rows[at : at + several]) for at in range(0, len(rows), several)]
    plan = _read(folder / TRAINED) if (folder / TRAINED).is_file() else {}
    told = {name: plan[name] for name in ("base", "device", "precision", "best") if name in plan}
    yield said({"steps": len(rows), "points": points, "held": list(_lines_of(folder / CHECKPOINTS)), **told})


def _point(rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Step, loss (none where no step has one), rate, tokens and seconds, in the order that the script reads them in."""
    losses = [row["loss"] for row in rows if row.get("loss") is not None]
    loss = round(sum(losses) / len(losses), 5) if losses else None
    tokens, seconds = (sum(row.get(name) or 0 for row in rows) for name in ("tokens", "seconds"))
    return [rows[-1]["step"], loss, rows[-1].get("rate"), tokens, round(seconds, 4)]


def _lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file that grows: a last line without an end is not there yet. Raises Failed for damage."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                found = json.loads(line) if line.endswith(b"\n") else None
                if found is not None:
                    yield {**found, "step": int(found["step"])}
            except (ValueError, KeyError, TypeError) as error:
                raise Failed(f"{path}, line {number}, is damaged: {error}") from None


# --- the settings


def settings(folder: Path) -> Iterator[str]:
    """The plan as the generate stage has written it down, whatever it says."""
    if (folder / PLAN).is_file():
        yield _file(folder / PLAN)


def _file(path: Path) -> str:
    try:
        return said(_read(path))
    except ValueError as error:
        raise Failed(f"{path} is damaged: {error}") from None


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise Failed(f"{path} is damaged: {error}") from None


# --- the samples


HELD = {"unseen": rows.UNSEEN, "reworded": rows.REWORDED}


def samples(folder: Path) -> Iterator[str]:
    """Samples of all sets, kept or not: judged ones, where they are. Of too many, some, evenly from first to last."""
    name = rows.SAMPLES if (folder / rows.SAMPLES).is_file() else rows.GENERATED
    paths = [path for path in (folder / name, *(folder / held for held in HELD.values())) if path.is_file()]
    if not paths:
        return
    total, size = sum(map(_lines, paths)), sum(path.stat().st_size for path in paths)
    shown = min(total, MOST, total * MOST_BYTES // max(1, size))
    yield f'{{"file":{said(name)},"total":{total},"shown":{shown},"rows":['
    texts = dict[str, int]()
    for number, row in enumerate(_spread(paths, total, shown)):
        yield f"{',' if number else ''}\n{said(_told(row, texts))}"
    yield "\n]}"


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _spread(paths: Sequence[Path], total: int, shown: int) -> Iterator[Row]:
    """As many rows as are shown, at even distances."""
    at = 0
    for path in paths:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                at += 1
                if at * shown // total > (at - 1) * shown // total:
                    yield _row(path, number, line)


def _row(path: Path, number: int, line: bytes) -> Row:
    try:
        return rows.parsed(json.loads(line))
    except (ValueError, TypeError) as error:
        raise Failed(f"{path}, line {number}, is no row: {error}") from None


def _told(row: Row, texts: dict[str, int]) -> Mapping[str, Any]:
    """A row without what goes without saying. Many samples have one document: said once, it is a number afterwards.

    `texts`: the digests of those that were said, with their numbers from 0.
    """
    told = {name: value for name, value in asdict(row).items() if value or name == "kept"}
    for name in ("context", "document"):
        if text := told.get(name):
            first = len(texts)
            found = texts.setdefault(files.digest(text.encode("utf-8", "surrogatepass")), first)
            told[name] = text if found == first else found
    return told


PARTS: Mapping[str, Callable[[Path], Iterable[str]]] = {
    "funnel": funnel,
    "scores": scores,
    "curves": curves,
    "settings": settings,
    "samples": samples,
}
