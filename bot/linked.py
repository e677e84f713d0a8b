"""One person on two platforms: codes are made and taken, rows that name the old id are turned over to the one that stays.

The step that decides a link is one script (LINK): the code is used up, the aliases lead to who stays, and no event of the
old id is committed any more. Then every row that names the old id is turned, each in one step and drafts and conversations
under their locks; killed anywhere, it is done again from the outbox and finds what is left.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace

from bot.bell import PEOPLE
from bot.core.gate import ACTS
from bot.core.known import Coded
from bot.core.linking import CODE, CODE_S, LETTERS, TRY, digest
from bot.core.records import Conversation, Draft, Person
from bot.core.talk import Answer, Link, Look
from bot.core.words import Table, Words, pick
from bot.ids import MOVED, now
from bot.pack import pack, unpack
from bot.rows import Message, Order
from bot.scripts import CODE as MAKE
from bot.scripts import LINK, NAMING, PART, TURN
from bot.store import Store
from pipeline.github.accounts import moved as moved_account
from pipeline.github.rows import Rows

LOOKS = ("code", "accounts")  # what is looked at here
# Kinds of rows that name people, in their names or in what they hold. In- and outboxes are put right when they are read.
NAMING_PEOPLE = (
    *("user", "room", "rooms", "late", "place", "order", "talk", "sent", "slot", "asked", "draft", "drafts", "places"),
    *("used", "watch", "faq", "turn", "turns", "kept", "typed"),
)
AT_ONCE = 100  # rows that one step looks into
HIDDEN = "link.hidden"  # what the store keeps of a message with a code


class Linking:
    """Carries out what `/link` asks for on one platform."""

    def __init__(self, store: Store, platform: str, tables: Mapping[str, Table]) -> None:
        self.store, self.memory, self.platform, self.tables = store, store.memory, platform, tables
        self._codes: dict[str, str] = {}  # by the message that shows it: a second attempt shows the same

    # --- what the core asks

    async def look(self, look: Look) -> object:
        match look.subject:
            case (str(code), str(person)):
                return await self._code(code, person)
            case str(person):
                return tuple(sorted({alias.split(":")[2] for alias in await self._accounts(person)}))
        raise AssertionError(look)

    async def _code(self, code: str, person: str) -> Coded:
        row = await self.memory.do("GET", f"bot:code:{code}")
        if not row:
            return Coded()
        maker, _, at = row.decode().partition(" ")
        moved = await self.memory.do("HGET", MOVED, maker)
        maker = moved.decode() if moved else maker
        on = [{alias.split(":")[2] for alias in await self._accounts(one)} for one in (maker, person)]
        return Coded(maker, float(at), bool(on[0] & on[1]))

    async def _accounts(self, person: str) -> list[str]:
        return [row.decode() for row in await self.memory.do("HKEYS", f"bot:accounts:{person}")]

    # --- what the core wants done: each says what came of it

    async def carry_out(self, order: Order, key: str, at: float) -> tuple[Message, Message]:
        """Do what was ordered. Returns the message that is to be shown under `key`, and as it is kept."""
        link, words = unpack(order.what, Link), pick(self.tables, order.locale)
        order = order if link.act == "take" else await now(self.memory, order)
        place, to = order.place, order.person
        match link.act:
            case "code":
                text, kept = await self._make(order, key, at, words), words(HIDDEN)
            case "take":
                text = kept = words(f"link.{await self._take(order.person, link)}", **await self._name(link.person))
                order = await now(self.memory, order)
                place, to = order.place, order.person
            case "off":
                to = await self._part(order)
                place = place.replace(f":@{order.person}", f":@{to}")
                text = kept = words("link.off")
        message = Message(key, place, int(at * 1000) * 100, at, "", Answer(text), to=to, event=order.key, locale=order.locale)
        return message, replace(message, body=Answer(kept))

    async def _make(self, order: Order, key: str, at: float, words: Words) -> str:
        code = self._codes.setdefault(key, "".join(secrets.choice(LETTERS) for _ in range(CODE)))
        named = digest(code)
        keys = [f"bot:coded:{order.person}", f"bot:code:{named}"]
        await self.memory.script(MAKE, keys, named, int(CODE_S), f"{order.person} {at}")
        half = CODE // 2
        return words("link.code", code=f"{code[:half]}-{code[half:]}", minutes=int(CODE_S // 60))

    def shown(self, key: str) -> None:
        """A message is shown: the code that it has is remembered nowhere from now on."""
        self._codes.pop(key, None)

    async def _name(self, person: str) -> dict[str, str]:
        return {"name": (await self.store.names([person])).get(person, "?")}

    async def _take(self, goes: str, link: Link) -> str:
        stays, found = link.person, "changed"
        while found == "changed":  # somebody else wrote one of the two rows
            rows = await self.memory.do("MGET", f"bot:person:{goes}", f"bot:person:{stays}")
            texts = [row.decode() if row else "" for row in rows]
            people = [
                unpack(text, Person) if text else Person(one, one) for text, one in zip(texts, (goes, stays), strict=True)
            ]
            one = pack(joined(people[1], people[0]))
            found = (await self.memory.script(LINK, [f"bot:code:{link.code}"], goes, stays, *texts, one)).decode()
        if found == "done":
            await turn_over(self.store, goes, stays)
            await self.store.ring(PEOPLE)
        return {"done": "done", "taken": "taken"}.get(found, "wrong")

    async def _part(self, order: Order) -> str:
        """Give the accounts of this platform a person of their own, named by the order. Returns whom."""
        to = f"p{hashlib.sha256(f'part:{self.platform}:{order.key}'.encode()).hexdigest()[:10]}"
        row = await self.memory.do("GET", f"bot:person:{order.person}")
        known = unpack(row, Person) if row else Person(order.person, order.person)
        fresh = Person(to, known.name, blocked=known.blocked)
        await self.memory.script(PART, [], self.platform, order.person, to, pack(fresh), *ACTS, TRY)
        await self.store.ring(PEOPLE)
        return to


def joined(stays: Person, goes: Person) -> Person:
    """Both as one: what one lacks the other brings, and a block of either holds."""
    return replace(
        stays,
        github=stays.github or goes.github,
        full_name=stays.full_name or goes.full_name,
        mail=stays.mail or goes.mail,
        tells=stays.tells if stays.tells != Person("", "").tells else goes.tells,
        blocked=stays.blocked or goes.blocked,
    )


async def turn_over(store: Store, goes: str, stays: str) -> None:
    """Have every row that names one id name the other; doing it again does nothing."""
    waiting: list[str] = []
    async for key in store.memory.keys("bot:*"):
        if key.split(":")[1] in NAMING_PEOPLE:
            waiting.append(key)
        if len(waiting) == AT_ONCE:
            await _turn_over(store, waiting, goes, stays)
            waiting = []
    await _turn_over(store, waiting, goes, stays)
    await Rows(store.memory).move(goes, stays)
    await moved_account(store.memory, goes, stays)


async def _turn_over(store: Store, keys: list[str], goes: str, stays: str) -> None:
    for row in await store.memory.script(NAMING, keys, goes) if keys else []:
        key = row.decode()
        kind, _, name = key.removeprefix("bot:").partition(":")
        there = key.replace(goes, stays)
        lock = "draft" if kind == "draft" else "place"
        async with store.held(*sorted({f"{lock}:{one}" for one in (name, name.replace(goes, stays))})):
            await store.memory.script(TURN, [key, there], goes, stays)
            if there != key:
                await store.memory.script(TURN, [there, there], goes, stays)
            await _once(store, kind, there)


async def _once(store: Store, kind: str, key: str) -> None:
    """Somebody who wrote a draft with themselves is one author of it."""
    row = await store.memory.do("GET", key) if kind in ("draft", "place") else None
    if not row:
        return
    one = unpack(row, Draft) if kind == "draft" else unpack(row, Conversation)
    people = one.authors if isinstance(one, Draft) else one.people
    once = tuple(dict.fromkeys(people))
    if once != people:
        changed = replace(one, authors=once) if isinstance(one, Draft) else replace(one, people=once)
        await store.memory.do("SET", key, pack(changed), "KEEPTTL")
