"""The smallest answers that GitHub's own description allows, by the names of its schemas: what the fake fills in.

`python -m tests.fakes.github.shapes api.github.com.json` writes shapes.json anew from npm's `@octokit/openapi`. The fake's
answers are these with what matters put over them; test_traffic.py holds the whole against the description.
"""

import json
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("shapes.json")
NAMES = """
    basic-error blob check-annotation check-run combined-commit-status commit commit-comparison content-file diff-entry
    full-repository git-commit git-ref git-tree installation installation-token integration issue-comment label
    merged-upstream minimal-repository private-user public-user pull-request pull-request-review
    pull-request-review-comment pull-request-simple repository short-blob simple-commit-status simple-user validation-error
""".split()
FORMATS = {"uri": "https://github.example/", "date-time": "2026-01-05T10:00:00Z", "email": "octo@github.example"}
TYPES: dict[str, Any] = {"boolean": False, "integer": 1, "number": 1, "array": [], "string": "text"}


def shape(name: str) -> dict[str, Any]:
    """A fresh copy of the smallest answer of that name."""
    found: dict[str, Any] = json.loads(_ALL[name])
    return found


def smallest(schema: dict[str, Any], all_: dict[str, Any]) -> Any:
    """A value with what a schema requires and nothing else."""
    while "$ref" in schema:
        schema = all_[schema["$ref"].rpartition("/")[2]]
    if schema.get("nullable"):
        return None
    if "enum" in schema:
        return schema["enum"][0]
    for name in ("oneOf", "anyOf"):
        if name in schema and "properties" not in schema:
            return smallest(schema[name][0], all_)
    if "allOf" in schema:
        merged: dict[str, Any] = {}
        for one in schema["allOf"]:
            merged |= smallest(one, all_) or {}
        return merged
    if schema.get("type") == "object" or "properties" in schema:
        return {
            name: smallest(schema["properties"][name], all_)
            for name in schema.get("required", ())
            if name in schema["properties"]
        }
    return FORMATS.get(schema.get("format", ""), TYPES.get(schema.get("type", "string")))


def main(path: str) -> None:
    all_ = json.loads(Path(path).read_bytes())["components"]["schemas"]
    found = {name: smallest({**all_[name], "nullable": False}, all_) for name in NAMES}
    FILE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
else:
    _ALL = {name: json.dumps(one) for name, one in json.loads(FILE.read_bytes()).items()}
