"""The processes that a tour starts: each in a group of its own, all of them ended when the tour is, however it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pipeline.errors import Failed, plain

CHECKOUT = Path(__file__).resolve().parents[2]  # where `python -m` finds our packages, installed or not
END_S = 10.0  # for a child to save what it has
LAST = 5  # lines of what it said on standard error, when it failed


@dataclass(slots=True)
class Children:
    """`environment` stands above ours; what children say on standard error goes into the file `log`."""

    environment: Mapping[str, str]
    log: Path
    started: "list[subprocess.Popen[str]]" = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for child in reversed(self.started):
            _end(child)

    def lines(self, *words: str) -> Iterator[str]:
        """What `python -m` says on standard output, line by line, to its end. Raises Failed where it does not end well."""
        with self.log.open("a", encoding="utf-8") as log:
            begins = log.tell()
            child = self._start(words, log, subprocess.DEVNULL)
            assert child.stdout
            for line in child.stdout:
                yield line.rstrip("\n")
        if child.wait():
            raise Failed(f"`{' '.join(words[:3])}` ended with status {child.returncode}: {self._said(begins)}")
        child.stdout.close()
        self.started.remove(child)

    def facts(self, *words: str) -> Iterator[Mapping[str, str]]:
        """The facts of each step that `labpipe run` or `labpipe stage` tells, with how far it is as `fraction`."""
        for line in self.lines("pipeline", *words):
            told = json.loads(line)
            yield {"fraction": str(told["fraction"]), **told["facts"]}

    def server(self, *words: str) -> Mapping[str, Any]:
        """Start a server that runs until the tour ends; the JSON line that it says when it answers."""
        with self.log.open("a", encoding="utf-8") as log:
            begins = log.tell()
            child = self._start(words, log, subprocess.PIPE)
        assert child.stdout
        line = child.stdout.readline()
        if not line:
            child.wait()
            raise Failed(f"`{' '.join(words[:3])}` did not begin to serve: {self._said(begins)}")
        found: Mapping[str, Any] = json.loads(line)
        return found

    def _start(self, words: Sequence[str], log: IO[str], stdin: int) -> "subprocess.Popen[str]":
        child = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=CHECKOUT,
            env={**os.environ, **self.environment},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for the tour, which tells them
        )
        self.started.append(child)
        return child

    def _said(self, begins: int) -> str:
        with self.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(begins)
            return " ".join(plain(line.strip()) for line in log.readlines()[-LAST:]) or f"{self.log} has no word of it"


def _end(child: "subprocess.Popen[str]") -> None:
    """Ask a child to end, then make it and whatever it started."""
    for stream in (child.stdin, child.stdout):
        if stream:
            with suppress(OSError):
                stream.close()
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, sign)
            with suppress(subprocess.TimeoutExpired):
                child.wait(END_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
