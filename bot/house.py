"""The parts of one labbot process, put together: memory, store, runs, taxonomy. Only `bot.__main__` and tests call it."""

import asyncio
import importlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bot import forget
from bot.adapters import Adapters
from bot.app import App
from bot.chat import Chat
from bot.core import asking, chatting, today
from bot.core.known import Known, Offer
from bot.core.records import Person
from bot.core.words import Words
from bot.counts import Counts
from bot.faq import Faq
from bot.grounded import Grounded
from bot.hub import Hub, nobody
from bot.ids import family
from bot.look import Looker, entry_of
from bot.settings import Settings
from bot.store import Store
from bot.today import Today
from bot.voice import Maintainers, Manners, Stream, Voice
from pipeline import config, screen, sources
from pipeline.installation import Installation
from pipeline.memory import Memory, connect
from pipeline.models import catalog, machine, shelf
from pipeline.models.host import Models
from pipeline.pool.terms import Terms
from pipeline.runs import Runs
from pipeline.screen import Alike, Screen

log = logging.getLogger("labbot")

ANSWER_S = 3.0  # the longest wait for an answer of Redis: a wire that was forgotten on the way says nothing at all


@dataclass(frozen=True, slots=True)
class House:
    """What platforms are built from. `app` makes the shell of one platform around its voice."""

    settings: Settings
    memory: Memory
    store: Store
    runs: Runs
    look: Looker
    models: Models
    chat: Chat
    grounded: Grounded
    installed: Installation
    hub: Hub

    async def known(self, person: str, place: str, words: Words) -> Known:
        """What completion needs to know, all of it near at hand."""
        conversation = await self.store.conversation(place)
        draft = await self.store.draft(conversation.draft) if conversation.draft else None
        drafts, tree = await self.store.drafts(person), await self.look.tree()
        return Known(Person(person, ""), conversation, words, draft, drafts, tree=tree, chat=self.chat.serving())

    async def keep(self) -> None:
        """Keep what the app needs beside it, the model's server, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.models.keep())
            tasks.create_task(self.chat.watch())
            tasks.create_task(self.runs.mend(self.settings.bot.runs.lease_s))

    def app(
        self,
        platform: str,
        voice: Voice,
        streams: dict[str, Stream] | None = None,
        maintainers: Maintainers | None = None,
        pace_s: float = 0.0,
        manners: Manners = Manners(),  # noqa: B008, it is frozen
        counts: Counts | None = None,
        triagers: Callable[[], Awaitable[list[tuple[str, str]]]] = nobody,
    ) -> App:
        """The shell of a platform; a run's card is edited every `pace_s` at most.

        `triagers`: the places of those who hear daily what waits for triage.
        """
        return App(
            self.store,
            voice,
            platform=platform,
            tables=self.settings.words,
            roles=self.settings.roles,
            look=self.look,
            runs=self.runs,
            streams={
                chatting.STREAM: self.chat,
                chatting.COMPARED: self.chat,
                asking.GROUNDED: self.grounded,
                today.STREAM: Today(self.models, self.store, self.settings.words),
                **(streams or {}),
            },
            maintainers=maintainers,
            policy=self.settings.policy,
            serving=self.chat.serving,
            room=self.settings.room,
            pace_s=pace_s,
            manners=manners,
            counts=counts,
            github=self.hub.shell(platform, triagers),
            also=self.hub.forget,
        )

    async def work(self, terms: Terms | None = None) -> None:
        """Carry runs in this process, in both lanes, until cancelled: where one process is the whole installation."""
        # arq takes 0.1 s to import, which nobody waits for.
        worker = await asyncio.to_thread(importlib.import_module, "pipeline.pool.worker")
        slots = {"cpu": self.settings.bot.runs.at_once, "gpu": 1}
        here = self.installed
        pool = worker.Pool(
            here.redis_url, here.runs, here.stages, slots, terms or here.terms, store=here.store, clock=self.runs.clock
        )
        await pool.serve()


@asynccontextmanager
async def built(settings: Settings, redis_url: str, clock: Callable[[], float], lease_s: float = 3.0) -> AsyncIterator[House]:
    """Everything but the platform; the connection is closed at the end."""
    memory = connect(redis_url, timeout_s=ANSWER_S)
    installed = Installation(settings.home, settings.data, redis_url, settings.bot, settings.environment)
    checkout = await asyncio.to_thread(lambda: installed.checkout)
    stages, folder = installed.stages, installed.runs
    runs = Runs(memory, folder, stages, clock=clock, store=installed.store)
    store = Store(memory, settings.retention, lease_s)
    roles = config.roles(settings.home / "configs" / "models" / "roles.yaml", settings.environment)
    models = Models(roles, settings.data / "models", settings.environment)
    try:
        listed = sources.read(settings.home / "configs" / "sources.yaml")
        screened = await asyncio.to_thread(screening, settings, checkout)
        chat = Chat(
            models,
            store,
            settings.words,
            system=roles.chat.system,
            options=roles.chat.options,
            default=roles.chat.model,
            version=partial(catalog.version, models.folder),
            grounds=lambda name: settings.bot.faq.grounded and name != catalog.TINY,
            adapters=Adapters(folder, runs.depot.bring),
        )
        faq = await asyncio.to_thread(faq_of, settings)
        hub = Hub(settings, memory, store, runs, installed, clock)
        shelf = partial(offers, settings)
        about = (faq, mine(store, runs, hub), screened, chat.look, shelf, runs.depot.bring, runs.thumbs)
        look = Looker(checkout, folder, listed, *about)
        prompt = (settings.home / "configs" / "prompts" / "grounded.md").read_text(encoding="utf-8")
        grounded = Grounded(models, store, settings.words, partial(entry_of, faq), prompt)
        yield House(settings, memory, store, runs, look, models, chat, grounded, installed, hub)
    finally:
        await models.close()
        await memory.close()


def offers(settings: Settings, locale: str) -> tuple[Offer, ...]:
    """The models that can be set up, with what this machine says to each."""
    named = catalog.load(settings.home / "configs" / "models" / "named.yaml")
    found = []
    for one in shelf.entries(settings.data / "models", named, machine.look()):
        told = named[one.name].about if one.name in named else {}
        text = told.get(locale) or told.get(locale.partition("-")[0]) or one.about
        size, memory = catalog.amount(one.size_bytes), catalog.amount(one.memory_bytes)
        made_here = one.name in named and named[one.name].made_here
        found.append(
            Offer(
                one.name, one.title, text, one.licence, one.licence_url, size, memory, one.runs, one.here, one.chosen, made_here
            )
        )
    return tuple(found)


def mine(store: Store, runs: Runs, hub: Hub) -> Callable[[str], Awaitable[str]]:
    """Everything that is kept of somebody, as JSON: records, the text files of their runs, thumbs, and of GitHub's."""

    async def read(person: str) -> str:
        found = await forget.export(store, person)
        names = await family(store.memory, person)
        found["runs"] = {run: record for one in names for run, record in (await runs.export(one)).items()}
        found["thumbs"] = {run: said for one in names for run, said in (await runs.thumbed(one)).items()}
        found["GitHub"] = [kept for one in names if (kept := await hub.export(one))]
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
