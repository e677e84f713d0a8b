"""What triage would ask about: advice with reasons, as values. It blocks nothing; upstream's rules do that elsewhere.

Word limits are those of upstream's documentation (taxonomy repository, skills and knowledge guides), which no check
enforces; sources are upstream's lists (`configs/sources.yaml`); what a text should not hold is `configs/screen.yaml`, and
`pipeline.screening` looks for it. This module is the door of that package.
"""

from collections.abc import Iterator

from pipeline.errors import Problem
from pipeline.screening import names, personal, tokens, topics, whole
from pipeline.screening.alike import Alike
from pipeline.screening.places import Place, places
from pipeline.screening.rules import Screen, read
from pipeline.screening.tree import of_tree
from pipeline.sources import Source, find, permalink
from pipeline.taxonomy import MIN_PAIRS, Entry, Knowledge, Passage, Skill, Work

CONTEXT_WORDS = 500  # of one context of knowledge
PAIRS_WORDS = 250  # of the three pairs that go with it
SKILL_WORDS = 2300  # of everything in a skill

__all__ = ["Alike", "Screen", "advice", "of_tree", "read"]


def advice(
    entry: Entry, sources: tuple[Source, ...] = (), screen: Screen | None = None, alike: Alike | None = None
) -> tuple[Problem, ...]:
    """Everything that a triager might ask about an entry, the weightiest first: secrets and personal data, topics in the
    order of their list, the entry as a whole, the same questions elsewhere, limits, sources. One finding a kind and place.
    """
    limits = _knowledge(entry) if isinstance(entry, Knowledge) else _skill(entry)
    found = _screened(entry, screen, alike) if screen else ()
    return (*found, *limits, *_sources(entry, sources))


def _screened(entry: Entry, screen: Screen, alike: Alike | None) -> Iterator[Problem]:
    seen = list(places(entry))
    yield from (one for place in seen for one in _private(place, screen))
    order = {topic.kind: number for number, topic in enumerate(screen.topics.topics)}
    about = [one for place in seen for one in topics.find(place, screen.topics)]
    yield from sorted(about, key=lambda one: order[one.facts["topic"]])
    yield from whole.find(entry, screen.whole, alike)


def _private(place: Place, screen: Screen) -> Iterator[Problem]:
    yield from tokens.find(place, screen.secrets)
    yield from personal.find(place, screen.personal)
    if screen.personal.names:
        yield from names.find(place)


def _skill(entry: Skill) -> Iterator[Problem]:
    texts = [text for one in entry.examples for text in (one.context, one.question, one.answer)]
    if (words := _words(entry.description, *texts)) > SKILL_WORDS:
        yield _long("limit.skill", words, SKILL_WORDS)


def _knowledge(entry: Knowledge) -> Iterator[Problem]:
    for number, passage in enumerate(entry.passages, 1):
        yield from _passage(number, passage)


def _passage(number: int, passage: Passage) -> Iterator[Problem]:
    if (words := _words(passage.context)) > CONTEXT_WORDS:
        yield _long("limit.context", words, CONTEXT_WORDS, number)
    if (words := _words(*(text for pair in passage.pairs for text in (pair.question, pair.answer)))) > PAIRS_WORDS:
        yield _long("limit.pairs", words, PAIRS_WORDS, number)
    if len(passage.pairs) > MIN_PAIRS:
        facts = {"number": str(number), "count": str(len(passage.pairs)), "read": str(MIN_PAIRS)}
        yield Problem("limit.unread", f"of {len(passage.pairs)} pairs {MIN_PAIRS} are read", f"context {number}", facts=facts)


def _long(code: str, words: int, limit: int, number: int = 0) -> Problem:
    facts = {"words": str(words), "limit": str(limit), "number": str(number)}
    return Problem(code, f"{words} words, {limit} are documented", f"context {number}" if number else "", facts=facts)


def _words(*texts: str) -> int:
    return sum(len(text.split()) for text in texts)


def _sources(entry: Entry, sources: tuple[Source, ...]) -> Iterator[Problem]:
    for number, work in enumerate(entry.works, 1):
        if work.link not in ("", "-") and not (isinstance(entry, Knowledge) and work.link == entry.document.repo):
            yield from _source(number, work, sources, isinstance(entry, Knowledge))


def _source(number: int, work: Work, sources: tuple[Source, ...], knowledge: bool) -> Iterator[Problem]:
    """Whether upstream knows the source, what licence its text has, and whether the revision stays what it is."""
    source = find(work.link, sources)
    facts = {"number": str(number), "link": work.link, "title": work.title}
    if source is None and knowledge:
        yield Problem("source.unlisted", "not on upstream's lists of sources", work.link, facts=facts)
    elif source and knowledge and source.list == "verify":
        yield Problem("source.verify", f"{source.name} is verified by hand", work.link, facts=facts | {"name": source.name})
    if source and source.licence and work.licence and work.licence != source.licence:
        named = facts | {"name": source.name, "licence": source.licence, "said": work.licence}
        yield Problem("source.licence", f"{source.name} has {source.licence}", work.link, facts=named)
    if knowledge and work.revision and not permalink(work.revision):
        yield Problem("source.revision", "no link to a fixed revision", work.revision, facts=facts | {"link": work.revision})
