"""The fake GitHub has the manners of the real one, those too that npm's `emulate` lacks: each by what GitHub says itself."""

import base64
import http.client
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.github import FakeGitHub, Fault
from tests.fakes.github.objects import Objects

TOKEN = "gho_PLANTEDTOKENofalice000000000000000001"
KEY, OTHER = (rsa.generate_private_key(65537, 2048) for _ in range(2))
PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
REPO, FORK = "/repos/lab/taxonomy", "/repos/alice/taxonomy"
PROPOSED = {"title": "Add", "head": "alice:labbot/k1", "base": "main", "body": "Mine"}


@pytest.fixture
def hub() -> Iterator[FakeGitHub]:
    with FakeGitHub().up() as hub:
        hub.repo("lab/taxonomy", {"README.md": "A taxonomy\n"})
        hub.user("alice", TOKEN)
        hub.app("12", PUBLIC, "labbot", "lab/taxonomy")
        yield hub


class Answer:
    def __init__(self, raw: http.client.HTTPResponse) -> None:
        self.status, self.headers, text = raw.status, raw.headers, raw.read()
        self.said: Any = json.loads(text) if text else None

    @property
    def why(self) -> str:
        """GitHub's words, those of a single error last."""
        return " ".join([self.said["message"], *(one.get("message", one["code"]) for one in self.said.get("errors", ()))])


def ask(hub: FakeGitHub, method: str, path: str, data: Any = None, token: str = TOKEN, **headers: str) -> Answer:
    connection = http.client.HTTPConnection(hub.place, timeout=10)
    body = data if isinstance(data, bytes) else None if data is None else json.dumps(data).encode()
    who = {"authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request(method, path, body, {**who, **{name.replace("_", "-"): value for name, value in headers.items()}})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def branch(hub: FakeGitHub, name: str = "labbot/k1", text: str = "mine\n") -> None:
    """Alice's fork with a commit on a branch."""
    assert ask(hub, "POST", f"{REPO}/forks", {}).status == 202
    hub.repos["alice/taxonomy"].branches.setdefault(name, hub.repos["lab/taxonomy"].branches["main"])
    hub.push("alice/taxonomy", name, {"qna.yaml": text})


def opened(hub: FakeGitHub) -> str:
    """The path of alice's pull request."""
    branch(hub)
    return f"{REPO}/pulls/{ask(hub, 'POST', f'{REPO}/pulls', PROPOSED).said['number']}"


# --- pull requests


def test_a_second_pull_request_of_a_branch_is_refused(hub: FakeGitHub) -> None:
    opened(hub)
    again = ask(hub, "POST", f"{REPO}/pulls", PROPOSED)

    assert (again.status, again.why) == (422, "Validation Failed A pull request already exists for alice:labbot/k1.")
    assert len(hub.repos["lab/taxonomy"].pulls) == 1


def test_a_branch_without_commits_of_its_own_is_nothing_to_propose(hub: FakeGitHub) -> None:
    ask(hub, "POST", f"{REPO}/forks", {})
    empty = ask(hub, "POST", f"{REPO}/pulls", {**PROPOSED, "head": "alice:main"})

    assert (empty.status, empty.why) == (422, "Validation Failed No commits between lab:main and alice:main")


def test_pull_requests_are_found_by_their_branch(hub: FakeGitHub) -> None:
    opened(hub)
    found = {
        query: len(ask(hub, "GET", f"{REPO}/pulls?{query}").said)
        for query in ("head=alice:labbot/k1", "head=alice:labbot/k2", "head=bob:labbot/k1", "state=closed", "state=all")
    }

    assert list(found.values()) == [1, 0, 0, 0, 1]


def test_one_that_was_closed_is_opened_again_where_its_branch_goes_on(hub: FakeGitHub) -> None:
    path = opened(hub)
    ask(hub, "PATCH", path, {"state": "closed"})
    branch(hub, text="newer\n")

    assert ask(hub, "PATCH", path, {"state": "open"}).said["state"] == "open"


@pytest.mark.parametrize(
    ("then", "why"),
    [
        ("gone", "The labbot/k1 branch has been deleted."),
        ("made anew", "The labbot/k1 branch was force-pushed or recreated."),
        ("taken", "A pull request already exists for alice:labbot/k1."),
    ],
)
def test_one_that_was_closed_is_not_opened_again_otherwise(hub: FakeGitHub, then: str, why: str) -> None:
    path = opened(hub)
    ask(hub, "PATCH", path, {"state": "closed"})
    if then == "taken":
        ask(hub, "POST", f"{REPO}/pulls", PROPOSED)
    else:
        ask(hub, "DELETE", f"{FORK}/git/refs/heads/labbot/k1")
    if then == "made anew":
        branch(hub, text="other\n")
    again = ask(hub, "PATCH", path, {"state": "open"})

    assert (again.status, again.why) == (422, f"Validation Failed state cannot be changed. {why}")


def test_a_branch_that_goes_closes_its_pull_request_which_keeps_its_last_commit(hub: FakeGitHub) -> None:
    path = opened(hub)
    tip = hub.repos["alice/taxonomy"].branches["labbot/k1"]
    gone = ask(hub, "DELETE", f"{FORK}/git/refs/heads/labbot/k1")
    pull = ask(hub, "GET", path).said

    assert (gone.status, pull["state"], pull["head"]["sha"]) == (204, "closed", tip)


def test_strangers_may_neither_label_nor_change_what_is_anothers(hub: FakeGitHub) -> None:
    path = opened(hub)
    hub.user("eve", "gho_PLANTEDTOKENofeve00000000000000000002")
    eve = {"token": "gho_PLANTEDTOKENofeve00000000000000000002"}

    assert ask(hub, "POST", f"{path.replace('pulls', 'issues')}/labels", {"labels": ["skill"]}).status == 403
    assert ask(hub, "PATCH", path, {"title": "Mine now"}, **eve).status == 403
    assert ask(hub, "POST", f"{FORK}/git/blobs", {"content": "x"}, **eve).status == 403
    assert [hub.pull("lab/taxonomy").title, hub.pull("lab/taxonomy").labels] == ["Add", []]


# --- forks and branches


def test_a_fork_is_promised_at_once_and_has_its_branches_later(hub: FakeGitHub) -> None:
    hub.forks_wait = 2
    made = ask(hub, "POST", f"{REPO}/forks", {})
    looks = [ask(hub, "GET", f"{FORK}/git/ref/heads/main").status for _ in range(3)]

    assert (made.status, looks) == (202, [409, 409, 200])


def test_a_fork_with_commits_of_its_own_is_not_synced_and_any_other_is(hub: FakeGitHub) -> None:
    ask(hub, "POST", f"{REPO}/forks", {})
    newer = hub.push("lab/taxonomy", "main", {"README.md": "Newer\n"})
    first = ask(hub, "POST", f"{FORK}/merge-upstream", {"branch": "main"})
    hub.push("alice/taxonomy", "main", {"mine.md": "mine\n"})
    hub.push("lab/taxonomy", "main", {"README.md": "Newest\n"})
    second = ask(hub, "POST", f"{FORK}/merge-upstream", {"branch": "main"})

    assert (first.status, second.status, second.why) == (200, 409, "There are merge conflicts")
    assert newer in hub.objects.line(hub.repos["alice/taxonomy"].branches["main"])


def test_references_are_made_once_move_forward_and_lead_to_what_there_is(hub: FakeGitHub) -> None:
    branch(hub)
    sha, refs = hub.repos["alice/taxonomy"].branches["labbot/k1"], f"{FORK}/git/refs"
    for method, path, data, why in (
        ("POST", refs, {"ref": "refs/heads/labbot/k1", "sha": sha}, "Reference already exists"),
        ("POST", refs, {"ref": "refs/heads/labbot/k2", "sha": "0" * 40}, "Object does not exist"),
        (
            "PATCH",
            f"{refs}/heads/labbot/k1",
            {"sha": hub.repos["lab/taxonomy"].branches["main"]},
            "Update is not a fast forward",
        ),
        ("PATCH", f"{refs}/heads/labbot/k1", {"sha": "0" * 40}, "Object does not exist"),
        ("PATCH", f"{refs}/heads/labbot/k9", {"sha": sha}, "Reference does not exist"),
        ("DELETE", f"{refs}/heads/labbot/k9", None, "Reference does not exist"),
    ):
        refused = ask(hub, method, path, data)
        assert (refused.status, refused.why) == (422, why)
    assert hub.repos["alice/taxonomy"].branches["labbot/k1"] == sha


NAMES = st.from_regex(r"[a-z.]{1,4}(/[a-z-]{1,4}){0,2}", fullmatch=True).filter(
    lambda path: not {".", "..", ".git"} & {*path.split("/")}
)


@settings(max_examples=12, deadline=None)  # each starts git several times
@given(st.dictionaries(NAMES, st.binary(max_size=20), min_size=1, max_size=6))
def test_objects_are_named_as_git_names_them(files: dict[str, bytes]) -> None:
    files = {path: text for path, text in files.items() if not any(one.startswith(f"{path}/") for one in files)}
    known = Objects()
    who = {"name": "Alice Ünal", "email": "alice@lab.example", "date": "2026-01-02T00:00:00Z"}
    tree = known.tree({path: known.blob(text) for path, text in files.items()})
    first = known.commit(tree, (), "Begin\n", who, who)
    second = known.commit(tree, (first,), "Go on: ü", who, who)

    assert [first, second] == _git(files, who)


def _git(files: dict[str, bytes], who: dict[str, str]) -> list[str]:
    """The names that git itself gives two commits of these files."""
    env = {f"GIT_{role}_{what.upper()}": who[what] for role in ("AUTHOR", "COMMITTER") for what in ("name", "email", "date")}
    with tempfile.TemporaryDirectory() as folder:

        def git(*words: str, given: bytes = b"") -> str:
            home = {"PATH": os.environ["PATH"], "GIT_DIR": folder, "GIT_INDEX_FILE": f"{folder}/mine", **env}
            done = subprocess.run(["git", *words], input=given, env=home, capture_output=True, check=True)
            return done.stdout.decode().strip()

        git("init", "--quiet", "--bare")
        rows = [f"100644 {git('hash-object', '-w', '--stdin', given=text)}\t{path}\n" for path, text in files.items()]
        git("update-index", "--add", "--index-info", given="".join(rows).encode())
        tree = git("write-tree")
        first = git("commit-tree", tree, given=b"Begin\n")
        return [first, git("commit-tree", tree, "-p", first, given="Go on: ü".encode())]


# --- who asks


def test_a_token_that_was_taken_away_is_known_no_more(hub: FakeGitHub) -> None:
    before = ask(hub, "GET", "/user")
    hub.revoke(TOKEN)
    after = ask(hub, "GET", REPO)

    assert (before.said["login"], after.status, after.why) == ("alice", 401, "Bad credentials")
    assert ask(hub, "GET", "/user", token="").why == "Requires authentication"


def test_a_private_repository_is_not_there_an_archived_one_takes_nothing_and_a_renamed_one_leads_on(hub: FakeGitHub) -> None:
    hub.repo("lab/hidden", {}, private=True)
    hub.repo("lab/old", {"a": "b"}, archived=True)
    hub.repo("lab/before", {}).moved_to = "lab/taxonomy"
    moved = ask(hub, "GET", "/repos/lab/before")

    assert ask(hub, "GET", "/repos/lab/hidden").status == 404
    assert ask(hub, "GET", "/repos/lab/old").said["archived"] is True
    assert ask(hub, "POST", "/repos/lab/old/git/blobs", {"content": "x"}).why == "Repository was archived so is read-only."
    assert (moved.status, moved.headers["location"]) == (301, moved.said["url"])
    assert ask(hub, "GET", moved.said["url"].removeprefix(hub.url)).said["full_name"] == "lab/taxonomy"


def signed(key: rsa.RSAPrivateKey = KEY, app: str = "12", age_s: int = 0, for_s: int = 300) -> str:
    now = int(time.time()) - age_s
    return jwt.encode({"iat": now, "exp": now + for_s, "iss": app}, key, "RS256")


def test_an_app_is_who_signs_with_its_key_for_ten_minutes_at_most(hub: FakeGitHub) -> None:
    assert ask(hub, "GET", "/app", token=signed()).said["slug"] == "labbot"
    for wrong in (signed(OTHER), signed(app="13"), signed(age_s=900), signed(for_s=3600)):
        assert ask(hub, "GET", "/app", token=wrong).status == 401


def test_an_apps_token_reaches_where_it_is_installed_and_no_further(hub: FakeGitHub) -> None:
    hub.repo("lab/other", {"a": "b"})
    place = ask(hub, "GET", f"{REPO}/installation", token=signed()).said["id"]
    path = f"/app/installations/{place}/access_tokens"
    token = ask(hub, "POST", path, {"repositories": ["taxonomy"]}, token=signed()).said["token"]
    there = ask(hub, "POST", "/repos/lab/other/git/blobs", {"content": "x"}, token=token)

    assert ask(hub, "POST", f"{REPO}/git/blobs", {"content": "x"}, token=token).status == 201
    assert (there.status, there.why) == (403, "Resource not accessible by integration")
    assert ask(hub, "GET", "/repos/lab/other/installation", token=signed()).status == 404
    assert ask(hub, "POST", path, {"repositories": ["other"]}, token=signed()).status == 422


# --- bad days


@pytest.mark.parametrize(("kind", "done"), [("lost-before", False), ("lost-after", True)])
def test_an_answer_is_lost_before_the_deed_or_after_it(hub: FakeGitHub, kind: Any, done: bool) -> None:
    branch(hub)
    hub.faults.append(Fault(kind, path=r"^POST .*/pulls$"))
    with pytest.raises(http.client.RemoteDisconnected):
        ask(hub, "POST", f"{REPO}/pulls", PROPOSED)

    assert bool(hub.repos["lab/taxonomy"].pulls) is done


@pytest.mark.parametrize("status", [403, 429])
def test_a_secondary_limit_says_when_to_come_back_and_does_nothing(hub: FakeGitHub, status: int) -> None:
    hub.faults.append(Fault("secondary", at=1, status=status, retry_after=7))
    refused = ask(hub, "POST", f"{REPO}/forks", {})

    assert (refused.status, refused.headers["retry-after"], "secondary rate limit" in refused.why) == (status, "7", True)
    assert "alice/taxonomy" not in hub.repos


def test_a_primary_limit_says_when_it_ends(hub: FakeGitHub) -> None:
    hub.faults.append(Fault("primary", at=1))
    refused = ask(hub, "GET", REPO)

    assert (refused.status, refused.headers["x-ratelimit-remaining"]) == (403, "0")
    assert ask(hub, "GET", REPO).headers["x-ratelimit-remaining"] == "4990"


def test_what_is_malformed_gets_githubs_words(hub: FakeGitHub) -> None:
    path = opened(hub)
    for method, where, data, status, why in (
        ("POST", f"{REPO}/pulls", b"{", 400, "Problems parsing JSON"),
        ("POST", f"{REPO}/pulls", {"title": "x"}, 422, "Invalid request. missing_field missing_field missing_field"),
        ("POST", f"{REPO}/pulls", {**PROPOSED, "head": "alice:none"}, 422, "Validation Failed invalid"),
        (
            "POST",
            f"{FORK}/git/trees",
            {"tree": [{"path": "a", "sha": "0" * 40}]},
            422,
            f"tree.sha {'0' * 40} is not a valid blob",
        ),
        ("POST", f"{FORK}/git/commits", {"message": "x", "tree": "0" * 40}, 422, "Tree SHA does not exist"),
        ("POST", f"{path}/comments/99/replies", {"body": "x"}, 404, "Not Found"),
        ("GET", "/nowhere", None, 404, "Not Found"),
    ):
        refused = ask(hub, method, where, data)
        assert (refused.status, refused.why) == (status, why), where


def test_what_the_fake_itself_cannot_do_fails_the_test_that_asked() -> None:
    with pytest.raises(ValueError, match="invalid literal"), FakeGitHub().up() as hub:
        hub.repo("lab/taxonomy", {"README.md": "A taxonomy\n"})
        assert ask(hub, "GET", f"{REPO}/pulls/one", token="").status == 500


# --- answers


def test_a_listing_comes_in_pages_that_lead_to_the_next(hub: FakeGitHub) -> None:
    path = f"{opened(hub).replace('pulls', 'issues')}/comments?per_page=2"
    for number in range(5):
        hub.says(hub.pull("lab/taxonomy"), "dora", f"{number}")
    found = []
    while path:
        page = ask(hub, "GET", path)
        found += [row["body"] for row in page.said]
        path = page.headers.get("link", "").partition(">")[0].removeprefix(f"<{hub.url}")

    assert found == ["0", "1", "2", "3", "4"]


def test_what_did_not_change_is_not_told_again(hub: FakeGitHub) -> None:
    path = opened(hub)
    first = ask(hub, "GET", path)
    same = ask(hub, "GET", path, if_none_match=first.headers["etag"])
    hub.label(hub.pull("lab/taxonomy"), "skill")

    assert (same.status, same.said) == (304, None)
    assert ask(hub, "GET", path, if_none_match=first.headers["etag"]).status == 200


def test_a_file_is_read_as_base64_at_any_commit(hub: FakeGitHub) -> None:
    old = hub.repos["lab/taxonomy"].branches["main"]
    hub.push("lab/taxonomy", "main", {"README.md": "Newer ü\n"})
    found = [ask(hub, "GET", f"{REPO}/contents/README.md?ref={ref}").said["content"] for ref in ("main", old)]

    assert [base64.b64decode(one).decode() for one in found] == ["Newer ü\n", "A taxonomy\n"]
    assert ask(hub, "GET", f"{REPO}/contents/none.md").status == 404


# --- accounts


def test_a_device_is_told_to_wait_and_then_given_a_token_that_a_refresh_replaces(hub: FakeGitHub) -> None:
    hub.clients.add("Iv1.labbot")
    hub.token_s = 28_800
    code = form(hub, "/login/device/code", "client_id=Iv1.labbot&scope=public_repo")
    wanted = f"client_id=Iv1.labbot&device_code={code['device_code']}&grant_type=urn:ietf:params:oauth:grant-type:device_code"
    before = form(hub, "/login/oauth/access_token", wanted)
    hub.approve(code["user_code"], "alice")
    grant = form(hub, "/login/oauth/access_token", wanted)
    renew = f"client_id=Iv1.labbot&grant_type=refresh_token&refresh_token={grant['refresh_token']}"
    anew = form(hub, "/login/oauth/access_token", renew)

    assert before == {"error": "authorization_pending"}
    assert [ask(hub, "GET", "/user", token=one["access_token"]).said["login"] for one in (grant, anew)] == ["alice", "alice"]
    assert form(hub, "/login/oauth/access_token", renew) == {"error": "bad_refresh_token"}


def form(hub: FakeGitHub, path: str, text: str) -> Any:
    return ask(hub, "POST", path, text.encode(), token="", accept="application/json").said


def test_nothing_that_is_served_holds_a_token(hub: FakeGitHub) -> None:
    opened(hub)

    assert TOKEN not in json.dumps([[one.asked, one.said] for one in hub.traffic])
