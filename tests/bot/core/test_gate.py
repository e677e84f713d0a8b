"""Who may do what: every command, every role, every switch, played through `decide`."""

from dataclasses import replace
from itertools import product

import pytest

from bot.core.commands import COMMANDS
from bot.core.decide import decide
from bot.core.gate import ACTS, FEATURES
from bot.core.known import Known
from bot.core.records import Audit, Draft, Paused, Person
from bot.core.rules import Quota, Role
from bot.core.talk import Command, Effect, Event, Moved, Opened, Press, Said, Save, Stopped, Submit, Unsaid
from tests.bot.core.conftest import Talk, texts

ROLES = ("everyone", "contributor", "triager", "operator")
SWITCHES = ("open", "blocked", "closed", *FEATURES)
REFUSED = {
    "blocked": "An operator has blocked you here (spam). /privacy still works.",
    "closed": "I do not speak in this channel. Try another one, or write to me directly.",
    "role": "You may not do that here. An operator can change it.",
}


def known(talk: Talk, switch: str, role: str) -> Known:
    draft = Draft("k7", "skill", "p1", "terminal:@p1/k7", 0.0, ("p1",), {"about.description": "x"})
    person = Person("p1", "alice", blocked="spam" if switch == "blocked" else "")
    return Known(
        person,
        replace(talk.conversation, draft="k7"),
        talk.words,
        draft,
        (draft,),
        names=talk.names,
        roles={name: Role(name) for name in ROLES},
        off={switch: "a while"} if switch in FEATURES else {},
        open=switch != "closed",
    )


def heard(act: object, *roles: str) -> Event:
    return Event("e1", 1000.0, "p1", "terminal:@p1", act, roles=("everyone", *roles))  # type: ignore[arg-type]


def refusal(effects: list[Effect]) -> str:
    """Why an act was refused, as its sentence; "" if it was not."""
    said = texts(effects)
    paused = [text for text in said if "is paused: a while." in text]
    return (paused or [text for text in said if text in REFUSED.values()] or [""])[0]


def due(name: str, role: str, switch: str, talk: Talk) -> str:
    """What the table of roles and switches says."""
    spec = COMMANDS[name]
    if name not in ("privacy", "forget") and switch == "blocked":
        return REFUSED["blocked"]
    if name not in ("privacy", "forget") and switch == "closed" and role != "operator":
        return REFUSED["closed"]
    if (spec.operator and role != "operator") or (spec.triager and role not in ("triager", "operator")):
        return REFUSED["role"]
    if spec.feature == switch:
        what = talk.words(f"feature.{switch}")
        return talk.words("refused.paused", what=what, why="a while")
    return ""


@pytest.mark.parametrize(("name", "role", "switch"), [*product(COMMANDS, ROLES, SWITCHES)])
def test_every_command_of_every_role_under_every_switch_does_what_the_table_says(
    talk: Talk, name: str, role: str, switch: str
) -> None:
    effects = decide(heard(Command(name, "x"), role), known(talk, switch, role))

    assert refusal(effects) == due(name, role, switch, talk)
    if due(name, role, switch, talk):
        assert not any(isinstance(effect, Save) for effect in effects)


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize(
    ("act", "features"),
    [
        (Press("draft.undo|k7"), "drafts"),
        (Press("draft.discard|k7"), "drafts"),
        (Submit("draft.fill|k7.about", {"description": "y"}), "drafts"),
        (Press("faq.good|a1"), "faq"),
        (Press("skill.start|"), "drafts"),
        (Press("draft.submit|k7"), "drafts submit"),
        (Press("draft.overwrite|k7"), "drafts submit"),
        (Press("draft.signer|k7"), "drafts submit"),
        (Press("draft.sign|k7"), "drafts submit"),
        (Press("draft.publish|k7"), "drafts submit"),
        (Submit("draft.published|k7", {"name": "y", "mail": "y@lab.example"}), "drafts submit"),
    ],
)
def test_buttons_and_dialogs_are_held_to_the_same_switches(talk: Talk, act: object, features: str, switch: str) -> None:
    effects = decide(heard(act), known(talk, switch, "everyone"))

    assert bool(refusal(effects)) == (switch in ("blocked", "closed", *features.split()))


@pytest.mark.parametrize("act", [Unsaid("m1"), Stopped("m1"), Opened(), Moved("k7.1", 1, "running")])
def test_taking_back_stopping_and_what_a_run_tells_are_open_to_everybody(talk: Talk, act: object) -> None:
    for switch in ("blocked", "closed"):
        assert refusal(decide(heard(act), known(talk, switch, "everyone"))) == ""


def test_what_is_typed_in_a_closed_channel_is_nobodys_business(talk: Talk) -> None:
    assert decide(heard(Said("hello?")), known(talk, "closed", "everyone")) == []


def test_a_feature_that_is_left_out_says_so_without_a_reason(talk: Talk) -> None:
    here = replace(known(talk, "open", "everyone"), off={"faq": ""})

    assert texts(decide(heard(Command("ask", "x")), here)) == ["Answering questions is not offered here."]


def test_help_names_what_this_person_may_do_here_and_nothing_else(talk: Talk) -> None:
    (paused,) = texts(decide(heard(Command("help")), known(talk, "faq", "everyone")))
    (operators,) = texts(decide(heard(Command("help"), "operator"), known(talk, "open", "operator")))

    assert ("/ask" in paused, "/admin" in paused, "/ask" in operators, "/admin" in operators) == (False, False, True, True)


@pytest.mark.parametrize(
    ("text", "saved", "audit"),
    [
        ("block <@p2> spam in three", ("spam in three",), ("block", "p2", "spam in three")),
        ("block <@p2>", ("-",), ("block", "p2", "")),
        ("unblock <@p2> sorry", ("",), ("unblock", "p2", "sorry")),
        ("pause faq it is wrong", (Paused("terminal", "faq", "it is wrong"),), ("pause", "faq", "it is wrong")),
        ("resume faq", (Paused("terminal", "faq", ""),), ("resume", "faq", "")),
        ("say back at noon", (), ("say", "", "back at noon")),
    ],
)
def test_what_an_operator_does_is_done_and_written_down(
    talk: Talk, text: str, saved: tuple[object, ...], audit: tuple[str, str, str]
) -> None:
    here = replace(known(talk, "open", "operator"), others={"p2": Person("p2", "bob", blocked="earlier")})
    written = [effect.what for effect in decide(heard(Command("admin", text), "operator"), here) if isinstance(effect, Save)]
    acts = [one for one in written if isinstance(one, Audit)]

    assert [(one.what, one.whom, one.why, one.person) for one in acts] == [(*audit, "p1")]
    rest = [one.blocked if isinstance(one, Person) else one for one in written if not isinstance(one, Audit)]
    assert tuple(rest) == saved


@pytest.mark.parametrize("text", ["", "block", "block <@p9>", "block <@p1>", "pause", "pause everything", "say", "dance"])
def test_what_an_operator_gets_wrong_does_nothing_and_is_explained(talk: Talk, text: str) -> None:
    effects = decide(heard(Command("admin", text), "operator"), known(talk, "open", "operator"))

    assert [type(effect).__name__ for effect in effects] == ["Answer"]


def test_a_quota_counts_down_and_is_told_while_little_is_left(talk: Talk) -> None:
    talk.roles = {"everyone": Role("everyone", quotas={"draft": Quota(5, 3600.0)})}
    leads = []
    for _ in range(6):
        talk.conversation = Talk(talk.words).conversation
        leads.append(texts(talk(Command("skill")))[0])

    assert ["more for now" in lead or "last one" in lead for lead in leads] == [False, False, True, True, True, False]
    assert leads[5] == "That is as often as it may be done for now. Again in 60 min."


def test_every_counted_act_belongs_to_a_feature_that_can_be_paused() -> None:
    assert set(ACTS.values()) <= set(FEATURES)
    assert {spec.feature for spec in COMMANDS.values()} <= {*FEATURES, ""}


def test_privacy_buttons_of_somebody_else_do_nothing(talk: Talk) -> None:
    for verb in ("export", "forget_me", "forget"):
        assert texts(talk(Press(f"privacy.{verb}|p2"))) == ["That button is from before; things have moved on."]
