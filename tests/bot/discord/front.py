"""A labbot at the fake Discord, for tests."""

from collections.abc import Awaitable

from bot.platforms.discord.budget import Budget
from bot.platforms.discord.front import Front
from bot.settings import Settings
from pipeline.embedded import Server
from tests.bot.labbot import ApartLabbot
from tests.fakes.discord.interactions import Interaction
from tests.fakes.discord.limits import walk
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import EPHEMERAL, LOADING, V2, Channel, Json, Shown
from tests.fakes.discord_view import text_of
from tests.fakes.model import Model


class Labbot(ApartLabbot):
    """`token`: the one that it is started with."""

    fake: Discord
    front: Front

    def __init__(self, settings: Settings, server: Server, fake: Discord, model: Model | None = None) -> None:
        super().__init__(settings, server, model)
        self.fake, self.token = fake, fake.token

    # --- its life

    def fronted(self) -> Front:
        made = Front(self.house, self.token, self.now, pace_s=self.pace_s, budget=Budget(times=self.times))
        made.client._connection.guild_ready_timeout = 0.02  # the fake tells of its guilds at once
        return made

    async def begin(self) -> None:
        self._stack.enter_context(self.fake.patched())
        await super().begin()

    # --- people act

    async def draft(self, who: Person, channel: Channel) -> Channel:
        """Let somebody begin a skill in a channel; return its thread."""
        await self.after(who.slash(channel, "skill"))
        return self.fake.threads(channel)[-1]

    async def presses(self, who: Person, message: Json, label: str) -> Interaction:
        """Let somebody press a button; return when what it leads to is decided and said."""
        return await self.after(who.presses(message, button(message, label)))

    async def story(self, channel: Channel, ask: Awaitable[object], rest: str = "there was a dog.") -> Json:
        return await super().story(channel, self.after(ask), rest)

    # --- what there is

    def card(self, channel: Channel) -> Json:
        """The newest card in a channel."""
        return next(one for one in reversed(self.said(channel)) if int(one["flags"]) & V2)

    def said(self, channel: Channel, reader: Person | None = None) -> list[Json]:
        """The bot's messages in a channel as they stand, oldest first; without what Discord itself says in its name."""
        found = self.fake.messages(channel, reader)
        return [one for one in found if one["author"]["id"] == self.fake.bot.id and one["type"] not in (18, 21)]

    def texts(self, channel: Channel, reader: Person | None = None) -> list[str]:
        return [self.text(one) for one in self.said(channel, reader)]

    def text(self, message: Json) -> str:
        """What a person reads of a message, its files too."""
        files = {one["filename"]: self.fake.file(one).content for one in message.get("attachments", [])}
        return text_of(message, files)

    def answer(self, heard: Interaction) -> str:
        """What the answer to an interaction says; "" if it has none yet."""
        return self.text(heard.original) if heard.original else ""

    async def comes(self, channel: Channel, part: str, reader: Person | None = None) -> Json:
        """The newest message of the bot's in a channel that says this, as soon as there is one."""
        await self.fake.until(lambda: any(part in one for one in self.texts(channel, reader)))
        return next(one for one in reversed(self.said(channel, reader)) if part in self.text(one))

    def asked(self, method: str, part: str) -> int:
        """How many requests there were."""
        return sum(one.method == method and part in one.path for one in self.fake.requests)


def button(message: Json, label: str) -> str:
    """The custom id of the button of a message that begins with this label."""
    found = {one["label"]: one["custom_id"] for _, one in walk(message["components"]) if one["type"] == 2}
    return next(token for name, token in found.items() if name.startswith(label))


def labels(message: Json) -> list[str]:
    return [one["label"] for _, one in walk(message["components"]) if one["type"] == 2]


def created(fake: Discord, part: str = "") -> list[Shown]:
    """Every message of the bot's that came into being with this in it, notes to wait left out."""
    mine = [one for one in fake.shown if one.kind == "create" and one.author == fake.bot.id]
    return [one for one in mine if part in text_of(one.message) and not int(one.message["flags"]) & LOADING]


def private(message: Json) -> bool:
    return bool(int(message["flags"]) & EPHEMERAL)
