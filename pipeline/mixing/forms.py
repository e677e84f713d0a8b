"""Samples as rows of upstream's files (instructlab-sdg 0.8.3: datamixing.py, generate_data.py), one JSON object a line.

A row to train on has `id`, `messages` (a list of {content, role}), `metadata` (JSON as a string) and `unmask` (whether the
loss counts every message, not only the assistant's). Lines are ASCII: upstream reads with `splitlines`, for which U+2028
ends one; halves of surrogate pairs, which no reader of Arrow takes, become U+FFFD. What differs from upstream, on purpose:

* ids are those of the samples, with the form of a row of knowledge after it, so that every row can be traced;
* what upstream has in columns of a skill's own stands in `metadata`, where mixing moves it anyway: a column of answers that
  are all dates would be read as dates, and could not be mixed;
* a grounded question of the legacy files has its context once. Upstream's full pipeline writes it before and behind;
* `test.jsonl` is the unseen set. Upstream's are the seed examples that it trained on.
"""

import json
import re
from typing import Any, Literal

from pipeline.generating.rows import Row

Form = Literal["document", "raft", "closed"]

KINDS = {"freeform": "freeform_skill", "grounded": "grounded_skill", "knowledge": "knowledge"}  # upstream's names
TOLD = "document_knowledge_qa"  # upstream's name for rows of knowledge, in their metadata
COLUMNS = ("id", "messages", "metadata", "unmask")
OPENING = b'"messages":['  # what a system message is put behind; ids stand before it and have no quotes in them

_HALF = re.compile("[\ud800-\udfff]")
_compact = json.JSONEncoder(separators=(",", ":")).encode  # made once: json.dumps would make one for every line


def clean(text: str) -> str:
    """A text without outer blanks, as upstream writes it, and without halves of characters."""
    return unbroken(text.strip())


def unbroken(text: str) -> str:
    return text if text.isascii() else _HALF.sub("\ufffd", text)


def line(record: dict[str, Any]) -> bytes:
    return _compact(record).encode("ascii") + b"\n"


def whole(row: Row) -> bool:
    """Whether there is something to learn: upstream leaves out rows without a question, an answer or a document."""
    return bool(row.question.strip() and row.answer.strip() and (row.kind != "knowledge" or row.document.strip()))


def skill(row: Row, system: str) -> bytes:
    """A line of a skill: the system prompt, the question with its context before it, the answer."""
    messages = [_said("system", system), _said("user", clean(row.asks)), _said("assistant", clean(row.answer))]
    return _trained(row.id, messages, _origin(row), unmask=False)


def knowledge(row: Row, domain: str, form: Form, documents: list[str], golden: float = 0.0) -> bytes:
    """A line of knowledge, which gets its system prompt when it is mixed.

    "document": behind its document, every message learned, for both phases. "raft": behind several documents, its own among
    them in a share `golden` of the rows. "closed": the question alone, as people ask.
    """
    asks = clean(row.question)
    name = {"document": TOLD, "raft": f"{TOLD}_raft_p{golden}", "closed": f"{TOLD}_closed"}[form]
    if form == "document":
        asks = f"{clean(row.document)}\n\n{asks}"
    elif form == "raft":
        shown = "\n".join(f"Document:\n{one}\n\n" for one in documents)
        asks = f"{shown}\n\n{asks}"
    told = {"sdg_document": clean(row.document), "domain": clean(domain), "dataset": name, **_origin(row)}
    messages = [_said("user", asks), _said("assistant", clean(row.answer))]
    return _trained(f"{row.id}-{form}", messages, told, unmask=form == "document")


def with_system(trained: bytes, system: str) -> bytes:
    """A line of ours with the system prompt before its messages; not for lines of others."""
    return trained.replace(OPENING, OPENING + _compact(_said("system", system)).encode() + b",", 1)


def legacy(row: Row, system: str) -> tuple[bytes, bytes]:
    """The lines of train.jsonl and messages.jsonl."""
    user, answer = _asked(row), clean(row.answer)
    messages = [_said("user", user), _said("assistant", answer)]
    train = {"system": system, "user": user, "assistant": answer}
    return line(train), line({"messages": messages, "metadata": json.dumps({"system": system})})


def test(row: Row, system: str) -> bytes:
    """The line of test.jsonl: with what the question is about below it, a document too, as upstream has it."""
    below = clean(row.document) if row.kind == "knowledge" else ""
    user = f"{_asked(row)}\n{below}" if below else _asked(row)
    return line({"user": user, "assistant": clean(row.answer), "system": system})


def _asked(row: Row) -> str:
    question, context = clean(row.question), clean(row.context)
    return f"{question}\n{context}" if context else question


def _said(role: str, content: str) -> dict[str, str]:
    return {"content": content, "role": role}


def _origin(row: Row) -> dict[str, Any]:
    """Where a row comes from, for its metadata."""
    found: dict[str, Any] = {"leaf_node_path": node(row.leaf), "leaf_node_type": KINDS[row.kind]}
    found |= {"sample": row.number, "seed": row.seed}
    if row.chunk:
        found["chunk"] = row.chunk
    if row.facet:
        found["facet"] = dict(row.facet)
    if row.scores:
        found["scores"] = {one.step: one.score for one in row.scores}
    return found


def _trained(name: str, messages: list[dict[str, str]], told: dict[str, Any], *, unmask: bool) -> bytes:
    return line({"id": name, "messages": messages, "metadata": json.dumps(told), "unmask": unmask})


def node(leaf: str) -> str:
    """Upstream's name for a leaf, of which its files are named."""
    return leaf.strip("/").replace("/", "_")
