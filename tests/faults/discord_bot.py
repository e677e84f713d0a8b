"""The bot of `tests.faults.discord`: the house and the front end as `labbot discord` has them, told where Discord is.

Waits are shorter than in life, so that a round takes seconds; what it does is the same.
"""

from typing import Any

import aiohttp
import yarl
from discord.asset import Asset
from discord.backoff import ExponentialBackoff
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.house import House
from bot.platforms.discord import answering, wire
from bot.platforms.discord.budget import Budget
from bot.platforms.discord.front import Front
from bot.settings import Settings
from tests.faults import mortal
from tests.faults.discord_person import plain
from tests.faults.mortal import Points

LATE_S = 20.0  # a busy machine must not make an answer late: the fake waits longer too


async def serve(loaded: Settings, told: dict[str, Any]) -> None:
    """Serve until SIGTERM, or the point at which it dies."""
    points = Points(told["die_at"], plain)
    patch(told, points)

    def front(house: House) -> Front:
        made = Front(house, told["token"], pace_s=0.0, budget=Budget(times=1000))
        made.answering.defer_s = told["defer_s"]
        made.client._connection.guild_ready_timeout = 0  # the fake tells of its guilds at once
        made.client.before_identify_hook = _at_once  # type: ignore[method-assign]  # the fake sets no limit to that
        return made

    await mortal.serve(loaded, told, points, front, {"platforms.discord.message_content": "true"})


async def _at_once(shard_id: int | None, *, initial: bool = False) -> None:
    """No pause of 5 s before a session is begun anew."""


def patch(told: dict[str, Any], points: Points) -> None:
    """Where Discord is; that every request is a point; and waits that are for busier times."""
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY, Asset.BASE = told["api"], yarl.URL(told["gateway"]), told["cdn"]
    ExponentialBackoff.delay = lambda self: 0.01  # type: ignore[method-assign]
    answering.LATE_S, wire.WAITS_S = LATE_S, (0.01, 0.02, 0.05)
    asked = aiohttp.ClientSession._request

    async def request(self: aiohttp.ClientSession, method: str, url: Any, **given: Any) -> aiohttp.ClientResponse:
        path = str(url).removeprefix(told["api"])
        if path == str(url):
            return await asked(self, method, url, **given)
        answer: aiohttp.ClientResponse = await points.around(f"{method} {path}", asked(self, method, url, **given))
        return answer

    aiohttp.ClientSession._request = request  # type: ignore[method-assign]
