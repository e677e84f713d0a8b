"""Requests to the fake Slack: to methods of the Web API, to response_urls, uploads and downloads of files."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.fakes.faulty import unanswered
from tests.fakes.slack import answers, faults, streams
from tests.fakes.slack.call import Call, Handler, Request
from tests.fakes.slack.methods import agents, chat, conversations, files, oauth, users, views
from tests.fakes.slack.oracle import PARSED, oracle
from tests.fakes.slack.refused import Refused
from tests.fakes.slack.sockets import Sockets
from tests.fakes.slack.state import Json, Team, World
from tests.fakes.slack.tiers import Tiers

KNOWN: dict[str, Handler] = {
    **chat.METHODS,
    **streams.METHODS,
    **conversations.METHODS,
    **users.METHODS,
    **views.METHODS,
    **files.METHODS,
    **agents.METHODS,
    **oauth.METHODS,
}
TOKENLESS = ("oauth.v2.access",)


class Web:
    """`served`: called at each request to a method, before anything is done."""

    def __init__(self, world: World, sockets: Sockets, app_token: str, tiers: Tiers, violations: list[str]) -> None:
        self.world, self.sockets, self.app_token, self.tiers = world, sockets, app_token, tiers
        self.faults = faults.Faults()
        self.requests: list[Request] = []
        self.violations = violations
        self.served: Callable[[], None] = lambda: None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path == "/link":
            return await self.sockets.connect(request)
        if path.startswith("/api/"):
            return await self._method(request, path.removeprefix("/api/"))
        if path.startswith("/response/"):
            return await self._response(request)
        if path.startswith("/upload/"):
            return await self._upload(request)
        if path.startswith("/files-pri/"):
            return await self._file(request)
        return web.Response(status=404)

    async def _method(self, request: web.Request, name: str) -> web.StreamResponse:
        asked = Request(name, asyncio.get_running_loop().time())
        self.requests.append(asked)
        self.served()
        fault = self.faults.take(name)
        if fault is None:
            return await self._answer(request, asked)
        asked.fault = fault.kind
        said = faults.answer(fault)
        if said is not None:
            asked.args = await _read(request)
            asked.status, asked.error = said.status, fault.kind
            return said
        return await unanswered(fault, request, lambda: self._answer(request, asked))

    async def _answer(self, request: web.Request, asked: Request) -> web.Response:
        status, headers = 200, {"Content-Type": "application/json; charset=utf-8"}
        try:
            asked.args = await _read(request)
            body = {"ok": True} | await self._done(request, asked)
        except Refused as refused:
            status, body = refused.status, refused.body
            asked.error = refused.error
            if status == 429:
                headers["Retry-After"] = str(refused.more.get("wait_s", 1))
                body = {"ok": False, "error": "ratelimited"}
            if refused.blame:
                asked.violations.append(str(refused))
        except Exception as broken:  # the fake is wrong
            self.violations.append(f"{asked.method}: the fake broke: {broken!r}")
            raise
        asked.status = status
        judge = oracle()
        if judge is not None:
            asked.violations += [f"the answer: {flaw}" for flaw in judge.answer(asked.method, body)]
        self.violations += [f"{asked.method}: {one}" for one in asked.violations]
        return web.Response(body=json.dumps(body).encode(), status=status, headers=headers)

    async def _done(self, request: web.Request, asked: Request) -> Json:
        if asked.method in TOKENLESS:
            self._judge(asked, None)
            return oauth.access(self.world, asked.args | _basic(request))
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or asked.args.get("token", "")
        asked.args.pop("token", None)
        if asked.method == "apps.connections.open":
            return self._connection(token)
        team = self._team(token)
        asked.team = team.id
        if asked.method not in KNOWN:
            raise Refused("unknown_method")
        wait = self.tiers.take(asked.method, team.id, str(asked.args.get("channel", "")), self.world.now_s)
        if wait:
            raise Refused("ratelimited", status=429, wait_s=wait)
        self._judge(asked, team)
        try:
            return KNOWN[asked.method](Call(self.world, team, asked))
        except KeyError as missing:  # the reference, which says what is required, is not beside the checkout
            if oracle() is not None:
                raise
            raise Refused("invalid_arguments", [f"[ERROR] missing required field: {missing.args[0]}"]) from None

    def _connection(self, token: str) -> Json:
        if token != self.app_token:
            raise Refused("not_allowed_token_type" if token.startswith("xoxb-") else "invalid_auth")
        return {"url": self.sockets.ticket()}

    def _team(self, token: str) -> Team:
        if not token:
            raise Refused("not_authed")
        if token in self.world.dead:
            raise Refused(self.world.dead[token])
        found = self.world.tokens.get(token)
        if found is None:
            raise Refused("not_allowed_token_type" if token == self.app_token else "invalid_auth")
        return found

    def _judge(self, asked: Request, team: Team | None) -> None:
        if any(len(name) > 100 or not name.replace("_", "a").isalnum() for name in asked.args):
            raise Refused("invalid_arg_name")
        judge = oracle()
        method = judge.method(asked.method) if judge else None
        if method is None:
            return
        if team is not None and method.scopes and not team.scopes.intersection(method.scopes):
            self.world.need(team, method.scopes[0])
        flaws = method.request(asked.args)
        for flaw in flaws:
            if flaw.soft:
                asked.violations.append(str(flaw))
        hard = [str(flaw) for flaw in flaws if not flaw.soft]
        if hard:
            raise Refused("invalid_arguments", hard)

    async def _response(self, request: web.Request) -> web.Response:
        raw = await request.text()
        asked = Request("response_url", asyncio.get_running_loop().time())
        self.requests.append(asked)
        try:
            asked.args = json.loads(raw)
            status, body = answers.at_address(self.world, request.path.rpartition("/")[2], asked.args)
        except ValueError:
            status, body = 400, {"ok": False, "error": "invalid_payload"}
        except Refused as refused:
            status, body = 400, refused.body
            self.violations.append(f"response_url: {refused}")
        asked.status, asked.error = status, str(body.get("error", ""))
        return web.json_response(body, status=status)

    async def _upload(self, request: web.Request) -> web.Response:
        file = self.world.files.get(request.path.rpartition("/")[2])
        fault = self.faults.take("upload")
        if fault is not None and fault.kind.isdigit():
            return web.Response(status=int(fault.kind), text="error")
        if file is None or file.content is not None:
            return web.Response(status=404, text="not found")
        content = await _uploaded(request)
        if len(content) != file.size:
            return web.Response(status=400, text=f"the length is {len(content)}, not {file.size}")
        file.content = content
        return web.Response(text=f"OK - {len(content)}")

    async def _file(self, request: web.Request) -> web.Response:
        """The bytes of a file; without a token that may see it the page where people log in, as Slack has it."""
        id = request.path.split("/")[2].partition("-")[2]
        file = self.world.files.get(id)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        team = self.world.tokens.get(token)
        if file is None or file.content is None or team is not file.team or "files:read" not in team.scopes:
            return web.Response(text="<!DOCTYPE html><html>Sign in to Slack</html>", content_type="text/html")
        await asyncio.sleep(file.slow_s)
        return web.Response(body=file.content + b"\0" * file.padding, headers={"Content-Type": file.kind})


def _basic(request: web.Request) -> Json:
    """The client's id and secret, where they come as HTTP's own credentials."""
    said = request.headers.get("Authorization", "")
    if not said.startswith("Basic "):
        return {}
    login, _, password = base64.b64decode(said.removeprefix("Basic ")).decode().partition(":")
    return {"client_id": login, "client_secret": password}


async def _read(request: web.Request) -> Json:
    """The arguments of a request: of the query, of a form, or of JSON; what is JSON in a form is read. Raises Refused."""
    args: Json = dict(request.query)
    if request.content_type == "application/json":
        try:
            said = json.loads(await request.read() or b"{}")
        except ValueError:
            raise Refused("invalid_json") from None
        if not isinstance(said, dict):
            raise Refused("json_not_object")
        args |= said
    elif request.method == "POST":
        args |= {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
    for name in PARSED:
        if isinstance(args.get(name), str) and args[name]:
            try:
                args[name] = json.loads(args[name])
            except ValueError:
                raise Refused(f"invalid_{name}_format" if name == "blocks" else "invalid_arguments") from None
    return args


async def _uploaded(request: web.Request) -> bytes:
    if request.content_type.startswith("multipart/"):
        form = await request.post()
        first: Any = next(iter(form.values()))
        return first.file.read() if hasattr(first, "file") else str(first).encode()
    return await request.read()
