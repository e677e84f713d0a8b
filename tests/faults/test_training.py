"""A training survives kill -9 at any write and step: the same adapter, bit for bit."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HOME = Path(__file__).resolve().parent.parent.parent


def done(*words: str) -> dict[str, Any]:
    """What `tests.faults.training` finds, in a process of its own: it forks, which a process with threads must not."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.training", *words], cwd=HOME, capture_output=True, text=True, check=False
    )
    assert ended.stdout, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_a_training_that_is_killed_at_a_few_points_leaves_what_an_undisturbed_one_does() -> None:
    found = done("--every", "41")

    assert found["differences"] == []
    assert found["rounds"] >= 3


@pytest.mark.faults
def test_a_training_that_is_killed_at_any_point_leaves_what_an_undisturbed_one_does() -> None:
    found = done()

    assert found["differences"] == []
    assert found["rounds"] >= found["points"]
