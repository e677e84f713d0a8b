"""The scripted teacher does what its script says: whoever tests the dataflow with it must be able to rely on that."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import pytest

from pipeline.errors import Failed, Temporary
from pipeline.generating import plan, recipes
from pipeline.generating.chunks import Chunk
from pipeline.generating.items import Items
from pipeline.generating.leaf import Leaf, leaf
from pipeline.generating.plan import Start
from pipeline.generating.recipes import Recipe, Step
from pipeline.generating.rows import Kind, Set
from pipeline.models import schemas
from pipeline.models.client import Client, Endpoint
from tests.conftest import HOME
from tests.fakes import teacher as fake
from tests.fakes.teacher import Teacher

FATES = (  # all that a question can have
    *("off", "unfaithful", "unverifiable", "same", "near", "seed", "unseen", "blank"),
    *(f"{name}{end}" for name in (*fake.LASTING, *fake.PASSING) for end in ("", "_judge")),
)
COPIED = ("same", "near", "seed", "unseen")
KINDS: tuple[Kind, ...] = ("freeform", "grounded", "knowledge")
SETS: tuple[Set, ...] = ("train", "unseen", "reworded")
SEEDS = "lamp tower light harbour anchor".split()
ENTRIES: Mapping[Kind, Mapping[str, Any]] = {
    "freeform": {},
    "grounded": {"context": "The house stands by the sea."},
    "knowledge": {"context": "The house stands by the sea."},
}


def entry(kind: Kind) -> Leaf:
    """A leaf with five seed examples, each of its own words."""
    examples = []
    for word in SEEDS:
        pair = {"question": f"What did the keeper say about the old {word}?", "answer": f"That the {word} is fine."}
        about = {name: f"{text} It has a {word}." for name, text in ENTRIES[kind].items()}
        examples.append({**about, **({"questions_and_answers": [pair]} if kind == "knowledge" else pair)})
    return leaf(json.dumps({"task_description": "Tell of the house.", "seed_examples": examples}), "knowledge/house")


class Asker:
    """Takes the starts of a set through all their steps, each request with up to two tries, and notes what became of it."""

    def __init__(self, client: Client, recipe: Recipe) -> None:
        self.client, self.recipe = client, recipe
        self.kept: list[str] = []
        self.dropped: Counter[tuple[str, str]] = Counter()

    async def take(self, starts: Sequence[Start], steps: int | None = None) -> None:
        await asyncio.gather(*(self._step(start.given, start.steps[:steps]) for start in starts))

    async def _step(self, given: Mapping[str, Any], steps: Sequence[Step]) -> None:
        question = str(given.get("reworded") or given.get("question") or "")
        if not steps:
            self.kept.append(question)
            return
        step, *rest = steps
        found, why = await self._asked(step, given)
        if why:
            self.dropped[step.name, why] += step.config.does != "list"
        elif step.config.does == "judge":
            if found["score"] >= step.config.keep:
                await self._step(given, rest)
            else:
                self.dropped[step.name, "score"] += 1
        elif step.config.does == "text":
            await self._text(given, step, rest, found["answer"].strip())
        else:
            await asyncio.gather(*(self._entry(given, step, rest, one) for one in found[step.config.of]))

    async def _text(self, given: Mapping[str, Any], step: Step, rest: Sequence[Step], answer: str) -> None:
        if answer:
            await self._step({**given, "answer": answer}, rest)
        else:
            self.dropped[step.name, "empty"] += 1

    async def _entry(self, given: Mapping[str, Any], step: Step, rest: Sequence[Step], one: Any) -> None:
        if step.config.of == "contexts":
            return await self._step({**given, "context": one, "wanted": rest[0].config.each}, rest)
        fields = one if step.config.of == "pairs" else {"reworded" if step.name == "rewordings" else "question": one}
        if any(not value.strip() for value in fields.values()):
            self.dropped["pairs" if fields.get("question", "").strip() else "", "empty"] += 1
            return None
        return await self._step({**given, **fields}, rest)

    async def _asked(self, step: Step, given: Mapping[str, Any]) -> tuple[Any, str]:
        for _ in range(2):
            finish, text = "", ""
            try:
                async for piece in self.client.stream(step.messages(given), options=step.options, schema=step.schema):
                    text, finish = text + piece.text, piece.finish or finish
                return schemas.instance(text, step.schema), ""
            except ValueError:
                why = "cut" if finish == "length" else "malformed"
            except (Temporary, Failed):
                why = "failed"
        return None, why


def client(teacher: Teacher) -> Client:
    return Client(Endpoint(teacher.url, concurrency=32, tries=1, pause_s=0.0))


async def taken(
    teacher: Teacher, kind: Kind, sets: Sequence[Set] = SETS, *, samples: int = 12, steps: int | None = None
) -> Asker:
    """`steps`: no more than so many of each set's."""
    recipe, found = recipes.load(HOME, kind, {"samples": samples, "unseen": 12}), with_chunk(entry(kind))
    door = client(teacher)
    asker = Asker(door, recipe)
    try:
        for which in sets:
            await asker.take(list(plan.starts(found, recipe, which, plan.wanted(found, recipe, which))), steps)
    finally:
        await door.close()
    return asker


def with_chunk(found: Leaf) -> Leaf:
    return (
        replace(found, chunks=(Chunk("c1", "a.md", "", "A long document about the house."),))
        if found.kind == "knowledge"
        else found
    )


def held(kind: Kind) -> dict[str, str]:
    return {one.pairs[0].question: one.context for one in entry(kind).held}


def likeness(one: str, other: str) -> float:
    """The Jaccard index of word pairs."""
    ours, theirs = (set(pairwise(text.strip("?").split())) for text in (one, other))
    return len(ours & theirs) / max(1, len(ours | theirs))


# --- tests


@pytest.mark.parametrize("kind", KINDS)
async def test_without_a_script_every_sample_is_good_and_none_is_near_another(kind: Kind) -> None:
    async with Teacher() as teacher:
        asker = await taken(teacher, kind, ("train",))

    expected = teacher.expected()
    assert set(asker.kept) == expected
    assert len(asker.kept) == len(expected) == len(teacher.given) >= 48
    assert not asker.dropped and not teacher.dropped()
    assert max(likeness(one, other) for one, other in combinations(expected, 2)) < 0.5


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_expected_is_what_whoever_obeys_the_judges_keeps(kind: Kind) -> None:
    async with Teacher(dict.fromkeys(FATES, 0.9 / len(FATES)), held=held(kind), slow_s=0.001) as teacher:
        asker = await taken(teacher, kind, samples=24)

    copies = {one.question for one in teacher.given if one.why in COPIED}
    expected = set().union(*map(teacher.expected, SETS))
    dropped = sum(map(teacher.dropped, SETS), Counter())
    assert set(asker.kept) == expected | copies
    assert asker.dropped == {at: count for at, count in dropped.items() if at[1] not in COPIED}
    assert len({one.fate for one in teacher.given}) > 0.75 * len(FATES)
    assert all(map(teacher.expected, SETS))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_copy_is_near_what_it_is_a_copy_of(kind: Kind) -> None:
    shares = dict.fromkeys(("same", "near", "seed", "unseen"), 0.15)
    async with Teacher(shares, held=held(kind)) as teacher:
        await taken(teacher, kind, ("train", "unseen"), steps=2 if kind == "grounded" else 1)

    found = entry(kind)
    sources = {
        "same": [one.question for one in teacher.given if one.fate == "good"],
        "near": [one.question for one in teacher.given if one.fate == "good"],
        "seed": [one.pairs[0].question for one in found.examples],
        "unseen": [one.pairs[0].question for one in found.held],
    }
    copies = [one for one in teacher.given if one.fate in sources]
    nearest = [(one.fate, max(likeness(one.question, text) for text in sources[one.fate])) for one in copies]
    assert {fate for fate, _ in nearest} == set(sources)
    assert all(index == 1 if fate == "same" else 0.7 <= index < 1 for fate, index in nearest)
    assert not [one for one in teacher.given if one.fate == "unseen" and one.set == "unseen"]


async def test_two_teachers_with_the_same_script_say_the_same() -> None:
    told = []
    for _ in range(2):
        async with Teacher({"off": 0.2, "near": 0.2}) as teacher:
            await taken(teacher, "freeform", ("train",), steps=1)
            told.append(set(teacher.given))

    assert told[0] == told[1]


@pytest.mark.parametrize("trouble", fake.PASSING)
async def test_a_list_that_goes_wrong_once_is_whole_at_the_second_try(trouble: str) -> None:
    async with Teacher(lists={trouble: 1.0}, slow_s=0.001) as teacher:
        asker = await taken(teacher, "freeform", ("train",), steps=1)

    assert teacher.steps["questions"] == (8 if trouble == "slow" else 16)
    assert set(asker.kept) == teacher.expected() and len(asker.kept) == 48


@pytest.mark.parametrize("trouble", fake.LASTING)
async def test_a_list_that_always_goes_wrong_gives_out_what_was_whole_in_it(trouble: str) -> None:
    async with Teacher(lists={trouble: 1.0}) as teacher:
        asker = await taken(teacher, "freeform", ("train",), steps=1)

    assert not asker.kept
    assert len(teacher.expected()) == (24 if trouble == "cut" else 0)


async def test_a_list_that_is_cut_holds_half_its_entries_whole() -> None:
    async with Teacher(lists={"cut": 1.0}) as teacher:
        door, step = client(teacher), recipes.load(HOME, "freeform").steps[0]
        text = await door.chat(step.messages({"task": "Tell.", "wanted": 6}), schema=step.schema, options=step.options)
        await door.close()

    items = Items("questions", step.item)
    assert set(items.feed(text)) == teacher.expected()
    assert (items.count, items.closed, items.end()) == (3, False, "the list has no end")


async def test_beyond_its_limit_it_turns_requests_away_and_knows_how_many_it_had_at_once() -> None:
    async with Teacher(limit=2) as teacher:
        teacher.gate.clear()
        door, step = client(teacher), recipes.load(HOME, "freeform").steps[2]
        asks = [asyncio.create_task(door.chat(step.messages({"question": word}), schema=step.schema)) for word in SEEDS]
        async with asyncio.timeout(30):
            while teacher.turned < 3:
                await asyncio.sleep(0.001)
        teacher.gate.set()
        said = await asyncio.gather(*asks, return_exceptions=True)
        await door.close()

    assert [type(one) for one in said if not isinstance(one, str)] == [Temporary] * 3
    assert (teacher.peak, teacher.flight, teacher.steps) == (2, 0, {"answers": 2})


async def test_it_lists_its_models_and_counts_words_as_tokens() -> None:
    async with Teacher(context=4096) as teacher:
        door = client(teacher)
        listed = [(one.id, one.context) for one in await door.models()]
        count = await door.count([{"role": "user", "content": "three words here"}])
        await door.close()

    assert (listed, count) == ([("teacher", 4096), ("judge", 4096)], 4)
