"""The values at the door to models: where an endpoint is, what is asked of it, what it says."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pipeline.errors import Problem

Message = Mapping[str, str]  # {"role": "system" | "user" | "assistant", "content": ...}
_SCHEMES = ("http", "https")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible endpoint: `url` ends in what comes before /chat/completions, most often /v1.

    Plain http is for this machine, and for the hosts that `plain_http` names. A prompt may take minutes to read before
    the first word, so `first_s` is apart from `silence_s`; a place in the server's queue counts as a sign of life.
    """

    url: str
    model: str = ""  # "": the first that the server lists
    key: str = field(default="", repr=False)
    concurrency: int = 8  # generations at the same time; further ones wait here
    silence_s: float = 60.0  # longest wait between two pieces, and for anything that is not streamed
    connect_s: float = 5.0
    first_s: float = 300.0  # longest wait for the first piece, and between two places in the queue
    tries: int = 3  # of requests that are safe to repeat
    pause_s: float = 0.5  # before the second try; doubled for the third
    plain_http: tuple[str, ...] = ()
    ca: str = ""  # a file with further certificate authorities


@dataclass(frozen=True, slots=True)
class Options:
    """How an answer is sampled; None leaves it to the server. `max_tokens` bounds the answer, not the prompt."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    max_tokens: int | None = None

    def body(self) -> dict[str, object]:
        """The fields of a request. Repetition goes by two names: vLLM's and llama.cpp's; each skips the other's."""
        named = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "min_p": self.min_p,
            "repetition_penalty": self.repetition,
            "repeat_penalty": self.repetition,
            "seed": self.seed,
            "stop": list(self.stop) if self.stop else None,
            "max_tokens": self.max_tokens,
        }
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Piece:
    """A bit of an answer, or, while it waits, its place in a queue (from 1). `finish` stands on the last: stop or length."""

    text: str = ""
    position: int = 0
    finish: str = ""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that a server lists: an adapter names its `parent`; `context` is 0 where the server does not tell."""

    id: str
    parent: str = ""
    context: int = 0
    owner: str = ""


def wrong(url: str, plain_http: tuple[str, ...] = ()) -> Problem | None:
    """What is wrong with an endpoint's URL: a key and people's words go there, in plain http only within this machine."""
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").lower(), parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in _SCHEMES or not host or parts.query or parts.fragment or re.search(r"\s", url):
        return _problem(_bare(url), "that is no endpoint", "Write it like http://127.0.0.1:8080/v1.")
    if "@" in parts.netloc:
        return _problem(
            _bare(url), "a user name or password stands in the URL", "Take it out, and name its variable in key_env."
        )
    if parts.scheme == "http" and not is_loopback(host) and host not in {one.lower() for one in plain_http}:
        message = f"{host} is another machine, and plain http can be read on the way there"
        return _problem(url, message, "Write https, or add the host to plain_http in roles.yaml.")
    return None


def is_loopback(host: str) -> bool:
    """Whether a host of a URL is this machine by its name or number alone; nothing is looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _problem(url: str, message: str, fix: str) -> Problem:
    return Problem("model.url", message, url[:200], fix, {"url": url[:200]})


def _bare(url: str) -> str:
    """The URL without what could be a secret in it."""
    return re.sub(r"//[^/]*@", "//", url)
