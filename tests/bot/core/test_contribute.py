"""What typed and pasted text means, whatever it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.contribute import SKILL, entry
from bot.core.form import items, stands
from bot.core.reading import change_of, pairs
from bot.core.words import pick
from pipeline.taxonomy import SeedExample, Skill, Work
from tests.bot.core.conftest import TABLES

WORDS = pick(TABLES, "en")
PART = st.text(st.characters(categories=("L", "S", "Po"), exclude_characters=":*#-"), min_size=1, max_size=12)
TEXT = st.lists(PART, min_size=1, max_size=8).map(" ".join)

PASTED = [
    ("question: a answer: b", [{"question": "a", "answer": "b"}]),
    ("Question: a\nAnswer: b\n\nQ: c\nA: d", [{"question": "a", "answer": "b"}, {"question": "c", "answer": "d"}]),
    (
        "1. question: a\n   answer: b\n2. question: c\n   answer: d",
        [{"question": "a", "answer": "b"}, {"question": "c", "answer": "d"}],
    ),
    ("**Question 1:** a\n**Answer:** b", [{"question": "a", "answer": "b"}]),
    ("- Q: a\n- A: b", [{"question": "a", "answer": "b"}]),
    ("question: a answer: b question: c answer: d", [{"question": "a", "answer": "b"}, {"question": "c", "answer": "d"}]),
    ("question: what? answer: the question: is hard", [{"question": "what?", "answer": "the question: is hard"}]),
    ("question: sum of a: b answer: item: a | kind: b", [{"question": "sum of a: b", "answer": "item: a | kind: b"}]),
    ("answer: only", [{"answer": "only"}]),
    ("question: only", [{"question": "only"}]),
    ("here is one. question: a answer: b", []),
    ("just words", []),
    ("", []),
]


@pytest.mark.parametrize(("text", "found"), PASTED, ids=[text[:30] for text, _ in PASTED])
def test_pasted_examples_are_read_as_they_were_meant(text: str, found: list[dict[str, str]]) -> None:
    assert pairs(text, WORDS) == found


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_labelled_pairs_without_colons_in_them_come_back_as_they_went_in(written: list[tuple[str, str]]) -> None:
    text = "\n".join(f"question: {question}\nanswer: {answer}" for question, answer in written)

    assert pairs(text, WORDS) == [{"question": question, "answer": answer} for question, answer in written]


@given(st.text())
def test_any_text_can_be_read_for_pairs(text: str) -> None:
    assert isinstance(pairs(text, WORDS), list)


def test_a_text_of_which_nothing_is_left_as_a_name_is_kept_as_it_was_typed() -> None:
    login = next(item for item in items(SKILL, {}) if item.key == "sources.github")

    assert [change_of(login, typed, WORDS)[login.key] for typed in ("@", "https://github.com/", "/", "@alice")] == [
        "@",
        "https://github.com/",
        "/",
        "alice",
    ]


@given(st.sampled_from(items(SKILL, {"sources.origin": "other"})), st.text())
def test_any_text_can_be_an_answer_and_is_kept_if_it_is_not_understood(item: object, typed: str) -> None:
    change = change_of(item, typed, WORDS)  # type: ignore[arg-type]

    assert bool(change[item.key]) == bool(typed.strip())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("typed", "value"), [("Mine", "own"), ("My own work", "own"), ("OTHER", "other"), ("perhaps", "perhaps"), ("  own ", "own")]
)
def test_a_choice_is_understood_as_people_type_it(typed: str, value: str) -> None:
    item = next(item for item in items(SKILL, {}) if item.key == "sources.origin")

    assert change_of(item, typed, WORDS) == {item.key: value}


@pytest.mark.parametrize("typed", ["apache 2.0", "Apache-2.0", "APACHE_2.0"])
def test_a_licence_is_understood_as_people_write_it(typed: str) -> None:
    item = next(item for item in items(SKILL, {"sources.origin": "other"}) if item.key == "work.1.licence")

    assert change_of(item, typed, WORDS) == {item.key: "Apache-2.0"}


def test_a_github_name_is_taken_out_of_what_people_paste() -> None:
    item = next(item for item in items(SKILL, {}) if item.key == "sources.github")

    typed = ("@alice", "https://github.com/alice/", " alice ")
    assert [change_of(item, text, WORDS)[item.key] for text in typed] == ["alice"] * 3


def test_complete_answers_are_an_entry() -> None:
    answers = {
        "example": "2 1",
        "about.description": "d",
        "sources.origin": "own",
        "sources.github": "alice",
        "place.path": "p",
    }
    answers |= {"example.1.question": "q1", "example.1.answer": "a1", "example.2.question": "q2", "example.2.answer": "a2"}

    assert entry("skill", answers) == Skill(
        "p", "alice", "d", (SeedExample("q2", "a2"), SeedExample("q1", "a1")), (Work("d", "-", "Apache-2.0", "alice"),)
    )


def test_the_next_question_is_computed_from_what_is_there() -> None:
    keys = []
    answers: dict[str, str] = {}
    given_answers = {
        "about.description": "d",
        "sources.origin": "own",
        "sources.github": "alice",
        "place.path": "linguistics/x",
    }
    while (item := stands(SKILL, answers)) and len(keys) < 30:
        keys.append(item.key)
        answers[item.key] = given_answers.get(item.key, f"text {len(keys)}")
        if item.part:
            answers[item.page.name] = " ".join(str(part) for part in range(1, item.part + 1))

    assert keys == [
        "about.description",
        *(f"example.{part}.{name}" for part in range(1, 6) for name in ("question", "answer")),
        "sources.origin",
        "sources.github",
        "place.path",
    ]
