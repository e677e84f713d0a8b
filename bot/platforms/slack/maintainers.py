"""Whom questions go to that the FAQ cannot answer, and who hears daily what waits for triage, as Slack names them."""

from bot.core.talk import direct
from bot.house import House
from bot.platforms.slack.threads import PLATFORM
from bot.rooms import Rooms, User
from bot.voice import Maintainers


async def maintainers(house: House, team: str) -> Maintainers:
    """Of the workspace that labbot has its token for: a channel by its id, or somebody by theirs."""
    section = house.settings.bot.workspaces.get(team) or house.settings.bot.workspaces.get(PLATFORM)
    return await _desk(house, team, section.maintainers if section else "")


async def triagers(house: House, team: str) -> list[tuple[str, str]]:
    """Where it is told daily what waits for triage."""
    section = house.settings.bot.workspaces.get(team) or house.settings.bot.workspaces.get(PLATFORM)
    found = await _desk(house, team, section.triagers if section else "")
    return [(found.place, team)] if found.place else []


async def _desk(house: House, team: str, named: str) -> Maintainers:
    whom = named.removeprefix("#") if team else ""
    if whom.startswith("@"):
        user = f"{team}.{whom[1:]}"
        person = await house.store.person(PLATFORM, PLATFORM, user, whom[1:])
        await Rooms(house.memory, PLATFORM).know(person, User(user))
        return Maintainers(direct(PLATFORM, person), (person,))
    return Maintainers(f"{PLATFORM}:{team}.{whom}") if whom else Maintainers()
