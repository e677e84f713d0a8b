"""What tests of the bot may ask for: a store on the session's Redis, and settings on a fresh data folder."""

from pathlib import Path

import pytest

from bot import settings as settings_module
from bot.settings import Settings
from bot.store import Store
from pipeline.memory import Memory


@pytest.fixture
def store(memory: Memory) -> Store:
    return Store(memory, lease_s=0.2)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_module.load({"LABBOT_DATA": str(tmp_path / "data")})
