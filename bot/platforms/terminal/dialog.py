"""Where a person types or presses: the prompt, buttons, dialogs, and the file that keeps what is not sent yet.

Everything here shows what people typed through `cards.shown` and never reads it as markup. A dialog keeps its text until
its owner closes it: sending it off only says so, since the answer may be a refusal that shows errors under the fields.
"""

import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message as Word
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import OptionList, Select, Static, TextArea
from textual.widgets.option_list import Option

from bot.core.cards import say_problem, shown
from bot.core.talk import Button, Choice, Dialog, Submit
from bot.core.talk import Field as Wanted
from bot.core.words import Words
from bot.platforms.terminal.hear import filled
from bot.platforms.terminal.render import styled
from bot.rows import Message
from pipeline.errors import Invalid, Temporary

log = logging.getLogger("labbot")


@dataclass(slots=True)
class Unsent:
    """What was typed and not sent: a text by place, values by a dialog's token; `closed` is the dialog last cancelled."""

    path: Path
    place: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    dialogs: dict[str, dict[str, str]] = field(default_factory=dict)
    closed: str = ""
    written: str = ""

    def read(self) -> None:
        """Take up what an earlier process left; a file that cannot be read is as good as none."""
        try:
            found = json.loads(self.path.read_text("ascii"))
            self.texts, self.dialogs = dict(found["texts"]), {name: dict(values) for name, values in found["dialogs"].items()}
            self.place, self.closed = str(found["place"]), str(found["closed"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            log.warning("unsent text was not read: %s", error)

    def write(self) -> None:
        """Keep it, whole or not at all; for its owner's eyes. JSON as ASCII holds NUL and halves of a pair, too."""
        texts = {place: text for place, text in self.texts.items() if text}
        dialogs = {token: values for token, values in self.dialogs.items() if values}
        text = json.dumps({"place": self.place, "texts": texts, "dialogs": dialogs, "closed": self.closed})
        if text == self.written:
            return
        fresh = self.path.with_name(f"{self.path.name}.new")
        try:
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
                file.write(text)
            os.replace(fresh, self.path)
            self.written = text
        except OSError as error:
            log.warning("unsent text was not kept: %s", error)


class Editor(TextArea):
    """A field for text: one line of it, where Enter goes on, or several."""

    def __init__(self, text: str = "", *, lines: bool = True, placeholder: str = "") -> None:
        super().__init__(text, highlight_cursor_line=False, placeholder=Content(placeholder))
        self.lines = lines
        self.set_class(not lines, "line")
        self.move_cursor(self.document.end)

    def get_line(self, line_index: int) -> Text:
        return Text(shown(self.document.get_line(line_index)), end="", no_wrap=True)

    def insert_typed(self, text: str) -> None:
        """Put text in at the cursor; a terminal pastes line ends as carriage returns."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        self.replace(text if self.lines else " ".join(text.split("\n")), *self.selection, maintain_selection_offset=False)

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        self.insert_typed(event.text)

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter" and not self.lines:
            event.prevent_default()
            event.stop()
            self.screen.focus_next()


class Chip(Static, can_focus=True):
    """A button one line high; a choice, which opens a list of them, is one too."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "press")]

    class Pressed(Word):
        def __init__(self, what: Button | Choice) -> None:
            super().__init__()
            self.what = what

    def __init__(self, what: Button | Choice) -> None:
        self.what = what
        super().__init__(self._label(), classes=what.style if isinstance(what, Button) else "plain", markup=False)

    def _label(self) -> Content:
        name = f"{self.what.hint} ▾" if isinstance(self.what, Choice) else self.what.label
        return Content(" ".join(shown(name).split()) or " ")

    @property
    def token(self) -> str:
        return self.what.token if isinstance(self.what, Button) else "▾"

    @property
    def cells(self) -> int:
        return self._label().cell_length + 2

    def change(self, what: Button | Choice) -> None:
        if what != self.what:
            self.what = what
            self.set_classes(what.style if isinstance(what, Button) else "plain")
            self.update(self._label())

    def action_press(self) -> None:
        self.post_message(self.Pressed(self.what))

    def on_click(self) -> None:
        self.action_press()


class Popup(OptionList, can_focus=False):
    """What the line typed so far could become: whole lines, shown above the prompt while one types."""

    def __init__(self, complete: Callable[[str, str], Awaitable[list[str]]]) -> None:
        super().__init__(compact=True)
        self.complete = complete
        self.typed, self.lines, self.chosen = "", [""], False
        self.display = False

    async def ask(self, place: str, typed: str) -> None:
        lines: list[str] = []
        if typed and "\n" not in typed:
            with suppress(Temporary):
                lines = await self.complete(place, typed)
        self.offer(typed, lines)

    def offer(self, typed: str, lines: list[str]) -> None:
        self.typed, self.lines, self.chosen = typed, lines, False
        self.display = bool(lines) and lines != [typed]
        self.set_options(Option(Content(shown(line))) for line in lines)
        self.highlighted = 0 if lines else None

    def step(self, by: int) -> None:
        self.chosen = True
        self.highlighted = ((self.highlighted or 0) + by) % len(self.lines)

    def taken(self, typed: str) -> str:
        """The line that is chosen for what is typed; "" if none is on offer, or only for what was typed before."""
        return self.lines[self.highlighted or 0] if self.display and typed == self.typed else ""


class Prompt(Editor):
    """Where one talks: Enter sends, a paste keeps its lines, and `popup` is steered from here."""

    class Sent(Word):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, popup: Popup, hint: str) -> None:
        super().__init__(placeholder=hint)
        self.popup = popup

    async def _on_key(self, event: events.Key) -> None:
        match event.key:
            case "enter":
                self._enter()
            case "ctrl+j" | "shift+enter" | "alt+enter":
                self.insert_typed("\n")
            case "escape":
                self.popup.offer("", [])
            case _:
                return
        event.prevent_default()
        event.stop()

    def _enter(self) -> None:
        if not (self.popup.chosen and self.take()):
            self.popup.offer("", [])
            self.post_message(self.Sent(self.text))
            self.load_text("")  # here and now: the next letter may be in the queue already

    def take(self) -> bool:
        """Take the line that the popup offers; False if it offers none."""
        line = self.popup.taken(self.text)
        if line:
            self.popup.offer("", [])
            self.put(line)
        return bool(line)

    def put(self, text: str) -> None:
        self.load_text(text)
        self.move_cursor(self.document.end)

    def action_cursor_right(self, select: bool = False) -> None:
        if self.cursor_location != self.document.end or not self.take():
            super().action_cursor_right(select)

    def action_cursor_up(self, select: bool = False) -> None:
        self.popup.step(-1) if self.popup.display else super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        self.popup.step(1) if self.popup.display else super().action_cursor_down(select)


class Chooser(ModalScreen[str]):
    """The options of a choice, as a list to choose from; gives the token, "" if nothing was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')")]

    def __init__(self, choice: Choice) -> None:
        super().__init__()
        self.choice = choice

    def compose(self) -> ComposeResult:
        options = OptionList(*(Option(Content(shown(one.label))) for one in self.choice.options), compact=True)
        with Vertical(classes="box small") as box:
            box.border_title = Content(shown(self.choice.hint))
            yield options

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(self.choice.options[event.option_index].token)


class Form(ModalScreen[None]):
    """A dialog. Its owner hears `Typed`, `Sent` and `Closed`, shows errors in it with `refuse`, and takes it away."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "send"), Binding("escape", "close")]

    class Typed(Word):
        """Something in the dialog changed."""

    class Sent(Word):
        def __init__(self, form: "Form", act: Submit) -> None:
            super().__init__()
            self.form, self.act = form, act

    class Closed(Word):
        def __init__(self, form: "Form") -> None:
            super().__init__()
            self.form = form

    def __init__(self, asked: Message, dialog: Dialog, typed: Mapping[str, str], words: Words) -> None:
        super().__init__()
        self.asked, self.dialog, self.words = asked, dialog, words
        self.inputs = {field.name: _input(field, typed.get(field.name, field.value)) for field in dialog.fields}
        self.errors = {field.name: Static(classes="error", markup=False) for field in dialog.fields}
        self.sending = False

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False, classes="box") as box:
            box.border_title = Content(shown(self.dialog.title))
            box.border_subtitle = Content(self.words("screen.dialog.keys"))
            for field in self.dialog.fields:
                yield Static(_label(field), classes="label")
                yield self.inputs[field.name]
                yield self.errors[field.name]
            with Horizontal(classes="ends"):
                yield Chip(Button(self.dialog.send, "send", "good"))
                yield Chip(Button(self.words("screen.cancel"), "close"))

    def on_mount(self) -> None:
        self.refuse(self.asked.errors)
        if not self.asked.errors:
            self.inputs[self.dialog.fields[0].name].focus()

    def same(self, dialog: Dialog) -> bool:
        return (self.dialog.token, [*self.inputs]) == (dialog.token, [one.name for one in dialog.fields])

    def values(self) -> dict[str, str]:
        return {name: _value(one) for name, one in self.inputs.items()}

    def typed(self) -> dict[str, str]:
        """The values that differ from what the dialog came with."""
        came = {field.name: field.value for field in self.dialog.fields}
        return {name: value for name, value in self.values().items() if value != came[name]}

    def refuse(self, errors: Mapping[str, str]) -> None:
        """Say under each field what is wrong with it; what was typed stays as it is."""
        self.sending = False
        for name, line in self.errors.items():
            line.display = name in errors
            line.update(Text("✘ ").append(styled(errors.get(name, ""))))
        if wrong := [self.inputs[name] for name in self.inputs if name in errors]:
            wrong[0].focus()

    def action_send(self) -> None:
        if self.sending:
            return
        values = self.values()
        if wrong := {field.name: why for field in self.dialog.fields if (why := self._wrong(field, values[field.name]))}:
            return self.refuse(wrong)
        try:
            act = filled(self.dialog, values)
        except Invalid as error:
            return self.refuse({self.dialog.fields[0].name: say_problem(self.words, error.problems[0])})
        self.refuse({})
        self.sending = True
        self.post_message(self.Sent(self, act))

    def action_close(self) -> None:
        self.post_message(self.Closed(self))

    def _wrong(self, field: Wanted, value: str) -> str:
        if field.required and not value.strip():
            return self.words("screen.required")
        return self.words("screen.long", length=len(value), limit=field.limit) if len(value) > field.limit else ""

    def on_chip_pressed(self, event: Chip.Pressed) -> None:
        event.stop()
        assert isinstance(event.what, Button)
        self.action_send() if event.what.token == "send" else self.action_close()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        self.post_message(self.Typed())

    def on_select_changed(self, event: Select.Changed) -> None:
        event.stop()
        self.post_message(self.Typed())


def _input(field: Wanted, value: str) -> Widget:
    if not field.options:
        return Editor(value, lines=field.lines)
    known = value in [option for option, _ in field.options]
    options = [(Content(shown(label)), option) for option, label in field.options]
    return Select(options, prompt="…", compact=True, value=value if known else Select.NULL)


def _value(field: Widget) -> str:
    if isinstance(field, Editor):
        return field.text
    assert isinstance(field, Select)
    return field.value if isinstance(field.value, str) else ""


def _label(field: Wanted) -> Content:
    hint = Content.styled(f"  {shown(field.hint)}", "$text-muted") if field.hint else Content("")
    return Content.styled(shown(field.label), "bold") + hint
