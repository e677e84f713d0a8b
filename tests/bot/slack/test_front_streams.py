"""Answers that grow: by Slack's streams, which die, and by edits where there are none."""

import pytest

from tests.bot.slack.front import Labbot, button, buttons
from tests.fakes.model import Model
from tests.fakes.slack.people import Person
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json
from tests.fakes.slack_view import text_of

WORDS = [f"word{number}" for number in range(60)]
CODE = "\n".join(f"line_{number} = {number}" for number in range(1200))


def spoken(labbot: Labbot, channel: Channel, thread: Json) -> str:
    """What the bot's messages of a thread say together, without their buttons."""
    found = [
        text_of({**one, "blocks": [b for b in one.get("blocks", []) if b["type"] not in ("actions", "context_actions")]})
        for one in labbot.said(channel, thread)
    ]
    return " ".join(" ".join(found).split())


async def asked(labbot: Labbot, who: Person, channel: Channel, question: str = "tell me a story about dogs") -> Json:
    return await labbot.after(who.says(channel, question, mention=True), times=2)


@pytest.mark.parametrize("how", ["absolute", "idle"])
async def test_twelve_minutes_of_an_answer_come_whole_through_streams_that_die_after_five(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, model: Model, how: str
) -> None:
    fake.streams_die = how
    await labbot.start()
    parts = [" ".join(WORDS[at : at + 5]) for at in range(0, 60, 5)]
    model.tell("says " + " || ".join(parts))
    asking = await asked(labbot, bob, channel)
    for part in parts:
        await fake.until(lambda part=part: part.rpartition(" ")[0] in spoken(labbot, channel, asking))
        fake.advance(60 if how == "absolute" else 301)
        model.tell("steps")
    await fake.until(lambda: WORDS[-1] in spoken(labbot, channel, asking))
    await labbot.quiet()

    assert spoken(labbot, channel, asking) == " ".join(WORDS)
    assert len(labbot.said(channel, asking)) > 1
    assert [bool(buttons(one)) for one in labbot.said(channel, asking)][-1]


@pytest.mark.parametrize("method", ["chat.startStream", "chat.appendStream", "chat.stopStream"])
@pytest.mark.parametrize("fault", ["reset", "lost", "503", "429", "message_not_in_streaming_state"])
async def test_whatever_happens_to_a_call_of_a_stream_nothing_is_lost_or_repeated(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, model: Model, method: str, fault: str
) -> None:
    await labbot.start()
    model.tell("says Once upon a time || there was a dog || that barked all night || long.")
    failed = fake.fail(method, fault, seconds=0)
    asking = await asked(labbot, bob, channel)
    for part in ("Once upon", "there was", "that barked"):
        await fake.until(lambda part=part: part in spoken(labbot, channel, asking))
        model.tell("steps")
    await fake.until(lambda: "long." in spoken(labbot, channel, asking))
    await labbot.quiet()

    assert spoken(labbot, channel, asking) == "Once upon a time there was a dog that barked all night long."
    assert failed.met == 1
    last = labbot.said(channel, asking)[-1]
    assert [one["label"] for one in buttons(last)] == ["Answer again", "👍", "👎"]


async def test_a_long_program_goes_on_in_further_messages_with_its_fence_opened_anew(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell(f"says Like this:\n```python\n{CODE}\n```\nThat is all.")
    asking = await asked(labbot, bob, channel)
    await fake.until(lambda: "That is all." in spoken(labbot, channel, asking))
    await labbot.quiet()
    texts = [one["text"] for one in labbot.said(channel, asking)]

    assert len(texts) > 1
    assert all(text.count("```") % 2 == 0 for text in texts)
    assert all(text.startswith("```python\n") for text in texts[1:])
    assert [line for text in texts for line in text.split("\n") if line.startswith("line_")] == CODE.split("\n")


async def test_slacks_own_stop_ends_an_answer_and_the_session_says_so(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell("says Once upon a time || never")
    asking = await asked(labbot, bob, channel)
    await fake.until(lambda: "Once upon" in spoken(labbot, channel, asking))
    await labbot.after(bob.stops(labbot.said(channel, asking)[-1]))
    await labbot.quiet()
    await fake.until(lambda: fake.session(channel, asking).status == "active")

    assert "never" not in spoken(labbot, channel, asking)


async def test_where_there_are_no_streams_an_answer_is_posted_and_edited(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    fake.fail("chat.startStream", "feature_disabled", times=100)
    model.tell("says Once upon a time || there was a dog.")
    asking = await asked(labbot, bob, channel)
    await fake.until(lambda: "Once upon" in spoken(labbot, channel, asking))
    model.tell("goes")
    await fake.until(lambda: "dog." in spoken(labbot, channel, asking))
    await labbot.quiet()

    assert len(labbot.said(channel, asking)) == 1
    assert spoken(labbot, channel, asking) == "Once upon a time there was a dog."


async def test_an_answer_that_is_asked_again_comes_below_and_the_session_is_no_longer_busy(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell("says Once upon a time.")
    asking = await asked(labbot, bob, channel)
    await labbot.quiet()
    model.tell("says There was a cat.")
    said = labbot.said(channel, asking)[-1]
    await labbot.after(bob.presses(said, button(said, "Answer again")))
    await labbot.quiet()

    assert [text_of(one).partition("\n")[0] for one in labbot.said(channel, asking)] == [
        "Once upon a time.",
        "There was a cat.",
    ]
    await fake.until(lambda: fake.session(channel, asking).status == "active")


async def test_a_thread_of_the_direct_messages_is_a_session_called_after_its_first_message(
    labbot: Labbot, fake: Slack, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell("says Once upon a time.")
    asking = await labbot.after(bob.says(bob.dm, "tell me a story about dogs"))
    await labbot.after(bob.says(bob.dm, "and another one", thread=asking))
    await labbot.quiet()
    await fake.until(lambda: fake.session(bob.dm, asking).status == "active")

    assert fake.session(bob.dm, asking).title == "tell me a story about dogs"
