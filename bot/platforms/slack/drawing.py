"""A message of a conversation as Slack's: cards and answers, with what only Slack needs beside them."""

from collections.abc import Mapping
from dataclasses import replace

from bot.contents import Read, contents, nothing
from bot.core import cards
from bot.core.talk import Answer, Button, Card, Dialog, short
from bot.core.words import Table, pick
from bot.platforms.slack import render
from bot.platforms.slack.prose import mrkdwn
from bot.platforms.slack.render import Json, Payload
from bot.platforms.slack.threads import PLATFORM, parts
from bot.rooms import Rooms
from bot.rows import Message
from bot.store import Store

FORM, SHARE, FILE = "form", "share", "file"  # buttons of this platform's own: open a dialog, show everybody, send the file
ASKED = "asked"  # the block id of what somebody asked
QUOTED = 300  # characters of it


class Drawing:
    """Draws. All but `payloads` are values in, values out."""

    def __init__(self, store: Store, rooms: Rooms, tables: Mapping[str, Table], read: Read = nothing) -> None:
        self.store, self.rooms, self.tables, self.read = store, rooms, tables, read

    async def payloads(self, message: Message) -> list[Payload]:
        """The message as Slack's messages. Raises Temporary."""
        ping = (await self.rooms.user(message.ping)).id.partition(".")[2] if message.ping else ""
        match message.body:
            case Card():
                drawn = render.card(message.body, ping=ping, contents=await contents(message.body, self.read))
                return [self._with_files(drawn, message) if drawn.files else drawn]
            case Answer():
                first, *rest = render.answer(message.body, ping=ping)
                return [_with(first, *await self._asked(message), top=True), *rest]
        raise AssertionError("a dialog is asked, not posted")

    async def _asked(self, message: Message) -> list[Json]:
        """Who asked what by a command: in a channel nobody else saw it."""
        base, thread, _ = parts(message.place)
        if message.to or thread or base.startswith("@") or not message.event.startswith("i"):
            return []
        asked = await self.store.message(message.place, short(f"{PLATFORM}:{message.event}#0", 24))
        if asked is None or not isinstance(asked.body, Answer):
            return []
        name = (await self.store.names([asked.who])).get(asked.who, "")
        text = mrkdwn(f"**{cards.quoted(name)}**: {cards.quoted(asked.body.text, QUOTED)}")
        return [{"type": "context", "block_id": ASKED, "elements": [{"type": "mrkdwn", "text": text, "verbatim": True}]}]

    def _with_files(self, payload: Payload, message: Message) -> Payload:
        """A card whose text is too long for it: a button brings the file, since each edit would bring a new one."""
        words = pick(self.tables, message.locale)
        buttons = [
            Button(cards.clip(words("slack.file", name=name), 75), f"{FILE}|{at}.{message.key}|{message.place}")
            for at, (name, _) in enumerate(payload.files)
        ]
        return replace(_with(payload, *render.controls(buttons)), files=())

    def for_one(self, message: Message, payloads: list[Payload]) -> Payload:
        """What one person is shown: of a long answer the beginning; an open one has a button by which everybody sees it."""
        body, payload = message.body, payloads[0]
        if not isinstance(body, Answer):
            return payload
        if len(payloads) > 1:
            payload = render.answer(replace(body, text=body.text[: render.SHOWN] + "…"))[0]
        if not body.open:
            return payload
        words = pick(self.tables, message.locale)
        return _with(payload, *render.controls([Button(words("slack.share"), f"{SHARE}|{message.key}|{message.place}")]))

    def offer(self, message: Message) -> Payload:
        """A dialog that cannot be opened by itself: what is wrong with it, if anything, and the button that opens it."""
        dialog, words = message.body, pick(self.tables, message.locale)
        assert isinstance(dialog, Dialog)
        labels = {field.name: field.label for field in dialog.fields}
        lines = [f"**{cards.quoted(dialog.title)}**"]
        for name, error in message.errors.items():
            lines += [labels[name], f"✘ {error}"] if name in labels else [f"✘ {error}"]
        label = words("slack.fix" if message.errors else "slack.open")
        button = Button(label, f"{FORM}|{message.key}|{message.place}", "good")
        return render.answer(Answer("\n".join(lines), buttons=(button,)))[0]


def _with(payload: Payload, *blocks: Json, top: bool = False) -> Payload:
    own = payload.json["blocks"]
    return replace(payload, json={**payload.json, "blocks": [*blocks, *own] if top else [*own, *blocks]})
