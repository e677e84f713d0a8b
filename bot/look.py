"""What the shell looks at for the core: the taxonomy's tree of paths, and a draft as it would stand."""

import asyncio
import time
from pathlib import Path

from bot.core.contribute import entry
from bot.core.known import Finding
from bot.core.records import Draft
from bot.core.talk import Look
from pipeline import qna
from pipeline.errors import Invalid
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
            return Finding(qna.write(made), (), places, taken)
        except Invalid as error:
            return Finding("", error.problems, places, taken)
