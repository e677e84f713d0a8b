"""What base and tuned model are asked: the held-out questions, the seed examples, and what the base should not forget.

Each is put as the rows that were trained on put theirs (mixing.forms): the system prompt of mix.yaml, a grounded question
behind its context, one of knowledge alone, since what was learned is to be known without the document.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.generating.leaf import Example, Leaf, Pair
from pipeline.generating.rows import Kind, Row
from pipeline.mixing import forms
from pipeline.training.rows import Message


@dataclass(frozen=True, slots=True)
class Question:
    """`set`: unseen, reworded, seeds, or the family of a regression question. `accepted`: what is right, the wanted one first.

    `context` is what it is asked about, `text` what a judge may check answers against. `number`: of its row or seed example.
    Questions `of` one seed question or text are not independent of each other; "" stands alone.
    """

    set: str
    number: int
    messages: tuple[Message, ...]
    question: str
    accepted: tuple[str, ...]
    context: str = ""
    text: str = ""
    of: str = ""

    @property
    def wanted(self) -> str:
        return self.accepted[0]


def of_rows(rows: Iterable[Row], system: str) -> list[Question]:
    """Those of a held-out set that have a question and an answer."""
    return [_of_row(row, system) for row in rows if row.question.strip() and row.answer.strip()]


def of_seeds(leaf: Leaf, system: str) -> list[Question]:
    """Every question of the entry's seed examples, in their order."""
    return [_of_seed(leaf.kind, one, pair, system) for one in leaf.examples for pair in one.pairs]


def messages(question: str, system: str) -> tuple[Message, ...]:
    asks = Message("user", question)
    return (Message("system", system), asks) if system else (asks,)


def told(one: Question, **more: Any) -> dict[str, Any]:
    """As it stands in scores.json."""
    context = {"context": one.context} if one.context else {}
    return {"set": one.set, "number": one.number, "question": one.question, **context, "wanted": one.wanted, **more}


def _of_row(row: Row, system: str) -> Question:
    question, context = forms.clean(row.question), "" if row.kind == "knowledge" else forms.clean(row.context)
    text = forms.clean(row.document) if row.kind == "knowledge" else context
    made = _asked(row.set, row.number, question, context, text, forms.clean(row.answer), system)
    if row.set == "reworded":
        return replace(made, of=f"{row.seed} {made.wanted}")
    # Of knowledge the questions are what is sampled: all of them are about the one document, and it is what was to be learned.
    return replace(made, of=question if row.kind == "knowledge" else context or question)


def _of_seed(kind: Kind, example: Example, pair: Pair, system: str) -> Question:
    about = forms.clean(example.context)
    context = "" if kind == "knowledge" else about
    return _asked("seeds", example.number, forms.clean(pair.question), context, about, forms.clean(pair.answer), system)


def _asked(name: str, number: int, question: str, context: str, text: str, answer: str, system: str) -> Question:
    asks = f"{context}\n\n{question}" if context else question
    return Question(name, number, messages(asks, system), question, (answer,), context, text)


def evenly(found: Sequence[Any], most: int) -> list[Any]:
    """So many of them at most, from first to last."""
    return [one for at, one in enumerate(found) if (at + 1) * most // len(found) > at * most // len(found)]
