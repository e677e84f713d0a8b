"""Whether a request, an answer or a thing in an event is as Discord's own OpenAPI file says.

The file is compiled into closures, a schema when it is first asked for: a message of 36 components takes half a millisecond,
where the jsonschema package takes fifty. That both say the same is a test (tests/bot/discord/test_fake_forms.py).

Beyond the file: an object may have no field that the file does not name (`soft`: Discord ignores it, a test should not).

Where Discord takes more than the file says, and discord.py counts on it:
* a snowflake in a request may be a number (the attachments of an upload are numbered so);
* `tts` may stand in an edit, `nsfw` in a command: discord.py always sends them;
* the codes of single fields in an error are words, where the file says numbers: only `code` and `message` are compared.

The file has no schema of gateway payloads; what they carry (messages, channels, threads, users, members) has one, the
interaction itself has none.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tests.fakes.discord.refused import Flaw

FILE = Path(__file__).resolve().parents[4] / "shared" / "data" / "discord" / "openapi.json"
KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
NOT_A = {
    "string": ("BASE_TYPE_CONVERT", "Only strings may be used here."),
    "array": ("LIST_TYPE_CONVERT", "Only iterables may be used in a ListType"),
    "object": ("MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType"),
}
SENT_ANYWAY = frozenset({"tts", "nsfw"})
Path_ = tuple[str | int, ...]
Check = Callable[[Any, Path_, list[Flaw]], None]


class Oracle:
    def __init__(self, told: dict[str, Any]) -> None:
        self.paths = told["paths"]
        self._schemas = told["components"]["schemas"]
        self._named: dict[tuple[str, bool], Check] = {}
        self._bodies: dict[tuple[str, str, str], Check | None] = {}

    def request(self, method: str, route: str, query: dict[str, str], body: Any) -> list[Flaw]:
        """What is wrong with a request; an upload's body is its payload_json."""
        flaws: list[Flaw] = []
        operation = self.paths[route][method.lower()]
        known = {one["name"]: one["schema"] for one in operation.get("parameters", []) if one["in"] == "query"}
        for name, text in query.items():
            if name not in known:
                flaws.append(Flaw((name,), "UNKNOWN", "no such parameter", soft=True))
            else:
                self._check(known[name], asks=True)(_read(text, known[name]), (name,), flaws)
        check = self._body(method, route, "asked")
        if check is not None and body is not None:
            check(body, (), flaws)
        elif check is None and body not in (None, {}):
            flaws.append(Flaw((), "UNKNOWN", "this takes no body", soft=True))
        elif check is not None and "requestBody" in operation:
            flaws.append(Flaw((), "BASE_TYPE_REQUIRED", "This field is required"))
        return flaws

    def answer(self, method: str, route: str, status: int, body: Any) -> list[Flaw]:
        flaws: list[Flaw] = []
        if status >= 400:
            self._check({"$ref": "#/components/schemas/Error"}, asks=True)(
                {name: body[name] for name in ("code", "message") if name in body}, (), flaws
            )
            return flaws
        if str(status) not in self.paths[route][method.lower()]["responses"]:
            return [Flaw((), "STATUS", f"{status} is no answer to this")]
        check = self._body(method, route, str(status))
        if check is not None:
            check(body, (), flaws)
        elif body is not None:
            flaws.append(Flaw((), "BODY", "there is no body in this answer"))
        return flaws

    def thing(self, name: str, value: Any) -> list[Flaw]:
        """What is wrong with a value that should be as a named schema says."""
        flaws: list[Flaw] = []
        self._ref(name, asks=False)(value, (), flaws)
        return flaws

    def schema(self, method: str, route: str, what: str) -> dict[str, Any] | None:
        """The schema of a body: `what` is "asked" or a status."""
        operation = self.paths[route][method.lower()]
        told = operation.get("requestBody", {}) if what == "asked" else operation["responses"][what]
        found: dict[str, Any] | None = told.get("content", {}).get("application/json", {}).get("schema")
        return found

    def _body(self, method: str, route: str, what: str) -> Check | None:
        key = (method, route, what)
        if key not in self._bodies:
            found = self.schema(method, route, what)
            self._bodies[key] = None if found is None else self._check(found, asks=what == "asked")
        return self._bodies[key]

    def _ref(self, name: str, *, asks: bool) -> Check:
        key = (name, asks)
        if key not in self._named:
            # Set before it is compiled: schemas may name themselves.
            self._named[key] = lambda value, path, flaws: made[0](value, path, flaws)
            made = [_snowflake if name == "SnowflakeType" and asks else self._check(self._schemas[name], asks=asks)]
        return self._named[key]

    def _check(self, schema: dict[str, Any], *, asks: bool) -> Check:
        """Compile a schema. `asks`: it is of a request, where Discord takes a little more than the file says."""
        if "$ref" in schema:
            return self._ref(schema["$ref"].rpartition("/")[2], asks=asks)
        checks = [make(schema) for name, make in LEAVES.items() if name in schema]
        for name in ("oneOf", "anyOf"):
            if name in schema:
                checks.append(self._union(schema[name], asks))
        checks += [self._check(one, asks=asks) for one in schema.get("allOf", ())]
        if "items" in schema:
            checks.append(_items(self._check(schema["items"], asks=asks)))
        if "properties" in schema or isinstance(schema.get("additionalProperties"), dict):
            checks.append(self._fields(schema, asks))
        kinds = _kinds(schema)

        def check(value: Any, path: Path_, flaws: list[Flaw]) -> None:
            if kinds and not _is(value, kinds):
                flaws.append(Flaw(path, *_not_a(value, kinds)))
                return
            for one in checks:
                one(value, path, flaws)

        return check

    def _fields(self, schema: dict[str, Any], asks: bool) -> Check:
        fields = {name: self._check(one, asks=asks) for name, one in schema.get("properties", {}).items()}
        required = schema.get("required", ())
        more = schema.get("additionalProperties")
        rest = self._check(more, asks=asks) if isinstance(more, dict) else None

        def check(value: Any, path: Path_, flaws: list[Flaw]) -> None:
            if not isinstance(value, dict):
                return
            for name in required:
                if name not in value:
                    flaws.append(Flaw((*path, name), "BASE_TYPE_REQUIRED", "This field is required"))
            for name, inner in value.items():
                found = fields.get(name, rest)
                if found is not None:
                    found(inner, (*path, name), flaws)
                elif not (asks and name in SENT_ANYWAY):
                    flaws.append(Flaw((*path, name), "UNKNOWN", "no such field", soft=True))

        return check

    def _union(self, alternatives: list[dict[str, Any]], asks: bool) -> Check:
        """One of several: chosen by `type` where that tells them apart, else the one with the fewest flaws."""
        checks = [self._check(one, asks=asks) for one in alternatives]
        kinds = [_kinds(self._target(one)) for one in alternatives]
        told = [self._types(one) for one in alternatives]
        chosen = {kind: check for kinds, check in zip(told, checks, strict=True) for kind in kinds}
        apart = all(told) and len(chosen) == sum(map(len, told))

        def check(value: Any, path: Path_, flaws: list[Flaw]) -> None:
            if apart and isinstance(value, dict):
                kind = value.get("type")
                if isinstance(kind, int) and kind in chosen:
                    chosen[kind](value, path, flaws)
                else:
                    said = f'Value of field "type" must be one of {tuple(sorted(chosen))}.'
                    flaws.append(Flaw((*path, "type"), "UNION_TYPE_CHOICES", said))
                return
            tried: list[list[Flaw]] = []
            fit = [one for one, kind in zip(checks, kinds, strict=True) if not kind or _is(value, kind)]
            for one in fit or checks:
                found: list[Flaw] = []
                one(value, path, found)
                if not found:
                    return
                tried.append(found)
            flaws += min(tried, key=_weight)

        return check

    def _types(self, schema: dict[str, Any]) -> list[int]:
        found: list[int] = self._target(schema).get("properties", {}).get("type", {}).get("enum", [])
        return found

    def _target(self, schema: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        return found


def _weight(flaws: list[Flaw]) -> tuple[int, int]:
    return sum(not flaw.soft for flaw in flaws), len(flaws)


def _snowflake(value: Any, path: Path_, flaws: list[Flaw]) -> None:
    if isinstance(value, bool) or not re.fullmatch("0|[1-9][0-9]*", str(value)):
        flaws.append(Flaw(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.'))


def _kinds(schema: dict[str, Any]) -> tuple[str, ...]:
    kinds = schema.get("type", ())
    return (kinds,) if isinstance(kinds, str) else tuple(kinds)


def _is(value: Any, kinds: tuple[str, ...]) -> bool:
    if isinstance(value, bool):  # a bool of Python is an int, one of JSON is not
        return "boolean" in kinds
    return any(isinstance(value, KINDS[kind]) for kind in kinds)


def _not_a(value: Any, kinds: tuple[str, ...]) -> tuple[str, str]:
    return NOT_A.get(kinds[0], ("NUMBER_TYPE_COERCE", f'Value "{value}" is not {kinds[0]}.'))


def _read(text: str, schema: dict[str, Any]) -> Any:
    """A parameter of the query as JSON would have it."""
    kinds = _kinds(schema)
    if "integer" in kinds and re.fullmatch("-?[0-9]+", text):
        return int(text)
    if "boolean" in kinds and text.lower() in ("true", "false", "1", "0"):
        return text.lower() in ("true", "1")
    return text


def _items(each: Check) -> Check:
    def check(value: Any, path: Path_, flaws: list[Flaw]) -> None:
        if isinstance(value, list):
            for at, one in enumerate(value):
                each(one, (*path, at), flaws)

    return check


def _sized(kind: tuple[type, ...], least: str, most: str) -> Callable[[dict[str, Any]], Check]:
    def make(schema: dict[str, Any]) -> Check:
        low, high = schema.get(least, 0), schema.get(most, float("inf"))
        said = ("BASE_TYPE_BAD_LENGTH", f"Must be between {low} and {high} in length.")
        if not low:
            said = ("BASE_TYPE_MAX_LENGTH", f"Must be {high} or fewer in length.")
        elif most not in schema:
            said = ("BASE_TYPE_MIN_LENGTH", f"Must be {low} or more in length.")

        def check(value: Any, path: Path_, flaws: list[Flaw]) -> None:
            if isinstance(value, kind) and not low <= len(value) <= high:
                flaws.append(Flaw(path, *said))

        return check

    return make


def _ranged(schema: dict[str, Any]) -> Check:
    low, high = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))

    def check(value: Any, path: Path_, flaws: list[Flaw]) -> None:
        if isinstance(value, int | float) and not isinstance(value, bool):
            if value < low:
                flaws.append(Flaw(path, "NUMBER_TYPE_MIN", f"int value should be greater than or equal to {low}."))
            if value > high:
                flaws.append(Flaw(path, "NUMBER_TYPE_MAX", f"int value should be less than or equal to {high}."))

    return check


def _chosen(schema: dict[str, Any]) -> Check:
    values = [schema["const"]] if "const" in schema else schema["enum"]

    def check(value: Any, path: Path_, flaws: list[Flaw]) -> None:
        if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in values):
            flaws.append(Flaw(path, "BASE_TYPE_CHOICES", f"Value must be one of {values}."))

    return check


def _patterned(schema: dict[str, Any]) -> Check:
    pattern = re.compile(schema["pattern"])

    def check(value: Any, path: Path_, flaws: list[Flaw]) -> None:
        if isinstance(value, str) and not pattern.search(value):
            flaws.append(Flaw(path, "STRING_TYPE_REGEX", "String value did not match validation regex."))

    return check


def _unique(_: dict[str, Any]) -> Check:
    def check(value: Any, path: Path_, flaws: list[Flaw]) -> None:
        if isinstance(value, list) and len({json.dumps(one, sort_keys=True) for one in value}) < len(value):
            flaws.append(Flaw(path, "SET_TYPE_ALREADY_CONTAINS_VALUE", "The set already contains this value"))

    return check


_lengths = _sized((str,), "minLength", "maxLength")
_counts = _sized((list,), "minItems", "maxItems")
_entries = _sized((dict,), "minProperties", "maxProperties")
# A pair of limits is one check, made at the first of the two that a schema names.
LEAVES: dict[str, Callable[[dict[str, Any]], Check]] = {
    "maxLength": _lengths,
    "maxItems": _counts,
    "maxProperties": _entries,
    "minLength": lambda schema: _nothing if "maxLength" in schema else _lengths(schema),
    "minItems": lambda schema: _nothing if "maxItems" in schema else _counts(schema),
    "minProperties": lambda schema: _nothing if "maxProperties" in schema else _entries(schema),
    "minimum": _ranged,
    "maximum": lambda schema: _nothing if "minimum" in schema else _ranged(schema),
    "enum": _chosen,
    "const": _chosen,
    "pattern": _patterned,
    "uniqueItems": _unique,
}


def _nothing(value: Any, path: Path_, flaws: list[Flaw]) -> None:
    """The other limit's check has looked at this one too."""


@cache
def oracle() -> Oracle | None:
    """The one of this process; None where the file is not beside the checkout."""
    return Oracle(json.loads(FILE.read_bytes())) if FILE.exists() else None
