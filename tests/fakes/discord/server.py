"""A Discord on the loopback interface, for the real discord.py: HTTP v10 and the gateway, in the test's own event loop.

    async with Discord() as discord:
        guild = discord.guild("lab")
        channel = guild.channel("general")
        alice = discord.user("alice")
        guild.join(alice)
        with discord.patched():
            ...  # start a discord.Client with discord.token
        heard = await alice.slash(channel, "status")
        await heard.acked.wait()
        assert discord.violations == []

Every request and answer is held against Discord's OpenAPI file (oracle.py; where it is not beside the checkout, the limits
are looked at alone) and the limits that stand in no file (limits.py). `shown` has what readers saw in order, `more` is set
at each; `requests` has what was asked. What goes wrong on demand: `fail` (faults.py) and the acts on the gateway. Known
only to their modules: state.py (what there is), gateway.py, messages.py, threads.py, interactions.py, accounts.py.

It is not Discord where this was not needed: people may write in every channel of their guild, there are no reactions,
voices, polls or stickers, and what is not in the tables of routes is answered 404 and is a violation.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import yarl
from aiohttp import BodyPartReader, web
from discord.asset import Asset
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.fakes.discord import accounts, faults, interactions, messages, threads
from tests.fakes.discord.call import Call, Handler, Request, Upload
from tests.fakes.discord.gateway import EVERY_INTENT, Gateway
from tests.fakes.discord.oracle import oracle
from tests.fakes.discord.pace import Pace
from tests.fakes.discord.people import Person
from tests.fakes.discord.refused import FORM, Refused
from tests.fakes.discord.state import USUAL, Channel, File, Guild, Json, Shown, User, World
from tests.fakes.faulty import unanswered

API, LARGEST_BYTES = "/api/v10", 40 << 20
TOKEN = "MTAwMDAw.fake.a-token-of-no-bot-at-all"
KNOWN: dict[tuple[str, str], Handler] = {
    **messages.ROUTES,
    **threads.ROUTES,
    **interactions.ROUTES,
    **accounts.ROUTES,
}
CARRIED = {  # event -> the schema of what it carries, the fields that only the gateway adds
    "MESSAGE_CREATE": ("MessageResponse", {"guild_id", "member"}),
    "MESSAGE_UPDATE": ("MessageResponse", {"guild_id", "member"}),
    "CHANNEL_CREATE": ("GuildChannelResponse", set[str]()),
    "CHANNEL_UPDATE": ("GuildChannelResponse", set[str]()),
    "THREAD_CREATE": ("ThreadResponse", {"newly_created"}),
    "THREAD_UPDATE": ("ThreadResponse", set[str]()),
    "GUILD_MEMBER_ADD": ("GuildMemberResponse", {"guild_id"}),
    "GUILD_MEMBER_UPDATE": ("GuildMemberResponse", {"guild_id"}),
}


class Discord:
    """`keep`: of `requests` and `shown` only so many, the latest; for long runs."""

    def __init__(
        self,
        *,
        token: str = TOKEN,
        allowed_intents: int = EVERY_INTENT,
        real_limits: bool = False,
        shards: int = 1,
        heartbeat_s: float = 41.25,
        keep: int | None = None,
    ) -> None:
        self.token, self.keep = token, keep
        self.world = World()
        self.gateway_ = Gateway(self.world, token, allowed_intents)
        self.gateway_.shards, self.gateway_.heartbeat_s = shards, heartbeat_s
        self.world.publish = self._publish
        self.pace = Pace(real_limits)
        self.faults = faults.Faults()
        self.requests: list[Request] = []
        self.violations: list[str] = []
        self._routes = [(method, path, _pattern(path), handler) for (method, path), handler in KNOWN.items()]
        self._routes.sort(key=lambda one: one[1].count("{"))  # /users/@me before /users/{user_id}
        g = self.gateway_
        self.drop, self.reconnect, self.invalid, self.close = g.drop, g.reconnect, g.invalid, g.close
        self.deaf, self.wake = g.deaf, g.wake
        self.hold, self.release, self.duplicate_next, self.reorder_next = g.hold, g.release, g.duplicate_next, g.reorder_next

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=LARGEST_BYTES)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.api = f"http://127.0.0.1:{self.port}{API}"
        self.gateway = self.gateway_.url = f"ws://127.0.0.1:{self.port}/gw"
        self.cdn = self.world.cdn = f"http://127.0.0.1:{self.port}/cdn"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.gateway_.end()
        await self._runner.cleanup()

    @contextmanager
    def patched(self) -> Iterator[None]:
        """discord.py talks to this Discord, and to its own again afterwards."""
        before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY, Asset.BASE
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY, Asset.BASE = self.api, yarl.URL(self.gateway), self.cdn
        try:
            yield
        finally:
            Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY, Asset.BASE = before

    @property
    def bot(self) -> User:
        return self.world.bot

    @property
    def application_id(self) -> str:
        return self.world.bot.id

    @property
    def clock(self) -> float:
        """Seconds that this Discord is ahead of real time."""
        return self.world.clock

    @clock.setter
    def clock(self, seconds: float) -> None:
        self.world.clock = seconds

    @property
    def patience_s(self) -> float:
        return self.world.patience_s

    @patience_s.setter
    def patience_s(self, seconds: float) -> None:
        self.world.patience_s = seconds

    @property
    def limits(self) -> bool:
        """Whether the rate limits are Discord's; else nobody meets one."""
        return self.pace.real

    @limits.setter
    def limits(self, real: bool) -> None:
        self.pace = Pace(real)

    @property
    def shown(self) -> list[Shown]:
        return self.world.shown

    @property
    def more(self) -> asyncio.Event:
        return self.world.more

    @property
    def up(self) -> asyncio.Event:
        """Set while some session hears."""
        return self.gateway_.up

    @property
    def identified(self) -> int:
        """How often a session was begun; `resumed`: how often one went on."""
        return self.gateway_.identified

    @property
    def resumed(self) -> int:
        return self.gateway_.resumed

    def guild(self, name: str, locale: str = "en-US", granted: Iterable[str] = USUAL) -> Guild:
        """A guild with the bot in it. `granted`: the bot's permissions."""
        made = self.world.guild(name, locale, granted)
        self.world.publish("GUILD_CREATE", made.json | {"members": [made.members[self.bot.id]]})
        return made

    def user(self, name: str, locale: str = "en-US") -> Person:
        return Person(self.world, self.world.user(name, locale))

    def channel(self, id: str) -> Channel:
        return self.world.channels[id]

    def threads(self, channel: Channel) -> list[Channel]:
        """The threads of a channel, in the order in which they were made."""
        return [one for one in self.world.channels.values() if one.parent is channel]

    def messages(self, channel: Channel, reader: Person | None = None) -> list[Json]:
        """What stands in a channel now, oldest first; ephemeral ones too where `reader` sees them."""
        mine = [one for one in self.world.messages.values() if one.channel is channel]
        seen = [one for one in mine if not one.to or (reader and one.to == reader.id)]
        return [json.loads(json.dumps(one.json)) for one in sorted(seen, key=lambda one: int(one.id))]

    def file(self, attachment: Json) -> File:
        """The bytes of an attachment; a test may make them slow, or more than was said."""
        return self.world.files[attachment["id"]]

    def fail(self, method: str, path: str, kind: faults.Kind, *, times: int = 1, seconds: float = 0.05) -> faults.Fault:
        """Let the next requests fail whose path (without /api/v10) is as the pattern says, and whose method, or "*"."""
        return self.faults.add(method, path, kind, times, seconds)

    async def until(self, true: Callable[[], object], within_s: float = 10.0) -> None:
        """Wait until something is so. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not true():
                await asyncio.sleep(0.002)

    def _publish(self, event: str, data: Json, channel: Channel | None = None, *, act: bool = False) -> None:
        judge = oracle()
        if judge is not None:
            things = [(CARRIED[event][0], data, CARRIED[event][1])] if event in CARRIED else []
            if event == "INTERACTION_CREATE":
                kinds = {"message": "MessageResponse", "member": "GuildMemberResponse", "user": "UserResponse"}
                things = [(name, data[key], {"permissions"}) for key, name in kinds.items() if key in data]
            for name, value, added in things:
                found = judge.thing(name, {key: one for key, one in value.items() if key not in added})
                self.violations += [f"{event}: {flaw}" for flaw in found]
        self.gateway_.publish(event, data, channel, act=act)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/gw":
            return await self.gateway_.connect(request)
        if request.path.startswith("/cdn/"):
            return await self._file(request.path)
        asked = Request(request.method, request.path.removeprefix(API), asyncio.get_running_loop().time())
        self.requests.append(asked)
        if self.keep is not None and len(self.requests) > 2 * self.keep:
            del self.requests[: -self.keep], self.shown[: -self.keep]
            for token in list(self.world.heard)[: -self.keep]:
                del self.world.heard[token]
        fault = self.faults.take(asked.method, asked.path)
        if fault is None:
            return await self._answer(request, asked)
        asked.fault = fault.kind
        return await self._fail(request, asked, fault)

    async def _fail(self, request: web.Request, asked: Request, fault: faults.Fault) -> web.StreamResponse:
        said = faults.answer(fault)
        if said is not None:
            await request.read()
            asked.status = said.status
            return said
        return await unanswered(fault, request, lambda: self._answer(request, asked))

    async def _file(self, path: str) -> web.Response:
        found = self.world.files.get(path.split("/")[-2])
        if found is None:
            return web.Response(status=404)
        await asyncio.sleep(found.slow_s)
        headers = {"Content-Type": found.kind}
        return web.Response(body=found.content + b"\0" * found.padding, headers=headers)

    async def _answer(self, request: web.Request, asked: Request) -> web.Response:
        headers: dict[str, str] = {}
        try:
            handler = self._find(asked)
            self._admit(request, asked)
            headers, limited = self.pace.take(asked.method, asked.route, asked.ids, self.world.now_s)
            if limited is not None:
                asked.status = 429
                return _said(429, limited, headers | {"Via": "1.1 google"})
            await _read(request, asked)
            self._judge(asked)
            found = handler(Call(self.world, self.gateway_, asked))
            status, body = found if isinstance(found, tuple) else await found
        except Refused as refused:
            status, body = refused.status, refused.body
            asked.code = refused.code
            if refused.blame:
                self._note(asked, str(refused))
        except Exception as broken:  # without the OpenAPI file a body of a wrong shape ends here; else the fake is wrong
            self._note(asked, f"the fake broke: {broken!r}")
            raise
        asked.status = status
        self._judge_answer(asked, status, body)
        return _said(status, body, headers | ({"Via": "1.1 google"} if status == 429 else {}))

    def _find(self, asked: Request) -> Handler:
        for method, path, pattern, handler in self._routes:
            fits = pattern.fullmatch(asked.path) if method == asked.method else None
            if fits:
                asked.route, asked.ids = path, fits.groupdict()
                return handler
        self._note(asked, "the fake does not know this")
        raise Refused(0)

    def _admit(self, request: web.Request, asked: Request) -> None:
        """Raises Refused where the token is wrong; what has a token in its path needs no other."""
        open_ = "interaction_token" in asked.ids or "webhook_token" in asked.ids
        if not open_ and request.headers.get("Authorization") != f"Bot {self.token}":
            raise Refused(0, status=401)

    def _judge(self, asked: Request) -> None:
        judge = oracle()
        if judge is None:
            return
        flaws = judge.request(asked.method, asked.route, asked.query, asked.json)
        for flaw in flaws:
            if flaw.soft:
                self._note(asked, str(flaw))
        hard = [flaw for flaw in flaws if not flaw.soft]
        if hard:
            raise Refused(FORM, hard)

    def _judge_answer(self, asked: Request, status: int, body: Any) -> None:
        judge = oracle()
        if judge is not None and asked.route:
            for flaw in judge.answer(asked.method, asked.route, status, body):
                self._note(asked, f"the answer: {flaw}")

    def _note(self, asked: Request, what: str) -> None:
        asked.violations.append(what)
        self.violations.append(f"{asked.method} {asked.path}: {what}")


def _said(status: int, body: Any, headers: dict[str, str]) -> web.Response:
    """An answer in JSON. Its type has no charset: discord.py compares the whole header."""
    if body is None:
        return web.Response(status=status, headers=headers)
    return web.Response(status=status, body=json.dumps(body).encode(), headers={"Content-Type": "application/json"} | headers)


async def _read(request: web.Request, asked: Request) -> None:
    asked.query = dict(request.query)
    try:
        if request.content_type.startswith("multipart/"):
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader):
                    raise Refused(50109)  # parts in parts: nobody sends them
                raw = bytes(await part.read(decode=False))
                number = re.fullmatch(r"files\[(\d+)\]", part.name or "")
                if number:
                    kind = part.headers.get("Content-Type", "application/octet-stream")
                    asked.files[int(number[1])] = Upload(str(part.filename), raw, kind)
                elif part.name == "payload_json":
                    asked.json = json.loads(raw)
            asked.json = asked.json or {}
        elif request.can_read_body:
            asked.json = json.loads(await request.read())
    except ValueError:
        raise Refused(50109) from None


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
