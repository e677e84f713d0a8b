"""A person's text where GitHub reads it: it pings nobody, closes nothing, and is no markdown but what is meant as such."""

import re

# GitHub reads mentions and references after markdown and in commits, where no backslash helps (github/markup#1168).
_LOUD = re.compile(r"@(?=[A-Za-z0-9])|#(?=\d)|(?<=\bGH)-(?=\d)|(?<=/issues)/(?=\d)|(?<=/pull)/(?=\d)", re.IGNORECASE)
QUIET = "\u200b"  # a space of no width behind what would be read
_MARKS = re.compile(r"([\\`*_#<>\[\]!|&~])")


def muted(text: str) -> str:
    """Take mentions and references out."""
    return _LOUD.sub(lambda mark: f"{mark[0]}{QUIET}", text)


def inline(text: str) -> str:
    """A text as part of a line."""
    return escaped(" ".join(text.split()))


def quoted(text: str) -> str:
    """A text as a markdown quotation: it starts no list, heading or tag."""
    return "\n".join(f"> {line}" for line in escaped(text).splitlines() or [""])  # markdown ends a line at \r too


def escaped(text: str) -> str:
    return muted(_MARKS.sub(r"\\\1", text))


def clipped(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length].rstrip()} …"


def fenced(text: str, language: str) -> str:
    """A text as a code block, whatever is in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"
