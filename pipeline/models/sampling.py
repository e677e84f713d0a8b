"""How one request's next token is chosen: llama.cpp's sampler chain, the mask of a JSON schema before it."""

import ctypes
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import llama_cpp as lib
import llguidance
import numpy as np

from pipeline.errors import Invalid, Problem
from pipeline.models.llama import Context, Floats, Vocabulary

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

LOOKBACK = 64  # tokens that the penalties look back on, as llama.cpp's own default
# White space would eat a weak model's budget.
COMPACT: "JsonCompileOptions" = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}
_BIAS_ALLOWED = 200  # llguidance.compute_logit_bias marks a token that may come with it


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. A temperature of 0 takes the likeliest. Without a seed, every request has one of its own.

    `top_k` 0 and `top_p` 1 leave nothing out; `min_p` leaves out what is that much less likely than the likeliest;
    `repetition` above 1 divides the logits of tokens among the last 64, `presence` and `frequency` subtract (OpenAI).
    """

    temperature: float = 0.8
    top_p: float = 0.95
    top_k: int = 40
    min_p: float = 0.05
    repetition: float = 1.0
    presence: float = 0.0
    frequency: float = 0.0
    seed: int | None = None


class Sampler:
    """llama.cpp's chain for one request; it remembers the tokens it chose. Belongs to the engine's thread."""

    def __init__(self, how: Sampling, vocabulary: Vocabulary) -> None:
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        for one in self._parts(how, vocabulary):
            lib.llama_sampler_chain_add(self._chain, one)

    def _parts(self, how: Sampling, vocabulary: Vocabulary) -> list[Any]:
        parts = []
        if how.repetition != 1.0 or how.presence or how.frequency:
            penalties = lib.llama_sampler_init_penalties
            parts.append(penalties(vocabulary.size, LOOKBACK, how.repetition, how.frequency, how.presence))
        if how.temperature <= 0:
            return [*parts, lib.llama_sampler_init_greedy()]
        if how.top_k > 0:
            parts.append(lib.llama_sampler_init_top_k(how.top_k))
        if how.top_p < 1.0:
            parts.append(lib.llama_sampler_init_top_p(how.top_p, 1))
        if how.min_p > 0.0:
            parts.append(lib.llama_sampler_init_min_p(how.min_p, 1))
        parts.append(lib.llama_sampler_init_temp(how.temperature))
        seed = secrets.randbits(31) if how.seed is None else how.seed
        return [*parts, lib.llama_sampler_init_dist(seed & 0xFFFFFFFF)]

    def choose(self, context: Context, row: int) -> int:
        """The next token after that row of the batch."""
        return int(lib.llama_sampler_sample(self._chain, context.pointer, row))

    def seen(self, token: int) -> None:
        """Count a token that it did not choose itself."""
        lib.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        lib.llama_sampler_free(self._chain)


class Grammars:
    """JSON schemas for one vocabulary; compiled ones are remembered. Any thread may ask."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._tokenizer: llguidance.LLTokenizer | None = None
        self._compiled: dict[str, llguidance.LLMatcher] = {}

    def matcher(self, schema: Mapping[str, Any]) -> "Matcher":
        """What follows the schema from its beginning. Raises Invalid for a schema that cannot be followed."""
        text = json.dumps(narrowed(schema), sort_keys=True)
        if self._tokenizer is None:
            self._tokenizer = _tokenizer(self._vocabulary)
        if text not in self._compiled:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(text, overrides=COMPACT)
            found = llguidance.LLMatcher(self._tokenizer, grammar, log_level=0)
            if found.is_error():
                fix = "Describe the answer with simpler JSON schema."
                raise Invalid(Problem("schema.unfit", found.get_error().partition("\n")[0], "json_schema", fix))
            if len(self._compiled) >= 256:
                self._compiled.pop(next(iter(self._compiled)))
            self._compiled[text] = found
        return Matcher(self._compiled[text].deep_copy())


def _tokenizer(vocabulary: Vocabulary) -> llguidance.LLTokenizer:
    """The vocabulary as llguidance wants it: bytes a token, specials behind 0xff, llama.cpp's own function to tokenise.

    What llguidance.llamacpp does by functions of llama-cpp-python that are deprecated.
    """
    names = [piece or b"\xff" + vocabulary.name(token).encode() for token, piece in enumerate(vocabulary.pieces)]
    function = ctypes.cast(lib.llama_cpp._lib.llama_tokenize, ctypes.c_void_p).value
    make: Any = llguidance.LLTokenizer  # its types leave this constructor out
    found: llguidance.LLTokenizer = make.from_llamacpp(
        tokens=names, vocab_ptr=vocabulary.pointer, tokenize_fptr=function, eos_token=vocabulary.eos, slices=None
    )
    return found


class Matcher:
    """Where one answer stands in its schema."""

    def __init__(self, state: llguidance.LLMatcher) -> None:
        self._state = state

    def mask(self, logits: Floats) -> None:
        """Make every token impossible that the schema does not allow here; in place."""
        allowed = np.frombuffer(self._state.compute_logit_bias(), np.uint8)
        logits[: allowed.size][allowed != _BIAS_ALLOWED] = -np.inf
        logits[allowed.size :] = -np.inf

    def begin(self) -> list[int]:
        """The tokens that every answer begins with; taken."""
        forced = self._state.compute_ff_tokens()
        return forced[: self._state.try_consume_tokens(forced)]

    def take(self, token: int) -> list[int]:
        """Go on by a token; what the schema then leaves no choice about is returned, and taken too."""
        self._state.consume_token(token)
        forced = [] if self._state.is_stopped() else self._state.compute_ff_tokens()
        return forced[: self._state.try_consume_tokens(forced)]

    @property
    def done(self) -> bool:
        """Whether nothing more can come: the answer is whole, or the schema turned out to be a dead end."""
        return bool(self._state.is_stopped())

    @property
    def error(self) -> str:
        return str(self._state.get_error()).partition("\n")[0] if self._state.is_error() else ""


def narrowed(schema: Any) -> Any:
    """The schema, with objects that name their properties closed to others: what fits it fits the original.

    A weak model would go on inventing keys until its budget is gone.
    """
    if isinstance(schema, list):
        return [narrowed(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {key: narrowed(value) for key, value in schema.items()}
    if isinstance(found.get("properties"), dict) and not {"additionalProperties", "patternProperties"} & set(found):
        found["additionalProperties"] = False
    return found


def logprobs(logits: Floats) -> Floats:
    """The logarithm of each token's probability, shape (vocabulary,): log softmax."""
    high = logits.max()
    shifted = logits - high
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), np.float32)
