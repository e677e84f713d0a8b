"""What is heard and what is said: frozen values in which no platform is named.

An `Event` is the envelope of one `Act` of a person (or of a run); an `Effect` is one thing the shell must do about it.
Cards and dialogs are closed unions whose limits are the smaller of Discord's and Slack's, asserted when they are
built: a card that can be built can be shown everywhere. The asserts guard shapes of ours (counts, labels, tokens);
text that people typed is bounded by `Field.limit`, and shortened by `cards.clip` where a card quotes it.
More than 400 lines: the whole language between core and shell is in one place, so that it can be read as one.
"""

import hashlib
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bot.core.records import Saved
from pipeline.pulls import News, Pull, Waiting

TOKEN = 100  # Discord: custom_id; Slack allows 255
LABEL = 75  # Slack: button and option text; Discord allows 80
BUTTONS = 20  # Discord: 5 rows of 5, one row kept for a choice
OPTIONS = 25  # Discord: options of a select
TITLE = 150  # Slack: header block
BLOCKS = 12  # Discord: 40 components in all, rows and texts counted
TEXT = 3000  # Slack: section text
CARD = 3800  # Discord: 4,000 characters over all texts of a message; the rest is for titles and labels
DIALOG_TITLE = 24  # Slack: modal title
DIALOG_FIELDS = 5  # Discord: top-level components of a modal
FIELD_LABEL = 45  # Discord: label of a modal field
FIELD_HINT = 100  # Discord: description of a modal field
FIELD_TEXT = 3000  # Slack: plain_text_input; Discord allows 4,000
FILE_BYTES = 10 * 2**20  # Discord: a file, where nobody pays for more; Slack names no limit
ALT = 1000  # Discord: description of a picture, 1,024; Slack allows 2,000

Style = Literal["plain", "good", "danger"]


def short(text: str, length: int = 8) -> str:
    """Name something after `text`: the same text has the same name. Base32, 5 bits a letter; 25 letters fit a nonce."""
    return b32encode(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()).decode().lower()[:length]


# --- what is heard ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file as the core sees it: the shell fetches the bytes by `token` when somebody asks for them."""

    name: str
    size_bytes: int
    token: str


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Press:
    """A button or an option was pressed: `token` is `action|value`, exactly as the card carried it."""

    token: str


@dataclass(frozen=True, slots=True)
class Submit:
    """A dialog was sent off."""

    token: str
    values: Mapping[str, str]
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """Somebody typed. `message` is the platform's id of the message, the same one again when it was edited."""

    text: str
    files: tuple[File, ...] = ()
    message: str = ""
    edited: bool = False


@dataclass(frozen=True, slots=True)
class Unsaid:
    message: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A home tab, a first direct message, a terminal that was started."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The platform's own stop button, on the message `message` (a key of ours)."""

    message: str


@dataclass(frozen=True, slots=True)
class Rated:
    message: str
    good: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """A run took a step: `state` as in `pipeline.runs`, `fraction` 0 to 1, `facts` as the stage wrote them."""

    run: str
    number: int
    state: str
    stage: str = ""
    fraction: float = 0.0
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pulled:
    """The pull request of a draft is not as its contributor was last told; `number` counts how often that was so."""

    draft: str
    number: int
    pull: Pull
    news: tuple[News, ...] = ()


@dataclass(frozen=True, slots=True)
class Digest:
    """What waits for triage, oldest first: once a day, for a workspace's triagers."""

    repo: str
    rows: tuple[Waiting, ...]


Act = Command | Press | Submit | Said | Unsaid | Opened | Stopped | Rated | Moved | Pulled | Digest


@dataclass(frozen=True, slots=True)
class Event:
    """One act, by whom, where and when.

    `id` is the platform's own, unique within `platform`: a redelivery has it again. `at` (seconds since 1970) is the
    only time the core knows. `person` and `place` are ids of ours; `roles` are ours too, mapped by the adapter.
    """

    id: str
    at: float
    person: str
    place: str
    act: Act
    platform: str = "terminal"
    workspace: str = ""
    locale: str = "en"
    roles: tuple[str, ...] = ("everyone",)


def thread(place: str, name: str) -> str:
    """The place of a thread in `place`; the adapter makes the real one when something is first shown there."""
    return f"{place}/{name}"


def is_thread(place: str) -> bool:
    """Whether a place is a conversation about one thing, or of one person, and not a channel where many go on at once."""
    return "/" in place or ":@" in place


def direct(platform: str, person: str) -> str:
    """The place where `person` alone is spoken to on `platform`."""
    return f"{platform}:@{person}"


def platform_of(place: str) -> str:
    """The platform that a place is on."""
    return place.partition(":")[0]


# --- what is said ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Button:
    label: str
    token: str
    style: Style = "plain"

    def __post_init__(self) -> None:
        assert 0 < len(self.label) <= LABEL, self.label
        assert 0 < len(self.token) <= TOKEN, self.token


@dataclass(frozen=True, slots=True)
class Choice:
    """A select: one of several buttons, when there are too many to lie side by side."""

    hint: str
    options: tuple[Button, ...]

    def __post_init__(self) -> None:
        assert 0 < len(self.options) <= OPTIONS, len(self.options)
        assert 0 < len(self.hint) <= LABEL, self.hint


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph in our markdown subset: **bold**, `code`, [link](https://...), lines that begin with "- "."""

    text: str

    def __post_init__(self) -> None:
        assert 0 < len(self.text) <= TEXT, len(self.text)


@dataclass(frozen=True, slots=True)
class Steps:
    """Where one stands: a label and a state each."""

    steps: tuple[tuple[str, Literal["done", "now", "open", "wrong"]], ...]

    def __post_init__(self) -> None:
        assert 0 < len(self.steps) <= OPTIONS, len(self.steps)


@dataclass(frozen=True, slots=True)
class Code:
    """Text to be shown as it is; a platform sends it as a file of that name where it is too long for a message."""

    text: str
    language: str
    name: str


@dataclass(frozen=True, slots=True)
class Attached:
    """A whole file to take away, never shown as text; `text` is "" where it is too large to be sent.

    `where` it lies is told at labbot's own terminal only, whose people can open it there. With a `path` it is the file there
    below the folder of `run`, read when it is sent: too much to be kept with a message, and not always text.
    """

    name: str
    text: str
    where: str
    run: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a run draws again and again: the file at `path` below its folder, read when it is sent.

    Of another `version` it is another picture, and shown anew in its place. `alt` says in words what can be seen, `drawn`
    the same with signs, for a terminal, which also tells `where` it lies.
    """

    name: str
    run: str
    path: str
    version: str
    alt: str
    drawn: str
    where: str

    def __post_init__(self) -> None:
        assert 0 < len(self.alt) <= ALT, len(self.alt)


@dataclass(frozen=True, slots=True)
class Bar:
    fraction: float
    label: str

    def __post_init__(self) -> None:
        assert 0.0 <= self.fraction <= 1.0, self.fraction


Block = Text | Steps | Code | Attached | Picture | Bar


@dataclass(frozen=True, slots=True)
class Card:
    title: str
    blocks: tuple[Block, ...] = ()
    buttons: tuple[Button, ...] = ()
    choice: Choice | None = None

    def __post_init__(self) -> None:
        assert len(self.title) <= TITLE, self.title
        assert len(self.blocks) <= BLOCKS, len(self.blocks)
        assert len(self.buttons) <= BUTTONS, len(self.buttons)
        assert sum(len(b.text) for b in self.blocks if isinstance(b, Text)) <= CARD
        tokens = [b.token for b in self.buttons]
        assert len(set(tokens)) == len(tokens), tokens


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a dialog. `options` (value, label) makes it a choice; `lines` lets the text have several lines.

    A "check" is a box to tick, whose options are what it means ticked and not; a "file" brings files, not a value.
    """

    name: str
    label: str
    value: str = ""
    hint: str = ""
    limit: int = FIELD_TEXT
    lines: bool = False
    required: bool = True
    options: tuple[tuple[str, str], ...] = ()
    kind: Literal["text", "check", "file"] = "text"

    def __post_init__(self) -> None:
        assert self.kind != "check" or len(self.options) == 2, self.options
        assert 0 < len(self.label) <= FIELD_LABEL, self.label
        assert len(self.hint) <= FIELD_HINT, self.hint
        assert len(self.value) <= self.limit <= FIELD_TEXT, (len(self.value), self.limit)
        assert len(self.options) <= OPTIONS, len(self.options)


@dataclass(frozen=True, slots=True)
class Dialog:
    title: str
    token: str
    fields: tuple[Field, ...]
    send: str

    def __post_init__(self) -> None:
        assert 0 < len(self.title) <= DIALOG_TITLE, self.title
        assert 0 < len(self.token) <= TOKEN, self.token
        assert 0 < len(self.fields) <= DIALOG_FIELDS, len(self.fields)
        assert 0 < len(self.send) <= DIALOG_TITLE, self.send


@dataclass(frozen=True, slots=True)
class Show:
    """Show a card. With a `slot` it is posted the first time and edited from then on; without, it is a message.

    `place` is where the event came from unless given. `ping` is the one person whom the message may notify.
    """

    card: Card
    slot: str = ""
    place: str = ""
    ping: str = ""
    private: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A message of prose: `text`, or what the shell's stream of that name writes, token by token, about `subject`.

    `passing`: the text stands for what is still to come (a place in a queue, why it takes so long) and goes with it.
    `leads` is the place that it tells the way to: not needed where both are one to whoever reads it.
    `open`: whoever sees it alone may show it to everybody; what refuses, or is a secret, is not.
    """

    text: str = ""
    stream: str = ""
    subject: str = ""
    buttons: tuple[Button, ...] = ()
    place: str = ""
    private: bool = False
    passing: bool = False
    leads: str = ""
    open: bool = False

    def __post_init__(self) -> None:
        assert bool(self.text) != bool(self.stream), (self.text, self.stream)


@dataclass(frozen=True, slots=True)
class Ask:
    """Open a dialog: the first and only answer to a command or a press, never to a dialog (Discord)."""

    dialog: Dialog


@dataclass(frozen=True, slots=True)
class Refuse:
    """Send a dialog back: `errors` by field name. Where a platform cannot, it posts them with a Fix button."""

    dialog: Dialog
    errors: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Save:
    """Write down one of `records.Saved`."""

    what: Saved


@dataclass(frozen=True, slots=True)
class Start:
    """Start a run; the same `key` is the same run. Its steps come back to `place` as `Moved`.

    The stages `redo` are performed again with these inputs, also where the run is done.
    """

    key: str
    recipe: str
    inputs: Mapping[str, object]
    until: str | None = None
    redo: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rate:
    """Tell a run what its contributor thinks of one of its samples; "" takes it back. What follows leans on it."""

    run: str
    sample: str
    thumb: Literal["up", "down", ""]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel the run of that id, or stop the message that streams: by its key, or by what it is about."""

    what: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Take away what is kept of a person, everywhere, or what they and the model said in one place.

    The shell says what is done and what must stay.
    """

    person: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Give the person a code, take the one of `person` that is kept under `code`, or part this platform's account.

    The shell says what came of it: a code is nowhere but in the message that shows it.
    """

    act: Literal["code", "take", "off"]
    code: str = ""
    person: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """Have the person link their GitHub account (the shell shows a code, and says what came of it), or forget it."""

    act: Literal["link", "unlink"]


@dataclass(frozen=True, slots=True)
class Follow:
    """Tell the draft's pull request from now on, as `Pulled`, to whoever asked; without a `repo` no longer."""

    draft: str
    repo: str = ""
    pull: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """Ask the shell for a finding; it calls `decide` once more with `known.found[what]`.

    The subject: of "draft" a Draft as it would stand; of "file" Files, or a text typed in their place; of "passages" the
    run that read a document, a query ("#ID" for one passage) and how many; of "faq" a question and those before it; of
    "entry" the id of one of the FAQ's; of "mine" the person whose all is wanted; of "models" a locale; of "precheck" the run
    that made one; of "code" by what a code is kept and who typed it; of "accounts" the person whose platforms are wanted;
    of "samples" a run, whether the kept or the dropped are wanted, how many to pass over and how many to show; of "report",
    "thumbs", "curve", "scores", "export" and "adapter" the run; of "pull" a draft, whose pull request is wanted; of
    "pulls" a person; of "waiting" nothing, it is what waits for triage; of "triage" the run that looked at a pull request;
    "serving" has none.
    """

    what: Literal[
        "draft",
        "file",
        "passages",
        "faq",
        "entry",
        "mine",
        "serving",
        "models",
        "precheck",
        "samples",
        "report",
        "thumbs",
        "curve",
        "scores",
        "export",
        "adapter",
        "code",
        "accounts",
        "pull",
        "pulls",
        "waiting",
        "triage",
    ]
    subject: object


Effect = Show | Ask | Refuse | Answer | Save | Start | Cancel | Rate | Look | Forget | Link | Account | Follow
