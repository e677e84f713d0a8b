"""Where the text of knowledge may come from, and whether a link names one revision of it.

configs/sources.yaml holds upstream's two lists as data; an operator adds to them there. A source is found by the host of
a link alone, never by a name in it: wikipedia.org.evil.example is not Wikipedia. That a source is on a list does not say
that each of its texts is free: `licence` is empty where the texts differ, and `note` says what to look at.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, parse_qs, urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from pipeline import licences
from pipeline.errors import Invalid, Problem

Listed = Literal["approved", "verify"]  # taken by upstream, or taken once a triager has looked at the text
_Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
_Host = Annotated[str, StringConstraints(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$", max_length=253)]
_Hosts = list[_Host]


@dataclass(frozen=True, slots=True)
class Source:
    """A place on the lists. `hosts` count with their subdomains; `permalink` is an example of a link to one revision."""

    name: str
    list: Listed
    hosts: tuple[str, ...]
    licence: str = ""
    note: str = ""
    permalink: str = ""


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, str_max_length=1000)

    name: _Name
    list: Listed
    hosts: _Hosts
    licence: str = ""
    note: str = ""
    permalink: str = ""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    sources: list[_Row]


def read(path: Path) -> tuple[Source, ...]:
    """Read the lists. Raises Invalid with every problem of the file, each with its place, sources counted from 1."""
    found = _loaded(path)
    problems = []
    rows: list[_Row] = []
    try:
        rows = _File.model_validate(found).sources
    except ValidationError as error:
        problems += [_problem(path, one["loc"], one["msg"], one.get("input")) for one in error.errors()]
    problems += _more(path, found)
    if problems:
        raise Invalid(*problems)
    return tuple(Source(row.name, row.list, tuple(row.hosts), row.licence, row.note, row.permalink) for row in rows)


def find(url: str, sources: tuple[Source, ...]) -> Source | None:
    """The source that a link leads to, by its host; the longest where several fit. None for what is no web link."""
    split = _split(url)
    fitting = [(len(host), one) for one in sources for host in one.hosts if split and _under(_host(split), host)]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


# --- the file


def _loaded(path: Path) -> Any:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Invalid(
            Problem("sources.missing", "there is no such file", path.name, "Take the one of the repository.")
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a ValueError: not UTF-8, or a date like 2024-13-45
        reason = " ".join(str(error).split())
        raise Invalid(Problem("sources.yaml", reason, path.name, "Mend the line named here.")) from None
    if not isinstance(found, dict) or not isinstance(found.get("sources"), list):
        raise Invalid(Problem("sources.shape", "the file holds no list of sources", path.name, "Begin with `sources:`."))
    return found


def _more(path: Path, found: Any) -> list[Problem]:
    """What types cannot say: licences as upstream takes them, https links, and no name or host twice."""
    rows = [(number, row) for number, row in enumerate(found["sources"]) if isinstance(row, dict)]
    problems = [one for number, row in rows for one in _of_row(path, number, row)]
    names = [(number, "name", row.get("name")) for number, row in rows]
    hosts = [(number, "hosts", host) for number, row in rows for host in _texts(row.get("hosts"))]
    for places in (names, hosts):
        many = Counter(value for *_, value in places if isinstance(value, str))
        problems += [
            _problem(path, ("sources", number, key), "this is there twice", value)
            for number, key, value in places
            if isinstance(value, str) and many[value] > 1
        ]
    return problems


def _of_row(path: Path, number: int, row: dict[str, Any]) -> list[Problem]:
    problems = []
    licence, example = row.get("licence"), row.get("permalink")
    if isinstance(licence, str) and licence and licence not in licences.ALLOWED:
        text = f"write one of {', '.join(licences.ALLOWED)}, or leave it empty"
        problems.append(_problem(path, ("sources", number, "licence"), text, licence))
    if isinstance(example, str) and example and not _split(example):
        problems.append(_problem(path, ("sources", number, "permalink"), "write a link with https://", example))
    return problems


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _problem(path: Path, where: tuple[int | str, ...], message: str, value: Any) -> Problem:
    place = ".".join(str(part + 1) if isinstance(part, int) else part for part in where)
    return Problem("sources.value", f"{message} (it says {value!r:.100})", f"{path.name}: {place}")


# --- links


_HASH = r"(?:[0-9a-f]{64}|[0-9a-f]{40}|(?=[0-9]*[a-f])[0-9a-f]{7,39})"  # a short one of digits alone can be a date: a tag
_KIND = r"(?:blob|blame|tree|raw|commit|src/commit|raw/commit)"
_GIT = re.compile(rf"/[^/]+/[^/]+/{_KIND}/{_HASH}(?:\.patch|\.diff)?(?:/.*)?", re.I)
_GITLAB = re.compile(rf"/(?:(?!-/)[^/]+/)+-/{_KIND}/{_HASH}(?:\.patch|\.diff)?(?:/.*)?", re.I)  # groups can be nested
_RAW = re.compile(rf"/[^/]+/[^/]+/{_HASH}/.+", re.I)
_GIST = re.compile(r"/(?:[^/]+/)?[0-9a-f]{20,40}/(?:raw/|archive/)?[0-9a-f]{40}(?:\.zip|/.*)?", re.I)
_ARXIV = re.compile(r"/(?:abs|pdf|html)/(?:[0-9]{4}\.[0-9]{4,5}|[a-z-]+(?:\.[a-z]{2})?/[0-9]{7})v[1-9][0-9]*(?:\.pdf)?/?", re.I)
_ARCHIVED = re.compile(r"/web/[0-9]{14}(?:[a-z]{2}_)?/.+")
_WIKI = re.compile(r".*/Special:Perma(?:nent_?)?link/[1-9][0-9]*/?", re.I)
_AT = (
    ("github.com", _GIT),
    ("gitlab.com", _GIT),
    ("codeberg.org", _GIT),
    ("raw.githubusercontent.com", _RAW),
    ("gist.github.com", _GIST),
    ("gist.githubusercontent.com", _GIST),
    ("arxiv.org", _ARXIV),
    ("archive.org", _ARCHIVED),
)


def permalink(url: str) -> bool:
    """Whether a link names one revision that stays as it is: what a reader finds there is what the author read.

    Known: MediaWiki's oldid, commits of GitHub, GitLab (any that has /-/) and Codeberg, gists, versions of arXiv, and
    archived pages with a full time (a shorter one leads to whatever is nearest). A branch or tag is none: it moves.
    """
    split = _split(url)
    if not split:
        return False
    host, path = _host(split), split.path
    if _WIKI.fullmatch(path) or _GITLAB.fullmatch(path) or _oldid(split):
        return True
    return any(_under(host, known) and rule.fullmatch(path) for known, rule in _AT)


def _oldid(split: SplitResult) -> bool:
    ids = parse_qs(split.query, max_num_fields=50).get("oldid", []) if split.query.count("&") < 50 else []
    return len(ids) == 1 and bool(re.fullmatch("[1-9][0-9]{0,18}", ids[0]))


def _split(url: str) -> SplitResult | None:
    """A web link taken apart, or None. Spaces, controls and backslashes are read differently by browsers: no link."""
    if re.search(r"[\s\\\x00-\x20\x7f-\x9f]", url):
        return None
    try:
        split = urlsplit(url)
        return split if split.scheme in ("http", "https") and split.hostname and not split.username else None
    except ValueError:  # such as a bracket without its other half
        return None


def _host(split: SplitResult) -> str:
    return (split.hostname or "").removesuffix(".")


def _under(host: str, known: str) -> bool:
    return host == known or host.endswith(f".{known}")
