"""A pull request's entries as GitHub has them: the texts of its leaves, and what of it is no entry. All of it is a stranger's.

Nothing of a pull request names a file of ours: what is read is kept in memory, under the path that GitHub says.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.check import SIZE_BYTES
from pipeline.errors import Invalid, Problem
from pipeline.github.client import GitHub, at
from pipeline.taxonomy import CLOSED, KNOWLEDGE, SKILLS

FILES = 300  # of a pull request that are looked at
LEAVES = 10
COMMITS = 250  # GitHub lists no more of them
QNA, ATTRIBUTION = "qna.yaml", "attribution.txt"
_SIGNED = re.compile(r"^Signed-off-by:[^<\n]*<([^>\n]+)>[ \t\r]*$", re.I | re.M)


@dataclass(frozen=True, slots=True)
class Text:
    """A file's text, or why there is none: a problem, or neither where the file is not there."""

    text: str | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """A folder of the taxonomy that the pull request brings an entry to, or changes one in."""

    path: str
    qna: Text
    attribution: Text


@dataclass(frozen=True, slots=True)
class Pulled:
    """What was read. `problems` are of the pull request as a whole: files beside entries, commits without a sign-off."""

    number: int
    title: str
    url: str
    author: str
    head: str
    state: str
    leaves: tuple[Leaf, ...]
    problems: tuple[Problem, ...]


async def read(github: GitHub, repo: str, number: int) -> Pulled:
    """Raises Invalid where it is not there or not to be seen, Temporary where GitHub is away."""
    pull = await github.get(at("repos", repo, "pulls", number))
    rows = await github.pages(at("repos", repo, "pulls", number, "files"), most=FILES)
    commits = await github.pages(at("repos", repo, "pulls", number, "commits"), most=COMMITS)
    head = str(pull["head"]["sha"])
    paths, problems = sorted_out(rows)
    if int(pull.get("changed_files") or 0) > FILES:
        problems.append(_problem("triage.files", "", count=pull["changed_files"], most=FILES))
    if len(paths) > LEAVES:
        problems.append(_problem("triage.leaves", "", count=len(paths), most=LEAVES))
    leaves = tuple([await _leaf(github, repo, path, head) for path in paths[:LEAVES]])
    state = "merged" if pull.get("merged_at") else str(pull["state"])
    author = str((pull.get("user") or {}).get("login", ""))
    told = (number, str(pull["title"]), str(pull["html_url"]), author, head, state)
    return Pulled(*told, leaves, (*problems, *unsigned(commits)))


def sorted_out(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[Problem]]:
    """The folders of entries among a pull request's files, in order, and a problem for each file that belongs to none."""
    leaves: dict[str, None] = {}
    problems = []
    for row in rows:
        path = str(row["filename"])
        folder, _, name = path.rpartition("/")
        if problem := _strange(path, str(row.get("status", ""))):
            problems.append(problem)
        elif name in (QNA, ATTRIBUTION):
            leaves.setdefault(folder)
    return [*leaves], problems


def _strange(path: str, status: str) -> Problem | None:
    """Why a file is none of an entry's that is there; None for one that is."""
    parts = path.split("/")
    if status == "removed":
        return _problem("triage.removed", path)
    if parts[0] == CLOSED:
        return _problem("path.closed", path)
    if parts[0] not in (SKILLS, KNOWLEDGE) or {"", ".", ".."} & {*parts} or len(parts) < 3:
        return _problem("triage.outside", path)
    return None if parts[-1] in (QNA, ATTRIBUTION) else _problem("triage.other", path)


def unsigned(commits: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """A problem for each commit that neither its author nor its committer signed off, by its mail; merges need none.

    The mails are not told.
    """
    found = []
    for row in commits:
        inner, parents = row["commit"], row.get("parents") or ()
        theirs = {str((inner.get(who) or {}).get("email", "")).lower() for who in ("author", "committer")} - {""}
        signed = {one.strip().lower() for one in _SIGNED.findall(str(inner.get("message", "")))}
        if len(parents) < 2 and not theirs & signed:
            found.append(_problem("triage.signoff", str(row["sha"])[:8], commit=str(row["sha"])[:8]))
    return found


async def _leaf(github: GitHub, repo: str, folder: str, head: str) -> Leaf:
    qna, attribution = [await text(github, repo, f"{folder}/{name}", head) for name in (QNA, ATTRIBUTION)]
    return Leaf(folder, qna, attribution)


async def text(github: GitHub, repo: str, path: str, ref: str) -> Text:
    """The text of a file at a commit, without an exception for what a stranger may have put there."""
    try:
        found = await github.get(at("repos", repo, "contents", path), ref=ref)
    except Invalid as error:
        if error.problems[0].code == "github.gone":
            return Text()
        raise
    if not isinstance(found, Mapping) or found.get("type") != "file":
        return Text(problem=_problem("triage.link", path))
    size = int(found.get("size") or 0)
    if size > SIZE_BYTES or found.get("encoding") != "base64":
        return Text(problem=_problem("file.large", path, size=size, limit=SIZE_BYTES))
    try:
        return Text(base64.b64decode(found["content"]).decode("utf-8"))
    except ValueError:
        return Text(problem=_problem("file.encoding", path))


SENTENCES = {
    "triage.files": ("it changes {count} files; the first {most} are looked at", "Ask for smaller ones."),
    "triage.leaves": ("it brings {count} entries; the first {most} are looked at", "Ask for one at a time."),
    "triage.removed": ("it takes this file away", "Ask why."),
    "triage.outside": ("this file lies outside skills and knowledge", "Ask what it is for."),
    "triage.other": ("this file belongs to no entry", "A leaf holds qna.yaml and attribution.txt."),
    "triage.signoff": ("commit {commit} is not signed off by its author", "git commit --amend --signoff"),
    "triage.link": ("it is no file but a link, a folder or a module", "Ask for the file itself."),
    "triage.attribution": ("there is no attribution.txt beside it", "Ask for one."),
    "path.closed": ("foundational_skills takes no contributions", "Choose a place in compositional_skills."),
    "file.large": ("it has {size} bytes, the limit is {limit}", "Split it."),
    "file.encoding": ("it is no UTF-8 text", "Save it as UTF-8."),
}


def _problem(code: str, path: str, **facts: object) -> Problem:
    told = {"path": path, **{name: str(value) for name, value in facts.items()}}
    message, fix = SENTENCES[code]
    return Problem(code, message.format(**told), path, fix, told)


def unattributed(leaf: str) -> Problem:
    return _problem("triage.attribution", f"{leaf}/{QNA}")
