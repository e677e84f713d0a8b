"""The terminal front end, built and run: one person, one process, a full screen or plain lines."""

import asyncio
import getpass
import os
import select
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from bot.app import App
from bot.core.commands import COMMANDS, complete
from bot.core.talk import Event, Opened, direct
from bot.core.words import Words, pick
from bot.house import House
from bot.platforms.terminal.hear import Ear
from bot.platforms.terminal.plain import Plain, typed_lines
from bot.platforms.terminal.say import Desk
from bot.store import CHANGED
from bot.unheard import Journal
from bot.voice import Maintainers, Manners
from pipeline.errors import Temporary

PLATFORM = WORKSPACE = "terminal"
GRACE_S = 600.0  # how long a line of a pipe waits for the answer to the one before, runs included
TTY_LINE = 4096  # bytes of a line that Linux's terminal driver hands over, its end included
PACE_S = 0.1  # between two edits of a run's card: a screen is drawn in a few milliseconds
PATIENCE_S = 1.0  # how long a line typed by hand does, for instance while the memory is away


@dataclass(slots=True)
class Seat:
    """One person's place at the terminal: what they read, what they type into."""

    person: str
    desk: Desk
    ear: Ear
    words: Words

    @property
    def home(self) -> str:
        return direct(PLATFORM, self.person)


async def run(house: House, *, plain: bool, name: str = "") -> int:
    """Sit somebody down and serve them until they leave. Returns the exit status."""
    name = name or getpass.getuser()
    locale = house.settings.bot.words.locale
    words = pick(house.settings.words, locale)
    person = await house.store.person(PLATFORM, WORKSPACE, name, name)
    desk = Desk(house.store, person, house.settings.data / "terminal")
    manners = Manners(seated=True)
    app = house.app(
        PLATFORM, desk, maintainers=await maintainers(house), pace_s=PACE_S, manners=manners, triagers=partial(triagers, house)
    )
    notices: list[Callable[[str], None]] = []

    def away(what: str) -> None:
        for tell in notices:
            tell(words(f"away.{what}") if what else "")

    ear = Ear(
        app,
        Journal(house.settings.data / "terminal", Event),
        person=person,
        roles=house.settings.roles_of(WORKSPACE, ("owner",)),
        locale=locale,
        away=away,
    )
    seat = Seat(person, desk, ear, words)
    works = (app.run(), ear.run(), house.work(), house.keep(), _hear_others(house, desk))
    tasks = [asyncio.create_task(work) for work in works]
    await ear.send(Opened(), seat.home)
    front = asyncio.create_task(_plain(house, app, seat, notices) if plain else _screen(house, seat, notices))
    await _until_over(front, tasks, ear)
    return 0


async def maintainers(house: House) -> Maintainers:
    """Whom questions go to that the FAQ cannot answer: at the terminal somebody, by name."""
    section = house.settings.bot.workspaces.get(WORKSPACE)
    return await _seat_of(house, section.maintainers if section else "")


async def triagers(house: House) -> list[tuple[str, str]]:
    """Who hears daily what waits for triage."""
    section = house.settings.bot.workspaces.get(WORKSPACE)
    found = await _seat_of(house, section.triagers if section else "")
    return [(found.place, WORKSPACE)] if found.place else []


async def _seat_of(house: House, named: str) -> Maintainers:
    name = named.removeprefix("@")
    if not name:
        return Maintainers()
    person = await house.store.person(PLATFORM, WORKSPACE, name, name)
    return Maintainers(direct(PLATFORM, person), (person,))


async def _until_over(front: "asyncio.Task[None]", tasks: "list[asyncio.Task[None]]", ear: Ear) -> None:
    """Wait until the person leaves, or a part breaks; end everything, and raise what broke."""
    done, _ = await asyncio.wait([front, *tasks], return_when=asyncio.FIRST_COMPLETED)
    if front in done:
        with suppress(TimeoutError):  # what was typed last may still be on its way; it is on disk
            async with asyncio.timeout(2):
                await ear.idle()
    for task in (front, *tasks):
        task.cancel()
    for error in await asyncio.gather(front, *tasks, return_exceptions=True):
        if isinstance(error, Exception):
            raise error


async def _plain(house: House, app: App, seat: Seat, notices: list[Callable[[str], None]]) -> None:
    def write(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    async def settled() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S if sys.stdin.isatty() else GRACE_S):
                await seat.ear.idle()
                if not sys.stdin.isatty():
                    await _all_ended(house, app)

    notices.append(lambda text: write(text or seat.words("away.back")))
    plain = Plain(seat.desk, seat.ear, seat.words, write, settled, seat.home)
    await seat.ear.idle()
    await plain.run(_lines(lambda: write(seat.words("screen.cut", limit=TTY_LINE - 1))), echo=not sys.stdin.isatty())


async def _all_ended(house: House, app: App) -> None:
    """Wait until no run that this platform watches and no answer goes on, and their ends are said."""
    while app.writing or await house.store.watched(PLATFORM):  # noqa: ASYNC110, the table is Redis's, no event of this process
        await asyncio.sleep(0.05)
    await app.idle()


async def _lines(cut: Callable[[], None]) -> AsyncIterator[str]:
    """The lines of standard input; a pipe is read whole first, since it may be a transcript.

    Bytes that are no UTF-8 come through as halves of surrogate pairs, which the form explains to the person. `cut` is
    called for a line of a terminal that is as long as its driver lets one be: the rest of it never arrived.
    """
    handle = sys.stdin.fileno()
    if not os.isatty(handle):
        text = (await asyncio.to_thread(sys.stdin.buffer.read)).decode("utf-8", "surrogateescape")
        for line in typed_lines(text.split("\n")[:-1] if text.endswith("\n") else text.split("\n")):
            yield line
        return
    ready = asyncio.Event()
    asyncio.get_running_loop().add_reader(handle, ready.set)  # no thread: one that waits for a line cannot be ended
    try:
        while True:
            await ready.wait()
            ready.clear()
            if not select.select([handle], [], [], 0)[0]:
                continue  # it was set once more for a line that is read already; to read now would stop everything
            raw = os.read(handle, 2 * TTY_LINE)  # a terminal gives one whole line at a time
            if not raw:
                return
            if len(raw) >= TTY_LINE:
                cut()
            yield raw.decode("utf-8", "surrogateescape").rstrip("\n")
    finally:
        asyncio.get_running_loop().remove_reader(handle)


async def _screen(house: House, seat: Seat, notices: list[Callable[[str], None]]) -> None:
    from bot.platforms.terminal.screen import Screen  # textual takes 0.3 s to import, which pipes need not wait for

    screen = Screen(
        seat.desk,
        seat.words,
        send=seat.ear.send,
        complete=partial(completions, house, seat),
        unsent=house.settings.data / "terminal" / f"unsent-{seat.person}.json",
        title=seat.words("screen.title"),
        mine=seat.ear.mine,
    )
    notices.append(screen.notice)
    await screen.run_async()


async def completions(house: House, seat: Seat, place: str, typed: str) -> list[str]:
    """Whole lines that could be meant by what is typed so far: commands, their arguments, places in the taxonomy."""
    known = await house.known(seat.person, place, seat.words)
    if typed.startswith("/"):
        name, space, rest = typed[1:].partition(" ")
        if not space:
            return [f"/{one}" for one in complete(known, "", name)]
        return [f"/{name} {one}" for one in complete(known, name, rest)] if name in COMMANDS else []
    return complete(known, "place", typed) if "/" in typed and " " not in typed else []


async def _hear_others(house: House, desk: Desk) -> None:
    """Redraw what another process on this data folder has shown."""
    while True:
        with suppress(Temporary):
            async for notice in house.memory.heard(CHANGED):
                sender, _, place = notice.partition("\n")
                if sender != house.store.name:
                    desk.notice(place)
        await asyncio.sleep(1)
