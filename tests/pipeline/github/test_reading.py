"""A pull request as it is read: whole, by pieces that cost nothing where they are as they were."""

from collections.abc import AsyncIterator, Iterator

import pytest

from pipeline.github import reading
from pipeline.github.client import GitHub, Hub, hub_of
from pipeline.github.reading import Seen
from pipeline.pulls import Check, Note, Pull, Waiting
from tests.fakes.github import FakeGitHub, Fault
from tests.fakes.github.oracle import fetch, oracle
from tests.fakes.github.world import BEGIN
from tests.pipeline.github.scene import NOW, QNA, proposed, scene


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    with scene() as made:
        yield made


@pytest.fixture
def hub(fake: FakeGitHub) -> Hub:
    return hub_of(fake.settings())


@pytest.fixture
async def github(hub: Hub) -> AsyncIterator[GitHub]:
    async with GitHub(hub) as made:
        yield made


async def look(github: GitHub, seen: Seen | None = None, now: float = NOW) -> tuple[Pull, Seen]:
    found = await reading.read(github, "lab/taxonomy", 12, seen or Seen(), now)
    assert found.pull
    return found.pull, found


async def test_a_pull_request_is_read_with_all_that_happened_to_it(fake: FakeGitHub, github: GitHub) -> None:
    one = proposed(fake)
    fake.label(one, "triage-needed")
    fake.check(one, "lint", "failure", ((QNA, 4, "line too long"), (".github", 1, "Process completed with exit code 1.")))
    fake.check(one, "dco", None)
    fake.says(one, "eve", "Nice!")
    fake.reviews(one, "dora", "CHANGES_REQUESTED", "Shorter, please.")
    fake.reviews(one, "emil", "COMMENTED", "Plural?", QNA, 4)

    pull, _ = await look(github)

    assert (pull.repo, pull.number, pull.title, pull.state, pull.author) == (
        "lab/taxonomy",
        12,
        "Order tickets",
        "open",
        "alice",
    )
    assert (pull.branch, pull.base, pull.head, pull.labels) == ("labbot/k12", "main", fake.head(one), ("triage-needed",))
    assert [(c.name, c.result, c.notes) for c in pull.checks] == [
        ("lint", "failed", (Note(QNA, 4, "line too long"),)),
        ("dco", "running", ()),
    ]
    assert [(r.kind, r.by, r.text, r.verdict, r.member, r.path, r.line) for r in pull.remarks] == [
        ("comment", "eve", "Nice!", "", False, "", 0),
        ("review", "dora", "Shorter, please.", "changes", True, "", 0),
        ("line", "emil", "Plural?", "", True, QNA, 4),
    ]
    assert (pull.marked, pull.read) == ((("triage-needed", pull.moved),), NOW)
    assert BEGIN.timestamp() < pull.pushed == pull.created < pull.moved < NOW


async def test_what_is_as_it_was_is_answered_without_being_sent_again(fake: FakeGitHub, github: GitHub) -> None:
    one = proposed(fake)
    fake.check(one, "lint", "failure", ((QNA, 4, "line too long"),))
    fake.reviews(one, "dora", "APPROVED", "LGTM")
    before, seen = await look(github)
    fake.traffic.clear()

    after, again = await look(github, seen, NOW + 60)

    assert [exchange.path for exchange in fake.traffic if exchange.path.endswith("annotations")] == []
    assert len(fake.traffic) == len(seen.etags) == 6
    assert again.etags == seen.etags
    assert (after.remarks, after.checks, after.labels, after.pushed) == (
        before.remarks,
        before.checks,
        before.labels,
        before.pushed,
    )
    assert after.read == NOW + 60


async def test_one_piece_that_changed_is_read_and_the_others_stay(fake: FakeGitHub, github: GitHub) -> None:
    one = proposed(fake)
    fake.check(one, "lint", "success")
    fake.says(one, "dora", "Hello")
    _, seen = await look(github)
    fake.reviews(one, "emil", "APPROVED")
    fake.label(one, "skill")

    after, _ = await look(github, seen, NOW + 60)

    assert [(r.by, r.verdict) for r in after.remarks] == [("dora", ""), ("emil", "approved")]
    assert [check.result for check in after.checks] == ["passed"]
    assert after.marked == (("skill", after.moved),)


async def test_a_new_commit_has_checks_of_its_own(fake: FakeGitHub, github: GitHub) -> None:
    one = proposed(fake)
    fake.check(one, "lint", "failure", ((QNA, 4, "line too long"),))
    before, seen = await look(github)
    fake.push(one.head, one.branch, {QNA: "version: 3\ntask: x\n"})
    fake.label(one, "skill")

    after, _ = await look(github, seen)

    assert (after.head != before.head, after.checks, after.commits) == (True, (), 2)
    assert after.pushed == after.moved > before.pushed


async def test_where_checks_may_not_be_read_the_rest_is(fake: FakeGitHub, github: GitHub) -> None:
    one = proposed(fake)
    fake.check(one, "lint", "failure")
    fake.faults += [Fault("status", path=path, status=403) for path in ("check-runs", "status$")]

    pull, _ = await look(github)

    assert (pull.checks, pull.head) == ((), fake.head(one))


async def test_how_it_ended_is_merged_or_closed(fake: FakeGitHub, github: GitHub) -> None:
    one = proposed(fake)
    fake.close(one)
    closed, seen = await look(github)
    fake.reopen(one)
    opened, seen = await look(github, seen)
    fake.merge(one)
    merged, _ = await look(github, seen)

    assert [pull.state for pull in (closed, opened, merged)] == ["closed", "open", "merged"]


async def test_more_remarks_than_a_page_has_are_all_read_each_time(
    fake: FakeGitHub, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = proposed(fake)
    for number in range(130):
        fake.says(one, "dora", f"Remark {number}")
    before, seen = await look(github)
    fake.says(one, "dora", "The last")

    after, _ = await look(github, seen)

    assert [len(before.remarks), len(after.remarks), after.remarks[-1].text] == [130, 131, "The last"]
    monkeypatch.setattr(reading, "MOST", 50)
    fewer, _ = await look(github, seen)
    assert [len(fewer.remarks), fewer.remarks[-1].text] == [50, "The last"]


async def test_a_review_without_words_or_verdict_only_holds_its_line_comments(fake: FakeGitHub, github: GitHub) -> None:
    one = proposed(fake)
    fake.reviews(one, "dora", "COMMENTED", "Plural?", QNA, 3)
    fake.reviews(one, "emil", "PENDING", "Not sent yet")

    pull, _ = await look(github)

    assert [(r.kind, r.text) for r in pull.remarks] == [("line", "Plural?")]


@pytest.mark.parametrize(
    ("conclusion", "result"),
    [
        ("success", "passed"),
        ("neutral", "passed"),
        ("failure", "failed"),
        ("timed_out", "failed"),
        ("cancelled", "skipped"),
        ("skipped", "skipped"),
        ("action_required", "waiting"),
        (None, "running"),
        ("something new", "running"),
    ],
)
async def test_each_end_of_a_check_is_one_of_ours(
    fake: FakeGitHub, github: GitHub, conclusion: str | None, result: str
) -> None:
    fake.check(proposed(fake), "lint", conclusion)

    pull, _ = await look(github)

    assert [check.result for check in pull.checks] == [result]


def test_of_two_checks_of_one_name_the_worse_counts() -> None:
    found = reading._worst([Check("lint", "passed", id="1"), Check("lint", "failed", id="2"), Check("lint", "running", id="3")])

    assert [(check.result, check.id) for check in found] == [("failed", "2")]


def test_statuses_are_checks_without_an_id() -> None:
    row = {"context": "dco", "state": "error", "target_url": None, "description": "No sign-off"}

    assert reading._status(row) == Check("dco", "failed", "", "No sign-off")


def test_what_somebody_said_who_is_gone_or_of_a_file_that_changed_is_still_read() -> None:
    row = {"id": 1, "user": None, "body": "x" * 9000, "author_association": "NONE", "html_url": "", "created_at": ""}
    line = {**row, "path": "qna.yaml", "line": None, "original_line": 7, "in_reply_to_id": 5}

    assert (reading._comment(row).by, len(reading._comment(row).text)) == ("ghost", reading.TEXT)
    assert (reading._line(line).line, reading._line(line).reply) == (7, "5")


def test_half_a_letter_in_somebodys_words_does_no_harm() -> None:
    row = {"id": 1, "user": None, "body": "a\ud83db", "author_association": "NONE", "html_url": "", "created_at": ""}

    assert reading._comment(row).text == "a?b"


async def test_what_waits_for_triage_is_open_and_approved_by_nobody_the_oldest_first(fake: FakeGitHub, github: GitHub) -> None:
    for number in (14, 12, 13, 15):
        proposed(fake, number, "bob", f"Skill {number}")
    pulls = fake.repos["lab/taxonomy"].pulls
    fake.label(pulls[13], "triage-approved")
    fake.close(pulls[15])
    fake.label(pulls[12], "skill")

    found = await reading.waiting(github, "lab/taxonomy")

    assert [(one.number, one.title, one.author, one.labels) for one in found] == [
        (12, "Skill 12", "bob", ("skill",)),
        (14, "Skill 14", "bob", ()),
    ]
    assert all(isinstance(one, Waiting) and one.url.endswith(f"/pull/{one.number}") for one in found)


async def test_what_is_asked_and_answered_is_valid_by_githubs_own_description(fake: FakeGitHub, github: GitHub) -> None:
    if why := fetch():
        pytest.skip(why)
    one = proposed(fake)
    fake.check(one, "lint", "failure", ((QNA, 4, "line too long"),))
    fake.says(one, "dora", "Hello")
    fake.reviews(one, "emil", "CHANGES_REQUESTED", "Plural?", QNA, 4)
    fake.label(one, "skill")
    _, seen = await look(github)
    fake.check(one, "dco", None)
    await look(github, seen)
    await reading.waiting(github, "lab/taxonomy")

    assert len(fake.traffic) == 14
    assert [what for exchange in fake.traffic for what in oracle().wrong(exchange)] == []
