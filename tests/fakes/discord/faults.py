"""What goes wrong on the way to Discord, as often as a test says.

    discord.fail("POST", r"/channels/\\d+/messages", "503", times=2)

* 429: too many requests, with `Via` and the time to wait; 429-cloudflare: without `Via`, as Cloudflare's ban is
* 500, 502, 503, 504: nothing was done
* reset: the connection is reset (TCP RST) before anything is done
* lost: the request is done, then the connection closes without an answer
* slow: done and answered after `seconds`
"""

import re
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from tests.fakes import faulty
from tests.fakes.faulty import UNANSWERED

Kind = Literal["429", "429-cloudflare", "500", "502", "503", "504", "reset", "lost", "slow"]


@dataclass
class Fault(faulty.Fault):
    """`pattern`: of the paths that it is for."""

    pattern: str = field(kw_only=True)


class Faults(faulty.Faults[Fault]):
    def add(self, method: str, pattern: str, kind: Kind, times: int, seconds: float) -> Fault:
        return self.put(Fault(method, kind, times, seconds, pattern=pattern))

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, if any."""
        return self.first(lambda one: one.method in (method, "*") and re.fullmatch(one.pattern, path))


def answer(fault: Fault) -> web.Response | None:
    """What is said instead of doing anything; None where the request is done all the same."""
    if fault.kind == "429":
        body = f'{{"message": "You are being rate limited.", "code": 0, "retry_after": {fault.seconds}, "global": false}}'
        headers = {"Content-Type": "application/json", "Via": "1.1 google", "Retry-After": f"{fault.seconds}"}
        return web.Response(status=429, body=body.encode(), headers=headers)
    if fault.kind == "429-cloudflare":
        return web.Response(status=429, body=b"error code: 1015", headers={"Content-Type": "text/plain"})
    if fault.kind in UNANSWERED:
        return None
    page = f"<html><head><title>{fault.kind}</title></head></html>"
    return web.Response(status=int(fault.kind), body=page.encode(), headers={"Content-Type": "text/html"})
