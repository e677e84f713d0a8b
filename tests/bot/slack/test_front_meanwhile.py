"""What is seen and heard while an answer is being written."""

import pytest

from tests.bot.slack.front import Labbot, buttons
from tests.fakes.model import Model
from tests.fakes.slack.people import Person
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that pauses has paused at once."""
    monkeypatch.setattr("bot.platforms.slack.streams.PAUSE_S", 0.01)


async def test_what_is_typed_in_a_thread_while_the_first_answer_there_is_written_needs_no_name(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell("says Once upon a time || there was a dog.")
    asking = await labbot.after(bob.says(channel, "tell me a story about dogs", mention=True), times=2)
    await labbot.comes(channel, "Once upon", asking)
    await labbot.after(bob.says(channel, "and then?", thread=asking))
    model.tell("goes on")

    await labbot.comes(channel, "there was a dog.", asking)
    await labbot.comes(channel, "and then? (question 2)", asking)


async def test_the_last_word_before_a_pause_is_shown(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell("says Red is || a warm colour.")
    asking = await labbot.after(bob.says(channel, "tell me about the colour of my dog", mention=True), times=2)

    await fake.until(lambda: labbot.texts(channel, asking) == ["Red is"])
    model.tell("goes on")
    await labbot.comes(channel, "Red is a warm colour.", asking)
    assert len(labbot.said(channel, asking)) == 1


async def test_a_place_in_the_queue_is_told_with_a_button_to_stop_and_gives_way_to_the_answer(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell("busy 2")
    asking = await labbot.after(bob.says(channel, "tell me a story about dogs", mention=True), times=2)
    told = await labbot.comes(channel, "this is 2nd in line.", asking)
    model.tell("busy 1")
    await labbot.comes(channel, "this is 1st in line.", asking)
    model.tell("busy 0")
    await labbot.comes(channel, "[Answer again]", asking)

    assert [one["label"] for one in buttons(told)] == ["Stop"]
    said = labbot.said(channel, asking)
    assert [one["ts"] for one in said] == [told["ts"]]
    assert "in line" not in labbot.texts(channel, asking)[0]
