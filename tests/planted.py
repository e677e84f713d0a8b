"""Where a planted token came to lie: tests plant tokens with a mark in them, and no file, row or line of output may hold it.

`tests/conftest.py` looks after every test at Redis and at what was printed and logged, and after all of them at the files.
"""

from base64 import b64encode
from pathlib import Path

from pipeline.memory import Memory

MARK = "PLANTED" + "TOKEN"  # in two parts: this text is no leak itself, where a traceback quotes it
FILE_BYTES = 4 * 2**20  # larger ones are weights, and what git packed
READS = {
    "string": ("GET",),
    "hash": ("HGETALL",),
    "list": ("LRANGE", 0, -1),
    "set": ("SMEMBERS",),
    "zset": ("ZRANGE", 0, -1),
    "stream": ("XRANGE", "-", "+"),
}
_SHOWN = {b64encode(f"x-access-token:{kind}_{MARK}".encode()).rstrip(b"=")[:-1] for kind in ("gho", "ghu", "ghs")}  # Basic
FORMS = (MARK.encode(), *sorted(_SHOWN))


def holds(content: bytes) -> bool:
    return any(form in content for form in FORMS)


def in_files(folder: Path) -> list[str]:
    """The files below a folder that hold one; links are not followed."""
    return sorted(str(one) for one in folder.rglob("*") if _plain(one) and _holds(one))


async def in_rows(memory: Memory) -> list[str]:
    """The rows of Redis that hold one, in their name or their value."""
    found = []
    async for name in memory.keys("*"):
        kind = (await memory.do("TYPE", name)).decode()
        words = READS.get(kind)
        row = await memory.do(words[0], name, *words[1:]) if words else ""
        if holds(f"{name} {row}".encode(errors="replace")):
            found.append(name)
    return found


def _plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size <= FILE_BYTES


def _holds(path: Path) -> bool:
    try:
        return holds(path.read_bytes())
    except OSError:  # it was somebody's lock, or is just gone
        return False
