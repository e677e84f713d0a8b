"""A message that streams: one task takes in what is written, another shows the newest of it as a platform allows."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import replace

from bot.core.talk import Answer
from bot.rows import Message
from bot.voice import How, Stream
from pipeline.errors import Temporary

log = logging.getLogger("labbot")

BETWEEN_S = 0.05  # from one edit to the next: more than twenty a second nobody reads, and drawing them slows the model down


class Writing:
    """One message while a stream writes it. `newest` is the message as it stands, `how` how it ended."""

    def __init__(self, message: Message) -> None:
        assert isinstance(message.body, Answer)
        self.message, self.newest, self.name = message, message.body, message.body.stream
        self.how: How = "done"
        self.first_s: float | None = None  # from its beginning to the first words that stay
        self.paused = False  # nothing but its end is shown from now on
        self.whole = False  # its end is shown
        self.showing = asyncio.Lock()  # one after the other: what is shown last stays
        self._over, self._news = asyncio.Event(), asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    def called(self, what: str) -> bool:
        """Whether that is its key, or what it is about."""
        assert isinstance(self.message.body, Answer)
        return what in (self.message.key, self.message.body.subject)

    def stop(self) -> None:
        """End it; what there is of it stays."""
        if not self._over.is_set():
            self.how = "stopped"
            if self._reading:
                self._reading.cancel()

    def unfinished(self, note: str) -> Message:
        """The message as far as it is written, with a note below."""
        text = "\n\n".join(filter(None, (self.newest.text, note)))
        return replace(self.message, body=replace(self.newest, text=text, stream="", buttons=()), live=False)

    async def write(self, stream: Stream, edit: Callable[[Message], Awaitable[None]], sorry: Callable[[], str]) -> None:
        """Write until the stream ends or is stopped. `sorry` says what people read where it fails by a mistake of ours.

        While an edit is under way the stream goes on, and the next edit shows the newest: a slow platform gets fewer
        edits and never a backlog.
        """
        async with asyncio.TaskGroup() as tasks:
            self._reading = tasks.create_task(self._read(stream, sorry))
            tasks.create_task(self._show(edit))

    async def _read(self, stream: Stream, sorry: Callable[[], str]) -> None:
        try:
            if self.how == "stopped":
                return
            loop = asyncio.get_running_loop()
            begun = loop.time()
            async with aclosing(stream.write(self.message)) as answers:
                async for answer in answers:
                    self.newest = answer
                    if self.first_s is None and not answer.passing:
                        self.first_s = loop.time() - begun
                    self._news.set()
        except Exception:  # whatever it is, it ends this message and not the conversation
            self.how = "failed"
            kept = "" if self.newest.passing else self.newest.text
            self.newest = replace(self.newest, text=f"{kept}\n\n{sorry()}".strip(), passing=False)
        finally:
            self._over.set()
            self._news.set()

    async def _show(self, edit: Callable[[Message], Awaitable[None]]) -> None:
        while not self._over.is_set():
            await self._news.wait()
            self._news.clear()
            try:
                async with self.showing:
                    if self.paused or self._over.is_set():
                        return  # the end is shown by who saves it
                    await edit(replace(self.message, body=replace(self.newest, stream="")))
            except Temporary as error:  # the platform or the memory is away: the next edit shows more, the last is insisted on
                log.info("message %s: %s", self.message.key, error)
            with suppress(TimeoutError):
                async with asyncio.timeout(BETWEEN_S):
                    await self._over.wait()
