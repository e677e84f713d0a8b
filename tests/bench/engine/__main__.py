"""What the engine does on this machine, beside its peers, on one model of random weights that it makes itself.

    python -m tests.bench.engine [--json] [--short] [--rounds N]

Tokens a second (`own_N`: with N streams, 64 new tokens each, distinct short prompts); the peers are llama-cpp-python's
high-level API, one request after the other, and xllamacpp's server with 1, 8 and 16 slots, both at their own defaults. The
engine waits passively, as `labpipe serve` does unless it is told otherwise; `_active` is with --wait active, for a machine of
its own. Each is measured in a child process, in turns, and the best of the rounds counts. Tokens are counted as they were
made: an answer may end early. Run it on an idle machine: where something else wants the cores, the peers' spinning threads
collapse first.

Of the engine alone: `outside_N_ms`, the time between two steps that llama.cpp does not compute; `ttft`, steps and time to the
first token of a short request while 8 long answers are written (`_reading`: while 8 long prompts are read); prompt tokens
computed for 64 requests that begin alike; answers that fit their JSON schema, and what a schema costs; what it costs to
change the adapter between two steps. See ours.py.

xllamacpp's wheel is built for any x86-64 machine and llama-cpp-python's is compiled for this one: a part of `over_xllamacpp`
is that.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.engine.model import CACHE, made

HERE = Path(__file__).resolve().parent
HOME = HERE.parent.parent.parent
PEERS = HERE.parent / "peers"
OWN, SLOTS = (1, 4, 8, 16, 32), (1, 8, 16)
LEAST = 4  # requests of a round: with fewer streams than that they are asked in turns
ALONE = 6  # requests of a round for the peer that answers one at a time
CONTEXT = 2048  # tokens a slot, for the peers
TIME_S = 900
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]

Figures = dict[str, float]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    options.add_argument("--short", action="store_true", help="a small model and one round: whether it runs, not how fast")
    options.add_argument("--rounds", type=int, default=0, help="of which the best counts (3; 1 with --short)")
    given = options.parse_args()
    rounds = given.rounds or (1 if given.short else 3)
    model = made(small=given.short)
    figures = speeds(model, rounds, 16 if given.short else 64)
    figures |= own({"measure": "first", "model": model, "times": 2 if given.short else 5})
    figures |= own({"measure": "shared", "model": model})
    figures |= own({"measure": "valid", "times": 100 if given.short else 1000})
    tokens = 16 if given.short else 64
    figures |= own({"measure": "schema", "model": model, "rounds": min(rounds, 2), "tokens": tokens})
    figures |= own({"measure": "switch", "model": model, "rounds": rounds, "tokens": tokens})
    for name, value in figures.items():
        print(f"{name:30} {value:10.3f}")
    if given.json:
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


def speeds(model: str, rounds: int, tokens: int) -> Figures:
    """Tokens a second of the engine and its peers, and ours over theirs."""
    chance = random.Random(6)
    best: Figures = {}
    peer = {"model": model, "context": CONTEXT, "tokens": tokens}
    for _ in range(rounds):
        found = own({"measure": "streams", "model": model, "tokens": tokens, "prompts": {n: texts(n, chance) for n in OWN}})
        awake = own({"measure": "streams", "model": model, "tokens": tokens, "prompts": {16: texts(16, chance)}}, "active")
        found["own_16_active"] = awake["own_16"]
        found["highlevel"] = rate(sys.executable, "highlevel", {**peer, "prompts": texts(ALONE, chance)[:ALONE]})
        for slots in SLOTS:
            prompts = texts(slots, chance)
            found[f"xllamacpp_{slots}"] = rate(
                environment("xllamacpp"), "xllamacpp", {**peer, "slots": slots, "prompts": prompts}
            )
        best = {name: (min if name.endswith("_ms") else max)(value, best.get(name, value)) for name, value in found.items()}
    over = {f"over_highlevel_{count}": best[f"own_{count}"] / best["highlevel"] for count in (1, 16, "16_active")}
    return best | over | {f"over_xllamacpp_{count}": best[f"own_{count}"] / best[f"xllamacpp_{count}"] for count in SLOTS}


def texts(count: int, chance: random.Random) -> list[str]:
    """Distinct prompts of about ten tokens: a full turn for so many streams, and no fewer than LEAST."""
    return ["".join(chance.choices(SYLLABLES, k=5)) for _ in range(-(-LEAST // count) * count)]


def own(given: dict[str, Any], wait: str = "passive") -> Figures:
    """Measure the engine in a process as `labpipe serve` makes one, with its --wait."""
    return child(
        [sys.executable, "-m", "tests.bench.engine.ours"], given, {"OMP_WAIT_POLICY": wait} if wait == "passive" else {}
    )


def rate(python: str, peer: str, given: dict[str, Any]) -> float:
    found = child([python, str(PEERS / f"{peer}_child.py")], given, {})
    return found["made"] / found["seconds"]


def child(command: list[str], given: dict[str, Any], told: dict[str, str]) -> Figures:
    """The last line that a process prints, which gets `given`. What it says on stderr is shown where it fails."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        command,
        input=json.dumps(given),
        cwd=HOME,
        env=clean | told,
        capture_output=True,
        text=True,
        timeout=TIME_S,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    figures: Figures = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def environment(peer: str) -> str:
    """The Python of the peer's environment, made if it is not there yet."""
    folder = CACHE / peer
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        needs = ["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "-r", str(PEERS / f"{peer}.txt")]
        subprocess.run([str(python), *needs], check=True, stdout=sys.stderr)
        (folder / "ready").touch()
    return str(python)


if __name__ == "__main__":
    main()
