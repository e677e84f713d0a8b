"""Whom questions go to that the FAQ cannot answer, and who hears daily what waits for triage, as Discord names them."""

from bot.core.talk import direct
from bot.house import House
from bot.platforms.discord.threads import PLATFORM
from bot.rooms import Rooms, User
from bot.voice import Maintainers


async def maintainers(house: House) -> Maintainers:
    """Whom questions go to that the FAQ cannot answer: a channel, or somebody by their id."""
    section = house.settings.bot.workspaces.get(PLATFORM)
    return await _desk(house, section.maintainers if section else "")


async def triagers(house: House) -> list[tuple[str, str]]:
    """Where it is told daily what waits for triage."""
    section = house.settings.bot.workspaces.get(PLATFORM)
    found = await _desk(house, section.triagers if section else "")
    return [(found.place, "")] if found.place else []


async def _desk(house: House, named: str) -> Maintainers:
    whom = named.removeprefix("#")
    if whom.startswith("@"):
        person = await house.store.person(PLATFORM, PLATFORM, whom[1:], whom[1:])
        await Rooms(house.memory, PLATFORM).know(person, User(whom[1:]))
        return Maintainers(direct(PLATFORM, person), (person,))
    return Maintainers(f"{PLATFORM}:{whom}") if whom else Maintainers()
