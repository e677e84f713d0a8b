"""GitHub's own description of its API (npm `@octokit/openapi`), and what is wrong with an exchange by it."""

import fcntl
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.fakes.github.server import Exchange

PACKAGE = "@octokit/openapi@23.0.2"
FOLDER = Path(__file__).resolve().parents[3] / ".cache" / "github"
FILE = FOLDER / "api.github.com.json"
FETCH_S = 180
HOME = "urn:github"


def fetch() -> str:
    """Have the description on this machine; why not, where it cannot be had."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if FILE.is_file():
            return ""
        npm = shutil.which("npm")
        if not npm:
            return "there is no npm to fetch GitHub's description with"
        try:
            subprocess.run([npm, "pack", "--silent", PACKAGE], cwd=FOLDER, check=True, capture_output=True, timeout=FETCH_S)
            packed = next(FOLDER.glob("*.tgz"))
            with tarfile.open(packed) as archive:
                found = archive.extractfile("package/generated/api.github.com.json")
                assert found
                (FOLDER / "part").write_bytes(found.read())
        except (OSError, subprocess.SubprocessError, StopIteration, KeyError) as error:
            return f"GitHub's description cannot be fetched: {type(error).__name__}"
        (FOLDER / "part").replace(FILE)
        packed.unlink()
        return ""


class Oracle:
    """Judges exchanges by the description."""

    def __init__(self) -> None:
        self.whole = _modern(json.loads(FILE.read_bytes()))
        self.registry: Registry[Any] = Registry().with_resource(HOME, Resource(self.whole, DRAFT202012))
        self.paths = [(re.compile(_pattern(path)), path) for path in self.whole["paths"]]
        self._validators: dict[str, Draft202012Validator] = {}

    def wrong(self, one: Exchange) -> list[str]:
        """What GitHub's description says against a request or its answer."""
        path = self._path(one)
        operation = self.whole["paths"].get(path, {}).get(one.method.lower())
        if operation is None:
            return [f"{one.method} {one.path}: there is no such operation"]
        where = f"/paths/{path.replace('~', '~0').replace('/', '~1')}/{one.method.lower()}"
        return [
            f"{one.method} {path}: {what}" for what in (*self._asked(one, operation, where), *self._said(one, operation, where))
        ]

    def _path(self, one: Exchange) -> str:
        """The path of the description that fits best: the one with the fewest names in it, of several the longest."""
        found = [
            path
            for pattern, path in self.paths
            if pattern.fullmatch(one.path) and one.method.lower() in self.whole["paths"][path]
        ]
        return min(found, key=lambda path: (path.count("{"), -len(path)), default="")

    def _asked(self, one: Exchange, operation: dict[str, Any], where: str) -> Iterator[str]:
        known = {row["name"]: row for row in map(self._row, operation.get("parameters", ())) if row["in"] == "query"}
        for name, value in one.query.items():
            if name not in known:
                yield f"?{name}= is unknown"
            elif "enum" in known[name]["schema"] and value not in known[name]["schema"]["enum"]:
                yield f"?{name}={value}"
        if "requestBody" in operation and one.asked is not None:
            schema = f"{where}/requestBody/content/application~1json/schema"
            yield from (f"request: {what}" for what in self._against(schema, one.asked))
            known_names = operation["requestBody"]["content"]["application/json"]["schema"].get("properties", {})
            yield from (f"request: {name} is unknown" for name in one.asked if known_names and name not in known_names)
        elif operation.get("requestBody", {}).get("required"):
            yield "request: it has no body"

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.whole["components"]["parameters"][row["$ref"].rpartition("/")[2]] if "$ref" in row else row
        return found

    def _said(self, one: Exchange, operation: dict[str, Any], where: str) -> Iterator[str]:
        if one.status not in (401,) and str(one.status) not in operation["responses"]:
            if one.status >= 400:
                return  # of its refusals the description names some only
            yield f"answers {one.status}"
            return
        if one.status == 401:
            return
        row = operation["responses"][str(one.status)]
        if "$ref" in row:
            where, row = (
                f"/components/responses/{row['$ref'].rpartition('/')[2]}",
                self.whole["components"]["responses"][row["$ref"].rpartition("/")[2]],
            )
        else:
            where = f"{where}/responses/{one.status}"
        if "application/json" in row.get("content", {}):
            yield from (
                f"answer {one.status}: {what}" for what in self._against(f"{where}/content/application~1json/schema", one.said)
            )
        elif one.said is not None and one.status < 400:  # of a refusal's words it is silent at times
            yield f"answer {one.status}: it has a body"

    def _against(self, schema: str, value: Any) -> Iterator[str]:
        if schema not in self._validators:
            self._validators[schema] = Draft202012Validator({"$ref": f"{HOME}#{_quoted(schema)}"}, registry=self.registry)
        for error in self._validators[schema].iter_errors(value):
            yield f"{error.json_path}: {error.message[:200]}"


@cache
def oracle() -> Oracle:
    return Oracle()


def _quoted(pointer: str) -> str:
    return pointer.replace("{", "%7B").replace("}", "%7D")


def _pattern(path: str) -> str:
    """A path of the description as a pattern; what can hold slashes does: references, and paths of files."""
    parts = re.split(r"(\{\w+\})", path)
    return "".join(_name(part[1:-1]) if part.startswith("{") else re.escape(part) for part in parts)


def _name(name: str) -> str:
    return ".+" if name in ("path", "ref", "basehead") else "[^/]+"


def _modern(value: Any) -> Any:
    """OpenAPI 3.0's dialect as JSON schema has it: `nullable` is a further type."""
    if isinstance(value, list):
        return [_modern(one) for one in value]
    if not isinstance(value, dict):
        return value
    made = {name: _modern(one) for name, one in value.items() if name not in ("example", "examples", "x-github", "nullable")}
    if value.get("nullable") is True:
        return {"anyOf": [made, {"type": "null"}]}
    return made
