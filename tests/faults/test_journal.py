"""A stage's logs survive kill -9 at any write, and what a late writer adds never counts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HOME = Path(__file__).resolve().parent.parent.parent


def done(*words: str) -> dict[str, Any]:
    """What `tests.faults.journal` finds, in a process of its own: it forks, which a process with threads must not."""
    command = [sys.executable, "-m", "tests.faults.journal", *words]
    ended = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)
    assert ended.stdout, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_a_stage_killed_at_every_seventeenth_point_of_its_logs_loses_doubles_and_changes_nothing() -> None:
    found = done("--every", "17")

    assert found["differences"] == []
    assert found["rounds"] >= 20


@pytest.mark.faults
def test_a_stage_killed_at_every_point_of_its_logs_loses_doubles_and_changes_nothing() -> None:
    found = done()

    assert found["differences"] == []
    assert found["rounds"] == 1 + 3 * found["points"]
