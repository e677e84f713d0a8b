"""Which part of a draft a line of its qna.yaml came from: reviews and checks speak of lines, people of examples."""

from collections.abc import Iterator
from itertools import pairwise

import yaml

from bot.core.contribute import EXAMPLE
from bot.core.known import Spot

# Keys of the file by the pages of the forms (`bot.core.contribute`); what is a list is told part by part.
PAGES = {
    "task_description": "about",
    "document_outline": "about",
    "domain": "about",
    "created_by": "sources",
    "document": "document",
}
SEEDS = "seed_examples"


def spots(text: str) -> dict[int, Spot]:
    """The lines of a qna.yaml, from 1, with the page and, of an example, how manieth it is; none for a text that is no YAML."""
    lines = text.split("\n")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return {}
    if not isinstance(root, yaml.MappingNode):
        return {}
    return {number: Spot(page, part, lines[number - 1].strip()) for number, page, part in _places(root, len(lines))}


def _places(root: yaml.MappingNode, count: int) -> Iterator[tuple[int, str, int]]:
    """Each line that belongs to something, with what it belongs to."""
    starts = [*((key.start_mark.line, key.value, value) for key, value in root.value), (count, "", None)]
    for (first, name, value), (end, _, _) in pairwise(starts):
        if name == SEEDS and isinstance(value, yaml.SequenceNode):
            yield from _examples(value, end)
        elif name in PAGES:
            yield from ((line + 1, PAGES[name], 0) for line in range(first, end))


def _examples(seeds: yaml.SequenceNode, end: int) -> Iterator[tuple[int, str, int]]:
    starts = [*(one.start_mark.line for one in seeds.value), end]
    for number, (first, last) in enumerate(pairwise(starts), 1):
        yield from ((line + 1, EXAMPLE, number) for line in range(first, last))
