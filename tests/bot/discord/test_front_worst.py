"""What the front end does when things come at the worst moment, and what people could make of it who mean no good."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.core.talk import Said
from bot.ear import Heard
from bot.platforms.discord import front as front_module
from bot.platforms.discord import wire
from bot.unheard import Journal
from pipeline.errors import Temporary
from tests.bot.discord.front import Labbot
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import VOICE, Channel, Guild
from tests.fakes.model import Model

CARRIES_ON = "this carries on afterwards"


def away(labbot: Labbot, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the memory is away."""

    async def refused(*_: Any, **__: Any) -> Any:
        raise Temporary("Redis is away")

    monkeypatch.setattr(labbot.house.memory, "do", refused)
    monkeypatch.setattr(labbot.house.memory, "all", refused)


# --- one message that nobody can be shown


async def test_what_can_be_shown_to_nobody_holds_up_nothing_after_it_and_no_restart(
    labbot: Labbot, guild: Guild, bob: Person
) -> None:
    closed = guild.channel("closed", deny=["CREATE_PUBLIC_THREADS"])
    bob.refuses_dms = True
    await labbot.start()
    await labbot.after(bob.says(closed, "/quota", mention=True))
    waiting = labbot.holding("bot:outbox:discord")
    await labbot.again()

    assert waiting == []


async def test_where_a_private_answer_reached_nobody_the_next_command_is_answered(
    labbot: Labbot, guild: Guild, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start()
    first = await labbot.after(bob.slash(channel, "ask", {"question": "what is a skill?"}))
    assert first.original is not None
    bob.refuses_dms = True
    channel.denies("SEND_MESSAGES")
    await labbot.after(bob.says(channel, "/quota", mention=False, reply_to=first.original))
    heard = await labbot.after(alice.slash(channel, "quota"))

    assert "unbegrenzt" in labbot.answer(heard)


# --- deletions


async def test_a_deletion_that_concerns_nobody_is_not_heard(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    said = await bob.says(channel, "lunch?")
    await bob.deletes(said)
    await labbot.after(bob.slash(channel, "quota"))

    assert labbot.front.counts.heard == 1
    assert labbot.holding(f"bot:inbox:discord:d{said['id']}") == []


async def test_nobody_is_told_that_the_memory_is_away_because_somebody_deleted_a_message(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await labbot.start()
    said = await bob.says(channel, "lunch?")
    away(labbot, monkeypatch)
    await bob.deletes(said)
    heard = await bob.slash(bob.dm, "quota")
    await fake.until(lambda: "(Redis) is away" in labbot.answer(heard))

    assert labbot.texts(channel) == []


# --- what piles up


async def test_the_words_of_a_mention_that_no_thread_was_made_for_are_not_kept_in_the_process(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    for _ in range(3):
        await labbot.after(bob.says(channel, "/quota platypus", mention=True))

    assert labbot.front.threads.names == {}


# --- files


async def test_a_file_that_takes_longer_than_a_lock_lives_is_taken(labbot: Labbot, fake: Discord, bob: Person) -> None:
    entry = b"version: 3\ncreated_by: alice-lab\ntask_description: Greet people\nseed_examples:\n" + b"".join(
        b"  - question: Hello %d?\n    answer: Hello to you, %d!\n" % (at, at) for at in range(5)
    )
    await labbot.start()
    fake.hold()
    said = await bob.says(bob.dm, "", files=[("qna.yaml", entry)])
    fake.file(said["attachments"][0]).slow_s = 2 * labbot.house.store.lease_s  # FETCH_S is 20 s, the lease 3 s
    fake.release()
    await labbot.comes(bob.dm, "Examples 5/5")


async def test_one_event_that_cannot_be_decided_yet_keeps_nobody_from_being_heard_after_a_restart(
    labbot: Labbot, fake: Discord, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start()
    fake.hold()
    said = await bob.says(bob.dm, "", files=[("qna.yaml", b"version: 3")])
    fake.file(said["attachments"][0]).slow_s = 10.0
    fake.release()
    await fake.until(lambda: labbot.front.counts.heard == 1)
    await labbot.crash()
    async with asyncio.timeout(3.0):
        await labbot.start()


# --- who may what


async def test_a_role_that_is_called_like_an_operator_s_id_makes_nobody_an_operator(
    labbot: Labbot, fake: Discord, guild: Guild, channel: Channel, alice: Person
) -> None:
    eve = fake.user("eve")
    guild.join(eve, roles=[alice.id])
    await labbot.start(**{f"workspaces__{guild.id}__roles": f'{{"{alice.id}": operator}}'})
    heard = await labbot.after(eve.slash(channel, "setup"))

    assert "You may not do that here" in labbot.answer(heard)


async def test_a_button_that_names_a_message_of_another_place_shows_it_to_nobody_else(
    labbot: Labbot, fake: Discord, channel: Channel, alice: Person, bob: Person
) -> None:
    labbot.alone()
    bob.refuses_dms = False
    await labbot.start()
    await labbot.after(bob.says(bob.dm, "what is a skill?"))
    person = (await labbot.house.memory.do("GET", f"bot:alias:discord:discord:{bob.id}")).decode()
    (message,) = [one for one in await labbot.house.store.talk(f"discord:@{person}") if not one.who]
    heard = await labbot.after(alice.slash(channel, "ask", {"question": "who reviews my contribution?"}))
    assert heard.original is not None
    forged = f"show|{message.key}|{message.place}"
    row = {"type": 1, "components": [{"type": 2, "style": 2, "label": "x", "custom_id": forged, "id": 9}]}
    shown = await labbot.acked(alice.presses({**heard.original, "components": [row]}, forged))

    assert shown.original is not None
    assert "Source" not in labbot.answer(shown)


async def test_what_a_private_draft_is_about_is_not_told_to_the_channel(labbot: Labbot, channel: Channel, bob: Person) -> None:
    labbot.alone()
    await labbot.start(platforms__discord__threads="private")
    await labbot.after(bob.slash(channel, "skill", {"about": "platypus counting"}))

    assert [text for text in labbot.texts(channel) if "platypus" in text.casefold()] == []


async def test_redis_does_not_hold_who_an_interaction_came_from(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    await labbot.house.memory.do("SET", f"bot:lock:place:discord:{channel.id}", "somebody", "PX", 60_000)
    await labbot.front.house.store.person("discord", "discord", bob.id, "bob")
    heard = await bob.slash(channel, "quota")
    await labbot.fake.until(lambda: labbot.front.counts.heard == 1)

    assert not heard.acked.is_set()
    assert [key for key in labbot.holding(bob.id) if key.startswith("bot:ack:")] == []


# --- Discord is slow, or away for a moment


async def test_an_answer_to_an_interaction_is_given_up_when_discord_does_not_answer_in_time(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await labbot.start()
    monkeypatch.setattr(wire, "ANSWER_S", 0.05)
    monkeypatch.setattr(wire, "MOST_S", 0.05)
    fake.fail("POST", r"/interactions/.*", "slow", times=20, seconds=3.0)
    ids = ("1", "token")
    with pytest.raises(Temporary):
        async with asyncio.timeout(2.0):
            await labbot.front.wire.answer("/interactions/{webhook_id}/{webhook_token}/callback", ids, json={"type": 6})


async def test_an_old_card_whose_waiting_edit_met_a_busy_discord_is_brought_up_to_date_all_the_same(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    thread = await labbot.draft(bob, channel)
    card = labbot.card(thread)
    edits = labbot.front.speaker.edits
    key = next(one.key for one in await labbot.house.store.talk(f"{_place(labbot, thread)}") if one.slot.startswith("draft."))
    message = await labbot.house.store.message(_place(labbot, thread), key)
    assert message is not None
    stale = replace(message, body=replace(message.body, title="Old"))  # type: ignore[arg-type]  # it is a card
    await edits.posts.patch(thread.id, card["id"], (await labbot.front.speaker._drawn(stale))[0])
    fault = fake.fail("PATCH", rf"/channels/{thread.id}/messages/\d+", "503", times=4)
    await edits.later(f"{thread.id}/{card['id']}", message, 0.01)
    await fake.until(lambda: fault.met == 4)

    await fake.until(lambda: "Old" not in labbot.text(labbot.card(thread)), 3.0)


def _place(labbot: Labbot, thread: Channel) -> str:
    return labbot.front.threads._places[thread.id]


async def test_the_author_is_in_their_private_thread_though_discord_was_busy_as_they_were_brought(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    labbot.alone()
    await labbot.start(platforms__discord__threads="private")
    fault = fake.fail("PUT", r"/channels/\d+/thread-members/\d+", "503", times=4)
    thread = await labbot.draft(bob, channel)

    assert fault.met == 4
    assert bob.id in thread.joined


# --- the end


async def test_a_process_that_ends_tells_of_each_answer_though_one_of_them_may_not_be_edited(
    labbot: Labbot, fake: Discord, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_module, "LEAVE_S", 0.1)
    await labbot.start()
    for who in (alice, bob):
        await labbot.story(who.dm, who.says(who.dm, "tell me a story"))
    alice.dm.deny = frozenset({"SEND_MESSAGES", "VIEW_CHANNEL"})
    alice.refuses_dms = True
    fake.world.remove(fake.world.messages[labbot.said(alice.dm)[-1]["id"]])
    await labbot.front.leave()

    assert CARRIES_ON in labbot.texts(bob.dm)[-1]


async def test_what_says_that_it_carries_on_is_not_written_on_by_this_process(
    labbot: Labbot, fake: Discord, alice: Person, bob: Person, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_module, "LEAVE_S", 0.05)
    await labbot.start()
    for who in (alice, bob):
        await labbot.story(who.dm, who.says(who.dm, "tell me a story"), "there was a dog || and a cat || and a mouse.")
    pause, paused = labbot.front.speaker.pause, list[str]()

    async def slowly(message: Any) -> None:
        if paused:  # the second of many: Discord takes five a second of a channel, fifty of all
            model._gates[0].set()  # the model goes on with the first of them
            with suppress(TimeoutError):
                await fake.until(lambda: "there was a dog" in labbot.texts(alice.dm)[-1], 1.0)
        await pause(message)
        paused.append(message.key)

    monkeypatch.setattr(labbot.front.speaker, "pause", slowly)
    await labbot.front.leave()

    left = [labbot.texts(who.dm)[-1] for who in (alice, bob)]

    assert len(paused) == 2
    assert [CARRIES_ON in text for text in left] == [True, True], left


# --- places


async def test_a_draft_that_is_begun_in_the_chat_of_a_voice_channel_can_be_worked_on_somewhere(
    labbot: Labbot, guild: Guild, bob: Person
) -> None:
    labbot.alone()
    voice = guild.channel("talk")
    await labbot.start()
    voice.kind = VOICE  # only now: the fake's voice channels have no bit rate, without which the library takes none
    await labbot.after(bob.slash(voice, "skill"))
    texts = [text for place in (voice, bob.dm, *labbot.fake.threads(voice)) for text in labbot.texts(place, bob)]

    labbot.fake.violations.clear()  # that a thread was tried there is none of its own
    assert any("draft" in text and "[Fill in]" in text for text in texts)


# --- nothing is lost


async def test_a_deletion_is_heard_though_somebody_is_forgotten_meanwhile(
    labbot: Labbot, fake: Discord, bob: Person, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    await labbot.start()
    said = await labbot.after(bob.says(bob.dm, "tell me a story"))
    await labbot.quiet()
    read = labbot.app.store.message

    async def slowly(*given: Any) -> Any:
        labbot.front.forget()  # what the end of anybody's /privacy forget does
        return await read(*given)

    monkeypatch.setattr(labbot.app.store, "message", slowly)
    await bob.deletes(said)
    await fake.until(lambda: labbot.front.counts.heard == 2, 2.0)


async def test_somebody_is_told_when_what_they_did_can_be_written_down_nowhere(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await labbot.start()
    away(labbot, monkeypatch)

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(labbot.front.ear.journal, "add", full)
    heard = await bob.slash(channel, "quota")
    await heard.acked.wait()
    await fake.until(lambda: heard.callback is not None and heard.callback["type"] != 5, 2.0)


def test_what_a_process_of_the_same_number_has_left_is_taken_over(tmp_path: Path) -> None:
    """In a container every process has the number of the one before."""
    heard = Heard("m1", 1.0, "2", "bob", "3", Said("Count the beans"))
    Journal(tmp_path, Heard).add(heard)

    assert Journal(tmp_path, Heard).take_over() == [heard]


async def test_an_answer_that_another_one_of_the_same_words_stands_before_is_posted_after_a_crash_all_the_same(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    await labbot.after(bob.slash(channel, "ask", {"question": "what is a skill?"}))
    before = len(labbot.said(channel))
    callback = fake.fail("POST", r"/interactions/.*", "503", times=10_000)
    post = fake.fail("POST", r"/channels/\d+/messages", "503", times=10_000)
    await bob.slash(channel, "ask", {"question": "what is a skill?"})
    await fake.until(lambda: callback.met >= 1 and labbot.holding("bot:outbox:discord"))
    await labbot.crash()
    callback.left = post.left = 0
    fake.clock += 300
    await labbot.start()

    assert (before, len(labbot.said(channel))) == (1, 2)


# --- one channel and the others


async def test_a_channel_that_discord_slows_down_does_not_stop_the_others(
    labbot: Labbot, fake: Discord, guild: Guild, channel: Channel, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    fault = fake.fail("POST", rf"/channels/{channel.id}/threads", "429", times=5, seconds=0.01)
    await bob.slash(channel, "skill")
    await fake.until(lambda: fault.met == 5)
    heard = await bob.slash(bob.dm, "quota")
    await fake.until(lambda: "no limit" in labbot.answer(heard), 2.0)


# --- completion


async def test_what_is_offered_for_an_option_is_never_cut_into_something_else(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, model: Model
) -> None:
    long = "llama-" + "x" * 120
    model.tell(f"lists small, {long}")
    await labbot.start()
    await labbot.after(bob.slash(channel, "model"))
    found = await bob.completes(channel, "model", {"model": "llama"}, "model")

    assert [one for one in found if one["value"] != long] == []


async def test_a_question_to_two_models_that_are_not_named_is_not_taken_for_their_names(
    labbot: Labbot, channel: Channel, bob: Person, model: Model
) -> None:
    model.tell("lists small, other")
    await labbot.start()
    heard = await labbot.after(bob.slash(channel, "compare", {"question": "platypus facts for children"}))

    assert heard.modal is not None or heard.original is not None
    assert "platypus" not in labbot.answer(heard)


# --- the memory is away


async def test_each_interaction_and_each_channel_hears_once_that_the_memory_is_away_and_the_channel_that_it_is_back(
    labbot: Labbot, fake: Discord, channel: Channel, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await labbot.start()
    away(labbot, monkeypatch)
    heard = [await bob.slash(channel, "quota"), await alice.slash(channel, "quota")]
    await fake.until(lambda: all("Redis" in labbot.answer(one) for one in heard))
    quiet = labbot.texts(channel)
    await bob.says(channel, "/quota", mention=True)
    await labbot.comes(channel, "Redis")
    told = labbot.texts(channel)
    monkeypatch.undo()
    await labbot.comes(channel, "back")

    assert (quiet, len(told), sum("back" in text for text in labbot.texts(channel))) == ([], 1, 1)


async def test_a_deletion_while_the_memory_is_away_is_heard_when_it_is_back_and_nobody_is_told(
    labbot: Labbot, fake: Discord, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await labbot.start()
    said = await labbot.after(bob.says(bob.dm, "what is a skill?"))
    await labbot.quiet()
    away(labbot, monkeypatch)
    await bob.deletes(said)
    await fake.until(lambda: labbot.front.ear.waiting == 1)
    monkeypatch.undo()
    await fake.until(lambda: labbot.front.counts.heard == 2)

    assert not any("away" in text for text in labbot.texts(bob.dm))


async def test_a_mistake_of_ours_about_one_event_keeps_nobody_else_from_being_heard(
    labbot: Labbot, fake: Discord, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await labbot.start()
    away(labbot, monkeypatch)
    await labbot.acked(bob.slash(bob.dm, "quota"))

    async def wrong(heard: object) -> None:
        raise KeyError("a mistake of ours")

    monkeypatch.setattr(labbot.front.ear, "event", wrong)
    await fake.until(lambda: labbot.front.ear.waiting == 0)
    monkeypatch.undo()
    heard = await labbot.after(bob.slash(bob.dm, "quota"))

    assert "questions" in labbot.answer(heard)
