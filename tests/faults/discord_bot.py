"""The bot of `tests.faults.discord`: the house and the front end as `labbot discord` has them, told where Discord is.

Waits are shorter than in life, so that a round takes seconds; what it does is the same.
"""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import yarl
from discord.asset import Asset
from discord.backoff import ExponentialBackoff
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot import house as house_module
from bot import settings as settings_module
from bot.house import House, built
from bot.platforms.discord import answering, wire
from bot.platforms.discord.budget import Budget
from bot.platforms.discord.front import Front
from bot.settings import Settings
from pipeline import screen
from pipeline.memory import Memory, connect
from pipeline.pool.terms import Terms
from tests.faults.discord_person import plain
from tests.faults.kill import HOME, WRITES

LATE_S = 20.0  # a busy machine must not make an answer late: the fake waits longer too


def warm() -> Settings:
    """What a process reads when it starts, read once for all that are forked from this one."""
    screen.read = cache(screen.read)
    return settings_module.load({"LABBOT_HOME": str(HOME)})


def say(**what: object) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


class Points:
    """Counts writes and requests, and ends the process at the one it was told: by its number, or a pattern of its name."""

    def __init__(self, at: int | str) -> None:
        self.at, self.count = at, 0

    def __call__(self, what: str) -> None:
        what = plain(what)
        self.count += 1
        if re.match(self.at, what) if isinstance(self.at, str) else self.count == self.at:
            say(died=what)
            os.kill(os.getpid(), signal.SIGKILL)


class Mortal(Memory):
    """Redis, with a point before and after every write."""

    points: Points

    async def do(self, *words: Any) -> Any:
        what = named(words) if words[0] in WRITES else ""
        if what:
            self.points(f"before {what}")
        answer = await super().do(*words)
        if what:
            self.points(f"after {what}")
        return answer

    async def all(self, commands: Iterable[tuple[Any, ...]], *, atomic: bool = False) -> list[Any]:
        commands = list(commands)
        what = next((named(words) for words in commands if words[0] in WRITES), "")
        if what:
            self.points(f"before {what}")
        answers = await super().all(commands, atomic=atomic)
        if what:
            self.points(f"after {what}")
        return answers


def named(words: tuple[Any, ...]) -> str:
    return f"EVAL {next(iter(words[3:]), '')}" if words[0] == "EVAL" else f"{words[0]} {words[1]}"


async def serve(loaded: Settings, told: dict[str, Any]) -> None:
    """Serve until SIGTERM, or the point at which it dies."""
    points, data = Points(told["die_at"]), Path(told["data"])
    patch(told, points)
    environment = {"LABBOT_HOME": str(HOME), "LABBOT_DATA": str(data), "LABBOT_CHAT_URL": told["model"]}
    values = {"platforms.discord.message_content": "true", "taxonomy.path": str(data / "taxonomy"), "faq.paths": "[]"}
    here = replace(loaded, data=data, cache=Path(told["cache"]), environment=environment)
    settings = settings_module.reloaded(here, values)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with built(settings, told["redis"], time.time, lease_s=0.1) as house:
        await _served(house, told, stop)
    say(points=points.count)


async def _served(house: House, told: dict[str, Any], stop: asyncio.Event) -> None:
    front = Front(house, told["token"], pace_s=0.0, budget=Budget(times=1000))
    front.answering.defer_s = told["defer_s"]
    front.client._connection.guild_ready_timeout = 0  # the fake tells of its guilds at once
    front.client.before_identify_hook = _at_once  # type: ignore[method-assign]  # the fake sets no limit to that
    tasks = [asyncio.create_task(work) for work in (front.serve(), house.work(Terms(lease_s=0.5)), house.keep(), stop.wait())]
    ready = asyncio.create_task(front.ready.wait())
    await asyncio.wait([ready, *tasks], return_when=asyncio.FIRST_COMPLETED)
    if front.ready.is_set():
        say(ready=True)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in (ready, *tasks):
        task.cancel()
    for error in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(error, Exception):
            raise error


async def _at_once(shard_id: int | None, *, initial: bool = False) -> None:
    """No pause of 5 s before a session is begun anew."""


def patch(told: dict[str, Any], points: Points) -> None:
    """Where Discord is; that every write and request is a point; and waits that are for busier times."""
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY, Asset.BASE = told["api"], yarl.URL(told["gateway"]), told["cdn"]
    ExponentialBackoff.delay = lambda self: 0.01  # type: ignore[method-assign]
    answering.LATE_S, wire.WAITS_S = LATE_S, (0.01, 0.02, 0.05)
    Mortal.points = points
    asked = aiohttp.ClientSession._request

    def mortal(url: str, timeout_s: float | None = None) -> Memory:
        return Mortal(connect(url, timeout_s).redis)

    async def request(self: aiohttp.ClientSession, method: str, url: Any, **given: Any) -> aiohttp.ClientResponse:
        path = str(url).removeprefix(told["api"])
        if path == str(url):
            return await asked(self, method, url, **given)
        points(f"before {method} {path}")
        answer = await asked(self, method, url, **given)
        points(f"after {method} {path}")
        return answer

    house_module.connect = mortal
    aiohttp.ClientSession._request = request  # type: ignore[method-assign]
