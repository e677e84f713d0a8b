"""`--check`: whether a service could begin here, said in sentences, with nothing begun.

What is looked at is what keeps services from beginning: the configuration, the folder for data, secrets, and Redis, which
is asked and whose way to keep data is told. What the service would then do is its own to say, in `would`.
"""

import os
from collections.abc import Callable, Mapping, Sequence

import redis

from pipeline import config, embedded, places, secret
from pipeline.errors import Failed, Invalid, LabError, Problem, Temporary
from pipeline.models.machine import free_disk

LOSSES = {
    "second": "a power cut would lose up to a second of what people typed (appendfsync everysec).",
    "snapshot": "a power cut would lose everything since its last snapshot (appendonly no).",
    "all": "a power cut or a restart would lose everything (neither appendonly nor save).",
    "unknown": "it does not tell how durable it is (CONFIG is refused); a power cut may lose what people typed.",
}
NOTHING_LOST = "every write is on its disk before it is answered (appendfsync always)."
WAIT_S = 5.0  # for Redis: to connect, and for each answer
LEAST_BYTES = 200_000_000  # of disk; a run's artefacts and a log need room before anything fails for want of it

Say = Callable[[str], None]


def run(environment: Mapping[str, str], would: Sequence[str], say: Say) -> int:
    """Look at everything, tell it, and return the exit status of `--check`.

    `would`: in sentences, what the service would do. 0: it could begin; 1: not now, something is away or full; 2: not so,
    something is to be mended. Every look is taken, whatever the ones before it found.
    """
    status = max(_told(look, environment, say) for look in (configuration, data, redis_of))
    for sentence in would if status == 0 else ():
        say(f"would: {secret.masked(sentence)}")
    return status


def _told(look: Callable[[Mapping[str, str]], str], environment: Mapping[str, str], say: Say) -> int:
    """Take one look and tell it."""
    try:
        lines, status = [f"ok: {look(environment)}"], 0
    except LabError as error:
        status = 2 if isinstance(error, Invalid) else 1
        lines = [f"{'wrong' if status == 2 else 'not now'}: {line}" for line in str(error).splitlines()]
    for line in lines:
        say(secret.masked(line))
    return status


def configuration(environment: Mapping[str, str]) -> str:
    """Read every file of settings, and with it the secrets that they name. Raises Invalid with every problem."""
    folder = places.home(environment) / "configs"
    problems: list[Problem] = []
    reads: tuple[Callable[[], object], ...] = (
        lambda: config.load(folder / "bot.yaml"),
        lambda: config.roles(folder / "models" / "roles.yaml", environment),
    )
    for read in reads:
        try:
            read()
        except Invalid as error:
            problems += error.problems
    if problems:
        raise Invalid(*problems)
    return f"{folder} can be read: bot.yaml, models/roles.yaml."


def data(environment: Mapping[str, str]) -> str:
    """Whether the folder for data, or the nearest one above it that is there, can be written and has room."""
    folder = places.data(environment)
    there = next(one for one in (folder, *folder.parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        fix = "Give it to the user that labbot runs as, or set LABBOT_DATA to another folder."
        raise Invalid(Problem("data.closed", f"{there} cannot be written.", "LABBOT_DATA", fix))
    free = free_disk(folder)
    if free < LEAST_BYTES:
        raise Failed(f"LABBOT_DATA: {folder} has {free / 1e6:.0f} MB free, and {LEAST_BYTES / 1e6:.0f} are wanted.")
    return f"{folder} can be written, {free / 1e9:.1f} GB are free."


def redis_of(environment: Mapping[str, str]) -> str:
    """Ask the operator's Redis how it is; where there is none, whether labbot could start its own.

    Raises Temporary where nobody answers, Invalid for a URL or a password that are wrong.
    """
    url = secret.redis_url(environment)
    if not url:
        embedded.binary()
        return f"LABBOT_REDIS_URL is not set, so labbot starts a Redis of its own in {places.data(environment) / 'redis'}."
    shown = secret.masked(url)
    try:
        with redis.Redis.from_url(url, socket_timeout=WAIT_S, socket_connect_timeout=WAIT_S) as client:
            client.ping()
            kept = embedded.durability(client)
    except ValueError:  # its words have the URL
        fix = "Write it like redis://host:6379/0."
        raise Invalid(Problem("redis.url", f"{shown} is no URL of a Redis.", "LABBOT_REDIS_URL", fix)) from None
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
        fix = "Set LABBOT_REDIS_PASSWORD, or LABBOT_REDIS_PASSWORD_FILE."
        raise Invalid(Problem("redis.password", f"{shown} refuses the password: {error}.", "LABBOT_REDIS_URL", fix)) from None
    except redis.RedisError as error:
        raise Temporary(f"LABBOT_REDIS_URL: no Redis answers at {shown}: {error}") from error
    return f"{shown} answers; {LOSSES.get(kept, NOTHING_LOST)}"
