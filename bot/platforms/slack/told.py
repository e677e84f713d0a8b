"""What Slack tells, as acts of somebody in a room: every event, command, button and modal, answered once it is written down."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from slack_bolt.context.async_context import AsyncBoltContext

from bot.core.talk import Act, Command, Opened, Press, Said, Stopped, Unsaid, direct, short
from bot.core.words import Words
from bot.counts import Counts
from bot.ear import Ear, Heard
from bot.house import House
from bot.platforms.slack import hear
from bot.platforms.slack.dialogs import Interaction, room_of
from bot.platforms.slack.drawing import FILE, FORM, SHARE
from bot.platforms.slack.filled import changed
from bot.platforms.slack.home import Home
from bot.platforms.slack.people import People, Who
from bot.platforms.slack.say import Speaker
from bot.platforms.slack.threads import PLATFORM, Room
from bot.platforms.slack.wire import Refused
from bot.platforms.slack.workspaces import Workspaces
from bot.serving import insist
from pipeline.errors import Temporary

log = logging.getLogger("labbot.slack")

OWN = (FORM, SHARE, FILE)

# Presses and commands that may open a dialog, which holds its place with a view while it is made.
_ASKS = re.compile(r"draft\.(?:form|edit|signer|submit)\||faq\.answer\||form\|")
_ASKING = frozenset({"edit", "upload", "compare", "submit"})

ORDER_S = 2.0  # longer than that what is said in a channel does not wait for what was said there before it

Json = Mapping[str, Any]


class Told:
    """The listeners that slack-bolt calls. `ear` is there before the first of them is.

    The workspace is the one that Bolt finds: in shared channels and in organizations the payload's own may be another, or none.
    """

    ear: Ear

    def __init__(
        self,
        house: House,
        workspaces: Workspaces,
        speaker: Speaker,
        people: People,
        clock: Callable[[], float],
        counts: Counts,
        words: Callable[[str], Words],
    ) -> None:
        self.house, self.workspaces, self.speaker, self.people = house, workspaces, speaker, people
        self.clock, self.counts, self.words = clock, counts, words
        self.wire, self.threads, self.dialogs = speaker.wire, speaker.threads, speaker.dialogs
        self.home = Home(house, self.wire)
        self._channels: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def event(self, body: dict[str, Any], context: AsyncBoltContext) -> None:
        team, event = context.team_id or "", body["event"]
        match event["type"]:
            case "message" | "app_mention":
                await self._message(team, event)
            case "app_home_opened":
                await self._opened(team, event, str(body["event_id"]))
            case "agent_session_stopped":
                await self._stopped(team, event, str(body["event_id"]))
            case "assistant_thread_started":
                found = event["assistant_thread"]
                await self._suggest(team, str(found["user_id"]), str(found["channel_id"]), str(found.get("thread_ts") or ""))
            case "app_uninstalled":
                await insist(lambda: self.workspaces.gone(team, str(body.get("enterprise_id") or "")))
            case "tokens_revoked" if event.get("tokens", {}).get("bot"):
                await insist(lambda: self.workspaces.gone(team, str(body.get("enterprise_id") or "")))

    async def _message(self, team: str, event: Json) -> None:
        async with self._in_order(team, str(event["channel"])):
            await self._said(team, event)

    @asynccontextmanager
    async def _in_order(self, team: str, channel: str) -> AsyncIterator[None]:
        """What is told of a channel one after another: a name that is slow to come lets no deletion overtake its message."""
        lock = self._channels.setdefault(f"{team}.{channel}", asyncio.Lock())
        try:
            async with asyncio.timeout(ORDER_S):
                await lock.acquire()
        except TimeoutError:
            log.info("slack: a channel's turn did not come in time")
            yield
            return
        try:
            yield
        finally:
            lock.release()

    async def _said(self, team: str, event: Json) -> None:
        subtype = str(event.get("subtype") or "")
        if subtype == "message_deleted":
            return await self._deleted(team, event)
        edited = subtype == "message_changed"
        if edited:
            inner, before = event["message"], event.get("previous_message") or {}
            if inner.get("subtype") == "tombstone":  # it had replies
                return await self._deleted(team, {**event, "deleted_ts": inner["ts"]})
            if inner.get("text") == before.get("text"):
                return  # a preview, a reply, a pin
            event = {**inner, "channel": event["channel"], "channel_type": event.get("channel_type", "")}
            subtype = str(event.get("subtype") or "")
        if subtype not in hear.SAYING or event.get("bot_id") or not event.get("user"):
            return
        workspace = await self.workspaces.of(team)
        if workspace is None or event["user"] == workspace.user:
            return
        room, meant = await self._meant(team, event, workspace.user)
        if meant is False:
            return
        who, names = await asyncio.gather(
            self.people.who(team, str(event["user"])), self.people.names(team, str(event.get("text") or ""), workspace.user)
        )
        act = hear.said(event, workspace.user, team, names, edited=edited)
        name = hear.message_id(str(event["channel"]), str(event["ts"]))
        if room.direct and not edited and not event.get("thread_ts") and isinstance(act, Said) and act.text.strip():
            self.speaker.streams.sessions.begin(room, hear.title_of(act.text), str(event["user"]))
        stamp = f"e{name}.{(event.get('edited') or {}).get('ts', '')}" if edited else f"m{name}"
        await self._take(stamp, team, who, room, act, follows=meant is None)

    async def _meant(self, team: str, event: Json, me: str) -> tuple[Room, bool | None]:
        """The thread that a message goes on in, and whether it is meant for labbot: a mention begins one, a direct message too.

        None: it is if labbot talks in the thread, which nobody knows while the memory is away.
        """
        thread = str(event.get("thread_ts") or event["ts"])
        room = Room(team, str(event["channel"]), thread)
        if room.direct or hear.names_me(event, me):
            return room, True
        if event.get("thread_ts") and event.get("parent_user_id") == me:
            return room, True
        try:
            return room, await self.threads.ours(room)
        except Temporary:
            return room, None

    async def _deleted(self, team: str, event: Json) -> None:
        before = event.get("previous_message") or {}
        if before.get("bot_id") or not before.get("user"):
            return
        channel, ts = str(event["channel"]), str(event["deleted_ts"])
        room = Room(team, channel, str(before.get("thread_ts") or ts))
        name, user = hear.message_id(channel, ts), str(before["user"])
        await self._take(f"d{name}", team, await self.people.who(team, user), room, Unsaid(name))

    async def _opened(self, team: str, event: Json, name: str) -> None:
        user, channel = str(event["user"]), str(event["channel"])
        if event.get("tab") == "home":
            who = await self.people.who(team, user)
            with suppress(Temporary):
                person, known = await self.ear.person(who.user, who.name, who.locale)
                await self.home.publish(Room(team, channel), user, person, self.words(who.locale or known.locale))
        elif event.get("tab") == "messages":
            await self._suggest(team, user, channel, "")
            who = await self.people.who(team, user)
            with suppress(Temporary):
                person, _ = await self.ear.person(who.user, who.name, who.locale)
                if not await self.house.store.slots([(direct(PLATFORM, person), "home")]):
                    await self._take(f"h{name}", team, who, Room(team, channel), Opened())

    async def _suggest(self, team: str, user: str, channel: str, thread: str) -> None:
        who = await self.people.who(team, user)
        words = self.words(who.locale)
        prompts = hear.prompts((words(f"slack.prompt.{one}"), words(f"slack.says.{one}")) for one in ("ask", "skill", "drafts"))
        try:
            await self.wire.ask(
                team, "assistant.threads.setSuggestedPrompts", channel_id=channel, thread_ts=thread, prompts=prompts
            )
        except (Refused, Temporary) as error:
            log.info("slack: no prompts were suggested: %s", error)

    async def _stopped(self, team: str, event: Json, name: str) -> None:
        """Slack's own stop button: whatever is being written there, here, is stopped."""
        channel, thread = str(event["channel"]), str(event.get("thread_ts") or "")
        room, streams = Room(team, channel, thread), self.speaker.streams
        keys = [streams.key_at(room, str(ts)) for ts in event.get("streaming_message_ts") or ()]
        who = await self.people.who(team, str(event["user"]))
        for at, key in enumerate(dict.fromkeys(filter(None, [*keys, *streams.keys_in(room)]))):
            await self._take(f"s{name}.{at}", team, who, room, Stopped(key))

    async def command(self, ack: Any, body: dict[str, Any], context: AsyncBoltContext) -> None:
        team, channel, text = context.team_id or "", str(body["channel_id"]), str(body.get("text") or "")
        room = Room(team, "" if channel.startswith("D") else channel)  # a direct one may be between other people
        act = hear.command(text, team)
        one = self._interaction(body, room, asks=act.name in _ASKING)
        who, names = await asyncio.gather(
            self.people.who(team, str(body["user_id"]), str(body.get("user_name") or "")), self.people.names(team, text)
        )
        self.dialogs.begin(one, who.locale)
        await self._take(one.event, team, who, room, act, names)
        await ack()

    async def shortcut(self, ack: Any, body: dict[str, Any], context: AsyncBoltContext) -> None:
        act = hear.of_message(body)
        if act is None or "message" not in body:
            await ack()
            return
        team, message = context.team_id or "", body["message"]
        room = Room(team, str(body["channel"]["id"]), str(message.get("thread_ts") or message["ts"]))
        if room.direct and not await self._is_own(room):
            room = Room(team, "")
        one = self._interaction(body, room, asks=False)
        who = await self.people.who(team, str(body["user"]["id"]))
        self.dialogs.begin(one, who.locale)
        await self._take(one.event, team, who, room, act)
        await ack()

    async def _is_own(self, room: Room) -> bool:
        """Whether a direct conversation is one with labbot: a message's menu is there between other people, too."""
        with suppress(Temporary):
            return await self.threads.ours(replace(room, thread=""))
        return False

    async def action(self, ack: Any, body: dict[str, Any], context: AsyncBoltContext) -> None:
        act = hear.pressed(body)
        if not isinstance(act, Press):
            await ack()
            return
        team, container = context.team_id or "", body.get("container") or {}
        room = await self._where(team, body, container)
        who = await self.people.who(team, str(body["user"]["id"]))
        one = self._interaction(body, room, asks=bool(_ASKS.match(act.token)))
        one.ephemeral = bool(container.get("is_ephemeral"))
        self.dialogs.begin(one, who.locale)
        action, _, value = act.token.partition("|")
        if action in OWN:
            await ack()
            return await self._own(one, action, value, who)
        await self._take(one.event, team, who, room, act)
        await ack()

    async def _where(self, team: str, body: Json, container: Json) -> Room:
        """Where a button was pressed: in its thread, which a message of ours may begin."""
        channel = str(container.get("channel_id") or (body.get("channel") or {}).get("id") or "")
        if not channel:
            return Room(team, "")
        thread = str(container.get("thread_ts") or (body.get("message") or {}).get("thread_ts") or "")
        room = Room(team, channel, thread)
        begun = replace(room, thread=str(container.get("message_ts") or ""))
        with suppress(Temporary):
            if not thread and begun.thread and await self.threads.ours(begun):
                return begun
        return room

    async def _own(self, one: Interaction, action: str, value: str, who: Who) -> None:
        try:
            person, known = await self.ear.person(who.user, who.name, who.locale)
            await self.speaker.own(one.event, action, value, person, who.locale or known.locale)
        except Temporary as error:
            log.warning("slack: a button did nothing: %s", error)
        finally:
            await self.dialogs.over(one.event, who.locale)

    async def sent(self, ack: Any, body: dict[str, Any], context: AsyncBoltContext) -> None:
        view, team = body["view"], context.team_id or ""
        room = room_of(view, team)
        one = self._interaction(body, room, asks=False)
        one.sent = view
        who = await self.people.who(team, str(body["user"]["id"]))
        self.dialogs.begin(one, who.locale)
        await self._take(one.event, team, who, room, hear.submitted(view, team))
        answer = await self.dialogs.answered(one)
        await (ack(answer) if answer else ack())
        if not answer:
            with suppress(Temporary):
                person, _ = await self.ear.person(who.user, who.name)
                await self.dialogs.taken(person, str(view["callback_id"]))

    async def closed(self, ack: Any, body: dict[str, Any], context: AsyncBoltContext) -> None:
        view = body["view"]
        typed = changed(view)
        who = await self.people.who(context.team_id or "", str(body["user"]["id"]))
        with suppress(Temporary):
            person, _ = await self.ear.person(who.user, who.name)
            await self.dialogs.closed(person, str(view.get("callback_id") or ""), typed)
        await ack()

    def _interaction(self, body: Json, room: Room, *, asks: bool) -> Interaction:
        """What was done just now; one that Slack tells twice has the same name."""
        trigger = str(body.get("trigger_id") or "")
        view = body.get("view") or {}
        name = trigger or f"{view.get('id')} {view.get('hash')}"
        now = asyncio.get_running_loop().time()
        return Interaction(f"i{short(name, 24)}", now, room, trigger, asks, str(body.get("response_url") or ""))

    async def _take(
        self,
        name: str,
        team: str,
        who: Who,
        room: Room,
        act: Act,
        names: Mapping[str, str] | None = None,
        *,
        follows: bool = False,
    ) -> None:
        """Take an act in; the answer to it is counted from here."""
        began = asyncio.get_running_loop().time()
        marked = {f"{team}.{user}": told for user, told in (names or {}).items()} if isinstance(act, Command) else {}
        await self.ear.take(
            Heard(
                name,
                self.clock(),
                who.user,
                who.name,
                str(room),
                act,
                workspace=team,
                direct=room.direct,
                locale=who.locale,
                roles=who.roles,
                names=marked,
                follows=follows,
            )
        )
        self.counts.acks.add(asyncio.get_running_loop().time() - began)
