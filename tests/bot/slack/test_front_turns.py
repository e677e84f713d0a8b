"""Answers that grow, where it is easy to lose something: a turn, the end of a code, an end that was not shown yet."""

import asyncio

import pytest

from bot.platforms.slack import wire
from bot.platforms.slack.tiers import Tiers
from tests.bot.slack.front import Labbot, button
from tests.fakes.model import Model
from tests.fakes.slack.people import Person, Workspace
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json
from tests.fakes.slack_view import text_of


async def asked(labbot: Labbot, who: Person, channel: Channel) -> Json:
    return await labbot.after(who.says(channel, "tell me a story about dogs", mention=True), times=2)


def used(tiers: Tiers, team: Workspace, method: str) -> int:
    """How many turns to call a method were had in a workspace lately."""
    return len(tiers._of(team.id, method)._over)


async def test_a_word_that_is_not_whole_takes_no_turn_to_begin_a_stream(
    labbot: Labbot, fake: Slack, team: Workspace, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell("says Once || upon a time || there was a dog.")
    asking = await asked(labbot, bob, channel)
    await fake.until(lambda: any(one.newest.text == "Once" for one in labbot.app.writing.values()))
    model.tell("steps")
    await labbot.comes(channel, "Once upon a", asking)
    model.tell("goes")
    await labbot.comes(channel, "upon a time there was a dog.", asking)
    await labbot.quiet()

    begun = [one for one in fake.requests if one.method == "chat.startStream"]
    assert used(labbot.front.wire.tiers, team, "chat.startStream") == len(begun) == 1


async def test_a_stream_that_is_stopped_within_a_code_closes_it(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell("says Like this:\\n```python\\nred = 1\\nblue = || 2\\n```")
    asking = await asked(labbot, bob, channel)
    growing = await labbot.comes(channel, "red = 1", asking)
    await labbot.after(bob.stops(growing))
    await labbot.quiet()

    [said] = labbot.said(channel, asking)
    assert said["text"].endswith("\n```")
    assert button(said, "Answer again")


async def test_the_end_of_an_answer_that_a_process_could_not_show_is_shown_by_the_next_one(
    labbot: Labbot, fake: Slack, team: Workspace, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    fake.fail("chat.startStream", "method_not_supported_for_channel_type")
    model.tell("says Once upon a time || there was a dog.")
    asking = await asked(labbot, bob, channel)
    await labbot.comes(channel, "Once upon a time", asking)
    failed = fake.fail("chat.update", "503", times=1000)
    model.tell("goes")
    place = f"slack:{team.id}.{channel.id}/{asking['ts']}"
    async with asyncio.timeout(10):
        while any(one.live for one in await labbot.house.store.talk(place)):
            await asyncio.sleep(0.01)
    before = failed.met
    await fake.until(lambda: failed.met > before)
    failed.left = 0
    await labbot.again()
    await labbot.comes(channel, "Once upon a time there was a dog.", asking)

    assert len(labbot.said(channel, asking)) == 1


async def test_what_slack_did_not_take_for_one_person_is_shown_when_it_does(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "WAITS_S", (0.01,))
    await labbot.start()
    failed = fake.fail("chat.postEphemeral", "service_unavailable", times=3)
    await labbot.after(bob.command(channel, "/lab", "quota"))

    assert failed.met == 3
    assert ["drafts: 20" in text_of(one.message) for one in fake.shown if one.to == bob.id] == [True]
