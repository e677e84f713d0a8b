"""The making of a set survives kill -9 at any write and request: the same files, and nothing is asked twice."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HOME = Path(__file__).resolve().parent.parent.parent


def done(*words: str) -> dict[str, Any]:
    """What `tests.faults.generating` finds, in a process of its own: it forks, which a process with threads must not."""
    command = [sys.executable, "-m", "tests.faults.generating", *words]
    ended = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)
    assert ended.stdout, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_a_set_whose_making_is_killed_at_a_few_points_has_the_files_of_an_undisturbed_one() -> None:
    found = done("--every", "173", "--kinds", "grounded")

    assert found["differences"] == []
    assert found["rounds"] >= 3


@pytest.mark.faults
def test_a_set_whose_making_is_killed_at_any_point_has_the_files_of_an_undisturbed_one() -> None:
    found = done()

    assert found["differences"] == []
    assert found["points"].keys() == {"freeform", "grounded", "knowledge"}
    assert found["rounds"] >= 0.8 * sum(found["points"].values())  # how many there are changes a little with what comes when
