"""People's GitHub accounts as they are kept: a row each, its tokens sealed by the vault under the account's id.

A worker hands a stage the row as it is; the stage opens it with the vault's key of its own environment, so that a token is in
no run folder, no list of processes, no message. One that ends within the hour is renewed before it is handed over, by one
process at a time: what renews it is good once.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.errors import Failed, Invalid, Problem
from pipeline.github import device
from pipeline.github.client import Hub
from pipeline.memory import Memory
from pipeline.vault import Vault

SOON_S = 3600.0  # a stage may wait for limits that long
RENEW_MS = 60_000  # the longest that one process renews
LOOK_S = 0.2
ROW, FRESH = "github:account:{}", "github:fresh:{}"

# KEYS: a row. ARGV: a field, what it held, then fields and values: nothing that was written or forgotten meanwhile is undone.
SWAP = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HSET', KEYS[1], unpack(ARGV, 3)) end
"""

# KEYS: the row of who goes, of who stays. The one who stays keeps their own.
MOVE = """
if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('RENAMENX', KEYS[1], KEYS[2]) == 0 then redis.call('DEL', KEYS[1]) end
"""


@dataclass(frozen=True, slots=True)
class Account:
    """`at`: when it was linked, seconds since 1970. `scopes` as GitHub granted them."""

    login: str
    user: str
    scopes: str = ""
    at: float = 0.0


class Accounts:
    """All methods raise Temporary while Redis is away. Without a vault nothing is kept or opened, only taken away."""

    def __init__(
        self, memory: Memory, vault: Vault | None, hub: Hub, client: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.memory, self.vault, self.hub, self.client, self.clock = memory, vault, hub, client, clock

    async def save(self, person: str, grant: device.Grant) -> Account:
        """Keep what GitHub gave, after asking whose it is. Raises as `device.whose`."""
        login, user = await device.whose(self.hub, grant.token)
        await self.memory.do("HSET", ROW.format(person), *_pairs(self._sealed(user, grant)), "login", login, "at", self.clock())
        return Account(login, user, grant.scopes, self.clock())

    async def find(self, person: str) -> Account | None:
        row = await self._row(person)
        return Account(row["login"], row["user"], row.get("scopes", ""), float(row.get("at", 0))) if row else None

    async def given(self, person: str) -> dict[str, str]:
        """What a stage is given to act for somebody: login, user, and the token, sealed; {} where none is linked."""
        row = await self._fresh(person)
        return {name: row[name] for name in ("login", "user", "token")} if row else {}

    async def token(self, person: str) -> str:
        """The token itself, "" where none is linked. Raises Invalid where it ended, Failed where no key opens it."""
        row = await self._fresh(person)
        return opened(self.vault, row) if row and self.vault else ""

    async def forget(self, person: str) -> None:
        await self.memory.do("DEL", ROW.format(person), FRESH.format(person))

    async def export(self, person: str) -> dict[str, object]:
        """What is kept of somebody, without tokens."""
        found = await self.find(person)
        return {"login": found.login, "id": found.user, "scopes": found.scopes, "linked": found.at} if found else {}

    async def rotate(self) -> int:
        """Seal everything by the vault's first key; return how many accounts. Raises Failed for one that does not open."""
        assert self.vault
        count = 0
        async for key in self.memory.keys(ROW.format("*")):
            row = _texts(await self.memory.do("HGETALL", key))
            for name in ("token", "refresh"):
                if sealed := row.get(name):
                    await self.memory.script(SWAP, [key], name, sealed, name, self.vault.rotate(sealed, _name(row["user"])))
            count += 1
        return count

    async def _row(self, person: str) -> dict[str, str]:
        return _texts(await self.memory.do("HGETALL", ROW.format(person)))

    async def _fresh(self, person: str) -> dict[str, str]:
        """The row with a token that is good for a while."""
        while self._ends(row := await self._row(person)):
            if not await self.memory.do("SET", FRESH.format(person), 1, "NX", "PX", RENEW_MS):
                await asyncio.sleep(LOOK_S)
                continue
            try:
                await self._renew(person)
                return await self._row(person)
            finally:
                await self.memory.do("DEL", FRESH.format(person))
        return row

    def _ends(self, row: Mapping[str, str]) -> bool:
        return 0 < float(row.get("expires", 0)) < self.clock() + SOON_S

    async def _renew(self, person: str) -> None:
        row = await self._row(person)  # another process may just have done it
        if not self._ends(row):
            return
        if not row.get("refresh") or not self.vault:
            raise Invalid(Problem("github.revoked", "the token ends and cannot be renewed", "GitHub", device.RETRY))
        grant = await device.renew(self.hub, self.client, self.vault.open(row["refresh"], _name(row["user"])).decode())
        anew = _pairs(self._sealed(row["user"], grant))
        await self.memory.script(SWAP, [ROW.format(person)], "refresh", row["refresh"], *anew)

    def _sealed(self, user: str, grant: device.Grant) -> dict[str, str]:
        if not self.vault:
            raise Failed("an account cannot be kept: there is no LABBOT_VAULT_KEY")
        seal = {name: self.vault.seal(one, _name(user)).decode() if one else "" for name, one in _secrets(grant).items()}
        expires = self.clock() + grant.expires_s if grant.expires_s else 0.0
        return {**seal, "user": user, "scopes": grant.scopes, "expires": str(expires)}


async def moved(memory: Memory, goes: str, stays: str) -> None:
    """Let somebody's account be another's from now on, unless that one has one; tokens are sealed for neither of them."""
    await memory.script(MOVE, [ROW.format(goes), ROW.format(stays)])


def opened(vault: Vault, row: Mapping[str, str]) -> str:
    """The token of a row that a stage was given. Raises Failed where no key opens it."""
    return vault.open(row["token"], _name(row["user"])).decode()


def _name(user: str) -> str:
    """What a token is sealed as: its account's id, which stays when people are linked, or rename themselves."""
    return f"github:{user}"


def _secrets(grant: device.Grant) -> dict[str, str]:
    return {"token": grant.token, "refresh": grant.refresh}


def _pairs(row: Mapping[str, str]) -> list[str]:
    return [part for pair in row.items() for part in pair]


def _texts(row: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in row.items()}
