"""Files that people send: taken where they are what they are said to be, else refused politely, with nothing lost."""

import asyncio

import pytest

from bot.platforms.discord import say
from tests.bot.discord.front import Labbot
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel

ENTRY = b"""version: 3
created_by: alice-lab
task_description: Greet people
seed_examples:
""" + b"".join(b"  - question: Hello %d?\n    answer: Hello to you, %d!\n" % (at, at) for at in range(5))
LARGE = 2**20 + 1


async def test_a_file_in_a_message_that_names_the_bot_begins_a_draft(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    await labbot.after(bob.says(channel, "look", files=[("qna.yaml", ENTRY)], mention=True))

    assert any("Examples 5/5" in text for thread in labbot.fake.threads(channel) for text in labbot.texts(thread))


async def test_a_file_given_to_the_slash_command_begins_a_draft(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    await labbot.after(bob.slash(channel, "upload", {"file": ("qna.yaml", ENTRY)}))

    assert any("Examples 5/5" in text for text in labbot.texts(labbot.fake.threads(channel)[-1]))


async def test_a_file_in_a_dialog_begins_a_draft(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    opened = await labbot.acked(bob.slash(channel, "upload"))
    await labbot.after(bob.submits(opened, {"file": [("qna.yaml", ENTRY)]}))

    assert any("Examples 5/5" in text for text in labbot.texts(labbot.fake.threads(channel)[-1]))


async def test_a_draft_comes_back_as_a_file_with_the_same_words(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    await labbot.after(bob.slash(channel, "upload", {"file": ("qna.yaml", ENTRY)}))
    thread = labbot.fake.threads(channel)[-1]
    await labbot.after(bob.slash(thread, "preview"))
    preview = labbot.said(thread, bob)[-1]

    assert "Hello 4?" in labbot.text(preview)


async def test_a_file_that_is_said_to_be_too_large_is_refused_without_being_fetched(
    labbot: Labbot, fake: Discord, bob: Person
) -> None:
    await labbot.start()
    await labbot.after(bob.says(bob.dm, "", files=[("qna.yaml", b"a" * LARGE)]))

    assert f"That file has {LARGE} bytes" in labbot.texts(bob.dm)[-1]


async def test_a_file_that_is_larger_than_was_said_is_refused(labbot: Labbot, fake: Discord, bob: Person) -> None:
    await labbot.start()
    fake.hold()
    said = await bob.says(bob.dm, "", files=[("qna.yaml", ENTRY)])
    fake.file(said["attachments"][0]).padding = LARGE
    await labbot.after(_release(fake))

    assert "an entry is far smaller" in labbot.texts(bob.dm)[-1]


async def test_a_file_that_does_not_come_in_time_is_refused_and_taken_when_it_is_sent_again(
    labbot: Labbot, fake: Discord, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await labbot.start()
    monkeypatch.setattr(say, "FETCH_S", 0.05)
    fake.hold()
    said = await bob.says(bob.dm, "", files=[("qna.yaml", ENTRY)])
    fake.file(said["attachments"][0]).slow_s = 30.0
    await labbot.after(_release(fake))

    assert "qna.yaml did not come in time" in labbot.texts(bob.dm)[-1]
    monkeypatch.undo()
    await labbot.after(bob.says(bob.dm, "", files=[("qna.yaml", ENTRY)]))
    assert any("Examples 5/5" in text for text in labbot.texts(bob.dm))


async def test_a_file_that_is_not_discord_s_is_not_fetched(labbot: Labbot, fake: Discord, bob: Person) -> None:
    await labbot.start()
    ours, fake.world.cdn = fake.world.cdn, "http://127.0.0.1:9/elsewhere"
    await labbot.after(bob.says(bob.dm, "", files=[("qna.yaml", ENTRY)]))
    fake.world.cdn = ours

    assert "does not come from Discord" in labbot.texts(bob.dm)[-1]


async def test_a_file_that_is_no_text_by_its_name_is_not_fetched(labbot: Labbot, fake: Discord, bob: Person) -> None:
    await labbot.start()
    fake.hold()
    said = await bob.says(bob.dm, "", files=[("photo.PNG", ENTRY)])
    fake.file(said["attachments"][0]).slow_s = 30.0
    await labbot.after(_release(fake))

    assert "photo.PNG is no text that I can take" in labbot.texts(bob.dm)[-1]


async def test_a_file_that_is_refused_takes_nothing_from_the_draft_it_was_meant_for(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    thread = await labbot.draft(bob, channel)
    await labbot.after(bob.says(thread, "Greet people", mention=True))
    await labbot.after(bob.says(thread, "", files=[("qna.yaml", b"\x89PNG\r\n\x1a\n\xff")], mention=True))

    assert any("That is no text in UTF-8" in text for text in labbot.texts(thread))
    assert "Greet people · draft" in labbot.text(next(one for one in labbot.said(thread) if "draft" in labbot.text(one)))


async def _release(fake: Discord) -> None:
    await asyncio.sleep(0)
    fake.release()
