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
import json
import random
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import yarl
from discord.asset import Asset
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.house import House
from bot.platforms.discord.front import Front
from pipeline.embedded import Server
from tests.bench import crowd as shared
from tests.bench.crowd import HOME, Model, Seen
from tests.bench.discord_crowd import Crowd
from tests.bench.pool import percentile
from tests.fakes.discord.server import Discord


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    options.add_argument("--seconds", type=float, default=120.0)
    options.add_argument("--conversations", type=int, default=100)
    options.add_argument("--profile", default="", help="a file for the profile (cProfile) of the bot's process")
    options.add_argument("--bot", action="store_true", help=argparse.SUPPRESS)  # the child that is the bot
    given = options.parse_args()
    if given.bot:
        return shared.bot(front)
    figures = asyncio.run(measured(given.seconds, given.conversations, given.profile))
    for name, value in figures.items():
        print(f"{name:26} {value:10.3f}")
    if given.json:
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


def front(house: House, given: dict[str, Any]) -> Front:
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = given["api"], yarl.URL(given["gateway"])
    Asset.BASE = given["cdn"]
    return Front(house, given["token"])


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
        await shared.served("tests.bench.discord", told, crowd.seen, lambda: crowd.run(seconds))
        for told_wrong in [*fake.violations[:5], *crowd.seen.broken[:5]]:
            print(told_wrong, file=sys.stderr)
        return figures(crowd.seen, seconds, conversations) | {"violations": float(len(fake.violations))}


def figures(seen: Seen, seconds: float, conversations: int) -> dict[str, float]:
    return shared.figures(seen, seconds) | {
        "one_throttle_s": float(conversations),
        "complete_p99_ms": 1000 * percentile(seen.completed, 0.99),
        "edits_per_s": seen.health[-1]["edits"] / seconds,
    }


if __name__ == "__main__":
    main()
