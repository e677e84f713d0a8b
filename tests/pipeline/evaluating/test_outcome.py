"""What is said of a comparison: by what it goes, and its sentence."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Invalid
from pipeline.evaluating import outcome, pairwise, regression, wording
from pipeline.evaluating.answers import Said, most
from pipeline.evaluating.outcome import Answered, Judged
from pipeline.evaluating.pairwise import Pair, Preference
from pipeline.evaluating.questions import Question, evenly, messages
from tests.conftest import HOME

LONG = "The old keeper of the lighthouse lit his lamp every evening before the sun had gone, in all weathers."


def question(wanted: str, name: str = "unseen") -> Question:
    return Question(name, 1, messages("What?", ""), "What?", (wanted,))


def answered(wanted: str, before: str, after: str, count: int = 1, name: str = "unseen") -> list[Answered]:
    return [Answered(question(wanted, name), Said(before), Said(after)) for _ in range(count)]


def test_right_and_wrong_decide_where_answers_are_short() -> None:
    found = outcome.compared([*answered("3 lamps", "no", "3 lamps", 8), *answered("3 lamps", "no", "no", 32)], Judged())

    assert (found["by"], found["before"]["right"], found["after"]["right"], found["verdict"]) == ("exact", 0, 8, "better")
    assert found["difference"] == {"share": 0.2, "low": 0.075, "high": 0.325, "p": 0.00781}
    assert found["sentence"] == "On 40 questions it never saw: before 0, after 8 (20%, between 8 and 32). Better."


def test_reworded_seed_questions_are_not_said_to_be_new() -> None:
    found = outcome.compared(answered("3 lamps", "no", "3 lamps", 30, "reworded"), Judged())

    assert found["sentence"].startswith("On 30 seed questions in other words: before 0, after 30 (100%, between 88 and 100).")


def test_words_decide_where_next_to_nothing_is_right_by_its_letters() -> None:
    found = outcome.compared(answered("3 lamps", "Mia wants chairs", "It is 3 lamps", 40), Judged())

    assert (found["by"], found["after"]["right"], found["verdict"]) == ("f1", 0, "better")
    assert found["sentence"] == (
        "On 40 questions it never saw: right to the letter before 0, after 0; of words shared with the wanted answer (F1), "
        "which tell more here, before 0.00, after 0.67 (between 0.61 and 0.70). Better."
    )


def test_by_what_it_goes_does_not_hang_on_which_model_was_right() -> None:
    """Else the choice of the test would favour one of them."""
    one = [*answered("3 lamps", "3 lamps", "no", 7), *answered("3 lamps", "no", "yes", 33)]
    other = [Answered(row.question, row.after, row.before) for row in one]

    assert outcome.compared(one, Judged())["by"] == outcome.compared(other, Judged())["by"] == "exact"
    assert [outcome.compared(rows, Judged())["verdict"] for rows in (one, other)] == ["worse", "better"]


def test_fewer_than_30_questions_are_too_few_and_have_their_figures_all_the_same() -> None:
    found = outcome.compared([*answered("3 lamps", "no", "3 lamps", 22), *answered("3 lamps", "no", "no", 2)], Judged())

    assert (found["verdict"], found["after"]["right"], found["difference"]["p"]) == ("few", 22, 4.77e-07)
    assert found["sentence"] == (
        "On 24 questions it never saw: before 0, after 22 (92%, between 79 and 100). Too few questions to tell: 30 are needed."
    )


def cut(before: int, after: int, count: int = 40) -> list[Answered]:
    """So many answers are cut; what is not is wrong before the training and right after it."""
    made = []
    for at in range(count):
        early = Said("Well, lamps", "cut", 64) if at < before else Said("no")
        late = Said("Well, lamps", "cut", 64) if at < after else Said("3 lamps")
        made.append(Answered(question("3 lamps"), early, late))
    return made


@pytest.mark.parametrize(
    ("before", "after", "verdict"), [(9, 0, "none"), (8, 0, "better"), (20, 20, "better"), (40, 0, "none")]
)
def test_nothing_is_better_where_a_fifth_was_cut_before_alone(before: int, after: int, verdict: str) -> None:
    found = outcome.compared(cut(before, after), Judged())

    assert (found["verdict"], found["withheld"]) == (verdict, "cut" if verdict == "none" else "")
    assert (found["before"]["cut"], found["after"]["cut"], found["cut_at"]) == (before, after, [64, 64])


def test_a_tuned_model_that_talks_on_is_worse_all_the_same() -> None:
    rows = [Answered(one.question, one.after, one.before) for one in cut(40, 0)]

    assert outcome.compared(rows, Judged())["verdict"] == "worse"


def test_a_base_that_was_cut_knew_more_than_is_seen_and_no_loss_cannot_be_said() -> None:
    found = outcome.kept(cut(40, 0), "questions")

    assert found is not None and found["withheld"] == "cut"
    assert found["sentence"].endswith(
        "Whether some of it is lost cannot be told: 40 of 40 answers before and 0 of 40 after were cut at 64 tokens."
    )


def test_wordings_of_a_question_are_counted_once_in_what_is_shown_and_tested() -> None:
    alone = [*answered("3 lamps", "no", "3 lamps", 8), *answered("3 lamps", "no", "no", 32)]
    rows = [
        Answered(replace(one.question, of=f"question {at}"), one.before, one.after)
        for at, one in enumerate(alone)
        for _ in "abc"
    ]

    one, three = outcome.compared(alone, Judged()), outcome.compared(rows, Judged())

    assert (three["asked"], three["independent"], three["difference"]) == (120, 40, one["difference"])
    assert [three["after"][name] for name in ("low", "high", "f1_low")] == [
        one["after"][name] for name in ("low", "high", "f1_low")
    ]


def test_without_a_judge_long_answers_are_compared_by_their_words() -> None:
    found = outcome.compared(answered(LONG, "No.", LONG[:60], 30), Judged(why="absent"))

    assert (found["by"], found["pairwise"], found["why_no_pairwise"]) == ("f1", None, pairwise.SAID["absent"])


def test_what_was_known_before_and_is_not_any_more_is_lost() -> None:
    rows = [*answered("3", "3", "woof", 9), *answered("3", "3.", "3", 31)]

    found = outcome.kept(rows, "questions")

    assert found is not None
    assert (found["before"]["right"], found["after"]["right"], found["verdict"]) == (40, 31, "lost")
    assert found["sentence"].startswith(
        "What it knew before, on 40 questions: 100% -> 78% (a difference between -35 and -10 points)"
    )
    assert found["sentence"].endswith("Some of it is lost.")
    assert outcome.kept([], "questions") is None


def test_a_practice_model_is_held_to_its_letters_and_others_to_their_words() -> None:
    rows = answered("3", "3.", "3", 30)

    sides = [
        (found["before"]["right"], found["after"]["right"])
        for source in ("practice", "questions")
        if (found := outcome.kept(rows, source))
    ]  # type: ignore[arg-type]  # both are sources

    assert sides == [(0, 30), (30, 30)]


def test_the_example_is_one_that_became_right() -> None:
    rows = [*answered("a b", "a b", "a b"), *answered("a b", "no", "a b"), *answered("a b", "no", "no")]

    shown = outcome.example(outcome.examples({"unseen": rows}, {"unseen": Judged()}))

    assert shown is not None and (shown["before"], shown["after"]) == ("no", "a b")
    assert outcome.example([]) is None


@given(st.integers(0, 1000), st.integers(1, 300))
def test_of_many_rows_some_are_shown_evenly(count: int, few: int) -> None:
    found = evenly(range(count), few)

    assert len(found) == min(count, few)
    assert found == sorted(set(found))


@pytest.mark.parametrize(("share", "said"), [(0.0, "0"), (0.001, "1"), (0.5, "50"), (0.999, "99"), (1.0, "100")])
def test_nearly_all_is_not_said_to_be_all(share: float, said: str) -> None:
    assert wording.whole(share) == said


# --- answers and votes


def test_an_answer_may_have_twice_the_tokens_that_the_wanted_one_needs() -> None:
    assert most(question("3 lamps")) == 64
    assert most(question("x" * 200)) == 256
    assert most(question(LONG)) == 512
    assert most(question("word " * 2000)) == 2048


@pytest.mark.parametrize(
    ("first", "second", "value", "why"),
    [
        ("B", "A", 1, ""),
        ("A", "B", -1, ""),
        ("same", "same", 0, "same"),
        ("A", "A", 0, "order"),
        ("B", "same", 0, "order"),
        (None, "A", 0, "silent"),
    ],
)
def test_a_preference_that_changes_with_the_order_is_none(first: str | None, second: str | None, value: int, why: str) -> None:
    votes = [{"better": one, "reason": "so"} if one else {"trouble": "none"} for one in (first, second)]

    assert pairwise.weighed(*votes) == Preference(value, why, "so" if value else "")


def test_what_is_the_same_or_empty_needs_no_judge() -> None:
    found = [pairwise.plain(Pair(question(LONG), *texts)) for texts in (("a", "a "), ("", "a"), ("a", " "), ("a", "b"))]

    assert found == [Preference(0, "same"), Preference(1), Preference(-1), None]


# --- what should not be forgotten


def test_general_questions_say_what_form_their_answers_have_and_accept_them_once() -> None:
    found = regression.load(HOME, "granite-3.3-2b")
    assert found is not None
    listed = regression.questions(found, "You are labbot.", Path("nowhere"), "granite-3.3-2b")

    assert len(listed) >= 40
    assert len({one.question for one in listed}) == len(listed)
    assert [one.question for one in listed if not re.search(r"(?i)only|with one word|nothing else", one.question)] == []
    assert all(regression.right("questions", one, f" {accepted.upper()}. ") for one in listed for accepted in one.accepted)
    assert {one.messages[0].content for one in listed} == {"You are labbot."}


def test_a_base_may_have_questions_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "configs" / "regression"
    folder.mkdir(parents=True)
    assert regression.load(tmp_path, "granite") is None

    (folder / "general.yaml").write_text("families: {a: [{asks: 'What is 1?', accepted: ['1']}]}", encoding="utf-8")
    (folder / "granite.yaml").write_text("families: {b: [{asks: 'What is 2?', accepted: ['2']}]}", encoding="utf-8")

    assert [list(found.families) for name in ("granite", "other") if (found := regression.load(tmp_path, name))] == [
        ["b"],
        ["a"],
    ]


def test_a_file_of_questions_with_mistakes_names_them_all(tmp_path: Path) -> None:
    folder = tmp_path / "configs" / "regression"
    folder.mkdir(parents=True)
    (folder / "general.yaml").write_text("families: {a: [{asks: '', accepted: []}]}\neach: 0\n", encoding="utf-8")

    with pytest.raises(Invalid) as caught:
        regression.load(tmp_path, "granite")

    assert len(caught.value.problems) == 3
