"""The state of agent sessions: while labbot writes in a thread Slack shows a stop button there, and hides it when told so.

A session that is not declared to be over keeps its button for an hour. Each state is a call of a tier that a workspace has few
of, so of each thread only the newest is said, and nothing that Slack knows already.
"""

import logging
from collections import OrderedDict
from contextlib import AbstractAsyncContextManager
from typing import Literal

from bot.ear import remember
from bot.platforms.slack.threads import Room
from bot.platforms.slack.wire import Refused, Wire
from bot.turns import Newest
from pipeline.errors import Temporary

log = logging.getLogger("labbot.slack")

State = Literal["processing", "active"]
TITLE = 200  # characters
METHOD = "agents.sessions.setStatus"


class Sessions:
    """Says what changes, when there is a turn for it."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.newest = Newest(self._turn, self._send)
        self._wanted: dict[str, State] = {}
        self._begun: dict[str, tuple[str, str]] = {}  # titles of sessions that Slack does not have yet, and who began them
        self._known: OrderedDict[str, State] = OrderedDict()

    async def close(self) -> None:
        await self.newest.close()

    def begin(self, room: Room, title: str, user: str) -> None:
        """A thread begins with that title: Slack lists it so."""
        self._begun[str(room)] = title[:TITLE], user
        self._wanted.setdefault(str(room), "active")
        self.newest.put(str(room))

    def set(self, room: Room, state: State) -> None:
        """A thread's session is in that state from now on."""
        if room.thread and (str(room) in self._wanted or self._known.get(str(room), "active") != state):
            self._wanted[str(room)] = state
            self.newest.put(str(room))

    def note(self, room: Room, state: State) -> None:
        """Slack has put it into that state by itself."""
        remember(self._known, str(room), state)

    def _turn(self, key: str) -> AbstractAsyncContextManager[None]:
        return self.wire.tiers.turn(Room.of(key).team, METHOD, edit=True)

    async def _send(self, key: str) -> None:
        room, state = Room.of(key), self._wanted.pop(key, None)
        title, user = self._begun.pop(key, ("", ""))
        if state is None or (self._known.get(key, "active") == state and not title):
            return
        try:
            await self.wire.ask(
                room.team,
                METHOD,
                turn=False,
                channel_id=room.channel,
                thread_ts=room.thread,
                status=state,
                title=title,
                initiator_user_id=user,
            )
            self.note(room, state)
        except (Refused, Temporary) as error:
            log.info("slack: a session's state was not taken: %s", error)
