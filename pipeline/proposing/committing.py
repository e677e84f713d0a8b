"""The draft's commit on GitHub, by its git data API: both files as they are to be, on the draft's branch, signed off.

There is no checkout, and nothing that could be left half done in one. A commit is named by its content, and its content is
the same for the same consent: made twice it is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from pipeline.errors import Invalid
from pipeline.github.client import GitHub, at
from pipeline.github.identity import Identity
from pipeline.proposing import message
from pipeline.proposing.checkout import FILES
from pipeline.stage import Job


@dataclass(frozen=True, slots=True)
class Place:
    """Where a proposal goes: to `base` of `repo`, from a branch of `head`, which is that or a fork. `may`: label things."""

    repo: str
    base: str
    head: str
    may: bool

    @property
    def owner(self) -> str:
        return self.head.partition("/")[0]


async def tip_of(github: GitHub, repo: str, branch: str) -> str:
    """The commit that a branch points to; "" where there is none (yet)."""
    try:
        found = await github.get(at("repos", repo, "git/ref/heads", branch))
    except Invalid as error:
        if error.problems[0].code in ("github.gone", "github.conflict"):  # 409: an empty repository
            return ""
        raise
    return str(found["object"]["sha"])


class Commits:
    """What a draft's branch has."""

    def __init__(self, job: Job, github: GitHub, identity: Identity) -> None:
        self.job, self.github, self.identity = job, github, identity
        self.leaf = str(job.inputs["leaf"])

    async def settle(self, place: Place, branch: str) -> str:
        """See to it that the branch has both files as they are to be: one commit more, or none where it has them already."""
        tip = await tip_of(self.github, place.head, branch)
        base = await tip_of(self.github, place.head, place.base)
        parent = tip or base
        commit = await self.github.get(at("repos", place.head, "git/commits", parent))
        start = str(commit["tree"]["sha"])
        tree = await self._tree(place, start, await self._left(place, base, tip) if tip else {})
        if tip and tree == start:
            return tip
        made = await self.github.post(at("repos", place.head, "git/commits"), self._row(tree, parent))
        sha = str(made["sha"])
        if tip:
            await self.github.patch(at("repos", place.head, "git/refs/heads", branch), {"sha": sha, "force": False})
        else:
            await self.github.post(at("repos", place.head, "git/refs"), {"ref": f"refs/heads/{branch}", "sha": sha})
        return sha

    async def _left(self, place: Place, base: str, tip: str) -> dict[str, str | None]:
        """The entry's files at other places of this branch, since it was moved: what was there before; None for nothing."""
        compared = await self.github.get(at("repos", place.head, "compare", f"{base}...{tip}"))
        start, left = str(compared["merge_base_commit"]["sha"]), {}
        for one in compared.get("files", ()):
            path = PurePosixPath(one["filename"])
            if path.name in FILES and str(path.parent) != self.leaf and one["status"] in ("added", "modified"):
                added = one["status"] == "added"
                left[str(path)] = None if added else await self._blob(place.head, str(path), start)
        return left

    async def _blob(self, repo: str, path: str, commit: str) -> str:
        return str((await self.github.get(at("repos", repo, "contents", path), ref=commit))["sha"])

    async def _tree(self, place: Place, start: str, left: Mapping[str, str | None]) -> str:
        blobs = dict(left)
        for name in FILES:
            content = (self.job.folder / "entry" / name).read_text(encoding="utf-8")
            made = await self.github.post(at("repos", place.head, "git/blobs"), {"content": content, "encoding": "utf-8"})
            blobs[f"{self.leaf}/{name}"] = str(made["sha"])
        rows = [{"path": path, "mode": "100644", "type": "blob", "sha": sha} for path, sha in blobs.items()]
        return str((await self.github.post(at("repos", place.head, "git/trees"), {"base_tree": start, "tree": rows}))["sha"])

    def _row(self, tree: str, parent: str) -> dict[str, Any]:
        """The commit, dated by the consent. The person wrote it and signs it off; an App that commits it says so."""
        inputs = self.job.inputs
        date = datetime.fromtimestamp(int(inputs["signed_at"]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        author = {"name": str(inputs["name"]), "email": str(inputs["mail"]), "date": date}
        helped = self.identity.kind == "app"
        hand = {"name": self.identity.login, "email": self.identity.mail, "date": date} if helped else author
        text = message.commit(self.job, helped=helped)
        return {"message": text, "tree": tree, "parents": [parent], "author": author, "committer": hand}
