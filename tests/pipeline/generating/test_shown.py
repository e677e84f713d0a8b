"""People are shown the same first samples whatever comes between, and what they thumbed is found, but nothing of the tests."""

import asyncio
import tracemalloc
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from pipeline.generating import recipes
from pipeline.generating.flow import FIRST
from pipeline.generating.leaf import leaf
from pipeline.generating.memo import Memo
from pipeline.generating.outcome import Made
from pipeline.generating.rows import Row, Set
from pipeline.generating.shown import Shown, Thumbed
from pipeline.journal import Journal
from tests.conftest import HOME
from tests.pipeline.generating.generating_folder import entry


class Attempt:
    """An attempt at a run, with both of its logs."""

    def __init__(self, folder: Path, fence: int, version: str = "v") -> None:
        self.logs = [Journal(folder / name, fence, sync=False) for name in ("generate", "samples")]
        self.answers, self.done = map(Memo, self.logs)
        self.made = Made(leaf(str(entry("freeform")), "a/b"), recipes.load(HOME, "freeform"), {}, {}, version)
        self.shown = Shown(self.made, self.answers, self.done)
        self.thumbed = Thumbed(self.done, self.shown)

    async def kept(self, *numbers: int) -> list[int]:
        """These samples come to their end; the numbers of those that are shown then."""
        for number in numbers:
            await self.done.keep((self.made.id(row(number)), asdict(row(number))))
            await self.shown.see(row(number))
        return [one.number for one in self.shown.rows]

    def close(self) -> None:
        for log in self.logs:
            log.close()


def row(number: int, which: Set = "train") -> Row:
    return Row(f"{number:012x}", number, which, "freeform", "a/b", 1, f"Question {number}?", f"Answer {number}.")


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Attempt]:
    found = Attempt(tmp_path, 1)
    yield found
    found.close()


async def test_the_first_samples_are_the_same_in_another_attempt_which_adds_those_that_are_missing(tmp_path: Path) -> None:
    one = Attempt(tmp_path, 1)
    assert await one.kept(7, 3, 9) == [7, 3, 9]
    one.close()

    two = Attempt(tmp_path, 2)

    assert [each.number for each in two.shown.rows] == [7, 3, 9]
    assert two.shown.rows[0] == row(7)
    assert await two.kept(1, 2, 3, 4) == [7, 3, 9, 1, 2]
    two.close()
    three = Attempt(tmp_path, 3)
    assert await three.kept(*range(1, 9)) == [7, 3, 9, 1, 2] and FIRST == 5
    three.close()


async def test_samples_that_are_made_with_something_else_have_first_ones_of_their_own(tmp_path: Path) -> None:
    one = Attempt(tmp_path, 1)
    await one.kept(1, 2)
    one.close()

    two = Attempt(tmp_path, 2, "w")

    assert await two.kept(3) == [3]
    two.close()


async def test_a_sample_that_is_shown_is_found_at_once(attempt: Attempt) -> None:
    await attempt.kept(4)

    assert attempt.thumbed.row(row(4).id) == row(4)


async def test_another_sample_is_found_when_the_log_was_read_for_it(attempt: Attempt) -> None:
    await attempt.kept(*range(1, 9))
    assert attempt.thumbed.row(row(7).id) is None

    await attempt.thumbed.look()

    assert attempt.thumbed.row(row(7).id) == row(7)
    await attempt.thumbed.look([row(8).id, "nobody"])
    assert (attempt.thumbed.row(row(8).id), attempt.thumbed.row("nobody")) == (row(8), None)


async def test_the_log_is_read_once_for_a_sample_that_is_not_in_it(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    await attempt.thumbed.look(["nobody"])
    monkeypatch.setattr(asyncio, "to_thread", None)

    attempt.thumbed.row("nobody")
    await attempt.thumbed.look(["nobody"])


@pytest.mark.parametrize("which", ["unseen", "reworded"])
async def test_a_sample_of_a_test_is_not_found_whoever_thumbed_it(attempt: Attempt, which: Set) -> None:
    secret = row(1, which)
    await attempt.done.keep((attempt.made.id(secret), asdict(secret)))

    await attempt.thumbed.look([secret.id])

    assert attempt.thumbed.row(secret.id) is None


async def test_what_is_thumbed_is_found_without_the_log_in_memory(attempt: Attempt) -> None:
    attempt.logs[1].append_all((f"v/train/{at:09d}", asdict(row(at))) for at in range(5000))
    tracemalloc.start()
    await attempt.thumbed.look([row(7).id])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert attempt.thumbed.row(row(7).id) == row(7)
    assert peak < 2_000_000  # 5,000 rows take more than that
