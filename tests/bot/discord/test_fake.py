"""The fake Discord as the real discord.py meets it: logging in, events, resuming, messages, threads."""

import asyncio
import io
import json
from typing import Any

import aiohttp
import pytest
from discord import (
    AutoShardedClient,
    Client,
    ConnectionClosed,
    File,
    LoginFailure,
    PrivilegedIntentsRequired,
)
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.fakes.discord.asking import Asking
from tests.fakes.discord.library import PLAIN, READING, Bot, connected
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel, Guild

MESSAGES = r"/channels/\d+/messages"


async def test_discord_py_logs_in_and_knows_the_guild_and_its_rights(fake: Discord, guild: Guild, alice: Person) -> None:
    quiet = guild.channel("quiet", deny=["SEND_MESSAGES"])

    async with connected(fake) as bot:
        there = bot.guilds[0]
        rights = there.get_channel(int(quiet.id)).permissions_for(there.me)

        assert (bot.user.id, there.name) == (int(fake.bot.id), "lab")
        assert (rights.view_channel, rights.send_messages) == (True, False)


async def test_a_message_is_heard_and_answered(fake: Discord, channel: Channel, alice: Person) -> None:
    async with connected(fake) as bot:
        await alice.says(channel, "hello", files=[("a.yaml", b"a: 1")])
        await fake.until(lambda: bot.heard)
        there = bot.get_channel(int(channel.id))
        sent = await there.send("hi", file=File(io.BytesIO(b"xyz"), "x y.txt"))
        await sent.edit(content="hi you")

        assert bot.heard[0] == "hello"
        assert [one["content"] for one in fake.messages(channel)] == ["hello", "hi you"]
        assert [one.kind for one in fake.shown] == ["create", "create", "edit"]
        assert await sent.attachments[0].read() == b"xyz"


async def test_without_the_intent_only_what_is_meant_for_the_bot_can_be_read(
    fake: Discord, channel: Channel, alice: Person
) -> None:
    async with connected(fake, PLAIN) as bot:
        asked = await alice.says(channel, "a secret", files=[("a.txt", b"a")])
        await alice.says(channel, "for you", mention=True)
        await alice.says(alice.dm, "in private")
        await fake.until(lambda: len(bot.heard) == 3)
        read = await bot.get_channel(int(channel.id)).fetch_message(int(asked["id"]))
        heard = await alice.message_command(channel, "Ask", asked)
        await fake.until(lambda: bot.asked)

        assert bot.heard == ["", f"<@{fake.bot.id}> for you", "in private"]
        assert (read.content, read.attachments) == ("", [])
        assert bot.asked[0].data["resolved"]["messages"][asked["id"]]["content"] == "a secret"
        assert not heard.acked.is_set()


async def test_with_the_intent_all_is_read(fake: Discord, channel: Channel, alice: Person) -> None:
    async with connected(fake, READING) as bot:
        said = await alice.says(channel, "a secret")
        read = await bot.get_channel(int(channel.id)).fetch_message(int(said["id"]))

        assert read.content == "a secret"


async def test_a_broken_connection_is_resumed_and_nothing_is_lost(fake: Discord, channel: Channel, alice: Person) -> None:
    async with connected(fake) as bot:
        await alice.says(channel, "one")
        await fake.until(lambda: bot.heard == ["one"])
        await fake.drop()
        await alice.says(channel, "two")
        await fake.until(lambda: bot.resumes == 1)
        await fake.until(lambda: len(bot.heard) == 2)

        assert bot.heard == ["one", "two"]
        assert (fake.identified, fake.resumed) == (1, 1)


async def test_a_resume_may_replay_what_was_heard_before(fake: Discord, channel: Channel, alice: Person) -> None:
    async with connected(fake) as bot:
        await alice.says(channel, "one")
        await alice.says(channel, "two")
        await fake.until(lambda: len(bot.heard) == 2)
        await fake.reconnect(replay=1)
        await fake.until(lambda: bot.resumes == 1)

        assert bot.heard == ["one", "two", "two"]


async def test_a_session_that_is_gone_is_begun_anew_without_what_was_missed(
    fake: Discord, channel: Channel, alice: Person
) -> None:
    async with connected(fake) as bot:
        fake.deaf()  # until something was missed
        await fake.drop(resumable=False)
        await alice.says(channel, "missed")
        fake.wake()
        await fake.until(lambda: fake.identified == 2)
        await alice.says(channel, "heard")
        await fake.until(lambda: bot.heard)

        assert bot.heard == ["heard"]


@pytest.mark.parametrize(("resumable", "identified"), [(True, 1), (False, 2)])
async def test_an_invalid_session_is_resumed_or_begun_anew(
    fake: Discord, guild: Guild, resumable: bool, identified: int
) -> None:
    async with connected(fake):
        await fake.invalid(resumable)
        await fake.until(lambda: fake.identified + fake.resumed == 2)

        assert fake.identified == identified


async def test_close_codes_end_or_keep_the_session(fake: Discord, guild: Guild) -> None:
    async with connected(fake):
        await fake.close(4000)
        await fake.until(lambda: fake.resumed == 1)
        await fake.close(4009)
        await fake.until(lambda: fake.identified == 2)

        assert (fake.identified, fake.resumed) == (2, 1)


async def test_a_wrong_token_is_refused(fake: Discord) -> None:
    with fake.patched():
        bot = Client(intents=PLAIN)
        with pytest.raises(LoginFailure):
            await bot.start("wrong")
        await bot.close()

    assert [(one.path, one.status) for one in fake.requests] == [("/users/@me", 401)]


async def test_intents_that_are_not_allowed_close_the_connection() -> None:
    async with Discord(allowed_intents=PLAIN.value) as fake:
        with fake.patched():
            bot = Client(intents=READING)
            with pytest.raises(PrivilegedIntentsRequired):
                await bot.start(fake.token)
            await bot.close()

    assert fake.gateway_.closed_with == [4014]


async def test_a_token_that_stops_being_valid_closes_with_4004(fake: Discord, guild: Guild) -> None:
    with fake.patched():
        bot = Client(intents=PLAIN)
        task = asyncio.get_running_loop().create_task(bot.start(fake.token))
        await fake.up.wait()
        fake.gateway_.token = "another"
        await fake.drop()

        with pytest.raises(ConnectionClosed) as closed:
            await task
        await bot.close()

    assert closed.value.code == 4004


async def test_a_deaf_gateway_says_nothing_until_it_hears_again(fake: Discord, channel: Channel, alice: Person) -> None:
    fake.gateway_.heartbeat_s = 0.02
    async with connected(fake) as bot:
        fake.deaf()
        beats = fake.gateway_.beats
        await alice.says(channel, "anybody?")
        await bot.http.request(Route("GET", "/users/@me"))
        unheard, unanswered = list(bot.heard), fake.gateway_.beats
        fake.wake()
        await fake.until(lambda: bot.heard and fake.gateway_.beats > beats)

        assert (unheard, unanswered, bot.heard) == ([], beats, ["anybody?"])


async def test_events_come_twice_or_in_another_order_or_late_on_demand(fake: Discord, channel: Channel, alice: Person) -> None:
    async with connected(fake) as bot:
        fake.duplicate_next()
        await alice.says(channel, "one")
        fake.reorder_next(2)
        await alice.says(channel, "two")
        await alice.says(channel, "three")
        await fake.until(lambda: len(bot.heard) == 4)
        fake.hold()
        await alice.says(channel, "four")
        await bot.get_channel(int(channel.id)).send("meanwhile")
        await fake.until(lambda: "meanwhile" in bot.heard)
        fake.release()
        await fake.until(lambda: len(bot.heard) == 6)

        assert bot.heard == ["one", "one", "three", "two", "meanwhile", "four"]


class Sharded(AutoShardedClient):
    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """No pause of 5 s between two shards."""


async def test_shards_hear_their_own_guilds() -> None:
    async with Discord(shards=2) as fake:
        fake.guild("one")
        with fake.patched():
            bot = Sharded(intents=PLAIN, guild_ready_timeout=0)
            task = asyncio.get_running_loop().create_task(bot.start(fake.token))
            await fake.until(lambda: len(fake.gateway_.sessions) == 2, 15)

            events = [{event for _, event, _ in session.log} for session in fake.gateway_.sessions.values()]
            await bot.close()
            await asyncio.gather(task, return_exceptions=True)

    assert sorted("GUILD_CREATE" in one for one in events) == [False, True]


async def send(bot: Bot, channel: Channel, text: str, **more: Any) -> Any:
    route = Route("POST", "/channels/{channel_id}/messages", channel_id=channel.id)
    return await bot.http.request(route, json={"content": text} | more)


async def test_a_nonce_gives_the_earlier_message_back_while_it_lives(fake: Discord, channel: Channel) -> None:
    async with connected(fake) as bot:
        first = await send(bot, channel, "one", nonce="n", enforce_nonce=True)
        again = await send(bot, channel, "one", nonce="n", enforce_nonce=True)
        fake.clock += 301
        later = await send(bot, channel, "one", nonce="n", enforce_nonce=True)
        history = await bot.http.request(Route("GET", "/channels/{channel_id}/messages", channel_id=channel.id))

    assert (again["id"], first["nonce"], later["id"] != first["id"]) == (first["id"], "n", True)
    assert ([one["id"] for one in history], "nonce" in history[0]) == ([later["id"], first["id"]], False)


async def test_threads_are_opened_archived_and_woken(fake: Discord, channel: Channel, alice: Person) -> None:
    async with connected(fake) as bot:
        said = await alice.says(channel, "hello")
        message = await bot.get_channel(int(channel.id)).fetch_message(int(said["id"]))
        thread = await message.create_thread(name="talk")
        await thread.edit(archived=True)
        asleep = fake.channel(str(thread.id)).archived
        await thread.send("still here")
        private = await bot.get_channel(int(channel.id)).create_thread(name="secret", invitable=False)
        await private.add_user(bot.get_user(int(alice.id)) or type("Alice", (), {"id": int(alice.id)}))
        found = await bot.guilds[0].active_threads()

    assert (asleep, fake.channel(str(thread.id)).archived) == (True, False)
    assert [one.name for one in fake.threads(channel)] == ["talk", "secret"]
    assert sorted(one.name for one in found) == ["secret", "talk"]
    assert alice.id in fake.channel(str(private.id)).joined


async def test_commands_are_kept_and_offered(fake: Discord, channel: Channel, alice: Person) -> None:
    option = {"type": 3, "name": "path", "description": "Where", "autocomplete": True, "required": True}
    told = [{"name": "open", "description": "Open", "type": 1, "options": [option], "name_localizations": {"de": "öffnen"}}]
    async with connected(fake) as bot:
        route = Route("PUT", "/applications/{application_id}/commands", application_id=fake.application_id)
        first = await bot.http.request(route, json=told)
        again = await bot.http.request(route, json=told)
        await alice.slash(channel, "open", {"path": "linguistics"})
        await fake.until(lambda: bot.asked)

        assert first[0]["id"] == again[0]["id"] == bot.asked[0].data["id"]
        assert bot.asked[0].data["options"] == [{"name": "path", "type": 3, "value": "linguistics"}]
        with pytest.raises(LookupError):
            await alice.slash(channel, "close")
        with pytest.raises(LookupError):
            await alice.slash(channel, "open", {})


async def test_a_file_may_be_slow_or_more_than_was_said(fake: Discord, channel: Channel, alice: Person) -> None:
    said = await alice.says(channel, "", files=[("a b.yaml", b"a: 1")])
    attachment = said["attachments"][0]
    fake.file(attachment).padding = 3
    async with aiohttp.ClientSession() as session:
        got = await session.get(attachment["url"])
        lost = await session.get(attachment["url"].replace(attachment["id"], "1"))

        assert (attachment["size"], await got.read(), lost.status) == (4, b"a: 1\0\0\0", 404)


async def test_a_path_that_the_fake_does_not_know_is_a_violation(fake: Discord) -> None:
    async with aiohttp.ClientSession() as session:
        got = await session.get(f"{fake.api}/voice/regions", headers={"Authorization": f"Bot {fake.token}"})

    assert (got.status, fake.violations) == (404, ["GET /voice/regions: the fake does not know this"])
    fake.violations.clear()


async def test_history_is_read_backwards_or_from_a_message_on(fake: Discord, channel: Channel, alice: Person) -> None:
    said = [await alice.says(channel, text, mention=True) for text in "abcd"]
    path = "/channels/{channel_id}/messages"
    async with connected(fake) as bot:

        async def read(**query: Any) -> list[str]:
            found = await bot.http.request(Route("GET", path, channel_id=channel.id), params=query)
            return [one["content"][-1] for one in found]

        assert await read(limit=3) == ["d", "c", "b"]
        assert await read(limit=2, after=said[0]["id"]) == ["c", "b"]
        assert await read(limit=2, before=said[3]["id"]) == ["c", "b"]
        channel.denies("READ_MESSAGE_HISTORY")
        assert await read() == []


async def test_nobody_is_pinged_whom_the_message_may_not_ping(fake: Discord, channel: Channel, alice: Person) -> None:
    text = f"{alice.mention} @everyone"
    async with connected(fake) as bot:
        for allowed in ({"parse": []}, {"parse": [], "users": [alice.id]}, {"parse": ["users", "everyone"]}):
            await send(bot, channel, text, allowed_mentions=allowed)

    told = [
        ([one["username"] for one in message["mentions"]], message["mention_everyone"]) for message in fake.messages(channel)
    ]
    assert told == [([], False), (["alice"], False), (["alice"], False)]  # the bot has no right to mention everyone


async def test_what_people_change_and_remove_is_heard(fake: Discord, channel: Channel, alice: Person) -> None:
    class Watching(Bot):
        async def on_raw_message_edit(self, event: Any) -> None:
            self.heard.append(f"edited: {event.data['content']}")

        async def on_raw_message_delete(self, event: Any) -> None:
            self.heard.append(f"deleted: {event.message_id}")

    async with connected(fake, kind=Watching) as bot:
        said = await alice.says(channel, "one")
        await fake.until(lambda: bot.heard)  # the library changes the message that it gave to `on_message`
        await alice.edits(said, "two")
        await alice.deletes(said)
        await fake.until(lambda: len(bot.heard) == 3)

    assert bot.heard == ["one", "edited: two", f"deleted: {said['id']}"]
    assert fake.messages(channel) == []


async def test_typing_and_pins_are_taken(fake: Discord, channel: Channel) -> None:
    async with connected(fake) as bot:
        there = bot.get_channel(int(channel.id))
        await there.typing()
        message = await there.send("x")
        await message.pin()

    assert (channel.pins, fake.messages(channel)[0]["pinned"]) == ([str(message.id)], True)


async def test_nothing_of_discord_py_points_here_afterwards(fake: Discord) -> None:
    before = (Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY)
    with fake.patched():
        during = (Route.BASE, str(DiscordWebSocket.DEFAULT_GATEWAY))

    assert during == (fake.api, fake.gateway)
    assert before == (Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY)


async def test_files_are_kept_dropped_and_added_by_an_edit(fake: Discord, ask: Asking, channel: Channel) -> None:
    path = f"/channels/{channel.id}/messages"
    await ask("POST", path, data=form({}, ("a.txt", b"a"), ("b c.txt", b"b")))
    first = ask.body
    kept = {"attachments": [{"id": first["attachments"][1]["id"]}, {"id": 0, "filename": "d.yaml"}]}
    await ask("PATCH", f"{path}/{first['id']}", data=form(kept, ("d.yaml", b"dd")))

    assert [one["filename"] for one in first["attachments"]] == ["a.txt", "b_c.txt"]
    assert [(one["filename"], fake.file(one).content) for one in ask.body["attachments"]] == [
        ("b_c.txt", b"b"),
        ("d.yaml", b"dd"),
    ]


async def test_a_card_shows_a_file_that_came_with_it(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> None:
    heard = await alice.slash(channel, "show")
    card = {"flags": 1 << 15, "components": [{"type": 13, "file": {"url": "attachment://q.yaml"}}]}
    body = form({"type": 4, "data": card | {"attachments": [{"id": 0, "filename": "q.yaml"}]}}, ("q.yaml", b"a: 1"))
    said = await ask("POST", f"/interactions/{heard.id}/{heard.token}/callback", data=body)

    assert said == (204, None)
    assert heard.original is not None
    shown = heard.original["components"][0]
    assert (shown["name"], shown["size"], shown["file"]["url"]) == ("q.yaml", 4, heard.original["attachments"][0]["url"])


def form(payload: Any, *files: tuple[str, bytes]) -> aiohttp.FormData:
    made = aiohttp.FormData({"payload_json": json.dumps(payload)}, quote_fields=False)
    for number, (name, content) in enumerate(files):
        made.add_field(f"files[{number}]", content, filename=name)
    return made


async def test_an_interaction_says_what_the_bot_may_do_there(fake: Discord, guild: Guild, alice: Person) -> None:
    quiet = guild.channel("quiet", deny=["SEND_MESSAGES"])
    async with connected(fake) as bot:
        await alice.slash(quiet, "status")
        await fake.until(lambda: bot.asked)

    rights = bot.asked[0].app_permissions
    assert (rights.send_messages, rights.view_channel) == (False, True)


async def test_a_bot_that_gives_a_deaf_gateway_up_is_seen_to_go(fake: Discord, guild: Guild) -> None:
    fake.gateway_.heartbeat_s = 0.02
    async with connected(fake):
        fake.deaf()
        await fake.until(lambda: any(line.unheard for line in fake.gateway_.lines))
        before = set(fake.gateway_.lines)
        await fake.drop()
        fake.wake()
        await fake.until(lambda: fake.resumed == 1)

    assert before.isdisjoint(fake.gateway_.lines)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("no json", 4002),
        ({"op": 99, "d": {}}, 4003),
        ({"op": 2, "d": {"token": "wrong"}}, 4004),
        ({"op": 2, "d": {"token": "TOKEN", "intents": 1 << 40}}, 4013),
        ({"op": 6, "d": {"token": "TOKEN", "session_id": "gone", "seq": 1}}, 0),
    ],
)
async def test_the_gateway_closes_with_discords_codes(fake: Discord, said: Any, code: int) -> None:
    text = (said if isinstance(said, str) else json.dumps(said)).replace("TOKEN", fake.token)
    async with aiohttp.ClientSession() as session, session.ws_connect(fake.gateway) as line:
        hello = await line.receive_json()
        await line.send_str(text)
        answer = await line.receive(timeout=5)

    assert hello["op"] == 10
    assert (answer.data if code else json.loads(answer.data)["op"]) == (code or 9)
