"""The bot's own messages in channels, threads and direct conversations: posted once, edited, taken away."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.ear import remember
from bot.platforms.discord.render import Payload, unflagged
from bot.platforms.discord.threads import Threads
from bot.platforms.discord.wire import Refused, Wire

MESSAGES = "/channels/{channel_id}/messages"
MESSAGE = f"{MESSAGES}/{{message_id}}"
EPOCH_MS = 1_420_070_400_000  # of ids: reference, snowflakes
LOOKED = 50  # messages of a channel among which one of ours is looked for


class Posts:
    """Every method raises Refused and Temporary."""

    def __init__(self, wire: Wire, threads: Threads) -> None:
        self.wire, self.threads = wire, threads
        self._attached: OrderedDict[str, dict[str, str]] = OrderedDict()  # by message: the ids of its files, by digest

    async def put(self, room: str, payload: Payload, nonce: str) -> str:
        """One message; the same nonce within minutes is the same message."""
        body = {**unflagged(payload).json, "nonce": nonce, "enforce_nonce": True}
        made = await self.wire.ask("POST", MESSAGES, room=room, json=body, files=payload.files)
        self.wire.counts.sent["post"] += 1
        self._note(str(made["id"]), payload, made)
        if not says(made, payload.json):  # an earlier process has posted it as it stood then, and could not note it
            await self.patch(room, str(made["id"]), payload)
        return str(made["id"])

    async def further(self, key: str, address: str, payloads: Sequence[Payload]) -> str:
        """Post what the first message has no room for. Returns the address of all of them."""
        if len(payloads) < 2:
            return address
        room, first = address.split("/")
        rest = [await self.put(room, one, part_key(key, at)) for at, one in enumerate(payloads[1:], 1)]
        return f"{room}/{','.join([first, *rest])}"

    async def patch(self, room: str, message: str, payload: Payload, *, turn: bool = True) -> None:
        """Edit a message; a thread in the archive is taken out of it. `turn`: wait for one of the room's.

        A file that the message has already stays: sent anew, a picture would flicker with every edit.
        """
        payload, woken = unflagged(payload), False
        while True:
            kept = self._attached.pop(message, {})
            sent = _kept(payload, kept)
            try:
                made = await self.wire.ask(
                    "PATCH", MESSAGE, room=room, json=sent.json, files=sent.files, turn=turn, message_id=message
                )
                self.wire.counts.sent["edit"] += 1
                return self._note(message, payload, made)
            except Refused as error:
                if error.code == Refused.ARCHIVED and not woken:
                    woken = True
                    await self.threads.wake(room)
                elif error.code != Refused.FORM or sent == payload:  # else the files were taken away meanwhile
                    raise

    def _note(self, message: str, payload: Payload, made: Mapping[str, Any]) -> None:
        """Note which files a message has: they stand in the order of the payload's."""
        ids = [str(one["id"]) for one in made.get("attachments") or ()]
        if payload.files and len(ids) == len(payload.files):
            digests = [_digest(*one) for one in payload.files]
            remember(self._attached, message, dict(zip(digests, ids, strict=True)))

    def changed(self, message: str) -> None:
        """A message was edited in another way: which files it has now is not known."""
        self._attached.pop(message, None)

    async def delete(self, room: str, message: str) -> None:
        try:
            await self.wire.ask("DELETE", MESSAGE, channel_id=room, message_id=message)
        except Refused as error:
            if error.code != Refused.UNKNOWN_MESSAGE:
                raise

    async def newest(self, room: str, since: float, author: str) -> list[dict[str, Any]]:
        """The newest messages of somebody in a room that were made since then, in seconds since 1970."""
        found = await self.wire.ask("GET", MESSAGES, channel_id=room, query={"limit": str(LOOKED)})
        return [one for one in found if one["author"]["id"] == author and made_at(one["id"]) >= since]


def _kept(payload: Payload, kept: Mapping[str, str]) -> Payload:
    """The payload without the files that are there already: these are named by their ids."""
    listed, files = list[dict[str, str]](), list[tuple[str, bytes]]()
    for name, content in payload.files:
        if known := kept.get(_digest(name, content)):
            listed.append({"id": known})
        else:
            listed.append({"id": str(len(files)), "filename": name})
            files.append((name, content))
    if len(files) == len(payload.files):
        return payload
    return Payload({**payload.json, "attachments": listed}, tuple(files))


def _digest(name: str, content: bytes) -> str:
    return hashlib.sha256(name.encode() + b"\n" + content).hexdigest()


def part_key(key: str, at: int) -> str:
    """The nonce of a message's further parts: a key has 24 letters, a nonce may have 25."""
    return f"{key[:24]}{at}"


def made_at(snowflake: str) -> float:
    """When something was made, in seconds since 1970, by its id."""
    return ((int(snowflake) >> 22) + EPOCH_MS) / 1000


def says(found: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
    """Whether a message shows the texts and the buttons of a payload."""
    return [*_shown(found)] == [*_shown(payload)]


def _shown(component: Mapping[str, Any]) -> Iterator[str]:
    """Texts and custom ids, in order; Discord takes white space away at the ends of a text."""
    for name in ("content", "custom_id"):
        if text := str(component.get(name) or "").strip():
            yield text
    for one in component.get("components") or ():
        yield from _shown(one)
