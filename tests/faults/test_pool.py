"""The pool under kill -9, stops, cuts and restarts: every run comes to its one right end, whoever dies on the way."""

import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HOME = Path(__file__).resolve().parent.parent.parent


def played(*words: str) -> dict[str, Any]:
    """What `tests.faults.pool` finds, in a process of its own, which has the proxies and no test beside it."""
    command = [sys.executable, "-m", "tests.faults.pool", *words]
    ended = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)
    assert ended.stdout, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    assert found["wrong"] == [], f"{found}\n{ended.stderr[-6000:]}"
    return found


def test_runs_of_a_few_rounds_come_to_their_right_ends_whatever_dies() -> None:
    seed = str(secrets.randbits(31))
    assert played("--rounds", "5", "--runs", "8", "--within", "1", "--seed", seed, "--first", "1")["rounds"] == 5


@pytest.mark.faults
def test_five_thousand_runs_of_two_hundred_rounds_come_to_their_right_ends_whatever_dies() -> None:
    found = played("--rounds", "200")

    assert (found["rounds"], found["runs"]) == (200, 5000)
    assert found["noticed_s"] <= 4 * 0.5  # two leases, where the machine has nothing else to do
    assert max(found["back_s"], found["front_back_s"]) <= 5.0
