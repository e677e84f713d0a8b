"""Kill -9 at every write of a drafting session, one after the other, and compare what is left with an undisturbed one.

    python -m tests.faults.kill [--every N]

A round forks a labbot that ends itself at its n-th write (before it, then after it: Redis writes and the platform's posts
and edits are counted), then forks another that finishes the session. The person sends again what was not acknowledged,
as a platform does. Rounds go on until a session is over before its n-th write. Prints one JSON object: rounds, points,
and each difference found.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot import settings as settings_module
from bot.app import App
from bot.core.talk import Act, Command, Event, File, Press, Said, Submit
from bot.look import Looker
from bot.pack import enclosed
from bot.platforms.terminal.hear import token_of
from bot.platforms.terminal.plain import lines_of
from bot.play import BEGIN
from bot.rows import Message
from bot.store import Store
from pipeline import demo
from pipeline.embedded import Server
from pipeline.files import write
from pipeline.memory import Memory, connect
from pipeline.pool.terms import Terms
from pipeline.pool.worker import Pool
from pipeline.runs import Runs

HOME = Path(__file__).resolve().parent.parent.parent
WRITES = ("SET", "HSET", "HDEL", "RPUSH", "LREM", "DEL", "ZADD", "ZREM", "EVAL")

SESSION: tuple[str, ...] = (
    "/skill",
    "Turn a short order into a ticket",
    "question: Mia wants 3 red lamps. answer: item: lamps | kind: red",
    "question: 2 blue cups for Tom answer: item: cups | kind: blue\nquestion: one hat answer: item: hat",
    "Mia wants 3 red lamps",
    "[Replace it]",
    "question: four chairs answer: item: chairs",
    "question: a plate answer: item: plate",
    "/undo",
    "question: two plates answer: item: plates",
    "own",
    "alice-lab",
    "linguistics/order_tickets",
    "/submit",
    "[Sign and open]",
    "{}",
)


class Counter:
    """Counts writes, before and after each, and ends the process at the one it was told."""

    def __init__(self, at: int) -> None:
        self.at, self.count = at, 0

    def __call__(self) -> None:
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


class Mortal(Memory):
    """Redis, with the counter at every write."""

    counter: Counter

    async def do(self, *words: Any) -> Any:
        counts = words[0] in WRITES
        if counts:
            self.counter()
        answer = await super().do(*words)
        if counts:
            self.counter()
        return answer

    async def all(self, commands: Any, *, atomic: bool = False) -> list[Any]:
        commands = list(commands)
        counts = any(words[0] in WRITES for words in commands)
        if counts:
            self.counter()
        answers = await super().all(commands, atomic=atomic)
        if counts:
            self.counter()
        return answers


class Double:
    """A platform on disk: the same key is the same message, as within a nonce's window, and all of it is written down."""

    def __init__(self, folder: Path, counter: Callable[[], None]) -> None:
        self.path, self.counter = folder / "double.jsonl", counter

    async def post(self, message: Message) -> str:
        self._write("post", message)
        return message.key

    async def edit(self, address: str, message: Message) -> str:
        self._write("edit", message)
        return address

    async def find(self, message: Message) -> str:
        return message.key if message.key in self.shown() else ""

    async def over(self, event: Event) -> None:
        return

    async def pause(self, message: Message) -> None:
        return

    async def fetch(self, file: File) -> bytes:
        return enclosed(file.token)

    async def ask(self, message: Message) -> None:
        self._write("ask", message)

    def _write(self, what: str, message: Message) -> None:
        self.counter()
        row = {"what": what, "key": message.key, "place": message.place, "lines": lines_of(message), "number": message.number}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self.counter()

    def shown(self) -> dict[str, dict[str, Any]]:
        """The messages that somebody would see, by key; a dialog is gone when it was answered."""
        rows: dict[str, dict[str, Any]] = {}
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ():
            row = json.loads(line)
            if row["what"] != "ask":
                rows[row["key"]] = row
        return rows


def act_of(line: str, talk: list[Message]) -> Act:
    if line.startswith("["):
        token = token_of(line, talk)
        assert token, (line, [lines_of(one) for one in talk])
        return Press(token)
    if line == "{}":
        return Submit(token_of("[Sign and open]", talk).replace("sign|", "signed|"), {"name": "Alice", "mail": "a@example.org"})
    return Command(*line[1:].split(" ", 1)) if line.startswith("/") else Said(line)


async def session(folder: Path, url: str, die_at: int) -> int:
    """Run the session from where the platform last got an acknowledgement; return how many points were passed."""
    counter = Counter(die_at)
    memory = Mortal(connect(url).redis)
    memory.counter = counter
    store = Store(memory, lease_s=0.05)
    loaded = settings_module.load({"LABBOT_HOME": str(HOME), "LABBOT_DATA": str(folder)})
    template = str(HOME / "configs" / "pull.md")
    settings = {"propose": {"path": str(folder / "taxonomy"), "branch": "main", "template": template}}
    runs = Runs(memory, folder / "runs", settings, clock=lambda: BEGIN + 100)
    pool = Pool(url, runs.folder, settings, {"cpu": 2}, Terms(lease_s=0.3), clock=runs.clock)
    voice = Double(folder, counter)
    app = App(
        store,
        voice,
        platform="double",
        tables=loaded.words,
        roles={},
        look=Looker(folder / "taxonomy", folder / "runs"),
        runs=runs,
    )
    app.roles = loaded.roles
    ready = asyncio.Event()
    tasks = [asyncio.create_task(app.run(ready)), asyncio.create_task(pool.serve())]
    await ready.wait()
    await app.idle()  # the person reads what there is before they go on
    person = await store.person("double", "", "alice", "alice")
    acknowledged = folder / "acknowledged"
    home = f"double:@{person}"
    for index in range(int(acknowledged.read_text()) if acknowledged.exists() else 0, len(SESSION)):
        place = home if index == 0 else await _thread(store, person, home)
        act = act_of(SESSION[index], await store.talk(place))
        await app.hear(Event(f"e{index}", BEGIN + index, person, place, act, "double"))
        write(acknowledged, str(index + 1))
        await app.idle()
    async with asyncio.timeout(30):
        while await store.watched("double"):
            await asyncio.sleep(0.01)
    await app.idle()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await memory.close()
    return counter.count


async def _thread(store: Store, person: str, home: str) -> str:
    places = await store.places("double", person)
    return next((place.place for place in places if place.place != home), home)


def in_fork(work: Callable[[], int], report: Path) -> int:
    """Do the work in a fork of this process; its result, or -1 if it was killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            report.write_text(str(work()), encoding="utf-8")
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return -1
    if os.WEXITSTATUS(status):
        raise SystemExit("the session failed by itself, see above")
    return int(report.read_text(encoding="utf-8"))


def outcome(folder: Path) -> dict[str, Any]:
    """What a session leaves: the run's file, the branches, and what the platform shows, in order."""
    from tests.conftest import git

    (run,) = [path for path in (folder / "runs").iterdir() if path.is_dir()]
    shown = sorted(Double(folder, lambda: None).shown().values(), key=lambda row: (row["place"].count("/"), row["number"]))
    return {
        "qna": (run / "entry" / "qna.yaml").read_text(encoding="utf-8"),
        "commits": git(folder / "taxonomy", "log", "--branches", "--format=%H %s").splitlines(),
        "shown": [row["lines"] for row in shown],
    }


def rounds(every: int, server: Server) -> dict[str, Any]:
    url = server.url
    with tempfile.TemporaryDirectory(prefix="labbot-kill-") as base:
        whole, points = played(Path(base) / "whole", url, 0)
        differences: list[str] = []
        done = 0
        at = 1
        while True:
            found, count = played(Path(base) / str(at), url, at)
            done += 1
            differences += [f"killed at {at}: {name} differs: {found[name]!r}" for name in whole if found[name] != whole[name]]
            if count >= 0:  # it was over before its at-th write
                return {"rounds": done, "points": points, "differences": differences}
            at += every


def played(folder: Path, url: str, die_at: int) -> tuple[dict[str, Any], int]:
    """One round on an empty labbot: its outcome, and how many points its first process passed (-1: killed)."""
    folder.mkdir()
    demo.make(folder / "taxonomy", HOME / "configs" / "demo")

    async def flush() -> None:
        memory = connect(url)
        await memory.do("FLUSHALL")
        await memory.close()

    asyncio.run(flush())
    count = in_fork(lambda: asyncio.run(session(folder, url, die_at)), folder / "count")
    if count < 0:
        in_fork(lambda: asyncio.run(session(folder, url, 0)), folder / "count")
    return outcome(folder), count


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--every", type=int, default=1, help="try every N-th point only")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="labbot-redis-") as folder:
        server = Server(Path(folder))
        server.up()
        try:
            found = rounds(given.every, server)
        finally:
            server.down()
    print(json.dumps(found, indent=1))
    return 1 if found["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
