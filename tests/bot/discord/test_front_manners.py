"""What the bot may not do is named with the way out, to the one whom it concerns; what is private stays so."""

import pytest

from tests.bot.discord.front import Labbot, button, created, labels, private
from tests.fakes.discord.people import Person
from tests.fakes.discord.state import Channel, Guild, Json

ALONE = "There is something for you alone."
GIVE = "Somebody who manages the server can give them"


async def noted(labbot: Labbot, who: Person, channel: Channel) -> Json:
    """What a channel is told where somebody asks for what is private, and takes no direct messages."""
    who.refuses_dms = True
    await labbot.start()
    await labbot.after(who.says(channel, "/quota", mention=True))
    return next(one.message for one in created(labbot.fake) if ALONE in labbot.text(one.message))


@pytest.mark.parametrize(
    ("permission", "called"),
    [
        ("VIEW_CHANNEL", "View Channel"),
        ("SEND_MESSAGES_IN_THREADS", "Send Messages in Threads"),
        ("CREATE_PUBLIC_THREADS", "Create Public Threads"),
    ],
)
async def test_a_permission_that_a_draft_needs_is_named_to_the_one_who_gave_the_command(
    labbot: Labbot, guild: Guild, bob: Person, permission: str, called: str
) -> None:
    channel = guild.channel("closed", deny=[permission])
    await labbot.start()
    await labbot.after(bob.slash(channel, "skill"))
    told = [one for one in labbot.said(channel, bob) if GIVE in labbot.text(one)]

    assert [private(one) for one in told] == [True]
    assert called in labbot.text(told[0])
    assert f"<#{channel.id}>" in told[0]["content"]
    assert labbot.said(bob.dm) == []


async def test_private_threads_need_a_permission_of_their_own(labbot: Labbot, guild: Guild, bob: Person) -> None:
    channel = guild.channel("closed", deny=["CREATE_PRIVATE_THREADS"])
    await labbot.start(platforms__discord__threads="private")
    await labbot.after(bob.slash(channel, "skill"))

    assert any("Create Private Threads" in text for text in labbot.texts(channel, bob))


async def test_a_permission_that_an_answer_to_a_mention_needs_is_named_in_direct_messages(
    labbot: Labbot, guild: Guild, bob: Person
) -> None:
    labbot.alone()
    channel = guild.channel("closed", deny=["CREATE_PUBLIC_THREADS", "SEND_MESSAGES"])
    await labbot.start()
    await labbot.after(bob.says(channel, "what is a skill?", mention=True))
    told = labbot.texts(bob.dm)

    assert len(told) == 1
    assert GIVE in told[0]
    assert "Send Messages" in told[0]
    assert "Create Public Threads" in told[0]


async def test_a_permission_that_is_given_later_is_used(labbot: Labbot, guild: Guild, bob: Person) -> None:
    channel = guild.channel("closed", deny=["CREATE_PUBLIC_THREADS"])
    await labbot.start()
    await labbot.after(bob.slash(channel, "skill"))
    channel.denies()
    await labbot.after(bob.slash(channel, "skill"))

    assert len(labbot.fake.threads(channel)) == 1


async def test_a_file_that_may_not_be_attached_is_told_of(labbot: Labbot, guild: Guild, bob: Person) -> None:
    channel = guild.channel("closed", deny=["ATTACH_FILES"])
    await labbot.start()
    assert labbot.model is not None
    labbot.model.tell("says " + " ".join(f"word{number}" for number in range(2500)))
    await labbot.after(bob.slash(channel, "chat", {"question": "tell me everything"}))
    await labbot.quiet()

    assert [GIVE in text and "Attach Files" in text for text in labbot.texts(bob.dm)] == [True]


async def test_what_is_private_is_shown_by_a_button_where_somebody_takes_no_direct_messages(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    note = await noted(labbot, bob, channel)
    shown = await labbot.acked(bob.presses(note, button(note, "Show it to me")))

    assert labels(note) == ["Show it to me"]
    assert "no limit" not in labbot.text(note)
    assert [one["id"] for one in note["mentions"]] == [bob.id]
    assert shown.original is not None
    assert private(shown.original)
    assert "no limit" in labbot.answer(shown)


async def test_nobody_else_is_shown_what_is_for_one_person(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    note = await noted(labbot, bob, channel)
    shown = await labbot.acked(alice.presses(note, button(note, "Show it to me")))

    assert shown.original is not None
    assert private(shown.original)
    assert "unbegrenzt" not in labbot.answer(shown)
    assert "no limit" not in labbot.answer(shown)


async def test_a_button_for_one_person_works_after_a_restart(labbot: Labbot, channel: Channel, bob: Person) -> None:
    note = await noted(labbot, bob, channel)
    await labbot.again()
    shown = await labbot.acked(bob.presses(note, button(note, "Show it to me")))

    assert "no limit" in labbot.answer(shown)


async def test_a_dialog_that_was_asked_for_by_a_message_is_opened_by_a_button_in_direct_messages(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    thread = await labbot.draft(bob, channel)
    await labbot.after(bob.says(thread, "/edit about", mention=True))
    offered = labbot.said(bob.dm)[-1]
    opened = await labbot.acked(bob.presses(offered, button(offered, "Fill in")))
    await labbot.after(bob.submits(opened, {"description": "Greet people"}))

    assert "Greet people · draft" in labbot.text(labbot.card(thread))


async def test_an_invitation_that_reaches_nobody_holds_nothing_up(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    alice.refuses_dms = True
    await labbot.start()
    thread = await labbot.draft(bob, channel)
    await labbot.after(bob.slash(thread, "invite", {"who": alice.id}))
    await labbot.after(bob.says(thread, "Greet people", mention=True))

    assert "Greet people · draft" in labbot.text(labbot.card(thread))
