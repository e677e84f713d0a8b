"""Requests to Discord by the library's own client, with the care that it does not take: resets, 503, lost connections.

discord.py 2.7 tries again after 500, 502, 504 and 429 with a `Via`, never after 503, a reset or a connection that was cut;
where a token of an interaction is, after every 5xx, but only after seconds.
What Discord refuses comes out as `Refused` with its code; what may come later as `Temporary`, which the shell insists on.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import aiohttp
import discord
from discord.http import HTTPClient, Route
from discord.webhook.async_ import async_context

from bot.counts import Counts
from bot.platforms.discord.budget import Budget
from pipeline.errors import Temporary

log = logging.getLogger("labbot.discord")

WAITS_S = (0.2, 0.5, 1.0)  # before a request is sent again; after the last the shell takes over
ANSWER_S = 10.0  # the longest wait for one answer, the library's own patience with a busy Discord included in none of them
BLOCKED_S = 60.0  # rest after a 429 that is not from Discord itself but from what stands before it
MOST_S = 30.0  # the longest pause (429) that a request waits out where it is; discord.py allows no less

File = tuple[str, bytes]


class Refused(Exception):
    """Discord does not do that: `code` is its own (its page "opcodes and status codes"), `status` that of HTTP."""

    UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, UNKNOWN_INTERACTION = 10003, 10008, 10062
    ANSWERED = 40060  # the interaction has its answer already
    NO_ACCESS, NO_DIRECT, NO_PERMISSION, BAD_TOKEN = 50001, 50007, 50013, 50027
    OLD = 30046  # too many edits of a message that is older than an hour
    ARCHIVED = 50083
    FORM = 50035  # something in the request is not as it must be
    THREAD_EXISTS = 160004
    NO_THREADS = 50024  # not in a channel of that kind: voice, for one

    def __init__(self, code: int, status: int, text: str) -> None:
        super().__init__(f"{status} {code}: {text}")
        self.code, self.status = code, status


class Unsure(Exception):
    """A request that must not be sent twice was sent, and nobody answered."""


class Wire:
    """Requests as the bot, and answers to interactions by their tokens. Every one waits for its turn in the budget."""

    def __init__(self, http: HTTPClient, budget: Budget, counts: Counts) -> None:
        self.http, self.budget, self.counts = http, budget, counts
        self._session: aiohttp.ClientSession | None = None
        self._blocked_until = 0.0

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        room: str = "",
        json: object = None,
        files: Sequence[File] = (),
        query: Mapping[str, str] | None = None,
        twice: bool = True,
        turn: bool = True,
        **ids: str,
    ) -> Any:
        """Send a request, again where it may be sent `twice`. `room` is the channel whose budget it is part of.

        Raises Refused, Temporary, and Unsure where it may not be sent twice and nobody answered.
        """
        route = Route(method, path, **ids, **({"channel_id": room} if room else {}))
        given: dict[str, Any] = {"params": query} if query else {}
        if files:
            given["form"] = form(json, files)
        elif json is not None:
            given["json"] = json

        async def once() -> Any:
            counted = room if method in ("POST", "PATCH") else ""
            mine = self.budget.turn(counted, new=method == "POST") if turn else nullcontext()
            async with mine, asyncio.timeout(ANSWER_S + MOST_S):
                return await self.http.request(route, **given)

        return await self._insist(once, twice=twice)

    async def answer(
        self, path: str, ids: tuple[str, str], *, method: str = "POST", json: object = None, files: Sequence[File] = ()
    ) -> Any:
        """A request by the token of an interaction: `ids` are what the path calls webhook_id and webhook_token."""
        route = Route(method, path, webhook_id=ids[0], webhook_token=ids[1])
        multipart = form(json, files) if files else None
        query = {"with_response": "true"} if path.startswith("/interactions") else None

        async def once() -> Any:
            self._session = self._session or aiohttp.ClientSession(raise_for_status=_there)
            async with asyncio.timeout(ANSWER_S):
                return await async_context.get().request(
                    route,
                    self._session,
                    payload=json if json is not None and not files else None,  # type: ignore[arg-type]  # a dict, as JSON is here
                    multipart=multipart,
                    params=query,
                )

        return await self._insist(once, twice=True)

    async def _insist(self, once: Any, *, twice: bool) -> Any:
        for wait_s in (*WAITS_S, None):
            async with self._understood():
                try:
                    return await once()
                except (discord.DiscordServerError, aiohttp.ClientError, OSError, TimeoutError) as error:
                    log.info("discord: %s", _told(error))
                    if not twice and not isinstance(error, aiohttp.ClientConnectorError):
                        raise Unsure(_told(error)) from error
                    if wait_s is None:
                        raise Temporary(f"Discord does not answer: {_told(error)}") from error
                self.counts.retried += 1
            await asyncio.sleep(wait_s or 0)
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def _understood(self) -> AsyncIterator[None]:
        """What the library raises, as what it means."""
        now = asyncio.get_running_loop().time()
        if now < self._blocked_until:
            raise Temporary("Discord refuses everything for now")
        try:
            yield
        except discord.RateLimited as error:
            raise Temporary(f"Discord is to be left alone for {error.retry_after:.0f} s") from error
        except discord.HTTPException as error:
            if error.status == 429 and error.response.headers.get("Via"):  # Discord's own, for one route
                raise Temporary("Discord is to be left alone there for now") from error
            if error.status == 429:
                self._blocked_until = now + BLOCKED_S
                raise Temporary("Discord refuses everything for now") from error
            raise Refused(error.code, error.status, error.text) from error

    async def read(self, url: str, most_bytes: int, within_s: float) -> bytes | None:
        """A file of Discord's, or None where it is larger than that. Raises Refused, also where it takes longer, Temporary."""
        self._session = self._session or aiohttp.ClientSession(raise_for_status=_there)
        try:
            async with asyncio.timeout(within_s), self._session.get(url, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise Refused(0, answer.status, "the file is gone")
                content = await answer.content.read(most_bytes + 1)
                while len(content) <= most_bytes and (more := await answer.content.read(most_bytes + 1 - len(content))):
                    content += more
                return content if len(content) <= most_bytes else None
        except TimeoutError as error:
            raise Refused(0, 408, f"it did not come within {within_s:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Temporary(f"Discord's file store does not answer: {_told(error)}") from error


async def _there(answer: aiohttp.ClientResponse) -> None:
    """Raise what a Discord that is away says (5xx): the library would wait for seconds, longer than an interaction lives."""
    if answer.status >= 500:
        answer.raise_for_status()


def form(payload: object, files: Sequence[File]) -> list[dict[str, Any]]:
    """A message with files, as the parts of a form."""
    parts: list[dict[str, Any]] = [{"name": "payload_json", "value": json.dumps(payload), "content_type": "application/json"}]
    for index, (name, content) in enumerate(files):
        kind = "application/octet-stream"
        parts.append({"name": f"files[{index}]", "value": content, "filename": name, "content_type": kind})
    return parts


def _told(error: Exception) -> str:
    """An error without addresses: those of interactions hold their tokens."""
    return f"{type(error).__name__} {getattr(error, 'status', '')}".strip()
