"""What the shell looks at for the core: the taxonomy's tree of paths, and a draft as it would stand."""

import asyncio
import time
from pathlib import Path

from bot.core.contribute import FORMS, entry
from bot.core.form import stands
from bot.core.known import Finding
from bot.core.records import Draft
from bot.core.talk import Look
from pipeline import qna
from pipeline.check import MODES, check_text
from pipeline.errors import Invalid, Problem
from pipeline.taxonomy import Tree, read_tree, suggest

FRESH_S = 10.0  # how old a listing of the taxonomy may be: people wait for each other's branches longer than that


class Looker:
    """Looks at one taxonomy checkout, and remembers its tree for a while."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self._tree = Tree()
        self._read_at = -FRESH_S

    async def tree(self) -> Tree:
        """The folders and leaves there are, at most FRESH_S seconds old."""
        if time.monotonic() - self._read_at >= FRESH_S:
            self._tree = await asyncio.to_thread(read_tree, self.checkout)
            self._read_at = time.monotonic()
        return self._tree

    async def __call__(self, look: Look) -> object:
        assert isinstance(look.subject, Draft)
        return await self.draft(look.subject)

    async def draft(self, draft: Draft) -> Finding:
        """What would be written, what its writer refuses, where it could go and whether that place is taken."""
        made = entry(draft.answers)
        tree = await self.tree()
        text = " ".join([made.description, *(example.question for example in made.examples)])
        places = suggest(text, tree)
        taken = made.leaf in tree.leaves
        try:
            text = qna.write(made)
        except Invalid as error:
            return Finding("", error.problems, places, taken)
        whole = stands(FORMS[draft.form], draft.answers) is None
        return Finding(text, await asyncio.to_thread(refusals, text, made.leaf) if whole else (), places, taken)


def refusals(text: str, leaf: str) -> tuple[Problem, ...]:
    """Why the taxonomy's CI or ilab would refuse a file: nothing, if its writer does what it should."""
    path = Path(leaf) / "qna.yaml"
    found = [one for mode in MODES for one in check_text(text, path, mode) if one.level == "error"]
    return tuple(dict.fromkeys(Problem(one.code, one.message, f"qna.yaml:{one.line}", one.fix) for one in found))
