"""A drafting session survives kill -9 at any write: same file, same commit, each answer once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent.parent


def killed(*words: str) -> dict[str, object]:
    """What `tests.faults.kill` finds, in a process of its own: it forks, which a process with threads must not."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.kill", *words], cwd=HOME, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_session_killed_at_every_thirty_seventh_write_ends_as_an_undisturbed_one() -> None:
    found = killed("--every", "37")

    assert found["differences"] == []
    assert isinstance(found["rounds"], int) and found["rounds"] >= 8


@pytest.mark.faults
def test_a_session_killed_at_every_write_ends_as_an_undisturbed_one() -> None:
    assert killed()["differences"] == []
