"""One Slack app, put together: what Slack tells is heard, and said what comes of it; health and figures."""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.talk import Answer, short
from bot.core.words import Words, pick
from bot.counts import Counts
from bot.ear import Ear, Heard
from bot.house import House
from bot.platforms.slack import render
from bot.platforms.slack.dialogs import Dialogs
from bot.platforms.slack.keys import Keys
from bot.platforms.slack.link import Link
from bot.platforms.slack.maintainers import maintainers, triagers
from bot.platforms.slack.people import People
from bot.platforms.slack.posts import marked
from bot.platforms.slack.say import Speaker, shown
from bot.platforms.slack.threads import PLATFORM, Room, Threads
from bot.platforms.slack.tiers import Tiers
from bot.platforms.slack.told import Told
from bot.platforms.slack.wire import BASE, Refused, Unsure, Wire
from bot.platforms.slack.workspaces import Installed, Workspaces
from bot.rooms import Rooms
from bot.serving import insist, together
from bot.unheard import Journal
from bot.voice import Manners
from pipeline.errors import Temporary
from pipeline.http import Health

log = logging.getLogger("labbot.slack")

PACE_S = 5.0  # between two edits of a run's card: a workspace has 50 edits a minute for all of them
LEAVE_S = 20.0  # for answers that are being written when the process is told to end
ANY = re.compile(r".*", re.DOTALL)


class Front:
    """One Slack app, served by this process until `serve` is cancelled; by HTTP, whoever mounts `bolt` serves it."""

    def __init__(
        self,
        house: House,
        keys: Keys,
        clock: Callable[[], float] = time.time,
        *,
        pace_s: float = PACE_S,
        tiers: Tiers | None = None,
        base: str = BASE,
        installs: Installed | None = None,
    ) -> None:
        self.house, self.keys, self.clock, self.pace_s, self.base = house, keys, clock, pace_s, base
        self.counts = Counts(PLATFORM)
        self.workspaces = Workspaces(keys.bot, base, installs)
        self.wire = Wire(
            tiers or Tiers(many=installs is not None), self.counts, self.workspaces.bot_token, base, self.workspaces.doubt
        )
        store = house.store
        self.threads = Threads(self.wire, Rooms(house.memory, PLATFORM), store.retention.conversations_s, self._forgotten)
        self.dialogs = Dialogs(self.wire, house.memory, self._words)
        self.speaker = Speaker(
            store,
            self.wire,
            self.threads,
            self.dialogs,
            house.settings.words,
            self._author,
            self._files,
            house.look.content,
        )
        self.told = Told(house, self.workspaces, self.speaker, People(self.wire), clock, self.counts, self._words)
        self.ready = asyncio.Event()
        self.bolt = self._bolt(self.told)
        self.link = Link(self.bolt, keys.app, base, self.ready.set) if keys.app else None

    def _bolt(self, told: Told) -> AsyncApp:
        """slack-bolt, which checks signatures, knows events by their kind and answers once we have written them down."""

        async def authorize(team_id: str | None, enterprise_id: str | None) -> AuthorizeResult | None:
            return await self._authorized(team_id or "", enterprise_id)  # Bolt calls no method: it would give it a `self`

        bolt = AsyncApp(
            name="labbot",
            signing_secret=self.keys.signing,
            authorize=authorize,  # type: ignore[arg-type]  # None, for "not installed", is what Bolt answers for itself
            client=AsyncWebClient(base_url=self.base),
            process_before_response=True,
            request_verification_enabled=bool(self.keys.signing),
        )
        bolt.event(ANY)(told.event)
        bolt.command(ANY)(told.command)
        bolt.action(ANY)(told.action)
        bolt.view(ANY)(told.sent)
        bolt.view_closed(ANY)(told.closed)
        bolt.shortcut(ANY)(told.shortcut)
        return bolt

    async def _authorized(self, team: str, enterprise: str | None) -> AuthorizeResult | None:
        found = await self.workspaces.of(team, enterprise or "")
        if found is None:
            return None
        return AuthorizeResult(
            enterprise_id=enterprise,
            team_id=team,
            bot_token=found.token,
            bot_user_id=found.user,
            bot_id=found.bot,
        )

    # --- its life

    async def serve(self) -> None:
        """Serve. Raises Invalid where Slack does not take a token."""
        try:
            await self._live()
        finally:
            await self.dialogs.close()
            await self.speaker.streams.close()
            await self.wire.close()

    async def _live(self) -> None:
        house, settings = self.house, self.house.settings
        mine = await insist(self.workspaces.own) if self.keys.bot else None
        self.app = house.app(
            PLATFORM,
            self.speaker,
            maintainers=await insist(lambda: maintainers(house, mine.team if mine else "")),
            pace_s=self.pace_s,
            manners=Manners("help.slack", apart=True),
            counts=self.counts,
            triagers=partial(triagers, house, mine.team if mine else ""),
        )
        journal = Journal(settings.data / PLATFORM, Heard)
        self.ear = self.told.ear = Ear(
            self.app, journal, self.threads, settings.roles_of, self._away, settings.bot.words.locale
        )
        await together(self.app.run, self.ear.run(), self._linked())

    async def _linked(self) -> None:
        """Bring in what Slack tells; where Slack calls it is enough to be ready."""
        if self.link:
            return await self.link.serve()
        self.ready.set()

    async def leave(self) -> None:
        """Get ready to end: nothing new is begun, answers may finish, the rest says that it carries on."""
        if hasattr(self, "app"):
            await self.app.leave(LEAVE_S)

    # --- what is said beside the core

    async def _away(self, heard: Heard, what: str, aloud: bool) -> bool:
        """Tell that the memory is away, or back: as the answer to what somebody did (True), else, if `aloud`, in the room."""
        words = self._words(heard.locale)
        payload = render.answer(Answer(words(f"away.{what or 'back'}")))[0]
        one, room = self.dialogs.of(heard.id), Room.of(heard.room)
        alone = {"response_type": "ephemeral", "replace_original": False, **shown(payload)}
        if what and one and one.response_url and await self.wire.respond(one.response_url, alone):
            return True
        if aloud and room.channel:
            with suppress(Refused, Temporary, Unsure):
                await self.wire.ask(
                    room.team,
                    "chat.postMessage",
                    twice=False,
                    channel=room.channel,
                    thread_ts=room.thread,
                    metadata=marked(short(f"away:{heard.id}:{what}", 24)),
                    **payload.json,
                )
        return False

    def _words(self, locale: str) -> Words:
        return pick(self.house.settings.words, locale or self.house.settings.bot.words.locale)

    def _author(self, event: str) -> str:
        return self.ear.author(event)

    def _forgotten(self) -> None:
        self.ear.forget()

    def _files(self) -> tuple[str, ...]:
        """How the addresses of files begin that people have sent."""
        return ("https://files.slack.com/",) if self.base == BASE else (self.base.removesuffix("api/"),)

    # --- health

    async def health(self) -> Health:
        """Whether Slack and the memory can be spoken with."""
        if not self.ready.is_set():
            return Health("Slack is not connected yet.")
        facts: dict[str, str | int | float] = {"busy": int(self.app.busy)}
        if self.link and self.link.deaf():
            return Health("Slack's connection has said nothing for too long.", facts)
        if self.workspaces.refused:
            return Health(f"Slack does not take the bot's token any more ({self.workspaces.refused}).", facts)
        await self.house.memory.do("PING")
        return Health(facts=facts)

    async def metrics(self) -> str:
        self.counts.sent["edit_skipped"] = self.speaker.streams.newest.skipped
        return self.counts.text()
