"""The stage that compares base and tuned model on questions that neither saw, and on what the base could do before.

Every answer and every vote is in `log/evaluate/` before the next is asked for: an attempt after a kill asks nothing twice.
Both models answer in this process, one after the other; then a judge, where long answers need one and it may judge.
"""

import asyncio
import gc
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import Failed, Invalid, Problem
from pipeline.evaluating import facts, outcome, pairwise, questions, regression, wording
from pipeline.evaluating.answers import HOW, Asking, Said, Who, thinks
from pipeline.evaluating.outcome import Answered, Judged
from pipeline.evaluating.pairwise import Bar, Pair
from pipeline.evaluating.questions import Question
from pipeline.evaluating.regression import Source
from pipeline.files import digest, file_digest, write
from pipeline.generating.leaf import Leaf, leaf
from pipeline.journal import Journal
from pipeline.judging.asking import Log
from pipeline.mixing import sizes
from pipeline.models import turn
from pipeline.report import page
from pipeline.stage import Job
from pipeline.training import base, devices, held
from pipeline.training.base import Base
from pipeline.training.devices import Place
from pipeline.training.learner import Learner
from pipeline.training.settings import TrainConfig

SCORES, TEXT = "scores.json", "scores.md"
ADAPTER, PLAN = "train/adapter", "train/plan.json"
FILES = ("adapter_config.json", "adapter_model.safetensors")  # of an adapter: what its answers depend on
ANSWERED = 0.9  # of the stage, where a judge comes after it

Opener = Callable[[Base, TrainConfig, Place], AbstractContextManager[Learner]]


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that is asked, and of whom. `sets`: unseen and reworded."""

    found: Base
    config: TrainConfig
    plan: Mapping[str, Any]
    adapter: Path
    entry: Leaf
    sets: Mapping[str, Sequence[Question]]
    seeds: Sequence[Question]
    regression: Sequence[Question]
    source: Source

    @property
    def questions(self) -> list[Question]:
        return [*(one for several in self.sets.values() for one in several), *self.seeds, *self.regression]

    @property
    def digest(self) -> str:
        return digest(json.dumps([file_digest(self.adapter / name) for name in FILES]).encode())


def opened(found: Base, config: TrainConfig, place: Place) -> AbstractContextManager[Learner]:
    from pipeline.training import opening  # seconds of torch, which an attempt that finds all answers need not wait for

    return opening.answering(found, config, place)


def evaluate(job: Job, opener: Opener = opened) -> Mapping[str, str]:
    """Ask, compare, write scores.json, scores.md and the report. Settings: home, folder, urls (see Installation).

    Raises Invalid evaluate.none where no question is held out, evaluate.untrained where there is no adapter, evaluate.base
    where the base is not the one that was trained, evaluate.memory; Temporary where a judge's endpoint is away; Failed for
    damaged files.
    """
    material = _material(job)
    with job.journal("evaluate") as journal:
        said = _answers(job, journal, material, opener)
        judged = asyncio.run(_judged(job, journal, material, said))
    scores = _scores(job.folder, material, said, judged)
    write(job.folder / SCORES, json.dumps(scores, indent=1, allow_nan=False))
    write(job.folder / TEXT, wording.scores(scores))
    page.write(job.folder)
    return facts.of(scores)


# --- what is asked


def _material(job: Job) -> Material:
    home, models = Path(str(job.settings["home"])), Path(str(job.settings["folder"]))
    plan, adapter = _json(job.folder / PLAN), job.folder / ADAPTER
    if not plan or not all((adapter / name).is_file() for name in FILES):
        raise Invalid(Problem("evaluate.untrained", "there is no adapter to compare", ADAPTER, "Train one first, with /train."))
    system = sizes.load(home / sizes.FILE).system
    split = held.split(job.folder)
    sets = {"unseen": questions.of_rows(split.test, system), "reworded": questions.of_rows(split.reworded, system)}
    if not sets["unseen"]:
        fix = "Generate samples with held-out questions: `unseen` above 0 in the recipe, and at least two seed examples."
        raise Invalid(Problem("evaluate.none", "no question is held out that could be asked", "holdout/unseen.jsonl", fix))
    found, config = _trained(models, plan)
    entry = _entry(job)
    asked = regression.load(home, found.name)
    kept = regression.questions(asked, system, models, found.name) if asked else []
    seeds = questions.of_seeds(entry, system)
    return Material(found, config, plan, adapter, entry, sets, seeds, kept, asked.source if asked else "questions")


def _trained(models: Path, plan: Mapping[str, Any]) -> tuple[Base, TrainConfig]:
    """The base that the adapter was trained onto, and how. Raises Invalid where another one lies in its place by now."""
    try:
        name, version = str(plan["base"]["name"]), str(plan["base"]["version"])
        config = TrainConfig.model_validate(plan["config"])
    except (KeyError, TypeError, ValidationError) as error:
        raise Failed(f"{PLAN} is damaged: {error}") from None
    found = base.find(models, name)
    if found.version != version:
        message = f"{name} is not the model any more that the adapter was trained onto"
        fix = "Train again, or put the weights of before back."
        raise Invalid(Problem("evaluate.base", message, fix=fix, facts={"base": name}))
    return found, config


def _entry(job: Job) -> Leaf:
    """The entry, its seed examples apart as they were when samples were made: none is held out where the recipe held none."""
    text = (job.folder / "entry" / "qna.yaml").read_text(encoding="utf-8")
    seeds = _json(job.folder / "samples" / "plan.json").get("seeds") or {}
    return leaf(text, str(job.inputs.get("leaf") or "entry"), hold_out=bool(seeds.get("held", True)))


def _answers(job: Job, journal: Journal, material: Material, opener: Opener) -> dict[str, list[Said]]:
    """What base and tuned model say to every question: "before" and "after"."""
    from pipeline.training.encode import Encoder

    found, config = material.found, material.config
    place = devices.look(config.device, config.precision)
    telling = Telling(job, 2 * len(material.questions))
    with ExitStack() as stack:
        learner = cache(lambda: _lent(stack, job, place, lambda: opener(found, config, place)))
        words = Encoder.of(found.folder, config.context, config.too_long)
        asking = Asking(journal, place.name, learner, words, config.context, telling.tell)
        how = (found.name, found.version, config.method, config.precision, place.kind, str(place.bf16))
        telling.tell(0)
        before = asking.answers(material.questions, Who(("base", *how)))
        telling.of = "tuned"
        after = asking.answers(material.questions, Who((material.digest, *how), material.adapter))
        stack.callback(learner.cache_clear)
    return {"before": before, "after": after}


def _lent(stack: ExitStack, job: Job, place: Place, opener: Callable[[], AbstractContextManager[Learner]]) -> Learner:
    """The opened base, closed before its device is given back.

    An accelerator is had alone: the server of the model makes room until all answers are there.
    """
    if place.kind != "cpu":
        stack.enter_context(turn.training(Path(str(job.settings["folder"])), lambda waited_s: _waits(job, waited_s)))
        stack.callback(_let_go, place)
    return stack.enter_context(opener())


def _waits(job: Job, waited_s: float) -> None:
    job.report(0.0, {"stage": "evaluate", "act": "wait", "waited_s": f"{waited_s:.0f}"})


def _let_go(place: Place) -> None:
    """Give the device's memory back that nobody names any more: the server comes back while this process goes on."""
    gc.collect()
    if place.kind in ("cuda", "mps"):
        import torch

        getattr(torch, place.kind).empty_cache()


@dataclass(slots=True)
class Telling:
    """Counts what has come, and says it. `of`: base, tuned, judge."""

    job: Job
    total: int
    done: int = 0
    of: str = "base"

    def tell(self, more: int = 1) -> None:
        self.done += more
        share = self.done / max(1, self.total)
        fraction = ANSWERED + (1 - ANSWERED) * share if self.of == "judge" else ANSWERED * share
        self.job.report(fraction, {"stage": "evaluate", "of": self.of, "done": str(self.done), "total": str(self.total)})


# --- who is asked to judge


async def _judged(job: Job, journal: Journal, material: Material, said: Mapping[str, Sequence[Said]]) -> dict[str, Judged]:
    """What a judge prefers, for each set whose answers are long; nobody is looked for where none is."""
    answered = _answered(material, said)
    long = [name for name in material.sets if answered[name] and not outcome.is_short(answered[name])]
    if not long:
        return {name: Judged() for name in material.sets}
    from pipeline import config
    from pipeline.models.host import Models

    home, folder = Path(str(job.settings["home"])), Path(str(job.settings["folder"]))
    environment = {**job.settings.get("urls", {}), **os.environ}
    models = Models(config.roles(home / "configs" / "models" / "roles.yaml", environment), folder, environment)
    try:
        bench = await pairwise.bench(models, folder, home, material.entry.kind)
        if bench.judge is None:
            return {name: Judged(why=bench.why if name in long else "") for name in material.sets}
        prompt = (home / pairwise.PROMPT).read_text(encoding="utf-8")
        telling = Telling(job, sum(len(answered[name]) for name in long), of="judge")
        bar = Bar(Log(journal), bench.judge, prompt, material.entry.task, telling.tell)
        found = {name: Judged() for name in material.sets}
        for name in long:
            pairs = [Pair(one.question, one.before.text, one.after.text) for one in answered[name]]
            found[name] = Judged(await bar.preferences(pairs), bench.judge, bench.kappa)
        return found
    finally:
        await models.close()


# --- what is told


def _answered(material: Material, said: Mapping[str, Sequence[Said]]) -> dict[str, list[Answered]]:
    """Every question with both answers, by unseen, reworded, seeds and regression."""
    pairs = iter(zip(material.questions, said["before"], said["after"], strict=True))
    sizes_of = {**{name: len(several) for name, several in material.sets.items()}, "seeds": len(material.seeds)}
    found = {name: [Answered(*next(pairs)) for _ in range(size)] for name, size in sizes_of.items()}
    return {**found, "regression": [Answered(*one) for one in pairs]}


def _scores(
    folder: Path, material: Material, said: Mapping[str, Sequence[Said]], judged: Mapping[str, Judged]
) -> dict[str, Any]:
    answered = _answered(material, said)
    sets = {name: answered[name] for name in material.sets if answered[name]}
    held_out = {one.number for one in material.entry.held}
    choosing = material.plan.get("choosing")
    scores = {
        "version": outcome.VERSION,
        "base": {"name": material.found.name, "version": material.found.version},
        "adapter": material.digest,
        "decoding": {
            "how": HOW,
            "context": material.config.context,
            "precision": material.config.precision,
            "thinking": thinks(material.found.folder),
        },
        "unseen": None,
        "reworded": None,
        **{name: outcome.compared(several, judged[name]) for name, several in sets.items()},
        "forgetting": outcome.kept(answered["regression"], material.source),
        "seeds": [outcome.row(one, held=one.question.number in held_out) for one in answered["seeds"]],
        "examples": outcome.examples(sets, judged),
        "choosing": choosing if isinstance(choosing, dict) else {},
    }
    return {**scores, "notes": wording.notes(scores)}


def _json(path: Path) -> dict[str, Any]:
    """Nothing where there is no file. Raises Failed for damage."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise Failed(f"{path} is damaged: {error}") from None
    return found if isinstance(found, dict) else {}
