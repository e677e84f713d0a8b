"""What was heard while the memory is away: kept on disk, so that a crash of this process loses nothing of it either."""

import json
import os
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from bot.pack import pack, unpack


class Heard(Protocol):
    """Anything that was heard: by its id it is known again."""

    @property
    def id(self) -> str: ...


H = TypeVar("H", bound=Heard)


class Journal(Generic[H]):
    """Events that were heard and are not in the inbox yet: a line each, on disk before anything else happens."""

    def __init__(self, folder: Path, kind: type[H]) -> None:
        self.folder, self.kind = folder, kind
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"unheard-{os.getpid()}.jsonl"
        self._waiting: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, event: H) -> None:
        """Keep an event. Raises OSError where the disk is full: the caller still has the text."""
        self._waiting[event.id] = pack(event)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(self._waiting[event.id] + "\n")
            file.flush()
            os.fsync(file.fileno())

    def take_out(self, event: H) -> None:
        """The inbox has it. The file goes when nothing waits: a crash before that hands events in twice, to no effect."""
        self._waiting.pop(event.id, None)
        if not self._waiting:
            self.path.unlink(missing_ok=True)

    def take_over(self) -> list[H]:
        """What processes that are gone had written down, oldest first, kept here from now on.

        A torn last line is left: its text was never promised to anybody.
        """
        found = []
        for path in sorted(self.folder.glob("unheard-*.jsonl")):
            if path == self.path or _alive(path):
                continue
            for line in path.read_text(encoding="utf-8").split("\n"):
                try:
                    event = unpack(line, self.kind)
                except (json.JSONDecodeError, TypeError, KeyError):
                    continue
                self.add(event)
                found.append(event)
            path.unlink()
        return found


def _alive(path: Path) -> bool:
    try:
        os.kill(int(path.stem.removeprefix("unheard-")), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
