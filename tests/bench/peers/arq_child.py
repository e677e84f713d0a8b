"""Plain arq at its own defaults: {"url", "samples"} in, the seconds from each enqueueing to the job's first line out.

The worker is a process of its own; what its job does first is push onto a list, on which this waits. It runs in our own
environment: it is the same arq that our pool is built on.
"""

import asyncio
import json
import logging
import random
import subprocess
import sys
import time
from typing import Any

from arq.connections import ArqRedis
from arq.worker import Worker

SAID = "bench:said"


async def carry(ctx: dict[str, Any], run: str) -> None:
    await ctx["redis"].rpush(SAID, run)


async def serve(url: str) -> None:
    logging.getLogger("arq").setLevel(logging.WARNING)
    await Worker([carry], redis_pool=ArqRedis.from_url(url), handle_signals=False).main()


async def measure(url: str, samples: int) -> list[float]:
    redis = ArqRedis.from_url(url)
    took = []
    for number in range(samples + 5):
        await asyncio.sleep(random.uniform(0.05, 0.3))
        begun = time.perf_counter()
        await redis.enqueue_job("carry", str(number))
        await redis.blpop([SAID], timeout=10)
        took.append(time.perf_counter() - begun)
    await redis.aclose()
    return took[5:]  # the first ones find a worker that is just beginning


if __name__ == "__main__":
    if sys.argv[1:]:
        asyncio.run(serve(sys.argv[1]))
    else:
        given = json.load(sys.stdin)
        worker = subprocess.Popen([sys.executable, __file__, given["url"]], stderr=subprocess.DEVNULL)
        try:
            print(json.dumps(asyncio.run(measure(given["url"], given["samples"]))))
        finally:
            worker.terminate()
            worker.wait()
