"""The life of the Discord front end as a process, from the log-in to the last word; and the invitation."""

import asyncio
import signal

import aiohttp
import discord

from bot.house import House
from bot.platforms.discord.front import Front
from bot.platforms.discord.gateway import PERMISSIONS, refused_token
from pipeline.errors import Temporary

CLOSE_S = 10.0  # for saying goodbye: the library waits 30 s for one of a gateway that says nothing any more


async def run(house: House, token: str, http: str = "", *, works: bool = True) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status. `works`: carry runs too, where there are no workers."""
    from pipeline import http as web

    front = Front(house, token)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    parts = [front.serve(), house.keep(), *([house.work()] if works else [])]
    if http:
        parts.append(web.serve(web.app(front.health, front.metrics), *web.place(http)))
    tasks = [asyncio.create_task(part) for part in parts]
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set() and hasattr(front, "app"):
        await front.leave()
    for task in (stopped, *tasks):
        task.cancel()
    ended, _ = await asyncio.wait(tasks, timeout=CLOSE_S)
    for task in ended:
        if not task.cancelled() and (error := task.exception()):
            raise error
    return 0


async def invite(token: str) -> str:
    """The address at which a server's owner lets labbot in, with the permissions that it needs and no others."""
    async with discord.Client(intents=discord.Intents.none()) as asking:
        try:
            await asking.login(token)
        except discord.LoginFailure as error:
            raise refused_token() from error
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            raise Temporary("Discord does not answer; try again later.") from error
        assert asking.application_id is not None
        return discord.utils.oauth_url(asking.application_id, permissions=PERMISSIONS, scopes=("bot", "applications.commands"))
