"""A worker in the process of a test, and what tests ask of a run."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

from pipeline.pool.artefacts import Store
from pipeline.pool.terms import Terms
from pipeline.pool.worker import Pool
from pipeline.runs import ENDED, Runs, Step

LEASE_S = 0.5
BOUND_S = 30.0


@asynccontextmanager
async def carried(
    door: Runs, url: str, at_once: int = 2, gpu: int = 0, store: Store | None = None, **terms: Any
) -> AsyncIterator[Pool]:
    """A worker that serves the lane cpu, and with `gpu` the other one too, until the block ends."""
    named = Terms(**{"lease_s": LEASE_S, **terms})
    slots: dict[Any, int] = {lane: count for lane, count in (("cpu", at_once), ("gpu", gpu)) if count}
    pool = Pool(url, door.folder, door.settings, slots, named, store=store, clock=door.clock)
    task = asyncio.create_task(pool.serve())
    try:
        yield pool
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def told(door: Runs, key: str, after: int = -1, last: tuple[str, ...] = ENDED, bound_s: float = BOUND_S) -> list[Step]:
    """The steps of a run after a number, up to the first whose state is one of `last`."""
    steps = []
    async with asyncio.timeout(bound_s), aclosing(door.watch(key, after)) as watched:  # type: ignore[type-var]
        async for step in watched:
            steps.append(step)
            if step.state in last:
                return steps
    raise AssertionError("a watch ended by itself")


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not holds():
            await asyncio.sleep(0.01)
