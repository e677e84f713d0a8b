"""Broken YAML is mended where it has one meaning, by a bounded number of steps, and no word of it is dropped."""

import re

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.repair import Fault, Fix, Repaired, diff, fault, repair

EXAMPLES = 100  # of each test that throws texts at it; `make faults` asks for more
MANY = 10_000

FRAGMENTS = (
    *(
        "version: 3",
        "created_by: me",
        "task_description: ",
        "seed_examples:",
        "- question: ",
        "  - question: what",
        "document:",
    ),
    *("    answer: ", "   answer: |", "  answer: >", "context: |", "    context:", "question:tight", "questions_and_answers:"),
    *(
        "Note: this",
        " # hash",
        "text without end",
        '"quoted" on',
        "'don't'",
        '"open',
        "'open",
        "*bold*",
        "&co",
        "!new",
        "%x",
        "@y",
    ),
    *(
        "`code`",
        "[list",
        "{map",
        "| row | row |",
        "> said",
        "---",
        "...",
        "```yaml",
        "```",
        "\t",
        "\t\ttext",
        "  ",
        "      deep",
    ),
    *(
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "\ufeff",
        "\u00a0",
        "\u200b",
        "\0",
        "\u2028",
        "\x85",
        "\x0b",
        "\ud800",
        "- ",
        "- - x",
        "? ",
        "a: b: c",
    ),
    *(
        "<<: *a",
        "&a x",
        "*a",
        "!!int 3",
        "!!str",
        "null",
        "\\",
        "'",
        '"',
        "[[[[",
        "]]",
        "}}",
        ": ",
        ":",
        "#",
        "日本語",
        "\\d",
        "\\x4",
    ),
)
pieces = st.lists(st.tuples(st.sampled_from(FRAGMENTS), st.sampled_from(("\n", "\n", "\n", " ", ""))), max_size=30).map(
    lambda parts: "".join(text + end for text, end in parts)
)
anything = st.one_of(st.text(max_size=200), st.text(st.characters(), max_size=100), pieces)


def words(text: str) -> list[str]:
    """The words of a text without those that are its frame: fences, marks of documents."""
    text = re.sub("(?m)^[\\s\u200b-\u200d\u2060]+", "", text)
    return re.findall(r"\w+", re.sub(r"(?mi)^(```|~~~)\s*(ya?ml|text|txt)?[ \t]*$", "", text))


def plain(text: str) -> str:
    """The text with what no YAML can hold left out, as the repair has it."""
    text = re.sub("\r\n|\r|[\x0b\x0c\x1c-\x1f\x85\u2028\u2029]", "\n", text)
    return re.sub("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]", "", text)


def value(text: str) -> object:
    made = repair(text)
    return yaml.safe_load(made.text) if made else None


def whole(text: str) -> None:
    """What is to hold of every text: mended or not, with a reason or none, and all of its words there."""
    found, made = fault(text), repair(text)
    if found is None:
        assert made is None
    elif made:
        assert fault(made.text) is None and made.fixes
        there, needed = re.findall(r"\w+", made.text), words(plain(text))
        assert [word for word in needed if there.count(word) < needed.count(word)] == []


@given(anything)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_is_mended_or_left_and_loses_no_word(text: str) -> None:
    whole(text)


@pytest.mark.faults
@given(anything)
@settings(max_examples=MANY, deadline=None, suppress_health_check=list(HealthCheck))
def test_ten_thousand_texts_are_mended_or_left_and_lose_no_word(text: str) -> None:
    whole(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("answer: |\nOne line: two\nmore\nquestion: q\n", {"answer": "One line: two\nmore\n", "question": "q"}),
        ("answer: |\n  One\nTwo, three\n  four\nquestion: q\n", {"answer": "One\nTwo, three\nfour\n", "question": "q"}),
        ("answer: |\n    One\n  two\nthree\nquestion: q\n", {"answer": "One\ntwo\nthree\n", "question": "q"}),
        ("question: |\n- a\n- b\n\nanswer: x\n", {"question": "- a\n- b\n", "answer": "x"}),
        ("answer: Note: this\n", {"answer": "Note: this"}),
        ("answer: Note: this\n  and that\n", {"answer": "Note: this and that"}),
        ("answer: see #3: yes\n", {"answer": "see #3: yes"}),
        ("answer: one # two\n  three\n", {"answer": "one # two three"}),
        ('question: "He said "hi""\n', {"question": 'He said "hi"'}),
        ('question: "hi" is what he said\n', {"question": '"hi" is what he said'}),
        ("question: 'don't'\n", {"question": "don't"}),
        ("question: 'tis the season\n", {"question": "'tis the season"}),
        ('question: "open\nanswer: "x"\n', {"question": "open", "answer": "x"}),
        ('question: "a\\d"\n', {"question": "a\\d"}),
        ("answer: *bold* text\n", {"answer": "*bold* text"}),
        ("answer: *bold\n", {"answer": "*bold"}),
        ("answer: & co\n", {"answer": "& co"}),
        ("answer: &co is one\n", {"answer": "&co is one"}),
        ("answer: !important is it\n", {"answer": "!important is it"}),
        ("answer: %d\n", {"answer": "%d"}),
        ("answer: @me\n", {"answer": "@me"}),
        ("answer: `ls`\n", {"answer": "`ls`"}),
        ("answer: [note] text\n", {"answer": "[note] text"}),
        ("answer: {a} text\n", {"answer": "{a} text"}),
        ("answer: | text\n  more\n", {"answer": "text\nmore\n"}),
        ("answer: | a | b |\n  | c | d |\n", {"answer": "| a | b |\n| c | d |\n"}),
        ("answer: > said\n", {"answer": "said\n"}),
        ("answer: |2 apples\n", {"answer": "2 apples\n"}),
        ("answer:\n  Note: this\n  is text\n", {"answer": "Note: this\nis text\n"}),
        ("answer: it goes\non below\nquestion: q\n", {"answer": "it goes on below", "question": "q"}),
        ("question:What\nanswer: a\n", {"question": "What", "answer": "a"}),
        ("version: 3\nseed_examples\n- question: a\n", {"version": 3, "seed_examples": [{"question": "a"}]}),
        ("seed_examples:\n\t- question: a\n\t  answer: b\n", {"seed_examples": [{"question": "a", "answer": "b"}]}),
        ("document:\n\u00a0 repo: a\n\u00a0 commit: b\n", {"document": {"repo": "a", "commit": "b"}}),
        ("\u200bquestion: a: b\n", {"question": "a: b"}),
        ("question: a\0: b\r\nanswer: c\r\n", {"question": "a: b", "answer": "c"}),
        ("question: a: b\ranswer: c\r", {"question": "a: b", "answer": "c"}),
        ("- question: a\n  answer: b\n", {"seed_examples": [{"question": "a", "answer": "b"}]}),
        ("created_by: x\n- question: a\n", {"created_by": "x", "seed_examples": [{"question": "a"}]}),
        ("created_by: x\n  - question: a\n", {"created_by": "x", "seed_examples": [{"question": "a"}]}),
        ("- version: 3\n  seed_examples:\n  - question: a\n", {"version": 3, "seed_examples": [{"question": "a"}]}),
        ("- version: 3\n- created_by: x\n", {"version": 3, "created_by": "x"}),
        ('[{"question": "a"}]\n', {"seed_examples": [{"question": "a"}]}),
        ("Here it is\n\n```yaml\nversion: 3\n```\n\nBye\n", {"version": 3}),
        ("```\nversion: 3\ncreated_by: x\n```\n", {"version": 3, "created_by": "x"}),
        ("version: 3\n---\ncreated_by: x\n", {"version": 3, "created_by": "x"}),
        ("document:\n  repo: a\n   commit: b\n", {"document": {"repo": "a", "commit": "b"}}),
        ("document:\n  repo: a\n commit: b\n", {"document": {"repo": "a", "commit": "b"}}),
    ],
)
def test_a_usual_slip_is_read_as_it_was_meant(text: str, meant: object) -> None:
    assert value(text) == meant


def test_many_slips_in_one_file_are_mended_each_at_its_line() -> None:
    text = "question: a: b\nanswer: 'don't'\ncontext: |\nnot\nindented\ncreated_by: @me\n"

    made = repair(text)

    assert made == Repaired(
        "question: 'a: b'\nanswer: 'don''t'\ncontext: |\n  not\n  indented\ncreated_by: '@me'\n",
        (Fix("repair.quoted", 1), Fix("repair.quoted", 2), Fix("repair.block", 4), Fix("repair.quoted", 6)),
    )


def test_lines_that_were_put_in_do_not_count_as_lines_of_the_file() -> None:
    made = repair("created_by: x\n- question: a\n  answer: b: c\n")

    assert made and made.fixes == (Fix("repair.list", 2), Fix("repair.quoted", 3))


@pytest.mark.parametrize("text", ["version: 3\n", "question: a\nanswer: |\n  b\n", "a: &x b\nc: *x\n", "# c\n--- \nx: y\n"])
def test_what_reads_without_loss_is_left_alone(text: str) -> None:
    assert fault(text) is None and repair(text) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "file.empty"),
        ("just words", "yaml.top"),
        ("[" * 50_000, "yaml.nested"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"{n}: &{n} [" + f"*{m}," * 10 + "]\n" for m, n in zip("abcde", "bcdef", strict=True)),
            "yaml.aliases",
        ),
        ("}\n", "yaml.syntax"),
    ],
)
def test_what_has_no_meaning_is_not_mended(text: str, code: str) -> None:
    found = fault(text)

    assert found and found.code == code and repair(text) is None


def test_brackets_that_would_kill_the_parser_are_text_or_left_alone() -> None:
    deep = "[" * 50_000

    assert value(f"- {deep}") == {"seed_examples": [deep]}
    assert repair(f"answer: a: b\ncontext: {deep}") is None


def test_a_fault_says_where_it_is() -> None:
    assert fault("question: a\nanswer: b: c\n") == Fault("yaml.syntax", "mapping values are not allowed here", 2, 10)


def test_a_large_text_full_of_faults_ends_within_its_bounds() -> None:
    assert repair("answer: a: b\n" * 18_000) is None  # 234 kB, more faults than steps
    assert repair("x" * 2**18 + "\n") is None


def test_a_diff_shows_two_lines_around_and_no_file() -> None:
    before = "a\nb\nc\nd\ne\nf\n"

    assert diff(before, before.replace("d", "D")) == "@@ -2,5 +2,5 @@\n b\n c\n-d\n+D\n e\n f"
    assert diff(before, before) == ""
