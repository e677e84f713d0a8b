"""A document lands in its author's repository once, by a real git over TLS; the token is nowhere but in git's environment."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import publishing, recipe, vault
from pipeline.errors import Failed, Invalid, Temporary
from pipeline.patterns import allowed, matches
from pipeline.pool import layout
from pipeline.publishing import document, slug
from pipeline.stage import Job, perform
from pipeline.stages import fetch, publish
from tests.fakes.git_host import GitHost
from tests.fakes.github import FakeGitHub, Fault
from tests.pipeline.test_texts import pdf

TOKEN = "gho_PLANTEDTOKENofalice000000000000000001"
KEY = vault.key()
NAME = "alice/taxonomy-knowledge-docs"
TEXT = b"# Tides\n\nThe sea rises and falls twice a day.\n"
TIDES = "sea-shore/tides.md"
INPUTS = {"about": "Sea & shore", "name": "Alice Ünal", "mail": "alice@lab.example", "signed_at": 1767312000.7}


@dataclass
class Places:
    """GitHub's API, and the git host where its repositories lie."""

    hub: FakeGitHub
    host: GitHost
    url: str
    runs: Path

    def job(self, name: str = "Tides.md", content: bytes = TEXT, run: str = "k7.publish1", **changed: Any) -> Job:
        net = {"allow": [self.hub.place, "127.0.0.1"], "ca": changed.pop("ca", str(self.host.ca))}
        account = {"login": "alice", "user": "1", "token": vault.Vault([KEY]).seal(TOKEN, "github:1").decode()}
        settings = {"github": self.hub.settings(web=self.url, app=changed.pop("app", "")) | {"net": net}}
        layout.write(self.runs / run, "publish", {**INPUTS, **changed, "upload": layout.Upload(name, content)}, "p1", {})
        inputs = layout.read(self.runs / run).inputs
        return Job(self.runs / run, inputs, settings, lambda fraction, facts: None, account=account)

    def commits(self) -> list[str]:
        return self.host.git(NAME, "log", "--format=%H", "main").split()

    def paths(self) -> list[str]:
        return self.host.git(NAME, "ls-tree", "-r", "--name-only", "main").split()


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    monkeypatch.setenv("LABBOT_VAULT_KEY", KEY)
    monkeypatch.setattr(publishing, "PAUSES_S", (0.0,) * len(publishing.PAUSES_S))
    host = GitHost(tmp_path / "host", tokens={TOKEN: "alice"})
    (host.folder / "alice").mkdir()
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=main", str(host.folder / f"{NAME}.git")], check=True)
    with FakeGitHub().up() as hub, host.up() as url:
        hub.user("alice", TOKEN)
        yield Places(hub, host, url, tmp_path / "runs")


def refused(job: Job) -> str:
    with pytest.raises(Invalid) as error:
        publish.publish(job)
    return error.value.problems[0].code


def made(places: Places) -> list[str]:
    return [f"{one.method} {one.path}" for one in places.hub.traffic if one.method != "GET"]


def test_the_repository_is_made_and_holds_one_signed_off_commit_of_the_document(places: Places) -> None:
    job = places.job()
    facts = perform(recipe.PUBLISH, job)
    assert facts == {"repo": f"{places.url}/{NAME}.git", "commit": places.commits()[0], "patterns": TIDES}
    assert json.loads((job.folder / "publish.json").read_bytes()) == facts
    assert places.paths() == [TIDES]
    said = places.host.git(NAME, "log", "-1", "--format=%an <%ae>%n%at%n%B", "main")
    assert said == ("Alice Ünal <alice@lab.example>\n1767312000\nAdd tides.md\n\nSigned-off-by: Alice Ünal <alice@lab.example>")
    assert made(places) == ["POST /user/repos"]


def test_what_was_published_is_what_the_entry_s_document_is_read_from(places: Places) -> None:
    job = places.job()
    facts = publish.publish(job)
    net = job.settings["github"]["net"]
    asked = {"repo": facts["repo"], "ref": facts["commit"], "patterns": [facts["patterns"]]}
    found = fetch.document(replace(job, inputs=asked, settings={"net": net}), asked)
    assert found.found["commit"] == facts["commit"]
    assert found.texts == {TIDES: TEXT.decode()}


def test_the_same_document_again_is_the_commit_that_is_there(places: Places) -> None:
    first = publish.publish(places.job())
    assert publish.publish(places.job(run="k7.publish2", signed_at=1.0)) == first
    assert len(places.commits()) == 1


def test_a_changed_document_is_a_further_commit_and_others_stay(places: Places) -> None:
    places.host.repo(NAME, {"other.md": b"mine\n"})
    publish.publish(places.job())
    second = publish.publish(places.job(content=TEXT + b"More.\n"))
    assert len(places.commits()) == 3 and places.commits()[0] == second["commit"]
    assert places.paths() == ["other.md", TIDES]


def test_a_push_whose_answer_is_lost_is_one_commit(places: Places) -> None:
    places.host.loses = 1
    facts = publish.publish(places.job())
    assert places.commits() == [facts["commit"]]
    assert sum(one.startswith("POST") and "receive-pack" in one for one in places.host.asked) == 1


@pytest.mark.parametrize("lost", ["lost-after", "lost-before"])
def test_a_repository_whose_making_was_not_answered_is_made_once(places: Places, lost: Any) -> None:
    places.hub.faults.append(Fault(lost, path="POST /user/repos"))
    publish.publish(places.job())
    assert len(places.commits()) == 1
    assert NAME in places.hub.repos


def test_somebody_who_pushes_meanwhile_loses_nothing(places: Places) -> None:
    places.host.repo(NAME, {"other.md": b"mine\n"})
    places.host.meanwhile.append(lambda: places.host.repo(NAME, {"other.md": b"mine\n", "third.md": b"new\n"}))
    facts = publish.publish(places.job())
    assert places.paths() == ["other.md", TIDES, "third.md"]
    assert places.commits()[0] == facts["commit"] and len(places.commits()) == 3


def test_a_redirect_is_not_followed_with_the_token(places: Places) -> None:
    publish.publish(places.job())
    places.host.redirects["/alice/"] = "/mallory/"
    with pytest.raises(Invalid):
        publish.publish(places.job(content=b"# Other\n\nText\n"))
    assert not [one for one in places.host.asked if "mallory" in one]


def test_a_token_that_may_not_push_is_refused_in_a_sentence(places: Places) -> None:
    places.host.tokens.clear()
    assert refused(places.job()) == "github.refused"


def test_an_authority_that_is_not_known_is_refused_before_the_token_is_shown(places: Places) -> None:
    assert refused(places.job(ca="")) == "net.certificate"
    assert places.host.asked == []


def test_a_host_that_is_away_is_temporary_and_tried_again(places: Places) -> None:
    places.host.status = 502
    with pytest.raises(Temporary):
        publish.publish(places.job())
    assert len(places.host.asked) == publishing.TRIES


@pytest.mark.parametrize(("how", "code"), [("archived", "github.archived"), ("private", "publish.private")])
def test_a_repository_that_cannot_hold_it_is_refused(places: Places, how: str, code: str) -> None:
    setattr(places.hub.repo(NAME), how, True)
    assert refused(places.job()) == code


def test_a_run_without_a_linked_account_is_refused_even_where_an_app_is(places: Places) -> None:
    assert refused(replace(places.job(app="12"), account={})) == "github.unlinked"


def test_a_file_or_a_link_in_the_path_is_left_alone(places: Places) -> None:
    places.host.repo(NAME, {"sea-shore": b"a file\n"})
    assert refused(places.job()) == "publish.path"
    places.host.repo(NAME, {}, links={"sea-shore": "/etc"})
    assert refused(places.job()) == "publish.path"
    places.host.repo(NAME, {f"{TIDES}/deeper.md": b"a folder\n"})
    assert refused(places.job()) == "publish.path"


def test_the_token_is_in_no_word_of_git_and_in_no_file_of_the_run(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    words: list[str] = []
    files: list[bytes] = []
    began = subprocess.Popen

    def popen(command: list[str], **more: Any) -> Any:
        words.extend(command)
        files.extend(one.read_bytes() for one in places.runs.rglob("*") if one.is_file())
        return began(command, **more)

    monkeypatch.setattr(subprocess, "Popen", popen)
    publish.publish(places.job())
    files += [one.read_bytes() for one in places.runs.rglob("*") if one.is_file()]
    shown = publishing.header("https://h", TOKEN)["GIT_CONFIG_VALUE_0"].rpartition(" ")[2]
    assert "push" in words and files
    assert not [one for one in words if TOKEN in one or shown in one]
    assert not [one for one in files if TOKEN.encode() in one or shown.encode() in one]


def test_nothing_of_an_attempt_is_left(places: Places) -> None:
    job = places.job()
    (job.folder / ".publish-killed").mkdir()
    publish.publish(job)
    assert sorted(one.name for one in job.folder.iterdir()) == ["publish.json", "run.json", "upload"]


def test_an_attempt_whose_folder_a_later_one_swept_says_so(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    job, done = places.job(), publishing.pushed

    def swept(*words: Any) -> str:
        monkeypatch.setattr(publishing, "pushed", done)
        publish.publish(job)
        return done(*words)

    monkeypatch.setattr(publishing, "pushed", swept)
    with pytest.raises(Failed, match="later attempt"):
        publish.publish(job)
    assert len(places.commits()) == 1


# --- what a document is


def test_markdown_and_pdf_stay_as_they_are_and_the_rest_becomes_markdown() -> None:
    assert document("My Tides.MD", TEXT) == ("my-tides.md", TEXT)
    content = pdf("Tides come twice a day")
    assert document("tides.pdf", content) == ("tides.pdf", content)
    assert document("../../notes.txt", "Grüße\n".encode()) == ("notes.md", "Grüße\n".encode())
    name, text = document("page.html", b"<h1>Tides</h1><p>Twice a day</p>")
    assert name == "page.md" and b"Tides" in text and b"<h1>" not in text


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("virus.exe", b"MZ", "publish.kind"),
        ("none", b"text", "publish.kind"),
        ("big.md", b"a" * (publishing.FILE_BYTES + 1), "publish.large"),
        ("empty.md", b" \n", "document.wordless"),
        ("latin.txt", b"Gr\xfc\xdfe", "document.encoding"),
        ("broken.pdf", b"no pdf", "document.pdf"),
    ],
)
def test_what_is_no_document_is_refused(name: str, content: bytes, code: str) -> None:
    with pytest.raises(Invalid) as error:
        document(name, content)
    assert error.value.problems[0].code == code


@given(st.text(max_size=200), st.text(max_size=200))
def test_every_path_is_a_pattern_that_names_itself(about: str, name: str) -> None:
    path = "/".join(filter(None, (slug(about), document(f"a{name}.md", TEXT)[0])))
    assert allowed(path) and matches(path, path) and path.isascii()


@given(st.text(max_size=200))
def test_an_upload_stays_in_its_folder(name: str) -> None:
    assert "/" not in layout.file_name(name) and layout.file_name(name) not in ("", ".", "..")
