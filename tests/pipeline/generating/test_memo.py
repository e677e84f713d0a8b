"""Answers are on disk before anybody goes on, many with one write; and a disk that refuses is heard by all who wait."""

import asyncio
import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline import journal
from pipeline.errors import Failed
from pipeline.generating.memo import Memo, key
from pipeline.journal import Journal


class Watched(Journal):
    """A journal that notes the ids of each write."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 1)
        self.writes: list[list[str]] = []

    def append_all(self, records: Any) -> None:
        found = list(records)
        self.writes.append([id for id, _ in found])
        super().append_all(found)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Watched]:
    with Watched(tmp_path / "log") as made:
        yield made


def there(folder: Path) -> dict[str, Mapping[str, Any]]:
    return dict(journal.read(folder / "log").records())


async def test_what_is_kept_is_on_disk_for_this_attempt_and_the_next(log: Watched, tmp_path: Path) -> None:
    memo = Memo(log)

    await memo.keep(("a", {"n": 1}), ("b", {"n": 2}))

    assert (memo.get("a"), memo.get("b"), memo.get("c")) == ({"n": 1}, {"n": 2}, None)
    assert there(tmp_path) == {"a": {"n": 1}, "b": {"n": 2}}


async def test_a_hundred_that_wait_at_once_take_two_writes_in_the_order_that_they_came(log: Watched) -> None:
    memo = Memo(log)
    first = asyncio.create_task(memo.keep(("first", {})))
    while not log.writes:
        await asyncio.sleep(0)

    await asyncio.gather(first, *(memo.keep((f"{at}", {"at": at})) for at in range(100)))

    assert log.writes == [["first"], [f"{at}" for at in range(100)]]


async def test_records_that_come_while_others_are_written_stay_in_their_order(log: Watched, tmp_path: Path) -> None:
    memo = Memo(log)

    async def keep(at: int) -> None:
        for _ in range(at % 7):
            await asyncio.sleep(0)
        await memo.keep((f"{at}", {"at": at}))
        assert memo.get(f"{at}") == {"at": at}

    await asyncio.gather(*(keep(at) for at in range(200)))

    assert list(there(tmp_path)) == [id for write in log.writes for id in write]
    assert len(there(tmp_path)) == 200


async def test_of_a_record_that_is_kept_twice_the_first_counts(log: Watched) -> None:
    memo = Memo(log)

    await asyncio.gather(memo.keep(("a", {"n": 1})), memo.keep(("a", {"n": 2})))
    await memo.keep(("a", {"n": 3}))

    assert memo.get("a") == {"n": 1}


async def test_what_is_there_already_takes_no_write(log: Watched) -> None:
    memo = Memo(log)
    await memo.keep(("a", {"n": 1}))

    await memo.keep(("a", {"n": 2}))
    await memo.keep(("a", {"n": 2}), ("b", {}))

    assert log.writes == [["a"], ["b"]]


async def test_whoever_is_cancelled_while_waiting_loses_nothing_that_was_given(log: Watched, tmp_path: Path) -> None:
    memo = Memo(log)
    waiting = asyncio.create_task(memo.keep(("a", {"n": 1})))
    await asyncio.sleep(0)

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await memo.close()

    assert waiting.cancelled()
    assert there(tmp_path) == {"a": {"n": 1}}


async def test_closing_waits_for_what_is_written_and_for_what_waits(log: Watched, tmp_path: Path) -> None:
    memo = Memo(log)
    tasks = [asyncio.create_task(memo.keep(("a", {})))]
    while not log.writes:
        await asyncio.sleep(0)
    tasks.append(asyncio.create_task(memo.keep(("b", {}))))
    await asyncio.sleep(0)

    await memo.close()

    assert set(there(tmp_path)) == {"a", "b"}
    await asyncio.gather(*tasks)


async def test_closing_what_nothing_was_kept_in_waits_for_nothing(log: Watched) -> None:
    await Memo(log).close()

    assert log.writes == []


async def test_a_disk_that_refuses_is_heard_by_all_who_wait_and_by_all_who_come_later(
    log: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memo = Memo(log)
    await memo.keep(("before", {}))

    def full(handle: int, content: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        heard = await asyncio.gather(*(memo.keep((f"{at}", {})) for at in range(20)), return_exceptions=True)
    late = await asyncio.gather(memo.keep(("late", {})), return_exceptions=True)
    await memo.close()

    assert {type(one) for one in (*heard, *late)} == {Failed}
    assert "No space left on device" in str(heard[0])
    assert memo.refused is not None
    assert memo.get("late") is None and set(there(tmp_path)) == {"before"}


def test_an_id_depends_on_all_that_was_asked_and_on_nothing_else() -> None:
    assert key({"a": 1, "b": [2]}, "c") == key({"b": [2], "a": 1}, "c")
    assert len({key("ab", "c"), key("a", "bc"), key(["ab", "c"]), key("ab"), key()}) == 5
    assert len(key("\ud800")) == 32
