"""Interactions in the fake Discord: who may answer how, what is shown to whom, and what a dialog sends in."""

from typing import Any

import pytest
from discord import NotFound
from discord.http import Route

from tests.fakes.discord.interactions import Interaction
from tests.fakes.discord.library import Bot, connected
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel, Json

BUTTON = {"type": 1, "components": [{"type": 2, "style": 1, "label": "Go", "custom_id": "go"}]}
SELECT = {
    "type": 1,
    "components": [{"type": 3, "custom_id": "pick", "options": [{"label": "A", "value": "a"}, {"label": "B", "value": "b"}]}],
}
CARD = {"flags": 1 << 15, "components": [{"type": 17, "components": [{"type": 10, "content": "A card"}, BUTTON, SELECT]}]}
OPTIONS = [{"label": "One", "value": "1"}, {"label": "Two", "value": "2", "default": True}]
DIALOG = {
    "custom_id": "form",
    "title": "A form",
    "components": [
        {
            "type": 18,
            "label": "Text",
            "component": {"type": 4, "custom_id": "text", "style": 2, "value": "old", "max_length": 9},
        },
        {"type": 18, "label": "Which", "component": {"type": 21, "custom_id": "which", "options": OPTIONS}},
        {"type": 18, "label": "Sure", "component": {"type": 23, "custom_id": "sure"}},
        {"type": 18, "label": "File", "component": {"type": 19, "custom_id": "file", "min_values": 0, "required": False}},
    ],
}


async def answer(bot: Bot, heard: Interaction, kind: int, data: Json | None = None, *, tell: bool = False) -> Any:
    """The callback, as a bot makes it that uses no views."""
    route = Route("POST", "/interactions/{id}/{token}/callback", id=heard.id, token=heard.token)
    body = {"type": kind} | ({} if data is None else {"data": data})
    return await bot.http.request(route, json=body, params={"with_response": str(tell).lower()})


async def original(bot: Bot, method: str, heard: Interaction, data: Json | None = None) -> Any:
    path = "/webhooks/{webhook_id}/{webhook_token}/messages/@original"
    route = Route(method, path, webhook_id=bot.application_id, webhook_token=heard.token)
    return await bot.http.request(route, **({} if data is None else {"json": data}))


async def test_a_command_is_answered_at_once_and_seen_in_the_channel(fake: Discord, channel: Channel, alice: Person) -> None:
    async with connected(fake) as bot:
        heard = await alice.slash(channel, "status", {"run": "r1"})
        told = await answer(bot, heard, 4, {"content": "fine"}, tell=True)
        await fake.until(lambda: bot.asked)

    assert (bot.asked[0].data["options"], str(bot.asked[0].locale)) == ([{"name": "run", "type": 3, "value": "r1"}], "de")
    assert heard.original is not None
    assert (heard.original["content"], heard.original["type"]) == ("fine", 20)
    assert heard.original["interaction_metadata"]["user"]["id"] == alice.id
    assert told["resource"]["message"]["id"] == fake.messages(channel)[0]["id"] == heard.original["id"]
    assert (heard.acked.is_set(), fake.shown[0].to) == (True, "")


async def test_an_ephemeral_answer_is_seen_by_one_and_not_by_the_bots_token(
    fake: Discord, channel: Channel, alice: Person
) -> None:
    bob = fake.user("bob")
    async with connected(fake) as bot:
        heard = await alice.slash(channel, "status")
        await answer(bot, heard, 4, {"content": "for you", "flags": 64, "components": [BUTTON]})
        assert heard.original is not None
        with pytest.raises(NotFound) as missing:
            await bot.http.request(
                Route("PATCH", "/channels/{channel_id}/messages/{m}", channel_id=channel.id, m=heard.original["id"]), json={}
            )
        with pytest.raises(LookupError):
            await bob.presses(heard.original, "go")
        await original(bot, "PATCH", heard, {"content": "for you only"})

    assert (missing.value.code, bot.heard) == (10008, [])
    assert (fake.messages(channel), len(fake.messages(channel, alice))) == ([], 1)
    assert [(one.kind, one.to) for one in fake.shown] == [("create", alice.id), ("edit", alice.id)]


async def test_a_deferred_answer_loads_until_it_is_edited_and_can_become_a_card(
    fake: Discord, channel: Channel, alice: Person
) -> None:
    async with connected(fake) as bot:
        heard = await alice.slash(channel, "status")
        await answer(bot, heard, 5)
        assert heard.original is not None
        loading = heard.original["flags"]
        await original(bot, "PATCH", heard, CARD)

    assert (loading, heard.original["flags"]) == (128, 1 << 15)
    assert heard.original["components"][0]["components"][0] == {"type": 10, "id": 2, "content": "A card"}


async def test_buttons_and_selects_are_heard_with_their_message(fake: Discord, channel: Channel, alice: Person) -> None:
    async with connected(fake) as bot:
        card = await bot.http.request(Route("POST", "/channels/{channel_id}/messages", channel_id=channel.id), json=CARD)
        pressed = await alice.presses(card, "go")
        picked = await alice.selects(card, "pick", ["b"])
        await answer(bot, pressed, 6)
        await answer(bot, picked, 7, {"components": [{"type": 10, "content": "Changed"}]})
        await fake.until(lambda: len(bot.asked) == 2)
        with pytest.raises(LookupError):
            await alice.presses(fake.messages(channel)[0], "go")
        stale = await alice.presses(card, "go")

    assert [one.data.get("values") for one in bot.asked] == [None, ["b"]]
    assert [one.message.id for one in bot.asked] == [int(card["id"])] * 2
    assert fake.messages(channel)[0]["components"] == [{"type": 10, "id": 1, "content": "Changed"}]
    assert stale.message is not None


async def test_a_dialog_sends_in_what_was_filled_and_what_stood_there(fake: Discord, channel: Channel, alice: Person) -> None:
    async with connected(fake) as bot:
        opened = await alice.slash(channel, "edit")
        await answer(bot, opened, 9, DIALOG)
        await alice.submits(opened, {"which": ["1"], "sure": True, "file": [("q.yaml", b"a: 1")]})
        await fake.until(lambda: len(bot.asked) == 2)
        sent = [one["component"] for one in bot.asked[1].data["components"]]
        files = bot.asked[1].data["resolved"]["attachments"]
        with pytest.raises(ValueError, match="characters"):
            await alice.submits(opened, {"text": "more than nine"})
        with pytest.raises(LookupError):
            await alice.submits(opened, {"which": ["3"]})

    assert opened.modal == DIALOG
    assert [one.get("value", one.get("values")) for one in sent] == ["old", "1", True, list(files)]
    assert [(one["filename"], fake.file(one).content) for one in files.values()] == [("q.yaml", b"a: 1")]


async def test_a_dialog_opened_from_a_card_may_change_the_card(fake: Discord, channel: Channel, alice: Person) -> None:
    async with connected(fake) as bot:
        card = await bot.http.request(Route("POST", "/channels/{channel_id}/messages", channel_id=channel.id), json=CARD)
        pressed = await alice.presses(card, "go")
        await answer(bot, pressed, 9, DIALOG)
        sent = await alice.submits(pressed, {})
        await answer(bot, sent, 7, {"components": [{"type": 10, "content": "Done"}]})

    assert fake.messages(channel)[0]["components"][0]["content"] == "Done"


async def test_what_is_typed_is_completed(fake: Discord, channel: Channel, alice: Person) -> None:
    class Completing(Bot):
        async def on_interaction(self, interaction: Any) -> None:
            await super().on_interaction(interaction)
            typed = next(one["value"] for one in interaction.data["options"] if one.get("focused"))
            await answer(self, fake.world.heard[interaction.token], 8, {"choices": [{"name": typed + "uistics", "value": "x"}]})

    async with connected(fake, kind=Completing):
        offered = await alice.completes(channel, "place", {"path": "ling"}, focused="path")

    assert offered == [{"name": "linguistics", "value": "x"}]


async def test_interactions_work_in_direct_messages_and_threads(fake: Discord, channel: Channel, alice: Person) -> None:
    async with connected(fake) as bot:
        thread = await alice.opens_thread(channel, "talk")
        for place in (alice.dm, thread):
            heard = await alice.slash(place, "status")
            await answer(bot, heard, 4, {"content": "here"})
        await fake.until(lambda: len(bot.asked) == 2)

    assert [(one.user.id, one.channel_id, one.context.guild) for one in bot.asked] == [
        (int(alice.id), int(alice.dm.id), False),
        (int(alice.id), int(thread.id), True),
    ]
    assert [fake.messages(place)[-1]["content"] for place in (alice.dm, thread)] == ["here", "here"]


async def test_after_fifteen_minutes_the_token_is_dead_and_the_bots_own_still_works(
    fake: Discord, channel: Channel, alice: Person
) -> None:
    async with connected(fake) as bot:
        heard = await alice.slash(channel, "status")
        await answer(bot, heard, 4, {"content": "one"})
        fake.clock += 901
        with pytest.raises(Exception) as dead:
            await original(bot, "PATCH", heard, {"content": "two"})
        assert heard.original is not None
        path = "/channels/{channel_id}/messages/{m}"
        await bot.http.request(Route("PATCH", path, channel_id=channel.id, m=heard.original["id"]), json={"content": "three"})

    assert getattr(dead.value, "code", 0) == 50027
    assert fake.messages(channel)[0]["content"] == "three"


async def test_follow_ups_work_and_can_be_told_from_the_rest(fake: Discord, channel: Channel, alice: Person) -> None:
    async with connected(fake) as bot:
        heard = await alice.slash(channel, "status")
        await answer(bot, heard, 4, {"content": "one"})
        route = Route(
            "POST", "/webhooks/{webhook_id}/{webhook_token}", webhook_id=bot.application_id, webhook_token=heard.token
        )
        await bot.http.request(route, json={"content": "two"})
        await original(bot, "DELETE", heard)

    assert [one["content"] for one in fake.messages(channel)] == ["two"]
    assert [one.route for one in fake.requests].count("/webhooks/{webhook_id}/{webhook_token}") == 1
    assert heard.original is None
