"""Messages that streams write: begun in the order of their outbox, shown as they grow, saved and shown whole at their end."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from bot.core.words import Table, pick
from bot.counts import Counts
from bot.rows import Message
from bot.serving import insist
from bot.store import Store
from bot.voice import Stream, Voice
from bot.writing import Writing
from pipeline.errors import Temporary

log = logging.getLogger("labbot")

PAUSE_S = 5.0  # for all that an ending process has to say of what carries on: it may be killed soon

T = TypeVar("T")


class Insist(Protocol):
    """Tries until nothing that it needs is away."""

    async def __call__(self, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T: ...


class Show(Protocol):
    async def __call__(self, message: Message, again: bool) -> None: ...


class Streaming:
    """What is being written, by message. `show` shows a message as it stands; `logged` logs a mistake and gives its number."""

    def __init__(
        self,
        store: Store,
        voice: Voice,
        streams: Mapping[str, Stream],
        tables: Mapping[str, Table],
        counts: Counts,
        *,
        show: Show,
        logged: Callable[[str], str],
    ) -> None:
        self.store, self.voice, self.streams, self.tables, self.counts = store, voice, streams, tables, counts
        self.show, self.logged = show, logged
        self.writing: dict[str, Writing] = {}

    def begin(self, message: Message) -> Writing:
        """From now on the message is one that is written; `write` is to follow."""
        writing = self.writing[message.key] = Writing(message)
        return writing

    def stop(self, what: str) -> bool:
        """End the writing of messages of that key, or about that; False if there are none."""
        found = [one for one in self.writing.values() if one.called(what)]
        for one in found:
            one.stop()
        return bool(found)

    async def pause(self) -> None:
        """Say in each message that is not whole that it carries on after the restart: of all at once, in PAUSE_S at most."""
        await asyncio.gather(*(self._pause(writing) for writing in [*self.writing.values()]))

    async def _pause(self, writing: Writing) -> None:
        writing.paused = True
        note = pick(self.tables, writing.message.locale)("restart.carries_on")
        try:
            async with asyncio.timeout(PAUSE_S), writing.showing:
                if not writing.whole:
                    await self.voice.pause(writing.unfinished(note))
        except (TimeoutError, Temporary) as error:
            log.warning("message %s does not say that it carries on: %r", writing.message.key, error)
        except Exception:
            self.logged(f"the pause of message {writing.message.key}")

    async def write(self, writing: Writing, done: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Write a stream into its message; stopped, failed or finished, what there is of it is saved and shown.

        Nothing is awaited before the stream begins, so streams of a place begin in the order of its outbox.
        """
        message, stream = writing.message, self.streams[writing.name]
        try:
            await writing.write(stream, self._editing(), lambda: self._sorry(message, writing.name))
            if writing.first_s is not None:
                self.counts.first_tokens.add(writing.first_s)
            whole = await insist(lambda: self._end(writing, stream))
            if whole:
                await insist(lambda: self._show_whole(writing, whole))
            await insist(done)
        finally:
            self.writing.pop(message.key, None)

    async def _show_whole(self, writing: Writing, whole: Message) -> None:
        async with writing.showing:
            await self.show(whole, again=False)
            writing.whole = True

    def _editing(self) -> Callable[[Message], Coroutine[Any, Any, None]]:
        """Edits of one message, whose address is read once."""
        found: list[str] = []

        async def edit(message: Message) -> None:
            if not found:
                found.append((await self.store.address(message))[0])
            found[0] = await self.voice.edit(found[0], message)

        return edit

    async def _end(self, writing: Writing, stream: Stream) -> Message | None:
        """The message as its stream leaves it; a mistake of ours in that is told in the message."""
        try:
            return await stream.end(writing.message, writing.newest, writing.how)
        except Temporary:
            raise
        except Exception:
            sorry = self._sorry(writing.message, writing.name)
            return await self.store.finish(writing.message, replace(writing.newest, text=sorry, buttons=()))

    def _sorry(self, message: Message, name: str) -> str:
        return pick(self.tables, message.locale)("failed.event", id=self.logged(f"stream {name}"))
