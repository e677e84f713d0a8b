"""Which requests begin samples, in an order that never changes: asking for more only adds to its end.

A source is what one request is about: a seed example, or a chunk of a document beside a seed example. A round asks every
source once or a few times; requests about one chunk stand together, so that the server has read it when the next comes.
Each request has a number, and each sample that it can lead to one of its own, whether the teacher makes it or not: so a
sample is called the same however often, and in whatever order, things were made.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.generating.chunks import Chunk
from pipeline.generating.leaf import Example, Leaf
from pipeline.generating.recipes import Recipe, Step
from pipeline.generating.rows import Set

GOLDEN = 0.618  # of all ways to put facets' values together a request goes on by about that share: any few lie far apart
APART = 7  # requests by which the facets of a source are ahead of those of the source before


@dataclass(frozen=True)
class Start:
    """A request that begins samples: they are numbered from `number`."""

    leaf: Leaf
    set: Set
    example: Example
    number: int
    given: dict[str, Any]
    steps: tuple[Step, ...]
    chunk: Chunk | None = None
    facet: dict[str, str] | None = None


def starts(leaf: Leaf, recipe: Recipe, which: Set, wanted: int) -> Iterator[Start]:
    """The requests of a set; at least `wanted` samples are asked for of all sources together, and never half a request."""
    if which == "reworded":
        yield from _rewordings(leaf, recipe)
        return
    sources = _sources(leaf, which)
    each, run = recipe.listed(), together(leaf, recipe, which)
    for at in range(math.ceil(wanted / each) if sources else 0):
        # first so many of each source, while its chunk is read; then, for more samples, one of each at a time
        source, turn = divmod(at, run) if at < run * len(sources) else divmod(at, len(sources))[::-1]
        example, chunk = sources[source]
        facet, again = _facet(recipe.config.facets, turn, source)
        given = _given(leaf, recipe, example, chunk, facet)
        yield Start(leaf, which, example, at * each + 1, given | {"turn": again}, recipe.steps, chunk, facet)


def together(leaf: Leaf, recipe: Recipe, which: Set) -> int:
    """How many requests about a source follow each other: samples' numbers depend on it."""
    asked = recipe.config.unseen if which == "unseen" else recipe.config.samples
    return max(1, asked // recipe.listed()) if leaf.kind == "knowledge" else 1


def wanted(leaf: Leaf, recipe: Recipe, which: Set) -> int:
    """How many samples the recipe asks for."""
    count = {"train": recipe.config.samples, "unseen": recipe.config.unseen, "reworded": recipe.config.reworded}[which]
    if which == "reworded":
        return count * sum(len(one.pairs) for one in leaf.train)
    return count * len(_sources(leaf, which))


def _sources(leaf: Leaf, which: Set) -> list[tuple[Example, Chunk | None]]:
    if which == "unseen":
        about = leaf.kind == "knowledge"
        return [(one, Chunk(f"seed-{one.number}", "", "", one.context) if about else None) for one in leaf.held]
    if leaf.kind == "knowledge":
        return [(one, chunk) for chunk in leaf.chunks for one in leaf.train]
    return [(one, None) for one in leaf.train]


def _facet(facets: Mapping[str, Sequence[str]], turn: int, source: int) -> tuple[dict[str, str], int]:
    """One value of each facet for a source's request number `turn`, and how often it has had the same ones before.

    All ways to put values together come before any comes again, and of each facet every value equally often.
    """
    ways = math.prod(len(values) for values in facets.values() if values)
    stride = next(one for one in range(int(GOLDEN * ways), 2 * ways + 1) if math.gcd(one, ways) == 1)
    left, found = (turn + source * APART) * stride % ways, {}
    for name, values in facets.items():
        if values:
            left, at = divmod(left, len(values))
            found[name] = values[at]
    return found, turn // ways


def _given(leaf: Leaf, recipe: Recipe, example: Example, chunk: Chunk | None, facet: dict[str, str]) -> dict[str, Any]:
    pool = leaf.held if example in leaf.held else leaf.train
    at = pool.index(example)
    shown = [*pool[at:], *pool[:at]][: recipe.config.examples]
    context = leaf.kind == "grounded" or (leaf.kind == "knowledge" and chunk is not None and not chunk.id.startswith("seed-"))
    examples = [told for one in shown for told in one.told(context=context)]
    return {
        "task": leaf.task,
        "examples": examples,
        "facet": facet,
        "wanted": recipe.steps[0].config.each,
        "document": chunk.text if chunk else "",
    }


def _rewordings(leaf: Leaf, recipe: Recipe) -> Iterator[Start]:
    each = recipe.config.reworded
    if not (recipe.rewordings and each):
        return
    pairs = [(one, pair) for one in leaf.train for pair in one.pairs]
    most = math.prod(step.config.each for step in recipe.rewordings if step.config.does == "list")
    for at in range(math.ceil(each / most) * len(pairs)):
        turn, (one, pair) = at // len(pairs), pairs[at % len(pairs)]
        context = one.context if leaf.kind == "grounded" else ""
        told = {"task": leaf.task, "context": context, "question": pair.question, "answer": pair.answer}
        given = {**told, "wanted": min(most, each - turn * most), "turn": turn}
        yield Start(leaf, "reworded", one, at * most + 1, given, recipe.rewordings)
