"""What there is on the fake GitHub, and what people do there."""

import itertools
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fakes.github.objects import Objects

BEGIN = datetime(2026, 1, 5, 10, tzinfo=UTC)
LABELS = ("skill", "knowledge", "triage-needed", "triage-requested-changes", "triage-approved", "stale")


@dataclass
class User:
    login: str
    id: int
    kind: str = "User"


@dataclass
class Token:
    """`repos`: what an App's token may touch, None for all that the user may. `expires_s`: told where it was granted."""

    user: User
    scopes: tuple[str, ...] = ()
    repos: tuple[str, ...] | None = None
    revoked: bool = False


@dataclass
class Repo:
    name: str  # OWNER/NAME
    id: int
    branches: dict[str, str] = field(default_factory=dict)
    private: bool = False
    archived: bool = False
    parent: str = ""
    labels: tuple[str, ...] = LABELS
    members: set[str] = field(default_factory=set)  # beside the owner
    pulls: dict[int, "Pull"] = field(default_factory=dict)
    hidden: int = 0  # for so many requests a fork's branches are not there yet
    moved_to: str = ""
    checks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # check runs by commit
    notes: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # annotations by check run
    statuses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by commit, newest first

    @property
    def owner(self) -> str:
        return self.name.partition("/")[0]


@dataclass
class Pull:
    repo: str
    number: int
    author: str
    title: str
    body: str
    head: str  # OWNER/NAME
    branch: str
    base: str
    created: datetime
    updated: datetime
    state: str = "open"
    merged: datetime | None = None
    labels: list[str] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    reviews: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    tip: str = ""  # its newest commit when it was closed: GitHub keeps that, whatever becomes of the branch


@dataclass
class Device:
    user_code: str
    device_code: str
    interval: int = 0
    by: str = ""  # who typed it in
    denied: bool = False
    expired: bool = False


class World:
    """All of it. What people do there is a method each; tests call them while the server answers in its own thread."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.objects = Objects()
        self.users: dict[str, User] = {}
        self.tokens: dict[str, Token] = {}
        self.repos: dict[str, Repo] = {}
        self.apps: dict[str, dict[str, Any]] = {}
        self.devices: dict[str, Device] = {}
        self.clients: set[str] = set()
        self.refreshes: dict[str, str] = {}  # a refresh token -> login
        self.hurried = 0  # so many more polls are told to slow down
        self.token_s = 0  # how long granted tokens are good, 0 for ever
        self.forks_wait = 0
        self._ids = itertools.count(101)
        self._minted = itertools.count(1)
        self._ticks = itertools.count()

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=next(self._ticks))

    def id(self) -> int:
        return next(self._ids)

    # --- who and what there is

    def user(self, login: str, token: str = "", scopes: tuple[str, ...] = ("public_repo",), kind: str = "User") -> User:
        found = self.users.setdefault(login, User(login, self.id(), kind))
        if token:
            self.tokens[token] = Token(found, scopes)
        return found

    def repo(self, name: str, files: dict[str, str] | None = None, *, private: bool = False, archived: bool = False) -> Repo:
        self.user(name.partition("/")[0])
        made = self.repos[name] = Repo(name, self.id(), private=private, archived=archived)
        if files is not None:
            self.push(name, "main", files, "Begin", parents=())
        return made

    def app(self, app_id: str, key: str, slug: str, *installed: str) -> None:
        """An App, its public key as PEM, and where it is installed."""
        self.user(f"{slug}[bot]", kind="Bot")
        granted = {**dict.fromkeys(("contents", "issues", "pull_requests"), "write"), "checks": "read", "statuses": "read"}
        self.apps[app_id] = {"key": key, "slug": slug, "installed": installed, "id": self.id(), "granted": granted}

    def minted(self, prefix: str = "gho") -> str:
        """A token, in the form of GitHub's and easily found where it should not be."""
        return f"{prefix}_PLANTEDTOKEN{next(self._minted):024d}"

    def files(self, repo: str, ref: str = "main") -> dict[str, bytes]:
        tip = self.repos[repo].branches.get(ref, ref)
        tree = self.objects.commits[tip].tree
        return {path: self.objects.blobs[sha] for path, sha in self.objects.files(tree).items()}

    def commits(self, repo: str, branch: str, since: str = "main") -> list[str]:
        """The commits of a branch that another has not, newest first."""
        there = self.repos[repo].branches
        before = set(self.objects.line(there[since])) if since in there else set()
        return [one for one in self.objects.line(there[branch]) if one not in before]

    def push(
        self,
        repo: str,
        branch: str,
        files: dict[str, str | None],
        message: str = "Change",
        parents: tuple[str, ...] | None = None,
    ) -> str:
        """Somebody's commit of these files, None for one that goes."""
        with self.lock:
            there = self.repos[repo].branches
            tip = there.get(branch, "")
            before = self.objects.files(self.objects.commits[tip].tree) if tip else {}
            rows = {path: self.objects.blob(text.encode()) for path, text in files.items() if text is not None}
            kept = {path: sha for path, sha in before.items() if path not in files}
            who = {"name": "Dora", "email": "dora@lab.example", "date": self.now().isoformat().replace("+00:00", "Z")}
            line = parents if parents is not None else (tip,) if tip else ()
            there[branch] = self.objects.commit(self.objects.tree({**kept, **rows}), line, message, who, who)
            return there[branch]

    # --- what people do to a pull request

    def pull(self, repo: str, number: int = 0) -> Pull:
        """The one of that number, or the newest."""
        pulls = self.repos[repo].pulls
        return pulls[number or max(pulls)]

    def head(self, pull: Pull) -> str:
        return pull.tip if pull.state == "closed" and pull.tip else self.repos[pull.head].branches[pull.branch]

    def says(self, pull: Pull, by: str, text: str) -> dict[str, Any]:
        with self.lock:
            row = {"id": self.id(), "by": by, "body": text, "at": self._touched(pull)}
            pull.comments.append(row)
            return row

    def reviews(self, pull: Pull, by: str, state: str, text: str = "", path: str = "", line: int = 0) -> None:
        """`state`: APPROVED, CHANGES_REQUESTED, COMMENTED or DISMISSED; with a path, `text` is said to that line."""
        with self.lock:
            self.user(by)
            at, body = self._touched(pull), "" if path else text
            pull.reviews.append({"id": self.id(), "by": by, "body": body, "state": state, "at": at})
            if path:
                row = {"id": self.id(), "by": by, "body": text, "path": path, "line": line, "at": at, "reply": 0}
                pull.lines.append(row)

    def check(self, pull: Pull, name: str, conclusion: str | None, notes: tuple[tuple[str, int, str], ...] = ()) -> None:
        """A check run of the newest commit; `conclusion` None while it runs."""
        with self.lock:
            runs = self.repos[pull.repo].checks.setdefault(self.head(pull), [])
            found = next((one for one in runs if one["name"] == name), None)
            if found is None:
                found = {"id": self.id(), "name": name, "at": self.now()}
                runs.append(found)
            found |= {"conclusion": conclusion, "notes": len(notes)}
            self.repos[pull.repo].notes[found["id"]] = [
                {"path": path, "line": line, "message": text} for path, line, text in notes
            ]

    def status(self, pull: Pull, context: str, state: str, text: str = "") -> None:
        """A commit status of the newest commit: "success", "pending", "failure" or "error"."""
        with self.lock:
            rows = self.repos[pull.repo].statuses.setdefault(self.head(pull), [])
            kept = [one for one in rows if one["context"] != context]
            rows[:] = [{"id": self.id(), "context": context, "state": state, "text": text, "at": self.now()}, *kept]

    def label(self, pull: Pull, name: str) -> None:
        with self.lock:
            self._touched(pull)
            pull.labels = [*(one for one in pull.labels if one != name), name]

    def unlabel(self, pull: Pull, name: str) -> None:
        with self.lock:
            self._touched(pull)
            pull.labels = [one for one in pull.labels if one != name]

    def merge(self, pull: Pull) -> None:
        with self.lock:
            self.close(pull)
            pull.merged = pull.updated
            self.repos[pull.repo].branches[pull.base] = pull.tip

    def close(self, pull: Pull) -> None:
        with self.lock:
            pull.state, pull.tip = "closed", self.head(pull)
            self._touched(pull)

    def reopen(self, pull: Pull) -> None:
        with self.lock:
            pull.state, pull.tip = "open", ""
            self._touched(pull)

    def revoke(self, token: str) -> None:
        self.tokens[token].revoked = True

    def unlinked(self, login: str) -> None:
        """Somebody takes every token away that they gave."""
        for one in self.tokens.values():
            one.revoked = one.revoked or one.user.login == login

    def approve(self, user_code: str, login: str) -> None:
        """Somebody types a code in at /login/device and agrees."""
        self.user(login)
        self._device(user_code).by = login

    def deny(self, user_code: str) -> None:
        self._device(user_code).denied = True

    def expire(self, user_code: str) -> None:
        self._device(user_code).expired = True

    def _device(self, user_code: str) -> Device:
        return next(one for one in self.devices.values() if one.user_code == user_code)

    def _touched(self, pull: Pull) -> datetime:
        pull.updated = self.now()
        return pull.updated

    def may(self, token: Token | None, repo: Repo, right: str = "push") -> bool:
        """Whether a token may do that in a repository."""
        if token is None:
            return False
        if token.repos is not None:
            return repo.name in token.repos
        return token.user.login == repo.owner or token.user.login in repo.members

    def association(self, repo: Repo, login: str) -> str:
        if login == repo.owner:
            return "OWNER"
        return "MEMBER" if login in repo.members else "CONTRIBUTOR" if re.search(r"\[bot\]$", login) else "NONE"
