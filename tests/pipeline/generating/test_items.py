"""A list is read while it is written: entries come whole and once, in whatever pieces, and none from behind a mistake."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.generating.items import Items

TEXT: Mapping[str, Any] = {"type": "string", "minLength": 1, "maxLength": 12_000}
PAIR: Mapping[str, Any] = {
    "type": "object",
    "properties": {"question": TEXT, "answer": TEXT},
    "required": ["question", "answer"],
}
BLANKS = st.text(" \t\r\n", max_size=3)
texts = st.lists(st.text(min_size=1, max_size=40) | st.text('"\\{}[],:` \n\ud800', min_size=1, max_size=12), max_size=6)
pairs = st.lists(st.fixed_dictionaries({"question": st.text(min_size=1), "answer": st.text('"\\]}', min_size=1)}), max_size=4)


def read(answer: str, sizes: Sequence[int] = (), schema: Mapping[str, Any] = TEXT) -> tuple[list[Any], Items]:
    """The entries of an answer that comes in pieces of these sizes, the rest at once."""
    items, found, at = Items("texts", schema), list[Any](), 0
    for size in sizes:
        found += items.feed(answer[at : at + size])
        at += size
    found += items.feed(answer[at:])
    items.end()
    return found, items


@st.composite
def written(draw: st.DrawFn, entries: st.SearchStrategy[list[Any]]) -> tuple[list[Any], str]:
    """Entries, and an answer that lists them as one model or another would write it."""
    listed = draw(entries)
    indent = draw(st.none() | st.integers(0, 4))
    comma, colon = draw(BLANKS) + "," + draw(BLANKS), draw(BLANKS) + ":" + draw(BLANKS)
    told = json.dumps({"texts": listed}, indent=indent, ensure_ascii=draw(st.booleans()), separators=(comma, colon))
    fence = draw(st.sampled_from([("", ""), ("```json\n", "\n```"), ("``` ", "```"), ("\n\n", " ")]))
    return listed, f"{fence[0]}{told}{fence[1]}"


@given(written(texts), st.lists(st.integers(0, 9)))
def test_any_list_in_any_style_and_any_pieces_gives_exactly_its_entries(
    listed: tuple[list[Any], str], sizes: list[int]
) -> None:
    found, items = read(listed[1], sizes)

    assert (found, items.closed, items.wrong, items.count) == (listed[0], True, "", len(listed[0]))


@given(written(pairs), st.lists(st.integers(0, 9)))
def test_pairs_come_whole_however_they_are_cut_into_pieces(listed: tuple[list[Any], str], sizes: list[int]) -> None:
    found, items = read(listed[1], sizes, PAIR)

    assert (found, items.closed, items.wrong) == (listed[0], True, "")


@given(written(texts) | written(pairs), st.data())
def test_an_answer_that_is_cut_gives_its_first_entries_and_never_a_part_of_one(
    listed: tuple[list[Any], str], data: st.DataObject
) -> None:
    entries, answer = listed
    schema = PAIR if entries and isinstance(entries[0], dict) else TEXT

    found, items = read(answer[: data.draw(st.integers(0, len(answer)))], schema=schema)

    assert found == entries[: len(found)]
    assert bool(items.wrong) != items.closed


@given(written(texts), st.data())
def test_damage_takes_nothing_from_the_entries_before_it_and_adds_none_that_a_whole_parse_would_not_find(
    listed: tuple[list[Any], str], data: st.DataObject
) -> None:
    entries, answer = listed
    at = data.draw(st.integers(0, len(answer)))
    broken = answer[:at] + data.draw(st.text('x"\\{}[],:1 \n', min_size=1, max_size=3)) + answer[at:]
    untouched, _ = read(answer[:at])

    found, _ = read(broken, data.draw(st.lists(st.integers(0, 5))))

    assert found[: len(untouched)] == untouched == entries[: len(untouched)]
    assert parsed(broken) in (found, None)


def parsed(answer: str) -> list[str] | None:
    """What a parse of the whole answer finds, None where it refuses it."""
    try:
        found = json.loads(answer.strip().removeprefix("```json").removeprefix("```").removesuffix("```"), strict=False)
        listed = found["texts"]
        return listed if isinstance(listed, list) and all(isinstance(one, str) and one for one in listed) else None
    except (ValueError, KeyError, TypeError):
        return None


@given(st.text('{"texts:[]},\\`1eEnul-. \n\u2028\x00', max_size=60) | st.text(), st.lists(st.integers(0, 4)))
def test_garbage_raises_nothing_and_says_what_is_wrong(answer: str, sizes: list[int]) -> None:
    found, items = read(answer, sizes)

    assert items.count == len(found)
    assert items.closed or items.wrong


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda x: st.lists(x) | st.dictionaries(st.text(max_size=3), x),
        max_leaves=8,
    )
)
def test_json_of_any_other_form_gives_nothing(value: Any) -> None:
    found, items = read(json.dumps({"texts": [value]}), schema=PAIR)

    expected = isinstance(value, dict) and all(
        isinstance(value.get(name), str) and value[name] for name in ("question", "answer")
    )
    assert bool(found) == expected
    assert bool(items.wrong) != expected


@pytest.mark.parametrize(
    ("rest", "wrong"),
    [
        ('"two" "three"]', "after entry 2 stands '\"'"),
        ('"two"; "three"]', "after entry 2 stands ';'"),
        ('"two"}, "three"]', "after entry 2 stands '}'"),
        (', "three"]', "entry 2 begins with ','"),
        ("]", "entry 2 begins with ']'"),
        ('12, "three"]', "entry 2 begins with '1'"),
        ('null, "three"]', "entry 2 begins with 'n'"),
        ("'two', \"three\"]", 'entry 2 begins with "\'"'),
        ('"", "three"]', "entry 2: '' should be non-empty"),
        ('{"text": "two"}, "three"]', "entry 2: {'text': 'two'} is not of type 'string'"),
        ('{"text": "two", }, "three"]', "entry 2 is no JSON"),
        ('{"text": NaN}, "three"]', "entry 2 is no JSON (NaN is no JSON number)"),
        ('{"text": [}], "three"]', "entry 2 is no JSON"),
        ('{"n": ' + "9" * 5000 + '}, "three"]', "entry 2 is no JSON"),
        ('{"a":' + "[" * 2000 + "]" * 2000 + '}, "three"]', "entry 2 is nested too deeply"),
        ('{"a":' + "[" * 300 + "]" * 300 + '}, "three"]', "entry 2"),
        ('"tw', "the list has no end"),
        ('"two', "the list has no end"),
        ('"two\\', "the list has no end"),
        ('"two\\"', "the list has no end"),
        ('{"text": "tw', "the list has no end"),
    ],
)
def test_what_stands_behind_a_mistake_is_not_given_out(rest: str, wrong: str) -> None:
    found, items = read(f'{{"texts": ["one", {rest}}}')

    assert found[:1] == ["one"]
    assert "three" not in found
    assert items.wrong.startswith(wrong)
    assert items.feed('"four"]}') == []


@pytest.mark.parametrize("answer", ["", "Sure! Here they are:", '["one"]', '{"others": ["one"]}', '{"texts": "one"}', "```"])
def test_an_answer_that_is_no_list_says_how_it_begins(answer: str) -> None:
    found, items = read(answer)

    assert (found, items.wrong) == ([], f"it is no list: {answer!r}")


def test_an_entry_is_given_out_with_its_last_sign_and_not_before() -> None:
    items = Items("texts", TEXT)

    given_at = [(at, items.feed(sign)) for at, sign in enumerate('{"texts": ["a\\"", "b"]}')]

    assert [one for one in given_at if one[1]] == [(15, ['a"']), (20, ["b"])]


def test_a_long_entry_that_comes_sign_by_sign_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parses: list[int] = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda text, **options: (parses.append(len(text)), loads(text, **options))[1])
    entry = ('He said: "no" \\ {[' * 700)[:12_000]
    answer = json.dumps({"texts": [entry, "next"]})

    found, _ = read(answer, [1] * len(answer))

    assert found == [entry, "next"]
    assert parses == [len(json.dumps(entry)), len('"next"')]
