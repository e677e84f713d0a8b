"""The stage that proposes an entry: a pull request where a repository of GitHub's is named, else a branch of the checkout."""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path

from pipeline.files import write
from pipeline.github import identity
from pipeline.github.client import GitHub, Told, hub_of
from pipeline.proposing.checkout import on_checkout
from pipeline.proposing.remote import Proposal
from pipeline.stage import Job


def propose(job: Job) -> Mapping[str, str]:
    """Propose the entry of a run; doing it again changes nothing but what the entry changed.

    Leaves `pull.md` (the text) and `pull.json` (where it is). Raises Invalid with what is in the way and what to do.
    """
    if not job.settings.get("repo"):
        return on_checkout(job)
    return asyncio.run(on_github(job, Path(job.settings["template"]).read_text(encoding="utf-8")))


SLEEP = asyncio.sleep


async def on_github(job: Job, template: str) -> Mapping[str, str]:
    settings = job.settings["github"]
    repos = list(dict.fromkeys(filter(None, (settings["fork"], job.settings["repo"]))))
    owners = {repo.partition("/")[0] for repo in repos}
    named = repos if len(owners) == 1 else repos[-1:]  # an installation is one owner's
    acts = await identity.of(settings, job.account, os.environ, *named)
    async with GitHub(hub_of(settings), acts.token, told=_told(job), sleep=SLEEP) as github:
        proposal = Proposal(job, github, acts, template, SLEEP)
        facts = await proposal.open()
    write(job.folder / "pull.md", proposal.text)
    write(job.folder / "pull.json", json.dumps({**facts, "leaf": job.inputs["leaf"]}, indent=1))
    return facts


def _told(job: Job) -> Told:
    """Tell people when GitHub makes us wait, and how long."""

    def tell(why: str, seconds: float) -> None:
        job.report(0.5, {"stage": "propose", "step": why, "pause_s": f"{seconds:.0f}"})

    return tell
