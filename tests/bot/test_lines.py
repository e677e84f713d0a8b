"""Lines of a qna.yaml lead back to the parts of the draft that they came from."""

from hypothesis import given
from hypothesis import strategies as st

from bot.core.known import Spot
from bot.lines import spots
from pipeline import qna
from pipeline.taxonomy import Document, Knowledge, Passage, SeedExample, Skill

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(str.strip).filter(bool)


def skill(*pairs: tuple[str, str], context: str = "") -> Skill:
    examples = tuple(SeedExample(question, answer, context) for question, answer in pairs)
    return Skill("compositional_skills/a", "alice", "Turn orders into tickets", examples, ())


def test_a_line_of_an_answer_leads_to_its_example_and_one_of_the_description_to_its_page() -> None:
    text = qna.write(skill(("Who?", "Mia"), ("What?", "a\nb\nc"), ("Where?", "here")))
    found = spots(text)
    at = {line.strip(): number for number, line in enumerate(text.split("\n"), 1)}

    assert found[at["task_description: Turn orders into tickets"]] == Spot(
        "about", 0, "task_description: Turn orders into tickets"
    )
    assert found[at["c"]] == Spot("example", 2, "c")
    assert found[at["answer: here"]] == Spot("example", 3, "answer: here")
    assert at["version: 3"] not in found


def test_the_last_line_of_a_document_leads_to_the_document() -> None:
    pairs = (SeedExample("Who?", "Mia"),)
    entry = Knowledge(
        "knowledge/a",
        "alice",
        "A harbour",
        "geography",
        (Passage("It has a light.", pairs),),
        Document("https://a/b", "c0ffee", ("*.md",)),
        (),
    )
    text = qna.write(entry)
    found = spots(text)

    assert {spot.page for spot in found.values()} == {"about", "sources", "example", "document"}
    assert found[len(text.rstrip("\n").split("\n"))].page == "document"


def test_what_is_no_yaml_leads_nowhere() -> None:
    assert spots("a: [") == spots("- a\n- b") == spots("") == {}


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6))
def test_every_line_of_every_example_leads_to_it_whatever_is_written(pairs: list[tuple[str, str]]) -> None:
    text = qna.write(skill(*pairs))
    found = spots(text)

    first = next(number for number, line in enumerate(text.split("\n"), 1) if line.startswith("seed_examples"))
    parts = [found[number].part for number in range(first + 1, len(text.rstrip("\n").split("\n")) + 1)]
    assert parts == sorted(parts)
    assert set(parts) == set(range(1, len(pairs) + 1))
