"""`labpipe worker`: which lanes this machine serves, and the life of the process that carries their runs."""

import argparse
import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from pipeline import logs
from pipeline.errors import Invalid, Problem
from pipeline.files import taken
from pipeline.installation import Installation
from pipeline.metrics import Now
from pipeline.models import machine
from pipeline.stage import Lane

if TYPE_CHECKING:
    from pipeline.pool.worker import Pool

Device = Literal["cpu", "metal", "cuda"]


@dataclass(frozen=True, slots=True)
class Serves:
    """What a worker takes: `device` such as cuda:1, runs at once by lane, further variables of its children, and why so."""

    device: str
    slots: Mapping[Lane, int]
    environment: Mapping[str, str]
    why: str


def serves(device: str, lanes: Sequence[Lane], at_once: int, found: Device) -> Serves:
    """What a worker on a machine with `found` takes. Raises Invalid for a device that there is not.

    With an accelerator both lanes are served, one run at a time in the lane gpu. Without one so are they, since nobody
    else may: the runs of the lane gpu then compute on the CPU.
    """
    kind, _, number = device.partition(":")
    if device == "auto":
        kind, number = found, "0" if found == "cuda" else ""
    elif kind not in ("cpu", "metal", "cuda") or (number and (kind != "cuda" or not number.isdecimal())):
        raise Invalid(Problem("device.unknown", f"{device!r} is no device", "--device", "Say auto, cpu, metal or cuda:1."))
    elif kind not in ("cpu", found):
        raise Invalid(Problem("device.absent", f"there is no {kind} here, there is {found}", "--device", "Say auto."))
    number = number or ("0" if kind == "cuda" else "")
    name = f"{kind}:{number}" if number else kind
    there = {"cuda": "an NVIDIA GPU was found", "metal": "Apple's GPU was found", "cpu": "no GPU was found"}[found]
    chosen = tuple(dict.fromkeys(lanes)) or ("cpu", "gpu")
    slots: dict[Lane, int] = {lane: at_once if lane == "cpu" else 1 for lane in chosen}
    variables = {"LABBOT_DEVICE": kind, **({"CUDA_VISIBLE_DEVICES": number} if kind == "cuda" else {})}
    listed = ", ".join(f"{lane} ({count} at once)" for lane, count in slots.items())
    return Serves(name, slots, variables, f"{there}; it computes on {name} and serves the lanes {listed}")


def main(given: argparse.Namespace, here: Installation) -> int:
    """Carry runs until told to end. 0: it ended as asked; 1: something failed; 2: it could not begin."""
    found = serves(given.device, given.lane, given.at_once or here.config.runs.at_once, machine.look().kind)
    if given.launchd:
        from pipeline import launchd

        return launchd.main(given, here.home, here.data, here.environment, print)
    if given.check:
        from pipeline import checkup

        return checkup.run(here.environment, (found.why,), print)
    here.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    logs.set_up(here.data / "log", "labpipe-worker", here.environment)
    with ExitStack() as stack:
        if found.device.startswith(("cuda", "metal")) and "gpu" in found.slots:
            stack.enter_context(_alone(found.device))
        url = stack.enter_context(here.redis())
        return asyncio.run(_serve(given, here, found, url))


def _alone(device: str) -> IO[str]:
    """Hold an accelerator: two workers on one would each start a run there. Raises Invalid where another has it."""
    folder = Path(tempfile.gettempdir())
    lock = (folder / f"labbot-{os.getuid()}-{device.replace(':', '-')}.lock").open("a")
    if not taken(lock):
        lock.close()
        fix = "Give this worker another, or only the lane cpu: --lane cpu."
        raise Invalid(Problem("device.taken", f"another worker serves {device} on this machine", "--device", fix))
    return lock


async def _serve(given: argparse.Namespace, here: Installation, found: Serves, url: str) -> int:
    from pipeline.pool.worker import Pool

    terms = replace(here.terms, environment=found.environment)
    pool = Pool(url, here.runs, here.stages, found.slots, terms, device=found.device, store=here.store)
    print(f"{pool.name}: {found.why}", flush=True)
    work = asyncio.create_task(pool.serve())
    ending: set[asyncio.Task[None]] = set()

    async def end() -> None:
        await pool.stop()
        work.cancel()

    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, lambda: ending.add(asyncio.create_task(end())))
    models = here.models
    beside = [asyncio.create_task(one) for one in (models.keep(), *([_tell(given.http, pool)] if given.http else []))]
    try:
        await _until_over(work, beside)
    finally:
        for task in (work, *beside):
            task.cancel()
        await asyncio.gather(work, *beside, return_exceptions=True)
        await models.close()
    if not work.cancelled():
        print(f"{pool.name}: drained", flush=True)
    return 0


async def _until_over(work: "asyncio.Task[None]", beside: "list[asyncio.Task[None]]") -> None:
    """Wait until the work is over, as asked or drained; raises what broke, of it or of what goes on beside it."""
    going: set[asyncio.Task[None]] = {work, *beside}
    while work in going:
        done, going = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled():
                task.result()


async def _tell(at: str, pool: "Pool") -> None:
    """/healthz and /metrics of this worker, until cancelled."""
    from pipeline import http

    stale_s = 4 * pool.terms.lease_s

    async def health() -> http.Health:
        await pool.memory.do("PING")
        silent_s = time.monotonic() - pool.seen
        if silent_s > stale_s:
            return http.Health(f"The lease was not renewed for {silent_s:.0f} s.")
        return http.Health(facts={"worker": pool.name, "device": pool.device, "carried": len(pool.carried)})

    async def text() -> str:
        crowd = await pool.ledger.crowd()
        waiting, running = ({lane: counts[at] for lane, counts in crowd.items()} for at in (0, 1))
        alive = time.monotonic() - pool.seen <= stale_s
        return pool.counts.text(Now(waiting, running, await asyncio.to_thread(_children_bytes), alive))

    await http.serve(http.app(health, text), *http.place(at))


def _children_bytes() -> int:
    import psutil

    total = 0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            total += child.memory_info().rss
    return total
