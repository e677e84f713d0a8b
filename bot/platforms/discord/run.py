"""The life of the Discord front end as a process, from the log-in to the last word; and the invitation."""

import aiohttp
import discord

from bot.house import House
from bot.platforms.discord.front import Front
from bot.platforms.discord.gateway import PERMISSIONS, refused_token
from bot.serving import until_told
from pipeline.errors import Temporary

CLOSE_S = 10.0  # for saying goodbye: the library waits 30 s for one of a gateway that says nothing any more


async def run(house: House, token: str, http: str = "", *, works: bool = True) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status. `works`: carry runs too, where there are no workers."""
    from pipeline import http as web

    front = Front(house, token)
    parts = [front.serve(), house.keep(), *([house.work()] if works else [])]
    if http:
        parts.append(web.serve(web.app(front.health, front.metrics, house.hub.routes()), *web.place(http)))
    await until_told(parts, front.leave, CLOSE_S)
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
