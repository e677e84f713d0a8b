"""Writes the model's answers into conversations: what is sent, what is waited for, what stays.

An answer belongs to an attempt at a turn (`bot.core.chatting`). In one place answers are written one after another, so
that each is given the one before. While the model is away the message says so, and the question is asked again until it
is answered, once: also by the next process, since the message that streams stays in the outbox. An answer that had begun
and broke off stays as it is, and its button asks anew.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from typing import Literal, Protocol
from weakref import WeakValueDictionary

from bot.adapters import Adapters
from bot.core import cards, chatting
from bot.core.known import Served, Serving
from bot.core.records import Turn, TurnState
from bot.core.talk import Answer, is_thread
from bot.core.words import Table, Words, pick
from bot.rows import Message
from bot.store import Store
from bot.voice import How
from bot.window import Window
from pipeline.errors import Failed, Invalid, LabError, Temporary
from pipeline.models.client import Client, Options
from pipeline.models.client import Message as Sent

log = logging.getLogger("labbot")

WAITS_S = (0.1, 0.2, 0.5, 1.0, 2.0)  # between attempts while the model is away; the last one repeats
WATCH_S = 1.0  # between two looks whether the model has come
LOOK_S = 2.0  # longest wait for the names of models: a command is answered within 3 s
FRESH_S = 10.0  # how old the list of models may be: a question need not ask for it each time
ANSWER_TOKENS = 512  # kept free for the answer where nothing says how long it may be
REASON = 300  # characters of a server's reason


class Door(Protocol):
    """The endpoints by role, as `pipeline.models.host.Models` has them."""

    def client(self, role: str) -> Client | None: ...

    def state(self, role: str) -> Literal["absent", "starting", "ready"]: ...

    def configured(self, role: str) -> bool: ...


@dataclass(slots=True)
class Work:
    """What is known of an attempt while it is written."""

    turn: Turn | None = None
    text: str = ""
    model: str = ""
    version: str = ""
    seen: tuple[str, ...] = ()
    cut: bool = False
    trouble: str = ""  # the sentence that says why there is no more
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    held: bool = False


class Chat:
    """The stream of answers, and what is known of the models that give them.

    `version` says what a model's name stands for, `grounds` whether that model may write the FAQ's answers; `adapters` are
    those that were taught here, loaded when they are asked for.
    """

    def __init__(
        self,
        door: Door,
        store: Store,
        tables: Mapping[str, Table],
        *,
        system: str = "",
        options: Options | None = None,
        default: str = "",
        version: Callable[[str], str] = lambda name: "",
        grounds: Callable[[str], bool] = lambda name: False,
        adapters: Adapters | None = None,
    ) -> None:
        self.door, self.store, self.tables, self.adapters = door, store, tables, adapters
        self.system, self.options, self.default, self.version = system, options or Options(), default, version
        self.grounds = grounds
        self._window = Window()
        self._served: tuple[Served, ...] = ()
        self._asked: Client | None = None  # who listed them, and when
        self._asked_at = 0.0
        self._places: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._works: dict[str, Work] = {}  # by the message's key

    # --- which models

    def serving(self) -> Serving:
        """How it stands, with the models that were last seen."""
        state = self.door.state("chat")
        served = () if state == "absent" else self._served
        grounded = state == "ready" and bool(served) and self.grounds(served[0].name)
        teacher = self.door.state("teacher") != "absent"
        return Serving(state, served, grounded, teacher=teacher, ours=not self.door.configured("chat"))

    async def watch(self) -> None:
        """See which models there are as soon as there are any, and again when they come back; until cancelled."""
        before = ""
        while True:
            state = self.door.state("chat")
            if state == "ready" and (before != "ready" or not self._served):
                await self.look()
            before = state
            await asyncio.sleep(WATCH_S)

    async def look(self) -> Serving:
        """The same, with the models that are there now if they answer in time."""
        client = self.door.client("chat")
        try:
            async with asyncio.timeout(LOOK_S):
                await (self._names(client) if client else asyncio.sleep(0))
        except (LabError, TimeoutError) as error:
            log.info("the models could not be listed: %s", error)
        return self.serving()

    async def _names(self, client: Client, *, within_s: float = 0.0) -> tuple[Served, ...]:
        """The models, the default one first; those that were seen there so many seconds ago at most, if any were."""
        now = asyncio.get_running_loop().time()
        if client is self._asked and now - self._asked_at < within_s:
            return self._served
        found = [Served(one.id, one.parent) for one in await client.models()]
        first = next((one for one in found if one.name == self.default), None) or next(
            (one for one in found if not one.parent), None
        )
        self._served = tuple([first, *(one for one in found if one != first)] if first else found)
        self._asked, self._asked_at = client, now
        return self._served

    # --- the stream

    async def write(self, message: Message) -> AsyncGenerator[Answer, None]:
        assert isinstance(message.body, Answer)
        words, buttons = pick(self.tables, message.locale), message.body.buttons
        work = self._works[message.key] = Work()
        async for note in self._turn_comes(work, message, words):
            yield Answer(note, buttons=buttons, passing=True)
        told = ""
        for wait_s in chain(WAITS_S, repeat(WAITS_S[-1])):
            note = ""
            try:
                if client := self.door.client("chat"):
                    async with aclosing(self._answered(work, message, client, words)) as answers:
                        async for answer in answers:
                            yield replace(answer, buttons=buttons)
                    return
                note = {"absent": "chat.absent", "starting": "chat.starting"}.get(self.door.state("chat"), "chat.away")
            except Temporary as error:
                log.warning("chat: %s", error)
                if work.text.strip():
                    work.trouble = words("chat.broke_off")
                    return
                note = "chat.away"
            if note != told:
                yield Answer(words(note), buttons=buttons, passing=True)
            told = note
            await asyncio.sleep(wait_s)

    async def _turn_comes(self, work: Work, message: Message, words: Words) -> AsyncGenerator[str, None]:
        """Wait for the answers before this one; the two of a comparison wait for nobody."""
        assert isinstance(message.body, Answer)
        if message.body.stream == chatting.COMPARED:
            return
        work.lock = self._places.setdefault(message.place, work.lock)
        if work.lock.locked():
            yield words("chat.after")
        await work.lock.acquire()
        work.held = True

    async def _answered(self, work: Work, message: Message, client: Client, words: Words) -> AsyncGenerator[Answer, None]:
        """Ask once. What is not Temporary ends in a sentence."""
        try:
            work.text, turn = "", await self._open(message)
            work.turn = turn
            if turn is None:
                return
            messages = await self._prompt(work, turn, client)
            options = replace(self.options, seed=turn.seed or self.options.seed)
            async with aclosing(client.stream(messages, model=work.model, options=options)) as pieces:
                async for piece in pieces:
                    work.text += piece.text
                    work.cut = work.cut or piece.finish == "length"
                    if work.text.strip():
                        yield Answer(self._shown(work))
                    elif piece.position:
                        yield Answer(words("chat.queue", place=chatting.ordinal(piece.position, words)), passing=True)
        except Invalid as error:
            self._asked = None
            work.trouble = cards.say_problem(words, error.problems[0])
        except Failed as error:
            log.error("chat: %s", error)
            work.trouble = words("chat.failed", reason=_public(str(error)))

    async def _open(self, message: Message) -> Turn | None:
        """The turn, if this message still is its newest attempt."""
        assert isinstance(message.body, Answer)
        name, tries = chatting.attempt(message.body.subject)
        turn = await self.store.turn(name)
        return turn if turn and (turn.tries, turn.state) == (tries, "open") else None

    async def _prompt(self, work: Work, turn: Turn, client: Client) -> list[Sent]:
        """What the model is given: the newest turns of this conversation that fit beside the question and its answer."""
        served = await self._names(client, within_s=FRESH_S)
        work.model = turn.wanted or (served[0].name if served else "")
        if self.adapters:
            await self.adapters.ready(client, work.model)
        context = await client.context(work.model)
        room = context - min(self.options.max_tokens or ANSWER_TOKENS, context // 2)

        async def count(messages: Sequence[Sent]) -> int:
            return await client.count(messages, model=work.model)

        earlier = [] if turn.rival else _before(turn, await self.store.turns(turn.place))
        messages, kept = await self._window.fit(work.model, count, self.system, earlier, turn.question, room)
        work.seen, work.version = tuple(one.id for one in kept), self.version(work.model)
        return messages

    def _shown(self, work: Work) -> str:
        return _head(work.turn, work.model) + chatting.plain(work.text.lstrip())

    # --- its end

    async def end(self, message: Message, last: Answer, how: How) -> Message | None:
        work, over = self._works.setdefault(message.key, Work()), True
        try:
            return await self._ended(work, message, last, how)
        except Temporary:
            over = False
            raise
        finally:
            if over:
                self._works.pop(message.key)
                if work.held:
                    work.lock.release()

    async def _ended(self, work: Work, message: Message, last: Answer, how: How) -> Message | None:
        """Save the answer with its turn; an attempt that is no longer wanted says so."""
        assert isinstance(message.body, Answer)
        subject, words = message.body.subject, pick(self.tables, message.locale)
        name, tries = chatting.attempt(subject)
        turn = await self.store.turn(name)
        if turn and (turn.tries, turn.state) == (tries, "open"):
            after, text = self._result(work, turn, last, how, words)
            saved = await self.store.finish(
                message, Answer(text, subject=subject, buttons=chatting.buttons(after, words)), after
            )
            if saved:
                return saved
            turn = await self.store.turn(name)
            if turn and turn.tries == tries and turn.state != "gone":
                return None  # another process was here first
        left = "chat.taken_back" if turn is None or turn.state == "gone" else "chat.replaced"
        return await self.store.finish(message, Answer(words(left), subject=subject))

    def _result(self, work: Work, turn: Turn, last: Answer, how: How, words: Words) -> tuple[Turn, str]:
        """The turn as it ends, and what its message says."""
        answer, why = work.text.strip(), words("chat.cut") if work.cut else ""
        state: TurnState = "done"
        if how == "failed":
            return replace(turn, state="failed", answer=answer), last.text
        if how == "stopped":
            state, why = "stopped", words("chat.stopped")
        elif work.trouble or not answer:
            state, why = "failed", work.trouble or words("chat.nothing")
        after = replace(turn, state=state, answer=answer, model=work.model, version=work.version, seen=work.seen)
        text = "\n\n".join(filter(None, (chatting.plain(answer), why)))
        return after, _head(turn, work.model or turn.wanted) + text


def _head(turn: Turn | None, model: str) -> str:
    """The name above the answer of a comparison."""
    return f"**{cards.quoted(model)}**\n" if turn and turn.rival else ""


def _before(turn: Turn, turns: list[Turn]) -> list[Turn]:
    """What was said before a question, and answered; comparisons are no part of a conversation.

    In a channel, where anybody asks anything, everybody has a conversation of their own; a thread is one for all in it.
    """
    names = [one.id for one in turns]
    earlier = turns[: names.index(turn.id)] if turn.id in names else turns
    said = [one for one in earlier if one.state in ("done", "stopped", "failed") and one.answer and not one.rival]
    return said if is_thread(turn.place) else [one for one in said if one.person == turn.person]


def _public(reason: str) -> str:
    """A server's reason without its address."""
    return cards.quoted(re.sub(r"https?://\S+", "…", reason), REASON)
