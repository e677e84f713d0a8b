"""How right an answer is."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluating import scoring

CASES = {  # wanted, said -> exact, alike, f1
    ("Paris", "Paris"): (True, True, 1.0),
    ("Paris", " Paris\n"): (True, True, 1.0),
    ("Paris", "paris."): (False, True, 1.0),
    ("the red lamp", "a red lamp"): (False, True, 1.0),
    ("red lamps", "lamps red"): (False, False, 1.0),
    ("item: lamps | count: 3", "item: lamps | count: 4"): (False, False, 0.75),
    ("item: lamps | count: 3", "lamps, 3"): (False, False, 2 * 2 / 6),
    ("5", "-5"): (False, False, 2 / 3),
    ("1,000 coins", "1000 coins"): (False, True, 1.0),
    ("3.5", "35"): (False, False, 0.0),
    ("Grüße", unicodedata.normalize("NFD", "Grüße")): (True, True, 1.0),
    ("one\ntwo", "one\r\ntwo"): (True, True, 1.0),
    ("+", "-"): (False, False, 0.0),
    ("🙂", "🙂"): (True, True, 1.0),
    ("三つ", "三つ"): (True, True, 1.0),
    ("12", ""): (False, False, 0.0),
}


@pytest.mark.parametrize("pair", CASES, ids=repr)
def test_an_answer_is_scored_by_its_letters_and_its_words(pair: tuple[str, str]) -> None:
    assert (scoring.exact(*pair), scoring.alike(*pair), pytest.approx(scoring.f1(*pair))) == CASES[pair]


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_what_is_exact_is_alike_and_shares_every_word_and_no_side_is_preferred(one: str, other: str) -> None:
    assert scoring.exact(one, one) and scoring.alike(one, one) and scoring.f1(one, one) == 1
    assert scoring.f1(one, other) == pytest.approx(scoring.f1(other, one))
    assert 0 <= scoring.f1(one, other) <= 1
    assert scoring.alike(one, other) <= (scoring.f1(one, other) == 1)
    assert scoring.exact(one, other) <= scoring.alike(one, other)


def test_a_set_is_short_where_half_of_its_answers_are() -> None:
    short, long = "item: lamps | kind: red", "word " * 13

    assert scoring.short([short, short, long])
    assert scoring.short([short, long])
    assert not scoring.short([short, long, long])
