"""How fresh streamed answers are in Discord, and how soon buttons are answered, while a hundred conversations go on at once.

    python -m tests.bench.discord [--json] [--seconds 120] [--conversations 100] [--profile FILE]

The bot is a process of its own, the fake Discord with its real rate limits and the model are in this one, all on the
loopback interface. Each conversation is a thread of one guild: somebody asks, the model says 20 tokens a second until the
answer has 1,500 to 3,000 characters with code in it, and when all of it stands there they ask again. Meanwhile others give
commands, press buttons and type options in the same threads, twice a second.

`staleness_*_s`: at every edit, the age of the oldest token that it shows for the first time; when the time is over also that
of those that are not shown. `ack_*_ms`: from an interaction until the fake has its first answer; `complete_p99_ms`: the same of
options alone. `got_429` counts refusals. `memory_growth`: the bot's resident memory in the last third of the time against
the first. `not_whole`: answers that stood there at the end otherwise than the model said them. `one_throttle_s`: what
somebody waits for the next edit where one throttle of an edit a second holds for all chats (as llmcord has it), computed.
"""

import argparse
import asyncio
import contextlib
import cProfile
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import yarl
from discord.asset import Asset
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot import settings as settings_module
from bot.house import built
from bot.platforms.discord.front import Front
from pipeline.embedded import Server
from tests.bench.discord_crowd import Crowd, Model, Seen
from tests.bench.pool import percentile
from tests.fakes.discord.server import Discord

HOME = Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 30.0  # for the bot to begin, and to end


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    options.add_argument("--seconds", type=float, default=120.0)
    options.add_argument("--conversations", type=int, default=100)
    options.add_argument("--profile", default="", help="a file for the profile (cProfile) of the bot's process")
    options.add_argument("--bot", action="store_true", help=argparse.SUPPRESS)  # the child that is the bot
    given = options.parse_args()
    if given.bot:
        return bot(json.loads(sys.stdin.readline()))
    figures = asyncio.run(measured(given.seconds, given.conversations, given.profile))
    for name, value in figures.items():
        print(f"{name:26} {value:10.3f}")
    if given.json:
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


# --- the bot, a process of its own


def bot(given: dict[str, Any]) -> None:
    """Serve until the parent closes its end; say every second how it goes."""
    profile = cProfile.Profile() if given["profile"] else contextlib.nullcontext()
    with profile:
        asyncio.run(_bot(given))
    if given["profile"]:
        profile.dump_stats(given["profile"])  # type: ignore[union-attr]  # it is one


async def _bot(given: dict[str, Any]) -> None:
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = given["api"], yarl.URL(given["gateway"])
    Asset.BASE = given["cdn"]
    told = {"LABBOT_HOME": given["home"], "LABBOT_DATA": given["data"], "LABBOT_CHAT_URL": given["chat"]}
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    async with built(settings_module.load(told), given["redis"], time.time) as house:
        front = Front(house, given["token"])
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


async def _listen(child: asyncio.subprocess.Process, seen: Seen, ready: asyncio.Event) -> None:
    assert child.stdout
    while line := await child.stdout.readline():
        seen.health.append(json.loads(line))
        ready.set()
    ready.set()


# --- all of it


async def measured(seconds: float, conversations: int, profile: str) -> dict[str, float]:
    chance = random.Random(7)
    async with AsyncExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="labbot-bench-")))
        shutil.copytree(HOME / "configs", base / "home" / "configs")
        server = Server(base / "redis")
        await asyncio.to_thread(server.up)
        stack.callback(server.down)
        fake = await stack.enter_async_context(Discord(real_limits=True))
        model = Model(chance)
        told = {"api": fake.api, "gateway": fake.gateway, "cdn": fake.cdn, "token": fake.token, "profile": profile}
        told |= {"chat": await stack.enter_async_context(model.serving()), "redis": server.url}
        told |= {"home": str(base / "home"), "data": str(base / "data")}
        crowd = Crowd(fake, model, conversations, chance)
        pipe = subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.discord", "--bot", cwd=HOME, env=dict(os.environ), stdin=pipe, stdout=pipe
        )
        assert child.stdin
        ready = asyncio.Event()
        listening = asyncio.create_task(_listen(child, crowd.seen, ready))
        try:
            child.stdin.write(json.dumps(told).encode() + b"\n")
            await asyncio.wait_for(ready.wait(), PATIENCE_S)
            if child.returncode is not None:
                raise SystemExit(f"the bot ended with {child.returncode}")
            await crowd.run(seconds)
        finally:
            child.stdin.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), PATIENCE_S)
            if child.returncode is None:
                child.kill()
            await listening
        for told_wrong in [*fake.violations[:5], *crowd.seen.broken[:5]]:
            print(told_wrong, file=sys.stderr)
        return figures(crowd.seen, seconds, conversations) | {"violations": float(len(fake.violations))}


def figures(seen: Seen, seconds: float, conversations: int) -> dict[str, float]:
    count = sum(seen.statuses.values())
    third = len(seen.health) // 3 or 1
    memory = [one["rss_mb"] for one in seen.health]
    first, last = statistics.mean(memory[:third]), statistics.mean(memory[-third:])
    return {
        "staleness_p50_s": percentile(seen.stale, 0.5),
        "staleness_p99_s": percentile(seen.stale, 0.99),
        "staleness_max_s": max(seen.stale),
        "one_throttle_s": float(conversations),
        "ack_p50_ms": 1000 * percentile(seen.acks, 0.5),
        "ack_p99_ms": 1000 * percentile(seen.acks, 0.99),
        "ack_max_ms": 1000 * max(seen.acks),
        "complete_p99_ms": 1000 * percentile(seen.completed, 0.99),
        "acks": float(len(seen.acks)),
        "unanswered": float(seen.unanswered),
        "got_429": float(sum(number for (_, status), number in seen.statuses.items() if status == 429)),
        "refused": float(sum(number for (_, status), number in seen.statuses.items() if status >= 400 and status != 429)),
        "answers": float(seen.answers),
        "not_whole": float(len(seen.broken)),
        "memory_growth": last / first - 1,
        "memory_mb": last,
        "requests_per_s": count / seconds,
        "edits_per_s": seen.health[-1]["edits"] / seconds,
        "skipped_per_s": seen.health[-1]["skipped"] / seconds,
        "cpu": statistics.mean(one["cpu"] for one in seen.health),
        "late_max_ms": 1000 * max(one["late_s"] for one in seen.health),
    }


if __name__ == "__main__":
    main()
