"""What tests of Slack may ask for: a fake one with a workspace, a channel and people in it."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from bot import house
from bot.faq import Faq
from bot.platforms.slack import posts, wire
from bot.settings import Settings
from pipeline.embedded import Server
from pipeline.memory import Memory
from tests.bot.slack.front import Labbot
from tests.fakes.model import Model
from tests.fakes.slack.asking import Asking
from tests.fakes.slack.people import Person, Workspace
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel


@pytest.fixture
async def fake() -> AsyncIterator[Slack]:
    async with Slack() as made:
        yield made
        assert made.violations == []  # a test that makes some takes them out


@pytest.fixture
def team(fake: Slack) -> Workspace:
    return fake.team("lab")


@pytest.fixture
def channel(team: Workspace) -> Channel:
    return team.channel("general")


@pytest.fixture
def alice(team: Workspace) -> Person:
    return team.user("alice", locale="de-DE")


@pytest.fixture
def bob(team: Workspace) -> Person:
    return team.user("bob")


@pytest.fixture
async def ask(fake: Slack, team: Workspace) -> AsyncIterator[Asking]:
    async with aiohttp.ClientSession() as session:
        yield Asking(fake, team, session)


@pytest.fixture
async def labbot(
    fake: Slack,
    team: Workspace,
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
    monkeypatch.setattr(posts, "WAITS_S", (0.0, 0.02, 0.05))
    settings = replace(read_once, data=tmp_path / "data", cache=tmp_path_factory.getbasetemp() / "cache")
    made = Labbot(settings, server, fake, team, model)
    yield made
    await made.crash()


@pytest.fixture(params=["socket", "http"])
def mode(fake: Slack, request: pytest.FixtureRequest) -> str:
    """Each way in which Slack tells what happens."""
    fake.mode = request.param
    return str(request.param)


@pytest.fixture(scope="session")
def reference() -> dict[str, dict[str, object]]:
    """Slack's reference of its methods, by their names."""
    folder = Path(__file__).resolve().parents[4] / "shared" / "data" / "slack" / "methods"
    if not folder.exists():
        pytest.skip("the reference of Slack's methods is not beside the checkout")
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
