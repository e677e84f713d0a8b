"""What a run will take: requests, tokens, and time by how fast the endpoint is.

The speed is that of the last run with the same model at the same address, which is kept in `speeds.json` beside the models,
and is there before anything is asked. Where there was no run, it is told with the first answer, which is a run's own: the
endpoint is taken to be USUAL times as fast with many at once as that answer was written.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import write
from pipeline.generating.asked import Asking
from pipeline.generating.memo import Memo
from pipeline.generating.plan import Start
from pipeline.generating.recipes import Step
from pipeline.generating.steering import remembered
from pipeline.judging.asking import Model

USUAL = 8.0  # times a single stream's tokens: what the engine gives with 16 on two cores is 3, vLLM on a GPU far more
CHARS = 4  # of a token, about, in the languages of most seed examples
TOKENS = {"questions": 30, "contexts": 250, "pairs": 120, "text": 150, "judge": 50}  # that an entry or an answer takes
FASTEST = 1e7  # tokens a second; what says more is damaged
KNOWN, GUESSED = (0.8, 1.5), (0.4, 3.0)  # how far off a figure may be, of another run and of one request


@dataclass(frozen=True, slots=True)
class Estimate:
    """Most requests, tokens that are written for them, and tokens a second where that is known of an earlier run, else 0."""

    requests: int
    tokens: int
    a_second: float

    def facts(self, chars: int = 0, seconds: float = 0.0) -> dict[str, str]:
        """As texts; with the first answer's characters and seconds the time is told also where it was not known."""
        told = {"requests": str(self.requests)}
        if a_second := self.a_second or (USUAL * chars / CHARS / seconds if chars and seconds else 0.0):
            for name, factor in zip(("low_s", "high_s"), KNOWN if self.a_second else GUESSED, strict=True):
                told[name] = f"{factor * self.tokens / a_second:.0f}"
        return told


def size(starts: Iterable[Start]) -> tuple[int, int]:
    """The most requests that these lead to, and the tokens of their answers."""
    requests = tokens = 0
    for start in starts:
        rows = 1
        for step in start.steps:
            requests += rows
            rows *= step.config.each if step.config.does == "list" else 1
            tokens += rows * _tokens(step)
    return requests, tokens


def left(starts: Iterable[Start], models: Mapping[str, Model], memo: Memo) -> Iterator[Start]:
    """Those whose first list no earlier attempt has brought to its end; of the others only a window's samples can be left."""
    for start in starts:
        step = start.steps[0]
        if not memo.journal or not _known(step, models[step.config.role], start, memo):
            yield start


def _known(step: Step, model: Model, start: Start, memo: Memo) -> bool:
    asking = Asking.of(step, model, start.given)
    if asking.known(memo):
        return True
    thumbs = remembered(memo, asking)  # then it was asked for in other words
    return bool(thumbs and Asking.of(step, model, {**start.given, **thumbs}).known(memo))


def estimate(starts: Iterable[Start], model: Model, folder: Path) -> Estimate:
    """`folder` is LABBOT_DATA/models."""
    requests, tokens = size(starts)
    return Estimate(requests, tokens, _read(folder).get(_name(model), 0.0))


def remember(model: Model, folder: Path, chars: int, seconds: float) -> None:
    """Note how fast it was, by the characters that were written."""
    if chars and seconds > 1:
        write(folder / "speeds.json", json.dumps({**_read(folder), _name(model): round(chars / CHARS / seconds, 2)}, indent=1))


def _tokens(step: Step) -> int:
    return TOKENS[step.config.of if step.config.does == "list" else step.config.does]


def _name(model: Model) -> str:
    return " ".join(filter(None, (model.name, model.version, model.client.url)))


def _read(folder: Path) -> dict[str, float]:
    try:
        found = json.loads((folder / "speeds.json").read_bytes())
    except (OSError, ValueError):  # none yet, or damaged: it is only what an estimate is made from
        return {}
    named = found.items() if isinstance(found, dict) else ()
    return {name: float(speed) for name, speed in named if isinstance(speed, int | float) and 0 < speed < FASTEST}
