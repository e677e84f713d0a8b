"""The one answer to an interaction, where the process that began it died on the way: given once, by the next one."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import discord
import pytest

from bot.acks import Ack, Acks
from bot.core.talk import Answer, Dialog, Field
from bot.counts import Counts
from bot.platforms.discord import render
from bot.platforms.discord import wire as wire_module
from bot.platforms.discord.answering import Answering
from bot.platforms.discord.budget import Budget
from bot.platforms.discord.wire import Wire
from pipeline.errors import Temporary
from pipeline.memory import Memory
from tests.bot.discord.front import Labbot
from tests.fakes.discord.asking import Asking
from tests.fakes.discord.faults import Kind
from tests.fakes.discord.interactions import Interaction
from tests.fakes.discord.limits import walk
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel

HELLO = render.answer(Answer("Hello."))[0]
DONE = render.answer(Answer("Done."))[0]
SIGN = render.dialog(Dialog("Sign off", "signed|d1", (Field("name", "Your name"),), "Send"))
WAIT = {"type": 5, "data": {"flags": 64}}

After = Callable[..., Awaitable[Answering]]


@pytest.fixture
async def asked(fake: Discord, channel: Channel, alice: Person) -> Interaction:
    """A command that a process heard which is gone."""
    return await alice.slash(channel, "skill")


@pytest.fixture
async def after(fake: Discord, memory: Memory, asked: Interaction) -> AsyncIterator[After]:
    """The next process, which finds the interaction noted as it is told."""
    wires: list[Wire] = []
    with fake.patched():
        made = discord.Client(intents=discord.Intents.none())
        await made.login(fake.token)

        async def begin(state: str, by: str = "", *, heard: bool = True) -> Answering:
            acks = Acks(memory, "discord")
            kind, at = "command", time.time()
            known = (f"i{asked.id}", asked.id, asked.token, asked.user.id, asked.channel.id, kind, at)
            await acks.keep(Ack(*known, state=state, by=by))  # type: ignore[arg-type]
            if heard:
                await memory.do("SET", f"bot:inbox:discord:i{asked.id}", "decided", "EX", 60)
            wires.append(Wire(made.http, Budget(times=1000), Counts("discord")))
            return Answering(wires[-1], acks, wires[-1].counts, lambda: fake.application_id, time.time)

        yield begin
        for wire in wires:
            await wire.close()
        await made.close()


async def replied(answering: Answering, asked: Interaction, *, private: bool = False) -> str:
    one = await answering.of(f"i{asked.id}")
    assert one is not None
    return await answering.reply(one, "k1", HELLO, private=private)


def said(fake: Discord, asked: Interaction) -> list[str]:
    return [one.json["content"] for one in fake.world.messages.values() if one.author == fake.bot.id]


async def send(ask: Asking, asked: Interaction, body: object) -> None:
    assert await ask("POST", f"/interactions/{asked.id}/{asked.token}/callback", body) == (204, None)


async def test_an_answer_that_was_begun_and_never_sent_is_sent(after: After, asked: Interaction, fake: Discord) -> None:
    address = await replied(await after("answering", "k1"), asked)

    assert said(fake, asked) == ["Hello."]
    assert asked.said is not None and address == f"{asked.channel.id}/{asked.said.id}"


@pytest.mark.parametrize("state", ["answering", "answered"])
async def test_an_answer_that_was_sent_and_whose_place_was_not_noted_stands(
    after: After, asked: Interaction, fake: Discord, ask: Asking, state: str
) -> None:
    await send(ask, asked, {"type": 4, "data": HELLO.json})

    address = await replied(await after(state, "k1"), asked)

    assert said(fake, asked) == ["Hello."]
    assert asked.said is not None and address == f"{asked.channel.id}/{asked.said.id}"


@pytest.mark.parametrize("state", ["answering", "answered"])
async def test_a_dialog_that_was_opened_is_not_offered_again(
    after: After, asked: Interaction, fake: Discord, ask: Asking, state: str
) -> None:
    await send(ask, asked, {"type": 9, "data": SIGN})
    answering = await after(state, "k1")
    one = await answering.of(f"i{asked.id}")

    assert one is not None and await answering.dialog(one, "k1", SIGN)
    assert said(fake, asked) == []


async def test_a_dialog_whose_answer_got_lost_on_the_way_is_open(after: After, asked: Interaction, fake: Discord) -> None:
    answering = await after("open")
    one = await answering.of(f"i{asked.id}")
    lost = fake.fail("POST", "/interactions/.*", "lost")

    assert one is not None and await answering.dialog(one, "k1", SIGN)
    assert lost.met == 1 and asked.modal is not None


@pytest.mark.parametrize(("state", "by"), [("open", ""), ("deferred", ""), ("used", "k1")])
async def test_what_one_person_is_told_takes_the_place_of_the_note_to_wait_noted_or_not(
    after: After, asked: Interaction, fake: Discord, ask: Asking, state: str, by: str
) -> None:
    await send(ask, asked, WAIT)

    address = await replied(await after(state, by), asked, private=True)

    assert (said(fake, asked), address) == (["Hello."], f"@i{asked.id}")


async def test_what_everybody_is_told_is_not_said_in_the_note_to_wait_which_goes_away(
    after: After, asked: Interaction, fake: Discord, ask: Asking
) -> None:
    await send(ask, asked, WAIT)
    answering = await after("open")

    assert await replied(answering, asked) == ""
    await answering.over(f"i{asked.id}", lambda: DONE)

    assert said(fake, asked) == []


@pytest.mark.parametrize("state", ["open", "answering"])
async def test_what_was_heard_and_led_to_nothing_to_say_is_answered_by_the_next_process(
    after: After, asked: Interaction, fake: Discord, state: str
) -> None:
    await (await after(state)).tidy(lambda locale: DONE)

    assert said(fake, asked) == ["Done."]


async def test_what_was_not_heard_gets_no_answer_so_that_it_is_done_again(
    after: After, asked: Interaction, fake: Discord, ask: Asking
) -> None:
    await (await after("open", heard=False)).tidy(lambda locale: DONE)

    assert not asked.acked.is_set()


@pytest.mark.parametrize("state", ["open", "deferred"])
async def test_a_note_to_wait_goes_away_when_what_led_to_it_was_not_heard(
    after: After, asked: Interaction, fake: Discord, ask: Asking, state: str
) -> None:
    await send(ask, asked, WAIT)

    await (await after(state, heard=False)).tidy(lambda locale: DONE)

    assert said(fake, asked) == []


async def test_tidying_leaves_alone_what_this_process_hears_meanwhile(
    after: After, asked: Interaction, memory: Memory, fake: Discord
) -> None:
    answering = await after("open")
    ack = await answering.acks.read(f"i{asked.id}")
    assert ack is not None
    one = answering.begin(ack)

    await answering.tidy(lambda locale: DONE)

    assert not asked.acked.is_set()
    answering.end(one)


async def test_an_interaction_that_is_told_again_keeps_the_answer_that_it_has(
    after: After, asked: Interaction, fake: Discord
) -> None:
    answering = await after("answering", "k1")
    await replied(answering, asked)
    ack = await answering.acks.read(f"i{asked.id}")
    assert ack is not None
    await answering.over(ack.event, lambda: DONE)

    one = answering.begin(replace(ack, state="open", by=""))
    await answering.note(one)

    assert await answering.reply(one, "k2", DONE, private=False) == ""
    assert said(fake, asked) == ["Hello."]
    assert await answering.acks.read(ack.event) == ack


async def test_an_interaction_that_is_told_again_while_it_is_answered_goes_on(after: After, asked: Interaction) -> None:
    answering = await after("open")
    ack = await answering.acks.read(f"i{asked.id}")
    assert ack is not None
    one = answering.begin(ack)

    assert answering.begin(ack) is one
    answering.end(one)


async def test_a_note_to_wait_goes_away_once_discord_is_there_again(
    after: After, asked: Interaction, fake: Discord, ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(ask, asked, WAIT)
    answering = await after("deferred")
    await answering.of(f"i{asked.id}")
    monkeypatch.setattr(wire_module, "WAITS_S", (0.0, 0.0, 0.0))
    away = fake.fail("DELETE", "/webhooks/.*", "503", times=4)

    with pytest.raises(Temporary):
        await answering.over(f"i{asked.id}", lambda: DONE)
    await answering.over(f"i{asked.id}", lambda: DONE)

    assert (said(fake, asked), away.met) == ([], 4)


@pytest.mark.parametrize("kind", ["502", "503", "reset", "lost"])
async def test_an_answer_that_fails_on_the_way_is_sent_again_by_us_without_the_seconds_that_the_library_waits(
    after: After, asked: Interaction, fake: Discord, kind: Kind
) -> None:
    answering = await after("open")
    fake.fail("POST", "/interactions/.*", kind)

    await replied(answering, asked)

    assert said(fake, asked) == ["Hello."]
    assert answering.counts.retried == 1


async def test_the_button_of_a_dialog_opens_it_however_busy_labbot_is_and_nothing_of_it_is_kept(
    labbot: Labbot, fake: Discord, channel: Channel, alice: Person
) -> None:
    await labbot.start()
    labbot.front.answering.defer_s = 0.0
    await labbot.after(alice.slash(channel, "upload"))
    offer = labbot.said(channel, alice)[-1]
    (form,) = (one["custom_id"] for _, one in walk(offer["components"]) if one["type"] == 2)

    opened = await labbot.acked(alice.presses(offer, form))

    assert opened.modal is not None
    await fake.until(lambda: not labbot.front.answering._open)
