"""What every request to the server passes first: size, kind, key, and a line in the log under the request's id.

The line has who asked for what path, the status and the seconds, and what the endpoint adds in `scope["said"]`; never a
word of a prompt or an answer.

There is no CORS, so no page of another origin can read an answer. A page could still send a form, which browsers do
without asking: bodies must be JSON by their type, which they do not send so. And where there is no key, the name in
`Host` must be this machine's own, so that no name that somebody pointed here (DNS rebinding) makes a page of ours.
"""

import hmac
import logging
import re
import secrets
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("labpipe.serve")

BODY_BYTES = 8 * 2**20  # a full context of a million tokens and room for its JSON
OPEN = frozenset({"/health"})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Guard:
    """ASGI middleware. `key`: "" where none is asked for, which loopback alone may have."""

    def __init__(self, app: ASGIApp, key: str = "") -> None:
        self.app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        scope["id"] = name = given if _ID.fullmatch(given) else secrets.token_hex(8)
        scope["said"] = {}
        began = time.monotonic()
        status = 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", name.encode())]
            await send(message)

        try:
            await (self._refused(scope, headers) or self.app)(scope, receive, sent)
        except ClientDisconnect:
            scope["said"]["reason"] = "the client went away"
        except Exception as broken:
            log.error("%s broke: %s", name, _place(broken))  # Starlette has answered, and raises it again
        finally:
            if scope["path"] not in OPEN:
                said = "".join(f" {key}={value}" for key, value in scope["said"].items())
                seconds = time.monotonic() - began
                log.info("%s %s %s %d%s %.3f s", name, scope["method"], scope["path"], status, said, seconds)

    def _refused(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        if scope["path"] in OPEN:
            return None
        if self._key and not hmac.compare_digest(_bearer(headers), self._key):
            message = "This server asks for its key: send it as `Authorization: Bearer KEY`."
            response = refusal(401, message, kind="authentication_error", code="invalid_api_key")
            response.headers["www-authenticate"] = "Bearer"
            return response
        if not self._key and _host(headers) not in LOOPBACK:
            message = "This server has no key and answers to the names of its own machine only: use 127.0.0.1."
            return refusal(403, message, code="foreign_host")
        if scope["method"] == "POST":
            return self._refused_body(headers)
        return None

    def _refused_body(self, headers: Mapping[str, str]) -> Response | None:
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return refusal(415, "Send JSON, with the header `Content-Type: application/json`.", code="not_json")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > BODY_BYTES:
            return too_large()
        return None


def refusal(
    status: int, message: str, *, kind: str = "invalid_request_error", param: str | None = None, code: str = ""
) -> JSONResponse:
    return JSONResponse(error(message, kind, param, code), status)


def too_large() -> JSONResponse:
    return refusal(413, f"The body is larger than {BODY_BYTES:,} bytes.", code="body_too_large")


def error(message: str, kind: str, param: str | None = None, code: str | int = "") -> dict[str, Any]:
    """OpenAI's error object."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code or None}}


def _place(error: BaseException) -> str:
    """Kinds and places of an error and what led to it, without its words: they may quote what a person wrote."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    before = error.__cause__ or error.__context__
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else (before,) if before else ()
    return "; after ".join([f"{type(error).__name__} at {places}", *(_place(one) for one in inner)])


def _bearer(headers: Mapping[str, str]) -> bytes:
    kind, _, key = headers.get("authorization", "").partition(" ")
    return key.strip().encode() if kind.lower() == "bearer" else b""


def _host(headers: Mapping[str, str]) -> str:
    """The name in `Host`, without its port."""
    return re.sub(r":\d+$", "", headers.get("host", "")).lower()
