"""Every way in: mentions, replies, direct messages, commands and their completion, the menu of a message."""

import pytest

from tests.bot.discord.front import Labbot, created, private
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel, Guild, Json
from tests.fakes.model import Model

SOURCE = "Source:"


async def asked(labbot: Labbot, who: Person, channel: Channel) -> Channel:
    """Let somebody ask in a channel, where there is no model; return the thread of their question."""
    labbot.alone()
    await labbot.start()
    said = await labbot.after(who.says(channel, "what is a skill?", mention=True))
    return labbot.fake.channel(said["id"])


async def chatted(labbot: Labbot, who: Person) -> Json:
    """Let somebody talk with the model in direct messages; return what they said when it is answered."""
    await labbot.start()
    said = await labbot.after(who.says(who.dm, "tell me a story"))
    await labbot.quiet()
    return said


async def test_a_mention_in_a_channel_is_answered_in_a_thread_of_its_message(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    thread = await asked(labbot, bob, channel)

    assert labbot.said(channel) == []
    assert SOURCE in labbot.texts(thread)[0]
    assert thread.name == "what is a skill?"


async def test_what_is_asked_in_the_thread_of_a_mention_is_answered_there(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    thread = await asked(labbot, bob, channel)
    await labbot.after(bob.says(thread, "who reviews my contribution?", mention=True))

    assert len(labbot.said(thread)) == 2
    assert fake.threads(channel) == [thread]


async def test_a_reply_to_what_the_bot_said_is_heard_without_a_mention(
    labbot: Labbot, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    await labbot.after(bob.slash(channel, "chat", {"question": "tell me a story"}))
    await labbot.quiet()
    answer = labbot.said(channel)[-1]
    await labbot.after(bob.says(channel, "and another", reply_to=answer))
    await labbot.quiet()

    assert "small says: and another (question 2)" in labbot.texts(channel)[-1]


async def test_a_direct_message_is_answered_where_it_was_sent(labbot: Labbot, fake: Discord, bob: Person) -> None:
    labbot.alone()
    await labbot.start()
    await labbot.after(bob.says(bob.dm, "what is a skill?"))

    assert SOURCE in labbot.texts(bob.dm)[0]
    assert all(one.channel is bob.dm for one in created(fake))


async def test_an_edit_of_a_question_to_the_model_is_answered_in_its_place(labbot: Labbot, bob: Person, model: Model) -> None:
    said = await chatted(labbot, bob)
    await labbot.after(bob.edits(said, "tell me two stories"))
    await labbot.comes(bob.dm, "tell me two stories (question 1)")


async def test_a_deleted_question_is_taken_out_of_the_conversation(labbot: Labbot, bob: Person, model: Model) -> None:
    said = await chatted(labbot, bob)
    await labbot.after(bob.deletes(said))
    await labbot.after(bob.says(bob.dm, "and another"))
    await labbot.comes(bob.dm, "and another (question 1)")


async def test_what_bots_say_is_not_answered(
    labbot: Labbot, fake: Discord, guild: Guild, channel: Channel, bob: Person
) -> None:
    other = fake.user("another-bot")
    guild.join(other)
    other.user.bot = True
    await labbot.start()
    await other.says(channel, "what is a skill?", mention=True)
    await labbot.after(bob.slash(channel, "quota"))

    assert labbot.front.counts.heard == 1


async def test_the_faq_is_asked_about_somebody_s_message_by_its_menu(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    said = await alice.says(channel, "what is a skill?")
    heard = await labbot.after(bob.message_command(channel, "Ask the FAQ about this", said))

    assert SOURCE in labbot.answer(heard)


async def test_a_slash_command_in_a_thread_is_answered_in_it(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    thread = await alice.opens_thread(channel, "lunch")
    await labbot.after(bob.slash(thread, "ask", {"question": "what is a skill?"}))

    assert SOURCE in labbot.texts(thread)[0]
    assert labbot.said(channel) == []


async def test_a_slash_command_in_a_draft_s_thread_is_about_that_draft(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    first, second = await labbot.draft(bob, channel), await labbot.draft(bob, channel)
    await labbot.after(bob.says(first, "Greet people", mention=True))
    await labbot.after(bob.says(second, "Count beans", mention=True))
    await labbot.after(bob.slash(first, "preview"))

    assert "Greet people · preview" in labbot.texts(first, bob)[-1]


async def test_a_draft_that_is_begun_in_a_thread_goes_on_in_one_of_the_channel(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    thread = await bob.opens_thread(channel, "lunch")
    await labbot.after(bob.slash(thread, "skill"))
    cards = [one for one in fake.threads(channel) if any("draft" in text for text in labbot.texts(one))]

    assert cards


@pytest.mark.parametrize(
    ("name", "option", "typed", "offered"),
    [
        ("place", "path", "ling", "linguistics"),
        ("draft", "draft", "", "DRAFT"),
        ("submit", "draft", "", "DRAFT"),
        ("model", "model", "gran", "granite"),
        ("compare", "other", "gran", "granite"),
        ("edit", "what", "ab", "about"),
    ],
)
async def test_options_of_commands_are_completed_from_what_is_known(
    labbot: Labbot, channel: Channel, bob: Person, model: Model, name: str, option: str, typed: str, offered: str
) -> None:
    model.tell("lists small, granite of small")
    await labbot.start()
    thread = await labbot.draft(bob, channel)
    await labbot.after(bob.slash(thread, "model"))
    draft = thread.name.rpartition(" ")[2]
    given = {"model": "small", option: typed} if name == "compare" else {option: typed}
    found = [one["value"] for one in await bob.completes(thread, name, given, option)]

    assert offered.replace("DRAFT", draft) in found
    assert len(found) <= 25


@pytest.mark.parametrize(
    ("given", "focused", "offered"),
    [
        ({"model": "small", "other": ""}, "other", ["granite"]),
        ({"other": "granite", "model": ""}, "model", ["small", "granite"]),
        ({"other": "granite", "model": "s"}, "model", ["small"]),
        ({"question": "what is a skill?", "model": "s"}, "model", ["small"]),
    ],
)
async def test_an_option_is_completed_by_what_stands_before_it_in_the_command_whatever_was_filled_in_first(
    labbot: Labbot, channel: Channel, bob: Person, model: Model, given: dict[str, str], focused: str, offered: list[str]
) -> None:
    model.tell("lists small, granite of small")
    await labbot.start()
    await labbot.after(bob.slash(channel, "model"))
    found = await bob.completes(channel, "compare", given, focused)

    assert [one["value"] for one in found] == offered


async def test_no_more_is_offered_than_discord_shows_and_nothing_longer(
    labbot: Labbot, channel: Channel, bob: Person, model: Model
) -> None:
    names = [f"model-{number:02}-{'x' * 120}" for number in range(40)]
    model.tell(f"lists {', '.join(names)}")
    await labbot.start()
    await labbot.after(bob.slash(channel, "model"))
    found = await bob.completes(channel, "model", {"model": "model"}, "model")

    assert len(found) <= 25
    assert all(0 < len(one["value"]) <= 100 for one in found)


async def test_completion_of_what_is_not_known_offers_nothing(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()

    assert await bob.completes(channel, "cancel", {"run": "xyz"}, "run") == []


async def test_a_command_that_is_paused_is_in_the_menu_and_says_so(
    labbot: Labbot, guild: Guild, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start(**{f"workspaces__{guild.id}__roles": "{operator: operator}"})
    await labbot.after(alice.slash(channel, "admin", {"act": "pause", "words": "drafts spring cleaning"}))
    await labbot.after(bob.slash(channel, "skill"))

    assert "spring cleaning" in labbot.texts(channel, bob)[-1]
    assert private(labbot.said(channel, bob)[-1])


async def test_every_slash_command_is_answered(
    labbot: Labbot, fake: Discord, guild: Guild, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    needed = {"ask": {"question": "what is a skill?"}, "chat": {"question": "hello"}, "delete": {"what": "1"}}
    needed |= {"move": {"what": "1", "to": "2"}, "invite": {"who": bob.id}, "admin": {"act": "pause"}, "more": {"count": "24"}}
    for name in [one["name"] for one in fake.world.commands if one["type"] == 1]:
        heard = await labbot.after(bob.slash(channel, name, needed.get(name, {})))

        assert heard.acked.is_set(), name
        assert heard.callback is not None
