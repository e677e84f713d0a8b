"""The languages that texts are written in, for the card: by script where one tells, else by commonest words.

It is a guess for readers of the card; nothing else depends on it.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

SHARE = 0.1  # of all letters in a script of its own: what is rarer may be quotations
COMMON = 0.08  # of all words that are among the commonest of a language: in running text it is a third

# The first word of a letter's name in Unicode. Cyrillic, Arabic and Devanagari stand for several languages, and tell none.
_SCRIPTS = {"HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "CJK": "zh", "GREEK": "el", "HEBREW": "he", "THAI": "th"}
_WORD = re.compile(r"[^\W\d_]+")


def languages(texts: Iterable[str], common: Mapping[str, str]) -> list[str]:
    """ISO codes, the commonest first; none where nothing tells. `common`: words by code, separated by blanks."""
    words = [word for text in texts for word in _WORD.findall(text.casefold())]
    signs = Counter(code for word in words for sign in word if (code := _script(sign)))
    if signs["ja"]:  # Chinese signs are Japanese ones where kana stand among them
        signs["ja"] += signs.pop("zh", 0)
    letters = sum(map(len, words))
    found = Counter({code: count for code, count in signs.items() if count >= max(1, SHARE * letters)})
    listed = {code: frozenset(text.split()) for code, text in common.items()}
    counts = {code: sum(word in own for word in words) for code, own in listed.items()}
    if counts and max(counts.values()) >= max(1, COMMON * len(words)):
        found[max(counts, key=counts.__getitem__)] = letters - signs.total()
    return [code for code, _ in found.most_common()]


def _script(sign: str) -> str:
    return "" if sign.isascii() else _SCRIPTS.get(unicodedata.name(sign, "").split(" ")[0], "")
