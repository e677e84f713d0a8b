"""Kill -9 between any two calls of GitHub's, and compare what there is on it with what an undisturbed stage leaves.

    python -m tests.faults.proposing [--every N] [--kinds new,edit,...]

Each kind is a story on the fake GitHub, which answers in a process of its own; the last stage of it is the disturbed one:

    new      the first proposal of somebody who has no fork yet, in a repository where they may label
    edit     the same draft again, edited and at another place, after the base moved on
    anew     the same draft again, after it was withdrawn and its branch went
    app      a proposal by the operator's App, in a branch of the repository itself
    line     an answer to a remark to a line
    comment  any other answer
    withdraw taking it back
    publish  a document into a repository of theirs that there is not yet, pushed to a real git over TLS

An attempt, in a fork, performs the stage; it counts points: before each request is sent and when its answer is there and
nobody has read it, before each command of git's and after, before each file takes its place and after. A round disturbs
the attempt at its n-th point:

    once     it is killed there; the next attempt ends the stage
    twice    the second attempt is killed as well, at some other point; the third ends the stage
    late     it stands still there and goes on when a whole other attempt is over (where that can be one: GitHub has no key
             for a comment, and who has looked whether there is one posts a second)

Rounds go on until an attempt is over before its n-th point. Then pull requests, their texts, labels and comments, every
branch down to the commit's name, and the run's folder are to be those of a stage that nobody disturbed.

Prints one JSON object: rounds, points by kind, and each difference found. More than 250 lines: stories, GitHub's process,
attempts and rounds are of one piece.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from difflib import unified_diff
from pathlib import Path
from typing import Any, TextIO

import anyio._backends._asyncio  # noqa: F401  # what takes its time is imported before the forks
import httpcore2  # noqa: F401
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pipeline import files
from pipeline.errors import LabError
from pipeline.github import client
from pipeline.stage import Job
from pipeline.stages import act as acting
from pipeline.stages import fetch
from pipeline.stages import propose as proposing
from pipeline.stages import publish as publishing
from tests.fakes.git_host import GitHost
from tests.fakes.github import FakeGitHub
from tests.faults.journal import Points as Writes
from tests.faults.journal import die, ended, forked
from tests.pipeline.proposing import conftest

REPO = "lab/taxonomy"
REVISED = conftest.QNA.replace("count: 4", "count: four")
MOVED = "compositional_skills/technology/tickets"
APP_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FILES = ("pull.md", "pull.json", "publish.json")
LATE = ("new", "edit", "anew", "app", "publish")  # the kinds that may be done by two at once

Stage = Callable[[Job], Mapping[str, str]]


@dataclass(frozen=True)
class Work:
    """A stage and what it is given: `given` changes the draft's run, `inputs` are an act's."""

    stage: Stage
    given: Mapping[str, Any]
    inputs: Mapping[str, Any] | None = None


FIRST = Work(proposing.propose, {})
AGAIN = Work(proposing.propose, {"run": "k7abcdef.2", "signed_at": 1767312900.0})
EDITED = Work(proposing.propose, {**AGAIN.given, "qna": REVISED, "leaf": MOVED})
BY_APP = Work(proposing.propose, {"given": {}})
ACT = {"repo": REPO, "number": "1412", "event": "slack:C1.1767312000", "name": "Alice"}
BACK = Work(acting.act, {"run": "t1withdr.1"}, {**ACT, "act": "withdraw"})
COMMENT = Work(acting.act, {"run": "t1answer.1"}, {**ACT, "act": "answer", "text": "Done, @dora."})
LINE = replace(COMMENT, inputs={**COMMENT.inputs, "kind": "line"})  # type: ignore[dict-item]
SIGNED = {name: conftest.INPUTS[name] for name in ("name", "mail", "signed_at")}
DOCUMENT = Work(publishing.publish, {"run": "k7abcdef.publish1"}, {**SIGNED, "file": "Tides.md", "about": "Sea & shore"})
DOCUMENTS = "alice/taxonomy-knowledge-docs"
KINDS: dict[str, tuple[Work | str, ...]] = {  # a word is what people do meanwhile: a method of `Served`
    "new": ("slow", FIRST),
    "edit": (FIRST, "moved", EDITED),
    "anew": (FIRST, BACK, AGAIN),
    "app": (BY_APP,),
    "line": (FIRST, "remarked", LINE),
    "comment": (FIRST, COMMENT),
    "withdraw": (FIRST, BACK),
    "publish": ("hosted", DOCUMENT),
}


# --- GitHub, in a process of its own


class Served:
    """What people do on it, and what there is at the end."""

    def __init__(self, hub: FakeGitHub, base: Path, open: ExitStack) -> None:
        self.hub, self.base, self.open = hub, base, open
        hub.repo(REPO, {"README.md": "A taxonomy\n", ".github/pull_request_template.md": "- [ ] I fed the cat\n"})
        hub.user("alice", conftest.TOKEN)
        hub.repos[REPO].members |= {"alice", "dora"}
        public = APP_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        hub.app("12", public.decode(), "labbot", REPO)

    def slow(self) -> None:
        self.hub.forks_wait = 2

    def moved(self) -> None:
        self.hub.push(REPO, "main", {"README.md": "Newer\n"})

    def hosted(self) -> dict[str, Any]:
        """Git's side of GitHub: where it is, and how a stage comes there."""
        self.host = GitHost(self.base / "host", tokens={conftest.TOKEN: "alice"})
        self.host.repo(DOCUMENTS, {"README.md": b"Mine\n"})
        net = {"allow": [self.hub.place, "127.0.0.1"], "ca": str(self.host.ca)}
        return {"web": self.open.enter_context(self.host.up()), "net": net}

    def remarked(self) -> dict[str, str]:
        pull = self.hub.pull(REPO)
        self.hub.reviews(pull, "dora", "CHANGES_REQUESTED", "keep the plural?", path=f"{conftest.LEAF}/qna.yaml", line=7)
        return {"remark": str(pull.lines[0]["id"])}

    def outcome(self) -> dict[str, Any]:
        """What there is, without the names that GitHub gives by chance."""
        repos = self.hub.repos
        return {
            "pulls": [self._pull(one) for repo in repos.values() for one in repo.pulls.values()],
            "branches": {name: dict(sorted(one.branches.items())) for name, one in sorted(repos.items())},
            "ahead": {f"{name}:{branch}": self._ahead(name, branch) for name, one in repos.items() for branch in one.branches},
            "documents": self._documents() if hasattr(self, "host") else [],
        }

    def _documents(self) -> list[str]:
        return [self.host.git(DOCUMENTS, *words) for words in (("log", "--format=%H %B", "main"), ("ls-tree", "-r", "main"))]

    def _pull(self, one: Any) -> dict[str, Any]:
        names = ("repo", "number", "author", "title", "body", "head", "branch", "base", "state", "labels")
        said = {name: [(row["by"], row["body"]) for row in getattr(one, name)] for name in ("comments", "lines")}
        return {name: getattr(one, name) for name in names} | said

    def _ahead(self, repo: str, branch: str) -> list[str]:
        return [self.hub.objects.commits[sha].message for sha in self.hub.commits(repo, branch)]


class Asked:
    """The other end of it."""

    def __init__(self, told: TextIO, asks: TextIO) -> None:
        self.told, self.asks = told, asks
        self.url = json.loads(told.readline())

    def __call__(self, word: str) -> Any:
        self.asks.write(f"{word}\n")
        self.asks.flush()
        return json.loads(self.told.readline())


@contextmanager
def served(base: Path) -> Iterator[Asked]:
    """A GitHub in a fork, since it has threads, and a process that forks must not."""
    (out, tell), (heard, ask) = os.pipe(), os.pipe()

    def work() -> None:
        os.close(ask)
        with FakeGitHub().up() as hub, os.fdopen(heard) as words, os.fdopen(tell, "w") as said, ExitStack() as open:
            there = Served(hub, base, open)
            said.write(json.dumps(hub.url) + "\n")
            said.flush()
            for word in words:
                said.write(json.dumps(getattr(there, word.strip())()) + "\n")
                said.flush()

    child = forked(work)
    os.close(tell)
    os.close(heard)
    with os.fdopen(out) as told, os.fdopen(ask, "w") as asks:
        yield Asked(told, asks)
    ended(child)


# --- attempts


class Points(Writes):
    """Counts requests and files."""

    def replace(self, source: Any, target: Any) -> None:
        self.point()
        os.replace(source, target)
        self.point()

    def watch(self) -> None:
        files.os = self  # type: ignore[assignment]  # it stands in for the module
        proposing.SLEEP = acting.SLEEP = publishing.SLEEP = _at_once  # type: ignore[assignment]
        asks, runs = client._Api._request, fetch.Source.git

        async def request(*given: Any) -> Any:
            self.point()
            answer = await asks(*given)
            self.point()
            return answer

        def git(*given: Any, **more: Any) -> Any:
            self.point()
            done = runs(*given, **more)
            self.point()
            return done

        client._Api._request, fetch.Source.git = request, git  # type: ignore[method-assign, assignment]


async def _at_once(seconds: float) -> None:
    """Nobody waits in real time."""


def attempt(stage: Stage, job: Job, points: Points) -> None:
    points.watch()
    stage(job)
    (job.folder / "count").write_text(str(points.count), encoding="utf-8")


def tried(stage: Stage, job: Job, at: int = 0) -> int:
    """An attempt in a fork: its points, or -1 if it was killed."""
    done = ended(forked(lambda: attempt(stage, job, Points(at, die))))
    return int((job.folder / "count").read_text(encoding="utf-8")) if done else -1


def once(stage: Stage, job: Job, at: int, points: int) -> None:
    if tried(stage, job, at) < 0:
        tried(stage, job)


def twice(stage: Stage, job: Job, at: int, points: int) -> None:
    if tried(stage, job, at) < 0 and tried(stage, job, at * 7919 % points + 1) < 0:
        tried(stage, job)


def late(stage: Stage, job: Job, at: int, points: int) -> None:
    (there, tell), (wait, wake) = os.pipe(), os.pipe()

    def stand() -> None:
        os.write(tell, b"x")
        os.read(wait, 1)

    def work() -> None:
        with suppress(LabError):  # nobody hears of it any more
            attempt(stage, job, Points(at, stand))

    child = forked(work)
    os.close(tell)
    os.read(there, 1)
    tried(stage, job)
    os.write(wake, b"x")
    ended(child)
    for handle in (there, wait, wake):
        os.close(handle)


# --- rounds


def told(hub: Asked, base: Path, work: Work, meanwhile: Mapping[str, Any]) -> Job:
    here = FakeGitHub(url=hub.url)  # only for what stages are told of it
    job = conftest.job(here, base, **work.given)
    web = "https://github.example"  # a name in the App's mail, and so in its commits
    job.settings["github"].update(
        {"app": "12", "web": web, **{name: meanwhile[name] for name in ("web", "net") if name in meanwhile}}
    )
    (job.folder / "upload").mkdir(exist_ok=True)
    (job.folder / "upload" / "Tides.md").write_text("# Tides\n\nThe sea rises.\n", encoding="utf-8")
    return replace(job, inputs={**work.inputs, "remark": meanwhile.get("remark", "")}) if work.inputs else job


def round(kind: str, base: Path, disturbed: Callable[[Stage, Job], Any]) -> tuple[dict[str, Any], Any]:
    """Tell a story, its last stage disturbed: what there is then, and what the disturbance returns."""
    base.mkdir()
    *before, last = KINDS[kind]
    meanwhile: dict[str, Any] = {}
    with served(base) as hub:
        for one in before:
            if isinstance(one, str):
                meanwhile |= hub(one) or {}
            else:
                tried(one.stage, told(hub, base, one, meanwhile))
        assert isinstance(last, Work)
        job = told(hub, base, last, meanwhile)
        found = disturbed(last.stage, job)
        kept = {name: (job.folder / name).read_text(encoding="utf-8") for name in FILES if (job.folder / name).is_file()}
        whole = json.dumps({**hub("outcome"), "files": kept})
        return json.loads(whole.replace(hub.url, "https://hub").replace(meanwhile.get("web", hub.url), "https://git")), found


def rounds(kind: str, every: int, base: Path) -> dict[str, Any]:
    whole, points = round(kind, base / f"{kind}-whole", tried)
    found: dict[str, Any] = {"rounds": 0, "points": points, "differences": expected(kind, whole)}
    for at in range(min(every, points) // 2 + 1, points + 1, every):
        for way in (once, twice, *([late] if kind in LATE else [])):
            name = f"{kind}-{way.__name__}-{at}"
            one, _ = round(kind, base / name, lambda stage, job, way=way, at=at: way(stage, job, at, points))  # type: ignore[misc]
            found["differences"] += [
                f"{name}: {part}: {apart(whole[part], one[part])}" for part in whole if whole[part] != one[part]
            ]
            found["rounds"] += 1
    return found


def apart(whole: Any, one: Any) -> list[str]:
    was, now = (json.dumps(part, indent=1, sort_keys=True).splitlines() for part in (whole, one))
    return [line[:300] for line in unified_diff(was, now, lineterm="", n=0)][2:12]


def expected(kind: str, whole: Mapping[str, Any]) -> list[str]:
    """What is wrong with an undisturbed one: without this, the same mistake each time would pass."""
    pulls = [one["state"] for one in whole["pulls"]]
    wanted = {"withdraw": ["closed"], "anew": ["closed", "open"], "publish": []}.get(kind, ["open"])
    commits = [len(ahead) for name, ahead in whole["ahead"].items() if ":labbot/" in name]
    ours = {"edit": [2], "withdraw": [], "publish": []}.get(kind, [1])
    said = [len(one["comments"]) + len(one["lines"]) for one in whole["pulls"]]
    comments = {"line": [2], "comment": [1], "withdraw": [1], "anew": [1, 0], "publish": []}.get(kind, [0])
    rows = (("pulls", pulls, wanted), ("commits", commits, ours), ("comments", said, comments))
    return [f"{kind}: {what} {here}, not {there}" for what, here, there in rows if here != there]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--every", type=int, default=1, help="try every N-th point only")
    options.add_argument("--kinds", default=",".join(KINDS), help="only these")
    given = options.parse_args()
    os.environ["LABBOT_VAULT_KEY"] = conftest.KEY
    os.environ["LABBOT_GITHUB_APP_KEY"] = APP_KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    with tempfile.TemporaryDirectory(prefix="labbot-proposing-") as base:
        kinds = {kind: rounds(kind, given.every, Path(base)) for kind in given.kinds.split(",")}
    differences = [one for found in kinds.values() for one in found.pop("differences")]
    print(json.dumps({**kinds, "differences": differences}, indent=1))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
