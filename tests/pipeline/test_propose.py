"""A proposal is one signed-off commit on a branch of its own, and nothing else of the checkout changes."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Failed, Invalid
from pipeline.proposing.body import text as _text
from pipeline.proposing.checkout import Checkout
from pipeline.stage import Job
from pipeline.stages.propose import propose
from tests.conftest import HOME, git

LEAF = "compositional_skills/linguistics/order_tickets"
BRANCH = "labbot/order_tickets-d1"
QNA = "version: 3\ntask_description: Turn an order into a ticket\n"
ATTRIBUTION = "Title of work: Order tickets\nLink to work: -\n"
INPUTS = {
    "leaf": LEAF,
    "root": "compositional_skills",
    "description": "Turn an order\ninto a ticket",
    "replaces": False,
    "name": "Alice Ünal",
    "mail": "alice@lab.example",
    "signed_at": 1767312000.7,
}


def pull_text(work: Job) -> str:
    return _text(work, (HOME / "configs" / "pull.md").read_text(encoding="utf-8"))


class Killed(BaseException):
    """What a test raises where a process would end."""


def job(runs: Path, checkout: Path, qna: str = QNA, run: str = "d1.1", branch: str = "main", **changed: Any) -> Job:
    folder = runs / run
    (folder / "entry").mkdir(parents=True, exist_ok=True)
    (folder / "entry" / "qna.yaml").write_text(qna, encoding="utf-8", newline="")
    (folder / "entry" / "attribution.txt").write_text(ATTRIBUTION, encoding="utf-8")
    place = {"path": str(checkout), "branch": branch, "template": str(HOME / "configs" / "pull.md")}
    return Job(folder, {**INPUTS, **changed}, place, lambda fraction, facts: None)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def count(checkout: Path, branch: str = BRANCH) -> int:
    return int(git(checkout, "rev-list", "--count", f"main..{branch}"))


def standing(checkout: Path) -> dict[str, str | bytes]:
    """Whatever of a checkout its owner sees: every file outside .git, the index, the branch, HEAD's commit, the settings."""
    files = {str(path): path.read_bytes() for path in checkout.rglob("*") if path.is_file() and ".git" not in path.parts}
    index = (checkout / ".git" / "index").read_bytes() if (checkout / ".git" / "index").is_file() else b""
    head = (checkout / ".git" / "HEAD").read_bytes()
    settings = (checkout / ".git" / "config").read_bytes()
    refs = git(checkout, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    listing = "\n".join(sorted(path.name for path in (checkout / ".git").iterdir()))
    return {
        **files,
        "index": index,
        "HEAD": head,
        "config": settings,
        "refs": "\n".join(ref for ref in refs if "/labbot/" not in ref),
        ".git": listing,
    }


def refusal(work: Job) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        propose(work)
    return [(problem.code, problem.where) for problem in refused.value.problems]


# --- what is made


def test_a_proposal_is_one_signed_off_commit_with_both_files_on_its_own_branch(checkout: Path, runs: Path) -> None:
    facts = propose(job(runs, checkout))
    base, tip = git(checkout, "rev-parse", "main"), git(checkout, "rev-parse", BRANCH)

    assert facts == {"branch": BRANCH, "commit": tip[:12], "pull": "runs/d1.1/pull.md"}
    assert git(checkout, "rev-list", BRANCH, "^main") == tip
    assert git(checkout, "rev-parse", f"{BRANCH}^") == base
    assert git(checkout, "diff", "--name-status", "main", BRANCH) == f"A\t{LEAF}/attribution.txt\nA\t{LEAF}/qna.yaml"
    assert git(checkout, "show", f"{BRANCH}:{LEAF}/qna.yaml") == QNA.strip()
    assert git(checkout, "show", f"{BRANCH}:{LEAF}/attribution.txt") == ATTRIBUTION.strip()
    assert git(checkout, "ls-tree", BRANCH, f"{LEAF}/")[:6] == "100644"
    assert git(checkout, "cat-file", "commit", BRANCH) == "\n".join(
        [
            f"tree {git(checkout, 'rev-parse', BRANCH + '^{tree}')}",
            f"parent {base}",
            "author Alice Ünal <alice@lab.example> 1767312000 +0000",
            "committer Alice Ünal <alice@lab.example> 1767312000 +0000",
            "",
            "Add skill linguistics/order_tickets",
            "",
            "Turn an order into a ticket",
            "",
            "Signed-off-by: Alice Ünal <alice@lab.example>",
        ]
    )
    assert git(checkout, "fsck", "--strict") == ""


def test_a_proposal_leaves_a_pull_text_and_what_it_made_in_its_run(checkout: Path, runs: Path) -> None:
    work = job(runs, checkout)
    facts = propose(work)

    assert json.loads((work.folder / "pull.json").read_bytes()) == {
        **facts,
        "commit": git(checkout, "rev-parse", BRANCH),
        "leaf": LEAF,
    }
    assert (work.folder / "pull.md").read_text(encoding="utf-8") == pull_text(work)


def test_a_proposal_tells_how_far_it_is(checkout: Path, runs: Path) -> None:
    told: list[tuple[float, Mapping[str, str]]] = []
    work = job(runs, checkout)
    propose(Job(work.folder, work.inputs, work.settings, lambda fraction, facts: told.append((fraction, facts))))

    assert told == [(0.3, {"stage": "propose"}), (0.8, {"stage": "propose"})]


def test_a_long_path_gives_a_subject_that_git_shows_whole(checkout: Path, runs: Path) -> None:
    leaf = "compositional_skills/linguistics/" + "deep/" * 12 + "x" * 60
    facts = propose(job(runs, checkout, leaf=leaf))

    assert git(checkout, "log", "-1", "--format=%s", facts["branch"]) == "Add skill " + "x" * 60


def test_what_is_stored_are_the_bytes_of_the_entry_whatever_the_checkout_converts(checkout: Path, runs: Path) -> None:
    git(checkout, "config", "core.autocrlf", "input")
    propose(job(runs, checkout, qna="a: b\r\nc: d\r\n"))
    shown = subprocess.run(
        ["git", "-C", str(checkout), "cat-file", "blob", f"{BRANCH}:{LEAF}/qna.yaml"], capture_output=True, check=True
    )

    assert shown.stdout == b"a: b\r\nc: d\r\n"


# --- what is not touched


def tidy(checkout: Path) -> None:
    pass


def dirty(checkout: Path) -> None:
    (checkout / "README.md").write_text("changed, not added", encoding="utf-8")
    (checkout / "new.txt").write_text("untracked", encoding="utf-8")
    (checkout / "staged.txt").write_text("staged", encoding="utf-8")
    git(checkout, "add", "staged.txt")
    git(checkout, "rm", "--quiet", "--cached", "compositional_skills/technology/tables/sort_by_column/qna.yaml")


def elsewhere(checkout: Path) -> None:
    git(checkout, "checkout", "--quiet", "-b", "own-work")
    git(checkout, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "--message=mine")


def detached(checkout: Path) -> None:
    git(checkout, "checkout", "--quiet", "--detach")


def locked(checkout: Path) -> None:
    (checkout / ".git" / "index.lock").write_bytes(b"")


def split(checkout: Path) -> None:
    git(checkout, "config", "core.splitIndex", "true")


@pytest.mark.parametrize("act", [tidy, dirty, elsewhere, detached, locked, split])
def test_working_tree_index_and_branch_stay_as_they_are(checkout: Path, runs: Path, act: Callable[[Path], None]) -> None:
    act(checkout)
    before = standing(checkout)
    propose(job(runs, checkout))

    assert standing(checkout) == {**before, ".git": standing(checkout)[".git"]}
    assert set(str(standing(checkout)[".git"]).split()) - set(str(before[".git"]).split()) <= {"logs"}
    assert git(checkout, "rev-parse", f"{BRANCH}^") == git(checkout, "rev-parse", "main")


HOOKS = (
    *("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "reference-transaction", "post-update", "update"),
    *("post-index-change", "pre-receive", "post-checkout", "applypatch-msg", "proc-receive", "fsmonitor-watchman"),
)


@pytest.mark.parametrize("where", [".git/hooks", "own-hooks"])
def test_no_hook_of_the_checkout_runs(checkout: Path, runs: Path, where: str) -> None:
    (checkout / where).mkdir(exist_ok=True)
    for name in HOOKS:
        hook = checkout / where / name
        hook.write_text(f"#!/bin/sh\necho ran > '{checkout.parent}/ran-{name}'\nexit 1\n", encoding="utf-8")
        hook.chmod(0o755)
    if where == "own-hooks":
        git(checkout, "config", "core.hooksPath", str(checkout / where))
    git(checkout, "config", "core.fsmonitor", str(checkout / where / "fsmonitor-watchman"))
    propose(job(runs, checkout))

    assert sorted(path.name for path in checkout.parent.glob("ran-*")) == []
    assert count(checkout) == 1


def test_hooks_of_that_kind_do_run_for_git_itself(checkout: Path) -> None:
    hook = checkout / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho ran > '{checkout.parent}/ran'\n", encoding="utf-8")
    hook.chmod(0o755)
    git(checkout, "branch", "other")

    assert (checkout.parent / "ran").exists()


def test_settings_and_environment_of_the_operator_do_not_change_the_commit(
    checkout: Path, runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = propose(job(runs, checkout))["commit"]
    git(checkout, "branch", "--quiet", "-D", BRANCH)
    for name, value in {
        "user.name": "Somebody Else",
        "user.email": "else@example.com",
        "commit.gpgSign": "true",
        "gpg.program": "/nonexistent",
        "i18n.commitEncoding": "ISO-8859-1",
        "core.quotePath": "true",
        "core.autocrlf": "true",
    }.items():
        git(checkout, "config", name, value)
    other = {
        "GIT_DIR": "/nonexistent",
        "GIT_AUTHOR_NAME": "Eve",
        "GIT_COMMITTER_DATE": "@1 +0000",
        "GIT_INDEX_FILE": "/nonexistent",
    }
    for name, value in {**other, "TZ": "Asia/Tokyo"}.items():
        monkeypatch.setenv(name, value)
    again = propose(job(runs, checkout))["commit"]

    assert again == expected


# --- again


def test_a_second_run_makes_no_second_commit(checkout: Path, runs: Path) -> None:
    first = propose(job(runs, checkout))
    second = propose(job(runs, checkout))
    third = propose(job(runs, checkout, run="d1.2", signed_at=1767399999.0))

    assert (second, count(checkout)) == (first, 1)
    assert third == {**first, "pull": "runs/d1.2/pull.md"}


def test_a_changed_entry_adds_one_commit_on_the_same_branch(checkout: Path, runs: Path) -> None:
    first = propose(job(runs, checkout))
    second = propose(job(runs, checkout, qna=QNA + "# more\n", run="d1.2", signed_at=1767313000))

    assert git(checkout, "rev-list", "--abbrev=12", "--abbrev-commit", f"main..{BRANCH}").split() == [
        second["commit"],
        first["commit"],
    ]
    assert git(checkout, "diff", "--name-only", f"{BRANCH}^", BRANCH) == f"{LEAF}/qna.yaml"
    assert git(checkout, "show", f"{BRANCH}:{LEAF}/qna.yaml") == f"{QNA}# more"


def test_another_draft_of_the_same_leaf_has_a_branch_of_its_own(checkout: Path, runs: Path) -> None:
    propose(job(runs, checkout))
    propose(job(runs, checkout, run="d2.1"))

    assert git(checkout, "branch", "--list", "labbot/*", "--format=%(refname:short)").split() == [
        "labbot/order_tickets-d1",
        "labbot/order_tickets-d2",
    ]


def test_the_base_may_move_on_between_revisions(checkout: Path, runs: Path) -> None:
    propose(job(runs, checkout))
    git(checkout, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "--message=moved on")
    propose(job(runs, checkout))

    assert count(checkout) == 1


def test_a_fresh_clone_gets_the_same_commit(checkout: Path, runs: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", str(checkout), str(tmp_path / "clone"))
    here = propose(job(runs, checkout))
    there = propose(job(tmp_path / "other", tmp_path / "clone"))

    assert there == here


class Deadline:
    """A git that ends the process at its n-th command, before it or after it."""

    def __init__(self, at: int, after: bool) -> None:
        self.left, self.after, self.real = at, after, Checkout.git

    def git(self, checkout: Checkout, *words: str, **more: Any) -> str:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        try:
            return self.real(checkout, *words, **more)
        finally:
            if self.left == 0:
                raise Killed


def killed_at(work: Job, at: int, after: bool) -> bool:
    """Propose with a process that ends at its n-th git command; False when it was done before that."""
    deadline = Deadline(at, after)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkout, "git", lambda checkout, *words, **more: deadline.git(checkout, *words, **more))
        try:
            propose(work)
        except Killed:
            return True
    return False


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("revision", [1, 2])
def test_a_run_that_is_killed_at_any_git_command_ends_in_the_same_commit(
    checkout: Path, runs: Path, tmp_path: Path, after: bool, revision: int
) -> None:
    def work(base: Path, taxonomy: Path) -> Job:
        if revision == 1:
            return job(base, taxonomy)
        propose(job(base, taxonomy))
        return job(base, taxonomy, qna=QNA + "# more\n", run="d1.2")

    git(tmp_path, "clone", "--quiet", str(checkout), str(tmp_path / "calm"))
    expected = propose(work(tmp_path / "calm-runs", tmp_path / "calm"))
    points, ends = 0, set()
    while True:
        fresh = tmp_path / f"t{points}"
        shutil.copytree(checkout, fresh)
        again = work(tmp_path / f"runs{points}", fresh)
        if not killed_at(again, points + 1, after):
            break
        before = standing(fresh)
        ends.add((propose(again) == expected, count(fresh), standing(fresh) == before, git(fresh, "fsck", "--strict")))
        points += 1

    assert (ends, points > 12) == ({(True, revision, True, "")}, True)


# --- what is refused


def test_a_taken_leaf_is_refused_unless_it_is_to_be_replaced(checkout: Path, runs: Path) -> None:
    leaf = "compositional_skills/linguistics/rewriting/plain_words"

    assert refusal(job(runs, checkout, leaf=leaf)) == [("leaf.taken", leaf)]
    facts = propose(job(runs, checkout, leaf=leaf, replaces=True))
    assert git(checkout, "diff", "--name-status", "main", facts["branch"]) == f"M\t{leaf}/attribution.txt\nM\t{leaf}/qna.yaml"


def test_a_leaf_that_is_taken_in_the_working_tree_only_is_refused(checkout: Path, runs: Path) -> None:
    (checkout / LEAF).mkdir(parents=True)
    (checkout / LEAF / "qna.yaml").write_text("somebody's work", encoding="utf-8")

    assert refusal(job(runs, checkout)) == [("leaf.taken", LEAF)]


@pytest.mark.parametrize("part", ["compositional_skills/linguistics", LEAF])
@pytest.mark.parametrize("tracked", [True, False])
def test_a_part_of_the_path_that_is_a_link_is_refused(checkout: Path, runs: Path, part: str, tracked: bool) -> None:
    (checkout.parent / "elsewhere").mkdir()
    shutil.rmtree(checkout / part, ignore_errors=True)
    (checkout / part).symlink_to(checkout.parent / "elsewhere")
    if tracked:
        git(checkout, "add", "--all")
        git(checkout, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message=link")
        (checkout / part).unlink()  # so that only the commit tells

    assert refusal(job(runs, checkout)) == [("leaf.symlink", part)]
    assert list((checkout.parent / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("part", ["compositional_skills/linguistics/order_tickets", "compositional_skills/linguistics"])
@pytest.mark.parametrize("tracked", [True, False])
def test_a_file_in_the_way_of_a_folder_is_refused(checkout: Path, runs: Path, part: str, tracked: bool) -> None:
    shutil.rmtree(checkout / part, ignore_errors=True)
    (checkout / part).write_text("in the way", encoding="utf-8")
    if tracked:
        git(checkout, "add", "--all")
        git(checkout, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message=file")
        (checkout / part).unlink()

    assert refusal(job(runs, checkout)) == [("leaf.symlink", part)]


@pytest.mark.parametrize("leaf", ["../outside", "knowledge/arts/x", "compositional_skills/grounded/arts/x", ".git/hooks/x"])
def test_a_leaf_outside_its_root_is_refused_whoever_asks(checkout: Path, runs: Path, leaf: str) -> None:
    with pytest.raises(Invalid) as refused:
        propose(job(runs, checkout, leaf=leaf))

    assert {problem.code.partition(".")[0] for problem in refused.value.problems} == {"path"}
    assert git(checkout, "branch", "--list", "labbot/*") == ""


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, runs: Path) -> None:
    assert refusal(job(runs, tmp_path / "none")) == [("checkout.missing", str(tmp_path / "none"))]


def test_a_folder_that_is_no_checkout_is_refused_with_gits_words(
    tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "plain").mkdir()
    with pytest.raises(Invalid, match="Git says: git rev-parse: fatal: not a git repository") as refused:
        propose(job(runs, tmp_path / "plain"))

    assert [(one.code, one.where) for one in refused.value.problems] == [("checkout.no_git", str(tmp_path / "plain"))]


def test_a_subfolder_of_a_checkout_is_refused(checkout: Path, runs: Path) -> None:
    inside = checkout / "compositional_skills"
    with pytest.raises(Invalid, match=f"Set taxonomy.path to {checkout}") as refused:
        propose(job(runs, inside))

    assert [(one.code, one.where) for one in refused.value.problems] == [("checkout.no_git", str(inside))]


def test_a_link_to_a_checkout_is_that_checkout(checkout: Path, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(checkout)
    propose(job(runs, tmp_path / "link"))

    assert count(checkout) == 1


def test_a_branch_that_is_not_there_is_refused(checkout: Path, runs: Path) -> None:
    git(checkout, "tag", "v1")

    assert refusal(job(runs, checkout, branch="none")) == [("checkout.branch", str(checkout))]
    assert refusal(job(runs, checkout, branch="v1")) == [("checkout.branch", str(checkout))]


def test_an_empty_repository_is_refused(tmp_path: Path, runs: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=main", "empty")

    assert refusal(job(runs, tmp_path / "empty")) == [("checkout.branch", str(tmp_path / "empty"))]


def test_a_branch_that_moved_meanwhile_is_not_overwritten(checkout: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Checkout.git

    def meanwhile(self: Checkout, *words: str, **more: Any) -> str:
        if words[0] == "update-ref":
            git(checkout, "branch", "--force", BRANCH, "main")
        return real(self, *words, **more)

    monkeypatch.setattr(Checkout, "git", meanwhile)
    with pytest.raises(Failed, match=r"^git update-ref: "):
        propose(job(runs, checkout))

    assert git(checkout, "rev-parse", BRANCH) == git(checkout, "rev-parse", "main")


# --- the pull text


def parts(text: str) -> tuple[list[str], str, list[str]]:
    """The quoted lines of a pull text, its block of code, and every other line."""
    lines = text.split("\n")
    start = next(at for at, line in enumerate(lines) if line.startswith("```"))
    fence = lines[start].removesuffix("yaml")
    end = next(at for at in range(start + 1, len(lines)) if lines[at].startswith(fence))
    quoted = [line for line in lines[:start] if line.startswith(">")]
    others = [line for line in (*lines[:start], *lines[end + 1 :]) if not line.startswith(">")]
    return quoted, "\n".join(lines[start + 1 : end]), others


HOSTILE = (
    "```\nout\n```",
    "~~~\nout",
    "@everyone and @alice-lab",
    "<script>alert(1)</script>",
    "# heading",
    "a\n\n# heading\n- [x] done",
    "a\r\r- [x] done",
    "a\r\n\r\n<!-- ",
    "<!--\n-->",
    "{leaf} {0}",
    "[a](https://evil.example) ![b](https://evil.example/p.png)",
    "| a | b |\n|---|---|",
    "text\n===",
    "&#64;everyone",
    "\u2028# heading",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_description_does_not_break_out_of_the_pull_text(runs: Path, checkout: Path, text: str) -> None:
    work = job(runs, checkout, description=text)
    said, calm = pull_text(work), parts(pull_text(job(runs, checkout, run="d9.1", description="calm")))

    assert parts(said)[1:] == calm[1:]
    assert "\r" not in said
    assert not any(mark in " ".join(parts(said)[0]).replace(f"\\{mark}", "") for mark in "`<#[]!|&*")


lines = st.lists(
    st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)), max_size=5
)


@given(lines.map("\n".join), st.sampled_from(["calm: text", "a: |\n  ```\n  x\n  ````\n", "x: '`````````'"]))
@settings(max_examples=100, deadline=None)
def test_whatever_is_described_every_line_of_it_is_a_quotation(
    tmp_path_factory: pytest.TempPathFactory, description: str, qna: str
) -> None:
    runs = tmp_path_factory.getbasetemp() / "described"
    said = pull_text(job(runs, runs, qna=qna, description=description))
    calm = pull_text(job(runs, runs, run="d9.1", qna="calm", description="calm"))

    assert (parts(said)[1], parts(said)[2]) == (qna.rstrip("\n"), parts(calm)[2])


def test_nobody_is_pinged_by_the_pull_text_or_the_commit(runs: Path, checkout: Path) -> None:
    work = job(runs, checkout, description="ask @everyone, \\@alice or a@b")
    propose(work)
    quoted = " ".join(parts(pull_text(work))[0])

    # GitHub takes `\@name` for a mention too, and reads commit messages; a space of no width ends it (github/markup#1168).
    assert (quoted.count("@"), quoted.count("@\u200b")) == (3, 3)
    assert git(checkout, "log", "-1", "--format=%b", BRANCH).splitlines()[0] == (
        "ask @\u200beveryone, \\@\u200balice or a@\u200bb"
    )


@pytest.mark.parametrize("qna", ["a: |\n  ```\n  out\n", "a: '``````'\n", "a: |\n  ~~~\n", "a: |\n  ```yaml\n  ````\n  # x\n"])
def test_a_qna_does_not_break_out_of_its_block_of_code(runs: Path, checkout: Path, qna: str) -> None:
    said, calm = pull_text(job(runs, checkout, qna=qna)), pull_text(job(runs, checkout, run="d9.1"))

    assert parts(said) == (parts(calm)[0], qna.rstrip("\n"), parts(calm)[2])


def test_the_pull_text_is_upstreams_template_filled_in(runs: Path, checkout: Path) -> None:
    said = pull_text(job(runs, checkout))
    template = (HOME / "configs" / "pull.md").read_text(encoding="utf-8")

    assert said == template.format(
        kind="freeform skill",
        description="> Turn an order\n> into a ticket",
        leaf=LEAF,
        fence="```",
        qna=QNA.rstrip("\n"),
        response="Not asked: there was no precheck.",
        tuned="Not asked: no model was trained on it yet.",
        compared="",
        generated="not done: left to triage",
        signed="",
        five=" ",
        count="",
        looked=" ",
        private="the contributor was asked to look",
        screened=" ",
        avoided="not screened yet",
        more="",
    )


PRECHECKED = {
    "version": 1,
    "model": {"name": "granite_1b", "version": "abc"},
    "judge": {"name": "judge", "version": ""},
    "verdict": "mixed",
    "confidence": 0.8125,
    "counts": {"known": 1, "gap": 1, "uncertain": 0},
    "questions": [
        {
            "question": "Two lamps",
            "wanted": "item: lamps",
            "said": "Sure!\nHere",
            "state": "gap",
            "reason": "So says the judge.",
        },
        {"question": "A cup", "wanted": "item: cup", "said": "", "state": "known", "reason": "The same."},
    ],
}


def prechecked(work: Job, found: Any = PRECHECKED) -> Job:
    (work.folder / "precheck.json").write_text(found if isinstance(found, str) else json.dumps(found), encoding="utf-8")
    return work


def test_the_pull_text_shows_what_the_model_answered_beside_the_contributor(runs: Path, checkout: Path) -> None:
    response = pull_text(prechecked(job(runs, checkout))).partition("original model**\n\n")[2].partition("\n\n**Response")[0]

    assert response == "\n\n".join(
        [
            r"granite\_1b was asked each question; judge and plain measures judged: 1 gap, 1 known, 0 uncertain. "
            "Partly known already, 81% sure.",
            "**1. gap.** So says the judge.",
            "Input:",
            "> Two lamps",
            "The contributor's answer:",
            "> item: lamps",
            "The model's answer today:",
            "> Sure\\!\n> Here",
            "**2. known.** The same.",
            "Input:",
            "> A cup",
            "The contributor's answer:",
            "> item: cup",
            "The model's answer today:",
            "> (nothing)",
        ]
    )


def test_what_the_model_or_the_judge_said_is_text_and_pings_nobody(runs: Path, checkout: Path) -> None:
    evil = "@octo <!-- \n# Title\n- [x] done {qna}"
    row = {"question": evil, "wanted": evil, "said": "x" * 5000 + evil, "state": evil, "reason": evil}
    said = pull_text(prechecked(job(runs, checkout), {**PRECHECKED, "questions": [row]}))
    lines = said.partition("original model**")[2].partition("**Response")[0].splitlines()

    assert "@octo" not in said and max(map(len, lines)) < 1100
    assert all(line.startswith(("> ", "**1. ")) for line in lines if "octo" in line or "Title" in line or "done" in line)


def test_a_precheck_that_cannot_be_read_is_told(runs: Path, checkout: Path) -> None:
    for found in ("{", "[]", json.dumps({**PRECHECKED, "verdict": "sunny"}), json.dumps({"questions": []})):
        with pytest.raises(Failed, match=r"precheck\.json cannot be read"):
            pull_text(prechecked(job(runs, checkout), found))


def test_a_name_cannot_add_lines_to_a_commit(runs: Path, checkout: Path) -> None:
    propose(job(runs, checkout, description="a\n\nSigned-off-by: Eve <eve@evil.example>\n\n"))
    trailers = git(checkout, "log", "-1", "--format=%(trailers:key=Signed-off-by,valueonly)", BRANCH)

    assert trailers == "Alice Ünal <alice@lab.example>"


def test_a_draft_that_moves_to_another_place_keeps_its_branch_and_leaves_nothing_at_the_old_one(
    checkout: Path, runs: Path
) -> None:
    first = propose(job(runs, checkout))
    elsewhere_now = "compositional_skills/technology/tickets"
    second = propose(job(runs, checkout, run="d1.2", leaf=elsewhere_now, signed_at=1767313000))

    assert (second["branch"], count(checkout)) == (first["branch"], 2)
    assert git(checkout, "diff", "--name-only", "main", BRANCH).split() == [
        f"{elsewhere_now}/attribution.txt",
        f"{elsewhere_now}/qna.yaml",
    ]


@pytest.mark.parametrize(
    ("root", "kind", "subject"),
    [
        ("compositional_skills", "freeform skill", "Add skill arts/prices"),
        ("compositional_skills/grounded", "grounded skill", "Add skill grounded/arts/prices"),
        ("knowledge", "piece of knowledge", "Add knowledge arts/prices"),
    ],
)
def test_every_kind_is_called_by_its_name(checkout: Path, runs: Path, root: str, kind: str, subject: str) -> None:
    work = job(runs, checkout, leaf=f"{root}/arts/prices", root=root)
    propose(work)

    assert git(checkout, "log", "-1", "--format=%s", "labbot/prices-d1") == subject
    assert f"- A new {kind} at `{root}/arts/prices`" in pull_text(work)
