"""The gateway: sessions that outlive their connections, and what a test may do to either.

Gateway v10, JSON, zlib-stream (one compressobj a connection, Z_SYNC_FLUSH after each payload) or plain text. A session keeps
everything that it was to be given; RESUME gives what came after the number that the client names, however much later: a
session ends when a test ends it, or by the code that its connection was closed with. Not here: voice, presence, and the
pause between two IDENTIFYs (5 s).
"""

import asyncio
import json
import secrets
import zlib
from collections import deque
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from tests.fakes.discord.state import DM, Channel, Json, World

GUILDS, MEMBERS, GUILD_MESSAGES, DIRECT_MESSAGES, CONTENT = 1 << 0, 1 << 1, 1 << 9, 1 << 12, 1 << 15
PRESENCES = 1 << 8
PRIVILEGED = MEMBERS | PRESENCES | CONTENT
EVERY_INTENT = (1 << 26) - 1
LARGEST_BYTES = 4096  # of a payload that a client sends
MOST_SENT, IN_S = 120, 60.0  # payloads that a client may send in so many seconds
KEPT = 5000  # events of a session that can be resumed
ENDED = {1000, 1001, 4004, 4007, 4009, 4010, 4011, 4012, 4013, 4014}  # closes after which there is nothing to resume


@dataclass(eq=False)
class Line:
    """A connection. `queue` is written by a task of its own; a number in it is the code to close with.

    `unheard` is what the client said to a deaf gateway: it is read, so that the end of the connection is seen.
    """

    socket: web.WebSocketResponse
    request: web.BaseRequest
    deflate: Any  # zlib's compressobj, or None
    queue: asyncio.Queue[bytes | int] = field(default_factory=asyncio.Queue)
    session: "Session | None" = None
    unheard: list[str] = field(default_factory=list)
    sent: deque[float] = field(default_factory=deque)  # when the client sent something
    code: int = 0  # that it was closed with from here

    def say(self, op: int, data: Any) -> None:
        self.queue.put_nowait(_raw({"op": op, "d": data, "s": None, "t": None}))

    async def write(self, awake: asyncio.Event) -> None:
        while not self.socket.closed:
            raw = await self.queue.get()
            await awake.wait()
            if isinstance(raw, int):
                return await self.close(raw)
            if self.deflate is None:
                await self.socket.send_str(raw.decode())
            else:
                await self.socket.send_bytes(self.deflate.compress(raw) + self.deflate.flush(zlib.Z_SYNC_FLUSH))

    async def close(self, code: int) -> None:
        self.code = code
        await self.socket.close(code=code)

    def cut(self) -> None:
        """The connection is gone, without a word."""
        if self.request.transport is not None:
            self.request.transport.abort()


@dataclass(eq=False)
class Session:
    id: str
    intents: int
    shard: tuple[int, int]
    seq: int = 0
    log: deque[tuple[int, str, bytes]] = field(default_factory=lambda: deque(maxlen=KEPT))  # number, event, payload
    line: Line | None = None

    def give(self, event: str, data: Json) -> None:
        self.seq += 1
        self.log.append((self.seq, event, _raw({"op": 0, "t": event, "s": self.seq, "d": data})))
        if self.line is not None:
            self.line.queue.put_nowait(self.log[-1][2])

    def since(self, seq: int, again: int) -> list[bytes] | None:
        """What a client has not had that had all up to `seq`, after the last `again` that it had; None: it is forgotten."""
        if self.log[0][0] > seq + 1:
            return None
        had = [raw for at, event, raw in self.log if at <= seq and event not in ("READY", "RESUMED", "GUILD_CREATE")]
        return (had[-again:] if again else []) + [raw for at, _, raw in self.log if at > seq]

    def wants(self, event: str, channel: Channel | None) -> bool:
        if event.startswith("INTERACTION"):
            return True
        if event.startswith(("MESSAGE", "TYPING")):
            return bool(self.intents & (DIRECT_MESSAGES if channel and channel.kind == DM else GUILD_MESSAGES))
        return bool(self.intents & (MEMBERS if event.startswith("GUILD_MEMBER_") else GUILDS))


def _raw(payload: Json) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()


class Gateway:
    """`allowed`: the intents that the application may ask for; `replay`: how much more than it should a RESUME gives."""

    def __init__(self, world: World, token: str, allowed: int) -> None:
        self.world, self.token, self.allowed = world, token, allowed
        self.heartbeat_s = 41.25
        self.shards = 1
        self.url = ""
        self.replay = 0
        self.sessions: dict[str, Session] = {}
        self.lines: set[Line] = set()
        self.awake = asyncio.Event()
        self.awake.set()
        self.up = asyncio.Event()  # some session hears
        self.identified, self.resumed, self.beats = 0, 0, 0
        self.closed_with: list[int] = []
        self._held: list[tuple[str, Json, Channel | None]] | None = None
        self._twice, self._reorder, self._kept = 0, 0, list[tuple[str, Json, Channel | None]]()

    def publish(self, event: str, data: Json, channel: Channel | None = None, *, act: bool = False) -> None:
        """Give an event to every session that should have it. `act`: a person did it, so it can be held back."""
        if act and self._held is not None:
            self._held.append((event, data, channel))
            return
        if not act or not self._reorder:
            twice = act and self._twice > 0
            self._twice -= twice
            self._deal(event, data, channel, 1 + twice)
            return
        self._kept.append((event, data, channel))
        if len(self._kept) == self._reorder:
            kept, self._kept, self._reorder = self._kept, [], 0
            for one in reversed(kept):
                self._deal(*one)

    def hold(self) -> None:
        self._held = []

    def release(self) -> None:
        held, self._held = self._held or [], None
        for event, data, channel in held:
            self.publish(event, data, channel, act=True)

    def duplicate_next(self) -> None:
        """The next act of a person is told twice."""
        self._twice += 1

    def reorder_next(self, count: int) -> None:
        """The next `count` acts of people arrive last first, once all have happened."""
        self._reorder = count

    def _deal(self, event: str, data: Json, channel: Channel | None, times: int = 1) -> None:
        interaction = event == "INTERACTION_CREATE"
        if not interaction and channel is not None and channel.guild and not self.world.sees(channel):
            return
        guild = channel.guild if channel else None
        guild_id = guild.id if guild else str(data.get("guild_id", data["id"] if event == "GUILD_CREATE" else 0))
        for session in self.sessions.values():
            at, count = session.shard
            if (int(guild_id) >> 22) % count == at and session.wants(event, channel):
                for _ in range(times):
                    session.give(event, self.seen(deepcopy(data), session.intents) if event.startswith("MESSAGE") else data)

    def seen(self, message: Json, intents: int) -> Json:
        """A message as a bot with these intents may read it."""
        bot = self.world.bot.id
        told = message.get("author") is None or self.world.channels[message["channel_id"]].kind == DM
        told = told or message["author"]["id"] == bot or any(one["id"] == bot for one in message.get("mentions", ()))
        if told or intents & CONTENT:
            return message
        return message | {"content": "", "embeds": [], "attachments": [], "components": []}

    @property
    def reads(self) -> int:
        """The intents that count where the bot asks over HTTP: of the sessions that hear, those that let it read most.

        Discord looks at what the application is allowed, which is never less.
        """
        hearing = (session.intents for session in self.sessions.values() if session.line)
        return max(hearing, key=lambda bits: bits & CONTENT, default=0)

    async def connect(self, request: web.BaseRequest) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=1 << 20)
        await socket.prepare(request)
        deflate = zlib.compressobj() if request.query.get("compress") == "zlib-stream" else None
        line = Line(socket, request, deflate)
        self.lines.add(line)
        writing = asyncio.get_running_loop().create_task(line.write(self.awake))
        line.say(10, {"heartbeat_interval": int(self.heartbeat_s * 1000)})
        try:
            await self._listen(line)
        finally:
            self.lines.discard(line)
            if not line.code:
                writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            self._leave(line, line.code or socket.close_code or 1006)
        return socket

    def _leave(self, line: Line, code: int) -> None:
        self.closed_with.append(code)
        if line.session is not None and line.session.line is line:
            line.session.line = None
            if code in ENDED:
                self.sessions.pop(line.session.id, None)
        if not any(session.line for session in self.sessions.values()):
            self.up.clear()

    async def _listen(self, line: Line) -> None:
        async for message in line.socket:
            if message.type is WSMsgType.TEXT:
                line.unheard.append(message.data)
                self._catch_up(line)

    def _catch_up(self, line: Line) -> None:
        while self.awake.is_set() and line.unheard:
            code = self._hear(line, line.unheard.pop(0))
            if code:
                line.queue.put_nowait(code)
                line.unheard.clear()

    def _hear(self, line: Line, text: str) -> int:
        """Do what a client says; return the code to close with, or 0."""
        now = asyncio.get_running_loop().time()
        line.sent.append(now)
        while line.sent[0] < now - IN_S:
            line.sent.popleft()
        if len(line.sent) > MOST_SENT:
            return 4008
        try:
            said = json.loads(text)
        except ValueError:
            return 4002
        if len(text.encode()) > LARGEST_BYTES or not isinstance(said, dict):
            return 4002
        return self._obey(line, said.get("op"), said.get("d"))

    def _obey(self, line: Line, op: Any, data: Any) -> int:
        if op == 1:
            self.beats += 1
            line.say(11, None)
        elif op in (2, 6, 8) and not isinstance(data, dict):
            return 4002
        elif op in (2, 6) and data.get("token") != self.token:
            return 4004
        elif op == 2:
            return 4005 if line.session else self._identify(line, data)
        elif op == 6:
            return 4005 if line.session else self._resume(line, data)
        elif line.session is None:
            return 4003
        elif op == 8:
            self._members(line.session, data)
        elif op not in (3, 4):
            return 4001
        return 0

    def _identify(self, line: Line, data: Json) -> int:
        intents, shard = data.get("intents", 0), tuple(data.get("shard", (0, 1)))
        if intents & ~EVERY_INTENT:
            return 4013
        if intents & PRIVILEGED & ~self.allowed:
            return 4014
        if len(shard) != 2 or not 0 <= shard[0] < shard[1]:
            return 4010
        session = Session(secrets.token_hex(16), intents, (shard[0], shard[1]), line=line)
        self.sessions[session.id] = session
        line.session = session
        self.identified += 1
        mine = [one for one in self.world.guilds.values() if (int(one.id) >> 22) % shard[1] == shard[0]]
        user = self.world.bot.json | {"mfa_enabled": False, "verified": True, "email": None}
        ready = {"v": 10, "user": user, "guilds": [{"id": one.id, "unavailable": True} for one in mine], "private_channels": []}
        ready |= {"session_id": session.id, "resume_gateway_url": self.url, "session_type": "normal", "shard": list(shard)}
        session.give("READY", ready | {"application": {"id": self.world.bot.id, "flags": 0}})
        for guild in mine:
            who = [one for id, one in guild.members.items() if intents & MEMBERS or id == self.world.bot.id]
            session.give("GUILD_CREATE", guild.json | {"members": who})
        self.up.set()
        return 0

    def _resume(self, line: Line, data: Json) -> int:
        session, seq = self.sessions.get(data.get("session_id", "")), data.get("seq")
        if session is not None and (not isinstance(seq, int) or not 0 <= seq <= session.seq):
            return 4007
        missed = session.since(int(seq or 0), self.replay) if session else None
        if session is None or missed is None:
            line.say(9, False)
            return 0
        if session.line is not None:
            session.line.cut()
        session.line, line.session = line, session
        self.resumed += 1
        self.replay = 0
        for raw in missed:
            line.queue.put_nowait(raw)
        session.give("RESUMED", {})
        self.up.set()
        return 0

    def _members(self, session: Session, data: Json) -> None:
        """Answer to "request guild members"; without the members intent only by id."""
        guild = self.world.guilds[data["guild_id"]]
        asked = data.get("user_ids") or (list(guild.members) if session.intents & MEMBERS else [])
        found = [guild.members[id] for id in map(str, asked) if id in guild.members]
        missing = [id for id in map(str, asked) if id not in guild.members]
        chunk = {"guild_id": guild.id, "members": found, "not_found": missing, "chunk_index": 0, "chunk_count": 1}
        session.give("GUILD_MEMBERS_CHUNK", chunk | {"nonce": data.get("nonce")})

    async def drop(self, *, resumable: bool = True, replay: int = 0) -> None:
        """Every connection breaks off."""
        self.replay = replay
        lines = list(self.lines)
        if not resumable:
            self.sessions.clear()
        for line in lines:
            line.cut()
        await self._gone(lines)

    async def reconnect(self, *, replay: int = 0) -> None:
        """Ask the clients to connect again (op 7)."""
        self.replay = replay
        lines = list(self.lines)
        for line in lines:
            line.say(7, None)
        await self._gone(lines)

    async def invalid(self, resumable: bool) -> None:
        """Say that the sessions are not valid (op 9)."""
        lines = list(self.lines)
        if not resumable:
            self.sessions.clear()
        for line in lines:
            line.say(9, resumable)
        await self._gone(lines)

    async def close(self, code: int, *, replay: int = 0) -> None:
        self.replay = replay
        lines = list(self.lines)
        if code in ENDED:
            self.sessions.clear()
        for line in lines:
            await line.close(code)
        await self._gone(lines)

    def deaf(self, seconds: float | None = None) -> None:
        """Take nothing and say nothing on any connection, for ever or for so long; then all that waited comes."""
        self.awake.clear()
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, self.wake)

    def wake(self) -> None:
        """No longer be deaf."""
        self.awake.set()
        for line in self.lines:
            self._catch_up(line)

    async def _gone(self, lines: list[Line]) -> None:
        async with asyncio.timeout(10):
            while not self.lines.isdisjoint(lines):
                await asyncio.sleep(0.005)

    async def end(self) -> None:
        """Close what is left, at the end of a test."""
        self.awake.set()
        for line in list(self.lines):
            await line.close(WSCloseCode.GOING_AWAY)
