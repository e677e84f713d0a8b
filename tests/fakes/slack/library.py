"""The real slack-bolt as a client of the fake Slack, which keeps what it hears: by Socket Mode or HTTP, as the fake says."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from tests.fakes.slack.server import Slack

PATH = "/slack/events"


class App(AsyncApp):
    """Acknowledges everything and keeps it; `wants` has what to acknowledge with, by type, callback or command."""

    def __init__(self, slack: Slack) -> None:
        async def authorize(team_id: str | None, **_: Any) -> AuthorizeResult:
            team = slack.world.teams[team_id or ""]
            return AuthorizeResult(
                enterprise_id=None, team_id=team.id, bot_id=team.bot_id, bot_user_id=team.bot_user, bot_token=team.bot_token
            )

        client = AsyncWebClient(base_url=slack.api)
        super().__init__(signing_secret=slack.signing_secret, client=client, authorize=authorize)
        self.events: list[Any] = []
        self.bodies: list[Any] = []
        self.requests: list[Any] = []
        self.wants: dict[str, Any] = {}
        self.use(self._keep)
        for kind in ("message", "app_mention", "app_home_opened", "app_uninstalled", "tokens_revoked"):
            self.event(kind)(self._event)
        for kind in ("agent_session_stopped", "assistant_thread_started", "member_joined_channel", "user_change"):
            self.event(kind)(self._event)
        self.event({"type": "message", "subtype": "message_changed"})(self._event)
        self.action(re.compile(""))(self._act)
        self.command("/lab")(self._act)
        self.shortcut("ask")(self._act)
        self.view("form")(self._act)
        self.view_closed("form")(self._act)

    async def _keep(self, req: Any, next: Any) -> None:
        self.requests.append(req)
        await next()

    async def _event(self, event: Any) -> None:
        self.events.append(event)

    async def _act(self, ack: Any, body: Any) -> None:
        self.bodies.append(body)
        said = self.wants.get(body.get("type") or body.get("command"))
        await (ack() if said is None else ack(**said) if isinstance(said, dict) else ack(said))


@asynccontextmanager
async def connected(slack: Slack, app: AsyncApp) -> AsyncIterator[None]:
    """The app hears; it is closed at the end."""
    if slack.mode == "http":
        runner = web.AppRunner(app.web_app(PATH), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        slack.events_url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
        try:
            yield
        finally:
            await runner.cleanup()
        return
    handler = AsyncSocketModeHandler(app, slack.app_token)
    await handler.connect_async()
    try:
        await slack.up.wait()
        yield
    finally:
        await handler.close_async()
