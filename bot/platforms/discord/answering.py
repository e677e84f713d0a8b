"""The first answer to each interaction, within three seconds, exactly once.

The first message that an event leads to is the callback itself: a message, the edited card, a dialog. Where that takes
longer than DEFER_S Discord is told to wait, unseen by others; what comes then stands there if it is for that person alone,
else it goes into the channel, and the note goes away. Which message is the answer is noted before it is sent.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from bot.acks import Ack, Acks
from bot.counts import Counts
from bot.platforms.discord import limits
from bot.platforms.discord.render import Payload, flagged
from bot.platforms.discord.wire import Refused, Wire
from pipeline.errors import Temporary

log = logging.getLogger("labbot.discord")

DEFER_S = 0.7  # of the three seconds that Discord gives; the way there and back is in them
LATE_S = 2.5  # later than that an answer would only be refused
REPLY, WAIT, SEEN, EDIT, CHOICES, DIALOG = 4, 5, 6, 7, 8, 9  # types of callbacks

CALLBACK = "/interactions/{webhook_id}/{webhook_token}/callback"
ORIGINAL = "/webhooks/{webhook_id}/{webhook_token}/messages/@original"
PRIVATE = "@"  # how the address of a message begins that one person sees; the event it answers follows


@dataclass(slots=True)
class Open:
    """An interaction as this process knows it; `heard_at` is the loop's time, None for one that an earlier process heard.

    `heard`: not lost with that process.
    """

    ack: Ack
    heard_at: float | None
    heard: bool = True
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    timer: asyncio.TimerHandle | None = None


class Answering:
    """The interactions that may still be answered. `application` is the bot's, `clock` wall time in seconds."""

    def __init__(
        self, wire: Wire, acks: Acks, counts: Counts, application: Callable[[], str], clock: Callable[[], float]
    ) -> None:
        self.wire, self.acks, self.counts, self.application, self.clock = wire, acks, counts, application, clock
        self.defer_s = DEFER_S
        self._open: dict[str, Open] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # --- hearing of them

    def begin(self, ack: Ack, *, waits: bool = True) -> Open:
        """An interaction has come: from now on its time runs. One that is told again goes on as it was.

        `waits`: Discord may be told to wait for its answer, which it takes of none that completes what is typed.
        """
        if ack.event in self._open:
            return self._open[ack.event]
        loop = asyncio.get_running_loop()
        one = self._open[ack.event] = Open(ack, loop.time())
        one.timer = loop.call_later(self.defer_s, self._due, one) if waits else None
        return one

    async def note(self, one: Open) -> None:
        """Note an interaction that has come, for the processes after this one; of one that was told before that stays."""
        try:
            known = await self.acks.first(one.ack)
        except Temporary:
            return  # it is answered all the same, by this process
        if known is not None:
            one.ack = known
            if known.state in ("answered", "used"):
                self.end(one)

    def _due(self, one: Open) -> None:
        task = asyncio.create_task(self._defer(one))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _defer(self, one: Open) -> None:
        async with one.lock:
            if one.ack.state != "open":
                return
            try:
                await self._callback(one, WAIT, {"flags": limits.EPHEMERAL})
                await self._note(one, state="deferred")
            except (Refused, Temporary) as error:
                log.info("discord: an interaction was not told to wait: %s", error)

    async def of(self, event: str) -> Open | None:
        """The interaction that an event came as; None for others, and for those whose token has gone."""
        if not event.startswith("i"):
            return None
        if event not in self._open:
            ack = await self.acks.read(event)
            if ack is None:
                return None
            one = Open(ack, None)
            if ack.state not in ("answered", "used"):
                self._open[event] = one  # until it is over
        else:
            one = self._open[event]
        return one if self.clock() - one.ack.at < limits.TOKEN_S else None

    # --- answering them

    async def reply(self, one: Open, key: str, payload: Payload, *, private: bool) -> str:
        """Let a message be the answer. Returns its address, "" if the interaction has its answer, or had its time."""
        async with one.lock:
            if private and (one.ack.state == "deferred" or (one.ack.state, one.ack.by) == ("used", key)):
                return await self._instead(one, key, payload)
            if one.ack.by == key and one.ack.state == "answered":
                return await self._stands(one, key, payload, private)
            if not await self._claim(one, key):
                return await self._stands(one, key, payload, private) if _began(one, key) else ""
            try:
                made = await self._callback(one, REPLY, (flagged(payload) if private else payload).json, payload)
            except Refused as error:
                if error.code == Refused.ANSWERED:
                    return await self._stands(one, key, payload, private)
                await self._not_taken(one, error)
                return ""
            await self._note(one, state="answered")
            return f"{PRIVATE}{one.ack.event}" if private else _address(made["resource"]["message"])

    async def edit(self, one: Open, key: str, payload: Payload) -> bool:
        """Let the edited message, whose button was pressed, be the answer. False if there is no answer to give any more."""
        async with one.lock:
            return await self._claim(one, key) and await self._taken(one, EDIT, payload.json, payload)

    async def dialog(self, one: Open, key: str, data: dict[str, Any]) -> bool:
        """Open a dialog: only as the answer, and never to a dialog. False if that cannot be done."""
        async with one.lock:
            if one.ack.by == key and one.ack.state == "answered":
                return True
            if one.ack.kind == "submit" or not await self._claim(one, key):
                return False
            return await self._taken(one, DIALOG, data)

    async def tell(self, event: str, payload: Payload) -> bool:
        """Answer with a word of this process's own, noted nowhere: the memory may be away. False if there is an answer."""
        one = self._open.get(event)
        if one is None:
            return False
        async with one.lock:
            if one.ack.state != "open" or self._late(one):
                return False
            one.ack = replace(one.ack, state="answered")
            await self._callback(one, REPLY, flagged(payload).json)
            return True

    async def choices(self, one: Open, found: list[str]) -> None:
        """What could be meant by what is typed into a command's option."""
        whole = [text for text in found if len(text) <= limits.OPTION]  # what is cut would be the name of something else
        data = {"choices": [{"name": text, "value": text} for text in whole]}
        await self._callback(one, CHOICES, data)

    async def over(self, event: str, said: Callable[[], Payload]) -> None:
        """Nothing more comes: an interaction without an answer gets one, a note to wait goes away."""
        one = self._open.get(event)
        if one is None:
            return
        async with one.lock:
            try:
                if one.ack.state in ("open", "answering"):
                    await self._nothing(one, said)
                if one.ack.state == "deferred":
                    await self._original(one, "DELETE")
                    await self._note(one, state="answered")
            except Refused as error:
                log.info("discord: the end of an interaction was not taken: %s", error)
            self._open.pop(event, None)

    def end(self, one: Open) -> None:
        """Forget an interaction that leads to no message."""
        if one.timer:
            one.timer.cancel()
        self._open.pop(one.ack.event, None)

    async def tidy(self, said: Callable[[str], Payload]) -> None:
        """Once its work is done, end what an earlier process left: no answer, or a note to wait. `said` takes a locale.

        What was not heard gets no answer: by that people see that they must do it again.
        """
        for ack in await self.acks.unfinished():
            how = await self.acks.heard(ack.event)
            if how == "waits":
                continue  # it is decided yet, and ended then
            one = self._open.setdefault(ack.event, Open(ack, None))
            if one.heard_at is None:
                one.heard = how == "decided"
                await self.over(ack.event, partial(said, ack.locale))

    async def close(self) -> None:
        for one in self._open.values():
            if one.timer:
                one.timer.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- messages that one person sees

    async def change(self, event: str, payload: Payload) -> bool:
        """Show a private answer anew; False if its token has gone."""
        one = await self.of(event)
        if one is None:
            return False
        try:
            await self._original(one, "PATCH", payload)
        except Refused as error:
            log.info("discord: a private answer was not changed: %s", error)
            return False
        return True

    # --- the requests

    async def _claim(self, one: Open, key: str) -> bool:
        """Note which message is to be the answer, if there is still one to give. What was begun for it is begun again."""
        if not (one.ack.state == "open" or _began(one, key)) or self._late(one):
            return False
        await self._note(one, state="answering", by=key)
        return True

    def _late(self, one: Open) -> bool:
        if one.heard_at is None:
            return self.clock() - one.ack.at > LATE_S
        return asyncio.get_running_loop().time() - one.heard_at > LATE_S

    async def _note(self, one: Open, **changed: Any) -> None:
        one.ack = replace(one.ack, **changed)  # first here: it holds in this process whatever the memory says
        await self.acks.keep(one.ack)

    async def _taken(self, one: Open, kind: int, data: dict[str, Any], payload: Payload | None = None) -> bool:
        """Answer by an edit or a dialog. False if it is refused; True for a dialog that an earlier attempt has opened."""
        try:
            await self._callback(one, kind, data, payload)
        except Refused as error:
            if error.code != Refused.ANSWERED:
                await self._not_taken(one, error)
                return False
            found = await self._found(one)
            if kind != DIALOG or found is not None:
                await self._note(one, state="deferred" if _waits(found) else "answered", by="")
                return False
        await self._note(one, state="answered")
        return True

    async def _stands(self, one: Open, key: str, payload: Payload, private: bool) -> str:
        """The address of the answer that an earlier attempt has sent, whose end we did not hear; "" if it was another one."""
        found = await self._found(one)
        if _waits(found):
            if private:
                return await self._instead(one, key, payload)
            await self._note(one, state="deferred", by="")
            return ""
        await self._note(one, state="answered")
        if found is None:
            return ""
        return f"{PRIVATE}{one.ack.event}" if private else _address(found)

    async def _instead(self, one: Open, key: str, payload: Payload) -> str:
        """Let a message for one person take the place of the note to wait."""
        await self._note(one, state="used", by=key)
        await self._original(one, "PATCH", payload)
        return f"{PRIVATE}{one.ack.event}"

    async def _found(self, one: Open) -> dict[str, Any] | None:
        """What stands as the answer; None for nothing, and for a dialog."""
        try:
            return await self._original(one, "GET")
        except Refused:
            return None

    async def _not_taken(self, one: Open, error: Refused) -> None:
        """Discord does not take the answer. Raises what it says, but for that its time is over."""
        log.info("discord: an interaction was not answered: %s", error)
        await self._note(one, state="answered", by="")
        if error.code not in (Refused.UNKNOWN_INTERACTION, Refused.BAD_TOKEN):
            raise error

    async def _nothing(self, one: Open, said: Callable[[], Payload]) -> None:
        """Answer that all is done; one that was told to wait unnoted is noted to be."""
        try:
            if self._late(one) or not one.heard:
                raise Refused(Refused.ANSWERED, 400, "if it has no answer, it gets none")
            await self._note(one, state="answering", by="")
            if one.ack.kind == "press":
                await self._callback(one, SEEN)
            else:
                payload = said()
                await self._callback(one, REPLY, flagged(payload).json, payload)
        except Refused as error:
            if error.code == Refused.ANSWERED and _waits(await self._found(one)):
                return await self._note(one, state="deferred")
            if error.code != Refused.ANSWERED:
                raise
        await self._note(one, state="answered")

    async def _callback(
        self, one: Open, kind: int, data: dict[str, Any] | None = None, payload: Payload | None = None
    ) -> dict[str, Any]:
        body: dict[str, Any] = {"type": kind, **({"data": data} if data is not None else {})}
        files = payload.files if payload else ()
        made: dict[str, Any] = await self.wire.answer(CALLBACK, (one.ack.id, one.ack.token), json=body, files=files)
        self.counts.sent["callback"] += 1
        if one.heard_at is not None and kind != CHOICES:
            self.counts.acks.add(asyncio.get_running_loop().time() - one.heard_at)
        if one.timer:
            one.timer.cancel()
        return made

    async def _original(self, one: Open, method: str, payload: Payload | None = None) -> dict[str, Any]:
        json, files = (payload.json, payload.files) if payload else (None, ())
        ids = (self.application(), one.ack.token)
        made: dict[str, Any] = await self.wire.answer(ORIGINAL, ids, method=method, json=json, files=files)
        return made


def _address(message: dict[str, Any]) -> str:
    return f"{message['channel_id']}/{message['id']}"


def _began(one: Open, key: str) -> bool:
    """Whether the message is being made the answer already: by an attempt that failed, or that a crash has ended."""
    return one.ack.state == "answering" and one.ack.by == key


def _waits(found: dict[str, Any] | None) -> bool:
    """Whether what stands there is the note to wait."""
    return found is not None and bool(found.get("flags", 0) & limits.LOADING)
