"""A worker hands a stage its person's account, sealed, and to nobody else; a token is found nowhere that it could stay."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline import config, recipe, vault
from pipeline.embedded import Server
from pipeline.errors import Failed, Invalid, Problem, Temporary
from pipeline.github.accounts import Accounts
from pipeline.github.client import hub_of
from pipeline.github.device import Grant
from pipeline.installation import Installation
from pipeline.memory import Memory
from pipeline.pool.terms import Terms
from pipeline.runs import Runs
from pipeline.vault import Vault
from tests.conftest import HOME
from tests.fakes.github import FakeGitHub
from tests.pipeline import pool, trial
from tests.pipeline.pool import told, until

KEY = vault.key()
TOKEN = "gho_PLANTEDTOKENofalice000000000000000001"


@pytest.fixture(autouse=True)
def _recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(vault.NAME, KEY)
    for name, stages in trial.RECIPES.items():
        monkeypatch.setitem(recipe.RECIPES, name, stages)


@pytest.fixture
def door(memory: Memory, tmp_path: Path) -> Runs:
    return Runs(memory, tmp_path / "data" / "runs", {})


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    with FakeGitHub().up() as hub:
        hub.user("alice", TOKEN)
        yield hub


def installed(fake: FakeGitHub, tmp_path: Path, environment: Mapping[str, str]) -> Installation:
    found = config.BotConfig.model_validate(
        {"github": {"api": fake.url, "web": fake.url, "client": "Iv1.labbot"}, "net": {"allow": [fake.place]}}
    )
    return Installation(HOME, tmp_path / "data", "", found, environment)


@asynccontextmanager
async def acting(door: Runs, server: Server, account: Any, one: str = "account", **more: Any) -> AsyncIterator[None]:
    await door.start("r1", "acts", {"one": one, "two": "account"}, person="p1")
    async with pool.carried(door, server.url, command=trial.COMMAND, account=account, **more):
        yield


async def test_the_stage_that_acts_for_its_person_can_open_the_token_and_no_other_can(
    door: Runs, server: Server, fake: FakeGitHub, tmp_path: Path
) -> None:
    home = installed(fake, tmp_path, {vault.NAME: KEY})
    await Accounts(door.ledger.memory, Vault([KEY]), hub_of(home.github), "").save("p1", Grant(TOKEN))
    async with acting(door, server, home.account):
        steps = await told(door, "r1")

    found = {step.stage: step.facts for step in steps if step.facts.get("opened")}
    assert [found["one"][name] for name in ("login", "opened", "vault")] == ["alice", str(len(TOKEN)), "True"]
    assert [found["two"][name] for name in ("login", "opened", "vault")] == ["", "0", "False"]


async def test_a_token_stays_nowhere(
    door: Runs, server: Server, fake: FakeGitHub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    home = installed(fake, tmp_path, {vault.NAME: KEY})
    await Accounts(door.ledger.memory, Vault([KEY]), hub_of(home.github), "").save("p1", Grant(TOKEN))
    sealed = (await home.account(door.ledger.memory, "p1"))["token"]
    async with acting(door, server, home.account, "account note=had until=go fail"):
        await until((door.folder / "r1" / "had").exists)
        children = psutil.Process().children(recursive=True)
        lines = [" ".join((*one.cmdline(), *one.environ().values())) for one in children]
        (door.folder / "r1" / "go").touch()
        steps = await told(door, "r1")

    everywhere = "\n".join((*lines, repr(steps), caplog.text, *written(tmp_path)))
    assert any("trial" in line for line in lines)
    assert [one in everywhere for one in (TOKEN, "PLANTED", sealed)] == [False, False, False]


def written(folder: Path) -> list[str]:
    """What stands in the files below a folder."""
    return [path.read_bytes().decode("utf-8", "replace") for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (Temporary("GitHub did not answer"), "github.away"),
        (Failed("no key opens it"), "github.sealed"),
        (Invalid(Problem("github.revoked", "it ended")), "github.revoked"),
        (Invalid(Problem("vault.key", "key 1 is none")), "github.sealed"),
    ],
)
async def test_an_account_that_cannot_be_had_ends_no_worker_and_the_stage_hears_why(
    door: Runs, server: Server, error: Exception, problem: str
) -> None:
    async def account(memory: Memory, person: str) -> Mapping[str, str]:
        raise error

    async with acting(door, server, account):
        last = (await told(door, "r1"))[-1]

    assert last.state == "done"
    assert problem in {step.facts.get("problem") for step in await _steps(door)}


async def _steps(door: Runs) -> list[Any]:
    return await told(door, "r1")


async def test_who_has_linked_none_and_a_home_without_a_vault_have_no_account(
    memory: Memory, fake: FakeGitHub, tmp_path: Path
) -> None:
    found = [await installed(fake, tmp_path, one).account(memory, "p1") for one in ({}, {vault.NAME: KEY})]

    assert found == [{}, {}]


async def test_a_worker_that_keeps_no_accounts_gives_none(memory: Memory) -> None:
    assert await Terms().account(memory, "p1") == {}


def test_terms_and_homes_show_no_key(fake: FakeGitHub, tmp_path: Path) -> None:
    home = installed(fake, tmp_path, {vault.NAME: KEY})

    assert KEY not in repr(home) + repr(home.terms) + repr(home.github)
