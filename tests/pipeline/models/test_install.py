"""What is missing is installed once, by one process at a time, told line by line, and nothing of it outlives us."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Failed, Invalid, LabError, Temporary
from pipeline.models import install
from pipeline.models.install import COMPILE_S, Doing
from tests.conftest import HOME
from tests.fakes import pip

BOUND_S = 30.0
BOTH = "!installed labbot-test-engine\n!installed labbot-test-reader\n"
COMPILED = f"""\
Obtaining file:///home
  Installing build dependencies: started
Collecting labbot-test-reader<3,>=1 (from labbot==0.1.0)
  Downloading labbot_test_reader-1.0-py3-none-any.whl (1 kB)
Collecting llama-cpp-python (from labbot==0.1.0)
  Downloading llama_cpp_python-0.3.36.tar.gz (76.6 MB)
Building wheels for collected packages: labbot, llama-cpp-python
  Building editable for labbot (pyproject.toml): started
  Building wheel for llama-cpp-python (pyproject.toml): started
  Building wheel for llama-cpp-python (pyproject.toml): still running...
  Building wheel for llama-cpp-python (pyproject.toml): finished with status 'done'
Installing collected packages: labbot-test-reader, llama-cpp-python, labbot
{BOTH}Successfully installed llama-cpp-python-0.3.36
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose extra lacks two packages, and a pip that has both."""
    monkeypatch.setenv("PYTHONPATH", pip.path(tmp_path / "site"))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))  # where our own look for what is installed looks too
    plan(tmp_path / "home", BOTH)
    return tmp_path / "home"


def plan(home: Path, text: str) -> None:
    pip.put(home.parent / "site", home, text)


class Told:
    def __init__(self) -> None:
        self.steps: list[tuple[float, dict[str, str]]] = []

    def __call__(self, fraction: float, facts: Mapping[str, str]) -> None:
        self.steps.append((fraction, dict(facts)))


def fetch(home: Path, *extras: str, told: Told | None = None) -> list[str]:
    return install.install(home, extras or ("local",), home / "models" / "install.log", told or Told())


def refused(home: Path, text: str) -> LabError:
    plan(home, f"{text}\n!exit 1\n")
    with pytest.raises(LabError) as caught:
        fetch(home)
    return caught.value


def until(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + BOUND_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


# --- what is installed


def test_what_is_missing_is_what_the_extra_names_and_the_environment_lacks(home: Path) -> None:
    before = install.missing(home, "local")
    fetch(home)

    assert (before, install.missing(home, "local")) == (["labbot-test-engine", "labbot-test-reader"], [])
    assert install.missing(home, "train") == ["labbot-test-trainer"]


def test_the_extras_of_this_checkout_can_be_read() -> None:
    for extra in ("local", "train"):
        install.missing(HOME, extra)


def test_pip_is_asked_for_the_extras_under_the_constraints(home: Path) -> None:
    assert fetch(home) == ["labbot-test-engine", "labbot-test-reader"]
    assert json.loads((home / "asked.json").read_bytes()) == [
        *("install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"),
        *("--prefer-binary", "-c", "constraints.txt", "-e", ".[local]"),
    ]


def test_the_practice_model_wants_both_extras_at_once(home: Path) -> None:
    plan(home, f"{BOTH}!installed labbot-test-trainer\n")
    fetch(home, "local", "train")

    assert json.loads((home / "asked.json").read_bytes())[-1] == ".[local,train]"


def test_where_nothing_is_missing_pip_is_not_started(home: Path) -> None:
    fetch(home)
    (home / "asked.json").unlink()

    assert fetch(home) == []
    assert not (home / "asked.json").exists()


def test_all_that_pip_said_is_kept_beside_the_models(home: Path) -> None:
    plan(home, f"one\ntwo ä\n{BOTH}")
    fetch(home)

    assert (home / "models" / "install.log").read_text(encoding="utf-8") == "one\ntwo ä\n"


def test_what_pip_unpacked_is_cleared_away_also_after_one_that_was_killed(home: Path) -> None:
    (home / "models" / ".install" / "pip-build").mkdir(parents=True)
    plan(home, f"!where\n{BOTH}")
    fetch(home)

    assert (home / "models" / "install.log").read_text(encoding="utf-8") == f"{home / 'models' / '.install'}\n"
    assert [path.name for path in (home / "models").iterdir()] == ["install.log"]


def test_a_checkout_without_the_extra_is_our_mistake(home: Path) -> None:
    with pytest.raises(Failed, match=r"has no pyproject\.toml with the extra none"):
        fetch(home, "none")


# --- what is told


def test_what_pip_does_is_told_with_the_package(home: Path) -> None:
    plan(home, COMPILED)
    told = Told()
    fetch(home, told=told)

    assert [(facts["act"], facts["package"]) for _, facts in told.steps] == [
        ("collect", "labbot-test-reader"),
        ("collect", "llama-cpp-python"),
        ("compile", "llama-cpp-python"),
        ("install", ""),
    ]
    assert [fraction for fraction, _ in told.steps] == sorted(fraction for fraction, _ in told.steps)


def test_a_compiler_that_says_nothing_is_told_by_the_time_it_takes() -> None:
    times, told = iter([0.0, 0.0, 0.0, 60.0, 600.0, 10.0 * COMPILE_S]), Told()
    doing = Doing(told, clock=lambda: next(times))
    doing.hear("  Building wheel for llama-cpp-python (pyproject.toml): started\n")
    for _ in range(3):
        doing.hear("")

    assert [facts["spent"] for _, facts in told.steps] == ["0 s", "60 s", "10 min", "4 h"]
    assert told.steps[-1][0] == pytest.approx(0.9)


# --- what goes wrong


@pytest.mark.parametrize(
    ("said", "code", "word"),
    [
        ("CMake Error: CMAKE_C_COMPILER not set, after EnableLanguage", "engine.compiler", "apt install build-essential"),
        ("  No CMAKE_CXX_COMPILER could be found.", "engine.compiler", "xcode-select --install"),
        ("error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory", "engine.compiler", "make model"),
        ("xcrun: error: invalid active developer path", "engine.compiler", "make model"),
        ("/home/.venv/bin/python: No module named pip", "engine.pip", "ensurepip"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "engine.full", "Make room"),
        ("c++: fatal error: Killed signal terminated program cc1plus", "engine.memory", "Close other programs"),
        ("error: externally-managed-environment", "engine.rights", ".venv"),
        ("ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x'", "engine.rights", ".venv"),
        ("ERROR: No matching distribution found for llama-cpp-python", "engine.version", "has no llama-cpp-python for"),
    ],
)
def test_what_somebody_can_mend_is_told_with_the_way_out(home: Path, said: str, code: str, word: str) -> None:
    error = refused(home, f"Collecting x\n{said}\nERROR: that was all")

    assert isinstance(error, Invalid)
    assert (error.problems[0].code, word in str(error)) == (code, True)
    assert "make model" in str(error)


def test_an_index_that_is_away_is_told_as_such_though_pip_says_that_there_is_no_such_package(home: Path) -> None:
    error = refused(
        home,
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError: Failed to establish a new"
        " connection: [Errno -2] Name or service not known': /simple/x/\nERROR: No matching distribution found for x",
    )

    assert isinstance(error, Temporary)
    assert str(error) == "the package index cannot be reached. Type `make model` when this machine is on the network."


def test_what_nobody_foresaw_is_told_in_pip_s_own_words(home: Path) -> None:
    error = refused(home, "one\nERROR: the moon is in the way\nand more")

    assert isinstance(error, Failed)
    assert str(error) == (
        "pip could not install the packages: ERROR: the moon is in the way."
        " All that it said is in install.log beside the models."
    )


def test_a_disk_without_room_is_told_before_pip_begins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "free_disk", lambda folder: 10**6)
    with pytest.raises(Invalid, match=r"the packages need 1\.0 GB of disk, and 1\.0 MB are free"):
        fetch(home)

    assert not (home / "asked.json").exists()


# --- at once, and killed


def test_a_second_installation_waits_for_the_first_and_finds_it_done(home: Path) -> None:
    told, seen = Told(), list[list[str]]()
    with (home / ".labbot.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=lambda: seen.append(fetch(home, told=told)))
        second.start()
        until(lambda: told.steps)
        subprocess.run([sys.executable, "-m", "pip"], cwd=home, check=True)  # the first one's
        (home / "asked.json").unlink()
    second.join(BOUND_S)

    assert (seen, told.steps[0][1]["act"]) == ([[]], "wait")
    assert not (home / "asked.json").exists()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_pip_and_what_it_started_end_with_us(home: Path, sign: signal.Signals) -> None:
    plan(home, f"!hold\n{BOTH}")
    code = (
        "import sys; from pathlib import Path; from pipeline.models import install\n"
        "home = Path(sys.argv[1])\n"
        "install.install(home, ['local'], home / 'log', lambda fraction, facts: None)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], str(HOME)])}
    with subprocess.Popen([sys.executable, "-c", code, str(home)], env=environment, stderr=subprocess.DEVNULL) as ours:
        until((home / "held").exists)
        pids = [int(one) for one in (home / "held").read_text(encoding="utf-8").split()]
        before = [alive(pid) for pid in pids]
        ours.send_signal(sign)
    until(lambda: not any(map(alive, pids)))

    assert (before, install.missing(home, "local")) == ([True, True], ["labbot-test-engine", "labbot-test-reader"])
