"""The records of the core as JSON and back: what Redis holds of events, cards, drafts and people.

A record is an object with its class's name under "is"; only the classes listed here are ever made. Texts go through
as they are, halves of surrogate pairs too (JSON's \\u escapes carry them).
"""

import dataclasses
import json
from base64 import b64decode, b64encode
from typing import Any, TypeVar

from bot.core import records, talk
from pipeline.errors import Problem
from pipeline.pulls import Check, Followed, News, Note, Pull, Remark, Waiting
from pipeline.taxonomy import Document, Knowledge, Passage, SeedExample, Skill, Work

T = TypeVar("T")

_CLASSES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        *(one for one in vars(talk).values() if dataclasses.is_dataclass(one) and isinstance(one, type)),
        *(
            records.Person,
            records.Conversation,
            records.Draft,
            records.Spent,
            records.Run,
            records.Asked,
            records.Turn,
            records.Kept,
            records.Paused,
            records.Audit,
        ),
        *(Problem, Skill, Knowledge, Passage, Document, SeedExample, Work),
        *(Pull, Check, Note, Remark, News, Waiting, Followed),
    )
}


def register(cls: type[T]) -> type[T]:
    """Let records of a further class be kept."""
    assert _CLASSES.setdefault(cls.__name__, cls) is cls, cls
    return cls


def enclose(content: bytes) -> str:
    """A file as a token that holds all of it: what a platform has no place of its own for."""
    return b64encode(content).decode()


def enclosed(token: str) -> bytes:
    return b64decode(token, validate=True)


def pack(record: object) -> str:
    return json.dumps(_bare(record), separators=(",", ":"))


def unpack(text: str | bytes, kind: type[T]) -> T:
    """Read a record back; a field that this version does not know is dropped, a new one gets its default.

    Raises TypeError when it is not one of `kind`.
    """
    made = _made(json.loads(text))
    if not isinstance(made, kind):
        raise TypeError(f"{type(made).__name__} where {kind.__name__} was expected")
    return made


def _bare(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {one.name: _bare(getattr(value, one.name)) for one in dataclasses.fields(value)}
        return {"is": type(value).__name__, **fields}
    if isinstance(value, dict):
        assert "is" not in value, "names of ours only: fields, answers, facts"
        return {key: _bare(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_bare(one) for one in value]
    return value


def _made(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_made(one) for one in value)
    if not isinstance(value, dict):
        return value
    if "is" not in value:
        return {key: _made(one) for key, one in value.items()}
    cls = _CLASSES[value["is"]]
    names = {one.name for one in dataclasses.fields(cls)}
    return cls(**{key: _made(one) for key, one in value.items() if key in names})
