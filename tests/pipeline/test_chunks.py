"""A document's chunks have all its words, end where it does, and are never longer than the teacher can take."""

import asyncio
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Invalid, Problem, Temporary
from pipeline.generating import chunks as module
from pipeline.generating.chunks import Chunk, chunks
from pipeline.passages import body

GERMAN = (
    "Die Donaudampfschifffahrtsgesellschaft fährt täglich, außer an Feiertagen. Das Hochwasserrückhaltebecken Nummer {at} "
    "schützt die Stadt vor Überschwemmungen; gebaut wurde es 1978. "
)
JAPANESE = (
    "潮の満ち引きは、月と太陽の引力によって起こる。満潮は一日に二回あり、約{at}時間ごとに来る。漁師はカレンダーを見て出かける。"
)


def said(sentences: str, times: int) -> str:
    """That often, and no two alike."""
    return "".join(sentences.format(at=at) for at in range(times))


class Tokenizer:
    """Counts as a tokenizer does that parts words and then each of them into pieces of so many characters."""

    def __init__(self, letters: int = 4, marks: int = 0) -> None:
        self.letters, self.marks, self.asked = letters, marks, list[str]()

    def tokens(self, text: str) -> int:
        found = re.findall(r"[A-Za-z]+|[^\x00-\x7f]|\S", text)
        return self.marks + sum(-(-len(one) // self.letters) for one in found)

    async def count(self, text: str) -> int:
        self.asked.append(text)
        return self.tokens(text)


async def made(markdown: str, most: int = 500, tokenizer: Tokenizer | None = None) -> list[Chunk]:
    return await chunks([("a.md", markdown)], (tokenizer or Tokenizer()).count, most)


async def cut(markdown: str, most: int = 500) -> list[tuple[str, str]]:
    return [(one.heading, one.text) for one in await made(markdown, most)]


def words(count: int, word: str = "word") -> str:
    return " ".join(f"{word}{at}" for at in range(count))


# --- where they are cut


async def test_a_long_section_has_chunks_of_its_own_with_the_headings_that_it_stands_under() -> None:
    text = f"# Sea\n\n## Tides\n\n{words(60, 'a')}\n\n## Waves\n\n{words(60, 'b')}\n\n# Land\n\n{words(5, 'c')}"

    assert await cut(text, 250) == [
        ("Sea > Tides", f"# Sea\n\n## Tides\n\n{words(60, 'a')}"),
        ("Sea > Waves", f"## Waves\n\n{words(60, 'b')}"),
        ("Land", f"# Land\n\n{words(5, 'c')}"),
    ]


async def test_short_sections_under_one_heading_are_one_chunk_and_those_under_none_are_not() -> None:
    text = "# Sea\n\nWet.\n\n## Tides\n\nTwice a day.\n\n## Waves\n\nThey break.\n\n# Land\n\nDry."

    assert await cut(text) == [
        ("Sea", "# Sea\n\nWet.\n\n## Tides\n\nTwice a day.\n\n## Waves\n\nThey break."),
        ("Land", "# Land\n\nDry."),
    ]


async def test_front_matter_is_left_out_and_what_is_there_twice_is_one_chunk() -> None:
    assert await cut("---\ntitle: Sea\n---\n# A\n\nOne.\n\n# A\n\nOne.\n\n# B\n\nTwo.") == [
        ("A", "# A\n\nOne.\n\n# A\n\nOne."),
        ("B", "# B\n\nTwo."),
    ]
    assert len(await made(f"# A\n\n{words(40)}\n\n# B\n\nTwo.\n\n# A\n\n{words(40)}", 200)) == 2


@pytest.mark.parametrize("text", ["", " \n\n", "---\ntitle: Sea\n---\n"])
async def test_a_text_without_words_has_no_chunk_and_nothing_is_asked(text: str) -> None:
    tokenizer = Tokenizer()

    assert (await made(text, tokenizer=tokenizer), tokenizer.asked) == ([], [])


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        (said(GERMAN, 40), (".",)),
        (said(JAPANESE, 40), ("。",)),
        (f"## 海\n\n{said(JAPANESE, 40)}\n\n{said(GERMAN, 30)}", ("。", ".")),
    ],
    ids=["german", "japanese", "both"],
)
async def test_a_long_paragraph_is_cut_after_sentences_in_any_language(text: str, ends: tuple[str, ...]) -> None:
    tokenizer = Tokenizer()
    found = await made(text, tokenizer=tokenizer)
    sizes = [tokenizer.tokens(one.text) for one in found]

    assert all(one.text.endswith(ends) for one in found)
    assert max(sizes) <= 500
    assert sum(sizes) / len(sizes) > 300


async def test_without_a_sentences_end_japanese_is_cut_between_words() -> None:
    """Kanji or katakana with the hiragana after them, numbers with what they count, and no mark at a chunk's beginning."""
    text = "".join(f"満潮は{at}時間カレンダーを見て「海」に" for at in range(60))
    found = await made(text, 100)

    assert "".join(one.text for one in found) == text
    for one, other in pairwise(found):
        seam = one.text[-2:] + "|" + other.text[:2]
        assert re.fullmatch(r"(潮は\|\d.|時間\|カレ|ーを\|見て|見て\|「海|」に\|満潮|海」\|に満)", seam), seam


async def test_a_word_that_is_longer_than_a_chunk_is_cut_and_no_letter_loses_its_mark() -> None:
    word = "".join(f"{chr(97 + at % 26)}\u0301" for at in range(300))
    found = await made(word, 100)

    assert "".join(one.text for one in found) == word
    assert all(one.text[0] != "\u0301" and one.text[-1] == "\u0301" for one in found)


async def test_tables_and_code_are_cut_after_lines() -> None:
    rows = "\n".join(f"| {words(6, f'r{at}x')}. Row | x |" for at in range(60))
    found = await made(f"| a | b |\n|---|---|\n{rows}", 200)

    assert len(found) > 5
    assert all(one.text.startswith("|") and one.text.endswith("|") for one in found)


# --- how often the teacher is asked


async def test_a_few_counts_are_enough_for_a_short_document() -> None:
    tokenizer = Tokenizer()
    await made("# Sea\n\nWet.\n\n# Land\n\nDry.", tokenizer=tokenizer)
    few = len(tokenizer.asked)
    await made("\n\n".join(f"# H{at}\n\n{words(10, f'a{at}x')}" for at in range(100)), tokenizer=tokenizer)

    assert few <= 3
    assert len(tokenizer.asked) - few <= 3 + 100 * tokenizer.tokens(f"# H99\n\n{words(10, 'a99x')}") / 300


@pytest.mark.parametrize("letters", [1, 2, 3, 5, 9])
async def test_chunks_are_filled_by_the_teachers_own_tokens_and_each_is_counted_about_once(letters: int) -> None:
    tokenizer = Tokenizer(letters)
    text = "\n\n".join(f"Paragraph {word} says something of the weather and the sea." for word in words(1000).split())
    found = await made(text, tokenizer=tokenizer)
    asked = len(tokenizer.asked)
    sizes = [tokenizer.tokens(one.text) for one in found]

    assert max(sizes) <= 500
    assert sum(sizes) / len(sizes) > 400
    assert asked <= 1.2 * len(found) + 4


async def test_the_same_document_gives_the_same_chunks_whichever_count_comes_first() -> None:
    text = f"# Sea\n\n{said(GERMAN, 20)}\n\n## 潮\n\n{said(JAPANESE, 20)}\n\n{words(700)}"
    first = await made(text)
    tokenizer = Tokenizer()
    waiting = list[int]()

    async def late(text: str) -> int:
        """Every second answer is overtaken by the next one."""
        waiting.append(1)
        for _ in range(5 if len(waiting) % 2 else 0):
            await asyncio.sleep(0)
        return await tokenizer.count(text)

    assert await chunks([("a.md", text)], late) == first
    assert len({one.id for one in first}) == len(first)
    assert not {one.id for one in first} & {one.id for one in await chunks([("b.md", text)], tokenizer.count)}


async def test_what_the_teachers_endpoint_raises_comes_out_as_it_is() -> None:
    async def away(text: str) -> int:
        raise Temporary("the teacher is away")

    with pytest.raises(Temporary, match="the teacher is away"):
        await chunks([("a.md", words(2000))], away)


async def test_what_is_longer_than_the_teacher_can_read_is_cut_and_other_refusals_come_out() -> None:
    tokenizer = Tokenizer(1)
    text = " ".join(f"{chr(97 + at % 26) * 7}{at}" for at in range(600))

    async def count(text: str) -> int:
        if (found := tokenizer.tokens(text)) > 600:
            raise Invalid(Problem("model.overflow", "it is too long"))
        return found

    async def refused(text: str) -> int:
        raise Invalid(Problem("model.unknown", "there is no such model"))

    found = await chunks([("a.md", text)], count)

    assert max(tokenizer.tokens(one.text) for one in found) <= 500
    assert " ".join(one.text for one in found) == text
    with pytest.raises(Invalid, match="no such model"):
        await chunks([("a.md", text)], refused)


# --- for every text

pieces = st.sampled_from(
    ["# H", "## I", "#", "a b.", "- x", "1. y", "```", "===", "---", "| p | q |", "|--|", "  z", "\t", "", "", JAPANESE, GERMAN]
)
lines = st.one_of(pieces, st.text(max_size=10), st.integers(10, 200).map(words), st.integers(10, 300).map(lambda n: "x" * n))
texts = st.lists(lines, max_size=14).map("\n".join)
tokenizers = st.builds(Tokenizer, st.integers(1, 9), st.integers(0, 8))


def letters(text: str) -> str:
    return "".join(text.split())


@given(texts, st.integers(12, 120), tokenizers)
@settings(max_examples=100, deadline=None)
async def test_no_word_is_lost_and_no_chunk_is_too_long(text: str, most: int, tokenizer: Tokenizer) -> None:
    found = await made(f"x\n{text}", most, tokenizer)  # a text that begins with a word has no front matter

    assert {word for one in found for word in re.findall(r"\w", one.text)} == set(re.findall(r"\w", f"x\n{text}"))
    assert all(one.text in body(f"x\n{text}") for one in found)
    assert all(tokenizer.tokens(one.text) <= most for one in found)
    assert await made(f"x\n{text}", most, tokenizer) == found


@given(texts, st.integers(12, 120), tokenizers)
@settings(max_examples=100, deadline=None)
async def test_before_what_is_there_twice_is_left_out_every_letter_is_in_its_place(
    text: str, most: int, tokenizer: Tokenizer
) -> None:
    plain = f"x\n{text}".replace("\r", "\n")
    cuts = await module._cut(plain, tokenizer.count, most)

    assert "".join(letters(plain[one.start : one.end]) for one in cuts) == letters(plain)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=40), st.integers(12, 60), tokenizers)
@settings(max_examples=100, deadline=None)
async def test_words_that_fit_into_a_chunk_are_whole(lengths: list[int], most: int, tokenizer: Tokenizer) -> None:
    told = [f"{at}{chr(97 + at % 26) * length}" for at, length in enumerate(lengths)]
    found = await made(" ".join(told), most + max(map(tokenizer.tokens, told)), tokenizer)

    assert [word for one in found for word in one.text.split()] == told
