"""Whatever is told twice, breaks off or crashes: each act is answered once, and an answer that had begun is completed."""

import pytest

from bot.core.talk import Answer
from bot.platforms.discord.render import answer
from tests.bot.discord.front import Labbot, button, created
from tests.bot.labbot import STORY
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel
from tests.fakes.model import Model


async def test_a_message_that_is_replayed_after_a_resume_is_answered_once(labbot: Labbot, fake: Discord, alice: Person) -> None:
    await labbot.start()
    await labbot.after(alice.says(alice.dm, "hello"))
    await fake.drop(replay=5)
    await fake.until(lambda: fake.resumed == 1 and labbot.front.counts.duplicates == 1)
    await labbot.after(alice.says(alice.dm, "/quota"))

    assert len(labbot.said(alice.dm)) == 2


@pytest.mark.parametrize("kind", ["message", "interaction"])
async def test_an_event_that_the_gateway_tells_twice_is_answered_once(
    labbot: Labbot, fake: Discord, channel: Channel, alice: Person, kind: str
) -> None:
    await labbot.start()
    fake.duplicate_next()
    act = alice.says(alice.dm, "/quota") if kind == "message" else alice.slash(channel, "quota")
    await labbot.after(act, times=2)

    assert labbot.front.counts.duplicates == 1
    assert len(created(fake)) == 1


async def test_an_event_that_is_told_again_after_a_restart_is_answered_once(
    labbot: Labbot, fake: Discord, alice: Person
) -> None:
    await labbot.start()
    fake.duplicate_next()
    await labbot.after(alice.says(alice.dm, "/quota"), times=2)
    await labbot.again()
    await labbot.after(alice.says(alice.dm, "/help"))

    assert len(created(fake)) == 2


async def test_a_crash_while_an_answer_streams_leaves_one_message_that_the_next_process_completes(
    labbot: Labbot, fake: Discord, alice: Person
) -> None:
    await labbot.start()
    begun = await labbot.story(alice.dm, alice.says(alice.dm, "tell me a story"))
    await labbot.told_anew(alice.dm)

    assert [one["id"] for one in labbot.said(alice.dm)] == [begun["id"]]
    assert len(created(fake)) == 1


async def test_a_crash_while_an_answer_of_two_messages_streams_leaves_no_third(
    labbot: Labbot, fake: Discord, alice: Person, model: Model
) -> None:
    await labbot.start()
    long = " ".join(f"word{number}" for number in range(350))
    model.tell(f"says {long} || end")
    await labbot.after(alice.says(alice.dm, "tell me a story"))
    await fake.until(lambda: len(labbot.said(alice.dm)) == 2)
    ids = [one["id"] for one in labbot.said(alice.dm)]
    await labbot.crash()
    model.tell(f"says {long} and the end.")
    await labbot.start()
    await labbot.comes(alice.dm, "and the end.")
    await labbot.quiet()

    assert [one["id"] for one in labbot.said(alice.dm)] == ids
    assert len(created(fake)) == 2
    assert " ".join(one["content"] for one in labbot.said(alice.dm)) == f"{long} and the end."


async def test_a_crash_while_the_answer_to_a_slash_command_streams_leaves_one_message_that_is_completed(
    labbot: Labbot, fake: Discord, channel: Channel, alice: Person
) -> None:
    await labbot.start()
    begun = await labbot.story(channel, alice.slash(channel, "chat", {"question": "tell me a story"}))
    await labbot.told_anew(channel)

    assert [one["id"] for one in labbot.said(channel)] == [begun["id"]]
    assert len(created(fake)) == 1


async def test_a_crash_before_anything_was_said_to_a_slash_command_leaves_one_answer(
    labbot: Labbot, fake: Discord, channel: Channel, alice: Person
) -> None:
    await labbot.start()
    fake.fail("POST", r"/interactions/.*", "slow", seconds=30)
    await alice.slash(channel, "ask", {"question": "what is a skill?"})
    await fake.until(lambda: labbot.asked("POST", "/callback"))
    await labbot.again()
    await fake.until(lambda: created(fake))
    await labbot.quiet()

    assert len(created(fake)) == 1
    assert len(labbot.said(channel)) == 1


async def test_stop_ends_the_question_to_the_model_and_the_message_says_so(
    labbot: Labbot, fake: Discord, alice: Person, model: Model
) -> None:
    await labbot.start()
    begun = await labbot.story(alice.dm, alice.says(alice.dm, "tell me a story"))
    await labbot.after(alice.presses(begun, button(begun, "Stop")))
    ended = await labbot.comes(alice.dm, "(Stopped.)")
    asked = model.to("/v1/chat/completions")[-1]
    await asked.gone.wait()

    assert ended["id"] == begun["id"]
    assert labbot.texts(alice.dm) == [f"{STORY}\n\n(Stopped.)\n[Answer again]"]


async def test_a_message_whose_posting_was_not_noted_is_brought_up_to_date_and_not_posted_again(
    labbot: Labbot, fake: Discord, channel: Channel
) -> None:
    await labbot.start()
    posts = labbot.front.speaker.posts
    first = await posts.put(channel.id, answer(Answer("as it stood"))[0], "the-same-nonce")
    again = await posts.put(channel.id, answer(Answer("as it stands"))[0], "the-same-nonce")

    assert first == again
    assert labbot.texts(channel) == ["as it stands"]
    assert len(created(fake)) == 1
