"""What the client does against any server, whoever wrote it: each function is one promise, and fails by assertion.

A `Place` is a running server and what it has. Weights may be random: nothing here depends on sense in an answer.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import openai
import pytest

from pipeline.errors import Failed, Invalid
from pipeline.models import schemas
from pipeline.models.client import Client, Endpoint, Options
from pipeline.models.estimate import estimate

Has = Literal["adapters", "cancel", "embeddings", "names", "overflow", "quotes", "tokens"]
HELLO = [{"role": "user", "content": "Hello, who are you?"}]
WAIT_S = 60.0  # for what comes within milliseconds, unless the machine is busy with something else


@dataclass(frozen=True, slots=True)
class Place:
    """`adapter`: a path that the server can load; `has`: what the server has beyond answering. `running`: its gauge's name."""

    url: str
    key: str
    model: str
    context: int
    adapter: str = ""
    has: frozenset[Has] = frozenset()
    running: str = ""

    def client(self) -> Client:
        return Client(Endpoint(self.url, key=self.key, silence_s=WAIT_S, first_s=WAIT_S))


# every kind of schema that a stage or a form asks for, and some that engines are known to stumble over
_TEXT = {"type": "string"}
_SCORE = {"type": "integer", "minimum": 1, "maximum": 5}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


SCHEMAS: tuple[dict[str, Any], ...] = (
    {"type": "boolean"},
    {"type": "string", "maxLength": 20},
    {"enum": ["yes", "no", "unsure"]},
    _SCORE,
    {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10},
    {"type": "integer", "minimum": -2, "maximum": 40, "multipleOf": 7},
    _object(),
    _object(score=_SCORE),
    _object(verdict={"enum": ["keep", "drop"]}, reason={"type": "string", "maxLength": 60}),
    _object(question=_TEXT, answer=_TEXT),
    _object(quote={"type": "string", "minLength": 3, "maxLength": 12}),
    {"type": "object", "properties": {"a": _TEXT, "b": {"type": "integer", "minimum": 0, "maximum": 3}}, "required": ["b"]},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 4},
    {"type": "array", "items": _SCORE, "minItems": 3, "maxItems": 3},
    _object(items={"type": "array", "items": _object(name={"type": "string", "maxLength": 8}), "maxItems": 3, "minItems": 1}),
    _object(outer=_object(inner=_object(deep={"const": "here"}))),
    {"anyOf": [{"type": "null"}, _SCORE]},
    _object(value={"anyOf": [{"enum": ["none"]}, {"type": "array", "items": _SCORE, "maxItems": 2}]}),
    {"$defs": {"one": _object(score=_SCORE)}, "type": "array", "items": {"$ref": "#/$defs/one"}, "minItems": 2, "maxItems": 2},
    _object(umlaut={"enum": ["über", "日本"]}, flag={"type": "boolean"}),
)


async def a_conversation_is_answered(place: Place, client: Client) -> None:
    talk = [{"role": "system", "content": "Be brief."}, *HELLO, {"role": "assistant", "content": "A model."}, *HELLO]

    assert await client.chat(talk, options=Options(temperature=1.0, seed=1, max_tokens=16))


async def an_answer_streams_and_ends_with_its_reason(place: Place, client: Client) -> None:
    options = Options(temperature=0.0, max_tokens=24)
    async with aclosing(client.stream(HELLO, options=options)) as stream:
        pieces = [piece async for piece in stream]

    assert pieces[-1].finish in {"stop", "length"} and not any(piece.finish for piece in pieces[:-1])
    assert sum(bool(piece.text) for piece in pieces) > 1
    assert "".join(piece.text for piece in pieces) == await client.chat(HELLO, options=options)


async def every_option_is_taken(place: Place, client: Client) -> None:
    options = Options(0.9, 0.9, 40, 0.01, 1.1, 7, ("zzz",), 12)

    assert await client.chat(HELLO, options=options)


async def a_stop_string_ends_an_answer(place: Place, client: Client) -> None:
    whole = await client.chat(HELLO, options=Options(temperature=0.0, max_tokens=24))
    stop = whole[len(whole) // 2 :][:3]

    cut = await client.chat(HELLO, options=Options(temperature=0.0, max_tokens=24, stop=(stop,)))

    assert cut == whole.partition(stop)[0]


async def answers_run_beside_each_other(place: Place, client: Client) -> None:
    options = [Options(temperature=1.0, seed=seed, max_tokens=16) for seed in range(8)]

    assert all(await asyncio.gather(*(client.chat(HELLO, options=one) for one in options)))


async def a_structured_answer_fits(place: Place, client: Client, schema: dict[str, Any]) -> bool:
    """Return whether the first answer did already."""
    options = Options(temperature=1.0, seed=3, max_tokens=200)
    first = await client.chat(HELLO, schema=schema, options=options)
    found = await client.structured(HELLO, schema, options=options)

    schemas.instance(json.dumps(found), schema)
    try:
        schemas.instance(first, schema)
    except ValueError:
        return False
    return True


async def words_with_quotes_are_spelled_out(place: Place, client: Client) -> None:
    assert await a_structured_answer_fits(place, client, _object(said={"enum": ['"hi"\\', "\n"]}))


async def a_closed_stream_stops_the_generation(place: Place, client: Client) -> None:
    """The schema keeps the model talking to the end of the context, if nobody stops it."""
    await until_running(place, 0)
    stream = client.stream(HELLO, schema=_LONG, options=Options(temperature=1.0))
    while not (await anext(stream)).text:
        pass
    await until_running(place, 1)

    await stream.aclose()

    await until_running(place, 0)


async def a_cancelled_task_stops_the_generation(place: Place, client: Client) -> None:
    task = asyncio.create_task(client.chat(HELLO, schema=_LONG, options=Options(temperature=1.0)))
    await until_running(place, 1)

    task.cancel()

    await until_running(place, 0)
    assert task.cancelled()


_LONG = {"type": "array", "items": {"type": "string", "minLength": 30, "maxLength": 40}, "minItems": 400, "maxItems": 400}


async def until_running(place: Place, wanted: int) -> None:
    """Wait until the server says that so many answers are being written."""
    async with asyncio.timeout(WAIT_S), httpx.AsyncClient() as web:
        while True:
            answer = await web.get(place.url.removesuffix("/v1") + "/metrics", headers={"authorization": f"Bearer {place.key}"})
            found = re.search(rf"^{place.running}(?:\{{[^}}]*\}})? ([0-9.]+)$", answer.text, re.M)
            assert found, f"{place.running} is not among the metrics"
            if float(found[1]) == wanted:
                return


async def an_adapter_comes_and_goes_by_its_name(place: Place, client: Client) -> None:
    options = Options(temperature=0.0, max_tokens=24)
    base = await client.chat(HELLO, options=options)

    await client.load_adapter("tuned", place.adapter)
    listed = {one.id: one.parent for one in await client.models()}
    tuned = await client.chat(HELLO, model="tuned", options=options)
    context = await client.context("tuned")
    again = await client.chat(HELLO, options=options)
    await client.unload_adapter("tuned")

    assert listed == {place.model: "", "tuned": place.model}
    assert tuned != base == again and context == place.context
    with pytest.raises(Invalid) as error:
        await client.chat(HELLO, model="tuned", options=options)
    assert error.value.problems[0].code == "model.unknown"


async def an_adapter_that_is_none_is_refused(place: Place, client: Client) -> None:
    for attempt in (client.load_adapter("tuned", place.adapter + "-nowhere"), client.unload_adapter("nowhere")):
        with pytest.raises(Invalid) as error:
            await attempt
        assert error.value.problems[0].code == "model.adapter"


async def an_unknown_model_is_told_with_those_there_are(place: Place, client: Client) -> None:
    with pytest.raises(Invalid) as error:
        await client.chat(HELLO, model="big")

    assert error.value.problems[0].code == "model.unknown" and error.value.problems[0].facts["there"] == place.model


async def a_wrong_key_is_told(place: Place, client: Client) -> None:
    stranger = Client(Endpoint(place.url, model=place.model, key="sk-wrong"))

    with pytest.raises(Failed, match="refuses the key") as error:
        await stranger.chat(HELLO)
    await stranger.close()

    assert "sk-wrong" not in str(error.value)


async def a_conversation_that_is_too_long_is_told_with_the_numbers(place: Place, client: Client) -> None:
    """Both ways: the conversation alone is too long by a little or a lot, and the answer that it asks for is."""
    some, many = "one two three " * (place.context // 2), "one two three " * (9 * place.context)
    eight = Options(max_tokens=8)
    for talk, options in ((some, eight), (many, eight), ("Hello", Options(max_tokens=2 * place.context))):
        with pytest.raises(Invalid) as error:
            await client.chat([{"role": "user", "content": talk}], options=options)
        problem = error.value.problems[0]
        assert (problem.code, problem.facts["context"]) == ("model.overflow", str(place.context)), problem


async def tokens_are_counted(place: Place, client: Client) -> None:
    short, long = await client.count(HELLO), await client.count([*HELLO, *HELLO])

    assert 5 < short < long < 2 * estimate(HELLO)
    assert short != estimate(HELLO)
    assert await client.context() == place.context


async def texts_become_vectors(place: Place, client: Client) -> None:
    made = await client.embed(["a dog", "a cat", "a dog"])

    assert len(made) == 3 and len(made[0]) == len(made[1]) > 1
    assert made[0] == pytest.approx(made[2], abs=1e-4) and made[0] != pytest.approx(made[1], abs=1e-4)


async def the_official_library_is_understood(place: Place, client: Client) -> None:
    """A conversation, a stream, a schema, and where it has them vectors, by the typed interface of `openai`."""
    async with openai.AsyncOpenAI(base_url=place.url, api_key=place.key, timeout=WAIT_S, max_retries=0) as api:
        listed = [one.id async for one in api.models.list()]
        talk: Any = {"model": place.model, "messages": HELLO, "max_tokens": 120, "temperature": 1.0, "seed": 5}
        whole = await api.chat.completions.create(**talk)
        parts = [one async for one in await api.chat.completions.create(**talk, stream=True)]
        schema = schemas.sent(_object(score=_SCORE), 100)
        told = schemas.response_format(schema, "json_schema")
        fitting = await api.chat.completions.create(**talk, response_format=told)
        if "embeddings" in place.has:
            vectors = await api.embeddings.create(model=place.model, input=["a dog", "a cat"])
            assert len(vectors.data) == 2 and len(vectors.data[0].embedding) > 1

    assert listed == [place.model]
    assert whole.choices[0].message.content and whole.usage is not None and 0 < whole.usage.completion_tokens <= 120
    assert [one.choices[0].finish_reason for one in parts if one.choices][-1] in {"stop", "length"}
    assert _object_fits(fitting.choices[0].message.content or "", schema)


Promise = Callable[[Place, Client], Awaitable[None]]
PROMISES: tuple[tuple[Promise, Has | None], ...] = (
    (a_conversation_is_answered, None),
    (an_answer_streams_and_ends_with_its_reason, None),
    (every_option_is_taken, None),
    (a_stop_string_ends_an_answer, None),
    (answers_run_beside_each_other, None),
    (a_wrong_key_is_told, None),
    (words_with_quotes_are_spelled_out, "quotes"),
    (a_closed_stream_stops_the_generation, "cancel"),
    (a_cancelled_task_stops_the_generation, "cancel"),
    (an_adapter_comes_and_goes_by_its_name, "adapters"),
    (an_adapter_that_is_none_is_refused, "adapters"),
    (an_unknown_model_is_told_with_those_there_are, "names"),
    (a_conversation_that_is_too_long_is_told_with_the_numbers, "overflow"),
    (tokens_are_counted, "tokens"),
    (texts_become_vectors, "embeddings"),
    (the_official_library_is_understood, "names"),
)


def _object_fits(text: str, schema: dict[str, Any]) -> bool:
    return schemas.instance(text, schema) is not None
