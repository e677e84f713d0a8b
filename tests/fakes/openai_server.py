"""A server on the loopback interface that sends exactly the bytes a test says, and keeps what it was sent.

    async with Server() as server:
        server.says("/v1/chat/completions", *streamed(chunk("Hello"), finished()))

What is said is used up one answer a request; the last one stays. A step is bytes to send, an event to wait for, or one of
CUT (the connection is torn), END (it is closed) and SILENCE (nothing comes until the peer goes).
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

CUT, END, SILENCE = "cut", "end", "silence"
Step = bytes | asyncio.Event | str
EVENTS = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}


@dataclass
class Asked:
    """A request; `gone` is set when the peer has closed the connection that it came on."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class Server:
    """`tls`: speaks TLS by it."""

    def __init__(
        self,
        models: tuple[Mapping[str, object], ...] = ({"id": "small", "owned_by": "labbot"},),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.asked: list[Asked] = []
        self.connections = 0
        self.lines: set[asyncio.Transport] = set()
        self.port = 0
        self._tls = tls
        self._said: dict[str, list[tuple[Step, ...]]] = {}
        self.says("/v1/models", answer(200, {"object": "list", "data": list(models)}))

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/v1"

    async def up(self) -> None:
        """Listen, after the first time at the same port."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Line(self), "127.0.0.1", self.port, ssl=self._tls, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        self._server.close()
        for line in list(self.lines):
            line.abort()
        await self._server.wait_closed()

    def says(self, path: str, *steps: Step) -> None:
        """Say this to a request; said again, to the next one."""
        self._said.setdefault(path, []).append(steps)

    def forgets(self, path: str) -> None:
        self._said.pop(path, None)

    def to(self, path: str) -> list[Asked]:
        """The requests that came for a path."""
        return [one for one in self.asked if one.path == path]

    def answer(self, asked: Asked) -> tuple[Step, ...]:
        self.asked.append(asked)
        there = self._said.get(asked.path)
        if not there:
            return (answer(404, {"detail": "Not Found"}),)
        return there.pop(0) if len(there) > 1 else there[0]


class _Line(asyncio.Protocol):
    """A connection."""

    def __init__(self, server: Server) -> None:
        self._server, self._bytes, self._gone = server, b"", asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        server.connections += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.lines.add(transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._server.lines.discard(self._transport)
        self._gone.set()

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        head, end, body = self._bytes.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if not end or len(body) < int(headers.get("content-length", 0)):
            return
        self._bytes = b""
        method, path, _ = first.split(" ")
        asked = Asked(method, path, headers, json.loads(body) if body else None, self._gone)
        self._work = asyncio.get_running_loop().create_task(self._say(self._server.answer(asked)))

    async def _say(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            if isinstance(step, asyncio.Event):
                await step.wait()
            elif step == SILENCE:
                await self._gone.wait()
            elif step == CUT:
                self._transport.abort()
            elif step == END:
                self._transport.close()
            elif isinstance(step, bytes) and not self._transport.is_closing():
                self._transport.write(step)


def head(status: int, headers: Mapping[str, str]) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} said", *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode()


def answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole answer in JSON; text and bytes are sent as they are."""
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return head(status, {"content-type": "application/json", "content-length": str(len(raw))} | dict(headers or {})) + raw


def part(raw: bytes) -> bytes:
    """A chunk of HTTP/1.1's transfer coding."""
    return b"%x\r\n%b\r\n" % (len(raw), raw)


def frame(value: object) -> bytes:
    """A server-sent event."""
    return part(b"data: %b\n\n" % (value if isinstance(value, bytes) else json.dumps(value).encode()))


def chunk(text: str | None, finish: str | None = None) -> bytes:
    delta = {} if text is None else {"content": text}
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return frame({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "small", "choices": choices})


def queued(position: int) -> bytes:
    return frame({"id": "c", "object": "chat.completion.chunk", "choices": [], "queue": {"position": position}})


def finished(reason: str = "stop") -> bytes:
    """The last chunk, [DONE], and the end of the answer."""
    return chunk(None, reason) + frame(b"[DONE]") + part(b"")


def streamed(*steps: Step) -> tuple[Step, ...]:
    return (head(200, EVENTS), *steps)


def said(text: str, finish: str = "stop") -> tuple[Step, ...]:
    """A whole streamed answer in one piece."""
    return streamed(chunk(text), finished(finish))
