"""What the bot may not do is named with the way out, to the one whom it concerns; what is private stays so."""

import pytest

from tests.bot.slack.front import Labbot, button, labels
from tests.fakes.slack.people import Person, Workspace
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel
from tests.fakes.slack_view import text_of


@pytest.mark.usefixtures("mode")
async def test_a_private_answer_is_seen_by_one_person_and_shown_to_all_by_a_button_once(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    await labbot.lab(bob, channel, "quota")
    seen = labbot.seen(bob, channel)
    alone = labbot.said(channel)
    for _ in range(2):
        heard = await labbot.acked(bob.presses(seen, button(seen, "Show everybody")))
        await fake.until(heard.done.is_set)
        await labbot.comes(channel, "no limit")
    await labbot.lab(bob, channel, "help")

    assert alone == []
    assert len(labbot.said(channel)) == 1
    assert "bob" in labbot.texts(channel)[0].casefold()
    assert "no limit" in labbot.texts(channel)[0]


async def test_an_answer_that_was_shared_calls_nobody(labbot: Labbot, fake: Slack, team: Workspace, channel: Channel) -> None:
    eve = team.user("<!channel>")
    await labbot.start()
    await labbot.lab(eve, channel, "quota")
    seen = labbot.seen(eve, channel)
    await labbot.acked(eve.presses(seen, button(seen, "Show everybody")))
    await labbot.comes(channel, "no limit")

    assert fake.mentions == []


async def test_what_is_private_in_direct_messages_is_an_ordinary_message(labbot: Labbot, bob: Person) -> None:
    await labbot.start()
    await labbot.says(bob, bob.dm, "/quota")

    assert "no limit" in labbot.texts(bob.dm)[0]
    assert labbot.private(bob.dm, bob) == []
    assert "Show everybody" not in labels(labbot.said(bob.dm)[0])


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize("command", ["skill", "ask what is a skill?"])
async def test_in_a_channel_without_the_bot_whoever_gives_a_command_is_told_how_to_invite_it(
    labbot: Labbot, team: Workspace, bob: Person, command: str
) -> None:
    closed = team.channel("closed", bot_is_member=False, members=(bob.id,), private=True)
    labbot.alone()
    await labbot.start()
    await labbot.lab(bob, closed, command)
    await labbot.comes(closed, "/invite", reader=bob)

    assert len(labbot.private(closed, bob)) == 1
    assert labbot.said(closed) == []


async def test_a_private_answer_in_a_channel_without_the_bot_comes_all_the_same(
    labbot: Labbot, team: Workspace, bob: Person
) -> None:
    closed = team.channel("closed", bot_is_member=False, members=(bob.id,), private=True)
    await labbot.start()
    await labbot.lab(bob, closed, "quota")

    assert any("no limit" in text for text in [*labbot.private(closed, bob), *labbot.texts(bob.dm)])


async def test_where_the_bot_was_thrown_out_what_one_person_asks_for_comes_directly_and_the_draft_goes_on_when_it_is_back(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    card = await labbot.draft(bob, channel)
    await bob.kicks_bot(channel)
    await labbot.presses(bob, card, "Preview")
    told = labbot.texts(bob.dm)
    await bob.invites_bot(channel)
    await labbot.says(bob, channel, "Greet people", card)

    assert any("qna.yaml" in text for text in told)
    assert "Greet people · draft" in text_of(labbot.card(channel, card))


async def test_an_archived_channel_holds_up_nothing_after_it_and_no_restart(
    labbot: Labbot, team: Workspace, channel: Channel, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    asking = await labbot.asks(bob, channel, "what is a skill?")
    channel.archived = True
    await labbot.says(bob, channel, "what is knowledge?", asking)
    waiting = labbot.holding("bot:outbox:slack")
    await labbot.again()
    await labbot.says(bob, bob.dm, "/quota")

    assert waiting == []
    assert any("archived" in text for text in labbot.texts(bob.dm))
    assert "no limit" in labbot.texts(bob.dm)[-1]


async def test_where_people_lead_is_told_to_the_one_who_asked_alone(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    card = await labbot.draft(bob, channel)
    ways = [text for text in labbot.private(channel, bob) if "goes on in its thread" in text]

    assert len(ways) == 1
    assert "thread_ts" not in card or card["thread_ts"] == card["ts"]


async def test_a_file_scope_that_is_missing_is_an_answer_and_no_silence(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    await labbot.lab(bob, channel, "skill greet people")
    await labbot.lab(bob, channel, "privacy export")
    told = await labbot.comes(channel, "labbot-export.json", reader=bob)
    fake.fail("files.getUploadURLExternal", "missing_scope", times=5)
    heard = await labbot.acked(bob.presses(told, button(told, "Whole: ")))
    await fake.until(heard.done.is_set)
    await labbot.comes(channel, "missing_scope", reader=bob)
