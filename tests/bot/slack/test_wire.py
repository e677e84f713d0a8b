"""Calls to Slack: made again where they may be, looked for where they may not, and never one too many."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.counts import Counts
from bot.platforms.slack import wire as wires
from bot.platforms.slack.posts import Posts
from bot.platforms.slack.render import Payload
from bot.platforms.slack.threads import Room
from bot.platforms.slack.tiers import TIERS, Tiers
from bot.platforms.slack.wire import Refused, Unsure, Wire
from bot.platforms.slack.workspaces import Workspace as Workplace
from bot.platforms.slack.workspaces import Workspaces
from pipeline.errors import Temporary
from pipeline.memory import Memory
from tests.fakes.slack.people import Workspace
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel

HELLO = Payload({"text": "hello", "blocks": [{"type": "markdown", "text": "hello"}]})


@pytest.fixture
async def wire(fake: Slack, team: Workspace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Wire]:
    monkeypatch.setattr(wires, "WAITS_S", (0.01, 0.02, 0.03))

    async def token(asked: str) -> str:
        return team.bot_token if asked == team.id else ""

    made = Wire(Tiers(times=1000), Counts("slack"), token, fake.api)
    yield made
    await made.close()


def calls(fake: Slack, method: str) -> int:
    return sum(one.method == method for one in fake.requests)


@pytest.mark.parametrize("fault", ["500", "503", "reset", "lost", "internal_error", "service_unavailable"])
async def test_a_call_that_may_be_made_twice_is_made_again(fake: Slack, team: Workspace, wire: Wire, fault: str) -> None:
    fake.fail("auth.test", fault, times=2, seconds=0)

    assert (await wire.ask(team.id, "auth.test"))["team_id"] == team.id
    assert wire.counts.retried == 2


async def test_a_refusal_of_whatever_stands_before_slack_is_one(
    fake: Slack, team: Workspace, channel: Channel, wire: Wire
) -> None:
    fake.fail("chat.postMessage", "413", times=100)

    with pytest.raises(Refused, match="http_413"):
        await wire.ask(team.id, "chat.postMessage", twice=False, channel=channel.id, text="hello")
    assert calls(fake, "chat.postMessage") == 1


async def test_a_call_that_slack_fails_at_for_long_is_refused(
    fake: Slack, team: Workspace, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.fail("auth.test", "internal_error", times=100)
    with pytest.raises(Temporary):
        await wire.ask(team.id, "auth.test")
    monkeypatch.setattr(wires, "STAYS_S", 0.0)
    wire._failing = type(wire._failing)((name, (began - 1, last + 60)) for name, (began, last) in wire._failing.items())

    with pytest.raises(Refused, match="internal_error"):
        await wire.ask(team.id, "auth.test")


async def test_a_slack_that_does_not_answer_is_temporary(fake: Slack, team: Workspace, wire: Wire) -> None:
    fake.fail("auth.test", "503", times=10)

    with pytest.raises(Temporary):
        await wire.ask(team.id, "auth.test")


class _Installed:
    """Installations of which the newest is read: `tokens`, one after another, the last for good."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)

    async def workspace(self, team: str, enterprise: str = "") -> Workplace | None:
        return Workplace(team, self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0], "U1", "B1")

    async def erase(self, team: str, enterprise: str = "") -> None:
        self.tokens = [""]


async def _asks(fake: Slack, team: Workspace, *tokens: str) -> dict[str, Any]:
    known = Workspaces("", fake.api, _Installed(*tokens))
    made = Wire(Tiers(), Counts("slack"), known.bot_token, fake.api, known.doubt)
    try:
        return await made.ask(team.id, "auth.test")
    finally:
        await made.close()


async def test_a_token_that_is_not_taken_is_read_anew_and_the_call_made_once_more(fake: Slack, team: Workspace) -> None:
    found = await _asks(fake, team, "xoxb-of-before", team.bot_token)

    assert found["team_id"] == team.id
    assert calls(fake, "auth.test") == 2


async def test_a_token_that_is_not_taken_again_is_refused(fake: Slack, team: Workspace) -> None:
    with pytest.raises(Refused, match="invalid_auth"):
        await _asks(fake, team, "xoxb-of-before")
    assert calls(fake, "auth.test") == 2


@pytest.mark.parametrize("fault", ["500", "reset", "lost"])
async def test_a_call_that_may_not_be_made_twice_is_unsure(
    fake: Slack, team: Workspace, channel: Channel, wire: Wire, fault: str
) -> None:
    fake.fail("chat.postMessage", fault, seconds=0)

    with pytest.raises(Unsure):
        await wire.ask(team.id, "chat.postMessage", twice=False, channel=channel.id, text="hello")


async def test_retry_after_is_waited_for_and_counted(fake: Slack, team: Workspace, channel: Channel, wire: Wire) -> None:
    fake.fail("chat.postMessage", "429", seconds=1)
    began = asyncio.get_running_loop().time()
    await wire.ask(team.id, "chat.postMessage", twice=False, channel=channel.id, text="hello")

    assert asyncio.get_running_loop().time() - began >= 1
    assert (wire.counts.limited, len(fake.messages(channel))) == (1, 1)


async def test_a_long_retry_after_is_left_to_the_shell(fake: Slack, team: Workspace, wire: Wire) -> None:
    fake.fail("auth.test", "429", seconds=wires.MOST_S + 1)

    with pytest.raises(Temporary):
        await wire.ask(team.id, "auth.test")


async def test_slacks_own_word_says_why_a_call_is_refused(fake: Slack, team: Workspace, wire: Wire) -> None:
    with pytest.raises(Refused) as refused:
        await wire.ask(team.id, "chat.postMessage", channel="C404", text="hello")

    assert (refused.value.method, refused.value.code) == ("chat.postMessage", "channel_not_found")


async def test_a_workspace_without_labbot_is_called_nothing(fake: Slack, wire: Wire) -> None:
    with pytest.raises(Refused) as refused:
        await wire.ask("T404", "auth.test")

    assert (refused.value.code, fake.requests) == ("not_installed", [])


@pytest.mark.parametrize("fault", ["500", "503", "reset", "lost"])
async def test_a_message_whose_answer_is_lost_stands_once(
    fake: Slack, team: Workspace, channel: Channel, wire: Wire, memory: Memory, fault: str
) -> None:
    fake.fail("chat.postMessage", fault, seconds=0)
    ts = await Posts(wire, memory).put(Room(team.id, channel.id), HELLO, "a-key")

    assert [one["ts"] for one in fake.messages(channel)] == [ts]
    assert calls(fake, "chat.postMessage") == (1 if fault == "lost" else 2)


async def test_a_file_whose_answer_is_lost_is_shared_once(
    fake: Slack, team: Workspace, channel: Channel, wire: Wire, memory: Memory
) -> None:
    posts, room = Posts(wire, memory), Room(team.id, channel.id)
    fake.fail("files.completeUploadExternal", "lost")
    await posts.share(room, [("qna.yaml", b"version: 3\n")], "a-key")
    await posts.share(room, [("qna.yaml", b"version: 3\n")], "a-key")

    assert [[file["name"] for file in one["files"]] for one in fake.messages(channel)] == [["qna.yaml"]]


# --- turns


@pytest.mark.parametrize("method", ["chat.startStream", "chat.update", "chat.appendStream"])
async def test_a_method_is_called_as_often_as_its_tier_allows_and_once_more_waits(method: str) -> None:
    now = [0.0]
    tiers, taken = Tiers(clock=lambda: now[0]), []

    async def call() -> None:
        async with tiers.turn("T1", method):
            taken.append(now[0])

    tasks = [asyncio.create_task(call()) for _ in range(TIERS[method] + 1)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert len(taken) == TIERS[method]
    async with tiers.turn("T2", method):
        pass  # another workspace has turns of its own
    tasks[-1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_turn_that_is_not_soon_is_not_waited_for() -> None:
    tiers = Tiers()
    found = []
    for _ in range(TIERS["chat.startStream"] + 1):
        async with tiers.soon("T1", "chat.startStream", 1.0) as there:
            found.append(there)

    assert found == [True] * TIERS["chat.startStream"] + [False]


async def test_an_app_that_many_install_looks_once_a_minute_at_fifteen_messages(
    fake: Slack, team: Workspace, channel: Channel
) -> None:
    async def token(asked: str) -> str:
        return team.bot_token

    made = Wire(Tiers(many=True), Counts("slack"), token, fake.api)
    await Posts(made, None).find(Room(team.id, channel.id), "key", 0.0)  # type: ignore[arg-type]  # it asks no memory
    async with made.tiers.soon(team.id, "conversations.history", 50.0) as there:
        assert not there
    await made.close()

    assert str(fake.requests[-1].args["limit"]) == "15"


def test_every_tier_is_the_one_that_slack_names(reference: dict[str, dict[str, object]]) -> None:
    promised = {"t1": 1, "t2": 20, "t3": 50, "t4": 100}
    named = {method: promised.get(str(one.get("rate_limits"))) for method, one in reference.items() if method in TIERS}

    assert set(named) == set(TIERS)
    assert {method: (TIERS[method], most) for method, most in named.items() if most and TIERS[method] > most} == {}
