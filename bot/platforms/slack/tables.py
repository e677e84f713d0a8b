"""Tables in what `prose` made, as Slack's own: rows of cells."""

import re

from bot.platforms.slack import limits
from bot.platforms.slack.prose import fenced, unescaped
from bot.split import segments, size

_ROW = re.compile(r"[ \t]*\|.*\|[ \t]*")
_DASHES = re.compile(r"[ \t]*\|(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*")


def tables(markdown: str) -> list[str | list[list[str]]]:
    """What `prose` made, in parts: markdown, and the one table that is shown as one, as rows of cells without markup.

    A table that does not fit, or is the second one, is a fence: a message can show one.
    """
    parts: list[str | list[list[str]]] = []
    for part in segments(markdown):
        if part.fence:
            parts.append(f"{part.fence.opener}\n{part.text}\n{part.fence.marker}")
        else:
            parts += _tables(part.text.split("\n"))
    seen = False
    found: list[str | list[list[str]]] = []
    for one in parts:
        shows = isinstance(one, list) and not seen and _fits(one)
        seen = seen or shows
        text = one if isinstance(one, str) else fenced("\n".join(f"| {' | '.join(row)} |" for row in one))
        if shows:
            found.append(one)
        elif found and isinstance(found[-1], str):
            found[-1] += f"\n{text}"
        else:
            found.append(text)
    return [one if isinstance(one, list) else one.strip("\n") for one in found if isinstance(one, list) or one.strip()]


def _tables(lines: list[str]) -> list[str | list[list[str]]]:
    """Lines of prose in parts: text, and tables of a head, dashes and rows."""
    parts: list[str | list[list[str]]] = []
    text: list[str] = []
    at = 0
    while at < len(lines):
        end = _table_end(lines, at)
        if end == at:
            text.append(lines[at])
            at += 1
            continue
        if text:
            parts.append("\n".join(text))
        head = _cells(lines[at])
        rows = [(_cells(line) + [""] * len(head))[: len(head)] for line in lines[at + 2 : end]]
        parts.append([head, *rows])
        text, at = [], end
    return [*parts, "\n".join(text)] if text else parts


def _table_end(lines: list[str], at: int) -> int:
    """The end of the table that begins at a line; the line itself where none does."""
    if not (at + 1 < len(lines) and _ROW.fullmatch(lines[at]) and _DASHES.fullmatch(lines[at + 1])):
        return at
    if len(_cells(lines[at])) != len(_cells(lines[at + 1])):
        return at
    end = at + 2
    while end < len(lines) and _ROW.fullmatch(lines[end]):
        end += 1
    return end


def _cells(row: str) -> list[str]:
    return [unescaped(cell.strip()) for cell in re.split(r"(?<!\\)\|", row.strip()[1:-1])]


def _fits(rows: list[list[str]]) -> bool:
    return (
        len(rows) <= limits.TABLE_ROWS
        and len(rows[0]) <= limits.TABLE_COLUMNS
        and sum(size(cell) + 1 for row in rows for cell in row) <= limits.TABLE_TEXT
    )
