"""A token that leaks is found, wherever it lies: else the search after the suite would prove nothing."""

from base64 import b64encode
from pathlib import Path

import pytest

from pipeline.memory import Memory
from tests import planted

TOKEN = f"gho_{planted.MARK}ofalice000000000000000001"
BASIC = b64encode(f"x-access-token:{TOKEN}".encode()).decode()


@pytest.mark.parametrize(
    "shown", [TOKEN, BASIC, f"http.extraHeader=Authorization: Basic {BASIC}"], ids=["token", "basic", "setting"]
)
def test_a_file_that_holds_one_is_found(tmp_path: Path, shown: str) -> None:
    leak = tmp_path / "runs" / "k7" / "run.json"
    leak.parent.mkdir(parents=True)
    leak.write_text(f"{{{shown}}}")
    (tmp_path / "clean.log").write_text("nothing")
    found = planted.in_files(tmp_path)
    leak.unlink()
    assert found == [str(leak)]


OTHER = "gho_PLANTEDOTHER"  # not the mark: what was written stays in the log of Redis, in which it is looked for, too
WRITES = [
    ("SET", "row", OTHER),
    ("HSET", "row", "token", OTHER),
    ("RPUSH", "row", "a", OTHER),
    ("SADD", "row", OTHER),
    ("ZADD", "row", 1, OTHER),
    ("XADD", "row", "*", "token", OTHER),
    ("SET", f"row:{OTHER}", "a"),
]


@pytest.mark.parametrize("write", WRITES)
async def test_a_row_that_holds_one_is_found(
    memory: Memory, write: tuple[str | int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planted, "FORMS", (OTHER.encode(),))
    await memory.do("SET", "clean", "nothing")
    await memory.do(*write)
    found = await planted.in_rows(memory)
    await memory.do("FLUSHALL")
    assert found == [write[1]]
