"""One Discord application, put together: what the gateway tells is heard, and said what comes of it; health and figures."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import aiohttp
import discord

from bot.acks import Ack, Acks
from bot.core.commands import COMMANDS, complete
from bot.core.talk import Answer, Press, direct
from bot.core.words import pick
from bot.counts import Counts
from bot.ear import Ear, Heard, remember
from bot.house import House
from bot.platforms.discord import hear, limits, menu, render
from bot.platforms.discord.answering import Answering
from bot.platforms.discord.budget import Budget
from bot.platforms.discord.gateway import NEEDED, client, refused_intent, refused_token
from bot.platforms.discord.maintainers import maintainers, triagers
from bot.platforms.discord.posts import MESSAGES
from bot.platforms.discord.say import FORM, SHOW, Speaker
from bot.platforms.discord.threads import PLATFORM, Threads
from bot.platforms.discord.wire import Refused, Wire
from bot.rooms import Rooms
from bot.serving import insist, together
from bot.unheard import Journal
from bot.voice import Manners
from pipeline.errors import Failed, Temporary
from pipeline.http import Health

log = logging.getLogger("labbot.discord")

PACE_S = 2.0  # between two edits of a run's card
LEAVE_S = 20.0  # for answers that are being written when the process is told to end


class Front:
    """One Discord application, served by this process until `serve` is cancelled."""

    def __init__(
        self,
        house: House,
        token: str,
        clock: Callable[[], float] = time.time,
        pace_s: float = PACE_S,
        budget: Budget | None = None,
    ) -> None:
        self.house, self.token, self.clock, self.pace_s = house, token, clock, pace_s
        settings = house.settings
        self.counts, self.budget = Counts(PLATFORM), budget or Budget()
        self.client = client(settings.bot, self._limited)
        self.wire = Wire(self.client.http, self.budget, self.counts)
        self.threads = Threads(
            self.wire, Rooms(house.memory, PLATFORM), house.store.conversation, self, house.store.retention.conversations_s
        )
        acks = Acks(house.memory, PLATFORM)
        self.answering = Answering(self.wire, acks, self.counts, lambda: str(self.client.application_id), clock)
        self.speaker = Speaker(
            house.store,
            self.wire,
            self.budget,
            self.threads,
            self.answering,
            self,
            settings.words,
            clock,
            _cdn,
            house.look.content,
        )
        self.of_message = menu.of_message(settings.words)
        self.ready = asyncio.Event()
        self._warned: OrderedDict[str, bool] = OrderedDict()
        self._parents: OrderedDict[int, str] = OrderedDict()  # of channels that the library does not know

    async def serve(self) -> None:
        """Log in, and serve. Raises Invalid where Discord does not take the token, or an intent."""
        self.client.begin(self)
        async with self.client:
            try:
                await self._logged_in()
                await self._live()
            finally:
                await self.speaker.edits.close()
                await self.answering.close()
                await self.wire.close()

    async def _logged_in(self) -> None:
        waits = iter((0.5, 1.0, 2.0, 5.0, 10.0))
        while True:
            try:
                return await self.client.login(self.token)
            except discord.LoginFailure as error:
                raise refused_token() from error
            except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
                log.warning("discord: no log-in yet: %s", type(error).__name__)
                await self.client.http.close()  # each log-in begins a session of its own
                self.client.http.connector = discord.utils.MISSING
                await asyncio.sleep(next(waits, 30.0))

    async def _live(self) -> None:
        house, settings = self.house, self.house.settings
        section = settings.bot.platforms.discord
        self.app = house.app(
            PLATFORM,
            self.speaker,
            maintainers=await maintainers(house),
            pace_s=self.pace_s,
            manners=Manners("help.discord.content" if section.message_content else "help.discord", apart=True),
            counts=self.counts,
            triagers=partial(triagers, house),
        )
        journal = Journal(settings.data / PLATFORM, Heard)
        self.ear = Ear(self.app, journal, self.threads, settings.roles_of, self._away, settings.bot.words.locale)
        await together(self.app.run, self.ear.run(), self._begin(), self._connected())

    async def _connected(self) -> None:
        try:
            await self.client.connect()
        except discord.PrivilegedIntentsRequired as error:
            raise refused_intent() from error
        except discord.ConnectionClosed as error:
            if error.code == 4004:
                raise refused_token() from error
            raise Failed(f"Discord closed the connection for good ({error.code}).") from error

    async def _begin(self) -> None:
        """What is to be done once: menus that have changed, and what an earlier process left."""
        await insist(self._sync)
        await insist(self.speaker.tidy)
        await self.client.wait_until_ready()
        self.ready.set()
        log.info("discord: ready as %s", self.client.user)

    async def _sync(self) -> None:
        """Send the commands if they are others than those that were sent last: Discord takes few changes a day."""
        commands = menu.menu(self.house.settings.words)
        digest = f"{self.client.application_id} {menu.digest(commands)}"
        if await self.house.memory.do("GET", f"bot:menu:{PLATFORM}") == digest.encode():
            return
        path = "/applications/{application_id}/commands"
        try:
            await self.wire.ask("PUT", path, json=commands, application_id=str(self.client.application_id))
        except Refused as error:
            raise Failed(f"Discord refuses the commands: {error}") from error
        await self.house.memory.do("SET", f"bot:menu:{PLATFORM}", digest)
        log.info("discord: %d commands were sent", len(commands))

    async def leave(self) -> None:
        """Get ready to end: nothing new is begun, answers may finish, the rest says that it carries on."""
        if hasattr(self, "app"):
            await self.app.leave(LEAVE_S)

    # --- what is heard

    async def interaction(self, interaction: discord.Interaction[Any]) -> None:
        kind: int = interaction.type.value
        data: dict[str, Any] = dict(interaction.data or {})
        message = str(interaction.message.id) if interaction.message else ""
        name, user = f"i{interaction.id}", interaction.user
        ack = Ack(
            name,
            str(interaction.id),
            interaction.token,
            str(user.id),
            str(interaction.channel_id),
            hear.kind_of(kind),
            self.clock(),
            message,
            str(interaction.locale),
        )
        if kind == hear.AUTOCOMPLETE:
            return await self._complete(interaction, ack)
        act = hear.interaction_act(data, kind, self.of_message)
        one = self.answering.begin(ack)
        if isinstance(act, Press) and act.token.partition("|")[0] in (FORM, SHOW):
            return await self.speaker.own(one, *act.token.split("|", 1))
        if act is None:
            return self.answering.end(one)
        await self.answering.note(one)
        guild = interaction.guild_id
        channel: Any = interaction.channel
        await self.ear.take(
            Heard(
                name,
                self.clock(),
                str(user.id),
                user.display_name,
                str(interaction.channel_id),
                act,
                parent=str(getattr(channel, "parent_id", None) or ""),
                workspace=str(guild or ""),
                direct=guild is None,
                locale=str(interaction.locale),
                roles=_roles(user),
                names=hear.mentioned(data),
            )
        )

    async def message(self, message: discord.Message, *, edited: bool) -> None:
        me = self.client.user
        if me is None or message.author.bot or (edited and message.edited_at is None):
            return
        parent = await self._parent(message)
        ours = bool(parent) and await self._is_ours(message)
        if not hear.is_for_us(message, me, ours):
            return
        if not (message.content or message.attachments):
            return await self._unread(message, parent)
        act = hear.said(message, me.id, edited=edited)
        channel = not parent and message.guild is not None
        begins = channel and not edited and not hear.answers(message, me)
        title = hear.title_of(getattr(act, "text", "")) or PLATFORM
        stamp = f"e{message.id}.{message.edited_at.timestamp()}" if edited and message.edited_at else f"m{message.id}"
        begun = channel and edited and await self._goes_on(message.id)
        await self.ear.take(
            Heard(
                stamp,
                self.clock(),
                str(message.author.id),
                message.author.display_name,
                str(message.id if begun else message.channel.id),
                act,
                parent=str(message.channel.id) if begun else parent,
                workspace=str(message.guild.id) if message.guild else "",
                direct=message.guild is None,
                locale=str(message.guild.preferred_locale) if message.guild else "",
                roles=_roles(message.author),
                title=title if begins else "",
                names={str(one.id): one.display_name for one in message.mentions},
            )
        )

    async def deleted(self, message: int, room: int, guild: int | None) -> None:
        channel: Any = self.client.get_channel(room)
        parent = str(channel.parent_id) if isinstance(channel, discord.Thread) else self._parents.get(room, "")
        if not parent and await self._goes_on(message):
            room, parent = message, str(room)
        act, where = hear.unsaid(message), str(guild or "")
        await self.ear.take(Heard(f"d{message}", self.clock(), "", "", str(room), act, parent=parent, workspace=where))

    async def _goes_on(self, room: int) -> bool:
        """Whether a place of ours goes on in a room. A message at which a thread was begun has that thread's id."""
        with suppress(Temporary):
            return bool(await self.threads.rooms.place(str(room)))
        return False

    async def _parent(self, message: discord.Message) -> str:
        """The channel of the thread that a message stands in; "" where it stands in none."""
        channel: Any = message.channel
        if message.guild is None or not isinstance(channel, discord.Thread | discord.PartialMessageable):
            return ""
        if isinstance(channel, discord.Thread):
            return str(channel.parent_id)
        if channel.id not in self._parents:
            try:
                found = await self.wire.ask("GET", "/channels/{channel_id}", channel_id=str(channel.id))
            except (Refused, Temporary):
                return ""
            parent = str(found.get("parent_id") or "") if found["type"] in (10, 11, 12) else ""
            remember(self._parents, channel.id, parent)
        return self._parents[channel.id]

    async def _is_ours(self, message: discord.Message) -> bool:
        """Whether labbot has begun the thread of a message, or talks in it already."""
        owner = getattr(message.channel, "owner_id", None)
        return owner == (self.client.user and self.client.user.id) or await self._goes_on(message.channel.id)

    async def _unread(self, message: discord.Message, parent: str) -> None:
        """A message whose words Discord keeps from us: say once in a draft's thread how one is heard."""
        room = str(message.channel.id)
        if self.house.settings.bot.platforms.discord.message_content or room in self._warned or not parent:
            return
        remember(self._warned, room, True)
        locale = str(message.guild.preferred_locale) if message.guild else ""
        await self._say(room, "discord.mention_me", locale)

    # --- what is said beside the core

    async def _complete(self, interaction: discord.Interaction[Any], ack: Ack) -> None:
        """Answer what is typed into an option, from what is known here: nobody waits for a model."""
        typed = hear.typing(dict(interaction.data or {}))
        one = self.answering.begin(ack, waits=False)
        found: list[str] = []
        try:
            person, _ = await self.ear.person(ack.user, interaction.user.display_name, ack.locale)
            channel: Any = interaction.channel
            here = str(getattr(channel, "parent_id", None) or "")
            place = direct(PLATFORM, person) if interaction.guild_id is None else await self.threads.place(ack.room, here)
            words = pick(self.house.settings.words, ack.locale)
            known = await self.house.known(person, place, words)
            if typed.command in COMMANDS:
                lines = complete(known, typed.command, typed.before + typed.text)
                found = [line.removeprefix(typed.before) for line in lines]
            await self.answering.choices(one, found[: limits.CHOICES])
        except (Temporary, Refused) as error:
            log.info("discord: nothing was completed: %s", error)
        finally:
            self.answering.end(one)

    async def _away(self, heard: Heard, what: str, aloud: bool) -> bool:
        """Tell that the memory is away, or back: as the answer to what somebody did (True), else, if `aloud`, in the room."""
        name = f"away.{what or 'back'}"
        words = pick(self.house.settings.words, heard.locale or self.house.settings.bot.words.locale)
        with suppress(Refused, Temporary):
            if await self.answering.tell(heard.id, render.answer(Answer(words(name)))[0]):
                return True
            if aloud:
                await self._say(heard.room, name, heard.locale)
        return False

    async def _say(self, room: str, name: str, locale: str) -> None:
        words = pick(self.house.settings.words, locale or self.house.settings.bot.words.locale)
        with suppress(Refused, Temporary):
            await self.wire.ask("POST", MESSAGES, room=room, json=render.answer(Answer(words(name)))[0].json)

    def _limited(self, channel: str) -> None:
        self.counts.limited += 1
        self.budget.refused(channel)

    # --- what is known of servers

    def me(self) -> str:
        return str(self.client.user.id) if self.client.user else ""

    def name(self, room: str) -> str:
        channel = self.client.get_channel(int(room)) if room.isdecimal() else None
        return str(getattr(channel, "name", "") or "")

    def private(self) -> bool:
        return self.house.settings.bot.platforms.discord.threads == "private"

    def lacks(self, room: str) -> list[str]:
        channel: Any = self.client.get_channel(int(room)) if room.isdecimal() else None
        guild = getattr(channel, "guild", None)
        if channel is None and room.isdecimal() and self.client.is_ready():
            return ["view_channel"]  # or it would be known
        if guild is None or guild.me is None:
            return []
        mine = channel.permissions_for(guild.me)
        wanted = "create_public_threads" if self.private() else "create_private_threads"
        return [name for name in NEEDED if name != wanted and not getattr(mine, name)]

    def author(self, event: str) -> str:
        return self.ear.author(event)

    def forget(self) -> None:
        self.ear.forget()

    # --- health

    async def health(self) -> Health:
        """Whether Discord and the memory can be spoken with."""
        if not self.client.is_ready():
            return Health("Discord's gateway is not connected yet.")
        facts: dict[str, str | int | float] = {"guilds": len(self.client.guilds), "busy": int(self.app.busy)}
        if self.client.is_closed() or self.client.deaf():
            return Health("Discord's gateway has said nothing for too long.", facts)
        await self.house.memory.do("PING")
        return Health(facts=facts)

    async def metrics(self) -> str:
        self.counts.sent["edit_skipped"] = self.speaker.edits.newest.skipped
        return self.counts.text()


def _roles(user: Any) -> tuple[str, ...]:
    """By what a member may be named in `roles` of a workspace: roles by name and id, the user by id.

    A role that is called like an id is none by its name: whoever may name roles would be anybody.
    """
    roles = getattr(user, "roles", [])
    return (*(one.name for one in roles if not one.name.isdecimal()), *(str(one.id) for one in roles), str(user.id))


def _cdn() -> tuple[str, ...]:
    """How the addresses of files begin that people have sent."""
    return (f"{discord.asset.Asset.BASE}/", "https://media.discordapp.net/", "https://cdn.discordapp.com/")
