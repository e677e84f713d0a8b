"""What tests of Discord may ask for: a fake one with a guild, a channel and a person in it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from bot import house
from bot.faq import Faq
from bot.platforms.discord import wire
from bot.settings import Settings
from pipeline.embedded import Server
from pipeline.memory import Memory
from tests.bot.discord.front import Labbot
from tests.fakes.discord.asking import Asking
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel, Guild
from tests.fakes.model import Model


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


@pytest.fixture
async def labbot(
    fake: Discord,
    read_once: Settings,
    faq: Faq,
    server: Server,
    memory: Memory,
    model: Model,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Labbot]:
    """A labbot that is not started yet, with a model whose answers are told, on an empty Redis."""
    monkeypatch.setattr(house, "faq_of", lambda settings: faq)
    monkeypatch.setattr(wire, "WAITS_S", (0.02, 0.05, 0.1))
    settings = replace(read_once, data=tmp_path / "data", cache=tmp_path_factory.getbasetemp() / "cache")
    made = Labbot(settings, server, fake, model)
    yield made
    await made.crash()


@pytest.fixture
def bob(fake: Discord, guild: Guild) -> Person:
    """Somebody with no role, in English."""
    made = fake.user("bob")
    guild.join(made)
    return made
