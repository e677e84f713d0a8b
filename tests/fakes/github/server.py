"""GitHub's REST API on the loopback interface, as far as labbot speaks with it, with GitHub's own manners and bad days.

What npm's `emulate` gets wrong is right here: a second pull request of a branch is refused (422), a fork is not ready at once,
limits come with Retry-After, tokens are revoked, answers are lost before or after the deed. More than 400 lines: one
route after the other, in the order of GitHub's documentation.
"""

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import jwt

from tests.fakes.github import objects
from tests.fakes.github.shapes import shape
from tests.fakes.github.world import Device, Pull, Repo, Token, User, World

Bad = Literal["lost-before", "lost-after", "status", "secondary", "primary"]


@dataclass
class Fault:
    """What goes wrong with a request: the `at`-th of all (from 1), or those whose "METHOD path" fits `path`; so often."""

    kind: Bad
    at: int = 0
    path: str = ""
    times: int = 1
    status: int = 502
    retry_after: int = 0


@dataclass(frozen=True)
class Exchange:
    """A request and its answer, as test_traffic.py holds them against GitHub's description."""

    method: str
    path: str
    query: dict[str, str]
    asked: Any
    status: int
    said: Any
    api: bool = True


class Refused(Exception):
    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.more = status, message, more


Route = Callable[["Asked"], tuple[int, Any]]
ROUTES: list[tuple[str, re.Pattern[str], Route]] = []


def route(method: str, path: str) -> Callable[[Route], Route]:
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path).replace("{rest}", "(?P<rest>.+)")
    pattern = re.sub(r"\(\?P<rest>\[\^/\]\+\)", "(?P<rest>.+)", pattern)

    def add(does: Route) -> Route:
        ROUTES.append((method, re.compile(pattern + r"/?"), does))
        return does

    return add


@dataclass
class FakeGitHub(World):
    """`with FakeGitHub().up() as hub:` serves at hub.url, API and web both."""

    faults: list[Fault] = field(default_factory=list)
    traffic: list[Exchange] = field(default_factory=list)
    url: str = ""
    seen: int = 0  # requests so far
    on_request: Callable[[int, str], None] | None = None  # told each one's number and "METHOD path" before it is answered
    broken: list[Exception] = field(default_factory=list)  # what the fake itself could not do: raised at the end

    def __post_init__(self) -> None:
        super().__init__()

    @contextmanager
    def up(self) -> Iterator["FakeGitHub"]:
        server = _Server(self)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
        if self.broken:
            raise self.broken[0]

    @property
    def place(self) -> str:
        return self.url.removeprefix("http://")

    def settings(self, repo: str = "lab/taxonomy", **changed: Any) -> dict[str, Any]:
        """What stages are given of it (`Installation.github`)."""
        net = {"allow": [self.place], "ca": ""}
        chosen = {"client": "Iv1.labbot", "app": "", "fork": "", "documents": "taxonomy-knowledge-docs", "comments": False}
        return {"api": self.url, "web": self.url, **chosen, "net": net, **changed}

    def fault(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets."""
        self.seen += 1
        for one in self.faults:
            fits = one.at == self.seen if one.at else bool(re.search(one.path, f"{method} {path}"))
            if fits and one.times:
                one.times -= 1
                return one
        return None


@dataclass
class Asked:
    """A request, taken apart."""

    hub: FakeGitHub
    method: str
    path: str
    query: dict[str, str]
    body: Any
    token: Token | None
    names: dict[str, str] = field(default_factory=dict)
    jwt_app: str = ""

    @property
    def repo(self) -> Repo:
        return self.named(f"{self.names['owner']}/{self.names['repo']}")

    def named(self, name: str) -> Repo:
        found = self.hub.repos.get(name)
        hidden = found is None or (found.private and not self.hub.may(self.token, found))
        if hidden:
            raise Refused(404, "Not Found")
        assert found
        if found.moved_to:
            raise Refused(301, "Moved Permanently", url=f"{self.hub.url}/repositories/{found.id}")
        if found.archived and self.method != "GET":
            raise Refused(403, "Repository was archived so is read-only.")
        return found

    def mine(self, right: str = "push") -> Repo:
        """The repository, for a request that changes it."""
        repo = self.repo
        if not self.hub.may(self.token, repo, right):
            app = self.token and self.token.repos is not None
            text = "Resource not accessible by integration" if app else "Must have push access to repository"
            raise Refused(403 if self.hub.may(self.token, repo) or not repo.private else 404, text)
        return repo

    @property
    def me(self) -> User:
        if self.token is None:
            raise Refused(401, "Requires authentication")
        return self.token.user

    @property
    def pull(self) -> Pull:
        found = self.repo.pulls.get(int(self.names["number"]))
        if found is None:
            raise Refused(404, "Not Found")
        return found

    def wants(self, *names: str) -> None:
        if not isinstance(self.body, dict) or any(name not in self.body for name in names):
            missing = [{"resource": "Body", "code": "missing_field", "field": name} for name in names]
            raise Refused(422, "Invalid request.", errors=missing)


# --- how things are told


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def user(one: User) -> dict[str, Any]:
    return {**shape("simple-user"), "login": one.login, "id": one.id, "type": one.kind}


def repository(asked: Asked, one: Repo, name: str = "full-repository") -> dict[str, Any]:
    hub = asked.hub
    may = hub.may(asked.token, one)
    owner = user(hub.users[one.owner])
    told = {
        **shape(name),
        "id": one.id,
        "name": one.name.partition("/")[2],
        "full_name": one.name,
        "owner": owner,
        "private": one.private,
        "archived": one.archived,
        "fork": bool(one.parent),
        "default_branch": "main",
        "html_url": f"{hub.url}/{one.name}",
        "clone_url": f"{hub.url}/{one.name}.git",
        "permissions": {"admin": may, "push": may, "pull": True, "triage": may, "maintain": may},
    }
    return told


def reference(one: Repo, branch: str) -> dict[str, Any]:
    told = shape("git-ref")
    return {**told, "ref": f"refs/heads/{branch}", "object": {**told["object"], "type": "commit", "sha": one.branches[branch]}}


def commit(hub: FakeGitHub, sha: str) -> dict[str, Any]:
    found, told = hub.objects.commits[sha], shape("git-commit")
    parents = [{"sha": one, "url": hub.url, "html_url": hub.url} for one in found.parents]
    whole = {"sha": sha, "author": found.author, "committer": found.committer, "message": found.message, "parents": parents}
    return {**told, **whole, "tree": {**told["tree"], "sha": found.tree}, "verification": objects.verification()}


def branch_of(asked: Asked, repo: Repo, branch: str, sha: str) -> dict[str, Any]:
    owner = user(asked.hub.users[repo.owner])
    return {
        "label": f"{repo.owner}:{branch}",
        "ref": branch,
        "sha": sha,
        "user": owner,
        "repo": repository(asked, repo, "repository"),
    }


def pull_request(asked: Asked, one: Pull, name: str = "pull-request") -> dict[str, Any]:
    hub = asked.hub
    repo, head = hub.repos[one.repo], hub.repos[one.head]
    tip = hub.head(one)
    ahead = len(hub.commits(one.head, one.branch)) if one.branch in head.branches and not one.merged else 1
    counts = {"commits": ahead, "merged": bool(one.merged), "comments": len(one.comments), "review_comments": len(one.lines)}
    told = {
        **shape(name),
        **(counts if name == "pull-request" else {}),
        "id": 7000 + one.number,
        "number": one.number,
        "state": one.state,
        "title": one.title,
        "body": one.body,
        "user": user(hub.users[one.author]),
        "created_at": iso(one.created),
        "updated_at": iso(one.updated),
        "merged_at": iso(one.merged) if one.merged else None,
        "closed_at": None if one.state == "open" else iso(one.updated),
        "html_url": f"{hub.url}/{one.repo}/pull/{one.number}",
        "url": f"{hub.url}/repos/{one.repo}/pulls/{one.number}",
        "labels": [label(name) for name in one.labels],
        "head": branch_of(asked, head, one.branch, tip),
        "base": branch_of(asked, repo, one.base, repo.branches[one.base]),
        "author_association": hub.association(repo, one.author),
    }
    return told


def label(name: str) -> dict[str, Any]:
    return {**shape("label"), "name": name, "color": "ededed", "default": False, "description": ""}


def comment(asked: Asked, pull: Pull, row: dict[str, Any]) -> dict[str, Any]:
    url = f"{asked.hub.url}/{pull.repo}/pull/{pull.number}#issuecomment-{row['id']}"
    who = asked.hub.user(row["by"])
    more = {"author_association": asked.hub.association(asked.hub.repos[pull.repo], who.login)}
    times = {"created_at": iso(row["at"]), "updated_at": iso(row["at"])}
    return {**shape("issue-comment"), "id": row["id"], "body": row["body"], "user": user(who), "html_url": url, **times, **more}


def review(asked: Asked, pull: Pull, row: dict[str, Any]) -> dict[str, Any]:
    who = asked.hub.user(row["by"])
    return {
        **shape("pull-request-review"),
        "id": row["id"],
        "body": row["body"],
        "state": row["state"],
        "user": user(who),
        "submitted_at": iso(row["at"]),
        "commit_id": asked.hub.head(pull),
        "html_url": f"{asked.hub.url}/{pull.repo}/pull/{pull.number}#pullrequestreview-{row['id']}",
        "author_association": asked.hub.association(asked.hub.repos[pull.repo], who.login),
    }


def line_comment(asked: Asked, pull: Pull, row: dict[str, Any]) -> dict[str, Any]:
    who = asked.hub.user(row["by"])
    reply = {"in_reply_to_id": row["reply"]} if row["reply"] else {}
    return {
        **shape("pull-request-review-comment"),
        **reply,
        "id": row["id"],
        "body": row["body"],
        "path": row["path"],
        "line": row["line"],
        "user": user(who),
        "created_at": iso(row["at"]),
        "updated_at": iso(row["at"]),
        "html_url": f"{asked.hub.url}/{pull.repo}/pull/{pull.number}#discussion_r{row['id']}",
        "author_association": asked.hub.association(asked.hub.repos[pull.repo], who.login),
    }


def check_run(asked: Asked, row: dict[str, Any], sha: str) -> dict[str, Any]:
    told, over = shape("check-run"), row["conclusion"] is not None
    output = {**told["output"], "title": row["name"], "summary": "", "text": None, "annotations_count": row["notes"]}
    return {
        **told,
        "id": row["id"],
        "name": row["name"],
        "head_sha": sha,
        "status": "completed" if over else "in_progress",
        "conclusion": row["conclusion"],
        "started_at": iso(row["at"]),
        "completed_at": iso(row["at"]) if over else None,
        "html_url": f"{asked.hub.url}/checks/{row['id']}",
        "output": output,
        "pull_requests": [],  # of forks GitHub tells none
    }


# --- users and apps


@route("GET", "/user")
def own(asked: Asked) -> tuple[int, Any]:
    me = asked.me
    return 200, {**shape("private-user"), "login": me.login, "id": me.id, "type": me.kind, "user_view_type": "private"}


@route("GET", "/users/{login}")
def somebody(asked: Asked) -> tuple[int, Any]:
    found = asked.hub.users.get(unquote(asked.names["login"]))
    if found is None:
        raise Refused(404, "Not Found")
    return 200, {**shape("public-user"), "login": found.login, "id": found.id, "type": found.kind, "user_view_type": "public"}


def _app(asked: Asked) -> dict[str, Any]:
    if asked.jwt_app not in asked.hub.apps:
        raise Refused(401, "A JSON web token could not be decoded")
    return asked.hub.apps[asked.jwt_app]


@route("GET", "/app")
def app(asked: Asked) -> tuple[int, Any]:
    found = _app(asked)
    return 200, {**shape("integration"), "id": found["id"], "slug": found["slug"], "name": found["slug"]}


@route("GET", "/repos/{owner}/{repo}/installation")
def installation(asked: Asked) -> tuple[int, Any]:
    found, name = _app(asked), f"{asked.names['owner']}/{asked.names['repo']}"
    if name not in found["installed"]:
        raise Refused(404, "Not Found")
    return 200, {**shape("installation"), "id": found["id"], "app_slug": found["slug"], "permissions": found["granted"]}


@route("POST", "/app/installations/{installation}/access_tokens")
def access_token(asked: Asked) -> tuple[int, Any]:
    found, owner = _app(asked), asked.hub.users[f"{_app(asked)['slug']}[bot]"]
    asks = (asked.body or {}).get("repositories") or [one.partition("/")[2] for one in found["installed"]]
    repos = tuple(one for one in found["installed"] if one.partition("/")[2] in asks)
    if len(repos) < len(asks):
        raise Refused(
            422, "There is at least one repository that does not exist or is not accessible to the parent installation."
        )
    if not (asked.body or {}).get("permissions", {}).items() <= found["granted"].items():
        raise Refused(422, "The permissions requested are not granted to this installation.")
    token = asked.hub.minted("ghs")
    asked.hub.tokens[token] = Token(owner, repos=repos)
    return 201, {**shape("installation-token"), "token": token, "expires_at": iso(asked.hub.now())}


# --- repositories


@route("GET", "/repos/{owner}/{repo}")
def repo(asked: Asked) -> tuple[int, Any]:
    return 200, repository(asked, asked.repo)


@route("GET", "/repositories/{id}")
def repo_of_number(asked: Asked) -> tuple[int, Any]:
    found = next((one for one in asked.hub.repos.values() if str(one.id) == asked.names["id"]), None)
    if found is None:
        raise Refused(404, "Not Found")
    return 200, repository(asked, asked.hub.repos.get(found.moved_to, found))


@route("POST", "/user/repos")
def new_repo(asked: Asked) -> tuple[int, Any]:
    asked.wants("name")
    name = f"{asked.me.login}/{asked.body['name']}"
    if name in asked.hub.repos:
        error = {"resource": "Repository", "code": "custom", "field": "name", "message": "name already exists on this account"}
        raise Refused(422, "Repository creation failed.", errors=[error])
    return 201, repository(asked, asked.hub.repo(name))


@route("POST", "/repos/{owner}/{repo}/forks")
def fork(asked: Asked) -> tuple[int, Any]:
    parent, name = asked.repo, f"{asked.me.login}/{asked.names['repo']}"
    if name not in asked.hub.repos:
        made = asked.hub.repo(name)
        made.branches, made.parent, made.hidden = dict(parent.branches), parent.name, asked.hub.forks_wait
    return 202, repository(asked, asked.hub.repos[name])


@route("POST", "/repos/{owner}/{repo}/merge-upstream")
def merge_upstream(asked: Asked) -> tuple[int, Any]:
    asked.wants("branch")
    one, name = asked.mine(), asked.body["branch"]
    there, here = asked.hub.repos[one.parent].branches[name], one.branches[name]
    if here not in asked.hub.objects.line(there):
        raise Refused(409, "There are merge conflicts")
    one.branches[name] = there
    return 200, {
        **shape("merged-upstream"),
        "message": "Successfully fetched",
        "merge_type": "fast-forward",
        "base_branch": name,
    }


@route("GET", "/repos/{owner}/{repo}/contents/{rest}")
def contents(asked: Asked) -> tuple[int, Any]:
    one, path = asked.repo, unquote(asked.names["rest"])
    tip = one.branches.get(asked.query.get("ref", "main"), asked.query.get("ref", ""))
    if tip not in asked.hub.objects.commits:
        raise Refused(404, "No commit found for the ref")
    sha = asked.hub.objects.files(asked.hub.objects.commits[tip].tree).get(path)
    if sha is None:
        raise Refused(404, "Not Found")
    content = asked.hub.objects.blobs[sha]
    text = base64.b64encode(content).decode()
    told = {"type": "file", "name": path.rpartition("/")[2], "path": path, "sha": sha, "size": len(content)}
    return 200, {**shape("content-file"), **told, "content": text, "encoding": "base64"}


@route("GET", "/repos/{owner}/{repo}/compare/{rest}")
def compare(asked: Asked) -> tuple[int, Any]:
    one, (base, _, tip) = asked.repo, unquote(asked.names["rest"]).partition("...")
    known = asked.hub.objects
    base, tip = one.branches.get(base, base), one.branches.get(tip, tip)
    if base not in known.commits or tip not in known.commits:
        raise Refused(404, "Not Found")
    start = next(sha for sha in known.line(tip) if sha in known.line(base))
    files = changed(known.files(known.commits[start].tree), known.files(known.commits[tip].tree))
    merge = {"merge_base_commit": {**shape("commit"), "sha": start}}
    return 200, {**shape("commit-comparison"), **merge, "status": "diverged", "files": files}


def changed(before: dict[str, str], after: dict[str, str]) -> list[dict[str, Any]]:
    rows = []
    for path in sorted({*before, *after}):
        if before.get(path) != after.get(path):
            status = "added" if path not in before else "removed" if path not in after else "modified"
            sha = after.get(path) or before[path]
            rows.append({**shape("diff-entry"), "filename": path, "status": status, "sha": sha})
    return rows


# --- git


@route("GET", "/repos/{owner}/{repo}/git/ref/heads/{rest}")
def ref(asked: Asked) -> tuple[int, Any]:
    one, name = asked.repo, unquote(asked.names["rest"])
    if one.hidden:
        one.hidden -= 1
        raise Refused(409, "Git Repository is empty.")
    if name not in one.branches:
        raise Refused(404, "Not Found")
    return 200, reference(one, name)


@route("GET", "/repos/{owner}/{repo}/git/matching-refs/heads/{rest}")
def matching(asked: Asked) -> tuple[int, Any]:
    one, begin = asked.repo, unquote(asked.names["rest"])
    return 200, [reference(one, name) for name in sorted(one.branches) if name.startswith(begin)]


@route("POST", "/repos/{owner}/{repo}/git/refs")
def new_ref(asked: Asked) -> tuple[int, Any]:
    asked.wants("ref", "sha")
    one, name = asked.mine(), asked.body["ref"].removeprefix("refs/heads/")
    if asked.body["sha"] not in asked.hub.objects.commits:
        raise Refused(422, "Object does not exist")
    if name in one.branches:
        raise Refused(422, "Reference already exists")
    one.branches[name] = asked.body["sha"]
    return 201, reference(one, name)


@route("PATCH", "/repos/{owner}/{repo}/git/refs/heads/{rest}")
def move_ref(asked: Asked) -> tuple[int, Any]:
    asked.wants("sha")
    one, name, sha = asked.mine(), unquote(asked.names["rest"]), asked.body["sha"]
    if name not in one.branches:
        raise Refused(422, "Reference does not exist")
    if sha not in asked.hub.objects.commits:
        raise Refused(422, "Object does not exist")
    if one.branches[name] not in asked.hub.objects.line(sha) and not asked.body.get("force"):
        raise Refused(422, "Update is not a fast forward")
    one.branches[name] = sha
    for pull in _open(asked.hub, one, name):
        asked.hub._touched(pull)
    return 200, reference(one, name)


@route("DELETE", "/repos/{owner}/{repo}/git/refs/heads/{rest}")
def drop_ref(asked: Asked) -> tuple[int, Any]:
    one, name = asked.mine(), unquote(asked.names["rest"])
    if name not in one.branches:
        raise Refused(422, "Reference does not exist")
    for pull in _open(asked.hub, one, name):
        asked.hub.close(pull)
    del one.branches[name]
    return 204, None


def _open(hub: FakeGitHub, head: Repo, branch: str) -> list[Pull]:
    pulls = [pull for one in hub.repos.values() for pull in one.pulls.values()]
    return [pull for pull in pulls if (pull.head, pull.branch, pull.state) == (head.name, branch, "open")]


@route("POST", "/repos/{owner}/{repo}/git/blobs")
def new_blob(asked: Asked) -> tuple[int, Any]:
    asked.wants("content")
    asked.mine()
    text, encoding = asked.body["content"], asked.body.get("encoding", "utf-8")
    content = base64.b64decode(text) if encoding == "base64" else text.encode()
    return 201, {**shape("short-blob"), "sha": asked.hub.objects.blob(content)}


@route("GET", "/repos/{owner}/{repo}/git/blobs/{sha}")
def blob(asked: Asked) -> tuple[int, Any]:
    assert asked.repo
    found = asked.hub.objects.blobs.get(asked.names["sha"])
    if found is None:
        raise Refused(404, "Not Found")
    told = {"sha": asked.names["sha"], "size": len(found), "content": base64.b64encode(found).decode(), "encoding": "base64"}
    return 200, {**shape("blob"), **told}


@route("POST", "/repos/{owner}/{repo}/git/trees")
def new_tree(asked: Asked) -> tuple[int, Any]:
    asked.wants("tree")
    asked.mine()
    known = asked.hub.objects
    base = asked.body.get("base_tree")
    if base and base not in known.trees:
        raise Refused(404, "Not Found")
    files = known.files(base) if base else {}
    for row in asked.body["tree"]:
        if row["sha"] is None:
            files.pop(row["path"], None)
        elif row["sha"] not in known.blobs:
            raise Refused(422, f"tree.sha {row['sha']} is not a valid blob")
        else:
            files[row["path"]] = row["sha"]
    sha = known.tree(files)
    rows = [{"path": name, "mode": mode, "type": kind, "sha": one} for name, (mode, kind, one) in known.trees[sha].items()]
    return 201, {**shape("git-tree"), "sha": sha, "tree": rows, "truncated": False}


@route("POST", "/repos/{owner}/{repo}/git/commits")
def new_commit(asked: Asked) -> tuple[int, Any]:
    asked.wants("message", "tree")
    asked.mine()
    known, body = asked.hub.objects, asked.body
    if body["tree"] not in known.trees or any(one not in known.commits for one in body.get("parents", ())):
        raise Refused(422, "Tree SHA does not exist")
    now = iso(asked.hub.now())
    author = {"date": now, **(body.get("author") or {"name": asked.me.login, "email": "octo@lab.example"})}
    hand = {"date": now, **(body.get("committer") or author)}
    sha = known.commit(body["tree"], tuple(body.get("parents", ())), body["message"], author, hand)
    return 201, commit(asked.hub, sha)


@route("GET", "/repos/{owner}/{repo}/git/commits/{sha}")
def one_commit(asked: Asked) -> tuple[int, Any]:
    assert asked.repo
    if asked.names["sha"] not in asked.hub.objects.commits:
        raise Refused(404, "Not Found")
    return 200, commit(asked.hub, asked.names["sha"])


# --- pull requests


@route("GET", "/repos/{owner}/{repo}/pulls")
def pulls(asked: Asked) -> tuple[int, Any]:
    state, head, base = asked.query.get("state", "open"), asked.query.get("head", ""), asked.query.get("base", "")
    found = [one for one in asked.repo.pulls.values() if state in ("all", one.state)]
    found = [one for one in found if not head or head == f"{one.head.partition('/')[0]}:{one.branch}"]
    found = [one for one in found if not base or base == one.base]
    newest = asked.query.get("direction", "desc") == "desc"
    return 200, [
        pull_request(asked, one, "pull-request-simple") for one in sorted(found, key=lambda one: one.number, reverse=newest)
    ]


@route("POST", "/repos/{owner}/{repo}/pulls")
def new_pull(asked: Asked) -> tuple[int, Any]:
    asked.wants("head", "base", "title")
    one, body = asked.repo, asked.body
    owner, _, branch = body["head"].rpartition(":")
    head = (
        asked.named(f"{owner or one.owner}/{one.name.partition('/')[2]}")
        if not owner or owner == one.owner
        else _fork_of(asked, one, owner)
    )
    if branch not in head.branches or body["base"] not in one.branches:
        error = {"resource": "PullRequest", "field": "head", "code": "invalid"}
        raise Refused(422, "Validation Failed", errors=[error])
    if any(
        (pull.head, pull.branch, pull.base) == (head.name, branch, body["base"])
        for pull in one.pulls.values()
        if pull.state == "open"
    ):
        text = f"A pull request already exists for {head.owner}:{branch}."
        raise Refused(422, "Validation Failed", errors=[{"resource": "PullRequest", "code": "custom", "message": text}])
    if not asked.hub.may(asked.token, head):
        raise Refused(403, "Resource not accessible by integration")
    if head.branches[branch] in asked.hub.objects.line(one.branches[body["base"]]):
        text = f"No commits between {one.owner}:{body['base']} and {head.owner}:{branch}"
        raise Refused(422, "Validation Failed", errors=[{"resource": "PullRequest", "code": "custom", "message": text}])
    at, number = asked.hub.now(), max(one.pulls, default=1411) + 1
    made = Pull(
        one.name, number, asked.me.login, body["title"], body.get("body") or "", head.name, branch, body["base"], at, at
    )
    one.pulls[number] = made
    return 201, pull_request(asked, made)


def _fork_of(asked: Asked, one: Repo, owner: str) -> Repo:
    for found in asked.hub.repos.values():
        if found.owner == owner and found.parent == one.name:
            return found
    raise Refused(422, "Validation Failed", errors=[{"resource": "PullRequest", "field": "head", "code": "invalid"}])


@route("GET", "/repos/{owner}/{repo}/pulls/{number}")
def one_pull(asked: Asked) -> tuple[int, Any]:
    return 200, pull_request(asked, asked.pull)


@route("PATCH", "/repos/{owner}/{repo}/pulls/{number}")
def change_pull(asked: Asked) -> tuple[int, Any]:
    pull = asked.pull
    if asked.me.login != pull.author and not asked.hub.may(asked.token, asked.repo):
        raise Refused(403, "Must have admin rights to Repository.")
    wanted = asked.body.get("state", pull.state)
    if wanted != pull.state:
        if wanted == "open":
            _reopenable(asked, pull)
        (asked.hub.reopen if wanted == "open" else asked.hub.close)(pull)
    for name in {"title", "body"} & asked.body.keys():
        setattr(pull, name, asked.body[name])
    asked.hub._touched(pull)
    return 200, pull_request(asked, pull)


def _reopenable(asked: Asked, pull: Pull) -> None:
    """GitHub opens one again only where its branch goes on from where it was closed (isaacs/github#361)."""
    head = asked.hub.repos[pull.head]
    there = head.branches.get(pull.branch, "")
    why = "" if there else f"The {pull.branch} branch has been deleted."
    if there and pull.tip not in asked.hub.objects.line(there):
        why = f"The {pull.branch} branch was force-pushed or recreated."
    if any(one is not pull and (one.repo, one.base) == (pull.repo, pull.base) for one in _open(asked.hub, head, pull.branch)):
        why = f"A pull request already exists for {head.owner}:{pull.branch}."
    if pull.merged or why:
        text = f"state cannot be changed. {why}".strip()
        error = {"resource": "PullRequest", "code": "custom", "field": "state", "message": text}
        raise Refused(422, "Validation Failed", errors=[error])


@route("GET", "/repos/{owner}/{repo}/pulls/{number}/files")
def pull_files(asked: Asked) -> tuple[int, Any]:
    pull, known = asked.pull, asked.hub.objects
    tip, base = asked.hub.head(pull), asked.repo.branches[pull.base]
    start = next(sha for sha in known.line(tip) if sha in known.line(base))
    return 200, changed(known.files(known.commits[start].tree), known.files(known.commits[tip].tree))


@route("GET", "/repos/{owner}/{repo}/pulls/{number}/commits")
def pull_commits(asked: Asked) -> tuple[int, Any]:
    pull, rows = asked.pull, []
    for sha in reversed(asked.hub.commits(pull.head, pull.branch, pull.base)):
        found, told = asked.hub.objects.commits[sha], shape("commit")
        inner = {**told["commit"], "message": found.message, "author": found.author, "committer": found.committer}
        rows.append({**told, "sha": sha, "commit": inner})
    return 200, rows


@route("GET", "/repos/{owner}/{repo}/pulls/{number}/reviews")
def reviews(asked: Asked) -> tuple[int, Any]:
    return 200, [review(asked, asked.pull, row) for row in asked.pull.reviews]


@route("GET", "/repos/{owner}/{repo}/pulls/{number}/comments")
def line_comments(asked: Asked) -> tuple[int, Any]:
    return 200, [line_comment(asked, asked.pull, row) for row in asked.pull.lines]


@route("POST", "/repos/{owner}/{repo}/pulls/{number}/comments/{comment}/replies")
def reply(asked: Asked) -> tuple[int, Any]:
    asked.wants("body")
    pull, to = asked.pull, int(asked.names["comment"])
    found = next((row for row in pull.lines if row["id"] == to), None)
    if found is None:
        raise Refused(404, "Not Found")
    row = {
        **found,
        "id": asked.hub.id(),
        "by": asked.me.login,
        "body": asked.body["body"],
        "reply": to,
        "at": asked.hub._touched(pull),
    }
    pull.lines.append(row)
    return 201, line_comment(asked, pull, row)


@route("GET", "/repos/{owner}/{repo}/issues/{number}/comments")
def comments(asked: Asked) -> tuple[int, Any]:
    return 200, [comment(asked, asked.pull, row) for row in asked.pull.comments]


@route("POST", "/repos/{owner}/{repo}/issues/{number}/comments")
def new_comment(asked: Asked) -> tuple[int, Any]:
    asked.wants("body")
    return 201, comment(asked, asked.pull, asked.hub.says(asked.pull, asked.me.login, asked.body["body"]))


@route("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment}")
def change_comment(asked: Asked) -> tuple[int, Any]:
    asked.wants("body")
    for pull in asked.repo.pulls.values():
        for row in pull.comments:
            if row["id"] == int(asked.names["comment"]):
                row["body"] = asked.body["body"]
                return 200, comment(asked, pull, row)
    raise Refused(404, "Not Found")


@route("GET", "/repos/{owner}/{repo}/labels")
def labels(asked: Asked) -> tuple[int, Any]:
    return 200, [label(name) for name in asked.repo.labels]


@route("POST", "/repos/{owner}/{repo}/issues/{number}/labels")
def add_labels(asked: Asked) -> tuple[int, Any]:
    asked.mine("triage")
    for name in asked.body["labels"]:
        asked.hub.label(asked.pull, name)
    return 200, [label(name) for name in asked.pull.labels]


@route("GET", "/repos/{owner}/{repo}/commits/{sha}/check-runs")
def check_runs(asked: Asked) -> tuple[int, Any]:
    sha = asked.names["sha"]
    rows = [check_run(asked, row, sha) for row in asked.repo.checks.get(sha, [])]
    return 200, {"total_count": len(rows), "check_runs": rows}


@route("GET", "/repos/{owner}/{repo}/check-runs/{check}/annotations")
def annotations(asked: Asked) -> tuple[int, Any]:
    rows = asked.repo.notes.get(int(asked.names["check"]), [])
    return 200, [
        {
            **shape("check-annotation"),
            "path": row["path"],
            "start_line": row["line"],
            "end_line": row["line"],
            "message": row["message"],
            "annotation_level": "failure",
        }
        for row in rows
    ]


@route("GET", "/repos/{owner}/{repo}/commits/{sha}/status")
def combined(asked: Asked) -> tuple[int, Any]:
    rows = asked.repo.statuses.get(asked.names["sha"], [])
    states = {row["state"] for row in rows}
    worst = "failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending"
    told = {"state": worst, "statuses": [commit_status(row) for row in rows], "sha": asked.names["sha"]}
    return 200, {**shape("combined-commit-status"), **told, "total_count": len(rows)}


def commit_status(row: dict[str, Any]) -> dict[str, Any]:
    told = {"id": row["id"], "context": row["context"], "state": row["state"], "description": row["text"]}
    return {**shape("simple-commit-status"), **told, "created_at": iso(row["at"]), "updated_at": iso(row["at"])}


# --- the web: how accounts are linked


def device_code(asked: Asked) -> tuple[int, Any]:
    hub = asked.hub
    if asked.body.get("client_id") not in hub.clients:
        return 404, {"error": "Not Found"}
    number = len(hub.devices) + 1
    one = Device(f"WDJB-{number:04d}", hub.minted("device"))
    hub.devices[one.device_code] = one
    where = {"verification_uri": f"{hub.url}/login/device", "expires_in": 900, "interval": one.interval}
    return 200, {"device_code": one.device_code, "user_code": one.user_code, **where}


def granted(asked: Asked) -> tuple[int, Any]:
    hub = asked.hub
    if asked.body.get("grant_type") == "refresh_token":
        login = hub.refreshes.pop(asked.body.get("refresh_token", ""), "")
        return 200, _grant(hub, login) if login else {"error": "bad_refresh_token"}
    one = hub.devices.get(asked.body.get("device_code", ""))
    if one is None:
        return 200, {"error": "incorrect_device_code"}
    if one.expired:
        return 200, {"error": "expired_token"}
    if hub.hurried:
        hub.hurried -= 1
        one.interval += 5
        return 200, {"error": "slow_down", "interval": one.interval}
    if one.denied:
        return 200, {"error": "access_denied"}
    return 200, _grant(hub, one.by) if one.by else {"error": "authorization_pending"}


def _grant(hub: FakeGitHub, login: str) -> dict[str, Any]:
    token = hub.minted()
    hub.user(login, token)
    told = {"access_token": token, "token_type": "bearer", "scope": "public_repo"}
    if not hub.token_s:
        return told
    refresh = hub.minted("ghr")
    hub.refreshes[refresh] = login
    return {**told, "expires_in": hub.token_s, "refresh_token": refresh, "refresh_token_expires_in": 15_897_600}


WEB = {"/login/device/code": device_code, "/login/oauth/access_token": granted}


# --- the server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, hub: FakeGitHub) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait 40 ms
    server: _Server

    def log_message(self, *words: Any) -> None:
        pass

    def _answer(self) -> None:
        hub = self.server.hub
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        with hub.lock:
            fault = hub.fault(self.command, parts.path)
            if hub.on_request:
                hub.on_request(hub.seen, f"{self.command} {parts.path}")
            if fault and fault.kind == "lost-before":
                return self._cut()
            status, said, headers = (
                self._bad(fault) if fault and fault.kind != "lost-after" else self._good(parts.path, parts.query, raw)
            )
        if fault and fault.kind == "lost-after":
            return self._cut()
        self._send(status, said, headers)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _bad(self, fault: Fault) -> tuple[int, Any, dict[str, str]]:
        docs = {"documentation_url": "https://docs.github.com/rest"}
        if fault.kind == "secondary":
            text = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
            status = 429 if fault.status == 429 else 403
            return status, {"message": text, **docs}, {"Retry-After": str(fault.retry_after)}
        if fault.kind == "primary":
            told = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()))}
            return 403, {"message": "API rate limit exceeded for user ID 1.", **docs}, told
        return fault.status, {"message": "Server Error"}, {}

    def _good(self, path: str, query: str, raw: bytes) -> tuple[int, Any, dict[str, str]]:
        hub = self.server.hub
        web = path in WEB
        try:
            body: Any = dict(parse_qsl(raw.decode())) if web else json.loads(raw) if raw else None
        except ValueError:
            return 400, {"message": "Problems parsing JSON", "documentation_url": "https://docs.github.com/rest"}, {}
        told = {name: values[0] for name, values in parse_qs(query).items()}
        asked = Asked(hub, self.command, path, told, body, None)
        try:
            if web:
                status, said = WEB[path](asked)
            else:
                self._known(asked)
                status, said = self._routed(asked)
        except Refused as error:
            docs = {"documentation_url": "https://docs.github.com/rest", "status": str(error.status)}
            status, said = error.status, {"message": error.message, **docs, **error.more}
        except Exception as error:
            hub.broken.append(error)
            status, said = 500, {"message": "Server Error"}
        hub.traffic.append(Exchange(self.command, path, told, body, status, said, not web))
        if status == 301:
            return status, said, {"Location": said["url"]}
        return status, *self._paged(asked, status, said)

    def _known(self, asked: Asked) -> None:
        kind, _, value = self.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and value.count(".") == 2:
            asked.jwt_app = _of_jwt(asked.hub, value)
        elif value:
            asked.token = asked.hub.tokens.get(value)
            if asked.token is None or asked.token.revoked:
                raise Refused(401, "Bad credentials")

    def _routed(self, asked: Asked) -> tuple[int, Any]:
        for method, pattern, does in ROUTES:
            if method == asked.method and (found := pattern.fullmatch(asked.path)):
                asked.names = {name: unquote(value) for name, value in found.groupdict().items()}
                return does(asked)
        raise Refused(404, "Not Found")

    def _paged(self, asked: Asked, status: int, said: Any) -> tuple[Any, dict[str, str]]:
        if not isinstance(said, list) or asked.method != "GET":
            return said, {}
        per, page = int(asked.query.get("per_page", 30)), int(asked.query.get("page", 1))
        rows = said[(page - 1) * per : page * per]
        if len(said) <= page * per:
            return rows, {}
        others = "&".join(f"{name}={value}" for name, value in asked.query.items() if name != "page")
        return rows, {"Link": f'<{asked.hub.url}{asked.path}?{others}&page={page + 1}>; rel="next"'}

    def _send(self, status: int, said: Any, headers: dict[str, str]) -> None:
        raw = b"" if said is None else json.dumps(said).encode()
        etag = f'W/"{objects._sha("answer", raw)}"'
        limits = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4990", "X-RateLimit-Reset": "4102444800"}
        if self.command == "GET" and status == 200 and self.headers.get("if-none-match") == etag:
            status, raw = 304, b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(raw)))
        if self.command == "GET" and status in (200, 304):
            self.send_header("ETag", etag)
        for name, value in {**limits, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)


def _of_jwt(hub: FakeGitHub, text: str) -> str:
    """The App that signed a JWT, as GitHub checks it: RS256, ten minutes at most."""
    for app_id, found in hub.apps.items():
        try:
            said = jwt.decode(text, found["key"], algorithms=["RS256"], options={"require": ["iat", "exp", "iss"]})
        except jwt.PyJWTError:
            continue
        if said["iss"] == app_id and said["exp"] - said["iat"] <= 600:
            return app_id
    raise Refused(401, "A JSON web token could not be decoded")
