"""Carries runs on this machine until there is a worker pool: a child process each, a JSON line a step.

A lock on the run's folder keeps a second process from carrying it too, and goes to the child: if the carrier is killed,
nobody else takes the run up before the child is gone. A run whose carrier died stays in its lane; its finished stages
are free.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from pipeline.errors import Temporary
from pipeline.files import taken
from pipeline.runs import ENDED, Runs, insist

log = logging.getLogger("labpipe")

STOP_S = 3.0  # between asking a child to end and ending it
LINE_BYTES = 2**20  # the longest line of a child that is read


async def carry(runs: Runs, at_once: int = 2) -> None:
    """Do the work that waits, until cancelled: at most `at_once` runs at a time."""
    carried: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as tasks:
        while True:
            carried = {run: task for run, task in carried.items() if not task.done()}
            with suppress(Temporary):
                for row in await runs.memory.do("ZRANGE", "lane:cpu", 0, -1):
                    run = row.decode()
                    if run not in carried and len(carried) < at_once:
                        carried[run] = tasks.create_task(_carry(runs, run))
            await asyncio.sleep(runs.look_s)


async def _carry(runs: Runs, run: str) -> None:
    try:
        record = await runs.status(run)
        if record is None:
            await runs.memory.do("ZREM", "lane:cpu", run)
        elif record.state in ENDED:
            return  # since the look at the lane
        elif record.state == "stopping":
            await runs.end(run, "cancelled")
        else:
            with (runs.folder / run / "lock").open("a") as lock:
                if taken(lock):
                    await _supervise(runs, run, lock)
    except Temporary:
        return  # the run is still in its lane; the next look finds it
    except FileNotFoundError:
        await runs.end(run, "failed", {"cause": f"the folder of run {run} is gone"})
    except Exception as error:  # whatever it is, it ends this run and not the carrier of all
        log.exception("run %s", run)
        await runs.end(run, "failed", {"cause": f"{type(error).__name__}: {error}"})


async def _supervise(runs: Runs, run: str, lock: IO[str]) -> None:
    """Run the child of a run and relay its steps; whatever happens here, the child ends with it."""
    if not await runs.step(run, "running", facts={}):
        return
    child = await _child(runs, run, lock)
    limit = Limit(runs.timeout_s)
    try:
        async with limit.timeout, asyncio.TaskGroup() as tasks:
            stopping = tasks.create_task(_stop_when_asked(runs, run, child))
            facts = await _relay(runs, run, child, limit)
            status = await child.wait()
            stopping.cancel()
    except TimeoutError:
        await _end_group(child)
        await runs.end(run, "failed", {"cause": f"it took longer than {limit.seconds:.0f} s"})
        return
    finally:
        await _end_group(child)
    record = await insist(lambda: runs.status(run))
    if record and record.state == "stopping":
        await runs.end(run, "cancelled")
    elif status == 0:
        await runs.end(run, "done", facts)
    else:
        cause = facts.get("cause") or f"its process ended with {_status(status)}"
        await runs.end(run, "failed", {**facts, "cause": cause})


class Limit:
    """How long a run may take: at first what runs are given, from a stage on that says so what that stage needs."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.timeout = seconds, asyncio.timeout(seconds)

    def raise_to(self, seconds: float) -> None:
        """Give a stage that begins now so many seconds, if that is more than is left."""
        until, now = self.timeout.when(), asyncio.get_running_loop().time()
        if until is not None and now + seconds > until:
            self.timeout.reschedule(now + seconds)
            self.seconds = seconds


async def _child(runs: Runs, run: str, lock: IO[str]) -> asyncio.subprocess.Process:
    """The process that performs a run's stages, in a group of its own. It shares the lock on the run's folder."""
    with (runs.folder / run / "stderr.txt").open("wb") as stderr:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pipeline", "run", str(runs.folder / run)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            pass_fds=(lock.fileno(),),
            start_new_session=True,
            limit=LINE_BYTES,
            cwd=Path(__file__).parent.parent,
        )


async def _relay(runs: Runs, run: str, child: asyncio.subprocess.Process, limit: Limit) -> dict[str, str]:
    facts: dict[str, str] = {}
    assert child.stdout
    while line := await _line(child.stdout):
        if not (said := _said(line)):
            continue
        limit.raise_to(said.get("limit_s", 0.0))
        facts = {**facts, **said.get("facts", {})}
        stage, fraction = said.get("stage", ""), said.get("fraction", 0.0)
        await insist(lambda: runs.step(run, "running", stage=stage, fraction=fraction, facts=facts))  # noqa: B023, awaited here
    return facts


async def _stop_when_asked(runs: Runs, run: str, child: asyncio.subprocess.Process) -> None:
    while True:
        await asyncio.sleep(runs.look_s)
        with suppress(Temporary):
            record = await runs.status(run)
            if record and record.state == "stopping":
                await _end_group(child)
                return


async def _line(stream: asyncio.StreamReader) -> bytes:
    """The next line, b"" at the end; one longer than LINE_BYTES is none of ours and left out, but for its end."""
    while True:
        with suppress(ValueError):
            return await stream.readline()


def _said(line: bytes) -> dict[str, Any]:
    """What a child says in a line; nothing where a library printed something of its own."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


async def _end_group(child: asyncio.subprocess.Process) -> None:
    """End a child and everything it started: asked first, then made to."""
    for sign, patience_s in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, STOP_S)):
        if child.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(child.pid, sign)
        with suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), patience_s)


def _status(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"
