"""Embeddings, where somebody gives an endpoint that speaks OpenAI's: a text's likeness to each entry, by meaning.

The entries' vectors are made once and kept in the cache by the digest of what they were made of. An endpoint that is away
costs at most TIMEOUT_S, is said once in the log, and is left alone for PAUSE_S; search goes on by words.
"""

import logging
import ssl
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import httpx
import numpy as np
from pydantic import BaseModel, ValidationError

from bot.faq.index import Floats, nearest, phrasings_of
from bot.faq.load import Entry
from bot.faq.words import plain
from pipeline.errors import Temporary

TIMEOUT_S = 2.0
PAUSE_S = 60.0
AT_ONCE = 64  # texts in a request
LONGEST = 2000  # characters of an entry's text; small models read 512 tokens
_log = logging.getLogger(__name__)


class _Vector(BaseModel):
    index: int
    embedding: list[float]


class _Answer(BaseModel):
    data: list[_Vector]


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


class Vectors:
    """The vectors of these entries at an endpoint such as http://127.0.0.1:8080/v1; call it with a text."""

    def __init__(self, url: str, entries: Sequence[Entry], cache: Path | None) -> None:
        self._url = url.rstrip("/").removesuffix("/embeddings")
        self._texts = [[*phrasings_of(entry), plain(entry.body)[:LONGEST]] for entry in entries]
        self._cache = cache
        self._model = ""
        self._entries: Floats | None = None
        self._trust: ssl.SSLContext | None = None
        self._not_before = 0.0
        self._told = False

    def __call__(self, text: str) -> Floats | None:
        """The text's cosine with the nearest text of each entry; None while the endpoint is away."""
        if time.monotonic() < self._not_before:
            return None
        self._trust = self._trust or httpx.create_ssl_context()  # 20 ms, for plain http too: once, not for every question
        try:
            with httpx.Client(timeout=TIMEOUT_S, verify=self._trust) as client:
                if self._entries is None:
                    self._entries = self._read(client)
                asked = self._embedded(client, [text])[0]
        except Temporary as error:
            self._not_before = time.monotonic() + PAUSE_S
            if not self._told:
                self._told = True
                _log.warning("the embeddings endpoint is away, search goes on by words: %s", error)
            return None
        self._told = False
        first = np.cumsum([0, *map(len, self._texts)])[:-1]
        return nearest((self._entries @ asked).astype(np.float32), first)

    def _read(self, client: httpx.Client) -> Floats:
        """The entries' vectors, from the cache or made: float32 (texts, dimensions), each of length 1."""
        self._model = self._model or _first_model(client, self._url)
        texts = [text for own in self._texts for text in own]
        digest = sha256("\0".join((self._url, self._model, *texts)).encode()).hexdigest()[:16]
        path = self._cache / f"vectors-{digest}.npy" if self._cache else None
        if path and path.is_file():
            try:
                kept = np.load(path, allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                _log.warning("%s cannot be read and is made anew: %s", path.name, error)
            else:
                if kept.dtype == np.float32 and kept.ndim == 2 and len(kept) == len(texts):
                    return np.asarray(kept, dtype=np.float32)
        made = np.vstack([self._embedded(client, texts[at : at + AT_ONCE]) for at in range(0, len(texts), AT_ONCE)])
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new.npy")
            np.save(new, made, allow_pickle=False)
            new.replace(path)
        return made

    def _embedded(self, client: httpx.Client, texts: Sequence[str]) -> Floats:
        body = {"model": self._model, "input": list(texts), "encoding_format": "float"}
        try:
            answer = client.post(f"{self._url}/embeddings", json=body)
            answer.raise_for_status()
            found = sorted(_Answer.model_validate_json(answer.content).data, key=lambda one: one.index)
            made = np.array([one.embedding for one in found], dtype=np.float32)
        except (httpx.HTTPError, ValidationError, ValueError) as error:
            raise Temporary(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
        wanted = (len(texts), self._entries.shape[1] if self._entries is not None else made.shape[-1])
        if made.ndim != 2 or made.shape != wanted or not np.isfinite(made).all():
            raise Temporary(f"vectors of the form {made.shape} came where {wanted} were asked for")
        lengths = np.linalg.norm(made, axis=1, keepdims=True)
        return np.asarray(made / np.maximum(lengths, 1e-9), dtype=np.float32)


def _first_model(client: httpx.Client, url: str) -> str:
    """The name of the model that is served; servers of one model take any name where they list none."""
    try:
        answer = client.get(f"{url}/models")
        answer.raise_for_status()
        return next((one.id for one in _Models.model_validate_json(answer.content).data), "default")
    except (httpx.HTTPStatusError, ValidationError):
        return "default"
    except httpx.HTTPError as error:
        raise Temporary(f"{type(error).__name__}: {error}") from error
