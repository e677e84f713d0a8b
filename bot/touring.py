"""Plays a transcript in an installation that stays, and shows it as a conversation: how `make tour` drafts and submits.

    python -m bot.touring TRANSCRIPT [NAME=TEXT ...]

What is made lies in LABBOT_DATA, as if somebody had typed it. Everything that the bot says is written to standard output
as it says it; the last line is JSON: what the <names> of the transcript stand for, and what did not come as written.
"""

import asyncio
import json
import os
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bot import settings as settings_module
from bot.play import Player
from bot.settings import Settings
from bot.transcript import Does, Expects, Line, parse
from pipeline.embedded import Server
from pipeline.errors import LabError

WIDTH = 78  # columns


class Shown(Player):
    """A player that shows what is typed and said, and keeps to the time of the clock."""

    def __init__(self, settings: Settings, server: Server, path: Path, names: Mapping[str, str], page: "Page") -> None:
        super().__init__(settings, server, path, names)
        self.now, self.page = time.time(), page

    async def meet(self, name: str) -> None:
        new = name not in self.people
        await super().meet(name)
        if new:
            plain = self.people[name]
            plain.write = self.page.quiet
            home = plain.place
            for place in dict.fromkeys([home, *(one.place for one in await plain.desk.places())]):
                plain.place = place
                await plain.catch_up()  # what was said before this conversation is not said again
            plain.place, plain.write = home, self.page.said

    async def act(self, name: str, typed: str, *, home: bool) -> None:
        self.page.typed(name, typed)
        await super().act(name, typed, home=home)

    async def _does(self, line: Does) -> None:
        await super()._does(line)
        await self._catch_up()

    async def _expects(self, line: Expects) -> None:
        await super()._expects(line)
        await self._catch_up()

    async def _catch_up(self) -> None:
        for plain in self.people.values():
            await plain.catch_up()


@dataclass(slots=True)
class Page:
    """A conversation as text. Of the buttons below a card, those to change single parts are left out, and a row that was
    there before is not shown again."""

    write: Callable[[str], object]
    rows: set[str] = field(default_factory=set)
    speaking: bool = False

    def quiet(self, text: str) -> None:
        """What is not shown."""

    def typed(self, name: str, typed: str) -> None:
        self.speaking = False
        self._out([""], _wrapped(typed, f"{name}> "))

    def said(self, text: str) -> None:
        bar, body = ("┃ ", text[2:]) if text.startswith("┃ ") else ("", text)
        if body.startswith("["):
            body = body.partition("  Change")[0]
            if body in self.rows:
                return
            self.rows.add(body)
        head = "     " if self.speaking else "bot: "
        self.speaking = True
        self._out([], _wrapped(body, head, bar))

    def _out(self, *parts: Sequence[str]) -> None:
        self.write("".join(f"{line}\n" for part in parts for line in part))


def _wrapped(text: str, head: str, bar: str = "") -> list[str]:
    """A text in lines of WIDTH, the first after its head; what goes on stands below it."""
    room = WIDTH - len(head) - len(bar)
    lines = [part for line in text.split("\n") for part in textwrap.wrap(line, room, break_long_words=False) or [""]]
    return [f"{head if not at else ' ' * len(head)}{bar}{line}".rstrip() for at, line in enumerate(lines)]


def out(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


async def played(settings: Settings, path: Path, lines: Sequence[Line], names: Mapping[str, str]) -> Shown:
    server = Server(settings.data / "redis")
    player = Shown(settings, server, path, names, Page(out))
    try:
        await player.play(lines)
    finally:
        server.down()
    return player


def main(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """0: it was played, with what differed as the last line; 1: something failed."""
    path, names = Path(words[0]), dict(word.partition("=")[::2] for word in words[1:])
    try:
        lines = parse(path.read_text(encoding="utf-8"), path.name)
        player = asyncio.run(played(settings_module.load(environment), path, lines, names))
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    told = {"names": player.bindings.values, "differences": player.differences}
    out(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
