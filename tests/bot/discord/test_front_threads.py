"""The threads of drafts and the cards in them: found again, made anew, named once, edited as Discord allows it."""

import pytest

from bot.platforms.discord import limits
from tests.bot.discord.front import Labbot, button, created, labels
from tests.fakes.discord import messages
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import PRIVATE_THREAD, PUBLIC_THREAD, Channel, Json

HOUR_S = 3600.0
EXAMPLE = "question: Hello? answer: Hello!"


async def begun(labbot: Labbot, who: Person, channel: Channel, about: str = "Greet people") -> tuple[Channel, str]:
    """A draft's thread and its name."""
    thread = await labbot.draft(who, channel)
    await labbot.after(who.says(thread, about, mention=True))
    return thread, thread.name.rpartition(" ")[2]


def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let old cards be edited once a second."""
    monkeypatch.setattr(limits, "OLD_EDIT_S", 1.0)
    monkeypatch.setattr(messages, "OLD_EDIT_S", 0.9)


def edits(fake: Discord, message: Json) -> int:
    return sum(one.kind == "edit" and one.message["id"] == message["id"] for one in fake.shown)


async def test_a_draft_has_one_thread_with_one_card_that_is_edited(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    thread, _ = await begun(labbot, bob, channel)
    card = labbot.card(thread)

    assert fake.threads(channel) == [thread]
    assert (thread.kind, thread.owner) == (PUBLIC_THREAD, fake.bot.id)
    assert bob.id in thread.joined
    assert len([one for one in created(fake) if one.message["id"] == card["id"]]) == 1
    assert len(created(fake, "draft ")) == 1
    assert edits(fake, card) == 1


async def test_threads_are_private_where_they_are_set_to_be(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start(platforms__discord__threads="private")
    thread, _ = await begun(labbot, bob, channel)

    assert thread.kind == PRIVATE_THREAD
    assert bob.id in thread.joined


async def test_a_thread_in_the_archive_is_taken_out_before_its_card_is_edited(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    thread, draft = await begun(labbot, bob, channel)
    card = labbot.card(thread)
    before = edits(fake, card)
    thread.archive()
    await labbot.after(bob.slash(channel, "draft", {"draft": draft}))

    assert not thread.archived
    assert edits(fake, card) == before + 1
    assert fake.threads(channel) == [thread]


async def test_a_thread_that_was_deleted_is_made_anew_with_the_draft_s_card(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    thread, draft = await begun(labbot, bob, channel)
    _delete(fake, thread)
    await labbot.after(bob.slash(channel, "draft", {"draft": draft}))
    new = fake.threads(channel)

    assert len(new) == 1
    assert "Greet people · draft" in labbot.text(labbot.card(new[0]))
    await labbot.after(bob.says(new[0], EXAMPLE, mention=True))
    assert "Examples 1/5" in labbot.text(labbot.card(new[0]))


async def test_a_thread_that_was_deleted_is_made_anew_by_the_next_process_too(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    thread, draft = await begun(labbot, bob, channel)
    await labbot.crash()
    _delete(fake, thread)
    await labbot.start()
    await labbot.after(bob.slash(channel, "draft", {"draft": draft}))

    assert len(fake.threads(channel)) == 1
    assert "Greet people · draft" in labbot.text(labbot.card(fake.threads(channel)[0]))


async def test_a_draft_s_thread_is_known_after_a_restart(labbot: Labbot, fake: Discord, channel: Channel, bob: Person) -> None:
    await labbot.start()
    thread, _ = await begun(labbot, bob, channel)
    await labbot.again()
    await labbot.after(bob.says(thread, EXAMPLE, mention=True))

    assert "Examples 1/5" in labbot.text(labbot.card(thread))
    assert fake.threads(channel) == [thread]


async def test_whoever_is_invited_is_brought_into_the_thread_and_writes_along(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start()
    thread, _ = await begun(labbot, bob, channel)
    await labbot.after(bob.slash(thread, "invite", {"who": alice.id}))
    letter = labbot.said(alice.dm)[-1]
    await labbot.after(alice.presses(letter, button(letter, labels(letter)[0])))
    await labbot.after(alice.says(thread, EXAMPLE, mention=True))

    assert alice.id in thread.joined
    assert any("Examples 1/5" in text or "Beispiele 1/5" in text for text in labbot.texts(thread))


async def test_a_thread_is_named_when_its_draft_is_and_only_then(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    thread, draft = await begun(labbot, bob, channel)
    opened = await labbot.acked(bob.slash(thread, "edit", {"what": "about"}))
    await labbot.after(bob.submits(opened, {"description": "Greet cats"}))
    await labbot.after(bob.says(thread, EXAMPLE, mention=True))

    assert thread.name == f"Greet people · {draft}"
    assert len(thread.renamed) == 1


async def test_a_card_that_was_deleted_is_posted_anew(labbot: Labbot, fake: Discord, channel: Channel, bob: Person) -> None:
    await labbot.start()
    thread, _ = await begun(labbot, bob, channel)
    fake.world.remove(fake.world.messages[labbot.card(thread)["id"]])
    await labbot.after(bob.says(thread, EXAMPLE, mention=True))
    await labbot.after(bob.says(thread, "question: Hi? answer: Hi!", mention=True))
    cards = [one for one in labbot.said(thread) if " · draft" in labbot.text(one)]

    assert len(cards) == 1
    assert "Examples 2/5" in labbot.text(cards[0])


async def test_a_card_older_than_an_hour_is_edited_once_a_minute_and_shows_its_last_state(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    await labbot.start()
    thread, _ = await begun(labbot, bob, channel)
    card = labbot.card(thread)
    fake.clock += 2 * HOUR_S
    before = edits(fake, card)
    for number in "1234":
        await labbot.after(bob.says(thread, f"question: Hello {number}? answer: Hello, {number}!", mention=True))
    at_first = edits(fake, card) - before
    await fake.until(lambda: "Examples 4/5" in labbot.text(labbot.card(thread)))

    assert at_first < 4
    assert edits(fake, card) - before < 4
    assert [one.code for one in fake.requests if one.code == 30046] == []


async def test_the_last_state_of_an_old_card_is_shown_though_the_process_has_crashed_before(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await labbot.start()
    thread, _ = await begun(labbot, bob, channel)
    fake.clock += 2 * HOUR_S
    for number in "123":
        await labbot.after(bob.says(thread, f"question: Hello {number}? answer: Hello, {number}!", mention=True))
    assert "Examples 1/5" in labbot.text(labbot.card(thread))
    await labbot.crash()
    fake.clock += limits.OLD_EDIT_S
    await labbot.start()
    await fake.until(lambda: "Examples 3/5" in labbot.text(labbot.card(thread)))


async def test_an_edit_that_discord_refuses_for_its_age_is_shown_a_minute_later(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    await labbot.start()
    thread, _ = await begun(labbot, bob, channel)
    fake.clock += 2 * HOUR_S
    found = fake.world.messages[labbot.card(thread)["id"]]
    found.edited_late.append(fake.world.now_s)  # by another process
    await labbot.after(bob.says(thread, EXAMPLE, mention=True))
    await fake.until(lambda: "Examples 1/5" in labbot.text(labbot.card(thread)))

    assert [one.code for one in fake.requests if one.code == 30046] == [30046]


def _delete(fake: Discord, thread: Channel) -> None:
    """What a moderator may do with a thread."""
    assert thread.guild is not None
    del fake.world.channels[thread.id]
    thread.guild.channels.remove(thread)
    for name in thread.messages:
        fake.world.messages.pop(name, None)
