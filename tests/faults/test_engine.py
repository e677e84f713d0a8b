"""The engine under a crowd, under cancels, with too few cells, and closed in the middle: it lives, and nothing is left over."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HOME = Path(__file__).resolve().parent.parent.parent


def done(*words: str, seed: int = 0) -> dict[str, Any]:
    """What `tests.faults.engine` finds, in a process of its own: llama.cpp ends the process where something is wrong."""
    command = [sys.executable, "-m", "tests.faults.engine", *words, "--seed", str(seed)]
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}  # as `labpipe serve` has it
    ended = subprocess.run(command, cwd=HOME, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{' '.join(command)} ended with {ended.returncode}: {ended.stderr[-3000:]}"
    found: dict[str, Any] = json.loads(ended.stdout)
    assert found["wrong"] == [], f"{' '.join(command)}: {found}"
    return found


def test_sixty_four_threads_that_ask_for_anything_all_get_their_end() -> None:
    assert done("crowd", "--times", "3")["asked"] == 3 * 64


def test_chats_that_come_and_go_leave_no_cells_and_no_memory_behind() -> None:
    found = done("chats", "--times", "1")

    assert found["asked"] == 3 * 200
    assert found["reasons"]["cancelled"] > 100 < found["asked"] - found["reasons"]["cancelled"]


def test_answers_that_were_put_back_for_cells_go_on_as_if_they_were_alone() -> None:
    assert done("storm", "--times", "5")["put_back"] > 0


def test_an_engine_that_is_closed_in_the_middle_ends_every_answer() -> None:
    assert done("closed", "--times", "3")["reasons"]["failed"] >= 64


@pytest.mark.faults
def test_sixty_four_threads_ask_for_a_minute() -> None:
    done("crowd", "--seconds", "60", seed=secrets.randbits(31))


@pytest.mark.faults
def test_thousands_of_chats_leave_nothing_behind() -> None:
    done("chats", "--times", "20", seed=secrets.randbits(31))


@pytest.mark.faults
def test_many_answers_are_put_back_again_and_again() -> None:
    assert done("storm", "--times", "20", seed=secrets.randbits(31))["put_back"] > 0


@pytest.mark.faults
def test_an_engine_can_be_closed_at_any_moment() -> None:
    done("closed", "--times", "40", seed=secrets.randbits(31))
