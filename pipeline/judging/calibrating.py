"""`labpipe judge --calibrate`: whether the operator's judge can tell good samples from bad ones, and how well.

The judge of the role `judge` is asked of every reference sample what the flow would ask it, with the same prompts and
schemas, all at once as far as its endpoint is to be sent. A sample is kept where every step keeps it; how far that agrees
with our labels is told for each kind and in all, and step by step. An answer that is not in the form that was asked for,
twice, keeps nothing, as in the flow.

What was found is kept in LABBOT_DATA/models/calibration.json, under the judge's name and version, or its name and address
where its weights are elsewhere, and the digest of all that it was asked: `standing` has it again, and None after a prompt, a
recipe, the samples or the judge have changed.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline import files
from pipeline.errors import Failed, Invalid, Temporary
from pipeline.judging.agreement import Agreement, Counts, agreement, counted
from pipeline.judging.asking import Model
from pipeline.judging.reference import KINDS, Question, Reference, Sample

if TYPE_CHECKING:  # see asking
    from pipeline.models.client import Message

T = TypeVar("T")

FILE, VERSION = "calibration.json", 1
TRIES, PAUSE_S, LONGEST_S = 5, 1.0, 30.0  # of a question that its endpoint does not answer now; the pause doubles each time
SHOWN = 10  # disagreements that are kept and quoted
TROUBLE_CHARS = 200
KEPT = 50  # standings; the oldest go
KEY = ("name", "version", "place", "prompts")  # what a standing is found by

Told = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Said:
    """What the judge said to a question; no score where it kept to no form, and then `reason` is what was wrong."""

    score: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """A question that the judge saw otherwise: `good` is our label, `ours` its reason, `theirs` the judge's."""

    kind: str
    number: int
    step: str
    question: str
    answer: str
    good: bool
    score: int | None
    ours: str
    theirs: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How a judge stands. `prompts`: `Reference.digest`; `at`: the day; `place`: of a judge without a version, see place_of.

    `silent` counts the questions that it gave no score to; `trouble` is why it gave the first of them none.
    """

    name: str
    version: str
    place: str
    prompts: str
    at: str
    whole: Agreement
    kinds: Mapping[str, Agreement]
    steps: Mapping[str, Counts]
    questions: int
    silent: int
    trouble: str
    wrong: tuple[Wrong, ...]

    @property
    def refused(self) -> str:
        """Why it may not judge, in a sentence; "" where it may."""
        if not self.whole.chance:
            return ""
        name = self.name or "The judge"
        if self.silent * 2 > self.questions:
            none = f"it gave {self.silent} of {self.questions} questions no score in the form that was asked for"
            return f"{name} cannot judge: {none} ({self.trouble}). Set judge.url in configs/models/roles.yaml to another model."
        found = self.whole
        return (
            f"{name} judges no better than chance: its kappa is {found.kappa:.2f} "
            f"({found.low:.2f} to {found.high:.2f}). Set judge.url in configs/models/roles.yaml to a stronger model."
        )

    @property
    def doubtful(self) -> tuple[str, ...]:
        """The kinds of samples on which it does no better than chance."""
        return tuple(kind for kind in KINDS if self.kinds[kind].chance)


async def calibrate(judge: Model, found: Reference, told: Told, *, pause_s: float = PAUSE_S) -> Standing:
    """Ask the judge everything; `told` is called with how many questions are answered as each is.

    Raises Temporary where the endpoint does not answer in TRIES tries, Failed and Invalid for what no try mends.
    """
    questions, done = found.questions, 0

    async def one(question: Question) -> Said:
        nonlocal done
        said = await _patiently(lambda: _said(judge, question), pause_s)
        done += 1
        told(done)
        return said

    await _patiently(lambda: _plainly(judge), pause_s)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(question)) for question in questions]
    except ExceptionGroup as errors:  # the first ended all others
        raise errors.exceptions[0] from None
    return _standing(judge, found, [task.result() for task in tasks])


def standing(folder: Path, judge: Model, prompts: str) -> Standing | None:
    """How a judge stood when it was last asked all this, None if it never was; `folder` is LABBOT_DATA/models.

    `prompts` is the `digest` of `reference.load`. A file that is damaged says nothing.
    """
    return next((_parsed(row) for row in _rows(folder) if _is(row, judge, prompts)), None)


def place_of(judge: Model) -> str:
    """Where a judge is whose weights are not known, as the beginning of its url's digest: the url itself may be secret."""
    return "" if judge.version else files.digest(judge.client.url.encode()).removeprefix("sha256:")[:12]


def keep(folder: Path, found: Standing) -> None:
    """Keep how a judge stands, in the place of what was found of it before. Raises Failed where the disk refuses."""
    rows = [row for row in _rows(folder) if any(row[name] != getattr(found, name) for name in KEY)]
    told = {"version": VERSION, "standings": [*rows, asdict(found)][-KEPT:]}
    files.write(folder / FILE, json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False))


# --- what is asked


async def _patiently(ask: Callable[[], Awaitable[T]], pause_s: float) -> T:
    """Ask again, after pauses, while the endpoint is away or busy. Raises what the last try did."""
    for again in range(TRIES - 1):
        try:
            return await ask()
        except Temporary as error:
            wait_s = pause_s * 2**again if error.wait_s is None else error.wait_s
        await asyncio.sleep(min(wait_s, LONGEST_S))
    return await ask()


async def _said(judge: Model, question: Question) -> Said:
    step = question.step
    asked: Sequence[Message] = step.messages(question.given)
    try:
        found = await judge.client.structured(asked, step.schema, model=judge.name, options=step.options)
    except (Failed, Invalid) as error:
        if isinstance(error, Invalid) and error.problems[0].code != "model.overflow":
            raise
        return Said(None, str(error)[:500])
    return Said(int(found["score"]), str(found["reason"]).strip())


async def _plainly(judge: Model) -> None:
    """Ask for a word without any form first, so that a wrong key or address is told as what it is, and at once."""
    from pipeline.models.client import Options

    await judge.client.chat([{"role": "user", "content": "Say yes."}], model=judge.name, options=Options(max_tokens=8))


# --- what it comes to


def _standing(judge: Model, found: Reference, said: Sequence[Said]) -> Standing:
    answers = iter(said)
    rows = [(sample, [(one, next(answers)) for one in sample.questions]) for sample in found.samples]
    verdicts = [(sample.kind, sample.good, all(_keeps(*one) for one in asked)) for sample, asked in rows]
    each = [(one, heard) for _, asked in rows for one, heard in asked]
    names = dict.fromkeys(one.step.name for one, _ in each)
    silent = [one.reason for one in said if one.score is None]
    wrong = [(_far(one, heard), _wrong(sample, one, heard)) for sample, asked in rows for one, heard in asked]
    return Standing(
        name=judge.name,
        version=judge.version,
        place=place_of(judge),
        prompts=found.digest,
        at=time.strftime("%Y-%m-%d", time.gmtime()),
        whole=agreement(counted((good, kept) for _, good, kept in verdicts)),
        kinds={kind: agreement(counted((good, kept) for of, good, kept in verdicts if of == kind)) for kind in KINDS},
        steps={name: counted((one.good, _keeps(one, heard)) for one, heard in each if one.step.name == name) for name in names},
        questions=len(said),
        silent=len(silent),
        trouble=next(iter(silent), "")[:TROUBLE_CHARS],
        wrong=tuple(one for far, one in sorted(wrong, key=lambda row: -row[0]) if far > 0)[:SHOWN],
    )


def _keeps(question: Question, said: Said) -> bool:
    return said.score is not None and said.score >= question.step.config.keep


def _far(question: Question, said: Said) -> float:
    """How bad it is that the judge sees a question otherwise: 0 where it does not, 1 to 2 for what it ought to drop and keeps.

    Such a sample would be learned; a good one that is dropped only costs another. No score is the least.
    """
    if question.good == _keeps(question, said):
        return 0.0
    if said.score is None:
        return 0.01
    low, high = question.step.config.scores
    beyond = abs(said.score - question.step.config.keep + (0 if question.good else 1)) / (high - low + 1)
    return beyond if question.good else 1 + beyond


def _wrong(sample: Sample, question: Question, said: Said) -> Wrong:
    given, of = question.given, (sample.kind, sample.number, question.step.name)
    return Wrong(*of, given["question"], given["answer"], question.good, said.score, question.reason, said.reason)


# --- what is kept


def _rows(folder: Path) -> list[dict[str, Any]]:
    """The standings in the file, without those that another labbot wrote in another way."""
    try:
        found = json.loads((folder / FILE).read_bytes())
        return [row for row in found["standings"] if found["version"] == VERSION and _is_sound(row)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _is_sound(row: Any) -> bool:
    try:
        return bool(_parsed(row))
    except (KeyError, TypeError, AttributeError):
        return False


def _is(row: Mapping[str, Any], judge: Model, prompts: str) -> bool:
    return tuple(row[name] for name in KEY) == (judge.name, judge.version, place_of(judge), prompts)


def _parsed(row: Mapping[str, Any]) -> Standing:
    """Raises KeyError, TypeError or AttributeError for what is no standing."""
    kinds = {kind: _agreement(row["kinds"][kind]) for kind in KINDS}
    steps = {name: Counts(**counts) for name, counts in row["steps"].items()}
    wrong = tuple(Wrong(**one) for one in row["wrong"])
    return Standing(**{**row, "whole": _agreement(row["whole"]), "kinds": kinds, "steps": steps, "wrong": wrong})


def _agreement(row: Mapping[str, Any]) -> Agreement:
    return Agreement(**{**row, "counts": Counts(**row["counts"])})
