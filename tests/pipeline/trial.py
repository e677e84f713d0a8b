"""Recipes whose stages do what a test wants to see of a worker. Run as a module it is `labpipe` with these recipes.

What a stage does stands in the run's inputs, by the stage's name: words, each an act (see `ACTS`).
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pipeline import recipe, vault
from pipeline.errors import Failed, Invalid, Problem, Temporary
from pipeline.files import write
from pipeline.stage import Job, Lane, Stage

ROWS = 6
COMMAND = (sys.executable, "-m", "tests.pipeline.trial")


def perform(name: str, job: Job) -> Mapping[str, str]:
    (job.folder / f"began-{name}-{job.fence}").touch()
    for word in str(job.inputs.get(name, "")).split():
        act, _, value = word.partition("=")
        ACTS[act](job, value)
    write(job.folder / f"{name}.json", json.dumps({"by": job.fence}))
    return {"device": os.environ.get("LABBOT_DEVICE", "")}


def _refuse(job: Job, value: str) -> None:
    raise Invalid(Problem("trial.refused", "it is not what it should be"))


def _fail(job: Job, value: str) -> None:
    raise Failed("it is broken")


def _away(job: Job, value: str) -> None:
    """Be away until it was tried so often; "" for ever."""
    if not value or len(list(job.folder.glob("began-*"))) <= int(value):
        raise Temporary("the endpoint is away")


def _until(job: Job, value: str) -> None:
    while not (job.folder / value).exists():
        time.sleep(0.01)


def _silence(job: Job, value: str) -> None:
    time.sleep(60)


def _eat(job: Job, value: str) -> None:
    bytes_ = bytearray(int(value) * 2**20)
    bytes_[::4096] = b"x" * len(bytes_[::4096])


def _chat(job: Job, value: str) -> None:
    for number in range(int(value)):
        sys.stderr.write(f"{number:07} {'x' * 1015}\n")


def _save(job: Job, value: str) -> None:
    try:
        _until(job, "never")
    finally:
        time.sleep(float(value))
        write(job.folder / "saved", "yes")


def _deaf(job: Job, value: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (job.folder / "deaf").touch()
    time.sleep(60)


def _heard(job: Job, value: str) -> None:
    """Go on when these are the thumbs, such as "s1:up,s2:down"; "" for none."""
    while ",".join(f"{sample}:{thumb}" for sample, thumb in sorted(job.thumbs().items())) != value:
        time.sleep(0.01)


def _tell(job: Job, value: str) -> None:
    job.report(0.5, dict(fact.split(":") for fact in value.split(",")))


def _account(job: Job, value: str) -> None:
    """Tell whom it acts for, and open the token, which a stage does only to speak with GitHub."""
    from pipeline.github import accounts

    given = job.account
    token = accounts.opened(vault.load(os.environ), given) if given.get("token") else ""
    facts = {"login": given.get("login", ""), "problem": given.get("problem", ""), "opened": str(len(token))}
    job.report(0.5, {**facts, "vault": str(vault.NAME in os.environ)})


def _note(job: Job, value: str) -> None:
    (job.folder / value).touch()


def _rows(job: Job, value: str) -> None:
    """Log rows; after `value` of them wait for the file `go`, so that something can happen in the middle."""
    with job.journal("rows") as log:
        for number in range(ROWS):
            if number == int(value):
                (job.folder / f"half-{job.fence}").touch()
                _until(job, "go")
            log.append(f"row{number}", {"by": job.fence})
        write(job.folder / "rows.json", json.dumps([log[f"row{number}"]["by"] for number in range(ROWS)]))


ACTS: dict[str, Callable[[Job, str], None]] = {
    **{"refuse": _refuse, "fail": _fail, "away": _away, "until": _until, "silence": _silence},
    **{"eat": _eat, "chat": _chat, "save": _save, "deaf": _deaf, "rows": _rows, "heard": _heard, "note": _note},
    **{"tell": _tell, "account": _account},
}


def stage(name: str, lane: Lane = "cpu", **more: Any) -> Stage:
    return Stage(name, (), (f"{name}.json", "rows.json"), partial(perform, name), lane=lane, **more)


RECIPES = {
    "one": (stage("one"),),
    "two": (stage("one"), stage("two")),
    "lanes": (stage("one"), stage("two", "gpu"), stage("three")),
    "takes": (stage("one", takes=("one",)), stage("two", takes=("two",))),
    "adds": (stage("one", adds=("report.html",)), stage("two", adds=("report.html",))),
    "acts": (stage("one", account=True, secrets=recipe.SECRETS), stage("two")),
    "saves": (stage("one", saves=True),),
}


if __name__ == "__main__":
    recipe.RECIPES.update(RECIPES)
    from pipeline.__main__ import main

    sys.exit(main())
