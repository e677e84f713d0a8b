"""The stage that proposes an entry: one signed-off commit on a branch of the taxonomy's checkout.

The commit is made with git's plumbing (blobs, an index of its own, a tree, a commit, a reference): the checkout's
working tree, index and current branch are never touched, dirty or not, and no hook runs. Doing it again finds the
branch with the same files and makes no second commit; a later revision of the draft adds one to the same branch.
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import Failed, Invalid, Problem
from pipeline.files import write
from pipeline.stage import Job
from pipeline.taxonomy import GROUNDED_SKILLS, KNOWLEDGE, SKILLS, path_problems

FILES = ("qna.yaml", "attribution.txt")
GIT_S = 60.0  # longest time for one git command
SUBJECT = 72  # characters of a commit's first line
QUOTED = 1000  # characters of an answer in the pull request's text: with 15 questions well below GitHub's 65,536 for all
VERDICTS = {
    "worth": "Worth teaching",
    "known": "Known already",
    "mixed": "Partly known already",
    "uncertain": "Not certain whether it is known already",
}
KINDS = {SKILLS: "freeform skill", GROUNDED_SKILLS: "grounded skill", KNOWLEDGE: "piece of knowledge"}
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


def propose(job: Job) -> Mapping[str, str]:
    """Put the entry on a branch; see to it that nothing is overwritten unasked and no second commit is made.

    Raises Invalid where the checkout or the place cannot be used, Failed with git's words where git refuses.
    """
    checkout, base = _opened(job.settings)
    leaf, root = str(job.inputs["leaf"]), str(job.inputs["root"])
    _fits(checkout, base, leaf, root, replaces=bool(job.inputs["replaces"]))
    draft = job.folder.name.partition(".")[0]
    branch = checkout.branch_like(f"labbot/*-{draft}") or f"labbot/{leaf.rpartition('/')[2]}-{draft}"
    job.report(0.3, {"stage": "propose"})
    blobs = {f"{leaf}/{name}": _store(checkout, job.folder / "entry" / name) for name in FILES}
    tip = checkout.commit_of(branch)
    fork = checkout.git("merge-base", base, tip) if tip else base
    tree = _tree(checkout, fork, blobs, job.folder)
    if not tip or checkout.git("rev-parse", f"{tip}^{{tree}}") != tree:
        tip = _commit(checkout, branch, tip, base, tree, job)
    job.report(0.8, {"stage": "propose"})
    pull = job.folder / "pull.md"
    write(pull, pull_text(job))
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
    commit = checkout.git("commit-tree", tree, "-p", tip or base, text=_message(job), env=who)
    checkout.git("update-ref", f"refs/heads/{branch}", commit, tip or "0" * 40)
    return commit


def _message(job: Job) -> str:
    leaf = str(job.inputs["leaf"])
    kind = "knowledge" if job.inputs["root"] == KNOWLEDGE else "skill"
    subject = f"Add {kind} {leaf.partition('/')[2]}"
    subject = subject if len(subject) <= SUBJECT else f"Add {kind} {leaf.rpartition('/')[2]}"[:SUBJECT]
    description = _mute(" ".join(str(job.inputs["description"]).split()))
    return f"{subject}\n\n{description}\n\nSigned-off-by: {job.inputs['name']} <{job.inputs['mail']}>\n"


def pull_text(job: Job) -> str:
    """The pull request's text in upstream's template; what nobody has done yet is said, never ticked."""
    template = Path(job.settings["template"]).read_text(encoding="utf-8")
    qna = (job.folder / "entry" / "qna.yaml").read_text(encoding="utf-8")
    facts = {
        "kind": KINDS[str(job.inputs["root"])],
        "leaf": str(job.inputs["leaf"]),
        "description": _quoted(str(job.inputs["description"])),
        "fence": "`" * max(3, 1 + max(map(len, re.findall(r"`+", qna)), default=0)),
        "qna": qna.rstrip("\n"),
        "response": _response(job.folder / "precheck.json"),
    }
    return template.format(**facts)


def _response(path: Path) -> str:
    """What the model answered before, question by question, beside the contributor; or that nobody asked it."""
    try:
        found = json.loads(path.read_bytes())
        return "\n\n".join([_asked(found), *(_answered(*one) for one in enumerate(found["questions"], 1))])
    except FileNotFoundError:
        return "Not asked: there was no precheck."
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"{path} cannot be read ({error}); a new precheck writes it anew") from error


def _asked(found: Mapping[str, Any]) -> str:
    counts = {state: int(found["counts"][state]) for state in ("gap", "known", "uncertain")}
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    names = [_inline(str(found[role]["name"]) or "a model without a name") for role in ("model", "judge")]
    verdict, chance = VERDICTS[found["verdict"]], f", {found['confidence']:.0%} sure" if found["confidence"] else ""
    return f"{names[0]} was asked each question; {names[1]} and plain measures judged: {told}. {verdict}{chance}."


def _answered(number: int, row: Mapping[str, str]) -> str:
    parts = {"Input": row["question"], "The contributor's answer": row["wanted"], "The model's answer today": row["said"]}
    quotes = [f"{name}:\n\n{_quoted(_clipped(text) or '(nothing)')}" for name, text in parts.items()]
    return "\n\n".join([f"**{number}. {_inline(row['state'])}.** {_inline(row['reason'])}", *quotes])


def _clipped(text: str) -> str:
    return text if len(text) <= QUOTED else f"{text[:QUOTED].rstrip()} …"


def _inline(text: str) -> str:
    return _escaped(" ".join(text.split()))


def _quoted(text: str) -> str:
    """A person's text as a markdown quotation: it pings nobody and starts no list, heading or tag."""
    return "\n".join(f"> {line}" for line in _escaped(text).splitlines() or [""])  # markdown ends a line at \r too


def _escaped(text: str) -> str:
    return _mute(re.sub(r"([\\`*_#<>\[\]!|&])", r"\\\1", text))


def _mute(text: str) -> str:
    """Take mentions out: GitHub reads them after markdown and in commits, where no backslash helps (github/markup#1168)."""
    return text.replace("@", "@\u200b")
