"""What goes wrong on the way to a fake platform, as often as a test says: what the fakes share.

What each kind of fault is answered with is the platform's own, and how one is found for a request. These need no answer:

* reset: the connection is reset (TCP RST) before anything is done
* lost: the request is done, then the connection closes without an answer
* slow: done and answered after `seconds`
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from aiohttp import web

UNANSWERED = ("reset", "lost", "slow")  # by the fault itself: the last two are done, and answered, as ever


@dataclass
class Fault:
    """`met` counts how often it came to pass; `left` how often it still will."""

    method: str
    kind: str
    left: int
    seconds: float
    met: int = 0


AnyFault = TypeVar("AnyFault", bound=Fault)


class Faults(Generic[AnyFault]):
    def __init__(self) -> None:
        self.known: list[AnyFault] = []

    def put(self, made: AnyFault) -> AnyFault:
        self.known.append(made)
        return made

    def first(self, fits: Callable[[AnyFault], object]) -> AnyFault | None:
        """The fault that a request meets: of several that fit, the one that was asked for first."""
        for fault in self.known:
            if fault.left and fits(fault):
                fault.left -= 1
                fault.met += 1
                return fault
        return None


async def unanswered(fault: Fault, request: web.Request, answer: Callable[[], Awaitable[web.Response]]) -> web.Response:
    """Let a request meet a fault of UNANSWERED; `answer` does what was asked."""
    if fault.kind == "reset":
        _reset(request)
        return web.Response()
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
    said = await answer()
    if fault.kind == "lost" and request.transport is not None:
        request.transport.close()
    return said


def _reset(request: web.BaseRequest) -> None:
    """End a connection by RST: closed with SO_LINGER at 0 s, what is unsent is thrown away and the peer told at once."""
    transport = request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
