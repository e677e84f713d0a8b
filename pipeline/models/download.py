"""Brings a named model here: asked of the hub, resumed where an earlier attempt was cut, checked, put in its place at once.

`hf_hub_download` of huggingface_hub 2.4 throws a file away when its process ends before the last byte (file_download.py,
`_download_to_tmp_and_move`), and within a process it loses up to 10 MiB at every cut and tells nothing in between. So only
its parts are used: what the hub says of a file, its client, its errors. An attempt's bytes lie in `NAME/.SHA.part`, named
by what they shall become.
"""

import errno
import fcntl
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.errors import Failed, Invalid, LabError, Problem, Temporary
from pipeline.files import file_digest
from pipeline.models import catalog
from pipeline.models.catalog import Card, Named, amount
from pipeline.models.machine import ROOM, free_disk

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

Report = Callable[[float, Mapping[str, str]], None]

ENDPOINT = "https://huggingface.co"
MAGIC = b"GGUF"
EVERY_S = 1.0  # between two reports of what has come
WINDOW_S = 10.0  # the rate is that of the last seconds
TRIES = 5  # attempts in a row that bring nothing before a download gives up
CHUNK_BYTES = 2**18
SILENCE_S = 30.0  # a server that sends nothing for so long is gone
SHA256 = r"[0-9a-f]{64}"
ENTRY = "Look at its entry in configs/models/named.yaml."


@dataclass(frozen=True, slots=True)
class Hub:
    """Where models come from. `token` is shown to nobody but the hub."""

    endpoint: str = field(default=ENDPOINT, repr=False)  # may hold a password
    token: str = field(default="", repr=False)
    pause_s: float = 1.0  # before a second attempt; longer before each one after it

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint).hostname or "the hub"

    def page(self, repo: str) -> str:
        """Where people can look at a repository; a name and a password of the endpoint are left out."""
        parts = urlsplit(self.endpoint)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{repo}"


@dataclass(frozen=True, slots=True)
class Offer:
    """What the hub has: a file at one commit. `sha256` and `size` (bytes) are those that must come."""

    url: str
    commit: str
    sha256: str
    size: int


def hub_of(environment: Mapping[str, str]) -> Hub:
    """The hub that the environment names: HF_ENDPOINT, and HF_TOKEN. A token that lies in somebody's home is not taken."""
    return Hub(environment.get("HF_ENDPOINT", "").rstrip("/") or ENDPOINT, environment.get("HF_TOKEN", ""))


@dataclass(frozen=True, slots=True)
class Errand:
    """One model to bring from one hub; `facts` are what its refusals tell."""

    name: str
    named: Named
    hub: Hub
    words: str = ""  # of the command, behind the name

    @property
    def facts(self) -> dict[str, str]:
        command = f"labpipe model download {self.name}{self.words}"
        return {"name": self.name, "host": self.hub.host, "url": self.hub.page(self.named.repo), "command": command}

    def invalid(self, code: str, message: str, fix: str) -> Invalid:
        return Invalid(Problem(code, message, fix=fix, facts=self.facts))


def download(name: str, named: Named, folder: Path, hub: Hub, report: Report) -> Card:
    """Bring a model below `folder`; free where it is here already.

    Raises Invalid for what somebody can mend (no room, no such file, an account that is asked for, a file that is another
    than the one we know), Temporary where the hub is away or busy: what has come is kept then.
    """
    found = catalog.card(folder, name)
    if found and named.sha256 in ("", found.sha256):
        return found
    target, errand = catalog.weights(folder, name), Errand(name, named, hub)
    with alone(folder, name):
        offer = _offer(errand)
        if not (target.is_file() and target.stat().st_size == offer.size and _digest(target) == offer.sha256):
            target.parent.mkdir(exist_ok=True)
            os.replace(_brought(errand, offer, target.parent, report), target)
        made = Card(name, f"{named.repo}@{offer.commit[:12]}", named.licence, offer.size, offer.sha256, named.about["en"])
        catalog.keep(folder, made)
    return made


@contextmanager
def alone(folder: Path, name: str) -> Iterator[None]:
    """Keep a second download of the same model out. Raises Temporary if one is under way, Failed if the disk refuses."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f".{name}.lock").open("a")
    except OSError as error:
        raise Failed(f"the folder of the models could not be made: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Temporary(f"{name} is being downloaded by another process already. Wait for it.") from None
        yield


def _offer(errand: Errand) -> Offer:
    """Ask the hub for the file. Raises what `refusal` says, and Invalid if it is another than the one we know."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import FileMetadataError

    named, hub = errand.named, errand.hub
    url = hf_hub_url(named.repo, named.file, revision=named.revision, endpoint=hub.endpoint)
    try:
        told = get_hf_file_metadata(url, token=hub.token or False, library_name="labbot", endpoint=hub.endpoint)
        if not told.commit_hash or not told.etag:
            raise FileMetadataError("the answer has no commit and no digest")
    except Exception as error:
        raise refusal(error, errand) from error
    sha256 = named.sha256 or told.etag
    if not re.fullmatch(SHA256, sha256) or (re.fullmatch(SHA256, told.etag) and told.etag != sha256):
        fix = "Take a newer labbot, or look at the file there and name its sha256 in configs/models/named.yaml."
        raise errand.invalid("hub.changed", f"{named.file} on {hub.host} is not the file that is known here.", fix)
    pinned = hf_hub_url(named.repo, named.file, revision=told.commit_hash, endpoint=hub.endpoint)
    return Offer(pinned, told.commit_hash, sha256, told.size or named.size_bytes)


def _brought(errand: Errand, offer: Offer, folder: Path, report: Report) -> Path:
    """The GGUF file of an errand, whole."""
    part = brought(errand, offer, folder, report)
    with part.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise errand.invalid("hub.kind", f"{errand.name} is no GGUF file.", ENTRY)
    return part


def brought(errand: Errand, offer: Offer, folder: Path, report: Report) -> Path:
    """Fetch what is still missing of a file; return its path when all of it is there and right."""
    name, part = errand.name, folder / f".{offer.sha256[:16]}.part"
    for other in folder.glob(".*.part"):
        if other != part or other.stat().st_size > offer.size:  # of a version that is not wanted any more
            other.unlink()
    have = part.stat().st_size if part.is_file() else 0
    make_sure_of_room(name, offer.size - have, offer.size, folder)
    meter = Meter(name, offer.size, report, have)
    _fetch(errand, offer, part, meter)
    report(1.0, meter.facts() | {"act": "check"})
    if _digest(part) != offer.sha256:
        part.unlink()
        raise Temporary(f"{name} came damaged and was thrown away. Type `{errand.facts['command']}` to try again.")
    return part


def make_sure_of_room(name: str, missing: int, size: int, folder: Path) -> None:
    """Raise Invalid unless the disk has room for what is missing of a file, and a tenth of its size more."""
    free, wanted = free_disk(folder), missing + int((ROOM - 1) * size)
    if free < wanted:
        facts = {"name": name, "needed": amount(wanted), "free": amount(free)}
        fix = "Make room, or set LABBOT_DATA to a folder on a larger disk."
        message = f"{name} needs {facts['needed']} of disk, and {facts['free']} are free."
        raise Invalid(Problem("catalog.disk", message, fix=fix, facts=facts))


class Meter:
    """Counts what has come and reports it at most once a second: done, total, rate and what is left of the time, as texts."""

    def __init__(
        self, name: str, total: int, report: Report, begun: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name, self.total, self.report, self.clock = name, total, report, clock
        self.seen = deque([(clock(), begun)])
        self.told: float | None = None

    def at(self, done: int) -> None:
        """That many bytes are here."""
        now = self.clock()
        if done < self.seen[-1][1]:  # begun anew
            self.seen.clear()
        self.seen.append((now, done))
        while len(self.seen) > 2 and self.seen[0][0] < now - WINDOW_S:
            self.seen.popleft()
        if self.told is None or now - self.told >= EVERY_S:
            self.told = now
            self.report(min(1.0, done / self.total), self.facts())

    def facts(self) -> dict[str, str]:
        (then, before), (now, done) = self.seen[0], self.seen[-1]
        rate = (done - before) / (now - then) if now > then else 0.0
        left = lasting((self.total - done) / rate) if rate else ""
        told = f"{amount(rate)}/s" if rate else ""
        return {
            "act": "fetch",
            "name": self.name,
            "done": amount(done),
            "total": amount(self.total),
            "rate": told,
            "left": left,
        }


def lasting(seconds: float) -> str:
    """A time as people read it: 40 s, 3 min, 2 h."""
    for unit, one in (("h", 3600), ("min", 60)):
        if seconds >= 2 * one:
            return f"{seconds / one:.0f} {unit}"
    return f"{seconds:.0f} s"


def _fetch(errand: Errand, offer: Offer, part: Path, meter: Meter) -> None:
    """Bring the missing end of a file, again and again as long as attempts bring something."""
    import httpx2  # huggingface_hub's own client
    from huggingface_hub.errors import HfHubHTTPError

    tries, most = 0, 0
    while (have := part.stat().st_size if part.is_file() else 0) < offer.size:
        tries, most = (1, have) if have > most else (tries + 1, most)
        try:
            _more(errand.hub, offer, part, have, meter)
            failure: Exception = ConnectionError("the answer ended too soon")
        except HfHubHTTPError as error:
            raise refusal(error, errand) from error
        except httpx2.TransportError as error:
            failure = error
        except OSError as error:
            if error.errno == errno.ENOSPC:
                make_sure_of_room(errand.name, offer.size, offer.size, part.parent)
            raise refusal(error, errand) from error
        if tries >= TRIES:
            raise refusal(failure, errand) from failure
        time.sleep(errand.hub.pause_s * tries)


def _more(hub: Hub, offer: Offer, part: Path, have: int, meter: Meter) -> None:
    """One attempt: append what the server sends from there on; all of it where it knows no ranges.

    A redirect to another host takes no token along (httpx).
    """
    from huggingface_hub import get_session
    from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]  # documented, but not re-exported

    headers = {"user-agent": "labbot", "accept-encoding": "identity"}
    headers |= {"authorization": f"Bearer {hub.token}"} if hub.token else {}
    headers |= {"range": f"bytes={have}-"} if have else {}
    with get_session().stream("GET", offer.url, headers=headers, timeout=SILENCE_S) as answer, part.open("ab") as file:
        hf_raise_for_status(answer)
        if answer.status_code != 206:
            file.truncate(0)
        for chunk in answer.iter_bytes(CHUNK_BYTES):
            file.write(chunk)
            meter.at(file.tell())


def _digest(path: Path) -> str:
    return file_digest(path).removeprefix("sha256:")


def refusal(error: Exception, errand: Errand) -> LabError:
    """What a failure means to whoever asked for the model."""
    from huggingface_hub.errors import FileMetadataError, HfHubHTTPError, OfflineModeIsEnabled

    name, host = errand.name, errand.hub.host
    if isinstance(error, OfflineModeIsEnabled):
        return errand.invalid("hub.offline", "HF_HUB_OFFLINE keeps this machine off the network.", "Unset it, and try again.")
    if isinstance(error, HfHubHTTPError):
        return _refused(error, errand)
    if isinstance(error, FileMetadataError):
        return errand.invalid("hub.none", f"{host} does not answer as a hub does.", "Look at HF_ENDPOINT.")
    if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
        return Failed(f"{name} could not be written: {error.strerror}")
    why = " ".join(str(error).split()) or type(error).__name__
    message = f"{host} cannot be reached ({why}), so {name} cannot come. Everything but chat works without it."
    return Temporary(
        f"{message} Type `{errand.facts['command']}` when this machine is on the network: it goes on where it was."
    )


def _refused(error: "HfHubHTTPError", errand: Errand) -> LabError:
    """The hub answered with a status. What needs an account and what is not there are both 401 to strangers."""
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RevisionNotFoundError

    status, name, host, facts = error.response.status_code, errand.name, errand.hub.host, errand.facts
    if isinstance(error, GatedRepoError):
        fix = f"Accept its terms at {facts['url']}, set HF_TOKEN to a token of your account, and type `{facts['command']}`."
        return errand.invalid("hub.gated", f"{name} is given only to accounts that accepted its terms.", fix)
    if isinstance(error, (EntryNotFoundError, RevisionNotFoundError)) or status == 404:
        return errand.invalid("hub.absent", f"{host} has no such file any more: {name}.", ENTRY)
    if status in (401, 403):
        has = "does not take HF_TOKEN" if errand.hub.token else "asks for an account"
        fix = f"Set HF_TOKEN to a token that may read {facts['url']}, and type `{facts['command']}`."
        return errand.invalid("hub.token", f"{host} {has} for {name}.", fix)
    wait = error.response.headers.get("retry-after", "")
    later = f"in {wait} s" if wait.isdecimal() else "in a few minutes"
    return Temporary(f"{host} is busy ({status}). Type `{facts['command']}` {later}; what has come is kept.")
