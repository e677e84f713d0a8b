"""Records go into Redis and come back as they were."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import talk
from bot.core.records import Draft
from bot.core.talk import Answer, Button, Card, Code, Command, Event, File, Moved, Press, Said, Submit, Text
from bot.pack import pack, unpack
from bot.rows import Message

ANY = st.text(st.characters())
FACTS = st.dictionaries(st.sampled_from("abc"), ANY)
ACTS = st.one_of(
    st.builds(Said, ANY, st.lists(st.builds(File, ANY, st.integers(0, 10**9), ANY), max_size=2).map(tuple), ANY, st.booleans()),
    st.builds(Command, ANY, ANY),
    st.builds(Press, ANY),
    st.builds(Submit, ANY, FACTS),
    st.builds(Moved, ANY, st.integers(), ANY, ANY, st.floats(0, 1), FACTS),
)


@given(st.builds(Event, ANY, st.floats(0, 4e9), ANY, ANY, ACTS, roles=st.lists(ANY, max_size=3).map(tuple)))
def test_an_event_comes_back_as_it_went_in_halves_of_pairs_and_all(event: Event) -> None:
    text = pack(event)

    assert text.isascii()
    assert unpack(text, Event) == event


@given(
    st.dictionaries(ANY.filter(lambda key: key != "is"), ANY),
    st.lists(st.dictionaries(ANY.filter(lambda key: key != "is"), ANY | st.none())),
)
def test_a_draft_comes_back_as_it_went_in(answers: dict[str, str], undo: list[dict[str, str | None]]) -> None:
    draft = Draft("k7", "skill", "p1", "here", 1.5, ("p1", "p2"), answers, undo=tuple(undo))

    assert unpack(pack(draft), Draft) == draft


def test_a_message_comes_back_with_its_card() -> None:
    card = Card("t", (Text("x"), Code("y", "yaml", "n")), (Button("b", "a|b", "good"),))
    message = Message("k", "here", 1, 0.5, "", card, slot="s", errors={"a": "b"})

    assert unpack(pack(message), Message) == message


def test_a_field_of_a_later_version_is_dropped_and_a_missing_one_has_its_default() -> None:
    row = json.dumps({"is": "Answer", "text": "x", "colour": "blue"})

    assert unpack(row, Answer) == Answer("x")


def test_a_record_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="Answer where Card was expected"):
        unpack(pack(Answer("x")), Card)


def test_no_class_but_the_listed_ones_is_ever_made() -> None:
    with pytest.raises(KeyError):
        unpack('{"is": "Path"}', Card)


def test_every_act_and_effect_can_be_kept() -> None:
    kinds = [kind.__name__ for union in (talk.Act, talk.Effect) for kind in union.__args__]

    assert [kind for kind in kinds if kind not in {*_kept()}] == []


def _kept() -> list[str]:
    from bot import pack as module

    return list(module._CLASSES)
