"""A pull request, exactly once: looked for before it is made, at every step, so that a second press, a crash after any call or
a lost answer leads to the same fork, the same branch, the same commit, the same pull request.

    repository -> fork, synced -> branch of the draft -> commit of both files -> pull request -> text -> labels
"""

import asyncio
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import yaml

from pipeline.errors import Invalid, Problem, Temporary
from pipeline.github.client import GitHub, at
from pipeline.github.identity import Identity
from pipeline.proposing import body, message
from pipeline.proposing.acting import withdrawn
from pipeline.proposing.committing import Commits, Place, tip_of
from pipeline.proposing.trying import CODES, Sleep, settled
from pipeline.pulls import STALE
from pipeline.stage import Job
from pipeline.taxonomy import KNOWLEDGE, path_problems

FORK_S = 300.0  # longest wait for a fork: GitHub makes it "asynchronously", up to five minutes
LOOK_S = 3.0  # how often it is looked for
LABELS = ("triage-needed",)  # besides the kind's own
TEMPLATES = (".github/pull_request_template.md", ".github/PULL_REQUEST_TEMPLATE.md", "pull_request_template.md")

T = TypeVar("T")


class Proposal:
    """One draft's way to its pull request."""

    def __init__(self, job: Job, github: GitHub, identity: Identity, template: str, sleep: Sleep = asyncio.sleep) -> None:
        self.job, self.github, self.identity, self.template, self.sleep = job, github, identity, template, sleep
        self.leaf, self.draft = str(job.inputs["leaf"]), message.draft(job)
        self.text = ""

    async def open(self) -> dict[str, str]:
        """Open the pull request, or bring the one that is open up to date. Returns the facts that people are told.

        Raises Invalid with what is in the way, Temporary where GitHub does not answer for long.
        """
        self._signed()
        place = await self._place()
        branch = await self._branch(place)
        await self._fits(place, branch)
        self._tell(0.3, "branch")
        commits = Commits(self.job, self.github, self.identity)
        tip = await self._settled(lambda: commits.settle(place, branch))
        self._tell(0.6, "pull")
        self.text = body.text(self.job, self.template, await self._template(place))
        pull = await self._settled(lambda: self._pull(place, branch))
        await self._settled(lambda: self._renewed(place, pull))
        labels = await self._labels(place, pull) if place.may else {"labels": ""}
        number, url = str(pull["number"]), str(pull["html_url"])
        facts = {"branch": branch, "commit": tip[:12], "repo": place.repo, "number": number, "url": url}
        return {**facts, "login": self.identity.login, **labels}

    def _tell(self, fraction: float, step: str) -> None:
        self.job.report(fraction, {"stage": "propose", "step": step})

    async def _settled(self, step: Callable[[], Awaitable[T]]) -> T:
        return await settled(step, self.sleep)

    # --- where it goes

    async def _place(self) -> Place:
        settings = self.job.settings
        repo, base = str(settings["repo"]), str(settings["branch"])
        found = await self.github.get(at("repos", repo))
        if found.get("archived"):
            fix = "Ask its owners where contributions go now."
            raise _invalid("github.archived", f"{repo} is archived: it takes nothing in", fix, repo=repo)
        rights = found.get("permissions") or {}
        may = bool(rights.get("triage") or rights.get("push"))
        name = str(found["full_name"])
        if not (tip := await tip_of(self.github, name, base)):
            raise _invalid("github.branch", f"{name} has no branch {base}", "Set taxonomy.branch.", repo=name, branch=base)
        if self.identity.kind == "app":
            head, may = str(settings["github"]["fork"]) or name, True  # it knows no "permissions": it is tried
        else:
            own = name.partition("/")[0] == self.identity.login
            head = name if own else await self._settled(lambda: self._fork(name))
        if head != name:
            await self._settled(lambda: self._synced(head, base, tip))
        return Place(name, base, head, may)

    async def _fork(self, repo: str) -> str:
        """The person's fork, made if there is none; to ask for one that is there is no harm. Waits until it has its branch."""
        self._tell(0.1, "fork")
        made = await self._made(repo)
        head, waited = str(made["full_name"]), 0.0
        while not await tip_of(self.github, head, str(made["default_branch"])):
            if waited >= FORK_S:
                raise Temporary(f"GitHub has not finished the fork {head} yet")
            self._tell(0.1, "fork")
            await self.sleep(LOOK_S)
            waited += LOOK_S
        return head

    async def _made(self, repo: str) -> Mapping[str, Any]:
        """What GitHub says of the fork that it makes, or has; one of GitHub's stand-ins (emulate) refuses to make it twice."""
        try:
            return dict(await self.github.post(at("repos", repo, "forks"), {}))
        except Invalid as error:
            if error.problems[0].code != "github.exists":
                raise
            found = await self.github.get(at("repos", self.identity.login, repo.partition("/")[2]))
            if not found.get("fork"):
                raise
            return dict(found)

    async def _synced(self, head: str, base: str, tip: str) -> None:
        """Bring the fork's branch up to its parent's: the proposal begins there, and would carry older commits otherwise."""
        here = await tip_of(self.github, head, base)
        if here == tip:
            return
        if not here:  # somebody forked the main branch alone: a fork has its parent's commits all the same
            await self.github.post(at("repos", head, "git/refs"), {"ref": f"refs/heads/{base}", "sha": tip})
            return
        try:
            await self.github.post(at("repos", head, "merge-upstream"), {"branch": base})
        except Invalid as error:
            code = error.problems[0].code
            if code == "github.gone":  # a GitHub that cannot do that: it begins where the fork is, which merges as well
                return
            if code not in CODES:
                raise
            url = f"{str(self.job.settings['github']['web']).rstrip('/')}/{head}"
            fix = f"Open {url}, press Sync fork, then Discard commits; then try again."
            raise _invalid("github.diverged", f"{head} has commits of its own on {base}", fix, repo=head, url=url) from None

    def _signed(self) -> None:
        """Refuse a place that no entry can have, and an author who is not called as on GitHub: upstream asks for that name."""
        if problems := path_problems(self.leaf, str(self.job.inputs["root"])):
            raise Invalid(*problems)
        found = yaml.safe_load((self.job.folder / "entry" / "qna.yaml").read_text(encoding="utf-8"))
        by, login = str(found.get("created_by", "")), self.identity.login
        if self.identity.kind == "person" and by.lower() != login.lower():
            raise _invalid("github.author", f"created_by is {by!r}", f"Write {login} there.", by=by, login=login)
        if "@" in by:
            raise _invalid("github.mail", "created_by is a mail address", "Write a name on GitHub there.")

    async def _fits(self, place: Place, branch: str) -> None:
        """Refuse what was merged already, and a place that somebody else took meanwhile."""
        found = await self._pulls(place, branch)
        if all(one["state"] != "open" for one in found) and (merged := [one for one in found if one.get("merged_at")]):
            fix = "Begin a new draft for what is to be changed now."
            raise _invalid("github.merged", "it was merged already", fix, url=str(merged[0]["html_url"]))
        if self.job.inputs["replaces"]:
            return
        try:
            await self.github.get(at("repos", place.repo, "contents", self.leaf, "qna.yaml"), ref=place.base)
        except Invalid as error:
            if error.problems[0].code == "github.gone":
                return
            raise
        fix = "Choose another place, or say that it is to be replaced."
        raise Invalid(Problem("leaf.taken", "another entry has this place already", self.leaf, fix))

    # --- branch and commit

    async def _branch(self, place: Place) -> str:
        """The draft's branch: the newest of those that it has, or the name for the first."""
        found = await self._branches(place)
        return found[-1] if found else message.branch(self.leaf, self.draft)

    async def _branches(self, place: Place) -> list[str]:
        rows = await self.github.get(at("repos", place.head, "git/matching-refs/heads/labbot"))
        names = [str(row["ref"]).removeprefix("refs/heads/") for row in rows]
        return sorted((one for one in names if one.endswith(f"-{self.draft}")), key=lambda one: (len(one), one))

    # --- the pull request

    async def _pulls(self, place: Place, branch: str) -> list[Mapping[str, Any]]:
        """The pull requests of a branch, newest first."""
        path, head = at("repos", place.repo, "pulls"), f"{place.owner}:{branch}"
        found = await self.github.pages(path, head=head, base=place.base, state="all")
        return [one for one in found if one["head"]["ref"] == branch]  # a GitHub that does not filter tells all

    async def _pull(self, place: Place, branch: str) -> Mapping[str, Any]:
        """The branch's pull request: the oldest open one, the one that was withdrawn, opened again, or a new one."""
        mine = await self._pulls(place, branch)
        if opened := [one for one in mine if one["state"] == "open"]:
            return opened[-1]
        if mine and (again := await self._again(place, mine[0])):
            return again
        asked = {"title": message.title(self.job), "head": f"{place.owner}:{branch}", "base": place.base, "body": self.text}
        made = await self.github.post(at("repos", place.repo, "pulls"), {**asked, "maintainer_can_modify": True})
        return dict(made)

    async def _again(self, place: Place, pull: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Open a closed one again; None where GitHub does not, and its contributor had withdrawn it: then it needs a new one.

        Raises Invalid github.closed where somebody else closed it: what they decided is not to be got round, which GitHub sees
        to where a person asks, and we where the App does: it may open what was withdrawn, or closed for its silence.
        """
        theirs = await withdrawn(self.github, place.repo, pull["number"], self.identity.login)
        silent = STALE in {str(one["name"]) for one in pull.get("labels", ())}
        if self.identity.kind == "person" or theirs or silent:
            try:
                return dict(await self.github.patch(at("repos", place.repo, "pulls", pull["number"]), {"state": "open"}))
            except Invalid as error:
                if error.problems[0].code not in ("github.unfit", "github.refused"):
                    raise
        if theirs:
            return None
        fix = "Ask there why, or begin a new draft."
        raise _invalid(
            "github.closed", "its repository closed it, and does not let it be opened again", fix, url=pull["html_url"]
        )

    async def _template(self, place: Place) -> str:
        """The repository's own template; "" where there is none."""
        for path in TEMPLATES:
            try:
                found = await self.github.get(at("repos", place.repo, "contents", path), ref=place.base)
                blob = await self.github.get(at("repos", place.repo, "git/blobs", found["sha"]))
                return _decoded(blob)
            except Invalid as error:
                if error.problems[0].code != "github.gone":
                    raise
        return ""

    async def _renewed(self, place: Place, pull: Mapping[str, Any]) -> None:
        """Let title and text say what the entry is by now."""
        wanted = {"title": message.title(self.job), "body": self.text}
        if any(pull.get(name) != value for name, value in wanted.items()):
            await self.github.patch(at("repos", place.repo, "pulls", pull["number"]), wanted)

    async def _labels(self, place: Place, pull: Mapping[str, Any]) -> dict[str, str]:
        """Label it as upstream's own automation does, with what labels there are; without the right to, nothing is lost."""
        kind = "knowledge" if self.job.inputs["root"] == KNOWLEDGE else "skill"
        try:
            there = {str(one["name"]) for one in await self.github.pages(at("repos", place.repo, "labels"))}
            wanted = [name for name in (kind, *LABELS) if name in there]
            lacks = set(wanted) - {str(one["name"]) for one in pull.get("labels", ())}
            if lacks:
                await self.github.post(at("repos", place.repo, "issues", pull["number"], "labels"), {"labels": sorted(lacks)})
        except Invalid as error:
            return {"labels": "", "unlabelled": error.problems[0].code}
        return {"labels": " ".join(wanted)}


def _decoded(blob: Mapping[str, Any]) -> str:
    raw = b64decode(blob["content"]) if blob.get("encoding") == "base64" else str(blob["content"]).encode()
    return raw[:65_536].decode("utf-8", "replace")


def _invalid(code: str, text: str, fix: str, **facts: str) -> Invalid:
    return Invalid(Problem(code, text, "GitHub", fix, facts))
