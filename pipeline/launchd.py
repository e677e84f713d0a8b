"""A worker as a LaunchAgent: a Mac runs it natively, because no container there reaches Metal.

`labpipe worker --launchd` writes the agent into ~/Library/LaunchAgents and starts it; launchd starts it again at every
log-in and whenever it dies. An agent, not a daemon: it needs no root and belongs to the log-in session, where Metal is.
No secret goes into the plist, which backups and other programs read: it names files (NAME_FILE, see secret.py).

The keys are those of launchd.plist(5), the commands those of launchctl(1) from macOS 10.11 on.
"""

import argparse
import os
import plistlib
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import secret
from pipeline.errors import Failed, Invalid, Problem
from pipeline.files import write

GRACE_S = 30  # between SIGTERM and SIGKILL: a stage that saves needs 10, and the lease is handed back after it
AGAIN_S = 10  # launchd's own least time between two starts, said so that nobody wonders
COMMAND_S = 60.0
BUSY = (5, 36, 37)  # what bootstrap fails with while the agent of that name is still ending: EIO, EINPROGRESS, EALREADY
# What a worker reads: its own, the object store's, the files of endpoints' keys, and what every program reads.
CARRIED = re.compile(r"LABBOT_\w+|AWS_\w+|[A-Z]\w*(?:KEY|TOKEN|SECRET)_FILE|PATH|LANG|HTTPS?_PROXY|NO_PROXY|SSL_CERT_FILE")
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Agent:
    """`words`: of `labpipe worker`; `environment`: NAME_FILE instead of secrets, see `environment_of`."""

    name: str
    words: tuple[str, ...]
    home: Path
    data: Path
    environment: Mapping[str, str]
    python: str = sys.executable

    @property
    def label(self) -> str:
        return f"labbot.worker.{self.name}"

    def file(self, user_home: Path) -> Path:
        return user_home / "Library" / "LaunchAgents" / f"{self.label}.plist"

    @property
    def log(self) -> Path:
        """What the worker says before its own log is there, and what ends Python itself."""
        return self.data / "log" / f"{self.label}.log"


def main(given: argparse.Namespace, home: Path, data: Path, environment: Mapping[str, str], say: Say) -> int:
    """`labpipe worker --launchd [--dry-run]` with the other words of that worker. Raises what `agent` and `install` do."""
    words = [word for lane in given.lane for word in ("--lane", lane)] + ["--device", given.device]
    words += ["--at-once", str(given.at_once)] if given.at_once else []
    words += ["--http", given.http] if given.http else []
    made = agent("-".join(dict.fromkeys(given.lane)) or "all", words, home, data, environment)
    act = show if given.dry_run else install
    act(made, Path.home(), os.getuid(), say)
    return 0


def agent(name: str, words: Sequence[str], home: Path, data: Path, environment: Mapping[str, str]) -> Agent:
    """The agent of a worker. Raises Invalid for a name that is none, and for secrets that are in no file."""
    if not NAME.fullmatch(name):
        fix = "Write small letters, digits and hyphens, such as gpu."
        raise Invalid(Problem("launchd.name", f"{name!r} cannot be a part of an agent's name.", "--launchd", fix))
    kept = environment_of(environment)
    return Agent(name, tuple(words), home.absolute(), data.absolute(), {**kept, "LABBOT_HOME": str(home.absolute())})


def environment_of(environment: Mapping[str, str]) -> dict[str, str]:
    """What of an environment goes into a plist. Raises Invalid with every secret of labbot's that is not in a file."""
    kept = {name: value for name, value in environment.items() if CARRIED.fullmatch(name) and value}
    bare = [name for name in kept if secret.NAMED.search(name) and not name.endswith("_FILE")]
    urls = [name for name, value in kept.items() if name not in bare and secret.masked(value) != value]
    if bare or urls:
        told = [Problem("launchd.secret", "a plist is no place for a secret.", one, _instead(one)) for one in bare]
        fix = "Take it out of the URL; for Redis it goes into a file that LABBOT_REDIS_PASSWORD_FILE names."
        told += [Problem("launchd.secret", "a plist is no place for a password.", one, fix) for one in urls]
        raise Invalid(*told)
    for name in kept:
        if name.endswith("_FILE") and secret.NAMED.search(name):
            secret.file(Path(kept[name]), name)  # said now, to somebody who looks, not later in a log
    return kept


def _instead(name: str) -> str:
    if name.startswith("AWS_"):  # its libraries read no AWS_..._FILE of ours, but have a file of their own
        return "Write it into ~/.aws/credentials, and name the profile in AWS_PROFILE."
    return f"Write it into a file of mode 0600, and name the file in {name}_FILE."


def plist(agent: Agent) -> bytes:
    """The agent as launchd reads it."""
    return plistlib.dumps(
        {
            "Label": agent.label,
            "ProgramArguments": [agent.python, "-m", "pipeline", "worker", *agent.words],
            "WorkingDirectory": str(agent.home),
            "EnvironmentVariables": {**agent.environment, "LABBOT_DATA": str(agent.data)},
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},  # a worker that was drained ended well, and stays away
            "ThrottleInterval": AGAIN_S,
            "ExitTimeOut": GRACE_S,
            "ProcessType": "Standard",  # Background is kept to the efficiency cores, and its disk is slowed
            "Umask": 0o077,
            "StandardOutPath": str(agent.log),
            "StandardErrorPath": str(agent.log),
        }
    )


def start(agent: Agent, user_home: Path, uid: int) -> list[list[str]]:
    """The commands that start an agent whose file is written, the one of that name before it ended first."""
    domain = f"gui/{uid}"
    return [
        ["launchctl", "bootout", f"{domain}/{agent.label}"],
        ["launchctl", "enable", f"{domain}/{agent.label}"],
        ["launchctl", "bootstrap", domain, str(agent.file(user_home))],
    ]


def again(agent: Agent, uid: int) -> list[str]:
    """The command that ends a running agent and starts it anew."""
    return ["launchctl", "kickstart", "-k", f"gui/{uid}/{agent.label}"]


def show(agent: Agent, user_home: Path, uid: int, say: Say) -> None:
    """Say what `install` would write and run, and do neither: --dry-run, on any system."""
    say(f"would write {agent.file(user_home)}:")
    say(plist(agent).decode().rstrip())
    for command in start(agent, user_home, uid):
        say(f"would run: {shlex.join(command)}")
    say(f"to start it anew: {shlex.join(again(agent, uid))}")
    say(f"to end it: {shlex.join(start(agent, user_home, uid)[0])}")


def install(agent: Agent, user_home: Path, uid: int, say: Say, *, on: str = sys.platform, pause_s: float = 1.0) -> None:
    """Write the agent and start it. Raises Invalid on a system without launchd, Failed where launchd refuses it.

    `pause_s`: between two tries while an agent of that name is still ending, which takes it GRACE_S at most.
    """
    if on != "darwin":
        fix = "--dry-run shows the agent; elsewhere take docker-compose.yml, or what starts services there."
        raise Invalid(Problem("launchd.system", "only macOS has launchd.", "--launchd", fix))
    agent.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write(agent.file(user_home), plist(agent))  # of mode 0600: launchd refuses what others may write
    before, *then = start(agent, user_home, uid)
    _run(before)  # fails where none ran, which is as well
    for command in then:
        status, told = _run(command)
        for _ in range(GRACE_S):
            if status not in BUSY:
                break
            time.sleep(pause_s)
            status, told = _run(command)
        if status:
            raise Failed(f"{shlex.join(command)} failed with {status}: {told}")
    say(f"{agent.label} runs, and will after every log-in. Its log before its own begins: {agent.log}")
    say(f"to start it anew: {shlex.join(again(agent, uid))}")
    say(f"to end it: {shlex.join(before)}")


def _run(command: list[str]) -> tuple[int, str]:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise Failed(f"{command[0]} could not be run: {error}") from error
    return done.returncode, (done.stderr or done.stdout).strip()
