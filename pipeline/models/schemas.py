"""Structured answers: a JSON schema in the form that an engine takes, and the answer checked after all.

Engines enforce less than they are asked. llama-cpp-python's server ignores `json_schema` without a word and takes the
schema beside `json_object` only; its grammars know no bounds of numbers, and let control characters into strings; vLLM
with its `guidance` backend lets a weak model invent further properties until its tokens are spent. So a schema is sent
narrower than it was given, never wider, and every answer is checked against the one that was given.

Free white space in front of each value is the server's to forbid, no request can: for vLLM 0.32
`--structured-outputs-config '{"backend": "guidance", "disable_any_whitespace": true}'` (its xgrammar 0.2.8 leaves a space).
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from jsonschema.exceptions import SchemaError
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from pipeline.errors import Invalid, Problem

Dialect = Literal["json_schema", "json_object"]
Schema = Mapping[str, Any]

MOST_CHOICES = 64  # a range of integers up to this size is sent as a list of them
CHARS_PER_TOKEN = 2  # of a weak model's text; a good one writes four
LONGEST = 2000  # llama.cpp refuses to repeat a rule more often
SHORTEST = 16
_ITEMS = 5  # taken for a list that does not say how long it may be
_LEAVES = ("items", "additionalProperties", "contains", "then", "else")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "patternProperties", "$defs", "definitions")


def response_format(schema: Schema, dialect: Dialect) -> dict[str, Any]:
    """Raises Invalid model.schema for words that llama-cpp-python 0.3.36 writes into a grammar unquoted: its server dies."""
    if dialect == "json_object":
        words = [word for one in _parts(schema) for word in _words(one)]
        if wrong := next((word for word in words if '"' in word or "\\" in word), ""):
            fix = "Choose words without quotes and backslashes, or another server."
            raise Invalid(Problem("model.schema", f"the server of llama-cpp-python cannot take {wrong[:100]!r}", fix=fix))
        return {"type": "json_object", "schema": schema}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def sent(schema: Schema, max_tokens: int | None) -> dict[str, Any]:
    """The schema as it is sent: whatever fits it fits the given one too.

    Small ranges of integers become lists; objects take no properties but those that are named; and where the answer is
    bounded, strings without a bound get a share of it, so that a model that runs on still closes its brackets.
    """
    strings = _strings(schema) if max_tokens else 0
    share = max(SHORTEST, CHARS_PER_TOKEN * (max_tokens or 0) // strings) if strings else 0
    closed = not any(len(one.get("allOf", ())) > 1 for one in _parts(schema))
    made: dict[str, Any] = _narrowed(schema, share if share <= LONGEST else 0, closed)
    return made


def check(schema: Schema) -> None:
    """Raises Invalid model.schema for what is no JSON schema."""
    try:
        validator_for(schema).check_schema(dict(schema))
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path))
        raise Invalid(Problem("model.schema", f"this is no JSON schema: {error.message[:200]}", where)) from None


def instance(text: str, schema: Schema) -> Any:
    """Parse an answer and check it. Raises ValueError with a sentence of what is wrong with it."""
    bare = re.sub(r"\A```\w*\s*|\s*```\Z", "", text.strip())
    try:
        found = json.loads(bare, parse_constant=_refuse, strict=False)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON ({error})") from None
    checker = validator_for(schema)(dict(schema), registry=Registry())  # an empty registry fetches nothing
    try:
        problems = sorted(checker.iter_errors(found), key=lambda one: one.json_path)
    except Unresolvable as error:
        raise Invalid(Problem("model.schema", f"the schema refers to what is not in it: {error}")) from None
    if problems:
        raise ValueError("; ".join(f"{one.json_path}: {one.message[:200]}" for one in problems[:3]))
    return found


def repair(wrong: str, schema: Schema) -> str:
    """What a model is told that answered in another form."""
    return (
        f"That answer cannot be used: {wrong}. Answer again with nothing but compact JSON that follows this schema: "
        f"{json.dumps(schema, separators=(',', ':'), ensure_ascii=False)}"
    )


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _narrowed(schema: Any, share: int, closed: bool) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    made = dict(schema)
    for key in _LEAVES:
        if key in made:
            made[key] = _narrowed(made[key], share, closed)
    for key in _LISTS:
        if key in made:
            made[key] = [_narrowed(one, share, closed) for one in made[key]]
    for key in _MAPS:
        if key in made:
            made[key] = {name: _narrowed(one, share, closed) for name, one in made[key].items()}
    if share and _is_free(made):
        made["maxLength"] = max(share, made.get("minLength", 0))
    if closed and "properties" in made and not {"additionalProperties", "patternProperties"} & made.keys():
        made["additionalProperties"] = False
    return _listed(made)


def _listed(schema: dict[str, Any]) -> dict[str, Any]:
    """An integer from 1 to 5 as a list of five; everything else as it is."""
    bounds = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    if schema.get("type") != "integer" or "enum" in schema or any(isinstance(schema.get(key), bool) for key in bounds):
        return schema
    low = max((schema[key] + more for key, more in zip(bounds[::2], (0, 1), strict=True) if key in schema), default=None)
    high = min((schema[key] - less for key, less in zip(bounds[1::2], (0, 1), strict=True) if key in schema), default=None)
    if low is None or high is None or not 0 <= high - low < MOST_CHOICES or low != int(low) or high != int(high):
        return schema
    step = schema.get("multipleOf", 1)
    choices = [one for one in range(int(low), int(high) + 1) if one % step == 0]
    if not choices:
        return schema
    return {key: value for key, value in schema.items() if key not in (*bounds, "multipleOf")} | {"enum": choices}


def _words(schema: Schema) -> list[str]:
    """The words that a grammar of this schema, without those in it, spells out."""
    values = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ()), *schema.get("properties", ())]
    return [value if isinstance(value, str) else "" for value in values]


def _parts(schema: Any) -> Iterator[Schema]:
    """A schema and all that lie in it."""
    if isinstance(schema, Mapping):
        yield schema
        for below in _below(schema):
            yield from _parts(below)


def _below(schema: Schema) -> Iterator[Any]:
    yield from (schema[key] for key in _LEAVES if key in schema)
    yield from (one for key in _LISTS for one in schema.get(key, ()))
    yield from (one for key in _MAPS for one in schema.get(key, {}).values())


def _strings(schema: Any) -> int:
    """How many unbounded strings an answer may have."""
    if not isinstance(schema, Mapping):
        return 0
    times = schema.get("maxItems", _ITEMS) if "items" in schema else 1
    return int(_is_free(schema)) + int(times) * sum(map(_strings, _below(schema)))


def _is_free(schema: Schema) -> bool:
    """Engines take a pattern or a format together with a length badly or not at all, so those stay as they are."""
    return schema.get("type") == "string" and not {"enum", "const", "maxLength", "pattern", "format"} & schema.keys()
