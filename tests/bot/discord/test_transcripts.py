"""Every transcript plays through Discord: in a guild, in direct messages, and without the right to read every message."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bot.play import Player, play_file
from bot.settings import Settings
from pipeline.embedded import Server
from pipeline.memory import Memory
from tests.bot.discord.player import DiscordPlayer
from tests.fakes.model import Model

FOLDER = Path(__file__).resolve().parents[2] / "transcripts"
FILES = sorted(FOLDER.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_the_bot_says_in_a_guild_what_the_transcript_says(
    path: Path, settings: Settings, server: Server, memory: Memory, docs: dict[str, str], model: Model
) -> None:
    await plays(DiscordPlayer, path, settings, server, docs, model)


async def plays(
    kind: Callable[..., Player], path: Path, settings: Settings, server: Server, docs: dict[str, str], model: Model
) -> None:
    try:
        player = await play_file(settings, path, server, docs, model, kind)
    finally:
        server.up()

    assert (player.lacks, player.differences) == ([], [])
