"""The real program as a person starts it: a process, a pipe, a data folder, a Redis of its own."""

import asyncio
import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bot.platforms.terminal import run as terminal
from tests.conftest import HOME, git
from tests.pipeline import oracle

ENOUGH_S = 60


@pytest.fixture
def data(tmp_path: Path, shared_cache: None) -> Path:
    return tmp_path / "data"


def labbot(
    data: Path, *words: str, text: bytes | str = "", home: Path = HOME, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run labbot to its end; what it printed, as text."""
    given = text.encode() if isinstance(text, str) else text
    kept = {**os.environ, "LABBOT_DATA": str(data), "LABBOT_HOME": str(home), **environment}
    done = subprocess.run(
        [sys.executable, "-m", "bot", *words],
        input=given,
        capture_output=True,
        cwd=HOME,
        env=kept,
        timeout=ENOUGH_S,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def gone(data: Path) -> bool:
    """Whether the folder's server is gone, waiting a moment for its keeper."""
    end = time.monotonic() + 5
    while (data / "redis" / "redis.sock").exists() and time.monotonic() < end:
        time.sleep(0.02)
    return not (data / "redis" / "redis.sock").exists()


def test_a_transcript_through_a_pipe_ends_in_a_commit_that_upstream_accepts_in_both_modes(data: Path, tmp_path: Path) -> None:
    done = labbot(data, "terminal", "--plain", "--as", "alice", text=(HOME / "tests" / "transcripts" / "skill.txt").read_text())
    branch = re.search(r"On branch (labbot/orders-\w+), commit (\w+)", done.stdout)
    assert branch, done.stdout + done.stderr
    leaf = "compositional_skills/technology/tickets/orders"
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "-q", "-b", branch[1], str(data / "taxonomy"), str(copy))

    assert oracle.ask(copy / leaf / "qna.yaml") == {"ci": [0, 0], "ilab": [0, 0]}
    assert (copy / leaf / "attribution.txt").read_text().startswith("Title of work: Turn a short order into a ticket")
    assert (
        git(copy, "log", "-1", "--format=%(trailers:key=Signed-off-by)") == "Signed-off-by: Alice Example <alice@example.org>"
    )
    assert "alice@example.org" not in (copy / leaf / "qna.yaml").read_text()
    assert gone(data)


def test_plain_lines_through_a_pipe_are_a_conversation_too(data: Path) -> None:
    done = labbot(data, "terminal", "--plain", "--as", "alice", text="/skill\nGreet people\nquestion: a answer: b\n")

    assert "1. a → b" in done.stdout
    assert done.returncode == 0


def test_what_one_process_was_told_the_next_one_knows(data: Path) -> None:
    labbot(data, "terminal", "--plain", "--as", "alice", text="/skill\nGreet people\n")
    done = labbot(data, "terminal", "--plain", "--as", "alice", text="/draft\n")

    assert "Greet people · open" in done.stdout


def test_bytes_that_are_no_text_are_kept_and_told(data: Path) -> None:
    done = labbot(data, "terminal", "--plain", text=b"/skill\nGreet people\nquestion: caf\xe9 answer: b\n")

    assert "Character 4 is U+DCE9, which the file cannot hold. Your text is kept; take it out? " in done.stdout.replace(
        "\n", " "
    )


class Hands:
    """Somebody at a plain terminal: types, and reads until something was said."""

    def __init__(self, data: Path) -> None:
        environment = {**os.environ, "LABBOT_DATA": str(data)}
        self.leader, follower = os.openpty()
        command = [sys.executable, "-m", "bot", "terminal", "--plain", "--as", "alice"]
        self.process = subprocess.Popen(
            command, stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=HOME, env=environment
        )
        os.close(follower)
        self.heard = ""

    def type(self, line: str) -> None:
        os.write(self.leader, f"{line}\n".encode())

    def until(self, text: str) -> None:
        assert self.process.stdout
        end, handle = time.monotonic() + ENOUGH_S, self.process.stdout.fileno()
        while text not in self.heard:
            assert select.select([handle], [], [], max(0.0, end - time.monotonic()))[0], self.heard
            came = os.read(handle, 65_536).decode()
            assert came, self.heard
            self.heard += came

    def close(self) -> None:
        self.process.wait(ENOUGH_S)
        assert self.process.stdout
        self.process.stdout.close()
        os.close(self.leader)


def test_a_killed_process_loses_nothing_and_its_redis_is_gone_too(data: Path) -> None:
    alice = Hands(data)
    alice.type("/skill")
    alice.type("Greet people")
    alice.until("First example.")
    alice.process.kill()
    alice.close()

    assert gone(data)
    assert "Greet people · open" in labbot(data, "terminal", "--plain", "--as", "alice", text="/draft\n").stdout


def test_redis_that_dies_in_the_middle_is_waited_for_and_nothing_is_lost(data: Path) -> None:
    alice = Hands(data)
    alice.type("/skill")
    alice.type("Greet people")
    alice.until("First example.")
    with redis.Redis(unix_socket_path=str(data / "redis" / "redis.sock")) as client:
        pid = client.info()["process_id"]  # type: ignore[index]
    os.kill(pid, signal.SIGKILL)
    alice.type("question: a answer: b")
    alice.until("Example 2 of 5.")
    alice.type("/quit")
    alice.close()

    assert "1. a → b" in alice.heard


def test_ctrl_c_leaves_a_plain_terminal_at_once(data: Path) -> None:
    alice = Hands(data)
    alice.until("[Teach a skill]")
    alice.process.send_signal(signal.SIGINT)
    alice.close()

    assert (alice.process.returncode, gone(data)) == (130, True)


def test_a_line_that_the_terminal_cut_is_told(data: Path) -> None:
    alice = Hands(data)
    alice.type("/skill")
    alice.until("in one sentence?")
    alice.type("x" * 5000)
    alice.until("Your terminal cuts lines at 4095 bytes")
    alice.until("First example.")
    alice.type("/quit")
    alice.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB that can be filled."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_waited_for_and_what_was_typed_meanwhile_is_taken(small: Path) -> None:
    alice = Hands(small / "data")
    alice.type("/skill")
    alice.type("Greet people")
    alice.until("First example.")
    with contextlib.suppress(OSError), (small / "fill").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 256)
    for letter in "abc":  # what one of them needs is more than a page that has room left in it
        alice.type(f"question: {letter} answer: {letter * 3000}")
    alice.until("I go on when it is back.")
    (small / "fill").unlink()
    alice.until("Example 4 of 5.")
    alice.type("/quit")
    alice.close()

    assert alice.heard.count("I go on when it is back.") == 1
    assert "Traceback" not in alice.heard


def test_two_people_share_one_data_folder(data: Path) -> None:
    labbot(data, "terminal", "--plain", "--as", "alice", text="/skill\nGreet people\n/invite @bob\n")
    done = labbot(data, "terminal", "--plain", "--as", "bob", text="[press] Write along\nquestion: a answer: b\n")

    assert "alice invites you to write along: Greet people" in done.stdout
    assert "1. a → b" in done.stdout


def test_a_configuration_with_five_mistakes_tells_all_five_with_their_paths(data: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(HOME / "configs", home / "configs")
    (home / "configs" / "bot.yaml").write_text(
        "roles:\n  everyone: {quotas: {draft: often}, weight: -1}\n"
        "taxonomy: {branch: '-x'}\nruns: {timeout_s: soon}\nwebhooks: 3\n"
    )
    done = labbot(data, "terminal", "--plain", home=home)

    places = [line.partition(": ")[2].partition(":")[0] for line in done.stderr.splitlines()]
    wanted = ["roles.everyone.weight", "taxonomy.branch", "runs.timeout_s", "webhooks", "roles.everyone.quotas.draft"]
    assert (sorted(places), done.returncode) == (sorted(wanted), 2)


def test_an_operators_redis_is_used_and_what_it_would_lose_is_said(data: Path, tmp_path: Path) -> None:
    from pipeline import embedded

    socket = tmp_path / "own.sock"
    command = [str(embedded.binary()), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    command += ["--dir", str(tmp_path), "--requirepass", "secret"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            time.sleep(0.01)
        done = labbot(data, "terminal", "--plain", text="/help\n", LABBOT_REDIS_URL=f"unix://:secret@{socket}?db=0")
    finally:
        server.terminate()
        server.wait()

    assert "What I understand:" in done.stdout
    assert "a power cut or a restart would lose everything" in done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_an_operators_redis_that_does_not_answer_is_a_sentence_and_status_one(data: Path) -> None:
    done = labbot(data, "terminal", "--plain", LABBOT_REDIS_URL="redis://127.0.0.1:1/0")

    assert (done.returncode, done.stderr.startswith("no Redis answers at LABBOT_REDIS_URL")) == (1, True)


def test_people_are_private_to_whoever_runs_labbot(tmp_path: Path) -> None:
    data = tmp_path / "data"
    labbot(data, "terminal", "--plain", text="/skill\nGreet people\n")

    assert data.stat().st_mode & 0o077 == 0


def test_nothing_typed_is_in_the_log(data: Path) -> None:
    labbot(
        data, "terminal", "--plain", text="/skill\nGreet zanzibar\nquestion: zanzibar answer: zanzibar\n/nonsense zanzibar\n"
    )

    assert "zanzibar" not in (data / "log" / "labbot.log").read_text()


async def test_everything_goes_on_while_a_terminal_waits_for_the_next_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that is told twice of one line would wait for the next one with the whole loop."""
    ours, theirs = os.openpty()
    went_on, seen = threading.Event(), list[bool]()

    def type_another() -> None:
        seen.append(went_on.wait(5.0))  # or it hangs
        os.write(ours, b"two\n")

    with os.fdopen(theirs, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        lines = terminal._lines(lambda: None)
        os.write(ours, b"one\n")
        assert await anext(lines) == "one"
        typing = threading.Thread(target=type_another)
        typing.start()
        following = asyncio.ensure_future(anext(lines))
        for _ in range(20):
            await asyncio.sleep(0)
        went_on.set()
        assert await following == "two"
        typing.join()
        await lines.aclose()
    os.close(ours)

    assert seen == [True]
