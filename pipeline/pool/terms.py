"""The terms on which workers carry runs: times, tries, memory, and what a child is started with."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from pipeline.memory import Memory


async def _none(memory: Memory, person: str) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Terms:
    """How runs are carried.

    `lease_s`: a worker that has not renewed for so long has lost its runs. `limit_s`: the longest that a stage may take
    that does not say otherwise; `silence_s`: without a word. `memory_bytes`: the most that its process may take, 0 for no
    limit. `tries`: how often a stage is begun; `pauses_s`: before each further time, the last one repeats. `stop_s`,
    `save_s`: from asking a child to end to ending it, where it has nothing to save and where it has. `grace_s`: how long a
    worker that is to end lets its runs go on. `keys`: variables with keys of models, for the children that speak to them;
    `environment`: further variables of all children; `command`: what they are started with, before `stage RUN STAGE --fed`.
    `account`: the GitHub account of a person, for the stages that act with it; its token is sealed.
    """

    lease_s: float = 5.0
    limit_s: float = 600.0
    silence_s: float = 900.0
    memory_bytes: int = 0
    tries: int = 3
    pauses_s: tuple[float, ...] = (5.0, 30.0, 120.0)
    stop_s: float = 3.0
    save_s: float = 10.0
    grace_s: float = 10.0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    keys: frozenset[str] = frozenset()
    account: Callable[[Memory, str], Awaitable[Mapping[str, str]]] = field(default=_none, repr=False)
    command: tuple[str, ...] = (sys.executable, "-m", "pipeline")
