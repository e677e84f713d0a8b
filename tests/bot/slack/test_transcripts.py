"""Transcripts play through Slack, by socket or by HTTP, and end in the same files as at the terminal.

In a channel of a workspace each in one of the two ways, which say the same to the bot, in turn; one of each kind in
both, and in direct messages, where each message at the top begins a thread.
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
from tests.bot.slack.player import DirectPlayer, HttpPlayer, SlackPlayer
from tests.fakes.github.told import told
from tests.fakes.model import Model

Play = Callable[[Path, Callable[..., Player]], Awaitable[list[str]]]

FILES = transcripts("slack")
EACH = [TRANSCRIPTS / f"{name}.txt" for name in ("chat_edit", "corrections", "drafts", "faq", "skill")]
WAYS = {"socket": SlackPlayer, "http": HttpPlayer}
PLAYS = [
    (path, way) for at, path in enumerate(FILES) for turn, way in enumerate(WAYS) if path in EACH or turn == at % len(WAYS)
]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that pauses has paused at once."""
    monkeypatch.setattr("bot.platforms.slack.streams.PAUSE_S", 0.05)


@pytest.fixture
def play(settings: Settings, small_recipes: Path, server: Server, memory: Memory, docs: dict[str, str]) -> Play:
    """Plays a transcript. Returns the files of the drafts that are whole at its end."""

    async def plays(path: Path, kind: Callable[..., Player]) -> list[str]:
        try:
            with told() as github:
                async with Model() as model:
                    player = await play_file(replace(settings, home=small_recipes), path, server, docs, model, kind, github)
        finally:
            server.up()
        assert (player.lacks, player.differences) == ([], [])
        return player.files

    return plays


@pytest.mark.parametrize(("path", "way"), PLAYS, ids=[f"{path.stem}-{way}" for path, way in PLAYS])
async def test_the_bot_says_in_a_channel_what_the_transcript_says_and_the_files_are_those_of_the_terminal(
    path: Path, way: str, play: Play, memory: Memory, at_the_terminal: dict[Path, list[str]]
) -> None:
    files = await play(path, WAYS[way])
    if files and path not in at_the_terminal:
        await memory.do("FLUSHALL")
        at_the_terminal[path] = await play(path, Player)

    assert files == at_the_terminal.get(path, [])


@pytest.mark.parametrize("path", EACH, ids=lambda path: path.stem)
async def test_the_bot_says_the_same_in_direct_messages(path: Path, play: Play) -> None:
    await play(path, DirectPlayer)
