"""The training loop. Its ideas stand beside it: `batches` (what is computed together), `losses`, `adapters`, `checkpoints`.

A run that was killed goes on from its newest checkpoint: which samples a step has depends on the seed and the step's number
alone, so the steps that follow are those that would have followed.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import Failed, Invalid, Problem
from pipeline.training import batches, checkpoints
from pipeline.training.batches import Room
from pipeline.training.flops import Work
from pipeline.training.learner import Encoded, Learner
from pipeline.training.lessons import Lessons
from pipeline.training.settings import TrainConfig

NONE_IN_A_ROW = 3  # steps whose loss is no number, after which the training is given up
FOLDER, METRICS, HELD = "checkpoints", "metrics.jsonl", "held.jsonl"


@dataclass(frozen=True, slots=True)
class Step:
    """What came of a step. `loss`: nats per learned token, before it; `tokens`: without padding; `seconds`: of the step.

    `learned`: tokens that are learned, `squares`: the sum of the squares of the samples' lengths; see flops.Work.
    """

    step: int
    epoch: float
    loss: float
    rate: float
    norm: float
    tokens: int
    seconds: float
    learned: int = 0
    squares: int = 0


@dataclass(frozen=True, slots=True)
class Scored:
    """A checkpoint's score: the mean loss on the choosing questions, in nats per token of their answers."""

    step: int
    loss: float


@dataclass(slots=True)
class Course:
    """A training: what is learned, what scores it, and how.

    `room`: what goes together; `mark`: the digest of all that decides what comes out. `folder` gets metrics.jsonl, held.jsonl
    and checkpoints/, one of these at least every `save_s` seconds. `told` hears of each step, `scored` of each checkpoint;
    `ending`: whether to save and stop.
    """

    lessons: Lessons
    held: Sequence[Encoded]
    config: TrainConfig
    room: Room
    folder: Path
    mark: str
    told: Callable[[Step, int], None] = lambda _step, _steps: None
    scored: Callable[[list[Scored]], None] = lambda _scores: None
    ending: Callable[[], bool] = lambda: False
    save_s: float = 300.0


@dataclass(slots=True)
class Progress:
    """How far it is; what a checkpoint's state.json holds of it."""

    step: int = 0
    bad: int = 0  # steps in a row without a loss that is a number
    scores: list[Scored] = field(default_factory=list)

    @property
    def in_order(self) -> list[Scored]:
        """The checkpoints, the best first, the earliest of equals. The base itself, at step 0, is none of them."""
        return sorted((one for one in self.scores if one.step), key=lambda one: (one.loss, one.step))

    @property
    def best(self) -> Scored | None:
        """The one that is kept."""
        return next(iter(self.in_order), None)


class Ended(Exception):
    """It was told to end, and its checkpoint is written."""


def train(learner: Learner, course: Course) -> Progress:
    """Train to the end, from the newest checkpoint if there is one.

    The best checkpoint's adapter is in checkpoints/step-N/ afterwards, N being best.step. Raises Invalid train.nan where the
    loss is no number again and again, Ended when it was told to end, Failed where the disk refuses.
    """
    config = course.config
    steps = count(course)
    marks = set(scored_at(steps, config.checkpoints))
    progress = _begun(learner, course)
    saved_at = time.monotonic()
    for number, epoch, step in _steps(course, steps):
        if number < progress.step:
            continue
        began = time.monotonic()
        computed = [batches.batch(course.lessons, micro, course.room) for micro in step]
        rate = config.rate * share(number, steps, config.warm_up)
        learned = learner.learn(computed, rate)
        progress.step = number + 1
        progress.bad = 0 if math.isfinite(learned.loss) and math.isfinite(learned.norm) else progress.bad + 1
        work, seconds = Work.of(computed), time.monotonic() - began
        done = Step(number + 1, epoch, learned.loss, rate, learned.norm, work.tokens, seconds, work.learned, work.squares)
        _write_down(course.folder / METRICS, asdict(done))
        course.told(done, steps)
        if progress.bad >= NONE_IN_A_ROW:
            raise _no_number(done, steps, config)
        if number + 1 in marks:
            _score(learner, course, progress)
        if number + 1 in marks or time.monotonic() - saved_at > course.save_s or course.ending():
            _save(learner, course, progress)
            saved_at = time.monotonic()
        if course.ending() and number + 1 < steps:
            raise Ended
    return progress


def share(number: int, steps: int, warm_up: float) -> float:
    """Of the highest rate, at a step from 0: a straight rise, then half a cosine down to nothing (SGDR, arXiv 1608.03983)."""
    rising = round(warm_up * steps)
    if number < rising:
        return (number + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (number - rising) / max(1, steps - rising)))


def scored_at(steps: int, checkpoints: int) -> list[int]:
    """After which steps there is a checkpoint: at even distances, the last of them at the end."""
    many = min(steps, checkpoints)
    return [round(steps * (at + 1) / many) for at in range(many)]


def count(course: Course) -> int:
    """How many steps the course has."""
    if course.config.steps:
        return course.config.steps
    whole = math.floor(course.config.epochs)
    steps = sum(len(_epoch(course, epoch)) for epoch in range(whole))
    rest = course.config.epochs - whole
    return max(1, steps + (math.ceil(rest * len(_epoch(course, whole))) if rest else 0))


# --- what a step has


def _epoch(course: Course, number: int) -> Sequence[batches.Step]:
    return batches.plan(course.lessons.lengths, course.room, seed=course.config.seed, epoch=number)


def _steps(course: Course, steps: int) -> Iterator[tuple[int, float, batches.Step]]:
    """Number from 0, epoch with its fraction, and the samples, of every step to the end of the course."""
    number, epoch = 0, 0
    while number < steps:
        drawn = _epoch(course, epoch)
        if not drawn:
            raise Failed("there is nothing to learn in these lessons")
        for at, step in enumerate(drawn[: steps - number]):
            yield number + at, epoch + at / len(drawn), step
        number, epoch = number + len(drawn), epoch + 1


# --- checkpoints


def _begun(learner: Learner, course: Course) -> Progress:
    """Where to go on: after the newest checkpoint, or at the beginning with the base's own score."""
    place = course.folder / FOLDER
    found = checkpoints.newest(place, course.mark)
    checkpoints.tidy(place, course.mark, found.step if found else 0)
    if found is None:
        for name in (METRICS, HELD):
            (course.folder / name).unlink(missing_ok=True)
        progress = Progress()
        _score(learner, course, progress)
        return progress
    learner.load(found.folder)
    scores = [Scored(**one) for one in found.state["scores"]]
    for name, last in ((METRICS, found.step), (HELD, found.step)):
        _cut(course.folder / name, last)
    course.scored(scores)
    return Progress(found.step, int(found.state["bad"]), scores)


def _score(learner: Learner, course: Course, progress: Progress) -> None:
    """The base's loss and each checkpoint's, on the same questions."""
    if not course.held:
        return
    alone = replace(course.room, packs=False)
    together = batches.together(range(len(course.held)), [len(one.tokens) for one in course.held], alone)
    each = learner.losses([batches.batch(course.held, micro, alone) for micro in together])
    learned = [course.held[number].learned for micro in together for row in micro for number in row]
    sums = [loss * many for loss, many in zip(each, learned, strict=True) if many]
    found = Scored(progress.step, sum(sums) / max(1, sum(learned)))
    _write_down(course.folder / HELD, asdict(found))
    if math.isfinite(found.loss):
        progress.scores.append(found)
        course.scored(progress.scores)


def _save(learner: Learner, course: Course, progress: Progress) -> None:
    state = {"course": course.mark, "bad": progress.bad, "scores": [asdict(one) for one in progress.scores]}
    place = course.folder / FOLDER
    checkpoints.write_one(place, progress.step, learner.save, state)
    checkpoints.prune(place, progress.best.step if progress.best else 0)


# --- what is written down


def _write_down(path: Path, line: Mapping[str, Any]) -> None:
    """Append a line; a number that is none is written as null, which JSON has."""
    told = {name: None if isinstance(one, float) and not math.isfinite(one) else one for name, one in line.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="ascii") as file:
            file.write(json.dumps(told) + "\n")
    except OSError as error:
        raise Failed(f"{path.name} could not be written: {error.strerror or error}; the checkpoints are kept") from error


def steps(path: Path) -> list[Step]:
    """What metrics.jsonl holds, a loss that was no number as NaN; lines that a kill or a rotten disk left are none."""
    found = []
    for line in _lines(path):
        line.update({name: math.nan for name, value in line.items() if value is None})
        with suppress(TypeError):
            found.append(Step(**line))
    return found


def _cut(path: Path, last: int) -> None:
    """Leave out the lines of steps after that one: they are made again."""
    kept = [line for line in _lines(path) if line["step"] <= last]
    files.write(path, "".join(f"{json.dumps(line)}\n" for line in kept))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="ascii", errors="replace").splitlines() if path.is_file() else ():
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and isinstance(found.get("step"), int):
                yield found


def _no_number(done: Step, steps: int, config: TrainConfig) -> Invalid:
    message = f"the loss was no number {NONE_IN_A_ROW} times in a row, at step {done.step} of {steps}"
    fix = (
        f"Lower `rate` in configs/recipes/train.yaml, from {config.rate:g} to {config.rate / 3:.1g}, or set `precision: fp32`."
    )
    facts = {"step": str(done.step), "steps": str(steps), "rate": f"{config.rate / 3:.1g}"}
    return Invalid(Problem("train.nan", message, "train.yaml", fix, facts))
