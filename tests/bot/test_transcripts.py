"""Every transcript plays through the shell and the terminal platform, on a real Redis and a real git."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bot.keys import KEYS as BOT_KEYS
from bot.play import play_file
from bot.settings import Settings
from bot.transcript import Bindings, Directs, Does, Expects, parse, seconds
from pipeline.embedded import Server
from pipeline.errors import Invalid
from pipeline.github.keys import KEYS as GITHUB_KEYS
from pipeline.memory import Memory
from pipeline.pool.ledger import KEYS as RUN_KEYS
from tests.fakes.github.told import Told
from tests.fakes.model import Model

FOLDER = Path(__file__).resolve().parent.parent / "transcripts"
FILES = sorted([*FOLDER.glob("*.txt"), *FOLDER.glob("terminal/*.txt")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_the_bot_says_what_the_transcript_says(
    path: Path,
    settings: Settings,
    small_recipes: Path,
    server: Server,
    memory: Memory,
    docs: dict[str, str],
    model: Model,
    github: Told,
) -> None:
    try:
        player = await play_file(replace(settings, home=small_recipes), path, server, docs, model, github=github)
    finally:
        server.up()

    assert (player.lacks, player.differences) == ([], [])
    assert [key async for key in memory.keys("*") if not in_a_table(key)] == []


def in_a_table(key: str) -> bool:
    patterns = [*(row.pattern for row in BOT_KEYS), *RUN_KEYS, *GITHUB_KEYS]
    return any(re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^|]+", re.escape(pattern)), key) for pattern in patterns)


async def test_a_line_that_the_bot_does_not_say_is_a_difference_with_its_number(
    tmp_path: Path, settings: Settings, server: Server, memory: Memory
) -> None:
    path = tmp_path / "wrong.txt"
    path.write_text(
        "alice> /help\nbot: What I understand: ...\nalice> /nothing\nbot: Certainly.\nalice> /help\n", encoding="utf-8"
    )
    player = await play_file(settings, path, server)

    assert player.differences == [
        "wrong.txt:4: bot: Certainly.\n  it said:\n    I do not know /nothing. /help lists what I do know."
    ]


async def test_a_transcript_that_tells_a_model_what_to_say_needs_one_that_can_be_told(
    tmp_path: Path, settings: Settings, server: Server, memory: Memory, model: Model
) -> None:
    path = tmp_path / "told.txt"
    path.write_text("# model sings hello\nalice> hello\n", encoding="utf-8")

    assert (await play_file(settings, path, server)).lacks == ["model"]
    with pytest.raises(Invalid, match=r"told\.txt:1: no model sings"):
        await play_file(settings, path, server, model=model)


async def test_a_transcript_that_tells_people_on_github_what_to_do_needs_one_where_they_do_it(
    tmp_path: Path, settings: Settings, server: Server, memory: Memory, github: Told
) -> None:
    path = tmp_path / "told.txt"
    path.write_text("# github dora sings\nalice> hello\n", encoding="utf-8")

    assert (await play_file(settings, path, server)).lacks == ["github"]
    with pytest.raises(Invalid, match=r"told\.txt:1: .*dora sings"):
        await play_file(settings, path, server, github=github)


async def test_somebody_can_be_spoken_to_before_they_come(
    tmp_path: Path, settings: Settings, server: Server, memory: Memory
) -> None:
    path = tmp_path / "invited.txt"
    path.write_text(
        "alice> /skill\nalice> Greet people\nalice> /invite @eve\nbot@eve: alice invites you ...\n", encoding="utf-8"
    )
    player = await play_file(settings, path, server)

    assert player.differences == []


def test_every_form_of_a_line_is_read() -> None:
    text = """# A remark
# person bob role=triager
alice> hello
  and more
alice@home> /draft
bob[press] Keep it
bob[fill] a=b | c=d
bob[edit] hello again
bob[unsay]
bot: one ...
bot@bob: two
# clock +1h
# model says hello || there
# github dora says hello
"""

    assert parse(text, "t") == [
        Directs(2, "person", "bob role=triager"),
        Does(3, "alice", "hello\nand more"),
        Does(5, "alice", "/draft", "home"),
        Does(6, "bob", "[press] Keep it"),
        Does(7, "bob", "[fill] a=b | c=d"),
        Does(8, "bob", "[edit] hello again"),
        Does(9, "bob", "[unsay] "),
        Expects(10, "one ..."),
        Expects(11, "two", "bob"),
        Directs(12, "clock", "+1h"),
        Directs(13, "model", "says hello || there"),
        Directs(14, "github", "dora says hello"),
    ]


def test_every_line_that_is_none_is_told() -> None:
    with pytest.raises(Invalid) as caught:
        parse("alice> fine\nwhat is this\n\nor this?\n", "t.txt")

    assert [problem.where for problem in caught.value.problems] == ["t.txt:2", "t.txt:4"]


@pytest.mark.parametrize(
    ("pattern", "said", "matches"),
    [
        ("one ... three", "one two three", True),
        ("one ... three", "one three", True),
        ("one ...", "two", False),
        ("a   b", "a\nb", True),
        ("a.c", "abc", False),
        ("<x> and <x>", "k7 and k7", True),
        ("<x> and <x>", "k7 and k8", False),
    ],
)
def test_a_pattern_matches_what_it_describes(pattern: str, said: str, matches: bool) -> None:
    assert Bindings().match(pattern, said) is matches


def test_a_name_stands_for_the_same_from_its_first_match_on() -> None:
    bindings = Bindings()
    bindings.match("draft <id> ...", "draft k7 here")

    assert (bindings.filled("/draft <id>"), bindings.match("<id>", "k8")) == ("/draft k7", False)


def test_a_span_of_time_is_read_and_anything_else_is_told() -> None:
    assert [seconds(text) for text in ("+30s", "+5min", "+1h", "+2d")] == [30.0, 300.0, 3600.0, 172_800.0]
    with pytest.raises(Invalid, match="no span of time: 'soon'"):
        seconds("soon")
