"""What may be asked of the server: the OpenAI protocol's requests with what vLLM adds, read strictly.

A setting that would change the answer and is not there is refused by name: an answer that quietly leaves out what was
asked for is worse than none. `HARMLESS` names what changes no answer and is ignored; `NEUTRAL` what is not there, and the
values that ask for nothing. `null` is always a setting's default. Every problem of a request is told at once, by field.

Where a request says nothing, the engine's own defaults hold (`Sampling` of engine.py), as a model's do in vLLM.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from pipeline.errors import Invalid, Problem

SHOWN = 60  # characters of a wrong value that its error repeats
MOST_CHOICES = 128  # answers to one request: `n` times its prompts
MOST_TOPS = 20  # OpenAI's limit of top_logprobs

HARMLESS = frozenset(
    "lora_int_id metadata parallel_tool_calls prediction priority prompt_cache_key prompt_cache_retention request_id "
    "safety_identifier service_tier session_id store user".split()
)
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "add_generation_prompt": (True,),
    "allowed_token_ids": ([],),
    "audio": (),
    "bad_words": ([],),
    "best_of": (1,),
    "chat_template": (),
    "chat_template_kwargs": ({},),
    "continue_final_message": (False,),
    "dimensions": (),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "ignore_eos": (False,),
    "include_reasoning": (True, False),
    "include_stop_str_in_output": (False,),
    "is_3d_lora_weight": (False,),
    "length_penalty": (1,),
    "logit_bias": ({},),
    "min_tokens": (0,),
    "modalities": (["text"],),
    "reasoning_effort": ("none",),
    "return_token_strs": (False,),
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True,),
    "stop_token_ids": ([],),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "use_beam_search": (False,),
}
WHY = {
    "audio": "this server reads and writes text only.",
    "function_call": "tool calls are not there; ask for an answer by a schema instead (`response_format`).",
    "functions": "tool calls are not there; ask for an answer by a schema instead (`response_format`).",
    "guided_json": "vLLM took it away in 0.12; use `response_format` or `structured_outputs`.",
    "modalities": "this server reads and writes text only.",
    "tool_choice": "tool calls are not there; ask for an answer by a schema instead (`response_format`).",
    "tools": "tool calls are not there; ask for an answer by a schema instead (`response_format`).",
}
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


class Asked(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)

    def problems(self) -> Iterator[Problem]:
        """What the types cannot say."""
        return iter(())


Kind = TypeVar("Kind", bound=Asked)


class StreamOptions(Asked):
    include_usage: bool = False
    continuous_usage_stats: Literal[False] = False


class Generation(Asked):
    """What chats and completions have in common. A number that is None is the engine's default."""

    model: str = ""
    n: int = Field(default=1, ge=1, le=MOST_CHOICES)
    temperature: float | None = Field(default=None, ge=0, le=10)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1)
    min_p: float | None = Field(default=None, ge=0, le=1)
    repetition_penalty: float | None = Field(default=None, gt=0, le=10)
    repeat_penalty: float | None = Field(default=None, gt=0, le=10)  # llama.cpp's name of it
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: str | list[str] = Field(default_factory=list)
    stream: bool = False
    stream_options: StreamOptions | None = None
    response_format: dict[str, Any] | None = None
    structured_outputs: dict[str, Any] | None = None

    def sampling(self) -> dict[str, float | int]:
        """The settings of sampling that were given, by the names of engine.Sampling, but for the seed."""
        found = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": None if self.top_k is None else max(0, self.top_k),  # -1 is vLLM's word for all
            "min_p": self.min_p,
            "repetition": self.repeat_penalty if self.repetition_penalty is None else self.repetition_penalty,
            "presence": self.presence_penalty,
            "frequency": self.frequency_penalty,
        }
        return {name: value for name, value in found.items() if value is not None}

    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    def problems(self) -> Iterator[Problem]:
        if "" in self.stops():
            yield _problem("stop", "a stop string has at least one character.")
        if self.stream_options and not self.stream:
            yield _problem("stream_options", "it needs `stream`: true.")
        if self.response_format and self.structured_outputs:
            yield _problem("structured_outputs", "use it or `response_format`, not both.")

    def constraint(self) -> Mapping[str, Any] | None:
        """The JSON schema that the answer must follow. Raises Invalid for a format that is not there."""
        if self.response_format is not None:
            return _format(self.response_format)
        return None if self.structured_outputs is None else _structured(self.structured_outputs)


class ChatRequest(Generation):
    messages: list[dict[str, Any]] = Field(min_length=1)
    max_tokens: int = Field(default=0, ge=1)
    max_completion_tokens: int = Field(default=0, ge=1)
    logprobs: bool = False
    top_logprobs: int = Field(default=0, ge=0, le=MOST_TOPS)

    @property
    def length(self) -> int:
        """The most tokens of an answer; 0: as many as there is room for."""
        return self.max_completion_tokens or self.max_tokens

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.top_logprobs and not self.logprobs:
            yield _problem("top_logprobs", "it needs `logprobs`: true.")

    def texts(self) -> list[dict[str, str]]:
        """The messages, each with its role and its text. Raises Invalid for what is no text."""
        return _texts(self.messages)


class CompletionRequest(Generation):
    prompt: str | list[str] | list[int] | list[list[int]]
    max_tokens: int = Field(default=16, ge=0)  # OpenAI's default
    logprobs: int | None = Field(default=None, ge=0, le=MOST_TOPS)
    echo: bool = False
    add_special_tokens: bool = True

    def prompts(self) -> list[str | list[int]]:
        """One or several, each a text or a list of tokens."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if self.prompt and isinstance(self.prompt[0], int):
            return [self.prompt]
        return list(self.prompt)  # type: ignore[arg-type]

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.prompt == [] or [] in self.prompts():
            yield _problem("prompt", "it is empty.")
        if self.max_tokens == 0 and not self.echo:
            yield _problem("max_tokens", "0 asks for nothing, but with `echo`.")
        if len(self.prompts()) * self.n > MOST_CHOICES:
            yield _problem("n", f"{len(self.prompts())} prompts times {self.n} are more than {MOST_CHOICES} answers.")


class EmbeddingRequest(Asked):
    model: str = ""
    input: str | list[str]
    encoding_format: Literal["float", "base64"] = "float"

    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input

    def problems(self) -> Iterator[Problem]:
        if not self.texts():
            yield _problem("input", "it is empty.")


class TokenizeRequest(Asked):
    """`messages` or `prompt`."""

    model: str = ""
    messages: list[dict[str, Any]] | None = None
    prompt: str | None = None
    add_special_tokens: bool | None = None

    def texts(self) -> list[dict[str, str]]:
        return _texts(self.messages or [])

    def problems(self) -> Iterator[Problem]:
        if (self.messages is None) == (self.prompt is None):
            yield _problem("prompt", "give `messages` or `prompt`, one of them.")
        if self.messages is not None and self.add_special_tokens:
            yield _problem("add_special_tokens", "the chat template adds them by itself.")


class DetokenizeRequest(Asked):
    model: str = ""
    tokens: list[int]


class LoadAdapter(Asked):
    lora_name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")
    lora_path: str = Field(min_length=1)
    load_inplace: bool = False


class UnloadAdapter(Asked):
    lora_name: str


Request = ChatRequest | CompletionRequest | EmbeddingRequest | TokenizeRequest | DetokenizeRequest | LoadAdapter | UnloadAdapter


def read(kind: type[Kind], body: bytes | bytearray) -> Kind:
    """A request from its JSON. Raises Invalid with every problem, each with its field."""
    try:
        found = from_json(bytes(body), allow_inf_nan=False)
    except ValueError as error:
        raise Invalid(Problem("request.json", f"the body is no JSON: {error}.")) from None
    if not isinstance(found, dict):
        raise Invalid(Problem("request.json", "the body is no JSON object."))
    given = {name: value for name, value in found.items() if value is not None}
    problems = list(_unknown(kind, given))
    try:
        asked = kind.model_validate(given)
        problems += asked.problems()
    except ValidationError as error:
        problems += _wrong(error)
    if problems:
        raise Invalid(*problems)
    return asked


def _unknown(kind: type[Asked], given: Mapping[str, Any]) -> Iterator[Problem]:
    """Settings that are not there, unless their values ask for nothing."""
    for name, value in given.items():
        if name in kind.model_fields or name in HARMLESS or any(_same(value, one) for one in NEUTRAL.get(name, ())):
            continue
        if name in NEUTRAL or name in WHY:
            yield _problem(name, WHY.get(name, f"this server cannot do that (it says {_shown(value)})."), "Leave it out.")
        else:
            close = get_close_matches(name, kind.model_fields, 1)
            fix = f"Was `{close[0]}` meant?" if close else "Leave it out: an answer without it might not be what you asked for."
            yield _problem(name, "this server knows no such setting.", fix)


def _same(value: Any, neutral: Any) -> bool:
    """Whether a value is that one: 1 is 1.0, but no True."""
    return bool(value == neutral) and isinstance(value, bool) == isinstance(neutral, bool)


def _wrong(error: ValidationError) -> list[Problem]:
    """What pydantic found, a problem a field: of a union, one sentence instead of one a member."""
    found: dict[str, Problem] = {}
    for one in error.errors(include_url=False):
        named = [str(part) for part in one["loc"] if isinstance(part, int) or part.isidentifier()]
        where = named[0] if one["loc"] else ""
        if where == "prompt":
            message = "it is a text, a list of texts, a list of tokens, or a list of lists of tokens"
        elif one["type"] == "missing":
            message = "it is missing"
        else:
            message = f"{one['msg'][0].lower()}{one['msg'][1:]} (it says {_shown(one['input'])})"
        found.setdefault(where, _problem(where, f"{message}."))
    return list(found.values())


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _texts(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Role and text of each message. Raises Invalid with every message that has something else."""
    texts: list[dict[str, str]] = []
    problems: list[Problem] = []
    for index, message in enumerate(messages):
        try:
            texts.append(_message(f"messages.{index}", message))
        except Invalid as error:
            problems += error.problems
    if problems:
        raise Invalid(*problems)
    return texts


def _message(where: str, message: Mapping[str, Any]) -> dict[str, str]:
    role = message.get("role")
    if role in ("tool", "function") or message.get("tool_calls") or message.get("function_call"):
        raise Invalid(_problem(where, WHY["tools"]))
    if not isinstance(role, str) or role not in ROLES:
        raise Invalid(_problem(f"{where}.role", f"{_shown(role)} is none of system, user and assistant."))
    return {"role": ROLES[role], "content": _content(f"{where}.content", message.get("content"))}


def _content(where: str, content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Invalid(_problem(where, "it is a text, or a list of parts that are texts."))
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get("text") if kind == "text" else None
        if not isinstance(text, str):
            said = f"this server reads text only, and no part of type {_shown(kind)}."
            raise Invalid(_problem(where, "a part of type text has a text." if kind == "text" else said))
        texts.append(text)
    return "\n".join(texts)  # as vLLM joins them


def _format(form: Mapping[str, Any]) -> Mapping[str, Any] | None:
    kind = form.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return _schema("response_format.schema", form.get("schema") or {"type": "object"})
    if kind != "json_schema":
        message = f"{_shown(kind)} is none of text, json_object and json_schema."
        raise Invalid(_problem("response_format.type", message))
    named = form.get("json_schema")
    if not isinstance(named, dict):
        raise Invalid(_problem("response_format.json_schema", "it is an object with `name` and `schema`."))
    return _schema("response_format.json_schema.schema", named.get("schema"))


def _structured(form: Mapping[str, Any]) -> Mapping[str, Any]:
    """vLLM's: {"json": schema}, the schema as an object or as its text."""
    others = sorted(name for name, value in form.items() if name != "json" and value)
    if others:
        message = "this server constrains answers by JSON schema only."
        raise Invalid(*(_problem(f"structured_outputs.{name}", message) for name in others))
    schema = form.get("json")
    if isinstance(schema, str):
        try:
            schema = from_json(schema, allow_inf_nan=False)
        except ValueError as error:
            raise Invalid(_problem("structured_outputs.json", f"it is no JSON: {error}.")) from None
    return _schema("structured_outputs.json", schema)


def _schema(where: str, found: Any) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise Invalid(_problem(where, "a JSON schema is an object."))
    return found


def _problem(where: str, message: str, fix: str = "") -> Problem:
    return Problem("request.field", message, where, fix)
