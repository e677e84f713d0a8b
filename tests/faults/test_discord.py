"""A drafting session in Discord survives a bot that dies, requests that fail and a gateway that breaks off."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.discord import KINDS, WORST, failing, lane
from tests.faults.discord_person import SESSION
from tests.faults.lane import killed, stormed


async def test_a_session_in_which_the_bot_dies_wherever_it_is_worst_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    async with lane(tmp_path) as made:
        found = await stormed(made, WORST)

    assert found["differences"] == []
    assert found["deaths"] == len(WORST)


async def test_a_session_in_which_every_eighth_request_fails_and_the_gateway_breaks_off_ends_as_an_undisturbed_one(
    tmp_path: Path,
) -> None:
    async with lane(tmp_path) as made:
        found = await failing(made, 8, KINDS, [5])

    assert found["differences"] == []
    assert found["failed"] >= 5
    assert found["drops"] == len(SESSION)


@pytest.mark.faults
async def test_a_session_killed_at_every_write_and_request_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    async with lane(tmp_path / "odd") as odd, lane(tmp_path / "even") as even:
        found = await asyncio.gather(killed(odd, 2, 1), killed(even, 2, 2))

    assert [one["differences"] for one in found] == [[], []]
    assert sum(one["rounds"] for one in found) > found[0]["points"] > 400


@pytest.mark.faults
async def test_a_session_that_discord_is_told_to_wait_in_ends_as_an_undisturbed_one_wherever_it_is_killed(
    tmp_path: Path,
) -> None:
    async with lane(tmp_path / "one") as one, lane(tmp_path / "two") as two:
        found = await asyncio.gather(killed(one, 10, 5, defer_s=0.0), killed(two, 10, 10, defer_s=0.0))

    assert [one["differences"] for one in found] == [[], []]


@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS)
async def test_a_session_in_which_each_request_fails_once_ends_as_an_undisturbed_one(tmp_path: Path, kind: str) -> None:
    async with lane(tmp_path) as made:
        found = await failing(made, 8, (kind,), range(8))

    assert found["differences"] == []
    assert found["failed"] >= found["requests"]
