"""Plays transcripts through the real Discord front end and the real discord.py, against the fake Discord.

What a line of a terminal means is done as somebody would at Discord's client: a command that its menu has by the menu, else
typed; "[press]" a button in sight, newest first; "[fill]" the dialog that is open, or the button that opens it again.
Labels that nothing in sight has are told as the client's own words: Discord shows no such button.
"""

import asyncio
import time
from contextlib import ExitStack
from typing import Any

from bot.core.cards import say_problem
from bot.core.commands import COMMANDS, Takes
from bot.core.talk import Command
from bot.core.words import pick
from bot.pack import enclosed
from bot.platforms.discord.budget import Budget
from bot.platforms.discord.front import Front
from bot.platforms.terminal.hear import Filled, Pressed, Reworded, Uploaded, read, upload
from bot.play import Player
from bot.transcript import Expects
from pipeline.errors import Invalid
from tests.fakes.discord.interactions import Interaction
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import LOADING, V2, Channel, Shown
from tests.fakes.discord_view import dialog_text, text_of


class Somebody:
    """A person at their client: where they look, what they typed last, the dialog that is open."""

    def __init__(self, person: Person, home: Channel) -> None:
        self.person, self.home, self.here = person, home, home
        self.last: dict[str, Any] | None = None
        self.dialog: Interaction | None = None
        self.typed: dict[str, Any] = {}  # into it, and not sent


class DiscordPlayer(Player):
    """`direct`: people talk with labbot in direct messages; else in a channel of a guild, from which it makes threads.

    `content`: labbot may read messages that do not name it.
    """

    direct = False
    content = True

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.folks: dict[str, Somebody] = {}
        self.lines: list[tuple[Shown | None, str, str]] = []  # what was seen, its text, the one who sees it or ""
        self._taken = 0
        self._more = asyncio.Event()
        self._patched = ExitStack()
        self.fake: Discord
        self._overrides["platforms.discord.message_content"] = "true" if self.content else "false"

    async def play(self, lines: Any) -> None:
        locales = {line.rest.partition("locale=")[2].split()[0] for line in lines if "locale=" in getattr(line, "rest", "")}
        async with Discord() as self.fake:
            self._patched.enter_context(self.fake.patched())
            self.guild = self.fake.guild("lab", locale=locales.pop() if len(locales) == 1 else "en-US")
            self.channel = self.guild.channel("general")
            watching = asyncio.create_task(self._watch())
            try:
                await super().play(lines)
                self.differences += [f"{self.name}: {one}" for one in self.fake.violations]
                self.differences += [f"{self.name}: a follow-up by webhook" for one in self.fake.requests if _follows(one)]
            finally:
                watching.cancel()
                self._patched.close()

    # --- the front end

    async def _begin(self) -> None:
        """What a transcript sets for the terminal holds in the guild and in direct messages; people are named by ids."""
        roles = {f"roles.{role}": role for role in ("operator", "triager", "contributor")}
        told = {name.removeprefix("workspaces.terminal."): text for name, text in self._overrides.items() if "terminal" in name}
        for name in [name for name in self._overrides if "terminal" in name]:
            del self._overrides[name]
        for where in (self.guild.id, "discord"):
            for name, text in (roles | told).items():
                self._overrides[f"workspaces.{where}.{name}"] = await self._by_id(text.strip('"'))
        await super()._begin()

    async def _by_id(self, text: str) -> str:
        if not text.startswith("@"):
            return text
        await self.meet(text[1:])
        return f'"@{self.folks[text[1:]].person.id}"'

    async def begin(self) -> None:
        self.front = Front(self.house, self.fake.token, lambda: self.now, pace_s=0.0, budget=Budget(times=1000))
        self.tasks.append(asyncio.create_task(self.front.serve()))
        waiting = asyncio.create_task(self.front.ready.wait())
        await asyncio.wait([waiting, *self.tasks], return_when=asyncio.FIRST_COMPLETED)
        assert waiting.done(), [task.exception() for task in self.tasks if task.done()]
        self.app = self.front.app

    async def again(self) -> None:
        """Nothing: people's clients were there all the time."""

    async def idle(self) -> None:
        """Everything that was heard is answered, and every interaction has its answer."""
        await self.front.ear.idle()

    async def goes_on(self) -> bool:
        return self.front.app is self.app and await super().goes_on()

    # --- people

    async def meet(self, name: str) -> None:
        self._meet(name)

    def _meet(self, name: str) -> None:
        if name in self.folks:
            return
        about = self.about.get(name, {})
        person = self.fake.user(name, locale=about.get("locale", "en-US"))
        self.guild.join(person, roles=[about["role"]] if "role" in about else [])
        self.folks[name] = Somebody(person, person.dm if self.direct else self.channel)

    async def act(self, name: str, typed: str, *, home: bool) -> None:
        self.fake.clock = self.now - time.time()
        one = self.folks[name]
        if home:
            one.here = one.home
        seen, heard = len(self.fake.shown), self._heard_so_far()
        match read(typed):
            case Pressed(label):
                await self._press(one, label)
            case Filled(values):
                await self._fill(one, values)
            case Uploaded(path):
                await self._upload(one, path)
            case Reworded(text):
                assert one.last is not None
                await (one.person.edits(one.last, self._named(one, text)) if text else one.person.deletes(one.last))
            case Command(command, text) if (options := self._options(command, text)) is not None:
                await self._open(one, await one.person.slash(one.here, command, options))
            case _:
                one.last = await one.person.says(one.here, typed, mention=self._names(one))
        if self.lines[-1:] and self.lines[-1][0] is None and self._heard_so_far() == heard and one.dialog is None:
            return  # the client said itself that there is nothing to do
        if one.dialog is None:
            await self.fake.until(lambda: self._heard_so_far() > heard)
        if self.server.process:
            await self.idle()
        self._follow(one, seen)

    def _heard_so_far(self) -> int:
        counts = self.front.counts
        return counts.heard + counts.duplicates + self.front.ear.waiting

    def _names(self, one: Somebody) -> bool:
        """Whether one has to name labbot there to be heard."""
        return one.here.guild is not None and (not self.content or one.here.parent is None)

    def _named(self, one: Somebody, text: str) -> str:
        named = one.last is not None and str(one.last["content"]).startswith("<@")
        return f"<@{self.fake.bot.id}> {text}" if named else text

    def _options(self, command: str, text: str) -> dict[str, str] | None:
        """What the command's menu would be given; None where the menu would not take that."""
        if command not in COMMANDS:
            return None
        takes = [one for one in COMMANDS[command].takes if one.kind != "file"]
        words = text.split(None, len(takes) - 1) if takes else []
        if (text.strip() and not takes) or any(one.required for one in takes[len(words) :]):
            return None
        given = [self._given(one, word.strip()) for one, word in zip(takes, words, strict=False)]
        return None if None in given else {one.name: str(word) for one, word in zip(takes, given, strict=False)}

    def _given(self, takes: Takes, word: str) -> str | None:
        if takes.choices:
            return word if word in takes.choices else None
        if takes.kind != "person":
            return word
        name = word.removeprefix("@")
        if not word.startswith("@"):
            return None
        self._meet(name)
        return self.folks[name].person.id

    async def _open(self, one: Somebody, heard: Interaction) -> None:
        async with asyncio.timeout(20):
            await heard.acked.wait()
        if heard.modal is not None:
            one.dialog = heard
            self._add(None, dialog_text(heard.modal), one.person.id)

    async def _upload(self, one: Somebody, path: str) -> None:
        try:
            files = [(file.name, enclosed(file.token)) for file in upload(path).files]
        except Invalid as error:
            words = pick(self.settings.words, self.settings.bot.words.locale)
            return self._add(None, say_problem(words, error.problems[0]), one.person.id)
        one.last = await one.person.says(one.here, "", files=files, mention=self._names(one))

    async def _press(self, one: Somebody, label: str) -> None:
        found = self._button(one, label)
        if found is None:
            return self._remark(one, "screen.no_button", label=label)
        message, custom_id, value = found
        acted = one.person.selects(message, custom_id, [value]) if value else one.person.presses(message, custom_id)
        await self._open(one, await acted)

    async def _fill(self, one: Somebody, values: dict[str, str]) -> None:
        if one.dialog is None:
            found = self._opener(one)
            if found is None:
                return self._remark(one, "screen.no_dialog")
            await self._open(one, await one.person.presses(*found))
        assert one.dialog is not None and one.dialog.modal is not None, "the button opened no dialog"
        labels = {part["label"].casefold(): part["component"]["custom_id"] for part in one.dialog.modal["components"]}
        ids = {name: name for name in labels.values()} | labels
        parts = {part["component"]["custom_id"]: part["component"] for part in one.dialog.modal["components"]}
        filled = {ids[name.casefold()]: value for name, value in values.items() if name.casefold() in ids}
        one.typed |= {name: _entered(parts[name], value) for name, value in filled.items()}
        if empty := [name for name, value in one.typed.items() if value == "" and parts[name].get("required")]:
            words = pick(self.settings.words, one.person.user.locale)
            return self._add(None, f"{empty[0]} ✘ {words('problem.missing')}", one.person.id)  # the client sends no such thing
        given, one.typed = one.typed, {}
        opened, one.dialog = one.dialog, None
        await self._open(one, await one.person.submits(opened, given))

    def _opener(self, one: Somebody) -> tuple[dict[str, Any], str] | None:
        for message in self._sight(one):
            for button in _buttons(message):
                if button.get("custom_id", "").startswith("form|"):
                    return message, button["custom_id"]
        return None

    def _button(self, one: Somebody, label: str) -> tuple[dict[str, Any], str, str] | None:
        wanted = label.strip().strip("[]").casefold()
        begun = []
        for message in self._sight(one):
            for button in _buttons(message):
                name = button["label"].casefold()
                choice = (message, button["custom_id"], button.get("value", ""))
                if name == wanted:
                    return choice
                if wanted and name.startswith(wanted):
                    begun.append(choice)
        return begun[0] if len({(one_[1], one_[2]) for one_ in begun}) == 1 else None

    def _sight(self, one: Somebody) -> list[dict[str, Any]]:
        """The messages that somebody sees where they are, and directly; the newest first, cards that stay last."""
        places = [one.here, *([one.person.dm] if one.person.dm is not one.here else [])]
        found = [message for place in places for message in reversed(self.fake.messages(place, one.person))]
        return sorted(found, key=lambda message: (bool(int(message.get("flags", 0)) & V2), -int(message["id"])))

    def _follow(self, one: Somebody, seen: int) -> None:
        """Go to the thread that one's act has led to."""
        for shown in self.fake.shown[seen:]:
            if shown.author == self.fake.bot.id and shown.channel.parent is not None and not shown.to:
                one.here = shown.channel

    # --- what is said

    async def _watch(self) -> None:
        while True:
            self._take()
            self.fake.more.clear()
            await self.fake.more.wait()

    def _take(self) -> None:
        for shown in self.fake.shown[self._taken :]:
            waits = int(shown.message.get("flags", 0)) & LOADING
            if shown.author == self.fake.bot.id and shown.kind != "delete" and not waits:
                files = {one["filename"]: self.fake.file(one).content for one in shown.message.get("attachments", [])}
                reader = shown.to or (shown.channel.with_.id if shown.channel.with_ else "")
                self._add(shown, text_of(shown.message, files), reader)
        self._taken = len(self.fake.shown)

    def _add(self, shown: Shown | None, text: str, reader: str) -> None:
        lines = (line.removeprefix("┃ ").removeprefix("┏ ") if shown else line.removeprefix("┃ ") for line in text.split("\n"))
        self.lines.append((shown, " ".join(lines).strip(), reader))
        self._more.set()

    def _remark(self, one: Somebody, name: str, **facts: str) -> None:
        words = pick(self.settings.words, self.settings.bot.words.locale)
        self._add(None, words(name, **facts), one.person.id)

    def count(self) -> int:
        self._take()
        return len(self.lines)

    def text(self, index: int, line: Expects, who: str) -> str | None:
        shown, text, reader = self.lines[index]
        one = self.folks[who]
        there = not line.to or reader == one.person.id or (shown is not None and shown.channel in (one.here, one.home))
        return text if reader in ("", one.person.id) and there else None

    def more(self) -> asyncio.Event:
        return self._more


class DirectPlayer(DiscordPlayer):
    """Everybody in their direct messages."""

    direct = True


class NamingPlayer(DiscordPlayer):
    """Labbot may not read what does not name it."""

    content = False


def _buttons(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Every button and option of a message, with the custom id by which it is used."""
    found: list[dict[str, Any]] = []

    def walk(components: list[dict[str, Any]]) -> None:
        for one in components:
            if one["type"] == 2 and "custom_id" in one:
                found.append(one)
            elif one["type"] == 3:
                found.extend({**option, "custom_id": one["custom_id"]} for option in one["options"])
            walk(one.get("components", []))

    walk(message.get("components") or [])
    return found


def _entered(part: dict[str, Any], value: str) -> Any:
    """What is typed for a part of a dialog, as that part takes it: a box is ticked, an option is chosen by either name."""
    if part["type"] == 23:
        return value == "yes"
    if "options" not in part:
        return value
    named = {one["label"]: one["value"] for one in part["options"]}
    return [named.get(value, value)]


def _follows(request: Any) -> bool:
    return request.method == "POST" and request.path.startswith("/webhooks/")
