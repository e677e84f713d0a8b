"""Plays transcripts against a labbot of their own: a real Redis, a demo taxonomy and the terminal platform, in one process.

Time is the transcript's: it begins on 5 January 2026 and moves a second an act, and by `# clock`.
"""

import asyncio
import dataclasses
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from bot import settings as settings_module
from bot.app import App
from bot.brought import BROUGHT, GitHub, Model
from bot.core import form
from bot.core.contribute import FORMS, entry
from bot.core.talk import Answer, Event, Opened, direct
from bot.core.words import pick
from bot.house import House, built
from bot.platforms.terminal.hall import Hall
from bot.platforms.terminal.hear import Ear
from bot.platforms.terminal.plain import Plain, lines_of
from bot.platforms.terminal.run import PLATFORM, WORKSPACE, maintainers, triagers
from bot.platforms.terminal.say import Desk
from bot.rows import Message
from bot.settings import Settings
from bot.transcript import Bindings, Directs, Does, Expects, Line, parse, seconds
from bot.unheard import Journal
from pipeline import qna
from pipeline.embedded import Server
from pipeline.errors import Invalid, Problem
from pipeline.pool.terms import Terms

BEGIN = 1767607200.0  # 2026-01-05 10:00:00 UTC
TERMS = Terms(lease_s=2.0)
PATIENCE_S = 60.0  # how long the bot may say nothing before a line of its does not come, in real time


class Player:
    """One transcript on one labbot. `differences` says what did not come as written."""

    def __init__(
        self,
        settings: Settings,
        server: Server,
        path: Path,
        names: Mapping[str, str],
        model: Model | None = None,
        github: GitHub | None = None,
    ) -> None:
        self.settings, self.server, self.folder, self.name, self.model = settings, server, path.parent, path.name, model
        self.github = github
        self.now = BEGIN
        self.differences: list[str] = []
        self.files: list[str] = []  # every whole draft at the end, as its qna.yaml, oldest first
        self.lacks: list[str] = []
        self.people: dict[str, Plain] = {}
        self.house: House
        self._hall = Hall()
        self.bindings = Bindings()
        self.bindings.values |= names
        self.about: dict[str, dict[str, str]] = {}
        self._overrides: dict[str, str] = {}
        self._last = ""
        self._heard = 0
        self._stack = AsyncExitStack()
        self.tasks: list[asyncio.Task[None]] = []

    async def play(self, lines: Sequence[Line]) -> None:
        """Play every line, up to the first that the bot does not say; none if something is not here that it needs."""
        needs = [line.rest for line in lines if isinstance(line, Directs) and line.name == "needs"]
        self.lacks = [name for name in needs if name not in self.bindings.values]
        if any(_of_model(line) for line in lines):
            self.lacks += [] if self.model else ["model"]
            roles = ("CHAT", "TEACHER") if any(_of_teacher(line) for line in lines) else ("CHAT",)
            urls = {f"LABBOT_{role}_URL": self.model.url for role in roles} if self.model else {}
            self._knows(urls)
        if any(_of_github(line) for line in lines):
            self.lacks += [] if self.github else ["github"]
            self._knows(self.github.environment if self.github else {})
        else:
            self.github = None
        if self.lacks:
            return
        await self._begin()
        try:
            for line in lines:
                match line:
                    case Does():
                        await self._does(line)
                    case Expects():
                        await self._expects(line)
                    case Directs():
                        await self._directs(line)
                if self.differences:
                    return
            self.files = await self._written()
        finally:
            await self._end()

    def _knows(self, more: Mapping[str, str]) -> None:
        self.settings = dataclasses.replace(self.settings, environment={**self.settings.environment, **more})

    async def _written(self) -> list[str]:
        names = sorted([name async for name in self.house.memory.keys("bot:draft:*")]) if self.server.process else []
        drafts = [draft for name in names if (draft := await self.house.store.draft(name.removeprefix("bot:draft:")))]
        whole = [one for one in sorted(drafts, key=lambda one: one.at) if form.whole(FORMS[one.form], one.answers)]
        return [qna.write(entry(one.form, one.answers)) for one in whole]

    # --- people

    async def _does(self, line: Does) -> None:
        await self.meet(line.who)
        self.now += 1
        self._last, self._heard = line.who, self.count()
        typed = self.bindings.filled(line.line)
        verb, _, path = typed.partition("] ")
        await self.act(line.who, f"{verb}] {self.folder / path}" if verb == "[file" else typed, home=line.place == "home")
        if self.server.process:
            await self.idle()

    async def meet(self, name: str) -> None:
        """Somebody comes, if they have not come before."""
        await self._person(name)

    async def ident(self, name: str) -> str:
        """Labbot's own name for somebody."""
        return (await self._person(name)).desk.person

    async def act(self, name: str, typed: str, *, home: bool) -> None:
        """Do what a terminal would be given that line for; `home`: in one's own conversation."""
        plain = self.people[name]
        if home:
            plain.place = direct(PLATFORM, plain.desk.person)
        await plain.take(typed)

    async def idle(self) -> None:
        """Return when what everybody did is heard and answered."""
        for plain in self.people.values():
            await plain.ear.idle()

    async def _person(self, name: str) -> Plain:
        if name not in self.people:
            ident = await self.house.store.person(PLATFORM, WORKSPACE, name, name)
            self.people[name] = self._sit(name, ident, direct(PLATFORM, ident))
        return self.people[name]

    def _sit(self, name: str, ident: str, place: str) -> Plain:
        about = self.about.get(name, {})
        locale = about.get("locale", self.settings.bot.words.locale)
        words = pick(self.settings.words, locale)
        desk = Desk(self.house.store, ident)
        roles = tuple(dict.fromkeys(("everyone", about.get("role", "everyone"))))

        def away(what: str) -> None:
            write(words(f"away.{what or 'back'}"))

        def write(text: str) -> None:
            self._hall.said.append(_remark(text, ident))
            self._hall.more.set()

        journal = Journal(self.settings.data / "terminal" / name, Event)
        ear = Ear(self.app, journal, person=ident, roles=roles, locale=locale, away=away, clock=lambda: self.now)
        self._hall.desks.append(desk)
        self.tasks.append(asyncio.create_task(ear.run()))
        return Plain(desk, ear, words, write, ear.idle, place)

    # --- the bot

    def count(self) -> int:
        """How many messages there were so far, each new state of one counted."""
        return len(self._hall.said)

    def text(self, index: int, line: Expects, who: str) -> str | None:
        """A message as `who` reads it, None if it is not for them, or not said where the line wants it."""
        message, person = self._hall.said[index], self.people[who].desk.person
        mine = message.to in ("", person) and (not line.to or message.place.startswith(direct(PLATFORM, person)))
        return " ".join(one.removeprefix("┃ ") for one in lines_of(message)).strip() if mine else None

    def more(self) -> asyncio.Event:
        """Set when something more is said."""
        return self._hall.more

    async def _expects(self, line: Expects) -> None:
        """Find the line among what was said since the last act, waiting a while for it."""
        who = line.to or self._last
        await self.meet(who)  # somebody may be spoken to before they come
        if not await self._comes(line, who):
            told = [text for at in range(self._heard, self.count()) if (text := self.text(at, line, who)) is not None]
            said = "\n".join(f"    {text}" for text in told) or "    nothing more"
            self.differences.append(f"{self.name}:{line.number}: bot: {self.bindings.filled(line.text)}\n  it said:\n{said}")

    async def _comes(self, line: Expects, who: str) -> bool:
        loop = asyncio.get_running_loop()
        until, heard = loop.time() + PATIENCE_S, self.count()
        while True:
            self.more().clear()
            if self.count() > heard:
                until, heard = loop.time() + PATIENCE_S, self.count()
            for index in range(self._heard, self.count()):
                text = self.text(index, line, who)
                if text is not None and self.bindings.match(line.text, text):
                    self._heard = index + 1
                    return True
            try:
                async with asyncio.timeout_at(until if await self.goes_on() else loop.time() + 0.2):
                    await self.more().wait()
            except TimeoutError:
                return False

    async def goes_on(self) -> bool:
        """Whether something is still under way that may say more."""
        return (
            not self.server.process
            or self.github is not None
            or self.app.busy
            or bool(await self.house.store.watched(self.app.platform))
        )

    # --- the house

    async def _directs(self, line: Directs) -> None:
        if self.model and _of_model(line):
            return await self._models(self.model, line)
        if self.github and _of_github(line):
            return await self._on_github(self.github, line)
        match line.name:
            case "person":
                name, *facts = line.rest.split()
                self.about[name] = dict(fact.partition("=")[::2] for fact in facts)
            case "clock":
                self.now += seconds(line.rest)
            case "down" | "up" if line.rest == "redis":
                await asyncio.to_thread(self.server.up if line.name == "up" else self.server.down)
                if line.name == "up":
                    await self.idle()
            case "set":
                key, _, value = line.rest.partition("=")
                self._overrides[key.strip()] = self.bindings.filled(value.strip())
                await self._again(gently=True)
            case "needs":
                pass  # `play` has looked
            case "restart" | "crash":
                await self._again(gently=line.name == "restart")
            case _:
                raise Invalid(
                    Problem("transcript.directive", f"no directive: {line.name} {line.rest}", f"{self.name}:{line.number}")
                )

    async def _models(self, model: Model, line: Directs) -> None:
        try:
            if line.name == "model":
                model.tell(line.rest)
            else:
                await (model.up() if line.name == "up" else model.down())
        except ValueError as error:
            raise Invalid(Problem("transcript.directive", str(error), f"{self.name}:{line.number}")) from error

    async def _on_github(self, github: GitHub, line: Directs) -> None:
        """Do it there; what was done to a pull request is looked at now, not when it is due."""
        before, what = dict(github.settings), self.bindings.filled(line.rest)
        try:
            who, _, deed = what.partition(" ")
            assert self.app.github, "its settings name a repository"
            if deed == "linked":
                await self.app.github.linking.keep(await self.ident(who), github.grant(who))
            elif pull := await github.tell(what):
                await self.app.github.pulls.follower.hint(*pull)
        except ValueError as error:
            raise Invalid(Problem("transcript.directive", str(error), f"{self.name}:{line.number}")) from error
        if github.settings != before:
            await self._again(gently=True)

    async def _begin(self) -> None:
        self.server.up()
        theirs = dict(self.github.settings) if self.github else {}
        loaded = settings_module.reloaded(self.settings, theirs | self._overrides)
        self.house = await self._stack.enter_async_context(built(loaded, self.server.url, lambda: self.now, lease_s=0.2))
        works = (self.house.work(self._terms()), self.house.keep())
        self.tasks = [asyncio.create_task(work) for work in works]
        await self.begin()

    def _terms(self) -> Terms:
        """With what somebody's account is handed to a child, where there is a GitHub."""
        if not self.github:
            return TERMS
        return dataclasses.replace(TERMS, account=self.house.installed.account, environment=self.github.environment)

    async def begin(self) -> None:
        """Start the front end in a house that stands; what it does for long goes into `self.tasks`."""
        self.app: App = self.house.app(
            PLATFORM, self._hall, maintainers=await maintainers(self.house), triagers=partial(triagers, self.house)
        )
        ready = asyncio.Event()
        self.tasks.append(asyncio.create_task(self.app.run(ready)))
        await ready.wait()

    async def again(self) -> None:
        """Everybody is there again after a restart, where they were."""
        places = {name: (plain.desk.person, plain.place) for name, plain in self.people.items()}
        self._hall.desks = []
        self.people = {name: self._sit(name, ident, place) for name, (ident, place) in places.items()}
        for plain in self.people.values():
            await plain.ear.send(Opened(), direct(PLATFORM, plain.desk.person))
            await plain.ear.idle()

    async def _end(self) -> None:
        for task in self.tasks:
            task.cancel()
        ended = await asyncio.gather(*self.tasks, return_exceptions=True)
        await self._stack.aclose()
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _again(self, *, gently: bool) -> None:
        """End the process that the app stands for, in order or at once, and begin another with the same people."""
        if gently:
            await self.idle()
        await self._end()
        self._stack = AsyncExitStack()
        await self._begin()
        await self.again()


def _of_model(line: Line) -> bool:
    return isinstance(line, Directs) and (line.name == "model" or (line.name in ("down", "up") and line.rest == "model"))


def _of_github(line: Line) -> bool:
    return isinstance(line, Directs) and line.name == "github"


def _of_teacher(line: Line) -> bool:
    return isinstance(line, Directs) and line.name == "model" and line.rest.partition(" ")[0] == "teaches"


def _remark(text: str, to: str) -> Message:
    """What a front end says of itself, as if it were a message."""
    return Message(f"remark-{id(text)}", "", 0, 0.0, "", Answer(text=text or " "), to=to)


async def play_file(
    settings: Settings,
    path: Path,
    server: Server,
    names: Mapping[str, str] | None = None,
    model: Model | None = None,
    kind: Callable[..., Player] = Player,
    github: GitHub | None = None,
) -> Player:
    """Play one transcript on an empty labbot; its data goes into a temporary folder. `names` bind <names> beforehand."""
    lines = parse(await asyncio.to_thread(path.read_text, encoding="utf-8"), path.name)
    with tempfile.TemporaryDirectory(prefix="labbot-play-") as folder:
        player = kind(dataclasses.replace(settings, data=Path(folder)), server, path, names or {}, model, github)
        await player.play(lines)
        return player


async def play_files(settings: Settings, paths: Iterable[Path], names: Mapping[str, str]) -> int:
    """Play transcripts and say how it went. 0: everything came as written, or lacked a name; 1: something did not."""
    failed = 0
    for path in paths:
        with tempfile.TemporaryDirectory(prefix="labbot-redis-") as folder:
            server = Server(Path(folder))
            try:
                player = await play_file(settings, path, server, names)
            finally:
                server.down()
        failed += bool(player.differences)
        mark = "✘" if player.differences else "-" if player.lacks else "✔"
        lacks = [f"  needs {BROUGHT.get(name, f'--name {name}=...')}" for name in player.lacks]
        sys.stdout.write("\n".join([f"{mark} {path}", *lacks, *player.differences]) + "\n")
    return 1 if failed else 0
