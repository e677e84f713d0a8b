"""What of a conversation a model is given: never more than fits, always the newest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.records import Turn
from bot.window import Window, rendered
from pipeline.errors import Invalid
from pipeline.models.client import Message

TEXTS = st.text(st.sampled_from("ab é\n"), min_size=1, max_size=40)


def turn(number: int, question: str = "what?", answer: str = "that") -> Turn:
    return Turn(f"t{number}", "p1", "here", question, float(number), state="done", answer=answer)


class Counter:
    """Counts a token for each so many characters, and 4 for a message; remembers how often it was asked."""

    def __init__(self, characters: int) -> None:
        self.characters, self.calls = characters, 0

    async def __call__(self, messages: list[Message]) -> int:
        self.calls += 1
        return sum(4 + len(one["content"]) // self.characters for one in messages)


async def test_a_conversation_that_fits_is_given_whole_and_counted_once() -> None:
    count, turns = Counter(4), [turn(1), turn(2)]
    messages, kept = await Window().fit("m", count, "be kind", turns, "and now?", 300)

    assert [one["content"] for one in messages] == ["be kind", "what?", "that", "what?", "that", "and now?"]
    assert [one["role"] for one in messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert (kept, count.calls) == (tuple(turns), 1)


async def test_what_is_short_by_its_bytes_is_not_counted_at_all() -> None:
    count = Counter(4)
    _, kept = await Window().fit("m", count, "be kind", [turn(1)], "and now?", 1000)

    assert (len(kept), count.calls) == (1, 0)


async def test_the_oldest_turns_go_first_and_whole() -> None:
    turns = [turn(number, "q" * 40, "a" * 40) for number in range(10)]
    messages, kept = await Window().fit("m", Counter(4), "s", turns, "new", 100)

    assert kept == tuple(turns[-len(kept) :]) and 0 < len(kept) < 10
    assert messages[1]["content"] == "q" * 40


async def test_a_full_conversation_is_counted_a_few_times_at_most() -> None:
    window, turns = Window(), [turn(number, "q" * 100, "a" * 300) for number in range(200)]
    first, later = Counter(2), Counter(2)
    await window.fit("m", first, "s", turns, "new", 2000)
    await window.fit("m", later, "s", turns, "newer", 2000)

    assert (first.calls <= 4, later.calls <= 2) == (True, True)


async def test_a_question_that_is_too_long_alone_is_told_with_both_numbers() -> None:
    with pytest.raises(Invalid) as caught:
        await Window().fit("m", Counter(1), "s", [turn(1)], "x" * 500, 100)

    assert (caught.value.problems[0].code, dict(caught.value.problems[0].facts)) == (
        "chat.long",
        {"tokens": "509", "room": "100"},
    )


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=12), TEXTS, st.integers(1, 5), st.integers(60, 400))
async def test_whatever_was_said_it_fits_and_the_newest_is_in_it(
    said: list[tuple[str, str]], question: str, characters: int, room: int
) -> None:
    count, turns = Counter(characters), [turn(number, *pair) for number, pair in enumerate(said)]
    messages, kept = await Window().fit("m", count, "system", turns, question, room)

    assert await count(messages) <= room
    assert messages == rendered("system", kept, question) and kept == tuple(turns[len(turns) - len(kept) :])
