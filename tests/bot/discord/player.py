"""Plays transcripts through the real Discord front end and the real discord.py, against the fake Discord.

What a line of a terminal means is done as somebody would at Discord's client: a command that its menu has by the menu, else
typed. Dialogs are modals that an interaction brings.
"""

import time
from collections.abc import Iterable
from typing import Any

from bot.core.commands import COMMANDS, Takes
from bot.core.talk import Command
from bot.platforms.discord.budget import Budget
from bot.platforms.discord.front import Front
from tests.bot.apart import ApartPlayer, Control, Json, Somebody
from tests.fakes.discord.interactions import Interaction
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import LOADING, V2, Channel, Shown
from tests.fakes.discord_view import dialog_text, text_of

WITHIN_S = 20


class DiscordPlayer(ApartPlayer):
    """In a channel of a guild. `content`: labbot may read messages that do not name it."""

    content = True
    fake: Discord
    front: Front

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._overrides["platforms.discord.message_content"] = "true" if self.content else "false"

    async def play(self, lines: Any) -> None:
        locales = {line.rest.partition("locale=")[2].split()[0] for line in lines if "locale=" in getattr(line, "rest", "")}
        async with Discord() as self.fake:
            with self.fake.patched():
                self.guild = self.fake.guild("lab", locale=locales.pop() if len(locales) == 1 else "en-US")
                self.channel = self.guild.channel("general")
                await self.watched(super().play(lines))

    def wrongs(self) -> Iterable[str]:
        return ["a follow-up by webhook" for one in self.fake.requests if _follows(one)]

    # --- the front end

    async def _begin(self) -> None:
        """What a transcript sets for the terminal holds in the guild and in direct messages; people are named by ids."""
        roles = {f"roles.{role}": role for role in ("operator", "triager", "contributor")}
        for name, text in (roles | self.of_the_terminal()).items():
            self._overrides |= {f"workspaces.{where}.{name}": text for where in (self.guild.id, "discord")}
        await super()._begin()

    async def begin(self) -> None:
        self.front = Front(self.house, self.fake.token, lambda: self.now, pace_s=0.0, budget=Budget(times=1000))
        await self.serves()

    # --- people

    def makes(self, name: str, about: dict[str, str]) -> tuple[Person, Channel]:
        person = self.fake.user(name, locale=about.get("locale", "en-US"))
        self.guild.join(person, roles=[about["role"]] if "role" in about else [])
        return person, person.dm if self.direct else self.channel

    async def act(self, name: str, typed: str, *, home: bool) -> None:
        self.fake.clock = self.now - time.time()
        await super().act(name, typed, home=home)

    def before(self) -> int:
        counts = self.front.counts
        return counts.heard + counts.duplicates + self.front.ear.waiting

    async def heard(self, one: Somebody, before: int) -> None:
        if one.dialog is None:
            await self.fake.until(lambda: self.before() > before)

    async def says(self, one: Somebody, text: str, files: Any = ()) -> Json:
        named = one.here.guild is not None and (not self.content or one.here.parent is None)
        return await one.person.says(one.here, text, files=files, mention=named)

    def named(self, one: Somebody, text: str) -> str:
        named = one.last is not None and str(one.last["content"]).startswith("<@")
        return f"<@{self.fake.bot.id}> {text}" if named else text

    async def commands(self, one: Somebody, line: str, command: Command) -> None:
        options = self._options(command.name, command.text)
        if options is None:
            one.last = await self.says(one, line)
        else:
            await self._open(one, await one.person.slash(one.here, command.name, options))

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
        return self.met(word[1:]).person.id if word.startswith("@") else None

    async def uses(self, one: Somebody, control: Control) -> None:
        if control.value:
            await self._open(one, await one.person.selects(control.message, control.action, [control.value]))
        else:
            await self._open(one, await one.person.presses(control.message, control.action))

    # --- dialogs

    async def _open(self, one: Somebody, heard: Interaction) -> None:
        await self.fake.until(heard.acked.is_set, WITHIN_S)
        if heard.modal is not None:
            one.dialog = heard
            self.add(None, dialog_text(heard.modal), one.person.id)

    def fields(self, one: Somebody) -> dict[str, tuple[str, Json, bool]]:
        assert one.dialog is not None and one.dialog.modal is not None, "the button opened no dialog"
        parts = [(part["label"], part["component"]) for part in one.dialog.modal["components"]]
        return {part["custom_id"]: (label, part, bool(part.get("required"))) for label, part in parts}

    def entered(self, part: Json, value: str) -> Any:
        """A box is ticked, an option is chosen by either name."""
        if part["type"] == 23:
            return value == "yes"
        if "options" not in part:
            return value
        named = {one["label"]: one["value"] for one in part["options"]}
        return [named.get(value, value)]

    async def sends(self, one: Somebody, values: Json) -> None:
        opened, one.dialog = one.dialog, None
        await self._open(one, await one.person.submits(opened, values))

    # --- what one sees

    def sight(self, one: Somebody) -> list[Json]:
        """Where they are, and directly."""
        places = [one.here, *([one.person.dm] if one.person.dm is not one.here else [])]
        found = [message for place in places for message in self.fake.messages(place, one.person)]
        return sorted(found, key=lambda message: (bool(int(message.get("flags", 0)) & V2), -int(message["id"])))

    def controls(self, message: Json) -> list[Control]:
        found: list[Control] = []

        def walk(components: list[Json]) -> None:
            for one in components:
                if one["type"] == 2 and "custom_id" in one:
                    found.append(Control(one["label"], message, one["custom_id"]))
                elif one["type"] == 3:
                    found.extend(Control(each["label"], message, one["custom_id"], each["value"]) for each in one["options"])
                walk(one.get("components", []))

        walk(message.get("components") or [])
        return found

    def follow(self, one: Somebody, seen: int) -> None:
        for shown in self.fake.shown[seen:]:
            if shown.author == self.fake.bot.id and shown.channel.parent is not None and not shown.to:
                one.here = shown.channel

    # --- what is said

    def told(self, shown: Shown) -> tuple[str, str] | None:
        waits = int(shown.message.get("flags", 0)) & LOADING
        if shown.author != self.fake.bot.id or shown.kind == "delete" or waits:
            return None
        files = {one["filename"]: self.fake.file(one).content for one in shown.message.get("attachments", [])}
        return text_of(shown.message, files), shown.to or (shown.channel.with_.id if shown.channel.with_ else "")

    def near(self, one: Somebody, shown: Shown) -> bool:
        return shown.channel in (one.here, one.home)


class DirectPlayer(DiscordPlayer):
    """Everybody in their direct messages."""

    direct = True


class NamingPlayer(DiscordPlayer):
    """Labbot may not read what does not name it."""

    content = False


def _follows(request: Any) -> bool:
    return request.method == "POST" and request.path.startswith("/webhooks/")
