"""Markdown becomes entries: what can be found, shown and linked to.

Headings `##` and `###` are entries; deeper ones stay inside, unless the heading above only groups them (it has no text of
its own): then they are entries, and its name is their section. A table with a column Term becomes an entry a row. Paragraphs
that are a bold question and `<summary>` lines are entries too. An entry's text is kept to the letter, but for links made
absolute. markdown-it finds the blocks; it is told to leave what stands inside them alone, which is most of its work.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urljoin

from markdown_it import MarkdownIt
from markdown_it.token import Token

from pipeline.errors import Problem

LARGEST_BYTES = 20_000_000
GLOSSARY = "Glossary: "
_FIELD = re.compile(r"(answers|link|asked): *(.*)")
_CONTENTS = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+\[[^\]]*\]\(#[^)]*\)\s*")
_FRONT = re.compile(r"\A---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_BOLD = re.compile(
    r"(?:Q\d*[:.] *)?(\*\*|__)(?:Q\d*[:.] *)?(?P<title>(?:(?!\1).)+\?) *\1|\*\*Q\d*[:.]\*\* *(?P<after>[^*\n]+\?)"
)
_SUMMARY = re.compile(r"<summary>\s*(?P<title>.*?)\s*</summary>", re.DOTALL | re.IGNORECASE)
_LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?\)")
_INLINE_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()(<?)([^)\s>]+)")
_LINK_NAMED = re.compile(r"^( {0,3}\[[^\]]+\]: *<?)([^\s>]+)")
_CODE = re.compile(r"(`+)(?:(?!`).)+?\1(?!`)")
_ABSOLUTE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//")


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer. `answers`: the names it goes by, else the title alone. `file` is relative to the path that was given."""

    title: str
    answers: tuple[str, ...]
    link: str
    asked: tuple[str, ...]
    body: str
    file: str
    anchor: str
    section: str = ""
    named: bool = False  # whether the entry itself says what it answers

    @property
    def id(self) -> str:
        """Short, and the same as long as file and title are: buttons carry it."""
        return sha256(f"{self.file}\n{self.title}".encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class _Heading:
    """A place where an entry may begin. `start` to `end` are its own lines; level 7 is bold text, below any heading."""

    level: int
    title: str
    start: int
    end: int
    anchor: str = ""


_Kind = Literal["entry", "section", "inside"]  # a section ends the entry before it and is none itself


@dataclass(frozen=True, slots=True)
class _Page:
    lines: list[str]
    headings: list[_Heading]
    tables: list[Token]
    file: str
    url: str


def files(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """The markdown files that the paths name, each once, with its name relative to the folder that was given."""
    found: dict[Path, str] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in (".md", ".markdown") and one.is_file())
            found |= {one: one.relative_to(path).as_posix() for one in inside if one not in found}
        else:
            found.setdefault(path, path.name)
    return list(found.items())


def read(path: Path, name: str, base_url: str) -> tuple[list[Entry], list[Problem]]:
    """The entries of one file, or the problem that keeps it from being read."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            return [], [Problem("faq.large", f"the file has over {LARGEST_BYTES} bytes", name, "Split it.")]
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return [], [Problem("faq.encoding", "the file is not UTF-8 text", name, "Save it as UTF-8.")]
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        return [], [Problem("faq.unreadable", reason, name, "Mend the path in faq.paths, or the file's rights.")]
    return entries(text, name, base_url), []


def entries(text: str, file: str, base_url: str = "") -> list[Entry]:
    """The entries of a markdown text; a text without any heading is one entry that is called as its file is."""
    page = _page(_unfronted(re.sub(r"\r\n?", "\n", text).replace("\0", "\ufffd")), file, base_url)
    chosen = _chosen(page)
    if not chosen and _loose(page):
        whole = _Heading(1, Path(file).stem.replace("-", " ").replace("_", " "), 0, 0)
        chosen = [(whole, "", len(page.lines))]
    return [entry for heading, section, end in chosen for entry in _made(page, heading, section, end)]


def _unfronted(text: str) -> str:
    """The text with its front matter blanked, so that line numbers stay."""
    front = _FRONT.match(text)
    return text if not front else "\n" * front[0].count("\n") + text[front.end() :]


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table").disable("inline")


@cache
def _inline() -> MarkdownIt:
    return MarkdownIt("commonmark")


def _page(text: str, file: str, base_url: str) -> _Page:
    tokens = _parser().parse(text)
    counted: Counter[str] = Counter()
    headings = []
    for token, content in pairwise(tokens):
        if token.map is None or token.level:
            continue
        if token.type == "heading_open":
            title = " ".join(content.content.split())
            start, end = token.map
            headings.append(_Heading(int(token.tag[1]), title, start, end, _anchor(title, counted)))
        elif token.type == "paragraph_open":
            headings += _bold(content.content, token.map[0])
        elif token.type == "html_block":
            headings += _summaries(token.content, token.map[0])
    if tokens and tokens[-1].type == "html_block" and tokens[-1].map and not tokens[-1].level:
        headings += _summaries(tokens[-1].content, tokens[-1].map[0])
    url = urljoin(f"{base_url.rstrip('/')}/", quote(file)) if base_url else ""
    return _Page(text.split("\n"), headings, [one for one in tokens if one.type == "table_open"], file, url)


def _bold(paragraph: str, line: int) -> Iterator[_Heading]:
    """A paragraph that is a bold question, or begins with one on a line of its own."""
    first, _, _ = paragraph.partition("\n")
    if found := _BOLD.fullmatch(first.strip()):
        yield _Heading(7, (found["title"] or found["after"]).strip(), line, line + 1)


def _summaries(html: str, line: int) -> Iterator[_Heading]:
    for found in _SUMMARY.finditer(html):
        first, last = line + html[: found.start()].count("\n"), line + html[: found.end()].count("\n")
        title = re.sub(r"<[^>]*>", "", found["title"]).strip()
        alone = html.split("\n")[first - line : last + 1 - line]
        if title and "".join(alone).strip() == found[0].replace("\n", ""):  # else text beside it would be lost
            yield _Heading(7, " ".join(title.split()), first, last + 1)


def _anchor(title: str, counted: Counter[str]) -> str:
    """As GitHub makes them: lower case, spaces to hyphens, punctuation dropped, -1, -2 for those that were there before."""
    tokens = _inline().parseInline(title)[0].children or []
    text = "".join(token.content for token in tokens if token.type in ("text", "code_inline")) if tokens else title
    slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
    counted[slug] += 1
    return slug if counted[slug] == 1 else f"{slug}-{counted[slug] - 1}"


def _chosen(page: _Page) -> list[tuple[_Heading, str, int]]:
    """The headings that are entries, each with its section and the line where its text ends."""
    marks: list[tuple[_Heading, _Kind, str]] = []
    above: list[tuple[_Heading, _Kind]] = []  # what this heading stands under
    for number, heading in enumerate(page.headings):
        above = [one for one in above if one[0].level < heading.level]
        kind = _kind(page, number, above[-1] if above else None)
        if kind != "inside":
            marks.append((heading, kind, next((one.title for one, its in reversed(above) if its == "section"), "")))
            above.append((heading, kind))
    ends = [mark[0].start for mark in marks[1:]] + [len(page.lines)] * bool(marks)
    return [(heading, section, end) for (heading, kind, section), end in zip(marks, ends, strict=True) if kind == "entry"]


def _loose(page: _Page) -> bool:
    """Whether anything stands outside the headings."""
    headed = {number for heading in page.headings for number in range(heading.start, heading.end)}
    return any(line.strip() for number, line in enumerate(page.lines) if number not in headed)


def _kind(page: _Page, number: int, above: tuple[_Heading, _Kind] | None) -> _Kind:
    heading = page.headings[number]
    question = heading.title.endswith("?")
    if above and above[1] == "entry" and (heading.level in (4, 5, 6) or (heading.level == 7 and above[0].title.endswith("?"))):
        return "inside"
    following = page.headings[number + 1] if number + 1 < len(page.headings) else None
    own = [line for line in page.lines[heading.end : following.start if following else len(page.lines)] if line.strip()]
    if all(_CONTENTS.fullmatch(line) for line in own):  # nothing, or a table of contents
        return "section" if heading.level < 7 else "entry"
    if heading.level == 1 and not number and not question and any(one.level != 1 for one in page.headings):
        return "section"  # the file's title, and what introduces the file
    return "entry"


def _made(page: _Page, heading: _Heading, section: str, end: int) -> Iterator[Entry]:
    """The entry, if it has any text, and one more for each row of its tables of terms."""
    lines = list(page.lines)
    rows: list[Entry] = []
    for table in page.tables:
        if table.map and heading.end <= table.map[0] < end and (found := _terms(page, table, heading)):
            rows += found
            lines[slice(*table.map)] = [""] * (table.map[1] - table.map[0])
    fields, start = _fields(lines, heading.end, end)
    body = "\n".join(_absolute(lines[start:end], page.url)).strip("\n").rstrip()
    anchor = heading.anchor
    if body.strip():
        own = f"{page.url}#{anchor}" if page.url and anchor else page.url
        named, asked = _barred(fields.get("answers", "")), _barred(fields.get("asked", ""))
        answers = named or (heading.title,)
        yield Entry(heading.title, answers, fields.get("link", own), asked, body, page.file, anchor, section, bool(named))
    yield from rows


def _fields(lines: Sequence[str], start: int, end: int) -> tuple[dict[str, str], int]:
    """The lines `answers:`, `link:`, `asked:` that may stand first, each once, and the number of the line after them.

    An empty line must follow and then text: else they are text themselves, that only looks so.
    """
    found: dict[str, str] = {}
    number = next((number for number in range(start, end) if lines[number].strip()), end)
    while number < end and (field := _FIELD.fullmatch(lines[number].rstrip())) and field[1] not in found:
        found[field[1]] = field[2].strip()
        number += 1
    followed = number < end and not lines[number].strip() and any(line.strip() for line in lines[number:end])
    return (found, number) if found and followed else ({}, start)


def _barred(text: str) -> tuple[str, ...]:
    return tuple(part for part in (one.strip() for one in text.split("|")) if part)


def _terms(page: _Page, table: Token, heading: _Heading) -> list[Entry]:
    """A table's rows as entries, if one of its columns is called Term. Cells are apart at bars that no backslash escapes."""
    start, end = table.map or (0, 0)
    cells = [_cells(line) for line in page.lines[start:end]]
    column = next((number for number, cell in enumerate(cells[0]) if cell.strip("*_ ").lower() == "term"), None)
    if column is None:
        return []
    return [_term(page, row, column, heading) for row in cells[2:] if len(row) > column and row[column].strip()]


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", re.sub(r"^\s*\||(?<!\\)\|\s*$", "", line))]


def _term(page: _Page, row: list[str], column: int, heading: _Heading) -> Entry:
    """The term's entry. Its text is the other cells; those that say there is nothing, and bare references, add none."""
    name = f"{GLOSSARY}{row[column]}"
    others = [cell for number, cell in enumerate(row) if number != column]
    said = [cell for cell in others if cell and cell.lower() not in ("n/a", "-", "--")]
    body = "\n\n".join(_absolute(said, page.url)) or row[column]
    linked = next((found[1] for cell in said[1:] if (found := _LINK.fullmatch(cell))), "")
    own = f"{page.url}#{heading.anchor}" if page.url else ""
    link = urljoin(page.url, linked) if linked else own
    return Entry(name, (name,), link, (), body, page.file, heading.anchor, heading.title)


def _absolute(lines: Sequence[str], url: str) -> list[str]:
    """The lines with their relative links made absolute; fences and code spans stay as they are."""
    if not url:
        return list(lines)
    made, fence = [], ""
    for line in lines:
        mark = re.match(r"[\s>]*(```+|~~~+)", line)
        if mark and (not fence or (mark[1].startswith(fence) and not line.strip().strip(fence[0]))):
            fence = "" if fence else mark[1]
        made.append(line if fence or mark else _linked(line, url))
    return made


def _linked(line: str, url: str) -> str:
    pieces, last = [], 0
    for code in _CODE.finditer(line):
        pieces += [_joined(line[last : code.start()], url), code[0]]
        last = code.end()
    return "".join([*pieces, _joined(line[last:], url)])


def _joined(text: str, url: str) -> str:
    text = _INLINE_LINK.sub(lambda found: f"{found[1]}{found[2]}{_target(found[3], url)}", text)
    return _LINK_NAMED.sub(lambda found: f"{found[1]}{_target(found[2], url)}", text)


def _target(link: str, url: str) -> str:
    try:
        return link if _ABSOLUTE.match(link) else urljoin(url, link)
    except ValueError:  # such as "//[": no address, so it stays as somebody wrote it
        return link
