"""How Discord says things: the voice of the shell, over channels, threads, direct messages and answers to interactions.

An address is "ROOM/ID,ID": the messages that a text takes. "@EVENT" is one that a single person sees, as the answer to
their interaction; it lives as long as its token, and everything else goes by the bot's own.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from bot.contents import Read, contents, nothing
from bot.core.talk import Answer, Button, Card, Dialog, Event, File, direct, short
from bot.core.words import Table, Words, pick
from bot.platforms.discord import limits, render
from bot.platforms.discord.answering import PRIVATE, Answering, Open
from bot.platforms.discord.budget import Budget
from bot.platforms.discord.edits import Edits
from bot.platforms.discord.posts import Posts, says
from bot.platforms.discord.render import Payload, unflagged
from bot.platforms.discord.threads import Guilds, NoDirect, Threads, channel_of
from bot.platforms.discord.wire import Refused, Wire
from bot.rooms import Rooms
from bot.rows import Message
from bot.store import Store
from pipeline.check import SIZE_BYTES
from pipeline.errors import Invalid, Problem, Temporary

log = logging.getLogger("labbot.discord")

NONCE_S = 120.0  # Discord remembers a nonce for "the past few minutes"; older messages are looked for in the channel
TEXTS = (".yaml", ".yml", ".txt", ".md", ".json")  # how the names of files end that are taken
TIMED_OUT = 408  # the status of a file that did not come in time
FETCH_S = 20.0  # for a file that somebody sent
FORM, SHOW = "form", "show"  # buttons of this platform's own: open a dialog, show what is for one person


class Speaker:
    """The voice. `clock` is wall time in seconds, `cdn` tells how the addresses of files begin that people have sent.

    `read` reads the files of runs that messages bring along.
    """

    def __init__(
        self,
        store: Store,
        wire: Wire,
        budget: Budget,
        threads: Threads,
        answering: Answering,
        guilds: Guilds,
        tables: Mapping[str, Table],
        clock: Callable[[], float],
        cdn: Callable[[], tuple[str, ...]],
        read: Read = nothing,
    ) -> None:
        self.store, self.wire, self.budget, self.threads = store, wire, budget, threads
        self.answering, self.guilds, self.tables, self.clock, self.cdn, self.read = answering, guilds, tables, clock, cdn, read
        self.rooms: Rooms = threads.rooms
        self.posts = Posts(wire, threads)
        self.edits = Edits(store, self.posts, budget, answering.acks, self._drawn, self._again, clock)

    # --- new messages

    async def post(self, message: Message) -> str:
        message = await self._hidden(message)
        payloads = await self._drawn(message)
        try:
            if isinstance(message.body, Answer) and message.body.leads and await self._is_here(message):
                return ""
            if address := await self._replied(message, payloads[0]):
                return await self.posts.further(message.key, address, payloads)
            return await (self._whisper(message, payloads) if message.to else self._send(message, payloads))
        except NoDirect:
            return await self._aside(message)
        except Refused as error:
            return await self._denied(message, error)

    async def _hidden(self, message: Message) -> Message:
        """What tells the way to a private thread is for its author alone: it says what the draft is about."""
        if not (isinstance(message.body, Answer) and message.body.leads and self.guilds.private()):
            return message
        return replace(message, to="".join((await self.threads.conversation(message.body.leads)).people[:1]))

    async def _drawn(self, message: Message) -> list[Payload]:
        """The message as Discord's messages, one where it is for one person alone."""
        ping = (await self.rooms.user(message.ping)).id if message.ping else ""
        match message.body:
            case Card():
                return [render.card(message.body, ping=ping, contents=await contents(message.body, self.read))]
            case Answer():
                found = render.answer(message.body, ping=ping)
                return found if len(found) == 1 or not message.to else [_alone(message.body)]
        raise AssertionError("a dialog is asked, not posted")

    async def _replied(self, message: Message, payload: Payload) -> str:
        """Let the message be the answer to the interaction that led to it, if it may be. Returns its address, or ""."""
        one = await self.answering.of(message.event)
        if one is None or not (message.to or await self.threads.room(message.place) == one.ack.room):
            return ""
        return await self.answering.reply(one, message.key, payload, private=bool(message.to))

    async def _is_here(self, message: Message) -> bool:
        """Whether what a message leads to goes on where the message itself would stand."""
        assert isinstance(message.body, Answer)
        return await self.threads.room(message.place) == await self.threads.room(message.body.leads)

    async def _send(self, message: Message, payloads: list[Payload]) -> str:
        """Post into the room of a place; where that is gone and was ours to make, into a new one."""
        for again in (True, False):
            room = await self.threads.room(message.place)
            try:
                sent = await self.posts.put(room, payloads[0], message.key)
                await self._bring(message, room)
                if message.slot.startswith("draft."):
                    await self.threads.focus(message.place)
                return await self.posts.further(message.key, f"{room}/{sent}", payloads)
            except Refused as error:
                if error.code != Refused.UNKNOWN_CHANNEL or not again or not await self.threads.lost(message.place):
                    raise
        raise AssertionError("the second attempt returns or raises")

    async def _bring(self, message: Message, room: str) -> None:
        """Whoever acts in a draft's thread belongs to it: an invited author finds it among theirs."""
        owner = message.place.rpartition("/")[2]
        if "/" in message.place and not owner.isdecimal() and "@" not in message.place:
            draft = await self.store.draft(owner)
            for person in draft.authors if draft else ():
                await self.threads.bring(room, person)

    async def _whisper(self, message: Message, payloads: list[Payload]) -> str:
        """Tell one person, where their interaction can no longer be answered or there was none: in their direct messages."""
        room = await self._direct(message)
        try:
            return f"{room}/{await self.posts.put(room, payloads[0], message.key)}"
        except Refused as error:
            if error.code != Refused.NO_DIRECT:
                raise
        raise NoDirect(message.to)

    async def _direct(self, message: Message) -> str:
        """Where somebody is told something alone; whoever was just forgotten is known by their event only."""
        try:
            return await self.threads.room(direct("discord", message.to))
        except NoDirect:
            user = self.guilds.author(message.event)
            if not user:
                raise
        return await self.threads.direct_with(user)

    async def _aside(self, message: Message) -> str:
        """Somebody takes no direct messages: a button in the channel shows them what is for them alone."""
        if message.place.startswith("discord:@"):
            log.warning("discord: message %s reaches nobody: %s takes no direct messages", message.key, message.place)
            return ""
        words = pick(self.tables, message.locale)
        show = Button(words("discord.show"), f"{SHOW}|{message.key}|{message.place}")
        user = await self.rooms.user(message.to)
        payload = render.answer(Answer(words("discord.for_you"), buttons=(show,)), ping=user.id)[0]
        try:
            room = await self.threads.room(message.place)
            return f"{room}/{await self.posts.put(room, payload, message.key)}"
        except (Refused, NoDirect) as error:
            log.warning("discord: message %s reaches nobody: %s", message.key, error)
            return ""

    async def _denied(self, message: Message, error: Refused) -> str:
        """Discord does not let the bot: who asked is told once what is missing, where that is known; nothing is held up."""
        if error.code not in (Refused.NO_ACCESS, Refused.NO_PERMISSION, Refused.UNKNOWN_CHANNEL):
            log.error("discord: message %s of %s was refused: %s", message.key, message.place, error)
        words = pick(self.tables, message.locale)
        channel = channel_of(message.place)
        lacks = [words(f"discord.permission.{one}") for one in self.guilds.lacks(channel)]
        told = (
            words("discord.lacks", permissions=", ".join(lacks), channel=f"<#{channel}>") if lacks else words("discord.cannot")
        )
        payload, key = render.answer(Answer(told))[0], short(f"denied:{message.event}", 24)
        try:
            one = await self.answering.of(message.event)
            if one and (one.ack.by == key or await self.answering.reply(one, key, payload, private=True)):
                return ""
            if user := self.guilds.author(message.event):
                await self.posts.put(await self.threads.direct_with(user), payload, key)
        except Refused as closed:
            log.warning("discord: in %s: %s; nobody could be told: %s", channel, told, closed)
        return ""

    # --- edits

    async def edit(self, address: str, message: Message) -> str:
        if not address:
            return await self.post(message)
        if address.startswith(PRIVATE):
            payloads = await self._drawn(message)
            return address if await self.answering.change(address[1:], unflagged(payloads[0])) else await self.post(message)
        if message.live:
            return self.edits.stream(address, message)
        address = await self.edits.settled(message, address)
        try:
            return await self._changed(address, message)
        except NoDirect:
            return await self._aside(message)
        except Refused as error:
            await self._denied(message, error)
            return address

    async def _changed(self, address: str, message: Message) -> str:
        """Show the newest of a message that stands there: by the interaction whose button it has, else by an edit."""
        payloads, ids = await self._drawn(message), address.partition("/")[2].split(",")
        if message.slot.startswith("draft."):
            await self.threads.focus(message.place)
            await self.threads.title(message.place)
        if (wait_s := self.edits.wait_s(ids[0])) > 0:
            await self.edits.later(address, message, wait_s)
            return address
        one = await self.answering.of(message.event)
        pressed = one is not None and one.ack.message == ids[0] and len(ids) == len(payloads) == 1
        if one and pressed and await self.answering.edit(one, message.key, unflagged(payloads[0])):
            self.posts.changed(ids[0])
            self.edits.note(ids[0])
            return address
        return await self.edits.bring(address, message, payloads)

    async def _again(self, address: str, message: Message, payloads: list[Payload], error: Refused) -> str:
        """Post a message anew that somebody took away. Raises `error` where that is not what Discord said."""
        if error.code not in (Refused.UNKNOWN_MESSAGE, Refused.UNKNOWN_CHANNEL):
            raise error
        if error.code == Refused.UNKNOWN_CHANNEL and not await self.threads.lost(message.place):
            raise error
        again = replace(message, key=short(f"again:{address}:{message.key}", 24))
        return await (self._whisper(again, payloads) if message.to else self._send(again, payloads))

    async def tidy(self) -> None:
        """Finish what an earlier process left: edits that waited, notes that say to wait."""
        await self.edits.tidy()
        await self.answering.tidy(self._done)

    # --- messages that an earlier process may have posted

    async def find(self, message: Message) -> str:
        """Look for a message in its room, where Discord has forgotten its nonce by now."""
        if self.clock() - message.at < NONCE_S or message.to:
            return ""  # posting it again gives the one that is there
        try:
            room = await self.threads.room(message.place)
            mine = await self.posts.newest(room, message.at - NONCE_S, self.guilds.me())
        except (Refused, NoDirect):
            return ""
        drawn, shown = await self._drawn(message), await self.store.shown(message.place)
        fresh = [f"{room}/{one['id']}" for one in mine if says(one, drawn[0].json)]
        return next((address for address in fresh if address not in shown), "")

    # --- dialogs

    async def ask(self, message: Message) -> None:
        assert isinstance(message.body, Dialog)
        words, one = pick(self.tables, message.locale), await self.answering.of(message.event)
        if one and not message.errors and await self.answering.dialog(one, message.key, render.dialog(message.body)):
            return
        payload = self._offer(message, message.body, words)
        try:
            if one and await self.answering.reply(one, message.key, payload, private=True):
                return
            await self._whisper(message, [payload])
        except NoDirect:
            await self._aside(message)
        except Refused as error:
            await self._denied(message, error)

    def _offer(self, message: Message, dialog: Dialog, words: Words) -> Payload:
        """A dialog that cannot be opened by itself: what is wrong with it, if anything, and the button that opens it."""
        name = "discord.fix" if message.errors else "discord.open"
        token = f"{FORM}|{message.key}|{message.place}"
        return render.refused(dialog, message.errors, fix=Button(words(name), token, "good"))

    async def own(self, one: Open, action: str, value: str) -> None:
        """A button of this platform's own: a dialog to open, or a message for one person."""
        if action == FORM and one.timer:
            one.timer.cancel()  # what was told to wait can open no dialog
        try:
            await self._own(one, action, value)
            await self.answering.over(one.ack.event, partial(self._done, one.ack.locale))
        except (Refused, Temporary) as error:
            log.warning("discord: a button did nothing: %s", error)
        finally:
            self.answering.end(one)

    async def _own(self, one: Open, action: str, value: str) -> None:
        key, _, place = value.partition("|")
        message = await self.store.message(place, key)
        words = pick(self.tables, one.ack.locale)
        person = await self.store.person("discord", "discord", one.ack.user, one.ack.user)
        if message is None or message.to != person:
            gone = render.answer(Answer(words("press.stale")))[0]
            await self.answering.reply(one, key, gone, private=True)
        elif action == FORM and isinstance(message.body, Dialog):
            await self.answering.dialog(one, key, render.dialog(message.body, message.errors))
        elif isinstance(message.body, Dialog):
            await self.answering.reply(one, key, self._offer(message, message.body, words), private=True)
        else:
            await self.answering.reply(one, key, (await self._drawn(message))[0], private=True)

    # --- the rest

    async def over(self, event: Event) -> None:
        self.threads.names.pop(event.place, None)
        await self.answering.over(event.id, partial(self._done, event.locale))

    def _done(self, locale: str) -> Payload:
        return render.answer(Answer(pick(self.tables, locale)("discord.done")))[0]

    async def pause(self, message: Message) -> None:
        address = await self.edits.settled(message, (await self.store.address(message))[0])
        if "/" in address:
            await self._changed(address, message)

    async def forget(self, person: str) -> None:
        self.threads.forget()
        self.guilds.forget()

    async def fetch(self, file: File) -> bytes:
        if not file.token.startswith(self.cdn()):
            facts = {"path": file.name, "platform": "Discord"}
            raise Invalid(Problem("file.strange", "it is not a file of Discord's", file.name, facts=facts))
        if not file.name.lower().endswith(TEXTS):
            raise Invalid(Problem("file.kind", "it is no text", file.name, facts={"path": file.name}))
        try:
            content = await self.wire.read(file.token, SIZE_BYTES, FETCH_S) if file.size_bytes <= SIZE_BYTES else None
        except Refused as error:
            code = "file.slow" if error.status == TIMED_OUT else "file.gone"
            raise Invalid(Problem(code, str(error), file.name, facts={"path": file.name})) from error
        if content is None:
            facts = {"size": str(file.size_bytes), "limit": str(SIZE_BYTES)}
            raise Invalid(Problem("file.large", f"{file.size_bytes} bytes", file.name, facts=facts))
        return content


def _alone(answer: Answer) -> Payload:
    """A long answer as one message: its beginning, and the whole as a file."""
    first = render.answer(replace(answer, buttons=()))[0].json["content"]
    short_one = render.answer(replace(answer, text=first[: limits.CONTENT // 2] + "…"))[0]
    file = (render.ANSWER_FILE, answer.text.encode("utf-8", "replace"))
    return Payload({**short_one.json, "attachments": [{"id": "0", "filename": file[0]}]}, (file,))
