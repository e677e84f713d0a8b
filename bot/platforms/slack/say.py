"""How Slack says things: the voice of the shell, over channels, threads, direct messages and streams.

An address is "ROOM/TS,TS": the messages that a text takes. "@" is one that a single person saw in a channel, which Slack
lets nobody find or change again but by the button that was pressed in it.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePath
from urllib.parse import urlsplit

from bot.contents import Read, contents, nothing
from bot.core.talk import Answer, Card, Dialog, Event, File, direct, short
from bot.core.words import Table, pick
from bot.ear import remember
from bot.platforms.slack import render
from bot.platforms.slack.dialogs import Dialogs, Interaction
from bot.platforms.slack.drawing import FILE, FORM, SHARE, Drawing
from bot.platforms.slack.posts import Posts, key_of, may_stream, part_key
from bot.platforms.slack.render import Payload
from bot.platforms.slack.streams import Streams
from bot.platforms.slack.threads import NoDirect, Room, Threads
from bot.platforms.slack.wire import Refused, Wire
from bot.rows import Message
from bot.store import Store
from pipeline.check import SIZE_BYTES
from pipeline.errors import Invalid, Problem, Temporary
from pipeline.memory import Memory
from pipeline.runs import insist

log = logging.getLogger("labbot.slack")

TEXTS = (".yaml", ".yml", ".txt", ".md", ".json")  # how the names of files end that are taken
FETCH_S = 20.0  # for a file that somebody sent
PRIVATE = "@"  # the address of what a single person saw
GONE = frozenset({"message_not_found", "thread_not_found", "cant_update_message"})
CLOSED = frozenset(
    {"channel_not_found", "not_in_channel", "is_archived", "user_not_in_channel", "cannot_dm_bot", "user_disabled"}
)


class Speaker:
    """The voice. `author` tells "TEAM.USER" of whoever an event came from, `files` how the addresses of files begin.

    `read` reads the files of runs that messages bring along.
    """

    def __init__(
        self,
        store: Store,
        wire: Wire,
        threads: Threads,
        dialogs: Dialogs,
        tables: Mapping[str, Table],
        author: Callable[[str], str],
        files: Callable[[], tuple[str, ...]],
        read: Read = nothing,
    ) -> None:
        memory: Memory = store.memory
        self.store, self.wire, self.threads, self.dialogs = store, wire, threads, dialogs
        self.tables, self.author, self.files = tables, author, files
        self._refused: OrderedDict[str, str] = OrderedDict()  # events of which something was refused, and why
        self.drawing = Drawing(store, threads.rooms, tables, read)
        self.posts = Posts(wire, memory)
        self.streams = Streams(store, wire, self.posts, self.drawing.payloads, self._bring)

    # --- new messages

    async def post(self, message: Message) -> str:
        body = message.body
        try:
            if isinstance(body, Answer) and body.leads:
                if await self.threads.room(message.place) == await self.threads.room(body.leads):
                    return ""  # it goes on where it is told
                message = replace(message, to=await self._begun_by(message, body.leads))
            if message.live and not message.to:
                room = await self._settle_in(message, await self.threads.room(message.place), "")
                self.streams.begin(message, room, self.author(message.event).partition(".")[2])
                return ""
            if message.live:
                return ""  # what one person sees cannot be changed: it is shown when it is whole
            if (finished := await self.streams.finish(message)) is not None:
                return finished
            return await (self._whisper(message) if message.to else self._send(message))
        except NoDirect:
            log.warning("slack: message %s reaches nobody: %s is unknown here", message.key, message.place)
        except Refused as error:
            await self._denied(message, error)
        return ""

    async def _begun_by(self, message: Message, place: str) -> str:
        """Whom a message is for that tells the way to a draft's thread: everybody else sees the thread in the channel."""
        draft = await self.store.draft(place.rpartition("/")[2])
        return draft.owner if draft else message.to

    async def _send(self, message: Message) -> str:
        """Post into the room of a place; where that is gone and was ours to begin, into a new one."""
        payloads = await self.drawing.payloads(message)
        for again in (True, False):
            room = await self.threads.room(message.place)
            try:
                first = await self.posts.put(room, payloads[0], message.key)
                room = await self._settle_in(message, room, first)
                rest = [await self.posts.put(room, one, part_key(message.key, at)) for at, one in enumerate(payloads[1:], 1)]
                await self._files(room, payloads, message.key)
                return f"{room}/{','.join([first, *rest])}"
            except Refused as error:
                if error.code not in GONE or not again or not await self.threads.lost(message.place):
                    raise
        raise AssertionError("the second attempt returns or raises")

    async def _settle_in(self, message: Message, room: Room, ts: str) -> Room:
        """Note where a place goes on by now: a draft's thread begins at its first message, and what is said there is for it."""
        if await self.threads.begins(message.place, room):
            room = replace(room, thread=ts)
        if room.thread:
            await self.threads.keep(message.place, room)
        return room

    async def _files(self, room: Room, payloads: list[Payload], key: str) -> None:
        """Send the files that go with a message; one that Slack does not take holds up nothing."""
        if files := [file for one in payloads for file in one.files]:
            try:
                await self.posts.share(room, files, key)
            except Refused as error:
                log.error("slack: message %s is without its file: %s", key, error)

    async def _whisper(self, message: Message) -> str:
        """Tell one person: in the channel where they are, unseen by others, or in their direct messages."""
        user = (await self.threads.rooms.user(message.to)).id or self.author(message.event)
        room = await self._room_of(message)
        if room.direct or not user.startswith(f"{room.team}."):
            return await self._send(
                replace(message, to="", place=message.place if room.direct else direct("slack", message.to))
            )
        if (one := self.dialogs.of(message.event)) and one.room.team == room.team and one.room.channel == room.channel:
            room = one.room  # where they look
        payloads = await self.drawing.payloads(message)
        payload, whole = self.drawing.for_one(message, payloads), replace(message, to="", place=direct("slack", message.to))
        if len(payloads) > 1:
            await self._aside(whole)
        await self.store.sent(message, PRIVATE)  # before it is: nobody can look whether it was, and twice it would confuse
        try:
            if not await self._replaced(message, one, payload):
                await self.posts.whisper(room, user.partition(".")[2], payload, f"{message.key} {message.revision}")
        except Temporary:
            await insist(lambda: self.store.sent(replace(message, revision=message.revision - 1), PRIVATE))
            raise
        except Refused as error:
            if error.code not in CLOSED:
                raise
            return await self._send(whole)
        return PRIVATE

    async def _aside(self, message: Message) -> None:
        """Say all of an answer in somebody's direct messages, of which they see the beginning where they are."""
        try:
            await self._send(message)
        except (Refused, NoDirect) as error:
            log.warning("slack: message %s is seen in part: %s", message.key, error)

    async def _replaced(self, message: Message, one: Interaction | None, payload: Payload) -> bool:
        """Show it in the place of what one person saw and pressed a button of; False where that cannot be."""
        if not (one and one.ephemeral and one.response_url and message.slot):
            return False
        url, one.response_url = one.response_url, ""
        return await self.wire.respond(url, {"replace_original": True, **shown(payload)})

    async def _room_of(self, message: Message) -> Room:
        """Where a message for one person is shown: in its place, or where they acted if that has no room yet."""
        one = self.dialogs.of(message.event)
        if one and not one.room.channel:
            return await self.threads.room(direct("slack", message.to))
        return await self.threads.room(message.place)

    async def _denied(self, message: Message, error: Refused) -> None:
        """Slack does not let the bot: who asked is told once what to do, where that is known; nothing is held up."""
        log.log(
            logging.INFO if error.code in CLOSED else logging.ERROR,
            "slack: message %s of %s was refused: %s",
            message.key,
            message.place,
            error,
        )
        about = message.event or message.key
        if about in self._refused:
            return
        remember(self._refused, about, error.code)
        try:
            await self._excused(message, error, short(f"denied:{about}", 24))
        except Temporary:
            self._refused.pop(about, None)
            raise

    async def _excused(self, message: Message, error: Refused, key: str) -> None:
        words = pick(self.tables, message.locale)
        name = f"slack.refused.{error.code}"
        told = words(name if words.has(name) else "slack.refused", code=error.code)
        one = self.dialogs.of(message.event)
        payload = render.answer(Answer(told))[0]
        if one and one.response_url:
            url, one.response_url = one.response_url, ""
            if await self.wire.respond(url, {"response_type": "ephemeral", "replace_original": False, **shown(payload)}):
                return
        person = message.to or await self._person(message)
        if not person or message.place.startswith("slack:@"):
            return
        try:
            await self.posts.put(await self.threads.room(direct("slack", person)), payload, key)
        except (Refused, NoDirect) as closed:
            log.warning("slack: nobody could be told that %s was refused: %s", message.place, closed)

    async def _person(self, message: Message) -> str:
        """Our id for whoever an event came from, if it was heard lately."""
        user = self.author(message.event)
        return await self.store.person("slack", "slack", user, user) if user else ""

    # --- edits

    async def edit(self, address: str, message: Message) -> str:
        if message.live:
            if message.to:
                return address
            if not self.streams.has(message.key):
                room = Room.of(address.partition("/")[0]) if address else await self.threads.room(message.place)
                self.streams.begin(message, room, self.author(message.event).partition(".")[2], address)
            return self.streams.put(message)
        address = self.streams.address(message.key, address)
        try:
            if (finished := await self.streams.finish(message)) is not None:
                await self._settle_in(message, Room.of(finished.partition("/")[0]), "")
                return finished
            address = (await self.store.address(message))[0] or address
            if not address or address == PRIVATE:
                return await self.post(message)
            if isinstance(message.body, Answer) and message.revision:
                self.streams.over(Room.of(address.partition("/")[0]))
            return await self._bring(address, message, await self.drawing.payloads(message))
        except NoDirect:
            log.warning("slack: message %s reaches nobody: %s is unknown here", message.key, message.place)
        except Refused as error:
            await self._denied(message, error)
        return address

    async def _bring(self, address: str, message: Message, payloads: list[Payload], turn: bool = True) -> str:
        """Bring the messages of an address to these payloads: edit, add, take away. Returns the address that there is then."""
        room, ids = Room.of(address.partition("/")[0]), address.partition("/")[2].split(",")
        edit = message.live
        for at, payload in enumerate(payloads):
            key = part_key(message.key, at)
            if at >= len(ids):
                ids.append(await self.posts.put(room, payload, key))
                continue
            try:
                await self.posts.change(room, ids[at], payload, key, edit=edit, turn=turn or at > 0)
            except Refused as error:
                if error.code not in GONE or at:
                    raise
                return await self._send(replace(message, key=short(f"again:{address}:{message.key}", 24)))
        if message.live:
            return f"{room}/{','.join(ids)}"
        for gone in ids[len(payloads) :]:
            await self.posts.delete(room, gone)
        await self._files(room, payloads, message.key)
        return f"{room}/{','.join(ids[: len(payloads)])}"

    # --- messages that an earlier process may have posted

    async def find(self, message: Message) -> str:
        """Look for a message in its room by its key; of one that is being written, a stream that was begun and not noted."""
        try:
            room = await self.threads.room(message.place)
            if message.to and not room.direct:  # what is for one person was noted before it was shown, or lies there
                message = replace(message, place=direct("slack", message.to))
                room = await self.threads.room(message.place)
            found = await self.posts.ours(room, message.at)
        except (Refused, NoDirect):
            return ""
        mine = [one for one in found if key_of(one).partition(".")[0] == message.key]
        if not mine and isinstance(message.body, Answer) and (message.live or message.revision):
            shown = await self.store.shown(message.place)
            known = {ts for address in shown for ts in address.partition("/")[2].split(",")}
            mine = [one for one in found if may_stream(one, message.at) and str(one["ts"]) not in known]
        if not mine:
            return ""
        room = await self._settle_in(message, room, str(mine[0]["ts"]))
        address = f"{room}/{','.join(str(one['ts']) for one in sorted(mine, key=lambda one: str(one['ts'])))}"
        if message.live:
            await self.store.sent(message, address)  # whoever writes it on reads there where it stands
        return address

    # --- dialogs

    async def ask(self, message: Message) -> None:
        if await self.dialogs.ask(message):
            return
        payload = self.drawing.offer(message)
        try:
            room = await self._room_of(message)
            user = (await self.threads.rooms.user(message.to)).id or self.author(message.event)
            if room.direct or not user.startswith(f"{room.team}."):
                await self.posts.put(
                    await self.threads.room(direct("slack", message.to)) if not room.direct else room, payload, message.key
                )
            else:
                await self.posts.whisper(room, user.partition(".")[2], payload, f"{message.key} {message.revision}")
        except NoDirect:
            log.warning("slack: a dialog reaches nobody: %s is unknown here", message.to)
        except Refused as error:
            await self._denied(message, error)

    async def own(self, event: str, action: str, value: str, person: str, locale: str) -> None:
        """A button of this platform's own was pressed. Raises Temporary."""
        key, _, place = value.partition("|")
        words, one = pick(self.tables, locale), self.dialogs.of(event)
        number, _, name = key.rpartition(".")
        message = await self.store.message(place, name)
        if message is None:
            return await self._tell(event, place, person, words("slack.gone"), locale)
        try:
            if action == FORM and isinstance(message.body, Dialog) and one:
                if not await self.dialogs.open(one, message.body, message.errors, person=person):
                    await self._tell(event, place, person, words("slack.again"), locale)
            elif action == SHARE:
                await self._share(message, person)
            elif action == FILE and isinstance(message.body, Card):
                files = render.card(message.body, contents=await contents(message.body, self.drawing.read)).files
                where = direct("slack", person) if message.to else place
                await self.posts.share(await self.threads.room(where), files[int(number) :][:1], short(f"{event}:{key}", 24))
        except NoDirect:
            log.warning("slack: button %s reaches nobody: %s is unknown here", key, person)
        except Refused as error:
            await self._denied(replace(message, event=event), error)

    async def _share(self, message: Message, person: str) -> None:
        """Show everybody what one person saw, with who shared it."""
        assert isinstance(message.body, Answer)
        words, user = pick(self.tables, message.locale), await self.threads.rooms.user(person)
        name = (await self.store.names([person])).get(person, user.id)
        text = f"{words('slack.shared', name=name)}\n\n{message.body.text}"
        again = replace(
            message, key=short(f"shared:{message.key}", 24), to="", body=replace(message.body, text=text, private=False)
        )
        room = await self.threads.room(message.place)
        if not await self.posts.find(room, again.key, message.at):
            await self._send(again)

    async def _tell(self, event: str, place: str, person: str, text: str, locale: str) -> None:
        key = short(f"told:{event}", 24)
        await self.post(Message(key, place, 0, 0.0, "", Answer(text), to=person, event=event, locale=locale))

    # --- the rest

    async def over(self, event: Event) -> None:
        await self.dialogs.over(event.id, event.locale)

    async def pause(self, message: Message) -> None:
        await self.edit((await self.store.address(message))[0], message)

    async def forget(self, person: str) -> None:
        self.threads.forget()

    async def fetch(self, file: File) -> bytes:
        team, _, url = file.token.partition(" ")
        facts = {"path": file.name, "platform": "Slack"}
        if not url.startswith(self.files()) or not urlsplit(url).path:
            raise Invalid(Problem("file.strange", "it is not a file of Slack's", file.name, facts=facts))
        if PurePath(file.name).suffix.lower() not in TEXTS:
            raise Invalid(Problem("file.kind", "it is no text", file.name, facts=facts))
        try:
            content = await self.wire.read(team, url, SIZE_BYTES, FETCH_S) if file.size_bytes <= SIZE_BYTES else None
        except Refused as error:
            code = "file.slow" if error.code == "timeout" else "file.gone"
            raise Invalid(Problem(code, str(error), file.name, facts=facts)) from error
        if content is None:
            sizes = {"size": str(file.size_bytes), "limit": str(SIZE_BYTES)}
            raise Invalid(Problem("file.large", f"{file.size_bytes} bytes", file.name, facts=sizes))
        return content


def shown(payload: Payload) -> dict[str, object]:
    """What an address of an interaction takes of a message."""
    return {"text": payload.json["text"], "blocks": render.pictured(payload, ()).json["blocks"]}
