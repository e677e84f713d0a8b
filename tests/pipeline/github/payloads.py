"""What GitHub delivers, small: our own payloads, and GitHub's examples and schema of them from npm, where it can be reached."""

import fcntl
import hashlib
import hmac
import json
import shutil
import subprocess
import tarfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "octokit"
SECRET = "hook-secret-of-a-test"
PACKAGES = {  # by their digests, as npm names them
    "webhooks-examples-7.6.1": "De6U3XB6O3DtCa7bKgCMzTHdeopqqZ6SNivMYJnK65ierKL1AnNIA0tkRYCRS7lwGT792d+Ps1WbfHlso6MynQ==",
    "webhooks-schemas-7.6.1": "qW0Bwtb76r4m2WzVhKDyfEeEnt1GEQoRjkCqmq2ZeB0nNVDJ+Z2LBDS9FDPyduuMXf/ZTWiCJp9PFFHgRfBe3A==",
}
FETCH_S = 60.0


def octokit(package: str, file: str) -> Any:
    """A JSON file of a package of octokit's, fetched once; where that cannot be, the test is skipped with the reason."""
    name, _, version = package.rpartition("-")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = CACHE / f"octokit-{package}.tgz"
        if not path.exists():
            _fetch(f"@octokit/{name}@{version}", path.name)
    assert b64encode(hashlib.sha512(path.read_bytes()).digest()).decode() == PACKAGES[package]
    with tarfile.open(path) as archive:
        found = archive.extractfile(f"package/{file}")
        assert found
        return json.load(found)


def _fetch(name: str, file: str) -> None:
    if not shutil.which("npm"):
        pytest.skip("npm is not here, which fetches GitHub's examples")
    words = ["npm", "pack", "--silent", "--pack-destination", str(CACHE), name]
    try:
        made = subprocess.run(words, capture_output=True, text=True, timeout=FETCH_S)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm does not fetch {name} in {FETCH_S:.0f} s")
    if made.returncode or not (CACHE / file).exists():
        pytest.skip(f"npm does not fetch {name}: {made.stderr[-200:]}")


# --- our own


def about_pull(number: int, repo: str = "lab/taxonomy", action: str = "edited") -> dict[str, Any]:
    return {"action": action, "number": number, "pull_request": {"number": number}, "repository": {"full_name": repo}}


def about_review(number: int, repo: str = "lab/taxonomy") -> dict[str, Any]:
    review = {"id": 7, "state": "approved", "body": "LGTM"}
    return {"action": "submitted", "review": review, "pull_request": {"number": number}, "repository": {"full_name": repo}}


def about_line(number: int, repo: str = "lab/taxonomy") -> dict[str, Any]:
    comment = {"id": 8, "path": "qna.yaml", "body": "Shorter?"}
    return {"action": "created", "comment": comment, "pull_request": {"number": number}, "repository": {"full_name": repo}}


def about_comment(number: int, repo: str = "lab/taxonomy") -> dict[str, Any]:
    """Below a pull request; what is said below an issue has no `pull_request`."""
    issue = {"number": number, "pull_request": {"url": f"https://api.github.com/repos/{repo}/pulls/{number}"}}
    return {"action": "created", "issue": issue, "comment": {"body": "Hello"}, "repository": {"full_name": repo}}


def about_check(commit: str, *numbers: int, repo: str = "lab/taxonomy", kind: str = "check_run") -> dict[str, Any]:
    """Of a commit; of one in a fork GitHub names no pull request."""
    run = {
        "head_sha": commit,
        "status": "completed",
        "conclusion": "failure",
        "pull_requests": [{"number": n} for n in numbers],
    }
    return {"action": "completed", kind: run, "repository": {"full_name": repo}}


def about_status(commit: str, repo: str = "lab/taxonomy") -> dict[str, Any]:
    return {"sha": commit, "state": "success", "context": "dco", "repository": {"full_name": repo}}


def signed(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()
