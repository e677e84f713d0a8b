"""Threads that ask one engine for anything, and what is left in it when they are gone. See engine.py."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import llama_cpp as lib

from pipeline.errors import Invalid, Temporary
from pipeline.models.engine import Engine, EngineSettings, Request, Sampling, Stream
from tests.pipeline.models import random_gguf

THREADS = 64
REASONS = {"stop", "length", "cancelled"}
WORD = {"type": "string", "maxLength": 8}
SCHEMAS: tuple[dict[str, Any], ...] = (
    {"type": "object", "properties": {"word": WORD, "sure": {"type": "boolean"}}, "required": ["word", "sure"]},
    {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "minItems": 1, "maxItems": 6},
    {"enum": ["skill", "knowledge"]},
)
STOPS = (("a",), ("e", "0", ","), ("ba", "}"), ("\u20ac",))

Found = dict[str, Any]


@contextmanager
def serving(folder: Path, **more: Any) -> Iterator[Engine]:
    model = folder / "model.gguf"
    if not model.exists():
        random_gguf.make(model)
        for seed, name in enumerate("ab", 1):
            random_gguf.adapter(folder / f"{name}.gguf", model, seed=seed)
    engine = Engine(EngineSettings(model, **more))
    try:
        yield engine
    finally:
        engine.close()


def leftovers(engine: Engine) -> list[str]:
    """What is still in use when nobody asks for anything: sequences, cells, and what llama.cpp itself says of them."""

    def look() -> list[str]:
        schedule, context = engine._schedule, engine._context  # between two steps, on the engine's own thread
        schedule.drop_kept()
        held = [one for one in range(context.sequences) if lib.llama_memory_seq_pos_max(context.memory, one) >= 0]
        counts = {
            "running": len(schedule.running),
            "waiting": len(schedule.waiting),
            "cells counted as used": schedule.cells.used,
            "sequences not given back": context.sequences - len(set(schedule._free)),
            "sequences given back twice": len(schedule._free) - len(set(schedule._free)),
            "sequences of llama.cpp with cells": len(held),
        }
        return [f"{count} {name}" for name, count in counts.items() if count]

    return engine._call(look)


# --- a crowd


class Crowd:
    """Threads that ask one engine for anything, until each has asked so often, or so long."""

    def __init__(self, engine: Engine, seed: int, times: int, seconds: float, folder: Path) -> None:
        self.engine, self.seed, self.times, self.folder = engine, seed, times, folder
        self.until = time.monotonic() + seconds
        self.reasons: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def run(self) -> Found:
        threads = [threading.Thread(target=self._thread, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.wrong += leftovers(self.engine)
        return {"asked": self.reasons.total(), "reasons": dict(self.reasons), "wrong": self.wrong[:10]}

    def _thread(self, number: int) -> None:
        chance = random.Random(f"{self.seed}/{number}")
        acts: list[tuple[Callable[[random.Random], str], int]] = [
            (self._plain, 8),
            (self._schema, 4),
            (self._stops, 3),
            (self._cancelled, 5),
            (self._probabilities, 2),
            (self._refused, 1),
            (self._embedding, 1),
            (self._adapter, 1),
        ]
        at = 0
        while at < self.times or time.monotonic() < self.until:
            act = chance.choices([act for act, _ in acts], [weight for _, weight in acts])[0]
            try:
                reason = act(chance)
            except Exception as error:  # whatever it is, it is what this looks for
                self._tell(f"thread {number}, {at}, {act.__name__}: {type(error).__name__}: {error}")
                return
            with self._lock:
                self.reasons[reason] += 1
            at += 1

    def _tell(self, what: str) -> None:
        with self._lock:
            self.wrong.append(what)

    def _request(self, chance: random.Random, **more: Any) -> Request:
        words = " ".join(chance.choices(("alpha", "badi", "go", "x", "42", "\u20ac"), k=chance.choice((1, 3, 20, 60))))
        prompt = self.engine.tokenize(chance.choice(("", "You are kind. " * 8)) + words)
        sampling = Sampling(
            temperature=chance.choice((0.0, 0.8, 2.0)),
            top_k=chance.choice((0, 1, 40)),
            repetition=chance.choice((1.0, 1.3)),
            seed=chance.randrange(2**31),
        )
        wanted: dict[str, Any] = {"max_tokens": chance.choice((1, 2, 17, 90)), "sampling": sampling}
        wanted["adapter"] = chance.choice(("", "", "a", "b"))
        return Request(prompt, **wanted | more)

    def _asked(self, request: Request) -> Stream:
        """Ask, and again where too many wait."""
        while True:
            try:
                return self.engine.submit(request)
            except Temporary:
                time.sleep(0.01)

    def _ended(self, request: Request, stream: Stream, allowed: set[str] | None = None) -> str:
        text = "".join(piece.text for piece in stream.read())
        if stream.reason not in (allowed or {"stop", "length"}):
            self._tell(f"{stream.reason!r} ({stream.error}) ended {_short(request)}")
        if request.max_tokens and stream.usage.completion > request.max_tokens:
            self._tell(f"{stream.usage} for {_short(request)}")
        return text

    def _plain(self, chance: random.Random) -> str:
        request = self._request(chance)
        stream = self._asked(request)
        self._ended(request, stream)
        return stream.reason

    def _schema(self, chance: random.Random) -> str:
        schema = chance.choice(SCHEMAS)
        request = self._request(chance, schema=schema, max_tokens=chance.choice((3, 200)))
        stream = self._asked(request)
        text = self._ended(request, stream)
        if stream.reason == "stop":
            jsonschema.validate(json.loads(text), schema)
        return f"schema {stream.reason}"

    def _stops(self, chance: random.Random) -> str:
        request = self._request(chance, stop=chance.choice(STOPS))
        stream = self._asked(request)
        text = self._ended(request, stream)
        if any(stop in text for stop in request.stop):
            self._tell(f"{text!r} has a stop string of {_short(request)}")
        return f"stops {stream.reason}"

    def _cancelled(self, chance: random.Random) -> str:
        request = self._request(chance, max_tokens=300)
        stream = self._asked(request)
        pieces = stream.read()
        for _ in range(chance.choice((0, 0, 1, 5))):
            next(pieces, None)
        stream.cancel()
        self._ended(request, stream, REASONS)
        return f"cancelled {stream.reason}"

    def _probabilities(self, chance: random.Random) -> str:
        request = self._request(chance, logprobs=chance.choice((0, 3)), echo=chance.random() < 0.5)
        stream = self._asked(request)
        count = sum(len(piece.tokens) for piece in stream.read())
        wanted = stream.usage.completion + len(request.prompt) * request.echo
        if count != wanted or stream.reason not in ("stop", "length"):
            self._tell(f"{count} tokens instead of {wanted}, {stream.reason!r} ({stream.error}), for {_short(request)}")
        return f"logprobs {stream.reason}"

    def _refused(self, chance: random.Random) -> str:
        wrong = chance.choice(({"adapter": "none"}, {"max_tokens": 100_000}, {"schema": {"type": "nothing"}}))
        try:
            self._asked(self._request(chance, **wrong))
        except Invalid:
            return "refused"
        self._tell(f"{wrong} was taken")
        return "taken"

    def _embedding(self, chance: random.Random) -> str:
        found = self.engine.embed(["go " * chance.randint(1, 20)])
        return "embedding" if len(found) == 1 else "embedding?"

    def _adapter(self, chance: random.Random) -> str:
        """Load an adapter under a name of its own, use it, take it away."""
        name = f"own{chance.randrange(2**31)}"
        self.engine.load_adapter(name, self.folder / "a.gguf")
        request = self._request(chance, adapter=name)
        stream = self._asked(request)
        if chance.random() < 0.5:
            stream.cancel()
        self._ended(request, stream, REASONS)
        self.engine.unload_adapter(name)
        return "adapter"


def _short(request: Request) -> str:
    return f"{len(request.prompt)} tokens of prompt, {replace(request, prompt=())}"
