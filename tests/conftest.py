"""What every test may ask for: one real Redis a session, emptied for each test, and a small taxonomy checkout."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from pipeline import demo
from pipeline.embedded import Server
from pipeline.memory import Memory, connect

# Two threads that wait for each other by spinning stand still once a third wants the cores; read when llama.cpp is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

settings.register_profile("labbot", deadline=None)  # no test asserts a time: another program may have the cores
settings.load_profile("labbot")

HOME = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("redis"))
    made.up()
    yield made
    made.down()


@pytest.fixture
async def memory(server: Server) -> AsyncIterator[Memory]:
    made = connect(server.url)
    await made.do("FLUSHALL")
    yield made
    await made.close()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A taxonomy checkout as the demo is."""
    folder = tmp_path / "taxonomy"
    demo.make(folder, HOME / "configs" / "demo")
    return folder


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True).stdout.strip()
