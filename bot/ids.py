"""Ids of people as they are now: whoever is linked with somebody else goes by that one's id from then on.

What was heard, ordered or begun before still names the old id; it is put right when it is taken up.
"""

import re
from typing import TypeVar

from bot.pack import pack, unpack
from pipeline.memory import Memory

T = TypeVar("T")

MOVED = "bot:moved"
_ID = re.compile(r"(?<![\w-])p[0-9a-f]{10}(?![\w-])")  # as `Store.person` makes them, also in places and mentions


async def now(memory: Memory, record: T) -> T:
    """The record with everybody in it by the id that they go by now."""
    text = pack(record)
    found = sorted(set(_ID.findall(text)))
    rows = await memory.do("HMGET", MOVED, *found) if found else []
    turned = {old: new.decode() for old, new in zip(found, rows, strict=True) if new}
    return unpack(_ID.sub(lambda mark: turned.get(mark[0], mark[0]), text), type(record)) if turned else record


async def family(memory: Memory, person: str) -> list[str]:
    """Everything that somebody went by, the id of today first."""
    rows = await memory.do("HGETALL", MOVED)
    return [person, *sorted(old.decode() for old, new in rows.items() if new.decode() == person)]
