"""A request on its way through the engine: its tokens so far, and how they become what its reader gets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.models.cells import Held
from pipeline.models.llama import Floats, Vocabulary
from pipeline.models.request import Piece, Reason, Request, Stream, Token, Usage
from pipeline.models.sampling import Matcher, Sampler, logprobs
from pipeline.models.text import Text


@dataclass(eq=False, slots=True)
class Work:
    """`tokens` are the prompt and what was written so far; `held` the cells that were computed from them.

    While it `follows` another sequence it waits for that one's cells, up to position `follows_to`. `steps` counts the
    engine steps that it took part in, `first` those until its first token; `told` is the place in the queue it knows of.
    """

    request: Request
    stream: Stream
    vocabulary: Vocabulary
    tokens: list[int]
    sampler: Sampler
    text: Text
    matcher: Matcher | None
    asked_at: float
    order: int
    held: Held | None = None
    follows: Held | None = None
    follows_to: int = 0
    cached: int = 0
    made: int = 0
    steps: int = 0
    first: int = 0
    told: int = 0
    echoed: int = 0
    cut: bool = False  # whether what a schema forced was more than it may write

    @property
    def left(self) -> int:
        """Tokens that it may still write."""
        return self.request.max_tokens - self.made

    @property
    def todo(self) -> int:
        """Tokens that have no cells yet."""
        return len(self.tokens) - (0 if self.held is None else len(self.held))

    @property
    def echoes(self) -> bool:
        """Whether every token that it reads is wanted with its probability."""
        return self.request.echo and not self.made

    def usage(self) -> Usage:
        return Usage(len(self.request.prompt), self.cached, self.made, self.first)

    def ends(self) -> Reason:
        """Why it ends here, if it does."""
        if self.text.stopped or (self.matcher and self.matcher.done and not self.cut):
            return "stop"
        return "" if self.left > 0 else "length"

    def write(self, tokens: Sequence[int], logits: Floats | None = None) -> Piece | None:
        """Add tokens to the answer; what its reader gets for them. `logits` are those that the first was chosen from."""
        text, details = "", []
        written = [token for token in tokens if token not in self.vocabulary.ends]
        self.cut |= len(written) > self.left
        for token in written[: self.left]:
            self.tokens.append(token)
            self.made += 1
            text += self.text.add(self.vocabulary.pieces[token])
            if self.request.logprobs >= 0:
                details.append(self._detail(token, logits))
                logits = None  # a schema left no choice about the others
        return Piece(text, tuple(details)) if text or details else None

    def echo(self, rows: Sequence[Floats]) -> Piece | None:
        """The tokens that were read in this step, each with the probability that it had after those before it."""
        details = []
        if not self.echoed:
            first = self.tokens[0]
            details.append(Token(first, self._name(first), float("nan"), ()))
        for at, logits in enumerate(rows, 1):
            if self.echoed + at < len(self.request.prompt):
                details.append(self._detail(self.tokens[self.echoed + at], logits))
        self.echoed += len(rows)
        return Piece("", tuple(details)) if details else None

    def _detail(self, token: int, logits: Floats | None) -> Token:
        name, count = self._name(token), max(0, self.request.logprobs)
        if logits is None:
            return Token(token, name, 0.0, ((name, 0.0),) if count else ())
        found = logprobs(logits)
        best = np.argpartition(found, -count)[-count:] if count else ()
        top = sorted(((self._name(one), float(found[one])) for one in best), key=lambda pair: -pair[1])
        return Token(token, name, float(found[token]), tuple(top))

    def _name(self, token: int) -> str:
        return self.vocabulary.pieces[token].decode(errors="replace") or self.vocabulary.name(int(token))
