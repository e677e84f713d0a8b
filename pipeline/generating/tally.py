"""Counts what becomes of samples while they are made, says it, and ends a run that leads to nothing, with advice.

A run is ended early where it can be told that less than the share that the recipe names will survive: what each step lets
through, at the upper end of Wilson's interval (1927) at 95%, multiplied. So bad luck with the first few ends nothing, nor
does it that samples which are dropped come to their end sooner than those that are kept.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pipeline.errors import Invalid, Problem
from pipeline.generating import advice
from pipeline.generating.asked import WRONG_CHARS, Out
from pipeline.generating.plan import Start
from pipeline.generating.recipes import Recipe, Step
from pipeline.generating.rows import Row, Set
from pipeline.generating.underway import Sample

TELL_S, BEAT_S = 1.0, 30.0  # how often it is said how it goes: at most, and at least
SHOWN = 400  # bytes of each text of the first samples: they are told with every step, and each step is kept for itself
ADVICE_MOST = 6
SURE = 1.96  # of the normal distribution: 95%

Keep = Callable[[Row], Any]


class Repeats(Protocol):
    """Finds what was asked before: among the seed examples, and among the samples with lower numbers."""

    def __call__(self, row: Row) -> Row | None: ...


class Shown(Protocol):
    """The first samples that are kept, in `rows`: the same ones in every attempt."""

    @property
    def rows(self) -> Sequence[Row]: ...

    async def see(self, row: Row) -> None: ...


class Tally:
    """What hears of every sample. `keep` writes one down; `report(fraction, facts)` says how it goes."""

    def __init__(
        self,
        recipe: Recipe,
        wanted: Mapping[Set, int],
        *,
        keep: Keep,
        repeated: Repeats,
        shown: Shown,
        report: Callable[[float, Mapping[str, str]], None],
        facts: Callable[[], Mapping[str, str]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.recipe, self.wanted, self.keep, self.repeated = recipe, wanted, keep, repeated
        self._report, self._facts, self.clock, self.shown = report, facts, clock, shown
        self.finished: Counter[Set] = Counter()
        self.kept: Counter[Set] = Counter()
        self.slots: Counter[Set] = Counter()  # samples that the requests so far could have led to
        self.through: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()  # requests for lists that led to nothing
        self._wrong: dict[str, tuple[int, str]] = {}  # of these: what was wrong with the first
        self.spoilt: Counter[Set] = Counter()  # samples that these could have led to
        self._examples: dict[tuple[str, int], Row] = {}  # by advice and seed example
        self._counts: Counter[tuple[str, int]] = Counter()
        self._began, self._told_at = clock(), -TELL_S
        self._known = 0.0  # the share that was done when this attempt got its first answer
        self._asked = False

    # --- what is heard

    def began(self, start: Start) -> None:
        self.slots[start.set] += self.recipe.listed() if start.set != "reworded" else start.steps[0].config.each

    def passed(self, step: Step, sample: Sample) -> None:
        if sample.start.set == "train":
            self.through[step.name] += 1

    def lost(self, start: Start, step: Step, out: Out) -> None:
        lists = [one.config.each for one in start.steps[start.steps.index(step) :] if one.config.does == "list"]
        self.spoilt[start.set] += math.prod(lists)
        if start.set != "train":
            return self.tell()
        reason = f"{step.name}:{out.why}"
        self.losses[reason] += 1
        first = (start.number, out.wrong[:WRONG_CHARS])
        self._wrong[reason] = min(first, self._wrong.get(reason, first))
        lost = Row("", start.number, start.set, start.leaf.kind, start.leaf.name, start.example.number, "")
        self._note(lost.dropped(step.name, "malformed" if out.why != "failed" else "failed", out.wrong))
        self._check()
        return self.tell()

    def repeats(self, row: Row) -> Row | None:
        return self.repeated(row) if row.set == "train" else None

    async def done(self, row: Row) -> None:
        """Raises Invalid generate.few where too few survive."""
        await self.keep(row)
        self.finished[row.set] += 1
        self.kept[row.set] += row.kept
        if row.set == "train":
            if row.kept:
                await self.shown.see(row)
            else:
                self.reasons[f"{row.at}:{row.why}"] += 1
                self._note(row)
            self._check()
        self.tell()

    # --- what is said

    @property
    def fraction(self) -> float:
        """How much is done, 0 to 1: of the samples that are expected, as requests so far have led to some."""
        done = sum(self.finished.values())
        slots = sum(self.slots.values())
        return min(1.0, done / max(1.0, max(slots, sum(self.wanted.values())) * self._yield(done, slots)))

    def _yield(self, done: int, slots: int) -> float:
        """Samples for each that was asked for; 1 as long as that cannot be told."""
        begun = max(done, slots - sum(self.spoilt.values()))
        return min(1.0, begun / slots) if slots else 1.0

    def tell(self, *, last: bool = False) -> None:
        now = self.clock()
        if last or now - self._told_at >= TELL_S:
            self._told_at = now
            self._report(self.fraction, self.facts())

    def facts(self) -> dict[str, str]:
        dropped = self.finished["train"] - self.kept["train"]
        names = [step.name for step in self.recipe.steps]
        steps = [[name, self.through[name], self._dropped(name)] for name in names]
        first = [
            {"id": row.id, "number": row.number, "question": _clipped(row.question), "answer": _clipped(row.answer)}
            for row in self.shown.rows
        ]
        told = self._facts()
        if not self._asked and told.get("done", "0") != "0":
            self._asked, self._known, self._began = True, self.fraction, self.clock()
        return {
            "wanted": str(self.wanted["train"]),
            "kept": str(self.kept["train"]),
            "dropped": str(dropped),
            "held": str(self.kept["unseen"]),
            "steps": json.dumps(steps),
            "reasons": json.dumps(dict(self.reasons + self.losses)),
            "first": json.dumps(first, ensure_ascii=False),
            **told,
            **self._left(),
        }

    def lost_lists(self) -> list[dict[str, Any]]:
        """Requests for lists that led to nothing: at which `step`, `why`, how many, and what was `wrong` with the first."""
        return [
            {"step": step, "why": why, "count": count, "wrong": self._wrong[f"{step}:{why}"][1]}
            for (step, _, why), count in sorted((reason.partition(":"), count) for reason, count in self.losses.items())
        ]

    def _dropped(self, name: str) -> int:
        """Samples that were dropped at a step; what repeats another is so after the lists."""
        names = {name, *(["judge"] if name == self._last_list else [])}
        return sum(count for reason, count in self.reasons.items() if reason.partition(":")[0] in names)

    @property
    def _last_list(self) -> str:
        return [step.name for step in self.recipe.steps if step.config.does == "list"][-1]

    def _left(self) -> dict[str, str]:
        """The seconds that are left, from how fast samples have come to their end since this attempt began to ask."""
        done, gone = self.fraction - self._known, self.clock() - self._began
        if done < 0.03 or gone < 1:
            return {}
        left = gone * (1 - self.fraction) / done
        return {"low_s": f"{0.8 * left:.0f}", "high_s": f"{1.3 * left:.0f}"}

    # --- too few

    def _note(self, row: Row) -> None:
        about = advice.code(row.at, row.why), row.of if row.why == "seed" else row.seed
        self._counts[about] += 1
        self._examples.setdefault(about, row)

    def _check(self) -> None:
        stop = self.recipe.config.stop
        if self._most() >= stop.share:
            return
        kept, judged = self.kept["train"], self.finished["train"] + self.losses.total()
        share = kept / judged
        message = f"of {judged} samples {kept} were kept, {share:.0%}, and less than {stop.share:.0%} is not worth going on"
        facts = {"kept": str(kept), "judged": str(judged), "advice": json.dumps(self.advice())}
        raise Invalid(Problem("generate.few", message, fix=" ".join(map(advice.said, self.advice())), facts=facts))

    def _most(self) -> float:
        """The share of samples that can be expected to survive, at most. A step that has seen few counts as if it kept all."""
        most = 1.0
        for step in self.recipe.steps:
            lost = sum(count for reason, count in self.losses.items() if reason.startswith(f"{step.name}:"))
            through, gone = self.through[step.name], self._dropped(step.name) + lost
            if through + gone >= self.recipe.config.stop.after:
                most *= upper(through, through + gone)
        return most

    def advice(self) -> list[dict[str, Any]]:
        """What most were dropped for, the worst first, with the seed examples that it happened to most, and a pair of each."""
        weight: Counter[str] = Counter()
        for (code, _), count in self._counts.items():
            weight[code] += count
        worst = sorted(self._counts, key=lambda one: (-weight[one[0]], -self._counts[one], one))
        return [advice.advised(self._examples[one], weight[one[0]]) for one in worst[:ADVICE_MOST]]


def _clipped(text: str) -> str:
    """At most SHOWN bytes of UTF-8: as many characters of a language of many signs say more."""
    told = text.encode("utf-8", "replace")
    return text if len(told) <= SHOWN else told[: SHOWN - 3].decode("utf-8", "ignore").rstrip() + "…"


def upper(kept: int, judged: int) -> float:
    """The upper end of Wilson's interval of a share."""
    share, spread = kept / judged, SURE**2 / judged
    middle = share + spread / 2
    return (middle + SURE * math.sqrt((share * (1 - share) + spread / 4) / judged)) / (1 + spread)
