"""One person on two platforms: a code made on one and typed on the other, on one Redis."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from bot import linked
from bot.app import App
from bot.core.linking import LETTERS, TRIES
from bot.core.records import Asked, Conversation, Draft, Kept, Person, Spent, Turn
from bot.core.rules import Quota, Role
from bot.core.talk import Act, Answer, Card, Command, Event, File, Moved, Press, Said, direct
from bot.forget import export
from bot.ids import family
from bot.look import Looker
from bot.pack import pack
from bot.rooms import Rooms, User
from bot.rows import Message, Order
from bot.settings import Settings
from bot.store import Store, Writes
from bot.voice import Manners
from pipeline.errors import Temporary
from pipeline.memory import Memory
from pipeline.runs import Runs
from tests.bot.test_forget import dump

NOW = 1_767_607_200.0


class Wall:
    """A platform that shows everything, by place."""

    def __init__(self) -> None:
        self.said: list[Message] = []
        self.forgot = 0

    async def post(self, message: Message) -> str:
        self.said.append(message)
        return f"at-{message.key}"

    async def edit(self, address: str, message: Message) -> str:
        self.said.append(message)
        return address

    async def find(self, message: Message) -> str:
        return next((f"at-{one.key}" for one in self.said if one.key == message.key), "")

    async def ask(self, message: Message) -> None:
        self.said.append(message)

    async def forget(self, person: str) -> None:
        self.forgot += 1

    async def over(self, event: Event) -> None:
        return

    async def pause(self, message: Message) -> None:
        return

    async def fetch(self, file: File) -> bytes:
        return b""

    def texts(self) -> list[str]:
        return [one.body.text if isinstance(one.body, Answer) else one.body.title for one in self.said]


class Side:
    """A platform with its app, and somebody's account there."""

    def __init__(self, app: App, wall: Wall, user: str) -> None:
        self.app, self.wall, self.user, self.count = app, wall, user, 0

    async def person(self) -> str:
        return await self.app.store.person(self.app.platform, "w", self.user, self.user)

    async def event(self, act: Act, at: float = NOW, place: str = "") -> Event:
        self.count += 1
        person = await self.person()
        place = place or direct(self.app.platform, person)
        return Event(f"{self.user}{self.count}", at, person, place, act, self.app.platform, "w")

    async def does(self, act: Act, at: float = NOW, place: str = "") -> list[str]:
        """What is said to an act, on this side."""
        before = len(self.wall.said)
        await self.app.hear(await self.event(act, at, place))
        await self.app.idle()
        return self.wall.texts()[before:]

    async def code(self) -> str:
        told = await self.does(Command("link"))
        return re.findall(r"\*\*(\S+)\*\*", told[-1])[0]


class Town:
    """Two platforms on one Redis, in one process or, as far as a store can tell, in two."""

    def __init__(self, memory: Memory, settings: Settings, checkout: Path, tmp_path: Path) -> None:
        self.memory, self.settings, self.checkout, self.folder = memory, settings, checkout, tmp_path / "runs"
        self.stack = AsyncExitStack()

    def app(
        self,
        platform: str,
        manners: Manners = Manners(),  # noqa: B008, it is frozen
        memory: Memory | None = None,
    ) -> tuple[App, Wall]:
        wall, runs = Wall(), Runs(self.memory, self.folder, {}, clock=lambda: NOW)
        store = Store(memory or self.memory, lease_s=0.05)
        look = Looker(self.checkout, self.folder)
        app = App(
            store,
            wall,
            platform=platform,
            tables=self.settings.words,
            roles={"everyone": Role("everyone"), "operator": Role("operator")},
            look=look,
            runs=runs,
            manners=manners,
        )
        return app, wall

    async def side(self, platform: str, user: str, manners: Manners = Manners()) -> Side:  # noqa: B008
        app, wall = self.app(platform, manners)
        await self.run(app)
        return Side(app, wall, user)

    async def run(self, app: App) -> asyncio.Task[None]:
        ready = asyncio.Event()
        task = asyncio.create_task(app.run(ready))
        self.stack.push_async_callback(ended, task)
        async with asyncio.timeout(10):
            await ready.wait()
        return task


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def town(memory: Memory, settings: Settings, checkout: Path, tmp_path: Path) -> AsyncIterator[Town]:
    made = Town(memory, settings, checkout, tmp_path)
    async with made.stack:
        yield made


@pytest.fixture
async def here(town: Town) -> Side:
    return await town.side("discord", "alice")


@pytest.fixture
async def there(town: Town) -> Side:
    return await town.side("slack", "al")


async def linked_up(here: Side, there: Side) -> str:
    """Alice gets a code here and types it there. Returns whom she is."""
    person = await here.person()
    told = await there.does(Command("link", await here.code()))
    assert "From now on you and **alice** are one to me" in told[-1]
    return person


async def naming(memory: Memory, word: str) -> list[str]:
    """The rows that have a word in their name or in what they hold; locks apart, which go by themselves."""
    for key in [key async for key in memory.keys("bot:lock:*")]:
        await memory.do("DEL", key)
    return sorted({key for key, value in (await dump(memory)).items() if word in key + value})


async def until(reached: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not reached():
            await asyncio.sleep(0.005)


# --- the code


async def test_a_code_is_told_to_its_person_alone_and_only_a_hash_of_it_is_kept(here: Side, memory: Memory) -> None:
    code = await here.code()
    message = here.wall.said[-1]
    await here.does(Command("link", code))
    kept = [*await naming(memory, code), *await naming(memory, code.replace("-", ""))]

    assert re.fullmatch(f"[{LETTERS}]{{4}}-[{LETTERS}]{{4}}", code)
    assert (message.to, message.body.text.count(code)) == (await here.person(), 2)  # type: ignore[union-attr]
    assert kept == []
    assert sorted([key.split(":")[1] async for key in memory.keys("bot:code*")]) == ["code", "coded"]


@pytest.mark.parametrize("typed", ["{0}", "{1}", "{2}", " {2} "])
async def test_a_code_is_taken_however_it_is_typed(here: Side, there: Side, typed: str) -> None:
    code = await here.code()
    plain = code.replace("-", "")
    await there.does(Command("link", typed.format(code, plain, plain.lower())))

    assert await there.person() == await here.person()


async def test_a_code_is_good_once(town: Town, here: Side, there: Side) -> None:
    code = await here.code()
    await there.does(Command("link", code))
    third = await town.side("matrix", "mallory")

    assert "I have no such code" in (await third.does(Command("link", code)))[-1]
    assert await third.person() != await here.person()


async def test_of_two_who_type_a_code_at_once_one_is_linked(town: Town, here: Side, there: Side) -> None:
    other = await town.side("matrix", "mallory")
    code = await here.code()
    told = await asyncio.gather(*(side.does(Command("link", code)) for side in (there, other)))

    assert sorted("are one to me" in texts[-1] for texts in told) == [False, True]
    assert [await side.person() == await here.person() for side in (there, other)].count(True) == 1


async def test_a_code_is_too_old_after_ten_minutes(here: Side, there: Side) -> None:
    code = await here.code()

    assert "I have no such code" in (await there.does(Command("link", code), NOW + 600.5))[-1]
    assert "are one to me" in (await there.does(Command("link", code), NOW + 599.5))[-1]


async def test_a_new_code_makes_the_one_before_worthless(here: Side, there: Side) -> None:
    before, after = await here.code(), await here.code()

    assert "I have no such code" in (await there.does(Command("link", before)))[-1]
    assert "are one to me" in (await there.does(Command("link", after)))[-1]


async def test_a_code_is_refused_to_whoever_made_it_and_stays_good(here: Side, there: Side) -> None:
    code = await here.code()

    assert "This code is your own" in (await here.does(Command("link", code)))[-1]
    assert "are one to me" in (await there.does(Command("link", code)))[-1]


async def test_after_five_wrong_codes_nobody_is_believed_for_ten_minutes_not_even_with_the_right_one(
    here: Side, there: Side
) -> None:
    code = await here.code()
    wrong = [(await there.does(Command("link", f"WRONG{at}"), NOW + at))[-1] for at in range(TRIES)]
    blocked = (await there.does(Command("link", code), NOW + 10))[-1]

    assert all("I have no such code" in one for one in wrong)
    assert blocked == "That were too many wrong codes. You may try again in 10 min."
    assert "are one to me" not in blocked and await there.person() != await here.person()
    assert "I have no such code" in (await there.does(Command("link", "WRONGAGAIN"), NOW + 601))[-1]


async def test_wrong_codes_are_counted_wherever_they_are_typed_at_once(there: Side) -> None:
    person = await there.person()
    events = [await there.event(Command("link", f"WRONG{at}"), place=f"slack:@{person}/{at}") for at in range(2 * TRIES)]
    await asyncio.gather(*(there.app.hear(event) for event in events))
    await there.app.idle()

    assert sum("I have no such code" in text for text in there.wall.texts()) == TRIES


async def test_somebody_with_an_account_on_the_same_platform_is_not_joined(town: Town, here: Side, there: Side) -> None:
    other = await town.side("discord", "bob")
    twice = (await other.does(Command("link", await here.code())))[-1]
    await linked_up(here, there)
    third = Side(there.app, there.wall, "bert")

    assert "both have an account on one platform" in twice
    assert "both have an account on one platform" in (await third.does(Command("link", await here.code())))[-1]
    assert len({await side.person() for side in (here, other, third)}) == 3


async def test_an_account_that_came_to_them_while_the_code_was_taken_counts_too(
    here: Side, there: Side, memory: Memory
) -> None:
    goes, make = await there.person(), there.app.linking.carry_out

    async def late(*given: Any) -> Any:
        await memory.do("HSET", f"bot:accounts:{goes}", "bot:alias:discord:w:zoe", "")
        return await make(*given)

    there.app.linking.carry_out = late  # type: ignore[method-assign]
    told = (await there.does(Command("link", await here.code())))[-1]

    assert "both have an account on one platform" in told and await there.person() == goes


async def test_where_somebody_keeps_their_id_only_codes_are_given(town: Town, there: Side) -> None:
    seat = await town.side("terminal", "alice", Manners(seated=True))
    refused = [(await seat.does(Command("link", text)))[-1] for text in (await there.code(), "off")]

    assert all("From here I only give codes" in one for one in refused)
    assert "are one to me" in (await there.does(Command("link", await seat.code())))[-1]


async def test_a_crash_before_the_code_was_shown_gives_another_one_that_is_good(town: Town, here: Side, there: Side) -> None:
    """The message may have been shown, or not: what is read at the end is what is taken."""
    app, wall = town.app("discord")

    async def broken(message: Message) -> str:
        wall.said.append(message)
        raise Temporary("the platform is away")

    wall.post = broken  # type: ignore[method-assign]
    task = await town.run(app)
    await app.hear(await here.event(Command("link")))
    await until(lambda: wall.said)
    await ended(task)
    again, seen = town.app("discord")
    seen.said += wall.said
    await town.run(again)
    await until(lambda: len(seen.said) > len(wall.said))

    code = re.findall(r"\*\*(\S+)\*\*", seen.texts()[-1])[0]
    assert "are one to me" in (await there.does(Command("link", code)))[-1]


# --- what hangs on a person


async def fill(store: Store, person: str, other: str, platform: str) -> None:
    """One of everything that names a person."""
    place = direct(platform, person)
    writes = Writes()
    roles = {"everyone": Role("everyone", quotas={"draft": Quota(5, 3600.0)})}
    for record in (
        Draft(f"d{platform[:2]}", "skill", person, f"{place}/d", NOW, (person, other), {"about.description": "x"}),
        Conversation(place, draft="d", people=(person, other)),
        Conversation(f"{platform}:C1", people=(other, person)),
        Asked(f"a{platform}", person, place, "who?", NOW),
        Asked(f"b{platform}", other, place, "who?", NOW, by=person, reply="I"),
        Turn(f"t{platform}", person, place, "what?", NOW),
        Kept(f"k{platform}", "q", "a", "x", NOW, (other, person)),
        Spent(person, "draft", NOW, f"e{platform}"),
    ):
        store.save(writes, record, roles)
    number = int(NOW * 1000) * 100  # as an event of that time has it: the sweep takes older ones away
    store.say(writes, Message(f"m{platform}", place, number, NOW, person, Answer("hello"), slot="home"))
    store.say(writes, Message(f"n{platform}", f"{platform}:C1", number, NOW, "", Answer("psst"), to=person, ping=person))
    writes.add("RPUSH", f"bot:outbox:{platform}|{place}", "x")
    writes.ops.pop()
    await store.memory.all([tuple(op) for op in writes.ops], atomic=True)
    rooms = Rooms(store.memory, platform)
    await rooms.keep(place, f"D{platform}")
    await rooms.know(person, User(f"U{platform}", "de"))
    await store.memory.do("SET", f"bot:typed:{person}:{platform}", '{"answer": "not sent"}', "EX", 60)


async def test_everything_of_both_hangs_on_the_one_whose_code_it_was(here: Side, there: Side, memory: Memory) -> None:
    store, goes = here.app.store, await there.person()
    other = await store.person("discord", "w", "bob", "bob")
    stays = await here.person()
    await fill(store, stays, other, "discord")
    await fill(store, goes, other, "slack")
    await linked_up(here, there)
    draft = await store.draft("dsl")
    rooms = Rooms(memory, "slack")

    assert await naming(memory, goes) == ["bot:moved"]
    assert [one.id for one in await store.drafts(stays)] == ["ddi", "dsl"]
    assert draft and (draft.owner, draft.authors, draft.place) == (stays, (stays, other), f"slack:@{stays}/d")
    assert {one.place for one in await store.places("slack", stays)} >= {f"slack:@{stays}", "slack:C1"}
    assert (await store.conversation("slack:C1")).people == (other, stays)
    assert {one.person for one in await store.questions()} == {stays, other}
    assert [one.person for one in await store.turns(f"slack:@{stays}")] == [stays]
    assert [set(one.people) for one in await store.kept()] == [{other, stays}] * 2
    assert len((await store.know(await here.event(Said("x")), ("draft",))).used["draft"]) == 2
    assert (await rooms.user(stays), await rooms.room(f"slack:@{stays}")) == (User("Uslack", "de"), "Dslack")
    assert await rooms.place("Dslack") == f"slack:@{stays}"
    assert "mslack" in [one.key for one in await store.talk(f"slack:@{stays}")]
    assert (await store.message("slack:C1", "nslack")).to == stays  # type: ignore[union-attr]


async def test_whoever_wrote_a_draft_with_themselves_is_one_author_of_it(here: Side, there: Side) -> None:
    both = (await here.person(), await there.person())
    await fill(here.app.store, *both, "discord")
    await linked_up(here, there)
    draft = await here.app.store.draft("ddi")

    assert draft and draft.authors == (both[0],)
    assert (await here.app.store.conversation("discord:C1")).people == (both[0],)


@pytest.mark.parametrize("blocked", ["here", "there"])
async def test_a_block_of_either_holds_for_both(here: Side, there: Side, memory: Memory, blocked: str) -> None:
    """Blocked after the code was made or while it is taken, since who is blocked can neither make nor type one."""
    code = await here.code()
    whom = await (here if blocked == "here" else there).person()
    make = there.app.linking.carry_out

    async def late(*given: Any) -> Any:
        await memory.do("SET", f"bot:person:{whom}", pack(Person(whom, "x", blocked="spam")))
        return await make(*given)

    there.app.linking.carry_out = late  # type: ignore[method-assign]
    await there.does(Command("link", code))

    assert await there.person() == await here.person()
    assert ["blocked you here (spam)" in (await side.does(Said("hello")))[-1] for side in (here, there)] == [True, True]


async def test_what_one_lacks_the_other_brings() -> None:
    stays, goes = Person("p1", "alice", github="al"), Person("p2", "bob", "bobby", "Bob Bobson", "bob@example.org")

    assert linked.joined(stays, goes) == Person("p1", "alice", "al", "Bob Bobson", "bob@example.org")


class Mortal(Memory):
    """A process's memory that answers so many commands; then the process is as good as dead."""

    left = 0

    async def do(self, *words: object) -> object:
        self._lives()
        return await super().do(*words)

    async def all(self, commands: Iterable[tuple[object, ...]], *, atomic: bool = False) -> list[object]:
        self._lives()
        return await super().all(commands, atomic=atomic)

    def _lives(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("killed")


async def test_a_link_that_was_killed_anywhere_is_finished_by_the_next_process(
    town: Town, here: Side, memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed after each command to the memory in turn; the next process finds what is left, and tells it once."""
    caplog.set_level("CRITICAL")
    at, alive = 4, False
    while not alive:
        await memory.do("FLUSHALL")
        stays = await here.person()
        app, wall = town.app("slack", memory=Mortal(memory.redis))
        there = Side(app, wall, "al")
        there.app.store.memory.left = 10_000  # type: ignore[attr-defined]
        goes = await there.person()
        await fill(here.app.store, goes, await here.app.store.person("discord", "w", "bob", "bob"), "slack")
        event = await there.event(Command("link", await here.code()))
        task = await town.run(app)
        there.app.store.memory.left = at  # type: ignore[attr-defined]
        try:
            await app.hear(event)
            await app.idle()
        except RuntimeError:
            await here.app.store.hear(event)  # it was not acknowledged: it is delivered again
        alive = there.app.store.memory.left >= 0  # type: ignore[attr-defined]
        await ended(task)
        last, again = town.app("slack")
        again.said += wall.said
        task = await town.run(last)
        await last.hear(event)
        await last.idle()
        await ended(task)

        assert await here.app.store.person("slack", "w", "al", "al") == stays, at
        assert await naming(memory, goes) == ["bot:moved"], at
        assert [one.id for one in await last.store.drafts(stays)] == ["dsl"], at
        assert len({one.key for one in again.said if "are one to me" in one.body.text}) == 1, at  # type: ignore[union-attr]
        at += 5  # no multiple of what a row takes, so that each of its steps is met
    assert at > 60


async def test_what_was_heard_under_the_old_id_is_done_by_the_new_one(here: Side, there: Side) -> None:
    """A platform remembers ids: an event that it named before the link is heard after it."""
    late = await there.event(Command("skill", "Count the stripes"))
    stays = await linked_up(here, there)
    await there.app.hear(late)
    await there.app.idle()
    drafts = await here.app.store.drafts(stays)

    assert [(one.owner, one.place.partition("/")[0]) for one in drafts] == [(stays, f"slack:@{stays}")]
    assert await here.app.store.drafts(late.person) == ()


async def test_an_event_that_was_read_before_the_link_is_not_committed_under_the_old_id(here: Side, there: Side) -> None:
    event = await there.event(Said("hello"))
    await there.app.store.hear(event)
    hold = await there.app.store.hold(event)
    await here.app.store.memory.do("HSET", "bot:moved", event.person, await here.person())

    assert await there.app.store.commit(event, hold, Writes()) == "moved"
    assert await there.app.store.todo("slack") == [event]


async def test_processes_that_remember_ids_are_told_to_ask_anew(here: Side, there: Side) -> None:
    await linked_up(here, there)
    await until(lambda: here.wall.forgot)

    assert there.wall.forgot


# --- drafts on both


async def test_a_draft_begun_on_one_platform_is_found_and_finished_on_the_other(here: Side, there: Side) -> None:
    stays = await linked_up(here, there)
    await here.does(Command("skill", "Count the stripes"))
    (draft,) = await here.app.store.drafts(stays)
    listed = (await there.does(Command("draft")))[-1]
    buttons = there.wall.said[-1].body
    resumed = await there.does(Press(f"draft.open|{draft.id}"))
    await there.does(Said("question: one? answer: 1."), place=f"slack:@{stays}/{draft.id}")
    now = await here.app.store.draft(draft.id)
    await until(lambda: "goes on on another platform" in here.wall.texts()[-1])

    assert draft.place == f"discord:@{stays}/{draft.id}"
    assert listed == "Your drafts" and isinstance(buttons, Card) and any(draft.id in one.token for one in buttons.buttons)
    assert any(text.startswith("Here it is again.") for text in resumed)
    assert now and (now.place, now.answers["example.1.question"]) == (f"slack:@{stays}/{draft.id}", "one?")
    assert {one.place for one in there.wall.said if one.slot == f"draft.{draft.id}"} == {f"slack:@{stays}/{draft.id}"}


async def test_what_becomes_of_a_draft_is_told_where_it_goes_on(here: Side, there: Side) -> None:
    """Its run was begun here, and the draft was taken up there since."""
    stays = await linked_up(here, there)
    await here.does(Command("skill", "Count the stripes"))
    (draft,) = await here.app.store.drafts(stays)
    await there.does(Command("draft", draft.id))
    await here.does(Moved(f"{draft.id}.1", 1, "failed", "propose", facts={"code": "x", "branch": "y"}), place=draft.place)
    await until(lambda: there.wall.said[-1].ping == stays)

    assert there.wall.said[-1].place == f"slack:@{stays}/{draft.id}"
    assert [one for one in here.wall.said if one.ping] == []


async def test_a_draft_comes_back_where_it_was_begun(here: Side, there: Side) -> None:
    stays = await linked_up(here, there)
    await here.does(Command("skill", "Count the stripes"))
    (draft,) = await here.app.store.drafts(stays)
    await there.does(Command("draft", draft.id))
    await until(lambda: "goes on on another platform" in here.wall.texts()[-1])
    await here.does(Said("question: one? answer: 1."), place=draft.place)
    now = await here.app.store.draft(draft.id)
    await until(lambda: "goes on on another platform" in there.wall.texts()[-1])

    assert now and (now.place, now.answers["example.1.question"]) == (draft.place, "one?")


async def test_what_is_typed_beside_a_draft_that_lies_elsewhere_leaves_it_there(here: Side, there: Side) -> None:
    stays = await linked_up(here, there)
    await here.does(Command("skill", "Count the stripes"))
    (draft,) = await here.app.store.drafts(stays)
    await there.does(Command("help"))

    assert await here.app.store.draft(draft.id) == draft


async def test_a_message_for_another_platform_waits_for_it(town: Town, here: Side, there: Side, memory: Memory) -> None:
    """The other platform's process is not there: its outbox has the message, and the next process shows it."""
    stays = await linked_up(here, there)
    app, wall = town.app("matrix")
    writes = Writes()
    message = Message("late", f"matrix:@{stays}", 1, NOW, "", Answer("for you"))
    app.store.say(writes, message)
    app.store.order(writes, "matrix", f"slack:@{stays}", Order("say", message.place, message.key))
    await memory.all([tuple(op) for op in writes.ops])
    await town.run(app)
    await until(lambda: wall.said)

    assert wall.texts() == ["for you"]
    assert await app.store.outboxes("matrix") == []


# --- apart again


async def test_off_gives_the_account_a_person_of_its_own_and_leaves_the_drafts(here: Side, there: Side, memory: Memory) -> None:
    other = await here.app.store.person("discord", "w", "bob", "bob")
    await fill(here.app.store, await there.person(), other, "slack")
    stays = await linked_up(here, there)
    told = await there.does(Command("link", "off"))
    fresh = await there.person()
    rooms = Rooms(memory, "slack")

    assert told[-1].startswith("This account is on its own again.")
    assert (there.wall.said[-1].to, there.wall.said[-1].place) == (fresh, f"slack:@{fresh}")
    assert fresh != stays == await here.person()
    assert ([one.id for one in await here.app.store.drafts(stays)], await here.app.store.drafts(fresh)) == (["dsl"], ())
    assert (await rooms.user(fresh), await rooms.user(stays)) == (User("Uslack", "de"), User(""))
    assert (await rooms.place("Dslack"), await rooms.room(f"slack:@{stays}")) == (f"slack:@{fresh}", "")
    assert "is linked with no other" in (await there.does(Command("link", "off")))[-1]


async def test_nobody_gets_quotas_anew_by_being_parted(here: Side, there: Side, memory: Memory) -> None:
    await fill(here.app.store, await there.person(), await here.app.store.person("discord", "w", "b", "b"), "slack")
    await linked_up(here, there)
    await there.does(Command("link", "off"))
    used = await memory.do("ZRANGE", f"bot:used:{await there.person()}:draft", 0, -1)

    assert used == [b"eslack"] and await memory.do("TTL", f"bot:used:{await there.person()}:draft") > 0


async def test_who_was_parted_can_be_linked_again(here: Side, there: Side) -> None:
    first = await there.person()
    stays = await linked_up(here, there)
    await there.does(Command("link", "off"))
    second = await there.person()
    await there.does(Command("skill", "Count the stripes"))
    await linked_up(here, there)

    assert [one.owner for one in await here.app.store.drafts(stays)] == [stays]
    assert await family(here.app.store.memory, stays) == [stays, *sorted([first, second])]
    assert await there.person() == stays


async def test_a_chain_of_links_leads_to_one(town: Town, here: Side, there: Side) -> None:
    third = await town.side("matrix", "ally")
    first = await there.person()
    stays = await linked_up(here, there)
    last = await third.person()
    assert "are one to me" in (await here.does(Command("link", await third.code())))[-1]

    assert {await side.person() for side in (here, there, third)} == {last}
    assert await family(here.app.store.memory, last) == [last, *sorted([first, stays])]


# --- privacy


async def test_export_and_forget_are_about_both(here: Side, there: Side, memory: Memory) -> None:
    other = await here.app.store.person("discord", "w", "bob", "bob")
    goes = await there.person()
    await fill(here.app.store, goes, other, "slack")
    stays = await linked_up(here, there)
    found = await export(here.app.store, stays)
    await here.does(Press(f"privacy.forget|{stays}"))
    left = await naming(memory, goes)

    assert found["known as"] == ["discord:w:alice", "slack:w:al"]
    assert [one["id"] for one in found["drafts"]] == ["dsl"]
    assert left == []
    assert [await side.person() in (stays, goes) for side in (here, there)] == [False, False]
