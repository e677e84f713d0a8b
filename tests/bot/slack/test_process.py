"""`labbot slack` as an operator runs it: a process, its signals, its exit status, what it says."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest

from bot.__main__ import main
from bot.platforms.slack import manifest
from pipeline.embedded import Server
from pipeline.memory import Memory
from tests.bot.labbot import ended, process
from tests.fakes.model import Model
from tests.fakes.slack.people import Person, Workspace
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel

pytestmark = pytest.mark.usefixtures("shared_cache")

Ask = Callable[..., tuple[int, str]]

BOT, APP, SIGNING = "LABBOT_SLACK_BOT_TOKEN", "LABBOT_SLACK_APP_TOKEN", "LABBOT_SLACK_SIGNING_SECRET"


def started(
    fake: Slack, team: Workspace, tmp_path: Path, *words: str, **environment: str
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    told = {"LABBOT_DATA": str(tmp_path / "data"), BOT: team.bot_token, APP: fake.app_token, **environment}
    return process("tests.bot.slack.process", fake.api, "slack", *words, **told)


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Give the command line what it answers at once: the status, and what it said."""
    for name in [name for name in os.environ if name.startswith("LABBOT_")]:
        monkeypatch.delenv(name)

    def asks(*words: str, **environment: str) -> tuple[int, str]:
        told = {"LABBOT_DATA": str(tmp_path / "data"), BOT: "xoxb-1-right", APP: "xapp-1-right", **environment}
        for name, text in told.items():
            monkeypatch.setenv(name, text)
        status = main(["slack", *words])
        return status, "".join(capsys.readouterr())

    return asks


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({BOT: "xoxb-1-of-nobody"}, f"{BOT}: Slack does not take it (invalid_auth)."),
        ({APP: "xapp-1-of-nobody"}, f"{APP}: Slack does not take it (invalid_auth)."),
    ],
)
async def test_a_token_that_slack_does_not_take_is_one_sentence_and_status_2(
    fake: Slack, team: Workspace, tmp_path: Path, server: Server, wrong: dict[str, str], told: str
) -> None:
    async with started(fake, team, tmp_path, LABBOT_REDIS_URL=server.url, **wrong) as process:
        status, said = await ended(process)

    assert (status, said.count("\n")) == (2, 1), said
    assert told in said
    assert "of-nobody" not in said


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({BOT: ""}, f"{BOT}: there is none."),
        ({APP: ""}, f"{APP}: there is none, and no signing secret for HTTP."),
        ({BOT: "xapp-1-swapped"}, f"{BOT}: it does not begin with xoxb-."),
        ({APP: "xoxb-swapped"}, f"{APP}: it does not begin with xapp-."),
        ({APP: "", SIGNING: "a-secret"}, "--http: Slack reaches labbot nowhere."),
    ],
)
def test_a_token_that_is_missing_or_in_another_s_place_is_one_sentence_and_status_2(
    ask: Ask, wrong: dict[str, str], told: str
) -> None:
    status, said = ask("--check", **wrong)

    assert (status, said.count("\n")) == (2, 1), said
    assert said.startswith(told)
    assert "swapped" not in said


def test_the_manifest_is_printed_without_any_token(ask: Ask) -> None:
    status, said = ask("--manifest", **{BOT: "", APP: ""})

    assert status == 0, said
    assert json.loads(said)["oauth_config"]["scopes"]["bot"] == list(manifest.SCOPES)


def test_a_check_says_what_it_would_do_and_does_nothing(ask: Ask, tmp_path: Path) -> None:
    _, said = ask("--check")

    assert "serve one workspace of Slack over Socket Mode." in said
    assert "xoxb-1-right" not in said
    assert [one.name for one in (tmp_path / "data").iterdir()] == ["cache"]


async def test_told_to_end_it_lets_an_answer_end_and_ends_well(
    fake: Slack, team: Workspace, channel: Channel, bob: Person, tmp_path: Path, server: Server, memory: Memory
) -> None:
    async with Model() as model:
        model.tell("says Once upon a time || there was a dog.")
        told = {"LABBOT_CHAT_URL": model.url, "LABBOT_REDIS_URL": server.url}
        async with started(fake, team, tmp_path, "--http", "127.0.0.1:0", **told) as process:
            await fake.until(lambda: fake.up.is_set() or process.returncode is not None, within_s=30)
            assert process.returncode is None, await ended(process)
            asking = await bob.says(channel, "tell me a story", mention=True)
            await fake.until(lambda: "Once upon" in _last(fake, channel, asking), within_s=30)
            process.send_signal(signal.SIGTERM)
            await bob.says(channel, "and another one, for the next process", mention=True)
            await fake.until(
                lambda: any("another one" in one.event.get("text", "") and one.acked.is_set() for one in fake.heard)
            )
            model.tell("goes on")
            status, said = await ended(process)

    assert (status, _last(fake, channel, asking)) == (0, "Once upon a time there was a dog."), said
    assert await memory.do("LLEN", "bot:todo:slack") == 1
    assert team.bot_token not in said


async def test_over_http_it_serves_what_slack_tells_beside_its_health(
    fake: Slack, team: Workspace, bob: Person, tmp_path: Path, server: Server, memory: Memory
) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{found.getsockname()[1]}"
    told = {APP: "", SIGNING: fake.signing_secret, "LABBOT_REDIS_URL": server.url}
    fake.mode, fake.events_url = "http", f"http://{place}/slack/events"
    async with started(fake, team, tmp_path, "--http", place, **told) as process, httpx.AsyncClient() as client:
        await _up(client, f"http://{place}/healthz", process)
        verified = await fake.verify_url()
        await bob.says(bob.dm, "/quota")
        await fake.until(lambda: any("no limit" in str(one.message) for one in fake.shown), within_s=20)
        metrics = (await client.get(f"http://{place}/metrics")).text
        process.send_signal(signal.SIGTERM)
        status, said = await ended(process)

    assert verified
    assert "labbot_events_heard_total" in metrics
    assert status == 0, said
    assert fake.signing_secret not in said


async def _up(client: httpx.AsyncClient, url: str, process: asyncio.subprocess.Process) -> None:
    """Wait until the process says that it is well."""
    async with asyncio.timeout(30):
        while process.returncode is None:
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    raise AssertionError(await ended(process))


def _last(fake: Slack, channel: Channel, thread: dict[str, object]) -> str:
    said = [one for one in fake.messages(channel, thread) if one.get("bot_id")]
    return str(said[-1]["text"]) if said else ""
