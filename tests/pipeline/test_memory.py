"""Redis as labbot speaks to it: what a cancelled task makes of a command."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pipeline.embedded import Server
from pipeline.memory import Memory, connect

STEPS = 40  # of the event loop, more than a command takes


async def one(memory: Memory) -> object:
    return await memory.do("PING")


async def several(memory: Memory) -> object:
    return await memory.all([("SET", "run:x:facts", "1", "EX", "1"), ("GET", "run:x:facts")], atomic=True)


async def listening(memory: Memory) -> object:
    return await anext(memory.heard("somewhere"))


@pytest.mark.parametrize("work", [one, several, listening])
async def test_a_task_that_is_cancelled_in_a_command_ends_whenever_it_is_cancelled(
    work: Callable[[Memory], Awaitable[object]], server: Server
) -> None:
    survived = []
    for steps in range(STEPS):
        memory = connect(server.url, timeout_s=3.0)
        task = asyncio.ensure_future(work(memory))
        for _ in range(steps):
            await asyncio.sleep(0)
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
            survived += [] if task.cancelled() else [steps]
        await memory.close()

    assert survived == []
