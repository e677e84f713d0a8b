"""Digests, and files that are there whole or not at all."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from pipeline.errors import Failed


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def taken(lock: IO[str], *, shared: bool = False) -> bool:
    """Take the lock on an open file for this process and its children, if nobody has it; `shared`: beside others like it."""
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write(path: Path, content: bytes | str) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a part: temporary file, fsync, rename.

    Raises Failed, naming the file and the cause, when the disk is full or may not be written.
    """
    write_parts(path, (content.encode() if isinstance(content, str) else content,))


def write_parts(path: Path, parts: Iterable[bytes]) -> None:
    """The same for what is too much to have in memory at once. What the parts themselves raise goes through."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise Failed(f"{path.name} could not be written: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut; folders cannot be opened for that on every system."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
