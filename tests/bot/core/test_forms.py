"""Every form leads to an entry that upstream's checks accept, and every entry back to the answers that make it."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bot.core import form
from bot.core.contribute import FORMS, KNOWLEDGE_FORM, MOST_PAIRS, answers_of, entry, form_of
from bot.core.form import Form
from pipeline import licences, qna
from pipeline.check import MODES, check_text
from pipeline.taxonomy import Document, Knowledge, Passage, SeedExample

EXAMPLES = 100  # `make faults` asks for more
TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40) | st.sampled_from(
    [
        "yes",
        "3",
        "null",
        "~",
        "- a",
        "a: b",
        "# a",
        "a #b",
        "\ta",
        "a\t",
        " a ",
        "a\n\n\n\nb",
        "x" * 200,
        "'",
        '"',
        "---",
        "a\r\nb",
    ]
)
FIXED = {
    "sources.github": st.from_regex(r"[a-z][a-z0-9]{0,10}", fullmatch=True),
    "sources.origin": st.sampled_from(["own", "other"]),
    "document.repo": st.just("https://example.org/docs"),
    "document.ref": st.just("main"),
    "document.patterns": st.sampled_from(["*.md", "docs/*.md\n*.pdf"]),
    "document.commit": st.just("0123456789abcdef0123456789abcdef01234567"),
    "link": st.just("https://example.org/work"),
    "revision": st.just("https://example.org/work?oldid=1"),
    "licence": st.sampled_from(licences.ALLOWED),
}
PLACES = {
    "skill": "compositional_skills/arts/x",
    "grounded": "compositional_skills/grounded/arts/x",
    "knowledge": "knowledge/arts/x",
}


@st.composite
def answers(draw: st.DrawFn) -> tuple[Form, dict[str, str]]:
    """A form and answers that it takes, whatever texts are in them."""
    the_form = draw(st.sampled_from(list(FORMS.values())))
    given_answers = {"sources.origin": draw(FIXED["sources.origin"]), "place.path": PLACES[the_form.name]}
    while item := next((one for one in form.items(the_form, given_answers) if one.key not in given_answers), None):
        given_answers[item.key] = draw(FIXED.get(item.key, FIXED.get(item.question.name, TEXT)))
        if item.part:
            given_answers |= form.with_part(item.page, item.part, given_answers)
            given_answers |= {f"{item.page.name}.{item.part}.same": "kept"}
    assume(form.whole(the_form, given_answers))
    return the_form, given_answers


def refused(the_form: Form, given_answers: dict[str, str]) -> list[str]:
    text = qna.write(entry(the_form.name, given_answers))
    path = Path(PLACES[the_form.name]) / "qna.yaml"
    return [one.message for mode in MODES for one in check_text(text, path, mode)]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(answers())
def test_what_a_form_accepts_both_checks_accept(made: tuple[Form, dict[str, str]]) -> None:
    assert refused(*made) == []


@pytest.mark.faults
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(answers())
def test_what_a_form_accepts_both_checks_accept_ten_thousand_times(made: tuple[Form, dict[str, str]]) -> None:
    assert refused(*made) == []


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(answers())
def test_the_way_from_a_draft_to_an_entry_and_back_loses_nothing(made: tuple[Form, dict[str, str]]) -> None:
    the_form, given_answers = made
    there = entry(the_form.name, given_answers)
    again = answers_of(there)
    if the_form is KNOWLEDGE_FORM:
        again["document.commit"] = again.pop("document.ref")

    assert (form_of(there), entry(the_form.name, again)) == (the_form, there)


def test_a_passage_with_more_pairs_than_the_form_has_room_for_is_split_and_keeps_them_all() -> None:
    pairs = tuple(SeedExample(f"q{number}", f"a{number}") for number in range(2 * MOST_PAIRS + 1))
    made = Knowledge("", "", "", "", (Passage("c", pairs),), Document("", "", ()), ())
    back = entry("knowledge", answers_of(made))

    assert isinstance(back, Knowledge)
    assert [passage.context for passage in back.passages] == ["c"] * 3
    assert [pair for passage in back.passages for pair in passage.pairs if pair.question] == list(pairs)


@pytest.mark.parametrize(
    ("typed", "repo", "more"),
    [
        ("https://github.com/o/r", "https://github.com/o/r", {}),
        ("https://github.com/o/r/", "https://github.com/o/r", {}),
        (
            "https://github.com/o/r/blob/main/docs/a.md",
            "https://github.com/o/r",
            {"document.ref": "main", "document.patterns": "docs/a.md"},
        ),
        (
            "https://github.com/o/r/tree/v1/docs",
            "https://github.com/o/r",
            {"document.ref": "v1", "document.patterns": "docs/*.md"},
        ),
        ("https://github.com/o/r/tree/v1", "https://github.com/o/r", {"document.ref": "v1", "document.patterns": "*.md"}),
        (
            "https://gitlab.com/g/o/r/-/blob/main/a.pdf",
            "https://gitlab.com/g/o/r",
            {"document.ref": "main", "document.patterns": "a.pdf"},
        ),
        (
            "https://codeberg.org/o/r/src/branch/main/a.md",
            "https://codeberg.org/o/r",
            {"document.ref": "main", "document.patterns": "a.md"},
        ),
    ],
)
def test_the_address_of_a_file_says_repository_reference_and_pattern(typed: str, repo: str, more: dict[str, str]) -> None:
    question = KNOWLEDGE_FORM.page("document").questions[0]

    assert (question.taken(typed), question.more(typed)) == (repo, more)


@pytest.mark.parametrize("pattern", ["../*.md", "/etc/*.md", "a/../b.md", "*.txt", "a\\b.md"])
def test_a_pattern_that_leads_out_or_finds_nothing_that_is_read_is_refused(pattern: str) -> None:
    (item,) = [item for item in form.items(KNOWLEDGE_FORM, {}) if item.key == "document.patterns"]
    found = form.problem(item, {item.key: pattern})

    assert found and found.code == "pattern.shape"


def test_two_pairs_of_a_passage_that_are_equal_to_the_letter_are_refused_even_when_kept() -> None:
    answers = {"example": "1", "example.1.same": "kept", "example.1.context": "c"}
    answers |= {f"example.1.{name}{number}": name for name in ("question", "answer") for number in (1, 2)}
    items = {item.key: item for item in form.items(KNOWLEDGE_FORM, answers)}
    found = form.problem(items["example.1.answer2"], answers)

    assert found and found.code == "example.twice"
