"""Nothing is said twice or lost when a step after it fails: what this process has said it knows, what stays refused ends."""

import asyncio

import pytest

from bot.core.talk import Answer, direct
from bot.platforms.slack.posts import Posts
from bot.platforms.slack.render import Payload, answer
from bot.platforms.slack.threads import Room
from bot.rows import Message
from bot.serving import insist
from bot.store import Store
from pipeline.errors import Temporary
from tests.bot.slack.front import Labbot, button, labels, spoken
from tests.fakes.model import Model
from tests.fakes.slack.people import Person
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel

LONG = "\n\n".join(f"Paragraph {number} " + "word " * 150 for number in range(9)) + "\n\nTHE END"
KEY = "k" * 24


def message(labbot: Labbot, channel: Channel, text: str, *, key: str = KEY, to: str = "", event: str = "") -> Message:
    place = f"slack:{labbot.team.id}.{channel.id}"
    return Message(key, place, 1, labbot.now(), "", Answer(text, private=bool(to)), to=to, event=event)


async def shown(labbot: Labbot, said: Message) -> None:
    """Let the shell show a message, as often as it takes."""
    async with asyncio.timeout(10):
        await insist(lambda: labbot.app._show(said, again=False))


# --- what was posted


async def test_a_message_that_was_posted_while_the_memory_went_away_is_not_posted_again(
    labbot: Labbot, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    labbot.alone()
    await labbot.start()
    sent, away = Store.sent, [True]

    async def noted(self: Store, said: Message, address: str) -> None:
        if address and away:
            away.clear()
            raise Temporary("Redis is away")
        await sent(self, said, address)

    monkeypatch.setattr(Store, "sent", noted)
    await labbot.says(bob, bob.dm, "/quota")

    assert not away
    assert len(labbot.texts(bob.dm)) == 1


async def test_of_two_messages_the_first_is_not_posted_again_when_the_second_has_to_wait(
    labbot: Labbot, fake: Slack, channel: Channel
) -> None:
    await labbot.start()
    fake.fail("chat.postMessage", "slow", seconds=0)
    fake.fail("chat.postMessage", "service_unavailable", times=4)
    await shown(labbot, message(labbot, channel, LONG))

    assert ["Paragraph 0 " in text for text in labbot.texts(channel)] == [True, False]


async def test_a_key_that_is_posted_with_another_text_is_the_same_message_edited(labbot: Labbot, channel: Channel) -> None:
    await labbot.start()
    posts, room = labbot.front.speaker.posts, Room(labbot.team.id, channel.id)
    ids = {await posts.put(room, answer(Answer(text))[0], KEY) for text in ("one", "one", "two")}

    assert len(ids) == 1
    assert labbot.texts(channel) == ["two"]
    assert labbot.asked("chat.update") == 1


async def test_a_message_that_was_taken_away_is_posted_anew(labbot: Labbot, channel: Channel) -> None:
    await labbot.start()
    posts, room = labbot.front.speaker.posts, Room(labbot.team.id, channel.id)
    await posts.delete(room, await posts.put(room, answer(Answer("one"))[0], KEY))
    await posts.put(room, answer(Answer("one"))[0], KEY)

    assert labbot.texts(channel) == ["one"]


async def test_a_message_of_which_slack_could_not_tell_is_looked_for_before_it_is_posted_by_the_next_attempt(
    labbot: Labbot, fake: Slack, channel: Channel
) -> None:
    await labbot.start()
    fake.fail("chat.postMessage", "lost")
    fake.fail("conversations.history", "503", times=4)
    await shown(labbot, message(labbot, channel, "Only once."))

    assert labbot.texts(channel) == ["Only once."]
    assert labbot.asked("chat.postMessage") == 1


async def test_what_one_person_is_shown_is_shown_once_by_its_key(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    posts, room = labbot.front.speaker.posts, Room(labbot.team.id, channel.id)
    for _ in range(2):
        await posts.whisper(room, bob.id, answer(Answer("psst"))[0], KEY)

    assert labbot.private(channel, bob) == ["psst"]


async def test_two_presses_at_once_show_everybody_once(labbot: Labbot, fake: Slack, channel: Channel, bob: Person) -> None:
    await labbot.start()
    await labbot.lab(bob, channel, "quota")
    seen = labbot.seen(bob, channel)
    both = await asyncio.gather(*(labbot.acked(bob.presses(seen, button(seen, "Show everybody"))) for _ in range(2)))
    await fake.until(lambda: all(one.done.is_set() for one in both))
    await labbot.comes(channel, "no limit")
    await labbot.quiet()

    assert len(labbot.said(channel)) == 1


# --- what is refused


async def test_a_file_that_slack_does_not_take_holds_up_nothing(labbot: Labbot, fake: Slack, channel: Channel) -> None:
    await labbot.start()
    refused = fake.fail("upload", "413", times=100)
    await shown(labbot, message(labbot, channel, LONG * 6))

    assert refused.met == 1
    assert len(labbot.said(channel)) == 5


async def test_whoever_asked_is_told_once_why_three_messages_were_refused(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    await labbot.says(bob, bob.dm, "/quota")
    channel.archived = True
    labbot.front.ear._authors["m1"] = f"{labbot.team.id}.{bob.id}"
    for number in range(3):
        await shown(labbot, message(labbot, channel, "hello", key=f"key{number}", event="m1"))

    assert sum("archived" in text for text in labbot.texts(bob.dm)) == 1


# --- what one person sees


async def test_a_private_answer_of_two_messages_is_said_whole_in_direct_messages(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    await labbot.says(bob, bob.dm, "/quota")
    person, _ = await labbot.front.ear.person(f"{labbot.team.id}.{bob.id}", bob.name)
    await shown(labbot, message(labbot, channel, LONG, to=person))

    assert labbot.private(channel, bob)[-1].startswith("Paragraph 0 ")
    assert "THE END" in " ".join(labbot.texts(bob.dm))
    assert labbot.said(channel) == []
    assert (await labbot.front.threads.room(direct("slack", person))).channel == bob.dm.id


async def test_only_what_is_open_can_be_shown_to_everybody(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    offered = {}
    for command in ("quota", "help", "link", "nonsense"):
        await labbot.lab(bob, channel, command)
        offered[command] = "Show everybody" in labels(labbot.seen(bob, channel))

    assert offered == {"quota": True, "help": True, "link": False, "nonsense": False}


# --- streams


async def test_a_file_is_not_taken_for_a_stream_that_an_earlier_process_began(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    asking = await bob.says(channel, "hello")
    room = Room(labbot.team.id, channel.id, asking["ts"])
    await labbot.front.speaker.posts.share(room, [("qna.yaml", b"a: 1")], "a-file")
    place = f"slack:{room.team}.{room.channel}/{room.thread}"
    said = Message(KEY, place, 1, labbot.now(), "", Answer("The answer."), revision=1)
    await labbot.app._show(said, again=True)

    assert labbot.texts(channel, asking)[-1] == "The answer."
    assert sum(len(one.get("files") or ()) for one in labbot.said(channel, asking)) == 1


async def test_a_stream_whose_end_has_to_wait_ends_later_and_says_nothing_twice(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    words = [f"w{number:05}" for number in range(1700)]
    asking: list[dict[str, object]] = []

    async def ask() -> dict[str, object]:
        asking.append(await labbot.asks(bob, channel, "tell me a story"))
        return asking[0]

    await labbot.story(channel, ask(), " ".join(words))
    fake.fail("chat.stopStream", "slow", seconds=0)
    failed = fake.fail("chat.stopStream", "service_unavailable", times=4)
    model.tell("goes on")
    await fake.until(lambda: words[-1] in spoken(labbot, channel, asking[0]))
    await labbot.quiet()
    said = spoken(labbot, channel, asking[0])

    assert failed.met == 4
    assert max(said.count(word) for word in words) == 1


async def test_a_message_that_was_streamed_is_known_by_its_key(labbot: Labbot, channel: Channel) -> None:
    await labbot.start()
    speaker, room = labbot.front.speaker, Room(labbot.team.id, channel.id)
    other = Posts(speaker.wire, labbot.house.memory)
    ts = await other.put(room, Payload({"text": "begun", "blocks": [{"type": "markdown", "text": "begun"}]}), KEY)
    speaker.posts.know(room, KEY, ts)

    assert await speaker.posts.put(room, answer(Answer("whole"))[0], KEY) == ts
    assert labbot.texts(channel) == ["whole"]
