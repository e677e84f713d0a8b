"""Discord and Slack on one Redis: in one process, in two of one loop, and as processes of their own, with a linked person."""

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bot import forget, house
from bot import settings as settings_module
from bot.core.contribute import entry
from bot.core.records import Draft
from bot.core.talk import platform_of
from bot.faq import Faq
from bot.platforms.discord import say as discord_say
from bot.platforms.discord import wire as discord_wire
from bot.platforms.slack import posts
from bot.platforms.slack import say as slack_say
from bot.platforms.slack import wire as slack_wire
from bot.platforms.slack.front import Front
from bot.platforms.slack.tiers import Tiers
from bot.rows import Message
from bot.settings import Settings
from bot.store import Store
from pipeline import demo, qna
from pipeline.embedded import Server
from pipeline.memory import Memory
from pipeline.pool.terms import Terms
from tests.bot.discord import front as on_discord
from tests.bot.discord.front import button
from tests.bot.slack import front as on_slack
from tests.bot.slack.front import is_card
from tests.fakes.discord.people import Person as DiscordPerson
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel
from tests.fakes.model import Model
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Json
from tests.fakes.slack_view import text_of

HOME = Path(__file__).resolve().parents[2]
WISH, REWORDED = "Turn an order into a ticket", "Turn a short order into a ticket of four parts"
PAIRS = "\n".join(f"question: {number} lamps? answer: lamps: {number}" for number in range(1, 6))
REST = (PAIRS, "own", "alice-lab", "technology/tickets/orders")
GONE = "goes on on another platform"
SLOW_S = 60.0  # of a fault that is not to end while a test looks


class Lodger(on_slack.Labbot):
    """Slack's side of a process that Discord's side has begun: in the same house."""

    host: on_discord.Labbot

    async def begin(self) -> None:
        self.house = self.host.house
        tiers = Tiers(times=self.times)
        self.front = Front(self.house, self.keys, self.now, pace_s=self.pace_s, tiers=tiers, base=self.fake.api)
        assert self.front.link
        self.front.link.ping_s = 0.5
        self._tasks = [asyncio.create_task(self.front.serve())]


@dataclass
class Both:
    """Both sides, with a room and two people on each: alice, to be linked, and bob."""

    discord: on_discord.Labbot
    slack: on_slack.Labbot

    def __post_init__(self) -> None:
        self.guild, self.team = self.discord.fake.guild("lab"), self.slack.team
        self.hall, self.room = self.guild.channel("general"), self.team.channel("general")
        self.alice, self.bob = (self._joined(name) for name in ("alice", "bob"))
        self.al, self.rob = self.team.user("al"), self.team.user("rob")

    def _joined(self, name: str) -> DiscordPerson:
        made = self.discord.fake.user(name)
        self.guild.join(made)
        return made

    @property
    def store(self) -> Store:
        return self.discord.house.store

    async def start(self, **values: str) -> None:
        await self.discord.start(**values)
        await self.slack.start(**values)

    async def starts_working(self, *, late: bool = False) -> None:
        """Begin, with a taxonomy that nobody else writes into; Discord's process carries runs, unless that comes `late`."""
        self.discord.works = not late
        for side in (self.discord, self.slack):
            side.set["taxonomy.path"] = '""'
        await self.start(roles__everyone__cooldowns_s="{}")

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Somebody carries runs."""
        task = asyncio.create_task(self.discord.house.work(Terms(lease_s=2.0)))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def told(self) -> None:
        """Return when no run is to be told of any more, and everything is said."""
        async with asyncio.timeout(10):
            while await self.store.watched("discord") or await self.store.watched("slack"):
                await asyncio.sleep(0.01)
        await self.quiet()

    async def crash(self) -> None:
        await self.slack.crash()
        await self.discord.crash()

    async def quiet(self) -> None:
        await self.discord.quiet()
        await self.slack.quiet()

    # --- a person

    async def code(self) -> str:
        """Let alice make a code in Discord."""
        await self.discord.after(self.alice.slash(self.hall, "link"))
        return code_in(self.discord.texts(self.hall, self.alice)[-1])

    async def link(self) -> str:
        """Let alice make a code in Discord and give it in Slack. Returns whom she is to us."""
        await self.slack.lab(self.al, self.room, f"link {await self.code()}")
        assert "are one to me" in self.slack.private(self.room, self.al)[-1]
        return await self.person()

    async def person(self) -> str:
        """Who alice is to us, on both."""
        one = await self.store.person("discord", "discord", self.alice.id, "")
        assert one == await self.store.person("slack", "slack", f"{self.team.id}.{self.al.id}", "")
        return one

    async def taken_up(self, draft: str) -> Json:
        """Let alice take a draft up in Slack; return its card there."""
        await self.slack.lab(self.al, self.room, f"draft {draft}")
        return [one for one in self.slack.said(self.room) if is_card(one)][-1]

    async def drafts(self) -> list[Draft]:
        return list(await self.store.drafts(await self.person()))

    async def draft(self) -> Draft:
        """The one that alice has."""
        [found] = await self.drafts()
        return found

    # --- what alice does

    async def begun(self) -> Channel:
        """Let alice begin a draft in Discord and say what it is about; return its thread."""
        thread = await self.discord.draft(self.alice, self.hall)
        await self.discord.after(self.alice.says(thread, WISH, mention=True))
        return thread

    async def finished(self, draft: Draft) -> Json:
        """Let alice take a draft up in Slack and answer all that is asked; return its card there."""
        card = await self.taken_up(draft.id)
        for text in REST:
            await self.slack.says(self.al, self.room, text, card)
        return card

    async def taken_back(self, thread: Channel) -> None:
        """Let alice take a draft up in Discord again, by the button that it left there."""
        await self.discord.presses(self.alice, self.discord.said(thread)[0], "Open")

    async def submits(self, card: Json) -> None:
        """Let alice sign a draft in Slack."""
        await self.slack.says(self.al, self.room, "/submit", card)
        before = await self.slack.comes(self.room, "Sign and open", card)
        dialog = await self.slack.opens(self.al, before, "Sign and open")
        await self.slack.fills(self.al, dialog, {"name": "Alice Example", "mail": "alice@example.org"})

    async def forgets(self) -> None:
        """Let alice have everything forgotten, from Slack."""
        await self.slack.lab(self.al, self.room, "privacy forget")
        await self.slack.presses(self.al, self.slack.seen(self.al, self.room), "Forget everything")
        await self.slack.fake.until(lambda: "It is done" in "".join(self.slack.private(self.room, self.al)))
        await self.quiet()


def code_in(text: str) -> str:
    return re.findall(r"\*{0,2}([A-Z2-9]{4}-[A-Z2-9]{4})\*{0,2}", text)[0]


def file_of(draft: Draft) -> str:
    """The qna.yaml that comes of a draft."""
    return qna.write(entry(draft.form, draft.answers))


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings, with a taxonomy that is made."""
    loaded = settings_module.load({"LABBOT_TINY": "small"})
    tree = tmp_path_factory.mktemp("tree") / "taxonomy"
    demo.make(tree, loaded.home / "configs" / "demo")
    kept = replace(loaded, data=tree.parent, cache=tmp_path_factory.getbasetemp() / "cache")
    return settings_module.reloaded(kept, {"taxonomy.path": str(tree)})


@pytest.fixture(scope="module")
def faq(ready: Settings) -> Faq:
    return house.faq_of(ready)


@pytest.fixture(params=["two"])
async def both(
    request: pytest.FixtureRequest,
    ready: Settings,
    faq: Faq,
    server: Server,
    memory: Memory,
    model: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Both]:
    """Two processes that are not started yet, or the two sides of one, on an empty Redis."""
    monkeypatch.setattr(house, "faq_of", lambda settings: faq)
    monkeypatch.setattr(discord_wire, "WAITS_S", (0.02, 0.05, 0.1))
    monkeypatch.setattr(slack_wire, "WAITS_S", (0.02, 0.05, 0.1))
    monkeypatch.setattr(posts, "WAITS_S", (0.0, 0.02, 0.05))
    strayed = watched(monkeypatch)
    settings = replace(ready, data=tmp_path / "data")
    async with AsyncExitStack() as stack:
        here, there = await stack.enter_async_context(Discord()), await stack.enter_async_context(Slack())
        kind = Lodger if request.param == "one" else on_slack.Labbot
        made = Both(on_discord.Labbot(settings, server, here, model), kind(settings, server, there, there.team("lab"), model))
        if isinstance(made.slack, Lodger):
            made.slack.host = made.discord
        yield made
        await made.crash()
        assert (here.violations, there.violations, strayed) == ([], [], [])


def watched(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """See what each platform is given to say; return what was for the other one."""
    strayed: list[Message] = []

    def told(platform: str, say: Callable[..., Any]) -> Callable[..., Any]:
        def judged(*given: Any) -> Any:
            if platform_of(given[-1].place) != platform:
                strayed.append(given[-1])
            return say(*given)

        return judged

    for platform, speaker in (("discord", discord_say.Speaker), ("slack", slack_say.Speaker)):
        for name in ("post", "edit", "find", "ask", "pause"):
            monkeypatch.setattr(speaker, name, told(platform, getattr(speaker, name)))
    return strayed


either = pytest.mark.parametrize("both", ["one", "two"], indirect=True, ids=["one process", "two processes"])


# --- one draft on two platforms


@either
async def test_a_draft_begun_in_discord_and_finished_in_slack_is_the_file_that_discord_alone_makes(both: Both) -> None:
    await both.start()
    thread = await both.begun()
    await both.link()
    card = await both.finished(await both.draft())
    dialog = await both.slack.opens(both.al, both.slack.card(both.room, card), "About")
    await both.slack.fills(both.al, dialog, {"description": REWORDED})
    alone = await both.discord.draft(both.bob, both.hall)
    for text in (WISH, *REST):
        await both.discord.after(both.bob.says(alone, text, mention=True))
    opened = await both.discord.acked(both.bob.slash(alone, "edit", {"what": "about"}))
    await both.discord.after(both.bob.submits(opened, {"description": REWORDED}))
    bobs = await both.store.person("discord", "discord", both.bob.id, "")
    [theirs] = await both.store.drafts(bobs)

    assert file_of(await both.draft()) == file_of(theirs)
    assert REWORDED in file_of(theirs)
    assert GONE in both.discord.text(both.discord.said(thread)[0])
    assert "draft" in text_of(both.slack.card(both.room, card))


async def test_a_run_begun_in_slack_tells_its_steps_in_slack_only_and_its_end_once(both: Both, tmp_path: Path) -> None:
    await both.starts_working()
    thread = await both.begun()
    await both.link()
    card = await both.finished(await both.draft())
    shown = len(both.discord.fake.shown)
    await both.submits(card)
    await both.slack.comes(both.room, "is on a branch of its own", card)
    await both.quiet()
    draft = await both.draft()
    [made] = (tmp_path / "data" / "runs").glob(f"{draft.run}/entry/qna.yaml")
    told = both.slack.texts(both.room, card)

    assert made.read_text(encoding="utf-8") == file_of(draft)
    assert sum("is on a branch of its own" in text for text in told) == 1
    assert sum("Submit ·" in text for text in told) == 1
    assert both.discord.fake.shown[shown:] == []
    assert GONE in both.discord.text(both.discord.said(thread)[0])


async def test_a_precheck_begun_in_slack_is_told_in_slack_only_and_once(both: Both) -> None:
    await both.starts_working()
    await both.begun()
    await both.link()
    card = await both.finished(await both.draft())
    shown = len(both.discord.fake.shown)
    await both.slack.presses(both.al, both.slack.card(both.room, card), "Precheck")
    await both.slack.comes(both.room, "is done", card)
    await both.quiet()

    assert sum("Precheck of" in text and "is done" in text for text in both.slack.texts(both.room, card)) == 1
    assert both.discord.fake.shown[shown:] == []


@either
async def test_a_run_that_was_signed_for_on_both_platforms_tells_its_end_once_where_the_draft_went_on(both: Both) -> None:
    """The same revision is the same run, which waits for a worker while the draft is taken back."""
    await both.starts_working(late=True)
    thread = await both.begun()
    await both.link()
    card = await both.finished(await both.draft())
    await both.submits(card)
    await both.slack.comes(both.room, "Submit ·", card)
    await both.taken_back(thread)
    await both.discord.after(both.alice.slash(thread, "submit"))
    before = await both.discord.comes(thread, "Sign and open", both.alice)
    await both.discord.presses(both.alice, before, "Sign and open")
    async with both.working():
        await both.discord.comes(thread, "is on a branch of its own")
        await both.told()
    ends = [*both.discord.texts(thread), *both.slack.texts(both.room, card), *both.slack.texts(both.room)]

    assert sum("is on a branch of its own" in text for text in ends) == 1


async def test_what_two_authors_say_on_two_platforms_at_once_is_all_in_the_draft(both: Both) -> None:
    await both.start()
    thread = await both.begun()
    await both.discord.after(both.alice.slash(thread, "invite", {"who": both.bob.id}))
    letter = both.discord.said(both.bob.dm)[-1]
    await both.discord.after(both.bob.presses(letter, on_discord.labels(letter) and button(letter, "")))
    await both.link()
    card = await both.taken_up((await both.draft()).id)
    pairs = PAIRS.split("\n")
    await asyncio.gather(
        *(both.slack.says(both.al, both.room, pair, card) for pair in pairs[:2]),
        *(both.discord.after(both.bob.says(thread, pair, mention=True)) for pair in pairs[2:]),
    )
    await both.quiet()
    answers = (await both.draft()).answers

    assert sorted(text for key, text in answers.items() if key.endswith(".question")) == [f"{n} lamps?" for n in range(1, 6)]


# --- one person


@either
async def test_quotas_count_what_somebody_did_on_both(both: Both) -> None:
    await both.start(roles__everyone__quotas="{draft: 2/day}", roles__everyone__cooldowns_s="{}")
    await both.discord.draft(both.alice, both.hall)
    await both.slack.draft(both.al, both.room)
    await both.link()
    await both.slack.lab(both.al, both.room, "skill")
    await both.discord.after(both.alice.slash(both.hall, "skill"))

    assert "That is as often as it may be done" in both.slack.private(both.room, both.al)[-1]
    assert "That is as often as it may be done" in both.discord.texts(both.hall, both.alice)[-1]
    assert len(await both.drafts()) == 2


@pytest.mark.parametrize("where", ["discord", "slack"])
async def test_a_block_on_one_platform_holds_on_the_other(both: Both, where: str) -> None:
    roles = {f"workspaces__{both.guild.id}__roles": f'{{"{both.bob.id}": operator}}'}
    await both.start(**roles, **{f"workspaces__{both.team.id}__roles": f'{{"{both.rob.id}": operator}}'})
    await both.link()
    if where == "discord":
        await both.discord.after(both.bob.says(both.hall, f"/admin block <@{both.alice.id}> spam", mention=True))
    else:
        await both.slack.lab(both.rob, both.room, f"admin block {both.al.mention} spam")
    await both.slack.lab(both.al, both.room, "skill")
    await both.discord.after(both.alice.slash(both.hall, "skill"))

    assert "blocked you here (spam)" in both.slack.private(both.room, both.al)[-1]
    assert "blocked you here (spam)" in both.discord.texts(both.hall, both.alice)[-1]


async def test_whoever_was_heard_on_both_is_one_person_to_both_as_soon_as_they_are_linked_either_way(both: Both) -> None:
    await both.start()
    await both.begun()
    await both.slack.draft(both.al, both.room, "skill greet people")
    await both.slack.lab(both.al, both.room, "link")
    await both.discord.after(both.alice.slash(both.hall, "link", {"code": code_in(both.slack.private(both.room, both.al)[-1])}))
    await both.discord.after(both.alice.says(both.alice.dm, "/draft"))
    await both.slack.lab(both.al, both.room, "draft")

    assert len(await both.drafts()) == 2
    for draft in await both.drafts():
        assert draft.id in both.discord.texts(both.alice.dm)[-1]
        assert draft.id in both.slack.private(both.room, both.al)[-1]


async def test_whoever_parts_in_slack_begins_anew_there_and_keeps_everything_in_discord(both: Both) -> None:
    await both.start()
    await both.begun()
    await both.link()
    await both.slack.lab(both.al, both.room, "link off")
    await both.slack.lab(both.al, both.room, "draft")
    await both.discord.after(both.alice.says(both.alice.dm, "/draft"))

    assert "None yet." in both.slack.private(both.room, both.al)[-1]
    assert WISH in both.discord.texts(both.alice.dm)[-1]


# --- forgotten


@either
async def test_privacy_forget_in_slack_takes_away_what_is_kept_from_discord_too(both: Both) -> None:
    await both.start()
    await both.begun()
    await both.discord.after(both.alice.says(both.alice.dm, "what is a skill for a platypus?"))
    await both.discord.after(both.alice.slash(both.hall, "chat", {"question": "sing of a platypus"}))
    await both.discord.quiet()
    person = await both.link()
    card = await both.taken_up((await both.draft()).id)
    await both.slack.says(both.al, both.room, "question: platypus? answer: on Monday", card)
    await both.slack.says(both.al, both.al.dm, "tell me of a platypus")
    await both.quiet()
    words = ("platypus", "Monday", WISH, both.alice.id, both.al.id, both.alice.dm.id)
    held = both.slack.holding(*words)
    await both.forgets()

    assert held
    assert both.slack.holding(*words) == []
    await both.discord.after(both.alice.says(both.alice.dm, "/draft"))
    assert "None yet." in both.discord.texts(both.alice.dm)[-1]
    assert both.slack.holding(person) == [f"bot:talk:slack:{both.team.id}.{both.room.id}"]  # to whom it was told


@either
async def test_an_answer_that_is_written_in_discord_ends_when_its_asker_is_forgotten_in_slack(both: Both) -> None:
    await both.start()
    await both.link()
    ask = both.alice.slash(both.hall, "chat", {"question": "sing of a platypus"})
    await both.discord.story(both.hall, ask, "and a platypus")
    await both.forgets()
    await both.discord.fake.until(lambda: not both.discord.app.writing)
    await both.quiet()

    assert both.slack.holding("platypus", both.alice.id, both.al.id) == []
    assert not any("and a platypus" in text for text in both.discord.texts(both.hall))


# --- one of them is away


async def test_while_discord_s_process_is_away_slack_goes_on_and_its_card_is_told_when_it_is_back(both: Both) -> None:
    await both.start()
    thread = await both.begun()
    await both.link()
    draft = await both.draft()
    await both.discord.crash()
    card = await both.taken_up(draft.id)
    await both.slack.says(both.al, both.room, PAIRS, card)
    assert "Examples 5/5" in text_of(both.slack.card(both.room, card))
    assert GONE not in both.discord.text(both.discord.said(thread)[0])
    shown = len(both.discord.fake.shown)
    await both.discord.start()
    await both.discord.quiet()

    told = both.discord.fake.shown[shown:]
    assert [(one.kind, GONE in both.discord.text(one.message)) for one in told] == [("edit", True)]
    assert GONE in both.discord.text(both.discord.said(thread)[0])


async def test_while_slack_s_process_is_away_discord_goes_on_and_its_card_is_told_when_it_is_back(both: Both) -> None:
    await both.start()
    thread = await both.begun()
    await both.link()
    card = await both.taken_up((await both.draft()).id)
    await both.slack.crash()
    await both.taken_back(thread)
    await both.discord.after(both.alice.says(thread, PAIRS, mention=True))
    assert "Examples 5/5" in both.discord.text(both.discord.said(thread)[0])
    assert GONE not in text_of(both.slack.fake.messages(both.room, card)[0])
    shown = len(both.slack.fake.shown)
    await both.slack.start()
    await both.slack.quiet()

    told = [one for one in both.slack.fake.shown[shown:] if one.message.get("bot_id")]
    assert [(one.kind, GONE in text_of(one.message)) for one in told] == [("edit", True)]


async def test_while_discord_does_not_answer_a_thread_of_slack_that_has_something_to_tell_it_goes_on(both: Both) -> None:
    await both.start()
    thread = await both.begun()
    await both.link()
    fault = both.discord.fake.fail("PATCH", r"/channels/\d+/messages/\d+", "slow", times=1, seconds=SLOW_S)
    card = await both.taken_up((await both.draft()).id)
    await both.discord.fake.until(lambda: fault.met)
    assert [key async for key in both.store.memory.keys("bot:lock:place:*")] == []
    await both.slack.lab(both.al, both.room, "quota")
    await both.slack.says(both.al, both.room, PAIRS, card)

    assert "drafts: " in both.slack.private(both.room, both.al)[-1]
    assert "Examples 5/5" in text_of(both.slack.card(both.room, card))
    assert GONE not in both.discord.text(both.discord.said(thread)[0])


async def test_of_two_processes_one_at_a_time_takes_away_what_is_old(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one would look at folders that the other takes away."""
    await both.start()
    inside: list[Store] = []
    most: list[int] = []

    async def sweep(store: Store, now: float) -> None:
        inside.append(store)
        most.append(len(inside))
        await store.memory.do("PING")
        inside.remove(store)

    monkeypatch.setattr(forget, "sweep", sweep)
    await asyncio.gather(*(forget.tidy(side.house.store, side.house.runs) for side in (both.discord, both.slack)))

    assert len(most) >= 2  # and maybe what a process takes away by itself as it starts
    assert set(most) == {1}


# --- maintainers


async def test_a_question_asked_in_slack_reaches_maintainers_in_discord_and_their_answer_comes_back(both: Both) -> None:
    """No setting leads there today: a workspace's maintainers are on its platform. The shell carries it all the same."""
    desk = both.guild.channel("desk")
    await both.start(**{"workspaces__discord__maintainers": f'"{desk.id}"'})
    both.slack.app.maintainers = both.discord.app.maintainers
    await both.slack.lab(both.al, both.room, "ask why do zebras hum")
    await both.slack.presses(both.al, both.slack.said(both.room)[-1], "Ask the maintainers")
    asked = await both.discord.comes(desk, "why do zebras hum")
    dialog = await both.discord.acked(both.bob.presses(asked, button(asked, "Answer")))
    await both.discord.after(both.bob.submits(dialog, {"text": "Nobody taught them the words."}))
    await both.slack.comes(both.room, "Nobody taught them the words.")

    assert [one.whom for one in both.slack.fake.mentions] == [both.al.id]
    assert not any("taught" in text for text in both.discord.texts(both.hall))


# --- as processes of their own


class Processes:
    """`labbot discord` and `labbot slack`, each a process, on one Redis and one folder."""

    def __init__(self, data: Path, redis_url: str, fakes: tuple[Discord, Slack], token: str) -> None:
        self.folder, (self.discord, self.slack) = data, fakes
        kept = {name: text for name, text in os.environ.items() if not name.startswith("LABBOT_")}
        told = {"LABBOT_DATA": str(data), "LABBOT_REDIS_URL": redis_url, "LABBOT_DISCORD_TOKEN": self.discord.token}
        self.environment = kept | told | {"LABBOT_SLACK_BOT_TOKEN": token, "LABBOT_SLACK_APP_TOKEN": self.slack.app_token}
        self.running: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, *platforms: str) -> None:
        """Begin processes; return when all are connected."""
        for platform in platforms:
            where = (self.discord.api, self.discord.gateway) if platform == "discord" else (self.slack.api,)
            with (self.folder / f"{platform}.log").open("ab") as said:
                self.running[platform] = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", f"tests.bot.{platform}.process", *where, platform),
                    cwd=HOME,
                    env=self.environment,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                )
        for platform in platforms:
            up = self.discord.up if platform == "discord" else self.slack.up
            process = self.running[platform]
            await self.discord.until(lambda up=up, process=process: up.is_set() or process.returncode is not None, 30)
            assert process.returncode is None, (self.folder / f"{platform}.log").read_text(encoding="utf-8")

    async def end(self, platform: str, how: signal.Signals) -> int:
        """End a process; return its exit status when its platform has noticed."""
        process = self.running.pop(platform)
        process.send_signal(how)
        async with asyncio.timeout(20):
            status = await process.wait()
        up = self.discord.up if platform == "discord" else self.slack.up
        await self.discord.until(lambda: not up.is_set())
        return status

    async def close(self) -> None:
        for process in self.running.values():
            process.kill()
            await process.wait()


async def test_of_two_processes_one_is_killed_and_the_other_goes_on_with_the_draft_of_a_linked_person(
    both: Both, server: Server, tmp_path: Path, ready: Settings
) -> None:
    """`labbot discord` and `labbot slack`, begun at once, in one folder."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cache").symlink_to(ready.cache)
    shutil.copytree(ready.bot.taxonomy.path, tmp_path / "data" / "taxonomy")
    labbot = Processes(tmp_path / "data", server.url, (both.discord.fake, both.slack.fake), both.team.bot_token)
    try:
        await labbot.start("discord", "slack")
        await both.alice.slash(both.hall, "skill")
        await both.discord.fake.until(lambda: both.discord.fake.threads(both.hall))
        [thread] = both.discord.fake.threads(both.hall)
        await both.discord.comes(thread, "in one sentence?")
        await both.alice.says(thread, WISH, mention=True)
        draft = re.findall(r"draft (\w+)", both.discord.text(await both.discord.comes(thread, f"{WISH} · draft")))[0]
        await both.discord.comes(thread, "First example.")
        await both.alice.slash(both.hall, "link")
        code = code_in(both.discord.text(await both.discord.comes(both.hall, "Your code", both.alice)))
        await both.al.command(both.room, "/lab", f"link {code}")
        await both.slack.comes(both.room, "are one to me", reader=both.al)
        assert await labbot.end("discord", signal.SIGKILL) == -signal.SIGKILL
        await both.al.command(both.room, "/lab", f"draft {draft}")
        card = await both.slack.comes(both.room, f"{WISH} · draft")
        await both.al.says(both.room, PAIRS, thread=card)
        await both.slack.comes(both.room, "Examples 5/5", card)
        assert GONE not in both.discord.text(both.discord.said(thread)[0])
        await labbot.start("discord")
        await both.discord.comes(thread, GONE)

        assert sum(GONE in text for text in both.discord.texts(thread)) == 1
        assert [await labbot.end(one, signal.SIGTERM) for one in ("discord", "slack")] == [0, 0]
    finally:
        await labbot.close()
