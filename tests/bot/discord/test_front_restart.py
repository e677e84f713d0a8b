"""Every button and dialog outlives the process that posted it, and one whose draft has moved on says so."""

import pytest

from tests.bot.discord.front import Labbot, button, labels, private
from tests.fakes.discord.limits import walk
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel

STALE = "That button is from before"


async def test_the_buttons_of_a_welcome_work_after_a_restart(labbot: Labbot, bob: Person) -> None:
    labbot.alone()
    await labbot.start()
    await labbot.after(bob.says(bob.dm, "hello"))
    welcome = labbot.said(bob.dm)[-1]
    await labbot.again()
    for label in labels(welcome):
        before = len(labbot.said(bob.dm, bob))
        await labbot.presses(bob, welcome, label)

        assert len(labbot.said(bob.dm, bob)) > before
    assert labels(welcome) == ["Teach a skill", "Add knowledge", "My drafts", "Help"]
    assert not any(STALE in text for text in labbot.texts(bob.dm, bob))


@pytest.mark.parametrize(
    ("label", "comes"),
    [("Preview", "qna.yaml"), ("Undo", "Taken back."), ("Later", "It is kept."), ("Discard", "Discarded: Greet people")],
)
async def test_the_buttons_of_a_draft_s_card_work_after_a_restart(
    labbot: Labbot, channel: Channel, bob: Person, label: str, comes: str
) -> None:
    labbot.alone()
    await labbot.start()
    thread = await labbot.draft(bob, channel)
    await labbot.after(bob.says(thread, "Greet people", mention=True))
    card = labbot.card(thread)
    await labbot.again()
    await labbot.presses(bob, card, label)

    assert labels(card) == ["Fill in", "Preview", "Undo", "Later", "Discard"]
    assert any(comes in text for text in labbot.texts(thread, bob))


async def test_a_card_s_select_opens_its_dialog_after_a_restart(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    thread = await labbot.draft(bob, channel)
    await labbot.after(bob.says(thread, "Greet people", mention=True))
    card = labbot.card(thread)
    options = [option for _, one in walk(card["components"]) for option in one.get("options", ())]
    about = next(one["value"] for one in options if one["label"] == "About")
    await labbot.again()
    heard = await labbot.acked(bob.selects(card, "choice", [about]))

    assert heard.modal is not None
    assert heard.modal["components"][0]["component"]["value"] == "Greet people"


async def test_a_dialog_that_was_opened_before_a_restart_is_taken_after_it(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    thread = await labbot.draft(bob, channel)
    opened = await labbot.acked(bob.presses(labbot.card(thread), button(labbot.card(thread), "Fill in")))
    await labbot.again()
    sent = await labbot.after(bob.submits(opened, {"description": "Greet people"}))

    assert sent.acked.is_set()
    assert "Greet people · draft" in labbot.text(labbot.card(thread))


async def test_a_dialog_that_was_refused_keeps_what_was_typed_behind_a_button_that_outlives_a_restart(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    thread = await labbot.draft(bob, channel)
    await labbot.after(bob.says(thread, "Greet people\u202e", mention=True))
    opened = await labbot.acked(bob.slash(thread, "edit", {"what": "about"}))
    typed = "Greet people \u202e and their dogs"
    await labbot.after(bob.submits(opened, {"description": typed}))
    refused = labbot.said(thread, bob)[-1]
    await labbot.again()
    fixing = await labbot.acked(bob.presses(refused, button(refused, "Fix it")))

    assert private(refused)
    assert fixing.modal is not None
    assert "and their dogs" in fixing.modal["components"][0]["component"]["value"]
    assert "Character 14" in fixing.modal["components"][0]["description"]
    await labbot.after(bob.submits(fixing, {"description": "Greet people and their dogs"}))
    assert "Greet people and their dogs · draft" in labbot.text(labbot.card(thread))


async def test_a_button_whose_draft_has_moved_on_says_so_and_shows_the_card_as_it_stands(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    thread = await labbot.draft(bob, channel)
    await labbot.after(bob.says(thread, "Greet people\u202e", mention=True))
    asked = next(one for one in labbot.said(thread) if "Take it out" in labels(one))
    await labbot.after(bob.slash(thread, "undo"))
    await labbot.again()
    shown = len(fake.shown)
    await labbot.presses(bob, asked, "Take it out")

    assert STALE in labbot.texts(thread)[-1]
    assert [one.message["id"] for one in fake.shown[shown:] if one.kind == "edit"] == [labbot.card(thread)["id"]]


async def test_a_button_whose_draft_was_discarded_brings_its_card_back(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    await labbot.after(bob.slash(channel, "skill", {"about": "greet people"}))
    thread = labbot.fake.threads(channel)[-1]
    question = next(one for one in labbot.said(thread) if "Yes: Greet people" in labels(one))
    await labbot.presses(bob, labbot.card(thread), "Discard")
    await labbot.again()
    await labbot.presses(bob, question, "Yes: Greet people")

    assert "Greet people · draft" in labbot.text(labbot.card(thread))


async def test_a_button_that_means_nothing_any_more_says_so_to_the_one_who_pressed_it(
    labbot: Labbot, fake: Discord, bob: Person
) -> None:
    await labbot.start()
    model = labbot.model
    assert model is not None
    model.tell("says A story.")
    await labbot.after(bob.says(bob.dm, "tell me a story"))
    first = await labbot.comes(bob.dm, "A story.")
    await labbot.quiet()
    first = await labbot.comes(bob.dm, "Answer again")
    await labbot.presses(bob, first, "Answer again")
    await labbot.quiet()
    await labbot.presses(bob, first, "Answer again")

    assert [private(one) for one in labbot.said(bob.dm, bob) if STALE in labbot.text(one)] == [True]
