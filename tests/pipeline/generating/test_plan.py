"""The order of requests never changes: asking for more adds to its end, and what is asked is spread over all there is."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, islice, pairwise
from typing import Any

import pytest

from pipeline.generating import plan, recipes
from pipeline.generating.chunks import Chunk
from pipeline.generating.leaf import Leaf, leaf
from pipeline.generating.plan import Start
from pipeline.generating.recipes import Recipe
from pipeline.generating.rows import Kind, Set
from tests.conftest import HOME

KINDS: tuple[Kind, ...] = ("freeform", "grounded", "knowledge")
SETS: tuple[Set, ...] = ("train", "unseen", "reworded")
CHUNKS = tuple(Chunk(f"c{at}", "a.md", "", f"Chapter {at} of the book.") for at in range(3))


def entry(kind: Kind, count: int = 6) -> Leaf:
    examples: list[dict[str, Any]] = []
    for at in range(count):
        pairs = [{"question": f"Question {at}.{one}?", "answer": f"Answer {at}.{one}."} for one in range(3)]
        about = {} if kind == "freeform" else {"context": f"Context {at}."}
        examples.append({**about, **({"questions_and_answers": pairs} if kind == "knowledge" else pairs[0])})
    told = json.dumps({"task_description": "Teach it.", "seed_examples": examples})
    return leaf(told, "a/b", chunks=CHUNKS if kind == "knowledge" else ())


def recipe(kind: Kind, **changes: Any) -> Recipe:
    return recipes.load(HOME, kind, {name.replace("__", "."): value for name, value in changes.items()})


def starts(found: Leaf, made: Recipe, which: Set = "train", wanted: int | None = None) -> list[Start]:
    return list(plan.starts(found, made, which, plan.wanted(found, made, which) if wanted is None else wanted))


def source(start: Start) -> tuple[int, str]:
    return start.example.number, start.chunk.id if start.chunk else ""


def asked(found: Sequence[Start]) -> Counter[str]:
    """How often each request is made: its words, and its turn where they were asked before."""
    return Counter(json.dumps([one.steps[0].messages(one.given), one.given["turn"]]) for one in found)


@pytest.mark.parametrize("which", SETS)
@pytest.mark.parametrize("kind", KINDS)
def test_asking_for_more_adds_to_the_end_and_changes_nothing_before(kind: Kind, which: Set) -> None:
    found, made = entry(kind), recipe(kind)

    some, more = starts(found, made, which, 40), starts(found, made, which, 4000)

    assert more[: len(some)] == some
    assert which == "reworded" or len(more) > len(some) > 0


def test_asking_for_other_rewordings_leaves_the_numbers_of_the_first_as_they_are() -> None:
    found = entry("freeform")

    few, many = (starts(found, recipe("freeform", reworded=count), "reworded") for count in (4, 10))

    assert [(one.number, one.given) for one in many[: len(few)]] == [(one.number, one.given) for one in few]
    assert sum(one.given["wanted"] for one in many) == 10 * len(found.train)


@pytest.mark.parametrize("which", SETS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_request_has_as_many_numbers_as_it_can_lead_to_samples(kind: Kind, which: Set) -> None:
    made = recipe(kind)
    steps = made.rewordings if which == "reworded" else made.steps
    found = starts(entry(kind), made, which)

    most = 1
    for step in steps:
        most *= step.config.each if step.config.does == "list" else 1
    assert [one.number for one in found] == list(range(1, most * len(found) + 1, most))
    assert {one.steps for one in found} == {steps}


@pytest.mark.parametrize("samples", [1, 4, 8, 9, 30])
@pytest.mark.parametrize("kind", KINDS)
def test_every_source_is_asked_about_equally_often(kind: Kind, samples: int) -> None:
    found, made = entry(kind), recipe(kind, samples=samples)

    for wanted in (plan.wanted(found, made, "train"), 3 * plan.wanted(found, made, "train")):
        count = Counter(map(source, starts(found, made, "train", wanted)))
        sources = len(found.train) * (len(CHUNKS) if kind == "knowledge" else 1)
        full = wanted >= sources * made.listed()
        assert max(count.values()) - min(count.values()) <= 1
        assert len(count) == sources or not full


def test_requests_about_a_chunk_stand_together_with_every_seed_example() -> None:
    found = starts(entry("knowledge"), recipe("knowledge"))

    chunks = [one.chunk.id for one in found if one.chunk]
    assert chunks == sorted(chunks) and set(chunks) == {"c0", "c1", "c2"}
    assert all(one.given["document"] == one.chunk.text for one in found if one.chunk)
    assert sum(source(one) != source(other) for one, other in pairwise(found)) == 4 * 3 - 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_unseen_set_is_made_from_held_out_examples_alone(kind: Kind) -> None:
    found = entry(kind)

    unseen = starts(found, recipe(kind), "unseen")

    assert {one.example for one in unseen} == set(found.held)
    told = json.dumps([one.given for one in unseen])
    assert not any(pair.question in told for one in found.train for pair in one.pairs)
    others = json.dumps([one.given for which in ("train", "reworded") for one in starts(found, recipe(kind), which)])  # type: ignore[arg-type]
    assert not any(pair.question in others for one in found.held for pair in one.pairs)


def test_knowledge_that_is_held_out_is_asked_about_its_own_context() -> None:
    unseen = starts(entry("knowledge"), recipe("knowledge"), "unseen")

    assert {(one.given["document"], one.chunk and one.chunk.id) for one in unseen} == {
        (one.example.context, f"seed-{one.example.number}") for one in unseen
    }
    assert all("context" not in example for one in unseen for example in one.given["examples"])


@pytest.mark.parametrize("kind", KINDS)
def test_facets_are_spread_over_all_values_equally_and_over_all_pairs_of_them(kind: Kind) -> None:
    found, made = entry(kind), recipe(kind)
    facets = made.config.facets
    ways = 1
    for values in facets.values():
        ways *= len(values)
    every = starts(found, made, "train", ways * made.listed() * 12)
    of_one = [one.facet or {} for one in every if source(one) == source(every[0])]

    first = of_one[:ways]
    assert len({json.dumps(one) for one in first}) == ways
    for one, other in combinations(facets, 2):
        assert len({(facet[one], facet[other]) for facet in first}) == len(facets[one]) * len(facets[other])
    for name, values in facets.items():
        few = Counter(facet[name] for facet in first[: 4 * len(values)])
        assert len(few) == len(values) and max(few.values()) <= 8


def test_the_first_requests_of_a_small_run_differ_in_every_facet() -> None:
    found = [one.facet or {} for one in starts(entry("freeform"), recipe("freeform"))]

    assert found[0] == {
        "topic": "as in the examples",
        "difficulty": "as in the examples",
        "form": "a question",
        "persona": "anyone",
    }
    assert len({json.dumps(one) for one in found}) == len(found) == 20
    for name, values in recipe("freeform").config.facets.items():
        assert len({one[name] for one in found}) == len(values)


@pytest.mark.parametrize("kind", KINDS)
def test_no_request_is_made_twice_in_the_same_words_and_turn(kind: Kind) -> None:
    found = entry(kind)

    for changes in ({}, {"facets": {}}, {"facets": {"form": ["a list"]}}):
        assert set(asked(starts(found, recipe(kind, **changes), "train", 4000)).values()) == {1}
    assert set(asked(starts(found, recipe(kind, reworded=20), "reworded")).values()) == {1}


def test_a_request_shows_the_examples_that_follow_its_own() -> None:
    found = entry("grounded")

    shown = {one.example.number: one.given["examples"] for one in starts(found, recipe("grounded", examples=2))}

    numbers = [one.number for one in found.train]
    for at, number in enumerate(numbers):
        follow = numbers[(at + 1) % len(numbers)] - 1
        assert [one["question"] for one in shown[number]] == [f"Question {number - 1}.0?", f"Question {follow}.0?"]
        assert shown[number][0]["context"] == f"Context {number - 1}."


def test_a_test_that_is_switched_off_asks_nothing() -> None:
    text = {"seed_examples": [{"question": "Why?", "answer": "So."}, {"question": "Who?", "answer": "She."}]}
    found, made = leaf(json.dumps(text), "a/b", hold_out=False), recipe("freeform", unseen=0, reworded=0)

    assert [starts(found, made, which) for which in ("unseen", "reworded")] == [[], []]
    assert plan.wanted(found, made, "unseen") == plan.wanted(found, made, "reworded") == 0


def test_the_samples_that_are_wanted_are_those_of_each_source() -> None:
    found, made = entry("knowledge"), recipe("knowledge", samples=8, unseen=30, reworded=4)

    assert plan.wanted(found, made, "train") == 8 * 3 * 4
    assert (plan.wanted(found, made, "unseen"), plan.wanted(found, made, "reworded")) == (30 * 2, 4 * 3 * 4)


def test_a_hundred_thousand_requests_are_made_one_at_a_time() -> None:
    assert [one.number for one in islice(plan.starts(entry("freeform"), recipe("freeform"), "train", 10**12), 3)] == [1, 7, 13]
