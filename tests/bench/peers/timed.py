"""What the peers of the pool's bench share: a job timed from enqueueing to its first line, against a worker of its own.

Each runs in an environment of its own, so this imports nothing but the standard library.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

SAID = "bench:said"  # the list to which a job says that it has begun


async def timed(enqueue: Callable[[int], Awaitable[Any]], redis: Any, samples: int) -> list[float]:
    """Seconds from each call to what its job says, one at a time, at any moment of the worker's rounds."""
    took = []
    for number in range(samples + 5):
        await asyncio.sleep(random.uniform(0.05, 0.3))
        begun = time.perf_counter()
        await enqueue(number)
        await redis.blpop([SAID], timeout=10)
        took.append(time.perf_counter() - begun)
    return took[5:]  # the first ones find a worker that is just beginning


def main(
    path: str,
    serve: Callable[[str], Coroutine[Any, Any, None]],
    measure: Callable[[str, int], Coroutine[Any, Any, list[float]]],
) -> None:
    """With a URL: be the worker. Without: measure as standard input says, beside a worker, and print the times."""
    if sys.argv[1:]:
        asyncio.run(serve(sys.argv[1]))
        return
    given = json.load(sys.stdin)
    worker = subprocess.Popen([sys.executable, path, given["url"]], stderr=subprocess.DEVNULL)
    try:
        print(json.dumps(asyncio.run(measure(given["url"], given["samples"]))))
    finally:
        worker.terminate()
        worker.wait()
