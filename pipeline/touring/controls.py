"""What a figure of the tour is held against: what chance gives, what copying gives, and whether the test leaked."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz import fuzz, process

from pipeline.files import write
from pipeline.generating import rows
from pipeline.touring import skill
from pipeline.training import held

DRAWN = 200  # tickets of chance for each question
MIXED = "mix/skills_train_msgs.jsonl"

Pairs = Sequence[tuple[str, str]]  # question, answer


@dataclass(frozen=True, slots=True)
class Controls:
    """Shares are of 1. `leaked`: test answers that occur in the training data; `crossed`: orders on the wrong side of the

    split. `chance`: a ticket whose four fields are drawn; `other`: the answer to any training question; `copied`: that
    to the most similar one.
    """

    asked: int
    trained: int
    leaked: int
    crossed: int
    chance: float
    other: float
    copied: float


def measure(folder: Path, replay: Path | None) -> Controls:
    """Of a run's folder: its test questions against everything that the adapter is trained on."""
    test = [(row.question, row.answer) for row in held.split(folder).test]
    train = [(row.question, row.answer) for row in rows.read(folder / rows.SAMPLES) if row.kept]
    texts = [answer for _, answer in train] + [text for text in _said(folder / MIXED)] + (_said(replay) if replay else [])
    return Controls(
        asked=len(test),
        trained=len(train),
        leaked=leaked([answer for _, answer in test], texts),
        crossed=crossed(test, held_out=True) + crossed(train, held_out=False),
        chance=chance(test),
        other=other(test, train),
        copied=copied(test, train),
    )


def leaked(answers: Sequence[str], texts: Sequence[str]) -> int:
    """How many of the answers stand in any of the texts."""
    every = "\n".join(texts)
    return sum(answer in every for answer in answers)


def crossed(pairs: Pairs, *, held_out: bool) -> int:
    """How many orders are not on that side of the split; what is no order is on neither."""
    orders = [skill.read(question) for question, _ in pairs]
    return sum(order is None or order.held is not held_out for order in orders)


def chance(test: Pairs) -> float:
    """The share that somebody gets right who knows the form and the words, and draws the fields."""
    draw = random.Random("chance")
    right = sum(skill.drawn(draw, held=True).ticket == answer for _, answer in test for _ in range(DRAWN))
    return right / max(1, DRAWN * len(test))


def other(test: Pairs, train: Pairs) -> float:
    """The share that the answer to a training question gets right, whichever it is."""
    answers = [answer for _, answer in train]
    return sum(answers.count(answer) for _, answer in test) / max(1, len(test) * len(train))


def copied(test: Pairs, train: Pairs) -> float:
    """The share that the answer to the most similar training question gets right: what learning by heart would give."""
    questions = [question for question, _ in train]
    right = 0
    for question, answer in test:
        found = process.extractOne(question, questions, scorer=fuzz.token_sort_ratio)
        right += bool(found) and train[found[2]][1] == answer
    return right / max(1, len(test))


def shuffle(folder: Path, seed: int) -> int:
    """Give every row of the mix the answer of another; return how many rows there are."""
    found = [json.loads(line) for line in (folder / MIXED).read_bytes().splitlines()]
    said = [row["messages"][-1] for row in found]
    ring = list(range(len(found)))
    random.Random(f"shuffled {seed}").shuffle(ring)
    for here, there in zip(ring, ring[1:] + ring[:1], strict=True):  # in a ring of all rows none keeps its own
        found[there]["messages"][-1] = said[here]
    write(folder / MIXED, "".join(f"{json.dumps(row)}\n" for row in found))
    return len(found)


def _said(path: Path) -> list[str]:
    """What the assistant says in a file of rows with `messages`."""
    found = (json.loads(line)["messages"] for line in path.read_bytes().splitlines())
    return [one["content"] for messages in found for one in messages if one["role"] == "assistant"]
