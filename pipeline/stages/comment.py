"""The stage that posts the table of /triage below its pull request, once; posted again it is edited in its place."""

import asyncio
import json
import os
from collections.abc import Mapping
from typing import Any

from pipeline.errors import Invalid, Problem
from pipeline.github import identity
from pipeline.github.client import GitHub, at, hub_of
from pipeline.proposing.trying import settled
from pipeline.stage import Job
from pipeline.triaging import markdown

SLEEP = asyncio.sleep
MARK = "<!-- labbot:triage -->"


def comment(job: Job) -> Mapping[str, str]:
    """Facts: url. Raises Invalid triage.quiet where an operator has not allowed it, triage.gone without a table."""
    if not job.settings["github"]["comments"]:
        fix = "Set github.comments in configs/bot.yaml."
        raise Invalid(Problem("triage.quiet", "comments are not allowed here", "github.comments", fix))
    table, asked = (_found(job, name) for name in ("triage.json", "precheck.json"))
    if table is None:
        raise Invalid(Problem("triage.gone", "there is no table to post", "triage.json", "Look at it again: /triage."))
    return asyncio.run(_posted(job, f"{markdown.table(table, asked)}\n\n{MARK}", int(table["number"])))


def _found(job: Job, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((job.folder / name).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found


async def _posted(job: Job, body: str, number: int) -> dict[str, str]:
    settings, repo = job.settings["github"], str(job.settings["repo"])
    own = {} if settings["app"] else job.account  # in the App's name where there is one: it is the bot that speaks
    who = await identity.of(settings, own, os.environ, repo)
    async with GitHub(hub_of(settings), who.token, sleep=SLEEP) as github:
        row = await settled(lambda: _put(github, repo, number, who.login, body), SLEEP)
    return {"number": str(number), "url": str(row["html_url"])}


async def _put(github: GitHub, repo: str, number: int, login: str, body: str) -> Any:
    """Look for our own comment, and edit it; else write it."""
    rows = await github.pages(at("repos", repo, "issues", number, "comments"))
    ours = (row for row in rows if MARK in (row.get("body") or "") and (row.get("user") or {}).get("login") == login)
    if found := next(ours, None):
        if found["body"] == body:
            return found
        return await github.patch(at("repos", repo, "issues/comments", found["id"]), {"body": body})
    return await github.post(at("repos", repo, "issues", number, "comments"), {"body": body})
