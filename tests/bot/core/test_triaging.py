"""A look at a pull request is a run of its own: who may ask for it, what follows, what its table says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import triaged as reading
from bot.core import examining
from bot.core.decide import decide
from bot.core.known import Hub, Known, Report, Served, Serving
from bot.core.records import Conversation, Person, Run
from bot.core.talk import Answer, Command, Effect, Event, Look, Moved, Press, Save, Show, Start, Text
from bot.core.triaged import Row, Triaged, card
from bot.core.words import pick
from pipeline.errors import Problem
from pipeline.pulls import Waiting
from tests.bot.core.conftest import TABLES

ENGLISH = pick(TABLES, "en")
KNOWN = Known(
    Person("p1", "dora"),
    Conversation("slack:C1"),
    ENGLISH,
    hub=Hub("dora", repo="lab/taxonomy"),
    chat=Serving("ready", (Served("small"),), teacher=True),
)
FOUND = Triaged(
    1412,
    "Add *lamps*",
    "https://github.com/lab/taxonomy/pull/1412",
    "bob",
    "0123456789abcdef",
    (("compositional_skills/arts/lamps", (Row("error", Problem("lint.other", "too [long](x)", "a/qna.yaml"), 7),)),),
    first="compositional_skills/arts/lamps",
)
EXAMINED = {"then": "triage", "leaf": "compositional_skills/arts/lamps", "root": "compositional_skills", "author": "bob"}


def heard(act: object, *roles: str, place: str = "slack:C1") -> Event:
    return Event("e1", 1000.0, "p1", place, act, "slack", roles=("everyone", *roles))  # type: ignore[arg-type]


def starts(effects: list[Effect]) -> list[Start]:
    return [one for one in effects if isinstance(one, Start)]


def texts(effects: list[Effect]) -> str:
    shown = [one.card for one in effects if isinstance(one, Show)]
    blocks = [block.text for card in shown for block in card.blocks if isinstance(block, Text)]
    return "\n".join([*(card.title for card in shown), *blocks, *(one.text for one in effects if isinstance(one, Answer))])


def step(state: str = "done", stage: str = "examine", **facts: str) -> Moved:
    return Moved("triage-1412", 3, state, stage, 0.5, facts)


@pytest.mark.parametrize(
    "text",
    [
        "1412",
        "#1412",
        " 1412 ",
        "https://github.com/Lab/taxonomy/pull/1412/files",
        "<https://g.example/lab/taxonomy/pull/1412>",
    ],
)
def test_a_pull_request_is_named_by_its_number_or_its_address(text: str) -> None:
    (start,) = starts(decide(heard(Command("triage", text), "triager"), KNOWN))

    assert (start.key, start.recipe, start.until, start.redo) == ("triage-1412", "triage", "examine", ("examine",))
    assert (start.inputs["number"], start.inputs["then"]) == ("1412", "triage")


@pytest.mark.parametrize("text", ["0", "14x", "k7abcdef", "https://github.com/other/repo/pull/1", "../1", "1 2"])
def test_what_names_none_of_this_repository_s_starts_nothing(text: str) -> None:
    for name in examining.KINDS:
        assert not starts(decide(heard(Command(name, text), "triager"), KNOWN))


def test_only_triagers_look_at_others_pull_requests(words: object) -> None:
    assert not starts(decide(heard(Command("triage", "1412")), KNOWN))
    nobody = replace(KNOWN, hub=Hub("", repo="lab/taxonomy"))
    assert not starts(decide(heard(Command("generate", "1412")), nobody))
    others = decide(heard(step(**EXAMINED)), KNOWN)
    assert not starts(others) and "somebody else's" in texts(others)


def test_whose_it_is_may_have_the_model_asked_about_it() -> None:
    assert starts(decide(heard(Command("precheck", "1412")), KNOWN))
    mine = replace(KNOWN, hub=Hub("Bob", repo="lab/taxonomy"), found={"triage": FOUND})
    (start,) = starts(decide(heard(step(**{**EXAMINED, "then": "precheck"})), mine))
    assert (start.until, start.inputs["leaf"], start.inputs["model"]) == ("precheck", EXAMINED["leaf"], "small")


def test_after_the_table_comes_what_was_asked_for() -> None:
    known = replace(KNOWN, found={"triage": FOUND})
    for then, until, redo in (("triage", "precheck", ("precheck",)), ("generate", "mix", examining.GENERATING)):
        (start,) = starts(decide(heard(step(**{**EXAMINED, "then": then}), "triager"), known))
        assert (start.key, start.until, start.redo) == ("triage-1412", until, redo)
    without = replace(known, chat=Serving())
    assert not starts(decide(heard(step(**EXAMINED), "triager"), without))
    assert "no model" in texts(decide(heard(step(**{**EXAMINED, "then": "generate"}), "triager"), without))


def test_it_is_told_in_a_thread_of_its_own() -> None:
    effects = decide(heard(step(**EXAMINED), "triager"), replace(KNOWN, found={"triage": FOUND}))
    assert {one.place for one in effects if isinstance(one, Show)} == {"slack:C1/triage-1412"}
    assert [look.what for look in decide(heard(step(**EXAMINED), "triager"), KNOWN) if isinstance(look, Look)] == ["triage"]


def test_every_step_has_a_card(words: object) -> None:
    known = replace(KNOWN, found={"triage": FOUND, "report": Report()}, run=Run("triage-1412", "running", {}, "examine"))
    for state in ("waiting", "running", "failed", "cancelled", "stopping"):
        for stage in ("examine", "precheck", "document", "generate", "judge", "mix"):
            shown = decide(heard(step(state, stage, code="github.gone", cause="gone"), "triager"), known)
            assert len(shown) == 1 and isinstance(shown[0], Show), (state, stage)
    made = decide(heard(step(stage="mix", kept="7", made="9"), "triager"), known)
    assert "Test data for pull request #1412: 7 samples kept of 9" in texts(made)


def test_the_table_is_offered_as_a_comment_to_triagers_where_an_operator_lets_them() -> None:
    for comments, roles, offered in ((True, ("triager",), True), (False, ("triager",), False), (True, (), False)):
        known = replace(KNOWN, hub=Hub("bob", repo="lab/taxonomy"), found={"triage": replace(FOUND, comments=comments)})
        shown = decide(heard(step(**EXAMINED), *roles), known)
        tokens = [button.token for one in shown if isinstance(one, Show) for button in one.card.buttons]
        assert ("triage.comment|1412" in tokens) is offered
    assert not starts(decide(heard(Press("triage.comment|1412")), KNOWN))
    (start,) = starts(decide(heard(Press("triage.comment|1412"), "triager"), KNOWN))
    assert (start.until, start.redo) == ("comment", ("comment",))


@pytest.mark.parametrize("roles", [(), ("triager",)])
def test_whoever_sees_a_button_may_press_it(roles: tuple[str, ...]) -> None:
    known = replace(KNOWN, hub=Hub("bob", repo="lab/taxonomy"), found={"triage": FOUND}, run=Run("triage-1412", "running"))
    steps = (step(**EXAMINED), step("failed", cause="no route"), step("running", "precheck"))
    shown = [one for each in steps for one in decide(heard(each, *roles), known) if isinstance(one, Show)]
    buttons = [button.token for one in shown for button in one.card.buttons]
    free = replace(known, run=None)

    assert any(token.startswith("triage.") for token in buttons)
    for token in buttons:
        effects = decide(heard(Press(token), *roles), known if token.startswith("run.") else free)
        assert "You may not do that here." not in texts(effects), token


def test_one_that_is_under_way_is_not_begun_again() -> None:
    known = replace(KNOWN, run=Run("triage-1412", "running", {}, "examine"))
    assert not starts(decide(heard(Command("triage", "1412"), "triager"), known))


def test_it_counts_against_the_quota_of_what_it_does() -> None:
    spent = [one.what for one in decide(heard(Command("generate", "1412"), "triager"), KNOWN) if isinstance(one, Save)]
    assert [getattr(one, "what", "") for one in spent] == ["generate"]


def test_what_a_stranger_wrote_is_no_markup_in_the_table() -> None:
    drawn = card(FOUND, ENGLISH)
    assert drawn.title.endswith("Add *lamps*")
    assert "line 7: too \\[long\\](x)" in "".join(block.text for block in drawn.blocks if isinstance(block, Text))


@given(
    st.lists(st.tuples(st.text(max_size=300), st.text(max_size=3000), st.integers(0, 9)), max_size=60),
    st.text(max_size=400),
)
def test_whatever_was_found_makes_a_card(rows: list[tuple[str, str, int]], text: str) -> None:
    found = tuple(Row("warning", Problem("odd.code", message, where), line) for where, message, line in rows)
    drawn = card(replace(FOUND, title=text, author=text, leaves=((text or "x", found), ("y", ())), rows=found), ENGLISH)
    assert drawn.blocks


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_a_table_of_another_version_is_none(tmp_path_factory: pytest.TempPathFactory, found: object) -> None:
    path = tmp_path_factory.mktemp("x") / "triage.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    assert reading.read(path) == Triaged()
    assert reading.read(None) == Triaged() == reading.read(Path("/nowhere"))


def test_the_digest_names_the_oldest_first_with_what_the_labels_mean() -> None:
    rows = tuple(
        Waiting(number, f"Add *{number}*", f"https://g/{number}", "bob", 1000.0 - number * 86400, ("stale",))
        for number in (1, 3, 2)
    )
    said = texts(decide(heard(Command("triage", ""), "triager"), replace(KNOWN, found={"waiting": rows})))
    assert said.index("#3") < said.index("#2") < said.index("#1") and "Add \\*3\\*" in said and "3 days" in said
