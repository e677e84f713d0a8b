"""The pipeline at a glance: what runs after what. A new stage is one file in `stages` and one line here.

A stage's own module is imported when it runs: a process that performs one need not load what the others want.
"""

import importlib
from collections.abc import Callable, Mapping

from pipeline.errors import Invalid, Problem
from pipeline.stage import Job, Stage

HOUR_S = 3600.0
# By name: to import who reads them would take the child of every stage a tenth of a second.
SECRETS = tuple(f"{name}{file}" for name in ("LABBOT_GITHUB_APP_KEY", "LABBOT_VAULT_KEY") for file in ("", "_FILE"))


def _of(module: str, name: str = "") -> Callable[[Job], Mapping[str, str]]:
    """The function of that name in a module of `stages`."""

    def run(job: Job) -> Mapping[str, str]:
        found: Mapping[str, str] = getattr(importlib.import_module(f"pipeline.stages.{module}"), name or module)(job)
        return found

    return run


ENTRY = ("entry/qna.yaml", "entry/attribution.txt")
# 15 questions and 68 votes take an hour at the pace of a model of 3B on two cores; 4.4 GB come in six at 2 Mbit/s.
PRECHECK = Stage("precheck", ENTRY[:1], ("precheck.json",), _of("precheck"), HOUR_S, takes=("model",), alone=True, keys=True)
DOCUMENT = Stage("document", ENTRY[:1], ("document.json", "document.jsonl"), _of("document"), HOUR_S, takes=())
HOLDOUT = ("holdout/unseen.jsonl", "holdout/reworded.jsonl")
MADE = (*HOLDOUT, "samples/generated.jsonl", "samples/plan.json")
JUDGED = ("samples/samples.jsonl", "samples/yield.json")
REPORT = ("report.html",)
# A set takes minutes on a GPU and hours on two cores. What is cut after a day goes on from its log when it is asked for again.
GENERATE = Stage(
    "generate",
    (ENTRY[0], *DOCUMENT.writes),
    MADE,
    _of("generate"),
    24 * HOUR_S,
    takes=("leaf", "root", "wanted"),
    saves=True,
    keys=True,
    adds=REPORT,
)
JUDGE = Stage("judge", (ENTRY[0], *MADE), JUDGED, _of("judge"), HOUR_S, takes=("leaf", "root"), adds=REPORT)
MIX = Stage("mix", (*ENTRY, "document.json", *MADE, *JUDGED), ("mix",), _of("mix"), HOUR_S, takes=("leaf", "root"), adds=REPORT)
TRAINED = ("train/adapter", "train/plan.json", "train/metrics.jsonl", "train/held.jsonl", "train/curves.png")
SCORES = ("scores.json", "scores.md")
TRAIN = Stage(
    "train",
    ("mix", HOLDOUT[0]),
    TRAINED,
    _of("train"),
    24 * HOUR_S,  # as for generate: what is cut goes on from its newest checkpoint
    lane="gpu",
    takes=(),
    saves=True,
    adds=REPORT,
    goes_on=("train/checkpoints",),
)
EVALUATE = Stage(
    "evaluate",
    (ENTRY[0], *HOLDOUT, "samples/plan.json", *TRAINED[:2]),
    SCORES,
    _of("evaluate"),
    6 * HOUR_S,
    lane="gpu",
    takes=("leaf",),
    saves=True,
    keys=True,
    adds=REPORT,
)
EXPORT = Stage(
    "export",
    (*ENTRY, *TRAINED[:2], *SCORES, HOLDOUT[0], "mix"),
    ("export",),
    _of("export"),
    6 * HOUR_S,
    takes=("leaf", "formats", "upload"),
    keys=True,
    secrets=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    adds=REPORT,
)
# It waits for GitHub's limits and for forks. Asked for again it is signed off anew, which no receipt knows: so it looks itself.
PROPOSE = Stage(
    "propose",
    (*ENTRY, *PRECHECK.writes, SCORES[0], JUDGED[1]),
    ("pull.md", "pull.json"),
    _of("propose"),
    HOUR_S,
    alone=True,
    account=True,
    secrets=SECRETS,
)
ACT = Stage("act", (), (), _of("act"), elsewhere=True, account=True, secrets=SECRETS)
PUBLISH = Stage("publish", ("upload",), ("publish.json",), _of("publish"), elsewhere=True, account=True, secrets=SECRETS)
FETCH = Stage("fetch", (), ("document.json", "passages.jsonl"), _of("fetch"))
# What is read is a stranger's pull request as it stands now: each asking has an `event` of its own, and looks anew.
EXAMINE = Stage(
    "examine",
    (),
    ("triage.json", *ENTRY),
    _of("examine"),
    HOUR_S,
    takes=("number", "event", "then"),
    alone=True,
    account=True,
    secrets=SECRETS,
)
COMMENT = Stage("comment", ("triage.json",), (), _of("comment"), elsewhere=True, alone=True, account=True, secrets=SECRETS)
ENGINE = Stage("engine", (), (), _of("model", "engine"), 6 * HOUR_S, elsewhere=True)
MODEL = Stage("model", (), (), _of("model"), 6 * HOUR_S, elsewhere=True, keys=True)

RECIPES: dict[str, tuple[Stage, ...]] = {
    "contribution": (PRECHECK, DOCUMENT, GENERATE, JUDGE, MIX, TRAIN, EVALUATE, EXPORT, PROPOSE),
    "document": (FETCH,),
    "pull": (ACT,),
    "publish": (PUBLISH,),
    "triage": (EXAMINE, PRECHECK, DOCUMENT, GENERATE, JUDGE, MIX, COMMENT),
    "model": (ENGINE, MODEL),
}


def stages(recipe: str, until: str | None = None) -> tuple[Stage, ...]:
    """The stages up to and with `until`, or all, without those that run alone; of these just the one that is asked for.

    Raises Invalid for an unknown name.
    """
    found = every(recipe)
    names = [stage.name for stage in found]
    if until is not None and until not in names:
        raise Invalid(Problem("stage.unknown", f"{recipe} has no stage {until!r}", fix=f"There is: {', '.join(names)}."))
    last = len(found) - 1 if until is None else names.index(until)
    if until is not None and found[last].alone:
        return found[last : last + 1]
    return tuple(stage for stage in found[: last + 1] if not stage.alone)


def every(recipe: str) -> tuple[Stage, ...]:
    """All stages of a recipe, those that run alone too. Raises Invalid for an unknown name."""
    if recipe not in RECIPES:
        known = ", ".join(RECIPES)
        raise Invalid(Problem("recipe.unknown", f"no recipe {recipe!r}", fix=f"There is: {known}."))
    return RECIPES[recipe]
