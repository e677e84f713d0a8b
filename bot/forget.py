"""Everything that is kept of a person: handed over as one record, or taken away; and what is older than it may be.

Both walk the table of keys (`bot.keys`). What a person said lies in conversations, what they made in drafts and
questions; the bot's own messages quote it, so places that are theirs go whole, and in places of others go their messages and
the answers to them. Redis keeps old commands in its file, so that is written anew at the end.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from bot.bell import PEOPLE
from bot.core.chatting import attempt
from bot.core.records import Asked, Conversation, Draft, Turn, merged
from bot.core.talk import Answer, Card, Event, Forget
from bot.core.words import Words
from bot.ids import MOVED, family
from bot.pack import pack, unpack
from bot.rooms import Rooms
from bot.rows import Message, Order
from bot.store import Store
from pipeline.errors import Temporary
from pipeline.runs import Runs

RUNS_S = 120.0  # longest wait for runs that were told to stop
REWRITE_S = 60.0  # longest wait for Redis to write its file anew
TYPED = "bot:typed:{}:*"

Also = Callable[[str], Awaitable[None]]
_OF_A_PLACE = ("place", "order", "talk", "sent", "slot", "turns")  # and its room, which is found both ways


async def export(store: Store, person: str) -> dict[str, Any]:
    """All records of somebody, as JSON has them: names, drafts, what they said and were told, questions, kept answers."""
    row = await store.memory.do("GET", f"bot:person:{person}")
    aliases = [key async for key, value in _values(store, "bot:alias:*") if value == person]
    drafts = [one for one in await _drafts(store) if person in one.authors]
    said = {place: [_bare(one) for one in await store.talk(place, 10_000) if one.who == person or one.to == person]
            for place in await _places(store, person, drafts)}  # fmt: skip
    asked = [one for one in await store.questions() if person in (one.person, one.by)]
    return {
        "person": json.loads(row) if row else None,
        "known as": sorted(alias.removeprefix("bot:alias:") for alias in aliases),
        "drafts": [_bare(one) for one in drafts],
        "conversations": {place: messages for place, messages in said.items() if messages},
        "questions": [_bare(one) for one in asked],
        "questions to the model": [_bare(one) for one in await turns(store, person)],
        "typed and not sent": [json.loads(row) async for row in _typed(store, person)],
        "answers kept for the FAQ": [_bare(one) for one in await store.kept() if person in one.people],
    }


async def _typed(store: Store, person: str) -> AsyncIterator[bytes]:
    """What somebody typed into dialogs that they closed."""
    async for key in store.memory.keys(TYPED.format(person)):
        if row := await store.memory.do("GET", key):
            yield row


def _bare(record: object) -> Any:
    return json.loads(pack(record))


async def forget(store: Store, person: str) -> None:
    """Take away what is kept of somebody. Doing it again, after a crash, takes away what is left."""
    everything = await _drafts(store)
    mine = [one for one in everything if one.owner == person]
    places = await _places(store, person, [one for one in everything if person in one.authors])
    await _questions(store, person)
    await _turns(store, await turns(store, person))
    for place in places:
        threads = any(place == one.place or place.endswith(f"/{one.id}") for one in mine)  # also where one lay before
        whole = place.endswith(f":@{person}") or f":@{person}/" in place or threads
        await (_drop(store, place) if whole else _leave(store, place, person))
    for draft in everything:
        if draft.owner != person and person in draft.authors:
            await store.memory.do("SET", f"bot:draft:{draft.id}", pack(without(draft, person)))
    await _slots(store, [one.id for one in mine])
    await _delete(store, [f"bot:draft:{one.id}" for one in mine])
    for author in {author for one in mine for author in one.authors}:
        await store.memory.all(("ZREM", f"bot:drafts:{author}", one.id) for one in mine)
        await store.memory.all(("ZREM", f"bot:places:{author}", one.place) for one in mine)
    before = (await family(store.memory, person))[1:]
    for one in (person, *before):
        await _unheard(store, one)
    aliases = [key async for key, value in _values(store, "bot:alias:*") if value == person]
    own = [f"bot:{name}:{person}" for name in ("person", "drafts", "places", "asked", "accounts", "coded")]
    code = await store.memory.do("GET", f"bot:coded:{person}")
    own += [f"bot:code:{code.decode()}"] if code else []
    used = [key async for key in store.memory.keys(f"bot:used:{person}:*")]
    users = [key async for key in store.memory.keys(f"bot:user:*:{person}")]
    typed = [key async for key in store.memory.keys(TYPED.format(person))]
    await _delete(store, [*aliases, *own, *used, *users, *typed])
    if before:
        await store.memory.do("HDEL", MOVED, *before)
    await store.ring(PEOPLE)
    await rewrite(store)


async def talked(store: Store, person: str, place: str) -> int:
    """Take away what somebody and the model said in one place, from the conversation too. Returns how many questions."""
    found = await turns(store, person, place)
    names, events = {one.id for one in found}, {event for one in found for event in one.events}
    said = [one for one in await store.talk(place, 10_000) if one.event in events or _about(one) in names]
    await _messages(store, place, [one.key for one in said])
    await _turns(store, found)
    await rewrite(store)
    return len(found)


def _about(message: Message) -> str:
    """The turn that a message is about."""
    return attempt(message.body.subject)[0] if isinstance(message.body, Answer) else ""


def without(draft: Draft, person: str) -> Draft:
    """Somebody else's draft without what this person wrote into it."""
    gone: dict[str, str | None] = {key: None for key, hand in draft.hands.items() if hand == person}
    hands = {key: hand for key, hand in draft.hands.items() if hand != person}
    authors = tuple(one for one in draft.authors if one != person)
    heard = {message: keys for message, keys in draft.heard.items() if not set(keys) & set(gone)}
    answers = merged(draft.answers, gone)
    return replace(
        draft,
        answers=answers,
        hands=hands,
        authors=authors,
        heard=heard,
        undo=(),
        revision=draft.revision + 1,
        signed=0.0,
        upload=(),  # whoever sent it: who did can send it again
    )


async def rewrite(store: Store) -> None:
    """Have Redis write its file anew, so that it no longer holds the old commands; where it may not be told to, it waits."""
    try:
        await store.memory.do("BGREWRITEAOF")
        async with asyncio.timeout(REWRITE_S):
            while _rewriting(await store.memory.do("INFO", "persistence")):  # noqa: ASYNC110, another process does it
                await asyncio.sleep(0.05)
    except (Temporary, TimeoutError):
        return


def _rewriting(info: Mapping[str, Any]) -> bool:
    return bool(info.get("aof_rewrite_in_progress") or info.get("aof_rewrite_scheduled"))


async def carry_out(store: Store, runs: Runs, wanted: Forget, words: Words, also: Also | None = None) -> list[str]:
    """Take away everything of a person, or what they and the model said in a place. Returns what they are told, in lines.

    `also` takes away what is kept of a person elsewhere.
    """
    if wanted.place:
        return [words("chat.forgotten", count=await talked(store, wanted.person, wanted.place))]
    audited = [await store.audited(one) for one in await family(store.memory, wanted.person)]
    stays = await everything(store, runs, wanted.person, also)
    lines = [words("privacy.forgotten"), *(words("privacy.stays", what=one) for one in stays)]
    return [*lines, words("privacy.audit")] if any(audited) else lines


async def everything(store: Store, runs: Runs, person: str, also: Also | None = None) -> list[str]:
    """Stop and take away a person's runs, then all the rest. Returns what stays, because it was made public."""
    names = await family(store.memory, person)
    records = {run: record for one in names for run, record in (await runs.export(one)).items()}
    for run in records:
        await runs.cancel(run, person)
    try:
        async with asyncio.timeout(RUNS_S):
            while [run for one in names for run in await runs.forget(one)]:  # noqa: ASYNC110, another process ends them
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise Temporary("a run does not stop") from error
    await unwatch(store, person)
    if also:
        for one in names:
            await also(one)
    await forget(store, person)
    return [_public(one["facts"]) for one in records.values() if "branch" in one["facts"]]


def _public(facts: Mapping[str, str]) -> str:
    """How a proposal that was made public is found."""
    return facts.get("url") or f"{facts['branch']} ({facts['commit']})"


async def sweep(store: Store, now: float) -> None:
    """Take messages away that are older than conversations are kept; a conversation that goes on never expires whole."""
    oldest = int((now - store.retention.conversations_s) * 1000) * 100
    async for key in store.memory.keys("bot:order:*"):
        place = key.removeprefix("bot:order:")
        old = await store.memory.do("ZRANGEBYSCORE", key, "-inf", f"({oldest}")
        if old:
            await store.memory.all(
                [("HDEL", f"bot:talk:{place}", *old), ("HDEL", f"bot:sent:{place}", *old), ("ZREM", key, *old)], atomic=True
            )


async def unwatch(store: Store, person: str) -> None:
    """Take away the orders whose runs are watched: the start of one has what it was begun with."""
    for run, order in (await store.watched()).items():
        if order.person == person:
            await store.unwatch(run)


async def tidy(store: Store, runs: Runs) -> None:
    """Take away what is older than it may be. Of several processes one does at a time: what one has looked at stays there."""
    async with store.held("tidy"):
        await sweep(store, runs.clock())
        await prune(store, runs)


async def prune(store: Store, runs: Runs) -> list[str]:
    """Take away the folders of runs that are over, too old or too many; never one that a draft refers to."""
    names = [key.removeprefix("bot:draft:") async for key in store.memory.keys("bot:draft:*")]
    drafts = [draft for name in dict.fromkeys(names) if (draft := await store.draft(name))]
    referenced = {run for draft in drafts for run in (draft.run, draft.answers.get("document.run", "")) if run}
    kept = store.retention
    return await runs.prune(older_s=kept.runs_s, most_bytes=kept.runs_bytes or None, referenced=referenced)


# --- places


async def _places(store: Store, person: str, drafts: Iterable[Draft]) -> list[str]:
    """Every place where somebody may have said something or been spoken to."""
    found = {row.decode() for row in await store.memory.do("ZRANGE", f"bot:places:{person}", 0, -1)}
    found |= {one.place for one in drafts}
    async for key in store.memory.keys("bot:order:*"):
        place = key.removeprefix("bot:order:")
        if f":@{person}" in place or place in found or await _spoke(store, place, person):
            found.add(place)
    async for key in store.memory.keys(f"bot:room:*:@{person}*"):  # one that nothing was said in outside of its threads
        found.add(key.removeprefix("bot:room:"))
    return sorted(found)


async def _spoke(store: Store, place: str, person: str) -> bool:
    needle = json.dumps(person).encode()
    return any(needle in row for row in await store.memory.do("HVALS", f"bot:talk:{place}"))


async def _drop(store: Store, place: str) -> None:
    await Rooms(store.memory, place.partition(":")[0]).drop(place)
    await _delete(store, [f"bot:{name}:{place}" for name in _OF_A_PLACE])


async def _leave(store: Store, place: str, person: str) -> None:
    """Take a person's messages out of a place of others, what was said to them alone, and what answered them.

    Cards go too, since one that somebody else's act drew anew may quote them; the next act draws the draft's again.
    """
    messages = await store.talk(place, 10_000)
    events = {one.event for one in messages if person in (one.who, one.to, one.ping)}
    gone = [
        one.key
        for one in messages
        if person in (one.who, one.to, one.ping) or one.event in events or (one.who == "" and isinstance(one.body, Card))
    ]
    await _messages(store, place, gone)
    row = await store.memory.do("GET", f"bot:place:{place}")
    if row:
        here = unpack(row, Conversation)
        rest = replace(here, people=tuple(one for one in here.people if one != person), questions=())
        await store.memory.do("SET", f"bot:place:{place}", pack(rest), "KEEPTTL")


async def _messages(store: Store, place: str, keys: list[str]) -> None:
    if not keys:
        return
    slots = await store.memory.do("HGETALL", f"bot:slot:{place}")
    stand = [slot for slot, key in slots.items() if key.decode() in keys]
    ops = [("HDEL", f"bot:talk:{place}", *keys), ("HDEL", f"bot:sent:{place}", *keys), ("ZREM", f"bot:order:{place}", *keys)]
    await store.memory.all([*ops, *([("HDEL", f"bot:slot:{place}", *stand)] if stand else [])], atomic=True)


async def _slots(store: Store, names: list[str]) -> None:
    """Take cards about things that are gone out of every place: invitations, runs."""
    async for key in store.memory.keys("bot:slot:*"):
        place = key.removeprefix("bot:slot:")
        rows = await store.memory.do("HGETALL", key)
        about = [row.decode() for slot, row in rows.items() if set(slot.decode().split(".")) & set(names)]
        await _messages(store, place, about)


# --- questions, drafts, events


async def turns(store: Store, person: str, place: str = "") -> list[Turn]:
    """What somebody asked the model, there or anywhere, oldest first."""
    if place:
        found = await store.turns(place, 10_000)
    else:
        keys = [key async for key in store.memory.keys("bot:turn:*")]
        rows = await store.memory.do("MGET", *keys) if keys else []
        found = sorted((unpack(row, Turn) for row in rows if row), key=lambda one: one.at)
    return [one for one in found if one.person == person]


async def _turns(store: Store, found: Iterable[Turn]) -> None:
    for one in found:
        await store.memory.all([("DEL", f"bot:turn:{one.id}"), ("ZREM", f"bot:turns:{one.place}", one.id)], atomic=True)


async def _questions(store: Store, person: str) -> None:
    for asked in await store.questions():
        if asked.person == person:
            await _delete(store, [f"bot:faq:{asked.id}"])
            await store.memory.do("ZREM", "bot:questions", asked.id)
            await _slots(store, [asked.id])
        elif asked.by == person:
            await store.memory.do("SET", f"bot:faq:{asked.id}", pack(_unanswered(asked)), "KEEPTTL")
            await _slots(store, [asked.id])
    for kept in await store.kept():
        if person in kept.people:
            await store.memory.do("HDEL", "bot:kept", kept.id)


def _unanswered(asked: Asked) -> Asked:
    return replace(asked, reply="", by="")


async def _unheard(store: Store, person: str) -> None:
    """Take away events of theirs that nobody has decided yet, and work that waits in outboxes."""
    async for key in store.memory.keys("bot:inbox:*"):
        row = await store.memory.do("GET", key)
        if row and row != b"decided" and unpack(row, Event).person == person:
            event = unpack(row, Event)
            await store.memory.all([("SET", key, "decided", "KEEPTTL"), ("LREM", f"bot:todo:{event.platform}", 0, event.id)])
    async for key in store.memory.keys("bot:outbox:*"):
        for row in await store.memory.do("LRANGE", key, 0, -1):
            order = unpack(row, Order)
            if order.person == person and order.do != "forget":
                await store.memory.do("LREM", key, 1, row)


async def _drafts(store: Store) -> list[Draft]:
    keys = [key async for key in store.memory.keys("bot:draft:*")]
    rows = await store.memory.do("MGET", *keys) if keys else []
    return [unpack(row, Draft) for row in rows if row]


async def _values(store: Store, pattern: str) -> Any:
    async for key in store.memory.keys(pattern):
        row = await store.memory.do("GET", key)
        yield key, row.decode() if row else ""


async def _delete(store: Store, keys: list[str]) -> None:
    if keys:
        await store.memory.do("DEL", *keys)
