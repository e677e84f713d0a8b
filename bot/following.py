"""Tells the steps of runs in the conversations that began them: one teller a run, to its end, whoever restarts meanwhile."""

import secrets
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from bot.core.talk import Event, Moved
from bot.rows import Order
from bot.serving import insist
from bot.store import Store
from pipeline.runs import ENDED, Runs, Step, paced

Insist = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Awaitable[Any]]
Hear = Callable[[Event], Coroutine[Any, Any, bool]]


class Following:
    """The runs of one platform. `pace_s`: the least between two edits of a run's card."""

    def __init__(self, store: Store, runs: Runs, platform: str, *, hear: Hear, pace_s: float) -> None:
        self.store, self.runs, self.platform = store, runs, platform
        self.hear, self.pace_s = hear, pace_s
        self._orders: dict[str, Order] = {}  # whom the steps of each run are told

    def begins(self, run: str, order: Order) -> bool:
        """Tell whoever ordered a run of it from now on; True if nobody tells its steps yet: `see_through` is to be run."""
        fresh = run not in self._orders
        self._orders[run] = order
        return fresh

    async def see_through(self, run: str) -> None:
        """Tell a run's steps to its end; of two tellers the slower would show what was before."""
        order: Order | None = None
        try:
            while order != self._orders[run]:  # it may be asked for again meanwhile
                order, told = self._orders[run], list[int]()
                await insist(partial(self._tell, run, order, told))
        finally:
            del self._orders[run]

    async def _tell(self, run: str, order: Order, past: list[int]) -> None:
        """Hear every step of a run as an event, at the card's pace; one that was heard before is dropped by its id.

        `past` is told the number of each step that is not its end: when Redis was away it goes on from the last of them.
        At a pace some were never shown; of those the newest is told, or they would come after what an earlier teller showed.
        A run that was ordered on another platform meanwhile is told there.
        """
        told = past[-1] if past else -1
        newest = await self._number(run) if self.pace_s else 0
        async for step in paced(self.runs.watch(run, told), self.pace_s):
            if step.number < newest and step.state not in ENDED:
                continue
            if not await self.store.watches(self.platform, run):
                return
            event = _event(run, step, order, self.platform, again=step.number == told)
            told = step.number
            await insist(partial(self.hear, event))
            if step.state not in ENDED:
                past[:] = [step.number]
            elif await self._number(run) in (0, step.number):  # it was not started again since
                break
        await self.store.unwatch(run, self.platform)

    async def _number(self, run: str) -> int:
        """The number of a run's newest step; 0 where it was forgotten."""
        record = await self.runs.status(run)
        return record.number if record else 0


def _event(run: str, step: Step, order: Order, platform: str, *, again: bool) -> Event:
    """A step as an event; `again`: it was heard already, and only how the run stands in its lane has changed."""
    moved = Moved(run, step.number, step.state, step.stage, step.fraction, step.facts)
    name = f"run:{run}:{step.number}{f':{secrets.token_hex(4)}' if again else ''}"
    return Event(name, step.at, order.person, order.place, moved, platform, order.workspace, order.locale, order.roles)
