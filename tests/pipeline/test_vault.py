"""What is sealed opens with its key and under its name only, and neither is ever shown."""

import logging
import traceback
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import vault
from pipeline.errors import Failed, Invalid
from pipeline.vault import Vault

OLD, NEW = vault.key(), vault.key()


@given(st.binary(), st.text())
def test_what_was_sealed_comes_out_again_under_its_name(what: bytes, name: str) -> None:
    name = name.encode("utf-8", "ignore").decode()

    assert Vault([OLD]).open(Vault([OLD]).seal(what, name), name) == what


def test_a_text_is_sealed_as_its_bytes_and_nothing_of_it_can_be_read() -> None:
    token = Vault([OLD]).seal("xoxb-zebra ü", "slack:T1:bot")

    assert Vault([OLD]).open(token.decode(), "slack:T1:bot").decode() == "xoxb-zebra ü"
    assert (b"zebra" in token, b"T1" in token, token.isascii()) == (False, False, True)


def test_the_same_sealed_twice_looks_different() -> None:
    made = Vault([OLD])

    assert made.seal("one", "a") != made.seal("one", "a")


@pytest.mark.parametrize("name", ["slack:T2:bot", "", "slack:T1:bo", "slack:T1:bot2"])
def test_a_row_that_was_put_in_anothers_place_opens_for_nobody(name: str) -> None:
    token = Vault([OLD]).seal("2", "slack:T1:bot")

    with pytest.raises(Failed, match="another place"):
        Vault([OLD]).open(token, name)


def test_a_row_that_was_changed_anywhere_does_not_open() -> None:
    token = Vault([OLD]).seal("hello", "n")
    whole = urlsafe_b64decode(token)
    changed = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))]

    for one in [*map(urlsafe_b64encode, changed), token[:-8], b"", b"\xff", "ü"]:
        with pytest.raises(Failed, match="cannot be opened"):
            Vault([OLD]).open(one, "n")


def test_the_first_key_seals_and_all_open() -> None:
    before = Vault([OLD]).seal("hello", "n")
    both = Vault([NEW, OLD])

    assert both.open(before, "n") == b"hello"
    assert Vault([NEW]).open(both.seal("new", "n"), "n") == b"new"


def test_after_rotation_the_old_key_is_not_needed_any_more() -> None:
    turned = Vault([NEW, OLD]).rotate(Vault([OLD]).seal("hello", "n"), "n")

    assert Vault([NEW]).open(turned, "n") == b"hello"
    with pytest.raises(Failed, match="LABBOT_VAULT_KEY"):
        Vault([OLD]).open(turned, "n")


def test_what_stands_in_anothers_place_is_not_rotated() -> None:
    with pytest.raises(Failed):
        Vault([OLD]).rotate(Vault([OLD]).seal("hello", "n"), "m")


@pytest.mark.parametrize("between", [",", ", ", "\n", " \n,\n"])
def test_keys_come_from_the_environment_separated_by_commas_or_lines(between: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{NEW}{between}{OLD}\n")
    file.chmod(0o600)
    sealed = Vault([OLD]).seal("hello", "n")

    for environment in ({vault.NAME: f"{NEW}{between}{OLD}"}, {f"{vault.NAME}_FILE": str(file)}):
        assert vault.load(environment).open(sealed, "n") == b"hello"


@pytest.mark.parametrize("environment", [{}, {vault.NAME: " , "}])
def test_without_a_key_it_is_said_how_one_is_made(environment: dict[str, str]) -> None:
    with pytest.raises(Invalid, match=r"LABBOT_VAULT_KEY: it is not set.*labbot key.*LABBOT_VAULT_KEY_FILE"):
        vault.load(environment)


@pytest.mark.parametrize("wrong", ["zebra", NEW[:-4], f"{NEW}zebr", "ü" * 44], ids=["word", "short", "long", "letters"])
def test_what_is_no_key_is_told_by_its_number_and_not_shown(wrong: str) -> None:
    with pytest.raises(Invalid, match="key 2 in it is none") as caught:
        vault.load({vault.NAME: f"{OLD},{wrong}"})

    told = "".join(traceback.format_exception(caught.value))
    assert [one in told for one in (wrong, OLD)] == [False, False]


def test_neither_key_nor_text_is_in_an_error_a_repr_or_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = Vault([NEW, OLD])
    token = made.seal("zebra", "n")
    with pytest.raises(Failed) as moved:
        made.open(token, "m")
    with pytest.raises(Failed) as strange:
        Vault([vault.key()]).open(token, "n")

    told = [repr(made), str(made), caplog.text, *("".join(traceback.format_exception(one.value)) for one in (moved, strange))]
    assert repr(made) == "Vault(2 keys)"
    assert [word for word in ("zebra'", NEW, OLD, token.decode()) for text in told if word in text] == []
