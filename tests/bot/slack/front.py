"""A labbot at the fake Slack, for tests."""

import asyncio
from typing import Any

from bot.platforms.slack import oauth
from bot.platforms.slack.front import Front
from bot.platforms.slack.keys import Keys
from bot.platforms.slack.run import events
from bot.platforms.slack.tiers import Tiers
from bot.settings import Settings
from pipeline import http as web
from pipeline.embedded import Server
from tests.bot.labbot import STORY, ApartLabbot
from tests.fakes.model import Model
from tests.fakes.slack.delivery import Heard
from tests.fakes.slack.people import Person, Workspace
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json
from tests.fakes.slack_view import text_of


class Labbot(ApartLabbot):
    """`many`: workspaces install it."""

    fake: Slack
    front: Front
    stands = STORY.rpartition(" ")[0]  # the last word may go on

    def __init__(self, settings: Settings, server: Server, fake: Slack, team: Workspace, model: Model | None = None) -> None:
        super().__init__(settings, server, model)
        self.fake, self.team = fake, team
        self.many, self.ping_s = False, 0.5

    @property
    def keys(self) -> Keys:
        if self.many:
            return Keys(app=self.fake.app_token, client=self.fake.client_id, secret=self.fake.client_secret)
        if self.fake.mode == "http":
            return Keys(self.team.bot_token, signing=self.fake.signing_secret)
        return Keys(self.team.bot_token, self.fake.app_token)

    # --- its life

    def fronted(self) -> Front:
        made = Front(
            self.house,
            self.keys,
            self.now,
            pace_s=self.pace_s,
            tiers=Tiers(times=self.times),
            base=self.fake.api,
            installs=oauth.store(self.house) if self.many else None,
        )
        if made.link:
            made.link.ping_s = self.ping_s
        return made

    async def begin(self) -> None:
        await super().begin()
        if self.fake.mode == "http":
            bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            app = web.app(self.front.health, self.front.metrics, events(self.front))
            self._tasks.append(asyncio.create_task(web.serve(app, "127.0.0.1", 0, bound.set_result)))
            self.fake.events_url = f"http://127.0.0.1:{await bound}/slack/events"

    # --- people act

    async def presses(self, who: Person, message: Json, label: str) -> Heard:
        """Let somebody press a button, or choose an option; return when what it leads to is decided and said."""
        found = control(message, label)
        if found["type"] == "button":
            return await self.after(who.presses(message, found["action_id"]))
        act = who.presses if found["type"] == "feedback_buttons" else who.selects
        return await self.after(act(message, found["action_id"], found["value"]))

    async def opens(self, who: Person, message: Json, label: str) -> Json:
        """Let somebody press a button that opens a dialog; return it when it is there."""
        heard = await self.presses(who, message, label)
        await self.fake.until(lambda: (heard.view or {}).get("submit"))
        assert heard.view is not None
        return heard.view

    async def fills(self, who: Person, view: Json, values: dict[str, Any]) -> Heard:
        """Let somebody send a dialog; return when Slack has its answer, and what it leads to is decided and said."""
        heard = await self.after(who.submits(view, values))
        async with asyncio.timeout(10):
            await heard.done.wait()
        return heard

    async def closes(self, who: Person, view: Json, typed: dict[str, str]) -> None:
        """Let somebody close a dialog that they had typed into; return when that is noted."""
        heard = await who.closes(view, typed)
        assert heard is not None
        await self.fake.until(heard.done.is_set)

    async def asks(self, who: Person, channel: Channel, text: str, thread: Json | None = None, **more: Any) -> Json:
        """Let somebody name the bot in a channel, of which Slack tells twice; return their message when it is answered."""
        return await self.after(who.says(channel, text, thread=thread, mention=True, **more), times=2)

    async def says(self, who: Person, channel: Channel, text: str, thread: Json | None = None, **more: Any) -> Json:
        """Let somebody write in the bot's sight, without naming it."""
        return await self.after(who.says(channel, text, thread=thread, **more))

    async def lab(self, who: Person, channel: Channel, text: str = "") -> Heard:
        """Let somebody give a command; return when it is answered."""
        heard = await self.after(who.command(channel, "/lab", text))
        async with asyncio.timeout(10):
            await heard.done.wait()
        return heard

    async def draft(self, who: Person, channel: Channel, text: str = "skill") -> Json:
        """Let somebody begin a draft in a channel by a command; return the card that its thread begins with."""
        await self.lab(who, channel, text)
        return [one for one in self.said(channel) if is_card(one)][-1]

    # --- what there is

    def card(self, channel: Channel, thread: Json | None = None) -> Json:
        """The newest card in a channel or one of its threads."""
        return next(one for one in reversed(self.said(channel, thread)) if is_card(one))

    def said(self, channel: Channel, thread: Json | None = None, reader: Person | None = None) -> list[Json]:
        """The bot's messages in a channel or one of its threads as they stand, oldest first."""
        return [one for one in self.fake.messages(channel, thread, reader) if one.get("bot_id")]

    def texts(self, channel: Channel, thread: Json | None = None, reader: Person | None = None) -> list[str]:
        return [text_of(one) for one in self.said(channel, thread, reader)]

    def seen(self, who: Person, channel: Channel) -> Json:
        """The newest message that somebody alone sees in a channel, as it stands."""
        return [one for one in self.said(channel, reader=who) if self.fake.world.messages[one["ts"]].to == who.id][-1]

    def private(self, channel: Channel, reader: Person) -> list[str]:
        """What only that person was shown in a channel, as it stood then."""
        return [text_of(one.message) for one in self.fake.shown if one.channel is channel and one.to == reader.id]

    async def comes(self, channel: Channel, part: str, thread: Json | None = None, reader: Person | None = None) -> Json:
        """The newest message of the bot's that says this, as soon as there is one."""
        await self.fake.until(lambda: any(part in one for one in self.texts(channel, thread, reader)))
        return next(one for one in reversed(self.said(channel, thread, reader)) if part in text_of(one))

    def created(self, part: str = "") -> list[Json]:
        """Every message of the bot's that came into being for all, as it stood then, with this in it as it stands now."""
        begun = [one for one in self.fake.shown if one.kind == "create" and one.message.get("bot_id")]
        return [one.message for one in begun if part in text_of(self._stands(one.message))]

    def _stands(self, message: Json) -> Json:
        found = self.fake.world.messages.get(message["ts"])
        return found.json if found else message

    def forgives(self, code: str) -> bool:
        """Take what only a crash leads to out of the fake's list of what nobody should ask; whether it was there."""
        found = [one for one in self.fake.violations if one.endswith(f": {code}")]
        self.fake.violations[:] = [one for one in self.fake.violations if one not in found]
        return bool(found)

    def asked(self, method: str) -> int:
        """How many requests there were."""
        return sum(one.method == method for one in self.fake.requests)


def buttons(message: Json) -> list[Json]:
    """Every button and option of a message or a view: its label, the type of its element, its action id and its value."""
    found: list[Json] = []
    for element in [each for block in message.get("blocks", []) for each in block.get("elements", [])]:
        kind = element.get("type")
        both = ("positive_button", "negative_button")
        parts = {"button": [element], "static_select": element.get("options", ())}.get(kind) or [
            element[one] for one in both if kind == "feedback_buttons"
        ]
        found += [
            {
                "label": one["text"]["text"],
                "type": kind,
                "action_id": element["action_id"],
                "value": "" if kind == "button" else one["value"],
            }
            for one in parts
        ]
    return found


def control(message: Json, label: str) -> Json:
    """The button or option of a message that begins with this label."""
    return next(one for one in buttons(message) if one["label"].startswith(label))


def button(message: Json, label: str) -> str:
    """The action id of the button of a message that begins with this label."""
    return str(control(message, label)["action_id"])


def labels(message: Json) -> list[str]:
    """What the buttons and the options of a message are called."""
    return [one["label"] for one in buttons(message)]


def is_card(message: Json) -> bool:
    """Whether it is the card of a draft, which is edited, and can be gone on with."""
    return any(block["type"] == "header" for block in message.get("blocks", ())) and "choice" in {
        one["action_id"] for one in buttons(message)
    }


def fields(view: Json) -> Json:
    """The elements of a dialog's fields, by their names."""
    return {one["block_id"]: one["element"] for one in view["blocks"] if one["type"] == "input"}


def spoken(labbot: Labbot, channel: Channel, thread: Json) -> str:
    """What the bot's messages of a thread say together, without their buttons."""
    ends = ("actions", "context_actions")
    found = [
        text_of({**one, "blocks": [block for block in one.get("blocks", []) if block["type"] not in ends]})
        for one in labbot.said(channel, thread)
    ]
    return " ".join(" ".join(found).split())
