"""A model that says what it is told to, one answer after the other, in pieces; and notes what it was asked."""

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

from pipeline.errors import LabError
from pipeline.judging.asking import Model
from pipeline.models.client import Client
from pipeline.models.endpoint import Message, Options, Piece

Told = str | LabError | tuple[str, LabError] | tuple[str, str]


class Scripted:
    """`told`: an answer; an error; or how an answer begins, and the error or the finish ("length") that it ends with."""

    url = "http://teacher"

    def __init__(self, *told: Told, size: int = 7) -> None:
        self.told, self.size = list(told), size
        self.asked: list[Sequence[Message]] = []

    async def stream(
        self, messages: Sequence[Message], *, model: str = "", options: Options | None = None, schema: Any = None
    ) -> AsyncGenerator[Piece, None]:
        self.asked.append(messages)
        told = self.told.pop(0)
        if isinstance(told, LabError):
            raise told
        text, end = told if isinstance(told, tuple) else (told, "stop")
        for at in range(0, len(text), self.size):
            yield Piece(text[at : at + self.size])
        if isinstance(end, LabError):
            raise end
        yield Piece(finish=end)

    def model(self, name: str = "teacher") -> Model:
        return Model(cast(Client, self), name)


def listed(*entries: Any, of: str = "questions") -> str:
    return json.dumps({of: entries})
