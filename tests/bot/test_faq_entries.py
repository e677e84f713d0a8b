"""The FAQ's entries are complete and our own: everything that the community's FAQ answers, in no sentence of its.

The files are read by an expression of this test's own, so that a mistake of the product's parser cannot hide one of theirs.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import HOME

FAQ = HOME / "configs" / "faq"
COMMUNITY = HOME.parent / "shared" / "data" / "faq" / "instructlab-faq.md"
IN_A_ROW = 8  # words; fewer are a name, a licence or a phrase of English
LEAST_ASKED = 5

_ENTRY = re.compile(
    r"## (?P<heading>[^\n]+)\n\n"
    r"(?:answers: (?P<answers>[^\n]+)\n)?"
    r"link: (?P<link>[^\n]+)\n"
    r"asked: (?P<asked>[^\n]+)\n\n"
    r"(?P<body>.+)",
    re.DOTALL,
)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
community_only = pytest.mark.skipif(not COMMUNITY.is_file(), reason="the community's FAQ lies in ../shared, which is not here")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it stands in a file; `answers` and `asked` are taken apart at their bars."""

    where: str
    heading: str
    answers: tuple[str, ...]
    link: str
    asked: tuple[str, ...]
    body: str

    @property
    def lead(self) -> str:
        return self.body.partition("\n\n")[0]


def read(path: Path) -> list[Entry]:
    """Every entry of a file; a text that is none fails here, with its first line."""
    found = []
    for text in re.split(r"^(?=## )", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
        if not text.strip():
            continue
        match = _ENTRY.fullmatch(text)
        assert match, f"{path.name}: no entry as entries are: {text.splitlines()[0]}"
        answers, asked = barred(match["answers"] or ""), barred(match["asked"])
        found.append(Entry(path.name, match["heading"], answers, match["link"], asked, match["body"].strip()))
    return found


def barred(line: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in line.split("|")) if line else ()


ENTRIES = [entry for path in sorted(FAQ.glob("*.md")) for entry in read(path)]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def rows(text: str) -> set[tuple[str, ...]]:
    """Every run of IN_A_ROW words, punctuation, case and line ends aside."""
    all_words = words(text)
    return {tuple(all_words[start : start + IN_A_ROW]) for start in range(len(all_words) - IN_A_ROW + 1)}


def community() -> set[str]:
    """What the community's FAQ answers: its headings below "General FAQ", and the terms of its glossary."""
    _, _, text = COMMUNITY.read_text(encoding="utf-8").partition("\n## General FAQ\n")
    general, _, rest = text.partition("\n## Glossary\n")
    table, _, _ = rest.partition("\n## ")
    terms = re.findall(r"^\| *([^|]+?) *\|", table, re.MULTILINE)[2:]  # without the table's head and its line
    return {*re.findall(r"^### (.+)$", general, re.MULTILINE), *(f"Glossary: {term}" for term in terms)}


def test_there_are_entries_and_their_headings_are_unique() -> None:
    counted = Counter(entry.heading.casefold() for entry in ENTRIES)

    assert len(ENTRIES) > 50
    assert [heading for heading, count in counted.items() if count > 1] == []


def test_every_entry_leads_to_a_public_page() -> None:
    link = re.compile(r"https://[\w.-]+\.\w+(/\S*)?")

    assert [entry.heading for entry in ENTRIES if not link.fullmatch(entry.link)] == []


def test_every_entry_is_asked_in_many_ways_none_of_them_empty_or_there_twice() -> None:
    wrong = []
    for entry in ENTRIES:
        once = {" ".join(words(asked)) for asked in entry.asked}
        if len(once) < max(LEAST_ASKED, len(entry.asked)) or "" in once:
            wrong.append(entry.heading)

    assert wrong == []


def test_no_way_to_ask_leads_to_two_entries() -> None:
    counted = Counter(" ".join(words(asked)) for entry in ENTRIES for asked in entry.asked)

    assert [asked for asked, count in counted.items() if count > 1] == []


def test_every_entry_begins_with_its_fact_in_two_sentences_at_most() -> None:
    long = [entry.heading for entry in ENTRIES if not 1 <= len(_SENTENCE_END.findall(entry.lead)) <= 2]

    assert long == []


@community_only
def test_whatever_the_community_answers_an_entry_answers_and_says_so_by_its_name() -> None:
    named = {name for entry in ENTRIES for name in entry.answers}

    assert len(community()) == 28 + 25
    assert named == community()


@community_only
def test_no_sentence_is_the_communitys() -> None:
    theirs = rows(COMMUNITY.read_text(encoding="utf-8"))
    copied = {
        f"{entry.heading}: {' '.join(row)}"
        for entry in ENTRIES
        for text in (entry.heading, entry.body, *entry.asked)
        for row in rows(text) & theirs
    }

    assert len(theirs) > 1000
    assert copied == set()
