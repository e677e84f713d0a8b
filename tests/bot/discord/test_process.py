"""`labbot discord` as an operator runs it: a process, its signals, its exit status, what it says."""

import asyncio
import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest

from pipeline.embedded import Server
from pipeline.memory import Memory
from tests.bot.labbot import HOME, ended, process
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel
from tests.fakes.model import Model

pytestmark = pytest.mark.usefixtures("shared_cache")


def started(
    fake: Discord, tmp_path: Path, *words: str, token: str = "", **environment: str
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    told = {"LABBOT_DATA": str(tmp_path / "data"), "LABBOT_DISCORD_TOKEN": token or fake.token, **environment}
    return process("tests.bot.discord.process", fake.api, fake.gateway, "discord", *words, **told)


async def test_a_token_that_discord_does_not_take_is_one_sentence_and_status_2(fake: Discord, tmp_path: Path) -> None:
    async with started(fake, tmp_path, token="MTAwMDAw.wrong.token-of-nobody-at-all") as process:
        status, said = await ended(process)

    assert (status, said.count("\n")) == (2, 1), said
    assert "LABBOT_DISCORD_TOKEN: Discord does not take it." in said and "MTAwMDAw" not in said


async def test_an_intent_that_discord_does_not_grant_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    async with Discord(allowed_intents=1 | 1 << 9 | 1 << 12) as fake:
        fake.guild("lab")
        told = {"LABBOT_HOME": str(content_on(tmp_path))}
        async with started(fake, tmp_path, **told) as process:
            status, said = await ended(process)

    assert (status, said.count("\n"), "Message Content Intent" in said) == (2, 1, True), said


def content_on(tmp_path: Path) -> Path:
    """A checkout whose bot.yaml wants to read everything."""
    home = tmp_path / "checkout"
    (home / "configs").mkdir(parents=True)
    for path in (HOME / "configs").iterdir():
        if path.name != "bot.yaml":
            (home / "configs" / path.name).symlink_to(path)
    text = (HOME / "configs" / "bot.yaml").read_text(encoding="utf-8")
    assert "message_content: false" in text
    (home / "configs" / "bot.yaml").write_text(
        text.replace("message_content: false", "message_content: true"), encoding="utf-8"
    )
    return home


async def test_the_invitation_asks_for_seven_permissions_and_two_scopes(fake: Discord, tmp_path: Path) -> None:
    async with started(fake, tmp_path, "--invite") as process:
        status, said = await ended(process)

    url = httpx.URL(said.strip())
    assert (status, url.params["client_id"], url.params["scope"]) == (0, fake.application_id, "bot applications.commands")
    assert int(url.params["permissions"]).bit_count() == 7


async def test_without_a_token_it_says_where_to_put_one(fake: Discord, tmp_path: Path) -> None:
    async with started(fake, tmp_path, LABBOT_DISCORD_TOKEN="") as process:
        status, said = await ended(process)

    assert (status, said.startswith("LABBOT_DISCORD_TOKEN: there is none.")) == (2, True), said


async def test_told_to_end_it_lets_an_answer_end_and_ends_well(
    fake: Discord, channel: Channel, alice: Person, tmp_path: Path, server: Server, memory: Memory
) -> None:
    async with Model() as model:
        model.tell("says Once upon a time || there was a dog.")
        told = {"LABBOT_CHAT_URL": model.url, "LABBOT_REDIS_URL": server.url}
        async with started(fake, tmp_path, "--http", "127.0.0.1:0", **told) as process:
            await fake.until(lambda: fake.up.is_set() or process.returncode is not None, within_s=30)
            assert process.returncode is None, await ended(process)
            await alice.says(channel, "tell me a story", mention=True)
            await fake.until(lambda: any("Once upon" in shown.message["content"] for shown in fake.shown), within_s=30)
            process.send_signal(signal.SIGTERM)
            await alice.says(channel, "and another one, for the next process", mention=True)
            model.tell("goes on")
            status, said = await ended(process)

    last = fake.shown[-1].message["content"]
    assert (status, last) == (0, "Once upon a time there was a dog."), said
    assert await memory.do("LLEN", "bot:todo:discord") == 1
    assert fake.token not in said
