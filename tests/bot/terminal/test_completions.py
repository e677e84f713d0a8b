"""What the prompt offers to complete: commands, drafts, parts of a draft, places in the real tree."""

import time
from collections.abc import AsyncIterator

import pytest

from bot.core.records import Conversation, Draft
from bot.core.talk import Event, Opened
from bot.core.words import pick
from bot.house import House, built
from bot.platforms.terminal.hear import Ear
from bot.platforms.terminal.run import Seat, completions
from bot.platforms.terminal.say import Desk
from bot.settings import Settings
from bot.store import Writes
from bot.unheard import Journal
from pipeline.embedded import Server
from pipeline.memory import Memory

HOME = "terminal:@p1"


@pytest.fixture
async def house(settings: Settings, server: Server, memory: Memory) -> AsyncIterator[House]:
    async with built(settings, server.url, time.time, lease_s=0.2) as made:
        writes = Writes()
        answers = {"example": "1 2", "about.description": "Greet people"}
        for name, state in (("k7aaaaa", "open"), ("k8bbbbb", "open"), ("k9ccccc", "discarded")):
            made.store.save(writes, Draft(name, "skill", "p1", HOME, 1.0, ("p1",), answers, state=state), {})  # type: ignore[arg-type]
        made.store.save(writes, Conversation(HOME, draft="k7aaaaa"), {})
        event = Event("e1", 1.0, "p1", HOME, Opened())
        await made.store.hear(event)
        await made.store.commit(event, await made.store.hold(event), writes)
        yield made


@pytest.mark.parametrize(
    ("typed", "lines"),
    [
        ("/dr", ["/draft"]),
        ("/d", ["/draft", "/delete", "/discard"]),
        ("/draft ", ["/draft k7aaaaa", "/draft k8bbbbb"]),
        ("/draft k8", ["/draft k8bbbbb"]),
        ("/edit ", ["/edit 1", "/edit 2", "/edit about", "/edit sources", "/edit place"]),
        ("/delete 2", ["/delete 2"]),
        ("/place ling", ["/place linguistics", "/place linguistics/rewriting"]),
        ("technology/", ["technology/tables", "technology/tables/sort_by_column"]),
        ("/nothing x", []),
        ("just words", []),
    ],
)
async def test_what_is_typed_is_completed_from_what_there_is(house: House, typed: str, lines: list[str]) -> None:
    app = house.app("terminal", Desk(house.store, "p1"))
    journal = Journal(house.settings.data / "terminal", Event)
    ear = Ear(app, journal, person="p1", roles=("everyone",), locale="en", away=lambda what: None)
    seat = Seat("p1", Desk(house.store, "p1"), ear, pick(house.settings.words, "en"))

    assert await completions(house, seat, HOME, typed) == lines
