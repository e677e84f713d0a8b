"""The engine, on a model of random weights: what many get at once is what each would get alone."""

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import llama_cpp as lib
import numpy as np
import pytest

from pipeline.errors import Failed, Invalid, Temporary
from pipeline.models import machine
from pipeline.models.engine import Engine, EngineSettings, Request, Sampling, Stream
from pipeline.models.llama import Context, Model
from pipeline.models.machine import Machine
from tests.pipeline.models import random_gguf

Engines = Callable[..., Engine]
GREEDY = Sampling(temperature=0)
SCHEMA = {
    "type": "object",
    "properties": {
        "score": {"type": "integer", "minimum": 1, "maximum": 9},
        "kind": {"enum": ["good", "bad"]},
        "why": {"type": "string", "maxLength": 12},
        "parts": {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 3},
    },
    "required": ["score", "kind", "why", "parts"],
}


def words(count: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    return " ".join("".join(rng.choice(list("bdfgklmn")) + rng.choice(list("aeiou")) for _ in "ab") for _ in range(count))


def read(stream: Stream) -> str:
    return "".join(piece.text for piece in stream.read())


def asked(engine: Engine, text: str, count: int = 24, **more: object) -> Request:
    return Request(engine.tokenize(text), count, sampling=GREEDY, **more)  # type: ignore[arg-type]  # by name


def alone(path: Path, request: Request, adapter: Path | None = None) -> str:
    """What llama.cpp gives to that request when nothing else is computed: a token a step, the likeliest."""
    model = Model(path)
    context = Context(model, tokens=1024, sequences=1, batch=512, outputs=1, threads=1)
    context.use(model.adapter(adapter) if adapter else None)
    tokens, at, made = list(request.prompt), 0, b""
    for _ in range(request.max_tokens):
        context.batch.clear()
        row = context.batch.add(0, tokens[at:], at)
        assert context.step()
        at = len(tokens)
        tokens.append(int(context.logits(row).argmax()))
        if tokens[-1] in model.vocabulary.ends:
            break
        made += model.vocabulary.pieces[tokens[-1]]
    context.use(None)
    context.close()
    return made.decode(errors="replace")


def test_many_at_once_get_what_each_would_get_alone(
    engines: Engines, gguf_file: Path, gguf_adapters: tuple[Path, Path]
) -> None:
    engine = engines(slots=8, chunk=24, adapters={"a": gguf_adapters[0], "b": gguf_adapters[1]})
    paths = {"": None, "a": gguf_adapters[0], "b": gguf_adapters[1]}
    requests = [asked(engine, words(3 + 17 * (n % 4), n), adapter="ab"[n % 3 : n % 3 + 1]) for n in range(18)]
    streams = [engine.submit(request) for request in requests]
    assert [read(one) for one in streams] == [alone(gguf_file, one, paths[one.adapter]) for one in requests]
    assert {one.reason for one in streams} <= {"stop", "length"}


def test_a_shared_beginning_is_computed_once(engines: Engines) -> None:
    engine = engines(slots=8)
    common, count = words(120, 1), 24
    requests = [asked(engine, f"{common} {words(3, n)}", 4) for n in range(count)]
    streams = [engine.submit(one) for one in requests]
    for one in streams:
        read(one)
    shared = min(len(a.prompt) for a in requests) - 20
    computed = [one.usage.prompt - one.usage.cached for one in streams]
    assert sum(size > shared for size in computed) == 1
    assert sum(computed) < len(requests[0].prompt) + count * 20
    assert engine.stats().cached_tokens == sum(one.usage.cached for one in streams)


def test_the_next_turn_of_a_conversation_reads_only_what_is_new(engines: Engines) -> None:
    engine = engines()
    first = asked(engine, words(60, 1))
    stream = engine.submit(first)
    answer = "".join(piece.text for piece in stream.read())
    after = engine.submit(asked(engine, f"{words(60, 1)}{answer} {words(3, 2)}"))
    read(after)
    assert after.usage.cached >= len(first.prompt) - 1


def test_a_short_request_does_not_wait_for_long_ones(engines: Engines) -> None:
    engine = engines(slots=12, chunk=64, context=1024, capacity=16_384)
    long = [engine.submit(asked(engine, words(90, n), 300)) for n in range(8)]
    for one in long:
        next(one.read())
    short = engine.submit(asked(engine, "hello", 2))
    read(short)
    assert short.usage.steps_to_first <= 3
    for one in long:
        one.cancel()


def test_a_short_prompt_is_read_while_long_ones_are(engines: Engines) -> None:
    engine = engines(slots=4, chunk=32, context=1024)
    long = [engine.submit(asked(engine, words(180, n), 2)) for n in range(2)]
    short = engine.submit(asked(engine, "hello there", 2))
    for one in (*long, short):
        read(one)
    assert short.usage.steps_to_first <= 2 < long[0].usage.steps_to_first


def test_answers_are_the_same_where_cells_run_out(engines: Engines, gguf_file: Path) -> None:
    engine = engines(slots=8, chunk=32, context=512, capacity=768)
    requests = [asked(engine, words(20 + n, n), 300) for n in range(8)]
    streams = [engine.submit(one) for one in requests]
    assert [read(one) for one in streams] == [alone(gguf_file, one) for one in requests]


def test_who_waits_hears_of_its_place(engines: Engines) -> None:
    engine = engines(slots=1)
    running = engine.submit(asked(engine, "one", 400))
    next(running.read())
    waiting = [engine.submit(asked(engine, f"wait {n}", 2)) for n in range(3)]
    places = [next(one.read()).position for one in waiting]
    assert places == [1, 2, 3]
    running.cancel()
    assert [bool(read(one)) for one in waiting] == [True] * 3


def test_a_full_queue_is_temporary(engines: Engines) -> None:
    engine = engines(slots=1, queue=2)
    streams = [engine.submit(asked(engine, "long", 400))]
    next(streams[0].read())
    streams += [engine.submit(asked(engine, "wait", 2)) for _ in range(2)]
    with pytest.raises(Temporary, match="2 requests wait"):
        engine.submit(asked(engine, "too many", 2))
    for one in streams:
        one.cancel()


def test_a_cancelled_answer_ends_with_its_reason_and_gives_its_cells_back(engines: Engines) -> None:
    engine = engines(slots=2)
    running, waiting = (
        [engine.submit(asked(engine, words(5, n), 500)) for n in range(2)],
        engine.submit(asked(engine, "x", 500)),
    )
    for one in running:
        next(one.read())
    for one in (*running, waiting):
        one.cancel()
    for one in (*running, waiting):
        read(one)
    assert [one.reason for one in (*running, waiting)] == ["cancelled"] * 3
    assert (engine.stats().running, engine.stats().waiting) == (0, 0)
    assert waiting.usage.completion == 0


async def test_an_answer_is_read_in_a_loop_too(engines: Engines, gguf_file: Path) -> None:
    engine = engines()
    request = asked(engine, "hello there")
    streams = [engine.submit(request) for _ in range(5)]

    async def whole(stream: Stream) -> str:
        return "".join([piece.text async for piece in stream])

    assert set(await asyncio.gather(*map(whole, streams))) == {alone(gguf_file, request)}


def test_stop_strings_end_an_answer_and_are_not_in_it(engines: Engines) -> None:
    engine = engines()
    whole = read(engine.submit(asked(engine, "hello there")))
    stop = whole[5:8]
    stream = engine.submit(asked(engine, "hello there", stop=(stop, "never seen")))
    assert read(stream) == whole[: whole.index(stop)]
    assert stream.reason == "stop"


def test_the_same_seed_gives_the_same_answer(engines: Engines) -> None:
    engine = engines()
    prompt = engine.tokenize("hello there")

    def said(seed: int | None) -> str:
        return read(engine.submit(Request(prompt, 40, sampling=Sampling(temperature=1.5, seed=seed))))

    assert said(1) == said(1)
    assert len({said(seed) for seed in range(5)}) > 1
    assert len({said(None) for _ in range(5)}) > 1


def test_a_repetition_penalty_changes_what_is_said_again(engines: Engines) -> None:
    engine = engines()
    prompt = engine.tokenize(words(10, 3))
    plain = Request(prompt, 120, sampling=GREEDY)
    strict = replace(plain, sampling=replace(GREEDY, repetition=3.0))

    def repeats(request: Request) -> int:
        found = read(engine.submit(request)).split()
        return len(found) - len(set(found))

    assert repeats(strict) < repeats(plain)


@pytest.mark.parametrize("temperature", [0.0, 1.0, 3.0])
def test_an_answer_by_schema_parses_and_fits(engines: Engines, temperature: float) -> None:
    engine = engines(slots=16)
    prompt = engine.tokenize("hello")
    streams = [
        engine.submit(Request(prompt, 200, sampling=Sampling(temperature, seed=seed), schema=SCHEMA)) for seed in range(20)
    ]
    for stream in streams:
        text = read(stream)
        jsonschema.validate(json.loads(text), SCHEMA)
        assert stream.reason == "stop"
        assert json.dumps(json.loads(text)["kind"]) in text.replace(" ", "")


def test_an_answer_by_schema_that_is_too_long_says_so(engines: Engines) -> None:
    engine = engines()
    stream = engine.submit(Request(engine.tokenize("hello"), 5, schema=SCHEMA))
    assert read(stream).startswith('{"')
    assert (stream.reason, stream.usage.completion) == ("length", 5)


def test_what_a_schema_forces_is_cut_where_the_tokens_end(engines: Engines) -> None:
    engine = engines()
    stream = engine.submit(Request(engine.tokenize("x"), 3, schema={"enum": ["skill", "knowledge"]}))
    read(stream)
    assert (stream.reason, stream.usage.completion) == ("length", 3)


def test_a_schema_that_cannot_be_followed_is_refused(engines: Engines) -> None:
    with pytest.raises(Invalid, match="schema"):
        engines().submit(Request((1, 2), 5, schema={"type": "no such type"}))


def test_probabilities_are_those_of_llama_cpp(engines: Engines, gguf_file: Path) -> None:
    engine = engines(chunk=7, slots=2)
    request = replace(asked(engine, words(30, 4), 3), logprobs=2, echo=True)
    stream = engine.submit(request)
    tokens = [token for piece in stream.read() for token in piece.tokens]
    assert [token.id for token in tokens[: len(request.prompt)]] == list(request.prompt)
    assert len(tokens) == len(request.prompt) + 3
    model = Model(gguf_file)
    context = Context(model, tokens=1024, sequences=1, batch=512, outputs=512, threads=1)
    ids = [token.id for token in tokens]
    assert math.isnan(tokens[0].logprob)
    for begin in range(0, len(ids) - 1, 32):  # llama.cpp rounds otherwise from 64 rows on
        part = tokens[begin : begin + 32]
        context.batch.clear()
        context.batch.add(0, ids[begin : begin + 32], begin, wanted=len(part))
        assert context.step()
        for row, token in enumerate(tokens[begin + 1 : begin + 33]):
            logits = context.logits(row).astype(np.float64)
            expected = logits - np.log(np.exp(logits).sum())
            assert token.logprob == pytest.approx(expected[token.id], abs=1e-3)
            assert token.top[0][1] == pytest.approx(expected.max(), abs=1e-3)
            assert token.top[0][1] >= token.top[1][1]
    context.close()


def test_a_prompt_that_is_too_long_is_refused_with_the_numbers(engines: Engines) -> None:
    engine = engines(context=64)
    with pytest.raises(Invalid, match=r"the prompt has \d+ tokens, and the context of random holds 64"):
        engine.submit(Request(engine.tokenize(words(200, 1))))
    with pytest.raises(Invalid, match="has 3 tokens and up to 62 of answer, and the context of random holds 64"):
        engine.submit(Request((1, 5, 6), 62))
    with pytest.raises(Invalid, match="empty"):
        engine.submit(Request(()))
    with pytest.raises(Invalid, match="512 is no token"):
        engine.submit(Request((1, 512)))
    stream = engine.submit(Request((1, 5, 6)))
    read(stream)
    assert stream.usage.completion <= 61


def test_adapters_come_and_go_while_it_serves(engines: Engines, gguf_file: Path, gguf_adapters: tuple[Path, Path]) -> None:
    engine = engines()
    base = engine.submit(asked(engine, "hello there", 60))
    next(base.read())
    engine.load_adapter("a", gguf_adapters[0])
    request = asked(engine, "hello there", adapter="a")
    tuned = engine.submit(request)
    assert read(tuned) == alone(gguf_file, request, gguf_adapters[0]) != alone(gguf_file, replace(request, adapter=""))
    with pytest.raises(Invalid, match="in use"):
        engine.load_adapter("a", gguf_adapters[1])
    engine.unload_adapter("a")
    assert engine.adapters == ()
    with pytest.raises(Invalid, match="no adapter 'a'"):
        engine.submit(request)
    with pytest.raises(Invalid, match="no adapter 'a'"):
        engine.unload_adapter("a")


def test_an_adapter_in_use_stays(engines: Engines, gguf_adapters: tuple[Path, Path]) -> None:
    engine = engines(adapters={"a": gguf_adapters[0]})
    stream = engine.submit(asked(engine, "hello", 500, adapter="a"))
    next(stream.read())
    with pytest.raises(Invalid, match="1 answers still use 'a'"):
        engine.unload_adapter("a")
    stream.cancel()


def test_an_adapter_of_another_model_is_refused_and_serving_goes_on(engines: Engines, tmp_path: Path) -> None:
    engine = engines()
    other = random_gguf.make(tmp_path / "other.gguf", width=96, layers=1)
    for path, cause in (
        (random_gguf.adapter(tmp_path / "x.gguf", other), "does not fit"),
        (random_gguf.adapter(tmp_path / "y.gguf", other, arch="qwen2"), "does not fit"),
        (other, "does not fit"),
        (tmp_path / "none.gguf", "cannot be read"),
    ):
        with pytest.raises(Invalid, match=cause):
            engine.load_adapter("x", path)
    assert read(engine.submit(asked(engine, "hello")))


def test_a_file_that_is_no_model_is_a_sentence(gguf_file: Path, tmp_path: Path) -> None:
    cut, foreign = tmp_path / "cut.gguf", tmp_path / "foreign.gguf"
    cut.write_bytes(gguf_file.read_bytes()[:-5000])
    foreign.write_text("hello")
    for path, cause in ((cut, "corrupted or incomplete"), (foreign, "no GGUF file"), (tmp_path / "none.gguf", "No such file")):
        with pytest.raises(Invalid, match=cause):
            Engine(EngineSettings(path))


def test_a_model_without_a_template_completes_but_does_not_chat(engines: Engines, tmp_path: Path) -> None:
    engine = engines(model=random_gguf.make(tmp_path / "plain.gguf", template=None))
    with pytest.raises(Invalid, match="plain has no chat template"):
        engine.chat_prompt([{"role": "user", "content": "hi"}])
    assert read(engine.submit(asked(engine, "hello")))


def test_a_conversation_becomes_tokens_by_the_models_template(engines: Engines) -> None:
    engine = engines()
    prompt = engine.chat_prompt([{"role": "system", "content": "be"}, {"role": "user", "content": "a </s> b"}])
    named = [engine.vocabulary.name(one) for one in prompt]
    assert named[0] == "<s>"
    assert [one for one in named if one.startswith("<|")] == ["<|system|>", "<|user|>", "<|assistant|>"]
    assert named.count("</s>") == 2  # the template's own; the one that was typed is letters
    assert "".join(named).count("</s>") == 3


def test_embeddings_are_of_length_one_and_tell_texts_apart(engines: Engines) -> None:
    engine = engines()
    one, same, other = engine.embed(["red lamp", "red lamp", words(20, 9)])
    assert one == same != other
    assert math.isclose(sum(value * value for value in one), 1.0, rel_tol=1e-5)
    with pytest.raises(Invalid, match="embeddings take"):
        engine.embed([words(2000, 1)])


def test_closing_ends_every_answer(engines: Engines) -> None:
    engine = engines(slots=1)
    streams = [engine.submit(asked(engine, "hello", 900)) for _ in range(3)]
    next(streams[0].read())
    engine.close()
    for one in streams:
        read(one)
    assert {(one.reason, one.error) for one in streams} == {("failed", "the engine is closed")}
    with pytest.raises(Failed, match="closed"):
        engine.submit(asked(engine, "hello"))
    with pytest.raises(Failed, match="closed"):
        engine.embed(["hello"])


def test_a_step_that_breaks_ends_what_runs_and_nothing_else(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engines()
    real, broken = lib.llama_decode, [-3]

    def decode(context: object, batch: object) -> int:
        return broken.pop() if broken else int(real(context, batch))

    monkeypatch.setattr(lib, "llama_decode", decode)
    first = engine.submit(asked(engine, "hello"))
    assert read(first) == ""
    assert (first.reason, "status -3" in first.error) == ("failed", True)
    assert read(engine.submit(asked(engine, "hello")))


def test_the_engine_counts_what_it_does(engines: Engines) -> None:
    engine = engines()
    streams = [engine.submit(asked(engine, words(5, n), 10)) for n in range(3)]
    texts = [read(one) for one in streams]
    counted = engine.stats()
    assert all(texts)
    assert counted.completion_tokens == sum(one.usage.completion for one in streams)
    assert counted.prompt_tokens == sum(one.usage.prompt for one in streams)
    assert (sum(counted.first_token_s), counted.running, counted.waiting) == (3, 0, 0)
    assert counted.tokens_per_s > 0


def test_cells_are_as_many_as_the_memory_has_room_for(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    cell_bytes = 2 * 2 * 32 * 2  # two layers, keys and values, 2 heads of 16, two bytes each
    for free, cells in ((10**9, 4 * 512), (2 * 1024 * cell_bytes, 1024), (0, 512)):
        here = Machine(memory_bytes=2 * 10**9, free_bytes=free, cores=2)
        monkeypatch.setattr(machine, "look", lambda here=here: here)
        assert engines(context=512).capacity == cells
    assert engines(context=512, capacity=700).capacity in range(700, 1024)  # llama.cpp rounds up to its own steps
