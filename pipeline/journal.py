"""The append-only log of a stage, keyed by record id, in segments that only one attempt writes: `FENCE-N.jsonl`.

The first line of an attempt says which earlier segments count, and how many bytes of each. Whoever reads believes the
newest such line and nothing else: the segments that it names, up to those lengths, then that attempt's own. So what a
late writer of an earlier attempt adds afterwards is in its file and counts nowhere, and no attempt touches a file of
another. An attempt that died before its first line was whole never began.

A line without an end was never acknowledged and is left out. A whole line that cannot be read was: bits have rotted, and
to leave it out would make a later stage work with less than was made, so reading fails and names the line.

The same fence may begin again, by hand or where a worker takes up its own lease: it takes the next free number, and its
first line outranks those before it. A file is only ever made new, so of two that run at once with one fence the older one
fails as soon as it needs another segment.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, BinaryIO

from pipeline.errors import Failed

ROLL_BYTES = 8 * 2**20  # a segment travels to other hosts whole, so one of them should not take long
_NAME = re.compile(r"(0|[1-9][0-9]{0,14})-(0|[1-9][0-9]{0,8})\.jsonl")
_RESTORE = "Restore the file from its artefact, or remove the folder of the log to make its records anew."


@dataclass(frozen=True, slots=True)
class _Segment:
    """`limit`: how many of its bytes count; None for all whole lines, in an attempt's own."""

    path: Path
    limit: int | None = None


class Records:
    """What a log holds, without its records in memory: they are read where they lie (about 300 bytes each are kept).

    Raises Failed, naming file and line, where the log is damaged, or a segment that counts is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.earlier: list[tuple[str, int]] = []  # segments with records, and their lengths in bytes that count
        self._places: dict[str, tuple[Path, int, int]] = {}
        for segment in _counted(folder):
            length, records = self._take(segment)
            if records:
                self.earlier.append((segment.path.name, length))

    def __contains__(self, id: object) -> bool:
        return id in self._places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        """The ids, the earliest first."""
        return iter(list(self._places))

    def __getitem__(self, id: str) -> dict[str, Any]:
        path, offset, length = self._places[id]
        with _opened(path) as file:
            return _record(os.pread(file.fileno(), length, offset), path, offset)[1]

    def get(self, id: str) -> dict[str, Any] | None:
        """The record, or None where there is none."""
        if id not in self:
            return None
        return self[id]

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every id that is there now with its record, the earliest first; one record at a time is in memory."""
        places = list(self._places.items())  # in the order of their segments, so each is opened once
        for path, there in groupby(places, key=lambda place: place[1][0]):
            with _opened(path) as file:
                for id, (_, offset, length) in there:
                    yield id, _record(os.pread(file.fileno(), length, offset), path, offset)[1]

    def _take(self, segment: _Segment) -> tuple[int, int]:
        """Note where a segment's records lie; its length in bytes that counts, and how many records it has."""
        path, limit = segment.path, segment.limit
        offset = records = 0
        with _opened(path) as file:
            for line in file:
                if offset == limit or not line.endswith(b"\n"):
                    break
                if offset or _header(line) is None:
                    id, _ = _record(line, path, offset)
                    self._places.setdefault(id, (path, offset, len(line)))
                    records += 1
                offset += len(line)
        if limit is not None and offset != limit:
            raise Failed(f"{path} has {offset} bytes of whole lines, and {limit} were recorded: it was cut. {_RESTORE}")
        return offset, records


class Journal(Records):
    """A log that this attempt goes on with. What `append` returned from survives a power cut, unless `sync` is False.

    Several threads may append; nobody else may write with the same fence at the same time.
    """

    def __init__(self, folder: Path, fence: int, *, roll_bytes: int = ROLL_BYTES, sync: bool = True) -> None:
        """Raises Failed where an attempt with a higher fence has begun, the log is damaged, or the disk refuses."""
        self.fence, self.roll_bytes, self.sync = fence, roll_bytes, sync
        self._lock, self._handle, self._path, self._length, self._broken = Lock(), -1, folder, 0, False
        if not folder.is_dir():
            _make(folder, sync)
        self._number = self._next(folder)
        super().__init__(folder)
        if sync:  # a killed attempt's last records may be in the system's memory only
            for name, _ in self.earlier:
                settle(folder / name)
        self._begin()
        self._put(_line({"earlier": self.earlier}))

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def append(self, id: str, record: Mapping[str, Any]) -> None:
        """Keep a record; ignored where its id is there already: the earliest counts.

        Raises Failed if the disk refuses: this attempt is over then, what was there is whole, and whether the record is
        there will be seen by the next one.
        """
        self.append_all([(id, record)])

    def append_all(self, records: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Keep several records with one write; a crash in the middle keeps the first ones."""
        with self._lock:
            lines = {id: _line({"id": id, "record": dict(record)}) for id, record in _first(records) if id not in self}
            if not lines:
                return
            if self._broken:
                raise Failed(f"{self._path} could not be written before: this attempt is over")
            if self._length >= self.roll_bytes:
                self._end()
            if self._handle < 0:
                self._number += 1
                self._begin()
            offset = self._length
            self._put(b"".join(lines.values()))
            for id, line in lines.items():
                self._places[id] = (self._path, offset, len(line))
                offset += len(line)

    def roll(self) -> Path | None:
        """End the segment and return its path: it will not change again, so it may travel. None if there is none open."""
        with self._lock:
            return self._end()

    def close(self) -> None:
        """Let the file go; an `append` afterwards begins a new segment."""
        self.roll()

    def _next(self, folder: Path) -> int:
        """The first number of this fence that is free."""
        names = list(_names(folder))
        latest = max((fence for fence, _ in names), default=0)
        if latest > self.fence:
            raise Failed(
                f"attempt {latest} of {folder.name} has begun; attempt {self.fence} is over and may not write any more"
            )
        return max((number + 1 for fence, number in names if fence == self.fence), default=0)

    def _begin(self) -> None:
        self._path, self._length = self.folder / f"{self.fence}-{self._number}.jsonl", 0
        try:
            self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            raise Failed(f"{self._path} belongs to a later attempt with the same number: this one is over") from None
        except OSError as error:
            raise _refused(self._path, error) from error
        if self.sync:
            settle(self.folder)

    def _end(self) -> Path | None:
        if self._handle < 0:
            return None
        os.close(self._handle)
        self._handle = -1
        return self._path

    def _put(self, content: bytes) -> None:
        """Write at the end.

        Where the disk refuses, a part may be there, and it is not cut off: a later attempt may have counted it by then.
        No record may follow it, though, so this journal takes none any more.
        """
        self._broken = True  # until all of it is there
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(self._handle, left) :]
            if self.sync:
                os.fsync(self._handle)
        except OSError as error:
            self._end()
            raise _refused(self._path, error) from error
        self._broken = False
        self._length += len(content)


def read(folder: Path) -> Records:
    """What a log holds now; empty where there is none. A later stage's and a report's way in: it writes nothing."""
    return Records(folder)


def last_fence(folder: Path) -> int:
    """The highest fence that has written here or in a folder below; 0 where nobody has.

    Work by hand takes this one: then it outranks what has been, and no attempt of a worker that is still to come.
    """
    return max((int(named[1]) for path in folder.rglob("*-*.jsonl") if (named := _NAME.fullmatch(path.name))), default=0)


def is_segment(path: Path) -> bool:
    """Whether a file is named as segments are. One only grows: who has more of it has all that others have."""
    return bool(_NAME.fullmatch(path.name))


def _names(folder: Path) -> Iterator[tuple[int, int]]:
    """Fence and number of every segment in a folder."""
    for path in folder.glob("*-*.jsonl"):
        if named := _NAME.fullmatch(path.name):
            yield int(named[1]), int(named[2])


def _counted(folder: Path) -> list[_Segment]:
    """The segments that count, the earliest first: what the newest whole first line names, and that attempt's own."""
    names = sorted(_names(folder))
    begun: int | None = None  # whose segment was seen that goes on from another
    for fence, number in reversed(names):
        if begun not in (None, fence):
            break
        path = folder / f"{fence}-{number}.jsonl"
        with _opened(path) as file:
            line = file.readline()
        if not line.endswith(b"\n"):
            continue  # it never began
        if (earlier := _header(line)) is None:
            _record(line, path, 0)
            begun = fence
            continue
        own = [other for at, other in names if at == fence and other >= number]
        if own != list(range(number, own[-1] + 1)):
            raise Failed(f"{folder}: a segment of attempt {fence} is missing between {number} and {own[-1]}. {_RESTORE}")
        segments = [_Segment(folder / name, limit) for name, limit in earlier]
        return segments + [_Segment(folder / f"{fence}-{other}.jsonl") for other in own]
    if begun is not None:
        raise Failed(f"{folder}: attempt {begun} has records, and its first segment is missing. {_RESTORE}")
    return []


def _header(line: bytes) -> list[tuple[str, int]] | None:
    """The earlier segments that a first line names, and how many bytes of each count; None if it is a record."""
    try:
        found = json.loads(line)
        earlier = found["earlier"] if isinstance(found, dict) else None
        taken = [(str(name), int(length)) for name, length in earlier] if isinstance(earlier, list) else None
    except (ValueError, TypeError, KeyError):
        return None
    return taken if taken is not None and all(_NAME.fullmatch(name) for name, _ in taken) else None


def _record(line: bytes, path: Path, offset: int) -> tuple[str, dict[str, Any]]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if isinstance(found, dict) and isinstance(found.get("id"), str) and isinstance(found.get("record"), dict):
        return found["id"], found["record"]
    with _opened(path) as file:
        number = file.read(offset).count(b"\n") + 1
    raise Failed(f"{path}, line {number}, is damaged: it is no record. {_RESTORE}")


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise Failed(f"{path} is missing. {_RESTORE}") from None
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror}") from error


def _make(folder: Path, sync: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(folder, error) from error
    if sync:
        for parent in (folder.parent, folder.parent.parent):  # `log/STAGE` is new in both
            settle(parent)


def settle(path: Path) -> None:
    """Have the disk keep a file, or the names in a folder."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> Failed:
    return Failed(f"{path} could not be written: {error.strerror}. What was there before is whole.")


def _line(value: Mapping[str, Any]) -> bytes:
    """One line of JSON, in ASCII: U+2028 and half a surrogate pair, which models do write, end no line anywhere."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def _first(records: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each id once, with its earliest record."""
    seen: set[str] = set()
    for id, record in records:
        if id not in seen:
            seen.add(id)
            yield id, record
