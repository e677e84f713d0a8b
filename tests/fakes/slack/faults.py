"""What goes wrong on the way to Slack, as often as a test says.

    slack.fail("chat.postMessage", "503", times=2)

* 429: too many requests, with the seconds to wait in Retry-After
* 500, 503: nothing was done
* reset: the connection is reset (TCP RST) before anything is done
* lost: the request is done, then the connection closes without an answer
* slow: done and answered after `seconds`
* anything else is an error code of Slack: nothing is done, and it is answered
"""

import socket
import struct
from dataclasses import dataclass
from fnmatch import fnmatchcase

from aiohttp import web

DONE = ("lost", "slow")  # the request is done all the same


@dataclass
class Fault:
    """`met` counts how often it came to pass; `left` how often it still will."""

    method: str
    kind: str
    left: int
    seconds: float
    met: int = 0


class Faults:
    def __init__(self) -> None:
        self.known: list[Fault] = []

    def add(self, method: str, kind: str, times: int, seconds: float) -> Fault:
        made = Fault(method, kind, times, seconds)
        self.known.append(made)
        return made

    def take(self, method: str) -> Fault | None:
        """The fault that this request meets: of several, the one that was asked for first."""
        for fault in self.known:
            if fault.left and fnmatchcase(method, fault.method):
                fault.left -= 1
                fault.met += 1
                return fault
        return None


def answer(fault: Fault) -> web.Response | None:
    """What is said instead of doing anything; None where the request is done, or nothing can be said."""
    if fault.kind == "429":
        head = {"Retry-After": str(max(1, round(fault.seconds)))}
        return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=head)
    if fault.kind in ("reset", *DONE):
        return None
    if fault.kind.isdigit():
        return web.Response(status=int(fault.kind), text="<html>upstream error</html>", content_type="text/html")
    return web.json_response({"ok": False, "error": fault.kind})


def reset(request: web.BaseRequest) -> None:
    """End a connection by RST: closed with SO_LINGER at 0 s, what is unsent is thrown away and the peer told at once."""
    transport = request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
