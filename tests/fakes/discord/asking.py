"""Requests to the fake Discord as the bot makes them, but with no library between that mends or hides anything."""

from typing import Any

import aiohttp

from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel, Json

Said = tuple[int, int | None]  # the status, and Discord's code where there is one


class Asking:
    """Requests as the bot makes them, but with no library between."""

    def __init__(self, fake: Discord, session: aiohttp.ClientSession) -> None:
        self.fake, self.session = fake, session
        self.body: Any = {}  # of the last answer

    async def __call__(self, method: str, path: str, body: Any = None, *, token: str = "", **more: Any) -> Said:
        head = {"Authorization": f"Bot {token or self.fake.token}"}
        async with self.session.request(method, self.fake.api + path, json=body, headers=head, **more) as got:
            self.body = await got.json(content_type=None) if got.status != 204 else {}
            return got.status, self.body.get("code") if isinstance(self.body, dict) else None

    async def says(self, channel: Channel, **body: Any) -> Json:
        await self("POST", f"/channels/{channel.id}/messages", body)
        return self.body

    @property
    def fields(self) -> list[str]:
        """The codes of the fields that were wrong, with where they stand."""
        return sorted(_codes(self.body.get("errors", {}), ""))


def _codes(tree: Json, path: str) -> list[str]:
    here = [f"{path}: {one['code']}" for one in tree.get("_errors", [])]
    return here + [
        code for key, inner in tree.items() if key != "_errors" for code in _codes(inner, f"{path}.{key}".strip("."))
    ]
