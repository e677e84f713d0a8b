"""What is kept of others' secrets, sealed: with Fernet, each under a name, with keys from the environment.

LABBOT_VAULT_KEY, or the file that LABBOT_VAULT_KEY_FILE names, holds one key or several, separated by commas or white
space: the first seals, all open. To rotate put a new key before the old one, have every row sealed anew (`rotate`), and
take the old one out. The name of what is sealed is sealed with it, so that a row put in another's place opens for nobody.
No key and no text is in an error, a repr or a log.
"""

import re
from collections.abc import Iterable, Mapping
from hmac import compare_digest

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from pipeline import secret
from pipeline.errors import Failed, Invalid, Problem

NAME = "LABBOT_VAULT_KEY"
HOW = f"Set {NAME} to what `labbot key` prints, or {NAME}_FILE to a file of it, and keep a copy: without it nothing opens."
_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")  # 32 bytes; base64 forgives what stands after them, a slip of the hand should be told
_LENGTH = 4  # bytes before the name that say how long it is


def key() -> str:
    """A new key: 32 bytes of chance as 44 letters."""
    return Fernet.generate_key().decode()


class Vault:
    """Seals and opens. Raises Invalid where a key is none, or there is none."""

    def __init__(self, keys: Iterable[str]) -> None:
        found = [*keys]
        for number, one in enumerate(found, 1):
            if not _KEY.fullmatch(one):
                raise Invalid(Problem("vault.key", f"key {number} in it is none: one has 44 letters.", NAME, HOW))
        if not found:
            raise Invalid(Problem("vault.missing", "it is not set, and there are secrets to be kept.", NAME, HOW))
        self._fernets, self._count = MultiFernet(map(Fernet, found)), len(found)

    def __repr__(self) -> str:
        return f"Vault({self._count} keys)"

    def seal(self, what: bytes | str, name: str) -> bytes:
        """What was given, sealed by the first key as letters of ASCII. `name`: what it is, and whose."""
        named = name.encode()
        plain = what.encode("utf-8", "surrogatepass") if isinstance(what, str) else what
        return self._fernets.encrypt(len(named).to_bytes(_LENGTH, "big") + named + plain)

    def open(self, token: bytes | str, name: str) -> bytes:
        """What was sealed under that name. Raises Failed where no key opens it, it was changed, or it is another's."""
        try:
            whole = self._fernets.decrypt(token)
        except (InvalidToken, ValueError):  # the second: letters that are not of ASCII
            told = f"{name} cannot be opened: it was changed, or sealed with a key that is not in {NAME}. Put that key back in."
            raise Failed(told) from None
        end = _LENGTH + int.from_bytes(whole[:_LENGTH], "big")
        if not compare_digest(whole[_LENGTH:end], name.encode()):
            raise Failed(f"{name} cannot be opened: what stands there was sealed for another place.")
        return whole[end:]

    def rotate(self, token: bytes | str, name: str) -> bytes:
        """The same, sealed by the first key. Raises Failed as `open` does."""
        return self.seal(self.open(token, name), name)


def load(environment: Mapping[str, str]) -> Vault:
    """The vault with the keys of an environment. Raises Invalid where there is none, or one is none."""
    return Vault(filter(None, re.split(r"[,\s]+", secret.read(environment, NAME))))
