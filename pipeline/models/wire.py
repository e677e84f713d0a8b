"""Requests to one endpoint by the `openai` library: repeated where that is safe, refusals as our errors, models by name.

The library is imported with the first request, in a thread (0.6 s with its client). What it reads from OPENAI_* variables
and what it says of this machine is kept back, so that a key of one service never reaches another.
"""

import asyncio
import logging
import random
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pipeline import net
from pipeline.errors import Failed, Invalid, LabError, Problem, Temporary
from pipeline.models import reasons
from pipeline.models.endpoint import Endpoint, ModelInfo, is_loopback, wrong

if TYPE_CHECKING:
    import httpx2
    import openai

_SENT = frozenset(
    ("host", "accept", "accept-encoding", "connection", "content-type", "content-length", "transfer-encoding", "user-agent")
)
_log = logging.getLogger(__name__)
IDLE = 16  # connections that are kept for later: the pool looks at each of these at every request

_T = TypeVar("_T")


class Wire:
    """Raises Invalid model.url and model.key for an endpoint that cannot be used."""

    def __init__(self, endpoint: Endpoint) -> None:
        if problem := wrong(endpoint.url, endpoint.plain_http):
            raise Invalid(problem)
        if not re.fullmatch(r"[!-~]*", endpoint.key):
            fix = "Look at the variable that key_env names in roles.yaml."
            raise Invalid(Problem("model.key", "the key has a blank or a letter in it that no key has", endpoint.url, fix))
        self.at = replace(endpoint, url=endpoint.url.rstrip("/"))
        self.root = self.at.url.removesuffix("/v1")  # where vLLM has /tokenize, and llama-server /props
        self._opening = asyncio.Lock()
        self._library: openai.AsyncOpenAI | None = None
        self._listed: tuple[ModelInfo, ...] | None = None

    async def open(self) -> "openai.AsyncOpenAI":
        async with self._opening:
            if self._library is None:
                self._library = await asyncio.to_thread(_made, self.at)
            return self._library

    async def close(self) -> None:
        if self._library:
            await self._library.close()

    async def get(self, path: str) -> Any:
        return await self.ask(lambda api: api.get(path, cast_to=object), path, self.at.silence_s, idempotent=True)

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        return await self.ask(lambda api: api.post(path, cast_to=object, body=body), path, self.at.silence_s)

    async def ask(
        self,
        send: Callable[["openai.AsyncOpenAI"], Awaitable[_T]],
        path: str,
        within_s: float,
        *,
        idempotent: bool = False,
    ) -> _T:
        """Send a request, again where that is safe; `within_s` is for each try."""
        api = await self.open()
        import openai

        usual_s, left = self.at.pause_s, self.at.tries
        while True:
            left -= 1
            try:
                async with asyncio.timeout(within_s):
                    return await send(api)
            except openai.APIError as error:
                wait_s = reasons.pause_s(error, usual_s, idempotent=idempotent)
                if left <= 0 or wait_s is None:
                    raise await self.kind(error, path) from None
            except TimeoutError:
                raise Temporary(f"{self.at.url} said nothing for {within_s:g} s") from None
            except (ValueError, RecursionError) as error:
                raise Failed(f"{self.at.url} answered with what is no JSON: {error}") from None
            await asyncio.sleep(wait_s * random.uniform(1.0, 1.5))  # who was turned away together comes back apart
            usual_s *= 2

    async def kind(self, error: "openai.APIError", path: str) -> LabError:
        """The error to raise for one of the library."""
        if reasons.is_refused(error):
            self.forget()  # whoever answers there next may have other models
        return await self.named(reasons.kind(error, self.at.url, self.at.key, path))

    async def named(self, error: LabError) -> LabError:
        """Say which models there are, where the one that was asked for is unknown."""
        if not isinstance(error, Invalid) or error.problems[0].code != "model.unknown":
            return error
        said = error.problems[0].message
        try:
            names = ", ".join(one.id for one in await self.models())[:500]
        except LabError as other:
            names = f"(its list cannot be had: {other})"
        facts = {"reason": said, "there": names}
        return Invalid(Problem("model.unknown", f"{said}; there is: {names}", self.at.url, facts=facts))

    async def models(self) -> tuple[ModelInfo, ...]:
        answer = await self.get("/models")
        found = answer.get("data", "") if isinstance(answer, dict) else ""
        found = [] if found is None else found  # Ollama, where it has none
        if not isinstance(found, list) or not all(isinstance(one, dict) and isinstance(one.get("id"), str) for one in found):
            raise Failed(f"{self.at.url}/models is no list of models")
        self._listed = tuple(map(_info, found))
        return self._listed

    async def listed(self) -> tuple[ModelInfo, ...]:
        """The models as they were listed last; none where the server does not list them."""
        if self._listed is None:
            try:
                return await self.models()
            except Failed as error:  # what is wrong for the request at hand as well, that will say
                self._listed = ()
                _log.info("%s lists no models: %s", self.at.url, error)
        return self._listed

    def forget(self) -> None:
        self._listed = None

    async def name(self, model: str) -> str:
        """The model to ask for: the one given, the endpoint's, else the first that is no adapter."""
        if given := model or self.at.model:
            return given
        return next((one.id for one in await self.listed() if not one.parent), "default")  # servers of one take any name


def _made(at: Endpoint) -> "openai.AsyncOpenAI":
    """The library's client, sending no header but our own, following no redirect, and repeating nothing by itself."""
    import httpx2
    import openai

    async def own(request: "httpx2.Request") -> None:
        for name in set(request.headers) - _SENT:
            del request.headers[name]
        if at.key:
            request.headers["authorization"] = f"Bearer {at.key}"

    parts = urlsplit(at.url)
    secure = parts.scheme == "https"
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=IDLE)
    http = openai.DefaultAsyncHttpxClient(
        limits=limits,
        verify=net.context(net.Net(ca=at.ca))
        if secure
        else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # trusts nobody, costs nothing
        trust_env=secure and not is_loopback(parts.hostname or ""),  # proxies lead out, not within
        follow_redirects=False,
        event_hooks={"request": [own]},
        timeout=openai.Timeout(None, connect=at.connect_s),
    )
    return openai.AsyncOpenAI(api_key="none", base_url=at.url, max_retries=0, http_client=http)


def _info(one: dict[str, Any]) -> ModelInfo:
    context = one.get("max_model_len")
    parent = one.get("parent") or ""
    return ModelInfo(one["id"], str(parent), context if isinstance(context, int) else 0, str(one.get("owned_by") or ""))
