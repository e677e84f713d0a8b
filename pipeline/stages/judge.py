"""The stage that looks at the whole set of samples: which repeat each other, a seed example or the taxonomy, and which come
too near what is held out for the test. No row is left out; one that is dropped says why, and what it is too like.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import Failed, Invalid, Problem
from pipeline.files import write, write_parts
from pipeline.generating import comparing, rows
from pipeline.generating.advice import QUOTED, advised, code
from pipeline.generating.comparing import AT, CHUNK, Known
from pipeline.generating.leaf import leaf
from pipeline.generating.rows import Row
from pipeline.report import page
from pipeline.stage import Job

YIELD, PLAN = "samples/yield.json", "samples/plan.json"
EXAMPLES = 2  # samples of each reason that advice names


def judge(job: Job) -> Mapping[str, str]:
    """Mark the rows, and write samples.jsonl and yield.json.

    Raises Invalid generate.none, with advice, where no sample is left; Failed where a row is damaged.
    """
    plan = _json(job.folder / PLAN)
    source = job.folder / rows.GENERATED
    size = max(1, source.stat().st_size if source.is_file() else 0)
    funnel = Funnel([str(step["name"]) for step in plan.get("recipe", {}).get("steps", ())], lost=plan.get("lost") or [])

    def report(read: int) -> None:
        job.report(min(1.0, read / (2 * size)), {"stage": AT, "made": str(funnel.made), "kept": str(funnel.kept)})

    def lines() -> Iterator[bytes]:
        for one in comparing.marked(source, looked, known):
            funnel.count(one.row, one.alike)
            yield one.line
            if funnel.made % CHUNK == 0:
                report(size + one.end)

    known = _known(job, plan)
    looked = comparing.looked(source, known, report)
    write_parts(job.folder / rows.SAMPLES, lines())
    found = {**funnel.told(), **_held(job.folder, funnel)}
    write(job.folder / YIELD, json.dumps(found, indent=1, allow_nan=False))
    page.write(job.folder)  # also where nothing is left: then people read it most
    if not funnel.kept:
        raise _none(funnel)
    facts = {name: str(found[name]) for name in ("made", "kept", "dropped")}
    held = {"held": str(found["unseen"]["kept"]), "too_near": str(found["unseen"]["too_near"])}
    return {"stage": AT, **facts, **held, "reasons": json.dumps(dict(sorted(funnel.everything().items())))}


def _known(job: Job, plan: Mapping[str, Any]) -> Known:
    """What samples are compared with, as far as it is there."""
    entry = leaf((job.folder / "entry" / "qna.yaml").read_text(encoding="utf-8"), str(plan.get("leaf") or ""), hold_out=False)
    apart = [int(number) for number in plan.get("seeds", {}).get("held", ())]
    return Known.of(entry, apart, job.folder / rows.UNSEEN, str(job.settings.get("taxonomy") or ""))


# --- counting


@dataclass(slots=True)
class Funnel:
    """Counts what became of the rows; `steps` are the recipe's, in order, `lost` the lists without samples (see plan.json)."""

    steps: list[str]
    made: int = 0
    kept: int = 0
    lost: list[dict[str, Any]] = field(default_factory=list)
    nearest: float = 0.0  # how much the kept row that is most like what is held out is like it
    drops: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Row]] = field(default_factory=dict)

    def count(self, row: Row, alike: float) -> None:
        self.made += 1
        if row.kept:
            self.kept += 1
            self.nearest = max(self.nearest, alike)
            return
        self.drops[row.at] += 1
        self.reasons[f"{row.at}:{row.why}"] += 1
        examples = self.examples.setdefault(f"{row.at}:{row.why}", [])
        if len(examples) < EXAMPLES:
            examples.append(row)

    def told(self) -> dict[str, Any]:
        """As it stands in yield.json: at each step how many got through, and how many did not."""
        names = [*dict.fromkeys((*self.steps, *sorted(name for name in self.drops if name != AT))), AT]
        steps, left = list[list[Any]](), self.made
        for name in names:
            left -= self.drops[name]
            steps.append([name, left, self.drops[name]])
        dropped = self.made - self.kept
        return {
            "made": self.made,
            "kept": self.kept,
            "dropped": dropped,
            "steps": steps,
            "reasons": dict(sorted(self.reasons.items())),
            "lost": self.lost,
        }

    def everything(self) -> Counter[str]:
        """What was dropped, samples and lists that led to none, by step and reason."""
        return self.reasons + Counter({f"{one['step']}:{one['why']}": int(one["count"]) for one in self.lost})

    def advice(self) -> list[dict[str, Any]]:
        """What samples and whole lists were lost for, the most frequent first, with examples."""
        found = [advised(row, self.reasons[reason]) for reason in sorted(self.reasons) for row in self.examples[reason]]
        return sorted([*found, *map(_advised_list, self.lost)], key=lambda one: -int(one["count"]))


def _advised_list(one: Mapping[str, Any]) -> dict[str, Any]:
    about = {"code": code(one["step"], one["why"]), "count": one["count"], "step": one["step"]}
    nothing = {"sample": 0, "seed": 0, "of": 0, "question": "", "other": ""}
    return {**about, **nothing, "reason": str(one["wrong"])[:QUOTED]}


def _held(folder: Path, funnel: Funnel) -> dict[str, Any]:
    """What became of the sets that are held out, and how near training comes to the unseen one."""
    told = dict[str, Any]()
    for name, path in (("unseen", rows.UNSEEN), ("reworded", rows.REWORDED)):
        kept = Counter(row.kept for row in rows.read(folder / path))
        told[name] = {"made": kept.total(), "kept": kept[True]}
    told["unseen"] |= {"too_near": funnel.reasons[f"{AT}:unseen"], "nearest": round(funnel.nearest, 4)}
    return told


def _none(funnel: Funnel) -> Invalid:
    reasons = ", ".join(f"{count} at {reason}" for reason, count in funnel.everything().most_common(3))
    message = f"of {funnel.made} samples none is left: {reasons}" if reasons else "there is no sample"
    fix = "Change the seed examples that the advice names, or take another teacher."
    facts = {"made": str(funnel.made), "kept": "0", "advice": json.dumps(funnel.advice())}
    return Invalid(Problem("generate.none", message, fix=fix, facts=facts))


def _json(path: Path) -> dict[str, Any]:
    """What the generate stage wrote down; nothing where there is no file."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise Failed(f"{path} is damaged: {error}") from None
    return found if isinstance(found, dict) else {}
