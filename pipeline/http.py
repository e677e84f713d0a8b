"""The one ASGI app of a process: /healthz, /metrics, and whatever else a front end mounts beside them.

It listens on 127.0.0.1 unless told otherwise. What it says is for operators: no secret, no person, no run; still, nothing
asks who reads it, so beyond this machine it belongs into a network of one's own, as docker-compose.yml has it.

`python -m pipeline.http HOST:PORT[/PATH]` asks such an app, or `labpipe serve`, whether it is well: what a container's
health check runs. 0: it is; 1: it is not, or nobody answers; the reason stands on stdout, which `docker inspect` shows.
"""

import asyncio
import ipaddress
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from pipeline import metrics
from pipeline.errors import Invalid, Problem, Temporary

if TYPE_CHECKING:  # they take 0.2 s to import, which a health check need not wait for
    import uvicorn
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

log = logging.getLogger("labbot.http")

HEALTH_S = 3.0  # longest wait for an answer about health: engines of containers wait 5 s for the check itself
STOP_S = 1.0  # for answers that are under way when it is to end
ASK_S = 4.0  # longest wait of the check
SAID_BYTES = 400  # of an answer that a check shows


@dataclass(frozen=True, slots=True)
class Health:
    """`state`: "ok", or what is wrong in a sentence. `facts`: counts and names, never a person's, never a secret."""

    state: str = "ok"
    facts: dict[str, str | int | float] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return self.state == "ok"


def app(
    health: Callable[[], Awaitable[Health]], text: Callable[[], Awaitable[str]], mounts: "Sequence[BaseRoute]" = ()
) -> "ASGIApp":
    """/healthz (200, or 503 with the reason), /metrics (`text` in Prometheus' format; 503 while Redis is away), `mounts`."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    async def healthz(request: Request) -> Response:
        found = await _asked(health)
        return JSONResponse({"state": found.state, **found.facts}, 200 if found.good else 503)

    async def told(request: Request) -> Response:
        try:
            return PlainTextResponse(await asyncio.wait_for(text(), HEALTH_S), headers={"content-type": metrics.KIND})
        except (Temporary, TimeoutError):
            return PlainTextResponse("Redis does not answer; ask again later.\n", 503)

    return Starlette(routes=[Route("/healthz", healthz), Route("/metrics", told), *mounts])


async def _asked(health: Callable[[], Awaitable[Health]]) -> Health:
    """Health in time: a loop that hangs in the question is as unwell as one that says so."""
    try:
        return await asyncio.wait_for(health(), HEALTH_S)
    except TimeoutError:
        return Health(f"It took more than {HEALTH_S:g} s to find out.")
    except Temporary:  # its words may have the address of the Redis
        return Health("Redis does not answer.")


async def serve(app: "ASGIApp", host: str, port: int, ready: Callable[[int], None] = lambda port: None) -> None:
    """Answer until cancelled; `ready` is told the port, which 0 leaves open. Raises Invalid where the port is not free."""
    with bound(host, port) as held:
        server = _server(app)
        at = held.getsockname()[1]
        log.info("health and metrics answer at %s:%d%s", host, at, "" if is_near(host) else ", to other machines as well")
        task = asyncio.create_task(server.serve(sockets=[held]), name="http")
        try:
            ready(at)  # the socket listens by now in the system's own queue, so whoever connects is served
            await asyncio.shield(task)
        finally:
            server.should_exit = True
            await task


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens there. Raises Invalid where the port cannot be had."""
    held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, port))
        held.listen(64)
    except OSError as error:
        held.close()
        message = f"it cannot be had: {error.strerror}."
        raise Invalid(Problem("http.port", message, f"--http {host}:{port}", "Take another; 0 finds a free one.")) from None
    with held:
        yield held


def place(text: str) -> tuple[str, int]:
    """ "127.0.0.1:9464", "9464" or "[::1]:9464" as host and port. Raises Invalid for anything else."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        number = int(port) if port.isascii() and port.isdecimal() else -1
        if not 0 <= number <= 65_535 or (host != "localhost" and host and not ipaddress.ip_address(host)):
            raise ValueError(text)
    except ValueError:
        fix = "Write it like 127.0.0.1:9464, or 9464 alone."
        raise Invalid(Problem("http.place", "that is no address with a port.", f"--http {text}", fix)) from None
    return host or "127.0.0.1", number


def is_near(host: str) -> bool:
    """Whether only this machine reaches it there."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def settings(app: "ASGIApp", *, keep_alive_s: int = 5, stop_s: float = STOP_S) -> "uvicorn.Config":
    """uvicorn as every server of ours is: HTTP alone, in our loop, our logs, and soon gone when it is to end."""
    import uvicorn

    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=int(stop_s),
    )


def _server(app: "ASGIApp") -> "uvicorn.Server":
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Signals are the worker's: it finishes or saves first, and cancels this."""
            yield

    return Server(settings(app))


# --- the check of a container


def ask(host: str, port: int, path: str = "/healthz") -> tuple[bool, str]:
    """Whether what listens there answers with 200, and what it says."""
    connection = HTTPConnection(host, port, timeout=ASK_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status == 200, answer.read(SAID_BYTES).decode("utf-8", "replace").strip()
    except (OSError, HTTPException) as error:
        return False, f"Nobody answers at {host}:{port}: {error or type(error).__name__}."
    finally:
        connection.close()


def main(words: Sequence[str]) -> int:
    """See the module. 2: that is no address."""
    at, slash, path = (words[0] if len(words) == 1 else "").partition("/")
    try:
        good, said = ask(*place(at), f"/{path}" if slash else "/healthz")
    except Invalid as error:
        sys.stdout.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{said}\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
