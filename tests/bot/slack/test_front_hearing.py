"""Who is heard where, and in which order: other people's direct conversations, shared channels, many names, deletions."""

from copy import deepcopy

from slack_bolt.request.async_request import AsyncBoltRequest

from bot.core.talk import direct
from tests.bot.slack.front import Labbot
from tests.fakes.slack.people import Person, Workspace
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json
from tests.fakes.slack_view import text_of


async def _tells(labbot: Labbot, payload: Json) -> int:
    """Tell labbot something as Slack would by its socket; return the status of the answer when all of it is said."""
    told = await labbot.front.bolt.async_dispatch(AsyncBoltRequest(body=payload, mode="socket_mode"))
    await labbot.front.ear.idle()
    return int(told.status)


async def test_a_message_s_menu_between_other_people_is_answered_in_the_person_s_own_direct_messages(
    labbot: Labbot, channel: Channel, alice: Person, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    await labbot.says(bob, bob.dm, "/quota")
    heard = await labbot.after(bob.shortcut("ask", await alice.says(channel, "hello")))
    payload = deepcopy(heard.payload) | {"channel": {"id": "D0BETWEEN", "name": "directmessage"}, "trigger_id": "1.2.another"}
    payload["message"]["text"] = "what is a skill?"
    status = await _tells(labbot, payload)
    person, _ = await labbot.front.ear.person(f"{labbot.team.id}.{bob.id}", "bob")

    assert status == 200
    assert "A skill" in labbot.texts(bob.dm)[-1]
    assert (await labbot.front.threads.room(direct("slack", person))).channel == bob.dm.id
    assert labbot.holding("D0BETWEEN") == []


async def test_an_event_of_a_shared_channel_is_heard_as_of_the_workspace_that_installed_labbot(
    labbot: Labbot, fake: Slack, channel: Channel, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    asking = await labbot.asks(bob, channel, "what is a skill?")
    payload = next(deepcopy(one.payload) for one in fake.heard if one.event["type"] == "app_mention")
    payload |= {"team_id": "TELSEWHERE", "is_ext_shared_channel": True, "event_id": "Ev9"}
    payload["event"] |= {"text": f"<@{labbot.team.bot_user}> what is knowledge?", "thread_ts": asking["ts"]}
    payload["event"]["ts"] = f"{float(asking['ts']) + 1:.6f}"
    await _tells(labbot, payload)

    assert "Knowledge is" in labbot.texts(channel, asking)[-1]
    assert labbot.holding("TELSEWHERE") == []


async def test_what_is_done_where_an_organization_installed_labbot_names_its_workspace_by_the_person(
    labbot: Labbot, channel: Channel, bob: Person
) -> None:
    await labbot.start()
    heard = await labbot.lab(bob, channel, "quota")
    shortcut = await labbot.after(bob.shortcut("skill", await bob.says(channel, "Sort beans")))
    payload = deepcopy(shortcut.payload) | {"team": None, "is_enterprise_install": False, "trigger_id": "1.2.another"}
    payload["user"]["team_id"] = labbot.team.id
    before = labbot.heard
    status = await _tells(labbot, payload)

    assert not heard.error
    assert (status, labbot.heard - before) == (200, 1)


async def test_of_a_message_that_names_hundreds_the_first_twenty_are_asked_about_at_once(
    labbot: Labbot, fake: Slack, team: Workspace, bob: Person
) -> None:
    labbot.alone()
    await labbot.start()
    await labbot.says(bob, bob.dm, "/quota")
    before = labbot.asked("users.info")
    fake.fail("users.info", "slow", times=100, seconds=0.2)
    await labbot.says(bob, bob.dm, " ".join(team.user(f"u{number}").mention for number in range(300)))

    assert labbot.asked("users.info") - before == 20
    assert len(fake.heard[-1].deliveries) == 1  # Slack had its answer in time


async def test_a_deletion_does_not_overtake_its_message_where_a_name_is_slow_to_come(
    labbot: Labbot, fake: Slack, channel: Channel, alice: Person, bob: Person
) -> None:
    await labbot.start()
    card = await labbot.draft(bob, channel)
    slow = fake.fail("users.info", "slow", seconds=0.2)
    said = await bob.says(channel, f"Greet {alice.mention} and every platypus", thread=card)
    await labbot.after(bob.deletes(said), times=2)

    assert slow.met
    assert "platypus" not in text_of(labbot.card(channel, card))
