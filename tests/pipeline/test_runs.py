"""A run is started once, told step by step, stopped when asked, and finished whatever dies on the way."""

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest

from pipeline import recipe
from pipeline.embedded import Server
from pipeline.errors import Failed, Invalid
from pipeline.memory import Memory
from pipeline.models.child import how
from pipeline.pool.worker import Pool
from pipeline.runs import Record, Runs, Step
from pipeline.taxonomy import SeedExample, Skill, Work
from tests.conftest import HOME, git
from tests.pipeline import pool
from tests.pipeline.pool import until

AT = 1767312000.0
LEAF = "compositional_skills/linguistics/order_tickets"
ENTRY = Skill(
    LEAF,
    "alice-lab",
    "Turn an order into a ticket",
    tuple(SeedExample(f"order {n}", f"item: {n}") for n in range(5)),
    (Work("Order tickets", "-", "CC-BY-SA-4.0", "alice-lab"),),
)
INPUTS = {"entry": ENTRY, "name": "Alice", "mail": "alice@lab.example", "signed_at": AT, "dco": "1.1", "replaces": False}
WORKER = """
import asyncio, json, sys
from pathlib import Path
from pipeline.pool.terms import Terms
from pipeline.pool.worker import Pool
url, folder, settings = sys.argv[1:]
asyncio.run(Pool(url, Path(folder), json.loads(settings), {"cpu": 2}, Terms(lease_s=0.5)).serve())
"""


@pytest.fixture
def door(memory: Memory, tmp_path: Path, checkout: Path) -> Runs:
    place = {"path": str(checkout), "branch": "main", "template": str(HOME / "configs" / "pull.md")}
    return Runs(memory, tmp_path / "runs", {"propose": place}, clock=lambda: AT)


Carried = Callable[..., AbstractAsyncContextManager[Pool]]


@pytest.fixture
def carried(door: Runs, server: Server) -> Carried:
    """A worker that serves until the block ends."""
    return partial(pool.carried, door, server.url)


async def start(door: Runs, key: str = "d1.1", person: str = "alice", entry: Skill = ENTRY) -> str:
    return await door.start(key, "contribution", {**INPUTS, "entry": entry}, person=person, until="propose")


async def told(door: Runs, key: str = "d1.1", after: int = -1) -> list[Step]:
    return await pool.told(door, key, after)


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


async def test_a_run_waits_runs_and_is_done_with_steps_numbered_without_gaps(
    door: Runs, carried: Carried, checkout: Path
) -> None:
    key = await start(door)
    async with carried() as worker:
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
    assert await door.status(key) == Record(
        **{"id": key, "recipe": "contribution", "person": "alice", "state": "done", "number": 6, "facts": made},
        **{"wanted": ("propose",), "did": ("propose",), "stage": "propose", "fence": 1, "tries": 1},
        **{"worker": worker.name, "asked": AT, "claimed": AT},
    )
    assert (await lane(door), commits(checkout)) == ([], 1)


async def test_a_watcher_that_comes_back_hears_what_it_has_not_heard(door: Runs, carried: Carried) -> None:
    await start(door)
    async with carried():
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
        "inputs": {**texts, "leaf": LEAF, "root": "compositional_skills", "description": ENTRY.description},
        "settings": dict(door.settings),
    }


async def test_the_same_key_starts_once(door: Runs, carried: Carried, checkout: Path) -> None:
    await asyncio.gather(*(start(door) for _ in range(5)))
    waiting = await lane(door)
    async with carried():
        steps = await told(door)
    await start(door)

    assert (waiting, await lane(door), commits(checkout)) == (["d1.1"], [], 1)
    assert await told(door) == steps


async def test_a_run_that_is_started_again_as_soon_as_it_failed_stays_in_its_lane(
    door: Runs, carried: Carried, checkout: Path
) -> None:
    checkout.rename(checkout.with_name("away"))  # noqa: ASYNC240, a moment
    await start(door)
    async with carried():
        failed = (await told(door))[-1]
        checkout.with_name("away").rename(checkout)
        await start(door)
        last = (await told(door, after=failed.number))[-1]

    assert (failed.state, last.state, await lane(door)) == ("failed", "done", [])


async def test_an_entry_that_cannot_be_written_starts_no_run(door: Runs) -> None:
    entry = Skill(LEAF, "me", "a\0b", ENTRY.examples, ENTRY.works)
    with pytest.raises(Invalid):
        await start(door, entry=entry)

    assert (await door.status("d1.1"), await lane(door)) == (None, [])


async def test_a_failed_run_says_why_and_can_be_started_again(door: Runs, carried: Carried, checkout: Path) -> None:
    checkout.rename(checkout.with_name("away"))  # noqa: ASYNC240, a moment
    await start(door)
    async with carried():
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


async def test_a_run_whose_folder_is_gone_says_so(door: Runs, carried: Carried) -> None:
    await start(door)
    shutil.rmtree(door.folder / "d1.1")
    async with carried():
        last = (await told(door))[-1]

    assert last == Step(2, "failed", AT, facts={"cause": "the folder of run d1.1 is gone"})


async def test_no_more_runs_are_carried_at_once_than_allowed(door: Runs, carried: Carried, gate: Path, checkout: Path) -> None:
    for number in range(3):
        await start(door, f"d{number}.1")
    async with carried(at_once=2):
        await until(lambda: len(inside(gate)) == 2)
        states = [record.state for number in range(3) if (record := await door.status(f"d{number}.1"))]
        (gate / "go").touch()
        ends = [(await told(door, f"d{number}.1"))[-1].state for number in range(3)]

    assert (sorted(states), ends) == (["running", "running", "waiting"], ["done"] * 3)


# --- what people think of samples


async def test_a_thumb_is_kept_for_what_can_be_a_sample_of_a_run_that_there_is(door: Runs) -> None:
    await start(door)
    samples = ["3f2a", "a" * 64, "a" * 65, "", "a b", "a\n", "../x", "é"]
    said = [await door.rate("d1.1", sample, "up", "alice") for sample in samples]
    other = await door.rate("d9.1", "3f2a", "up", "alice")

    assert (said, other) == ([True, True, *[False] * 6], False)
    assert await door.thumbs("d1.1") == {"3f2a": "up", "a" * 64: "up"}


async def test_forgetting_somebody_takes_their_thumbs_out_of_everybodys_runs(door: Runs) -> None:
    await start(door)
    await start(door, "d2.1", person="bob")
    for run, sample, person in (("d1.1", "s1", "alice"), ("d1.1", "s2", "bob"), ("d2.1", "s3", "bob"), ("d2.1", "s4", "alice")):
        await door.rate(run, sample, "down", person)
    given = await door.thumbed("bob")
    await door.cancel("d2.1", "bob")
    await door.forget("bob")
    keys = [key async for key in door.memory.keys("run:*:thumbs")]

    assert given == {"d1.1": {"s2": "down"}, "d2.1": {"s3": "down"}}
    assert (await door.thumbs("d1.1"), await door.thumbed("bob"), keys) == ({"s1": "down"}, {}, ["run:d1.1:thumbs"])


# --- cancelling


async def test_a_run_that_waits_is_cancelled_at_once_and_never_carried(door: Runs, carried: Carried, checkout: Path) -> None:
    await start(door)
    await door.cancel("d1.1", "bob")
    steps = await told(door)
    async with carried():
        await start(door, "d2.1")
        await told(door, "d2.1")

    assert steps == [
        Step(0, "waiting", AT),
        Step(1, "stopping", AT, facts={"by": "bob"}),
        Step(2, "cancelled", AT, facts={"by": "bob"}),
    ]
    assert (await told(door), await lane(door), commits(checkout)) == (steps, [], 0)


async def test_a_run_that_is_carried_is_stopped_with_everything_it_started(
    door: Runs, carried: Carried, gate: Path, checkout: Path
) -> None:
    await start(door)
    async with carried():
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


# --- what dies on the way


async def test_a_worker_that_is_killed_leaves_a_run_that_the_next_one_finishes(
    door: Runs, carried: Carried, gate: Path, checkout: Path, server: Server
) -> None:
    await start(door)
    words = [server.url, str(door.folder), json.dumps(door.settings)]
    with subprocess.Popen([sys.executable, "-c", WORKER, *words], cwd=HOME) as worker:  # noqa: ASYNC220
        try:
            await until(lambda: inside(gate))
        finally:
            worker.kill()
    async with carried():
        (gate / "go").touch()
        steps = await told(door)

    assert (steps[-1].state, commits(checkout), await lane(door)) == ("done", 1, [])
    numbers = list(dict.fromkeys(step.number for step in steps))  # a step comes again when its place has changed
    assert numbers == list(range(len(numbers)))


async def test_what_a_killed_worker_began_is_over_before_another_begins(
    door: Runs, carried: Carried, gate: Path, server: Server
) -> None:
    await start(door)
    words = [server.url, str(door.folder), json.dumps(door.settings)]
    with subprocess.Popen([sys.executable, "-c", WORKER, *words], cwd=HOME) as worker:  # noqa: ASYNC220
        try:
            await until(lambda: inside(gate))
        finally:
            worker.kill()
    (first,) = inside(gate)
    async with carried():
        await until(lambda: len(inside(gate)) == 2)
        late = alive(first)
        (gate / "go").touch()
        last = (await told(door))[-1]

    assert (late, last.state) == (False, "done")


async def test_two_workers_do_not_carry_one_run_at_once(door: Runs, carried: Carried, gate: Path, checkout: Path) -> None:
    await start(door)
    async with carried() as ours, carried() as other:
        await until(lambda: inside(gate))
        seen = (ours.seen, other.seen)
        await until(lambda: ours.seen > seen[0] and other.seen > seen[1])
        (gate / "go").touch()
        steps = await told(door)

    assert [step.state for step in steps] == ["waiting", *["running"] * 5, "done"]
    assert (len(inside(gate)), commits(checkout)) == (1, 1)


async def test_a_worker_that_is_shut_down_ends_its_child_and_the_next_one_finishes_the_run(
    door: Runs, carried: Carried, gate: Path, checkout: Path
) -> None:
    await start(door)
    async with carried():
        await until(lambda: inside(gate))
    left = [pid for pid in inside(gate) if alive(pid)]
    (gate / "go").touch()
    async with carried():
        last = (await told(door))[-1]

    assert (left, last.state, commits(checkout)) == ([], "done", 1)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSEGV])
async def test_a_child_that_dies_by_a_signal_is_told_as_the_cause(
    door: Runs, carried: Carried, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: Path, sign: signal.Signals
) -> None:
    put_git(tmp_path / "bin", monkeypatch, f"kill -{sign.value} $PPID")
    await start(door)
    async with carried():
        last = (await told(door))[-1]

    assert (last.state, last.facts) == (
        "failed",
        {"stage": "propose", "cause": f"its process ended {how(-sign.value)}"},
    )


async def test_a_child_that_takes_longer_than_its_stage_may_is_ended_and_told(
    door: Runs, carried: Carried, gate: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(recipe.RECIPES, "contribution", (replace(recipe.PROPOSE, limit_s=2.0),))
    await start(door)
    async with carried(limit_s=0.5):
        last = (await told(door))[-1]
        await until(lambda: inside(gate) and not any(map(alive, inside(gate))))

    assert (last.state, last.facts) == ("failed", {"stage": "propose", "cause": "it took longer than 2 s"})
    assert commits(checkout) == 0


@pytest.mark.parametrize(
    "noise", ["echo hello", "echo []", "echo 3", "echo '{\"stage\"'", "head -c 3000000 /dev/zero | tr '\\0' x; echo"]
)
async def test_what_a_library_prints_in_a_child_is_passed_over(
    door: Runs, carried: Carried, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: Path, noise: str
) -> None:
    put_git(tmp_path / "bin", monkeypatch, f"({noise}) > /proc/$PPID/fd/1")
    await start(door)
    async with carried():
        steps = await told(door)

    assert [step.state for step in steps] == ["waiting", *["running"] * 5, "done"]


async def test_a_run_that_goes_wrong_in_any_other_way_fails_alone(
    door: Runs, carried: Carried, caplog: pytest.LogCaptureFixture
) -> None:
    await start(door)
    await start(door, "d2.1")
    in_the_way = door.folder / "d1.1" / "lock"
    in_the_way.mkdir()
    async with carried():
        ends = [(await told(door, key))[-1] for key in ("d1.1", "d2.1")]

    assert [end.state for end in ends] == ["failed", "done"]
    assert ends[0].facts == {"cause": f"IsADirectoryError: [Errno 21] Is a directory: '{in_the_way}'"}
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["run d1.1"]


async def test_a_run_goes_on_while_redis_is_away(
    door: Runs, carried: Carried, gate: Path, checkout: Path, server: Server
) -> None:
    await start(door)
    async with carried():
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
    await door.refuse("d1.1", Failed("no room"))

    assert await told(door) == [Step(0, "waiting", AT), Step(1, "failed", AT, facts={"cause": "no room"})]
    assert await lane(door) == []


async def test_a_refused_run_can_be_started_later(door: Runs, carried: Carried, checkout: Path) -> None:
    await door.refuse("d1.1", Failed("no room"))
    await start(door)
    async with carried():
        last = (await told(door, after=1))[-1]

    assert (last.state, commits(checkout)) == ("done", 1)
    assert list(await door.export("alice")) == ["d1.1"]


async def test_a_run_that_is_done_and_may_not_go_on_says_so(door: Runs, carried: Carried) -> None:
    await start(door)
    async with carried():
        done = (await told(door))[-1]
    await door.refuse("d1.1", Failed("no room"), "publish")
    record = await door.status("d1.1")

    assert [(step.state, step.facts) for step in await told(door, after=done.number)] == [
        ("waiting", {}),
        ("failed", {"cause": "no room"}),
    ]
    assert record and record.wanted == ("publish",)


async def test_forgetting_takes_out_what_has_ended_and_names_what_goes_on(door: Runs, carried: Carried, checkout: Path) -> None:
    await start(door, "d1.1")
    await start(door, "d3.1", person="bob")
    async with carried():
        await told(door, "d1.1")
        await told(door, "d3.1")
    await start(door, "d2.1")
    left = await door.forget("alice")
    keys = sorted([key async for key in door.memory.keys("*")])

    assert left == ["d2.1"]
    assert [key for key in keys if key.startswith("run:")] == ["run:d2.1", "run:d2.1:steps", "run:d3.1", "run:d3.1:steps"]
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
    left = [await door.memory.do("TTL", key) for key in ("run:d1.1", "run:d1.1:steps", "arq:job:d1.1")]

    assert all(30 * 86_400 - 60 <= seconds <= 30 * 86_400 for seconds in left)


async def test_a_run_that_is_refused_again_after_it_had_ended_says_so_again(memory: Memory, tmp_path: Path) -> None:
    runs = Runs(memory, tmp_path / "runs", {})
    await runs.refuse("k7.1", Failed("no room"))
    first = await runs.status("k7.1")
    await runs.refuse("k7.1", Failed("still no room"))
    second = await runs.status("k7.1")

    assert first and second and first.number < second.number
    assert (second.state, second.facts) == ("failed", {"cause": "still no room"})
