"""What the command line says before anything is built."""

from pathlib import Path

import pytest

from bot.__main__ import main, remarks
from bot.settings import load
from pipeline.checkup import LOSSES
from pipeline.secret import masked


def test_a_windows_drive_under_wsl_gets_a_sentence_and_nothing_else_does() -> None:
    wsl, linux = "5.15.153.1-microsoft-standard-WSL2", "6.1.0-18-amd64"
    found = [len(remarks(Path(data), kernel)) for data, kernel in (("/mnt/c/x", wsl), ("/home/a/x", wsl), ("/mnt/c/x", linux))]

    assert found == [1, 0, 0]


def test_every_way_to_be_less_than_durable_has_a_sentence() -> None:
    assert set(LOSSES) == {"second", "snapshot", "all", "unknown"}


def test_a_password_in_a_url_is_masked() -> None:
    urls = ["redis://:secret@host:1/0", "rediss://user:secret@host/0", "unix:///a/b.sock"]

    assert [masked(url) for url in urls] == ["redis://:***@host:1/0", "rediss://user:***@host/0", "unix:///a/b.sock"]


def test_the_endpoint_of_embeddings_is_the_environments_before_the_files() -> None:
    assert [load(one).embeddings for one in ({}, {"LABBOT_EMBEDDINGS_URL": "http://127.0.0.1:1/v1"})] == [
        "",
        "http://127.0.0.1:1/v1",
    ]


def test_a_wrong_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["nothing"])

    assert ended.value.code == 2
    assert "invalid choice: 'nothing'" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "said"), [(["audit"], ""), (["faq", "report"], "0 questions, 0 answered\n")])
def test_a_fresh_installation_has_nothing_to_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str], said: str
) -> None:
    monkeypatch.setenv("LABBOT_DATA", str(tmp_path))
    monkeypatch.delenv("LABBOT_REDIS_URL", raising=False)

    assert (main(command), capsys.readouterr().out) == (0, said)
