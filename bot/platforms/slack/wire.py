"""Calls to Slack's Web API with the patience that the library lacks: it retries nothing that it should, and a lost answer
to a new message by a second message.

A call that may be made twice is made again; of one that may not (a new message) somebody has to look first whether it was
done: `Unsure`. Retry-After is heeded.
"""

import asyncio
import json as json_module
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from functools import partial
from time import monotonic
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.talk import short
from bot.counts import Counts
from bot.ear import remember
from bot.platforms.slack.tiers import Tiers
from bot.platforms.slack.workspaces import REFUSED
from pipeline.errors import Temporary

log = logging.getLogger("labbot.slack")

WAITS_S = (0.2, 0.5, 1.0)  # before a call is made again; after the last the shell takes over
ANSWER_S = 15.0  # the longest wait for one answer
MOST_S = 30.0  # the longest Retry-After that a call waits out where it is
BASE = "https://slack.com/api/"
# Errors that say that Slack, not the call, is at fault; of some of them the call may have been done all the same.
AWAY = frozenset({"service_unavailable", "request_timeout", "team_added_to_org"})
PERHAPS = frozenset({"fatal_error", "internal_error"})
STAYS_S = 600.0  # an error of PERHAPS that the same call meets for so long is about the call
LIMITED = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})

Json = Mapping[str, Any]
Token = Callable[[str], Awaitable[str]]


class Refused(Exception):
    """Slack does not do that: `code` is its own word for why, as the page of the method lists it."""

    def __init__(self, method: str, code: str, told: str = "") -> None:
        super().__init__(f"{method}: {code}{f' ({told})' if told else ''}")
        self.method, self.code = method, code


class Unsure(Exception):
    """A call that must not be made twice was made, and nobody answered."""


class Wire:
    """Calls as the bot of a workspace, whose token `token` knows. Every one waits for its turn.

    `doubt` is told of a workspace whose token is not taken: what `token` says from then on was read anew.
    """

    def __init__(
        self, tiers: Tiers, counts: Counts, token: Token, base: str = BASE, doubt: Callable[[str], None] = lambda team: None
    ) -> None:
        self.tiers, self.counts, self.token, self.base, self.doubt = tiers, counts, token, base, doubt
        self._failing: OrderedDict[str, tuple[float, float]] = OrderedDict()  # calls: since when, and when last
        self._session: aiohttp.ClientSession | None = None
        self._client: AsyncWebClient | None = None

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def ask(
        self,
        team: str,
        method: str,
        *,
        twice: bool = True,
        turn: bool = True,
        edit: bool = False,
        **given: Any,
    ) -> dict[str, Any]:
        """Call a method in a workspace; None and "" are left out of `given`. `twice`: it may be made a second time.

        Raises Refused, Temporary, and Unsure where it may not be made twice and nobody answered.
        """
        data = {name: _worded(value) for name, value in given.items() if value not in (None, "")}
        patient = partial(self._patient, team, method, data, twice=twice, turn=turn, edit=edit)
        try:
            return await patient()
        except Refused as error:
            if error.code not in REFUSED:
                raise
            self.doubt(team)
            return await patient()

    async def _patient(self, team: str, method: str, data: Json, *, twice: bool, turn: bool, edit: bool) -> dict[str, Any]:
        """The answer to a call, which is made again where it may be."""
        for wait_s in (*WAITS_S, None):
            mine = self.tiers.turn(team, method, data.get("channel", ""), edit=edit) if turn else nullcontext()
            async with mine:
                answer = await self._once(team, method, data, twice=twice)
            if not isinstance(answer, float):
                return answer
            if wait_s is None:
                raise Temporary(f"Slack does not answer {method}")
            self.counts.retried += 1
            await asyncio.sleep(max(wait_s, answer))
        raise AssertionError("the last attempt returns or raises")

    async def _once(self, team: str, method: str, data: Json, *, twice: bool) -> dict[str, Any] | float:
        """The answer, or after how many seconds the call is to be made again."""
        headers = await self._headers(team, method)
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await self._api().api_call(method, data=dict(data), headers=headers)
            return dict(found.data) if isinstance(found.data, dict) else {}
        except SlackApiError as error:
            self._stays(team, method, data, error)
            return self._refused(team, method, error, twice=twice)
        except aiohttp.ClientConnectorError:
            return 0.0  # nothing was sent
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.info("slack: %s: %s", method, type(error).__name__)
            if not twice:
                raise Unsure(method) from error
            return 0.0

    def _stays(self, team: str, method: str, data: Json, error: SlackApiError) -> None:
        """Raise Refused where Slack has said for long that it failed at this very call: it would hold up all that waits."""
        code, now = _code(error), monotonic()
        if code not in PERHAPS:
            return
        name = short(f"{team} {method} {sorted(data.items())}", 24)
        since, last = self._failing.get(name, (now, now))
        if now - last > STAYS_S:
            since = now  # another time
        remember(self._failing, name, (since, now))
        if now - since > STAYS_S:
            raise Refused(method, code) from error

    def _refused(self, team: str, method: str, error: SlackApiError, *, twice: bool) -> float:
        """What is to be done about an answer that is none. Raises what it means, but where the call is to be made again."""
        status = int(getattr(error.response, "status_code", 0) or getattr(error.response, "status", 0))
        body = getattr(error.response, "data", None)
        code = _code(error)
        if status == 429 or code in LIMITED:
            after_s = _seconds(getattr(error.response, "headers", {}))
            self.counts.limited += 1
            self.tiers.refused(team, method, after_s)
            if after_s > MOST_S:
                raise Temporary(f"Slack wants to be left alone for {after_s:.0f} s") from error
            return after_s
        if not code and 400 <= status < 500 and status != 408:  # an answer that stays, of whatever stands before Slack
            raise Refused(method, f"http_{status}") from error
        if status >= 500 or code in PERHAPS or not code:
            if not twice:
                raise Unsure(method) from error
            return 0.0
        if code in AWAY:
            return 0.0
        told = body.get("response_metadata", {}).get("messages", []) if isinstance(body, dict) else []
        raise Refused(method, code, "; ".join(map(str, told))[:300]) from error

    async def send(self, url: str, content: bytes) -> None:
        """Upload a file to an address that Slack has given for it. Raises Refused, Temporary."""
        try:
            async with asyncio.timeout(ANSWER_S), self._http().post(url, data=content, allow_redirects=False) as answer:
                if answer.status == 429 or answer.status >= 500:
                    raise Temporary(f"Slack's file store answers {answer.status}")
                if answer.status != 200:
                    raise Refused("files", f"http_{answer.status}")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Temporary(f"Slack's file store does not answer: {type(error).__name__}") from error

    async def read(self, team: str, url: str, most_bytes: int, within_s: float) -> bytes | None:
        """A file of Slack's, or None where it is larger than that. Raises Refused, also where it takes longer, Temporary."""
        headers = await self._headers(team, "files")
        try:
            async with asyncio.timeout(within_s), self._http().get(url, headers=headers, allow_redirects=False) as answer:
                if answer.status != 200 or answer.content_type == "text/html":  # a page to log in at
                    raise Refused("files", "file_not_found")
                content = await answer.content.read(most_bytes + 1)
                while len(content) <= most_bytes and (more := await answer.content.read(most_bytes + 1 - len(content))):
                    content += more
                return content if len(content) <= most_bytes else None
        except TimeoutError as error:
            raise Refused("files", "timeout") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Temporary(f"Slack's file store does not answer: {type(error).__name__}") from error

    async def respond(self, url: str, body: Json) -> bool:
        """Answer by the address of an interaction (30 minutes, five times). False if it is not taken any more."""
        try:
            async with asyncio.timeout(ANSWER_S), self._http().post(url, json=dict(body), allow_redirects=False) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.info("slack: an interaction's address does not answer: %s", type(error).__name__)
            return False

    async def _headers(self, team: str, method: str) -> dict[str, str]:
        token = await self.token(team)
        if not token:
            raise Refused(method, "not_installed")
        return {"Authorization": f"Bearer {token}"}

    def _http(self) -> aiohttp.ClientSession:
        self._session = self._session or aiohttp.ClientSession()
        return self._session

    def _api(self) -> AsyncWebClient:
        if self._client is None:
            self._client = AsyncWebClient(base_url=self.base, session=self._http(), retry_handlers=[], timeout=int(ANSWER_S))
        return self._client


def _code(error: SlackApiError) -> str:
    """Slack's own word for an error, "" where there is none."""
    body = getattr(error.response, "data", None)
    return str(body.get("error", "")) if isinstance(body, dict) else ""


def _worded(value: Any) -> str:
    """A value as a form has it: what is nested as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json_module.dumps(value, ensure_ascii=False)


def _seconds(headers: Mapping[str, str]) -> float:
    """Retry-After, or a second where there is none that can be read."""
    given = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(given) if str(given).isdecimal() else 1.0
