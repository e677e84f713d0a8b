"""The workspaces that have installed labbot, and who it is there: one by its token, or many by their installations."""

import asyncio
import logging
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from pipeline.errors import Invalid, Problem, Temporary

log = logging.getLogger("labbot.slack")

KEPT_S = 300.0  # that long an installation is believed before it is read anew
REFUSED = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type"}
)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace as labbot is in it: the bot's token, its user and its bot id."""

    team: str
    token: str
    user: str
    bot: str

    def __repr__(self) -> str:
        return f"Workspace({self.team!r})"


class Installed(Protocol):
    """Where installations are kept: see `installs.py`."""

    async def workspace(self, team: str, enterprise: str = "") -> Workspace | None:
        """A workspace by its id; None if labbot is not, or no longer, installed there."""

    async def erase(self, team: str, enterprise: str = "") -> None:
        """Forget a workspace's tokens."""


class Workspaces:
    """Finds the workspace of an event. Without `installs` there is one, the token's own.

    `refused` is Slack's word for why it does not take that token any more, "" while it does.
    """

    def __init__(self, token: str, base: str, installs: Installed | None = None) -> None:
        self.token, self.base, self.installs = token, base, installs
        self.refused = ""
        self._found: dict[str, tuple[float, Workspace]] = {}
        self._lock = asyncio.Lock()

    async def of(self, team: str, enterprise: str = "") -> Workspace | None:
        """None where labbot is not installed; `enterprise` is an event's. Raises Temporary while the memory is away."""
        kept = self._found.get(team)
        if kept and (self.installs is None or monotonic() - kept[0] < KEPT_S):
            return kept[1]
        async with self._lock:
            try:
                found = await self.installs.workspace(team, enterprise) if self.installs else await self._alone()
            except Temporary:
                if kept is None:
                    raise
                found = kept[1]
            if found is None or (self.installs is None and found.team != team):
                return None
            self._found[team] = (monotonic(), found)
            return found

    async def bot_token(self, team: str) -> str:
        """The bot's token there, "" where labbot is not installed. Raises Temporary while the memory is away."""
        found = await self.of(team)
        return found.token if found else ""

    def doubt(self, team: str) -> None:
        """Slack did not take a workspace's token: it is read anew when it is asked for."""
        self._found.pop(team, None)

    async def _alone(self) -> Workspace | None:
        """The workspace of the token; None where Slack does not take it any more, which `refused` tells from then on."""
        try:
            return await self.own()
        except Invalid as error:
            log.warning("slack: %s", error)
            return None

    async def own(self) -> Workspace:
        """The workspace of the token. Raises Invalid where Slack does not take it, Temporary where Slack is away."""
        for _, one in self._found.values():
            return one
        asking = AsyncWebClient(token=self.token, base_url=self.base)
        try:
            found = await asking.auth_test()
        except SlackApiError as error:
            code = str(error.response.get("error", "")) if error.response else ""
            if code in REFUSED:
                self.refused = code
                raise refused("LABBOT_SLACK_BOT_TOKEN", code) from None
            raise Temporary(f"Slack does not say who the token is: {code or 'no answer'}") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Temporary(f"Slack does not answer: {type(error).__name__}") from None
        made = Workspace(str(found["team_id"]), self.token, str(found["user_id"]), str(found.get("bot_id") or ""))
        self._found[made.team], self.refused = (monotonic(), made), ""
        return made

    async def gone(self, team: str, enterprise: str = "") -> None:
        """labbot was taken out of a workspace: its tokens go."""
        self._found.pop(team, None)
        if self.installs:
            await self.installs.erase(team, enterprise)
        else:
            self.refused = "token_revoked"


def refused(name: str, code: str) -> Invalid:
    return Invalid(
        Problem(
            "slack.token",
            f"Slack does not take it ({code}).",
            name,
            "Take the newest one from the app's page at api.slack.com/apps; README.md says which is where.",
        )
    )
