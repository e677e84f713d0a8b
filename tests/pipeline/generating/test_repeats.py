"""A question that was there before is found, and the pair is quoted that it repeats; a rewording must differ from all."""

import json
from pathlib import Path

import pytest

from pipeline.generating import outcome, recipes
from pipeline.generating.leaf import Leaf, leaf
from pipeline.generating.outcome import Made
from pipeline.generating.repeats import Repeats
from pipeline.generating.rows import Kind, Row, Set
from pipeline.journal import Journal
from tests.conftest import HOME
from tests.pipeline.generating.generating_folder import entry


def found(kind: Kind) -> Leaf:
    return leaf(json.dumps(entry(kind)), "a/b")


def row(of: Leaf, question: str, *, number: int = 1, which: Set = "reworded", context: str = "") -> Row:
    return Row(f"{number}", number, which, of.kind, of.name, of.train[0].number, question, "So.", context)


def reworded(folder: Path, of: Leaf, *given: Row) -> list[Row]:
    """The rewordings as they are written."""
    made = Made(of, recipes.load(HOME, of.kind), {}, {}, "v")
    with Journal(folder / "log", 1, sync=False) as done:
        for one in given:
            done.append(made.id(one), json.loads(json.dumps({name: getattr(one, name) for name in Row.__slots__})))
        return outcome.held_out(made, done, "reworded")


def test_of_several_pairs_about_one_context_the_one_is_quoted_that_is_repeated() -> None:
    told = entry("knowledge")
    asked = [f"Who built the {word} bridge of this town in winter?" for word in ("old", "red", "tall")]
    told["seed_examples"][0]["questions_and_answers"] = [{"question": text, "answer": "Ann."} for text in asked]
    of = leaf(json.dumps(told), "a/b")

    for text in asked:
        repeated = Repeats(of)(row(of, text, which="train"))
        assert repeated and (repeated.why, repeated.of, repeated.near) == ("seed", 1, text)


@pytest.mark.parametrize("kind", ["freeform", "grounded", "knowledge"])
def test_a_rewording_that_is_the_seed_examples_own_question_is_dropped_and_one_that_is_near_it_is_not(
    kind: Kind, tmp_path: Path
) -> None:
    of = found(kind)
    context, question = of.train[0].context if kind == "grounded" else "", of.train[0].pairs[0].question
    given = [
        row(of, text, number=at, context=context) for at, text in enumerate((f" {question.upper()}", f"{question} Now"), 1)
    ]

    same, near = reworded(tmp_path, of, *given)

    assert (same.kept, same.at, same.why, same.of) == (False, "judge", "seed", of.train[0].number)
    assert same.near.endswith(question)
    assert near == given[1]


@pytest.mark.parametrize("kind", ["freeform", "grounded", "knowledge"])
def test_the_same_rewording_twice_counts_once_however_near_the_seed_example_it_is(kind: Kind, tmp_path: Path) -> None:
    of = found(kind)
    context, question = of.train[0].context if kind == "grounded" else "", of.train[0].pairs[0].question
    given = [row(of, f"{question} Now", number=at, context=context) for at in (1, 2)]

    first, second = reworded(tmp_path, of, *given)

    assert first == given[0]
    assert (second.kept, second.why, second.of, second.near) == (False, "same", 1, f"{question} Now")
