"""The FAQ's answers in the model's words: shown only where they cite what they were given, the entry's own otherwise."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bot import grounded
from bot.core.known import Entry
from bot.core.records import Asked
from bot.core.talk import Answer, Button
from bot.grounded import Grounded, cited, shown
from bot.rows import Message
from bot.settings import Settings
from bot.store import Store, Writes
from pipeline.models.client import Client, Endpoint
from tests.fakes.model import Model

ENTRIES = {
    "skill": Entry("skill", "What is a skill?", "https://example.org/skill", "It teaches how.", "More of it."),
    "review": Entry("review", "How are *reviews* done?", "", "By people.", ""),
}
THUMB = (Button("👍", "faq.good|a1"),)
MESSAGE = Message("m1", "here", 1, 1.0, "", Answer(stream="grounded", subject="a1 skill review", buttons=THUMB), live=True)
OWN = (
    "It teaches how.\nSource: [What is a skill?](https://example.org/skill)\n\nBy people.\nSource: How are \\*reviews\\* done?"
)


class Door:
    def __init__(self, client: Client | None) -> None:
        self.one = client

    def client(self, role: str) -> Client | None:
        return self.one

    def state(self, role: str) -> str:
        return "ready"


@pytest.fixture
async def write(store: Store, settings: Settings, model: Model) -> AsyncIterator[Callable[..., object]]:
    client = Client(Endpoint(model.url, tries=1))
    writes = Writes()
    store.save(writes, Asked("a1", "p1", "here", "what is a skill?", 1.0), {})
    await store.memory.all([tuple(op) for op in writes.ops])
    door = Door(client)
    stream = Grounded(door, store, settings.words, ENTRIES.get, "Sources:\n{sources}")  # type: ignore[arg-type]  # a door

    async def written(message: Message = MESSAGE, *, away: bool = False) -> tuple[list[str], Answer]:
        """What was shown on the way, and what stays."""
        door.one = None if away else client
        await store.keep(message)
        seen = [answer.text async for answer in stream.write(message)]
        whole = await stream.end(message, Answer(text="x"), "done")
        assert whole and isinstance(whole.body, Answer)
        return seen, whole.body

    yield written
    await client.close()


async def test_an_answer_that_cites_its_sources_is_shown_with_them_from_its_first_number_on(
    write: Callable[..., object], model: Model
) -> None:
    model.tell("says It teaches how [1]. People review it [2].")
    seen, answer = await write()  # type: ignore[misc]  # a coroutine function

    assert answer.text == (
        "It teaches how \\[1\\]. People review it \\[2\\].\n"
        "\\[1\\] [What is a skill?](https://example.org/skill)\n\\[2\\] How are \\*reviews\\* done?"
    )
    assert (answer.buttons, seen[0].partition("\n")[0], len(seen) > 1) == (THUMB, "It teaches how \\[1\\].", True)


@pytest.mark.parametrize("text", ["I think so.", "It is cheese [3].", "Right [1], wrong [9].", "none", "[0]", "[1"])
async def test_what_cites_nothing_or_something_else_is_never_what_stays(
    write: Callable[..., object], model: Model, text: str
) -> None:
    model.tell(f"says {text}")
    _, answer = await write()  # type: ignore[misc]

    assert (answer.text, answer.buttons) == (OWN, THUMB)


async def test_the_model_is_given_the_entries_numbered_and_nothing_else(write: Callable[..., object], model: Model) -> None:
    await write()  # type: ignore[misc]
    (asked,) = (one.body for one in model.asked if one.path.endswith("completions"))

    assert [one["content"] for one in asked["messages"]] == [
        "Sources:\n[1] What is a skill?\nIt teaches how.\nMore of it.\n\n[2] How are *reviews* done?\nBy people.",
        "what is a skill?",
    ]
    assert asked["temperature"] == 0


async def test_a_model_that_is_slow_away_or_gone_leaves_the_entrys_own_words_at_once_and_for_a_while(
    write: Callable[..., object], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = await write(away=True)  # type: ignore[misc]
    monkeypatch.setattr(grounded, "FIRST_S", 0.05)
    model.tell("says || late [1]")
    slow = await write()  # type: ignore[misc]
    asked = len(model.asked)
    meanwhile = await write()  # type: ignore[misc]

    assert [answer.text for _, answer in (away, slow, meanwhile)] == [OWN] * 3
    assert len(model.asked) == asked


async def test_entries_that_are_gone_say_nothing_that_is_not_there(write: Callable[..., object], model: Model) -> None:
    body = replace(MESSAGE.body, subject="a1 nothing review")  # type: ignore[type-var]
    _, answer = await write(replace(MESSAGE, body=body), away=True)  # type: ignore[misc]

    assert answer.text == "By people.\nSource: How are \\*reviews\\* done?"


def test_a_number_is_a_source_only_where_there_is_one(settings: Settings) -> None:
    entries = tuple(ENTRIES.values())

    assert [cited(text, 2) for text in ("a [1]", "a [2][1]", "[01]")] == [True] * 3
    assert [cited(text, 2) for text in ("a", "a [3]", "a [1] [3]")] == [False] * 3
    assert shown("b [2]", entries, "de", settings.words).split("\n")[1:] == ["\\[2\\] How are \\*reviews\\* done?"]


def test_the_prompt_that_is_configured_has_a_place_for_the_sources() -> None:
    prompt = (Path(__file__).resolve().parents[2] / "configs" / "prompts" / "grounded.md").read_text(encoding="utf-8")

    assert prompt.count("{sources}") == 1
