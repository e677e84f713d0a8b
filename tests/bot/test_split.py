"""Texts in pieces: whatever a model writes fits, stays whole and stays where it is while it grows."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.split import LEAST, is_seam, pieces, segments, size

WORDS = st.text("abc äß.,!? שלום مرحبا 日本。\u0301\u200d👩👧🏽🇩🇪", min_size=1, max_size=60)
LONG = st.builds(str.__mul__, st.sampled_from(("x", "é", "👩‍👧", "🇩🇪", "שלום", "日")), st.integers(1, 400))
LINKS = st.builds(
    "[{}]({})".format, st.text("ab c", max_size=20), st.sampled_from(("https://a.b/c", "https://a.b/" + "d" * 90))
)
TOKENS = st.sampled_from(
    ("<@123456789012345678>", "<#1>", "<:smile:123>", "**bold words**", "`code span`", "\\*", "<https://a.b>")
)
PROSE = st.lists(st.one_of(WORDS, LONG, LINKS, TOKENS), min_size=1, max_size=6).map(" ".join)
ROWS = st.lists(st.just("| a cell | another cell | 3 |"), min_size=2, max_size=12).map("\n".join)
ITEMS = st.lists(WORDS.map("- {}".format), min_size=1, max_size=8).map("\n".join)
CODE = st.lists(
    st.sampled_from(("x = 1", "    return y", "", "# no heading", "y" * 300, "a b " * 70, "~ `q`")), max_size=12
).map("\n".join)


def fence(marker: str, info: str, content: str, end: str) -> str:
    return f"{marker}{info}\n{content}\n{marker}{end}"


INFO = st.sampled_from(("", "python", "c++", " yaml title=x"))
INFOS = st.sampled_from(("", "python", "z" * 300, "words " * 40))


def fences(info: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Fences of every kind, some with another kind or a shorter one in them."""
    inner = st.builds(fence, st.sampled_from(("```", "~~~")), info, CODE, st.just(""))
    flat = st.builds(fence, st.sampled_from(("```", "~~~", "````", "~~~~~")), info, CODE, st.sampled_from(("", "  ")))
    deep = st.builds(
        fence, st.sampled_from(("````", "~~~~", "`````")), info, st.builds("{}\n{}\n{}".format, CODE, inner, CODE), st.just("")
    )
    return flat | deep


def texts(info: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """What models write, whole or broken off."""
    block = st.one_of(PROSE, ROWS, ITEMS, fences(info), st.just("\n" * 80), st.just(" " * 90))
    whole = st.lists(st.tuples(block, st.sampled_from(("\n\n", "\n", "\n\n\n"))).map("".join), max_size=7).map("".join)
    last = st.sampled_from(("", "``", "```", "**bo", "[a](htt")) | st.builds("{}{}\n{}".format, st.just("```"), info, CODE)
    return st.builds(str.__add__, whole, last)


TEXTS = texts(INFO)
ANY = st.one_of(texts(INFOS), st.text("ab `~\n|#[]()*\\<>-👩‍👧🏽\u0301", max_size=900))
LIMITS = st.sampled_from((LEAST, LEAST + 1, 250, 500))


def fences_of(piece: str) -> list[tuple[str, bool]]:
    """The fences of a piece as an independent reader sees them: opener, and whether it is closed."""
    lines = piece.split("\n")
    found = []
    for token in MarkdownIt().parse(piece):
        if token.type == "fence" and token.map:
            last = lines[token.map[1] - 1]
            found.append((lines[token.map[0]], token.map[1] - token.map[0] > 1 and last.strip().startswith(token.markup)))
    return found


def content_of(text: str) -> str:
    """The text without the lines of fences and white space."""
    return re.sub(r"\s", "", "".join(part.text for part in segments(text)))


@given(ANY, LIMITS, st.one_of(st.none(), st.just(LEAST)))
def test_every_piece_fits_and_says_something(text: str, limit: int, first: int | None) -> None:
    found = pieces(text, limit, first)

    assert [size(piece) <= limit for piece in found] == [True] * len(found)
    assert size(found[0]) <= (first or limit) if found else not text.strip()
    assert all(piece.strip() for piece in found)


@given(ANY, LIMITS)
def test_every_piece_closes_its_fences(text: str, limit: int) -> None:
    for piece in pieces(text, limit):
        assert all(part.closed for part in segments(piece))


@given(TEXTS, LIMITS)
def test_an_independent_reader_sees_the_fences_closed(text: str, limit: int) -> None:
    for piece in pieces(text, limit):
        assert [opener for opener, closed in fences_of(piece) if not closed] == []


@given(TEXTS, LIMITS)
def test_nothing_is_lost_but_white_space_at_the_seams(text: str, limit: int) -> None:
    assert "".join(content_of(piece) for piece in pieces(text, limit)) == content_of(text)


@given(ANY, LIMITS)
def test_whatever_it_is_every_sign_but_those_of_fences_is_there_in_order(text: str, limit: int) -> None:
    def signs(some: str) -> str:
        return re.sub(r"[\s`~]", "", some)

    there = iter(signs("\n".join(pieces(text, limit))))

    assert all(sign in there for sign in signs(text))


@given(TEXTS, LIMITS)
def test_a_fence_is_opened_anew_with_its_marker_and_language(text: str, limit: int) -> None:
    known = {(part.fence.marker, part.fence.language) for part in segments(text) if part.fence}

    assert {
        (part.fence.marker, part.fence.language) for piece in pieces(text, limit) for part in segments(piece) if part.fence
    } <= known


@given(ANY, st.integers(0, 900), LIMITS, st.one_of(st.none(), st.just(LEAST)))
def test_pieces_stay_as_they_are_while_the_text_grows(text: str, length: int, limit: int, first: int | None) -> None:
    before, after = pieces(text[:length], limit, first), pieces(text, limit, first)

    assert len(before) <= len(after)
    assert after[: max(0, len(before) - 1)] == before[:-1]


@given(TEXTS, LIMITS)
def test_no_sign_and_no_mention_is_cut_where_a_better_place_is_near(text: str, limit: int) -> None:
    found = pieces(text, limit)
    within = [one[-1] + other[0] for one, other in pairwise(found) if one[-8:] + other[:8] in text and one[-1] not in "🇩🇪"]

    assert [pair for pair in within if not is_seam(pair, 1)] == []
    for token in ("<@123456789012345678>", "<:smile:123>"):
        assert sum(piece.count(token) for piece in found) == text.count(token)


def test_a_cut_fence_is_closed_and_opened_anew() -> None:
    lines = [f"line {number:03} of the code" for number in range(12)]
    text = "See:\n\n````python\n" + "\n".join(lines) + "\n````\n\nDone."

    assert pieces(text, 200) == [
        "See:\n\n````python\n" + "\n".join(lines[:8]) + "\n````",
        "````python\n" + "\n".join(lines[8:]) + "\n````\n\nDone.",
    ]


def test_a_fence_that_ends_at_the_seam_is_not_opened_anew() -> None:
    code = "\n".join(["x" * 48] * 3)

    assert pieces(f"```py\n{code}\n```\n{'word ' * 30}end", 200) == [f"```py\n{code}\n```", "word " * 30 + "end"]


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("word " * 25 + "end.\n\n" + "other. " * 20, "other."),
        ("word " * 30 + "end.\n" + "other. " * 20, "other."),
        ("word " * 24 + "One ends here. " + "Another goes on" + " and on" * 20, "Another"),
        ("word " * 39 + "longer words", "longer"),
        ("word " * 30 + "[a label of words](https://a.example/" + "x" * 40 + ") end", "[a label"),
        ("word " * 32 + "\n" + "| a | b | c |\n" * 20, "| a |"),
        ("word " * 38 + "<@123456789012345678> said", "<@1234"),
        ("word " * 30 + "end:\n```py\n" + "code()\n" * 9 + "```", "```py\ncode()"),
        ("שלום עולם " * 30, "שלום"),
        ("日本語の文です。" * 40, "日本語"),
    ],
)
def test_a_piece_ends_where_a_reader_would_pause(text: str, begins: str) -> None:
    assert pieces(text, 200)[1].startswith(begins)


@pytest.mark.parametrize("sign", ["👩‍👧‍👦", "🇩🇪", "👍🏽", "e\u0301", "नि", "각", "क्ष"])
def test_a_long_word_is_never_cut_within_a_sign(sign: str) -> None:
    found = pieces("x" + sign * 200, 200)

    assert "".join(found) == "x" + sign * 200
    assert all(piece.removeprefix("x").replace(sign, "") == "" for piece in found)


@pytest.mark.parametrize(("length", "count"), [(1999, 1), (2000, 1), (2001, 2)])
def test_a_text_takes_a_second_piece_past_the_limit(length: int, count: int) -> None:
    assert len(pieces("x" * length, 2000)) == count


def test_a_sign_beyond_the_basic_plane_counts_twice() -> None:
    assert size("👍") == 2
    assert [size(piece) for piece in pieces("👍" * 101, 200)] == [200, 2]


def test_white_space_alone_is_no_piece() -> None:
    assert pieces(" \n\n ", 200) == []
