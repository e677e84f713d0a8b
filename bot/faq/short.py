"""The short answer: the sentences of an entry that hold the fact asked for, two at most; the rest is there on demand.

Entries with phrasings are written fact first, so their first paragraph is it. Elsewhere the sentence is looked for: the one
that has most of the question's words, has a number where a number is asked for, and stands near the beginning.
"""

import re
from collections.abc import Iterator, Mapping

from bot.faq.load import Entry
from bot.faq.words import STOP, plain, stems, words

MOST_SENTENCES = 2
LATER = 0.03  # what a sentence loses for each one before it: the beginning of an answer mostly is the answer
FITTING = 0.3  # what a sentence gains that has the kind of fact asked for
SHORTEST = 25  # characters; a sentence below takes the next one of its paragraph along
_END = re.compile(r"(?<=[.!?])[\"'”’)*_]*\s+(?=[\"'“‘(\[*_`]*[A-Z0-9])")
_NUMBER = re.compile(r"\bhow\s+(?:many|much|long|old|big|large|often|fast)\b|\bwhen\b|\bwhich\s+version\b", re.IGNORECASE)
_PLACE = re.compile(r"\bwhere\b|\blink\b|\burl\b", re.IGNORECASE)
_BLOCK = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*(?:[-*+]|\d+[.)])[ \t])")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
_FENCE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_BARE = re.compile(r"^\s*\[[^\]]*\]\([^)]*\)\s*$")


def short(entry: Entry, question: str, rarity: Mapping[str, float]) -> tuple[str, str]:
    """The short answer and the rest of the entry's text; `rarity` says how much each stem tells."""
    paragraph, _, rest = entry.body.partition("\n\n")
    if entry.asked:
        told, more = _first(paragraph)
        return told, "\n\n".join(part for part in (more, rest.strip("\n")) if part)
    told = _best(entry.body, question, rarity)
    body = entry.body.strip()
    return told, body[len(told) :].strip() if body.startswith(told) else body


def _first(paragraph: str) -> tuple[str, str]:
    ends = [found.end() for found in _END.finditer(paragraph)]
    cut = ends[MOST_SENTENCES - 1] if len(ends) >= MOST_SENTENCES else len(paragraph)
    return paragraph[:cut].strip(), paragraph[cut:].strip()


def _best(body: str, question: str, rarity: Mapping[str, float]) -> str:
    asked = set(stems([word for word in words(question) if word not in STOP]))
    total = sum(rarity.get(stem, 1.0) for stem in asked) or 1.0
    best, told = -1.0, ""
    for place, (sentence, following) in enumerate(_sentences(body)):
        shared = asked & set(stems(words(sentence)))
        worth = sum(rarity.get(stem, 1.0) for stem in shared) / total - LATER * place
        if (_NUMBER.search(question) and re.search(r"\d", plain(sentence))) or (_PLACE.search(question) and "](" in sentence):
            worth += FITTING
        if worth > best:
            best, told = worth, f"{sentence} {following}".strip() if len(sentence) < SHORTEST else sentence
    return told or body.strip()


def _sentences(body: str) -> Iterator[tuple[str, str]]:
    """Each sentence with the one after it in its paragraph or item; code and bare links say nothing by themselves."""
    for block in _BLOCK.split(_FENCE.sub("", body)):
        if block.strip() and not _BARE.match(block):
            found = [" ".join(part.split()) for part in _END.split(_ITEM.sub("", block)) if part.strip()]
            yield from zip(found, [*found[1:], ""], strict=True)
