"""Whom questions go to that the FAQ cannot answer, as Slack names them."""

from bot.core.talk import direct
from bot.house import House
from bot.platforms.slack.threads import PLATFORM
from bot.rooms import Rooms, User
from bot.voice import Maintainers


async def maintainers(house: House, team: str) -> Maintainers:
    """Of the workspace that labbot has its token for: a channel by its id, or somebody by theirs."""
    section = house.settings.bot.workspaces.get(team) or house.settings.bot.workspaces.get(PLATFORM)
    whom = section.maintainers.removeprefix("#") if section and team else ""
    if whom.startswith("@"):
        user = f"{team}.{whom[1:]}"
        person = await house.store.person(PLATFORM, PLATFORM, user, whom[1:])
        await Rooms(house.memory, PLATFORM).know(person, User(user))
        return Maintainers(direct(PLATFORM, person), (person,))
    return Maintainers(f"{PLATFORM}:{team}.{whom}") if whom else Maintainers()
