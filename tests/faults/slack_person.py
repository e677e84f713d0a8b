"""A drafting session in a workspace as one person has it at Slack's client, step by step; and what is left of it at the end.

Slack tells an event again that nobody acknowledged, after a minute and after five, which pass at once here. What is pressed,
sent in or commanded it tells once: the person sees that it failed, and does it again if nothing came of it.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from bot.core.talk import short
from bot.platforms.slack.hear import message_id
from bot.store import Store
from tests.fakes.slack.delivery import RETRIES_S, Heard
from tests.fakes.slack.people import Person
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json
from tests.fakes.slack.stored import usable
from tests.fakes.slack.text import walk
from tests.fakes.slack_view import text_of
from tests.faults.lane import GRACE_S, Drafter, Step

FORM, FILE = "form|", "file|"  # how buttons of the platform's own begin: one opens a dialog again, one brings a file

ENTRY = b"""version: 3
created_by: alice-lab
task_description: Turn a short order into a ticket
seed_examples:
- question: Mia wants 3 red lamps.
  answer: "item: lamps | kind: red"
- question: 2 blue cups for Tom
  answer: "item: cups | kind: blue"
"""
SESSION: tuple[Step, ...] = (
    ("command", "/lab", "skill"),
    ("says", "Turn a short order into a ticket"),
    ("file", "qna.yaml", ENTRY),
    ("fill", "A new example", {"question": "one hat", "answer": "item: hat"}),
    ("says", "question: four chairs answer: item: chairs"),
    ("says", "Mia wants 3 red lamps."),
    ("press", "Replace it"),
    ("says", "a plate"),
    ("says", f"item: {'plate ' * 500}"),
    ("press", "My own work"),
    ("says", "alice-lab"),
    ("press", "miscellaneous_unknown/"),
    ("looks", "/preview", FILE),
    ("press", FILE),
    ("asks", "what colour is red"),
    ("says", "/submit"),
    ("fill", "Sign and open", {"name": "Alice Example", "mail": "alice@example.org"}),
)


class Alice(Drafter):
    """Somebody who drafts a skill."""

    platform = "slack"

    def __init__(
        self, fake: Slack, person: Person, home: Channel, store: Store, alive: Callable[[], Awaitable[None]], dead: Any
    ) -> None:
        super().__init__(store, alive, dead)
        self.fake, self.person, self.home = fake, person, home
        self.told: list[Heard] = []  # what Slack told of the act that is under way
        self.died = False  # since it began

    async def does(self, step: Step) -> None:
        match step:
            case ("command", name, text):
                await self.act(lambda: self.person.command(self.home, name, text))
            case ("says", text):
                await self.act(lambda: self._writes(text, thread=self.thread))
            case ("file", name, content):
                await self.act(lambda: self._writes("", files=[(name, content)], thread=self.thread))
            case ("looks", text, what):  # what one person sees may get lost when the bot dies: they ask for it again
                while not any(one["action_id"].startswith(what) for each in self.sight() for one, _, _ in buttons(each)):
                    await self.act(lambda: self._writes(text, thread=self.thread))
            case ("asks", text):
                await self.act(lambda: self._writes(text, mention=True))
            case ("press", label):
                await self.press(label)
            case ("fill", label, values):
                await self.press(label)
                while (view := self.dialog) is None:
                    await self.press(FORM)
                await self.act(lambda: self.person.submits(view, values))
                await self._shut()

    async def _writes(self, text: str, **given: Any) -> tuple[Channel, Json]:
        return self.home, await self.person.says(self.home, text, **given)

    @property
    def thread(self) -> Json:
        """The thread of the draft: the bot's first message in the channel."""
        return next(one for one in self.fake.messages(self.home) if one.get("bot_id"))

    @property
    def dialog(self) -> Json | None:
        """The dialog that is open; one that only says to wait is closed."""
        found = next(iter(self.fake.views(self.person)[::-1]), None)
        return found if found and found.get("submit") else None

    async def _shut(self) -> None:
        """Close whatever is still open."""
        for view in self.fake.views(self.person)[::-1]:
            await self.person.closes(view)

    async def press(self, what: str) -> None:
        """Use the newest button or option whose label begins so, or whose action id does."""

        async def now() -> Heard:
            await self._shut()
            for message in self.sight():
                for one, label, value in buttons(message):
                    if label.startswith(what) or one["action_id"].startswith(what):
                        use = self.person.selects if one["type"] == "static_select" else self.person.presses
                        return await use(message, one["action_id"], value)
            told = "\n\n".join(text_of(one) for one in self.sight())
            raise LookupError(f"nothing in sight is called {what}:\n{told}")

        await self.act(now)

    def sight(self) -> list[Json]:
        """What the person sees, newest first."""
        found = [one for room in (self.home, self.person.dm) for one in self.fake.messages(room, None, self.person)]
        return sorted(found, key=lambda message: -float(message["ts"]))

    # --- an act, until it is heard and answered

    async def act(self, do: Callable[[], Awaitable[Any]]) -> Any:
        async def noted() -> Any:
            before, self.died = len(self.fake.heard), False
            done = await do()
            self.told = [one for one in self.fake.heard[before:] if one.payload.get("type") != "view_closed"]
            return done

        return await super().act(noted)

    async def settled(self, done: Any) -> bool:
        advanced, loop = 0, asyncio.get_running_loop()
        until = loop.time() + GRACE_S
        while True:
            if self.dead():
                self.died = True
                await self.alive()
                until = loop.time() + GRACE_S
            tries = sum(len(one.deliveries) for one in self.told)
            if not self.died and any(one.error for one in self.told) and loop.time() < until:
                pass  # its end is told in a moment, if that is why
            elif tries > advanced and any(_waits(one) for one in self.told):
                self.fake.advance(RETRIES_S[-1] + 1)
                advanced = tries
            elif all(one.done.is_set() for one in self.told):
                if self._own(done):
                    return await self._came(done)
                known = await self.heard(event_of(done))
                if not known and any(one.error for one in self.told):
                    return self._not_heard()  # what was acknowledged comes, if from the journal on disk
                if known == b"decided" and await self.quiet():
                    return self._heard_well()
            await asyncio.sleep(0.005)

    def _own(self, done: Any) -> bool:
        acts = done.payload.get("actions") if isinstance(done, Heard) else None
        return bool(acts) and acts[0]["action_id"].startswith((FORM, FILE))

    async def _came(self, done: Heard) -> bool:
        """Whether a button that no event stands for has done what it is for."""
        form = done.payload["actions"][0]["action_id"].startswith(FORM)

        def there() -> bool:
            return bool(self.dialog) if form else bool(self.brought())

        if not there() and (self.died or not await self.until(lambda: self.dead() or there())):
            return False
        return there() and self._heard_well()

    def _not_heard(self) -> bool:
        """It is to be done again; nothing is where no process has died."""
        if not self.died:
            self.wrong.append(f"nobody heard {self.told[0].payload}")
        return False

    def _heard_well(self) -> bool:
        if not self.died:
            self.wrong += [f"{one.error}: {one.payload}" for one in self.told if one.error]
        return True

    def waiting(self) -> list[str]:
        """Messages that look as if they were being written, and threads that show a stop button."""
        world = self.fake.world
        found = [one.ts for one in world.messages.values() if one.json.get("streaming_state") == "in_progress"]
        return found + [f"{at}: {one.status}" for at, one in world.sessions.items() if one.status == "processing"]

    # --- what is left

    def brought(self) -> list[str]:
        """The files that the bot has sent, by their names."""
        mine = (one.json for one in self.fake.world.messages.values() if one.author == self.person.team.bot_user)
        return [file["name"] for message in mine for file in message.get("files") or ()]

    def shown(self) -> dict[str, Counter[str]]:
        """What the bot has said and still stands there, by room; offers to open a dialog are no texts."""
        rooms: dict[str, Counter[str]] = {"alone": Counter(), "channel": Counter(), "threads": Counter()}
        for one in self.fake.world.messages.values():
            offers = any(each["action_id"].startswith(FORM) for each, _, _ in buttons(one.json))
            if one.author == self.person.team.bot_user and not offers:
                alone, thread = bool(one.to or one.channel.with_), one.thread not in ("", one.ts)
                files = {file["name"]: self.fake.file(file).content or b"" for file in one.json.get("files") or ()}
                rooms["alone" if alone else "threads" if thread else "channel"][self._plain(text_of(one.json, files))] += 1
        return rooms

    def _plain(self, text: str) -> str:
        found = re.search(r"draft (\w+)", text_of(self.thread))
        return plain(text.replace(found[1], "ID") if found else text)


def buttons(message: Json) -> Iterator[tuple[Json, str, str | None]]:
    """Every button and option of a message: the element, its label, the value to use it with."""
    for block in message.get("blocks") or []:
        for one in walk(block):
            if one is block or not usable(one):
                continue
            if one["type"] == "button":
                yield one, one["text"]["text"], None
            elif one["type"] == "static_select":
                yield from ((one, option["text"]["text"], option["value"]) for option in one["options"])


def event_of(done: Any) -> str:
    """The id in the inbox of what somebody did: a message, or an interaction."""
    if isinstance(done, Heard):
        return f"i{short(done.trigger_id, 24)}"
    return f"m{message_id(done[0].id, done[1]['ts'])}"


def _waits(heard: Heard) -> bool:
    """Whether an event is to be told again later."""
    late = heard.kind == "events_api" and len(heard.deliveries) > 1
    return late and bool(heard.deliveries[-1].failed) and not heard.done.is_set()


def plain(what: str) -> str:
    """A text, a request or a key without what is another one each time: ids, times, tokens, drafts, commits."""
    what = re.sub(r"(response|upload|link|files-pri)\S*", r"\1", what)
    return re.sub(r"\b[A-Z][0-9]{7}X\b|\d{9,}\.\d{6}|\b[0-9a-f]{7,40}\b", "ID", what)
