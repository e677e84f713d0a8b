"""Time from a keypress to its redraw, on a real pseudo-terminal: bytes in, bytes out.

    python -m tests.bench.terminal [--json] [--keys N]

Starts `labbot terminal` on a data folder of its own, types letters into the prompt with a draft's card above it, and
measures how long each takes to appear. The peer in the same run is `cat` on the same kind of terminal: what the
machine and the terminal driver cost without any program.
"""

import argparse
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent.parent
LETTERS = "etaoinshrdlucmfwypvbgk"
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]?|\x1b.")


class Terminal:
    """A program on a pseudo-terminal of 80 columns and 24 lines."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.pid, self.handle = pty.fork()
        if self.pid == 0:
            os.chdir(HOME)
            os.execvpe(command[0], command, {**os.environ, **environment, "TERM": "xterm-256color"})
        fcntl.ioctl(self.handle, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def write(self, text: str) -> None:
        os.write(self.handle, text.encode())

    def until(self, seen: Callable[[str], bool], seconds: float) -> str:
        """Read until what came is as wanted. Raises TimeoutError, with what came, when it does not."""
        found, end = "", time.monotonic() + seconds
        while not seen(found):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.handle], [], [], left)[0]:
                raise TimeoutError(found[-2000:])
            found += os.read(self.handle, 65_536).decode(errors="replace")
        return found

    def settle(self, seconds: float = 0.3) -> None:
        """Read what still comes for so long; a blinking cursor never stops coming."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and select.select([self.handle], [], [], left)[0]:
            os.read(self.handle, 65_536)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        with contextlib.suppress(OSError):
            while os.read(self.handle, 65_536):
                pass
        os.waitpid(self.pid, 0)
        os.close(self.handle)


def typed(terminal: Terminal, keys: int) -> list[float]:
    """Milliseconds from each key to its letter on the screen."""
    times = []
    for number in range(keys):
        letter = LETTERS[number % len(LETTERS)]
        begun = time.perf_counter()
        terminal.write(letter)
        terminal.until(lambda found, letter=letter: letter in CONTROL.sub("", found), 5)
        times.append((time.perf_counter() - begun) * 1000)
        terminal.settle(0.02)
        if number % 40 == 39:  # a line of 40 letters, then an empty prompt again
            terminal.write("\x15")
            terminal.settle(0.1)
    return times


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    options.add_argument("--keys", type=int, default=400)
    given = options.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="labbot-bench-") as folder:
        begun = time.perf_counter()
        terminal = Terminal([sys.executable, "-m", "bot", "terminal", "--as", "bench"], {"LABBOT_DATA": folder})
        try:
            terminal.until(lambda found: "Teach a skill" in found, 60)
            figures["open_s"] = time.perf_counter() - begun
            terminal.write("/skill\r")
            terminal.until(lambda found: "draft" in found, 10)
            terminal.settle(1.0)
            times = typed(terminal, given.keys)
        finally:
            terminal.close()
    bare = Terminal(["cat"], {})
    try:
        peer = typed(bare, min(given.keys, 200))
    finally:
        bare.close()
    for name, found in (("key", times), ("cat", peer)):
        figures[f"{name}_p50_ms"] = statistics.median(found)
        figures[f"{name}_p99_ms"] = statistics.quantiles(found, n=100)[98]
        figures[f"{name}_max_ms"] = max(found)
    for name, value in figures.items():
        print(f"{name:16} {value:8.2f}")
    if given.json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
