"""Installations are kept sealed, found for every event, and gone when labbot is taken out of a workspace."""

import asyncio
import re
from datetime import UTC, datetime

import pytest
from slack_bolt.authorization.async_authorize import AsyncInstallationStoreAuthorize
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.oauth.installation_store import Bot, Installation
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.platforms.slack.installs import STATE_S, Installs, States
from bot.platforms.slack.workspaces import Workspace
from pipeline import vault
from pipeline.errors import Failed
from pipeline.memory import Memory
from pipeline.vault import Vault
from tests.bot.test_forget import dump

KEY = vault.key()


@pytest.fixture
def installs(memory: Memory) -> Installs:
    return Installs(memory, Vault([KEY]))


def installation(
    team: str | None = "T1", enterprise: str | None = None, user: str = "U1", token: str = "zebra-1"
) -> Installation:
    return Installation(
        app_id="A1",
        enterprise_id=enterprise,
        team_id=team,
        team_name="Zoo",
        bot_token=token,
        bot_id="B1",
        bot_user_id="UB1",
        bot_scopes=["chat:write", "commands"],
        bot_refresh_token="zebra-refresh",
        bot_token_expires_at=4_102_444_800,
        user_id=user,
        user_token="zebra-user",
        is_enterprise_install=team is None,
        installed_at=1_767_607_200.5,
        custom_values={"asked": "x"},
    )


def same(one: Bot | Installation | None, other: Bot | Installation) -> bool:
    return one is not None and one.to_dict_for_copying() == other.to_dict_for_copying()


async def test_what_was_installed_is_found_whole(installs: Installs) -> None:
    kept = installation()
    await installs.async_save(kept)
    where = {"enterprise_id": None, "team_id": "T1"}

    assert same(await installs.async_find_bot(**where), kept.to_bot())
    assert same(await installs.async_find_installation(**where), kept)
    assert same(await installs.async_find_installation(**where, user_id="U1"), kept)
    assert await installs.async_find_installation(**where, user_id="U2") is None
    assert await installs.workspace("T1") == Workspace("T1", "zebra-1", "UB1", "B1")


async def test_no_token_can_be_read_in_the_memory(installs: Installs, memory: Memory) -> None:
    await installs.async_save(installation())

    assert [key for key, value in (await dump(memory)).items() if "zebra" in key + value or "Zoo" in value] == []


async def test_a_workspace_that_never_installed_it_has_nothing(installs: Installs) -> None:
    await installs.async_save(installation())

    assert await installs.async_find_bot(enterprise_id=None, team_id="T2") is None
    assert await installs.async_find_installation(enterprise_id="E1", team_id="T2") is None
    assert await installs.async_find_bot(enterprise_id=None, team_id=None) is None
    assert await installs.workspace("T2") is None


async def test_a_row_that_was_put_in_another_workspaces_place_does_not_open(installs: Installs, memory: Memory) -> None:
    await installs.async_save(installation())
    await memory.do("COPY", "bot:install:slack:-.T1", "bot:install:slack:-.T2")
    token = await memory.do("HGET", "bot:install:slack:-.T1", "newest")
    await memory.do("HSET", "bot:install:slack:-.T1", "user.U9", token)

    with pytest.raises(Failed, match="another place"):
        await installs.async_find_bot(enterprise_id=None, team_id="T2")
    with pytest.raises(Failed, match="another place"):
        await installs.async_find_installation(enterprise_id=None, team_id="T1", user_id="U9")


async def test_the_newest_installation_is_the_workspaces_and_each_installers_stays(installs: Installs) -> None:
    first, second = installation(token="zebra-1"), installation(user="U2", token="zebra-2")
    await installs.async_save(first)
    await installs.async_save(second)
    where = {"enterprise_id": None, "team_id": "T1"}

    assert same(await installs.async_find_installation(**where), second)
    assert same(await installs.async_find_installation(**where, user_id="U1"), first)
    assert (await installs.async_find_bot(**where)).bot_token == "zebra-2"  # type: ignore[union-attr]


async def test_an_installation_without_a_bot_leaves_the_bot_that_is_there(installs: Installs) -> None:
    await installs.async_save(installation())
    await installs.async_save(Installation(team_id="T1", user_id="U2", user_token="zebra-user"))

    assert (await installs.workspace("T1")).token == "zebra-1"  # type: ignore[union-attr]


async def test_tokens_that_are_rotated_take_the_old_ones_place(installs: Installs) -> None:
    await installs.async_save(installation())
    bot = installation().to_bot()
    bot.bot_token, bot.bot_token_expires_at = "zebra-next", int(datetime(2026, 1, 6, tzinfo=UTC).timestamp())
    await installs.async_save_bot(bot)

    assert same(await installs.async_find_bot(enterprise_id=None, team_id="T1"), bot)


# --- organizations


async def test_an_organizations_installation_is_every_workspaces_of_its(installs: Installs) -> None:
    org = installation(team=None, enterprise="E1")
    await installs.async_save(org)

    for asked in ({"team_id": "T1"}, {"team_id": None}, {"team_id": "T2", "is_enterprise_install": True}):
        assert same(await installs.async_find_bot(enterprise_id="E1", **asked), org.to_bot()), asked  # type: ignore[arg-type]
        assert same(await installs.async_find_installation(enterprise_id="E1", **asked), org), asked  # type: ignore[arg-type]
    assert await installs.async_find_bot(enterprise_id="E2", team_id="T1") is None


async def test_a_workspaces_own_installation_goes_before_the_organizations_unless_that_is_meant(installs: Installs) -> None:
    org, own = installation(team=None, enterprise="E1", token="zebra-org"), installation(enterprise="E1", token="zebra-own")
    await installs.async_save(org)
    await installs.async_save(own)

    assert same(await installs.async_find_bot(enterprise_id="E1", team_id="T1"), own.to_bot())
    assert same(await installs.async_find_bot(enterprise_id="E1", team_id="T1", is_enterprise_install=True), org.to_bot())
    assert (await installs.workspace("T1")).token == "zebra-own"  # type: ignore[union-attr]


async def test_a_workspace_of_an_organization_is_known_by_its_own_id_once_it_was_told(installs: Installs) -> None:
    await installs.async_save(installation(team=None, enterprise="E1"))
    before = await installs.workspace("T1")
    told = await installs.workspace("T1", "E1")

    assert (before, told) == (None, Workspace("T1", "zebra-1", "UB1", "B1"))
    assert await installs.workspace("T1") == told


async def test_an_organization_that_takes_it_out_takes_it_out_of_all_its_workspaces(installs: Installs, memory: Memory) -> None:
    await installs.async_save(installation(team=None, enterprise="E1"))
    await installs.workspace("T1", "E1")
    await installs.async_save(installation(team="T9"))
    await installs.async_delete_all(enterprise_id="E1", team_id=None)

    assert sorted(await dump(memory)) == ["bot:install:slack:-.T9", "bot:installed:slack:T9"]


async def test_a_workspace_that_is_taken_out_leaves_the_organization_its_tokens(installs: Installs) -> None:
    await installs.async_save(installation(team=None, enterprise="E1"))
    await installs.workspace("T1", "E1")
    await installs.erase("T1")

    assert await installs.workspace("T1") is None
    assert await installs.async_find_bot(enterprise_id="E1", team_id=None)


# --- taken away


@pytest.mark.parametrize("enterprise", [None, "E1"])
async def test_after_an_uninstall_nothing_is_left(installs: Installs, memory: Memory, enterprise: str | None) -> None:
    await installs.async_save(installation(enterprise=enterprise))
    await installs.async_delete_all(enterprise_id=enterprise, team_id="T1")
    deleted = await dump(memory)
    await installs.async_save(installation(enterprise=enterprise))
    await installs.erase("T1")

    assert (deleted, await dump(memory)) == ({}, {})


async def test_another_process_finds_nothing_either_from_then_on(installs: Installs, memory: Memory) -> None:
    await installs.async_save(installation())
    other = Installs(memory, Vault([KEY]))
    assert await other.workspace("T1")
    await installs.async_delete_all(enterprise_id=None, team_id="T1")

    assert (await other.workspace("T1"), await other.async_find_bot(enterprise_id=None, team_id="T1")) == (None, None)


async def test_a_bot_goes_without_the_installations_and_these_without_the_bot(installs: Installs) -> None:
    where = {"enterprise_id": None, "team_id": "T1"}
    await installs.async_save(installation())
    await installs.async_delete_bot(**where)
    bots = (await installs.async_find_bot(**where), same(await installs.async_find_installation(**where), installation()))
    await installs.async_save(installation())
    await installs.async_delete_installation(**where)
    left = [await installs.async_find_installation(**where, user_id=user) for user in (None, "U1")]

    assert bots[0] is None and left == [None, None] and await installs.async_find_bot(**where)


async def test_one_users_installation_goes_alone(installs: Installs) -> None:
    where = {"enterprise_id": None, "team_id": "T1"}
    for user in ("U1", "U2"):
        await installs.async_save(installation(user=user))
    await installs.async_delete_installation(**where, user_id="U1")
    newest = await installs.async_find_installation(**where)
    await installs.async_delete_installation(**where, user_id="U2")

    assert newest and newest.user_id == "U2"
    assert [await installs.async_find_installation(**where, user_id=user) for user in ("U1", "U2", None)] == [None] * 3
    await installs.async_delete_installation(**where, user_id="U3")


async def test_every_row_is_sealed_anew_by_the_first_key(installs: Installs, memory: Memory) -> None:
    await installs.async_save(installation())
    await installs.async_save(installation(team=None, enterprise="E1"))
    fresh = vault.key()
    turned = [await Installs(memory, Vault([fresh, KEY])).rotate() for _ in range(2)]
    found = Installs(memory, Vault([fresh]))

    assert turned == [2, 2]
    assert await found.workspace("T1") and await found.async_find_installation(enterprise_id="E1", team_id=None)
    with pytest.raises(Failed, match="LABBOT_VAULT_KEY"):
        await installs.workspace("T1")


async def test_bolt_finds_the_bot_of_an_event_by_it(installs: Installs) -> None:
    """As Bolt asks at each event; who the token is, Slack would say."""
    await installs.async_save(installation(team=None, enterprise="E1"))
    asked = []

    class Slack:
        async def auth_test(self, token: str) -> AsyncSlackResponse:
            asked.append(token)
            told = {"ok": True, "team_id": "T1", "enterprise_id": "E1", "user_id": "UB1", "bot_id": "B1"}
            return AsyncSlackResponse(
                client=self, http_verb="POST", api_url="", req_args={}, data=told, headers={}, status_code=200
            )

    authorize = AsyncInstallationStoreAuthorize(
        logger=installs.logger, client_id="1.2", client_secret="s", installation_store=installs, bot_only=True
    )
    context = AsyncBoltContext({"client": Slack(), "is_enterprise_install": True})
    found = await authorize(context=context, enterprise_id="E1", team_id="T1", user_id="U1")

    assert found and (found.bot_token, asked) == ("zebra-1", ["zebra-1"])
    assert await authorize(context=context, enterprise_id="E2", team_id="T1", user_id="U1") is None


# --- the way there and back


async def test_a_state_is_good_once(memory: Memory) -> None:
    states = States(memory)
    issued = [await states.async_issue() for _ in range(2)]

    assert len(set(issued)) == 2 and all(re.fullmatch(r"[\w-]{43}", one) for one in issued)
    assert [await states.async_consume(one) for one in (*issued, *issued, "", "strange", "\ud800")] == [True] * 2 + [False] * 5


async def test_of_two_who_come_back_with_one_state_one_is_let_in(memory: Memory) -> None:
    state = await States(memory).async_issue()

    assert sorted(await asyncio.gather(*(States(memory).async_consume(state) for _ in range(5)))) == [False] * 4 + [True]


async def test_a_state_is_good_for_ten_minutes_and_only_a_hash_of_it_is_kept(memory: Memory) -> None:
    state = await States(memory).async_issue()
    kept = await dump(memory)

    assert [state in key + value for key, value in kept.items()] == [False]
    assert 0 < await memory.do("TTL", *kept) <= STATE_S == 600
