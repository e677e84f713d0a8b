"""Answers of the FAQ, written by the model from the entries that were found and from nothing else.

What it writes is shown once it cites a source that it was given, and stays only if every number it cites is one of those.
In every other case (the model is away, slow, or cites nothing) the entry's own text is shown, as it is without a model:
whether there is an answer at all was decided before, by the search.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from bot.chat import Door
from bot.core import asking, chatting
from bot.core.known import Entry
from bot.core.talk import Answer
from bot.core.words import Table, pick
from bot.rows import Message
from bot.store import Store
from bot.voice import How
from bot.window import sent
from pipeline.errors import LabError
from pipeline.models.client import Client, Options
from pipeline.models.client import Message as Sent

log = logging.getLogger("labbot")

FIRST_S = 2.0  # longest wait for the first word; what is slower has the entry's own text instead
WHOLE_S = 20.0  # and for the last one
AWAY_S = 30.0  # a model that was away or too slow is not asked again for so long: the FAQ answers at once meanwhile
TOKENS = 300  # of an answer
SOURCE = 6000  # characters of an entry that the model is given
CITED = re.compile(r"\[(\d{1,3})\]")


class Grounded:
    """The stream "grounded". `entry` reads an entry of the FAQ by its id, `prompt` says what is asked of the model."""

    def __init__(
        self, door: Door, store: Store, tables: Mapping[str, Table], entry: Callable[[str], Entry | None], prompt: str
    ) -> None:
        self.door, self.store, self.tables, self.entry, self.prompt = door, store, tables, entry, prompt
        self._written: dict[str, str] = {}  # by the message's key: what the model wrote, whole
        self._away_at = -AWAY_S

    async def write(self, message: Message) -> AsyncGenerator[Answer, None]:
        assert isinstance(message.body, Answer)
        client = self.door.client("chat")
        question, entries = await self._asked(message)
        now = asyncio.get_running_loop().time
        if client is None or not entries or not question or now() - self._away_at < AWAY_S:
            return
        text, buttons = "", message.body.buttons
        try:
            async with asyncio.timeout(FIRST_S) as waiting, aclosing(self._pieces(client, question, entries)) as pieces:
                async for piece in pieces:
                    if not text:
                        waiting.reschedule(now() + WHOLE_S)
                    text += piece
                    if cited(text, len(entries)):
                        yield Answer(shown(text, entries, message.locale, self.tables), buttons=buttons)
            self._written[message.key] = text
        except (LabError, TimeoutError) as error:
            self._away_at = now()
            log.info("an answer of the FAQ is the entry's own: %s", error or "the model is too slow")

    async def _pieces(self, client: Client, question: str, entries: tuple[Entry, ...]) -> AsyncGenerator[str, None]:
        """What the model writes, from its first word on; its place in a queue is no word."""
        sources = "\n\n".join(f"[{n}] {one.title}\n{told(one)}" for n, one in enumerate(entries, 1))
        asked: list[Sent] = [
            {"role": "system", "content": self.prompt.replace("{sources}", sources)},
            {"role": "user", "content": sent(question)},
        ]
        options = Options(temperature=0.0, max_tokens=TOKENS)
        async with aclosing(client.stream(asked, options=options)) as pieces:
            async for piece in pieces:
                if piece.text:
                    yield piece.text

    async def end(self, message: Message, last: Answer, how: How) -> Message | None:
        assert isinstance(message.body, Answer)
        _, entries = await self._asked(message)
        text = self._written.get(message.key, "")
        if how == "done" and entries and cited(text, len(entries)):
            answer = shown(text, entries, message.locale, self.tables)
        else:
            answer = asking.told(entries, pick(self.tables, message.locale))
        saved = await self.store.finish(message, Answer(answer, subject=message.body.subject, buttons=message.body.buttons))
        self._written.pop(message.key, None)
        return saved

    async def _asked(self, message: Message) -> tuple[str, tuple[Entry, ...]]:
        """The question that a message is about, and the entries that answer it."""
        assert isinstance(message.body, Answer)
        name, *ids = message.body.subject.split()
        asked = await self.store.question(name)
        found = (self.entry(one) for one in ids)
        return asked.question if asked else "", tuple(one for one in found if one)


def told(entry: Entry) -> str:
    """An entry as the model is given it."""
    return f"{entry.short}\n{entry.rest}".strip()[:SOURCE]


def cited(text: str, count: int) -> bool:
    """Whether a text cites, and only sources that there are."""
    numbers = {int(one) for one in CITED.findall(text)}
    return bool(numbers) and numbers <= set(range(1, count + 1))


def shown(text: str, entries: tuple[Entry, ...], locale: str, tables: Mapping[str, Table]) -> str:
    """The answer with its numbers, and below it the sources that they name."""
    words = pick(tables, locale)
    numbers = sorted({int(one) for one in CITED.findall(text)})
    sources = [asking.numbered(number, entries[number - 1], words) for number in numbers]
    body = CITED.sub(r"\\[\1\\]", chatting.plain(text.strip()))
    return "\n".join([body, *sources])
