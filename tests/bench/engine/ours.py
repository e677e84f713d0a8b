"""The engine itself, measured in a process of its own: {"measure", "model", ...} comes in, figures go out as the last line."""

import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema

from pipeline.models.engine import Engine, EngineSettings, Request, Sampling, Stream
from pipeline.models.llama import Context
from tests.bench.engine.schemas import PROSE, SCHEMAS, TICKETS
from tests.pipeline.models import random_gguf

Given = dict[str, Any]
Figures = dict[str, float]

AT_ONCE = 8  # long answers that are being written, or long prompts being read, when a short request comes
LONG, SHORT = 1000, 16  # tokens of a prompt
SHARERS, TAIL = 64, 8  # requests that begin alike, and the tokens in which each of them differs
MADE = 8  # tokens of their answers
STREAMS = 16  # of those that follow a schema
RANK = 16  # of the adapters


@contextmanager
def serving(given: Given, **more: Any) -> Iterator[Engine]:
    """An engine with the settings that it has by itself."""
    engine = Engine(EngineSettings(Path(given["model"]), **more))
    try:
        yield engine
    finally:
        engine.close()


class Steps:
    """Watches the steps of every context: how many, of how many tokens, and the moments in which they began and ended."""

    def __init__(self) -> None:
        self.tokens = 0
        self.spans: list[tuple[float, float]] = []
        real = Context.step

        def step(context: Context) -> bool:
            begun = time.perf_counter()
            done = real(context)
            self.spans.append((begun, time.perf_counter()))
            self.tokens += context.batch.used
            return done

        Context.step = step  # type: ignore[assignment,method-assign]  # in this process alone, which measures nothing else

    def clear(self) -> None:
        self.tokens = 0
        self.spans = []

    def outside_ms(self) -> float:
        """The usual time from the end of a step to the beginning of the next: what is spent outside llama.cpp's decode."""
        pairs = zip(self.spans, self.spans[1:], strict=False)
        return statistics.median(after[0] - before[1] for before, after in pairs) * 1000

    def whole_ms(self) -> float:
        """The usual time from the end of a step to the end of the next."""
        pairs = zip(self.spans, self.spans[1:], strict=False)
        return statistics.median(after[1] - before[1] for before, after in pairs) * 1000


def written(engine: Engine, requests: Sequence[Request]) -> int:
    """Tokens that these answers have, all asked for at once."""
    asked = [engine.submit(request) for request in requests]
    for stream in asked:
        text(stream)
    return sum(stream.usage.completion for stream in asked)


def text(stream: Stream) -> str:
    found = "".join(piece.text for piece in stream.read())
    assert stream.reason in ("stop", "length"), (stream.reason, stream.error)
    return found


def prompts(engine: Engine, tokens: int) -> Iterator[tuple[int, ...]]:
    """Prompts of made-up words, no two of which begin alike."""
    chance = random.Random(6)
    while True:
        yield tuple(chance.choices(range(engine.vocabulary.size // 2, engine.vocabulary.size), k=tokens))


# --- tokens a second


def streams(given: Given) -> Figures:
    """Tokens a second with so many streams; `prompts` has a list for each number of them."""
    steps, figures = Steps(), {}
    with serving(given) as engine:
        written(engine, [Request(prompt, 8) for prompt, _ in zip(prompts(engine, SHORT), range(STREAMS), strict=False)])
        for count, texts in given["prompts"].items():
            requests = [Request(engine.tokenize(one), given["tokens"]) for one in texts]
            steps.clear()
            begun, made = time.perf_counter(), 0
            for at in range(0, len(requests), int(count)):
                made += written(engine, requests[at : at + int(count)])
            figures[f"own_{count}"] = made / (time.perf_counter() - begun)
            figures[f"outside_{count}_ms"] = steps.outside_ms()
    return figures


# --- the first token of a short request


def first(given: Given) -> Figures:
    """Steps and milliseconds to the first token, while long answers are written and while long prompts are read.

    `steps` are those that the request took part in, `steps_seen` all that ended between its asking and the token's arrival.
    """
    return {**_first(given, "", SHORT), **_first(given, "_reading", LONG)}


def _first(given: Given, name: str, tokens: int) -> Figures:
    took, seen, spent = [], [], []
    with serving(given) as engine:
        long, short = prompts(engine, tokens), prompts(engine, SHORT)
        for _ in range(given["times"]):
            busy = [engine.submit(Request(next(long))) for _ in range(AT_ONCE)]
            if name:
                _until(engine, engine.stats().steps + 2)
            else:
                for stream in busy:
                    next(stream.read())
            before, begun = engine.stats().steps, time.perf_counter()
            asked = engine.submit(Request(next(short), MADE, logprobs=0))  # a piece for every token, also of half a letter
            next(piece for piece in asked.read() if piece.tokens)
            spent.append((time.perf_counter() - begun) * 1000)
            seen.append(engine.stats().steps - before)
            for stream in busy:
                stream.cancel()
            for stream in (asked, *busy):
                list(stream.read())
            took.append(asked.usage.steps_to_first)
    return {f"ttft{name}_steps": max(took), f"ttft{name}_steps_seen": max(seen), f"ttft{name}_ms": statistics.median(spent)}


def _until(engine: Engine, steps: int) -> None:
    while engine.stats().steps < steps:
        time.sleep(0.001)


# --- what is computed


def shared(given: Given) -> Figures:
    """Prompt tokens really computed for requests that all begin with the same ones: rows of batches, less those of answers."""
    steps = Steps()
    with serving(given) as engine:
        prefix, tails = next(prompts(engine, LONG)), prompts(engine, TAIL)
        asked = [engine.submit(Request((*prefix, *next(tails)), MADE)) for _ in range(SHARERS)]
        for stream in asked:
            text(stream)
    answers = sum(stream.usage.completion - 1 for stream in asked)  # the last token of an answer is not computed on
    told = sum(stream.usage.prompt - stream.usage.cached for stream in asked)
    return {
        "shared_prefix_tokens_computed": steps.tokens - answers,
        "shared_prefix_tokens_told": told,
        "shared_prefix_tokens_needed": LONG + SHARERS * TAIL,
    }


# --- answers by a schema


def valid(given: Given) -> Figures:
    """How many answers parse and fit their schema, of a small model that knows nothing; `times` of them."""
    wrong: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        small = str(random_gguf.make(Path(folder) / "small.gguf", context=1024))
        with serving({"model": small}, queue=given["times"]) as engine:
            begun = time.perf_counter()
            asked = []
            for number in range(given["times"]):
                sampling = Sampling(temperature=(0.0, 0.8, 1.5)[number % 3], seed=number)
                prompt = engine.tokenize(f"answer {number}")
                asked.append(engine.submit(Request(prompt, sampling=sampling, schema=SCHEMAS[number % len(SCHEMAS)])))
            for number, stream in enumerate(asked):
                if why := _wrong(text(stream), SCHEMAS[number % len(SCHEMAS)]):
                    wrong[f"schema {number % len(SCHEMAS)}, {stream.reason}: {why}"] += 1
            seconds = time.perf_counter() - begun
    for why, count in wrong.most_common(10):
        print(f"{count} x {why}", file=sys.stderr)
    return {"json_valid": given["times"] - wrong.total(), "json_asked": given["times"], "json_valid_s": seconds}


def _wrong(answer: str, schema: dict[str, Any]) -> str:
    try:
        jsonschema.validate(json.loads(answer), schema)
    except (ValueError, jsonschema.ValidationError) as error:
        return str(error).partition("\n")[0]
    return ""


def schema(given: Given) -> Figures:
    """Tokens a second with a schema and without one; what a schema forces counts as tokens, for it is part of the answer.

    `json_cost` is for records, whose keys are forced; `json_cost_prose` for one long string, where nothing is.
    """
    rates: dict[str, list[float]] = {"none": [], "records": [], "prose": []}
    wanted = {"none": None, "records": TICKETS, "prose": PROSE}
    with serving(given) as engine:
        begins = prompts(engine, SHORT)
        for one in wanted.values():
            written(engine, [Request(next(begins), 8, schema=one)])
        for _ in range(given["rounds"]):
            for name, one in wanted.items():
                requests = [Request(next(begins), given["tokens"], schema=one) for _ in range(STREAMS)]
                begun = time.perf_counter()
                made = written(engine, requests)
                rates[name].append(made / (time.perf_counter() - begun))
    best = {name: max(found) for name, found in rates.items()}
    return {
        "json_cost": 1 - best["records"] / best["none"],
        "json_cost_prose": 1 - best["prose"] / best["none"],
        "own_16_json": best["records"],
        "own_16_prose": best["prose"],
    }


# --- adapters


def switch(given: Given) -> Figures:
    """How much longer a step takes that uses another adapter than the one before: two answers in turns against each alone."""
    steps = Steps()
    alone: list[float] = []
    turns: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        base = Path(given["model"])
        made = {name: random_gguf.adapter(Path(folder) / f"{name}.gguf", base, rank=RANK, seed=ord(name)) for name in "ab"}
        with serving(given, adapters=made) as engine:
            begins = prompts(engine, SHORT)
            for _ in range(given["rounds"]):
                for names in ("a", "b", "ab"):
                    requests = [Request(next(begins), given["tokens"], adapter=name) for name in names]
                    steps.clear()
                    written(engine, requests)
                    (turns if len(names) > 1 else alone).append(steps.whole_ms())
    return {"adapter_switch_ms": min(turns) - min(alone), "adapter_step_ms": min(alone)}


MEASURES = {"streams": streams, "first": first, "shared": shared, "valid": valid, "schema": schema, "switch": switch}

if __name__ == "__main__":
    asked_for: Given = json.load(sys.stdin)
    print(json.dumps(MEASURES[asked_for["measure"]](asked_for)))
