"""The process of a stage, seen from its worker: whose it is, what it says, how it ended."""

import asyncio
import json
import logging
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from pipeline.models import child as processes

log = logging.getLogger("labpipe.worker")

LINE_BYTES = 2**20  # the longest line of a child that is read
LOG_BYTES = 2**19  # of what a child says beside its steps; twice that is kept
LEFT_S = 0.5  # how often it is looked whether a child has ended whose pipes others still have


def end_holder(lock: IO[str]) -> None:
    """End the group of the process that holds the lock, if it is on this machine and still the one that took it."""
    lock.seek(0)
    host, _, rest = lock.read().partition(" ")
    pid, _, since = rest.partition(" ")
    if host == os.uname().nodename and pid.isdecimal() and since and began(int(pid)) == since:
        log.warning("process %s of an earlier attempt still works in %s: it is ended", pid, lock.name)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(int(pid), signal.SIGKILL)


def began(pid: int) -> str:
    """When a process began, which tells it from a later one with the same number; "" if there is none."""
    import psutil

    try:
        return str(psutil.Process(pid).create_time())
    except psutil.Error:
        return ""


def append(path: Path, piece: bytes) -> None:
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_name("stderr.1.txt"))
    with path.open("ab") as file:
        file.write(piece)


async def status(child: asyncio.subprocess.Process) -> int:
    """How a child ended; what it left behind is ended too: that has its pipes, and `wait` is over when nobody has them."""
    while child.returncode is None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LEFT_S):
                await child.wait()
    await processes.end(child, 0.0)
    return child.returncode


async def line(stream: asyncio.StreamReader) -> bytes:
    """The next line, b"" at the end; one longer than LINE_BYTES is none of ours and left out, but for its end."""
    while True:
        with suppress(ValueError):
            return await stream.readline()


def said(line: bytes) -> dict[str, Any]:
    """What a child says in a line; nothing where a library printed something of its own."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("facts", {}), dict) else {}
