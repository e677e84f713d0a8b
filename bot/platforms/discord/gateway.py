"""The library's client, told what to hear: raw interactions, and messages, of each room in order; no views are kept."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol
from weakref import WeakValueDictionary

import aiohttp
import discord

from bot.platforms.discord.wire import MOST_S
from pipeline.config import BotConfig
from pipeline.errors import Invalid, Problem

log = logging.getLogger("labbot.discord")

DEAF_S = 50.0  # without a word from the gateway, which answers a heartbeat every 41 s: then it is deaf
GUILDS_S = 1.0  # the library waits so long for the next server after the last one before it is ready
BEAT_S = 30.0  # the library connects anew when a heartbeat was not answered for so long
NEEDED = (
    "view_channel",
    "send_messages",
    "send_messages_in_threads",
    "create_public_threads",
    "create_private_threads",
    "attach_files",
    "read_message_history",
)
TOKEN = "LABBOT_DISCORD_TOKEN"  # the variable that holds the bot's
PERMISSIONS = discord.Permissions(**dict.fromkeys(NEEDED, True))


class Hearer(Protocol):
    """Whoever makes something of what the gateway tells."""

    async def interaction(self, interaction: discord.Interaction[Any]) -> None: ...

    async def message(self, message: discord.Message, *, edited: bool) -> None: ...

    async def deleted(self, message: int, room: int, guild: int | None) -> None: ...


class _Hears(discord.Client):
    """What both kinds of clients do. Messages of one room are heard in the order in which the gateway told them."""

    hearer: Hearer
    heard_at: float
    limited: Callable[[str], None]

    def begin(self, hearer: Hearer) -> None:
        self.hearer, self.heard_at = hearer, time.monotonic()
        self._lines: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    def deaf(self) -> bool:
        """Whether the gateway has said nothing for too long."""
        return time.monotonic() - self.heard_at > DEAF_S

    async def _in_line(self, room: int, work: Callable[[], Awaitable[None]]) -> None:
        lock = self._lines.setdefault(room, asyncio.Lock())
        async with lock:
            await work()

    async def on_socket_raw_receive(self, message: str) -> None:
        self.heard_at = time.monotonic()

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        await self.hearer.interaction(interaction)

    async def on_message(self, message: discord.Message) -> None:
        await self._in_line(message.channel.id, lambda: self.hearer.message(message, edited=False))

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        await self._in_line(payload.channel_id, lambda: self.hearer.message(payload.message, edited=True))

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        await self._in_line(
            payload.channel_id, lambda: self.hearer.deleted(payload.message_id, payload.channel_id, payload.guild_id)
        )

    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        for message in sorted(payload.message_ids):
            await self._in_line(payload.channel_id, partial(self.hearer.deleted, message, payload.channel_id, payload.guild_id))

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        log.exception("%s failed", event_method)


class One(_Hears):
    """A client with one connection."""


class Several(_Hears, discord.AutoShardedClient):
    """A client with as many as Discord wants of it."""

    def deaf(self) -> bool:
        return super().deaf() or any(one.is_closed() for one in self.shards.values())


def client(settings: BotConfig, limited: Callable[[str], None]) -> One | Several:
    """A client that asks the gateway for what labbot uses, and keeps neither members nor messages.

    `limited` is told the channel, or "", of every request that Discord answers with 429.
    """
    section = settings.platforms.discord
    intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=section.message_content)
    return (Several if section.shards else One)(
        intents=intents,
        max_messages=None,
        member_cache_flags=discord.MemberCacheFlags.none(),
        chunk_guilds_at_startup=False,
        allowed_mentions=discord.AllowedMentions.none(),
        max_ratelimit_timeout=MOST_S,
        heartbeat_timeout=BEAT_S,
        guild_ready_timeout=GUILDS_S,
        enable_debug_events=True,
        http_trace=_trace(limited),
    )


def _trace(limited: Callable[[str], None]) -> aiohttp.TraceConfig:
    """Tell of every 429, which the library waits out in silence."""

    async def ended(session: object, context: object, params: aiohttp.TraceRequestEndParams) -> None:
        if params.response.status == 429:
            parts = params.url.path.split("/")
            limited(parts[parts.index("channels") + 1] if "channels" in parts[:-1] else "")

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(ended)
    return trace


def refused_token() -> Invalid:
    return Invalid(
        Problem(
            "discord.token",
            "Discord does not take it.",
            TOKEN,
            "Copy it anew from the application's page Bot, at discord.com/developers.",
        )
    )


def refused_intent() -> Invalid:
    return Invalid(
        Problem(
            "discord.intent",
            "Discord does not grant the intent.",
            "Message Content Intent",
            "Turn it on at the application's page Bot, or platforms.discord.message_content off.",
        )
    )
