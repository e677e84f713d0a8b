"""Continuous batching over llama.cpp: many answers at once from one model, step by step.

One thread owns the context. Every step it takes in what is new, lets `schedule` make one batch of everything that can go
on, computes it, and gives every answer its next token. Who asks is never on that thread.
"""

import asyncio
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psutil

from pipeline.errors import Failed, Invalid, Problem, Temporary
from pipeline.models import machine, shape
from pipeline.models.embedder import Embedder
from pipeline.models.llama import SEQUENCES, Context, Model
from pipeline.models.request import Piece, Reason, Request, Stream, Token, Usage
from pipeline.models.sampling import Grammars, Sampler, Sampling
from pipeline.models.schedule import Limits, Row, Schedule
from pipeline.models.stats import Meter, Stats
from pipeline.models.template import Template
from pipeline.models.text import Text
from pipeline.models.work import Work

__all__ = ["Engine", "EngineSettings", "Piece", "Request", "Sampling", "Stats", "Stream", "Token", "Usage"]

log = logging.getLogger("labpipe")
T = TypeVar("T")

CONTEXT = 8192  # tokens that one request may hold, unless the model's own context is smaller or the settings say otherwise
CHUNK, GPU_CHUNK = 128, 512  # prompt tokens a step: 128 hold the others up for 0.2 s on two cores and cost 3% more than 256
CONTEXTS = 4  # as many times that are the cells of all requests together
KEPT = 32  # ended sequences whose cells are kept for prompts that begin alike
OUTPUTS = 64  # logits that a step may give at least


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """`context`: tokens a request may hold (0: the model's, at most 8,192); `capacity`: those of all requests together.

    `capacity` 0 is four contexts, as far as there is memory for them.
    `slots`: answers written at once; `chunk`: prompt tokens read a step (0: by the machine); `queue`: requests that may wait;
    `threads` 0: one a core; `gpu_layers` -1: all of them, where there is a GPU.
    """

    model: Path
    name: str = ""
    context: int = 0
    capacity: int = 0
    slots: int = 32
    threads: int = 0
    gpu_layers: int = -1
    chunk: int = 0
    queue: int = 256
    adapters: Mapping[str, Path] = field(default_factory=dict)
    mmap: bool = False


class Engine:
    """A model that answers many at once. Everything public may be called from any thread.

    Raises Invalid where the file cannot be loaded as a model or an adapter, Failed where memory is short.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.settings, self.name = settings, settings.name or settings.model.stem
        self._model = Model(settings.model, gpu_layers=settings.gpu_layers, mmap=settings.mmap)
        self.vocabulary = self._model.vocabulary
        self.context = min(settings.context or CONTEXT, self._model.trained_context)
        here = machine.look()
        self._threads = settings.threads or min(psutil.cpu_count(logical=False) or here.cores, here.cores)
        chunk = settings.chunk or (GPU_CHUNK if here.gpu_bytes and settings.gpu_layers else CHUNK)
        limits = Limits(
            settings.slots,
            chunk,
            max(settings.slots, OUTPUTS),
            min(KEPT, SEQUENCES - settings.slots) * self._model.shares,
        )
        self._context = Context(
            self._model,
            tokens=max(settings.capacity or self._affordable(here), self.context),
            sequences=limits.slots + limits.kept,
            batch=limits.slots + limits.chunk,
            outputs=limits.outputs,
            threads=self._threads,
        )
        self.capacity = self._context.tokens
        self._schedule = Schedule(self._context, limits)
        self._template = self._read_template(self._model.template())
        self._grammars = Grammars(self.vocabulary)
        self._embedder: Embedder | None = None
        self._adapters = {name: self._model.adapter(path) for name, path in settings.adapters.items()}
        self._orders = itertools.count()
        self._meter = Meter()
        self._inbox: deque[Work | Callable[[], None]] = deque()
        self._news = threading.Condition()
        self._ending = ""
        self._touched: dict[Stream, None] = {}
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
        self._thread.start()

    def _affordable(self, here: machine.Machine) -> int:
        """Cells for CONTEXTS requests of full length, or as many as half of the memory holds that is free now."""
        held = here.gpu_bytes - self._model.bytes if here.gpu_bytes and self.settings.gpu_layers else here.free_bytes
        one = shape.read(self.settings.model).kv_bytes
        return min(CONTEXTS * self.context, held // 2 // one if one else CONTEXTS * self.context)

    # --- what others ask of it

    def submit(self, request: Request) -> Stream:
        """Ask for an answer. Raises Invalid for one that cannot be given, Temporary while too many wait."""
        if request.adapter and request.adapter not in self._adapters:
            there = ", ".join(self._adapters) or "none"
            raise Invalid(Problem("adapter.unknown", f"there is no adapter {request.adapter!r}.", "model", f"Loaded: {there}."))
        request = self._fitted(request)
        if len(self._schedule.waiting) + len(self._inbox) >= self.settings.queue:
            raise Temporary(f"{self.settings.queue} requests wait already; try again in a moment")
        matcher = self._grammars.matcher(request.schema) if request.schema is not None else None
        stream, sampler = Stream(len(request.prompt)), Sampler(request.sampling, self.vocabulary)
        text, now = Text(request.stop), time.monotonic()
        tokens, order = list(request.prompt), next(self._orders)
        try:
            self._put(Work(request, stream, self.vocabulary, tokens, sampler, text, matcher, now, order))
        except Failed:
            sampler.close()
            raise
        return stream

    def _fitted(self, request: Request) -> Request:
        """The request with its number of tokens. Raises Invalid where these are more than the context holds."""
        prompt, room = len(request.prompt), self.context - len(request.prompt)
        if not prompt:
            raise Invalid(Problem("prompt.empty", "the prompt is empty.", "prompt", "Say something."))
        size = self.vocabulary.size
        if foreign := next((token for token in request.prompt if not 0 <= token < size), None):
            fix = f"{self.name} has 0 to {size - 1}."
            raise Invalid(Problem("prompt.token", f"{foreign} is no token.", "prompt", fix))
        if room < max(1, request.max_tokens):
            wants = f" and up to {request.max_tokens} of answer" if request.max_tokens and room > 0 else ""
            message = f"the prompt has {prompt} tokens{wants}, and the context of {self.name} holds {self.context}."
            facts = {"prompt": str(prompt), "max_tokens": str(request.max_tokens), "context": str(self.context)}
            raise Invalid(Problem("context.overflow", message, "messages", "Shorten it, or ask for less.", facts))
        return request if request.max_tokens else replace(request, max_tokens=room)

    def tokenize(self, text: str, *, special: bool = False) -> tuple[int, ...]:
        """The tokens of a plain text, BOS first where the model wants it."""
        return self.vocabulary.tokens(text, special=special, begin=True)

    def chat_prompt(self, messages: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
        """The tokens of a conversation, by the model's own template. Raises Invalid where it has none or refuses."""
        if self._template is None:
            fix = "Use /v1/completions, or a model with a template."
            raise Invalid(Problem("model.template", f"{self.name} has no chat template in its GGUF.", "messages", fix))
        tokens, begins = self._template.tokens(messages)
        bos = self.vocabulary.begins
        return tokens if begins or bos < 0 else (bos, *tokens)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The mean of a text's last hidden states, of length 1; one a text, between the steps of the answers."""
        return [self._call(partial(self._embed, text)) for text in texts]

    def _embed(self, text: str) -> list[float]:
        self._embedder = self._embedder or Embedder(self._model, threads=self._threads)
        return self._embedder(text)

    @property
    def adapters(self) -> tuple[str, ...]:
        return tuple(self._adapters)

    def load_adapter(self, name: str, path: Path) -> None:
        """Load a GGUF adapter under a name, while it serves. Raises Invalid for a name in use or a file that does not fit."""

        def load() -> None:
            if name in self._adapters or name == self.name or not name:
                message = f"the name {name!r} is in use." if name else "an adapter needs a name."
                raise Invalid(Problem("adapter.name", message, "lora_name", "Take another, or unload it first."))
            self._adapters[name] = self._model.adapter(path)

        self._call(load)

    def unload_adapter(self, name: str) -> None:
        """Take an adapter away. Raises Invalid where there is none of that name, or answers still use it."""

        def unload() -> None:
            if name not in self._adapters:
                raise Invalid(Problem("adapter.unknown", f"there is no adapter {name!r}.", "lora_name", "See /v1/models."))
            using = sum(work.request.adapter == name for work in self._schedule)
            if using:
                raise Invalid(Problem("adapter.busy", f"{using} answers still use {name!r}.", "lora_name", "Try again soon."))
            self._schedule.drop_kept(name)
            self._context.use(None)
            self._adapters.pop(name).close()

        self._call(unload)

    def stats(self) -> Stats:
        waiting = len(self._schedule.waiting) + len(self._inbox)
        running, cells = len(self._schedule.running), self._schedule.cells.used
        return self._meter.read(running=running, waiting=waiting, cells=cells, cached=self._schedule.shared)

    def alive(self) -> bool:
        return self._thread.is_alive() and not self._ending

    def close(self) -> None:
        """End every stream, then free everything. Returns when the thread is gone."""
        with self._news:
            self._ending = self._ending or "the engine is closed"
            self._news.notify()
        self._thread.join()

    def _call(self, act: Callable[[], T]) -> T:
        """Do something between two steps, on the engine's thread."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(act())
            except BaseException as error:
                future.set_exception(error)

        self._put(run)
        return future.result()

    def _put(self, what: Work | Callable[[], None]) -> None:
        with self._news:
            if self._ending:
                raise Failed(self._ending)
            self._inbox.append(what)
            self._news.notify()

    def _read_template(self, source: str) -> Template | None:
        names = [self.vocabulary.name(token) for token in (self.vocabulary.bos, self.vocabulary.eos)]

        def tokens(text: str, special: bool) -> tuple[int, ...]:
            return self.vocabulary.tokens(text, special=special)

        return Template(source, tokens, self.vocabulary.specials, *names) if source else None

    # --- the thread

    def _serve(self) -> None:
        try:
            while not self._ending:
                self._take_in()
                self._schedule.admit()
                self._tell_places()
                adapter, rows = self._schedule.plan()
                if rows:
                    self._context.use(self._adapters.get(adapter))
                    self._step(rows)
                self._deliver()
                if not rows:
                    with self._news:
                        self._news.wait_for(lambda: self._inbox or self._ending or self._schedule.running)
        except Exception as error:
            log.exception("the engine broke")
            self._ending = f"the engine broke: {type(error).__name__}: {error}"
        finally:
            self._end_all()

    def _end_all(self) -> None:
        """End every stream, whatever the reason, and give everything back."""
        with self._news:  # whoever comes later is told so
            left = list(self._inbox)
        for work in (*self._schedule, *(one for one in left if isinstance(one, Work))):
            work.sampler.close()
            work.stream.end("failed", work.usage(), self._ending)
            self._touched[work.stream] = None
        self._deliver()
        for act in (one for one in left if not isinstance(one, Work)):
            act()
        if self._embedder:
            self._embedder.close()
        self._context.use(None)
        for adapter in self._adapters.values():
            adapter.close()
        self._context.close()

    def _take_in(self) -> None:
        """New requests, things to do between steps, and what was cancelled meanwhile."""
        while self._inbox:
            match self._inbox.popleft():
                case Work() as work:
                    self._begin(work)
                case act:
                    act()
        for work in [work for work in self._schedule if work.stream.cancelled]:
            self._end(work, "cancelled")

    def _begin(self, work: Work) -> None:
        """Put a request into the queue; what its schema leaves no choice about is written at once."""
        self._schedule.waiting.append(work)
        self._meter.asked(len(work.request.prompt))
        if work.matcher and (forced := work.matcher.begin()):
            self._give(work, work.write(forced))
            self._meter.wrote(work.made)

    def _tell_places(self) -> None:
        for place, work in enumerate(self._schedule.waiting, 1):
            if work.told != place:
                work.told = place
                self._give(work, Piece(position=place))

    # --- a step

    def _step(self, rows: list[Row]) -> None:
        """Compute the batch and give each its next token."""
        try:
            enough = self._context.step()
        except Failed as error:
            self._broke(str(error))
            return
        if not enough:
            self._schedule.put_back(max((row.work for row in rows), key=lambda work: work.order))
            return
        self._meter.step()
        for row in rows:
            work, wanted = row.work, row.work.echoes
            self._schedule.computed(row)
            if wanted:
                self._give(work, work.echo([self._context.logits(at) for at in range(row.last - row.count + 1, row.last + 1)]))
            if not work.todo:
                self._next(work, row.last)

    def _broke(self, why: str) -> None:
        """A step that failed says nothing of what its cells hold now: everything that runs ends."""
        log.error("%s", why)
        for work in list(self._schedule.running):
            self._end(work, "failed", why)
        self._schedule.drop_kept()
        self._context.clear()

    def _next(self, work: Work, row: int) -> None:
        """Choose the next token and write it; the answer may end with it."""
        logits = self._context.logits(row)
        raw = logits.copy() if work.request.logprobs >= 0 else None
        if work.matcher:
            work.matcher.mask(logits)
        token = work.sampler.choose(self._context, row)
        if not work.first:
            work.first = work.steps
            self._meter.first(time.monotonic() - work.asked_at)
        forced = work.matcher.take(token) if work.matcher else []
        if work.matcher and work.matcher.error:
            self._end(work, "failed", f"the schema came to a dead end: {work.matcher.error}")
            return
        if token in self.vocabulary.ends:
            self._end(work, "length" if work.cut else "stop")
            return
        for one in forced:
            work.sampler.seen(one)
        before = work.made
        self._give(work, work.write([token, *forced], raw))
        self._meter.wrote(work.made - before)
        if reason := work.ends():
            self._end(work, reason)

    def _end(self, work: Work, reason: Reason, error: str = "") -> None:
        """End an answer: its text is whole, its cells are kept for what begins alike."""
        if reason in ("stop", "length") and (rest := work.text.end()):
            self._give(work, Piece(rest))
        self._schedule.remove(work, keep=reason != "failed")
        work.sampler.close()
        work.stream.end(reason, work.usage(), error)
        self._touched[work.stream] = None

    def _give(self, work: Work, piece: Piece | None) -> None:
        if piece:
            work.stream.put(piece)
            self._touched[work.stream] = None

    def _deliver(self) -> None:
        """Wake everybody who reads one of the streams that moved: one call a loop, however many there are."""
        loops: dict[asyncio.AbstractEventLoop, list[asyncio.Event]] = {}
        for stream in self._touched:
            if found := stream.wake():
                loops.setdefault(found[0], []).append(found[1])
        self._touched.clear()
        for loop, events in loops.items():
            try:
                loop.call_soon_threadsafe(_set_all, events)
            except RuntimeError:
                log.info("somebody's event loop is closed; nobody reads these answers any more")


def _set_all(events: list[asyncio.Event]) -> None:
    for event in events:
        event.set()
