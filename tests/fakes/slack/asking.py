"""Requests to the fake Slack as the bot makes them, but with no library between that mends or hides anything."""

from typing import Any

import aiohttp

from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json, Team


class Asking:
    """Call it with a method and its arguments: Slack's error comes back, "" where there is none; `body` has the answer."""

    def __init__(self, slack: Slack, team: Team, session: aiohttp.ClientSession) -> None:
        self.slack, self.team, self.session = slack, team, session
        self.body: Json = {}
        self.status = 0
        self.headers: Any = {}

    async def __call__(self, method: str, *, token: str | None = None, form: bool = False, **args: Any) -> str:
        held = self.team.bot_token if token is None else token
        head = {"Authorization": f"Bearer {held}"} if held else {}
        how: Json = {"data": args} if form else {"json": args}
        async with self.session.post(self.slack.api + method, headers=head, **how) as got:
            self.body, self.status, self.headers = await got.json(content_type=None), got.status, got.headers
        return str(self.body.get("error", ""))

    async def says(self, channel: Channel, **args: Any) -> Json:
        """Post a message; it comes back."""
        assert await self("chat.postMessage", channel=channel.id, **args) == "", self.body
        found: Json = self.body["message"]
        return found
