"""Splits markdown into pieces for messages of a bounded length.

Greedy from the front: where a piece ends depends only on the text up to one character past what it could hold. So when
a text that streams grows, every piece but the last stays as it is, and its message need not be edited again.

A fence that is cut is closed, and opened anew with its marker and language. Nothing else is added, and nothing is lost
but white space at the seams, and what is beyond a quarter of the limit in an endless run of white space. Lengths are
in UTF-16 code units, which is what apps count; a text never has more code points.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

LEAST = 200  # the smallest limit: a fence's two lines and some text must fit
MARKER = 16  # a longer run of ` or ~ is text
LANGUAGE = 20  # of a longer language only the marker is opened anew
INDENT = 16  # spaces that a line keeps at the beginning of a piece
_RESERVE = 1 + MARKER  # a line break and the marker that closes

_OPENER = re.compile(rf"[ \t]*(`{{3,{MARKER}}}(?!`)|~{{3,{MARKER}}}(?!~))(.*)")
_PARTS = (  # what is better not cut, in a line; one that the window cuts counts as whole
    re.compile(r"!?\[[^\]\n]{0,200}(?:\]\([^)\s]{0,500}(?:\)|\Z)|\]\Z|\Z)"),  # links
    re.compile(r"https?://[^\s<>]{1,500}"),
    re.compile(r"(?<!`)`[^`\n]{1,200}(?:`|\Z)"),
    re.compile(r"\*\*[^*\n]{1,200}(?:\*\*?|\Z)"),
    re.compile(r"\([^()\n]{1,60}(?:\)|\Z)"),
)
_TOKENS = re.compile(r"<[@#:/a-z][^<>\s]{0,500}(?:>|\Z)|\\[^0-9A-Za-z\s]", re.IGNORECASE)  # mentions, emoji, addresses, escapes
_SENTENCE = re.compile(r"[.!?…][\"'”’)*_\]]*(?=\s)|[。！？]")
_BEGINS = "`~#>-*+|"  # mean something at the beginning of a line; a line cut before them would say it


@dataclass(frozen=True, slots=True)
class Fence:
    marker: str
    language: str

    @property
    def opener(self) -> str:
        return self.marker + (self.language if len(self.language) <= LANGUAGE else "")


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of whole lines, without its last line break: prose, or what is in a fence."""

    fence: Fence | None
    text: str
    closed: bool = True


@dataclass(frozen=True, slots=True)
class _Line:
    """A line from `start` to `end`, without its break; `inside` is the fence it is in, `after` the one it leaves open."""

    start: int
    end: int
    inside: Fence | None
    after: Fence | None

    @property
    def kind(self) -> str:
        if self.inside == self.after:
            return "code" if self.inside else "prose"
        return "opens" if self.after else "closes"


def size(text: str) -> int:
    """The length in UTF-16 code units."""
    return len(text) + sum(character > "\uffff" for character in text)


def segments(text: str) -> list[Segment]:
    """The text as prose and fences by turns. Fences in longer fences are text; one may be open at the end."""
    found: list[Segment] = []
    lines: list[str] = []
    fence: Fence | None = None
    for line in _lines(text, 0, None):
        if line.kind in ("opens", "closes"):
            if lines or fence:
                found.append(Segment(fence, "\n".join(lines)))
            lines, fence = [], line.after
        else:
            lines.append(text[line.start : line.end])
    if lines or fence:
        found.append(Segment(fence, "\n".join(lines), closed=fence is None))
    return found


def pieces(text: str, limit: int, first: int | None = None) -> list[str]:
    """The text in pieces of at most `limit` characters each, the first of at most `first`; none for white space.

    Pieces end where a paragraph does, else a line, a sentence or a word, and never within what is seen as one sign.
    Every piece closes the fences that it opens, the last one too.
    """
    assert min(limit, first or limit) >= LEAST, (limit, first)
    text = _bounded(text, limit // 4)
    found: list[str] = []
    fence: Fence | None = None
    at = _begin(text, 0)
    while text[at:].strip():
        head = f"{fence.opener}\n" if fence else ""
        room = (limit if found or first is None else first) - size(head)
        lines, end = _window(text, at, fence, room)
        if end == len(text):
            found.append(head + _closed(text[at:].rstrip(), lines[-1].after))
            break
        cut, after = _cut(text, at, end, lines)
        found.append(head + _closed(text[at:cut].rstrip(), after))
        at, fence = _next(text, cut, after)
    return found


def _bounded(text: str, most: int) -> str:
    """No run of white space longer than `most`, but for one line break more: a window always holds something."""

    def shortened(run: re.Match[str]) -> str:
        return run[1] + ("\n" if "\n" in run[2] and not run[1].endswith("\n") else "")

    return re.sub(rf"(\s{{{most}}})(\s+)", shortened, text)


def _closed(text: str, fence: Fence | None) -> str:
    return f"{text}\n{fence.marker}" if fence else text


def _begin(text: str, at: int) -> int:
    """Where the next piece begins: past empty lines, a line's indentation kept."""
    found = re.compile(r"(?:\s*\n)?(?P<indent>[^\S\n]*)").match(text, at)
    assert found  # it may be empty
    kept = "\n" in text[max(0, at - 1) : found.start("indent")] or at == 0
    return found.start("indent") if kept and len(found["indent"]) <= INDENT else found.end()


def _next(text: str, cut: int, fence: Fence | None) -> tuple[int, Fence | None]:
    """Where the next piece begins, and in what fence: one that ends there has been closed already."""
    if fence is None:
        return _begin(text, cut), None
    at = cut + 1 if text[cut : cut + 1] == "\n" else cut
    line = next(_lines(text, at, fence))
    if line.kind == "closes" and (at == 0 or text[at - 1] == "\n"):
        return _begin(text, line.end), None
    return at, fence


# --- lines and fences


def _lines(text: str, at: int, fence: Fence | None) -> Iterator[_Line]:
    """The lines from `at` on, where `fence` is open."""
    while True:
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        after = _after(text[at:end], fence)
        yield _Line(at, end, fence, after)
        if end == len(text):
            return
        at, fence = end + 1, after


def _after(line: str, fence: Fence | None) -> Fence | None:
    """The fence that is open after a line."""
    if fence:
        return None if _closes(line, fence) else fence
    found = _OPENER.fullmatch(line)
    if found is None or (found[1][0] == "`" and "`" in found[2]):
        return None
    return Fence(found[1], next(iter(found[2].split()), ""))


def _closes(line: str, fence: Fence) -> bool:
    run = line.strip()
    return len(run) >= len(fence.marker) and not run.strip(fence.marker[0])


# --- what a piece could hold


def _window(text: str, at: int, fence: Fence | None, room: int) -> tuple[list[_Line], int]:
    """The lines that fit into `room` with the mark that closes a fence, and where they end.

    Every beginning of what fits, fits: only so do pieces stay as they are when the text grows.
    """
    lines: list[_Line] = []
    used = 0
    for line in _lines(text, at, fence):
        if lines:
            used += 1  # the break
            # After a break nothing is left to add but the mark of an open fence.
            if used + (1 + len(line.inside.marker) if line.inside else 0) > room:
                return lines, lines[-1].end
        end = _reach(text, line, room - used)
        if end < line.end:
            # What is not in the window yet must not say what the line is.
            return [*lines, _Line(line.start, end, line.inside, _after(text[line.start : end], line.inside))], end
        lines.append(line)
        used += size(text[line.start : line.end])
    return lines, len(text)


def _reach(text: str, line: _Line, room: int) -> int:
    """How far into the line the room goes."""
    if line.inside:
        return _within(text, line, room - 1 - len(line.inside.marker))
    run = re.compile(r"[ \t]*(?:```|~~~)").match(text, line.start, line.end)
    if run is None:
        return _within(text, line, room)
    # It may open a fence, whatever follows; up to here it does not yet.
    return max(_within(text, line, room - _RESERVE), min(run.end() - 1, _within(text, line, room)))


def _within(text: str, line: _Line, room: int) -> int:
    """The end of the longest beginning of the line that has at most `room` code units."""
    end = min(line.end, line.start + max(0, room))
    if size(text[line.start : end]) <= room:
        return end
    used = 0
    for place in range(line.start, end):
        used += 2 if text[place] > "\uffff" else 1
        if used > room:
            return place
    return end


# --- where to cut


def _cut(text: str, at: int, end: int, lines: list[_Line]) -> tuple[int, Fence | None]:
    """Where a piece that begins at `at` and could go to `end` ends best, and the fence that is open there."""
    view = text[: end + 1]  # no more may be looked at
    kinds: tuple[Callable[[str, list[_Line]], Iterator[tuple[int, Fence | None]]], ...] = (
        _paragraphs,
        _line_ends,
        _row_ends,
        _sentences,
        _words,
        _any_words,
    )
    for share in (0.5, 0.1):
        for kind in kinds:
            allowed = [one for one in kind(view, lines) if one[0] - at >= share * (end - at) and view[at : one[0]].strip()]
            if allowed:
                return allowed[-1]
    line = lines[-1]
    for place in (*_seams(view, line, whole=True), *_seams(view, line, whole=False)):
        if view[at:place].strip():
            return place, _after(view[line.start : place], line.inside)
    return end, line.after


def _paragraphs(view: str, lines: list[_Line]) -> Iterator[tuple[int, Fence | None]]:
    """After paragraphs and fences, and before fences."""
    for line, following in pairwise(lines):
        empty = not view[following.start : following.end].strip() and following.end < len(view) - 1
        if line.after is None and (empty or line.kind == "closes" or following.kind == "opens"):
            yield line.end, None


def _line_ends(view: str, lines: list[_Line]) -> Iterator[tuple[int, Fence | None]]:
    for line in lines:
        if line.end < len(view) and view[line.end] == "\n" and line.kind != "opens" and not _is_row(view, line):
            yield line.end, line.after


def _row_ends(view: str, lines: list[_Line]) -> Iterator[tuple[int, Fence | None]]:
    """Between the rows of a table, too."""
    for line in lines:
        if line.end < len(view) and view[line.end] == "\n" and line.kind == "prose":
            yield line.end, None


def _is_row(view: str, line: _Line) -> bool:
    return line.inside is None and view[line.start : line.end].lstrip().startswith("|")


def _sentences(view: str, lines: list[_Line]) -> Iterator[tuple[int, Fence | None]]:
    for line in lines:
        if line.kind == "prose" and not _is_row(view, line):
            held = _held(view, line)
            for found in _SENTENCE.finditer(view, line.start, line.end):
                if not _inside(found.end(), held) and _may_end(view, line, found.end()):
                    yield found.end(), None


def _words(view: str, lines: list[_Line]) -> Iterator[tuple[int, Fence | None]]:
    """Between words, where nothing is cut that belongs together."""
    for line in lines:
        if line.kind == "prose" and not _is_row(view, line):
            held = _held(view, line)
            yield from ((place, None) for place in _spaces(view, line) if not _inside(place, held))


def _any_words(view: str, lines: list[_Line]) -> Iterator[tuple[int, Fence | None]]:
    for line in lines:
        if line.kind in ("prose", "code"):
            yield from ((place, line.inside) for place in _spaces(view, line))


def _spaces(view: str, line: _Line) -> Iterator[int]:
    for found in re.compile(r"(?<=\S)\s+").finditer(view, line.start, line.end):
        if _may_end(view, line, found.start()):
            yield found.start()


def _held(view: str, line: _Line) -> list[tuple[int, int]]:
    return [found.span() for part in (*_PARTS, _TOKENS) for found in part.finditer(view, line.start, line.end)]


def _inside(place: int, spans: list[tuple[int, int]]) -> bool:
    return any(start < place < end for start, end in spans)


def _may_end(view: str, line: _Line, place: int) -> bool:
    """Whether the line, cut there, says the same: neither half turns into a fence, a heading or an item."""
    rest = view[place:].lstrip()
    half = view[line.start : place]
    return bool(rest) and rest[0] not in _BEGINS and is_seam(f" {rest[0]}", 1) and _after(half, line.inside) == line.inside


def _seams(view: str, line: _Line, *, whole: bool) -> Iterator[int]:
    """Places between two signs of a line, from its end; `whole`: none within a mention or an escape."""
    tokens = [found.span() for found in _TOKENS.finditer(view, line.start, line.end)] if whole else []
    for place in range(line.end, line.start, -1):
        if is_seam(view, place) and not _inside(place, tokens) and not (whole and view[place] in _BEGINS):
            yield place


def is_seam(text: str, place: int) -> bool:
    """Whether two signs meet at `place`, near enough to Unicode's grapheme clusters (UAX #29)."""
    before, after = text[place - 1], text[place]
    joined = (
        unicodedata.category(after) in ("Mn", "Mc", "Me")
        or "\N{ZERO WIDTH JOINER}" in (before, after)
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # tones of skin
        or "\U000e0020" <= after <= "\U000e007f"  # tags of flags
        or "\u1160" <= after <= "\u11ff"  # vowels and finals of Hangul
        or ("\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff")  # halves of a pair
        or before + after == "\r\n"
        or unicodedata.combining(before) == 9  # a virama, which joins two letters
    )
    if joined or not _is_regional(after):
        return not joined
    run = 0
    while run < place and _is_regional(text[place - 1 - run]):
        run += 1
    return run % 2 == 0


def _is_regional(character: str) -> bool:
    """Half of a flag."""
    return "\U0001f1e6" <= character <= "\U0001f1ff"
