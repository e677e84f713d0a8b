"""Events are heard once, committed whole and only under their locks; every key is in the table."""

import asyncio
import re

import pytest

from bot.acks import Ack, Acks
from bot.core.records import Asked, Audit, Conversation, Draft, Kept, Paused, Person, Spent, Turn
from bot.core.rules import Quota, Role
from bot.core.talk import Answer, Command, Dialog, Event, Field, Press, Said
from bot.keys import KEYS
from bot.pack import pack
from bot.rooms import Rooms, User
from bot.rows import Message, Order, message_key
from bot.store import Hold, Store, Writes
from pipeline.errors import Temporary
from pipeline.memory import Memory, connect

ROLES = {"everyone": Role("everyone", quotas={"draft": Quota(2, 60.0)})}


def said(name: str, text: str = "hello", place: str = "terminal:@p1") -> Event:
    return Event(name, 1000.0, "p1", place, Said(text))


async def test_an_event_is_heard_once_however_often_it_is_delivered(store: Store) -> None:
    heard = [await store.hear(said("e1")) for _ in range(3)]

    assert (heard, await store.todo("terminal")) == ([True, False, False], [said("e1")])


async def test_the_same_id_on_another_platform_is_another_event(store: Store) -> None:
    await store.hear(said("e1"))

    assert await store.hear(Event("e1", 1000.0, "p1", "discord:1", Said("x"), "discord"))


async def test_a_decided_event_is_heard_no_more_and_its_words_are_gone(store: Store, memory: Memory) -> None:
    event = said("e1", "secret words")
    await store.hear(event)
    done = await store.commit(event, await store.hold(event), Writes())

    assert (done, await store.hear(event), await store.todo("terminal")) == ("done", False, [])
    assert await memory.do("GET", "bot:inbox:terminal:e1") == b"decided"


async def test_a_commit_without_its_locks_changes_nothing(store: Store, memory: Memory) -> None:
    event = said("e1")
    await store.hear(event)
    hold = await store.hold(event)
    await memory.do("DEL", *hold.keys)
    writes = Writes()
    writes.add("SET", "bot:draft:x", "1")

    assert await store.commit(event, hold, writes) == "lost"
    assert (await memory.do("EXISTS", "bot:draft:x"), await store.todo("terminal")) == (0, [event])


async def test_a_second_commit_of_an_event_changes_nothing(store: Store, memory: Memory) -> None:
    event = said("e1")
    await store.hear(event)
    await store.commit(event, await store.hold(event), Writes())
    writes = Writes()
    writes.add("RPUSH", "bot:outbox:terminal|x", "1")

    assert await store.commit(event, await store.hold(event), writes) == "again"
    assert await memory.do("EXISTS", "bot:outbox:terminal|x") == 0


async def test_a_place_is_held_by_one_at_a_time(store: Store) -> None:
    first = await store.hold(said("e1"))
    waiting = asyncio.create_task(store.hold(said("e2")))
    await asyncio.sleep(0.03)
    held = waiting.done()
    await store.commit(said("e1"), first, Writes())
    second = await waiting

    assert (held, second.keys) == (False, first.keys)


async def test_a_draft_is_held_from_whatever_place_it_is_changed(store: Store, memory: Memory) -> None:
    thread = await store.hold(Event("e1", 1.0, "p1", "terminal:@p1/k7", Press("draft.undo|k7")))

    waiting = asyncio.create_task(store.hold(Event("e2", 1.0, "p1", "terminal:@p1", Command("draft", "k7"))))
    await asyncio.sleep(0.03)
    assert thread.keys == ("bot:lock:place:terminal:@p1/k7", "bot:lock:draft:k7")
    assert not waiting.done()
    waiting.cancel()


async def test_locks_are_held_for_as_long_as_they_are_renewed_and_only_while_they_are_ours(
    store: Store, memory: Memory
) -> None:
    store.lease_s = 0.3
    hold = await store.hold(said("e1"))
    await memory.do("PEXPIRE", hold.keys[0], 60_000)
    async with store.renewed(hold):
        async with asyncio.timeout(5):
            while await memory.do("PTTL", hold.keys[0]) > 300:
                await asyncio.sleep(0.01)
        await memory.do("SET", hold.keys[0], "somebody", "PX", 60_000)
        await asyncio.sleep(0.2)

        assert await memory.do("PTTL", hold.keys[0]) > 300


async def test_a_dead_holders_locks_are_free_after_the_lease(store: Store) -> None:
    await store.hold(said("e1"))

    assert isinstance(await store.hold(said("e2")), Hold)


async def test_somebody_has_one_id_however_many_ask_at_once(store: Store) -> None:
    found = await asyncio.gather(*(store.person("terminal", "", "alice", "Alice") for _ in range(20)))

    assert len(set(found)) == 1
    assert await store.names(found[:1]) == {found[0]: "Alice"}


async def test_what_is_known_is_what_was_saved(store: Store) -> None:
    event = Event("e1", 1000.0, "p1", "terminal:@p1/k7", Said("x"))
    draft = Draft("k7", "skill", "p1", event.place, 900.0, ("p1", "p2"), {"about.description": "d"})
    conversation = Conversation(event.place, "t", "terminal:@p1", "k7", ("p1", "p2"))
    person, other = Person("p1", "Alice", "alice-lab"), Person("p2", "Bob")
    writes = Writes()
    for record in (draft, conversation, person, other, Spent("p1", "draft", 990.0, "e0")):
        store.save(writes, record, ROLES)
    await store.hear(event)
    await store.commit(event, await store.hold(event), writes)
    read = await store.know(event, ("draft",))

    assert (read.person, read.conversation, read.draft, read.drafts) == (person, conversation, draft, (draft,))
    assert (read.names, read.used) == ({"p1": "Alice", "p2": "Bob"}, {"draft": (990.0,)})


async def test_acts_older_than_every_quota_are_forgotten(store: Store, memory: Memory) -> None:
    for number, at in enumerate((100.0, 200.0, 230.0)):
        event = said(f"e{number}")
        writes = Writes()
        store.save(writes, Spent("p1", "draft", at, event.id), ROLES)
        await store.hear(event)
        await store.commit(event, await store.hold(event), writes)

    assert await memory.do("ZCARD", "bot:used:p1:draft") == 2
    assert 0 < await memory.do("TTL", "bot:used:p1:draft") <= 60


async def test_halves_of_surrogate_pairs_survive_the_commit(store: Store) -> None:
    event = said("e1", "half \ud800 and nul \0")
    message = Message(message_key(event, 0), event.place, 1, event.at, "p1", Answer(text="half \ud800 and nul \0"))
    writes = Writes()
    store.say(writes, message)
    await store.hear(event)
    await store.commit(event, await store.hold(event), writes)

    assert await store.talk(event.place) == [message]


async def test_the_address_of_a_message_is_kept_with_the_revision_it_shows(store: Store) -> None:
    message = Message("k", "terminal:@p1", 1, 1.0, "", Answer(text="x"), revision=3)
    before = await store.address(message)
    await store.sent(message, "channel\n17")

    assert (before, await store.address(message)) == (("", -1), ("channel\n17", 3))


async def test_redis_that_is_away_is_temporary(tmp_path: object) -> None:
    away = Store(connect(f"unix://{tmp_path}/nothing.sock"))

    with pytest.raises(Temporary, match="Redis is away"):
        await away.hear(said("e1"))
    await away.memory.close()


async def test_every_key_that_is_written_is_in_the_table_and_goes_when_it_says(store: Store, memory: Memory) -> None:
    event = said("e1")
    draft = Draft("k7", "skill", "p1", "terminal:@p1/k7", 900.0, ("p1",), state="discarded")
    dialog = Dialog("t", "a|b", (Field("a", "b"),), "Send")
    await store.person("terminal", "home", "alice", "Alice")
    writes = Writes()
    operators = (Paused("terminal", "faq", "why"), Audit("u1", 1.0, "p1", "pause", "faq", "why", "terminal"))
    questions = (
        Asked("a1", "p1", event.place, "q", 1.0),
        Turn("t1", "p1", event.place, "q", 1.0),
        Kept("a1", "q", "a", "dora", 1.0),
    )
    for record in (draft, Conversation(event.place, people=("p1",)), Spent("p1", "draft", 1.0, "e1"), *operators, *questions):
        store.save(writes, record, ROLES)
    for key, body, slot in (("m1", Answer(text="x"), "s"), ("m2", dialog, "")):
        store.say(writes, Message(key, event.place, 1, 1.0, "", body, slot=slot, to="p1"))
    store.order(writes, "terminal", event.place, Order("say", event.place, "m1"))
    await store.hear(event)
    await store.hear(said("e2"))
    await store.commit(event, await store.hold(event), writes)
    await store.sent(Message("m1", event.place, 1, 1.0, "", Answer(text="x")), "a")
    await store.watch("terminal", "k7.1", Order("start", event.place))
    await store.hold(Event("e3", 1.0, "p1", event.place, Press("draft.undo|k7")))
    rooms, acks = Rooms(memory, "discord"), Acks(memory, "discord")
    await rooms.keep("discord:1/k7", "2")
    await rooms.know("p1", User("3", "de"))
    await acks.keep(Ack("i1", "1", "token", "3", "2", "press", 1.0))
    await acks.wait(Message("m1", event.place, 1, 1.0, "", Answer(text="x")))
    await memory.do("SET", "bot:menu:discord", "digest")
    await store.hold(Event("e4", 1.0, "p2", "terminal:@p2", Command("link", "ABCD-EFGH")))
    for name in ("deliver:discord|slack:T1.C1", "tidy"):
        await memory.do("SET", f"bot:lock:{name}", "x", "PX", 200)
    for name, for_s in (
        ("code:d1", 600),
        ("coded:p1", 600),
        ("linking:p1", 960),
        ("oauth:slack:d1", 600),
        ("typed:p1:d1", 600),
        ("file:slack:m1", 600),
    ):
        await memory.do("SET", f"bot:{name}", "x", "EX", for_s)
    for name in ("moved", "install:slack:-.T1"):
        await memory.do("HSET", f"bot:{name}", "x", "y")
    await memory.do("SET", "bot:installed:slack:T1", "-.T1")
    rules = {_rule(key.pattern): key for key in KEYS}
    found = {name: next((key for rule, key in rules.items() if rule.fullmatch(name)), None) async for name in memory.keys("*")}

    assert [name for name, key in found.items() if key is None] == []
    assert {key.pattern for key in found.values() if key} == {key.pattern for key in KEYS}
    lasting = [name for name, key in found.items() if key and key.expires and await memory.do("TTL", name) < 0]
    assert lasting == []


def _rule(pattern: str) -> re.Pattern[str]:
    """A key's pattern as a rule; the first that fits in the table's order is meant."""
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^|]+", re.escape(pattern)))


def test_the_table_says_of_every_key_what_it_holds() -> None:
    assert [key.pattern for key in KEYS if not key.holds] == []
    assert len({key.pattern for key in KEYS}) == len(KEYS)


def test_an_events_messages_have_the_same_keys_each_time_and_fit_a_nonce() -> None:
    keys = [message_key(said("e1"), index) for index in range(3)]

    assert keys == [message_key(said("e1"), index) for index in range(3)]
    assert (len(set(keys)), max(map(len, keys)) <= 25, pack(said("e1")).isascii()) == (3, True, True)
