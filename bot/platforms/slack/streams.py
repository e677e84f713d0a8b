"""Answers as they are written: native streams where Slack has them, else a message that is posted and edited.

A stream takes text that is appended, in turns that all conversations of a workspace share, and it dies after minutes, at any
append. What it has by then stays; what it has not goes on in a new message, with an open fence opened anew. Where nobody
says whether an append was done, the message is set to what it must show. A text that does not go on from what is shown (it
was written anew) is edited in.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from time import monotonic, time
from typing import Any, Literal

from bot.core.talk import Answer, Button
from bot.platforms.slack import render
from bot.platforms.slack.growing import HARD, SOFT, closer, in_words, opener, piece
from bot.platforms.slack.posts import Posts, marked, may_stream, part_key
from bot.platforms.slack.prose import stable, streamed
from bot.platforms.slack.render import Payload
from bot.platforms.slack.sessions import Sessions
from bot.platforms.slack.threads import Room
from bot.platforms.slack.wire import Refused, Unsure, Wire
from bot.rows import Message
from bot.split import size
from bot.store import Store
from bot.turns import Newest
from pipeline.errors import Temporary

log = logging.getLogger("labbot.slack")

How = Literal["whole", "ended", "unsure"]

PAUSE_S = 1.0  # after that the last word is shown, too: it may be all that comes for a while
START_S = 3.0  # longer than that nobody waits for a turn to begin a stream
WITHOUT_S = 3600.0  # until a workspace that has no streams is asked again
EXPIRED = frozenset({"message_not_in_streaming_state", "message_not_found", "message_not_owned_by_app"})
CHANNEL_GONE = frozenset({"channel_not_found", "is_archived", "not_in_channel"})
STOPPED = "stopped_by_user"


@dataclass(slots=True)
class Live:
    """A message that is being written. `ids` are the messages that it takes, `at` is how much of its markdown they show.

    `own` is what the last of them shows; `open`: it is a stream that takes more. `native`: it goes by streams.
    """

    message: Message
    room: Room
    user: str
    native: bool
    ids: list[str] = field(default_factory=list)
    shown: str = ""  # the markdown up to `at`, as all messages together show it
    own: str = ""
    open: bool = False
    payloads: list[Payload] = field(default_factory=list)  # of one that is edited
    paused: Message | None = None  # the text that nothing has been added to for a while: its last word is shown, too
    timer: asyncio.TimerHandle | None = None

    @property
    def address(self) -> str:
        return f"{self.room}/{','.join(self.ids)}" if self.ids else ""


class Streams:
    """What is being written, by the keys of the messages.

    `draw` makes a message's payloads; `bring` shows them at an address and returns the new one.
    """

    def __init__(
        self,
        store: Store,
        wire: Wire,
        posts: Posts,
        draw: Callable[[Message], Awaitable[list[Payload]]],
        bring: Callable[[str, Message, list[Payload], bool], Awaitable[str]],
    ) -> None:
        self.store, self.wire, self.posts, self.draw, self.bring = store, wire, posts, draw, bring
        self.newest = Newest(self._turn, self._send)
        self._live: dict[str, Live] = {}
        self._without: dict[str, float] = {}  # workspaces that have no streams, and since when
        self.sessions = Sessions(wire)

    async def close(self) -> None:
        for live in self._live.values():
            _unset(live)
        await self.newest.close()
        await self.sessions.close()

    def begin(self, message: Message, room: Room, user: str, address: str = "") -> None:
        """A message is being written from now on; `user` asked for it. One that has an address already is edited there."""
        ids = [one for one in address.partition("/")[2].split(",") if one]
        since = self._without.get(room.team)
        native = bool(room.thread and user) and not ids and (since is None or monotonic() - since > WITHOUT_S)
        self._live[message.key] = Live(message, room, user, native, ids)
        self.sessions.set(room, "processing")

    def has(self, key: str) -> bool:
        return key in self._live

    def put(self, message: Message) -> str:
        """There is something newer to show of it. Returns its address as far as there is one."""
        live = self._live[message.key]
        live.message = message
        if _passes(live):
            live.native = False
        self.newest.put(message.key)
        return live.address

    def key_at(self, room: Room, ts: str) -> str:
        """The key of what is being written in a message, "" if nothing is."""
        found = (key for key, one in self._live.items() if ts in one.ids and one.room.channel == room.channel)
        return next(found, "")

    def keys_in(self, room: Room) -> list[str]:
        """The keys of what is being written in a thread."""
        return [key for key, one in self._live.items() if one.room == room]

    # --- little by little

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[None]:
        live = self._live.get(key)
        if live is None or (live.native and _words(live) == live.shown):
            yield  # nothing is sent, and a turn would be lost
            return
        if live.native and not live.open:
            async with self.wire.tiers.soon(live.room.team, "chat.startStream", START_S) as there:
                live.native = there or bool(live.ids)
                if there:
                    yield
                    return
        if live.native:
            method = "chat.appendStream" if live.open else "chat.startStream"
        else:
            method = "chat.update" if live.ids else "chat.postMessage"
        async with self.wire.tiers.turn(live.room.team, method, live.room.channel, edit=bool(live.ids)):
            yield

    async def _send(self, key: str) -> None:
        live = self._live.get(key)
        if live is None or not isinstance(live.message.body, Answer):
            return
        if _passes(live):
            live.native = False
        elif live.native and live.message.body.passing:
            return  # what has come of the answer stays in sight
        had = live.address
        try:
            if live.native:
                await self._grow(live, self._due(key, live), turn=False)
            if not live.native:
                await self._edit(live)
        except (Refused, Temporary, Unsure) as error:
            log.info("slack: what is written of %s was not shown: %s", key, error)
        if live.address != had:
            try:
                await self.store.sent(live.message, live.address)
            except Temporary as error:
                log.info("slack: where %s stands is not noted yet: %s", key, error)

    def _due(self, key: str, live: Live) -> str:
        """What of a text is shown now: whole words, and the last one when the model pauses after it."""
        assert isinstance(live.message.body, Answer)
        _unset(live)
        words = _words(live)
        if live.paused is not live.message and words != stable(live.message.body.text):
            live.timer = asyncio.get_running_loop().call_later(PAUSE_S, self._pauses, key, live)
        return words

    def _pauses(self, key: str, live: Live) -> None:
        if self._live.get(key) is live:
            live.paused = live.message
            self.newest.put(key)

    async def _edit(self, live: Live) -> None:
        """Show it by an edit, posted if it stands nowhere yet."""
        assert isinstance(live.message.body, Answer)
        payloads = await self.draw(live.message)
        if payloads == live.payloads:
            return
        if live.ids:
            address = await self.bring(live.address, live.message, payloads, False)
            live.ids = address.partition("/")[2].split(",")
        else:
            live.ids = [await self.posts.put(live.room, payloads[0], live.message.key)]
        live.payloads = payloads

    async def _grow(self, live: Live, text: str, *, turn: bool = True) -> None:
        """Append what the streams do not show yet of a markdown. One that they cannot lead to is edited from now on."""
        if not text.startswith(live.shown):
            await self._close(live)
            live.native = False
            return
        while rest := text[len(live.shown) :]:
            has = size(live.own) if live.open else 0
            part, full = piece(rest, HARD - has, SOFT - has)
            if part and not await self._append(live, part, turn=turn):
                return
            live.shown += part
            turn = True
            if full or not part:
                await self._stop(live, markdown_text=closer(live.own))

    async def _append(self, live: Live, part: str, *, turn: bool) -> bool:
        """Append to the open stream, or begin one with it. False if there are no streams there."""
        if not live.open:
            return await self._start(live, opener(live.shown) + part, turn=turn)
        try:
            await self._call(live, "chat.appendStream", turn=turn, edit=True, markdown_text=part)
            live.own += part
        except Unsure:
            live.own += part
            await self._set(live)
        except Refused as error:
            if error.code in CHANNEL_GONE:
                raise
            if error.code == STOPPED:
                return False  # its end is on its way
            log.info("slack: a stream has ended early: %s", error)
            if error.code not in EXPIRED:
                await self._close(live)
            live.open = False
            return await self._start(live, opener(live.shown) + part, turn=True)
        return True

    async def _start(self, live: Live, text: str, *, turn: bool) -> bool:
        room, began = live.room, time()
        for _ in range(3):
            try:
                made = await self.wire.ask(
                    room.team,
                    "chat.startStream",
                    twice=False,
                    turn=turn,
                    channel=room.channel,
                    thread_ts=room.thread,
                    recipient_user_id="" if room.direct else live.user,
                    recipient_team_id="" if room.direct else room.team,
                    markdown_text=text,
                )
                live.ids.append(str(made["ts"]))
                self.posts.know(room, self._key(live), live.ids[-1])
                live.own, live.open = text, True
                self.sessions.note(room, "processing")
                self.wire.counts.sent["stream"] += 1
                return True
            except Unsure:
                await self._clear(live, began)
            except Refused as error:
                log.info("slack: no stream: %s", error)
                if error.code in CHANNEL_GONE:
                    raise
                self._without[room.team] = monotonic()
                live.native = False
                return False
        raise Temporary("Slack does not say whether a stream has begun")

    async def _clear(self, live: Live, began: float) -> None:
        """Take away a stream that was begun and whose name is not known: it has no metadata yet, and nobody else began it."""
        mine = {ts for one in self._live.values() for ts in one.ids}
        for one in await self.posts.ours(live.room, began):
            if may_stream(one, began) and str(one["ts"]) not in mine:
                await self.posts.end(live.room, str(one["ts"]))
                await self.posts.delete(live.room, str(one["ts"]))

    async def _set(self, live: Live, buttons: Sequence[Button] = ()) -> None:
        """Set the last message to what it must show, and end its stream: nobody says what of it came."""
        await self._close(live)
        payload = _told(live.own + closer(live.own), buttons)
        await self.posts.change(live.room, live.ids[-1], payload, self._key(live))

    async def _close(self, live: Live) -> None:
        if live.open:
            await self._stop(live)

    async def _stop(self, live: Live, **given: Any) -> How:
        """End the open stream: "whole"; "ended": it had, and took nothing; "unsure": nobody says whether it did."""
        live.open = False
        try:
            await self._call(live, "chat.stopStream", metadata=marked(self._key(live)), **given)
            return "whole"
        except Temporary:
            live.open = True  # nothing was done
            raise
        except Refused as error:
            if error.code in CHANNEL_GONE:
                raise
            log.info("slack: the end of a stream was not taken: %s", error)
            return "ended"
        except Unsure:
            await self.posts.end(live.room, live.ids[-1])
            return "unsure"

    def _key(self, live: Live) -> str:
        return part_key(live.message.key, len(live.ids) - 1)

    async def _call(self, live: Live, method: str, *, turn: bool = True, edit: bool = False, **given: Any) -> None:
        room = live.room
        await self.wire.ask(
            room.team, method, twice=False, turn=turn, edit=edit, channel=room.channel, ts=live.ids[-1], **given
        )
        self.wire.counts.sent[method.partition(".")[2]] += 1

    # --- the end

    async def finish(self, message: Message) -> str | None:
        """Show the end of what was written by its stream. Returns its address; None if it is to be shown in another way."""
        await self.newest.settle(message.key)
        live = self._live.pop(message.key, None)
        if live is None:
            return None
        _unset(live)
        try:
            return await self._finished(live, message)
        except Temporary:
            self._live[message.key] = live  # it is tried again
            raise
        finally:
            if not self.keys_in(live.room):
                self.sessions.set(live.room, "active")

    async def _finished(self, live: Live, message: Message) -> str | None:
        body = message.body
        if not live.native or not isinstance(body, Answer) or not live.ids:
            await self._close(live)
            return await self._noted(live, message)
        live.message, text = message, streamed(body.text)
        text += closer(text)  # it may have been stopped within a code
        if not text.startswith(live.shown):
            await self._close(live)
            return await self._noted(live, message)
        controls = render.controls(body.buttons) or None
        for _ in range(3):
            rest = text[len(live.shown) :]
            if rest and (not live.open or size(rest) > HARD - size(live.own)):
                await self._grow(live, text)
                rest = text[len(live.shown) :]
            if not live.native:
                break
            state = None if self.keys_in(live.room) else "active"
            given = {"markdown_text": rest, "blocks": controls, "session_status": state}
            how = await self._stop(live, **given) if live.open else "ended"
            if how == "whole":
                if state:
                    self.sessions.note(live.room, "active")
                return live.address
            if how == "unsure" or not rest:
                live.own += rest
                await self._set(live, body.buttons)
                return live.address
        await self._close(live)
        return await self._noted(live, message)

    async def _noted(self, live: Live, message: Message) -> str | None:
        """What is shown by edits from now on: where it stands is noted, so that every message of it is found.

        It is noted as what was shown before the end: a process that comes after this one must show that yet.
        """
        if live.ids:
            await self.store.sent(replace(message, revision=message.revision - 1), live.address)
        return None

    def over(self, room: Room) -> None:
        """What an earlier process wrote in a thread is whole: Slack may still believe that it is being written."""
        if room.thread and not self.keys_in(room):
            self.sessions.note(room, "processing")
            self.sessions.set(room, "active")

    def address(self, key: str, address: str) -> str:
        live = self._live.get(key)
        return live.address or address if live else address


def _unset(live: Live) -> None:
    if live.timer:
        live.timer.cancel()


def _words(live: Live) -> str:
    """The beginning of a text that is sure, as far as it is shown now; of what only passes nothing."""
    assert isinstance(live.message.body, Answer)
    if live.message.body.passing:
        return live.shown
    text = stable(live.message.body.text)
    return text if live.paused is live.message else in_words(text)


def _passes(live: Live) -> bool:
    """Whether it stands for what is still to come, with nothing of that shown: no stream could take it back."""
    return isinstance(live.message.body, Answer) and live.message.body.passing and not live.ids


def _told(markdown: str, buttons: Sequence[Button]) -> Payload:
    """A markdown as the payload of a message."""
    return Payload({"text": "…", "blocks": [{"type": "markdown", "text": markdown}, *render.controls(buttons)]})
