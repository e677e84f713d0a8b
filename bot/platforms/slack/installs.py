"""Where workspaces' installations are kept: in Redis, sealed by the vault, until labbot is taken out of the workspace.

One row a workspace, or one an organization that installed labbot for all of its own (`is_enterprise_install`: there is no
team then): the bot's tokens, the newest installation, and each installer's. Nothing is remembered here: reading a row and
opening it takes 0.1 ms, so that what was taken away is gone for every process at once.
"""

import hashlib
import json
import logging
import secrets
from collections.abc import Mapping
from typing import Any, TypeVar

from slack_sdk.oauth.installation_store import Bot, Installation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore

from bot.platforms.slack.workspaces import Workspace
from pipeline.memory import Memory
from pipeline.vault import Vault

log = logging.getLogger("labbot.slack")

STATE_S = 600  # from "Add to Slack" to the way back
_BOT, _NEWEST, _USER = "bot", "newest", "user."  # fields of a row

Kind = TypeVar("Kind", Bot, Installation)


class Installs(AsyncInstallationStore):
    """Installations as Bolt keeps and finds them. Raises Temporary while Redis is away, Failed for a row that does not open."""

    def __init__(self, memory: Memory, vault: Vault) -> None:
        self.memory, self.vault = memory, vault

    @property
    def logger(self) -> logging.Logger:
        return log

    # --- kept

    async def async_save(self, installation: Installation) -> None:
        """Keep an installation as the newest and as its installer's, and its bot if it has one."""
        where = _where(installation.enterprise_id, installation.team_id, installation.is_enterprise_install)
        whole = _text(installation)
        fields = {_NEWEST: whole, f"{_USER}{installation.user_id}": whole}
        if installation.bot_token:
            fields[_BOT] = _text(installation.to_bot())
        await self._keep(where, fields, installation.team_id)

    async def async_save_bot(self, bot: Bot) -> None:
        """Keep a bot's tokens: where they are rotated they are new every twelve hours."""
        await self._keep(_where(bot.enterprise_id, bot.team_id, bot.is_enterprise_install), {_BOT: _text(bot)}, bot.team_id)

    async def _keep(self, where: str, fields: Mapping[str, str], team: str | None) -> None:
        sealed = [part for field, text in fields.items() for part in (field, self.vault.seal(text, _name(where, field)))]
        rows: list[tuple[Any, ...]] = [("HSET", _row(where), *sealed)]
        await self.memory.all([*rows, *([("SET", _index(team), where)] if team else [])], atomic=True)

    # --- found

    async def async_find_bot(
        self, *, enterprise_id: str | None, team_id: str | None, is_enterprise_install: bool | None = False
    ) -> Bot | None:
        """The bot of a workspace: the organization's, where that installed labbot for all."""
        for where in _places(enterprise_id, team_id, is_enterprise_install):
            if found := await self._read(where, _BOT, Bot):
                return found
        return None

    async def async_find_installation(
        self,
        *,
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None = None,
        is_enterprise_install: bool | None = False,
    ) -> Installation | None:
        """The newest installation of a workspace, or the one of that user there."""
        for where in _places(enterprise_id, team_id, is_enterprise_install):
            if found := await self._read(where, f"{_USER}{user_id}" if user_id else _NEWEST, Installation):
                return found
        return None

    async def workspace(self, team: str, enterprise: str = "") -> Workspace | None:
        """A workspace by its id, as the events' side knows it; None if labbot is not, or no longer, installed there.

        In an organization that installed labbot for all, a workspace is found by what an event said of it once: by both
        ids from then on it is found by its own alone.
        """
        row = await self.memory.do("GET", _index(team))
        where = row.decode() if row else ""
        found = await self._read(where, _BOT, Bot) if where else None
        if found is None and enterprise:
            found = await self.async_find_bot(enterprise_id=enterprise, team_id=team)
            if found:
                await self.memory.do("SET", _index(team), _where(enterprise, team, found.is_enterprise_install))
        return Workspace(team, found.bot_token, found.bot_user_id, found.bot_id) if found else None

    async def _read(self, where: str, field: str, kind: type[Kind]) -> Kind | None:
        token = await self.memory.do("HGET", _row(where), field)
        return kind(**json.loads(self.vault.open(token, _name(where, field)))) if token else None

    # --- taken away

    async def async_delete_bot(self, *, enterprise_id: str | None, team_id: str | None) -> None:
        await self.memory.do("HDEL", _row(_where(enterprise_id, team_id, None)), _BOT)

    async def async_delete_installation(
        self, *, enterprise_id: str | None, team_id: str | None, user_id: str | None = None
    ) -> None:
        """Take away one user's installation, the newest too if it is theirs; without a user all of them, but for the bot."""
        row, where = _row(_where(enterprise_id, team_id, None)), _where(enterprise_id, team_id, None)
        fields = [field.decode() for field in await self.memory.do("HKEYS", row)]
        gone = [field for field in fields if field == f"{_USER}{user_id}" or (user_id is None and field != _BOT)]
        newest = await self._read(where, _NEWEST, Installation) if user_id and _NEWEST in fields else None
        if newest and newest.user_id == user_id:
            gone.append(_NEWEST)
        if gone:
            await self.memory.do("HDEL", row, *gone)

    async def async_delete_all(self, *, enterprise_id: str | None, team_id: str | None) -> None:
        """Take away all that is kept of a workspace; without a team, of the organization's installation for all."""
        where = _where(enterprise_id, team_id, None)
        found = [key async for key in self.memory.keys("bot:installed:slack:*")]
        rows = await self.memory.do("MGET", *found) if found else []
        leading = [key for key, row in zip(found, rows, strict=True) if row == where.encode()]
        await self.memory.do("DEL", _row(where), *leading)

    async def erase(self, team: str, enterprise: str = "") -> None:
        """labbot was taken out of a workspace. One that has labbot by its organization only loses nothing but the way there.

        Without a team it was taken out of the organization.
        """
        if not team:
            return await self.async_delete_all(enterprise_id=enterprise, team_id=None)
        row = await self.memory.do("GET", _index(team))
        where = row.decode() if row else _where(enterprise, team, None)
        await self.memory.do("DEL", _index(team), *([] if where.endswith(f".{_NONE}") else [_row(where)]))

    async def rotate(self) -> int:
        """Seal everything anew by the first key. Returns how many rows there were; doing it again does no harm."""
        count = 0
        async for row in self.memory.keys("bot:install:slack:*"):
            where, held = row.removeprefix(_row("")), await self.memory.do("HGETALL", row)
            for field, token in held.items():
                fresh = self.vault.rotate(token, _name(where, field.decode()))
                await self.memory.script(_SWAP, [row], field, token, fresh)
            count += 1
        return count


# KEYS: a row. ARGV: a field, what it held, what it is to hold: nothing that was written meanwhile is undone.
_SWAP = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
"""

_NONE = "-"  # in place of an id that is not there


class States(AsyncOAuthStateStore):
    """What proves that who comes back from Slack has set out here: good once, for ten minutes."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    @property
    def logger(self) -> logging.Logger:
        return log

    async def async_issue(self, *args: Any, **kwargs: Any) -> str:
        state = secrets.token_urlsafe(32)
        await self.memory.do("SET", _state(state), "1", "EX", STATE_S)
        return state

    async def async_consume(self, state: str) -> bool:
        """Whether it was issued here and not used yet; used it is from now on."""
        return bool(await self.memory.do("DEL", _state(state)))


def _places(enterprise: str | None, team: str | None, org: bool | None) -> list[str]:
    """Where an installation may be: the workspace's own first, then the organization's for all."""
    own = [] if org or not team else [_where(enterprise, team, False)]
    return [*own, *([_where(enterprise, None, True)] if enterprise else [])]


def _where(enterprise: str | None, team: str | None, org: bool | None) -> str:
    return f"{enterprise or _NONE}.{(None if org else team) or _NONE}"


def _text(one: Bot | Installation) -> str:
    """All of it as JSON, times as ISO 8601: the library reads both back."""
    return json.dumps(one.to_dict_for_copying(), default=lambda at: at.isoformat())


def _name(where: str, field: str) -> str:
    return f"slack:{where}:{field}"


def _row(where: str) -> str:
    return f"bot:install:slack:{where}"


def _index(team: str) -> str:
    return f"bot:installed:slack:{team}"


def _state(state: str) -> str:
    return f"bot:oauth:slack:{hashlib.sha256(state.encode('utf-8', 'surrogatepass')).hexdigest()}"
