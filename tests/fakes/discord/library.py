"""The real discord.py as a client of the fake Discord, which keeps what it hears."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from discord import Client, Intents, Message

from tests.fakes.discord.server import Discord

PLAIN = Intents(guilds=True, guild_messages=True, dm_messages=True)
READING = PLAIN | Intents(message_content=True)


class Bot(Client):
    """Keeps what it hears."""

    def __init__(self, intents: Intents) -> None:
        super().__init__(intents=intents, guild_ready_timeout=0)
        self.heard: list[str] = []  # what was written in messages
        self.asked: list[Any] = []
        self.resumes = 0

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """No pause of 5 s before a session is begun anew: the fake sets no limit to that."""

    async def on_message(self, message: Message) -> None:
        self.heard.append(message.content)

    async def on_interaction(self, interaction: Any) -> None:
        self.asked.append(interaction)

    async def on_resumed(self) -> None:
        self.resumes += 1


@asynccontextmanager
async def connected(fake: Discord, intents: Intents = READING, kind: type[Bot] = Bot) -> AsyncIterator[Bot]:
    """A bot that is ready; closed at the end."""
    with fake.patched():
        bot = kind(intents)
        task = asyncio.get_running_loop().create_task(bot.start(fake.token))
        try:
            async with asyncio.timeout(10):
                await fake.up.wait()
                await bot.wait_until_ready()
            yield bot
        finally:
            await bot.close()
            await asyncio.gather(task, return_exceptions=True)
