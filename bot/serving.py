"""What front ends do in one way: wait for what is away, live as long as all their parts do, end when they are told to."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from pipeline.errors import Temporary

log = logging.getLogger("labbot")

RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0)  # waits between attempts while something is away; the last one repeats

T = TypeVar("T")


async def insist(attempt: Callable[[], Awaitable[T]]) -> T:
    """Try until nothing that it needs is away."""
    waits, waited = iter(RETRY_S), False
    while True:
        try:
            return await attempt()
        except Temporary as error:
            if not waited:
                log.warning("waiting: %s", str(error))  # whoever keeps the record is not to keep the frames of the error
            waited = True
            await asyncio.sleep(next(waits, RETRY_S[-1]))


async def together(first: Callable[[asyncio.Event], Coroutine[Any, Any, None]], *others: Coroutine[Any, Any, None]) -> None:
    """Live as long as all of these do; the others begin when the first sets its event. Raises what went wrong first."""
    ready = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(first(ready))
            await ready.wait()
            for work in others:
                tasks.create_task(work)
    except ExceptionGroup as group:
        error: Exception = group
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        raise error from None
    finally:
        for work in others:
            work.close()  # of one that was not begun nobody else does


async def until_told(parts: Sequence[Coroutine[Any, Any, None]], leave: Callable[[], Awaitable[None]], close_s: float) -> None:
    """Do all of it until SIGTERM or SIGINT, or until one of them ends; raises what that failed with.

    When told to end it may `leave` first; then what goes on is cancelled, and has `close_s` for closing.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tasks = [asyncio.create_task(part) for part in parts]
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        await leave()
    for task in (stopped, *tasks):
        task.cancel()
    ended, _ = await asyncio.wait(tasks, timeout=close_s)
    for task in ended:
        if not task.cancelled() and (error := task.exception()):
            raise error
