"""People's accounts are kept sealed, renewed once where they end, handed over as they lie, and gone when they are forgotten."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.__main__ import main
from pipeline import vault
from pipeline.embedded import Server
from pipeline.errors import Failed, Invalid, Temporary
from pipeline.github import accounts, device
from pipeline.github.accounts import ROW, Account, Accounts
from pipeline.github.client import hub_of
from pipeline.github.device import Grant
from pipeline.github.keys import KEYS
from pipeline.memory import Memory, connect
from pipeline.vault import Vault
from tests.fakes.github import FakeGitHub, Fault

KEY = vault.key()
TOKEN = "gho_PLANTEDTOKENofalice000000000000000001"
CLIENT = "Iv1.labbot"
NOW = 1_767_000_000.0
HOURS_8 = 28_800.0


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    with FakeGitHub().up() as hub:
        hub.clients.add(CLIENT)
        hub.user("alice", TOKEN)
        yield hub


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(memory: Memory, fake: FakeGitHub, clock: Clock) -> Accounts:
    return Accounts(memory, Vault([KEY]), hub_of(fake.settings()), CLIENT, clock)


async def row(kept: Accounts, person: str = "p1") -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = await kept.memory.do("HGETALL", ROW.format(person))
    return found


async def ending(kept: Accounts, fake: FakeGitHub) -> str:
    """Link an account whose tokens end after eight hours, and return the first token."""
    fake.token_s = int(HOURS_8)
    code = await device.begin(kept.hub, CLIENT, ("public_repo",))
    fake.approve(code.user_code, "alice")
    grant = await device.poll(kept.hub, CLIENT, code)
    assert grant
    await kept.save("p1", grant)
    return grant.token


# --- kept and found


async def test_an_account_is_found_as_it_was_linked_and_nothing_of_its_tokens_can_be_read(kept: Accounts) -> None:
    saved = await kept.save("p1", Grant(TOKEN, "public_repo"))
    found = await kept.find("p1")
    whole = repr(await row(kept))

    assert found == saved == Account("alice", found.user if found else "", "public_repo", NOW)
    assert ("PLANTED" in whole, "PLANTED" in repr((found, kept))) == (False, False)
    assert await kept.token("p1") == TOKEN
    assert await kept.export("p1") == {"login": "alice", "id": saved.user, "scopes": "public_repo", "linked": NOW}


async def test_who_has_linked_none_has_none(kept: Accounts) -> None:
    found = (await kept.find("p1"), await kept.given("p1"), await kept.token("p1"), await kept.export("p1"))

    assert found == (None, {}, "", {})


async def test_a_token_that_github_does_not_know_is_not_kept(kept: Accounts) -> None:
    with pytest.raises(Invalid) as error:
        await kept.save("p1", Grant("gho_other"))

    assert (error.value.facts["code"], await kept.find("p1")) == ("github.revoked", None)


async def test_a_second_account_takes_the_firsts_place(kept: Accounts, fake: FakeGitHub) -> None:
    await ending(kept, fake)
    fake.user("bob", "gho_bob")
    await kept.save("p1", Grant("gho_bob"))
    kept.clock = lambda: NOW + 100 * HOURS_8

    assert (await kept.token("p1"), (await kept.find("p1") or Account("", "")).login) == ("gho_bob", "bob")


async def test_an_account_is_forgotten_whole(kept: Accounts) -> None:
    await kept.save("p1", Grant(TOKEN))
    await kept.forget("p1")

    assert [key async for key in kept.memory.keys("github:*")] == []


async def test_of_two_people_who_are_one_the_one_who_stays_keeps_their_own_account(kept: Accounts, fake: FakeGitHub) -> None:
    fake.user("bob", "gho_bob")
    await kept.save("p1", Grant(TOKEN))
    await accounts.moved(kept.memory, "p1", "p2")
    await accounts.moved(kept.memory, "p9", "p2")
    await kept.save("p3", Grant("gho_bob"))
    await accounts.moved(kept.memory, "p3", "p2")

    assert [await kept.token(one) for one in ("p1", "p2", "p3")] == ["", TOKEN, ""]


# --- the hand-over


async def test_what_a_stage_is_given_opens_with_the_key_only_and_for_nobody_else(kept: Accounts) -> None:
    await kept.save("p1", Grant(TOKEN))
    given = await kept.given("p1")

    assert ({*given}, "PLANTED" in repr(given)) == ({"login", "user", "token"}, False)
    assert accounts.opened(Vault([KEY]), given) == TOKEN
    for wrong, keys in ((given, [vault.key()]), ({**given, "user": "1"}, [KEY])):
        with pytest.raises(Failed):
            accounts.opened(Vault(keys), wrong)


async def test_without_a_vault_nothing_is_kept_and_what_was_is_taken_away(kept: Accounts) -> None:
    await kept.save("p1", Grant(TOKEN))
    bare = Accounts(kept.memory, None, kept.hub, CLIENT, kept.clock)
    with pytest.raises(Failed, match="LABBOT_VAULT_KEY"):
        await bare.save("p2", Grant(TOKEN))
    await bare.forget("p1")

    assert await kept.find("p1") is None


# --- tokens that end


async def test_a_token_that_is_good_for_hours_is_handed_over_as_it_is(kept: Accounts, fake: FakeGitHub, clock: Clock) -> None:
    first = await ending(kept, fake)
    clock.now += HOURS_8 - accounts.SOON_S

    assert await kept.token("p1") == first


async def test_a_token_that_ends_soon_is_renewed_once_however_many_ask(
    kept: Accounts, fake: FakeGitHub, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "LOOK_S", 0.01)
    first = await ending(kept, fake)
    clock.now += HOURS_8 - 60
    found = await asyncio.gather(*(kept.token("p1") for _ in range(20)))

    assert len({*found} - {first}) == 1 == len({*found})
    assert len(fake.refreshes) == 1
    assert sum(one.asked.get("grant_type") == "refresh_token" for one in fake.traffic if not one.api) == 1


async def test_one_that_was_forgotten_while_it_was_renewed_stays_forgotten(
    kept: Accounts, fake: FakeGitHub, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ending(kept, fake)
    clock.now += HOURS_8
    real = device.renew

    async def renew(*words: object) -> Grant:
        await kept.forget("p1")
        return await real(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(device, "renew", renew)

    assert (await kept.given("p1"), await row(kept)) == ({}, {})


async def test_a_renewal_that_github_did_not_hear_can_be_tried_again(kept: Accounts, fake: FakeGitHub, clock: Clock) -> None:
    first = await ending(kept, fake)
    clock.now += HOURS_8
    fake.faults = [Fault("lost-before", path="access_token")]
    with pytest.raises(Temporary):
        await kept.token("p1")

    assert await kept.token("p1") != first


async def test_a_token_that_cannot_be_renewed_is_to_be_linked_again(kept: Accounts, fake: FakeGitHub, clock: Clock) -> None:
    await ending(kept, fake)
    clock.now += HOURS_8
    fake.refreshes.clear()
    for keeps in (kept, Accounts(kept.memory, None, kept.hub, CLIENT, clock)):
        with pytest.raises(Invalid) as error:
            await keeps.given("p1")
        assert (error.value.facts["code"], "/github link" in error.value.problems[0].fix) == ("github.revoked", True)


async def test_tokens_that_end_within_the_hour_are_taken_as_they_come(kept: Accounts, fake: FakeGitHub, clock: Clock) -> None:
    await ending(kept, fake)
    fake.token_s = 600
    clock.now += HOURS_8
    found = [await kept.token("p1") for _ in range(2)]

    assert len({*found}) == 2


# --- rotation


async def test_every_token_is_sealed_anew_by_the_first_key(kept: Accounts, fake: FakeGitHub, clock: Clock) -> None:
    first, fresh = await ending(kept, fake), vault.key()
    turned = [await Accounts(kept.memory, Vault([fresh, KEY]), kept.hub, CLIENT).rotate() for _ in range(2)]
    anew = Accounts(kept.memory, Vault([fresh]), kept.hub, CLIENT, clock)
    before = await anew.token("p1")
    clock.now += HOURS_8

    assert (turned, before) == ([1, 1], first)
    assert await anew.token("p1") not in ("", first)


def test_every_key_is_in_the_table() -> None:
    assert {ROW.format("{person}"), accounts.FRESH.format("{person}")} <= {*KEYS}
    assert all(KEYS.values())


def test_the_command_seals_accounts_anew_too(
    fake: FakeGitHub, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = vault.key()
    for name, value in (("DATA", str(tmp_path)), ("REDIS_URL", server.url), ("VAULT_KEY", f"{fresh},{KEY}")):
        monkeypatch.setenv(f"LABBOT_{name}", value)

    async def kept(key: str) -> str:
        memory = connect(server.url)
        try:
            held = Accounts(memory, Vault([key]), hub_of(fake.settings()), CLIENT)
            if key == KEY:
                await memory.do("FLUSHALL")
                await held.save("p1", Grant(TOKEN))
            return await held.token("p1")
        finally:
            await memory.close()

    asyncio.run(kept(KEY))
    status = main(["key", "--rotate"])

    assert (status, capsys.readouterr().out) == (0, "1 rows are sealed by the first key.\n")
    assert asyncio.run(kept(fresh)) == TOKEN
