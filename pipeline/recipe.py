"""The pipeline at a glance: what runs after what. A new stage is one file in `stages` and one line here.

A stage's own module is imported when it runs: a process that performs one need not load what the others want.
"""

import importlib
from collections.abc import Callable, Mapping

from pipeline.errors import Invalid, Problem
from pipeline.stage import Job, Stage

HOUR_S = 3600.0


def _of(module: str, name: str = "") -> Callable[[Job], Mapping[str, str]]:
    """The function of that name in a module of `stages`."""

    def run(job: Job) -> Mapping[str, str]:
        found: Mapping[str, str] = getattr(importlib.import_module(f"pipeline.stages.{module}"), name or module)(job)
        return found

    return run


ENTRY = ("entry/qna.yaml", "entry/attribution.txt")
# 15 questions and 68 votes take an hour at the pace of a model of 3B on two cores; 4.4 GB come in six at 2 Mbit/s.
PRECHECK = Stage("precheck", ENTRY[:1], ("precheck.json",), _of("precheck"), HOUR_S, takes=("model",), keys=True)
PROPOSE = Stage("propose", (*ENTRY, "precheck.json"), ("pull.md", "pull.json"), _of("propose"), alone=True)
FETCH = Stage("fetch", (), ("document.json", "passages.jsonl"), _of("fetch"))
ENGINE = Stage("engine", (), (), _of("model", "engine"), 6 * HOUR_S, elsewhere=True)
MODEL = Stage("model", (), (), _of("model"), 6 * HOUR_S, elsewhere=True, keys=True)

RECIPES: dict[str, tuple[Stage, ...]] = {
    "contribution": (PRECHECK, PROPOSE),
    "document": (FETCH,),
    "model": (ENGINE, MODEL),
}


def stages(recipe: str, until: str | None = None) -> tuple[Stage, ...]:
    """The stages of a recipe, up to and with `until`; that one only where it is `alone`. Raises Invalid for an unknown name."""
    if recipe not in RECIPES:
        known = ", ".join(RECIPES)
        raise Invalid(Problem("recipe.unknown", f"no recipe {recipe!r}", fix=f"There is: {known}."))
    names = [stage.name for stage in RECIPES[recipe]]
    if until is None:
        return RECIPES[recipe]
    if until not in names:
        raise Invalid(Problem("stage.unknown", f"{recipe} has no stage {until!r}", fix=f"There is: {', '.join(names)}."))
    at = names.index(until)
    return RECIPES[recipe][at if RECIPES[recipe][at].alone else 0 : at + 1]
