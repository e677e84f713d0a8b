"""The one door to GitHub's REST API, on gidgethub: what was refused becomes a sentence, what may pass is waited for.

Reading is tried again where an answer was lost. Writing never is: whoever writes looks first whether it is done already, and
does so again after a `Temporary`, so that a lost answer makes nothing twice. A limit that GitHub names the end of is waited for
here, aloud (`told`), up to `patience_s`.
"""

import asyncio
import ipaddress
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import gidgethub
import httpx2
from gidgethub import abc as gidget

from pipeline import net
from pipeline.errors import Invalid, Problem, Temporary
from pipeline.github.refusals import away, limit_s, refusal, said
from pipeline.net import Net

VERSION = "2022-11-28"  # of the API: https://docs.github.com/en/rest/about-the-rest-api/api-versions
AGENT = "labbot"
TIMEOUT_S = 30.0  # for an answer
TRIES = 3  # of reading
PAUSES_S = (1.0, 3.0)  # between them
PAGE = 100  # rows, GitHub's most

Told = Callable[[str, float], None]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Hub:
    """Where GitHub is: its API, and where people and git see it."""

    api: str = "https://api.github.com"
    web: str = "https://github.com"
    net: Net = field(default_factory=Net)


def hub_of(settings: Mapping[str, Any]) -> Hub:
    """From the settings of a stage (`Installation.github`)."""
    allowed = settings["net"]
    return Hub(str(settings["api"]), str(settings["web"]), Net(tuple(allowed["allow"]), str(allowed["ca"])))


def at(*parts: object) -> str:
    """A path of the API from its parts: at("repos", "o/r", "pulls", 1) is /repos/o/r/pulls/1.

    Raises Invalid github.gone for a part that would lead elsewhere ("..").
    """
    path = "/" + "/".join(quote(str(part), safe="/") for part in parts)
    if {"", ".", ".."} & {*path[1:].split("/")}:
        raise refusal("github.gone", "there is no such place", why=path)
    return path


def unaware(why: str, seconds: float) -> None:
    """Nobody is told of waits."""


class GitHub:
    """A token's view of GitHub; `async with` holds its connections. No method shows the token, nor does an error."""

    def __init__(
        self,
        hub: Hub,
        token: str = "",
        *,
        told: Told = unaware,
        patience_s: float = 900.0,
        sleep: Sleep = asyncio.sleep,
        app: tuple[str, str] = ("", ""),
    ) -> None:
        self.hub, self.told, self.patience_s, self.sleep = hub, told, patience_s, sleep
        self._token, self._app = token, app
        self._session: httpx2.AsyncClient

    def __repr__(self) -> str:
        return f"GitHub({self.hub.api!r})"

    async def __aenter__(self) -> "GitHub":
        self._session = await session(self.hub).__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.aclose()

    async def get(self, path: str, **params: str | int) -> Any:
        return await self._read(lambda: self._api().getitem(_url(path, params)))

    async def pages(self, path: str, most: int = 1000, **params: str | int) -> list[Any]:
        """All rows of a listing, page after page, at most so many."""

        async def rows() -> list[Any]:
            found = []
            async for row in self._api().getiter(_url(path, {"per_page": PAGE, **params}), iterable_key=None):
                found.append(row)
                if len(found) >= most:
                    break
            return found

        found: list[Any] = await self._read(rows)
        return found

    async def fresh(self, path: str, etag: str = "", **params: str | int) -> tuple[Any | None, str]:
        """What is there and its etag; (None, etag) where it is what that names already, which costs nothing of a quota."""
        api = self._api()
        try:
            data = await self._read(lambda: api.named(_url(path, params), etag))
        except _Same:
            return None, etag
        return data, api.etag

    async def post(self, path: str, data: Mapping[str, Any]) -> Any:
        return await self._insist(lambda: self._api().post(path, {}, data=dict(data)))

    async def patch(self, path: str, data: Mapping[str, Any]) -> Any:
        return await self._insist(lambda: self._api().patch(path, {}, data=dict(data)))

    async def put(self, path: str, data: Mapping[str, Any]) -> Any:
        return await self._insist(lambda: self._api().put(path, {}, data=dict(data)))

    async def delete(self, path: str) -> None:
        await self._insist(lambda: self._api().delete(path, {}))

    def _api(self) -> "_Api":
        """One for each request: several go on at once, and each has an etag of its own."""
        return _Api(self._session, self)

    async def _read(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        for pause_s in (*PAUSES_S[: TRIES - 1], None):
            try:
                return await self._insist(ask)
            except Temporary as error:
                if pause_s is None or error.kind == "busy":
                    raise
                await self.sleep(pause_s)
        raise AssertionError("the last pause is None")

    async def _insist(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask, and again after each limit that ends soon enough: a request that a limit turned away has done nothing."""
        waited = 0.0
        while True:
            try:
                return await ask()
            except gidgethub.RedirectionException as error:
                if error.status_code == HTTPStatus.NOT_MODIFIED:
                    raise _Same from None
                raise await self._moved(error.headers.get("location", "")) from None
            except gidgethub.HTTPException as error:
                pause_s = limit_s(error)
                if pause_s is None:
                    raise said(error) from None
                waited += pause_s
                if waited > self.patience_s:
                    raise Temporary(f"GitHub asks us to wait {pause_s:.0f} s", kind="busy", wait_s=pause_s) from None
            except httpx2.HTTPError as error:
                raise away(error) from None
            except (ValueError, LookupError):
                raise Temporary("GitHub's answer is not JSON") from None
            self.told("limit", pause_s)
            await self.sleep(pause_s)

    async def _moved(self, location: str) -> Invalid:
        """What a repository is called now: where it leads names it by its number, which stays."""
        number = re.search(r"/repositories/\d+", location)
        try:
            found = await self._api().getitem(number[0]) if number else {}
        except (gidgethub.GitHubException, httpx2.HTTPError, ValueError, LookupError):  # it is said without the name
            found = {}
        name = str(found.get("full_name", ""))
        fix = f"Set taxonomy.repo to {name or 'the name that it has now'}."
        return refusal("github.moved", "the repository goes by another name now", fix, repo=name)


class _Same(Exception):
    """It is as it was."""


class _Api(gidget.GitHubAPI):
    """gidgethub's client over a connection of ours."""

    def __init__(self, session: httpx2.AsyncClient, owner: GitHub) -> None:
        app, key = owner._app
        super().__init__(
            AGENT,
            oauth_token=owner._token or None,
            app_id=app or None,
            private_key=key or None,
            base_url=owner.hub.api.rstrip("/"),
        )
        self.session, self.owner, self.etag = session, owner, ""

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> tuple[int, Mapping[str, str], bytes]:
        if not url.startswith(f"{self.base_url}/"):
            raise Temporary("GitHub names a further page that is elsewhere")  # the token goes nowhere else
        answer = await self.session.request(method, url, headers={**headers, "x-github-api-version": VERSION}, content=body)
        self.etag = answer.headers.get("etag", "")
        return answer.status_code, answer.headers, answer.content

    async def named(self, url: str, etag: str) -> Any:
        return await self.getitem(url, extra_headers={"if-none-match": etag} if etag else None)

    async def sleep(self, seconds: float) -> None:
        await self.owner.sleep(seconds)


def session(hub: Hub) -> httpx2.AsyncClient:
    """A connection that goes to GitHub's checked address, with TLS, and follows no redirect."""
    return httpx2.AsyncClient(
        timeout=TIMEOUT_S,
        follow_redirects=False,
        trust_env=False,
        verify=net.context(hub.net) if hub.api.startswith("https") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        event_hooks={"request": [_checks(hub)]},
    )


def _checks(hub: Hub) -> Callable[[httpx2.Request], Awaitable[None]]:
    """What looks at each request: it goes to this hub, over TLS unless it is this machine, to where the hub may be."""

    async def check(request: httpx2.Request) -> None:
        url = str(request.url)
        if request.url.scheme == "http":
            near(url, hub.net)
        else:  # the connection goes to the address that was checked, the certificate is the host's
            place = await asyncio.to_thread(net.reach, url, hub.net)
            request.extensions = {**request.extensions, "sni_hostname": place.host}
            request.url = request.url.copy_with(host=place.address)

    return check


def near(url: str, allowed: Net) -> None:
    """Raises Invalid where a URL without TLS is not this machine's, or not allowed by an operator."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback or not {host, f"{host}:{parts.port}"} & set(allowed.allow):
        fix = "Write https://, or, for a GitHub of this machine, name its host:port in net.allow."
        raise Invalid(Problem("github.plain", "it has no TLS", f"{parts.scheme}://{parts.netloc}", fix))


def _url(path: str, params: Mapping[str, str | int]) -> str:
    return f"{path}?{urlencode(params)}" if params else path


@asynccontextmanager
async def lost(code: str) -> AsyncIterator[None]:
    """What is refused with this code is as good as done, or as not there."""
    try:
        yield
    except Invalid as error:
        if error.problems[0].code != code:
            raise
