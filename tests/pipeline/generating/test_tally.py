"""What becomes of samples is counted and said; a run that leads to nothing ends, with advice, and never by bad luck."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pipeline.errors import Invalid
from pipeline.generating import plan, recipes
from pipeline.generating.asked import Out
from pipeline.generating.leaf import leaf
from pipeline.generating.plan import Start
from pipeline.generating.rows import Row, Score, Set, Why
from pipeline.generating.tally import Tally, upper
from pipeline.generating.underway import Sample
from tests.conftest import HOME

SEEDS = [{"question": f"Why {at}?", "answer": "So."} for at in range(5)]
LEAF = leaf(json.dumps({"task_description": "Teach it.", "seed_examples": SEEDS}), "a/b")
RECIPE = recipes.load(HOME, "freeform")
LIST, JUDGE, TEXT, PAIRS = RECIPE.steps


class Shown:
    """Shows the first five, and notes nothing."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    async def see(self, row: Row) -> None:
        self.rows += [row] if len(self.rows) < 5 else []


class Counting:
    """A tally of a run of 120 samples, with a clock of its own. `told`: what it said."""

    def __init__(self, wanted: int = 120, **changes: Any) -> None:
        self.now = 0.0
        self.told: list[tuple[float, dict[str, str]]] = []
        self.kept: list[Row] = []
        self.number = 0
        self.tally = Tally(
            recipes.load(HOME, "freeform", changes),
            {"train": wanted, "unseen": 0, "reworded": 0},
            keep=self.keep,
            repeated=lambda row: None,
            shown=Shown(),
            report=lambda fraction, facts: self.told.append((fraction, dict(facts))),
            clock=lambda: self.now,
        )

    async def keep(self, row: Row) -> None:
        self.kept.append(row)

    def row(self, seed: int = 1) -> Row:
        self.number += 1
        return Row(f"{self.number:012x}", self.number, "train", "freeform", "a/b", seed, f"Question {self.number}?", "So.")

    def passed(self, count: int, *steps: recipes.Step, which: Set = "train") -> None:
        for _ in range(count):
            for step in steps:
                self.tally.passed(step, Sample(start(which), 1, {}))

    async def good(self, count: int) -> None:
        for _ in range(count):
            self.passed(1, *RECIPE.steps)
            await self.tally.done(replace(self.row(), scores=(Score("judge_pairs", 3, "Good."),)))

    async def bad(self, count: int, at: str, why: Why, *, seed: int = 1, near: str = "", of: int = 0) -> None:
        for _ in range(count):
            row = self.row(seed).dropped(at, why, near, of)
            await self.tally.done(replace(row, scores=(Score(at, 0, "Nobody asked that."),)) if why == "score" else row)

    def lost(self, count: int, why: str, wrong: str = "", step: recipes.Step = LIST, which: Set = "train") -> None:
        for _ in range(count):
            self.tally.lost(start(which), step, Out(0, why, wrong))


def start(which: Set = "train") -> Start:
    return next(iter(plan.starts(LEAF, RECIPE, which, 10)))


def stopped(error: Invalid) -> tuple[Mapping[str, str], list[dict[str, Any]]]:
    """The facts of the problem, and its advice."""
    problem = error.problems[0]
    assert problem.code == "generate.few"
    return problem.facts, json.loads(problem.facts["advice"])


@pytest.mark.parametrize(
    ("at", "why", "near", "of", "advised"),
    [
        ("judge", "seed", "Why 1?", 2, {"code": "repeats_seed", "seed": 2, "of": 2, "other": "Why 1?", "reason": ""}),
        ("judge", "same", "Question 4?", 4, {"code": "repeats_sample", "seed": 3, "of": 4, "other": "Question 4?"}),
        ("judge", "near", "Question 4!", 4, {"code": "repeats_sample", "seed": 3, "of": 4, "other": "Question 4!"}),
        ("judge_questions", "score", "", 0, {"code": "off_topic", "seed": 3, "reason": "Nobody asked that.", "other": ""}),
        ("judge_pairs", "score", "", 0, {"code": "low_score", "seed": 3, "reason": "Nobody asked that.", "other": "So."}),
        ("answers", "malformed", "it is no JSON", 0, {"code": "malformed", "seed": 3, "reason": "it is no JSON"}),
        ("answers", "cut", "it is no JSON", 0, {"code": "malformed", "seed": 3, "reason": "it is no JSON"}),
        ("answers", "empty", "", 0, {"code": "malformed", "seed": 3, "reason": ""}),
        ("answers", "failed", "it broke off", 0, {"code": "failed", "seed": 3, "reason": "it broke off"}),
    ],
)
async def test_each_way_to_lose_all_samples_ends_the_run_with_its_own_advice(
    at: str, why: Why, near: str, of: int, advised: dict[str, Any]
) -> None:
    run = Counting()
    await run.bad(23, at, why, seed=3, near=near, of=of)

    with pytest.raises(Invalid) as caught:
        await run.bad(1, at, why, seed=3, near=near, of=of)

    facts, (first, *rest) = stopped(caught.value)
    assert (facts["kept"], facts["judged"], rest) == ("0", "24", [])
    assert (first["sample"], first["step"], first["count"], first["question"]) == (1, at, 24, "Question 1?")
    assert {name: first[name] for name in advised} == advised
    assert "sample 1 ('Question 1?')" in caught.value.problems[0].fix or first["code"] in ("malformed", "failed")
    assert len(run.kept) == 24


@pytest.mark.parametrize("why", ["malformed", "cut", "empty"])
def test_lists_that_cannot_be_read_end_the_run_with_what_is_wrong_with_them(why: str) -> None:
    run = Counting()
    run.lost(23, why, "it is no list: 'Sure!'")

    with pytest.raises(Invalid) as caught:
        run.lost(1, why, "it is no list: 'Sure!'")

    (first,) = stopped(caught.value)[1]
    assert (first["code"], first["step"], first["reason"]) == ("malformed", "questions", "it is no list: 'Sure!'")
    assert 'questions cannot be read: "it is no list' in caught.value.problems[0].fix


async def test_what_a_model_wrote_for_a_terminal_is_quoted() -> None:
    run = Counting()

    with pytest.raises(Invalid) as caught:
        for _ in range(24):
            scores = (Score("judge_pairs", 1, "\x1b[2J\x1b]0;mine\x07 bad"),)
            await run.tally.done(replace(run.row(), scores=scores, question="\x9b2J").dropped("judge_pairs", "score"))

    assert str(caught.value).isprintable() and "mine" in str(caught.value)


def test_lists_that_were_lost_are_told_by_step_and_reason_with_what_was_wrong_first() -> None:
    run = Counting()
    starts = list(plan.starts(LEAF, RECIPE, "train", 18))
    for at, why, wrong in ((2, "cut", "c"), (1, "cut", "b"), (0, "malformed", "a"), (2, "malformed", "d")):
        run.tally.lost(starts[at], LIST, Out(0, why, wrong))
    run.lost(1, "cut", "of a test", which="unseen")

    assert run.tally.lost_lists() == [
        {"step": "questions", "why": "cut", "count": 2, "wrong": "b"},
        {"step": "questions", "why": "malformed", "count": 2, "wrong": "a"},
    ]


def test_requests_for_lists_that_fail_end_the_run_and_say_so() -> None:
    run = Counting()
    run.lost(23, "failed", "the server broke off")

    with pytest.raises(Invalid) as caught:
        run.lost(1, "failed", "the server broke off")

    (first,) = stopped(caught.value)[1]
    assert (first["code"], first["step"], first["reason"]) == ("failed", "questions", "the server broke off")


async def test_what_most_were_dropped_for_comes_first() -> None:
    run = Counting()
    await run.bad(1, "judge_questions", "score", seed=1)
    await run.bad(20, "judge", "seed", seed=2, near="Why 4?", of=5)
    with pytest.raises(Invalid) as caught:
        await run.bad(9, "judge", "near", seed=3, near="Question 1?", of=1)

    _, advice = stopped(caught.value)
    assert [one["code"] for one in advice] == ["repeats_seed", "repeats_sample", "off_topic"]
    assert (advice[0]["count"], advice[2]["count"]) == (20, 1)
    assert caught.value.problems[0].fix.startswith("sample 2 ('Question 2?') repeats seed 5 ('Why 4?')")


async def test_bad_luck_at_the_beginning_ends_nothing() -> None:
    run = Counting()

    await run.bad(20, "judge_questions", "score")
    await run.good(20)
    await run.bad(30, "judge_questions", "score")

    assert run.tally.kept["train"] == 20


async def test_where_a_little_more_survives_than_must_the_run_goes_on() -> None:
    run = Counting(wanted=1000)

    for _ in range(250):
        await run.good(1)
        await run.bad(3, "judge_pairs", "score")

    assert (run.tally.kept["train"], run.tally.finished["train"]) == (250, 1000)


async def test_where_a_good_deal_less_survives_than_must_the_run_ends_in_time() -> None:
    run = Counting(wanted=1000)

    with pytest.raises(Invalid) as caught:
        for _ in range(100):
            await run.good(1)
            await run.bad(9, "judge_pairs", "score")

    assert 24 <= int(stopped(caught.value)[0]["judged"]) <= 200


async def test_a_share_of_nothing_never_ends_a_run() -> None:
    run = Counting(**{"stop.share": 0})

    await run.bad(500, "judge_pairs", "score")

    assert run.tally.facts()["dropped"] == "500"


def test_the_interval_is_wilsons() -> None:
    assert [round(upper(kept, judged), 3) for kept, judged in ((0, 24), (6, 24), (24, 24), (250, 1000))] == [
        0.138,
        0.449,
        1.0,
        0.278,
    ]


async def test_the_facts_are_those_of_the_samples_that_train() -> None:
    run = Counting()
    await run.good(7)
    run.passed(2, LIST)
    await run.bad(2, "judge_questions", "score")
    run.passed(3, LIST, JUDGE)
    await run.bad(3, "answers", "cut")
    run.passed(9, LIST, which="unseen")
    await run.tally.done(replace(run.row(), set="unseen"))
    await run.tally.done(replace(run.row(), set="reworded").dropped("judge_rewordings", "score"))
    run.lost(2, "malformed")

    facts = run.tally.facts()

    assert {name: facts[name] for name in ("wanted", "kept", "dropped", "held")} == {
        "wanted": "120",
        "kept": "7",
        "dropped": "5",
        "held": "1",
    }
    assert json.loads(facts["steps"]) == [
        ["questions", 12, 0],
        ["judge_questions", 10, 2],
        ["answers", 7, 3],
        ["judge_pairs", 7, 0],
    ]
    assert json.loads(facts["reasons"]) == {"judge_questions:score": 2, "answers:cut": 3, "questions:malformed": 2}
    first = json.loads(facts["first"])
    assert first[0] == {"id": "000000000001", "number": 1, "question": "Question 1?", "answer": "So."}
    assert [one["number"] for one in first] == [1, 2, 3, 4, 5]
    assert all(isinstance(value, str) for value in facts.values())


@pytest.mark.parametrize(("sign", "count"), [("a", 397), ("灯", 132), ("🗼", 99)])
async def test_the_first_samples_are_told_in_few_bytes_whatever_their_language(sign: str, count: int) -> None:
    run = Counting()
    for _ in range(5):
        run.passed(1, *RECIPE.steps)
        await run.tally.done(replace(run.row(), question=sign * 400, answer=sign * 9000))

    facts = run.tally.facts()

    assert len(json.dumps(facts)) < 14_000  # as a step is kept, of which there are many
    first = json.loads(facts["first"])
    assert first[0]["answer"] == sign * count + "…"


async def test_how_it_goes_is_said_once_a_second_and_the_last_time_in_any_case() -> None:
    run = Counting()
    for at in range(40):
        run.now = at / 10
        await run.good(1)
    run.tally.tell(last=True)

    assert len(run.told) == 5
    fractions = [fraction for fraction, _ in run.told]
    assert fractions == sorted(fractions) and fractions[-1] == 40 / 120
    assert run.told[-1][1]["kept"] == "40"


async def test_the_time_that_is_left_follows_from_how_fast_samples_come_to_their_end() -> None:
    run = Counting()
    assert not {"low_s", "high_s"} & run.tally.facts().keys()

    await run.good(30)
    run.now = 60.0

    facts = run.tally.facts()
    assert (facts["low_s"], facts["high_s"]) == ("144", "234")  # a quarter took a minute


async def test_a_run_that_led_to_fewer_samples_than_were_asked_for_comes_to_its_end_all_the_same() -> None:
    run = Counting(wanted=12)
    for _ in range(2):
        run.tally.began(start())
    run.lost(1, "malformed")

    await run.good(6)

    assert run.tally.fraction == 1.0


async def test_samples_that_are_dropped_early_end_no_run_whose_others_are_only_not_done_yet() -> None:
    run = Counting()
    run.passed(174, LIST)
    run.passed(104, JUDGE)

    await run.bad(70, "judge_questions", "score")

    assert run.tally.kept["train"] == 0
    with pytest.raises(Invalid):
        await run.bad(500, "judge_questions", "score")


async def test_steps_that_each_drop_a_half_end_a_run_of_which_too_few_survive_them_all() -> None:
    run = Counting(wanted=4000)

    with pytest.raises(Invalid):
        for _ in range(500):
            await run.good(1)
            await run.bad(8, "judge_questions", "score")
            run.passed(4, LIST, JUDGE)
            await run.bad(2, "answers", "malformed")
            run.passed(2, LIST, JUDGE, TEXT)
            await run.bad(2, "judge_pairs", "score")


async def test_lists_of_the_tests_that_are_lost_do_not_end_a_run() -> None:
    run = Counting()

    run.lost(50, "malformed", which="unseen")
    await run.good(3)

    assert (run.tally.facts()["reasons"], run.tally.facts()["kept"]) == ("{}", "3")


async def test_of_one_advice_the_seed_example_comes_first_that_it_was_given_for_most() -> None:
    run = Counting()
    await run.bad(3, "judge", "seed", near="Why 0?", of=1)
    with pytest.raises(Invalid) as caught:
        await run.bad(24, "judge", "seed", near="Why 4?", of=5)

    assert [one["seed"] for one in stopped(caught.value)[1]] == [5, 1]


async def test_what_was_there_before_does_not_make_the_time_that_is_left_shorter() -> None:
    run = Counting()
    done = "0"
    run.tally._facts = lambda: {"done": done}
    await run.good(60)
    run.now, done = 100.0, "1"
    assert "low_s" not in run.tally.facts()

    await run.good(30)
    run.now = 160.0

    assert run.tally.facts()["high_s"] == "78"  # a quarter took a minute, and one is left
