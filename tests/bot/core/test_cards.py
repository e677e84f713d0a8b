"""Every card can be shown everywhere, whatever people typed into it; text of theirs is never markup."""

import string
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core import cards, notices
from bot.core.contribute import FORMS
from bot.core.form import Form, stands
from bot.core.known import Brought, Finding, Known
from bot.core.records import Conversation, Draft, Person, Run
from bot.core.talk import Button, Card, Dialog, Field, Text
from bot.core.words import pick
from bot.platforms.terminal.render import card_lines, plain
from pipeline.errors import Problem
from tests.bot.core.conftest import TABLES

WORDS = pick(TABLES, "en")
ANY = st.text(st.characters(), max_size=300) | st.sampled_from(
    ["x" * 5000, "*" * 200, "`" * 200, "[" * 200, "\\" * 200, "@everyone"]
)
PROBLEMS = st.lists(st.builds(Problem, st.just("text.odd"), ANY.filter(str.strip)), max_size=8)
GIVEN = ("document.run", "document.read", "document.trouble", "document.asked")


def keys_of(form: Form) -> list[str]:
    """Every answer that a draft of that form may have, of thirty examples and three works."""
    singles = [f"{page.name}.{one.name}" for page in form.pages if not page.least for one in page.questions]
    parts = [
        f"{page.name}.{part}.{one.name}"
        for page in form.pages
        if page.least
        for part in range(1, 31 if page.name == "example" else 4)
        for one in page.questions
    ]
    return [*singles, *parts, *GIVEN]


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    form = draw(st.sampled_from(list(FORMS.values())))
    answers = draw(st.dictionaries(st.sampled_from(keys_of(form)), ANY, max_size=20))
    if count := draw(st.integers(0, 30)):
        answers["example"] = " ".join(str(part) for part in range(1, count + 1))
    if draw(st.booleans()):
        answers |= {"sources.origin": "other", "work": "1 2 3"}
    return Draft("k7m2xyz", form.name, "p1", "terminal:@p1/k7m2xyz", 0.0, ("p1",), answers, undo=({},))


@settings(deadline=None)
@given(drafts(), PROBLEMS, PROBLEMS, st.booleans())
def test_a_draft_with_any_answers_has_cards_dialogs_and_questions_within_all_limits(
    draft: Draft, problems: list[Problem], advice: list[Problem], taken: bool
) -> None:
    many = tuple(replace(draft, id=f"k7m2{number:03}") for number in range(30))
    known = Known(Person("p1", "alice"), Conversation("terminal:@p1"), WORDS, draft, many)
    finding = Finding("yaml", tuple(problems), ("compositional_skills/linguistics/x" * 6,), taken, tuple(advice))
    card = cards.draft(draft, known, finding)
    made = [card, cards.preview(draft, WORDS, finding), notices.drafts(known), notices.welcome(WORDS)]
    run = Run("k7m2xyz.read1", "failed", {"cause": draft.answers.get("document.trouble", "")})
    made += [notices.reading(draft, run, WORDS, 0.5), notices.brought(Brought(None, (), tuple(problems), "diff"), draft, WORDS)]
    form = FORMS[draft.form]
    for page in form.pages:
        dialog = cards.dialog(page.name, 1 if page.least else 0, draft, WORDS)
        assert dialog is None or isinstance(dialog, Dialog)
    if standing := stands(form, draft.answers):
        assert cards.question(standing, draft, known, finding)[0]

    assert all(isinstance(one, Card) for one in made)


@given(ANY)
def test_what_a_person_typed_is_shown_as_it_is_and_never_as_markup(text: str) -> None:
    assert plain(cards.quoted(text, 10_000)) == cards.clip(text, 10_000)


@given(ANY, st.integers(2, 200))
def test_a_clipped_text_is_one_line_within_its_length(text: str, length: int) -> None:
    line = cards.clip(text, length)

    assert len(line) <= length
    assert not set(line) & set(string.whitespace) - {" "}


@given(ANY)
def test_what_is_shown_cannot_steer_a_terminal_or_turn_a_line(text: str) -> None:
    bad = [
        chr(code) for code in (*range(9), *range(11, 32), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    ]

    assert not set(cards.shown(text)) & set(bad)
    assert cards.shown(text).encode("utf-8").decode() == cards.shown(text)


def test_a_run_has_a_card_in_every_state_with_buttons_only_while_they_do_something() -> None:
    draft = Draft("k7", "skill", "p1", "terminal:@p1/k7", 0.0)
    states = ("waiting", "running", "stopping", "done", "failed", "cancelled")
    labels = {state: [button.label for button in notices.run(draft, Run("k7.1", state), WORDS).buttons] for state in states}

    assert labels == {
        "waiting": ["Cancel"],
        "running": ["Cancel"],
        "stopping": [],
        "done": [],
        "failed": ["Try again"],
        "cancelled": ["Try again"],
    }


@pytest.mark.parametrize("problem", [Problem("nobody.knows", "it broke"), Problem("train.no_weights", "it broke", facts={})])
def test_a_problem_that_words_do_not_say_is_told_as_its_finder_told_it(problem: Problem) -> None:
    assert cards.say_problem(WORDS, problem) == "it broke"


@pytest.mark.parametrize(
    "build",
    [
        lambda: Button("x" * 76, "a|b"),
        lambda: Button("x", "x" * 101),
        lambda: Button("", "a|b"),
        lambda: Text("x" * 3001),
        lambda: Card("x" * 151),
        lambda: Card("x", (Text("y" * 2000), Text("z" * 2000))),
        lambda: Card("x", (), tuple(Button("x", f"a|{n}") for n in range(21))),
        lambda: Card("x", (), (Button("x", "a|b"), Button("y", "a|b"))),
        lambda: Field("a", "x" * 46),
        lambda: Field("a", "x", value="y" * 3001),
        lambda: Dialog("x" * 25, "a|b", (Field("a", "b"),), "Send"),
        lambda: Dialog("x", "a|b", (), "Send"),
        lambda: Dialog("x", "a|b", tuple(Field(str(n), "b") for n in range(6)), "Send"),
    ],
)
def test_what_is_one_past_a_platforms_limit_cannot_be_built(build: object) -> None:
    with pytest.raises(AssertionError):
        build()  # type: ignore[operator]


def test_a_card_is_drawn_with_a_bar_at_every_line() -> None:
    card = Card("Title", (Text("one\ntwo"),), (Button("Go", "a|b"),))

    assert card_lines(card) == ["┃ Title", "┃ one", "┃ two", "┃ [Go]"]
