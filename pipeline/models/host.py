"""The models of an installation: configured endpoints, else one server that all its processes share on this machine.

Whoever holds `serve.lock` keeps the server: starts it as a child, starts it anew when it dies or another model is chosen,
and tells the others in `serve.json` where it is. The lock goes to the child as well, so that it is free only when both
are gone; a child whose keeper is gone ends by itself, as its stdin ends. Then the next process takes over.
`serve.json` says something only while the lock is held and the process that it names is there; what a crash left is taken
away by the next that gets the lock.

LABBOT_SERVE has further words for `labpipe serve`, such as "--slots 64 --vllm-python PATH".
"""

import asyncio
import json
import logging
import os
import re
import secrets
import shlex
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Literal, cast, get_args

from pipeline.config import ModelRole, RolesConfig
from pipeline.errors import Failed
from pipeline.files import taken, write
from pipeline.models import catalog, child, machine, turn
from pipeline.models.client import Client
from pipeline.models.endpoint import Endpoint

log = logging.getLogger("labpipe.serve")

ROLES: tuple[str, ...] = get_args(ModelRole)
LOOK_S = 0.5  # how often it is looked whether another model was chosen, or the keeper's place is free
STOP_S = 5.0  # a server gives its answers 3 s to end
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # before a server that died is started again: doubled each time
STEADY_S = 60.0  # one that ran so long did not die of its start
LINE_BYTES = 2**20
KEPT = 4  # last lines of what a server said that its end is explained with

SECRET = re.compile(r"KEY|PASS|SECRET|TOKEN|_URL$")  # in a variable's name

TRAINING = "a training has the accelerator; the model comes back by itself when it is done"

State = Literal["absent", "starting", "ready"]


@dataclass(frozen=True, slots=True)
class Served:
    """What `serve.json` says. `cause` is why it is not ready, where a server before this one died."""

    url: str
    key: str
    pid: int
    model: str
    state: Literal["starting", "ready"]
    cause: str = ""

    def __repr__(self) -> str:
        return f"Served(url={self.url!r}, pid={self.pid}, model={self.model!r}, state={self.state!r})"


class Models:
    """The endpoints by role. `folder` is LABBOT_DATA/models; `keep` runs beside whatever asks for clients.

    `command` starts a server instead of `labpipe serve`, the model's name comes after it; `first_pause_s` is for tests.
    `shares`: whether it takes turns with trainings, see `turn`; None where it has an accelerator.
    """

    def __init__(
        self,
        roles: RolesConfig,
        folder: Path,
        environment: Mapping[str, str],
        *,
        command: Sequence[str] = (),
        first_pause_s: float = FIRST_PAUSE_S,
        look_s: float = LOOK_S,
        shares: bool | None = None,
    ) -> None:
        self.folder = folder
        self._shares = shares
        self._roles, self._environment, self._command = roles, environment, tuple(command)
        self._first_pause_s, self._look_s = first_pause_s, look_s
        self._clients: dict[Endpoint, Client] = {}

    def client(self, role: str) -> Client | None:
        """The client of a role; None where nothing is configured and no server is ready."""
        endpoint = self.endpoint(role)
        if endpoint is None:
            return None
        if endpoint not in self._clients:
            self._clients[endpoint] = Client(endpoint)
        return self._clients[endpoint]

    def state(self, role: str) -> State:
        """absent: nothing is configured and no model chosen; starting: the server is not there yet, or not any more."""
        if self._named(role):
            return "ready"
        if not (chosen := catalog.chosen(self.folder)):
            return "absent"
        return "ready" if (served := self._served()) and _is_ready(served, chosen) else "starting"

    @property
    def cause(self) -> str:
        """Why the shared server died last, while none is ready; "" where it did not."""
        served = self._served()
        return served.cause if served else ""

    def configured(self, role: str) -> bool:
        """Whether roles.yaml or the environment names an endpoint for a role."""
        return self._named(role) is not None

    async def keep(self) -> None:
        """Keep the shared server, or be ready to as soon as its keeper is gone; until cancelled."""
        if all(self._named(role) for role in ROLES):
            return
        while True:
            if catalog.chosen(self.folder):
                try:
                    with (self.folder / "serve.lock").open("a") as lock:
                        if taken(lock):
                            await self._keep(lock)
                except OSError as error:
                    log.error("no model server: %s", error)
                    await asyncio.sleep(LONGEST_PAUSE_S)
            await self._drop()
            await asyncio.sleep(self._look_s)

    async def close(self) -> None:
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()

    # --- who is asked

    def endpoint(self, role: str) -> Endpoint | None:
        """The configured endpoint of a role, else the shared server's, if it is ready."""
        if endpoint := self._named(role):
            return endpoint
        served = self._served()
        if served is None or not _is_ready(served, catalog.chosen(self.folder)):
            return None
        return self._named(role, url=served.url, key=served.key)

    def _named(self, role: str, **shared: str) -> Endpoint | None:
        return self._roles.endpoint(cast(ModelRole, role), self._environment, **shared)

    def _served(self) -> Served | None:
        """What the keeper says; None where there is none, or none that lives."""
        try:
            found = Served(**json.loads((self.folder / "serve.json").read_bytes()))
            if found.pid:
                os.kill(found.pid, 0)
            with (self.folder / "serve.lock").open() as lock:
                return None if taken(lock, shared=True) else found
        except (OSError, ValueError, TypeError):
            return None

    async def _drop(self) -> None:
        """Close the clients of servers that are no more."""
        now = {self.endpoint(role) for role in ROLES}
        for endpoint in [one for one in self._clients if one not in now]:
            await self._clients.pop(endpoint).close()

    # --- the keeper

    async def _keep(self, lock: IO[str]) -> None:
        """Start a server, and another one whenever it ends, while a model is chosen."""
        if self._shares is None:
            self._shares = (await asyncio.to_thread(machine.look)).kind != "cpu"
        pause_s, cause = self._first_pause_s, ""
        (self.folder / "serve.json").unlink(missing_ok=True)  # of a keeper that crashed
        try:
            while name := catalog.chosen(self.folder):
                began = time.monotonic()
                with turn.serving(self.folder) if self._shares else nullcontext(True) as ours:
                    before, cause = cause, await self._run(name, lock, cause) if ours else TRAINING
                self._tell(Served("", "", 0, name, "starting", cause))
                await self._drop()
                if not cause:
                    continue
                if cause != before:
                    log.log(logging.INFO if cause == TRAINING else logging.ERROR, "%s", cause)
                if time.monotonic() - began > STEADY_S:
                    pause_s = self._first_pause_s
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._until_changed(name)
                pause_s = self._first_pause_s if cause == TRAINING else min(2 * pause_s, LONGEST_PAUSE_S)
        finally:
            (self.folder / "serve.json").unlink(missing_ok=True)

    async def _run(self, name: str, lock: IO[str], before: str) -> str:
        """One server, from its start to its end: why it died, or "" where another model was chosen."""
        try:
            words = self._words(name)
        except ValueError as error:
            return f"LABBOT_SERVE cannot be read: {error}"
        key = secrets.token_urlsafe(32)
        server = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,  # its end tells the server that we are gone
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**self._harmless(), "LABBOT_SERVE_KEY": key},
            pass_fds=(lock.fileno(),),
            start_new_session=True,
            limit=LINE_BYTES,
            cwd=Path(__file__).parents[2],
        )
        starting = Served("", key, server.pid, name, "starting", before)
        said: deque[str] = deque(maxlen=KEPT)
        try:
            self._tell(starting)
            async with asyncio.TaskGroup() as tasks:
                relay = tasks.create_task(self._relay(server, starting))
                listen = tasks.create_task(_listen(server, said))
                changed = tasks.create_task(self._until_to_go(name))
                await asyncio.wait((relay, changed), return_when=asyncio.FIRST_COMPLETED)
                if changed.done():
                    log.info("%s is stopped: another model is chosen, or a training wants the accelerator", name)
                    await child.end(server, STOP_S)
                changed.cancel()
                await asyncio.wait((relay, listen), timeout=STOP_S)
                relay.cancel(), listen.cancel()
        finally:
            await child.end(server, STOP_S)
        if changed.done() and not changed.cancelled():
            return ""
        last = f": {'; '.join(said)}" if said else ""
        return f"The model server of {name} ended {child.how(server.returncode or 0)}{last}"

    def _words(self, name: str) -> list[str]:
        if self._command:
            return [*self._command, name]
        given = shlex.split(self._environment.get("LABBOT_SERVE", ""))
        words = [sys.executable, "-m", "pipeline", "serve", name, "--port", "0", "--models", str(self.folder), "--with-parent"]
        folders = (self.folder, self.folder.parent / "runs")
        return [*words, *(word for folder in folders for word in ("--adapters", str(folder))), *given]

    def _harmless(self) -> dict[str, str]:
        """The environment without what a model server has no business to know."""
        return {name: value for name, value in self._environment.items() if not SECRET.search(name)}

    async def _relay(self, server: asyncio.subprocess.Process, starting: Served) -> None:
        """Tell the others as soon as the server says where it answers; returns at the end of what it says."""
        assert server.stdout
        while line := await _line(server.stdout):
            with suppress(ValueError, KeyError, TypeError):
                await self._tell_surely(replace(starting, url=str(json.loads(line)["url"]), state="ready", cause=""))

    async def _until_changed(self, name: str) -> None:
        while True:
            if catalog.chosen(self.folder) != name:
                return
            await asyncio.sleep(self._look_s)

    async def _until_to_go(self, name: str) -> None:
        """Until another model is chosen, or a training wants the accelerator that this one computes with."""
        while True:
            if catalog.chosen(self.folder) != name or (self._shares and turn.wanted(self.folder)):
                return
            await asyncio.sleep(self._look_s)

    async def _tell_surely(self, served: Served) -> None:
        while True:
            if self._tell(served):
                return
            await asyncio.sleep(LONGEST_PAUSE_S)

    def _tell(self, served: Served) -> bool:
        """Write it down for the others, readable for this user only; False where the disk refuses."""
        try:
            write(self.folder / "serve.json", json.dumps(asdict(served)))
        except Failed as error:
            log.error("nobody hears of the model server: %s", error)
            return False
        return True


async def _listen(server: asyncio.subprocess.Process, said: deque[str]) -> None:
    """Pass on what the server logs, and keep the last of it."""
    assert server.stderr
    while line := await _line(server.stderr):
        if text := line.decode(errors="replace").strip():
            said.append(text)
            log.info("%s", text)


async def _line(stream: asyncio.StreamReader) -> bytes:
    """The next line, b"" at the end; of one longer than LINE_BYTES, only its end."""
    while True:
        with suppress(ValueError):
            return await stream.readline()


def _is_ready(served: Served, chosen: str) -> bool:
    return served.state == "ready" and served.model == chosen
