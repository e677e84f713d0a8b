"""How a run is asked for in a round, and what is wrong with what became of it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.keys import KEYS as BOT_KEYS
from pipeline.errors import Failed
from pipeline.journal import read
from pipeline.pool.ledger import ENDED, KEYS, Step
from tests.faults.crew import LATE, ROWS, STAGES, row


@dataclass(frozen=True, slots=True)
class Asked:
    """A run as it is asked for: when, how it is to go, and when somebody cancels it, if anybody does."""

    run: str
    front: str
    at: float
    how: str
    until: str
    pause_s: float
    cancel_at: float | None

    @property
    def state(self) -> str:
        """In which it ends unless it is cancelled."""
        return "failed" if self.how in ("fail", "die") else "done"


def wrong_steps(one: Asked, steps: list[Step]) -> Iterator[str]:
    """What is wrong with the stream of a run that has ended."""
    if [step.number for step in steps] != list(range(len(steps))):
        yield f"its steps are numbered {[step.number for step in steps]}"
    ends = [step.state for step in steps if step.state in ENDED]
    if len(ends) != 1 or steps[-1].state not in ENDED:
        yield f"it ended as {ends}, and its last step is {steps[-1].state}"
    stopping = any(step.state == "stopping" for step in steps)
    wanted = "cancelled" if stopping else one.state
    if steps[-1].state != wanted or (stopping and one.cancel_at is None):
        yield f"it is {steps[-1].state} and not {wanted}: {dict(steps[-1].facts)}"
    fences = [int(step.facts["fence"]) for step in steps if "fence" in step.facts]
    if fences != sorted(fences):
        yield f"steps of several attempts are mixed: {fences}"
    if any("late" in step.facts for step in steps):
        yield "a late writer's step is there"
    if any(
        number > 0 and step.state == "waiting" and steps[number - 1].state == "waiting" for number, step in enumerate(steps)
    ):
        yield "it waits twice in a row"


def wrong_records(name: str, kept: Mapping[str, Any], acknowledged: Mapping[str, Any]) -> Iterator[str]:
    for id, record in kept.items():
        if record["by"] >= LATE:
            yield f"{id} is a late writer's"
        elif record != row(name, int(id.rpartition(".")[2]), record["by"]):
            yield f"{id} was changed: {record}"
    for id, record in acknowledged.items():
        if id.startswith(f"{name}.") and kept.get(id) != record:
            yield f"{id} was kept as {record} and is {kept.get(id)}"


def wrong_files(folder: Path, one: Asked, last: Step) -> Iterator[str]:
    """What is wrong with the logs and artefacts of a run that has ended."""
    acknowledged: dict[str, Any] = {}
    for path in sorted(folder.glob("acknowledged-*"), key=lambda path: int(path.name.rpartition("-")[2])):
        for line in path.read_bytes().split(b"\n")[:-1]:
            name, id, record = json.loads(line)
            if acknowledged.setdefault(id, record) != record:
                yield f"{id} was acknowledged twice, as {acknowledged[id]['by']} and {record['by']}"
    for name in STAGES[: STAGES.index(one.until) + 1]:
        try:
            kept = dict(read(folder / "log" / name).records())
        except Failed as error:
            yield str(error)
            continue
        yield from wrong_records(name, kept, acknowledged)
        if last.state == "done":
            whole = {f"{name}.{number}" for number in range(ROWS)}
            if kept.keys() != whole:
                yield f"{name} lacks {sorted(whole - kept.keys())}"
            if json.loads((folder / f"{name}.json").read_bytes()) != kept:
                yield f"{name}.json is not what the log holds"


def pattern(keys: Iterator[str]) -> re.Pattern[str]:
    return re.compile("|".join(re.sub(r"\\\{\w+\\\}", ".+", re.escape(key)) for key in keys))


KNOWN = pattern(iter([*KEYS, *(key.pattern for key in BOT_KEYS)]))
GONE = re.compile(r"arq:.*|runs:carried|runs:waiting|runs:running|lane:cpu|bot:todo:.*|bot:outbox:.*|bot:watch")
EXPIRES = re.compile(r"run:.*|runs:spent:.*|lane:.*:(shares|bell|workers|health-check)|worker:.*|bell:.*|drain:.*")
