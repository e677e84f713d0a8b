"""A language is whole: it says everything that English does, with the same facts, and what it says fits where it is shown.

The limits are those of talk.py, whose asserts would stop the bot in the middle of a conversation.
"""

from collections.abc import Iterable, Iterator
from string import Formatter

import pytest

from bot.core.talk import DIALOG_TITLE, FIELD_HINT, FIELD_LABEL, LABEL, TITLE
from bot.core.words import FALLBACK, Table, pick
from tests.bot.core.conftest import TABLES

ENGLISH = TABLES[FALLBACK]
OTHERS = sorted(set(TABLES) - {FALLBACK})

# What placeholders hold at their longest where a text is cut to its limit by nobody else (`cards.name_of` and
# `drafting.begin` leave 60 characters of a description, `decide` 80 in the news of a run).
LONGEST = {"name": "n" * 80, "number": "99", "id": "i" * 12, "query": "q" * 60, "count": "999"}
CLIPPED = ("wish", "title", "repo", "question", "draft")  # `cards.clip` cuts what they are put into

PARTS = ("part.example", "part.work")
BUTTONS = ("button.", "option.", *PARTS, "new.", "page.", "draft.change", "reading.bar")
TITLES = ("privacy.sure", "privacy.export", "find.first", "brought.not", "admin.says", "submit.signed", "draft.discarded")
DIALOGS = ("page.", *PARTS, "signer.title", "button.save", "button.sign")


def told(found: Iterable[str]) -> str:
    """One a line, so that a failure names all of them."""
    return "\n".join(found)


def spoken(locale: str) -> Table:
    """What a locale says before it falls back to English: its own words, else its language's."""
    return {**TABLES.get(locale.partition("-")[0], {}), **TABLES[locale]}


def sentences(table: Table) -> Iterator[tuple[str, str]]:
    return ((name, text) for name, text in table.items() if isinstance(text, str))


def lists(table: Table) -> Iterator[tuple[str, tuple[str, ...]]]:
    return ((name, spellings) for name, spellings in table.items() if not isinstance(spellings, str))


def placeholders(text: str) -> set[tuple[str, str | None, str | None]]:
    return {(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(text) if name is not None}


def at_its_longest(text: str) -> int:
    facts = {name: "" if name in CLIPPED else LONGEST.get(name, "x" * 20) for name, _, _ in placeholders(text)}
    return len(text.format(**facts))


def called(name: str, beginnings: tuple[str, ...]) -> bool:
    """Whether a name is one of these, or begins like one that ends in a dot; a form's own counts as the common one."""
    bare = name.partition(".")[2] if name.partition(".")[0] in ("skill", "grounded", "knowledge") else name
    return any(bare == one or (one.endswith(".") and bare.startswith(one)) for one in beginnings)


def outside(locale: str, limit: int, *beginnings: str) -> list[str]:
    """The texts of these names that are empty or too long, with their length."""
    lengths = {name: at_its_longest(text) for name, text in sentences(TABLES[locale]) if called(name, beginnings)}
    return [f"{name}: {length} of {limit}" for name, length in lengths.items() if not 0 < length <= limit]


@pytest.mark.parametrize("locale", OTHERS)
def test_no_name_is_missing(locale: str) -> None:
    assert told(name for name in ENGLISH if name not in spoken(locale)) == ""


@pytest.mark.parametrize("locale", OTHERS)
def test_no_name_is_unknown_to_english(locale: str) -> None:
    assert told(name for name in TABLES[locale] if name not in ENGLISH) == ""


@pytest.mark.parametrize("locale", OTHERS)
def test_sentences_stay_sentences_and_lists_stay_lists(locale: str) -> None:
    both = [name for name in TABLES[locale] if name in ENGLISH]

    assert told(name for name in both if isinstance(TABLES[locale][name], str) != isinstance(ENGLISH[name], str)) == ""


@pytest.mark.parametrize("locale", OTHERS)
def test_a_sentence_has_the_placeholders_of_the_english_one(locale: str) -> None:
    pairs = {name: (text, ENGLISH[name]) for name, text in sentences(TABLES[locale]) if isinstance(ENGLISH.get(name), str)}
    differ = (name for name, (text, english) in pairs.items() if placeholders(text) != placeholders(str(english)))

    assert told(f"{name}: {pairs[name][0]}" for name in differ) == ""


@pytest.mark.parametrize("locale", OTHERS)
def test_every_sentence_says_its_facts(locale: str) -> None:
    words = pick(TABLES, locale)
    silent = []
    for name, text in sentences(TABLES[locale]):
        facts = {one: f"<{one}>" for one, _, _ in placeholders(text)}
        said = words(name, **facts)
        silent += [f"{name}: {fact}" for fact in facts.values() if fact not in said]

    assert told(silent) == ""


@pytest.mark.parametrize("locale", OTHERS)
def test_no_sentence_is_empty_where_the_english_one_is_not(locale: str) -> None:
    assert told(name for name, text in sentences(TABLES[locale]) if not text and ENGLISH.get(name)) == ""


# --- what is understood when typed


@pytest.mark.parametrize("locale", sorted(TABLES))
def test_spellings_are_as_what_is_typed_is_compared(locale: str) -> None:
    """Without capitals and without "ß", which `str.casefold` makes "ss"; nothing empty, no white space around."""
    odd = [f"{name}: {one!r}" for name, found in lists(TABLES[locale]) for one in found if one != one.casefold().strip()]
    empty = [name for name, found in lists(TABLES[locale]) if not found or "" in found]

    assert told(odd + empty) == ""


@pytest.mark.parametrize("locale", sorted(TABLES))
@pytest.mark.parametrize("family", ["label.context label.question label.answer", "option.own.typed option.other.typed"])
def test_no_spelling_means_two_things(locale: str, family: str) -> None:
    words = pick(TABLES, locale)
    meant = [one for name in family.split() for one in words.spellings(name)]

    assert told(sorted({one for one in meant if meant.count(one) > 1})) == ""


@pytest.mark.parametrize("locale", sorted(TABLES))
def test_a_wish_is_of_one_kind(locale: str) -> None:
    words = pick(TABLES, locale)

    assert told(sorted({*words.spellings("intent.skill")} & {*words.spellings("intent.knowledge")})) == ""


# --- what has little room


@pytest.mark.parametrize("locale", sorted(TABLES))
def test_a_button_fits(locale: str) -> None:
    assert told(outside(locale, LABEL, *BUTTONS)) == ""


@pytest.mark.parametrize("locale", sorted(TABLES))
def test_the_title_of_a_card_fits(locale: str) -> None:
    titles = [name for name, _ in sentences(TABLES[locale]) if name.endswith(".title") or name.endswith(".end")]

    assert told(outside(locale, TITLE, *titles, *TITLES)) == ""


@pytest.mark.parametrize("locale", sorted(TABLES))
def test_the_title_and_the_button_of_a_dialog_fit(locale: str) -> None:
    assert told(outside(locale, DIALOG_TITLE, *DIALOGS)) == ""


@pytest.mark.parametrize("locale", sorted(TABLES))
def test_a_field_and_its_hint_fit(locale: str) -> None:
    assert told(outside(locale, FIELD_LABEL, "field.") + outside(locale, FIELD_HINT, "hint.")) == ""
