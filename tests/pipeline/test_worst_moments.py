"""What the pool does when things come at the worst moment, and what it leaves of the people whose runs it carries."""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bot import forget
from bot.core.records import Run
from bot.core.talk import Cancel, Command, Press, Said
from bot.core.words import pick
from bot.keys import Retention
from bot.rows import Order
from bot.store import Store as Rows
from pipeline import recipe
from pipeline.embedded import Server
from pipeline.errors import Invalid, Temporary
from pipeline.memory import Memory, connect
from pipeline.pool import carrying
from pipeline.pool.artefacts import Store
from pipeline.pool.ledger import Ask, Ledger
from pipeline.runs import Runs
from tests.bot.core.conftest import TABLES, Talk
from tests.conftest import HOME
from tests.pipeline import pool, trial
from tests.pipeline.pool import LEASE_S, told, until
from tests.pipeline.trial import COMMAND


@pytest.fixture(autouse=True)
def _recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, stages in trial.RECIPES.items():
        monkeypatch.setitem(recipe.RECIPES, name, stages)


@pytest.fixture
def door(memory: Memory, tmp_path: Path) -> Runs:
    return Runs(memory, tmp_path / "runs", {})


@pytest.fixture
def ledger(memory: Memory) -> Ledger:
    return Ledger(memory)


def carried(door: Runs, server: Server, **terms: Any) -> Any:
    return pool.carried(door, server.url, command=COMMAND, **terms)


async def begun(ledger: Ledger, run: str = "r1", **more: Any) -> None:
    given: dict[str, Any] = {"wanted": ("one",), **more}
    assert (await ledger.start(Ask(run, "one", "alice", **given)))[0] == "begun"


def began(folder: Path) -> int:
    return len(list(folder.glob("began-*")))


# --- Redis is there and does not answer


async def test_a_run_goes_on_while_redis_does_not_answer(door: Runs, server: Server) -> None:
    await door.start("r1", "one", {"one": "until=go"}, person="alice")
    folder = door.folder / "r1"
    async with carried(door, server, tries=5):
        await until(lambda: began(folder))
        await door.memory.do("CLIENT", "PAUSE", int(4 * LEASE_S * 1000), "ALL")
        await door.memory.do("PING")  # answered when the pause is over
        (folder / "go").touch()
        last = (await told(door, "r1"))[-1]

    assert (last.state, last.facts.get("cause"), began(folder)) == ("done", None, 1)


async def test_the_time_that_redis_is_away_is_not_the_stages(door: Runs, server: Server) -> None:
    await door.start("r1", "one", {"one": "until=go"}, person="alice")
    folder = door.folder / "r1"
    async with carried(door, server, limit_s=2.0):
        await until(lambda: began(folder))
        server.down()
        try:
            (folder / "go").touch()
            await until((folder / "one.json").exists)
            await asyncio.sleep(2.1)
        finally:
            server.up()
        last = (await told(door, "r1"))[-1]

    assert (last.state, last.facts.get("cause")) == ("done", None)


async def test_a_redis_that_is_busy_with_a_script_is_away(memory: Memory, server: Server) -> None:
    await memory.do("CONFIG", "SET", "lua-time-limit", 20)
    other = connect(server.url)
    loop = asyncio.create_task(other.do("EVAL", "while true do end", 0))
    try:
        with pytest.raises(Temporary):
            for _ in range(1000):
                await memory.do("GET", "arq:retry:r1")
                await asyncio.sleep(0)
    finally:
        await memory.do("SCRIPT", "KILL")
        with suppress(Exception):
            await loop
        await other.close()
        await memory.do("CONFIG", "SET", "lua-time-limit", 5000)


# --- the record


async def test_an_id_without_a_record_does_not_hold_up_its_lane(ledger: Ledger) -> None:
    await begun(ledger, "r1", lane="gpu")
    await begun(ledger, "r2", lane="gpu")
    await ledger.memory.do("DEL", "run:r1", "run:r1:steps", "arq:job:r1")  # both expire after 30 days in a lane that is paused

    found, _ = await ledger.look("gpu", 1)
    for run in found:
        await ledger.again(run)  # what a Van does with a job that has no text
    assert (await ledger.look("gpu", 1))[0] == ["r2"]


@pytest.mark.parametrize("state", ["waiting", "running"])
async def test_a_run_that_was_started_again_is_not_forgotten_with_what_it_was(ledger: Ledger, state: str) -> None:
    scopes = (("person:alice", 5, 5),)
    await begun(ledger, scopes=scopes)
    await ledger.cancel("r1", "alice")  # `Runs.forget` and `Runs.prune` have read this record
    await begun(ledger, scopes=scopes)
    if state == "running":
        await ledger.claim("r1", "w1", 5.0)
    await ledger.forget("r1")

    record = await ledger.record("r1")
    if record is None:  # then nothing may count it any more
        await ledger.memory.do("DEL", "arq:in-progress:r1")
        await ledger.reap()
        left = [await ledger.memory.do("HGETALL", f"runs:{what}") for what in ("waiting", "running")]
        assert left == [{}, {}]


async def test_a_renewal_does_not_take_up_what_its_attempt_has_handed_back(ledger: Ledger) -> None:
    await begun(ledger)
    fence, _ = await ledger.claim("r1", "w1", 5.0) or (0, 0)
    assert await ledger.back("r1", fence, {}, lane="cpu", delay_s=60.0) == "waiting"
    await ledger.renew("w1", 5.0, {"r1": fence})  # was on its way when the attempt handed the run back

    record = await ledger.record("r1")
    assert record and record.state == "waiting"


async def test_a_run_can_be_cancelled_whatever_its_facts_hold(ledger: Ledger) -> None:
    await begun(ledger)
    fence, _ = await ledger.claim("r1", "w1", 5.0) or (0, 0)
    await ledger.tell("r1", fence, "one", 0.5, {"cause": "no file /x/\udce4"})  # os.fsdecode writes names so
    assert await ledger.cancel("r1", "alice") == "stopping"


async def test_what_a_run_made_public_is_told_also_where_it_was_to_stop(ledger: Ledger) -> None:
    await begun(ledger)
    fence, _ = await ledger.claim("r1", "w1", 5.0) or (0, 0)
    await ledger.cancel("r1", "alice")
    await ledger.tell("r1", fence, "one", 1.0, {"branch": "labbot/x", "commit": "abc"})  # the stage was just done
    record = await ledger.record("r1")
    assert record
    await ledger.finish("r1", fence, "cancelled", record.facts)  # as Carrying._stopped does

    record = await ledger.record("r1")
    assert record and record.facts.get("branch") == "labbot/x"  # what `forgetting.everything` names as public


async def test_a_second_stage_has_its_own_time_left(memory: Memory, tmp_path: Path) -> None:
    now = [1000.0]
    door = Runs(memory, tmp_path, {}, clock=lambda: now[0])
    for stage, seconds in (("one", 100.0), ("two", 50.0)):
        await memory.all([("LPUSH", f"runs:spent:two:{stage}", seconds), ("EXPIRE", f"runs:spent:two:{stage}", 60)])
    await begun(door.ledger, wanted=("one", "two"))
    await memory.do("HSET", "run:r1", "recipe", "two")
    fence, _ = await door.ledger.claim("r1", "w1", 5.0) or (0, 0)
    now[0] += 100.0
    await door.ledger.did("r1", fence, "one", 100.0, {})
    await door.ledger.tell("r1", fence, "two", 0.0, {})

    assert await door.standing("r1") == {"low_s": "50", "high_s": "50"}


async def test_what_the_last_stage_found_is_told_by_whoever_ends_the_run(door: Runs, ledger: Ledger, server: Server) -> None:
    (door.folder / "r1").mkdir(parents=True)
    await begun(ledger)
    claimed = await ledger.claim("r1", "gone", 0.01)
    assert claimed is not None
    await ledger.tell("r1", claimed[0], "one", 1.0, {"branch": "labbot/x"})
    await ledger.did("r1", claimed[0], "one", 1.0, {})
    async with carried(door, server):
        last = (await told(door, "r1"))[-1]

    assert (last.state, last.facts.get("branch")) == ("done", "labbot/x")


async def test_a_run_that_is_moved_up_does_not_wait_for_its_next_try(ledger: Ledger) -> None:
    await begun(ledger)
    fence, _ = await ledger.claim("r1", "w1", 5.0) or (0, 0)
    await ledger.back("r1", fence, {}, lane="cpu", delay_s=60.0)
    assert await ledger.up("r1")

    assert (await ledger.look("cpu", 1))[0] == ["r1"]


# --- people


def test_a_run_is_cancelled_by_those_whose_draft_it_is() -> None:
    talk = Talk(pick(TABLES, "en"))
    talk(Command("skill"))
    talk(Said("Greet people"))
    assert talk.draft
    run = f"{talk.draft.id}.1"
    talk.run = Run(run, "running", {}, "precheck")

    assert Cancel(run) not in talk(Press(f"run.cancel|{run}"), by="p2")


async def test_a_run_that_may_not_go_on_says_so(door: Runs) -> None:
    scopes = (("person:alice", 1, 0),)
    await door.start("d1.1", "two", {}, person="alice", until="one")
    fence, _ = await door.ledger.claim("d1.1", "w1", 5.0) or (0, 0)
    await door.ledger.did("d1.1", fence, "one", 1.0, {})
    await door.ledger.finish("d1.1", fence, "done", {})
    before = len(await door.ledger.steps("d1.1", "0"))
    await door.start("d2.1", "one", {}, person="alice", scopes=scopes)
    with pytest.raises(Invalid) as refused:
        await door.start("d1.1", "two", {}, person="alice", until="two", scopes=scopes)
    await door.refuse("d1.1", refused.value)  # as App._start does

    assert len(await door.ledger.steps("d1.1", "0")) > before, "whoever watches hears nothing of it"


async def test_no_share_names_a_person_whose_runs_were_forgotten(door: Runs, memory: Memory) -> None:
    await door.start("d1.1", "one", {}, person="alice")
    await door.cancel("d1.1", "alice")
    await door.forget("alice")

    assert b"alice" not in await memory.do("HGETALL", "lane:cpu:shares")


async def test_no_order_that_is_watched_is_left_of_a_person_who_was_forgotten(door: Runs, memory: Memory) -> None:
    rows = Rows(memory, Retention())
    await door.start("d1.1", "one", {"one": "alice's words"}, person="alice")
    await rows.watch("terminal", "d1.1", Order("start", "p", "k", '{"mail": "alice@example.org"}', person="alice"))
    await forget.everything(rows, door, "alice")

    assert await memory.do("HGETALL", "bot:watch") == {}


async def test_the_store_has_nothing_left_of_a_person_who_was_forgotten(memory: Memory, tmp_path: Path) -> None:
    door = Runs(memory, tmp_path / "runs", {}, store=Store.of(str(tmp_path / "store")))
    await door.start("d1.1", "one", {"one": "alice's words"}, person="alice")
    await door.cancel("d1.1", "alice")
    await door.forget("alice")

    blobs = [path.read_text() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert not [text for text in blobs if "alice" in text]


async def test_a_host_with_a_disk_of_its_own_takes_away_what_was_forgotten_elsewhere(
    memory: Memory, server: Server, tmp_path: Path
) -> None:
    store = Store.of(str(tmp_path / "store"))
    here, there = (Runs(memory, tmp_path / name, {}, store=store) for name in ("here", "there"))
    for run in ("r1", "r2", "r3"):
        await here.start(run, "one", {}, person="alice" if run == "r1" else "bob")
        await there.depot.bring(run)
    for run in ("r1", "r2"):
        os.utime(there.folder / run / "run.json", (0, 0))
    await here.cancel("r1", "alice")
    await here.forget("alice")
    async with pool.carried(there, server.url, at_once=0, gpu=1, store=store):
        await until(lambda: not (there.folder / "r1").exists())

    assert sorted(path.name for path in there.folder.iterdir()) == ["r2", "r3"]


async def test_what_a_log_was_while_it_grew_leaves_the_store_after_some_days(memory: Memory, tmp_path: Path) -> None:
    door = Runs(memory, tmp_path / "runs", {}, store=Store.of(str(tmp_path / "store")))
    await door.start("r1", "one", {}, person="alice")
    log = door.folder / "r1" / "log" / "rows" / "1-0.jsonl"
    log.parent.mkdir(parents=True)
    for text in ("a", "ab"):
        log.write_text(text)
        files = await door.depot.keep("r1", ("log",))
        await memory.do("HSET", "run:r1:files", *[word for pair in files.items() for word in pair])
    blobs = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    for path in blobs:
        os.utime(path, (0, 0))
    await door.prune(older_s=None, most_bytes=None, referenced=())
    left = [path.read_text() for path in blobs if path.exists()]

    assert ("a" in left, "ab" in left, len(left)) == (False, True, len(blobs) - 1)


async def test_a_watch_ends_where_its_run_was_forgotten(door: Runs) -> None:
    await door.start("d1.1", "one", {}, person="alice")
    steps = door.watch("d1.1")
    assert (await anext(steps)).state == "waiting"
    await door.cancel("d1.1", "alice")
    assert await door.forget("alice") == []
    try:
        async with asyncio.timeout(8):  # MISSED_S and more
            with suppress(StopAsyncIteration):
                while (await anext(steps)).state == "waiting":
                    continue
    finally:
        await steps.aclose()  # type: ignore[attr-defined]


# --- children


async def test_a_child_has_no_secret_that_is_not_its_own(door: Runs, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABBOT_DISCORD_TOKEN", "token-of-the-bot")
    await door.start("r1", "one", {"one": "until=go"}, person="alice")
    folder = door.folder / "r1"
    async with carried(door, server):
        await until(lambda: began(folder))
        pid = (folder / "lock").read_text().split()[1]
        environment = await asyncio.to_thread(Path(f"/proc/{pid}/environ").read_bytes)
        (folder / "go").touch()
        await told(door, "r1")

    assert b"token-of-the-bot" not in environment


async def test_a_store_that_refuses_a_log_is_told_in_words(
    memory: Memory, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "SAVE_S", 0.05)
    store = Store.of(str(tmp_path / "store"))
    door = Runs(memory, tmp_path / "runs", {}, store=store)
    await door.start("r1", "one", {"one": "until=go"}, person="alice")
    folder = door.folder / "r1"
    async with carried(door, server, store=store):
        await until(lambda: began(folder))
        (folder / "log").mkdir()
        (folder / "log" / "x").symlink_to("y")
        (folder / "go").touch()
        last = (await told(door, "r1"))[-1]

    assert "ExceptionGroup" not in last.facts.get("cause", "")


async def test_an_export_has_what_other_hosts_made_of_a_run(memory: Memory, server: Server, tmp_path: Path) -> None:
    store = Store.of(str(tmp_path / "store"))
    here, there = (Runs(memory, tmp_path / name, {}, store=store) for name in ("here", "there"))
    await here.start("r1", "one", {}, person="alice")
    async with pool.carried(there, server.url, command=COMMAND, store=store):
        await told(there, "r1")
    found = await here.export("alice")

    assert found["r1"]["files"]["one.json"] == '{"by": 1}'


# --- by hand


async def test_tidying_a_host_leaves_runs_alone_that_were_performed_by_hand(memory: Memory, tmp_path: Path) -> None:
    entry = tmp_path / "compositional_skills" / "a" / "b" / "qna.yaml"
    entry.parent.mkdir(parents=True)
    entry.write_text("version: 3\ntask_description: d\ncreated_by: me\nseed_examples:\n- question: q\n  answer: a\n")
    data = tmp_path / "data"
    command = [sys.executable, "-m", "pipeline", "run", "contribution", str(entry), "--until", "precheck"]
    given = {"env": {**os.environ, "LABBOT_DATA": str(data), "LABBOT_HOME": str(HOME)}, "cwd": HOME, "capture_output": True}
    await asyncio.to_thread(subprocess.run, command, check=False, timeout=60, **given)
    (made,) = data.glob("*/hand-*/run.json")
    os.utime(made, (0, 0))
    door = Runs(memory, data / "runs", {}, store=Store.of(str(tmp_path / "store")))
    await door.depot.tidy()
    await door.prune(older_s=1.0, most_bytes=1, referenced=())

    assert made.exists()
