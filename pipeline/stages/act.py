"""The stage that does something to a pull request that is open: answers a remark, or takes it back."""

import asyncio
import os
from collections.abc import Mapping

from pipeline.github import identity
from pipeline.github.client import GitHub, hub_of
from pipeline.proposing.acting import Acts
from pipeline.stage import Job

SLEEP = asyncio.sleep


def act(job: Job) -> Mapping[str, str]:
    """`inputs`: act ("answer" or "withdraw"), repo, number, event, and text, remark and kind of an answer."""
    return asyncio.run(_act(job))


async def _act(job: Job) -> Mapping[str, str]:
    settings = job.settings["github"]
    acts = await identity.of(settings, job.account, os.environ, str(job.inputs["repo"]))
    async with GitHub(hub_of(settings), acts.token, sleep=SLEEP) as github:
        does = Acts(job, github, acts, SLEEP)
        return await (does.withdraw() if job.inputs["act"] == "withdraw" else does.answer())
