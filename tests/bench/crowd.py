"""What the benches of platforms share: a model that takes its time, what was measured, and the bot as a process of its own.

A model's answer is a list of tokens, each with the moment at which it was sent. How many of them are shown is told by how
many characters are, without white space and fences, which a message may have elsewhere.
"""

import asyncio
import contextlib
import cProfile
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import psutil
from aiohttp import web

from bot import settings as settings_module
from bot.counts import Counts
from bot.house import House, built
from tests.bench.pool import percentile

HOME = Path(__file__).resolve().parent.parent.parent
TOKENS_PER_S = 20.0
CHARACTERS = (1500, 3000)  # of an answer
CODE = range(10, 30)  # of every fifty tokens those that are code
START_S = 30.0  # for the bot to begin, and to end
WORDS = ("so", "then", "skill", "of", "a", "leaf", "and", "model", "it", "is", "known", "to", "few", "s", "seed", "by")


# --- the model


@dataclass(slots=True)
class Said:
    """What the model says to a question: every token with the moment at which it was sent."""

    tokens: list[str]
    at: list[float] = field(default_factory=list)
    over: bool = False
    ends: list[int] = field(default_factory=list)  # how many characters there are up to each token's end

    def __post_init__(self) -> None:
        self.ends = [*accumulate(len(bare(token)) for token in self.tokens)]

    def shown(self, contents: Iterable[str]) -> int:
        """How many tokens these messages show."""
        return bisect_right(self.ends, len(bare("".join(contents))))

    @property
    def text(self) -> str:
        return "".join(self.tokens[: len(self.at)])


class Model:
    """An OpenAI-compatible endpoint that takes its time. Answers are kept by their questions.

    `characters`: how many an answer has, at least and at most.
    """

    def __init__(self, chance: random.Random, characters: tuple[int, int] = CHARACTERS) -> None:
        self.chance, self.characters = chance, characters
        self.said: dict[str, Said] = {}
        self.enough = asyncio.Event()  # set: answers end where they are

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "small", "owned_by": "labbot", "max_model_len": 16384}]})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        said = self.said[asked["messages"][-1]["content"].split()[-1]] = Said(
            tokens(self.chance, self.chance.randint(*self.characters))
        )
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for at, token in enumerate(said.tokens):
            await asyncio.sleep(begun + at / TOKENS_PER_S - loop.time())
            if self.enough.is_set() and at:
                break
            said.at.append(loop.time())
            await response.write(_frame({"content": token}))
        said.over = True
        await response.write(_frame({}, "stop") + b"data: [DONE]\n\n")
        return response


def tokens(chance: random.Random, wanted: int) -> list[str]:
    """An answer of paragraphs and code, of so many characters."""
    found: list[str] = []
    length = 0
    while length < wanted:
        at = len(found) % 50
        token = f" {chance.choice(WORDS)}"
        token += {CODE.start - 1: "\n\n```python\n", CODE.stop - 1: "\n```\n\n", 49: ".\n\n"}.get(at, "")
        token += "\n" if at in CODE and at % 5 == 4 and at != CODE.stop - 1 else ""
        found.append(token)
        length += len(token)
    return found


def _frame(delta: dict[str, str], finish: str | None = None) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "small", "choices": choices}
    return b"data: %b\n\n" % json.dumps(chunk).encode()


def bare(text: str) -> str:
    return re.sub(r"```(?:python)?|\s+", "", text)


# --- what is measured


@dataclass(slots=True)
class Seen:
    """What was measured. Times are in seconds; `rss` has the bot's memory in MB."""

    stale: list[float] = field(default_factory=list)
    acks: list[float] = field(default_factory=list)
    completed: list[float] = field(default_factory=list)
    unanswered: int = 0
    answers: int = 0
    broken: list[str] = field(default_factory=list)
    statuses: dict[tuple[str, int], int] = field(default_factory=dict)
    health: list[dict[str, float]] = field(default_factory=list)


def figures(seen: Seen, seconds: float) -> dict[str, float]:
    """What a bench of a platform tells, whichever it is."""
    third = len(seen.health) // 3 or 1
    memory = [one["rss_mb"] for one in seen.health]
    first, last = statistics.mean(memory[:third]), statistics.mean(memory[-third:])
    refused = [(status, number) for (_, status), number in seen.statuses.items() if status >= 400]
    return {
        "staleness_p50_s": percentile(seen.stale, 0.5),
        "staleness_p99_s": percentile(seen.stale, 0.99),
        "staleness_max_s": max(seen.stale),
        "ack_p50_ms": 1000 * percentile(seen.acks, 0.5),
        "ack_p99_ms": 1000 * percentile(seen.acks, 0.99),
        "ack_max_ms": 1000 * max(seen.acks),
        "acks": float(len(seen.acks)),
        "unanswered": float(seen.unanswered),
        "got_429": float(sum(number for status, number in refused if status == 429)),
        "refused": float(sum(number for status, number in refused if status != 429)),
        "answers": float(seen.answers),
        "not_whole": float(len(seen.broken)),
        "memory_growth": last / first - 1,
        "memory_mb": last,
        "requests_per_s": sum(seen.statuses.values()) / seconds,
        "skipped_per_s": seen.health[-1]["skipped"] / seconds,
        "cpu": statistics.mean(one["cpu"] for one in seen.health),
        "late_max_ms": 1000 * max(one["late_s"] for one in seen.health),
    }


# --- the bot, a process of its own


class Front(Protocol):
    ready: asyncio.Event
    counts: Counts

    async def serve(self) -> None: ...

    async def metrics(self) -> str: ...


def bot(front: Callable[[House, dict[str, Any]], Front]) -> None:
    """Serve until the parent closes its end; say every second how it goes. What it is told is a line of JSON."""
    given = json.loads(sys.stdin.readline())
    profile = cProfile.Profile() if given["profile"] else contextlib.nullcontext()
    with profile:
        asyncio.run(_bot(given, front))
    if given["profile"]:
        profile.dump_stats(given["profile"])  # type: ignore[union-attr]  # it is one


async def _bot(given: dict[str, Any], make: Callable[[House, dict[str, Any]], Front]) -> None:
    told = {"LABBOT_HOME": given["home"], "LABBOT_DATA": given["data"], "LABBOT_CHAT_URL": given["chat"]}
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    async with built(settings_module.load(told), given["redis"], time.time) as house:
        front = make(house, given)
        tasks = [asyncio.create_task(front.serve()), asyncio.create_task(house.keep()), asyncio.create_task(_tell(front))]
        await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for error in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(error, Exception):
                raise error


async def _tell(front: Front) -> None:
    """A line a second: the memory, the processor's share, how late the loop is, what was sent."""
    await front.ready.wait()
    me, loop = psutil.Process(), asyncio.get_running_loop()
    while True:
        late, begun, cpu = 0.0, loop.time(), time.process_time()
        for _ in range(20):
            before = loop.time()
            await asyncio.sleep(0.05)
            late = max(late, loop.time() - before - 0.05)
        share = (time.process_time() - cpu) / (loop.time() - begun)
        await front.metrics()  # counts what was skipped
        sent = front.counts.sent
        said = {"rss_mb": me.memory_info().rss / 2**20, "late_s": late, "cpu": share}
        print(json.dumps(said | {"edits": sent["edit"], "skipped": sent["edit_skipped"]}), flush=True)


async def served(module: str, told: dict[str, Any], seen: Seen, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Have the bot of `module` (with --bot) serve while `run` runs; how it goes is kept in `seen.health`."""
    pipe, ready = subprocess.PIPE, asyncio.Event()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, "--bot", cwd=HOME, env=dict(os.environ), stdin=pipe, stdout=pipe
    )
    assert child.stdin
    listening = asyncio.create_task(_listen(child, seen, ready))
    try:
        child.stdin.write(json.dumps(told).encode() + b"\n")
        await asyncio.wait_for(ready.wait(), START_S)
        if child.returncode is not None:
            raise SystemExit(f"the bot ended with {child.returncode}")
        await run()
    finally:
        child.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), START_S)
        if child.returncode is None:
            child.kill()
        await listening


async def _listen(child: asyncio.subprocess.Process, seen: Seen, ready: asyncio.Event) -> None:
    assert child.stdout
    while line := await child.stdout.readline():
        seen.health.append(json.loads(line))
        ready.set()
    ready.set()
