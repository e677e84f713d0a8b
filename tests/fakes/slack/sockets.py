"""Socket Mode: connections with a ticket each, envelopes to one of them by chance, acks, and what a test may do to them.

An app has ten connections at most. A connection that is deaf takes what is sent to it and says nothing, no pong either, and
events go on being given to it, as to the zombies that users of Slack report.
"""

import asyncio
import json
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from aiohttp import WSMsgType, web

from tests.fakes.slack.state import Json

MOST = 10  # connections of an app
GONE = "the connection ended"


@dataclass(eq=False)
class Line:
    socket: web.WebSocketResponse
    deaf: bool = False
    asked: set[str] = field(default_factory=set)  # envelopes without an ack so far


class Sockets:
    """`up` is set while some connection hears; `opened` counts connections, `refused` those beyond ten."""

    def __init__(self, app_id: str) -> None:
        self.app_id, self.url = app_id, ""
        self.lines: list[Line] = []
        self.up = asyncio.Event()
        self.opened = self.refused = 0
        self.stray: list[Json] = []  # what clients sent that was no ack of anything asked
        self.all_deaf = False
        self._tickets: set[str] = set()
        self._waiting: dict[str, asyncio.Future[Json | None]] = {}
        self._chance = Random(7)

    def ticket(self) -> str:
        made = secrets.token_urlsafe(12)
        self._tickets.add(made)
        return f"{self.url}?ticket={made}&app_id={self.app_id}"

    async def connect(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=403)
        self._tickets.remove(ticket)
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        if len(self.lines) >= MOST:
            self.refused += 1
            await socket.send_json({"type": "disconnect", "reason": "too_many_websockets", "debug_info": {"host": "fake"}})
            await socket.close()
            return socket
        line = Line(socket, deaf=self.all_deaf)
        self.lines.append(line)
        self.opened += 1
        try:
            await self._talk(line)
        finally:
            self._gone(line)
        return socket

    async def _talk(self, line: Line) -> None:
        if not line.deaf:
            debug = {"host": "fake", "build_number": 1, "approximate_connection_time": 18060}
            hello = {"type": "hello", "num_connections": len(self.lines), "debug_info": debug}
            await line.socket.send_json(hello | {"connection_info": {"app_id": self.app_id}})
            self.up.set()
        async for said in line.socket:
            if line.deaf:
                continue
            if said.type is WSMsgType.PING:
                with suppress(ConnectionError):  # whoever asked may be gone
                    await line.socket.pong(said.data)
            elif said.type is WSMsgType.TEXT:
                self._said(line, json.loads(said.data))

    def _said(self, line: Line, said: Json) -> None:
        envelope = said.get("envelope_id", "")
        waiting = self._waiting.pop(envelope, None)
        line.asked.discard(envelope)
        if waiting is None:
            self.stray.append(said)
        elif not waiting.done():
            waiting.set_result(said.get("payload"))

    def _gone(self, line: Line) -> None:
        if line in self.lines:
            self.lines.remove(line)
        for envelope in line.asked:
            waiting = self._waiting.pop(envelope, None)
            if waiting is not None and not waiting.done():
                waiting.set_exception(ConnectionError(GONE))
        if not any(not one.deaf for one in self.lines):
            self.up.clear()

    async def give(self, kind: str, payload: Json, patience_s: float, retry: Json) -> Json | None:
        """Give an envelope to one of the connections; the ack's payload. Raises ConnectionError, TimeoutError."""
        if not self.lines:
            raise ConnectionError("no connection")
        line = self._chance.choice(self.lines)
        id = secrets.token_hex(12)
        waiting = self._waiting[id] = asyncio.get_running_loop().create_future()
        line.asked.add(id)
        envelope = {"envelope_id": id, "type": kind, "payload": payload, "accepts_response_payload": kind != "events_api"}
        try:
            if not line.deaf:
                await line.socket.send_json(envelope | retry)
            async with asyncio.timeout(patience_s):
                return await waiting
        finally:
            line.asked.discard(id)
            self._waiting.pop(id, None)

    async def drop(self, code: int = 1006) -> None:
        """Close every connection: without a word (1006), or with a code."""
        lines = self.lines[:]
        for line in lines:
            if code == 1006 and line.socket._req is not None and line.socket._req.transport is not None:
                line.socket._req.transport.abort()
            else:
                await line.socket.close(code=code)
        async with asyncio.timeout(10):
            while not self._over(lines):
                await asyncio.sleep(0.002)

    async def disconnect(self, reason: str = "refresh_requested", grace_s: float = 1.0) -> None:
        """Say that connections will end (warning), or are to be made anew (refresh_requested): these end after a grace."""
        told = [one for one in self.lines if not one.deaf]
        for line in told:
            await line.socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "fake"}})
        if reason == "warning":
            return
        ends = asyncio.get_running_loop().time() + grace_s
        while not self._over(told) and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(0.002)
        for line in told:
            await line.socket.close()

    def _over(self, lines: list[Line]) -> bool:
        return not any(line in self.lines for line in lines)

    def deaf(self, *, new: bool = False) -> None:
        """The connections of now, and with `new` those to come, hear nothing and say nothing."""
        self.all_deaf = new
        for line in self.lines:
            line.deaf = True
        self.up.clear()

    def wake(self) -> None:
        """Connections to come are not deaf."""
        self.all_deaf = False

    async def end(self) -> None:
        for line in self.lines[:]:
            await line.socket.close()
