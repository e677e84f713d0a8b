import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.errors import Failed
from pipeline.touring.children import Children


@pytest.fixture
def children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Children]:
    """Children that find the modules which a test writes."""
    with Children({"PYTHONPATH": str(tmp_path), "TOLD": "this"}, tmp_path / "log") as made:
        yield made


def module(folder: Path, text: str) -> str:
    (folder / "told.py").write_text(text, encoding="utf-8")
    return "told"


def test_what_a_child_says_comes_line_by_line_in_the_environment_of_the_tour(children: Children, tmp_path: Path) -> None:
    name = module(tmp_path, "import os, sys\nprint(os.environ['TOLD'])\nprint(*sys.argv[1:])")

    assert list(children.lines(name, "a", "b")) == ["this", "a b"]
    assert children.started == []


def test_a_child_that_fails_is_told_with_its_last_words(children: Children, tmp_path: Path) -> None:
    name = module(tmp_path, "import sys\nprint('one')\nsys.exit('the disk is full')")
    with pytest.raises(Failed, match=r"`told x` ended with status 1: the disk is full"):
        list(children.lines(name, "x"))


def test_a_server_that_does_not_begin_is_told_with_its_last_words(children: Children, tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"`told` did not begin to serve: no port"):
        children.server(module(tmp_path, "import sys\nsys.exit('no port')"))


def test_all_that_was_started_is_ended_with_what_it_started_whatever_happens(tmp_path: Path) -> None:
    text = """
import json, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(json.dumps({"pid": child.pid}), flush=True)
sys.stdin.read()
"""
    with pytest.raises(KeyboardInterrupt), Children({"PYTHONPATH": str(tmp_path)}, tmp_path / "log") as children:
        told = children.server(module(tmp_path, text))
        pids = [children.started[0].pid, int(told["pid"])]
        raise KeyboardInterrupt
    alive = [one for one in map(_process, pids) if one and one.status() != psutil.STATUS_ZOMBIE]
    psutil.wait_procs(alive, timeout=10)

    assert [one for one in alive if one.is_running()] == []


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def test_the_facts_of_a_stage_come_with_how_far_it_is(children: Children, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(
        json.dumps({"recipe": "contribution", "inputs": {}, "settings": {}}), encoding="utf-8"
    )
    with pytest.raises(Failed, match="has no stage 'nothing'"):
        list(children.facts("stage", str(tmp_path / "run"), "nothing"))
