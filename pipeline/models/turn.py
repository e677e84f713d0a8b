"""One accelerator, two that want it: the server of the model and a training take turns.

Two locks in LABBOT_DATA/models say who has it. Whoever computes holds `gpu.lock`. A training that wants it holds `gpu.want`
meanwhile, which tells the server's keeper to end its server, to give `gpu.lock` back, and not to start again before
`gpu.want` is free. Both are the system's locks on files, so a process that is killed gives back what it held, and the
server comes back by itself. On a CPU nobody waits: answers get slower, and memory was looked at before.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from pipeline.files import taken

HAS, WANTS = "gpu.lock", "gpu.want"
LOOK_S = 0.2
TOLD_EVERY_S = 5.0

Tell = Callable[[float], None]  # how long it has waited, in seconds


@contextmanager
def training(models: Path, told: Tell) -> Iterator[None]:
    """Have the accelerator of this machine to oneself: waits until the server, or another training, has given it back."""
    with ExitStack() as locks:
        for name in (WANTS, HAS):
            _wait(locks.enter_context(_opened(models, name)), told)
        yield


def wanted(models: Path) -> bool:
    """Whether a training has the accelerator or waits for it."""
    with _opened(models, WANTS) as lock:
        return not taken(lock, shared=True)


@contextmanager
def serving(models: Path) -> Iterator[bool]:
    """Have the accelerator for a server; False where a training has it or wants it."""
    with _opened(models, HAS) as lock:
        yield not wanted(models) and taken(lock)


def _wait(lock: IO[str], told: Tell) -> None:
    began = told_at = time.monotonic()
    while not taken(lock):
        time.sleep(LOOK_S)
        if time.monotonic() - told_at > TOLD_EVERY_S:
            told_at = time.monotonic()
            told(told_at - began)


def _opened(models: Path, name: str) -> IO[str]:
    models.mkdir(parents=True, exist_ok=True)
    return (models / name).open("a")
