"""What people type in a chat: what is taken off, what is mended, what is two questions, what leans on the last one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.faq import index
from bot.faq.load import entries
from bot.faq.words import clean, follows, parts, plain, questions, words


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("hey <@123>, do i need a gpu?", "do i need a gpu?"),
        ("@labbot hello! what is a skill, thanks a lot", "what is a skill"),
        ("does anybody know where the slack is pls", "where the slack is"),
        ("quick question: can i use python 3.9?", "can i use python 3.9?"),
        ("i was wondering if poems are ok :wave:", "poems are ok"),
        ("hi", "hi"),
        ("thanks!", "thanks!"),
    ],
)
def test_greetings_mentions_and_thanks_are_taken_off_unless_nothing_else_is_said(said: str, left: str) -> None:
    assert clean(said) == left


@given(st.text(max_size=80))
def test_cleaning_never_takes_the_last_word(text: str) -> None:
    assert bool(words(clean(text))) == bool(words(text))


def test_words_are_folded_and_chats_short_forms_written_out() -> None:
    assert words("Whats THE project’s licénce, y do u ask?") == [
        "what",
        "is",
        "the",
        "project",
        "license",
        "why",
        "do",
        "you",
        "ask",
    ]


def test_british_and_american_spellings_are_the_same_word() -> None:
    british = "licence licences colour behaviours organise organised organising organisation your hour this is four"
    american = "license licenses color behaviors organize organized organizing organization your hour this is four"

    assert words(british) == words(american) == american.split()


def test_marks_and_addresses_are_no_words() -> None:
    assert plain("See **the** [guide](https://x.example/a_b) and `ilab_run`.").split() == [
        "See",
        "the",
        "guide",
        "and",
        "ilab_run.",
    ]


def test_two_questions_are_taken_apart_and_an_introduction_is_none() -> None:
    two = [part for part in parts("what is a skill and how do i submit one? thanks") if questions(part)]
    one = [part for part in parts("My laptop is old. Can I train on it?") if questions(part)]

    assert (two, one) == (["what is a skill", "how do i submit one"], ["Can I train on it"])


@pytest.mark.parametrize("said", ["and on a mac?", "what about windows?", "how long does it take?", "why not"])
def test_a_question_that_points_back_leans(said: str) -> None:
    assert follows(said)


def test_a_question_that_stands_alone_does_not_lean() -> None:
    assert not follows("What is the licence of the documentation?")


FAQ = entries("## How do I install the command line tool?\n\nWith pip.\n\n## What is knowledge?\n\nFacts.\n", "faq.md")
BUILT = index.build(FAQ, ridge=True)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("comand", "command"),
        ("isntall", "install"),
        ("knowlege", "knowledge"),
        ("waht", "what"),
        ("commandline", "command line"),
        ("whit", "whit"),
    ],
)
def test_a_mistyped_word_is_read_as_the_one_that_is_meant(typed: str, meant: str) -> None:
    assert index.mended(BUILT, [typed]) == meant.split()


def test_names_with_digits_and_short_words_are_left_alone() -> None:
    assert index.mended(BUILT, ["facts2", "tol", "what"]) == ["facts2", "tol", "what"]
