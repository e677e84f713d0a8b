"""Every transcript plays through Slack, by socket and by HTTP, and ends in the same files as at the terminal.

In a channel of a workspace all of them; in direct messages, where each message at the top begins a thread, one of each kind.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.play import Player, play_file
from bot.settings import Settings
from pipeline.embedded import Server
from pipeline.memory import Memory, connect
from tests.bot.slack.player import DirectPlayer, HttpPlayer, SlackPlayer
from tests.fakes.model import Model

Play = Callable[[Path, Callable[..., Player], Server], Awaitable[list[str]]]

FOLDER = Path(__file__).resolve().parents[2] / "transcripts"
FILES = sorted(FOLDER.glob("*.txt"))
EACH = [FOLDER / f"{name}.txt" for name in ("chat_edit", "corrections", "drafts", "faq", "skill")]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that pauses has paused at once."""
    monkeypatch.setattr("bot.platforms.slack.streams.PAUSE_S", 0.05)


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A second Redis: what takes longest in a transcript is to wait, and two can do that at once."""
    made = Server(tmp_path_factory.mktemp("another"))
    made.up()
    yield made
    made.down()


@pytest.fixture
def play(settings: Settings, small_recipes: Path, docs: dict[str, str]) -> Play:
    """Plays a transcript on an empty Redis. Returns the files of the drafts that are whole at its end."""

    async def plays(path: Path, kind: Callable[..., Player], server: Server) -> list[str]:
        try:
            await emptied(server)
            async with Model() as model:
                player = await play_file(replace(settings, home=small_recipes), path, server, docs, model, kind)
        finally:
            server.up()
        assert (player.lacks, player.differences) == ([], []), kind.__name__
        return player.files

    return plays


async def emptied(server: Server) -> None:
    memory = connect(server.url)
    await memory.do("FLUSHALL")
    await memory.close()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_the_bot_says_by_socket_and_by_http_what_the_transcript_says_and_the_files_are_those_of_the_terminal(
    path: Path, play: Play, memory: Memory, server: Server, another: Server, at_the_terminal: dict[Path, list[str]]
) -> None:
    async def by_socket() -> list[str]:
        files = await play(path, SlackPlayer, server)
        if files and path not in at_the_terminal:
            at_the_terminal[path] = await play(path, Player, server)
        return files

    async with asyncio.TaskGroup() as both:
        socket, http = both.create_task(by_socket()), both.create_task(play(path, HttpPlayer, another))

    assert socket.result() == http.result() == at_the_terminal.get(path, [])


@pytest.mark.parametrize("path", EACH, ids=lambda path: path.stem)
async def test_the_bot_says_the_same_in_direct_messages(path: Path, play: Play, memory: Memory, server: Server) -> None:
    await play(path, DirectPlayer, server)
