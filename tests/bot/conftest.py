"""What tests of the bot may ask for: a store on the session's Redis, and settings on a fresh data folder."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot import settings as settings_module
from bot.settings import Settings
from bot.store import Store
from pipeline.memory import Memory
from tests.fakes.model import Model


@pytest.fixture
def store(memory: Memory) -> Store:
    return Store(memory, lease_s=0.2)


@pytest.fixture
def settings(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = settings_module.load({"LABBOT_DATA": str(tmp_path / "data"), "LABBOT_TINY": "small"})
    return replace(made, cache=tmp_path_factory.getbasetemp() / "cache")  # fitting the FAQ takes a second


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model() as made:
        yield made
