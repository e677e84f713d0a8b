"""Licences as people write them, as SPDX ids, and what is wrong with those that upstream does not take.

ALLOWED is the list of the taxonomy's CONTRIBUTING.md; a work in the public domain has no SPDX id and is written so. In 347
real attribution.txt one licence stands in many spellings ("Apache 2.0" 86 times, "Apache-2.0" 34). What is not said is not
guessed: a version that is missing stays missing. The library license-expression is not used: it knew ids in any case, and
none of a dozen such spellings ("Apache 2.0", "CC BY SA 4", "GPLv3", "MIT License").
"""

import re
import unicodedata
from dataclasses import dataclass

from pipeline.errors import Problem

PUBLIC_DOMAIN = "Public domain"
CLOSED = "All rights reserved"
ALLOWED: tuple[str, ...] = (
    "Apache-2.0",
    "MIT",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    PUBLIC_DOMAIN,
)
LONGEST = 200  # characters; the longest name of a licence on SPDX's list has 112

_CC = ("1.0", "2.0", "2.5", "3.0", "4.0")
_PORTED = ("1.0", "2.0", "2.1", "2.5", "3.0")  # Creative Commons had a text a country before 4.0; 2.1 has no other
_GNU = ("GPL", "LGPL", "AGPL", "GFDL")
_SHARE_ALIKE = (*_GNU, "MPL", "ODbL", "CDLA-Sharing")

# The versions of each family there are, from SPDX's list; none where the name is the id.
_VERSIONS: dict[str, tuple[str, ...]] = {
    "Apache": ("1.0", "1.1", "2.0"),
    "MIT": (),
    "CC0": ("1.0",),
    "CDLA-Permissive": ("1.0", "2.0"),
    "CDLA-Sharing": ("1.0",),
    "GPL": ("1.0", "2.0", "3.0"),
    "LGPL": ("2.0", "2.1", "3.0"),
    "AGPL": ("1.0", "3.0"),
    "GFDL": ("1.1", "1.2", "1.3"),
    "MPL": ("1.0", "1.1", "2.0"),
    "ODbL": ("1.0",),
    PUBLIC_DOMAIN: (),
    CLOSED: (),
}
# What is left of a spelling once words that say nothing, spaces and signs are out.
_NAMES = {
    "Apache": "apache asl al",
    "MIT": "mit expat mitexpat",
    "CC0": "cczero zero",
    "CDLA-Permissive": "cdlapermissive communitydataagreementpermissive",
    "CDLA-Sharing": "cdlasharing communitydataagreementsharing",
    "GPL": "gpl gnugpl gnu gnugeneral",
    "LGPL": "lgpl gnulgpl gnulesser gnulessergeneral",
    "AGPL": "agpl gnuagpl gnuaffero gnuafferogeneral",
    "GFDL": "gfdl fdl gnufdl gnugfdl gnufreedocumentation",
    "MPL": "mpl mozilla mozillampl",
    "ODbL": "odbl opendatabase opendatacommonsopendatabase",
    PUBLIC_DOMAIN: "publicdomain pd pdm ccpublicdomain ccpdm inpublicdomain publicdomaininusa publicdomainusa",
    CLOSED: "allrightsreserved copyrightallrightsreserved callrightsreserved copyrightcallrightsreserved proprietary",
}
_FAMILIES = {name: family for family, names in _NAMES.items() for name in names.split()}
_VAGUE = {"creativecommons": "Creative Commons", "cc": "Creative Commons", "cdla": "CDLA", "communitydataagreement": "CDLA"}
_PARTS = {"attribution": "BY", "noncommercial": "NC", "noderiv": "ND", "sharealike": "SA"}
_CC_PART = re.compile(r"attribution|by|noncommercial|nc|noderiv(?:ative)?(?:work)?s?|nd|sharealike|sa")
_CC_NAME = re.compile(rf"(cc|creativecommons)?((?:{_CC_PART.pattern})+)([a-z]{{2}})?")

# Rewritten before a spelling is taken apart, in this order: links, names with a digit in them, marks of a version.
_REWRITES = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"^(?:https?://)?(?:www\.)?creativecommons\.org/(?:licen[sc]es/|publicdomain/)?(?=mark)", "public domain "),
        (r"^(?:https?://)?(?:www\.)?creativecommons\.org/(?:licen[sc]es/|publicdomain/)?", "cc "),
        (r"^(?:https?://)?(?:www\.)?apache\.org/licen[sc]es/?(?:licen[sc]e)?", "apache "),
        (r"^(?:https?://)?(?:www\.)?(?:opensource|spdx|gnu)\.org/licen[sc]es?/(?:old-licen[sc]es/)?", " "),
        (r"^(?:https?://)?(?:www\.)?choosealicense\.com/licen[sc]es/", " "),
        (r"^(?:https?://)?(?:www\.)?cdla\.dev/", "cdla "),
        (r"\b(?:deed|legalcode)(?:\.[a-z-]+)?|\.(?:html?|txt|php|en)\b", " "),
        (r"public[\W_]*domain[\W_]*mark[\W_]*(?:1\.0)?", " public domain "),
        (r"\b(?:cc|creative[\W_]*commons)[\W_]*(?:0|zero)", " cczero "),
        (r"\bor[\W_]+(?:any[\W_]+)?later(?:[\W_]+version)?|\+", " later "),
        (r"v(?:er(?:sion)?)?[\W_]*(?=[0-9])", " "),
        (r"(?<=[0-9])[-_ ](?=[0-9])", "."),
        (r"\bpublic[\W_]+licen[sc]e", " "),
    )
)
_SILENT = frozenset(
    "a an the of license licence licensed licenced under version v software"
    " international intl unported generic universal".split()
)


@dataclass(frozen=True, slots=True)
class _Read:
    """What a spelling says: the family, the version or "", and what follows the version in an id: a country, "or-later"."""

    family: str
    version: str = ""
    suffix: str = ""


def normal(typed: str) -> str:
    """Write a licence as its SPDX id where what was typed has one meaning; else as it was typed, without outer spaces."""
    text = typed.strip()
    read = _read(text)
    return (_id(read) if read else "") or text


def problem(licence: str, where: str = "") -> Problem | None:
    """Say why upstream would not take a work under this licence, or None. `where` is the place of the licence.

    Facts: the licence, `allowed` (what to choose instead), and the family where only its version is wrong.
    """
    name = normal(licence)
    if name in ALLOWED:
        return None
    read = _read(name)
    code = _code(name, read)
    facts = {"licence": name, "allowed": ", ".join(ALLOWED)}
    if code in ("licence.version", "licence.old") and read:
        facts |= {"family": read.family, "allowed": ", ".join(_allowed_of(read.family))}
    message, fix = _SENTENCES[code]
    return Problem(code, message.format(**facts), where, fix.format(**facts), facts)


_SENTENCES = {
    "licence.unknown": ("{licence!r} is none of the licences that the taxonomy takes.", "Choose one of {allowed}."),
    "licence.version": (
        "The taxonomy takes {family} as {allowed} only, and {licence!r} does not say so.",
        "Look up which one the work has.",
    ),
    "licence.old": ("{licence} is not the version that the taxonomy takes.", "See whether the work is there under {allowed}."),
    "licence.noncommercial": (
        "{licence} forbids commercial use, and whoever trains a model on the taxonomy may sell it.",
        "Choose a work under one of {allowed}.",
    ),
    "licence.noderivatives": (
        "{licence} forbids changed versions, and questions and answers made from a work are one.",
        "Choose a work under one of {allowed}.",
    ),
    "licence.copyleft": (
        "{licence} demands that whatever is made from the work has that licence too; the taxonomy's files have another.",
        "Choose a work under one of {allowed}.",
    ),
    "licence.closed": (
        "The work is not free: all rights are reserved.",
        "Choose a work under one of {allowed}, or ask its owner to free it.",
    ),
}


def _code(name: str, read: _Read | None) -> str:
    if "allrightsreserved" in "".join(_words(name)):
        return "licence.closed"
    if read is None:
        return "licence.unknown"
    parts = read.family.split("-")
    if "NC" in parts:
        return "licence.noncommercial"
    if "ND" in parts:
        return "licence.noderivatives"
    if read.family in _SHARE_ALIKE:
        return "licence.copyleft"
    if read.version in _versions(read):
        return "licence.old"
    return "licence.version" if _versions(read) or read.family in _VAGUE.values() else "licence.unknown"


def _allowed_of(family: str) -> tuple[str, ...]:
    """The allowed licences of a family. Those of "Creative Commons" and "CDLA" are several kinds."""
    begin = {"Creative Commons": "CC"}.get(family, family)
    exact = tuple(one for one in ALLOWED if re.fullmatch(re.escape(begin) + r"(-[0-9.]+)?", one))
    return tuple(one for one in ALLOWED if one.startswith(begin)) if family in _VAGUE.values() else exact


# --- reading


def _read(text: str) -> _Read | None:
    """What a spelling says, or None where nothing is known of it."""
    if len(text) > LONGEST:
        return None
    words = _words(text)
    numbers = [word for word in words if word[0] in "0123456789"]
    names = [word for word in words if word not in numbers]
    letters = "".join(names)
    if len(numbers) > 1:
        return None
    version = numbers[0] if numbers else ""
    version = version if "." in version or not version else f"{version}.0"
    return _gnu(letters, version) or _named(letters, version) or _creative_commons(letters, version)


def _words(text: str) -> list[str]:
    """Words and numbers of a spelling in lower case, without those that say nothing."""
    text = unicodedata.normalize("NFKC", text).casefold()
    for pattern, new in _REWRITES:
        text = pattern.sub(new, text)
    return [word for word in re.findall(r"[0-9]+(?:\.[0-9]+)*|[^\W\d_]+", text) if word not in _SILENT]


def _named(letters: str, version: str) -> _Read | None:
    family = _FAMILIES.get(letters) or _VAGUE.get(letters)
    return _Read(family, version) if family else None


def _gnu(letters: str, version: str) -> _Read | None:
    name = letters.removesuffix("later").removesuffix("or").removesuffix("only")
    family = _FAMILIES.get(name, "")
    if family not in _GNU:
        return None
    plain = "" if family == "GFDL" else "only"
    return _Read(family, version, "or-later" if letters.endswith("later") else "only" if letters.endswith("only") else plain)


def _creative_commons(letters: str, version: str) -> _Read | None:
    """ "ccbyncsa", "attributionsharealike" with a version. A country can follow where texts had one."""
    found = _CC_NAME.fullmatch(letters)
    if not found or not (found[1] or version):
        return None
    parts = {_part(one) for one in _CC_PART.findall(found[2])}
    country = found[3] or ""
    if "BY" not in parts or (country and version not in _PORTED):
        return None
    return _Read("-".join(["CC", "BY", *sorted(parts - {"BY"})]), version, country.upper())


def _part(word: str) -> str:
    return next((short for begin, short in _PARTS.items() if word.startswith(begin)), word.upper())


def _versions(read: _Read) -> tuple[str, ...]:
    if read.family.startswith("CC-"):
        return _PORTED if read.suffix else _CC
    return _VERSIONS.get(read.family, ())


def _id(read: _Read) -> str:
    """The SPDX id, or "" where the version is missing or there is none such."""
    versions = _versions(read)
    if not versions:
        return read.family if read.family in _VERSIONS and not read.version else ""
    version = read.version or (versions[0] if len(versions) == 1 else "")
    return "-".join(filter(None, [read.family, version, read.suffix])) if version in versions else ""
