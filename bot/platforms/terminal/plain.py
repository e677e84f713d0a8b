"""The terminal without a screen: lines in, lines out, for pipes and screen readers.

A dialog is asked field by field; a line "[fill] field=text | ..." answers it at once, "/cancel" leaves it. Of a card that
changed only the changed lines are said again. What goes in may be a transcript: its people's lines are typed, the
bot's are skipped.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace

from bot.core.cards import say_problem, shown
from bot.core.talk import Answer, Bar, Card, Dialog, Said, Unsaid
from bot.core.words import Words
from bot.platforms.terminal.hear import Ear, Filled, Pressed, Reworded, Uploaded, filled, press, read, upload
from bot.platforms.terminal.render import answer_lines, card_lines, dialog_lines, plain
from bot.platforms.terminal.say import Desk
from bot.rows import Message
from pipeline.errors import Invalid, Temporary

_PERSON = re.compile(r"(?P<who>\w[\w-]*)(?P<act>\[\w+\])?>? ?(?P<rest>.*)")
_LINE = re.compile(r"\w[\w-]*(> |\[(press|fill|file|edit)\] |\[unsay\])")


class Plain:
    """One person at a plain terminal. `settled` returns when what was typed is answered, as far as it can be now."""

    def __init__(
        self,
        desk: Desk,
        ear: Ear,
        words: Words,
        write: Callable[[str], None],
        settled: Callable[[], Awaitable[None]],
        place: str,
    ) -> None:
        self.desk, self.ear, self.words, self.write, self.settled = desk, ear, words, write, settled
        self.place = place
        self.dialog: Dialog | None = None
        self.values: dict[str, str] = {}
        self.said = ("", place)  # the message that was typed last, and where
        self._seen: dict[str, tuple[int, list[str]]] = {}
        self._waits: dict[str, list[str]] = {}
        self._changed = asyncio.Event()
        self._saying = asyncio.Lock()
        desk.listeners.append(self.notice)

    async def run(self, lines: AsyncIterator[str], *, echo: bool) -> None:
        """Take lines until there are no more, or "/quit"; say what comes of each before the next."""
        talking = asyncio.create_task(self._keep_up())
        try:
            await self.catch_up()
            async for line in lines:
                if line.strip() == "/quit":
                    return
                if echo:
                    self.write(f"> {shown(line)}")
                await self.take(line)
                await self.settled()
                await self.catch_up()
        finally:
            talking.cancel()

    async def _keep_up(self) -> None:
        """Say what comes unasked: a run's steps, a second author's changes."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.catch_up()

    async def take(self, line: str) -> None:
        """One line: into the dialog that is open, or into the conversation."""
        typed = read(line)
        if self.dialog and not isinstance(typed, Pressed):
            await self._fill(self.dialog, line, typed)
            return
        match typed:
            case Pressed(label):
                await self._press(label)
            case Filled():
                self.write(self.words("screen.no_dialog"))
            case Uploaded(path):
                await self._upload(path)
            case Said():
                self.said = (secrets.token_hex(8), self.place)
                await self.ear.send(replace(typed, message=self.said[0]), self.place)
            case Reworded(text):
                message, place = self.said
                await self.ear.send(Said(text, message=message, edited=True) if text else Unsaid(message), place)
            case _:
                await self.ear.send(typed, self.place)

    async def _upload(self, path: str) -> None:
        try:
            await self.ear.send(upload(path), self.place)
        except Invalid as error:
            self.write(say_problem(self.words, error.problems[0]))

    async def _press(self, label: str) -> None:
        try:
            act = press(label, await self.desk.talk(self.place))
        except Temporary:
            self.write(self.words("screen.press_later", label=shown(label)))
            return
        if act is None:
            self.write(self.words("screen.no_button", label=shown(label)))
            return
        self.dialog = None
        await self.ear.send(act, self.place)

    async def _fill(self, dialog: Dialog, line: str, typed: object) -> None:
        if line.strip() == "/cancel":
            self.dialog = None
            self.write(self.words("screen.cancelled"))
            return
        if isinstance(typed, Filled):
            names = {name.casefold(): one.name for one in dialog.fields for name in (one.name, one.label)}
            given = {names[key.casefold()]: value for key, value in typed.values.items() if key.casefold() in names}
            self.values |= given
            waiting = []
        else:
            wanted = [one for one in dialog.fields if one.name not in self.values]
            self.values[wanted[0].name] = _chosen(wanted[0].options, line) if line.strip() else wanted[0].value
            waiting = wanted[1:]
        if waiting:
            self._ask_field(dialog)
            return
        values = {one.name: self.values.get(one.name, one.value) for one in dialog.fields}
        self.dialog = None
        try:
            await self.ear.send(filled(dialog, values), self.place)
        except Invalid as error:
            self.write(say_problem(self.words, error.problems[0]))

    def notice(self, change: Message | str) -> None:
        """Take notice of a change: open a dialog, go where my act led."""
        self._changed.set()
        if isinstance(change, str):
            return
        if isinstance(change.body, Dialog):
            self._open(change.body, dict(change.errors))
        elif self.ear.mine(change.event) and "/" in change.place:
            self.place = change.place

    def _open(self, dialog: Dialog, errors: dict[str, str]) -> None:
        self.dialog = dialog
        # A dialog that comes back asks only for what was wrong with it.
        self.values = {one.name: one.value for one in dialog.fields if one.name not in errors} if errors else {}
        for line in dialog_lines(dialog, errors):
            self.write(line)
        self._ask_field(dialog)

    def _ask_field(self, dialog: Dialog) -> None:
        wanted = next((one for one in dialog.fields if one.name not in self.values), None)
        if wanted:
            self.write(f"┗ {wanted.label}:")

    async def catch_up(self) -> None:
        """Say what is new in this place, or changed; nothing while the memory is away, it is still there later."""
        async with self._saying:
            try:
                talk = await self.desk.talk(self.place)
            except Temporary:
                return
            for message in talk:
                for line in self._fresh(message):
                    self.write(line)

    def _fresh(self, message: Message) -> list[str]:
        """What of a message is not said yet. Of one that streams: why there is nothing so far, then each line that is whole."""
        revision, before = self._seen.get(message.key, (-1, []))
        lines = lines_of(message)
        if message.live and isinstance(message.body, Answer):
            if message.body.passing:
                told, self._waits[message.key] = self._waits.get(message.key), lines
                return [] if told == lines else lines
            lines = plain(message.body.text).split("\n")[:-1]
        if _is_counting(message) and _uncounted(before) == _uncounted(lines):
            return []  # only its numbers have moved on: the next mark of its bar is told
        self._seen[message.key] = (message.revision, lines)
        return _changed(before, lines) if message.who == "" and (message.live or message.revision > revision) else []


def _is_counting(message: Message) -> bool:
    return isinstance(message.body, Card) and any(isinstance(block, Bar) for block in message.body.blocks)


def _uncounted(lines: list[str]) -> list[str]:
    return [re.sub(r"\d+", "", line) for line in lines]


def lines_of(message: Message) -> list[str]:
    match message.body:
        case Card():
            return card_lines(message.body)
        case Answer():
            return answer_lines(message.body)
        case Dialog():
            return dialog_lines(message.body, dict(message.errors))


def _changed(before: list[str], after: list[str]) -> list[str]:
    if after[: len(before)] == before:
        return after[len(before) :]
    known = set(before)
    return [line for line in after if line not in known]


def _chosen(options: tuple[tuple[str, str], ...], line: str) -> str:
    """The value of the option that was named by its label; anything else stays as it was typed."""
    return next((value for value, label in options if plain(label).casefold() == line.strip().casefold()), line)


def typed_lines(lines: Iterable[str]) -> list[str]:
    """What a person types in a text that may be a transcript: then only people's lines, without their names.

    It is one if its first line that says something begins like one; everything else is typed as it stands.
    """
    lines = list(lines)
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    if not _LINE.match(first):
        return lines
    typed: list[str] = []
    mine = False
    for line in lines:
        if line[:1] in (" ", "\t") and mine:
            typed[-1] += "\n" + line.strip()
            continue
        mine = bool(_LINE.match(line))
        if mine and (found := _PERSON.match(line)):
            typed.append(f"{found['act']} {found['rest']}" if found["act"] else found["rest"])
    return typed
