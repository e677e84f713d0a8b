"""The questions of a taxonomy checkout, indexed, and kept in a folder by the digest of its files."""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

from pipeline import intake
from pipeline.check import SIZE_BYTES
from pipeline.screening.alike import Alike
from pipeline.screening.whole import asked
from pipeline.taxonomy import Knowledge, SeedExample, read_tree

log = logging.getLogger("labbot")

FORM = "2"  # of the index: another one is made where the way of making it changes


def of_tree(checkout: Path, cache: Path) -> Alike:
    """The index of the questions of a checkout, from `cache` where that has it; takes 2 ms a file to make.

    Ids are `<leaf>#<number>`, examples counted from 1 (`<leaf>#<number>.<pair>` in knowledge). What cannot be read as an
    entry has no questions; the check tells about it.
    """
    folder = cache / _digest(checkout)
    try:
        return Alike.read(folder)
    except (OSError, ValueError):
        made = Alike(questions(checkout))
        try:
            made.write(folder)
        except OSError as error:  # a full disk: it is made again at the next start
            log.warning("the index of questions cannot be kept: %s", error.strerror)
        return made


def questions(checkout: Path) -> Iterator[tuple[str, str]]:
    for leaf, text in _files(checkout):
        entry = intake.take(text, f"{leaf}/qna.yaml").entry
        if isinstance(entry, Knowledge):
            for number, passage in enumerate(entry.passages, 1):
                yield from ((f"{leaf}#{number}.{pair}", one.question) for pair, one in enumerate(passage.pairs, 1))
        elif entry:
            yield from _skill(leaf, entry.examples)


def _skill(leaf: str, examples: tuple[SeedExample, ...]) -> Iterator[tuple[str, str]]:
    yield from ((f"{leaf}#{number}", asked(one)) for number, one in enumerate(examples, 1))


def _files(checkout: Path) -> Iterator[tuple[str, str]]:
    for leaf in read_tree(checkout).leaves:
        path = checkout / leaf / "qna.yaml"
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= SIZE_BYTES:
            yield leaf, path.read_text(encoding="utf-8", errors="replace")


def _digest(checkout: Path) -> str:
    made = hashlib.blake2b(FORM.encode(), digest_size=16)
    for leaf, text in _files(checkout):
        made.update(f"{leaf}\0{len(text)}\0{text}".encode())
    return made.hexdigest()
