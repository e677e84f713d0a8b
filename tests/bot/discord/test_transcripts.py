"""Transcripts play through Discord, and end in the same files as at the terminal.

In a guild all of them; in direct messages, and where labbot may not read what does not name it, one of each kind. What
Discord does not tell of direct messages, neither roles nor a language, keeps some from being played there.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bot.play import Player, play_file
from bot.settings import Settings
from pipeline.embedded import Server
from pipeline.memory import Memory
from tests.bot.apart import TRANSCRIPTS, transcripts
from tests.bot.discord.player import DirectPlayer, DiscordPlayer, NamingPlayer
from tests.fakes.github.told import told
from tests.fakes.model import Model

Play = Callable[[Path, Callable[..., Player]], Awaitable[Player]]

FILES = transcripts("discord")
EACH = [TRANSCRIPTS / f"{name}.txt" for name in ("chat_edit", "corrections", "drafts", "faq", "skill")]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One guild is there when the gateway says that it is ready."""
    monkeypatch.setattr("bot.platforms.discord.gateway.GUILDS_S", 0.0)


@pytest.fixture
def play(settings: Settings, small_recipes: Path, server: Server, memory: Memory, docs: dict[str, str]) -> Play:
    async def plays(path: Path, kind: Callable[..., Player]) -> Player:
        try:
            with told() as github:
                async with Model() as model:
                    player = await play_file(replace(settings, home=small_recipes), path, server, docs, model, kind, github)
        finally:
            server.up()
        assert (player.lacks, player.differences) == ([], [])
        return player

    return plays


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_the_bot_says_in_a_guild_what_the_transcript_says_and_the_files_are_those_of_the_terminal(
    path: Path, play: Play, memory: Memory, at_the_terminal: dict[Path, list[str]]
) -> None:
    files = (await play(path, DiscordPlayer)).files
    if files and path not in at_the_terminal:
        await memory.do("FLUSHALL")
        at_the_terminal[path] = (await play(path, Player)).files
    assert files == at_the_terminal.get(path, [])


@pytest.mark.parametrize("path", EACH, ids=lambda path: path.stem)
async def test_the_bot_says_the_same_in_direct_messages(path: Path, play: Play) -> None:
    await play(path, DirectPlayer)


@pytest.mark.parametrize("path", EACH, ids=lambda path: path.stem)
async def test_the_bot_says_the_same_where_it_reads_only_what_names_it(path: Path, play: Play) -> None:
    await play(path, NamingPlayer)
