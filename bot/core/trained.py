"""What a training has left, as the shell read it for the core: the curve, the scores, the files, the adapter; and its name.

An adapter goes by the name of the run that made it, so that nothing must be remembered to find it again.
"""

import re
from dataclasses import dataclass
from typing import Literal

PREFIX = "draft-"
_RUN = re.compile(r"[a-z0-9]{2,40}\.[0-9]{1,9}")


def name_of(run: str) -> str:
    """What the adapter of a run is called where it is served."""
    return f"{PREFIX}{run}"


def run_of(name: str) -> str:
    """The run whose adapter goes by that name; "" for the names of other models."""
    run = name.removeprefix(PREFIX)
    return run if name.startswith(PREFIX) and _RUN.fullmatch(run) else ""


def draft_of(name: str) -> str:
    """The draft that an adapter of that name was made of; "" for the names of other models."""
    return run_of(name).partition(".")[0]


@dataclass(frozen=True, slots=True)
class Curve:
    """How a training goes: the path of its picture below the run's folder, "" where there is none, and what it shows.

    `losses` of the steps and `held` of the checkpoints on held-out questions, the base's first, in nats per token; of many
    steps some, evenly. `version` is another one whenever the picture is.
    """

    path: str = ""
    version: str = ""
    where: str = ""
    losses: tuple[float, ...] = ()
    held: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Seed:
    """A question with the answers of the base and of the tuned model, and the one that was wanted.

    `held`: the model was not trained on it.
    """

    question: str
    before: str
    after: str
    wanted: str
    held: bool = False


By = Literal["exact", "f1", "judge"]


@dataclass(frozen=True, slots=True)
class Scores:
    """How base and tuned model compare; with `asked` 0 where that is not there. Shares are 0 to 1.

    `by` says what `before` and `after` count: of `asked` questions those that were right, the words shared with the wanted
    answer (F1, a mean), or those whose answer a judge preferred, neither in `same`. `share` is the tuned model's, in 95 of
    100 cases between `low` and `high`. `verdict`: better, none, worse, few or cut. `shared`: they chose the checkpoint,
    too. `kept` are shares of what the base knew, before and after, and `lost` whether some of it is lost; None where that
    was not measured.
    """

    asked: int = 0
    by: By = "exact"
    before: float = 0
    after: float = 0
    same: int = 0
    share: float = 0.0
    low: float = 0.0
    high: float = 0.0
    verdict: str = ""
    shared: bool = False
    kept: tuple[float, float] | None = None
    lost: bool = False
    example: Seed | None = None
    seeds: tuple[Seed, ...] = ()


@dataclass(frozen=True, slots=True)
class Exported:
    """The files that a run hands out, each its path below the run's folder and its bytes; `where` the folder lies."""

    files: tuple[tuple[str, int], ...] = ()
    where: str = ""


@dataclass(frozen=True, slots=True)
class Adapter:
    """The adapter of a run: whether it is there, and the base that it was trained on."""

    there: bool = False
    base: str = ""
