"""A run is started once, told step by step, stopped when asked, and finished whatever dies on the way."""

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pipeline.carrier import carry
from pipeline.embedded import Server
from pipeline.errors import Invalid
from pipeline.memory import Memory, connect
from pipeline.runs import ENDED, NEXT, Record, Runs, Step
from pipeline.taxonomy import SeedExample, Skill, Work
from tests.conftest import HOME, git

AT = 1767312000.0
BOUND_S = 30.0
LEAF = "compositional_skills/linguistics/order_tickets"
ENTRY = Skill(
    LEAF,
    "alice-lab",
    "Turn an order into a ticket",
    tuple(SeedExample(f"order {n}", f"item: {n}") for n in range(5)),
    (Work("Order tickets", "-", "CC-BY-SA-4.0", "alice-lab"),),
)
INPUTS = {"entry": ENTRY, "name": "Alice", "mail": "alice@lab.example", "signed_at": AT, "dco": "1.1", "replaces": False}
CARRIER = """
import asyncio, json, sys
from pathlib import Path
from pipeline.memory import connect
from pipeline.carrier import carry
from pipeline.runs import Runs
url, folder, settings = sys.argv[1:]
asyncio.run(carry(Runs(connect(url), Path(folder), json.loads(settings), look_s=0.01)))
"""


@pytest.fixture
def door(memory: Memory, tmp_path: Path, checkout: Path) -> Runs:
    place = {"path": str(checkout), "branch": "main", "template": str(HOME / "configs" / "pull.md")}
    return Runs(memory, tmp_path / "runs", {"propose": place}, clock=lambda: AT, look_s=0.01)


@asynccontextmanager
async def carried(*doors: Runs, at_once: int = 2) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(carry(door, at_once)) for door in doors]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def start(door: Runs, key: str = "d1.1", person: str = "alice", entry: Skill = ENTRY) -> str:
    return await door.start(key, "contribution", {**INPUTS, "entry": entry}, person=person, until="propose")


async def told(door: Runs, key: str = "d1.1", after: int = -1, last: tuple[str, ...] = ENDED) -> list[Step]:
    """The steps of a run after a number, up to the first whose state is one of `last`."""
    steps = []
    async with asyncio.timeout(BOUND_S), aclosing(door.watch(key, after)) as watched:  # type: ignore[type-var]
        async for step in watched:
            steps.append(step)
            if step.state in last:
                return steps
    raise AssertionError("a watch ended by itself")


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not holds():
            await asyncio.sleep(0.01)


async def lane(door: Runs) -> list[str]:
    return [row.decode() for row in await door.memory.do("ZRANGE", "lane:cpu", 0, -1)]


def commits(checkout: Path, branch: str = "labbot/order_tickets-d1") -> int:
    return len(git(checkout, "for-each-ref", f"refs/heads/{branch}")) and int(
        git(checkout, "rev-list", "--count", f"main..{branch}")
    )


def put_git(folder: Path, monkeypatch: pytest.MonkeyPatch, act: str, at: str = "update-ref") -> None:
    """Put a git on the path that does something of its own before the command that a proposal ends with."""
    real = shutil.which("git")
    folder.mkdir(exist_ok=True)
    text = f'#!/bin/sh\ncase "$*" in *{at}*)\n{act}\n;; esac\nexec {real} "$@"\n'
    (folder / "git").write_text(text, encoding="utf-8")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: Path) -> Path:
    """A folder: git writes its process there as `in-PID`, and goes on when there is a file `go`."""
    folder = tmp_path / "gate"
    act = f"touch '{folder}'/in-$$\nwhile [ ! -e '{folder}/go' ]; do sleep 0.02; done"
    put_git(folder, monkeypatch, act)
    return folder


def inside(gate: Path) -> list[int]:
    return [int(path.name.removeprefix("in-")) for path in gate.glob("in-*")]


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


# --- a run from its start to its end


async def test_a_run_waits_runs_and_is_done_with_steps_numbered_without_gaps(door: Runs, checkout: Path) -> None:
    key = await start(door)
    async with carried(door):
        steps = await told(door)
    commit = git(checkout, "rev-parse", "labbot/order_tickets-d1")[:12]
    at = {"stage": "propose"}
    made = {**at, "branch": "labbot/order_tickets-d1", "commit": commit, "pull": "runs/d1.1/pull.md"}

    assert key == "d1.1"
    assert steps == [
        Step(0, "waiting", AT),
        Step(1, "running", AT),
        Step(2, "running", AT, "propose", 0.0, at),
        Step(3, "running", AT, "", 0.3, at),
        Step(4, "running", AT, "", 0.8, at),
        Step(5, "running", AT, "propose", 1.0, made),
        Step(6, "done", AT, facts=made),
    ]
    assert await door.status(key) == Record(key, "contribution", "alice", "done", 6, "propose", 1.0, made)
    assert (await lane(door), commits(checkout)) == ([], 1)


async def test_a_watcher_that_comes_back_hears_what_it_has_not_heard(door: Runs) -> None:
    await start(door)
    async with carried(door):
        whole = await told(door)

    assert await told(door, after=3) == whole[4:]


async def test_a_run_is_laid_out_in_a_folder_of_its_owner(door: Runs) -> None:
    await start(door)
    folder = door.folder / "d1.1"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    texts = {name: value for name, value in INPUTS.items() if name != "entry"}

    assert (found, stat.S_IMODE(folder.stat().st_mode)) == (
        {"run.json", "entry/qna.yaml", "entry/attribution.txt"},
        0o700,
    )
    assert json.loads((folder / "run.json").read_bytes()) == {
        "id": "d1.1",
        "recipe": "contribution",
        "person": "alice",
        "until": "propose",
        "inputs": {**texts, "leaf": LEAF, "root": "compositional_skills", "description": ENTRY.description},
        "settings": dict(door.settings),
    }


async def test_the_same_key_starts_once(door: Runs, checkout: Path) -> None:
    await asyncio.gather(*(start(door) for _ in range(5)))
    waiting = await lane(door)
    async with carried(door):
        steps = await told(door)
    await start(door)

    assert (waiting, await lane(door), commits(checkout)) == (["d1.1"], [], 1)
    assert await told(door) == steps


class SlowToClear(Memory):
    """A memory that clears a lane late, if it is asked to."""

    async def do(self, *words: Any) -> Any:
        if words[0] == "ZREM":
            await self.again.wait()
        return await super().do(*words)

    again: asyncio.Event


async def test_a_run_that_is_started_again_as_soon_as_it_failed_stays_in_its_lane(
    door: Runs, checkout: Path, server: Server
) -> None:
    slow = SlowToClear(connect(server.url).redis)
    slow.again = asyncio.Event()
    checkout.rename(checkout.with_name("away"))  # noqa: ASYNC240, a moment
    await start(door)
    async with carried(Runs(slow, door.folder, door.settings, clock=lambda: AT, look_s=0.01)):
        failed = (await told(door))[-1]
        checkout.with_name("away").rename(checkout)
        await start(door)
        waiting = await lane(door)
        slow.again.set()
        last = (await told(door, after=failed.number))[-1]
    await slow.close()

    assert (failed.state, waiting, last.state, await lane(door)) == ("failed", ["d1.1"], "done", [])


async def test_an_entry_that_cannot_be_written_starts_no_run(door: Runs) -> None:
    entry = Skill(LEAF, "me", "a\0b", ENTRY.examples, ENTRY.works)
    with pytest.raises(Invalid):
        await start(door, entry=entry)

    assert (await door.status("d1.1"), await lane(door)) == (None, [])


async def test_a_failed_run_says_why_and_can_be_started_again(door: Runs, checkout: Path) -> None:
    checkout.rename(checkout.with_name("away"))  # noqa: ASYNC240, a moment
    await start(door)
    async with carried(door):
        failed = (await told(door))[-1]
        checkout.with_name("away").rename(checkout)
        await start(door)
        again = await told(door, after=failed.number)

    cause = f"{checkout}: the taxonomy folder is not there Set taxonomy.path."
    told_facts = {"stage": "propose", "code": "checkout.missing", "cause": cause, "by": "Invalid"}
    assert failed == Step(failed.number, "failed", AT, facts=told_facts)
    assert [step.state for step in again] == ["waiting", *["running"] * 5, "done"]
    assert [step.number for step in again] == list(range(failed.number + 1, failed.number + 8))
    assert commits(checkout) == 1


async def test_a_run_whose_folder_is_gone_says_so(door: Runs) -> None:
    await start(door)
    shutil.rmtree(door.folder / "d1.1")
    async with carried(door):
        last = (await told(door))[-1]

    assert last == Step(1, "failed", AT, facts={"cause": "the folder of run d1.1 is gone"})


async def test_no_more_runs_are_carried_at_once_than_allowed(door: Runs, gate: Path, checkout: Path) -> None:
    for number in range(3):
        await start(door, f"d{number}.1")
    async with carried(door, at_once=2):
        await until(lambda: len(inside(gate)) == 2)
        states = [record.state for number in range(3) if (record := await door.status(f"d{number}.1"))]
        (gate / "go").touch()
        ends = [(await told(door, f"d{number}.1"))[-1].state for number in range(3)]

    assert (sorted(states), ends) == (["running", "running", "waiting"], ["done"] * 3)


# --- cancelling


async def test_a_run_that_waits_is_cancelled_at_once_and_never_carried(door: Runs, checkout: Path) -> None:
    await start(door)
    await door.cancel("d1.1", "bob")
    steps = await told(door)
    async with carried(door):
        await start(door, "d2.1")
        await told(door, "d2.1")

    assert steps == [
        Step(0, "waiting", AT),
        Step(1, "stopping", AT, facts={"by": "bob"}),
        Step(2, "cancelled", AT, facts={"by": "bob"}),
    ]
    assert (await told(door), await lane(door), commits(checkout)) == (steps, [], 0)


async def test_a_run_that_is_carried_is_stopped_with_everything_it_started(door: Runs, gate: Path, checkout: Path) -> None:
    await start(door)
    async with carried(door):
        await until(lambda: inside(gate))
        await door.cancel("d1.1", "bob")
        steps = await told(door)
        await until(lambda: not any(map(alive, inside(gate))))
        (gate / "go").touch()
        stopped = commits(checkout)
        await start(door)
        again = await told(door, after=steps[-1].number)

    assert [(step.state, step.facts.get("by")) for step in steps[-2:]] == [("stopping", "bob"), ("cancelled", "bob")]
    assert (stopped, again[-1].state, commits(checkout)) == (0, "done", 1)


class Late(Runs):
    """A door whose caller is slow: what it has read is old when it writes."""

    after_reading: Callable[[], Any]

    async def status(self, run: str) -> Record | None:
        record = await super().status(run)
        await self.after_reading()
        return record


async def test_a_run_that_is_taken_while_it_is_cancelled_is_stopped_all_the_same(
    door: Runs, gate: Path, checkout: Path
) -> None:
    late = Late(door.memory, door.folder, door.settings, clock=lambda: AT, look_s=0.01)
    late.after_reading = lambda: until(lambda: inside(gate))
    await start(door)
    async with carried(door):
        await late.cancel("d1.1", "bob")
        steps = await told(door)
        await until(lambda: not any(map(alive, inside(gate))))
        (gate / "go").touch()

    assert [step.state for step in steps[-3:]] == ["running", "stopping", "cancelled"]
    assert commits(checkout) == 0


@pytest.mark.parametrize("state", ENDED)
async def test_a_run_that_has_ended_stays_as_it_is(door: Runs, state: str) -> None:
    record = Record("x", "contribution", "alice", state, 7)
    await door.memory.do("SET", "run:x", json.dumps(asdict(record)))
    await door.cancel("x", "bob")
    await door.cancel("none", "bob")

    assert (await door.status("x"), await door.status("none")) == (record, None)


# --- the table of states


@pytest.mark.parametrize("state", NEXT)
@pytest.mark.parametrize("to", NEXT)
async def test_a_step_is_recorded_if_and_only_if_the_table_allows_it(door: Runs, state: str, to: str) -> None:
    record = Record("x", "contribution", "alice", state, 7, facts={"a": "b"})
    await door.memory.do("SET", "run:x", json.dumps(asdict(record)))
    done = await door.step("x", to)
    steps = await door.memory.do("XLEN", "run:x:steps")
    after = Record("x", "contribution", "alice", to, 8, facts={"a": "b"})

    assert done == (to in NEXT[state])
    assert (await door.status("x"), steps) == ((after, 1) if to in NEXT[state] else (record, 0))


async def test_a_run_that_there_is_not_takes_no_step(door: Runs) -> None:
    assert (await door.step("none", "running"), await door.status("none")) == (False, None)


async def test_steps_written_at_the_same_time_are_numbered_without_gaps(door: Runs) -> None:
    await start(door)
    await asyncio.gather(*(door.step("d1.1", "running", fraction=n / 100) for n in range(20)))
    await door.step("d1.1", "done")
    steps = await told(door)

    assert [step.number for step in steps] == list(range(22))
    assert sorted(step.fraction for step in steps[1:-1]) == [n / 100 for n in range(20)]


# --- what dies on the way


async def test_a_carrier_that_is_killed_leaves_a_run_that_the_next_one_finishes(
    door: Runs, gate: Path, checkout: Path, server: Server
) -> None:
    await start(door)
    words = [server.url, str(door.folder), json.dumps(door.settings)]
    with subprocess.Popen([sys.executable, "-c", CARRIER, *words], cwd=HOME) as carrier:  # noqa: ASYNC220
        try:
            await until(lambda: inside(gate))
        finally:
            carrier.kill()
    async with carried(door):
        (gate / "go").touch()
        steps = await told(door)

    assert (steps[-1].state, commits(checkout), await lane(door)) == ("done", 1, [])
    assert [step.number for step in steps] == list(range(len(steps)))


async def test_what_a_killed_carrier_began_is_over_before_another_begins(door: Runs, gate: Path, server: Server) -> None:
    await start(door)
    words = [server.url, str(door.folder), json.dumps(door.settings)]
    with subprocess.Popen([sys.executable, "-c", CARRIER, *words], cwd=HOME) as carrier:  # noqa: ASYNC220
        try:
            await until(lambda: inside(gate))
        finally:
            carrier.kill()
    before = await door.status("d1.1")
    looks = Looks(door)
    async with carried(looks):
        await until(lambda: looks.times > 20)
        meanwhile = (len(inside(gate)), await door.status("d1.1"))
        (gate / "go").touch()
        last = (await told(door))[-1]

    assert (meanwhile, last.state) == ((1, before), "done")


class Looks(Runs):
    """A door that counts how often its carrier looked at a run."""

    def __init__(self, door: Runs) -> None:
        super().__init__(door.memory, door.folder, door.settings, clock=door.clock, look_s=door.look_s)
        self.times = 0

    async def status(self, run: str) -> Record | None:
        self.times += 1
        return await super().status(run)


async def test_two_carriers_do_not_carry_one_run_at_once(door: Runs, gate: Path, checkout: Path, server: Server) -> None:
    memory = connect(server.url)
    other = Looks(Runs(memory, door.folder, door.settings, clock=lambda: AT, look_s=0.01))
    ours = Looks(door)
    await start(door)
    async with carried(ours, other):
        await until(lambda: inside(gate) and ours.times > 20 and other.times > 20)
        (gate / "go").touch()
        steps = await told(door)
    await memory.close()

    assert [step.state for step in steps] == ["waiting", *["running"] * 5, "done"]
    assert (len(inside(gate)), commits(checkout)) == (1, 1)


async def test_a_carrier_that_is_shut_down_ends_its_child_and_the_next_one_finishes_the_run(
    door: Runs, gate: Path, checkout: Path
) -> None:
    await start(door)
    async with carried(door):
        await until(lambda: inside(gate))
    left = [pid for pid in inside(gate) if alive(pid)]
    (gate / "go").touch()
    async with carried(door):
        last = (await told(door))[-1]

    assert (left, last.state, commits(checkout)) == ([], "done", 1)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
async def test_a_child_that_dies_by_a_signal_is_told_as_the_cause(
    door: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: Path, sign: signal.Signals
) -> None:
    put_git(tmp_path / "bin", monkeypatch, f"kill -{sign.value} $PPID")
    await start(door)
    async with carried(door):
        last = (await told(door))[-1]

    assert (last.state, last.facts) == (
        "failed",
        {"stage": "propose", "cause": f"its process ended with signal {sign.value}"},
    )


async def test_a_child_that_takes_too_long_is_ended_and_told(door: Runs, gate: Path, checkout: Path) -> None:
    slow = Runs(door.memory, door.folder, door.settings, timeout_s=1.0, clock=lambda: AT, look_s=0.01)
    await start(slow)
    async with carried(slow):
        last = (await told(slow))[-1]
        await until(lambda: inside(gate) and not any(map(alive, inside(gate))))

    assert (last.state, last.facts) == ("failed", {"cause": "it took longer than 1 s"})
    assert commits(checkout) == 0


@pytest.mark.parametrize(
    "noise", ["echo hello", "echo []", "echo 3", "echo '{\"stage\"'", "head -c 3000000 /dev/zero | tr '\\0' x; echo"]
)
async def test_what_a_library_prints_in_a_child_is_passed_over(
    door: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: Path, noise: str
) -> None:
    put_git(tmp_path / "bin", monkeypatch, f"({noise}) > /proc/$PPID/fd/1")
    await start(door)
    async with carried(door):
        steps = await told(door)

    assert [step.state for step in steps] == ["waiting", *["running"] * 5, "done"]


async def test_a_run_that_goes_wrong_in_any_other_way_fails_alone(door: Runs, caplog: pytest.LogCaptureFixture) -> None:
    await start(door)
    await start(door, "d2.1")
    in_the_way = door.folder / "d1.1" / "stderr.txt"
    in_the_way.mkdir()
    async with carried(door):
        ends = [(await told(door, key))[-1] for key in ("d1.1", "d2.1")]

    assert [end.state for end in ends] == ["failed", "done"]
    assert ends[0].facts == {"cause": f"IsADirectoryError: [Errno 21] Is a directory: '{in_the_way}'"}
    assert [record.message for record in caplog.records if record.name == "labpipe"] == ["run d1.1"]


async def test_a_run_goes_on_while_redis_is_away(door: Runs, gate: Path, checkout: Path, server: Server) -> None:
    await start(door)
    async with carried(door):
        await until(lambda: inside(gate))
        server.down()
        try:
            (gate / "go").touch()
            await until(lambda: commits(checkout))
        finally:
            server.up()
        steps = await told(door)

    assert [step.state for step in steps] == ["waiting", *["running"] * 5, "done"]


# --- refused, exported, forgotten


async def test_a_run_that_could_not_be_started_is_told_to_whoever_watches(door: Runs) -> None:
    await door.refuse("d1.1", "no room")

    assert await told(door) == [Step(0, "waiting", AT), Step(1, "failed", AT, facts={"cause": "no room"})]
    assert await lane(door) == []


async def test_a_refused_run_can_be_started_later(door: Runs, checkout: Path) -> None:
    await door.refuse("d1.1", "no room")
    await start(door)
    async with carried(door):
        last = (await told(door, after=1))[-1]

    assert (last.state, commits(checkout)) == ("done", 1)
    assert list(await door.export("alice")) == ["d1.1"]


async def test_refusing_a_run_that_is_done_changes_nothing(door: Runs) -> None:
    record = Record("x", "contribution", "alice", "done", 7)
    await door.memory.do("SET", "run:x", json.dumps(asdict(record)))
    await door.refuse("x", "no room")

    assert await door.status("x") == record


async def test_forgetting_takes_out_what_has_ended_and_names_what_goes_on(door: Runs, checkout: Path) -> None:
    await start(door, "d1.1")
    await start(door, "d3.1", person="bob")
    async with carried(door):
        await told(door, "d1.1")
        await told(door, "d3.1")
    await start(door, "d2.1")
    left = await door.forget("alice")
    keys = sorted([key async for key in door.memory.keys("*")])

    assert left == ["d2.1"]
    assert keys == ["lane:cpu", "run:d2.1", "run:d2.1:steps", "run:d3.1", "run:d3.1:steps"]
    assert sorted(path.name for path in door.folder.iterdir()) == ["d2.1", "d3.1"]


async def test_an_export_has_every_run_of_a_person_and_of_nobody_else(door: Runs) -> None:
    await start(door, "d1.1")
    await start(door, "d2.1")
    await door.cancel("d2.1", "alice")
    await start(door, "d3.1", person="bob")
    mine = {key: await door.status(key) for key in ("d1.1", "d2.1")}

    found = await door.export("alice")
    assert {key: {**one, "files": sorted(one["files"])} for key, one in found.items()} == {
        key: {**asdict(record), "files": ["entry/attribution.txt", "entry/qna.yaml", "run.json"]}
        for key, record in mine.items()
        if record
    }
    assert found["d1.1"]["files"]["entry/qna.yaml"].startswith("version: 3\n")
    assert await door.export("carol") == {}


async def test_a_record_is_kept_for_thirty_days(door: Runs) -> None:
    await start(door)
    left = [await door.memory.do("TTL", key) for key in ("run:d1.1", "run:d1.1:steps")]

    assert all(30 * 86_400 - 60 <= seconds <= 30 * 86_400 for seconds in left)


async def test_a_run_that_is_refused_again_after_it_had_ended_says_so_again(memory: Memory, tmp_path: Path) -> None:
    runs = Runs(memory, tmp_path / "runs", {})
    await runs.refuse("k7.1", "no room")
    first = await runs.status("k7.1")
    await runs.refuse("k7.1", "still no room")
    second = await runs.status("k7.1")

    assert first and second and first.number < second.number
    assert (second.state, second.facts) == ("failed", {"cause": "still no room"})
