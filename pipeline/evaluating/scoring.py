"""How right an answer is, by its letters and by its words.

exact   letter by letter, but for blanks at the ends and how a line ends; case and full stops may be what was taught
alike   the same words in the same order, whatever their case and marks, without English articles: SQuAD's exact match
        (Rajpurkar et al., 2016, arXiv 1606.05250), with a sign before a number kept, without which -5 were 5
f1      of the words of both, how many they share: SQuAD's F1, the harmonic mean of the shares of each text; 0 to 1

Letters tell where an answer is short; a long one has many right forms, and a judge has to compare (`pairwise`).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from pipeline.judging import measures

SHORT = 12  # words; what is longer can be said in many ways
ARTICLES = frozenset(("a", "an", "the"))
_MINUS = re.compile(r"(?<![\w.,])[-\u2212](?=\d)")


def exact(wanted: str, said: str) -> bool:
    return _plain(wanted) == _plain(said)


def alike(wanted: str, said: str) -> bool:
    """What has no words at all, such as "+" or an emoji, is alike where it is exact."""
    ours, theirs = words(wanted), words(said)
    return ours == theirs if ours and theirs else exact(wanted, said)


def f1(wanted: str, said: str) -> float:
    ours, theirs = words(wanted), words(said)
    if not ours or not theirs:
        return float(exact(wanted, said))
    shared = (Counter(ours) & Counter(theirs)).total()
    return 2 * shared / (len(ours) + len(theirs))


def short(wanted: Iterable[str]) -> bool:
    """Whether the answers of a set are short, as a whole: at least half of them."""
    lengths = sorted(len(words(text)) for text in wanted)
    return not lengths or lengths[(len(lengths) - 1) // 2] <= SHORT


def words(text: str) -> list[str]:
    return [word for word in measures.words(_MINUS.sub(" minus ", _plain(text))) if word not in ARTICLES]


def _plain(text: str) -> str:
    """Composed and decomposed letters are the same letters to whoever reads them."""
    return unicodedata.normalize("NFC", text).replace("\r\n", "\n").strip()
