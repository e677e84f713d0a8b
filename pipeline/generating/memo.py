"""What was answered, kept on disk at once: many records with one write, while the answers that come next are awaited."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from pipeline.errors import Failed
from pipeline.files import digest
from pipeline.journal import Journal


def key(*asked: Any) -> str:
    """The id of what was asked (JSON): the digest of everything that the answer depends on."""
    return digest(json.dumps(asked, sort_keys=True).encode()).removeprefix("sha256:")[:32]


class Memo:
    """A journal that does not hold up the event loop. Whoever awaits `keep` goes on when the disk has the record.

    `refused` is what the disk said when it took no more.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.refused: Failed | None = None
        self._waiting: list[tuple[str, Mapping[str, Any]]] = []
        self._write: asyncio.Future[None] | None = None
        self._next: asyncio.Future[None] | None = None

    def get(self, id: str) -> dict[str, Any] | None:
        return self.journal.get(id)

    async def keep(self, *records: tuple[str, Mapping[str, Any]]) -> None:
        """Keep records; one whose id is there already stays as it is. Raises Failed where the disk refuses."""
        fresh = [one for one in records if one[0] not in self.journal]
        if not fresh:
            return
        self._waiting += fresh
        if self._next is None:
            self._next = asyncio.ensure_future(self._after(self._write))
        await asyncio.shield(self._next)

    async def _after(self, write: asyncio.Future[None] | None) -> None:
        """Write what waits by the time that the write before is done."""
        if write is not None:
            await asyncio.wait([write])
        else:
            await asyncio.sleep(0)
        records, self._waiting = self._waiting, []
        self._write, self._next = self._next, None
        try:
            await asyncio.to_thread(self.journal.append_all, records)
        except Failed as error:
            self.refused = error
            raise

    async def close(self) -> None:
        """Wait for what is being written."""
        for one in (self._write, self._next):
            if one is not None:
                await asyncio.wait([one])
