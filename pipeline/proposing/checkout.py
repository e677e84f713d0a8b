"""A proposal as a branch of the taxonomy's checkout: one signed-off commit, where no repository of GitHub's is named.

The commit is made with git's plumbing (blobs, an index of its own, a tree, a commit, a reference): the checkout's
working tree, index and current branch are never touched, dirty or not, and no hook runs. Doing it again finds the
branch with the same files and makes no second commit; a later revision of the draft adds one to the same branch.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import Failed, Invalid, Problem
from pipeline.files import write
from pipeline.proposing import body, message
from pipeline.stage import Job
from pipeline.taxonomy import path_problems

FILES = ("qna.yaml", "attribution.txt")
GIT_S = 60.0  # longest time for one git command
# Settings of the checkout that would run a program, write beside the index given here, or change a commit's bytes.
OVERRULED = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.splitIndex=false", "i18n.commitEncoding=UTF-8")


@dataclass(frozen=True, slots=True)
class Checkout:
    """A git repository that is only spoken to through plumbing commands."""

    folder: Path

    def git(self, *words: str, text: str | None = None, env: Mapping[str, str] | None = None) -> str:
        """Run git without a shell, hooks, prompts or the caller's identity; return what it prints, stripped.

        Raises Failed with git's own words.
        """
        overruled = [word for setting in (*OVERRULED, "core.quotePath=false") for word in ("-c", setting)]
        command = ["git", *overruled, "-C", str(self.folder), *words]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        try:
            done = subprocess.run(
                command,
                input=text,
                capture_output=True,
                text=True,
                encoding="utf-8",
                env={**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", **(env or {})},
                timeout=GIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed(f"git {words[0]} did not run: {error}") from error
        if done.returncode:
            raise Failed(f"git {words[0]}: {done.stderr.strip() or f'status {done.returncode}'}")
        return done.stdout.strip()

    def commit_of(self, name: str) -> str:
        """The commit that a branch points to; "" if there is no such branch."""
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{name}")

    def branch_like(self, pattern: str) -> str:
        """The name of the first branch that a pattern of git's fits; "" if there is none."""
        return self.git("for-each-ref", "--count=1", "--format=%(refname:short)", f"refs/heads/{pattern}")

    def blob_of(self, commit: str, path: str) -> str:
        """The blob of a file in a commit; "" if it is not there."""
        row = self.git("ls-tree", commit, "--", path)
        return row.split()[2] if row else ""


def on_checkout(job: Job) -> Mapping[str, str]:
    """Put the entry on a branch; see to it that nothing is overwritten unasked and no second commit is made.

    Raises Invalid where the checkout or the place cannot be used, Failed with git's words where git refuses.
    """
    checkout, base = _opened(job.settings)
    leaf, root = str(job.inputs["leaf"]), str(job.inputs["root"])
    _fits(checkout, base, leaf, root, replaces=bool(job.inputs["replaces"]))
    draft = message.draft(job)
    branch = checkout.branch_like(message.branch("*", draft)) or message.branch(leaf, draft)
    job.report(0.3, {"stage": "propose"})
    blobs = {f"{leaf}/{name}": _store(checkout, job.folder / "entry" / name) for name in FILES}
    tip = checkout.commit_of(branch)
    fork = checkout.git("merge-base", base, tip) if tip else base
    tree = _tree(checkout, fork, blobs, job.folder)
    if not tip or checkout.git("rev-parse", f"{tip}^{{tree}}") != tree:
        tip = _commit(checkout, branch, tip, base, tree, job)
    job.report(0.8, {"stage": "propose"})
    pull = job.folder / "pull.md"
    write(pull, body.text(job, Path(job.settings["template"]).read_text(encoding="utf-8")))
    facts = {"branch": branch, "commit": tip[:12], "pull": f"runs/{job.folder.name}/{pull.name}"}
    write(job.folder / "pull.json", json.dumps({**facts, "commit": tip, "leaf": leaf}, indent=1))
    return facts


def _opened(settings: Mapping[str, Any]) -> tuple[Checkout, str]:
    """The configured checkout and the commit that proposals start from."""
    folder, branch = Path(settings["path"]), str(settings["branch"])
    if not folder.is_dir():
        raise Invalid(Problem("checkout.missing", "the taxonomy folder is not there", str(folder), "Set taxonomy.path."))
    checkout = Checkout(folder)
    try:
        top = checkout.git("rev-parse", "--show-toplevel")
    except Failed as error:
        fix = f"Clone the taxonomy there, or set taxonomy.path. Git says: {error}"
        raise Invalid(Problem("checkout.no_git", "the taxonomy folder is no git checkout", str(folder), fix)) from None
    if Path(top).resolve() != folder.resolve():
        fix = f"Set taxonomy.path to {top}, if that is it."
        raise Invalid(Problem("checkout.no_git", "the taxonomy folder is no git checkout itself", str(folder), fix))
    base = checkout.commit_of(branch)
    if not base:
        raise Invalid(Problem("checkout.branch", f"there is no branch {branch!r}", str(folder), "Set taxonomy.branch."))
    return checkout, base


def _fits(checkout: Checkout, base: str, leaf: str, root: str, *, replaces: bool) -> None:
    """Refuse a place that leads elsewhere, that is a file, or that has an entry nobody asked to replace."""
    if problems := path_problems(leaf, root):
        raise Invalid(*problems)
    parts = leaf.split("/")
    for depth in range(1, len(parts) + 1):
        path = "/".join(parts[:depth])
        row, lying = checkout.git("ls-tree", base, "--", path), checkout.folder / path
        if (row and row.split()[1] != "tree") or lying.is_symlink() or lying.is_file():
            raise Invalid(Problem("leaf.symlink", "a part of that path is a link or a file", path, "Choose another place."))
    there = checkout.blob_of(base, f"{leaf}/qna.yaml") or (checkout.folder / leaf / "qna.yaml").exists()
    if there and not replaces:
        fix = "Choose another place, or say that it is to be replaced."
        raise Invalid(Problem("leaf.taken", "another entry has this place already", leaf, fix))


def _store(checkout: Checkout, path: Path) -> str:
    return checkout.git("hash-object", "-w", "--no-filters", "--", str(path.resolve()))


def _tree(checkout: Checkout, fork: str, blobs: Mapping[str, str], folder: Path) -> str:
    """The tree that a branch should have: the commit it forked from, and this entry; nothing of an earlier place."""
    with tempfile.TemporaryDirectory(prefix=".index-", dir=folder.resolve()) as temporary:
        index = {"GIT_INDEX_FILE": str(Path(temporary) / "index")}
        checkout.git("read-tree", fork, env=index)
        rows = "".join(f"100644 {blob}\t{path}\n" for path, blob in blobs.items())
        checkout.git("update-index", "--add", "--index-info", text=rows, env=index)
        return checkout.git("write-tree", env=index)


def _commit(checkout: Checkout, branch: str, tip: str, base: str, tree: str, job: Job) -> str:
    """Commit the tree on top of the branch (or of the base, for a new one) and move the branch there."""
    name, mail = str(job.inputs["name"]), str(job.inputs["mail"])
    when = f"@{int(job.inputs['signed_at'])} +0000"  # the time of the consent: a second attempt makes the same commit
    identity = {"NAME": name, "EMAIL": mail, "DATE": when}
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in identity.items()}
    commit = checkout.git("commit-tree", tree, "-p", tip or base, text=message.commit(job), env=who)
    checkout.git("update-ref", f"refs/heads/{branch}", commit, tip or "0" * 40)
    return commit
