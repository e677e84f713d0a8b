"""Which keys of Redis hold something: what tests of privacy look for."""

from typing import Any

import redis


def holding(plain: redis.Redis, *parts: str) -> list[str]:
    """The keys that hold any of these, in their names or in what they hold."""
    names = [bytes(name) for name in plain.scan_iter("*")]
    rows = {name.decode(): name + bytes(plain.dump(name) or b"") + _all(plain, name) for name in names}
    return sorted(name for name, row in rows.items() if any(part.encode() in row for part in parts))


def _all(plain: Any, name: bytes) -> bytes:
    """What a key holds, as bytes."""
    read = {b"string": "get", b"hash": "hgetall", b"set": "smembers", b"stream": "xrange"}
    kind = plain.type(name)
    if kind == b"list":
        return repr(plain.lrange(name, 0, -1)).encode()
    if kind == b"zset":
        return repr(plain.zrange(name, 0, -1)).encode()
    return repr(getattr(plain, read[kind])(name)).encode() if kind in read else b""
