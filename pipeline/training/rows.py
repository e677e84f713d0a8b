"""Rows to train on: JSON lines with `messages`, those of a mix and those that `ilab` wrote.

Taken are the rows of instructlab-training 0.16 (data_process.py: `messages` of {role, content}, and `unmask`), among them old
ones whose only message has the role "pretraining" and holds a whole conversation with the marks of Granite's templates, and
the rows of the legacy `train_*.jsonl`: {system, user, assistant}. A file is read line by line: one row is in memory at a time.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pipeline.errors import Failed, Invalid, Problem
from pipeline.mixing.forms import unbroken

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")
SHAPE = "Every line is a JSON object with `messages`, a list of {role, content}."
# How instructlab-sdg wrote conversations into one text, for the templates of granite-7b and of Granite 3. Its own reader ends
# a message at the first "<", which tears texts with formulas; here only these marks end one.
_SPOKE = re.compile(r"<\|(user|assistant)\|>\n?|<\|start_of_role\|>(user|assistant)<\|end_of_role\|>\n?")
_OVER = re.compile(r"(?:<\|endoftext\|>|<\|end_of_text\|>)\s*\Z")


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A conversation to learn from. `where`: file and line, for people; `id` is that too where the row has none.

    Learned is what the assistant says; with `unmask` everything but system messages.
    """

    id: str
    messages: tuple[Message, ...]
    unmask: bool = False
    where: str = ""


def read(path: Path) -> Iterator[Sample]:
    """The rows of a file; blank lines are none.

    Raises Invalid train.row, naming file and line, for a line that is no row, and Failed where the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                if not text.isspace():
                    yield _row(text, path.name, number)
    except OSError as error:
        raise Failed(f"{path.name} could not be read: {error.strerror or error}") from error


def _row(text: bytes, name: str, number: int) -> Sample:
    where = f"{name}, line {number}"
    try:
        found = json.loads(text.strip())
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")
        messages, unmask = _conversation(found)
    except (ValueError, RecursionError) as error:
        why = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        fix = "Mend the line or take it out of the file, then start again: nothing else is lost."
        facts = {"file": name, "line": f"{number}", "why": why}
        raise Invalid(Problem("train.row", f"this is no row to train on: {why}. {SHAPE}", where, fix, facts)) from None
    return Sample(str(found.get("id") or where), messages, unmask, where)


def _conversation(found: Mapping[str, Any]) -> tuple[tuple[Message, ...], bool]:
    """The messages of a row, and whether all are learned. Raises ValueError, saying what is wrong."""
    listed = found["messages"] if "messages" in found else _legacy(found)
    if not isinstance(listed, list) or not listed:
        raise ValueError("`messages` is no list with something in it")
    unmask = found.get("unmask") or False
    if not isinstance(unmask, bool):
        raise ValueError("`unmask` is neither true nor false")
    messages: list[Message] = []
    for at, one in enumerate(listed, 1):
        role, content = _said(one, at)
        if role == "pretraining":
            messages += _told(content, at)
            unmask = True
        elif role in ROLES:
            messages.append(Message(role, content))
        else:
            raise ValueError(f"message {at} has the role {role!r:.40}, which is none of {', '.join(ROLES)}")
    if messages[0].role == "assistant":
        raise ValueError("the assistant speaks first, so there is nothing that it answers")
    if not unmask and all(one.role != "assistant" for one in messages):
        raise ValueError("the assistant says nothing, so there is nothing to learn")
    return tuple(messages), unmask


def _legacy(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row of train_*.jsonl as messages; its system prompt may be missing or empty, as in test_*.jsonl."""
    if "user" not in found or "assistant" not in found:
        raise ValueError("it has no `messages`")
    asked = [{"role": role, "content": found[role]} for role in ("user", "assistant")]
    return [{"role": "system", "content": found["system"]}, *asked] if found.get("system") else asked


def _said(message: Any, at: int) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise ValueError(f"message {at} is no {{role, content}}")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str):
        raise ValueError(f"message {at} has no role")
    if not isinstance(content, str):
        raise ValueError(f"message {at} has no text as its content")
    return role, unbroken(content)


def _told(text: str, at: int) -> list[Message]:
    """The messages in the text of a "pretraining" message."""
    found = list(_SPOKE.finditer(text))
    if not found:
        raise ValueError(f"message {at}, of the role pretraining, has no marks such as <|user|>")
    ends = [one.start() for one in found[1:]] + [len(text)]
    return [
        Message(cast(Role, one[1] or one[2]), _OVER.sub("", text[one.end() : end].strip()).strip())
        for one, end in zip(found, ends, strict=True)
    ]
