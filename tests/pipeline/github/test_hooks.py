"""GitHub's deliveries: what is signed is heard once and becomes a hint, what is not leaves no trace, and none is lost."""

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from pipeline.embedded import Server
from pipeline.github import hooks
from pipeline.github.hooks import PATH, commits, numbers, routes
from pipeline.github.reading import Seen
from pipeline.github.rows import Rows, due_of
from pipeline.memory import Memory, connect
from pipeline.pulls import Followed, Pull
from tests.pipeline.github.payloads import (
    SECRET,
    about_check,
    about_comment,
    about_line,
    about_pull,
    about_review,
    about_status,
    octokit,
    signed,
)

LATER = 10_000.0
HEAD = "a" * 40


def followed(draft: str, number: int) -> Followed:
    return Followed(draft, "p1", "Lab/Taxonomy", number, "terminal", "terminal:@p1")


def pull(number: int, head: str) -> Pull:
    return Pull("lab/taxonomy", number, "", "", "open", "alice", head, "k", "main", 0.0, 0.0)


class Door:
    """The one that GitHub knocks at."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def deliver(self, payload: Any, delivery: str = "", **headers: str) -> int:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        given = {
            "content-type": "application/json",
            "x-github-event": "pull_request",
            "x-github-delivery": delivery or str(uuid.uuid4()),
            "x-hub-signature-256": signed(body),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return (await self.client.post(PATH, content=body, headers=given)).status_code


def door_of(memory: Memory) -> httpx.AsyncClient:
    app = Starlette(routes=routes(memory, SECRET, "lab/taxonomy"))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://labbot.example.org")


@pytest.fixture
async def door(memory: Memory) -> AsyncIterator[Door]:
    async with door_of(memory) as client:
        yield Door(client)


@pytest.fixture
async def rows(memory: Memory) -> Rows:
    """Draft k1 is followed, by pull request 1 with the newest commit HEAD, and has been looked at just now."""
    rows = Rows(memory)
    await rows.follow(followed("k1", 1))
    await looked(rows, 1, HEAD)
    return rows


async def looked(rows: Rows, number: int, head: str) -> None:
    claim = await rows.take("terminal", 0.0)
    assert claim
    await rows.save(claim, Seen(pull(number, head)), None)
    await rows.rest(claim, "terminal", 0, LATER)


async def due(rows: Rows) -> list[str]:
    return [draft.decode() for draft in await rows.memory.do("ZRANGEBYSCORE", due_of("terminal"), 0, 0)]


async def deliveries(memory: Memory) -> list[str]:
    return [key async for key in memory.keys("github:delivery:*")]


@pytest.mark.parametrize(
    "payload",
    [
        about_pull(1),
        about_pull(1, "LAB/taxonomy"),
        about_review(1),
        about_line(1),
        about_comment(1),
        about_check("b" * 40, 1),
        about_check(HEAD),
        about_check(HEAD, kind="check_suite"),
        about_check(HEAD, kind="workflow_run"),
        about_status(HEAD),
    ],
)
async def test_whatever_is_heard_of_a_pull_request_makes_it_due_at_once(door: Door, rows: Rows, payload: Any) -> None:
    assert await due(rows) == []
    assert await door.deliver(payload) == 202
    assert await due(rows) == ["k1"]


@pytest.mark.parametrize(
    "payload",
    [
        about_pull(2),
        about_pull(1, "lab/other"),
        {"issue": {"number": 1}, "repository": {"full_name": "lab/taxonomy"}},
        about_check("b" * 40),
        {"zen": "Design for failure.", "hook_id": 1},
        {"pull_request": {"number": True}, "repository": {"full_name": "lab/taxonomy"}},
        {"pull_request": {"number": "1"}, "check_run": {"pull_requests": 7}, "repository": {"full_name": "lab/taxonomy"}},
    ],
)
async def test_what_is_about_no_pull_request_of_ours_is_accepted_and_makes_none_due(
    door: Door, rows: Rows, payload: Any
) -> None:
    assert await door.deliver(payload) == 202
    assert await due(rows) == []


async def test_of_another_repository_not_even_the_delivery_is_noted(door: Door, rows: Rows, memory: Memory) -> None:
    await door.deliver(about_pull(1, "lab/other"))

    assert await deliveries(memory) == []


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        "sha1=" + "0" * 40,
        signed(json.dumps(about_pull(1)).encode(), "another secret"),
        signed(json.dumps(about_pull(1)).encode(), ""),
        signed(json.dumps(about_pull(2)).encode()),
        signed(json.dumps(about_pull(1)).encode()).upper(),
        signed(json.dumps(about_pull(1)).encode()).removeprefix("sha256="),
    ],
)
async def test_a_delivery_whose_signature_is_not_right_is_refused_and_leaves_no_trace(
    door: Door, rows: Rows, memory: Memory, signature: str
) -> None:
    assert await door.deliver(about_pull(1), x_hub_signature_256=signature) == 401
    assert (await due(rows), await deliveries(memory)) == ([], [])


async def test_a_signature_with_letters_beyond_ascii_is_wrong_and_no_error(door: Door, rows: Rows) -> None:
    body = json.dumps(about_pull(1)).encode()
    headers = [(b"content-type", b"application/json"), (b"x-hub-signature-256", b"sha256=\xfc"), (b"x-github-delivery", b"1")]

    assert (await door.client.post(PATH, content=body, headers=headers)).status_code == 401


async def test_a_signature_by_sha1_alone_is_not_enough(door: Door, rows: Rows) -> None:
    import hmac

    body = json.dumps(about_pull(1)).encode()
    old = "sha1=" + hmac.new(SECRET.encode(), body, "sha1").hexdigest()

    assert await door.deliver(body, x_hub_signature_256="", x_hub_signature=old) == 401


async def test_one_byte_that_was_changed_on_the_way_is_one_too_many(door: Door, rows: Rows) -> None:
    body = json.dumps(about_pull(1)).encode()

    assert await door.deliver(body.replace(b"1", b"2", 1), x_hub_signature_256=signed(body)) == 401


async def test_a_delivery_that_comes_again_has_no_effect(door: Door, rows: Rows) -> None:
    assert await door.deliver(about_pull(1), "d-1") == 202
    await looked(rows, 1, HEAD)

    assert await door.deliver(about_pull(1), "d-1") == 202
    assert await due(rows) == []
    assert await door.deliver(about_pull(1), "d-2") == 202
    assert await due(rows) == ["k1"]


async def test_a_delivery_is_forgotten_after_three_days(door: Door, rows: Rows, memory: Memory) -> None:
    await door.deliver(about_pull(1), "d-1")

    assert 0 < await memory.do("TTL", "github:delivery:d-1") <= 3 * 86_400


@pytest.mark.parametrize("delivery", ["*", "a b", "a" * 65, "github:pull:k1", "../x"])
async def test_a_delivery_without_an_id_such_as_githubs_is_refused(door: Door, rows: Rows, delivery: str) -> None:
    assert await door.deliver(about_pull(1), delivery) == 400
    assert await due(rows) == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"\xff\xfe", b"[" * 100_000])
async def test_a_body_that_is_no_object_of_json_is_refused(door: Door, body: bytes) -> None:
    assert await door.deliver(body) == 400


async def test_a_form_is_refused_with_the_setting_to_change(door: Door, rows: Rows) -> None:
    assert await door.deliver(about_pull(1), content_type="application/x-www-form-urlencoded") == 415


async def test_more_than_github_sends_is_refused_unread(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "MOST", 1000)

    assert await door.deliver(b" " * 1001) == 413
    assert await door.deliver(b" " * 1000) == 400


async def test_without_a_secret_or_a_repository_nothing_listens(memory: Memory) -> None:
    assert routes(memory, "", "lab/taxonomy") == []
    assert routes(memory, SECRET, "") == []


async def test_while_redis_is_away_github_hears_that_it_failed_and_may_deliver_it_again(
    rows: Rows, memory: Memory, door: Door
) -> None:
    away = connect("redis://127.0.0.1:1/0")
    async with door_of(away) as client:
        assert await Door(client).deliver(about_pull(1), "d-1") == 503
    await away.close()

    assert await door.deliver(about_pull(1), "d-1") == 202
    assert await due(rows) == ["k1"]


# --- races with looks


async def test_what_is_heard_while_somebody_looks_makes_it_due_again(door: Door, rows: Rows) -> None:
    await rows.hint("lab/taxonomy", [1])
    claim = await rows.take("terminal", 0.0)
    assert claim

    await door.deliver(about_pull(1))
    assert await rows.take("terminal", 0.0) is None  # one looks at it already
    await rows.rest(claim, "terminal", 0, LATER)

    assert await due(rows) == ["k1"]


async def test_a_check_of_a_commit_that_nobody_has_read_yet_is_not_lost(door: Door, rows: Rows) -> None:
    newer = "b" * 40
    await door.deliver(about_pull(1, action="synchronize"))
    claim = await rows.take("terminal", 0.0)
    assert claim
    await door.deliver(about_check(newer))
    await rows.save(claim, Seen(pull(1, newer)), None)
    await rows.rest(claim, "terminal", 0, LATER)

    assert await due(rows) == ["k1"]
    await looked(rows, 1, newer)
    assert await due(rows) == []


async def test_a_check_of_a_commit_that_is_not_the_newest_any_more_is_nobodys(door: Door, rows: Rows) -> None:
    await rows.hint("lab/taxonomy", [1])
    await looked(rows, 1, "b" * 40)

    await door.deliver(about_check(HEAD))

    assert await due(rows) == []


async def test_of_a_thousand_deliveries_in_a_burst_in_any_order_and_twice_none_is_lost(memory: Memory, server: Server) -> None:
    """Each changes a pull request first; whoever looks meanwhile has in the end seen every change."""
    pulls, rows, chance = 50, Rows(memory), random.Random(12)
    for number in range(1, pulls + 1):
        await rows.follow(followed(f"k{number}", number))
    happened = dict.fromkeys(range(1, pulls + 1), 0)
    seen: dict[str, int] = {}
    over = False

    async def looks(mine: Rows) -> None:
        while True:
            if claim := await mine.take("terminal", 0.0):
                what = happened[int(claim.draft[1:])]
                await asyncio.sleep(0)
                seen[claim.draft] = max(what, seen.get(claim.draft, 0))
                await mine.rest(claim, "terminal", 0, LATER)
            elif over:
                return
            else:
                await asyncio.sleep(0)

    async def delivered(door: Door, number: int, delivery: str) -> int:
        async with at_once:
            happened[number] += 1
            return await door.deliver(about_pull(number), delivery)

    at_once = asyncio.Semaphore(64)
    others = [connect(server.url) for _ in range(3)]
    wanted = [(number % pulls + 1, f"d-{number}") for number in range(1000)]
    wanted += chance.sample(wanted, 200)
    chance.shuffle(wanted)
    async with door_of(others[0]) as client, asyncio.TaskGroup() as lookers:
        for other in others[1:]:
            lookers.create_task(looks(Rows(other)))
        answers = await asyncio.gather(*(delivered(Door(client), *one) for one in wanted))
        over = True
    for other in others:
        await other.close()

    assert answers == [202] * 1200
    assert len(await deliveries(memory)) == 1000
    assert [(draft, count) for draft, count in seen.items() if count < _counted(wanted, draft)] == []
    assert await due(rows) == []


def _counted(wanted: list[tuple[int, str]], draft: str) -> int:
    """How often something happened before the last delivery that was not heard before."""
    first: set[str] = set()
    last = count = 0
    for number, delivery in wanted:
        if f"k{number}" == draft:
            count += 1
            if delivery not in first:
                last = count
            first.add(delivery)
    return last


# --- GitHub's own shapes

NAMES = ["pull_request", "pull_requests", "number", "issue", "check_run", "check_suite", "workflow_run", "head_sha", "sha"]
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(HEAD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
)


@given(st.dictionaries(st.sampled_from(NAMES), ANY))
def test_whatever_is_delivered_only_numbers_and_commits_are_taken_from_it(payload: dict[str, Any]) -> None:
    assert all(type(number) is int and number > 0 for number in numbers(payload))
    assert {*commits(payload)} <= {HEAD}


NUMBERED = ("pull_request", "pull_request_review", "pull_request_review_comment", "pull_request_review_thread")
OURS = {
    "pull_request$edited": about_pull(1),
    "pull_request_review$submitted": about_review(1),
    "pull_request_review_comment$created": about_line(1),
    "issue_comment$created": about_comment(1),
    "check_run$completed": about_check(HEAD, 1),
    "check_suite$completed": about_check(HEAD, kind="check_suite"),
    "workflow_run$completed": about_check(HEAD, kind="workflow_run"),
    "status$event": about_status(HEAD),
}


def test_every_example_that_github_gives_names_its_pull_request_or_its_commit() -> None:
    found = {kind["name"]: kind["examples"] for kind in octokit("webhooks-examples-7.6.1", "api.github.com/index.json")}

    for name in NUMBERED:
        assert [[*numbers(one)] for one in found[name]] == [[one["pull_request"]["number"]] for one in found[name]]
    for name in ("check_run", "check_suite", "workflow_run"):
        assert [[*commits(one)] for one in found[name]] == [[one[name]["head_sha"]] for one in found[name]]
        named = [[pull["number"] for pull in one[name]["pull_requests"]] for one in found[name]]
        assert [[*numbers(one)] for one in found[name]] == named
        assert any(named) and not all(named)
    assert [[*commits(one)] for one in found["status"]] == [[one["sha"]] for one in found["status"]]
    others = [one for name, given in found.items() if name not in (*NUMBERED, "check_run", "check_suite") for one in given]
    assert {type(number) for one in others for number in numbers(one)} <= {int}


@pytest.mark.parametrize("name", OURS)
def test_our_own_payloads_are_parts_of_githubs(name: str) -> None:
    schema = octokit("webhooks-schemas-7.6.1", "schema.json")
    whole = {**_parts(schema), "$ref": f"#/definitions/{name}", "oneOf": [{}]}

    jsonschema.Draft7Validator(whole).validate(OURS[name])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(whole).validate({**OURS[name], "repository": {"full_name": 7}})


def _parts(schema: Any) -> Any:
    """A schema of which any part may be missing."""
    if isinstance(schema, list):
        return [_parts(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: _parts(one) for name, one in schema.items() if name != "required" or not isinstance(one, list)}
    return {"anyOf" if name == "oneOf" else name: one for name, one in kept.items()}
