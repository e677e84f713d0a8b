"""Rate limits: a window a route and channel, one for everything, and the headers that tell of them.

The numbers are those that bots meet (facts: 5 messages and 5 edits in 5 s a channel, 50 requests a second in all, which
interactions and webhooks do not count for, 2 new names of a channel in 10 minutes). A window begins with its first request.
"""

from dataclasses import dataclass, field
from hashlib import md5

from tests.fakes.discord.state import Json

MESSAGES, MESSAGE = "/channels/{channel_id}/messages", "/channels/{channel_id}/messages/{message_id}"
ORIGINAL = "/webhooks/{webhook_id}/{webhook_token}/messages/@original"
REAL = {  # route -> requests, in seconds
    ("POST", MESSAGES): (5, 5.0),
    ("PATCH", MESSAGE): (5, 5.0),
    ("DELETE", MESSAGE): (5, 1.0),
    ("GET", MESSAGES): (5, 1.0),
    ("POST", "/channels/{channel_id}/typing"): (5, 5.0),
    ("PATCH", ORIGINAL): (5, 2.0),
    ("GET", ORIGINAL): (5, 2.0),
    ("DELETE", ORIGINAL): (5, 2.0),
    ("POST", "/webhooks/{webhook_id}/{webhook_token}"): (5, 2.0),
    ("PUT", "/applications/{application_id}/commands"): (2, 20.0),
}
USUAL, GENEROUS, GLOBAL = (10, 5.0), (100_000, 1.0), (50, 1.0)
UNCOUNTED = ("/interactions", "/webhooks")  # for the limit on everything
MOST_WINDOWS = 1000
MAJOR = ("channel_id", "guild_id", "webhook_id", "webhook_token", "interaction_token")


@dataclass
class Window:
    limit: int
    per_s: float
    began: float = float("-inf")
    used: int = 0

    def left_s(self, now: float) -> float:
        return max(0.0, self.began + self.per_s - now)

    def take(self, now: float) -> bool:
        if not self.left_s(now):
            self.began, self.used = now, 0
        self.used += 1
        return self.used <= self.limit


@dataclass
class Pace:
    real: bool
    windows: dict[tuple[str, ...], Window] = field(default_factory=dict)
    all: Window = field(default_factory=lambda: Window(*GLOBAL))

    def take(self, method: str, route: str, ids: dict[str, str], now: float) -> tuple[dict[str, str], Json | None]:
        """Count a request; return its headers and, where it is one too many, the body that says so."""
        if self.real and not route.startswith(UNCOUNTED) and not self.all.take(now):
            wait = self.all.left_s(now)
            return {"X-RateLimit-Global": "true", "Retry-After": f"{wait:.3f}"}, _limited(wait, everywhere=True)
        key = (method, route, *(ids.get(name, "") for name in MAJOR))
        if key not in self.windows:
            if len(self.windows) > MOST_WINDOWS:  # every interaction brings one
                self.windows = {name: one for name, one in self.windows.items() if one.left_s(now)}
            self.windows[key] = Window(*(REAL.get((method, route), USUAL) if self.real else GENEROUS))
        window = self.windows[key]
        free = window.take(now)
        wait = window.left_s(now)
        headers = {
            "X-RateLimit-Limit": str(window.limit),
            "X-RateLimit-Remaining": str(max(0, window.limit - window.used)),
            "X-RateLimit-Reset": f"{now + wait:.3f}",
            "X-RateLimit-Reset-After": f"{wait:.3f}",
            "X-RateLimit-Bucket": md5(f"{method} {route}".encode(), usedforsecurity=False).hexdigest(),
        }
        if free:
            return headers, None
        return headers | {"Retry-After": f"{wait:.3f}", "X-RateLimit-Scope": "user"}, _limited(wait, everywhere=False)


def _limited(wait: float, *, everywhere: bool) -> Json:
    said = {"message": "You are being rate limited.", "code": 0, "retry_after": round(wait, 3) or 0.001}
    return said | {"global": everywhere}
