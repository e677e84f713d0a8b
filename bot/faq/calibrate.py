"""How sure is it that the FAQ answers a question? A small logistic model, fitted to each FAQ from the FAQ itself.

Part of what is known is hidden, and the rest is asked about it. Where entries say how they are asked, every second phrasing
is hidden as a question that the FAQ answers, and half of the list of what it does not say as questions that it does not. Where
they do not, half of a title and a sentence of the text serve as phrasings, and the other kind are questions on whole entries
that are hidden, and small talk. The threshold `answer` is where both kinds of error are as near as each other to what is wanted
of them, `offer` below it, so that few of the first kind are sent away without an entry shown.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bot.faq.index import Floats, build, ridged
from bot.faq.load import GLOSSARY, Entry
from bot.faq.search import EVIDENCE, search
from bot.faq.words import content, words

PART = 3  # every third entry is hidden; doing it again with others moves the figures by less than a percent
MOST_ENTRIES = 600  # that the rest is taken from, evenly, where an FAQ is very large
MOST_PROBES = 200  # questions of each kind
RIDGE = 10.0  # pulls the weights together; by questions that were left out 1 to 30 differ by 0.003 of area, 100 loses 0.007
RUN = 6  # lines that stand together in a list are about one thing, and are hidden together
ROUNDS = 12  # Newton's method settles within ten
MISSED, WRONG = 0.15, 0.20  # at most wanted: questions that are answered and are not told so, and the other way round
OFFERED = 0.95  # the share of what the FAQ answers that should at least be offered
LONGEST_SENTENCE = 12  # words of it; people ask shorter than FAQs answer
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n{2,}|\n(?=\s*(?:[-*+]|\d+[.)])\s)")


@dataclass(frozen=True, slots=True)
class Model:
    """The probability that the FAQ answers: a weighed sum of the evidence, put in terms of its mean and spread."""

    mean: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    answer: float
    offer: float

    def probability(self, evidence: Floats) -> float:
        even = (np.asarray(evidence, dtype=np.float64) - self.mean) / self.spread
        return float(_logistic(np.asarray(even @ np.asarray(self.weights) + self.bias)))


def fit(entries: Sequence[Entry], unsaid: Sequence[str], off_topic: Sequence[str]) -> Model:
    """The model of these entries. `unsaid`: what the index takes in as not said by them; where that is nothing, `off_topic`
    stands for it. The same of all give the same model."""
    covered, others = _asked(entries, unsaid, off_topic)
    if len(covered) < 2 or len(others) < 2:
        return _unfitted()
    evidence = np.array(covered + others, dtype=np.float64)
    wanted = np.repeat([1.0, 0.0], [len(covered), len(others)])
    mean, spread = evidence.mean(axis=0), evidence.std(axis=0) + 1e-6
    even = (evidence - mean) / spread
    weights = _fitted(even, wanted)
    slope, bias = map(
        float, _newton((even @ weights[:-1])[:, None], wanted, 1.0)
    )  # what the ridge flattened is made steep again
    weights = np.array([*(weights[:-1] * slope), bias])
    chances = _logistic(even @ weights[:-1] + weights[-1])
    answer, offer = _thresholds(chances[: len(covered)], chances[len(covered) :])
    return Model(_tuple(mean), _tuple(spread), _tuple(weights[:-1]), bias, answer, offer)


def _asked(entries: Sequence[Entry], unsaid: Sequence[str], off_topic: Sequence[str]) -> tuple[list[Floats], list[Floats]]:
    """The evidence of questions that the rest of the FAQ answers, and of those that it does not."""
    held = [_held(entry) for entry in entries[:: len(entries) // MOST_ENTRIES + 1]]
    hidden = [] if unsaid else held[::PART]
    rest = [one for number, one in enumerate(held) if unsaid or number % PART]
    if not rest:
        return [], []
    runs = [unsaid[start : start + RUN] for start in range(0, len(unsaid), RUN)]
    index = build([entry for entry, _ in rest], _joined(runs[1::2]), ridge=ridged(entries))
    covered = _spread(_joined([questions for _, questions in rest]))
    others = [
        *_spread(_joined([questions for _, questions in hidden])),
        *(_spread(_joined(runs[::2])) if unsaid else off_topic),
    ]
    return [search(index, one).evidence for one in covered], [search(index, one).evidence for one in others]


def _tuple(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(map(float, values))


def _joined(parts: Sequence[Sequence[str]]) -> list[str]:
    return [one for part in parts for one in part]


def _held(entry: Entry) -> tuple[Entry, list[str]]:
    """The entry without some of what it is asked by, and that."""
    if len(entry.asked) > 1:
        return replace(entry, asked=entry.asked[::2]), list(entry.asked[1::2])
    title = content(entry.title.removeprefix(GLOSSARY))
    taken, left = (title[::2], title[1::2]) if len(title) > 2 else (title, title)
    sentences = [one for one in _SENTENCE.split(entry.body) if len(content(one)) > 2]
    said = sentences[0] if len(sentences) > 1 else ""
    rest = replace(entry, title=" ".join(left), body=entry.body.replace(said, "", 1) if said else entry.body)
    return rest, [" ".join(one) for one in (taken, words(said)[:LONGEST_SENTENCE]) if one]


def _spread(questions: Sequence[str]) -> Sequence[str]:
    """MOST_PROBES of them at most, taken evenly."""
    step = max(1, -(-len(questions) // MOST_PROBES))
    return questions[::step]


def _fitted(evidence: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights and, last, the bias. Each value speaks for an answer, so one that the fit would turn around is left out:
    it makes up for another there, and misleads with questions that are unlike the FAQ's own."""
    kept = list(range(evidence.shape[1]))
    while True:
        weights = _newton(evidence[:, kept], wanted, RIDGE)
        if not kept or weights[:-1].min() >= 0:
            break
        del kept[int(np.argmin(weights[:-1]))]
    found = np.zeros(evidence.shape[1] + 1)
    found[[*kept, -1]] = weights
    return found


def _newton(evidence: NDArray[np.float64], wanted: NDArray[np.float64], stiff: float) -> NDArray[np.float64]:
    """Newton's method for logistic regression, both kinds of question weighing the same."""
    rows = np.hstack([evidence, np.ones((len(evidence), 1))])
    share = np.where(wanted > 0, 0.5 / wanted.mean(), 0.5 / (1 - wanted.mean()))
    ridge = np.diag([stiff] * evidence.shape[1] + [0.0])
    weights = np.zeros(rows.shape[1])
    for _ in range(ROUNDS):
        chances = _logistic(rows @ weights)
        slope = rows.T @ (share * (chances - wanted)) + ridge @ weights
        bend = (rows * (share * chances * (1 - chances))[:, None]).T @ rows + ridge + 1e-6 * np.eye(len(weights))
        weights = weights - np.linalg.solve(bend, slope)
    return weights


def _thresholds(covered: NDArray[np.float64], others: NDArray[np.float64]) -> tuple[float, float]:
    """Where the larger of both errors, each as a share of what is wanted, is least; and where OFFERED of the first is above."""
    steps = np.linspace(0.02, 0.98, 97)
    missed = np.array([(covered < step).mean() for step in steps]) / MISSED
    wrong = np.array([(others >= step).mean() for step in steps]) / WRONG
    answer = float(steps[np.argmin(np.maximum(missed, wrong))])
    return answer, min(answer, float(np.quantile(covered, 1 - OFFERED)))


def _logistic(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(value, -30, 30)))


def _unfitted() -> Model:
    """For an FAQ too small to learn from: the score alone, at half a full one."""
    zeros, ones = (0.0,) * len(EVIDENCE), (1.0,) * len(EVIDENCE)
    return Model(zeros, ones, (4.0, *zeros[1:]), -2.0, 0.5, 0.3)
