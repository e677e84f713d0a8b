"""`labbot ask`: lines in, lines out, and nothing loaded that it can do without."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bot.faq import Faq, ask
from tests.conftest import HOME

NOT_LOADED = (
    "aiohttp bot.app bot.house bot.platforms bot.play bot.store discord fastapi httpx jinja2 jsonschema prompt_toolkit redis "
    "rich scipy slack_bolt slack_sdk sklearn textual torch transformers watchfiles yamllint"
).split()
TEXT = "## What does a stamp cost?\n\nA stamp costs 85 cents.\n\n## How do I send a letter?\n\nPut it into the box.\n"


@pytest.fixture
def faq(tmp_path: Path) -> Faq:
    (tmp_path / "faq.md").write_text(TEXT, encoding="utf-8")
    return Faq([tmp_path / "faq.md"], "https://example.org/")


def labbot(data: Path, *given: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bot", "ask", *given]
    environment = {"PATH": "/usr/bin:/bin", "LABBOT_DATA": str(data)}
    return subprocess.run(command, cwd=HOME, env=environment, input=stdin, capture_output=True, text=True, check=False)


def test_a_json_line_is_answered_by_one(faq: Faq) -> None:
    line = json.dumps({"id": 7, "question": "what does a stamp cost?", "history": ["hello"]})
    ((good, told),) = ask.as_json(faq, [line.encode()])
    found = json.loads(told)

    assert good
    assert list(found) == ["id", "answered", "score", "hits", "answer"]
    assert (found["id"], found["answered"], found["answer"]) == (7, True, "A stamp costs 85 cents.")
    assert found["hits"][0] == {
        "title": "What does a stamp cost?",
        "answers": ["What does a stamp cost?"],
        "link": "https://example.org/faq.md#what-does-a-stamp-cost",
        "score": found["score"],
    }


@pytest.mark.parametrize(
    ("line", "id"),
    [
        (b"nonsense", None),
        (b"\xff\xfe", None),
        (b"[1]", None),
        (b"[" * 100_000, None),
        (b'{"id": 3}', 3),
        (b'{"id": "a", "question": 5}', "a"),
        (b'{"id": "a", "question": "b", "history": "c"}', "a"),
        (b'{"id": "a", "question": "b", "history": [1]}', "a"),
    ],
)
def test_a_line_that_is_no_question_is_said_to_be_none(faq: Faq, line: bytes, id: object) -> None:
    ((good, told),) = ask.as_json(faq, [line])
    found = json.loads(told)

    assert (good, found["id"], set(found)) == (False, id, {"id", "error"})


def test_text_is_answered_with_its_source_and_later_lines_lean_on_earlier_ones(faq: Faq) -> None:
    stamp = "A stamp costs 85 cents.\nSource: What does a stamp cost?, https://example.org/faq.md#what-does-a-stamp-cost"
    letter = "Put it into the box.\nSource: How do I send a letter?, https://example.org/faq.md#how-do-i-send-a-letter"

    assert list(ask.as_text(faq, ["what does a stamp cost?", "", "how do i send a letter"])) == [stamp, letter]
    assert "\n  What does a stamp cost?" in next(ask.as_text(faq, ["and that?"]))
    assert list(ask.as_text(faq, ["how do i send a letter", "and how exactly?"]))[1] == letter


def test_the_command_answers_lines_and_goes_on_after_a_bad_one(tmp_path: Path) -> None:
    (tmp_path / "faq.md").write_text(TEXT, encoding="utf-8")
    lines = '{"id": 1, "question": "stamp cost"}\nnonsense\n\n{"id": 2, "question": "send a letter"}\n'
    done = labbot(tmp_path / "data", "--json", "--faq", str(tmp_path / "faq.md"), stdin=lines)

    assert (done.returncode, done.stderr) == (1, "")
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, None, 2]


def test_the_command_answers_a_question_with_its_source(tmp_path: Path) -> None:
    done = labbot(tmp_path, "who are you")

    assert (done.returncode, done.stderr) == (0, "")
    assert "\nSource: What can labbot do?, https://" in done.stdout


def test_the_command_says_no_with_the_nearest_three(tmp_path: Path) -> None:
    done = labbot(tmp_path, "who won the match yesterday?")

    assert done.returncode == 0
    assert done.stdout.startswith("The FAQ does not say. Nearest:\n  ")
    assert len(done.stdout.splitlines()) == 4


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = labbot(tmp_path, "--faq", str(tmp_path / "none.md"), "anything")

    assert (done.returncode, done.stdout) == (1, "The FAQ does not say.\n")
    assert "none.md: No such file or directory" in done.stderr


def test_asking_loads_no_platform_no_store_and_no_model(tmp_path: Path) -> None:
    """It must answer within a second of being started; `python -m tests.bench.faq` measures that."""
    code = f"""
import json, os, sys
from bot.__main__ import main
os.environ["LABBOT_DATA"] = {str(tmp_path)!r}
status = main(["ask", "--json", "who are you"])
loaded = [name for name in {NOT_LOADED!r} if name in sys.modules]
print(json.dumps([status, loaded]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]
