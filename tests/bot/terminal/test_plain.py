"""The plain terminal says what is news, and of a long run not every number."""

from types import SimpleNamespace
from typing import Any

from bot.core.talk import Bar, Card, Text
from bot.platforms.terminal.plain import Plain
from bot.rows import Message


async def nothing() -> None:
    return None


async def test_of_a_card_that_counts_the_marks_of_its_bar_are_told_and_every_new_word() -> None:
    shown: list[Message] = []

    async def talk(place: str) -> list[Message]:
        return shown

    desk: Any = SimpleNamespace(listeners=[], talk=talk)  # a desk with one message on it
    told: list[str] = []
    plain = Plain(desk, SimpleNamespace(), SimpleNamespace(), told.append, nothing, "terminal:@alice")  # type: ignore[arg-type]  # not asked for
    steps = [(f"Training: step {step} of 100", step / 100) for step in range(1, 100)] + [("Writing it down", 0.99)]
    for number, (text, fraction) in enumerate(steps):
        card = Card("Setting up", (Text(text), Bar(fraction, f"{100 - number} s left")))
        shown[:] = [Message("key", "terminal:@alice", 1, 0.0, "", card, revision=number)]
        await plain.catch_up()

    assert [line for line in told if "Writing" in line]
    assert 10 <= sum("Training" in line for line in told) <= 25
