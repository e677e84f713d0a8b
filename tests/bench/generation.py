"""How fast samples are made, beside those who make them for `ilab`: freeform skills, the same seeds, as many samples kept.

    python -m tests.bench.generation [--json] [--short] [--rounds N] [--endpoint PATH] [--only PART]

Against `endpoint.py`, a stand-in for a big server that has its timing and no model: one leaf with 64 slots at 10 ms a token,
four leaves with 256 slots at 3 ms. It bills everybody the same tokens for the same step, and what each side spends a kept
sample is printed; where that differs by more than a tenth, the comparison says nothing and fails.

The peers, each in an environment of its own: instructlab-sdg 0.8.3, its full freeform pipeline as `ilab` runs it, and a flow
of sdg-hub 0.9's own blocks with our four steps, prompts and schemas. Its input are the seeds, as for any flow: each is asked
for all 30 questions at once, like instructlab-sdg's. With `_split` its input are our own first requests, five of six questions
for each seed, which a flow does not make by itself. Ours is the stage `generate`, a process for each leaf as workers
carry runs, with the settings that it has, but no rewordings, which no peer makes. Samples of the
held-out seed count as the others do: they go through the same four steps. Imports count for nobody, nor does how a side
learns what the server can do; time runs from the word to begin to the last sample that is written down.

`over_*` are times theirs by ours, the best of the rounds for each; `over_sdg_hub` (and `_split`) the lower of the two set-ups.
`occupancy`: of the slots, the share that was at work while at least as many requests were ready as there are slots
(on their way, or such that nothing kept them from being sent), the lower of the two set-ups. The server counts what a token
takes by rule, not what it took: a machine that is too slow for it looks idle.
`over_serial`: tokens a second on our own engine with a model of random weights, by those with one request at a time.
"""

import argparse
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread, Timer
from typing import Any

import yaml

from pipeline.generating import plan, recipes
from pipeline.generating.leaf import Leaf, leaf
from pipeline.generating.rows import Set
from pipeline.models import schemas
from tests.bench.chat import serving
from tests.bench.engine.__main__ import environment
from tests.bench.engine.model import made

HOME = Path(__file__).resolve().parent.parent.parent
PEERS = Path(__file__).resolve().parent / "peers"
ENDPOINT = HOME.parent / "shared" / "tools" / "endpoint.py"
OURS = [sys.executable, "-m", "tests.bench.generation_ours"]
UNITS = (
    ("metres", "feet", 0.305),
    ("kilograms", "pounds", 0.454),
    ("kilometres", "miles", 1.609),
    ("litres", "gallons", 3.785),
)
MODEL = "stand-in"
AMOUNTS = (3, 7, 12, 40, 95)
TIME_S, LOOK_S = 900, 0.1
AGREE = 0.1  # how far apart tokens a kept sample may be

Figures = dict[str, float]


@dataclass(frozen=True)
class Setup:
    leaves: int
    slots: int
    token_ms: float


SETUPS = {"1": Setup(1, 64, 10.0), "4": Setup(4, 256, 3.0)}


@dataclass(frozen=True)
class Took:
    """What one side took; `told` are the last lines of its processes."""

    seconds: float
    kept: int
    tokens: int
    told: Sequence[Mapping[str, Any]]

    @property
    def each(self) -> float:
        """Tokens a kept sample."""
        return self.tokens / self.kept


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    options.add_argument("--short", action="store_true", help="a server ten times as fast: whether it runs, not how fast")
    options.add_argument("--rounds", type=int, default=1, help="of which the best counts for each side")
    options.add_argument("--endpoint", type=Path, default=ENDPOINT, help="the stand-in server")
    options.add_argument("--only", choices=("1", "4", "serial", "ours"), help="a part of it; ours: no peers")
    given = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was begun is ended
    if not given.endpoint.is_file():
        raise SystemExit(f"there is no stand-in server at {given.endpoint}: name one with --endpoint")
    figures: Figures = {}
    for name, setup in SETUPS.items():
        if given.only in (None, "ours", name):
            pace = Setup(setup.leaves, setup.slots, setup.token_ms / 10) if given.short else setup
            figures |= compared(name, pace, given.endpoint, given.rounds, peers=given.only != "ours")
    if given.only in (None, "serial"):
        figures |= serial(small=given.short)
    for name in ("occupancy", "over_sdg_hub", "over_sdg_hub_split"):
        if found := [value for key, value in figures.items() if re.fullmatch(rf"{name}_\d", key)]:
            figures[name] = min(found)
    for name, value in figures.items():
        print(f"{name:36} {value:10.3f}")
    if given.json:
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


# --- against the stand-in


def compared(name: str, setup: Setup, endpoint: Path, rounds: int, *, peers: bool) -> Figures:
    """Every side in turns, against a server of that set-up."""
    best: dict[str, Took] = {}
    occupied = 0.0
    with serving_stand_in(endpoint, setup) as url, tempfile.TemporaryDirectory(prefix="labbot-bench-") as folder:
        for number in range(rounds):
            base = Path(folder) / str(number)
            took, busy = ours(setup, url, base)
            occupied = max(occupied, busy)
            found = {"ours": took}
            if peers:
                found["instructlab-sdg"] = instructlab(setup, url)
                found |= {side: sdg_hub(setup, url, split=side == "sdg-hub-split") for side in ("sdg-hub", "sdg-hub-split")}
            for side, one in found.items():
                best[side] = min(one, best.get(side, one), key=lambda took: took.seconds)
    figures = {f"occupancy_{name}": occupied}
    for side, one in best.items():
        word = side.replace("-", "_")
        figures |= {f"{word}_{name}_s": one.seconds, f"{word}_{name}_kept": one.kept, f"{word}_{name}_tokens_each": one.each}
        if side != "ours":
            figures[f"over_{word}_{name}"] = one.seconds / best["ours"].seconds
    spent = [one.each for one in best.values()]
    if max(spent) > min(spent) * (1 + AGREE) or len({one.kept for one in best.values()}) > 1:
        raise SystemExit(f"the sides did not do the same work:\n{json.dumps(figures, indent=1)}")
    return figures


def ours(setup: Setup, url: str, base: Path) -> tuple[Took, float]:
    """What the stage takes, and the share of the slots that were at work while there was enough to do."""
    home = configured(base, {"freeform.yaml": {r"reworded: \d+": "reworded: 0"}})
    given = [run(base, home, url, at) for at in range(setup.leaves)]
    with watching(url) as seen:
        took = measured([(OURS, one) for one in given], url)
    return took, occupancy(seen, [one["ready"] for one in took.told], setup.slots)


def run(base: Path, home: Path, url: str, at: int) -> dict[str, Any]:
    """A run's folder with an entry, and what its process is told."""
    folder = base / f"run{at}"
    (folder / "entry").mkdir(parents=True)
    (folder / "entry" / "qna.yaml").write_text(entry(at), encoding="utf-8")
    (folder / "document.json").write_text("{}", encoding="utf-8")
    (folder / "document.jsonl").touch()
    urls = {"LABBOT_TEACHER_URL": url, "LABBOT_JUDGE_URL": url}
    (base / "models").mkdir(exist_ok=True)
    return {"folder": str(folder), "home": str(home), "data": str(base / "models"), "urls": urls, "leaf": name(at)}


def instructlab(setup: Setup, url: str) -> Took:
    leaves = [seeds(leaf(entry(at), name(at))) for at in range(setup.leaves)]
    return theirs("instructlab-sdg", {"url": url, "model": MODEL, "leaves": leaves})


def sdg_hub(setup: Setup, url: str, *, split: bool) -> Took:
    recipe = recipes.load(HOME, "freeform")
    if not split:
        first, *rest = [one.config.model_dump() for one in recipe.steps]
        recipe = recipes.load(HOME, "freeform", {"steps": [{**first, "each": recipe.config.samples}, *rest]})
    rows = [row for at in range(setup.leaves) for row in requests(leaf(entry(at), name(at)), recipe)]
    return theirs("sdg-hub", {"url": url, "model": MODEL, "rows": rows, "steps": [step(one) for one in recipe.steps]})


def theirs(peer: str, given: dict[str, Any]) -> Took:
    child = PEERS / f"{peer.replace('-', '_')}_child.py"
    return measured([([environment(peer), str(child)], given)], given["url"])


def step(one: recipes.Step) -> dict[str, Any]:
    """A step as another may perform it: with the schema that is really sent."""
    told = one.config.model_dump(include={"name", "does", "temperature", "max_tokens", "keep"})
    gives = [field for field in one.config.gives if field not in ("liked", "disliked")]
    return {**told, "prompt": one.prompt, "gives": gives, "schema": schemas.sent(one.schema, one.config.max_tokens)}


def requests(found: Leaf, recipe: recipes.Recipe) -> list[dict[str, Any]]:
    """What the recipe's first requests about a leaf are given."""
    sets: tuple[Set, ...] = ("train", "unseen")
    starts = [start for which in sets for start in plan.starts(found, recipe, which, plan.wanted(found, recipe, which))]
    return [{field: start.given[field] for field in ("task", "examples", "facet", "wanted")} for start in starts]


def seeds(found: Leaf) -> dict[str, Any]:
    pairs = [{"question": pair.question, "answer": pair.answer} for one in found.examples for pair in one.pairs]
    return {"name": found.name, "task": found.task, "examples": pairs}


def name(at: int) -> str:
    return f"compositional_skills/arithmetic/units/{UNITS[at][0]}"


def entry(at: int) -> str:
    """A freeform skill with five seed examples."""
    to, of, factor = UNITS[at]
    pairs = [(f"How many {to} are {many} {of}?", f"{many} {of} are {many * factor:.1f} {to}.") for many in AMOUNTS]
    examples = [{"question": question, "answer": answer} for question, answer in pairs]
    return yaml.safe_dump({"version": 3, "task_description": f"Convert {of} to {to}.", "seed_examples": examples})


# --- processes, and what the server says


def measured(children: Sequence[tuple[list[str], dict[str, Any]]], url: str) -> Took:
    """Let all begin at once when all are ready, and wait for the last one."""
    with ExitStack() as stack:
        begun = [stack.enter_context(process(command, given)) for command, given in children]
        for one in begun:
            until(one, lambda line: line == "ready")
        stats(url, reset=True)
        at = time.perf_counter()
        for one in begun:
            say(one, "go")
        told = [json.loads(until(one, lambda line: line.startswith('{"kept"'))) for one in begun]
        seconds = time.perf_counter() - at
        return Took(seconds, sum(one["kept"] for one in told), int(stats(url)["tokens"]), told)


@contextmanager
def process(command: list[str], given: dict[str, Any]) -> Iterator["subprocess.Popen[str]"]:
    """A process that was told what is to be done, and ends with this. What it says on stderr is shown where it fails."""
    with tempfile.TemporaryFile("w+") as errors:
        pipe = subprocess.PIPE
        one = subprocess.Popen(command, cwd=HOME, stdin=pipe, stdout=pipe, stderr=errors, text=True)
        patience = Timer(TIME_S, one.kill)
        patience.start()
        try:
            say(one, json.dumps(given))
            yield one
        except EOFError:
            errors.seek(0)
            raise SystemExit(f"{' '.join(command)} ended with {one.wait()}:\n{errors.read()[-2000:]}") from None
        finally:
            patience.cancel()
            one.kill()
            one.communicate()


def say(one: "subprocess.Popen[str]", line: str) -> None:
    assert one.stdin
    one.stdin.write(line + "\n")
    one.stdin.flush()


def until(one: "subprocess.Popen[str]", wanted: Any) -> str:
    assert one.stdout
    for line in one.stdout:
        if wanted(line.strip()):
            return line
    raise EOFError


@contextmanager
def serving_stand_in(endpoint: Path, setup: Setup) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--port", str(port), "--slots", str(setup.slots), "--ms-per-token", str(setup.token_ms)]
    server = subprocess.Popen([sys.executable, str(endpoint), *words])
    try:
        url = f"http://127.0.0.1:{port}/v1"
        for _ in range(300):
            if server.poll() is None and listens(port):
                break
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait()


def listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def stats(url: str, *, reset: bool = False) -> dict[str, float]:
    with urllib.request.urlopen(url.removesuffix("/v1") + f"/stats{'?reset=1' if reset else ''}", timeout=60) as answer:
        found: dict[str, float] = json.loads(answer.read())
    return found


@contextmanager
def watching(url: str) -> Iterator[list[tuple[float, float]]]:
    """(time, seconds of work that sequences have had so far), looked up all the while."""
    seen: list[tuple[float, float]] = []
    over = Event()

    def look() -> None:
        while not over.wait(LOOK_S):
            seen.append((time.time(), stats(url)["busy_s"]))

    thread = Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def occupancy(seen: Sequence[tuple[float, float]], ready: Sequence[Sequence[tuple[float, int]]], slots: int) -> float:
    """Work by slots, over the time in which there was work for all of them."""
    worked = spent = 0.0
    for (at, before), (end, after) in pairwise(seen):
        if after >= before and min(count(ready, at), count(ready, end)) >= slots:
            worked, spent = worked + after - before, spent + end - at
    return worked / (slots * spent) if spent else 0.0


def count(ready: Sequence[Sequence[tuple[float, int]]], at: float) -> int:
    """How many requests were ready then, in all processes."""
    found = 0
    for one in ready:
        place = bisect_right([when for when, _ in one], at)
        found += one[place - 1][1] if place else 0
    return found


def configured(base: Path, changes: Mapping[str, Mapping[str, str]]) -> Path:
    """A home with the project's own configuration, but for what is changed in it."""
    home = base / "home"
    shutil.copytree(HOME / "configs", home / "configs")
    for file, pairs in changes.items():
        path = next((home / "configs").rglob(file))
        text = path.read_text(encoding="utf-8")
        for pattern, told in pairs.items():
            text, times = re.subn(pattern, told, text)
            assert times, (file, pattern)
        path.write_text(text, encoding="utf-8")
    return home


# --- on our own engine


def serial(*, small: bool) -> Figures:
    """Tokens a second with as many requests as the stage makes by itself, and with one at a time."""
    few = {
        r"samples: \d+": "samples: 12",
        r"unseen: \d+": "unseen: 0",
        r"reworded: \d+": "reworded: 0",
        r"share: [\d.]+": "share: 0",
        r"max_tokens: 1024": "max_tokens: 96, chars: 60",  # the model knows no end
    }
    found: Figures = {}
    for word, most in (("parallel", "64"), ("serial", "1")):
        with tempfile.TemporaryDirectory(prefix="labbot-bench-") as folder, serving(made(small=small)) as url:
            base = Path(folder)
            home = configured(base, {"freeform.yaml": few, "roles.yaml": {r"(?<=concurrency: )64": most}})
            given = run(base, home, url, 0)
            with process(OURS, given) as one:
                until(one, lambda line: line == "ready")
                before, at = written(url), time.perf_counter()
                say(one, "go")
                until(one, lambda line: line.startswith('{"kept"'))
                seconds = time.perf_counter() - at
                found |= {f"{word}_tokens": written(url) - before, f"{word}_tokens_s": (written(url) - before) / seconds}
    return found | {"over_serial": found["parallel_tokens_s"] / found["serial_tokens_s"]}


def written(url: str) -> int:
    """Tokens of answers that the engine has made so far."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/metrics", timeout=60) as answer:
        told = answer.read().decode()
    found = re.search(r'tokens_total\{kind="completion"\} (\d+)', told)
    assert found, told
    return int(found[1])


if __name__ == "__main__":
    main()
