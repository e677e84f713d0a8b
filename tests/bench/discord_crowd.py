"""The people and the model of `tests.bench.discord`: who asks, what is said to them, and what of it they see when."""

import asyncio
import random
from typing import Any

from tests.bench.crowd import Model, Said, Seen, bare
from tests.fakes.discord.interactions import Interaction
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel, Guild, Shown

BEGIN_PER_S = 5.0  # conversations that begin a second
IN_CHANNEL = 5  # that begin in one channel: Discord lets no more threads be made there at once
POKES_PER_S = 2.0
PATIENCE_S = 30.0


class Talk:
    """A conversation: its thread, the question that stands, and what is shown of the answer."""

    def __init__(self, number: int, person: Person, home: Channel) -> None:
        self.number, self.person, self.here = number, person, home
        self.turn = 0
        self.asked_at = 0.0
        self.said: Said | None = None
        self.shown = 0  # tokens of the answer that were shown
        self.messages: dict[int, dict[str, Any]] = {}  # the answer's messages
        self.rated: dict[str, Any] | None = None  # an answer of before, with its thumbs
        self.whole = asyncio.Event()

    @property
    def name(self) -> str:
        return f"{self.number}/{self.turn}"

    async def ask(self) -> None:
        self.turn += 1
        self.asked_at = asyncio.get_running_loop().time()
        self.said, self.shown, self.messages = None, 0, {}
        self.whole.clear()
        await self.person.says(self.here, f"/chat Tell me more: {self.name}", mention=True)

    def sees(self, shown: Shown) -> list[float]:
        """Take in a message that is shown; return the moment of the oldest token that is shown for the first time, if any."""
        if not self.said or not self.said.at or shown.kind == "delete" or not self._mine(shown.message):
            return []
        self.messages[int(shown.message["id"])] = shown.message
        newest, there = max(self.messages), self.said.shown(self.contents)
        oldest = self.said.at[self.shown : there][:1]
        self.shown = max(self.shown, there)
        if self.said.over and self.shown == len(self.said.at) and "chat.good" in _ids(self.messages[newest]):
            self.rated = self.messages[newest]
            self.whole.set()
        return oldest

    def _mine(self, message: dict[str, Any]) -> bool:
        """Whether it is part of the answer that stands, and not one of before, whose button was pressed."""
        return self.rated is None or int(message["id"]) > int(self.rated["id"])

    @property
    def contents(self) -> list[str]:
        return [self.messages[one]["content"] for one in sorted(self.messages)]

    def late(self) -> list[float]:
        """The moment of the oldest token that is not shown, if there is one."""
        return self.said.at[self.shown : self.shown + 1] if self.said else []

    def is_whole(self) -> bool:
        """Whether the answer stands there as the model said it, every fence closed in its message."""
        if self.said is None:
            return False
        fences = all(one.count("```") % 2 == 0 for one in self.contents)
        return self.whole.is_set() and fences and bare("".join(self.contents)) == bare(self.said.text)


def _ids(message: dict[str, Any]) -> str:
    return " ".join(one.get("custom_id", "") for row in message.get("components") or [] for one in row.get("components", []))


class Crowd:
    """Everybody, at one fake Discord."""

    def __init__(self, fake: Discord, model: Model, conversations: int, chance: random.Random) -> None:
        self.fake, self.model, self.chance, self.seen = fake, model, chance, Seen()
        guild = fake.guild("lab")
        channels = [guild.channel(f"room-{number}") for number in range(-(-conversations // IN_CHANNEL))]
        self.talks = [Talk(n, _member(fake, guild, f"asker{n}"), channels[n % len(channels)]) for n in range(conversations)]
        self.other = _member(fake, guild, "other")
        self.by_room: dict[str, Talk] = {}
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
                if shown.author == self.fake.bot.id and not shown.to:
                    self._see(shown)
            self.fake.shown.clear()
            self.fake.more.clear()
            await self.fake.more.wait()

    def _see(self, shown: Shown) -> None:
        if shown.channel.id not in self.by_room:
            if shown.channel.parent is None:
                return
            begun = self.fake.world.messages[shown.channel.id]  # the thread of a message has its id
            talk = next(one for one in self.talks if one.person.id == begun.author)
            talk.here, self.by_room[shown.channel.id] = shown.channel, talk
        talk = self.by_room[shown.channel.id]
        talk.said = talk.said or self.model.said.get(talk.name)
        oldest = talk.sees(shown)
        if not self.over:  # then a hundred answers end at once, which is not to be timed
            self.seen.stale += [shown.at - at for at in oldest]

    async def _count(self) -> None:
        """Count the requests that have their answer, and keep none of them."""
        while True:
            await asyncio.sleep(0.5)
            done = [one for one in self.fake.requests if one.status]
            self.fake.requests[:] = [one for one in self.fake.requests if not one.status]
            for one in done:
                key = f"{one.method} {one.route}", one.status
                self.seen.statuses[key] = self.seen.statuses.get(key, 0) + 1

    async def _poke(self, tasks: asyncio.TaskGroup) -> None:
        kinds = self.chance.choice
        while True:
            await asyncio.sleep(1 / POKES_PER_S)
            busy = [one for one in self.by_room.values() if not one.whole.is_set()]
            rated = [one for one in busy if one.rated]
            if busy and (kind := kinds(("command", "press", "press", "complete"))):
                one = self.chance.choice(rated if kind == "press" and rated else busy)
                tasks.create_task(self._act("command" if kind == "press" and not rated else kind, one))

    async def _act(self, kind: str, one: Talk) -> None:
        begun = asyncio.get_running_loop().time()
        try:
            if kind == "complete":
                await self.other.completes(one.here, "model", {"model": "s"}, "model")
                self.seen.completed.append(asyncio.get_running_loop().time() - begun)
                self.seen.acks.append(self.seen.completed[-1])
                return
            heard = await self._done(kind, one)
            await asyncio.wait_for(heard.acked.wait(), PATIENCE_S)
            self.seen.acks.append(heard.acked_after_s)
        except TimeoutError:
            self.seen.unanswered += 1

    async def _done(self, kind: str, one: Talk) -> Interaction:
        if kind == "press" and one.rated:
            token = self.chance.choice([name for name in _ids(one.rated).split() if name.startswith(("chat.good", "chat.bad"))])
            return await one.person.presses(one.rated, token)
        return await self.other.slash(one.here, "quota")


def _member(fake: Discord, guild: Guild, name: str) -> Person:
    made = fake.user(name)
    guild.join(made)
    return made
