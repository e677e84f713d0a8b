"""What stages made, kept by digest where every host can fetch it: a folder on a disk, S3, or whatever else fsspec reaches.

A blob lies at `blobs/sha256/ab/cdef...` and is there whole or not at all. Who fetches one checks it against its digest, so a
store is trusted to keep, not to be right. Which path of which run is which blob is said by a manifest, which whoever
calls keeps; nothing here knows runs. All of it blocks: call it in a thread.

Credentials come from the environment and from fsspec's own configuration, never from the URL, which is shown to people.
"""

import hashlib
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from pipeline.errors import Failed, LabError
from pipeline.files import file_digest
from pipeline.journal import is_segment, settle
from pipeline.pool.reaching import OBJECTS, reach, refusal

# A blob that no manifest names may be named by one that is just being written: what is put again after a day gets a new
# date, so one whose date is three days old was in no push of the last two.
RENEW_S = 86_400.0
UNUSED_S = 3 * RENEW_S
CHUNK_BYTES = 2**20
PART_BYTES = 16 * 2**20  # S3 takes 10,000 parts, so 160 GiB a file
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Blob:
    """A file's content: its digest (`sha256:` and 64 hexadecimal digits) and its size in bytes."""

    digest: str
    size: int


class Store:
    """A place for blobs. `where`: its URL as people may see it.

    Everything raises Temporary where the store is away, slow or busy, and Failed for what waiting does not mend.
    """

    def __init__(self, fs: Any, root: str, where: str) -> None:
        self.fs, self.root, self.where = fs, root.rstrip("/"), where
        protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
        self._local, self._whole = "file" in protocols, bool(protocols & OBJECTS)

    @classmethod
    def of(cls, url: str) -> "Store | None":
        """The store that a URL or an absolute path names; None where there is no URL: all hosts share the disk then.

        Raises Invalid: artefacts.url, artefacts.credentials, artefacts.driver.
        """
        if not url.strip():
            return None
        fs, root, where = reach(url.strip())
        return cls(fs, root, where)

    def put(self, path: Path) -> Blob:
        """Keep a file's content as it is now, unless it is there already.

        What is appended meanwhile is not part of it. Raises Failed for what is no plain file, or was changed in place.
        """
        with _plain(path) as file:
            blob = _blob(file)
            with self._asking(f"{path.name} cannot be stored"):
                if not self._has(blob):
                    file.seek(0)
                    self._send(file, blob)
        return blob

    def get(self, blob: Blob, path: Path) -> None:
        """Write a blob's content to a path, whole or not at all; free where it is there already.

        Raises Failed where the store has no such blob, or has something else in its place.
        """
        if path.is_file() and not path.is_symlink() and path.stat().st_size == blob.size and file_digest(path) == blob.digest:
            return
        key = self._key(blob.digest)
        with self._asking(f"{path.name} ({blob.digest}) cannot be fetched"):
            if (size := self.fs.info(key)["size"]) != blob.size:
                raise self._wrong(path, blob, f"{size} bytes", f"{blob.size} bytes")
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            os.close(handle)
            part = Path(name)
            try:
                self.fs.get_file(key, name)
                if (found := file_digest(part)) != blob.digest:
                    raise self._wrong(path, blob, found, blob.digest)
                settle(part)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
            settle(path.parent)

    def push(self, folder: Path, paths: Iterable[str]) -> dict[str, Blob]:
        """Keep files below a folder, those of folders among them too; their manifest.

        What is not there is left out, as receipts do, and so are names that begin with a dot: those are being written.
        Raises Failed for a path that leads out of the folder, for links, and for what is neither file nor folder.
        """
        found = dict(file for path in paths for file in _files(folder, path))
        return {name: self.put(path) for name, path in sorted(found.items())}

    def pull(self, folder: Path, manifest: Mapping[str, Blob]) -> None:
        """Write what a manifest names below a folder; files that it does not name are left alone.

        So is a segment of a log that has grown here since it was pushed: a later one here may count on all of it.
        Raises Failed for a path that leads out of the folder, before anything is written.
        """
        paths = {name: contained(folder, name) for name in manifest}
        for name, path in paths.items():
            if not (PurePosixPath(name).parts[0] == "log" and is_segment(path) and _grew(path, manifest[name])):
                self.get(manifest[name], path)

    def drop(self, named: Collection[str], *, now: float | None = None) -> list[str]:
        """Remove the blobs whose digests are not among those that manifests name, and that no push used for days.

        `now`: seconds since 1970. Returns what was removed, digests and names of parts that a killed push left.
        """
        now = time.time() if now is None else now
        removed = []
        with self._asking("the store cannot be cleaned"):
            top = f"{self.root}/blobs/sha256/"
            for key, info in sorted(self.fs.find(top, detail=True).items()):
                name = _digest_of(str(key))
                date = _date(info)
                if name in named or date is None or date > now - UNUSED_S:
                    continue
                with suppress(FileNotFoundError):  # another worker cleans as well
                    self.fs.rm_file(key)
                    removed.append(name)
        return removed

    def erase(self, digests: Collection[str]) -> None:
        """Remove blobs, whenever they were put: whoever calls knows that nobody needs them."""
        with self._asking("the store cannot be cleaned"):
            for digest in digests:
                with suppress(FileNotFoundError):
                    self.fs.rm_file(self._key(digest))

    def _key(self, digest: str) -> str:
        if not _DIGEST.fullmatch(digest):
            raise Failed(f"{digest!r} is no digest; the manifest is damaged")
        name = digest.removeprefix("sha256:")
        return f"{self.root}/blobs/sha256/{name[:2]}/{name[2:]}"

    def _has(self, blob: Blob) -> bool:
        """Whether a blob need not be sent: it is there, and its date says that it is in use."""
        try:
            info = self.fs.info(self._key(blob.digest))
        except FileNotFoundError:
            return False
        date = _date(info)
        return info["size"] == blob.size and (date is None or date > time.time() - RENEW_S)

    def _send(self, file: BinaryIO, blob: Blob) -> None:
        key = self._key(blob.digest)
        if self._whole and blob.size <= PART_BYTES:
            content = file.read(blob.size)
            _same(hashlib.sha256(content), blob)
            self.fs.pipe_file(key, content)
        elif self._whole:
            self._send_parts(file, key, blob)
        else:
            self._send_beside(file, key, blob)

    def _send_parts(self, file: BinaryIO, key: str, blob: Blob) -> None:
        out = self.fs.open(key, "wb", block_size=PART_BYTES, autocommit=False)
        try:
            _copy(file, out, blob)
            out.close()
        except BaseException:
            out.discard()
            out.closed = True  # else it would send its rest when it is collected
            raise
        out.commit()

    def _send_beside(self, file: BinaryIO, key: str, blob: Blob) -> None:
        folder, _, name = key.rpartition("/")
        part = f"{folder}/.{name[:16]}.{secrets.token_hex(4)}.part"
        self.fs.makedirs(folder, exist_ok=True)
        try:
            with self.fs.open(part, "wb") as out:
                _copy(file, out, blob)
            if self._local:
                settle(Path(part))
            self.fs.mv(part, key)
        except BaseException:
            with suppress(Exception):  # what cannot be removed now is no blob, and `drop` finds it
                self.fs.rm_file(part)
            raise
        if self._local:
            settle(Path(folder))

    def _wrong(self, path: Path, blob: Blob, found: str, wanted: str) -> Failed:
        return Failed(
            f"{path.name}: {self.where} has {found} where {wanted} should be (blob {blob.digest}). "
            "Remove that blob, and let the stage that made it run again."
        )

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Say in our words what a driver raises."""
        try:
            yield
        except LabError:
            raise
        except Exception as error:
            raise refusal(what, self.where, error) from error


def contained(folder: Path, name: str) -> Path:
    """The path of a name below a folder. Raises Failed if it leads elsewhere, also by a link on its way."""
    parts = PurePosixPath(name)
    if not parts.parts or parts.is_absolute() or ".." in parts.parts or "\\" in name or "\0" in name:
        raise Failed(f"{name!r} is no path below the folder of a run")
    path = folder.resolve() / parts
    if path.parent.resolve() != path.parent:
        raise Failed(f"{name!r} leads out of its run's folder by a link")
    return path


def _files(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    """A file, or those of a folder, with their names in a manifest."""
    path = contained(folder, name)
    if path.is_symlink():
        raise Failed(f"{name} is a link; only files and folders are stored")
    if path.is_dir():
        for inner in sorted(path.iterdir()):
            if not inner.name.startswith("."):
                yield from _files(folder, f"{PurePosixPath(name) / inner.name}")
    elif path.is_file():
        yield PurePosixPath(name).as_posix(), path
    elif path.exists():
        raise Failed(f"{name} is neither a file nor a folder; only those are stored")


def _plain(path: Path) -> BinaryIO:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait for a writer
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Failed(f"{path} is no plain file; only those are stored")
    return os.fdopen(handle, "rb")


def _blob(file: BinaryIO) -> Blob:
    size = os.fstat(file.fileno()).st_size
    return Blob(_digest(file, size), size)


def _grew(path: Path, blob: Blob) -> bool:
    """Whether a file begins with a blob and goes on."""
    if not path.is_file() or path.is_symlink() or path.stat().st_size <= blob.size:
        return False
    with _plain(path) as file:
        return _digest(file, blob.size) == blob.digest


def _digest(file: BinaryIO, size: int) -> str:
    made = hashlib.sha256()
    for chunk in _chunks(file, size):
        made.update(chunk)
    return f"sha256:{made.hexdigest()}"


def _chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The first `size` bytes: a log may grow meanwhile."""
    while size > 0 and (chunk := file.read(min(size, CHUNK_BYTES))):
        size -= len(chunk)
        yield chunk


def _copy(file: BinaryIO, out: Any, blob: Blob) -> None:
    made = hashlib.sha256()
    for chunk in _chunks(file, blob.size):
        made.update(chunk)
        out.write(chunk)
    _same(made, blob)


def _same(made: Any, blob: Blob) -> None:
    if f"sha256:{made.hexdigest()}" != blob.digest:
        raise Failed("it was changed while it was stored; files of a run are replaced or appended to, never changed in place")


def _digest_of(key: str) -> str:
    """The digest of a blob by its place; the place itself where it is none."""
    folder, name = key.rsplit("/", 2)[1:]
    digest = f"sha256:{folder}{name}"
    return digest if _DIGEST.fullmatch(digest) else f"{folder}/{name}"


def _date(info: Mapping[str, Any]) -> float | None:
    """When something was written, in seconds since 1970; drivers name it each in their own way."""
    for name in ("LastModified", "mtime", "last_modified", "updated", "created"):
        value = info.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return None
