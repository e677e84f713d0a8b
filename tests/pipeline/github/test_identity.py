"""A stage acts in the person's name where they have linked an account, else in the App's, with a token minted just then."""

import base64
import os
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pipeline import recipe, vault
from pipeline.errors import Failed, Invalid, LabError, Temporary
from pipeline.github import identity
from pipeline.github.client import GitHub, hub_of
from pipeline.github.identity import APP_KEY
from pipeline.vault import Vault
from tests.fakes.github import FakeGitHub, Fault

KEY = vault.key()
TOKEN = "gho_PLANTEDTOKENofalice000000000000000001"
REPO = "lab/taxonomy"
_MADE = rsa.generate_private_key(65537, 2048)
PRIVATE = _MADE.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
).decode()
PUBLIC = _MADE.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
ENVIRONMENT = {vault.NAME: KEY, APP_KEY: PRIVATE}


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    with FakeGitHub().up() as hub:
        hub.repo(REPO, {"README.md": "Hello\n"})
        hub.user("alice", TOKEN)
        hub.app("12", PUBLIC, "labbot", REPO)
        yield hub


def account(keys: str = KEY) -> dict[str, str]:
    return {"login": "alice", "user": "7", "token": Vault([keys]).seal(TOKEN, "github:7").decode()}


async def refused(settings: Any, given: dict[str, str], environment: dict[str, str], repo: str = REPO) -> LabError:
    with pytest.raises(LabError) as error:
        await identity.of(settings, given, environment, repo)
    return error.value


async def test_who_has_linked_an_account_acts_by_themselves(fake: FakeGitHub) -> None:
    found = await identity.of(fake.settings(app="12"), account(), ENVIRONMENT, REPO)

    assert (found.kind, found.login, found.token, found.mail, fake.traffic) == ("person", "alice", TOKEN, "", [])


async def test_for_everybody_else_the_app_acts_with_the_least_rights_in_this_repository_alone(fake: FakeGitHub) -> None:
    found = await identity.of(fake.settings(app="12"), {}, ENVIRONMENT, REPO)
    asked = next(one.asked for one in fake.traffic if one.path.endswith("/access_tokens"))

    assert (found.kind, found.login, found.mail) == (
        "app",
        "labbot[bot]",
        f"{fake.users['labbot[bot]'].id}+labbot[bot]@users.noreply.{fake.place}",
    )
    assert asked == {
        "repositories": ["taxonomy"],
        "permissions": {**identity.PERMISSIONS, "checks": "read", "statuses": "read"},
    }
    async with GitHub(hub_of(fake.settings()), found.token) as github:
        assert (await github.post(f"/repos/{REPO}/git/blobs", {"content": "x"}))["sha"]


async def test_an_app_that_was_granted_less_asks_for_no_more_than_it_has_to(fake: FakeGitHub) -> None:
    del fake.apps["12"]["granted"]["checks"], fake.apps["12"]["granted"]["statuses"]
    await identity.of(fake.settings(app="12"), {}, ENVIRONMENT, REPO)
    asked = next(one.asked for one in fake.traffic if one.path.endswith("/access_tokens"))
    assert asked["permissions"] == {"contents": "write", "issues": "write", "pull_requests": "write"}

    del fake.apps["12"]["granted"]["contents"]
    error = await refused(fake.settings(app="12"), {}, ENVIRONMENT)
    assert isinstance(error, Invalid)
    assert (error.facts["code"], "write access to contents" in error.problems[0].fix) == ("github.app", True)


async def test_two_tokens_are_never_the_same(fake: FakeGitHub) -> None:
    found = [await identity.of(fake.settings(app="12"), {}, ENVIRONMENT, REPO) for _ in range(2)]

    assert found[0].token != found[1].token


async def test_a_key_in_a_variable_may_have_its_lines_written_out(fake: FakeGitHub) -> None:
    written = {APP_KEY: PRIVATE.replace("\n", "\\n")}

    assert (await identity.of(fake.settings(app="12"), {}, written, REPO)).kind == "app"


async def test_without_account_and_app_nobody_acts_and_a_run_by_hand_hears_why(fake: FakeGitHub) -> None:
    error = await refused(fake.settings(), {}, ENVIRONMENT)

    assert isinstance(error, Invalid)
    assert error.facts["code"] == "github.unlinked"
    assert "by hand" in error.problems[0].fix


@pytest.mark.parametrize(
    ("environment", "where"),
    [
        ({}, APP_KEY),
        ({APP_KEY: PRIVATE.replace("MII", "PLANTED")}, APP_KEY),
        ({APP_KEY: PRIVATE[:900] + "PLANTED"}, APP_KEY),
        ({APP_KEY: base64.b64encode(os.urandom(48)).decode()}, APP_KEY),
    ],
)
async def test_a_key_that_is_none_is_the_operators_to_mend_and_is_not_shown(
    fake: FakeGitHub, environment: dict[str, str], where: str
) -> None:
    error = await refused(fake.settings(app="12"), {}, environment)

    assert isinstance(error, Invalid)
    assert (error.facts["code"], error.facts["repo"], error.problems[0].where) == ("github.app", REPO, where)
    assert "PLANTED" not in "".join(traceback.format_exception(error))


async def test_an_app_that_is_not_installed_there_or_not_known_says_where_to_install_it(fake: FakeGitHub) -> None:
    fake.repo("lab/other", {})
    for app, repo in (("12", "lab/other"), ("13", REPO)):
        error = await refused(fake.settings(app=app), {}, ENVIRONMENT, repo)
        assert isinstance(error, Invalid)
        assert (error.facts["code"], error.facts["repo"], repo in error.problems[0].fix) == ("github.app", repo, True)


async def test_why_a_worker_gave_no_account_says_who_must_act(fake: FakeGitHub) -> None:
    found = [
        await refused(fake.settings(app="12"), {"problem": problem, "cause": "why"}, ENVIRONMENT)
        for problem in ("github.away", "github.sealed", "github.revoked")
    ]

    assert [type(one) for one in found] == [Temporary, Failed, Invalid]
    assert [isinstance(one, Invalid) and one.facts["code"] for one in found] == [False, False, "github.revoked"]


async def test_an_account_that_no_key_opens_is_no_reason_to_act_as_the_app(fake: FakeGitHub) -> None:
    assert isinstance(await refused(fake.settings(app="12"), account(vault.key()), ENVIRONMENT), Failed)
    assert isinstance(await refused(fake.settings(app="12"), account(), {APP_KEY: PRIVATE}), Invalid)


async def test_github_that_is_away_is_waited_for(fake: FakeGitHub) -> None:
    fake.faults = [Fault("lost-after", path="access_tokens")]

    assert isinstance(await refused(fake.settings(app="12"), {}, ENVIRONMENT), Temporary)


def test_no_secret_is_shown_and_stages_are_given_those_that_are_needed() -> None:
    shown = repr(identity.Identity("person", "alice", TOKEN))

    assert ("PLANTED" in shown, recipe.SECRETS) == (False, identity.SECRETS)
