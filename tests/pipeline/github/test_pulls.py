"""Pull requests as values: what is news, who agrees, and whose turn it is, whatever happened in whichever order."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipeline.pulls import (
    DAY_S,
    LABELS,
    NEEDS,
    Check,
    News,
    Pull,
    Remark,
    Result,
    Rules,
    agreed,
    closes_at,
    failing,
    news,
    same,
    stale_at,
    waits,
)

NOW = 1_000_000.0
RULES = Rules()
PULL = Pull(
    "lab/taxonomy", 12, "Order tickets", "https://x/12", "open", "alice", "a" * 40, "k7", "main", NOW, NOW, pushed=NOW, read=NOW
)


def kinds(before: Pull | None, after: Pull, now: float = NOW) -> list[tuple[str, str]]:
    return [(one.kind, one.what) for one in news(before, after, RULES, now)]


def with_checks(**results: Result) -> Pull:
    return replace(PULL, checks=tuple(Check(name, result) for name, result in results.items()))


def said(id: str, by: str, text: str = "", at: float = 1.0, **more: object) -> Remark:
    return replace(Remark(id, "comment", by, NOW + at, text, member=True), **more)  # type: ignore[arg-type]


def with_remarks(*remarks: Remark) -> Pull:
    return replace(PULL, remarks=remarks)


# --- news


def test_what_is_as_it_was_is_no_news() -> None:
    full = replace(PULL, labels=("skill", "stale"), checks=(Check("lint", "failed"),), remarks=(said("1", "dora", "?"),))

    assert kinds(full, replace(full, read=NOW + 60, moved=NOW + 60)) == []
    assert same(full, replace(full, read=NOW + 60, moved=NOW + 60, marked=(("skill", NOW),)))
    assert not same(full, replace(full, title="Order cards"))


def test_the_first_look_tells_that_it_is_open_and_whatever_is_there_already() -> None:
    pull = replace(PULL, labels=("skill",), checks=(Check("lint", "running"),))

    assert kinds(None, pull) == [("opened", ""), ("checks.running", ""), ("label", "skill")]
    assert kinds(None, replace(PULL, state="merged")) == [("opened", ""), ("merged", "")]


def test_each_check_that_failed_is_told_once_a_commit() -> None:
    failed = with_checks(lint="failed", dco="failed", docs="passed")
    other = replace(failed, head="b" * 40)

    assert kinds(with_checks(lint="running"), failed) == [("checks.failed", "lint"), ("checks.failed", "dco")]
    assert kinds(with_checks(lint="failed"), failed) == [("checks.failed", "dco")]
    assert kinds(failed, other) == [("commits", "b" * 40), ("checks.failed", "lint"), ("checks.failed", "dco")]
    assert [one.name for one in failing(failed)] == ["lint", "dco"]


def test_checks_have_passed_when_none_runs_any_more_and_none_failed() -> None:
    half, whole = with_checks(lint="passed", dco="running"), with_checks(lint="passed", dco="passed", docs="skipped")

    assert kinds(PULL, half) == [("checks.running", "")]
    assert kinds(half, half) == []
    assert kinds(half, whole) == [("checks.passed", "")]
    assert kinds(PULL, with_checks(docs="skipped")) == []


def test_labels_that_come_and_go_are_told_and_say_whether_the_contributor_must_act() -> None:
    found = news(replace(PULL, labels=("triage-needed",)), replace(PULL, labels=("triage-requested-changes", "x")), RULES, NOW)

    assert found == (
        News("label", "triage-requested-changes", needs=True),
        News("label", "x"),
        News("unlabel", "triage-needed"),
    )
    assert set(LABELS) >= NEEDS


def test_what_members_say_needs_its_author_and_what_bots_and_passers_by_say_does_not() -> None:
    remarks = (
        said("1", "dora", "Could the answer keep the plural?"),
        said("2", "labot", "Analysis in progress", bot=True),
        said("3", "eve", "Nice!", member=False),
        said("4", "alice", "I will.", member=False),
    )

    found = news(PULL, with_remarks(*remarks), RULES, NOW)

    assert found == (News("remark", "comment-1", needs=True), News("remark", "comment-2"), News("remark", "comment-3"))


def test_a_review_is_news_once_more_when_its_verdict_is_another() -> None:
    asked = said("1", "dora", "Shorter.", kind="review", verdict="changes")
    taken_back = replace(asked, verdict="dismissed")

    assert news(PULL, with_remarks(asked), RULES, NOW) == (News("changes", "review-1", needs=True),)
    assert kinds(with_remarks(asked), with_remarks(taken_back)) == []
    assert not same(with_remarks(asked), with_remarks(taken_back))


def said_lgtm(*people: str) -> Pull:
    return with_remarks(*(said(name, name, "LGTM", at) for at, name in enumerate(people)))


def test_the_second_lgtm_of_two_is_also_the_approval() -> None:
    assert kinds(PULL, said_lgtm("dora")) == [("lgtm", "comment-dora")]
    assert kinds(said_lgtm("dora"), said_lgtm("dora", "emil")) == [("lgtm", "comment-emil"), ("approved", "")]
    assert kinds(said_lgtm("dora", "emil"), said_lgtm("dora", "emil", "fay")) == [("lgtm", "comment-fay")]


def test_that_it_was_merged_closed_or_opened_again_is_told() -> None:
    closed = replace(PULL, state="closed")

    assert news(PULL, closed, RULES, NOW) == (News("closed", needs=True),)
    assert kinds(closed, PULL) == [("reopened", "")]
    assert kinds(PULL, replace(PULL, state="merged")) == [("merged", "")]


def test_staleness_is_told_three_days_ahead_and_once_where_it_waits_for_its_author() -> None:
    asked = replace(PULL, labels=("triage-requested-changes",), marked=(("triage-requested-changes", NOW + 1),))
    day12, day13 = NOW + 12 * DAY_S, NOW + 13 * DAY_S

    assert kinds(asked, asked, day12 - 1) == []
    assert kinds(asked, asked, day12) == [("stale.soon", "")]
    assert kinds(replace(asked, read=day12), replace(asked, read=day13), day13) == []
    assert kinds(PULL, PULL, day13) == []  # it waits for triage: its author can do nothing
    assert kinds(asked, replace(asked, labels=(*asked.labels, "stale")), day13) == [("stale", "stale")]


def test_whoever_spoke_again_hears_of_staleness_again() -> None:
    lint = with_checks(lint="failed")
    later = replace(lint, moved=NOW + 13 * DAY_S, read=NOW + 13 * DAY_S)

    assert kinds(replace(lint, read=NOW + 12 * DAY_S), later, later.read) == []
    assert kinds(later, later, NOW + 25 * DAY_S) == [("stale.soon", "")]


def test_a_pull_request_that_nobody_could_read_before_has_no_commits_to_tell() -> None:
    assert kinds(replace(PULL, head=""), PULL) == []


# --- any order


RESULTS: list[Result] = ["waiting", "running", "passed", "failed", "skipped"]
REMARKS = st.builds(
    Remark,
    id=st.sampled_from([*"123456"]),
    kind=st.sampled_from(["comment", "review", "line"]),
    by=st.sampled_from(["alice", "dora", "emil"]),
    at=st.integers(0, 9).map(float),
    text=st.sampled_from(["LGTM", "no", ""]),
    verdict=st.sampled_from(["", "approved", "changes", "dismissed"]),
    member=st.booleans(),
)
PULLS = st.builds(
    replace,
    st.just(PULL),
    head=st.sampled_from(["a", "b"]),
    state=st.sampled_from(["open", "merged", "closed"]),
    labels=st.lists(st.sampled_from(["stale", "skill", "triage-needed"]), unique=True).map(tuple),
    checks=st.lists(
        st.builds(Check, st.sampled_from(["x", "y"]), st.sampled_from(RESULTS)), unique_by=lambda one: one.name
    ).map(tuple),
    remarks=st.lists(REMARKS, unique_by=lambda one: one.id).map(lambda found: tuple(sorted(found, key=lambda one: one.at))),
)


@given(PULLS, PULLS, st.randoms())
def test_news_are_the_same_in_whichever_order_github_lists_things(before: Pull, after: Pull, chance: random.Random) -> None:
    labels, checks = [*after.labels], [*after.checks]
    chance.shuffle(labels)
    chance.shuffle(checks)
    other = replace(after, labels=tuple(labels), checks=tuple(checks))

    assert sorted(kinds(before, after)) == sorted(kinds(before, other))


@given(PULLS, PULLS)
def test_whoever_was_told_is_not_told_again(before: Pull, after: Pull) -> None:
    assert kinds(after, after) == []
    assert len(kinds(before, after)) == len({*kinds(before, after)})


@given(PULLS)
def test_of_nobody_twice_and_never_its_author_is_said_that_they_agree(pull: Pull) -> None:
    assert len(agreed(pull)) == len({*agreed(pull)})
    assert "alice" not in agreed(pull)


# --- who agrees


def test_members_agree_by_a_review_or_a_comment_and_each_counts_once() -> None:
    pull = with_remarks(
        said("1", "dora", "LGTM!"),
        said("2", "dora", "", 2, kind="review", verdict="approved"),
        said("3", "emil", "Thank you.\n/lgtm", 3),
        said("4", "eve", "LGTM", 4, member=False),
        said("5", "alice", "LGTM", 5),
        said("6", "labot", "LGTM", 6, bot=True),
    )

    assert agreed(pull) == ("dora", "emil")


def test_whoever_asks_for_changes_later_agrees_no_more_until_they_approve_again() -> None:
    lgtm, asked = said("1", "dora", "lgtm"), said("2", "dora", "Hm.", 2, kind="review", verdict="changes")
    again = said("3", "dora", "", 3, kind="review", verdict="approved")

    assert agreed(with_remarks(lgtm, asked)) == ()
    assert agreed(with_remarks(lgtm, asked, again)) == ("dora",)
    assert agreed(with_remarks(lgtm, replace(again, verdict="dismissed"))) == ()
    assert agreed(with_remarks(lgtm, said("4", "dora", "/lgtm cancel", 4))) == ()
    assert agreed(with_remarks(lgtm, said("4", "dora", "Thanks for the answer", 4))) == ("dora",)


def test_an_lgtm_that_is_quoted_denied_or_conditional_is_none() -> None:
    texts = [
        "> LGTM\nI do not think so",
        "not lgtm yet",
        "LGTM once the plural is kept",
        "```\nlgtm\n```",
        "lgtmish",
        "is this lgtm?",
    ]

    assert [agreed(with_remarks(said("1", "dora", text))) for text in texts] == [()] * len(texts)


# --- whose turn


def test_it_waits_for_its_author_until_they_push_or_answer() -> None:
    label = "triage-requested-changes"
    asked = replace(PULL, labels=(label,), marked=((label, NOW + 60),))
    review = with_remarks(said("1", "dora", "Shorter.", 60, kind="review", verdict="changes"))
    answer = said("2", "alice", "Done.", 70, member=False)

    for pull in (asked, review):
        assert waits(pull, RULES) == "author"
        assert waits(replace(pull, pushed=NOW + 70), RULES) == "triage"
        assert waits(replace(pull, remarks=(*pull.remarks, answer)), RULES) == "triage"


def test_each_turn_has_its_name() -> None:
    assert waits(PULL, RULES) == "triage"
    assert waits(with_checks(lint="failed"), RULES) == "author"
    assert waits(with_checks(lint="waiting"), RULES) == "checks"
    assert waits(said_lgtm("dora"), RULES) == "review"
    assert waits(replace(PULL, labels=("triage-approved",)), RULES) == "review"
    assert waits(said_lgtm("dora", "emil"), RULES) == "merge"
    assert waits(said_lgtm("dora"), Rules(lgtms=1)) == "merge"
    assert waits(replace(PULL, labels=("stale",)), RULES) == "author"
    assert waits(replace(with_checks(lint="failed"), state="merged"), RULES) == "nobody"


def test_the_stale_bot_spares_what_is_to_be_built_and_what_is_over() -> None:
    stale = replace(PULL, labels=("stale",))

    assert stale_at(PULL, RULES) == NOW + 15 * DAY_S
    assert stale_at(replace(PULL, labels=("community-build-ready",)), RULES) is None
    assert stale_at(replace(PULL, state="closed"), RULES) is None
    assert (stale_at(stale, RULES), closes_at(stale, RULES)) == (None, NOW + 31 * DAY_S)
    assert closes_at(PULL, RULES) is None
