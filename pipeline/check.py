"""What upstream's checks say of a file, the same verdict, all at once, in words.

A file is judged alone, as instructlab-schema 0.4.2 does it: `ci` judges every file as the newest version and lets lint
warnings pass, `ilab` takes the file's own version and refuses warnings too. The schemas are that package's, the rules
yamllint's own; what is left out is a process a file: once PyYAML has read a text, yamllint's syntax check would only
parse it once more. Before anything parses, a scan of libyaml's events bounds size, depth and aliases.
"""

import functools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from yamllint import linter
from yamllint.config import YamlLintConfig

from pipeline.codes import CODES
from pipeline.taxonomy import KNOWLEDGE, SKILLS

Mode = Literal["ci", "ilab"]
MODES: tuple[Mode, ...] = ("ci", "ilab")
Level = Literal["error", "warning"]

NEWEST = 3
SIZE_BYTES = 2**20  # a skill is documented to have 2,300 words, a knowledge entry some ten thousand; this is fifty times more
DEPTH = 400  # PyYAML's C loader dies at 50,000 levels, its Python one gives up below 500; an entry has 6
NODES = 100_000  # nodes of a document with its aliases written out
LINT = "{extends: relaxed, rules: {line-length: disable}}"  # the package's default configuration


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, where, and what to do. Level "error" means that the mode refuses the file."""

    path: str
    line: int
    column: int
    level: Level
    code: str
    message: str
    fix: str


def check_file(path: Path, mode: Mode) -> list[Finding]:
    """Everything that is wrong with one file, in the order of its lines."""
    if not path.is_file():
        return [finding(path, "file.missing", name=path.name)]
    if path.name != "qna.yaml":
        return [finding(path, "file.name", name=path.name)]
    if path.stat().st_size > SIZE_BYTES:
        return [finding(path, "file.large", size=path.stat().st_size, limit=SIZE_BYTES)]
    try:
        text = path.read_text(encoding="utf-8")  # as the package does: every line end becomes \n
    except UnicodeDecodeError:
        return [finding(path, "file.encoding")]
    return check_text(text, path, mode)


def check_text(text: str, path: Path, mode: Mode) -> list[Finding]:
    """Everything that is wrong with the text of a qna.yaml that lies, or would lie, at `path`."""
    try:
        if code := unsafe(text):
            return [finding(path, code)]
        contents = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return [_syntax(path, error)]
    except (RecursionError, ValueError, OverflowError) as error:  # a date like 2024-13-45, a nesting beyond Python's stack
        return [finding(path, "yaml.syntax", reason=error)]
    except (LookupError, AttributeError, TypeError):  # PyYAML, at !!bool maybe, an !!int without digits, !!timestamp soon
        return [finding(path, "yaml.syntax", reason="a tag (!!name) stands before a value that it cannot have")]
    if not contents:
        return [finding(path, "file.empty", level="warning")]
    if not isinstance(contents, Mapping):
        return [finding(path, "yaml.top")]
    version = NEWEST if mode == "ci" else _version(contents)
    found = [*_linted(text, path, mode)] if version > 1 else []
    try:
        found += _against_schema(text, contents, path, version)
    except RecursionError:  # two entries that hold themselves, or 390 levels each, compared for being the same
        return [finding(path, "yaml.nested")]
    except ValueError:  # 0xFFF...: Python reads any number, and writes none of more than 4,300 digits
        return [finding(path, "yaml.syntax", reason="a number has too many digits")]
    return sorted(found, key=lambda one: (one.line, one.column, one.code))


def refused(findings: list[Finding]) -> bool:
    return any(one.level == "error" for one in findings)


# --- YAML


def unsafe(text: str) -> str:
    """The code of what makes a text too dear to build; what is no YAML at all is left to the parser, which says more."""
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []
    count = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                open_.append((event.anchor, count))
                count += 1
                if len(open_) > DEPTH:
                    return "yaml.nested"
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, before = open_.pop()
                if anchor:
                    sizes[anchor] = count - before
            elif isinstance(event, yaml.AliasEvent):
                count += sizes.get(event.anchor or "", 1)
            elif isinstance(event, yaml.ScalarEvent):
                count += 1
            if count > NODES:
                return "yaml.aliases"
    except yaml.YAMLError:
        return ""
    return ""


def _syntax(path: Path, error: yaml.YAMLError) -> Finding:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    reason = getattr(error, "problem", None) or str(error).split("\n", maxsplit=1)[0]
    return finding(path, "yaml.syntax", (mark.line + 1, mark.column + 1) if mark else (1, 1), reason=reason)


def _version(contents: Mapping[Any, Any]) -> int:
    """The version by which the package judges a file in ilab's mode: its own, 1 where it says none that counts."""
    said = contents.get("version", 1)
    if isinstance(said, int):
        return said
    try:
        return int(said)
    except (ValueError, TypeError, OverflowError):
        return 1


# --- lint


@functools.cache
def _lint_rules() -> YamlLintConfig:
    return YamlLintConfig(LINT)


def _linted(text: str, path: Path, mode: Mode) -> Iterator[Finding]:
    """What yamllint's rules say. Its own entry point would parse the text once more for syntax errors: there are none."""
    text = text.removeprefix("\ufeff")
    if text.partition("\n")[0].strip().replace(" ", "") == "#yamllintdisable-file":
        return
    for problem in linter.get_cosmetic_problems(text, _lint_rules(), None):
        level: Level = "error" if mode == "ilab" or problem.level == "error" else "warning"
        code = f"lint.{problem.rule}"
        code = code if code in CODES else "lint.other"
        yield finding(path, code, (problem.line, problem.column), level=level, reason=problem.desc)


# --- schema


@functools.cache
def _schemas() -> Path:
    """The folder of the package's schemas; the package itself is not loaded, it needs an API that Python 3.14 lacks."""
    spec = find_spec("instructlab")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (Path(folder) / "schema" / f"v{NEWEST}").is_dir():
            return Path(folder) / "schema"
    raise ModuleNotFoundError("instructlab-schema is not installed")


@functools.cache
def _validator(version: str, name: str) -> Draft202012Validator | str | None:
    """The validator of a version's schema, the reason why it is no longer taken, or None where there is no such version."""
    folder = _schemas() / version

    def retrieve(uri: str) -> Resource[Any]:
        return Resource.from_contents(json.loads((folder / uri).read_text("utf-8")), default_specification=DRAFT202012)

    if not (folder / f"{name}.json").is_file():
        return None
    schema = retrieve(f"{name}.json").contents
    if schema.get("deprecated"):
        return str(schema.get("description"))
    registry: Registry[Any] = Registry(retrieve=retrieve)  # type: ignore[call-arg]
    return Draft202012Validator(schema, registry=registry)


def _against_schema(text: str, contents: Mapping[Any, Any], path: Path, version: int) -> list[Finding]:
    validator = _validator(f"v{version}", _kind(path, contents))
    if validator is None:
        return [finding(path, "version.unknown", version=version)]
    if isinstance(validator, str):
        return [finding(path, "knowledge.old", version=version)]
    errors = list(validator.iter_errors(contents))
    places = yaml.compose(text, Loader=yaml.SafeLoader) if errors else None
    return [_said(error, path, places) for error in errors]


def _kind(path: Path, contents: Mapping[Any, Any]) -> str:
    """The kind of an entry: by the last folder of its path that names one, else by whether it names a document."""
    named = [part for part in path.resolve().parts if part in (SKILLS, KNOWLEDGE)]
    return named[-1] if named else KNOWLEDGE if "document" in contents else SKILLS


def _said(error: ValidationError, path: Path, root: yaml.Node | None) -> Finding:
    """A schema error in words, at the line where it is."""
    steps = list(error.absolute_path)
    code, facts = _coded(error)
    return finding(path, code, _place(root, steps), where=_where(steps), **facts)


def _coded(error: ValidationError) -> tuple[str, dict[str, Any]]:
    """The code of a schema error and what its sentence needs."""
    found: Any = error.instance
    rule: Any = error.validator_value
    match error.validator:
        case "required":
            key = error.message.split("'")[1]  # "'answer' is a required property"
            return "version.missing" if key == "version" else "key.missing", {"key": key}
        case "unevaluatedProperties":
            return "key.unknown", {"key": ", ".join(_unknown(error))}
        case "minLength":
            return "value.empty", {}
        case "type":
            return "value.type", {"found": _type(found), "wanted": TYPES[str(rule)]}
        case "minItems":
            return "list.short", {"count": len(found), "least": rule, "missing": rule - len(found)}
        case "uniqueItems":
            return "list.twice", {}
        case "const":
            return "version.old", {"version": found, "wanted": rule}
        case _:
            return "schema.other", {"reason": error.message[:200]}


TYPES = {"string": "a text", "array": "a list", "object": "keys with values", "integer": "a whole number"}


def _type(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return f"a yes or no ({str(value).lower()})"
        case int() | float():
            return "no number" if isinstance(value, float) and math.isnan(value) else f"a number ({value})"
        case str():
            return "a text"
        case list() | set():
            return "a list"
        case dict():
            return "keys with values"
        case _:
            return f"a {type(value).__name__}"


def _unknown(error: ValidationError) -> list[str]:
    """The keys that the schema does not know, as they stand in the file."""
    known = _known_keys(error.schema)
    there: Any = error.instance
    return [str(key) for key in there if key not in known] or [error.message[:80]]


def _known_keys(schema: Any) -> set[str]:
    return {*schema.get("properties", {}), *(("version",) if "$ref" in schema else ())}


def _where(steps: list[str | int]) -> str:
    """A place in an entry as people call it: "example 3, answer"."""
    named = [str(step) if isinstance(step, str) else f"#{step + 1}" for step in steps]
    text = (
        ".".join(named).replace(".#", " #").replace("seed_examples #", "example ").replace("questions_and_answers #", "pair ")
    )
    return text.replace(".", ", ") or "The entry"


def _place(root: yaml.Node | None, steps: list[str | int]) -> tuple[int, int]:
    """Line and column of the node that the steps lead to, as far as they lead."""
    node = root
    for step in steps:
        node = _child(node, step) or node
    mark = node.start_mark if node else None
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _child(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    match node:
        case yaml.SequenceNode() if isinstance(step, int) and step < len(node.value):
            found: yaml.Node = node.value[step]
            return found
        case yaml.MappingNode():
            return next((value for key, value in reversed(node.value) if key.value == str(step)), None)
        case _:
            return None


def finding(path: Path, code: str, at: tuple[int, int] = (1, 1), *, level: Level = "error", **facts: object) -> Finding:
    words = CODES[code]
    return Finding(str(path), *at, level, code, words.meaning.format(**facts), words.fix.format(**facts))
