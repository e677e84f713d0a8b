"""A drafting session in a guild as one person has it at Discord's client, step by step; and what is left of it at the end."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from bot.store import Store
from tests.fakes.discord.interactions import Interaction
from tests.fakes.discord.limits import walk
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import LOADING, Channel, Json
from tests.fakes.discord_view import text_of
from tests.faults.lane import Drafter, Step

FORM = "form|"  # how the button of the platform's own begins that opens a dialog again

SESSION: tuple[Step, ...] = (
    ("slash", "skill", {}),
    ("says", "Turn a short order into a ticket"),
    ("says", "question: Mia wants 3 red lamps. answer: item: lamps | kind: red"),
    ("fill", "A new example", {"question": "2 blue cups for Tom", "answer": "item: cups | kind: blue"}),
    ("says", "question: one hat answer: item: hat\nquestion: four chairs answer: item: chairs"),
    ("says", "Mia wants 3 red lamps."),
    ("press", "Replace it"),
    ("says", "a plate"),
    ("says", "item: plate"),
    ("fill", "Example 5", {"question": "two plates", "answer": "item: plates"}),
    ("press", "My own work"),
    ("says", "alice-lab"),
    ("press", "miscellaneous_unknown/"),
    ("slash", "preview", {}),
    ("asks", "what colour is red"),
    ("slash", "submit", {}),
    ("fill", "Sign and open", {"name": "Alice Example", "mail": "alice@example.org"}),
)


class Alice(Drafter):
    """Somebody who drafts a skill."""

    platform = "discord"

    def __init__(
        self, fake: Discord, person: Person, home: Channel, store: Store, alive: Callable[[], Awaitable[None]], dead: Any
    ) -> None:
        super().__init__(store, alive, dead)
        self.fake, self.person, self.home = fake, person, home

    async def does(self, step: Step) -> None:
        match step:
            case ("slash", name, options):
                where = self.home if name == "skill" else self.thread
                await self.act(lambda: self.person.slash(where, name, options))
            case ("says", text):
                await self.act(lambda: self.person.says(self.thread, text))
            case ("asks", text):
                await self.act(lambda: self.person.says(self.home, text, mention=True))
            case ("press", label):
                await self.press(label)
            case ("fill", label, values):
                opened = await self.press(label)
                if opened.modal is None:
                    opened = await self.press(FORM)
                await self.act(lambda: self.person.submits(opened, values))

    @property
    def thread(self) -> Channel:
        """The thread of the draft: the one that the bot has made without a message."""
        return next(one for one in self.fake.threads(self.home) if " · " in one.name)

    async def press(self, what: str) -> Interaction:
        """Use the newest button or option whose label begins so, or whose custom id does."""

        async def now() -> Interaction:
            for message in self.sight():
                for at, button in buttons(message):
                    if button.get("label", "").startswith(what) or at.startswith(what):
                        chosen = button.get("value", "")
                        acted = self.person.selects(message, at, [chosen]) if chosen else self.person.presses(message, at)
                        return await acted
            told = "\n\n".join(text_of(one) for one in self.sight())
            raise LookupError(f"nothing in sight is called {what}:\n{told}")

        done: Interaction = await self.act(now)
        return done

    def sight(self) -> list[Json]:
        """What the person sees, newest first."""
        rooms = [*self.fake.threads(self.home), self.home, self.person.dm]
        found = [message for room in rooms for message in self.fake.messages(room, self.person)]
        return sorted(found, key=lambda message: -int(message["id"]))

    # --- an act, until it is heard and answered

    async def settled(self, done: Any) -> bool:
        asked = done if isinstance(done, Interaction) else None
        event = f"i{asked.id}" if asked else f"m{done['id']}"
        own = asked is not None and str(asked.data.get("custom_id", "")).startswith(FORM) and asked.kind == 3
        while True:
            if self.dead():
                await self.alive()
                if not await self.heard(event) and not (asked and asked.modal):
                    return False
            if (own and asked and asked.acked.is_set()) or (await self.heard(event) == b"decided" and await self.quiet()):
                break
            await asyncio.sleep(0.005)
        if asked and not await self.until(asked.acked.is_set):
            self.wrong.append(f"no answer to {asked.data}")
        return True

    def waiting(self) -> list[str]:
        """The notes that say that an answer comes."""
        return [one.json["channel_id"] for one in self.fake.world.messages.values() if int(one.json["flags"]) & LOADING]

    # --- what is left

    def shown(self) -> dict[str, Counter[str]]:
        """What the bot has said and still stands there, as texts, by room; what one person sees alone is one room."""
        rooms: dict[str, Counter[str]] = {"alone": Counter(), "channel": Counter(), "threads": Counter()}
        for one in self.fake.world.messages.values():
            if one.author == self.fake.bot.id:
                alone, thread = bool(one.to or one.channel.with_), one.channel.parent is not None
                files = {file["filename"]: self.fake.file(file).content for file in one.json.get("attachments", [])}
                rooms["alone" if alone else "threads" if thread else "channel"][self._plain(text_of(one.json, files))] += 1
        for thread in self.fake.threads(self.home):
            rooms["threads"][f"a thread called {self._plain(thread.name)}"] += 1
        return rooms

    def _plain(self, text: str) -> str:
        """A text without what is another one each time: drafts, commits, ids of Discord's."""
        for thread in self.fake.threads(self.home):
            if " · " in thread.name:
                text = text.replace(thread.name.rpartition(" · ")[2], "DRAFT")
        return re.sub(r"\b[0-9a-f]{7,40}\b|\d{17,20}", "ID", text)


def buttons(message: Json) -> Iterator[tuple[str, Json]]:
    """Every button and option of a message, with the custom id by which it is used."""
    for _, one in walk(message.get("components") or []):
        if one["type"] == 2 and "custom_id" in one:
            yield one["custom_id"], one
        elif one["type"] == 3:
            yield from ((one["custom_id"], option) for option in one["options"])


def plain(what: str) -> str:
    """A request or a key without the ids and tokens of Discord's."""
    return re.sub(r"[0-9]{17,20}(/[\w-]{60,})?", "ID", what)
