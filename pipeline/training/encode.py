"""Samples as the model reads them, and which of their tokens are learned.

Learned is what the assistant has to write when it is served: every token between the prompt (the template's text up to where
the assistant speaks) and the end of its turn, with the token that ends it. So that a served model meets what it was trained
on, the tokens before an answer are those of the prompt alone, whatever a tokeniser makes of both together; an answer's first
blank, or an empty "think" block, is learned where the template puts it behind the prompt.

Each answer is rendered as the last of its conversation. Where the next answer's tokens begin with them, both are one sample;
where not (templates that drop old thoughts, or move the system prompt to the last question), each is a sample of its own.

With `unmask`, what users say is learned too, as instructlab-training does it: their words, no marks around them, no system
message. On the templates of Llama 3, Granite and Qwen its reader (0.16) finds the same tokens and learns the same ones. On that
of Llama 2 it reads blanks that no prompt has, since it cuts texts at messages, and from Mistral's it loses the system prompt.

Nothing is truncated: see `_windows`.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from pipeline.errors import Invalid, Problem
from pipeline.training.chat import Chat, Text, refused
from pipeline.training.learner import IGNORED, Encoded
from pipeline.training.rows import Message, Sample

TOGETHER = 512  # rows that are read by the tokeniser at once, so that it can use all cores
BRIDGE = 8  # of a cut text, each part is shown the end of the part before: so many times less than the context
PROBE = (Message("user", "Which animal has stripes?"), Message("assistant", "zebra"))


@dataclass(slots=True)
class Tally:
    """What became of rows. `split`: longer than the context; `left_out`: with nothing in them to learn."""

    rows: int = 0
    split: int = 0
    left_out: int = 0
    samples: int = 0
    tokens: int = 0
    learned: int = 0


@dataclass(frozen=True, slots=True)
class _Turn:
    """One answer in its conversation, as text: `whole` goes on where `prompt` ends, and is None where nobody answers.

    Of the messages `fresh` (from, to) what users say is learned too.
    """

    prompt: Text
    whole: Text | None
    fresh: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class _Long:
    """A sample before it is cut to the context. `head`: tokens before the answer, 0 where all is learned alike."""

    tokens: list[int]
    targets: list[int]
    head: int


class Encoder:
    """Encodes for one base model.

    `context`: tokens of the longest sample. `ends`: the tokens at which an answer is over. Raises Invalid train.template for
    a tokeniser or template that cannot be used, train.long for a row that is longer than the context if that is refused.
    """

    def __init__(
        self, chat: Chat, context: int, too_long: Literal["split", "refuse"] = "split", also: Iterable[int] = ()
    ) -> None:
        self.chat, self.context, self.too_long = chat, context, too_long
        self.end = self._find_end()
        self.ends = frozenset({self.end, *also} | ({chat.eos} if chat.eos is not None else set()))

    @classmethod
    def of(cls, folder: Path, context: int, too_long: Literal["split", "refuse"] = "split") -> "Encoder":
        """For the model in a folder of transformers' kind."""
        return cls(Chat.of(folder), context, too_long, _generation_ends(folder))

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The tokens of a conversation up to where the assistant is to speak."""
        return tuple(self.chat.ids([self.chat.render(messages, answer=True)])[0])

    def text(self, tokens: Sequence[int]) -> str:
        """What the model said with these tokens."""
        return self.chat.text(tokens).strip()

    def encode(self, sample: Sample, tally: Tally | None = None) -> list[Encoded]:
        """A row; several samples where it had to be taken apart, none where there is nothing to learn."""
        return next(self.many([sample], tally))

    def many(self, samples: Iterable[Sample], tally: Tally | None = None) -> Iterator[list[Encoded]]:
        """Rows in their order."""
        tally = tally or Tally()
        rest = iter(samples)
        while rows := list(islice(rest, TOGETHER)):
            turns = [self._turns(row) for row in rows]
            texts = [text for one in turns for turn in one for text in (turn.prompt, turn.whole) if text]
            ids = iter(self.chat.ids(texts))
            for row, several in zip(rows, turns, strict=True):
                longs = [self._long(row, turn, next(ids), next(ids) if turn.whole else None) for turn in several]
                found = self._fitting(row, self._joined(longs), tally)
                tally.rows += 1
                tally.left_out += not found
                tally.samples += len(found)
                tally.tokens += sum(len(one.tokens) for one in found)
                tally.learned += sum(one.learned for one in found)
                yield found

    # --- which tokens are learned

    def _turns(self, row: Sample) -> list[_Turn]:
        """A turn for each answer that says something; in rows where all is learned also for what stands behind the last."""
        found, since = [], 0
        with _naming(row):
            for at, message in enumerate(row.messages):
                if message.role != "assistant" or not message.content.strip():
                    continue
                prompt, whole = self.chat.exchange(row.messages[: at + 1])
                if row.unmask:
                    prompt = self.chat.render_apart(row.messages[:at], answer=True)
                found.append(_Turn(prompt, whole, (since, at) if row.unmask else (0, 0)))
                since = at + 1
            if row.unmask and any(one.role == "user" and one.content.strip() for one in row.messages[since:]):
                found.append(_Turn(self.chat.render_apart(row.messages), None, (since, len(row.messages))))
        return found

    def _long(self, row: Sample, turn: _Turn, head: list[int], together: list[int] | None) -> _Long:
        """Where the tokens of a turn are learned. `head`: those of its prompt, `together`: those of the whole."""
        with _naming(row):
            targets = [IGNORED] * len(head)
            if turn.fresh != (0, 0):
                self._unmask(turn, row.messages, targets)
            if turn.whole is None or together is None:
                return _Long(head, targets, 0)
            answer = self.chat.rest(turn.prompt, turn.whole, head, together)
            if self.end not in answer:
                raise refused("the token that ends a turn does not follow this answer, so the model would not learn to stop")
            answer = answer[: answer.index(self.end) + 1]
            return _Long(head + answer, targets + answer, 0 if row.unmask else len(head))

    def _unmask(self, turn: _Turn, messages: Sequence[Message], targets: list[int]) -> None:
        """Learn the tokens that hold a character of what users say."""
        found = self.chat.tokens(turn.prompt)
        said = [
            found.bounds[2 * at + 1 : 2 * at + 3]
            for at, one in enumerate(turn.prompt.whose)
            if turn.fresh[0] <= one < turn.fresh[1] and messages[one].role == "user"
        ]
        for at, (start, end) in enumerate(found.spans):
            if at and any(start < last and first < end for first, last in said):
                targets[at] = found.ids[at]

    def _joined(self, longs: Sequence[_Long]) -> list[_Long]:
        """Turns of a conversation in one sample, where one goes on as the other ended and the context is long enough."""
        found: list[_Long] = []
        for one in longs:
            before = found[-1] if found else None
            if before and len(one.tokens) <= self.context and one.tokens[: len(before.tokens)] == before.tokens:
                found[-1] = replace(one, targets=before.targets + one.targets[len(before.targets) :])
            else:
                found.append(one)
        return found

    # --- what is longer than the context

    def _fitting(self, row: Sample, longs: Sequence[_Long], tally: Tally) -> list[Encoded]:
        longest = max((len(one.tokens) for one in longs), default=0)
        if longest > self.context and self.too_long == "refuse":
            facts = {"row": row.id, "tokens": f"{longest}", "context": f"{self.context}"}
            message = f"the row {row.id} has {longest:,} tokens, and the context is {self.context:,}."
            fix = "Shorten or remove it, raise `context` in train.yaml, or have long rows taken apart: `too_long: split`."
            raise Invalid(Problem("train.long", message, row.where, fix, facts))
        tally.split += longest > self.context
        cut = (self._windows(one) if len(one.tokens) > self.context else [one] for one in longs)
        return [
            Encoded(tuple(one.tokens), tuple(one.targets))
            for several in cut
            for one in several
            if any(target != IGNORED for target in one.targets)
        ]

    def _windows(self, long: _Long) -> list[_Long]:
        """A sample that is too long as several, in which each token is learned once that was to be.

        Each begins with the question, of which the beginning goes (BOS stays) where the answer would have less than half of
        the context; then comes the end of the part before, so that no answer is learned to begin in its middle; then
        the part. Where questions are learned too, they are parts like answers.
        """
        begin = long.tokens[: int(long.tokens[0] == self.chat.begin)]
        room = max(self.context - (len(long.tokens) - long.head), self.context // 2) if long.head else len(begin)
        question = long.tokens[: long.head]
        if len(question) > room:
            question = begin + question[len(question) - room + len(begin) :]
        elif not long.head:
            question = begin
        at = long.head or len(begin)
        bridge = 0
        found = []
        while at < len(long.tokens):
            end = at + self.context - len(question) - bridge
            tokens = question + long.tokens[at - bridge : end]
            targets = [IGNORED] * (len(question) + bridge) + long.targets[at:end]
            found.append(_Long(tokens, targets, len(question)))
            at, bridge = end, self.context // BRIDGE
        return found

    # --- the end of a turn

    def _find_end(self) -> int:
        """The token that ends a turn: the first special one behind what the assistant said."""
        whole = self.chat.render(PROBE)
        before, said, _ = whole.whole.rpartition(PROBE[1].content)
        start = len(before) + len(said)
        found = self.chat.tokens(whole)
        for token, (first, _) in zip(found.ids, found.spans, strict=True):
            if said and first >= start and token in self.chat.special:
                return token
        raise refused("its chat template ends no turn with a special token, so the model would never learn to stop")


@contextmanager
def _naming(row: Sample) -> Iterator[None]:
    """Say with which row a template could not be used."""
    try:
        yield
    except Invalid as error:
        [problem] = error.problems
        where = row.where or row.id
        facts = {"why": f"{where}: {problem.facts['why']}"}
        fix = f"Mend this row or take it out of its file. If others are refused too: {problem.fix[:1].lower()}{problem.fix[1:]}"
        raise Invalid(replace(problem, where=where, fix=fix, facts=facts)) from None


def _generation_ends(folder: Path) -> list[int]:
    """What the model's authors let it stop at, beside the end of a turn."""
    try:
        found = json.loads((folder / "generation_config.json").read_bytes()).get("eos_token_id")
    except (OSError, ValueError, AttributeError):  # many models have none
        return []
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, int)]
