"""What whoever operates it sees: health, figures, an end in order, refusals in a sentence, and who may knock."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import aiohttp
import pytest
from starlette.applications import Starlette

from bot.platforms.slack import front as front_module
from bot.platforms.slack import link as link_module
from bot.platforms.slack.keys import Keys
from bot.platforms.slack.run import events
from pipeline.errors import Invalid
from tests.bot.labbot import ANOTHER, STORY
from tests.bot.slack.front import Labbot
from tests.fakes.model import Model
from tests.fakes.slack.people import Person, Workspace
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel

CARRIES_ON = "(I am being restarted; this carries on afterwards.)"
BUTTONS = "[Answer again] [👍] [👎]"


# --- health and the connection


async def test_health_turns_red_within_a_minute_of_a_deaf_connection_and_a_new_one_makes_it_green(
    labbot: Labbot, fake: Slack, bob: Person
) -> None:
    assert 4 * link_module.PING_S < link_module.DEAF_S < 60  # a dead connection misses four pings
    await _hurried(labbot)
    healthy = await labbot.front.health()
    opened = fake.opened
    fake.deaf(new=True)
    await _health(labbot, green=False)
    fake.wake()
    await _health(labbot, green=True)
    await labbot.says(bob, bob.dm, "/quota")

    assert healthy.good
    assert fake.opened > opened
    assert "no limit" in labbot.texts(bob.dm)[0]


async def test_what_was_told_to_a_deaf_connection_is_answered_once_by_the_next(
    labbot: Labbot, fake: Slack, bob: Person
) -> None:
    await _hurried(labbot)
    fake.patience_s = 0.2
    fake.deaf()
    await bob.says(bob.dm, "/quota")
    await fake.up.wait()
    fake.patience_s = 3.0
    fake.advance(60)
    await labbot.comes(bob.dm, "no limit")
    await labbot.quiet()

    assert len(labbot.created()) == 1


async def _hurried(labbot: Labbot) -> None:
    """Start one that takes a connection for dead soon, but after the library, which does so after a second."""
    labbot.ping_s = 0.05
    await labbot.start()
    assert labbot.front.link is not None
    labbot.front.link.deaf_s = 1.2


async def _health(labbot: Labbot, *, green: bool) -> None:
    """Wait until the health is that."""
    async with asyncio.timeout(10):
        while (await labbot.front.health()).good != green:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_a_connection_that_slack_ends_is_followed_by_another_and_nothing_is_lost(
    labbot: Labbot, fake: Slack, bob: Person, reason: str
) -> None:
    await labbot.start()
    opened = fake.opened
    await fake.disconnect(reason)
    if reason != "warning":
        await fake.until(lambda: fake.opened > opened and fake.up.is_set())
    await labbot.says(bob, bob.dm, "/quota")

    assert (await labbot.front.health()).good
    assert len(labbot.created()) == 1


async def test_a_connection_that_breaks_is_built_anew(labbot: Labbot, fake: Slack, bob: Person) -> None:
    await labbot.start()
    opened = fake.opened
    await fake.drop()
    await fake.until(lambda: fake.opened > opened and fake.up.is_set())
    await labbot.says(bob, bob.dm, "/quota")

    assert len(labbot.created()) == 1


async def test_health_is_red_before_slack_is_connected(labbot: Labbot, fake: Slack) -> None:
    fake.fail("apps.connections.open", "503", times=1)
    await labbot.begin()
    health = await labbot.front.health()
    await fake.until(labbot.front.ready.is_set)

    assert "not connected yet" in health.state
    assert (await labbot.front.health()).good


async def test_health_is_red_when_the_token_was_taken_away_and_green_when_it_is_good_again(
    labbot: Labbot, fake: Slack, team: Workspace, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    await labbot.says(bob, bob.dm, "/quota")
    good, token = await labbot.front.health(), team.bot_token
    team.revokes()
    await _health(labbot, green=False)
    before = await labbot.front.health()
    assert await labbot.front.workspaces.of(team.id) is None
    refused = await labbot.front.health()
    team.reinstalls()
    labbot.front.workspaces.token = team.bot_token
    await labbot.says(bob, bob.dm, "/quota")

    assert good.good
    assert token != team.bot_token
    assert "does not take the bot's token any more (token_revoked)" in before.state
    assert before == refused
    assert (await labbot.front.health()).good


# --- figures


async def test_figures_tell_of_acknowledgements_first_words_messages_refusals_and_duplicates(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    await labbot.lab(bob, channel, "quota")
    fault = fake.fail("chat.startStream", "429", seconds=0)
    await labbot.story(channel, labbot.asks(bob, channel, "tell me a story"))
    model.tell("goes")
    await labbot.comes(channel, "there was a dog")
    await labbot.quiet()
    lines = dict(line.rsplit(" ", 1) for line in (await labbot.front.metrics()).splitlines() if not line.startswith("#"))
    figures = {
        name.removeprefix("labbot_").replace('platform="slack"', "").replace("{,", "{"): value for name, value in lines.items()
    }

    assert fault.met == 1
    assert figures["events_heard_total{}"] == "2"
    assert figures["duplicates_heard_total{}"] == "1"
    assert figures["ack_seconds_count{}"] == "3"
    assert figures["first_token_seconds_count{}"] == "1"
    assert figures["rate_limited_total{}"] == "1"
    assert figures['messages_sent_total{kind="ephemeral"}'] == "1"
    assert figures['messages_sent_total{kind="stream"}'] == "1"


# --- the end


async def test_an_answer_that_ends_in_time_ends_before_the_process_does(labbot: Labbot, bob: Person, model: Model) -> None:
    await labbot.start()
    await labbot.story(bob.dm, labbot.says(bob, bob.dm, "tell me a story"))
    leaving = asyncio.create_task(labbot.front.leave())
    await asyncio.sleep(0)
    model.tell("goes")
    await leaving

    assert labbot.texts(bob.dm) == [f"{STORY} there was a dog.\n{BUTTONS}"]


@pytest.mark.parametrize("streams", [True, False])
async def test_an_answer_that_does_not_end_in_time_says_that_it_carries_on_and_does(
    labbot: Labbot, fake: Slack, bob: Person, monkeypatch: pytest.MonkeyPatch, streams: bool
) -> None:
    monkeypatch.setattr(front_module, "LEAVE_S", 0.1)
    await labbot.start()
    if not streams:
        fake.fail("chat.startStream", "feature_disabled", times=100)
    await labbot.story(bob.dm, labbot.says(bob, bob.dm, "tell me a story"))
    await labbot.front.leave()
    left = labbot.texts(bob.dm)
    await labbot.told_anew(bob.dm)

    assert left == [f"{STORY}\n\n{CARRIES_ON}"]
    assert labbot.texts(bob.dm) == [f"{ANOTHER}\n{BUTTONS}"]
    assert len(labbot.created()) == 1


@pytest.mark.usefixtures("mode")
async def test_what_is_heard_while_a_process_leaves_is_answered_by_the_next(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    await labbot.front.leave()
    before = labbot.heard
    await bob.says(bob.dm, "/quota")
    heard = await labbot.acked(bob.command(channel, "/lab", "quota"))
    await fake.until(lambda: labbot.heard == before + 2)
    assert labbot.created() == []
    await labbot.again()
    await labbot.comes(bob.dm, "no limit")
    await labbot.quiet()

    assert not heard.error
    assert len([text for text in labbot.texts(bob.dm) if "no limit" in text]) == 1


# --- refusals


@pytest.mark.parametrize("missing", ["bot", "app"])
async def test_a_token_that_slack_does_not_take_is_one_sentence(labbot: Labbot, fake: Slack, missing: str) -> None:
    labbot.fake.app_token = fake.app_token if missing == "bot" else "xapp-1-another"
    if missing == "bot":
        labbot.team.bot_token = "xoxb-another"
    with pytest.raises(Invalid, match="Slack does not take it"):
        await labbot.start()


async def test_a_log_in_waits_for_a_slack_that_does_not_answer(labbot: Labbot, fake: Slack) -> None:
    faults = [fake.fail(method, "503") for method in ("auth.test", "apps.connections.open")]
    await labbot.start()

    assert [one.met for one in faults] == [1, 1]


def test_no_token_is_in_the_words_for_keys() -> None:
    assert "xoxb" not in repr(Keys("xoxb-secret", "xapp-secret", "signing"))


# --- HTTP: who may knock


async def _knocks(fake: Slack, body: str, head: dict[str, str]) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(fake.events_url, data=body, headers={"Content-Type": "application/json"} | head) as said,
    ):
        return said.status


async def test_only_slack_is_heard_over_http_and_not_what_is_older_than_five_minutes(
    labbot: Labbot, fake: Slack, bob: Person
) -> None:
    fake.mode = "http"
    await labbot.start()
    await labbot.says(bob, bob.dm, "/quota")
    body = json.dumps(fake.heard[0].payload | {"event_id": "Ev9"})
    good = fake.signed(body)
    statuses = [await _knocks(fake, body, head) for head in ({}, good | {"X-Slack-Signature": "v0=" + "0" * 64})]
    for skew in (-301, 301):
        fake.skew_s = skew
        statuses.append(await _knocks(fake, body, fake.signed(body)))
    fake.skew_s = 0.0
    changed = await _knocks(fake, body.replace("/quota", "/privacy forget"), good)

    assert statuses == [401] * 4
    assert changed == 401
    assert len(labbot.created()) == 1


@pytest.mark.parametrize("said", [True, False])
async def test_nobody_s_megabytes_are_read(labbot: Labbot, fake: Slack, said: bool) -> None:
    fake.mode = "http"
    await labbot.start()
    parts, sent = iter(range(64)), []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x" * 2**18, "more_body": next(parts) < 63}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    head = [(b"content-length", b"16777216")] if said else []
    scope = {"type": "http", "method": "POST", "path": "/slack/events", "headers": head, "query_string": b""}
    await Starlette(routes=events(labbot.front))(scope, receive, send)

    assert sent[0]["status"] == 413
    assert next(parts) == (0 if said else 5)


async def test_the_address_is_labbot_s_when_slack_asks_for_it(labbot: Labbot, fake: Slack) -> None:
    fake.mode = "http"
    await labbot.start()

    assert await fake.verify_url()


async def test_what_comes_before_labbot_is_ready_is_told_again_and_answered(labbot: Labbot, fake: Slack, bob: Person) -> None:
    fake.mode = "http"
    fault = fake.fail("auth.test", "503", times=2)
    await labbot.begin()
    await bob.says(bob.dm, "/quota")
    await fake.until(lambda: any(one.failed for one in fake.heard[0].deliveries))
    await fake.until(labbot.front.ready.is_set)
    fake.advance(60)
    await labbot.comes(bob.dm, "no limit")

    assert fault.met
    assert len(labbot.created()) == 1
