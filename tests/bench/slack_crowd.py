"""The people of `tests.bench.slack`: who asks where, and what of the answers they see when."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from tests.bench.crowd import Model, Said, Seen, bare
from tests.fakes.slack.delivery import Heard
from tests.fakes.slack.people import Person, Workspace
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json, Shown

BEGIN_PER_S = 5.0  # conversations that begin a second
IN_CHANNEL = 5  # of a workspace's conversations, each a thread
PATIENCE_S = 60.0


class Talk:
    """A conversation: its thread, the question that stands, and what is shown of the answer."""

    def __init__(self, number: int, person: Person, home: Channel) -> None:
        self.number, self.person, self.home = number, person, home
        self.root: Json | None = None  # the message that the thread began with
        self.turn, self.asked_at, self.asked_ts = 0, 0.0, ""
        self.said: Said | None = None
        self.shown = 0  # tokens of the answer that were shown
        self.messages: dict[str, Json] = {}  # the answer's messages
        self.rated: Json | None = None  # an answer of before, with its thumbs
        self.whole = asyncio.Event()

    @property
    def name(self) -> str:
        return f"{self.number}/{self.turn}"

    async def ask(self) -> None:
        self.turn += 1
        self.asked_at = asyncio.get_running_loop().time()
        self.said, self.shown, self.messages = None, 0, {}
        self.whole.clear()
        asked = await self.person.says(self.home, f"/chat Tell me more: {self.name}", thread=self.root, mention=not self.root)
        self.root, self.asked_ts = self.root or asked, asked["ts"]

    def sees(self, shown: Shown) -> list[float]:
        """Take in a message that is shown; return the moment of the oldest token that is shown for the first time, if any."""
        if not self.said or not self.said.at or shown.kind == "delete" or shown.message["ts"] < self.asked_ts:
            return []
        self.messages[shown.message["ts"]] = shown.message
        there = self.said.shown(self.contents)
        oldest = self.said.at[self.shown : there][:1]
        self.shown = max(self.shown, there)
        newest = self.messages[max(self.messages)]
        if self.said.over and self.shown == len(self.said.at) and thumbs(newest):
            self.rated = newest
            self.whole.set()
        return oldest

    @property
    def contents(self) -> list[str]:
        return [_written(self.messages[ts]) for ts in sorted(self.messages)]

    def late(self) -> list[float]:
        """The moment of the oldest token that is not shown, if there is one."""
        return self.said.at[self.shown : self.shown + 1] if self.said else []

    def is_whole(self) -> bool:
        """Whether the answer stands there as the model said it, every fence closed in its message."""
        if self.said is None:
            return False
        fences = all(one.count("```") % 2 == 0 for one in self.contents)
        return self.whole.is_set() and fences and bare("".join(self.contents)) == bare(self.said.text)


def _written(message: Json) -> str:
    """The markdown of a message: in blocks, or, of a stream that was never edited, as its text."""
    blocks = [str(one["text"]) for one in message.get("blocks") or () if one["type"] == "markdown"]
    return "".join(blocks) if blocks else str(message["text"])


def thumbs(message: Json) -> tuple[str, list[str]] | None:
    """The action id and the values of a message's thumbs; None where it has none."""
    for block in message.get("blocks") or ():
        for one in block.get("elements") or ():
            if one["type"] == "feedback_buttons":
                return one["action_id"], [one[kind]["value"] for kind in ("positive_button", "negative_button")]
    return None


class Crowd:
    """Everybody, at one fake Slack. `pokes_per_s`: commands and presses besides."""

    def __init__(
        self,
        fake: Slack,
        teams: Sequence[Workspace],
        model: Model,
        conversations: int,
        chance: random.Random,
        pokes_per_s: float,
    ) -> None:
        self.fake, self.model, self.chance, self.seen = fake, model, chance, Seen()
        self.every_s = 1 / pokes_per_s
        each = -(-conversations // len(teams))
        rooms = [[team.channel(f"room-{at}") for at in range(-(-each // IN_CHANNEL))] for team in teams]
        self.talks = [_talk(at, teams, rooms) for at in range(conversations)]
        self.others = {team.id: team.user("other") for team in teams}
        self.by_thread: dict[str, Talk] = {}
        self.over = False

    async def run(self, seconds: float) -> None:
        """Let everybody talk for so long; then answers end where they are, and what is shown of them is looked at."""
        async with asyncio.TaskGroup() as tasks:
            watching = [tasks.create_task(self._watch()), tasks.create_task(self._count())]
            poking = tasks.create_task(self._poke(tasks))
            talking = [tasks.create_task(self._talk(one)) for one in self.talks]
            await asyncio.sleep(seconds)
            poking.cancel()
            self.over, now = True, asyncio.get_running_loop().time()
            self.seen.stale += [now - at for one in self.talks for at in one.late()]
            self.model.enough.set()
            await asyncio.wait(talking)
            await asyncio.sleep(0)  # what was shown last is counted
            for task in watching:
                task.cancel()

    async def _talk(self, one: Talk) -> None:
        await asyncio.sleep(one.number / BEGIN_PER_S)
        while not self.over:
            await one.ask()
            assert one.root
            self.by_thread[one.root["ts"]] = one
            ends = asyncio.create_task(one.whole.wait())
            while not ends.done() and not (self.over and self._waited(one)):
                await asyncio.wait([ends], timeout=1.0)
            ends.cancel()
            self.seen.answers += 1
            if not one.is_whole():
                self.seen.broken.append(f"{one.name}: {one.shown} of {len(one.said.at) if one.said else 0} tokens")

    def _waited(self, one: Talk) -> bool:
        """Whether an answer has ended so long ago that nothing more will come."""
        last = one.said.at[-1] if one.said and one.said.at else one.asked_at
        return asyncio.get_running_loop().time() - last > PATIENCE_S

    async def _watch(self) -> None:
        while True:
            for shown in self.fake.shown:
                if shown.channel and not shown.to and shown.message.get("user") == shown.channel.team.bot_user:
                    self._see(shown)
            self.fake.shown.clear()
            self.fake.more.clear()
            await self.fake.more.wait()

    def _see(self, shown: Shown) -> None:
        talk = self.by_thread.get(shown.message.get("thread_ts", ""))
        if talk is None:
            return
        talk.said = talk.said or self.model.said.get(talk.name)
        oldest = talk.sees(shown)
        if not self.over:  # then a hundred answers end at once, which is not to be timed
            self.seen.stale += [shown.at - at for at in oldest]

    async def _count(self) -> None:
        """Count the requests that have their answer, and keep none of them, nor what was told."""
        while True:
            await asyncio.sleep(0.5)
            done = [one for one in self.fake.requests if one.status]
            self.fake.requests[:] = [one for one in self.fake.requests if not one.status]
            self.fake.heard[:] = [one for one in self.fake.heard if not one.done.is_set()]
            for one in done:
                key = one.method, 400 if one.error and one.status == 200 else one.status
                self.seen.statuses[key] = self.seen.statuses.get(key, 0) + 1

    async def _poke(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await asyncio.sleep(self.every_s)
            busy = [one for one in self.by_thread.values() if not one.whole.is_set()]
            rated = [one for one in busy if one.rated]
            if busy:
                press = rated and self.chance.choice((True, False))
                tasks.create_task(self._act(self.chance.choice(rated if press else busy), press=bool(press)))

    async def _act(self, one: Talk, *, press: bool) -> None:
        heard = await self._done(one, press=press)
        with suppress(TimeoutError):  # it counts as one without an answer
            await asyncio.wait_for(heard.done.wait(), PATIENCE_S)
        if heard.acked_after_s is None:
            self.seen.unanswered += 1
        else:
            self.seen.acks.append(heard.acked_after_s)

    async def _done(self, one: Talk, *, press: bool) -> Heard:
        found: Any = thumbs(one.rated) if press and one.rated else None
        if found:
            return await one.person.presses(one.rated, found[0], self.chance.choice(found[1]))
        return await self.others[one.person.team.id].command(one.home, "/lab", "quota")


def _talk(number: int, teams: Sequence[Workspace], rooms: Sequence[Sequence[Channel]]) -> Talk:
    at = number % len(teams)
    person = teams[at].user(f"asker{number}")
    return Talk(number, person, rooms[at][number // len(teams) % len(rooms[at])])
