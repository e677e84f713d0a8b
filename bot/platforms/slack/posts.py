"""The bot's own messages: posted once, found again by what their metadata says, edited, taken away; and its files.

Slack has no key by which a message sent twice is one. So every message carries its key in its metadata, and where an answer
was lost its conversation is looked through before it is sent again. What this process has posted it knows by its keys.
"""

import asyncio
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Sequence
from time import time
from typing import Any
from weakref import WeakValueDictionary

from bot.core.talk import short
from bot.ear import remember
from bot.platforms.slack.render import Payload, pictured
from bot.platforms.slack.threads import Room
from bot.platforms.slack.wire import Refused, Unsure, Wire
from pipeline.errors import Temporary
from pipeline.memory import Memory

log = logging.getLogger("labbot.slack")

EVENT = "labbot"  # the kind of our metadata
WAITS_S = (0.0, 0.5, 2.0)  # before a message or a file is shown, and again where it is not there
LOOKS_S = (0.0, 0.5, 1.0, 2.0)  # before each look whether Slack has looked at a picture: a block with one before is refused
EARLIER_S = 120.0  # that much older a message may be than we believe: clocks differ
SKEW_S = 1.0  # that much our clock may be ahead of Slack's
SHOWN = "shown"
FILE_S = 86_400  # that long is noted which file was uploaded for a message


class Posts:
    """Every method raises Refused and Temporary."""

    def __init__(self, wire: Wire, memory: Memory) -> None:
        self.wire, self.memory = wire, memory
        self._known: OrderedDict[str, tuple[str, str]] = OrderedDict()  # by channel and key: the ts, and what it shows
        self._doubts: OrderedDict[str, float] = OrderedDict()  # what may have been posted, and since when
        self._whispered: OrderedDict[str, str] = OrderedDict()
        self._pictures: OrderedDict[str, str] = OrderedDict()  # those that can be shown, and whose they are
        self._busy: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def put(self, room: Room, payload: Payload, key: str) -> str:
        """Post a message and return its ts; the same key in a channel is the same message, which is edited if it differs.

        Where the answer is lost it is looked for, and posted again if it is not there.
        """
        name, payload = _name(room, key), await self._pictured(room, payload)
        async with self._busy.setdefault(name, asyncio.Lock()):
            ts = await self._brought(room, payload, key) or await self._posted(room, payload, key)
            self._doubts.pop(name, None)
            remember(self._known, name, (ts, _digest(payload)))
            return ts

    def know(self, room: Room, key: str, ts: str) -> None:
        """A message was begun in another way, by a stream: that is the message of the key."""
        remember(self._known, _name(room, key), (ts, ""))

    async def _brought(self, room: Room, payload: Payload, key: str) -> str:
        """The ts of a message that was posted before, and shows the payload by now; "" where there is none."""
        name = _name(room, key)
        ts, shows = self._known.get(name, ("", ""))
        if not ts and name in self._doubts:
            ts = await self.find(room, key, self._doubts[name])
        if ts and shows != _digest(payload):
            try:
                await self.change(room, ts, payload, key)
            except Refused as error:
                if error.code != "message_not_found":
                    raise
                return ""
        return ts

    async def _posted(self, room: Room, payload: Payload, key: str) -> str:
        began, name = time(), _name(room, key)
        for wait_s in WAITS_S:
            await asyncio.sleep(wait_s)
            try:
                made = await self.wire.ask(
                    room.team,
                    "chat.postMessage",
                    twice=False,
                    channel=room.channel,
                    thread_ts=room.thread,
                    metadata=marked(key),
                    **payload.json,
                )
                self.wire.counts.sent["post"] += 1
                return str(made["ts"])
            except Unsure:
                remember(self._doubts, name, min(began, self._doubts.get(name, began)))
                if found := await self.find(room, key, began):
                    return found
        raise Temporary("Slack does not say whether it has the message")

    async def find(self, room: Room, key: str, since: float) -> str:
        """The ts of a message of ours by its key, posted since then (seconds since 1970); "" if there is none.

        Slack is asked only for what this process did not post.
        """
        if known := self._known.get(_name(room, key)):
            return known[0]
        for one in await self.ours(room, since):
            if key_of(one) == key:
                return str(one["ts"])
        return ""

    async def ours(self, room: Room, since: float) -> list[dict[str, Any]]:
        """The bot's messages of a room since then, with their metadata."""
        method = "conversations.replies" if room.thread else "conversations.history"
        found = await self.wire.ask(
            room.team,
            method,
            channel=room.channel,
            ts=room.thread,
            oldest=f"{max(0.0, since - EARLIER_S):.6f}",
            include_all_metadata=True,
            limit=self.wire.tiers.looked,
        )
        return [one for one in found.get("messages", []) if one.get("bot_id")]

    async def whisper(self, room: Room, user: str, payload: Payload, key: str) -> None:
        """Show a message to one person in a channel, once by its key: it can be neither found nor changed later.

        Where nobody answers it counts as shown: a hint that is lost costs another press, one that comes twice confuses.
        """
        name = _name(room, f"{user} {key}")
        async with self._busy.setdefault(name, asyncio.Lock()):
            if name not in self._whispered:
                await self._whisper(room, user, payload)
                remember(self._whispered, name, user)

    async def _whisper(self, room: Room, user: str, payload: Payload) -> None:
        try:
            await self.wire.ask(
                room.team,
                "chat.postEphemeral",
                twice=False,
                channel=room.channel,
                thread_ts=room.thread,
                user=user,
                blocks=pictured(payload, ()).json.get("blocks"),
                text=payload.json.get("text"),
            )
        except Unsure as error:
            log.warning("slack: a private message may not have come: %s", error)
        self.wire.counts.sent["ephemeral"] += 1

    async def change(self, room: Room, ts: str, payload: Payload, key: str, *, edit: bool = False, turn: bool = True) -> None:
        """Edit a message; a stream that an earlier process has begun in it is ended first."""
        payload = await self._pictured(room, payload)
        given = {name: value for name, value in payload.json.items() if not name.startswith("unfurl")}
        given |= {"channel": room.channel, "ts": ts, "metadata": marked(key)}
        try:
            await self.wire.ask(room.team, "chat.update", edit=edit, turn=turn, **given)
        except Refused as error:
            if error.code != "streaming_state_conflict":
                raise
            await self.end(room, ts)
            await self.wire.ask(room.team, "chat.update", edit=edit, **given)
        if self._known.get(_name(room, key), ("", ""))[0] == ts:
            remember(self._known, _name(room, key), (ts, _digest(payload)))
        self.wire.counts.sent["edit"] += 1

    async def end(self, room: Room, ts: str) -> None:
        """End the stream of a message, if it is one that has not ended."""
        try:
            await self.wire.ask(room.team, "chat.stopStream", channel=room.channel, ts=ts)
        except Refused as error:
            log.info("slack: a stream had ended: %s", error)

    async def delete(self, room: Room, ts: str) -> None:
        for name in [name for name, (known, _) in self._known.items() if known == ts and name.startswith(_name(room, ""))]:
            del self._known[name]
        try:
            await self.wire.ask(room.team, "chat.delete", channel=room.channel, ts=ts)
        except Refused as error:
            if error.code != "message_not_found":
                raise

    async def _pictured(self, room: Room, payload: Payload) -> Payload:
        """The payload with its pictures, which Slack has by then; one that it does not take holds up nothing."""
        if not payload.pictures:
            return payload
        ids = []
        for name, content in payload.pictures:
            try:
                ids.append(await self._picture(room, name, content))
            except Refused as error:
                log.error("slack: picture %s is not shown: %s", name, error)
                ids.append("")
        return pictured(payload, ids)

    async def _picture(self, room: Room, name: str, content: bytes) -> str:
        """The id of a picture by which blocks show it, uploaded once; "" as long as Slack has not looked at it.

        It is shared with nobody: whoever sees the message sees it.
        """
        row = f"bot:file:slack:{room.team}.{short(f'{name} {hashlib.sha256(content).hexdigest()}', 24)}"
        async with self._busy.setdefault(row, asyncio.Lock()):
            file = ((await self.memory.do("GET", row)) or b"").decode()
            if not file:
                file = await self._sent(room, name, content)
                await self.wire.ask(room.team, "files.completeUploadExternal", files=[{"id": file, "title": name}])
                await self.memory.do("SET", row, file, "EX", FILE_S)
            if file not in self._pictures:
                for wait_s in LOOKS_S:
                    await asyncio.sleep(wait_s)
                    told = (await self.wire.ask(room.team, "files.info", file=file)).get("file") or {}
                    if told.get("mimetype"):
                        remember(self._pictures, file, room.team)
                        break
            return file if file in self._pictures else ""

    async def _sent(self, room: Room, name: str, content: bytes) -> str:
        """Upload a file, which nobody sees yet; its id."""
        given = await self.wire.ask(room.team, "files.getUploadURLExternal", filename=name, length=len(content))
        await self.wire.send(str(given["upload_url"]), content)
        self.wire.counts.sent["file"] += 1
        return str(given["file_id"])

    async def share(self, room: Room, files: Sequence[tuple[str, bytes]], key: str) -> None:
        """Send files into a room, each once: which upload is a message's is noted before it is shown."""
        for number, (name, content) in enumerate(files):
            row = f"bot:file:slack:{part_key(key, number)}"
            async with self._busy.setdefault(row, asyncio.Lock()):
                await self._uploaded(room, name, content, row)

    async def _uploaded(self, room: Room, name: str, content: bytes, row: str) -> None:
        """Send a file, unless its row says that it was."""
        known, _, at = ((await self.memory.do("GET", row)) or b"").decode().partition(" ")
        if known == SHOWN or (known and await self._is_shown(room, known, float(at))):
            return
        file, began = await self._sent(room, name, content), time()
        await self.memory.do("SET", row, f"{file} {began}", "EX", FILE_S)
        await self._complete(room, file, name, began)
        await self.memory.do("SET", row, SHOWN, "EX", FILE_S)

    async def _complete(self, room: Room, file: str, name: str, began: float) -> None:
        """Show a file that was uploaded; again where nobody says whether it was done, and it was not."""
        for wait_s in WAITS_S:
            await asyncio.sleep(wait_s)
            try:
                await self.wire.ask(
                    room.team,
                    "files.completeUploadExternal",
                    twice=False,
                    files=[{"id": file, "title": name}],
                    channel_id=room.channel,
                    thread_ts=room.thread,
                )
                return
            except Unsure:
                if await self._is_shown(room, file, began):
                    return
        raise Temporary("Slack does not say whether it has the file")

    async def _is_shown(self, room: Room, file: str, since: float) -> bool:
        """Whether a file that was uploaded since then stands in the room."""
        return any(file == one.get("id") for found in await self.ours(room, since) for one in found.get("files") or ())


def _name(room: Room, key: str) -> str:
    """What a message of a channel is known by: its thread may be one that only it begins."""
    return f"{room.team}.{room.channel} {key}"


def _digest(payload: Payload) -> str:
    return short(json.dumps(payload.json, sort_keys=True), 24)


def marked(key: str) -> dict[str, Any]:
    return {"event_type": EVENT, "event_payload": {"outbox_id": key}}


def key_of(message: dict[str, Any]) -> str:
    """The key of a message of ours, as Slack tells it; "" for others."""
    found = message.get("metadata") or {}
    return str((found.get("event_payload") or {}).get("outbox_id", "")) if found.get("event_type") == EVENT else ""


def may_stream(message: dict[str, Any], since: float) -> bool:
    """Whether a message of the bot's may be a stream begun since then: that has no metadata before its end, and no files."""
    return not key_of(message) and not message.get("files") and float(message["ts"]) >= since - SKEW_S


def part_key(key: str, at: int) -> str:
    """The key of a message's further parts."""
    return f"{key}.{at}" if at else key
