"""Inbox, outbox, conversations, drafts, questions and people in Redis (`bot.keys`): one atomic commit an event.

An event's life: `hear` writes it down, once for each id; `hold` takes the locks of its place and draft; `know` reads
what the core needs; `commit` writes everything the core decided, marks the event decided and gives the locks back, all
or nothing, and only while the locks are still ours; `sent` marks what a platform has shown.
"""

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from bot.core.known import asks, concerns, tells
from bot.core.linking import TRIES_S, TRY
from bot.core.moderating import scope
from bot.core.records import Asked, Audit, Conversation, Draft, Kept, Paused, Person, Saved, Spent, Turn
from bot.core.rules import Role
from bot.core.talk import Answer, Command, Dialog, Event, direct
from bot.ids import now
from bot.keys import DAY_S, Retention
from bot.locks import Hold, Locks
from bot.pack import pack, unpack
from bot.rows import Message, Order
from bot.scripts import COMMIT, FINISH, HEAR, PERSON, SWAP, UNWATCH
from pipeline.memory import Memory

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read:
    """What was read for one event."""

    person: Person
    conversation: Conversation
    draft: Draft | None
    drafts: tuple[Draft, ...]
    names: Mapping[str, str]
    used: Mapping[str, tuple[float, ...]]
    asked: Asked | None = None
    turn: Turn | None = None
    paused: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, Person] = field(default_factory=dict)


@dataclass(slots=True)
class Writes:
    """Redis commands that a commit carries out together, as lists of strings."""

    ops: list[list[str]] = field(default_factory=list)

    def add(self, *words: object) -> None:
        self.ops.append([str(word) for word in words])


BELL = "bot:bell"  # the channel on which `Store.ring` is heard
CHANGED = "bot:changed"  # the channel on which places are named that look different now


class Store(Locks):
    """The bot's memory. All methods raise Temporary while Redis is away; none leaves half a change behind."""

    def __init__(self, memory: Memory, retention: Retention | None = None, lease_s: float = 3.0) -> None:
        super().__init__(memory, lease_s)
        self.retention = retention or Retention()
        self.name = secrets.token_hex(4)  # by which a process knows its own notices

    # --- people

    async def person(self, platform: str, workspace: str, user: str, name: str) -> str:
        """The id of ours for somebody; made the first time, the same from then on."""
        fresh = Person(f"p{secrets.token_hex(5)}", name)
        keys = [f"bot:alias:{platform}:{workspace}:{user}", f"bot:person:{fresh.id}"]
        found: bytes = await self.memory.script(PERSON, keys, fresh.id, pack(fresh))
        return found.decode()

    async def call(self, person: str, name: str) -> None:
        """Take note of what somebody is called by now: they may have been named by others before they came."""
        row = await self.memory.do("GET", f"bot:person:{person}")
        found = unpack(row, Person) if row else None
        if found and found.name != name:  # unless somebody else wrote it meanwhile: then the next time
            await self.memory.script(SWAP, [f"bot:person:{person}"], row, pack(replace(found, name=name)))

    async def heard(self, platform: str, event: str) -> bool:
        """Whether an event of that id was written down already."""
        return bool(await self.memory.do("EXISTS", f"bot:inbox:{platform}:{event}"))

    async def names(self, people: Iterable[str]) -> dict[str, str]:
        people = list(dict.fromkeys(people))
        rows = await self._get([f"bot:person:{one}" for one in people], Person)
        return {one: row.name for one, row in zip(people, rows, strict=True) if row}

    async def _people(self, ids: Sequence[str]) -> dict[str, Person]:
        rows = await self._get([f"bot:person:{one}" for one in ids], Person)
        return {row.id: row for row in rows if row}

    async def audit(self) -> list[Audit]:
        """Every act of an operator, oldest first."""
        return [unpack(row, Audit) for row in await self.memory.do("LRANGE", "bot:audit", 0, -1)]

    async def audited(self, person: str) -> bool:
        return any(person in (one.person, one.whom) for one in await self.audit())

    async def _get(self, keys: Sequence[str], kind: type[T]) -> list[T | None]:
        rows = await self.memory.do("MGET", *keys) if keys else []
        return [unpack(row, kind) if row else None for row in rows]

    # --- hearing

    async def hear(self, event: Event) -> bool:
        """Write an event down; False if one with its id was heard before."""
        keys = [f"bot:inbox:{event.platform}:{event.id}", f"bot:todo:{event.platform}"]
        return bool(await self.memory.script(HEAR, keys, pack(event), int(self.retention.inbox_s), event.id))

    async def todo(self, platform: str) -> list[Event]:
        """The events that were heard and not decided, oldest first: what a crash left over."""
        ids = [name.decode() for name in await self.memory.do("LRANGE", f"bot:todo:{platform}", 0, -1)]
        rows = await self.memory.do("MGET", *(f"bot:inbox:{platform}:{name}" for name in ids)) if ids else []
        return [unpack(row, Event) for row in rows if row and row != b"decided"]

    async def conversation(self, place: str) -> Conversation:
        return (await self._get([f"bot:place:{place}"], Conversation))[0] or Conversation(place)

    async def hold(self, event: Event) -> Hold:
        """Take the locks of the event's place and of the draft that it is about, waiting for whoever has them.

        A crashed holder's locks are gone after the lease. Raises Temporary after ten leases of waiting.
        """

        async def wanted() -> list[str]:
            draft = concerns(event, await self.conversation(event.place))
            names = [f"place:{event.place}", *([f"draft:{draft}"] if draft else [])]
            if isinstance(event.act, Command) and event.act.name == "link":
                names.append(f"link:{event.person}")  # wrong codes are counted one after the other
            return names

        return await self.take(wanted)

    async def know(self, event: Event, acts: Sequence[str], mentioned: Iterable[str] = ()) -> Read:
        """Read what the core must know about an event, in three round trips."""
        mentioned = list(mentioned)
        person, place, ids, paused, *used = await self.memory.all(
            [
                ("GET", f"bot:person:{event.person}"),
                ("GET", f"bot:place:{event.place}"),
                ("ZRANGE", f"bot:drafts:{event.person}", 0, -1),
                ("HGETALL", f"bot:paused:{scope(event)}"),
                *(("ZRANGE", f"bot:used:{event.person}:{act}", 0, -1, "WITHSCORES") for act in acts),
            ]
        )
        conversation = unpack(place, Conversation) if place else await self._begun(event.place)
        about = concerns(event, conversation)
        draft, *drafts = await self._get([f"bot:draft:{name}" for name in [about, *(one.decode() for one in ids)]], Draft)
        return Read(
            person=unpack(person, Person) if person else Person(event.person, event.person),
            conversation=conversation,
            draft=draft,
            drafts=tuple(one for one in drafts if one and one.state != "discarded"),
            names=await self.names([*(draft.authors if draft else ()), *mentioned]),
            used={act: tuple(map(float, rows[1::2])) for act, rows in zip(acts, used, strict=True)},
            asked=await self.question(asks(event)),
            turn=await self.turn(tells(event)),
            paused={feature.decode(): why.decode() for feature, why in paused.items()},
            others=await self._people(mentioned),
        )

    async def _begun(self, place: str) -> Conversation:
        """A conversation that begins: in a thread the model is the one of the channel."""
        parent = place.rpartition("/")[0]
        return Conversation(place, model=(await self.conversation(parent)).model if parent else "")

    async def question(self, name: str) -> Asked | None:
        return (await self._get([f"bot:faq:{name}"], Asked))[0] if name else None

    async def questions(self) -> list[Asked]:
        """Every question that is kept, oldest first."""
        ids = [row.decode() for row in await self.memory.do("ZRANGE", "bot:questions", 0, -1)]
        return [one for one in await self._get([f"bot:faq:{name}" for name in ids], Asked) if one]

    async def turn(self, name: str) -> Turn | None:
        return (await self._get([f"bot:turn:{name}"], Turn))[0] if name else None

    async def turns(self, place: str, most: int = 200) -> list[Turn]:
        """The newest turns of a conversation with the model, oldest first."""
        ids = [row.decode() for row in await self.memory.do("ZRANGE", f"bot:turns:{place}", -most, -1)]
        return [one for one in await self._get([f"bot:turn:{name}" for name in ids], Turn) if one]

    async def kept(self) -> list[Kept]:
        """Every answer that is to become an entry, oldest first."""
        rows = await self.memory.do("HVALS", "bot:kept")
        return sorted((unpack(row, Kept) for row in rows), key=lambda one: one.at)

    async def slots(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Message]:
        """The messages that stand in slots, by (place, slot)."""
        wanted = list(dict.fromkeys(wanted))
        keys = await self.memory.all(("HGET", f"bot:slot:{place}", slot) for place, slot in wanted)
        there = [(at, key) for at, key in zip(wanted, keys, strict=True) if key]
        rows = await self.memory.all(("HGET", f"bot:talk:{place}", key) for (place, _), key in there)
        return {at: unpack(row, Message) for (at, _), row in zip(there, rows, strict=True) if row}

    # --- committing

    def save(self, writes: Writes, record: Saved, roles: Mapping[str, Role]) -> None:
        """Add what writes a record down."""
        match record:
            case Draft():
                self._save_draft(writes, record)
            case Conversation(place):
                writes.add("SET", f"bot:place:{place}", pack(record), "EX", int(self.retention.conversations_s))
                for one in record.people:
                    writes.add("ZADD", f"bot:places:{one}", "NX", len(place), place)
            case Person(name):
                writes.add("SET", f"bot:person:{name}", pack(record))
            case Asked(name):
                keep_s = int(self.retention.questions_s)
                writes.add("SET", f"bot:faq:{name}", pack(record), "EX", keep_s)
                writes.add("ZADD", "bot:questions", record.at, name)
                writes.add("ZREMRANGEBYSCORE", "bot:questions", "-inf", record.at - keep_s)
            case Turn(name, _, place):
                keep_s = int(self.retention.conversations_s)
                writes.add("SET", f"bot:turn:{name}", pack(record), "EX", keep_s)
                writes.add("ZADD", f"bot:turns:{place}", record.at, name)
                writes.add("ZREMRANGEBYSCORE", f"bot:turns:{place}", "-inf", record.at - keep_s)
                writes.add("EXPIRE", f"bot:turns:{place}", keep_s)
            case Paused() | Audit():
                self._save_act(writes, record)
            case Kept(name):
                writes.add("HSET", "bot:kept", name, pack(record))
            case Spent(person, act, at, event):
                kept_s = TRIES_S if act == TRY else 0.0
                longest_s = max(kept_s, *(role.quotas[act].per_s for role in roles.values() if act in role.quotas), 0.0)
                cooldown_s = max((role.cooldowns_s.get(act, 0.0) for role in roles.values()), default=0.0)
                key = f"bot:used:{person}:{act}"
                writes.add("ZADD", key, at, event)
                writes.add("ZREMRANGEBYSCORE", key, "-inf", at - max(longest_s, cooldown_s))
                writes.add("EXPIRE", key, int(max(longest_s, cooldown_s, 1)))

    def _save_act(self, writes: Writes, act: Paused | Audit) -> None:
        match act:
            case Paused(scope, feature, ""):
                writes.add("HDEL", f"bot:paused:{scope}", feature)
            case Paused(scope, feature, why):
                writes.add("HSET", f"bot:paused:{scope}", feature, why)
            case Audit():
                writes.add("RPUSH", "bot:audit", pack(act))

    def _save_draft(self, writes: Writes, draft: Draft) -> None:
        gone = ("EX", int(self.retention.discarded_s)) if draft.state == "discarded" else ()
        writes.add("SET", f"bot:draft:{draft.id}", pack(draft), *gone)
        for author in draft.authors:
            writes.add("ZADD", f"bot:drafts:{author}", draft.at, draft.id)
            writes.add("ZADD", f"bot:places:{author}", "NX", draft.at, draft.place)

    def say(self, writes: Writes, message: Message) -> None:
        """Add what writes a message into its conversation, or the slot that it stands in; and into the outbox."""
        place, key, keep_s = message.place, message.key, int(self.retention.conversations_s)
        writes.add("HSET", f"bot:talk:{place}", key, pack(message))
        if isinstance(message.body, Dialog):
            writes.add("SET", f"bot:asked:{message.to}", f"{place}\n{key}", "EX", DAY_S)
        else:
            writes.add("ZADD", f"bot:order:{place}", "NX", message.number, key)
            writes.add("EXPIRE", f"bot:order:{place}", keep_s)
        writes.add("EXPIRE", f"bot:talk:{place}", keep_s)
        if message.slot:
            writes.add("HSET", f"bot:slot:{place}", message.slot, key)
            writes.add("EXPIRE", f"bot:slot:{place}", keep_s)

    def order(self, writes: Writes, platform: str, origin: str, order: Order) -> None:
        """Add a row to the outbox of the place that the event came from: its rows are carried out in order."""
        writes.add("RPUSH", f"bot:outbox:{platform}|{origin}", pack(order))

    async def keep(self, message: Message) -> None:
        """Write a message that no event decided into its conversation."""
        writes = Writes()
        self.say(writes, message)
        await self.memory.all([tuple(op) for op in writes.ops], atomic=True)

    async def commit(self, event: Event, hold: Hold, writes: Writes) -> str:
        """Carry the writes out and mark the event decided: "done"; "again" if it was already; "lost" if the locks were.

        "moved" if the person was linked since the event was read: it is to be read anew (`bot.ids.now`).
        """
        keys = [f"bot:inbox:{event.platform}:{event.id}", f"bot:todo:{event.platform}", *hold.keys]
        args = (hold.token, event.id, int(self.retention.inbox_s), json.dumps(writes.ops), event.person)
        found: bytes = await self.memory.script(COMMIT, keys, *args)
        return found.decode()

    # --- saying

    async def ring(self, what: str) -> None:
        """Tell every process what `bot.bell` hears: "people", "stop|about", "platform|origin" whose outbox has more."""
        await self.memory.do("PUBLISH", BELL, what)

    async def outboxes(self, platform: str) -> list[str]:
        """The places whose outbox holds something."""
        lead = f"bot:outbox:{platform}|"
        return sorted({key.removeprefix(lead) async for key in self.memory.keys(f"{lead}*")})

    async def outbox(self, platform: str, origin: str) -> list[tuple[bytes, Order]]:
        """What was decided in a place and is not done yet, in order; each with its row, by which `done` finds it."""
        rows = await self.memory.do("LRANGE", f"bot:outbox:{platform}|{origin}", 0, -1)
        return [(row, unpack(row, Order)) for row in rows]

    async def done(self, platform: str, origin: str, row: bytes) -> None:
        """Take a row out of the outbox: it has been carried out."""
        await self.memory.do("LREM", f"bot:outbox:{platform}|{origin}", 1, row)

    async def message(self, place: str, key: str) -> Message | None:
        row = await self.memory.do("HGET", f"bot:talk:{place}", key)
        return unpack(row, Message) if row else None

    async def address(self, message: Message) -> tuple[str, int]:
        """What the platform calls a message and which revision it shows there; ("", -1) if it was never shown."""
        row = await self.memory.do("HGET", f"bot:sent:{message.place}", message.key)
        address, _, revision = row.decode().rpartition("\n") if row else ("", "", "-1")
        return address, int(revision)

    async def shown(self, place: str) -> set[str]:
        """The addresses of all messages of a place that were shown."""
        return {row.decode().rpartition("\n")[0] for row in await self.memory.do("HVALS", f"bot:sent:{place}")}

    async def sent(self, message: Message, address: str) -> None:
        """Note that the platform shows this revision of a message; others who look at the place hear of it."""
        key, keep_s = f"bot:sent:{message.place}", int(self.retention.conversations_s)
        row = f"{address}\n{message.revision}"
        await self.memory.all(
            [("HSET", key, message.key, row), ("EXPIRE", key, keep_s), ("PUBLISH", CHANGED, f"{self.name}\n{message.place}")],
            atomic=True,
        )

    async def finish(self, message: Message, answer: Answer, turn: Turn | None = None) -> Message | None:
        """Save the end of a stream in its message, and with it the turn that it ends.

        None, and nothing saved, where the message is gone or ended already (by another process), or the turn is no longer
        open or on a later attempt.
        """
        message, turn = await now(self.memory, message), await now(self.memory, turn)
        body = replace(answer, text=answer.text or "…", stream="", passing=False)
        whole = replace(message, body=body, live=False, revision=message.revision + 1)
        expected = f'"tries":{turn.tries},"state":"open"' if turn else ""  # as `pack` writes a Turn
        keys = [f"bot:talk:{message.place}", f"bot:turn:{turn.id if turn else ''}"]
        row = pack(turn) if turn else ""
        return whole if await self.memory.script(FINISH, keys, message.key, pack(whole), expected, row) else None

    async def talk(self, place: str, most: int = 200) -> list[Message]:
        """The newest messages of a conversation, oldest first."""
        keys = await self.memory.do("ZRANGE", f"bot:order:{place}", -most, -1)
        rows = await self.memory.do("HMGET", f"bot:talk:{place}", *keys) if keys else []
        return [unpack(row, Message) for row in rows if row]

    async def asked(self, person: str) -> Message | None:
        """The dialog that is open for somebody: what a restarted terminal opens again."""
        row = await self.memory.do("GET", f"bot:asked:{person}")
        place, _, key = row.decode().partition("\n") if row else ("", "", "")
        return await self.message(place, key) if key else None

    async def places(self, platform: str, person: str) -> list[Conversation]:
        """The conversations that somebody takes part in, the direct one first."""
        first = direct(platform, person)
        names = [row.decode() for row in await self.memory.do("ZRANGE", f"bot:places:{person}", 0, -1)]
        names = [first, *(name for name in names if name != first and name.startswith(f"{platform}:"))]
        rows = await self._get([f"bot:place:{name}" for name in names], Conversation)
        return [row or Conversation(name) for name, row in zip(names, rows, strict=True)]

    async def drafts(self, person: str) -> tuple[Draft, ...]:
        """What somebody writes and has not discarded, oldest first."""
        ids = [row.decode() for row in await self.memory.do("ZRANGE", f"bot:drafts:{person}", 0, -1)]
        found = await self._get([f"bot:draft:{name}" for name in ids], Draft)
        return tuple(one for one in found if one and one.state != "discarded")

    async def draft(self, name: str) -> Draft | None:
        return (await self._get([f"bot:draft:{name}"], Draft))[0]

    # --- watching runs

    async def watch(self, platform: str, run: str, order: Order) -> None:
        """Note that a platform tells a run's steps: that one alone from now on, if another did."""
        await self.memory.do("HSET", "bot:watch", run, f"{platform}\n{pack(order)}")

    async def watches(self, platform: str, run: str) -> bool:
        """Whether a platform is still the one that tells a run's steps."""
        row = await self.memory.do("HGET", "bot:watch", run)
        return row is not None and row.startswith(f"{platform}\n".encode())

    async def watched(self, platform: str = "") -> dict[str, Order]:
        """The orders of the runs whose steps a platform tells; without one, of all."""
        rows = [(run, *row.partition(b"\n")) for run, row in (await self.memory.do("HGETALL", "bot:watch")).items()]
        return {run.decode(): unpack(row, Order) for run, where, _, row in rows if platform in ("", where.decode())}

    async def unwatch(self, run: str, platform: str = "") -> None:
        """A run is told to its end, unless another platform than that tells it by now."""
        await self.memory.script(UNWATCH, ["bot:watch"], run, f"{platform}\n" if platform else "")
