"""`labpipe serve` as a process: one line when it answers, an end when it is asked to or its parent is gone, and reasons."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import HOME

BOUND_S = 30.0

# What stands in for a vLLM: its health, its settings in a file, and another process that it started.
VLLM = """
import json, os, subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
words = sys.argv[1:]
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
told = {"words": words, "key": os.environ.get("VLLM_API_KEY"), "lora": os.environ["VLLM_ALLOW_RUNTIME_LORA_UPDATING"]}
with open(os.environ["TOLD"], "w") as file:
    json.dump({**told, "pids": [os.getpid(), helper.pid]}, file)
if "fails" in words[words.index("serve") + 1]:
    sys.exit(7)
class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *words):
        pass
HTTPServer(("127.0.0.1", int(words[words.index("--port") + 1])), Health).serve_forever()
"""


@contextmanager
def serving(*words: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "serve", "--port", "0", *words],
        cwd=HOME,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe
            pipe.close()


def line(process: "subprocess.Popen[str]") -> dict[str, str]:
    """What it says when it answers."""
    assert process.stdout
    said = process.stdout.readline()
    assert said, process.communicate()[1]
    found: dict[str, str] = json.loads(said)
    return found


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return b"\nState:\tZ" in Path(f"/proc/{pid}/status").read_bytes() if Path("/proc").is_dir() else False


def until_gone(*pids: int) -> None:
    end = time.monotonic() + BOUND_S
    while not all(map(gone, pids)):
        assert time.monotonic() < end, "it goes on"
        time.sleep(0.01)


# --- our engine


def test_it_says_where_it_answers_and_ends_well_when_it_is_asked_to(gguf_file: Path) -> None:
    with serving(str(gguf_file), LABBOT_SERVE_KEY="k") as process:
        said = line(process)
        models = httpx.get(f"{said['url']}/models", headers={"authorization": "Bearer k"}).json()
        refused = httpx.get(f"{said['url']}/models")
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=BOUND_S)

    assert (said["model"], models["data"][0]["id"], refused.status_code) == ("random", "random", 401)
    assert process.returncode == 0, log
    assert "Not vLLM: " in log


def test_it_ends_with_its_parent(gguf_file: Path) -> None:
    with serving(str(gguf_file), "--with-parent") as process:
        line(process)
        assert process.stdin
        process.stdin.close()

        assert process.wait(BOUND_S) == 0


def test_it_ends_with_a_parent_that_is_gone_before_it_answers(gguf_file: Path) -> None:
    with serving(str(gguf_file), "--with-parent") as process:
        assert process.stdin
        process.stdin.close()

        assert process.wait(BOUND_S) in (0, -signal.SIGTERM)


def failed(*words: str) -> tuple[int, str, str]:
    with serving(*words) as process:
        said, log = process.communicate(timeout=BOUND_S)
    return process.returncode, said, log.splitlines()[-1]


def test_a_file_that_is_no_model_is_told_in_a_sentence(gguf_file: Path, tmp_path: Path) -> None:
    cut, text = tmp_path / "cut.gguf", tmp_path / "text.gguf"
    cut.write_bytes(gguf_file.read_bytes()[:50_000])
    text.write_text("hello", encoding="utf-8")

    for path in (cut, text):
        status, said, last = failed(str(path))
        assert (status, said) == (2, "")
        assert last.startswith(f"{path.name}: ")


def test_a_port_that_is_taken_is_told_before_the_model_is_loaded(gguf_file: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        status, said, last = failed(str(gguf_file), "--port", str(port))

    assert (status, said) == (2, "")
    assert last.startswith(f"127.0.0.1:{port}: it cannot be had: ")


# --- vLLM


@pytest.fixture
def vllm(tmp_path: Path) -> tuple[Path, Path, Path]:
    """(a Python that has a vLLM of ours, a model's folder, where that vLLM tells what it was told)."""
    package, script, python = tmp_path / "vllm.py", tmp_path / "server.py", tmp_path / "python"
    package.touch()
    script.write_text(VLLM, encoding="utf-8")
    real, path = shlex.quote(sys.executable), shlex.quote(str(tmp_path))
    body = f'[ "$1" = -c ] && PYTHONPATH={path} exec {real} "$@"\nshift 2\nexec {real} {shlex.quote(str(script))} "$@"'
    python.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    python.chmod(0o755)
    folder = tmp_path / "hf"
    folder.mkdir()
    (folder / "config.json").write_text('{"max_position_embeddings": 512}', encoding="utf-8")
    return python, folder, tmp_path / "told"


def words(python: Path, folder: Path) -> tuple[str, ...]:
    return (str(folder), "--engine", "vllm", "--vllm-python", str(python), "--with-parent")


def test_vllm_is_started_with_the_key_in_its_environment_and_ended_with_all_it_started(vllm: tuple[Path, Path, Path]) -> None:
    python, folder, file = vllm
    with serving(*words(python, folder), LABBOT_SERVE_KEY="secret", TOLD=str(file)) as process:
        said = line(process)
        told: dict[str, Any] = json.loads(file.read_bytes())
        health = httpx.get(said["url"].removesuffix("/v1") + "/health")
        process.send_signal(signal.SIGTERM)
        status = process.wait(BOUND_S)
        until_gone(*told["pids"])

    assert (status, health.status_code, said["model"]) == (0, 200, "hf")
    assert (told["key"], told["lora"], "secret" in " ".join(told["words"])) == ("secret", "True", False)
    assert told["words"][:2] == ["serve", str(folder)]
    assert said["url"] == f"http://127.0.0.1:{told['words'][told['words'].index('--port') + 1]}/v1"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child of its parent's death")
def test_vllm_ends_even_where_who_started_it_is_killed(vllm: tuple[Path, Path, Path]) -> None:
    python, folder, file = vllm
    with serving(*words(python, folder), TOLD=str(file)) as process:
        line(process)
        told = json.loads(file.read_bytes())
        process.kill()
        until_gone(told["pids"][0])
        os.kill(told["pids"][1], signal.SIGKILL)  # vLLM sees to its own

    assert told["key"] is None


def test_a_vllm_that_fails_is_told(vllm: tuple[Path, Path, Path]) -> None:
    python, folder, file = vllm
    failing = folder.with_name("fails")
    folder.rename(failing)
    with serving(*words(python, failing)[:-1], TOLD=str(file)) as process:
        said, log = process.communicate(timeout=BOUND_S)
        until_gone(*json.loads(file.read_bytes())["pids"])

    assert (process.returncode, said) == (1, "")
    assert log.splitlines()[-1].endswith("vLLM ended with status 7")
