"""The manifest: with what it asks for, and no more, a session goes through."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bot import settings as settings_module
from bot.platforms.slack import hear, manifest, run
from tests.bot.slack.front import Labbot, button
from tests.fakes.model import Model
from tests.fakes.slack.server import Slack

ENTRY = b"version: 3\ncreated_by: alice-lab\ntask_description: Greet people\nseed_examples:\n" + b"".join(
    b"  - question: Hello %d?\n    answer: Hello to you, %d!\n" % (at, at) for at in range(5)
)
DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "slack"


def made(url: str = "", **environment: str) -> dict[str, Any]:
    loaded = settings_module.reloaded(settings_module.load(environment), {"platforms.slack.url": url} if url else {})
    found: dict[str, Any] = json.loads(run.manifest(loaded))
    return found


@pytest.mark.filterwarnings("ignore:.*BasicAuth:DeprecationWarning")
async def test_with_the_manifest_s_scopes_and_events_alone_a_session_goes_through(labbot: Labbot, model: Model) -> None:
    async with Slack(manifest=made()) as fake:
        team = fake.team("lab")
        channel, closed, bob = team.channel("general"), team.channel("closed", private=True, members=()), team.user("bob")
        closed.members.append(bob.id)
        labbot.fake, labbot.team = fake, team
        await labbot.start()
        await bob.opens_home()
        await fake.until(lambda: fake.home(bob))
        await labbot.after(bob.opens_home("messages"))
        card = await labbot.draft(bob, channel)
        await labbot.says(bob, channel, "Greet people", card)
        opened = await labbot.opens(bob, labbot.card(channel, card), "About")
        await labbot.fills(bob, opened, {"description": "Greet everybody"})
        await labbot.asks(bob, closed, "tell me a story")
        await labbot.quiet()
        await labbot.story(bob.dm, labbot.says(bob, bob.dm, "tell me a story"))
        await labbot.after(bob.stops(labbot.said(bob.dm)[-1]))
        fake.fail("chat.postMessage", "lost")
        await labbot.says(bob, bob.dm, "", files=[("qna.yaml", ENTRY)])
        await labbot.after(bob.shortcut("ask", await bob.says(channel, "what is a skill?")))
        await labbot.lab(bob, channel, "privacy export")
        export = await labbot.comes(channel, "labbot-export.json", reader=bob)
        await labbot.acked(bob.presses(export, button(export, "Whole: ")))
        await fake.until(lambda: any(one.get("files") for one in labbot.said(bob.dm)))
        await labbot.quiet()
        refused = [(one.method, one.error) for one in fake.requests if one.error not in ("", "lost")]
        await labbot.crash()

        assert refused == []
        assert fake.violations == []


@pytest.mark.skipif(not (DATA / "methods").is_dir(), reason="Slack's reference is not beside the checkout")
def test_each_scope_is_needed_by_a_method_that_is_called_or_an_event_that_is_heard() -> None:
    needed = {"commands"}  # the slash command and the shortcuts
    package = Path(manifest.__file__).parent
    code = "\n".join(path.read_text(encoding="utf-8") for path in package.glob("*.py") if path.name != "tiers.py")
    for method in set(re.findall(r'"((?:[a-zA-Z]+\.)+[a-zA-Z]+)"', code)):
        path = DATA / "methods" / f"{method}.json"
        if path.exists():
            needed |= _scopes(json.loads(path.read_text(encoding="utf-8")))
    for event in manifest.EVENTS:
        path = DATA / "events" / f"{event}.json"
        if path.exists():
            needed |= _scopes(json.loads(path.read_text(encoding="utf-8")))

    assert set(manifest.SCOPES) - needed - {"files:read"} == set()  # files are fetched by their address


def _scopes(told: Any) -> set[str]:
    """Every scope that a page of the reference names."""
    return set(re.findall(r"[a-z_]+:(?:read|write|history)", json.dumps(told).replace(".", ":")))


def test_the_manifest_is_one_that_slack_takes() -> None:
    for found in (made(), made("https://labbot.example.org", LABBOT_SLACK_CLIENT_ID="1.2")):
        features, settings = found["features"], found["settings"]
        names = [one["callback_id"] for one in features["shortcuts"]]

        assert set(found) <= {"_metadata", "display_information", "features", "oauth_config", "settings"}
        assert len(found["display_information"]["name"]) <= 35
        assert len(found["display_information"]["description"]) <= 140
        assert len(features["bot_user"]["display_name"]) <= 80
        assert len(features["agent_view"]["agent_description"]) <= 300
        assert names == ["ask", "skill"]
        assert all(len(one["name"]) <= 24 and len(one["description"]) <= 150 for one in features["shortcuts"])
        assert [one["command"] for one in features["slash_commands"]] == [hear.COMMAND]
        assert all(len(one["description"]) <= 2000 and len(one["usage_hint"]) <= 1000 for one in features["slash_commands"])
        assert all(one["should_escape"] for one in features["slash_commands"])
        assert set(settings["event_subscriptions"]["bot_events"]) == set(manifest.EVENTS)
        assert found["oauth_config"]["scopes"]["bot"] == sorted(found["oauth_config"]["scopes"]["bot"])


def test_over_http_every_address_is_labbot_s_and_over_the_socket_there_is_none() -> None:
    url = "https://labbot.example.org"
    by_socket, by_http = made(), made(url, LABBOT_SLACK_CLIENT_ID="1.2")

    assert "url" not in json.dumps(by_socket).replace("redirect_urls", "")
    assert by_socket["settings"]["socket_mode_enabled"]
    assert not by_http["settings"]["socket_mode_enabled"]
    assert by_http["settings"]["interactivity"]["request_url"] == f"{url}/slack/events"
    assert by_http["oauth_config"]["redirect_urls"] == [f"{url}/slack/oauth_redirect"]
