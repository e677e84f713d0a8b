"""The tour: the whole of labbot in one go, on this machine alone, with every figure measured on the way.

A model is made, a skill is drafted in a conversation, samples are made of it, an adapter is trained, compared, exported,
served and proposed. The work is done by what people use for it: labbot's conversation, `labpipe run`, `labpipe stage` and
`labpipe serve`, as child processes in an installation of the tour's own. What is said in between is in `telling`.
"""

import asyncio
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.status import Status

from pipeline.errors import Failed
from pipeline.files import write
from pipeline.models import catalog, tiny
from pipeline.models.client import Client, Endpoint, Message, Options
from pipeline.proposing.checkout import Checkout
from pipeline.stages import model as models
from pipeline.touring import controls, home, telling
from pipeline.touring.children import CHECKOUT, Children
from pipeline.touring.controls import Controls
from pipeline.touring.figures import Figures, Scored
from pipeline.touring.page import Page
from pipeline.training import held

TALKS = CHECKOUT / "configs" / "tour"
LEAF = "compositional_skills/technology/tickets/orders"  # where draft.txt says that the skill belongs
ADAPTER = "tickets"  # the adapter's name where it is served
ANSWER_TOKENS = 48  # a ticket has about 20
AT_ONCE = 16  # questions to the engine
NOT_THEIRS = "LABBOT_REDIS_URL LABBOT_REDIS_PASSWORD LABBOT_REDIS_PASSWORD_FILE LABBOT_EMBEDDINGS_URL".split()
NOT_THEIRS += "LABBOT_ARTEFACTS LABBOT_SERVE LABBOT_SERVE_KEY LABBOT_TINY".split()
LOG = "tour.log"  # what the children said, and by which an earlier tour's folder is known
ANSWERS = "log/evaluate"
MADE_BY_TRAINING = shutil.ignore_patterns("train", "export", "scores.*", "receipts", "log", "lock")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What whoever starts the tour asks for. `cache`: the folder of practice models, by seed."""

    folder: Path
    cache: Path
    seed: int
    controls: bool
    small: bool = False  # a practice model that is made in seconds and learns nothing: for tests of the tour itself


@dataclass(slots=True)
class Tour:
    """The steps, in their order. `environment` is that of the tour's installation, for its children."""

    wanted: Wanted
    page: Page
    home: Path
    environment: dict[str, str]
    children: Children
    run: Path = field(default_factory=Path)
    draft: str = ""

    @property
    def data(self) -> Path:
        return self.wanted.folder / "data"

    # --- 1 to 4: model, draft, samples

    def make_base(self, status: Status) -> None:
        """Make the practice model, or take the one that lies here, and serve it for the rest of the tour."""
        folder = self.wanted.cache / str(self.wanted.seed)
        (self.data / "models").symlink_to(folder.absolute())
        made = tiny.read(folder / catalog.TINY)
        _borrow(folder / catalog.TINY, self.wanted)

        def report(fraction: float, facts: Mapping[str, str]) -> None:
            status.update(f"{fraction:.0%} {facts.get('act', '')} {facts.get('step', '')} {facts.get('left', '')}".strip())

        models.make(folder, report, small=self.wanted.small, seed=self.wanted.seed)
        catalog.choose(folder, catalog.TINY)
        card = tiny.read(folder / catalog.TINY)
        assert card, "it was made a moment ago"
        telling.base(self.page, card, cached=made == card)
        (self.data / "runs").mkdir(parents=True)
        words = ("serve", catalog.TINY, "--port", "0", "--with-parent", "--adapters", str(self.data / "runs"))
        self.environment["LABBOT_CHAT_URL"] = str(self.children.server("pipeline", *words)["url"])

    def draft_skill(self, status: Status) -> None:
        """Have the conversation; what it leaves is the folder of the precheck's run, which all the others go on with."""
        telling.drafting(self.page)
        self.environment["LABBOT_JUDGE_URL"] = str(self.children.server("pipeline.touring.teacher")["url"])
        names = self._talk("draft.txt")
        self.draft, self.run = names["draft"], self.data / "runs" / f"{names['draft']}.{names['revision']}"
        telling.drafted(self.page, json.loads((self.run / "precheck.json").read_bytes()), self.run)

    def make_samples(self, status: Status) -> Mapping[str, str]:
        telling.teaching(self.page)
        entry = self.run / "entry" / "qna.yaml"
        teacher = self.children.server("pipeline.touring.teacher", str(entry), str(self.wanted.seed))
        self.environment["LABBOT_TEACHER_URL"] = str(teacher["url"])
        taxonomy = self.wanted.folder / "entry" / LEAF
        taxonomy.mkdir(parents=True)
        shutil.copyfile(entry, taxonomy / "qna.yaml")
        shutil.copyfile(entry.with_name("attribution.txt"), taxonomy / "attribution.txt")
        facts = self._perform("mix", status)
        telling.taught(self.page, self.run, int(teacher["seeds"]), facts)
        return facts

    def check_controls(self) -> Controls:
        found = controls.measure(self.run, self.data / "models" / catalog.TINY / "replay.jsonl")
        telling.controlled(self.page, found)
        return found

    # --- 5 and 6: training, comparing

    def train(self, status: Status) -> None:
        telling.training(self.page)
        facts = self._perform("train", status)
        telling.trained(self.page, facts, json.loads((self.run / "train" / "plan.json").read_bytes()))

    def compare(self, status: Status) -> Scored:
        self._perform("evaluate", status)
        scores = json.loads((self.run / "scores.json").read_bytes())
        telling.compared(self.page, scores)
        return Scored.of(scores)

    def train_without_replay(self, status: Status) -> Scored:
        return self._beside("plain", {"replay": 0.0}, status)

    def train_on_shuffled(self, status: Status) -> Scored:
        return self._beside("shuffled", {}, status)

    # --- 7 and 8: serving, proposing

    def serve(self, status: Status) -> tuple[int, int]:
        """Export the adapter, have the engine load it, ask it the whole test; how many answers are right, and the same."""
        facts = self._perform("export", status)
        asked = [(row.question, row.answer) for row in held.split(self.run).test]
        system = str(json.loads((self.run / "mix" / "test.jsonl").read_bytes().splitlines()[0])["system"])
        base, tuned = asyncio.run(self._ask([question for question, _ in asked], system))
        compared = json.loads((self.run / "scores.json").read_bytes())["examples"]
        trained = {one["question"]: one["after"] for one in compared if one["set"] == "unseen"}
        told = [(*pair, before, after) for pair, before, after in zip(asked, base, tuned, strict=True)]
        telling.served(self.page, facts, told)
        right = sum(after == answer for _, answer, _, after in told)
        return right, sum(after == trained.get(question, after) for question, _, _, after in told)

    async def _ask(self, questions: list[str], system: str) -> tuple[list[str], list[str]]:
        """The answers of the base and of the adapter that the engine has loaded beside it."""
        client = Client(Endpoint(self.environment["LABBOT_CHAT_URL"], concurrency=AT_ONCE))
        options = Options(temperature=0.0, max_tokens=ANSWER_TOKENS)

        async def one(question: str, model: str) -> str:
            messages: list[Message] = [{"role": "system", "content": system}, {"role": "user", "content": question}]
            return (await client.chat(messages, model=model, options=options)).strip()

        try:
            await client.load_adapter(ADAPTER, self.run / "export" / "adapter.gguf")
            base = await asyncio.gather(*(one(question, catalog.TINY) for question in questions))
            return base, await asyncio.gather(*(one(question, ADAPTER) for question in questions))
        finally:
            await client.close()

    def propose(self, status: Status) -> None:
        """Sign the draft off in the conversation, and push its branch to a repository that stands for upstream."""
        names = self._talk("submit.txt", f"draft={self.draft}")
        branch = f"labbot/{names['branch'].rstrip('.,')}"
        upstream, checkout = self.wanted.folder / "upstream.git", Checkout(self.data / "taxonomy")
        checkout.git("init", "--quiet", "--bare", "--initial-branch=main", str(upstream))
        checkout.git("push", "--quiet", str(upstream), "main", branch)
        telling.proposed(self.page, Checkout(upstream), branch)

    # --- children

    def _talk(self, name: str, *names: str) -> Mapping[str, str]:
        """Play a transcript and show it; what its <names> stand for. Raises Failed where the bot says something else."""
        found: Mapping[str, Any] = {}
        for line in self.children.lines("bot.touring", str(TALKS / name), *names):
            if line.startswith("{"):
                found = json.loads(line)
            else:
                self.page.line(line)
        if found["differences"]:
            raise Failed(f"the bot does not say what {name} has it say: {found['differences'][0]}")
        return dict(found["names"])

    def _perform(self, until: str, status: Status) -> Mapping[str, str]:
        """Perform the stages up to that one; its last facts."""
        entry = self.wanted.folder / "entry" / LEAF / "qna.yaml"
        words = ("run", "contribution", str(entry), "--until", until, "--folder", str(self.run))
        return self._watched(status, *words)

    def _beside(self, name: str, changes: Mapping[str, Any], status: Status) -> Scored:
        """Train and compare once more beside the run, with single settings of the training changed."""
        folder = self.wanted.folder / name / self.run.name
        shutil.copytree(self.run, folder, ignore=MADE_BY_TRAINING)
        shutil.copytree(self.run / ANSWERS, folder / ANSWERS)  # the base's are the same: it need not be asked again
        told = json.loads((folder / "run.json").read_bytes())
        told["settings"]["train"]["train"] = dict(changes)
        write(folder / "run.json", json.dumps(told, indent=1))
        if name == "shuffled":
            controls.shuffle(folder, self.wanted.seed)
        for stage in ("train", "evaluate"):
            self._watched(status, "stage", str(folder), stage)
        return Scored.of(json.loads((folder / "scores.json").read_bytes()))

    def _watched(self, status: Status, *words: str) -> Mapping[str, str]:
        facts: Mapping[str, str] = {}
        for facts in self.children.facts(*words):
            status.update(telling.under_way(facts))
        return facts


def take(wanted: Wanted, page: Page) -> tuple[Figures, Path]:
    """Take the whole tour; what was measured, and the run's folder. Raises LabError where a step fails."""
    wanted.folder.mkdir(parents=True)
    made = home.make(wanted.folder / "home", CHECKOUT, home.settings(CHECKOUT), home.seeded(wanted.seed))
    (wanted.folder / "data").mkdir(mode=0o700)
    ours = {"LABBOT_HOME": str(made), "LABBOT_DATA": str(wanted.folder / "data"), **dict.fromkeys(NOT_THEIRS, "")}
    with Children(ours, wanted.folder / LOG) as children:
        tour = Tour(wanted, page, made, ours, children)
        found = _steps(tour)
    write(wanted.folder / "tour.json", json.dumps({**found.told(), "seconds": page.spent}, indent=1))
    return found, tour.run


def _steps(tour: Tour) -> Figures:
    step = tour.page.step
    with step(1, "A model that is made here") as status:
        tour.make_base(status)
    with step(2, "A skill is drafted in a conversation, and the model is asked first") as status:
        tour.draft_skill(status)
    with step(3, "A teacher makes samples of it") as status:
        tour.make_samples(status)
        found = tour.check_controls()
    with step(4, "An adapter is trained") as status:
        tour.train(status)
    with step(5, "Base and adapter are compared on what neither has seen") as status:
        tuned = tour.compare(status)
    with step(6, "The same training without replay, for the lesson") as status:
        plain = tour.train_without_replay(status)
        telling.without_replay(tour.page, tuned, plain)
    shuffled = None
    if tour.wanted.controls:
        with step(7, "The same training on shuffled answers, as a control") as status:
            shuffled = tour.train_on_shuffled(status)
            telling.on_shuffled(tour.page, shuffled)
    with step(7 + tour.wanted.controls, "The adapter becomes a file, and the engine serves it") as status:
        served, same = tour.serve(status)
    with step(8 + tour.wanted.controls, "The skill is proposed") as status:
        tour.propose(status)
    return Figures(tuned, plain, found, served, same, shuffled)


def _borrow(folder: Path, wanted: Wanted) -> None:
    """Take the practice model that the person has already, where it is the one that would be made."""
    theirs = wanted.cache.parent.parent / "models" / catalog.TINY
    card = tiny.read(theirs)
    if not folder.exists() and not wanted.seed and not wanted.small and card and card.digest == tiny.digest(tiny.FULL):
        shutil.copytree(theirs, folder)
