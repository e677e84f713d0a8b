"""A drafting session in Slack survives a bot that dies."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.lane import killed, stormed
from tests.faults.slack import WORST, lane


async def test_a_session_in_which_the_bot_dies_wherever_it_is_worst_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    async with lane(tmp_path) as made:
        found = await stormed(made, WORST)

    assert found["differences"] == []
    assert found["deaths"] == len(WORST)


@pytest.mark.faults
async def test_a_session_killed_at_every_write_and_call_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    async with lane(tmp_path / "odd") as odd, lane(tmp_path / "even") as even:
        found = await asyncio.gather(killed(odd, 2, 1), killed(even, 2, 2))

    assert [one["differences"] for one in found] == [[], []]
    assert sum(one["rounds"] for one in found) > found[0]["points"] > 400
