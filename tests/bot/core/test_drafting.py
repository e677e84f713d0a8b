"""What happens to a draft, decided on plain values."""

import pytest

from bot.core.records import Draft, Run
from bot.core.rules import Quota, Role
from bot.core.talk import (
    Ask,
    Cancel,
    Command,
    Moved,
    Opened,
    Press,
    Rated,
    Refuse,
    Said,
    Save,
    Show,
    Start,
    Stopped,
    Submit,
    Unsaid,
)
from tests.bot.core.conftest import Talk, cards, dialogs, texts

FIVE = "\n".join(f"question: q{n}\nanswer: a{n}" for n in range(5))


def begun(talk: Talk) -> str:
    """A draft that has its description; its id."""
    talk(Command("skill"))
    talk(Said("Greet people"))
    assert talk.draft
    return talk.draft.id


def complete(talk: Talk) -> str:
    name = begun(talk)
    for text in (FIVE, "own", "alice-lab", "linguistics/greetings"):
        talk(Said(text))
    return name


def answers(talk: Talk) -> dict[str, str]:
    assert talk.draft
    return dict(talk.draft.answers)


def test_the_same_event_makes_the_same_draft(talk: Talk) -> None:
    first = talk(Command("skill"), event="e7")
    talk.draft, talk.conversation = None, Talk(talk.words).conversation
    talk.used, talk.count = {}, 0
    second = talk(Command("skill"), event="e7")

    assert first == second


def test_a_wish_in_a_message_starts_a_draft_in_a_thread_of_its_own(talk: Talk) -> None:
    effects = talk(Said("I want to teach the model to count sheep"))

    assert talk.draft and talk.draft.place == f"terminal:@p1/{talk.draft.id}"
    assert [button.label for effect in effects for button in getattr(effect, "buttons", ())][:1] == ["Yes: Count sheep"]


def test_in_a_thread_a_wish_is_the_answer_to_the_question(talk: Talk) -> None:
    talk(Command("skill"))
    talk(Said("I want to teach the model to count sheep"))

    assert answers(talk) == {"about.description": "I want to teach the model to count sheep"}


def test_what_is_wrong_is_saved_before_it_is_refused(talk: Talk) -> None:
    begun(talk)
    effects = talk(Said("question: nul\0 answer: x"))

    assert answers(talk)["example.1.question"] == "nul\0"
    assert "U+0000" in texts(effects)[-1]


def test_taking_bad_characters_out_keeps_the_rest(talk: Talk) -> None:
    name = begun(talk)
    talk(Said("question: a\0b\ud800c answer: x"))
    talk(Press(f"draft.clean|{name}.example.1.question"))

    assert answers(talk)["example.1.question"] == "abc"


def test_an_edited_message_changes_the_answer_it_gave(talk: Talk) -> None:
    talk(Command("skill"))
    talk(Said("Greet peple", message="m1"))
    talk(Said("a question", message="m2"))
    talk(Said("Greet people", message="m1", edited=True))

    assert answers(talk)["about.description"] == "Greet people"


def test_an_edited_message_that_gave_several_answers_is_followed_when_it_still_does(talk: Talk) -> None:
    begun(talk)
    talk(Said("question: a answer: b", message="m1"))
    talk(Said("question: c answer: d", message="m1", edited=True))

    assert {key: answers(talk)[key] for key in ("example.1.question", "example.1.answer")} == {
        "example.1.question": "c",
        "example.1.answer": "d",
    }


def test_an_edit_of_another_message_changes_nothing(talk: Talk) -> None:
    begun(talk)

    assert talk(Said("anything", message="m9", edited=True)) == []


def test_a_deleted_message_takes_its_answers_back(talk: Talk) -> None:
    begun(talk)
    before = answers(talk)
    talk(Said("question: a answer: b\nquestion: c answer: d", message="m1"))
    talk(Unsaid("m1"))

    assert answers(talk) == before


def test_undo_takes_back_one_step_at_a_time(talk: Talk) -> None:
    begun(talk)
    steps = [answers(talk)]
    for text in ("question: a answer: b", "c", "d"):
        talk(Said(text))
        steps.append(answers(talk))
    back = []
    for _ in range(4):
        back.append(answers(talk))
        talk(Command("undo"))

    assert back == steps[::-1]


def test_undo_reaches_back_fifty_steps_and_then_says_so(talk: Talk) -> None:
    begun(talk)
    for number in range(60):
        talk(Command("place", f"linguistics/greetings_{number}"))
    for _ in range(50):
        talk(Command("undo"))
    effects = talk(Command("undo"))

    assert answers(talk)["place.path"] == "compositional_skills/linguistics/greetings_9"
    assert texts(effects)[0].startswith("There is nothing to take back.")


def test_a_moved_example_keeps_its_buttons(talk: Talk) -> None:
    name = begun(talk)
    talk(Said(FIVE))
    talk(Command("move", "5 1"))
    talk(Submit(f"draft.fill|{name}.example.5", {"question": "first now", "answer": "a4"}))

    assert (answers(talk)["example"], answers(talk)["example.5.question"]) == ("5 1 2 3 4", "first now")


def test_a_dialog_that_is_wrong_comes_back_filled_in_and_nothing_of_it_is_lost(talk: Talk) -> None:
    name = begun(talk)
    effects = talk(Submit(f"draft.fill|{name}.place", {"path": "../up"}))

    (refused,) = dialogs(effects)
    assert isinstance(refused, Refuse)
    assert (refused.dialog.fields[0].value, list(refused.errors)) == ("../up", ["path"])
    assert answers(talk)["place.path"] == "../up"


def test_a_dialog_left_as_it_was_changes_nothing(talk: Talk) -> None:
    name = begun(talk)
    talk(Said("question: tab\tand nul\0 answer: x"))
    before = talk.draft
    shown = next(effect for effect in dialogs(talk(Command("edit", "1"))) if isinstance(effect, Ask)).dialog
    talk(Submit(f"draft.fill|{name}.example.1", {field.name: field.value for field in shown.fields}))

    assert talk.draft == before


def test_a_page_with_more_questions_than_a_dialog_holds_shows_what_is_still_open(talk: Talk) -> None:
    name = begun(talk)
    talk(Submit(f"draft.fill|{name}.sources", {"origin": "other"}))
    talk(Submit(f"draft.fill|{name}.work.1", {"title": "A book"}))
    (asked,) = dialogs(talk(Press(f"draft.edit|{name}.work.1")))

    assert [field.name for field in asked.dialog.fields] == ["title", "link", "revision", "licence", "creators"]


def test_an_answer_too_long_for_a_dialog_is_asked_again_in_the_thread(talk: Talk) -> None:
    name = begun(talk)
    talk(Said("x" * 4000))
    talk(Said("y" * 4000))
    effects = talk(Press(f"draft.edit|{name}.example.1"))

    assert dialogs(effects) == []
    assert texts(effects)[-1].startswith("Type it anew, and it replaces what is there.")


def test_a_question_is_asked_again_by_its_name_or_by_its_label(talk: Talk) -> None:
    begun(talk)
    talk(Said("question: a answer: b"))
    for called in ("answer", "Answer", "ANSWER"):
        talk(Command("edit", f"1 {called}"))
        assert talk.draft and talk.draft.asked == "example.1.answer"


def test_submitting_what_is_not_complete_says_what_is_missing(talk: Talk) -> None:
    begun(talk)
    effects = talk(Command("submit"))

    assert texts(effects) == [
        "Not quite yet. First example. What would somebody ask? (Write 5 that differ, the model learns the range.)"
    ]


def test_signing_asks_for_name_and_mail_once_and_starts_one_run_a_revision(talk: Talk) -> None:
    name = complete(talk)
    asked = talk(Press(f"draft.sign|{name}"))
    started = talk(Submit(f"draft.signed|{name}", {"name": "Alice Example", "mail": "alice@example.org"}))
    again = talk(Press(f"draft.sign|{name}"))

    assert [type(effect) for effect in asked] == [Ask]
    starts = [effect for effects in (started, again) for effect in effects if isinstance(effect, Start)]
    assert talk.draft and {start.key for start in starts} == {f"{name}.{talk.draft.revision}"}


def test_name_and_mail_never_enter_the_draft_or_a_card(talk: Talk) -> None:
    name = complete(talk)
    effects = talk(Submit(f"draft.signed|{name}", {"name": "Alice Example", "mail": "alice@example.org"}))

    said = [
        repr(effect)
        for effect in effects
        if isinstance(effect, Show | Save) and not repr(effect).startswith("Save(what=Person")
    ]
    assert "alice@example.org" not in "".join(said)


def test_any_change_needs_a_new_signature(talk: Talk) -> None:
    name = complete(talk)
    talk(Submit(f"draft.signed|{name}", {"name": "Alice Example", "mail": "alice@example.org"}))
    assert talk.draft and talk.draft.signed

    talk(Submit(f"draft.fill|{name}.about", {"description": "Greet people kindly"}))

    assert talk.draft.signed == 0.0


def test_an_old_sign_button_on_a_draft_that_is_no_longer_complete_shows_what_is_missing(talk: Talk) -> None:
    name = complete(talk)
    talk(Command("delete", "2"))
    effects = talk(Press(f"draft.sign|{name}"))
    talk.person = Talk(talk.words).person

    assert not any(isinstance(effect, Start) for effect in effects)


def test_a_taken_place_is_replaced_only_when_asked_to(talk: Talk) -> None:
    talk.taken = True
    name = complete(talk)
    before = cards(talk(Command("submit")))[-1].card
    after = cards(talk(Press(f"draft.overwrite|{name}")))[-1].card

    labels = [[button.label for button in card.buttons] for card in (before, after)]
    assert labels == [
        ["Preview", "Read the sign-off", "Choose another place", "Replace the one there"],
        ["Preview", "Read the sign-off", "Name and mail", "Sign and open"],
    ]


def test_a_stranger_can_neither_press_nor_type_nor_fill_in(talk: Talk) -> None:
    name = begun(talk)
    before = talk.draft
    said = [
        texts(talk(act, by="p2"))
        for act in (Press(f"draft.discard|{name}"), Said("mine"), Submit(f"draft.fill|{name}.about", {"description": "x"}))
    ]

    assert said == [[f"Draft {name} is alice's. Who writes it can let you in with /invite."]] * 3
    assert talk.draft == before


def test_a_guest_writes_along(talk: Talk) -> None:
    begun(talk)
    talk(Command("invite", "<@p2>"))
    talk(Said("question: a answer: b"), by="p2")

    assert answers(talk)["example.1.answer"] == "b"


def test_a_discarded_draft_comes_back_by_its_button(talk: Talk) -> None:
    name = begun(talk)
    talk(Command("discard"))
    assert talk.draft and talk.draft.state == "discarded"
    talk(Press(f"draft.open|{name}"))

    assert talk.draft.state == "open"


def test_a_button_of_something_that_is_gone_says_so(talk: Talk) -> None:
    effects = [talk(Press(token)) for token in ("draft.undo|gone", "run.cancel|gone.1", "nonsense", "")]

    assert [texts(one) for one in effects] == [["That button is from before; things have moved on."]] * 4


def test_a_button_with_a_mangled_value_breaks_nothing(talk: Talk) -> None:
    name = begun(talk)
    before = talk.draft
    for verb in ("drop", "keep", "edit", "choose", "clean", "nothing"):
        for rest in ("", ".", ".x", ".example", ".example.x", ".99", ".example.99"):
            talk(Press(f"draft.{verb}|{name}{rest}"))
    talk(Submit(f"draft.fill|{name}.nowhere.7", {}))

    assert talk.draft and before and talk.draft.answers.items() >= before.answers.items()


def test_a_quota_is_told_with_the_time_to_wait(talk: Talk) -> None:
    talk.roles = {"everyone": Role("everyone", quotas={"draft": Quota(1, 3600.0)})}
    talk(Command("skill"))
    talk.conversation = Talk(talk.words).conversation
    effects = talk(Command("skill"))

    assert texts(effects) == ["That is as often as it may be done for now. Again in 60 min."]


def test_a_role_may_be_denied_a_command(talk: Talk) -> None:
    talk.roles = {"everyone": Role("everyone", denied=frozenset({"submit"}))}
    complete(talk)

    assert texts(talk(Command("submit"))) == ["You may not do that here. An operator can change it."]


def test_a_run_that_ends_says_so_in_a_new_message_to_the_one_who_started_it(talk: Talk) -> None:
    name = complete(talk)
    talk(Submit(f"draft.signed|{name}", {"name": "Alice Example", "mail": "alice@example.org"}))
    assert talk.draft
    moved = Moved(talk.draft.run, 3, "done", facts={"branch": "b", "commit": "c", "pull": "p"})
    effects = talk(moved)

    assert [(show.slot, show.ping) for show in cards(effects)] == [
        (f"run.{talk.draft.run}", ""),
        ("", "p1"),
        (f"draft.{name}", ""),
    ]
    assert talk.draft.state == "submitted"


def test_a_step_of_a_run_edits_its_card_and_says_nothing_else(talk: Talk) -> None:
    complete(talk)
    assert talk.draft
    effects = talk(Moved(f"{talk.draft.id}.1", 2, "running", "propose", 0.5, {"stage": "propose"}))

    assert [type(effect) for effect in effects] == [Show]


def test_a_running_run_is_cancelled_and_an_ended_one_is_not(talk: Talk) -> None:
    begun(talk)
    talk.run = Run("r.1", "running")
    running = talk(Command("cancel"))
    talk.run = Run("r.1", "done")
    ended = talk(Command("cancel"))

    assert (running, texts(ended)) == ([Cancel("r.1")], ["Nothing is running for this draft."])


def test_the_platforms_own_stop_cancels_what_it_stands_on(talk: Talk) -> None:
    assert talk(Stopped("m1")) == [Cancel("m1")]


def test_a_first_visit_is_welcomed_in_one_card_that_stays(talk: Talk) -> None:
    (shown,) = cards(talk(Opened()))

    assert (shown.slot, [button.label for button in shown.card.buttons]) == (
        "home",
        ["Teach a skill", "Add knowledge", "My drafts", "Help"],
    )


def test_thumbs_on_what_has_none_are_ignored(talk: Talk) -> None:
    assert talk(Rated("m1", good=True)) == []


def test_the_github_name_is_remembered_for_the_next_draft(talk: Talk) -> None:
    complete(talk)
    talk.conversation, talk.draft = Talk(talk.words).conversation, None
    talk(Command("skill"))

    draft: Draft | None = talk.draft
    assert draft and draft.answers == {"sources.github": "alice-lab"}


@pytest.mark.parametrize("verb", ["keep", "drop"])
def test_a_button_of_an_example_that_has_gone_says_so_and_touches_no_other(talk: Talk, verb: str) -> None:
    name = complete(talk)
    before = answers(talk)
    gone = max(int(part) for part in before["example"].split()) + 1
    effects = talk(Press(f"draft.{verb}|{name}.example.{gone}"))

    assert answers(talk) == before
    assert any(text.startswith(talk.words("press.stale")) for text in texts(effects))
