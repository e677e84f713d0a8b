"""JSON schemas that answers are asked by: what programs ask of a model, and each construct that can go wrong."""

from typing import Any

Schema = dict[str, Any]


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _text(longest: int) -> Schema:
    return {"type": "string", "maxLength": longest}


VERDICT = _object(
    relevant={"type": "boolean"},
    score={"type": "integer", "minimum": 1, "maximum": 5},
    why=_text(40),
)
PERSON = _object(
    name={"type": "string", "minLength": 1, "maxLength": 20},
    age={"type": "integer", "minimum": 0, "maximum": 130},
    home=_object(street=_text(20), town={"enum": ["Ulm", "Köln", "København"]}),
)
KINDS: Schema = {"type": "array", "items": {"enum": ["skill", "knowledge", "unsure"]}, "minItems": 1, "maxItems": 5}
NUMBERS: Schema = {"type": "array", "items": {"type": "integer", "minimum": -7, "maximum": 1200}, "maxItems": 8}
EITHER: Schema = {"anyOf": [{"type": "null"}, {"type": "boolean"}, _object(at={"type": "integer", "minimum": 0, "maximum": 9})]}
PAIRS: Schema = {"type": "array", "items": _object(question=_text(24), answer=_text(24)), "minItems": 2, "maxItems": 3}
OPTIONAL: Schema = {
    "type": "object",
    "properties": {"kind": {"const": "ticket"}, "note": _text(12), "tags": {"type": "array", "items": _text(6), "maxItems": 2}},
    "required": ["kind"],
}
PATTERN = _object(
    code={"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"}, share={"type": "number", "minimum": 0, "maximum": 1}
)
REFERENCE: Schema = {
    "$defs": {"leaf": _object(word=_text(8))},
    "type": "object",
    "properties": {"left": {"$ref": "#/$defs/leaf"}, "right": {"$ref": "#/$defs/leaf"}},
    "required": ["left", "right"],
    "additionalProperties": False,
}
ESCAPED = _object(**{'a "quoted" key': _text(10), "grüße": {"type": "string", "minLength": 3, "maxLength": 10}})

SCHEMAS = (VERDICT, PERSON, KINDS, NUMBERS, EITHER, PAIRS, OPTIONAL, PATTERN, REFERENCE, ESCAPED)

# Longer than any answer of the bench, so that as many tokens are made as without a schema.
TICKETS: Schema = {
    "type": "array",
    "items": _object(item=_text(40), count={"type": "integer", "minimum": 1, "maximum": 99}, urgent={"type": "boolean"}),
    "minItems": 40,
}
PROSE = _object(text={"type": "string", "minLength": 4000})
