"""SAQ at its own defaults: {"url", "samples"} in, the seconds from each enqueueing to the job's first line out.

The worker is a process of its own, as ours and arq's are; what its job does first is push onto a list, on which this waits.
"""

import asyncio
import json
import random
import subprocess
import sys
import time

from redis.asyncio import Redis
from saq import Worker
from saq.queue.redis import RedisQueue

SAID = "bench:said"


async def serve(url: str) -> None:
    redis = Redis.from_url(url)

    async def carry(ctx: object, *, run: str) -> None:
        await redis.rpush(SAID, run)

    await redis.ping()
    await Worker(RedisQueue(Redis.from_url(url)), functions=[("carry", carry)]).start()


async def measure(url: str, samples: int) -> list[float]:
    queue, redis = RedisQueue(Redis.from_url(url)), Redis.from_url(url)
    await queue.connect()
    took = []
    for number in range(samples + 5):
        await asyncio.sleep(random.uniform(0.05, 0.3))
        begun = time.perf_counter()
        await queue.enqueue("carry", run=str(number))
        await redis.blpop([SAID], timeout=10)
        took.append(time.perf_counter() - begun)
    await queue.disconnect()
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
