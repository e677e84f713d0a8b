"""What goes wrong on the way to Discord, as often as a test says.

    discord.fail("POST", r"/channels/\\d+/messages", "503", times=2)

* 429: too many requests, with `Via` and the time to wait; 429-cloudflare: without `Via`, as Cloudflare's ban is
* 500, 502, 503, 504: nothing was done
* reset: the connection is reset (TCP RST) before anything is done
* lost: the request is done, then the connection closes without an answer
* slow: done and answered after `seconds`
"""

import re
import socket
import struct
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

Kind = Literal["429", "429-cloudflare", "500", "502", "503", "504", "reset", "lost", "slow"]


@dataclass
class Fault:
    """`met` counts how often it came to pass; `left` how often it still will."""

    method: str
    pattern: str
    kind: Kind
    left: int
    seconds: float
    met: int = 0


class Faults:
    def __init__(self) -> None:
        self.known: list[Fault] = []

    def add(self, method: str, pattern: str, kind: Kind, times: int, seconds: float) -> Fault:
        made = Fault(method, pattern, kind, times, seconds)
        self.known.append(made)
        return made

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets: of several, the one that was asked for first."""
        for fault in self.known:
            if fault.left and fault.method in (method, "*") and re.fullmatch(fault.pattern, path):
                fault.left -= 1
                fault.met += 1
                return fault
        return None


def answer(fault: Fault) -> web.Response | None:
    """What is said instead of doing anything; None where the request is done all the same."""
    if fault.kind == "429":
        body = f'{{"message": "You are being rate limited.", "code": 0, "retry_after": {fault.seconds}, "global": false}}'
        headers = {"Content-Type": "application/json", "Via": "1.1 google", "Retry-After": f"{fault.seconds}"}
        return web.Response(status=429, body=body.encode(), headers=headers)
    if fault.kind == "429-cloudflare":
        return web.Response(status=429, body=b"error code: 1015", headers={"Content-Type": "text/plain"})
    if fault.kind in ("reset", "lost", "slow"):
        return None
    page = f"<html><head><title>{fault.kind}</title></head></html>"
    return web.Response(status=int(fault.kind), body=page.encode(), headers={"Content-Type": "text/html"})


def reset(request: web.BaseRequest) -> None:
    """End a connection by RST: closed with SO_LINGER at 0 s, what is unsent is thrown away and the peer told at once."""
    transport = request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
