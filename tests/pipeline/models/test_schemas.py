"""What is sent instead of a schema is narrower, never wider; what comes back is checked against the schema itself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pipeline.errors import Invalid
from pipeline.models import schemas

BOUND = st.integers(-3, 70)


def integers() -> st.SearchStrategy[dict[str, Any]]:
    bounds = {name: BOUND for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")}
    return st.fixed_dictionaries({"type": st.just("integer")}, optional=bounds | {"multipleOf": st.integers(1, 4)})


def strings() -> st.SearchStrategy[dict[str, Any]]:
    optional = {"minLength": st.integers(0, 40), "enum": st.just(["a", "b"]), "pattern": st.just("^a")}
    return st.fixed_dictionaries({"type": st.just("string")}, optional=optional)


def below(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    named = st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    objects = st.fixed_dictionaries({"type": st.just("object"), "properties": named}, optional={"required": st.just(["a"])})
    lists = st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional={"maxItems": st.integers(0, 4)})
    return st.one_of(
        objects,
        lists,
        *(
            st.builds(lambda key, parts: {key: parts}, st.just(key), st.lists(inner, min_size=1, max_size=2))
            for key in schemas._LISTS
        ),
    )


SCHEMAS = st.recursive(st.one_of(integers(), strings(), st.just({"type": "boolean"})), below, max_leaves=6)
VALUES = st.recursive(
    st.one_of(st.integers(-5, 75), st.booleans(), st.text(max_size=60), st.sampled_from(["a", "b"])),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)),
    max_leaves=6,
)


@given(SCHEMAS, VALUES, st.one_of(st.none(), st.integers(1, 300)))
def test_what_fits_the_schema_that_is_sent_fits_the_one_that_was_given(schema: Any, value: Any, max_tokens: int | None) -> None:
    narrow = schemas.sent(schema, max_tokens)
    Draft202012Validator.check_schema(narrow)

    if Draft202012Validator(narrow).is_valid(value):
        assert Draft202012Validator(schema).is_valid(value)


@given(st.integers(1, 9), st.integers(0, 80))
def test_a_small_range_of_integers_is_sent_as_a_list_that_says_the_same(low: int, more: int) -> None:
    schema = {"type": "integer", "minimum": low, "exclusiveMaximum": low + more, "multipleOf": 2, "description": "how many"}
    sent = schemas.sent(schema, None)
    wanted = [one for one in range(low, low + more) if one % 2 == 0]

    listed = {"type": "integer", "description": "how many", "enum": wanted}
    assert sent == (listed if wanted and more <= schemas.MOST_CHOICES else schema)


def test_strings_share_the_characters_that_the_answer_may_have() -> None:
    free = {"type": "string"}
    pair = {"type": "object", "properties": {"question": free, "answer": {"type": "string", "minLength": 90}}}
    schema = {"type": "array", "items": pair, "maxItems": 5}

    sent = schemas.sent(schema, 100)["items"]["properties"]

    assert sent == {
        "question": {"type": "string", "maxLength": 20},
        "answer": {"type": "string", "minLength": 90, "maxLength": 90},
    }


@pytest.mark.parametrize(
    "string",
    [{"maxLength": 5000}, {"pattern": "^a+$"}, {"format": "date"}, {"enum": ["a"]}, {"const": "a"}],
)
def test_strings_that_are_bounded_already_stay_as_they_are(string: dict[str, Any]) -> None:
    schema = {"type": "string"} | string

    assert schemas.sent(schema, 100) == schema


def test_a_long_answer_leaves_its_strings_free() -> None:
    assert schemas.sent({"type": "string"}, None) == schemas.sent({"type": "string"}, 1001) == {"type": "string"}


def test_objects_take_only_what_is_named_unless_parts_of_a_schema_must_hold_together() -> None:
    part = {"type": "object", "properties": {"a": {"type": "null"}}}
    other = {"type": "object", "properties": {"b": {"type": "null"}}}

    assert schemas.sent(part, None) == part | {"additionalProperties": False}
    assert schemas.sent({"allOf": [part]}, None) == {"allOf": [part | {"additionalProperties": False}]}
    assert schemas.sent({"allOf": [part, other]}, None) == {"allOf": [part, other]}
    assert schemas.sent({"type": "object"}, None) == {"type": "object"}


def test_values_that_only_look_like_schemas_are_left_alone() -> None:
    inner = {"type": "integer", "minimum": 1, "maximum": 2}
    schema = {"const": inner, "default": inner, "examples": [inner], "enum": [inner], "not": inner, "if": inner}

    assert schemas.sent(schema, 100) == schema


def test_the_schema_that_was_given_is_not_changed() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 2}}}

    schemas.sent(schema, 100)

    assert schema == {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 2}}}


@pytest.mark.parametrize("schema", [{"$ref": "https://elsewhere.example/schema.json"}, {"$ref": "#/$defs/nowhere"}])
def test_nothing_is_fetched_for_a_schema(schema: dict[str, str]) -> None:
    with pytest.raises(Invalid) as error:
        schemas.instance("1", schema)

    assert error.value.problems[0].code == "model.schema"


def test_every_part_that_does_not_fit_is_named() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "string"}}}}

    with pytest.raises(ValueError, match=r"\$\.a: 'x' is not of type 'integer'; \$\.b\[1\]: 2 is not of type 'string'"):
        schemas.instance('{"a": "x", "b": ["y", 2]}', schema)


@pytest.mark.parametrize(
    "schema", [{"enum": ["a", 'b"']}, {"items": {"const": "a\\b"}}, {"properties": {'"': {"type": "null"}}}]
)
def test_a_schema_that_would_end_the_server_of_llama_cpp_python_is_not_sent_there(schema: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="llama-cpp-python cannot take"):
        schemas.response_format(schema, "json_object")

    assert schemas.response_format(schema, "json_schema")["json_schema"]["schema"] == schema


def test_control_characters_within_a_string_are_taken() -> None:
    assert schemas.instance('{"a": "one\ntwo\x1d"}', {"type": "object"}) == {"a": "one\ntwo\x1d"}
