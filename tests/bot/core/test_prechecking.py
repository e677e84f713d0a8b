"""A precheck is a run of the draft's revision: started once, shown as it goes, its table shown again whenever asked for."""

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import notices
from bot.core.known import Checked, CheckedRow, Served, Serving
from bot.core.prechecking import ROWS, table
from bot.core.records import Draft, Run, Spent
from bot.core.rules import Quota, Role
from bot.core.talk import Bar, Card, Command, Effect, Moved, Press, Said, Save, Start, Submit, Text
from bot.core.words import pick
from pipeline.judging.weighing import WEIGHT
from pipeline.stages.precheck import SAID
from tests.bot.core.conftest import TABLES, Talk, cards, texts

ENGLISH, GERMAN = pick(TABLES, "en"), pick(TABLES, "de")
READY = Serving("ready", (Served("small"), Served("other", "small")), teacher=True)
ROW = CheckedRow("Mia wants lamps", "item: lamps", "Sure!", "gap", "judge", "The model's answer leaves out the item")
FOUND = Checked(
    (ROW, replace(ROW, state="known", why="near", quote="")), "mixed", 0.81, {"gap": "1", "known": "1"}, "small", "big"
)
DONE = {"gap": "4", "known": "1", "uncertain": "0", "verdict": "worth"}
EXAMPLES = "\n".join(f"question: What is {word}? answer: {word} it is" for word in ("one", "two", "three", "four", "five"))


@pytest.fixture
def whole(talk: Talk) -> Talk:
    """A draft that is whole, and a model to ask."""
    talk.chat = READY
    for act in (Command("skill"), Said("Greet people"), Said(EXAMPLES), Said("own"), Said("alice-lab"), Said("linguistics/x")):
        talk(act)
    assert talk.draft
    return talk


def draft_of(talk: Talk) -> Draft:
    assert talk.draft
    return talk.draft


def run_of(talk: Talk) -> str:
    return f"{draft_of(talk).id}.{draft_of(talk).revision}"


def press(talk: Talk, verb: str = "precheck") -> list[Effect]:
    return talk(Press(f"draft.{verb}|{draft_of(talk).id}"))


def stands(talk: Talk, state: str, until: str = "precheck", facts: Mapping[str, str] | None = None) -> None:
    talk.run = Run(run_of(talk), state, facts or {}, until)


def step(talk: Talk, state: str, facts: Mapping[str, str] | None = None, *, stage: str = "", run: str = "") -> list[Effect]:
    return talk(Moved(run or run_of(talk), 3, state, stage, 0.5, facts or {}))


def told(card: Card) -> str:
    return "\n".join(block.text for block in card.blocks if isinstance(block, Text))


def labels(card: Card) -> list[str]:
    return [button.label for button in card.buttons]


def starts(effects: list[Effect]) -> list[Start]:
    return [effect for effect in effects if isinstance(effect, Start)]


# --- how it is started


def test_a_draft_has_the_button_when_it_is_whole_and_there_is_a_model(whole: Talk) -> None:
    def shown() -> list[str]:
        return labels(cards(whole(Command("draft", draft_of(whole).id)))[-1].card)

    ready = shown()
    whole.chat = Serving("absent")
    absent = shown()
    whole.chat = READY
    whole(Command("delete", "2"))

    assert (ready[:3], absent[:2]) == (["Precheck", "Generate", "Submit"], ["Submit", "Preview"])
    assert "Precheck" not in shown()


@pytest.mark.parametrize("act", [Command("precheck"), Press("draft.precheck|{id}")])
def test_it_starts_the_run_of_the_revision_up_to_its_own_stage(whole: Talk, act: Command | Press) -> None:
    effects = whole(Press(act.token.format(id=draft_of(whole).id)) if isinstance(act, Press) else act)
    (start,) = starts(effects)

    assert (start.key, start.recipe, start.until) == (run_of(whole), "contribution", "precheck")
    assert (sorted(start.inputs), start.inputs["model"]) == (["entry", "model"], "small")
    assert draft_of(whole).run == run_of(whole)
    assert [one.what.what for one in effects if isinstance(one, Save) and isinstance(one.what, Spent)] == ["precheck"]


def test_a_draft_that_is_not_whole_is_asked_for_what_is_missing(whole: Talk) -> None:
    whole(Command("delete", "2"))
    effects = whole(Command("precheck"))

    assert not starts(effects)
    assert texts(effects)[0].startswith("Not quite yet; the precheck takes a draft that is whole. Example 5 of 5.")


def test_without_a_model_the_way_to_one_is_told(whole: Talk) -> None:
    whole.chat = Serving("absent")
    everybody = whole(Command("precheck"))
    whole.as_role = ("everyone", "operator")
    whole.roles = {**whole.roles, "operator": Role("operator")}
    operator = whole(Command("precheck"))

    assert not starts(everybody + operator)
    assert [texts(effects)[0].split(".")[0] for effects in (everybody, operator)] == ["There is no model here yet"] * 2


def test_prechecks_have_a_quota_and_the_table_needs_none(whole: Talk) -> None:
    whole.roles = {"everyone": Role("everyone", quotas={"precheck": Quota(1, 60.0)})}
    first = press(whole)
    whole(Command("place", "linguistics/y"))
    second = press(whole)
    whole.checked = {run_of(whole): FOUND}
    third = press(whole)

    assert (len(starts(first)), len(starts(second))) == (1, 0)
    assert texts(second)[0].startswith("That is as often as it may be done for now.")
    assert cards(third)[0].slot == f"precheck.{draft_of(whole).id}"


def test_drafts_that_are_paused_are_not_prechecked_and_nobody_elses_are(whole: Talk) -> None:
    stranger = whole(Press(f"draft.precheck|{draft_of(whole).id}"), by="p2")

    assert not starts(stranger) and texts(stranger)[0].startswith(f"Draft {draft_of(whole).id} is alice's.")
    assert texts(whole(Command("precheck"), by="p2"))[0].startswith("There is no draft open here.")
    assert texts(whole(Command("precheck", "other")))[0].startswith("There is no draft open here.")


@pytest.mark.parametrize("state", ["waiting", "running", "stopping"])
def test_what_is_asked_already_is_not_asked_twice(whole: Talk, state: str) -> None:
    press(whole)
    stands(whole, state)

    assert texts(press(whole)) == [ENGLISH("precheck.underway")]


@pytest.mark.parametrize("state", ["failed", "cancelled", "done"])
def test_one_that_came_to_nothing_is_started_again(whole: Talk, state: str) -> None:
    press(whole)
    stands(whole, state)

    assert [start.until for start in starts(press(whole))] == ["precheck"]


def test_one_that_is_done_is_shown_again_and_a_changed_draft_is_asked_anew(whole: Talk) -> None:
    press(whole)
    stands(whole, "done")
    whole.checked = {run_of(whole): FOUND}
    again = press(whole)
    whole(Command("place", "linguistics/y"))

    assert not starts(again) and [show.slot for show in cards(again)] == [f"precheck.{draft_of(whole).id}"]
    assert [start.key for start in starts(press(whole))] == [run_of(whole)]


# --- its card


def test_its_card_counts_what_has_come(whole: Talk) -> None:
    press(whole)
    stands(whole, "running")
    facts = {"answers": "3", "questions": "5", "votes": "0", "ballots": "0"}
    said = [
        told(cards(step(whole, state, found))[0].card)
        for state, found in (
            ("waiting", {}),
            ("running", {}),
            ("running", facts),
            ("running", {**facts, "answers": "5", "votes": "8", "ballots": "28"}),
            ("stopping", {}),
            ("cancelled", {}),
        )
    ]

    assert said == [
        "Waiting for its turn.",
        "I ask the model every question of the draft.",
        "Answers: 3 of 5.",
        "Answers: 5 of 5. Votes on them: 8 of 28.",
        "Stopping.",
        "Cancelled. The draft is as it was.",
    ]
    bar = cards(step(whole, "running", facts))[0].card.blocks[-1]
    assert bar == Bar(0.5, "Precheck")


def test_what_it_fails_with_is_said_in_the_persons_words_with_a_way_to_try_again(whole: Talk) -> None:
    press(whole)
    stands(whole, "failed")
    card = cards(step(whole, "failed", {"code": "precheck.no_model", "cause": "there is no model to ask"}))[0].card
    other = cards(step(whole, "failed", {"cause": "https://lab refuses the *key*"}))[0].card

    assert told(card) == "That did not work: There is no model to ask here. An operator can set one up with /setup."
    assert told(other) == r"That did not work: https://lab refuses the \*key\*"
    assert [button.token for button in card.buttons] == [f"draft.precheck|{draft_of(whole).id}"]


@pytest.mark.parametrize(("until", "verb"), [("precheck", "precheck"), ("propose", "submit"), ("", "submit")])
@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_trying_again_begins_what_had_begun(until: str, verb: str, state: str) -> None:
    draft = Draft("k7", "skill", "p1", "terminal:@p1/k7", 0.0)
    card = notices.run(draft, Run("k7.1", state, {}, until), ENGLISH)

    assert [(one.label, one.token) for one in card.buttons] == [("Try again", f"draft.{verb}|k7")]


@pytest.mark.parametrize(
    ("state", "facts", "english", "german"),
    [
        ("waiting", {}, "", ""),
        ("waiting", {"position": "3"}, "Place 3 in the queue.", "Platz 3 in der Schlange."),
        (
            "waiting",
            {"position": "3", "low_s": "40", "high_s": "90"},
            "Place 3 in the queue, about 1 to 2 minutes.",
            "Platz 3 in der Schlange, etwa 1 bis 2 Minuten.",
        ),
        ("waiting", {"low_s": "1", "high_s": "1"}, "About 1 second left.", "Noch etwa 1 Sekunde."),
        ("running", {"low_s": "20", "high_s": "45"}, "About 20 to 45 seconds left.", "Noch etwa 20 bis 45 Sekunden."),
        ("running", {"low_s": "50", "high_s": "61"}, "About 1 to 2 minutes left.", "Noch etwa 1 bis 2 Minuten."),
        ("running", {"low_s": "90", "high_s": "110"}, "About 2 minutes left.", "Noch etwa 2 Minuten."),
        ("running", {"low_s": "3000", "high_s": "9000"}, "About 1 to 3 hours left.", "Noch etwa 1 bis 3 Stunden."),
        ("running", {"position": "3"}, "", ""),
        ("running", {"low_s": "soon", "high_s": "later"}, "", ""),
        (
            "waiting",
            {"position": "2", "paused": "yes"},
            ENGLISH("stands.paused", place="2"),
            GERMAN("stands.paused", place="2"),
        ),
        ("done", {"position": "1", "low_s": "1", "high_s": "2"}, "", ""),
    ],
)
def test_where_a_run_stands_is_said_where_it_is_known(state: str, facts: dict[str, str], english: str, german: str) -> None:
    run = Run("k7.1", state, facts, "propose")
    draft = Draft("k7", "skill", "p1", "terminal:@p1/k7", 0.0)

    assert [notices.stands(run, words) for words in (ENGLISH, GERMAN)] == [english, german]
    assert english in told(notices.run(draft, run, ENGLISH))


# --- its end


def test_its_end_is_the_table_and_a_message_that_mentions_the_person(whole: Talk) -> None:
    press(whole)
    stands(whole, "done")
    whole.checked = {run_of(whole): FOUND}
    run, shown, end = cards(step(whole, "done", DONE))

    assert told(run.card) == "Done: 4 gaps, 1 known. The table is below."
    assert (shown.slot, shown.place, shown.ping) == (f"precheck.{draft_of(whole).id}", draft_of(whole).place, "")
    assert (end.card.title, end.ping) == ("Precheck of Greet people is done: 4 gaps, 1 known", "p1")
    assert draft_of(whole).state == "open"


def test_of_a_run_that_a_later_one_has_replaced_only_its_end_is_told(whole: Talk) -> None:
    press(whole)
    before = run_of(whole)
    whole(Command("place", "linguistics/y"))
    press(whole)
    whole.run = Run(before, "done", {}, "precheck")
    whole.checked = {before: FOUND}

    assert [show.slot for show in cards(step(whole, "done", DONE, run=before))] == [f"run.{before}", ""]


@pytest.mark.parametrize(("state", "end"), [("failed", "did not come to an end"), ("cancelled", "Cancelled: the precheck")])
def test_another_end_is_told_as_the_prechecks(whole: Talk, state: str, end: str) -> None:
    press(whole)
    stands(whole, state)
    shown = cards(step(whole, state))

    assert len(shown) == 2 and end in shown[-1].card.title and shown[-1].ping == "p1"


def test_a_step_says_itself_what_it_belongs_to_where_it_can(whole: Talk) -> None:
    press(whole)
    stands(whole, "running", "propose")  # somebody has signed meanwhile
    whole.checked = {run_of(whole): FOUND}
    precheck, propose = (
        cards(step(whole, "done", DONE)),
        cards(step(whole, "done", {"branch": "b", "commit": "c", "pull": "p"})),
    )
    stands(whole, "running", "precheck")
    working = cards(step(whole, "running", {"stage": "propose"}, stage="propose"))

    assert [shown[0].card.title.split(" · ")[0] for shown in (precheck, propose, working)] == ["Precheck", "Submit", "Submit"]


def test_one_that_was_refused_before_it_began_is_still_the_prechecks(whole: Talk) -> None:
    press(whole)
    stands(whole, "failed", "")
    refused = cards(step(whole, "failed", {"cause": "10 runs of person wait already"}))[0].card
    whole(Submit(f"draft.signed|{draft_of(whole).id}", {"name": "Alice Example", "mail": "alice@example.org"}))
    signed = cards(step(whole, "failed", {"cause": "10 runs of person wait already"}))[0].card

    assert [one.buttons[0].token.partition("|")[0] for one in (refused, signed)] == ["draft.precheck", "draft.submit"]


# --- and submitting


def test_a_submission_waits_for_a_precheck_that_goes_on(whole: Talk) -> None:
    press(whole)
    stands(whole, "running")
    signed = Submit(f"draft.signed|{draft_of(whole).id}", {"name": "Alice Example", "mail": "alice@example.org"})

    assert [texts(whole(act)) for act in (Command("submit"), signed)] == [[ENGLISH("busy.precheck")]] * 2


def test_a_draft_that_was_prechecked_is_submitted_in_the_same_run(whole: Talk) -> None:
    press(whole)
    stands(whole, "done")
    whole(Command("submit"))
    (start,) = starts(
        whole(Submit(f"draft.signed|{draft_of(whole).id}", {"name": "Alice Example", "mail": "alice@example.org"}))
    )
    stands(whole, "done", "propose")
    whole(Moved(run_of(whole), 9, "done", "", 1.0, {"branch": "b", "commit": "c", "pull": "p"}))

    assert (start.key, start.until, draft_of(whole).state) == (run_of(whole), "propose", "submitted")


# --- the table


def test_the_table_has_a_row_for_each_question(whole: Talk) -> None:
    press(whole)
    card = table(draft_of(whole), run_of(whole), FOUND, ENGLISH)

    assert card.title == f"What the model says today · Greet people · {run_of(whole)}"
    assert [block.text for block in card.blocks if isinstance(block, Text)] == [
        "**Partly known.** Examples like those with a gap teach more than the others. 81% sure (1 gap, 1 known)\n"
        "Asked: small. Judge: big, and plain measures.",
        "○ gap **1. Mia wants lamps**\n- you: item: lamps\n- the model: Sure!\n"
        '- The judge finds yours better: "The model\'s answer leaves out the item"',
        "● known **2. Mia wants lamps**\n- you: item: lamps\n- the model: Sure!\n- Nearly your words, and the same numbers.",
    ]
    assert labels(card) == ["Submit"]


def test_a_table_of_another_revision_says_so(whole: Talk) -> None:
    press(whole)
    run = run_of(whole)
    whole(Command("place", "linguistics/y"))
    lines = told(table(draft_of(whole), run, FOUND, ENGLISH)).splitlines()

    assert lines[2].startswith(f"This is of revision {run.rpartition('.')[2]} of the draft, which has changed since.")


def test_a_table_that_is_gone_says_so(whole: Talk) -> None:
    press(whole)
    stands(whole, "done")

    assert told(cards(step(whole, "done", DONE))[1].card) == "There is no table here any more. /precheck asks anew."


def test_a_judge_that_has_no_say_is_named_as_such(whole: Talk) -> None:
    card = table(draft_of(whole), run_of(whole), replace(FOUND, trusted=False), ENGLISH)

    assert "The judge failed its trials on this draft" in told(card)


TEXTS = st.text(alphabet=st.sampled_from("ab *`[]\\\n\u202eä猫"), max_size=400)


@given(
    st.lists(
        st.builds(
            CheckedRow,
            TEXTS,
            TEXTS,
            TEXTS,
            st.sampled_from(["gap", "known", "uncertain"]),
            st.sampled_from(sorted(SAID)),
            TEXTS,
        ),
        min_size=1,
        max_size=60,
    )
)
def test_every_table_fits_its_card(rows: list[CheckedRow]) -> None:
    draft = Draft("k7", "skill", "p1", "terminal:@p1/k7", 0.0, answers={"about.description": "x" * 300})
    found = Checked(tuple(rows), "worth", 0.9, {"gap": str(len(rows))}, "m" * 200, "j" * 200, False)
    for words in (ENGLISH, GERMAN):
        lines = told(table(draft, "k7.1", found, words)).splitlines()

        assert sum(line.startswith(("○", "●", "◐")) for line in lines) == min(len(rows), ROWS)


def test_a_table_with_many_long_rows_still_has_all_it_can_show() -> None:
    row = CheckedRow("q" * 3000, "[w](https://evil.example)" * 100, "s\n" * 900, "gap", "judge", "r" * 300)
    draft = Draft("k7", "skill", "p1", "terminal:@p1/k7", 0.0)
    card = table(draft, "k7.1", Checked((row,) * 60, "worth", 0.9, {"gap": "60"}, "m", "j"), GERMAN)

    assert told(card).endswith("und 40 weitere") and not re.search(r"(?<!\\)\]\(", told(card))
    assert sum("**20. " in line for line in told(card).splitlines()) == 1


@pytest.mark.parametrize("locale", sorted(TABLES))
def test_everything_that_can_decide_has_words(locale: str) -> None:
    names = {f"precheck.why.{why}" for why in (set(SAID) | set(WEIGHT)) - {"judge", "between"}}
    names |= {f"precheck.why.judge.{state}" for state in ("known", "gap")}

    assert sorted(names - set(TABLES[locale])) == []
