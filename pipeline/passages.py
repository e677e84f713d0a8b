"""A document's text, cut into passages that people can choose as contexts, and a search among them.

A passage is a slice of the document, verbatim, of at most the 500 words that upstream's documentation allows a context.
It begins and ends where the document does: at headings, paragraphs, lists, tables, fences; in the middle of one only
where it is longer than a passage may be, and never within a word. Values in, values out; PDFs are read by pdfium.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from pipeline.errors import Invalid, Problem

MAX_WORDS = 500  # of a context: taxonomy repository, docs/KNOWLEDGE_GUIDE
JOINED_WORDS = 200  # short paragraphs are joined up to here: enough for three questions, little enough to be about one thing
MAX_PAGES = 500  # of a PDF
MAX_CHARACTERS = 20_000_000  # of a PDF's text
K1, B = 1.5, 0.75  # of BM25, as everywhere (Robertson & Zaragoza 2009)
HEADING_WEIGHT = 2  # what a word in the heading counts more than one in the text

# YAML between two lines of three hyphens, at the very beginning; without a key after the first they are two rules.
_FRONT = re.compile(r"---[ \t]*\n(?=[A-Za-z_\"'][^\n]*:)(?:.*\n)*?(?:---|\.\.\.)[ \t]*(?:\n|$)")
_HEADING = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)")
_SENTENCE = re.compile(r"[.!?…。！？][\"'”’)\]]*$")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`heading`: the headings it stands under, outermost first, joined by " > ". `words`: of its text, by white space."""

    id: str
    file: str
    heading: str
    text: str
    words: int


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines `start` to `end` of a text (characters). `level`: of a heading, 0 for all else; `whole`: better cut by lines."""

    start: int
    end: int
    words: int
    level: int = 0
    title: str = ""
    whole: bool = False


def passages(markdown: str, file: str) -> list[Excerpt]:
    """Cut a markdown text into excerpts, in its order. Front matter is left out; what is there twice is there once."""
    text = markdown.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    front = _FRONT.match(text)
    trail: list[tuple[int, str]] = []
    found: dict[str, Excerpt] = {}
    for blocks in _sections(_blocks(text, front.end() if front else 0)):
        for block in blocks:
            if block.level:
                trail = [(level, title) for level, title in trail if level < block.level] + [(block.level, block.title)]
        heading = " > ".join(title for _, title in trail if title)
        for start, end in _pieces(text, blocks):
            excerpt = _excerpt(text[start:end].strip(), file, heading)
            found.setdefault(excerpt.id, excerpt)
    return list(found.values())


def text_of(content: bytes, file: str) -> str:
    """The text of a markdown or PDF file. Raises Invalid document.encoding, document.pdf."""
    if file.endswith(".pdf"):
        return pdf_text(content, file)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        fix = "Save it as UTF-8: ilab reads nothing else."
        raise Invalid(Problem("document.encoding", "the file is not UTF-8 text", file, fix, {"path": file})) from None


def pdf_text(content: bytes, file: str = "") -> str:
    """The text of a PDF's first 500 pages, pages apart by an empty line; "" where it holds pictures only.

    Raises Invalid document.pdf for what pdfium cannot open: damaged files, and those with a password.
    """
    import pypdfium2  # loads a library of 7 MB, which markdown does not need

    pages: list[str] = []
    room = MAX_CHARACTERS
    try:
        with pypdfium2.PdfDocument(content) as document:
            for at in range(min(len(document), MAX_PAGES)):
                page = document[at].get_textpage()
                pages.append(page.get_text_range(0, min(page.count_chars(), room)) if room > 0 else "")
                room -= len(pages[-1])
    except pypdfium2.PdfiumError as error:
        facts = {"path": file, "reason": str(error)}
        fix = "Save it anew without a password, or give the text as markdown."
        raise Invalid(Problem("document.pdf", f"the PDF cannot be read: {error}", file, fix, facts)) from None
    return "\n\n".join(page.replace("\r\n", "\n").replace("\x00", "").replace("\ufffe", "") for page in pages).strip()


def search(excerpts: list[Excerpt], query: str, most: int = 5) -> list[Excerpt]:
    """The excerpts that a query is likely about, the likeliest first (BM25); the first ones for a query without words."""
    wanted = set(_stems(query))
    if not wanted:
        return excerpts[:most]
    counts = [Counter(_stems(one.text) + HEADING_WEIGHT * _stems(one.heading)) for one in excerpts]
    lengths = [count.total() for count in counts]
    mean = sum(lengths) / max(1, len(lengths)) or 1.0
    holders = {word: sum(word in count for count in counts) for word in wanted}
    rarity = {word: math.log(1 + (len(counts) - held + 0.5) / (held + 0.5)) for word, held in holders.items()}

    def score(at: int) -> float:
        room = K1 * (1 - B + B * lengths[at] / mean)
        return sum(rarity[word] * counts[at][word] * (K1 + 1) / (counts[at][word] + room) for word in wanted)

    scores = [score(at) for at in range(len(excerpts))]
    ranked = sorted(range(len(excerpts)), key=lambda at: (-scores[at], at))
    return [excerpts[at] for at in ranked[:most] if scores[at] > 0]


def _stems(text: str) -> list[str]:
    """Words in small letters without English endings: bake, bakes, baked, baking are one; city and cities too."""
    words = re.findall(r"\w+", text.casefold())
    return [
        re.sub(r"(?<=\w\w\w)(?:ing|ed|es|(?<!s)s|e)$", "", word).removesuffix("i").removesuffix("y") or word for word in words
    ]


def _excerpt(text: str, file: str, heading: str) -> Excerpt:
    name = hashlib.sha256(f"{file}\0{text}".encode(errors="surrogatepass")).hexdigest()[:12]
    return Excerpt(name, file, heading, text, len(text.split()))


def _blocks(text: str, start: int) -> Iterator[_Block]:
    """Headings, fences, lists (with the empty lines between their items), and runs of lines without an empty one."""
    rows = text[start:].split("\n")
    places = list(accumulate((len(row) + 1 for row in rows), initial=start))
    at = 0
    while at < len(rows):
        if not rows[at].strip():
            at += 1
            continue
        end = _end(rows, at)
        level, title = _title(rows, at)
        whole = bool(_FENCE.match(rows[at]) or _ITEM.match(rows[at]) or "|" in rows[at])
        words = sum(len(row.split()) for row in rows[at:end])
        yield _Block(places[at], places[end] - 1, words, level, title, whole)
        at = end


def _title(rows: list[str], at: int) -> tuple[int, str]:
    """The level and words of the heading that begins in that row; 0 where none does."""
    if found := _HEADING.match(rows[at]):
        return len(found[1]), rows[at][found.end() :].strip().rstrip("#").rstrip()
    if _underlined(rows, at):
        return (1 if "=" in rows[at + 1] else 2), rows[at].strip()
    return 0, ""


def _underlined(rows: list[str], at: int) -> bool:
    """Whether that row is a heading by the line of = or - below it; a list's item and a table's row are none."""
    below = rows[at + 1] if at + 1 < len(rows) else ""
    return bool(_UNDERLINE.match(below)) and "|" not in rows[at] and not (_ITEM.match(rows[at]) or _FENCE.match(rows[at]))


def _end(rows: list[str], at: int) -> int:
    """The row after the block that begins in that row."""
    if fence := _FENCE.match(rows[at]):
        closing = re.compile(rf" {{0,3}}{re.escape(fence[1][0])}{{{len(fence[1])},}}[ \t]*$")
        return next((row + 1 for row in range(at + 1, len(rows)) if closing.match(rows[row])), len(rows))
    if _HEADING.match(rows[at]):
        return at + 1
    if _underlined(rows, at):
        return at + 2
    return _list_end(rows, at) if _ITEM.match(rows[at]) else _run_end(rows, at)


def _list_end(rows: list[str], at: int) -> int:
    """Where a list ends: at a heading, or at an empty line after which neither an item nor an indented line comes."""
    last = at  # the last row that has words
    for row in range(at + 1, len(rows)):
        if not rows[row].strip():
            continue
        if _HEADING.match(rows[row]) or (row > last + 1 and not (_ITEM.match(rows[row]) or rows[row].startswith(("  ", "\t")))):
            break
        last = row
    return last + 1


def _run_end(rows: list[str], at: int) -> int:
    for row in range(at + 1, len(rows)):
        if not rows[row].strip() or _HEADING.match(rows[row]) or _FENCE.match(rows[row]) or _underlined(rows, row):
            return row
    return len(rows)


def _sections(blocks: Iterator[_Block]) -> Iterator[list[_Block]]:
    """Blocks under one heading; a heading with nothing below it stays with the one that follows."""
    section: list[_Block] = []
    for block in blocks:
        if block.level and section and not section[-1].level:
            yield section
            section = []
        section.append(block)
    if section:
        yield section


def _pieces(text: str, blocks: list[_Block]) -> Iterator[tuple[int, int]]:
    """Where passages begin and end in a section: short blocks joined, long ones cut, headings kept with what follows."""
    start, words, bare = blocks[0].start, 0, True  # bare: nothing but headings since `start`
    end = start
    whole = False
    for block in blocks:
        if not bare and words + block.words > JOINED_WORDS:
            yield from _cut(text, start, end, whole)
            start, words, bare, whole = block.start, 0, True, False
        end, words, bare = block.end, words + block.words, bare and bool(block.level)
        whole = whole or block.whole
    yield from _cut(text, start, end, whole)


def _cut(text: str, start: int, end: int, lines: bool) -> Iterator[tuple[int, int]]:
    """That slice in pieces of at most 500 words, each cut after a line or a sentence of its second half, else after a word."""
    spans = [found.span() for found in re.compile(r"\S+").finditer(text, start, end)]
    first = 0
    while len(spans) - first > MAX_WORDS:
        last = first + MAX_WORDS
        places = range(last - 1, first + MAX_WORDS // 2, -1)
        cut = next((at for at in places if _ends(text, spans, at, lines)), last - 1)
        yield spans[first][0], spans[cut][1]
        first = cut + 1
    if spans[first:]:
        yield spans[first][0], spans[-1][1]


def _ends(text: str, spans: list[tuple[int, int]], at: int, lines: bool) -> bool:
    """Whether a line (where lines count) or a sentence ends with that word."""
    if lines:
        return "\n" in text[spans[at][1] : spans[at + 1][0]]
    return bool(_SENTENCE.search(text, *spans[at]))
