"""One attempt at a run, in the hands of a worker: a child process a stage, watched, fed, relayed and ended.

The child performs one stage (`perform.py`) in a process group of its own. It holds the lock on the run's folder: an
attempt whose worker was lost may still have a child here, which is ended before the next begins. The worker feeds it
through its standard input as often as it renews the lease; one that is not fed for a lease ends itself. What people think
of samples goes the same way.
"""

import asyncio
import json
import logging
import os
import re
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pipeline import logs, recipe
from pipeline.errors import Invalid, LabError, Temporary
from pipeline.files import taken
from pipeline.journal import last_fence
from pipeline.metrics import Counts
from pipeline.models import child as processes
from pipeline.pool import process
from pipeline.pool.depot import Depot
from pipeline.pool.ledger import Record
from pipeline.pool.terms import Terms
from pipeline.runs import insist
from pipeline.stage import Lane, Stage

log = logging.getLogger("labpipe.worker")

SECRET = re.compile(r"KEY|PASS|SECRET|TOKEN|^LABBOT_\w+_URL$")  # in the name of a variable that children do not inherit
STARVED = 0.8  # of a lease without being fed: the child ended itself
SAVE_S = 5.0  # between two times that a stage's records are kept for other hosts
LEFT = ("low_s", "high_s")  # the seconds that a stage may say it still takes
STEPS = 1000  # of a child that wait for Redis; beyond that of the oldest only the facts are told, with the next


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claim: the run, the number of the attempt, how often its stage was tried with this time, and by which lane it came."""

    run: str
    fence: int
    tries: int
    lane: Lane


@dataclass(slots=True)
class Ended:
    """How a child ended: its status, what its last lines said, and the sentence for what ended it from outside, if that was."""

    status: int
    facts: dict[str, str]
    cause: str = ""
    lost: bool = False  # the run is somebody else's by now, nothing may be written about it

    def hear(self, said: Mapping[str, Any]) -> None:
        """Take in a child's step: what it does not tell anew holds as it was told before."""
        if said.get("stage"):  # one begins, or ends: what another said of its own end holds no more
            self.facts = {name: fact for name, fact in self.facts.items() if name not in LEFT}
        self.facts.update(said.get("facts", {}))


class Carrying:
    """An attempt at a run: `run` carries it to its end. The worker calls `told`, with what a renewal said, and `hand_back`."""

    def __init__(self, depot: Depot, settings: Mapping[str, Any], terms: Terms, attempt: Attempt, counts: Counts) -> None:
        self.depot, self.ledger, self.folder = depot, depot.ledger, depot.folder / attempt.run
        self.settings, self.terms = settings, terms
        self.run_id, self.fence, self.tries, self.lane = attempt.run, attempt.fence, attempt.tries, attempt.lane
        self.counts = counts
        self._child: asyncio.subprocess.Process | None = None
        self._stage: Stage | None = None
        self._written_as = 0
        self._rated = 0  # as often there had been a thumb when the child was told of all of them
        self._fed = time.monotonic()
        self._why = ""  # "stopping", "lost", "back", or a sentence: why the child is being ended
        self._ending: asyncio.Task[None] | None = None

    # --- what the worker says

    def told(self, state: str) -> None:
        """The run's state by the last renewal: go on, stop, or leave it to whoever has it now."""
        if state != "lost":
            self.feed()  # one that is to stop may still save
        if state not in ("running", "waiting") and not self._why:  # one that waits is ours until another takes it
            self._end(state)

    def feed(self, news: Mapping[str, Any] | None = None) -> None:
        """Let the child know that its worker is there, and what is new."""
        self._fed = time.monotonic()
        if self._child and self._child.stdin and self._child.returncode is None:
            with suppress(OSError, RuntimeError):  # it is just ending
                self._child.stdin.write((json.dumps(news) if news else "").encode() + b"\n")

    async def hear(self, rated: int) -> None:
        """Tell the child what people think of samples, where it has not been told yet. Raises Temporary."""
        if self._child and rated != self._rated:  # one that is only begun is told so with its first line
            self._rated, thumbs = await self.ledger.thumbs(self.run_id)
            self.feed({"thumbs": thumbs})

    def hand_back(self) -> None:
        """End the child, which may save; the run waits again, for another worker."""
        self._end("back")

    # --- the run

    async def run(self) -> str:
        """Perform what is wanted and not done yet, stage after stage. Returns what became of the run, for the log."""
        try:
            return await self._stages()
        except FileNotFoundError:
            return await self._finish("failed", {"cause": f"the folder of run {self.run_id} is gone"})
        except Temporary as error:  # not of Redis, which is insisted on
            return await self._again(str(error), {})
        except Exception as error:  # whatever it is, it ends this run and not the worker
            log.exception("run %s", self.run_id)
            return await self._finish("failed", {"cause": _cause(error)})
        finally:
            if self._child:
                await processes.end(self._child, self.terms.stop_s)

    async def _stages(self) -> str:
        facts = await insist(lambda: self.ledger.found(self.run_id))
        while record := await insist(lambda: self.ledger.record(self.run_id)):
            if record.fence != self.fence:
                return "lost"
            if self._why or record.state == "stopping":
                return await self._stopped(self._why or "stopping")
            if self.tries > self.terms.tries:
                cause = f"its worker was lost {self.terms.tries} times in {record.stage or 'its first stage'}"
                return await self._finish("failed", {"cause": cause, "code": "run.lost"}, dead=True)
            if not record.left:
                if (said := await self._finish("done", facts)) != "more":
                    return said
                continue
            stage = self._of(record)
            if stage.lane != self.lane:
                return await insist(lambda: self.ledger.back(self.run_id, self.fence, {}, lane=stage.lane, forgiven=True))  # noqa: B023, awaited here
            began = time.monotonic()
            with logs.about(stage=stage.name, **({"person": record.person} if record.person else {})):
                log.info("%s begins, try %d", stage.name, self.tries)
                ended = await self._perform(stage, facts)
            facts = ended.facts
            if ended.status or ended.cause or ended.lost or self._why:
                return await self._not_done(stage, ended)
            seconds = time.monotonic() - began
            self.counts.stage(record.recipe, stage.name, seconds)
            files = await self.depot.keep(self.run_id, (*stage.reads, *stage.writes, *stage.adds, "receipts", "log"))
            await insist(lambda: self.ledger.did(self.run_id, self.fence, stage.name, seconds, files))  # noqa: B023, awaited here
            self.tries = 1
        return "lost"

    def _of(self, record: Record) -> Stage:
        stages = {stage.name: stage for stage in recipe.RECIPES.get(record.recipe, ())}
        name = record.left[0]
        if name not in stages:
            raise RuntimeError(f"this worker's recipe {record.recipe!r} has no stage {name!r}: it may be of another version")
        return stages[name]

    async def _not_done(self, stage: Stage, ended: Ended) -> str:
        if self._why in ("stopping", "lost", "back"):
            return await self._stopped(self._why)
        if ended.status == -signal.SIGKILL and not self._why and time.monotonic() - self._fed > STARVED * self.terms.lease_s:
            return await self._again("its worker stood still for a while", {})
        if ended.facts.get("by") == "Temporary":
            return await self._again(ended.facts.get("cause", ""), ended.facts)
        cause = self._why or ended.cause or ended.facts.get("cause") or f"its process ended {processes.how(ended.status)}"
        await self._keep(*stage.writes, *stage.adds, *stage.goes_on, "log")  # what it has made shows why
        return await self._finish("failed", {**ended.facts, "cause": cause})

    async def _again(self, cause: str, facts: Mapping[str, str]) -> str:
        """Try later what may succeed then, unless it was tried often enough."""
        if self.tries >= self.terms.tries:
            return await self._finish("failed", {**facts, "cause": cause}, dead=True)
        pause = self.terms.pauses_s[min(self.tries, len(self.terms.pauses_s)) - 1]
        told = {"again": cause, "pause_s": f"{pause:.0f}", "try": str(self.tries), "tries": str(self.terms.tries)}
        return await insist(lambda: self.ledger.back(self.run_id, self.fence, told, lane=self.lane, delay_s=pause))

    async def _stopped(self, why: str) -> str:
        if why == "lost":
            return why
        if why == "back":
            return await insist(lambda: self.ledger.back(self.run_id, self.fence, {}, lane=self.lane, forgiven=True))
        record = await insist(lambda: self.ledger.record(self.run_id))
        return await self._finish("cancelled", record.facts if record else {})

    async def _finish(self, state: str, facts: Mapping[str, str], *, dead: bool = False) -> str:
        return await insist(lambda: self.ledger.finish(self.run_id, self.fence, state, facts, dead=dead))

    # --- the child

    async def _perform(self, stage: Stage, facts: Mapping[str, str]) -> Ended:
        """Run a stage's child to its end, whatever ends it. `facts`: of the stages before, kept until others come."""
        self._stage, ended = stage, Ended(0, dict(facts))
        lock = await self._lock()
        try:
            await self.depot.bring(self.run_id)  # only now: a late child might still write there
            child = self._child = await self._begin(stage, lock)
        finally:
            lock.close()  # the child has it too
        if self._why:  # told while there was no child to end
            self._ending = asyncio.create_task(processes.end(child, 0.0))
        limit = max(self.terms.limit_s, stage.limit_s)
        try:
            async with asyncio.TaskGroup() as tasks:
                steps = asyncio.Queue[dict[str, Any] | None]()
                tasks.create_task(self._read(child, steps, ended))
                tasks.create_task(self._tell(steps, ended))
                tasks.create_task(self._keep_log(child))
                saving = tasks.create_task(self._save(stage))
                try:
                    async with asyncio.timeout(limit):
                        ended.status = await process.status(child)
                except TimeoutError:
                    ended.cause = f"it took longer than {limit:.0f} s"
                    await processes.end(child, self._patience(stage))
                finally:
                    saving.cancel()
        finally:
            if self._ending:
                await self._ending
            await processes.end(child, self._patience(stage))
            self._child = None
        return ended

    async def _begin(self, stage: Stage, lock: IO[str]) -> asyncio.subprocess.Process:
        self._rated, thumbs = await insist(lambda: self.ledger.thumbs(self.run_id))
        account = await self._account(stage)
        child = await asyncio.create_subprocess_exec(
            *(*self.terms.command, "stage", str(self.folder), stage.name, "--fed"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(lock.fileno(),),
            start_new_session=True,
            limit=process.LINE_BYTES,
            cwd=Path(__file__).parents[2],
            env=self._environment(stage),
        )
        lock.truncate(0)
        lock.write(f"{os.uname().nodename} {child.pid} {process.began(child.pid)}")
        lock.flush()
        given = {
            "settings": self.settings.get(stage.name, {}),
            "fence": self._number(),
            "lease_s": self.terms.lease_s,
            "memory_bytes": self.terms.memory_bytes,
            "thumbs": thumbs,
            "account": account,
        }
        assert child.stdin
        child.stdin.write(json.dumps(given).encode() + b"\n")
        return child

    async def _account(self, stage: Stage) -> Mapping[str, str]:
        """The GitHub account of whoever the run belongs to, for a stage that acts with it; else, why there is none."""
        record = await insist(lambda: self.ledger.record(self.run_id)) if stage.account else None
        if record is None:
            return {}
        try:
            return await self.terms.account(self.ledger.memory, record.person)
        except LabError as error:
            return {"problem": _problem(error), "cause": str(error)}

    def _environment(self, stage: Stage) -> dict[str, str]:
        """What a child inherits: no secret but the keys of models where it speaks to models, and what it names."""
        kept = {*stage.secrets, *(self.terms.keys if stage.keys else ())}
        found = {name: value for name, value in os.environ.items() if name in kept or not SECRET.search(name)}
        return {**found, **self.terms.environment}

    def _number(self) -> int:
        """The attempt's number in the folder's logs: its fence, or a higher one where a Redis that was emptied began anew."""
        self._written_as = self._written_as or max(self.fence, last_fence(self.folder / "log") + 1)
        return self._written_as

    async def _lock(self) -> IO[str]:
        """The lock on the run's folder; whoever has it here belongs to an attempt that no longer counts, and is ended."""
        if self.depot.store:  # it may be the first time that the run is here
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (self.folder / "lock").open("a+")
        for attempt in range(50):
            if taken(lock):
                return lock
            if not attempt:
                process.end_holder(lock)
            await asyncio.sleep(0.1)
        lock.close()
        raise Temporary("another process still works in the run's folder")

    async def _read(
        self, child: asyncio.subprocess.Process, steps: "asyncio.Queue[dict[str, Any] | None]", ended: Ended
    ) -> None:
        """Hear what a child says, a JSON line a step; one that is silent for too long is ended."""
        assert child.stdout
        try:
            while True:
                async with asyncio.timeout(self.terms.silence_s):
                    line = await process.line(child.stdout)
                if not line:
                    break
                if steps.qsize() >= STEPS and (oldest := steps.get_nowait()):
                    ended.hear(oldest)
                if said := process.said(line):
                    steps.put_nowait(said)
        except TimeoutError:
            self._end(f"it said nothing for {self.terms.silence_s:.0f} s")
        steps.put_nowait(None)

    async def _tell(self, steps: "asyncio.Queue[dict[str, Any] | None]", ended: Ended) -> None:
        """Record a child's steps, each with the facts of those before it; while Redis is away they wait."""
        while said := await steps.get():
            ended.hear(said)
            words = (str(said.get("stage", "")), float(said.get("fraction", 0.0)), dict(ended.facts))
            state = await insist(lambda: self.ledger.tell(self.run_id, self.fence, *words))  # noqa: B023, awaited here
            if state != "running":
                ended.lost = state == "lost"
                self.told(state)

    async def _save(self, stage: Stage) -> None:
        """Keep what a stage has made so far, for another host to go on from."""
        while self.depot.store:
            await asyncio.sleep(SAVE_S)
            await self._keep("log", *stage.goes_on)

    async def _keep(self, *paths: str) -> None:
        """Keep what a stage has not finished for other hosts, unless its store or Redis is away just now."""
        try:
            if files := await self.depot.keep(self.run_id, paths):
                await self.ledger.did(self.run_id, self.fence, "", 0.0, files)
        except LabError as error:  # the next time, or at the stage's end, where it counts
            log.info("what it has made is not kept for other hosts now: %s", error)

    async def _keep_log(self, child: asyncio.subprocess.Process) -> None:
        """Keep the last of what a child says beside its steps: in stderr.txt, and before that in stderr.1.txt."""
        assert child.stderr
        path = self.folder / "stderr.txt"
        while piece := await child.stderr.read(2**16):
            try:
                await asyncio.to_thread(process.append, path, piece)
            except OSError as error:  # a full disk: the stage will say so itself, where it matters to it
                log.warning("what a stage says is not kept: %s", error)

    def _end(self, why: str) -> None:
        """End the child in the background: asked first, then made to."""
        if self._why:
            return
        self._why = why
        if self._child and self._stage:
            patience = 0.0 if why == "lost" else self._patience(self._stage)
            self._ending = asyncio.create_task(processes.end(self._child, patience))

    def _patience(self, stage: Stage) -> float:
        return self.terms.save_s if stage.saves else self.terms.stop_s


def _problem(error: LabError) -> str:
    """Who must act on an account that cannot be had: its person by the code, nobody, or whoever has the vault's key."""
    if isinstance(error, Invalid) and error.problems[0].code.startswith("github."):
        return error.problems[0].code
    return "github.away" if isinstance(error, Temporary) else "github.sealed"


def _cause(error: Exception) -> str:
    """What went wrong, in a sentence; of several things at once the first."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
