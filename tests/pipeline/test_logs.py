"""Logs: a line a record, tied to its run and to a person by a hash, without words, names and secrets."""

import asyncio
import json
import logging
import logging.handlers
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline import logs
from pipeline.errors import Failed, Invalid
from pipeline.secret import Mask

HOME = Path(__file__).resolve().parents[2]
KEY = bytes(range(32))


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before once the test is over."""
    found = logging.getLogger()
    before, level, raising = list(found.handlers), found.level, logging.raiseExceptions
    quiet = {name: logging.getLogger(name).level for name in logs.QUIET}
    yield found
    for one in [one for one in found.handlers if one not in before]:
        found.removeHandler(one)
        one.close()
    found.setLevel(level)
    logging.raiseExceptions = raising
    for name, was in quiet.items():
        logging.getLogger(name).setLevel(was)


def record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    told = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("labpipe.worker", logging.WARNING, __file__, 1, message, args, told)
    made.created = 1_800_000_000.1234
    return made


def test_a_record_is_an_object_on_a_line_with_what_it_is_about() -> None:
    with logs.about(run="k7", person="terminal:alice"), logs.about(stage="precheck", worker="box-1"):
        line = logs.Json(Mask(), KEY).format(record("%s took %.1f s\nor so", "it", 3.5))

    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2027-01-15T08:00:00.123Z",
        "level": "warning",
        "logger": "labpipe.worker",
        "message": "it took 3.5 s\nor so",
        "run": "k7",
        "stage": "precheck",
        "worker": "box-1",
        "person": logs.hashed("terminal:alice", KEY),
    }


def test_a_line_to_read_has_the_same() -> None:
    with logs.about(person="terminal:alice", run="k7"):
        line = logs.Text(Mask(), KEY).format(record("lost"))

    assert line.endswith(f" WARNING labpipe.worker lost [run=k7 person={logs.hashed('terminal:alice', KEY)}]")
    assert logs.Text(Mask(), KEY).format(record("lost")).endswith(" WARNING labpipe.worker lost")


def test_a_line_to_read_is_one_line_whatever_its_message_has() -> None:
    line = logs.Text(Mask(), KEY).format(record("told: %s", "a\n2026-01-01 INFO labbot all is well\r\x1b[2J"))

    assert [line.count(sign) for sign in "\n\r\x1b"] == [0, 0, 0]


def test_a_person_is_the_same_everywhere_and_nobody_without_the_key() -> None:
    found = logs.hashed("terminal:alice", KEY)

    assert (len(found), int(found, 16) > 0, found) == (12, True, logs.hashed("terminal:alice", KEY))
    assert found not in (logs.hashed("terminal:bob", KEY), logs.hashed("terminal:alice", KEY[::-1]))


async def test_what_a_record_is_about_is_its_tasks_own() -> None:
    told: list[dict[str, str]] = []
    both = asyncio.Barrier(2)

    async def carry(run: str) -> None:
        with logs.about(run=run):
            await both.wait()
            await asyncio.to_thread(lambda: told.append(json.loads(logs.Json(Mask(), KEY).format(record("on")))))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(carry("k1"))
        tasks.create_task(carry("k2"))

    assert sorted(one["run"] for one in told) == ["k1", "k2"]
    assert "run" not in json.loads(logs.Json(Mask(), KEY).format(record("off")))


def test_a_record_is_about_nothing_else() -> None:
    with pytest.raises(TypeError, match="not about words"), logs.about(words="zebra"):
        pass


@pytest.mark.parametrize("kind", [logs.Json, logs.Text])
def test_secrets_are_masked_wherever_they_stand(kind: type[logs.Json] | type[logs.Text]) -> None:
    with logs.about(worker="sesame+open"):
        line = kind(Mask(["sesame+open"]), KEY).format(record("redis://:word@host says %s", "sesame+open"))

    assert "sesame" not in line and ":word@" not in line and "redis://:***@host says ***" in line


def test_a_traceback_tells_kinds_and_places_alone() -> None:
    try:
        try:
            raise KeyError("zebra" + "word")
        except KeyError as error:
            raise ValueError("another zebra" + "word") from error
    except ValueError as error:
        found = record("it failed", error=error)

    told = json.loads(logs.Json(Mask(), KEY).format(found))
    assert "zebraword" not in str(told)
    assert ("ValueError" in told["error"], "KeyError" in told["error"], "test_logs.py" in told["error"]) == (True, True, True)
    assert "zebraword" not in logs.Text(Mask(), KEY).format(found)


def test_the_key_is_made_once_whoever_comes_first(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(logs.person_key, [tmp_path] * 32))

    assert len(keys) == 1 and [len(key) for key in keys] == [logs.KEY_BYTES]
    assert [path.name for path in tmp_path.iterdir()] == ["person.key"]
    assert stat.S_IMODE((tmp_path / "person.key").stat().st_mode) == 0o600


def test_a_key_that_is_none_is_said_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "person.key").write_text("no key", encoding="ascii")
    with pytest.raises(Failed, match=r"person\.key cannot be used: it is no key\. Remove it"):
        logs.person_key(tmp_path)
    (tmp_path / "person.key").write_text("", encoding="ascii")
    with pytest.raises(Failed, match="it is no key"):
        logs.person_key(tmp_path)


def test_the_log_is_a_file_that_only_its_owner_can_reach(tmp_path: Path, root: logging.Logger) -> None:
    folder = tmp_path / "data" / "log"
    logs.set_up(folder, "worker", {"LABBOT_REDIS_PASSWORD": "sesame-open"})
    with logs.about(run="k7"):
        logging.getLogger("labpipe.worker").info("the password is sesame-open")
    logging.getLogger("httpx").info("a request")

    text = (folder / "worker.log").read_text(encoding="utf-8")
    assert text.endswith(" INFO labpipe.worker the password is *** [run=k7]\n") and "request" not in text
    assert [stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (folder, folder / "worker.log")] == [0, 0]


@pytest.mark.parametrize(("form", "told"), [("json", True), ("text", False)])
def test_a_container_has_its_log_on_stderr_too(tmp_path: Path, form: str, told: bool) -> None:
    script = "import logging, os, pathlib; from pipeline import logs; "
    script += "logs.set_up(pathlib.Path(os.environ['FOLDER']), 'worker', os.environ); logging.getLogger('x').info('on')"
    environment = {**os.environ, "LABBOT_LOG": form, "FOLDER": str(tmp_path)}
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, cwd=HOME, env=environment, capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout == "" and done.stderr == (tmp_path / "worker.log").read_text(encoding="utf-8")
    assert (done.stderr.startswith("{") and json.loads(done.stderr)["message"] == "on") == told


def test_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="LABBOT_LOG: it says 'xml'"):
        logs.set_up(tmp_path, "worker", {"LABBOT_LOG": "xml"})


def test_the_file_is_turned_over_before_it_fills_the_disk(tmp_path: Path, root: logging.Logger) -> None:
    logs.set_up(tmp_path, "worker", {})
    handler = next(one for one in root.handlers if isinstance(one, logging.handlers.RotatingFileHandler))
    assert (handler.maxBytes, handler.backupCount) == (5_000_000, 3)
    handler.maxBytes = 200
    for number in range(40):
        logging.getLogger("labpipe.worker").info("line %d", number)

    files = {path.name: path for path in tmp_path.glob("worker.log*")}
    assert files.keys() == {"worker.log", "worker.log.1", "worker.log.2", "worker.log.3"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    assert "line 39\n" in files["worker.log"].read_text(encoding="utf-8")
