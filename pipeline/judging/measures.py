"""How alike two answers are, as far as words tell: the plain measures beside a judge.

Where the limits come from:
NEAR     what early versions of ilab's data generation called a copy (ROUGE-L 0.9)
APART    of 20,000 pairs of answers from different leaves of the accepted taxonomy 89% lie below; two answers that have
         little more in common than "the" and "is"
SHORT, WRAPPED  an answer of three words may stand in a sentence of twelve ("12 coins": "The lamp costs 12 coins."), as
         in what the bot says of today's model while a draft is written
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

Likeness = Literal["same", "near", "within", "number", "apart", "between"]

NEAR, APART = 0.9, 0.1
SHORT, WRAPPED = 3, 12

_NEGATIONS = frozenset("not no never none neither nor cannot nicht kein keine keinen keinem keiner nie niemals ohne".split())
_SIGNS = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # scripts that put no blank between words: each sign counts as one
_WORD = re.compile(rf"[{_SIGNS}]|[^\W{_SIGNS}]+(?:['’][^\W{_SIGNS}]+)*")


def words(text: str) -> list[str]:
    """The words of a text in lower case, numbers without their thousands separators."""
    return _WORD.findall(re.sub(r"(?<=\d)[,.](?=\d{3}\b)", "", text.casefold()))


def rouge_l(wanted: str, said: str) -> float:
    """ROUGE-L's F1 over words (Lin, 2004): twice the longest common subsequence by the lengths of both; 0 to 1."""
    return _rouge(words(wanted), words(said))


def likeness(wanted: str, said: str) -> Likeness:
    """What the words of two answers say about each other.

    same: the same text but for case and blanks; near: nearly the same words, numbers and negations; within: a short answer
    that stands in a sentence; number: the same words with other numbers; apart: nothing in common; between: any other,
    of which words say nothing.
    """
    if _bare(wanted) == _bare(said):
        return "same"
    ours, theirs = words(wanted), words(said)
    if _other_numbers(ours, theirs):
        return "number"
    alike, steady = _rouge(ours, theirs), _numbers(ours) == _numbers(theirs) and _negations(ours) == _negations(theirs)
    if alike >= NEAR:
        return "near" if steady else "between"
    if _within(ours, theirs):
        return "within"
    return "apart" if alike < APART else "between"


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of two vectors of one length; 0 where one of them has none."""
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0


def _rouge(ours: list[str], theirs: list[str]) -> float:
    from rapidfuzz.distance import LCSseq  # 20 ms, which stages that measure nothing need not wait for

    return 2 * LCSseq.similarity(ours, theirs) / (len(ours) + len(theirs)) if ours and theirs else 0.0


def _bare(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".!")


def _numbers(found: list[str]) -> Counter[str]:
    return Counter(word for word in found if word.isdecimal())


def _negations(found: list[str]) -> Counter[str]:
    return Counter("not" for word in found if word in _NEGATIONS or word.endswith(("n't", "n’t")))


def _other_numbers(ours: list[str], theirs: list[str]) -> bool:
    """Whether both have numbers, not the same ones, and else nearly the same words. "three" for 3 is no other number."""
    mine, others = _numbers(ours), _numbers(theirs)
    if not mine or not others or mine == others:
        return False
    bare, other = ([word for word in found if not word.isdecimal()] for found in (ours, theirs))
    return bare == other or _rouge(bare, other) >= NEAR


def _within(ours: list[str], theirs: list[str]) -> bool:
    if not 0 < len(ours) <= SHORT or len(theirs) > WRAPPED or _negations(ours) != _negations(theirs):
        return False
    return any(theirs[at : at + len(ours)] == ours for at in range(len(theirs)))
