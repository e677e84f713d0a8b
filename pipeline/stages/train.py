"""The stage that trains: an adapter onto the base, from the rows of the mix.

First what will be done is written down and looked at: which base, which device, how many rows, whether it fits, how long it
takes. What does not fit is refused with the setting that would, before anything is loaded. Then the loop; then the adapter
of the best checkpoint takes the place of `train/adapter/`.
"""

import json
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.errors import Failed, Invalid, Problem, out_of_memory
from pipeline.evaluating import questions
from pipeline.files import digest, file_digest, write
from pipeline.generating.rows import Row
from pipeline.mixing import blend, sizes
from pipeline.models import turn
from pipeline.report import page
from pipeline.stage import Job
from pipeline.training import adapters, base, checkpoints, curves, devices, fits, held, lessons, loop, opening, settings
from pipeline.training.base import Base
from pipeline.training.batches import Room
from pipeline.training.encode import Encoder
from pipeline.training.fits import Estimate
from pipeline.training.flops import Shape, Work, counted, mfu
from pipeline.training.learner import Encoded, Learner
from pipeline.training.lessons import Lessons
from pipeline.training.loop import Course, Progress, Scored, Step
from pipeline.training.rows import Message, Sample
from pipeline.training.settings import TrainConfig

FOLDER, ADAPTER, PLAN, PICTURE = "train", "train/adapter", "train/plan.json", "train/curves.png"
VERSION = 1
TOLD_EVERY_S, BEAT_S, ALIVE_S = 1.0, 5.0, 60.0
HOW = {"micro_tokens", "checkpointing"}  # settings that decide how it is computed, not what comes out
WIDE = 64  # rows of a GPU are as wide as a multiple of it


def train(job: Job) -> Mapping[str, str]:
    """Write train/adapter, plan.json, metrics.jsonl, held.jsonl and curves.png.

    Settings: `home`, `folder` (LABBOT_DATA/models), `train`, which tests and run.json of a run by hand may have: single
    settings that stand above train.yaml. Raises Invalid: train.no_base, train.no_weights, train.none where no row is there,
    train.row, train.long, train.memory, train.device, train.nan and what train.yaml may have wrong; Failed for the disk.
    """
    began = time.monotonic()
    home, models = Path(str(job.settings["home"])), Path(str(job.settings["folder"]))
    changes = dict(job.settings.get("train") or {})
    general = settings.load(home / settings.FILE, "", changes)
    found = base.find(models, general.base)
    config = settings.load(home / settings.FILE, found.name, changes)
    job.report(0.0, {"stage": "train", "base": found.name, "act": "read"})
    prepared = _prepared(job, home, found, config)
    with _ending() as ending, ExitStack() as held_open:
        held_open.enter_context(_turn(models, prepared.place, job))
        fits.make_sure(prepared.fits, devices.look(config.device, config.precision))
        learner = held_open.enter_context(opening.learning(found, config, prepared.place, prepared.fits))
        telling = Telling(job, prepared)
        learner.beat = telling.beat
        course = prepared.course(job, ending, learner, telling)
        write(job.folder / PLAN, json.dumps(prepared.plan(learner, course), indent=1))
        try:
            progress = loop.train(learner, course)
        except loop.Ended:
            raise SystemExit(128 + signal.SIGTERM) from None
        except (RuntimeError, MemoryError) as error:
            if out_of_memory(error):
                raise _too_much(prepared) from None
            raise
    return _ended(job, prepared, learner, course, progress, time.monotonic() - began)


# --- what is learned


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that is known before the first step."""

    found: Base
    config: TrainConfig
    place: devices.Place
    fits: Estimate
    lessons: Lessons
    replayed: int
    choosing: tuple[Encoded, ...]
    shared: bool
    mark: str

    def course(self, job: Job, ending: Callable[[], bool], learner: Learner, telling: "Telling") -> Course:
        return Course(
            self.lessons,
            self.choosing,
            self.config,
            Room(self.config.batch_tokens, self.micro_tokens, learner.packs, WIDE if learner.packs else 1),
            job.folder / FOLDER,
            f"{self.mark} {self.micro_tokens}" if learner.packs else self.mark,  # by it rows are as wide as they are
            told=telling.step,
            scored=telling.scored,
            ending=ending,
        )

    @property
    def micro_tokens(self) -> int:
        """Tokens at once; where several GPUs learn together each gets a part of every step."""
        parts = self.place.count if opening.is_sharded(self.config, self.place) else 1
        return min(self.fits.micro_tokens, max(1, self.config.batch_tokens // parts)) if parts > 1 else self.fits.micro_tokens

    def plan(self, learner: Any, course: Course) -> dict[str, Any]:
        """plan.json: what people and later stages may know of the training."""
        return {
            "version": VERSION,
            "course": self.mark,
            "base": {"name": self.found.name, "version": self.found.version, "licence": self.found.licence},
            "config": self.config.model_dump(mode="json"),
            "device": learner.device,
            "precision": learner.precision,
            "packs": learner.packs,
            "samples": {**self.lessons.counts, "replay": self.replayed},
            "steps": loop.count(course),
            "choosing": {"questions": len(self.choosing), "shared_with_test": self.shared},
            "fits": asdict(self.fits),
        }


def _prepared(job: Job, home: Path, found: Base, config: TrainConfig) -> Prepared:
    place = devices.look(config.device, config.precision)
    encoder = Encoder.of(found.folder, context=config.context, too_long=config.too_long)
    [phase] = config.phases
    own = sum(blend.count(job.folder / name) for name in phase.files if (job.folder / name).is_file())
    if not own:
        raise _nothing(phase.files[0])
    mixed = bool(sizes.load(home / sizes.FILE).skills)  # then the mix has its own replay
    count = 0 if mixed or found.replay is None else lessons.replay_count(own, config.replay)
    again = lessons.replayed(found.replay, count, config.seed) if found.replay else []
    beat = Beat(job, own + count).at
    made = lessons.encoded(lessons.read_all(job.folder, phase.files), encoder, beat)
    if not len(made):
        raise _nothing(phase.files[0])
    lessons.encoded(again, encoder, beat, made)
    split = held.split(job.folder)
    choosing = _choosing(split.choosing, sizes.load(home / sizes.FILE).system, found, config)
    decides = config.model_dump(mode="json", exclude=HOW)
    replay = file_digest(found.replay) if found.replay and count else ""
    mark = digest(json.dumps([VERSION, found.version, _data(job, phase.files), replay, count, decides]).encode())
    estimate = fits.estimate(found.config, _as_before(job, config, mark), place, made.lengths, made.counts["learned"])
    return Prepared(found, config, place, estimate, made, count, choosing, split.shared, mark)


def _as_before(job: Job, config: TrainConfig, mark: str) -> TrainConfig:
    """With as many tokens at once as the attempt before had, where this one goes on and nobody has said otherwise since.

    What memory is free differs from minute to minute, and sums in another order are not the same to the last bit.
    """
    try:
        plan = json.loads((job.folder / PLAN).read_bytes())
        if plan["course"] != mark or config.micro_tokens:
            return config
        activations = "yes" if plan["fits"]["checkpointing"] else config.checkpointing
        return config.model_copy(update={"micro_tokens": int(plan["fits"]["micro_tokens"]), "checkpointing": activations})
    except (OSError, ValueError, KeyError, TypeError):  # there was none, or it was cut: then nothing goes on
        return config


def _choosing(rows: Sequence[Row], system: str, found: Base, config: TrainConfig) -> tuple[Encoded, ...]:
    """Held-out questions with the answers that are wanted, evenly drawn; what is longer than the context scores nothing."""
    encoder = Encoder.of(found.folder, context=config.context)
    asked = questions.of_rows(rows, system)
    drawn = [asked[at * len(asked) // config.held] for at in range(config.held)] if len(asked) > config.held else asked
    samples = (Sample(f"{one.number}", (*one.messages, Message("assistant", one.wanted))) for one in drawn)
    return tuple(several[0] for several in encoder.many(samples) if len(several) == 1)


def _nothing(where: str) -> Invalid:
    fix = "Generate some first; where none survived, its report says why."
    return Invalid(Problem("train.none", "there is nothing to train on", where, fix))


def _data(job: Job, files: tuple[str, ...]) -> dict[str, str]:
    paths = chain(files, ("holdout/unseen.jsonl",))
    return {name: file_digest(job.folder / name) for name in paths if (job.folder / name).is_file()}


# --- telling


@dataclass(slots=True)
class Beat:
    """Says every few seconds how many rows are read: a stage that is silent is taken for dead."""

    job: Job
    whole: int
    told_at: float = field(default_factory=time.monotonic)

    def at(self, rows: int) -> None:
        if rows % 512 == 0 and time.monotonic() - self.told_at > BEAT_S:
            self.told_at = time.monotonic()
            self.job.report(0.0, {"stage": "train", "act": "read", "rows": str(rows), "of": str(self.whole)})


@dataclass(slots=True)
class Telling:
    """Reports steps about every second, and draws the picture at every checkpoint."""

    job: Job
    prepared: Prepared
    recent: deque[Step] = field(default_factory=lambda: deque(maxlen=20))
    scores: list[Scored] = field(default_factory=list)
    told_at: float = 0.0
    whole: int = 1
    drawn: int = 0

    def step(self, done: Step, whole: int) -> None:
        self.recent.append(done)
        self.whole = whole
        if time.monotonic() - self.told_at >= TOLD_EVERY_S or done.step == whole:
            self.told_at = time.monotonic()
            self.job.report(done.step / whole, self.facts())

    def beat(self) -> None:
        """A batch is done: where a step takes long, say that it goes on."""
        if time.monotonic() - self.told_at >= ALIVE_S:
            self.told_at = time.monotonic()
            last = self.recent[-1].step if self.recent else 0
            self.job.report(last / self.whole, self.facts() if self.recent else {"stage": "train", "act": "train"})

    def scored(self, scores: list[Scored]) -> None:
        self.scores = list(scores)
        if self.recent:
            self.draw()
            self.job.report(self.recent[-1].step / self.whole, self.facts())

    def draw(self) -> None:
        name = self.prepared.found.name
        steps = loop.steps(self.job.folder / FOLDER / loop.METRICS)  # those of attempts before this one too
        curves.draw(self.job.folder / PICTURE, steps, self.scores, self.whole, f"{name}, {self.prepared.config.method}")
        self.drawn = self.recent[-1].step

    def _mfu(self, seconds: float) -> float:
        """What share of the devices' peak the last steps reached, as flops counts it."""
        shape, config, place = Shape.of(self.prepared.found.config), self.prepared.config, self.prepared.place
        adapter = shape.adapter(config.rank, config.targets, config.ranks)
        work = Work(*(sum(getattr(one, name) for one in self.recent) for name in ("tokens", "learned", "squares")))
        count = place.count if opening.is_sharded(config, place) else 1
        return mfu(counted(shape, adapter, work), seconds, place.peak_flops, count) or 0.0

    def facts(self) -> dict[str, str]:
        last = self.recent[-1]
        seconds = max(1e-9, sum(one.seconds for one in self.recent))
        left = seconds / len(self.recent) * (self.whole - last.step)
        told = {
            "stage": "train",
            "act": "train",
            "base": self.prepared.found.name,
            "device": self.prepared.place.name,
            "step": str(last.step),
            "steps": str(self.whole),
            "loss": f"{last.loss:.3f}",
            "rate": f"{last.rate:.3g}",
            "speed": f"{sum(one.tokens for one in self.recent) / seconds:.0f}",
            "low_s": f"{0.9 * left:.0f}",
            "high_s": f"{1.2 * left:.0f}",
            "replay": str(self.prepared.replayed),
        }
        if self.prepared.place.peak_flops:
            told["mfu"] = f"{100 * self._mfu(seconds):.0f}"
        if self.scores:
            told["held_loss"] = f"{self.scores[-1].loss:.3f}"
        if self.drawn:
            told |= {"curve": PICTURE, "curve_at": str(self.drawn)}
        return told


def _turn(models: Path, place: devices.Place, job: Job) -> AbstractContextManager[None]:
    """An accelerator is had alone: the server of the model makes room meanwhile."""
    if place.kind == "cpu":
        return nullcontext()
    return turn.training(models, lambda waited: job.report(0.0, {"stage": "train", "act": "wait", "waited_s": f"{waited:.0f}"}))


@contextmanager
def _ending() -> Iterator[Callable[[], bool]]:
    """Have SIGTERM and Ctrl-C save first: they are looked at between two steps, so that no step is left half done."""
    told: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    before = {one: signal.signal(one, note) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(told)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


# --- the end


def _too_much(prepared: Prepared) -> Invalid:
    """The estimate was too low: what to set so that it fits. The checkpoints are kept, and the next attempt goes on there."""
    computed = prepared.fits.micro_tokens
    smaller = f"`micro_tokens: {max(1, computed // 2)}`"
    settings_ = smaller if prepared.fits.checkpointing else f"`checkpointing: yes` or {smaller}"
    fix = f"Set {settings_} in configs/recipes/train.yaml and start it again: it goes on at its last checkpoint."
    message = f"{prepared.place.name} ran out of memory with {computed:,} tokens at once."
    facts = {"device": prepared.place.name, "tokens": str(computed), "set": settings_.replace("`", "")}
    return Invalid(Problem("train.out_of_memory", message, "train.yaml", fix, facts))


def _ended(job: Job, prepared: Prepared, learner: Any, course: Course, progress: Progress, seconds: float) -> dict[str, str]:
    order = [one.step for one in progress.in_order] or [progress.step]
    kept = checkpoints.whole(course.folder / loop.FOLDER, order)
    if kept is None:
        shutil.rmtree(course.folder / loop.FOLDER, ignore_errors=True)
        raise Failed("no checkpoint is whole any more, the disk has lost them: the training begins anew when it is tried again")
    best, losses = kept.step, {one.step: one.loss for one in progress.scores}
    _take(kept.folder, job.folder / ADAPTER)
    told = {"best": {"step": best, "loss": losses.get(best)}, "seconds": round(seconds, 1)}
    write(job.folder / PLAN, json.dumps({**prepared.plan(learner, course), **told}, indent=1, allow_nan=False))
    page.write(job.folder)
    before = next((one.loss for one in progress.scores if not one.step), None)
    facts = {
        "stage": "train",
        "base": prepared.found.name,
        "device": prepared.place.name,
        "steps": str(progress.step),
        "best": str(best),
        "samples": str(prepared.lessons.tally.rows - prepared.replayed),
        "replay": str(prepared.replayed),
        "split": str(prepared.lessons.tally.split),
    }
    if best in losses and before is not None:
        facts |= {"held_before": f"{before:.3f}", "held_loss": f"{losses[best]:.3f}"}
    if (job.folder / PICTURE).is_file():
        facts |= {"curve": PICTURE, "curve_at": str(progress.step)}
    return facts


def _take(source: Path, target: Path) -> None:
    """Have the best checkpoint's adapter in its place: the new folder beside the old one, which goes then."""
    part = target.with_name(f".{target.name}")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for name in (adapters.WEIGHTS, adapters.CONFIG):
            shutil.copyfile(source / name, part / name)
        if target.exists():
            shutil.rmtree(target)
        part.rename(target)
    except OSError as error:
        raise Failed(f"the adapter could not be written: {error.strerror or error}") from error
