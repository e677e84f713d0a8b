"""`labpipe stage FOLDER STAGE` says a JSON line a step, and ends with a sentence whatever it was given."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import HOME, git
from tests.pipeline.trial import COMMAND

LABPIPE = (sys.executable, "-m", "pipeline")
LEAF = "compositional_skills/linguistics/order_tickets"


def labpipe(*words: str) -> tuple[int, list[dict[str, Any]], str]:
    """The command's status, the JSON lines it printed, and what it said besides."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *words], cwd=HOME, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def run_folder(runs: Path, checkout: Path, **changed: Any) -> Path:
    folder = runs / "d1.1"
    (folder / "entry").mkdir(parents=True)
    (folder / "entry" / "qna.yaml").write_text("version: 3\n", encoding="utf-8")
    (folder / "entry" / "attribution.txt").write_text("Title of work: x\n", encoding="utf-8")
    inputs = {
        "leaf": LEAF,
        "root": "compositional_skills",
        "description": "d",
        "replaces": False,
        "name": "Al",
        "mail": "al@lab.example",
        "signed_at": 1767312000,
    }
    place = {"path": str(checkout), "branch": "main", "template": str(HOME / "configs" / "pull.md")}
    run = {"id": "d1.1", "recipe": "contribution", "inputs": inputs, "settings": {"propose": place}}
    (folder / "run.json").write_text(json.dumps({**run, **changed}), encoding="utf-8")
    return folder


def test_a_run_says_a_line_a_step_and_ends_with_zero(tmp_path: Path, checkout: Path) -> None:
    folder = run_folder(tmp_path, checkout)
    status, steps, said = labpipe("stage", str(folder), "propose")
    branch = "labbot/order_tickets-d1"
    made = {"branch": branch, "commit": git(checkout, "rev-parse", branch)[:12], "pull": "runs/d1.1/pull.md"}

    assert (status, said) == (0, "")
    assert steps == [
        {"stage": "propose", "fraction": 0.0, "facts": {"stage": "propose"}},
        {"stage": "", "fraction": 0.3, "facts": {"stage": "propose"}},
        {"stage": "", "fraction": 0.8, "facts": {"stage": "propose"}},
        {"stage": "propose", "fraction": 1.0, "facts": made},
    ]
    assert labpipe("stage", str(folder), "propose") == (0, [steps[0], steps[-1]], "")


def test_a_refused_run_says_why_and_ends_with_one(tmp_path: Path) -> None:
    status, steps, said = labpipe("stage", str(run_folder(tmp_path, tmp_path / "none")), "propose")
    cause = f"{tmp_path / 'none'}: the taxonomy folder is not there Set taxonomy.path."

    assert (status, steps[-1], said) == (
        1,
        {"stage": "", "fraction": 0.0, "facts": {"code": "checkout.missing", "cause": cause, "by": "Invalid"}},
        f"{cause}\n",
    )


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", b"\xff", b"[]", b"null", b"{}", b'{"recipe": "contribution"}', b'{"recipe": 3, "inputs": null}'],
)
def test_a_folder_that_is_no_run_is_told_in_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_bytes(content)
    status, steps, said = labpipe("stage", str(tmp_path), "propose")

    assert (status, [step["facts"]["by"] for step in steps], said.count("\n")) == (1, ["Failed"], 1)
    assert said.startswith(f"{tmp_path} is no run folder: ")
    assert "Traceback" not in said


def test_a_folder_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    status, _, said = labpipe("stage", str(tmp_path / "none"), "propose")

    assert (status, said) == (
        1,
        f"{tmp_path / 'none'} is no run folder: [Errno 2] No such file or directory: '{tmp_path / 'none' / 'run.json'}'\n",
    )


@pytest.mark.parametrize(
    ("recipe", "stage", "named"), [("nonsense", "propose", "'nonsense'"), ("contribution", "fly", "'fly'")]
)
def test_a_recipe_or_stage_that_there_is_not_is_told_in_a_sentence(
    tmp_path: Path, checkout: Path, recipe: str, stage: str, named: str
) -> None:
    status, steps, said = labpipe("stage", str(run_folder(tmp_path, checkout, recipe=recipe)), stage)

    assert (status, steps[-1]["facts"]["by"] in ("Invalid", "Failed"), "Traceback" in said) == (1, True, False)
    assert named in said


def test_files_that_are_gone_are_told_by_their_name(tmp_path: Path, checkout: Path) -> None:
    folder = run_folder(tmp_path, checkout)
    (folder / "entry" / "qna.yaml").unlink()
    status, steps, said = labpipe("stage", str(folder), "propose")

    assert (status, steps[-1]["facts"]["by"], "Traceback" in said) == (1, "Failed", False)
    assert "entry/qna.yaml" in said


@pytest.mark.parametrize("words", [(), ("run",), ("fly",)])
def test_a_command_that_there_is_not_is_told_with_its_usage(words: tuple[str, ...]) -> None:
    status, steps, said = labpipe(*words)

    assert (status, steps, said.splitlines()[0].startswith("usage: labpipe")) == (2, [], True)


def test_a_template_that_is_gone_is_told_by_its_name(tmp_path: Path, checkout: Path) -> None:
    folder = run_folder(tmp_path, checkout)
    run = json.loads((folder / "run.json").read_bytes())
    run["settings"]["propose"]["template"] = str(tmp_path / "gone.md")
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    status, steps, said = labpipe("stage", str(folder), "propose")
    cause = f"[Errno 2] No such file or directory: '{tmp_path / 'gone.md'}'"

    assert (status, steps[-1]["facts"], said) == (1, {"cause": cause, "by": "FileNotFoundError"}, f"{cause}\n")


# --- labpipe run


def by_hand(data: Path, *words: str, command: tuple[str, ...] = LABPIPE) -> tuple[int, list[dict[str, Any]], str]:
    """`labpipe run` in an installation of its own that knows no model."""
    places = {"LABBOT_DATA": str(data), "LABBOT_HOME": str(HOME)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LABBOT")}
    done = subprocess.run(
        [*command, "run", *words], cwd=HOME, env={**kept, **places}, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


ENTRY = """version: 3
created_by: alice-lab
task_description: Turn an order into a ticket
seed_examples:
""" + "".join(f"- question: order {n}\n  answer: 'item: {n}'\n" for n in range(5))
SIGNED = [f"--set={text}" for text in ("name=Al", "mail=al@lab.example", "signed_at=1767312000", "replaces=false")]


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    folder = tmp_path / "mine" / LEAF
    folder.mkdir(parents=True)
    (folder / "qna.yaml").write_text(ENTRY, encoding="utf-8")
    return folder


def test_an_entry_is_proposed_by_hand_without_redis_and_the_second_time_is_free(tmp_path: Path, entry: Path) -> None:
    words = ["contribution", str(entry), "--until", "propose", *SIGNED]
    first, second = (by_hand(tmp_path / "data", *words) for _ in range(2))
    commits = git(tmp_path / "data" / "taxonomy", "log", "--branches=labbot/*", "--format=%an %s", "--not", "main")

    assert (first[0], second[0], first[1][-1]) == (0, 0, second[1][-1])
    assert (len(first[1]), len(second[1]), commits) == (4, 2, "Al Add skill linguistics/order_tickets")
    assert not (tmp_path / "data" / "redis").exists()


def test_what_is_wrong_with_a_run_by_hand_is_told_before_it_begins(tmp_path: Path, entry: Path) -> None:
    tries = [
        ("contribution",),
        ("contribution", str(tmp_path / "none.yaml")),
        ("nonsense",),
        ("contribution", str(entry), "--until", "fly"),
        ("model", "--set", "tiny"),
    ]
    found = [by_hand(tmp_path / "data", *words) for words in tries]

    assert [(status, said) for status, said, _ in found] == [(2, [])] * 5
    assert [
        word in said for word, (_, _, said) in zip(("ENTRY", "none.yaml", "nonsense", "fly", "NAME=VALUE"), found, strict=True)
    ] == [True] * 5


def test_a_precheck_without_a_model_says_what_to_do(tmp_path: Path, entry: Path) -> None:
    status, steps, _ = by_hand(tmp_path / "data", "contribution", str(entry), "--until", "precheck")

    assert (status, steps[-1]["facts"]["code"], steps[-1]["facts"]["by"]) == (1, "precheck.no_model", "Invalid")


def test_by_hand_thumbs_lie_in_a_file_of_the_runs_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = ("one", "--folder", str(folder), "--set", "one=heard=")
    none = by_hand(tmp_path, *words, command=COMMAND)
    (folder / "thumbs.json").write_text('{"s2": "down", "s1": "up"}', encoding="utf-8")
    some = by_hand(tmp_path, *words[:-1], "one=heard=s1:up,s2:down", command=COMMAND)

    assert (none[0], some[0]) == (0, 0), (none, some)


@pytest.mark.parametrize("text", ["", "[]", '{"s1": "great"}', '{"s1": ["up"]}', "\udc80"])
def test_a_file_of_thumbs_that_is_none_is_told_by_its_name(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "thumbs.json").write_bytes(text.encode(errors="surrogatepass"))
    status, steps, said = by_hand(tmp_path, "one", "--folder", str(folder), "--set", "one=heard=", command=COMMAND)

    assert (status, steps[-1]["facts"]["code"], "Traceback" in said) == (1, "thumbs.unreadable", False)
    assert str(folder / "thumbs.json") in said
