"""What the FAQ is known not to say keeps it from answering; where it does not say how it is asked, synonyms help to find."""

import json
import logging
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bot.faq import Faq
from bot.faq.akin import SYNONYMS, akin
from bot.faq.answer import NOT_SAID, OFF_TOPIC
from bot.faq.index import build, phrasings_of
from bot.faq.words import words
from tests.conftest import HOME

SHIPPED = HOME / "configs" / "faq"
QUESTIONS = HOME / "tests" / "bench" / "faq" / "questions.jsonl"
IN_A_ROW = 5
PLAIN = "## Dogs\n\nThey must stay outside.\n\n## Price of a ticket\n\nTen euros.\n\n## Schedule\n\nFrom nine to five.\n"


def listed(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


@cache
def shipped() -> Faq:
    return Faq([SHIPPED])


@pytest.mark.parametrize("path", [NOT_SAID, OFF_TOPIC])
def test_what_is_listed_as_not_said_is_hardly_ever_answered(path: Path) -> None:
    lines = listed(path)
    answered = [line for line in lines if shipped().ask(line).answered]

    assert len(answered) < 0.05 * len(lines)


@pytest.mark.parametrize("path", [NOT_SAID, OFF_TOPIC])
def test_no_listed_question_is_one_that_an_entry_is_asked_by_and_none_is_there_twice(path: Path) -> None:
    asked = {tuple(words(text)) for entry in shipped().entries for text in phrasings_of(entry)}
    lines = [tuple(words(line)) for line in listed(path)]

    assert len(lines) > 100
    assert [line for line in lines if line in asked] == []
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize("path", [NOT_SAID, OFF_TOPIC])
def test_no_listed_question_shares_five_words_in_a_row_with_the_held_out_questions(path: Path) -> None:
    rows = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    held = {run for row in rows for text in (row["question"], *row.get("history", [])) for run in runs(text)}

    assert [line for line in listed(path) if runs(line) & held] == []


def runs(text: str) -> set[tuple[str, ...]]:
    found = re.findall(r"[a-z0-9]+", text.lower())
    return {tuple(found[start : start + IN_A_ROW]) for start in range(len(found) - IN_A_ROW + 1)}


def test_a_question_beside_the_answers_is_surer_of_a_no_with_the_list_than_without(tmp_path: Path) -> None:
    """None of these stands in the list."""
    empty = tmp_path / "none.txt"
    empty.write_text("", encoding="utf-8")
    without = Faq([SHIPPED], not_said=empty)
    beside = ["is there an android app for granite", "how much does a merged skill pay", "ios app to chat with merlinite"]

    for question in beside:
        assert shipped().ask(question).score < without.ask(question).score


def test_an_faq_that_does_not_say_how_it_is_asked_leaves_our_list_alone(tmp_path: Path) -> None:
    (tmp_path / "faq.md").write_text(PLAIN, encoding="utf-8")
    (tmp_path / "not.txt").write_text("what does a ticket cost\nmay dogs come in\n" * 10, encoding="utf-8")
    asked = ["ticket", "what does a ticket cost", "may dogs come in", "who is the king"]
    with_list, without = (Faq([tmp_path / "faq.md"], not_said=tmp_path / name) for name in ("not.txt", "none.txt"))

    assert [with_list.ask(one) for one in asked] == [without.ask(one) for one in asked]


def test_a_list_that_is_not_there_is_said_and_the_faq_answers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "faq.md").write_text(PLAIN, encoding="utf-8")
    faq = Faq([tmp_path / "faq.md"], not_said=tmp_path / "none.txt")

    assert faq.ask("dogs").hits[0].title == "Dogs"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_change_of_the_list_is_another_state(tmp_path: Path) -> None:
    path = tmp_path / "not.txt"
    digests = []
    for text in ("a\n", "b\n"):
        path.write_text(text, encoding="utf-8")
        digests.append(Faq([SHIPPED / "hardware.md"], not_said=path).digest)

    assert digests[0] != digests[1]


def test_a_follow_up_in_words_that_nobody_knows_counts_for_less_than_one_in_known_words() -> None:
    before = ["what is merlinite"]

    assert shipped().ask("and its zither?", before).score < shipped().ask("and its licence?", before).score


@pytest.mark.parametrize(
    ("question", "title"),
    [("what does it cost", "Price of a ticket"), ("how much is the fee", "Price of a ticket"), ("the date", "Schedule")],
)
def test_synonyms_find_what_is_called_otherwise(tmp_path: Path, question: str, title: str) -> None:
    (tmp_path / "faq.md").write_text(PLAIN, encoding="utf-8")

    assert Faq([tmp_path]).ask(question).hits[0].title == title


def test_a_word_stands_for_all_others_of_its_groups_and_not_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "synonyms.txt"
    path.write_text("# a comment\nprice cost\ncost fee fees\n", encoding="utf-8")

    assert akin(path) == {"price": {"cost"}, "cost": {"price", "fee"}, "fee": {"cost"}}


def test_without_synonyms_nothing_stands_for_anything(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert akin(tmp_path / "none.txt") == {}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_every_group_of_synonyms_has_two_words_or_more() -> None:
    assert [line for line in listed(SYNONYMS) if len(set(words(line))) < 2] == []


def test_ridge_remembers_what_solves_its_equation() -> None:
    """(K + I) M = Y, K from the cosines of each phrasing with each, Y the entry that it belongs to."""
    entries = Faq([SHIPPED / "hardware.md", SHIPPED / "models.md"]).entries
    index = build(entries, ["who pays for this", "is there an app"], ridge=True)
    texts = [text for entry in entries for text in phrasings_of(entry)]
    alike = np.array([index.phrasings.nearness(words(text)) for text in (*texts, "who pays for this", "is there an app")])
    memory = index.phrasings.memory
    owners = [number for number, entry in enumerate(entries) for _ in phrasings_of(entry)] + [len(entries)] * 2

    assert memory is not None
    np.testing.assert_allclose(alike @ memory + memory, np.eye(len(entries) + 1)[owners], atol=0.03)
