"""The stage that asks today's model the seed questions of an entry, and says which of them it can answer already.

First all answers at once, beside the contributor's; then all votes of a judge at once, and its trials; then what
`weighing` makes of them. Upstream asked knowledge without its context, as people would, and grounded skills with it: so
do we. Every answer and every vote is in the journal as soon as it is there, under a digest of everything that it was asked
with, so that an attempt after a kill asks nothing twice and another model is asked anew. What an endpoint does not do now
is Temporary, and what did come is kept for the next attempt.

The judge is the role `judge`; where nobody answers for it, it is the model itself, whose trials show what its word is worth.
Cosines of embeddings have no scale of their own (answers to different questions reach 0.8 with some models), so they are
held against those of the contributor's own answers to different questions, and count for one thing: two answers without
a word in common that are closer than these are not called different by their words.
"""

import asyncio
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.errors import Invalid, Problem
from pipeline.files import write
from pipeline.judging import asking, jury, measures, weighing
from pipeline.judging.asking import Log, Model
from pipeline.judging.jury import Jury, Seed
from pipeline.judging.weighing import Judged, Kind, Vote
from pipeline.stage import Job

if TYPE_CHECKING:  # see asking
    from pipeline.config import EndpointConfig, ModelRole, RolesConfig
    from pipeline.models.client import Message
    from pipeline.models.host import Models

VERSION = 1
PROMPT = "configs/prompts/judge.md"
ANSWER_TOKENS = 512  # 250 words, the most that upstream's guides want of an answer, are about 350
BEAT_S = 30.0
REFUSED_WORDS = 40  # the most of a refusal; a longer answer that begins like one may go on to answer
REFUSAL = re.compile(
    r"(?:i[’']?m sorry|i am sorry|sorry|unfortunately|as an ai|i (?:can(?:no|[’'])t|am (?:not able|unable)|won[’']t)"
    r"|i (?:don[’']t|do not|didn[’']t|did not) (?:know|understand)"
    r"|(?:es )?tut mir leid|leider|als ki|ich (?:kann|weiß|verstehe) (?:das |es |leider )*nicht)\b",
    re.I,
)
SAID = {  # what decided, in English, for precheck.json and the pull request
    "same": "The model's answer is the contributor's.",
    "near": "The model's answer has nearly the same words, and the same numbers.",
    "within": "The contributor's short answer stands in the model's sentence.",
    "number": "The model's answer has other numbers.",
    "apart": "The two answers have nothing in common.",
    "empty": "The model says nothing.",
    "refused": "The model does not answer the question.",
    "echo": "The model says the question back.",
    "cut": "The model's answer was cut where its tokens were spent.",
    "long": "The question is longer than the model can read.",
    "judge": "So says the judge.",
    "split": "The judge's votes are split.",
    "biased": "The judge's votes change with the order of the answers, so they count for nothing.",
    "broken": "The judge gave no usable vote in one of the orders.",
    "untrusted": "The judge failed its trials, so its votes count for nothing, and words alone do not tell.",
    "disagree": "Words and judge contradict each other.",
    "unjudged": "Words alone do not tell.",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What the model said; `trouble`: "cut" where its tokens were spent, "long" where it could not read the question."""

    text: str
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Closeness:
    """Cosines of each answer with the contributor's; `usual` is that of the contributor's answers with each other."""

    cosines: Sequence[float] = ()
    usual: float = 1.0

    def near(self, at: int) -> bool:
        return bool(self.cosines) and self.cosines[at] > self.usual

    def of(self, at: int) -> float | None:
        return round(self.cosines[at], 4) if self.cosines else None


@dataclass(frozen=True, slots=True)
class Answered:
    """A seed question with all that is known of the model's answer to it."""

    seed: Seed
    said: Said
    kind: Kind
    similarity: float | None
    votes: Sequence[Vote]
    judged: Judged


@dataclass(slots=True)
class Tally:
    """Counts what has come, and reports it; an answer and a vote are one step each. `ballots` are all votes that are wanted."""

    report: Callable[[float, Mapping[str, str]], None]
    questions: int
    answers: int = 0
    votes: int = 0
    ballots: int = -1  # not known yet: as many as there can be
    told_at: float = 0.0

    def answered(self) -> None:
        self.answers += 1
        self.tell()

    def voted(self) -> None:
        self.votes += 1
        self.tell()

    def beat(self) -> None:
        """Say once in a while that something comes: a stage that is silent for long is taken for one that hangs."""
        if time.monotonic() - self.told_at >= BEAT_S:
            self.tell()

    def tell(self) -> None:
        self.told_at = time.monotonic()
        most = self.ballots if self.ballots >= 0 else 2 * len(jury.SEEDS) * self.questions + 2 * jury.TRIALS
        facts = {"answers": self.answers, "questions": self.questions, "votes": self.votes, "ballots": max(0, self.ballots)}
        told = {name: str(count) for name, count in facts.items()}
        self.report((self.answers + self.votes) / (self.questions + most + 1), told)


def precheck(job: Job) -> Mapping[str, str]:
    """Ask, judge, and write precheck.json.

    Raises Temporary where an endpoint is away, Invalid precheck.no_model where none is set up, Failed for a wrong key.
    """
    return asyncio.run(_precheck(job))


@dataclass(frozen=True, slots=True)
class Door:
    """The models of this installation by role. `folder` is LABBOT_DATA/models."""

    models: "Models"
    roles: "RolesConfig"
    folder: Path

    async def model(self, role: "ModelRole", wanted: str = "") -> Model | None:
        """Who answers for a role, by the name that is wanted or configured; see asking.model."""
        configured: EndpointConfig = getattr(self.roles, role)
        return await asking.model(self.models, self.folder, role, wanted or configured.model)


async def _precheck(job: Job) -> Mapping[str, str]:
    from pipeline import config
    from pipeline.models.host import Models

    home, folder = Path(str(job.settings["home"])), Path(str(job.settings["folder"]))
    environment = {**job.settings.get("urls", {}), **os.environ}
    roles = config.roles(home / "configs" / "models" / "roles.yaml", environment)
    models = Models(roles, folder, environment)
    try:
        with job.journal("precheck") as journal:
            record = await _record(job, Door(models, roles, folder), Log(journal))
    finally:
        await models.close()
    write(job.folder / "precheck.json", json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False))
    counts = {name: str(count) for name, count in record["counts"].items()}
    verdict = {"verdict": str(record["verdict"]), "confidence": f"{record['confidence']:.2f}"}
    names = {"model": str(record["model"]["name"]), "judge": str(record["judge"]["name"])}
    return {**counts, **verdict, **names, "asked": str(len(record["questions"]))}


async def _record(job: Job, door: Door, log: Log) -> dict[str, Any]:
    """Everything that precheck.json says."""
    task, seeds = entry((job.folder / "entry" / "qna.yaml").read_text(encoding="utf-8"))
    asked = await door.model("chat", str(job.inputs.get("model") or ""))
    if asked is None:
        fix = "Set one up with /setup, or set chat.url in configs/models/roles.yaml."
        raise Invalid(Problem("precheck.no_model", "there is no model to ask", fix=fix))
    tally = Tally(job.report, len(seeds))
    said = await _answers(log, asked, door.roles.chat.system, seeds, tally)
    kinds = [kind(seed, one) for seed, one in zip(seeds, said, strict=True)]
    judge = await door.model("judge") or asked
    prompt = (Path(str(job.settings["home"])) / PROMPT).read_text(encoding="utf-8")
    votes, trials = await _votes(Jury(log, judge, prompt, task, seeds), said, kinds, tally)
    vectors = await door.model("embeddings") if door.roles.embeddings.url else None
    close = await _closeness(log, vectors, seeds, said) if vectors else Closeness()
    tried = bool(trials) or not any(votes)  # a model that judges itself, and cannot be tried, has no say
    trusted = weighing.trusted(trials) and (tried or judge.name != asked.name)
    answered = []
    for at, seed in enumerate(seeds):
        weighed = "between" if kinds[at] == "apart" and close.near(at) else kinds[at]
        found = weighing.judged(weighed, votes[at], trusted=trusted)
        answered.append(Answered(seed, said[at], kinds[at], close.of(at), votes[at], found))
    right = sum(vote.better == "wanted" for vote in trials)
    word = {"trials": len(trials), "right": right, "trusted": trusted}
    return {"version": VERSION, "model": asked.told(), "judge": {**judge.told(), **word}, **told(answered)}


# --- the entry


def entry(text: str) -> tuple[str, list[Seed]]:
    """What an entry teaches, in its own words, and its questions. Raises Invalid precheck.entry where it has none."""
    seeds, task = list[Seed](), ""
    try:
        found = yaml.safe_load(text)
        task = str(found.get("task_description") or found.get("document_outline") or "")
        seeds = [seed for example in found["seed_examples"] for seed in _seeds(example)]
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        problem = Problem("precheck.entry", f"its questions cannot be read: {error}", "entry/qna.yaml", "Write it anew.")
        raise Invalid(problem) from None
    if not seeds:
        raise Invalid(Problem("precheck.entry", "there is no question in it", "entry/qna.yaml", "Write seed examples."))
    return task, seeds


def _seeds(example: Mapping[str, Any]) -> list[Seed]:
    context = str(example.get("context") or "")
    if "questions_and_answers" in example:
        pairs = example["questions_and_answers"]
        return [Seed(str(one["question"]), str(one["answer"]), text=context) for one in pairs]
    return [Seed(str(example["question"]), str(example["answer"]), context, context)]


# --- what is asked


async def _answers(log: Log, model: Model, system: str, seeds: Sequence[Seed], tally: Tally) -> list[Said]:
    tally.tell()

    async def one(number: int, seed: Seed) -> Said:
        messages = put(seed, system)
        asked = ["answer", number, model.told(), messages, ANSWER_TOKENS]
        record = await log.once(asked, lambda: _answer(model, messages, tally.beat))
        tally.answered()
        return Said(**record)

    return await asking.together([one(number, seed) for number, seed in enumerate(seeds)])


def put(seed: Seed, system: str) -> list["Message"]:
    """A question as the model is asked it."""
    asks = (
        f"{seed.question}\n\nAnswer this based on the following context:\n\n{seed.context}" if seed.context else seed.question
    )
    return [*([{"role": "system", "content": system}] if system else []), {"role": "user", "content": asks}]


async def _answer(model: Model, messages: Sequence["Message"], beat: Callable[[], None]) -> dict[str, Any]:
    from pipeline.models.client import Options

    text, finish = "", ""
    try:
        options = Options(temperature=0.0, max_tokens=ANSWER_TOKENS)
        async with aclosing(model.client.stream(messages, model=model.name, options=options)) as pieces:
            async for piece in pieces:
                text, finish = text + piece.text, piece.finish or finish
                beat()
    except Invalid as error:
        if error.problems[0].code != "model.overflow":
            raise
        return asdict(Said("", "long"))
    return asdict(Said(asking.sent(text).strip(), "cut" if finish == "length" else ""))


def kind(seed: Seed, said: Said) -> Kind:
    """What plain looking says of an answer."""
    if said.trouble == "long":
        return "long"
    if not said.text:
        return "cut" if said.trouble else "empty"
    if refuses(said.text) and not refuses(seed.wanted):
        return "refused"
    found = measures.likeness(seed.wanted, said.text)
    if found in ("within", "apart", "between", "number") and _echoes(seed, said.text):
        return "echo"
    return "cut" if said.trouble and found in ("near", "within", "between") else found


def _echoes(seed: Seed, said: str) -> bool:
    """Whether an answer only says the question back; where the contributor's nearly does so too, that tells nothing."""
    alike = ("same", "near")
    return measures.likeness(seed.question, said) in alike and measures.likeness(seed.question, seed.wanted) not in alike


def refuses(text: str) -> bool:
    return bool(REFUSAL.match(text.strip())) and len(text.split()) <= REFUSED_WORDS


async def _votes(court: Jury, said: Sequence[Said], kinds: Sequence[Kind], tally: Tally) -> tuple[list[list[Vote]], list[Vote]]:
    """The votes on each answer that needs some, and those of the judge's trials."""
    unclear = {at: said[at].text for at, one in enumerate(kinds) if one not in weighing.PLAIN and said[at].text}
    ballots = jury.ballots(unclear)
    trials = jury.trials(court.seeds) if ballots else []
    tally.ballots = len(ballots) + len(trials)
    tally.tell()
    cast = await court.votes([*ballots, *trials], tally.voted)
    votes: list[list[Vote]] = [[] for _ in said]
    for ballot, vote in zip(ballots, cast, strict=False):
        votes[ballot.of].append(vote)
    return votes, cast[len(ballots) :]


async def _closeness(log: Log, model: Model, seeds: Sequence[Seed], said: Sequence[Said]) -> Closeness:
    texts = [seed.wanted for seed in seeds] + [one.text or " " for one in said]

    async def embed() -> dict[str, Any]:
        made = await model.client.embed(texts, model=model.name)
        ours, theirs = made[: len(seeds)], made[len(seeds) :]
        between = [measures.cosine(one, other) for one, other in combinations(ours, 2)]
        cosines = [measures.cosine(one, other) for one, other in zip(ours, theirs, strict=True)]
        return asdict(Closeness(cosines, median(between) if between else 1.0))

    return Closeness(**await log.once(["vectors", model.told(), texts], embed))


# --- what is told


def told(answered: Sequence[Answered]) -> dict[str, Any]:
    """The verdict and the questions, as they stand in precheck.json."""
    found = [one.judged for one in answered]
    verdict, confidence = weighing.verdict(found)
    return {
        "verdict": verdict,
        "confidence": round(confidence, 4),
        "counts": weighing.counts(found),
        "questions": [_row(one) for one in answered],
    }


def _row(one: Answered) -> dict[str, Any]:
    return {
        "question": one.seed.question,
        **({"context": one.seed.context} if one.seed.context else {}),
        "wanted": one.seed.wanted,
        "said": one.said.text,
        "trouble": one.said.trouble,
        "likeness": one.kind,
        "rouge_l": round(measures.rouge_l(one.seed.wanted, one.said.text), 4),
        "exact": one.kind == "same",
        "similarity": one.similarity,
        "votes": [asdict(vote) for vote in one.votes],
        "state": one.judged.state,
        "confidence": round(one.judged.confidence, 4),
        "why": one.judged.why,
        "quote": one.judged.quote,
        "reason": " ".join(filter(None, (SAID[one.judged.why], one.judged.quote))),
    }
