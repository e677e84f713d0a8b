"""What one process tells the others of: people who go by other ids now, answers to stop, messages for another platform.

A message is decided where its event was heard, and shown by the platform of its place: that one's outbox gets it, in the
name of the place that it comes from, and the bell is rung. Whoever heard no bell, since Redis was away, looks for itself.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from bot.core.talk import platform_of
from bot.serving import insist
from bot.store import BELL, Store
from bot.voice import Voice

PEOPLE = "people"  # what is rung when aliases lead elsewhere
STOP = "stop"  # what is rung, with "|" and what they are about, where answers are not to be written on


class Spawn(Protocol):
    """Sees to it that something is done; only where it `counts` somebody waits for it."""

    def __call__(self, work: Coroutine[Any, Any, None], *, counts: bool = True) -> None: ...


class Bell:
    """Hears for one platform. `deliver` carries out what a place of another has for it, `stop` ends what is written here."""

    def __init__(
        self,
        store: Store,
        platform: str,
        voice: Voice,
        deliver: Callable[[str], Coroutine[Any, Any, None]],
        spawn: Spawn,
        stop: Callable[[str], bool],
    ) -> None:
        self.store, self.platform, self.voice = store, platform, voice
        self.deliver, self.spawn, self.stop = deliver, spawn, stop
        self._missed = False  # whether something may have been rung that was not heard

    async def ends(self, what: str) -> None:
        """Have an answer about something written on nowhere, here or on another platform."""
        if not self.stop(what):
            await self.store.ring(f"{STOP}|{what}")

    async def hear(self) -> None:
        """Hear for good, from whenever Redis is there."""
        while True:
            await insist(self._hear)

    async def _hear(self) -> None:
        async for what in self.store.memory.heard(BELL, lambda: self._later(self._catch_up())):
            platform, _, origin = what.partition("|")
            if what == PEOPLE:
                self._later(insist(partial(self.voice.forget, "")))
            elif platform == STOP:
                self.stop(origin)
            elif platform == self.platform:
                self._later(insist(partial(self.deliver, origin)))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        self.spawn(work, counts=False)

    async def _catch_up(self) -> None:
        if self._missed:
            await insist(partial(self.voice.forget, ""))
        self._missed = True
        for origin in await insist(partial(self.store.outboxes, self.platform)):
            if platform_of(origin) != self.platform:
                await insist(partial(self.deliver, origin))
