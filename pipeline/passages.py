"""A document's text, cut into passages that people can choose as contexts, and a search among them.

A passage is a slice of the document, verbatim, of at most the 500 words that upstream's documentation allows a context.
It begins and ends where the document does: at headings, paragraphs, lists, tables, fences; in the middle of one only
where it is longer than a passage may be, and never within a word. Values in, values out. `sections`, `pieces` and `cut`
do the cutting by whatever Measure they are given: pipeline.generating.chunks has another one.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

MAX_WORDS = 500  # of a context: taxonomy repository, docs/KNOWLEDGE_GUIDE
JOINED_WORDS = 200  # short paragraphs are joined up to here: enough for three questions, little enough to be about one thing
K1, B = 1.5, 0.75  # of BM25, as everywhere (Robertson & Zaragoza 2009)
HEADING_WEIGHT = 2  # what a word in the heading counts more than one in the text

# YAML between two lines of three hyphens, at the very beginning; without a key after the first they are two rules.
_FRONT = re.compile(r"---[ \t]*\n(?=[A-Za-z_\"'][^\n]*:)(?:.*\n)*?(?:---|\.\.\.)[ \t]*(?:\n|$)")
_HEADING = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)")
_WORD = re.compile(r"\S+")
_SENTENCE = re.compile(r"[.!?…。！？][\"'”’)\]」』）]*$")
_CLAUSE = re.compile(r"[,;:、，；：][\"'”’)\]」』）]*$")

Span = tuple[int, int]  # of characters: where something begins, and where it has ended
Atom = tuple[int, int, float]  # the same of a word, with its weight


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`heading`: the headings it stands under, outermost first, joined by " > ". `words`: of its text, by white space."""

    id: str
    file: str
    heading: str
    text: str
    words: int


@dataclass(frozen=True, slots=True)
class Measure:
    """How long a piece may be: its `atoms` weigh `most` at the most, and short blocks are joined up to `joined`.

    `atoms(text, start, end)` are the places in that slice between which it may be cut, without the white space.
    """

    most: float
    joined: float
    atoms: Callable[[str, int, int], Sequence[Atom]]


@dataclass(frozen=True, slots=True)
class Block:
    """Lines `start` to `end` of a text (characters). `level`: of a heading, 0 for all else; `whole`: better cut by lines."""

    start: int
    end: int
    level: int = 0
    title: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under one heading. `trail`: the headings that it stands under, its own among them, the outermost first."""

    trail: tuple[str, ...]
    blocks: Sequence[Block]


def passages(markdown: str, file: str) -> list[Excerpt]:
    """Cut a markdown text into excerpts, in its order. Front matter is left out; what is there twice is there once."""
    text, found = body(markdown), dict[str, Excerpt]()
    for section in sections(text):
        for start, end in pieces(text, section.blocks, WORDS):
            excerpt = _excerpt(text[start:end].strip(), file, " > ".join(section.trail))
            found.setdefault(excerpt.id, excerpt)
    return list(found.values())


def body(markdown: str) -> str:
    """A markdown text without its front matter, its lines ended by \\n."""
    text = markdown.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    front = _FRONT.match(text)
    return text[front.end() :] if front else text


def sections(text: str) -> Iterator[Section]:
    """Blocks under one heading, in the text's order; a heading with nothing below it stays with the one that follows."""
    trail: list[tuple[int, str]] = []
    for blocks in _sections(_blocks(text)):
        for block in blocks:
            if block.level:
                trail = [(level, title) for level, title in trail if level < block.level] + [(block.level, block.title)]
        yield Section(tuple(title for _, title in trail if title), blocks)


def words(text: str, start: int, end: int) -> list[Atom]:
    """The words of a slice by white space, each weighing 1."""
    return [(*found.span(), 1.0) for found in _WORD.finditer(text, start, end)]


WORDS = Measure(MAX_WORDS, JOINED_WORDS, words)


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


def name_of(text: str, file: str) -> str:
    """The id of a slice of a file: the same wherever it stands in it."""
    return hashlib.sha256(f"{file}\0{text}".encode(errors="surrogatepass")).hexdigest()[:12]


def _excerpt(text: str, file: str, heading: str) -> Excerpt:
    return Excerpt(name_of(text, file), file, heading, text, len(text.split()))


def _blocks(text: str) -> Iterator[Block]:
    """Headings, fences, lists (with the empty lines between their items), and runs of lines without an empty one."""
    rows = text.split("\n")
    places = list(accumulate((len(row) + 1 for row in rows), initial=0))
    at = 0
    while at < len(rows):
        if not rows[at].strip():
            at += 1
            continue
        end = _end(rows, at)
        level, title = _title(rows, at)
        whole = bool(_FENCE.match(rows[at]) or _ITEM.match(rows[at]) or "|" in rows[at])
        yield Block(places[at], places[end] - 1, level, title, whole)
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


def _sections(blocks: Iterator[Block]) -> Iterator[list[Block]]:
    section: list[Block] = []
    for block in blocks:
        if block.level and section and not section[-1].level:
            yield section
            section = []
        section.append(block)
    if section:
        yield section


def pieces(text: str, blocks: Sequence[Block], measure: Measure) -> Iterator[Span]:
    """Where a section is cut: short blocks joined, long ones cut, headings kept with what follows."""
    start, weight, bare = blocks[0].start, 0.0, True  # bare: nothing but headings since `start`
    end = start
    whole = False
    for block in blocks:
        own = sum(one[2] for one in measure.atoms(text, block.start, block.end))
        if not bare and weight + own > measure.joined:
            yield from cut(text, start, end, measure, lines=whole)
            start, weight, bare, whole = block.start, 0.0, True, False
        end, weight, bare = block.end, weight + own, bare and bool(block.level)
        whole = whole or block.whole
    yield from cut(text, start, end, measure, lines=whole)


def cut(text: str, start: int, end: int, measure: Measure, *, lines: bool) -> Iterator[Span]:
    """That slice in pieces that weigh no more than they may, each with one atom at least.

    A piece ends where its second half has an empty line, or a line's end (if `lines`), or a sentence's, or a clause's; the
    last of the first of these kinds that there is. Else it ends after as many atoms as it can hold.
    """
    atoms = measure.atoms(text, start, end)
    first = 0
    while first < len(atoms):
        room, weight = 0, 0.0
        while first + room < len(atoms) and (not room or weight + atoms[first + room][2] <= measure.most):
            weight += atoms[first + room][2]
            room += 1
        last = first + room - 1
        if last < len(atoms) - 1:
            last = _place(text, atoms, range(last, first + room // 2 - 1, -1), lines)
        yield atoms[first][0], atoms[last][1]
        first = last + 1


def _place(text: str, atoms: Sequence[Atom], places: range, lines: bool) -> int:
    """The atom after which to cut, of these places; places[0] where none is better. There is an atom after each."""

    def broken(least: int) -> Callable[[int], bool]:
        return lambda at: text.count("\n", atoms[at][1], atoms[at + 1][0]) >= least

    def matched(pattern: re.Pattern[str]) -> Callable[[int], bool]:
        return lambda at: bool(pattern.search(text, *atoms[at][:2]))

    kinds = (broken(2), *((broken(1),) if lines else ()), matched(_SENTENCE), matched(_CLAUSE))
    return next((at for ends in kinds for at in places if ends(at)), places[0])
