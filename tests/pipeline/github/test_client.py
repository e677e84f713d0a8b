"""What GitHub refuses becomes a sentence, what may pass is waited for, and nothing is written twice."""

import asyncio
import logging
import socket
import time
import traceback
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import gidgethub
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Invalid, Temporary
from pipeline.github.client import GitHub, Hub, at, hub_of, lost, near
from pipeline.github.refusals import limit_s
from pipeline.net import Net
from tests.fakes.git_host import GitHost
from tests.fakes.github import FakeGitHub, Fault

TOKEN = "gho_PLANTEDTOKENofalice000000000000000001"
REPO = "/repos/lab/taxonomy"


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    with FakeGitHub().up() as hub:
        hub.repo("lab/taxonomy", {"README.md": "Hello\n"})
        hub.user("alice", TOKEN)
        yield hub


class Waits:
    """Time that passes at once, and what was said of it."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.told: list[tuple[str, float]] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def say(self, why: str, seconds: float) -> None:
        self.told.append((why, seconds))


def door(fake: FakeGitHub, waits: Waits | None = None, token: str = TOKEN, **more: Any) -> GitHub:
    waits = waits or Waits()
    return GitHub(hub_of(fake.settings()), token, told=waits.say, sleep=waits.sleep, **more)


async def refused(fake: FakeGitHub, path: str = REPO, token: str = TOKEN) -> Invalid:
    async with door(fake, token=token) as github:
        with pytest.raises(Invalid) as error:
            await github.get(path)
    return error.value


# --- reading


async def test_a_listing_is_read_page_after_page_up_to_what_is_wanted(fake: FakeGitHub) -> None:
    fake.repos["lab/taxonomy"].labels = tuple(f"l{number}" for number in range(250))
    async with door(fake) as github:
        found = [len(await github.pages(f"{REPO}/labels", most)) for most in (1000, 101, 3)]

    assert (found, [one.query["page"] for one in fake.traffic if "page" in one.query]) == ([250, 101, 3], ["2", "3", "2"])


async def test_a_further_page_that_is_elsewhere_is_not_asked_for(fake: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.repos["lab/taxonomy"].labels = tuple(f"l{number}" for number in range(150))
    async with door(fake) as github:
        fake.url = "http://127.0.0.2:9"
        with pytest.raises(Temporary, match="elsewhere"):
            await github.pages(f"{REPO}/labels")


async def test_what_is_as_it_was_is_not_read_again(fake: FakeGitHub) -> None:
    async with door(fake) as github:
        first, etag = await github.fresh(REPO)
        same = await github.fresh(REPO, etag)
        fake.repos["lab/taxonomy"].archived = True
        changed, other = await github.fresh(REPO, etag)

    assert ((first or {})["full_name"], same, (changed or {})["archived"], other != etag) == (
        "lab/taxonomy",
        (None, etag),
        True,
        True,
    )


async def test_readings_at_once_have_each_their_own_etag(fake: FakeGitHub) -> None:
    for number in range(8):
        fake.repo(f"lab/r{number}")
    async with door(fake) as github:
        found = await asyncio.gather(*(github.fresh(f"/repos/lab/r{number}") for number in range(8)))
        again = await asyncio.gather(*(github.fresh(f"/repos/lab/r{number}", etag) for number, (_, etag) in enumerate(found)))

    assert [data for data, _ in again] == [None] * 8


@pytest.mark.parametrize("kind", ["lost-before", "lost-after", "status"])
async def test_reading_is_tried_three_times(fake: FakeGitHub, kind: Any) -> None:
    fake.faults = [Fault(kind, path="GET", times=2)]
    waits = Waits()
    async with door(fake, waits) as github:
        found = await github.get(REPO)
        fake.faults = [Fault(kind, path="GET", times=9)]
        with pytest.raises(Temporary):
            await github.get(REPO)

    assert (found["full_name"], waits.slept, fake.faults[0].times) == ("lab/taxonomy", [1.0, 3.0, 1.0, 3.0], 6)


# --- writing


@pytest.mark.parametrize("kind", ["lost-before", "lost-after", "status"])
async def test_writing_is_never_repeated_blindly(fake: FakeGitHub, kind: Any) -> None:
    fake.faults = [Fault(kind, path="POST", times=5)]
    async with door(fake) as github:
        with pytest.raises(Temporary) as error:
            await github.post(f"{REPO}/forks", {})

    assert (error.value.kind, fake.faults[0].times) == ("away", 4)


async def test_what_a_limit_turned_away_is_written_once_it_is_over(fake: FakeGitHub) -> None:
    fake.faults = [Fault("secondary", path="POST", times=2, retry_after=7), Fault("primary", path="POST", times=1)]
    waits = Waits()
    async with door(fake, waits) as github:
        made = await github.post(f"{REPO}/forks", {})

    assert made["full_name"] == "alice/taxonomy"
    assert waits.told[:2] == [("limit", 8.0), ("limit", 8.0)]
    assert [why for why, _ in waits.told] == ["limit"] * 3
    assert waits.slept == [seconds for _, seconds in waits.told]


async def test_a_limit_that_ends_too_late_is_handed_on_with_its_time(fake: FakeGitHub) -> None:
    fake.faults = [Fault("secondary", path="GET", times=9, retry_after=3600)]
    waits = Waits()
    async with door(fake, waits) as github:
        with pytest.raises(Temporary) as error:
            await github.get(REPO)

    assert (error.value.kind, error.value.wait_s, waits.slept) == ("busy", 3601.0, [])


@pytest.mark.parametrize("status", [403, 429])
async def test_limits_that_name_no_time_take_a_minute(fake: FakeGitHub, status: int) -> None:
    named = gidgethub.BadRequest(HTTPStatus(status), "You have exceeded a secondary rate limit")
    soon = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 3000)}
    primary = gidgethub.BadRequest(HTTPStatus(status), "API rate limit exceeded", headers=soon)
    plain = gidgethub.BadRequest(HTTPStatus(status), "Resource not accessible")

    assert (limit_s(named), limit_s(plain)) == (60.0, None)
    assert 2900 < (limit_s(primary) or 0) <= 3001


# --- what is refused


async def test_each_refusal_has_a_code_and_a_way_out(fake: FakeGitHub) -> None:
    fake.repo("lab/old", {}, archived=True)
    fake.repo("lab/mine", {"a": "b"})
    async with door(fake) as github:
        await github.post(f"{REPO}/forks", {})
        sha = fake.repos["alice/taxonomy"].branches["main"]
        ref = {"ref": "refs/heads/main", "sha": sha}
        for path, data, code in (
            ("/repos/lab/old/forks", {}, "github.archived"),
            ("/repos/lab/mine/git/refs", ref, "github.refused"),
            ("/repos/lab/none/forks", {}, "github.gone"),
            ("/repos/alice/taxonomy/git/refs", ref, "github.exists"),
            ("/repos/alice/taxonomy/git/refs", {**ref, "ref": "refs/heads/x", "sha": "0" * 40}, "github.unfit"),
        ):
            with pytest.raises(Invalid) as error:
                await github.post(path, data)
            problem = error.value.problems[0]
            assert (problem.code, bool(problem.facts["why"])) == (code, True), path
    fake.revoke(TOKEN)

    assert (await refused(fake)).facts["code"] == "github.revoked"


async def test_a_repository_that_moved_is_named_by_its_new_name(fake: FakeGitHub) -> None:
    fake.repo("labs/skills", {})
    fake.repos["lab/taxonomy"].moved_to = "labs/skills"
    error = await refused(fake, f"{REPO}/labels")

    assert error.facts == {"code": "github.moved", "repo": "labs/skills"}
    assert "labs/skills" in error.problems[0].fix


async def test_a_refusal_that_is_as_good_as_done_can_be_let_pass(fake: FakeGitHub) -> None:
    async with door(fake) as github:
        async with lost("github.gone"):
            await github.get("/repos/lab/none")
        with pytest.raises(Invalid):
            async with lost("github.exists"):
                await github.get("/repos/lab/none")


# --- where it goes


@pytest.mark.parametrize(
    ("api", "allow", "code"),
    [
        ("http://github.example/api", ("github.example",), "github.plain"),
        ("http://127.0.0.1:9", (), "github.plain"),
        ("http://127.0.0.1:9", ("127.0.0.1:8",), "github.plain"),
        ("http://10.0.0.1", ("10.0.0.1",), "github.plain"),
        ("https://10.0.0.1", (), "net.private"),
        ("https://169.254.169.254", (), "net.private"),
    ],
)
async def test_nothing_is_sent_to_where_labbot_may_not_go(api: str, allow: tuple[str, ...], code: str) -> None:
    async with GitHub(Hub(api, api, Net(allow)), TOKEN) as github:
        with pytest.raises(Invalid) as error:
            await github.get("/user")

    assert error.value.facts["code"] == code


def test_this_machine_is_near_if_an_operator_says_so() -> None:
    for url, name in (("http://127.0.0.1:9/a", "127.0.0.1:9"), ("http://[::1]:9/a", "::1"), ("http://localhost/", "localhost")):
        near(url, Net((name,)))


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_a_path_leads_where_its_parts_say_and_nowhere_else(parts: list[str]) -> None:
    try:
        path = at(*(part.encode("utf-8", "ignore").decode() for part in parts))
    except Invalid as error:
        assert error.facts["code"] == "github.gone"
        return
    assert path.startswith("/")
    assert not {"", ".", ".."} & {*path[1:].split("/")}
    assert not {*path} & {*"?#{}%s \\\n"} - {"%", "s"}


# --- secrets


async def test_the_token_is_in_no_repr_no_error_and_no_log(fake: FakeGitHub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    async with door(fake) as github:
        said.append(repr(github) + repr(vars(github)["hub"]))
        for fault in (Fault("lost-before", path="GET", times=9), Fault("status", path="GET", times=9)):
            fake.faults = [fault]
            with pytest.raises(Temporary) as away:
                await github.get(REPO)
            said.append("".join(traceback.format_exception(away.value)))
    fake.faults = []
    fake.revoke(TOKEN)
    said.append("".join(traceback.format_exception(await refused(fake))))

    assert "PLANTED" not in "\n".join(said)
    assert "PLANTED" not in caplog.text


async def test_a_name_is_looked_up_once_and_the_certificate_is_the_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = GitHost(tmp_path, names=("github.lab",))
    asked, real = [], socket.getaddrinfo

    def looked_up(name: Any, *words: Any, **more: Any) -> Any:
        asked.append(name)
        return real("127.0.0.1" if name == "github.lab" else name, *words, **more)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    with host.up() as url:
        port = url.rpartition(":")[2]
        named = Net(("github.lab", "other.lab"), str(host.ca))
        async with GitHub(Hub(f"https://github.lab:{port}", "", named), TOKEN) as github:
            with pytest.raises(Invalid, match="not there"):
                await github.get("/user")
        monkeypatch.setattr(socket, "getaddrinfo", lambda name, *words, **more: real("127.0.0.1", *words, **more))
        async with GitHub(Hub(f"https://other.lab:{port}", "", named), TOKEN, sleep=Waits().sleep) as github:
            with pytest.raises(Temporary):
                await github.get("/user")

    assert (asked.count("github.lab"), host.asked) == (1, ["GET /user"])
