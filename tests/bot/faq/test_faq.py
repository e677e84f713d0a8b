"""The FAQ answers what it knows, with the source, and says so when it does not."""

import json
import logging
import os
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.faq import Faq
from bot.faq.short import short
from tests.conftest import HOME

SHIPPED = HOME / "configs" / "faq"
QUESTIONS = HOME / "tests" / "bench" / "faq" / "questions.jsonl"
IN_A_ROW = 5

NOTES = """# Mailbox

Welcome.

## Sending

### How do I send a letter?

Put it into the box at the door. It is emptied at noon.

```
## not a heading
```

### What does a stamp cost?

A stamp costs 85 cents. Ask for [other sizes](sizes.md).

## Words

| Term | Meaning |
| --- | --- |
| Franking | Paying for a letter by a stamp or a machine |
"""
BOLD = """# Garden FAQ

**Q: When are tulips planted?**

In autumn. They need the cold.

**Q: How often are roses cut?**

Twice a year, in March and in July.

**Which soil do ferns like?**

A moist one.
"""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Faq:
    return Faq([SHIPPED], cache=tmp_path_factory.mktemp("faq"))


def first(faq: Faq, question: str, *history: str) -> str:
    return faq.ask(question, history).hits[0].title


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("hey, do I need a gpu for this?", "What hardware and software do I need?"),
        ("waht is a groundd skil", "How do I write a grounded skill?"),
        ("<@42> who are you", "What can labbot do?"),
        ("is there a slack, pls?", "Where do I ask a question about the project?"),
    ],
)
def test_what_people_type_finds_the_entry(shipped: Faq, question: str, title: str) -> None:
    reply = shipped.ask(question)

    assert reply.answered
    assert title in [hit.title for hit in reply.hits[:3]]


@pytest.mark.parametrize(
    "question", ["how do i bake a cake", "what is the capital of mongolia", "zzz qqq", "who won the match"]
)
def test_what_it_does_not_know_is_not_answered_and_the_nearest_are_named(shipped: Faq, question: str) -> None:
    reply = shipped.ask(question)

    assert (reply.answered, reply.answer, len(reply.hits)) == (False, "", 5)


@pytest.mark.parametrize("question", ["", "  ", "?!", "👍"])
def test_nothing_asked_is_nothing_found(shipped: Faq, question: str) -> None:
    reply = shipped.ask(question)

    assert (reply.answered, reply.offered, reply.score, reply.hits) == (False, False, 0.0, ())


@settings(deadline=None)  # the first builds the index
@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=3))
def test_no_question_fails(question: str, history: list[str]) -> None:
    reply = small().ask(question, history)

    assert len(reply.hits) <= 5
    assert 0 <= reply.score <= 1
    assert not (reply.answered and reply.offered)


@cache
def small() -> Faq:
    return Faq([HOME / "configs" / "faq" / "hardware.md", HOME / "configs" / "faq" / "glossary.md"])


def test_a_log_that_somebody_pastes_takes_no_longer_than_its_beginning(shipped: Faq) -> None:
    log = "ERROR llama_cpp failed to load model at 0x7f " * 3000

    assert shipped.ask(log) == shipped.ask(log[:1000])


def test_every_phrasing_leads_to_its_own_entry(shipped: Faq) -> None:
    entries = shipped.entries
    wrong = [text for entry in entries for text in entry.asked[:3] if first(shipped, text) != entry.title]

    assert wrong == []


def test_a_follow_up_leans_on_the_question_before(tmp_path: Path) -> None:
    (tmp_path / "faq.md").write_text(
        "## What does a stamp cost?\n\n85 cents.\n\n## What does a parcel cost?\n\n4 euros.\n\n## Where is the box?\n\nHere.\n",
        encoding="utf-8",
    )
    faq = Faq([tmp_path])
    asked = {first(faq, "and what does it cost?", f"where do i get a {thing}?") for thing in ("stamp", "parcel")}

    assert asked == {"What does a stamp cost?", "What does a parcel cost?"}


def test_a_question_that_is_asked_word_for_word_is_answered_whatever_was_said_before(shipped: Faq) -> None:
    reply = shipped.ask("who are you", ["what is merlinite"])

    assert (reply.hits[0].title, reply.score) == ("What can labbot do?", 0.99)


def test_two_questions_find_two_entries(shipped: Faq) -> None:
    reply = shipped.ask("what is merlinite and where do i ask for help?")

    assert {hit.title for hit in reply.hits[:2]} == {"What is Merlinite-7b?", "Where do I ask a question about the project?"}
    assert reply.answer == "\n\n".join(hit.short for hit in reply.hits[:2])
    assert (reply.count, shipped.ask("what is merlinite").count, shipped.ask("how do i bake a cake").count) == (2, 1, 0)


def test_scores_are_shares_and_fall(shipped: Faq) -> None:
    for question in ("what is a skill", "gpu", "how do i bake a cake"):
        reply = shipped.ask(question)
        scores = [hit.score for hit in reply.hits]

        assert 0 <= scores[-1] <= scores[0] <= reply.score <= 1


def test_answers_are_two_sentences_at_most_and_the_rest_is_there(shipped: Faq) -> None:
    for entry in shipped.entries:
        told, rest = short(entry, entry.asked[0], {})

        assert told and len(re.findall(r"[.!?](?=\s|$)", told)) <= 2
        assert re.sub(r"\s+", "", entry.body) == re.sub(r"\s+", "", told + rest)


def test_the_sentence_with_the_number_is_told_where_a_number_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "faq.md").write_text(
        "## Stamps\n\nThere are many kinds. A stamp for a letter is 85 cents. Others cost more.\n\n## Boxes\n\nRed.\n",
        encoding="utf-8",
    )
    (entry, _) = Faq([tmp_path]).entries

    assert short(entry, "how much is a stamp for a letter?", {})[0] == "A stamp for a letter is 85 cents."


@pytest.mark.parametrize(
    ("text", "question", "title"),
    [
        (NOTES, "whats a stamp cost", "What does a stamp cost?"),
        (NOTES, "how can i send letters", "How do I send a letter?"),
        (NOTES, "what is franking?", "Glossary: Franking"),
        (BOLD, "when do i plant a tulip", "When are tulips planted?"),
        (BOLD, "soil for a fern", "Which soil do ferns like?"),
    ],
)
def test_other_projects_faqs_are_answered_from(tmp_path: Path, text: str, question: str, title: str) -> None:
    (tmp_path / "faq.md").write_text(text, encoding="utf-8")

    assert first(Faq([tmp_path]), question) == title


def test_files_are_read_again_when_they_change(tmp_path: Path) -> None:
    path = tmp_path / "faq.md"
    path.write_text(BOLD, encoding="utf-8")
    faq = Faq([tmp_path])
    before = faq.digest
    unchanged = faq.refresh()
    path.write_text(BOLD.replace("roses", "hedges"), encoding="utf-8")

    assert (unchanged, first(faq, "how often are hedges cut")) == (False, "How often are hedges cut?")
    assert faq.digest != before
    path.unlink()
    assert (faq.refresh(), faq.ask("how often are hedges cut").hits) == (True, ())


def test_bad_files_are_problems_and_the_others_answer(tmp_path: Path) -> None:
    (tmp_path / "good.md").write_text(BOLD, encoding="utf-8")
    (tmp_path / "bad.md").write_bytes(b"## caf\xe9\n")
    faq = Faq([tmp_path, tmp_path / "none.md"])

    assert [(problem.code, problem.where) for problem in faq.problems] == [
        ("faq.encoding", "bad.md"),
        ("faq.unreadable", "none.md"),
    ]
    assert first(faq, "tulips") == "When are tulips planted?"


def test_the_same_files_give_the_same_replies_with_a_cache_and_without(tmp_path: Path) -> None:
    (tmp_path / "faq.md").write_text(NOTES, encoding="utf-8")
    cached = [Faq([tmp_path / "faq.md"], cache=tmp_path / "cache") for _ in range(2)]
    plain = Faq([tmp_path / "faq.md"])
    asked = ["stamp", "how do i send mail", "who is the king"]

    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert [[faq.ask(one) for one in asked] for faq in cached] == [[plain.ask(one) for one in asked]] * 2


def test_a_broken_cache_is_made_anew_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "faq.md").write_text(NOTES, encoding="utf-8")
    before = Faq([tmp_path / "faq.md"], cache=tmp_path / "cache").ask("stamp")
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(b"nonsense")

    assert Faq([tmp_path / "faq.md"], cache=tmp_path / "cache").ask("stamp") == before
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert kept.stat().st_size > len(b"nonsense")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "faq.md").write_text(NOTES, encoding="utf-8")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)

    assert first(Faq([tmp_path / "faq.md"], cache=locked / "faq"), "stamp") == "What does a stamp cost?"


@pytest.mark.parametrize("text", ["", "# Only a title\n", "## One?\n\nYes.\n", "## One?\n\nYes.\n\n## Two?\n\nNo.\n"])
def test_an_faq_of_hardly_anything_does_not_fail(tmp_path: Path, text: str) -> None:
    (tmp_path / "faq.md").write_text(text, encoding="utf-8")
    reply = Faq([tmp_path]).ask("one")

    assert [hit.title for hit in reply.hits][:1] in ([], ["One?"])


def test_an_entry_is_found_by_its_id(shipped: Faq) -> None:
    hit = shipped.ask("what is a skill").hits[0]
    entry = shipped.entry(hit.id)

    assert entry is not None
    assert (entry.title, shipped.entry("none"), shipped.hit("none")) == (hit.title, None, None)
    assert shipped.hit(hit.id) == replace(hit, score=1.0)


def test_no_phrasing_shares_five_words_in_a_row_with_the_held_out_questions() -> None:
    """The questions were written without sight of the phrasings; this keeps the phrasings from being written after them."""
    rows = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    held = {run for row in rows for text in (row["question"], *row.get("history", [])) for run in runs(text)}
    shared = [text for entry in Faq([SHIPPED]).entries for text in entry.asked if runs(text) & held]

    assert len(held) > 1000
    assert shared == []


def runs(text: str) -> set[tuple[str, ...]]:
    found = re.findall(r"[a-z0-9]+", text.lower())
    return {tuple(found[start : start + IN_A_ROW]) for start in range(len(found) - IN_A_ROW + 1)}
