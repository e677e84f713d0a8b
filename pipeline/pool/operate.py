"""What operators do about runs, workers and lanes: `labpipe run | worker | runs | watch | lane | drain`.

All but `run` speak to the Redis of the installation, whether a labbot runs on it or not.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import Invalid, LabError, Problem, plain
from pipeline.pool.ledger import ENDED, LANES

if TYPE_CHECKING:
    from pipeline.installation import Installation
    from pipeline.pool.ledger import Ledger, Record

COMMANDS = ("run", "worker", "runs", "watch", "lane", "drain")


def words(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands of this module to those of `labpipe`."""
    run = commands.add_parser("run", help="perform a recipe here, without Redis: a JSON line a step; finished stages are free")
    run.add_argument("recipe", help="contribution, document or model")
    run.add_argument(
        "entry", nargs="?", type=Path, metavar="ENTRY", help="a qna.yaml whose path tells its place in the taxonomy"
    )
    run.add_argument(
        "--until", metavar="STAGE", help="the last stage that is wanted (all); precheck and propose run only if they are named"
    )
    run.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an input: name=tiny for recipe model")
    run.add_argument("--folder", type=Path, metavar="DIR", help="the run's folder (one in LABBOT_DATA/by-hand)")
    worker = commands.add_parser(
        "worker",
        help="carry runs of this installation, on this machine, until told to end",
        description="Take runs from the lanes that this machine can serve and carry each in processes of its own. Any number "
        "of workers may share a Redis; one that dies is noticed within two leases, and its runs go on elsewhere. "
        "SIGTERM: runs have a grace period to end, then they save, and wait for another worker.",
    )
    worker.add_argument("--lane", action="append", choices=LANES, default=[], help="may be given twice (what --device says)")
    worker.add_argument("--device", default="auto", metavar="auto|cpu|metal|cuda[:N]", help="where its models compute (auto)")
    worker.add_argument("--at-once", type=int, default=0, metavar="N", help="runs at once in the lane cpu (runs.at_once)")
    worker.add_argument("--http", default="", metavar="HOST:PORT", help="tell /healthz and /metrics there")
    worker.add_argument("--check", action="store_true", help="say whether it could begin, and end: 0 yes, 1 not now, 2 no")
    worker.add_argument("--launchd", action="store_true", help="have a Mac run it from every log-in on")
    worker.add_argument("--dry-run", action="store_true", help="with --launchd: show what would be written and run")
    runs = commands.add_parser("runs", help="list runs; move one up, cancel one, or see those that were given up")
    runs.add_argument("act", nargs="?", choices=("up", "cancel"), help="make it the next of its lane; cancel it, whoever's")
    runs.add_argument("run", nargs="?", metavar="RUN")
    runs.add_argument("--all", action="store_true", help="those that have ended too")
    runs.add_argument("--dead", action="store_true", help="those that were given up after all their tries, with the cause")
    runs.add_argument("--json", action="store_true", help="a JSON line a run")
    watch = commands.add_parser("watch", help="show how a run goes, as it goes, to its end")
    watch.add_argument("run", metavar="RUN")
    lane = commands.add_parser("lane", help="the lanes and their workers; pause or resume one")
    lane.add_argument("act", nargs="?", choices=("pause", "resume"))
    lane.add_argument("lane", nargs="?", choices=LANES)
    lane.add_argument("why", nargs="*", help="with pause: what people are told")
    drain = commands.add_parser("drain", help="let a worker end when its runs have, and take no more")
    drain.add_argument("worker", metavar="WORKER", help="by its name in `labpipe lane`, or the beginning of it")


def main(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """0: done; 1: something failed; 2: what was asked for cannot be, with what to do about it."""
    from pipeline import installation

    try:
        here = installation.read(environment)
        if given.command == "run":
            return _run(given, here)
        if given.command == "worker":
            return _worker(given, here)
        acts: dict[str, Callable[[argparse.Namespace, Ledger], Awaitable[int]]] = {
            "runs": _runs,
            "watch": _watch,
            "lane": _lane,
            "drain": _drain,
        }
        with here.redis() as url:
            return asyncio.run(_with_ledger(url, given, acts[given.command]))
    except LabError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, Invalid) else 1
    except BrokenPipeError:  # whoever reads, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _worker(given: argparse.Namespace, here: "Installation") -> int:
    from pipeline.pool import working

    return working.main(given, here)


async def _with_ledger(
    url: str, given: argparse.Namespace, act: "Callable[[argparse.Namespace, Ledger], Awaitable[int]]"
) -> int:
    from pipeline.memory import connect
    from pipeline.pool.ledger import Ledger

    memory = connect(url, timeout_s=10.0)
    try:
        return await act(given, Ledger(memory))
    finally:
        await memory.close()


# --- labpipe run


def _run(given: argparse.Namespace, here: "Installation") -> int:
    from pipeline import recipe
    from pipeline.files import digest
    from pipeline.pool import layout, perform

    recipe.stages(given.recipe, given.until)
    inputs: dict[str, Any] = dict(_pair(text) for text in given.set)
    if given.entry:
        inputs["entry"] = _entry(given.entry)
    elif given.recipe == "contribution":
        raise Invalid(Problem("run.entry", "a contribution needs an ENTRY", fix="Name its qna.yaml."))
    decides = sorted((name, value) for name, value in inputs.items() if name not in layout.ONCE)
    name = f"hand-{digest(repr(decides).encode()).removeprefix('sha256:')[:10]}"
    folder = (given.folder or here.data / "by-hand" / name).absolute()  # not among those that are tidied by their records
    layout.write(folder, given.recipe, inputs, "", here.stages)
    print(f"the run's folder: {folder}", file=sys.stderr)
    with here.model_kept():
        return perform.by_hand(folder, given.until, here.terms.pauses_s[: here.terms.tries - 1])


def _pair(text: str) -> tuple[str, Any]:
    """An input; `true`, `false` and numbers are what they look like, everything else is a text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise Invalid(Problem("run.input", f"{text!r} is no NAME=VALUE", "--set", "Write it like name=tiny."))
    try:
        found = json.loads(value)
    except ValueError:
        return name, value
    return name, found if isinstance(found, bool | int | float) else value


def _entry(path: Path) -> object:
    """The entry in a file, with the sources of the attribution.txt beside it. Raises Invalid for what is none."""
    from dataclasses import replace

    from pipeline import attribution, intake

    path = path / "qna.yaml" if path.is_dir() else path
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(Problem("run.entry", f"it cannot be read: {error}", str(path))) from None
    taken = intake.take(text, str(path.absolute()))
    if taken.problem or taken.entry is None:
        raise Invalid(taken.problem or Problem("run.entry", "there is no entry in it", str(path)))
    beside = path.with_name("attribution.txt")
    works = attribution.read(beside.read_text(encoding="utf-8")) if beside.is_file() else ()
    return replace(taken.entry, works=works) if works else taken.entry


# --- labpipe runs, watch, lane, drain


async def _runs(given: argparse.Namespace, ledger: "Ledger") -> int:
    if given.act:
        return await _act(given, ledger)
    dead = {name.decode() for name in await ledger.memory.do("ZRANGE", "runs:dead", 0, -1)}
    records = [one for one in await ledger.records() if (one.id in dead) or not given.dead]
    if not (given.all or given.dead):
        records = [one for one in records if one.state in ("waiting", "running", "stopping")]
    places = {one.id: (await ledger.place(one.id)).position for one in records if one.state == "waiting"}
    for one in sorted(records, key=lambda one: (one.state != "running", places.get(one.id, 0), one.asked, one.id)):
        print(_as_json(one, places.get(one.id, 0)) if given.json else _line(one, places.get(one.id, 0)))
    if not records and not given.json:
        print("No run was given up." if given.dead else "Nothing waits and nothing is carried.")
    return 0


async def _act(given: argparse.Namespace, ledger: "Ledger") -> int:
    record = await ledger.record(given.run) if given.run else None
    if record is None:
        raise Invalid(Problem("run.unknown", f"no run {given.run!r}", fix="`labpipe runs --all` lists them."))
    if given.act == "up":
        if not await ledger.up(record.id):
            raise Invalid(Problem("run.state", f"it is {record.state} and does not wait", record.id))
        print(f"{record.id} is the next of its lane.")
        return 0
    if record.state in ENDED:
        print(f"{record.id} has ended already: {record.state}.")
        return 0
    state = await ledger.cancel(record.id, "operator")
    print(f"{record.id} {'is cancelled.' if state == 'cancelled' else 'stops: it has some seconds to save.'}")
    return 0


async def _watch(given: argparse.Namespace, ledger: "Ledger") -> int:
    """Show a run's steps. 0: it is done; 1: it failed or was cancelled."""
    from pipeline.models.progress import Line
    from pipeline.runs import Runs

    runs = Runs(ledger.memory, Path(), {})
    if await runs.status(given.run) is None:
        raise Invalid(Problem("run.unknown", f"no run {given.run!r}", fix="`labpipe runs --all` lists them."))
    with Line(sys.stdout) as line:
        async with aclosing(runs.watch(given.run, -1)) as steps:  # type: ignore[type-var]  # it is an async generator
            async for step in steps:
                stage = step.facts.get("stage", step.stage)
                standing = _standing(step.facts)
                act = " ".join(filter(None, (step.state, stage)))
                line.report(step.fraction, {"act": act, "state": act, "standing": standing})
                if step.state in ENDED:
                    break
    print(" ".join((f"{given.run}: {step.state}.", *(f"{name}={plain(value)}" for name, value in step.facts.items()))))
    return 0 if step.state == "done" else 1


async def _lane(given: argparse.Namespace, ledger: "Ledger") -> int:
    do = ledger.memory.do
    if given.act and not given.lane:
        raise Invalid(Problem("lane.which", f"{given.act} which lane?", fix=f"Name one: {', '.join(LANES)}."))
    if given.act == "pause":
        await do("SET", f"lane:{given.lane}:paused", " ".join(given.why) or "paused")
    elif given.act == "resume":
        await do("DEL", f"lane:{given.lane}:paused")
        await ledger.memory.all([("RPUSH", f"lane:{given.lane}:bell", 1), ("EXPIRE", f"lane:{given.lane}:bell", 60)])
    for lane, (waiting, carried) in (await ledger.crowd()).items():
        paused = await do("GET", f"lane:{lane}:paused")
        print(f"{lane}: {waiting} waiting, {carried} carried" + (f", paused: {paused.decode()}" if paused else ""))
    for name, worker in sorted((await _workers(ledger)).items()):
        lanes = ", ".join(f"{lane} {slots}" for lane, slots in worker["lanes"].items())
        state = "draining" if worker["draining"] else "at work" if worker["runs"] else "idle"
        print(f"{name}: {lanes}; {worker['device']}; {state} {' '.join(worker['runs'])}".rstrip())
    return 0


async def _drain(given: argparse.Namespace, ledger: "Ledger") -> int:
    names = [name for name in await _workers(ledger) if name.startswith(given.worker)]
    if len(names) != 1:
        there = "no worker" if not names else f"{len(names)} workers"
        raise Invalid(Problem("worker.unknown", f"{there} of that name: {given.worker!r}", fix="`labpipe lane` lists them."))
    await ledger.memory.do("SET", f"drain:{names[0]}", 1, "EX", 86_400)
    for bell in (f"bell:{names[0]}:{lane}" for lane in LANES):
        await ledger.memory.all([("RPUSH", bell, 1), ("EXPIRE", bell, 60)])
    print(f"{names[0]} takes no further run and ends when its last one has.")
    return 0


async def _workers(ledger: "Ledger") -> dict[str, dict[str, Any]]:
    names = [key async for key in ledger.memory.keys("worker:*")]
    rows = await ledger.memory.all(("GET", name) for name in names)
    return {name.removeprefix("worker:"): json.loads(row) for name, row in zip(names, rows, strict=True) if row}


def _line(one: "Record", position: int) -> str:
    at = f"place {position}" if position else one.stage
    cause = one.facts.get("cause", one.facts.get("again", ""))
    since = time.strftime("%d %b %H:%M", time.localtime(one.asked))
    return "  ".join(
        filter(None, (f"{one.id:24}", f"{one.state:9}", f"{one.recipe:12}", f"{at:10}", since, one.worker, plain(cause)))
    )


def _as_json(one: "Record", position: int) -> str:
    from dataclasses import asdict

    return json.dumps({**asdict(one), "position": position})


def _standing(facts: Mapping[str, str]) -> str:
    place = f"place {facts['position']}" if "position" in facts else ""
    left = f"{facts['low_s']} to {facts['high_s']} s left" if "low_s" in facts else ""
    return ", ".join(filter(None, (place, left, facts.get("paused") and "the lane is paused")))
