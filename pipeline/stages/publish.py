"""The stage that puts a document into the person's own repository on GitHub, so that an entry can name its commit."""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import publishing
from pipeline.errors import Failed, Invalid, Problem
from pipeline.files import write
from pipeline.github import identity
from pipeline.github.client import GitHub, at, hub_of
from pipeline.proposing.muting import muted
from pipeline.proposing.trying import settled
from pipeline.publishing import Signer
from pipeline.stage import Job

SLEEP = asyncio.sleep
ABOUT = "Documents that entries of mine in an InstructLab taxonomy name"


def publish(job: Job) -> Mapping[str, str]:
    """Publish `upload/FILE`; `inputs`: file, about (names the folder), name, mail, signed_at. Leaves `publish.json`.

    Facts: repo (its URL), commit, patterns (the file's path). Raises Invalid for what is no document, and what is in the way
    at GitHub; Temporary.
    """
    name, content = publishing.document(str(job.inputs["file"]), _upload(job))
    path = "/".join(filter(None, (publishing.slug(str(job.inputs["about"])), name)))
    job.report(0.1, {"stage": "publish"})
    settings = job.settings["github"]
    acts = asyncio.run(identity.of({**settings, "app": ""}, job.account, os.environ))  # the App has no repository of theirs
    found = asyncio.run(_repository(settings, acts))
    job.report(0.4, {"stage": "publish", "repo": found["full_name"]})
    url = f"{settings['web'].rstrip('/')}/{found['full_name']}.git"
    for left in job.folder.glob(".publish-*"):  # by an attempt that was killed
        shutil.rmtree(left, ignore_errors=True)
    signer = Signer(str(job.inputs["name"]), str(job.inputs["mail"]), float(job.inputs["signed_at"]))
    push = {"branch": found["default_branch"], "path": path, "content": content, "message": _message(name, signer)}
    with tempfile.TemporaryDirectory(prefix=".publish-", dir=job.folder.resolve(), ignore_cleanup_errors=True) as folder:
        try:
            commit = publishing.pushed(url, acts.token, signer, push, Path(folder), hub_of(settings).net)
        except FileNotFoundError as error:
            raise Failed(f"a later attempt at {job.folder.name} cleared away what this one works with") from error
    facts = {"repo": url, "commit": commit, "patterns": path}
    write(job.folder / "publish.json", json.dumps(facts, indent=1))
    return facts


def _upload(job: Job) -> bytes:
    folder = (job.folder / "upload").resolve()
    path = (folder / str(job.inputs["file"])).resolve()
    if path.parent != folder or not path.is_file():
        raise Invalid(Problem("publish.gone", "the file is not there any more", str(job.inputs["file"]), "Send it again."))
    return path.read_bytes()


def _message(name: str, signer: Signer) -> str:
    return f"Add {muted(name)}\n\nSigned-off-by: {signer.name} <{signer.mail}>\n"


async def _repository(settings: Mapping[str, Any], acts: identity.Identity) -> Mapping[str, Any]:
    """The person's repository of documents, made if there is none. Raises Invalid where it cannot be written or read."""
    async with GitHub(hub_of(settings), acts.token, sleep=SLEEP) as github:
        found = await settled(lambda: _there(github, acts.login, str(settings["documents"])), SLEEP)
    name = str(found["full_name"])
    if found.get("archived"):
        raise _invalid("github.archived", f"{name} is archived", "Unarchive it, or rename it: a new one is made.", name)
    if found.get("private"):
        raise _invalid("publish.private", f"{name} is private", "Make it public: others must read the document.", name)
    return found


async def _there(github: GitHub, login: str, name: str) -> Mapping[str, Any]:
    try:
        return dict(await github.get(at("repos", login, name)))
    except Invalid as error:
        if error.problems[0].code != "github.gone":
            raise
    asked = {"name": name, "description": ABOUT, "private": False, "auto_init": False}
    return dict(await github.post("/user/repos", asked))


def _invalid(code: str, message: str, fix: str, repo: str) -> Invalid:
    return Invalid(Problem(code, message, "GitHub", fix, {"repo": repo}))
