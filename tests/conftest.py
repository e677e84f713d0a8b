"""What every test may ask for: one real Redis a session, emptied for each test, and a small taxonomy checkout."""

import gc
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import psutil
import pytest
from _pytest.logging import caplog_records_key
from hypothesis import settings

from bot.keys import KEYS as BOT
from pipeline import demo
from pipeline.embedded import Server
from pipeline.github.keys import KEYS as GITHUB
from pipeline.memory import Memory, connect
from pipeline.pool.ledger import KEYS as PIPELINE
from tests import planted

# Two threads that wait for each other by spinning stand still once a third wants the cores; read when llama.cpp is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

MARK = "TESTS_OF_LABBOT"  # in the environment of every process that a test starts, whoever its parent is by then
os.environ[MARK] = str(os.getpid())

# No test asserts a time: another program may have the cores. Each run tries other examples, and `make faults` thousands.
settings.register_profile("labbot", deadline=None, max_examples=50)
settings.load_profile("labbot")

FONTS = ".ttf"  # matplotlib keeps the files open that it has drawn with
HOME = Path(__file__).resolve().parent.parent
MANY = 300  # modules
_imported = 0  # modules, when the living were last counted out


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many processes again as there are cores: a good part of what tests do is to wait."""
    cores = os.cpu_count() or 1
    return cores + (cores + 1) // 2


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Keep what was imported by now out of the searches for garbage to come: each would spend up to half a second on it."""
    global _imported
    if len(sys.modules) > _imported + MANY:
        gc.collect()
        gc.freeze()
        _imported = len(sys.modules)


@pytest.fixture(scope="session")
def one_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("redis"))
    made.up()
    yield made
    made.down()


@pytest.fixture(scope="session")
def server(one_redis: Server) -> Server:
    """The Redis; some modules have a `server` of their own kind."""
    return one_redis


@pytest.fixture
async def memory(server: Server) -> AsyncIterator[Memory]:
    """An empty Redis. What a test leaves in it stands in the tables of keys, and goes by itself as they say."""
    made = connect(server.url)
    await made.do("FLUSHALL")
    yield made
    wrong = [found async for name in made.keys("*") if (found := misplaced(name, await made.do("TTL", name)))]
    leaked = await planted.in_rows(made)
    await made.close()
    assert (wrong, leaked) == ([], [])


def misplaced(name: str, left_s: int) -> str:
    """What is wrong with a key: in no table, or staying longer than its table says. `left_s`: -1 for ever, -2 gone."""
    kinds = {
        **{key.pattern: 0 for key in BOT},
        **dict.fromkeys(GITHUB, 0),
        **{pattern: longest for pattern, (_, longest) in PIPELINE.items()},
    }
    longest = [s for pattern, s in kinds.items() if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^|]*?", re.escape(pattern)), name)]
    if not longest:
        return f"{name} is in no table of keys"
    if left_s != -2 and max(longest) and not 0 <= left_s <= max(longest):
        return f"{name} stays for {left_s} s"
    return ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What was printed and logged holds no planted token."""
    report = yield
    said = "".join(text for _, text in report.sections)
    if report.passed and planted.holds(said.encode(errors="replace")):
        report.outcome, report.longrepr = "failed", "a planted token was printed or logged"
    return report


@pytest.fixture(scope="session", autouse=True)
def no_token_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No file that tests made holds a planted token: no log, no run's folder, no settings of git's."""
    yield
    assert planted.in_files(tmp_path_factory.getbasetemp()) == []


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left(one_redis: Server, request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever the tests did: every process that they started is gone, and every file that they opened is closed."""
    before = {file.path for file in psutil.Process().open_files()}
    yield
    known = {os.getpid(), one_redis.process.pid if one_redis.process else 0}
    started = [*psutil.Process().children(recursive=True), *(one for one in psutil.process_iter() if _marked(one))]
    _, alive = psutil.wait_procs([one for one in started if one.pid not in known], timeout=10)
    left = [one.cmdline() for one in alive]
    for item in request.session.items:  # pytest holds on to what the last test had
        if given := getattr(item, "funcargs", None):
            given.clear()
        for records in item.stash.get(caplog_records_key, {}).values():
            records.clear()  # an error that was logged holds the frames that it went through, and they files
    gc.unfreeze()
    gc.collect()  # what nobody names any more closes its files
    files = {file.path for file in psutil.Process().open_files() if not file.path.endswith(FONTS)} - before

    assert (left, files) == ([], set())


def _marked(process: psutil.Process) -> bool:
    try:
        return process.environ().get(MARK) == str(os.getpid())
    except (psutil.Error, OSError):
        return False


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A taxonomy checkout as the demo is."""
    folder = tmp_path / "taxonomy"
    demo.make(folder, HOME / "configs" / "demo")
    return folder


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True).stdout.strip()
