"""Installs what a model needs and this environment lacks: the extras of pyproject.toml, by pip, told line by line.

pip takes a prebuilt wheel where the index has one; llama-cpp-python has none on most indexes, and is compiled then (about
13 minutes on 2 cores). pip runs in a process group of its own that ends with us, however we end: a compiler that nobody
waits for would keep the machine busy.
"""

import importlib
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import IO, NamedTuple

from pipeline.errors import Failed, Invalid, LabError, Problem, Temporary
from pipeline.files import taken
from pipeline.models.catalog import amount
from pipeline.models.download import lasting
from pipeline.models.machine import free_disk

Report = Callable[[float, Mapping[str, str]], None]

TICK_S = 2.0  # a compiler says nothing for minutes: it is told that often how long it has taken
LOOK_S = 0.5  # how often another installation is looked at
COMPILE_S = 13 * 60 * 2  # of one core: llama-cpp-python 0.3.36 took 12 min 44 s on two
TAIL = 400  # lines of pip that are kept to find a cause in
DISK_BYTES = {"local": 10**9, "train": 3 * 10**9}  # what an extra and its building take at least
COMMAND = "make model"

# Runs pip in a group of its own, after everything else that wants the cores, and ends that group when our end of its
# standard input closes, kill -9 included.
GUARD = """\
import os, signal, subprocess, sys, threading
def watch():
    while os.read(0, 1):
        continue
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=watch, daemon=True).start()
os.nice(10)
status = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL)
signal.signal(signal.SIGTERM, lambda *_: None)  # not for us: for what pip left running
os.killpg(0, signal.SIGTERM)
os._exit(status if 0 <= status < 256 else 128)
"""


class Cause(NamedTuple):
    """What pip, CMake or a compiler says, what that means, and the way out."""

    said: str
    code: str
    message: str
    fix: str


CAUSES = (  # as pip 23 to 26 and CMake 4 say it, in the order in which it is looked for
    Cause(r"No space left on device|Errno 28", "engine.full", "the disk is full.", f"Make room, then type `{COMMAND}`."),
    Cause(
        r"No module named '?(pip|ensurepip)",
        "engine.pip",
        "this environment has no pip.",
        f"Type `.venv/bin/python -m ensurepip`, then `{COMMAND}`.",
    ),
    Cause(
        r"No CMAKE_C(XX)?_COMPILER could be found|CMAKE_C(XX)?_COMPILER not set|unable to find (a )?compiler"
        r"|command '[^']*(gcc|cc|clang|g\+\+)' failed: No such file|xcrun: error|no developer tools were found",
        "engine.compiler",
        "llama-cpp-python has to be compiled, and there is no C++ compiler.",
        "Install one (Debian and Ubuntu: `sudo apt install build-essential`; Fedora: `sudo dnf install gcc-c++ make`; macOS:"
        f" `xcode-select --install`), then type `{COMMAND}`.",
    ),
    Cause(
        r"Killed signal terminated|\(program cc1plus\)|out of memory|cannot allocate memory",
        "engine.memory",
        "there was too little memory to compile llama-cpp-python.",
        f"Close other programs, then type `{COMMAND}`.",
    ),
    Cause(
        r"externally-managed-environment|Permission denied|Read-only file system",
        "engine.rights",
        "pip may not write into this environment.",
        f"As the owner of .venv, type `{COMMAND}`.",
    ),
)
AWAY = re.compile(
    r"(?i)failed to establish a new connection|name resolution|name or service not known|nodename nor servname|timed out"
    r"|connection (refused|reset|aborted)|max retries exceeded|network is unreachable"
)
NO_VERSION = re.compile(r"No matching distribution found for (\S+)|ResolutionImpossible")


def missing(home: Path, extra: str) -> list[str]:
    """The packages of an extra that are not installed here. Raises Failed where the checkout has no such extra."""
    try:
        found = tomllib.loads((home / "pyproject.toml").read_text(encoding="utf-8"))
        wanted = found["project"]["optional-dependencies"][extra]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise Failed(f"{home} has no pyproject.toml with the extra {extra}") from error
    names = [re.split(r"[^\w.-]", one.strip(), maxsplit=1)[0] for one in wanted]
    return [name for name in names if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    with suppress(metadata.PackageNotFoundError):
        return bool(metadata.version(name))
    return False


def install(home: Path, extras: Sequence[str], log: Path, report: Report) -> list[str]:
    """Install what extras lack, and return it; free where nothing is missing. pip's own words go into `log`.

    Waits for another installation into the same environment. Raises Invalid for what somebody can mend (a compiler, disk,
    pip, rights), Temporary where the index is away, Failed for what nobody foresaw.
    """
    if not any(missing(home, extra) for extra in extras):
        return []
    with _alone(home, report):
        wanted = [name for extra in extras for name in missing(home, extra)]
        if not wanted:
            return []
        _make_sure_of_room(extras)
        command = [sys.executable, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
        command += ["--prefer-binary", "-c", "constraints.txt", "-e", f".[{','.join(extras)}]"]
        with _workshop(log.with_name(".install")) as folder:
            status, said = _run(command, home, folder, log, report)
    if status:
        raise _refusal(said, log)
    importlib.invalidate_caches()  # whoever goes on in this process imports what has just come
    return wanted


@contextmanager
def _alone(home: Path, report: Report) -> Iterator[None]:
    """Keep a second installation into the checkout's environment out: it waits for the first."""
    inside = home / ".venv"
    with ((inside if inside.is_dir() else home) / ".labbot.lock").open("a") as lock:
        began = time.monotonic()
        while not taken(lock):
            report(0.0, {"act": "wait", "package": "", "spent": lasting(time.monotonic() - began)})
            time.sleep(LOOK_S)
        yield


def _make_sure_of_room(extras: Sequence[str]) -> None:
    free, wanted = free_disk(Path(sys.prefix)), sum(DISK_BYTES.get(extra, 0) for extra in extras)
    if free < wanted:
        facts = {"needed": amount(wanted), "free": amount(free)}
        message = f"the packages need {facts['needed']} of disk, and {facts['free']} are free."
        raise Invalid(Problem("engine.disk", message, fix=f"Make room, then type `{COMMAND}`.", facts=facts))


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """Where pip unpacks and compiles: gigabytes that it leaves when it is killed, so each attempt clears up after the last."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: Sequence[str], home: Path, folder: Path, log: Path, report: Report) -> tuple[int, str]:
    """Run pip to its end, reporting what it does; return its status and its last lines."""
    guarded = [sys.executable, "-I", "-S", "-c", GUARD, *command]
    env = os.environ | {"PYTHONUNBUFFERED": "1", "PIP_NO_COLOR": "1", "LC_ALL": "C.UTF-8", "TMPDIR": str(folder)}
    pipe, tail, doing = subprocess.PIPE, deque[str](maxlen=TAIL), Doing(report)
    process = subprocess.Popen(
        guarded,
        cwd=home,
        env=env,
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,
    )
    try:
        with log.open("w", encoding="utf-8") as file:
            for line in _lines(process):
                if line:
                    file.write(line)
                    tail.append(line)
                doing.hear(line)
        return process.wait(), "".join(tail)
    finally:
        assert process.stdin and process.stdout
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdin.close()
        process.stdout.close()


def _lines(process: "subprocess.Popen[str]") -> Iterator[str]:
    """The lines of a process as they come, "" whenever there was none for a while, until it closes its output."""
    assert process.stdout
    heard: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read(stream: IO[str]) -> None:
        with suppress(ValueError):  # closed, because the waiting was given up
            for line in stream:
                heard.put(line)
        heard.put(None)

    threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
    while True:
        try:
            line = heard.get(timeout=TICK_S)
        except queue.Empty:
            yield ""
            continue
        if line is None:
            return
        yield line


class Doing:
    """What pip is doing, from its lines: collect, compile, install; with the package and, while it compiles, for how long."""

    def __init__(self, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        self.report, self.clock = report, clock
        self.act, self.package, self.fraction, self.began = "collect", "", 0.0, clock()

    def hear(self, line: str) -> None:
        before = (self.act, self.package)
        if found := re.match(r"\s*Collecting ([\w.-]+)", line):
            self.act, self.package, self.fraction = "collect", found[1], min(0.2, self.fraction + 0.005)
        elif found := re.match(r"\s*Building wheel for ([\w.-]+) .*: started", line):
            self.act, self.package, self.began = "compile", found[1], self.clock()
        elif re.match(r"\s*Installing collected packages", line):
            self.act, self.package, self.fraction = "install", "", 0.95
        if (self.act, self.package) != before or not line:
            self._tell()

    def _tell(self) -> None:
        spent, fraction = self.clock() - self.began, self.fraction
        if self.act == "compile":  # the only long part; how long is known from one machine, so it never claims to be done
            fraction = 0.2 + 0.7 * min(1.0, spent * (os.cpu_count() or 1) / COMPILE_S)
        self.report(fraction, {"act": self.act, "package": self.package, "spent": lasting(spent)})


def _refusal(said: str, log: Path) -> LabError:
    """What pip's words mean to whoever wants a model."""
    for cause in CAUSES:
        if re.search(cause.said, said, re.I):
            return Invalid(Problem(cause.code, cause.message, fix=cause.fix, facts={"command": COMMAND}))
    if AWAY.search(said):
        return Temporary(f"the package index cannot be reached. Type `{COMMAND}` when this machine is on the network.")
    if found := NO_VERSION.search(said):
        message = f"the package index has no {found[1] or 'such set of packages'} for this Python and system."
        fix = f"Use Python 3.11 or 3.12 on Linux or macOS, then type `{COMMAND}`."
        return Invalid(Problem("engine.version", message, fix=fix, facts={"command": COMMAND}))
    last = next((line.strip() for line in reversed(said.splitlines()) if "error" in line.lower()), "it gave no reason")
    return Failed(f"pip could not install the packages: {last[:300]}. All that it said is in {log.name} beside the models.")
