"""The table of /triage as GitHub's markdown; what the pull request's author wrote mentions nobody and is no markup."""

from collections.abc import Mapping
from typing import Any

from pipeline.proposing.muting import clipped, inline

MOST = 60_000  # characters of a comment; GitHub takes 65,536
ROWS = 100
SIGNS = {"error": "❌", "warning": "⚠️", "advice": "💬"}


def table(record: Mapping[str, Any], asked: Mapping[str, Any] | None) -> str:
    """What was found, an entry after the other, and how many questions today's model answers."""
    parts = [f"**labbot looked at {record['head'][:8]}.** It decides nothing; people do."]
    parts += [_part(f"`{inline_code(one['leaf'])}`", one["rows"]) for one in record["leaves"]]
    if record["rows"]:
        parts.append(_part("The pull request", record["rows"]))
    if asked:
        said = ", ".join(f"{asked['counts'].get(state, 0)} {state}" for state in ("gap", "known", "uncertain"))
        parts.append(f"Precheck of the first entry: {inline(str(asked['verdict']))} ({said}).")
    return "\n\n".join(parts)[:MOST]


def inline_code(text: str) -> str:
    """A path inside of code marks."""
    return clipped(" ".join(text.replace("`", "'").split()), 200)


def _part(title: str, rows: list[Mapping[str, Any]]) -> str:
    if not rows:
        return f"{title}: ✅ nothing found."
    lines = [_line(row) for row in rows[:ROWS]]
    more = [f"| | | and {len(rows) - ROWS} more |"] if len(rows) > ROWS else []
    return "\n".join((title, "", "| | where | what |", "|---|---|---|", *lines, *more))


def _line(row: Mapping[str, Any]) -> str:
    where = f"line {row['line']}" if row["line"] else inline(clipped(str(row["where"]), 80))
    what = inline(clipped(" ".join((str(row["message"]), str(row["fix"]))), 400))
    return f"| {SIGNS[row['level']]} | {where} | {what} |"
