"""What Discord answers when it refuses: a status, a code, a sentence, and for a form the fields that are wrong."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

FORM = 50035
CODES: Mapping[int, tuple[int, str]] = {
    0: (404, "404: Not Found"),
    10003: (404, "Unknown Channel"),
    10004: (404, "Unknown Guild"),
    10007: (404, "Unknown Member"),
    10008: (404, "Unknown Message"),
    10013: (404, "Unknown User"),
    10015: (404, "Unknown Webhook"),
    10062: (404, "Unknown interaction"),
    20016: (429, "This action cannot be performed due to slowmode rate limit"),
    20028: (429, "The write action you are performing on the channel has hit the write rate limit"),
    30003: (400, "Maximum number of pins reached for the channel (50)"),
    30032: (400, "Maximum number of application commands reached (100)."),
    30033: (400, "Maximum number of thread participants reached (1000)"),
    30034: (429, "Max number of daily application command creates has been reached (200)"),
    30046: (429, "Maximum number of edits to messages older than 1 hour reached. Try again later"),
    40005: (413, "Request entity too large"),
    40060: (400, "Interaction has already been acknowledged."),
    50001: (403, "Missing Access"),
    50003: (403, "Cannot execute action on a DM channel"),
    50005: (403, "Cannot edit a message authored by another user"),
    50006: (400, "Cannot send an empty message"),
    50007: (403, "Cannot send messages to this user"),
    50008: (400, "Cannot send messages in a non-text channel"),
    50013: (403, "Missing Permissions"),
    50021: (403, "Cannot execute action on a system message"),
    50024: (400, "Cannot execute action on this channel type"),
    50027: (401, "Invalid Webhook Token"),
    FORM: (400, "Invalid Form Body"),
    50083: (400, "Thread is archived"),
    50109: (400, "The request body contains invalid JSON."),
    160002: (400, "Cannot reply without permission to read message history"),
    160004: (400, "A thread has already been created for this message"),
    160005: (400, "Thread is locked"),
    160006: (400, "Maximum number of active threads reached"),
}
# Nobody who keeps to the written rules meets these: tests take them for faults of the one who asked.
BAD_LUCK = frozenset({"MESSAGE_REFERENCE_UNKNOWN_MESSAGE"})  # it was removed in the meantime
UNFORCED = frozenset({FORM, 30032, 40005, 50006, 50024, 50109})


@dataclass(frozen=True)
class Flaw:
    """A field that is wrong. `soft`: Discord would take it, and do nothing with it."""

    path: tuple[str | int, ...]
    code: str
    message: str
    soft: bool = False

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path)) or 'body'}: {self.code}: {self.message}"


class Refused(Exception):
    """`wait_s`: after which it may be tried again, where that is said."""

    def __init__(self, code: int, flaws: Iterable[Flaw] = (), *, status: int = 0, wait_s: float | None = None) -> None:
        self.code, self.flaws = code, tuple(flaws)
        usual, self.message = CODES[code]
        self.status, self.wait_s = status or usual, wait_s
        if self.status == 401 and code == 0:  # the same code as of a path that is not there
            self.message = "401: Unauthorized"
        super().__init__(f"{self.status} {code} {self.message} {[str(flaw) for flaw in self.flaws]}")

    @property
    def blame(self) -> bool:
        """Whether the one who asked should have known."""
        return self.code in UNFORCED and not any(flaw.code in BAD_LUCK for flaw in self.flaws)

    @property
    def body(self) -> dict[str, Any]:
        fields = {"errors": _nested(self.flaws)} if self.flaws else {}
        wait = {} if self.wait_s is None else {"retry_after": round(self.wait_s, 3), "global": False}
        return {"message": self.message, "code": self.code, **fields, **wait}


def wrong(path: tuple[str | int, ...], code: str, message: str) -> Refused:
    """An invalid form with one wrong field."""
    return Refused(FORM, [Flaw(path, code, message)])


def _nested(flaws: Iterable[Flaw]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for flaw in flaws:
        at = tree
        for step in flaw.path:
            at = at.setdefault(str(step), {})
        at.setdefault("_errors", []).append({"code": flaw.code, "message": flaw.message})
    return tree
