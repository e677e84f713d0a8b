"""A document is cut where it is cut itself, loses no word, and is found again by its words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.passages import MAX_WORDS, Excerpt, passages, search


def cut(markdown: str) -> list[tuple[str, str]]:
    return [(one.heading, one.text) for one in passages(markdown, "a.md")]


def words(count: int, word: str = "word") -> str:
    return " ".join(f"{word}{at}" for at in range(count))


# --- cutting


def test_headings_begin_passages_and_say_where_these_stand() -> None:
    text = "Before.\n\n# Sea\n\n## Tides\n\nTwice a day.\n\n## Waves\nThey break.\n\nLand\n====\n\nDry.\n"

    assert cut(text) == [
        ("", "Before."),
        ("Sea > Tides", "# Sea\n\n## Tides\n\nTwice a day."),
        ("Sea > Waves", "## Waves\nThey break."),
        ("Land", "Land\n====\n\nDry."),
    ]


def test_a_heading_at_the_end_is_a_passage() -> None:
    assert cut("Text.\n\n# End") == [("", "Text."), ("End", "# End")]


def test_short_paragraphs_are_joined_and_long_ones_stand_alone() -> None:
    text = "\n\n".join([words(80, "a"), words(80, "b"), words(80, "c"), words(300, "d"), words(20, "e")])

    assert [one.words for one in passages(text, "a.md")] == [160, 80, 300, 20]


def test_the_text_is_the_documents_own() -> None:
    text = "# A  \n\n one\n two \n\n\n* three\n\n```\n four\n```"

    assert cut(text) == [("A", text)]


@pytest.mark.parametrize(
    "block",
    [
        "```py\n# no heading\n\nx = 1\n```",
        "~~~~\n```\n# no heading\n~~~\n~~~~",
        "- one\n\n- two\n\n  more\n- three",
        "1. one\n2. two\n\n   more",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "a | b\n---|---\n1 | 2",
    ],
)
def test_fences_lists_and_tables_stay_whole_where_they_fit(block: str) -> None:
    before, after = words(199, "b"), words(199, "a")

    assert cut(f"# T\n\n{before}\n\n{block}\n\n{after}") == [("T", f"# T\n\n{before}"), ("T", block), ("T", after)]


def test_a_paragraph_over_the_limit_is_cut_after_a_sentence() -> None:
    sentences = " ".join(f"{words(99)} end{at}." for at in range(12))
    found = passages(sentences, "a.md")

    assert [one.words for one in found] == [500, 500, 200]
    assert all(one.text.endswith(".") for one in found)


def test_a_table_over_the_limit_is_cut_after_a_line() -> None:
    rows = "\n".join(f"| {words(7)} Row. | x |" for _ in range(100))
    found = passages(f"| a | b |\n|---|---|\n{rows}", "a.md")

    assert all(one.text.startswith("|") and one.text.endswith("|") and one.words <= MAX_WORDS for one in found)
    assert len(found) == 3


def test_without_a_sentences_end_a_paragraph_is_cut_after_a_clause() -> None:
    clauses = ", ".join(words(99, f"c{at}x") for at in range(12))

    assert [one.words for one in passages(clauses, "a.md")] == [495, 495, 198]


def test_a_list_over_the_limit_is_cut_at_an_empty_line_before_all_others() -> None:
    items = "\n\n".join(f"- {words(150, f'a{at}x')}\n  {words(148)}." for at in range(4))
    found = passages(items, "a.md")

    assert [one.words for one in found] == [299, 299, 299, 299]
    assert all(one.text.startswith("- ") for one in found)


def test_words_without_an_end_are_cut_after_a_word() -> None:
    assert [one.words for one in passages(words(1200), "a.md")] == [500, 500, 200]


def test_front_matter_is_left_out_and_a_rule_is_not_taken_for_it() -> None:
    assert cut("---\ntitle: Sea\ntags: [a]\n---\nText.") == [("", "Text.")]
    assert cut("\ufeff---\r\ntitle: Sea\r\n---\r\nText.") == [("", "Text.")]
    assert cut("---\n\nText.\n\n---\n") == [("", "---\n\nText.\n\n---")]
    assert cut("---\ntitle: never closed\n\nText.")[0][1].startswith("---")


def test_a_passage_has_the_same_id_wherever_it_stands_in_its_file_and_another_in_another() -> None:
    first, second = passages("# A\n\nOne.", "a.md"), passages("x\n\n# A\n\nOne.", "a.md")

    assert first[0].id == second[1].id != passages("# A\n\nOne.", "b.md")[0].id


def test_what_is_there_twice_is_one_passage() -> None:
    assert len(passages("# A\n\nOne.\n\n# A\n\nOne.", "a.md")) == 1


pieces = st.sampled_from(
    ["# H", "## I", "#", "a b.", "- x", "1. y", "```", "~~~", "===", "---", "| p | q |", "|--|", "  z", "\t", "", "", "# #"]
)
lines = st.one_of(pieces, st.text(max_size=10), st.integers(450, 700).map(words))


@given(st.lists(lines, max_size=14).map("\n".join))
@settings(max_examples=200, deadline=None)
def test_no_word_is_lost_none_is_cut_and_no_passage_is_too_long(markdown: str) -> None:
    found = passages(f"x\n{markdown}", "a.md")  # a text that begins with a word has no front matter
    kept = {word for one in found for word in one.text.split()}

    assert kept == set(f"x\n{markdown}".split())
    assert all(0 < one.words == len(one.text.split()) <= MAX_WORDS for one in found)
    assert all(one.text in f"x\n{markdown}".replace("\r\n", "\n").replace("\r", "\n") for one in found)
    assert len({one.id for one in found}) == len(found)


HOSTILE = [
    "- a" + "\n" * 200_000 + "x",
    "- a\n\n" * 60_000,
    "# a\n" * 60_000,
    "---\na: b\n" * 60_000,
    "a\n\n" * 60_000,
    "# " + " " * 200_000 + "x",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_takes_no_longer_than_it_is_long(text: str) -> None:
    assert passages(text, "a.md")  # what is quadratic takes minutes for each


# --- searching

SEA = [
    Excerpt("1", "a.md", "Tides", "The sea rises and falls twice a day.", 8),
    Excerpt("2", "a.md", "Baking", "Bakers bake bread in cities.", 5),
    Excerpt("3", "a.md", "Waves", "Wind makes waves on the sea; a tide makes none.", 10),
    Excerpt("4", "a.md", "", "Nothing of interest.", 3),
]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("tide", ["1", "3"]),
        ("WAVES", ["3"]),
        ("baking a city", ["2", "1", "3"]),
        ("sea wind", ["3", "1"]),
        ("volcano", []),
        ("", ["1", "2", "3", "4"]),
        (" ?! ", ["1", "2", "3", "4"]),
    ],
)
def test_a_query_finds_passages_by_their_words_and_more_by_their_headings(query: str, ids: list[str]) -> None:
    assert [one.id for one in search(SEA, query)] == ids


def test_no_more_are_found_than_asked_for() -> None:
    assert ([one.id for one in search(SEA, "", 2)], [one.id for one in search(SEA, "sea", 1)]) == (["1", "2"], ["1"])
    assert search([], "sea") == []


@given(st.text(max_size=40), st.lists(st.text(max_size=30), max_size=6))
@settings(max_examples=100, deadline=None)
def test_whatever_is_asked_the_answer_is_among_the_passages(query: str, texts: list[str]) -> None:
    excerpts = [Excerpt(str(at), "a.md", "", text, len(text.split())) for at, text in enumerate(texts)]

    assert {one.id for one in search(excerpts, query)} <= {one.id for one in excerpts}
