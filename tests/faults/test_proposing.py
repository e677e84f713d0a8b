"""A proposal survives kill -9 between any two calls of GitHub's: one pull request, one commit; so do answer and withdrawal."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.proposing import KINDS

HOME = Path(__file__).resolve().parent.parent.parent


def done(*words: str) -> dict[str, Any]:
    """What `tests.faults.proposing` finds, in a process of its own: it forks, which a process with threads must not."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.proposing", *words], cwd=HOME, capture_output=True, text=True, check=False
    )
    assert ended.stdout, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_a_proposal_that_is_killed_at_a_few_points_is_one_pull_request_with_one_commit() -> None:
    found = done("--every", "31")

    assert found["differences"] == []
    assert all(found[kind]["rounds"] >= 2 for kind in KINDS)


@pytest.mark.faults
def test_a_proposal_that_is_killed_at_any_point_is_one_pull_request_with_one_commit() -> None:
    found = done()

    assert found["differences"] == []
    assert all(found[kind]["rounds"] >= 2 * found[kind]["points"] for kind in KINDS)
