"""Markdown as people write it becomes entries, whole, with the anchors and links that GitHub would give."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bot.faq.load import GLOSSARY, Entry, entries, files, read
from tests.conftest import HOME

COMMUNITY = HOME.parent / "shared" / "data" / "faq" / "instructlab-faq.md"
BASE = "https://example.org/docs/"


def made(text: str, base_url: str = "") -> list[Entry]:
    return entries(text, "faq.md", base_url)


def told(text: str) -> list[tuple[str, str]]:
    return [(entry.title, entry.body) for entry in made(text)]


@pytest.mark.skipif(not COMMUNITY.is_file(), reason="the community's FAQ lies in ../shared, which is not here")
def test_the_communitys_faq_loads_whole() -> None:
    found, problems = read(COMMUNITY, COMMUNITY.name, "")
    text = COMMUNITY.read_text(encoding="utf-8")
    general = text.partition("\n## General FAQ\n")[2].partition("\n## Glossary\n")[0]

    assert problems == []
    assert [one.title for one in found if one.title.endswith("?")] == re.findall(r"^### (.+)$", general, re.MULTILINE)
    assert sum(one.title.endswith("?") for one in found) == 28
    assert sum(one.title.startswith(GLOSSARY) for one in found) == 25
    assert {one.section for one in found if one.title.endswith("?")} == {"General FAQ"}


def test_our_format_has_answers_a_link_and_phrasings() -> None:
    text = "## What is it?\n\nanswers: What is X? | Glossary: X\nlink: https://x.example\nasked: x | what's x\n\nA thing.\n"

    assert made(text) == [
        Entry(
            "What is it?",
            ("What is X?", "Glossary: X"),
            "https://x.example",
            ("x", "what's x"),
            "A thing.",
            "faq.md",
            "what-is-it",
            named=True,
        )
    ]


def test_an_entry_without_answers_answers_its_title() -> None:
    assert [entry.answers for entry in made("## What is it?\n\nA thing.\n")] == [("What is it?",)]


def test_text_that_only_looks_like_a_field_stays_text() -> None:
    assert told("## Links?\n\nlink: see below\nand further\n") == [("Links?", "link: see below\nand further")]


def test_a_heading_without_text_of_its_own_is_the_section_of_those_below() -> None:
    found = made("# FAQ\n\n## Setting up\n\n### How?\n\nSo.\n\n#### Really?\n\nYes.\n\n## Why?\n\nBecause.\n")

    assert [(one.section, one.title, one.body) for one in found] == [
        ("Setting up", "How?", "So.\n\n#### Really?\n\nYes."),
        ("FAQ", "Why?", "Because."),
    ]


def test_headings_of_the_fourth_level_are_entries_below_one_that_only_groups() -> None:
    assert told("## Groups\n\n### Inner\n\n#### How?\n\nSo.\n\n#### Why?\n\nBecause.\n") == [
        ("How?", "So."),
        ("Why?", "Because."),
    ]


def test_fences_lists_and_headings_in_them_are_kept_to_the_letter() -> None:
    body = "1. First\n   ```yaml\n   ## no heading\n   ```\n   - nested\n\n~~~\n## none either\n~~~\n\n> ## quoted"

    assert told(f"## How?\n\n{body}\n\n## Why?\n\nBecause.\n") == [("How?", body), ("Why?", "Because.")]


def test_front_matter_and_tables_of_contents_are_no_text() -> None:
    text = "---\ntitle: FAQ\n---\n# FAQ\n\n## Contents\n\n- [How?](#how)\n  - [Why?](#why)\n\n## How?\n\nSo.\n"

    assert told(text) == [("How?", "So.")]


def test_anchors_are_githubs() -> None:
    text = "## What's `ilab`, *really*?\n\na\n\n## A & B_c – d\n\nb\n\n## How?\n\nc\n\n## How?\n\nd\n\n## How?\n\ne\n"

    assert [one.anchor for one in made(text)] == ["whats-ilab-really", "a--b_c--d", "how", "how-1", "how-2"]


def test_a_table_with_a_column_term_is_a_glossary() -> None:
    rows = [
        "| Term | Explanation | More |",
        "| --- | --- | --- |",
        "| A\\|B | One. | [Ref](https://r.example) |",
        "| C | Two. | N/A |",
    ]
    text = "## Glossary\n\n" + "\n".join(rows)
    found = made(text, BASE)

    assert [(one.title, one.body, one.link, one.section) for one in found] == [
        ("Glossary: A|B", "One.\n\n[Ref](https://r.example)", "https://r.example", "Glossary"),
        ("Glossary: C", "Two.", f"{BASE}faq.md#glossary", "Glossary"),
    ]


def test_a_table_of_something_else_stays_text() -> None:
    table = "| Size | Price |\n| --- | --- |\n| 1 | 2 |"

    assert told(f"## Prices?\n\n{table}\n") == [("Prices?", table)]


def test_relative_links_and_images_become_absolute_and_code_stays() -> None:
    text = "## How?\n\n[a](b.md) ![i](../i.png) [c](#why) [d](https://d.example) `[e](f)`\n\n```\n[g](h)\n```\n\n[n]: k.md\n"

    assert told_with_base(text) == (
        f"[a]({BASE}b.md) ![i](https://example.org/i.png) [c]({BASE}faq.md#why) [d](https://d.example) `[e](f)`"
        f"\n\n```\n[g](h)\n```\n\n[n]: {BASE}k.md"
    )


def told_with_base(text: str) -> str:
    (entry,) = made(text, BASE)
    return entry.body


def test_bold_questions_are_entries() -> None:
    text = "# FAQ\n\n**Q: How do I start?**\n\nPress it.\n\n**Does it stop?**\nYes.\n\nLater.\n"

    assert told(text) == [("How do I start?", "Press it."), ("Does it stop?", "Yes.\n\nLater.")]


def test_questions_that_fold_out_are_entries() -> None:
    text = "# FAQ\n\n<details>\n<summary>How do I <b>start</b>?</summary>\n\nPress it.\n\n</details>\n"

    assert told(text) == [("How do I start?", "Press it.\n\n</details>")]


def test_a_file_of_one_question_or_of_none_is_an_entry() -> None:
    assert told("# How?\n\nSo.\n") == [("How?", "So.")]
    assert told("Only text.\n") == [("faq", "Only text.")]


def test_files_that_cannot_be_read_are_told_and_the_others_load(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"## caf\xe9?\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.md").write_text("## How?\n\nSo.\n", encoding="utf-8")
    found = {name: read(path, name, "") for path, name in files([tmp_path, tmp_path / "gone.md"])}

    assert {name: [problem.code for problem in problems] for name, (_, problems) in found.items()} == {
        "a.md": ["faq.encoding"],
        "sub/b.md": [],
        "gone.md": ["faq.unreadable"],
    }
    assert [entry.title for entry in found["sub/b.md"][0]] == ["How?"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_rights_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("## How?\n\nSo.\n", encoding="utf-8")
    path.chmod(0)

    assert [problem.code for problem in read(path, "a.md", "")[1]] == ["faq.unreadable"]


def test_an_entrys_id_is_short_and_its_files_and_titles() -> None:
    one, other = made("## How?\n\nSo.\n\n## Why?\n\nBecause.\n")

    assert one.id == made("## How?\n\nOtherwise.\n")[0].id != other.id
    assert re.fullmatch(r"[0-9a-f]{12}", one.id)


LINE = st.one_of(
    st.sampled_from(
        ["", "# T", "## How?", "### Why", "#### Deep", "Setext\n---", "**Is it?**", "```", "~~~", "- item", "  - deeper", "> q"]
        + [
            "    code",
            "| Term | X |\n| --- | --- |\n| t | y |",
            "<summary>S</summary>",
            "[a](#b)",
            "- [a](#b)",
            "link: x",
            "---",
        ]
        + ["asked: a | b", "answers: c", "[l]: m", "\\# none", "<!--", "-->", "\t", "***", "| a | b"]
    ),
    st.text(max_size=30),
)


@given(st.lists(LINE, max_size=30).map("\n".join), st.sampled_from(["", BASE]))
def test_no_markdown_crashes_the_loader(text: str, base_url: str) -> None:
    for entry in made(text, base_url):
        assert entry.title == entry.title.strip() or not entry.asked
        assert entry.answers


WORDS = st.text("abcdefghij", min_size=1, max_size=8)
BLOCK = st.one_of(
    st.lists(WORDS, min_size=1, max_size=5).map(" ".join),
    st.lists(WORDS, min_size=1, max_size=4).map(lambda items: "\n".join(f"- {item}\n  - {item}{item}" for item in items)),
    st.lists(WORDS, min_size=1, max_size=4).map(lambda lines: "\n".join(["```", "## no heading", *lines, "```"])),
    st.tuples(WORDS, WORDS).map(lambda cells: f"| a | b |\n| --- | --- |\n| {cells[0]} | {cells[1]} |"),
    WORDS.map(lambda word: f"#### {word}\n\n{word}{word}"),
)


@given(
    st.lists(st.tuples(st.sampled_from(["##", "###"]), WORDS, st.lists(BLOCK, min_size=1, max_size=5)), min_size=1, max_size=6)
)
def test_no_text_of_an_entry_is_lost(parts: list[tuple[str, str, list[str]]]) -> None:
    """Every heading with text is an entry, and its text is what stood below it, blank lines at the ends aside."""
    bodies = ["Text.\n\n" + "\n\n".join(blocks) for _, _, blocks in parts]
    text = "\n\n".join(f"{mark} {word}\n\n{body}" for (mark, word, _), body in zip(parts, bodies, strict=True))

    assert told(text) == [(word, body) for (_, word, _), body in zip(parts, bodies, strict=True)]


@given(st.lists(LINE, max_size=20).map("\n".join))
def test_every_line_below_the_first_heading_is_somewhere(text: str) -> None:
    """Whatever stands there: in a title, a text, or a field. Tables of contents and empty headings hold nothing to lose."""
    assume(not re.search(r"^[\s>]*[-=]+\s*$", text, re.MULTILINE))  # it makes a heading of any line above
    whole = "## First\n\nbegins\n" + text.replace("\0", "").replace("\r", "\n")
    kept = "\n".join(
        part for one in made(whole) for part in (one.title, one.section, *one.answers, one.link, *one.asked, one.body)
    )
    headings = {"# T", "### Why", "#### Deep", "## How?", "Setext", "**Is it?**", "<summary>S</summary>", "Is it?", "S"}

    for line in whole.split("\n"):
        if line.strip() and line not in headings and re.fullmatch(r"[a-z ]+", line):
            assert " ".join(line.split()) in " ".join(kept.split())
