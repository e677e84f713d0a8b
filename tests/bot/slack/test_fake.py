"""The fake Slack, heard and spoken to by the real slack-bolt and slack_sdk, in Socket Mode and by HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from tests.fakes.slack.asking import Asking
from tests.fakes.slack.library import App, connected
from tests.fakes.slack.people import Person, Workspace
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "a card"}}
BUTTONS = {
    "type": "actions",
    "block_id": "acts",
    "elements": [
        {"type": "button", "action_id": "go", "value": "go", "text": {"type": "plain_text", "text": "Go"}},
        {
            "type": "static_select",
            "action_id": "choice",
            "placeholder": {"type": "plain_text", "text": "Which?"},
            "options": [{"text": {"type": "plain_text", "text": one}, "value": one} for one in ("a", "b")],
        },
    ],
}
FEEDBACK = {
    "type": "context_actions",
    "elements": [
        {
            "type": "feedback_buttons",
            "action_id": "vote",
            "positive_button": {"text": {"type": "plain_text", "text": "Good"}, "value": "up"},
            "negative_button": {"text": {"type": "plain_text", "text": "Bad"}, "value": "down"},
        }
    ],
}


@pytest.fixture(params=["socket", "http"])
async def app(request: Any, fake: Slack) -> AsyncIterator[App]:
    fake.mode = request.param
    made = App(fake)
    async with connected(fake, made):
        yield made


@pytest.fixture
def client(fake: Slack, team: Workspace) -> AsyncWebClient:
    return AsyncWebClient(token=team.bot_token, base_url=fake.api)


async def test_a_mention_in_a_channel_is_heard_as_two_events_of_one_message(
    fake: Slack, app: App, channel: Channel, alice: Person
) -> None:
    message = await alice.says(channel, "what is <b> & c?", mention=True)

    await fake.until(lambda: len(app.events) == 2)
    assert {one["type"] for one in app.events} == {"app_mention", "message"}
    assert {one["ts"] for one in app.events} == {message["ts"]}
    assert app.events[0]["text"] == f"<@{alice.team.bot_user}> what is &lt;b&gt; &amp; c?"
    assert len({one.payload["event_id"] for one in fake.heard}) == 2


async def test_a_direct_message_is_heard_as_a_message_alone(fake: Slack, app: App, alice: Person) -> None:
    await alice.says(alice.dm, "hello", mention=True)
    await fake.until(lambda: fake.heard[0].acked.is_set())

    assert [(one["type"], one["channel_type"]) for one in app.events] == [("message", "im")]


async def test_typed_text_comes_with_links_mentions_and_channels_in_brackets(channel: Channel, alice: Person) -> None:
    said = await alice.says(channel, f"see https://a.b/?x=1&y, <https://c.d|there> in <#{channel.id}> <!channel>")

    assert said["text"] == f"see <https://a.b/?x=1&amp;y,> <https://c.d|there> in <#{channel.id}|general> &lt;!channel&gt;"


async def test_what_the_bot_says_is_told_to_it_too(
    fake: Slack, app: App, client: Any, channel: Channel, team: Workspace
) -> None:
    await client.chat_postMessage(channel=channel.id, text="hello")
    await fake.until(lambda: fake.heard[0].acked.is_set())

    assert fake.heard[0].event["bot_id"] == team.bot_id
    assert app.events == []  # slack-bolt leaves out what the bot itself did


async def test_a_command_is_acknowledged_with_a_text_that_its_giver_sees(
    fake: Slack, app: App, channel: Channel, alice: Person, bob: Person
) -> None:
    app.wants["/lab"] = "at once"
    heard = await alice.command(channel, "/lab", "draft list")
    await heard.done.wait()

    assert app.bodies[0]["text"] == "draft list"
    assert heard.acked_after_s is not None and not heard.error
    assert [one["text"] for one in fake.messages(channel, reader=alice)] == ["at once"]
    assert fake.messages(channel, reader=bob) == []


async def test_a_button_tells_where_it_stands_and_what_it_means(
    fake: Slack, app: App, client: Any, channel: Channel, alice: Person
) -> None:
    card = (await client.chat_postMessage(channel=channel.id, text="card", blocks=[SECTION, BUTTONS, FEEDBACK]))["message"]
    for heard in (
        await alice.presses(card, "go"),
        await alice.selects(card, "choice", "b"),
        await alice.presses(card, "vote", "down"),
    ):
        await heard.acked.wait()

    actions = {one["actions"][0]["action_id"]: one for one in app.bodies}
    assert actions["go"]["actions"][0]["value"] == "go"
    assert actions["go"]["container"]["message_ts"] == card["ts"]
    assert actions["choice"]["actions"][0]["selected_option"]["value"] == "b"
    assert actions["choice"]["state"]["values"]["acts"]["choice"]["selected_option"]["value"] == "b"
    assert actions["vote"]["actions"][0]["value"] == "down"
    with pytest.raises(LookupError):
        await alice.presses(card, "no such")
    with pytest.raises(LookupError):
        await alice.selects(card, "choice", "c")


async def test_the_button_of_an_answer_for_one_tells_no_message(
    fake: Slack, app: App, client: Any, channel: Channel, alice: Person, bob: Person
) -> None:
    await client.chat_postEphemeral(channel=channel.id, user=alice.id, text="for you", blocks=[BUTTONS])
    shown = fake.messages(channel, reader=alice)[0]
    heard = await alice.presses(shown, "go")
    await heard.acked.wait()

    assert "message" not in app.bodies[0] and app.bodies[0]["container"]["is_ephemeral"]
    with pytest.raises(LookupError):
        await bob.presses(shown, "go")


async def test_an_answer_to_an_act_shares_or_replaces_or_deletes_what_it_was_done_at(
    fake: Slack, app: App, client: Any, channel: Channel, alice: Person
) -> None:
    await client.chat_postEphemeral(channel=channel.id, user=alice.id, text="for you", blocks=[BUTTONS])
    heard = await alice.presses(fake.messages(channel, reader=alice)[0], "go")
    async with aiohttp.ClientSession() as session:
        for said in (
            {"text": "for all", "response_type": "in_channel", "replace_original": False},
            {"text": "changed", "replace_original": True},
            {"delete_original": True},
        ):
            async with session.post(heard.response_url, json=said) as got:
                assert got.status == 200

    assert [one["text"] for one in fake.messages(channel, reader=alice)] == ["for all"]
    assert [one.kind for one in fake.shown] == ["ephemeral", "create", "edit", "delete"]


async def test_an_address_to_answer_at_serves_five_times_and_half_an_hour(fake: Slack, channel: Channel, alice: Person) -> None:
    fake.hold()
    urls = [(await alice.command(channel, "/lab")).response_url for _ in range(2)]
    async with aiohttp.ClientSession() as session:
        got = [(await session.post(urls[0], json={"text": "x"})).status for _ in range(6)]
        fake.advance(1801)
        late = (await session.post(urls[1], json={"text": "x"})).status

    assert got == [200] * 5 + [404] and late == 404


async def test_a_shortcut_brings_the_message_that_it_was_taken_at(
    fake: Slack, app: App, channel: Channel, alice: Person, bob: Person
) -> None:
    message = await bob.says(channel, "how?")
    heard = await alice.shortcut("ask", message)
    await heard.acked.wait()

    assert app.bodies[0]["message"]["text"] == "how?" and app.bodies[0]["channel"]["id"] == channel.id


async def test_an_edit_and_a_deletion_are_told_with_what_was_there(
    fake: Slack, app: App, channel: Channel, alice: Person
) -> None:
    message = await alice.says(channel, "one")
    await alice.edits(message, "two")
    await alice.deletes(message)
    await fake.until(lambda: all(one.acked.is_set() for one in fake.heard))

    changed, deleted = fake.heard[1].event, fake.heard[2].event
    assert (changed["message"]["text"], changed["previous_message"]["text"]) == ("two", "one")
    assert deleted["deleted_ts"] == message["ts"] and fake.messages(channel) == []


async def test_an_edited_mention_is_a_mention_again(fake: Slack, channel: Channel, alice: Person) -> None:
    fake.hold()
    message = await alice.says(channel, "one", mention=True)
    await alice.edits(message, f"<@{alice.team.bot_user}> two")

    assert [one.event["type"] for one in fake.heard] == ["message", "app_mention", "message", "app_mention"]


async def test_files_come_with_a_message_and_go_down_with_the_token(
    fake: Slack, team: Workspace, channel: Channel, alice: Person
) -> None:
    fake.hold()
    said = await alice.says(channel, "look", files=[("a.yaml", b"version: 3")])
    url = said["files"][0]["url_private"]
    async with aiohttp.ClientSession() as session:
        got = await session.get(url, headers={"Authorization": f"Bearer {team.bot_token}"})
        bare = await session.get(url)

        assert await got.read() == b"version: 3"
        assert bare.content_type == "text/html"  # the page where people log in
    assert fake.heard[0].event["subtype"] == "file_share"


async def test_files_go_up_as_slack_sdk_sends_them(fake: Slack, client: Any, channel: Channel, alice: Person) -> None:
    fake.hold()
    root = await alice.says(channel, "a file, please")
    await client.files_upload_v2(
        channel=channel.id, content=b"version: 3", filename="q.yaml", initial_comment="here", thread_ts=root["ts"]
    )

    last = fake.messages(channel, root)[-1]
    assert (last["text"], last["files"][0]["name"], last["thread_ts"]) == ("here", "q.yaml", root["ts"])
    assert fake.file(last["files"][0]).content == b"version: 3"


async def test_metadata_is_read_back_only_where_it_is_asked_for(
    fake: Slack, client: Any, channel: Channel, alice: Person
) -> None:
    fake.hold()
    root = await alice.says(channel, "x")
    meta = {"event_type": "labbot", "event_payload": {"outbox_id": "7"}}
    await client.chat_postMessage(channel=channel.id, thread_ts=root["ts"], text="y", metadata=meta)

    plain = await client.conversations_replies(channel=channel.id, ts=root["ts"])
    whole = await client.conversations_replies(channel=channel.id, ts=root["ts"], include_all_metadata=True)
    assert "metadata" not in plain["messages"][1]
    assert whole["messages"][1]["metadata"] == meta
    assert whole["messages"][0]["reply_count"] == 1


async def test_whom_the_bot_pings_is_kept_in_text_in_mrkdwn_and_in_markdown(
    fake: Slack, client: Any, channel: Channel, alice: Person
) -> None:
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "to <!here> and &lt;!everyone&gt;"}},
        {"type": "section", "text": {"type": "plain_text", "text": "<!channel>"}},
        {"type": "markdown", "text": f"and {alice.mention}"},
    ]
    await client.chat_postMessage(channel=channel.id, text="<!channel>", blocks=blocks)

    assert [(one.kind, one.whom) for one in fake.mentions] == [
        ("broadcast", "channel"),
        ("broadcast", "here"),
        ("user", alice.id),
    ]


async def test_the_home_is_opened_published_and_pressed(fake: Slack, app: App, client: Any, alice: Person) -> None:
    opened = await alice.opens_home("home")
    await opened.acked.wait()
    await client.views_publish(user_id=alice.id, view={"type": "home", "blocks": [SECTION, BUTTONS]})
    home = fake.home(alice)
    assert home is not None
    heard = await alice.presses(home, "go")
    await heard.acked.wait()

    assert app.bodies[0]["view"]["id"] == home["id"] and "response_url" not in app.bodies[0]
    assert (await alice.opens_home("home")).event["view"]["id"] == home["id"]
    assert (await alice.opens_home("messages")).event["tab"] == "messages"


async def test_a_workspace_is_joined_by_oauth_and_left_by_its_people(fake: Slack, app: App, alice: Person, client: Any) -> None:
    other = fake.team("other", installed=False)
    carol = other.user("carol")
    by = AsyncWebClient(base_url=fake.api)
    # Not by oauth_v2_access: slack_sdk 3.47 makes a BasicAuth in it, which aiohttp 3.14 warns of.
    asked = {"client_id": fake.client_id, "client_secret": fake.client_secret, "code": fake.code(other, carol)}
    got = await by.api_call("oauth.v2.access", data=asked)
    theirs = AsyncWebClient(token=got["access_token"], base_url=fake.api)
    assert (await theirs.auth_test())["team_id"] == other.id

    other.uninstalls()
    await fake.until(lambda: len(app.events) == 2)
    assert {one["type"] for one in app.events} == {"app_uninstalled", "tokens_revoked"}
    with pytest.raises(Exception, match="account_inactive"):
        await theirs.auth_test()


async def test_people_say_their_language(client: Any, alice: Person) -> None:
    told = (await client.users_info(user=alice.id, include_locale=True))["user"]

    assert (told["locale"], told["name"]) == ("de-DE", "alice")


async def test_a_manifest_limits_events_commands_and_scopes(alice: Person) -> None:
    manifest = {
        "features": {"slash_commands": [{"command": "/lab"}], "shortcuts": [], "agent_view": {}},
        "oauth_config": {"scopes": {"bot": ["chat:write", "im:history", "channels:history"]}},
        "settings": {"event_subscriptions": {"bot_events": ["message.im"]}},
    }
    async with Slack(manifest=manifest) as fake:
        fake.hold()
        team = fake.team("lab")
        carol = team.user("carol")
        general = team.channel("general")
        await carol.says(general, "x", mention=True)
        await carol.says(carol.dm, "y")
        with pytest.raises(LookupError):
            await carol.command(general, "/other")

        assert [one.event["channel_type"] for one in fake.heard] == ["im"]
        assert "users:read" not in team.scopes


async def test_a_manifest_without_tabs_has_no_home_and_no_direct_messages(alice: Person) -> None:
    manifest = {"features": {}, "oauth_config": {"scopes": {"bot": ["chat:write", "im:write"]}}}
    async with Slack(manifest=manifest) as fake, aiohttp.ClientSession() as session:
        team = fake.team("lab")
        carol = team.user("carol")
        ask = Asking(fake, team, session)

        assert await ask("chat.postMessage", channel=carol.dm.id, text="x") == "messages_tab_disabled"
        assert await ask("views.publish", user_id=carol.id, view={"type": "home", "blocks": [SECTION]}) == "not_enabled"


async def test_what_was_chosen_is_told_with_what_is_pressed(
    fake: Slack, client: Any, channel: Channel, alice: Person, bob: Person
) -> None:
    fake.hold()
    card = (await client.chat_postMessage(channel=channel.id, text="card", blocks=[BUTTONS]))["message"]
    await alice.selects(card, "choice", "b")
    mine, theirs = await alice.presses(card, "go"), await bob.presses(card, "go")

    assert mine.payload["state"]["values"]["acts"]["choice"]["selected_option"]["value"] == "b"
    assert theirs.payload["state"]["values"]["acts"]["choice"]["selected_option"] is None


async def test_the_legacy_assistant_tells_where_its_person_is(fake: Slack, channel: Channel, alice: Person) -> None:
    fake.hold()
    thread = await alice.opens_assistant(channel)

    begun = fake.heard[-1].event["assistant_thread"]
    assert (begun["thread_ts"], begun["context"]["channel_id"]) == (thread["ts"], channel.id)
    moved = await alice.moves_assistant(thread, channel)
    assert moved.event["type"] == "assistant_thread_context_changed"


async def test_an_address_is_verified(fake: Slack) -> None:
    fake.mode = "http"
    async with connected(fake, App(fake)):
        assert await fake.verify_url()


async def test_a_signature_that_is_old_is_refused_by_the_app(fake: Slack, channel: Channel, alice: Person) -> None:
    fake.mode = "http"
    async with connected(fake, App(fake)):
        fake.skew_s = -301
        heard = await alice.command(channel, "/lab")
        await heard.done.wait()

    assert heard.error == "dispatch_failed" and heard.deliveries[0].failed == "http_error"


async def test_who_comes_and_goes_is_told_where_the_bot_is(fake: Slack, team: Workspace, alice: Person) -> None:
    fake.hold()
    room = team.channel("room", private=True, bot_is_member=False)
    await alice.says(room, "unheard", mention=True)
    came = await alice.invites_bot(room)
    carol = team.user("carol")
    joined, left = await carol.joins(room), await carol.leaves(room)
    await alice.kicks_bot(room)
    await alice.says(room, "unheard again", mention=True)
    gone = await carol.leaves()

    assert [one.event["type"] for one in fake.heard] == [
        "member_joined_channel",
        "member_joined_channel",
        "member_left_channel",
        "group_left",
        "user_change",
    ]
    assert came.event["user"] == team.bot_user and joined.event["user"] == left.event["user"] == carol.id
    assert gone.event["user"]["deleted"]


async def test_a_revoked_token_is_told_and_a_new_one_comes_with_the_app(fake: Slack, team: Workspace, ask: Asking) -> None:
    fake.hold()
    old = team.bot_token
    team.revokes()
    assert await ask("auth.test", token=old) == "token_revoked"
    team.reinstalls()

    assert [one.event["type"] for one in fake.heard] == ["tokens_revoked"]
    assert await ask("auth.test") == "" and team.bot_token != old
