"""Whatever is told twice, breaks off or crashes: each act is answered once, and an answer that had begun is completed."""

import asyncio
from typing import Any

import pytest

from bot.core.talk import Answer
from bot.platforms.slack.render import answer
from bot.platforms.slack.threads import Room
from pipeline.errors import Temporary
from tests.bot.labbot import STORY
from tests.bot.slack.front import Labbot, button, spoken
from tests.fakes.model import Model
from tests.fakes.slack.people import Person
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel

SLOW = 30.0  # seconds of a fault that is not to end while a test looks


# --- told more than once


@pytest.mark.usefixtures("mode")
async def test_an_event_that_slack_tells_three_times_more_is_answered_once(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    await labbot.asks(bob, channel, "what is a skill?")
    told = [one for one in fake.heard if one.event.get("user") == bob.id]
    for attempt in range(1, 4):
        for one in told:
            fake.retells(one, attempt)
        await fake.until(lambda attempt=attempt: labbot.front.counts.duplicates == 1 + 2 * attempt)

    assert {one.event["type"] for one in told} == {"message", "app_mention"}
    assert len(labbot.created()) == 1


async def test_a_mention_that_is_told_as_a_mention_and_as_a_message_is_answered_once(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    fake.reorder_next()
    said = await labbot.asks(bob, channel, "what is a skill?")

    assert (labbot.front.counts.heard, labbot.front.counts.duplicates) == (1, 1)
    assert [one["thread_ts"] for one in labbot.created()] == [said["ts"]]


@pytest.mark.usefixtures("mode")
async def test_an_event_whose_acknowledgement_is_late_comes_again_by_slack_s_clock_and_is_answered_once(
    labbot: Labbot, fake: Slack, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    labbot.alone()
    await labbot.start()
    fake.patience_s = 0.05
    take, held = labbot.front.told._take, asyncio.Event()

    async def slowly(*given: Any, **more: Any) -> None:
        await take(*given, **more)
        await held.wait()

    monkeypatch.setattr(labbot.front.told, "_take", slowly)
    await bob.says(bob.dm, "/quota")
    told = fake.heard[-1]
    for seconds, attempts in ((0, 2), (60, 3)):
        fake.advance(seconds)
        await fake.until(lambda attempts=attempts: len([one for one in told.deliveries if one.failed]) == attempts)
    held.set()
    fake.patience_s = 3.0
    fake.advance(300)
    await fake.until(told.done.is_set)
    await labbot.front.ear.idle()

    assert [(one.attempt, bool(one.failed)) for one in told.deliveries] == [(0, True), (1, True), (2, True), (3, False)]
    assert len(labbot.created()) == 1


async def test_an_event_that_the_socket_tells_twice_is_answered_once(labbot: Labbot, fake: Slack, bob: Person) -> None:
    await labbot.start()
    fake.duplicate_next()
    await labbot.after(bob.says(bob.dm, "/quota"), times=2)

    assert labbot.front.counts.duplicates == 1
    assert len(labbot.created()) == 1


@pytest.mark.usefixtures("mode")
async def test_a_press_that_is_told_twice_counts_once(labbot: Labbot, fake: Slack, channel: Channel, bob: Person) -> None:
    await labbot.start()
    card = await labbot.draft(bob, channel)
    await labbot.says(bob, channel, "Greet people", card)
    card = labbot.card(channel, card)
    heard = await labbot.presses(bob, card, "Preview")
    told, shown = len(fake.heard), len(fake.shown)
    fake.deliverer.tell(heard)
    await fake.until(lambda: labbot.front.counts.duplicates == 1)
    await labbot.quiet()

    assert len(fake.heard) == told + 1
    assert fake.shown[shown:] == []


@pytest.mark.usefixtures("mode")
async def test_an_event_that_is_told_again_after_a_restart_is_answered_once(labbot: Labbot, fake: Slack, bob: Person) -> None:
    await labbot.start()
    await labbot.says(bob, bob.dm, "/quota")
    first = next(one for one in fake.heard if one.event.get("user") == bob.id)
    await labbot.again()
    fake.retells(first)
    await fake.until(lambda: labbot.front.counts.duplicates)
    await labbot.says(bob, bob.dm, "/help")

    assert len(labbot.created()) == 2


# --- a call that goes wrong


@pytest.mark.parametrize("fault", ["lost", "reset", "500", "503", "429", "internal_error", "fatal_error", "ratelimited"])
async def test_whatever_becomes_of_a_call_that_posts_there_is_one_message(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, fault: str
) -> None:
    labbot.alone()
    await labbot.start()
    failed = fake.fail("chat.postMessage", fault)
    asking = await labbot.asks(bob, channel, "what is a skill?")

    assert failed.met == 1
    assert len(labbot.said(channel, asking)) == 1
    assert len(labbot.created()) == 1


async def test_a_post_whose_answer_is_lost_is_looked_for_by_its_metadata_before_it_is_posted_again(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    fake.fail("chat.postMessage", "lost")
    await labbot.asks(bob, channel, "what is a skill?")
    posted = [one.method for one in fake.requests if one.method in ("chat.postMessage", "conversations.replies")]

    assert posted == ["chat.postMessage", "conversations.replies"]


async def test_a_call_that_is_to_wait_waits_as_long_as_it_is_told(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    fake.fail("chat.postMessage", "429", seconds=1)
    await labbot.asks(bob, channel, "what is a skill?")
    first, second = [one.at for one in fake.requests if one.method == "chat.postMessage"]

    assert second - first >= 1.0


async def test_a_private_answer_that_may_have_come_is_not_shown_twice(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    fake.fail("chat.postEphemeral", "lost")
    await labbot.lab(bob, channel, "quota")

    assert len(labbot.private(channel, bob)) == 1


@pytest.mark.parametrize("fault", ["lost", "reset", "503"])
@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "files.completeUploadExternal"])
async def test_whatever_becomes_of_an_upload_there_is_one_file(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, model: Model, method: str, fault: str
) -> None:
    await labbot.start()
    await labbot.lab(bob, channel, "skill greet people")
    await labbot.lab(bob, channel, "privacy export")
    failed = fake.fail(method, fault)
    whole = await labbot.comes(channel, "labbot-export.json", reader=bob)
    heard = await labbot.acked(bob.presses(whole, button(whole, "Whole: ")))
    await fake.until(lambda: _files(labbot, bob))
    await fake.until(heard.done.is_set)

    assert failed.met == 1
    assert len(_files(labbot, bob)) == 1


def _files(labbot: Labbot, who: Person) -> list[Any]:
    return [file for one in labbot.said(who.dm) for file in one.get("files") or ()]


# --- crashes


async def test_a_crash_while_an_answer_streams_leaves_one_message_that_the_next_process_completes(
    labbot: Labbot, bob: Person
) -> None:
    await labbot.start()
    begun = await labbot.story(bob.dm, labbot.says(bob, bob.dm, "tell me a story"))
    await labbot.told_anew(bob.dm)

    assert [one["ts"] for one in labbot.said(bob.dm)] == [begun["ts"]]
    assert labbot.texts(bob.dm)[0].startswith("A story, from its beginning.")
    assert len(labbot.created()) == 1
    assert labbot.forgives("streaming_state_conflict")


async def test_a_crash_while_an_answer_is_edited_where_there_are_no_streams_leaves_one_message_too(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    fake.fail("chat.startStream", "feature_disabled", times=100)
    begun = await labbot.story(channel, labbot.asks(bob, channel, "tell me a story"))
    await labbot.told_anew(channel)

    assert [one["ts"] for one in labbot.said(channel)] == [begun["ts"]]
    assert len(labbot.created()) == 1


async def test_a_crash_while_an_answer_of_two_messages_streams_leaves_nothing_twice(
    labbot: Labbot, fake: Slack, bob: Person, model: Model
) -> None:
    await labbot.start()
    long = " ".join(f"word{number}" for number in range(1600))
    model.tell(f"says {long} || end")
    asking = await labbot.says(bob, bob.dm, "tell me a story")
    await fake.until(lambda: len(labbot.said(bob.dm)) == 2 and "word1590" in labbot.texts(bob.dm)[1])
    ids = [one["ts"] for one in labbot.said(bob.dm)]
    await labbot.crash()
    model.tell(f"says {long} and the end.")
    await labbot.start()
    await labbot.comes(bob.dm, "and the end.")
    await labbot.quiet()

    assert [one["ts"] for one in labbot.said(bob.dm)][:2] == ids
    assert spoken(labbot, bob.dm, asking) == f"{long} and the end."
    assert labbot.forgives("streaming_state_conflict")


async def test_a_crash_while_the_answer_to_a_command_streams_leaves_one_message_that_is_completed(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    begun = await labbot.story(channel, labbot.lab(bob, channel, "chat tell me a story"))
    await labbot.told_anew(channel)

    assert [one["ts"] for one in labbot.said(channel)] == [begun["ts"]]
    assert len(labbot.created()) == 1


@pytest.mark.parametrize("streams", [True, False])
async def test_what_was_posted_by_a_process_that_crashed_before_it_could_note_it_is_not_posted_again(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, monkeypatch: pytest.MonkeyPatch, streams: bool
) -> None:
    if not streams:
        labbot.alone()
    await labbot.start()

    noted, over = labbot.house.store.sent, asyncio.Event()

    async def never(message: Any, address: str, *given: Any) -> Any:
        if not address:
            return await noted(message, address, *given)
        await over.wait()
        raise Temporary("the process is gone")

    monkeypatch.setattr(labbot.house.store, "sent", never)
    if streams:
        labbot.model.tell(f"says {STORY} || there was a dog.")
    asking = await bob.says(channel, "what is a skill?" if not streams else "tell me a story", mention=True)
    await fake.until(lambda: labbot.said(channel, asking))
    over.set()
    await labbot.crash()
    before = [one["ts"] for one in labbot.said(channel, asking)]
    if streams:
        labbot.model.tell("says A story, from its beginning.")
    await labbot.start()
    await labbot.comes(channel, "A story, from its beginning." if streams else "A skill teaches", asking)
    await labbot.quiet()

    assert [one["ts"] for one in labbot.said(channel, asking)] == before
    assert len(labbot.created()) == 1
    assert labbot.forgives("streaming_state_conflict") == streams


async def test_a_crash_before_anything_was_said_leaves_one_answer(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    fake.fail("chat.postMessage", "slow", seconds=SLOW)
    asking = await bob.says(channel, "what is a skill?", mention=True)
    await fake.until(lambda: labbot.asked("chat.postMessage"))
    await labbot.again()
    await fake.until(lambda: labbot.said(channel, asking))
    await labbot.quiet()

    assert len(labbot.created()) == 1


async def test_a_message_is_found_again_by_its_key_and_brought_up_to_date(labbot: Labbot, channel: Channel) -> None:
    await labbot.start()
    posts, room = labbot.front.speaker.posts, Room(labbot.team.id, channel.id)
    first = await posts.put(room, answer(Answer("as it stood"))[0], "the-same-key")
    found = await posts.find(room, "the-same-key", labbot.now())

    assert found == first
    assert await posts.find(room, "another-key", labbot.now()) == ""


# --- Slack's own stop


@pytest.mark.usefixtures("mode")
async def test_slack_s_stop_ends_the_question_to_the_model_and_the_session_is_over(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    begun = await labbot.story(channel, labbot.asks(bob, channel, "tell me a story"))
    thread = begun["thread_ts"]
    await fake.until(lambda: fake.session(channel, thread).status == "processing")
    await labbot.after(bob.stops(begun))
    ended = await labbot.comes(channel, "(Stopped.)")
    await fake.until(model.to("/v1/chat/completions")[-1].gone.is_set)
    await fake.until(lambda: fake.session(channel, thread).status == "active")

    assert ended["ts"] == begun["ts"]
    assert labbot.texts(channel) == [f"{STORY}\n\n(Stopped.)\n[Answer again]"]
    assert len(labbot.created()) == 1


async def test_a_session_is_over_too_where_its_stream_had_ended_before_it_was_stopped(
    labbot: Labbot, fake: Slack, bob: Person, model: Model
) -> None:
    await labbot.start()
    begun = await labbot.story(bob.dm, labbot.says(bob, bob.dm, "tell me a story"))
    fake.hold()
    await bob.stops(begun)
    fake.advance(400)  # streams live for 300 s
    fake.release()
    await labbot.comes(bob.dm, "(Stopped.)")
    await labbot.quiet()
    await fake.until(lambda: fake.session(bob.dm, begun["thread_ts"]).status == "active")

    assert STORY in "".join(labbot.texts(bob.dm))


async def test_a_session_is_called_after_its_question_and_is_over_when_that_is_answered(
    labbot: Labbot, fake: Slack, bob: Person, model: Model
) -> None:
    await labbot.start()
    asking = await labbot.says(bob, bob.dm, "tell me a story")
    await labbot.quiet()
    await fake.until(lambda: fake.session(bob.dm, asking).status == "active")

    assert fake.session(bob.dm, asking).title == "tell me a story"
