"""A pull request as GitHub has it, as a value: read in pieces, each only where it is not what it was.

The pieces are the pull request itself, its reviews, the comments below it and to lines of its files, and of its newest commit
the checks and the statuses. Each has an etag; a piece that GitHub says is as it was costs nothing of the quota and is taken
from the `Pull` that was read before. So what is to be kept between two looks is that value and the etags, and nothing of
GitHub's own answers. A list that fills a page has no etag here: what comes after it would go unseen.

Texts are cut to TEXT signs and remarks to the newest MOST; what a check says to lines is read of those that failed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pipeline.github.client import PAGE, GitHub, at, lost
from pipeline.pulls import READY, Check, Note, Pull, Remark, Result, State, Waiting

TEXT = 4_000  # signs of a remark that are kept: a message of a platform has room for fewer
MOST, ALL = 500, 5_000  # remarks that are kept, and read where a page does not hold them
NOTES = 20  # of a check that failed
ACTIONS = ".github"  # where GitHub Actions say that a command failed, which is no line of a file
READ = 5  # checks whose notes are read at a look
OPEN = 500  # pull requests of a digest
MEMBERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})  # those who hide that they are, are not told from others

# GitHub's states of checks and statuses as ours. "action_required": a maintainer is to let it run.
RESULTS: Mapping[str, Result] = {
    **dict.fromkeys(("success", "neutral"), "passed"),
    **dict.fromkeys(("failure", "error", "timed_out", "startup_failure"), "failed"),
    **dict.fromkeys(("skipped", "stale", "cancelled"), "skipped"),
    **dict.fromkeys(("action_required", "queued", "waiting", "requested"), "waiting"),
    **dict.fromkeys(("in_progress", "pending"), "running"),
}
WORST: tuple[Result, ...] = ("failed", "running", "waiting", "passed", "skipped")
VERDICTS: Mapping[str, Any] = {"APPROVED": "approved", "CHANGES_REQUESTED": "changes", "DISMISSED": "dismissed"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A pull request as it was when somebody last looked, and the etags of its pieces by their paths."""

    pull: Pull | None = None
    etags: Mapping[str, str] = field(default_factory=dict)


async def read(github: GitHub, repo: str, number: int, seen: Seen, now: float) -> Seen:
    """Look again. `now`: seconds since 1970. Raises what the client raises; `seen` still holds then."""
    look = _Look(github, repo, seen)
    pull = await look.pull(number)
    old = seen.pull if seen.pull and seen.pull.head == pull.head else None
    checks = [*await look.runs(pull.head), *await look.statuses(pull.head)]
    made = replace(
        pull,
        pushed=old.pushed if old else pull.moved if seen.pull else pull.created,
        remarks=await look.remarks(number),
        checks=tuple([await look.noted(check, old) for check in checks]),
        marked=_marked(pull, seen.pull),
        read=now,
    )
    return Seen(made, look.etags)


async def waiting(github: GitHub, repo: str) -> list[Waiting]:
    """Open pull requests that nobody approved yet, oldest first; drafts wait for nobody. Raises what the client raises."""
    rows = await github.pages(at("repos", repo, "pulls"), OPEN, state="open", sort="created", direction="asc")
    found = [(_labels(row), row) for row in rows if not row.get("draft")]
    return [
        Waiting(row["number"], row["title"], row["html_url"], _login(row), _time(row["created_at"]), labels)
        for labels, row in found
        if not READY & {*labels}
    ]


class _Look:
    """One look, piece by piece. `etags`: those that the next one begins with; `left`: checks whose notes may still be read."""

    def __init__(self, github: GitHub, repo: str, seen: Seen) -> None:
        self.github, self.repo, self.seen = github, repo, seen
        self.etags: dict[str, str] = {}
        self.left = READ

    async def fresh(self, path: str, **params: int) -> Any | None:
        """What is there now, or None where it is what was read before."""
        known = self.seen.etags.get(path, "") if self.seen.pull else ""
        found, etag = await self.github.fresh(path, known, **params)
        self.etags |= {path: etag} if etag else {}
        return found

    async def pull(self, number: int) -> Pull:
        found = await self.fresh(at("repos", self.repo, "pulls", number))
        if found is None:
            assert self.seen.pull, "an etag was sent"
            return self.seen.pull
        return _pull(self.repo, found)

    async def remarks(self, number: int) -> tuple[Remark, ...]:
        here = at("repos", self.repo, "pulls", number)
        found = [
            *await self._said(f"{here}/reviews", "review", _review),
            *await self._said(at("repos", self.repo, "issues", number, "comments"), "comment", _comment),
            *await self._said(f"{here}/comments", "line", _line),
        ]
        return tuple(sorted(found, key=lambda remark: (remark.at, remark.id))[-MOST:])

    async def _said(self, path: str, kind: str, made: Callable[[Any], Remark]) -> list[Remark]:
        rows = await self.fresh(path, per_page=PAGE)
        if rows is None:
            return [remark for remark in self._before().remarks if remark.kind == kind]
        if len(rows) >= PAGE:
            self.etags.pop(path, None)
            rows = await self.github.pages(path, ALL)
        remarks = [made(row) for row in rows if row.get("state") != "PENDING"]
        return [remark for remark in remarks if remark.text.strip() or remark.verdict]

    async def runs(self, head: str) -> list[Check]:
        """Its check runs; none where an App may not read them, which a private repository's owner has to allow."""
        found: Any = {"check_runs": []}
        async with lost("github.refused"):
            found = await self.fresh(at("repos", self.repo, "commits", head, "check-runs"), per_page=PAGE)
        return [one for one in self._before().checks if one.id] if found is None else _worst(map(_check, found["check_runs"]))

    async def statuses(self, head: str) -> list[Check]:
        found: Any = {"statuses": []}
        async with lost("github.refused"):
            found = await self.fresh(at("repos", self.repo, "commits", head, "status"), per_page=PAGE)
        return [one for one in self._before().checks if not one.id] if found is None else [*map(_status, found["statuses"])]

    async def noted(self, check: Check, old: Pull | None) -> Check:
        """A check that failed, with what it says to lines: that is read once."""
        if check.result != "failed" or not check.id:
            return check
        if known := [one for one in (old.checks if old else ()) if (one.id, one.result) == (check.id, check.result)]:
            return replace(check, notes=known[0].notes)
        if not self.left:
            return check
        self.left -= 1
        rows: Any = []
        async with lost("github.refused"):
            rows = await self.github.get(at("repos", self.repo, "check-runs", check.id, "annotations"), per_page=NOTES)
        return replace(check, notes=tuple(_note(row) for row in rows if row["path"] != ACTIONS))

    def _before(self) -> Pull:
        assert self.seen.pull, "an etag was sent"
        return self.seen.pull


# --- the pieces


def _pull(repo: str, row: Any) -> Pull:
    state: State = "merged" if row["merged_at"] else "closed" if row["state"] == "closed" else "open"
    return Pull(
        repo,
        row["number"],
        _text(row["title"]),
        row["html_url"],
        state,
        _login(row),
        row["head"]["sha"],
        row["head"]["ref"],
        row["base"]["ref"],
        _time(row["created_at"]),
        _time(row["updated_at"]),
        row["commits"],
        _labels(row),
    )


def _review(row: Any) -> Remark:
    return replace(_said(row, "submitted_at"), kind="review", verdict=VERDICTS.get(row["state"], ""))


def _comment(row: Any) -> Remark:
    return _said(row, "created_at")


def _line(row: Any) -> Remark:
    """To a line of a file, or to the whole file; of one that the file has lost meanwhile, where it was."""
    reply = row.get("in_reply_to_id")
    return replace(
        _said(row, "created_at"),
        kind="line",
        path=row["path"],
        line=row.get("line") or row.get("original_line") or 0,
        reply=str(reply or ""),
    )


def _said(row: Any, when: str) -> Remark:
    user = row["user"] or {}
    return Remark(
        str(row["id"]),
        "comment",
        _login(row),
        _time(row.get(when) or ""),
        _text(row["body"]),
        member=row["author_association"] in MEMBERS,
        bot=user.get("type") == "Bot",
        url=row["html_url"],
    )


def _check(row: Any) -> Check:
    result = RESULTS.get(row["conclusion"] or row["status"], "running")
    said = row["output"]
    summary = _text("\n".join(filter(None, (said["title"], said["summary"]))))
    return Check(row["name"], result, row["html_url"] or "", summary, id=str(row["id"]))


def _worst(checks: Iterable[Check]) -> list[Check]:
    """One check a name: workflows that run for several events have one of the same name for each."""
    found: dict[str, Check] = {}
    for check in checks:
        old = found.get(check.name)
        if old is None or WORST.index(check.result) < WORST.index(old.result):
            found[check.name] = check
    return [*found.values()]


def _status(row: Any) -> Check:
    return Check(row["context"], RESULTS.get(row["state"], "running"), row["target_url"] or "", _text(row["description"]))


def _note(row: Any) -> Note:
    return Note(row["path"], row["start_line"] or 0, _text(row["message"] or row["title"]))


def _marked(pull: Pull, old: Pull | None) -> tuple[tuple[str, float], ...]:
    known = dict(old.marked) if old else {}
    return tuple((label, known.get(label, pull.moved)) for label in pull.labels)


def _text(text: str | None) -> str:
    """Somebody's words as they can be kept: not for ever, and without halves of letters."""
    return (text or "")[:TEXT].encode("utf-8", "replace").decode()


def _labels(row: Any) -> tuple[str, ...]:
    return tuple(label["name"] for label in row["labels"])


def _login(row: Any) -> str:
    """Whose it is; GitHub calls whoever has left it "ghost"."""
    return row["user"]["login"] if row["user"] else "ghost"


def _time(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else 0.0
