"""The app's home, and what a conversation with the agent begins with."""

import pytest

from tests.bot.slack.front import Labbot, button, labels
from tests.fakes.slack.people import Person
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json
from tests.fakes.slack_view import text_of


async def home(fake: Slack, who: Person) -> Json:
    """Let somebody open the app's home; return it when it is drawn."""
    drawn = sum(one.kind == "home" for one in fake.shown)
    await who.opens_home()
    await fake.until(lambda: sum(one.kind == "home" for one in fake.shown) > drawn)
    found = fake.home(who)
    assert found is not None
    return found


@pytest.mark.usefixtures("mode")
async def test_the_home_shows_my_drafts_my_runs_and_what_needs_me(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    empty = text_of(await home(fake, bob))
    card = await labbot.draft(bob, channel)
    await labbot.says(bob, channel, "Greet people", card)
    full = text_of(await home(fake, bob))

    assert "Nothing, for now." in empty
    assert "None yet." in empty
    assert "Greet people" in full
    assert "is not submitted yet" in full
    assert full.index("What needs you") < full.index("My runs")


async def test_the_home_shows_nobody_else_s_drafts(
    labbot: Labbot, fake: Slack, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start()
    card = await labbot.draft(alice, channel)
    await labbot.says(alice, channel, "Greet people", card)

    assert "Greet people" not in text_of(await home(fake, bob))


async def test_every_button_of_the_home_leads_to_the_direct_messages_after_a_restart_too(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    card = await labbot.draft(bob, channel)
    await labbot.says(bob, channel, "Greet people", card)
    view = await home(fake, bob)
    await labbot.again()
    for label in labels(view):
        before, here = len(labbot.said(bob.dm)), len(fake.shown)
        await labbot.presses(bob, view, label)

        assert len(labbot.said(bob.dm)) > before or len(fake.shown) > here, label
    assert labels(view)
    assert "What I understand" in "".join(labbot.texts(bob.dm))


async def test_a_home_is_drawn_though_the_memory_was_away_once_it_is_back(
    labbot: Labbot, fake: Slack, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await labbot.start()
    failed = fake.fail("views.publish", "503")

    assert "Nothing, for now." in text_of(await home(fake, bob))
    assert failed.met == 1


async def test_whoever_opens_the_messages_is_welcomed_once_and_offered_what_to_say(
    labbot: Labbot, fake: Slack, bob: Person
) -> None:
    await labbot.start()
    await labbot.after(bob.opens_home("messages"))
    await labbot.acked(bob.opens_home("messages"))
    await labbot.again()
    await labbot.acked(bob.opens_home("messages"))
    await labbot.quiet()
    prompts = fake.prompts(bob.dm)

    assert len(labbot.said(bob.dm)) == 1
    assert labels(labbot.said(bob.dm)[0]) == ["Teach a skill", "Add knowledge", "My drafts", "Help"]
    assert [one["title"] for one in prompts] == ["Ask the FAQ", "Draft a skill", "My drafts"]


async def test_what_is_offered_to_be_said_is_understood(labbot: Labbot, fake: Slack, bob: Person) -> None:
    labbot.alone()
    await labbot.start()
    await labbot.after(bob.opens_home("messages"))
    answers = {}
    for prompt in fake.prompts(bob.dm):
        said = await labbot.says(bob, bob.dm, prompt["message"])
        answers[prompt["title"]] = "\n".join(labbot.texts(bob.dm, said))

    assert "Source:" in answers["Ask the FAQ"]
    assert "draft" in answers["Draft a skill"]
    assert "draft" in answers["My drafts"]


async def test_the_assistant_of_before_is_offered_what_to_say_in_its_thread(labbot: Labbot, fake: Slack, bob: Person) -> None:
    labbot.alone()
    await labbot.start()
    thread = await bob.opens_assistant()
    await fake.until(lambda: fake.prompts(bob.dm, thread))
    await labbot.says(bob, bob.dm, "what is a skill?", thread)

    assert [one["title"] for one in fake.prompts(bob.dm, thread)] == ["Ask the FAQ", "Draft a skill", "My drafts"]
    assert any("Source:" in text for text in labbot.texts(bob.dm, thread))


async def test_prompts_that_slack_does_not_take_keep_nobody_from_being_welcomed(
    labbot: Labbot, fake: Slack, bob: Person
) -> None:
    await labbot.start()
    failed = fake.fail("assistant.threads.setSuggestedPrompts", "channel_not_found", times=10)
    await labbot.after(bob.opens_home("messages"))

    assert failed.met
    assert button(labbot.said(bob.dm)[0], "Help")
