"""Where proposals are pull requests: the card before one, the login that becomes `created_by`, the box that a person ticks."""

from dataclasses import replace

import pytest

from bot.core.known import Checked, CheckedRow, Hub
from bot.core.records import Draft, Person, Run
from bot.core.submitting import run_of
from bot.core.talk import Button, Card, Command, Effect, Moved, Press, Save, Show, Start, Steps, Submit
from bot.core.trained import Scores, Seed
from tests.bot.core.conftest import Talk, texts
from tests.bot.core.test_drafting import complete

HUB = Hub(login="alice-lab", links=True, repo="lab/taxonomy")
ASKED = Checked((CheckedRow("Q?", "A", "B", "gap", "score"),), "worth")


@pytest.fixture
def ready(talk: Talk) -> Talk:
    """A complete draft of somebody whose account is linked, and who has signed before."""
    complete(talk)
    talk.hub = HUB
    talk.person = replace(talk.person, full_name="Alice Example", mail="alice@example.org")
    return talk


def draft_of(talk: Talk) -> Draft:
    assert talk.draft
    return talk.draft


def press(talk: Talk, verb: str) -> list[Effect]:
    return talk(Press(f"draft.{verb}|{draft_of(talk).id}"))


def card(effects: list[Effect]) -> Card:
    return next(effect.card for effect in effects if isinstance(effect, Show) and effect.slot.startswith("submit."))


def steps(effects: list[Effect]) -> dict[str, str]:
    (found,) = (block for block in card(effects).blocks if isinstance(block, Steps))
    return dict(found.steps)


def starts(effects: list[Effect]) -> list[Start]:
    return [effect for effect in effects if isinstance(effect, Start)]


def tokens(buttons: tuple[Button, ...]) -> list[str]:
    return [button.token.partition("|")[0] for button in buttons]


def test_the_card_says_where_it_goes_by_whom_and_what_is_left_to_the_person(ready: Talk) -> None:
    effects = ready(Command("submit"))

    assert "It becomes a pull request to lab/taxonomy, opened by alice-lab." in repr(card(effects))
    assert [name for name, state in steps(effects).items() if state == "open"] == [
        "The model's answers: none yet, which /precheck brings",
        "No personal data: I looked",
    ]
    assert tokens(card(effects).buttons) == ["draft.preview", "draft.dco", "draft.looked"]


def test_a_pull_request_is_signed_only_by_who_has_looked_for_personal_data(ready: Talk) -> None:
    ready(Command("submit"))
    unlooked = press(ready, "sign")
    looked = press(ready, "looked")
    signed = press(ready, "sign")

    assert not starts(unlooked) and "draft.looked" in tokens(card(unlooked).buttons)
    assert steps(looked)["No personal data: I looked"] == "done" and "draft.sign" in tokens(card(looked).buttons)
    assert starts(signed)[0].inputs["looked"] is True


def test_asked_for_again_it_stands_below_and_the_card_above_asks_no_more(ready: Talk) -> None:
    slots = [effect.slot for effect in ready(Command("submit")) if isinstance(effect, Show)]
    effects = press(ready, "submit")
    above, below = (effect for effect in effects if isinstance(effect, Show))
    looked = press(ready, "looked")
    signed = press(ready, "sign")
    later = press(ready, "submit")

    assert [above.slot] == slots and above.card.buttons == () and below.slot not in slots
    assert {effect.slot for effect in [*looked, *signed] if isinstance(effect, Show)} == {below.slot}
    assert not any(isinstance(effect, Show) and effect.slot == below.slot for effect in later)  # it says who signed


def test_a_draft_that_is_taken_up_elsewhere_leaves_its_card_where_it_was(ready: Talk) -> None:
    ready(Command("submit"))
    ready.draft = replace(draft_of(ready), place="discord:7")

    assert [effect.slot for effect in press(ready, "submit") if isinstance(effect, Show) and not effect.card.buttons] == []


def test_a_dialog_that_is_sent_off_before_they_looked_sends_nothing_out(ready: Talk) -> None:
    ready(Command("submit"))
    values = {"name": "Alice Example", "mail": "alice@example.org"}

    assert not starts(ready(Submit(f"draft.signed|{draft_of(ready).id}", values)))


def test_what_is_changed_after_they_looked_is_to_be_looked_at_again(ready: Talk) -> None:
    ready(Command("submit"))
    press(ready, "looked")
    ready(Submit(f"draft.fill|{draft_of(ready).id}.about", {"description": "Say hello in a friendlier way"}))

    assert not starts(press(ready, "sign"))


def test_the_login_becomes_the_contributor_s_name_whatever_was_typed(ready: Talk) -> None:
    ready.draft = draft_of(ready).with_answers({"sources.github": "somebody-else"})
    ready(Command("submit"))
    press(ready, "looked")
    (start,) = starts(press(ready, "sign"))

    assert draft_of(ready).answers["sources.github"] == "alice-lab"
    assert start.inputs["entry"].created_by == "alice-lab"  # type: ignore[attr-defined]
    assert start.key == run_of(draft_of(ready))


def test_who_links_an_account_after_a_precheck_keeps_what_it_found(ready: Talk) -> None:
    ready.draft = draft_of(ready).with_answers({"sources.github": "somebody-else"})
    prechecked = run_of(draft_of(ready))
    ready(Command("submit"))
    press(ready, "looked")
    (start,) = starts(press(ready, "sign"))
    assert start.key == prechecked

    ready.hub = replace(HUB, login="alice-new")  # that version was sent off in the other name
    ready.draft = replace(draft_of(ready), state="open")
    ready(Command("submit"))
    press(ready, "looked")
    (start,) = starts(press(ready, "sign"))
    assert start.key not in (prechecked, "") and start.inputs["entry"].created_by == "alice-new"  # type: ignore[attr-defined]


def test_consent_is_written_down_with_its_time_and_the_version_that_was_shown(ready: Talk) -> None:
    ready(Command("submit"))
    press(ready, "looked")
    (start,) = starts(press(ready, "sign"))
    kept = draft_of(ready)

    assert (kept.dco, kept.signed) == ("1.1", start.inputs["signed_at"])
    assert start.inputs["dco"] == "1.1"
    assert "alice@example.org" not in repr(kept) and "Alice Example" not in repr(kept)


@pytest.mark.parametrize(
    ("checked", "scores", "said"),
    [
        (ASKED, Scores(), "The model's answers before, none after a training"),
        (ASKED, Scores(1, seeds=(Seed("Q?", "B", "A", "A"),)), "The model's answers before and after"),
    ],
)
def test_the_card_says_which_of_the_model_s_answers_go_along(ready: Talk, checked: Checked, scores: Scores, said: str) -> None:
    ready.checked = {run_of(draft_of(ready)): checked}
    ready.scores = scores

    assert steps(ready(Command("submit")))[said] == "done"


def proposed(talk: Talk) -> list[Effect]:
    """The draft's pull request is open."""
    talk(Command("submit"))
    press(talk, "looked")
    press(talk, "sign")
    run = run_of(draft_of(talk))
    facts = {"repo": "lab/taxonomy", "number": "7", "url": "https://github.com/lab/taxonomy/pull/7", "login": "alice-lab"}
    talk.run = Run(run, "done", facts, "propose")
    return talk(Moved(run, 9, "done", "propose", 1.0, facts))


def test_the_same_version_is_not_proposed_twice(ready: Talk) -> None:
    proposed(ready)
    press(ready, "looked")

    assert texts(press(ready, "sign")) == ["This version is proposed already. Change something, and you can submit again."]


def test_a_changed_draft_becomes_a_further_commit(ready: Talk) -> None:
    proposed(ready)
    changed = ready(Submit(f"draft.fill|{draft_of(ready).id}.about", {"description": "Say hello in a friendlier way"}))
    again = ready(Command("submit"))
    press(ready, "looked")
    (start,) = starts(press(ready, "sign"))

    assert "It has changed since it was proposed." in repr(changed) and "Update the pull request" in repr(changed)
    assert "It becomes a further commit of lab/taxonomy#7" in repr(card(again))
    assert (start.key, start.redo, draft_of(ready).pull) == (run_of(draft_of(ready)), (), "lab/taxonomy#7")


def test_a_version_that_was_withdrawn_is_proposed_anew(ready: Talk) -> None:
    proposed(ready)
    ready.draft = replace(draft_of(ready), pull="", state="open")
    ready(Command("submit"))
    press(ready, "looked")

    assert [(start.key, start.redo) for start in starts(press(ready, "sign"))] == [(run_of(draft_of(ready)), ("propose",))]


@pytest.mark.parametrize(
    ("code", "said", "buttons"),
    [
        ("github.revoked", "Link your account again; nothing is lost.", ["github.link", "draft.submit"]),
        ("github.unlinked", "Link yours.", ["github.link", "draft.submit"]),
        ("github.mail", "The draft names a mail address", ["draft.edit", "draft.submit"]),
        ("leaf.taken", "Another entry has this place already.", ["draft.edit", "draft.submit"]),
        ("github.archived", "it takes nothing in any more", ["draft.submit"]),
    ],
)
def test_a_submission_that_fails_says_why_and_what_mends_it(ready: Talk, code: str, said: str, buttons: list[str]) -> None:
    ready(Command("submit"))
    press(ready, "looked")
    press(ready, "sign")
    run = run_of(draft_of(ready))
    ready.run = Run(run, "failed", {}, "propose")
    effects = ready(Moved(run, 9, "failed", "propose", 1.0, {"code": code, "cause": "it is taken"}))
    (shown,) = (effect.card for effect in effects if isinstance(effect, Show) and effect.slot == f"run.{run}")

    assert said in repr(shown) and tokens(shown.buttons) == buttons
    assert draft_of(ready).state == "open"


def test_a_submission_says_which_step_it_takes_and_why_it_waits(ready: Talk) -> None:
    ready(Command("submit"))
    press(ready, "looked")
    press(ready, "sign")
    run = run_of(draft_of(ready))
    told = [
        ready(Moved(run, at, "running", "propose", 0.2, {"stage": "propose", **facts}))
        for at, facts in enumerate(({"step": "fork"}, {"step": "limit", "pause_s": "60"}, {}))
    ]

    wanted = ["Working: waiting for your fork on GitHub", "Working: GitHub asks me to wait 60 seconds", "Working: propose"]
    assert [text in repr(effects) for text, effects in zip(wanted, told, strict=True)] == [True] * 3


def test_labels_that_github_does_not_let_me_put_are_told(ready: Talk) -> None:
    proposed(ready)
    run = run_of(draft_of(ready))
    facts = {"repo": "lab/taxonomy", "number": "7", "url": "https://x", "login": "a", "unlabelled": "github.refused"}

    assert "Labels are left to its triagers" in repr(ready(Moved(run, 10, "done", "propose", 1.0, facts)))


def test_a_person_s_name_and_mail_stay_out_of_every_card(ready: Talk) -> None:
    ready(Command("submit"))
    effects = [*ready(Command("submit")), *press(ready, "looked"), *press(ready, "sign"), *proposed(ready)]
    told = [effect for effect in effects if not isinstance(effect, Start)]
    people = [effect for effect in told if isinstance(effect, Save) and isinstance(effect.what, Person)]

    assert "alice@example.org" not in repr([effect for effect in told if effect not in people])
