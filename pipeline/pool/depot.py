"""What hosts without a common disk need of each other's runs: brought before a stage, kept after it and while it goes on.

A run's manifest, path -> digest and size, is part of its record, so an attempt that no longer counts cannot add to it.
Where there is no store all hosts share a disk, and nothing is brought or kept.
"""

import asyncio
import shutil
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.pool.ledger import Ledger

if TYPE_CHECKING:
    from pipeline.pool.artefacts import Blob, Store

OLD_S = 3600.0
BEGUN = ("run.json", "entry", "upload")  # what a run is begun with


class Depot:
    """The store of an installation's runs; `folder` holds a folder a run on this host."""

    def __init__(self, ledger: Ledger, folder: Path, store: "Store | None" = None) -> None:
        self.ledger, self.folder, self.store = ledger, folder, store

    async def bring(self, run: str, *paths: str) -> None:
        """Have a run's files here, those at `paths` or all. Raises Temporary where the store is away, Failed for good."""
        if self.store:
            manifest = await self.ledger.files(run)
            wanted = {path: _blob(blob) for path, blob in manifest.items() if not paths or path in paths}
            await asyncio.to_thread(self.store.pull, self.folder / run, wanted)

    async def keep(self, run: str, paths: Sequence[str]) -> dict[str, str]:
        """Keep files and folders of a run; what its record is to say of them. What is not there is left out."""
        if not self.store:
            return {}
        found = await asyncio.to_thread(self.store.push, self.folder / run, paths)
        return {path: f"{blob.digest} {blob.size}" for path, blob in found.items()}

    async def begin(self, run: str) -> None:
        """Keep what a run is begun with, before anybody can take it."""
        if words := [word for pair in (await self.keep(run, BEGUN)).items() for word in pair]:
            await self.ledger.memory.do("HSET", f"run:{run}:files", *words)

    async def erase(self, blobs: Collection[str]) -> None:
        """Remove of these, as manifests name them, what no run does any more, at once: somebody may want it forgotten."""
        if self.store and blobs:
            await asyncio.to_thread(self.store.erase, {_blob(blob).digest for blob in blobs} - await self._named())

    async def clean(self) -> list[str]:
        """Remove blobs that no run names any more, such as what a log was while it grew, once no push can need them."""
        return await asyncio.to_thread(self.store.drop, await self._named()) if self.store else []

    async def _named(self) -> set[str]:
        """The digests that runs name."""
        runs = [record.id for record in await self.ledger.records()]
        return {_blob(blob).digest for run in runs for blob in (await self.ledger.files(run)).values()}

    async def tidy(self) -> list[str]:
        """Remove the folders here whose runs are forgotten; only where each host has a disk of its own."""
        if not self.store:
            return []
        paths = [path for path in await asyncio.to_thread(_old, self.folder) if await self.ledger.record(path.name) is None]
        for path in paths:
            await asyncio.to_thread(shutil.rmtree, path, True)
        return [path.name for path in paths]


def _old(folder: Path) -> list[Path]:
    """Folders of runs that nobody can be just beginning."""
    return [path.parent for path in folder.glob("*/run.json") if path.stat().st_mtime < time.time() - OLD_S]


def _blob(text: str) -> "Blob":
    """A blob as a manifest names it: its digest and its size."""
    from pipeline.pool.artefacts import Blob

    digest, _, size = text.partition(" ")
    return Blob(digest, int(size))
