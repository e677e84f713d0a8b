"""Dialogs as Slack's modals. A modal opens by a trigger that lives three seconds; a modal that is sent is answered at once.

Where a dialog takes longer than LOADING_S to be made, a view that says so holds its place. A dialog that is sent waits for
what comes of it, so that what is wrong stands at the fields and nothing that was typed is lost; what was typed into one
that is closed is kept for a day and stands there when it is opened again.
"""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bot.core.talk import FIELD_TEXT, Dialog, short
from bot.core.words import Words
from bot.ear import remember
from bot.platforms.slack import render
from bot.platforms.slack.threads import Room
from bot.platforms.slack.wire import Refused, Unsure, Wire
from bot.rows import Message
from pipeline.errors import Temporary
from pipeline.memory import Memory

log = logging.getLogger("labbot.slack")

LOADING_S = 0.8  # of the three seconds that a trigger lives
TRIGGER_S = 2.8  # later than that it is not tried
WAITS_S = 2.4  # that long after it was sent a dialog waits for what comes of it; Slack gives three seconds
TYPED_S = 86_400  # that long is kept what was typed into a dialog that was closed


@dataclass(slots=True)
class Interaction:
    """What somebody did at a button, a command or a dialog, as this process knows it; `at` is the loop's time.

    `asks`: it may open a dialog. `view` is the loading view that was opened for it, "" for none; `sent`: the dialog that
    was sent, whose answer waits in `answer`.
    """

    event: str
    at: float
    room: Room
    trigger: str = ""
    asks: bool = False
    response_url: str = ""
    ephemeral: bool = False
    view: str = ""
    sent: Mapping[str, Any] | None = None
    answer: "asyncio.Future[dict[str, Any] | None] | None" = None
    used: bool = False
    timer: asyncio.TimerHandle | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Dialogs:
    """Interactions that may still open a dialog or wait for its answer, by their events."""

    def __init__(self, wire: Wire, memory: Memory, words: Callable[[str], Words]) -> None:
        self.wire, self.memory, self.words = wire, memory, words
        self._open: OrderedDict[str, Interaction] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for one in self._open.values():
            self._settle(one, None)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def begin(self, one: Interaction, locale: str) -> None:
        """Something was done: from now on its time runs."""
        remember(self._open, one.event, one)
        loop = asyncio.get_running_loop()
        if one.sent is not None:
            one.answer = loop.create_future()
        if one.asks and one.trigger:
            one.timer = loop.call_at(one.at + LOADING_S, self._due, one, locale)

    def of(self, event: str) -> Interaction | None:
        return self._open.get(event)

    def _due(self, one: Interaction, locale: str) -> None:
        task = asyncio.create_task(self._load(one, locale))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self, one: Interaction, locale: str) -> None:
        async with one.lock:
            if one.used:
                return
            words = self.words(locale)
            try:
                one.view = await self._opened(one, render.loading(words("slack.loading.title"), words("slack.loading")))
            except (Refused, Temporary, Unsure) as error:
                log.info("slack: a view that says to wait was not opened: %s", error)

    # --- opening

    async def ask(self, message: Message) -> bool:
        """Open a dialog, or send it back with its errors. False where its moment has passed."""
        dialog, one = message.body, self._open.get(message.event)
        assert isinstance(dialog, Dialog)
        if one is None:
            return False
        if message.errors:
            return self._sent_back(one, dialog, message.errors)
        return await self.open(one, dialog, person=message.to)

    async def open(
        self, one: Interaction, dialog: Dialog, errors: Mapping[str, str] | None = None, *, person: str = ""
    ) -> bool:
        """Open a dialog by what somebody did just now, with what they had typed into it. False where that is too late."""
        view = render.dialog(await self._typed(dialog, person), errors, private_metadata=metadata(one.room))
        async with one.lock:
            self._stop(one)
            try:
                if one.view:
                    await self.wire.ask(one.room.team, "views.update", view_id=one.view, view=view)
                    one.view = ""
                    return True
                if not one.trigger or asyncio.get_running_loop().time() - one.at > TRIGGER_S:
                    return False
                await self._opened(one, view)
                return True
            except (Refused, Unsure) as error:
                log.info("slack: a dialog was not opened: %s", error)
                return False

    async def _opened(self, one: Interaction, view: dict[str, Any]) -> str:
        trigger, one.trigger = one.trigger, ""  # it is good for one view
        made = await self.wire.ask(one.room.team, "views.open", twice=False, trigger_id=trigger, view=view)
        return str(made["view"]["id"])

    def _sent_back(self, one: Interaction, dialog: Dialog, errors: Mapping[str, str]) -> bool:
        """What is wrong, as the answer to a dialog that was sent: at its fields, while it is still open."""
        if one.sent is None or one.answer is None or one.answer.done() or one.sent["callback_id"] != dialog.token:
            return False
        one.answer.set_result(render.errors(dialog, errors))
        return True

    async def answered(self, one: Interaction) -> dict[str, Any] | None:
        """What a dialog that was sent is answered: errors that keep it open, or None, which closes it."""
        assert one.answer is not None
        left_s = one.at + WAITS_S - asyncio.get_running_loop().time()
        try:
            return await asyncio.wait_for(asyncio.shield(one.answer), left_s)
        except TimeoutError:
            one.answer.cancel()
            return None

    async def over(self, event: str, locale: str) -> None:
        """Nothing more comes of it: a view that says to wait is told so, a dialog that was sent is closed."""
        one = self._open.pop(event, None)
        if one is None:
            return
        self._settle(one, None)
        async with one.lock:
            if one.view:
                words = self.words(locale)
                view = render.loading(words("slack.loading.title"), words("slack.loaded"))
                try:
                    await self.wire.ask(one.room.team, "views.update", view_id=one.view, view=view)
                except Refused as error:
                    log.info("slack: a view that said to wait stays: %s", error)

    def _settle(self, one: Interaction, answer: dict[str, Any] | None) -> None:
        self._stop(one)
        if one.answer is not None and not one.answer.done():
            one.answer.set_result(answer)

    def _stop(self, one: Interaction) -> None:
        one.used = True
        if one.timer:
            one.timer.cancel()

    # --- what was typed and not sent

    async def closed(self, person: str, token: str, values: Mapping[str, str]) -> None:
        """Somebody closed a dialog: keep what they had typed. Raises Temporary."""
        if values:
            await self.memory.do("SET", _row(person, token), json.dumps(dict(values)), "EX", TYPED_S)

    async def taken(self, person: str, token: str) -> None:
        """A dialog was sent: what was kept of it is in the draft. Raises Temporary."""
        await self.memory.do("DEL", _row(person, token))

    async def _typed(self, dialog: Dialog, person: str) -> Dialog:
        """A dialog filled with what somebody had typed into it and not sent."""
        row = await self.memory.do("GET", _row(person, dialog.token)) if person else None
        kept: dict[str, str] = json.loads(row) if row else {}
        fields = [
            replace(one, value=kept[one.name][: min(one.limit, FIELD_TEXT)])
            if kept.get(one.name) and one.kind != "file"
            else one
            for one in dialog.fields
        ]
        return replace(dialog, fields=tuple(fields))


def _row(person: str, token: str) -> str:
    """Where it is kept what somebody typed into a dialog."""
    return f"bot:typed:{person}:{short(token, 24)}"


def metadata(room: Room) -> str:
    """What a modal carries: where it came from. What it is about, with its revision, is in its callback id."""
    return json.dumps({"room": str(room)})


def room_of(view: Mapping[str, Any], team: str) -> Room:
    """Where a modal came from; nowhere in the workspace where it does not say."""
    try:
        found = json.loads(view.get("private_metadata") or "{}")
        room = Room.of(str(found.get("room", "")))
    except (ValueError, AttributeError):
        room = Room(team, "")
    return room if room.team == team else Room(team, "")
