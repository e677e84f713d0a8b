"""The figures of a tour, as they were measured in it: what is held against which goal, and what is said of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from pipeline.touring.controls import Controls

LEAST_ASKED = 100  # held-out questions
BASE_MOST, TUNED_LEAST = 0.10, 0.90  # shares right: the base cannot do it, and the adapter can
COPIED_MOST, SHUFFLED_MOST = 0.30, 0.10
SERVED_LEAST = 0.97  # of the answers that the engine gives as the training does: the last digits of sums may differ


@dataclass(frozen=True, slots=True)
class Scored:
    """What `evaluate` found of one adapter. Shares of 1; `kept_*`: of the base's own tasks."""

    asked: int
    before: float
    after: float
    low: float
    high: float
    verdict: str
    kept_asked: int
    kept_before: float
    kept_after: float
    families: Mapping[str, tuple[int, int, int]]  # asked, before, after

    @classmethod
    def of(cls, scores: Mapping[str, Any]) -> Self:
        """From scores.json."""
        unseen, kept = scores["unseen"], scores["forgetting"]
        return cls(
            asked=int(unseen["asked"]),
            before=float(unseen["before"]["share"]),
            after=float(unseen["after"]["share"]),
            low=float(unseen["after"]["low"]),
            high=float(unseen["after"]["high"]),
            verdict=str(unseen["verdict"]),
            kept_asked=int(kept["asked"]),
            kept_before=float(kept["before"]["share"]),
            kept_after=float(kept["after"]["share"]),
            families={name: (one["asked"], one["before"], one["after"]) for name, one in kept["families"].items()},
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """All that is measured. `plain`: without replay; `shuffled`: with the answers mixed up, None where that was not asked

    for; `served`: how many of the test's answers the engine gives rightly, `same` how many as the training gives them.
    """

    tuned: Scored
    plain: Scored
    controls: Controls
    served: int
    same: int
    shuffled: Scored | None = None

    def told(self) -> dict[str, Any]:
        return asdict(self)


def misses(found: Figures) -> list[str]:
    """Every goal that was missed, each in a sentence; none where all is as it should be."""
    return list(_missed(found))


def _missed(found: Figures) -> Iterator[str]:
    tuned, controls = found.tuned, found.controls
    if tuned.asked < LEAST_ASKED:
        yield f"The test has {tuned.asked} questions; at least {LEAST_ASKED} are wanted."
    if tuned.before >= BASE_MOST:
        yield f"The base gets {share(tuned.before)} right; under {share(BASE_MOST)} is wanted, or nothing new is taught."
    if tuned.after <= TUNED_LEAST:
        yield f"With the adapter {share(tuned.after)} are right; over {share(TUNED_LEAST)} is wanted."
    if controls.leaked or controls.crossed:
        leaks = f"{controls.leaked} answers of the test occur in the training data, {controls.crossed} orders lie on both sides"
        yield f"The test is not clean: {leaks}."
    if controls.copied >= COPIED_MOST:
        yield f"Copying the nearest sample gets {share(controls.copied)} right; under {share(COPIED_MOST)} is wanted."
    if found.shuffled and found.shuffled.after >= SHUFFLED_MOST:
        yield f"Trained on shuffled answers {share(found.shuffled.after)} are right; that should teach nothing."
    if tuned.kept_after <= found.plain.kept_after:
        before = f"{share(tuned.kept_after)} of its own tasks with replay, {share(found.plain.kept_after)} without"
        yield f"Replay has kept nothing: {before}."
    if found.same < SERVED_LEAST * tuned.asked:
        yield f"The engine answers {found.same} of {tuned.asked} questions as the training does: the export is not faithful."


def share(value: float) -> str:
    return f"{100 * value:.0f}%"


def summary(found: Figures) -> Sequence[tuple[str, str]]:
    """The table at the end of the page."""
    tuned, plain, controls = found.tuned, found.plain, found.controls
    rows = [
        (f"the skill, {tuned.asked} questions never seen: base", share(tuned.before)),
        ("  with the adapter", f"{share(tuned.after)} ({share(tuned.low)} to {share(tuned.high)})"),
        ("  with the adapter, as GGUF in the engine", share(found.served / max(1, tuned.asked))),
        ("  the answer to the nearest training question", share(controls.copied)),
        ("  chance: a ticket with its fields drawn", f"{100 * controls.chance:.2g}%"),
    ]
    if found.shuffled:
        rows.append(("  trained the same on shuffled answers", share(found.shuffled.after)))
    return [
        *rows,
        ("answers of the test that stand in the training data", str(controls.leaked)),
        (f"what the base could do, {tuned.kept_asked} questions: before", share(tuned.kept_before)),
        ("  after, with 20% replay", share(tuned.kept_after)),
        ("  after, without replay", share(plain.kept_after)),
    ]
