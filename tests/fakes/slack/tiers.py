"""Rate limits: so many requests a minute, a method and a workspace, in a window that slides.

Tiers 1 to 4 are 1, 20, 50 and 100 a minute (facts, section 2; Slack says "and more": nobody may count on it). Posting has one
of its own: a message a second and channel, a burst of a few. What is "special" otherwise has many.
"""

from collections import deque

from tests.fakes.slack.oracle import TIERS, oracle

WINDOW_S, MANY = 60.0, 600
POSTS, BURST = 1.0, 5  # messages a second and channel, and how many at once
# As the reference has it, for where it is not beside the checkout.
KNOWN = {
    "t1": "apps.uninstall",
    "t2": "chat.startStream chat.stopStream users.list",
    "t3": "apps.connections.open auth.revoke chat.delete chat.update conversations.history conversations.info "
    "conversations.join conversations.open conversations.replies agents.sessions.rename agents.sessions.setStatus "
    "reactions.add team.info",
    "t4": "chat.appendStream chat.postEphemeral views.open views.push views.update views.publish users.info "
    "conversations.members files.info files.getUploadURLExternal files.completeUploadExternal "
    "assistant.threads.setTitle assistant.threads.setSuggestedPrompts",
}


def a_minute(method: str) -> int:
    judge = oracle()
    told = judge.method(method) if judge else None
    tier = told.tier if told else next((name for name, known in KNOWN.items() if method in known.split()), "t5")
    return TIERS.get(tier, MANY)


class Tiers:
    """`met`: how many requests were one too many, by method."""

    def __init__(self, real: bool) -> None:
        self.real = real
        self.met: dict[str, int] = {}
        self._used: dict[tuple[str, str], deque[float]] = {}
        self._posts: dict[str, tuple[float, float]] = {}  # channel -> messages it may have now, as of when

    def take(self, method: str, team: str, channel: str, now: float) -> int:
        """Count a request; the seconds to wait where it is one too many, else 0."""
        if not self.real:
            return 0
        wait = self._post(channel, now) if method == "chat.postMessage" else self._window(method, team, now)
        if wait > 0:
            self.met[method] = self.met.get(method, 0) + 1
            return max(1, int(wait + 0.999))
        return 0

    def _window(self, method: str, team: str, now: float) -> float:
        used = self._used.setdefault((method, team), deque())
        while used and used[0] <= now - WINDOW_S:
            used.popleft()
        if len(used) >= a_minute(method):
            return used[0] + WINDOW_S - now
        used.append(now)
        return 0.0

    def _post(self, channel: str, now: float) -> float:
        left, at = self._posts.get(channel, (float(BURST), now))
        left = min(float(BURST), left + (now - at) * POSTS)
        if left < 1:
            self._posts[channel] = (left, now)
            return (1 - left) / POSTS
        self._posts[channel] = (left - 1, now)
        return 0.0
