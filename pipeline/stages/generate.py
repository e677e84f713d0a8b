"""The stage that makes samples from an entry: the held-out seed examples first, then all of it at once (see generating.flow).

Every answer is in `log/generate/`, every sample that came to its end in `log/samples/`; from these the files are
written, in the order of the samples' numbers, so that they are the same however often the run was interrupted.
What the log holds under a digest of everything that it was asked with is not asked again: a changed prompt, model or
example makes anew what depends on it, and asking for more only adds.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pipeline.errors import Invalid, Problem
from pipeline.files import file_digest
from pipeline.generating import outcome, plan, recipes, speed
from pipeline.generating.chunks import Chunk, chunks
from pipeline.generating.flow import Flow
from pipeline.generating.leaf import Leaf, leaf
from pipeline.generating.memo import Memo, key
from pipeline.generating.outcome import Aside, Made
from pipeline.generating.plan import Start
from pipeline.generating.recipes import Recipe
from pipeline.generating.repeats import Repeats
from pipeline.generating.rows import Row, Set
from pipeline.generating.shown import Shown, Thumbed
from pipeline.generating.steering import Steering
from pipeline.generating.tally import BEAT_S, Tally
from pipeline.journal import Journal
from pipeline.judging import asking, calibrating, reference
from pipeline.judging.asking import Model
from pipeline.report import page
from pipeline.stage import Job
from pipeline.stages import document

if TYPE_CHECKING:  # see asking
    from pipeline.models.endpoint import Endpoint
    from pipeline.models.host import Models

MOST = 1_000_000  # samples of a run
UNSEEN_LEAST, ROUNDS = 20, 3  # questions of the unseen set for each held-out example, and how often they are asked for


def generate(job: Job) -> Mapping[str, str]:
    """Make the samples; write them, the held-out sets and plan.json.

    Settings: see Installation.generating; `recipe`, which tests and run.json of a run by hand may have, changes single
    settings of the recipe by their dotted names. Raises Temporary where an endpoint is away, Invalid generate.no_model,
    generate.few (with advice), generate.judge, generate.entry, generate.wanted, generate.document; Failed for a wrong key.
    """
    return asyncio.run(_generate(job))


async def _generate(job: Job) -> Mapping[str, str]:
    async with _models(job) as (models, most):
        with job.journal("generate") as answers, job.journal("samples") as done:
            made = await _made(job, models, answers)
            made = replace(made, kappa=_kappa(job, made))
            aside = Aside()
            memos = Memo(answers), Memo(done)
            try:
                facts = await _run(job, made, most, *memos, aside)
            except Invalid:  # too few: what there is shows why
                await memos[1].close()
                _write(job, made, done, aside)
                raise
            finally:
                for memo in memos:  # what is being written is to be in before the logs are closed
                    await memo.close()
            return facts | _write(job, made, done, aside)


def _write(job: Job, made: Made, done: Journal, aside: Aside) -> dict[str, str]:
    facts = outcome.written(job.folder, made, done, aside)
    page.write(job.folder)
    return facts


# --- who is asked


@asynccontextmanager
async def _models(job: Job) -> AsyncIterator[tuple[dict[str, Model], dict[str, int]]]:
    """Teacher and judge with clients of their own, which try nothing again: the flow knows best; and their most requests."""
    from pipeline import config
    from pipeline.models.client import Client
    from pipeline.models.host import Models

    home, folder = Path(str(job.settings["home"])), Path(str(job.settings["folder"]))
    environment = {**job.settings.get("urls", {}), **os.environ}
    roles = config.roles(home / "configs" / "models" / "roles.yaml", environment)
    shared = Models(roles, folder, environment)
    clients: dict[Endpoint, Client] = {}
    found: dict[str, Model] = {}
    most: dict[str, int] = {}
    try:
        for role in ("teacher", "judge"):
            endpoint, model = await _role(role, shared, folder)
            own = replace(endpoint, tries=1, model="", concurrency=1 << 16)
            if own not in clients:  # roles that one server answers for share its line
                clients[own] = Client(own)
            found[role], most[role] = replace(model, client=clients[own]), endpoint.concurrency
        yield found, most
    finally:
        await shared.close()
        for client in clients.values():
            await client.close()


async def _role(role: str, models: "Models", folder: Path) -> "tuple[Endpoint, Model]":
    if found := await asking.maker(models, folder, role):
        return found
    fix = "Set one up with /setup, or set teacher.url in configs/models/roles.yaml."
    raise Invalid(Problem("generate.no_model", "there is no teacher to write samples", fix=fix))


# --- what is made


async def _made(job: Job, models: Mapping[str, Model], answers: Journal) -> Made:
    text = (job.folder / "entry" / "qna.yaml").read_text(encoding="utf-8")
    home = Path(str(job.settings["home"]))
    found = leaf(text, str(job.inputs.get("leaf") or "entry"))
    recipe = recipes.load(home, found.kind, job.settings.get("recipe"))
    if not recipe.config.unseen:
        found = leaf(text, found.name, hold_out=False)
    if found.kind == "knowledge":
        found = replace(found, chunks=await _chunks(job, recipe, models["teacher"], answers))
    version = _version(found, recipe, models)
    wanted: dict[Set, int] = {which: plan.wanted(found, recipe, which) for which in get_args(Set)}
    if asked := str(job.inputs.get("wanted") or ""):
        wanted["train"] = max(wanted["train"], _number(asked))
    return Made(found, recipe, models, wanted, version)


def _number(asked: str) -> int:
    if not (asked.isascii() and asked.isdecimal() and int(asked) <= MOST):
        message = f"{asked[:40]!r} is no number of samples"
        raise Invalid(Problem("generate.wanted", message, "wanted", f"Write one up to {MOST:,}.", {"most": str(MOST)}))
    return int(asked)


async def _chunks(job: Job, recipe: Recipe, teacher: Model, answers: Journal) -> tuple[Chunk, ...]:
    """The document's chunks; those that it was cut into before, since an endpoint may count otherwise the next time."""

    async def count(text: str) -> int:
        return await teacher.client.count([{"role": "user", "content": text}], model=teacher.name)

    id = key("chunks", file_digest(job.folder / document.LINES), recipe.config.chunk, teacher.told())
    if (record := answers.get(id)) is None:
        cut = await chunks(document.texts(job.folder), count, recipe.config.chunk)
        record = {"chunks": [asdict(one) for one in cut]}
        answers.append(id, record)
    if not record["chunks"]:
        fix = "Look at the document's repository, commit and patterns."
        raise Invalid(Problem("generate.document", "the document has no text to make samples from", "entry/qna.yaml", fix))
    return tuple(Chunk(**one) for one in record["chunks"])


def _kappa(job: Job, made: Made) -> str:
    """How the judge stands, "" where nobody measured it (see labpipe judge --calibrate): then it judges on trust.

    Samples that do not fit an operator's own steps measure nothing. Raises Invalid generate.judge for one that only guesses.
    """
    home, folder = Path(str(job.settings["home"])), Path(str(job.settings["folder"]))
    try:
        asked = reference.load(home).digest
    except Invalid:
        return ""
    standing = calibrating.standing(folder, made.models["judge"], asked)
    if standing is None:
        return ""
    if standing.refused:
        facts = {"model": made.models["judge"].name}
        fix = "Or run labpipe judge --calibrate again, where another model answers there by now."
        raise Invalid(Problem("generate.judge", standing.refused, fix=fix, facts=facts))
    return f"{standing.kinds[made.recipe.kind].kappa:.2f}"


def _version(found: Leaf, recipe: Recipe, models: Mapping[str, Model]) -> str:
    """The digest of what samples depend on: the same samples have the same numbers, whatever else is asked for."""
    steps = [step.digest for step in (*recipe.steps, *recipe.rewordings)]
    keep = [step.config.keep for step in (*recipe.steps, *recipe.rewordings)]
    order = [plan.together(found, recipe, which) for which in ("train", "unseen")]  # which number is about which source
    settings = [recipe.config.examples, recipe.config.facets, order]
    seeds = [found.task, *(one.digest for one in found.train), "held", *(one.digest for one in found.held)]
    chunks = [chunk.id for chunk in found.chunks]
    return key(outcome.VERSION, steps, keep, settings, seeds, chunks, {role: one.told() for role, one in models.items()})[:16]


# --- making it


async def _run(job: Job, made: Made, most: Mapping[str, int], answers: Memo, done: Memo, aside: Aside) -> dict[str, str]:
    folder = Path(str(job.settings["folder"]))
    left = speed.left(chain.from_iterable(_starts(made, which) for which in made.wanted), made.models, answers)
    written = Written(speed.estimate(left, made.models["teacher"], folder))
    job.report(0.0, {"wanted": str(made.wanted["train"]), "tokens": str(written.estimate.tokens), **written.estimate.facts()})
    shown = Shown(made, answers, done)
    tally = Tally(
        made.recipe,
        made.wanted,
        keep=lambda row: _keep(done, made, row, aside),
        repeated=Repeats(made.leaf),
        shown=shown,
        report=job.report,
        facts=lambda: {"flight": str(flow.flight), **written.facts()},
    )
    flow = Flow(made.models, answers, tally, most=most, wrote=written.note)
    thumbed = Thumbed(done, shown)
    await thumbed.look(job.thumbs())
    steering = Steering(answers, made.models, job.thumbs, thumbed.row)
    least = min(UNSEEN_LEAST, made.recipe.config.unseen) * len(made.leaf.held)
    beat = asyncio.create_task(_beat(tally, thumbed))
    try:
        await flow.run(steering.steered(_ordered(made)))
        for turn in range(2, ROUNDS + 1):
            tally.kept["unseen"] = _unseen(made, done, turn - 1)
            if tally.kept["unseen"] >= least:
                break
            await flow.run(_further(made, turn))
    finally:
        beat.cancel()
        aside.lists = tally.lost_lists()
    speed.remember(made.models["teacher"], folder, written.chars, time.monotonic() - written.began)
    facts = {name: text for name, text in tally.facts().items() if name not in ("flight", "low_s", "high_s")}
    return {**facts, "held_least": str(least)}


def _starts(made: Made, which: Set) -> Iterator[Start]:
    return plan.starts(made.leaf, made.recipe, which, made.wanted[which])


def _ordered(made: Made) -> Iterator[Start]:
    """A few that train first, for people to see; then the tests; then the rest."""
    train = _starts(made, "train")
    yield from islice(train, 4)
    yield from _starts(made, "unseen")
    yield from _starts(made, "reworded")
    yield from train


def _unseen(made: Made, done: Memo, rounds: int) -> int:
    """How many questions so many rounds gave the unseen set: one that repeats another is none, and none is of a later
    round, which an attempt that was killed may have begun: else its end would look like another one."""
    last = _tried(made, rounds) * made.recipe.listed()
    return sum(row.kept and row.number <= last for row in outcome.held_out(made, done.journal, "unseen"))


def _further(made: Made, turn: int) -> Iterator[Start]:
    """Another round for an unseen set that came out too small."""
    return islice(plan.starts(made.leaf, made.recipe, "unseen", turn * made.wanted["unseen"]), _tried(made, turn - 1), None)


def _tried(made: Made, rounds: int) -> int:
    """The requests of so many rounds."""
    return sum(1 for _ in plan.starts(made.leaf, made.recipe, "unseen", rounds * made.wanted["unseen"]))


async def _beat(tally: Tally, thumbed: Thumbed) -> None:
    while True:
        await asyncio.sleep(BEAT_S)
        await thumbed.look()
        tally.tell(last=True)


@dataclass
class Written:
    """Characters that models have written in this attempt, and since when (monotonic). `first`: of the first answer."""

    estimate: speed.Estimate
    chars: int = 0
    done: int = 0
    began: float = field(default_factory=time.monotonic)
    first: tuple[int, float] = (0, 0.0)

    def note(self, chars: int, seconds: float) -> None:
        self.first = self.first if self.done else (chars, seconds)
        self.chars, self.done = self.chars + chars, self.done + 1

    def facts(self) -> dict[str, str]:
        return {"done": str(self.done), "tokens": str(self.chars // speed.CHARS), **self.estimate.facts(*self.first)}


async def _keep(done: Memo, made: Made, row: Row, aside: Aside) -> None:
    """A sample that failed for its endpoint's sake is not written down: the next attempt tries again to make it."""
    if row.why == "failed":
        aside.rows.append(row)
        return
    await done.keep((made.id(row), asdict(row)))
