"""The tour's conversations: they are played as written, shown as a conversation, and stay where they were made."""

import asyncio
from dataclasses import replace

import pytest

from bot import touring
from bot.settings import Settings
from bot.touring import Page, Shown, played
from bot.transcript import Does, parse
from pipeline.touring import skill
from pipeline.touring.teacher import Template
from pipeline.touring.tour import LEAF
from tests.conftest import HOME, git
from tests.fakes.model import Model

TALKS = HOME / "configs" / "tour"


async def play(settings: Settings, name: str, **names: str) -> Shown:
    path = TALKS / name
    text = await asyncio.to_thread(path.read_text, encoding="utf-8")
    player = await played(settings, path, parse(text, name), names)
    assert player.differences == []
    return player


async def test_the_skill_is_drafted_and_later_proposed_in_the_same_installation(
    settings: Settings, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = replace(settings, environment={**settings.environment, "LABBOT_CHAT_URL": model.url})
    draft = await play(settings, "draft.txt")
    names, [entry] = draft.bindings.values, draft.files
    run = settings.data / "runs" / f"{names['draft']}.{names['revision']}"
    shown = capsys.readouterr().out
    later = await play(settings, "submit.txt", draft=names["draft"])
    branch = f"labbot/{later.bindings.values['branch'].rstrip('.,')}"

    assert Template(entry).seeds == 5  # which the tour's rule answers as they are answered here
    assert (run / "entry" / "qna.yaml").read_text(encoding="utf-8") == entry
    assert (run / "precheck.json").is_file()
    assert "\nmia> I want to teach the model to turn an order into a ticket\nbot: ┃ New skill" in shown
    assert "small says: Ticket: Mia wants 3 red lamps." in shown
    assert shown.count("[Fill in] [Preview] [Later] [Discard]") == 1  # a row of buttons is not repeated
    assert "What should it" not in capsys.readouterr().out  # nor is the first conversation in the second one
    assert f"{LEAF}/qna.yaml" in git(settings.data / "taxonomy", "show", "--stat=120", branch)


def test_a_conversation_is_wrapped_with_who_says_it_and_goes_on_below() -> None:
    written: list[str] = []
    page = Page(written.append)
    page.typed("mia", "word " * 30)
    page.said("one\ntwo")
    page.said("┃ three")
    page.said("┃ [A] [B]  Change … [C]")
    page.said("┃ [A] [B]  Change … [C] [D]")
    page.typed("mia", "more")
    page.said("four")
    lines = "".join(written).splitlines()

    assert max(map(len, lines)) <= touring.WIDTH
    assert lines[:3] == ["", f"mia> {' '.join(['word'] * 14)}", f"     {' '.join(['word'] * 14)}"]
    assert lines[4:] == ["bot: one", "     two", "     ┃ three", "     ┃ [A] [B]", "", "mia> more", "bot: four"]


def test_the_examples_of_the_draft_are_orders_in_five_wordings() -> None:
    lines = parse((TALKS / "draft.txt").read_text(encoding="utf-8"), "draft.txt")
    typed = [line.line for line in lines if isinstance(line, Does) and line.line.startswith("question: ")]
    orders = [skill.read(text.removeprefix("question: ").partition(" answer: ")[0]) for text in typed]

    assert len(orders) == len({order and order.thing for order in orders}) == 5
    assert not any(order is None for order in orders)
