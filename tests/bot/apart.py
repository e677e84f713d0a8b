"""Plays transcripts through the front end of a platform with channels of its own, against a fake: what such players share.

What a line of a terminal means is done as somebody would at the platform's client: "[press]" a button in sight, newest
first; "[fill]" the dialog that is open, or the button that opens it again. Labels that nothing in sight has are told as
the client's own words: no platform shows such a button.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.core.cards import say_problem
from bot.core.talk import Command
from bot.core.words import pick
from bot.pack import enclosed
from bot.platforms.terminal.hear import Filled, Pressed, Reworded, Uploaded, read, upload
from bot.play import Player
from bot.transcript import Expects
from pipeline.errors import Invalid

TRANSCRIPTS = Path(__file__).resolve().parent.parent / "transcripts"
# Long ones that say nothing which others do not say on each platform.
ONE = {
    "setup": "slack",
    "precheck_away": "discord",
    "pull_in_the_way": "discord",
    "pull_revoked": "slack",
    "pull_withdrawn": "slack",
    "triage_generate": "discord",
}

Json = dict[str, Any]


def transcripts(platform: str) -> list[Path]:
    """Those that are played on a platform."""
    return [path for path in sorted(TRANSCRIPTS.glob("*.txt")) if ONE.get(path.stem, platform) == platform]


@dataclass
class Somebody:
    """A person at their client: where they look, what they typed last, the dialog that is open."""

    person: Any
    home: Any
    here: Any
    last: Json | None = None
    dialog: Any = None
    typed: Json = field(default_factory=dict)  # into it, and not sent
    since: int = 0  # how much had been shown when they acted last


@dataclass(frozen=True)
class Control:
    """A button or an option of a message, with what its use tells the bot."""

    label: str
    message: Json
    action: str
    value: str = ""


class ApartPlayer(Player, ABC):
    """`direct`: people talk with labbot in direct messages; else in a channel, from which threads are made.

    A player of a platform brings its fake (in `play`), its settings (`_begin`), its front end (`begin`) and its client.
    """

    direct = False
    fake: Any
    front: Any

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.folks: dict[str, Somebody] = {}
        self.lines: list[tuple[Any, str, str]] = []  # what was seen, its text, the one who sees it or ""
        self.taken = 0
        self._more = asyncio.Event()

    async def watched(self, play: Awaitable[None]) -> None:
        """Play while what the fake shows is taken down; what the platform would not take is a difference."""
        watching = asyncio.create_task(self._watch())
        try:
            await play
            self.differences += [f"{self.name}: {one}" for one in [*self.fake.violations, *self.wrongs()]]
        finally:
            watching.cancel()

    def of_the_terminal(self) -> dict[str, str]:
        """What a transcript sets for the terminal, taken out of the settings; somebody in it is named by their id."""
        names = {name: name.removeprefix("workspaces.terminal.") for name in self._overrides if "terminal" in name}
        found = {short: self._overrides.pop(name) for name, short in names.items()}
        people = {name: text.strip('"') for name, text in found.items() if text.startswith('"@')}
        return found | {name: f'"@{self.met(whom[1:]).person.id}"' for name, whom in people.items()}

    async def serves(self) -> None:
        """Let the front end serve; return when it is ready."""
        self.tasks.append(asyncio.create_task(self.front.serve()))
        waiting = asyncio.create_task(self.front.ready.wait())
        await asyncio.wait([waiting, *self.tasks], return_when=asyncio.FIRST_COMPLETED)
        assert waiting.done(), [task.exception() for task in self.tasks if task.done()]
        self.app = self.front.app

    # --- what a platform has of its own

    def wrongs(self) -> Iterable[str]:
        """What else went wrong."""
        return ()

    @abstractmethod
    def makes(self, name: str, about: dict[str, str]) -> tuple[Any, Any]:
        """Somebody who comes, and where they talk with labbot."""

    @abstractmethod
    async def says(self, one: Somebody, text: str, files: Any = ()) -> Json:
        """Write where somebody is; return the message."""

    @abstractmethod
    async def commands(self, one: Somebody, line: str, command: Command) -> None:
        """Give a command as the client takes it where somebody is."""

    @abstractmethod
    async def uses(self, one: Somebody, control: Control) -> None:
        """Press a button, choose an option."""

    @abstractmethod
    def sight(self, one: Somebody) -> list[Json]:
        """The messages that somebody sees, the newest first, cards that stay last."""

    @abstractmethod
    def controls(self, message: Json) -> list[Control]:
        """The buttons and options of a message."""

    @abstractmethod
    def fields(self, one: Somebody) -> dict[str, tuple[str, Json, bool]]:
        """Of the dialog that is open: label, element and whether it must be filled, by name."""

    @abstractmethod
    def entered(self, part: Json, value: str) -> Any:
        """What is typed for a part of a dialog, as that part takes it."""

    @abstractmethod
    async def sends(self, one: Somebody, values: Json) -> None:
        """Send off the dialog that is open."""

    @abstractmethod
    async def heard(self, one: Somebody, before: Any) -> None:
        """Return when the platform has told the bot what was done, and the bot has it."""

    @abstractmethod
    def before(self) -> Any:
        """What `heard` needs to know of the time before an act."""

    @abstractmethod
    def follow(self, one: Somebody, seen: int) -> None:
        """Go to the thread that one's act has led to; it was done when so much had been shown."""

    @abstractmethod
    def told(self, shown: Any) -> tuple[str, str] | None:
        """The text of what was shown and the one who sees it, or ""; None for what is nothing to read."""

    @abstractmethod
    def near(self, one: Somebody, shown: Any) -> bool:
        """Whether something was shown where somebody is."""

    def named(self, one: Somebody, text: str) -> str:
        """A message that was typed with the bot's name before it, typed anew."""
        return text

    # --- people

    async def again(self) -> None:
        """Nothing: people's clients were there all the time."""

    async def idle(self) -> None:
        """Everything that was heard is answered, and every interaction has its answer."""
        await self.front.ear.idle()

    async def goes_on(self) -> bool:
        return self.front.app is self.app and await super().goes_on()

    async def meet(self, name: str) -> None:
        self.met(name)

    async def ident(self, name: str) -> str:
        person, _ = await self.front.ear.person(self.user(self.met(name)), name)
        return str(person)

    def user(self, one: Somebody) -> str:
        """What the front end calls somebody."""
        return str(one.person.id)

    def met(self, name: str) -> Somebody:
        if name not in self.folks:
            person, home = self.makes(name, self.about.get(name, {}))
            self.folks[name] = Somebody(person, home, home)
        return self.folks[name]

    async def act(self, name: str, typed: str, *, home: bool) -> None:
        one = self.folks[name]
        if home:
            one.here = one.home
        seen, before = len(self.fake.shown), self.before()
        match read(typed):
            case Pressed(label):
                await self._press(one, label)
            case Filled(values):
                await self._fill(one, values)
            case Uploaded(path):
                await self._upload(one, path)
            case Reworded(text):
                assert one.last is not None
                named = self.named(one, text)
                await (one.person.edits(one.last, named) if text else one.person.deletes(one.last))
            case Command() as command:
                await self.commands(one, typed, command)
            case _:
                one.last = await self.says(one, typed)
        if self.lines[-1:] and self.lines[-1][0] is None and self.before() == before and one.dialog is None:
            return  # the client said itself that there is nothing to do
        await self.heard(one, before)
        if self.server.process:
            await self.idle()
        self.follow(one, seen)

    async def _upload(self, one: Somebody, path: str) -> None:
        try:
            files = [(file.name, enclosed(file.token)) for file in upload(path).files]
        except Invalid as error:
            words = pick(self.settings.words, self.settings.bot.words.locale)
            return self.add(None, say_problem(words, error.problems[0]), one.person.id)
        one.last = await self.says(one, "", files)

    async def _press(self, one: Somebody, label: str) -> None:
        found = self._button(one, label)
        await (self.uses(one, found) if found else self._remark(one, "screen.no_button", label=label))

    async def _fill(self, one: Somebody, values: dict[str, str]) -> None:
        if one.dialog is None:
            opener = next((each for each in self._controls(one) if each.action.startswith("form|")), None)
            if opener is None:
                return await self._remark(one, "screen.no_dialog")
            await self.uses(one, opener)
        parts = self.fields(one)
        names = {name: name for name in parts} | {label.casefold(): name for name, (label, _, _) in parts.items()}
        filled = {names[name.casefold()]: value for name, value in values.items() if name.casefold() in names}
        one.typed |= {name: self.entered(parts[name][1], value) for name, value in filled.items()}
        if empty := [name for name, value in one.typed.items() if value == "" and parts[name][2]]:
            words = pick(self.settings.words, one.person.user.locale)
            return self.add(None, f"{empty[0]} ✘ {words('problem.missing')}", one.person.id)  # the client sends no such thing
        given, one.typed = one.typed, {}
        await self.sends(one, given)

    def _controls(self, one: Somebody) -> list[Control]:
        return [control for message in self.sight(one) for control in self.controls(message)]

    def _button(self, one: Somebody, label: str) -> Control | None:
        wanted = label.strip().strip("[]").casefold()
        found = self._controls(one)
        begun = [each for each in found if wanted and each.label.casefold().startswith(wanted)]
        exact = [each for each in begun if each.label.casefold() == wanted]
        return exact[0] if exact else begun[0] if len({(each.action, each.value) for each in begun}) == 1 else None

    async def _remark(self, one: Somebody, name: str, **facts: str) -> None:
        words = pick(self.settings.words, self.settings.bot.words.locale)
        self.add(None, words(name, **facts), one.person.id)

    # --- what is said

    async def _watch(self) -> None:
        while True:
            self._take()
            self.fake.more.clear()
            await self.fake.more.wait()

    def _take(self) -> None:
        for shown in self.fake.shown[self.taken :]:
            if found := self.told(shown):
                self.add(shown, *found)
        self.taken = len(self.fake.shown)

    def add(self, shown: Any, text: str, reader: str) -> None:
        lines = (line.removeprefix("┃ ").removeprefix("┏ ") if shown else line.removeprefix("┃ ") for line in text.split("\n"))
        self.lines.append((shown, " ".join(lines).strip(), reader))
        self._more.set()

    def count(self) -> int:
        self._take()
        return len(self.lines)

    def text(self, index: int, line: Expects, who: str) -> str | None:
        shown, text, reader = self.lines[index]
        one = self.folks[who]
        there = not line.to or reader == one.person.id or (shown is not None and self.near(one, shown))
        return text if reader in ("", one.person.id) and there else None

    def more(self) -> asyncio.Event:
        return self._more
