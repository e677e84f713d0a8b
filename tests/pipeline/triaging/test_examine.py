"""A look at a pull request reads its files as a stranger's, says what a triager would look for, and posts it once."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Invalid, Temporary
from pipeline.stage import Job
from pipeline.stages.comment import MARK, comment
from pipeline.stages.examine import examine
from pipeline.triaging import markdown, pulled
from tests.conftest import HOME
from tests.fakes.github import FakeGitHub, Fault
from tests.fakes.github.world import Pull
from tests.pipeline.proposing.conftest import KEY, account

LEAF = "compositional_skills/linguistics/lamps"
QNA = "version: 3\ntask_description: Turn an order into a ticket\ncreated_by: bob\nseed_examples:\n" + "".join(
    f"  - question: Order {number} lamps please\n    answer: 'item: lamps, count: {number}'\n" for number in range(5)
)
ATTRIBUTION = "Title of work: Lamps\nLink to work: -\nLicense of the work: CC-BY-4.0\nCreator names: Bob\n"
SIGNED = "Add lamps\n\nSigned-off-by: Dora <dora@lab.example>\n"
TOKEN = "gho_PLANTEDTOKENofbob0000000000000000001"


@pytest.fixture
def hub() -> Iterator[FakeGitHub]:
    with FakeGitHub().up() as hub:
        hub.repo("lab/taxonomy", {"README.md": "A taxonomy\n"})
        hub.user("bob", TOKEN)
        yield hub


def proposed(hub: FakeGitHub, files: dict[str, str | None], message: str = SIGNED) -> int:
    """Bob's pull request with these files, in one commit."""
    repo = hub.repos["lab/taxonomy"]
    repo.branches["bob"] = repo.branches["main"]
    hub.push("lab/taxonomy", "bob", files, message)
    number, at = 1400 + len(repo.pulls), hub.now()
    repo.pulls[number] = Pull("lab/taxonomy", number, "bob", "Add <b>lamps</b>", "", "lab/taxonomy", "bob", "main", at, at)
    return number


def job(hub: FakeGitHub, folder: Path, number: int, **changed: Any) -> Job:
    settings = {
        "repo": "lab/taxonomy",
        "github": hub.settings() | changed,
        "home": str(HOME),
        "taxonomy": str(folder / "none"),
        "cache": str(folder / "cache"),
    }
    run = folder / f"triage-{number}"
    run.mkdir(exist_ok=True)
    return Job(run, {"number": str(number), "event": "e1", "then": "triage"}, settings, lambda fraction, facts: None)


def codes(folder: Path, number: int) -> dict[str, str]:
    """The level of each finding by its code."""
    record = json.loads((folder / f"triage-{number}" / "triage.json").read_bytes())
    rows = [*record["rows"], *(row for one in record["leaves"] for row in one["rows"])]
    return {row["code"]: row["level"] for row in rows}


def test_a_good_entry_is_read_for_what_comes_after_and_nothing_is_refused(hub: FakeGitHub, tmp_path: Path) -> None:
    number = proposed(hub, {f"{LEAF}/qna.yaml": QNA, f"{LEAF}/attribution.txt": ATTRIBUTION})
    facts = examine(job(hub, tmp_path, number))

    folder = tmp_path / f"triage-{number}"
    assert (facts["leaf"], facts["root"], facts["author"], facts["then"]) == (LEAF, "compositional_skills", "bob", "triage")
    assert (facts["error"], facts["warning"]) == ("0", "0")
    assert (folder / "entry" / "qna.yaml").read_text(encoding="utf-8") == QNA
    assert (folder / "entry" / "attribution.txt").read_text(encoding="utf-8") == ATTRIBUTION


def test_what_the_checks_refuse_stands_with_its_line(hub: FakeGitHub, tmp_path: Path) -> None:
    number = proposed(hub, {f"{LEAF}/qna.yaml": QNA.replace("created_by: bob\n", "creator: bob\n")}, "No sign-off")
    facts = examine(job(hub, tmp_path, number))

    found = codes(tmp_path, number)
    assert {"key.missing", "key.unknown", "triage.attribution", "triage.signoff"} <= {*found}
    assert found["triage.signoff"] == found["triage.attribution"] == "error" and int(facts["error"]) >= 4
    rows = json.loads((tmp_path / f"triage-{number}" / "triage.json").read_bytes())["leaves"][0]["rows"]
    assert all(row["line"] >= 1 for row in rows if row["code"].startswith("key."))


def test_files_that_are_no_entry_are_rows_and_never_an_exception(hub: FakeGitHub, tmp_path: Path) -> None:
    large = "a" * (2**20 + 1)
    number = proposed(
        hub,
        {
            ".github/workflows/evil.yml": "on: push",
            "foundational_skills/x/y/qna.yaml": QNA,
            "README.md": None,
            f"{LEAF}/notes.md": "hello",
            f"{LEAF}/qna.yaml": large,
            "knowledge/science/x/qna.yaml": "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
        },
    )
    hub.objects.blobs[
        hub.objects.files(hub.objects.commits[hub.head(hub.pull("lab/taxonomy", number))].tree)["knowledge/science/x/qna.yaml"]
    ] = b"\xff\xfe"
    facts = examine(job(hub, tmp_path, number))

    assert {"triage.outside", "path.closed", "triage.removed", "triage.other", "file.large", "file.encoding"} <= {
        *codes(tmp_path, number)
    }
    assert "leaf" not in facts and not (tmp_path / f"triage-{number}" / "entry" / "qna.yaml").exists()


def test_an_entry_of_an_earlier_look_does_not_stay(hub: FakeGitHub, tmp_path: Path) -> None:
    number = proposed(hub, {f"{LEAF}/qna.yaml": QNA, f"{LEAF}/attribution.txt": ATTRIBUTION})
    examine(job(hub, tmp_path, number))
    hub.push("lab/taxonomy", "bob", {f"{LEAF}/qna.yaml": None, f"{LEAF}/attribution.txt": None, "knowledge/x.md": "x"}, SIGNED)
    examine(job(hub, tmp_path, number))

    assert not [*(tmp_path / f"triage-{number}" / "entry").iterdir()]


def test_a_number_that_is_none_is_said(hub: FakeGitHub, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="not there"):
        examine(job(hub, tmp_path, 9999))


def test_a_commit_is_signed_off_by_whoever_made_it_and_merges_need_none() -> None:
    def commit(message: str, mail: str = "a@lab.example", parents: int = 1) -> dict[str, Any]:
        who = {"name": "A", "email": mail}
        return {
            "sha": "0123456789abcdef",
            "parents": [{}] * parents,
            "commit": {"message": message, "author": who, "committer": who},
        }

    assert not pulled.unsigned([commit("x\n\nSigned-off-by: A <A@Lab.example>"), commit("merge", parents=2)])
    for message in ("x", "x\n\nSigned-off-by: A <b@lab.example>", "x Signed-off-by: A <a@lab.example>", ""):
        (problem,) = pulled.unsigned([commit(message)])
        assert problem.code == "triage.signoff" and "@" not in str(problem)


@given(st.text(max_size=60), st.text(max_size=120))
def test_nothing_of_a_stranger_s_is_markup_or_ends_a_row_of_the_comment(where: str, what: str) -> None:
    row = {"level": "error", "line": 0, "code": "x", "message": what, "where": where, "fix": "Do @it #12.", "facts": {}}
    record = {"head": "0" * 40, "leaves": [{"leaf": f"knowledge/{where}", "rows": [row]}], "rows": []}
    lines = markdown.table(record, None).split("\n")

    assert "@it" not in lines[-1] and "#12" not in lines[-1]
    assert lines[-1].replace("\\|", "").count("|") == 4 and len(lines) == 7


def test_the_table_is_posted_once_and_then_edited_in_its_place(
    hub: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBOT_VAULT_KEY", KEY)
    number = proposed(hub, {f"{LEAF}/qna.yaml": QNA}, "No sign-off")
    pull = hub.pull("lab/taxonomy", number)
    hub.says(pull, "mallory", f"not the bot's {MARK}")
    doing = replace(job(hub, tmp_path, number, comments=True), account=account(TOKEN, "bob"))
    examine(doing)
    for kind in ("lost-after", "lost-before"):
        hub.faults.append(Fault(kind, path="POST .*comments"))
        insisted(doing)
    hub.push("lab/taxonomy", "bob", {f"{LEAF}/attribution.txt": ATTRIBUTION}, SIGNED)
    examine(doing)
    insisted(doing)

    assert [one["by"] for one in pull.comments] == ["mallory", "bob"]
    body = pull.comments[1]["body"]
    assert MARK in body and "not signed off" in body and "no attribution.txt" not in body


def test_nothing_is_posted_where_an_operator_has_not_allowed_it(hub: FakeGitHub, tmp_path: Path) -> None:
    number = proposed(hub, {f"{LEAF}/qna.yaml": QNA})
    examine(job(hub, tmp_path, number))
    with pytest.raises(Invalid, match="not allowed"):
        comment(job(hub, tmp_path, number))
    assert not hub.pull("lab/taxonomy", number).comments


def insisted(doing: Job) -> None:
    for _ in range(3):
        try:
            comment(doing)
        except Temporary:
            continue
        return


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(seconds: float) -> None: ...

    monkeypatch.setattr("pipeline.stages.examine.SLEEP", none)
    monkeypatch.setattr("pipeline.stages.comment.SLEEP", none)
