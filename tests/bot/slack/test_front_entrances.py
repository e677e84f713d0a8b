"""Every way in: mentions, threads, direct messages, commands, the menu of a message."""

import pytest

from bot.core.commands import COMMANDS
from tests.bot.slack.front import Labbot, button, fields, labels
from tests.fakes.model import Model
from tests.fakes.slack.people import Person, Workspace
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json
from tests.fakes.slack_view import text_of

SOURCE = "Source:"
NEEDED = {"ask": "what is a skill?", "chat": "hello", "delete": "1", "move": "1 2", "admin": "pause", "file": "qna.yaml"}


async def asked(labbot: Labbot, who: Person, channel: Channel) -> Json:
    """Let somebody ask in a channel, where there is no model; return their question."""
    labbot.alone()
    await labbot.start()
    return await labbot.asks(who, channel, "what is a skill?")


# --- channels


@pytest.mark.usefixtures("mode")
async def test_a_mention_in_a_channel_is_answered_in_a_thread_of_its_message(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    asking = await asked(labbot, bob, channel)

    assert [one["thread_ts"] for one in labbot.said(channel)] == [asking["ts"]]
    assert SOURCE in labbot.texts(channel)[0]


async def test_a_mention_in_a_private_channel_is_answered_too(labbot: Labbot, team: Workspace, bob: Person) -> None:
    closed = team.channel("closed", private=True, members=(bob.id,))
    await asked(labbot, bob, closed)

    assert SOURCE in labbot.texts(closed)[0]


@pytest.mark.usefixtures("mode")
async def test_what_is_said_in_the_thread_of_a_mention_needs_no_second_one(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    asking = await asked(labbot, bob, channel)
    await labbot.says(bob, channel, "who reviews my contribution?", asking)
    await labbot.again()
    await labbot.says(bob, channel, "what is knowledge?", asking)

    assert [one["thread_ts"] for one in labbot.said(channel)] == [asking["ts"]] * 3


async def test_what_others_say_in_a_channel_or_in_threads_of_their_own_is_left_alone(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start()
    lunch = await bob.says(channel, "what is a skill?")
    await alice.says(channel, "what is knowledge?", thread=lunch)
    await labbot.lab(bob, channel, "quota")

    assert labbot.front.counts.heard == 1
    assert labbot.said(channel) == []


async def test_a_mention_in_somebody_s_thread_is_answered_there_and_makes_it_ours(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    lunch = await bob.says(channel, "lunch?")
    await labbot.asks(alice, channel, "what is a skill?", lunch)
    await labbot.says(bob, channel, "what is knowledge?", lunch)

    assert [one["thread_ts"] for one in labbot.said(channel)] == [lunch["ts"]] * 2


async def test_what_bots_say_is_not_answered(
    labbot: Labbot, fake: Slack, team: Workspace, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    other = {"user": team.account("other", "en-US", bot=True).id, "bot_id": "B0OTHER", "subtype": "bot_message"}
    fake.world.post(channel, {"text": f"<@{team.bot_user}> what is a skill?"} | other)
    await labbot.lab(bob, channel, "quota")

    assert labbot.front.counts.heard == 1


# --- direct messages


@pytest.mark.usefixtures("mode")
async def test_each_direct_message_begins_a_thread_and_is_answered_in_it(labbot: Labbot, bob: Person) -> None:
    labbot.alone()
    await labbot.start()
    first = await labbot.says(bob, bob.dm, "what is a skill?")
    second = await labbot.says(bob, bob.dm, "what is knowledge?")
    await labbot.says(bob, bob.dm, "who reviews my contribution?", first)

    assert [one["thread_ts"] for one in labbot.said(bob.dm)] == [first["ts"], second["ts"], first["ts"]]


async def test_two_threads_of_direct_messages_are_two_conversations_with_the_model(labbot: Labbot, bob: Person) -> None:
    await labbot.start()
    first = await labbot.says(bob, bob.dm, "tell me a story")
    await labbot.quiet()
    second = await labbot.says(bob, bob.dm, "tell me another")
    await labbot.comes(bob.dm, "tell me another (question 1)", second)
    await labbot.says(bob, bob.dm, "and then?", first)
    await labbot.comes(bob.dm, "and then? (question 2)", first)


async def test_an_edit_of_a_question_to_the_model_is_answered_anew(labbot: Labbot, bob: Person) -> None:
    await labbot.start()
    said = await labbot.says(bob, bob.dm, "tell me a story")
    await labbot.quiet()
    await labbot.after(bob.edits(said, "tell me two stories"))
    await labbot.comes(bob.dm, "tell me two stories (question 1)", said)


async def test_a_deleted_question_is_taken_out_of_the_conversation(labbot: Labbot, bob: Person) -> None:
    await labbot.start()
    first = await labbot.says(bob, bob.dm, "tell me a story")
    await labbot.quiet()
    second = await labbot.says(bob, bob.dm, "tell me of a platypus", first)
    await labbot.quiet()
    await labbot.after(bob.deletes(second))
    await labbot.says(bob, bob.dm, "and another", first)
    await labbot.comes(bob.dm, "and another (question 2)")


async def test_a_deletion_that_concerns_nobody_is_not_heard(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    await bob.deletes(await bob.says(channel, "lunch?"))
    await labbot.lab(bob, channel, "quota")

    assert labbot.front.counts.heard == 1


# --- commands


async def test_every_command_is_understood(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    for name in COMMANDS:
        heard = await labbot.lab(bob, channel, f"{name} {NEEDED.get(name, '')}".strip())

        assert not heard.error, name
        for view in labbot.fake.views(bob):
            await bob.closes(view)
    told = [*labbot.private(channel, bob), *labbot.texts(channel)]

    assert not any("I do not know" in text for text in told)


async def test_help_lists_every_command_that_anybody_may_give_and_lab_alone_is_help(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    await labbot.lab(bob, channel)
    await labbot.lab(bob, channel, "help")
    alone, asked_for = labbot.private(channel, bob)
    others = {name for name, spec in COMMANDS.items() if spec.operator or spec.triager}
    missing = [name for name in COMMANDS if name not in others and f"/{name}" not in asked_for]

    assert alone == asked_for
    assert [name for name in missing if name != "help"] == []
    assert "/lab" in asked_for


async def test_an_answer_to_a_command_in_a_channel_says_who_asked_what(
    labbot: Labbot, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell("says A bark, <!channel>.")
    await labbot.lab(bob, channel, "chat write a haiku about <dogs> & @channel")
    await labbot.quiet()
    said = labbot.said(channel)

    assert [text_of(one).partition("\n")[0] for one in said] == ["bob: /chat write a haiku about <dogs> & @channel"]
    assert "A bark" in text_of(said[0])
    assert labbot.fake.mentions == []


async def test_a_command_that_nobody_knows_is_told_so_alone(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    await labbot.lab(bob, channel, "dance")

    assert labbot.said(channel) == []
    assert len(labbot.private(channel, bob)) == 1


async def test_a_command_in_direct_messages_is_answered_there(labbot: Labbot, bob: Person) -> None:
    await labbot.start()
    await labbot.lab(bob, bob.dm, "quota")

    assert "no limit" in "".join([*labbot.texts(bob.dm), *labbot.private(bob.dm, bob)])


async def test_a_command_may_be_typed_after_a_mention_since_slack_takes_none_in_threads(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    card = await labbot.draft(bob, channel)
    await labbot.asks(bob, channel, "/lab edit about", card)
    offered = labbot.seen(bob, channel)
    opened = await labbot.acked(bob.presses(offered, button(offered, "Fill in")))
    await labbot.fake.until(lambda: opened.view)
    await labbot.fills(bob, opened.view or {}, {"description": "Greet people"})

    assert labbot.card(channel, card)["text"].startswith("Greet people")


async def test_a_command_that_is_paused_says_so(
    labbot: Labbot, team: Workspace, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start(**{f"workspaces__{team.id}__roles": f"{{{alice.id}: operator}}"})
    await labbot.lab(alice, channel, "admin pause drafts spring cleaning")
    await labbot.lab(bob, channel, "skill")

    assert "spring cleaning" in labbot.private(channel, bob)[-1]


# --- a message's menu


@pytest.mark.usefixtures("mode")
async def test_the_faq_is_asked_about_somebody_s_message_by_its_menu(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    said = await alice.says(channel, "what is a skill?")
    await labbot.after(bob.shortcut("ask", said))

    assert any(SOURCE in text for text in [*labbot.texts(channel), *labbot.private(channel, bob)])


async def test_a_skill_is_made_from_somebody_s_message_by_its_menu(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start()
    said = await alice.says(channel, "Sort beans by colour")
    await labbot.after(bob.shortcut("skill", said))
    yes = next(one for one in labbot.said(channel, reader=bob) if any(label.startswith("Yes: ") for label in labels(one)))

    assert "Yes: Sort beans by colour" in labels(yes)


async def test_a_dialog_of_a_command_is_filled_and_sent(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    heard = await labbot.lab(bob, channel, "upload")
    await labbot.fake.until(lambda: (heard.view or {}).get("submit"))

    assert "file" in fields(heard.view or {})
