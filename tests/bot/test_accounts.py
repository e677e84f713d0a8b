"""A GitHub account is linked by a code that is typed in at GitHub, once, whoever restarts meanwhile."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bot.accounts import ROW, Linking, Where
from bot.core.records import Conversation, Person
from bot.core.talk import Account, Answer
from bot.core.words import pick
from bot.pack import pack, unpack
from bot.rows import Message, Order
from bot.settings import Settings
from bot.store import Store
from pipeline import vault
from pipeline.github.accounts import Accounts
from pipeline.github.client import Hub
from pipeline.memory import Memory
from pipeline.net import Net
from tests.bot.core.conftest import TABLES, Talk
from tests.bot.core.test_drafting import complete
from tests.fakes.github import FakeGitHub

ORDER = Order("account", "terminal:@p1", "e1", pack(Account("link")), "p1", "en")


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub().up() as github:
        github.clients.add("Iv1.labbot")
        yield github


@pytest.fixture
async def linking(github: FakeGitHub, store: Store, memory: Memory, settings: Settings) -> Linking:
    await memory.do("SET", "bot:person:p1", pack(Person("p1", "alice", full_name="Alice")))
    hub = Hub(github.url, github.url, Net((github.place,)))
    sealing = vault.Vault([vault.key()])
    kept = Accounts(memory, sealing, hub, "Iv1.labbot", lambda: 1000.0)
    return Linking(store, kept, Where(hub, "Iv1.labbot", False, "lab/taxonomy"), sealing, settings.words, lambda: 1000.0)


async def at_once(seconds: float) -> None:
    await asyncio.sleep(0)


def said(message: Message | None) -> str:
    assert message and isinstance(message.body, Answer)
    assert message.to == "p1"  # nobody else sees it
    return message.body.text


async def test_a_code_is_shown_waited_for_and_the_account_kept(linking: Linking, github: FakeGitHub, memory: Memory) -> None:
    shown = said(await linking.begin(ORDER, "terminal"))
    assert f"{github.url}/login/device" in shown and "WDJB-0001" in shown
    github.approve("WDJB-0001", "alice-lab")

    assert said(await linking.end(ORDER, at_once)).startswith("Linked: pull requests go out as alice-lab")
    assert (await linking.look("p1")).login == "alice-lab"
    person = unpack(await memory.do("GET", "bot:person:p1"), Person)
    assert (person.github, person.full_name) == ("alice-lab", "Alice")
    assert not await memory.do("EXISTS", ROW.format("p1"))


@pytest.mark.parametrize(("by", "offered"), [("p1", ["draft.submit|d1"]), ("p2", [])])
async def test_whose_whole_draft_waited_for_the_account_can_send_it_off_at_once(
    linking: Linking, github: FakeGitHub, memory: Memory, by: str, offered: list[str]
) -> None:
    await memory.do("SET", "bot:place:terminal:@p1", pack(Conversation("terminal:@p1", draft="d1")))
    talk = Talk(pick(TABLES, "en"))
    complete(talk)
    assert talk.draft
    await memory.do("SET", "bot:draft:d1", pack(replace(talk.draft, id="d1", owner=by, authors=(by,))))
    await linking.begin(ORDER, "terminal")
    github.approve("WDJB-0001", "alice-lab")
    told = await linking.end(ORDER, at_once)

    assert told and isinstance(told.body, Answer)
    assert [button.token for button in told.body.buttons] == offered


async def test_who_is_told_to_slow_down_asks_as_rarely_from_then_on(linking: Linking, github: FakeGitHub) -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 4:
            github.approve("WDJB-0001", "alice-lab")

    github.hurried = 2
    await linking.begin(ORDER, "terminal")
    said(await linking.end(ORDER, wait))

    assert (waits[0] < 5, waits[1:3], waits[3]) == (True, [5, 10], 10)


async def test_nothing_that_redis_holds_shows_a_token_or_the_code_behind_it(
    linking: Linking, github: FakeGitHub, memory: Memory
) -> None:
    await linking.begin(ORDER, "terminal")
    while_waiting = await dump(memory)
    github.approve("WDJB-0001", "alice-lab")
    await linking.end(ORDER, at_once)

    assert github.devices and "PLANTEDTOKEN" not in while_waiting + await dump(memory)


async def dump(memory: Memory) -> str:
    found = []
    async for key in memory.keys("*"):
        kind = (await memory.do("TYPE", key)).decode()
        found.append(str(await memory.do("HGETALL", key) if kind == "hash" else await memory.do("GET", key)))
    return "".join(found)


async def test_a_process_that_comes_after_a_crash_waits_for_the_same_code(
    linking: Linking, github: FakeGitHub, settings: Settings
) -> None:
    first = said(await linking.begin(ORDER, "terminal"))
    later = Linking(linking.store, linking.kept, linking.where, linking.vault, settings.words, linking.clock)

    assert said(await later.begin(replace(ORDER, key="e2"), "terminal")) == first
    assert [(one.person, one.place) for one in await later.waiting("terminal")] == [("p1", "terminal:@p1")]
    assert await later.waiting("slack") == []
    github.approve("WDJB-0001", "alice-lab")
    assert "alice-lab" in said(await later.end((await later.waiting("terminal"))[0], at_once))
    assert len(github.devices) == 1


@pytest.mark.parametrize(("does", "words"), [("deny", "refused at GitHub"), ("expire", "while it was good")])
async def test_a_code_that_is_refused_or_too_old_is_told_and_gone(
    linking: Linking, github: FakeGitHub, does: str, words: str
) -> None:
    await linking.begin(ORDER, "terminal")
    getattr(github, does)("WDJB-0001")

    assert words in said(await linking.end(ORDER, at_once))
    assert await linking.end(ORDER, at_once) is None
    assert (await linking.look("p1")).login == ""


async def test_an_application_that_github_does_not_know_is_said_to_be_unknown(linking: Linking, github: FakeGitHub) -> None:
    github.clients.clear()

    assert "does not know the application" in said(await linking.begin(ORDER, "terminal"))


async def test_what_is_unlinked_is_forgotten_while_a_code_is_waited_for_too(linking: Linking, github: FakeGitHub) -> None:
    await linking.begin(ORDER, "terminal")
    github.approve("WDJB-0001", "alice-lab")
    await linking.end(ORDER, at_once)
    parted = replace(ORDER, key="e3", what=pack(Account("unlink")))

    assert "I have forgotten alice-lab" in said(await linking.unlink(parted))
    assert "No GitHub account" in said(await linking.unlink(replace(parted, key="e4")))
    await linking.begin(replace(ORDER, key="e5"), "terminal")
    await linking.unlink(replace(parted, key="e6"))
    assert await linking.end(replace(ORDER, key="e5"), at_once) is None


async def test_without_a_key_nothing_can_be_linked(linking: Linking) -> None:
    keyless = Linking(linking.store, linking.kept, linking.where, None, linking.tables, linking.clock)

    assert (await keyless.look("p1")).links is False
