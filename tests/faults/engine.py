"""One engine, many who ask: random requests of every kind, cancels, too few cells, and an end in the middle.

    python -m tests.faults.engine crowd|chats|storm|closed [--seed N] [--times N] [--seconds N]

A process of its own, for llama.cpp ends the process where it is used wrongly. Prints one JSON object; `wrong` says what is not
as it must be. What hangs writes where it hangs to stderr, and ends.
"""

import argparse
import asyncio
import faulthandler
import gc
import json
import logging
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from pipeline.errors import Failed
from pipeline.models.engine import Engine, Request, Sampling, Stream, Token
from tests.faults.crowd import REASONS, SCHEMAS, THREADS, Crowd, Found, leftovers, serving

HANGS_S = 120  # without an end, whatever a round asks for besides
CHATS = 200
GROWTH_MB = 5.0
CLOSE: dict[str, Any] = {"slots": 16, "context": 1024, "capacity": 1024, "chunk": 64}  # two answers have room in it
WAVER = 0.15  # of the logarithm of a probability


# --- a crowd


def crowd(seed: int, times: int, seconds: float) -> Found:
    """64 threads, few slots and few cells, so that requests wait and are put back."""
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base)
        made = {"adapters": {name: folder / f"{name}.gguf" for name in "ab"}}
        with serving(folder, slots=12, capacity=2048, queue=48, chunk=64, **made) as engine:
            return Crowd(engine, seed, times, seconds, folder).run()


# --- chats that come and go


def chats(seed: int, times: int, seconds: float) -> Found:
    """200 chats at once in one loop, many of them cancelled; then as many again. What stays must not grow with them."""
    chance, until = random.Random(seed), time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as base, serving(Path(base), slots=16, capacity=4096) as engine:
        wrong: list[str] = []
        reasons: Counter[str] = Counter()
        before, rounds = 0.0, 0
        while rounds < 2 + times or time.monotonic() < until:
            if rounds == 2:  # what is made once is there now: threads' memory, compiled schemas, the arenas of malloc
                before = _memory_mb()
            reasons += asyncio.run(_chats(engine, chance, wrong))
            rounds += 1
        growth = _memory_mb() - before
        wrong += leftovers(engine)
    if growth > GROWTH_MB:
        wrong.append(f"{growth:.1f} MB more after {rounds - 2} rounds")
    return {"asked": reasons.total(), "reasons": dict(reasons), "growth_mb": round(growth, 2), "wrong": wrong[:10]}


def _memory_mb() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 2**20


async def _chats(engine: Engine, chance: random.Random, wrong: list[str]) -> Counter[str]:
    seeds = [chance.randrange(2**31) for _ in range(CHATS)]
    return Counter(await asyncio.gather(*(_chat(engine, random.Random(seed), wrong) for seed in seeds)))


async def _chat(engine: Engine, chance: random.Random, wrong: list[str]) -> str:
    """Two turns of a conversation; Stop at any time, or nobody reads on and the stream is cancelled."""
    messages = [{"role": "user", "content": f"go {chance.randrange(1000)}"}]
    reason = ""
    for _ in range(2):
        schema = chance.choice((None, None, SCHEMAS[0]))
        stream = engine.submit(Request(engine.chat_prompt(messages), chance.choice((5, 40)), schema=schema))
        stopped, answer = chance.choice((-1, -1, 0, 1, 4)), ""
        if stopped == 0:
            stream.cancel()
        async for piece in stream:
            answer += piece.text
            stopped -= 1
            if stopped == 0:
                stream.cancel()
        if stream.reason not in REASONS:
            wrong.append(f"a chat ended with {stream.reason!r}: {stream.error}")
        reason = stream.reason
        messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": "go on"}]
    return reason


# --- too few cells


def storm(seed: int, times: int, seconds: float) -> Found:
    """Long greedy answers that together want more cells than there are: each must be as it is alone.

    A prompt is read with other roundings than the same tokens were written with, so that an answer which was put back may
    differ from where two tokens were as likely as each other; WAVER is twice what was seen between the two.
    """
    chance, counter = random.Random(seed), _Counter("cells ran out")
    prompts = [f"{chance.randrange(10**6)} and {chance.randrange(10**6)}" for _ in range(times)]
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as base:
        with serving(Path(base), **CLOSE) as engine:
            asked = [_greedy(engine, prompt) for prompt in prompts]
            together = [_tokens(stream) for stream in asked]
            wrong += [f"ended with {stream.reason!r}: {stream.error}" for stream in asked if stream.reason not in REASONS]
            wrong += leftovers(engine)
        for prompt, answer in zip(prompts, together, strict=True):
            with serving(Path(base), **CLOSE) as engine:
                if why := _unlike(_tokens(_greedy(engine, prompt)), answer):
                    wrong.append(f"{prompt!r}: {why}")
    return {"asked": len(prompts), "put_back": counter.count, "wrong": wrong[:10]}


def _greedy(engine: Engine, prompt: str) -> Stream:
    return engine.submit(Request(engine.tokenize(prompt), 500, sampling=Sampling(temperature=0), logprobs=2))


def _tokens(stream: Stream) -> list[Token]:
    return [token for piece in stream.read() for token in piece.tokens]


def _unlike(alone: list[Token], other: list[Token]) -> str:
    """Where an answer is not what it is alone, if it is not but for rounding."""
    for at, (one, two) in enumerate(zip(alone, other, strict=False)):
        if abs(one.top[0][1] - two.top[0][1]) > WAVER:
            return f"token {at} had probability {one.top[0]} alone, {two.top[0]} in the storm"
        if one.id != two.id:
            gap = one.top[0][1] - one.top[1][1]
            return f"token {at} is {two.text!r} instead of {one.text!r}" if gap > WAVER else ""
    return "" if len(alone) == len(other) else f"{len(other)} tokens instead of {len(alone)}"


class _Counter(logging.Handler):
    """Counts what the engine's log says."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words, self.count = words, 0
        logging.getLogger("labpipe").addHandler(self)
        logging.getLogger("labpipe").setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        self.count += self.words in record.getMessage()


# --- an end in the middle


def closed(seed: int, times: int, seconds: float) -> Found:
    """Close the engine while answers are written, wait and are asked for: every stream ends, and who comes later is told."""
    reasons: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as base:
        for number in range(times):
            chance = random.Random(f"{seed}/{number}")
            with serving(Path(base), slots=8) as engine:
                streams: list[Stream] = []
                threads = [threading.Thread(target=_asks, args=(engine, streams, wrong)) for _ in range(THREADS)]
                for thread in threads:
                    thread.start()
                steps = chance.randrange(60)
                while engine.stats().steps < steps:
                    time.sleep(0)
                engine.close()
                for thread in threads:
                    thread.join()
            reasons += Counter(stream.reason for stream in streams)
    wrong += [
        f"{count} streams ended with {reason!r}" for reason, count in reasons.items() if reason not in REASONS | {"failed"}
    ]
    return {"asked": reasons.total(), "reasons": dict(reasons), "wrong": wrong[:10]}


def _asks(engine: Engine, streams: list[Stream], wrong: list[str]) -> None:
    """Ask and read until the engine is closed; a schema, an embedding or an adapter may be what it is closed in."""
    try:
        while True:
            streams.append(stream := engine.submit(Request(engine.tokenize("go on"), 200)))
            list(stream.read())
            if stream.reason == "failed" and not stream.error:
                wrong.append("a stream failed without a reason")
            engine.embed(["go"])
    except Failed:
        return
    except Exception as error:  # whatever it is, it is what this looks for
        wrong.append(f"{type(error).__name__}: {error}")


def main() -> None:
    rounds: dict[str, Callable[[int, int, float], Found]] = {
        "crowd": crowd,
        "chats": chats,
        "storm": storm,
        "closed": closed,
    }
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("round", choices=rounds)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--times", type=int, default=1, help="requests a thread, rounds of chats, or answers")
    options.add_argument("--seconds", type=float, default=0, help="go on at least so long")
    given = options.parse_args()
    faulthandler.enable()
    faulthandler.dump_traceback_later(HANGS_S + given.seconds, exit=True)
    begun = time.perf_counter()
    found = rounds[given.round](given.seed, given.times, given.seconds)
    print(json.dumps({**found, "seed": given.seed, "took_s": round(time.perf_counter() - begun, 2)}))


if __name__ == "__main__":
    main()
