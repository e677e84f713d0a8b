"""A file is there whole, old or new, and what stood in the way of writing it is said."""

import hashlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import Failed
from pipeline.files import digest, file_digest, write

HOME = Path(__file__).resolve().parents[2]


class Killed(BaseException):
    """What a test raises where a process would end."""


def found(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("content", ["été\n", "été\n".encode(), b"", b"\0\xff"])
def test_what_is_written_is_there_and_nothing_else(tmp_path: Path, content: str | bytes) -> None:
    write(tmp_path / "deep" / "er" / "a.txt", content)

    assert found(tmp_path) == {"deep/er/a.txt": content.encode() if isinstance(content, str) else content}


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("error", [Killed(), OSError(5, "Input/output error")])
def test_a_write_that_is_cut_short_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    write(tmp_path / "a.txt", "old")

    def cut(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, call, cut)
    with pytest.raises((Killed, Failed)):
        write(tmp_path / "a.txt", "new")

    assert found(tmp_path) == {"a.txt": b"old"}


def test_a_process_that_is_killed_before_the_rename_leaves_the_old_file_whole(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "old")
    script = (
        "import os, signal, sys; from pathlib import Path; from pipeline.files import write\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write(Path(sys.argv[1]), 'new')"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.txt")], cwd=HOME, timeout=30, check=False)

    assert (ended.returncode, (tmp_path / "a.txt").read_bytes()) == (-signal.SIGKILL, b"old")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)], check=False).returncode:
        pytest.skip("only root can mount a small disk, and not everywhere")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_and_the_old_file_stays(small_disk: Path) -> None:
    write(small_disk / "a.txt", "old")
    with pytest.raises(Failed) as told:
        write(small_disk / "a.txt", b"x" * 1_000_000)

    assert str(told.value) == "a.txt could not be written: No space left on device"
    assert found(small_disk) == {"a.txt": b"old"}


def test_a_file_above_the_systems_limit_is_told_and_the_old_file_stays(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(Failed) as told:
            write(tmp_path / "a.txt", b"x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert str(told.value) == "a.txt could not be written: File too large"
    assert found(tmp_path) == {"a.txt": b"old"}


def test_a_place_that_cannot_be_written_is_told_by_the_files_name(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("x", encoding="utf-8")
    with pytest.raises(Failed) as told:
        write(tmp_path / "in the way" / "deep" / "a.txt", "x")

    assert str(told.value) == "a.txt could not be written: Not a directory"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Failed) as told:
        write(tmp_path / "a.txt", "x")
    tmp_path.chmod(0o700)

    assert str(told.value) == "a.txt could not be written: Permission denied"


def test_a_folder_in_the_files_place_is_told_and_leaves_no_part(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(Failed) as told:
        write(tmp_path / "a.txt", "x")

    assert (str(told.value), found(tmp_path)) == ("a.txt could not be written: Is a directory", {})


def test_a_digest_is_that_of_the_bytes_wherever_they_lie(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    same = f"sha256:{hashlib.sha256(b'abc').hexdigest()}"

    assert (digest(b"abc"), file_digest(tmp_path / "a")) == (same, same)
