"""Plays transcripts through the real Slack front end, slack-bolt and slack_sdk, against the fake Slack; by socket or by HTTP.

What a line of a terminal means is done as somebody would at Slack's client: at the top level of a channel or of the direct
messages a command is a slash command and a text names labbot; in a thread, which takes no slash commands, a command is a
message that names labbot, and a text needs no name. Dialogs are modals; Slack's own Stop is pressed at what streams. Of a
file that a card is too long for the button is pressed, and the card read with it.
"""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bot.core.commands import COMMANDS
from bot.core.talk import Command
from bot.core.words import pick
from bot.platforms.slack.drawing import ASKED
from bot.platforms.slack.front import Front, Keys
from bot.platforms.slack.run import events
from bot.platforms.slack.tiers import Tiers
from bot.play import BEGIN
from bot.transcript import Directs
from pipeline import http as web
from tests.bot.apart import ApartPlayer, Control, Somebody
from tests.fakes.slack.people import Person, Workspace
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json, Shown
from tests.fakes.slack_view import dialog_text, text_of

OWN = ("share|", "file|")  # buttons that no other platform has
STOP = "stop"  # the action of Slack's own button at a stream
LOCALES = {"de": "de-DE", "en": "en-US"}
WITHIN_S = 20.0


@dataclass(frozen=True)
class Spot:
    """Where somebody looks: a channel or the direct messages, and the thread that is open, "" for none."""

    channel: Channel
    thread: str = ""


class SlackPlayer(ApartPlayer):
    """By socket, in a channel of a workspace."""

    mode = "socket"
    fake: Slack
    front: Front
    team: Workspace

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.read: dict[tuple[str, str], Shown] = {}  # the cards whose files somebody has asked for, by ts and button

    async def play(self, lines: Any) -> None:
        about = [line.rest.split() for line in lines if isinstance(line, Directs) and line.name == "person"]
        self.about = {name: dict(fact.partition("=")[::2] for fact in facts) for name, *facts in about}
        async with Slack() as self.fake:
            self.fake.mode = self.mode
            self.team = self.fake.team("lab")
            self.channel = self.team.channel("general")
            await self.watched(super().play(lines))

    def wrongs(self) -> Iterable[str]:
        """Whom a message pings is told in a line of its own; everything else that pings is no wish of labbot's."""
        for one in self.fake.mentions:
            message = self.fake.world.messages.get(one.message)
            blocks = message.json.get("blocks", []) if message else []
            lines = [block["text"]["text"] for block in blocks if block["type"] == "section" and "text" in block]
            if one.kind != "user" or f"<@{one.whom}>" not in lines:
                yield f"{one.kind} {one.whom} is pinged"

    # --- the front end

    async def _begin(self) -> None:
        """What a transcript sets for the terminal holds in the workspace; whoever has a role has it by their id."""
        for name, text in self.of_the_terminal().items():
            self._overrides[f"workspaces.{self.team.id}.{name}"] = text
        for name, facts in self.about.items():
            if "role" in facts:
                self._overrides[f"workspaces.{self.team.id}.roles.{self.met(name).person.id}"] = facts["role"]
        await super()._begin()

    async def begin(self) -> None:
        signed = self.mode == "http"
        keys = Keys(self.team.bot_token, *(("", self.fake.signing_secret) if signed else (self.fake.app_token,)))
        self.front = Front(self.house, keys, lambda: self.now, pace_s=0.0, tiers=Tiers(times=1000), base=self.fake.api)
        if self.front.link:
            self.front.link.ping_s = 0.5
        else:
            bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            app = web.app(self.front.health, self.front.metrics, events(self.front))
            self.tasks.append(asyncio.create_task(web.serve(app, "127.0.0.1", 0, bound.set_result)))
            self.fake.events_url = f"http://127.0.0.1:{await bound}/slack/events"
        await self.serves()

    # --- people

    def makes(self, name: str, about: dict[str, str]) -> tuple[Person, Spot]:
        person = self.team.user(name, locale=LOCALES[about.get("locale", "en")])
        return person, Spot(person.dm if self.direct else self.channel)

    def user(self, one: Somebody) -> str:
        return f"{self.team.id}.{one.person.id}"

    async def act(self, name: str, typed: str, *, home: bool) -> None:
        self.fake.clock = self.now - BEGIN
        one = self.folks[name]
        self._answered(one)
        one.since = len(self.fake.shown)
        await super().act(name, typed, home=home)
        if self.server.process:
            await self._unfold(one, one.since)

    def _answered(self, one: Somebody) -> None:
        """Go into the thread of what one has written at the top, if labbot has answered there since."""
        for shown in self.fake.shown[one.since :] if not one.here.thread and one.last else ():
            if _of_labbot(shown) and not shown.to and shown.message.get("thread_ts") == one.last["ts"]:
                one.here = Spot(shown.channel, one.last["ts"])

    async def says(self, one: Somebody, text: str, files: Any = ()) -> Json:
        return await self._writes(one, text, files=files, mention=not one.here.thread and not one.here.channel.with_)

    async def _writes(self, one: Somebody, text: str, *, mention: bool, files: Any = ()) -> Json:
        thread = {"ts": one.here.thread} if one.here.thread else None
        return await one.person.says(one.here.channel, text, files=files, thread=thread, mention=mention)

    def _picked(self, text: str) -> str:
        """What stands after a command, with people picked from the client's list."""
        return re.sub(r"(?<!\S)@([a-z]+)", lambda mark: f"<@{self.met(mark[1]).person.id}>", text)

    async def commands(self, one: Somebody, line: str, command: Command) -> None:
        typed = f"{command.name} {self._picked(command.text) if command.name in COMMANDS else command.text}".strip()
        if one.here.thread:
            one.last = await self._writes(one, f"/{typed}", mention=True)
        else:
            await one.person.command(one.here.channel, "/lab", typed)

    async def uses(self, one: Somebody, control: Control) -> None:
        before = self.before()
        if control.action == STOP:
            await one.person.stops(control.message)
        elif control.value:
            found = self._element(control.message, control.action)
            act = one.person.presses if found["type"] == "feedback_buttons" else one.person.selects
            await act(control.message, control.action, control.value)
        else:
            await one.person.presses(control.message, control.action)
        await self.heard(one, before)
        if self.server.process:
            await self.idle()
        self._look(one)

    def _element(self, message: Json, action: str) -> Json:
        found = (one for block in message["blocks"] for one in block.get("elements", ()) if one.get("action_id") == action)
        return next(found)

    def before(self) -> int:
        return len(self.fake.heard)

    async def heard(self, one: Somebody, before: int) -> None:
        async with asyncio.timeout(WITHIN_S):
            for told in list(self.fake.heard[before:]):
                await told.done.wait()
        self.differences += [f"{self.name}: {told.kind}: {told.error}" for told in self.fake.heard[before:] if told.error]

    # --- dialogs

    async def idle(self) -> None:
        await super().idle()
        for one in self.folks.values():
            self._look(one)

    def _look(self, one: Somebody) -> None:
        views = self.fake.views(one.person)
        one.dialog = views[-1] if views and views[-1].get("submit") else None

    def fields(self, one: Somebody) -> dict[str, tuple[str, Json, bool]]:
        assert one.dialog is not None, "the button opened no dialog"
        inputs = [block for block in one.dialog["blocks"] if block["type"] == "input"]
        return {each["block_id"]: (each["label"]["text"], each["element"], not each["optional"]) for each in inputs}

    def entered(self, part: Json, value: str) -> Any:
        """A box is ticked, an option is chosen by either name."""
        if part["type"] == "checkboxes":
            return [one["value"] for one in part["options"]] if value == "yes" else []
        if "options" not in part:
            return value
        return {one["text"]["text"]: one["value"] for one in part["options"]}.get(value, value)

    async def sends(self, one: Somebody, values: Json) -> None:
        await one.person.submits(one.dialog, values)

    # --- what one sees

    def sight(self, one: Somebody) -> list[Json]:
        here = one.here
        seen = self.fake.messages(here.channel, {"ts": here.thread} if here.thread else None, one.person)
        if here.thread:
            seen += [each for each in self.fake.messages(here.channel, None, one.person) if _top(each)]
        if here.channel is not one.person.dm:
            seen += self.fake.messages(one.person.dm, None, one.person)
        unique = {each["ts"]: each for each in seen}
        return sorted(unique.values(), key=lambda each: (_is_card(each), -float(each["ts"])))

    def controls(self, message: Json) -> list[Control]:
        found = []
        if message.get("streaming_state") == "in_progress":
            found.append(Control(self._stop(message), message, STOP))
        for block in message.get("blocks") or []:
            for one in block.get("elements", ()) if block["type"] in ("actions", "context_actions") else ():
                found += _controls(message, one)
        return found

    def _stop(self, message: Json) -> str:
        """What Slack's own button is called by whoever began the thread."""
        root = self.fake.world.messages.get(message.get("thread_ts", ""))
        author = self.team.users.get(root.author) if root else None
        return pick(self.settings.words, author.locale if author else "en")("button.stop")

    def follow(self, one: Somebody, seen: int) -> None:
        for shown in self.fake.shown[seen:]:
            thread = shown.message.get("thread_ts")
            if _of_labbot(shown) and thread and not shown.to and one.person.id in shown.channel.members:
                one.here = Spot(shown.channel, thread)

    async def _unfold(self, one: Somebody, seen: int) -> None:
        """Press what Slack makes a press of its own: the button of a dialog that no slash command has opened, and of a file."""
        for shown in self.fake.shown[seen:]:
            if shown.kind != "ephemeral" and not _of_labbot(shown):
                continue
            if shown.to not in ("", one.person.id) or one.person.id not in shown.channel.members:
                continue
            opens = pick(self.settings.words, one.person.user.locale)("slack.open")
            for control in self.controls(shown.message):
                if control.action.startswith("form|") and control.label == opens:
                    await self.uses(one, control)
                elif control.action.startswith("file|") and (shown.message["ts"], control.action) not in self.read:
                    self.read[shown.message["ts"], control.action] = shown
                    await self.uses(one, control)

    # --- what is said

    def told(self, shown: Shown) -> tuple[str, str] | None:
        if shown.kind == "view":
            view = shown.message
            return (dialog_text(view, view.get("errors") or None), shown.to) if view.get("submit") else None
        if shown.kind in ("delete", "home") or not _of_labbot(shown):
            return None
        assert shown.channel is not None
        message = {**shown.message, "blocks": _shared(shown.message)}
        if message.get("files"):
            message = self._whole(message)
        text = text_of(message, {one["name"]: self.fake.file(one).content or b"" for one in _files(message)})
        if shown.message.get("streaming_state") == "in_progress":
            text = f"{text} [{self._stop(shown.message)}]"
        return text, shown.to or (shown.channel.with_.id if shown.channel.with_ else "")

    def _whole(self, message: Json) -> Json:
        """The card that a file belongs to, with the file; the message of the file where there is no card."""
        names = {one["name"] for one in message["files"]}
        for shown in reversed(self.read.values()):
            if any(name in text_of(shown.message) for name in names):
                return {**message, "blocks": _shared(shown.message)}
        return message

    def near(self, one: Somebody, shown: Shown) -> bool:
        return shown.channel in (one.here.channel, one.home.channel)

    def named(self, one: Somebody, text: str) -> str:
        me = f"<@{self.team.bot_user}>"
        return f"{me} {text}" if one.last is not None and str(one.last["text"]).startswith(me) else text


class HttpPlayer(SlackPlayer):
    mode = "http"


class DirectPlayer(SlackPlayer):
    """Everybody in their direct messages, where what is typed at the top begins a thread."""

    direct = True


def _of_labbot(shown: Shown) -> bool:
    return shown.channel is not None and shown.message.get("user") == shown.channel.team.bot_user


def _shared(message: Json) -> list[Json]:
    """The blocks of a message without what is Slack's alone: who asked by a command, buttons of its own."""
    found = []
    for block in message.get("blocks") or []:
        if block.get("block_id") == ASKED:
            continue
        elements = [one for one in block.get("elements", ()) if not str(one.get("action_id", "")).startswith(OWN)]
        if elements or "elements" not in block:
            found.append({**block, "elements": elements} if elements else block)
    return found


def _files(message: Json) -> list[Json]:
    found: list[Json] = message.get("files") or []
    return found


def _top(message: Json) -> bool:
    return message.get("thread_ts", message["ts"]) == message["ts"]


def _is_card(message: Json) -> bool:
    return any(block["type"] == "header" for block in message.get("blocks") or [])


def _controls(message: Json, element: Json) -> list[Control]:
    match element["type"]:
        case "button":
            return [Control(element["text"]["text"], message, element["action_id"])]
        case "static_select":
            options = element["options"]
            return [Control(one["text"]["text"], message, element["action_id"], one["value"]) for one in options]
        case "feedback_buttons":
            both = (element["positive_button"], element["negative_button"])
            return [Control(one["text"]["text"], message, element["action_id"], one["value"]) for one in both]
    return []
