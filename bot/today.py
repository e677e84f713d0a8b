"""Asks the model the questions of a draft, and says beside each answer whether the contributor's is a gap worth teaching."""

import asyncio
import difflib
import logging
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from bot.chat import Door
from bot.core import cards
from bot.core import today as core
from bot.core.talk import Answer
from bot.core.today import Asking
from bot.core.words import Table, Words, pick
from bot.rows import Message
from bot.store import Store
from bot.voice import How
from bot.window import sent
from pipeline.errors import LabError
from pipeline.models.client import Client, Options

log = logging.getLogger("labbot")

WHOLE_S = 60.0  # longest wait for one answer
OPTIONS = Options(temperature=0.0, max_tokens=200)  # what it says most likely; the same tomorrow
SHOWN = 600  # characters of an answer that are quoted
ALIKE = 0.85  # of the words, in their order: the same answer
SHORT, WRAPPED = 3, 12  # words of an answer that may stand in a sentence, and of that sentence


class Today:
    """The stream "today"."""

    def __init__(self, door: Door, store: Store, tables: Mapping[str, Table], system: str = "") -> None:
        self.door, self.store, self.tables, self.system = door, store, tables, system
        self._lines: dict[str, list[str]] = {}  # by the message's key: what is known so far

    async def write(self, message: Message) -> AsyncGenerator[Answer, None]:
        assert isinstance(message.body, Answer)
        words, lines = pick(self.tables, message.locale), self._lines.setdefault(message.key, [])
        lines.clear()
        questions, client = await self._asked(message.body.subject), self.door.client("chat")
        if client is None or not questions:
            lines.append(words("today.away"))
            return
        for one in questions:
            yield Answer("\n".join([*lines, words("today.asking")]), passing=not lines)
            try:
                said = await self._said(client, one)
            except (LabError, TimeoutError) as error:
                log.info("what the model says today: %s", error)
                lines.append(words("today.away"))
                return
            lines.append(verdict(one, said, len(questions) > 1, words))

    async def _asked(self, subject: str) -> list[Asking]:
        name, *parts = subject.split()
        draft = await self.store.draft(name)
        return [one for part in parts for one in core.asked(draft, int(part))] if draft else []

    async def _said(self, client: Client, one: Asking) -> str:
        asked = [{"role": "system", "content": self.system}] if self.system else []
        text = ""
        async with asyncio.timeout(WHOLE_S):
            messages = [*asked, {"role": "user", "content": sent(one.question)}]
            async with aclosing(client.stream(messages, options=OPTIONS)) as pieces:
                async for piece in pieces:
                    text += piece.text
        return text.strip()

    async def end(self, message: Message, last: Answer, how: How) -> Message | None:
        assert isinstance(message.body, Answer)
        lines = self._lines.get(message.key, [])
        text = last.text if how == "failed" else "\n".join(lines) or pick(self.tables, message.locale)("today.away")
        saved = await self.store.finish(message, Answer(text, subject=message.body.subject, buttons=message.body.buttons))
        self._lines.pop(message.key, None)
        return saved


def verdict(one: Asking, said: str, several: bool, words: Words) -> str:
    """What the model says today, and whether that leaves anything to teach."""
    lead = words("today.which", number=one.number, question=cards.quoted(one.question, 80)) if several else ""
    quoted = words("today.says", answer=cards.quoted(said, SHOWN) or "…")
    return " ".join(filter(None, (lead, quoted, words("today.agrees" if agrees(one.wanted, said) else "today.gap"))))


def agrees(wanted: str, said: str) -> bool:
    """Whether two answers say the same, as far as their words tell. In doubt they do not: a gap that is none costs less."""
    ours, theirs = _words(wanted), _words(said)
    if ours == theirs:
        return bool(ours)
    if _numbers(ours) != _numbers(theirs):
        return False
    if len(ours) <= SHORT and len(theirs) <= WRAPPED:
        return any(theirs[at : at + len(ours)] == ours for at in range(len(theirs))) and not {"not", "nicht", "no", "kein"} & (
            set(theirs) - set(ours)
        )
    return difflib.SequenceMatcher(None, ours, theirs, autojunk=False).ratio() >= ALIKE


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _numbers(words: list[str]) -> list[str]:
    return sorted(word for word in words if word.isdecimal())
