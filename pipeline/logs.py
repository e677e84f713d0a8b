"""What is written into logs: one line a record, with the run it is about, and nobody's words, names or secrets.

`about(run=..., stage=..., person=...)` says what a block is about; every record made in it carries these facts, in its
tasks too. A person is a keyed hash: the same person has the same 12 characters everywhere in an installation's logs, and
nobody can find them without the key, which lies in LABBOT_DATA/log/person.key (0600). Take the key away and the logs can
no longer be tied to anybody.

LABBOT_LOG=json|text   write to stderr too, for containers: a JSON object a line, or a line to read
"""

import contextvars
import hashlib
import hmac
import json
import logging
import logging.handlers
import os
import re
import secrets
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline import secret
from pipeline.errors import Failed, Invalid, Problem

FACTS = ("run", "stage", "worker", "person")  # what a record may be about, in the order of the line
FILE_BYTES, FILES = 5_000_000, 3
QUIET = ("httpx", "httpx2", "uvicorn", "uvicorn.access")  # a line for every request is too much
KEY_BYTES = 32
HASH_CHARS = 12  # 48 bits: two of a million people share one with a chance of 1 in 560

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # would begin a line of its own, or move a terminal's cursor
_NOTHING: Mapping[str, str] = MappingProxyType({})
_about: contextvars.ContextVar[Mapping[str, str]] = contextvars.ContextVar("about", default=_NOTHING)


@contextmanager
def about(**facts: str) -> Iterator[None]:
    """Say what the records of this block are about: `run`, `stage`, `worker`, `person`; inner blocks add to outer ones."""
    if unknown := facts.keys() - set(FACTS):
        raise TypeError(f"a record is about {', '.join(FACTS)}, not about {', '.join(sorted(unknown))}")
    token = _about.set({**_about.get(), **facts})
    try:
        yield
    finally:
        _about.reset(token)


class Wordless(logging.Formatter):
    """Tracebacks by kind and place: what an exception says may quote what a person typed."""

    def formatException(self, ei: Any) -> str:
        _, error, frames = ei
        lines = traceback.format_tb(frames)
        while error is not None:
            lines.append(type(error).__name__)
            error = error.__cause__ or error.__context__
            if error is not None:
                lines += ["after:", *traceback.format_tb(error.__traceback__)]
        return "\n".join(line.rstrip() for line in lines)


class Text(Wordless):
    """A line to read: time, level, logger, message, and in brackets what it is about."""

    def __init__(self, mask: secret.Mask, key: bytes) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._mask, self._key = mask, key

    def formatMessage(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={value}" for name, value in _facts(self._key).items())
        return _CONTROL.sub(_escaped, super().formatMessage(record) + (f" [{facts}]" if facts else ""))

    def format(self, record: logging.LogRecord) -> str:
        return self._mask(super().format(record))


class Json(Wordless):
    """A JSON object a line: time (UTC, ISO 8601), level, logger, message, what it is about, `error` for a traceback."""

    def __init__(self, mask: secret.Mask, key: bytes) -> None:
        super().__init__()
        self._mask, self._key = mask, key

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._mask(record.getMessage()),
            **{name: self._mask(value) for name, value in _facts(self._key).items()},
        }
        if record.exc_info and record.exc_info[0]:
            told["error"] = self._mask(self.formatException(record.exc_info))
        return json.dumps(told, ensure_ascii=False)


def hashed(person: str, key: bytes) -> str:
    """A person as logs know them: the first 12 hexadecimal digits of HMAC-SHA256 (RFC 2104) of their id."""
    return hmac.new(key, person.encode(), hashlib.sha256).hexdigest()[:HASH_CHARS]


def person_key(folder: Path) -> bytes:
    """The installation's key for people in its logs, made at the first call. Raises Failed where it cannot be had.

    Two processes that come first at the same time get the same one: the file is linked into its place whole, or was there.
    """
    path = folder / "person.key"
    try:
        if not path.exists():
            part = folder / f".person.{secrets.token_hex(8)}"
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                file.write(secrets.token_hex(KEY_BYTES))
            with suppress(FileExistsError):
                os.link(part, path)
            part.unlink()
        key = bytes.fromhex(path.read_text(encoding="ascii"))
        if len(key) != KEY_BYTES:
            raise ValueError(path)
        return key
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is no key"
        raise Failed(f"{path} cannot be used: {cause}. Remove it, and a new one is made.") from error


def set_up(folder: Path, name: str, environment: Mapping[str, str]) -> None:
    """Write everything from INFO on into FOLDER/NAME.log, which is turned over at 5 MB, and to stderr as LABBOT_LOG says.

    Raises Invalid for another LABBOT_LOG, Failed where the folder cannot be written.
    """
    wanted = environment.get("LABBOT_LOG", "")
    if wanted not in ("", "json", "text"):
        raise Invalid(Problem("log.form", f"it says {wanted!r}.", "LABBOT_LOG", "Write json or text, or leave it out."))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = _Private(folder / f"{name}.log", maxBytes=FILE_BYTES, backupCount=FILES, encoding="utf-8")
    except OSError as error:
        raise Failed(f"the log {folder / f'{name}.log'} cannot be written: {error.strerror}") from error
    logging.raiseExceptions = False  # a disk without room for the log must not write over the conversation
    mask, key = secret.Mask(secret.values(environment)), person_key(folder)
    handlers: list[logging.Handler] = [handler]
    handler.setFormatter(Json(mask, key) if wanted == "json" else Text(mask, key))
    if wanted:
        stderr = logging.StreamHandler(sys.stderr)
        stderr.setFormatter(Json(mask, key) if wanted == "json" else Text(mask, key))
        handlers.append(stderr)
    root = logging.getLogger()
    for one in handlers:
        root.addHandler(one)
    root.setLevel(logging.INFO)
    for library in QUIET:
        logging.getLogger(library).setLevel(logging.WARNING)


class _Private(logging.handlers.RotatingFileHandler):
    """A log for its owner alone, each of its files."""

    def _open(self) -> TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return TextIOWrapper(os.fdopen(handle, "ab"), encoding=self.encoding, errors=self.errors, line_buffering=True)


def _escaped(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


def _facts(key: bytes) -> dict[str, str]:
    """What the record at hand is about; formatters run where it was logged, so the context is its own."""
    told = {name: value for name, value in _about.get().items() if value}
    ordered = {name: told[name] for name in FACTS if name in told}
    return ordered | ({"person": hashed(ordered["person"], key)} if "person" in ordered else {})
