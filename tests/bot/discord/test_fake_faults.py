"""What goes wrong on the way to the fake Discord on demand, and its rate limits."""

import asyncio
import errno
from typing import Any

import aiohttp
import pytest
from discord import (
    DiscordServerError,
    HTTPException,
)
from discord.http import Route

from tests.fakes.discord.library import Bot, connected
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel

MESSAGES = r"/channels/\d+/messages"


async def send(bot: Bot, channel: Channel, text: str, **more: Any) -> Any:
    route = Route("POST", "/channels/{channel_id}/messages", channel_id=channel.id)
    return await bot.http.request(route, json={"content": text} | more)


@pytest.mark.parametrize("kind", ["429", "502"])
async def test_what_discord_py_tries_again_works_in_the_end(
    fake: Discord, channel: Channel, kind: Any, monkeypatch: Any
) -> None:
    naps: list[float] = []

    async def nap(seconds: float, real: Any = asyncio.sleep) -> None:
        naps.append(seconds)
        await real(0)

    async with connected(fake) as bot:
        fault = fake.fail("POST", MESSAGES, kind, seconds=0.01)
        monkeypatch.setattr("discord.http.asyncio.sleep", nap)
        await send(bot, channel, "hi")

    assert fault.met == 1
    assert [one.status for one in fake.requests if one.method == "POST"] == [int(kind), 200]
    assert [one["content"] for one in fake.messages(channel)] == ["hi"]


@pytest.mark.parametrize(
    ("kind", "error", "done"),
    [
        ("503", DiscordServerError, 0),
        ("429-cloudflare", HTTPException, 0),
        ("reset", aiohttp.ClientOSError, 0),
        ("lost", aiohttp.ServerDisconnectedError, 1),
    ],
)
async def test_what_discord_py_does_not_try_again_is_raised(
    fake: Discord, channel: Channel, kind: Any, error: type[Exception], done: int
) -> None:
    async with connected(fake) as bot:
        fake.fail("POST", MESSAGES, kind)
        with pytest.raises(error) as raised:
            await send(bot, channel, "hi")
        await fake.until(lambda: len(fake.messages(channel)) == done)
        await send(bot, channel, "and again")

    assert type(raised.value) is error
    assert len(fake.messages(channel)) == done + 1


async def test_a_reset_is_one(fake: Discord, channel: Channel) -> None:
    fake.fail("*", MESSAGES, "reset")
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientOSError) as raised:
            await session.post(f"{fake.api}/channels/{channel.id}/messages")

    assert raised.value.errno == errno.ECONNRESET


async def test_a_slow_request_takes_its_time_and_is_done(fake: Discord, channel: Channel) -> None:
    async with connected(fake) as bot:
        fake.fail("POST", MESSAGES, "slow", seconds=0.2)
        sending = asyncio.get_running_loop().create_task(send(bot, channel, "hi"))
        await fake.until(lambda: fake.requests[-1].fault == "slow")
        before = fake.messages(channel)
        await sending

    assert (before, len(fake.messages(channel))) == ([], 1)


async def test_real_limits_stop_the_sixth_message_and_the_headers_say_so() -> None:
    async with Discord(real_limits=True) as fake, aiohttp.ClientSession() as session:
        channel = fake.guild("lab").channel("general")
        url, head = f"{fake.api}/channels/{channel.id}/messages", {"Authorization": f"Bot {fake.token}"}
        got = [await session.post(url, json={"content": "x"}, headers=head) for _ in range(6)]
        body = await got[5].json()
        fake.clock += 5
        later = await session.post(url, json={"content": "x"}, headers=head)

        assert [one.status for one in (*got, later)] == [200, 200, 200, 200, 200, 429, 200]
        assert [one.headers["X-RateLimit-Remaining"] for one in got] == ["4", "3", "2", "1", "0", "0"]
        assert (body["global"], 0 < body["retry_after"] <= 5, "Via" in got[5].headers) == (False, True, True)


async def test_everything_together_is_limited_but_for_interactions() -> None:
    async with Discord(real_limits=True) as fake, aiohttp.ClientSession() as session:
        head = {"Authorization": f"Bot {fake.token}"}
        urls = [f"{fake.api}/users/{number}" for number in range(1, 52)]
        fake.pace.windows[("GET", "/users/{user_id}", "", "", "", "", "")] = type(fake.pace.all)(1000, 5.0)
        got = [await session.get(url, headers=head) for url in urls]
        free = await session.post(f"{fake.api}/interactions/1/token/callback", json={"type": 6})

        assert {one.status for one in got[:50]} == {404}
        assert (got[50].status, got[50].headers["X-RateLimit-Global"], free.status) == (429, "true", 404)
