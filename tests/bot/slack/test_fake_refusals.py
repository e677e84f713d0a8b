"""What the fake Slack refuses, with Slack's own codes. Its lines are many because every code has a scene."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.fakes.slack import limits
from tests.fakes.slack.asking import Asking
from tests.fakes.slack.oracle import oracle
from tests.fakes.slack.people import Person
from tests.fakes.slack.refused import BLAMED
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json

Scene = Callable[[Slack, Asking, Channel, Person], Awaitable[str]]
SCENES: dict[str, tuple[str, Scene]] = {}
BESIDE = {"a_method_without_its_scope", "a_message_without_a_channel"}  # known only from the reference
SECTION: Json = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}


def refuses(error: str) -> Callable[[Scene], Scene]:
    def add(scene: Scene) -> Scene:
        SCENES[f"{error}: {scene.__name__.replace('_', ' ')}"] = (error, scene)
        return scene

    return add


def modal(**more: Any) -> Json:
    return {"type": "modal", "title": {"type": "plain_text", "text": "T"}, "blocks": [SECTION]} | more


async def trigger(fake: Slack, channel: Channel, alice: Person) -> str:
    fake.hold()
    return (await alice.command(channel, "/lab")).trigger_id


@refuses("not_authed")
async def no_token(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("auth.test", token="")


@refuses("invalid_auth")
async def a_token_of_nobody(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("auth.test", token="xoxb-wrong")


@refuses("account_inactive")
async def a_token_after_the_app_was_taken_out(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    alice.team.uninstalls()
    return await ask("auth.test")


@refuses("token_revoked")
async def a_token_after_it_was_revoked(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    assert await ask("auth.revoke") == ""
    return await ask("auth.test")


@refuses("not_allowed_token_type")
async def a_bots_token_where_the_apps_is_needed(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("apps.connections.open")


@refuses("missing_scope")
async def a_method_without_its_scope(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    alice.team.scopes -= {"users:read"}
    said = await ask("users.info", user=alice.id)
    assert ask.body["needed"] == "users:read" and "chat:write" in ask.body["provided"]
    return said


@refuses("missing_scope")
async def a_history_without_the_scope_for_this_kind_of_channel(
    fake: Slack, ask: Asking, channel: Channel, alice: Person
) -> str:
    alice.team.scopes -= {"im:history"}
    return await ask("conversations.history", channel=alice.dm.id)


@refuses("unknown_method")
async def a_method_that_is_not_there(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("chat.shout")


@refuses("invalid_arguments")
async def a_message_without_a_channel(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    said = await ask("chat.postMessage", text="x")
    assert ask.body["response_metadata"]["messages"] == ["[ERROR] missing required field: channel"]
    return said


@refuses("invalid_arg_name")
async def an_argument_with_a_name_of_other_signs(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("auth.test", **{"a-b": "x"})


@refuses("channel_not_found")
async def a_channel_that_is_not_there(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("chat.postMessage", channel="C0NONE", text="x")


@refuses("channel_not_found")
async def a_private_channel_of_others(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    hidden = alice.team.channel("hidden", private=True, bot_is_member=False)
    return await ask("conversations.info", channel=hidden.id)


@refuses("not_in_channel")
async def a_channel_that_the_bot_is_not_in(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    alice.team.scopes -= {"chat:write.public"}
    other = alice.team.channel("other", bot_is_member=False)
    return await ask("chat.postMessage", channel=other.id, text="x")


@refuses("is_archived")
async def an_archived_channel(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    channel.archived = True
    return await ask("chat.postMessage", channel=channel.id, text="x")


@refuses("thread_not_found")
async def an_answer_in_a_thread_that_is_gone(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    root = await alice.says(channel, "x")
    await alice.deletes(root)
    return await ask("chat.postMessage", channel=channel.id, text="x", thread_ts=root["ts"])


@refuses("no_text")
async def an_empty_message(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("chat.postMessage", channel=channel.id, text="")


@refuses("msg_too_long")
async def an_edit_of_more_than_4000_characters(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    made = await ask.says(channel, text="x" * 4001)
    assert await ask("chat.update", channel=channel.id, ts=made["ts"], text="x" * 4000) == ""
    return await ask("chat.update", channel=channel.id, ts=made["ts"], text="x" * 4001)


@refuses("invalid_blocks")
async def a_section_of_3001_characters(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    def block(count: int) -> Json:
        return {"type": "section", "text": {"type": "mrkdwn", "text": "x" * count}}

    assert await ask("chat.postMessage", channel=channel.id, blocks=[block(3000)]) == ""
    return await ask("chat.postMessage", channel=channel.id, blocks=[block(3001)])


@refuses("invalid_blocks")
async def a_message_of_51_blocks(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    assert await ask("chat.postMessage", channel=channel.id, blocks=[SECTION] * 50) == ""
    return await ask("chat.postMessage", channel=channel.id, blocks=[SECTION] * 51)


@refuses("invalid_blocks")
async def a_block_id_twice(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("chat.postMessage", channel=channel.id, blocks=[SECTION | {"block_id": "a"}] * 2)


@refuses("invalid_blocks_format")
async def blocks_that_are_no_list(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("chat.postMessage", channel=channel.id, blocks={"type": "section"})


@refuses("msg_blocks_too_long")
async def blocks_of_12001_characters_in_all(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    def blocks(last: int) -> list[Json]:
        return [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * count}} for count in (3000, 3000, 3000, last)]

    assert await ask("chat.postMessage", channel=channel.id, blocks=blocks(3000)) == ""
    extra = {"type": "header", "text": {"type": "plain_text", "text": "x"}}
    return await ask("chat.postMessage", channel=channel.id, blocks=[*blocks(3000), extra])


@refuses("invalid_attachments")
async def two_tables(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    table = {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]}
    assert await ask("chat.postMessage", channel=channel.id, text="x", blocks=[table]) == ""
    return await ask("chat.postMessage", channel=channel.id, text="x", blocks=[table, table])


@refuses("too_many_attachments")
async def a_hundred_and_first_attachment(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("chat.postMessage", channel=channel.id, text="x", attachments=[{"text": "a"}] * 101)


@refuses("markdown_text_conflict")
async def markdown_beside_text(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("chat.postMessage", channel=channel.id, text="x", markdown_text="y")


@refuses("invalid_metadata_schema")
async def metadata_without_a_payload(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("chat.postMessage", channel=channel.id, text="x", metadata={"event_type": "labbot"})


@refuses("metadata_too_large")
async def metadata_of_more_than_may_be(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    meta = {"event_type": "labbot", "event_payload": {"x": "y" * limits.METADATA}}
    return await ask("chat.postMessage", channel=channel.id, text="x", metadata=meta)


@refuses("message_not_found")
async def an_edit_of_what_is_gone(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    made = await ask.says(channel, text="x")
    assert await ask("chat.delete", channel=channel.id, ts=made["ts"]) == ""
    return await ask("chat.update", channel=channel.id, ts=made["ts"], text="y")


@refuses("cant_update_message")
async def an_edit_of_what_another_wrote(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    said = await alice.says(channel, "x")
    return await ask("chat.update", channel=channel.id, ts=said["ts"], text="y")


@refuses("cant_delete_message")
async def a_deletion_of_what_another_wrote(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    said = await alice.says(channel, "x")
    return await ask("chat.delete", channel=channel.id, ts=said["ts"])


@refuses("edit_window_closed")
async def an_edit_after_the_workspaces_time_for_it(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    alice.team.edit_window_s = 60
    made = await ask.says(channel, text="x")
    fake.advance(61)
    return await ask("chat.update", channel=channel.id, ts=made["ts"], text="y")


@refuses("user_not_in_channel")
async def an_answer_for_one_who_is_not_there(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    await alice.leaves(channel)
    return await ask("chat.postEphemeral", channel=channel.id, user=alice.id, text="x")


@refuses("cannot_dm_bot")
async def a_direct_message_to_a_bot(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("conversations.open", users=alice.team.bot_user)


@refuses("user_not_found")
async def a_person_that_is_not_there(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("users.info", user="U0NONE")


@refuses("thread_not_found")
async def replies_to_what_is_not_there(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("conversations.replies", channel=channel.id, ts="1.000001")


@refuses("expired_trigger_id")
async def a_dialog_after_three_seconds(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    id = await trigger(fake, channel, alice)
    fake.advance(3.1)
    return await ask("views.open", trigger_id=id, view=modal())


@refuses("exchanged_trigger_id")
async def a_second_dialog_of_one_act(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    id = await trigger(fake, channel, alice)
    assert await ask("views.open", trigger_id=id, view=modal()) == ""
    return await ask("views.open", trigger_id=id, view=modal())


@refuses("invalid_trigger_id")
async def a_dialog_of_no_act(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("views.open", trigger_id="1.2", view=modal())


@refuses("view_too_large")
async def a_dialog_of_a_quarter_of_a_megabyte(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}}] * 90
    return await ask("views.open", trigger_id=await trigger(fake, channel, alice), view=modal(blocks=blocks))


@refuses("invalid_arguments")
async def a_dialog_with_a_title_of_25_characters(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    fine = modal(title={"type": "plain_text", "text": "x" * 24})
    assert await ask("views.open", trigger_id=await trigger(fake, channel, alice), view=fine) == ""
    long = modal(title={"type": "plain_text", "text": "x" * 25})
    return await ask("views.open", trigger_id=await trigger(fake, channel, alice), view=long)


@refuses("push_limit_reached")
async def a_fourth_dialog_on_three(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    for method in ("views.open", "views.push", "views.push"):
        assert await ask(method, trigger_id=await trigger(fake, channel, alice), view=modal()) == ""
    return await ask("views.push", trigger_id=await trigger(fake, channel, alice), view=modal())


@refuses("not_found")
async def a_change_of_a_dialog_that_is_closed(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    assert await ask("views.open", trigger_id=await trigger(fake, channel, alice), view=modal()) == ""
    await alice.closes(ask.body["view"])
    return await ask("views.update", view_id=ask.body["view"]["id"], view=modal())


@refuses("hash_conflict")
async def a_change_of_a_dialog_that_has_changed(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    await ask("views.open", trigger_id=await trigger(fake, channel, alice), view=modal())
    old = ask.body["view"]
    assert await ask("views.update", view_id=old["id"], view=modal(), hash=old["hash"]) == ""
    return await ask("views.update", view_id=old["id"], view=modal(), hash=old["hash"])


@refuses("duplicate_external_id")
async def a_dialogs_own_name_twice(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    await ask("views.open", trigger_id=await trigger(fake, channel, alice), view=modal(external_id="one"))
    return await ask("views.push", trigger_id=await trigger(fake, channel, alice), view=modal(external_id="one"))


@refuses("missing_recipient_user_id")
async def a_stream_in_a_channel_for_nobody(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    root = await alice.says(channel, "x")
    return await ask("chat.startStream", channel=channel.id, thread_ts=root["ts"])


@refuses("missing_recipient_team_id")
async def a_stream_in_a_channel_for_one_of_no_workspace(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    root = await alice.says(channel, "x")
    return await ask("chat.startStream", channel=channel.id, thread_ts=root["ts"], recipient_user_id=alice.id)


@refuses("message_not_in_streaming_state")
async def an_append_to_an_ordinary_message(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    made = await ask.says(channel, text="x")
    return await ask("chat.appendStream", channel=channel.id, ts=made["ts"], markdown_text="y")


@refuses("message_not_owned_by_app")
async def an_append_to_what_another_wrote(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    made = await alice.says(channel, "x")
    return await ask("chat.appendStream", channel=channel.id, ts=made["ts"], markdown_text="y")


@refuses("invalid_chunks")
async def a_chunk_of_no_kind(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    root = await alice.says(alice.dm, "x")
    return await ask("chat.startStream", channel=alice.dm.id, thread_ts=root["ts"], chunks=[{"type": "noise"}])


@refuses("streaming_state_conflict")
async def an_edit_of_a_message_that_streams(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    root = await alice.says(alice.dm, "x")
    await ask("chat.startStream", channel=alice.dm.id, thread_ts=root["ts"])
    return await ask("chat.update", channel=alice.dm.id, ts=ask.body["ts"], text="y")


@refuses("file_not_found")
async def a_file_that_was_never_uploaded(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    await ask("files.getUploadURLExternal", filename="a.txt", length=3, form=True)
    return await ask("files.completeUploadExternal", files=[{"id": ask.body["file_id"]}], channel_id=channel.id)


@refuses("thread_ts_required")
async def a_session_of_no_thread(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("agents.sessions.setStatus", channel_id=channel.id, status="processing")


@refuses("invalid_status")
async def a_session_in_a_state_that_is_none(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    root = await alice.says(channel, "x")
    return await ask("agents.sessions.setStatus", channel_id=channel.id, thread_ts=root["ts"], status="thinking")


@refuses("session_not_found")
async def a_name_for_no_session(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    root = await alice.says(channel, "x")
    return await ask("agents.sessions.rename", channel_id=channel.id, thread_ts=root["ts"], title="t")


@refuses("invalid_code")
async def a_code_of_oauth_twice(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    asked = {"client_id": fake.client_id, "client_secret": fake.client_secret, "code": fake.code(alice.team, alice)}
    assert await ask("oauth.v2.access", form=True, **asked) == ""
    return await ask("oauth.v2.access", form=True, **asked)


@refuses("bad_client_secret")
async def a_wrong_secret_of_the_client(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    return await ask("oauth.v2.access", form=True, client_id=fake.client_id, client_secret="x", code="y")


@refuses("already_reacted")
async def a_reaction_twice(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> str:
    said = await alice.says(channel, "x")
    for _ in range(2):
        found = await ask("reactions.add", channel=channel.id, timestamp=said["ts"], name="eyes", form=True)
    return found


@pytest.mark.parametrize("name", SCENES)
async def test_slacks_code_is_given_for(name: str, fake: Slack, ask: Asking, channel: Channel, alice: Person) -> None:
    expected, scene = SCENES[name]
    if scene.__name__ in BESIDE and oracle() is None:
        pytest.skip("Slack's reference is not beside the checkout")

    said = await scene(fake, ask, channel, alice)

    assert said == expected, ask.body
    assert bool(fake.violations) == (expected in BLAMED), fake.violations
    fake.violations.clear()


def test_at_least_thirty_codes_are_tried() -> None:
    assert len({error for error, _ in SCENES.values()}) >= 30
