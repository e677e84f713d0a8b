"""The life of the Slack front end as a process, from the first connection to the last word; by socket or by HTTP."""

import json
from typing import TYPE_CHECKING

from bot.house import House
from bot.platforms.slack import keys as slack_keys
from bot.platforms.slack import manifest as slack_manifest
from bot.platforms.slack import oauth
from bot.platforms.slack.front import Front
from bot.platforms.slack.keys import Keys
from bot.serving import until_told
from bot.settings import Settings
from pipeline import secret

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import Message

MOST_BYTES = 2**20  # of what Slack tells: nobody else's is read to its end before the signature is looked at
CLOSE_S = 10.0  # for closing what is open


def keys(settings: Settings, http: str) -> Keys:
    """What the environment says Slack knows us by. Raises Invalid."""
    return slack_keys.read(settings.environment, http=http, url=settings.bot.platforms.slack.url)


def manifest(settings: Settings) -> str:
    """The manifest to make the app from, as JSON."""
    url, many = settings.bot.platforms.slack.url, bool(secret.read(settings.environment, slack_keys.CLIENT))
    return json.dumps(slack_manifest.manifest(settings.words, url, many=many), indent=2, ensure_ascii=False)


async def run(house: House, keys: Keys, http: str = "", *, works: bool = True) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status. `works`: carry runs too, where there are no workers.

    `http`: where /healthz and /metrics are, and what Slack calls: /slack/events unless Socket Mode is used.
    """
    from pipeline import http as web

    installs = oauth.store(house) if keys.client else None
    front = Front(house, keys, installs=installs)
    parts = [front.serve(), house.keep(), *([house.work()] if works else [])]
    if http:
        mounts = [*(oauth.routes(house, keys, installs) if installs else ()), *(() if front.link else events(front))]
        parts.append(web.serve(web.app(front.health, front.metrics, [*mounts, *house.hub.routes()]), *web.place(http)))
    await until_told(parts, front.leave, CLOSE_S)
    return 0


def events(front: Front) -> "list[BaseRoute]":
    """Where Slack tells what happens: slack-bolt checks that it is Slack (signature, five minutes)."""
    from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    assert front.keys.signing, "nobody is answered whose signature cannot be checked"
    handler = AsyncSlackRequestHandler(front.bolt)

    async def told(request: Request) -> Response:
        if not front.ready.is_set():
            return PlainTextResponse("not yet", 503)  # Slack tells it again in a minute
        body = await _body(request)
        if body is None:
            return PlainTextResponse("too much", 413)

        async def given() -> "Message":
            return {"type": "http.request", "body": body, "more_body": False}

        return await handler.handle(Request(request.scope, given))

    return [Route("/slack/events", told, methods=["POST"])]


async def _body(request: "Request") -> bytes | None:
    """What was sent, or None where it is more than MOST_BYTES, which is not read."""
    said = request.headers.get("content-length", "0")
    if not said.isdecimal() or int(said) > MOST_BYTES:
        return None
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)
