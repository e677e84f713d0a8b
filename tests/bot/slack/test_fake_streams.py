"""Streams of the fake Slack: they grow, end, are stopped and die; and the sessions that show it."""

import pytest

from tests.fakes.slack.asking import Asking
from tests.fakes.slack.people import Person
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json


@pytest.fixture
async def root(fake: Slack, alice: Person) -> Json:
    fake.hold()
    return await alice.says(alice.dm, "a question")


async def begin(ask: Asking, alice: Person, root: Json, text: str = "") -> str:
    more = {"markdown_text": text} if text else {}
    assert await ask("chat.startStream", channel=alice.dm.id, thread_ts=root["ts"], **more) == "", ask.body
    return str(ask.body["ts"])


async def test_a_stream_grows_and_ends_with_blocks_and_metadata(fake: Slack, ask: Asking, alice: Person, root: Json) -> None:
    ts = await begin(ask, alice, root, "one ")
    where = {"channel": alice.dm.id, "ts": ts}
    assert await ask("chat.appendStream", **where, markdown_text="two ") == ""
    assert await ask("chat.appendStream", **where, chunks=[{"type": "markdown_text", "text": "three"}]) == ""
    meta = {"event_type": "labbot", "event_payload": {"outbox_id": "7"}}
    card = {"type": "section", "block_id": "s", "text": {"type": "mrkdwn", "text": "sources"}}
    assert await ask("chat.stopStream", **where, blocks=[card], metadata=meta, session_status="active") == "", ask.body

    last = fake.messages(alice.dm, root)[-1]
    assert (last["text"], last["blocks"], last["metadata"]) == ("one two three", [card], meta)
    assert [one.message["text"] for one in fake.shown if one.kind == "stream"] == ["one two ", "one two three", "one two three"]
    session = fake.session(alice.dm, root)
    assert session is not None and session.status == "active"
    assert await ask("chat.appendStream", **where, markdown_text="x") == "message_not_in_streaming_state"


async def test_a_stream_in_a_channel_needs_a_recipient(fake: Slack, ask: Asking, alice: Person, channel: Channel) -> None:
    fake.hold()
    root = await alice.says(channel, "x")
    whom = {"recipient_user_id": alice.id, "recipient_team_id": alice.team.id}

    assert await ask("chat.startStream", channel=channel.id, thread_ts=root["ts"], **whom) == ""


async def test_a_stream_dies_five_minutes_after_its_start_for_append_and_stop(
    fake: Slack, ask: Asking, alice: Person, root: Json
) -> None:
    ts = await begin(ask, alice, root, "one")
    where = {"channel": alice.dm.id, "ts": ts}
    fake.advance(299)
    assert await ask("chat.appendStream", **where, markdown_text=" two") == ""
    fake.advance(2)
    assert await ask("chat.appendStream", **where, markdown_text=" three") == "message_not_in_streaming_state"
    assert await ask("chat.stopStream", **where) == "message_not_in_streaming_state"

    assert fake.messages(alice.dm, root)[-1]["text"] == "one two"
    assert await ask("chat.update", **where, text="one two three") == ""


async def test_a_stream_may_die_of_idleness_instead(fake: Slack, ask: Asking, alice: Person, root: Json) -> None:
    fake.streams_die, fake.stream_s = "idle", 30
    where = {"channel": alice.dm.id, "ts": await begin(ask, alice, root)}
    for _ in range(3):
        fake.advance(29)
        assert await ask("chat.appendStream", **where, markdown_text="x") == ""
    fake.advance(31)

    assert await ask("chat.appendStream", **where, markdown_text="x") == "message_not_in_streaming_state"


async def test_a_person_stops_a_stream_and_no_append_is_taken_any_more(
    fake: Slack, ask: Asking, alice: Person, root: Json
) -> None:
    ts = await begin(ask, alice, root, "one")
    heard = await alice.stops({"ts": ts})

    event = heard.event
    assert (event["type"], event["streaming_message_ts"], event["thread_ts"]) == ("agent_session_stopped", [ts], root["ts"])
    assert await ask("chat.appendStream", channel=alice.dm.id, ts=ts, markdown_text="x") == "stopped_by_user"
    assert await ask("chat.stopStream", channel=alice.dm.id, ts=ts, session_status="active") == ""
    with pytest.raises(LookupError):
        await alice.stops({"ts": ts})


async def test_a_stream_is_not_longer_than_a_message(fake: Slack, ask: Asking, alice: Person, root: Json) -> None:
    where = {"channel": alice.dm.id, "ts": await begin(ask, alice, root, "x" * 11_999)}

    assert await ask("chat.appendStream", **where, markdown_text="x") == ""
    assert await ask("chat.appendStream", **where, markdown_text="x") == "msg_blocks_too_long"
    assert fake.violations.pop().startswith("chat.appendStream: msg_blocks_too_long")


async def test_tasks_and_plans_of_a_stream_change_where_they_stand(fake: Slack, ask: Asking, alice: Person, root: Json) -> None:
    where = {"channel": alice.dm.id, "ts": await begin(ask, alice, root)}
    for status in ("in_progress", "complete"):
        task = {"type": "task_update", "id": "t", "title": "Look", "status": status}
        assert await ask("chat.appendStream", **where, chunks=[task]) == ""

    blocks = fake.messages(alice.dm, root)[-1]["blocks"]
    assert [(one["type"], one["status"]) for one in blocks] == [("task_card", "complete")]


async def test_a_session_is_begun_named_and_set(fake: Slack, ask: Asking, alice: Person, root: Json) -> None:
    where = {"channel_id": alice.dm.id, "thread_ts": root["ts"]}
    assert await ask("agents.sessions.setStatus", **where, status="processing", title="one") == ""
    assert await ask("agents.sessions.rename", **where, title="two") == ""
    assert await ask("agents.sessions.setStatus", **where, status="suspended") == ""

    session = fake.session(alice.dm, root)
    assert session is not None and (session.status, session.title) == ("suspended", "two")


async def test_a_session_is_at_work_for_an_hour_at_most(fake: Slack, ask: Asking, alice: Person, root: Json) -> None:
    await ask("agents.sessions.setStatus", channel_id=alice.dm.id, thread_ts=root["ts"], status="processing")
    fake.advance(3601)

    session = fake.session(alice.dm, root)
    assert session is not None and session.status == "active"


async def test_a_status_goes_after_two_minutes_or_when_something_is_said(
    fake: Slack, ask: Asking, alice: Person, root: Json
) -> None:
    where = {"channel_id": alice.dm.id, "thread_ts": root["ts"], "status": "thinks"}
    assert await ask("assistant.threads.setStatus", **where, loading_messages=["looks", "reads"]) == ""
    assert fake.status(alice.dm, root) == "thinks"
    fake.advance(121)
    assert fake.status(alice.dm, root) == ""
    await ask("assistant.threads.setStatus", **where)
    await ask.says(alice.dm, text="x", thread_ts=root["ts"])
    assert fake.status(alice.dm, root) == ""


async def test_prompts_are_suggested_for_the_whole_of_the_direct_messages(fake: Slack, ask: Asking, alice: Person) -> None:
    prompts = [{"title": "Ask", "message": "Ask the FAQ"}]

    assert await ask("assistant.threads.setSuggestedPrompts", channel_id=alice.dm.id, prompts=prompts) == ""
    assert fake.prompts(alice.dm) == prompts
    assert (
        await ask("assistant.threads.setSuggestedPrompts", channel_id=alice.dm.id, prompts=prompts * 5) == "invalid_arguments"
    )
    fake.violations.clear()
