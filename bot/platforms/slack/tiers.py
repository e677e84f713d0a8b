"""How often Slack is spoken to: each method has a tier, counted for each workspace; new messages a pace for each channel.

https://docs.slack.dev/apis/web-api/rate-limits: Slack promises a tier's calls a minute and lets a little more pass at times;
what is counted on here is what is promised.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import monotonic

from bot.turns import Turns, Window

MINUTE_S = 60.0
POSTS = (4, 4.0)  # chat.postMessage: one a second in a channel, short bursts allowed
LOOKED = 100  # messages that one look into a conversation brings
# The same page: calls a minute and messages a look of an app that many workspaces install, outside of Slack's Marketplace.
RATIONED, RATION = {"conversations.history": 1, "conversations.replies": 1}, 15
WINDOWS = 2048  # that are kept; one that has not been used for a while is as good as new
TIERS = {
    "agents.sessions.rename": 50,
    "agents.sessions.setStatus": 50,
    "assistant.threads.setSuggestedPrompts": 100,
    "auth.test": 300,
    "chat.appendStream": 100,
    "chat.delete": 50,
    "chat.postEphemeral": 100,
    "chat.postMessage": 300,
    "chat.startStream": 20,
    "chat.stopStream": 20,
    "chat.update": 50,
    "conversations.history": 50,
    "conversations.open": 50,
    "conversations.replies": 50,
    "files.completeUploadExternal": 100,
    "files.getUploadURLExternal": 100,
    "files.info": 100,
    "users.info": 100,
    "views.open": 100,
    "views.publish": 100,
    "views.update": 100,
}  # calls a minute in a workspace, by the tier that each method's page names


class Tiers:
    """Turns to call Slack's methods. `times`: how many times as much as it allows, for one that sets no limits.

    `many`: many workspaces install the app; `looked` is how many messages it may ask for at once.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, times: float = 1.0, *, many: bool = False) -> None:
        self.clock, self.times = clock, times
        self.tiers, self.looked = (TIERS | RATIONED, RATION) if many else (TIERS, LOOKED)
        self._turns = Turns()
        self._windows: dict[tuple[str, str], Window] = {}

    def turn(self, team: str, method: str, channel: str = "", *, edit: bool = False) -> AbstractAsyncContextManager[None]:
        """Wait for a turn, and have it until the call is answered. `edit`: one that may wait for others like it."""
        windows = [self._of(team, method)]
        if method == "chat.postMessage":
            windows.append(self._of(f"{team}.{channel}", method, POSTS))
        return self._turns.turn(windows, edit=edit)

    @asynccontextmanager
    async def soon(self, team: str, method: str, within_s: float) -> AsyncIterator[bool]:
        """The same, where waiting longer than that is worth nothing: whether there was one."""
        if self._of(team, method).wait_s() > within_s:
            yield False
            return
        async with self.turn(team, method):
            yield True

    def refused(self, team: str, method: str, rests_s: float) -> None:
        """Slack refused a call of that method (429), for so long."""
        self._of(team, method).refused(rests_s)

    def _of(self, scope: str, method: str, limit: tuple[int, float] | None = None) -> Window:
        if (scope, method) not in self._windows:
            if len(self._windows) >= WINDOWS:
                wanted = self._turns.wanted()
                self._windows = {name: one for name, one in self._windows.items() if one in wanted or not one.fresh()}
            most, per_s = limit or (self.tiers[method], MINUTE_S)
            self._windows[scope, method] = Window(max(1, int(most * self.times)), per_s, clock=self.clock)
        return self._windows[scope, method]
