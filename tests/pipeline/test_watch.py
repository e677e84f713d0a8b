"""`labpipe check --watch`, the real program: it judges at once, again at every change, and ends with its last status."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.conftest import HOME

GOOD = (
    HOME / "configs" / "demo" / "compositional_skills" / "linguistics" / "rewriting" / "plain_words" / "qna.yaml"
).read_text()
WARNED = GOOD.replace("created_by: ", "created_by:  ")
DEADLINE_S = 60


class Watch:
    """A running `labpipe check --watch`: its lines as they come, each with a deadline."""

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self.child = child
        self.lines: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.child.stdout
        for line in self.child.stdout:
            self.lines.put(line.rstrip("\n"))

    def said(self, count: int = 1) -> list[str]:
        return [self.lines.get(timeout=DEADLINE_S) for _ in range(count)]

    def interrupted(self) -> tuple[int, str]:
        """Its status after Ctrl-C, which a terminal sends to a program and all its children, and its standard error."""
        os.killpg(self.child.pid, signal.SIGINT)
        assert self.child.stderr
        return self.child.wait(DEADLINE_S), self.child.stderr.read()


@contextmanager
def watching(folder: Path, *words: str) -> Iterator[Watch]:
    with _ctrl_c_heard():
        command = [sys.executable, "-m", "pipeline", "check", "--watch", *words]
        environment = {**os.environ, "PYTHONPATH": str(HOME)}
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    with child:
        watch = Watch(child)
        try:
            yield watch
        finally:
            child.kill()
            watch.reader.join(DEADLINE_S)


@contextmanager
def _ctrl_c_heard() -> Iterator[None]:
    """A child that a shell's background job starts would inherit that Ctrl-C is ignored."""

    def heard(number: int, frame: FrameType | None) -> Any:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def saved(path: Path, text: str) -> None:
    """As editors save: a file beside it, then a rename."""
    beside = path.with_name(f".{path.name}.swp")
    beside.write_text(text)
    beside.rename(path)


def test_a_file_is_judged_at_once_and_at_every_change_and_the_last_verdict_is_the_status(tmp_path: Path) -> None:
    path = tmp_path / "qna.yaml"
    path.write_text(GOOD)
    with watching(tmp_path, "qna.yaml") as watch:
        said = watch.said()
        saved(path, "version: 2\n")
        said += watch.said()
        findings = watch.said(4)
        saved(path, WARNED)
        said += watch.said()
        warning = watch.said()
        path.write_text("")
        said += watch.said()
        watch.said()
        path.unlink()
        said += watch.said()
        watch.said()

        assert said == [
            "-- qna.yaml: nothing to mend",
            "-- qna.yaml changed: 4 errors",
            "-- qna.yaml changed: 1 warning",
            "-- qna.yaml changed: 1 warning",
            "-- qna.yaml changed: 1 error",
        ]
        assert findings[0].startswith("qna.yaml:1:") and findings[0].endswith("]")
        assert "[lint.colons]" in warning[0]
        assert watch.interrupted() == (1, "")


def test_ctrl_c_after_a_good_verdict_is_nought(tmp_path: Path) -> None:
    path = tmp_path / "qna.yaml"
    path.write_text("version: 2\n")
    with watching(tmp_path, str(path)) as watch:
        watch.said(5)
        saved(path, GOOD)

        assert watch.said() == [f"-- {path} changed: nothing to mend"]
        assert watch.interrupted() == (0, "")


def test_a_path_that_is_not_there_yet_is_judged_once_it_is_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "compositional_skills" / "arts" / "qna.yaml"
    with watching(tmp_path, "compositional_skills/arts/qna.yaml") as watch:
        missing = watch.said(2)
        path.parent.mkdir(parents=True)
        saved(path, GOOD)

        assert missing[0] == "-- compositional_skills/arts/qna.yaml: 1 error"
        assert watch.said() == ["-- compositional_skills/arts/qna.yaml changed: nothing to mend"]
        assert watch.interrupted() == (0, "")


def test_a_tree_is_judged_with_entries_that_come_later_and_what_lies_beside_them(tmp_path: Path) -> None:
    leaf = tmp_path / "tree" / "compositional_skills" / "arts" / "colours"
    (tmp_path / "tree").mkdir()
    with watching(tmp_path, "--mode", "ilab", "tree") as watch:
        said = watch.said()
        leaf.mkdir(parents=True)
        (leaf / "notes.txt").write_text("no entry")
        saved(leaf / "qna.yaml", GOOD)
        said += watch.said()
        watch.said()
        saved(leaf / "attribution.txt", "Title of work: x\n")
        said += watch.said()

        place = "tree/compositional_skills/arts/colours"
        assert said == [
            "-- tree: nothing to mend",
            f"-- {place}/qna.yaml changed: 1 warning",
            f"-- {place}/attribution.txt changed: nothing to mend",
        ]


def test_ctrl_c_in_the_midst_of_a_large_tree_is_no_traceback(tmp_path: Path) -> None:
    for number in range(400):
        folder = tmp_path / "tree" / "compositional_skills" / f"n{number}"
        folder.mkdir(parents=True)
        (folder / "qna.yaml").write_text(GOOD)
    with watching(tmp_path, "tree") as watch:
        watch.said(401)
        saved(folder / "qna.yaml", WARNED)
        status, error = watch.interrupted()

        assert (status, error) == (1, "")


@pytest.mark.parametrize("form", ["json", "github"])
def test_watching_speaks_text_only(form: str) -> None:
    command = [sys.executable, "-m", "pipeline", "check", "--watch", "--format", form, "qna.yaml"]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr.endswith(f"--watch says what it finds as text, not as {form}; leave one of the two out\n")


def test_the_library_that_watches_is_loaded_by_watching_only() -> None:
    code = "import sys, pipeline.__main__ as one; one.main(['check', 'none.yaml']); print('watchfiles' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HOME, check=True)

    assert done.stdout.splitlines()[-1] == "False"
