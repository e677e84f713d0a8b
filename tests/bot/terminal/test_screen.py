"""The full screen, driven by keys: what is typed is sent and never lost, what changes is redrawn where it stands."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Static

from bot.core.records import Conversation
from bot.core.talk import Act, Answer, Button, Card, Choice, Command, Dialog, Field, Press, Said, Submit, Text, direct, thread
from bot.core.words import Words
from bot.platforms.terminal import screen, view
from bot.platforms.terminal.dialog import Chip, Chooser, Editor, Form
from bot.platforms.terminal.say import Desk
from bot.platforms.terminal.screen import Screen
from bot.rows import Message
from pipeline.errors import Temporary

HOME = direct("terminal", "alice")
DRAFT = thread(HOME, "k7")
SIZES = [(80, 24), (200, 50)]
WORDS = Words(
    "en",
    (
        {
            "screen.main": "Home",
            "screen.you": "you",
            "screen.somebody": "somebody",
            "screen.prompt": "Type here",
            "screen.keys": "Enter send",
            "screen.keys.button": "Enter press",
            "screen.cancel": "Cancel",
            "screen.dialog.keys": "Ctrl-S send",
            "screen.required": "Please fill this in.",
            "screen.long": "{length} characters, {limit} at most.",
        },
    ),
)
BUTTONS = (Button("Fill in", "form"), Button("Preview", "preview"))
DIALOG = Dialog("Example 1", "fill|1", (Field("question", "Question", lines=True), Field("answer", "Answer", "red")), "Save")


class Table:
    """A desk in memory. `away` makes its store raise; `show` is what the shell's voice would tell."""

    def __init__(self) -> None:
        self.person = "alice"
        self.store = SimpleNamespace(names=self.names)
        self.conversations = [Conversation(HOME)]
        self.messages: dict[str, Message] = {}
        self.queue: asyncio.Queue[Message | str] = asyncio.Queue()
        self.dialog: Message | None = None
        self.away = False

    async def names(self, people: Iterable[str]) -> dict[str, str]:
        return {one: one.title() for one in people}

    async def talk(self, place: str) -> list[Message]:
        if self.away:
            raise Temporary("Redis is away")
        return sorted((one for one in self.messages.values() if one.place == place), key=lambda one: one.number)

    async def places(self) -> list[Conversation]:
        if self.away:
            raise Temporary("Redis is away")
        return [*self.conversations]

    async def asked(self) -> Message | None:
        return self.dialog

    async def changes(self) -> AsyncIterator[Message | str]:
        while True:
            yield await self.queue.get()

    def show(self, body: Card | Answer | Dialog, place: str = HOME, *, who: str = "", **rest: Any) -> Message:
        number = len(self.messages) + 1
        message = Message(f"m{number}", place, number, 0.0, who, body, **rest)
        return self.tell(message)

    def tell(self, message: Message) -> Message:
        if not isinstance(message.body, Dialog):
            self.messages[message.key] = message
        self.queue.put_nowait(message)
        return message

    def change(self, message: Message, body: Card | Answer) -> Message:
        return self.tell(replace(message, body=body, revision=message.revision + 1))


class Seat:
    """A table, and a screen at it that writes down what is sent."""

    def __init__(self, unsent: Path) -> None:
        self.table = Table()
        self.sent: list[tuple[Act, str]] = []
        self.unsent = unsent

    def screen(self) -> Screen:
        desk = cast(Desk, self.table)
        mine = "mine-1".__eq__
        return Screen(desk, WORDS, send=self._send, complete=self._complete, unsent=self.unsent, title="labbot", mine=mine)

    async def _send(self, act: Act, place: str) -> None:
        self.sent.append((replace(act, message="") if isinstance(act, Said) else act, place))

    async def _complete(self, place: str, typed: str) -> list[str]:
        return [line for line in ("/draft", "/draft k7", "/discard") if typed.startswith("/") and line.startswith(typed)]


@pytest.fixture
def seat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Seat:
    for name in ("AGAIN_S", "SETTLE_S", "PAUSE_S", "FRAME_S"):
        monkeypatch.setattr(screen, name, 0.01)
    return Seat(tmp_path / "unsent.json")


async def until(pilot: Pilot[None], fact: Any) -> None:
    """Wait until the screen has come to it; a fact that never comes true fails the test."""
    async with asyncio.timeout(5):
        while not fact():
            await pilot.pause(0.01)


async def type_in(pilot: Pilot[None], text: str) -> None:
    await pilot.press(*("space" if one == " " else "slash" if one == "/" else one for one in text))


def drawn(app: Screen) -> str:
    """Every line that is on the screen now."""
    return "\n".join("".join(part.text for part in strip) for strip in app.screen._compositor.render_strips())


def said(app: Screen) -> list[str]:
    return [str(bubble.text.content) for bubble in app.talk.bubbles.values()]


def form(app: Screen) -> Form:
    assert isinstance(app.screen, Form)
    return app.screen


# --- what is shown


@pytest.mark.parametrize("size", SIZES)
async def test_a_card_is_redrawn_in_place(seat: Seat, size: tuple[int, int]) -> None:
    seat.table.conversations.append(Conversation(DRAFT, "Lamps", HOME))
    card = seat.table.show(Card("Lamps", (Text("Examples 0/5"),), BUTTONS), DRAFT, slot="draft.k7")
    seat.table.show(Answer("What would somebody ask?"), DRAFT)
    app = seat.screen()
    async with app.run_test(size=size) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: "Examples 0/5" in drawn(app))
        widget, chip = app.pinned.text, app.pinned.row.chips["preview"]

        seat.table.change(card, Card("Lamps", (Text("Examples 1/5"),), (*BUTTONS, Button("Undo", "undo"))))
        await until(pilot, lambda: "Examples 1/5" in drawn(app))

        lines = drawn(app).split("\n")
        assert "Examples 0/5" not in drawn(app)
        assert "Lamps" in lines[1] and "Examples 1/5" in lines[2] and "Undo" in lines[3]
        assert (app.pinned.text, app.pinned.row.chips["preview"]) == (widget, chip)
        assert said(app) == ["What would somebody ask?"]


@pytest.mark.parametrize("size", SIZES)
async def test_a_long_card_takes_half_of_the_screen_and_keeps_its_buttons_in_sight(seat: Seat, size: tuple[int, int]) -> None:
    seat.table.show(Card("labbot", (Text("\n".join(f"line {n}" for n in range(90))),), BUTTONS), slot="home")
    seat.table.show(Answer("The newest message"))
    app = seat.screen()

    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "The newest message" in drawn(app))

        assert app.pinned.size.height <= size[1] // 2
        assert "Preview" in drawn(app) and "line 0" in drawn(app)


async def test_what_somebody_had_forgotten_is_no_longer_on_the_screen(seat: Seat) -> None:
    first = seat.table.show(Answer("Hello"))
    zebra = seat.table.show(Answer("A zebra"))
    app = seat.screen()
    async with app.run_test() as pilot:
        await until(pilot, lambda: said(app) == ["Hello", "A zebra"])
        del seat.table.messages[zebra.key]
        seat.table.tell(Message("m9", HOME, 9, 0.0, "", Answer("It is erased.")))
        await until(pilot, lambda: said(app) == ["Hello", "It is erased."])

    assert first.key in seat.table.messages


async def test_what_a_stream_waits_for_is_said_until_it_comes(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        stream = seat.table.show(Answer("3rd in line", passing=True), live=True)
        await until(pilot, lambda: said(app) == ["3rd in line"])
        seat.table.tell(replace(stream, body=Answer("Paws")))
        await until(pilot, lambda: said(app) == ["Paws▍"])


async def test_streamed_text_grows_in_the_same_widget(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        stream = seat.table.show(Answer("You"), live=True)
        await until(pilot, lambda: said(app) == ["You▍"])
        bubble = app.talk.bubbles[stream.key]

        seat.table.tell(replace(stream, body=Answer("You can")))
        await until(pilot, lambda: said(app) == ["You can▍"])
        seat.table.change(replace(stream, live=False), Answer("You can draft.", buttons=(Button("More", "more"),)))
        await until(pilot, lambda: said(app) == ["You can draft."])

        assert app.talk.bubbles == {stream.key: bubble}
        assert [*bubble.row.chips] == ["more"]


async def test_an_older_revision_never_replaces_a_newer_one(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        old = seat.table.show(Answer("old"))
        seat.table.change(old, Answer("new"))
        seat.table.queue.put_nowait(old)
        seat.table.show(Answer("last"))
        await until(pilot, lambda: "last" in said(app))

        assert said(app) == ["new", "last"]


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_text_is_drawn_harmlessly(seat: Seat, size: tuple[int, int]) -> None:
    hostile = "\0 \ud800 [bold]x[/bold] [/] [@click=app.quit]y[/] \x1b[31mred\x1b[2J \x9b2J \u202e"
    seat.table.show(Answer(hostile), who="bob")
    seat.table.show(Answer(hostile, buttons=(Button(hostile[:60], "x"),)))
    seat.table.show(Card(hostile, (Text(hostile),), (Button(hostile, "y"),), Choice(hostile[:60], BUTTONS)), slot="home")
    seat.table.conversations.append(Conversation(DRAFT, hostile, HOME))
    app = seat.screen()

    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: len(said(app)) == 2)
        app.prompt.insert_typed(hostile)
        app.notice(hostile)
        seat.table.show(replace(DIALOG, title=hostile[:20], fields=(Field("f", hostile[:30], hostile, hostile),)))
        await until(pilot, lambda: isinstance(app.screen, Form))
        await pilot.press("x")
        await pilot.press("escape")
        await pilot.pause()

        assert not {*drawn(app)} & {"\0", "\x1b", "\x9b", "\ud800", "\u202e"}
        assert "[bold]x[/bold]" in drawn(app)
        assert app.prompt.text == hostile
    assert json.loads(seat.unsent.read_text("ascii"))["texts"] == {HOME: hostile}


async def test_a_store_that_is_away_leaves_the_screen_as_it_is(seat: Seat) -> None:
    seat.table.show(Answer("before"))
    app = seat.screen()
    async with app.run_test() as pilot:
        await until(pilot, lambda: said(app) == ["before"])
        seat.table.away = True
        app.notice("my memory is away")

        await type_in(pilot, "hi")
        await pilot.press("enter")
        seat.table.queue.put_nowait(HOME)
        await pilot.pause(0.05)
        assert said(app) == ["before", "you › hi"]
        assert "my memory is away" in drawn(app)

        seat.table.away = False
        seat.table.show(Answer("hi"), who="alice")
        seat.table.show(Answer("back"))
        await until(pilot, lambda: "back" in drawn(app))
        assert said(app) == ["before", "you › hi", "back"]
        assert seat.sent == [(Said("hi"), HOME)]


async def test_a_screen_can_start_while_the_store_is_away(seat: Seat) -> None:
    seat.table.away = True
    app = seat.screen()
    async with app.run_test() as pilot:
        await pilot.pause(0.03)
        seat.table.away = False
        seat.table.show(Answer("there"))

        await until(pilot, lambda: said(app) == ["there"])


async def test_only_the_newest_messages_are_mounted(seat: Seat) -> None:
    for number in range(view.MOUNTED + 20):
        seat.table.show(Answer(f"message {number}"))
    app = seat.screen()
    async with app.run_test() as pilot:
        await until(pilot, lambda: len(app.query(view.Bubble)) == view.MOUNTED)
        seat.table.show(Answer("one more"))
        await until(pilot, lambda: "one more" in drawn(app))

        assert len(app.query(view.Bubble)) == view.MOUNTED


async def test_a_conversation_follows_its_end_unless_somebody_scrolled_up(seat: Seat) -> None:
    for number in range(40):
        seat.table.show(Answer(f"message {number}"))
    app = seat.screen()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "message 39" in drawn(app))
        await pilot.press("pageup")
        await until(pilot, lambda: "message 39" not in drawn(app))

        seat.table.show(Answer("unseen"))
        await until(pilot, lambda: "unseen" in said(app))
        await pilot.pause()
        assert "unseen" not in drawn(app)

        await pilot.press("pagedown", "pagedown")
        await until(pilot, lambda: "unseen" in drawn(app))


# --- what is pressed


async def test_tab_walks_over_the_newest_buttons_then_the_card_and_enter_presses(seat: Seat) -> None:
    seat.table.show(Card("labbot", (), BUTTONS), slot="home")
    seat.table.show(Answer("older", buttons=(Button("Old", "old"),)))
    seat.table.show(Answer("newer", buttons=(Button("New", "new"),)))
    app = seat.screen()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "newer" in drawn(app))

        walked = []
        for _ in range(5):
            await pilot.press("tab")
            walked.append(app.focused.token if isinstance(app.focused, Chip) else "prompt")
        assert walked == ["new", "old", "form", "preview", "prompt"]

        await pilot.press("shift+tab", "enter")
        await until(pilot, lambda: seat.sent)
        assert seat.sent == [(Press("preview"), HOME)]


async def test_a_letter_typed_on_a_button_goes_to_the_prompt(seat: Seat) -> None:
    seat.table.show(Answer("older", buttons=(Button("Old", "old"),)))
    app = seat.screen()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "Old" in drawn(app))
        await pilot.press("tab", "h", "i")
        await until(pilot, lambda: app.prompt.text == "hi")
        await pilot.press("shift+tab", "escape")
        await until(pilot, lambda: app.focused is app.prompt)

        assert seat.sent == []


async def test_the_focused_button_stays_focused_when_its_card_is_redrawn(seat: Seat) -> None:
    card = seat.table.show(Card("labbot", (), BUTTONS), slot="home")
    app = seat.screen()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "Preview" in drawn(app))
        await pilot.press("tab", "tab")
        seat.table.change(card, Card("labbot", (), (Button("Undo", "undo"), *BUTTONS)))
        await until(pilot, lambda: "Undo" in drawn(app))
        await pilot.press("enter")
        await until(pilot, lambda: seat.sent)

        assert seat.sent == [(Press("preview"), HOME)]
        assert [chip.region.x for chip in app.pinned.row.chips.values()] == [9, 19, 2]


async def test_a_choice_opens_a_list_and_presses_what_is_chosen(seat: Seat) -> None:
    seat.table.show(Card("labbot", (), (), Choice("Change …", BUTTONS)), slot="home")
    app = seat.screen()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "Change … ▾" in drawn(app))
        await pilot.press("tab", "enter")
        await until(pilot, lambda: isinstance(app.screen, Chooser))
        await pilot.press("down", "enter")
        await until(pilot, lambda: seat.sent)

        assert seat.sent == [(Press("preview"), HOME)]


# --- what is typed


async def test_enter_sends_and_the_stores_copy_takes_the_place_of_the_echo(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        await type_in(pilot, "/draft k7")
        await pilot.press("enter")
        await until(pilot, lambda: said(app) == ["you › /draft k7"])
        echo = [*app.talk.bubbles.values()]

        seat.table.messages["m1"] = Message("m1", HOME, 1, 0.0, "alice", Answer("/draft k7"))
        seat.table.show(Answer("Here it is again."))
        await until(pilot, lambda: "Here it is again." in said(app))

        assert said(app) == ["you › /draft k7", "Here it is again."]
        assert [*app.talk.bubbles.values()][:1] == echo
        assert seat.sent == [(Command("draft", "k7"), HOME)]


async def test_a_paste_of_several_lines_keeps_them_all(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        app.post_message(events.Paste("question: a\r\nanswer: b\rlast"))
        await until(pilot, lambda: app.prompt.text)
        await pilot.press("ctrl+j", "x", "enter")
        await until(pilot, lambda: seat.sent)

        assert seat.sent == [(Said("question: a\nanswer: b\nlast\nx"), HOME)]
        assert app.prompt.text == ""


async def test_the_prompt_grows_to_six_lines(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        heights = [app.prompt.size.height]
        for lines in (3, 9):
            app.prompt.put("\n".join("x" * lines))
            await pilot.pause()
            heights.append(app.prompt.size.height)

        assert heights == [1, 3, 6]


async def test_a_completion_is_taken_with_tab(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        await type_in(pilot, "/d")
        await until(pilot, lambda: app.popup.display and "/discard" in drawn(app))
        await pilot.press("down", "down", "tab")
        await until(pilot, lambda: app.prompt.text == "/discard")

        assert app.focused is app.prompt and not app.popup.display


async def test_tab_waits_for_the_completion_of_a_command_typed_fast(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        for key in ("slash", "d", "r", "tab"):
            app.post_message(events.Key(key, "/" if key == "slash" else key))
        await until(pilot, lambda: app.prompt.text == "/draft")


async def test_escape_closes_the_completions_and_enter_sends_what_was_typed(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        await type_in(pilot, "/d")
        await until(pilot, lambda: app.popup.display)
        await pilot.press("escape")
        assert not app.popup.display
        await pilot.press("enter")
        await until(pilot, lambda: seat.sent)

        assert seat.sent == [(Command("d", ""), HOME)]


async def test_unsent_text_survives_a_restart_place_by_place(seat: Seat) -> None:
    seat.table.conversations.append(Conversation(DRAFT, "Lamps", HOME))
    app = seat.screen()
    async with app.run_test() as pilot:
        await until(pilot, lambda: len(app.places) == 2)
        await type_in(pilot, "one")
        await pilot.press("f2")
        await type_in(pilot, "two")
        await pilot.press("ctrl+q")

    again = seat.screen()
    async with again.run_test() as pilot:
        await until(pilot, lambda: len(again.places) == 2)
        there = (again.place, again.prompt.text)
        await pilot.press("ctrl+p")
        assert (there, again.prompt.text) == ((DRAFT, "two"), "one")


async def test_what_is_typed_is_kept_without_any_exit(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        await type_in(pilot, "hi")
        await until(pilot, seat.unsent.exists)

        assert json.loads(seat.unsent.read_text("ascii"))["texts"] == {HOME: "hi"}
        assert seat.unsent.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("one", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_the_screen_and_keeps_what_is_typed(seat: Seat, one: signal.Signals) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        await type_in(pilot, "hi")
        signal.raise_signal(one)
        await until(pilot, lambda: not app.is_running or app._exit)

        assert json.loads(seat.unsent.read_text("ascii"))["texts"] == {HOME: "hi"}


async def test_a_torn_unsent_file_is_as_good_as_none(seat: Seat) -> None:
    seat.unsent.write_text('{"texts": [1', "ascii")
    app = seat.screen()
    async with app.run_test() as pilot:
        await pilot.pause()

        assert app.prompt.text == ""


async def test_quit_leaves(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        await type_in(pilot, "/quit")
        await pilot.press("enter")
        await until(pilot, lambda: app._exit)

    assert seat.sent == []


# --- conversations


async def test_a_thread_that_an_act_opened_is_gone_to_with_what_is_being_typed(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.places)
        await type_in(pilot, "new")
        await pilot.press("enter")
        await until(pilot, lambda: seat.sent)
        await type_in(pilot, "ne")
        seat.table.conversations.append(Conversation(DRAFT, "Lamps", HOME))
        seat.table.show(Answer("What should it learn?"), DRAFT)
        await until(pilot, lambda: app.place == DRAFT)
        await type_in(pilot, "xt")
        await pilot.press("enter")
        await until(pilot, lambda: len(seat.sent) == 2)

        assert seat.sent == [(Said("new"), HOME), (Said("next"), DRAFT)]
        assert "2 Lamps" in drawn(app).split("\n")[0]


async def test_a_click_on_a_conversation_goes_to_it(seat: Seat) -> None:
    seat.table.conversations.append(Conversation(DRAFT, "Lamps", HOME))
    app = seat.screen()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "2 Lamps" in drawn(app))
        await pilot.click(app.head, offset=(drawn(app).index("Lamps"), 0))

        await until(pilot, lambda: app.place == DRAFT)


async def test_a_conversation_that_appears_by_itself_is_only_marked(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.places)
        seat.table.conversations.append(Conversation(DRAFT, "Lamps", HOME))
        seat.table.show(Answer("bob invites you"), DRAFT)
        await until(pilot, lambda: "2 Lamps•" in drawn(app))

        assert app.place == HOME


# --- dialogs


@pytest.mark.parametrize("size", SIZES)
async def test_a_dialog_is_filled_and_sent(seat: Seat, size: tuple[int, int]) -> None:
    app = seat.screen()
    async with app.run_test(size=size) as pilot:
        seat.table.show(DIALOG)
        await until(pilot, lambda: isinstance(app.screen, Form) and isinstance(app.focused, Editor))
        await type_in(pilot, "hi")
        await pilot.press("enter", "x", "tab", "y")
        assert "Save" in drawn(app) and "Cancel" in drawn(app)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: seat.sent)

        seat.table.show(Answer("Saved."))
        await until(pilot, lambda: not isinstance(app.screen, Form))
        assert seat.sent == [(Submit("fill|1", {"question": "hi\nx", "answer": "redy"}), HOME)]


async def test_a_refused_dialog_keeps_its_text_and_shows_the_error(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        asked = seat.table.show(DIALOG)
        await until(pilot, lambda: isinstance(app.screen, Form) and isinstance(app.focused, Editor))
        opened = form(app)
        await type_in(pilot, "hi")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: seat.sent)
        seat.table.tell(replace(asked, key="refused", errors={"question": "That is example 2."}))
        await until(pilot, lambda: "✘ That is example 2." in drawn(app))
        await pilot.pause(0.1)

        assert app.screen is opened
        assert opened.values() == {"question": "hi", "answer": "red"}


async def test_a_dialog_that_nothing_answers_closes_by_itself(seat: Seat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "ANSWER_S", 0.01)
    app = seat.screen()
    async with app.run_test() as pilot:
        seat.table.show(replace(DIALOG, fields=DIALOG.fields[1:]))
        await until(pilot, lambda: isinstance(app.screen, Form) and isinstance(app.focused, Editor))
        await pilot.press("x", "ctrl+s")
        await until(pilot, lambda: not isinstance(app.screen, Form))

        assert seat.sent == [(Submit("fill|1", {"answer": "redx"}), HOME)]


async def test_a_dialog_says_itself_what_is_missing_or_too_long(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        seat.table.show(Dialog("D", "d", (Field("a", "A"), Field("b", "B", "12345678", limit=8)), "Save"))
        await until(pilot, lambda: isinstance(app.screen, Form) and isinstance(app.focused, Editor))
        await pilot.press("tab", "9", "ctrl+s")
        await until(pilot, lambda: "✘" in drawn(app))

        assert [str(line.content) for line in form(app).errors.values() if isinstance(line, Static)] == [
            "✘ Please fill this in.",
            "✘ 9 characters, 8 at most.",
        ]
        assert seat.sent == []


async def test_a_dialog_says_itself_that_a_file_is_not_there_and_sends_one_that_is(seat: Seat, tmp_path: Path) -> None:
    (tmp_path / "qna.yaml").write_text("version: 3", encoding="ascii")
    app = seat.screen()
    async with app.run_test() as pilot:
        seat.table.show(Dialog("D", "d", (Field("file", "File", str(tmp_path / "qna.yam"), kind="file"),), "Send"))
        await until(pilot, lambda: isinstance(app.screen, Form) and isinstance(app.focused, Editor))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "✘" in drawn(app))
        assert seat.sent == []
        await pilot.press("l", "ctrl+s")
        await until(pilot, lambda: seat.sent)

    (act, _) = seat.sent[0]
    assert isinstance(act, Submit)
    assert (act.token, [file.name for file in act.files]) == ("d", ["qna.yaml"])


async def test_a_dialog_left_open_opens_again_with_what_was_typed(seat: Seat) -> None:
    long = "word " * 500
    app = seat.screen()
    async with app.run_test() as pilot:
        seat.table.dialog = seat.table.show(DIALOG)
        await until(pilot, lambda: isinstance(app.screen, Form) and isinstance(app.focused, Editor))
        app.post_message(events.Paste(long))
        await pilot.press("x", "ctrl+c")

    again = seat.screen()
    async with again.run_test() as pilot:
        await until(pilot, lambda: isinstance(again.screen, Form))
        assert form(again).values() == {"question": f"{long}x", "answer": "red"}


async def test_a_cancelled_dialog_stays_closed_and_has_its_text_when_it_is_asked_for_again(seat: Seat) -> None:
    app = seat.screen()
    async with app.run_test() as pilot:
        seat.table.dialog = asked = seat.table.show(DIALOG)
        await until(pilot, lambda: isinstance(app.screen, Form) and isinstance(app.focused, Editor))
        await pilot.press("h", "escape")
        await until(pilot, lambda: not isinstance(app.screen, Form))

    again = seat.screen()
    async with again.run_test() as pilot:
        await until(pilot, lambda: again.places)
        await pilot.pause(0.05)
        assert not isinstance(again.screen, Form)
        seat.table.tell(replace(asked, key="later"))
        await until(pilot, lambda: isinstance(again.screen, Form))
        assert form(again).values() == {"question": "h", "answer": "red"}
    assert seat.sent == []


async def test_a_field_with_options_is_chosen_from(seat: Seat) -> None:
    origin = Field("origin", "Whose work is it?", "own", options=(("own", "My own"), ("other", "From a [source]")))
    app = seat.screen()
    async with app.run_test() as pilot:
        seat.table.show(Dialog("Sources", "s", (origin,), "Save"))
        await until(pilot, lambda: isinstance(app.screen, Form) and app.focused is not None)
        await pilot.press("enter", "down", "enter")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: seat.sent)

        assert seat.sent == [(Submit("s", {"origin": "other"}), HOME)]


async def test_a_press_that_leads_into_a_thread_that_was_there_already_leads_the_screen_there(seat: Seat) -> None:
    thread = f"{HOME}/k7"
    seat.table.conversations.append(Conversation(thread, "Orders"))
    seat.table.show(Answer("come along", buttons=(Button("Join", "join"),)))
    app = seat.screen()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "come along" in drawn(app))
        await pilot.press("tab", "enter")
        await until(pilot, lambda: seat.sent)
        seat.table.show(Answer("here it is"), place=thread, event="mine-1")
        await until(pilot, lambda: "here it is" in drawn(app))

        assert app.place == thread
