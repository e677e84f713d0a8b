"""Every button and dialog outlives the process that posted it, and one whose draft has moved on says so."""

import pytest

from tests.bot.slack.front import Labbot, button, control, fields, labels
from tests.fakes.slack.people import Person
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json
from tests.fakes.slack_view import text_of

STALE = "That button is from before"


async def begun(labbot: Labbot, who: Person, channel: Channel, text: str = "Greet people") -> Json:
    """Let somebody begin a draft and say what it is about; return its card."""
    card = await labbot.draft(who, channel)
    await labbot.says(who, channel, text, card)
    return labbot.card(channel, card)


async def test_the_buttons_of_a_welcome_work_after_a_restart(labbot: Labbot, bob: Person) -> None:
    labbot.alone()
    await labbot.start()
    await labbot.says(bob, bob.dm, "hello")
    welcome = labbot.said(bob.dm)[-1]
    await labbot.again()
    for label in labels(welcome):
        before = len(labbot.said(bob.dm))
        await labbot.presses(bob, welcome, label)

        assert len(labbot.said(bob.dm)) > before
    assert labels(welcome) == ["Teach a skill", "Add knowledge", "My drafts", "Help"]
    assert not any(STALE in text for text in labbot.texts(bob.dm))


@pytest.mark.parametrize(
    ("label", "comes"),
    [("Preview", "qna.yaml"), ("Undo", "Taken back."), ("Later", "It is kept."), ("Discard", "Discarded: Greet people")],
)
async def test_the_buttons_of_a_draft_s_card_work_after_a_restart(
    labbot: Labbot, channel: Channel, bob: Person, label: str, comes: str
) -> None:
    labbot.alone()
    await labbot.start()
    card = await begun(labbot, bob, channel)
    await labbot.again()
    await labbot.presses(bob, card, label)

    assert labels(card)[:5] == ["Fill in", "Preview", "Undo", "Later", "Discard"]
    assert any(comes in text for text in [*labbot.texts(channel, card), *labbot.private(channel, bob)])


@pytest.mark.usefixtures("mode")
async def test_a_card_s_select_opens_its_dialog_after_a_restart(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    card = await begun(labbot, bob, channel)
    await labbot.again()
    opened = await labbot.opens(bob, card, "About")

    assert fields(opened)["description"]["initial_value"] == "Greet people"


@pytest.mark.usefixtures("mode")
async def test_a_dialog_that_was_opened_before_a_restart_is_taken_after_it(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    card = await labbot.draft(bob, channel)
    opened = await labbot.opens(bob, card, "Fill in")
    await labbot.again()
    sent = await labbot.fills(bob, opened, {"description": "Greet people"})

    assert not sent.error
    assert labbot.fake.views(bob) == []
    assert "Greet people · draft" in text_of(labbot.card(channel, card))


async def test_a_dialog_of_before_a_restart_says_at_its_fields_what_is_wrong_after_it(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    card = await labbot.draft(bob, channel)
    opened = await labbot.opens(bob, card, "Fill in")
    await labbot.again()
    await labbot.fills(bob, opened, {"description": "Greet people \u202e and their dogs"})

    assert "Character 14" in labbot.fake.views(bob)[-1]["errors"]["description"]


async def test_a_button_whose_draft_has_moved_on_says_so_and_shows_the_card_as_it_stands(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    card = await labbot.draft(bob, channel)
    await labbot.says(bob, channel, "Greet people\u202e", card)
    asked = next(one for one in labbot.said(channel, card) if "Take it out" in labels(one))
    await labbot.presses(bob, labbot.card(channel, card), "Undo")
    await labbot.again()
    shown = len(fake.shown)
    await labbot.presses(bob, asked, "Take it out")

    assert STALE in labbot.texts(channel, card, bob)[-1]
    edited = [one.message["ts"] for one in fake.shown[shown:] if one.kind == "edit" and one.message.get("bot_id")]
    assert edited == [labbot.card(channel, card)["ts"]]


async def test_a_button_whose_draft_was_discarded_brings_its_card_back(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    card = await labbot.draft(bob, channel, "skill greet people")
    question = next(one for one in labbot.said(channel, card) if "Yes: Greet people" in labels(one))
    await labbot.presses(bob, card, "Discard")
    await labbot.again()
    await labbot.presses(bob, question, "Yes: Greet people")

    assert "Greet people · draft" in text_of(labbot.card(channel, card))


async def test_a_button_that_means_nothing_any_more_says_so_to_the_one_who_pressed_it(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    asking = await labbot.asks(bob, channel, "tell me a story")
    first = await labbot.comes(channel, "Answer again", asking)
    await labbot.quiet()
    await labbot.presses(bob, first, "Answer again")
    await labbot.quiet()
    await labbot.presses(bob, first, "Answer again")

    assert [STALE in text for text in labbot.private(channel, bob)] == [True]


async def test_a_button_for_one_person_works_after_a_restart(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    await labbot.lab(bob, channel, "quota")
    await labbot.again()
    seen = labbot.seen(bob, channel)
    await labbot.acked(bob.presses(seen, button(seen, "Show everybody")))
    await labbot.comes(channel, "no limit")

    assert control(seen, "Show everybody")["action_id"].startswith("share|")
