"""The dataflow: every sample goes through the steps of its recipe by itself, as fast as the endpoints take it.

A request that lists new material begins a sample for each entry as soon as that entry is written; a sample that a judge
turns down goes no further; what was answered is on disk at once. So nothing waits for a batch, an answer that takes long
holds up its own sample only, and a kill costs the answers that were on their way.

What is ready is asked in this order: the earliest steps first, so that there is always something to do, samples of one
seed example together, so that servers find their long beginnings computed; but until a few samples are kept, the very first
go before all others: people are to see them within a minute. Only so many samples are under way, so memory stays flat.

A request that fails is asked again: for ever while its endpoint answers nobody (the run ends as Temporary after a while, and
nothing is lost), and TRIES times where others are answered: then the sample is set aside, and says why.
"""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from pipeline.errors import Failed, Invalid, LabError, Temporary
from pipeline.generating.asked import Asking, Out
from pipeline.generating.memo import Memo
from pipeline.generating.pace import Pace
from pipeline.generating.plan import Start
from pipeline.generating.recipes import Step
from pipeline.generating.rows import Row, Score, Why
from pipeline.generating.underway import Listener, Sample
from pipeline.judging.asking import Model

TRIES = 4  # of one request, where its endpoint answers others
BROKEN = 8  # requests that fail for good before any is answered: then it is no sample's fault
PATIENCE_S = 300.0  # without any answer of an endpoint
PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # before a request is made again, doubled each time
FIRST = 5  # samples that people are to see soon: as long as fewer are kept, twice as many are hurried through
WINDOW = 4  # times as many lists and samples under way as requests may be when another list is begun
YIELD = 64  # samples that are moved on before other things have their turn


@dataclass(slots=True)
class Line:
    """An endpoint with what waits for it. `later`: what is asked again, and when."""

    model: Model
    pace: Pace
    ready: list[tuple[tuple[int, ...], int, Sample]] = field(default_factory=list)
    later: list[tuple[float, int, Sample]] = field(default_factory=list)
    running: int = 0
    answered: int = 0
    broken: int = 0
    good_at: float = 0.0
    known: Asking | None = None  # what was answered in an earlier attempt

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way, and nothing that waits has failed before."""
        return not (self.running or self.later or any(sample.failed_at for _, _, sample in self.ready))


class Flow:
    """`models` answer for roles; roles that the same server answers for share a line. `clock` in seconds."""

    def __init__(
        self,
        models: Mapping[str, Model],
        memo: Memo,
        listener: Listener,
        *,
        most: Mapping[str, int],
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = PATIENCE_S,
        pause_s: float = PAUSE_S,
        wrote: Callable[[int, float], None] = lambda chars, seconds: None,
    ) -> None:
        self.memo, self.listener, self.clock, self.wrote = memo, listener, clock, wrote
        self.patience_s, self.pause_s = patience_s, pause_s
        lines: dict[int, Line] = {}
        self.lines = {
            role: lines.setdefault(id(model.client), Line(model, Pace(most[role], clock), good_at=clock()))
            for role, model in models.items()
        }
        self._each = list(lines.values())
        self._models = dict(models)
        self._numbers = count()
        self._bell = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        self._open = 0  # samples under way
        self._moved = 0
        self.kept = 0

    @property
    def flight(self) -> int:
        """Requests on their way."""
        return sum(line.running for line in self._each)

    @property
    def waiting(self) -> int:
        """Requests that could be made now."""
        return sum(len(line.ready) for line in self._each)

    async def run(self, starts: Iterable[Start]) -> None:
        """Take every request that begins samples, and each sample to its end.

        Raises Temporary where an endpoint answers nobody for `patience_s`, and what the listener raises.
        """
        rest = iter(starts)
        more = True
        try:
            while True:
                more = await self._begin(rest) if more else False
                self._send()
                if self._error:
                    raise self._error
                if not self._open and not more:
                    return
                await self._rung()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what is asked next

    async def _begin(self, rest: Iterator[Start]) -> bool:
        """Begin samples while there is room for more; whether there are more."""
        room = WINDOW * sum(line.pace.limit for line in self._each)
        while self._open < room and not self._error:
            if (start := next(rest, None)) is None:
                return False
            self.listener.began(start)
            await self._move(Sample(start, start.number, dict(start.given)), opened=True)
        return True

    def _send(self) -> None:
        now = self.clock()
        for line in self._each:
            while line.later and line.later[0][0] <= now:
                self._queue(heapq.heappop(line.later)[2])
            while line.ready and line.running < line.pace.limit and not line.pace.wait_s():
                if line.idle:  # an endpoint that was asked nothing answered nobody: its patience begins here
                    line.good_at = now
                _, _, sample = heapq.heappop(line.ready)
                line.running += 1
                task = asyncio.create_task(self._ask(line, sample))
                self._tasks.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._error = self._error or error
        self._bell.set()

    async def _rung(self) -> None:
        """Wait until something has come, or may be sent again."""
        pauses = [pause_s for line in self._each if line.ready and (pause_s := line.pace.wait_s()) > 0]
        pauses += [max(0.0, line.later[0][0] - self.clock()) for line in self._each if line.later]
        soon = min(pauses, default=None)
        with suppress(TimeoutError):
            async with asyncio.timeout(soon):
                await self._bell.wait()
        self._bell.clear()

    def _line(self, sample: Sample) -> Line:
        return self.lines[sample.step.config.role]

    def _queue(self, sample: Sample) -> None:
        hurried = self.kept < FIRST and sample.start.set == "train" and sample.number <= 2 * FIRST
        together = sample.start.example.number if sample.step.config.does != "list" else 0
        order = (0, -sample.at, 0) if hurried else (1, sample.at, together)
        heapq.heappush(self._line(sample).ready, (order, next(self._numbers), sample))

    # --- one request

    async def _ask(self, line: Line, sample: Sample) -> None:
        asking, began = self._asking(sample), self.clock()

        async def heard(at: int, item: Any) -> None:
            line.answered, line.good_at = line.answered + 1, self.clock()  # a list may take long, and this is a sign of life
            await self._entry(sample, at, item)

        try:
            out = await asking.ask(self.memo, heard)
        except Temporary as error:
            if error.kind == "busy":
                line.pace.busy(began, error.wait_s)
            self._again(line, sample, error)
        except (Failed, Invalid) as error:
            if self._error or self.memo.refused:
                raise  # it is the listener's or the disk's, and no sample's fault
            line.broken += 1
            if not line.answered and line.broken >= BROKEN:
                await self._prove(line, error)
            await self._set_aside(line, sample, error)
        else:
            full = bool(line.ready) or line.running >= line.pace.limit
            line.answered, line.good_at = line.answered + 1, self.clock()
            line.pace.took(asking.step.name, out.chars, began, full=full)
            self.wrote(out.chars, self.clock() - began)
            await self._answered(sample, out)
        finally:
            line.running -= 1

    async def _prove(self, line: Line, error: LabError) -> None:
        """Ask again what was answered in an earlier attempt: where that fails too, or nothing was, it is the endpoint."""
        if line.known is None:
            raise error
        await line.known.tried()
        line.answered += 1

    def _asking(self, sample: Sample) -> Asking:
        return Asking.of(sample.step, self._models[sample.step.config.role], sample.given)

    def _again(self, line: Line, sample: Sample, error: Temporary) -> None:
        """Ask again after a pause. It counts as a try of the sample's where its endpoint answers others meanwhile."""
        now = self.clock()
        if now - line.good_at > self.patience_s:
            raise error
        if not sample.failed_at:
            sample.failed_at = now
        elif error.kind == "" and (line.good_at > sample.failed_at or (line.answered and line.running == 1)):
            sample.tries, sample.failed_at = sample.tries + 1, now
        if sample.tries >= TRIES:
            return self._close(sample, error)
        pause_s = min(self.pause_s * 2**sample.tries, LONGEST_PAUSE_S)
        heapq.heappush(line.later, (now + pause_s, next(self._numbers), sample))
        return None

    async def _set_aside(self, line: Line, sample: Sample, error: LabError) -> None:
        """What no pause mends is tried once more, and then is this sample's own."""
        sample.tries += 1
        too_long = isinstance(error, Invalid) and error.problems[0].code == "model.overflow"
        if sample.tries < 2 and not too_long:
            heapq.heappush(line.later, (self.clock() + self.pause_s, next(self._numbers), sample))
        else:
            self._close(sample, error)

    def _close(self, sample: Sample, error: LabError) -> None:
        task = asyncio.create_task(self._failed(sample, error))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _failed(self, sample: Sample, error: LabError) -> None:
        if sample.step.config.does == "list":
            self.listener.lost(sample.start, sample.step, Out(why="failed", wrong=str(error)))
            self._open -= 1
        else:
            await self._finish(sample, sample.row().dropped(sample.step.name, "failed", str(error)[:300]))

    # --- one sample

    async def _move(self, sample: Sample, *, opened: bool = False) -> None:
        """Take a sample as far as what was answered before leads, and line it up for what was not."""
        self._open += opened
        self._moved += 1
        if self._moved % YIELD == 0:
            await asyncio.sleep(0)
        asking = self._asking(sample)
        out = asking.known(self.memo)
        if out is None:
            self._queue(sample)
            self._bell.set()
            return
        self._line(sample).known = asking
        if asking.step.config.does == "list":
            for at, item in enumerate(asking.entries(self.memo, out)):
                await self._entry(sample, at, item)
        await self._answered(sample, out)

    async def _entry(self, parent: Sample, at: int, item: Any) -> None:
        """Begin a sample, or what it is asked about, for an entry of a list."""
        if at < parent.begun:
            return None
        parent.begun = at + 1
        step = parent.step
        number = parent.number + at * _spread(parent)
        given = {**parent.given, **_named(parent, step, item)}
        child = Sample(parent.start, number, given, parent.at + 1, parent.scores)
        follow = parent.start.steps[child.at] if child.at < len(parent.start.steps) else None
        if follow and follow.config.does == "list":
            child.given["wanted"] = follow.config.each
            self.listener.passed(step, child)
            return await self._move(child, opened=True)
        self._open += 1
        row = child.row()
        if not row.question or (step.config.of == "pairs" and not row.answer):
            return await self._finish(child, row.dropped(step.name, "empty"))
        if repeated := self.listener.repeats(row):
            return await self._finish(child, repeated)
        self.listener.passed(step, child)
        if follow is None:
            return await self._finish(child, row)
        return await self._move(child)

    async def _answered(self, sample: Sample, out: Out) -> None:
        step = sample.step
        if step.config.does == "list":
            if out.why:
                self.listener.lost(sample.start, step, out)
            self._open -= 1
            self._bell.set()
            return None
        if out.why:
            why: Why = "cut" if out.why == "cut" else "malformed"
            return await self._finish(sample, sample.row().dropped(step.name, why, out.wrong))
        if step.config.does == "judge":
            score = Score(step.name, int(out.found["score"]), str(out.found["reason"]))
            sample.scores = (*sample.scores, score)
            if score.score < step.config.keep:
                return await self._finish(sample, sample.row().dropped(step.name, "score"))
        else:
            sample.given["answer"] = out.found["answer"]
            if not sample.given["answer"]:
                return await self._finish(sample, sample.row().dropped(step.name, "empty"))
        self.listener.passed(step, sample)
        sample.at, sample.tries, sample.failed_at = sample.at + 1, 0, 0.0
        if sample.at == len(sample.start.steps):
            return await self._finish(sample, sample.row())
        return await self._move(sample)

    async def _finish(self, sample: Sample, row: Row) -> None:
        try:
            await self.listener.done(row)
        except LabError as error:
            self._error = self._error or error
            raise
        self._open -= 1  # not before it was heard: a flow with none open is over
        self.kept += row.kept and row.set == "train"
        self._bell.set()


def _spread(sample: Sample) -> int:
    """How many samples each entry of the sample's list leads to."""
    product = 1
    for step in sample.start.steps[sample.at + 1 :]:
        product *= step.config.each if step.config.does == "list" else 1
    return product


def _named(parent: Sample, step: Step, item: Any) -> dict[str, Any]:
    """An entry as the fields that later steps give."""
    if step.config.of == "pairs":
        return {"question": item["question"], "answer": item["answer"]}
    if step.config.of == "contexts":
        return {"context": item}
    return {"reworded" if parent.start.set == "reworded" else "question": item}
