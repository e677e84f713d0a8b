"""What only a whole entry shows: knowledge handed in as a skill and the reverse, a dialogue cut into examples, answers that
are too short, texts that questions speak of and nobody gave, and questions that ask the same.

The openings and turns of phrase are terms of configs/screen.yaml. A share is that of the entry's examples; the reasons are
upstream's (taxonomy, docs/triaging: what triagers answer).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from pipeline.errors import Problem
from pipeline.screening.alike import Alike, likeness
from pipeline.screening.places import Place, finding, places
from pipeline.screening.terms import Term, normal, undisguised
from pipeline.screening.topics import Wording
from pipeline.taxonomy import Entry, Knowledge, SeedExample, Skill

FEW = 3  # examples; fewer tell nothing about the kind of an entry
MATERIAL = 12  # words behind a colon or a line break that are a text to work on
QUOTED = re.compile(r"[\"“„«'‘`]\s*\S[^\"”“»`]{10,}")
LONG_QUESTION = 45  # words: what is asked about stands in it
MOST_PAIRS = 400  # questions of one entry that are compared with each other
CONTEXT = 300  # characters of a context that tell its question from the same one elsewhere


@dataclass(frozen=True, slots=True)
class Whole:
    """`words` are lists of terms by name: facts, topical, tasks, turns, continued, refers. `wordings` by kind."""

    words: Mapping[str, tuple[Term, ...]] = field(default_factory=dict)
    wordings: Mapping[str, Wording] = field(default_factory=dict)
    share: float = 0.8
    turns: int = 2
    short_words: int = 4
    short_share: float = 0.6
    duplicate: float = 0.8
    near: float = 0.8


def find(entry: Entry, rules: Whole, alike: Alike | None = None) -> list[Problem]:
    """Every finding of a whole entry, in the order of the module's first sentence; then those against the taxonomy."""
    found = [*_kind(entry, rules), *_duplicates(entry, rules), *(_near(entry, rules, alike) if alike else ())]
    if isinstance(entry, Skill):
        found = [*found[:1], *_dialogue(entry, rules), *_short(entry, rules), *_missing(entry, rules), *found[1:]]
    return found


def asked(one: SeedExample) -> str:
    """A question as it is compared: with the beginning of its context, without which grounded ones are all the same."""
    return f"{one.question}\n{one.context[:CONTEXT]}" if one.context else one.question


def _tell(kind: str, rules: Whole, place: Place, found: str, message: str, **facts: str) -> Problem:
    return finding(kind, place, found, message, wording=rules.wordings.get(kind, "question"), **facts)


def _said(rules: Whole, name: str, text: str) -> str:
    """The first piece of a text that a list has a term for."""
    plain = undisguised(normal(text))
    return next((piece for one in rules.words.get(name, ()) if (piece := one.within(plain))), "")


# --- the kind of entry


def _kind(entry: Entry, rules: Whole) -> Iterator[Problem]:
    place = Place("description", "", "description", entry.description)
    pairs = _pairs(entry)
    if isinstance(entry, Knowledge):
        tasks = sum(bool(_said(rules, "tasks", one.question)) for one in pairs)
        if len(pairs) >= FEW and tasks >= rules.share * len(pairs):
            yield _tell("skill-as-knowledge", rules, place, "", f"{tasks} of {len(pairs)} questions ask for work on a text")
    elif len(pairs) >= FEW and not any(one.context for one in pairs):
        facts = sum(_factual(one, rules) for one in pairs)
        topical = bool(_said(rules, "topical", entry.description))
        if facts >= (rules.share - 0.2 * topical) * len(pairs):
            yield _tell("knowledge-as-skill", rules, place, "", f"{facts} of {len(pairs)} questions ask for facts")


def _factual(one: SeedExample, rules: Whole) -> bool:
    """A question that asks for a fact of the world, and brings nothing of its own to work on."""
    bare = len(one.question.split()) <= LONG_QUESTION / 2 and not _material(one.question)
    return bare and bool(_said(rules, "facts", one.question)) and not _said(rules, "tasks", one.question)


def _pairs(entry: Entry) -> list[SeedExample]:
    return [pair for one in entry.passages for pair in one.pairs] if isinstance(entry, Knowledge) else list(entry.examples)


# --- the examples


def _dialogue(entry: Skill, rules: Whole) -> Iterator[Problem]:
    """Examples that only make sense after the one before: at least `turns` of them, the first cannot be one."""
    later = entry.examples[1:]
    signs = [_said(rules, "turns", one.question) or _said(rules, "continued", one.answer) for one in later]
    if sum(map(bool, signs)) >= rules.turns:
        number, sign = next((number, sign) for number, sign in enumerate(signs, 2) if sign)
        place = Place(f"example {number}", str(number), "question", "")
        yield _tell("dialogue", rules, place, sign, f"{sum(map(bool, signs))} examples continue the ones before")


def _short(entry: Skill, rules: Whole) -> Iterator[Problem]:
    """Answers of a few words, unless they are labels, or taken from what was given."""
    short = [(number, one) for number, one in enumerate(entry.examples, 1) if 0 < len(one.answer.split()) <= rules.short_words]
    labels = {normal(one.answer).strip(" .!") for _, one in short}
    if (
        len(entry.examples) < FEW
        or not short
        or len(short) < rules.short_share * len(entry.examples)
        or len(labels) < len(short)
    ):
        return
    if sum(_extracted(one) for _, one in short) * 2 >= len(short):
        return
    number, first = short[0]
    place = Place(f"example {number}, answer", str(number), "answer", first.answer)
    count = str(len(short))
    yield _tell(
        "short-answers", rules, place, first.answer, f"{count} answers have {rules.short_words} words or fewer", count=count
    )


def _extracted(one: SeedExample) -> bool:
    """An answer whose words all stand in what was asked or given."""
    given = set(re.findall(r"\w+", normal(f"{one.question} {one.context}")))
    said = re.findall(r"\w+", normal(one.answer))
    return bool(said) and all(word in given for word in said)


def _missing(entry: Skill, rules: Whole) -> Iterator[Problem]:
    """A question about a text, a table, an attachment, where none is given."""
    for number, one in enumerate(entry.examples, 1):
        if one.context.strip() or _material(one.question):
            continue
        if sign := _said(rules, "refers", one.question):
            place = Place(f"example {number}, question", str(number), "question", one.question)
            yield _tell("context-missing", rules, place, sign, f"{sign!r}, and there is no such text")


def _material(question: str) -> bool:
    """Whether a question brings what it is about: behind a colon or line break, in quotes, or by its length."""
    if len(question.split()) > LONG_QUESTION or QUOTED.search(question) or "|" in question:
        return True
    behind = re.split(r":\s|\n", question.strip(), maxsplit=1)
    return len(behind) > 1 and (
        len(behind[1].split()) >= MATERIAL or (len(behind[0].split()) > 2 and len(behind[1].split()) > 2)
    )


# --- the same question again


def _duplicates(entry: Entry, rules: Whole) -> Iterator[Problem]:
    """Each question that asks what an earlier one did, once."""
    many = _questions(entry)[:MOST_PAIRS]
    told = set[int]()
    for (_, first), (at, second) in combinations(enumerate(many), 2):
        if at not in told and (score := likeness(first[1], second[1])) >= rules.duplicate:
            told.add(at)
            text, facts = (
                f"{second[0].where} asks the same as {first[0].where}",
                {"other": first[0].where, "score": f"{score:.2f}"},
            )
            yield _tell("duplicates", rules, second[0], second[0].text, text, **facts)


def _near(entry: Entry, rules: Whole, alike: Alike) -> Iterator[Problem]:
    """The questions that the taxonomy has, in another leaf than the entry's own."""
    for place, text in _questions(entry):
        others = [hit for hit in alike.near(text) if hit[0].partition("#")[0] != entry.leaf and hit[1] >= rules.near]
        if others:
            leaf, _, at = others[0][0].partition("#")
            facts = {"other": leaf, "at": at, "score": f"{others[0][1]:.2f}"}
            yield _tell("known", rules, place, place.text, f"{leaf} asks the same", **facts)


def _questions(entry: Entry) -> list[tuple[Place, str]]:
    """The questions of an entry with their places, as they are compared."""
    seen = [one for one in places(entry) if one.field.startswith("question")]
    return [(place, asked(pair)) for place, pair in zip(seen, _pairs(entry), strict=True) if pair.question.strip()]
