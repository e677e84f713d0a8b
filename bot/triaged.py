"""What a look at a pull request left in its run's folder, as the core sees it."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.core.triaged import Row, Triaged
from pipeline.errors import Problem

log = logging.getLogger("labbot")

TABLE = "triage.json"


def read(path: Path | None) -> Triaged:
    """The table that lies there; nothing where it is gone, or was made by another version."""
    if path is None:
        return Triaged()
    try:
        return triaged(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s cannot be read: %s", path, error)
        return Triaged()


def triaged(found: Mapping[str, Any]) -> Triaged:
    """A triage.json. Raises KeyError, ValueError, TypeError or AttributeError for one that is none."""
    texts = {name: str(found[name]) for name in ("title", "url", "author", "head", "first")}
    leaves = tuple((str(one["leaf"]), tuple(map(_row, one["rows"]))) for one in found["leaves"])
    rows = tuple(map(_row, found["rows"]))
    return Triaged(int(found["number"]), leaves=leaves, rows=rows, comments=bool(found["comments"]), **texts)


def _row(row: Mapping[str, Any]) -> Row:
    if row["level"] not in ("error", "warning", "advice"):
        raise ValueError(row["level"])
    facts = {str(name): str(value) for name, value in row["facts"].items()}
    code, message, where, fix = (str(row[name]) for name in ("code", "message", "where", "fix"))
    return Row(row["level"], Problem(code, message, where, fix, facts), int(row["line"]))
