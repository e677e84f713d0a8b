"""A sample on its way through the steps of its recipe, and what hears of it."""

from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.generating.asked import Out
from pipeline.generating.memo import key
from pipeline.generating.plan import Start
from pipeline.generating.recipes import Step
from pipeline.generating.rows import Row, Score


class Listener(Protocol):
    """What hears how it goes."""

    def began(self, start: Start) -> None: ...

    def passed(self, step: Step, row: "Sample") -> None: ...

    async def done(self, row: Row) -> None:
        """A sample is at its end, kept or not. What this raises ends the flow."""

    def lost(self, start: Start, step: Step, out: Out) -> None:
        """A request that was to begin samples led to none."""

    def repeats(self, row: Row) -> Row | None:
        """The sample as one that is dropped, where its question was there before."""


@dataclass(slots=True)
class Sample:
    """A sample under way: `at` is its next step."""

    start: Start
    number: int
    given: dict[str, Any]
    at: int = 0
    scores: tuple[Score, ...] = ()
    tries: int = 0
    failed_at: float = 0.0
    begun: int = 0  # entries of its list: one that is asked for anew, since it was torn, begins no sample twice

    @property
    def step(self) -> Step:
        return self.start.steps[self.at]

    def row(self) -> Row:
        start, given = self.start, self.given
        question = str(given.get("reworded") or given.get("question") or "")
        return Row(
            id=key(start.leaf.name, start.set, self.number, question)[:12],
            number=self.number,
            set=start.set,
            kind=start.leaf.kind,
            leaf=start.leaf.name,
            seed=start.example.number,
            question=question,
            answer=str(given.get("answer") or ""),
            context=str(given.get("context") or ""),
            document=start.chunk.text if start.chunk else "",
            chunk=start.chunk.id if start.chunk else "",
            facet=start.facet,
            scores=self.scores,
        )
