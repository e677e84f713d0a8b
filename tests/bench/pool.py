"""What the pool costs: from a person's start to the worker's first word, at rest, and with ten thousand runs in line.

    python -m tests.bench.pool [--json] [--samples N] [--short]

`p50_ms`, `p99_ms`: from the call that begins a run until the worker's own step `running` is read from the run's stream,
one run at a time, with a worker that is a process of its own and a Redis that has every write on the disk before it
answers. `enqueue_p50_ms` leaves out what comes before the ledger: the run's folder, whose files are on the disk too. Beside
it, in the same minute and on the same Redis, plain arq and SAQ at their own defaults, from enqueueing to the job's first line.
`child_ms`: from starting a stage's process to its first line. `idle_commands_per_s`: what a worker of both lanes sends
while nothing happens; `idle_with_scripts_per_s` counts also what its scripts call inside Redis, as INFO does.

`waiting_10000_mb`: Redis' memory for so many runs that wait; `position_ms`: to ask for the place of one of them (p99).
`neighbour_delay_runs`: how many of another's 1,000 waiting runs are taken before a person's first one.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from pipeline import recipe
from pipeline.embedded import Server
from pipeline.memory import Memory, connect
from pipeline.pool.ledger import Ask, Ledger
from pipeline.pool.terms import Terms
from pipeline.pool.worker import Pool
from pipeline.runs import Runs
from pipeline.stage import Job, Stage
from tests.bench.engine.__main__ import environment

HOME = Path(__file__).resolve().parent.parent.parent
PEERS = Path(__file__).parent / "peers"
RECIPE = "bench"
SAMPLES = 200
PEER_SAMPLES = {"arq": 40, "saq": 200}
CHILDREN = 30
IDLE_S = 10.0
WAITING = 10_000
PLACES = 300
NEIGHBOURS = 1_000
GAP_S = (0.02, 0.2)  # from a run's end to the next one's start: at any moment of the worker's rounds

Figures = dict[str, float]


def nothing(job: Job) -> dict[str, str]:
    return {}


def stages() -> tuple[Stage, ...]:
    return (Stage("nothing", (), (), nothing),)


async def serve(url: str, folder: Path) -> None:
    """A worker as `labpipe worker` has it, but for its children: theirs is measured apart."""
    recipe.RECIPES[RECIPE] = stages()
    terms = Terms(command=(sys.executable, "-m", "tests.bench.pool"))
    await Pool(url, folder, {}, {"cpu": 2, "gpu": 1}, terms).serve()


async def latencies(url: str, folder: Path, samples: int) -> Figures:
    recipe.RECIPES[RECIPE] = stages()
    memory, ear = connect(url), connect(url)
    runs = Runs(memory, folder, {})
    whole, queued = [], []
    ledger_start = runs.ledger.start
    begun_at = 0.0

    async def started(ask: Ask) -> tuple[str, str, int]:
        nonlocal begun_at
        begun_at = time.perf_counter()
        return await ledger_start(ask)

    runs.ledger.start = started  # type: ignore[method-assign]  # where the folder is laid out and the run begins to wait
    for number in range(samples + 5):
        key = f"latency-{number}"
        begun = time.perf_counter()
        start = asyncio.create_task(runs.start(key, RECIPE, {}, person=f"person{number % 7}"))
        await seen(ear, key, b"running")
        now = time.perf_counter()
        whole.append(now - begun)
        queued.append(now - begun_at)
        await start
        await seen(ear, key, b"done")
        await asyncio.sleep(random.uniform(*GAP_S))
    await memory.close()
    await ear.close()
    return {
        "p50_ms": 1000 * statistics.median(whole[5:]),
        "p99_ms": 1000 * percentile(whole[5:], 0.99),
        "max_ms": 1000 * max(whole[5:]),
        "enqueue_p50_ms": 1000 * statistics.median(queued[5:]),
        "enqueue_p99_ms": 1000 * percentile(queued[5:], 0.99),
    }


async def seen(ear: Memory, run: str, state: bytes) -> None:
    """Return when a step of that state is in the run's stream."""
    last: Any = "0"
    while True:
        found = await ear.do("XREAD", "BLOCK", 10_000, "STREAMS", f"run:{run}:steps", last)
        rows = next(iter(found.values()))[0] if isinstance(found, dict) else found[0][1]
        for name, fields in rows:
            last = name
            pairs = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
            if pairs[b"state"] == state:
                return


def peer(name: str, python: str, url: str) -> list[float]:
    given = json.dumps({"url": url, "samples": PEER_SAMPLES[name]})
    done = subprocess.run([python, str(PEERS / f"{name}_child.py")], input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} ended with {done.returncode}: {done.stderr[-2000:]}")
    took: list[float] = json.loads(done.stdout)
    return took


def children(folder: Path) -> Figures:
    """Start the process of a stage, as a worker does, and wait for its first line; then end it."""
    run = folder / "child"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"recipe": "document", "inputs": {}, "settings": {}}), encoding="utf-8")
    took = []
    for _ in range(CHILDREN):
        begun = time.perf_counter()
        command = [sys.executable, "-m", "pipeline", "stage", str(run), "fetch", "--fed"]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, cwd=HOME, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, start_new_session=True
        ) as child:
            assert child.stdin and child.stdout
            child.stdin.write(b'{"lease_s": 5}\n')
            child.stdin.flush()
            assert json.loads(child.stdout.readline())["stage"] == "fetch"
            took.append(time.perf_counter() - begun)
            child.kill()
    return {"child_ms": 1000 * statistics.median(took[1:])}


async def idle(url: str) -> Figures:
    """Commands a second that reach Redis while a worker has nothing to do; MONITOR tells those of scripts apart."""
    memory, monitor = connect(url), connect(url)
    sent = inside = 0
    async with monitor.redis.monitor() as told:  # type: ignore[no-untyped-call]
        until = time.monotonic() + IDLE_S
        while (left := until - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    command = await told.next_command()
            except TimeoutError:
                break
            inside += command["client_type"] == "lua"
            sent += command["client_type"] != "lua"
    await memory.close()
    await monitor.close()
    return {"idle_commands_per_s": sent / IDLE_S, "idle_with_scripts_per_s": (sent + inside) / IDLE_S}


async def crowd(memory: Memory) -> Figures:
    """Ten thousand runs of a hundred people wait: memory, and the time to say which place one has."""
    ledger = Ledger(memory)
    before = await used(memory)
    for first in range(0, WAITING, 100):
        asks = [Ask(f"crowd-{n}", RECIPE, f"person{n % 100}", ("nothing",)) for n in range(first, first + 100)]
        await asyncio.gather(*map(ledger.start, asks))
    after = await used(memory)
    took = []
    for number in random.sample(range(WAITING), PLACES):
        begun = time.perf_counter()
        place = await ledger.place(f"crowd-{number}")
        took.append(time.perf_counter() - begun)
        assert place.position > 0
    return {f"waiting_{WAITING}_mb": (after - before) / 2**20, "position_ms": 1000 * percentile(took, 0.99)}


async def used(memory: Memory) -> int:
    info = await memory.redis.info("memory")
    return int(info["used_memory"])


async def neighbours(memory: Memory) -> Figures:
    """One worker with one slot; somebody's thousand runs wait, and another starts one: whose turn is it, in which order."""
    ledger = Ledger(memory)
    for number in range(NEIGHBOURS):
        await ledger.start(Ask(f"many-{number}", RECIPE, "busy", ("nothing",)))
    before = [await turn(ledger) for _ in range(10)]
    carried = await take(ledger)  # it is being carried when the other one asks
    await ledger.start(Ask("one", RECIPE, "other", ("nothing",)))
    await ledger.finish(*carried, "done", {})
    after = []
    while not after or after[-1] != "one":
        after.append(await turn(ledger))
    assert all(run.startswith("many-") for run in before)
    return {"neighbour_delay_runs": float(len(after) - 1)}


async def take(ledger: Ledger) -> tuple[str, int]:
    (run,), _ = await ledger.look("cpu", 1)
    claim = await ledger.claim(run, "bench", 60.0)
    assert claim
    return run, claim[0]


async def turn(ledger: Ledger) -> str:
    """Whose turn it is; that run is over at once."""
    run, fence = await take(ledger)
    await ledger.did(run, fence, "nothing", 1.0, {})
    assert await ledger.finish(run, fence, "done", {}) == "done"
    return run


async def measured(samples: int, *, short: bool) -> Figures:
    async with AsyncExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="labbot-bench-")))
        server = Server(base / "redis")
        server.up()
        stack.callback(server.down)
        memory = connect(server.url)
        stack.push_async_callback(memory.close)
        figures: Figures = {}
        for name, python in (("arq", sys.executable), *([] if short else [("saq", environment("saq"))])):
            took = await asyncio.to_thread(peer, name, python, server.url)
            figures |= {f"{name}_p50_ms": 1000 * statistics.median(took), f"{name}_p99_ms": 1000 * percentile(took, 0.99)}
            await memory.do("FLUSHALL")
        command = [sys.executable, "-m", "tests.bench.pool", "worker", server.url, str(base / "runs")]
        worker = subprocess.Popen(command, cwd=HOME)  # noqa: ASYNC220, a moment
        try:
            while not [key async for key in memory.keys("worker:*")]:
                await asyncio.sleep(0.05)
            figures |= await latencies(server.url, base / "runs", samples)
            await asyncio.sleep(1.0)
            figures |= await idle(server.url)
        finally:
            worker.terminate()
            worker.wait()
        figures |= await asyncio.to_thread(children, base / "children")
        await memory.do("FLUSHALL")
        figures |= await crowd(memory)
        await memory.do("FLUSHALL")
        figures |= await neighbours(memory)
        return figures | {"over_arq": figures["arq_p50_ms"] / figures["p50_ms"]}


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def stage(words: list[str]) -> int:
    recipe.RECIPES[RECIPE] = stages()
    from pipeline.pool import perform

    return perform.stage(Path(words[0]), words[1], fed=True)


def main() -> int:
    if sys.argv[1:2] == ["stage"]:
        return stage(sys.argv[2:])
    if sys.argv[1:2] == ["worker"]:
        asyncio.run(serve(sys.argv[2], Path(sys.argv[3])))
        return 0
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options.add_argument("--samples", type=int, default=SAMPLES)
    options.add_argument("--short", action="store_true", help="without SAQ, which needs an environment of its own")
    given = options.parse_args()
    figures = {name: round(value, 2) for name, value in asyncio.run(measured(given.samples, short=given.short)).items()}
    if given.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:26} {value:10.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
