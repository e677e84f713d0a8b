"""The process of `labpipe serve`, from its port to its end: our engine in this process, or vLLM as a child.

When it answers, it says one JSON line on stdout: {"url", "model"}; everything for people goes to the log. SIGTERM, Ctrl-C
and, with `with_parent`, the end of stdin stop it: answers get GRACE_S to come to their ends, then are ended with a reason.
"""

import asyncio
import ctypes
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx

from pipeline import http
from pipeline.errors import Invalid, Problem
from pipeline.models import child
from pipeline.models.launch import Found, Plan, Wanted, plan

if TYPE_CHECKING:
    import uvicorn

    # llama.cpp must not be loaded before its threads are told how to wait
    from pipeline.models.serve import Service

log = logging.getLogger("labpipe.serve")

GRACE_S = 2.0  # for answers to come to their ends
STOP_S = 3.0  # after which what still runs is cut off
IDLE_S = 75  # a connection without requests is kept so long: longer than clients keep theirs, so that they close first
LOOK_S = 0.25  # how often a vLLM that starts is asked whether it is ready
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

Say = Callable[[str], None]


def run(wanted: Wanted, found: Found, key: str, say: Say) -> int:
    """Serve until told to stop; the exit status. Raises Invalid where it cannot begin."""
    planned = plan(wanted, found)
    for reason in planned.why:
        log.info("%s", reason)
    if wanted.with_parent:
        _end_with_parent()
    with _bound(wanted.host, wanted.port) as held:
        if planned.engine == "own":
            return _own(wanted, held, key, say)
        port = held.getsockname()[1]
    return asyncio.run(_vllm(plan(replace(wanted, port=port), found), replace(wanted, port=port), key, say))


def _bound(host: str, port: int) -> socket.socket:
    """A socket on that port which takes no connections yet. Raises Invalid where the port is not free."""
    held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )  # or the second piece waits 40 ms for the first one's receipt
        held.bind((host, port))
    except OSError as error:
        held.close()
        fix = "Take another: --port 0 finds a free one."
        raise Invalid(Problem("serve.port", f"it cannot be had: {error.strerror}.", f"{host}:{port}", fix)) from None
    return held


def url(host: str, port: int) -> str:
    """Where clients on this machine reach it."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{near}]' if ':' in near else near}:{port}/v1"


def _ready(wanted: Wanted, port: int, say: Say) -> None:
    say(json.dumps({"url": url(wanted.host, port), "model": wanted.model.name}))
    log.info("%s answers at %s", wanted.model.name, url(wanted.host, port))


def _end_with_parent() -> None:
    """Stop when stdin ends: whoever started this process holds the other end, and is gone then, however it went."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


# --- our engine


def _own(wanted: Wanted, held: socket.socket, key: str, say: Say) -> int:
    if wanted.wait == "passive":  # else as OpenMP does by itself: spin for a while; its own "active" would spin for ever
        os.environ["OMP_WAIT_POLICY"] = "passive"  # read once, when llama.cpp's OpenMP is loaded: by the next line
    from pipeline.models import engine
    from pipeline.models.serve import Service

    assert wanted.model.gguf
    made = engine.Engine(
        engine.EngineSettings(
            wanted.model.gguf,
            name=wanted.model.name,
            context=wanted.context,
            capacity=wanted.capacity,
            slots=wanted.slots,
            threads=wanted.threads,
            gpu_layers=wanted.gpu_layers,
        )
    )
    service = Service(made, wanted.adapters)
    try:
        server(service, key, lambda: _ready(wanted, held.getsockname()[1], say)).run([held])
    finally:
        service.close()
        alive = made.alive()
        made.close()
    if not alive:
        log.error("the engine ended by itself; nothing more can be answered")
    return 0 if alive else 1


def server(service: "Service", key: str, ready: Callable[[], None]) -> "uvicorn.Server":
    """uvicorn with our ways to begin and to end; it ends at a signal, at `should_exit`, and with the engine."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            ready()

        async def on_tick(self, counter: int) -> bool:
            return not service.engine.alive() or await super().on_tick(counter)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            ending = asyncio.get_running_loop().call_later(GRACE_S, service.end)
            await super().shutdown(sockets=sockets)
            ending.cancel()

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """As uvicorn's, which would raise the signal again at the end: a server that was asked to end, ended well."""
            main = threading.current_thread() is threading.main_thread()
            before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGTERM, signal.SIGINT) if main}
            try:
                yield
            finally:
                for one, handler in before.items():
                    signal.signal(one, handler)

    logging.getLogger("uvicorn.access").disabled = True  # guard.py has a line for each request
    return Server(http.settings(service.app(key), keep_alive_s=IDLE_S, stop_s=STOP_S))


# --- vLLM


async def _vllm(planned: Plan, wanted: Wanted, key: str, say: Say) -> int:
    """Run vLLM and everything it starts, in a group of its own, until it ends or this process is to stop."""
    stopping = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stopping.set)
    server = await asyncio.create_subprocess_exec(
        *planned.argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        env=_environment(planned, key),
        start_new_session=True,
        preexec_fn=_dying_with_us(),
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            ended, stop = tasks.create_task(server.wait()), tasks.create_task(stopping.wait())
            begun = tasks.create_task(_answers(url(wanted.host, wanted.port)))
            begun.add_done_callback(lambda task: None if task.cancelled() else _ready(wanted, wanted.port, say))
            await asyncio.wait((ended, stop), return_when=asyncio.FIRST_COMPLETED)
            ended.cancel(), stop.cancel(), begun.cancel()
    finally:
        await child.end(server, STOP_S)
    if stopping.is_set():
        return 0
    log.error("vLLM ended %s", child.how(server.returncode or 0))
    return 1


def _environment(planned: Plan, key: str) -> Mapping[str, str]:
    told = {**os.environ, **planned.environment}
    told.pop("VLLM_API_KEY", None)
    return {**told, "VLLM_API_KEY": key} if key else told


async def _answers(base: str) -> None:
    """Return when the server there answers."""
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            with suppress(httpx.HTTPError):
                if (await client.get(base.removesuffix("/v1") + "/health")).status_code == 200:
                    return
            await asyncio.sleep(LOOK_S)


def _dying_with_us() -> Callable[[], None] | None:
    """What a child does first, so that it is told to end even when this process is killed; on Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)  # loaded before the fork
    return lambda: library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) and None
