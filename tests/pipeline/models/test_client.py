"""The client against servers that do well, badly, and not at all: the real library, over loopback, nothing waits for real."""

import asyncio
import json
import logging
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import trustme

from pipeline.errors import Failed, Invalid, LabError, Temporary
from pipeline.models.client import CONTEXT, Client, Endpoint, ModelInfo, Options, Piece
from pipeline.models.endpoint import wrong
from pipeline.models.estimate import estimate
from tests.conftest import HOME
from tests.fakes.openai_server import (
    CUT,
    END,
    SILENCE,
    Server,
    Step,
    answer,
    chunk,
    finished,
    frame,
    head,
    part,
    queued,
    said,
    streamed,
)

CHAT = "/v1/chat/completions"
KEY = "sk-very-secret"
HELLO = [{"role": "user", "content": "Hello?"}]
QUICK = {"pause_s": 0.001, "key": KEY, "silence_s": 20.0, "first_s": 20.0}
SCORE = {"type": "object", "properties": {"score": {"type": "integer", "minimum": 1, "maximum": 3}}, "required": ["score"]}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as made:
        yield made


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    made = Client(Endpoint(server.url, **QUICK))
    yield made
    await made.close()


async def pieces(client: Client) -> list[Piece]:
    async with aclosing(client.stream(HELLO)) as stream:
        return [piece async for piece in stream]


async def refusal(client: Client) -> LabError:
    with pytest.raises(LabError) as error:
        await client.chat(HELLO)
    assert KEY not in f"{error.value}{error.value!r}"
    return error.value


async def test_an_answer_comes_piece_by_piece_and_its_last_one_says_why_it_ended(server: Server, client: Client) -> None:
    server.says(CHAT, *streamed(chunk(""), chunk("Good"), chunk(" day"), finished()))

    assert await pieces(client) == [Piece("Good"), Piece(" day"), Piece(finish="stop")]


async def test_a_request_says_what_was_asked_and_nothing_of_this_machine(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-other")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-other\nX-Other: other")
    server.says(CHAT, *said("yes"))
    options = Options(0.5, 0.9, 40, 0.05, 1.1, 7, ("\n",), 9)

    await client.chat(HELLO, options=options)

    asked = server.to(CHAT)[0]
    assert asked.body == {
        "model": "small",
        "messages": HELLO,
        "stream": True,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "repetition_penalty": 1.1,
        "repeat_penalty": 1.1,
        "seed": 7,
        "stop": ["\n"],
        "max_tokens": 9,
    }
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert "other" not in json.dumps(dict(asked.headers)) and not [name for name in asked.headers if "stainless" in name]


async def test_a_key_is_sent_only_where_there_is_one(server: Server) -> None:
    server.says(CHAT, *said("yes"))
    client = Client(Endpoint(server.url))

    await client.chat(HELLO)
    await client.close()

    assert "authorization" not in server.to(CHAT)[0].headers


async def test_places_in_the_queue_come_before_the_words(server: Server, client: Client) -> None:
    server.says(CHAT, *streamed(queued(2), queued(1), chunk("Now"), finished("length")))

    assert await pieces(client) == [Piece(position=2), Piece(position=1), Piece("Now"), Piece(finish="length")]


async def test_a_connection_is_used_again_after_a_whole_answer(server: Server, client: Client) -> None:
    server.says(CHAT, *said("yes"))

    await client.chat(HELLO)
    await client.chat(HELLO)

    assert server.connections == 1


# closing early


async def test_a_closed_stream_closes_the_connection(server: Server, client: Client) -> None:
    server.says(CHAT, *streamed(chunk("Once"), SILENCE))
    stream = client.stream(HELLO)

    assert await anext(stream) == Piece("Once")
    await stream.aclose()

    async with asyncio.timeout(10):
        await server.to(CHAT)[0].gone.wait()


@pytest.mark.parametrize("steps", [(SILENCE,), streamed(SILENCE), streamed(chunk("Once"), SILENCE)])
async def test_a_cancelled_task_closes_the_connection_wherever_it_waits(
    server: Server, client: Client, steps: tuple[Step, ...]
) -> None:
    server.says(CHAT, *steps)
    task = asyncio.create_task(client.chat(HELLO))
    async with asyncio.timeout(10):
        while not server.to(CHAT):
            await asyncio.sleep(0)

        task.cancel()
        await server.to(CHAT)[0].gone.wait()

    with pytest.raises(asyncio.CancelledError):
        await task


# answers that are not whole


@pytest.mark.parametrize(
    ("steps", "kind", "sentence"),
    [
        (streamed(chunk("Half"), CUT), Temporary, "cut the connection"),
        (streamed(chunk("Half"), b"40\r\ndata: {", END), Temporary, "cut the connection"),
        (streamed(chunk("Half"), part(b'data: {"choices": ['), part(b""), END), Temporary, "without a reason"),
        (streamed(chunk("Half"), frame(b"[DONE]"), part(b"")), Temporary, "without a reason"),
        ((head(200, {"content-type": "text/event-stream"}), END), Temporary, "without a reason"),
        (streamed(chunk("Half"), frame(b"{garbage")), Failed, "no JSON"),
        (streamed(chunk("Half"), part(b"data: \xff\xfe\n\n")), Failed, "no JSON"),
        (streamed(frame([1, 2])), Failed, "unknown form"),
        (streamed(frame({"choices": ["text"]})), Failed, "unknown form"),
        (streamed(frame({"choices": [{"delta": {"content": 5}}]})), Failed, "unknown form"),
        (streamed(frame({"choices": [], "queue": {"place": 1}})), Failed, "unknown form"),
        (streamed(chunk("Half"), finished("abort")), Temporary, "broke the answer off: abort"),
        (streamed(finished("content_filter")), Failed, "broke the answer off: content_filter"),
        (streamed(frame({"error": {"message": "out of memory", "code": 500}})), Failed, "out of memory"),
        (streamed(frame({"error": {"message": "come back", "code": "503"}})), Temporary, "come back"),
        (streamed(frame({"error": "plain words"})), Failed, "plain words"),
        ((answer(200, {"choices": []}),), Failed, "application/json where a stream"),
        ((answer(200, "<html>log in</html>", {"content-type": "text/html"}),), Failed, "text/html where a stream"),
        ((b"SSH-2.0-OpenSSH\r\n", END), Temporary, "cut the connection"),
        ((CUT,), Temporary, "cut the connection"),
    ],
)
async def test_an_answer_that_is_not_whole_is_an_error_with_its_reason(
    server: Server, client: Client, steps: tuple[Step, ...], kind: type[LabError], sentence: str
) -> None:
    server.says(CHAT, *steps)
    server.says(CHAT, *said("whole"))

    error = await refusal(client)

    assert type(error) is kind and sentence in str(error)
    assert len(server.to(CHAT)) == 1  # a generation may have begun: it is not asked for again
    assert await client.chat(HELLO) == "whole"


async def test_words_that_came_before_a_cut_are_given_out(server: Server, client: Client) -> None:
    server.says(CHAT, *streamed(chunk("Half"), CUT))
    heard = []

    with pytest.raises(Temporary):
        async for piece in client.stream(HELLO):
            heard.append(piece)

    assert heard == [Piece("Half")]


@pytest.mark.parametrize(
    "steps", [(SILENCE,), streamed(SILENCE), streamed(queued(1), SILENCE), streamed(chunk("Half"), SILENCE)]
)
async def test_silence_is_an_error_and_ends_the_request(server: Server, steps: tuple[Step, ...]) -> None:
    server.says(CHAT, *steps)
    client = Client(Endpoint(server.url, model="small", silence_s=0.05, first_s=0.05))

    with pytest.raises(Temporary, match=r"said nothing for 0\.05 s"):
        await client.chat(HELLO)

    async with asyncio.timeout(10):
        await server.to(CHAT)[0].gone.wait()
    await client.close()


async def test_a_long_prompt_may_be_silent_for_longer_than_an_answer(server: Server) -> None:
    ready = asyncio.Event()
    server.says(CHAT, *streamed(chunk(""), ready, chunk("Well"), finished()))
    client = Client(Endpoint(server.url, model="small", silence_s=0.001, first_s=20))

    asyncio.get_running_loop().call_later(0.05, ready.set)

    assert await client.chat(HELLO) == "Well"
    await client.close()


async def test_marks_of_life_that_carry_nothing_do_not_count(server: Server) -> None:
    beats = tuple(part(b": ping\n\n") for _ in range(5))
    server.says(CHAT, *streamed(chunk("Half"), *beats, SILENCE))
    client = Client(Endpoint(server.url, model="small", silence_s=0.05, first_s=20))

    with pytest.raises(Temporary, match=r"said nothing for 0\.05 s"):
        await client.chat(HELLO)
    await client.close()


async def test_an_answer_with_its_finish_is_whole_whatever_follows(server: Server, client: Client) -> None:
    server.says(CHAT, *streamed(chunk("Whole"), chunk(None, "stop"), CUT))

    assert await client.chat(HELLO) == "Whole"


# refusals

NO_MODEL = {"error": {"message": "The model `big` does not exist.", "type": "NotFoundError", "param": "model", "code": 404}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "sentence"),
    [
        (401, {"error": {"message": f"Incorrect API key: {KEY}"}}, Failed, "refuses the key: Incorrect API key: ***"),
        (403, {"detail": "Forbidden"}, Failed, "refuses the key: Forbidden"),
        (400, {"error": {"message": "no chat template"}}, Invalid, "no chat template"),
        (422, {"detail": [{"msg": "bad temperature"}, {"msg": "bad seed"}]}, Invalid, "bad temperature; bad seed"),
        (404, {"detail": "Not Found"}, Failed, "most often ends in /v1"),
        (404, "<html>nothing here</html>", Failed, "a page of HTML"),
        (429, {"error": "slow down"}, Temporary, "busy (429): slow down"),
        (503, "", Temporary, "busy (503): no reason given"),
        (504, {"message": "gateway"}, Temporary, "busy (504): gateway"),
        (500, {"error": {"message": "CUDA\nout of memory"}}, Failed, "failed (500): CUDA out of memory"),
        (307, "", Failed, "leads elsewhere (307)"),
    ],
)
async def test_a_refusal_becomes_the_error_of_who_must_act(
    server: Server, client: Client, status: int, body: object, kind: type[LabError], sentence: str
) -> None:
    server.says(CHAT, answer(status, body, {"location": "https://elsewhere.example/"}))

    error = await refusal(client)

    assert type(error) is kind and sentence in str(error)


async def test_an_unknown_model_is_told_with_those_that_there_are(server: Server) -> None:
    server.says(CHAT, answer(404, NO_MODEL))
    client = Client(Endpoint(server.url, model="big"))

    with pytest.raises(Invalid) as error:
        await client.chat(HELLO)
    await client.close()

    problem = error.value.problems[0]
    assert problem.code == "model.unknown" and problem.message == "The model `big` does not exist; there is: small"
    assert problem.facts["there"] == "small"


async def test_a_server_that_changed_its_model_is_asked_for_the_new_one_the_next_time(server: Server, client: Client) -> None:
    server.says(CHAT, *said("I am small"))
    await client.chat(HELLO)
    server.forgets("/v1/models")
    server.says("/v1/models", answer(200, {"data": [{"id": "new"}]}))
    server.forgets(CHAT)
    server.says(CHAT, answer(404, NO_MODEL))
    server.says(CHAT, *said("I am new"))

    with pytest.raises(Invalid):
        await client.chat(HELLO)

    assert await client.chat(HELLO) == "I am new"
    assert [one.body["model"] for one in server.to(CHAT)] == ["small", "small", "new"]


@pytest.mark.parametrize(
    ("error", "numbers"),
    [
        (
            {
                "message": "This model's maximum context length is 1024 tokens. However, your prompt contains at least 1025 "
                "input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input "
                "prompt. (parameter=input_tokens, value=1025)",
                "type": "BadRequestError",
                "param": "input_tokens",
            },
            ("1025", "1024"),
        ),
        (
            {
                "message": "max_tokens=2000 cannot be greater than max_model_len=1024. Please request fewer output tokens. "
                "(parameter=max_tokens, value=2000)",
                "type": "BadRequestError",
                "param": "max_tokens",
            },
            ("2000", "1024"),
        ),
        (
            {
                "message": "This model's maximum context length is 512 tokens. However, you requested 600 tokens (500 in the "
                "messages, 100 in the completion).",
                "code": "context_length_exceeded",
            },
            ("600", "512"),
        ),
        (
            {
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 9000,
                "n_ctx": 4096,
            },
            ("9000", "4096"),
        ),
        (
            {
                "message": "This model's maximum context length is 1024 tokens. However, your prompt contains 56025 characters "
                "(more than 14336 characters, which is the upper bound for 1024 input tokens). Please reduce the length of the "
                "input prompt. (parameter=input_text, value=56025)",
                "type": "BadRequestError",
                "param": "input_text",
            },
            ("", "1024"),
        ),
        (
            {
                "message": "messages: the prompt has 5605 tokens, and the context of granite-3.1-8b holds 1024. Shorten it.",
                "code": "context_length_exceeded",
            },
            ("5605", "1024"),
        ),
        ({"message": "too long for the context window"}, ("", "")),
    ],
)
@pytest.mark.parametrize("within", [True, False])
async def test_a_conversation_that_is_too_long_is_told_with_the_numbers(
    server: Server, client: Client, error: dict[str, object], numbers: tuple[str, str], within: bool
) -> None:
    server.says(CHAT, *(streamed(frame({"error": {"code": 400} | error})) if within else (answer(400, {"error": error}),)))

    found = await refusal(client)

    assert isinstance(found, Invalid)
    problem = found.problems[0]
    assert (problem.code, problem.facts["asked"], problem.facts["context"]) == ("model.overflow", *numbers)


# trying again


@pytest.mark.parametrize("status", [429, 503])
async def test_what_was_turned_away_is_asked_again_after_the_time_that_the_server_says(
    server: Server, client: Client, status: int
) -> None:
    server.says(CHAT, answer(status, {"error": "busy"}, {"retry-after": "0.001"}))
    server.says(CHAT, answer(status, {"error": "busy"}))
    server.says(CHAT, *said("yes"))

    assert await client.chat(HELLO) == "yes"
    assert len(server.to(CHAT)) == 3


async def test_what_stays_turned_away_is_asked_three_times(server: Server, client: Client) -> None:
    server.says(CHAT, answer(503, {"error": "busy"}))

    assert isinstance(await refusal(client), Temporary)
    assert len(server.to(CHAT)) == 3


async def test_nobody_is_kept_waiting_for_minutes(server: Server, client: Client) -> None:
    server.says(CHAT, answer(429, {"error": "busy"}, {"retry-after": "3600"}))

    assert "wait 3600 s" in str(await refusal(client))
    assert len(server.to(CHAT)) == 1


async def test_who_asks_is_told_whether_the_server_is_busy_and_for_how_long_or_away(server: Server, client: Client) -> None:
    server.says(CHAT, answer(429, {"error": "busy"}, {"retry-after": "3600"}))
    server.says(CHAT, answer(504, {"error": "a gateway"}))
    busy, late = await refusal(client), await refusal(client)
    away = await refusal(Client(Endpoint("http://127.0.0.1:9/v1", tries=1)))

    assert isinstance(busy, Temporary) and (busy.kind, busy.wait_s) == ("busy", 3600.0)
    assert isinstance(late, Temporary) and (late.kind, late.wait_s) == ("", None)
    assert isinstance(away, Temporary) and away.kind == "away"


@pytest.mark.parametrize("steps", [(CUT,), (answer(500, {"error": "once"}),)])
async def test_what_changes_nothing_is_asked_again_after_any_failure(
    server: Server, client: Client, steps: tuple[Step, ...]
) -> None:
    server.forgets("/v1/models")
    server.says("/v1/models", *steps)
    server.says("/v1/models", answer(200, {"data": [{"id": "small"}]}))

    assert await client.models() == (ModelInfo("small"),)


async def test_a_server_that_is_not_there_is_tried_and_told(server: Server) -> None:
    await server.down()
    client = Client(Endpoint(server.url, model="small", pause_s=0.001))

    with pytest.raises(Temporary, match=rf"{server.url} cannot be reached: .*[Cc]onnect"):
        await client.chat(HELLO)
    await client.close()


async def test_a_server_that_comes_back_meanwhile_answers(server: Server) -> None:
    server.says(CHAT, *said("back"))
    await server.down()
    client = Client(Endpoint(server.url, model="small", tries=1000, pause_s=0.0))
    task = asyncio.create_task(client.chat(HELLO))
    await client.open()

    await server.up()

    assert await task == "back"
    await client.close()


async def test_a_certificate_that_does_not_hold_is_told_and_one_of_an_authority_of_ours_holds(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with Server(tls=context) as server:
        stranger, friend = Client(Endpoint(server.url)), Client(Endpoint(server.url, ca=str(tmp_path / "ca.pem")))

        with pytest.raises(Failed, match=r"the certificate of .* does not hold: .*issuer"):
            await stranger.models()

        assert await friend.models() == (ModelInfo("small", owner="labbot"),)
        await friend.close()
        await stranger.close()


# several at once


async def test_no_more_than_so_many_answers_run_at_once_and_who_waits_is_told_the_place(server: Server) -> None:
    server.says(CHAT, *streamed(chunk("Once"), SILENCE))
    server.says(CHAT, *said("then"))
    client = Client(Endpoint(server.url, concurrency=1))
    first, second, third = client.stream(HELLO), client.stream(HELLO), client.stream(HELLO)

    assert await anext(first) == Piece("Once")
    assert await anext(second) == Piece(position=1)
    waiting = asyncio.ensure_future(anext(second))
    await asyncio.sleep(0)
    assert await anext(third) == Piece(position=2)
    assert len(server.to(CHAT)) == 1 and not waiting.done()
    await first.aclose()

    assert await waiting == Piece("then")
    await second.aclose()
    await third.aclose()
    await client.close()


@pytest.mark.parametrize("steps", [(CUT,), streamed(CUT), streamed(chunk("x"), CUT), (answer(500, ""),)])
async def test_a_failure_gives_its_turn_back(server: Server, steps: tuple[Step, ...]) -> None:
    server.says(CHAT, *steps)
    client = Client(Endpoint(server.url, concurrency=1))

    for _ in range(3):
        with pytest.raises(LabError):
            await client.chat(HELLO)
    await client.close()

    assert len(server.to(CHAT)) == 3


# structured answers


async def test_a_structured_answer_is_parsed_and_checked(server: Server, client: Client) -> None:
    server.says(CHAT, *said('```json\n{"score": 2}\n```'))

    assert await client.structured(HELLO, SCORE) == {"score": 2}
    narrow = {
        "type": "object",
        "properties": {"score": {"type": "integer", "enum": [1, 2, 3]}},
        "required": ["score"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": narrow}}
    assert server.to(CHAT)[0].body["response_format"] == form


async def test_the_server_of_llama_cpp_python_gets_the_form_that_it_honours() -> None:
    async with Server(models=({"id": "gguf", "owned_by": "me", "permissions": []},)) as server:
        server.says(CHAT, *said('{"score": 3}'))
        client = Client(Endpoint(server.url))

        await client.structured(HELLO, SCORE)
        await client.close()

    form = server.to(CHAT)[0].body["response_format"]
    assert form["type"] == "json_object" and form["schema"]["properties"] == {"score": {"type": "integer", "enum": [1, 2, 3]}}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"score": 988318}', "$.score: 988318 is greater than the maximum of 3"),
        ('{"score": NaN}', "NaN is no JSON number"),
        ("Sure! I would say two.", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ("", "it is no JSON"),
        ("{}", "'score' is a required property"),
    ],
)
async def test_an_answer_that_does_not_fit_is_asked_for_once_more_with_what_is_wrong(
    server: Server, client: Client, text: str, sentence: str
) -> None:
    server.says(CHAT, *said(text))
    server.says(CHAT, *said('{"score": 1}'))

    assert await client.structured(HELLO, SCORE) == {"score": 1}
    first, second = (one.body["messages"] for one in server.to(CHAT))
    assert first == HELLO
    assert second[:-1] == [*HELLO, {"role": "assistant", "content": text[:1000] or "{}"}]
    assert sentence in second[-1]["content"] and '"maximum":3' in second[-1]["content"]


async def test_a_second_answer_that_does_not_fit_is_our_error_with_its_beginning(server: Server, client: Client) -> None:
    server.says(CHAT, *said("No."))
    server.says(CHAT, *said('{"score": 1', "length"))

    with pytest.raises(Failed, match=r"its tokens were spent.*no JSON.*It began '\{\"score\": 1'"):
        await client.structured(HELLO, SCORE)
    assert len(server.to(CHAT)) == 2


async def test_a_conversation_that_only_the_second_question_made_too_long_is_not_the_persons_fault(
    server: Server, client: Client
) -> None:
    server.says(CHAT, *said("No."))
    server.says(CHAT, answer(400, {"error": {"message": "the maximum context length is 64 tokens"}}))

    with pytest.raises(Failed, match="could not be asked again"):
        await client.structured(HELLO, SCORE)


async def test_a_schema_that_is_none_is_refused_before_anything_is_sent(server: Server, client: Client) -> None:
    with pytest.raises(Invalid) as error:
        await client.structured(HELLO, {"type": "number", "minimum": "one"})

    assert error.value.problems[0].code == "model.schema" and not server.asked


# tokens, models, adapters, embeddings


async def test_tokens_are_counted_by_the_server(server: Server, client: Client) -> None:
    server.says("/tokenize", answer(200, {"count": 42, "max_model_len": 4096, "tokens": [1] * 42}))

    assert await client.count(HELLO) == 42
    assert server.to("/tokenize")[0].body == {"model": "small", "messages": HELLO}


@pytest.mark.parametrize("reply", [answer(404, {"detail": "Not Found"}), answer(403, "no"), answer(200, {"tokens": []})])
async def test_tokens_are_estimated_where_the_server_counts_none_and_it_is_asked_once(
    server: Server, client: Client, reply: bytes
) -> None:
    server.says("/tokenize", reply)

    assert await client.count(HELLO) == await client.count(HELLO) == estimate(HELLO)
    assert len(server.to("/tokenize")) == 1


async def test_a_count_that_failed_for_now_is_no_estimate(server: Server, client: Client) -> None:
    server.says("/tokenize", answer(503, "busy"))

    with pytest.raises(Temporary):
        await client.count(HELLO)


async def test_the_context_is_told_by_the_server_for_models_and_their_adapters() -> None:
    models = ({"id": "base", "max_model_len": 8192}, {"id": "tuned", "parent": "base"}, {"id": "mute"})
    async with Server(models=models) as server:
        client = Client(Endpoint(server.url))

        assert [await client.context(name) for name in ("", "tuned", "mute", "unlisted")] == [8192, 8192, CONTEXT, CONTEXT]
        await client.close()


async def test_the_context_of_llama_server_is_in_its_props() -> None:
    async with Server(models=({"id": "gguf", "owned_by": "llamacpp"},)) as server:
        server.says("/props", answer(200, {"default_generation_settings": {"n_ctx": 2048}}))
        client = Client(Endpoint(server.url))

        assert await client.context() == 2048
        await client.close()


async def test_the_first_model_that_is_no_adapter_is_asked_where_none_is_named() -> None:
    async with Server(models=({"id": "tuned", "parent": "base"}, {"id": "base"})) as server:
        server.says(CHAT, *said("yes"))
        client = Client(Endpoint(server.url))

        await client.chat(HELLO)
        await client.close()

        assert server.to(CHAT)[0].body["model"] == "base"


async def test_a_server_that_lists_no_models_is_asked_all_the_same(server: Server, client: Client) -> None:
    server.forgets("/v1/models")
    server.says(CHAT, *said("yes"))

    assert await client.chat(HELLO, schema=SCORE) == "yes"
    assert server.to(CHAT)[0].body["model"] == "default" and len(server.to("/v1/models")) == 1


@pytest.mark.parametrize("body", ["words", {"data": {}}, {"data": [{}]}, {"data": [{"id": 5}]}, b"{", []])
async def test_a_list_of_models_that_is_none_is_told(server: Server, client: Client, body: object) -> None:
    server.forgets("/v1/models")
    server.says("/v1/models", answer(200, body))

    with pytest.raises(Failed):
        await client.models()


async def test_adapters_are_loaded_and_unloaded_by_name(server: Server, client: Client) -> None:
    server.says("/v1/load_lora_adapter", answer(200, "Success", {"content-type": "text/plain"}))
    server.says("/v1/unload_lora_adapter", answer(200, {}))

    await client.load_adapter("tuned", Path("/adapters/tuned"))
    await client.unload_adapter("tuned")

    assert server.asked[0].body == {"lora_name": "tuned", "lora_path": "/adapters/tuned"}
    assert server.asked[1].body == {"lora_name": "tuned"}


async def test_an_adapter_that_is_refused_is_told_with_the_reason(server: Server, client: Client) -> None:
    server.says("/v1/load_lora_adapter", answer(404, {"error": {"message": "No adapter found for /nowhere", "code": 404}}))

    with pytest.raises(Invalid) as error:
        await client.load_adapter("tuned", "/nowhere")
    with pytest.raises(Failed, match="takes no adapters while it runs"):
        await client.unload_adapter("tuned")

    assert [(one.code, one.message) for one in error.value.problems] == [("model.adapter", "No adapter found for /nowhere")]


async def test_vectors_come_in_the_order_of_their_texts_in_bounded_requests(server: Server, client: Client) -> None:
    first = [{"index": 63 - n, "embedding": [63 - n, 0.5]} for n in range(64)]
    server.says("/v1/embeddings", answer(200, {"data": first}))
    server.says("/v1/embeddings", answer(200, {"data": [{"index": 0, "embedding": [64, 0.5]}]}))

    made = await client.embed([f"text {n}" for n in range(65)])

    assert made == [[float(n), 0.5] for n in range(65)]
    assert [len(one.body["input"]) for one in server.to("/v1/embeddings")] == [64, 1]


@pytest.mark.parametrize(
    "data", [None, [], [{"index": 0}], [{"index": 0, "embedding": []}], [{"index": 0, "embedding": ["x"]}], {"a": 1}]
)
async def test_vectors_that_are_none_are_told(server: Server, client: Client, data: object) -> None:
    server.says("/v1/embeddings", answer(200, {"data": data}))

    with pytest.raises(Failed):
        await client.embed(["text"])


# where it may go


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080/v1", "http://localhost/v1", "http://[::1]:1/v1", "https://api.example/v1", "http://GPU:8000/v1"],
)
def test_an_endpoint_is_on_this_machine_or_https_or_allowed(url: str) -> None:
    assert wrong(url, ("gpu",)) is None


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://gpu.example:8000/v1", "gpu.example is another machine"),
        ("http://0.0.0.0/v1", "another machine"),
        ("http://127.0.0.1.example/v1", "another machine"),
        ("https://alice:secret@api.example/v1", "a user name or password"),
        ("ftp://127.0.0.1/v1", "no endpoint"),
        ("https://api.example/v1?key=5", "no endpoint"),
        ("https://api.example:port/v1", "no endpoint"),
        ("https://[::1/v1", "no endpoint"),
        ("127.0.0.1:8080", "no endpoint"),
        ("", "no endpoint"),
    ],
)
def test_an_endpoint_that_people_could_listen_to_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence) as error:
        Client(Endpoint(url))

    assert "secret" not in str(error.value)


@pytest.mark.parametrize("key", ["sk-one\n", "sk one", "sk-ß"])
def test_a_key_that_cannot_be_one_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(Invalid) as error:
        Client(Endpoint("http://127.0.0.1:1/v1", key=key))

    assert error.value.problems[0].code == "model.key" and "sk" not in str(error.value)


async def test_what_is_on_this_machine_is_asked_without_a_proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    client = Client(Endpoint(server.url, tries=1))

    assert await client.models() == (ModelInfo("small", owner="labbot"),)
    await client.close()


def test_a_key_is_in_no_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint = Endpoint("http://127.0.0.1:1/v1", key=KEY)

    assert KEY not in repr(endpoint) + repr(Client(endpoint)) + caplog.text


def test_a_front_end_that_imports_the_door_does_not_import_the_library() -> None:
    code = "import sys, pipeline.models.client; assert not {'openai', 'httpx2', 'torch', 'llama_cpp'} & set(sys.modules)"

    subprocess.run([sys.executable, "-c", code], check=True, cwd=HOME)
