"""Finds questions that were there before while samples are made, so that nobody answers and judges them again."""

from pipeline.generating import near
from pipeline.generating.leaf import Leaf
from pipeline.generating.rows import Row

ALIKE = 0.7  # Jaccard of word pairs from which a question repeats another: as upstream's first ROUGE threshold
RECENT = 500  # questions whose text is kept to be quoted


class Repeats:
    """Finds questions that were there before. Seed examples count in any case, samples with a lower number as far as seen.

    What is missed because the lower number came later is found by the stage `judge`, which sees them all.
    """

    def __init__(self, found: Leaf) -> None:
        seeds = [
            (one.number, _asks(one.context if found.kind == "grounded" else "", pair.question))
            for one in found.examples
            for pair in one.pairs
        ]
        self._texts = dict(seeds)
        self._seeds, self._samples = near.Around(seeds), near.Near()
        self._recent: dict[int, str] = {}

    def __call__(self, row: Row) -> Row | None:
        found = self._samples.add(row.number, row.question, row.context)
        if len(self._recent) < RECENT:
            self._recent[row.number] = row.question
        if seed := self._seeds.nearest(row.asks, ALIKE):
            return row.dropped("judge", "seed", self._texts[seed[0]], seed[0])
        if found:
            return row.dropped("judge", found.kind, self._recent.get(found.number, ""), found.number)
        return None


def _asks(context: str, question: str) -> str:
    return f"{context}\n\n{question}" if context else question
