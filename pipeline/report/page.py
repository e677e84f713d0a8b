"""report.html: one file in which people read what a run has made, with no server and no network.

Samples are the words of models and of strangers. They stand in the page as JSON, in blocks that no browser runs, and its
script shows them as text and as nothing else. The policy in its head lets no other script or style run and nothing be
fetched, so that a mistake of ours stays a mistake and is no hole. page.html, page.css and the scripts are put together as
they are; what a stage adds is a part, see `parts`.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

from pipeline import files
from pipeline.report import parts

NAME = "report.html"
SCRIPTS = ("training.js", "page.js")  # as one: the last begins to draw


def write(folder: Path) -> None:
    """Write report.html into a run's folder anew, from what lies there; the same files give the same bytes.

    A part whose files are not there is left out. One sample at a time is in memory. Raises Failed for a damaged file, and
    where the disk refuses.
    """
    files.write_parts(folder / NAME, (piece.encode() for piece in _pieces(folder)))


def _pieces(folder: Path) -> Iterator[str]:
    style, script = _ours("page.css"), "".join(map(_ours, SCRIPTS))
    head, tail = _ours("page.html").split("@data@")
    yield head.replace("@policy@", policy(style, script)).replace("@style@", style)
    for name, part in parts.PARTS.items():
        begun = False
        for piece in part(folder):
            yield piece if begun else f'<script type="application/json" id="{name}-data">{piece}'
            begun = True
        yield "</script>\n" if begun else ""
    before, after = tail.split("@script@")
    yield from (before, script, after)


def policy(style: str, script: str) -> str:
    """What a browser lets the page do: run this style and this script, and nothing else.

    Trusted types make it refuse even our own script where that would make markup of a text.
    """
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _ours(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
