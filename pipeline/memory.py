"""Redis, spoken to in one way: commands as words, answers as they come, and Temporary whenever it is away."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, ConnectionError, ReadOnlyError, ResponseError, TimeoutError

from pipeline.errors import Temporary

SILENT_S = 1.5  # after which a connection that only listens is asked whether it is still there

# It is there, but takes no writes now: disk or memory full, starting, busy with a script, without its replicas.
_REFUSALS = ("MISCONF", "OOM", "NOAUTH", "LOADING", "BUSY ", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN")


class Memory:
    """A connection pool. Every method raises Temporary while Redis is away, starting or out of room."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    async def do(self, *words: Any) -> Any:
        """One command: `await memory.do("HGET", key, field)`."""
        try:
            with _cancellable():
                return await self.redis.execute_command(*words)  # type: ignore[no-untyped-call]
        except (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError, OSError) as error:
            raise Temporary(f"Redis is away: {error}") from error
        except ResponseError as error:
            raise _refusal(error) from error

    async def all(self, commands: Iterable[tuple[Any, ...]], *, atomic: bool = False) -> list[Any]:
        """Several commands in one round trip; `atomic`: all or none, and nothing of others between them."""
        commands = list(commands)
        if not commands:
            return []
        try:
            with _cancellable():
                async with self.redis.pipeline(transaction=atomic) as pipe:
                    for words in commands:
                        pipe.execute_command(*words)
                    return list(await pipe.execute())
        except (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError, OSError) as error:
            raise Temporary(f"Redis is away: {error}") from error
        except ResponseError as error:
            raise _refusal(error) from error

    async def script(self, text: str, keys: list[str], *args: Any) -> Any:
        """A Lua script: it runs alone, and its writes are kept or lost together."""
        return await self.do("EVAL", text, len(keys), *keys, *args)

    async def keys(self, pattern: str) -> AsyncIterator[str]:
        """The names of keys of a pattern, each at least once, in no order."""
        cursor = 0
        while True:
            cursor, found = await self.do("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            for name in found:
                yield name.decode()
            if not cursor:
                return

    async def heard(self, channel: str, ready: Callable[[], None] = lambda: None) -> AsyncIterator[str]:
        """What is published on a channel from now on; `ready` is called once nothing is missed any more."""
        try:
            async with self.redis.pubsub() as subscription:
                with _cancellable():
                    await subscription.subscribe(channel)
                silent = False
                while True:
                    message = await subscription.get_message(timeout=SILENT_S)
                    if message is None and silent:
                        raise Temporary("Redis is away: it does not answer")
                    if silent := message is None:
                        with _cancellable():
                            await subscription.ping()  # a wire that was forgotten on the way looks like one that is idle
                    elif message["type"] == "subscribe":
                        ready()
                    elif message["type"] == "message":
                        yield message["data"].decode()
        except (ConnectionError, TimeoutError, OSError) as error:
            raise Temporary(f"Redis is away: {error}") from error

    async def close(self) -> None:
        await self.redis.aclose()


def connect(url: str, timeout_s: float | None = None) -> Memory:
    """Memory at a URL; nothing is sent before the first command. `timeout_s`: the longest wait for an answer, if any."""
    return Memory(Redis.from_url(url, socket_connect_timeout=timeout_s or 5, socket_timeout=timeout_s))


@contextmanager
def _cancellable() -> Iterator[None]:
    """Let a task that was cancelled end: redis-py sends by `asyncio.wait_for`, which before Python 3.12 forgets a
    cancellation that comes with the last byte (python/cpython#86296).
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


def _refusal(error: ResponseError) -> Exception:
    text = str(error)
    return Temporary(f"Redis takes no writes: {text}") if text.startswith(_REFUSALS) else error
