"""From the engine's streams to HTTP: read to their end for a whole answer, or passed on piece by piece.

Whoever goes away is not written for: a watcher waits for the end of the connection and cancels the streams, which end
within one step of the engine. What ends otherwise than it should becomes an error with its reason.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from pipeline.errors import Failed
from pipeline.models.answers import DONE, PING, Choice, Shape, usage
from pipeline.models.guard import error
from pipeline.models.request import Piece, Stream, Token

PING_S = 10.0  # of silence, after which a sign of life is sent if the engine made steps meanwhile
Write = Callable[[bytes], Awaitable[None]]

STOPPING = "the server is stopping; ask again in a moment"
_SSE = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # or nginx keeps the pieces until it has many
]


@dataclass(slots=True)
class Part:
    """One answer that is being written. With `echo` the text `before` comes first, and `prompt_tokens` with logprobs.

    `prompt_only`: nothing of what the engine writes is wanted; it cannot read a prompt without writing one token.
    """

    index: int
    stream: Stream
    before: str = ""
    prompt_tokens: int = 0
    prompt_only: bool = False

    def cut(self, piece: Piece) -> tuple[str, Sequence[Token]]:
        """What is wanted of a piece."""
        if not self.prompt_only:
            return piece.text, piece.tokens
        wanted = piece.tokens[: self.prompt_tokens]
        self.prompt_tokens -= len(wanted)
        return "", wanted

    def reason(self) -> str:
        """Why it ended, as OpenAI says it. Raises Failed where it did not end by itself."""
        if self.stream.reason in ("stop", "length"):
            return "length" if self.prompt_only else self.stream.reason
        raise Failed(self.stream.error or STOPPING)


@dataclass(slots=True)
class Client:
    """Who asked, as far as it can be told: `gone` once the connection has ended."""

    gone: bool = False


@asynccontextmanager
async def read_by(receive: Receive, streams: Sequence[Stream] = ()) -> AsyncIterator[Client]:
    """Cancel the streams when the client goes away, and whatever is left of them at the end of the block."""
    client = Client()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        client.gone = True
        _cancel(streams)

    watching = asyncio.create_task(watch())  # no TaskGroup: what the block raises has to come out as it is
    try:
        yield client
    finally:
        _cancel(streams)
        watching.cancel()
        await asyncio.wait([watching])


def _cancel(streams: Sequence[Stream]) -> None:
    for stream in streams:
        stream.cancel()


async def whole(parts: Sequence[Part], receive: Receive) -> list[Choice]:
    """The answers, read to their ends. Raises Failed, with its reason, if one does not come to its own."""
    choices = [Choice(part.index, [part.before]) for part in parts]
    async with read_by(receive, [part.stream for part in parts]):
        for part, choice in zip(parts, choices, strict=True):
            async for piece in part.stream:
                text, tokens = part.cut(piece)
                choice.texts.append(text)
                choice.tokens.extend(tokens)
    for part, choice in zip(parts, choices, strict=True):
        choice.reason = part.reason()
    return choices


class Streaming:
    """An answer as server-sent events, an ASGI application. `steps` tells how many steps the engine has made."""

    def __init__(self, parts: Sequence[Part], shape: Shape, prompts: int, *, usage: bool, steps: Callable[[], int]) -> None:
        self._parts, self._shape, self._usage, self._steps = parts, shape, usage, steps
        self._streams = [part.stream for part in parts]
        self._prompts = prompts
        self._failed = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def write(events: bytes) -> None:
            await send({"type": "http.response.body", "body": events, "more_body": True})

        async with read_by(receive, self._streams):
            await send({"type": "http.response.start", "status": 200, "headers": _SSE})
            end = await self._all(write)
            await send({"type": "http.response.body", "body": end + DONE, "more_body": False})
        scope["said"] |= told(self._parts, self._prompts)

    async def _all(self, write: Write) -> bytes:
        """Write every answer but its last events; return these."""
        if len(self._parts) == 1:
            end = await self._one(self._parts[0], write)
        else:
            async with asyncio.TaskGroup() as tasks:
                ends = [tasks.create_task(self._one(part, write)) for part in self._parts]
            end = b"".join(one.result() for one in ends)
        if self._failed:
            status = 503 if self._failed == STOPPING else 500  # within a stream the code is the status, as vLLM has it
            return f"data: {json.dumps(error(self._failed, 'server_error', code=status))}\n\n".encode()
        return end + (self._shape.usage(used(self._parts, self._prompts)) if self._usage else b"")

    async def _one(self, part: Part, write: Write) -> bytes:
        """Write one answer as it comes and return its last event; where it fails, the others need not go on either."""
        opening = self._shape.opening(part.index) + (self._shape.piece(part.index, part.before, ()) if part.before else b"")
        if opening:
            await write(opening)
        async for event in self._events(part):
            await write(event)
        try:
            return self._shape.ending(part.index, part.reason())
        except Failed as failed:
            self._failed = self._failed or str(failed)
            _cancel(self._streams)
            return b""

    async def _events(self, part: Part) -> AsyncIterator[bytes]:
        steps = -1
        while True:
            try:
                async with asyncio.timeout(PING_S):
                    piece = await anext(part.stream)
            except TimeoutError:
                if (now := self._steps()) != steps:
                    steps = now
                    yield PING
                continue
            except StopAsyncIteration:
                return
            text, tokens = part.cut(piece)
            if text or tokens:
                yield self._shape.piece(part.index, text, tokens)
            elif piece.position:
                yield self._shape.queue(piece.position)


def used(parts: Sequence[Part], prompts: int) -> dict[str, Any]:
    """The usage of a request: parts of `prompts` prompts, those of the first answers to each before all others."""
    wrote = sum(0 if part.prompt_only else part.stream.usage.completion for part in parts)
    firsts = [part.stream.usage for part in parts[:prompts]]  # a prompt counts once, however many answers it has
    return usage(sum(one.prompt for one in firsts), sum(one.cached for one in firsts), wrote)


def told(parts: Sequence[Part], prompts: int) -> dict[str, Any]:
    """What the log says of a request."""
    found = used(parts, prompts)
    tokens = {"prompt": found["prompt_tokens"], "completion": found["completion_tokens"]}
    return {**tokens, "reason": ",".join(sorted({part.stream.reason for part in parts}))}
