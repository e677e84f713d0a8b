"""What people may do, what is kept of them, the language that they are spoken to in, and whom the bot may call."""

import json

from bot.core.commands import COMMANDS
from tests.bot.discord.front import Labbot, button, created, labels, private
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel, Guild
from tests.fakes.model import Model

NOT_EMBEDDED = 1 << 2


# --- quotas


async def test_a_quota_is_told_and_what_is_beyond_it_is_refused(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start(roles__everyone__quotas="{draft: 2/day}", roles__everyone__cooldowns_s="{}")
    await labbot.draft(bob, channel)
    second = await labbot.draft(bob, channel)
    await labbot.after(bob.slash(channel, "quota"))
    await labbot.after(bob.slash(channel, "skill"))

    assert any("(That was the last one for now.)" in text for text in labbot.texts(second))
    told, refused = labbot.texts(channel, bob)[-2:]
    assert "drafts: 0" in told
    assert "That is as often as it may be done for now." in refused
    assert len(labbot.fake.threads(channel)) == 2


async def test_a_role_of_the_guild_has_its_own_quota(
    labbot: Labbot, guild: Guild, channel: Channel, alice: Person, bob: Person
) -> None:
    roles = {f"workspaces__{guild.id}__roles": "{operator: triager}"}
    await labbot.start(roles__everyone__quotas="{draft: 0/day}", roles__everyone__cooldowns_s="{}", **roles)
    await labbot.after(alice.slash(channel, "skill"))
    await labbot.after(bob.slash(channel, "skill"))

    assert len(labbot.fake.threads(channel)) == 1
    assert "That is as often as it may be done" in labbot.texts(channel, bob)[-1]


async def test_a_refusal_is_for_the_one_who_is_refused(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start(roles__everyone__quotas="{draft: 0/day}")
    await labbot.after(bob.slash(channel, "skill"))

    assert labbot.texts(channel) == []
    assert private(labbot.said(channel, bob)[-1])


# --- what is kept


async def _talks(labbot: Labbot, channel: Channel, who: Person, model: Model) -> None:
    """Do a bit of everything, always with the word platypus in it."""
    await labbot.after(who.slash(channel, "ask", {"question": "what is a skill for a platypus?"}))
    await labbot.quiet()
    thread = await labbot.draft(who, channel)
    await labbot.after(who.says(thread, "Sort the platypus sightings", mention=True))
    await labbot.after(who.says(thread, "question: platypus? answer: on Monday", mention=True))
    await labbot.after(who.slash(channel, "chat", {"question": "sing of a platypus"}))
    await labbot.quiet()
    opened = await labbot.acked(who.slash(thread, "edit", {"what": "about"}))
    await labbot.after(who.submits(opened, {"description": "Sort all platypus sightings"}))
    await labbot.after(who.says(who.dm, "/skill platypus counting"))


async def test_after_privacy_forget_redis_holds_neither_the_words_nor_the_discord_id_of_a_person(
    labbot: Labbot, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    await _talks(labbot, channel, bob, model)
    assert labbot.holding(bob.id, "platypus")
    await labbot.after(bob.slash(channel, "privacy", {"act": "forget"}))
    sure = labbot.said(channel, bob)[-1]
    await labbot.presses(bob, sure, "Forget everything")

    assert any("It is done" in text for text in [*labbot.texts(channel, bob), *labbot.texts(bob.dm, bob)])
    assert labbot.holding("platypus", "Monday") == []
    assert labbot.holding(bob.id, bob.dm.id) == []


async def test_somebody_who_was_forgotten_comes_back_as_somebody_new(labbot: Labbot, bob: Person) -> None:
    await labbot.start()
    await labbot.after(bob.says(bob.dm, "/skill platypus counting"))
    await labbot.after(bob.says(bob.dm, "/privacy forget"))
    await labbot.presses(bob, labbot.said(bob.dm, bob)[-1], "Forget everything")
    await labbot.after(bob.says(bob.dm, "/draft"))
    person = await labbot.house.memory.do("GET", f"bot:alias:discord:discord:{bob.id}")

    assert "None yet." in labbot.texts(bob.dm, bob)[-1]
    assert await labbot.house.store.names([person.decode()]) == {person.decode(): "bob"}


async def test_privacy_export_brings_what_is_kept_to_the_person_alone(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    await _talks(labbot, channel, bob, model)
    await labbot.after(bob.slash(channel, "privacy", {"act": "export"}))
    told = labbot.said(channel, bob)[-1]
    found = json.loads(fake.file(told["attachments"][0]).content)

    assert private(told)
    assert found["known as"] == [f"discord:discord:{bob.id}"]
    assert "Sort all platypus sightings" in [one["answers"].get("about.description") for one in found["drafts"]]
    assert [one["question"] for one in found["questions to the model"]] == ["sing of a platypus"]
    assert found["questions"]


# --- languages


async def test_commands_are_sent_with_their_german_names_and_descriptions(labbot: Labbot, fake: Discord) -> None:
    await labbot.start()
    slash = {one["name"]: one for one in fake.world.commands if one["type"] == 1}
    of_messages = [one for one in fake.world.commands if one["type"] == 3]

    assert set(slash) == set(COMMANDS)
    assert all(one["description_localizations"]["de"] != one["description"] for one in slash.values())
    assert slash["ask"]["name_localizations"]["de"] == "frage"
    assert all(option["description_localizations"]["de"] for one in slash.values() for option in one.get("options") or ())
    assert [one["name"] for one in of_messages] == ["Ask the FAQ about this", "Make a skill from this"]
    assert all(one["name_localizations"]["de"] for one in of_messages)


async def test_interactions_are_answered_in_the_language_of_the_one_who_acts(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start()
    await labbot.after(alice.slash(channel, "quota"))
    await labbot.after(bob.slash(channel, "quota"))
    german, english = labbot.said(channel, alice)[-1], labbot.said(channel, bob)[-1]

    assert "unbegrenzt" in labbot.text(german)
    assert "no limit" in labbot.text(english)


async def test_whoever_was_heard_in_german_once_is_answered_in_german_where_no_language_is_told(
    labbot: Labbot, channel: Channel, alice: Person
) -> None:
    await labbot.start()
    await labbot.after(alice.slash(channel, "quota"))
    await labbot.after(alice.says(alice.dm, "/quota"))

    assert "unbegrenzt" in labbot.texts(alice.dm)[-1]


async def test_a_message_in_a_guild_is_answered_in_the_guild_s_language(labbot: Labbot, fake: Discord) -> None:
    guild = fake.guild("labor", locale="de")
    channel, dora = guild.channel("allgemein"), fake.user("dora")
    guild.join(dora)
    await labbot.start()
    await labbot.after(dora.says(channel, "/quota", mention=True))

    assert any("unbegrenzt" in text for text in labbot.texts(dora.dm))


# --- whom it may call


async def test_nothing_that_a_model_writes_calls_anybody(
    labbot: Labbot, fake: Discord, guild: Guild, channel: Channel, bob: Person, alice: Person, model: Model
) -> None:
    role = guild.role("everybody-here")
    await labbot.start()
    model.tell(f"says @everyone @here <@{alice.id}> <@!{alice.id}> <@&{role['id']}> https://example.org")
    await labbot.after(bob.slash(channel, "chat", {"question": "call them all"}))
    ended = await labbot.comes(channel, "Answer again")

    assert _calls(fake) == []
    assert int(ended["flags"]) & NOT_EMBEDDED


async def test_neither_a_draft_nor_a_name_calls_anybody(
    labbot: Labbot, fake: Discord, guild: Guild, channel: Channel, alice: Person
) -> None:
    eve = fake.user("@everyone")
    guild.join(eve)
    await labbot.start()
    thread = await labbot.draft(eve, channel)
    await labbot.after(eve.says(thread, f"Greet @everyone and <@{alice.id}>", mention=True))
    await labbot.after(eve.slash(thread, "invite", {"who": alice.id}))

    assert [one for one in _calls(fake) if one != alice.id] == []
    invitation = labbot.said(alice.dm)[-1]
    assert [one["id"] for one in invitation["mentions"]] == [alice.id]
    assert "@everyone" in labbot.text(invitation)
    assert all(not one.message["mention_everyone"] for one in fake.shown if one.author == fake.bot.id)


async def test_every_request_with_a_text_says_whom_it_may_call(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person, model: Model
) -> None:
    await labbot.start()
    await _talks(labbot, channel, bob, model)
    await labbot.after(bob.slash(channel, "privacy", {"act": "export"}))
    bodies = [(one.json or {}).get("data") or one.json for one in fake.requests if one.method in ("POST", "PATCH")]
    texts = [
        one for one in bodies if isinstance(one, dict) and ("content" in one or "components" in one) and "title" not in one
    ]

    assert texts
    assert [one for one in texts if one.get("allowed_mentions") != {"parse": []}] == []


async def test_the_end_of_a_run_calls_the_one_who_started_it_and_nobody_else(
    labbot: Labbot, fake: Discord, channel: Channel, bob: Person
) -> None:
    labbot.works = True
    await labbot.start()
    thread = await labbot.draft(bob, channel)
    await labbot.after(bob.says(thread, "Count @everyone's beans", mention=True))
    pairs = "\n".join(f"question: {number} beans? answer: {number} of them" for number in "12345")
    for said in (pairs, "own", "bob-lab", "mathematics/counting/beans"):
        await labbot.after(bob.says(thread, said, mention=True))
    await labbot.after(bob.slash(thread, "submit"))
    before = await labbot.comes(thread, "Sign and open", bob)
    dialog = await labbot.acked(bob.presses(before, button(before, "Sign and open")))
    await labbot.after(bob.submits(dialog, {"name": "Bob Example", "mail": "bob@example.org"}))
    signed = await labbot.comes(thread, "Signed off by", bob)
    if "Sign and open" in labels(signed):
        await labbot.presses(bob, signed, "Sign and open")
    await labbot.comes(thread, "is on a branch of its own")

    assert _calls(fake) == [bob.id]


def _calls(fake: Discord) -> list[str]:
    """Whom messages of the bot have told that they were named; "everyone" for all."""
    mine = [one.message for one in created(fake)] + [one.message for one in fake.shown if one.kind == "edit"]
    named = [user["id"] for one in mine if one["author"]["id"] == fake.bot.id for user in one["mentions"]]
    named += ["everyone" for one in mine if one["mention_everyone"]]
    return list(dict.fromkeys(named))
