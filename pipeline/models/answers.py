"""The shapes of the server's answers, as OpenAI's: whole, or as events of a stream (SSE).

A token's event is put together by hand, a few microseconds each: everything but the text is the same every time.
Besides OpenAI's there is one more event: while a request waits for its turn, `"choices": []` and
`"queue": {"position": N}`. Clients that do not know it see an event without choices, as the one with the usage is.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # llama.cpp comes with them
    from pipeline.models.request import Token

DONE = b"data: [DONE]\n\n"
PING = b": at work\n\n"  # a comment, which every client skips: no silence while a long prompt is read
UNCERTAIN = "\ufffd"  # stands in a token's text for bytes of a part of a character


@dataclass(slots=True)
class Choice:
    """One answer, as it grows."""

    index: int
    texts: list[str] = field(default_factory=list)
    tokens: "list[Token]" = field(default_factory=list)
    reason: str = ""

    @property
    def text(self) -> str:
        return "".join(self.texts)


class Shape(Protocol):
    """How the answers of one request look."""

    def opening(self, index: int) -> bytes:
        """The event before the first text of an answer; b"" for none."""

    def piece(self, index: int, text: str, tokens: "Sequence[Token]") -> bytes: ...

    def ending(self, index: int, reason: str) -> bytes: ...

    def queue(self, position: int) -> bytes: ...

    def usage(self, usage: Mapping[str, Any]) -> bytes: ...

    def whole(self, choices: Iterable[Choice], usage: Mapping[str, Any]) -> dict[str, Any]: ...


class Chat:
    """chat.completion and its chunks. `logprobs`: whether they were asked for."""

    def __init__(self, name: str, model: str, created: int, *, logprobs: bool = False) -> None:
        self._facts = {"id": f"chatcmpl-{name}", "created": created, "model": model}
        self._head = _head({**self._facts, "object": "chat.completion.chunk"})
        self._logprobs = logprobs

    def opening(self, index: int) -> bytes:
        return self._event(index, '{"role":"assistant","content":""}')

    def piece(self, index: int, text: str, tokens: "Sequence[Token]") -> bytes:
        logprobs = json.dumps(_chat_logprobs(tokens)) if self._logprobs else "null"
        return self._event(index, f'{{"content":{json.dumps(text)}}}', logprobs)

    def ending(self, index: int, reason: str) -> bytes:
        return self._event(index, "{}", reason=json.dumps(reason))

    def queue(self, position: int) -> bytes:
        return _queue(self._head, position)

    def usage(self, usage: Mapping[str, Any]) -> bytes:
        return _usage(self._head, usage)

    def whole(self, choices: Iterable[Choice], usage: Mapping[str, Any]) -> dict[str, Any]:
        shown = [
            {
                "index": one.index,
                "message": {"role": "assistant", "content": one.text, "refusal": None},
                "logprobs": _chat_logprobs(one.tokens) if self._logprobs else None,
                "finish_reason": one.reason,
            }
            for one in choices
        ]
        return {**self._facts, "object": "chat.completion", "choices": shown, "usage": usage}

    def _event(self, index: int, delta: str, logprobs: str = "null", reason: str = "null") -> bytes:
        choice = f'[{{"index":{index},"delta":{delta},"logprobs":{logprobs},"finish_reason":{reason}}}]'
        return f"{self._head}{choice}}}\n\n".encode()


class Text:
    """text_completion, whole and in parts. `tops`: how many alternatives a token were asked for; -1: no logprobs."""

    def __init__(self, name: str, model: str, created: int, *, tops: int = -1) -> None:
        self._facts = {"id": f"cmpl-{name}", "object": "text_completion", "created": created, "model": model}
        self._head = _head(self._facts)
        self._tops = tops
        self._offsets: dict[int, int] = {}  # an answer's characters so far

    def opening(self, index: int) -> bytes:
        return b""

    def piece(self, index: int, text: str, tokens: "Sequence[Token]") -> bytes:
        return self._event(index, json.dumps(text), json.dumps(self._logprobs(index, tokens)))

    def ending(self, index: int, reason: str) -> bytes:
        return self._event(index, '""', reason=json.dumps(reason))

    def queue(self, position: int) -> bytes:
        return _queue(self._head, position)

    def usage(self, usage: Mapping[str, Any]) -> bytes:
        return _usage(self._head, usage)

    def whole(self, choices: Iterable[Choice], usage: Mapping[str, Any]) -> dict[str, Any]:
        shown = [
            {
                "index": one.index,
                "text": one.text,
                "logprobs": self._logprobs(one.index, one.tokens),
                "finish_reason": one.reason,
            }
            for one in choices
        ]
        return {**self._facts, "choices": shown, "usage": usage}

    def _event(self, index: int, text: str, logprobs: str = "null", reason: str = "null") -> bytes:
        choice = f'[{{"index":{index},"text":{text},"logprobs":{logprobs},"finish_reason":{reason}}}]'
        return f"{self._head}{choice}}}\n\n".encode()

    def _logprobs(self, index: int, tokens: "Sequence[Token]") -> dict[str, Any] | None:
        """OpenAI's old shape: four lists. The token itself is among its alternatives, as vLLM has it."""
        if self._tops < 0:
            return None
        offsets = []
        for token in tokens:
            offsets.append(self._offsets.get(index, 0))
            self._offsets[index] = offsets[-1] + len(token.text)
        return {
            "tokens": [token.text for token in tokens],
            "token_logprobs": [_known(token.logprob) for token in tokens],
            "top_logprobs": [_tops(token) for token in tokens] if self._tops else None,
            "text_offset": offsets,
        }


def usage(prompt: int, cached: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def models(base: str, adapters: Iterable[str], context: int, created: int) -> dict[str, Any]:
    """/v1/models as vLLM has it: adapters are models with a parent."""
    facts = {"object": "model", "created": created, "owned_by": "labbot", "max_model_len": context}
    base_card = {"id": base, **facts, "root": base, "parent": None}
    return {"object": "list", "data": [base_card, *({"id": one, **facts, "root": one, "parent": base} for one in adapters)]}


def _head(facts: Mapping[str, Any]) -> str:
    return f'data: {json.dumps(facts)[:-1]},"choices":'


def _queue(head: str, position: int) -> bytes:
    return f'{head}[],"queue":{{"position":{position}}}}}\n\n'.encode()


def _usage(head: str, usage: Mapping[str, Any]) -> bytes:
    return f'{head}[],"usage":{json.dumps(usage)}}}\n\n'.encode()


def _chat_logprobs(tokens: "Iterable[Token]") -> dict[str, Any]:
    shown = []
    for token in tokens:
        tops = [_named(text, logprob) for text, logprob in token.top]
        shown.append({**_named(token.text, token.logprob), "top_logprobs": tops})
    return {"content": shown}


def _named(text: str, logprob: float) -> dict[str, Any]:
    """A token by its text; its bytes are not told where the text does not have them all."""
    return {"token": text, "logprob": logprob, "bytes": None if UNCERTAIN in text else list(text.encode())}


def _tops(token: "Token") -> dict[str, float] | None:
    if _known(token.logprob) is None:
        return None
    found: dict[str, float] = {}
    for text, logprob in (*token.top, (token.text, token.logprob)):
        found.setdefault(text, logprob)  # of tokens that look alike, the likelier
    return found


def _known(logprob: float) -> float | None:
    """None for the first token of a prompt, which nothing comes before."""
    return None if logprob != logprob else logprob
