"""A document comes from a real git behind real TLS, or a sentence says why it does not; nothing else is reached or left."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Failed, Invalid, Temporary
from pipeline.net import Reach
from pipeline.patterns import matches
from pipeline.recipe import FETCH, stages
from pipeline.stage import Job, perform
from pipeline.stages import fetch as module
from pipeline.stages.fetch import fetch
from tests.fakes.git_host import GitHost
from tests.pipeline.test_texts import pdf

TEXT = b"# Tides\n\nThe sea rises and falls twice a day.\n"
FILES = {
    "README.md": b"# Sea\n\nTexts on the sea.\n",
    "docs/tides.md": TEXT,
    "docs/waves.md": b"Waves break.\n",
    "a.txt": b"no",
}


@pytest.fixture
def host(tmp_path: Path) -> GitHost:
    return GitHost(tmp_path / "host")


@pytest.fixture
def url(host: GitHost) -> Iterator[str]:
    with host.up() as url:
        yield url


@pytest.fixture
def commit(host: GitHost) -> str:
    return host.repo("sea", FILES)


def job(host: GitHost, repo: str, ref: str = "", patterns: tuple[str, ...] = ("docs/*.md",), **given: Any) -> Job:
    folder = host.folder.parent / "run"
    folder.mkdir(exist_ok=True)
    net = {"allow": given.pop("allow", ["127.0.0.1"]), "ca": given.pop("ca", str(host.ca))}
    inputs = {"repo": repo, "ref": ref, "patterns": list(patterns)}
    return Job(folder, inputs, {"net": net, "timeout_s": 30, **given}, lambda fraction, facts: None)


def refusal(work: Job) -> tuple[str, Mapping[str, str]]:
    """The code and facts of the one problem for which a document is refused; nothing is left of the attempt."""
    with pytest.raises(Invalid) as refused:
        fetch(work)
    (problem,) = refused.value.problems
    assert list(work.folder.iterdir()) == []
    return problem.code, problem.facts


# --- what is made


def test_the_document_and_its_passages_are_written_and_told(host: GitHost, url: str, commit: str) -> None:
    work = job(host, f"{url}/sea.git")
    facts = fetch(work)
    document = json.loads((work.folder / "document.json").read_bytes())
    rows = [json.loads(line) for line in (work.folder / "passages.jsonl").read_text(encoding="utf-8").splitlines()]

    assert facts == {
        "repo": f"{url}/sea.git",
        "commit": commit,
        "files": "2",
        "words": "12",
        "listed": "docs/tides.md, docs/waves.md",
    }
    assert document == {
        "repo": f"{url}/sea.git",
        "ref": "",
        "commit": commit,
        "patterns": ["docs/*.md"],
        "files": [
            {"path": "docs/tides.md", "bytes": 46, "words": 10, "kind": "md"},
            {"path": "docs/waves.md", "bytes": 13, "words": 2, "kind": "md"},
        ],
        "skipped": [],
    }
    assert [(row["file"], row["heading"], row["text"], row["words"]) for row in rows] == [
        ("docs/tides.md", "Tides", "# Tides\n\nThe sea rises and falls twice a day.", 10),
        ("docs/waves.md", "", "Waves break.", 2),
    ]
    assert sorted(path.name for path in work.folder.iterdir()) == ["document.json", "passages.jsonl"]


def test_the_recipe_is_that_stage_and_a_second_run_asks_nobody(host: GitHost, url: str, commit: str) -> None:
    work = job(host, f"{url}/sea.git")
    first = perform(FETCH, work)
    asked = len(host.asked)
    second = perform(FETCH, work)

    assert stages("document") == (FETCH,)
    assert (second, len(host.asked)) == (first, asked)


def test_how_far_it_is_is_told(host: GitHost, url: str, commit: str) -> None:
    told: list[tuple[float, Mapping[str, str]]] = []
    work = job(host, f"{url}/sea.git")
    fetch(Job(work.folder, work.inputs, work.settings, lambda fraction, facts: told.append((fraction, facts))))

    assert [one for one in told if "size" not in one[1]] == [(0.1, {"host": "127.0.0.1"}), (0.8, {"commit": commit})]
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)


@pytest.mark.parametrize("old", [False, True], ids=["second protocol", "first protocol"])
@pytest.mark.parametrize(
    "named", ["", "main", "refs/heads/main", "v1", "v2", "full", "short", "tagged", "old full", "old short"]
)
def test_a_branch_a_tag_a_hash_or_nothing_names_the_commit(host: GitHost, url: str, old: bool, named: str) -> None:
    """Also one that no branch points to any more, and by a server that gives only what it offers."""
    earlier = host.repo("sea", {"docs/tides.md": b"Earlier."})
    host.git("sea", "tag", "v1")
    host.git("sea", "tag", "-a", "v2", "-m", "Two")
    middle = host.repo("sea", {"docs/tides.md": b"Middle."})
    latest = host.repo("sea", FILES)
    host.old = old
    wanted = {"v1": earlier, "v2": earlier, "tagged": earlier, "old full": middle, "old short": middle}.get(named, latest)
    ref = {
        "full": latest,
        "short": latest[:8],
        "old full": middle.upper(),
        "old short": middle[:10],
        "tagged": earlier[:9],
    }.get(named, named)

    assert fetch(job(host, f"{url}/sea.git", ref))["commit"] == wanted


def test_a_branch_comes_before_a_tag_of_its_name_and_both_before_a_hash(host: GitHost, url: str, commit: str) -> None:
    name = commit[:8]
    other = host.repo("sea", {"docs/tides.md": b"Other."}, branch=name)
    host.git("sea", "tag", name, commit)

    assert fetch(job(host, f"{url}/sea.git", name))["commit"] == other


def test_a_repository_that_moved_is_found_and_named_where_it_lies(host: GitHost, url: str, commit: str) -> None:
    host.redirects = {"/old.git": f"{url}/older", "/older": f"{url}/sea.git"}

    assert fetch(job(host, f"{url}/old.git/"))["repo"] == f"{url}/sea.git"


def test_a_pdf_is_read_and_what_is_no_text_is_told_as_skipped(host: GitHost, url: str) -> None:
    links = {"tides.md": "../../../etc/passwd", "deep": "/etc", "other": "1" * 40}
    host.repo("sea", {"book.pdf": pdf("The moon pulls."), "x.txt": b"x", ".hidden.md": b"h"}, links)
    work = job(host, f"{url}/sea.git", patterns=("*", "deep/*.md"))
    facts = fetch(work)
    document = json.loads((work.folder / "document.json").read_bytes())

    assert (facts["words"], facts["listed"]) == ("3", "book.pdf")
    assert document["files"][0]["kind"] == "pdf"
    assert document["skipped"] == [
        {"path": "deep", "why": "link"},
        {"path": "other", "why": "submodule"},
        {"path": "tides.md", "why": "link"},
        {"path": "x.txt", "why": "kind"},
    ]


def test_a_name_in_any_script_is_a_name(host: GitHost, url: str) -> None:
    host.repo("sea", {"Bücher/海 潮.md": b"Ebbe und Flut.", "Bücher/b\nad.md": b"no"})

    assert fetch(job(host, f"{url}/sea.git", patterns=("Bücher/*.md",)))["listed"] == "Bücher/海 潮.md"


# --- patterns


def test_patterns_find_what_ilab_would_find(tmp_path: Path) -> None:
    """The oracle: glob.glob(os.path.join(checkout, pattern)), as instructlab-sdg has it."""
    import glob

    paths = ["a.md", "B.MD", ".h.md", "d/a.md", "d/.h.md", ".d/a.md", "d/e/a.md", "[x].md", "x.md", "d/e/f/g.md", "a*.md"]
    patterns = (
        "*.md **.md **/*.md */*.md d/* .* .d/*.md d/**/*.md **/**/*.md [ax].md [!a].md [[]x].md ?.md .h.md d//a.md"
        " ./a.md d/./a.md d/*/ a.md/ B.* *.MD a[*].md [.]h.md d/[.]h.md [ x] a.m[d d/e/../a.md"
    ).split(" ")
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    found = {one: {path for path in paths if matches(one, path)} for one in patterns if ".." not in one}
    by_glob = {
        one: {str(Path(path).relative_to(tmp_path)) for path in glob.glob(os.path.join(tmp_path, one)) if os.path.isfile(path)}
        for one in found
    }

    assert found == by_glob


def test_patterns_that_name_nothing_are_refused_with_what_there_is(host: GitHost, url: str, commit: str) -> None:
    assert refusal(job(host, f"{url}/sea.git", patterns=("*.pdf", "a.txt"))) == (
        "document.unmatched",
        {
            "repo": f"{url}/sea.git",
            "patterns": "*.pdf, a.txt",
            "there": "README.md, docs/tides.md, docs/waves.md",
            "count": "3",
        },
    )


@pytest.mark.parametrize(
    ("patterns", "listed"),
    [
        (("*",), "a.md, b.pdf"),
        (("*.html",), "c.html"),
        (("*.htm", "a.*"), "a.md, d.htm"),
        (("*.md", "[c].html"), "a.md, c.html"),
        (("*", "*.html"), "a.md, b.pdf, c.html"),
    ],
)
def test_html_is_read_by_patterns_that_name_it_and_all_others_find_what_ilab_reads(
    host: GitHost, url: str, patterns: tuple[str, ...], listed: str
) -> None:
    page = b"<p>The sea is wet.</p>"
    host.repo("sea", {"a.md": TEXT, "b.pdf": pdf("x"), "c.html": page, "d.htm": page, "e.HTML": page})
    work = job(host, f"{url}/sea.git", patterns=patterns)

    assert fetch(work)["listed"] == listed
    skipped = {row["path"] for row in json.loads((work.folder / "document.json").read_bytes())["skipped"]}
    assert skipped == ({"c.html", "d.htm", "e.HTML"} - {*listed.split(", ")} if "*" in patterns else set())


def test_html_is_only_offered_to_who_asked_for_it(host: GitHost, url: str) -> None:
    host.repo("sea", {"a.md": TEXT, "c.html": b"<p>x</p>"})

    assert refusal(job(host, f"{url}/sea.git", patterns=("b.md",)))[1]["there"] == "a.md"
    assert refusal(job(host, f"{url}/sea.git", patterns=("b.html",)))[1]["there"] == "a.md, c.html"


def test_no_more_than_twenty_files_are_listed(host: GitHost, url: str) -> None:
    host.repo("sea", {f"{at:02}.md": b"x" for at in range(30)})
    code, facts = refusal(job(host, f"{url}/sea.git", patterns=("none.md",)))

    assert (code, facts["count"], facts["there"].count(", ") + 1) == ("document.unmatched", "30", 20)


@pytest.mark.parametrize("pattern", ["../*.md", "/etc/*.md", "a/../../b.md", "~/x.md", "a\\b.md", "", "a\nb.md", "x" * 201])
def test_a_pattern_that_could_leave_the_repository_is_refused_before_anything_is_asked(
    host: GitHost, url: str, commit: str, pattern: str
) -> None:
    assert refusal(job(host, f"{url}/sea.git", patterns=(pattern,))) == ("document.pattern", {"pattern": pattern})
    assert host.asked == []


@pytest.mark.parametrize("count", [0, 21])
def test_there_is_one_pattern_at_least_and_twenty_at_most(host: GitHost, url: str, count: int) -> None:
    facts = {"count": str(count), "most": "20"}

    assert refusal(job(host, f"{url}/sea.git", patterns=("*.md",) * count)) == ("document.patterns", facts)


# --- what is refused


REFS = (
    "--upload-pack=touch x",
    "-x",
    "a b",
    "a..b",
    "a:b",
    "+main:main",
    "^main",
    "main~1",
    "@",
    "a@{1}",
    "x.lock",
    "*",
    "a\n",
    "é" * 201,
)


@pytest.mark.parametrize("ref", REFS)
def test_a_ref_that_git_could_take_for_something_else_is_refused_before_anything_is_asked(
    host: GitHost, url: str, commit: str, ref: str
) -> None:
    assert refusal(job(host, f"{url}/sea.git", ref)) == ("document.ref-shape", {"ref": ref})
    assert host.asked == []


@given(st.text(max_size=12) | st.text(st.sampled_from("-@./{}:~^*ab\\ "), max_size=8))
@settings(max_examples=60, deadline=None)
def test_what_passes_for_a_ref_is_one_to_git(ref: str) -> None:
    if ref and module._is_ref(ref):
        name = os.fsencode(f"refs/heads/{ref}") if ref.isascii() else f"refs/heads/{ref}".encode(errors="surrogatepass")

        assert subprocess.run(["git", "check-ref-format", name], check=False).returncode == 0
        assert not ref.startswith("-")


@pytest.mark.parametrize(
    ("repo", "code"),
    [
        ("--upload-pack=touch x", "net.shape"),
        ("--upload-pack=touch", "net.scheme"),
        ("ext::sh", "net.scheme"),
        ("file:///etc", "net.scheme"),
        ("/etc", "net.scheme"),
        ("git@github.com:a/b.git", "net.scheme"),
        ("ssh://host/a", "net.scheme"),
        ("git://host/a", "net.scheme"),
        ("http://127.0.0.1/a", "net.scheme"),
        ("https::https://host/a", "net.scheme"),
        ("https://me:secret@127.0.0.1/a", "net.credentials"),
        ("https://127.0.0.1/a?b", "net.shape"),
        ("https://10.0.0.7/a", "net.private"),
    ],
)
def test_a_repository_that_is_no_public_https_address_is_refused(host: GitHost, repo: str, code: str) -> None:
    assert refusal(job(host, repo))[0] == code


def test_a_private_host_is_refused_unless_an_operator_allows_it(host: GitHost, url: str, commit: str) -> None:
    assert refusal(job(host, f"{url}/sea.git", allow=[])) == ("net.private", {"url": f"{url}/sea.git", "host": "127.0.0.1"})
    assert host.asked == []
    assert fetch(job(host, f"{url}/sea.git", allow=[url.removeprefix("https://")]))["commit"] == commit


def test_a_redirect_is_checked_like_the_first_place(host: GitHost, url: str, commit: str) -> None:
    allow = [url.removeprefix("https://")]
    answers = {}
    for to in ("https://10.0.0.7/a", "http://127.0.0.1/a", "file:///etc", "https://[::ffff:10.0.0.1]/a", "https://me:x@h/a"):
        host.redirects = {"/sea.git": to}
        answers[to] = refusal(job(host, f"{url}/sea.git", allow=allow))[0]

    assert list(answers.values()) == ["net.private", "net.scheme", "net.scheme", "net.private", "net.credentials"]


def test_a_redirect_in_a_circle_or_to_another_question_is_told_with_where_it_leads(host: GitHost, url: str) -> None:
    host.redirects = {"/a": f"{url}/b", "/b": f"{url}/a"}
    circle = refusal(job(host, f"{url}/a"))
    host.redirects = {"/a/info/refs?service=git-upload-pack": f"{url}/login"}

    assert circle == ("net.redirect", {"url": f"{url}/a", "to": f"{url}/a"})
    assert refusal(job(host, f"{url}/a")) == ("net.redirect", {"url": f"{url}/a", "to": f"{url}/login"})


def test_git_itself_follows_no_redirect(host: GitHost, url: str, commit: str) -> None:
    host.redirects = {"/sea.git/git-upload-pack": f"{url}/other/git-upload-pack"}
    with pytest.raises((Failed, Invalid)):
        fetch(job(host, f"{url}/sea.git"))

    assert not any("/other" in one for one in host.asked)


def test_a_certificate_that_nobody_signed_is_refused(host: GitHost, url: str, commit: str) -> None:
    code, facts = refusal(job(host, f"{url}/sea.git", ca=""))

    assert (code, facts["host"], "certificate" in facts["reason"]) == ("net.certificate", "127.0.0.1", True)


def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    host = GitHost(tmp_path / "host", names=("other.example",))
    host.repo("sea", FILES)
    with host.up() as url:
        assert refusal(job(host, f"{url}/sea.git"))[0] == "net.certificate"


def test_an_authority_that_cannot_be_read_is_our_failure(host: GitHost, url: str) -> None:
    with pytest.raises(Failed, match=r"^net\.ca: "):
        fetch(job(host, f"{url}/sea.git", ca=str(host.folder / "none.pem")))


@pytest.mark.parametrize("ref", ["none", "0" * 40, "0" * 9, "abc", "v9"])
@pytest.mark.parametrize("old", [False, True], ids=["second protocol", "first protocol"])
def test_a_ref_that_is_not_there_is_told(host: GitHost, url: str, commit: str, ref: str, old: bool) -> None:
    host.old = old

    assert refusal(job(host, f"{url}/sea.git", ref)) == ("document.ref", {"repo": f"{url}/sea.git", "ref": ref})


def test_a_repository_that_is_not_there_or_not_public_is_told(host: GitHost, url: str) -> None:
    gone = refusal(job(host, f"{url}/none.git"))
    host.status = 401

    assert gone == ("document.repo", {"repo": f"{url}/none.git", "host": "127.0.0.1"})
    assert refusal(job(host, f"{url}/sea.git"))[0] == "document.repo"


def test_a_repository_without_a_commit_is_told(host: GitHost, url: str, commit: str) -> None:
    shutil.copytree(host.folder / "sea.git", host.folder / "bare.git")
    host.git("bare", "update-ref", "-d", "refs/heads/main")

    assert refusal(job(host, f"{url}/bare.git")) == ("document.empty", {"repo": f"{url}/bare.git"})


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.md", "Märchen".encode("latin-1"), "document.encoding"),
        ("a.md", b" \n", "document.wordless"),
        ("a.pdf", b"%PDF-1.4 broken", "document.pdf"),
        ("a.pdf", pdf(""), "document.wordless"),
    ],
)
def test_a_file_without_text_is_told(host: GitHost, url: str, name: str, content: bytes, code: str) -> None:
    host.repo("sea", {name: content})
    refused, facts = refusal(job(host, f"{url}/sea.git", patterns=(name,)))

    assert (refused, name in facts.values()) == (code, True)


# --- limits


def test_a_repository_over_the_limit_is_refused_and_git_ended(host: GitHost, url: str) -> None:
    host.repo("sea", {"a.md": random.Random(1).randbytes(3 * 2**20)})
    facts = {"repo": f"{url}/sea.git", "limit": "1.0 MiB"}

    assert refusal(job(host, f"{url}/sea.git", patterns=("*.md",), size_bytes=2**20)) == ("document.large", facts)
    assert _running(host) == []


def test_references_without_end_are_refused_or_given_up(
    host: GitHost, url: str, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMORY_BYTES", 256 * 2**20)
    host.pours = "git-upload-pack"
    with pytest.raises((Invalid, Temporary, Failed)):
        fetch(job(host, f"{url}/sea.git", timeout_s=3))

    assert _running(host) == []


def test_a_text_that_is_small_when_packed_and_large_when_read_is_refused(
    host: GitHost, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TEXT_BYTES", 2**20)
    host.repo("sea", {"a.md": b"a " * 2**20})
    facts = {"repo": f"{url}/sea.git", "size": "2.0 MiB", "limit": "1.0 MiB"}

    assert refusal(job(host, f"{url}/sea.git", patterns=("*.md",))) == ("document.text-large", facts)


def test_more_files_than_a_document_can_have_are_refused(host: GitHost, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 2)
    host.repo("sea", FILES)

    assert refusal(job(host, f"{url}/sea.git")) == ("document.many", {"repo": f"{url}/sea.git", "limit": "2"})


@pytest.mark.parametrize("where", ["info/refs", "/git-upload-pack"])
def test_a_host_that_drips_is_given_up(host: GitHost, url: str, commit: str, where: str) -> None:
    host.drips, host.old = where, True
    with pytest.raises(Temporary, match="takes too long"):
        fetch(job(host, f"{url}/sea.git", timeout_s=1))

    assert _running(host) == []
    assert list((host.folder.parent / "run").iterdir()) == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_host_that_is_busy_is_asked_again_later(host: GitHost, url: str, status: int) -> None:
    host.status = status
    with pytest.raises(Temporary, match=str(status)):
        fetch(job(host, f"{url}/sea.git"))


def test_a_host_that_is_away_is_asked_again_later(host: GitHost, commit: str) -> None:
    with host.up() as url:
        pass
    with pytest.raises(Temporary, match="cannot be reached"):
        fetch(job(host, f"{url}/sea.git"))


# --- what git is told


def test_nothing_of_the_machine_reaches_git(
    host: GitHost, url: str, commit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings, credentials and proxies of whoever runs labbot would send git elsewhere, or run what they name."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text('[url "https://10.0.0.7/"]\n\tinsteadOf = https://127.0.0.1\n', encoding="utf-8")
    (home / ".netrc").write_text("machine 127.0.0.1 login me password secret\n", encoding="utf-8")
    for name, value in {
        "HOME": str(home),
        "https_proxy": "http://127.0.0.1:9",
        "GIT_DIR": str(home),
        "GIT_SSL_NO_VERIFY": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.followRedirects",
        "GIT_CONFIG_VALUE_0": "true",
        "GIT_TRACE": str(home / "trace"),
    }.items():
        monkeypatch.setenv(name, value)

    assert fetch(job(host, f"{url}/sea.git"))["commit"] == commit
    assert sorted(path.name for path in home.iterdir()) == [".gitconfig", ".netrc"]


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")
def test_git_ends_with_the_process_that_wanted_it(host: GitHost, url: str, commit: str) -> None:
    """Kill -9 closes its end of the guard's input, and the guard ends git with all its helpers."""
    host.drips, host.old = "/git-upload-pack", True
    work = job(host, f"{url}/sea.git")
    run = {"recipe": "document", "inputs": work.inputs, "settings": {"fetch": work.settings}}
    (work.folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", "stage", str(work.folder), "fetch"], stdout=subprocess.DEVNULL
    ) as child:
        _until(lambda: any("POST" in one for one in host.asked))
        running = _running(host)
        child.kill()
    _until(lambda: not _running(host))

    assert any("git-remote-https" in one for one in running)


def test_what_a_killed_attempt_left_is_taken_away(host: GitHost, url: str, commit: str) -> None:
    work = job(host, f"{url}/sea.git")
    (work.folder / ".fetch-old" / "git").mkdir(parents=True)
    fetch(work)

    assert sorted(path.name for path in work.folder.iterdir()) == ["document.json", "passages.jsonl"]


def test_git_connects_to_the_address_that_was_checked(tmp_path: Path) -> None:
    """A name that no resolver knows: only the pin says where it is."""
    host = GitHost(tmp_path / "host", names=("sea.example",))
    commit = host.repo("sea", FILES)
    folder = tmp_path / "fetched"
    folder.mkdir()
    (folder / "ca.pem").write_bytes(host.ca.read_bytes())
    with host.up() as url:
        port = int(url.rpartition(":")[2])
        place = Reach(f"https://sea.example:{port}/sea.git", "sea.example", port, "127.0.0.1")
        source = module.Source(place, folder, 2**20, time.monotonic() + 20, lambda size: None)
        source.git("init", "--quiet", "--bare", "--template=", "--", str(folder / "git"))

        assert module._commit(source, "") == commit


def _running(host: GitHost) -> list[str]:
    """The command lines of programs that work in this test's run folder."""
    folder = str(host.folder.parent / "run")
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(path / "cwd").startswith(f"{folder}/"):
                found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def _until(true: Any, most_s: float = 20.0) -> None:
    until = time.monotonic() + most_s
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)
