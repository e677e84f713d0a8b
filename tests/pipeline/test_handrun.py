"""`labpipe run`, killed at any write and started again, ends as if nothing had happened."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import HOME


def done(*words: str) -> dict[str, Any]:
    """What `tests.faults.handrun` finds, in a process of its own: it forks, which a process with threads must not."""
    command = [sys.executable, "-m", "tests.faults.handrun", *words]
    ended = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)
    assert ended.stdout, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_a_run_by_hand_killed_at_every_seventeenth_point_loses_doubles_and_changes_nothing() -> None:
    found = done("--every", "17")

    assert found["differences"] == []
    assert found["rounds"] >= 5


@pytest.mark.faults
def test_a_run_by_hand_killed_at_every_point_loses_doubles_and_changes_nothing() -> None:
    found = done()

    assert found["differences"] == []
    assert found["rounds"] == 1 + found["points"]
