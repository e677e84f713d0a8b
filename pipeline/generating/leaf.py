"""What samples are made from: an entry's seed examples, of which some are held out before anything is made.

Held out are the ceil(n/5) seed examples with the smallest digests: everybody who has the entry holds out the same ones, an
edit of one example moves no other, and no choice of ours can favour the model that is trained later.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from pipeline.errors import Invalid, Problem
from pipeline.generating.chunks import Chunk
from pipeline.generating.rows import Kind

HELD = 5  # one of so many seed examples is held out


@dataclass(frozen=True, slots=True)
class Pair:
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Example:
    """A seed example. `number` counts from 1 as in qna.yaml; a skill's has one pair, one of knowledge about its context."""

    number: int
    pairs: tuple[Pair, ...]
    context: str = ""

    @property
    def digest(self) -> str:
        told = "\0".join((self.context, *(text for pair in self.pairs for text in (pair.question, pair.answer))))
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()

    def told(self, *, context: bool) -> list[dict[str, str]]:
        """As a model is shown it; `context`: with what it is about, once."""
        told = [{"question": pair.question, "answer": pair.answer} for pair in self.pairs]
        return [{"context": self.context, **told[0]}, *told[1:]] if context and self.context else told


@dataclass(frozen=True, slots=True)
class Leaf:
    """An entry: `name` is its path below the taxonomy's root, `task` what it teaches, in its own words."""

    name: str
    kind: Kind
    task: str
    train: tuple[Example, ...]
    held: tuple[Example, ...]
    chunks: tuple[Chunk, ...] = ()

    @property
    def examples(self) -> tuple[Example, ...]:
        """All of them, in the order of qna.yaml."""
        return tuple(sorted((*self.train, *self.held), key=lambda one: one.number))


def leaf(text: str, name: str, *, hold_out: bool = True, chunks: Iterable[Chunk] = ()) -> Leaf:
    """An entry's text as a leaf. Raises Invalid generate.entry where it has no seed examples that can be read."""
    try:
        found = yaml.safe_load(text)
        examples = tuple(_example(number, one) for number, one in enumerate(found["seed_examples"], 1))
        task = str(found.get("task_description") or found.get("document_outline") or "")
        knowledge = "document" in found or any("questions_and_answers" in one for one in found["seed_examples"])
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:  # ValueError: a date that is none
        raise _unread(f"its seed examples cannot be read: {error}") from None
    if not examples:
        raise _unread("there is no seed example in it")
    kind: Kind = "knowledge" if knowledge else "grounded" if any(one.context for one in examples) else "freeform"
    held = held_out(examples) if hold_out else ()
    train = tuple(one for one in examples if one not in held)
    if not train:
        raise _unread("it has one seed example, which is held out for the test, and none is left to train on")
    return Leaf(name, kind, task.strip(), train, held, tuple(chunks))


def held_out(examples: tuple[Example, ...]) -> tuple[Example, ...]:
    """The ceil(n/5) examples with the smallest digests, in the order of qna.yaml."""
    by_digest = sorted(examples, key=lambda one: (one.digest, one.number))
    held = by_digest[: math.ceil(len(examples) / HELD)]
    return tuple(sorted(held, key=lambda one: one.number))


def _example(number: int, found: Mapping[str, Any]) -> Example:
    context = str(found.get("context") or "").strip()
    pairs = found.get("questions_and_answers", [found])
    return Example(number, tuple(Pair(str(one["question"]).strip(), str(one["answer"]).strip()) for one in pairs), context)


def _unread(message: str) -> Invalid:
    return Invalid(Problem("generate.entry", message, "entry/qna.yaml", "Write at least two seed examples, better five."))
