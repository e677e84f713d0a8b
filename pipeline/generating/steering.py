"""Thumbs steer what follows: requests that list new material are shown what the contributor liked and disliked.

What a request was shown is written down with it, so that an attempt after a kill asks the same again; a list of which
there was something before somebody thumbed anything stays as it is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pipeline.generating.asked import Asking
from pipeline.generating.memo import Memo, key
from pipeline.generating.plan import Start
from pipeline.generating.rows import Row
from pipeline.judging.asking import Model

SHOWN = 3  # the newest of each kind: a prompt is to stay short
CHARS = 300  # of each of their texts, for the same reason

Thumbs = Callable[[], Mapping[str, str]]


class Steering:
    """`thumbs()` are "up" and "down" by the ids of samples; `row` finds a sample of an id."""

    def __init__(self, memo: Memo, models: Mapping[str, Model], thumbs: Thumbs, row: Callable[[str], Row | None]) -> None:
        self.memo, self.models, self.thumbs, self.row = memo, models, thumbs, row

    def steered(self, starts: Iterable[Start]) -> Iterator[Start]:
        """The same requests, each with what it is to be shown by the time that it is made."""
        for start in starts:
            if start.set == "train" and "liked" in start.steps[0].config.gives:
                start.given.update(self._shown(start))
            yield start

    def _shown(self, start: Start) -> dict[str, Any]:
        asking = Asking.of(start.steps[0], self.models[start.steps[0].config.role], start.given)
        if asking.begun(self.memo):
            return {}
        if (before := remembered(self.memo, asking)) is not None:
            return before
        shown = self._thumbed()
        if shown:
            self.memo.journal.append(_id(asking), shown)
        return shown

    def _thumbed(self) -> dict[str, Any]:
        found: dict[str, list[dict[str, str]]] = {"liked": [], "disliked": []}
        for id, thumb in self.thumbs().items():
            if row := self.row(id):
                about = {"context": row.context} if row.context else {}
                told = {**about, "question": row.question, "answer": row.answer}
                clipped = {name: _clipped(text) for name, text in told.items()}
                found["liked" if thumb == "up" else "disliked"].append(clipped)
        return {name: rows[-SHOWN:] for name, rows in found.items() if rows}


def remembered(memo: Memo, asking: Asking) -> dict[str, Any] | None:
    """What a request was shown of people's thumbs in an earlier attempt; None where it was shown nothing."""
    return memo.get(_id(asking))


def _id(asking: Asking) -> str:
    return key("thumbs", asking.id)


def _clipped(text: str) -> str:
    return text if len(text) <= CHARS else f"{text[: CHARS - 1].rstrip()}…"
