"""Many workspaces: "Add to Slack", the way back, tokens that are sealed, and gone when labbot is taken out."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from starlette.applications import Starlette

from bot.platforms.slack import oauth
from bot.platforms.slack.keys import Keys
from pipeline import vault
from tests.bot.slack.front import Labbot
from tests.fakes.slack.server import Slack

# slack_sdk hands aiohttp a login in the way of before (DeprecationWarning of aiohttp 3.14).
pytestmark = pytest.mark.filterwarnings("ignore:.*BasicAuth:DeprecationWarning")


@pytest.fixture
async def pages(labbot: Labbot, fake: Slack) -> AsyncIterator[httpx.AsyncClient]:
    """A labbot whom workspaces install, and a browser at its two pages."""
    key = {"LABBOT_VAULT_KEY": vault.key()}
    labbot.settings = replace(labbot.settings, environment={**labbot.settings.environment, **key})
    labbot.many = True
    await labbot.start(platforms__slack__url="https://labbot.example.org")
    keys = Keys(app=fake.app_token, client=fake.client_id, secret=fake.client_secret)
    installs = labbot.front.workspaces.installs
    assert isinstance(installs, oauth.Installs)
    app = Starlette(routes=oauth.routes(labbot.house, keys, installs, fake.api))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://labbot.example.org") as client:
        yield client


async def test_a_workspace_installs_labbot_talks_with_it_and_takes_it_out(
    labbot: Labbot, fake: Slack, pages: httpx.AsyncClient
) -> None:
    other = fake.team("other", installed=False)
    channel, carol = other.channel("general"), other.user("carol")
    page = await pages.get("/slack/install")
    address = httpx.URL(page.headers["location"])
    back = await pages.get("/slack/oauth_redirect", params={"code": fake.code(other, carol), "state": address.params["state"]})
    await labbot.after(carol.says(channel, "/quota", mention=True), times=2)

    assert set(address.params["scope"].split(",")) == set(oauth.SCOPES)
    assert back.status_code == 200
    assert labbot.said(channel) or [one for one in fake.shown if one.kind == "ephemeral"]
    assert [key for key in labbot.holding(other.bot_token)] == []

    token = other.bot_token
    other.uninstalls()
    await fake.until(lambda: not labbot.holding("bot:install:"))
    assert token not in repr(labbot.front.workspaces)


async def test_a_way_back_with_a_state_that_was_used_installs_nothing(
    labbot: Labbot, fake: Slack, pages: httpx.AsyncClient
) -> None:
    other = fake.team("other", installed=False)
    carol = other.user("carol")
    page = await pages.get("/slack/install")
    state = httpx.URL(page.headers["location"]).params["state"]
    first = await pages.get("/slack/oauth_redirect", params={"code": fake.code(other, carol), "state": state})
    again = await pages.get("/slack/oauth_redirect", params={"code": fake.code(other, carol), "state": state})

    assert (first.status_code, again.status_code) == (200, 400)


async def test_events_of_a_workspace_that_has_not_installed_labbot_are_answered_by_nothing(
    labbot: Labbot, fake: Slack, pages: httpx.AsyncClient
) -> None:
    other = fake.team("other")  # the fake knows it; labbot has no row of it
    channel, carol = other.channel("general"), other.user("carol")
    await carol.says(channel, "hello", mention=True)
    heard = fake.heard[-1]
    await fake.until(lambda: heard.done.is_set())

    assert labbot.said(channel) == []
