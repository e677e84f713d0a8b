"""One model server a data folder, shared by every process: started, told of, restarted with its reason, taken over."""

import asyncio
import fcntl
import json
import logging
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import EndpointConfig, RolesConfig
from pipeline.models import catalog, child, turn
from pipeline.models.endpoint import Options
from pipeline.models.host import TRAINING, Models, Served
from tests.conftest import HOME
from tests.pipeline.models import random_gguf

BOUND_S = 20.0
LOOK_S = 0.005

# A server for these tests: it notes that it began, says where it answers, and ends as its folder says or with its stdin.
STAND_IN = """
import json, os, sys, time
from pathlib import Path
folder, name = Path(sys.argv[1]), sys.argv[-1]
with (folder / "began").open("a") as file:
    file.write(json.dumps([name, os.getpid(), os.environ["LABBOT_SERVE_KEY"]]) + "\\n")
(folder / "environment").write_text(json.dumps(dict(os.environ)))
print("a library says something", flush=True)
fault = folder / "fault"
if fault.exists():
    why = fault.read_text()
    fault.unlink()
    print("the first line", "the reason", sep="\\n", file=sys.stderr, flush=True)
    os.kill(os.getpid(), int(why)) if why.isdecimal() else sys.exit(3)
if (folder / "slow").exists():
    sys.stdin.read()
    sys.exit(0)
print(json.dumps({"url": f"http://127.0.0.1:{os.getpid()}/v1", "model": name}), flush=True)
sys.stdin.read()
"""

KEEPER = """
import asyncio, os, sys
from pathlib import Path
from pipeline.config import RolesConfig
from pipeline.models.host import Models
folder = Path(sys.argv[1])
models = Models(RolesConfig(), folder, os.environ, command=sys.argv[2:], look_s=0.005)
asyncio.run(models.keep())
"""


@dataclass
class Place:
    """A folder of models, and what its servers did."""

    folder: Path
    kept: list["asyncio.Task[None]"] = field(default_factory=list)

    @property
    def command(self) -> tuple[str, ...]:
        return (sys.executable, "-c", STAND_IN, str(self.folder))

    def models(self, roles: RolesConfig | None = None, **settings: Any) -> Models:
        settings = {"command": self.command, "first_pause_s": 0.01, "look_s": LOOK_S, **settings}
        return Models(roles or RolesConfig(), self.folder, os.environ, **settings)

    def add(self, name: str) -> None:
        (self.folder / name).mkdir()
        (self.folder / name / "model.gguf").write_bytes(b"GGUF")
        catalog.keep(self.folder, catalog.Card(name, "here", "Apache-2.0", 4, "0" * 64))

    def began(self) -> list[tuple[str, int, str]]:
        """Name, process and key of every server that was started."""
        with suppress(FileNotFoundError):
            return [tuple(json.loads(line)) for line in (self.folder / "began").read_text().splitlines()]
        return []

    def told(self) -> Served:
        return Served(**json.loads((self.folder / "serve.json").read_bytes()))

    def free(self) -> bool:
        """Whether nobody holds the lock."""
        with (self.folder / "serve.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
        return True


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.add("tiny")
    catalog.choose(tmp_path, "tiny")
    return made


@asynccontextmanager
async def keeping(models: Models) -> AsyncIterator[None]:
    task = asyncio.create_task(models.keep())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await models.close()
        assert task.cancelled() or not task.exception(), task.exception()


async def until(holds: Callable[[], Any]) -> Any:
    async with asyncio.timeout(BOUND_S):
        while True:
            with suppress(OSError, ValueError):
                if found := holds():
                    return found
            await asyncio.sleep(LOOK_S)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return b"\nState:\tZ" in Path(f"/proc/{pid}/status").read_bytes() if Path("/proc").is_dir() else False


# --- who is asked


async def test_a_configured_endpoint_is_ready_and_keeps_no_server(place: Place) -> None:
    everyone = EndpointConfig(url="http://127.0.0.1:1/v1", model="m")
    roles = RolesConfig(**{role: everyone.model_dump() for role in ("chat", "teacher", "judge", "embeddings")})
    models = place.models(roles)
    await asyncio.wait_for(models.keep(), BOUND_S)  # there is nothing to keep

    assert (models.state("chat"), models.state("judge"), place.began()) == ("ready", "ready", [])
    assert models.client("chat") is models.client("teacher")
    await models.close()


async def test_where_nothing_is_configured_and_no_model_chosen_there_is_none(tmp_path: Path) -> None:
    models = Place(tmp_path).models()
    async with keeping(models):
        await asyncio.sleep(5 * LOOK_S)

        assert (models.state("chat"), models.client("chat")) == ("absent", None)
        assert not (tmp_path / "serve.json").exists()


# --- one server


async def test_a_server_starts_with_a_key_of_its_own_and_is_told_of_in_a_file_of_ones_own(place: Place) -> None:
    (place.folder / "slow").touch()
    models = place.models()
    async with keeping(models):
        await until(lambda: place.began() and place.told())
        assert (models.state("chat"), models.client("chat"), place.told().state) == ("starting", None, "starting")

    (place.folder / "slow").unlink()
    async with keeping(models):
        await until(lambda: models.state("chat") == "ready")
        name, pid, key = place.began()[-1]
        told = place.told()

        assert told == Served(f"http://127.0.0.1:{pid}/v1", key, pid, name, "ready")
        assert (len(key) >= 32, key not in repr(told)) == (True, True)
        assert stat.S_IMODE((place.folder / "serve.json").stat().st_mode) == 0o600
        assert models.client("chat") is models.client("chat") is not None
    assert gone(pid)
    assert (place.free(), (place.folder / "serve.json").exists(), models.state("chat")) == (True, False, "starting")


async def test_every_process_of_a_folder_shares_one_server_and_the_next_takes_over(place: Place) -> None:
    first, second = place.models(), place.models()
    async with AsyncExitStack() as later, AsyncExitStack() as sooner:
        await sooner.enter_async_context(keeping(first))
        await until(lambda: first.state("chat") == "ready")
        await later.enter_async_context(keeping(second))
        await until(lambda: second.client("judge"))
        assert len(place.began()) == 1
        await sooner.aclose()
        await until(lambda: len(place.began()) == 2 and second.state("chat") == "ready")
    [one, other] = place.began()

    assert one[2] != other[2]
    assert gone(one[1])
    assert gone(other[1])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("status", "The model server of tiny ended with status 3: the first line; the reason"),
        ("9", "The model server of tiny ended by SIGKILL (the system ends a process so when memory is short): the first line"),
        ("6", "The model server of tiny ended by SIGABRT (llama.cpp ends its process so"),
    ],
)
async def test_a_server_that_dies_is_started_again_and_its_end_told(
    place: Place, caplog: pytest.LogCaptureFixture, fault: str, said: str
) -> None:
    caplog.set_level(logging.ERROR)
    (place.folder / "fault").write_text(fault, encoding="utf-8")
    models = place.models(first_pause_s=0.2)
    async with keeping(models):
        cause = await until(lambda: models.cause)
        assert models.state("chat") == "starting"
        await until(lambda: models.state("chat") == "ready")
        assert models.cause == ""

    assert cause.startswith(said)
    assert [record.getMessage() for record in caplog.records] == [cause]
    assert len(place.began()) == 2


async def test_a_server_that_is_killed_at_work_comes_back_with_another_client(place: Place) -> None:
    models = place.models()
    async with keeping(models):
        await until(lambda: models.state("chat") == "ready")
        before = models.client("chat")
        os.kill(place.told().pid, signal.SIGKILL)
        await until(lambda: len(place.began()) == 2 and models.state("chat") == "ready")

        assert models.client("chat") is not before
        assert len(models._clients) == 1


async def test_another_choice_stops_the_server_and_starts_one_with_that_model(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    place.add("small")
    models = place.models()
    async with keeping(models):
        await until(lambda: models.state("chat") == "ready")
        catalog.choose(place.folder, "small")
        assert models.state("chat") == "starting"
        await until(lambda: models.state("chat") == "ready")
        assert place.told().model == "small"
        (place.folder / "chosen").unlink()
        assert models.state("chat") == "absent"
        await until(place.free)
        catalog.choose(place.folder, "tiny")
        await until(lambda: models.state("chat") == "ready")

    assert [name for name, _, _ in place.began()] == ["tiny", "small", "tiny"]
    assert caplog.messages == []


async def test_what_a_crash_left_behind_is_never_believed(place: Place) -> None:
    left = Served("http://127.0.0.1:9/v1", "old", os.getpid(), "tiny", "ready")  # its number was given to another process
    (place.folder / "serve.lock").touch()
    models = place.models()
    for content in (json.dumps(vars_of(left)), "", "{", "[]", '{"url": 1}'):
        (place.folder / "serve.json").write_text(content, encoding="utf-8")
        assert (models.state("chat"), models.client("chat")) == ("starting", None)

    async with keeping(models):
        await until(lambda: models.state("chat") == "ready")
        assert place.told().key != "old"


async def test_what_a_crash_left_is_not_believed_either_while_the_next_keeper_begins(place: Place) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:  # noqa: ASYNC220, at once
        pass
    left = Served("http://127.0.0.1:9/v1", "old", ended.pid, "tiny", "ready")
    (place.folder / "serve.json").write_text(json.dumps(vars_of(left)), encoding="utf-8")
    with (place.folder / "serve.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        assert place.models().state("chat") == "starting"


def vars_of(served: Served) -> Mapping[str, Any]:
    return {name: getattr(served, name) for name in served.__slots__}


async def test_a_server_is_told_no_secret_but_its_own(place: Place) -> None:
    secrets = {"DISCORD_TOKEN": "t-1", "LABBOT_VAULT_KEY": "k-1", "LABBOT_REDIS_URL": "redis://:p-1@host"}
    models = Models(RolesConfig(), place.folder, {**os.environ, **secrets}, command=place.command, look_s=LOOK_S)
    async with keeping(models):
        await until(lambda: models.state("chat") == "ready")
        told = json.loads((place.folder / "environment").read_bytes())

    assert (told["LABBOT_SERVE_KEY"], set(told) & set(secrets)) == (place.began()[0][2], set())
    assert told["PATH"] == os.environ["PATH"]


async def test_further_words_that_cannot_be_read_are_told(real: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    environment = {**os.environ, "LABBOT_SERVE": "--slots '2"}
    async with keeping(Models(RolesConfig(), real.folder, environment, first_pause_s=0.001, look_s=LOOK_S)):
        await until(lambda: caplog.messages)

    assert caplog.messages == ["LABBOT_SERVE cannot be read: No closing quotation"]


def test_front_ends_load_no_engine_to_know_of_models() -> None:
    code = "import sys, pipeline.models.host; print(sorted({'llama_cpp', 'openai', 'starlette', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "[]"


# --- killed


async def test_a_keeper_that_is_killed_takes_its_server_with_it_and_another_begins(place: Place) -> None:
    keeper = subprocess.Popen([sys.executable, "-c", KEEPER, str(place.folder), *place.command], cwd=HOME)  # noqa: ASYNC220, at once
    try:
        watcher = place.models()
        await until(lambda: watcher.state("chat") == "ready")
        [(_, first, _)] = place.began()
        async with keeping(watcher):
            keeper.kill()
            await until(lambda: len(place.began()) == 2 and watcher.state("chat") == "ready")

            assert gone(first)
            assert place.told().pid != first
    finally:
        keeper.kill()
        keeper.wait()


async def test_a_child_that_does_not_end_when_asked_is_made_to(tmp_path: Path) -> None:
    stubborn = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); sys.stdin.read()"
    words = (sys.executable, "-c", stubborn)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, start_new_session=True)
    assert process.stdout
    await process.stdout.readline()
    await child.end(process, 0.05)

    assert child.how(process.returncode or 0).startswith("by SIGKILL")


# --- the real one


@pytest.fixture
def real(tmp_path: Path) -> Place:
    made = Place(tmp_path / "models")
    (made.folder / "random").mkdir(parents=True)
    path = random_gguf.make(made.folder / "random" / "model.gguf")
    catalog.keep(made.folder, catalog.Card("random", "here", "Apache-2.0", path.stat().st_size, "0" * 64))
    catalog.choose(made.folder, "random")
    return made


async def test_the_real_server_answers_after_it_was_killed_and_ends_with_its_keeper(real: Place) -> None:
    environment = {**os.environ, "LABBOT_SERVE": "--slots 2 --threads 1"}
    models = Models(RolesConfig(), real.folder, environment, first_pause_s=0.01, look_s=LOOK_S)
    pids = [0]
    async with keeping(models):
        for _ in range(2):
            await until(lambda: models.state("chat") == "ready" and real.told().pid != pids[-1])
            pids.append(real.told().pid)
            client = models.client("chat")
            assert client
            asked = [{"role": "user", "content": "hello"}]
            pieces = [one async for one in client.stream(asked, options=Options(max_tokens=5, temperature=0))]
            assert (pieces[-1].finish, await client.count(asked) > 0) == ("length", True)
            os.kill(pids[-1], signal.SIGKILL)
        await until(lambda: models.state("chat") == "ready" and real.told().pid != pids[-1])
        pids.append(real.told().pid)

    assert [gone(pid) for pid in pids[1:]] == [True] * 3
    assert real.free()


# --- turns with a training


async def test_a_training_gets_the_accelerator_and_the_server_comes_back_after_it(place: Place) -> None:
    async with keeping(models := place.models(shares=True)):
        await until(lambda: models.state("chat") == "ready")
        first = place.told().pid
        async with training(place.folder):
            assert gone(first)
            await until(lambda: place.told().cause == TRAINING)
            assert models.state("chat") == "starting"
        await until(lambda: models.state("chat") == "ready")
    assert len(place.began()) == 2


async def test_a_server_and_a_training_without_an_accelerator_run_beside_each_other(place: Place) -> None:
    async with keeping(models := place.models(shares=False)):
        await until(lambda: models.state("chat") == "ready")
        async with training(place.folder):
            assert models.state("chat") == "ready"
    assert len(place.began()) == 1


@asynccontextmanager
async def training(folder: Path) -> AsyncIterator[None]:
    """What a training does, in a thread: it waits as long as it must."""
    turned = turn.training(folder, lambda _waited: None)
    await asyncio.to_thread(turned.__enter__)
    try:
        yield
    finally:
        turned.__exit__(None, None, None)
