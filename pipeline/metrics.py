"""What a worker counts, and Prometheus' text format, in which every process tells its counts at /metrics.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text, version 0.0.4). Every name begins with
`labbot_`; counters end in `_total`, times are seconds, sizes bytes. No label ever holds a person, a run or a secret: each
value of a label is a time series of its own, kept for ever, and a person's number is theirs.

A worker's Counts are written by its loop alone and begin at 0 with its process, as counters do.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from time import monotonic

KIND = "text/plain; version=0.0.4; charset=utf-8"
STAGE_BOUNDS_S = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 28800.0)  # a precheck takes seconds, training hours
MOST_STAGES = 200  # time series of recipe and stage: their names are ours, so there are fewer, unless something is wrong

Labels = tuple[tuple[str, str], ...]


class Histogram:
    """Counts of values up to each bound and above all, and their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[sum(value > bound for bound in self.bounds)] += 1
        self.sum += value


@dataclass(frozen=True, slots=True)
class Now:
    """What is true at the moment of asking. `waiting`, `running`: runs by lane; `alive`: whether the loops go on."""

    waiting: Mapping[str, int] = field(default_factory=dict)
    running: Mapping[str, int] = field(default_factory=dict)
    children_bytes: int = 0
    alive: bool = True


class Counts:
    """What happened on a worker since its start. `device`: such as cuda:1, metal or cpu."""

    def __init__(self, host: str, lanes: Iterable[str], device: str) -> None:
        self.host, self.lanes, self.device = host, tuple(lanes), device
        self._ended: Counter[str] = Counter()
        self._stages: dict[tuple[str, str], Histogram] = {}
        self._lost = self._tried_again = self._not_renewed = 0
        self._away_s = 0.0
        self._away_since: float | None = None

    def ended(self, state: str) -> None:
        """A run came to its end here: done, failed or cancelled."""
        self._ended[state] += 1

    def stage(self, recipe: str, name: str, seconds: float) -> None:
        """A stage was performed, whatever came of it."""
        if (recipe, name) not in self._stages and len(self._stages) >= MOST_STAGES:
            recipe, name = "other", "other"
        self._stages.setdefault((recipe, name), Histogram(STAGE_BOUNDS_S)).add(seconds)

    def lost(self) -> None:
        """This worker's supervisor found a run whose worker was gone, and gave it back."""
        self._lost += 1

    def tried_again(self) -> None:
        """A stage failed for a passing reason, and its run waits for another try."""
        self._tried_again += 1

    def not_renewed(self) -> None:
        """A lease could not be renewed in time: Redis was away, or the run had been given to another."""
        self._not_renewed += 1

    @contextmanager
    def away(self) -> Iterator[None]:
        """Redis does not answer for as long as this block takes; what is read meanwhile has the seconds so far."""
        self._away_since = monotonic()
        try:
            yield
        finally:
            self._away_s += monotonic() - self._away_since
            self._away_since = None

    @property
    def away_s(self) -> float:
        return self._away_s + (monotonic() - self._away_since if self._away_since is not None else 0.0)

    def text(self, now: Now) -> str:
        """Everything in Prometheus' text format."""
        info: Labels = (("host", self.host), ("lanes", ",".join(self.lanes)), ("device", self.device))
        ended = {state: self._ended[state] for state in ("done", "failed", "cancelled", *self._ended)}
        stages: dict[Labels, Histogram] = {
            (("recipe", recipe), ("stage", name)): times for (recipe, name), times in self._stages.items()
        }
        return page(
            metric("worker_info", "gauge", "This worker: where it runs and what it takes.", {info: 1}),
            metric("worker_alive", "gauge", "Whether its loops go on.", {(): int(now.alive)}),
            metric("runs_waiting", "gauge", "Runs that wait, by lane.", _by("lane", now.waiting)),
            metric("runs_running", "gauge", "Runs that are being performed, on all workers.", _by("lane", now.running)),
            metric("runs_ended_total", "counter", "Runs that came to an end here, by their state.", _by("state", ended)),
            histogram("stage_seconds", "How long stages took here, by recipe and stage.", stages, STAGE_BOUNDS_S),
            metric("workers_lost_total", "counter", "Runs taken back from workers that were gone.", {(): self._lost}),
            metric("stages_tried_again_total", "counter", "Stages that wait for another try.", {(): self._tried_again}),
            metric("leases_not_renewed_total", "counter", "Leases that were not renewed in time.", {(): self._not_renewed}),
            metric("redis_away_seconds_total", "counter", "Time in which Redis did not answer.", {(): self.away_s}),
            metric("children_bytes", "gauge", "Memory of the child processes.", {(): now.children_bytes}),
        )


# --- the format


def page(*metrics: list[str]) -> str:
    return "".join(f"{line}\n" for lines in metrics for line in lines)


def metric(name: str, kind: str, about: str, values: Mapping[Labels, float]) -> list[str]:
    """A metric without a value yet is there by its name and kind alone."""
    return [*_head(name, kind, about), *(_line(name, labels, value) for labels, value in values.items())]


def histogram(name: str, about: str, series: Mapping[Labels, Histogram], bounds: tuple[float, ...]) -> list[str]:
    """Cumulative buckets, as the format has them: each counts what the smaller ones do too, the last one everything."""
    lines = _head(name, "histogram", about)
    edges = (*map(str, bounds), "+Inf")
    for labels, found in series.items():
        totals = list(accumulate(found.counts))
        lines += [_line(f"{name}_bucket", (*labels, ("le", edge)), total) for edge, total in zip(edges, totals, strict=True)]
        lines += [_line(f"{name}_sum", labels, found.sum), _line(f"{name}_count", labels, totals[-1])]
    return lines


def _head(name: str, kind: str, about: str) -> list[str]:
    return [f"# HELP labbot_{name} {about}", f"# TYPE labbot_{name} {kind}"]


def _line(name: str, labels: Labels, value: float) -> str:
    told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"labbot_{name}{f'{{{told}}}' if told else ''} {repr(value) if value % 1 else int(value)}"


def _by(label: str, values: Mapping[str, int]) -> dict[Labels, float]:
    return {((label, name),): value for name, value in values.items()}


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
