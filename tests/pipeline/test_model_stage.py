"""The recipe `model` sets a model up as a run: installed, brought or made, chosen; told on the way, stopped when asked."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path

import pytest
import yaml

from pipeline import recipe
from pipeline.embedded import Server
from pipeline.memory import Memory
from pipeline.models import catalog
from pipeline.models.catalog import Card
from pipeline.pool.worker import Pool
from pipeline.runs import Runs, Step
from tests.conftest import HOME
from tests.fakes import pip
from tests.fakes.hub import HubHost
from tests.pipeline import pool
from tests.pipeline.pool import until

BOUND_S = 30.0
NAME = "small-lab"
CONTENT = b"GGUF" + bytes(range(256)) * 4096
BOTH = "Collecting labbot-test-engine\n!installed labbot-test-engine\n!installed labbot-test-reader\n"
KNOWN = {
    "title": "Small Lab",
    "about": {"en": "A small one.", "de": "Ein kleines."},
    "licence": "Apache-2.0",
    "licence_url": "https://lab.example/licence",
    "parameters": 1,
    "context": 8192,
    "size_bytes": len(CONTENT),
    "kv_bytes": 1,
}


@pytest.fixture
def host() -> HubHost:
    return HubHost({"lab/small/small.gguf": CONTENT})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: HubHost) -> Iterator[Path]:
    """A checkout with two named models, a pip that has all that they need, and a hub that has the one."""
    monkeypatch.setenv("PYTHONPATH", pip.path(tmp_path / "site"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    made = tmp_path / "home"
    pip.put(tmp_path / "site", made, BOTH + "!installed labbot-test-trainer\n")
    small = {"repo": "lab/small", "file": "small.gguf", "sha256": hashlib.sha256(CONTENT).hexdigest()}
    (made / "configs" / "models").mkdir(parents=True)
    named = {NAME: KNOWN | small, "tiny": KNOWN | {"title": "Practice model"}}
    (made / "configs" / "models" / "named.yaml").write_text(yaml.safe_dump(named), encoding="utf-8")
    with host.up() as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def door(memory: Memory, tmp_path: Path, home: Path, folder: Path) -> Runs:
    both = {"home": str(home), "folder": str(folder)}
    return Runs(memory, tmp_path / "runs", {"engine": both, "model": both})


async def start(door: Runs, name: str = NAME, key: str = "") -> str:
    return await door.start(key or f"model-{name}", "model", {"name": name}, person="alice")


Carried = Callable[..., AbstractAsyncContextManager[Pool]]


@pytest.fixture
def carried(door: Runs, server: Server) -> Carried:
    return partial(pool.carried, door, server.url)


async def told(door: Runs, key: str = f"model-{NAME}", after: int = -1) -> list[Step]:
    return await pool.told(door, key, after, bound_s=BOUND_S)


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


# --- set up


async def test_a_model_is_installed_for_brought_and_chosen(door: Runs, carried: Carried, home: Path, folder: Path) -> None:
    await start(door)
    async with carried():
        steps = await told(door)

    acts = [(step.facts["stage"], step.facts.get("act", "")) for step in steps if step.state == "running" and step.facts]
    assert list(dict.fromkeys(acts)) == [
        ("engine", ""),
        ("engine", "collect"),
        ("engine", "installed"),
        ("model", "installed"),  # the facts of a run are kept until others come
        ("model", "fetch"),
        ("model", "check"),
        ("model", "chosen"),
    ]
    assert steps[-1].state == "done"
    last = {"title": "Small Lab", "name": NAME, "total": "1.0 MB", "licence": "Apache-2.0", "act": "chosen"}
    assert {key: steps[-1].facts[key] for key in last} == last
    assert catalog.chosen(folder) == NAME
    assert catalog.weights(folder, NAME).read_bytes() == CONTENT


async def test_what_is_there_already_is_free(door: Runs, carried: Carried, home: Path, folder: Path, host: HubHost) -> None:
    await start(door)
    async with carried():
        await told(door)
        (home / "asked.json").unlink()
        asked = len(host.asked)
        catalog.choose(folder, NAME)
        (folder / "chosen").unlink()
        await start(door, key="model-again")
        steps = await told(door, "model-again")

    assert (steps[-1].state, catalog.chosen(folder)) == ("done", NAME)
    assert (len(host.asked), (home / "asked.json").exists()) == (asked, False)


async def test_a_model_that_was_taken_away_is_brought_again_by_the_same_folder(
    door: Runs, carried: Carried, home: Path, folder: Path
) -> None:
    await start(door)
    async with carried():
        await told(door)
    catalog.remove(folder, NAME)
    done = [labpipe(door.folder / f"model-{NAME}", stage).returncode for stage in ("engine", "model")]

    assert (done, catalog.chosen(folder)) == ([0, 0], NAME)


async def test_the_practice_model_wants_what_trains_it_too(door: Runs, carried: Carried, home: Path) -> None:
    (home / "plan.txt").write_text("!exit 1\n", encoding="utf-8")
    await start(door, "tiny")
    async with carried():
        last = (await told(door, "model-tiny"))[-1]

    assert (last.state, json.loads((home / "asked.json").read_bytes())[-1]) == ("failed", ".[local,train]")


@pytest.mark.parametrize("name", ["tiny", "mine-q8_0"])
async def test_a_model_that_is_here_is_chosen_as_it_is(
    door: Runs, carried: Carried, home: Path, folder: Path, host: HubHost, name: str
) -> None:
    place = catalog.weights(folder, name)
    place.parent.mkdir(parents=True)
    place.write_bytes(b"GGUF")
    catalog.keep(folder, Card(name, "made on this machine", "Apache-2.0", 4, "0" * 64))
    await start(door, name)
    async with carried():
        last = (await told(door, f"model-{name}"))[-1]

    assert (last.state, catalog.chosen(folder), host.asked) == ("done", name, [])
    assert last.facts["title"] == ("Practice model" if name == "tiny" else name)
    assert json.loads((home / "asked.json").read_bytes())[-1] == ".[local]"


# --- refused, stopped, going on


async def test_a_machine_without_a_network_fails_with_the_command_to_type(
    door: Runs, carried: Carried, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    await start(door)
    async with carried(pauses_s=(0.01,)):
        steps = await told(door)

    last = steps[-1]
    assert list(dict.fromkeys(step.facts["try"] for step in steps if "again" in step.facts)) == ["1", "2"]
    assert (last.state, last.facts["by"], catalog.chosen(folder)) == ("failed", "Temporary", "")
    assert f"Type `labpipe model download {NAME}` when this machine is on the network" in last.facts["cause"]


async def test_a_machine_without_a_compiler_fails_with_what_to_install(door: Runs, carried: Carried, home: Path) -> None:
    (home / "plan.txt").write_text("CMake Error: CMAKE_CXX_COMPILER not set, after EnableLanguage\n!exit 1\n", encoding="utf-8")
    await start(door)
    async with carried():
        last = (await told(door))[-1]

    assert (last.state, last.facts["code"], last.facts["command"]) == ("failed", "engine.compiler", "make model")


async def test_a_name_that_there_is_not_is_refused_before_anything_is_installed(
    door: Runs, carried: Carried, home: Path
) -> None:
    await start(door, "nope")
    async with carried():
        last = (await told(door, "model-nope"))[-1]

    assert (last.state, last.facts["code"], last.facts["name"]) == ("failed", "catalog.unknown", "nope")
    assert not (home / "asked.json").exists()


async def test_a_disk_without_room_for_the_model_is_told_before_anything_is_installed(
    door: Runs, carried: Carried, home: Path
) -> None:
    path = home / "configs" / "models" / "named.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(str(len(CONTENT)), str(10**18)), encoding="utf-8")
    await start(door)
    async with carried():
        last = (await told(door))[-1]

    assert (last.state, last.facts["code"], last.facts["needed"]) == ("failed", "catalog.disk", "1100000000 GB")
    assert not (home / "asked.json").exists()


async def test_stopping_an_installation_ends_all_that_it_started(door: Runs, carried: Carried, home: Path) -> None:
    (home / "plan.txt").write_text(f"!hold\n{BOTH}", encoding="utf-8")
    await start(door)
    async with carried():
        await until((home / "held").exists)
        pids = [int(one) for one in (home / "held").read_text(encoding="utf-8").split()]
        before = [alive(pid) for pid in pids]
        await door.cancel(f"model-{NAME}", "alice")
        last = (await told(door))[-1]
        await until(lambda: not any(map(alive, pids)))

    assert (before, last.state) == ([True, True], "cancelled")


async def test_a_download_that_was_stopped_goes_on_when_it_is_started_again(
    door: Runs, carried: Carried, folder: Path, host: HubHost
) -> None:
    host.cuts, host.holds = [2**19], threading.Event()
    await start(door)
    try:
        async with carried():
            await until(host.held.is_set)
            await until(lambda: part_bytes(folder) >= 2**18)
            await door.cancel(f"model-{NAME}", "alice")
            stopped = (await told(door))[-1]
            came = part_bytes(folder)
            await start(door)
            done = (await told(door, after=stopped.number))[-1]
    finally:
        host.holds.set()

    assert (stopped.state, done.state, catalog.chosen(folder)) == ("cancelled", "done", NAME)
    assert [asked[2] for asked in host.asked if asked[1] == "storage"] == ["", f"bytes={came}-"]


def part_bytes(folder: Path) -> int:
    return sum(part.stat().st_size for part in (folder / NAME).glob(".*.part"))


# --- how long it may take


def labpipe(run: Path, stage: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pipeline", "stage", str(run), stage]
    return subprocess.run(command, cwd=HOME, env=os.environ, capture_output=True, text=True, timeout=60, check=False)


async def test_a_stage_that_names_its_own_time_is_given_it(door: Runs, carried: Carried) -> None:
    await start(door)
    async with carried(limit_s=0.01):
        last = (await told(door))[-1]

    assert (last.state, recipe.stages("model")[0].limit_s, recipe.stages("document")[0].limit_s) == ("done", 6 * 3600.0, 0.0)
