"""While the memory is away people are told so once, nothing that they say is lost, and all of it is answered later."""

import errno
from typing import Any

import pytest

from bot.unheard import Journal
from pipeline.errors import Temporary
from tests.bot.slack.front import Labbot
from tests.fakes.slack.people import Person
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel


def away(labbot: Labbot, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the memory is away."""

    async def refused(*_: Any, **__: Any) -> Any:
        raise Temporary("Redis is away")

    monkeypatch.setattr(labbot.house.memory, "do", refused)
    monkeypatch.setattr(labbot.house.memory, "all", refused)


@pytest.mark.usefixtures("mode")
async def test_while_the_memory_is_away_people_are_told_once_and_answered_when_it_is_back(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    labbot.alone()
    await labbot.start()
    asking = await labbot.asks(bob, channel, "what is a skill?")
    with monkeypatch.context() as broken:
        away(labbot, broken)
        for text in ("what is knowledge?", "who reviews my contribution?"):
            await bob.says(channel, text, thread=asking, mention=True)
        heard = await labbot.acked(bob.command(channel, "/lab", "quota"))
        await fake.until(lambda: _aways(labbot, channel) and labbot.private(channel, bob))
        assert labbot.front.ear.waiting
    await labbot.front.ear.idle()

    assert not heard.error
    assert _aways(labbot, channel) == 1
    assert len([text for text in labbot.texts(channel, asking) if "Source:" in text]) == 3
    assert "no limit" in labbot.private(channel, bob)[-1]


async def test_what_was_heard_while_the_memory_was_away_outlives_a_crash(
    labbot: Labbot, fake: Slack, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await labbot.start()
    await labbot.says(bob, bob.dm, "/quota")
    with monkeypatch.context() as broken:
        away(labbot, broken)
        asking = await bob.says(bob.dm, "/help")
        await fake.until(fake.heard[-1].acked.is_set)
        await labbot.crash()
    await labbot.start()
    await labbot.comes(bob.dm, "What I understand", asking)


async def test_where_the_disk_is_full_too_people_are_told_so_and_answered_when_the_memory_is_back(
    labbot: Labbot, fake: Slack, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    await labbot.start()
    await labbot.says(bob, bob.dm, "/quota")
    with monkeypatch.context() as broken:
        away(labbot, broken)
        broken.setattr(Journal, "add", full)
        asking = await bob.says(bob.dm, "/help")
        await fake.until(lambda: any("disk takes nothing" in text for text in labbot.texts(bob.dm)))
        said = [text for text in labbot.texts(bob.dm) if "disk takes nothing" in text]
    await labbot.comes(bob.dm, "What I understand", asking)

    assert len(said) == 1


async def test_what_follows_in_our_thread_while_the_memory_is_away_is_answered_without_a_mention_and_what_others_say_is_left(
    labbot: Labbot, fake: Slack, channel: Channel, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    labbot.alone()
    await labbot.start()
    asking = await labbot.asks(bob, channel, "what is a skill?")
    talk = await alice.says(channel, "who has seen a platypus?")
    await labbot.again()  # what it knows of threads is in the memory alone
    with monkeypatch.context() as broken:
        away(labbot, broken)
        await bob.says(channel, "what is knowledge?", thread=asking)
        await fake.until(fake.heard[-1].acked.is_set)
        await alice.says(channel, "I have seen a platypus", thread=talk)
        await fake.until(fake.heard[-1].acked.is_set)
        assert labbot.front.ear.waiting == 2
    await labbot.front.ear.idle()

    assert len([text for text in labbot.texts(channel, asking) if "Source:" in text]) == 2
    assert labbot.texts(channel, talk) == []
    assert labbot.holding("platypus", alice.id) == []
    assert _aways(labbot, channel) == 0


def _aways(labbot: Labbot, channel: Channel) -> int:
    return sum("(Redis) is away" in text for text in labbot.texts(channel))
