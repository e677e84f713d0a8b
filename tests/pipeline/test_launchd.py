"""A worker as a LaunchAgent: what is written, which commands are run; launchctl itself is on no machine but a Mac."""

import json
import os
import plistlib
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import launchd
from pipeline.errors import Failed, Invalid

HOME = Path(__file__).resolve().parents[2]
WORDS = ("--lane", "gpu", "--device", "auto")
LAUNCHCTL = """\
#!{python}
import json, os, pathlib, sys
told = pathlib.Path(os.environ["TOLD"])
with told.open("a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
answers = json.loads(os.environ["ANSWERS"]).get(sys.argv[1], [0])
times = [json.loads(line)[0] for line in told.read_text().splitlines()].count(sys.argv[1])
sys.stderr.write("launchctl says no")
sys.exit(answers[min(times, len(answers)) - 1])
"""


def secret(folder: Path, name: str = "redis", mode: int = 0o600) -> str:
    path = folder / name
    path.write_text("sesame-open\n", encoding="utf-8")
    path.chmod(mode)
    return str(path)


def agent(folder: Path, **environment: str) -> launchd.Agent:
    return launchd.agent("gpu", WORDS, folder / "checkout", folder / "data", environment)


def test_the_agent_runs_the_worker_and_names_files_for_secrets(tmp_path: Path) -> None:
    told = {
        "LABBOT_REDIS_URL": "rediss://pool.example:6379/0",
        "LABBOT_REDIS_PASSWORD_FILE": secret(tmp_path),
        "LABBOT_DATA": "ignored",
        "TEACHER_KEY_FILE": secret(tmp_path, "teacher"),
        "PATH": "/usr/local/bin:/usr/bin",
        "EDITOR": "vi",
        "SSH_AUTH_SOCK": "/tmp/x",
    }
    found = plistlib.loads(launchd.plist(agent(tmp_path, **told)))

    log = str(tmp_path / "data" / "log" / "labbot.worker.gpu.log")
    assert found == {
        "Label": "labbot.worker.gpu",
        "ProgramArguments": [sys.executable, "-m", "pipeline", "worker", *WORDS],
        "WorkingDirectory": str(tmp_path / "checkout"),
        "EnvironmentVariables": {
            "LABBOT_HOME": str(tmp_path / "checkout"),
            "LABBOT_DATA": str(tmp_path / "data"),
            **{name: text for name, text in told.items() if name not in ("LABBOT_DATA", "EDITOR", "SSH_AUTH_SOCK")},
        },
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 10,
        "ExitTimeOut": 30,
        "ProcessType": "Standard",
        "Umask": 0o077,
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"LABBOT_SERVE_KEY": "sesame-open"}, "LABBOT_SERVE_KEY_FILE"),
        ({"LABBOT_REDIS_PASSWORD": "sesame-open"}, "LABBOT_REDIS_PASSWORD_FILE"),
        ({"LABBOT_REDIS_URL": "redis://:sesame-open@host"}, "LABBOT_REDIS_PASSWORD_FILE"),
        ({"HTTPS_PROXY": "http://me:sesame-open@proxy"}, "Take it out of the URL"),
        ({"AWS_SECRET_ACCESS_KEY": "sesame-open"}, "AWS_PROFILE"),
    ],
)
def test_a_secret_that_is_in_no_file_gets_into_no_plist(tmp_path: Path, told: dict[str, str], said: str) -> None:
    with pytest.raises(Invalid, match=said) as refused:
        agent(tmp_path, **told)

    assert "sesame" not in str(refused.value)


def test_a_file_that_others_can_read_is_refused_while_somebody_looks(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="chmod 600"):
        agent(tmp_path, LABBOT_REDIS_PASSWORD_FILE=secret(tmp_path, mode=0o644))


@pytest.mark.parametrize("name", ["", "../gpu", "Gpu", "a b", "-a"])
def test_what_cannot_be_a_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="agent's name"):
        launchd.agent(name, WORDS, tmp_path, tmp_path, {})


def test_a_dry_run_says_all_and_does_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    made = agent(tmp_path, LABBOT_REDIS_PASSWORD_FILE=secret(tmp_path))
    launchd.show(made, tmp_path / "my home", 501, said.append)

    file = tmp_path / "my home" / "Library" / "LaunchAgents" / "labbot.worker.gpu.plist"
    assert said[0] == f"would write {file}:"
    assert plistlib.loads(said[1].encode()) == plistlib.loads(launchd.plist(made))
    assert said[2:] == [
        "would run: launchctl bootout gui/501/labbot.worker.gpu",
        "would run: launchctl enable gui/501/labbot.worker.gpu",
        f"would run: launchctl bootstrap gui/501 '{file}'",
        "to start it anew: launchctl kickstart -k gui/501/labbot.worker.gpu",
        "to end it: launchctl bootout gui/501/labbot.worker.gpu",
    ]
    assert "sesame" not in "".join(said) and not (tmp_path / "my home").exists() and not (tmp_path / "data").exists()


def test_the_command_of_a_worker_shows_its_agent(tmp_path: Path) -> None:
    words = ["--launchd", "--dry-run", "--lane", "gpu", "--lane", "cpu", "--at-once", "2", "--http", "9464"]
    told = {name: text for name, text in os.environ.items() if not name.startswith("LABBOT_")}
    told |= {"HOME": str(tmp_path / "home"), "LABBOT_DATA": str(tmp_path / "data")}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "worker", *words],
        cwd=HOME,
        env=told,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    first, _, rest = done.stdout.partition("\n")
    shown = plistlib.loads(rest.partition("</plist>")[0].encode() + b"</plist>")
    wanted = ["--lane", "gpu", "--lane", "cpu", "--device", "auto", "--at-once", "2", "--http", "9464"]
    assert first == f"would write {tmp_path / 'home' / 'Library' / 'LaunchAgents' / 'labbot.worker.gpu-cpu.plist'}:"
    assert shown["ProgramArguments"][1:] == ["-m", "pipeline", "worker", *wanted]
    assert done.stdout.count("would run: launchctl ") == 3
    assert not (tmp_path / "home").exists() and not (tmp_path / "data").exists()


class Mac:
    """A folder of somebody's, and a launchctl that notes its words and answers with the statuses it is given."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **answers: list[int]) -> None:
        self.folder, self.said = folder, list[str]()
        self.home, self.told = folder / "home", folder / "told"
        (folder / "bin").mkdir()
        script = folder / "bin" / "launchctl"
        script.write_text(LAUNCHCTL.format(python=sys.executable), encoding="utf-8")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
        monkeypatch.setenv("TOLD", str(self.told))
        monkeypatch.setenv("ANSWERS", json.dumps(answers))

    def install(self) -> None:
        launchd.install(agent(self.folder), self.home, 501, self.said.append, on="darwin", pause_s=0)

    def ran(self) -> list[str]:
        return [json.loads(line)[0] for line in self.told.read_text(encoding="utf-8").splitlines()]


def test_an_agent_is_written_for_its_owner_alone_and_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mac = Mac(tmp_path, monkeypatch, bootout=[3])  # none of that name ran
    mac.install()

    file = mac.home / "Library" / "LaunchAgents" / "labbot.worker.gpu.plist"
    assert file.read_bytes() == launchd.plist(agent(tmp_path)) and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert mac.ran() == ["bootout", "enable", "bootstrap"]
    assert mac.said[0].startswith("labbot.worker.gpu runs") and (tmp_path / "data" / "log").is_dir()


def test_an_agent_that_is_still_ending_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mac = Mac(tmp_path, monkeypatch, bootstrap=[5, 37, 0])
    mac.install()

    assert mac.ran() == ["bootout", "enable", "bootstrap", "bootstrap", "bootstrap"]


def test_what_launchd_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mac = Mac(tmp_path, monkeypatch, bootstrap=[119])
    with pytest.raises(Failed, match=r"launchctl bootstrap gui/501 .* failed with 119: launchctl says no"):
        mac.install()

    assert mac.said == []


def test_elsewhere_than_on_a_mac_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="only macOS has launchd"):
        launchd.install(agent(tmp_path), tmp_path / "home", 501, [].append, on="linux")

    assert not (tmp_path / "home").exists()
