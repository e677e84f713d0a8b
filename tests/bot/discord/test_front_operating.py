"""What whoever operates it sees: health, figures, commands sent rarely, an end in order, refusals in a sentence."""

import asyncio
from dataclasses import replace

import pytest

from bot.platforms.discord import front as front_module
from bot.platforms.discord import gateway
from pipeline.errors import Invalid
from tests.bot.discord.front import Labbot, created
from tests.bot.labbot import ANOTHER, STORY
from tests.fakes.discord.faults import Kind
from tests.fakes.discord.gateway import CONTENT, EVERY_INTENT
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel
from tests.fakes.model import Model

CARRIES_ON = "(I am being restarted; this carries on afterwards.)"
COMMANDS = "/applications/"


# --- health and figures


async def test_health_turns_red_while_the_gateway_is_deaf_and_green_when_it_is_back(
    labbot: Labbot, fake: Discord, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 41.25 < gateway.DEAF_S < 60  # a heartbeat is answered every 41.25 s
    fake.gateway_.heartbeat_s = 0.05
    await labbot.start()
    healthy = await labbot.front.health()
    monkeypatch.setattr(gateway, "DEAF_S", 0.5)
    fake.deaf()
    await _health(labbot, green=False)
    fake.wake()
    await _health(labbot, green=True)

    assert healthy.good


async def test_health_is_red_before_the_gateway_has_answered(labbot: Labbot, fake: Discord) -> None:
    fake.deaf()
    await labbot.begin()
    health = await labbot.front.health()
    fake.wake()
    await labbot.front.ready.wait()

    assert "not connected yet" in health.state
    assert (await labbot.front.health()).good


async def test_figures_tell_of_acknowledgements_first_words_edits_refusals_and_duplicates(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    fake.duplicate_next()
    await labbot.after(bob.slash(channel, "quota"), times=2)
    fault = fake.fail("PATCH", r"/channels/\d+/messages/\d+", "429", seconds=0.01)
    await labbot.story(channel, bob.slash(channel, "chat", {"question": "tell me a story"}))
    model.tell("goes")
    await labbot.comes(channel, "there was a dog")
    await labbot.quiet()
    lines = dict(line.rsplit(" ", 1) for line in (await labbot.front.metrics()).splitlines() if not line.startswith("#"))
    figures = {
        name.removeprefix("labbot_").replace('platform="discord"', "").replace("{,", "{"): value
        for name, value in lines.items()
    }

    assert fault.met == 1
    assert figures["events_heard_total{}"] == "2"
    assert figures["duplicates_heard_total{}"] == "1"
    assert figures["ack_seconds_count{}"] == "2"
    assert figures["first_token_seconds_count{}"] == "1"
    assert figures["rate_limited_total{}"] == "1"
    assert int(figures['messages_sent_total{kind="edit"}']) >= 1
    assert figures['messages_sent_total{kind="callback"}'] == "2"


async def _health(labbot: Labbot, *, green: bool) -> None:
    """Wait until the health is that."""
    async with asyncio.timeout(10):
        while (await labbot.front.health()).good != green:
            await asyncio.sleep(0.01)


# --- commands


async def test_commands_are_sent_once_and_again_only_when_they_have_changed(labbot: Labbot, fake: Discord) -> None:
    await labbot.start()
    assert labbot.asked("PUT", COMMANDS) == 1
    await labbot.again()
    assert labbot.asked("PUT", COMMANDS) == 1
    english = {**labbot.settings.words["en"], "menu.ask": "Ask, and have the answer"}
    labbot.settings = replace(labbot.settings, words={**labbot.settings.words, "en": english})
    await labbot.again()
    await labbot.again()

    assert labbot.asked("PUT", COMMANDS) == 2
    assert next(one for one in fake.world.commands if one["name"] == "ask")["description"] == "Ask, and have the answer"


async def test_commands_are_not_sent_anew_when_the_gateway_connects_again(labbot: Labbot, fake: Discord) -> None:
    await labbot.start()
    await fake.drop()
    await fake.until(lambda: fake.resumed == 1)

    assert labbot.asked("PUT", COMMANDS) == 1


async def test_commands_come_through_though_discord_does_not_answer_at_first(labbot: Labbot, fake: Discord) -> None:
    fault = fake.fail("PUT", r"/applications/.*", "503", times=5)
    await labbot.start()

    assert fault.met == 5
    assert fake.world.commands


# --- the end


async def test_an_answer_that_ends_in_time_ends_before_the_process_does(labbot: Labbot, bob: Person, model: Model) -> None:
    await labbot.start()
    await labbot.story(bob.dm, bob.says(bob.dm, "tell me a story"))
    leaving = asyncio.create_task(labbot.front.leave())
    await asyncio.sleep(0)
    model.tell("goes")
    await leaving

    assert labbot.texts(bob.dm) == [f"{STORY} there was a dog.\n[Answer again] [👍] [👎]"]


async def test_an_answer_that_does_not_end_in_time_says_that_it_carries_on_and_does(
    labbot: Labbot, fake: Discord, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_module, "LEAVE_S", 0.1)
    await labbot.start()
    await labbot.story(bob.dm, bob.says(bob.dm, "tell me a story"))
    await labbot.front.leave()
    left = labbot.texts(bob.dm)
    await labbot.told_anew(bob.dm)

    assert left == [f"{STORY}\n\n{CARRIES_ON}"]
    assert labbot.texts(bob.dm) == [f"{ANOTHER}\n[Answer again] [👍] [👎]"]
    assert len(created(fake)) == 1


async def test_a_slash_command_s_answer_that_is_interrupted_carries_on_in_its_message(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_module, "LEAVE_S", 0.1)
    await labbot.start()
    await labbot.story(channel, bob.slash(channel, "chat", {"question": "tell me a story"}))
    await labbot.front.leave()
    left = labbot.texts(channel)
    await labbot.told_anew(channel)

    assert left == [f"{STORY}\n\n{CARRIES_ON}"]
    assert len(created(fake)) == 1


async def test_what_is_heard_while_a_process_leaves_is_answered_by_the_next(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    await labbot.front.leave()
    before = labbot.heard
    await bob.says(bob.dm, "/quota")
    heard = await bob.slash(channel, "quota")
    await fake.until(lambda: labbot.heard == before + 2)
    assert created(fake) == []
    await heard.acked.wait()  # it is told to wait
    await labbot.again()
    await labbot.comes(bob.dm, "no limit")
    await fake.until(lambda: "no limit" in labbot.answer(heard))

    assert len(labbot.said(bob.dm)) == 1


# --- refusals


async def test_a_token_that_discord_does_not_take_is_one_sentence(labbot: Labbot) -> None:
    labbot.token = "MTAwMDAw.another.token"
    with pytest.raises(Invalid, match="Discord does not take it"):
        await labbot.start()


async def test_a_token_that_is_taken_back_ends_the_process_with_that_sentence(labbot: Labbot, fake: Discord) -> None:
    await labbot.start()
    await fake.close(4004)
    with pytest.raises(Invalid, match="Discord does not take it"):
        await labbot.ended()


async def test_an_intent_that_discord_does_not_grant_is_one_sentence(labbot: Labbot, fake: Discord) -> None:
    fake.gateway_.allowed = EVERY_INTENT & ~CONTENT
    with pytest.raises(Invalid, match="Discord does not grant the intent"):
        await labbot.start(platforms__discord__message_content="true")
    await labbot.start(platforms__discord__message_content="false")


@pytest.mark.parametrize("kind", ["503", "reset", "lost"])
async def test_a_log_in_waits_for_a_discord_that_does_not_answer(labbot: Labbot, fake: Discord, kind: Kind) -> None:
    fault = fake.fail("GET", r"/users/@me", kind, times=1)
    await labbot.start()

    assert fault.met == 1


# --- several connections


async def test_over_several_connections_it_answers_as_over_one(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    fake.gateway_.shards = 2
    await labbot.start(platforms__discord__shards="true")
    await labbot.after(bob.says(channel, "/quota", mention=True))
    heard = await labbot.acked(bob.slash(channel, "help"))

    assert len(fake.gateway_.sessions) == 2
    assert (await labbot.front.health()).good
    assert heard.callback and "What I understand" in heard.callback["data"]["content"]
