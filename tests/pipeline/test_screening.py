"""What a triager would stumble over is found with its place, personal data masked, and innocent texts are left alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import Invalid
from pipeline.screen import Alike, Screen, advice, of_tree, read
from pipeline.screening.alike import likeness
from pipeline.taxonomy import Document, Knowledge, Passage, SeedExample, Skill
from tests.conftest import HOME

FILE = HOME / "configs" / "screen.yaml"
SCREEN = read(FILE)


def skill(*pairs: tuple[str, ...], description: str = "") -> Skill:
    return Skill("compositional_skills/arts/x", "", description, tuple(SeedExample(*pair) for pair in pairs), ())


def found(*pairs: tuple[str, ...], description: str = "", alike: Alike | None = None) -> list[tuple[str, str]]:
    return [(one.code, one.where) for one in advice(skill(*pairs, description=description), (), SCREEN, alike)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Write to mia.berg@example.org today.", "mail"),
        ("mia dot berg at example dot org", "mail"),
        ("Ring me on +49 30 901820 after six.", "phone"),
        ("Call (212) 555-0143.", "phone"),
        ("My card is 4111 1111 1111 1111.", "card"),
        ("Konto DE89 3704 0044 0532 0130 00", "iban"),
        ("She lives at 12 Oak Street.", "address"),
        ("Ich wohne in der Lindenstraße 14.", "address"),
        ("key: AKIAQ3EGYRT5XW2PLMZB", "secret"),
        ("password = Tr0ub4dor&3x", "secret"),
        ("-----BEGIN RSA PRIVATE KEY-----", "secret"),
        ("postgres://bob:hunter2x@db.lab.example/app", "secret"),
    ],
)
def test_personal_data_and_secrets_are_found_and_shown_masked(text: str, kind: str) -> None:
    (one,) = [one for one in advice(skill(("What?", text)), (), SCREEN) if one.code == f"screen.{kind}"]

    assert (one.where, len(one.facts["found"]), one.facts["found"][1]) == ("example 1, answer", 3, "…")


@pytest.mark.parametrize(
    "text",
    [
        "Order 4111 1111 1111 1112 of 12.03.2024, version 1.20.300.4000",
        "The ISBN is 978-3-16-148410-0.",
        "Invoice number 2024-000-1234567",
        "Use @mentions and meet at noon.",
        "password = <your password>",
        "In 1999 Wall Street fell.",
        "The novel is about a killer and the police of Oslo.",
        "Gemini is a constellation, and the copilot landed the plane.",
        "Kill the process with Ctrl-C.",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert found(("What is meant?", text)) == []


@pytest.mark.parametrize(
    ("pair", "kind"),
    [
        (("What is 12 times 12?", "144"), "math"),
        (("Write a haiku about rain", "Rain falls."), "poem"),
        (("Tell me a joke about cats", "No."), "joke"),
        (("Write a Python function that sorts", "Fine."), "code"),
        (("Which is best?", "ChatGPT would say the second."), "proprietary"),
        (("Why?", "As an AI language model I cannot say."), "assistant"),
        (("Soll ich meine Tabletten absetzen?", "Das weiß die Praxis."), "medical"),
    ],
)
def test_topics_that_are_not_taken_are_found_in_both_languages(pair: tuple[str, str], kind: str) -> None:
    assert f"screen.{kind}" in [code for code, _ in found(pair)]


def test_secrets_and_personal_data_come_first_and_each_kind_once_a_place() -> None:
    codes = [code for code, _ in found(("Write a poem to a@example.org and b@example.org", "x y z"))]

    assert codes == ["screen.mail", "screen.poem"]


def test_five_turns_of_one_talk_are_no_five_examples() -> None:
    turns = [("Plan a trip to Rome.", "Day one: the Forum."), *((text, "Then the museum instead.") for text in TALK)]

    assert ("screen.dialogue", "example 2") in found(*turns)


TALK = ("Thanks, and the second day?", "What about it if it rains?", "And make it shorter.", "Okay, what you said first.")


def test_a_question_about_a_text_that_is_not_there_needs_a_context() -> None:
    question = "Summarise the article above in a line."

    assert found((question, "It is about rain in spring.")) == [("screen.context-missing", "example 1, question")]
    assert found((question, "It is about rain in spring.", "An article about rain.")) == []


def test_the_same_question_in_other_words_is_told_with_the_one_it_repeats() -> None:
    pairs = [("List three synonyms for the word happy", "glad"), ("Please list three synonyms for the word happy", "joyful")]

    assert ("screen.duplicates", "example 2, question") in found(*pairs)


def test_a_question_that_the_taxonomy_has_is_told_with_its_leaf_and_not_for_the_leaf_itself() -> None:
    alike = Alike([("compositional_skills/arts/old#1", "Turn this order into a ticket with item and count")])
    mine = Alike([("compositional_skills/arts/x#1", "Turn this order into a ticket with item and count")])
    pair = ("please turn this order into tickets with item and count", "item: lamps, count: 3")

    assert found(pair, alike=alike) == [("screen.known", "example 1, question")]
    assert found(pair, alike=mine) == []


def test_questions_with_other_numbers_are_other_questions() -> None:
    assert likeness("Sort these 3 names by age", "Sort these 7 names by age") < SCREEN.whole.near


def test_the_questions_of_a_checkout_are_indexed_once_and_again_when_a_file_changes(checkout: Path, tmp_path: Path) -> None:
    first = of_tree(checkout, tmp_path / "cache")
    second = of_tree(checkout, tmp_path / "cache")
    made = len(list((tmp_path / "cache").iterdir()))
    path = next(checkout.rglob("qna.yaml"))
    path.write_text(path.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    of_tree(checkout, tmp_path / "cache")

    assert (len(first), len(second), made, len(list((tmp_path / "cache").iterdir()))) == (len(first), len(first), 1, 2)
    assert len(first) >= 10


def test_knowledge_is_screened_in_its_passages_and_pairs() -> None:
    pair = SeedExample("Who keeps it?", "Ask a@example.org.")
    entry = Knowledge("", "", "arts", "The harbour", (Passage("Ring +49 30 901820.", (pair,)),), Document("", "", ()), ())

    assert [(one.code, one.where) for one in advice(entry, (), SCREEN)] == [
        ("screen.phone", "context 1"),
        ("screen.mail", "context 1, answer 1"),
    ]


def test_without_rules_only_personal_data_is_found() -> None:
    texts = skill(("Write a poem", "to a@example.org"))

    assert [one.code for one in advice(texts, (), Screen())] == ["screen.mail"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("topics: {joke: {terms: {en: {3: '(a|b'}}}}", ["topics.joke.terms.en.3"]),
        ("topics: {joke: {terms: {en: {3: '{nobody}'}}, spared: [nothing]}}", ["topics.joke.spared", "topics.joke.terms.en.3"]),
        ("secrets: {forms: {a: 'x+', b: '['}}", ["secrets.forms.a", "secrets.forms.b"]),
        ("nonsense: 1", ["nonsense"]),
        ("- a", [""]),
        ("a: [", [""]),
    ],
)
def test_every_mistake_in_the_file_is_told_with_its_place(tmp_path: Path, text: str, told: list[str]) -> None:
    path = tmp_path / "screen.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Invalid) as caught:
        read(path)

    assert [problem.where.partition(": ")[2] for problem in caught.value.problems] == told


def test_no_text_however_hostile_keeps_a_pattern_busy() -> None:
    """Ten texts of 20,000 characters each, made to have patterns begin everywhere and end nowhere, in a child with a limit."""
    code = """
from pathlib import Path
from pipeline.screen import advice, read
from pipeline.taxonomy import SeedExample, Skill
screen = read(Path("configs/screen.yaml"))
for piece in ("a", "a ", "1", "1 ", "1-", "a.", "a@", "(", "x_", "A1", "you are ", "- ", "ä", "://a:"):
    text = (piece * 20_000)[:20_000]
    advice(Skill("", "", text, (SeedExample(text, text + "@"),), ()), (), screen)
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=HOME, check=True)

    assert done.stdout == "done\n"
