"""What was heard while the memory is away: kept on disk, so that a crash of this process loses nothing of it either."""

import fcntl
import os
import secrets
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Generic, Protocol, TypeVar

from bot.pack import pack, unpack


class Heard(Protocol):
    """Anything that was heard, at a wall time in seconds: by its id it is known again."""

    @property
    def id(self) -> str: ...

    @property
    def at(self) -> float: ...


H = TypeVar("H", bound=Heard)


class Journal(Generic[H]):
    """Events that were heard and are not in the inbox yet: a line each, on disk before anything else happens.

    Each journal has a file of its own, locked while something waits in it: one whose lock can be had belongs to nobody.
    Its methods wait for the disk; they may be called in threads.
    """

    def __init__(self, folder: Path, kind: type[H]) -> None:
        self.folder, self.kind = folder, kind
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"unheard-{os.getpid()}-{secrets.token_hex(8)}.jsonl"
        self._waiting: set[str] = set()
        self._file: IO[bytes] | None = None
        self._close: Callable[[], object] = lambda: None
        self._torn = False
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, event: H) -> None:
        """Keep an event. Raises OSError where the disk is full: the caller still has the text."""
        self._write([event])

    def take_out(self, event: H) -> None:
        """The inbox has it. The file goes when nothing waits: a crash before that hands events in twice, to no effect."""
        with self._lock:
            self._waiting.discard(event.id)
            if not self._waiting:
                self.path.unlink(missing_ok=True)
                self._close()  # after that: nobody is to find it
                self._file, self._torn = None, False

    def take_over(self) -> list[H]:
        """What processes that are gone had written down, oldest first, kept here from now on.

        A torn last line is left: its text was never promised to anybody.
        """
        found: list[H] = []
        for path in self.folder.glob("unheard-*.jsonl"):
            with suppress(FileNotFoundError):  # another process has taken it over
                found += self._taken(path)
        return sorted(found, key=lambda one: one.at)

    def _taken(self, path: Path) -> list[H]:
        with path.open("rb") as file:
            if not _left(path, file):
                return []
            found = []
            for line in file.read().split(b"\n"):
                with suppress(ValueError, TypeError, KeyError):
                    found.append(unpack(line, self.kind))
            with suppress(OSError):  # on a full disk they stay where they are
                self._write(found)
                path.unlink()
        return found

    def _write(self, events: Sequence[H]) -> None:
        with self._lock:
            self._waiting.update(event.id for event in events)
            file = self._file or self._opened()
            rest = ("\n" * self._torn + "".join(f"{pack(event)}\n" for event in events)).encode()
            self._torn = True  # until all of it is there: what a full disk cuts off must not join what comes next
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
            self._torn = False

    def _opened(self) -> IO[bytes]:
        """The file, locked; made once more where another process saw it before it was, and took it for left."""
        while True:
            file = self.path.open("ab", buffering=0)
            self._close = weakref.finalize(self, file.close)
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:
                self._file = file
                return file
            self._close()


def _left(path: Path, file: IO[bytes]) -> bool:
    """Whether a file is nobody's. Those that are named after a process alone are of an earlier version, which locked none."""
    number = path.stem.removeprefix("unheard-")
    if number.isdecimal():
        return not _alive(int(number))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(file.fileno()).st_nlink > 0  # or another process has taken it over meanwhile


def _alive(process: int) -> bool:
    """Whether a process of that number lives, other than this one."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process != os.getpid()
