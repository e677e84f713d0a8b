"""Who computes next: requests that wait, sequences that run, cells that are shared, and the batch of each step.

* Requests wait in one queue, first come first served, until their prompt and a part of their answer have cells.
* A prompt that begins like one that was computed, or is just being computed, takes over those cells.
* In a step, what writes adds its last token; what reads its prompt shares `chunk` tokens, the short ones first.
* Where cells run out, what is only kept goes; then the youngest request, which reads again what it had, before others.
* An adapter belongs to the context: those that want the same one make a step together, and adapters take turns.
"""

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.models.cells import Cells, Held, common
from pipeline.models.llama import Context
from pipeline.models.work import Work

log = logging.getLogger("labpipe")

AHEAD = 256  # tokens of an answer for which there must be cells before its request is let in


@dataclass(frozen=True, slots=True)
class Limits:
    """`slots` requests run at once, `chunk` prompt tokens are read and at most `outputs` logits made a step.

    `kept`: ended sequences whose cells stay for prompts that begin alike; 0 where the model's state cannot be shared.
    """

    slots: int
    chunk: int
    outputs: int
    kept: int


@dataclass(frozen=True, slots=True)
class Row:
    """A request's part of a batch: `count` of its tokens, the last one in row `last`."""

    work: Work
    count: int
    last: int


class Schedule:
    """The sequences of one context. Belongs to the engine's thread, but for `waiting` and `running`, which may be counted."""

    def __init__(self, context: Context, limits: Limits) -> None:
        self._context, self._limits = context, limits
        self.cells = Cells(context.tokens)
        self.waiting: deque[Work] = deque()
        self.running: list[Work] = []
        self._free = deque(range(context.sequences))
        self._kept: dict[Held, None] = {}  # oldest first
        self._turns: dict[str, int] = {}  # adapter -> its last turn
        self._turn = 0
        self.shared = 0  # tokens that were taken over instead of computed

    def __iter__(self) -> Iterator[Work]:
        yield from (*self.running, *self.waiting)

    def admit(self) -> None:
        """Let requests in, while there are sequences and cells for them."""
        while self.waiting and len(self.running) < self._limits.slots:
            work = self.waiting[0]
            source, shared = self._alike(work)
            wants = work.todo - shared + min(work.left, AHEAD)
            while self._unpromised() < wants and self._evict(source):
                pass
            if self._unpromised() < wants and self.running:
                return
            if self.cells.free < wants and self._evict():
                continue  # what it would have shared had to go, too
            self.waiting.popleft()
            self.running.append(work)
            if not self._free and not self._evict(source):
                self._evict()
            work.held = Held(self._free.popleft(), work.request.adapter)
            work.follows, work.follows_to = (source, shared) if shared else (None, 0)

    def remove(self, work: Work, *, keep: bool) -> None:
        """Take a request out; its cells stay, for prompts that begin alike, where they may be of use."""
        if work.held is None:
            self.waiting.remove(work)
            return
        self.running.remove(work)
        held, work.held, work.follows = work.held, None, None
        if keep and self._limits.kept and len(held) and not work.request.echo:
            self._kept[held] = None
            if len(self._kept) > self._limits.kept:
                self._evict()
        else:
            self._forget(held)

    def put_back(self, work: Work) -> None:
        """Take a request's cells away; it reads again what it had, before all others."""
        log.info("cells ran out: a request of %d tokens reads again", len(work.tokens))
        self.remove(work, keep=False)
        self.waiting.appendleft(work)

    def drop_kept(self, adapter: str | None = None) -> None:
        """Give up what is only kept: of one adapter ("" is the bare model), or all."""
        for held in [held for held in self._kept if adapter is None or held.adapter == adapter]:
            self._forget(held)

    # --- a step

    def plan(self) -> tuple[str, list[Row]]:
        """Make the batch of the next step, of requests that want one adapter; no rows where nothing can go on."""
        while True:
            self._context.batch.clear()
            ready = [work for work in self.running if self._caught_up(work)]
            if not ready:
                return "", []
            adapter = min({work.request.adapter for work in ready}, key=lambda name: self._turns.get(name, -1))
            group = [work for work in ready if work.request.adapter == adapter]
            writing = [work for work in group if work.todo == 1]
            rows = self._rows(writing, group) if self._room(max(1, len(writing))) else []
            if rows:
                self._turn += 1
                self._turns[adapter] = self._turn
                return adapter, rows

    def _rows(self, writing: list[Work], group: list[Work]) -> list[Row]:
        rows = [self._row(work, 1) for work in writing]
        batch = self._context.batch
        budget = min(self._limits.chunk, batch.rows - batch.used, self.cells.free - batch.used)
        outputs = self._limits.outputs - len(rows)
        reading = sorted((work for work in group if work.todo > 1), key=lambda work: work.todo)
        for at, work in enumerate(reading):
            share = max(1, budget // (len(reading) - at))  # what a short one leaves goes to the longer ones
            count = min(work.todo, share, outputs if work.echoes else budget, budget)
            if count > 0 and outputs > 0:
                rows.append(self._row(work, count))
                budget -= count
                outputs -= count if work.echoes else 1
        return rows

    def _row(self, work: Work, count: int) -> Row:
        assert work.held is not None
        begin = len(work.held)
        wanted = count if work.echoes else int(begin + count == len(work.tokens))
        tokens = work.tokens[begin : begin + count]
        return Row(work, count, self._context.batch.add(work.held.sequence, tokens, begin, wanted=wanted))

    def computed(self, row: Row) -> None:
        """Count the cells that a step gave."""
        held = row.work.held
        assert held is not None
        self.cells.grow(held, row.work.tokens[len(held) : len(held) + row.count])
        row.work.steps += 1

    def _room(self, rows: int) -> bool:
        """Make room for that many cells; False where a request had to go, and the batch must be made anew."""
        while self.cells.free < rows:
            if not self._evict():
                self.put_back(max(self.running, key=lambda work: work.order))
                return False
        return True

    # --- what is shared

    def _alike(self, work: Work) -> tuple[Held | None, int]:
        """The sequence that begins most like a request's tokens, and how many of these can be shared.

        Also one that still computes them: waiting for it is cheaper than computing them twice. The last token is always
        computed, for its logits.
        """
        best: tuple[Held | None, int] = None, 0
        if not self._limits.kept or work.request.echo:
            return best
        running = [(one.held, one.tokens) for one in self.running if one.held is not None and not one.request.echo]
        for held, tokens in [*running, *((held, held.tokens) for held in self._kept)]:
            if held.adapter == work.request.adapter:
                size = min(common(tokens, work.tokens), len(work.tokens) - 1)
                best = (held, size) if size > best[1] else best
        return best

    def _caught_up(self, work: Work) -> bool:
        """Whether a request can go on by itself, after taking over what another has computed for it."""
        source, held = work.follows, work.held
        if source is None or held is None:
            return True
        gone = source.sequence < 0
        if not gone and len(source) < work.follows_to and any(one.held is source for one in self.running):
            return False
        end = min(work.follows_to, len(source))
        if not gone and end > len(held):
            self._context.copy(source.sequence, held.sequence, len(held), end)
            self.cells.share(source, held, end)
            work.cached = max(work.cached, min(end, len(work.request.prompt)))
            self.shared += end
        work.follows = None
        if source in self._kept and end == len(source):
            self._forget(source)  # all of it lives on in the one that took it over
        return True

    def _unpromised(self) -> int:
        """Cells that are free, less those that the running ones still need to read on and to write a while."""
        needs = (work.todo + min(work.left, AHEAD) for work in self.running)
        return self.cells.free - sum(needs)

    def _evict(self, spared: Held | None = None) -> bool:
        """Give up the oldest sequence that is only kept; False where there is none."""
        held = next((held for held in self._kept if held is not spared), None)
        if held is not None:
            self._forget(held)
        return held is not None

    def _forget(self, held: Held) -> None:
        self._kept.pop(held, None)
        self._context.drop(held.sequence)
        self.cells.drop(held)
        self._free.append(held.sequence)
        held.sequence = -1
