"""The parts of one labbot process, put together: memory, store, runs, taxonomy. Only `bot.__main__` and tests call it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot import forget
from bot.app import App
from bot.faq import Faq
from bot.look import Looker
from bot.settings import Settings
from bot.store import Store
from bot.voice import Maintainers, Stream, Voice
from pipeline import demo, screen, sources
from pipeline.memory import Memory, connect
from pipeline.runs import Runs
from pipeline.screen import Alike, Screen

log = logging.getLogger("labbot")


@dataclass(frozen=True, slots=True)
class House:
    """What platforms are built from. `app` makes the shell of one platform around its voice."""

    settings: Settings
    memory: Memory
    store: Store
    runs: Runs
    look: Looker

    def app(
        self,
        platform: str,
        voice: Voice,
        streams: dict[str, Stream] | None = None,
        maintainers: Maintainers | None = None,
    ) -> App:
        return App(
            self.store,
            voice,
            platform=platform,
            tables=self.settings.words,
            roles=self.settings.roles,
            look=self.look,
            runs=self.runs,
            streams=streams,
            maintainers=maintainers,
            policy=self.settings.policy,
        )


@asynccontextmanager
async def built(settings: Settings, redis_url: str, clock: Callable[[], float], lease_s: float = 3.0) -> AsyncIterator[House]:
    """Everything but the platform; the connection is closed at the end."""
    memory = connect(redis_url)
    checkout = taxonomy(settings)
    propose = {
        "path": str(checkout),
        "branch": settings.bot.taxonomy.branch,
        "template": str(settings.home / "configs" / "pull.md"),
    }
    folder = settings.data / "runs"
    stages = {"propose": propose, "fetch": {"net": settings.bot.net.model_dump(mode="json")}}
    runs = Runs(memory, folder, stages, timeout_s=settings.bot.runs.timeout_s, clock=clock)
    store = Store(memory, settings.retention, lease_s)
    try:
        listed = sources.read(settings.home / "configs" / "sources.yaml")
        screened = await asyncio.to_thread(screening, settings, checkout)
        look = Looker(checkout, folder, listed, await asyncio.to_thread(faq_of, settings), mine(store, runs), screened)
        yield House(settings, memory, store, runs, look)
    finally:
        await memory.close()


def mine(store: Store, runs: Runs) -> Callable[[str], Awaitable[str]]:
    """Everything that is kept of somebody, as JSON: records, and the text files of their runs."""

    async def read(person: str) -> str:
        found = await forget.export(store, person)
        found["runs"] = await runs.export(person)
        return json.dumps(found, ensure_ascii=False, indent=1)

    return read


def screening(settings: Settings, checkout: Path) -> tuple[Screen, Alike]:
    """What drafts are screened for, and the questions that the taxonomy has already."""
    return screen.read(settings.home / "configs" / "screen.yaml"), screen.of_tree(checkout, settings.cache / "questions")


def faq_of(settings: Settings) -> Faq:
    """The FAQ that is configured; what is wrong with its files is in the log, the others are read."""
    section = settings.bot.faq
    paths = [settings.home / path for path in section.paths]
    faq = Faq(paths, section.base_url, settings.cache / "faq", embeddings=settings.embeddings)
    for problem in faq.problems:
        log.warning("%s", problem)
    return faq


def taxonomy(settings: Settings) -> Path:
    """The operator's checkout, or the demo, made if it is not there yet."""
    if settings.bot.taxonomy.path:
        return Path(settings.bot.taxonomy.path).expanduser().absolute()
    folder = settings.data / "taxonomy"
    demo.make(folder, settings.home / "configs" / "demo")
    return folder
