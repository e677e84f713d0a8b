"""Has the model's server know the adapters that were taught here: by name, from their runs' folders, when one is asked for.

What a server knew is gone when it starts anew, and a name may come to stand for another adapter when its run trained again. So
before each question it is looked whether the server has the adapter as it is now.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from bot import trained
from bot.core.trained import run_of
from pipeline.errors import Invalid, Problem
from pipeline.models.client import Client, ModelInfo

log = logging.getLogger("labbot")

FOLDERS = ("vllm",)  # servers (by `owned_by`) that load an adapter as peft's folder; the others take a GGUF

Bring = Callable[[str, str], Awaitable[None]]


class Adapters:
    """Of the runs in a folder. `bring` has a file of a run here that another host made."""

    def __init__(self, runs: Path, bring: Bring) -> None:
        self.runs, self.bring = runs, bring
        self._loaded: dict[tuple[str, str], tuple[int, ...]] = {}  # by server and name: which files were loaded
        self._lock = asyncio.Lock()

    async def ready(self, client: Client, name: str) -> None:
        """Have the server know the adapter of that name; nothing to do for the name of another model.

        Raises Invalid adapter.gone where the run has none any more, and whatever the client raises.
        """
        if not run_of(name):
            return
        async with self._lock:
            listed = await client.models()
            there = any(one.id == name for one in listed)
            path = await self._path(name, listed)
            if path is None:
                if there:  # it was forgotten, so the server forgets it too
                    await self._unload(client, name)
                raise Invalid(Problem("adapter.gone", f"there is no adapter {name} any more", name))
            await self._load(client, name, path, there=there)

    async def _path(self, name: str, listed: tuple[ModelInfo, ...]) -> Path | None:
        """The adapter as this server takes it, None where it is not there."""
        run, folder = run_of(name), any(one.owner in FOLDERS for one in listed)
        wanted = [trained.THERE, trained.WEIGHTS] if folder else [trained.ADAPTER]
        for one in wanted:
            await self.bring(run, one)
        if not all((self.runs / run / one).is_file() for one in wanted):
            return None
        return (self.runs / run / (trained.PEFT if folder else trained.ADAPTER)).resolve()

    async def _load(self, client: Client, name: str, path: Path, *, there: bool) -> None:
        now, at = _stamp(path), (client.url, name)
        if there and self._loaded.get(at) == now:
            return
        if there and not await self._unload(client, name):
            return  # answers are being written with it as it was
        try:
            await client.load_adapter(name, path)
        except Invalid:
            if not any(one.id == name for one in await client.models()):  # another process was quicker
                raise
        self._loaded[at] = now
        log.info("adapter %s is loaded", name)

    async def _unload(self, client: Client, name: str) -> bool:
        self._loaded.pop((client.url, name), None)
        try:
            await client.unload_adapter(name)
        except Invalid as error:
            log.info("adapter %s stays loaded: %s", name, error)
            return False
        return True


def _stamp(path: Path) -> tuple[int, ...]:
    """What a file, or the files of a folder, are known by: they are written anew as a whole."""
    try:
        paths = sorted(path.iterdir()) if path.is_dir() else [path]
        found = [one.stat() for one in paths]
    except OSError:  # they are being exported anew: the server says what it makes of that
        return ()
    return tuple(number for one in found for number in (one.st_mtime_ns, one.st_size))
