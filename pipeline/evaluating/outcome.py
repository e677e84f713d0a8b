"""What came of the comparison, as scores.json has it: for each set its figures, a test and a verdict.

By what a set is decided (`by`) is settled before anything is tested, from what the test itself does not look at: how long the
wanted answers are, and how many questions either model got right, whichever it was. Short answers are compared letter by
letter; where next to nothing is right on either side, that tells nothing, and the words they share with the wanted one do.
Long ones are a judge's to compare, and without a judge their words are counted.

A base that talks on is cut, and what is cut is seldom right: then "better" may mean no more than "shorter", and is withheld.
"Worse" is not: the tuned model was taught answers of this length, and whoever asks it has what is cut.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.evaluating import paired, pairwise, regression, scoring, wording
from pipeline.evaluating.answers import Said
from pipeline.evaluating.paired import Difference
from pipeline.evaluating.pairwise import Preference
from pipeline.evaluating.questions import Question, evenly, told
from pipeline.evaluating.regression import Source
from pipeline.judging.asking import Model

VERSION = 1
EXAMPLES = 200  # rows that the page shows
CUT = 1 / 5  # of the answers: with more that were cut before and not after, better is no verdict
LEAST_RIGHT = 6  # questions: with fewer that differ, no test of right and wrong can come below 5%

By = Literal["exact", "f1", "judge"]


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with what base and tuned model said to it."""

    question: Question
    before: Said
    after: Said

    @property
    def right(self) -> tuple[bool, bool]:
        wanted = self.question.wanted
        return scoring.exact(wanted, self.before.text), scoring.exact(wanted, self.after.text)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judge preferred, answer by answer; without a judge, `why`."""

    preferences: Sequence[Preference] = ()
    judge: Model | None = None
    kappa: float = 0.0
    why: pairwise.Why = ""


def is_short(answered: Sequence[Answered]) -> bool:
    return scoring.short(one.question.wanted for one in answered)


def compared(answered: Sequence[Answered], judged: Judged) -> dict[str, Any]:
    """A set of held-out questions, as it stands in scores.json."""
    rights, of = [one.right for one in answered], _clusters(answered)
    f1s = [tuple(scoring.f1(one.question.wanted, text) for text in (one.before.text, one.after.text)) for one in answered]
    tests = {"exact": paired.difference(*_columns(rights), of), "f1": paired.difference(*_columns(f1s), of)}
    if judged.judge:
        tests["judge"] = paired.changed([one.value for one in judged.preferences], of)
    by = _by(answered, rights, judged)
    verdict = paired.verdict(paired.independent(of), tests[by])
    withheld = verdict == "better" and _talks_on(answered)
    found: dict[str, Any] = {
        "asked": len(answered),
        "independent": paired.independent(of),
        "by": by,
        "before": _side(answered, rights, f1s, 0),
        "after": _side(answered, rights, f1s, 1),
        "difference": _difference(tests[by]),
        "tests": {name: _difference(one) for name, one in tests.items()},
        "verdict": "none" if withheld else verdict,
        "withheld": "cut" if withheld else "",
        "cut_at": _cut_at(answered),
        "pairwise": _pairwise(judged, of) if judged.judge else None,
        "why_no_pairwise": pairwise.SAID.get(judged.why, ""),
        "why": judged.why,
    }
    return {**found, "sentence": wording.compared(found, answered[0].question.set if answered else "unseen")}


def kept(answered: Sequence[Answered], source: Source) -> dict[str, Any] | None:
    """What the base could do before and after; None where nothing was asked."""
    if not answered:
        return None
    rights = [
        tuple(regression.right(source, one.question, text) for text in (one.before.text, one.after.text)) for one in answered
    ]
    of = _clusters(answered)
    difference = paired.difference(*_columns(rights), of)
    judged = paired.verdict(paired.independent(of), difference)
    families: dict[str, dict[str, int]] = {}
    for one, (before, after) in zip(answered, rights, strict=True):
        counts = families.setdefault(one.question.set, {"asked": 0, "before": 0, "after": 0})
        for name, more in (("asked", 1), ("before", before), ("after", after)):
            counts[name] += more
    found = {
        "source": source,
        "asked": len(answered),
        "independent": paired.independent(of),
        "before": {**_share([before for before, _ in rights], of), **_troubles(answered, 0)},
        "after": {**_share([after for _, after in rights], of), **_troubles(answered, 1)},
        "difference": _difference(difference),
        "verdict": {"worse": "lost", "few": "few"}.get(judged, "kept"),
        "withheld": "cut" if judged in ("better", "none") and _talks_on(answered) else "",
        "cut_at": _cut_at(answered),
        "families": families,
    }
    return {**found, "sentence": wording.kept(found)}


def examples(sets: Mapping[str, Sequence[Answered]], judged: Mapping[str, Judged]) -> list[dict[str, Any]]:
    """Rows for people to read: evenly of all that was asked."""
    rows = []
    for name, answered in sets.items():
        preferences = judged[name].preferences
        for at, one in enumerate(answered):
            right_before, right_after = one.right
            more: dict[str, Any] = {"right_before": right_before, "right_after": right_after}
            if preferences:
                more |= {"preferred": preferences[at].value, "reason": preferences[at].reason}
            rows.append(row(one, **more))
    return evenly(rows, EXAMPLES)


def row(one: Answered, **more: Any) -> dict[str, Any]:
    return told(one.question, before=one.before.text, after=one.after.text, **more)


def example(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The one that shows most: an answer that became right, else one that is preferred, else any."""
    kinds: tuple[Callable[[Mapping[str, Any]], bool], ...] = (
        lambda one: one["right_after"] and not one["right_before"],
        lambda one: one.get("preferred") == 1,
        lambda one: one["right_after"],
        lambda _: True,
    )
    return next((one for fits in kinds for one in rows if fits(one)), None)


# --- figures


def _by(answered: Sequence[Answered], rights: Sequence[tuple[bool, bool]], judged: Judged) -> By:
    if not is_short(answered):
        return "judge" if judged.judge else "f1"
    either = sum(before or after for before, after in rights)
    return "f1" if either < min(LEAST_RIGHT, len(answered) / 5) else "exact"


def _side(
    answered: Sequence[Answered], rights: Sequence[tuple[bool, bool]], f1s: Sequence[tuple[float, ...]], side: int
) -> dict[str, Any]:
    texts = [(one.question.wanted, (one.before, one.after)[side].text) for one in answered]
    of = _clusters(answered)
    alike, f1 = sum(scoring.alike(*pair) for pair in texts), paired.interval([one[side] for one in f1s], of)
    figures = {"alike": alike, "f1": _figure(f1.mean), "f1_low": _figure(f1.low), "f1_high": _figure(f1.high)}
    return {**_share([one[side] for one in rights], of), **figures, **_troubles(answered, side)}


def _clusters(answered: Sequence[Answered]) -> list[Hashable]:
    """Which questions are independent of each other: for each its cluster."""
    return [one.question.of or at for at, one in enumerate(answered)]


def _troubles(answered: Sequence[Answered], side: int) -> dict[str, int]:
    found = [(one.before, one.after)[side].trouble for one in answered]
    return {name: found.count(name) for name in ("cut", "long")}


def _talks_on(answered: Sequence[Answered]) -> bool:
    """Whether the base was cut where the tuned model was not, so often that this alone may make the difference."""
    alone = sum(one.before.trouble == "cut" and one.after.trouble != "cut" for one in answered)
    return alone > CUT * len(answered)


def _cut_at(answered: Sequence[Answered]) -> list[int]:
    """The fewest and the most tokens that answers were cut at; nothing where none was."""
    said = [said for one in answered for said in (one.before, one.after) if said.trouble == "cut"]
    found = sorted({one.tokens for one in said if one.tokens})
    return [found[0], found[-1]] if found else []


def _share(rights: Sequence[bool], of: Sequence[Hashable]) -> dict[str, Any]:
    found = paired.interval(rights, of)
    share = {"share": _figure(found.mean), "low": _figure(found.low), "high": _figure(found.high)}
    return {"right": sum(rights), **share}


def _difference(found: Difference) -> dict[str, float]:
    return {"share": _figure(found.mean), "low": _figure(found.low), "high": _figure(found.high), "p": float(f"{found.p:.3g}")}


def _pairwise(judged: Judged, of: Sequence[Hashable]) -> dict[str, Any]:
    assert judged.judge
    found = pairwise.counted(judged.preferences, judged.judge, judged.kappa)
    share = paired.interval([float(one.value > 0) for one in judged.preferences], of)
    return {**found, "share": _figure(share.mean), "low": _figure(share.low), "high": _figure(share.high)}


def _figure(value: float) -> float:
    return round(value, 4)


def _columns(pairs: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    return [float(one[0]) for one in pairs], [float(one[1]) for one in pairs]
