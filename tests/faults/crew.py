"""The processes of a pool under fault: a worker, what it starts for a stage, and a front end; each with the real parts.

    python -m tests.faults.crew worker URL BASE NAME
    python -m tests.faults.crew front URL BASE NAME
    python -m tests.faults.crew stage RUN STAGE --fed

A front end is the bot's App with a core of four sentences, on a platform that is two files: NAME.in, what people say, a
line each, sent again until it was acknowledged; and NAME.out, what is shown to them.
"""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a stage's process shall start quickly
    from bot.core.known import Known
    from bot.core.talk import Effect, Event, File
    from bot.rows import Message
    from pipeline.stage import Job, Stage

LEASE_S = 0.5
LATE_S = 8 * LEASE_S
LATE = 1000  # added to the number of the attempt in what a late writer writes
ROWS = 20
AT_ONCE = 4
RECIPE = "short"
STAGES = ("first", "second")


# --- a stage


def stages() -> tuple["Stage", ...]:
    from pipeline.stage import Stage

    return (
        Stage("first", (), ("first.json",), lambda job: performed(job, "first")),
        Stage("second", ("first.json",), ("second.json",), lambda job: performed(job, "second")),
    )


def performed(job: "Job", name: str) -> Mapping[str, str]:
    """Twenty records, an artefact of them, and whatever the run was told to do in the middle. `how` acts in the first stage."""
    from pipeline.files import write

    how = str(job.inputs["how"]) if name == "first" else ""
    began = len(list(job.folder.glob(f"began-{name}-*"))) + 1
    (job.folder / f"began-{name}-{began}-{job.fence}").touch()
    told = {"fence": str(job.fence)}
    if how == "more":  # what a stage leaves behind is for the pool to end
        subprocess.Popen(["sh", "-c", "sleep 600; :", str(job.folder)])
    with job.journal(name) as log:
        for number in range(ROWS):
            id = f"{name}.{number}"
            if id not in log:
                log.append(id, row(name, number, job.fence))
                with (job.folder / f"acknowledged-{job.fence}").open("a", encoding="utf-8") as noted:
                    noted.write(json.dumps([name, id, log[id]]) + "\n")
            if number % 5 == 0:
                job.report(number / ROWS, told)
            time.sleep(float(job.inputs["pause_s"]))
            if number == ROWS // 2:
                act(how, began, job, log)
        whole = dict(log.records())
    write(job.folder / f"{name}.json", json.dumps(whole))
    return {**told, "rows": str(len(whole))}


def row(name: str, number: int, by: int) -> dict[str, Any]:
    return {"n": number, "by": by, "text": f"{name} \u2028 {'x' * (number * 37 % 260)}"}


def act(how: str, began: int, job: "Job", log: Any) -> None:
    from pipeline.errors import Failed, Temporary

    if how == "fail":
        raise Failed("told to fail")
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "again" and began == 1:
        raise Temporary("told to try again")
    if how == "late" and began == 1:
        plant(job, log)
        raise Temporary("a late writer is planted")


def plant(job: "Job", log: Any) -> None:
    """A writer of this attempt that outlives it, as on a host that was cut off: it has the log open, and writes much later."""
    away, gone = os.pipe()
    if os.fork():
        os.close(gone)
        os.read(away, 1)  # until it has left the group, which ends with the stage
        os.close(away)
        return
    os.setsid()
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if int(name) != log._handle:
                os.close(int(name))
    time.sleep(LATE_S)
    said = "wrote"
    try:
        for number in range(ROWS):
            log.append(f"first.{number}", row("first", number, job.fence + LATE))
    except Exception as error:
        said = str(error)
    (job.folder / "late.txt").write_text(said, encoding="utf-8")
    os._exit(0)


def stage(words: list[str]) -> int:
    light = ModuleType("pipeline.recipe")  # the real table's stages take most of the time in which a process starts
    light.__dict__["every"] = lambda recipe: stages()
    sys.modules["pipeline.recipe"] = light
    from pipeline.pool import perform

    return perform.stage(Path(words[0]), words[1], fed=True)


# --- a worker


async def worker(url: str, base: Path, name: str) -> None:
    from pipeline import recipe
    from pipeline.pool.terms import Terms
    from pipeline.pool.worker import Pool

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    recipe.RECIPES[RECIPE] = stages()
    terms = Terms(
        lease_s=LEASE_S,
        tries=50,  # whatever else happens to it, a run fails only where it is told to
        pauses_s=(0.05,),
        stop_s=1.0,
        grace_s=1.0,
        command=(sys.executable, "-S", "-m", "tests.faults.crew"),  # without what is installed it starts sooner
    )
    pool = Pool(url, base / "runs", {}, {"cpu": AT_ONCE}, terms, name=name)
    work = asyncio.create_task(pool.serve())
    ending: list[asyncio.Task[None]] = []

    async def end() -> None:
        await pool.stop()
        work.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: ending.append(asyncio.create_task(end())))
    await asyncio.wait({work})
    if not work.cancelled():
        work.result()


# --- a front end


class Platform:
    """A platform on disk. The same key is the same message; an edit is shown whatever was before."""

    def __init__(self, base: Path, name: str) -> None:
        self.path = base / f"{name}.out"
        rows = map(json.loads, self.path.read_text(encoding="utf-8").splitlines()) if self.path.exists() else ()
        self.posted = {row["key"] for row in rows}

    async def post(self, message: "Message") -> str:
        if message.key not in self.posted:
            self._write("post", message)
        return message.key

    async def edit(self, address: str, message: "Message") -> str:
        self._write("edit", message)
        return address

    async def find(self, message: "Message") -> str:
        return message.key if message.key in self.posted else ""

    async def ask(self, message: "Message") -> None:
        raise AssertionError("nothing is asked here")

    async def forget(self, person: str) -> None:
        raise AssertionError("nobody is forgotten here")

    async def over(self, event: "Event") -> None:
        return

    async def pause(self, message: "Message") -> None:
        return

    async def fetch(self, file: "File") -> bytes:
        raise AssertionError("no file is sent here")

    def _write(self, what: str, message: "Message") -> None:
        title = getattr(message.body, "title", "")
        line = json.dumps({"what": what, "key": message.key, "slot": message.slot, "title": title, "at": time.time()})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        self.posted.add(message.key)


def core(event: "Event", known: "Known") -> list["Effect"]:
    """go RUN HOW UNTIL PAUSE, stop RUN, ping WORD; and what becomes of runs: a card each, and a message at the end."""
    from bot.core.talk import Cancel, Card, Command, Moved, Show, Start
    from pipeline.runs import ENDED

    match event.act:
        case Command("go", text):
            run, how, until, pause_s = text.split()
            inputs = {"how": how, "pause_s": pause_s}
            return [Show(Card(f"{run} asked"), slot=f"card-{run}"), Start(run, RECIPE, inputs, until)]
        case Command("stop", run):
            return [Cancel(run)]
        case Command("ping", word):
            return [Show(Card(f"pong {word}"))]
        case Moved(run, number, state):
            card = Show(Card(f"{run} {state} {number}"), slot=f"card-{run}")
            return [card, *([Show(Card(f"{run} ended {number}"), ping=event.person)] if state in ENDED else [])]
    raise AssertionError(event.act)


async def front(url: str, base: Path, name: str) -> None:
    from bot.app import App
    from bot.core.rules import Role
    from bot.look import Looker
    from bot.store import Store
    from pipeline import recipe
    from pipeline.memory import connect
    from pipeline.runs import Runs

    recipe.RECIPES[RECIPE] = stages()
    logging.basicConfig(format="%(asctime)s %(message)s")
    memory = connect(url, timeout_s=2 * LEASE_S)
    app = App(
        Store(memory, lease_s=3 * LEASE_S),
        Platform(base, name),
        platform=name,
        tables={"en": {}},
        roles={"everyone": Role("everyone", running=3 * AT_ONCE - 2)},
        look=Looker(base / "taxonomy", base / "runs"),
        runs=Runs(memory, base / "runs", {}),
        core=core,
        pace_s=0.3,
    )
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(app.run(ready))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
        await ready.wait()
        heard = tasks.create_task(hear(app, base, name))
        await asyncio.wait({serving})
        heard.cancel()
    await memory.close()


async def hear(app: Any, base: Path, name: str) -> None:
    """Give the App what people say, line by line; what was not acknowledged is said again after a restart."""
    from bot.core.talk import Command, Event
    from pipeline.errors import Temporary
    from pipeline.files import write

    said, acknowledged = base / f"{name}.in", base / f"{name}.heard"
    index = int(acknowledged.read_text(encoding="utf-8")) if acknowledged.exists() else 0
    while True:
        lines = said.read_text(encoding="utf-8").splitlines(keepends=True)[index:]
        for line in lines:
            if not line.endswith("\n"):
                break
            word, _, text = line.strip().partition(" ")
            run = text.split(" ")[0]
            event = Event(f"{name}.{index}", time.time(), f"person{index % 3}", f"{name}:x/{run}", Command(word, text), name)
            while True:
                try:
                    await app.hear(event)
                    break
                except Temporary:
                    await asyncio.sleep(0.05)
            index += 1
            await asyncio.to_thread(write, acknowledged, str(index))
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    kind, *given = sys.argv[1:]
    if kind == "stage":
        sys.exit(stage(given))
    with suppress(asyncio.CancelledError):
        asyncio.run({"worker": worker, "front": front}[kind](given[0], Path(given[1]), given[2]))
