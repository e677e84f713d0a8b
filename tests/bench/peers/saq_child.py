"""SAQ at its own defaults: {"url", "samples"} in, the seconds from each enqueueing to the job's first line out.

The worker is a process of its own, as ours and arq's are; what its job does first is push onto a list, on which this waits.
"""

from redis.asyncio import Redis
from saq import Worker
from saq.queue.redis import RedisQueue
from timed import SAID, main, timed


async def serve(url: str) -> None:
    redis = Redis.from_url(url)

    async def carry(ctx: object, *, run: str) -> None:
        await redis.rpush(SAID, run)

    await redis.ping()
    await Worker(RedisQueue(Redis.from_url(url)), functions=[("carry", carry)]).start()


async def measure(url: str, samples: int) -> list[float]:
    queue, redis = RedisQueue(Redis.from_url(url)), Redis.from_url(url)
    await queue.connect()
    took = await timed(lambda number: queue.enqueue("carry", run=str(number)), redis, samples)
    await queue.disconnect()
    await redis.aclose()
    return took


if __name__ == "__main__":
    main(__file__, serve, measure)
