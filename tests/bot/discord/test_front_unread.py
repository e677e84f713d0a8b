"""Without the right to read every message all can be done: by what names the bot, and by what Discord tells it anyway."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.bot.discord.front import Labbot, button, private
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel

PAIRS = "\n".join(f"question: {number} beans? answer: {number} of them" for number in "12345")
TYPED = ("Count the beans", PAIRS, "own", "bob-lab", "mathematics/counting/beans")
HINT = "Here I only read what names me."

Type = Callable[[Labbot, Person, Channel, str], Awaitable[Any]]


async def mentions(labbot: Labbot, who: Person, place: Channel, text: str) -> None:
    await labbot.after(who.says(place, text, mention=True))


async def replies(labbot: Labbot, who: Person, place: Channel, text: str) -> None:
    await labbot.after(who.says(place, text, reply_to=labbot.said(place)[-1]))


async def types(labbot: Labbot, who: Person, place: Channel, text: str) -> None:
    await labbot.after(who.says(place, text))


async def _signs(labbot: Labbot, who: Person, place: Channel) -> None:
    """Sign the draft of a place off, and wait for its branch."""
    await labbot.after(who.slash(place, "submit"))
    before = await labbot.comes(place, "Sign and open", who)
    dialog = await labbot.acked(who.presses(before, button(before, "Sign and open")))
    await labbot.after(who.submits(dialog, {"name": "Bob Example", "mail": "bob@example.org"}))
    await labbot.comes(place, "is on a branch of its own")


@pytest.mark.parametrize("how", [mentions, replies])
async def test_a_draft_comes_to_its_end_by_what_names_the_bot(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, how: Type
) -> None:
    labbot.works = True
    await labbot.start(platforms__discord__message_content="false")
    await labbot.after(bob.says(channel, "/skill", mention=True))
    thread = labbot.fake.threads(channel)[-1]
    for text in TYPED:
        await how(labbot, bob, thread, text)

    assert "Complete." in labbot.text(labbot.card(thread))
    await _signs(labbot, bob, thread)


async def test_a_draft_comes_to_its_end_in_direct_messages(labbot: Labbot, bob: Person) -> None:
    labbot.works = True
    await labbot.start(platforms__discord__message_content="false")
    await labbot.after(bob.says(bob.dm, "/skill"))
    for text in TYPED:
        await types(labbot, bob, bob.dm, text)
    await _signs(labbot, bob, bob.dm)


async def test_a_draft_comes_to_its_end_by_commands_buttons_and_dialogs_alone(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    labbot.works = True
    await labbot.start(platforms__discord__message_content="false")
    thread = await labbot.draft(bob, channel)
    filled: list[dict[str, Any]] = [
        {"description": "Count the beans"},
        *({"question": f"{number} beans?", "answer": f"{number} of them"} for number in "12345"),
        {"origin": ["own"], "github": "bob-lab"},
        {"path": "mathematics/counting/beans"},
    ]
    for values in filled:
        card = labbot.card(thread)
        opened = await labbot.acked(bob.presses(card, button(card, "Fill in")))
        await labbot.after(bob.submits(opened, values))

    assert "Complete." in labbot.text(labbot.card(thread))
    await _signs(labbot, bob, thread)


async def test_a_message_command_begins_a_draft_with_what_somebody_else_wrote(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start(platforms__discord__message_content="false")
    said = await alice.says(channel, PAIRS)
    await labbot.after(bob.message_command(channel, "Make a skill from this", said))
    thread = labbot.fake.threads(channel)[-1]

    assert "Examples 5/5" in labbot.text(labbot.card(thread))


@pytest.mark.parametrize(
    ("may", "says"), [("false", "I read what names me, and answers to me;"), ("true", "everything in my threads")]
)
async def test_help_says_what_is_read(labbot: Labbot, channel: Channel, bob: Person, may: str, says: str) -> None:
    await labbot.start(platforms__discord__message_content=may)
    await labbot.after(bob.slash(channel, "help"))

    assert says in labbot.texts(channel, bob)[-1]


async def test_a_message_in_a_draft_s_thread_that_cannot_be_read_gets_a_hint_once(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start(platforms__discord__message_content="false")
    thread = await labbot.draft(bob, channel)
    await bob.says(thread, "Count the beans")
    await labbot.comes(thread, HINT)
    await bob.says(thread, "Do you hear me?")
    await mentions(labbot, bob, thread, "Count the beans")

    assert [HINT in text for text in labbot.texts(thread)].count(True) == 1
    assert "Count the beans · draft" in labbot.text(labbot.card(thread))


async def test_a_message_that_does_not_concern_the_bot_gets_nothing(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start(platforms__discord__message_content="false")
    theirs = await alice.opens_thread(channel, "lunch")
    await bob.says(channel, "what is a skill?")
    await bob.says(theirs, "what is a skill?")
    await labbot.after(bob.slash(channel, "quota"))

    assert labbot.said(theirs) == []
    assert all(private(one) for one in labbot.said(channel, bob))


async def test_with_the_right_a_plain_message_in_a_draft_s_thread_is_its_answer(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start(platforms__discord__message_content="true")
    thread = await labbot.draft(bob, channel)
    await types(labbot, bob, thread, "Count the beans")
    await bob.says(channel, "what is a skill?")
    await labbot.after(bob.slash(channel, "quota"))

    assert "Count the beans · draft" in labbot.text(labbot.card(thread))
    assert labbot.fake.threads(channel) == [thread]
