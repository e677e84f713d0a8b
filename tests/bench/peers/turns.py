"""What everyone in the training bench shares: a step is taken at the word, and what it took is said.

TRL runs in an environment of its own, so this imports nothing but the standard library.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any


class Turns:
    """A step begins at each line "go"; anything else is the end. Answers go to what was standard output at the beginning."""

    def __init__(self) -> None:
        self.out = sys.stdout
        self.begun = self.spent = 0.0

    def ready(self) -> None:
        print("ready", file=self.out, flush=True)

    def wait(self) -> None:
        if sys.stdin.readline().strip() != "go":
            sys.exit(0)
        self.begun, self.spent = time.perf_counter(), time.process_time()

    def told(self, **more: Any) -> None:
        """Seconds of the step, those of the processor, and the largest memory of this process so far, in bytes."""
        seconds, cpu = time.perf_counter() - self.begun, time.process_time() - self.spent
        print(json.dumps({"seconds": seconds, "cpu": cpu, "memory": memory(), **more}), file=self.out, flush=True)


def memory() -> int:
    """The largest that this process was, in bytes; not getrusage's, which begins with what the process before it had."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
