"""Keys, tokens and passwords in a text, by the forms that services give them, and bare ones by their entropy.

The forms are data (configs/screen.yaml); detect-secrets, which has such a list too, has had no release since 2024. What
stands where a password is asked for but shows itself to be a placeholder is none.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import Problem
from pipeline.screening.places import Place, finding, masked

_BARE = re.compile(r"(?<![\w+/=.@-])[A-Za-z0-9+/_=-]{20,200}(?![\w+/=@-])")
_HEX = re.compile(r"[0-9a-fA-F-]+")
_CALL = re.compile(r"[\[({<$%]|\.\.\.|^\*+$|^[xX•.*_-]+$")


@dataclass(frozen=True, slots=True)
class Secrets:
    """`forms` are names with their patterns; `named` the words in front of a password or key, `placeholders` pieces of
    what is none; a bare token has at least `length` characters and `bits` of entropy a character.
    """

    forms: tuple[tuple[str, re.Pattern[str]], ...] = ()
    named: re.Pattern[str] | None = None
    placeholders: tuple[str, ...] = ()
    length: int = 32
    bits: float = 4.0


def find(place: Place, rules: Secrets) -> list[Problem]:
    """At most one finding: the first that holds, the surest forms first."""
    for name, found in _found(place.text, rules):
        return [finding("secret", place, masked(found), f"{name}: {masked(found)}", service=name, wording="statement")]
    return []


def entropy(text: str) -> float:
    """Bits a character (Shannon), from how often each is in the text itself."""
    counts = Counter(text)
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())


def _found(text: str, rules: Secrets) -> Iterator[tuple[str, str]]:
    for name, rule in rules.forms:
        for found in rule.finditer(text):
            if not _placeholder(found[0], rules):
                yield name, found[0]
    if rules.named:
        for found in rules.named.finditer(text):
            if _chosen(found["value"], found["sign"] in "=:") and not _placeholder(found["value"], rules):
                yield "password", found["value"]
    for found in _BARE.finditer(text):
        if _random(found[0], rules) and not _placeholder(found[0], rules):
            yield "token", found[0]


def _placeholder(text: str, rules: Secrets) -> bool:
    low = text.lower()
    return any(one in low for one in rules.placeholders)


def _chosen(value: str, assigned: bool) -> bool:
    """Whether a value can be a password: not a word of the language, no placeholder, no call that fetches one."""
    if _CALL.search(value):
        return False
    kinds = sum(bool(re.search(rule, value)) for rule in ("[a-zäöüß]", "[A-ZÄÖÜ]", "[0-9]", "[^A-Za-zÄÖÜäöüß0-9]"))
    return kinds >= (2 if assigned else 3) or (any(map(str.isdigit, value)) and any(map(str.isalpha, value)))


def _random(text: str, rules: Secrets) -> bool:
    if len(text) < rules.length or _HEX.fullmatch(text) or text.count("/") > 3 or "--" in text or "__" in text:
        return False
    mixed = all(re.search(rule, text) for rule in ("[a-z]", "[A-Z]", "[0-9]"))
    return mixed and entropy(text) >= rules.bits
