"""A message that streams is shown as often as people can read, and its end at once."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from bot import writing
from bot.core.talk import Answer
from bot.rows import Message
from bot.voice import How
from bot.writing import Writing


class Fast:
    """A stream that writes a hundred words, each after a turn of the loop."""

    async def write(self, message: Message) -> AsyncGenerator[Answer, None]:
        for count in range(1, 101):
            await asyncio.sleep(0)
            yield Answer("word " * count)

    async def end(self, message: Message, last: Answer, how: How) -> Message | None:
        return None


async def test_between_two_edits_there_is_time_to_read_and_none_is_lost_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "BETWEEN_S", 3600.0)
    edits: list[str] = []
    message = Message("key", "terminal:@alice", 1, 0.0, "", Answer(stream="chat", subject="turn.1"))
    one = Writing(message)

    async def edit(shown: Message) -> None:
        assert isinstance(shown.body, Answer)
        edits.append(shown.body.text)

    async with asyncio.timeout(60):  # the hour is not waited for
        await one.write(Fast(), edit, lambda: "sorry")

    assert edits == ["word "]
    assert (one.newest.text, one.how) == ("word " * 100, "done")
