"""Files that people send: taken where they are what they are said to be, else refused politely, with nothing lost."""

import pytest

from bot.platforms.slack import say
from tests.bot.slack.front import Labbot, button, fields, labels
from tests.fakes.slack.people import Person
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json
from tests.fakes.slack_view import text_of

ENTRY = b"""version: 3
created_by: alice-lab
task_description: Greet people
seed_examples:
""" + b"".join(b"  - question: Hello %d?\n    answer: Hello to you, %d!\n" % (at, at) for at in range(5))
LARGE = 2**20 + 1


async def sends(labbot: Labbot, fake: Slack, who: Person, name: str, data: bytes, **wrong: object) -> Json:
    """Let somebody send a file in their direct messages, with something wrong with it at Slack."""
    fake.hold()
    said = await who.says(who.dm, "", files=[(name, data)])
    for fact, value in wrong.items():
        setattr(fake.file(said["files"][0]), fact, value)
    await labbot.after(_release(fake))
    return said


async def _release(fake: Slack) -> None:
    fake.release()


@pytest.mark.usefixtures("mode")
async def test_a_file_in_a_message_that_names_the_bot_begins_a_draft(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    asking = await labbot.asks(bob, channel, "look", files=[("qna.yaml", ENTRY)])

    assert "Examples 5/5" in text_of(labbot.card(channel, asking))


async def test_a_file_in_direct_messages_begins_a_draft(labbot: Labbot, bob: Person) -> None:
    await labbot.start()
    said = await labbot.says(bob, bob.dm, "", files=[("qna.yaml", ENTRY)])

    assert "Examples 5/5" in text_of(labbot.card(bob.dm, said))


async def test_a_file_in_the_thread_of_a_draft_needs_no_mention(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    card = await labbot.draft(bob, channel)
    await labbot.says(bob, channel, "", card, files=[("qna.yaml", ENTRY)])

    assert any("Examples 5/5" in text for text in labbot.texts(channel))


@pytest.mark.usefixtures("mode")
async def test_a_file_in_a_dialog_begins_a_draft(labbot: Labbot, fake: Slack, channel: Channel, bob: Person) -> None:
    await labbot.start()
    heard = await labbot.lab(bob, channel, "upload")
    await fake.until(lambda: (heard.view or {}).get("submit"))
    assert heard.view is not None
    assert fields(heard.view)["file"]["type"] == "file_input"
    await labbot.fills(bob, heard.view, {"file": [("qna.yaml", ENTRY)]})

    assert fake.views(bob) == []
    assert any("Examples 5/5" in text for text in labbot.texts(channel))


async def test_a_file_that_is_said_to_be_too_large_is_refused_without_being_fetched(
    labbot: Labbot, fake: Slack, bob: Person
) -> None:
    await labbot.start()
    await sends(labbot, fake, bob, "qna.yaml", b"a" * LARGE, slow_s=30.0)

    assert f"That file has {LARGE} bytes" in labbot.texts(bob.dm)[-1]


async def test_a_file_that_is_larger_than_was_said_is_refused(labbot: Labbot, fake: Slack, bob: Person) -> None:
    await labbot.start()
    await sends(labbot, fake, bob, "qna.yaml", ENTRY, padding=LARGE)

    assert "an entry is far smaller" in labbot.texts(bob.dm)[-1]


async def test_a_file_that_does_not_come_in_time_is_refused_and_taken_when_it_is_sent_again(
    labbot: Labbot, fake: Slack, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await labbot.start()
    with monkeypatch.context() as hurried:
        hurried.setattr(say, "FETCH_S", 0.05)
        await sends(labbot, fake, bob, "qna.yaml", ENTRY, slow_s=0.3)

    assert "qna.yaml did not come in time" in labbot.texts(bob.dm)[-1]
    await labbot.says(bob, bob.dm, "", files=[("qna.yaml", ENTRY)])
    assert any("Examples 5/5" in text for text in labbot.texts(bob.dm))


async def test_a_file_that_takes_longer_than_a_lock_lives_is_taken(labbot: Labbot, fake: Slack, bob: Person) -> None:
    await labbot.start()
    await sends(labbot, fake, bob, "qna.yaml", ENTRY, slow_s=2 * labbot.house.store.lease_s)
    await labbot.comes(bob.dm, "Examples 5/5")


async def test_a_file_that_is_gone_by_then_is_refused(labbot: Labbot, fake: Slack, bob: Person) -> None:
    await labbot.start()
    await sends(labbot, fake, bob, "qna.yaml", ENTRY, content=None)

    assert "qna.yaml" in labbot.texts(bob.dm)[-1]
    assert not any("draft" in text for text in labbot.texts(bob.dm))


async def test_a_file_that_is_not_slack_s_is_not_fetched(labbot: Labbot, fake: Slack, bob: Person) -> None:
    await labbot.start()
    ours, fake.world.base = fake.world.base, "http://127.0.0.1:9"
    await labbot.says(bob, bob.dm, "", files=[("qna.yaml", ENTRY)])
    fake.world.base = ours

    assert "does not come from Slack" in labbot.texts(bob.dm)[-1]


async def test_a_file_that_is_no_text_by_its_name_is_not_fetched(labbot: Labbot, fake: Slack, bob: Person) -> None:
    await labbot.start()
    await sends(labbot, fake, bob, "photo.PNG", ENTRY, slow_s=30.0)

    assert "photo.PNG is no text that I can take" in labbot.texts(bob.dm)[-1]


async def test_a_file_that_is_refused_takes_nothing_from_the_draft_it_was_meant_for(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    card = await labbot.draft(bob, channel)
    await labbot.says(bob, channel, "Greet people", card)
    await labbot.says(bob, channel, "", card, files=[("qna.yaml", b"\x89PNG\r\n\x1a\n\xff")])

    assert any("That is no text in UTF-8" in text for text in labbot.texts(channel, card, bob))
    assert "Greet people · draft" in text_of(labbot.card(channel, card))


async def test_what_is_too_long_for_a_card_comes_as_a_file_by_a_button_and_once(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    long = ENTRY.replace(b"Hello to you", b"Hello to you, and a good day, " * 40)
    await labbot.start()
    asking = await labbot.asks(bob, channel, "look", files=[("qna.yaml", long)])
    await labbot.presses(bob, labbot.card(channel, asking), "Preview")
    preview = next(one for one in reversed(labbot.said(channel, reader=bob)) if any("Whole" in each for each in labels(one)))
    for _ in range(2):
        heard = await labbot.acked(bob.presses(preview, button(preview, "Whole: qna.yaml")))
        await fake.until(heard.done.is_set)
        await fake.until(lambda: any(one.get("files") for one in [*labbot.said(bob.dm), *labbot.said(channel)]))
    files = [file for one in [*labbot.said(bob.dm), *labbot.said(channel)] for file in one.get("files") or ()]

    assert [file["name"] for file in files][:1] == ["qna.yaml"]
    assert b"and a good day" in (fake.file(files[0]).content or b"")


async def test_a_file_that_a_press_asks_for_twice_by_slack_s_fault_comes_once(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    long = ENTRY.replace(b"Hello to you", b"Hello to you, and a good day, " * 40)
    await labbot.start()
    asking = await labbot.asks(bob, channel, "look", files=[("qna.yaml", long)])
    await labbot.presses(bob, labbot.card(channel, asking), "Preview")
    preview = next(one for one in reversed(labbot.said(channel, reader=bob)) if any("Whole" in each for each in labels(one)))
    heard = await labbot.acked(bob.presses(preview, button(preview, "Whole: qna.yaml")))
    await fake.until(lambda: labbot.asked("files.completeUploadExternal"))
    fake.retells(heard)
    await fake.until(lambda: len(heard.deliveries) == 2 and labbot.asked("files.completeUploadExternal"))
    await labbot.lab(bob, channel, "quota")
    files = [file for one in [*labbot.said(bob.dm), *labbot.said(channel)] for file in one.get("files") or ()]

    assert len(files) == 1
