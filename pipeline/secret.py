"""Secrets: read in one place, and never shown.

A secret NAME is a variable of the environment, or NAME_FILE names a file that holds it and that nobody else may read: one
of mode 0600, or one that a container's engine put below /run/secrets. Files are what compose has, and they appear in no
list of processes and in no `docker inspect`. Whatever is meant for a log or a screen goes through `Mask` first.

LABBOT_REDIS_PASSWORD   the password of LABBOT_REDIS_URL, which then has none in it
LABBOT_SERVE_KEY        the key of `labpipe serve`
NAME of a `key_env`     the key of an endpoint of configs/models/roles.yaml
LABBOT_VAULT_KEY        the keys of `vault.py`
LABBOT_GITHUB_APP_KEY   the private key of the App of `github.app`
LABBOT_GITHUB_WEBHOOK_SECRET   by which GitHub's webhooks are known to be GitHub's
LABBOT_DISCORD_TOKEN, LABBOT_SLACK_BOT_TOKEN, LABBOT_SLACK_APP_TOKEN   the platforms' own
"""

import re
import shlex
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from pipeline.errors import Invalid, Problem

MOUNTED = Path("/run/secrets")  # where engines put a container's secrets; who may enter a container is theirs to say
NAMED = re.compile(r"KEY|PASS|SECRET|TOKEN")  # in the name of a variable that holds one
SHORTEST = 6  # characters of a secret that is looked for in a text: a shorter one would blot out half of it
MOST_BYTES = 64_000  # of a file: a key of a service account has a few thousand

_URL = re.compile(r"(://[^\s:/@]*:)[^\s@]+@")
# Tokens as services write them. configs/screen.yaml has many more for what people type; these are what labbot holds itself.
_FORMS = re.compile(
    r"(?<!\w)(?:"
    r"xox[abeoprs]-[\w-]{10,250}|xapp-\d-[\w-]{10,250}"  # Slack
    r"|[MNO][\w-]{22,28}\.[\w-]{6,7}\.[\w-]{27,45}"  # Discord
    r"|gh[pousr]_[\w-]{30,255}(?:\.[\w-]{1,2000}){0,2}|github_pat_\w{50,255}|glpat-[\w-]{20,60}"  # git hosts
    r"|sk-[\w-]{20,200}|hf_\w{30,60}"  # model services
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"  # AWS
    r")|(?<=[Bb]earer )[\w.~+/=-]{8,}"
)


def read(environment: Mapping[str, str], name: str) -> str:
    """The secret of that name, "" for none. Raises Invalid for a file that cannot be taken, and where both are given."""
    value, path = environment.get(name, "").strip(), environment.get(f"{name}_FILE", "")
    if value and path:
        raise Invalid(Problem("secret.twice", f"{name}_FILE is set too.", name, "Take one of the two out."))
    return file(Path(path), f"{name}_FILE") if path else value


def file(path: Path, name: str = "") -> str:
    """What a file of one secret holds, without white space around it. Raises Invalid, naming `name` and the file.

    Refused are a file that is empty, missing or too large, and one that others on this machine may read.
    """
    where = f"{name}: {path}" if name else str(path)
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077 and MOUNTED not in path.resolve().parents:
            raise Invalid(Problem("secret.open", "others may read it.", where, f"Do: chmod 600 {shlex.quote(str(path))}"))
        with path.open("rb") as opened:
            found = opened.read(MOST_BYTES + 1)
        text = found.decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is no text"  # the bytes would be in the error
        raise Invalid(Problem("secret.file", f"it cannot be read: {cause}.", where)) from None
    if not text:
        raise Invalid(Problem("secret.empty", "it is empty.", where, "Write a long random word into it."))
    if len(found) > MOST_BYTES:
        raise Invalid(Problem("secret.file", f"it has more than {MOST_BYTES:,} bytes.", where, "Name the file of the secret."))
    return text


def redis_url(environment: Mapping[str, str]) -> str:
    """LABBOT_REDIS_URL with the password of LABBOT_REDIS_PASSWORD in it; "" where there is none.

    Raises Invalid for two passwords, and for a password without a server that asks for it.
    """
    url, password = environment.get("LABBOT_REDIS_URL", ""), read(environment, "LABBOT_REDIS_PASSWORD")
    if not password:
        return url
    parts = urlsplit(url)
    if not url or parts.password:
        message = "it has a password already." if url else "it is not set, and LABBOT_REDIS_PASSWORD is."
        fix = "Take one of the two out." if url else "Write where the Redis is: redis://host:6379/0."
        raise Invalid(Problem("redis.password", message, "LABBOT_REDIS_URL", fix))
    user, host = parts.username or "", parts.netloc.rpartition("@")[2]
    joined = parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}")
    return urlunsplit(joined)


def values(environment: Mapping[str, str]) -> frozenset[str]:
    """Every secret that an environment holds or names, to be looked for in what is written. Files that fail count as none."""
    found = set()
    for name, value in environment.items():
        if not NAMED.search(name):
            continue
        try:
            found.add(file(Path(value)) if name.endswith("_FILE") else value.strip())
        except Invalid:  # whoever needs it says so
            continue
    return frozenset(one for one in found if len(one) >= SHORTEST and not one.isdecimal())


def masked(url: str) -> str:
    """A URL, or a text with URLs, without their passwords."""
    return _URL.sub(r"\1***@", url)


class Mask:
    """Takes secrets out of a text: those that are known, passwords in URLs, and what has the form of a token."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        longest_first = sorted({form for one in known for form in (one, quote(one, safe=""))}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        text = _FORMS.sub("***", masked(text))
        return self._known.sub("***", text) if self._known else text
