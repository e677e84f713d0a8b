"""Pull requests are followed: each change is told once, whoever dies in between, and nobody asks more than they may."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from pipeline.embedded import Server
from pipeline.errors import Invalid, Problem, Temporary
from pipeline.github.client import hub_of
from pipeline.github.following import LOST_S, OVER_S, Follower
from pipeline.github.hooks import PATH, routes
from pipeline.github.rows import LEASE_MS, due_of
from pipeline.memory import Memory, connect
from pipeline.pulls import DAY_S, Followed, News, Pull, Rules
from tests.fakes.github import FakeGitHub, Fault
from tests.pipeline.github.payloads import SECRET, about_check, signed
from tests.pipeline.github.scene import NOW, QNA, proposed, scene

LEASE_S = LEASE_MS / 1000
POLL_S = 300.0
TOKEN = "gho_PLANTEDTOKENfollower"
BOUND_S = 20.0


@dataclass
class Clock:
    at: float = NOW

    def __call__(self) -> float:
        return self.at


@dataclass
class Told:
    """Whoever is told: by draft and number, as the bot's inbox does. `fails`: what happens instead of hearing."""

    heard: dict[tuple[str, int], tuple[Pull, tuple[News, ...]]] = field(default_factory=dict)
    times: int = 0
    fails: list[Exception] = field(default_factory=list)
    people: list[str] = field(default_factory=list)

    async def __call__(self, followed: Followed, number: int, pull: Pull, news: tuple[News, ...]) -> None:
        self.times += 1
        if self.fails:
            raise self.fails.pop()
        assert self.heard.setdefault((followed.draft, number), (pull, news)) == (pull, news)
        self.people.append(followed.person)

    @property
    def kinds(self) -> list[list[str]]:
        return [[one.kind for one in news] for _, news in self.heard.values()]


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    with scene() as made:
        made.user("alice", TOKEN)
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def follower(fake: FakeGitHub, memory: Memory, clock: Clock, told: Told) -> Follower:
    """It follows pull request 12, which came from draft k1, and has not looked yet."""
    proposed(fake)
    made = made_of(fake, memory, clock, told)
    await made.follow(followed())
    return made


def made_of(fake: FakeGitHub, memory: Memory, clock: Callable[[], float], told: Told) -> Follower:
    async def token(person: str) -> str:
        return TOKEN if person == "p1" else ""

    made = Follower(memory, hub_of(fake.settings()), token, Rules(), platform="terminal", clock=clock, poll_s=POLL_S)
    made.tell = told
    return made


def followed(draft: str = "k1", number: int = 12, person: str = "p1", **more: Any) -> Followed:
    return Followed(draft, person, "lab/taxonomy", number, "terminal", "terminal:@p1", since=NOW, **more)


async def due(follower: Follower, draft: str = "k1") -> float | None:
    found = await follower.rows.memory.do("ZSCORE", due_of("terminal"), draft)
    return None if found is None else float(found)


# --- what is told


async def test_the_first_look_tells_that_it_was_opened(follower: Follower, told: Told) -> None:
    assert await follower.pull("k1") is None
    assert await follower.once() == 1

    ((pull, news),) = told.heard.values()
    assert (pull.number, news) == (12, (News("opened"),))
    assert await follower.pull("k1") == (followed(), pull)
    assert await follower.once() == 0


async def test_each_change_is_told_once_and_by_the_next_number(
    follower: Follower, fake: FakeGitHub, told: Told, clock: Clock
) -> None:
    one = fake.pull("lab/taxonomy")
    await follower.once()
    for happens in (
        lambda: fake.check(one, "lint", None),
        lambda: fake.check(one, "lint", "failure", ((QNA, 4, "too long"),)),
        lambda: fake.push(one.head, one.branch, {QNA: "version: 3\ntask: x\n"}),
        lambda: fake.check(one, "lint", "success"),
        lambda: fake.label(one, "triage-requested-changes"),
        lambda: fake.reviews(one, "dora", "APPROVED", "LGTM"),
        lambda: fake.says(one, "emil", "LGTM"),
        lambda: fake.merge(one),
    ):
        happens()
        clock.at += 12 * POLL_S
        await follower.once()
        clock.at += 12 * POLL_S
        await follower.once()

    assert told.kinds == [
        ["opened"],
        ["checks.running"],
        ["checks.failed"],
        ["commits"],
        ["checks.passed"],
        ["label"],
        ["lgtm"],
        ["lgtm", "approved"],
        ["merged"],
    ]
    assert [number for _, number in told.heard] == [*range(1, 10)]
    assert told.times == 9


async def test_all_that_happened_between_two_looks_is_told_together(follower: Follower, fake: FakeGitHub, told: Told) -> None:
    await follower.once()
    one = fake.pull("lab/taxonomy")
    fake.label(one, "stale")
    fake.unlabel(one, "stale")
    fake.says(one, "dora", "Plural?")
    fake.close(one)
    fake.reopen(one)
    await follower.hint("lab/taxonomy", 12)
    await follower.once()

    assert told.kinds == [["opened"], ["remark"]]


async def test_what_is_shown_otherwise_is_told_also_where_it_is_no_news(
    follower: Follower, fake: FakeGitHub, told: Told
) -> None:
    await follower.once()
    fake.pull("lab/taxonomy").title = "Order cards"
    await follower.hint("LAB/Taxonomy", 12)
    await follower.once()

    assert told.kinds == [["opened"], []]
    assert told.heard["k1", 2][0].title == "Order cards"


async def test_staleness_is_told_when_its_time_comes_though_nothing_happens(
    follower: Follower, fake: FakeGitHub, told: Told, clock: Clock
) -> None:
    fake.label(fake.pull("lab/taxonomy"), "triage-requested-changes")
    await follower.once()
    clock.at += 11 * DAY_S
    for _ in range(15):
        clock.at += DAY_S / 5
        await follower.once()

    assert told.kinds == [["opened", "label"], ["stale.soon"]]


# --- crashes


async def test_what_could_not_be_told_is_told_by_the_next_one_as_it_was(
    follower: Follower, fake: FakeGitHub, memory: Memory, told: Told, clock: Clock
) -> None:
    told.fails = [Temporary("the process ends here")]
    await follower.once()
    fake.label(fake.pull("lab/taxonomy"), "skill")
    assert (told.kinds, await follower.once()) == ([], 0)  # the lease goes on

    clock.at += LEASE_S
    await made_of(fake, memory, clock, told).once()

    assert told.kinds == [["opened"], ["label"]]
    assert [*told.heard] == [("k1", 1), ("k1", 2)]


class Mortal(Memory):
    """Dies at the n-th command: before it (`done` False) or after it was done, with no answer."""

    def __init__(self, memory: Memory, at: int, done: bool) -> None:
        super().__init__(memory.redis)
        self.left, self.done = at, done

    async def do(self, *words: Any) -> Any:
        self.left -= 1
        if self.left < 0 or (self.left == 0 and not self.done):
            raise asyncio.CancelledError
        answer = await super().do(*words)
        if self.left == 0:
            raise asyncio.CancelledError
        return answer


async def test_killed_at_any_command_nothing_is_lost_and_nothing_told_as_something_else(
    fake: FakeGitHub, memory: Memory, clock: Clock
) -> None:
    proposed(fake)
    died = 0
    for done in (False, True):
        for at in range(1, 100):
            told = Told()
            await memory.do("FLUSHALL")
            for name in ("skill", "triage-needed"):
                fake.unlabel(fake.pull("lab/taxonomy"), name)
            await made_of(fake, memory, clock, told).follow(followed())
            mortal = Mortal(memory, at, done)
            with suppress(asyncio.CancelledError):
                await _two_looks(fake, made_of(fake, mortal, clock, told))
            clock.at += LEASE_S
            await _two_looks(fake, made_of(fake, memory, clock, told))

            kinds = [(one.kind, one.what) for _, news in told.heard.values() for one in news]
            assert sorted(kinds) == [("label", "skill"), ("label", "triage-needed"), ("opened", "")], (at, done)
            assert [number for _, number in told.heard] == [*range(1, len(told.heard) + 1)]
            if mortal.left > 0:
                break
            died += 1
    assert died > 10


async def _two_looks(fake: FakeGitHub, follower: Follower) -> None:
    for name in ("skill", "triage-needed"):
        if name not in fake.pull("lab/taxonomy").labels:
            fake.label(fake.pull("lab/taxonomy"), name)
        await follower.hint("lab/taxonomy", 12)
        await follower.once()


async def test_an_answer_of_githubs_that_nobody_expected_ends_one_look_and_no_more(
    follower: Follower, told: Told, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    told.fails = [KeyError("head")]
    assert await follower.once() == 1
    clock.at += LEASE_S
    await follower.once()

    assert told.kinds == [["opened"]]
    assert "the look failed and is done again later" in caplog.text


async def test_of_several_processes_one_looks(
    fake: FakeGitHub, memory: Memory, server: Server, clock: Clock, told: Told
) -> None:
    first = made_of(fake, memory, clock, told)
    for number in range(12, 20):
        proposed(fake, number)
        await first.follow(followed(f"k{number}", number))
    other = connect(server.url)
    second = made_of(fake, other, clock, told)

    counts = await asyncio.gather(first.once(), second.once())
    await other.close()

    assert (sum(counts), told.times) == (8, 8)
    assert sum(one.path.endswith("/reviews") for one in fake.traffic) == 8


# --- how often


async def test_the_longer_it_is_silent_the_rarer_it_is_looked_at(follower: Follower, clock: Clock) -> None:
    waits = []
    for silent_s in (60, 7200, 2 * DAY_S, 5 * DAY_S):
        clock.at = NOW + silent_s
        await follower.hint("lab/taxonomy", 12)
        await follower.once()
        waits.append((await due(follower) or 0) - clock.at)

    assert waits == [POLL_S, 2 * POLL_S, 4 * POLL_S, 12 * POLL_S]


async def test_while_checks_run_it_is_looked_at_often(follower: Follower, fake: FakeGitHub, clock: Clock) -> None:
    fake.check(fake.pull("lab/taxonomy"), "lint", None)
    clock.at = NOW + 5 * DAY_S
    await follower.once()

    assert await due(follower) == clock.at + POLL_S


async def test_what_is_merged_is_followed_for_a_week_and_can_be_seen_for_longer(
    follower: Follower, fake: FakeGitHub, clock: Clock, told: Told, memory: Memory
) -> None:
    fake.merge(fake.pull("lab/taxonomy"))
    await follower.once()
    clock.at += OVER_S - 1
    await follower.once()
    assert await due(follower) == clock.at + 12 * POLL_S

    clock.at += 12 * POLL_S
    await follower.once()

    assert await due(follower) is None
    assert [pull.state for _, pull in await follower.pulls("p1")] == ["merged"]
    assert 0 < await memory.do("TTL", "github:pull:k1") <= 90 * DAY_S
    assert await memory.do("EXISTS", "github:of:lab/taxonomy#12", "github:head:lab/taxonomy") == 0
    await memory.do("DEL", "github:pull:k1")  # its time is over
    assert (await follower.pulls("p1"), await memory.do("EXISTS", "github:followed")) == ([], 0)


async def test_what_was_closed_and_is_opened_again_goes_on(
    follower: Follower, fake: FakeGitHub, clock: Clock, told: Told
) -> None:
    one = fake.pull("lab/taxonomy")
    fake.close(one)
    await follower.once()
    fake.reopen(one)
    clock.at += DAY_S
    await follower.once()
    clock.at += 2 * OVER_S
    await follower.once()

    assert told.kinds[:2] == [["opened", "closed"], ["reopened"]]
    assert await due(follower) is not None


# --- GitHub says no


async def test_a_limit_is_kept_to_for_everything_that_the_token_reads(
    follower: Follower, fake: FakeGitHub, clock: Clock, told: Told
) -> None:
    proposed(fake, 13)
    await follower.follow(followed("k2", 13))
    fake.faults.append(Fault("secondary", path="GET", retry_after=1000))
    await follower.once()
    asked = fake.seen
    clock.at += 900
    await follower.once()
    assert (asked, fake.seen, told.times) == (1, 1, 0)

    clock.at += 1000
    await follower.once()
    assert told.kinds == [["opened"], ["opened"]]


async def test_while_github_is_away_nothing_is_told_and_it_is_looked_at_later(
    follower: Follower, fake: FakeGitHub, clock: Clock, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.github.client.PAUSES_S", (0.0, 0.0))
    fake.faults.append(Fault("status", path="reviews", times=3, status=503))
    await follower.once()
    assert (told.times, await due(follower)) == (0, clock.at + POLL_S)

    clock.at += POLL_S
    await follower.once()
    assert told.kinds == [["opened"]]


async def test_whoever_took_their_token_back_is_told_on_as_anybody_may_read_it(
    follower: Follower, fake: FakeGitHub, told: Told
) -> None:
    fake.revoke(TOKEN)
    await follower.once()

    assert told.kinds == [["opened"]]


async def test_one_that_cannot_be_read_any_more_is_told_to_be_lost_once_and_when_it_is_found_again(
    follower: Follower, fake: FakeGitHub, clock: Clock, told: Told
) -> None:
    await follower.once()
    fake.repos["lab/taxonomy"].private = True
    for _ in range(3):
        clock.at += 12 * POLL_S
        await follower.once()
    fake.repos["lab/taxonomy"].private = False
    clock.at += 12 * POLL_S
    await follower.once()

    assert told.kinds == [["opened"], ["lost"], []]
    assert told.heard["k1", 2] == (told.heard["k1", 1][0], (News("lost", "github.gone", needs=True),))


async def test_one_that_never_could_be_read_is_told_to_be_lost_too_and_given_up_after_a_month(
    follower: Follower, fake: FakeGitHub, clock: Clock, told: Told
) -> None:
    fake.revoke(TOKEN)
    fake.repos["lab/taxonomy"].private = True
    await follower.once()
    clock.at += LOST_S
    await follower.once()
    assert await due(follower) is not None
    clock.at += 12 * POLL_S
    await follower.once()

    ((pull, news),) = told.heard.values()
    assert (pull.url, news) == (f"{fake.url}/lab/taxonomy/pull/12", (News("lost", "github.revoked", needs=True),))
    assert await due(follower) is None


async def test_without_an_account_it_is_read_as_anybody_may(follower: Follower, told: Told) -> None:
    async def token(person: str) -> str:
        raise Invalid(Problem("github.revoked", "taken back"))

    follower.token = token
    await follower.once()

    assert told.kinds == [["opened"]]


async def test_no_token_is_in_what_is_kept_or_logged(
    follower: Follower, fake: FakeGitHub, memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    fake.faults.append(Fault("status", path="comments", status=403))
    await follower.once()

    rows = [await memory.do("DUMP", key) async for key in memory.keys("*")]
    assert rows
    assert not any(b"PLANTED" in row for row in rows)
    assert "PLANTED" not in caplog.text
    assert "PLANTED" not in repr(vars(follower))


# --- who follows what


async def test_to_be_told_elsewhere_is_no_news(follower: Follower, told: Told) -> None:
    await follower.once()
    await follower.follow(followed(person="p2", locale="de"))
    await follower.once()

    assert told.times == 1
    assert await follower.pulls("p1") == []
    assert [one.locale for one, _ in await follower.pulls("p2")] == ["de"]


async def test_another_pull_request_of_the_same_draft_is_another_story_and_the_numbers_go_on(
    follower: Follower, fake: FakeGitHub, told: Told, memory: Memory
) -> None:
    await follower.once()
    proposed(fake, 13)
    await follower.follow(followed(number=13))
    await follower.once()
    await follower.unfollow("k1")
    await follower.follow(followed(number=13))
    await follower.once()

    assert [(number, pull.number) for (_, number), (pull, _) in told.heard.items()] == [(1, 12), (2, 13), (3, 13)]
    assert await memory.do("EXISTS", "github:of:lab/taxonomy#12") == 0
    assert await memory.do("HVALS", "github:head:lab/taxonomy") == [b"13"]


async def test_what_is_not_followed_any_more_leaves_nothing_also_in_the_middle_of_a_look(
    follower: Follower, told: Told, memory: Memory
) -> None:
    async def token(person: str) -> str:
        await follower.unfollow("k1")
        return ""

    follower.token = token
    await follower.once()

    assert told.times == 0
    assert [key async for key in memory.keys("*")] == []


async def test_two_people_who_are_one_have_all_pull_requests_of_both(follower: Follower, fake: FakeGitHub, told: Told) -> None:
    proposed(fake, 13)
    await follower.follow(followed("k2", 13, "p2"))
    await follower.move("p2", "p1")
    await follower.once()

    assert {one.draft for one, _ in await follower.pulls("p1")} == {"k1", "k2"}
    assert (await follower.pulls("p2"), {*told.people}) == ([], {"p1"})


async def test_whoever_is_forgotten_has_none_and_others_keep_theirs(
    follower: Follower, fake: FakeGitHub, memory: Memory, told: Told
) -> None:
    proposed(fake, 13)
    await follower.follow(followed("k2", 13, "p2"))
    await follower.once()
    await follower.forget("p1")

    assert await follower.export("p1") == []
    assert [one["draft"] for one in await follower.export("p2")] == ["k2"]
    assert not [key async for key in memory.keys("*k1*") if key != "github:count:k1"]


async def test_what_is_handed_over_of_somebody_has_nobody_elses_words(follower: Follower, fake: FakeGitHub) -> None:
    fake.says(fake.pull("lab/taxonomy"), "dora", "These are mine.")
    await follower.once()

    (found,) = await follower.export("p1")
    assert (found["number"], found["title"], found["state"]) == (12, "Order tickets", "open")
    assert "mine" not in repr(found)


# --- on and on


@pytest.fixture
async def running(follower: Follower) -> AsyncIterator[Follower]:
    task = asyncio.create_task(follower.run())
    yield follower
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not holds():
            await asyncio.sleep(0.005)


async def test_what_runs_looks_by_itself_and_hears_hints(running: Follower, fake: FakeGitHub, told: Told) -> None:
    await until(lambda: told.kinds == [["opened"]])
    fake.label(fake.pull("lab/taxonomy"), "skill")
    await running.hint("lab/taxonomy", 12)
    await until(lambda: told.kinds == [["opened"], ["label"]])


async def test_what_github_delivers_is_read_and_told(
    running: Follower, fake: FakeGitHub, told: Told, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.github.following.IDLE_S", 0.01)
    await until(lambda: told.kinds == [["opened"]])
    one = fake.pull("lab/taxonomy")
    fake.check(one, "lint", "failure", ((QNA, 4, "too long"),))
    body = json.dumps(about_check(fake.head(one))).encode()
    headers = {"content-type": "application/json", "x-github-delivery": "d-1", "x-hub-signature-256": signed(body)}
    transport = httpx.ASGITransport(Starlette(routes=routes(memory, SECRET, "lab/taxonomy")))
    async with httpx.AsyncClient(transport=transport, base_url="https://labbot.example.org") as client:
        await client.post(PATH, content=body, headers=headers)

    await until(lambda: told.kinds == [["opened"], ["checks.failed"]])


async def test_what_runs_goes_on_when_redis_comes_back(fake: FakeGitHub, clock: Clock, told: Told, server: Server) -> None:
    proposed(fake)
    memory = connect(server.url)
    away = True

    class Flaky(Memory):
        async def do(self, *words: Any) -> Any:
            if away:
                raise Temporary("Redis is away")
            return await super().do(*words)

    await memory.do("FLUSHALL")
    await made_of(fake, memory, clock, told).follow(followed())
    follower = made_of(fake, Flaky(memory.redis), clock, told)
    task = asyncio.create_task(follower.run())
    await asyncio.sleep(0)
    follower._rung.set()
    away = False
    await until(lambda: told.kinds == [["opened"]])
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await memory.do("FLUSHALL")
    await memory.close()
