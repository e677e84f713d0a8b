"""How the terminal says things: it redraws conversations from the store, so a message is shown by telling who looks.

A `Desk` is the voice of one terminal process. Screens (the full one and the plain one) read conversations from it and
wait on `changes`; another process on the same data folder is heard of through Redis and is redrawn in the same way.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

from bot.core.records import Conversation
from bot.core.talk import Dialog, Event, File
from bot.pack import enclosed
from bot.rows import Message
from bot.store import Store
from pipeline.errors import Temporary


class Desk:
    """The terminal as its conversations have it: `bot.app.Voice` on one side, what a screen reads on the other."""

    def __init__(self, store: Store, person: str, unsent: Path | None = None) -> None:
        self.store, self.person, self.unsent = store, person, unsent
        self._streams: dict[str, Message] = {}
        self.listeners: list[Callable[[Message | str], None]] = []

    # --- the voice

    async def post(self, message: Message) -> str:
        self._tell(message)
        return message.key

    async def edit(self, address: str, message: Message) -> str:
        self._tell(message)
        return address

    async def find(self, message: Message) -> str:
        return message.key  # whatever is in the store is on the screen

    async def ask(self, message: Message) -> None:
        self._tell(message)

    async def over(self, event: Event) -> None:
        """Nothing: a screen shows what there is."""

    async def pause(self, message: Message) -> None:
        self._tell(message)

    async def forget(self, person: str) -> None:
        if self.unsent:
            await asyncio.to_thread((self.unsent / f"unsent-{person}.json").unlink, True)

    async def fetch(self, file: File) -> bytes:
        return enclosed(file.token)

    # --- the screens

    async def talk(self, place: str) -> list[Message]:
        """The messages of a place that this person may see, oldest first, streams as far as they are written."""
        found = [message for message in await self.store.talk(place) if message.to in ("", self.person)]
        return [self._streams.get(message.key, message) if message.live else message for message in found]

    async def places(self) -> list[Conversation]:
        """Where this person talks, their main conversation first, drafts' threads after it."""
        return await self.store.places("terminal", self.person)

    async def asked(self) -> Message | None:
        """The dialog that an earlier process left open."""
        with suppress(Temporary):
            return await self.store.asked(self.person)
        return None

    async def changes(self) -> AsyncIterator[Message | str]:
        """What changes from now on: a message (a Dialog body is a dialog to open), or a place to read again."""
        queue: asyncio.Queue[Message | str] = asyncio.Queue()
        self.listeners.append(queue.put_nowait)
        try:
            while True:
                yield await queue.get()
        finally:
            self.listeners.remove(queue.put_nowait)

    def _tell(self, message: Message) -> None:
        if isinstance(message.body, Dialog) and message.to != self.person:
            return
        if message.live:
            self._streams[message.key] = message
        else:
            self._streams.pop(message.key, None)
        self.notice(message)

    def notice(self, what: Message | str) -> None:
        """Tell every screen what is to be drawn anew."""
        for listener in tuple(self.listeners):
            listener(what)
