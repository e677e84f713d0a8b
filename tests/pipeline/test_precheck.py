"""A precheck asks everything at once and nothing twice, and says of each question what the model can do today.

The endpoint is real but for what it says: it holds every answer back until as many are in flight as there should be, so a
stage that asks one after the other gets no answer at all.
"""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import config, journal
from pipeline.errors import Failed, Invalid, LabError, Temporary
from pipeline.installation import Installation
from pipeline.judging import jury
from pipeline.models import catalog
from pipeline.models.host import Models
from pipeline.recipe import PRECHECK, RECIPES
from pipeline.stage import Job, perform
from pipeline.stages import precheck as stage
from pipeline.stages.precheck import precheck
from tests.conftest import HOME
from tests.fakes.openai_server import CUT, Asked, Server, Step, answer, chunk, finished, said, streamed
from tests.pipeline.models.tiny_model import small_model

BOUND_S = 30.0
CHAT = "/v1/chat/completions"
TASK = "Say what things cost"
SEEDS = {  # five of a real kind: answers that have nothing in common
    "What does the lamp cost?": "The lamp costs thirty coins.",
    "When was the tower built?": "Workers finished that tower in 1788.",
    "Who keeps the light?": "Old Mary keeps watch upstairs.",
    "Where is fish sold?": "Fishermen sell on the quay each morning.",
    "How far does it shine?": "Nine miles out to sea.",
}

LAMP, TOWER = list(SEEDS)[:2]


def entry(seeds: Mapping[str, str] = SEEDS, **more: Any) -> str:
    return yaml.safe_dump(
        {
            "version": 3,
            "task_description": TASK,
            "seed_examples": [{"question": q, "answer": a, **more} for q, a in seeds.items()],
        }
    )


class Endpoint(Server):
    """`says`: the model's answers by question. `opinions`: what the judge thinks of them: "said", "wanted", "same", a place
    ("1"), or whatever else it writes. `crowds`: how many must be in flight before the first gets its answer."""

    def __init__(self, answers: Mapping[str, str | tuple[Step, ...]], opinions: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.answers, self.opinions = dict(answers), opinions or {}
        self.wanted = dict(SEEDS)
        self.crowds: dict[str, int] = {}
        self.flying: Counter[str] = Counter()
        self.kinds: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}
        self.trials = True  # whether it passes them

    def answer(self, asked: Asked) -> tuple[Step, ...]:
        if asked.path != CHAT:
            return super().answer(asked)
        self.asked.append(asked)
        kind = "vote" if "response_format" in asked.body else "answer"
        self.kinds.append(kind)
        self.flying[kind] += 1
        gate = self._gates.setdefault(kind, asyncio.Event())
        if self.flying[kind] >= self.crowds.get(kind, 0):
            gate.set()
        steps = self._vote(asked.body) if kind == "vote" else self._answer(asked.body)
        return (gate, *steps)

    def _answer(self, body: Any) -> tuple[Step, ...]:
        question = body["messages"][-1]["content"].partition("\n\n")[0]
        text = self.answers[question]
        return text if isinstance(text, tuple) else said(text)

    def _vote(self, body: Any) -> tuple[Step, ...]:
        told = json.loads(body["messages"][1]["content"]) if len(body["messages"]) == 2 else None
        if told is None:  # asked for once more
            return said("still no JSON")
        question, places = told["question"], {"1": told["answer 1"], "2": told["answer 2"]}
        mine = "1" if places["1"] == self.wanted[question] else "2"
        other = places["2" if mine == "1" else "1"]
        opinion = (
            self.opinions.get(question, "wanted") if other == self._text(question) else "wanted" if self.trials else "same"
        )
        choice = {"wanted": mine, "said": "2" if mine == "1" else "1", "split": str(1 + body["seed"] % 2)}.get(opinion, opinion)
        if choice not in ("1", "2", "same"):
            return said(choice)
        return said(json.dumps({"reason": f"answer {mine} is complete", "better": choice}))

    def _text(self, question: str) -> str:
        text = self.answers[question]
        return text if isinstance(text, str) else ""


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with Endpoint({question: f"I like {at} trains a lot" for at, question in enumerate(SEEDS)}) as made:
        yield made


def job(tmp_path: Path, url: str, qna: str = "", told: list[Any] | None = None, **more: Any) -> Job:
    folder = tmp_path / "runs" / "d1.1"
    (folder / "entry").mkdir(parents=True, exist_ok=True)
    (folder / "entry" / "qna.yaml").write_text(qna or entry(), encoding="utf-8")
    urls = {"LABBOT_CHAT_URL": url, "LABBOT_JUDGE_URL": url, **more.pop("urls", {})}
    settings = Installation(HOME, tmp_path, "", config.BotConfig(), urls).precheck
    report = (
        (lambda fraction, facts: told.append((fraction, dict(facts)))) if told is not None else lambda fraction, facts: None
    )
    return Job(folder, more.pop("inputs", {}), settings, report, **more)


async def performed(work: Job) -> tuple[Mapping[str, str], dict[str, Any]]:
    async with asyncio.timeout(BOUND_S):
        facts = await asyncio.to_thread(precheck, work)
    return facts, json.loads((work.folder / "precheck.json").read_bytes())


async def refusal(work: Job) -> LabError:
    with pytest.raises(LabError) as refused:
        await performed(work)
    assert not (work.folder / "precheck.json").exists()
    return refused.value


def states(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(row["state"], row["why"]) for row in found["questions"]]


# --- all at once


async def test_all_answers_are_in_flight_at_once_and_then_all_votes(tmp_path: Path, endpoint: Endpoint) -> None:
    votes = 5 * 2 * len(jury.SEEDS) + 2 * jury.TRIALS
    endpoint.crowds = {"answer": 5, "vote": votes}
    facts, found = await performed(job(tmp_path, endpoint.url))

    assert endpoint.kinds == ["answer"] * 5 + ["vote"] * votes
    assert found["counts"] == {"known": 0, "gap": 5, "uncertain": 0}
    assert facts == {
        **{"known": "0", "gap": "5", "uncertain": "0", "asked": "5"},
        **{"verdict": "worth", "confidence": "1.00", "model": "small", "judge": "small"},
    }


async def test_how_far_it_is_is_told_as_answers_and_votes_come(tmp_path: Path, endpoint: Endpoint) -> None:
    told: list[tuple[float, dict[str, str]]] = []
    await performed(job(tmp_path, endpoint.url, told=told))
    fractions = [fraction for fraction, _ in told]

    assert told[0] == (0.0, {"answers": "0", "questions": "5", "votes": "0", "ballots": "0"})
    assert told[3][1] == {"answers": "3", "questions": "5", "votes": "0", "ballots": "0"}
    assert told[-1][1] == {"answers": "5", "questions": "5", "votes": "28", "ballots": "28"}
    assert fractions == sorted(fractions) and 0.9 < fractions[-1] < 1.0


async def test_a_slow_answer_is_heard_of_before_it_is_whole(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "BEAT_S", 0.0)
    endpoint.answers[LAMP] = streamed(chunk("I"), chunk(" like"), chunk(" trains"), finished())
    told: list[tuple[float, dict[str, str]]] = []
    await performed(job(tmp_path, endpoint.url, told=told))

    assert len([facts for _, facts in told if facts["votes"] == "0"]) > 7  # that it began, five answers, all votes to come


async def test_the_model_is_asked_as_upstream_asks_and_the_judge_sees_what_it_may_check(tmp_path: Path) -> None:
    passage = "The tower was finished in 1788."
    pairs = [{"question": question, "answer": wanted} for question, wanted in SEEDS.items()]
    example = {"context": passage, "questions_and_answers": pairs}
    knowledge = yaml.safe_dump({"version": 3, "document_outline": "A tower", "seed_examples": [example]})
    for qna, context, task in ((entry(), "", TASK), (entry(context="A shop."), "A shop.", TASK), (knowledge, "", "A tower")):
        async with Endpoint(dict.fromkeys(SEEDS, "No idea, sir")) as endpoint:
            _, found = await performed(job(tmp_path / (task + context), endpoint.url, qna))
            first, vote = endpoint.to(CHAT)[0].body, endpoint.to(CHAT)[5].body
        judged = json.loads(vote["messages"][1]["content"])
        question = first["messages"][1]["content"].partition("\n\n")[0]
        after = f"\n\nAnswer this based on the following context:\n\n{context}" if context else ""

        assert [one["content"] for one in first["messages"]] == ["You are labbot, a helpful assistant.", question + after]
        assert (first["temperature"], first["model"], found["questions"][0].get("context", "")) == (0.0, "small", context)
        assert (judged["task"], judged.get("text", "")) == (task, context or (passage if task == "A tower" else ""))
        assert vote["messages"][0]["content"] == (HOME / "configs" / "prompts" / "judge.md").read_text(encoding="utf-8")


async def test_votes_differ_by_order_and_seed_and_the_reason_comes_before_the_choice(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    _, found = await performed(job(tmp_path, endpoint.url))
    votes = [one.body for one in endpoint.to(CHAT) if "response_format" in one.body]
    mine = [one for one in votes if "lamp cost?" in one["messages"][1]["content"] and "trains" in one["messages"][1]["content"]]
    firsts = [json.loads(one["messages"][1]["content"])["answer 1"] for one in mine]
    schema = votes[0]["response_format"]["json_schema"]["schema"]

    assert sorted(Counter(firsts).values()) == [2, 2]
    assert sorted((one["seed"], one["temperature"]) for one in mine) == [(1, 0.0), (1, 0.0), (2, 0.7), (2, 0.7)]
    assert list(schema["properties"]) == ["reason", "better"]
    assert {vote["reason"] for vote in found["questions"][0]["votes"]} == {"The contributor's answer is complete"}


# --- what it says of each question


@pytest.mark.parametrize(
    ("question", "text", "opinion", "state", "why"),
    [
        (LAMP, "the lamp costs thirty coins", "wanted", "known", "same"),
        (LAMP, "The lamp costs you thirty coins.", "same", "known", "judge"),
        (LAMP, "You would pay thirty for it", "same", "known", "judge"),
        (LAMP, "Two dozen plus six, sir", "same", "known", "judge"),
        (LAMP, "Two dozen plus six, sir", "said", "known", "judge"),
        (LAMP, "The lamp costs forty coins.", "wanted", "gap", "judge"),
        (TOWER, "Workers finished that tower in 1789.", "1", "gap", "number"),
        (TOWER, "Workers finished that tower in 1789.", "same", "uncertain", "disagree"),
        (LAMP, "I'm sorry, but I cannot help with prices.", "said", "gap", "refused"),
        (LAMP, "Es tut mir leid, das weiß ich nicht.", "said", "gap", "refused"),
        (LAMP, "What does the lamp cost", "1", "gap", "echo"),
        (LAMP, "What does the lamp cost?", "same", "uncertain", "disagree"),
        (LAMP, "", "said", "gap", "empty"),
        (LAMP, " \n ", "said", "gap", "empty"),
        (LAMP, "The price is thirty.", "1", "uncertain", "biased"),
        (LAMP, "The price is thirty.", "2", "uncertain", "biased"),
        (LAMP, "The price is thirty.", "split", "uncertain", "split"),
        (LAMP, "The price is thirty.", "I would say both", "uncertain", "broken"),
        (LAMP, "The price is thirty.", '{"better": "3"}', "uncertain", "broken"),
        (LAMP, "Ask me something else", "I would say both", "gap", "apart"),
        (LAMP, "Ask me something else", "1", "gap", "apart"),
    ],
)
async def test_each_case_has_its_verdict(
    tmp_path: Path, endpoint: Endpoint, question: str, text: str, opinion: str, state: str, why: str
) -> None:
    endpoint.answers[question], endpoint.opinions = text, {question: opinion}
    _, found = await performed(job(tmp_path, endpoint.url))
    row = next(row for row in found["questions"] if row["question"] == question)

    assert (row["state"], row["why"], row["wanted"], row["said"]) == (state, why, SEEDS[question], text.strip())
    assert row["reason"].startswith(stage.SAID[why]) and row["exact"] == (why == "same")


async def test_an_answer_that_was_cut_is_the_judges_and_says_so_where_that_is_unsure(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.answers[LAMP] = said("The lamp costs thirty coins. It", "length")
    endpoint.answers[TOWER] = said("", "length")
    endpoint.trials = False
    _, found = await performed(job(tmp_path, endpoint.url))

    assert [(row["state"], row["why"], row["trouble"]) for row in found["questions"][:2]] == [("uncertain", "cut", "cut")] * 2


async def test_a_question_that_the_model_cannot_read_is_uncertain_and_the_others_are_judged(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    told = {
        "error": {
            "message": "maximum context length is 64 tokens, however you requested 900",
            "code": "context_length_exceeded",
        }
    }
    endpoint.answers[LAMP] = (answer(400, told),)
    _, found = await performed(job(tmp_path, endpoint.url))

    assert states(found) == [("uncertain", "long"), *[("gap", "judge")] * 4]


@pytest.mark.parametrize(("text", "state"), [("The price is thirty.", "uncertain"), ("Ask me something else", "gap")])
@pytest.mark.parametrize("opinion", ["wanted", "same"])
async def test_a_judge_that_fails_its_trials_leaves_the_word_to_the_measures(
    tmp_path: Path, endpoint: Endpoint, text: str, state: str, opinion: str
) -> None:
    endpoint.trials, endpoint.answers[LAMP], endpoint.opinions = False, text, {LAMP: opinion}
    _, found = await performed(job(tmp_path, endpoint.url))

    assert found["judge"] == {"name": "small", "version": "", "trials": 8, "right": 0, "trusted": False}
    assert states(found)[0] == (state, "untrusted" if state == "uncertain" else "apart")


async def test_where_no_answer_needs_a_judge_none_is_asked(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answers = dict(SEEDS)
    facts, found = await performed(job(tmp_path, endpoint.url))

    assert endpoint.kinds == ["answer"] * 5
    assert (facts["verdict"], facts["known"], found["judge"]["trusted"]) == ("known", "5", True)


async def test_a_model_that_judges_itself_and_cannot_be_tried_has_no_say(tmp_path: Path, endpoint: Endpoint) -> None:
    alike = dict.fromkeys(SEEDS, "Yes, of course it does.")
    endpoint.answers, endpoint.wanted = dict.fromkeys(SEEDS, "Yes, as far as I know."), alike
    _, found = await performed(job(tmp_path, endpoint.url, entry(alike)))

    assert (found["judge"]["trials"], found["judge"]["trusted"]) == (0, False)
    assert states(found) == [("uncertain", "untrusted")] * 5


async def test_without_a_judge_of_its_own_the_model_is_its_own_judge(tmp_path: Path, endpoint: Endpoint) -> None:
    _, found = await performed(job(tmp_path, endpoint.url, urls={"LABBOT_JUDGE_URL": ""}))

    assert (found["judge"]["name"], found["judge"]["trusted"], found["verdict"]) == ("small", True, "worth")


async def test_close_vectors_keep_words_without_anything_in_common_from_being_a_gap(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.trials = False
    vectors = [[1.0, 0.0, 0.1 * at] for at in range(5)] + [[1.0, 0.0, 0.0], *[[0.0, 1.0, 0.0]] * 4]
    rows = [{"index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    endpoint.says("/v1/embeddings", answer(200, {"data": rows}))
    _, found = await performed(job(tmp_path, endpoint.url, urls={"LABBOT_EMBEDDINGS_URL": endpoint.url}))

    assert [row["similarity"] for row in found["questions"]] == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert states(found) == [("uncertain", "untrusted"), *[("gap", "apart")] * 4]


# --- what goes wrong


async def test_an_endpoint_that_is_away_is_waited_for(tmp_path: Path, endpoint: Endpoint) -> None:
    await endpoint.down()

    assert isinstance(await refusal(job(tmp_path, endpoint.url)), Temporary)


async def test_without_a_model_the_person_is_told_what_to_do(tmp_path: Path) -> None:
    refused = await refusal(job(tmp_path, "", urls={"LABBOT_JUDGE_URL": ""}))

    assert isinstance(refused, Invalid)
    assert [(one.code, "/setup" in one.fix) for one in refused.problems] == [("precheck.no_model", True)]


async def test_a_wrong_key_of_the_model_or_of_the_judge_is_told_as_such(tmp_path: Path, endpoint: Endpoint) -> None:
    async with Server() as closed:
        closed.says(CHAT, answer(401, {"error": {"message": "Incorrect API key provided"}}))
        for urls in ({"LABBOT_CHAT_URL": closed.url}, {"LABBOT_JUDGE_URL": closed.url}):
            refused = await refusal(job(tmp_path, endpoint.url, urls=urls))

            assert isinstance(refused, Failed) and "refuses the key" in str(refused)


async def test_a_judge_that_never_keeps_to_the_form_is_no_failure(tmp_path: Path, endpoint: Endpoint) -> None:
    async with Server() as rambling:
        rambling.says(CHAT, *said("Well, both have their merits."))
        _, found = await performed(job(tmp_path, endpoint.url, urls={"LABBOT_JUDGE_URL": rambling.url}))

    assert states(found) == [("gap", "apart")] * 5


@pytest.mark.parametrize("qna", ["", "[]", "seed_examples: []", "seed_examples: [{question: a}]", "a: [", "seed_examples: 3"])
async def test_an_entry_without_questions_is_told(tmp_path: Path, endpoint: Endpoint, qna: str) -> None:
    refused = await refusal(job(tmp_path, endpoint.url, qna or " "))

    assert isinstance(refused, Invalid) and refused.problems[0].code == "precheck.entry"


async def test_no_key_is_in_what_it_writes_or_tells(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / "configs").mkdir(parents=True)
    (home / "configs" / "prompts").symlink_to(HOME / "configs" / "prompts")
    (home / "configs" / "models").mkdir()
    roles = {"chat": {"url": endpoint.url, "key_env": "LAB_KEY"}}
    (home / "configs" / "models" / "roles.yaml").write_text(yaml.safe_dump(roles), encoding="utf-8")
    monkeypatch.setenv("LAB_KEY", "sk-very-secret")
    told: list[Any] = []
    work = job(tmp_path, "", told=told, urls={"LABBOT_JUDGE_URL": ""})
    await performed(Job(work.folder, {}, {**work.settings, "home": str(home)}, work.report))
    written = "".join(path.read_text(encoding="utf-8") for path in work.folder.rglob("*") if path.is_file())

    assert endpoint.to(CHAT)[0].headers["authorization"] == "Bearer sk-very-secret"
    assert "sk-very-secret" not in f"{written}{told}"


# --- nothing twice


async def test_what_was_answered_before_the_end_is_not_asked_again(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answers[TOWER] = streamed(chunk("Workers"), CUT)
    with pytest.raises(Temporary):
        await performed(job(tmp_path, endpoint.url, fence=1))
    endpoint.answers[TOWER] = "In 1788"
    await performed(job(tmp_path, endpoint.url, fence=2))
    asked = Counter(one.body["messages"][-1]["content"] for one in endpoint.to(CHAT) if "response_format" not in one.body)

    assert asked == {question: 2 if question == TOWER else 1 for question in SEEDS}


@pytest.mark.parametrize("until", range(0, 33, 4))
async def test_a_precheck_killed_at_any_moment_asks_nothing_twice(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, until: int
) -> None:
    class Killed(BaseException):
        pass

    left = [until]

    def report(fraction: float, facts: Mapping[str, str]) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    work = job(tmp_path, endpoint.url)
    with pytest.raises(Killed):
        await performed(Job(work.folder, {}, work.settings, report, 1))
    kept, before = len(journal.read(work.folder / "log" / "precheck")), len(endpoint.to(CHAT))
    _, found = await performed(job(tmp_path, endpoint.url, fence=2))
    ids = list(journal.read(work.folder / "log" / "precheck"))

    assert (len(endpoint.to(CHAT)) - before, len(ids)) == (33 - kept, 33)
    assert kept >= min(until, 5) - 1 and found["counts"]["gap"] == 5


async def test_a_precheck_that_is_done_asks_nobody_and_another_model_is_asked_anew(tmp_path: Path, endpoint: Endpoint) -> None:
    work = job(tmp_path, endpoint.url, inputs={"model": "small", "signed_at": 1.0})
    facts = await asyncio.to_thread(perform, PRECHECK, work)
    asked = len(endpoint.asked)
    again = await asyncio.to_thread(perform, PRECHECK, job(tmp_path, endpoint.url, inputs={"model": "small", "signed_at": 2.0}))
    before = len(endpoint.asked)
    other = await asyncio.to_thread(perform, PRECHECK, job(tmp_path, endpoint.url, inputs={"model": "large"}))

    assert (again, before, facts["model"], other["model"]) == (facts, asked, "small", "large")
    assert [one.body["model"] for one in endpoint.to(CHAT)[33:]] == ["large"] * 5  # which says the same: no vote is asked again


def test_the_recipe_prechecks_before_it_proposes() -> None:
    found = [(one.name, one.lane, one.alone) for one in RECIPES["contribution"]]

    assert (found[0], found[-1]) == (("precheck", "cpu", True), ("propose", "cpu", True))


def test_everything_that_can_decide_has_its_sentence() -> None:
    from pipeline.judging.weighing import WEIGHT

    benches = {"judge", "split", "biased", "broken", "untrusted", "disagree", "unjudged"}

    assert set(stage.SAID) == (set(WEIGHT) - {"between"}) | benches


# --- with a real model


async def test_the_practice_model_is_asked_on_its_shared_server_and_its_word_as_a_judge_is_tried(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    shutil.copytree(small_model(), folder / "tiny")
    catalog.choose(folder, "tiny")
    models = Models(config.roles(HOME / "configs" / "models" / "roles.yaml", {}), folder, {})
    chatted = {"Hello!": "Good day to you, old friend.", "Write a haiku about my dog": "Wet nose, muddy paws, home."}
    seeds = {**dict(list(SEEDS.items())[:3]), **chatted}
    work = job(tmp_path, "", entry(seeds), urls={"LABBOT_JUDGE_URL": ""})
    async with asyncio.timeout(4 * BOUND_S), asyncio.TaskGroup() as tasks:
        keeper = tasks.create_task(models.keep())
        while models.state("chat") != "ready":
            await asyncio.sleep(0.05)
        facts, found = await asyncio.wait_for(performed(work), 3 * BOUND_S)
        keeper.cancel()
    await models.close()

    assert found["model"] == {"name": "tiny", "version": catalog.version(folder, "tiny")} and found["model"]["version"]
    assert (found["judge"]["name"], found["judge"]["trials"], facts["asked"]) == ("tiny", 8, "5")
    assert [row["wanted"] for row in found["questions"]] == list(seeds.values())
    assert all(row["said"] for row in found["questions"])
    assert not found["judge"]["trusted"] and found["counts"]["known"] == 0
