"""Secrets: from a variable or a file, refused where others can read them, and masked wherever they could be shown."""

from pathlib import Path

import pytest

from bot import settings
from pipeline import secret
from pipeline.errors import Invalid
from pipeline.secret import Mask


def kept(folder: Path, text: str, mode: int = 0o600, name: str = "word") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


def test_a_secret_is_a_variable_or_the_content_of_a_file(tmp_path: Path) -> None:
    file = kept(tmp_path, "from-a-file\n")

    assert secret.read({"A_KEY": " bare "}, "A_KEY") == "bare"
    assert secret.read({"A_KEY_FILE": file}, "A_KEY") == "from-a-file"
    assert secret.read({}, "A_KEY") == ""


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [("word", 0o640, "chmod 600"), ("word", 0o604, "others may read it"), (" \n", 0o600, "it is empty")],
)
def test_a_file_that_keeps_no_secret_is_refused_by_its_name(tmp_path: Path, text: str, mode: int, said: str) -> None:
    with pytest.raises(Invalid, match=said) as refused:
        secret.read({"A_KEY_FILE": kept(tmp_path, text, mode)}, "A_KEY")

    assert "A_KEY_FILE: " in str(refused.value) and "word\n" not in str(refused.value)


def test_a_file_that_is_missing_too_large_or_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "bytes").chmod(0o600)
    wrong = {str(tmp_path / "none"), str(tmp_path / "bytes"), kept(tmp_path, "x" * (secret.MOST_BYTES + 1))}

    for path in wrong:
        with pytest.raises(Invalid):
            secret.file(Path(path))


def test_a_file_that_an_engine_mounted_may_be_read_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret, "MOUNTED", tmp_path.resolve())
    file = Path(kept(tmp_path, "mounted", 0o444))
    outside = tmp_path.parent / "elsewhere"
    outside.mkdir(exist_ok=True)
    (tmp_path / "link").symlink_to(kept(outside, "word", 0o444))

    assert secret.file(file) == "mounted"
    with pytest.raises(Invalid, match="others may read it"):
        secret.file(tmp_path / "link")


def test_two_ways_to_give_one_secret_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="A_KEY_FILE is set too"):
        secret.read({"A_KEY": "a", "A_KEY_FILE": kept(tmp_path, "b")}, "A_KEY")


@pytest.mark.parametrize(
    ("url", "joined"),
    [
        ("redis://host:6379/0", "redis://:p%2Fw%40@host:6379/0"),
        ("rediss://user@host/1?ssl_cert_reqs=required", "rediss://user:p%2Fw%40@host/1?ssl_cert_reqs=required"),
        ("redis://[::1]:6379", "redis://:p%2Fw%40@[::1]:6379"),
        ("unix:///a/b.sock?db=0", "unix://:p%2Fw%40@/a/b.sock?db=0"),
    ],
)
def test_the_password_of_redis_is_put_into_its_url(tmp_path: Path, url: str, joined: str) -> None:
    told = {"LABBOT_REDIS_URL": url, "LABBOT_REDIS_PASSWORD_FILE": kept(tmp_path, "p/w@\n")}

    assert secret.redis_url(told) == joined
    assert secret.redis_url({"LABBOT_REDIS_URL": url}) == url
    assert secret.redis_url({}) == ""
    assert settings.load(told).redis_url == joined and "p%2Fw" not in repr(settings.load(told))


@pytest.mark.parametrize(("url", "said"), [("", "is not set"), ("redis://:other@host/0", "has a password already")])
def test_a_password_for_no_redis_and_a_second_password_are_refused(url: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as refused:
        secret.redis_url({"LABBOT_REDIS_URL": url, "LABBOT_REDIS_PASSWORD": "word"})

    assert "other" not in str(refused.value) and "word" not in str(refused.value).replace("password", "").replace(
        "PASSWORD", ""
    )


def test_what_an_environment_holds_is_masked_in_a_text(tmp_path: Path) -> None:
    told = {
        "LABBOT_SERVE_KEY": "sesame+open",
        "A_TOKEN_FILE": kept(tmp_path, "from/a/file\n"),
        "B_KEY_FILE": str(tmp_path / "none"),
        "MONKEY": "1234567",
        "A_PASS": "short",
        "HOME": "/home/somebody",
    }
    mask = Mask(secret.values(told))

    assert secret.values(told) == {"sesame+open", "from/a/file"}
    assert (
        mask("sesame+open from/a/file sesame%2Bopen 1234567 short /home/somebody") == "*** *** *** 1234567 short /home/somebody"
    )


@pytest.mark.parametrize(
    ("before", "hidden", "after"),
    [
        ("", "xoxb-" + "1234567890-abcdefghij", ""),
        ("", "xapp-1-" + "A0123456789-abcdef", ""),
        ("", "M" + "TIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE." + "x" * 30, ""),
        ("", "ghp_" + "a1" * 18, ""),
        ("", "ghs_123456_" + "eyJh" * 8 + "." + "eyJ-" * 60 + "." + "a_-1" * 80, ""),
        ("", "sk-" + "b2" * 15, ""),
        ("", "hf_" + "c3" * 17, ""),
        ("", "AKIA" + "Z" * 16, ""),
        ("Authorization: Bearer ", "opaque.word-1", ""),
        ("redis://:", "opaque.word-1", "@host:1/0"),
        ("https://somebody:", "opaque:word-1", "@host/x.git"),
    ],
)
def test_what_has_the_form_of_a_secret_is_masked_though_nobody_named_it(before: str, hidden: str, after: str) -> None:
    assert Mask()(f"said {before}{hidden}{after}, then") == f"said {before}***{after}, then"


def test_plain_talk_is_left_as_it_is() -> None:
    text = "run k7 took 3.5 s at http://127.0.0.1:8000/v1, stage precheck: 5 of 5; see https://example.org/a@b"

    assert Mask()(text) == text
