"""A base over several GPUs, as the stage sees it: it tells processes that torchrun keeps (see `shard`) what to compute.

The stage's own process is none of them: it runs the loop and says what is next, over a socket to the first of them. If it is
gone the line is dead, and they end; if one of them ends, torchrun ends the others, and the stage hears why.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from safetensors.numpy import load, save

from pipeline.errors import Failed, Invalid, Problem
from pipeline.training.devices import Place
from pipeline.training.learner import Batch, Learned
from pipeline.training.settings import TrainConfig

LINE, CONFESSION = "line", "confession.json"
ARRAYS = ("tokens", "targets", "positions")
RUN = "-m torch.distributed.run --standalone --local-addr 127.0.0.1 --nproc-per-node"
START_S = 300.0  # in which all of them load torch, from a slow disk perhaps
LOOK_S = 0.5
END_S = 30.0


class Sharded:
    """See learner.Learner. Whoever opened it closes it; at the latest its processes end with the program.

    `line`: to the first of them; `why`: what became of them, once it is dead; `close`: ends them.
    """

    def __init__(self, line: Connection, why: Callable[[], Exception], place: Place) -> None:
        self._line, self._why = line, why
        self.close: Callable[[], Any] = line.close
        self.device = f"{place.count} x {place.name}"
        self.packs, self.precision = False, "fp32"
        self.beat: Callable[[], None] = lambda: None

    def open(self, folder: Path, config: TrainConfig, place: Place, *, base: str, checkpointing: bool = False) -> None:
        """Have each load its part of the base."""
        what = {"folder": str(folder), "base": base, "checkpointing": checkpointing}
        told = self._ask("open", {**what, "config": config.model_dump(mode="json"), "place": asdict(place)})
        self.packs, self.precision = told["packs"], told["precision"]

    def learn(self, batches: Sequence[Batch], rate: float) -> Learned:
        return Learned(**self._ask("learn", {"rate": rate}, batches))

    def losses(self, batches: Sequence[Batch]) -> list[float]:
        found: list[float] = self._ask("losses", {}, batches)
        return found

    def answers(self, prompts: Sequence[Sequence[int]], most: int, ends: frozenset[int]) -> list[list[int]]:
        asked = [[int(token) for token in prompt] for prompt in prompts]
        found: list[list[int]] = self._ask("answers", {"prompts": asked, "most": most, "ends": sorted(ends)})
        return found

    def save(self, folder: Path) -> None:
        self._ask("save", {"folder": str(folder)})

    def load(self, folder: Path) -> None:
        self._ask("load", {"folder": str(folder)})

    def use(self, adapter: Path | None) -> None:
        self._ask("use", {"adapter": str(adapter) if adapter else ""})

    def _ask(self, do: str, how: Mapping[str, Any], batches: Sequence[Batch] = ()) -> Any:
        try:
            for part in written({"do": do, **how}, batches):
                self._line.send_bytes(part)
            told = json.loads(self._line.recv_bytes())
            self.beat()
            return told
        except (EOFError, OSError):
            raise self._why() from None


def opened(folder: Path, config: TrainConfig, place: Place, *, base: str, checkpointing: bool = False) -> Sharded:
    """The learner for the base in a folder, over all GPUs of this machine.

    Raises as torch_learner.opened does, but knows no qlora; Failed where the processes do not start.
    """
    room = Path(tempfile.mkdtemp(prefix="labbot-train-"))  # nobody else may look into it
    process, line = _started(place, room)
    made = Sharded(line, lambda: _why(process, room), place)
    made.close = weakref.finalize(made, _end, process, line, room)
    try:
        made.open(folder, config, place, base=base, checkpointing=checkpointing)
    except BaseException:
        made.close()
        raise
    return made


# --- the line: an order is two messages, JSON and the arrays of its batches; an answer is JSON


def written(order: Mapping[str, Any], batches: Sequence[Batch]) -> tuple[bytes, bytes]:
    """An order as it is sent."""
    arrays = {f"{at}.{name}": getattr(batch, name) for at, batch in enumerate(batches) for name in ARRAYS}
    return json.dumps({**order, "spans": [batch.spans for batch in batches]}).encode(), save(arrays)


def read(order: bytes, arrays: bytes) -> tuple[dict[str, Any], list[Batch]]:
    """An order as it was meant."""
    told, found = json.loads(order), load(arrays)
    spans = told.pop("spans")
    return told, [
        Batch(**{name: found[f"{at}.{name}"] for name in ARRAYS}, spans=tuple(map(tuple, rows)))
        for at, rows in enumerate(spans)
    ]


# --- the processes


def _started(place: Place, room: Path) -> tuple["subprocess.Popen[bytes]", Connection]:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(room / LINE))
        door.listen(1)
        process = subprocess.Popen(
            [sys.executable, *RUN.split(), str(place.count), "-m", "pipeline.training.shard", str(room), place.kind],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // place.count))},
            start_new_session=True,  # what ends the stage lets it save first, and that takes them
        )
        try:
            return process, _taken(door, process, room)
        except BaseException:
            _end(process, None, room)
            raise


def _taken(door: socket.socket, process: "subprocess.Popen[bytes]", room: Path) -> Connection:
    """The line of the first process, once it calls."""
    door.settimeout(LOOK_S)
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            return Connection(door.accept()[0].detach())
        except TimeoutError:
            continue
    raise _why(process, room)


def _why(process: "subprocess.Popen[bytes]", room: Path) -> Exception:
    """What became of the processes: by what one of them left behind, else by torchrun's end."""
    try:
        process.wait(END_S)
        told = json.loads((room / CONFESSION).read_bytes())
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return Failed(f"the processes that train ended with {process.poll()} and did not say why; the log may")
    if told["kind"] == "memory":
        return MemoryError(told["message"])
    if told["kind"] == "invalid":
        return Invalid(*(Problem(**one) for one in told["problems"]))
    return Failed(f"one of the processes that train gave up: {told['message']}")


def _end(process: "subprocess.Popen[bytes]", line: Connection | None, room: Path) -> None:
    """Hang up, whereupon they end by themselves; see to it where they do not."""
    if line is not None:
        line.close()
    try:
        process.wait(END_S if line is not None else 0)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun ends the others, with force after half a minute
        process.wait()
    finally:
        shutil.rmtree(room, ignore_errors=True)
