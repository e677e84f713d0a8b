"""A draft in its thread: its card, its dialogs, what is typed, and those who write it together."""

import json

import pytest

from bot.core.talk import Dialog
from bot.platforms.slack import dialogs
from bot.rows import Message
from tests.bot.slack.front import Labbot, button, fields, labels
from tests.fakes.slack.people import Person, Workspace
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json
from tests.fakes.slack_view import text_of


async def begun(labbot: Labbot, who: Person, channel: Channel, text: str = "Greet people") -> Json:
    """Let somebody begin a draft and say what it is about; return its card."""
    card = await labbot.draft(who, channel)
    await labbot.says(who, channel, text, card)
    return labbot.card(channel, card)


# --- its thread


@pytest.mark.usefixtures("mode")
async def test_a_draft_begins_a_thread_with_its_card_in_which_nobody_needs_to_name_the_bot(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    card = await begun(labbot, bob, channel)
    await labbot.again()
    await labbot.says(bob, channel, "question: How? answer: So.", card)

    assert "Greet people · draft" in text_of(labbot.card(channel, card))
    assert "Examples 1/5" in text_of(labbot.card(channel, card))
    assert all(one.get("thread_ts") == card["ts"] for one in labbot.said(channel))


async def test_a_draft_that_is_begun_in_a_thread_goes_on_in_it(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    asking = await labbot.asks(bob, channel, "/skill greet people")
    card = labbot.card(channel, asking)
    await labbot.presses(bob, card, "Later")
    await labbot.asks(bob, channel, "/draft", asking)

    assert card["thread_ts"] == asking["ts"]


async def test_two_drafts_of_a_channel_have_a_thread_each(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    first, second = await labbot.draft(bob, channel), await labbot.draft(bob, channel)
    await labbot.says(bob, channel, "Greet people", first)
    await labbot.says(bob, channel, "Count beans", second)

    assert "Greet people · draft" in text_of(labbot.card(channel, first))
    assert "Count beans · draft" in text_of(labbot.card(channel, second))


async def test_every_step_has_a_button_since_threads_take_no_commands(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    card = await begun(labbot, bob, channel)

    assert {"Fill in", "Preview", "Undo", "Later", "Discard", "About", "A new example", "Sources", "Place"} <= set(labels(card))


# --- dialogs


@pytest.mark.usefixtures("mode")
async def test_a_dialog_opens_with_what_there_is_and_changes_the_card_when_it_is_sent(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    card = await begun(labbot, bob, channel)
    opened = await labbot.opens(bob, card, "About")
    await labbot.fills(bob, opened, {"description": "Greet everybody"})

    assert fields(opened)["description"]["initial_value"] == "Greet people"
    assert set(json.loads(opened["private_metadata"])) == {"room"}
    assert opened["notify_on_close"]
    assert fake.views(bob) == []
    assert "Greet everybody · draft" in text_of(labbot.card(channel, card))


@pytest.mark.usefixtures("mode")
async def test_what_is_wrong_with_a_dialog_stands_at_its_fields_and_it_stays_open(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    card = await begun(labbot, bob, channel)
    opened = await labbot.opens(bob, card, "About")
    heard = await labbot.fills(bob, opened, {"description": "Greet people \u202e and dogs"})
    shown = fake.views(bob)[-1]
    await labbot.fills(bob, shown, {"description": "Greet people and dogs"})

    assert heard.response["response_action"] == "errors"
    assert "Character 14" in shown["errors"]["description"]
    assert fake.views(bob) == []
    assert "Greet people and dogs · draft" in text_of(labbot.card(channel, card))


async def test_what_was_typed_into_a_dialog_that_was_closed_stands_there_when_it_is_opened_again(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    card = await labbot.draft(bob, channel)
    await labbot.closes(bob, await labbot.opens(bob, card, "Fill in"), {"description": "Greet peo"})
    await labbot.again()
    again = await labbot.opens(bob, card, "Fill in")
    await labbot.fills(bob, again, {"description": "Greet people"})
    anew = await labbot.opens(bob, labbot.card(channel, card), "About")

    assert fields(again)["description"]["initial_value"] == "Greet peo"
    assert fields(anew)["description"]["initial_value"] == "Greet people"
    assert labbot.holding("bot:typed:") == []


async def test_what_one_person_typed_and_closed_is_shown_to_no_other(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start()
    card = await begun(labbot, bob, channel)
    await labbot.asks(bob, channel, f"/invite <@{alice.id}>", card)
    await labbot.closes(bob, await labbot.opens(bob, card, "About"), {"description": "Greet platypuses"})
    opened = await labbot.opens(alice, labbot.card(channel, card), "About")

    assert fields(opened)["description"]["initial_value"] == "Greet people"


async def test_a_dialog_that_takes_long_holds_its_place_with_a_view_that_says_so(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialogs, "LOADING_S", 0.01)
    await labbot.start()
    card = await begun(labbot, bob, channel)
    asks, waiting = labbot.front.speaker.ask, []

    async def late(message: Message) -> None:
        assert isinstance(message.body, Dialog)
        await fake.until(lambda: fake.views(bob))
        waiting.extend(fake.views(bob))
        await asks(message)

    monkeypatch.setattr(labbot.front.speaker, "ask", late)
    opened = await labbot.opens(bob, card, "About")

    assert not waiting[0].get("submit")
    assert "fetching" in text_of(waiting[0])
    assert opened["id"] == waiting[0]["id"]
    assert (labbot.asked("views.open"), labbot.asked("views.update")) == (1, 1)


async def test_a_dialog_that_leads_to_nothing_says_so_in_the_view_that_held_its_place(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialogs, "LOADING_S", 0.0)
    await labbot.start()
    card = await begun(labbot, bob, channel)
    hears = labbot.front.ear.take

    async def late(*given: object) -> None:
        await fake.until(lambda: fake.views(bob))
        await hears(*given)  # type: ignore[arg-type]  # whatever it takes

    monkeypatch.setattr(labbot.front.ear, "take", late)
    await labbot.after(bob.command(channel, "/lab", "edit nothing"))
    await fake.until(lambda: "led to no form" in text_of(fake.views(bob)[-1]))

    assert labels(card)
    assert labbot.asked("views.open") == 1


async def test_a_dialog_whose_moment_has_passed_is_offered_by_a_button(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await labbot.start()
    card = await begun(labbot, bob, channel)
    monkeypatch.setattr(dialogs, "TRIGGER_S", 0.0)
    await labbot.presses(bob, card, "About")
    offered = await labbot.comes(channel, "Fill in", reader=bob)
    monkeypatch.undo()
    offered = next(one for one in reversed(labbot.said(channel, reader=bob)) if fake.world.messages[one["ts"]].to)
    opened = await labbot.acked(bob.presses(offered, button(offered, "Fill in")))
    await fake.until(lambda: opened.view)

    assert fields(opened.view or {})["description"]["initial_value"] == "Greet people"


async def test_a_view_that_cannot_be_opened_is_offered_by_a_button(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    card = await begun(labbot, bob, channel)
    fake.fail("views.open", "expired_trigger_id")
    await labbot.presses(bob, card, "About")
    offered = labbot.seen(bob, channel)

    assert labels(offered) == ["Fill in"]


# --- what is typed


async def test_an_answer_that_is_edited_changes_the_draft_and_one_that_is_deleted_is_taken_back(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    card = await labbot.draft(bob, channel)
    said = await labbot.says(bob, channel, "Greet people", card)
    await labbot.after(bob.edits(said, "Greet everybody"))
    edited = text_of(labbot.card(channel, card))
    await labbot.after(bob.deletes(said))

    assert "Greet everybody · draft" in edited
    assert "Greet everybody" not in text_of(labbot.card(channel, card))


# --- several authors


async def test_somebody_who_is_invited_writes_the_same_draft_and_others_do_not(
    labbot: Labbot, team: Workspace, channel: Channel, alice: Person, bob: Person
) -> None:
    carol = team.user("carol")
    await labbot.start()
    card = await begun(labbot, bob, channel)
    await labbot.asks(bob, channel, f"/invite <@{alice.id}>", card)
    invitation = labbot.said(alice.dm)
    await labbot.says(alice, channel, "question: How? answer: So.", card)
    await labbot.says(carol, channel, "question: Who? answer: Me.", card)

    assert invitation
    assert "Greet people" in text_of(invitation[-1])
    assert "Beispiele 1/5" in text_of(labbot.card(channel, card))  # in the language of whoever changed it last


async def test_nobody_else_fills_in_the_dialog_of_a_draft(
    labbot: Labbot, fake: Slack, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start()
    card = await begun(labbot, bob, channel)
    await labbot.presses(alice, card, "About")

    assert [view for view in fake.views(alice) if view.get("submit")] == []
    assert labbot.private(channel, alice)


async def test_a_card_that_was_deleted_comes_again_with_its_draft(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    card = await begun(labbot, bob, channel)
    fake.world.remove(fake.world.messages[card["ts"]])
    await labbot.says(bob, channel, "question: How? answer: So.", card)
    await labbot.comes(channel, "Examples 1/5")
