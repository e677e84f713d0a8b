"""`--check`: everything is looked at and told, and nothing is begun."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline import checkup
from pipeline.embedded import Server

HOME = Path(__file__).resolve().parents[2]


def check(would: Sequence[str] = ("perform runs",), **environment: str) -> tuple[int, list[str]]:
    said: list[str] = []
    return checkup.run(environment, would, said.append), said


def test_what_is_well_is_said_with_what_would_be_done(server: Server, tmp_path: Path) -> None:
    status, said = check(LABBOT_HOME=str(HOME), LABBOT_DATA=str(tmp_path / "data"), LABBOT_REDIS_URL=server.url)

    assert (status, [line.partition(":")[0] for line in said]) == (0, ["ok", "ok", "ok", "would"])
    assert said[2].endswith("answers; every write is on its disk before it is answered (appendfsync always).")
    assert said[3] == "would: perform runs" and list(tmp_path.iterdir()) == []


def test_without_a_redis_of_the_operators_none_is_started(tmp_path: Path) -> None:
    status, said = check(LABBOT_DATA=str(tmp_path))

    assert (status, "starts a Redis of its own" in said[2], list(tmp_path.iterdir())) == (0, True, [])


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(HOME / "configs", home / "configs")
    (home / "configs" / "bot.yaml").write_text("runs: {at_once: none}\n", encoding="utf-8")
    (home / "configs" / "models" / "roles.yaml").write_text("judge: {url: 'https://x/v1', key_env: A_KEY}\n", encoding="utf-8")
    (tmp_path / "data").write_text("a file", encoding="utf-8")
    status, said = check(LABBOT_HOME=str(home), LABBOT_DATA=str(tmp_path / "data"), LABBOT_REDIS_URL="redis://127.0.0.1:1/0")

    assert (status, [line.partition(":")[0] for line in said]) == (2, ["wrong"] * 3 + ["not now"])
    assert [word in line for word, line in zip(("runs.at_once", "A_KEY", "LABBOT_DATA", "no Redis"), said, strict=False)] == [
        True
    ] * 4


@pytest.mark.parametrize(
    ("url", "status"), [("redis://:sesame@127.0.0.1:1/0", 1), ("http://:sesame@host", 2), ("redis://:sesame@host:port", 2)]
)
def test_a_redis_that_cannot_be_asked_is_said_without_its_password(tmp_path: Path, url: str, status: int) -> None:
    found, said = check(LABBOT_DATA=str(tmp_path), LABBOT_REDIS_URL=url)

    assert (found, "LABBOT_REDIS_URL" in said[2], "sesame" in "".join(said)) == (status, True, False)
