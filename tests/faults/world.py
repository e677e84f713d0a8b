"""Three workers and two front ends, each a process of its own on a wire of its own, and the Redis that they share."""

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import psutil

from pipeline.embedded import Server
from pipeline.memory import connect
from pipeline.pool.ledger import Ledger
from tests.faults.proxy import Proxy

HOME = Path(__file__).resolve().parent.parent.parent
WORKERS = ("w0", "w1", "w2")
FRONTS = ("f0", "f1")


class World:
    """Three workers, two front ends, a Redis, and the wires between."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.server = Server(base / "redis")
        self.proxies: dict[str, Proxy] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.names: dict[str, str] = {}  # what a worker is called in this life
        self.lives = 0
        self.memory = connect(self.server.url, timeout_s=10.0)
        self.ledger = Ledger(self.memory)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "World":
        for folder in ("runs", "taxonomy"):
            (self.base / folder).mkdir()
        self.server.up()
        socket = Path(self.server.url.removeprefix("unix://").partition("?")[0])
        for who in (*WORKERS, *FRONTS):
            self.proxies[who] = await self._stack.enter_async_context(Proxy(socket))
            (self.base / f"{who}.in").touch()
            self.begin(who)
        return self

    async def __aexit__(self, *told: object) -> None:
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, 15)
            process.kill()
            process.wait()
        for left in psutil.process_iter(["cmdline"]):  # of runs: that there is one has been told by then
            if str(self.base / "runs") in " ".join(left.info["cmdline"] or ()):
                with suppress(psutil.Error):
                    left.kill()
        await self.memory.close()
        await self._stack.aclose()
        self.server.down()

    def begin(self, who: str) -> None:
        self.lives += 1
        kind = "worker" if who in WORKERS else "front"
        name = self.names[who] = f"{who}.{self.lives}" if who in WORKERS else who
        url = f"redis://127.0.0.1:{self.proxies[who].port}"
        command = [sys.executable, "-m", "tests.faults.crew", kind, url, str(self.base), name]
        with (self.base / f"{who}.log").open("ab") as log:
            self.processes[who] = subprocess.Popen(command, cwd=HOME, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def say(self, front: str, line: str) -> None:
        with (self.base / f"{front}.in").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def shown(self, front: str) -> list[dict[str, str]]:
        path = self.base / f"{front}.out"
        return list(map(json.loads, path.read_text(encoding="utf-8").splitlines())) if path.exists() else []
