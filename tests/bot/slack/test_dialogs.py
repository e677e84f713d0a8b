"""A dialog's time runs from when somebody did something, however long it took to find out who that was."""

import asyncio
from typing import Any

from bot.core.words import Words
from bot.platforms.slack.dialogs import LOADING_S, WAITS_S, Dialogs, Interaction
from bot.platforms.slack.threads import Room

WORDS = Words("en", ({"slack.loading": "It is on its way.", "slack.loading.title": "Wait"},))
ROOM = Room("T1", "C1")


class _Wire:
    """Notes what is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.opened = asyncio.Event()

    async def ask(self, team: str, method: str, **_: Any) -> dict[str, Any]:
        self.asked.append(method)
        self.opened.set()
        return {"view": {"id": "V1"}}


def _dialogs(wire: _Wire) -> Dialogs:
    return Dialogs(wire, None, lambda locale: WORDS)  # type: ignore[arg-type]  # it asks no memory


async def test_a_dialog_that_was_sent_long_ago_is_answered_at_once() -> None:
    made = _dialogs(_Wire())
    one = Interaction("i1", asyncio.get_running_loop().time() - WAITS_S, ROOM, sent={"callback_id": "form"})
    made.begin(one, "en")
    async with asyncio.timeout(WAITS_S / 2):
        assert await made.answered(one) is None


async def test_a_view_that_says_to_wait_opens_at_once_where_time_has_passed() -> None:
    wire = _Wire()
    made = _dialogs(wire)
    made.begin(Interaction("i1", asyncio.get_running_loop().time() - LOADING_S, ROOM, "1.2.3", asks=True), "en")
    async with asyncio.timeout(LOADING_S / 2):
        await wire.opened.wait()
    await made.close()

    assert wire.asked == ["views.open"]
