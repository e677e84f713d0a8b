"""A log keeps what it acknowledged, once and unchanged, whatever happened to the attempts that wrote it."""

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import journal
from pipeline.errors import Failed
from pipeline.journal import Journal, last_fence, read
from pipeline.stage import Job


def kept(folder: Path) -> dict[str, Any]:
    return dict(read(folder).records())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def grow(path: Path, content: bytes) -> None:
    """What a writer does that still has its file open."""
    with path.open("ab") as file:
        file.write(content)


def late(id: str) -> bytes:
    return json.dumps({"id": id, "record": {"late": True}}).encode() + b"\n"


def test_a_record_is_there_for_this_attempt_the_next_one_and_readers(tmp_path: Path) -> None:
    with Journal(tmp_path, 1) as first:
        first.append("a", {"n": 1})
        assert ("a" in first, first["a"], first.get("b"), list(first), len(first)) == (True, {"n": 1}, None, ["a"], 1)

    with Journal(tmp_path, 2) as second:
        second.append("b", {"n": 2})

        assert list(second.records()) == [("a", {"n": 1}), ("b", {"n": 2})]
    assert kept(tmp_path) == {"a": {"n": 1}, "b": {"n": 2}}


def test_a_log_that_nobody_began_is_empty_and_reading_makes_nothing(tmp_path: Path) -> None:
    assert kept(tmp_path / "log") == {}
    assert not (tmp_path / "log").exists()


def test_the_earliest_record_of_an_id_counts(tmp_path: Path) -> None:
    with Journal(tmp_path, 1) as first:
        first.append("a", {"n": 1})
        first.append("a", {"n": 2})
        first.append_all([("a", {"n": 3}), ("b", {"n": 4}), ("b", {"n": 5})])
    with Journal(tmp_path, 2) as second:
        second.append("b", {"n": 6})

    assert kept(tmp_path) == {"a": {"n": 1}, "b": {"n": 4}}
    assert [line.get("id") for line in lines(tmp_path / "1-0.jsonl")] == [None, "a", "b"]


def test_an_attempt_begins_with_what_counts_of_the_earlier_ones(tmp_path: Path) -> None:
    with Journal(tmp_path, 5) as first:
        first.append("a", {"n": 1})
    Journal(tmp_path, 6).close()  # had nothing to add
    with Journal(tmp_path, 7) as third:
        third.append("b", {"n": 2})
    Journal(tmp_path, 10).close()

    sizes = {name: (tmp_path / name).stat().st_size for name in ("5-0.jsonl", "7-0.jsonl")}
    assert lines(tmp_path / "7-0.jsonl")[0] == {"earlier": [["5-0.jsonl", sizes["5-0.jsonl"]]]}
    assert lines(tmp_path / "10-0.jsonl") == [{"earlier": [list(one) for one in sizes.items()]}]
    assert kept(tmp_path) == {"a": {"n": 1}, "b": {"n": 2}}


def test_a_late_writer_is_never_counted(tmp_path: Path) -> None:
    old = Journal(tmp_path, 5)
    old.append("a", {"n": 1})
    with Journal(tmp_path, 7) as new:
        old.append("b", {"late": True})
        old.roll()
        old.append("c", {"late": True})
        assert set(new) == {"a"}
        new.append("b", {"n": 2})
    old.append("d", {"late": True})
    old.close()

    assert kept(tmp_path) == {"a": {"n": 1}, "b": {"n": 2}}
    with Journal(tmp_path, 9) as last:
        assert dict(last.records()) == {"a": {"n": 1}, "b": {"n": 2}}


def test_a_torn_line_is_left_out_and_stays_out_when_its_writer_ends_it(tmp_path: Path) -> None:
    with Journal(tmp_path, 1) as first:
        first.append("a", {"n": 1})
    whole, torn = late("b")[:9], late("b")[9:]
    grow(tmp_path / "1-0.jsonl", whole)
    with Journal(tmp_path, 2) as second:
        grow(tmp_path / "1-0.jsonl", torn)
        assert "b" not in second

        second.append("b", {"n": 2})

    assert kept(tmp_path) == {"a": {"n": 1}, "b": {"n": 2}}
    assert (tmp_path / "1-0.jsonl").read_bytes().endswith(whole + torn)


@pytest.mark.parametrize("left", [0, 1, 20])
def test_an_attempt_that_died_before_its_first_line_was_whole_never_began(tmp_path: Path, left: int) -> None:
    old = Journal(tmp_path, 1)
    old.append("a", {"n": 1})
    Journal(tmp_path, 2).close()
    os.truncate(tmp_path / "2-0.jsonl", left)
    old.append("b", {"n": 2})  # nobody had begun after it
    old.close()

    assert set(read(tmp_path)) == {"a", "b"}
    with Journal(tmp_path, 3) as third:
        third.append("c", {"n": 3})
    with Journal(tmp_path, 3) as again:
        assert set(again) == {"a", "b", "c"}


def test_segments_of_an_attempt_are_read_in_their_order(tmp_path: Path) -> None:
    with Journal(tmp_path, 4, roll_bytes=1) as log:
        paths = [log.roll(), log.roll()]
        for number in range(12):
            log.append(f"r{number}", {"n": number})
        paths.append(log.roll())

    assert paths == [tmp_path / "4-0.jsonl", None, tmp_path / "4-12.jsonl"]
    assert list(read(tmp_path)) == [f"r{number}" for number in range(12)]
    with Journal(tmp_path, 5) as after:
        assert len(after) == 12
        assert [name for name, _ in after.earlier] == [f"4-{number}.jsonl" for number in range(1, 13)]


def test_the_same_fence_may_begin_again_and_its_older_self_is_not_counted(tmp_path: Path) -> None:
    old = Journal(tmp_path, 3)
    old.append("a", {"n": 1})
    with Journal(tmp_path, 3) as new:
        old.append("b", {"late": True})
        new.append("b", {"n": 2})
        old.roll()
        with pytest.raises(Failed, match=r"3-1\.jsonl belongs to a later attempt"):
            old.append("c", {"late": True})

    assert kept(tmp_path) == {"a": {"n": 1}, "b": {"n": 2}}


def test_an_attempt_that_is_over_cannot_begin(tmp_path: Path) -> None:
    Journal(tmp_path, 7).close()

    with pytest.raises(Failed, match=r"attempt 7 of .* has begun; attempt 5 is over"):
        Journal(tmp_path, 5)
    assert [path.name for path in tmp_path.iterdir()] == ["7-0.jsonl"]


def test_work_by_hand_goes_on_after_workers_and_leaves_their_numbers_free(tmp_path: Path) -> None:
    job = Job(tmp_path, {}, {}, lambda fraction, facts: None)
    with job.journal("judge") as first:
        first.append("a", {})
    with Job(tmp_path, {}, {}, job.report, fence=4).journal("judge") as worker:
        worker.append("b", {})
    with job.journal("judge") as again:
        again.append("c", {})
    with Job(tmp_path, {}, {}, job.report, fence=5).journal("judge") as next_worker:
        assert list(next_worker) == ["a", "b", "c"]

    names = sorted(path.name for path in (tmp_path / "log" / "judge").iterdir())
    assert names == ["0-0.jsonl", "4-0.jsonl", "4-1.jsonl", "5-0.jsonl"]
    assert (last_fence(tmp_path / "log"), last_fence(tmp_path / "none")) == (5, 0)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    with Journal(tmp_path, 1) as log:
        log.append_all((f"r{number}", {"n": number}) for number in range(3))
    path = tmp_path / "1-0.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"r1"', b'"r\xff"'))

    with pytest.raises(Failed, match=r"1-0\.jsonl, line 3, is damaged.*remove the folder of the log"):
        read(tmp_path)
    with pytest.raises(Failed, match="line 3"):
        Journal(tmp_path, 2)


def test_a_second_first_line_in_a_segment_is_damage(tmp_path: Path) -> None:
    Journal(tmp_path, 1).close()
    path = tmp_path / "1-0.jsonl"
    grow(path, path.read_bytes())

    with pytest.raises(Failed, match="line 2, is damaged"):
        read(tmp_path)


@pytest.mark.parametrize("first", [b"[]\n", b'{"earlier": [["../1-0.jsonl", 3]]}\n', b'{"earlier": 3}\n', b"\0\0\n"])
def test_a_damaged_first_line_is_named(tmp_path: Path, first: bytes) -> None:
    (tmp_path / "2-0.jsonl").write_bytes(first)

    with pytest.raises(Failed, match=r"2-0\.jsonl, line 1, is damaged"):
        read(tmp_path)


@pytest.mark.parametrize("gone", ["1-0.jsonl", "1-2.jsonl", "2-1.jsonl", "2-0.jsonl"])
def test_a_segment_that_counts_and_is_missing_is_named(tmp_path: Path, gone: str) -> None:
    for fence in (1, 2):
        with Journal(tmp_path, fence) as log:
            for number in range(3):
                log.append(f"{fence}{number}", {})
                log.roll()
    (tmp_path / gone).unlink()

    with pytest.raises(Failed, match="missing"):
        read(tmp_path)


def test_a_segment_that_was_cut_is_named(tmp_path: Path) -> None:
    with Journal(tmp_path, 1) as first:
        first.append_all([("a", {}), ("b", {})])
    Journal(tmp_path, 2).close()
    path = tmp_path / "1-0.jsonl"
    os.truncate(path, path.stat().st_size - len(late("b")) // 2)

    with pytest.raises(Failed, match=r"1-0\.jsonl has \d+ bytes of whole lines, and \d+ were recorded"):
        read(tmp_path)


def test_other_files_in_the_folder_are_not_segments(tmp_path: Path) -> None:
    for name in ("notes-1.jsonl", "01-0.jsonl", "1-0.jsonl.part", "-1-0.jsonl"):
        (tmp_path / name).write_text("not ours\n", encoding="utf-8")

    assert kept(tmp_path) == {}
    assert last_fence(tmp_path) == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), st.dictionaries(st.text(), JSON, max_size=4), max_size=6), st.data())
def test_whatever_json_a_record_holds_comes_back(
    tmp_path_factory: pytest.TempPathFactory, records: dict[str, Any], data: st.DataObject
) -> None:
    folder, fence, steps = tmp_path_factory.mktemp("log"), 1, []  # all is drawn before a log is open
    for _ in records:
        begins = data.draw(st.booleans())
        fence += data.draw(st.integers(0, 3)) if begins else 0
        steps.append(fence if begins else 0)
    log = Journal(folder, 1, roll_bytes=data.draw(st.integers(1, 300)), sync=False)
    for begins, (id, record) in zip(steps, records.items(), strict=True):
        if begins:
            log.close()
            log = Journal(folder, begins, sync=False)
        log.append(id, record)
    log.close()

    assert list(read(folder).records()) == list(records.items())


def test_line_ends_of_unicode_and_halves_of_pairs_end_no_line(tmp_path: Path) -> None:
    odd = {"text": "one\u2028two\u2029three\x85four\r\nfive\x00\ud800"}
    with Journal(tmp_path, 1) as log:
        log.append("a\u2028b", odd)

    assert kept(tmp_path) == {"a\u2028b": odd}
    assert len((tmp_path / "1-0.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_a_huge_record_comes_back(tmp_path: Path) -> None:
    huge = {"text": "ü" * 3_000_000}
    with Journal(tmp_path, 1) as log:
        log.append_all([("huge", huge), ("small", {})])

        assert log["huge"] == huge
    assert list(read(tmp_path)) == ["huge", "small"]


def test_what_is_no_json_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with Journal(tmp_path, 1) as log:
        for wrong in ({"n": float("nan")}, {"n": {1, 2}}):
            with pytest.raises((ValueError, TypeError)):
                log.append_all([("good", {}), ("wrong", wrong)])
        log.append("good", {"n": 1})

    assert kept(tmp_path) == {"good": {"n": 1}}


class Os:
    """The module `os`, some of which a test has another way."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


class FullDisk(Os):
    """A disk with room for so many bytes more."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, handle: int, content: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = os.write(handle, content[: self.room])
        self.room -= done
        return done


def test_a_full_disk_fails_and_leaves_what_was_there_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Journal(tmp_path, 1)
    log.append("a", {"n": 1})
    with monkeypatch.context() as full:
        full.setattr(journal, "os", FullDisk(7))
        with pytest.raises(Failed, match=r"1-0\.jsonl could not be written: No space left on device"):
            log.append("b", {"n": 2})
        with pytest.raises(Failed, match=r"2-0\.jsonl could not be written: No space left"):
            Journal(tmp_path, 2)

    with pytest.raises(Failed, match="could not be written before"):  # it would follow a torn line
        log.append("b", {"n": 2})
    with Journal(tmp_path, 3) as after:
        after.append("b", {"n": 3})
    assert kept(tmp_path) == {"a": {"n": 1}, "b": {"n": 3}}


def test_a_short_write_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Os):
        def write(self, handle: int, content: memoryview) -> int:
            return os.write(handle, content[:3])

    monkeypatch.setattr(journal, "os", Slow())
    with Journal(tmp_path, 1) as log:
        log.append("a", {"n": 1})

    assert kept(tmp_path) == {"a": {"n": 1}}


def test_what_append_returned_from_and_what_an_attempt_counts_are_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[str] = []
    folder = tmp_path / "log" / "judge"

    class Watched(Os):
        def fsync(self, handle: int) -> None:
            here = [folder, *folder.iterdir()]
            settled.append(next(path.name for path in here if path.stat().st_ino == os.fstat(handle).st_ino))
            os.fsync(handle)

    with Journal(folder, 1, sync=False) as first:
        first.append("a", {})
    monkeypatch.setattr(journal, "os", Watched())
    with Journal(folder, 2) as second:
        assert settled == ["1-0.jsonl", "judge", "2-0.jsonl"]
        second.append("b", {})

    assert settled == ["1-0.jsonl", "judge", "2-0.jsonl", "2-0.jsonl"]


def test_threads_append_to_one_journal(tmp_path: Path) -> None:
    with Journal(tmp_path, 1, roll_bytes=500, sync=False) as log:

        def work(part: int) -> None:
            for number in range(50):
                log.append(f"{part}.{number}", {"part": part})
                log.append(f"shared.{number}", {})

        threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(log) == 250

    assert len(kept(tmp_path)) == 250
    written = [line["id"] for path in tmp_path.iterdir() for line in lines(path) if "id" in line]
    assert len(written) == 250


def test_a_journal_leaves_no_file_open(tmp_path: Path) -> None:
    def held() -> list[str]:
        shown = Path("/dev/fd").iterdir() if Path("/dev/fd").is_dir() else ()
        return [str(path) for path in (one.resolve() for one in shown) if tmp_path in path.parents]

    with Journal(tmp_path, 1, roll_bytes=50) as log:
        for number in range(20):
            log.append(f"{number}", {})
            assert log[f"{number}"] == {}
        list(log.records())
        assert len(held()) == 1

    assert held() == []
