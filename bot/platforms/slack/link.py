"""Socket Mode: one connection, looked after, and built anew where it is there and deaf.

The library reconnects by itself when a connection closes or its pings are not answered, and has been seen to sit on a dead
one for hours all the same (python-slack-sdk#1110, #1701). So it is watched from outside, by the same pings.
"""

import asyncio
import logging
from collections.abc import Callable

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.platforms.slack.workspaces import REFUSED, refused
from pipeline.errors import Temporary

log = logging.getLogger("labbot.slack")

PING_S = 5.0  # between two pings; the library takes four unanswered ones for a dead connection
DEAF_S = 40.0  # without a sound connection: it is built anew
AGAIN_S = (1.0, 2.0, 5.0, 10.0, 30.0)  # between attempts to connect


class Link:
    """Hands what comes over Socket Mode to `app`. `ready` is called whenever Slack says something."""

    def __init__(self, app: AsyncApp, token: str, base: str, ready: Callable[[], None] = lambda: None) -> None:
        self.app, self.token, self.base, self.ready = app, token, base, ready
        self.ping_s, self.deaf_s = PING_S, DEAF_S
        self.well_at = 0.0  # when the connection was sound last, by the loop's time

    def deaf(self) -> bool:
        """Whether nothing can have been heard for too long."""
        return asyncio.get_running_loop().time() - self.well_at > self.deaf_s

    async def serve(self) -> None:
        """Stay connected until cancelled. Raises Invalid where Slack does not take the token."""
        waits = iter(AGAIN_S)
        self.well_at = asyncio.get_running_loop().time()
        while True:
            try:
                address = await self._address()
                waits = iter(AGAIN_S)
                await self._connected(address)
                log.warning("slack: the connection was deaf and is built anew")
            except Temporary as error:
                log.warning("slack: no connection yet: %s", error)
                await asyncio.sleep(next(waits, AGAIN_S[-1]))

    async def _address(self) -> str:
        asking = AsyncWebClient(token=self.token, base_url=self.base)
        try:
            return str((await asking.apps_connections_open(app_token=self.token))["url"])
        except SlackApiError as error:
            code = str(error.response.get("error", "")) if error.response else ""
            if code in REFUSED:
                raise refused("LABBOT_SLACK_APP_TOKEN", code) from None
            raise Temporary(f"Slack gives no connection: {code or 'no answer'}") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Temporary(f"Slack does not answer: {type(error).__name__}") from None

    async def _heard(self, _: object = None) -> None:
        """Slack has said something: the library calls a connection sound that has only been made."""
        self.well_at = asyncio.get_running_loop().time()
        self.ready()

    async def _connected(self, address: str) -> None:
        """Serve over one connection, and what the library makes of it, until it is deaf."""
        asking = AsyncWebClient(token=self.token, base_url=self.base)
        handler = AsyncSocketModeHandler(self.app, self.token, web_client=asking, ping_interval=self.ping_s)
        handler.client.wss_uri = address
        handler.client.on_message_listeners.append(self._heard)
        loop, client = asyncio.get_running_loop(), handler.client
        try:
            connecting = asyncio.create_task(client.connect())  # type: ignore[no-untyped-call]  # slack_sdk leaves it so
            began, pong = loop.time(), client.last_ping_pong_time
            while loop.time() - max(self.well_at, began) < self.deaf_s:
                await asyncio.sleep(self.ping_s / 10)
                before, pong = pong, client.last_ping_pong_time
                if before and pong and before != pong:  # the first it sets itself, when it asks
                    await self._heard()
            connecting.cancel()
        finally:
            await handler.client.close()  # type: ignore[no-untyped-call]  # the same
