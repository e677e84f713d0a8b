"""Any qna.yaml becomes as much of an entry as it holds, what was written comes back the same, and nothing is lost."""

import random
import re
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import attribution, qna
from pipeline.errors import Problem
from pipeline.intake import Taken, leaf_of, take
from pipeline.taxonomy import Document, Entry, Knowledge, Passage, SeedExample, Skill, Work
from tests.conftest import HOME
from tests.pipeline.test_qna import texts
from tests.pipeline.test_repair import anything

SHARED = HOME.parent / "shared" / "data"
FILES = sorted([*SHARED.glob("taxonomy/**/qna.yaml"), *SHARED.glob("taxonomy-2024-08/**/qna.yaml")])
there = pytest.mark.skipif(not FILES, reason="the reference files lie in ../shared, which is not here")
LEAF = "compositional_skills/arts/x"
PLACE = "knowledge/arts/x"
EXAMPLES = 100  # of each test that throws texts at the intake; `make faults` asks for more
MANY = 10_000

said = texts.filter(lambda text: bool(text.strip()))
pairs = st.builds(SeedExample, said, said)
skills = st.builds(
    Skill,
    leaf=st.just(LEAF),
    created_by=said,
    description=said,
    examples=st.lists(st.builds(SeedExample, said, said, st.one_of(st.just(""), said)), min_size=5, max_size=6).map(tuple),
    works=st.just(()),
)
passages = st.builds(Passage, said, st.lists(pairs, min_size=3, max_size=4).map(tuple))
knowledge = st.builds(
    Knowledge,
    leaf=st.just(PLACE),
    created_by=said,
    domain=said,
    outline=said,
    passages=st.lists(passages, min_size=5, max_size=5).map(tuple),
    document=st.builds(Document, said, said, st.lists(said, min_size=1, max_size=3).map(tuple)),
    works=st.just(()),
)


def codes(taken: Taken) -> list[str]:
    return [change.code for change in taken.changes]


def change(taken: Taken, code: str) -> Problem:
    (found,) = (one for one in taken.changes if one.code == code)
    return found


def skill(*examples: SeedExample, by: str = "me", description: str = "d", leaf: str = "") -> Skill:
    return Skill(leaf, by, description, examples, ())


def file(seed_lines: str, root: str = "version: 3\ncreated_by: me\ntask_description: d\n") -> str:
    return f"{root}seed_examples:\n{textwrap.indent(textwrap.dedent(seed_lines).strip(), '  ')}\n"


# --- what was written


@given(st.one_of(skills, knowledge))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_was_written_comes_back_the_same_and_unchanged(entry: Entry) -> None:
    taken = take(qna.write(entry), f"{entry.leaf}/qna.yaml")

    grounded = isinstance(entry, Skill) and any(example.context for example in entry.examples)
    assert taken == Taken(entry, grounded)


# --- the files of others


def values(text: str) -> list[str]:
    """Every question, answer and context of a file, as it stands there."""
    found = []

    def walk(node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value in ("question", "answer", "context"):
                    found.append(value.value)
                walk(value)
        elif isinstance(node, yaml.SequenceNode):
            for one in node.value:
                walk(one)

    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert root
    walk(root)
    return found


def kept(entry: Entry | None) -> list[str]:
    if isinstance(entry, Skill):
        return [text for one in entry.examples for text in (one.question, one.answer, one.context)]
    assert entry
    rows = [
        (passage.context, *(text for pair in passage.pairs for text in (pair.question, pair.answer)))
        for passage in entry.passages
    ]
    return [text for row in rows for text in row]


@there
def test_every_reference_file_is_taken_with_all_its_texts() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        taken = take(text, str(path))

        assert {one for one in values(text) if one.strip()} <= set(kept(taken.entry)), path
        assert taken.entry and taken.problem is None and taken.diff == ""
        assert bool(taken.entry.leaf) == ("foundational_skills" not in path.parts)
        assert isinstance(taken.entry, Knowledge) == (taken.entry.leaf.startswith("knowledge/"))
        assert set(codes(taken)) <= {"intake.version", "intake.old-knowledge"}


# --- usual slips, made into those files


PLAIN = re.compile(r"(?P<head>[ -]*(?:question|answer|context|task_description): )(?P<value>[A-Za-z][^:#'\"\\]{12,})$")
Slip = Callable[[str, random.Random], tuple[str, str] | None]  # a text -> the text broken, and the text as it was meant


def plain_lines(lines: list[str]) -> list[tuple[int, re.Match[str]]]:
    """Values of several words that stand in one line without quotes."""
    found = []
    for number, line in enumerate(lines):
        match = PLAIN.match(line)
        below = lines[number + 1] if number + 1 < len(lines) else ""
        if match and " " in match["value"].strip() and len(below) - len(below.lstrip()) <= len(match["head"]) - 9:
            found.append((number, match))
    return found


def unindented(text: str, dice: random.Random) -> tuple[str, str] | None:
    lines = text.split("\n")
    heads = [n for n, line in enumerate(lines) if re.match(r"[ -]*[a-z_]+: [|>][-+]?$", line)]
    if not heads:
        return None
    head = dice.choice(heads)
    column = len(re.match(r"[ -]*", lines[head])[0])  # type: ignore[index]
    end = next(
        (n for n in range(head + 1, len(lines)) if lines[n].strip() and len(lines[n]) - len(lines[n].lstrip()) <= column),
        len(lines),
    )
    body = textwrap.dedent("\n".join(lines[head + 1 : end]))
    moved = textwrap.indent(body, " " * dice.choice((0, column)))
    return "\n".join([*lines[: head + 1], *moved.split("\n"), *lines[end:]]), text


def in_plain(text: str, dice: random.Random, make: Callable[[str], tuple[str, str]]) -> tuple[str, str] | None:
    lines = text.split("\n")
    if not (found := plain_lines(lines)):
        return None
    number, match = dice.choice(found)
    broken, meant = make(match["value"].strip())
    there, here = list(lines), list(lines)
    there[number], here[number] = match["head"] + broken, match["head"] + meant
    return "\n".join(there), "\n".join(here)


def colon(text: str, dice: random.Random) -> tuple[str, str] | None:
    def make(value: str) -> tuple[str, str]:
        said = value.replace(" ", ": ", 1)
        return said, f'"{said}"'

    return in_plain(text, dice, make)


def inner_quotes(text: str, dice: random.Random) -> tuple[str, str] | None:
    def make(value: str) -> tuple[str, str]:
        first, _, rest = value.partition(" ")
        word, _, rest = rest.partition(" ")
        return f'"{first} "{word}" {rest}"', f'"{first} \\"{word}\\" {rest}"'

    return in_plain(text, dice, make)


def tabs(text: str, dice: random.Random) -> tuple[str, str] | None:
    lines = text.split("\n")
    first = dice.randrange(len(lines)) if dice.random() < 0.5 else 0
    broken = [
        re.sub(r"^( +)", lambda found: found[0].replace("  ", "\t"), line) if n >= first else line
        for n, line in enumerate(lines)
    ]
    return ("\n".join(broken), text) if broken != lines else None


def at_top(text: str, dice: random.Random) -> tuple[str, str] | None:
    return text.replace("seed_examples:\n", "", 1), text


def slipped(text: str, dice: random.Random) -> tuple[str, str] | None:
    lines = text.split("\n")
    keys = [n for n, line in enumerate(lines) if re.match(r" +(- )?(question|answer|context):", line)]
    if not keys:
        return None
    number = dice.choice(keys)
    lines[number] = f" {lines[number]}" if dice.random() < 0.5 else lines[number][1:]
    return "\n".join(lines), text


FLOORS: dict[str, tuple[Slip, float]] = {
    "unindented": (unindented, 0.95),
    "colon": (colon, 0.95),
    "inner quotes": (inner_quotes, 0.95),
    "tabs": (tabs, 0.95),
    "at top": (at_top, 0.95),
    "slipped": (slipped, 0.95),
}


def mended(slip: Slip, files: list[Path], seed: int = 20260104) -> tuple[int, int]:
    """How many files with that slip are read as they were meant, and how many there are that do not parse."""
    dice = random.Random(seed)
    good = bad = 0
    for path in files:
        for form in forms(path):
            made = slip(form, dice)
            if made is None or take(made[1]).diff or not broken(made[0]):
                continue
            same = take(made[0], str(path)).entry == take(made[1], str(path)).entry
            good, bad = good + same, bad + (not same)
    return good, good + bad


@cache
def forms(path: Path) -> tuple[str, str]:
    """A file as it stands, and as we write it."""
    text = path.read_text(encoding="utf-8")
    entry = take(text, str(path)).entry
    assert entry
    return text, qna.write(entry)


def broken(text: str) -> bool:
    try:
        return not isinstance(yaml.safe_load(text), dict)
    except yaml.YAMLError:
        return True


@there
@pytest.mark.parametrize("name", FLOORS)
def test_files_with_a_usual_slip_are_read_as_they_were_meant(name: str) -> None:
    slip, floor = FLOORS[name]
    good, of = mended(slip, FILES[::4])

    assert of >= 20 and good / of >= floor, f"{good} of {of}"


@there
@pytest.mark.faults
@pytest.mark.parametrize("name", FLOORS)
def test_all_files_with_a_usual_slip_are_read_as_they_were_meant(name: str) -> None:
    slip, floor = FLOORS[name]
    good, of = mended(slip, FILES)

    assert of >= 100 and good / of >= floor, f"{good} of {of}"


# --- forms that contributors use


ONE = SeedExample("q", "a")


@pytest.mark.parametrize(
    ("seed_lines", "examples", "told"),
    [
        ("- question: q\n  answer: a\n", (ONE,), []),
        ("- question: q\n  answer: a\n  question: r\n  answer: b\n", (ONE, SeedExample("r", "b")), ["intake.pairs-split"]),
        ("question: q\nanswer: a\n", (ONE,), []),
        ("- question: q\n- answer: a\n", (ONE,), ["intake.joined"]),
        ("- - question: q\n    answer: a\n", (ONE,), []),
        ("first:\n  question: q\n  answer: a\n", (ONE,), []),
        ("- Question: q\n  ANSWER: a\n", (ONE,), ["intake.key-renamed", "intake.key-renamed"]),
        ("- questions: q\n  answer: a\n", (ONE,), ["intake.key-renamed"]),
        ("- What is it?: this\n", (SeedExample("What is it?", "this"),), []),
        ("- 'Question: q Answer: a'\n", (ONE,), []),
        ("- some text\n", (), ["intake.key-unknown"]),
        ("- question: 3\n  answer: Yes\n", (SeedExample("3", "Yes"),), ["intake.not-text"]),
        ("- question: 2024-13-45\n  answer: 012\n", (SeedExample("2024-13-45", "012"),), ["intake.not-text"]),
        ("- question: q\n  answer:\n    - a\n    - b\n", (SeedExample("q", "- a\n- b"),), ["intake.not-text"]),
        ("- question: q\n  answer:\n", (SeedExample("q", ""),), []),
        ("- question: q\n  answer: null\n", (SeedExample("q", ""),), ["intake.null"]),
        ("- question: q\n  answer: '  '\n", (SeedExample("q", ""),), []),
        ("- question: q\n  answer: a\n  answer: b\n", (ONE, SeedExample("", "b")), ["intake.pairs-split"]),
        ("- question: q\n  answer: a # why\n", (ONE,), ["intake.comment"]),
        ("- question: q\n  answer: | # why\n    a\n", (SeedExample("q", "a\n"),), ["intake.comment"]),
        ("- question: q\n  answer: a\n  source: me\n", (ONE,), ["intake.key-unknown"]),
        ("- question: q\n  answer: a\n  attribution: me\n", (ONE,), ["intake.attribution"]),
        ("- {question: q, answer: a}\n- &x\n  question: q\n  answer: a\n- *x\n", (ONE, ONE, ONE), []),
    ],
)
def test_examples_are_read_in_every_form_that_has_one_meaning(
    seed_lines: str, examples: tuple[SeedExample, ...], told: list[str]
) -> None:
    taken = take(file(seed_lines))

    assert taken.entry == skill(*examples)
    assert codes(taken) == told


def test_an_unknown_key_a_comment_and_a_key_that_stands_twice_come_back_with_their_text() -> None:
    taken = take("version: 3\ncreated_by: you # or me\ncreated_by: me\nsource:\n  - a book\n  - a film\n")

    assert taken.entry == skill(description="")
    assert change(taken, "intake.key-unknown").facts["text"] == "- a book\n- a film"
    assert change(taken, "intake.comment").facts["text"] == "or me"
    assert (change(taken, "intake.twice").facts["name"], change(taken, "intake.twice").facts["text"]) == ("created_by", "you")


def test_a_change_of_one_kind_is_told_once_with_its_count() -> None:
    taken = take(file("- Question: q\n  answer: 1\n- Question: q\n  answer: 2\n- Question: q\n  answer: 2\n"))

    assert codes(taken) == ["intake.key-renamed", "intake.not-text"]
    assert change(taken, "intake.key-renamed").facts == {"found": "Question", "name": "question", "count": "3", "text": ""}
    assert change(taken, "intake.not-text").facts == {"found": "", "name": "", "count": "3", "text": "1\n2"}


def test_attributions_come_back_each_text_once() -> None:
    taken = take(
        file("- question: q\n  attribution: IBM\n- question: r\n  attribution:\n    source: a\n    license: b\n")
        + "attribution: IBM\n"
    )

    assert change(taken, "intake.attribution").facts["text"] == "IBM\nsource: a\nlicense: b"


def test_old_knowledge_is_grouped_by_three_and_its_task_becomes_the_outline() -> None:
    rows = "".join(f"- question: q{n}\n  answer: a{n}\n" for n in range(4))
    taken = take(file(rows, "version: 2\ntask_description: about\ncreated_by: me\ndomain: d\n"))

    pairs = tuple(SeedExample(f"q{n}", f"a{n}") for n in range(4))
    assert taken.entry == Knowledge(
        "", "me", "d", "about", (Passage("", pairs[:3]), Passage("", pairs[3:])), Document("", "", ()), ()
    )
    assert codes(taken) == ["intake.version", "intake.outline", "intake.old-knowledge"]
    assert (change(taken, "intake.version").facts["found"], change(taken, "intake.old-knowledge").facts["count"]) == ("2", "4")


def test_flat_knowledge_with_contexts_is_grouped_by_them() -> None:
    rows = "".join(f"- question: q{n}\n  answer: a{n}\n  context: c{n // 4}\n" for n in range(6))
    taken = take(file(rows), f"{PLACE}/qna.yaml")

    assert isinstance(taken.entry, Knowledge) and taken.entry.leaf == PLACE
    assert [(one.context, len(one.pairs)) for one in taken.entry.passages] == [("c0", 4), ("c1", 2)]


def test_a_passage_keeps_all_its_pairs_and_a_missing_dash_begins_a_new_one() -> None:
    rows = "- context: c\n  questions_and_answers:\n    - question: q\n      answer: a\n      question: r\n      answer: b\n"
    rows += "    - question: s\n      answer: c\n    - question: t\n      answer: d\n"
    taken = take(file(rows))

    assert isinstance(taken.entry, Knowledge)
    assert taken.entry.passages == (Passage("c", tuple(SeedExample(*two) for two in ("qa", "rb", "sc", "td"))),)


@pytest.mark.parametrize(
    ("lines", "document", "told"),
    [
        ("document:\n  repo: r\n  commit: c\n  patterns: '*.md'\n", Document("r", "c", ("*.md",)), ["intake.listed"]),
        (
            "document:\n  repo: r\n  commit: 123\n  patterns:\n    - a\n    - b\n",
            Document("r", "123", ("a", "b")),
            ["intake.not-text"],
        ),
        ("document:\n  - repo: r\n  - commit: c\n  - patterns: [a]\n", Document("r", "c", ("a",)), []),
        ("document: https://x/y\n", Document("https://x/y", "", ()), []),
        ("document:\n  repo: r\n  path: a.md\n", Document("r", "", ("a.md",)), ["intake.key-renamed", "intake.listed"]),
        ("repo: r\ncommit: c\npatterns: [a]\n", Document("r", "c", ("a",)), []),
    ],
)
def test_a_document_is_read_in_every_form_that_has_one_meaning(lines: str, document: Document, told: list[str]) -> None:
    taken = take(f"version: 3\n{lines}")

    assert isinstance(taken.entry, Knowledge) and taken.entry.document == document
    assert codes(taken) == told


def test_a_broken_file_is_mended_and_the_places_are_told() -> None:
    taken = take("version: 3\n- question: q\n  answer: a: b\n", "qna.yml")

    assert taken.entry == skill(SeedExample("q", "a: b"), by="", description="")
    assert codes(taken) == ["intake.name", "intake.repaired"]
    assert change(taken, "intake.repaired").facts["fixes"] == "repair.list:2 repair.quoted:3"
    assert taken.diff == "@@ -1,4 +1,5 @@\n version: 3\n+seed_examples:\n - question: q\n-  answer: a: b\n+  answer: 'a: b'\n "


def test_pasted_pairs_without_any_frame_are_examples() -> None:
    taken = take("Question: q\nAnswer: a\n\nQuestion: r\nAnswer: b\n", "qna.txt")

    assert taken.entry == skill(ONE, SeedExample("r", "b"), by="", description="")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "file.empty"),
        ("hello\n", "yaml.top"),
        ("[" * 50_000, "yaml.nested"),
        ("a" * 2**20 + "\n", "file.large"),
        ("hello: world\n", "intake.nothing"),
        ("}\n", "yaml.syntax"),
        ("\ud800", "yaml.syntax"),
    ],
)
def test_what_cannot_be_understood_is_a_problem(text: str, code: str) -> None:
    taken = take(text)

    assert taken.entry is None and taken.changes == () and taken.problem and taken.problem.code == code


def test_a_problem_shows_the_lines_around_its_place() -> None:
    taken = take("one: 1\ntwo: 2\nthree: 3\n}\nfive: 5\nsix: 6\nseven: 7\n")

    assert taken.problem and taken.problem.where == "qna.yaml:4"
    assert taken.problem.facts["lines"] == "   2  two: 2\n   3  three: 3\n   4  }\n   5  five: 5\n   6  six: 6"


@pytest.mark.parametrize(
    ("name", "leaf"),
    [
        ("qna.yaml", ""),
        ("taxonomy/compositional_skills/arts/x/qna.yaml", "compositional_skills/arts/x"),
        ("C:\\knowledge\\taxonomy\\knowledge\\arts\\x\\qna.yml", "knowledge/arts/x"),
        ("arts/x/qna.yaml", ""),
    ],
)
def test_the_leaf_is_the_path_from_the_last_root_to_the_folder(name: str, leaf: str) -> None:
    assert leaf_of(name) == leaf


# --- texts that are none of these


def broken_files() -> st.SearchStrategy[str]:
    """Reference files, and one of ours, with pieces cut out, doubled and put elsewhere."""
    own = qna.write(skill(SeedExample("q: q", "a\n\nb"), SeedExample("r", "b # c", "ctx"), leaf=LEAF))
    bases = [own, *(path.read_text(encoding="utf-8")[:3000] for path in FILES[::16])]
    cuts = st.lists(
        st.tuples(st.integers(0, 3000), st.integers(0, 60), st.sampled_from(("", " ", "\n", "\t", '"', ": ", "- ", "&", "\0"))),
        max_size=5,
    )

    def cut(base: str, where: list[tuple[int, int, str]]) -> str:
        for at, length, put in where:
            base = base[: at % (len(base) + 1)] + put + base[at % (len(base) + 1) + length :]
        return base

    return st.builds(cut, st.sampled_from(bases), cuts)


def survives(text: str) -> None:
    taken = take(text)

    assert (taken.entry is None) == (taken.problem is not None)
    assert isinstance(attribution.read(text), tuple)


@given(st.one_of(anything, broken_files()))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_text_of_any_kind_is_too_much_for_the_intake(text: str) -> None:
    survives(text)


@pytest.mark.faults
@given(st.one_of(anything, broken_files()))
@settings(max_examples=MANY, deadline=None, suppress_health_check=list(HealthCheck))
def test_not_one_of_ten_thousand_texts_is_too_much_for_the_intake(text: str) -> None:
    survives(text)


# --- attribution.txt


ordinary = st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9 ,.:/()=&?-]*[A-Za-z0-9])?", fullmatch=True).map(
    lambda text: " ".join(text.split())
)


@given(
    st.lists(st.builds(Work, ordinary, ordinary, ordinary, ordinary, st.one_of(st.just(""), ordinary)), max_size=4).map(tuple)
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_works_that_were_written_come_back_the_same(written: tuple[Work, ...]) -> None:
    assert attribution.read(qna.attribution(written)) == written


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("TITLE: t\nlink to work : l\nLicence = x\nCreators name: c\n", (Work("t", "l", "x", "c"),)),
        ("**Title of work:** t\n- License of the work: x\n", (Work("t", "", "x", ""),)),
        ("Title of work: t\n\nLink to work: l\n\nCreator names: c\n", (Work("t", "l", "", "c"),)),
        ("Title of work: t\nTitle of work: u\n", (Work("t", "", "", ""), Work("u", "", "", ""))),
        ("Link: l\n\nLink: m\n", (Work("", "l", "", ""), Work("", "m", "", ""))),
        ("Creator names: a\n  and b\nhttps://c\n", (Work("", "", "", "a and b https://c"),)),
        ("self-authored\n", (Work("self-authored", "", "", ""),)),
        (" \n\n", ()),
    ],
)
def test_an_attribution_is_read_as_people_write_it(text: str, read: tuple[Work, ...]) -> None:
    assert attribution.read(text) == read
