"""The command `labpipe judge --calibrate`: finds the judge, asks it, says how it stands, and refuses one at chance."""

import argparse
import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from pipeline import installation
from pipeline.errors import Invalid, LabError, Problem, Temporary, plain
from pipeline.judging import asking, calibrating, reference
from pipeline.judging.agreement import Agreement
from pipeline.judging.calibrating import Standing, Wrong
from pipeline.judging.reference import Reference
from pipeline.models.progress import Line
from pipeline.models.shop import columns

if TYPE_CHECKING:
    from pipeline.installation import Installation
    from pipeline.judging.asking import Model
    from pipeline.models.host import Models

START_S = 600.0  # for the model on this machine: one of 70B is read from a slow disk in less
LOOK_S = 0.5
QUOTED = 200  # characters of a text


def main(given: argparse.Namespace, environment: Mapping[str, str], say: Callable[[str], None], aside: TextIO) -> int:
    """What was found is said; how far it is, and what went wrong, goes to `aside`.

    0: the judge may judge; 1: it judges no better than chance, or did not answer; 2: there is none, or a setting is wrong.
    """
    try:
        found = _found(installation.read(environment), aside)
    except LabError as error:
        aside.write(f"{error}\n")
        return 2 if isinstance(error, Invalid) else 1
    except KeyboardInterrupt:
        return 130
    say(json.dumps(told(found)) if given.json else "\n".join(lines(found)))
    if found.refused:
        aside.write(f"{plain(found.refused)}\n")
    return 1 if found.refused else 0


def _found(here: "Installation", aside: TextIO) -> Standing:
    asked = reference.load(here.home)
    is_starting = here.models.state(asking.whose(here.models, "judge")) == "starting"
    keeping = here.model_kept() if is_starting else nullcontext()
    with keeping, Line(aside) as line:
        return asyncio.run(_calibrated(here, asked, line))


async def _calibrated(here: "Installation", asked: Reference, line: Line) -> Standing:
    models, count = here.models, len(asked.questions)
    try:
        judge = await _judge(models, line)
        line.report(0.0, {"act": "judge", "name": plain(judge.name), "done": f"0 of {count} questions"})

        def come(done: int) -> None:
            line.report(done / count, {"act": "judge", "name": plain(judge.name), "done": f"{done} of {count} questions"})

        found = await calibrating.calibrate(judge, asked, come)
    finally:
        await models.close()
    calibrating.keep(models.folder, found)
    return found


async def _judge(models: "Models", line: Line) -> "Model":
    """Whoever judges in a run, once it is there. Raises Invalid calibrate.no_judge where nobody does."""
    loop = asyncio.get_running_loop()
    until = loop.time() + START_S
    while True:
        try:
            found = await asking.maker(models, models.folder, "judge")
        except Temporary as error:
            is_starting = models.state(asking.whose(models, "judge")) == "starting"
            if not is_starting or models.cause or loop.time() > until:
                raise
            line.report(0.0, {"act": "start", "why": str(error)})
            await asyncio.sleep(LOOK_S)
            continue
        if found is None:
            fix = "Set one up with `labpipe model setup`, or set judge.url in configs/models/roles.yaml."
            raise Invalid(Problem("calibrate.no_judge", "there is no judge to ask", fix=fix))
        return found[1]


# --- what is told


def told(found: Standing) -> dict[str, Any]:
    """What was found, as JSON; `refused` is the sentence that refuses the judge, "" where it may judge."""
    shares = {name: round(counts.accuracy, 4) for name, counts in found.steps.items()}
    about = {"refused": found.refused, "doubtful": list(found.doubtful), "accuracy": round(found.whole.counts.accuracy, 4)}
    return {**asdict(found), **about, "steps_accuracy": shares}


def lines(found: Standing) -> list[str]:
    """What was found, as people read it."""
    version = f" ({found.version})" if found.version else ""
    head = ("", "samples", "kappa", "95% interval", "right", "good kept", "good dropped", "bad dropped", "bad kept")
    rows = [*(_row(kind, one) for kind, one in found.kinds.items()), _row("in all", found.whole)]
    steps = [(name, str(one.all), f"{one.accuracy:.0%}") for name, one in found.steps.items()]
    silent = [f"{found.silent} questions got no score in the form that was asked for."] if found.silent else []
    doubts = [f"For {kind} samples it judges no better than chance." for kind in found.doubtful if not found.refused]
    wrong = (
        ["", "where it sees most otherwise:", *(line for one in found.wrong for line in _quoted(one))] if found.wrong else []
    )
    return [
        plain(f"{found.name or 'the judge'}{version}, {found.questions} questions, {found.at}"),
        "",
        *columns([head, *rows]),
        "",
        *columns([("step", "questions", "right"), *steps]),
        *silent,
        *doubts,
        *wrong,
    ]


def _row(name: str, one: Agreement) -> tuple[str, ...]:
    counts = one.counts
    cells = (counts.good_kept, counts.good_dropped, counts.bad_dropped, counts.bad_kept)
    interval = f"{one.low:.2f} to {one.high:.2f}"
    return (name, str(counts.all), f"{one.kappa:.2f}", interval, f"{counts.accuracy:.0%}", *map(str, cells))


def _quoted(one: Wrong) -> list[str]:
    wanted, score = "keep" if one.good else "drop", "no score" if one.score is None else f"score {one.score}"
    found = [
        f"  {one.kind} {one.number}, {one.step}: {score}, and it ought to {wanted} it",
        f"    question: {_short(one.question)}",
        f"    answer: {_short(one.answer)}" if one.answer else "",
        f"    our reason: {_short(one.ours)}",
        f"    its reason: {_short(one.theirs)}" if one.theirs else "",
    ]
    return [line for line in found if line]


def _short(text: str) -> str:
    text = plain(" ".join(text.split()))
    return text if len(text) <= QUOTED else f"{text[:QUOTED]} …"
