"""A child process that leads a group of its own: how it ended, and how to end it with everything that it started."""

import asyncio
import os
import signal
from contextlib import suppress

_MEANT = {
    signal.SIGKILL: "the system ends a process so when memory is short",
    signal.SIGABRT: "llama.cpp ends its process so when it finds itself in a state that must not be",
    signal.SIGSEGV: "it touched memory that is not its own",
    signal.SIGILL: "llama.cpp was built for another processor",
}


def how(status: int) -> str:
    """How a process ended, for the middle of a sentence."""
    if status >= 0:
        return f"with status {status}"
    try:
        sign = signal.Signals(-status)
    except ValueError:
        return f"by signal {-status}"
    meant = _MEANT.get(sign)
    return f"by {sign.name} ({meant})" if meant else f"by {sign.name}"


async def end(child: asyncio.subprocess.Process, patience_s: float) -> None:
    """End a child and its group: asked first, then, after `patience_s`, made to."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if child.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, sign)
            with suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), patience_s)
    with suppress(ProcessLookupError, PermissionError):  # what it left behind
        os.killpg(child.pid, signal.SIGKILL)
