"""What goes wrong on the way to Slack, as often as a test says.

    slack.fail("chat.postMessage", "503", times=2)

* 429: too many requests, with the seconds to wait in Retry-After
* 500, 503: nothing was done
* reset: the connection is reset (TCP RST) before anything is done
* lost: the request is done, then the connection closes without an answer
* slow: done and answered after `seconds`
* anything else is an error code of Slack: nothing is done, and it is answered
"""

from fnmatch import fnmatchcase

from aiohttp import web

from tests.fakes import faulty
from tests.fakes.faulty import UNANSWERED, Fault


class Faults(faulty.Faults[Fault]):
    def add(self, method: str, kind: str, times: int, seconds: float) -> Fault:
        return self.put(Fault(method, kind, times, seconds))

    def take(self, method: str) -> Fault | None:
        """The fault that this request meets, if any."""
        return self.first(lambda one: fnmatchcase(method, one.method))


def answer(fault: Fault) -> web.Response | None:
    """What is said instead of doing anything; None where the request is done, or nothing can be said."""
    if fault.kind == "429":
        head = {"Retry-After": str(max(1, round(fault.seconds)))}
        return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=head)
    if fault.kind in UNANSWERED:
        return None
    if fault.kind.isdigit():
        return web.Response(status=int(fault.kind), text="<html>upstream error</html>", content_type="text/html")
    return web.json_response({"ok": False, "error": fault.kind})
