"""The stage that reads a pull request of the taxonomy and says what a triager would look for in it."""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path

from pipeline import screen, sources
from pipeline.errors import Invalid, Problem
from pipeline.files import write
from pipeline.github import identity
from pipeline.github.client import GitHub, hub_of
from pipeline.stage import Job
from pipeline.triaging import judged, pulled
from pipeline.triaging.judged import Lists

SLEEP = asyncio.sleep
TABLE = "triage.json"


def examine(job: Job) -> Mapping[str, str]:
    """Write triage.json, and the first entry that can be read as entry/. `inputs`: number, and `then`, which is handed on.

    Facts: number, head, author, state, then, errors, warnings, advice, and of the first entry leaf and root. Raises Invalid
    where there is no such pull request, Temporary where GitHub is away.
    """
    found = asyncio.run(_read(job))
    lists = _lists(Path(str(job.settings["home"])), Path(str(job.settings["taxonomy"])), Path(str(job.settings["cache"])))
    record = {**judged.told(found, lists), "comments": bool(job.settings["github"]["comments"])}
    first = next((one for one in found.leaves if one.qna.text is not None), None)
    for name in ("qna.yaml", "attribution.txt"):
        (job.folder / "entry" / name).unlink(missing_ok=True)  # of an earlier look
    if first:
        write(job.folder / "entry" / "qna.yaml", first.qna.text or "")
        write(job.folder / "entry" / "attribution.txt", first.attribution.text or "")
    record["first"] = first.path if first else ""
    write(job.folder / TABLE, json.dumps(record, indent=1, ensure_ascii=False))
    place = {"leaf": first.path, "root": judged.root_of(first.path)} if first else {}
    told = {name: str(record[name]) for name in ("number", "head", "author", "state")}
    counted = {name: str(count) for name, count in judged.counts(record).items()}
    return {**told, **counted, **place, "then": str(job.inputs.get("then", ""))}


async def _read(job: Job) -> pulled.Pulled:
    settings, repo = job.settings["github"], str(job.settings["repo"])
    if not repo:
        fix = "Set taxonomy.repo in configs/bot.yaml."
        raise Invalid(Problem("triage.nowhere", "no repository is named that pull requests go to", "taxonomy.repo", fix))
    token = await _token(job, repo)
    async with GitHub(
        hub_of(settings), token, told=lambda why, s: job.report(0.0, {"wait": f"{s:.0f}"}), sleep=SLEEP
    ) as github:
        return await pulled.read(github, repo, int(job.inputs["number"]))


async def _token(job: Job, repo: str) -> str:
    """What is read with: the App where there is one, the person's account, or nothing, which what is public needs not."""
    settings = job.settings["github"]
    try:
        return (await identity.of(settings, {} if settings["app"] else job.account, os.environ, repo)).token
    except Invalid as error:
        if error.problems[0].code != "github.unlinked":
            raise
        return ""


def _lists(home: Path, checkout: Path, cache: Path) -> Lists:
    configs = home / "configs"
    return Lists(sources.read(configs / "sources.yaml"), screen.read(configs / "screen.yaml"), screen.of_tree(checkout, cache))
