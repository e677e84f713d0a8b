"""What labbot asks of GitHub, and what the fake answers, is valid by GitHub's own description of its API.

Stories are told from their beginning to their end; every request of theirs and every answer is recorded and judged.
"""

import asyncio
import inspect
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pipeline.errors import Invalid
from pipeline.github import device, identity, reading
from pipeline.github.client import GitHub, at, hub_of
from pipeline.github.reading import Seen
from pipeline.stage import Job
from pipeline.stages.act import act
from pipeline.stages.comment import comment
from pipeline.stages.examine import examine
from pipeline.stages.propose import propose
from tests.conftest import HOME
from tests.fakes.github import Exchange, FakeGitHub
from tests.fakes.github.oracle import Oracle, fetch, oracle
from tests.fakes.github.server import ROUTES
from tests.pipeline.github import scene
from tests.pipeline.proposing.conftest import KEY as VAULT_KEY
from tests.pipeline.proposing.conftest import LEAF, QNA, TOKEN, job

KEY = rsa.generate_private_key(65537, 2048)
PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
REPO = "lab/taxonomy"
MOVED = "compositional_skills/technology/tickets"


@pytest.fixture(scope="module")
def github() -> Oracle:
    if why := fetch():
        pytest.skip(why)
    return oracle()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    async def none(seconds: float) -> None: ...

    for stage in ("propose", "act", "comment", "examine"):
        monkeypatch.setattr(f"pipeline.stages.{stage}.SLEEP", none)
    monkeypatch.setenv("LABBOT_VAULT_KEY", VAULT_KEY)
    monkeypatch.setenv("LABBOT_GITHUB_APP_KEY", PRIVATE)
    with FakeGitHub().up() as hub:
        files = {"README.md": "A taxonomy\n", ".github/pull_request_template.md": "- [ ] I fed the cat\n"}
        hub.repo(REPO, files)
        hub.user("alice", TOKEN)
        hub.app("12", PUBLIC, "labbot", REPO)
        hub.clients.add("Iv1.labbot")
        yield hub


def by_app(made: Job) -> Job:
    made.settings["github"]["app"] = "12"
    return made


def work(hub: FakeGitHub, folder: Path, **inputs: Any) -> Job:
    return replace(job(hub, folder), inputs={"repo": REPO, "number": "1412", "event": "slack:1.2", "name": "Alice", **inputs})


# --- the stories


def proposed(hub: FakeGitHub, folder: Path) -> None:
    """A first proposal to a fork that is not ready at once, edited and moved after the base went on, taken back, made anew."""
    hub.repos[REPO].members.add("alice")
    hub.forks_wait = 1
    propose(job(hub, folder))
    hub.push(REPO, "main", {"README.md": "Newer\n"})
    propose(job(hub, folder, run="k7abcdef.2", qna=QNA.replace("count: 4", "four"), leaf=MOVED, signed_at=1767312900.0))
    hub.close(hub.pull(REPO))
    propose(job(hub, folder, run="k7abcdef.2", leaf=MOVED, signed_at=1767312900.0))
    act(work(hub, folder, act="withdraw"))
    propose(job(hub, folder, run="k7abcdef.3", signed_at=1767313900.0))


def by_the_app(hub: FakeGitHub, folder: Path) -> None:
    propose(by_app(job(hub, folder, given={})))


def refused(hub: FakeGitHub, folder: Path) -> None:
    """What is in the way, one thing after the other."""
    repo = hub.repos[REPO]
    propose(job(hub, folder))
    hub.push("alice/taxonomy", "main", {"mine.md": "mine\n"})
    hub.push(REPO, "main", {"README.md": "Newer\n"})
    no(lambda: propose(job(hub, folder, run="k2222222.1", leaf=MOVED)))
    repo.private = True
    no(lambda: propose(job(hub, folder)))
    repo.private, repo.archived = False, True
    no(lambda: propose(job(hub, folder)))
    hub.repo("lab/renamed", {})
    repo.archived, repo.moved_to = False, "lab/renamed"
    no(lambda: propose(job(hub, folder)))
    repo.moved_to = ""
    hub.revoke(TOKEN)
    no(lambda: propose(job(hub, folder)))


def no(ask: Callable[[], object]) -> None:
    with pytest.raises(Invalid):
        ask()


def answered(hub: FakeGitHub, folder: Path) -> None:
    propose(job(hub, folder))
    pull = hub.pull(REPO)
    hub.reviews(pull, "dora", "CHANGES_REQUESTED", "keep the plural?", path=f"{LEAF}/qna.yaml", line=7)
    act(work(hub, folder, act="answer", text="Yes.", remark=str(pull.lines[0]["id"]), kind="line"))
    act(work(hub, folder, act="answer", text="Done.", event="slack:1.3"))


async def followed(hub: FakeGitHub, folder: Path) -> None:
    """All that happens to one: checks and statuses, remarks, labels, approvals, the merge; some of it in several pages."""
    hub.repos[REPO].members |= {"dora", "emil"}
    pull = scene.proposed(hub)
    hub.check(pull, "lint", "failure", ((f"{LEAF}/qna.yaml", 4, "line too long"),))
    hub.status(pull, "dco", "pending", "Waiting")
    async with GitHub(hub_of(hub.settings()), TOKEN) as github:
        seen = await reading.read(github, REPO, pull.number, Seen(), 0.0)
        for number in range(101):
            hub.says(pull, "dora", f"{number}")
        hub.reviews(pull, "dora", "COMMENTED", "Plural?", f"{LEAF}/qna.yaml", 4)
        hub.reviews(pull, "emil", "APPROVED", "LGTM")
        hub.check(pull, "lint", "success")
        hub.status(pull, "dco", "success")
        hub.label(pull, "triage-approved")
        seen = await reading.read(github, REPO, pull.number, seen, 1.0)
        await reading.waiting(github, REPO)
        hub.merge(pull)
        found = await reading.read(github, REPO, pull.number, seen, 2.0)
    assert found.pull and found.pull.state == "merged"


def triaged(hub: FakeGitHub, folder: Path) -> None:
    """Read by a triager, the table below it, twice."""
    propose(job(hub, folder))
    made = work(hub, folder, number="1412", then="")
    (folder / "taxonomy").mkdir()
    more = {"home": str(HOME), "taxonomy": str(folder / "taxonomy"), "cache": str(folder / "cache")}
    made = replace(made, settings={**made.settings, **more, "github": hub.settings(comments=True)})
    examine(made)
    comment(made)
    table = json.loads((made.folder / "triage.json").read_bytes())
    (made.folder / "triage.json").write_text(json.dumps({**table, "head": "0" * 40}), encoding="utf-8")
    comment(made)
    assert len(hub.pull(REPO).comments) == 1


async def linked(hub: FakeGitHub, folder: Path) -> None:
    """An account comes by a code; the App reads; a repository for documents is made."""
    shown = await device.begin(hub_of(hub.settings()), "Iv1.labbot", ("public_repo",))
    hub.approve(shown.user_code, "alice")
    grant = await device.poll(hub_of(hub.settings()), "Iv1.labbot", shown)
    assert grant
    await device.whose(hub_of(hub.settings()), grant.token)
    app = await identity.app(hub.settings(app="12"), {"LABBOT_GITHUB_APP_KEY": PRIVATE}, REPO)
    async with GitHub(hub_of(hub.settings()), app.token) as github:
        await github.get(at("repos", REPO))
    async with GitHub(hub_of(hub.settings()), grant.token) as github:
        await github.post("/user/repos", {"name": "taxonomy-knowledge-docs"})
        await github.get(at("users", "alice"))


STORIES = (proposed, by_the_app, refused, answered, followed, triaged, linked)


@pytest.fixture(scope="module")
def told() -> dict[str, list[Exchange]]:
    """The traffic of the stories that were told so far."""
    return {}


@pytest.mark.parametrize("story", STORIES)
async def test_every_request_and_answer_of_a_story_is_valid(
    github: Oracle, hub: FakeGitHub, tmp_path: Path, told: dict[str, list[Exchange]], story: Callable[[FakeGitHub, Path], Any]
) -> None:
    if inspect.iscoroutinefunction(story):
        await story(hub, tmp_path)
    else:
        await asyncio.to_thread(story, hub, tmp_path)
    told[story.__name__] = hub.traffic

    assert hub.traffic
    assert held(github, hub) == []


def held(github: Oracle, hub: FakeGitHub) -> list[str]:
    return sorted({what for one in hub.traffic if one.api for what in github.wrong(described(one))})


def described(one: Exchange) -> Exchange:
    """A repository by its number, where a renamed one leads, GitHub's description has not: it is told by its name."""
    return replace(one, path=re.sub(r"^/repositories/\d+$", "/repos/lab/taxonomy", one.path))


def test_no_route_of_the_fake_is_left_unjudged(github: Oracle, told: dict[str, list[Exchange]]) -> None:
    if len(told) < len(STORIES):
        pytest.skip("not all stories were told")
    spoken = {(one.method, one.path) for traffic in told.values() for one in traffic if one.status < 300}
    left = [
        f"{method} {pattern.pattern}"
        for method, pattern, _ in ROUTES
        if not any(method == done and pattern.fullmatch(path) for done, path in spoken)
    ]

    assert left == []


def test_the_description_refuses_what_github_would(github: Oracle) -> None:
    asked = {"content": "x", "encoding": "utf-8"}
    good = Exchange("POST", "/repos/a/b/git/blobs", {}, asked, 201, {"url": "https://a/b", "sha": "0" * 40})

    assert github.wrong(good) == []
    for bad in (
        replace(good, asked={"encoding": "utf-8"}),
        replace(good, asked={**asked, "contents": "x"}),
        replace(good, said={"url": "https://a/b"}),
        replace(good, status=200),
        replace(good, method="PUT"),
        Exchange("GET", "/repos/a/b/pulls", {"state": "gone"}, None, 200, []),
        Exchange("GET", "/repos/a/b/pulls", {"sorted": "1"}, None, 200, []),
        Exchange("GET", "/nowhere", {}, None, 200, []),
    ):
        assert github.wrong(bad), bad
