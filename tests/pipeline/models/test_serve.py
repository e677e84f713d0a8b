"""The server speaks OpenAI's protocol over a real engine, says why where it does not, and stops for whoever goes away."""

import asyncio
import base64
import json
import logging
import re
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import openai
import pytest

from pipeline.models import replies, running
from pipeline.models.engine import Engine, EngineSettings, Request, Sampling
from pipeline.models.serve import Service
from tests.pipeline.models import random_gguf

KEY = "a-key-of-the-tests"
HELLO = [{"role": "user", "content": "hello"}]
LONG = 1900  # tokens of an answer that nobody waits for
BOUND_S = 20.0
NEAR = 0.02  # llama.cpp computes a batch of many rows by other sums than one of few
SCHEMA = {
    "type": "object",
    "properties": {"score": {"enum": [1, 2, 3]}, "why": {"type": "string", "maxLength": 12}},
    "required": ["score", "why"],
}


@dataclass(frozen=True)
class Up:
    """A server that runs, and the engine behind it."""

    url: str
    engine: Engine
    folder: Path  # that adapters may come from
    stop: Callable[[], None]
    client: httpx.Client

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.client.post(path, json=body, headers={"authorization": f"Bearer {KEY}", **headers})

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers={"authorization": f"Bearer {KEY}", **headers})

    def events(self, path: str, body: Any) -> list[Any]:
        """What a stream says: the JSON of its events, and its comments and its end as text."""
        with self.heard(path, body) as said:
            pass
        return said

    @contextmanager
    def heard(self, path: str, body: Any) -> Iterator[list[Any]]:
        """What a stream says, as it comes; whole after the block."""
        said: list[Any] = []

        def listen() -> None:
            headers = {"authorization": f"Bearer {KEY}"}
            with self.client.stream("POST", path, json={**body, "stream": True}, headers=headers) as response:
                said.extend(_event(line) for line in response.iter_lines() if line)

        reader = threading.Thread(target=listen)
        reader.start()
        try:
            yield said
        finally:
            reader.join()

    def chat(self, **changed: Any) -> Any:
        response = self.post("/v1/chat/completions", {"messages": HELLO, "max_tokens": 8, "temperature": 0, **changed})
        assert response.status_code == 200, response.text
        return response.json()

    def complete(self, **changed: Any) -> Any:
        response = self.post("/v1/completions", {"prompt": "hello", "max_tokens": 8, "temperature": 0, **changed})
        assert response.status_code == 200, response.text
        return response.json()

    def refused(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        response = self.post(path, body)
        return response.status_code, response.json()["error"]


def _event(text: str) -> Any:
    return json.loads(text.removeprefix("data: ")) if text.startswith("data: {") else text


@contextmanager
def up(folder: Path, key: str = KEY, **settings: Any) -> Iterator[Up]:
    """A server on the folder's model, in a thread of its own."""
    engine = Engine(EngineSettings(folder / "random.gguf", name="random", threads=1, **settings))
    service = Service(engine, (folder / "adapters",))
    with running._bound("127.0.0.1", 0) as held:
        ready = threading.Event()
        server = running.server(service, key, ready.set)
        thread = threading.Thread(target=server.run, args=([held],))
        thread.start()
        assert ready.wait(BOUND_S)
        url = f"http://127.0.0.1:{held.getsockname()[1]}"

        def stop() -> None:
            server.should_exit = True
            thread.join()

        try:
            with httpx.Client(base_url=url, timeout=60, trust_env=False, verify=False) as client:  # verify: takes 30 ms to load
                yield Up(url, engine, folder / "adapters", stop, client)
        finally:
            stop()
            service.close()
            engine.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models")
    random_gguf.make(made / "random.gguf", context=2048)
    (made / "adapters").mkdir()
    random_gguf.adapter(made / "adapters" / "one.gguf", made / "random.gguf", alpha=64.0)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Up]:
    with up(folder) as made:
        yield made


@pytest.fixture
async def api(server: Up) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{server.url}/v1", max_retries=0) as made:
        yield made


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + BOUND_S
    while not holds():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.002)


def idle(engine: Engine) -> bool:
    stats = engine.stats()
    return stats.running == stats.waiting == 0


# --- OpenAI's own library


async def test_the_official_library_has_a_conversation(api: openai.AsyncOpenAI) -> None:
    turns: list[Any] = [{"role": "system", "content": "be kind"}, *HELLO]
    first = await api.chat.completions.create(model="random", messages=turns, max_tokens=6, temperature=0)
    turns += [{"role": "assistant", "content": first.choices[0].message.content}, {"role": "user", "content": "and?"}]
    second = await api.chat.completions.create(model="random", messages=turns, max_completion_tokens=6, temperature=0)

    assert first.choices[0].finish_reason == second.choices[0].finish_reason == "length"
    assert first.usage and second.usage
    assert (first.usage.completion_tokens, first.usage.total_tokens) == (6, first.usage.prompt_tokens + 6)
    assert second.usage.prompt_tokens_details and second.usage.prompt_tokens_details.cached_tokens


async def test_the_official_library_streams_what_it_would_get_whole(api: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "random", "messages": HELLO, "max_tokens": 30, "temperature": 0}
    whole = await api.chat.completions.create(**asked)
    chunks = [
        one async for one in await api.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    ]
    deltas = [one.choices[0].delta.content or "" for one in chunks if one.choices]

    assert "".join(deltas) == whole.choices[0].message.content
    assert [one.choices[0].finish_reason for one in chunks if one.choices][-1] == whole.choices[0].finish_reason
    assert chunks[0].choices[0].delta.role == "assistant"
    assert whole.usage and chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


async def test_the_official_library_gets_an_answer_by_a_schema(api: openai.AsyncOpenAI) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "score", "schema": SCHEMA, "strict": True}}
    answer = await api.chat.completions.create(model="random", messages=HELLO, response_format=form, max_tokens=200)  # type: ignore[arg-type]
    text = answer.choices[0].message.content or ""

    jsonschema.validate(json.loads(text), SCHEMA)
    assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)


async def test_the_official_library_embeds_texts(api: openai.AsyncOpenAI) -> None:
    found = await api.embeddings.create(model="random", input=["one", "two", "one"])
    one, two, again = (row.embedding for row in found.data)

    assert (len(one), found.usage.prompt_tokens > 0) == (64, True)
    assert sum(x * x for x in one) == pytest.approx(1.0, abs=1e-4)
    assert one == pytest.approx(again, abs=1e-5)
    assert one != pytest.approx(two, abs=1e-3)


async def test_the_official_library_completes_lists_models_and_reads_errors(api: openai.AsyncOpenAI) -> None:
    answer = await api.completions.create(model="random", prompt="hello", max_tokens=4, n=2, seed=1, temperature=2)
    listed = await api.models.list()

    assert [choice.index for choice in answer.choices] == [0, 1]
    assert listed.data[0].id == "random"
    assert listed.data[0].model_dump()["max_model_len"] == 2048
    with pytest.raises(openai.NotFoundError, match="Served here: random"):
        await api.chat.completions.create(model="other", messages=HELLO)  # type: ignore[arg-type]


# --- answers


def test_a_stream_is_a_role_the_pieces_a_reason_the_usage_and_the_end(server: Up) -> None:
    asked = {"messages": HELLO, "max_tokens": 5, "temperature": 0, "stream_options": {"include_usage": True}}
    first, *pieces, last, used, done = server.events("/v1/chat/completions", asked)
    choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": None}

    assert first["choices"] == [{**choice, "delta": {"role": "assistant", "content": ""}}]
    assert [piece["choices"] for piece in pieces] == [[{**choice, "delta": one["choices"][0]["delta"]}] for one in pieces]
    assert last["choices"] == [{**choice, "finish_reason": "length"}]
    assert (used["choices"], used["usage"]["completion_tokens"], done) == ([], 5, "data: [DONE]")
    assert {(one["object"], one["model"], one["id"]) for one in (first, *pieces, last, used)} == {
        ("chat.completion.chunk", "random", first["id"])
    }
    whole = server.chat(max_tokens=5)["choices"][0]["message"]["content"]
    assert "".join(piece["choices"][0]["delta"]["content"] for piece in pieces) == whole


def test_a_completion_streams_as_it_would_come_whole(server: Up) -> None:
    asked = {"prompt": ["hello", "and"], "max_tokens": 6, "seed": 2, "n": 2, "echo": True}
    whole = {one["index"]: one for one in server.complete(**asked)["choices"]}
    texts = dict.fromkeys(range(4), "")
    reasons = {}
    *events, done = server.events("/v1/completions", {"temperature": 0, **asked})
    for event in events:
        [choice] = event["choices"]
        texts[choice["index"]] += choice["text"]
        reasons[choice["index"]] = choice["finish_reason"]

    assert done == "data: [DONE]"
    assert texts == {index: one["text"] for index, one in whole.items()}
    assert reasons == {index: one["finish_reason"] for index, one in whole.items()}
    assert [texts[index].startswith(word) for index, word in enumerate(("hello", "hello", "and", "and"))] == [True] * 4


def test_several_answers_differ_and_the_same_seed_gives_them_again(server: Up) -> None:
    asked = {"n": 3, "seed": 7, "temperature": 2, "max_tokens": 12}
    first, again = server.chat(**asked), server.chat(**asked)
    texts = [one["message"]["content"] for one in first["choices"]]

    assert [one["index"] for one in first["choices"]] == [0, 1, 2]
    assert len(set(texts)) == 3
    assert [one["message"]["content"] for one in again["choices"]] == texts
    assert 12 < first["usage"]["completion_tokens"] <= 36
    assert first["usage"]["prompt_tokens"] == server.chat()["usage"]["prompt_tokens"]


def test_an_answer_ends_at_a_stop_string_and_does_not_have_it(server: Up) -> None:
    text = server.chat(max_tokens=40)["choices"][0]["message"]["content"]
    stop = text[10:13]
    choice = server.chat(max_tokens=40, stop=["never this", stop])["choices"][0]

    assert (choice["message"]["content"], choice["finish_reason"]) == (text[: text.index(stop)], "stop")


@pytest.mark.parametrize(
    "form",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
        {"response_format": {"type": "json_object", "schema": SCHEMA}},
        {"structured_outputs": {"json": SCHEMA}},
    ],
)
def test_every_way_to_ask_for_a_schema_gives_it(server: Up, form: dict[str, Any]) -> None:
    text = server.chat(**form, max_tokens=100, temperature=1)["choices"][0]["message"]["content"]

    jsonschema.validate(json.loads(text), SCHEMA)


def test_a_chat_tells_the_probabilities_that_were_asked_for(server: Up) -> None:
    content = server.chat(logprobs=True, top_logprobs=3, max_tokens=4)["choices"][0]["logprobs"]["content"]
    streamed = server.events(
        "/v1/chat/completions", {"messages": HELLO, "max_tokens": 4, "temperature": 0, "logprobs": True, "top_logprobs": 3}
    )
    told = [one for event in streamed[1:-2] for one in event["choices"][0]["logprobs"]["content"]]

    assert len(content) == 4
    assert [one["token"] for one in told] == [one["token"] for one in content]
    for one in content:
        tops = [top["logprob"] for top in one["top_logprobs"]]
        assert (len(tops), tops[0], tops) == (3, pytest.approx(one["logprob"]), sorted(tops, reverse=True))
        assert one["bytes"] is None or bytes(one["bytes"]).decode() == one["token"]
    assert server.chat()["choices"][0]["logprobs"] is None


def test_an_echo_with_probabilities_is_what_an_evaluation_reads(server: Up) -> None:
    """As lm-eval's local-completions asks: prompts as tokens, one token more than they have, which it leaves out."""
    prompts = [list(server.engine.tokenize("hello there")), list(server.engine.tokenize("and"))]
    found = server.complete(prompt=prompts, max_tokens=1, echo=True, logprobs=1)
    alone = server.complete(prompt=prompts[0], max_tokens=0, echo=True, logprobs=1)

    for prompt, choice in zip(prompts, found["choices"], strict=True):
        told = choice["logprobs"]
        assert len(told["tokens"]) == len(told["token_logprobs"]) == len(told["top_logprobs"]) == len(prompt) + 1
        assert (told["token_logprobs"][0], told["top_logprobs"][0]) == (None, None)
        for logprob, top in zip(told["token_logprobs"][1:], told["top_logprobs"][1:], strict=True):
            assert logprob in top.values()
            assert max(top.values()) <= 0
        assert told["text_offset"][:2] == [0, len(told["tokens"][0])]
    assert alone["choices"][0]["logprobs"]["token_logprobs"] == pytest.approx(
        found["choices"][0]["logprobs"]["token_logprobs"][:-1], abs=NEAR, nan_ok=True
    )
    assert (alone["choices"][0]["finish_reason"], alone["usage"]["completion_tokens"]) == ("length", 0)
    assert alone["choices"][0]["text"].endswith("hello there")


def test_the_probabilities_are_the_engines(server: Up) -> None:
    prompt = server.engine.tokenize("hello there")
    stream = server.engine.submit(Request(prompt, 3, sampling=Sampling(temperature=0), logprobs=2))
    tokens = [token for piece in stream.read() for token in piece.tokens]
    told = server.complete(prompt=list(prompt), max_tokens=3, logprobs=2)["choices"][0]["logprobs"]

    assert told["tokens"] == [token.text for token in tokens]
    assert told["token_logprobs"] == pytest.approx([token.logprob for token in tokens], abs=NEAR)
    assert [sorted(top.values(), reverse=True)[0] for top in told["top_logprobs"]] == pytest.approx(
        [token.top[0][1] for token in tokens], abs=NEAR
    )
    assert server.complete(logprobs=0)["choices"][0]["logprobs"]["top_logprobs"] is None


def test_tokens_are_counted_as_an_answer_reads_them_and_turned_back_into_text(server: Up) -> None:
    counted = server.post("/tokenize", {"model": "random", "messages": HELLO}).json()
    prompt = server.post("/tokenize", {"prompt": "hello"}).json()
    bare = server.post("/tokenize", {"prompt": "hello", "add_special_tokens": False}).json()
    back = server.post("/detokenize", {"tokens": bare["tokens"]}).json()

    assert counted["count"] == len(counted["tokens"]) == server.chat()["usage"]["prompt_tokens"]
    assert counted["max_model_len"] == 2048
    assert prompt["count"] == bare["count"] + 1 == server.complete()["usage"]["prompt_tokens"]
    assert back["prompt"].strip() == "hello"


def test_an_embedding_comes_as_numbers_or_as_their_bytes(server: Up) -> None:
    plain = server.post("/v1/embeddings", {"input": "one"}).json()["data"][0]["embedding"]
    coded = server.post("/v1/embeddings", {"input": "one", "encoding_format": "base64"}).json()["data"][0]["embedding"]

    assert struct.unpack("<64f", base64.b64decode(coded)) == pytest.approx(plain, abs=1e-5)


def test_more_texts_than_go_at_once_are_embedded_in_their_order(server: Up) -> None:
    texts = [f"text {number}" for number in range(40)]
    rows = server.post("/v1/embeddings", {"input": texts}).json()["data"]
    last = server.post("/v1/embeddings", {"input": texts[-1]}).json()["data"][0]["embedding"]

    assert [row["index"] for row in rows] == list(range(40))
    assert rows[-1]["embedding"] == pytest.approx(last, abs=1e-5)


# --- whoever goes away


async def test_a_stream_that_nobody_reads_any_more_is_not_written_on(server: Up, api: openai.AsyncOpenAI) -> None:
    before = server.engine.stats().completion_tokens
    stream = await api.chat.completions.create(model="random", messages=HELLO, max_tokens=LONG, temperature=0, stream=True)  # type: ignore[call-overload]
    async for _ in stream:
        break
    await stream.close()
    await asyncio.to_thread(until, lambda: idle(server.engine))

    assert server.engine.stats().completion_tokens - before < LONG


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": HELLO, "max_tokens": LONG, "temperature": 0}),
        ("/v1/completions", {"prompt": ["a", "b"], "n": 2, "max_tokens": LONG, "temperature": 0}),
    ],
)
async def test_an_answer_that_nobody_waits_for_any_more_is_not_written_on(server: Up, path: str, body: Any) -> None:
    before = server.engine.stats().completion_tokens
    async with httpx.AsyncClient(base_url=server.url, headers={"authorization": f"Bearer {KEY}"}, verify=False) as client:
        waiting = asyncio.create_task(client.post(path, json=body))
        await asyncio.to_thread(until, lambda: server.engine.stats().running > 0)
        waiting.cancel()
        await asyncio.wait([waiting])
    await asyncio.to_thread(until, lambda: idle(server.engine))

    assert server.engine.stats().completion_tokens - before < LONG


# --- a queue


def test_whoever_waits_hears_the_place_and_whoever_is_too_many_is_told_to_come_again(folder: Path) -> None:
    asked = {"messages": HELLO, "max_tokens": 3, "temperature": 0}
    with up(folder, slots=1, queue=1) as server:
        writing = server.engine.submit(Request(server.engine.tokenize("a"), LONG, sampling=Sampling(temperature=0)))
        until(lambda: server.engine.stats().running == 1)
        with server.heard("/v1/chat/completions", asked) as said:
            until(lambda: any("queue" in event for event in said))
            refused = server.post("/v1/chat/completions", asked)
            writing.cancel()

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
    assert refused.json()["error"]["code"] == "queue_full"
    assert [(event["queue"], event["choices"]) for event in said if "queue" in event] == [({"position": 1}, [])]
    assert said[-2]["choices"][0]["finish_reason"] == "length"


def test_several_answers_are_taken_all_or_none(folder: Path) -> None:
    with up(folder, slots=1, queue=2) as server:
        status, error = server.refused(
            "/v1/chat/completions", {"messages": HELLO, "max_tokens": LONG, "temperature": 0, "n": 8}
        )
        until(lambda: idle(server.engine))

    assert (status, error["code"]) == (429, "queue_full")


def test_a_long_silence_is_broken_by_signs_of_life_while_the_engine_works(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "PING_S", 0.01)
    with up(folder, slots=1) as server:
        writing = server.engine.submit(Request(server.engine.tokenize("a"), LONG, sampling=Sampling(temperature=0)))
        with server.heard("/v1/chat/completions", {"messages": HELLO, "max_tokens": 3, "temperature": 0}) as said:
            until(lambda: ": at work" in said)
            writing.cancel()

    assert said[-2]["choices"][0]["finish_reason"] == "length"


# --- adapters


def load(server: Up, name: str, path: str, **more: Any) -> httpx.Response:
    return server.post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": path, **more})


def unload(server: Up, name: str) -> httpx.Response:
    return server.post("/v1/unload_lora_adapter", {"lora_name": name})


def test_an_adapter_is_a_model_of_its_own_while_it_is_loaded(server: Up) -> None:
    base = server.chat(max_tokens=20)
    loaded = load(server, "pirate", "one.gguf")
    listed = server.get("/v1/models").json()["data"]
    tuned = server.chat(max_tokens=20, model="pirate")
    again = server.chat(max_tokens=20)
    unloaded = unload(server, "pirate")

    assert (loaded.status_code, loaded.text) == (200, "Success: LoRA adapter 'pirate' added successfully.")
    assert [(one["id"], one["parent"], one["max_model_len"]) for one in listed] == [
        ("random", None, 2048),
        ("pirate", "random", 2048),
    ]
    assert tuned["model"] == "pirate"
    assert tuned["choices"][0]["message"]["content"] != base["choices"][0]["message"]["content"]
    assert again["choices"] == base["choices"]
    assert (unloaded.status_code, server.get("/v1/models/pirate").status_code) == (200, 404)
    assert server.refused("/v1/chat/completions", {"messages": HELLO, "model": "pirate"})[1]["code"] == "model_not_found"


def test_an_adapter_is_loaded_anew_in_place_only_where_that_is_said(server: Up) -> None:
    first, second = load(server, "two", "one.gguf"), load(server, "two", str(server.folder / "one.gguf"))
    third = load(server, "two", "one.gguf", load_inplace=True)
    unload(server, "two")

    assert (first.status_code, second.status_code, third.status_code) == (200, 400, 200)
    assert "in use" in second.json()["error"]["message"]


def test_an_adapter_may_be_named_by_its_folder(server: Up, folder: Path) -> None:
    inside = server.folder / "run"
    inside.mkdir(exist_ok=True)
    (inside / "adapter.gguf").write_bytes((server.folder / "one.gguf").read_bytes())
    loaded = load(server, "run", "run")
    unload(server, "run")
    (inside / "other.gguf").touch()

    assert loaded.status_code == 200
    assert "holds 2 .gguf files" in load(server, "run", "run").json()["error"]["message"]


def test_adapters_come_from_their_folders_and_from_nowhere_else(server: Up, folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "out.gguf"
    outside.write_bytes((server.folder / "one.gguf").read_bytes())
    (server.folder / "link.gguf").unlink(missing_ok=True)
    (server.folder / "link.gguf").symlink_to(outside)
    (server.folder / "linked").mkdir(exist_ok=True)
    (server.folder / "linked" / "a.gguf").unlink(missing_ok=True)
    (server.folder / "linked" / "a.gguf").symlink_to(outside)

    for path in (str(outside), "../random.gguf", "link.gguf", "linked", "/etc/passwd", f"{server.folder}/../random.gguf"):
        response = load(server, "x", path)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "adapter.folder"), path


def test_an_adapter_that_does_not_fit_is_told_in_a_sentence(server: Up, tmp_path: Path) -> None:
    random_gguf.adapter(server.folder / "other.gguf", random_gguf.make(tmp_path / "wide.gguf", width=96))
    (server.folder / "cut.gguf").write_bytes((server.folder / "one.gguf").read_bytes()[:3000])
    (server.folder / "text.gguf").write_text("hello", encoding="utf-8")
    told = {name: load(server, "x", f"{name}.gguf") for name in ("other", "cut", "text", "none")}
    unknown = unload(server, "nobody")

    assert {response.status_code for response in told.values()} == {400}
    assert "does not fit the model" in told["other"].json()["error"]["message"]
    assert "no GGUF file" in told["text"].json()["error"]["message"]
    assert told["none"].json()["error"]["param"] == "lora_path"
    assert (unknown.status_code, "no adapter 'nobody'" in unknown.text) == (404, True)
    assert server.chat()["choices"]


def test_a_server_without_folders_loads_no_adapters(folder: Path) -> None:
    engine = Engine(EngineSettings(folder / "random.gguf"))
    try:
        app = Service(engine).app()
        transport = httpx.ASGITransport(app=app)

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.post("/v1/load_lora_adapter", json={"lora_name": "a", "lora_path": "one.gguf"})

        response = asyncio.run(ask())
    finally:
        engine.close()

    assert (response.status_code, response.json()["error"]["message"]) == (
        400,
        "lora_path: this server loads no adapters. Start the server with --adapters DIR.",
    )


# --- refusals


def test_more_than_the_context_holds_is_told_with_the_numbers(server: Up) -> None:
    status, error = server.refused("/v1/completions", {"prompt": [5] * 2000, "max_tokens": 100})
    chat_status, chat_error = server.refused("/v1/chat/completions", {"messages": [{"role": "user", "content": "a " * 3000}]})

    assert (status, error["code"], error["type"]) == (400, "context_length_exceeded", "invalid_request_error")
    assert "2000 tokens and up to 100 of answer" in error["message"]
    assert "holds 2048" in error["message"]
    assert (chat_status, chat_error["code"], chat_error["param"]) == (400, "context_length_exceeded", "messages")


def test_a_token_that_is_none_is_refused_before_it_breaks_anything(server: Up) -> None:
    for token in (512, -1, 10**9):
        status, error = server.refused("/v1/completions", {"prompt": [1, token]})
        assert (status, error["param"]) == (400, "prompt")
        assert "0 to 511" in error["message"]
    assert server.refused("/detokenize", {"tokens": [512]})[0] == 400


def test_every_wrong_field_is_named(server: Up) -> None:
    status, error = server.refused("/v1/chat/completions", {"messages": HELLO, "temperature": -1, "tools": [{}]})

    assert (status, error["param"]) == (400, "tools")
    assert "tools: tool calls are not there" in error["message"]
    assert "temperature: input should be greater than or equal to 0" in error["message"]


def test_a_schema_that_cannot_be_followed_is_refused(server: Up) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "nonsense"}}}
    status, error = server.refused("/v1/chat/completions", {"messages": HELLO, "structured_outputs": {"json": schema}})

    assert (status, error["code"]) == (400, "schema.unfit")


def raw(server: Up, method: str, path: str, **asked: Any) -> tuple[int, Any]:
    response = server.client.request(method, path, **asked)
    return response.status_code, response.json()["error"]["code"]


def test_whoever_has_no_key_gets_nothing_but_the_health(server: Up) -> None:
    for given in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {KEY}"}, {"authorization": KEY}):
        assert raw(server, "GET", "/v1/models", headers=given) == (401, "invalid_api_key")
        assert raw(server, "POST", "/v1/chat/completions", json={"messages": HELLO}, headers=given) == (401, "invalid_api_key")
        assert raw(server, "GET", "/nowhere", headers=given) == (401, "invalid_api_key")
    assert server.client.get("/health").json() == {"status": "ok"}


def test_without_a_key_a_page_of_another_origin_reaches_nothing(folder: Path) -> None:
    with up(folder, key="") as server:
        form = {"content-type": "text/plain"}
        asked = json.dumps({"messages": HELLO, "max_tokens": 2, "temperature": 0})
        assert raw(server, "POST", "/v1/chat/completions", content=asked, headers=form) == (415, "not_json")
        assert raw(server, "GET", "/v1/models", headers={"host": "evil.example"}) == (403, "foreign_host")
        assert raw(server, "GET", "/v1/models", headers={"host": "evil.example:80"}) == (403, "foreign_host")
        preflight = server.client.options("/v1/chat/completions", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in preflight.headers
        assert server.chat(max_tokens=2)["choices"]


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(server: Up) -> None:
    key = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    large = b'{"prompt": "' + b"a" * 2**23 + b'"}'

    assert raw(server, "POST", "/v1/completions", content=large, headers=key) == (413, "body_too_large")
    assert raw(server, "POST", "/v1/completions", content=iter([large[:100], large[100:]]), headers=key) == (
        413,
        "body_too_large",
    )


def test_paths_and_methods_that_are_not_there_are_told(server: Up) -> None:
    key = {"authorization": f"Bearer {KEY}"}

    assert raw(server, "GET", "/v1/audio/speech", headers=key) == (404, "no_such_path")
    assert raw(server, "GET", "/v1/chat/completions", headers=key) == (405, "refused")


# --- operators


def test_a_request_has_an_id_and_the_log_has_no_words_of_it(server: Up, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    secret = "the secret of the pharaoh"
    answered = server.post(
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": secret}], "max_tokens": 3, "temperature": 0},
        **{"x-request-id": "r-1"},
    )
    refused = server.post("/v1/chat/completions", {"messages": [{"role": secret, "content": secret}], secret: 1})
    until(lambda: any(refused.headers["x-request-id"] in line for line in caplog.messages))
    [line] = [one for one in caplog.messages if one.startswith("r-1 ")]

    assert (answered.headers["x-request-id"], answered.json()["id"]) == ("r-1", "chatcmpl-r-1")
    assert re.fullmatch(
        r"r-1 POST /v1/chat/completions 200 model=random prompt=\d+ completion=3 reason=length \d+\.\d+ s", line
    )
    assert "pharaoh" not in caplog.text
    assert re.fullmatch("[0-9a-f]{16}", server.get("/v1/models", **{"x-request-id": "not an id"}).headers["x-request-id"])


def test_the_metrics_count_what_was_done(server: Up) -> None:
    def read() -> dict[str, float]:
        lines = server.get("/metrics").text.splitlines()
        assert all(
            re.fullmatch(r'(# (HELP|TYPE) labbot_.+|labbot_[a-z_]+(\{[a-z]+="[^"]*"\})? [0-9.e+-]+)', line) for line in lines
        )
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    before = read()
    server.chat(max_tokens=7)
    after = read()

    assert after['labbot_tokens_total{kind="completion"}'] - before['labbot_tokens_total{kind="completion"}'] == 7
    assert after["labbot_time_to_first_token_seconds_count"] - before["labbot_time_to_first_token_seconds_count"] == 1
    assert after['labbot_time_to_first_token_seconds_bucket{le="+Inf"}'] == after["labbot_time_to_first_token_seconds_count"]
    assert (after['labbot_model_info{model="random"}'], after["labbot_requests_running"], after["labbot_requests_waiting"]) == (
        1,
        0,
        0,
    )


def test_a_mistake_of_ours_is_told_by_its_place_and_not_by_its_words(
    server: Up, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(messages: Any) -> Any:
        raise RuntimeError(f"no idea what to do with {messages}")

    monkeypatch.setattr(server.engine, "chat_prompt", broken)
    response = server.post("/v1/chat/completions", {"messages": HELLO})
    until(lambda: any(" broke: " in line for line in caplog.messages))

    assert (response.status_code, response.json()["error"]["code"]) == (500, "failed")
    assert response.headers["x-request-id"] in response.json()["error"]["message"]
    assert "RuntimeError at test_serve.py" in caplog.text
    assert "hello" not in caplog.text


# --- ends


def test_a_server_that_stops_ends_its_streams_with_the_reason(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "GRACE_S", 0.0)
    asked = {"messages": HELLO, "max_tokens": LONG, "temperature": 0}
    whole: list[httpx.Response] = []
    with up(folder) as server, server.heard("/v1/chat/completions", asked) as said:
        waiter = threading.Thread(target=lambda: whole.append(server.post("/v1/chat/completions", asked)))
        waiter.start()
        until(lambda: server.engine.stats().running == 2)
        server.stop()
        waiter.join()

    assert said[-2]["error"] == {"message": replies.STOPPING, "type": "server_error", "param": None, "code": 503}
    assert said[-1] == "data: [DONE]"
    assert (whole[0].status_code, whole[0].json()["error"]["code"]) == (503, "stopping")


def test_an_engine_that_ends_fails_its_answers_with_the_reason_and_the_server_ends(folder: Path) -> None:
    def refused() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(server.url.rpartition(":")[2]))) != 0

    with up(folder) as server:
        with server.heard("/v1/chat/completions", {"messages": HELLO, "max_tokens": LONG, "temperature": 0, "n": 2}) as said:
            until(lambda: server.engine.stats().running == 2)
            server.engine.close()
        until(refused)

    assert (said[-2]["error"]["code"], said[-2]["error"]["message"]) == (500, "the engine is closed")
    assert said[-1] == "data: [DONE]"


async def test_an_engine_that_has_ended_is_no_healthy_one(folder: Path) -> None:
    engine = Engine(EngineSettings(folder / "random.gguf"))
    engine.close()
    transport = httpx.ASGITransport(app=Service(engine).app())
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        health = await client.get("/health")
        asked = await client.post("/v1/chat/completions", json={"messages": HELLO})

    assert (health.status_code, asked.status_code, asked.json()["error"]["message"]) == (503, 500, "the engine is closed")
