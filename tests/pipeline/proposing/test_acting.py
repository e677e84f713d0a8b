"""A pull request is answered and taken back once, whatever GitHub does meanwhile."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Invalid, Temporary
from pipeline.stage import Job
from pipeline.stages.act import act
from pipeline.stages.propose import propose
from tests.fakes.github import FakeGitHub, Fault
from tests.pipeline.proposing.conftest import TOKEN, job

BRANCH = "labbot/order_tickets-k7abcdef"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(seconds: float) -> None: ...

    monkeypatch.setattr("pipeline.stages.propose.SLEEP", none)
    monkeypatch.setattr("pipeline.stages.act.SLEEP", none)


def work(hub: FakeGitHub, folder: Path, **inputs: Any) -> Job:
    whole = {"repo": "lab/taxonomy", "number": "1412", "event": "slack:1.2", "name": "Alice", **inputs}
    return replace(job(hub, folder), inputs=whole)


def insisted(doing: Job) -> None:
    """As the pool does: what may pass is tried again."""
    for _ in range(3):
        try:
            act(doing)
        except Temporary:
            continue
        return


def test_an_answer_to_a_line_is_posted_below_it_and_pings_nobody(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    pull = hub.pull("lab/taxonomy")
    hub.reviews(pull, "dora", "CHANGES_REQUESTED", "keep the plural?", path="a/qna.yaml", line=7)
    remark = str(pull.lines[0]["id"])
    for _ in range(2):
        act(work(hub, tmp_path, act="answer", text="Yes @everyone, see #12", remark=remark, kind="line"))

    assert [(one["by"], one["reply"]) for one in pull.lines] == [("dora", 0), ("alice", int(remark))]
    assert pull.lines[1]["body"].startswith("Yes @\u200beveryone, see #\u200b12")


def test_any_other_answer_stands_below_the_pull_request(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    act(work(hub, tmp_path, act="answer", text="Done."))

    assert [(one["by"], one["body"].partition("\n")[0]) for one in hub.pull("lab/taxonomy").comments] == [("alice", "Done.")]


def test_what_is_withdrawn_is_closed_with_a_word_and_its_branch_goes(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    act(work(hub, tmp_path, act="withdraw"))
    act(work(hub, tmp_path, act="withdraw"))
    pull = hub.pull("lab/taxonomy")

    assert (pull.state, len(pull.comments), BRANCH in hub.repos["alice/taxonomy"].branches) == ("closed", 1, False)


def test_what_is_merged_cannot_be_withdrawn(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    hub.merge(hub.pull("lab/taxonomy"))
    with pytest.raises(Invalid, match="merged already"):
        act(work(hub, tmp_path, act="withdraw"))


def test_one_bad_answer_at_any_call_posts_nothing_twice(tmp_path: Path) -> None:
    for kind in ("lost-before", "lost-after", "status"):
        for inputs in ({"act": "answer", "text": "Done."}, {"act": "withdraw"}):
            for number in range(1, 8):
                with FakeGitHub().up() as hub:
                    hub.repo("lab/taxonomy", {"README.md": "A taxonomy\n"})
                    hub.user("alice", TOKEN)
                    propose(job(hub, tmp_path))
                    hub.faults.append(Fault(kind, at=hub.seen + number))  # type: ignore[arg-type]
                    insisted(work(hub, tmp_path, **inputs))
                    pull = hub.pull("lab/taxonomy")
                    assert (len(pull.comments), pull.state) == (1, "open" if inputs["act"] == "answer" else "closed")


def test_a_withdrawn_one_whose_branch_is_gone_is_proposed_anew(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    act(work(hub, tmp_path, act="withdraw"))
    propose(job(hub, tmp_path, run="k7abcdef.2", signed_at=1767312900.0))

    assert [one.state for one in hub.repos["lab/taxonomy"].pulls.values()] == ["closed", "open"]
    assert BRANCH in hub.repos["alice/taxonomy"].branches


def test_an_answer_to_an_answer_goes_on_where_the_conversation_began(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    pull = hub.pull("lab/taxonomy")
    hub.reviews(pull, "dora", "COMMENTED", "why?", path="a/qna.yaml", line=7)
    first = int(pull.lines[0]["id"])
    act(work(hub, tmp_path, act="answer", text="So.", remark=str(first), kind="line"))
    second = str(pull.lines[1]["id"])
    act(work(hub, tmp_path, act="answer", text="And so.", remark=second, kind="line", event="slack:1.3"))

    assert [one["reply"] for one in pull.lines] == [0, first, first]


def test_an_answer_to_a_remark_that_is_gone_stands_below_the_pull_request(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    act(work(hub, tmp_path, act="answer", text="So.", remark="7", kind="line"))

    assert len(hub.pull("lab/taxonomy").comments) == 1


def test_somebody_elses_mark_keeps_no_answer_back_and_ours_is_not_forged(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    pull = hub.pull("lab/taxonomy")
    hub.user("eve")
    hub.says(pull, "eve", "<!-- labbot:slack:1.2 -->")
    act(work(hub, tmp_path, act="answer", text="Done. <!-- labbot:slack:9.9 -->"))

    assert [one["by"] for one in pull.comments] == ["eve", "alice"]
    assert pull.comments[1]["body"].count("<!--") == 1


def test_what_is_merged_while_it_is_withdrawn_is_told_and_its_branch_stays(hub: FakeGitHub, tmp_path: Path) -> None:
    propose(job(hub, tmp_path))
    pull = hub.pull("lab/taxonomy")
    hub.on_request = lambda number, what: hub.merge(pull) if what.startswith("PATCH") else None
    with pytest.raises(Invalid, match="merged already"):
        act(work(hub, tmp_path, act="withdraw"))

    assert BRANCH in hub.repos["alice/taxonomy"].branches
