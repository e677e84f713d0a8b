"""Texts of others in markdown that people read: what they wrote can be no link, no tag and no heading."""

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(text: object) -> str:
    """A text on one line that markdown shows as it is."""
    shown = re.sub(r"([\\`*_#<>\[\]!|&~$])", r"\\\1", " ".join(str(text).split()))
    return re.sub(r"(?i)(www)\.", r"\1&#46;", shown.replace("://", "&#58;//"))  # addresses are links even bare (GFM, autolinks)


def link(text: object) -> str:
    """An address of the web, to be followed, as what was given for one; anything else is a text."""
    return f"<{text}>" if re.fullmatch(r"https?://[^\s<>|`\\\"]+", str(text)) else plain(text)


def code(text: object) -> str:
    """A text between backquotes, also in a table."""
    return re.sub(r"[`|\s]+", " ", str(text)).strip()
