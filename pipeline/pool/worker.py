"""The worker pool: every worker is a process that takes runs from its lanes and carries each in children of its own.

arq brings the runs (`Van`); what it delivers is an id, and all that counts is in the ledger. Added to it here: a bell
instead of a pause between two looks, a lease of seconds that is renewed while a run is carried, and a loop that begins
anew when Redis was away. A run that is carried outlives that: its child works on, its steps wait, and the lease is taken
up again where nobody else has taken the run meanwhile.
"""

import asyncio
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from arq.connections import ArqRedis
from arq.worker import Worker, func
from redis.exceptions import RedisError

from pipeline import logs
from pipeline.errors import Temporary
from pipeline.memory import Memory, connect
from pipeline.metrics import Counts
from pipeline.pool.artefacts import Store
from pipeline.pool.carrying import Attempt, Carrying
from pipeline.pool.depot import Depot
from pipeline.pool.ledger import ENDED, FUNCTION, Ledger
from pipeline.pool.terms import Terms
from pipeline.stage import Lane

log = logging.getLogger("labpipe.worker")

LOOK_S = 2.5  # the longest between two looks at a lane, whether the bell rings or not
FOREVER_S = 400 * 86_400.0  # how long arq lets a run take: the limits are ours
TRIES = 10**6  # how often arq delivers a run: the tries are ours too
HEALTH_S = 30.0
AGAIN_S = 0.25  # between two attempts to reach a Redis that is away
TIDY_S = 3600.0  # between two looks for folders of runs that are forgotten
SWEEP_S = 60.0  # between two looks for workers that are gone


class Pool:
    """The runs that this process carries. `slots`: how many at once in each lane that it serves."""

    def __init__(
        self,
        url: str,
        folder: Path,
        settings: Mapping[str, Any],
        slots: Mapping[Lane, int],
        terms: Terms = Terms(),  # noqa: B008, frozen
        *,
        device: str = "cpu",
        name: str = "",
        store: Store | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url, self.folder, self.settings, self.slots, self.terms = url, folder, settings, slots, terms
        self.device, self.host = device, os.uname().nodename
        self.name = name or f"{self.host}-{os.getpid()}-{secrets.token_hex(2)}"
        self.look_s = min(LOOK_S, terms.lease_s / 2)
        self.patience_s = max(terms.lease_s, 2 * self.look_s)  # for an answer of Redis
        self.ledger = Ledger(connect(url, timeout_s=self.patience_s), clock)
        self.depot = Depot(self.ledger, folder, store)
        self.counts = Counts(self.host, slots, device)
        self.carried: dict[str, Carrying] = {}
        self.draining = False
        self.seen = time.monotonic()  # when the loops last went round
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._renew_now = asyncio.Event()
        self._drained = asyncio.Event()
        self._swept = -SWEEP_S  # when workers that are gone were last looked for

    @property
    def memory(self) -> Memory:
        return self.ledger.memory

    async def serve(self) -> None:
        """Carry runs until cancelled, or drained; what is carried then may save, and waits for another worker."""
        logging.getLogger("arq").setLevel(logging.WARNING)
        with logs.about(worker=self.name):
            works = [*(self._drive(lane) for lane in self.slots), self._renew(), self._tidy(), self._drained.wait()]
            loops: list[asyncio.Task[Any]] = [asyncio.create_task(work) for work in works]
            try:
                done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                await asyncio.shield(self._leave(loops))

    async def stop(self) -> None:
        """Take nothing more; return when what is carried has ended, or after the grace period."""
        self.draining = True
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=self.terms.grace_s)

    def free(self, lane: Lane) -> int:
        return 0 if self.draining else self.slots[lane] - sum(one.lane == lane for one in self.carried.values())

    async def deliver(self, lane: Lane, run: str) -> None:
        """Carry a run that arq brings, to its end or until it waits again. One that is carried already is waited for."""
        if run not in self._tasks:
            claim = await self.ledger.claim(run, self.name, self.terms.lease_s)
            if claim is None:
                return
            attempt = Attempt(run, *claim, lane)
            carrying = Carrying(self.depot, self.settings, self.terms, attempt, self.counts)
            self.carried[run] = carrying
            self._tasks[run] = asyncio.create_task(self._carry(carrying))
        await asyncio.wait({self._tasks[run]})

    async def _carry(self, carrying: Carrying) -> None:
        with logs.about(run=carrying.run_id):
            log.info("attempt %d begins", carrying.fence)
            try:
                state = await carrying.run()
                log.info("attempt %d: %s", carrying.fence, state)
                if state in ENDED:
                    self.counts.ended(state)
                elif state == "waiting":
                    self.counts.tried_again()
            finally:
                del self.carried[carrying.run_id], self._tasks[carrying.run_id]
        if self.draining and not self.carried:
            self._drained.set()
        with suppress(Temporary):  # there is room: look at once
            bell = f"bell:{self.name}:{carrying.lane}"
            await self.memory.all([("RPUSH", bell, 1), ("EXPIRE", bell, 60)])

    def look_at_runs(self) -> None:
        """Something is to stop, or there is room again: do not wait for the next renewal."""
        self._renew_now.set()

    # --- leases

    async def _renew(self) -> None:
        """Renew what is carried three times a lease, and at once when something is to stop; feed its children."""
        while True:
            try:
                async with asyncio.timeout(self.terms.lease_s / 3):
                    await self._renewed()
            except (Temporary, TimeoutError):  # whether others have the runs by now shows when it is back
                self.counts.not_renewed()
                with self.counts.away():
                    await self._back()
                continue
            self.seen = time.monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.terms.lease_s / 3):
                    await self._renew_now.wait()
            self._renew_now.clear()

    async def _renewed(self) -> None:
        carried = {run: one.fence for run, one in self.carried.items()}
        if carried:
            held = await self.ledger.renew(self.name, self.terms.lease_s, carried)
            ours = [one for run, one in self.carried.items() if run in held and one.fence == carried[run]]
            for one in ours:
                one.told(held[one.run_id].state)
            for one in ours:
                if held[one.run_id].state != "lost":
                    await one.hear(held[one.run_id].rated)
        await self._register()

    async def _back(self) -> None:
        """Return when Redis answers again; the children are fed until then."""
        while True:
            for one in self.carried.values():
                one.feed()
            await asyncio.sleep(min(AGAIN_S, self.terms.lease_s / 3))
            with suppress(Temporary, TimeoutError):
                async with asyncio.timeout(self.terms.lease_s / 3):
                    await self.memory.do("PING")
                return

    async def _register(self) -> None:
        told = {"host": self.host, "pid": os.getpid(), "device": self.device, "lanes": dict(self.slots)}
        state = json.dumps({**told, "runs": sorted(self.carried), "draining": self.draining})
        sweep = time.monotonic() > self._swept + SWEEP_S
        drain = await self.ledger.register(
            self.name, self.terms.lease_s, state, self.slots, draining=self.draining, sweep=sweep
        )
        self._swept = time.monotonic() if sweep else self._swept
        if drain and not self.draining:
            log.info("drained: no further run is taken")
            self.draining = True
        if self.draining and not self.carried:
            self._drained.set()

    async def _tidy(self) -> None:
        """Take away the folders of runs that are forgotten, where this host has a disk of its own."""
        while True:
            with suppress(Temporary):
                for run in await self.depot.tidy():
                    log.info("the folder of run %s, which is forgotten, is taken away", run)
            await asyncio.sleep(TIDY_S)

    # --- life

    async def _drive(self, lane: Lane) -> None:
        """Have arq bring the runs of a lane, again and again: it gives up whenever Redis is away."""
        while True:
            redis = ArqRedis.from_url(self.url, socket_timeout=self.patience_s, socket_connect_timeout=self.patience_s)
            van = Van(self, lane, redis)
            try:
                await van.main()
            except (RedisError, OSError, TimeoutError, Temporary) as error:
                log.warning("lane %s: Redis is away: %s", lane, type(error).__name__)
            finally:
                for task in van.tasks.values():
                    task.cancel()  # what is carried is not arq's
                await asyncio.gather(*van.tasks.values(), return_exceptions=True)
                with suppress(RedisError, OSError):
                    await redis.aclose()
            await asyncio.sleep(AGAIN_S)

    async def _leave(self, loops: "Sequence[asyncio.Task[Any]]") -> None:
        """Hand back what is carried, end every child, and take this worker from the list of workers."""
        self.draining = True
        for one in self.carried.values():
            one.hand_back()
        if self._tasks:
            longest = max(self.terms.save_s, self.terms.stop_s) + self.patience_s
            await asyncio.wait(list(self._tasks.values()), timeout=longest)
        left: set[asyncio.Task[Any]] = {*loops, *self._tasks.values()}
        while left:  # a cancel is lost where redis-py looks whether a connection has something to read
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=AGAIN_S)
        mine = [f"worker:{self.name}", f"drain:{self.name}", *(f"bell:{self.name}:{lane}" for lane in self.slots)]
        places = [("ZREM", f"lane:{lane}:workers", f"{self.name} {slots}") for lane, slots in self.slots.items()]
        with suppress(Temporary):
            await self.memory.all([("DEL", *mine), *places])
        await self.memory.close()


class Van(Worker):
    """arq's worker of one lane: it brings ids of runs to the pool, and keeps no account of what becomes of them.

    In place of its own: a look at the ledger, which knows fairness, limits and pauses; a bell to wait for; a lease as long
    as the pool's; and nothing at the end of a job, since the ledger's script that ended the run took it out of arq's keys.
    """

    def __init__(self, pool: Pool, lane: Lane, redis: ArqRedis) -> None:
        async def carry(ctx: dict[Any, Any], run: str) -> None:
            await pool.deliver(lane, run)

        super().__init__(
            [func(carry, name=FUNCTION)],
            queue_name=f"lane:{lane}",
            redis_pool=redis,
            handle_signals=False,
            max_jobs=pool.slots[lane],
            job_timeout=FOREVER_S,
            keep_result=0,
            poll_delay=0,
            max_tries=TRIES,
            health_check_interval=HEALTH_S,
            job_serializer=lambda value: json.dumps(value).encode(),
            job_deserializer=json.loads,
        )
        self.crew, self.lane = pool, lane
        self.in_progress_timeout_s = pool.terms.lease_s

    def room(self) -> int:
        """Runs that may still be taken: those that arq is just bringing count as taken."""
        return max(min(self.crew.free(self.lane), self.max_jobs - self.job_counter), 0)

    async def _poll_iteration(self) -> None:
        found, lost = await self.crew.ledger.look(self.lane, self.room())
        for run in lost:
            self.crew.counts.lost()
            log.warning("run %s has lost its worker", run)
        await self.start_jobs([run.encode() for run in found])
        for name, task in list(self.tasks.items()):
            if task.done():
                del self.tasks[name]
                task.result()
        await self.heart_beat()
        mine = f"bell:{self.crew.name}:{self.lane}"
        bells = [mine, f"lane:{self.lane}:bell"] if self.room() else [mine]
        rung = await self.pool.execute_command("BLPOP", *bells, f"{self.crew.look_s:.3f}")  # type: ignore[no-untyped-call]
        if rung and rung[0] == mine.encode():
            self.crew.look_at_runs()

    async def finish_job(self, *told: Any) -> None:
        """The ledger has done it."""

    async def finish_failed_job(self, job_id: str, result_data: bytes | None) -> None:
        """A job without its text, or with another's: it is written anew for the next look, where its run has not ended."""
        await self.crew.ledger.again(job_id)
