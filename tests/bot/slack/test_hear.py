"""What was typed is a command where it begins like one, and a text anywhere else."""

import pytest

from bot.core.talk import Command, Said
from bot.platforms.slack import hear


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/lab", Command("help", "")),
        ("/lab my drafts", Command("my", "drafts")),
        ("/lab /skill beans", Command("skill", "beans")),
        ("/skill beans", Command("skill", "beans")),
        ("/skill\nbeans\nand peas", Command("skill", "beans\nand peas")),
        ("<@UME> /quota", Command("quota", "")),
        ("/label my drafts", Command("label", "my drafts")),
        ("/etc/hosts is what?", Command("etc/hosts", "is what?")),
    ],
)
def test_a_word_after_a_slash_is_a_command(text: str, command: Command) -> None:
    assert hear.said({"text": text, "channel": "C1", "ts": "1.1"}, "UME", "T1", {}) == command


@pytest.mark.parametrize("text", ["/", "/ skill", "/Skill", "a /skill"])
def test_anything_else_after_a_slash_is_a_text(text: str) -> None:
    said = hear.said({"text": text, "channel": "C1", "ts": "1.1"}, "UME", "T1", {})

    assert isinstance(said, Said)
    assert said.text == text
