"""Held-out examples are chosen before anything is made, by what they say alone."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Invalid
from pipeline.generating.leaf import Leaf, leaf
from tests.conftest import HOME

SHARED = HOME.parent / "shared" / "data" / "taxonomy"
examples = st.lists(
    st.fixed_dictionaries({"question": st.text(min_size=1), "answer": st.text(min_size=1)}), min_size=2, max_size=12
)


def made(seeds: Sequence[Mapping[str, Any]]) -> Leaf:
    return leaf(json.dumps({"task_description": " Teach it. ", "seed_examples": seeds}), "a/b")


def numbers(found: Leaf) -> list[int]:
    return [one.number for one in found.held]


@given(examples)
def test_a_fifth_of_the_seed_examples_is_held_out_and_the_rest_trains(seeds: list[dict[str, str]]) -> None:
    found = made(seeds)

    assert len(found.held) == math.ceil(len(seeds) / 5)
    assert [one.number for one in found.examples] == list(range(1, len(seeds) + 1))
    assert [one.number for one in found.train] == [at for at in range(1, len(seeds) + 1) if at not in numbers(found)]
    assert max(one.digest for one in found.held) <= min(one.digest for one in found.train)


@given(examples, st.randoms(use_true_random=False))
def test_which_are_held_out_does_not_depend_on_their_order(seeds: list[dict[str, str]], random: Any) -> None:
    mixed = list(seeds)
    random.shuffle(mixed)

    assert [one.digest for one in sorted(made(mixed).held, key=lambda one: one.digest)] == [
        one.digest for one in sorted(made(seeds).held, key=lambda one: one.digest)
    ]


@given(examples, st.data())
def test_an_edit_of_one_example_moves_no_other_but_the_one_that_it_changes_places_with(
    seeds: list[dict[str, str]], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(seeds) - 1))
    edited = [{**one, "answer": data.draw(st.text(min_size=1))} if number == at else one for number, one in enumerate(seeds)]

    before, after = set(numbers(made(seeds))), set(numbers(made(edited)))

    moved = before ^ after
    assert moved <= {at + 1} | {next(iter(moved - {at + 1}), at + 1)}
    assert at + 1 in moved or not moved or made(seeds).examples[at] == made(edited).examples[at]


def test_which_examples_are_held_out_is_the_same_in_every_version_of_this_program() -> None:
    seeds = [{"question": f"What is {word}?", "answer": f"A {word}."} for word in ("rain", "snow", "hail", "fog", "dew", "ice")]

    assert numbers(made(seeds)) == [1, 6]
    assert made(seeds).task == "Teach it."


def test_one_example_can_train_where_nothing_is_held_out() -> None:
    text = json.dumps({"seed_examples": [{"question": "Why?", "answer": "So."}]})

    assert len(leaf(text, "a", hold_out=False).train) == 1
    with pytest.raises(Invalid, match="none is left to train on"):
        leaf(text, "a")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "seed_examples:",
        "seed_examples: []",
        "seed_examples: text",
        "seed_examples: [text]",
        "seed_examples: [1]",
        "seed_examples: [{question: why}]",
        "seed_examples: [{context: c, questions_and_answers: }]",
        "seed_examples: [{context: c, questions_and_answers: [{question: why}]}]",
        "[1, 2]",
        "created: 2024-13-45\nseed_examples: [{question: why, answer: so}]",
        "a: [",
        "a: !!python/object:os.system x",
    ],
)
def test_an_entry_without_examples_that_can_be_read_is_the_persons(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        leaf(text, "a")

    assert [one.code for one in caught.value.problems] == ["generate.entry"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real entries are not on this machine")
def test_real_entries_are_of_their_kind_and_whole() -> None:
    kinds: dict[str, str] = {}
    for path in sorted(SHARED.rglob("qna.yaml")):
        name = path.parent.relative_to(SHARED).as_posix()
        found = leaf(path.read_text(encoding="utf-8"), name)
        kinds[name] = found.kind
        assert found.name == name and found.task
        assert len(found.held) == math.ceil(len(found.examples) / 5) and found.train
        assert all(pair.question and pair.answer for one in found.examples for pair in one.pairs)
        assert all(bool(one.context) for one in found.examples) or found.kind != "knowledge"
        assert all(len(one.pairs) == (3 if found.kind == "knowledge" else 1) for one in found.examples)

    assert {name for name, kind in kinds.items() if kind == "knowledge"} == {
        one for one in kinds if one.startswith("knowledge/")
    }
    assert kinds["compositional_skills/linguistics/synonyms"] == "freeform"
    assert {kind for name, kind in kinds.items() if "/grounded/" in name} == {"grounded"}


def test_a_seed_example_is_told_with_its_context_where_that_is_wanted() -> None:
    one = made([{"context": "It rains.", "question": " Why? ", "answer": "So."}, {"question": "Who?", "answer": 7}]).examples

    assert one[0].told(context=True) == [{"context": "It rains.", "question": "Why?", "answer": "So."}]
    assert one[0].told(context=False) == [{"question": "Why?", "answer": "So."}]
    assert one[1].told(context=True) == [{"question": "Who?", "answer": "7"}]
