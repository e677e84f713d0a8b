"""An entry's document is at hand as text, at the commit that the entry names, or a sentence says why it is not."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import Invalid, Temporary
from pipeline.generating.chunks import chunks
from pipeline.recipe import DOCUMENT
from pipeline.stage import Job, perform
from pipeline.stages import document as module
from pipeline.stages.document import document, texts
from pipeline.texts import has_docling
from tests.conftest import HOME
from tests.fakes.git_host import GitHost
from tests.pipeline.test_texts import pdf

TAXONOMY = HOME.parent / "shared" / "data" / "taxonomy"
KNOWLEDGE = sorted(TAXONOMY.rglob("knowledge/**/qna.yaml"))
SKILL = {"version": 3, "task_description": "Greet", "seed_examples": [{"question": "Hi?", "answer": "Hi."}]}
PAGE = b"<h1>Sea</h1><p>Wet &amp; salty.</p>"
bare = pytest.mark.skipif(has_docling(), reason="docling is here, and writes markdown in another way")


@pytest.fixture
def host(tmp_path: Path) -> GitHost:
    return GitHost(tmp_path / "host")


@pytest.fixture
def url(host: GitHost) -> Iterator[str]:
    with host.up() as url:
        yield url


def job(host: GitHost, entry: Any) -> Job:
    folder = host.folder.parent / "run"
    (folder / "entry").mkdir(parents=True, exist_ok=True)
    text = entry if isinstance(entry, str) else yaml.safe_dump(entry, allow_unicode=True)
    (folder / "entry" / "qna.yaml").write_text(text, encoding="utf-8")
    net = {"allow": ["127.0.0.1"], "ca": str(host.ca)}
    return Job(folder, {}, {"net": net, "timeout_s": 30}, lambda fraction, facts: None)


def real(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def naming(repo: str, commit: str, *patterns: str) -> dict[str, Any]:
    return {**SKILL, "document": {"repo": repo, "commit": commit, "patterns": list(patterns)}}


def made(work: Job) -> tuple[Any, list[tuple[str, str]]]:
    return json.loads((work.folder / "document.json").read_bytes()), list(texts(work.folder))


def refusal(work: Job) -> tuple[str, Mapping[str, str]]:
    with pytest.raises(Invalid) as refused:
        document(work)
    assert [path.name for path in work.folder.iterdir()] == ["entry"]
    return refused.value.problems[0].code, refused.value.problems[0].facts


@bare
def test_markdown_html_and_pdf_are_there_as_text_at_the_entrys_commit(host: GitHost, url: str) -> None:
    files = {"a.md": "# Ebbe\n\nFlut\u2028und Ebbe.".encode(), "b.pdf": pdf("The moon pulls."), "c.html": PAGE, "d.txt": b"no"}
    commit = host.repo("sea", files)
    host.repo("sea", {"a.md": b"Later."})
    work = job(host, naming(f"{url}/sea.git", commit, "*.md", "*.pdf", "*.html"))
    facts = document(work)

    assert facts == {
        "repo": f"{url}/sea.git",
        "commit": commit,
        "files": "3",
        "words": "13",
        "listed": "a.md, b.pdf, c.html",
    }
    assert made(work) == (
        {
            "repo": f"{url}/sea.git",
            "ref": commit,
            "commit": commit,
            "patterns": ["*.md", "*.pdf", "*.html"],
            "files": [
                {"path": "a.md", "bytes": 24, "words": 5, "kind": "md", "by": ""},
                {"path": "b.pdf", "bytes": len(files["b.pdf"]), "words": 3, "kind": "pdf", "by": "", "pages": 1, "read": 1},
                {"path": "c.html", "bytes": len(PAGE), "words": 5, "kind": "html", "by": ""},
            ],
            "skipped": [],
        },
        [("a.md", "# Ebbe\n\nFlut\u2028und Ebbe."), ("b.pdf", "The moon pulls."), ("c.html", "# Sea\n\nWet & salty.")],
    )


@bare
def test_of_a_long_pdf_it_is_told_how_many_of_its_pages_were_read(
    host: GitHost, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.texts.MAX_PAGES", 2)
    commit = host.repo("sea", {"a.pdf": pdf("one", "two"), "b.pdf": pdf("one", "two", "three")})
    work = job(host, naming(f"{url}/sea.git", commit, "*.pdf"))
    facts = document(work)

    assert facts["cut"] == "b.pdf (2 of 3 pages)"
    assert [(row["read"], row["pages"]) for row in made(work)[0]["files"]] == [(2, 2), (2, 3)]


def test_a_skill_has_no_document_and_nobody_is_asked(host: GitHost, url: str) -> None:
    work = job(host, SKILL)

    assert (document(work), made(work), host.asked) == ({}, ({}, []), [])


def test_a_second_run_asks_nobody_and_an_entry_that_names_another_commit_does(host: GitHost, url: str) -> None:
    first = host.repo("sea", {"a.md": b"One."})
    second = host.repo("sea", {"a.md": b"Two."})
    work = job(host, naming(f"{url}/sea.git", first, "*.md"))
    facts = perform(DOCUMENT, work)
    asked = len(host.asked)

    assert (perform(DOCUMENT, work), len(host.asked)) == (facts, asked)
    assert perform(DOCUMENT, job(host, naming(f"{url}/sea.git", second, "*.md")))["commit"] == second
    assert made(work)[1] == [("a.md", "Two.")]


@pytest.mark.parametrize(
    "entry",
    [
        "[",
        "",
        "just text",
        {**SKILL, "document": None},
        {**SKILL, "document": []},
        {**SKILL, "document": {"repo": "https://h/a", "commit": "c0ffee0"}},
        naming("https://h/a", " ", "*.md"),
        {**SKILL, "document": {"repo": "https://h/a", "commit": 1234567, "patterns": ["*.md"]}},
        {**SKILL, "document": {"repo": "https://h/a", "commit": "c0ffee0", "patterns": "*.md"}},
    ],
    ids=range(9),
)
def test_an_entry_that_says_no_document_as_it_should_is_refused(host: GitHost, entry: Any) -> None:
    assert refusal(job(host, entry)) == ("document.entry", {})


def test_what_cannot_be_fetched_is_refused_as_for_a_draft(host: GitHost, url: str) -> None:
    commit = host.repo("sea", {"a.md": b"One."})

    assert refusal(job(host, naming(f"{url}/sea.git", commit, "b.md")))[0] == "document.unmatched"
    assert refusal(job(host, naming(f"{url}/sea.git", "0" * 40, "*.md")))[0] == "document.ref"
    assert refusal(job(host, naming(f"{url}/sea.git", commit, "../*.md")))[0] == "document.pattern"
    host.status = 503
    with pytest.raises(Temporary, match="503"):
        document(job(host, naming(f"{url}/sea.git", commit, "*.md")))


@pytest.mark.skipif(not has_docling(), reason="docling, which an operator may install, is not here: 2 GB with torch")
def test_docling_reads_what_it_can_and_that_is_noted(host: GitHost, url: str) -> None:
    commit = host.repo("sea", {"a.md": b"One.", "c.html": PAGE})
    work = job(host, naming(f"{url}/sea.git", commit, "*.md", "*.html"))
    document(work)
    found, lines = made(work)

    assert [row["by"] for row in found["files"]] == ["", "docling"]
    assert lines == [("a.md", "One."), ("c.html", "# Sea\n\nWet & salty.")]


@bare
def test_where_docling_cannot_be_loaded_the_text_is_read_without_and_the_log_says_why(
    host: GitHost, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As with docling-slim, which has the name and not the parts: importing it fails here, since it is not installed."""
    monkeypatch.setattr(module, "has_docling", lambda: True)
    commit = host.repo("sea", {"c.html": PAGE})
    work = job(host, naming(f"{url}/sea.git", commit, "*.html"))
    document(work)
    found, lines = made(work)

    assert ([row["by"] for row in found["files"]], lines) == ([""], [("c.html", "# Sea\n\nWet & salty.")])
    assert "docling could not read c.html" in caplog.text


@pytest.mark.skipif(not KNOWLEDGE, reason="the reference taxonomy is not here")
@pytest.mark.parametrize("path", KNOWLEDGE, ids=lambda path: path.parent.name)
async def test_a_document_of_a_real_entry_becomes_chunks_that_hold_all_its_contexts(
    host: GitHost, url: str, path: Path
) -> None:
    """A repository with the entry's own contexts, each a section, and the entry pointing to it."""
    entry = real(path)
    contexts = [str(one["context"]).strip() for one in entry["seed_examples"]]
    written = "\n\n".join(f"## Part {at}\n\n{text}" for at, text in enumerate(contexts, 1))
    commit = host.repo("real", {"docs/all.md": f"# {entry['domain']}\n\n{written}\n".encode(), "LICENSE": b"CC-BY"})
    entry["document"] = {"repo": f"{url}/real.git", "commit": commit, "patterns": ["docs/*.md"]}
    work = job(host, entry)
    facts = document(work)

    async def count(text: str) -> int:
        return len(text) // 4

    found = await chunks(texts(work.folder), count)
    told = " ".join(" ".join(one.text.split()) for one in found)

    assert (facts["commit"], facts["files"], facts["listed"]) == (commit, "1", "docs/all.md")
    assert all(" ".join(context.split()) in told for context in contexts)
    assert {one.heading.partition(" > ")[0] for one in found} == {entry["domain"]}
    assert all(0 < len(one.text) // 4 <= 500 for one in found)
