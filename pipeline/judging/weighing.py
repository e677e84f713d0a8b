"""What votes and measures say together: of one answer (known, gap, uncertain), and of a whole draft.

Everything is counted in one unit: what one order of a judge that sees clearly is worth, odds of 4 to 1. Judges agree with
people in four of five cases (Zheng et al., 2023, "Judging LLM-as-a-Judge": over 80%), and votes of one order repeat each
other rather than add, so an order counts once, with the mean of its votes; both orders agreed give 16 to 1.

* An answer is decided from one unit up (80%), else uncertain.
* The two orders contradict each other: the judge takes what stands first (or second), and its votes count for nothing.
  So they do where one order has no vote that can be used.
* Measures (`measures.likeness`): nearly the same words, the same with other numbers, or the question said back, are two
  units: a judge that is sure of the contrary makes it uncertain. Nothing in common is one unit for a gap: a judge that
  clearly finds both alike turns it over, since a paraphrase can share no word. A short answer within a sentence is one
  unit. The same text is four, and no answer at all as well: nobody is asked about those.
* A judge is tried on the draft itself: it compares the contributor's answer to a question with the contributor's answer
  to another one. Who picks the right one in fewer than three of four trials has no say; guessing comes through in 2% of
  drafts (8 trials, three choices: 1.97%), taking the first always in none. So a model too small to judge, such as the
  practice model judging itself, leaves the word to the measures.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.judging.measures import Likeness

State = Literal["known", "gap", "uncertain"]
Verdict = Literal["worth", "known", "mixed", "uncertain"]
Better = Literal["wanted", "said", "same", ""]  # "": the judge gave no usable vote
Kind = Likeness | Literal["empty", "refused", "echo", "cut", "long"]
Bench = Literal["", "split", "biased", "broken", "untrusted"]  # what keeps a judge's votes from counting

ODDS = 4.0  # to 1, a unit of evidence
DECIDED = 1.0  # units
TRUSTED = 0.75  # of the trials
MOSTLY = 0.8  # of the questions: with the five that an entry needs, one may be otherwise
WEIGHT: dict[Kind, float] = {  # for "known", in units
    "same": 4.0,
    "near": 2.0,
    "within": 1.0,
    "between": 0.0,
    "cut": 0.0,
    "long": 0.0,
    "apart": -1.0,
    "number": -2.0,
    "echo": -2.0,
    "refused": -2.0,
    "empty": -4.0,
}
PLAIN: tuple[Kind, ...] = ("same", "empty", "refused", "long")  # no judge is asked about these


@dataclass(frozen=True, slots=True)
class Vote:
    """What a judge said of the contributor's answer (`wanted`) and the model's (`said`); `swapped`: the model's stood first."""

    swapped: bool
    better: Better
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """`known` is the chance (0 to 1) that the model can do it already; `why` names what decided.

    `why`: a Kind, "judge", or for what is uncertain a Bench or "disagree"; `quote` is the judge's own reason, "" for none.
    """

    state: State
    known: float
    why: str
    quote: str = ""

    @property
    def confidence(self) -> float:
        return max(self.known, 1 - self.known)


def judged(kind: Kind, votes: Sequence[Vote], *, trusted: bool = True) -> Judged:
    """Weigh the measures and the votes on one answer."""
    units, bench = evidence(votes)
    if not trusted and any(vote.better for vote in votes):
        units, bench = 0.0, "untrusted"
    total = WEIGHT[kind] + units
    known = 1 / (1 + ODDS**-total)
    if abs(total) < DECIDED:
        return Judged("uncertain", known, _doubt(kind, units, bench))
    state: State = "known" if total > 0 else "gap"
    if units * total > 0:
        return Judged(state, known, "judge", _quote(votes, total > 0))
    return Judged(state, known, kind)


def evidence(votes: Sequence[Vote]) -> tuple[float, Bench]:
    """The votes in units, positive for "known" (-2 to 2), and what is wrong with them where they say nothing."""
    means = []
    for swapped in (False, True):
        values = [_value(vote) for vote in votes if vote.swapped == swapped and vote.better]
        if not values:
            return 0.0, "broken" if votes else ""
        means.append(sum(values) / len(values))
    if means[0] * means[1] < 0:
        return 0.0, "biased"
    return sum(means), "" if sum(means) else "split"


def trusted(trials: Sequence[Vote]) -> bool:
    """Whether a judge picks the right answer, there `wanted`, in most trials; none speak against nobody."""
    return sum(vote.better == "wanted" for vote in trials) >= math.ceil(TRUSTED * len(trials))


def verdict(found: Sequence[Judged]) -> tuple[Verdict, float]:
    """What is to be said of a draft, and the chance that it holds.

    The chance is that of so many gaps among all its questions, each with its own probability and apart from the others
    (Poisson's binomial distribution).
    """
    count = len(found)
    decided = [one for one in found if one.state != "uncertain"]
    if 2 * len(decided) < count or not decided:
        return "uncertain", 0.0
    named = _named(sum(one.state == "gap" for one in decided), len(decided))
    chances = [1.0]
    for one in found:
        gap = 1 - one.known
        chances = [stay * one.known + come * gap for stay, come in zip([*chances, 0.0], [0.0, *chances], strict=True)]
    return named, sum(chance for gaps, chance in enumerate(chances) if _named(gaps, count) == named)


def counts(found: Iterable[Judged]) -> dict[State, int]:
    states = [one.state for one in found]
    return {"known": states.count("known"), "gap": states.count("gap"), "uncertain": states.count("uncertain")}


def _named(gaps: int, count: int) -> Verdict:
    if gaps >= MOSTLY * count:
        return "worth"
    return "known" if count - gaps >= MOSTLY * count else "mixed"


def _value(vote: Vote) -> int:
    """A model that does as well as the contributor, or better, knows it already."""
    return -1 if vote.better == "wanted" else 1


def _doubt(kind: Kind, units: float, bench: Bench) -> str:
    if kind in ("cut", "long"):
        return kind
    return bench or ("disagree" if WEIGHT[kind] and units else "split" if units else "unjudged")


def _quote(votes: Sequence[Vote], known: bool) -> str:
    return next((vote.reason for vote in votes if vote.better and (_value(vote) > 0) == known), "")
