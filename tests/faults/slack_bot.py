"""The bot of `tests.faults.slack`: the house and the front end as `labbot slack` has them, told where Slack is.

Waits are shorter than in life, so that a round takes seconds; what it does is the same.
"""

from typing import Any

import aiohttp

from bot.house import House
from bot.platforms.slack import wire
from bot.platforms.slack.front import Front
from bot.platforms.slack.keys import Keys
from bot.platforms.slack.tiers import Tiers
from bot.settings import Settings
from tests.faults import mortal
from tests.faults.mortal import Points
from tests.faults.slack_person import plain

PING_S = 0.2  # a tenth of it passes until a connection is noticed


async def serve(loaded: Settings, told: dict[str, Any]) -> None:
    """Serve until SIGTERM, or the point at which it dies."""
    points = Points(told["die_at"], plain)
    patch(told, points)

    def front(house: House) -> Front:
        made = Front(house, Keys(told["bot"], told["app"]), pace_s=0.0, tiers=Tiers(times=1000), base=told["api"])
        assert made.link
        made.link.ping_s = PING_S
        return made

    await mortal.serve(loaded, told, points, front, {})


def patch(told: dict[str, Any], points: Points) -> None:
    """Every request to Slack and every acknowledgement is a point; waits are for busier times."""
    wire.WAITS_S = (0.01, 0.02, 0.05)
    asked, acked = aiohttp.ClientSession._request, aiohttp.ClientWebSocketResponse.send_str

    async def request(self: aiohttp.ClientSession, method: str, url: Any, **given: Any) -> aiohttp.ClientResponse:
        path = str(url).removeprefix(told["base"])
        if path == str(url):
            return await asked(self, method, url, **given)
        answer: aiohttp.ClientResponse = await points.around(f"{method} {path}", asked(self, method, url, **given))
        return answer

    async def ack(self: aiohttp.ClientWebSocketResponse, data: str, compress: int | None = None) -> None:
        await points.around("the ack", acked(self, data, compress))

    aiohttp.ClientSession._request = request  # type: ignore[method-assign]
    aiohttp.ClientWebSocketResponse.send_str = ack  # type: ignore[method-assign]
