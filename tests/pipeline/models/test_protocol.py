"""Requests are read strictly: what would change an answer and is not there is refused by name, all of it at once."""

import json
from typing import Any

import pytest

from pipeline.errors import Invalid
from pipeline.models import protocol
from pipeline.models.protocol import Asked, ChatRequest, CompletionRequest, EmbeddingRequest, LoadAdapter, TokenizeRequest

HELLO = [{"role": "user", "content": "hello"}]
SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}}


def chat(**changed: Any) -> ChatRequest:
    return protocol.read(ChatRequest, json.dumps({"messages": HELLO, **changed}).encode())


def refused(kind: type[Asked], body: Any) -> list[tuple[str, str]]:
    """(field, sentence) of every problem."""
    with pytest.raises(Invalid) as caught:
        protocol.read(kind, body if isinstance(body, bytes) else json.dumps(body).encode())
    return [(problem.where, f"{problem.message} {problem.fix}".strip()) for problem in caught.value.problems]


def refused_chat(**changed: Any) -> list[tuple[str, str]]:
    return refused(ChatRequest, {"messages": HELLO, **changed})


def test_a_request_that_says_nothing_leaves_everything_to_the_engine() -> None:
    asked = chat()

    assert (asked.sampling(), asked.stops(), asked.length, asked.constraint(), asked.seed) == ({}, (), 0, None, None)
    assert (asked.texts(), asked.n, asked.stream, asked.model) == (HELLO, 1, False, "")


def test_sampling_goes_by_the_names_of_openai_of_vllm_and_of_llama_cpp() -> None:
    asked = chat(temperature=0, top_p=0.9, top_k=-1, min_p=0.1, repetition_penalty=1.1, presence_penalty=1, seed=-3)

    assert asked.sampling() == {"temperature": 0, "top_p": 0.9, "top_k": 0, "min_p": 0.1, "repetition": 1.1, "presence": 1}
    assert asked.seed == -3
    assert chat(repeat_penalty=1.2).sampling() == {"repetition": 1.2}


def test_null_is_always_the_default() -> None:
    assert chat(temperature=None, stop=None, tools=None, stream_options=None, response_format=None, whatever=None) == chat()


@pytest.mark.parametrize(
    ("name", "value"), [("user", "u1"), ("metadata", {"a": "b"}), ("store", True), ("service_tier", "auto")]
)
def test_what_changes_no_answer_is_ignored(name: str, value: Any) -> None:
    assert chat(**{name: value}) == chat()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tools", []),
        ("tool_choice", "none"),
        ("logit_bias", {}),
        ("best_of", 1),
        ("length_penalty", 1.0),
        ("modalities", ["text"]),
        ("ignore_eos", False),
        ("add_generation_prompt", True),
        ("skip_special_tokens", True),
        ("stop_token_ids", []),
    ],
)
def test_a_setting_that_is_not_there_may_ask_for_nothing(name: str, value: Any) -> None:
    assert chat(**{name: value}) == chat()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("tools", [{"type": "function"}], "tool calls are not there"),
        ("functions", [{"name": "f"}], "tool calls are not there"),
        ("modalities", ["text", "audio"], "text only"),
        ("audio", {"voice": "a"}, "text only"),
        ("logit_bias", {"5": 100}, "cannot do that"),
        ("best_of", 2, "cannot do that"),
        ("min_tokens", 1, "cannot do that"),
        ("ignore_eos", True, "cannot do that"),
        ("ignore_eos", 0, "cannot do that"),
        ("length_penalty", True, "cannot do that"),
        ("guided_json", {}, "vLLM took it away"),
        ("temprature", 0.1, "Was `temperature` meant?"),
        ("something", 1, "no such setting"),
    ],
)
def test_a_setting_that_would_change_the_answer_is_refused_with_its_name(name: str, value: Any, said: str) -> None:
    [(field, sentence)] = refused_chat(**{name: value})

    assert field == name
    assert said in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", "0.5"),
        ("temperature", True),
        ("top_p", 0),
        ("top_p", 1.1),
        ("top_k", 1.5),
        ("min_p", 2),
        ("n", 0),
        ("n", 129),
        ("max_tokens", 0),
        ("max_tokens", -1),
        ("seed", 2**63),
        ("stop", 3),
        ("stop", [3]),
        ("stop", ""),
        ("stream", "yes"),
        ("logprobs", 1),
        ("top_logprobs", 21),
        ("presence_penalty", 2.5),
        ("repetition_penalty", 0),
        ("messages", []),
        ("messages", "hello"),
        ("response_format", "json"),
        ("stream_options", {"include_usage": 1}),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(name: str, value: Any) -> None:
    told = refused_chat(**{"stream": True, "logprobs": True, name: value})

    assert {field for field, _ in told} == {name}


def test_every_problem_is_told_at_once() -> None:
    told = refused_chat(temperature=9000, n="two", tools=[1], topp=1)

    assert sorted(field for field, _ in told) == ["n", "temperature", "tools", "topp"]


def test_a_long_wrong_value_is_not_repeated_whole() -> None:
    [(_, sentence)] = refused_chat(temperature="x" * 10_000)

    assert len(sentence) < 200


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"response_format": {"type": "json_object"}, "structured_outputs": {"json": {}}}, "structured_outputs"),
    ],
)
def test_settings_that_need_or_exclude_each_other_say_so(changed: dict[str, Any], field: str) -> None:
    assert [where for where, _ in refused_chat(**changed)] == [field]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"null", b'{"messages": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_told_in_a_sentence(body: bytes) -> None:
    [(field, sentence)] = refused(ChatRequest, body)

    assert field == ""
    assert sentence.startswith("the body is no JSON")


# --- messages


def test_parts_of_text_are_one_text_and_developers_are_the_system() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    asked = chat(messages=[{"role": "developer", "content": "be kind"}, {"role": "user", "content": parts, "name": "al"}])

    assert asked.texts() == [{"role": "system", "content": "be kind"}, {"role": "user", "content": "one\ntwo"}]


@pytest.mark.parametrize(
    ("message", "field", "said"),
    [
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, "content", "'image_url'"),
        ({"role": "user", "content": [{"type": "input_audio"}]}, "content", "'input_audio'"),
        ({"role": "user", "content": [{"type": "text"}]}, "content", "has a text"),
        ({"role": "user", "content": None}, "content", "it is a text"),
        ({"role": "user"}, "content", "it is a text"),
        ({"role": "king", "content": "x"}, "role", "'king' is none of"),
        ({"content": "x"}, "role", "None is none of"),
        ({"role": ["user"], "content": "x"}, "role", "none of"),
        ({"role": "tool", "content": "x"}, "", "tool calls are not there"),
        ({"role": "assistant", "content": None, "tool_calls": [{}]}, "", "tool calls are not there"),
    ],
)
def test_a_message_that_is_no_text_of_a_known_role_is_refused(message: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        chat(messages=[*HELLO, message]).texts()
    [problem] = caught.value.problems

    assert problem.where == ".".join(filter(None, ("messages.1", field)))
    assert said in problem.message


# --- the form of an answer


@pytest.mark.parametrize(
    ("changed", "schema"),
    [
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, {"type": "object"}),
        ({"response_format": {"type": "json_object", "schema": SCHEMA}}, SCHEMA),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}}, SCHEMA),
        ({"structured_outputs": {"json": SCHEMA}}, SCHEMA),
        ({"structured_outputs": {"json": json.dumps(SCHEMA), "regex": None}}, SCHEMA),
    ],
)
def test_a_schema_is_taken_from_every_dialect(changed: dict[str, Any], schema: Any) -> None:
    assert chat(**changed).constraint() == schema


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"response_format": {}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format.json_schema.schema"),
        ({"response_format": {"type": "json_object", "schema": [1]}}, "response_format.schema"),
        ({"structured_outputs": {"regex": "a+"}}, "structured_outputs.regex"),
        ({"structured_outputs": {"json": "{"}}, "structured_outputs.json"),
        ({"structured_outputs": {"json": None}}, "structured_outputs.json"),
    ],
)
def test_a_form_that_is_not_there_is_refused(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        chat(**changed).constraint()

    assert [problem.where for problem in caught.value.problems] == [field]


# --- the others


def completion(**changed: Any) -> CompletionRequest:
    return protocol.read(CompletionRequest, json.dumps({"prompt": "one", **changed}).encode())


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [("one", ["one"]), (["one", "two"], ["one", "two"]), ([1, 2], [[1, 2]]), ([[1], [2, 3]], [[1], [2, 3]]), ("", [""])],
)
def test_prompts_come_as_texts_or_tokens_one_or_several(prompt: Any, prompts: Any) -> None:
    assert completion(prompt=prompt).prompts() == prompts


@pytest.mark.parametrize("prompt", [[], [[]], ["a", 1], [[1], "a"], 5, {"a": 1}, [[1.5]], [True]])
def test_a_prompt_of_another_kind_is_refused(prompt: Any) -> None:
    assert {field for field, _ in refused(CompletionRequest, {"prompt": prompt})} == {"prompt"}


def test_no_tokens_are_asked_for_only_to_echo_a_prompt() -> None:
    assert completion(max_tokens=0, echo=True, logprobs=1).max_tokens == 0
    assert [field for field, _ in refused(CompletionRequest, {"prompt": "a", "max_tokens": 0})] == ["max_tokens"]


def test_prompts_times_answers_have_a_limit() -> None:
    assert [field for field, _ in refused(CompletionRequest, {"prompt": ["a"] * 65, "n": 2})] == ["n"]


def test_embeddings_are_of_texts() -> None:
    asked = protocol.read(EmbeddingRequest, b'{"input": "one", "encoding_format": "base64"}')

    assert (asked.texts(), asked.encoding_format) == (["one"], "base64")
    assert {field for field, _ in refused(EmbeddingRequest, {"input": []})} == {"input"}
    assert {field for field, _ in refused(EmbeddingRequest, {"input": "a", "dimensions": 8})} == {"dimensions"}


def test_tokens_are_counted_of_messages_or_of_a_prompt() -> None:
    assert protocol.read(TokenizeRequest, b'{"prompt": ""}').prompt == ""
    assert [field for field, _ in refused(TokenizeRequest, {})] == ["prompt"]
    assert [field for field, _ in refused(TokenizeRequest, {"prompt": "a", "messages": HELLO})] == ["prompt"]


@pytest.mark.parametrize("name", ["", "../x", "a b", "-a", "a" * 200, "a/b"])
def test_the_name_of_an_adapter_is_plain(name: str) -> None:
    assert {field for field, _ in refused(LoadAdapter, {"lora_name": name, "lora_path": "x"})} == {"lora_name"}
