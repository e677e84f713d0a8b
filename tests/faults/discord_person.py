"""A drafting session in a guild as one person has it at Discord's client, step by step; and what is left of it at the end.

Whatever the bot did not hear, since it was dead, the person does again; what it heard they wait for.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from bot.store import Store
from tests.fakes.discord.interactions import Interaction
from tests.fakes.discord.limits import walk
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import LOADING, Channel, Json
from tests.fakes.discord_view import text_of

PATIENCE_S = 60.0  # with one act, restarts included; a round that takes longer has come to a standstill
GRACE_S = 4.0  # for what comes after an act is decided and said: the answer to an interaction that leads to nothing else
FORM = "form|"  # how the button of the platform's own begins that opens a dialog again

Step = tuple[Any, ...]

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


class Alice:
    """Somebody who drafts a skill. `alive` returns when the bot is ready, started again if need be; `dead` whether it is."""

    def __init__(
        self, fake: Discord, person: Person, home: Channel, store: Store, alive: Callable[[], Awaitable[None]], dead: Any
    ) -> None:
        self.fake, self.person, self.home, self.store = fake, person, home, store
        self.alive, self.dead = alive, dead
        self.wrong: list[str] = []

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

    async def act(self, do: Callable[[], Awaitable[Any]]) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await self.alive()
                done = await do()
                if await self._settled(done):
                    return done

    async def _settled(self, done: Any) -> bool:
        """Wait until an act is answered; False where the bot died before it heard of it."""
        asked = done if isinstance(done, Interaction) else None
        event = f"i{asked.id}" if asked else f"m{done['id']}"
        own = asked is not None and str(asked.data.get("custom_id", "")).startswith(FORM) and asked.kind == 3
        while True:
            if self.dead():
                await self.alive()
                if not await self._heard(event) and not (asked and asked.modal):
                    return False
            if (own and asked and asked.acked.is_set()) or (await self._heard(event) == b"decided" and await self.quiet()):
                break
            await asyncio.sleep(0.005)
        if asked and not await self._until(asked.acked.is_set):
            self.wrong.append(f"no answer to {asked.data}")
        return True

    async def _heard(self, event: str) -> Any:
        return await self.store.memory.do("GET", f"bot:inbox:discord:{event}")

    async def quiet(self) -> bool:
        """Whether everything that was heard is decided and said."""
        return not await self.store.todo("discord") and not await self.store.outboxes("discord")  # in the order of their way

    async def _until(self, true: Callable[[], object]) -> bool:
        """Give something a moment to come true, longer where the bot dies meanwhile."""
        left = asyncio.get_running_loop().time() + GRACE_S
        while not true():
            if self.dead():
                await self.alive()
                left = asyncio.get_running_loop().time() + GRACE_S
            if asyncio.get_running_loop().time() > left:
                return False
            await asyncio.sleep(0.005)
        return True

    async def ends(self) -> None:
        """Wait until the run is over, and everything said."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.store.watched("discord") or not await self.quiet():
                if self.dead():
                    await self.alive()
                await asyncio.sleep(0.01)
        if not await self._until(lambda: not self.waiting()):
            self.wrong += [f"still to wait for: {one['channel_id']}" for one in self.waiting()]

    def waiting(self) -> list[Json]:
        """The notes that say that an answer comes."""
        return [one.json for one in self.fake.world.messages.values() if int(one.json["flags"]) & LOADING]

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


def files(folder: Path) -> list[tuple[str, bytes]]:
    """What the runs of a labbot have proposed, by name."""
    found = [*folder.glob("runs/*/entry/qna.yaml"), *folder.glob("runs/*/entry/attribution.txt")]
    return sorted((path.name, path.read_bytes()) for path in found)
