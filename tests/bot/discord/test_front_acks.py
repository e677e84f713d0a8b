"""The first answer to what is done at a command, a button or a dialog: in time, once, and seen by whom it is for."""

import asyncio
import re
from typing import Any

import pytest

from bot.platforms.discord import wire
from tests.bot.discord.front import Labbot, button, created, private
from tests.fakes.discord.faults import Kind
from tests.fakes.discord.interactions import Interaction
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import LOADING, Channel
from tests.fakes.model import Model

CALLBACK, MESSAGES, MESSAGE = r"/interactions/.*", r"/channels/\d+/messages", r"/channels/\d+/messages/\d+"
SAYS, DEFERS, SEEN, UPDATES, OPENS = 4, 5, 6, 7, 9


def kind(heard: Interaction) -> int:
    assert heard.callback is not None
    return int(heard.callback["type"])


def follow_ups(fake: Discord) -> list[str]:
    return [one.path for one in fake.requests if one.method == "POST" and re.fullmatch(r"/webhooks/\d+/[^/]+", one.path)]


async def held(labbot: Labbot, place: str) -> Any:
    """Take the lock of a place as another process might: nothing is decided there until it is let go."""
    key = f"bot:lock:place:{place}"
    await labbot.house.memory.do("SET", key, "somebody", "PX", 60_000)
    return lambda: labbot.house.memory.do("DEL", key)


# --- which answer it is


async def test_a_quick_answer_is_the_callback_itself(labbot: Labbot, fake: Discord, channel: Channel, bob: Person) -> None:
    await labbot.start()
    public = await labbot.after(bob.slash(channel, "ask", {"question": "what is a skill?"}))
    alone = await labbot.after(bob.slash(channel, "quota"))

    assert (kind(public), kind(alone)) == (SAYS, SAYS)
    assert (private(public.original or {"flags": 64}), private(alone.original or {"flags": 0})) == (False, True)
    assert labbot.asked("POST", f"/channels/{channel.id}/messages") == 0


async def test_a_button_that_changes_its_own_card_is_answered_by_the_change(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    thread = await labbot.draft(bob, channel)
    heard = await labbot.presses(bob, labbot.card(thread), "Discard")

    assert kind(heard) == UPDATES
    assert labbot.asked("PATCH", f"/channels/{thread.id}/messages") == 0


async def test_a_button_that_leads_to_no_message_is_acknowledged(
    labbot: Labbot, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell("says Once || upon a time")
    await labbot.after(bob.slash(channel, "chat", {"question": "tell me a story"}))
    begun = await labbot.comes(channel, "Once")
    heard = await labbot.presses(bob, begun, "Stop")
    await labbot.comes(channel, "(Stopped.)")

    assert kind(heard) == SEEN


async def test_a_private_answer_that_takes_long_takes_the_place_of_the_note_to_wait(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    labbot.front.answering.defer_s = 0.01
    free = await held(labbot, f"discord:{channel.id}")
    heard = await labbot.acked(bob.slash(channel, "quota"))
    await free()
    await fake.until(lambda: "no limit" in labbot.text(heard.original or {"content": ""}))

    assert kind(heard) == DEFERS
    assert private(heard.original or {"flags": 0})
    assert len(labbot.said(channel, bob)) == 1
    assert follow_ups(fake) == []


async def test_a_public_answer_that_takes_long_is_posted_and_the_note_to_wait_goes_away(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    labbot.front.answering.defer_s = 0.01
    free = await held(labbot, f"discord:{channel.id}")
    heard = await labbot.acked(bob.slash(channel, "ask", {"question": "what is a skill?"}))
    await free()
    await labbot.comes(channel, "Source:")
    await labbot.front.ear.idle()

    assert kind(heard) == DEFERS
    assert heard.original is None
    assert len(labbot.said(channel, bob)) == 1
    assert follow_ups(fake) == []


async def test_a_dialog_that_comes_too_late_to_be_opened_is_offered_by_a_button(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    thread = await labbot.draft(bob, channel)
    labbot.front.answering.defer_s = 0.01
    free = await held(labbot, f"discord:{channel.id}/{thread.name.rpartition(' ')[2]}")
    heard = await labbot.acked(bob.slash(thread, "edit", {"what": "about"}))
    await free()
    await fake.until(lambda: "About" in labbot.text(heard.original or {"content": ""}))
    labbot.front.answering.defer_s = 10.0
    offered = labbot.said(thread, bob)[-1]
    opening = await labbot.acked(bob.presses(offered, button(offered, "Fill in")))
    await labbot.after(bob.submits(opening, {"description": "Greet people"}))

    assert kind(heard) == DEFERS
    assert private(offered)
    assert "Greet people · draft" in labbot.text(labbot.card(thread))


async def test_no_note_to_wait_stays_where_a_process_has_crashed(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    labbot.front.answering.defer_s = 0.01
    await held(labbot, f"discord:{channel.id}")
    heard = await labbot.acked(bob.slash(channel, "ask", {"question": "what is a skill?"}))
    await labbot.crash()
    with labbot.plain() as redis:
        redis.delete(f"bot:lock:place:discord:{channel.id}")
    await labbot.start()
    await fake.until(lambda: created(fake, "Source:"))
    await fake.until(lambda: heard.original is None or not int(heard.original["flags"]) & LOADING)

    assert len(created(fake, "Source:")) == 1


# --- requests that fail


@pytest.mark.parametrize("kind", ["503", "reset", "lost", "502", "429"])
@pytest.mark.parametrize("where", ["callback", "direct"])
async def test_a_message_whose_request_fails_is_there_once(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, kind: Kind, where: str
) -> None:
    labbot.alone()
    await labbot.start()
    fault = fake.fail("POST", CALLBACK if where == "callback" else MESSAGES, kind, times=1, seconds=0.01)
    if where == "callback":
        await labbot.after(bob.slash(channel, "ask", {"question": "what is a skill?"}))
        shown = labbot.said(channel, bob)
    else:
        await labbot.after(bob.says(bob.dm, "what is a skill?"))
        shown = labbot.said(bob.dm)

    assert fault.met == 1
    assert len(shown) == len(created(fake)) == 1
    assert "Source:" in labbot.text(shown[0])


@pytest.mark.parametrize("kind", ["503", "reset", "lost"])
async def test_an_edit_whose_request_fails_comes_through(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, kind: Kind
) -> None:
    await labbot.start()
    thread = await labbot.draft(bob, channel)
    fault = fake.fail("PATCH", MESSAGE, kind, times=2)
    await labbot.after(bob.says(thread, "Greet people", mention=True))

    assert fault.met == 2
    assert "Greet people · draft" in labbot.text(labbot.card(thread))
    assert len(created(fake, "draft ")) == 1


@pytest.mark.parametrize("kind", ["503", "reset", "lost"])
async def test_a_thread_whose_making_fails_is_made_once(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, kind: Kind
) -> None:
    await labbot.start()
    fault = fake.fail("POST", r"/channels/\d+/threads", kind, times=1)
    thread = await labbot.draft(bob, channel)

    assert fault.met == 1
    assert fake.threads(channel) == [thread]
    assert len(created(fake, "draft ")) == 1


async def test_a_callback_that_fails_for_long_is_made_up_for_by_one_message(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    fault = fake.fail("POST", CALLBACK, "503", times=3)
    await labbot.after(bob.slash(channel, "ask", {"question": "what is a skill?"}))

    assert fault.met == 3
    assert len(labbot.said(channel, bob)) == len(created(fake)) == 1


async def test_a_refusal_of_everything_is_waited_out(
    labbot: Labbot, fake: Discord, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "BLOCKED_S", 0.3)
    labbot.alone()
    await labbot.start()
    fault = fake.fail("POST", MESSAGES, "429-cloudflare", times=1)
    await labbot.after(bob.says(bob.dm, "what is a skill?"))

    assert fault.met == 1
    assert labbot.asked("POST", f"/channels/{bob.dm.id}/messages") == 2
    assert len(labbot.said(bob.dm)) == 1


# --- tokens


async def test_after_a_token_s_time_edits_go_by_the_bot_s_own(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell("says Once || upon a time")
    heard = await labbot.after(bob.slash(channel, "chat", {"question": "tell me a story"}))
    await labbot.comes(channel, "Once")
    fake.clock += 20 * 60
    model.tell("goes")
    await labbot.comes(channel, "Once upon a time")
    await labbot.quiet()

    assert kind(heard) == SAYS
    assert [one.path for one in fake.requests if one.path.startswith("/webhooks")] == []
    assert len(labbot.said(channel)) == 1


async def test_after_a_token_s_time_what_is_private_is_told_in_direct_messages(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    labbot.front.answering.defer_s = 0.01
    free = await held(labbot, f"discord:{channel.id}")
    await labbot.acked(bob.slash(channel, "quota"))
    fake.clock += 20 * 60
    await free()
    await labbot.comes(bob.dm, "no limit")

    assert not any("no limit" in text for text in labbot.texts(channel, bob))


async def test_a_whole_day_s_work_uses_no_follow_ups(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    thread = await labbot.draft(bob, channel)
    await labbot.after(bob.says(thread, "Greet people", mention=True))
    opened = await labbot.acked(bob.slash(thread, "edit", {"what": "about"}))
    await labbot.after(bob.submits(opened, {"description": "Greet all people"}))
    for name in ("preview", "undo", "draft", "later", "help", "quota"):
        await labbot.after(bob.slash(thread, name) if name != "later" else bob.slash(thread, "discard"))
    model.tell("says " + " ".join(f"word{number}" for number in range(600)))
    await labbot.after(bob.slash(channel, "chat", {"question": "tell me a long story"}))
    await labbot.comes(channel, "word599")
    await labbot.quiet()

    assert follow_ups(fake) == []


async def test_twenty_acts_at_once_are_acknowledged_within_discord_s_time(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    acts = [labbot.acked(bob.slash(channel, "quota")) for _ in range(20)]
    heard = await asyncio.gather(*acts)
    await labbot.front.ear.idle()

    assert all(one.acked_after_s < 3 for one in heard)
    assert [one.code for one in fake.requests if one.code] == []


@pytest.mark.parametrize("kind", ["503", "reset", "lost"])
async def test_the_thread_of_a_mention_whose_making_fails_is_made_once(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, kind: Kind
) -> None:
    labbot.alone()
    await labbot.start()
    fault = fake.fail("POST", r"/channels/\d+/messages/\d+/threads", kind, times=1)
    said = await labbot.after(bob.says(channel, "what is a skill?", mention=True))

    assert fault.met == 1
    assert [one.id for one in fake.threads(channel)] == [said["id"]]
    assert len(created(fake, "Source:")) == 1
