"""A proposal is one pull request with one commit, whatever GitHub does meanwhile."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Invalid, Temporary
from pipeline.stages.propose import propose
from tests.fakes.github import FakeGitHub, Fault
from tests.pipeline.github.test_identity import PRIVATE, PUBLIC
from tests.pipeline.proposing.conftest import LEAF, QNA, TOKEN, job

BRANCH = "labbot/order_tickets-k7abcdef"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits in real time for what GitHub takes minutes for."""

    async def none(seconds: float) -> None: ...

    monkeypatch.setattr("pipeline.stages.propose.SLEEP", none)


def once(hub: FakeGitHub, commits: int = 1) -> None:
    """There is one pull request, with so many commits and both files."""
    pulls = hub.repos["lab/taxonomy"].pulls
    assert [(one.state, one.head, one.branch) for one in pulls.values()] == [("open", "alice/taxonomy", BRANCH)]
    assert len(hub.commits("alice/taxonomy", BRANCH)) == commits
    files = hub.files("alice/taxonomy", BRANCH)
    assert (files[f"{LEAF}/qna.yaml"].decode(), f"{LEAF}/attribution.txt" in files) == (QNA, True)


def test_a_draft_becomes_a_cross_fork_pull_request_with_one_signed_off_commit(hub: FakeGitHub, tmp_path: Path) -> None:
    facts = propose(job(hub, tmp_path))

    once(hub)
    pull = hub.pull("lab/taxonomy")
    commit = hub.objects.commits[hub.head(pull)]
    assert facts["url"] == f"{hub.url}/lab/taxonomy/pull/1412" and facts["number"] == "1412"
    assert (pull.title, pull.author) == ("Add skill linguistics/order_tickets", "alice")
    assert commit.message.endswith("\n\nSigned-off-by: Alice Ünal <alice@lab.example>\n")
    assert (
        commit.author
        == commit.committer
        == {"name": "Alice Ünal", "email": "alice@lab.example", "date": "2026-01-02T00:00:00Z"}
    )
    assert "alice@lab.example" not in pull.body and "- [x] All commits are signed off (DCO 1.1, agreed to at" in pull.body
    assert (tmp_path / "k7abcdef.1" / "pull.md").read_text(encoding="utf-8") == pull.body


def test_proposing_again_changes_nothing(hub: FakeGitHub, tmp_path: Path) -> None:
    first = propose(job(hub, tmp_path))
    before = len(hub.traffic)
    second = propose(job(hub, tmp_path))

    once(hub)
    assert first == second
    written = [one for one in hub.traffic[before:] if one.method != "GET" and "/git/" not in one.path]
    assert [one.path for one in written] == ["/repos/lab/taxonomy/forks"]


def test_an_edit_becomes_a_further_commit_and_the_text_follows(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    edited = QNA.replace("count: 4", "count: four")
    facts = propose(job(hub, tmp_path, run="k7abcdef.2", qna=edited, signed_at=1767312900.0))

    pull = hub.pull("lab/taxonomy")
    assert facts["number"] == "1412" and len(hub.commits("alice/taxonomy", BRANCH)) == 2
    assert "count: four" in pull.body and "count: 4'" not in pull.body
    assert all("Signed-off-by: Alice" in hub.objects.commits[sha].message for sha in hub.commits("alice/taxonomy", BRANCH))


def test_an_entry_that_moved_leaves_nothing_at_its_old_place(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    there = "compositional_skills/technology/tickets"
    propose(job(hub, tmp_path, run="k7abcdef.2", leaf=there, signed_at=1767312900.0))

    files = hub.files("alice/taxonomy", BRANCH)
    assert f"{there}/qna.yaml" in files and f"{LEAF}/qna.yaml" not in files
    assert len(hub.repos["lab/taxonomy"].pulls) == 1 and hub.pull("lab/taxonomy").title == "Add skill technology/tickets"


def calls(hub: FakeGitHub, tmp_path: Path) -> int:
    """How many requests a proposal takes."""
    propose(job(hub, tmp_path))
    return hub.seen


@pytest.mark.parametrize("kind", ["lost-before", "lost-after", "status", "secondary", "primary"])
def test_one_bad_answer_at_any_call_still_leads_to_one_pull_request(kind: Any, tmp_path: Path) -> None:
    with FakeGitHub().up() as first:
        prepared(first)
        whole = calls(first, tmp_path / "whole")
    assert whole > 15
    for number in range(1, whole + 1):
        with FakeGitHub().up() as hub:
            prepared(hub)
            hub.faults.append(Fault(kind, at=number))
            for _ in range(3):  # the pool tries again what may pass
                try:
                    propose(job(hub, tmp_path / f"{number}"))
                except Temporary:
                    continue
                break
            once(hub)


def prepared(hub: FakeGitHub) -> None:
    hub.repo("lab/taxonomy", {"README.md": "A taxonomy\n"})
    hub.user("alice", TOKEN)


def test_a_fork_that_is_not_ready_is_waited_for(hub: FakeGitHub, tmp_path: Path) -> None:
    hub.forks_wait = 5
    propose(job(hub, tmp_path))

    once(hub)


def test_a_base_that_moved_on_is_what_the_proposal_begins_at(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path, run="other000.1", leaf="compositional_skills/arts/other"))
    hub.push("lab/taxonomy", "main", {"README.md": "Newer\n"})
    propose(job(hub, tmp_path))

    tip = hub.head(hub.pull("lab/taxonomy"))
    assert hub.objects.commits[tip].parents == (hub.repos["lab/taxonomy"].branches["main"],)
    assert hub.files("alice/taxonomy", BRANCH)["README.md"] == b"Newer\n"


def test_a_fork_with_commits_of_its_own_is_left_alone_and_the_way_out_is_named(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path, run="other000.1", leaf="compositional_skills/arts/other"))
    hub.push("alice/taxonomy", "main", {"mine.md": "mine\n"})
    hub.push("lab/taxonomy", "main", {"README.md": "Newer\n"})

    assert refused(hub, tmp_path) == "github.diverged"
    assert "mine.md" in hub.files("alice/taxonomy")


def refused(hub: FakeGitHub, tmp_path: Path, **changed: Any) -> str:
    with pytest.raises(Invalid) as error:
        propose(job(hub, tmp_path, **changed))
    assert "PLANTED" not in str(error.value)
    return error.value.problems[0].code


def test_what_is_in_the_way_is_said_with_its_own_code(hub: FakeGitHub, tmp_path: Path) -> None:
    assert refused(hub, tmp_path, leaf="compositional_skills/arts/there") == "leaf.taken"
    hub.repos["lab/taxonomy"].archived = True
    assert refused(hub, tmp_path) == "github.archived"
    hub.repos["lab/taxonomy"].archived, hub.repos["lab/taxonomy"].private = False, True
    assert refused(hub, tmp_path) == "github.gone"
    hub.repos["lab/taxonomy"].private = False
    hub.repos["lab/taxonomy"].moved_to = "lab/other"
    assert refused(hub, tmp_path) == "github.moved"
    hub.repos["lab/taxonomy"].moved_to = ""
    hub.revoke(TOKEN)
    assert refused(hub, tmp_path) == "github.revoked"
    assert refused(hub, tmp_path, given={}) == "github.unlinked"
    assert not hub.repos["lab/taxonomy"].pulls


def test_a_place_that_is_to_be_replaced_may_be_taken(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path, leaf="compositional_skills/arts/there", replaces=True))

    assert len(hub.repos["lab/taxonomy"].pulls) == 1


def test_a_withdrawn_one_is_opened_again_and_a_merged_one_is_not(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    pull = hub.pull("lab/taxonomy")
    hub.close(pull)
    propose(job(hub, tmp_path))
    assert (pull.state, len(hub.repos["lab/taxonomy"].pulls)) == ("open", 1)

    hub.merge(pull)
    tip = hub.head(pull)
    assert refused(hub, tmp_path, run="k7abcdef.2", signed_at=1767312900.0, replaces=True) == "github.merged"
    assert refused(hub, tmp_path) == "github.merged"
    assert hub.head(pull) == tip


def test_what_its_repository_closed_is_not_got_round(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    hub.close(hub.pull("lab/taxonomy"))
    hub.faults.append(Fault("status", path="PATCH /repos/lab/taxonomy/pulls/1412", status=422, times=9))

    assert refused(hub, tmp_path) == "github.closed"
    assert len(hub.repos["lab/taxonomy"].pulls) == 1


def test_who_withdrew_it_gets_a_new_one_where_github_does_not_open_the_old_one_again(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    pull = hub.pull("lab/taxonomy")
    hub.says(pull, "alice", "Withdrawn by its contributor.\n\n<!-- labbot:slack:1.2 -->")
    hub.close(pull)
    hub.faults.append(Fault("status", path="PATCH /repos/lab/taxonomy/pulls/1412", status=422, times=9))
    for _ in range(2):
        propose(job(hub, tmp_path))

    assert [one.state for one in hub.repos["lab/taxonomy"].pulls.values()] == ["closed", "open"]


def test_a_draft_whose_author_is_called_otherwise_on_github_is_not_proposed(hub: FakeGitHub, tmp_path: Path) -> None:
    for by in ("bob", "alice@lab.example", ""):
        assert refused(hub, tmp_path, qna=QNA.replace("created_by: alice", f"created_by: '{by}'")) == "github.author"
    assert hub.seen == 0

    propose(job(hub, tmp_path, qna=QNA.replace("created_by: alice", "created_by: Alice")))  # GitHub knows no case


def test_the_app_proposes_from_the_repository_itself_with_the_person_as_co_author(
    hub: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_app(hub, monkeypatch)
    hub.push("lab/taxonomy", "main", {"README.md": "Newer\n"})
    work = job(hub, tmp_path, given={})
    work.settings["github"]["app"] = "12"
    first = propose(work)
    assert propose(work) == first

    pull = hub.pull("lab/taxonomy")
    commit = hub.objects.commits[hub.head(pull)]
    assert (pull.author, pull.head, pull.labels, len(hub.repos)) == (
        "labbot[bot]",
        "lab/taxonomy",
        ["skill", "triage-needed"],
        1,
    )
    assert (commit.author["name"], commit.committer["name"]) == ("Alice Ünal", "labbot[bot]")
    assert commit.committer["email"].endswith("+labbot[bot]@users.noreply.127.0.0.1:" + hub.place.partition(":")[2])
    assert commit.message.endswith(
        "\n\nCo-authored-by: Alice Ünal <alice@lab.example>\nSigned-off-by: Alice Ünal <alice@lab.example>\n"
    )
    assert len(hub.commits("lab/taxonomy", BRANCH)) == 1

    with pytest.raises(Invalid, match="mail address"):
        propose(replace(work, folder=job(hub, tmp_path, "b1.1", QNA.replace("alice", "al@lab.example"), {}).folder))


@pytest.mark.parametrize(("label", "opens"), [("", False), ("stale", True)])
def test_the_app_opens_again_what_was_closed_for_its_silence_and_nothing_that_somebody_closed(
    hub: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: str, opens: bool
) -> None:
    by_app(hub, monkeypatch)
    work = job(hub, tmp_path, given={})
    work.settings["github"]["app"] = "12"
    propose(work)
    pull = hub.pull("lab/taxonomy")
    pull.labels += filter(None, [label])
    hub.close(pull)
    if opens:
        propose(work)
    else:
        with pytest.raises(Invalid, match="closed it"):
            propose(work)

    assert (pull.state, len(hub.repos["lab/taxonomy"].pulls)) == ("open" if opens else "closed", 1)


def by_app(hub: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.app("12", PUBLIC, "labbot", "lab/taxonomy")
    monkeypatch.setenv("LABBOT_GITHUB_APP_KEY", PRIVATE)


def test_a_fork_of_the_main_branch_alone_gets_the_one_that_is_proposed_to(hub: FakeGitHub, tmp_path: Path) -> None:
    hub.push("lab/taxonomy", "next", {"README.md": "Next\n"})
    propose(job(hub, tmp_path, run="other000.1", leaf="compositional_skills/arts/other"))
    del hub.repos["alice/taxonomy"].branches["next"]
    work = job(hub, tmp_path)
    work.settings["branch"] = "next"  # type: ignore[index]
    propose(work)

    assert hub.pull("lab/taxonomy").base == "next"
    assert hub.files("alice/taxonomy", BRANCH)["README.md"] == b"Next\n"


def test_a_branch_that_is_not_there_is_told(hub: FakeGitHub, tmp_path: Path) -> None:
    work = job(hub, tmp_path)
    work.settings["branch"] = "later"  # type: ignore[index]
    with pytest.raises(Invalid) as error:
        propose(work)

    assert error.value.facts == {"code": "github.branch", "repo": "lab/taxonomy", "branch": "later"}
    assert "alice/taxonomy" not in hub.repos


def test_an_entry_that_was_to_replace_another_one_and_moved_leaves_that_as_it_was(hub: FakeGitHub, tmp_path: Path) -> None:
    there = "compositional_skills/arts/there"
    propose(job(hub, tmp_path, leaf=there, replaces=True))
    hub.push("alice/taxonomy", "labbot/there-k7abcdef", {"docs/hint.md": "a maintainer's\n"})
    propose(job(hub, tmp_path, run="k7abcdef.2", signed_at=1767312900.0))

    files = hub.files("alice/taxonomy", "labbot/there-k7abcdef")
    assert files[f"{there}/qna.yaml"] == b"version: 3\n" and f"{there}/attribution.txt" not in files
    assert files[f"{LEAF}/qna.yaml"].decode() == QNA and "docs/hint.md" in files


def test_labels_that_github_refuses_are_told_and_lose_nothing(hub: FakeGitHub, tmp_path: Path) -> None:
    hub.repos["lab/taxonomy"].members.add("alice")
    hub.faults.append(Fault("status", path="POST .*/labels", status=403))
    facts = propose(job(hub, tmp_path))

    assert (facts["labels"], facts["unlabelled"], facts["number"]) == ("", "github.refused", "1412")


def test_people_hear_of_each_step_and_each_wait(hub: FakeGitHub, tmp_path: Path) -> None:
    told: list[Mapping[str, str]] = []
    hub.forks_wait = 3
    hub.faults.append(Fault("secondary", path="POST .*/git/trees", retry_after=7))
    propose(replace(job(hub, tmp_path), report=lambda fraction, facts: told.append(facts)))

    steps = [one["step"] for one in told]
    assert list(dict.fromkeys(steps)) == ["fork", "branch", "limit", "pull"] and steps.count("fork") > 2
    assert next(one for one in told if one["step"] == "limit")["pause_s"] == "8"


def test_a_limit_that_lasts_too_long_is_left_to_a_later_attempt(hub: FakeGitHub, tmp_path: Path) -> None:
    hub.faults.append(Fault("secondary", path="POST .*/pulls", retry_after=3600))
    with pytest.raises(Temporary) as error:
        propose(job(hub, tmp_path))
    assert error.value.wait_s == 3601

    propose(job(hub, tmp_path))
    once(hub)


def test_neither_the_token_nor_the_mail_is_in_the_runs_folder_or_the_text(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    written = b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())

    assert b"PLANTED" not in written and b"alice@lab.example" not in written


def test_labels_are_put_on_where_the_rights_allow_and_only_those_that_there_are(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    assert hub.pull("lab/taxonomy").labels == []

    hub.repos["lab/taxonomy"].members.add("alice")
    hub.repos["lab/taxonomy"].labels = ("skill", "bug")
    propose(job(hub, tmp_path, run="another0.1", leaf="compositional_skills/arts/other"))
    assert hub.pull("lab/taxonomy").labels == ["skill"]


def test_check_boxes_of_the_repositorys_own_template_that_nobody_knows_are_kept_open(hub: FakeGitHub, tmp_path: Path) -> None:
    hub.push(
        "lab/taxonomy",
        "main",
        {".github/pull_request_template.md": "- [ ] I fed @dora's cat\n- [ ] All commits are signed off\n"},
    )
    propose(job(hub, tmp_path))

    body = hub.pull("lab/taxonomy").body
    assert "- [ ] I fed @\u200bdora's cat (labbot does not know this one: left open)" in body
    assert body.count("signed off") == 1


def test_where_github_cannot_sync_a_fork_the_proposal_begins_where_that_is(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path, run="other000.1", leaf="compositional_skills/arts/other"))
    hub.push("lab/taxonomy", "main", {"README.md": "Newer\n"})
    hub.faults.append(Fault("status", path="POST .*/merge-upstream", status=404))
    propose(job(hub, tmp_path))

    assert hub.files("alice/taxonomy", BRANCH)["README.md"] == b"A taxonomy\n"
    assert hub.pull("lab/taxonomy").number == 1413
