"""Plain arq at its own defaults: {"url", "samples"} in, the seconds from each enqueueing to the job's first line out.

The worker is a process of its own; what its job does first is push onto a list, on which this waits. It runs in our own
environment: it is the same arq that our pool is built on.
"""

import logging
from typing import Any

from arq.connections import ArqRedis
from arq.worker import Worker
from timed import SAID, main, timed


async def carry(ctx: dict[str, Any], run: str) -> None:
    await ctx["redis"].rpush(SAID, run)


async def serve(url: str) -> None:
    logging.getLogger("arq").setLevel(logging.WARNING)
    await Worker([carry], redis_pool=ArqRedis.from_url(url), handle_signals=False).main()


async def measure(url: str, samples: int) -> list[float]:
    redis = ArqRedis.from_url(url)
    took = await timed(lambda number: redis.enqueue_job("carry", str(number)), redis, samples)
    await redis.aclose()
    return took


if __name__ == "__main__":
    main(__file__, serve, measure)
