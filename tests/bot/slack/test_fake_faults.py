"""What goes wrong with the fake Slack on demand: requests that fail, and limits that are met."""

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.fakes.slack import tiers
from tests.fakes.slack.asking import Asking
from tests.fakes.slack.people import Person, Workspace
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel


@pytest.fixture
def client(fake: Slack, team: Workspace) -> AsyncWebClient:
    return AsyncWebClient(token=team.bot_token, base_url=fake.api, retry_handlers=[])


async def test_too_many_requests_says_when_to_come_back(fake: Slack, ask: Asking, channel: Channel) -> None:
    fault = fake.fail("chat.postMessage", "429", seconds=7)

    assert await ask("chat.postMessage", channel=channel.id, text="x") == "ratelimited"
    assert (ask.status, ask.headers["Retry-After"], fault.met) == (429, "7", 1)
    assert await ask("chat.postMessage", channel=channel.id, text="x") == ""


@pytest.mark.parametrize("status", ["500", "503"])
async def test_an_error_of_the_server_leaves_everything_undone(
    fake: Slack, client: AsyncWebClient, channel: Channel, status: str
) -> None:
    fake.fail("chat.*", status, times=2)

    for _ in range(2):
        with pytest.raises(SlackApiError) as raised:
            await client.chat_postMessage(channel=channel.id, text="x")
        assert raised.value.response.status_code == int(status)
    assert fake.messages(channel) == []
    assert [(one.status, one.fault) for one in fake.requests] == [(int(status), status)] * 2


async def test_a_code_of_slack_is_answered_in_place_of_doing_it(fake: Slack, ask: Asking, channel: Channel) -> None:
    fake.fail("chat.postMessage", "team_access_not_granted")

    assert await ask("chat.postMessage", channel=channel.id, text="x") == "team_access_not_granted"
    assert fake.messages(channel) == []


async def test_a_reset_connection_leaves_everything_undone(fake: Slack, client: AsyncWebClient, channel: Channel) -> None:
    fake.fail("chat.postMessage", "reset")

    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel=channel.id, text="x")
    assert fake.messages(channel) == [] and fake.requests[0].status == 0


async def test_a_lost_answer_leaves_it_done(fake: Slack, client: AsyncWebClient, channel: Channel) -> None:
    fake.fail("chat.postMessage", "lost")

    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel=channel.id, text="x")
    assert [one["text"] for one in fake.messages(channel)] == ["x"]


async def test_a_slow_answer_comes_in_the_end(fake: Slack, client: AsyncWebClient, channel: Channel) -> None:
    fake.fail("chat.postMessage", "slow", seconds=0.02)

    assert (await client.chat_postMessage(channel=channel.id, text="x"))["ok"]


async def test_nobody_meets_a_limit_where_none_is_real(fake: Slack, ask: Asking, channel: Channel) -> None:
    for _ in range(30):
        assert await ask("users.list") == ""
    assert fake.got_429 == {}


async def test_a_tier_is_so_many_a_minute_in_each_workspace(fake: Slack, ask: Asking) -> None:
    fake.limits = True
    for _ in range(20):
        assert await ask("users.list") == ""
    assert await ask("users.list") == "ratelimited"
    assert fake.got_429 == {"users.list": 1} and 1 <= int(ask.headers["Retry-After"]) <= 60

    other = fake.team("other")
    assert await ask("users.list", token=other.bot_token) == ""
    fake.advance(60)
    assert await ask("users.list") == ""


async def test_a_channel_takes_a_message_a_second_after_a_few_at_once(fake: Slack, ask: Asking, channel: Channel) -> None:
    fake.limits = True
    said = [await ask("chat.postMessage", channel=channel.id, text="x") for _ in range(tiers.BURST + 1)]
    fake.advance(1)
    said.append(await ask("chat.postMessage", channel=channel.id, text="x"))

    assert said == [""] * tiers.BURST + ["ratelimited", ""]


@pytest.mark.parametrize(
    "method, count",
    [("chat.update", 50), ("chat.appendStream", 100), ("chat.startStream", 20), ("chat.stopStream", 20), ("views.open", 100)],
)
def test_the_tiers_are_slacks(method: str, count: int) -> None:
    assert tiers.a_minute(method) == count


def test_the_tiers_without_the_reference_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {name: tiers.a_minute(name) for names in tiers.KNOWN.values() for name in names.split()}
    monkeypatch.setattr(tiers, "oracle", lambda: None)

    assert {name: tiers.a_minute(name) for name in told} == told


async def test_a_held_upload_is_refused_once(fake: Slack, client: AsyncWebClient, channel: Channel) -> None:
    fake.fail("upload", "500")

    with pytest.raises(Exception, match="Failed to upload"):
        await client.files_upload_v2(channel=channel.id, content="abc", filename="a.txt")
    assert fake.messages(channel) == []
    await client.files_upload_v2(channel=channel.id, content="abc", filename="a.txt")
    assert len(fake.messages(channel)) == 1


async def test_a_file_may_come_slowly_and_be_more_than_was_said(
    fake: Slack, team: Workspace, channel: Channel, alice: Person
) -> None:
    fake.hold()
    said = (await alice.says(channel, "x", files=[("a.txt", b"abc")]))["files"][0]
    fake.file(said).padding = 5
    async with aiohttp.ClientSession() as session:
        got = await session.get(said["url_private_download"], headers={"Authorization": f"Bearer {team.bot_token}"})
        content = await got.read()

    assert len(content) == said["size"] + 5
