"""What an operator types about runs, lanes and workers is done, shown in words, or refused with what to do."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline import recipe
from pipeline.embedded import Server
from pipeline.memory import Memory
from pipeline.pool.ledger import Ask, Ledger
from pipeline.runs import Runs
from tests.conftest import HOME
from tests.pipeline import pool, trial
from tests.pipeline.pool import told
from tests.pipeline.trial import COMMAND


class Operator:
    """Somebody at a shell of this installation."""

    def __init__(self, data: Path, url: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LABBOT")}
        self.environment = {**kept, "LABBOT_DATA": str(data), "LABBOT_REDIS_URL": url, "LABBOT_HOME": str(HOME)}

    async def __call__(self, *words: str) -> tuple[int, list[str], str]:
        """The status, the lines that were printed, and what was said on stderr."""
        command = [sys.executable, "-m", "pipeline", *words]
        given: dict[str, Any] = {"cwd": HOME, "env": self.environment, "capture_output": True, "text": True, "timeout": 60}
        done = await asyncio.to_thread(subprocess.run, command, check=False, **given)
        return done.returncode, done.stdout.splitlines(), done.stderr


@pytest.fixture
def labpipe(server: Server, tmp_path: Path) -> Operator:
    return Operator(tmp_path, server.url)


@pytest.fixture
def ledger(memory: Memory) -> Ledger:
    return Ledger(memory)


async def begin(ledger: Ledger, *runs: str) -> None:
    for run in runs:
        assert (await ledger.start(Ask(run, "one", "alice", ("one",))))[0] == "begun"


async def test_runs_are_listed_in_their_order_moved_up_and_cancelled(labpipe: Operator, ledger: Ledger) -> None:
    nothing = await labpipe("runs")
    await begin(ledger, "r1", "r2", "r3")
    up = await labpipe("runs", "up", "r3")
    listed = await labpipe("runs", "--json")
    cancelled = await labpipe("runs", "cancel", "r1")
    again = await labpipe("runs", "cancel", "r1")
    left = await labpipe("runs")

    assert nothing == (0, ["Nothing waits and nothing is carried."], "")
    assert up == (0, ["r3 is the next of its lane."], "")
    rows = [json.loads(line) for line in listed[1]]
    assert [(row["id"], row["position"], row["state"]) for row in rows] == [
        ("r3", 1, "waiting"),
        ("r1", 2, "waiting"),
        ("r2", 3, "waiting"),
    ]
    assert (cancelled[1], again[1]) == (["r1 is cancelled."], ["r1 has ended already: cancelled."])
    assert [line.split()[:2] for line in left[1]] == [["r3", "waiting"], ["r2", "waiting"]]


async def test_what_was_given_up_is_listed_with_its_cause(labpipe: Operator, ledger: Ledger) -> None:
    none = await labpipe("runs", "--dead")
    await begin(ledger, "r1", "r2")
    fence, _ = await ledger.claim("r1", "w1", 5.0) or (0, 0)
    await ledger.finish("r1", fence, "failed", {"cause": "the endpoint\x1b[2J is away"}, dead=True)
    dead = await labpipe("runs", "--dead")

    assert none[1] == ["No run was given up."]
    assert (len(dead[1]), dead[1][0].split()[:2], dead[1][0].endswith("the endpoint?[2J is away")) == (
        1,
        ["r1", "failed"],
        True,
    )


async def test_a_lane_is_paused_with_a_reason_and_resumed(labpipe: Operator, ledger: Ledger) -> None:
    await begin(ledger, "r1", "r2")
    await ledger.claim("r1", "w1", 5.0)
    paused = await labpipe("lane", "pause", "cpu", "a", "new", "driver")
    waits = (await ledger.look("cpu", 5))[0]
    resumed = await labpipe("lane", "resume", "cpu")

    assert (paused[1], waits) == (["cpu: 1 waiting, 1 carried, paused: a new driver", "gpu: 0 waiting, 0 carried"], [])
    assert (resumed[1][0], (await ledger.look("cpu", 5))[0]) == ("cpu: 1 waiting, 1 carried", ["r2"])


async def test_a_run_is_watched_to_its_end_which_is_the_status(
    labpipe: Operator, memory: Memory, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, stages in trial.RECIPES.items():
        monkeypatch.setitem(recipe.RECIPES, name, stages)
    door = Runs(memory, tmp_path / "runs", {})
    await door.start("good", "one", {}, person="alice")
    await door.start("bad", "one", {"one": "fail"}, person="alice")
    async with pool.carried(door, server.url, command=COMMAND):
        for run in ("good", "bad"):
            await told(door, run)
        good, bad = await labpipe("watch", "good"), await labpipe("watch", "bad")

    assert (good[0], good[1][-1]) == (0, "good: done. stage=one device=")
    assert (bad[0], bad[1][-1]) == (1, "bad: failed. stage=one cause=it is broken by=Failed")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("runs", "up", "none"), "no run 'none'"),
        (("runs", "cancel"), "no run None"),
        (("watch", "none"), "no run 'none'"),
        (("lane", "pause"), "pause which lane?"),
        (("drain", "none"), "no worker of that name: 'none'"),
        (("worker", "--device", "tpu"), "'tpu' is no device"),
    ],
)
async def test_what_there_is_not_is_refused_with_what_to_do(
    labpipe: Operator, memory: Memory, words: tuple[str, ...], said: str
) -> None:
    status, lines, error = await labpipe(*words)

    assert (status, lines, said in error, "Traceback" in error) == (2, [], True, False)


async def test_a_worker_whose_port_another_program_has_says_so_and_ends(labpipe: Operator, memory: Memory) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        status, _, error = await labpipe("worker", "--device", "cpu", "--http", f"127.0.0.1:{other.getsockname()[1]}")

    assert (status, "it cannot be had: Address already in use" in error, "Traceback" in error) == (2, True, False)
    assert [key async for key in memory.keys("worker:*")] == []


async def test_a_worker_tells_its_health_and_its_counts(labpipe: Operator, memory: Memory) -> None:
    command = [sys.executable, "-m", "pipeline", "worker", "--device", "cpu", "--http", "127.0.0.1:0"]
    environment = {**labpipe.environment, "LABBOT_LOG": "text"}
    with subprocess.Popen(command, cwd=HOME, env=environment, stderr=subprocess.PIPE, text=True) as worker:  # noqa: ASYNC220
        try:
            assert worker.stderr
            line = ""
            while "health and metrics answer at" not in line:
                line = await asyncio.to_thread(worker.stderr.readline)
            at = line.split("answer at ")[1].split()[0].rstrip(",")
            health = await _asked(at)
            metrics = await _asked(f"{at}/metrics")
        finally:
            worker.send_signal(signal.SIGTERM)

    assert (health[0], '"state":"ok"' in health[1]) == (0, True)
    assert (metrics[0], metrics[1].startswith("# HELP labbot_worker_info")) == (0, True)


async def _asked(at: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pipeline.http", at]
    done = await asyncio.to_thread(subprocess.run, command, cwd=HOME, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout
