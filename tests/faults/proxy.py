"""A TCP port in front of a server's unix socket, and all that may happen to the wire between.

Cut: every connection is closed. Away: nothing gets through for a while, not even new connections; what was under way
comes afterwards, as TCP has it, or is lost, and the connections with it without anybody being told, as where a box on the
way has forgotten them. Slow: each piece takes a while.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

PIECE = 2**16


class Proxy:
    """One port, for one client, so that clients can be cut off one by one."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.port = 0
        self.delay_s = 0.0
        self._open = asyncio.Event()
        self._open.set()
        self._wires: set[Wire] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._taken, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *told: object) -> None:
        assert self._server
        self._server.close()
        self.cut()

    def cut(self) -> None:
        for wire in self._wires:
            wire.close()

    async def away(self, seconds: float, *, lost: bool) -> None:
        """Let nothing through for a while."""
        before = set(self._wires)
        self._open.clear()
        await asyncio.sleep(seconds)
        for wire in before if lost else ():
            wire.dead = True
        self._open.set()

    async def slow(self, seconds: float, delay_s: float) -> None:
        self.delay_s = delay_s
        await asyncio.sleep(seconds)
        self.delay_s = 0.0

    async def through(self) -> None:
        """Return when something may get through."""
        await self._open.wait()
        if self.delay_s:
            await asyncio.sleep(self.delay_s)

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(self.through, writer)
        self._wires.add(wire)
        try:
            await self.through()
            inside, outside = await asyncio.open_unix_connection(str(self.socket))
            wire.writers.append(outside)
            ways = [asyncio.create_task(wire.carry(reader, outside)), asyncio.create_task(wire.carry(inside, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:  # the server is not there
            wire.dead = False
        finally:
            self._wires.discard(wire)
            wire.close()


class Wire:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, through: Callable[[], Awaitable[None]], writer: asyncio.StreamWriter) -> None:
        self.through, self.writers, self.dead = through, [writer], False

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, until one of the two ends; what is said on a dead one is swallowed."""
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                await self.through()
                if not self.dead:
                    writer.write(piece)
                    await writer.drain()
        if self.dead and writer is self.writers[0]:  # that the server has ended is not told either
            await asyncio.Event().wait()

    def close(self) -> None:
        for writer in self.writers:
            writer.close()
