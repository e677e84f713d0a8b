"""How the terminal hears: a line, a key or a dialog becomes an act, and the act an event that cannot get lost.

The ear writes each event into a journal of its own before it hands it to the shell, and takes it out once the inbox has
it: while Redis is away the journal holds what was typed, and the next process on the same data folder hands it in.
"""

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bot.app import App
from bot.core.talk import Act, Answer, Button, Card, Command, Dialog, Event, File, Press, Said, Submit
from bot.pack import enclose
from bot.rows import Message
from bot.serving import RETRY_S
from bot.unheard import Journal
from pipeline.check import SIZE_BYTES
from pipeline.errors import Invalid, Problem, Temporary
from pipeline.taxonomy import KNOWLEDGE, SKILLS

_ACT = re.compile(r"\[(?P<verb>press|fill|file|edit|unsay)\]\s*(?P<rest>.*)", re.S)


@dataclass(frozen=True, slots=True)
class Pressed:
    label: str


@dataclass(frozen=True, slots=True)
class Filled:
    """Values of an open dialog by field name or label."""

    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Uploaded:
    path: str


@dataclass(frozen=True, slots=True)
class Reworded:
    """What was typed last, typed anew; "" takes it back."""

    text: str


Typed = Command | Said | Pressed | Filled | Uploaded | Reworded


def read(line: str) -> Typed:
    """Read a typed line: "/name rest", "[press] Label", "[fill] field=text | field=text", "[file] path", else text.

    "[edit] text" and "[unsay]" change what was typed last, as an edited or a deleted message does elsewhere. A file may
    also be sent as "/file path": that is the terminal's own, other platforms have a button for it.

    In a filled value "\\n" is a new line and "\\|" a bar.
    """
    if act := _ACT.fullmatch(line.strip()):
        rest = act["rest"].strip()
        match act["verb"]:
            case "press":
                return Pressed(rest)
            case "fill":
                return Filled(_values(rest))
            case "file":
                return Uploaded(rest)
            case _:
                return Reworded(rest if act["verb"] == "edit" else "")
    if re.match(r"/[a-z]", line):
        name, _, text = line[1:].partition(" ")
        return Uploaded(text.strip()) if name == "file" else Command(name.strip(), text.strip())
    return Said(line)


def upload(path: str) -> Said:
    """The act of sending a file, all of it inside: whatever happens to the file later, this was sent.

    Raises Invalid where it cannot be read or is larger than any entry.
    """
    file = Path(path.strip("'\""))  # terminals quote a path that is dropped on them
    try:
        file = file.expanduser()
        size = file.stat().st_size
        if size > SIZE_BYTES:
            raise Invalid(
                Problem("file.large", f"{size} bytes", file.name, facts={"size": str(size), "limit": str(SIZE_BYTES)})
            )
        content = file.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:  # a path with NUL, the home of nobody
        why = getattr(error, "strerror", None) or str(error)
        raise Invalid(Problem("file.unreadable", why, file.name, facts={"path": path, "why": why})) from error
    return Said("", (File(_name(file.absolute()), size, enclose(content)),))


def filled(dialog: Dialog, values: Mapping[str, str]) -> Submit:
    """The act of sending a dialog off; what stands in a field for files is the path of one.

    Raises Invalid for a file that cannot be sent.
    """
    paths = [values.get(field.name, "").strip() for field in dialog.fields if field.kind == "file"]
    return Submit(dialog.token, values, tuple(file for path in paths if path for file in upload(path).files))


def _name(file: Path) -> str:
    """The file's name, with its path below a root of the taxonomy: that says where the entry belongs, the rest is private."""
    roots = [at for at, part in enumerate(file.parts) if part in (SKILLS, KNOWLEDGE)]
    return "/".join(file.parts[roots[-1] :]) if roots else file.name


def act_of(text: str) -> Act:
    """What a person did who typed that into the prompt of a screen, where buttons and dialogs are not typed.

    Raises Invalid for a file that cannot be sent.
    """
    match read(text):
        case Command() as command:
            return command
        case Uploaded(path):
            return upload(path)
        case _:
            return Said(text, message=secrets.token_hex(8))


def _values(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in re.split(r"(?<!\\)\|", text))
    plain = {name.strip(): value.strip() for name, _, value in pairs if name.strip()}
    return {name: value.replace("\\|", "|").replace("\\n", "\n") for name, value in plain.items()}


def buttons_of(message: Message) -> tuple[Button, ...]:
    """Every button of a message, those of its choice too."""
    match message.body:
        case Card(_, _, buttons, choice):
            return (*buttons, *(choice.options if choice else ()))
        case Answer():
            return message.body.buttons
        case _:
            return ()


def token_of(label: str, talk: Sequence[Message]) -> str:
    """The token of the button that people call by `label`, the newest first; "" if there is none.

    The label may be given in brackets, in any case, or by an unambiguous beginning.
    """
    wanted = label.strip().strip("[]").casefold()
    shown = [button for message in sorted(talk, key=_newest, reverse=True) for button in buttons_of(message)]
    exact = [button.token for button in shown if button.label.casefold() == wanted]
    begun = {button.token for button in shown if wanted and button.label.casefold().startswith(wanted)}
    return exact[0] if exact else begun.pop() if len(begun) == 1 else ""


def _newest(message: Message) -> tuple[bool, int]:
    return (not message.slot, message.number)  # what was just said goes before cards that stay


def press(label: str, talk: Sequence[Message]) -> Press | None:
    token = token_of(label, talk)
    return Press(token) if token else None


class Ear:
    """One person at one terminal. `away` is told once what keeps what was typed waiting ("redis", "disk"), "" at its end."""

    def __init__(
        self,
        app: App,
        journal: Journal[Event],
        *,
        person: str,
        roles: tuple[str, ...],
        locale: str,
        away: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.app, self.journal = app, journal
        self.person, self.roles, self.locale = person, roles, locale
        self.away, self.clock = away, clock
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._session, self._count = secrets.token_hex(4), 0

    def mine(self, event: str) -> bool:
        """Whether an event of that id was typed here."""
        return event.startswith(f"{self._session}-")

    async def send(self, act: Act, place: str) -> None:
        """Take an act in: on disk when this returns, heard as soon as the memory is there."""
        self._count += 1
        name = f"{self._session}-{self._count}"
        event = Event(name, self.clock(), self.person, place, act, locale=self.locale, roles=self.roles)
        try:
            self.journal.add(event)
        except OSError:
            self.away("disk")
        self._queue.put_nowait(event)

    async def run(self) -> None:
        """Hand in what is typed, in order, waiting as long as it takes; first what earlier processes left."""
        for event in self.journal.take_over():
            self._queue.put_nowait(event)
        while True:
            event = await self._queue.get()
            await self._insist(event)
            self.journal.take_out(event)
            self._queue.task_done()

    async def _named(self, event: Event) -> Event:
        """Put ids of ours where a command names people as "@bob"; somebody who never came gets one too."""
        if not isinstance(event.act, Command) or "@" not in event.act.text:
            return event
        words = [
            f"<@{await self.app.store.person(event.platform, event.platform, word[1:], word[1:])}>" if word[:1] == "@" else word
            for word in event.act.text.split()
        ]
        return replace(event, act=replace(event.act, text=" ".join(words)))

    async def idle(self) -> None:
        """Return when everything that was typed is heard and answered."""
        await self._queue.join()
        await self.app.idle()

    async def _insist(self, event: Event) -> None:
        waits = iter(RETRY_S)
        waited = False
        while True:
            try:
                await self.app.hear(await self._named(event))
            except Temporary:
                if not waited:
                    self.away("redis")
                waited = True
                await asyncio.sleep(next(waits, RETRY_S[-1]))
            else:
                if waited:
                    self.away("")
                return
