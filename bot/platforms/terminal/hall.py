"""A terminal with several people at it, as transcripts play them: everybody hears everything, and what is said is kept."""

import asyncio

from bot.core.talk import Event, File
from bot.pack import enclosed
from bot.platforms.terminal.say import Desk
from bot.rows import Message


class Hall:
    """The voice of a terminal with several people: everybody's desk hears everything, and what is said is kept."""

    def __init__(self) -> None:
        self.desks: list[Desk] = []
        self.said: list[Message] = []
        self.more = asyncio.Event()

    async def post(self, message: Message) -> str:
        self.said.append(message)
        self.more.set()
        for desk in self.desks:
            await desk.post(message)
        return message.key

    async def edit(self, address: str, message: Message) -> str:
        return await self.post(message)

    async def find(self, message: Message) -> str:
        return message.key

    async def ask(self, message: Message) -> None:
        await self.post(message)

    async def over(self, event: Event) -> None:
        """Nothing: a desk shows what there is."""

    async def pause(self, message: Message) -> None:
        await self.post(message)

    async def forget(self, person: str) -> None:
        """Nothing: what the player remembers of a conversation is no part of labbot."""

    async def fetch(self, file: File) -> bytes:
        return enclosed(file.token)
