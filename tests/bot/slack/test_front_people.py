"""What people may do, what is kept of them, the language that they are spoken to in, and whom the bot may call."""

import json
from pathlib import Path

from tests.bot.slack.front import Labbot, button, fields, is_card, labels
from tests.fakes.model import Model
from tests.fakes.slack.people import Person, Workspace
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel
from tests.fakes.slack_view import text_of

# --- quotas


async def test_a_quota_is_told_and_what_is_beyond_it_is_refused(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start(roles__everyone__quotas="{draft: 2/day}", roles__everyone__cooldowns_s="{}")
    await labbot.draft(bob, channel)
    second = await labbot.draft(bob, channel)
    await labbot.lab(bob, channel, "quota")
    await labbot.lab(bob, channel, "skill")

    assert any("(That was the last one for now.)" in text for text in labbot.texts(channel, second))
    told, refused = labbot.private(channel, bob)[-2:]
    assert "drafts: 0" in told
    assert "That is as often as it may be done for now." in refused
    assert len([one for one in labbot.created("draft") if not one.get("thread_ts")]) == 2


async def test_a_role_of_the_workspace_has_its_own_quota(
    labbot: Labbot, team: Workspace, channel: Channel, alice: Person, bob: Person
) -> None:
    roles = {f"workspaces__{team.id}__roles": f"{{{alice.id}: triager}}"}
    await labbot.start(roles__everyone__quotas="{draft: 0/day}", roles__everyone__cooldowns_s="{}", **roles)
    await labbot.lab(alice, channel, "skill")
    await labbot.lab(bob, channel, "skill")

    assert [is_card(one) for one in labbot.created()] == [True, False]
    assert "That is as often as it may be done" in labbot.private(channel, bob)[-1]


async def test_a_refusal_is_for_the_one_who_is_refused(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start(roles__everyone__quotas="{draft: 0/day}")
    await labbot.lab(bob, channel, "skill")

    assert labbot.texts(channel) == []
    assert len(labbot.private(channel, bob)) == 1


# --- what is kept


async def _talks(labbot: Labbot, channel: Channel, who: Person) -> None:
    """Do a bit of everything, always with the word platypus in it."""
    await labbot.lab(who, channel, "ask what is a skill for a platypus?")
    await labbot.quiet()
    card = await labbot.draft(who, channel)
    await labbot.says(who, channel, "Sort the platypus sightings", card)
    await labbot.says(who, channel, "question: platypus? answer: on Monday", card)
    await labbot.lab(who, channel, "chat sing of a platypus")
    await labbot.quiet()
    opened = await labbot.opens(who, labbot.card(channel, card), "About")
    await labbot.closes(who, opened, {"description": "Sort some platypus sightings"})
    opened = await labbot.opens(who, labbot.card(channel, card), "About")
    assert fields(opened)["description"]["initial_value"] == "Sort some platypus sightings"
    await labbot.fills(who, opened, {"description": "Sort all platypus sightings"})
    opened = await labbot.opens(who, labbot.card(channel, card), "A new example")
    await labbot.closes(who, opened, {"question": "a platypus?"})
    await labbot.says(who, who.dm, "/skill platypus counting")


async def test_after_privacy_forget_nothing_holds_the_words_or_the_slack_id_of_a_person(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    await _talks(labbot, channel, bob)
    assert any(name.startswith("bot:typed:") for name in labbot.holding("platypus"))
    assert labbot.holding(bob.id, bob.dm.id)
    await labbot.lab(bob, channel, "privacy forget")
    sure = await labbot.comes(channel, "Forget everything", reader=bob)
    await labbot.presses(bob, sure, "Forget everything")
    told = [*labbot.private(channel, bob), *labbot.texts(channel, reader=bob), *labbot.texts(bob.dm)]

    assert any("It is done" in text for text in told)
    assert labbot.holding("platypus", "Monday") == []
    assert labbot.holding(bob.id, bob.dm.id) == []
    assert [name for name in labbot.holding("") if name.startswith("bot:typed:")] == []
    assert _kept(labbot.house.settings.data / "slack", "platypus", bob.id) == []


def _kept(folder: Path, *parts: str) -> list[str]:
    """The files of a folder that hold any of these."""
    files = [one for one in folder.rglob("*") if one.is_file()]
    return [one.name for one in files if any(part.encode() in one.read_bytes() for part in parts)]


async def test_somebody_who_was_forgotten_comes_back_as_somebody_new(labbot: Labbot, bob: Person) -> None:
    await labbot.start()
    await labbot.says(bob, bob.dm, "/skill platypus counting")
    await labbot.says(bob, bob.dm, "/privacy forget")
    await labbot.presses(bob, await labbot.comes(bob.dm, "Forget everything"), "Forget everything")
    await labbot.says(bob, bob.dm, "/draft")

    assert "None yet." in labbot.texts(bob.dm)[-1]
    assert labbot.holding("platypus") == []


async def test_privacy_export_brings_what_is_kept_to_the_person_alone(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    await _talks(labbot, channel, bob)
    await labbot.lab(bob, channel, "privacy export")
    told = await labbot.comes(channel, "labbot-export.json", reader=bob)
    await labbot.acked(bob.presses(told, button(told, "Whole: ")))
    await fake.until(lambda: any(one.get("files") for one in labbot.said(bob.dm)))
    sent = next(one for one in reversed(labbot.said(bob.dm)) if one.get("files"))
    found = json.loads(fake.file(sent["files"][0]).content or b"")

    assert fake.world.messages[told["ts"]].to == bob.id
    assert not any(one.get("files") for one in labbot.said(channel))
    assert found["known as"] == [f"slack:slack:{bob.team.id}.{bob.id}"]
    assert "Sort all platypus sightings" in [one["answers"].get("about.description") for one in found["drafts"]]
    assert [one["question"] for one in found["questions to the model"]] == ["sing of a platypus"]
    assert found["questions"]


# --- languages


async def test_everybody_is_answered_in_the_language_that_slack_tells_of_them(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start()
    await labbot.lab(alice, channel, "quota")
    await labbot.lab(bob, channel, "quota")
    await labbot.asks(alice, channel, "/quota")
    await labbot.says(alice, alice.dm, "/quota")

    assert all("unbegrenzt" in text for text in [*labbot.private(channel, alice), *labbot.texts(alice.dm)])
    assert "no limit" in labbot.private(channel, bob)[-1]
    assert labels(labbot.seen(alice, channel)) == ["Allen zeigen"]


async def test_where_slack_does_not_tell_the_language_that_was_heard_before_holds(
    labbot: Labbot, fake: Slack, channel: Channel, alice: Person
) -> None:
    await labbot.start()
    await labbot.says(alice, alice.dm, "/quota")
    await labbot.again()
    failed = fake.fail("users.info", "fatal_error", times=100)
    await labbot.says(alice, alice.dm, "/quota")

    assert failed.met
    assert "unbegrenzt" in labbot.texts(alice.dm)[-1]


async def test_the_home_is_in_the_language_of_whoever_opens_it(labbot: Labbot, fake: Slack, alice: Person) -> None:
    await labbot.start()
    await alice.opens_home()
    await fake.until(lambda: fake.home(alice))

    assert "Was dich braucht" in text_of(fake.home(alice) or {})


# --- whom it may call

PINGS = "<!channel> <!here> <!everyone> @channel @here @everyone <!subteam^S0001|team>"


async def test_nothing_that_a_model_writes_calls_anybody(
    labbot: Labbot, fake: Slack, channel: Channel, alice: Person, bob: Person, model: Model
) -> None:
    await labbot.start()
    model.tell(f"says {PINGS} <@{alice.id}> @alice **<@{alice.id}>** `<!channel>` [a](<!here>) || and on <!channel>")
    asking = await labbot.asks(bob, channel, "call them all")
    await labbot.comes(channel, "@everyone", asking)
    model.tell("goes")
    ended = await labbot.comes(channel, "Answer again", asking)

    assert fake.mentions == []
    assert "<!channel>" in text_of(ended)
    assert f"<@{alice.id}>" in text_of(ended)


async def test_nothing_that_a_model_writes_calls_anybody_where_answers_are_edited(
    labbot: Labbot, fake: Slack, channel: Channel, alice: Person, bob: Person, model: Model
) -> None:
    await labbot.start()
    fake.fail("chat.startStream", "feature_disabled", times=100)
    model.tell(f"says {PINGS} <@{alice.id}>")
    asking = await labbot.asks(bob, channel, "call them all")
    ended = await labbot.comes(channel, "Answer again", asking)

    assert fake.mentions == []
    assert "<!channel>" in text_of(ended)


async def test_neither_a_draft_nor_a_name_calls_anybody(
    labbot: Labbot, fake: Slack, team: Workspace, channel: Channel, alice: Person
) -> None:
    eve = team.user("<!channel>")
    await labbot.start()
    card = await labbot.draft(eve, channel)
    await labbot.says(eve, channel, "Greet <!channel> and <!here> & @everyone", card)
    await labbot.asks(eve, channel, f"/invite <@{alice.id}>", card)
    card = labbot.card(channel, card)
    await labbot.presses(eve, card, "Preview")
    of_bot = [one for one in fake.mentions if fake.world.messages[one.message].json.get("bot_id")]

    assert [one for one in of_bot if one.whom != alice.id] == []
    assert "<!channel>" in text_of(card)


async def test_what_is_typed_arrives_as_it_was_typed(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    card = await labbot.draft(bob, channel)
    await labbot.says(bob, channel, "Say when a < b && c > d, not &lt;", card)
    opened = await labbot.opens(bob, labbot.card(channel, card), "About")

    assert fields(opened)["description"]["initial_value"] == "Say when a < b && c > d, not &lt;"
    assert "a < b && c > d, not &lt;" in text_of(labbot.card(channel, card))


async def test_the_end_of_a_run_calls_the_one_who_started_it_and_nobody_else(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    labbot.works = True
    await labbot.start()
    card = await labbot.draft(bob, channel)
    await labbot.says(bob, channel, "Count @everyone's beans", card)
    pairs = "\n".join(f"question: {number} beans? answer: {number} of them" for number in "12345")
    for said in (pairs, "own", "bob-lab", "mathematics/counting/beans"):
        await labbot.says(bob, channel, said, card)
    await labbot.asks(bob, channel, "/submit", card)
    before = await labbot.comes(channel, "Sign and open", card, bob)
    opened = await labbot.opens(bob, before, "Sign and open")
    await labbot.fills(bob, opened, {"name": "Bob Example", "mail": "bob@example.org"})
    signed = await labbot.comes(channel, "Signed off by", card, bob)
    if "Sign and open" in labels(signed):
        await labbot.presses(bob, signed, "Sign and open")
    await labbot.comes(channel, "is on a branch of its own", card)

    assert {one.whom for one in fake.mentions if fake.world.messages[one.message].json.get("bot_id")} == {bob.id}
