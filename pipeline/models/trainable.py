"""Brings a named model's weights here as they can be trained: safetensors, tokeniser and configuration.

The hub says which files there are at one commit, with the digest of each: of large ones the SHA-256, of small ones git's
own. Nothing else is taken: nothing that would run when it is read. They come into `NAME/.hf/`, each whole or not at all, so
that an attempt that was cut goes on with what is missing; the folder is `NAME/hf/` as soon as all of it is there.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.errors import Failed, Temporary
from pipeline.files import file_digest, write
from pipeline.models import catalog, download
from pipeline.models.catalog import Named
from pipeline.models.download import ENTRY, Errand, Hub, Offer, Report

FOLDER = "hf"
TAKEN = re.compile(
    r"(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json"
    r"|tokenizer\.model|merges\.txt|chat_template\.jinja|model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json"
)
SMALL_BYTES = 64_000_000  # the largest file that git keeps itself and that is fetched in one piece


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the repository. `sha256`: "" for one that git keeps itself, which has `blob`, git's digest of it."""

    name: str
    size: int
    sha256: str
    blob: str


def bring(name: str, named: Named, folder: Path, hub: Hub, report: Report) -> int:
    """Bring the weights below `folder`; free where they are here. Return their size in bytes.

    Raises Invalid for what somebody can mend, Temporary where the hub is away or busy: what has come is kept then.
    """
    place = catalog.weights(folder, name).parent
    if (place / FOLDER / "config.json").is_file():
        return sum(path.stat().st_size for path in (place / FOLDER).iterdir())
    source = named.model_copy(update={"repo": named.weights, "revision": named.weights_revision})
    errand = Errand(name, source, hub, " --train")
    if not named.weights:
        raise errand.invalid("hub.none", f"nobody has said where the weights of {name} are that can be trained.", ENTRY)
    with download.alone(folder, name):
        commit, parts = _listed(errand)
        half = place / f".{FOLDER}"
        missing = [part for part in parts if not _is_here(half / part.name, part)]
        download.make_sure_of_room(name, sum(part.size for part in missing), sum(part.size for part in parts), folder)
        for at, part in enumerate(missing):
            _bring(errand, commit, part, half, partial(_of_all, report, at, len(missing)))
        try:
            os.rename(half, place / FOLDER)
        except OSError as error:
            raise Failed(f"the weights of {name} could not be put in their place: {error.strerror}") from error
    return sum(part.size for part in parts)


def _of_all(report: Report, done: int, many: int, share: float, facts: Mapping[str, str]) -> None:
    """Tell how far one file is as how far all of them are."""
    report((done + share) / many, facts)


def _listed(errand: Errand) -> tuple[str, list[Part]]:
    """The commit, and its files that are wanted, small ones first."""
    from huggingface_hub import HfApi

    hub, named = errand.hub, errand.named
    try:
        api = HfApi(endpoint=hub.endpoint, token=hub.token or False, library_name="labbot")
        found = api.model_info(named.repo, revision=named.revision, files_metadata=True)
    except Exception as error:
        raise download.refusal(error, errand) from error
    parts = [
        Part(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else "", one.blob_id or "")
        for one in found.siblings or ()
        if TAKEN.fullmatch(one.rfilename)
    ]
    names = {part.name for part in parts}
    if not found.sha or "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        raise errand.invalid("hub.kind", f"{named.repo} has no weights as safetensors.", ENTRY)
    return found.sha, sorted(parts, key=lambda part: part.size)


def _bring(errand: Errand, commit: str, part: Part, folder: Path, report: Report) -> None:
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(errand.named.repo, part.name, revision=commit, endpoint=errand.hub.endpoint)
    folder.mkdir(parents=True, exist_ok=True)
    if part.sha256:
        offer = Offer(url, commit, part.sha256, part.size)
        os.replace(download.brought(errand, offer, folder, report), folder / part.name)
    else:
        content = _small(errand, url, part)
        if _blob(content) != part.blob:
            raise Temporary(f"{part.name} came damaged and was thrown away. Type `{errand.facts['command']}` to try again.")
        write(folder / part.name, content)


def _small(errand: Errand, url: str, part: Part) -> bytes:
    from huggingface_hub import get_session
    from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]  # documented, but not re-exported

    if part.size > SMALL_BYTES:
        raise errand.invalid(
            "hub.kind", f"{part.name} has {part.size:,} bytes, and no digest that they could be held to.", ENTRY
        )
    headers = {"user-agent": "labbot", "accept-encoding": "identity"}
    headers |= {"authorization": f"Bearer {errand.hub.token}"} if errand.hub.token else {}
    try:
        answer = get_session().get(url, headers=headers, timeout=download.SILENCE_S, follow_redirects=True)
        hf_raise_for_status(answer)
    except Exception as error:
        raise download.refusal(error, errand) from error
    return bytes(answer.content)


def _is_here(path: Path, part: Part) -> bool:
    if not path.is_file() or path.stat().st_size != part.size:
        return False
    if part.sha256:
        return file_digest(path) == f"sha256:{part.sha256}"
    return _blob(path.read_bytes()) == part.blob


def _blob(content: bytes) -> str:
    """Git's name of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
