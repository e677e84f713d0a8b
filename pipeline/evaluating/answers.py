"""The same prompts put to base and tuned model, with the same decoding, and nothing asked twice.

Always the likeliest token is taken, up to the end of the turn or to as many tokens as the wanted answer could need. What is
computed together is the same for both models and in every attempt: sums in bfloat16 may come out otherwise beside other rows.
A batch's answers are in the journal, under the digest of weights, adapter, precision and prompt, before the next begins.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from pipeline.errors import Invalid, Problem, out_of_memory
from pipeline.evaluating import scoring
from pipeline.evaluating.questions import Question
from pipeline.files import digest
from pipeline.journal import Journal
from pipeline.training.learner import Learner
from pipeline.training.rows import Message

HOW = "greedy"
TOGETHER, AT_ONCE = 64, 8192  # prompts computed at once, and tokens of all their answers: minutes on a slow machine, no more
LEAST, LEAST_LONG, MOST = 64, 512, 2048  # tokens of an answer: short ones, those that a judge compares, any
BYTES = 2  # of a text a token has at least: tokenisers make 3 to 4 of English, and of few scripts less than 2


class Words(Protocol):
    """A tokeniser with its chat template: see training.encode."""

    ends: frozenset[int]

    def prompt(self, messages: Sequence[Message]) -> Sequence[int]: ...

    def text(self, tokens: Sequence[int]) -> str: ...


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said; `trouble`: "cut" where its `tokens` were spent, "long" where the prompt left no room to answer."""

    text: str
    trouble: str = ""
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Who:
    """A model: `told` is what its answers depend on beside the prompt, `adapter` the folder, None for the base itself."""

    told: tuple[str, ...]
    adapter: Path | None = None


@dataclass(frozen=True, slots=True)
class _Prompt:
    """`at`: its place among the questions; `most`: tokens of the answer, 0 where there is no room."""

    at: int
    tokens: tuple[int, ...]
    most: int


@dataclass(frozen=True, slots=True)
class Asking:
    """`learner` is called when the first answer is wanted that is not in the journal. `context`: tokens that it reads.

    `device`: what it is on, for people.
    `told`: called with how many answers have come, as each batch does.
    """

    journal: Journal
    device: str
    learner: Callable[[], Learner]
    words: Words
    context: int
    told: Callable[[int], None]

    def answers(self, found: Sequence[Question], who: Who) -> list[Said]:
        """One for each question, in their order."""
        ids = [_id(who, one) for one in found]
        learner: Learner | None = None
        for batch in _batches(self._prompts(found)):
            missing = [one for one in batch if ids[one.at] not in self.journal]
            if missing and learner is None:
                learner = self._ready(who)
            if missing and learner:
                said = self._said(learner, missing)
                self.journal.append_all([(ids[one.at], text) for one, text in zip(missing, said, strict=True)])
            self.told(len(batch))
        return [Said(**(self.journal.get(id) or {})) for id in ids]

    def _ready(self, who: Who) -> Learner:
        """Raises Invalid evaluate.memory where there is no room for the model."""
        try:
            learner = self.learner()
            learner.use(who.adapter)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise too_small(self.device, "while the model was loaded") from None
        return learner

    def _prompts(self, found: Sequence[Question]) -> list[_Prompt]:
        made = []
        for at, one in enumerate(found):
            tokens = tuple(self.words.prompt(one.messages))
            room = self.context - len(tokens)
            made.append(_Prompt(at, tokens, min(most(one), room) if room >= LEAST else 0))
        return made

    def _said(self, learner: Learner, batch: Sequence[_Prompt]) -> list[dict[str, Any]]:
        length = batch[0].most
        if not length:
            return [{"text": "", "trouble": "long"} for _ in batch]
        made = _computed(learner, [one.tokens for one in batch], length, self.words.ends)
        cut = {"trouble": "cut", "tokens": length}
        return [{"text": self.words.text(one).strip(), **(cut if len(one) >= length else {})} for one in made]


def _computed(learner: Learner, prompts: Sequence[Sequence[int]], length: int, ends: frozenset[int]) -> list[list[int]]:
    """All at once, or one by one where the memory is too small for that. Raises Invalid evaluate.memory for a single one."""
    try:
        return learner.answers(prompts, length, ends)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    if len(prompts) > 1:
        return [_computed(learner, [one], length, ends)[0] for one in prompts]
    raise too_small(learner.device, f"with a question of {len(prompts[0]):,} tokens", len(prompts[0]))


def too_small(device: str, when: str, tokens: int = 0) -> Invalid:
    fix = (
        "End what else has memory there, and start it again: the answers that came are kept. "
        "Or set `device: cpu` in configs/recipes/train.yaml, with which it is also trained there anew."
    )
    facts = {"device": device, "tokens": str(tokens)}
    return Invalid(Problem("evaluate.memory", f"{device} ran out of memory {when}", "train.yaml", fix, facts))


def thinks(folder: Path) -> bool:
    """Whether a base's chat template has the switch with which models think before they answer. It is left as it is."""
    paths = [folder / name for name in ("chat_template.jinja", "tokenizer_config.json")]
    return any("enable_thinking" in path.read_text(encoding="utf-8", errors="replace") for path in paths if path.is_file())


def most(one: Question) -> int:
    """How many tokens an answer may have: twice what the longest right one needs, the same for whatever model answers."""
    needed = max(len(text.encode()) for text in one.accepted) // BYTES + 32
    least = LEAST if scoring.short([one.wanted]) else LEAST_LONG
    return min(MOST, max(least, 1 << (needed - 1).bit_length()))


def _batches(prompts: Sequence[_Prompt]) -> Iterator[list[_Prompt]]:
    """Prompts of one limit and about one length."""
    in_order = sorted(prompts, key=lambda one: (one.most, len(one.tokens), one.at))
    for limit, several in groupby(in_order, key=lambda one: one.most):
        listed = list(several)
        many = max(1, min(TOGETHER, AT_ONCE // max(1, limit)))
        for start in range(0, len(listed), many):
            yield listed[start : start + many]


def _id(who: Who, one: Question) -> str:
    """Of an answer in the journal. What is asked twice in different places is one question."""
    asked = [HOW, who.told, [asdict(message) for message in one.messages], most(one)]
    return digest(json.dumps(asked, sort_keys=True).encode()).removeprefix("sha256:")[:32]
