"""Whatever a stage or a worker does, its run ends in the right state, with a sentence, and nothing is left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline import recipe
from pipeline.embedded import Server
from pipeline.errors import Invalid, Temporary
from pipeline.memory import Memory
from pipeline.pool import carrying, process
from pipeline.pool.artefacts import Store
from pipeline.pool.depot import Depot
from pipeline.pool.ledger import Ledger
from pipeline.pool.working import serves
from pipeline.runs import Runs, insist
from tests.conftest import HOME
from tests.fakes.s3 import S3
from tests.pipeline import pool, trial
from tests.pipeline.pool import LEASE_S, told, until
from tests.pipeline.trial import COMMAND, ROWS


@pytest.fixture(autouse=True)
def _recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, stages in trial.RECIPES.items():
        monkeypatch.setitem(recipe.RECIPES, name, stages)


@pytest.fixture
def door(memory: Memory, tmp_path: Path) -> Runs:
    return Runs(memory, tmp_path / "runs", {})


def carried(door: Runs, server: Server, **terms: Any) -> Any:
    return pool.carried(door, server.url, command=COMMAND, **terms)


async def start(door: Runs, name: str = "one", run: str = "r1", **inputs: str) -> Path:
    await door.start(run, name, inputs, person="alice")
    return door.folder / run


def fences(folder: Path, stage: str = "one") -> list[int]:
    return sorted(int(path.name.rpartition("-")[2]) for path in folder.glob(f"began-{stage}-*"))


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


# --- how stages end


async def test_stages_follow_each_other_and_are_remembered_by_their_time(door: Runs, server: Server) -> None:
    folder = await start(door, "two")
    async with carried(door, server):
        last = (await told(door, "r1"))[-1]
    record, spent = await door.status("r1"), await door.ledger.spent("two", ("one", "two"))

    assert record and (last.state, record.did, record.left) == ("done", ("one", "two"), ())
    assert [len(times) for times in spent.values()] == [1, 1]
    assert (fences(folder, "one"), fences(folder, "two")) == ([1], [1])


async def test_what_may_pass_is_tried_again_and_then_goes_on(door: Runs, server: Server) -> None:
    folder = await start(door, one="away=2")
    async with carried(door, server, pauses_s=(0.01,)):
        steps = await told(door, "r1")

    waits = [(step.facts["try"], step.facts["again"]) for step in steps if "again" in step.facts]
    assert list(dict.fromkeys(waits)) == [("1", "the endpoint is away"), ("2", "the endpoint is away")]
    assert (steps[-1].state, fences(folder)) == ("done", [1, 2, 3])


async def test_what_does_not_pass_is_given_up_after_its_tries_and_listed(door: Runs, server: Server) -> None:
    folder = await start(door, one="away")
    async with carried(door, server, pauses_s=(0.01,), tries=2):
        last = (await told(door, "r1"))[-1]

    assert (last.state, last.facts["cause"], last.facts["by"]) == ("failed", "the endpoint is away", "Temporary")
    assert (fences(folder), await door.memory.do("ZRANGE", "runs:dead", 0, -1)) == ([1, 2], [b"r1"])


@pytest.mark.parametrize(("act", "cause"), [("refuse", "it is not what it should be"), ("fail", "it is broken")])
async def test_what_is_wrong_for_good_is_not_tried_again(door: Runs, server: Server, act: str, cause: str) -> None:
    folder = await start(door, one=act)
    async with carried(door, server):
        last = (await told(door, "r1"))[-1]

    assert (last.state, last.facts["cause"], fences(folder)) == ("failed", cause, [1])


async def test_a_stage_that_loses_its_worker_again_and_again_is_given_up(door: Runs, server: Server) -> None:
    folder = await start(door)
    for number in range(3):
        assert await door.ledger.claim("r1", f"w{number}", LEASE_S)
        await door.memory.do("DEL", "arq:in-progress:r1")  # as when the worker was killed and the lease ran out
    async with carried(door, server, tries=3):
        last = (await told(door, "r1"))[-1]

    assert (last.state, last.facts) == (
        "failed",
        {"cause": "its worker was lost 3 times in its first stage", "code": "run.lost"},
    )
    assert (fences(folder), await door.memory.do("ZRANGE", "runs:dead", 0, -1)) == ([], [b"r1"])


async def test_a_stage_that_says_nothing_is_ended_with_a_sentence(door: Runs, server: Server) -> None:
    await start(door, one="silence")
    async with carried(door, server, silence_s=0.5):
        last = (await told(door, "r1"))[-1]

    assert (last.state, last.facts["cause"]) == ("failed", "it said nothing for 0 s")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process limit its own memory")
async def test_a_stage_that_needs_more_memory_than_it_may_take_is_told_so(door: Runs, server: Server) -> None:
    await start(door, one="eat=600")
    async with carried(door, server, memory_bytes=2**29):
        last = (await told(door, "r1"))[-1]

    assert (last.state, last.facts["code"]) == ("failed", "run.memory")
    assert last.facts["cause"] == "it needed more memory than the 0.5 GiB that a run may take (runs.memory_gib)"


async def test_what_a_stage_says_beside_its_steps_is_kept_in_part(door: Runs, server: Server) -> None:
    folder = await start(door, one="chat=3000")
    async with carried(door, server):
        await told(door, "r1")
    texts = [(folder / name).read_text(encoding="utf-8") for name in ("stderr.1.txt", "stderr.txt")]

    assert "".join(texts).splitlines()[-1].startswith("0002999 ")
    assert sum(map(len, texts)) < 2 * process.LOG_BYTES + 2**18


async def test_a_stage_that_saves_is_given_longer_and_one_that_does_not_listen_is_ended(door: Runs, server: Server) -> None:
    saves, deaf = await start(door, "saves", "r1", one="save=0.6"), await start(door, "one", "r2", one="deaf")
    async with carried(door, server, stop_s=0.3, save_s=20.0):
        await until(lambda: fences(saves) and (deaf / "deaf").exists())
        await door.cancel("r1", "alice")
        await door.cancel("r2", "bob")
        ends = [(await told(door, run))[-1].state for run in ("r1", "r2")]

    assert (ends, (saves / "saved").exists()) == (["cancelled", "cancelled"], True)


# --- what stages tell


async def test_the_facts_of_stages_are_kept_to_the_end_of_the_run_whoever_ends_it(door: Runs, server: Server) -> None:
    folder = await start(door, "two", one="tell=kept:7,low_s:5", two="note=half until=go tell=mixed:7")
    async with carried(door, server):
        await until((folder / "half").exists)
    (folder / "go").touch()
    async with carried(door, server):
        last = (await told(door, "r1"))[-1]
    await door.start("r1", "two", {}, person="alice", redo=("two",))
    async with carried(door, server):
        again = (await told(door, "r1", last.number))[-1]

    assert last.facts == {"kept": "7", "mixed": "7", "stage": "two", "device": ""}
    assert again.facts == {"stage": "two", "device": ""}  # nothing of it was asked for this time but what a receipt holds


async def test_what_a_stage_told_once_holds_although_that_step_was_left_out(
    door: Runs, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "STEPS", 1)
    heard: list[bytes] = []
    tell, said = Ledger.tell, process.said

    def hear(line: bytes) -> Any:
        heard.append(line)
        return said(line)

    async def late(self: Ledger, *words: Any) -> str:
        await until(lambda: len(heard) >= 5)  # it begins, tells three times, ends
        return await tell(self, *words)

    monkeypatch.setattr(process, "said", hear)
    monkeypatch.setattr(Ledger, "tell", late)
    await start(door, one="tell=first:7,low_s:5 tell=kept:1 tell=kept:2")
    async with carried(door, server):
        steps = await told(door, "r1")

    assert steps[-1].facts == {"stage": "one", "first": "7", "kept": "2", "device": ""}
    assert not any(step.facts.get("kept") == "1" for step in steps)


async def test_what_a_stage_says_of_its_end_goes_before_what_others_took_until_it_is_over(door: Runs, server: Server) -> None:
    for name in ("one", "two"):
        await door.memory.do("RPUSH", f"runs:spent:two:{name}", *[100] * 5)
        await door.memory.do("EXPIRE", f"runs:spent:two:{name}", 60)
    folder = await start(door, "two", one="tell=low_s:5,high_s:6 until=go")
    async with carried(door, server):
        heard = []
        async with asyncio.timeout(20):
            async for step in door.watch("r1", -1):
                heard.append((step.stage or step.state, step.facts.get("low_s"), step.facts.get("high_s")))
                if heard[-2:] == [("running", "5", "6")] * 2:  # the second time with how it stands
                    (folder / "go").touch()
                if step.state == "done":
                    break

    after = [seconds for what, *seconds in heard if what in ("two", "done")]
    assert (len(after), ["5", "6"] in after) == (3, False)


# --- stages that are performed again, and what they hear meanwhile


async def test_stages_are_redone_with_what_is_wanted_now_in_the_folder_of_before(door: Runs, server: Server) -> None:
    folder = await start(door, "takes", one="note=first", two="note=second")
    async with carried(door, server):
        done = (await told(door, "r1"))[-1]
        for _ in range(2):  # whoever asks had no answer the first time
            await door.start("r1", "takes", {"two": "note=third"}, person="alice", redo=("one", "two"), order="o1")
        last = (await told(door, "r1", done.number))[-1]
        await door.start("r1", "takes", {"two": "note=fourth"}, person="alice", redo=("one", "two"), order="o1")
    record = await door.status("r1")

    assert record and (last.state, record.number, record.state) == ("done", last.number, "done")
    assert [(folder / name).exists() for name in ("first", "second", "third", "fourth")] == [True, True, True, False]
    assert (fences(folder), fences(folder, "two")) == ([1], [1, 3])  # nothing is new for the first: its receipt makes it free


async def test_a_stage_that_is_to_be_redone_while_it_is_performed_is_so_once_more(door: Runs, server: Server) -> None:
    folder = await start(door, "two", one="until=go")
    async with carried(door, server):
        await until(lambda: fences(folder))
        await door.start("r1", "two", {"one": "note=again"}, person="alice", redo=("one", "two"))
        (folder / "go").touch()
        steps = await told(door, "r1")

    begun = [step.stage for step in steps if step.facts.get("stage") and step.fraction == 0.0 and step.stage]
    assert (steps[-1].state, begun, (folder / "again").exists()) == ("done", ["one", "one", "two"], True)


async def test_only_stages_that_are_wanted_can_be_redone(door: Runs) -> None:
    with pytest.raises(Invalid) as refused:
        await door.start("r1", "two", {}, person="alice", until="one", redo=("two",))

    assert str(refused.value) == "'two' is none of the stages that are wanted There is: one."
    assert await door.status("r1") is None


async def test_a_stage_hears_of_thumbs_from_before_it_began_and_of_each_that_comes(door: Runs, server: Server) -> None:
    folder = await start(door, "two", one="heard=s1:up note=had heard=s1:down,s2:up note=both heard=s2:up", two="heard=s2:up")
    await door.rate("r1", "s1", "up", "alice")
    async with carried(door, server):
        await until((folder / "had").exists)
        await door.rate("r1", "s1", "down", "alice")
        await door.rate("r1", "s2", "up", "bob")
        await until((folder / "both").exists)
        await door.rate("r1", "s1", "", "alice")
        last = (await told(door, "r1"))[-1]

    assert last.state == "done"


async def test_another_worker_goes_on_with_the_thumbs_that_there_are(door: Runs, server: Server) -> None:
    folder = await start(door, one="note=had heard=s1:up,s2:down")
    async with carried(door, server):
        await until((folder / "had").exists)
        await door.rate("r1", "s1", "up", "alice")
    await door.rate("r1", "s2", "down", "alice")
    async with carried(door, server):
        last = (await told(door, "r1"))[-1]

    assert (last.state, fences(folder)) == ("done", [1, 2])


# --- lanes and devices


async def test_a_run_goes_from_lane_to_lane_and_none_of_it_counts_as_a_try(door: Runs, server: Server) -> None:
    folder = await start(door, "lanes")
    async with carried(door, server, gpu=1, tries=1, environment={"LABBOT_DEVICE": "metal"}):
        last = (await told(door, "r1"))[-1]
    record = await door.status("r1")

    assert record and (last.state, record.did, record.lane) == ("done", ("one", "two", "three"), "cpu")
    assert ([fences(folder, name) for name in ("one", "two", "three")], last.facts["device"]) == ([[1], [2], [3]], "metal")


async def test_a_run_waits_in_a_lane_that_nobody_serves(door: Runs, server: Server) -> None:
    folder = await start(door, "lanes")
    async with carried(door, server):
        await until(lambda: fences(folder))
        last = (await told(door, "r1", 1, last=("waiting",)))[-1]
        record = await door.status("r1")

    assert record and (last.state, record.lane, record.left) == ("waiting", "gpu", ("two", "three"))


def test_a_machine_serves_what_it_has() -> None:
    found = [
        serves("auto", (), 2, "cuda"),
        serves("cuda:1", ("gpu",), 2, "cuda"),
        serves("auto", (), 3, "metal"),
        serves("auto", (), 2, "cpu"),
        serves("cpu", ("cpu",), 4, "cuda"),
    ]

    assert [(one.device, dict(one.slots)) for one in found] == [
        ("cuda:0", {"cpu": 2, "gpu": 1}),
        ("cuda:1", {"gpu": 1}),
        ("metal", {"cpu": 3, "gpu": 1}),
        ("cpu", {"cpu": 2, "gpu": 1}),
        ("cpu", {"cpu": 4}),
    ]
    assert found[1].environment == {"LABBOT_DEVICE": "cuda", "CUDA_VISIBLE_DEVICES": "1"}
    assert found[3].why == "no GPU was found; it computes on cpu and serves the lanes cpu (2 at once), gpu (1 at once)"


@pytest.mark.parametrize(
    ("device", "code"), [("cuda:1", "device.absent"), ("tpu", "device.unknown"), ("cpu:2", "device.unknown")]
)
def test_a_device_that_is_not_there_is_refused(device: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        serves(device, (), 2, "cpu")

    assert refused.value.problems[0].code == code


# --- how workers end


@pytest.fixture
def worker(server: Server, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """`labpipe worker`, as an operator starts it, with the recipes of trial."""
    places = {"LABBOT_DATA": str(tmp_path), "LABBOT_REDIS_URL": server.url, "LABBOT_HOME": str(HOME)}
    command = [sys.executable, "-c", STARTED, "worker", "--device", "cpu", "--at-once", "1"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LABBOT")}
    with subprocess.Popen(command, cwd=HOME, env={**kept, **places}, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


STARTED = """
import sys
from pipeline import installation, recipe
from pipeline.__main__ import main
from tests.pipeline import trial
from dataclasses import replace
recipe.RECIPES.update(trial.RECIPES)
whole = installation.Installation.terms.fget
installation.Installation.terms = property(
    lambda here: replace(whole(here), command=trial.COMMAND, lease_s=0.5, grace_s=0.3, stop_s=0.5))
sys.exit(main())
"""


async def test_a_worker_that_is_told_to_end_hands_its_run_back(
    door: Runs, server: Server, worker: "subprocess.Popen[str]"
) -> None:
    folder = await start(door, one="until=go")
    await until(lambda: fences(folder))
    worker.send_signal(signal.SIGTERM)
    status = await asyncio.to_thread(worker.wait, 20)
    record = await door.status("r1")
    (folder / "go").touch()
    async with carried(door, server):
        last = (await told(door, "r1"))[-1]

    assert record and (status, record.state, record.tries) == (0, "waiting", 0)
    assert (last.state, fences(folder)) == ("done", [1, 2])
    assert [key async for key in door.memory.keys("worker:*")] == []


async def test_a_worker_that_is_told_to_end_lets_its_run_end_in_time(door: Runs, worker: "subprocess.Popen[str]") -> None:
    folder = await start(door, one="until=go")
    await until(lambda: fences(folder))
    (folder / "go").touch()
    worker.send_signal(signal.SIGTERM)
    status = await asyncio.to_thread(worker.wait, 20)
    last = (await told(door, "r1"))[-1]

    assert (status, last.state, fences(folder)) == (0, "done", [1])


async def test_a_drained_worker_takes_nothing_more_and_ends_with_its_last_run(
    door: Runs, worker: "subprocess.Popen[str]", server: Server, tmp_path: Path
) -> None:
    first = await start(door, one="until=go")
    await until(lambda: fences(first))
    second = await start(door, run="r2")
    places = {**os.environ, "LABBOT_DATA": str(tmp_path), "LABBOT_REDIS_URL": server.url}
    words = [sys.executable, "-m", "pipeline", "drain", os.uname().nodename]
    said = await asyncio.to_thread(subprocess.run, words, cwd=HOME, env=places, capture_output=True, text=True, timeout=30)
    (first / "go").touch()
    status = await asyncio.to_thread(worker.wait, 20)
    ended, waits = await door.status("r1"), await door.status("r2")

    assert said.stdout.endswith("takes no further run and ends when its last one has.\n"), said.stderr
    assert ended and waits and (status, ended.state, waits.state, fences(second)) == (0, "done", "waiting", [])


async def test_a_list_of_runs_that_nobody_reads_to_its_end_ends_quietly(door: Runs, server: Server, tmp_path: Path) -> None:
    for number in range(3):
        await start(door, run=f"r{number}")
    reads, writes = os.pipe()
    os.close(reads)
    places = {**os.environ, "LABBOT_DATA": str(tmp_path), "LABBOT_REDIS_URL": server.url}
    words = [sys.executable, "-u", "-m", "pipeline", "runs"]
    with os.fdopen(writes, "wb") as out:
        done = await asyncio.to_thread(
            subprocess.run, words, cwd=HOME, env=places, stdout=out, stderr=subprocess.PIPE, text=True, timeout=30
        )

    assert (done.returncode, done.stderr) == (0, "")


async def test_a_worker_that_was_idle_while_redis_was_away_takes_the_next_run(door: Runs, server: Server) -> None:
    async with carried(door, server):
        server.down()
        server.up()
        await insist(lambda: start(door))
        last = (await told(door, "r1"))[-1]

    assert last.state == "done"


@pytest.mark.parametrize("ends", ["feed", "input"])
def test_a_child_whose_worker_is_gone_ends_with_all_it_started(tmp_path: Path, ends: str) -> None:
    folder = tmp_path / "r1"
    folder.mkdir()
    (folder / "run.json").write_text(
        json.dumps({"recipe": "one", "inputs": {"one": "until=go"}, "settings": {}}), encoding="utf-8"
    )
    words = [*COMMAND, "stage", str(folder), "one", "--fed"]
    given = json.dumps({"settings": {}, "fence": 3, "lease_s": 0.4, "memory_bytes": 0}) + "\n"
    with subprocess.Popen(words, cwd=HOME, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as child:
        assert child.stdin and child.stdout
        child.stdin.write(given.encode())
        child.stdin.flush()
        while not fences(folder):
            time.sleep(0.01)
        if ends == "input":
            child.stdin.close()
        status = child.wait(20)

    assert (status, fences(folder)) == (-signal.SIGKILL, [3])


# --- hosts without a common disk


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store | None]:
    """A folder that both hosts reach, or a real S3 server."""
    if request.param == "folder":
        yield Store.of(str(tmp_path / "store"))
        return
    s3 = S3()
    s3.up()
    try:
        for name, value in s3.environment.items():
            monkeypatch.setenv(name, value)
        s3.bucket("labbot-runs")
        yield Store.of("s3://labbot-runs/here")
    finally:
        s3.down()


async def test_a_run_that_was_begun_on_one_host_goes_on_at_another_from_its_last_record(
    door: Runs, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store | None
) -> None:
    monkeypatch.setattr(carrying, "SAVE_S", 0.05)
    here, there = (Runs(door.memory, tmp_path / name, {}, store=store) for name in ("here", "there"))
    folder = await start(here, one="rows=3")
    async with pool.carried(here, server.url, command=COMMAND, store=store):
        await until(lambda: (folder / "half-1").exists())
        await until_kept(here, "log/rows/1-0.jsonl", 4, tmp_path / "aside")
        await here.memory.do("SET", "lane:cpu:paused", "until the first host is gone")
    folder.rename(tmp_path / "gone")
    await here.memory.do("DEL", "lane:cpu:paused")
    (tmp_path / "there" / "r1").mkdir(parents=True)
    (tmp_path / "there" / "r1" / "go").touch()
    async with pool.carried(there, server.url, command=COMMAND, store=store):
        last = (await told(there, "r1"))[-1]
    await here.depot.bring("r1", "rows.json")

    rows = json.loads((folder / "rows.json").read_bytes())
    assert (last.state, rows) == ("done", [1] * 3 + [2] * (ROWS - 3))
    assert not (folder / "half-1").exists()


async def test_what_several_stages_write_in_turn_is_on_every_host_and_in_no_receipt(
    door: Runs, server: Server, tmp_path: Path
) -> None:
    store = Store.of(str(tmp_path / "store"))
    here, there = (Runs(door.memory, tmp_path / name, {}, store=store) for name in ("here", "there"))
    folder = await start(here, "adds", one="note=report.html")
    async with pool.carried(here, server.url, command=COMMAND, store=store):
        await told(here, "r1")
    await there.depot.bring("r1", "report.html")
    receipts = [json.loads(path.read_bytes()) for path in sorted((folder / "receipts").iterdir())]

    assert (there.folder / "r1" / "report.html").exists()
    assert [receipt["made"].keys() for receipt in receipts] == [{"one.json"}, {"two.json"}]


async def test_what_a_stage_had_made_when_it_failed_is_on_every_host(door: Runs, server: Server, tmp_path: Path) -> None:
    store = Store.of(str(tmp_path / "store"))
    here, there = (Runs(door.memory, tmp_path / name, {}, store=store) for name in ("here", "there"))
    await start(here, "adds", one="note=one.json note=report.html rows=9 refuse")
    async with pool.carried(here, server.url, command=COMMAND, store=store):
        last = (await told(here, "r1"))[-1]
    await there.depot.bring("r1")
    found = sorted(path.relative_to(there.folder / "r1") for path in (there.folder / "r1").rglob("*") if path.is_file())

    assert (last.state, last.facts["code"]) == ("failed", "trial.refused")
    assert [path.as_posix() for path in found] == ["log/rows/1-0.jsonl", "one.json", "report.html", "rows.json", "run.json"]


async def test_a_failure_is_told_although_what_was_made_cannot_be_kept_for_other_hosts(
    door: Runs, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.of(str(tmp_path / "store"))
    here = Runs(door.memory, tmp_path / "here", {}, store=store)
    await start(here, "adds", one="refuse")
    asked: list[str] = []

    async def keep(self: Depot, run: str, paths: Sequence[str]) -> dict[str, str]:
        asked.extend(paths)
        raise Temporary("the store is away")

    monkeypatch.setattr(Depot, "keep", keep)
    async with pool.carried(here, server.url, command=COMMAND, store=store):
        last = (await told(here, "r1"))[-1]

    assert (last.state, last.facts["code"]) == ("failed", "trial.refused")
    assert asked[-4:] == ["one.json", "rows.json", "report.html", "log"]


async def until_kept(door: Runs, path: str, lines: int, aside: Path) -> None:
    """Wait until a segment with so many lines is in the store: looked at `aside`, its stage still writes in the folder."""
    looked = Depot(door.ledger, aside, door.depot.store)
    async with asyncio.timeout(20):
        while True:
            if (await door.ledger.files("r1")).get(path):
                await looked.bring("r1", path)
                if len((aside / "r1" / path).read_text(encoding="utf-8").splitlines()) >= lines:
                    return
            await asyncio.sleep(0.05)


# --- what is kept


async def test_ended_runs_go_when_they_are_too_old_or_too_many_and_never_one_that_is_referenced(
    memory: Memory, server: Server, tmp_path: Path
) -> None:
    now = [1000.0]
    door = Runs(memory, tmp_path / "runs", {}, clock=lambda: now[0], store=Store.of(str(tmp_path / "store")))
    for number in range(4):
        await start(door, run=f"r{number}")
        async with pool.carried(door, server.url, command=COMMAND):
            await told(door, f"r{number}")
        now[0] += 100.0
    await start(door, run="r4")
    old = await door.prune(older_s=250.0, most_bytes=None, referenced={"r0"})
    much = await door.prune(older_s=None, most_bytes=1, referenced={"r0"})
    left = sorted(path.name for path in door.folder.iterdir())
    records = sorted(record.id for record in await door.ledger.records())

    assert (old, much) == (["r1"], ["r2", "r3"])
    assert left == records == ["r0", "r4"]


# --- how runs stand


async def test_a_run_that_waits_is_told_its_place_and_that_its_lane_is_paused(door: Runs) -> None:
    for number in range(3):
        await start(door, run=f"r{number}")
    stands = [await door.standing(f"r{number}") for number in range(3)]
    await door.memory.do("SET", "lane:cpu:paused", "repair")
    paused = await door.standing("r2")

    assert stands == [{"position": "1"}, {"position": "2"}, {"position": "3"}]
    assert paused == {"position": "3", "paused": "yes"}


async def test_the_time_it_takes_is_what_the_runs_before_took(door: Runs, server: Server) -> None:
    await door.memory.do("RPUSH", "runs:spent:two:one", *range(20, 41))
    await door.memory.do("RPUSH", "runs:spent:two:two", *[100] * 5)
    for stage in ("one", "two"):
        await door.memory.do("EXPIRE", f"runs:spent:two:{stage}", 60)
    for number in range(3):
        await start(door, "two", run=f"r{number}")
    stands = [await door.standing(f"r{number}") for number in range(3)]

    assert stands == [
        {"position": "1", "low_s": "120", "high_s": "150"},
        {"position": "2", "low_s": "240", "high_s": "270"},
        {"position": "3", "low_s": "360", "high_s": "420"},
    ]


async def test_a_watcher_hears_the_place_of_a_run_when_it_changes(door: Runs) -> None:
    await start(door, run="r0")
    await start(door, run="r1")
    heard = []
    async with asyncio.timeout(20):
        async for step in door.watch("r1", -1):
            heard.append(step.facts)
            if step.facts == {"position": "2"}:
                await door.cancel("r0", "alice")
            if step.facts == {"position": "1"}:
                break

    assert heard == [{}, {"position": "2"}, {"position": "1"}]
