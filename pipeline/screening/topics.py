"""Topics by lists: which of them a text seems to be about, by weighted terms.

A topic has terms for each language, in groups by weight. The weights of the different terms that stand within `span`
sentences in a row are added (span 0: in the whole text; a term counts once there); what belongs to a context that takes
weight away (a definition, history, fiction) is subtracted. Where that reaches the topic's threshold, it is found, in the
window that reaches most. A text is read in the languages whose commonest words it has; in all, where it has none.

That knows words and no meaning: it was made to be precise before it finds all, and a kind that stays imprecise says
`wording: question` in configs/screen.yaml, so that people read "a triager may ask" instead of a verdict.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline.errors import Problem
from pipeline.screening.places import Place, finding
from pipeline.screening.terms import Term, normal, sentences, undisguised

Wording = Literal["statement", "question"]
_ENOUGH = 0.5  # of the commonest language's words, for a text to be read in another one too
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class Topic:
    """`terms` and `less` by language; what is in `less` has the weight that it takes away."""

    kind: str
    wording: Wording
    threshold: float
    span: int = 2
    fields: tuple[str, ...] = ()
    terms: Mapping[str, tuple[Term, ...]] = field(default_factory=dict)
    less: Mapping[str, tuple[Term, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics, the weightiest first, and the words by which languages are known."""

    topics: tuple[Topic, ...] = ()
    languages: Mapping[str, frozenset[str]] = field(default_factory=dict)


def find(place: Place, topics: Topics) -> list[Problem]:
    """The topics of a text, in the order in which they are listed."""
    text = undisguised(normal(place.text))
    read = _languages(text, topics.languages)
    lines = sentences(text)
    problems = []
    for topic in topics.topics:
        if topic.fields and place.field.split()[0] not in topic.fields:
            continue
        terms = _present(topic.terms, read, text)
        if sum(one.weight for one in terms) >= topic.threshold and (words := _words(topic, terms, read, lines)):
            found = ", ".join(dict.fromkeys(words))
            problems.append(finding(topic.kind, place, found, f"{topic.kind}: {found:.80}", wording=topic.wording))
    return problems


def _languages(text: str, languages: Mapping[str, frozenset[str]]) -> list[str]:
    words = _WORD.findall(text)
    counts = {name: sum(word in common for word in words) for name, common in languages.items()}
    most = max(counts.values(), default=0)
    return [name for name, count in counts.items() if count >= most * _ENOUGH]


def _present(terms: Mapping[str, tuple[Term, ...]], languages: Sequence[str], text: str) -> list[Term]:
    return [one for name in languages for one in terms.get(name, ()) if one.within(text)]


def _words(topic: Topic, terms: list[Term], read: Sequence[str], lines: list[str]) -> list[str]:
    """What was found in the window with the highest sum, or nothing if that stays below the threshold."""
    best, words = 0.0, list[str]()
    span = topic.span or len(lines)
    for first in range(max(1, len(lines) - span + 1)):
        window = " ".join(lines[first : first + span])
        found = [(one.weight, piece) for one in terms if (piece := one.within(window))]
        total = sum(weight for weight, _ in found)
        if total > best and total >= topic.threshold:
            total -= sum(one.weight for one in _present(topic.less, read, window))
        if total > best:
            best, words = total, [piece for _, piece in sorted(found, reverse=True)]
    return words if best >= topic.threshold else []
