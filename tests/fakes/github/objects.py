"""Git's objects, in memory: named as git names them, shared by a repository and its forks as at GitHub."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Commit:
    tree: str
    parents: tuple[str, ...]
    author: dict[str, str]
    committer: dict[str, str]
    message: str


@dataclass
class Objects:
    blobs: dict[str, bytes] = field(default_factory=dict)
    trees: dict[str, dict[str, tuple[str, str, str]]] = field(default_factory=dict)  # name -> (mode, type, sha)
    commits: dict[str, Commit] = field(default_factory=dict)

    def blob(self, content: bytes) -> str:
        sha = _sha("blob", content)
        self.blobs[sha] = content
        return sha

    def tree(self, files: dict[str, str]) -> str:
        """The tree with these blobs, by their paths."""
        here: dict[str, tuple[str, str, str]] = {}
        below: dict[str, dict[str, str]] = {}
        for path, sha in files.items():
            name, _, rest = path.partition("/")
            if rest:
                below.setdefault(name, {})[rest] = sha
            else:
                here[name] = ("100644", "blob", sha)
        here |= {name: ("040000", "tree", self.tree(rows)) for name, rows in below.items()}
        order = sorted(here, key=lambda name: name + "/" if here[name][1] == "tree" else name)
        raw = b"".join(f"{here[name][0].lstrip('0')} {name}\0".encode() + bytes.fromhex(here[name][2]) for name in order)
        sha = _sha("tree", raw)
        self.trees[sha] = {name: here[name] for name in order}
        return sha

    def files(self, tree: str, prefix: str = "") -> dict[str, str]:
        """The blobs of a tree, by their paths."""
        found = {}
        for name, (_, kind, sha) in self.trees[tree].items():
            found |= self.files(sha, f"{prefix}{name}/") if kind == "tree" else {f"{prefix}{name}": sha}
        return found

    def commit(
        self, tree: str, parents: tuple[str, ...], message: str, author: dict[str, str], committer: dict[str, str]
    ) -> str:
        lines = [f"tree {tree}", *(f"parent {one}" for one in parents)]
        lines += [
            f"{role} {who['name']} <{who['email']}> {_seconds(who['date'])} +0000"
            for role, who in (("author", author), ("committer", committer))
        ]
        sha = _sha("commit", ("\n".join(lines) + "\n\n" + message).encode())
        self.commits[sha] = Commit(tree, parents, author, committer, message)
        return sha

    def line(self, sha: str) -> list[str]:
        """A commit and all before it, newest first."""
        found, waiting = [], [sha]
        while waiting:
            one = waiting.pop(0)
            if one not in found:
                found.append(one)
                waiting += self.commits[one].parents
        return found


def _sha(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


def _seconds(date: str) -> int:
    return int(datetime.fromisoformat(date).timestamp())


def verification() -> dict[str, Any]:
    return {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}
