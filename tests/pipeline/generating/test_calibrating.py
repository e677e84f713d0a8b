"""A judge that sees clearly is told so, one at chance is refused, and what was found is there for the runs.

The endpoint is real but for what it says: it finds the question that it is asked among those of the reference set.
"""

import argparse
import asyncio
import io
import json
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.__main__ import main as labpipe
from pipeline.config import RolesConfig
from pipeline.errors import Failed, Invalid, Temporary
from pipeline.generating import recipes
from pipeline.judging import asking, calibrate, calibrating, reference
from pipeline.judging.agreement import Agreement, Counts, agreement, counted
from pipeline.judging.asking import Model
from pipeline.judging.calibrating import Standing
from pipeline.judging.reference import KINDS, Question, Reference
from pipeline.models.client import Client, Endpoint
from pipeline.models.host import Models
from tests.conftest import HOME
from tests.fakes.openai_server import Asked, Server, Step, answer, said

BOUND_S = 60.0
CHAT = "/v1/chat/completions"
SET = reference.load(HOME)
FEW = replace(SET, samples=tuple(sample for sample in SET.samples if sample.number in (1, 3, 4)))
SOME = replace(SET, samples=tuple(sample for sample in SET.samples if sample.number <= 16))  # half of them are good, too

Opinion = Callable[[Question], int | str | tuple[Step, ...]]


class Judge(Server):
    """`opinion`: the score that it gives a question, or whatever else it says; `plain`: what it says to any other."""

    def __init__(self, opinion: Opinion, *plain: Step) -> None:
        super().__init__()
        self.opinion, self.plain = opinion, plain or said("yes")
        self._known = {self._told(one.step.messages(one.given)): one for one in SET.questions}

    def answer(self, asked: Asked) -> tuple[Step, ...]:
        if asked.path != CHAT:
            return super().answer(asked)
        self.asked.append(asked)
        question = self._known.get(self._told(asked.body["messages"][:2]))
        found = self.opinion(question) if question else self.plain
        if isinstance(found, int):
            return said(json.dumps({"reason": f"because {found}", "score": found}))
        return said(found) if isinstance(found, str) else found

    @staticmethod
    def _told(messages: Any) -> str:
        return json.dumps([one["content"] for one in messages])


def right(question: Question) -> int:
    low, high = question.step.config.scores
    return high if question.good else low


def contrary(question: Question) -> int:
    return right(replace(question, good=not question.good))


def highest(question: Question) -> int:
    return question.step.config.scores[1]


def lowest(question: Question) -> int:
    return question.step.config.scores[0]


def coin(question: Question) -> int:
    """One that does not look: what it says hangs on the letters."""
    heads = zlib.crc32(f"{question.step.name}{question.given}".encode()) % 2
    return right(replace(question, good=bool(heads)))


def kind(question: Question) -> str:
    return "knowledge" if question.given["document"] else "grounded" if question.given["context"] else "freeform"


async def asked(opinion: Opinion, found: Reference = SET, told: list[int] | None = None, pause_s: float = 0.0) -> Standing:
    async with Judge(opinion) as server:
        return await asked_of(server, found, told, pause_s)


async def asked_of(server: Server, found: Reference = SET, told: list[int] | None = None, pause_s: float = 0.0) -> Standing:
    client = Client(Endpoint(server.url, concurrency=64, pause_s=0.01))
    try:
        async with asyncio.timeout(BOUND_S):
            come = (told if told is not None else []).append
            return await calibrating.calibrate(Model(client, "small"), found, come, pause_s=pause_s)
    finally:
        await client.close()


# --- the set


def test_the_set_has_120_samples_of_three_kinds_and_half_of_each_are_good() -> None:
    assert Counter((one.kind, one.good) for one in SET.samples) == {(of, good): 20 for of in KINDS for good in (True, False)}


def test_every_step_that_judges_is_tried_on_good_and_on_bad() -> None:
    judges = {step.name for of in KINDS for step in recipes.load(HOME, of).steps if step.config.does == "judge"}

    assert {(one.step.name, one.good) for one in SET.questions} == {(name, good) for name in judges for good in (True, False)}


def test_a_good_sample_is_asked_about_in_every_step_and_no_sample_stands_there_twice() -> None:
    judges = {of: [step.name for step in recipes.load(HOME, of).steps if step.config.does == "judge"] for of in KINDS}
    good = [sample for sample in SET.samples if sample.good]
    told = [json.dumps([one.step.name, one.given]) for one in SET.questions]

    assert all(sorted(one.step.name for one in sample.questions) == sorted(judges[sample.kind]) for sample in good)
    assert len(set(told)) == len(told)


def test_every_label_has_a_reason_and_whoever_judges_an_answer_is_given_one() -> None:
    assert all(one.reason.endswith((".", "。")) for one in SET.questions)
    assert all(one.given["answer"] for one in SET.questions if "answer" in one.step.config.gives)


def test_it_is_in_three_languages() -> None:
    text = "".join((HOME / reference.FOLDER / f"{of}.yaml").read_text(encoding="utf-8") for of in KINDS)

    assert {language: text.count(f"language: {language}") for language in ("en", "de", "ja")} == {"en": 21, "de": 6, "ja": 3}


def test_another_prompt_or_another_sample_makes_another_digest(tmp_path: Path) -> None:
    home = copied(tmp_path)
    same = reference.load(home).digest
    prompt, samples = home / recipes.PROMPTS / "judge_pairs.md", home / reference.FOLDER / "grounded.yaml"
    prompt.write_text(prompt.read_text(encoding="utf-8") + "Be quick.", encoding="utf-8")
    other = reference.load(home).digest
    samples.write_text(samples.read_text(encoding="utf-8").replace("blue bag", "red bag"), encoding="utf-8")

    assert same == SET.digest
    assert len({same, other, reference.load(home).digest}) == 3


def test_a_step_that_a_recipe_has_not_is_left_out_with_what_only_it_would_drop(tmp_path: Path) -> None:
    home = copied(tmp_path)
    path = home / recipes.FOLDER / "freeform.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line for line in lines if "name: judge_questions," not in line), encoding="utf-8")
    found = [sample for sample in reference.load(home).samples if sample.kind == "freeform"]

    assert Counter(sample.good for sample in found) == {True: 20, False: 14}
    assert {one.step.name for sample in found for one in sample.questions} == {"judge_pairs"}


@pytest.mark.parametrize(
    ("said_there", "wrong"),
    [
        ("- {language: en, samples: [{question: q, kept: {}, reason: r}]}", "freeform.yaml: 0.samples.0.kept"),
        ("[]", "freeform.yaml"),
        ("3", "freeform.yaml"),
        ("- {language: en, samples: [{question: q, kept: {judge_none: true}, reason: r}]}", "fit no step"),
    ],
)
def test_a_file_that_is_wrong_is_told_with_its_place(tmp_path: Path, said_there: str, wrong: str) -> None:
    home = copied(tmp_path)
    (home / reference.FOLDER / "freeform.yaml").write_text(said_there, encoding="utf-8")
    with pytest.raises(Invalid) as refused:
        reference.load(home)

    assert wrong in str(refused.value)


def copied(tmp_path: Path) -> Path:
    """A home with recipes, prompts and samples of its own."""
    for name in (recipes.FOLDER, recipes.PROMPTS, reference.FOLDER):
        (tmp_path / name).mkdir(parents=True)
        for path in (HOME / name).iterdir():
            if path.is_file():
                (tmp_path / name / path.name).write_bytes(path.read_bytes())
    return tmp_path


# --- kappa


def test_kappa_is_agreement_beyond_chance() -> None:
    found = Counts(good_kept=20, good_dropped=5, bad_kept=10, bad_dropped=15)  # 0.7 agreed, 0.5 by chance

    assert (found.all, found.accuracy, round(found.kappa, 9)) == (50, 0.7, 0.4)


@pytest.mark.parametrize(
    ("counts", "kappa"),
    [
        (Counts(60, 0, 0, 60), 1.0),
        (Counts(0, 60, 60, 0), -1.0),
        (Counts(30, 30, 30, 30), 0.0),
        (Counts(60, 0, 60, 0), 0.0),
        (Counts(60, 0, 0, 0), 0.0),
        (Counts(), 0.0),
    ],
)
def test_kappa_at_its_ends(counts: Counts, kappa: float) -> None:
    assert counts.kappa == kappa


COUNTS = st.builds(Counts, *[st.integers(0, 40)] * 4)


@given(COUNTS)
def test_kappa_lies_between_its_ends_and_does_not_ask_who_is_who(found: Counts) -> None:
    turned = Counts(found.good_kept, found.bad_kept, found.good_dropped, found.bad_dropped)

    assert -1.0 <= found.kappa <= 1.0
    assert round(found.kappa - turned.kappa, 9) == 0


def test_an_interval_holds_its_kappa_is_the_same_each_time_and_wider_for_fewer() -> None:
    many, few = agreement(Counts(50, 10, 10, 50)), agreement(Counts(5, 1, 1, 5))

    assert many == agreement(Counts(50, 10, 10, 50))
    assert few.low < many.low < many.kappa == round(2 / 3, 4) < many.high < few.high
    assert many.low == pytest.approx(many.kappa - 1.96 * 0.068, abs=0.03)  # the standard error by Cohen's own formula


@pytest.mark.parametrize(
    ("found", "chance"),
    [
        (Agreement(Counts(), 0.5, 0.1, 0.9), False),
        (Agreement(Counts(), 0.5, 0.0, 0.9), True),
        (Agreement(Counts(), 0.19, 0.05, 0.3), True),
        (Agreement(Counts(), -0.8, -0.9, -0.7), True),
    ],
)
def test_chance_is_an_interval_with_zero_or_a_slight_kappa(found: Agreement, chance: bool) -> None:
    assert found.chance == chance


def test_pairs_are_counted() -> None:
    assert counted([(True, True), (True, False), (False, True), (False, False), (False, False)]) == Counts(1, 1, 1, 2)


# --- judges


async def test_a_judge_that_sees_clearly_agrees_fully() -> None:
    told: list[int] = []
    found = await asked(right, told=told)

    assert found.whole == Agreement(Counts(60, 0, 0, 60), 1.0, 1.0, 1.0)
    assert dict(found.kinds) == dict.fromkeys(KINDS, Agreement(Counts(20, 0, 0, 20), 1.0, 1.0, 1.0))
    assert {counts.accuracy for counts in found.steps.values()} == {1.0}
    assert (found.refused, found.doubtful, found.wrong, found.silent) == ("", (), (), 0)
    assert told == list(range(1, len(SET.questions) + 1))


@pytest.mark.parametrize(("opinion", "counts"), [(highest, Counts(24, 0, 24, 0)), (lowest, Counts(0, 24, 0, 24))])
async def test_a_judge_that_always_says_the_same_is_refused(opinion: Opinion, counts: Counts) -> None:
    found = await asked(opinion, SOME)

    assert found.whole == Agreement(counts, 0.0, 0.0, 0.0)
    assert found.refused == (
        "small judges no better than chance: its kappa is 0.00 (0.00 to 0.00). "
        "Set judge.url in configs/models/roles.yaml to a stronger model."
    )


async def test_a_judge_that_does_not_look_is_refused() -> None:
    found = await asked(coin, SOME)

    assert found.whole.low <= 0 < found.whole.high and found.whole.chance
    assert "no better than chance" in found.refused


async def test_a_judge_that_says_the_contrary_is_refused() -> None:
    found = await asked(contrary, SOME)

    assert found.whole.high < 0 and "no better than chance" in found.refused
    assert {counts.accuracy for counts in found.steps.values()} == {0.0}


async def test_a_judge_that_keeps_to_no_form_is_refused_with_that_and_was_asked_twice() -> None:
    async with Judge(lambda _: "I like it") as server:
        found = await asked_of(server, FEW)
        requests = len(server.to(CHAT))

    assert found.silent == found.questions == len(FEW.questions)
    assert requests == 1 + 2 * found.questions  # first, whether it answers at all
    assert found.refused.startswith(f"small cannot judge: it gave {found.silent} of {found.questions} questions no score")
    assert "it is no JSON" in found.refused and found.refused.endswith("roles.yaml to another model.")
    assert {one.score for one in found.wrong} == {None}


async def test_a_judge_that_is_no_good_for_one_kind_is_told_so_and_may_judge() -> None:
    found = await asked(lambda one: highest(one) if kind(one) == "knowledge" else right(one), SOME)

    assert (found.refused, found.doubtful) == ("", ("knowledge",))
    assert found.whole.counts == Counts(24, 0, 8, 16)
    assert "For knowledge samples it judges no better than chance." in calibrate.lines(found)


async def test_what_would_be_learned_wrongly_stands_before_what_is_only_lost() -> None:
    found = await asked(lambda one: 2 if one.step.config.scores == (1, 3) else contrary(one), SOME)
    order = [(one.good, one.score) for one in found.wrong]

    assert len(found.wrong) == calibrating.SHOWN
    assert not any(good for good, _ in order[: calibrating.SHOWN])
    assert found.wrong[0].theirs == f"because {found.wrong[0].score}" and found.wrong[0].ours


async def test_a_judge_is_asked_as_in_a_run() -> None:
    async with Judge(right) as server:
        await asked_of(server, FEW)
        bodies = [one.body for one in server.to(CHAT)[1:]]
    steps = {step.prompt: step for of in KINDS for step in recipes.load(HOME, of).steps}
    fields = [list(body["response_format"]["json_schema"]["schema"]["properties"]) for body in bodies]
    asked_for = [steps[body["messages"][0]["content"]] for body in bodies]

    assert len(bodies) == len(FEW.questions) and all(one == ["reason", "score"] for one in fields)
    assert all(
        set(json.loads(body["messages"][1]["content"])) <= set(step.config.gives)
        for body, step in zip(bodies, asked_for, strict=True)
    )
    assert {(body["temperature"], body["max_tokens"]) for body in bodies} == {(0.0, 256)}


async def test_a_judge_that_is_busy_is_asked_again() -> None:
    turned = set[str]()

    def busy_once(one: Question) -> int | tuple[Step, ...]:
        if (name := f"{one.step.name} {one.given}") in turned:
            return right(one)
        turned.add(name)
        return (answer(429, {"error": {"message": "later"}}, {"retry-after": "0"}),)

    found = await asked(busy_once, FEW)

    assert found.whole.kappa == 1.0


async def test_what_a_judge_cannot_read_gets_no_score() -> None:
    long = "This model's maximum context length is 64 tokens. However, you requested 700 tokens."

    def short(one: Question) -> int | tuple[Step, ...]:
        if kind(one) == "freeform":
            return (answer(400, {"error": {"message": long, "code": "context_length_exceeded"}}),)
        return right(one)

    found = await asked(short, FEW)

    assert found.silent == sum(kind(one) == "freeform" for one in FEW.questions) and "700 tokens" in found.trouble
    assert found.kinds["freeform"].counts == Counts(0, 1, 0, 2)


@pytest.mark.parametrize(("status", "error"), [(401, Failed), (503, Temporary)])
async def test_an_endpoint_that_refuses_is_told_as_what_it_is(status: int, error: type[Exception]) -> None:
    async with Judge(right, *answer_of(status)) as server:
        with pytest.raises(error):
            await asked_of(server, FEW)
        questions = len(server.to(CHAT))

    assert questions <= calibrating.TRIES * Endpoint(server.url).tries  # the plain one only


async def test_an_endpoint_that_goes_away_amid_the_questions_ends_them_all() -> None:
    async with Judge(lambda _: answer_of(503)) as server:
        with pytest.raises(Temporary, match="busy today"):
            await asked_of(server, FEW)


def answer_of(status: int) -> tuple[Step, ...]:
    return (answer(status, {"error": {"message": "busy today"}}),)


# --- what is kept


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    client = Client(Endpoint("http://127.0.0.1:1/v1"))
    yield Model(client, "small", "0123456789ab")
    await client.close()


def found_of(name: str, prompts: str = "sha256:a") -> Standing:
    full = agreement(Counts(20, 1, 2, 17))
    wrong = calibrating.Wrong("freeform", 3, "judge_pairs", "q", "a", False, 3, "ours", "theirs")
    kinds, steps = dict.fromkeys(KINDS, full), {"judge_pairs": full.counts}
    return Standing(name, "0123456789ab", "", prompts, "2026-11-23", full, kinds, steps, 261, 0, "", (wrong,))


def test_a_standing_is_found_again_by_its_judge_and_what_it_was_asked(tmp_path: Path, model: Model) -> None:
    for found in (found_of("small"), found_of("large"), found_of("small", "sha256:b"), found_of("small")):
        calibrating.keep(tmp_path, found)
    other = replace(model, version="")

    assert calibrating.standing(tmp_path, model, "sha256:a") == found_of("small")
    assert calibrating.standing(tmp_path, model, "sha256:b") == found_of("small", "sha256:b")
    assert [calibrating.standing(tmp_path, *of) for of in ((model, "sha256:c"), (other, "sha256:a"))] == [None, None]
    assert len(json.loads((tmp_path / "calibration.json").read_bytes())["standings"]) == 3


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"[]", b'{"version": 2, "standings": []}', b'{"version": 1}'])
def test_a_damaged_file_says_nothing_and_is_written_anew(tmp_path: Path, model: Model, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "calibration.json").write_bytes(content)
    before = calibrating.standing(tmp_path, model, "sha256:a")
    calibrating.keep(tmp_path, found_of("small"))

    assert (before, calibrating.standing(tmp_path, model, "sha256:a")) == (None, found_of("small"))


def test_a_damaged_row_is_left_out(tmp_path: Path, model: Model) -> None:
    calibrating.keep(tmp_path, found_of("small"))
    told = json.loads((tmp_path / "calibration.json").read_bytes())
    told["standings"] = [3, {"name": "small"}, {**told["standings"][0], "kinds": {}}, *told["standings"]]
    (tmp_path / "calibration.json").write_text(json.dumps(told), encoding="utf-8")

    assert calibrating.standing(tmp_path, model, "sha256:a") == found_of("small")


# --- the command


async def command(tmp_path: Path, url: str, role: str = "JUDGE", **more: Any) -> tuple[int, str, str]:
    """Its status, what it found, and what it said aside."""
    out, aside = list[str](), io.StringIO()
    environment = {"LABBOT_HOME": str(HOME), "LABBOT_DATA": str(tmp_path), **({f"LABBOT_{role}_URL": url} if url else {})}
    words = argparse.Namespace(json=False, **more) if "json" not in more else argparse.Namespace(**more)
    async with asyncio.timeout(BOUND_S):
        status = await asyncio.to_thread(calibrate.main, words, environment, out.append, aside)
    return status, "\n".join(out), aside.getvalue()


async def standing_at(url: str, folder: Path) -> Standing | None:
    """What is known of the judge `small` at a url."""
    client = Client(Endpoint(url))
    try:
        return calibrating.standing(folder, Model(client, "small"), SET.digest)
    finally:
        await client.close()


async def test_the_command_tells_how_a_judge_stands_and_keeps_it(tmp_path: Path) -> None:
    async with Judge(lambda one: 1 if one.step.name == "judge_pairs" else right(one)) as server:
        status, out, aside = await command(tmp_path, server.url)
        kept = await standing_at(server.url, tmp_path / "models")
    lines = out.splitlines()

    assert (status, aside.splitlines()[0], aside.splitlines()[-1]) == (
        0,
        "  0%  small 0 of 261 questions",
        "100%  small 261 of 261 questions",
    )
    assert kept and kept.whole.counts == Counts(40, 20, 0, 60) and kept.doubtful == ("freeform",)
    assert lines[0] == f"small, 261 questions, {kept.at}"
    assert lines[2].split() == "samples kappa 95% interval right good kept good dropped bad dropped bad kept".split()
    assert lines[3].split() == "freeform 40 0.00 0.00 to 0.00 50% 0 20 20 0".split()
    assert lines[4].split() == "grounded 40 1.00 1.00 to 1.00 100% 20 0 20 0".split()
    assert lines[6].split()[:4] == "in all 120 0.67".split()
    assert "judge_pairs" in out and "  freeform 1, judge_pairs: score 1, and it ought to keep it" in lines
    assert "    our reason: The sum is right and shown." in lines


async def test_a_judge_at_chance_ends_the_command_with_one_and_a_sentence(tmp_path: Path) -> None:
    async with Judge(highest) as server:
        status, out, aside = await command(tmp_path, server.url, json=True)
    told = json.loads(out)

    assert (status, told["refused"]) == (1, aside.splitlines()[-1])
    assert (told["whole"]["kappa"], told["accuracy"], told["kinds"]["grounded"]["counts"]["bad_kept"]) == (0.0, 0.5, 20)


async def test_a_judge_of_the_same_name_elsewhere_is_another_one(tmp_path: Path) -> None:
    async with Judge(highest) as server, Judge(right) as other:
        await command(tmp_path, server.url)
        known = [await standing_at(url, tmp_path / "models") for url in (server.url, other.url)]
        urls = [server.url, other.url]
    kept = (tmp_path / "models" / "calibration.json").read_text(encoding="utf-8")

    assert known[0] and known[0].refused and known[1] is None
    assert not any(url in kept for url in urls)  # an address may be nobody's business


async def test_without_a_judge_of_its_own_the_command_asks_the_teacher_as_a_run_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "load", lambda home: SOME)
    async with Judge(right) as server:
        status, out, _ = await command(tmp_path, server.url, role="TEACHER")

    assert (status, out.partition(" questions")[0]) == (0, f"small, {len(SOME.questions)}")


@pytest.mark.parametrize(
    ("urls", "whose"),
    [
        ({}, {"teacher": "teacher", "judge": "judge"}),
        ({"teacher": "http://127.0.0.1:9/v1"}, {"teacher": "teacher", "judge": "teacher"}),
        ({"judge": "http://127.0.0.1:9/v1"}, {"teacher": "teacher", "judge": "judge"}),
        (dict.fromkeys(("teacher", "judge"), "http://127.0.0.1:9/v1"), {"teacher": "teacher", "judge": "judge"}),
    ],
)
def test_a_role_without_a_url_is_the_teachers_where_that_has_one(
    tmp_path: Path, urls: dict[str, str], whose: dict[str, str]
) -> None:
    roles = RolesConfig.model_validate({role: {"url": url} for role, url in urls.items()})
    models = Models(roles, tmp_path, {})

    assert {role: asking.whose(models, role) for role in whose} == whose


async def test_a_judge_without_a_url_is_the_teachers_model_and_not_the_one_of_this_machine(tmp_path: Path) -> None:
    places = {"teacher": {"url": "http://127.0.0.1:9/v1", "model": "large"}, "judge": {"model": "small"}}
    models = Models(RolesConfig.model_validate(places), tmp_path, {})
    found = await asking.maker(models, tmp_path, "judge")
    await models.close()

    assert found and (found[0].url, found[1].name) == ("http://127.0.0.1:9/v1", "large")


async def test_where_there_is_no_judge_the_command_says_how_to_have_one(tmp_path: Path) -> None:
    status, out, aside = await command(tmp_path, "")

    assert (status, out) == (2, "")
    assert aside == (
        "there is no judge to ask Set one up with `labpipe model setup`, or set judge.url in configs/models/roles.yaml.\n"
    )


def test_labpipe_has_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LABBOT_DATA", str(tmp_path))
    monkeypatch.delenv("LABBOT_JUDGE_URL", raising=False)

    assert labpipe(["judge", "--calibrate", "--json"]) == 2
    assert capsys.readouterr().err.startswith("there is no judge to ask")


async def test_an_endpoint_that_does_not_answer_is_told_in_a_sentence_and_nothing_is_kept(tmp_path: Path) -> None:
    async with Judge(right, *answer_of(401)) as server:
        status, out, aside = await command(tmp_path, server.url)

    assert (status, out, "busy today" in aside, len(aside.splitlines())) == (1, "", True, 2)
    assert not (tmp_path / "models" / "calibration.json").exists()


async def test_what_a_judge_says_gives_a_terminal_no_command() -> None:
    hostile = json.dumps({"reason": "\x1b[2J\u202egone", "score": 1})
    found = await asked(lambda one: hostile, FEW)

    assert "\x1b" not in "\n".join(calibrate.lines(found)) and "\u202e" not in "\n".join(calibrate.lines(found))
    assert any("gone" in line for line in calibrate.lines(found))
