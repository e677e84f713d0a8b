"""What an effect makes of the message that stands in its slot."""

from bot.core.talk import Act, Card, Event, Moved, Press, Show
from bot.rows import Message, message_of

CARD = Card("Generate")
OLD = Message("m1", "here", 1, 0.5, "", CARD, "run.k7.1", event="e1", revision=3)


def shown(act: Act, card: Card, ping: str = "") -> Message:
    event = Event("e2", 1.0, "p1", "here", act)
    return message_of(event, 1, Show(card, "run.k7.1", ping=ping), {("here", "run.k7.1"): OLD})


def test_a_run_that_says_what_it_said_before_edits_nothing() -> None:
    assert shown(Moved("k7.1", 4, "running"), CARD) is OLD


def test_anything_else_is_the_next_revision() -> None:
    other = shown(Moved("k7.1", 4, "running"), Card("Generate, further"))
    pinged = shown(Moved("k7.1", 4, "running"), CARD, ping="p1")
    pressed = shown(Press("sample.up|k7.1|a1"), CARD)  # a press is answered by an edit, be it of nothing

    assert [(one.key, one.revision, one.event) for one in (other, pinged, pressed)] == [("m1", 4, "e2")] * 3
