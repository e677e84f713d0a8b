"""Servers of other people and ours, started for the contract: each a child process with a model of random weights.

    vLLM                 by the script in LABBOT_VLLM_SH (default: ../shared/tools/vllm-cpu.sh), its environment in .cache/vllm
    ours                 labpipe serve
    llama-cpp-python     its own server, in an environment of its own under .cache/

Each is skipped with the reason where it cannot be had. An environment is made by the first call, which takes minutes.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.errors import LabError
from pipeline.models.client import Client, Endpoint
from tests.conftest import HOME
from tests.vllm.contract import Place
from tests.vllm.models import CONTEXT, make

KEY = "sk-of-the-lane"
NAME = "small"
READY_S = 1200.0  # the first start of vLLM makes its environment
COMPACT = '{"backend": "guidance", "disable_any_whitespace": true}'
PEER = HOME / "tests" / "vllm" / "llama_cpp_server.txt"


@contextmanager
def vllm(folder: Path) -> Iterator[Place]:
    script = Path(os.environ.get("LABBOT_VLLM_SH") or HOME.parent / "shared" / "tools" / "vllm-cpu.sh")
    if not script.is_file():
        pytest.skip(f"LABBOT_VLLM_SH names no script that starts vLLM ({script.name} is not there)")
    pytest.importorskip("peft", reason="the extra train is not installed")
    made = make(folder, [path.read_text(encoding="utf-8") for path in sorted((HOME / "configs").rglob("*.md"))])
    port = _port()
    argv = ["bash", str(script), str(HOME / ".cache" / "vllm"), str(made / "model"), str(port)]
    argv += ["--served-model-name", NAME, "--max-model-len", str(CONTEXT), "--max-lora-rank", "8"]
    argv += ["--structured-outputs-config", COMPACT]
    has = frozenset[str](("adapters", "cancel", "names", "overflow", "quotes", "tokens"))
    with _running(argv, {"VLLM_API_KEY": KEY}, folder / "log", port):
        yield Place(_url(port), KEY, NAME, CONTEXT, str(made / "adapter"), has, "vllm:num_requests_running")


@contextmanager
def ours(folder: Path) -> Iterator[Place]:
    model, adapter = _gguf(folder)
    port = _port()
    argv = [sys.executable, "-m", "pipeline", "serve", str(model), "--engine", "own", "--port", str(port)]
    argv += ["--context", str(CONTEXT), "--adapters", str(adapter.parent)]
    has = frozenset[str](("adapters", "cancel", "embeddings", "names", "overflow", "quotes", "tokens"))
    with _running(argv, {"LABBOT_SERVE_KEY": KEY}, folder / "log", port):
        yield Place(_url(port), KEY, NAME, CONTEXT, str(adapter), has, "labbot_requests_running")


@contextmanager
def llama_cpp_python(folder: Path) -> Iterator[Place]:
    """It answers one request after the other, tells neither tokens nor adapters, and takes any name for its one model.

    By default it breaks an answer off as soon as another request comes, even one for the list of models.
    """
    model, _ = _gguf(folder)
    python = _peer()
    port = _port()
    argv = [str(python), "-m", "llama_cpp.server", "--model", str(model), "--model_alias", NAME, "--n_ctx", str(CONTEXT)]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--interrupt_requests", "False", "--api_key", KEY]
    with _running(argv, {}, folder / "log", port):
        yield Place(_url(port), KEY, NAME, CONTEXT)


def _gguf(folder: Path) -> tuple[Path, Path]:
    pytest.importorskip("gguf", reason="the extra local is not installed")
    from tests.pipeline.models import random_gguf

    (folder / "adapters").mkdir(parents=True)
    shape = {"width": 256, "heads": 4, "kv_heads": 2, "ffn": 512, "vocab": 2048, "context": CONTEXT}
    model = random_gguf.make(folder / f"{NAME}.gguf", **shape)
    return model, random_gguf.adapter(folder / "adapters" / "tuned.gguf", model)


def _peer() -> Path:
    """The Python of an environment with llama-cpp-python's server; pip takes the wheel that was built before, if it has it."""
    environment = HOME / ".cache" / "llama-server"
    python, ready = environment / "bin" / "python", environment / "ready"
    wanted = PEER.read_text(encoding="utf-8")
    if not ready.is_file() or ready.read_text(encoding="utf-8") != wanted:
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(PEER)], check=True)
        ready.write_text(wanted, encoding="utf-8")
    return python


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1"


@contextmanager
def _running(argv: Sequence[str], environment: Mapping[str, str], log: Path, port: int) -> Iterator[None]:
    """A child in a group of its own until the block ends; its words lie in `log`, and are told where it does not come up."""
    with log.open("wb") as words:
        child = subprocess.Popen(
            argv, cwd=HOME, env={**os.environ, **environment}, stdout=words, stderr=words, start_new_session=True
        )
    try:
        until = time.monotonic() + READY_S
        while not asyncio.run(_answers(port)):
            if child.poll() is not None or time.monotonic() > until:
                pytest.fail(f"{argv[0]} does not answer:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")
        yield
    finally:
        _end(child)


async def _answers(port: int) -> bool:
    client = Client(Endpoint(_url(port), key=KEY, tries=3, silence_s=10))
    try:
        return bool(await client.models())
    except LabError:
        return False
    finally:
        await client.close()


def _end(child: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, sign)
            child.wait(30)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
