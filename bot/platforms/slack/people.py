"""What Slack knows of people: what they are called, their language, what they may."""

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from weakref import WeakValueDictionary

from bot.ear import remember
from bot.platforms.slack.hear import people
from bot.platforms.slack.wire import Refused, Wire
from pipeline.errors import Temporary

log = logging.getLogger("labbot.slack")

KEPT_S = 3600.0  # that long what Slack said of somebody is believed
WITHIN_S = 1.0  # longer than that nobody waits for names: Slack waits for its answer
NAMED = 20  # people of a text whose names are asked for


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody: `user` is TEAM.USER, `roles` are what `roles` of a workspace may name them by."""

    user: str
    name: str = ""
    locale: str = ""
    roles: tuple[str, ...] = ()


class People:
    """Asks Slack once an hour for each person. What it does not say in time is left out, and asked for the next time."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._known: OrderedDict[str, tuple[float, Who]] = OrderedDict()
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def who(self, team: str, user: str, name: str = "") -> Who:
        """Somebody by their id; `name` is what they are called if nothing else is known."""
        whole = f"{team}.{user}"
        kept = self._known.get(whole)
        if kept and monotonic() - kept[0] < KEPT_S:
            return kept[1]
        try:
            # A mention is told twice at once, and asked about once.
            async with asyncio.timeout(WITHIN_S), self._asking.setdefault(whole, asyncio.Lock()):
                if (told := self._known.get(whole)) and told is not kept:
                    return told[1]
                found = (await self.wire.ask(team, "users.info", user=user, include_locale=True))["user"]
        except (Refused, Temporary, TimeoutError) as error:
            log.info("slack: who somebody is was not told: %s", error or "in time")
            return kept[1] if kept else Who(whole, name or whole, roles=(user,))
        profile = found.get("profile") or {}
        name = profile.get("display_name") or found.get("real_name") or profile.get("real_name") or found.get("name") or name
        roles = (user, *(("admin",) if found.get("is_admin") or found.get("is_owner") else ()))
        who = Who(whole, str(name or whole), str(found.get("locale") or ""), roles)
        remember(self._known, whole, (monotonic(), who))
        return who

    async def names(self, team: str, text: str, me: str = "") -> dict[str, str]:
        """What the people are called whom a text names, by their ids: the first NAMED of them, the bot itself left out."""
        named = [user for user in people(text) if user != me][:NAMED]
        found = await asyncio.gather(*(self.who(team, user) for user in named))
        return {user: who.name for user, who in zip(named, found, strict=True)}
