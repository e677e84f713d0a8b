"""How much of a conversation a model is given: its system prompt, the newest question, and the newest turns that fit.

The model's own tokeniser decides. It is asked for the whole conversation, once as a rule: how many tokens a character
took the last time says beforehand about where to cut. A text never has more tokens than bytes, so what is short enough
by its bytes is not counted at all, and its first word comes sooner.
"""

from collections.abc import Awaitable, Callable, Sequence

from bot.core.records import Turn
from pipeline.errors import Invalid, Problem
from pipeline.models.client import Message

Count = Callable[[Sequence[Message]], Awaitable[int]]  # messages -> tokens of the prompt that they become

RATE = 0.2  # tokens a character where nothing was counted yet: fewer than any text takes, so that nothing is cut unseen
MARKS, TEMPLATE = 32, 256  # tokens at most that a template puts around a message, and around them all
CUT = 0.95  # of the tokens that are expected: what is counted decides, not what is guessed


class Window:
    """Remembers, by model, how many tokens a character takes."""

    def __init__(self) -> None:
        self.rates: dict[str, float] = {}

    async def fit(
        self, model: str, count: Count, system: str, earlier: Sequence[Turn], question: str, room: int
    ) -> tuple[list[Message], tuple[Turn, ...]]:
        """The messages for `question` and the turns that are in them, at most `room` tokens.

        Raises Invalid chat.long where the system prompt and the question alone are more than that.
        """
        kept = _newest(earlier, room / (self.rates.get(model, RATE) * CUT) - len(system) - len(question))
        while True:
            messages = rendered(system, kept, question)
            if len(kept) == len(earlier) and _most(messages) <= room:
                return messages, tuple(kept)
            tokens = await count(messages)
            self.rates[model] = rate = max(RATE, tokens / max(1, sum(len(one["content"]) for one in messages)))
            if tokens <= room:
                return messages, tuple(kept)
            if not kept:
                facts = {"tokens": str(tokens), "room": str(room)}
                raise Invalid(Problem("chat.long", f"{tokens} tokens, {room} fit", facts=facts))
            kept = _newest(kept[1:], sum(map(_length, kept)) - (tokens - room) / rate)


def rendered(system: str, earlier: Sequence[Turn], question: str) -> list[Message]:
    """A conversation as models take it."""
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    for turn in earlier:
        messages += [{"role": "user", "content": sent(turn.question)}, {"role": "assistant", "content": sent(turn.answer)}]
    return [*messages, {"role": "user", "content": sent(question)}]


def sent(text: str) -> str:
    """A text as it can be sent: halves of surrogate pairs, which a terminal may hand over, have no UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _most(messages: Sequence[Message]) -> int:
    """Tokens that a conversation has at most, whatever the tokeniser."""
    return TEMPLATE + sum(MARKS + len(one["content"].encode()) for one in messages)


def _newest(turns: Sequence[Turn], characters: float) -> list[Turn]:
    """The newest turns that have no more characters than that, oldest first."""
    kept: list[Turn] = []
    for turn in reversed(turns):
        characters -= _length(turn)
        if characters < 0:
            break
        kept.append(turn)
    return kept[::-1]


def _length(turn: Turn) -> int:
    return len(turn.question) + len(turn.answer)
