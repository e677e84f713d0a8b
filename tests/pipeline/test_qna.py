"""What is written as qna.yaml and attribution.txt reads back as it was meant, and upstream's own parser takes it."""

import json
import os
import random
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from instructlab.schema.taxonomy import TaxonomyParser
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from yamllint.config import YamlLintConfig
from yamllint.linter import run as lint

from pipeline import qna
from pipeline.errors import Invalid, Problem
from pipeline.taxonomy import Document, Knowledge, Passage, SeedExample, Skill, Work

WORKS = (Work("Order tickets", "-", "CC-BY-SA-4.0", "alice-lab"),)
NASTY = (
    *(
        "yes",
        "No",
        "3",
        "-3.5",
        "1e9",
        "0o17",
        "0x1F",
        "null",
        "~",
        "true",
        ".inf",
        ".nan",
        "2026-01-01",
        "12:30:45",
        "=",
        "<<",
    ),
    *("- x", "# x", "a # b", ": ", "a: b", "key: ", "? a", "! b", "& c", "* d", "| e", "> f", "%TAG", "@x", "`x`", "{}", "[]"),
    *(
        "'",
        '"',
        "\\",
        "'quoted'",
        '"quoted"',
        "---",
        "...",
        "--- a\n...\nb",
        "a,b",
        "{a: b}",
        "!!int 3",
        "&a",
        "*a",
        "''",
        "\\n",
    ),
    *(
        " ",
        "  lead",
        "trail ",
        "trail  \nmore ",
        "\ttab",
        "a\tb",
        "a\t\nb",
        "tab\t",
        "\n",
        "\n\n\n\n",
        "\nfirst",
        "last\n",
        "last\n\n",
    ),
    *(
        "a\n\nb",
        "a\n\n\nb",
        "a\n\n\nb ",
        "a\n\n\n\nb",
        "a\n\n\n\n\nb \n",
        "a\n \n \n \nb",
        "a\n\t\nb",
        "a \n\n\n \nb",
        "x\n  y\n z\n",
    ),
    *(
        "a\rb",
        "a\r\nb",
        "\r",
        "a\u2028b",
        "a\u2029b",
        "a\u0085b",
        "a\x0bb",
        "a\x0cb",
        "\x1b[31mred",
        "\x7f",
        "\x01",
        "\ufeffbom",
    ),
    *(
        "a\u202eb",
        "\u2066x\u2069",
        "\u200fx",
        "a\u200bb",
        "a\u00a0b",
        "\u00a0",
        "\u00a0lead\nx",
        "trail\u00a0\nx",
        "\ufffe",
        "\uffff",
    ),
    *(
        "🦙",
        "👩‍👩‍👧 family\nand more",
        "é e\u0301",
        "\U0010ffff",
        "ß" * 200,
        "日本語" * 60,
        "🦙" * 120,
        "x" * 500,
        "word " * 80 + "end",
    ),
    *(
        "word  " * 40 + "end",
        "long " * 40 + "\n" + "long " * 40,
        "a" * 95 + " b",
        "a" * 96 + " " + "b" * 97,
        "- " + "item " * 60,
    ),
    *(
        "# " + "head " * 60,
        "a: " + "b " * 60 + "c",
        "long " * 40 + "\n\n\n" + "y ",
        "'" * 120 + " '",
        "\u3000" + "wide " * 40 + "x",
    ),
)
letters = st.one_of(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"),
    st.sampled_from(" \n\t\r:#-'\"\\|>&*!%@`{}[],?~\u0085\u2028\u2029\u202e\u2067\ufeff\u00a0"),
)
texts = st.one_of(
    st.text(letters, min_size=1, max_size=60),
    st.text(st.sampled_from(" \na#:-'\""), min_size=1, max_size=160),
    st.lists(st.sampled_from((*NASTY, "word", "a")), min_size=1, max_size=12).map(" ".join),
    st.lists(st.sampled_from((*NASTY, "", "word")), min_size=2, max_size=6).map("\n".join),
    st.sampled_from(NASTY),
).filter(bool)
seeds = st.builds(SeedExample, texts, texts, st.one_of(st.just(""), texts))
entries = st.builds(
    Skill,
    leaf=st.just("compositional_skills/linguistics/order_tickets"),
    created_by=texts,
    description=texts,
    examples=st.lists(seeds, min_size=5, max_size=6, unique=True).map(tuple),
    works=st.just(WORKS),
)


def nasty_entries() -> list[Skill]:
    """Every hand-picked text in every place where one can stand, in as few files as that takes."""
    found = []
    for at in range(0, len(NASTY), 10):
        ten = (*NASTY[at : at + 10], *(f"filler {n}" for n in range(10)))[:10]
        examples = tuple(SeedExample(ten[n], ten[n + 5], ten[(n + 3) % 10] if n % 2 else "") for n in range(5))
        found.append(Skill("compositional_skills/arts/x", ten[0], ten[1], examples, WORKS))
    return found


def document(entry: Skill) -> dict[str, object]:
    rows = [
        {name: text for name, text in (("context", one.context), ("question", one.question), ("answer", one.answer)) if text}
        for one in entry.examples
    ]
    return {
        "version": 3,
        "task_description": entry.description,
        "created_by": entry.created_by,
        "seed_examples": rows,
    }


def schema() -> Draft202012Validator:
    def text(name: str) -> str:
        return (files("instructlab.schema") / "v3" / name).read_text(encoding="utf-8")

    version = DRAFT202012.create_resource(json.loads(text("version.json")))
    registry = Registry().with_resources([("./version.json", version), ("version.json", version)])
    return Draft202012Validator(json.loads(text("compositional_skills.json")), registry=registry)


SCHEMA = schema()
LINT = YamlLintConfig("{extends: relaxed, rules: {line-length: disable}}")


@given(entries)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_written_reads_back_the_same_and_passes_schema_and_linter(entry: Skill) -> None:
    text = qna.write(entry)

    assert yaml.safe_load(text) == document(entry)
    assert [str(error) for error in SCHEMA.iter_errors(yaml.safe_load(text))] == []
    assert [(one.line, one.message) for one in lint(text, LINT)] == [], text


@pytest.mark.parametrize("text", NASTY)
def test_a_nasty_text_reads_back_the_same_in_every_field(text: str) -> None:
    entry = Skill("compositional_skills/a/b", text, text, tuple(SeedExample(f"{n}{text}", text, text) for n in range(5)), WORKS)
    written = qna.write(entry)

    assert yaml.safe_load(written) == document(entry)
    assert [(one.line, one.message) for one in lint(written, LINT)] == [], written


def drawn(count: int, seed: int) -> list[Skill]:
    """Entries of texts thrown together from the nasty ones; a seed, so that a failure can be had again."""
    dice = random.Random(seed)

    def text() -> str:
        return dice.choice((" ", "\n", "\n\n", "", " \n")).join(dice.choices(NASTY, k=dice.randint(1, 8))) or "x"

    return [
        Skill(
            "compositional_skills/arts/x", text(), text(), tuple(SeedExample(f"{n} {text()}", text()) for n in range(5)), WORKS
        )
        for n in range(count)
    ]


def test_upstreams_own_parser_finds_nothing_in_either_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    found = []
    for number, entry in enumerate([*nasty_entries(), *drawn(10, seed=20260104)]):
        path = tmp_path / "compositional_skills" / "arts" / f"x{number}" / "qna.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(qna.write(entry), encoding="utf-8", newline="")
        for parser in (TaxonomyParser(), TaxonomyParser(schema_version=0, yamllint_strict=True)):
            read = parser.parse(path)
            found.append((read.errors, read.warnings, read.version, read.contents == document(entry)))

    assert set(found) == {(0, 0, 3, True)}, capsys.readouterr().out


def test_knowledge_passes_upstreams_parser_as_ci_and_as_ilab_run_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same texts as a skill's, in the places that knowledge has for them."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    found = []
    for number, skill in enumerate([*nasty_entries()[:6], *drawn(4, seed=20261122)]):
        asked = skill.examples
        passages = tuple(
            Passage(f"{one.context}{at}", tuple(asked[(at + n) % 5] for n in range(3))) for at, one in enumerate(asked)
        )
        source = Document("https://example.org/docs.git", "0" * 40, ("*.md", "docs/a.pdf"))
        entry = Knowledge("", skill.created_by, skill.description, skill.description, passages, source, WORKS)
        path = tmp_path / "knowledge" / "arts" / f"x{number}" / "qna.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(qna.write(entry), encoding="utf-8", newline="")
        for parser in (TaxonomyParser(), TaxonomyParser(schema_version=0, yamllint_strict=True)):
            read = parser.parse(path)
            found.append((read.errors, read.warnings, read.version))

    assert set(found) == {(0, 0, 3)}, capsys.readouterr().out


def test_the_parser_that_judges_here_does_find_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    path = tmp_path / "compositional_skills" / "x" / "qna.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(qna.write(drawn(1, seed=1)[0]) + "\n\n\n", encoding="utf-8")
    read = TaxonomyParser(schema_version=0, yamllint_strict=True).parse(path)

    assert (read.errors, read.warnings) == (1, 0)


def entry_with(**changed: str) -> Skill:
    examples = [SeedExample(f"question {n}", f"answer {n}") for n in range(5)]
    examples[1] = SeedExample(changed.get("question", "q"), changed.get("answer", "a"), changed.get("context", ""))
    return Skill("compositional_skills/a/b", changed.get("by", "me"), changed.get("description", "d"), tuple(examples), WORKS)


@pytest.mark.parametrize(
    ("field", "where"),
    [
        ("description", "task_description"),
        ("by", "created_by"),
        ("question", "seed_examples[2].question"),
        ("answer", "seed_examples[2].answer"),
        ("context", "seed_examples[2].context"),
    ],
)
@pytest.mark.parametrize(("character", "name"), [("\0", "U+0000"), ("\ud83e", "U+D83E"), ("\udfff", "U+DFFF")])
def test_what_yaml_cannot_hold_is_refused_by_field_and_character(field: str, where: str, character: str, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        qna.write(entry_with(**{field: f"ab{character}c"}))

    message = f"character 3 is {name}, which a YAML file cannot hold"
    assert refused.value.problems == (
        Problem("text.unwritable", message, where, "Take it out.", {"character": name, "at": "3"}),
    )


def test_every_field_that_cannot_be_written_is_told_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        qna.write(entry_with(description="\0", question="\ud800", answer="\0"))

    told = [problem.where for problem in refused.value.problems]
    assert told == ["task_description", "seed_examples[2].question", "seed_examples[2].answer"]


def test_a_plain_entry_is_written_as_a_person_would_write_it() -> None:
    long = "Turn a short order that somebody types in a hurry into a ticket with an item and a kind, one field a line."
    entry = Skill("l", "alice-lab", long, tuple(SeedExample(f"order {n}", f"item: {n}\nkind: x") for n in range(2)), WORKS)

    assert qna.write(entry) == (
        "version: 3\n"
        "task_description: >-\n"
        "  Turn a short order that somebody types in a hurry into a ticket with an item and a kind, one field\n"
        "  a line.\n"
        "created_by: alice-lab\n"
        "seed_examples:\n"
        "  - question: order 0\n"
        "    answer: |-\n"
        "      item: 0\n"
        "      kind: x\n"
        "  - question: order 1\n"
        "    answer: |-\n"
        "      item: 1\n"
        "      kind: x\n"
    )


def test_attribution_has_upstreams_form() -> None:
    wiki = Work("Tides", "https://en.wikipedia.org/wiki/Tide", "CC-BY-SA-4.0", "Wikipedia authors", "https://w/?oldid=1")

    assert qna.attribution((*WORKS, wiki)) == (
        "Title of work: Order tickets\n"
        "Link to work: -\n"
        "License of the work: CC-BY-SA-4.0\n"
        "Creator names: alice-lab\n"
        "\n"
        "Title of work: Tides\n"
        "Link to work: https://en.wikipedia.org/wiki/Tide\n"
        "Revision: https://w/?oldid=1\n"
        "License of the work: CC-BY-SA-4.0\n"
        "Creator names: Wikipedia authors\n"
    )


@given(st.lists(st.builds(Work, texts, texts, texts, texts, st.one_of(st.just(""), texts)), min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_no_value_of_a_work_starts_a_line_or_a_block_of_its_own(works: list[Work]) -> None:
    blocks = [block.splitlines() for block in qna.attribution(tuple(works)).split("\n\n")]
    keys = [[line.partition(":")[0] for line in block] for block in blocks]
    revision = [["Revision"] if work.revision else [] for work in works]

    assert keys == [["Title of work", "Link to work", *more, "License of the work", "Creator names"] for more in revision]


@pytest.mark.parametrize("character", ["\0", "\ud83e"])
def test_a_work_that_cannot_be_written_is_refused_by_field(character: str) -> None:
    with pytest.raises(Invalid) as refused:
        qna.attribution((*WORKS, Work(f"a{character}", "-", "MIT", "me")))

    assert [(problem.code, problem.where) for problem in refused.value.problems] == [("text.unwritable", "works[2].title")]
