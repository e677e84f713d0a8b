"""The stage that has an entry's document at hand: what its `document` names, at that commit, as text. A skill has none.

Where docling is installed, PDF and HTML are read with it; what it cannot read is read as without it, and which did it stands
in document.json. So without its models nothing is lost but tables, and the log says why.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import Invalid, Problem
from pipeline.files import write, write_parts
from pipeline.stage import Job
from pipeline.stages import fetch
from pipeline.texts import HTML, Read, by_docling, has_docling, read_of

JSON, LINES = "document.json", "document.jsonl"
SHOWN = 5  # files that were cut, in the facts

_log = logging.getLogger(__name__)


def document(job: Job) -> Mapping[str, str]:
    """Fetch the document; write which commit and files it is (document.json), and each file's path and text (document.jsonl).

    A PDF's row has how many `pages` it has and how many were `read`; the fact `cut` names those that are longer than we read.
    For a skill {} and no line. Raises Invalid document.entry for an entry that cannot be read, else what fetch.document does.
    """
    named = source((job.folder / "entry" / "qna.yaml").read_text(encoding="utf-8"))
    if named is None:
        write_parts(job.folder / LINES, ())
        write(job.folder / JSON, "{}")
        return {}
    told: dict[str, dict[str, Any]] = {}
    found = fetch.document(job, named, lambda content, path: _read(content, path, told))
    files = [{**row, **told[row["path"]]} for row in found.found["files"]]
    write_parts(job.folder / LINES, (_line(path, text) for path, text in found.texts.items()))
    write(job.folder / JSON, json.dumps({**found.found, "files": files}, indent=1))
    short = [row for row in files if row.get("read", 0) < row.get("pages", 0)]
    cut = [f"{row['path']} ({row['read']} of {row['pages']} pages)" for row in short]
    return {**found.facts, **({"cut": ", ".join(cut[:SHOWN])} if cut else {})}


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Path and text of each file of a run's document, one in memory at a time."""
    with (folder / LINES).open(encoding="ascii") as lines:
        for line in lines:
            found = json.loads(line)
            yield found["path"], found["text"]


def source(qna: str) -> Mapping[str, Any] | None:
    """Repo, ref and patterns of an entry's document, None for a skill. Raises Invalid document.entry."""
    try:
        found = yaml.safe_load(qna)
        if not isinstance(found, dict):
            raise TypeError("the entry is no mapping")
        if "document" not in found:
            return None
        named = found["document"]
        repo, commit, patterns = named["repo"], named["commit"], named["patterns"]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise _unread(f"its document cannot be read: {error}") from None
    if not (isinstance(repo, str) and isinstance(commit, str) and commit.strip() and isinstance(patterns, list)):
        raise _unread("its document has to have a repo, a commit and a list of patterns")
    return {"repo": repo.strip(), "ref": commit.strip(), "patterns": patterns}


def _read(content: bytes, path: str, told: dict[str, dict[str, Any]]) -> str:
    """A file's text; whether docling read it, and of a PDF how much was read, is noted in `told`."""
    found, by = _by_docling(content, path), "docling"
    if found is None:
        found, by = read_of(content, path), ""
    told[path] = {"by": by, **({"pages": found.pages, "read": found.read} if found.pages else {})}
    return found.text


def _by_docling(content: bytes, path: str) -> Read | None:
    if not (path.endswith((".pdf", *HTML)) and has_docling()):
        return None
    try:
        return by_docling(content, path)
    except Exception as error:  # its models, their download and their libraries raise whatever they like
        _log.warning("docling could not read %s, so it is read without: %s: %.300s", path, type(error).__name__, error)
        return None


def _line(path: str, text: str) -> bytes:
    """U+2028 and its like would end a line elsewhere: it is ASCII."""
    return json.dumps({"path": path, "text": text}).encode("ascii") + b"\n"


def _unread(message: str) -> Invalid:
    fix = "Name the repository, a commit of it and its files."
    return Invalid(Problem("document.entry", message, "entry/qna.yaml", fix))
