"""A question, in its conversation, against the index: entries in order, and what speaks for the first of them.

Fusion is a plain sum: each field's score is 0 to about 1 already. A question that leans on the one before is asked both ways.
A message with two questions is searched for as a whole, which the parts support: each part's best entry comes next in order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bot.faq import index as indexed
from bot.faq.index import Floats, Index
from bot.faq.words import STOP, clean, content, follows, parts, questions, stems, words

# How much the BM25 fields count beside the phrasings. Found by leaving half the phrasings of configs/faq out and asking with
# them, where anything from 0.3 to 0.8 differs by a percent. Where entries have titles only (tried by leaving all of them out)
# the fields must say more; by the held-out questions the right entry is then first for 3% more, among three for 6%.
PHRASED = (0.5, 0.3, 0.0, 0.0)  # the whole text, its content words, parts of these, words akin to them
UNPHRASED = (0.8, 0.8, 0.5, 0.8)  # akin: with all phrasings left out, 0.2 to 1.2 do as well, and 1% (among three 2%) over none
VECTORS = 1.5  # the embeddings' cosine above its mean, -0.3 to 0.7: about as much as the phrasings; no model was here to try
EXACT = 2.0  # more than all fields together
PART = 0.6  # least score of a part's best entry, beside the whole's, to be told as a second answer
BEFORE = 0.5  # the questions before, beside the question itself, when it leans on them
CLEAR = 0.45  # of the fused scores: "what is a taxonomy" after talk of hardware is ahead by 0.5, "for mac" by 0.2
SHORT = 3  # content words; fewer may well lean on what was said
MOST_PARTS = 3
REMEMBERED = 2  # questions before this one

Vectors = Callable[[str], Floats | None]  # a text's cosine with each entry, or None where there is no endpoint


@dataclass(frozen=True, slots=True)
class Found:
    """Entries in order, best first, with their scores, and the evidence that the first of them answers the question."""

    order: tuple[int, ...]
    exact: bool  # whether the question is, word for word, one that the entry is asked by
    scores: Floats
    evidence: Floats  # one value for each of EVIDENCE
    firsts: tuple[int, ...]  # the best entry, then those of further questions in the message


# Each value speaks for an answer the more, the larger it is. More of them (each field's own score, the nearest phrasing, the
# question's length) tell covered and foreign questions of the FAQ itself apart better by 0.01, and people's questions worse.
EVIDENCE = ("score", "margin", "known", "asked", "said", "amount", "unlike")


@dataclass(frozen=True, slots=True)
class _Asked:
    """One text that was searched for: its words, mended, and each entry's score."""

    words: tuple[str, ...]
    said: Floats  # without embeddings: the evidence is weighed as it was fitted
    scores: Floats
    unsaid: float  # how much it is like what the FAQ does not say


def search(index: Index, question: str, history: Sequence[str] = (), vectors: Vectors | None = None) -> Found:
    """Every entry in order. `history`: the same person's questions before, oldest first."""
    asked = _asked(index, clean(question), vectors)
    exact = index.exact.get(asked.words)
    leaning = bool(history) and leans(question) and (follows(clean(question)) or not _clear(asked.scores))
    alone = asked.words
    if leaning:
        asked = _mixed(asked, _asked(index, " ".join((*map(clean, history[-REMEMBERED:]), clean(question))), vectors))
    order = list(map(int, np.argsort(-asked.scores, kind="stable")))
    seconds = _seconds(index, question, vectors, float(asked.scores[order[0]]))
    firsts = tuple(dict.fromkeys((order[0], *seconds)))
    evidence = _evidence(index, asked, order[0])
    if leaning:  # the words before are mostly known, whatever is asked now: its own say as much as all of them
        evidence = (evidence + _evidence(index, replace(asked, words=alone), order[0])) * np.float32(0.5)
    rest = (number for number in order if number not in firsts)
    return Found((*firsts, *rest), exact == order[0], asked.scores, evidence, firsts)


def _mixed(asked: _Asked, before: _Asked) -> _Asked:
    """The question by itself and after those before it."""
    share = np.float32(BEFORE)
    said = asked.said * (1 - share) + before.said * share
    unsaid = asked.unsaid * (1 - BEFORE) + before.unsaid * BEFORE
    return _Asked(before.words, said, asked.scores * (1 - share) + before.scores * share, unsaid)


def _seconds(index: Index, question: str, vectors: Vectors | None, least: float) -> list[int]:
    """The best entries of the questions in a message that asks several; none for one question with an introduction."""
    asked = [part for part in parts(clean(question)) if questions(part)]
    if len(asked) < 2:
        return []
    found = [_asked(index, part, vectors).scores for part in asked[:MOST_PARTS]]
    return [int(np.argmax(scores)) for scores in found if float(scores.max()) >= PART * least]


def _clear(scores: Floats) -> bool:
    """Whether one entry is so far ahead that the question says by itself what it is about, short as it is."""
    return len(scores) > 1 and float(np.subtract(*np.partition(scores, -2)[[-1, -2]])) >= CLEAR


def leans(question: str) -> bool:
    """Whether a question may need those before it to be understood."""
    return follows(clean(question)) or len(content(clean(question))) <= SHORT


def _asked(index: Index, text: str, vectors: Vectors | None) -> _Asked:
    query = indexed.mended(index, words(text))
    fields = indexed.scores(index, query)
    cosines = vectors(text) if vectors else None
    whole, some, parted, like = UNPHRASED if index.pieces else PHRASED
    said = fields.phrasings + whole * fields.whole + some * fields.content + parted * fields.pieces + like * fields.akin
    said *= index.prior
    if (exact := index.exact.get(tuple(query))) is not None:
        said[exact] += EXACT
    scores = said if cosines is None else said + VECTORS * (cosines - cosines.mean())
    return _Asked(tuple(query), said, scores, fields.unsaid)


def _evidence(index: Index, asked: _Asked, top: int) -> Floats:
    """What tells a question that the FAQ answers from one that it does not; float32 (len(EVIDENCE),)."""
    others = np.delete(asked.said, top)
    second = others.max() if len(others) else 0.0
    rarity = _rarity(index, asked.words)
    total = sum(rarity.values()) or 1.0
    held = sum(weight for stem, weight in rarity.items() if top in index.known.get(stem, ()))
    phrased = sum(weight for stem, weight in rarity.items() if top in index.asked.get(stem, ()))
    return np.array(
        [
            asked.said[top],  # how well the best entry fits
            asked.said[top] - second,  # and how much better than the next
            held / total,  # the share of what the question says that the entry knows
            phrased / total,  # that its phrasings know
            sum(weight for stem, weight in rarity.items() if stem in index.known) / total,  # that any entry knows
            np.log1p(held),  # how much that is: one common word in common is little, though it be all that was said
            -asked.unsaid,  # how little it is like questions that the FAQ is known not to answer
        ],
        dtype=np.float32,
    )


def _rarity(index: Index, query: Sequence[str]) -> Mapping[str, float]:
    """The question's stems that say what it is about, with how much each of them says."""
    field = index.content
    return {stem: field.rarity.get(stem, field.unknown) for stem in stems([word for word in query if word not in STOP])}
