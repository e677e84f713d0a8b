"""What is asked of the engine and what it gives: a request, and the stream of its answer."""

import asyncio
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.models.sampling import Sampling

USUAL = Sampling()
Reason = Literal["", "stop", "length", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class Request:
    """An answer that is wanted. `prompt` are tokens; `max_tokens` 0 is as many as the context holds.

    `stop` strings end the answer and are not part of it. With a JSON `schema` the answer is compact JSON that fits it.
    `adapter` is the name of one that is loaded, "" the bare model. `logprobs` is how many alternatives come with each
    token (-1: none, and no tokens); with `echo` the prompt's tokens come too, before the answer's.
    """

    prompt: tuple[int, ...]
    max_tokens: int = 0
    stop: tuple[str, ...] = ()
    sampling: Sampling = USUAL
    schema: Mapping[str, Any] | None = None
    adapter: str = ""
    logprobs: int = -1
    echo: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """A token with the natural logarithm of its probability, NaN for the first of a prompt; `top`: likeliest first."""

    id: int
    text: str
    logprob: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """The next part of an answer; or, with `position` 1 and up and no text, its place in the queue."""

    text: str = ""
    tokens: tuple[Token, ...] = ()
    position: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens: of the prompt, how many of these were there already, of the answer; engine steps until its first."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    steps_to_first: int = 0


class Stream:
    """The answer to one request, as it comes: iterate over it in a loop (`async for`) or in a thread (`read`).

    After its end `reason` says why it ended, `error` in words what failed, `usage` what it took. Who stops reading calls
    `cancel`, or the engine goes on writing.
    """

    def __init__(self, prompt: int) -> None:
        self.reason: Reason = ""
        self.error = ""
        self.usage = Usage(prompt)
        self.cancelled = False
        self._ready: deque[Piece] = deque()
        self._signal = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiter: asyncio.Event | None = None

    def cancel(self) -> None:
        """End it within one step; from any thread."""
        self.cancelled = True

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> Piece:
        """Everything that has come since the last piece, as one."""
        if self._waiter is None:
            self._loop, self._waiter = asyncio.get_running_loop(), asyncio.Event()
        while True:
            self._waiter.clear()
            if self._ready:
                return self._all()
            if self.reason:
                raise StopAsyncIteration
            await self._waiter.wait()

    def read(self) -> Iterator[Piece]:
        """The same for a thread, which waits."""
        while True:
            self._signal.clear()
            if self._ready:
                yield self._all()
            elif self.reason:
                return
            else:
                self._signal.wait()

    def _all(self) -> Piece:
        pieces = [self._ready.popleft() for _ in range(len(self._ready))]
        if len(pieces) == 1:
            return pieces[0]
        tokens = tuple(token for piece in pieces for token in piece.tokens)
        text = "".join(piece.text for piece in pieces)
        return Piece(text, tokens, 0 if text or tokens else pieces[-1].position)

    # --- the engine's side

    def put(self, piece: Piece) -> None:
        self._ready.append(piece)

    def end(self, reason: Reason, usage: Usage, error: str = "") -> None:
        self.usage, self.error = usage, error
        self.reason = reason  # the last: a reader that sees it finds everything else in place

    def wake(self) -> tuple[asyncio.AbstractEventLoop, asyncio.Event] | None:
        """Wake the thread that reads it; for one that reads it in a loop, say what is to be set there."""
        self._signal.set()
        return (self._loop, self._waiter) if self._loop and self._waiter else None
