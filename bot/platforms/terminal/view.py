"""How conversations look: messages as widgets that are updated in place, the card that stands above them, colours.

What is drawn is a function of the messages that were read: `draw` leaves alone what is the same, updates what changed in
its own widget and mounts what is new, so that a streamed token costs one text.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import Click
from textual.geometry import Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.message_pump import MessagePump
from textual.theme import Theme
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from bot.core.cards import clip, shown
from bot.core.records import Conversation
from bot.core.talk import Answer, Attached, Button, Card, Choice, Code, Dialog, Picture, Steps
from bot.core.talk import Text as Paragraph
from bot.platforms.terminal.dialog import Chip
from bot.platforms.terminal.render import MARKS, bar_line, styled
from bot.rows import Message

MOUNTED = 60  # messages drawn of a conversation, its newest
ECHO = 10**18  # numbers of messages that were sent and are not in the store yet: after all others
TAB = 24  # columns of a conversation's name in the head

KEYS = (
    ("ctrl+q", "leave"),
    ("ctrl+c", "copy_or_leave"),
    ("tab", "walk(1)"),
    ("shift+tab", "walk(-1)"),
    ("pageup", "page(-1)"),
    ("pagedown", "page(1)"),
    ("ctrl+n", "turn(1)"),
    ("ctrl+p", "turn(-1)"),
    *((f"f{number},alt+{number}", f"go({number})") for number in range(1, 10)),
)

INK = {
    "here": "bold #d6d9df on #2b303a",
    "done": "#8fbf8f",
    "now": "bold #e3c78a",
    "open": "#8a919e",
    "wrong": "bold #e58e8e",
    "code": "#9fc3b7",
    "quiet": "#8a919e",
}
THEME = Theme(
    "labbot",
    primary="#86aad8",
    secondary="#9fc3b7",
    accent="#e3c78a",
    success="#8fbf8f",
    warning="#e3c78a",
    error="#e58e8e",
    foreground="#d6d9df",
    background="#15171c",
    surface="#1c1f26",
    panel="#2b303a",
)

CSS = """
Screen { layers: base above; background: $background; }
#head, #foot { height: 1; background: $surface; }
#column { align-horizontal: center; height: 1fr; }
#column > * { max-width: 122; }
Pinned { height: auto; max-height: 50%; border: round $panel-lighten-2; border-title-color: $foreground;
  border-title-style: bold; padding: 0 1; scrollbar-size-vertical: 1; }
Pinned Row { dock: bottom; }
Talk { height: 1fr; align-vertical: bottom; padding: 0 1; scrollbar-size-vertical: 1; }
Row { height: auto; }
Bubble { height: auto; }
Bubble.person { margin-top: 1; }
Bubble.echo { opacity: 60%; }
Bubble.card { border-left: heavy $panel-lighten-2; padding-left: 1; }
Static { height: auto; }
Chip { width: auto; height: 1; padding: 0 1; background: $panel; }
Chip.good { color: $success; }
Chip.danger { color: $error; }
Chip:hover { background: $panel-lighten-2; }
Chip:focus { background: $primary; color: $background; text-style: bold; }
#ask { height: auto; align-horizontal: center; background: $background; }
#sign { width: 3; padding-left: 1; color: $accent; }
TextArea { height: auto; background: $surface; border: none; padding: 0 1; scrollbar-size-vertical: 1; }
TextArea:focus { border: none; }
Prompt { max-height: 6; max-width: 117; padding: 0; background: $background; }
Popup { layer: above; dock: bottom; height: auto; max-height: 8; width: 60; background: $panel; padding: 0 1 0 2; }
.box { width: 94%; max-width: 104; height: auto; max-height: 96%; border: round $primary; border-title-style: bold;
  border-subtitle-color: $text-muted; padding: 0 1; background: $background; scrollbar-size-vertical: 1; }
.small { max-width: 44; }
.small OptionList { background: $background; max-height: 70vh; }
Form, Chooser { align: center middle; background: $background 60%; }
.label { margin-top: 1; }
.error { color: $error; }
.ends { dock: bottom; height: auto; padding-top: 1; background: $background; }
.ends Chip { margin-right: 1; }
Form TextArea { max-height: 33vh; min-height: 2; }
Form TextArea.line { min-height: 1; max-height: 3; }
"""


@dataclass(slots=True)
class Talks:
    """What was read of the conversations: messages by place and key, the newest revision of each."""

    by_place: dict[str, dict[str, Message]] = field(default_factory=dict)
    became: dict[str, str] = field(default_factory=dict)  # by key: the key of the echo that it replaced

    def has(self, message: Message) -> bool:
        return message.key in self.by_place.get(message.place, {})

    def take(self, message: Message) -> None:
        """Take a message in, unless a newer revision is there. The store's copy of what was sent replaces its echo."""
        talk = self.by_place.setdefault(message.place, {})
        old = talk.get(message.key)
        if old is None and message.who:
            echoes = [one.key for one in talk.values() if one.number >= ECHO > message.number and one.body == message.body]
            for echo in echoes[:1]:
                del talk[echo]
                self.became[message.key] = echo
        if old is None or message.revision >= old.revision:
            talk[message.key] = message

    def keep(self, place: str, found: list[Message]) -> None:
        """Let go of messages that the store no longer has, among those that it was asked for: somebody forgot them."""
        if not found:
            return
        keys, first, last = {one.key for one in found}, found[0].number, found[-1].number
        talk = self.by_place.get(place, {})
        for key in [one.key for one in talk.values() if first <= one.number <= last and one.key not in keys]:
            del talk[key]

    def of(self, place: str, slot: str) -> tuple[Card | None, list[Message]]:
        """The card that stands above a place, the newest whose slot begins so, and its other messages in order."""
        messages = sorted(self.by_place.get(place, {}).values(), key=lambda one: one.number)
        cards = [(one.body, one) for one in messages if one.slot.startswith(slot) and isinstance(one.body, Card)]
        card, pinned = cards[-1] if cards else (None, None)
        return card, [one for one in messages if one is not pinned][-MOUNTED:]


class Once:
    """A call that is due once, however often it is asked for."""

    def __init__(self, widget: MessagePump, call: Callable[[], None]) -> None:
        self.widget, self.call = widget, call
        self.timer: Timer | None = None

    def soon(self, seconds: float) -> None:
        """Call in so many seconds, unless it is due already."""
        self.timer = self.timer or self.widget.set_timer(seconds, self._due)

    def again(self, seconds: float) -> None:
        """Call in so many seconds from now, whenever it was due."""
        self.stop()
        self.soon(seconds)

    def stop(self) -> None:
        if self.timer:
            self.timer.stop()
            self.timer = None

    def _due(self) -> None:
        self.timer = None
        self.call()


class Flow(Layout):
    """Chips side by side, as many in a line as fit."""

    name = "flow"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        x = y = 0
        placed = []
        for chip in children:
            width = min(chip.cells if isinstance(chip, Chip) else size.width, size.width)
            if x and x + width > size.width:
                x, y = 0, y + 1
            placed.append(
                WidgetPlacement(Region(x, y, width, 1), chip.styles.offset.resolve(size, size), chip.styles.margin, chip)
            )
            x += width + 1
        return placed


class Row(Widget):
    """The buttons of a message. One that stays keeps its widget, and with it the focus, whatever comes or goes beside it."""

    def __init__(self, *classes: str) -> None:
        super().__init__(classes=" ".join(classes))
        self.chips: dict[str, Chip] = {}
        self.wanted: dict[str, Button | Choice] = {}
        self.display = False

    @property
    def layout(self) -> Layout:
        return Flow()

    def draw(self, buttons: Iterable[Button], choice: Choice | None) -> None:
        wanted: dict[str, Button | Choice] = {button.token: button for button in buttons}
        if choice:
            wanted["▾"] = choice
        if wanted == self.wanted:
            return
        self.wanted = wanted
        for token in self.chips.keys() - wanted.keys():
            self.chips.pop(token).remove()
        for token, what in wanted.items():
            if token in self.chips:
                self.chips[token].change(what)
            else:
                self.chips[token] = Chip(what)
        order = {token: index for index, token in enumerate(wanted)}
        if self.is_attached:
            self.mount_all(self.compose())
        self.sort_children(key=lambda chip: order.get(chip.token, -1) if isinstance(chip, Chip) else -1)
        self.display = bool(wanted)
        self.refresh(layout=True)

    def compose(self) -> ComposeResult:
        yield from [chip for chip in self.chips.values() if chip.parent is None]


class Bubble(Vertical):
    """One message: what it says, and its buttons. It is drawn again only when it changed."""

    def __init__(self) -> None:
        self.text, self.row = Static(markup=False), Row()
        self.drawn = ("", Message("", "", 0, 0.0, "", Answer("…")))
        super().__init__(self.text, self.row)

    def draw(self, message: Message, name: str) -> None:
        if (name, message) == self.drawn:
            return
        self.drawn = (name, message)
        self.set_class(bool(name), "person")
        self.set_class(isinstance(message.body, Card), "card")
        self.set_class(message.number >= ECHO, "echo")
        write(self.text, said(message, name))
        body = message.body
        assert not isinstance(body, Dialog)
        self.row.draw(body.buttons, body.choice if isinstance(body, Card) else None)


class Pinned(VerticalScroll, can_focus=False):
    """The card that stands above its conversation; its buttons stay in sight however long it is."""

    def __init__(self) -> None:
        self.text, self.row = Static(markup=False), Row()
        self.card: Card | None = None
        super().__init__(self.text, self.row)
        self.display = False

    def draw(self, card: Card | None) -> None:
        if card == self.card:
            return
        self.card = card
        self.display = card is not None
        if card:
            self.border_title = Content(shown(card.title))
            self.text.update(blocks(card))
            self.row.draw(card.buttons, card.choice)


class Talk(VerticalScroll, can_focus=False):
    """A conversation, its newest messages; it follows its end unless somebody scrolled up."""

    def __init__(self) -> None:
        super().__init__()
        self.bubbles: dict[str, Bubble] = {}

    def draw(self, messages: list[Message], names: Mapping[str, str], became: Mapping[str, str]) -> None:
        before = [*self.bubbles.values()]
        known = {one.key: self.bubbles.get(one.key) or self.bubbles.get(became.get(one.key, "")) for one in messages}
        self.bubbles = {one.key: known[one.key] or Bubble() for one in messages}
        for message in messages:
            self.bubbles[message.key].draw(message, clip(names.get(message.who, ""), 20))
        after = [*self.bubbles.values()]
        for bubble in before:
            if bubble not in after:
                bubble.remove()
        self.mount_all([bubble for bubble in after if bubble.parent is None])
        order = {bubble: index for index, bubble in enumerate(after)}
        if [one for one in before if one in order] != after[: len(before)]:
            self.sort_children(key=lambda bubble: order.get(bubble, -1) if isinstance(bubble, Bubble) else -1)

    def chips(self) -> list[Chip]:
        """The buttons in sight, the newest message's first."""
        chips = [chip for bubble in reversed(self.bubbles.values()) for chip in bubble.query(Chip)]
        return [chip for chip in chips if chip.region and self.region.contains_region(chip.region)]


def write(line: Static, text: Text) -> None:
    """Put a text in; the screen is laid out anew, which costs most, only where the text takes more lines or fewer."""
    width, height = line.content_size
    line.update(text, layout=False)
    if not width or line.visual.get_height(line.styles.get_rules(), width) != height:
        line.refresh(layout=True)


def said(message: Message, name: str) -> Text:
    """A message as it is drawn: what a person typed as it was typed, what the bot says in our markdown."""
    match message.body:
        case Card(title):
            return Text(shown(title), "bold").append("\n" if message.body.blocks else "").append(blocks(message.body))
        case Answer(text) if name:
            return Text(f"{name} › ", INK["quiet"]).append(shown(text), "none")
        case Answer(text, passing=True):
            return Text(styled(text).plain, INK["quiet"])
        case Answer(text):
            return styled(text).append("▍" if message.live else "", INK["now"])
    raise AssertionError("a dialog is no part of a conversation")


def blocks(card: Card) -> Text:
    """A card below its title."""
    drawn = []
    for block in card.blocks:
        match block:
            case Paragraph(text):
                drawn.append(styled(text))
            case Steps(steps):
                drawn.append(Text("  ").join(Text(f"{MARKS[state]} {shown(label)}", INK[state]) for label, state in steps))
            case Code(text, _, name):
                drawn.append(Text(f"{shown(name)}\n", INK["quiet"]).append(shown(text).rstrip("\n"), INK["code"]))
            case Attached(name, _, where):
                drawn.append(Text(f"{shown(name)}: {shown(where)}", INK["quiet"]))
            case Picture(name):
                signs = Text(shown(block.drawn), INK["now"])
                drawn.append(signs.append(f"\n{shown(name)}: {shown(block.where)}", INK["quiet"]))
            case _:
                drawn.append(Text(shown(bar_line(block))))
    return Text("\n").join(drawn)


class Head(Static):
    """The title and the conversations, as many around the current one as the line holds; a click goes to one."""

    def __init__(self, title: str, main: str) -> None:
        super().__init__(id="head", markup=False)
        self.title, self.main = title, main
        self.tabs: list[tuple[int, int]] = []  # the column where a conversation's name ends, its number

    def draw(self, places: list[Conversation], here: int, news: set[str], width: int) -> None:
        line = Text(f" {shown(self.title)}  ", f"bold {INK['quiet']}")
        room = max(1, (width - line.cell_len) // TAB)
        first = max(0, min(here - room // 2, len(places) - room))
        self.tabs = []
        for index, one in enumerate(places[first : first + room], first):
            mark = "•" if one.place in news else " "
            label = f" {index + 1} {clip(one.title, TAB - 7) or self.main}{mark}"
            line.append(label, INK["here"] if index == here else INK["quiet"]).append(" ")
            self.tabs.append((line.cell_len, index + 1))
        self.update(line)

    async def on_click(self, event: Click) -> None:
        number = next((number for end, number in self.tabs if event.x < end), 0)
        if number:
            await self.app.run_action(f"go({number})")
