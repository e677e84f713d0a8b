"""Finds questions that were there before while samples are made, so that nobody answers and judges them again."""

from pipeline.generating import near, shingles
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
        self._seeds, self._samples = near.Around(seeds), near.Near()
        self._recent: dict[int, str] = {}

    def __call__(self, row: Row) -> Row | None:
        if row.set == "reworded":  # near its seed by nature, so it is only to differ
            at = self._seeds.keys.get(shingles.same(row.asks), -1)
            return self._seed(row, at) if at >= 0 else self._sample(row)
        found = self._sample(row)  # in any case: later ones may repeat it
        [at], _ = self._seeds.likest([row.asks], ALIKE)
        return self._seed(row, int(at)) if at >= 0 else found

    def _seed(self, row: Row, at: int) -> Row:
        return row.dropped("judge", "seed", self._seeds.texts[at], int(self._seeds.numbers[at]))

    def _sample(self, row: Row) -> Row | None:
        found = self._samples.add(row.number, row.question, row.context)
        if len(self._recent) < RECENT:
            self._recent[row.number] = row.question
        return row.dropped("judge", found.kind, self._recent.get(found.number, ""), found.number) if found else None


def _asks(context: str, question: str) -> str:
    return f"{context}\n\n{question}" if context else question
