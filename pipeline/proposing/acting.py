"""What is done to a pull request from its thread: an answer to a remark, a comment, taking it back. Each once.

What is posted carries a mark that nobody sees: it is looked for before anything is posted, so that a lost answer or a second
attempt posts nothing twice.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.errors import Invalid, Problem
from pipeline.github.client import GitHub, at
from pipeline.github.identity import Identity
from pipeline.proposing.muting import muted
from pipeline.proposing.trying import Sleep, settled
from pipeline.stage import Job

MOST = 60_000  # characters of a comment; GitHub takes 65,536
WITHDRAWN = "Withdrawn by its contributor."


def mark(event: str) -> str:
    """What is found again: an id of ours in a comment of HTML, which GitHub does not show."""
    return f"<!-- labbot:{''.join(one for one in event if one.isalnum() or one in '-_.:')[:80]} -->"


def said(text: str) -> str:
    """A person's answer: it pings nobody, and has no mark of ours."""
    return muted(text)[:MOST].replace("<!--", "<\u200b!--")


async def withdrawn(github: GitHub, repo: str, number: int, login: str) -> bool:
    """Whether it was taken back from here."""
    rows = await github.pages(at("repos", repo, "issues", number, "comments"))
    mine = [str(one.get("body") or "") for one in rows if (one.get("user") or {}).get("login") == login]
    return any(one.startswith(WITHDRAWN) and "<!-- labbot:" in one for one in mine)


def _unmerged(pull: Mapping[str, Any]) -> Mapping[str, Any]:
    if pull.get("merged_at"):
        raise Invalid(Problem("github.merged", "it was merged already", "GitHub", facts={"url": str(pull["html_url"])}))
    return pull


class Acts:
    """The acts on one pull request. `inputs` of the job: repo, number, event, and what each act says."""

    def __init__(self, job: Job, github: GitHub, identity: Identity, sleep: Sleep) -> None:
        self.job, self.github, self.identity, self.sleep = job, github, identity, sleep
        self.repo, self.number = str(job.inputs["repo"]), int(job.inputs["number"])
        self.mark = mark(str(job.inputs["event"]))

    async def answer(self) -> dict[str, str]:
        """Answer a remark to a line in its place, anything else below the pull request."""
        remark = str(self.job.inputs.get("remark", ""))
        text = f"{said(str(self.job.inputs['text']))}\n\n{self._by()}{self.mark}"
        first = await self._first(remark) if str(self.job.inputs.get("kind")) == "line" and remark.isdecimal() else ""
        if first:
            replies = f"pulls/{self.number}/comments/{first}/replies"
            url = await settled(lambda: self._posted("pulls", replies, text), self.sleep)
        else:
            url = await self._comment(text)
        return {"act": "answer", "url": url}

    async def _first(self, remark: str) -> str:
        """The remark that a line's conversation began with: GitHub takes answers to that alone. "" where it is gone."""
        rows = await self.github.pages(at("repos", self.repo, "pulls", self.number, "comments"))
        found = next((one for one in rows if str(one["id"]) == remark), None)
        return str(found.get("in_reply_to_id") or remark) if found else ""

    async def withdraw(self) -> dict[str, str]:
        """Close it, say who did, and take the branch away; one that is merged stays as it is."""
        path = at("repos", self.repo, "pulls", self.number)
        pull = _unmerged(await self.github.get(path))
        await self._comment(f"{WITHDRAWN}\n\n{self.mark}")
        if pull["state"] == "open":
            pull = _unmerged(await settled(lambda: self.github.patch(path, {"state": "closed"}), self.sleep))
        await settled(lambda: self._pruned(pull["head"]), self.sleep)
        return {"act": "withdraw", "url": str(pull["html_url"])}

    async def _pruned(self, head: Mapping[str, Any]) -> None:
        """Take our own branch away; one that is gone already is no harm."""
        repo, branch = head.get("repo"), str(head["ref"])
        if not repo or not branch.startswith("labbot/"):
            return
        try:
            await self.github.delete(at("repos", repo["full_name"], "git/refs/heads", branch))
        except Invalid as error:
            if error.problems[0].code not in ("github.unfit", "github.gone", "github.refused"):
                raise

    async def _comment(self, text: str) -> str:
        return await settled(lambda: self._posted("issues", f"issues/{self.number}/comments", text), self.sleep)

    async def _posted(self, where: str, path: str, text: str) -> str:
        """Post a comment, unless one with our mark is there."""
        rows = await self.github.pages(at("repos", self.repo, where, self.number, "comments"))
        for one in rows:
            if self.mark in (one.get("body") or "") and (one.get("user") or {}).get("login") == self.identity.login:
                return str(one["html_url"])
        return str((await self.github.post(at("repos", self.repo, path), {"body": text}))["html_url"])

    def _by(self) -> str:
        """Whose words they are, where an App posts them."""
        name = str(self.job.inputs.get("name", ""))
        return f"({muted(name)}, through labbot)\n\n" if self.identity.kind == "app" and name else ""
