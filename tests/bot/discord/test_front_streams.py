"""Answers that grow: many at once within Discord's limits, and ones that one message has no room for."""

import asyncio

from tests.bot.discord.front import Labbot, button, created, labels
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel, Guild
from tests.fakes.model import Model

MANY = 20
CODE = "\n".join(f"line_{number} = {number}" for number in range(200))


async def test_twenty_answers_stream_at_once_and_discord_refuses_nothing(
    labbot: Labbot, fake: Discord, guild: Guild, bob: Person, model: Model
) -> None:
    fake.limits = True
    labbot.times = 1.0
    channels = [guild.channel(f"room-{number}") for number in range(MANY)]
    await labbot.start()
    for number in range(MANY):
        model.tell(f"says begin {number} || and more || the end of {number}")
    acts = [bob.slash(channel, "chat", {"question": "tell me a story"}) for channel in channels]
    await asyncio.gather(*(labbot.acked(act) for act in acts))
    await fake.until(lambda: all("begin" in " ".join(labbot.texts(one)) for one in channels))
    model.tell("goes")
    await fake.until(lambda: all("the end" in " ".join(labbot.texts(one)) for one in channels))
    await labbot.quiet()

    assert labbot.front.counts.limited == 0
    assert [one.path for one in fake.requests if one.status == 429] == []
    assert all(labels(labbot.said(one)[0]) == ["Answer again", "👍", "👎"] for one in channels)
    assert sorted(labbot.texts(one)[0].rpartition("\n")[0] for one in channels) == sorted(
        f"begin {number} and more the end of {number}" for number in range(MANY)
    )


async def test_a_long_answer_takes_several_messages_whose_fences_are_closed(labbot: Labbot, bob: Person, model: Model) -> None:
    await labbot.start()
    model.tell(f"says Like this:\n```python\n{CODE}\n```\nThat is all.")
    await labbot.after(bob.says(bob.dm, "write a program"))
    await labbot.comes(bob.dm, "That is all.")
    await labbot.quiet()
    contents = [one["content"] for one in labbot.said(bob.dm)]

    assert len(contents) > 1
    assert max(map(len, contents)) <= 2000
    assert all(one.count("```") % 2 == 0 for one in contents)
    assert contents[1].startswith("```python\n")
    assert [line for one in contents for line in one.split("\n") if line.startswith("line_")] == CODE.split("\n")
    assert [bool(one["components"]) for one in labbot.said(bob.dm)] == [False] * (len(contents) - 1) + [True]


async def test_an_answer_that_outgrows_its_message_goes_on_in_a_second_that_is_posted_once(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    first = " ".join(f"word{number}" for number in range(150))
    model.tell(f"says {first} || {first} || {first} || the end")
    await labbot.after(bob.slash(channel, "chat", {"question": "tell me a long story"}))
    await labbot.comes(channel, "word149")
    model.tell("goes")
    await labbot.comes(channel, "the end")
    await labbot.quiet()
    shown = labbot.said(channel)

    assert len(shown) == len(created(fake)) == 2
    assert " ".join(one["content"] for one in shown) == f"{first} {first} {first} the end"


async def test_an_answer_that_nobody_reads_whole_ends_in_a_file(labbot: Labbot, bob: Person, model: Model) -> None:
    await labbot.start()
    model.tell("says " + " ".join(f"word{number}" for number in range(2000)))
    await labbot.after(bob.says(bob.dm, "tell me everything"))
    await labbot.comes(bob.dm, "word1999")
    await labbot.quiet()
    shown = labbot.said(bob.dm)

    assert len(shown) == 5
    assert [one["filename"] for one in shown[-1]["attachments"]] == ["answer.md"]


async def test_an_answer_that_shrinks_when_it_is_asked_again_takes_its_further_messages_away(
    labbot: Labbot, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell("says " + " ".join(f"word{number}" for number in range(300)) + " || never")
    await labbot.after(bob.says(bob.dm, "tell me a story"))
    await labbot.comes(bob.dm, "word299")
    await labbot.crash()
    model.tell("says A short one.")
    await labbot.start()
    await labbot.comes(bob.dm, "A short one.")
    await labbot.quiet()

    assert [one["content"] for one in labbot.said(bob.dm)] == ["A short one."]


async def test_an_edit_that_fails_is_made_up_for_by_the_last_one(
    labbot: Labbot, fake: Discord, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell("says Once || upon a time")
    await labbot.after(bob.says(bob.dm, "tell me a story"))
    await labbot.comes(bob.dm, "Once")
    fault = fake.fail("PATCH", r"/channels/\d+/messages/\d+", "503", times=2)
    model.tell("goes")
    ended = await labbot.comes(bob.dm, "Once upon a time")
    await labbot.quiet()

    assert fault.met == 2
    assert labbot.text(ended).startswith("Once upon a time")


async def test_only_who_asked_can_stop_an_answer_in_a_channel(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell("says Once || upon a time")
    await labbot.after(bob.slash(channel, "chat", {"question": "tell me a story"}))
    begun = await labbot.comes(channel, "Once")
    await labbot.after(alice.presses(begun, button(begun, "Stop")))
    model.tell("goes")
    await labbot.comes(channel, "upon a time")

    assert "Das kann nur, wer gefragt hat." in labbot.texts(channel, alice)
    assert "Das kann nur, wer gefragt hat." not in labbot.texts(channel)
