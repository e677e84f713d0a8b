"""The samples that people are shown while others are made: which these are, and how what is thumbed is found again."""

import asyncio
from collections.abc import Iterable

from pipeline.generating import rows
from pipeline.generating.flow import FIRST
from pipeline.generating.memo import Memo, key
from pipeline.generating.outcome import Made
from pipeline.generating.rows import Row


class Shown:
    """The first samples that were kept, in `rows`. Which they are is written down: after a restart, and when more samples

    are asked for, they are the same ones, though others are at their end sooner then.
    """

    def __init__(self, made: Made, answers: Memo, done: Memo) -> None:
        self._made, self._answers = made, answers
        noted = [answers.get(self._id(at)) for at in range(FIRST)]
        found = [done.get(str(one["row"])) for one in noted if one]
        self.rows = [rows.parsed(record) for record in found if record]

    def _id(self, at: int) -> str:
        return key("first", self._made.version, at)

    async def see(self, row: Row) -> None:
        """Hear of a sample that was kept and written down. Raises Failed where the disk refuses."""
        if len(self.rows) < FIRST and row.id not in {one.id for one in self.rows}:
            self.rows.append(row)
            await self._answers.keep((self._id(len(self.rows) - 1), {"row": self._made.id(row)}))


class Thumbed:
    """Finds samples that train by their ids: those that are shown, and others as far as `look` has read the log for them.

    Of the log only what is looked for comes into memory.
    """

    def __init__(self, done: Memo, shown: Shown) -> None:
        self._done, self._shown = done, shown
        self._found: dict[str, Row | None] = {}
        self._missed: set[str] = set()

    def row(self, id: str) -> Row | None:
        """The sample; None where there is none, and as long as nobody has looked for it."""
        if shown := next((row for row in self._shown.rows if row.id == id), None):
            return shown
        if id not in self._found:
            self._missed.add(id)
        return self._found.get(id)

    async def look(self, ids: Iterable[str] = ()) -> None:
        """Look for these, and for what was missed since, each once; beside the event loop, since logs can be long."""
        for id in ids:
            self.row(id)
        wanted, self._missed = self._missed, set()
        if wanted:
            self._found |= await asyncio.to_thread(self._read, wanted)

    def _read(self, wanted: set[str]) -> dict[str, Row | None]:
        found: dict[str, Row | None] = dict.fromkeys(wanted)
        for _, record in self._done.journal.records():
            if record["id"] in wanted and record["set"] == "train":
                found[record["id"]] = rows.parsed(record)
        return found
