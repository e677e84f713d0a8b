"""Links people's GitHub accounts: a code is shown, typed in at GitHub, and waited for, across restarts of this process.

What is waited for is a row of its own (`bot:linking`), sealed by the vault: whoever reads it could take the account's token
before its owner does. The row goes when the code is used up, refused or too old, and with its person.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace

from bot.core import cards
from bot.core import github as core
from bot.core.known import Hub
from bot.core.records import Draft, Person
from bot.core.talk import Answer, short
from bot.core.words import Table, Words, pick
from bot.ids import now
from bot.pack import pack, unpack
from bot.rows import Message, Order
from bot.scripts import SWAP
from bot.serving import insist
from bot.store import Store
from pipeline.errors import Failed, Invalid, LabError, Problem, Temporary
from pipeline.github import accounts, client, device
from pipeline.pulls import Rules
from pipeline.vault import Vault

log = logging.getLogger("labbot")

SCOPES = ("public_repo",)  # the least with which a fork can be made and written to
ROW = "bot:linking:{}"
# KEYS: that row. ARGV: whom what comes of it is told to from now on, if somebody waits still.
WAITS = """
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'order', ARGV[1]) end
"""
SEALED = "linking:{}"  # what the row is sealed as
BUSY_S = 30.0  # a lost answer of GitHub's is asked for again that often at most
CODE_S = 10.0  # the longest wait for a code: whoever else acts in that place waits too


@dataclass(frozen=True, slots=True)
class Where:
    """How this labbot is on GitHub: its place, the client id that links accounts, whether an App acts, the repository."""

    hub: client.Hub
    client: str = ""
    app: bool = False
    repo: str = ""
    rules: Rules = Rules()  # noqa: RUF009, it is frozen


class Linking:
    """One platform's part of it. `vault` is None where there is no key: then nobody can link an account, and hears why."""

    def __init__(
        self,
        store: Store,
        kept: accounts.Accounts,
        where: Where,
        vault: Vault | None,
        tables: Mapping[str, Table],
        clock: Callable[[], float],
    ) -> None:
        self.store, self.kept, self.where, self.vault, self.tables, self.clock = store, kept, where, vault, tables, clock

    async def look(self, person: str) -> Hub:
        """How somebody is on GitHub, as the core sees it."""
        found = await self.kept.find(person)
        links = bool(self.where.client and self.vault)
        return Hub(found.login if found else "", links, self.where.app, self.where.repo, self.where.rules)

    async def waiting(self, platform: str) -> list[Order]:
        """Who was shown a code that is not used yet, by an earlier process of this platform."""
        found = []
        async for key in self.store.memory.keys(ROW.format("*")):
            if (row := await self.store.memory.do("HGET", key, "order")) and (order := unpack(row, Order)).what == platform:
                found.append(order)
        return found

    async def begin(self, order: Order, platform: str) -> Message:
        """Ask GitHub for a code, unless one is waited for already, and say where it is to be typed."""
        words = pick(self.tables, order.locale)
        known = await self._code(order.person)
        try:
            code = known or await self._asked()
            minutes = max(1, round(code.expires_s / 60))
            text = words("github.code", url=code.url, code=code.user_code, minutes=minutes)
        except LabError as error:
            return self._message(order, "code", Answer(_told(words, error), private=True))
        whom = Order("account", order.place, order.key, platform, order.person, order.locale)
        await (self.store.memory.script(WAITS, [ROW.format(order.person)], pack(whom)) if known else self._keep(code, whom))
        return self._message(order, "code", Answer(text, private=True))

    async def _asked(self) -> device.Code:
        try:
            async with asyncio.timeout(CODE_S):
                return await device.begin(self.where.hub, self.where.client, SCOPES)
        except TimeoutError:
            raise Temporary("GitHub takes too long", kind="away") from None

    async def _keep(self, code: device.Code, whom: Order) -> None:
        assert self.vault, "the core offers it with a vault only"
        sealed = self.vault.seal(json.dumps(asdict(code)), SEALED.format(whom.person)).decode()
        key = ROW.format(whom.person)
        row = ("HSET", key, "code", sealed, "order", pack(whom), "until", str(self.clock() + code.expires_s))
        await self.store.memory.all([row, ("EXPIRE", key, str(round(code.expires_s) + 60))], atomic=True)

    async def _code(self, person: str) -> device.Code | None:
        """The code that somebody was shown; None where there is none, or its time is over."""
        sealed, until = await self.store.memory.do("HMGET", ROW.format(person), "code", "until")
        if not sealed or not self.vault or float(until) <= self.clock():
            return None
        try:
            return device.Code(**json.loads(self.vault.open(sealed, SEALED.format(person))))
        except Failed as error:  # sealed with a key that is gone: a new code costs nothing
            log.warning("a code to link an account with cannot be read: %s", str(error))
            return None

    async def end(self, order: Order, wait: Callable[[float], Awaitable[None]] = asyncio.sleep) -> Message | None:
        """Wait until the code is used or refused, keep the account, and say what came of it; None where nobody waits now,

        or somebody asked anew, who is told instead.
        """
        code = await insist(lambda: self._code(order.person))
        if code is None:
            return None
        try:
            grant = await self._granted(order, code, wait)
            login = await self._kept(order, grant) if grant else ""
            if not login:
                return None
            answer = core.linked(login, await insist(lambda: self._draft(order)), self._words(order))
        except LabError as error:
            answer = Answer(_told(self._words(order), error), private=True)
        await insist(lambda: self.store.memory.do("DEL", ROW.format(order.person)))
        return self._message(await now(self.store.memory, order), "end", answer)

    async def _draft(self, order: Order) -> Draft | None:
        """The draft that is written where the account was asked for, if its person writes it."""
        whom = await now(self.store.memory, order)
        draft = (await self.store.conversation(whom.place)).draft
        found = await self.store.draft(draft) if draft else None
        return found if found and whom.person in found.authors else None

    async def _kept(self, order: Order, grant: device.Grant) -> str:
        """Keep the account for whoever its person is by now; "" where they were forgotten, or do not want it any more."""
        whom = await insist(lambda: now(self.store.memory, order))
        login = await self.keep(whom.person, grant)
        if not await insist(lambda: self.store.memory.do("EXISTS", ROW.format(order.person))):
            await insist(lambda: self.kept.forget(whom.person))
            return ""
        later = await insist(lambda: now(self.store.memory, order))
        if later.person != whom.person:  # linked with somebody since, perhaps before there was anything to move
            await insist(lambda: accounts.moved(self.store.memory, whom.person, later.person))
        return login

    async def keep(self, person: str, grant: device.Grant) -> str:
        """Keep an account that was given, and write down what its person is called there; return that."""
        found = await insist(lambda: self.kept.save(person, grant))
        await insist(lambda: self._name(person, found.login))
        return found.login

    async def _granted(
        self, order: Order, code: device.Code, wait: Callable[[float], Awaitable[None]]
    ) -> "device.Grant | None":
        """What GitHub gives once the code is typed in. Raises Invalid where it was refused or is too old."""
        often_s = pause_s = code.interval_s
        while await insist(lambda: self._waits(order)) and await insist(lambda: self._code(order.person)) == code:
            await wait(pause_s)
            try:
                if grant := await device.poll(self.where.hub, self.where.client, code):
                    return grant
                pause_s = often_s
            except Temporary as error:
                log.info("an account is not linked yet: %s", str(error))
                often_s = max(often_s, error.wait_s or 0.0)  # which holds from then on: whoever asks sooner waits longer still
                pause_s = max(often_s, min(2 * pause_s, BUSY_S))
        return None

    async def _waits(self, order: Order) -> bool:
        """Whether what comes of the code is told to this order, and not to a later one."""
        row = await self.store.memory.do("HGET", ROW.format(order.person), "order")
        return bool(row) and unpack(row, Order).key == order.key

    async def unlink(self, order: Order) -> Message:
        """Forget somebody's account; what GitHub itself keeps of it they can take away there."""
        found, words = await self.kept.find(order.person), self._words(order)
        text = words("github.unlinked", login=found.login, web=self.where.hub.web) if found else words("github.none")
        told = self._message(order, "code", Answer(text, private=True))
        if before := await self.store.message(told.place, told.key):  # of an attempt that was not shown
            told = before
        await self.store.keep(told)
        await forget(self.store, self.kept, order.person)
        await self._name(order.person, "")
        return told

    async def _name(self, person: str, login: str) -> None:
        """Write down what somebody is called on GitHub; who writes them at the same moment does not lose anything by it."""
        while row := await self.store.memory.do("GET", f"bot:person:{person}"):
            known = unpack(row, Person)
            if known.github == login:
                return
            await self.store.memory.script(SWAP, [f"bot:person:{person}"], row, pack(replace(known, github=login)))

    def _words(self, order: Order) -> Words:
        return pick(self.tables, order.locale)

    def _message(self, order: Order, part: str, body: Answer) -> Message:
        key, at = short(f"github:{order.place}:{order.key}:{part}", 24), self.clock()
        return Message(
            key, order.place, int(at * 1000) * 100, at, "", body, to=order.person, event=order.key, locale=order.locale
        )


async def forget(store: Store, kept: accounts.Accounts, person: str) -> None:
    """Take away somebody's account, and before that the wait for one: what is given to it meanwhile is not kept."""
    await store.memory.do("DEL", ROW.format(person))
    await kept.forget(person)


def _told(words: Words, error: LabError) -> str:
    """What kept somebody from linking, in a sentence."""
    problem = error.problems[0] if isinstance(error, Invalid) else Problem("github.away", str(error))
    return cards.say_problem(words, problem)
