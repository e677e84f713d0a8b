"""A source is known by its host and nothing else, a revision by its address, and the file of sources by all its mistakes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Invalid
from pipeline.sources import Source, find, permalink, read
from tests.conftest import HOME

SOURCES = read(HOME / "configs" / "sources.yaml")


def test_both_lists_of_upstream_are_there() -> None:
    names = {one: [source.name for source in SOURCES if source.list == one] for one in ("approved", "verify")}

    assert names["approved"] == [
        "Wikipedia",
        "Project Gutenberg",
        "Wikisource",
        "OpenStax",
        "The Open Organization",
        "The Scrum Guide",
    ]
    assert len(names["verify"]) == 12
    assert all(source.note.endswith(".") for source in SOURCES)


def test_every_example_of_a_permalink_is_one() -> None:
    shown = [source.permalink for source in SOURCES if source.permalink]

    assert [one for one in shown if not permalink(one.replace("NUMBER", "12").replace("HASH", "0a" * 20))] == []


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://en.wikipedia.org/wiki/Synonym", "Wikipedia"),
        ("http://wikipedia.org", "Wikipedia"),
        ("https://DE.M.Wikipedia.ORG.:443/wiki/Synonym?action=raw#top", "Wikipedia"),
        ("https://www.nasa.gov/missions", "NASA"),
        ("https://journals.plos.org/plosone/article?id=1", "PLOS"),
        ("https://eur-lex.europa.eu/x", "Public registers of the European Union"),
        ("https://web.archive.org/web/20240131120000/https://x.example/", "Internet Archive"),
        ("https://notwikipedia.org/wiki/Synonym", None),
        ("https://wikipedia.org.evil.example/wiki/Synonym", None),
        ("https://evil.example/wikipedia.org", None),
        ("https://evil.example?https://wikipedia.org", None),
        ("https://evil.example#@wikipedia.org", None),
        ("https://wikipedia.org@evil.example/", None),
        ("https://someone@wikipedia.org/", None),
        ("https://evil.example\\@wikipedia.org/", None),
        ("https://wikipedia.org\n.evil.example/", None),
        ("https://wikip\u0435dia.org/", None),
        ("https://wikipedia-org.example", None),
        ("ftp://wikipedia.org/", None),
        ("wikipedia.org", None),
        ("https://si.edu/", None),
        ("https://[wikipedia.org/", None),
        ("", None),
    ],
)
def test_a_source_is_found_by_its_host_alone(url: str, name: str | None) -> None:
    found = find(url, SOURCES)

    assert (found.name if found else None) == name


def test_the_longer_host_wins() -> None:
    general, special = Source("a", "verify", ("example.org",)), Source("b", "approved", ("texts.example.org",))

    assert [find(f"https://{host}/", (special, general)) for host in ("x.texts.example.org", "x.example.org")] == [
        special,
        general,
    ]


HASH = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "url",
    [
        "https://en.wikipedia.org/w/index.php?title=Synonym&oldid=1234567",
        "https://en.wikipedia.org/wiki/Synonym?oldid=1234567",
        "https://en.wikipedia.org/wiki/Special:PermanentLink/1234567",
        "https://en.wikipedia.org/wiki/Special:Permalink/1234567",
        f"https://github.com/a/b/blob/{HASH}/docs/x.md",
        f"https://github.com/a/b/tree/{HASH[:7]}a",
        f"https://github.com/a/b/commit/{HASH.upper()}",
        f"https://raw.githubusercontent.com/a/b/{HASH}/x.md",
        f"https://gitlab.com/group/sub/b/-/blob/{HASH}/x.md",
        f"https://git.example.org/group/b/-/raw/{HASH}/x.md",
        f"https://codeberg.org/a/b/src/commit/{HASH}/x.md",
        f"https://codeberg.org/a/b/raw/commit/{HASH}/x.md",
        f"https://codeberg.org/a/b/commit/{HASH}",
        f"https://gist.github.com/a/{HASH[:32]}/{HASH}",
        f"https://gist.githubusercontent.com/a/{HASH[:32]}/raw/{HASH}/x.md",
        "https://arxiv.org/abs/2403.01081v3",
        "https://arxiv.org/pdf/2403.01081v1.pdf",
        "https://arxiv.org/abs/math/0211159v1",
        "https://web.archive.org/web/20240131120000/https://example.org/",
        "https://web.archive.org/web/20240131120000id_/https://example.org/",
    ],
)
def test_a_link_to_one_revision_is_a_permalink(url: str) -> None:
    assert permalink(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://en.wikipedia.org/wiki/Synonym",
        "https://en.wikipedia.org/w/index.php?title=Synonym&oldid=",
        "https://en.wikipedia.org/w/index.php?title=Synonym&oldid=prev",
        "https://en.wikipedia.org/w/index.php?title=Synonym&oldid=0",
        "https://en.wikipedia.org/w/index.php?oldid=1&oldid=2",
        "https://en.wikipedia.org/wiki/Synonym#oldid=12",
        "https://github.com/a/b",
        "https://github.com/a/b/blob/main/x.md",
        "https://github.com/a/b/blob/v1.0/x.md",
        "https://github.com/a/b/tree/20240131",
        "https://github.com/a/b/blob/facade/x.md",
        f"https://github.com/a/b/blob/{HASH}0/x.md",
        f"https://github.com/a/b/blob/main/{HASH}",
        f"https://github.com/a/b/blob/main/commit/{HASH}/x.md",
        f"https://gitlab.com/a/b/-/tree/main/-/blob/{HASH}",
        f"https://github.com.evil.example/a/b/blob/{HASH}/x.md",
        "https://raw.githubusercontent.com/a/b/main/x.md",
        f"https://gist.github.com/a/{HASH[:32]}",
        "https://arxiv.org/abs/2403.01081",
        "https://web.archive.org/web/2024/https://example.org/",
        "https://web.archive.org/web/*/https://example.org/",
        f"blob/{HASH}",
        "",
    ],
)
def test_a_link_whose_text_can_change_is_none(url: str) -> None:
    assert not permalink(url)


PIECES = st.sampled_from(
    [
        "https://",
        "http:",
        "//",
        "/",
        "?",
        "#",
        "@",
        ":",
        "[",
        "]",
        "\\",
        "%",
        "&",
        "=",
        "oldid=12",
        "wikipedia.org",
        ".",
        "evil",
    ]
    + ["github.com", "/a/b/blob/", HASH, "web.archive.org/web/", "20240131120000", "\u2100", "\x00", " ", "xn--", "-/", "99999"]
)


@given(st.text(max_size=80) | st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=40).map("https://".__add__))
def test_no_text_crashes_the_search_and_none_is_found_outside_its_hosts(url: str) -> None:
    found = find(url, SOURCES)

    assert isinstance(permalink(url), bool)
    assert found is None or any(host in url.lower() for host in found.hosts)


# --- the file


def problems(path: Path, text: str) -> list[tuple[str, str]]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Invalid) as caught:
        read(path)
    return [(one.code, one.where) for one in caught.value.problems]


def test_every_mistake_in_the_file_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    text = """
sources:
  - {name: "", list: maybe, hosts: [https://x.org, 3], licence: GPLv3, permalink: x.org}
  - {name: A, list: verify, hosts: [a.org], colour: red}
  - {name: A, list: verify, hosts: [b.org, a.org]}
  - 7
more: 1
"""
    found = problems(tmp_path / "sources.yaml", text)

    assert {code for code, _ in found} == {"sources.value"}
    assert sorted(where.removeprefix("sources.yaml: ") for _, where in found) == [
        "more",
        "sources.1.hosts.1",
        "sources.1.hosts.2",
        "sources.1.licence",
        "sources.1.list",
        "sources.1.name",
        "sources.1.permalink",
        "sources.2.colour",
        "sources.2.hosts",
        "sources.2.name",
        "sources.3.hosts",
        "sources.3.name",
        "sources.4",
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [("a: b: c", "sources.yaml"), ("when: 2024-13-45", "sources.yaml"), ("- a", "sources.shape"), ("", "sources.shape")],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str, code: str) -> None:
    assert problems(tmp_path / "sources.yaml", text) == [(code, "sources.yaml")]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no such file"):
        read(tmp_path / "sources.yaml")


def test_what_an_operator_adds_is_found(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text("sources:\n  - {name: Ours, list: approved, hosts: [texts.example.org], licence: CC0-1.0}\n")

    assert find("https://texts.example.org/a", read(path)) == Source("Ours", "approved", ("texts.example.org",), "CC0-1.0")
