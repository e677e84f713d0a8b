"""Reads attribution.txt as people write it; `qna.attribution` writes it."""

import re

from pipeline.taxonomy import Work

_KEYS = {
    "titleofwork": "title", "titleofthework": "title", "title": "title", "worktitle": "title", "work": "title",
    "linktowork": "link", "linktothework": "link", "link": "link", "source": "link", "url": "link", "worklink": "link",
    "revision": "revision", "licenseofthework": "licence", "licenseofwork": "licence", "license": "licence",
    "licence": "licence", "licenceofthework": "licence", "creatorname": "creators", "creatorsname": "creators",
    "creator": "creators", "createdby": "creators", "author": "creators", "authorname": "creators", "nameofcreator": "creators",
}  # fmt: skip
_LINE = re.compile(r"[\s*_#>-]*(?P<key>[A-Za-z][A-Za-z _'()/-]{0,40}?)[\s*_]*[:\uff1a=][ \t*]*(?P<value>.*)")


def read(text: str) -> tuple[Work, ...]:
    """Read an attribution.txt as people write it: any case and order of the keys, several works one after the other.

    A line without a key we know belongs to the value before it, and is a title where there is none before.
    """
    blocks: list[dict[str, str]] = []
    last, apart = "", False
    for line in text.removeprefix("\ufeff").splitlines():
        if not line.strip():
            apart = True
            continue
        found = _LINE.fullmatch(line)
        name = _KEYS.get(squashed(found["key"].replace("'", "")), "") if found else ""
        value = found["value"].strip() if found and name else line.strip()
        again = bool(blocks) and name in blocks[-1] and (apart or name == "title")
        if not blocks or again:
            blocks.append({})
        name = name or last or "title"
        blocks[-1][name] = " ".join(part for part in (blocks[-1].get(name, ""), value) if part)
        last, apart = name, False
    return tuple(
        Work(*(block.get(one, "") for one in ("title", "link", "licence", "creators", "revision"))) for block in blocks
    )


def squashed(key: str) -> str:
    """A key without what people write differently: case, signs, camel case, plural."""
    words = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key).lower())
    return "".join(word[:-1] if word.endswith("s") and len(word) > 3 else word for word in words)
