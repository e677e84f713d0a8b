"""What tests of Discord may ask for: a fake one with a guild, a channel and a person in it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.fakes.discord.asking import Asking
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel, Guild


@pytest.fixture
async def fake() -> AsyncIterator[Discord]:
    async with Discord() as made:
        yield made
        assert made.violations == []  # a test that makes some takes them out


@pytest.fixture
def guild(fake: Discord) -> Guild:
    return fake.guild("lab")


@pytest.fixture
def channel(guild: Guild) -> Channel:
    return guild.channel("general")


@pytest.fixture
def alice(fake: Discord, guild: Guild) -> Person:
    made = fake.user("alice", locale="de")
    guild.join(made, roles=["operator"])
    return made


@pytest.fixture
async def ask(fake: Discord) -> AsyncIterator[Asking]:
    async with aiohttp.ClientSession() as session:
        yield Asking(fake, session)
