"""Rows to train on, ours and those that ilab wrote; what is no row is said with its file and line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Failed, Invalid
from pipeline.mixing import forms
from pipeline.training.rows import Message, Sample, read
from tests.pipeline.generating.mixing_folder import jsonl, many

ASKED = [{"role": "user", "content": "Is it?"}, {"role": "assistant", "content": "No."}]


def wrong(path: Path, text: str | bytes) -> Any:
    """What is wrong with the second line of a file."""
    first = json.dumps({"messages": ASKED}).encode() + b"\n"
    path.write_bytes(first + (text.encode() if isinstance(text, str) else text) + b"\n" + first)
    rows = read(path)
    next(rows)
    with pytest.raises(Invalid) as caught:
        next(rows)
    return caught.value.problems[0]


def test_rows_of_a_mix_are_read_as_they_were_written(tmp_path: Path) -> None:
    [skill] = many(1, "grounded")
    [known] = many(1, "knowledge")
    path = tmp_path / "mix.jsonl"
    path.write_bytes(forms.skill(skill, "Be brief.") + b"  \n" + forms.knowledge(known, "Coasts", "document", []))

    found = list(read(path))

    system, asks = Message("system", "Be brief."), Message("user", skill.asks)
    assert found[0] == Sample(skill.id, (system, asks, Message("assistant", skill.answer)), False, "mix.jsonl, line 1")
    assert (found[1].id, found[1].unmask, found[1].where) == (f"{known.id}-document", True, "mix.jsonl, line 3")
    assert found[1].messages[0].content == f"{known.document}\n\n{known.question}"


def test_a_row_without_an_id_is_called_by_its_line(tmp_path: Path) -> None:
    [found] = read(jsonl(tmp_path / "a.jsonl", [{"messages": ASKED}]))
    assert (found.id, found.where, found.unmask) == ("a.jsonl, line 1", "a.jsonl, line 1", False)


def test_halves_of_characters_become_whole_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "\\ud83d\\u2028b"}], "unmask": true}\n', encoding="utf-8")
    assert [one.messages[0].content for one in read(path)] == ["\ufffd\u2028b"]


def test_one_row_is_in_memory_at_a_time(tmp_path: Path) -> None:
    rows = read(jsonl(tmp_path / "a.jsonl", [{"messages": ASKED}] * 2))
    assert isinstance(rows, Iterator)
    assert next(rows).where == "a.jsonl, line 1"


def test_a_file_that_is_not_there_is_our_failure(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"a\.jsonl could not be read"):
        list(read(tmp_path / "a.jsonl"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"messages": [{"role": "user", "con', "Unterminated string starting at, column 32"),
        (b'{"messages": "\xff"}', "can't decode byte"),
        ("[1, 2]", "no JSON object"),
        ("{}", "it has no `messages`"),
        ('{"messages": []}', "no list with something in it"),
        ('{"messages": "Is it?"}', "no list with something in it"),
        ('{"messages": ["Is it?"]}', "message 1 is no {role, content}"),
        ('{"messages": [{"content": "No."}]}', "message 1 has no role"),
        ('{"messages": [{"role": "assistant", "content": null}]}', "message 1 has no text"),
        ('{"messages": [{"role": "tool", "content": "7"}]}', "has the role 'tool'"),
        ('{"messages": [{"role": "user", "content": "Is it?"}]}', "the assistant says nothing"),
        ('{"messages": [{"role": "assistant", "content": "No."}], "unmask": "false"}', "neither true nor false"),
        ('{"messages": [{"role": "assistant", "content": "No."}]}', "the assistant speaks first"),
        ('{"user": "Is it?"}', "it has no `messages`"),
        ('{"messages": [{"role": "pretraining", "content": "It is."}]}', "no marks such as"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, text: str | bytes, why: str) -> None:
    problem = wrong(tmp_path / "rows.jsonl", text)
    assert (problem.code, problem.where) == ("train.row", "rows.jsonl, line 2")
    assert why in problem.facts["why"]
    assert {"file": "rows.jsonl", "line": "2"}.items() <= problem.facts.items()
