"""What GitHub tells of itself, where this machine can be reached: a hint that a pull request is to be looked at.

A delivery is believed to be GitHub's by its signature, and heard once by its id. Nothing else of it is kept or trusted: it
says which pull requests to look at, and what is then told is what GitHub answers. It is accepted once the hint and the id lie
in Redis, both or neither; while Redis is away GitHub hears that it failed, and an operator can have it delivered again.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pipeline.errors import Temporary
from pipeline.github.rows import Rows, known
from pipeline.memory import Memory

if TYPE_CHECKING:  # they take time to import, which who only follows need not wait for
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

PATH = "/github/events"
MOST = 25 * 2**20  # bytes: GitHub sends no more
BELONG = ("check_run", "check_suite", "workflow_run")  # to a commit, and to pull requests of branches of the repository itself
ANSWER_S = 8.0  # GitHub waits 10

_DELIVERY = re.compile(r"[A-Za-z0-9-]{1,64}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def routes(memory: Memory, secret: str, repo: str) -> "list[BaseRoute]":
    """Where GitHub's deliveries about a repository come in; nowhere without the secret that they are signed with."""
    from starlette.requests import ClientDisconnect
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    rows = Rows(memory)

    async def events(request: "Request") -> "Response":
        try:
            body = await _body(request)
        except ClientDisconnect:
            return PlainTextResponse("", HTTPStatus.BAD_REQUEST)
        status, said = await _heard(rows, request.headers, body, secret, repo)
        return PlainTextResponse(f"{said}\n", status)

    return [Route(PATH, events, methods=["POST"])] if secret and repo else []


async def _body(request: "Request") -> bytes | None:
    """What was sent, None where it is more than GitHub sends."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST:
            return None
    return bytes(body)


async def _heard(rows: Rows, headers: Mapping[str, str], body: bytes | None, secret: str, repo: str) -> tuple[HTTPStatus, str]:
    """What a delivery is answered with, once what it hints at is written down."""
    if body is None:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is more than GitHub sends."
    if not _signed(headers.get("x-hub-signature-256", ""), body, secret):
        return HTTPStatus.UNAUTHORIZED, "The signature is not that of LABBOT_GITHUB_WEBHOOK_SECRET."
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Choose the content type application/json for this webhook."
    delivery, payload = headers.get("x-github-delivery", ""), _read(body)
    if not _DELIVERY.fullmatch(delivery) or not isinstance(payload, dict):
        return HTTPStatus.BAD_REQUEST, "That is no delivery of GitHub's."
    if known(str(_part(payload, "repository", "full_name"))) != known(repo):
        return HTTPStatus.ACCEPTED, "That is of no repository that is followed here."
    try:
        async with asyncio.timeout(ANSWER_S):
            count = await rows.hint(repo, set(numbers(payload)), set(commits(payload)), delivery)
    except (Temporary, TimeoutError):
        return HTTPStatus.SERVICE_UNAVAILABLE, "It could not be written down; deliver it again."
    return HTTPStatus.ACCEPTED, "It was heard before." if count < 0 else "Heard."


def _signed(signature: str, body: bytes, secret: str) -> bool:
    """Whether it is signed with the secret; SHA-1, which GitHub sends beside it, is not enough."""
    from gidgethub import ValidationFailure, sansio

    if not signature.isascii() or not signature.startswith("sha256="):
        return False
    try:
        sansio.validate_event(body, signature=signature, secret=secret)
    except ValidationFailure:
        return False
    return True


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def numbers(payload: Mapping[str, Any]) -> Iterator[int]:
    """The pull requests that a delivery is about. Checks name none whose branch lies in a fork: see `commits`."""
    parts = [_part(payload, "pull_request"), *(_part(payload, name) for name in BELONG)]
    lists = [_part(part, "pull_requests") for part in parts]
    named = [*parts, *(one for found in lists if isinstance(found, list) for one in found)]
    if _part(payload, "issue", "pull_request"):
        named.append(_part(payload, "issue"))
    for one in named:
        number = _part(one, "number")
        if isinstance(number, int) and not isinstance(number, bool) and number > 0:
            yield number


def commits(payload: Mapping[str, Any]) -> Iterator[str]:
    """The commits that a delivery is about: checks and statuses belong to one."""
    for path in (("sha",), *((name, "head_sha") for name in BELONG)):
        found = _part(payload, *path)
        if isinstance(found, str) and _COMMIT.fullmatch(found):
            yield found


def _part(value: Any, *names: str) -> Any:
    """What lies in it under these names, None where nothing does."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
