"""The shell around the core: hear -> look -> decide -> commit -> deliver.

Each event is written down, decided under the locks of its place and draft, committed in one transaction, and only then
shown. A crash at any point leaves either an undecided event (decided after the restart) or rows in the outbox (carried
out after the restart, under the same keys). Redis away: what was heard waits, nothing is dropped. More than 400 lines: the
life of an event is read from top to bottom.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from bot import forget as forgetting
from bot import github as hub
from bot import shares
from bot.bell import Bell
from bot.core.chatting import subject
from bot.core.decide import decide
from bot.core.gate import ACTS
from bot.core.known import Hub, Known, Serving, runs
from bot.core.linking import TRY
from bot.core.records import Run
from bot.core.rules import Role
from bot.core.talk import Answer, Cancel, Command, Dialog, Effect, Event, File, Forget, Look, Rate, Start, short
from bot.core.words import Table, Words, pick
from bot.counts import Counts
from bot.following import Following
from bot.ids import now
from bot.linked import LOOKS, Linking
from bot.look import Looker
from bot.pack import unpack
from bot.rows import Message, Order
from bot.serving import insist
from bot.store import Store
from bot.streaming import Streaming
from bot.voice import Maintainers, Manners, Policy, Stream, Voice, everything_open
from bot.writing import Writing
from bot.written import written
from pipeline.errors import Failed, Invalid, Temporary
from pipeline.runs import Runs, Upload

log = logging.getLogger("labbot")

SWEEP_S = 6 * 3600.0  # between two looks for messages that are older than conversations are kept
CATCH_UP_S = 1.0  # that long what an earlier process heard is answered before people are heard: theirs comes after it

T = TypeVar("T")
Decide = Callable[[Event, Known], list[Effect]]


class App:
    """One platform's conversations. `hear` may be called from anywhere in the loop; `run` does everything else."""

    def __init__(
        self,
        store: Store,
        voice: Voice,
        *,
        platform: str,
        tables: Mapping[str, Table],
        roles: Mapping[str, Role],
        look: Looker,
        runs: Runs,
        streams: Mapping[str, Stream] | None = None,
        maintainers: Maintainers | None = None,
        policy: Policy = everything_open,
        serving: Callable[[], Serving] = Serving,
        core: Decide = decide,
        room: Callable[[str], tuple[int, int]] = lambda workspace: (0, 0),
        pace_s: float = 0.0,
        manners: Manners = Manners(),  # noqa: B008, it is frozen
        counts: Counts | None = None,
        github: hub.Github | None = None,
        also: forgetting.Also | None = None,
    ) -> None:
        self.store, self.voice, self.platform = store, voice, platform
        self.counts, self.manners = counts or Counts(platform), manners
        self.tables, self.roles, self.look, self.runs = tables, roles, look, runs
        self.maintainers, self.policy = maintainers or Maintainers(), policy
        self.serving, self.core, self.room, self.github, self.also = serving, core, room, github, also
        self._places: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._messages: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.streaming = Streaming(store, voice, streams or {}, tables, self.counts, show=self._show, logged=self._logged)
        self.following = Following(store, runs, platform, hear=self.hear, pace_s=pace_s)
        self.linking = Linking(store, platform, tables)
        self.bell = Bell(store, platform, voice, self._deliver, self._spawn, self.streaming.stop)
        self._unsure: set[str] = set()  # events of which it is not known whether they were written down
        self._tasks: asyncio.TaskGroup | None = None
        self._idle = asyncio.Event()
        self._busy = 0
        self._leaving = self._over = False

    # --- life

    async def run(self, ready: asyncio.Event | None = None) -> None:
        """Finish what an earlier process left, then serve until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                await self._serve(ready)
            finally:
                self._over = True

    async def _serve(self, ready: asyncio.Event | None) -> None:
        for place in await insist(lambda: self.store.outboxes(self.platform)):
            await self._guarded(insist(partial(self._carry_out, place, again=True)), counts=False)
        # read before events are decided: those watch a run before it is there, and then follow it themselves
        watched = await insist(lambda: self.store.watched(self.platform))
        for event in await insist(lambda: self.store.todo(self.platform)):
            self._spawn(self._handle(event))
        for run, order in watched.items():
            self._follow(run, order)
        if self.github:
            await self.github.begin(self.hear, self._tell, partial(self._spawn, counts=False))
        self._spawn(self._sweep(), counts=False)
        self._spawn(self.bell.hear(), counts=False)
        with suppress(TimeoutError):  # an event that cannot be decided yet keeps nobody from being heard
            async with asyncio.timeout(CATCH_UP_S):
                await self.idle()
        if ready:
            ready.set()
        await asyncio.Event().wait()

    async def _sweep(self) -> None:
        """Take away, again and again, what is older than it may be."""
        while True:
            await insist(lambda: forgetting.tidy(self.store, self.runs))
            await asyncio.sleep(SWEEP_S)

    @property
    def writing(self) -> Mapping[str, Writing]:
        """The messages that are being written, by their keys."""
        return self.streaming.writing

    @property
    def busy(self) -> bool:
        """Whether something that was heard is not decided or said yet, or is still being written."""
        return bool(self._busy or self.writing)

    async def leave(self, within_s: float) -> None:
        """Get ready to end: what is heard from now on is written down for the next process, what is under way may end.

        Answers that are still being written after that time say that they carry on after the restart.
        """
        self._leaving = True
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.busy:  # noqa: ASYNC110, streams that end set no event
                    await asyncio.sleep(0.05)
        await self.streaming.pause()

    async def idle(self) -> None:
        """Return when everything that was heard is decided and said; streams and runs may go on."""
        while self._busy:
            self._idle.clear()
            await self._idle.wait()

    async def hear(self, event: Event) -> bool:
        """Write an event down and see to it; False if it was heard before. Raises Temporary while Redis is away."""
        try:
            fresh = await self.store.hear(event)
        except Temporary:
            self._unsure.add(event.id)  # it may be written down, and only the answer was lost
            raise
        unsure = event.id in self._unsure
        self.counts.heard += fresh or unsure
        self.counts.duplicates += not (fresh or unsure)
        if fresh or unsure:
            self._unsure.discard(event.id)
            if not self._leaving:
                self._spawn(self._handle(event))
        return fresh

    def _spawn(self, work: Coroutine[Any, Any, None], *, counts: bool = True) -> None:
        assert self._tasks, "run() first"
        if self._over:
            work.close()  # its rows are there for the next process
            return
        self._busy += counts
        task = self._tasks.create_task(self._guarded(work, counts))
        task.add_done_callback(lambda _: work.close())  # cancelled before it began

    async def _guarded(self, work: Coroutine[Any, Any, None], counts: bool) -> None:
        """Do a piece of work; a mistake of ours in it is logged and leaves its rows for the next start."""
        try:
            await work
        except Exception:
            self._logged("work that is left for the next start")
        finally:
            self._busy -= counts
            if not self._busy:
                self._idle.set()

    # --- one event

    async def _handle(self, event: Event) -> None:
        while True:
            event = await insist(partial(now, self.store.memory, event))
            async with self._places.setdefault(event.place, asyncio.Lock()):
                if await self._settled(event) != "moved":
                    break
        await insist(lambda: self.voice.over(event))

    async def _settled(self, event: Event) -> str:
        while (done := await insist(lambda: self._decide_and_commit(event))) == "lost":
            log.warning("event %s: its locks ran out, deciding again", event.id)
        if done != "moved":
            await insist(lambda: self._carry_out(event.place))
        return done

    async def _deliver(self, origin: str) -> None:
        """Show what was decided on another platform, where nobody waits for it; of several processes one does."""
        async with self._places.setdefault(origin, asyncio.Lock()), self.store.held(f"deliver:{self.platform}|{origin}"):
            await self._carry_out(origin, again=True)

    async def _decide_and_commit(self, event: Event) -> str:
        """Decide an event under its locks; a mistake of ours is committed as the sentence that says so."""
        hold = await self.store.hold(event)
        try:
            async with self.store.renewed(hold):
                effects = await self._effects(event, await self._know(event))
                writes = await written(self.store, self.roles, event, effects)
            return await self.store.commit(event, hold, writes)
        except Temporary:
            raise
        except Exception:
            sorry = Answer(self._words(event)("failed.event", id=self._logged(f"event {event.id}")))
            return await self.store.commit(event, hold, await written(self.store, self.roles, event, [sorry]))

    def _logged(self, what: str) -> str:
        """Log the exception that is being handled; the id that the person is told."""
        number = secrets.token_hex(3)
        log.exception("%s failed, error %s", what, number)
        return number

    async def _know(self, event: Event) -> Known:
        mentioned = event.act.text.split() if isinstance(event.act, Command) else []
        people = [word.removeprefix("<@").removesuffix(">") for word in mentioned if word.startswith("<@")]
        read = await self.store.know(event, (*ACTS, TRY), people)
        off, open_ = self.policy(event)
        name = runs(event, read.draft)
        run = await self.runs.status(name) if name else None
        return Known(
            person=read.person,
            conversation=read.conversation,
            words=self._words(event),
            draft=read.draft,
            drafts=read.drafts,
            run=Run(run.id, run.state, run.facts, run.wanted[-1] if run.wanted else "") if run else None,
            names=read.names,
            used=read.used,
            asked=read.asked,
            turn=read.turn,
            chat=self.serving(),
            others=read.others,
            off={**off, **read.paused},
            open=open_,
            note=self.manners.note,
            apart=self.manners.apart,
            seated=self.manners.seated,
            maintainers=self.maintainers.place,
            maintainer_people=self.maintainers.people,
            roles=self.roles,
            hub=await self.github.hub(event.person) if self.github else Hub(),
        )

    async def _effects(self, event: Event, known: Known) -> list[Effect]:
        effects = self.core(event, known)
        while looks := [effect for effect in effects if isinstance(effect, Look)]:
            assert not any(look.what in known.found for look in looks), "what was found is not asked for again"
            found: dict[str, object] = {look.what: await self._look(look) for look in looks}
            known = replace(known, found={**known.found, **found})
            effects = self.core(event, known)
        return effects

    async def _look(self, look: Look) -> object:
        if look.what in hub.LOOKS:
            return await self.github.look(look) if self.github else hub.NOTHING[look.what]
        return await (self.linking.look(look) if look.what in LOOKS else self.look(look, self.voice.fetch))

    def _words(self, event: Event) -> Words:
        return pick(self.tables, event.locale)

    # --- carrying out

    async def _carry_out(self, origin: str, again: bool = False) -> None:
        """Do what the outbox of a place says, in order; `again` when an earlier process may have done some of it.

        Streams begin when everything is shown: what they write takes a while, and comes between nothing.
        """
        streams: list[tuple[Writing, bytes]] = []
        try:
            await self._do(origin, again, streams)
        finally:
            for writing, row in streams:
                done = partial(self.store.done, self.platform, origin, row)
                self._spawn(self.streaming.write(writing, done), counts=False)

    async def _do(self, origin: str, again: bool, streams: list[tuple[Writing, bytes]]) -> None:
        for row, order in await self.store.outbox(self.platform, origin):
            done = True
            match order.do:
                case "say":
                    done = await self._say(row, order, again, streams)
                case "start":
                    await self._start(order)
                case "cancel":
                    await self._cancel(order)
                case "rate":
                    rate = unpack(order.what, Rate)
                    await self.runs.rate(rate.run, rate.sample, rate.thumb, order.person)
                case "forget":
                    await self._forget(await now(self.store.memory, order))
                case "link":
                    await self._link(order, again)
                case "account" | "follow" if self.github:
                    await self.github.carry_out(order, again, self._tell, partial(self._spawn, counts=False))
            if done:
                await self.store.done(self.platform, origin, row)

    async def _say(self, row: bytes, order: Order, again: bool, streams: list[tuple[Writing, bytes]]) -> bool:
        """Show a message as it stands now; False while a stream writes it, whose end takes the row out."""
        if order.key in self.writing:
            return False
        async with self._messages.setdefault(order.key, asyncio.Lock()):
            message = await self.store.message(order.place, order.key)
            if not message:  # it may have gone along with a person who is linked by now
                message = await self.store.message((await now(self.store.memory, order)).place, order.key)
            if message:
                await self._show(message, again)
        if not message or not message.live:
            return True
        streams.append((self.streaming.begin(message), row))
        return False

    async def _show(self, message: Message, again: bool) -> None:
        if isinstance(message.body, Dialog):
            return await self.voice.ask(message)
        address, revision = await self.store.address(message)
        if not address and again:
            address, revision = await self.voice.find(message), -1
        if address and revision >= message.revision:
            return
        if address:
            address = await self.voice.edit(address, message)
        else:
            address = await self.voice.post(message)
        await self.store.sent(message, address)

    async def _start(self, order: Order) -> None:
        """Start a run and follow it; a run that cannot be started at all says so in its own card."""
        effect = unpack(order.what, Start)
        await self.store.watch(self.platform, effect.key, order)
        weight, scopes = shares.of(order, self.platform, self.roles, self.room)
        try:
            inputs = await self._fetched(effect.inputs)
            start = partial(self.runs.start, effect.key, effect.recipe, inputs, until=effect.until, redo=effect.redo)
            await start(person=order.person, weight=weight, scopes=scopes, order=order.key)
        except (Invalid, Failed) as error:
            await self.runs.refuse(effect.key, error, effect.until)
        self._follow(effect.key, order)

    async def _fetched(self, inputs: Mapping[str, object]) -> dict[str, object]:
        """The inputs of a run, the files among them fetched from where the platform keeps them. Raises Invalid, Temporary."""
        given = {name: value for name, value in inputs.items() if not isinstance(value, File)}
        files = {name: one for name, one in inputs.items() if isinstance(one, File)}
        return {**given, **{name: Upload(one.name, await self.voice.fetch(one)) for name, one in files.items()}}

    async def _cancel(self, order: Order) -> None:
        what = unpack(order.what, Cancel).what
        if not self.streaming.stop(what):
            await self.runs.cancel(what, order.person)

    async def _forget(self, order: Order) -> None:
        """Take away everything of a person, or what they and the model said in a place; tell them, and what has to stay."""
        forget, words = unpack(order.what, Forget), pick(self.tables, order.locale)
        for turn in await forgetting.turns(self.store, forget.person, forget.place):
            await self.bell.ends(subject(turn))
        lines = await forgetting.carry_out(self.store, self.runs, forget, words, self.also)
        if not forget.place:
            await self.voice.forget(order.person)
        key = short(f"forgotten:{order.place}:{order.key}", 24)
        at = self.runs.clock()
        text = Answer("\n".join(lines))
        told = Message(key, order.place, int(at * 1000) * 100, at, "", text, to=order.person, event=order.key)
        await self._tell(told, again=False)

    async def _tell(self, told: Message, again: bool) -> None:
        """Write a message that no event decided into its conversation, and show it."""
        await self.store.keep(told)
        await self._show(told, again)

    async def _link(self, order: Order, again: bool) -> None:
        """Do what `/link` asked for, and tell what came of it; a code that was shown once is not made anew."""
        key, at = short(f"linked:{order.place}:{order.key}", 24), self.runs.clock()
        if (await self.store.address(Message(key, order.place, 0, at, "", Answer("…"))))[0]:
            return
        told, kept = await self.linking.carry_out(order, key, at)
        await self.store.keep(kept)
        await self.voice.forget("")
        await self._show(told, again)
        self.linking.shown(key)

    def _follow(self, run: str, order: Order) -> None:
        if self.following.begins(run, order):
            self._spawn(self.following.see_through(run), counts=False)
