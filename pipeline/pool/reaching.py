"""How a store of artefacts is reached: which URLs are taken, how long a driver tries, and what its errors mean."""

import errno
import re
import socket
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import Failed, Invalid, LabError, Problem, Temporary

TRIES = 3  # of a request; the stage itself is tried again later
# Object stores show a file when its upload is complete; everywhere else it is written beside its place and moved there.
OBJECTS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"}
_LOGIN = re.compile(r"(?<=//)[^/@\s]*@")
_EXTRAS = {"s3": "labbot[s3]", "s3a": "labbot[s3]"}
_PASSING_CODES = {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "OperationAborted"}
_PASSING_ERRNO = {
    getattr(errno, name)
    for name in ("EREMOTEIO", "EBUSY", "ETIMEDOUT", "EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN", "ESTALE", "EAGAIN")
    if hasattr(errno, name)
}
# The drivers' own errors, by name: they are no OSError, and importing a driver to ask takes half a second.
_PASSING = {
    "aiohttp.client_exceptions.ClientError",
    "botocore.exceptions.ConnectionError",
    "botocore.exceptions.HTTPClientError",
    "botocore.parsers.ResponseParserError",
}
_CREDENTIALS = {
    "botocore.exceptions.CredentialRetrievalError",
    "botocore.exceptions.NoCredentialsError",
    "botocore.exceptions.PartialCredentialsError",
    "botocore.exceptions.ProfileNotFound",
    "builtins.PermissionError",
}


def reach(url: str) -> tuple[Any, str, str]:
    """fsspec's file system for a URL or an absolute path, the place in it, and the URL as people may see it.

    Raises Invalid: artefacts.url, artefacts.credentials, artefacts.driver.
    """
    url = _checked(url)
    scheme = url.partition("://")[0].lower()
    import fsspec  # takes 60 ms, and no driver with it

    try:
        fs, root = fsspec.core.url_to_fs(url, **_options(scheme))
    except (ImportError, ValueError) as error:
        extra = _EXTRAS.get(scheme, "")
        why = f"{url}: {scheme}:// cannot be reached from here: " + (f"{extra} is not installed." if extra else f"{error}.")
        fix = f"Type `pip install '{extra}'` on every host." if extra else "Install the driver, or name another place."
        raise _invalid("artefacts.driver", why, fix) from error
    fs.retries = 1  # s3fs's own, on top of botocore's
    return fs, root, url


def _checked(url: str) -> str:
    """A URL without a secret in it, and one that names a place. Raises Invalid."""
    url = url if "://" in url else f"file://{url}"
    parts = urlsplit(url)
    if parts.password is not None or parts.query or parts.fragment or (parts.username and parts.scheme in OBJECTS):
        why = f"{parts.scheme}://***@{parts.hostname or ''}: credentials may not stand in a URL, which is shown to people."
        raise _invalid("artefacts.credentials", why, "Give them by the environment, as the driver reads it.")
    place = parts.path if parts.scheme in ("file", "local") else parts.netloc
    local = parts.scheme in ("file", "local") and (parts.netloc not in ("", "localhost") or not parts.path.startswith("/"))
    if local or not place or "::" in url:
        fix = "Write an absolute path, file:///srv/labbot, or s3://BUCKET/PREFIX."
        raise _invalid("artefacts.url", f"{url} names no place for artefacts.", fix)
    return url


def _invalid(code: str, message: str, fix: str) -> Invalid:
    return Invalid(Problem(code, message, where="LABBOT_ARTEFACTS", fix=fix))


def _options(scheme: str) -> dict[str, Any]:
    """No listing from memory, as other hosts write too; and an end to every request."""
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if scheme in ("s3", "s3a"):
        tries = {"mode": "standard", "total_max_attempts": TRIES}
        options["config_kwargs"] = {"connect_timeout": 5, "read_timeout": 30, "retries": tries}
    return options


def refusal(what: str, where: str, error: Exception) -> LabError:
    """What a driver's error means to whoever runs labbot."""
    why = _LOGIN.sub("***@", " ".join(str(error).split())) or type(error).__name__
    status, code = _answer(error)
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    if status >= 500 or status in (408, 429) or code in _PASSING_CODES or (not status and _passes(error, kinds)):
        return Temporary(f"{what}: {where} is away or busy ({why}). It is tried again.")
    if status in (401, 403) or kinds & _CREDENTIALS:
        fix = "Give this host credentials that may list, read, write and delete there"
        fix += " (for S3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)." if where.startswith("s3") else "."
        return Failed(f"{what}: {where} does not let us ({why}). {fix}")
    if isinstance(error, FileNotFoundError):
        fix = "Make the bucket or folder, or mend LABBOT_ARTEFACTS; if only the file is gone, let its stage run again."
        return Failed(f"{what}: {where} has no such place ({why}). {fix}")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return Failed(f"{what}: the disk is full. Make room on it, here or at {where}.")
    return Failed(f"{what}: {where} answered {type(error).__name__} ({why}). Look at LABBOT_ARTEFACTS and that place.")


def _answer(error: BaseException) -> tuple[int, str]:
    """The HTTP status and the code that an S3 server sent; s3fs has them in the cause of its own error."""
    seen: BaseException | None = error
    while seen is not None:
        told = getattr(seen, "response", None)
        if isinstance(told, dict):
            return int(told.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)), str(told.get("Error", {}).get("Code", ""))
        seen = seen.__cause__
    return 0, ""


def _passes(error: Exception, kinds: set[str]) -> bool:
    if "botocore.exceptions.SSLError" in kinds:
        return False
    network = isinstance(error, TimeoutError | ConnectionError | socket.gaierror)
    return network or bool(kinds & _PASSING) or (isinstance(error, OSError) and error.errno in _PASSING_ERRNO)
