"""Text out of bytes: cut anywhere, the same text comes out, and never a part of a stop string."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.models.text import Text

CUTS = st.lists(st.integers(1, 5), min_size=1)


def pieces(text: str, cuts: list[int]) -> list[bytes]:
    raw, found, at = text.encode(), [], 0
    while at < len(raw):
        size = cuts[len(found) % len(cuts)]
        found.append(raw[at : at + size])
        at += size
    return found


@given(st.text(), CUTS)
def test_a_text_comes_out_whole_however_its_bytes_are_cut(text: str, cuts: list[int]) -> None:
    taken = Text()
    assert "".join(taken.add(piece) for piece in pieces(text, cuts)) + taken.end() == text


@given(st.text("ab§x"), CUTS, st.lists(st.text("ab§x", min_size=1, max_size=4), min_size=1, max_size=3))
def test_an_answer_ends_before_the_first_stop_string(text: str, cuts: list[int], stops: list[str]) -> None:
    taken = Text(tuple(stops))
    shown = [taken.add(piece) for piece in pieces(text, cuts)]
    whole = "".join(shown) + taken.end()
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    if ends:
        assert taken.stopped in stops
        assert text.startswith(whole)
        assert not any(stop in whole for stop in stops)
    else:
        assert (whole, taken.stopped) == (text, "")


def test_what_may_become_a_stop_string_is_held_back() -> None:
    taken = Text(("STOP",))
    assert [taken.add(b"go S"), taken.add(b"TO"), taken.add(b"W")] == ["go ", "", "STOW"]
    assert [taken.add(b" STO"), taken.add(b"P and more"), taken.add(b"!")] == [" ", "", ""]
    assert (taken.stopped, taken.end()) == ("STOP", "")


def test_a_character_that_never_came_whole_is_shown_as_unknown() -> None:
    taken = Text()
    assert taken.add("ä".encode()[:1]) == ""
    assert taken.end() == "\ufffd"
